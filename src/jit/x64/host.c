/*
 * The x86-64 host: common code of a cache, the way in and out of translated code, signal contexts.
 *
 * The frame of translated code: the return address of `enter`, six registers that C functions keep, 24 bytes of which
 * the lowest 8 are the seventh argument of helpers. The stack pointer does not move within a block.
 */
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "jit/ir_optimise.h"
#include "jit/x64/compile.h"
#include "jit/x64/disassemble.h"
#include "jit/x64/internal.h"

#include <asm/hwcap2.h>
#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/platform/x86.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Registers that C functions keep come first: short code where they are bases, and no saving around helpers. */
static const uint8_t pinned_registers[PINNED] = { RBX, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
static const uint8_t pinned_floats[FLOAT_PINNED] = {
    X64_XMM0 + 15, X64_XMM0 + 14, X64_XMM0 + 13, X64_XMM0 + 12, X64_XMM0 + 11, X64_XMM0 + 10,
    X64_XMM0 + 9,  X64_XMM0 + 8,  X64_XMM0 + 7,  X64_XMM0 + 6,  X64_XMM0 + 5,
};
static const uint8_t kept_registers[] = { RBX, RBP, R12, R13, R14, R15 };

/* As libc knows the host: asked anew, a virtual machine's processor takes microseconds for each answer. */
X64Features x64_features(void)
{
    return (X64Features){
        .fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE,
        .bmi1 = CPU_FEATURE_PRESENT(BMI1),
        .bmi2 = CPU_FEATURE_PRESENT(BMI2),
        .lzcnt = CPU_FEATURE_PRESENT(LZCNT),
        .popcnt = CPU_FEATURE_PRESENT(POPCNT),
        .movbe = CPU_FEATURE_PRESENT(MOVBE),
        .pclmul = CPU_FEATURE_PRESENT(PCLMULQDQ),
    };
}

static bool share_bytes(const GuestRegister *a, const GuestRegister *b)
{
    return a->offset < b->offset + b->bits / 8u && b->offset < a->offset + a->bits / 8u;
}

static void pin(X64Common *common, const IrGuest *guest, unsigned reg, unsigned host)
{
    unsigned i = common->pinned_count++;

    common->pinned_guest[i] = (uint16_t)reg;
    common->pinned_register[i] = (uint8_t)host;
    for (unsigned j = 0; j < guest->register_count; j++) {
        if (share_bytes(&guest->registers[j], &guest->registers[reg])) {
            common->host_of[j] = HOST_OVERLAPS;
        }
    }
    common->host_of[reg] = (uint8_t)host;
}

static void choose_pinned(X64Common *common, const IrGuest *guest)
{
    unsigned floats = common->float_host.avx && guest->fp_context_count ? guest->frequent_float_count : 0;

    memset(common->host_of, X64_NO_REGISTER, guest->register_count);
    for (unsigned i = 0; i < MIN(guest->frequent_count, PINNED); i++) {
        pin(common, guest, guest->frequent[i], pinned_registers[i]);
    }
    for (unsigned i = 0; i < MIN(floats, FLOAT_PINNED) && guest->registers[guest->frequent_float[i]].bits == 64; i++) {
        pin(common, guest, guest->frequent_float[i], pinned_floats[i]);
    }
}

enum { ONE_OWNER = 1, MORE_OWNERS };

/* How many registers each byte of the state belongs to. */
static uint8_t *count_owners(const IrGuest *guest)
{
    size_t size = 0;

    for (unsigned i = 0; i < guest->register_count; i++) {
        size = MAX(size, guest->registers[i].offset + guest->registers[i].bits / 8u);
    }
    uint8_t *owners = mem_alloc0(size);
    for (unsigned i = 0; i < guest->register_count; i++) {
        uint8_t *first = owners + guest->registers[i].offset;
        for (uint8_t *byte = first; byte < first + guest->registers[i].bits / 8u; byte++) {
            *byte = *byte ? MORE_OWNERS : ONE_OWNER;
        }
    }
    return owners;
}

static void choose_keeps(X64Common *common, const IrGuest *guest)
{
    AUTO_FREE uint8_t *owners = count_owners(guest);

    for (unsigned i = 0; i < guest->register_count; i++) {
        unsigned bits = guest->registers[i].bits;
        bool alone = (bits == 32 || bits == 64) &&
                     !memchr(owners + guest->registers[i].offset, MORE_OWNERS, bits / 8);
        common->keeps[i] = !alone                                  ? IR_KEEP_ANY
                           : common->host_of[i] < HOST_REGISTERS ? IR_KEEP_REGISTER
                                                                 : IR_KEEP_MEMORY;
    }
}

static bool x64_optimise(const void *common, IrBlock *to, const IrBlock *from, const IrGuest *guest)
{
    return ir_optimise(to, from, guest, ((const X64Common *)common)->keeps);
}

/* Left enter(const void *code, void *state, uint32_t control): MXCSR on the way in and out. */
static void emit_enter(X64Code *code, X64Common *common)
{
    common->enter = x64_here(code);
    for (unsigned i = 0; i < ARRAY_SIZE(kept_registers); i++) {
        x64_r(code, X64_PUSH, 4, kept_registers[i], 0);
    }
    x64_alu_immediate(code, X64_SUB, 8, x64_register(RSP), FRAME);
    x64_m(code, X64_STMXCSR, 4, x64_memory(RSP, FRAME_HOST_CONTROL), 0);
    x64_rm(code, X64_MOV_MR, 4, RDX, x64_memory(RSP, FRAME_GUEST_CONTROL));
    x64_m(code, X64_LDMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
    x64_rr(code, X64_MOV_RM, 8, RBP, RSI);
    x64_rr(code, X64_MOV_RM, 8, RAX, RDI);
    load_pinned(code, common, ALL_PINNED);
    x64_r(code, X64_JMP, 4, RAX, 0);
}

static void store_pc(X64Code *code, const X64Common *common, unsigned reg)
{
    const GuestRegister *pc = &common->guest->registers[common->guest->pc_register];
    x64_rm(code, X64_MOV_MR, pc->bits / 8, reg, state_operand(pc->offset));
}

/* The ways out, each with the registers as it says. */
static void emit_exits(X64Code *code, X64Common *common)
{
    X64Operand code_link = exec_operand(common, offsetof(Exec, code_link));

    /* rax: a CodeLink */
    common->exit_link = x64_here(code);
    x64_rm(code, X64_MOV_MR, 8, RAX, code_link);
    x64_rm(code, X64_MOV_RM, 8, RCX, x64_memory(RAX, offsetof(CodeLink, pc)));
    store_pc(code, common, RCX);
    x64_load_constant(code, RAX, IR_EXIT_CONTINUE);
    uint8_t *save = x64_jump_forward(code);
    /* rax: the guest's pc */
    common->exit_pc = x64_here(code);
    store_pc(code, common, RAX);
    x64_load_constant(code, RAX, IR_EXIT_CONTINUE);
    /* eax: why */
    common->exit_reason = x64_here(code);
    x64_m(code, X64_MOV_MI, 8, code_link, 0);
    x64_land(code, save);
    store_pinned(code, common, ALL_PINNED);
    /* eax: why; the state is complete */
    common->exit_saved = x64_here(code);
    x64_m(code, X64_STMXCSR, 4, x64_memory(RSP, FRAME_GUEST_CONTROL), 0);
    x64_m(code, X64_LDMXCSR, 4, x64_memory(RSP, FRAME_HOST_CONTROL), 0);
    x64_rm(code, X64_MOV_RM, 4, RDX, x64_memory(RSP, FRAME_GUEST_CONTROL));
    x64_alu_immediate(code, X64_ADD, 8, x64_register(RSP), FRAME);
    for (unsigned i = ARRAY_SIZE(kept_registers); i-- > 0;) {
        x64_r(code, X64_POP, 4, kept_registers[i], 0);
    }
    x64_return(code);
    /* A helper raised: exec->pc says where; the state is complete but for the pc register. */
    common->exit_raised = x64_here(code);
    x64_rm(code, X64_MOV_RM, 8, RAX, exec_operand(common, offsetof(Exec, pc)));
    store_pc(code, common, RAX);
    x64_m(code, X64_MOV_MI, 8, code_link, 0);
    x64_load_constant(code, RAX, IR_EXIT_EXCEPTION);
    x64_jump(code, common->exit_saved);
}

/* Called with rax on the stack below the return address, and rax an X64Slow. All registers come back as they were, but
 * for a load's result. */
static void emit_slow(X64Code *code, X64Common *common)
{
    /* The return address and rax lie above; together with this the stack is aligned again. */
    const int size = (int)align_up(sizeof(CodeRegisters), 16);
    const int saved_rax = size + 8;

    common->slow = x64_here(code);
    x64_alu_immediate(code, X64_SUB, 8, x64_register(RSP), size);
    for (unsigned reg = RCX; reg <= R15; reg++) {
        x64_rm(code, X64_MOV_MR, 8, reg, x64_memory(RSP, offsetof(CodeRegisters, integer) + reg * 8));
    }
    for (unsigned reg = 0; reg < 16; reg++) {
        x64_rm(code, X64_MOVUPS_MR, 4, reg, x64_memory(RSP, offsetof(CodeRegisters, vector) + reg * 16));
    }
    x64_rr(code, X64_MOV_RM, 8, RDX, RAX);
    x64_rm(code, X64_MOV_RM, 8, RAX, x64_memory(RSP, saved_rax));
    x64_rm(code, X64_MOV_MR, 8, RAX, x64_memory(RSP, offsetof(CodeRegisters, integer)));
    x64_rm(code, X64_LEA, 8, RDI, x64_at(common));
    x64_rr(code, X64_MOV_RM, 8, RSI, RSP);
    x64_m(code, X64_STMXCSR, 4, x64_memory(RSP, offsetof(CodeRegisters, float_control)), 0);
    x64_m(code, X64_LDMXCSR, 4, x64_memory(RSP, size + 16 + FRAME_HOST_CONTROL), 0);
    x64_load_constant(code, RAX, (uintptr_t)x64_slow);
    x64_r(code, X64_CALL, 4, RAX, 0);
    x64_m(code, X64_LDMXCSR, 4, x64_memory(RSP, offsetof(CodeRegisters, float_control)), 0);
    x64_rr(code, X64_TEST_MR, 1, RAX, RAX);
    uint8_t *raised = x64_branch_forward(code, X64_E);
    for (unsigned reg = 0; reg < 16; reg++) {
        x64_rm(code, X64_MOVUPS_RM, 4, reg, x64_memory(RSP, offsetof(CodeRegisters, vector) + reg * 16));
    }
    for (unsigned reg = RCX; reg <= R15; reg++) {
        if (reg != RSP) {
            x64_rm(code, X64_MOV_RM, 8, reg, x64_memory(RSP, offsetof(CodeRegisters, integer) + reg * 8));
        }
    }
    /* The return address goes where rax was. */
    x64_rm(code, X64_MOV_RM, 8, RAX, x64_memory(RSP, size));
    x64_rm(code, X64_MOV_MR, 8, RAX, x64_memory(RSP, saved_rax));
    x64_rm(code, X64_MOV_RM, 8, RAX, x64_memory(RSP, offsetof(CodeRegisters, integer)));
    x64_alu_immediate(code, X64_ADD, 8, x64_register(RSP), saved_rax);
    x64_return(code);
    x64_land(code, raised);
    x64_alu_immediate(code, X64_ADD, 8, x64_register(RSP), saved_rax + 8);
    x64_m(code, X64_MOV_MI, 8, exec_operand(common, offsetof(Exec, code_link)), 0);
    x64_load_constant(code, RAX, IR_EXIT_EXCEPTION);
    x64_jump(code, common->exit_saved);
}

enum { COMMON_CODE = 2048 };

static bool x64_prepare(CodeSpace *space, const IrGuest *guest, const CodeLayout *layout, void **common_out,
                        Error **error)
{
    X64Common *common = (X64Common *)space->data;
    size_t data = align_up(sizeof *common + 2 * guest->register_count, 16);
    X64Code code = { space->code_write, space->code_write + space->code_room, space->code - space->code_write };

    if (space->data_room < data || space->code_room < COMMON_CODE) {
        return error_set(error, "a code cache without room for its common code");
    }
    *common = (X64Common){ .layout = *layout, .features = x64_features(), .guest = guest };
    common->host_of = (uint8_t *)(common + 1);
    common->keeps = common->host_of + guest->register_count;
    float_prepare(common);
    choose_pinned(common, guest);
    choose_keeps(common, guest);
    emit_enter(&code, common);
    emit_exits(&code, common);
    emit_slow(&code, common);
    control_emit_common(&code, common);
    float_emit_common(&code, common);
    common->blocks = x64_here(&code);
    assert((size_t)(code.at - space->code_write) <= COMMON_CODE);
    atomic_store(&common->nowhere.target, common->exit_pc);
    space->code_used = (size_t)(code.at - space->code_write);
    space->data_used = data;
    *common_out = common;
    return true;
}

/* What `enter` returns, in rax and rdx. */
typedef struct Left {
    int64_t reason, control;
} Left;
typedef Left EnterFunction(const void *code, void *state, uint32_t control);

/* Translated code with CODE_BASE finds the guest's memory by it. */
static void set_gs_base(const X64Common *common, uintptr_t base)
{
    if (common->features.fsgsbase) {
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    } else {
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
    }
}

static int x64_enter(const void *data, Exec *exec, Cpu *cpu, const void *code)
{
    const X64Common *common = data;
    const IrGuest *guest = common->guest;
    FpContext none = { 0 };
    FpContext *fp = guest->fp_context_count ? (FpContext *)(exec->state + guest->fp_contexts[0]) : &none;
    EnterFunction *enter = (EnterFunction *)(uintptr_t)common->enter;

    if (exec->base) {
        set_gs_base(common, exec->base);
    }
    Left left = enter(code, exec->state + STATE_BIAS, float_control(common, fp));
    fp->flags |= common->flags_of_control[left.control & 63];
    return (int)left.reason;
}

static const CodeLink *x64_nowhere(const void *common)
{
    return &((const X64Common *)common)->nowhere;
}

/* Signal contexts. */

static const uint8_t context_index[16] = {
    [RAX] = REG_RAX, [RCX] = REG_RCX, [RDX] = REG_RDX, [RBX] = REG_RBX, [RSP] = REG_RSP, [RBP] = REG_RBP,
    [RSI] = REG_RSI, [RDI] = REG_RDI, [R8] = REG_R8,   [R9] = REG_R9,   [R10] = REG_R10, [R11] = REG_R11,
    [R12] = REG_R12, [R13] = REG_R13, [R14] = REG_R14, [R15] = REG_R15,
};

static void x64_context_registers(const void *ucontext, CodeRegisters *registers, const void **pc)
{
    const mcontext_t *context = &((const ucontext_t *)ucontext)->uc_mcontext;

    for (unsigned i = 0; i < 16; i++) {
        registers->integer[i] = (uint64_t)context->gregs[context_index[i]];
        if (context->fpregs) {
            memcpy(registers->vector[i], &context->fpregs->_xmm[i], sizeof registers->vector[i]);
        }
    }
    registers->float_control = context->fpregs ? context->fpregs->mxcsr : 0x1f80;
    *pc = (const void *)context->gregs[REG_RIP];
}

static void x64_context_leave(const void *data, void *ucontext, int reason)
{
    const X64Common *common = data;
    mcontext_t *context = &((ucontext_t *)ucontext)->uc_mcontext;

    context->gregs[REG_RAX] = reason;
    context->gregs[REG_RIP] = (greg_t)common->exit_saved;
}

/* The thunks' frames take in the block's that called them: it has moved the stack pointer. */
static void x64_unwind(const void *data, const uint8_t *code, CodeUnwind *unwind)
{
    const X64Common *common = data;
    static const uint8_t dwarf_numbers[16] = { [RBX] = 3, [RBP] = 6, [RSP] = 7, [R12] = 12, [R13] = 13,
                                               [R14] = 14, [R15] = 15 };
    const uint32_t block = FRAME + 8 * (uint32_t)ARRAY_SIZE(kept_registers) + 8;
    const uint32_t slow = (uint32_t)align_up(sizeof(CodeRegisters), 16) + 16 + block;

    *unwind = (CodeUnwind){
        .frames = { { "translated_code_entry", code, block }, { "slow_path_of_translated_code", common->slow, slow } },
        .frame_count = 2,
        .stack_register = dwarf_numbers[RSP],
        .return_register = 16,
        .saved_count = ARRAY_SIZE(kept_registers),
    };
    for (unsigned i = 0; i < ARRAY_SIZE(kept_registers); i++) {
        unwind->saved[i] = dwarf_numbers[kept_registers[i]];
    }
    if (common->float_exact) {
        unwind->frames[unwind->frame_count++] =
            (CodeFrame){ "float_operation_of_translated_code", common->float_exact, x64_fp_thunk_depth() + block };
    }
    unwind->frames[unwind->frame_count++] = (CodeFrame){ "translated_code", common->blocks, block };
}

const CodeHost x64_host = {
    .name = "x64",
    .elf_machine = 62, /* EM_X86_64 */
    .prepare = x64_prepare,
    .optimise = x64_optimise,
    .compile = x64_compile,
    .enter = x64_enter,
    .nowhere = x64_nowhere,
    .restore = x64_restore,
    .context_registers = x64_context_registers,
    .context_leave = x64_context_leave,
    .unwind = x64_unwind,
    .disassemble = x64_disassemble,
};
