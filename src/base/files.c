/*
 * Opening files, and the descriptors that a client passes: by name (getfd) or in sets (add-fd), which are opened as
 * /dev/fdset/N. An opened set's member is a duplicate, so that it stays usable when the member is removed.
 */
#include "base/files.h"

#include "base/error.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Member {
    int64_t set;
    int fd;
    char *opaque;
} Member;

typedef struct NamedFd {
    char *name;
    int fd;
} NamedFd;

struct Files {
    Mutex lock;
    VEC(NamedFd) named;
    VEC(Member) members; /* in order of set, those of one set in order of arrival */
};

Files *files_new(void)
{
    Files *files = NEW(Files);
    mutex_init(&files->lock);
    return files;
}

void files_free(Files *files)
{
    if (!files) {
        return;
    }
    for (size_t i = 0; i < files->named.count; i++) {
        close(files->named.items[i].fd);
        free(files->named.items[i].name);
    }
    for (size_t i = 0; i < files->members.count; i++) {
        close(files->members.items[i].fd);
        free(files->members.items[i].opaque);
    }
    vec_free(&files->named);
    vec_free(&files->members);
    mutex_destroy(&files->lock);
    free(files);
}

/* Gives a duplicate the flags that it would have had from open(2). */
static bool apply_flags(int fd, int flags)
{
    const int settable = O_APPEND | O_NONBLOCK | O_DIRECT;
    int present = fcntl(fd, F_GETFL);
    if (present < 0 || fcntl(fd, F_SETFL, (present & ~settable) | (flags & settable)) < 0) {
        return false;
    }
    return !(flags & O_TRUNC) || ftruncate(fd, 0) == 0;
}

/* The member of a set whose access mode is that of `flags`, duplicated; or -1 with errno set. */
static int duplicate_member(Files *files, int64_t set, int flags)
{
    errno = ENOENT;
    for (size_t i = 0; i < files->members.count; i++) {
        const Member *member = &files->members.items[i];
        if (member->set != set) {
            continue;
        }
        if ((fcntl(member->fd, F_GETFL) & O_ACCMODE) != (flags & O_ACCMODE)) {
            errno = EACCES;
            continue;
        }
        int fd = fcntl(member->fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0 && !apply_flags(fd, flags)) {
            int number = errno;
            close(fd);
            errno = number;
            return -1;
        }
        return fd;
    }
    return -1;
}

static int open_fdset(Files *files, const char *path, const char *number, int flags, Error **error)
{
    int64_t set;
    if (!text_to_int64(number, &set, NULL) || set < 0) {
        error_set(error, "Could not open '%s': the number of a set of descriptors must follow /dev/fdset/", path);
        return -1;
    }
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        error_set_errno(error, EEXIST, "Could not open '%s'", path);
        return -1;
    }
    int fd = -1;
    errno = ENOENT;
    if (files) {
        mutex_lock(&files->lock);
        fd = duplicate_member(files, set, flags);
        mutex_unlock(&files->lock);
    }
    if (fd < 0 && errno == ENOENT) {
        error_set(error, "Could not open '%s': there is no set of descriptors with this number", path);
    } else if (fd < 0 && errno == EACCES) {
        error_set(error, "Could not open '%s': no descriptor in the set is open for %s", path,
                  (flags & O_ACCMODE) == O_RDONLY   ? "reading alone"
                  : (flags & O_ACCMODE) == O_WRONLY ? "writing alone"
                                                    : "reading and writing");
    } else if (fd < 0) {
        error_set_errno(error, errno, "Could not open '%s'", path);
    }
    return fd;
}

int files_open(Files *files, const char *path, int flags, mode_t mode, Error **error)
{
    static const char fdset[] = "/dev/fdset/";
    if (text_starts_with(path, fdset)) {
        return open_fdset(files, path, path + sizeof fdset - 1, flags, error);
    }
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        error_set_errno(error, errno, "Could not open '%s'", path);
    }
    return fd;
}

/* Removes the name and gives its descriptor, or -1. */
static int take_named(Files *files, const char *name)
{
    for (size_t i = 0; i < files->named.count; i++) {
        if (strcmp(files->named.items[i].name, name) == 0) {
            int fd = files->named.items[i].fd;
            free(files->named.items[i].name);
            vec_remove(&files->named, i);
            return fd;
        }
    }
    return -1;
}

static int take_number(const char *number, Error **error)
{
    uint64_t fd;
    if (!text_to_uint64(number, &fd, error)) {
        return -1;
    }
    if (fd > INT32_MAX || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) {
        error_set(error, "descriptor %s is not open", number);
        return -1;
    }
    return (int)fd;
}

int files_take_fd(Files *files, const char *name_or_number, Error **error)
{
    if (name_or_number[0] >= '0' && name_or_number[0] <= '9') {
        return take_number(name_or_number, error);
    }
    mutex_lock(&files->lock);
    int fd = take_named(files, name_or_number);
    mutex_unlock(&files->lock);
    if (fd < 0) {
        error_set(error, "File descriptor named '%s' not found", name_or_number);
    }
    return fd;
}

bool files_add_named(Files *files, const char *name, int fd, Error **error)
{
    if (!*name || (name[0] >= '0' && name[0] <= '9')) {
        close(fd);
        return error_set(error, "Parameter 'fdname' expects a name not starting with a digit");
    }
    mutex_lock(&files->lock);
    int replaced = take_named(files, name);
    vec_push(&files->named, (NamedFd){ .name = string_copy(name), .fd = fd });
    mutex_unlock(&files->lock);
    if (replaced >= 0) {
        close(replaced);
    }
    return true;
}

bool files_close_named(Files *files, const char *name, Error **error)
{
    mutex_lock(&files->lock);
    int fd = take_named(files, name);
    mutex_unlock(&files->lock);
    if (fd < 0) {
        return error_set(error, "File descriptor named '%s' not found", name);
    }
    close(fd);
    return true;
}

/* Where a new member of `set` goes; -1 is replaced by the lowest number that no set has. */
static size_t member_position(const Files *files, int64_t *set)
{
    size_t i = 0;
    if (*set < 0) {
        *set = 0;
        for (; i < files->members.count && files->members.items[i].set <= *set; i++) {
            *set = files->members.items[i].set + 1;
        }
        return i;
    }
    while (i < files->members.count && files->members.items[i].set <= *set) {
        i++;
    }
    return i;
}

bool files_fdset_add(Files *files, int64_t set, int fd, const char *opaque, int64_t *set_used, Error **error)
{
    if (set < -1) {
        close(fd);
        return error_set(error, "Parameter 'fdset-id' expects a non-negative value");
    }
    mutex_lock(&files->lock);
    size_t position = member_position(files, &set);
    vec_reserve(&files->members, files->members.count + 1);
    Member *place = files->members.items + position;
    memmove(place + 1, place, (files->members.count - position) * sizeof *place);
    *place = (Member){ .set = set, .fd = fd, .opaque = string_copy(opaque) };
    files->members.count++;
    mutex_unlock(&files->lock);
    *set_used = set;
    return true;
}

bool files_fdset_remove(Files *files, int64_t set, int fd, Error **error)
{
    bool found = false;
    mutex_lock(&files->lock);
    for (size_t i = files->members.count; i-- > 0;) {
        Member *member = &files->members.items[i];
        if (member->set == set && (fd < 0 || member->fd == fd)) {
            close(member->fd);
            free(member->opaque);
            vec_remove(&files->members, i);
            found = true;
        }
    }
    mutex_unlock(&files->lock);
    if (found) {
        return true;
    }
    if (fd < 0) {
        return error_set(error, "File descriptor named 'fdset-id:%lld' not found", (long long)set);
    }
    return error_set(error, "File descriptor named 'fdset-id:%lld, fd:%d' not found", (long long)set, fd);
}

bool files_fdset_member(Files *files, size_t index, FdsetMember *member)
{
    mutex_lock(&files->lock);
    bool found = index < files->members.count;
    if (found) {
        const Member *row = &files->members.items[index];
        *member = (FdsetMember){ .set = row->set, .fd = row->fd, .opaque = row->opaque };
    }
    mutex_unlock(&files->lock);
    return found;
}

/* What a file's size suggests to allocate; pipes and the like say nothing. */
static size_t expected_size(int fd, size_t limit)
{
    enum { UNKNOWN = 64 * 1024 };
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
        return MIN(limit, UNKNOWN);
    }
    return (size_t)MIN((uint64_t)status.st_size, limit);
}

/* Reads to the end, but at most `limit` + 1 bytes; returns how many, or -1 with errno set. */
static ssize_t read_to_end(int fd, size_t limit, char **bytes)
{
    size_t room = expected_size(fd, limit) + 1, length = 0;
    *bytes = mem_alloc(room + 1);
    for (;;) {
        ssize_t got = read(fd, *bytes + length, room - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        length += (size_t)got;
        if (got == 0 || length > limit) {
            return (ssize_t)length;
        }
        if (length == room) {
            room = MIN(room * 2, limit + 1);
            *bytes = mem_realloc(*bytes, room + 1);
        }
    }
}

void *files_read_all(Files *files, const char *path, size_t limit, size_t *size, Error **error)
{
    assert(limit < SSIZE_MAX / 2);
    int fd = files_open(files, path, O_RDONLY, 0, error);
    if (fd < 0) {
        return NULL;
    }
    char *bytes;
    ssize_t length = read_to_end(fd, limit, &bytes);
    if (length < 0) {
        error_set_errno(error, errno, "Could not read '%s'", path);
    } else if ((size_t)length > limit) {
        error_set(error, "'%s' is too large: at most %zu bytes are taken", path, limit);
    }
    close(fd);
    if (length < 0 || (size_t)length > limit) {
        free(bytes);
        return NULL;
    }
    bytes[length] = '\0';
    *size = (size_t)length;
    return bytes;
}
