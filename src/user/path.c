/*
 * Paths below -L: a file that exists there is meant by its name from the root, and by its whole name, and links that it
 * is reached by lead to files below -L, as under chroot. And the names of the program itself.
 *
 * Not here: relative paths, which the host's kernel follows alone.
 */
#include "user/path.h"

#include "user/options.h"
#include "user/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* A descriptor of the file that may not be read, or -1. */
static int locate(int folder, const char *path, PathLink link, uint64_t resolve)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | (link == PATH_FOLLOW ? 0 : O_NOFOLLOW),
        .resolve = resolve,
    };

    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

static bool is_same(int fd, const char *path, PathLink link)
{
    struct stat by_fd, by_path;

    return !fstat(fd, &by_fd) && !fstatat(AT_FDCWD, path, &by_path, link == PATH_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW) &&
           by_fd.st_dev == by_path.st_dev && by_fd.st_ino == by_path.st_ino;
}

/* Whether the file is there with `prefix` as root; `below`, its name from ours, is set to where links lead then. */
static bool resolve_links(const char *prefix, const char *path, PathLink link, PathBuffer *below)
{
    char name[32];
    PathBuffer found;
    int folder = open(prefix, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

    if (folder >= 0) {
        fd = locate(folder, path, link, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        close(folder);
    }
    if (fd < 0) {
        return false;
    }
    if (!is_same(fd, below->text, link)) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(name, found.text, sizeof found.text - 1);
        if (length > 0 && found.text[0] == '/') {
            found.text[length] = 0;
            *below = found;
        }
    }
    close(fd);
    return true;
}

static bool exists_below(const char *prefix, const char *path, PathLink link, PathBuffer *below)
{
    int fd = locate(AT_FDCWD, below->text, link, RESOLVE_NO_SYMLINKS);

    if (fd >= 0) {
        close(fd);
        return true;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        return false;
    }
    return resolve_links(prefix, path, link, below) || /* a link to what is not there, or no openat2 */
           !faccessat(AT_FDCWD, below->text, F_OK, AT_SYMLINK_NOFOLLOW);
}

void path_find(const Process *process, PathBuffer *buffer, PathLink link)
{
    const char *prefix = process->options->prefix, *path = buffer->text;
    size_t length = prefix ? strlen(prefix) : 0;
    PathBuffer below;

    while (length && prefix[length - 1] == '/') {
        length--;
    }
    if (!length || path[0] != '/' || is_kernels(path)) {
        return;
    }
    if (!strncmp(path, prefix, length) && path[length] == '/') {
        path += length;
    }
    if (snprintf(below.text, sizeof below.text, "%.*s%s", (int)length, prefix, path) < (int)sizeof below.text &&
        exists_below(prefix, path, link, &below)) {
        *buffer = below;
    }
}

int path_to_host(Task *task, uint64_t address, PathLink link, PathBuffer *buffer, uint64_t *host)
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
        path_find(task->process, buffer, link);
    }
    return 0;
}
