/*
 * The host's side of disks: the seam that devices use. Behind it stands a raw file or host device for now; the block
 * layer (formats, filters, protocols) takes its place there. Requests complete on the loop that the disk was opened
 * with; all calls are made on that loop's thread.
 */
#pragma once

#include "object/object.h"

#include <sys/uio.h>

typedef struct Disk Disk;
typedef struct Files Files;
typedef struct Loop Loop;

enum { DISK_SECTOR = 512 };

typedef enum DiskOperation { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES } DiskOperation;

/* One request; it and its vectors are the caller's, and stay where they are until `done`. */
typedef struct DiskRequest DiskRequest;
struct DiskRequest {
    DiskOperation operation;
    bool may_unmap;         /* write zeroes: the space may be given back */
    uint64_t offset, bytes; /* multiples of DISK_SECTOR */
    const struct iovec *vectors;
    unsigned vector_count;
    void (*done)(DiskRequest *request, int error); /* errno value or 0 */
    void *data;
    /* The disk's own. */
    Disk *disk;
    DiskRequest *next;
    int error;
};

extern const Class disk_class; /* "disk": an object under /disks, named by its id */

/* -drive file=PATH,format=raw. A borrowed pointer: the object tree under `root` holds the disk. The size of a file that
 * is no multiple of a sector is rounded up, and reads as zero there. NULL with an error that names the file. */
Disk *disk_open(Object *root, Files *files, Loop *loop, const char *id, const char *path, bool read_only,
                Error **error);
/* Waits for its requests and takes it out of the tree. */
void disk_close(Disk *disk);
const char *disk_id(const Disk *disk);
const char *disk_path(const Disk *disk);
uint64_t disk_size(const Disk *disk); /* bytes */
bool disk_read_only(const Disk *disk);
/* A disk serves one device. False while it serves another. */
bool disk_attach(Disk *disk, Object *user, Error **error);
void disk_detach(Disk *disk);

/* What is outside the disk, or a write to a read-only one, is done with EIO or EPERM. */
void disk_submit(Disk *disk, DiskRequest *request);
/* Returns when no request is left; their `done`, and whatever else was posted to the loop, were called. */
void disk_drain(Disk *disk);
/* The first `count` bytes at once, for firmware in flash; what lies behind the end reads as zero. */
bool disk_read_first(Disk *disk, void *bytes, uint64_t count, Error **error);

/* A property row that names a disk by its id; the field is a Disk *, not owned. */
bool disk_property_set(Object *object, const Property *property, const struct Json *value, Error **error);
struct Json *disk_property_get(Object *object, const Property *property, Error **error);
#define PROP_DRIVE(name_, struct_, field_) \
    { .name = name_, .type_name = "str", .offset = offsetof(struct_, field_), .get = disk_property_get, \
      .set = disk_property_set, .description = "ID of a drive" }
