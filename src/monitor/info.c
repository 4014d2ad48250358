/*
 * HMP's info commands about what is inside the machine: registers, memory map, buses, objects, disks, interrupt lines,
 * firmware. The guest stands still while it is looked at.
 *
 * Not here: `info network` has nothing to list yet, for there are no network devices.
 */
#include "monitor/monitor_internal.h"

#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "core/debugger.h"
#include "core/device.h"
#include "core/vcpu.h"
#include "schema/hmp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- processors ------------------------------------------------------------------------------------------------- */

static void print_vcpu(const Vcpu *vcpu, StrBuf *out)
{
    strbuf_printf(out, "\nCPU#%u\n", vcpu->index);
    if (vcpu->cpu) {
        vcpu->cpu->guest->print_registers(vcpu->cpu, true, out);
    }
}

bool hmp_info_registers(Monitor *monitor, const InfoRegistersHmpArguments *arguments, StrBuf *output, Error **error)
{
    Machine *machine = monitor->control->machine;
    int64_t index = arguments->has_vcpu ? arguments->vcpu : monitor->cpu_index;
    bool all = arguments->has_all && arguments->all;
    if (!all && (index < 0 || (uint64_t)index >= machine->vcpus.count)) {
        return error_set(error, arguments->has_vcpu ? "CPU#%" PRId64 " not available" : "there is no CPU", index);
    }
    machine_park(machine);
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        if (all || (int64_t)i == index) {
            print_vcpu(machine->vcpus.items[i], output);
        }
    }
    machine_unpark(machine);
    return true;
}

bool hmp_info_mem(Monitor *monitor, StrBuf *output, Error **error)
{
    Machine *machine = monitor->control->machine;
    Vcpu *vcpu = monitor_vcpu(monitor, error);
    if (!vcpu || !vcpu->cpu) {
        return false;
    }
    if (!vcpu->cpu->guest->print_mappings) {
        return error_set(error, "%s has no list of mappings", vcpu->cpu->guest->target);
    }
    machine_park(machine);
    vcpu->cpu->guest->print_mappings(vcpu->cpu, output);
    machine_unpark(machine);
    return true;
}

/* -- memory ----------------------------------------------------------------------------------------------------- */

bool hmp_info_mtree(Monitor *monitor, const InfoMtreeHmpArguments *arguments, StrBuf *output, Error **error)
{
    const Machine *machine = monitor->control->machine;
    bool flat = arguments->has_flatview && arguments->flatview;
    for (size_t i = 0; i < machine->spaces.count; i++) {
        address_space_print(machine->spaces.items[i], flat, output);
        strbuf_append(output, "\n");
    }
    return true;
}

typedef struct RomWalk {
    Region *system;
    StrBuf *out;
} RomWalk;

/* Where the region stands in system memory; false where it is not mapped there. */
static bool absolute_address(const Region *region, const Region *system, uint64_t *address)
{
    *address = 0;
    for (; region && region != system; region = region->container) {
        *address += region->address;
    }
    return region == system;
}

static bool print_rom(Object *object, void *context)
{
    RomWalk *walk = context;
    const Region *region = (const Region *)object;
    uint64_t address;
    if (object_is(object, &region_class) && (region->kind == REGION_ROM || region->kind == REGION_ROM_DEVICE) &&
        absolute_address(region, walk->system, &address)) {
        strbuf_printf(walk->out, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=%s name=\"%.*s\"\n", address,
                      region->size_minus_1 + 1, region->kind == REGION_ROM ? "rom" : "flash",
                      (int)strcspn(object->name, "["), object->name);
    }
    return true;
}

bool hmp_info_roms(Monitor *monitor, StrBuf *output, Error **error)
{
    Machine *machine = monitor->control->machine;
    RomWalk walk = { machine->memory, output };
    object_each_descendant(machine->root, print_rom, &walk);
    if (machine->class->print_images) {
        machine->class->print_images(machine, output);
    }
    return true;
}

/* -- buses, devices, objects ------------------------------------------------------------------------------------ */

typedef struct TreePrinter {
    StrBuf *out;
    unsigned indent;
    bool brief;
    Object *object;
} TreePrinter;

static void indent(const TreePrinter *printer, unsigned more)
{
    strbuf_printf(printer->out, "%*s", (int)(printer->indent + more), "");
}

static void print_property(const Class *owner, const Property *property, void *context)
{
    TreePrinter *printer = context;
    if (property->hidden || property->kind == PROPERTY_CHILD || owner == &device_class.class ||
        owner == &object_class) {
        return;
    }
    Json *value = object_get(printer->object, property->name, NULL);
    if (value) {
        indent(printer, 4);
        strbuf_printf(printer->out, "%s = ", property->name);
        json_write(printer->out, value);
        uint64_t number;
        if (json_to_uint64(value, &number) && json_kind(value) != JSON_DOUBLE) {
            strbuf_printf(printer->out, " (0x%" PRIx64 ")", number);
        }
        strbuf_append(printer->out, "\n");
        json_free(value);
    }
}

static void print_bus(Bus *bus, TreePrinter *printer);

static void print_regions(const Device *device, const TreePrinter *printer)
{
    for (size_t i = 0; i < device->regions.count; i++) {
        const Region *region = device->regions.items[i];
        uint64_t address;
        if (region->container && region->container->object.parent == region->object.parent) {
            continue; /* a part of another one */
        }
        bool mapped = absolute_address(region, device->machine->memory, &address);
        indent(printer, 4);
        strbuf_printf(printer->out, "mmio %016" PRIx64 "/%016" PRIx64 "\n", mapped ? address : UINT64_MAX,
                      region->size_minus_1 + 1);
    }
}

static void print_device(Device *device, TreePrinter *printer)
{
    indent(printer, 2);
    strbuf_printf(printer->out, "dev: %s, id \"%s\"\n", device->object.class->name, device->id ? device->id : "");
    if (!printer->brief) {
        printer->object = &device->object;
        class_each_property(device->object.class, print_property, printer);
        if (device_class_of(device)->print) {
            indent(printer, 4);
            device_class_of(device)->print(device, printer->out);
            strbuf_append(printer->out, "\n");
        }
        print_regions(device, printer);
    }
    printer->indent += 4;
    for (size_t i = 0; i < device->buses.count; i++) {
        print_bus(device->buses.items[i], printer);
    }
    printer->indent -= 4;
}

static void print_bus(Bus *bus, TreePrinter *printer)
{
    indent(printer, 0);
    strbuf_printf(printer->out, "bus: %s\n", bus_name(bus));
    indent(printer, 2);
    strbuf_printf(printer->out, "type %s\n", bus->type);
    for (ListNode *node = bus->devices.previous; node != &bus->devices; node = node->previous) {
        print_device(list_item(node, Device, sibling), printer);
    }
}

bool hmp_info_qtree(Monitor *monitor, const InfoQtreeHmpArguments *arguments, StrBuf *output, Error **error)
{
    Machine *machine = monitor->control->machine;
    TreePrinter printer = { .out = output, .brief = arguments->has_brief && arguments->brief };
    if (machine->system_bus) {
        print_bus(machine->system_bus, &printer);
    }
    return true;
}

static bool print_object(Object *object, void *context)
{
    TreePrinter *printer = context;
    indent(printer, 0);
    strbuf_printf(printer->out, "/%s (%s)\n", object->name ? object->name : "", object->class->name);
    printer->indent += 2;
    object_each_child(object, print_object, printer);
    printer->indent -= 2;
    return true;
}

bool hmp_info_qom_tree(Monitor *monitor, const InfoQomTreeHmpArguments *arguments, StrBuf *output, Error **error)
{
    Object *root = monitor->control->machine->root;
    Object *object = object_resolve(root, arguments->path ? arguments->path : "/machine", NULL);
    TreePrinter printer = { .out = output };
    if (!object) {
        return error_set_class(error, ERROR_DEVICE_NOT_FOUND, "there is no object at '%s'", arguments->path);
    }
    return print_object(object, &printer);
}

/* -- network ------------------------------------------------------------------------------------------------------ */

bool hmp_info_network(Monitor *monitor, StrBuf *output, Error **error) { return true; }

/* -- interrupts ------------------------------------------------------------------------------------------------- */

static bool print_controller(Object *object, void *context)
{
    StrBuf *out = context;
    if (!object_is(object, &device_class.class)) {
        return true;
    }
    Device *device = (Device *)object;
    const DeviceClass *class = device_class_of(device);
    if (class->interrupt_controller && device->realized) {
        strbuf_printf(out, "%s:", device_name(device));
        if (class->print) {
            strbuf_append(out, " ");
            class->print(device, out);
        }
        strbuf_append(out, "\n");
    }
    return true;
}

bool hmp_info_irq(Monitor *monitor, StrBuf *output, Error **error)
{
    Machine *machine = monitor->control->machine;
    machine_park(machine);
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        const Vcpu *vcpu = machine->vcpus.items[i];
        if (vcpu->cpu) {
            strbuf_printf(output, "CPU#%u: lines raised: 0x%" PRIx64 "\n", vcpu->index, atomic_load(&vcpu->cpu->lines));
        }
    }
    object_each_descendant(&machine->object, print_controller, output);
    machine_unpark(machine);
    return true;
}

/* -- the log ---------------------------------------------------------------------------------------------------- */

bool hmp_log(Monitor *monitor, const LogHmpArguments *arguments, StrBuf *output, Error **error)
{
    return log_set_items(monitor->control->log, arguments->items, error);
}

bool hmp_gdbserver(Monitor *monitor, const GdbserverHmpArguments *arguments, StrBuf *output, Error **error)
{
    const char *device = arguments->device ? arguments->device : "tcp::1234";
    bool ok = debugger_listen(monitor->control->machine, device, error);
    if (ok && !strcmp(device, "none")) {
        strbuf_append(output, "Disabled gdbserver\n");
    } else if (ok) {
        strbuf_printf(output, "Waiting for gdb connection on device '%s'\n", device);
    }
    return ok;
}

bool hmp_logfile(Monitor *monitor, const LogfileHmpArguments *arguments, StrBuf *output, Error **error)
{
    return log_set_file(monitor->control->log, arguments->filename, error);
}
