/*
 * RISC-V ACLINT: software interrupts between harts ("riscv.aclint.swi") and the machine timer ("riscv.aclint.mtimer").
 *
 * After the RISC-V Advanced Core Local Interruptor Specification 1.0-rc4: MSWI and SSWI devices, MTIMER with one
 * MTIMECMP a hart. An MSWI at 0 and an MTIMER at 0x4000 behind it are SiFive's CLINT.
 *
 * The time that MTIME shows is the machine's timebase, the same for every hart and for the `time` CSR.
 */
#include "api/type.h"
#include "base/error.h"
#include "core/device.h"
#include "core/fdt.h"
#include "core/machine.h"
#include "core/vcpu.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    MAXIMUM_HARTS = 4095, /* of one device */
    SWI_SIZE = 0x4000,
};

/* Both kinds have an interrupt output for each hart. */
typedef struct Aclint {
    Device device;
    uint32_t hartid_base, num_harts;
    Irq **irqs;
} Aclint;

static bool check_num_harts(Object *object, const Property *property, Error **error)
{
    uint32_t harts = ((Aclint *)object)->num_harts;

    return (harts >= 1 && harts <= MAXIMUM_HARTS) ||
           error_set(error, "'num-harts' expects an integer from 1 to %d", MAXIMUM_HARTS);
}

static void aclint_init_outputs(Device *device)
{
    Aclint *aclint = (Aclint *)device;

    aclint->irqs = mem_alloc0(aclint->num_harts * sizeof *aclint->irqs);
    device_init_irq_outputs(device, "", aclint->irqs, aclint->num_harts);
}

static void aclint_finalize(Object *object) { free(((Aclint *)object)->irqs); }

static uint32_t hart_count(const Device *device, const Register *reg) { return ((const Aclint *)device)->num_harts; }

#define ACLINT_NOT_SAVED(struct_) \
    STATE_FIELD_NOT_SAVED(struct_, aclint.hartid_base, "a property"), \
    STATE_FIELD_NOT_SAVED(struct_, aclint.num_harts, "a property"), \
    STATE_FIELD_NOT_SAVED(struct_, aclint.irqs, "handles; settle drives them")

#define ACLINT_PROPERTIES(struct_) \
    PROP("hartid-base", type_uint32, struct_, aclint.hartid_base, "0", "number of the first hart"), \
    { .name = "num-harts", .type = &type_uint32, .offset = offsetof(struct_, aclint.num_harts), .default_text = "1", \
      .check = check_num_harts, .description = "how many harts it serves" }

/* Software interrupts */

typedef struct AclintSwi {
    Aclint aclint;
    uint32_t sswi; /* property: to S-mode, by edges; else to M-mode, by level */
    uint32_t msip[MAXIMUM_HARTS];
} AclintSwi;

static AclintSwi *swi_of(Device *device) { return (AclintSwi *)device; }
static bool is_sswi(const Device *device, const Register *reg) { return ((const AclintSwi *)device)->sswi; }
static bool is_mswi(const Device *device, const Register *reg) { return !is_sswi(device, reg); }

static AccessResult msip_written(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    unsigned hart = register_index(reg, access);

    irq_set(swi_of(device)->aclint.irqs[hart], swi_of(device)->msip[hart]);
    return ACCESS_OK;
}

static AccessResult setssip_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    if (value & 1) {
        irq_pulse(swi_of(device)->aclint.irqs[register_index(reg, access)]);
    }
    return ACCESS_OK;
}

static const Register swi_registers[] = {
    REG_ARRAY(AclintSwi, MSIP, 0, msip, .count_of = hart_count, .present = is_mswi, .writable = 1,
              .written = msip_written),
    REG_HOOK(SETSSIP, 0, .count = MAXIMUM_HARTS, .count_of = hart_count, .present = is_sswi, .write_only = true,
             .write = setssip_write),
};

static const RegisterBank swi_banks[] = {
    { .name = "riscv.aclint.swi", .size = SWI_SIZE, .registers = swi_registers, .count = ARRAY_SIZE(swi_registers),
      .valid_minimum = 4, .valid_maximum = 4 },
};

static const StateField swi_state_fields[] = {
    ACLINT_NOT_SAVED(AclintSwi),
    STATE_FIELD_NOT_SAVED(AclintSwi, sswi, "a property"),
    STATE_FIELDS_END,
};

static const StateTable swi_state_table = {
    .name = "riscv.aclint.swi", .version = 1, .minimum_version = 1, .fields = swi_state_fields,
};

static bool swi_realize(Device *device, Error **error)
{
    aclint_init_outputs(device);
    return true;
}

static void swi_settle(Device *device)
{
    AclintSwi *swi = swi_of(device);

    for (unsigned hart = 0; hart < swi->aclint.num_harts; hart++) {
        irq_set(swi->aclint.irqs[hart], swi->msip[hart]);
    }
}

static void swi_write_fdt(Device *device, FdtWriter *fdt)
{
    const Placement *placement = &device->placement;
    bool sswi = swi_of(device)->sswi;

    fdt_begin(fdt, "%s@%" PRIx64, sswi ? "sswi" : "mswi", placement->addresses[0]);
    fdt_text(fdt, "compatible", sswi ? "riscv,aclint-sswi" : "riscv,aclint-mswi");
    fdt_reg(fdt, (const uint64_t[]){ placement->addresses[0], placement->sizes[0] }, 1);
    fdt_cells(fdt, "interrupts-extended", placement->extended, placement->extended_count);
    fdt_empty(fdt, "interrupt-controller");
    fdt_u32(fdt, "#interrupt-cells", 0);
    fdt_end(fdt);
}

static const Property swi_properties[] = {
    ACLINT_PROPERTIES(AclintSwi),
    PROP("sswi", type_uint32, AclintSwi, sswi, "0", "1: supervisor software interrupts, else machine ones"),
    PROP_END,
};

const DeviceClass aclint_swi_class = {
    .class = {
        .name = "riscv.aclint.swi",
        .parent = &sysbus_device_class.class,
        .description = "RISC-V ACLINT software interrupts",
        .size = sizeof(AclintSwi),
        .properties = swi_properties,
        .finalize = aclint_finalize,
    },
    .category = "Misc",
    .interrupt_controller = true,
    .banks = swi_banks,
    .bank_count = ARRAY_SIZE(swi_banks),
    .state = &swi_state_table,
    .realize = swi_realize,
    .settle = swi_settle,
    .write_fdt = swi_write_fdt,
};

/* Timer */

typedef struct MtimerHart {
    struct AclintMtimer *mtimer;
    unsigned index;
    Timer timer;
} MtimerHart;

typedef struct AclintMtimer {
    Aclint aclint;
    uint32_t timecmp_base, time_base, aperture_size, timebase_freq; /* properties */
    MtimerHart *harts;
    uint64_t mtimecmp[MAXIMUM_HARTS];
} AclintMtimer;

static AclintMtimer *mtimer_of(Device *device) { return (AclintMtimer *)device; }

/* Raises the interrupt, or sets the timer to the moment when it is due. */
static void compare(AclintMtimer *mtimer, unsigned hart)
{
    Machine *machine = mtimer->aclint.device.machine;
    bool due = machine_timebase_now(machine) >= mtimer->mtimecmp[hart];
    int64_t deadline = due ? INT64_MAX : machine_timebase_deadline(machine, mtimer->mtimecmp[hart]);

    if (deadline == INT64_MAX) {
        timer_cancel(&mtimer->harts[hart].timer);
    } else {
        timer_set(&mtimer->harts[hart].timer, deadline);
    }
    irq_set(mtimer->aclint.irqs[hart], due);
}

static void compare_all(AclintMtimer *mtimer)
{
    for (unsigned hart = 0; hart < mtimer->aclint.num_harts; hart++) {
        compare(mtimer, hart);
    }
}

static void mtimer_expired(void *data)
{
    MtimerHart *hart = data;

    compare(hart->mtimer, hart->index);
}

static AccessResult mtimecmp_written(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    compare(mtimer_of(device), register_index(reg, access));
    return ACCESS_OK;
}

static AccessResult mtime_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    *value = machine_timebase_now(device->machine);
    return ACCESS_OK;
}

static AccessResult mtime_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    /* A half of it leaves the other as it runs. */
    uint64_t written = mask_bits(8 * access->size) << 8 * access->address;

    machine_timebase_set(device->machine, (machine_timebase_now(device->machine) & ~written) | (value & written));
    compare_all(mtimer_of(device));
    return ACCESS_OK;
}

static const Register mtimecmp_registers[] = {
    REG_ARRAY(AclintMtimer, MTIMECMP, 0, mtimecmp, .size = 8, .count_of = hart_count, .writable = UINT64_MAX,
              .reset = UINT64_MAX, .written = mtimecmp_written),
};
static const Register mtime_registers[] = {
    REG_HOOK(MTIME, 0, .size = 8, .read = mtime_read, .write = mtime_write),
};

static uint64_t aperture_size(const Device *device) { return MAX(((const AclintMtimer *)device)->aperture_size, 8); }
static uint64_t mtimecmp_size(const Device *device) { return ((const Aclint *)device)->num_harts * UINT64_C(8); }

/* The aperture reads as zero where nothing else is. */
enum { BANK_APERTURE, BANK_MTIMECMP, BANK_MTIME };
static const RegisterBank mtimer_banks[] = {
    [BANK_APERTURE] = { .name = "riscv.aclint.mtimer", .size_of = aperture_size, .valid_minimum = 4 },
    [BANK_MTIMECMP] = { .name = "mtimecmp", .size_of = mtimecmp_size, .registers = mtimecmp_registers,
                        .count = ARRAY_SIZE(mtimecmp_registers), .valid_minimum = 4 },
    [BANK_MTIME] = { .name = "mtime", .size = 8, .registers = mtime_registers, .count = ARRAY_SIZE(mtime_registers),
                     .valid_minimum = 4 },
};

static const StateField mtimer_state_fields[] = {
    ACLINT_NOT_SAVED(AclintMtimer),
    STATE_FIELD_NOT_SAVED(AclintMtimer, timecmp_base, "a property"),
    STATE_FIELD_NOT_SAVED(AclintMtimer, time_base, "a property"),
    STATE_FIELD_NOT_SAVED(AclintMtimer, aperture_size, "a property"),
    STATE_FIELD_NOT_SAVED(AclintMtimer, timebase_freq, "a property"),
    STATE_FIELD_NOT_SAVED(AclintMtimer, harts, "settle sets the timers from mtimecmp"),
    STATE_FIELDS_END,
};

static const StateTable mtimer_state_table = {
    .name = "riscv.aclint.mtimer", .version = 1, .minimum_version = 1, .fields = mtimer_state_fields,
};

static bool check_aperture(const AclintMtimer *mtimer, Error **error)
{
    uint64_t size = mtimer->aperture_size;

    if (mtimer->time_base % 8 || mtimer->timecmp_base % 8) {
        return error_set(error, "'time-base' and 'timecmp-base' must be multiples of 8");
    }
    if (mtimer->time_base + UINT64_C(8) > size ||
        mtimer->timecmp_base + mtimecmp_size(&mtimer->aclint.device) > size) {
        return error_set(error, "'aperture-size' 0x%" PRIx64 " is too small for %u harts at 0x%x and the time at 0x%x",
                         size, mtimer->aclint.num_harts, mtimer->timecmp_base, mtimer->time_base);
    }
    return true;
}

static bool check_timebase(const AclintMtimer *mtimer, Error **error)
{
    uint64_t hz = machine_timebase_hz(mtimer->aclint.device.machine);

    if (mtimer->timebase_freq && mtimer->timebase_freq != hz) {
        return error_set(error, "'timebase-freq' must be the machine's, %" PRIu64, hz);
    }
    return true;
}

static void mtimer_init_timers(AclintMtimer *mtimer)
{
    Device *device = &mtimer->aclint.device;

    mtimer->harts = mem_alloc0(mtimer->aclint.num_harts * sizeof *mtimer->harts);
    for (unsigned i = 0; i < mtimer->aclint.num_harts; i++) {
        mtimer->harts[i] = (MtimerHart){ .mtimer = mtimer, .index = i };
        timer_init(&mtimer->harts[i].timer, device->machine->clocks, CLOCK_VIRTUAL, device->lock, mtimer_expired,
                   &mtimer->harts[i]);
    }
}

static bool mtimer_realize(Device *device, Error **error)
{
    AclintMtimer *mtimer = mtimer_of(device);

    if (!check_aperture(mtimer, error) || !check_timebase(mtimer, error)) {
        return false;
    }
    aclint_init_outputs(device);
    mtimer_init_timers(mtimer);
    Region **regions = device->regions.items;
    region_map(regions[BANK_APERTURE], mtimer->timecmp_base, regions[BANK_MTIMECMP], 0);
    region_map(regions[BANK_APERTURE], mtimer->time_base, regions[BANK_MTIME], 0);
    return true;
}

static void mtimer_unrealize(Device *device)
{
    AclintMtimer *mtimer = mtimer_of(device);

    for (unsigned i = 0; i < mtimer->aclint.num_harts; i++) {
        timer_destroy(&mtimer->harts[i].timer);
    }
    free(mtimer->harts);
    mtimer->harts = NULL;
}

static void mtimer_reset(Device *device, ResetKind kind) { machine_timebase_set(device->machine, 0); }
static void mtimer_settle(Device *device) { compare_all(mtimer_of(device)); }

static void mtimer_write_fdt(Device *device, FdtWriter *fdt)
{
    const AclintMtimer *mtimer = mtimer_of(device);
    const Placement *placement = &device->placement;
    uint64_t time = placement->addresses[0] + mtimer->time_base;
    uint64_t timecmp = placement->addresses[0] + mtimer->timecmp_base;

    fdt_begin(fdt, "mtimer@%" PRIx64, placement->addresses[0]);
    fdt_text(fdt, "compatible", "riscv,aclint-mtimer");
    fdt_reg(fdt, (const uint64_t[]){ time, 8, timecmp, mtimecmp_size(device) }, 2);
    fdt_cells(fdt, "interrupts-extended", placement->extended, placement->extended_count);
    fdt_end(fdt);
}

static const Property mtimer_properties[] = {
    ACLINT_PROPERTIES(AclintMtimer),
    PROP("aperture-size", type_uint32, AclintMtimer, aperture_size, "32768", "bytes of the whole device"),
    PROP("time-base", type_uint32, AclintMtimer, time_base, "32760", "offset of MTIME"),
    PROP("timebase-freq", type_uint32, AclintMtimer, timebase_freq, "0", "ticks a second; 0: the machine's"),
    PROP("timecmp-base", type_uint32, AclintMtimer, timecmp_base, "0", "offset of the first MTIMECMP"),
    PROP_END,
};

const DeviceClass aclint_mtimer_class = {
    .class = {
        .name = "riscv.aclint.mtimer",
        .parent = &sysbus_device_class.class,
        .description = "RISC-V ACLINT machine timer",
        .size = sizeof(AclintMtimer),
        .properties = mtimer_properties,
        .finalize = aclint_finalize,
    },
    .category = "Misc",
    .interrupt_controller = true,
    .banks = mtimer_banks,
    .bank_count = ARRAY_SIZE(mtimer_banks),
    .state = &mtimer_state_table,
    .realize = mtimer_realize,
    .unrealize = mtimer_unrealize,
    .reset = mtimer_reset,
    .settle = mtimer_settle,
    .write_fdt = mtimer_write_fdt,
};
