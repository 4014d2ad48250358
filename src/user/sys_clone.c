/*
 * Threads and processes: all forms of clone, and how they end.
 *
 * A thread of the guest is one of the host. A process that shares memory with its parent (vfork, posix_spawn) is one of
 * the host too: it runs on a stack of its own as its parent's thread, which waits for it in the kernel; where the
 * guest's thread is not to wait, another one does so for it. Everything else is fork(2), or the kernel's clone for the
 * flags that fork does not know.
 *
 * Not here: threads that are put into a list of a signal handler table of their own (CLONE_SIGHAND is CLONE_THREAD's).
 */
#include "base/error.h"
#include "base/log.h"
#include "user/debug.h"
#include "user/signal.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

enum { HOST_STACK = 512 << 10, ROBUST_LIMIT = 2048 };

typedef struct CloneRequest {
    uint64_t flags; /* CLONE_ bits without the signal */
    bool clear_handlers; /* CLONE_CLEAR_SIGHAND */
    int signal;
    uint64_t stack, tls, parent_tid, child_tid, pidfd;
} CloneRequest;

/* -- ends -------------------------------------------------------------------------------------------------------- */

NORETURN void process_exit(Task *task, int status)
{
    debug_end(task, status, 0);
    _exit(status);
}

int64_t sys_exit_group(Task *task, const uint64_t *a)
{
    process_exit(task, (int)a[0]);
}

/* This thread alone, by task_run. */
int64_t sys_exit(Task *task, const uint64_t *a)
{
    task->ended = true;
    task->exit_status = (int)a[0];
    return SYSCALL_NO_RESULT;
}

/* Writes `value` where `expected` still stands; what stands there then goes to `*expected`. False: there is no
 * memory. */
static bool swap_word(Task *task, uint64_t address, uint32_t *expected, uint32_t value)
{
    Exec *exec = &task->cpu->exec;
    ExecGuard guard;
    uint64_t host;

    if (address & 3 || !guest_pointer(task, address, 4, &host) || !host) {
        return false;
    }
    exec->guard = &guard;
    bool ok = !_setjmp(guard.place);
    if (ok) {
        __atomic_compare_exchange_n((uint32_t *)(uintptr_t)host, expected, value, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    }
    exec->guard = NULL;
    return ok;
}

static void wake(Task *task, uint64_t address, int count)
{
    uint64_t host;

    if (guest_pointer(task, address, 4, &host)) {
        syscall(SYS_futex, host, FUTEX_WAKE, count, NULL, NULL, 0);
    }
}

/* A lock that the thread held goes to whoever waits for it, marked: kernel/futex's handle_futex_death. */
static void release_lock(Task *task, uint64_t address, bool inherits, bool was_pending)
{
    uint32_t value;

    if (memory_read(task_memory(task), &value, address, sizeof value)) {
        return;
    }
    if (was_pending && !inherits && !value) {
        wake(task, address, 1);
        return;
    }
    while ((value & FUTEX_TID_MASK) == (uint32_t)task->tid) {
        uint32_t expected = value;
        if (!swap_word(task, address, &expected, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) {
            return;
        }
        if (expected == value) {
            if (!inherits && value & FUTEX_WAITERS) {
                wake(task, address, 1);
            }
            return;
        }
        value = expected;
    }
}

/* The list that set_robust_list told of: its next entry, the distance from an entry to its lock, and the entry that was
 * being put in or taken out. Bit 0 of an entry's address: a lock with priority inheritance. */
static void release_robust_list(Task *task)
{
    GuestMemory *memory = task_memory(task);
    unsigned size = task_abi(task)->word_size;
    uint64_t head = task->robust_list, entry, offset, pending;

    if (!head || memory_read_word(memory, head, size, &entry) || memory_read_word(memory, head + size, size, &offset) ||
        memory_read_word(memory, head + 2 * size, size, &pending)) {
        return;
    }
    offset = size == 4 ? (uint64_t)(int32_t)offset : offset;
    for (unsigned i = 0; i < ROBUST_LIMIT && (entry & ~UINT64_C(1)) != head; i++) {
        uint64_t next, at = entry & ~UINT64_C(1);
        bool more = !memory_read_word(memory, at, size, &next);
        if (at != (pending & ~UINT64_C(1))) {
            release_lock(task, at + offset, entry & 1, false);
        }
        if (!more) {
            break;
        }
        entry = next;
    }
    if (pending) {
        release_lock(task, (pending & ~UINT64_C(1)) + offset, pending & 1, true);
    }
}

/* What others may see of a thread's end, in the kernel's order. */
static void announce_end(Task *task)
{
    const uint32_t zero = 0;

    release_robust_list(task);
    syscall(SYS_set_robust_list, NULL, 3 * sizeof(long));
    if (task->clear_tid && !memory_write(task_memory(task), task->clear_tid, &zero, sizeof zero)) {
        wake(task, task->clear_tid, 1);
    }
}

/* Returns where the process goes on and this is not its first thread. */
static void task_end(Task *task)
{
    Process *process = task->process;
    int status = task->exit_status;
    bool is_first = task->tid == getpid();

    signals_block();
    mutex_lock(&process->lock);
    list_remove(&task->link);
    bool last = list_empty(&process->tasks);
    mutex_unlock(&process->lock);
    if (last) {
        process_exit(task, status);
    }
    announce_end(task);
    task_set_current(NULL);
    task_free(task);
    if (is_first) {
        syscall(SYS_exit, status); /* the process goes on without it */
    }
}

NORETURN void task_main(Task *task)
{
    task_run(task);
    task_end(task);
    abort();
}

/* -- threads ------------------------------------------------------------------------------------------------------- */

/* What the one who starts a thread, or a process that shares memory, waits for. */
typedef struct Start {
    Task *task;
    const CloneRequest *request;
    Mutex lock;
    Condition wake;
    int64_t result; /* the child's ID or a negative errno value; 0: not yet */
} Start;

static void start_init(Start *start, Task *task, const CloneRequest *request)
{
    *start = (Start){ .task = task, .request = request };
    mutex_init(&start->lock);
    condition_init(&start->wake);
}

static void start_report(Start *start, int64_t result)
{
    mutex_lock(&start->lock);
    start->result = result;
    condition_signal(&start->wake);
    mutex_unlock(&start->lock);
}

static int64_t start_wait(Start *start)
{
    mutex_lock(&start->lock);
    while (!start->result) {
        condition_wait(&start->wake, &start->lock);
    }
    mutex_unlock(&start->lock);
    condition_destroy(&start->wake);
    mutex_destroy(&start->lock);
    return start->result;
}

/* By the child: its number is told to whoever is to know it. */
static void tell_tid(Task *task, const CloneRequest *request)
{
    GuestMemory *memory = task_memory(task);

    task->tid = (int)syscall(SYS_gettid);
    task->clear_tid = request->flags & CLONE_CHILD_CLEARTID ? request->child_tid : 0;
    if (request->flags & CLONE_CHILD_SETTID) {
        memory_write(memory, request->child_tid, &task->tid, sizeof task->tid);
    }
    if (request->flags & CLONE_PARENT_SETTID) {
        memory_write(memory, request->parent_tid, &task->tid, sizeof task->tid);
    }
}

static void join_process(Task *task)
{
    mutex_lock(&task->process->lock);
    list_append(&task->process->tasks, &task->link);
    mutex_unlock(&task->process->lock);
}

/* A task for the child, which begins where its parent is. */
static Task *new_child(Process *process, const Task *parent, const CloneRequest *request)
{
    AUTO_ERROR(error);
    Task *task = task_new(process, &error);

    if (task) {
        task->mask = parent->mask;
        task->process->abi->start_child(task->cpu, parent->cpu, request->stack, request->flags & CLONE_SETTLS,
                                        request->tls);
    }
    return task;
}

static void *run_thread(void *argument)
{
    Start *start = argument;
    Task *task = start->task;
    uint64_t shared = CLONE_FS | CLONE_FILES;

    task_set_current(task);
    signals_begin_thread(task->process);
    if (~start->request->flags & shared) {
        unshare((int)(~start->request->flags & shared));
    }
    tell_tid(task, start->request);
    join_process(task);
    start_report(start, task->tid);
    signals_set_mask(task, task->mask);
    task_run(task);
    task_end(task);
    return NULL;
}

/* With all signals blocked: the thread begins so too. */
static bool start_thread(Process *process, void *(*run)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, HOST_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int result = pthread_create(&thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    signals_begin_thread(process);
    return !result;
}

static int64_t clone_thread(Task *task, const CloneRequest *request)
{
    const uint64_t needed = CLONE_VM | CLONE_SIGHAND;
    Start start;

    if ((request->flags & needed) != needed || request->flags & (CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD)) {
        return -EINVAL;
    }
    Task *child = new_child(task->process, task, request);
    if (!child) {
        return -ENOMEM;
    }
    start_init(&start, child, request);
    signals_block();
    if (!start_thread(task->process, run_thread, &start)) {
        task_free(child);
        start.result = -EAGAIN;
    }
    int64_t result = start_wait(&start);
    signals_set_mask(task, task->mask);
    return result;
}

/* -- processes that share memory ----------------------------------------------------------------------------------- */

typedef struct SharedStart {
    Start start;
    Process process;   /* the child's */
    SignalActions actions;
    CloneRequest request;
    int pidfd;
    Task *parent;
    DebugFork debug;
} SharedStart;

static void run_shared(void *data)
{
    SharedStart *shared = data;
    Task *task = shared->start.task;

    task_set_current(task);
    if (shared->request.clear_handlers) {
        signals_clear(task->process);
    }
    tell_tid(task, &shared->request);
    join_process(task);
    start_report(&shared->start, task->tid);
    debug_vfork_child(task, shared->parent, &shared->debug);
    signals_set_mask(task, task->mask);
    task_run(task);
    announce_end(task);
    process_exit(task, task->exit_status);
}

/* There where addresses are watched: what the child that ended on the stack left in its frames is forgotten. */
void __asan_unpoison_memory_region(const volatile void *address, size_t size) __attribute__((weak));

static void free_stack(void *stack)
{
    munmap(stack, HOST_STACK);
    if (__asan_unpoison_memory_region) {
        __asan_unpoison_memory_region(stack, HOST_STACK);
    }
}

/* Until the child has ended or has become another program: its ID or an error. */
static int64_t run_child(SharedStart *shared)
{
    const uint64_t own = CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | CLONE_SETTLS;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    uint8_t *stack = mmap(NULL, HOST_STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
    Task *task = shared->start.task;

    if (stack == MAP_FAILED) {
        task_free(task);
        return -ENOMEM;
    }
    int64_t result = user_vfork((shared->request.flags & ~own) | (unsigned)shared->request.signal, stack + HOST_STACK,
                                run_shared, shared, &shared->pidfd);
    free_stack(stack);
    cpu_group_abandon(task->cpu); /* it may have been killed */
    exec_forget(task);
    task_free(task);
    return result;
}

static void *run_donor(void *data)
{
    SharedStart *shared = data;

    signals_begin_thread(shared->parent->process);
    int64_t result = run_child(shared);

    if (result < 0) {
        start_report(&shared->start, result); /* nobody else does */
    }
    mutex_destroy(&shared->process.lock);
    return NULL;
}

static SharedStart *new_shared(Task *task, const CloneRequest *request)
{
    SharedStart *shared = NEW(SharedStart);
    Process *process = &shared->process;

    shared->request = *request;
    shared->parent = task;
    *process = *task->process;
    mutex_init(&process->lock);
    list_init(&process->tasks);
    if (!(request->flags & CLONE_SIGHAND)) {
        mutex_init(&shared->actions.lock);
        mutex_lock(&task->process->signals->lock);
        memcpy(shared->actions.actions, task->process->signals->actions, sizeof shared->actions.actions);
        mutex_unlock(&task->process->signals->lock);
        process->signals = &shared->actions;
    }
    Task *child = new_child(process, task, request);
    if (!child) {
        free(shared);
        return NULL;
    }
    if (request->flags & CLONE_VFORK) {
        child->alternate_stack = task->alternate_stack;
        child->alternate_size = task->alternate_size;
        child->alternate_flags = task->alternate_flags;
    }
    start_init(&shared->start, child, &shared->request);
    return shared;
}

static int64_t give_pidfd(Task *task, const CloneRequest *request, int pidfd)
{
    return request->flags & CLONE_PIDFD ? memory_write(task_memory(task), request->pidfd, &pidfd, sizeof pidfd) : 0;
}

/* The child's `shared` stays for good where nobody can tell when it is not used any more: it is small. */
static int64_t clone_shared(Task *task, const CloneRequest *request)
{
    SharedStart *shared = new_shared(task, request);
    int64_t result;

    if (!shared) {
        return -ENOMEM;
    }
    signals_block();
    if (request->flags & CLONE_VFORK) {
        debug_vfork_begin(task, &shared->process, &shared->debug);
        result = run_child(shared);
        task_set_current(task);
        debug_vfork_end(task, &shared->debug);
    } else {
        shared->request.flags |= CLONE_VFORK;
        bool started = start_thread(task->process, run_donor, shared);
        if (!started) {
            task_free(shared->start.task);
        }
        result = started ? start_wait(&shared->start) : -EAGAIN;
    }
    if (result > 0 && give_pidfd(task, request, shared->pidfd)) {
        result = -EFAULT;
    }
    if (request->flags & CLONE_VFORK) {
        free(shared);
    }
    signals_set_mask(task, task->mask);
    return result;
}

/* -- processes of their own ---------------------------------------------------------------------------------------- */

static void fork_begin(Process *process)
{
    mutex_lock(&process->lock);
    slots_fork_begin(process->slots);
    mutex_lock(&process->signals->lock);
    mutex_lock(&process->memory->lock);
    cpu_group_fork_begin(process->group);
    log_lock(process->log);
}

static void fork_end(Task *task, bool is_child)
{
    Process *process = task->process;

    log_unlock(process->log);
    cpu_group_fork_end(process->group, task->cpu, is_child);
    mutex_unlock(&process->memory->lock);
    mutex_unlock(&process->signals->lock);
    slots_fork_end(process->slots, task, is_child);
    if (is_child) {
        list_init(&process->tasks);
        list_append(&process->tasks, &task->link);
    }
    mutex_unlock(&process->lock);
}

static int64_t host_fork(const CloneRequest *request, int *pidfd)
{
    const uint64_t own = CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | CLONE_SETTLS;
    uint64_t flags = request->flags & ~own;

    if (!flags && request->signal == SIGCHLD) {
        pid_t child = fork();
        return child < 0 ? -errno : child;
    }
    long child = syscall(SYS_clone, flags | (unsigned)request->signal, NULL, pidfd, NULL, NULL);
    return child < 0 ? -errno : child;
}

static int64_t clone_process(Task *task, const CloneRequest *request)
{
    DebugFork fork;
    int pidfd = -1;

    signals_block();
    debug_fork_begin(task, &fork);
    fork_begin(task->process);
    int64_t child = host_fork(request, &pidfd);
    fork_end(task, !child);
    if (!child) {
        CloneRequest own = *request;
        own.flags &= ~(uint64_t)CLONE_PARENT_SETTID;
        task->robust_list = 0;
        if (request->clear_handlers) {
            signals_clear(task->process);
        }
        tell_tid(task, &own);
        task_abi(task)->start_child(task->cpu, task->cpu, request->stack, request->flags & CLONE_SETTLS, request->tls);
        debug_fork_child(task, &fork);
    } else if (child > 0) {
        int tid = (int)child;
        if (request->flags & CLONE_PARENT_SETTID) {
            memory_write(task_memory(task), request->parent_tid, &tid, sizeof tid);
        }
        give_pidfd(task, request, pidfd);
    }
    if (child) {
        debug_fork_parent(task, &fork, (int)child);
    }
    signals_set_mask(task, task->mask);
    return child;
}

/* -- the calls ----------------------------------------------------------------------------------------------------- */

static int64_t clone_by(Task *task, const CloneRequest *request)
{
    const uint64_t vm = CLONE_VM, hand = CLONE_SIGHAND;

    if ((request->flags & hand && !(request->flags & vm)) ||
        (request->flags & CLONE_THREAD && !(request->flags & hand)) ||
        (request->flags & CLONE_PIDFD && request->flags & (CLONE_DETACHED | CLONE_THREAD))) {
        return -EINVAL;
    }
    return request->flags & CLONE_THREAD ? clone_thread(task, request)
           : request->flags & CLONE_VM   ? clone_shared(task, request)
                                         : clone_process(task, request);
}

/* flags, stack, parent's tid, TLS, child's tid: the order of arguments that most guests have. */
int64_t sys_clone(Task *task, const uint64_t *a)
{
    const CloneRequest request = {
        .flags = a[0] & UINT32_MAX & ~(uint64_t)CSIGNAL,
        .signal = (int)(a[0] & CSIGNAL),
        .stack = a[1],
        .parent_tid = a[2],
        .tls = a[3],
        .child_tid = a[4],
        .pidfd = a[2],
    };

    if (request.flags & CLONE_PIDFD && request.flags & CLONE_PARENT_SETTID) {
        return -EINVAL;
    }
    return clone_by(task, &request);
}

/* struct clone_args: words of 64 bits on every guest. What follows the ten that are known must be zero. */
static int64_t read_clone_args(Task *task, uint64_t address, uint64_t size, uint64_t words[11])
{
    uint8_t byte;

    if (size < 64) {
        return -EINVAL;
    }
    if (size > GUEST_PAGE_SIZE) {
        return -E2BIG;
    }
    if (memory_read(task_memory(task), words, address, MIN(size, 88))) {
        return -EFAULT;
    }
    for (uint64_t i = 88; i < size; i++) {
        if (memory_read(task_memory(task), &byte, address + i, 1)) {
            return -EFAULT;
        }
        if (byte) {
            return -E2BIG;
        }
    }
    return 0;
}

int64_t sys_clone3(Task *task, const uint64_t *a)
{
    enum { FLAGS, PIDFD, CHILD_TID, PARENT_TID, EXIT_SIGNAL, STACK, STACK_SIZE, TLS, SET_TID, SET_TID_SIZE, CGROUP,
           WORDS };
    const uint64_t clear_sighand = UINT64_C(1) << 32;
    uint64_t w[WORDS] = { 0 };
    int64_t result = read_clone_args(task, a[0], a[1], w);

    if (result) {
        return result;
    }
    if (w[FLAGS] & (CSIGNAL | CLONE_DETACHED) || w[EXIT_SIGNAL] & ~(uint64_t)CSIGNAL || w[EXIT_SIGNAL] > SIGNALS ||
        !w[STACK] != !w[STACK_SIZE] || (w[FLAGS] & (CLONE_THREAD | CLONE_PARENT) && w[EXIT_SIGNAL])) {
        return -EINVAL;
    }
    if (w[SET_TID] || w[SET_TID_SIZE]) {
        return -EPERM; /* for those who restore processes */
    }
    if (w[FLAGS] & ~(clear_sighand | UINT32_MAX)) {
        return w[FLAGS] >> 34 ? -EINVAL : -EOPNOTSUPP; /* CLONE_INTO_CGROUP */
    }
    if (w[FLAGS] & clear_sighand && w[FLAGS] & CLONE_SIGHAND) {
        return -EINVAL;
    }
    if (w[STACK] && !memory_contains(task_memory(task), w[STACK], w[STACK_SIZE])) {
        return -EINVAL;
    }
    const CloneRequest request = {
        .flags = w[FLAGS] & UINT32_MAX,
        .clear_handlers = w[FLAGS] & clear_sighand,
        .signal = (int)w[EXIT_SIGNAL],
        .stack = w[STACK] + w[STACK_SIZE],
        .parent_tid = w[PARENT_TID],
        .tls = w[TLS],
        .child_tid = w[CHILD_TID],
        .pidfd = w[PIDFD],
    };
    return clone_by(task, &request);
}

int64_t sys_set_tid_address(Task *task, const uint64_t *a)
{
    task->clear_tid = a[0];
    return task->tid;
}

/* The host's kernel is told too where it can read the list: it serves when we are killed. */
int64_t sys_set_robust_list(Task *task, const uint64_t *a)
{
    if (a[1] != 3u * task_abi(task)->word_size) {
        return -EINVAL;
    }
    task->robust_list = a[0];
    if (guest_is_like_host(task) && memory_contains(task_memory(task), a[0], a[1])) {
        syscall(SYS_set_robust_list, a[0], a[1]);
    }
    return 0;
}

int64_t sys_get_robust_list(Task *task, const uint64_t *a)
{
    unsigned size = task_abi(task)->word_size;
    int64_t result = a[0] ? -ESRCH : 0;
    uint64_t list = task->robust_list;

    mutex_lock(&task->process->lock);
    LIST_FOREACH(&task->process->tasks, other, Task, link) {
        if (a[0] && other->tid == (int)a[0]) {
            list = other->robust_list;
            result = 0;
        }
    }
    mutex_unlock(&task->process->lock);
    if (result && !syscall(SYS_tgkill, (int)a[0], (int)a[0], 0)) {
        return -EPERM; /* another process's */
    }
    if (!result && (memory_write_word(task_memory(task), a[2], size, 3 * size) ||
                    memory_write_word(task_memory(task), a[1], size, list))) {
        return -EFAULT;
    }
    return result;
}
