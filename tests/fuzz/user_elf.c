/*
 * The loader of Linux programs: a file that is a program and one that is its interpreter, whatever the program says it
 * is called; and the first line of scripts. The first byte is the guest's word, or says that a script follows; two say
 * how many of the last bytes are the interpreter. What execve lets through is loaded or refused with a word; what it
 * does not is never loaded.
 */
#include "user_process.h"

#include "base/bytes.h"
#include "base/error.h"
#include "user/elf.h"
#include "user/path.h"
#include "user/script.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PROGRAM_FD = 100, INTERPRETER_FD = 101, HEAD = 3, SCRIPT = 2 };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void fill(int fd, const uint8_t *data, size_t size)
{
    must(!ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size, "a file is written");
}

static void check_memory(GuestMemory *memory)
{
    MemoryRange range;
    uint64_t end = 0;

    for (uint64_t at = 0; memory_next(memory, at, &range); at = end) {
        must(range.start >= end && range.end > range.start && range.end <= memory->limit, "ranges in order");
        must(!((range.start | range.end) & (GUEST_PAGE_SIZE - 1)), "whole pages");
        end = range.end;
    }
}

static void load(Process *process)
{
    char *arguments[] = { (char *)"program", (char *)"argument", NULL }, *environment[] = { (char *)"A=B", NULL };
    Task *task = list_item(process->tasks.next, Task, link);
    Error *error = NULL;
    uint64_t start = 0;
    int64_t verdict = elf_check(process, process->abi, PROGRAM_FD);
    bool ok = elf_load(process, PROGRAM_FD, "the-program", &start, &error);

    must(verdict <= 0 && !(ok && verdict), "what execve refuses is not loaded");
    if (ok) {
        ok = stack_make(process, task->cpu, arguments, environment, "the-program", &error);
    }
    must(ok == !error, "an error or none");
    must(ok || error_errno(error) > 0, "errors have an errno");
    must(ok || *error_message(error), "errors have a text");
    error_free(error);
    check_memory(process->memory);
    user_process_clear(process);
}

static void check_script(const uint8_t *data, size_t size)
{
    char *line = mem_alloc0(SCRIPT_LINE);
    ScriptLine script;

    memcpy(line, data, MIN(size, SCRIPT_LINE));
    memcpy(line, "#!", 2);
    if (script_parse(line, &script)) {
        must(script.name > line && strlen(script.name) < SCRIPT_LINE, "the name lies in the line");
        must(!script.argument || (script.argument > script.name &&
                                  script.argument + strlen(script.argument) < line + SCRIPT_LINE),
             "the argument lies behind it");
    }
    free(line);
}

/* A process for each guest, made once. */
static Process *find_process(unsigned index)
{
    static Process *processes[2];

    if (!processes[0]) {
        user_process_prepare();
        must(dup2(memfd_create("program", MFD_CLOEXEC), PROGRAM_FD) >= 0, "a file");
        must(dup2(memfd_create("interpreter", MFD_CLOEXEC), INTERPRETER_FD) >= 0, "a file");
        for (unsigned i = 0; i < 2; i++) {
            processes[i] = user_process_new(user_abis[i]);
        }
    }
    return processes[index];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    Process *process = find_process(data[0] & 1);
    if (data[0] & SCRIPT) {
        check_script(data + HEAD, size - HEAD);
        return 0;
    }
    size_t interpreter = MIN(load_le16(data + 1), size - HEAD);
    fill(INTERPRETER_FD, data + size - interpreter, interpreter);
    fill(PROGRAM_FD, data + HEAD, size - HEAD - interpreter);
    load(process);
    return 0;
}
