/*
 * The one way to open things: images, sockets' files, logs, dumps, kernels. It knows /dev/fdset/N, descriptors
 * passed by name (getfd, -add-fd) and numbers that the process inherited. A Files hangs off the program; any thread
 * may use it.
 */
#pragma once

#include "base/compiler.h"

#include <sys/types.h>

typedef struct Error Error;
typedef struct Files Files;

Files *files_new(void);
void files_free(Files *files);

/* As open(2), close-on-exec; `files` NULL knows plain paths alone. `path` may be /dev/fdset/N: then a duplicate of the
 * member whose access mode fits. Returns a descriptor that the caller owns, or -1 with an error that names the path. */
int files_open(Files *files, const char *path, int flags, mode_t mode, Error **error);
/* A descriptor given by getfd's name (taken over: the name is gone) or by an inherited number. -1 on failure. */
int files_take_fd(Files *files, const char *name_or_number, Error **error);
/* The whole of a file of at most `limit` bytes; a NUL is put after the end. Owned by the caller. */
void *files_read_all(Files *files, const char *path, size_t limit, size_t *size, Error **error);

/* getfd and closefd; `fd` becomes the table's, and is closed on failure. A name that was taken is replaced, as QMP
 * says. */
bool files_add_named(Files *files, const char *name, int fd, Error **error);
bool files_close_named(Files *files, const char *name, Error **error);

/* add-fd, remove-fd, -add-fd. `set` -1: the lowest free number. The number used goes to *set_used. `opaque` may be
 * NULL. `fd` becomes the set's, and is closed on failure. */
bool files_fdset_add(Files *files, int64_t set, int fd, const char *opaque, int64_t *set_used, Error **error);
/* `fd` -1: the whole set. */
bool files_fdset_remove(Files *files, int64_t set, int fd, Error **error);
/* For query-fdsets, in order of number. Returns false at the end. */
typedef struct FdsetMember {
    int64_t set;
    int fd;
    const char *opaque; /* may be NULL; valid until the sets change */
} FdsetMember;
bool files_fdset_member(Files *files, size_t index, FdsetMember *member);
