/*
 * Signals of the guest. The host's mask is the guest's while it runs and in its system calls, so that the host's kernel
 * queues, orders and merges signals. When one comes, the host's handler notes it, keeps all others off and has the
 * vCPU leave its loop; between two instructions the frame is made. A call that was interrupted is begun anew, or gives
 * EINTR, by the flags of the guest's handler.
 *
 * Numbers 32 and 33 are the guest's like all others: this program makes none of the libc calls that use them, and what
 * libc does for its own with the first thread is taken back.
 *
 * Not here: a fault signal sent by another process while the guest blocks it (it is delivered nevertheless).
 */
#include "user/signal.h"

#include "base/log.h"
#include "trace/user.h"
#include "user/coredump.h"
#include "user/debug.h"
#include "user/host/host.h"
#include "user/rseq.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (UINT32_C(1) << 31)
#endif

enum { HANDLER_DEFAULT = 0, HANDLER_IGNORE = 1, SIGNAL_SET_SIZE = 8 };

#define SIGNAL_BIT(number) BIT((number) - 1)
#define FAULTS (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS))
#define NEVER_BLOCKED (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

static bool is_fault(int number)
{
    return SIGNAL_BIT(number) & FAULTS;
}

void signals_set_mask(Task *task, uint64_t mask)
{
    task->mask = mask & ~NEVER_BLOCKED;
    if (!task->signal.is_set) {
        uint64_t host = task->mask & ~FAULTS;
        user_set_mask(SIG_SETMASK, &host, NULL);
    }
}

void signals_block(void)
{
    const uint64_t all = ~FAULTS;
    user_set_mask(SIG_SETMASK, &all, NULL);
}

/* -- from the host ----------------------------------------------------------------------------------------------- */

static void leave_guard(void *cpu)
{
    exec_guard_leave(&((Cpu *)cpu)->exec);
}

/* By now: another thread may have mapped the page since the fault. */
static bool may_access(GuestMemory *memory, uint64_t address, bool writes)
{
    MemoryRange range;

    return address < memory->limit && memory_lookup(memory, address, &range) &&
           range.protection & (writes ? PROT_WRITE : PROT_READ | PROT_EXEC);
}

/* A fault of the host's at an address of the guest's: a copy that ends short, or the guest's own fault. Where the guest
 * may access it by now, that is made again. False: a bug of ours. */
static bool is_guest_fault(Task *task, int number, const siginfo_t *info, void *context)
{
    GuestMemory *memory = task ? task_memory(task) : NULL;
    uintptr_t where = (uintptr_t)info->si_addr;
    bool writes = user_context_is_write(context), told = info->si_code != SI_KERNEL;

    if (user_fix_copy(context)) {
        return true;
    }
    if (!memory) {
        return false;
    }
    Exec *exec = &task->cpu->exec;
    uint64_t address = where - (uintptr_t)memory->base;
    if (number == SIGSEGV && told && !exec->guard_final && may_access(memory, address, writes)) {
        return true;
    }
    exec->fault_of_mapping = number == SIGSEGV;
    if (cpu_host_fault(task->cpu, context, told ? &where : NULL, writes ? MMU_WRITE : MMU_READ)) {
        return true;
    }
    if (!exec->guard || address >= memory->limit) {
        return false;
    }
    exec->fault_address = where;
    exec->fault_writes = writes;
    user_context_call(context, leave_guard, task->cpu);
    return true;
}

static void host_handler(int number, siginfo_t *info, void *context)
{
    Task *task = task_current();

    if (is_fault(number) && info->si_code > 0) {
        if (!is_guest_fault(task, number, info, context)) {
            user_set_handler(number, SIG_DFL, 0); /* a bug of ours: end by it */
        }
        return;
    }
    if (!task) {
        return; /* the thread is about to end */
    }
    task->signal = (PendingSignal){ true, *info };
    atomic_store(&task->pending, PENDING_SIGNAL);
    atomic_fetch_or(&task->cpu->exec.attention, CPU_ATTENTION_STOP);
    *user_context_mask(context) = ~(FAULTS | NEVER_BLOCKED);
    user_fix_syscall(context);
}

/* The host ignores and ends by default what the guest does; but a debugger is to see all that is not ignored, and a
 * dump of the core is ours to make. */
static bool is_default_ours(const Process *process, int number)
{
    return is_fault(number) || process->debug || core_is_dumped(number);
}

static void mirror_action(const Process *process, int number, uint64_t handler, uint64_t flags)
{
    unsigned long passed = flags & (SA_NOCLDSTOP | SA_NOCLDWAIT);

    if (is_fault(number) || handler > HANDLER_IGNORE ||
        (handler == HANDLER_DEFAULT && is_default_ours(process, number))) {
        user_set_handler(number, (void *)host_handler, SA_SIGINFO | SA_RESTART | passed);
    } else {
        user_set_handler(number, handler == HANDLER_IGNORE ? SIG_IGN : SIG_DFL, passed);
    }
}

void signals_catch_faults(void)
{
    user_set_handler(SIGSEGV, (void *)host_handler, SA_SIGINFO | SA_RESTART);
    user_set_handler(SIGBUS, (void *)host_handler, SA_SIGINFO | SA_RESTART);
}

void signals_start(Process *process)
{
    for (int number = 1; number <= SIGNALS; number++) {
        process->signals->actions[number].handler = user_get_handler(number) == SIG_IGN ? HANDLER_IGNORE
                                                                                       : HANDLER_DEFAULT;
        if (is_fault(number) ||
            (process->signals->actions[number].handler == HANDLER_DEFAULT && is_default_ours(process, number))) {
            mirror_action(process, number, HANDLER_DEFAULT, 0);
        }
    }
}

/* Libc gives 33 a handler of its own and unblocks it, where it has the first thread made. */
void signals_begin_thread(Process *process)
{
    enum { SIGNAL_SETXID = 33 };
    SignalActions *signals = process->signals;

    mutex_lock(&signals->lock);
    mirror_action(process, SIGNAL_SETXID, signals->actions[SIGNAL_SETXID].handler,
                  signals->actions[SIGNAL_SETXID].flags);
    mutex_unlock(&signals->lock);
    signals_block();
}

void signals_clear(Process *process)
{
    mutex_lock(&process->signals->lock);
    for (int number = 1; number <= SIGNALS; number++) {
        SignalAction *action = &process->signals->actions[number];
        if (action->handler > HANDLER_IGNORE) {
            *action = (SignalAction){ .handler = HANDLER_DEFAULT };
            mirror_action(process, number, HANDLER_DEFAULT, 0);
        }
    }
    mutex_unlock(&process->signals->lock);
}

/* -- to the guest ------------------------------------------------------------------------------------------------ */

/* The host's kernel is to dump no core of ours: it would be the emulator's. */
NORETURN static void end_by(Task *task, const siginfo_t *info)
{
    struct rlimit limit;
    int number = info->si_signo;
    uint64_t mask = ~SIGNAL_BIT(number);

    core_dump(task, info);
    debug_end(task, 0, number);
    if (!getrlimit(RLIMIT_CORE, &limit)) {
        limit.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &limit);
    }
    user_set_handler(number, SIG_DFL, 0);
    syscall(SYS_tgkill, getpid(), task->tid, number);
    user_set_mask(SIG_SETMASK, &mask, NULL);
    _exit(128 + number);
}

NORETURN void signal_kill(Task *task, int number)
{
    end_by(task, &(siginfo_t){ .si_signo = number, .si_code = SI_KERNEL });
}

/* Nobody is on a stack that disarms itself. */
static bool is_on_alternate(const Task *task)
{
    uint64_t pointer = task_abi(task)->stack_pointer(task->cpu);

    return !(task->alternate_flags & SS_AUTODISARM) && pointer - task->alternate_stack - 1 < task->alternate_size;
}

/* Whether the alternate stack is to be used, and is not already. */
static bool wants_alternate(const Task *task, const SignalAction *action)
{
    return action->flags & SA_ONSTACK && task->alternate_size && !is_on_alternate(task);
}

static void finish_call(Task *task, const SignalAction *action)
{
    if (task->restarting && !(action->flags & SA_RESTART)) {
        task_abi(task)->syscall_skip(task->cpu);
        task_abi(task)->syscall_done(task->cpu, -EINTR);
    }
    task->restarting = false;
}

static void call_handler(Task *task, const siginfo_t *info, const SignalAction *action)
{
    SignalFrame frame = {
        .stack = task_abi(task)->stack_pointer(task->cpu),
        .handler = action->handler,
        .flags = action->flags,
        .info = info,
        .mask = task->mask_saved ? task->saved_mask : task->mask,
        .alternate_start = task->alternate_stack,
        .alternate_size = task->alternate_size,
        .alternate_flags = task->alternate_size ? (int)task->alternate_flags : SS_DISABLE,
    };

    trace_user_setup_frame(task->process->log->trace, task->cpu->index, action->handler);
    finish_call(task, action);
    bool is_wrong = !rseq_signal(task) && info->si_signo != SIGSEGV;
    if (wants_alternate(task, action)) {
        frame.stack = task->alternate_stack + task->alternate_size;
    }
    task->mask_saved = false;
    if (!task_abi(task)->push_frame(task, &frame)) {
        signal_kill(task, SIGSEGV);
    }
    if (task->alternate_flags & SS_AUTODISARM) {
        task->alternate_stack = task->alternate_size = 0;
        task->alternate_flags = 0;
    }
    uint64_t own = action->flags & SA_NODEFER ? 0 : SIGNAL_BIT(info->si_signo);
    signals_set_mask(task, task->mask | action->mask | own);
    if (is_wrong) {
        signal_force(task, SIGSEGV, SI_KERNEL, 0);
    }
}

static bool default_ignores(int number)
{
    const uint64_t ignored = SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH);
    return SIGNAL_BIT(number) & ignored;
}

static SignalAction take_action(Task *task, int number)
{
    SignalActions *signals = task->process->signals;

    mutex_lock(&signals->lock);
    SignalAction action = signals->actions[number];
    if (action.flags & SA_RESETHAND && action.handler > HANDLER_IGNORE) {
        signals->actions[number].handler = HANDLER_DEFAULT;
        mirror_action(task->process, number, HANDLER_DEFAULT, 0);
    }
    mutex_unlock(&signals->lock);
    return action;
}

static void deliver(Task *task, const siginfo_t *told)
{
    siginfo_t own = *told, *info = &own;

    int number = debug_signal(task, &own);
    own.si_signo = number;
    if (!number) {
        return; /* the debugger keeps it */
    }
    trace_user_handle_signal(task->process->log->trace, task->cpu->index, number);
    SignalAction action = take_action(task, info->si_signo);
    bool ignored = action.handler == HANDLER_IGNORE ||
                   (action.handler == HANDLER_DEFAULT && default_ignores(info->si_signo));

    if (!ignored && log_enabled(task->process->log, LOG_STRACE)) {
        strace_deliver(task, info);
    }
    if (action.handler > HANDLER_IGNORE) {
        call_handler(task, info, &action);
    } else if (!ignored) {
        end_by(task, info);
    }
}

void signals_deliver(Task *task)
{
    if (task->signal.is_set) {
        siginfo_t info = task->signal.info;
        task->signal.is_set = false;
        atomic_store(&task->pending, PENDING_NONE);
        deliver(task, &info);
    }
    if (task->mask_saved) { /* nobody was called */
        task->mask_saved = false;
        task->mask = task->saved_mask;
    }
    task->restarting = false;
    signals_set_mask(task, task->mask);
}

void signal_force(Task *task, int number, int code, uint64_t address)
{
    SignalActions *signals = task->process->signals;
    siginfo_t info = { .si_signo = number, .si_code = code };

    trace_user_force_sig(task->process->log->trace, task->cpu->index, number);
    info.si_addr = (void *)(uintptr_t)address;
    mutex_lock(&signals->lock);
    SignalAction *action = &signals->actions[number];
    if (task->mask & SIGNAL_BIT(number) || action->handler == HANDLER_IGNORE) {
        action->handler = HANDLER_DEFAULT;
    }
    mutex_unlock(&signals->lock);
    deliver(task, &info);
}

/* -- system calls ------------------------------------------------------------------------------------------------ */

/* The guest's struct is of words: handler, flags, and the mask of 8 bytes. */
static int read_action(Task *task, uint64_t address, SignalAction *action)
{
    GuestMemory *memory = task_memory(task);
    unsigned size = task_abi(task)->word_size;

    return memory_read_word(memory, address, size, &action->handler) ||
                   memory_read_word(memory, address + size, size, &action->flags) ||
                   memory_read_word(memory, address + 2 * size, 8, &action->mask)
               ? -EFAULT
               : 0;
}

static int write_action(Task *task, uint64_t address, const SignalAction *action)
{
    GuestMemory *memory = task_memory(task);
    unsigned size = task_abi(task)->word_size;

    return memory_write_word(memory, address, size, action->handler) ||
                   memory_write_word(memory, address + size, size, action->flags) ||
                   memory_write_word(memory, address + 2 * size, 8, action->mask)
               ? -EFAULT
               : 0;
}

int64_t sys_rt_sigaction(Task *task, const uint64_t *a)
{
    SignalActions *signals = task->process->signals;
    int number = (int)a[0];
    SignalAction action = { 0 };

    if (number < 1 || number > SIGNALS || a[3] != SIGNAL_SET_SIZE ||
        (a[1] && (number == SIGKILL || number == SIGSTOP))) {
        return -EINVAL;
    }
    if (a[1] && read_action(task, a[1], &action)) {
        return -EFAULT;
    }
    mutex_lock(&signals->lock);
    SignalAction before = signals->actions[number];
    if (a[1]) {
        action.mask &= ~NEVER_BLOCKED;
        signals->actions[number] = action;
        mirror_action(task->process, number, action.handler, action.flags);
    }
    mutex_unlock(&signals->lock);
    return a[2] ? write_action(task, a[2], &before) : 0;
}

int64_t sys_rt_sigprocmask(Task *task, const uint64_t *a)
{
    uint64_t set = 0, before = task->mask;

    if (a[3] != SIGNAL_SET_SIZE || (a[1] && a[0] > SIG_SETMASK)) {
        return -EINVAL;
    }
    if (a[1]) {
        if (memory_read(task_memory(task), &set, a[1], sizeof set)) {
            return -EFAULT;
        }
        signals_set_mask(task, a[0] == SIG_BLOCK ? before | set : a[0] == SIG_UNBLOCK ? before & ~set : set);
    }
    return a[2] ? memory_write(task_memory(task), a[2], &before, sizeof before) : 0;
}

int64_t sys_rt_sigsuspend(Task *task, const uint64_t *a)
{
    uint64_t set;

    if (a[1] != SIGNAL_SET_SIZE) {
        return -EINVAL;
    }
    if (memory_read(task_memory(task), &set, a[0], sizeof set)) {
        return -EFAULT;
    }
    set &= ~NEVER_BLOCKED;
    uint64_t host = set & ~FAULTS;
    int64_t result = host_call(task, SYS_rt_sigsuspend, (uintptr_t)&host, sizeof host, 0, 0, 0, 0);
    if (result != -USER_RESTART) { /* which has not begun yet */
        task->saved_mask = task->mask;
        task->mask_saved = true;
        task->mask = set;
    }
    return result;
}

static int64_t set_alternate(Task *task, uint64_t start, uint32_t flags, uint64_t size)
{
    enum { LEAST = 2048 };
    uint32_t mode = flags & ~SS_AUTODISARM;

    if (is_on_alternate(task)) {
        return -EPERM;
    }
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode) {
        return -EINVAL;
    }
    if (mode != SS_DISABLE && size < LEAST) {
        return -ENOMEM;
    }
    task->alternate_stack = mode == SS_DISABLE ? 0 : start;
    task->alternate_size = mode == SS_DISABLE ? 0 : size;
    task->alternate_flags = flags;
    return 0;
}

int64_t sys_rt_sigreturn(Task *task, const uint64_t *a)
{
    SignalFrame frame = { 0 };

    if (!task_abi(task)->pop_frame(task, &frame)) {
        signal_force(task, SIGSEGV, SI_KERNEL, 0);
        return SYSCALL_NO_RESULT;
    }
    trace_user_do_sigreturn(task->process->log->trace, task->cpu->index, task->cpu->guest->pc(task->cpu));
    set_alternate(task, frame.alternate_start, (uint32_t)frame.alternate_flags, frame.alternate_size);
    signals_set_mask(task, frame.mask);
    return SYSCALL_NO_RESULT;
}

/* The guest's stack_t: pointer, int, size, in words. */
int64_t sys_sigaltstack(Task *task, const uint64_t *a)
{
    GuestMemory *memory = task_memory(task);
    unsigned size = task_abi(task)->word_size;
    uint64_t start = 0, flags = 0, bytes = 0;
    uint64_t state = is_on_alternate(task) ? SS_ONSTACK : task->alternate_size ? 0 : SS_DISABLE;
    const uint64_t old[3] = { task->alternate_stack, state | (task->alternate_flags & SS_AUTODISARM),
                              task->alternate_size };

    if (a[0]) {
        if (memory_read_word(memory, a[0], size, &start) || memory_read_word(memory, a[0] + size, 4, &flags) ||
            memory_read_word(memory, a[0] + 2 * size, size, &bytes)) {
            return -EFAULT;
        }
        int64_t result = set_alternate(task, start, (uint32_t)flags, bytes);
        if (result) {
            return result;
        }
    }
    if (a[1] && (memory_write_word(memory, a[1], size, old[0]) || memory_write_word(memory, a[1] + size, 4, old[1]) ||
                 memory_write_word(memory, a[1] + 2 * size, size, old[2]))) {
        return -EFAULT;
    }
    return 0;
}
