/*
 * Where indirect jumps and returns of a vCPU lead to, as far as it is known.
 *
 * Targets and returns are kept for each mode (and flags) and address space apart, so that neither a system call nor
 * another program costs the program its predictions. They are left where translations of pages that code came from go,
 * and all of them are emptied when code goes. Targets on pages that all spaces share are taken along to a new space.
 *
 * An indirect jump compares with the few targets that it had last (its site), then with the entry of the table. One
 * that goes to ever other places, as an interpreter's does, would lose time by the former: its block is made anew to
 * look at the table at once.
 */
#include "base/host/host.h"
#include "cpu/code.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXTS = 24, FOLLOWERS = 2, GROUP = 64, GROUPS = EXEC_TARGETS / GROUP };
/* Nanoseconds between two jumps of a site that were not where it looked first: less is too often. */
enum { SITE_MISS_INTERVAL = 1000 };

/* What indirect jumps and returns find, for one mode and address space. */
typedef struct CodeContext {
    uint64_t mode, space; /* Cpu.space_serial */
    uint64_t shared;      /* Cpu.shared_serial, of what it took from another space or may give to one */
    uint32_t flags;
    bool valid;
    uint64_t last_used;
    uint32_t return_top;
    struct CodeContext *followers[FOLLOWERS]; /* that came after it last, the latest first; maybe others by now */
    uint64_t is_shared[GROUPS]; /* bit n of all: target n is on a page that all spaces share */
    bool is_used[GROUPS];       /* some of these targets may be set */
    ExecTargets targets;
    ExecReturn returns[EXEC_RETURNS];
} CodeContext;

struct CodeTargets {
    CodeContext *contexts[CONTEXTS]; /* made when needed */
    CodeContext *current;
    uint64_t uses;
};

CodeTargets *code_targets_new(void) { return NEW(CodeTargets); }

void code_targets_free(CodeTargets *targets)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        free(targets->contexts[i]);
    }
    free(targets);
}

static void empty_sites(ExecTargets *targets, const void *nowhere)
{
    const ExecTarget none = { EXEC_NO_PC, nowhere };

    for (unsigned i = 0; i < EXEC_SITES; i++) {
        if (targets->touched[i]) {
            targets->sites[i] = (ExecSite){ .ways = { none, none, none }, .patience = EXEC_PATIENCE };
        }
    }
    memset(targets->touched, 0, sizeof targets->touched);
}
_Static_assert(EXEC_WAYS == 3, "as many as are emptied");

static void empty(const CodeCache *cache, CodeContext *context)
{
    const CodeLink *nowhere = cache->host->nowhere(cache->common);
    const void *code = atomic_load_explicit(&nowhere->target, memory_order_relaxed);

    for (unsigned i = 0; i < GROUPS; i++) {
        if (context->is_used[i]) {
            memset(&context->targets.table[i * GROUP], 0, GROUP * sizeof(ExecTarget));
        }
    }
    context->targets.table[exec_target_index(0)] = (ExecTarget){ EXEC_NO_PC, code };
    memset(context->is_used, 0, sizeof context->is_used);
    empty_sites(&context->targets, code);
    for (unsigned i = 0; i < EXEC_RETURNS; i++) {
        context->returns[i] = (ExecReturn){ EXEC_NO_PC, nowhere };
    }
    memset(context->is_shared, 0, sizeof context->is_shared);
    context->return_top = 0;
    context->valid = true;
}

/* One of another space whose targets hold here as far as they are shared; the latest. NULL: there is none. */
static const CodeContext *find_giver(const CodeTargets *targets, const CodeContext *to)
{
    const CodeContext *giver = NULL;

    for (unsigned i = 0; i < CONTEXTS && targets->contexts[i]; i++) {
        const CodeContext *context = targets->contexts[i];
        bool gives = context != to && context->valid && context->mode == to->mode && context->flags == to->flags &&
                     context->shared == to->shared;
        if (gives && (!giver || context->last_used > giver->last_used)) {
            giver = context;
        }
    }
    return giver;
}

/* A context that nothing is known of. */
static void begin(Cpu *cpu, CodeContext *context)
{
    context->shared = cpu->shared_serial;
    empty(code_cache_of(cpu), context);
    const CodeContext *giver = find_giver(code_targets_of(cpu), context);
    if (!giver) {
        return;
    }
    memcpy(context->is_shared, giver->is_shared, sizeof context->is_shared);
    for (unsigned i = 0; i < GROUPS; i++) {
        context->is_used[i] = context->is_shared[i];
        for (uint64_t left = context->is_shared[i]; left; left &= left - 1) {
            unsigned index = i * GROUP + (unsigned)__builtin_ctzll(left);
            context->targets.table[index] = giver->targets.table[index];
        }
    }
}

void code_forget_targets(Cpu *cpu)
{
    CodeTargets *targets = code_targets_of(cpu);

    if (!targets) {
        return;
    }
    for (unsigned i = 0; i < CONTEXTS && targets->contexts[i]; i++) {
        targets->contexts[i]->valid = false;
    }
    cpu->exec.code_link = NULL;
    count_up(&code_lookups(cpu)->forgotten);
    if (targets->current) { /* translated code may look before the run loop does */
        empty(code_cache_of(cpu), targets->current);
        cpu->exec.return_top = 0;
    }
}

static bool context_is(const CodeContext *context, uint64_t mode, uint64_t space, uint32_t flags)
{
    return context && context->mode == mode && context->space == space && context->flags == flags;
}

/* That of the mode, or the one that has not been used for longest. */
static CodeContext *find_context(CodeTargets *targets, uint64_t mode, uint64_t space, uint32_t flags)
{
    CodeContext **oldest = &targets->contexts[0];

    for (unsigned i = 0; i < CONTEXTS; i++) {
        CodeContext **slot = &targets->contexts[i];
        if (!*slot) {
            *slot = NEW(CodeContext);
            memset((*slot)->targets.touched, true, EXEC_SITES); /* they are to be emptied */
            oldest = slot;
            break;
        }
        if (context_is(*slot, mode, space, flags)) {
            return *slot;
        }
        if ((*slot)->last_used < (*oldest)->last_used) {
            oldest = slot;
        }
    }
    (*oldest)->mode = mode;
    (*oldest)->space = space;
    (*oldest)->flags = flags;
    (*oldest)->valid = false;
    return *oldest;
}

/* What follows the present one: often one of the same two. */
static CodeContext *next_context(CodeTargets *targets, uint64_t mode, uint64_t space, uint32_t flags)
{
    CodeContext *current = targets->current, *found = NULL;

    for (unsigned i = 0; current && i < FOLLOWERS; i++) {
        if (context_is(current->followers[i], mode, space, flags)) {
            return current->followers[i];
        }
    }
    found = find_context(targets, mode, space, flags);
    if (current) {
        current->followers[1] = current->followers[0];
        current->followers[0] = found;
    }
    return found;
}

void code_targets_select(Cpu *cpu, uint32_t flags)
{
    CodeTargets *targets = code_targets_of(cpu);
    CodeContext *current = targets->current;
    /* what is unmapped there is dropped */
    uint64_t mode = cpu->exec.mode, space = flags & CODE_DIRECT ? 0 : cpu->space_serial;

    if (LIKELY(context_is(current, mode, space, flags))) {
        return;
    }
    if (current) {
        current->return_top = cpu->exec.return_top;
    }
    current = next_context(targets, mode, space, flags);
    if (!current->valid) {
        begin(cpu, current);
    }
    current->last_used = ++targets->uses;
    targets->current = current;
    count_up(&code_lookups(cpu)->contexts);
    cpu->exec.targets = &current->targets;
    cpu->exec.returns = current->returns;
    cpu->exec.return_top = current->return_top;
    cpu->exec.code_link = NULL; /* an exit of another mode */
}

/* Translated code may look for a target before the run loop is reached. */
void code_space_changed(Cpu *cpu)
{
    CodeTargets *targets = code_targets_of(cpu);

    if (targets && targets->current) {
        code_targets_select(cpu, targets->current->flags);
    }
}

void code_targets_add(Cpu *cpu, const Block *block, bool shared)
{
    CodeContext *context = code_targets_of(cpu)->current;
    unsigned index = exec_target_index(block->code.pc);
    uint64_t *word = &context->is_shared[index / GROUP];

    context->is_used[index / GROUP] = true;
    context->targets.table[index] = (ExecTarget){ block->code.pc, block->code.code };
    *word = shared ? *word | BIT(index % GROUP) : *word & ~BIT(index % GROUP);
}

void code_site_is_tired(Cpu *cpu)
{
    Exec *exec = &cpu->exec;
    ExecSite *site = exec->tired_site;
    Block *block = (Block *)exec->tired_block;
    int64_t before = site->renewed;

    exec->tired_block = NULL;
    site->patience = EXEC_PATIENCE;
    site->renewed = host_monotonic_ns();
    if (before && site->renewed - before < (int64_t)EXEC_PATIENCE * SITE_MISS_INTERVAL) {
        code_give_up_site(code_cache_of(cpu), block);
        code_forget_targets(cpu);
    }
}
