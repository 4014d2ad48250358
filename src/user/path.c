/*
 * Paths below -L: a file that exists there is meant by its name from the root, and by its whole name, and links that it
 * is reached by lead to files below -L, as under chroot; so do they, and "..", in relative paths from folders there.
 * And the names of the program itself.
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
        .flags = O_PATH | O_CLOEXEC | (link == PATH_LINK ? O_NOFOLLOW : 0),
        .resolve = resolve,
    };

    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

bool path_leads_to(const char *path, PathLink link, int fd)
{
    struct stat by_fd, by_path;

    return !fstat(fd, &by_fd) && !fstatat(AT_FDCWD, path, &by_path, link == PATH_LINK ? AT_SYMLINK_NOFOLLOW : 0) &&
           by_fd.st_dev == by_path.st_dev && by_fd.st_ino == by_path.st_ino;
}

bool path_of(int fd, PathBuffer *name)
{
    char link[32];

    snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name->text, sizeof name->text - 1);
    if (length <= 0 || name->text[0] != '/') {
        return false;
    }
    name->text[length] = 0;
    return true;
}

/* Whether the file is there with `root` as root; `below`, its name from ours, is set to where links lead then. */
static bool resolve_links(const char *root, const char *path, PathLink link, PathBuffer *below)
{
    PathBuffer found;
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

    if (folder >= 0) {
        fd = locate(folder, path, link, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        close(folder);
    }
    if (fd < 0) {
        return false;
    }
    if (!path_leads_to(below->text, link, fd) && path_of(fd, &found)) {
        *below = found;
    }
    close(fd);
    return true;
}

static bool exists_below(const char *root, const char *path, PathLink link, PathBuffer *below)
{
    int fd = locate(AT_FDCWD, below->text, link, RESOLVE_NO_SYMLINKS);

    if (fd >= 0) {
        close(fd);
        return true;
    }
    if (errno == ENOENT || errno == ENOTDIR) {
        return false;
    }
    /* The latter: a link to what is not there, or no openat2. */
    return (link != PATH_NO_LINK && resolve_links(root, path, link, below)) ||
           !faccessat(AT_FDCWD, below->text, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* What of a whole name stands behind `folder`; NULL: it is not below it. */
static const char *behind(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    while (length && folder[length - 1] == '/') {
        length--;
    }
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]) ? path + length : NULL;
}

static void find_absolute(const Process *process, PathBuffer *buffer, PathLink link)
{
    const char *rest = behind(buffer->text, process->root);
    PathBuffer below;

    rest = rest ? rest : behind(buffer->text, process->options->prefix);
    if (!rest && is_kernels(buffer->text)) {
        return;
    }
    rest = rest ? rest : buffer->text;
    if (snprintf(below.text, sizeof below.text, "%s%s", process->root, rest) < (int)sizeof below.text &&
        exists_below(process->root, *rest ? rest : "/", link, &below)) {
        *buffer = below;
    }
}

/* From a folder below -L: what has neither links nor ".." in it the host finds by itself. */
static void find_relative(const Process *process, int folder, PathBuffer *buffer, PathLink link)
{
    PathBuffer base, below;
    int fd = locate(folder, buffer->text, link, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);

    if (fd >= 0) {
        close(fd);
        return;
    }
    if ((errno != ELOOP && errno != EXDEV) || !path_of(folder, &base)) {
        return;
    }
    const char *inside = behind(base.text, process->root);
    int length = inside ? snprintf(below.text, sizeof below.text, "%s/%s", inside, buffer->text) : 0;
    if (length > 0 && length < (int)sizeof below.text) {
        base = below;
        below.text[0] = 0;
        if (resolve_links(process->root, base.text, link, &below) && below.text[0]) {
            *buffer = below;
        }
    }
}

void path_find(const Process *process, int folder, PathBuffer *buffer, PathLink link)
{
    if (process->root && buffer->text[0] == '/') {
        find_absolute(process, buffer, link);
    } else if (process->root && buffer->text[0] && link != PATH_NO_LINK) {
        find_relative(process, folder, buffer, link);
    }
}

void path_complete(int folder, PathBuffer *buffer)
{
    const char *slash = strrchr(buffer->text, '/');
    PathBuffer whole;

    if (buffer->text[0] == '/' || !proc_has(slash ? slash + 1 : buffer->text) || !path_of(folder, &whole) ||
        strncmp(whole.text, "/proc", 5)) {
        return;
    }
    size_t length = strlen(whole.text);
    if (snprintf(whole.text + length, sizeof whole.text - length, "/%s", buffer->text) <
        (int)(sizeof whole.text - length)) {
        *buffer = whole;
    }
}

int path_to_host(Task *task, int folder, uint64_t address, PathLink link, PathBuffer *buffer, uint64_t *host)
{
    PathBuffer program;
    char first;

    if (!address || memory_read(task_memory(task), &first, address, 1)) {
        *host = 0; /* the kernel says what it thinks of it */
        return address ? -EFAULT : 0;
    }
    *host = (uintptr_t)memory_host(task_memory(task), address);
    if (!first) {
        return 0;
    }
    int64_t length = memory_read_string(task_memory(task), buffer->text, address, sizeof buffer->text);
    if (length < 0) {
        return (int)length;
    }
    path_complete(folder, buffer);
    if (!proc_program_file(task->process, buffer->text, &program)) {
        path_find(task->process, folder, buffer, link);
    } else if (link == PATH_FOLLOW) {
        *buffer = program;
    }
    if (first == '/' || buffer->text[0] == '/') {
        *host = (uintptr_t)buffer->text;
    }
    return 0;
}
