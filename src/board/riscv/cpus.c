/*
 * RISC-V processors as classes of the machine, one for each model of the guests' tables, and the array that boards hang
 * them under ("riscv.hart_array").
 */
#include "board/riscv/riscv.h"

#include "api/type.h"
#include "base/error.h"
#include "core/fdt.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "guest/riscv/config.h"

#include <stdlib.h>

extern const Guest riscv32_guest, riscv64_guest;

#define RISCV_PARENT(id_, name_, parent_, description_) \
    const VcpuClass id_##_cpu_class = { \
        .device.class = { .name = name_, .parent = &parent_.device.class, .description = description_, \
                          .abstract = true }, \
    }
/* classes: VcpuClass riscv_cpu_class riscv_dynamic_cpu_class riscv_bare_cpu_class riscv_vendor_cpu_class */
const VcpuClass riscv_cpu_class = {
    .device.class = {
        .name = "riscv-cpu",
        .parent = &cpu_class.class,
        .description = "RISC-V hart",
        .abstract = true,
    },
};
RISCV_PARENT(riscv_dynamic, "riscv-dynamic-cpu", riscv_cpu_class, "RISC-V hart with the usual extensions");
RISCV_PARENT(riscv_bare, "riscv-bare-cpu", riscv_cpu_class, "RISC-V hart without extensions");
RISCV_PARENT(riscv_vendor, "riscv-vendor-cpu", riscv_cpu_class, "RISC-V hart of a manufacturer");

#define RISCV_MODEL(id_, name_, parent_, guest_, model_, description_) \
    const VcpuClass id_##_riscv_cpu_class = { \
        .device.class = { .name = name_ "-riscv-cpu", .parent = &parent_.device.class, .description = description_ }, \
        .guest = &guest_, \
        .model = model_, \
    }
/* classes: VcpuClass rv64_riscv_cpu_class rv64i_riscv_cpu_class max_riscv_cpu_class */
RISCV_MODEL(rv64, "rv64", riscv_dynamic_cpu_class, riscv64_guest, "rv64", "RV64 with the usual extensions");
RISCV_MODEL(rv64i, "rv64i", riscv_bare_cpu_class, riscv64_guest, "rv64i", "RV64 with the base instructions alone");
RISCV_MODEL(max, "max", riscv_dynamic_cpu_class, riscv64_guest, "max", "RV64 with all extensions there are");
/* classes: VcpuClass rv32_riscv_cpu_class rv32i_riscv_cpu_class max32_riscv_cpu_class */
RISCV_MODEL(rv32, "rv32", riscv_dynamic_cpu_class, riscv32_guest, "rv32", "RV32 with the usual extensions");
RISCV_MODEL(rv32i, "rv32i", riscv_bare_cpu_class, riscv32_guest, "rv32i", "RV32 with the base instructions alone");
RISCV_MODEL(max32, "max32", riscv_dynamic_cpu_class, riscv32_guest, "max", "RV32 with all extensions there are");
/* classes: VcpuClass rv64e_riscv_cpu_class sifive_e51_riscv_cpu_class sifive_u54_riscv_cpu_class */
RISCV_MODEL(rv64e, "rv64e", riscv_bare_cpu_class, riscv64_guest, "rv64e", "RV64E alone");
RISCV_MODEL(sifive_e51, "sifive-e51", riscv_vendor_cpu_class, riscv64_guest, "sifive-e51", "SiFive E51");
RISCV_MODEL(sifive_u54, "sifive-u54", riscv_vendor_cpu_class, riscv64_guest, "sifive-u54", "SiFive U54");
/* classes: VcpuClass rva22s64_riscv_cpu_class rva22u64_riscv_cpu_class shakti_c_riscv_cpu_class
   lowrisc_ibex_riscv_cpu_class */
RISCV_MODEL(rva22s64, "rva22s64", riscv_bare_cpu_class, riscv64_guest, "rva22s64", "RVA22S64's mandates");
RISCV_MODEL(rva22u64, "rva22u64", riscv_bare_cpu_class, riscv64_guest, "rva22u64", "RVA22U64's mandates");
RISCV_MODEL(shakti_c, "shakti-c", riscv_vendor_cpu_class, riscv64_guest, "shakti-c", "SHAKTI C-Class");
RISCV_MODEL(lowrisc_ibex, "lowrisc-ibex", riscv_vendor_cpu_class, riscv32_guest, "lowrisc-ibex", "lowRISC Ibex");
/* classes: VcpuClass xiangshan_nanhu_riscv_cpu_class */
RISCV_MODEL(xiangshan_nanhu, "xiangshan-nanhu", riscv_vendor_cpu_class, riscv64_guest, "xiangshan-nanhu",
            "XiangShan Nanhu");
/* classes: VcpuClass rv32e_riscv_cpu_class sifive_e31_riscv_cpu_class sifive_e34_riscv_cpu_class
   sifive_u34_riscv_cpu_class */
RISCV_MODEL(rv32e, "rv32e", riscv_bare_cpu_class, riscv32_guest, "rv32e", "RV32E alone");
RISCV_MODEL(sifive_e31, "sifive-e31", riscv_vendor_cpu_class, riscv32_guest, "sifive-e31", "SiFive E31");
RISCV_MODEL(sifive_e34, "sifive-e34", riscv_vendor_cpu_class, riscv32_guest, "sifive-e34", "SiFive E34");
RISCV_MODEL(sifive_u34, "sifive-u34", riscv_vendor_cpu_class, riscv32_guest, "sifive-u34", "SiFive U34");

/* The array. */

typedef struct HartArray {
    Device device;
    uint32_t hartid_base, num_harts;
    uint64_t resetvec;
    char *cpu_type;
} HartArray;

static const Property hart_array_properties[] = {
    { .name = "cpu-type", .when = PROPERTY_READ_ONLY, .type = &type_string, .offset = offsetof(HartArray, cpu_type),
      .description = "class of the harts" },
    { .name = "hartid-base", .when = PROPERTY_READ_ONLY, .type = &type_uint32,
      .offset = offsetof(HartArray, hartid_base), .description = "number of the first hart" },
    { .name = "num-harts", .when = PROPERTY_READ_ONLY, .type = &type_uint32, .offset = offsetof(HartArray, num_harts),
      .description = "how many harts there are" },
    { .name = "resetvec", .when = PROPERTY_READ_ONLY, .type = &type_uint64, .offset = offsetof(HartArray, resetvec),
      .description = "where they begin after a reset" },
    PROP_END,
};

static const StateField hart_array_fields[] = {
    STATE_FIELD_NOT_SAVED(HartArray, hartid_base, "a property"),
    STATE_FIELD_NOT_SAVED(HartArray, num_harts, "a property"),
    STATE_FIELD_NOT_SAVED(HartArray, resetvec, "a property"),
    STATE_FIELD_NOT_SAVED(HartArray, cpu_type, "a property"),
    STATE_FIELDS_END,
};

static const StateTable hart_array_state = {
    .name = "riscv.hart_array", .version = 1, .minimum_version = 1, .fields = hart_array_fields,
};

const DeviceClass hart_array_class = {
    .class = {
        .name = "riscv.hart_array",
        .parent = &sysbus_device_class.class,
        .description = "The harts of a RISC-V machine",
        .size = sizeof(HartArray),
        .properties = hart_array_properties,
    },
    .category = "CPU",
    .state = &hart_array_state,
};

static bool add_hart(Machine *machine, HartArray *array, unsigned index, Error **error)
{
    const char *model = machine->options.cpu_model;
    Vcpu *vcpu = vcpu_new(machine, model ? model : machine->guest->default_model, index, error);

    if (!vcpu) {
        return false;
    }
    AUTO_FREE char *name = string_format("harts[%u]", index);
    if (!device_realize(&vcpu->device, &array->device.object, name, NULL, error)) {
        return false;
    }
    const RiscvConfig *config = vcpu->cpu->config;
    array->resetvec = config->resetvec;
    if (!array->cpu_type) {
        array->cpu_type = string_copy(vcpu->device.object.class->name);
    }
    return true;
}

bool riscv_add_harts(Machine *machine, unsigned count, Error **error)
{
    HartArray *array = (HartArray *)device_new(machine, hart_array_class.class.name, NULL, error);

    if (!array || !device_realize(&array->device, &machine->object, "soc0", machine->system_bus, error)) {
        return false;
    }
    array->num_harts = count;
    for (unsigned i = 0; i < count; i++) {
        if (!add_hart(machine, array, i, error)) {
            return false;
        }
    }
    return true;
}

/* The device tree, after Linux's Documentation/devicetree/bindings/riscv/cpus.yaml and extensions.yaml. */

/* Linux uses the cache-block instructions with these alone. */
static void write_block_sizes(FdtWriter *fdt, const RiscvConfig *config)
{
    const struct {
        const char *name;
        bool present;
        uint32_t bytes;
    } sizes[] = { { "riscv,cbom-block-size", config->zicbom, config->cbom_blocksize },
                  { "riscv,cbop-block-size", config->zicbop, config->cbop_blocksize },
                  { "riscv,cboz-block-size", config->zicboz, config->cboz_blocksize } };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        if (sizes[i].present) {
            fdt_u32(fdt, sizes[i].name, sizes[i].bytes);
        }
    }
}

static void write_hart(FdtWriter *fdt, const Vcpu *vcpu, const RiscvHartHandles *handles)
{
    const RiscvConfig *config = vcpu->cpu->config;
    AUTO_FREE char *isa = riscv_isa_string(config);
    size_t size;
    AUTO_FREE char *extensions = riscv_isa_extensions(config, &size);
    const char *mmu_type = riscv_mmu_type(config);

    fdt_begin(fdt, "cpu@%x", vcpu->index);
    fdt_u32(fdt, "phandle", handles->cpu);
    fdt_text(fdt, "device_type", "cpu");
    fdt_u32(fdt, "reg", vcpu->index);
    fdt_text(fdt, "status", "okay");
    fdt_text(fdt, "compatible", "riscv");
    fdt_bytes(fdt, "riscv,isa-extensions", extensions, size);
    fdt_text(fdt, "riscv,isa-base", riscv_isa_base(config));
    fdt_text(fdt, "riscv,isa", isa);
    if (mmu_type) {
        fdt_text(fdt, "mmu-type", mmu_type);
    }
    write_block_sizes(fdt, config);
    fdt_begin(fdt, "interrupt-controller");
    fdt_u32(fdt, "#interrupt-cells", 1);
    fdt_empty(fdt, "interrupt-controller");
    fdt_text(fdt, "compatible", "riscv,cpu-intc");
    fdt_u32(fdt, "phandle", handles->interrupt_controller);
    fdt_end(fdt);
    fdt_end(fdt);
}

RiscvHartHandles *riscv_write_harts(Machine *machine, FdtWriter *fdt)
{
    size_t count = machine->vcpus.count;
    RiscvHartHandles *handles = mem_alloc_array(count, sizeof *handles);

    for (size_t i = count; i-- > 0;) {
        handles[i].cpu = fdt_phandle_new(fdt);
        handles[i].interrupt_controller = fdt_phandle_new(fdt);
    }
    fdt_begin(fdt, "cpus");
    fdt_u32(fdt, "#address-cells", 1);
    fdt_u32(fdt, "#size-cells", 0);
    fdt_u32(fdt, "timebase-frequency", (uint32_t)machine_timebase_hz(machine));
    for (size_t i = 0; i < count; i++) {
        write_hart(fdt, machine->vcpus.items[i], &handles[i]);
    }
    fdt_begin(fdt, "cpu-map");
    fdt_begin(fdt, "cluster0");
    for (size_t i = 0; i < count; i++) {
        fdt_begin(fdt, "core%zu", i);
        fdt_u32(fdt, "cpu", handles[i].cpu);
        fdt_end(fdt);
    }
    fdt_end(fdt);
    fdt_end(fdt);
    fdt_end(fdt);
    return handles;
}

/* Which counters can count what, after OpenSBI's docs/pmu_support.md: harts are alike. An event's number is what its
 * mhpmevent gets, so that there is no table of those. */
void riscv_write_counters(const Machine *machine, FdtWriter *fdt)
{
    const RiscvConfig *config = ((const Vcpu *)machine->vcpus.items[0])->cpu->config;
    const struct {
        uint32_t event, fixed;
    } events[] = { { 0x1, 1 << 0 }, { 0x2, 1 << 2 }, { 0x10019, 0 }, { 0x1001b, 0 }, { 0x10021, 0 } };
    uint32_t cells[3 * ARRAY_SIZE(events)], mask = config->zihpm ? config->pmu_mask : 0;

    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        cells[3 * i] = cells[3 * i + 1] = events[i].event;
        cells[3 * i + 2] = mask | events[i].fixed;
    }
    fdt_begin(fdt, "pmu");
    fdt_cells(fdt, "riscv,event-to-mhpmcounters", cells, ARRAY_SIZE(cells));
    fdt_text(fdt, "compatible", "riscv,pmu");
    fdt_end(fdt);
}
