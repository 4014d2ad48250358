/*
 * Host I/O: files that the debugger reads for itself, as libraries below its `target:`, or writes and removes with
 * `remote put` and `remote delete` (gdb's manual, E.7 and E.13).
 */
#include "base/bytes.h"
#include "base/vec.h"
#include "gdb/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STAT_SIZE = 64 };

void gdb_files_init(GdbFiles *files)
{
    for (size_t i = 0; i < ARRAY_SIZE(files->fds); i++) {
        files->fds[i] = -1;
    }
}

/* errno values that the protocol knows are Linux's, but for this one. */
static int error_number(void)
{
    enum { GDB_NAMETOOLONG = 91, GDB_UNKNOWN = 9999 };
    static const uint8_t known[] = { EPERM, ENOENT, EINTR, EIO, EBADF, EACCES, EFAULT, EBUSY, EEXIST, ENODEV, ENOTDIR,
                                     EISDIR, EINVAL, ENFILE, EMFILE, EFBIG, ENOSPC, ESPIPE, EROFS };

    return errno == ENAMETOOLONG                      ? GDB_NAMETOOLONG
           : memchr(known, errno, sizeof known) ? errno
                                                      : GDB_UNKNOWN;
}

static void reply_number(StrBuf *reply, int64_t result)
{
    if (result < 0) {
        strbuf_printf(reply, "F-1,%x", (unsigned)error_number());
    } else {
        strbuf_printf(reply, "F%" PRIx64, (uint64_t)result);
    }
}

/* A name in hexadecimal digits, below the prefix where it is there; what follows it. False: too long. */
static bool parse_path(const GdbFiles *files, char **at, char path[PATH_MAX])
{
    char name[PATH_MAX];
    size_t length = gdb_parse_hex(*at, (uint8_t *)name, sizeof name - 1);

    name[length] = 0;
    *at += 2 * length;
    *at += **at == ',';
    if (files->prefix && snprintf(path, PATH_MAX, "%s%s", files->prefix, name) < PATH_MAX && !access(path, F_OK)) {
        return true;
    }
    snprintf(path, PATH_MAX, "%s", name);
    return length < sizeof name - 1;
}

/* Flags as the protocol numbers them. */
static int open_flags(uint64_t flags)
{
    static const struct {
        unsigned theirs;
        int ours;
    } rows[] = { { 1, O_WRONLY }, { 2, O_RDWR }, { 8, O_APPEND }, { 0x200, O_CREAT }, { 0x400, O_TRUNC },
                 { 0x800, O_EXCL } };
    int result = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        result |= flags & rows[i].theirs ? rows[i].ours : 0;
    }
    return result;
}

static void file_open(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    char path[PATH_MAX];
    size_t slot = 0;
    bool ok = parse_path(files, &at, path);
    int flags = open_flags(gdb_parse_number(&at));
    mode_t mode = (mode_t)gdb_parse_number(&at) & 07777;

    while (slot < ARRAY_SIZE(files->fds) && files->fds[slot] >= 0) {
        slot++;
    }
    if (!ok || slot == ARRAY_SIZE(files->fds)) {
        errno = !ok ? ENAMETOOLONG : EMFILE;
        reply_number(reply, -1);
        return;
    }
    bool reads = (flags & O_ACCMODE) == O_RDONLY;
    int fd = reads && files->open_file ? files->open_file(files->data, path) : -1;
    files->fds[slot] = fd >= 0 ? fd : open(path, flags, mode);
    reply_number(reply, files->fds[slot] < 0 ? -1 : (int64_t)slot);
}

static int *find_fd(GdbFiles *files, char **at)
{
    uint64_t number = gdb_parse_number(at);

    errno = EBADF;
    return number < ARRAY_SIZE(files->fds) && files->fds[number] >= 0 ? &files->fds[number] : NULL;
}

static void file_close(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    int *fd = find_fd(files, &at);

    reply_number(reply, fd ? close(*fd) : -1);
    if (fd) {
        *fd = -1;
    }
}

static void file_read(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    int *fd = find_fd(files, &at);
    uint64_t size = gdb_parse_number(&at), offset = gdb_parse_number(&at);
    uint8_t bytes[GDB_DATA_MAXIMUM];
    ssize_t count = fd ? pread(*fd, bytes, MIN(size, sizeof bytes), (off_t)offset) : -1;

    reply_number(reply, count);
    if (count >= 0) {
        strbuf_append_char(reply, ';');
        strbuf_append_bytes(reply, bytes, (size_t)count);
    }
}

/* FD,OFFSET,BYTES */
static void file_write(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    int *fd = find_fd(files, &at);
    uint64_t offset = gdb_parse_number(&at);

    reply_number(reply, fd ? pwrite(*fd, at, (size_t)(end - at), (off_t)offset) : -1);
}

static void file_unlink(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    char path[PATH_MAX];
    bool ok = parse_path(files, &at, path);

    errno = ENAMETOOLONG;
    reply_number(reply, ok ? unlink(path) : -1);
}

static void file_stat(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    int *fd = find_fd(files, &at);
    uint8_t bytes[STAT_SIZE];
    struct stat s;

    if (!fd || fstat(*fd, &s)) {
        reply_number(reply, -1);
        return;
    }
    const struct {
        unsigned size;
        uint64_t value;
    } fields[] = {
        { 4, s.st_dev }, { 4, s.st_ino }, { 4, s.st_mode }, { 4, s.st_nlink }, { 4, s.st_uid }, { 4, s.st_gid },
        { 4, s.st_rdev }, { 8, (uint64_t)s.st_size }, { 8, (uint64_t)s.st_blksize }, { 8, (uint64_t)s.st_blocks },
        { 4, (uint64_t)s.st_atime }, { 4, (uint64_t)s.st_mtime }, { 4, (uint64_t)s.st_ctime },
    };
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        for (unsigned k = fields[i].size; k--;) {
            bytes[used++] = (uint8_t)(fields[i].value >> 8 * k); /* big-endian */
        }
    }
    strbuf_printf(reply, "F%zx;", used);
    strbuf_append_bytes(reply, bytes, used);
}

static void file_readlink(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    char path[PATH_MAX], target[PATH_MAX];
    bool ok = parse_path(files, &at, path), own = ok && files->read_link && files->read_link(files->data, path, target);
    ssize_t length = own ? (ssize_t)strlen(target) : ok ? readlink(path, target, sizeof target) : -1;

    reply_number(reply, length);
    if (length >= 0) {
        strbuf_append_char(reply, ';');
        strbuf_append_bytes(reply, target, (size_t)length);
    }
}

/* Files are looked for where we are, for whatever process. */
static void file_setfs(GdbFiles *files, char *at, const char *end, StrBuf *reply)
{
    reply_number(reply, 0);
}

void gdb_files_serve(GdbFiles *files, const char *packet, size_t length, StrBuf *reply)
{
    static const struct {
        const char *name;
        void (*serve)(GdbFiles *files, char *at, const char *end, StrBuf *reply);
    } calls[] = {
        { "open:", file_open },   { "close:", file_close },       { "pread:", file_read },
        { "fstat:", file_stat },  { "readlink:", file_readlink }, { "setfs:", file_setfs },
        { "pwrite:", file_write }, { "unlink:", file_unlink },
    };
    AUTO_FREE char *copy = string_copy_length(packet, length);

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        size_t size = strlen(calls[i].name);
        if (!strncmp(copy, calls[i].name, size)) {
            calls[i].serve(files, copy + size, copy + length, reply);
            return;
        }
    }
}
