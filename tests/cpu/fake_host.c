#include "fake_host.h"

#include "cpu/cpu.h"
#include "jit/interp.h"

#include <stdlib.h>
#include <string.h>

typedef struct FakeBlock {
    CodeBlock *block;
    InterpCode *code;
    struct FakeBlock *next;
} FakeBlock;

static _Atomic(FakeBlock *) made;
static _Atomic unsigned compiled;
static unsigned insn_limit = 64, block_size = 64;

void fake_host_set_limit(unsigned insns) { insn_limit = insns; }
void fake_host_set_size(unsigned bytes) { block_size = bytes; }
unsigned fake_host_compiled(void) { return compiled; }

void fake_host_free(void)
{
    for (FakeBlock *fake = atomic_exchange(&made, NULL), *next; fake; fake = next) {
        next = fake->next;
        interp_free(fake->code);
        free(fake);
    }
}

static bool fake_prepare(CodeSpace *space, const IrGuest *guest, const CodeLayout *layout, void **common, Error **error)
{
    *common = space->data;
    space->code_used = space->data_used = 32;
    return true;
}

static void add_links(CodeSpace *space, const IrBlock *ir, CodeBlock *block)
{
    block->links = (CodeLink *)space->data;
    for (uint32_t i = 0; i < ir->count; i++) {
        if (ir->insts[i].op == IR_OP_goto && block->link_count < 8) {
            uint64_t pc = (uint64_t)ir->insts[i].imm;
            CodeLink *link = &block->links[block->link_count++];
            *link = (CodeLink){ .stub = space->code + 8, .pc = pc, .cross_page = (pc ^ block->pc) >> 12 };
            atomic_store(&link->target, link->stub);
        }
    }
    space->data_used = block->link_count * sizeof(CodeLink);
}

static CompileResult fake_compile(CodeSpace *space, const void *common, const IrBlock *ir, const IrGuest *guest,
                                  CodeBlock *block)
{
    if (space->code_room < block_size || space->data_room < 8 * sizeof(CodeLink)) {
        return COMPILE_NO_ROOM;
    }
    if (ir->insn_count > insn_limit) {
        return COMPILE_TOO_LARGE;
    }
    FakeBlock *fake = calloc(1, sizeof *fake);
    fake->block = block;
    fake->code = interp_prepare(ir, guest);
    memcpy(space->code_write, &fake, sizeof fake);
    fake->next = atomic_load(&made);
    while (!atomic_compare_exchange_weak(&made, &fake->next, fake)) {
    }
    add_links(space, ir, block);
    block->code = space->code;
    block->code_bytes = block_size;
    space->code_used = block_size;
    compiled++;
    return COMPILE_DONE;
}

static bool fetch_is(const Exec *exec, unsigned mode, uint64_t pc, uintptr_t addend)
{
    uint64_t page = pc & ~UINT64_C(0xfff);
    const TlbEntry *entry = &exec->tlb[mode].entries[page >> 12 & exec->tlb[mode].index_mask];
    return entry->execute == page && entry->addend == addend;
}

/* Where the block goes on; NULL: in the run loop. */
static const void *follow(Exec *exec, const CodeBlock *block, uint64_t pc)
{
    if (block->flags & CODE_NO_LINKS) {
        return NULL;
    }
    for (unsigned i = 0; i < block->link_count; i++) {
        CodeLink *link = &block->links[i];
        const void *target = atomic_load_explicit(&link->target, memory_order_acquire);
        if (link->pc != pc) {
            continue;
        }
        if (target != link->stub && (!link->cross_page || fetch_is(exec, block->fetch_mmu_mode, pc, link->addend))) {
            return target;
        }
        exec->code_link = link;
        return NULL;
    }
    const ExecTarget *target = &exec->targets->table[exec_target_index(pc)];
    return target->pc == pc ? target->code : NULL;
}

static int fake_enter(const void *common, Exec *exec, Cpu *cpu, const void *code)
{
    int reason = IR_EXIT_CONTINUE;

    while (code && reason == IR_EXIT_CONTINUE) {
        const FakeBlock *fake;
        memcpy(&fake, code, sizeof fake);
        const CodeBlock *block = fake->block;
        if (atomic_load(&exec->attention) ||
            (block->flags & CODE_COUNTED && exec->budget < interp_insn_count(fake->code)) ||
            (block->guarded && !fetch_is(exec, block->fetch_mmu_mode, block->guard_pc, block->guard_addend))) {
            return IR_EXIT_CONTINUE;
        }
        reason = interp_run(exec, cpu, fake->code);
        exec->link = NULL;
        code = reason == IR_EXIT_CONTINUE ? follow(exec, block, cpu->guest->pc(cpu)) : NULL;
    }
    return reason;
}

/* No code: that is what leaves. */
static const CodeLink *fake_nowhere(const void *common)
{
    static const CodeLink nowhere;
    return &nowhere;
}

const CodeHost fake_host = { .name = "fake", .prepare = fake_prepare, .compile = fake_compile, .enter = fake_enter,
                             .nowhere = fake_nowhere };
