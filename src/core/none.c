/* "none": a machine of nothing but memory, and vCPUs where -cpu names a model: for management programs that probe. */
#include "core/machine.h"
#include "core/vcpu.h"

#include "base/error.h"

static bool none_build(Machine *machine, Error **error)
{
    if (machine->ram) {
        Region *region = region_new_ram(NULL, machine, machine->ram->id, machine->ram, 0, machine->ram->size, false);
        region_map(machine->memory, 0, region, 0);
    }
    for (unsigned i = 0; machine->options.cpu_model && i < machine->options.cpus; i++) {
        Vcpu *vcpu = vcpu_new(machine, machine->options.cpu_model, i, error);
        if (!vcpu || !device_realize(&vcpu->device, NULL, NULL, NULL, error)) {
            return false;
        }
    }
    return true;
}

static bool none_load(Machine *machine, Error **error)
{
    const MachineOptions *options = &machine->options;
    if (options->kernel || options->initrd || options->append || options->dtb || options->dumpdtb || options->bios) {
        return error_set(error, "machine 'none' boots nothing: -kernel, -initrd, -append, -dtb, -bios and dumpdtb are "
                         "for other machines");
    }
    return true;
}

const MachineClass none_machine_class = {
    .class = {
        .name = "none-machine",
        .parent = &machine_class.class,
        .description = "empty machine",
    },
    .name = "none",
    .maximum_cpus = 1,
    .no_cpus = true,
    .default_ram_id = "ram",
    .build = none_build,
    .load = none_load,
};
