/*
 * execve: of the guest's programs through ourselves, of scripts through their interpreter, of the host's programs as
 * they are. No binfmt_misc is needed, but where it has started us and there is no /proc to find ourselves by.
 * Everything is checked before the host's call, which then does not return.
 *
 * A program that would change the user or group gets EPERM, and a word on standard error: we cannot give it that.
 *
 * Not here: AT_EXECFN of what execveat runs (it is the file's name).
 */
#include "base/error.h"
#include "base/log.h"
#include "cpu/guest.h"
#include "user/debug.h"
#include "user/elf.h"
#include "user/options.h"
#include "user/path.h"
#include "user/proc.h"
#include "user/script.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STRINGS_LIMIT = 2 << 20, STRING_LIMIT = 128 << 10, SCRIPT_DEPTH = 5, LOWEST_FD = 100 };

typedef VEC(char *) Strings;

typedef struct ExecRequest {
    Task *task;
    SyscallId call;
    Strings arguments, environment, command; /* command: the host's argv; its strings are borrowed */
    PathBuffer path;
    PathBuffer shown; /* execveat's name of a script, for its interpreter; "": path's */
    bool unreachable; /* which the call closes */
    size_t total;
    char fd_text[12], self_text[12], debug_text[12], log_text[12], base_text[24], reserved_text[24], stack_text[24];
    int channel; /* to the debugger; -1: nobody debugs */
    int fd; /* the program's file, where no name leads to it; -1: one does */
} ExecRequest;

static void free_strings(Strings *strings)
{
    for (size_t i = 0; i < strings->count; i++) {
        free(strings->items[i]);
    }
    vec_free(strings);
}

/* `text`: room for the longest. */
static int64_t copy_string(ExecRequest *request, uint64_t address, char *text, Strings *to)
{
    int64_t length = memory_read_string(task_memory(request->task), text, address, STRING_LIMIT);

    if (length < 0) {
        return length == -ENAMETOOLONG ? -E2BIG : length;
    }
    request->total += (size_t)length + 1 + sizeof(char *);
    if (request->total > STRINGS_LIMIT) {
        return -E2BIG;
    }
    vec_push(to, string_copy_length(text, (size_t)length));
    return 0;
}

/* A vector of pointers that ends with NULL; none at all is an empty one. */
static int64_t copy_strings(ExecRequest *request, uint64_t address, Strings *to)
{
    unsigned size = task_abi(request->task)->word_size;
    AUTO_FREE char *text = mem_alloc(STRING_LIMIT);
    uint64_t pointer = 0;
    int64_t result = 0;

    for (uint64_t i = 0; address && !result; i++) {
        if (memory_read_word(task_memory(request->task), address + i * size, size, &pointer)) {
            return -EFAULT;
        }
        if (!pointer) {
            break;
        }
        result = copy_string(request, pointer, text, to);
    }
    return result;
}

typedef enum ProgramKind { PROGRAM_GUEST, PROGRAM_SCRIPT, PROGRAM_HOST } ProgramKind;

/* `header` is filled up with zeroes, as the kernel's; `abi` is set to the guest's. A header of a guest's that is cut is
 * the guest's too: the host may have an interpreter for it. */
static ProgramKind kind_of(const uint8_t header[SCRIPT_LINE], const UserAbi **abi)
{
    if (!memcmp(header, "#!", 2)) {
        return PROGRAM_SCRIPT;
    }
    for (size_t i = 0; user_abis[i]; i++) {
        if (!memcmp(header, "\177ELF", 4) && header[4] == user_abis[i]->guest->elf_class &&
            (header[18] | header[19] << 8) == user_abis[i]->elf_machine) {
            *abi = user_abis[i];
            return PROGRAM_GUEST;
        }
    }
    return PROGRAM_HOST;
}

/* The first line's interpreter and the one argument that may follow it become the first arguments. */
static int64_t apply_script(ExecRequest *request, char line[SCRIPT_LINE])
{
    ScriptLine script;

    if (!script_parse(line, &script)) {
        return -ENOEXEC;
    }
    if (request->unreachable) {
        return -ENOENT;
    }
    size_t before = request->arguments.count ? request->arguments.count - 1 : 0, added = script.argument ? 3 : 2;
    vec_reserve(&request->arguments, before + added);
    free(request->arguments.count ? request->arguments.items[0] : NULL);
    memmove(request->arguments.items + added, request->arguments.items + 1, before * sizeof(char *));
    request->arguments.items[0] = string_copy(script.name);
    if (script.argument) {
        request->arguments.items[1] = string_copy(script.argument);
    }
    request->arguments.items[added - 1] = string_copy(*request->shown.text ? request->shown.text : request->path.text);
    request->shown.text[0] = 0;
    request->arguments.count = before + added;
    bool itself = proc_find(request->task->process, script.name) == PROC_EXE;
    const char *name = *script.name ? script.name : "."; /* as the kernel opens no name */
    snprintf(request->path.text, PATH_SIZE, "%s", itself ? request->task->process->program.path : name);
    path_find(request->task->process, AT_FDCWD, &request->path, PATH_FOLLOW);
    return 0;
}

/* Looks at the file that is to run: a script leads to another. */
static int64_t look_at(ExecRequest *request, ProgramKind *kind)
{
    char header[SCRIPT_LINE] = { 0 };
    const UserAbi *abi = NULL;
    int fd = elf_open(request->path.text);

    if (fd < 0) {
        return fd;
    }
    ssize_t size = pread(fd, header, sizeof header, 0);
    int64_t result = size < 0 ? -errno : 0;
    if (!result) {
        *kind = kind_of((const uint8_t *)header, &abi);
        result = *kind == PROGRAM_GUEST    ? elf_check(request->task->process, abi, fd)
                 : *kind == PROGRAM_SCRIPT ? apply_script(request, header)
                                           : 0;
    }
    close(fd);
    return result;
}

/* What is to run in the end: through scripts to a program. */
static int64_t resolve(ExecRequest *request, ProgramKind *kind)
{
    for (unsigned depth = 0; depth <= SCRIPT_DEPTH; depth++) {
        int64_t result = look_at(request, kind);
        if (result || *kind != PROGRAM_SCRIPT) {
            return result;
        }
    }
    return -ELOOP;
}

static void add_option(ExecRequest *request, const char *name, const char *value)
{
    if (value) {
        vec_push(&request->command, (char *)name);
        vec_push(&request->command, (char *)value);
    }
}

static void add_number(ExecRequest *request, const char *name, uint64_t value, char text[24])
{
    if (value) {
        snprintf(text, 24, "%llu", (unsigned long long)value);
        add_option(request, name, text);
    }
}

/* Our own command line, which gives the next program what this one was given. */
static void make_command(ExecRequest *request)
{
    const UserOptions *options = request->task->process->options;

    vec_push(&request->command, (char *)"myna-user");
    add_option(request, "-L", request->task->process->root);
    add_option(request, "-cpu", options->cpu);
    add_option(request, "-r", options->release);
    add_number(request, "-B", options->guest_base, request->base_text);
    add_number(request, "-R", options->reserved, request->reserved_text);
    add_number(request, "-s", options->stack_size, request->stack_text);
    add_option(request, "-d", options->log_items);
    add_option(request, "-D", options->log_file);
    add_option(request, "-dfilter", options->log_ranges);
    add_option(request, "-trace", options->trace);
    add_option(request, "-seed", options->seeded ? options->seed_text : NULL);
    if (options->interpret) {
        add_option(request, "-accel", "interp");
    }
    if (options->strace) {
        vec_push(&request->command, (char *)"-strace");
    }
    if (options->one_insn) {
        vec_push(&request->command, (char *)"-one-insn-per-tb");
    }
    if (options->perf_map) {
        vec_push(&request->command, (char *)"-perfmap");
    }
    if (options->jit_dump) {
        vec_push(&request->command, (char *)"-jitdump");
    }
    if (options->gdb_jit) {
        vec_push(&request->command, (char *)"-gdb-jit");
    }
    add_option(request, "-tb-size", options->code_size);
    if (request->task->process->self >= 0) {
        snprintf(request->self_text, sizeof request->self_text, "%d", request->task->process->self);
        add_option(request, "-self-fd", request->self_text);
    }
    if (log_descriptor(request->task->process->log) >= 0) {
        snprintf(request->log_text, sizeof request->log_text, "%d", log_descriptor(request->task->process->log));
        add_option(request, "-log-fd", request->log_text);
    }
    if (request->fd >= 0) {
        snprintf(request->fd_text, sizeof request->fd_text, "%d", request->fd);
        add_option(request, "-program-fd", request->fd_text);
    }
    if (request->channel >= 0) {
        snprintf(request->debug_text, sizeof request->debug_text, "%d", request->channel);
        add_option(request, "-debug-fd", request->debug_text);
    }
    add_option(request, "-0", request->arguments.count ? request->arguments.items[0] : "");
    vec_push(&request->command, (char *)"--");
    vec_push(&request->command, request->path.text);
    for (size_t i = 1; i < request->arguments.count; i++) {
        vec_push(&request->command, request->arguments.items[i]);
    }
    vec_push(&request->command, NULL);
}

/* Whether the program would run as another user or group. */
static bool changes_identity(const char *path)
{
    struct stat status;
    struct statvfs system;

    if (stat(path, &status) || statvfs(path, &system) || system.f_flag & ST_NOSUID ||
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        return false;
    }
    return (status.st_mode & S_ISUID && status.st_uid != geteuid()) ||
           (status.st_mode & S_ISGID && status.st_mode & S_IXGRP && status.st_gid != getegid());
}

/* A name that ends with a descriptor, which the call may close, goes with an open file. */
static void keep_file(ExecRequest *request)
{
    if (request->fd < 0 && strstr(request->path.text, "/fd/")) {
        int fd = elf_open(request->path.text);
        request->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD, LOWEST_FD);
        close(fd);
    }
}

/* The call is about to go well, and then nobody is left to say so. */
static void tell_success(const ExecRequest *request)
{
    if (log_enabled(request->task->process->log, LOG_STRACE)) {
        strace_leave(request->task, &syscall_table[request->call], (const uint64_t[SYSCALL_ARGUMENTS]){ 0 }, 0);
    }
}

static int64_t run(ExecRequest *request)
{
    ProgramKind kind;
    int64_t result = resolve(request, &kind);

    if (result) {
        return result;
    }
    if (kind == PROGRAM_GUEST && changes_identity(request->path.text)) {
        fprintf(stderr, "myna-user: %s: is set-user-ID or set-group-ID, which needs binfmt_misc with the flag C "
                "(myna-user --register)\n", request->path.text);
        return -EPERM;
    }
    vec_push(&request->environment, NULL);
    tell_success(request);
    if (kind == PROGRAM_HOST || request->task->process->self < 0) {
        vec_push(&request->arguments, NULL);
        return host_call(request->task, SYS_execve, (uintptr_t)request->path.text,
                         (uintptr_t)request->arguments.items, (uintptr_t)request->environment.items, 0, 0, 0);
    }
    keep_file(request);
    request->channel = debug_exec_begin(request->task);
    make_command(request);
    int self = request->task->process->self, log = log_descriptor(request->task->process->log);
    fcntl(self, F_SETFD, 0);
    fcntl(log, F_SETFD, 0);
    result = host_call(request->task, SYS_execveat, (uint64_t)self, (uintptr_t)"", (uintptr_t)request->command.items,
                       (uintptr_t)request->environment.items, AT_EMPTY_PATH, 0);
    fcntl(self, F_SETFD, FD_CLOEXEC);
    fcntl(log, F_SETFD, FD_CLOEXEC);
    debug_exec_failed(request->task);
    return result;
}

void exec_forget(Task *task)
{
    ExecRequest *request = task->exec;

    if (request) {
        free_strings(&request->arguments);
        free_strings(&request->environment);
        vec_free(&request->command);
        free(request);
        task->exec = NULL;
    }
}

/* The program at request->path, with strings at these addresses. */
static int64_t execute(ExecRequest *request, uint64_t arguments, uint64_t environment)
{
    int64_t result = copy_strings(request, arguments, &request->arguments);

    result = result < 0 ? result : copy_strings(request, environment, &request->environment);
    return result < 0 ? result : run(request);
}

static ExecRequest *request_new(Task *task, SyscallId call)
{
    ExecRequest *request = task->exec = NEW(ExecRequest);

    request->task = task;
    request->call = call;
    request->fd = -1;
    return request;
}

/* The name of an open file, where it still leads to it; else the file itself is handed on. */
static int64_t name_file(ExecRequest *request, int fd)
{
    if (!path_of(fd, &request->path)) {
        return -EACCES;
    }
    if (path_leads_to(request->path.text, PATH_FOLLOW, fd)) {
        return 0;
    }
    request->fd = fcntl(fd, F_DUPFD, LOWEST_FD); /* stays open over the call */
    if (request->fd < 0) {
        return -errno;
    }
    snprintf(request->path.text, sizeof request->path.text, "/proc/self/fd/%d", request->fd);
    return 0;
}

/* The request is over: it failed. */
static int64_t give_up(ExecRequest *request, int64_t result)
{
    if (request->fd >= 0) {
        close(request->fd);
    }
    exec_forget(request->task);
    return result;
}

int64_t sys_execve(Task *task, const uint64_t *a)
{
    ExecRequest *request = request_new(task, SYSCALL_execve);
    uint64_t host;
    int64_t result = a[0] ? path_to_host(task, AT_FDCWD, a[0], PATH_FOLLOW, &request->path, &host) : -EFAULT;

    if (!result) { /* also where the kernel would have been given the guest's own pointer */
        result = host == (uintptr_t)request->path.text
                     ? 0
                     : memory_read_string(task_memory(task), request->path.text, a[0], sizeof request->path.text);
    }
    return give_up(request, result < 0 ? result : execute(request, a[1], a[2]));
}

/* What a script's interpreter is told of a file that was named from a folder, or is one itself. */
static void show_file(ExecRequest *request, int folder, uint64_t address)
{
    AUTO_FREE char *name = mem_alloc(PATH_SIZE);
    int64_t length = memory_read_string(task_memory(request->task), name, address, PATH_SIZE);

    if (folder != AT_FDCWD && length >= 0) {
        snprintf(request->shown.text, sizeof request->shown.text, "/dev/fd/%d%s%.4000s", folder, length ? "/" : "",
                 name);
        request->unreachable = fcntl(folder, F_GETFD) & FD_CLOEXEC;
    }
}

int64_t sys_execveat(Task *task, const uint64_t *a)
{
    const uint64_t known = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
    char first;

    if (a[4] & ~known) {
        return -EINVAL;
    }
    if (memory_read(task_memory(task), &first, a[1], 1)) {
        return -EFAULT;
    }
    if (!(a[4] & known) && (first == '/' || (int)a[0] == AT_FDCWD)) {
        return sys_execve(task, a + 1);
    }
    uint64_t path;
    guest_pointer(task, a[1], 1, &path);
    int64_t fd = first || !(a[4] & AT_EMPTY_PATH)
                     ? host_call(task, SYS_openat, a[0], path,
                                 O_PATH | O_CLOEXEC | (a[4] & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0),
                                 0, 0, 0)
                     : host_call(task, SYS_fcntl, a[0], F_DUPFD_CLOEXEC, LOWEST_FD, 0, 0, 0);
    if (fd < 0) {
        return fd;
    }
    struct stat status;
    ExecRequest *request = request_new(task, SYSCALL_execveat);
    int64_t result = fstat((int)fd, &status) ? -errno : S_ISLNK(status.st_mode) ? -ELOOP : name_file(request, (int)fd);
    if (first != '/') {
        show_file(request, (int)a[0], a[1]);
    }
    result = result < 0 ? result : execute(request, a[2], a[3]);
    close((int)fd);
    return give_up(request, result);
}
