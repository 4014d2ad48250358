/*
 * The host's side of disks. This is the seam that devices use; behind it stands a raw file for now, and the block layer
 * (formats, filters, protocols) later. Requests complete on the loop that the disk is bound to.
 */
#pragma once

#include "object/object.h"

#include <sys/uio.h>

typedef struct Disk Disk;
typedef struct Files Files;
typedef struct Loop Loop;

typedef enum DiskOperation { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES } DiskOperation;

/* One request; the caller owns it until `done`. */
typedef struct DiskRequest DiskRequest;
struct DiskRequest {
    DiskOperation operation;
    uint64_t offset, bytes; /* multiples of the block size */
    const struct iovec *vectors;
    unsigned vector_count;
    void (*done)(DiskRequest *request, int error); /* errno value or 0; on the loop */
    void *data;
    void *owner; /* the disk's */
};

/* -drive file=...,format=raw; `id` names it for devices' `drive` property. */
Disk *disk_open(Files *files, Loop *loop, const char *id, const char *path, bool read_only, Error **error);
void disk_close(Disk *disk);
const char *disk_id(const Disk *disk);
uint64_t disk_size(const Disk *disk); /* bytes */
bool disk_read_only(const Disk *disk);
void disk_submit(Disk *disk, DiskRequest *request);
/* Waits for all requests; used by reset and park. */
void disk_drain(Disk *disk);
/* A small read at once, for firmware in flash. */
bool disk_read_all(Disk *disk, void *bytes, uint64_t count, Error **error);
