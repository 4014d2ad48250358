#include "harness.h"

#include "base/error.h"
#include "base/vec.h"
#ifdef __x86_64__
#include "jit/x64/internal.h"
#endif

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CODE_MEMORY = 1 << 20 };

#define X(n) { "x" #n, offsetof(TestState, x[n]), 64, 0, 0 }
#define W(n) { "w" #n, offsetof(TestState, w[n]), 32, 0, 0 }
#define Q(n) { "q" #n, offsetof(TestState, q[n]), 128, 0, 0 }
static const GuestRegister registers[REGISTERS] = {
    [R_PC] = { "pc", offsetof(TestState, pc), 64, 0, 0 },
    [R_X0] = X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7),
    [R_W0] = W(0), W(1), W(2), W(3),
    [R_Q0] = Q(0), Q(1), Q(2), Q(3),
    [R_T0] = { "t0", offsetof(TestState, t[0]), 80, 0, 0 },
    { "t1", offsetof(TestState, t[1]), 80, 0, 0 },
    [R_B0] = { "b0", offsetof(TestState, b[0]), 8, 0, 0 },
    { "b1", offsetof(TestState, b[1]), 8, 0, 0 },
    [R_H0] = { "h0", offsetof(TestState, h[0]), 16, 0, 0 },
    { "h1", offsetof(TestState, h[1]), 16, 0, 0 },
    [R_X0_LOW] = { "x0.low", offsetof(TestState, x[0]), 32, 0, 0 },
    [R_X0_HALF] = { "x0.half", offsetof(TestState, x[0]), 16, 0, 0 },
    [R_X0_BYTE] = { "x0.byte", offsetof(TestState, x[0]), 8, 0, 0 },
    [R_FLAGS] = { "flags", offsetof(TestState, fp[0].flags), 8, 0, 0 },
    [R_X0_BYTE1] = { "x0.byte1", offsetof(TestState, x[0]) + 1, 8, 0, 0 },
};

static TestMachine *machine_of(Cpu *cpu) { return (TestMachine *)cpu; }

static void raise_first(TestMachine *machine, uint32_t code, uint64_t value)
{
    if (!machine->exec.exception.pending) {
        machine->exec.exception = (ExecException){ true, code, value, 0 };
    }
}

static uint64_t help_sum3(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c) { return a + 3 * b + 5 * c; }
static uint64_t help_sum6(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    return a + 3 * b + 5 * c + 7 * d + 11 * e + 13 * f;
}
static uint64_t help_raise(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    raise_first(machine_of(cpu), E_HELPER, a);
    return 0;
}
static uint64_t help_raise_if(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    if (a & 1) {
        raise_first(machine_of(cpu), E_HELPER, b);
    }
    return b;
}
/* Writes guest registers: x0 and x1 change places. */
static uint64_t help_swap(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    TestState *state = (TestState *)machine_of(cpu)->exec.state;
    uint64_t x0 = state->x[0];

    state->x[0] = state->x[1];
    state->x[1] = x0;
    return x0;
}
static uint64_t help_count(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c) { return machine_of(cpu)->exec.insns; }

static const Helper helpers[HELPERS] = {
    [H_SUM3] = { "sum3", help_sum3, NULL, HELPER_PURE },
    [H_SUM6] = { "sum6", NULL, help_sum6, HELPER_PURE },
    [H_RAISE] = { "raise", help_raise, NULL, HELPER_RAISES },
    [H_RAISE_IF] = { "raise_if", help_raise_if, NULL, HELPER_RAISES },
    [H_SWAP] = { "swap", help_swap, NULL, HELPER_READS | HELPER_WRITES },
    [H_COUNT] = { "count", help_count, NULL, HELPER_PURE },
};
/* x0 shares bytes with others, w0 does not. */
static const uint16_t frequent[] = { R_X0 + 2, R_X0 + 1, R_X0, R_W0, R_X0 + 3, R_W0 + 1 };
static const uint16_t frequent_float[] = { R_X0 + 4, R_X0 + 5, R_X0 + 6 };
static const uint32_t fp_contexts[] = { offsetof(TestState, fp[0]), offsetof(TestState, fp[1]) };

const FpContext test_fp_rules[TEST_MODES] = {
    { 0 },
    { .nan_rule = FP_NAN_X86_SSE, .default_nan_negative = true, .fma_invalid_keeps_nan = true,
      .int_invalid_indefinite = true },
    { .nan_rule = FP_NAN_X86_SSE, .default_nan_negative = true, .fma_invalid_keeps_nan = true,
      .int_invalid_indefinite = true, .flush_inputs = true, .flush_outputs = true },
    { .nan_rule = FP_NAN_ARM, .tiny_before_rounding = true, .int_invalid_zero_nan = true },
    { .nan_rule = FP_NAN_ARM, .nan_signal_bit_inverted = true, .default_nan_all_ones = true },
};

static const FpContext *fp_rules(uint64_t mode, unsigned context) { return &test_fp_rules[mode]; }

const IrGuest test_guest = {
    .name = "test",
    .registers = registers,
    .register_count = REGISTERS,
    .pc_register = R_PC,
    .helpers = helpers,
    .helper_count = HELPERS,
    .fp_contexts = fp_contexts,
    .fp_context_count = 2,
    .fp_rules = fp_rules,
    .frequent = frequent,
    .frequent_count = ARRAY_SIZE(frequent),
    .frequent_float = frequent_float,
    .frequent_float_count = ARRAY_SIZE(frequent_float),
};

/* Memory. */

static bool writable(uint64_t address)
{
    return (address - TEST_BASE) >> TEST_PAGE_BITS & 3;
}

static bool check(TestMachine *machine, uint64_t address, unsigned size, bool write)
{
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = address + i;
        if (at - TEST_BASE >= TEST_MEMORY || (write && !writable(at))) {
            raise_first(machine, write ? E_FAULT_WRITE : E_FAULT_READ, at);
            return false;
        }
    }
    return true;
}

bool memory_read(TestMachine *machine, uint64_t address, unsigned size, uint8_t *bytes)
{
    if (!check(machine, address, size, false)) {
        return false;
    }
    memcpy(bytes, machine->memory + (address - TEST_BASE), size);
    return true;
}

bool memory_write(TestMachine *machine, uint64_t address, unsigned size, const uint8_t *bytes)
{
    if (!check(machine, address, size, true)) {
        return false;
    }
    memcpy(machine->memory + (address - TEST_BASE), bytes, size);
    return true;
}

static bool aligned(TestMachine *machine, uint64_t address, MemOp op)
{
    if (op & MEM_ALIGNED && address & (mem_size(op) - 1)) {
        raise_first(machine, E_ALIGN, address);
        return false;
    }
    return true;
}

static void reorder(uint8_t *bytes, MemOp op)
{
    for (unsigned i = 0; op & MEM_BIG_ENDIAN && i < mem_size(op) / 2; i++) {
        uint8_t byte = bytes[i];
        bytes[i] = bytes[mem_size(op) - 1 - i];
        bytes[mem_size(op) - 1 - i] = byte;
    }
}

static bool slow_load(Cpu *cpu, uint64_t address, MemOp op, uint64_t value[8])
{
    uint8_t bytes[64] = { 0 };

    if (!aligned(machine_of(cpu), address, op) || !memory_read(machine_of(cpu), address, mem_size(op), bytes)) {
        return false;
    }
    reorder(bytes, op);
    memcpy(value, bytes, sizeof bytes);
    return true;
}

static bool slow_store(Cpu *cpu, uint64_t address, MemOp op, const uint64_t value[8])
{
    uint8_t bytes[64];

    memcpy(bytes, value, sizeof bytes);
    reorder(bytes, op);
    return aligned(machine_of(cpu), address, op) && memory_write(machine_of(cpu), address, mem_size(op), bytes);
}

static void *slow_atomic(Cpu *cpu, uint64_t address, MemOp op)
{
    TestMachine *machine = machine_of(cpu);

    if (!aligned(machine, address, op) || !check(machine, address, mem_size(op), true)) {
        return NULL;
    }
    bool possible = !machine->io && !(address & (mem_size(op) - 1));
    return possible ? machine->memory + (address - TEST_BASE) : NULL;
}

static void slow_exclusive(Cpu *cpu, void (*body)(Cpu *cpu, void *data), void *data)
{
    machine_of(cpu)->exclusives++;
    body(cpu, data);
}

static const ExecMemory slow = { slow_load, slow_store, slow_atomic, slow_exclusive };

void machine_map(TestMachine *machine, bool direct)
{
    memset(machine->entries, 0xff, sizeof machine->entries);
    for (uint64_t i = 0; direct && i < 16; i++) {
        uint64_t page = TEST_BASE + (i << TEST_PAGE_BITS);
        TlbEntry *entry = &machine->entries[page >> TEST_PAGE_BITS & 15];
        entry->read = page;
        entry->write = writable(page) ? page : TLB_INVALID;
        entry->addend = (uintptr_t)machine->memory - TEST_BASE;
    }
}

TestMachine *machine_new(void)
{
    TestMachine *machine = aligned_alloc(64, align_up(sizeof *machine, 64));

    memset(machine, 0, sizeof *machine);
    /* Helpers find the machine by the pointer that they take for a Cpu. */
    machine->exec = (Exec){ .page_bits = TEST_PAGE_BITS, .state = (uint8_t *)&machine->state, .memory = &slow,
                            .guest = &test_guest, .jumps = machine->jumps, .epoch = 1,
                            .targets = &machine->targets, .returns = machine->returns };
    memset(&machine->targets, 0xff, sizeof machine->targets);
    memset(machine->returns, 0xff, sizeof machine->returns);
    for (unsigned i = 0; i < TLB_MODES; i++) {
        machine->exec.tlb[i] = (TlbTable){ machine->entries, 15, 15 * sizeof(TlbEntry) };
    }
    machine_map(machine, true);
    return machine;
}

void machine_free(TestMachine *machine)
{
    ir_block_free(&machine->optimised);
    if (machine->code_memory) {
        munmap(machine->code_memory, CODE_MEMORY);
    }
    free(machine);
}

static int run_interpreted(TestMachine *machine, const IrBlock *block)
{
    InterpCode *code = interp_prepare(block, &test_guest);
    int reason = interp_run(&machine->exec, machine_cpu(machine), code);

    interp_free(code);
    return reason;
}

#ifdef __x86_64__
static const CodeHost *const host = &x64_host;

static CodeSpace code_space(TestMachine *machine)
{
    uint8_t *code = machine->code_memory + machine->code_used;
    uint8_t *data = machine->code_memory + CODE_MEMORY / 2 + machine->data_used;

    return (CodeSpace){ .code_write = code,
                        .code = code,
                        .code_room = CODE_MEMORY / 2 - machine->code_used,
                        .data = data,
                        .data_room = CODE_MEMORY / 2 - machine->data_used };
}

void machine_prepare(TestMachine *machine)
{
    const CodeLayout layout = { .exec = (int32_t)(offsetof(TestMachine, exec) - offsetof(TestMachine, state)),
                                .cpu = -(int32_t)offsetof(TestMachine, state),
                                .page_bits = TEST_PAGE_BITS };

    machine->code_memory =
        mmap(NULL, CODE_MEMORY, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(machine->code_memory != MAP_FAILED);
    CodeSpace space = code_space(machine);
    g_assert_true(host->prepare(&space, &test_guest, &layout, &machine->code_common, NULL));
    if (machine->plain_host) {
        ((X64Common *)machine->code_common)->features = (X64Features){ 0 };
    }
    machine->code_used = align_up(space.code_used, 64);
    machine->data_used = align_up(space.data_used, 64);
}

CompileResult machine_compile(TestMachine *machine, const IrBlock *block, unsigned flags, CodeBlock *code)
{
    return machine_compile_as(machine, block, flags, &(CodeBlock){ 0 }, code);
}

CompileResult machine_compile_as(TestMachine *machine, const IrBlock *block, unsigned flags, const CodeBlock *wanted,
                                 CodeBlock *code)
{
    AUTO_ERROR(error);

    if (!machine->code_memory) {
        machine_prepare(machine);
    }
    CodeSpace space = code_space(machine);
    flags |= machine->exec.mode ? CODE_FP_EXACT : 0;
    *code = *wanted;
    code->flags = flags;
    code->pc = block->pc;
    code->mode = machine->exec.mode;
    memset(space.data, 0, machine->data_dirty);
    g_assert_true(host->optimise(machine->code_common, &machine->optimised, block, &test_guest));
    if (!ir_verify(&machine->optimised, &test_guest, &error)) {
        g_error("%s", error_message(error));
    }
    CompileResult result = host->compile(&space, machine->code_common, &machine->optimised, &test_guest, code);
    machine->data_dirty = result == COMPILE_DONE ? space.data_used : 0; /* else it is zeroes again */
    machine->code_last = space.code_used;
    return result;
}

void machine_keep(TestMachine *machine)
{
    machine->code_used = align_up(machine->code_used + machine->code_last, 64);
    machine->data_used = align_up(machine->data_used + machine->data_dirty, 64);
    machine->data_dirty = 0;
}

int machine_enter(TestMachine *machine, const CodeBlock *code)
{
    return host->enter(machine->code_common, &machine->exec, machine_cpu(machine), code->code);
}

static int run_host(TestMachine *machine, const IrBlock *block)
{
    CodeBlock code;
    uint64_t insns = machine->exec.insns;
    bool counted = machine->engine == ENGINE_HOST_COUNTED;

    CompileResult result = machine_compile(machine, block, counted ? CODE_COUNTED : 0, &code);
    g_assert_cmpint(result, ==, COMPILE_DONE);
    int reason = host->enter(machine->code_common, &machine->exec, machine_cpu(machine), code.code);
    if (!counted) { /* what nobody counted */
        g_assert_cmpuint(machine->exec.insns, ==, insns);
    }
    return reason;
}
#else
static int run_host(TestMachine *machine, const IrBlock *block) { return run_interpreted(machine, block); }
#endif

int machine_run(TestMachine *machine, const IrBlock *block)
{
    AUTO_ERROR(error);
    uint64_t before = machine->exec.insns;
    bool counts = machine->engine != ENGINE_HOST;

    if (!ir_verify(block, &test_guest, &error)) {
        g_error("%s", error_message(error));
    }
    machine->exec.budget = block->insn_count;
    int reason = machine->engine == ENGINE_INTERPRETER ? run_interpreted(machine, block) : run_host(machine, block);
    if (counts) {
        g_assert_cmpint(machine->exec.budget, ==, block->insn_count - (int64_t)(machine->exec.insns - before));
    }
    return reason;
}

uint64_t random_edgy(uint64_t *state)
{
    uint64_t kind = random_next(state), value = random_next(state);

    switch (kind >> 32 & 7) {
    case 0:
        return kind & 3;
    case 1:
        return -(kind & 3);
    case 2:
        return BIT(value & 63) - (kind & 1);
    case 3:
        return (uint64_t)(int64_t)(int32_t)value;
    case 4:
        return value & UINT32_MAX;
    case 5:
        return UINT64_C(0x8000000000000000) >> (kind & 32);
    default:
        return value;
    }
}
