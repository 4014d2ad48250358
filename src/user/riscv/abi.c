/*
 * RISC-V Linux: system calls by ecall with the number in a7 and arguments in a0 to a5, signal frames as in
 * arch/riscv/kernel/signal.c, HWCAP by letters. Both widths.
 *
 * Not here: the vector state in signal frames.
 */
#include "base/bytes.h"
#include "base/strbuf.h"
#include "guest/riscv/state.h"
#include "user/riscv/layouts.h"
#include "user/siginfo.h"
#include "user/vdso_image.h"
#include "user/syscall.h"

#include <errno.h>
#include <sys/mman.h>

enum { RA = 1, SP = 2, TP = 4, A0 = 10, A7 = 17, FRAME_INFO = 128, FRAME_EXTRA = 528, SC_REGISTERS = 32 };

extern const Guest riscv64_guest, riscv32_guest;

static RiscvState *state_of(const Cpu *cpu)
{
    return cpu_state(cpu);
}

static unsigned word_size(const Cpu *cpu)
{
    return ((const RiscvConfig *)cpu->config)->xlen / 8;
}

/* a7 and the like as a word: RV32's registers are kept zero-extended. */
static void set_x(const Cpu *cpu, unsigned n, uint64_t value)
{
    state_of(cpu)->x[n] = word_size(cpu) == 8 ? value : (uint32_t)value;
}

/* As Linux leaves it to programs: cbo.zero is theirs, the other operations on cache blocks are not. */
static void enter_user_mode(Cpu *cpu)
{
    enum { ALL_COUNTERS = 7 };
    RiscvState *state = state_of(cpu);

    state->privilege = RISCV_USER;
    state->fs = FS_DIRTY;
    state->mcounteren = state->scounteren = ALL_COUNTERS;
    state->menvcfg |= ENVCFG_CBZE;
    state->senvcfg |= ENVCFG_CBZE;
    memset(state->mstateen, 0xff, sizeof state->mstateen);
    memset(state->sstateen, 0xff, sizeof state->sstateen);
}

static void riscv_abi_start(Cpu *cpu, uint64_t entry, uint64_t stack)
{
    RiscvState *state = state_of(cpu);

    enter_user_mode(cpu);
    memset(state->x, 0, sizeof state->x);
    memset(state->f, 0, sizeof state->f);
    set_x(cpu, SP, stack);
    cpu->guest->set_pc(cpu, entry);
}

static void riscv_abi_start_child(Cpu *cpu, const Cpu *parent, uint64_t stack, bool set_tls, uint64_t tls)
{
    memcpy(state_of(cpu), state_of(parent), sizeof(RiscvState));
    set_x(cpu, A0, 0);
    if (stack) {
        set_x(cpu, SP, stack);
    }
    if (set_tls) {
        set_x(cpu, TP, tls);
    }
}

/* -- exceptions -------------------------------------------------------------------------------------------------- */

static void riscv_abi_exception(const Cpu *cpu, UserException *exception)
{
    const ExecException *raised = &cpu->exec.exception;

    exception->kind = EXCEPTION_SIGNAL;
    exception->address = raised->value;
    switch (raised->code) {
    case CAUSE_USER_ECALL:
        exception->kind = EXCEPTION_SYSCALL;
        break;
    case CAUSE_ILLEGAL_INSTRUCTION:
        exception->signal = SIGILL;
        exception->code = ILL_ILLOPC;
        exception->address = cpu->guest->pc(cpu);
        break;
    case CAUSE_BREAKPOINT:
        exception->signal = SIGTRAP;
        exception->code = TRAP_BRKPT;
        exception->address = cpu->guest->pc(cpu);
        break;
    case CAUSE_FETCH_MISALIGNED:
    case CAUSE_LOAD_MISALIGNED:
    case CAUSE_STORE_MISALIGNED:
        exception->signal = SIGBUS;
        exception->code = BUS_ADRALN;
        break;
    case CAUSE_FETCH_ACCESS: /* a page of a file that is shorter */
    case CAUSE_LOAD_ACCESS:
    case CAUSE_STORE_ACCESS:
        exception->signal = SIGBUS;
        exception->code = BUS_ADRERR;
        break;
    default:
        exception->signal = SIGSEGV;
        exception->code = raised->more ? SEGV_ACCERR : SEGV_MAPERR;
        break;
    }
}

static uint64_t riscv_abi_syscall_number(const Cpu *cpu)
{
    return state_of(cpu)->x[A7];
}

static void riscv_abi_syscall_arguments(const Cpu *cpu, uint64_t *words)
{
    for (unsigned i = 0; i < SYSCALL_WORDS; i++) {
        words[i] = state_of(cpu)->x[A0 + i];
    }
}

static void riscv_abi_syscall_done(Cpu *cpu, int64_t result)
{
    set_x(cpu, A0, (uint64_t)result);
}

static void riscv_abi_syscall_skip(Cpu *cpu)
{
    cpu->guest->set_pc(cpu, cpu->guest->pc(cpu) + 4);
}

static void riscv_abi_syscall_restart(Cpu *cpu)
{
    cpu->guest->set_pc(cpu, cpu->guest->pc(cpu) - 4);
}

static uint64_t riscv_abi_stack_pointer(const Cpu *cpu)
{
    return state_of(cpu)->x[SP];
}

/* -- signal frames ------------------------------------------------------------------------------------------------ */

/* Offsets in the frame: a siginfo, then a ucontext of words, whose machine context is aligned to 16 bytes. */
typedef struct FrameShape {
    unsigned word, stack, mask, registers, fp, size;
} FrameShape;

static FrameShape frame_shape(const Cpu *cpu)
{
    unsigned word = word_size(cpu), stack = FRAME_INFO + 2 * word, mask = stack + 3 * word;
    unsigned registers = (unsigned)align_up(mask + 128, 16), fp = registers + SC_REGISTERS * word;

    return (FrameShape){ word, stack, mask, registers, fp, fp + FRAME_EXTRA };
}

enum { FRAME_MAXIMUM = 1088, FCSR_OFFSET = 256 };

static uint32_t read_fcsr(const RiscvState *state)
{
    return (uint32_t)state->frm << 5 | (uint32_t)(state->fp.flags & 31);
}

static bool riscv_abi_push_frame(Task *task, const SignalFrame *frame)
{
    Cpu *cpu = task->cpu;
    const RiscvState *state = state_of(cpu);
    FrameShape shape = frame_shape(cpu);
    uint8_t bytes[FRAME_MAXIMUM] = { 0 };
    uint64_t address = align_down(frame->stack - shape.size, 16);

    siginfo_to_guest(shape.word, frame->info, bytes);
    store_le(bytes + shape.stack, shape.word, frame->alternate_start);
    store_le32(bytes + shape.stack + shape.word, (uint32_t)frame->alternate_flags);
    store_le(bytes + shape.stack + 2 * shape.word, shape.word, frame->alternate_size);
    store_le64(bytes + shape.mask, frame->mask);
    store_le(bytes + shape.registers, shape.word, state->pc);
    for (unsigned i = 1; i < SC_REGISTERS; i++) {
        store_le(bytes + shape.registers + i * shape.word, shape.word, state->x[i]);
    }
    for (unsigned i = 0; i < 32; i++) {
        store_le64(bytes + shape.fp + 8 * i, state->f[i]);
    }
    store_le32(bytes + shape.fp + FCSR_OFFSET, read_fcsr(state));
    if (memory_write(task_memory(task), address, bytes, shape.size)) {
        return false;
    }
    set_x(cpu, A0, (uint64_t)frame->info->si_signo);
    set_x(cpu, A0 + 1, address);
    set_x(cpu, A0 + 2, address + FRAME_INFO);
    set_x(cpu, RA, task->process->program.vdso + task_abi(task)->vdso_restorer);
    set_x(cpu, SP, address);
    cpu->guest->set_pc(cpu, frame->handler);
    return true;
}

static bool riscv_abi_pop_frame(Task *task, SignalFrame *frame)
{
    Cpu *cpu = task->cpu;
    RiscvState *state = state_of(cpu);
    FrameShape shape = frame_shape(cpu);
    uint8_t bytes[FRAME_MAXIMUM];

    if (memory_read(task_memory(task), bytes, state->x[SP], shape.size)) {
        return false;
    }
    frame->alternate_start = load_le(bytes + shape.stack, shape.word);
    frame->alternate_flags = (int)load_le32(bytes + shape.stack + shape.word);
    frame->alternate_size = load_le(bytes + shape.stack + 2 * shape.word, shape.word);
    frame->mask = load_le64(bytes + shape.mask);
    for (unsigned i = 1; i < SC_REGISTERS; i++) {
        state->x[i] = load_le(bytes + shape.registers + i * shape.word, shape.word);
    }
    for (unsigned i = 0; i < 32; i++) {
        state->f[i] = load_le64(bytes + shape.fp + 8 * i);
    }
    uint32_t fcsr = load_le32(bytes + shape.fp + FCSR_OFFSET);
    state->frm = fcsr >> 5 & 7;
    state->fp.flags = fcsr & 31;
    cpu->guest->settle(cpu);
    cpu->guest->set_pc(cpu, load_le(bytes + shape.registers, shape.word) & ~UINT64_C(1));
    return true;
}

/* -- facts ------------------------------------------------------------------------------------------------------- */

static uint64_t riscv_abi_hwcap(const Cpu *cpu)
{
    const RiscvConfig *c = cpu->config;
    const struct {
        char letter;
        bool on;
    } letters[] = { { 'a', c->a }, { 'c', c->c }, { 'd', c->d }, { 'f', c->f }, { 'i', c->i }, { 'm', c->m } };
    uint64_t bits = 0;

    for (size_t i = 0; i < ARRAY_SIZE(letters); i++) {
        bits |= letters[i].on ? BIT(letters[i].letter - 'a') : 0;
    }
    return bits;
}

/* ebreak, c.ebreak */
static const uint8_t *riscv_abi_breakpoint(uint64_t size)
{
    static const uint8_t wide[] = { 0x73, 0x00, 0x10, 0x00 }, narrow[] = { 0x02, 0x90 };
    return size == sizeof wide ? wide : size == sizeof narrow ? narrow : NULL;
}

/* pc, x1 to x31 */
static unsigned riscv_abi_core_registers(const Cpu *cpu, uint64_t registers[CORE_REGISTERS])
{
    const RiscvState *state = state_of(cpu);

    registers[0] = cpu->guest->pc(cpu);
    for (unsigned i = 1; i < 32; i++) {
        registers[i] = state->x[i];
    }
    return 32;
}

/* struct __riscv_d_ext_state: 32 doubles and fcsr. */
static size_t riscv_abi_core_float(const Cpu *cpu, uint8_t *bytes)
{
    const RiscvState *state = state_of(cpu);

    for (unsigned i = 0; i < 32; i++) {
        store_le64(bytes + 8 * i, state->f[i]);
    }
    store_le64(bytes + 8 * 32, (uint64_t)state->frm << 5 | (state->fp.flags & 31));
    return 8 * 33;
}

static void riscv_abi_print_cpuinfo(const Cpu *cpu, unsigned index, StrBuf *text)
{
    const RiscvConfig *c = cpu->config;
    AUTO_FREE char *isa = cpu->guest->isa_string(c);

    strbuf_printf(text, "processor\t: %u\nhart\t\t: %u\nisa\t\t: %s\nmmu\t\t: %s\nmvendorid\t: 0x%x\n\n", index, index,
                  isa, c->xlen == 64 ? "sv39" : "sv32", c->mvendorid);
}

static const SyscallNumber numbers64[] = {
#define SYSCALL(number_, name_) { number_, SYSCALL_##name_ },
#include "user/riscv/numbers64.def"
};
static const SyscallNumber numbers32[] = {
#include "user/riscv/numbers32.def"
#undef SYSCALL
};

#define RISCV_ABI(bits_, limit_, top_, base_) \
    static const UserAbi riscv##bits_##_abi = { \
        .target = "riscv" #bits_, \
        .machine = "riscv" #bits_, \
        .guest = &riscv##bits_##_guest, \
        .word_size = bits_ / 8, \
        .elf_machine = 243, \
        .address_limit = limit_, \
        .stack_top = top_, \
        .exec_base = base_, \
        .syscalls = numbers##bits_, \
        .syscall_count = ARRAY_SIZE(numbers##bits_), \
        .layouts = riscv##bits_##_layouts, \
        .vdso = riscv##bits_##_vdso, \
        .vdso_size = sizeof riscv##bits_##_vdso, \
        .vdso_restorer = RISCV##bits_##_VDSO_RESTORER, \
        .page_faults = { CAUSE_LOAD_PAGE_FAULT, CAUSE_STORE_PAGE_FAULT, CAUSE_FETCH_PAGE_FAULT }, \
        .start = riscv_abi_start, \
        .start_child = riscv_abi_start_child, \
        .exception = riscv_abi_exception, \
        .syscall_number = riscv_abi_syscall_number, \
        .syscall_arguments = riscv_abi_syscall_arguments, \
        .syscall_done = riscv_abi_syscall_done, \
        .syscall_skip = riscv_abi_syscall_skip, \
        .syscall_restart = riscv_abi_syscall_restart, \
        .stack_pointer = riscv_abi_stack_pointer, \
        .push_frame = riscv_abi_push_frame, \
        .pop_frame = riscv_abi_pop_frame, \
        .hwcap = riscv_abi_hwcap, \
        .breakpoint = riscv_abi_breakpoint, \
        .core_registers = riscv_abi_core_registers, \
        .core_float = riscv_abi_core_float, \
        .print_cpuinfo = riscv_abi_print_cpuinfo, \
    }

/* Address spaces as under Sv39, and as a 32-bit kernel leaves them. */
RISCV_ABI(64, UINT64_C(1) << 38, (UINT64_C(1) << 38) - GUEST_PAGE_SIZE, UINT64_C(0x2aaaaaa000));
RISCV_ABI(32, UINT64_C(0x9dc00000), UINT64_C(0x9dbff000), UINT64_C(0x69280000));

const UserAbi *const user_abis[] = { &riscv32_abi, &riscv64_abi, NULL };
