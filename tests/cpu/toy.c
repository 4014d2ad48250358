#include "toy.h"

#include "fake_host.h"

#include "base/bytes.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "cpu/translator.h"

#include <inttypes.h>
#include <stdlib.h>

enum { R_PC = 16, R_VECTOR };
enum { H_RAISE, H_SYSTEM, H_SUM6 };

#define REGISTER(n) { "r" #n, offsetof(ToyState, r[n]), 64, 0, 0 }
static const GuestRegister registers[] = {
    REGISTER(0),  REGISTER(1),  REGISTER(2),
    REGISTER(3),  REGISTER(4),  REGISTER(5),
    REGISTER(6),  REGISTER(7),  REGISTER(8),
    REGISTER(9),  REGISTER(10), REGISTER(11),
    REGISTER(12), REGISTER(13), REGISTER(14),
    REGISTER(15), { "pc", offsetof(ToyState, pc), 64, 0, 0 }, { "vector", offsetof(ToyState, vector), 64, 0, 0 },
};

static uint64_t help_raise(Cpu *cpu, uint64_t code, uint64_t value, uint64_t unused)
{
    cpu_raise(cpu, (uint32_t)code, value);
    return 0;
}

static uint64_t help_system(Cpu *cpu, uint64_t what, uint64_t unused1, uint64_t unused2)
{
    ToyState *s = cpu_state(cpu);
    ToyMachine *machine = cpu->bus_data;

    switch (what) {
    case TOY_RETURN:
        s->pc = s->epc;
        s->status = s->status & TOY_INTERRUPTS_BEFORE ? TOY_INTERRUPTS : 0;
        break;
    case TOY_INTERRUPTS_ON:
        s->status |= TOY_INTERRUPTS;
        break;
    case TOY_INTERRUPTS_OFF:
        s->status &= ~(uint64_t)TOY_INTERRUPTS;
        break;
    case TOY_FLUSH:
        cpu_tlb_flush(cpu, UINT32_MAX);
        break;
    case TOY_FLUSH_GROUP:
        cpu_group_tlb_flush(machine->group);
        break;
    case TOY_READ_CAUSE:
        s->r[1] = s->cause;
        s->r[2] = s->value;
        s->r[3] = s->epc;
        break;
    case TOY_COUNT:
        if (cpu_count(cpu)) {
            s->r[1] = cpu->exec.insns;
        }
        break;
    case TOY_POWER_OFF:
        cpu_power_off(cpu);
        break;
    case TOY_SWITCH_MODE:
        s->mode ^= 1;
        break;
    default:
        abort();
    }
    return 0;
}

static uint64_t help_sum6(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f;
}

static const Helper helpers[] = {
    [H_RAISE] = { "raise", help_raise, NULL, HELPER_RAISES },
    [H_SYSTEM] = { "system", help_system, NULL, HELPER_READS | HELPER_WRITES | HELPER_RAISES },
    [H_SUM6] = { "sum6", NULL, help_sum6, HELPER_PURE },
};

/* Translation. */

static void emit_raise(IrBuilder *b, unsigned code, IrRef value)
{
    ir_call(b, H_RAISE, IR_VOID, (const IrRef[]){ ir_const(b, IR_I32, code), value }, 2);
}

static void translate_system(Translator *t, unsigned what, uint64_t next)
{
    static const uint8_t exits[] = {
        [TOY_HALT] = IR_EXIT_HALT,
        [TOY_CODE_CHANGED] = IR_EXIT_CODE,
        [TOY_BREAK] = IR_EXIT_DEBUG,
        [TOY_YIELD] = IR_EXIT_YIELD,
    };
    IrBuilder *b = &t->ir;

    t->ended = true;
    if (what == TOY_SYSCALL) {
        emit_raise(b, TOY_E_SYSCALL, ir_get(b, IR_I64, 1));
        ir_exit(b, IR_EXIT_EXCEPTION);
        return;
    }
    if (what == TOY_SUM6) {
        IrRef arguments[6];
        for (unsigned i = 0; i < 6; i++) {
            arguments[i] = ir_get(b, IR_I64, i + 1);
        }
        ir_set(b, 1, ir_call(b, H_SUM6, IR_I64, arguments, 6));
        t->ended = false;
        return;
    }
    if (what != TOY_BREAK) {
        ir_set(b, R_PC, ir_const(b, IR_I64, next));
    }
    if (what == TOY_HALT || what == TOY_CODE_CHANGED || what == TOY_BREAK || what == TOY_YIELD) {
        ir_exit(b, exits[what]);
        return;
    }
    ir_call(b, H_SYSTEM, IR_VOID, (const IrRef[]){ ir_const(b, IR_I64, what) }, 1);
    ir_exit(b, IR_EXIT_RECHECK);
}

static void translate_branch(Translator *t, IrCondition condition, unsigned x, unsigned y, uint64_t target,
                             uint64_t next)
{
    IrBuilder *b = &t->ir;
    unsigned taken = ir_label_new(b);

    ir_branch(b, ir_compare(b, condition, IR_I64, ir_get(b, IR_I64, x), ir_get(b, IR_I64, y)), taken);
    ir_goto(b, next);
    ir_label(b, taken);
    ir_goto(b, target);
    t->ended = true;
}

static void translate_access(Translator *t, unsigned op, unsigned x, unsigned y, int i)
{
    IrBuilder *b = &t->ir;
    MemOp mem = (MemOp)((i & 3) | (i & 4 ? MEM_SIGNED : 0) | (i & 8 ? MEM_ALIGNED : 0));

    mem |= op == TOY_LOADB || op == TOY_STOREB ? MEM_BIG_ENDIAN : 0;
    if (op == TOY_LOAD || op == TOY_LOADB) {
        ir_set(b, x, ir_load(b, IR_I64, mem, ir_get(b, IR_I64, y), i >> 4));
    } else {
        ir_store(b, mem, ir_get(b, IR_I64, y), i >> 4, ir_get(b, IR_I64, x));
    }
}

static void translate_cas(IrBuilder *b, unsigned x, IrRef address, unsigned z)
{
    IrRef expected = ir_binary(b, IR_OP_pair, IR_I128, ir_get(b, IR_I64, z), ir_get(b, IR_I64, (z + 1) % 16));
    IrRef wanted = ir_binary(b, IR_OP_pair, IR_I128, ir_get(b, IR_I64, (z + 2) % 16), ir_get(b, IR_I64, (z + 3) % 16));
    IrRef before = ir_atomic(b, IR_OP_atomic_cas, IR_I128, MEM_128 | MEM_ALIGNED, address, wanted, expected);

    ir_set(b, x, ir_trunc(b, IR_I64, before));
    ir_set(b, (x + 1) % 16, ir_unary(b, IR_OP_high, IR_I64, before));
}

static void translate_atomic(Translator *t, unsigned op, unsigned x, unsigned y, unsigned z)
{
    IrBuilder *b = &t->ir;
    IrRef address = ir_get(b, IR_I64, y), value = op == TOY_LR || op == TOY_LOAD16 ? 0 : ir_get(b, IR_I64, z);
    IrRef wide;

    switch (op) {
    case TOY_AMOADD:
        ir_set(b, x, ir_atomic(b, IR_OP_atomic_add, IR_I64, MEM_64 | MEM_ALIGNED | MEM_ACQ_REL, address, value, 0));
        break;
    case TOY_AMOADD4:
        ir_set(b, x, ir_atomic(b, IR_OP_atomic_add, IR_I64, MEM_32 | MEM_SIGNED, address, value, 0));
        break;
    case TOY_LR:
        ir_set(b, x, ir_atomic(b, IR_OP_load_linked, IR_I64, MEM_64 | MEM_ALIGNED, address, 0, 0));
        break;
    case TOY_SC:
        ir_set(b, x, ir_atomic(b, IR_OP_store_conditional, IR_I64, MEM_64 | MEM_ALIGNED, address, value, 0));
        break;
    case TOY_LOAD16:
        wide = ir_load(b, IR_I128, MEM_128 | MEM_ATOMIC, address, 0);
        ir_set(b, x, ir_trunc(b, IR_I64, wide));
        ir_set(b, (x + 1) % 16, ir_unary(b, IR_OP_high, IR_I64, wide));
        break;
    default:
        translate_cas(b, x, address, z);
        break;
    }
}

static void translate_sum(Translator *t, unsigned op, unsigned x, unsigned y, int i)
{
    IrBuilder *b = &t->ir;
    IrRef left = ir_get(b, IR_I64, op == TOY_SHL ? x : y), result;

    if (op == TOY_ADD) {
        result = ir_binary(b, IR_OP_add, IR_I64, left, ir_get(b, IR_I64, (unsigned)i & 15));
    } else if (op == TOY_ADDI) {
        result = ir_binary_const(b, t->mode ? IR_OP_sub : IR_OP_add, IR_I64, left, (uint64_t)(int64_t)i);
    } else {
        result = ir_binary_const(b, IR_OP_shl, IR_I64, left, 16);
        result = ir_binary_const(b, IR_OP_or, IR_I64, result, (uint16_t)i);
    }
    ir_set(b, x, result);
}

static void translate_jump(Translator *t, unsigned op, unsigned x, unsigned y, int i, uint64_t pc)
{
    IrBuilder *b = &t->ir;
    uint64_t next = pc + 4, target = pc + (uint64_t)(int64_t)i * 2;

    t->ended = true;
    if (op == TOY_CALL) {
        ir_set(b, x, ir_const(b, IR_I64, next));
        ir_push_return(b, next);
        ir_goto(b, target);
    } else if (op == TOY_JUMP) {
        IrRef to = ir_binary_const(b, IR_OP_add, IR_I64, ir_get(b, IR_I64, y), (uint64_t)(int64_t)i);
        ir_goto_value(b, to, IR_JUMP_PLAIN);
    } else {
        translate_branch(t, op == TOY_BEQ ? IR_EQ : IR_NE, x, y, target, next);
    }
}

static void toy_translate(Translator *t)
{
    uint8_t bytes[4];

    if (!translator_fetch(t, t->pc, bytes, 4)) {
        return;
    }
    uint32_t code = load_le32(bytes);
    unsigned op = code & 0xff, x = code >> 8 & 15, y = code >> 12 & 15, z = code >> 16 & 15;
    int i = (int16_t)(code >> 16);
    uint64_t pc = t->pc;

    ir_insn(&t->ir, pc, 4);
    t->pc += 4;
    if (op <= TOY_SHL) {
        translate_sum(t, op, x, y, i);
    } else if (op <= TOY_STOREB) {
        translate_access(t, op, x, y, i);
    } else if (op <= TOY_CALL) {
        translate_jump(t, op, x, y, i, pc);
    } else if (op == TOY_SYSTEM && (unsigned)i < TOY_SYSTEM_COUNT) {
        translate_system(t, (unsigned)i, pc + 4);
    } else if (op < TOY_OPS && op != TOY_SYSTEM) {
        translate_atomic(t, op, x, y, z);
    } else {
        emit_raise(&t->ir, TOY_E_ILLEGAL, ir_const(&t->ir, IR_I64, code));
        ir_exit(&t->ir, IR_EXIT_EXCEPTION);
        t->ended = true;
    }
}

/* The rest of the guest. */

static bool toy_walk(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mmu_mode, bool probe, MmuResult *result)
{
    ToyMachine *machine = cpu->bus_data;
    uint64_t page = address / TOY_PAGE < TOY_PAGES ? machine->pages[address / TOY_PAGE] : 0;
    bool small = page & TOY_SMALL;

    machine->walks += access != MMU_EXECUTE;
    if (!(page & BIT(access)) || (small && address & 16)) {
        if (!probe) {
            cpu_raise(cpu, TOY_E_FETCH + (access == MMU_READ ? 1 : access == MMU_WRITE ? 2 : 0), address);
        }
        return false;
    }
    *result = (MmuResult){
        .physical = align_down(page, TOY_PAGE) + address % TOY_PAGE,
        .global = page & TOY_GLOBAL,
        .page_bits = small ? 4 : page & TOY_LARGE ? 16 : 12,
        .permissions = page & 7,
        .attributes = 7,
    };
    return true;
}

static void toy_bus_error(Cpu *cpu, uint64_t address, uint64_t physical, MmuAccess access)
{
    cpu_raise(cpu, TOY_E_BUS_FETCH + (access == MMU_READ ? 1 : access == MMU_WRITE ? 2 : 0), address);
}

static void toy_misaligned(Cpu *cpu, uint64_t address, MmuAccess access)
{
    cpu_raise(cpu, access == MMU_WRITE ? TOY_E_ALIGN_WRITE : TOY_E_ALIGN_READ, address);
}

static void enter_handler(ToyState *s, uint64_t cause, uint64_t value)
{
    s->epc = s->pc;
    s->cause = cause;
    s->value = value;
    s->status = s->status & TOY_INTERRUPTS ? TOY_INTERRUPTS_BEFORE : 0;
    s->pc = s->vector;
}

static void toy_deliver(Cpu *cpu)
{
    enter_handler(cpu_state(cpu), cpu->exec.exception.code, cpu->exec.exception.value);
}

static bool toy_interrupt(Cpu *cpu)
{
    ToyState *s = cpu_state(cpu);
    uint64_t lines = atomic_load(&cpu->lines);

    if (!lines || !(s->status & TOY_INTERRUPTS)) {
        return false;
    }
    enter_handler(s, TOY_E_INTERRUPT + (unsigned)__builtin_ctzll(lines), 0);
    return true;
}

static void toy_reset(Cpu *cpu)
{
    ToyState *s = cpu_state(cpu);
    *s = (ToyState){ .pc = 0x1000, .vector = 0x100 };
}

static bool toy_has_work(const Cpu *cpu) { return atomic_load(&cpu->lines) != 0; }
static uint64_t toy_mode(const Cpu *cpu) { return ((ToyState *)cpu_state(cpu))->mode; }
static unsigned toy_fetch_mmu_mode(const Cpu *cpu) { return 0; }
static uint64_t toy_space(const Cpu *cpu) { return ((ToyMachine *)cpu->bus_data)->space; }
static uint64_t toy_pc(const Cpu *cpu) { return ((ToyState *)cpu_state(cpu))->pc; }
static void toy_set_pc(Cpu *cpu, uint64_t pc) { ((ToyState *)cpu_state(cpu))->pc = pc; }

static void toy_timer(Cpu *cpu, unsigned timer)
{
    ToyMachine *machine = cpu->bus_data;
    machine->timer_calls++;
    atomic_fetch_or(&cpu->lines, BIT(timer));
}

static unsigned toy_disassemble(const Cpu *cpu, uint64_t pc, const uint8_t *bytes, unsigned count, StrBuf *buffer)
{
    if (count < 4) {
        return 0;
    }
    strbuf_printf(buffer, "op %u", bytes[0]);
    return 4;
}

static void toy_print_registers(const Cpu *cpu, bool with_fp, StrBuf *buffer)
{
    const ToyState *s = cpu_state(cpu);
    strbuf_printf(buffer, "pc %" PRIx64 " r1 %" PRIx64 "\n", s->pc, s->r[1]);
}

const Guest toy_guest = {
    .ir = {
        .name = "toy",
        .registers = registers,
        .register_count = ARRAY_SIZE(registers),
        .pc_register = R_PC,
        .helpers = helpers,
        .helper_count = ARRAY_SIZE(helpers),
    },
    .target = "toy",
    .word_bits = 64,
    .page_bits = 12,
    .state_size = sizeof(ToyState),
    .reset = toy_reset,
    .mode = toy_mode,
    .fetch_mmu_mode = toy_fetch_mmu_mode,
    .space = toy_space,
    .spaced_modes = UINT32_MAX,
    .pc = toy_pc,
    .set_pc = toy_set_pc,
    .translate = toy_translate,
    .walk = toy_walk,
    .bus_error = toy_bus_error,
    .misaligned = toy_misaligned,
    .deliver = toy_deliver,
    .interrupt = toy_interrupt,
    .has_work = toy_has_work,
    .timer = toy_timer,
    .disassemble = toy_disassemble,
    .print_registers = toy_print_registers,
};

const Guest *const guests[] = { &toy_guest };
const size_t guest_count = 1;

/* The machine. */

static void bus_page(Cpu *cpu, uint64_t physical, unsigned page_bits, BusPage *page)
{
    ToyMachine *machine = cpu->bus_data;

    if (physical < TOY_RAM) {
        *page = (BusPage){ machine->ram + physical, !machine->read_only, machine->ram, physical };
    }
}

static void record(ToyMachine *machine, uint64_t address, unsigned size, bool write, uint64_t value)
{
    unsigned index = machine->io_count++ % ARRAY_SIZE(machine->io_address);

    machine->io_address[index] = address | (uint64_t)size << 56 | (write ? BIT(63) : 0);
    machine->io_value[index] = value;
}

static AccessResult bus_read(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t *value)
{
    ToyMachine *machine = cpu->bus_data;

    if (physical < TOY_RAM) {
        *value = load_le(machine->ram + physical, size);
        return ACCESS_OK;
    }
    if (physical - TOY_IO >= TOY_PAGE) {
        return ACCESS_DECODE_ERROR;
    }
    *value = UINT64_C(0x88776655443322ff) & mask_bits(size * 8);
    record(machine, physical, size, false, *value);
    return ACCESS_OK;
}

static AccessResult bus_write(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t value)
{
    ToyMachine *machine = cpu->bus_data;

    if (physical < TOY_RAM) {
        store_le(machine->ram + physical, size, value);
        return ACCESS_OK;
    }
    if (physical - TOY_IO >= TOY_PAGE) {
        return ACCESS_DECODE_ERROR;
    }
    record(machine, physical, size, true, value);
    return ACCESS_OK;
}

static uint64_t bus_time(Cpu *cpu)
{
    return ((ToyMachine *)cpu->bus_data)->time;
}

static void bus_timer_set(Cpu *cpu, unsigned timer, uint64_t deadline)
{
    ((ToyMachine *)cpu->bus_data)->deadline = deadline;
}

static const CpuBus bus = { bus_page, bus_read, bus_write, bus_time, bus_timer_set };

static bool environment_is(const char *name, const char *value)
{
    return getenv(name) && !strcmp(getenv(name), value);
}

uint64_t toy_code_bytes = 1 * MIB;

bool toy_counts(void) { return !environment_is("TOY_ENGINE", "host_uncounted"); }

/* NULL: the interpreter alone. */
static const CodeHost *toy_host(void)
{
#ifdef __x86_64__
    if (environment_is("TOY_ENGINE", "host") || !toy_counts()) {
        return &x64_host;
    }
#endif
    return environment_is("TOY_ENGINE", "code") ? &fake_host : NULL;
}

ToyMachine *toy_new(unsigned cpus)
{
    ToyMachine *machine = NEW(ToyMachine);

    assert(cpus <= ARRAY_SIZE(machine->cpus));
    machine->ram = aligned_alloc(TOY_PAGE, TOY_RAM);
    memset(machine->ram, 0, TOY_RAM);
    for (uint64_t i = 0; i < TOY_PAGES; i++) {
        machine->pages[i] = i * TOY_PAGE < TOY_RAM ? i * TOY_PAGE | 7 : 0;
    }
    machine->group = cpu_group_new();
    const CodeHost *host = toy_host();
    if (host) {
        cpu_group_set_engine(machine->group, &(CpuEngine){ .host = host, .code_bytes = toy_code_bytes });
    }
    machine->log = log_new();
    machine->cpu_count = cpus;
    for (unsigned i = 0; i < cpus; i++) {
        machine->cpus[i] = cpu_new(&toy_guest, NULL, i, machine->group, &bus, machine, machine->log, NULL);
        machine->cpus[i]->counted = environment_is("TOY_ENGINE", "host");
    }
    return machine;
}

void toy_free(ToyMachine *machine)
{
    for (unsigned i = 0; i < machine->cpu_count; i++) {
        cpu_free(machine->cpus[i]);
    }
    cpu_group_free(machine->group);
    log_free(machine->log);
    free(machine->ram);
    free(machine);
}

void toy_code(ToyMachine *machine, uint64_t address, const uint32_t *code, size_t count)
{
    memcpy(machine->ram + address, code, count * sizeof *code);
}
