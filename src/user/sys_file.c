/* System calls on files that are more than a forwarded call. */
#include "base/bytes.h"
#include "base/log.h"
#include "user/debug.h"
#include "user/path.h"
#include "user/proc.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t sys_refuse(Task *task, const uint64_t *a)
{
    return -ENOSYS;
}

int64_t sys_invalid(Task *task, const uint64_t *a)
{
    return -EINVAL;
}

/* restart_syscall: no call of ours leaves anything to go on with. */
int64_t sys_interrupted(Task *task, const uint64_t *a)
{
    return -EINTR;
}

int64_t sys_deny(Task *task, const uint64_t *a)
{
    return -EPERM;
}

static PathLink open_link(uint64_t flags)
{
    return flags & O_NOFOLLOW || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? PATH_LINK : PATH_FOLLOW;
}

/* Whether a path that path_to_host has found is that of a file that we make up. */
static bool opens_own(const Task *task, const PathBuffer *path, uint64_t host, uint64_t flags)
{
    return host == (uintptr_t)path->text && !(flags & O_PATH) && proc_find(task->process, path->text) > PROC_EXE;
}

int64_t sys_openat(Task *task, const uint64_t *a)
{
    PathBuffer path;
    uint64_t host;
    int result = path_to_host(task, (int)a[0], a[1], open_link(a[2]), &path, &host);

    if (!result && opens_own(task, &path, host, a[2])) {
        return proc_open(task, proc_find(task->process, path.text), path.text, a[2]);
    }
    return result ? result : host_call(task, SYS_openat, a[0], host, a[2], a[3], 0, 0);
}

static bool may_resolve(const char *path, uint64_t resolve)
{
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = resolve };
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

    return fd >= 0 && !close(fd);
}

/* What the host's kernel makes sure of while it resolves the path is about the path that the guest gave. */
int64_t sys_openat2(Task *task, const uint64_t *a)
{
    const uint64_t within = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
    struct open_how how;
    PathBuffer path;
    uint64_t host, host_how;

    if (!guest_pointer(task, a[2], a[3], &host_how)) {
        return -EFAULT;
    }
    if (a[3] >= sizeof how && !memory_read(task_memory(task), &how, a[2], sizeof how) && !(how.resolve & within)) {
        PathLink link = how.resolve & RESOLVE_NO_SYMLINKS ? PATH_NO_LINK : open_link(how.flags);
        int result = path_to_host(task, (int)a[0], a[1], link, &path, &host);
        if (result) {
            return result;
        }
        if (a[3] == sizeof how && opens_own(task, &path, host, how.flags)) {
            return may_resolve(path.text, how.resolve)
                       ? proc_open(task, proc_find(task->process, path.text), path.text, how.flags)
                       : -errno;
        }
    } else if (!guest_pointer(task, a[1], 1, &host)) {
        return -EFAULT;
    }
    return host_call(task, SYS_openat2, a[0], host, host_how, a[3], 0, 0);
}

bool task_file_is_own(const Task *task, int fd)
{
    const Process *process = task->process;
    return fd >= 0 && (fd == process->self || fd == process->image || log_owns(process->log, fd) ||
                       debug_owns(process, fd));
}

/* "/proc/NUMBER/fd" of this process, of its threads, and fdinfo. */
static bool lists_own_files(const Task *task, int folder)
{
    PathBuffer path;
    int used = 0;
    long number;

    if (!path_of(folder, &path) || sscanf(path.text, "/proc/%ld/%n", &number, &used) != 1 || number != getpid()) {
        return false;
    }
    const char *rest = path.text + used;
    if (!strncmp(rest, "task/", 5)) {
        rest = strchr(rest + 5, '/');
        rest = rest ? rest + 1 : "";
    }
    return !strcmp(rest, "fd") || !strcmp(rest, "fdinfo");
}

/* Leaves out what is the emulator's own: the bytes that remain. */
static size_t drop_own_entries(const Task *task, uint8_t *entries, size_t size)
{
    enum { LENGTH = 16, NAME = 19 };
    size_t kept = 0;

    for (size_t at = 0, length; at + NAME < size; at += length) {
        char *end, *name = (char *)entries + at + NAME;
        length = load_le16(entries + at + LENGTH);
        long fd = strtol(name, &end, 10);
        if (*end || end == name || !task_file_is_own(task, (int)fd)) {
            memmove(entries + kept, entries + at, length);
            kept += length;
        }
    }
    return kept;
}

int64_t sys_getdents64(Task *task, const uint64_t *a)
{
    uint64_t host;

    if (!lists_own_files(task, (int)a[0])) {
        return syscall_forward(task, &syscall_table[SYSCALL_getdents64], a);
    }
    size_t size = MIN((size_t)(uint32_t)a[2], 65536);
    AUTO_FREE uint8_t *entries = mem_alloc(size + 1);
    if (!guest_pointer(task, a[1], size, &host) || !task_can_write(task, a[1], size)) {
        return -EFAULT;
    }
    int64_t got, kept = 0;
    do {
        got = host_call(task, SYS_getdents64, a[0], (uintptr_t)entries, size, 0, 0, 0);
        kept = got > 0 ? (int64_t)drop_own_entries(task, entries, (size_t)got) : 0;
    } while (got > 0 && !kept);
    return got < 0 ? got : memory_write(task_memory(task), a[1], entries, (size_t)kept) ? -EFAULT : kept;
}

/* Around our own. */
int64_t sys_close_range(Task *task, const uint64_t *a)
{
    enum { OWN_HIGHEST = 1024 }; /* of what is neither the emulator's file nor the program's */
    const Process *process = task->process;
    uint32_t first = (uint32_t)a[0], last = (uint32_t)a[1];
    uint32_t highest = (uint32_t)MAX(MAX(process->self, process->image), OWN_HIGHEST);
    int64_t result = 0;

    if (first > last) {
        return -EINVAL;
    }
    for (uint32_t fd = first; !result && fd <= highest && fd <= last; fd++) {
        if (task_file_is_own(task, (int)fd)) {
            result = fd > first ? host_call(task, SYS_close_range, first, fd - 1, a[2], 0, 0, 0) : 0;
            first = fd + 1;
        }
    }
    return result || first > last ? result : host_call(task, SYS_close_range, first, last, a[2], 0, 0, 0);
}

/* One of our own goes to another number, upwards where there is one; the debugger's stay. */
static bool move_own(Process *process, int fd)
{
    bool is_log = fd == log_descriptor(process->log);
    int *own = fd == process->self ? &process->self : fd == process->image ? &process->image : NULL;
    int moved = is_log || own ? fcntl(fd, F_DUPFD_CLOEXEC, fd + 1) : -1;

    if (moved < 0 && (is_log || own)) {
        moved = fcntl(fd, F_DUPFD_CLOEXEC, fd / 2);
    }
    if (moved < 0) {
        return false;
    }
    if (is_log) {
        return log_use_file(process->log, NULL, moved, NULL);
    }
    *own = moved;
    close(fd);
    return true;
}

/* Where the guest wants the number of one of ours, that goes to another one. */
int64_t sys_dup3(Task *task, const uint64_t *a)
{
    Process *process = task->process;
    int wanted = (int)a[1];

    if (!task_file_is_own(task, wanted)) {
        return host_call(task, SYS_dup3, a[0], a[1], a[2], 0, 0, 0);
    }
    mutex_lock(&process->lock);
    int64_t result = move_own(process, wanted) ? host_call(task, SYS_dup3, a[0], a[1], a[2], 0, 0, 0) : -EBADF;
    mutex_unlock(&process->lock);
    return result;
}

int64_t sys_pipe2(Task *task, const uint64_t *a)
{
    int ends[2];
    int64_t result = host_call(task, SYS_pipe2, (uintptr_t)ends, a[1], 0, 0, 0, 0);

    if (!result && memory_write(task_memory(task), a[0], ends, sizeof ends)) {
        close(ends[0]);
        close(ends[1]);
        return -EFAULT;
    }
    return result;
}

static bool fcntl_points(int command)
{
    static const int commands[] = {
        F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_GETOWN_EX, F_SETOWN_EX, F_GET_RW_HINT,
        F_SET_RW_HINT, F_GET_FILE_RW_HINT, F_SET_FILE_RW_HINT,
    };

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (command == commands[i]) {
            return true;
        }
    }
    return false;
}

/* Commands without a pointer, and locks: struct flock with 64-bit offsets is the same everywhere. */
int64_t sys_fcntl(Task *task, const uint64_t *a)
{
    enum { GET_LOCK64 = 12, SET_LOCK64, SET_LOCK_WAIT64 };
    uint64_t argument = a[2];
    int command = (int)a[1];
    bool points = fcntl_points(command);

    if (task_abi(task)->word_size == 4 && command >= GET_LOCK64 && command <= SET_LOCK_WAIT64) {
        command += F_GETLK - GET_LOCK64;
        points = true;
    } else if (task_abi(task)->word_size == 4 && command >= F_GETLK && command <= F_SETLKW) {
        return -EINVAL; /* with 32-bit offsets: no libc of such a guest makes it */
    }
    if (points && !guest_pointer(task, a[2], sizeof(struct flock), &argument)) {
        return -EFAULT;
    }
    return host_call(task, SYS_fcntl, a[0], (uint64_t)command, argument, 0, 0, 0);
}

int64_t sys_llseek(Task *task, const uint64_t *a)
{
    int64_t result = host_call(task, SYS_lseek, a[0], a[1] << 32 | (uint32_t)a[2], a[4], 0, 0, 0);

    if (result < 0) {
        return result;
    }
    return memory_write_word(task_memory(task), a[3], 8, (uint64_t)result);
}

static int64_t statfs_by(Task *task, SyscallId id, const uint64_t *a)
{
    const uint64_t arguments[SYSCALL_ARGUMENTS] = { a[0], a[2] };

    return a[1] != task_abi(task)->layouts[LAYOUT_STATFS].guest_size ? -EINVAL
                                                                    : syscall_forward(task, &syscall_table[id],
                                                                                      arguments);
}

int64_t sys_statfs64(Task *task, const uint64_t *a)
{
    return statfs_by(task, SYSCALL_statfs, a);
}

int64_t sys_fstatfs64(Task *task, const uint64_t *a)
{
    return statfs_by(task, SYSCALL_fstatfs, a);
}

/* Files that we make up have the identity of those that they stand for: cp(1) compares the two. */
static int64_t status_by(Task *task, SyscallId id, const uint64_t *a, bool of_descriptor)
{
    uint64_t arguments[SYSCALL_ARGUMENTS];
    int original = of_descriptor ? proc_open_original(task->process, (int)a[0]) : -1;

    memcpy(arguments, a, sizeof arguments);
    if (original >= 0) {
        arguments[0] = (uint64_t)original;
    }
    int64_t result = syscall_forward(task, &syscall_table[id], arguments);
    if (original >= 0) {
        close(original);
    }
    return result;
}

int64_t sys_fstat(Task *task, const uint64_t *a)
{
    return status_by(task, SYSCALL_fstat, a, true);
}

int64_t sys_newfstatat(Task *task, const uint64_t *a)
{
    return status_by(task, SYSCALL_newfstatat, a, a[3] & AT_EMPTY_PATH);
}

int64_t sys_statx(Task *task, const uint64_t *a)
{
    return status_by(task, SYSCALL_statx, a, a[2] & AT_EMPTY_PATH);
}

int64_t sys_readlinkat(Task *task, const uint64_t *a)
{
    PathBuffer path, target;
    int64_t length = a[1] ? memory_read_string(task_memory(task), path.text, a[1], sizeof path.text) : -EFAULT;

    if (length > 0) {
        path_complete((int)a[0], &path);
    }
    if (length > 0 && proc_program(task->process, path.text, &target)) {
        size_t size = MIN(strlen(target.text), (size_t)MAX((int32_t)a[3], 0));
        return (int32_t)a[3] <= 0                                               ? -EINVAL
               : memory_write(task_memory(task), a[2], target.text, size) ? -EFAULT
                                                                     : (int64_t)size;
    }
    return syscall_forward(task, &syscall_table[SYSCALL_readlinkat], a);
}

/* -- extended attributes by folder --------------------------------------------------------------------------------- */

/* struct xattr_args: the value's address is a word of 64 bits everywhere. */
static int64_t attribute_call(Task *task, long number, const uint64_t *a)
{
    struct {
        uint64_t value;
        uint32_t size, flags;
    } arguments;
    uint64_t host = (uintptr_t)&arguments, path = guest_pointer_or_bad(task, a[1], 1);
    uint64_t name = guest_pointer_or_bad(task, a[3], 1);

    if (a[5] != sizeof arguments || memory_read(task_memory(task), &arguments, a[4], sizeof arguments)) {
        host = guest_pointer_or_bad(task, a[4], a[5]); /* the kernel finds what is wrong with it */
    } else {
        arguments.value = guest_pointer_or_bad(task, arguments.value, arguments.size);
    }
    return host_call(task, number, a[0], path, a[2], name, host, a[5]);
}

int64_t sys_setxattrat(Task *task, const uint64_t *a)
{
    enum { NUMBER = 463 };
    return attribute_call(task, NUMBER, a);
}

int64_t sys_getxattrat(Task *task, const uint64_t *a)
{
    enum { NUMBER = 464 };
    return attribute_call(task, NUMBER, a);
}
