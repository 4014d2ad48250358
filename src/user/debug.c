/*
 * The program under gdb. Breakpoints are instructions in the program's memory, which the debugger does not see;
 * watchpoints have all threads run instruction by instruction, with the pages watched kept from direct access. When one
 * thread stops, the others do as soon as they leave guest code or a system call.
 *
 * Not here: the debugger over execve (its connection ends); following a fork (the child runs on without); a breakpoint
 * that a child of vfork meets is taken out.
 */
#include "user/debug.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "gdb/gdb.h"
#include "user/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BREAKPOINT_MAXIMUM = 8 };

typedef struct Breakpoint {
    uint64_t address;
    uint8_t size, original[BREAKPOINT_MAXIMUM];
} Breakpoint;

typedef struct Watchpoint {
    GdbPoint kind;
    uint64_t address, size;
} Watchpoint;

struct Debug {
    Process *process;
    Gdb *gdb;
    Thread thread;
    int memory;        /* /proc/self/mem: writes where the program may not */
    int event;         /* wakes the thread */
    Mutex lock;        /* of what follows */
    Condition changed;
    bool stopped, over;
    unsigned inside;   /* tasks in guest code */
    GdbStop stop;
    VEC(Breakpoint) breakpoints;
    VEC(Watchpoint) watchpoints;
    bool catches;
    VEC(uint64_t) calls; /* none: all */
};

/* NULL where nobody debugs this task. */
static Debug *debug_of(const Task *task)
{
    Debug *debug = task->process->debug;
    return debug && debug->process == task->process && !debug->over ? debug : NULL;
}

/* -- stopping and going on ----------------------------------------------------------------------------------------- */

/* With the lock held. */
static void stop_all(Debug *debug, const GdbStop *stop)
{
    const uint64_t one = 1;

    debug->stopped = true;
    debug->stop = *stop;
    mutex_lock(&debug->process->lock);
    LIST_FOREACH(&debug->process->tasks, task, Task, link) {
        cpu_stop(task->cpu);
    }
    mutex_unlock(&debug->process->lock);
    (void)!write(debug->event, &one, sizeof one);
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

/* Until the debugger lets all go on: the signal that it has for the task. */
static int report(Debug *debug, Task *task, GdbStop stop)
{
    stop.thread = task->tid;
    task->debug_reported = true;
    mutex_lock(&debug->lock);
    while (debug->stopped && !debug->over) {
        condition_wait(&debug->changed, &debug->lock);
    }
    if (!debug->over) {
        stop_all(debug, &stop);
    }
    while (debug->stopped && !debug->over) {
        condition_wait(&debug->changed, &debug->lock);
    }
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
    if (task->debug_watch) {
        stop.kind = GDB_BY_WATCHPOINT;
        stop.value = task->debug_watch_address;
        stop.point = (GdbPoint)(task->debug_watch - 1);
        task->debug_watch = 0;
    } else if (!stepped || task->debug_reported) {
        return;
    }
    report(debug, task, stop);
}

int debug_signal(Task *task, const siginfo_t *info)
{
    Debug *debug = debug_of(task);

    if (!debug) {
        return info->si_signo;
    }
    task->debug_info = *info;
    return report(debug, task, (GdbStop){ .kind = GDB_BY_SIGNAL, .signal = gdb_signal_from_linux(info->si_signo) });
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

void debug_end(Task *task, int status, int signal)
{
    Debug *debug = debug_of(task);

    if (debug) {
        gdb_report_end(debug->gdb, &(GdbStop){ .kind = signal ? GDB_KILLED : GDB_EXITED,
                                               .signal = signal ? gdb_signal_from_linux(signal) : status });
    }
}

/* -- memory ---------------------------------------------------------------------------------------------------------- */

static bool poke(Debug *debug, uint64_t address, const void *bytes, size_t size)
{
    GuestMemory *memory = debug->process->memory;
    bool ok = memory_contains(memory, address, size) &&
              pwrite(debug->memory, bytes, size, (off_t)(uintptr_t)memory_host(memory, address)) == (ssize_t)size;

    cpu_group_code_changed(debug->process->group);
    return ok;
}

static bool target_read(void *data, uint64_t address, void *bytes, size_t size)
{
    Debug *debug = data;

    if (memory_read(debug->process->memory, bytes, address, size)) {
        return false;
    }
    for (size_t i = 0; i < debug->breakpoints.count; i++) {
        const Breakpoint *point = &debug->breakpoints.items[i];
        for (unsigned k = 0; k < point->size; k++) {
            if (point->address + k - address < size) {
                ((uint8_t *)bytes)[point->address + k - address] = point->original[k];
            }
        }
    }
    return true;
}

static bool target_write(void *data, uint64_t address, const void *bytes, size_t size)
{
    return poke(data, address, bytes, size);
}

/* -- points ---------------------------------------------------------------------------------------------------------- */

static size_t find_breakpoint(const Debug *debug, uint64_t address)
{
    size_t i = 0;
    while (i < debug->breakpoints.count && debug->breakpoints.items[i].address != address) {
        i++;
    }
    return i;
}

static bool insert_breakpoint(Debug *debug, uint64_t address, uint64_t size)
{
    const UserAbi *abi = debug->process->abi;
    Breakpoint point = { .address = address, .size = (uint8_t)size };

    if (find_breakpoint(debug, address) < debug->breakpoints.count) {
        return true;
    }
    const uint8_t *instruction = abi->breakpoint(size);
    if (!instruction || !target_read(debug, address, point.original, size) || !poke(debug, address, instruction, size)) {
        return false;
    }
    vec_push(&debug->breakpoints, point);
    return true;
}

static bool remove_breakpoint(Debug *debug, uint64_t address)
{
    size_t i = find_breakpoint(debug, address);

    if (i == debug->breakpoints.count) {
        return false;
    }
    const Breakpoint point = debug->breakpoints.items[i];
    vec_remove(&debug->breakpoints, i);
    return poke(debug, address, point.original, point.size);
}

static bool target_insert(void *data, GdbPoint kind, uint64_t address, uint64_t size)
{
    Debug *debug = data;

    if (kind <= GDB_HARDWARE) {
        return insert_breakpoint(debug, address, size);
    }
    vec_push(&debug->watchpoints, ((Watchpoint){ kind, address, size }));
    cpu_group_tlb_flush(debug->process->group);
    return true;
}

static bool target_remove(void *data, GdbPoint kind, uint64_t address, uint64_t size)
{
    Debug *debug = data;

    if (kind <= GDB_HARDWARE) {
        return remove_breakpoint(debug, address);
    }
    for (size_t i = 0; i < debug->watchpoints.count; i++) {
        const Watchpoint *point = &debug->watchpoints.items[i];
        if (point->kind == kind && point->address == address && point->size == size) {
            vec_remove(&debug->watchpoints, i);
            cpu_group_tlb_flush(debug->process->group);
            return true;
        }
    }
    return false;
}

bool debug_breakpoint(Task *task)
{
    Debug *debug = task->process->debug;
    uint64_t pc = task->cpu->guest->pc(task->cpu);

    if (!debug || find_breakpoint(debug, pc) == debug->breakpoints.count) {
        return false;
    }
    if (debug_of(task)) {
        report(debug, task, (GdbStop){ .kind = GDB_BY_BREAKPOINT, .signal = GDB_SIGNAL_TRAP });
    } else {
        remove_breakpoint(debug, pc); /* a child that shares memory */
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
            task->debug_watch_address = point->address;
        }
    }
}

/* -- threads and the rest ------------------------------------------------------------------------------------------------ */

static bool target_thread(void *data, unsigned index, int *thread)
{
    Process *process = ((Debug *)data)->process;
    unsigned seen = 0;
    bool found = false;

    mutex_lock(&process->lock);
    LIST_FOREACH(&process->tasks, task, Task, link) {
        if (seen++ == index) {
            *thread = task->tid;
            found = true;
        }
    }
    mutex_unlock(&process->lock);
    return found;
}

static Task *find_task(Debug *debug, int thread)
{
    Task *found = NULL;

    mutex_lock(&debug->process->lock);
    LIST_FOREACH(&debug->process->tasks, task, Task, link) {
        if (task->tid == thread) {
            found = task;
        }
    }
    mutex_unlock(&debug->process->lock);
    return found;
}

static Cpu *target_cpu(void *data, int thread)
{
    Task *task = find_task(data, thread);
    return task ? task->cpu : NULL;
}

static void target_resume(void *data, int thread, GdbAction action, int signal)
{
    Debug *debug = data;
    Task *task = find_task(debug, thread);

    if (task) {
        task->debug_action = (uint8_t)action;
        task->debug_signal = gdb_signal_to_linux(signal);
        task->cpu->single_step = action == GDB_STEP || debug->watchpoints.count;
    }
}

static void target_catch_calls(void *data, bool enabled, const uint64_t *numbers, size_t count)
{
    Debug *debug = data;

    debug->catches = enabled;
    debug->calls.count = 0;
    for (size_t i = 0; i < count; i++) {
        vec_push(&debug->calls, numbers[i]);
    }
}

static bool target_object(void *data, const char *name, int thread, StrBuf *bytes)
{
    Debug *debug = data;
    const Program *program = &debug->process->program;

    if (!strcmp(name, "exec-file")) {
        strbuf_append(bytes, program->path);
        return true;
    }
    if (!strcmp(name, "auxv")) {
        AUTO_FREE uint8_t *words = mem_alloc(program->auxv_size);
        bool ok = !memory_read(debug->process->memory, words, program->auxv, program->auxv_size);
        strbuf_append_bytes(bytes, words, ok ? program->auxv_size : 0);
        return ok;
    }
    Task *task = find_task(debug, thread);
    if (task && !strcmp(name, "siginfo")) {
        strbuf_append_bytes(bytes, &task->debug_info, sizeof task->debug_info);
        return true;
    }
    return false;
}

static void target_kill(void *data)
{
    kill(getpid(), SIGKILL);
}

/* -- the thread that serves the debugger ----------------------------------------------------------------------------------- */

/* The debugger is gone: as if it had never been. */
static void let_go(Debug *debug)
{
    debug->over = true;
    while (debug->breakpoints.count) {
        remove_breakpoint(debug, debug->breakpoints.items[0].address);
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
    GdbStop stop = { .kind = GDB_BY_SIGNAL, .signal = GDB_SIGNAL_INTERRUPT };

    target_thread(debug, 0, &stop.thread);
    mutex_lock(&debug->lock);
    if (!debug->stopped) {
        stop_all(debug, &stop);
    }
    mutex_unlock(&debug->lock);
}

static void *run_debugger(void *data)
{
    Debug *debug = data;
    struct pollfd fds[] = { { debug->event, POLLIN, 0 }, { gdb_fd(debug->gdb), POLLIN, 0 } };
    uint64_t count;

    while (!debug->over) {
        if (poll(fds, 2, -1) < 0) {
            continue;
        }
        if (!(fds[0].revents & POLLIN) && fds[1].revents && gdb_wants_stop(debug->gdb)) {
            interrupt(debug);
        } else if (fds[0].revents & POLLIN) {
            (void)!read(debug->event, &count, sizeof count);
            serve(debug);
        }
    }
    return NULL;
}

static const GdbTarget program_target = {
    .thread = target_thread,
    .cpu = target_cpu,
    .read = target_read,
    .write = target_write,
    .insert = target_insert,
    .remove = target_remove,
    .resume = target_resume,
    .catch_calls = target_catch_calls,
    .object = target_object,
    .kill = target_kill,
};

bool debug_start(Process *process, const char *where, Error **error)
{
    Debug *debug = NEW(Debug);
    GdbTarget *target = NEW(GdbTarget); /* both stay as long as the process */

    *target = program_target;
    target->guest = process->abi->guest;
    debug->process = process;
    debug->memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    debug->event = eventfd(0, EFD_CLOEXEC);
    mutex_init(&debug->lock);
    condition_init(&debug->changed);
    debug->gdb = gdb_listen(where, target, debug, error);
    if (!debug->gdb) {
        return false;
    }
    process->debug = debug;
    mutex_lock(&debug->lock);
    stop_all(debug, &(GdbStop){ .thread = getpid() });
    mutex_unlock(&debug->lock);
    return thread_start(&debug->thread, "gdb", run_debugger, debug, error);
}

void debug_forget(Task *task)
{
    Debug *debug = task->process->debug;

    if (!debug) {
        return;
    }
    close(debug->memory);
    debug->memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC); /* the parent's was its memory */
    while (debug->breakpoints.count) {
        remove_breakpoint(debug, debug->breakpoints.items[0].address);
    }
    close(debug->memory);
    close(debug->event);
    gdb_free(debug->gdb);
    task->process->debug = NULL;
    task->cpu->single_step = false;
    cpu_group_tlb_flush(task->process->group);
}
