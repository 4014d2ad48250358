/*
 * vCPUs that share memory, and the exclusive section: one vCPU does something while none of the others executes guest
 * instructions.
 *
 * A vCPU is `running` between group_enter and group_leave, which the run loop calls around execution. Who wants to be
 * alone stops being running itself (so that two who want it at once do not wait for each other), waits its turn, asks
 * for attention of those that run, and waits until none does. All of it is under the group's lock.
 */
#include "base/error.h"
#include "cpu/code.h"

#include <stdlib.h>
#include <string.h>

struct CpuGroup {
    Mutex lock;
    Condition idle;    /* `running` went down */
    Condition resumed; /* the exclusive section ended */
    VEC(Cpu *) cpus;
    unsigned running;
    CpuEngine engine;
    CodeCache *code; /* NULL: none, or not yet */
    const Cpu *alone;  /* whose exclusive section it is, or who waits for the others to stop; NULL: nobody's */
};

CpuGroup *cpu_group_new(void)
{
    CpuGroup *group = NEW(CpuGroup);

    mutex_init(&group->lock);
    condition_init(&group->idle);
    condition_init(&group->resumed);
    return group;
}

void cpu_group_free(CpuGroup *group)
{
    if (!group) {
        return;
    }
    assert(group->cpus.count == 0);
    code_cache_free(group->code);
    vec_free(&group->cpus);
    condition_destroy(&group->resumed);
    condition_destroy(&group->idle);
    mutex_destroy(&group->lock);
    free(group);
}

void cpu_group_set_engine(CpuGroup *group, const CpuEngine *engine)
{
    assert(group->cpus.count == 0 && !group->code);
    group->engine = *engine;
}

/* Under the lock. */
static bool make_code(CpuGroup *group, const Cpu *cpu, Error **error)
{
    const CodeLayout layout = {
        .exec = (int32_t)((const uint8_t *)&cpu->exec - cpu->exec.state),
        .cpu = (int32_t)((const uint8_t *)cpu - cpu->exec.state),
        .page_bits = (uint8_t)cpu->exec.page_bits,
    };

    if (group->engine.host && !group->code) {
        group->code = code_cache_new(&group->engine, &cpu->guest->ir, &layout, error);
        return group->code;
    }
    return true;
}

bool group_add(CpuGroup *group, Cpu *cpu, Error **error)
{
    mutex_lock(&group->lock);
    bool made = make_code(group, cpu, error);
    if (made) {
        unsigned wanted = group->engine.block_insns;
        cpu->block_insns = wanted ? MIN(wanted, (unsigned)BLOCK_INSNS) : BLOCK_INSNS;
        cpu->code = group->code ? code_vcpu_new(cpu, group->code) : NULL;
        vec_push(&group->cpus, cpu);
    }
    mutex_unlock(&group->lock);
    return made;
}

void group_remove(CpuGroup *group, Cpu *cpu)
{
    mutex_lock(&group->lock);
    for (size_t i = 0; i < group->cpus.count; i++) {
        if (group->cpus.items[i] == cpu) {
            vec_remove(&group->cpus, i);
            break;
        }
    }
    mutex_unlock(&group->lock);
}

static void start_running(Cpu *cpu)
{
    cpu->running = true;
    cpu->group->running++;
}

static void stop_running(Cpu *cpu)
{
    cpu->running = false;
    cpu->group->running--;
    if (cpu->group->alone) {
        condition_broadcast(&cpu->group->idle);
    }
}

static void wait_while_exclusive(CpuGroup *group)
{
    while (group->alone) {
        condition_wait(&group->resumed, &group->lock);
    }
}

void group_enter(Cpu *cpu)
{
    mutex_lock(&cpu->group->lock);
    wait_while_exclusive(cpu->group);
    start_running(cpu);
    mutex_unlock(&cpu->group->lock);
}

void group_leave(Cpu *cpu)
{
    mutex_lock(&cpu->group->lock);
    stop_running(cpu);
    mutex_unlock(&cpu->group->lock);
}

/* Whoever begins to run counts it first, takes the lock, and looks for attention then. */
uint32_t cpu_stop_counted(Cpu *cpu)
{
    cpu_stop(cpu);
    mutex_lock(&cpu->group->lock);
    uint32_t runs = atomic_load(&cpu->runs);
    mutex_unlock(&cpu->group->lock);
    return runs;
}

void cpu_group_fork_begin(CpuGroup *group)
{
    code_fork_begin(group->code);
    mutex_lock(&group->lock);
}

void cpu_group_fork_end(CpuGroup *group, Cpu *cpu, bool is_child)
{
    if (is_child) {
        group->cpus.count = 0;
        vec_push(&group->cpus, cpu);
        group->running = 0;
        group->alone = NULL;
        condition_init(&group->idle); /* those who waited are no more */
        condition_init(&group->resumed);
    }
    mutex_unlock(&group->lock);
    code_fork_end(cpu, is_child);
}

void cpu_group_abandon(Cpu *cpu)
{
    CpuGroup *group = cpu->group;

    mutex_lock(&group->lock);
    if (cpu->running) {
        stop_running(cpu);
    }
    if (group->alone == cpu) {
        group->alone = NULL;
        condition_broadcast(&group->resumed);
    }
    mutex_unlock(&group->lock);
}

static void stop_others(CpuGroup *group)
{
    for (size_t i = 0; i < group->cpus.count; i++) {
        if (group->cpus.items[i]->running) {
            cpu_kick(group->cpus.items[i], CPU_ATTENTION_EXCLUSIVE);
        }
    }
    while (group->running > 0) {
        condition_wait(&group->idle, &group->lock);
    }
}

void cpu_exclusive(Cpu *cpu, void (*body)(Cpu *cpu, void *data), void *data)
{
    CpuGroup *group = cpu->group;

    mutex_lock(&group->lock);
    bool nested = group->alone == cpu, was_running = cpu->running;
    if (!nested) {
        if (was_running) {
            stop_running(cpu);
        }
        wait_while_exclusive(group);
        group->alone = cpu;
        stop_others(group);
    }
    mutex_unlock(&group->lock);
    body(cpu, data);
    if (nested) {
        return;
    }
    mutex_lock(&group->lock);
    group->alone = NULL;
    if (was_running) {
        start_running(cpu);
    }
    condition_broadcast(&group->resumed);
    mutex_unlock(&group->lock);
}

bool group_has_reached(CpuGroup *group, uint64_t epoch, const Cpu *but)
{
    bool reached = true;

    mutex_lock(&group->lock);
    for (size_t i = 0; i < group->cpus.count; i++) {
        Cpu *cpu = group->cpus.items[i];
        if (cpu != but && !code_has_reached(cpu, epoch)) {
            cpu_kick(cpu, CPU_ATTENTION_DROP);
            reached = false;
        }
    }
    mutex_unlock(&group->lock);
    return reached;
}

static void ask_all_to_drop(CpuGroup *group, uint32_t what)
{
    mutex_lock(&group->lock);
    for (size_t i = 0; i < group->cpus.count; i++) {
        atomic_fetch_or(&group->cpus.items[i]->drop, what);
        cpu_kick(group->cpus.items[i], CPU_ATTENTION_DROP);
    }
    mutex_unlock(&group->lock);
}

void cpu_group_tlb_flush(CpuGroup *group)
{
    ask_all_to_drop(group, CPU_DROP_TLB);
}

void cpu_group_code_changed(CpuGroup *group)
{
    ask_all_to_drop(group, CPU_DROP_CODE);
}

void cpu_group_drop_code(CpuGroup *group, const void *ram, uint64_t first, uint64_t last)
{
    mutex_lock(&group->lock);
    CodeCache *code = group->cpus.count ? group->code : NULL;
    unsigned page_bits = code ? group->cpus.items[0]->exec.page_bits : 0;
    mutex_unlock(&group->lock);
    if (code) {
        code_drop_range(code, ram, first, last, page_bits);
    }
    ask_all_to_drop(group, CPU_DROP_INTERPRETED | CPU_DROP_TARGETS);
}

void cpu_check_code(Cpu *cpu, const void *ram, uint64_t first, uint64_t last)
{
    if (cpu->code) {
        code_check_range(cpu, ram, first, last);
    }
    ask_all_to_drop(cpu->group, CPU_DROP_INTERPRETED | CPU_DROP_TARGETS);
}

bool cpu_group_report_code(CpuGroup *group, StrBuf *out)
{
    if (!group->code) {
        return false;
    }
    const CodeSummary sum = code_sum_up(group->code);
    mutex_lock(&group->lock);
    code_report(group->code, &sum, group->cpus.items, group->cpus.count, out);
    mutex_unlock(&group->lock);
    return true;
}
