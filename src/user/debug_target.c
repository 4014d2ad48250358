/*
 * The program as the debugger sees it: memory without the breakpoints in it, registers, threads, objects. What is
 * asked is asked while all tasks stand.
 */
#include "base/strbuf.h"
#include "user/debug_internal.h"
#include "user/proc.h"
#include "user/siginfo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- memory -------------------------------------------------------------------------------------------------------- */

static bool poke(Debug *debug, uint64_t address, const void *bytes, size_t size)
{
    GuestMemory *memory = debug->process->memory;
    bool ok = memory_contains(memory, address, size) &&
              pwrite(debug->memory, bytes, size, (off_t)(uintptr_t)memory_host(memory, address)) == (ssize_t)size;

    cpu_group_code_changed(debug->process->group);
    return ok;
}

/* Copies between `bytes` of the guest's at `address` and what the breakpoints among them lie upon. */
static void exchange_originals(const Debug *debug, uint64_t address, uint8_t *bytes, size_t size, bool writes)
{
    for (size_t i = 0; i < debug->breakpoints->items.count; i++) {
        Breakpoint *point = &debug->breakpoints->items.items[i];
        for (unsigned k = 0; k < MIN(point->size, BREAKPOINT_MAXIMUM); k++) {
            uint64_t at = point->address + k - address;
            if (at >= size) {
                continue;
            }
            if (writes) {
                point->original[k] = bytes[at];
            } else {
                bytes[at] = point->original[k];
            }
        }
    }
}

static bool target_read(void *data, int thread, uint64_t address, void *bytes, size_t size)
{
    Debug *debug = data;

    if (memory_read(debug->process->memory, bytes, address, size)) {
        return false;
    }
    exchange_originals(debug, address, bytes, size, false);
    return true;
}

static bool target_write(void *data, int thread, uint64_t address, const void *bytes, size_t size)
{
    Debug *debug = data;
    const UserAbi *abi = debug->process->abi;

    if (!poke(debug, address, bytes, size)) {
        return false;
    }
    exchange_originals(debug, address, (uint8_t *)bytes, size, true);
    for (size_t i = 0; i < debug->breakpoints->items.count; i++) {
        const Breakpoint *point = &debug->breakpoints->items.items[i];
        if (point->address < address + size && point->address + point->size > address) {
            poke(debug, point->address, abi->breakpoint(point->size), point->size);
        }
    }
    return true;
}

/* -- points -------------------------------------------------------------------------------------------------------- */

static Breakpoint *find_breakpoint(const Debug *debug, uint64_t address)
{
    for (size_t i = 0; i < debug->breakpoints->items.count; i++) {
        if (debug->breakpoints->items.items[i].address == address) {
            return &debug->breakpoints->items.items[i];
        }
    }
    return NULL;
}

const Breakpoint *debug_find_breakpoint(const Debug *debug, uint64_t address)
{
    return find_breakpoint(debug, address);
}

static bool insert_breakpoint(Debug *debug, GdbPoint kind, uint64_t address, uint64_t size)
{
    const uint8_t *instruction = debug->process->abi->breakpoint(size);
    Breakpoint point = { .address = address, .size = (uint8_t)size, .kinds = (uint8_t)BIT(kind) };
    Breakpoint *known = find_breakpoint(debug, address);

    if (known) {
        known->kinds |= (uint8_t)BIT(kind);
        return true;
    }
    if (!instruction || !target_read(debug, 0, address, point.original, size) ||
        !poke(debug, address, instruction, size)) {
        return false;
    }
    vec_push(&debug->breakpoints->items, point);
    return true;
}

void debug_remove_breakpoint(Debug *debug, uint64_t address)
{
    Breakpoint *known = find_breakpoint(debug, address);

    if (known) {
        const Breakpoint point = *known;
        vec_remove(&debug->breakpoints->items, (size_t)(known - debug->breakpoints->items.items));
        poke(debug, address, point.original, point.size);
    }
}

void debug_remove_breakpoints(Debug *debug)
{
    while (debug->breakpoints->items.count) {
        debug_remove_breakpoint(debug, debug->breakpoints->items.items[0].address);
    }
}

static bool target_insert(void *data, GdbPoint kind, uint64_t address, uint64_t size)
{
    Debug *debug = data;

    if (kind <= GDB_HARDWARE) {
        return insert_breakpoint(debug, kind, address, size);
    }
    vec_push(&debug->watchpoints, ((Watchpoint){ kind, address, size }));
    cpu_group_tlb_flush(debug->process->group);
    return true;
}

static bool target_remove(void *data, GdbPoint kind, uint64_t address, uint64_t size)
{
    Debug *debug = data;
    Breakpoint *breakpoint = find_breakpoint(debug, address);

    if (kind <= GDB_HARDWARE) {
        if (breakpoint) {
            breakpoint->kinds &= (uint8_t)~BIT(kind);
        }
        if (breakpoint && !breakpoint->kinds) {
            debug_remove_breakpoint(debug, address);
        }
        return breakpoint;
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

/* -- threads ------------------------------------------------------------------------------------------------------- */

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

bool debug_first_thread(Debug *debug, int *thread)
{
    return target_thread(debug, 0, thread);
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

static void target_resume(void *data, int thread, const GdbResume *resume)
{
    Debug *debug = data;
    Task *task = find_task(debug, thread);

    if (task) {
        task->debug_action = (uint8_t)resume->action;
        task->debug_signal = gdb_signal_to_linux(resume->signal);
        task->debug_range_start = resume->start;
        task->debug_range_end = resume->end;
        task->cpu->single_step = resume->action == GDB_STEP || debug->watchpoints.count;
    }
}

/* Its name, as prctl gave it. */
static void target_describe(void *data, int thread, StrBuf *text)
{
    AUTO_FREE char *path = string_format("/proc/self/task/%d/comm", thread);
    char name[32];
    FILE *file = fopen(path, "re");

    if (file && fgets(name, sizeof name, file)) {
        strbuf_append_bytes(text, name, strcspn(name, "\n"));
    }
    if (file) {
        fclose(file);
    }
}

static void target_kill(void *data)
{
    kill(((Debug *)data)->pid, SIGKILL);
}

/* -- calls, signals, objects --------------------------------------------------------------------------------------- */

static void target_catch_calls(void *data, bool enabled, const uint64_t *numbers, size_t count)
{
    Debug *debug = data;

    debug->catches = enabled;
    debug->calls.count = 0;
    for (size_t i = 0; i < count; i++) {
        vec_push(&debug->calls, numbers[i]);
    }
}

static void target_pass_signals(void *data, const uint8_t *numbers, size_t count)
{
    Debug *debug = data;

    memset(debug->passed, 0, sizeof debug->passed);
    for (size_t i = 0; i < count; i++) {
        debug->passed[numbers[i]] = 1;
    }
}

/* In the guest's layout. */
static bool read_siginfo(Task *task, StrBuf *bytes)
{
    unsigned word = task_abi(task)->word_size;
    uint8_t narrow[SIGINFO_SIZE];

    siginfo_to_guest(word, &task->debug_info, narrow);
    strbuf_append_bytes(bytes, word == 8 ? (const void *)&task->debug_info : narrow, SIGINFO_SIZE);
    return true;
}

static bool target_object(void *data, const char *name, int thread, StrBuf *bytes)
{
    Debug *debug = data;
    const Program *program = &debug->process->program;
    Task *task = find_task(debug, thread);

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
    if (task && !strcmp(name, "siginfo")) {
        return read_siginfo(task, bytes);
    }
    return task && proc_text(task, name, bytes);
}

/* The siginfo that a signal is about to be delivered with. */
static bool target_set_object(void *data, const char *name, int thread, size_t offset, const uint8_t *bytes,
                              size_t size)
{
    Task *task = find_task(data, thread);
    AUTO_STRBUF(whole);

    if (!task || strcmp(name, "siginfo") || offset > SIGINFO_SIZE || size > SIGINFO_SIZE - offset ||
        !read_siginfo(task, &whole)) {
        return false;
    }
    memcpy(whole.data + offset, bytes, size);
    if (task_abi(task)->word_size == 8) {
        memcpy(&task->debug_info, whole.data, SIGINFO_SIZE);
    } else {
        siginfo_to_host(task_abi(task)->word_size, (const uint8_t *)whole.data, &task->debug_info);
    }
    return true;
}

const GdbTarget debug_target = {
    .thread = target_thread,
    .cpu = target_cpu,
    .read = target_read,
    .write = target_write,
    .insert = target_insert,
    .remove = target_remove,
    .resume = target_resume,
    .kill = target_kill,
    .describe = target_describe,
    .catch_calls = target_catch_calls,
    .pass_signals = target_pass_signals,
    .object = target_object,
    .set_object = target_set_object,
};
