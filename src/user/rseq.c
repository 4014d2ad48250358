#include "user/rseq.h"

#include "base/bytes.h"
#include "user/signal.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

/* struct rseq and struct rseq_cs, alike on all guests. */
enum { AREA_CPU_START = 0, AREA_CPU = 4, AREA_SEQUENCE = 8, AREA_FLAGS = 16, AREA_NODE = 20, AREA_CONCURRENCY = 24,
       AREA_ORIGINAL_SIZE = 32 };
enum { SEQUENCE_VERSION = 0, SEQUENCE_FLAGS = 4, SEQUENCE_START = 8, SEQUENCE_LENGTH = 16, SEQUENCE_ABORT = 24,
       SEQUENCE_SIZE = 32 };
enum { FLAG_UNREGISTER = 1 };

/* -- the area ------------------------------------------------------------------------------------------------------ */

static bool write_area(Task *task, uint32_t cpu_start, uint32_t cpu, uint32_t node, uint32_t concurrency_id)
{
    uint8_t first[8], second[8];

    store_le32(first, cpu_start);
    store_le32(first + 4, cpu);
    store_le32(second, node);
    store_le32(second + 4, concurrency_id);
    return !memory_write(task_memory(task), task->rseq.address + AREA_CPU_START, first, sizeof first) &&
           !memory_write(task_memory(task), task->rseq.address + AREA_NODE, second, sizeof second);
}

static bool show_slot(Task *task)
{
    unsigned cpu = task->slot.number;

    return write_area(task, cpu, cpu, slots_node(task, cpu), task->slot.concurrency_id);
}

/* -- sequences ----------------------------------------------------------------------------------------------------- */

typedef struct Sequence {
    uint64_t start, length, abort;
    uint32_t flags;
} Sequence;

static bool clear_sequence(Task *task)
{
    const uint64_t none = 0;
    return !memory_write(task_memory(task), task->rseq.address + AREA_SEQUENCE, &none, sizeof none);
}

/* The one that the area names; of no length: it names none. False: it is none. */
static bool read_sequence(Task *task, Sequence *sequence)
{
    const GuestMemory *memory = task_memory(task);
    uint8_t bytes[SEQUENCE_SIZE], signature[4];
    uint64_t address;

    *sequence = (Sequence){ 0 };
    if (memory_read_word(memory, task->rseq.address + AREA_SEQUENCE, 8, &address)) {
        return false;
    }
    if (!address) {
        return true;
    }
    if (address >= memory->limit || memory_read(memory, bytes, address, sizeof bytes)) {
        return false;
    }
    *sequence = (Sequence){ load_le64(bytes + SEQUENCE_START), load_le64(bytes + SEQUENCE_LENGTH),
                            load_le64(bytes + SEQUENCE_ABORT), load_le32(bytes + SEQUENCE_FLAGS) };
    uint64_t end = sequence->start + sequence->length;
    return sequence->start < memory->limit && end < memory->limit && sequence->abort < memory->limit &&
           !load_le32(bytes + SEQUENCE_VERSION) && end >= sequence->start &&
           sequence->abort - sequence->start >= sequence->length &&
           !memory_read(memory, signature, sequence->abort - sizeof signature, sizeof signature) &&
           load_le32(signature) == task->rseq.signature;
}

/* A thread within its sequence goes on where that is abandoned; that of one outside is forgotten. False: what the area
 * says is wrong. */
static bool abandon_sequence(Task *task)
{
    Cpu *cpu = task->cpu;
    Sequence sequence;
    uint64_t flags;

    if (!read_sequence(task, &sequence)) {
        return false;
    }
    if (cpu->guest->pc(cpu) - sequence.start >= sequence.length) {
        return clear_sequence(task);
    }
    if (sequence.flags || memory_read_word(task_memory(task), task->rseq.address + AREA_FLAGS, 4, &flags) || flags ||
        !clear_sequence(task)) {
        return false;
    }
    cpu->guest->set_pc(cpu, sequence.abort);
    return true;
}

bool rseq_settle(Task *task)
{
    bool restart;

    if (!slots_settle(task, &restart)) {
        return false;
    }
    if (restart && !(abandon_sequence(task) && show_slot(task))) {
        signal_force(task, SIGSEGV, SI_KERNEL, 0);
    }
    return true;
}

bool rseq_signal(Task *task)
{
    return !task->rseq.address || abandon_sequence(task);
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

static int64_t unregister(Task *task, const RseqArea *area)
{
    if (task->rseq.address != area->address || !area->address || task->rseq.size != area->size) {
        return -EINVAL;
    }
    if (task->rseq.signature != area->signature) {
        return -EPERM;
    }
    if (!write_area(task, 0, UINT32_MAX, 0, 0)) {
        return -EFAULT;
    }
    slots_leave(task);
    task->rseq = (RseqArea){ 0 };
    return 0;
}

static int64_t register_area(Task *task, const RseqArea *area)
{
    uint64_t sequence;

    if (task->rseq.address) {
        return task->rseq.address != area->address || task->rseq.size != area->size ? -EINVAL
               : task->rseq.signature != area->signature                            ? -EPERM
                                                                                    : -EBUSY;
    }
    if (area->size < AREA_ORIGINAL_SIZE || area->address % RSEQ_ALIGNMENT) {
        return -EINVAL;
    }
    if (!memory_contains(task_memory(task), area->address, area->size) ||
        memory_read_word(task_memory(task), area->address + AREA_SEQUENCE, 8, &sequence)) {
        return -EFAULT;
    }
    task->rseq = *area;
    if (sequence && !clear_sequence(task)) {
        task->rseq = (RseqArea){ 0 };
        return -EFAULT;
    }
    slots_join(task);
    return 0;
}

int64_t sys_rseq(Task *task, const uint64_t *a)
{
    const RseqArea area = { a[0], (uint32_t)a[1], (uint32_t)a[3] };
    uint32_t flags = (uint32_t)a[2];

    if (!task->process->slots) {
        return -ENOSYS;
    }
    if (flags & ~(uint32_t)FLAG_UNREGISTER) {
        return -EINVAL;
    }
    return flags ? unregister(task, &area) : register_area(task, &area);
}

/* A thread with an area is on the processor that stands there. */
int64_t sys_getcpu(Task *task, const uint64_t *a)
{
    if (!task->rseq.address) {
        return syscall_forward(task, &syscall_table[SYSCALL_getcpu], a);
    }
    unsigned cpu = task->slot.number;
    if ((a[0] && memory_write_word(task_memory(task), a[0], 4, cpu)) ||
        (a[1] && memory_write_word(task_memory(task), a[1], 4, slots_node(task, cpu)))) {
        return -EFAULT;
    }
    return 0;
}

int64_t sys_sched_setaffinity(Task *task, const uint64_t *a)
{
    int64_t result = syscall_forward(task, &syscall_table[SYSCALL_sched_setaffinity], a);

    if (result >= 0 && task->process->slots) {
        slots_interrupt(task, slots_is_thread, a[0] ? (int)a[0] : task->tid);
    }
    return result;
}

/* The host's kernel knows who has registered for what. */
int64_t sys_membarrier(Task *task, const uint64_t *a)
{
    uint32_t flags = (uint32_t)a[1];
    int cpu = (int)a[2];
    int64_t result;

    if ((int)a[0] != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ || flags & ~(uint32_t)MEMBARRIER_CMD_FLAG_CPU) {
        result = syscall_forward(task, &syscall_table[SYSCALL_membarrier], a);
        if (!result && (int)a[0] == MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) {
            cpu_check_code(task->cpu, task_memory(task), 0, UINT64_MAX);
        }
        return result;
    }
    result = host_call(task, SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0, 0, 0, 0);
    if (!result && task->process->slots) {
        slots_interrupt(task, flags && cpu >= 0 ? slots_is_on : slots_is_any, cpu);
    }
    return result;
}
