/*
 * execve: of the guest's programs through ourselves, of scripts through their interpreter, of the host's programs as
 * they are. No binfmt_misc is needed. Everything is checked before the host's call, which then does not return.
 *
 * Not here yet: execveat; names of the emulator that /proc/PID/cmdline does not show.
 */
#include "base/error.h"
#include "cpu/guest.h"
#include "user/options.h"
#include "user/path.h"
#include "user/proc.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STRINGS_LIMIT = 2 << 20, STRING_LIMIT = 128 << 10, SCRIPT_LINE = 256, SCRIPT_DEPTH = 4, HEADER = 20 };

typedef VEC(char *) Strings;

typedef struct ExecRequest {
    Task *task;
    Strings arguments, environment, command; /* command: the host's argv; its strings are borrowed */
    PathBuffer path;
    char lines[SCRIPT_DEPTH][SCRIPT_LINE];   /* what scripts begin with: the interpreters' names lie in them */
    size_t total;
} ExecRequest;

static void free_strings(Strings *strings)
{
    for (size_t i = 0; i < strings->count; i++) {
        free(strings->items[i]);
    }
    vec_free(strings);
}

static int64_t copy_string(ExecRequest *request, uint64_t address, Strings *to)
{
    AUTO_FREE char *text = mem_alloc(STRING_LIMIT);
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
    uint64_t pointer = 0;
    int64_t result = 0;

    for (uint64_t i = 0; address && !result; i++) {
        if (memory_read_word(task_memory(request->task), address + i * size, size, &pointer)) {
            return -EFAULT;
        }
        if (!pointer) {
            break;
        }
        result = copy_string(request, pointer, to);
    }
    return result;
}

typedef enum ProgramKind { PROGRAM_GUEST, PROGRAM_SCRIPT, PROGRAM_HOST } ProgramKind;

static ProgramKind kind_of(const uint8_t *header, size_t size)
{
    if (size >= 2 && !memcmp(header, "#!", 2)) {
        return PROGRAM_SCRIPT;
    }
    for (size_t i = 0; size >= HEADER && user_abis[i]; i++) {
        if (!memcmp(header, "\177ELF", 4) && header[4] == user_abis[i]->guest->elf_class &&
            (header[18] | header[19] << 8) == user_abis[i]->elf_machine) {
            return PROGRAM_GUEST;
        }
    }
    return PROGRAM_HOST;
}

/* The first line's interpreter and the one argument that may follow it become the first arguments. */
static int64_t apply_script(ExecRequest *request, char *line, size_t size)
{
    char *end = memchr(line, '\n', size), *argument;

    line[MIN(size, SCRIPT_LINE - 1)] = 0;
    if (end) {
        *end = 0;
    }
    char *name = line + 2 + strspn(line + 2, " \t");
    size_t length = strcspn(name, " \t");
    argument = name + length + strspn(name + length, " \t");
    for (size_t last = strlen(argument); last && strchr(" \t", argument[last - 1]);) {
        argument[--last] = 0;
    }
    name[length] = 0;
    if (!length || (!end && size == SCRIPT_LINE && !*argument)) {
        return -ENOEXEC;
    }
    char *script = string_copy(request->path.text);
    free(request->arguments.count ? request->arguments.items[0] : NULL);
    size_t before = request->arguments.count ? request->arguments.count - 1 : 0, added = *argument ? 3 : 2;
    vec_reserve(&request->arguments, before + added);
    memmove(request->arguments.items + added, request->arguments.items + 1, before * sizeof(char *));
    request->arguments.items[0] = string_copy(name);
    if (*argument) {
        request->arguments.items[1] = string_copy(argument);
    }
    request->arguments.items[added - 1] = script;
    request->arguments.count = before + added;
    bool itself = proc_find(request->task->process, name) == PROC_EXE;
    snprintf(request->path.text, PATH_SIZE, "%s", itself ? request->task->process->program.path : name);
    path_find(request->task->process, &request->path);
    return 0;
}

/* What is to run in the end: through scripts to a program. */
static int64_t resolve(ExecRequest *request, ProgramKind *kind)
{
    for (unsigned depth = 0; depth <= SCRIPT_DEPTH; depth++) {
        uint8_t header[SCRIPT_LINE];
        int fd = faccessat(AT_FDCWD, request->path.text, X_OK, AT_EACCESS) ? -1 : open(request->path.text,
                                                                                      O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return -errno;
        }
        ssize_t size = pread(fd, header, sizeof header, 0);
        close(fd);
        if (size < 0) {
            return errno == EISDIR ? -EACCES : -errno;
        }
        *kind = kind_of(header, (size_t)size);
        if (*kind != PROGRAM_SCRIPT) {
            return 0;
        }
        if (depth < SCRIPT_DEPTH) {
            char *line = request->lines[depth];
            memcpy(line, header, (size_t)size);
            int64_t result = apply_script(request, line, (size_t)size);
            if (result) {
                return result;
            }
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

/* Our own command line, which gives the next program what this one was given. */
static void make_command(ExecRequest *request)
{
    const UserOptions *options = request->task->process->options;

    vec_push(&request->command, (char *)"myna-user");
    add_option(request, "-L", options->prefix);
    add_option(request, "-cpu", options->cpu);
    add_option(request, "-r", options->release);
    add_option(request, "-d", options->log_items);
    add_option(request, "-D", options->log_file);
    add_option(request, "-dfilter", options->log_ranges);
    if (options->interpret) {
        add_option(request, "-accel", "interp");
    }
    if (options->strace) {
        vec_push(&request->command, (char *)"-strace");
    }
    if (options->single_step) {
        vec_push(&request->command, (char *)"-one-insn-per-tb");
    }
    add_option(request, "-0", request->arguments.count ? request->arguments.items[0] : "");
    vec_push(&request->command, (char *)"--");
    vec_push(&request->command, request->path.text);
    for (size_t i = 1; i < request->arguments.count; i++) {
        vec_push(&request->command, request->arguments.items[i]);
    }
    vec_push(&request->command, NULL);
}

static int64_t run(ExecRequest *request)
{
    ProgramKind kind;
    int64_t result = resolve(request, &kind);

    if (result) {
        return result;
    }
    vec_push(&request->environment, NULL);
    if (kind == PROGRAM_HOST) {
        vec_push(&request->arguments, NULL);
        return host_call(request->task, SYS_execve, (uintptr_t)request->path.text,
                         (uintptr_t)request->arguments.items, (uintptr_t)request->environment.items, 0, 0, 0);
    }
    make_command(request);
    return host_call(request->task, SYS_execveat, (uint64_t)request->task->process->self, (uintptr_t)"",
                     (uintptr_t)request->command.items, (uintptr_t)request->environment.items, AT_EMPTY_PATH, 0);
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

int64_t sys_execve(Task *task, const uint64_t *a)
{
    ExecRequest *request = task->exec = NEW(ExecRequest);
    uint64_t host;
    int64_t result = a[0] ? path_to_host(task, a[0], &request->path, &host) : -EFAULT;

    request->task = task;
    if (!result) { /* also where the kernel would have been given the guest's own pointer */
        result = host == (uintptr_t)request->path.text
                     ? 0
                     : memory_read_string(task_memory(task), request->path.text, a[0], sizeof request->path.text);
    }
    result = result < 0 ? result : copy_strings(request, a[1], &request->arguments);
    result = result < 0 ? result : copy_strings(request, a[2], &request->environment);
    result = result < 0 ? result : run(request);
    exec_forget(task);
    return result;
}
