/*
 * The program under gdb. Breakpoints are instructions in the program's memory, which the debugger does not see;
 * watchpoints have all threads run instruction by instruction, with the pages watched kept from direct access. When one
 * thread stops, the others do as soon as they leave guest code or a system call.
 *
 * A thread of each process serves its channel to the broker (gdb/broker.c). A child of fork gets a channel of its own,
 * which the broker is given with the parent's report; a child of vfork, which has no thread to spare, is served by
 * one of its parent's; over execve the channel stays open, and the new program says that it has come.
 *
 * Not here: following a process that shares memory and does not hold its parent (CLONE_VM without CLONE_VFORK): it runs
 * on without, and a breakpoint that it meets is taken out.
 */
#include "user/debug_internal.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "user/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* -- stopping and going on ----------------------------------------------------------------------------------------- */

static void wake_thread(Debug *debug)
{
    const uint64_t one = 1;
    (void)!write(debug->event, &one, sizeof one);
}

/* With the lock held. */
static void stop_all(Debug *debug, const GdbStop *stop)
{
    debug->stopped = true;
    debug->stop = *stop;
    mutex_lock(&debug->process->lock);
    LIST_FOREACH(&debug->process->tasks, task, Task, link) {
        cpu_stop(task->cpu);
    }
    mutex_unlock(&debug->process->lock);
    wake_thread(debug);
}

/* With the lock held. */
static void wait_while_stopped(Debug *debug)
{
    while (debug->stopped && !debug->over) {
        condition_wait(&debug->changed, &debug->lock);
    }
}

void debug_prepare(Task *task)
{
    const Debug *debug = debug_of(task);

    task->debug_action = GDB_RUN;
    task->cpu->single_step = debug && debug->watchpoints.count;
}

bool debug_enter(Task *task)
{
    Debug *debug = debug_of(task);

    if (!debug) {
        return false;
    }
    mutex_lock(&debug->lock);
    while (!debug->over && (debug->stopped || task->debug_action == GDB_HOLD)) {
        condition_wait(&debug->changed, &debug->lock);
    }
    debug->inside++;
    bool steps = task->debug_action == GDB_STEP;
    task->debug_reported = false;
    mutex_unlock(&debug->lock);
    return steps;
}

void debug_leave(Task *task)
{
    Debug *debug = task->process->debug;

    if (debug && debug->process == task->process && debug->inside) {
        mutex_lock(&debug->lock);
        debug->inside--;
        condition_broadcast(&debug->changed);
        mutex_unlock(&debug->lock);
    }
}

/* With the lock held. */
static void announce(Debug *debug, Task *task, GdbStop stop)
{
    stop.thread = task->tid;
    task->debug_reported = true;
    wait_while_stopped(debug);
    if (!debug->over) {
        stop_all(debug, &stop);
    }
}

/* Until the debugger lets all go on: the signal that it has for the task. */
static int report(Debug *debug, Task *task, GdbStop stop)
{
    mutex_lock(&debug->lock);
    announce(debug, task, stop);
    wait_while_stopped(debug);
    int signal = debug->over ? gdb_signal_to_linux(stop.signal) : task->debug_signal;
    mutex_unlock(&debug->lock);
    return signal;
}

void debug_ran(Task *task, bool stepped)
{
    Debug *debug = debug_of(task);
    GdbStop stop = { .kind = GDB_BY_SIGNAL, .signal = GDB_SIGNAL_TRAP };

    if (!debug) {
        return;
    }
    uint64_t pc = task->cpu->guest->pc(task->cpu);
    if (task->debug_watch) {
        stop.kind = GDB_BY_WATCHPOINT;
        stop.value = task->debug_watch_address;
        stop.point = (GdbPoint)(task->debug_watch - 1);
        task->debug_watch = 0;
    } else if (!stepped || task->debug_reported ||
               pc - task->debug_range_start < task->debug_range_end - task->debug_range_start) {
        return;
    }
    report(debug, task, stop);
}

int debug_signal(Task *task, siginfo_t *info)
{
    Debug *debug = debug_of(task);
    int number = gdb_signal_from_linux(info->si_signo);

    if (!debug || debug->passed[number]) {
        return info->si_signo;
    }
    task->debug_info = *info;
    number = report(debug, task, (GdbStop){ .kind = GDB_BY_SIGNAL, .signal = number });
    *info = task->debug_info;
    return number;
}

void debug_call(Task *task, uint64_t number, bool returns)
{
    Debug *debug = debug_of(task);
    bool wanted = debug && debug->catches && !debug->calls.count;

    for (size_t i = 0; debug && debug->catches && i < debug->calls.count; i++) {
        wanted = wanted || debug->calls.items[i] == number;
    }
    if (wanted) {
        report(debug, task, (GdbStop){ .kind = returns ? GDB_BY_RETURN : GDB_BY_CALL, .signal = GDB_SIGNAL_TRAP,
                                       .value = number });
    }
}

bool debug_breakpoint(Task *task)
{
    Debug *debug = task->process->debug;
    uint64_t pc = task->cpu->guest->pc(task->cpu);
    const Breakpoint *point = debug ? debug_find_breakpoint(debug, pc) : NULL;

    if (!point) {
        return false;
    }
    if (debug_of(task)) {
        bool is_hardware = point->kinds == BIT(GDB_HARDWARE);
        report(debug, task, (GdbStop){ .kind = GDB_BY_BREAKPOINT, .signal = GDB_SIGNAL_TRAP,
                                       .point = is_hardware ? GDB_HARDWARE : GDB_SOFTWARE });
    } else {
        debug_remove_breakpoint(debug, pc); /* a child that shares memory */
    }
    return true;
}

bool debug_watches(const Task *task, uint64_t page)
{
    const Debug *debug = debug_of(task);

    for (size_t i = 0; debug && i < debug->watchpoints.count; i++) {
        const Watchpoint *point = &debug->watchpoints.items[i];
        if (point->address < page + GUEST_PAGE_SIZE && point->address + point->size > page) {
            return true;
        }
    }
    return false;
}

void debug_accessed(Task *task, uint64_t address, unsigned size, bool write)
{
    const Debug *debug = debug_of(task);

    for (size_t i = 0; debug && i < debug->watchpoints.count; i++) {
        const Watchpoint *point = &debug->watchpoints.items[i];
        bool meant = point->kind == GDB_WATCH_ACCESS || (point->kind == GDB_WATCH_WRITE) == write;
        if (meant && point->address < address + size && point->address + point->size > address) {
            task->debug_watch = (uint8_t)(point->kind + 1);
            task->debug_watch_address = MAX(point->address, address);
        }
    }
}

/* Not while the debugger looks: it would ask a process that is gone. */
void debug_end(Task *task, int status, int signal)
{
    Debug *debug = debug_of(task);

    if (debug) {
        mutex_lock(&debug->lock);
        wait_while_stopped(debug);
        gdb_report_end(debug->gdb, &(GdbStop){ .kind = signal ? GDB_KILLED : GDB_EXITED,
                                               .signal = signal ? gdb_signal_from_linux(signal) : status });
        debug->over = true;
        mutex_unlock(&debug->lock);
    }
}

/* -- the thread that serves the channel ---------------------------------------------------------------------------- */

/* The debugger is gone: as if it had never been. */
static void let_go(Debug *debug)
{
    debug->over = true;
    if (!debug->borrows) {
        debug_remove_breakpoints(debug);
    }
    debug->watchpoints.count = 0;
    mutex_lock(&debug->process->lock);
    LIST_FOREACH(&debug->process->tasks, task, Task, link) {
        task->debug_action = GDB_RUN;
        task->cpu->single_step = false;
    }
    mutex_unlock(&debug->process->lock);
    cpu_group_tlb_flush(debug->process->group);
}

static void serve(Debug *debug)
{
    mutex_lock(&debug->lock);
    while (debug->inside) {
        condition_wait(&debug->changed, &debug->lock);
    }
    const GdbStop stop = debug->stop;
    mutex_unlock(&debug->lock);
    bool goes_on = gdb_stopped(debug->gdb, &stop);
    mutex_lock(&debug->lock);
    if (!goes_on) {
        let_go(debug);
    }
    debug->stopped = false;
    condition_broadcast(&debug->changed);
    mutex_unlock(&debug->lock);
}

static void interrupt(Debug *debug)
{
    GdbStop stop = { .kind = GDB_BY_INTERRUPT, .signal = GDB_SIGNAL_INTERRUPT };

    debug_first_thread(debug, &stop.thread);
    mutex_lock(&debug->lock);
    if (!debug->stopped) {
        stop_all(debug, &stop);
    }
    mutex_unlock(&debug->lock);
}

/* While the process is about to become another program. True: it was, and all is to be looked at anew. */
static bool pause_if_asked(Debug *debug)
{
    mutex_lock(&debug->lock);
    bool pauses = debug->pauses && !debug->stopped;
    while (debug->pauses && !debug->stopped && !debug->over) {
        debug->paused = true;
        condition_broadcast(&debug->changed);
        condition_wait(&debug->changed, &debug->lock);
    }
    debug->paused = false;
    mutex_unlock(&debug->lock);
    return pauses;
}

static void free_debug(Debug *debug)
{
    gdb_free(debug->gdb);
    close(debug->memory);
    close(debug->event);
    vec_free(&debug->watchpoints);
    vec_free(&debug->calls);
    free(debug);
}

static void *run_debugger(void *data)
{
    Debug *debug = data;
    struct pollfd fds[] = { { debug->event, POLLIN, 0 }, { gdb_fd(debug->gdb), POLLIN, 0 } };
    uint64_t count;

    while (!debug->over) {
        bool has_input = gdb_has_input(debug->gdb);
        if (poll(fds, 2, has_input ? 0 : -1) < 0) {
            continue;
        }
        if (fds[0].revents & POLLIN) {
            (void)!read(debug->event, &count, sizeof count);
            if (!pause_if_asked(debug) && debug->stopped) {
                serve(debug);
            }
        } else if ((has_input || fds[1].revents) && !pause_if_asked(debug) && gdb_wants_stop(debug->gdb)) {
            interrupt(debug);
        }
    }
    return NULL;
}

/* -- beginnings ---------------------------------------------------------------------------------------------------- */

/* Out of the way of the guest's. */
static int move_high(int fd)
{
    enum { LOWEST = 210 };
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOWEST);

    if (high >= 0) {
        close(fd);
    }
    return high >= 0 ? high : fd;
}

static bool make_channel(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
        return false;
    }
    ends[0] = move_high(ends[0]);
    ends[1] = move_high(ends[1]);
    return true;
}

static void open_files(Debug *debug)
{
    debug->memory = move_high(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    debug->event = move_high(eventfd(0, EFD_CLOEXEC));
}

static void set_gdb(Debug *debug, int channel, pid_t pid)
{
    debug->target = debug_target;
    debug->target.guest = debug->process->abi->guest;
    debug->target.process = pid;
    debug->pid = pid;
    debug->channel = channel;
    debug->gdb = gdb_new(channel, true, &debug->target, debug);
}

static Debug *debug_new(Process *process, int channel, pid_t pid)
{
    Debug *debug = NEW(Debug);

    debug->process = process;
    debug->breakpoints = NEW(Breakpoints);
    mutex_init(&debug->lock);
    condition_init(&debug->changed);
    open_files(debug);
    set_gdb(debug, channel, pid);
    return debug;
}

static bool start_serving(Debug *debug, Error **error)
{
    return thread_start(&debug->thread, "gdb", run_debugger, debug, error);
}

/* "WHERE[,suspend=n]", or the other way about; %d in a path is the process's number. */
static char *parse_where(const char *text, bool *waits)
{
    static const char *const words[] = { "suspend=n", "suspend=y" };
    char number[16];
    StrBuf where = { 0 };

    *waits = true;
    for (const char *at = text; *at; at += strcspn(at, ",")) {
        at += *at == ',';
        size_t length = strcspn(at, ",");
        if (length == strlen(words[0]) && (!strncmp(at, words[0], length) || !strncmp(at, words[1], length))) {
            *waits = at[length - 1] == 'y';
        } else {
            strbuf_append_bytes(&where, at, length);
        }
    }
    char *percent = strstr(strbuf_text(&where), "%d");
    if (percent) {
        StrBuf filled = { 0 };
        snprintf(number, sizeof number, "%d", getpid());
        strbuf_append_bytes(&filled, where.data, (size_t)(percent - where.data));
        strbuf_append(&filled, number);
        strbuf_append(&filled, percent + 2);
        strbuf_free(&where);
        where = filled;
    }
    return strbuf_take(&where);
}

bool debug_start(Process *process, const char *text, const char *prefix, Error **error)
{
    bool waits;
    int ends[2];
    AUTO_FREE char *where = parse_where(text, &waits);
    int listener = move_high(gdb_listen("-g", where, error));

    if (listener < 0) {
        return false;
    }
    bool made = make_channel(ends) || error_set_errno(error, errno, "-g: cannot make a channel to the debugger");
    bool ok = made && gdb_broker_start(listener, ends[1], getpid(), waits, prefix, error);
    close(listener);
    if (made) {
        close(ends[1]);
    }
    if (!ok) {
        return false;
    }
    Debug *debug = process->debug = debug_new(process, ends[0], getpid());
    if (waits) {
        mutex_lock(&debug->lock);
        stop_all(debug, &(GdbStop){ .thread = getpid() });
        mutex_unlock(&debug->lock);
    }
    return start_serving(debug, error);
}

bool debug_start_again(Process *process, int channel, Error **error)
{
    fcntl(channel, F_SETFD, FD_CLOEXEC);
    Debug *debug = process->debug = debug_new(process, channel, getpid());

    mutex_lock(&debug->lock);
    stop_all(debug, &(GdbStop){ .kind = GDB_BY_EXEC, .thread = getpid(), .path = process->program.path });
    mutex_unlock(&debug->lock);
    return start_serving(debug, error);
}

bool debug_owns(const Process *process, int fd)
{
    const Debug *debug = process->debug;
    return debug && (fd == debug->memory || fd == debug->event || fd == debug->channel);
}

/* -- fork ---------------------------------------------------------------------------------------------------------- */

void debug_fork_begin(Task *task, DebugFork *fork)
{
    Debug *debug = debug_of(task);

    *fork = (DebugFork){ .debug = debug };
    if (debug) {
        mutex_lock(&debug->lock);
        wait_while_stopped(debug);
        fork->follows = !debug->over && gdb_follows_forks(debug->gdb) && make_channel(fork->ends);
    }
}

void debug_fork_parent(Task *task, DebugFork *fork, int child)
{
    if (!fork->debug) {
        return;
    }
    mutex_unlock(&fork->debug->lock);
    if (fork->follows) {
        close(fork->ends[0]);
        if (child > 0) {
            report(fork->debug, task, (GdbStop){ .kind = GDB_BY_FORK, .signal = GDB_SIGNAL_TRAP,
                                                 .value = (uint64_t)child, .channel = fork->ends[1] });
        }
        close(fork->ends[1]);
    }
}

/* Nobody debugs the child. */
static void forget(Task *task, Debug *debug)
{
    debug->over = true;
    debug_remove_breakpoints(debug);
    close(debug->memory);
    close(debug->event);
    gdb_free(debug->gdb);
    task->process->debug = NULL;
    task->cpu->single_step = false;
    cpu_group_tlb_flush(task->process->group);
}

void debug_fork_child(Task *task, DebugFork *fork)
{
    AUTO_ERROR(error);
    Debug *debug = fork->debug;

    if (!debug) {
        return;
    }
    mutex_init(&debug->lock);
    condition_init(&debug->changed);
    close(debug->memory); /* the parent's was its memory */
    close(debug->event);
    open_files(debug);
    if (!fork->follows) {
        forget(task, debug);
        return;
    }
    close(fork->ends[1]);
    gdb_free(debug->gdb);
    set_gdb(debug, fork->ends[0], getpid());
    debug->inside = 0;
    debug->pauses = debug->paused = false;
    stop_all(debug, &(GdbStop){ .thread = task->tid });
    if (!start_serving(debug, &error)) {
        forget(task, debug);
    }
}

/* -- vfork: before it, by the parent; then by the child; when the parent goes on ----------------------------------- */

void debug_vfork_begin(Task *task, Process *child, DebugFork *fork)
{
    AUTO_ERROR(error);
    Debug *parent = debug_of(task);

    *fork = (DebugFork){ .debug = parent };
    if (!parent || !gdb_follows_forks(parent->gdb) || !make_channel(fork->ends)) {
        return;
    }
    Debug *debug = fork->child = debug_new(child, fork->ends[0], 0);
    free(debug->breakpoints);
    debug->breakpoints = parent->breakpoints;
    debug->borrows = true;
    debug->catches = parent->catches;
    memcpy(debug->passed, parent->passed, sizeof debug->passed);
    for (size_t i = 0; i < parent->calls.count; i++) {
        vec_push(&debug->calls, parent->calls.items[i]);
    }
    debug->stopped = true;
    fork->follows = start_serving(debug, &error);
    if (!fork->follows) {
        close(fork->ends[1]);
        free_debug(debug);
    }
}

void debug_vfork_child(Task *task, Task *parent, DebugFork *fork)
{
    Debug *debug = fork->child;

    if (!fork->follows) {
        return;
    }
    debug->pid = debug->target.process = task->tid;
    task->process->debug = debug;
    mutex_lock(&debug->lock);
    stop_all(debug, &(GdbStop){ .thread = task->tid });
    mutex_unlock(&debug->lock);
    mutex_lock(&fork->debug->lock); /* the parent waits for the child anyway */
    announce(fork->debug, parent, (GdbStop){ .kind = GDB_BY_VFORK, .signal = GDB_SIGNAL_TRAP,
                                             .value = (uint64_t)task->tid, .channel = fork->ends[1] });
    mutex_unlock(&fork->debug->lock);
}

void debug_vfork_end(Task *task, DebugFork *fork)
{
    Debug *debug = fork->child;

    if (!fork->follows) {
        return;
    }
    close(fork->ends[1]);
    mutex_lock(&debug->lock);
    debug->over = true;
    if (!debug->pauses) { /* no new program has the channel */
        shutdown(debug->channel, SHUT_RDWR);
        wake_thread(debug);
    }
    condition_broadcast(&debug->changed);
    mutex_unlock(&debug->lock);
    thread_join(&debug->thread);
    free_debug(debug);
    if (debug_of(task)) {
        report(fork->debug, task, (GdbStop){ .kind = GDB_BY_VFORK_DONE, .signal = GDB_SIGNAL_TRAP });
    }
}

/* -- execve -------------------------------------------------------------------------------------------------------- */

int debug_exec_begin(Task *task)
{
    Debug *debug = debug_of(task);

    if (!debug) {
        return -1;
    }
    mutex_lock(&debug->lock);
    debug->pauses = true;
    wake_thread(debug);
    while (!debug->over && (debug->stopped || !debug->paused)) {
        condition_wait(&debug->changed, &debug->lock);
    }
    bool over = debug->over;
    mutex_unlock(&debug->lock);
    if (!over) {
        fcntl(debug->channel, F_SETFD, 0);
    }
    return over ? -1 : debug->channel;
}

void debug_exec_failed(Task *task)
{
    Debug *debug = debug_of(task);

    if (debug) {
        fcntl(debug->channel, F_SETFD, FD_CLOEXEC);
        mutex_lock(&debug->lock);
        debug->pauses = false;
        condition_broadcast(&debug->changed);
        mutex_unlock(&debug->lock);
    }
}
