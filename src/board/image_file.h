/*
 * A file that goes into a guest's memory: a kernel, firmware, an initial ramdisk. A regular file is read where it lies,
 * again at each reset; what comes from a pipe, or was compressed, is kept in memory.
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct Files Files;

typedef struct ImageFile {
    char *name;     /* for messages: what it is, and its path in quotes */
    char *path;
    int fd;         /* -1: in `bytes` */
    uint8_t *bytes;
    uint64_t size;
    unsigned references;
} ImageFile;

/* `what` is "kernel", "firmware" ...; messages begin with it. An empty file is an error, and a pipe that gives more
 * than `limit` bytes. */
ImageFile *image_file_open(Files *files, const char *what, const char *path, uint64_t limit, Error **error);
/* A copy of bytes of our own making. */
ImageFile *image_file_from_bytes(const char *name, const void *bytes, size_t size);
ImageFile *image_file_ref(ImageFile *file);
void image_file_unref(ImageFile *file); /* NULL is fine */
/* All of `count` bytes from `offset`, or an error that says what is missing. */
bool image_file_read(const ImageFile *file, uint64_t offset, void *bytes, size_t count, Error **error);
bool image_file_is_gzip(const ImageFile *file);
/* The file that gzip made `count` bytes from `offset` of: a new one, at most `limit` bytes. */
ImageFile *image_file_inflate(const ImageFile *file, uint64_t offset, uint64_t count, uint64_t limit, Error **error);
