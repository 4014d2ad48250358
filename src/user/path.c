/* Paths below -L: a file that exists there is meant by its name from the root. And the names of the program itself. */
#include "user/path.h"

#include "user/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ProcFile path_proc_file(const Task *task, const char *path)
{
    static const struct {
        char name[8];
        ProcFile file;
    } files[] = { { "exe", PROC_EXE }, { "maps", PROC_MAPS }, { "auxv", PROC_AUXV } };
    char own[32];

    snprintf(own, sizeof own, "/proc/%d/", getpid());
    const char *rest = !strncmp(path, "/proc/self/", 11)         ? path + 11
                       : !strncmp(path, own, strlen(own)) ? path + strlen(own)
                                                          : NULL;
    for (size_t i = 0; rest && i < ARRAY_SIZE(files); i++) {
        if (!strcmp(rest, files[i].name)) {
            return files[i].file;
        }
    }
    return PROC_NONE;
}

void path_find(const Process *process, PathBuffer *buffer)
{
    const char *prefix = process->options->prefix;
    PathBuffer below;

    if (!prefix || !prefix[0] || buffer->text[0] != '/' ||
        snprintf(below.text, sizeof below.text, "%s%s", prefix, buffer->text) >= (int)sizeof below.text ||
        faccessat(AT_FDCWD, below.text, F_OK, AT_SYMLINK_NOFOLLOW)) {
        return;
    }
    *buffer = below;
}

int path_to_host(Task *task, uint64_t address, PathBuffer *buffer, uint64_t *host)
{
    char first;

    if (!address || memory_read(task_memory(task), &first, address, 1)) {
        *host = 0; /* the kernel says what it thinks of it */
        return address ? -EFAULT : 0;
    }
    *host = (uintptr_t)memory_host(task_memory(task), address);
    if (first != '/') {
        return 0;
    }
    int64_t length = memory_read_string(task_memory(task), buffer->text, address, sizeof buffer->text);
    if (length < 0) {
        return (int)length;
    }
    *host = (uintptr_t)buffer->text;
    if (path_proc_file(task, buffer->text) == PROC_EXE) {
        snprintf(buffer->text, sizeof buffer->text, "%s", task->process->program.path);
    } else {
        path_find(task->process, buffer);
    }
    return 0;
}
