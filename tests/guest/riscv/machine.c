#include "machine.h"

#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/vec.h"
#include "jit/host.h"
#include "object/object.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

enum {
    FINISHER = 0x100000,
    CLINT = 0x2000000,
    CLINT_MSIP = CLINT,
    CLINT_MTIMECMP = CLINT + 0x4000,
    CLINT_MTIME = CLINT + 0xbff8,
    LINE_MSIP = 3,
    LINE_MTIP = 7,
    SLICE = 2000, /* instructions between looks at the timers; at its end translated code does not run */
};

extern const Guest riscv32_guest, riscv64_guest;

static uint64_t bus_time(Cpu *cpu)
{
    TestMachine *machine = cpu->bus_data;
    return cpu->exec.insns + machine->time_skipped;
}

static void update_lines(TestMachine *machine)
{
    cpu_line_set(machine->cpu, LINE_MSIP, machine->software_interrupt);
    cpu_line_set(machine->cpu, LINE_MTIP, bus_time(machine->cpu) >= machine->mtimecmp);
}

static void bus_page(Cpu *cpu, uint64_t physical, unsigned page_bits, BusPage *page)
{
    TestMachine *machine = cpu->bus_data;
    uint64_t offset = physical - TEST_RAM_BASE;

    if (physical >= TEST_RAM_BASE && offset < TEST_RAM_SIZE) {
        *page = (BusPage){ machine->ram + offset, true, machine->ram, offset };
    } else if (physical - TEST_ROM_BASE < TEST_ROM_SIZE) {
        *page = (BusPage){ machine->rom, false, machine->rom, 0 };
    }
}

/* Part of a register of 64 bits. */
static uint64_t *clint_register(TestMachine *machine, uint64_t physical, uint64_t base, uint64_t *reg)
{
    return physical - base < 8 ? reg : NULL;
}

static AccessResult bus_read(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t *value)
{
    TestMachine *machine = cpu->bus_data;
    uint64_t time = bus_time(cpu);

    if (physical == CLINT_MSIP) {
        *value = machine->software_interrupt;
    } else if (clint_register(machine, physical, CLINT_MTIMECMP, &machine->mtimecmp)) {
        *value = machine->mtimecmp >> (physical & 7) * 8;
    } else if (clint_register(machine, physical, CLINT_MTIME, &time)) {
        *value = time >> (physical & 7) * 8;
    } else {
        return ACCESS_DECODE_ERROR;
    }
    return ACCESS_OK;
}

static AccessResult bus_write(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t value)
{
    TestMachine *machine = cpu->bus_data;

    if (physical == FINISHER) {
        machine->finished = true;
        machine->status = (uint32_t)value;
        cpu_stop(cpu);
    } else if (physical == CLINT_MSIP) {
        machine->software_interrupt = value & 1;
    } else if (physical - CLINT_MTIMECMP < 8) {
        machine->mtimecmp = bits_deposit(machine->mtimecmp, (physical & 7) * 8, size * 8, value);
    } else {
        return ACCESS_DECODE_ERROR;
    }
    update_lines(machine);
    return ACCESS_OK;
}

static void bus_timer_set(Cpu *cpu, unsigned timer, uint64_t deadline)
{
    ((TestMachine *)cpu->bus_data)->stimecmp = deadline;
}

static const CpuBus bus = {
    .page = bus_page,
    .read = bus_read,
    .write = bus_write,
    .time = bus_time,
    .timer_set = bus_timer_set,
};

static bool set_property(const Guest *guest, RiscvConfig *config, const char *text, Error **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "=", 2);

    for (const Property *row = guest->properties; row->name; row++) {
        if (!strcmp(row->name, parts[0])) {
            guest->config_given(config, row);
            return type_from_text(row->type, parts[1], (char *)config + row->offset, error);
        }
    }
    return error_set(error, "no property %s", parts[0]);
}

static const GuestModel *find_model(const Guest *guest, const char *name)
{
    for (const GuestModel *model = guest->models; model->name; model++) {
        if (!strcmp(model->name, name)) {
            return model;
        }
    }
    return NULL;
}

bool test_config(const char *model_and_properties, const Guest **guest, RiscvConfig *config, Error **error)
{
    g_auto(GStrv) parts = g_strsplit(model_and_properties, ",", -1);

    bool is_32 = !strcmp(parts[0], "max32"); /* ours alone: RV32's max */
    const GuestModel *model = find_model(is_32 ? &riscv32_guest : &riscv64_guest, is_32 ? "max" : parts[0]);
    *guest = model && !is_32 ? &riscv64_guest : &riscv32_guest;
    model = model ? model : find_model(&riscv32_guest, parts[0]);
    g_assert_nonnull(model);
    *config = (RiscvConfig){ 0 };
    (*guest)->config_init(model, config);
    for (char **part = parts + 1; *part; part++) {
        if (!set_property(*guest, config, *part, error)) {
            return false;
        }
    }
    return (*guest)->config_check(model, config, error);
}

TestMachine *test_machine_new(const char *model_and_properties)
{
    TestMachine *machine = NEW(TestMachine);
    AUTO_ERROR(error);
    const Guest *guest;
    RiscvConfig config;

    if (!test_config(model_and_properties, &guest, &config, &error)) {
        g_error("%s: %s", model_and_properties, error_message(error));
    }
    config.resetvec = TEST_RAM_BASE;
    machine->ram = mem_alloc0(TEST_RAM_SIZE);
    machine->rom = mem_alloc0(TEST_ROM_SIZE);
    machine->mtimecmp = machine->stimecmp = UINT64_MAX;
    machine->group = cpu_group_new();
#ifdef __x86_64__
    const char *engine = getenv("MYNA_TEST_ENGINE");
    if (engine && !strcmp(engine, "tcg")) {
        cpu_group_set_engine(machine->group, &(CpuEngine){ .host = &x64_host, .code_bytes = 8 * MIB });
    }
#endif
    machine->cpu = cpu_new(guest, &config, 0, machine->group, &bus, machine, NULL, &error);
    g_assert_nonnull(machine->cpu);
    return machine;
}

void test_machine_free(TestMachine *machine)
{
    cpu_free(machine->cpu);
    cpu_group_free(machine->group);
    free(machine->ram);
    free(machine->rom);
    free(machine);
}

static void look_at_timers(TestMachine *machine)
{
    if (bus_time(machine->cpu) >= machine->stimecmp) {
        cpu_kick(machine->cpu, CPU_ATTENTION_TIMER);
    }
    update_lines(machine);
}

/* The next deadline, if there is one. */
static bool skip_time(TestMachine *machine)
{
    uint64_t deadline = MIN(machine->mtimecmp, machine->stimecmp), now = bus_time(machine->cpu);

    if (deadline != UINT64_MAX && deadline > now) {
        machine->time_skipped += deadline - now;
    }
    return deadline != UINT64_MAX;
}

void test_machine_run(TestMachine *machine, uint64_t limit)
{
    for (uint64_t used = 0; !machine->finished && used < limit; used += SLICE) {
        CpuExit exit = cpu_run(machine->cpu, SLICE);
        if (exit == CPU_EXIT_HALTED && !skip_time(machine)) {
            break;
        }
        look_at_timers(machine);
    }
}

void test_machine_write(TestMachine *machine, uint64_t address, const void *bytes, size_t count)
{
    g_assert_cmpuint(address, >=, TEST_RAM_BASE);
    g_assert_cmpuint(address + count, <=, TEST_RAM_BASE + TEST_RAM_SIZE);
    memcpy(machine->ram + (address - TEST_RAM_BASE), bytes, count);
}
