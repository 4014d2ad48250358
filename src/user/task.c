/* A thread of the guest: its vCPU, the loop around it, what the processor's exceptions become. */
#include "base/error.h"
#include "base/host/host.h"
#include "cpu/cpu.h"
#include "user/debug.h"
#include "user/options.h"
#include "user/rseq.h"
#include "user/signal.h"
#include "user/syscall.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Signal handlers get nothing else to find their task by. */
static _Thread_local Task *current_task;

Task *task_current(void)
{
    return current_task;
}

void task_set_current(Task *task)
{
    current_task = task;
}

/* -- memory and time as the vCPU asks for them -------------------------------------------------------------------- */

static uint8_t permissions(const MemoryRange *range)
{
    return (range->protection & PROT_READ ? MMU_PERM_READ : 0) | (range->protection & PROT_WRITE ? MMU_PERM_WRITE : 0) |
           (range->protection & PROT_EXEC ? MMU_PERM_EXECUTE : 0);
}

static bool user_walk(Cpu *cpu, uint64_t address, unsigned access, bool probe, MmuResult *result)
{
    Task *task = cpu->bus_data;
    MemoryRange range;
    bool found = memory_lookup(task_memory(task), address, &range);
    uint8_t allowed = found ? permissions(&range) : 0;

    if (probe ? !found : !(allowed >> access & 1)) {
        if (!probe) {
            cpu_raise_more(cpu, task_abi(task)->page_faults[access], address, found);
        }
        return false;
    }
    *result = (MmuResult){ .physical = address, .page_bits = GUEST_PAGE_BITS, .permissions = allowed };
    return true;
}

static void user_page(Cpu *cpu, uint64_t physical, unsigned page_bits, BusPage *page)
{
    GuestMemory *memory = task_memory(cpu->bus_data);
    MemoryRange range;

    if (memory_lookup(memory, physical, &range) && range.protection && !debug_watches(cpu->bus_data, physical)) {
        *page = (BusPage){ .host = memory_host(memory, physical), .writable = range.protection & PROT_WRITE,
                           .ram = memory, .ram_offset = physical };
    }
}

/* A page that is watched; else it went while it was looked up. */
static AccessResult user_read(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t *value)
{
    Task *task = cpu->bus_data;

    if (!debug_watches(task, align_down(physical, GUEST_PAGE_SIZE)) ||
        memory_read_word(task_memory(task), physical, size, value)) {
        return ACCESS_RETRY;
    }
    debug_accessed(task, physical, size, false);
    return ACCESS_OK;
}

static AccessResult user_write(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t value)
{
    Task *task = cpu->bus_data;

    if (!debug_watches(task, align_down(physical, GUEST_PAGE_SIZE)) ||
        memory_write_word(task_memory(task), physical, size, value)) {
        return ACCESS_RETRY;
    }
    debug_accessed(task, physical, size, true);
    return ACCESS_OK;
}

static uint64_t user_time(Cpu *cpu)
{
    return (uint64_t)host_monotonic_ns() / 100; /* 10 MHz */
}

static const CpuBus user_bus = {
    .page = user_page,
    .read = user_read,
    .write = user_write,
    .time = user_time,
    .walk = user_walk,
};

/* -- tasks ------------------------------------------------------------------------------------------------------- */

Task *task_new(Process *process, Error **error)
{
    Task *task = NEW(Task);

    task->process = process;
    mutex_lock(&process->lock);
    unsigned index = process->next_index++;
    mutex_unlock(&process->lock);
    task->cpu = cpu_new(process->abi->guest, process->cpu_config, index, process->group, &user_bus, task, process->log,
                        error);
    if (!task->cpu) {
        free(task);
        return NULL;
    }
    debug_prepare(task);
    task->cpu->exceptions_exit = true;
    task->cpu->exec.guarded = true;
    task->cpu->exec.base = (uintptr_t)process->memory->base;
    return task;
}

void task_free(Task *task)
{
    slots_leave(task);
    cpu_free(task->cpu);
    free(task);
}

static void handle_exception(Task *task)
{
    UserException exception = { 0 };

    task_abi(task)->exception(task->cpu, &exception);
    task->cpu->exec.exception.pending = false;
    if (exception.kind == EXCEPTION_SYSCALL) {
        syscall_run(task);
    } else if (exception.signal != SIGTRAP || !debug_breakpoint(task)) {
        signal_force(task, exception.signal, exception.code, exception.address);
    }
}

void task_run(Task *task)
{
    while (!task->ended) {
        if (atomic_load(&task->pending) || task->mask_saved) {
            signals_deliver(task);
        }
        if (UNLIKELY(atomic_load(&task->slot.look)) && !rseq_settle(task)) {
            continue;
        }
        bool steps = debug_enter(task);
        CpuExit reason = cpu_run(task->cpu, INT64_MAX);
        debug_leave(task);
        if (reason == CPU_EXIT_EXCEPTION) {
            handle_exception(task);
        }
        debug_ran(task, steps && reason != CPU_EXIT_STOPPED);
    }
}
