/* Paths below -L: a file that exists there is meant by its name from the root. And the names of the program itself. */
#include "user/path.h"

#include "user/options.h"
#include "user/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the host's kernel shows is never another's. */
static bool is_kernels(const char *path)
{
    static const char *const folders[] = { "/proc", "/sys", "/dev" };

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        size_t length = strlen(folders[i]);
        if (!strncmp(path, folders[i], length) && (!path[length] || path[length] == '/')) {
            return true;
        }
    }
    return false;
}

void path_find(const Process *process, PathBuffer *buffer)
{
    const char *prefix = process->options->prefix;
    PathBuffer below;

    if (!prefix || !prefix[0] || buffer->text[0] != '/' || is_kernels(buffer->text) ||
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
    if (proc_find(task->process, buffer->text) == PROC_EXE) {
        snprintf(buffer->text, sizeof buffer->text, "%s", task->process->program.path);
    } else {
        path_find(task->process, buffer);
    }
    return 0;
}
