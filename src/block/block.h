/*
 * The host's side of disks: the seam that devices use. Behind it stand the block nodes of graph.h. Calls are made on
 * the thread of the loop that the first disk was opened with, but for requests: they may come from any loop that was
 * taken by disk_take_loop, and complete on the one that they came from.
 */
#pragma once

#include "block/request.h"
#include "object/object.h"

typedef struct BlockGraph BlockGraph;
typedef struct Disk Disk;
typedef struct Files Files;
typedef struct Json Json;
typedef struct Loop Loop;
typedef struct Machine Machine;
typedef struct ThrottleLimits ThrottleLimits;

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
    BlockRequest block; /* the disk's own */
};

extern const Class disk_class; /* "disk": an object under /disks, named by its id */

/* What -drive says. */
typedef struct DiskOptions {
    const char *id, *filename;
    Json *options;  /* of the node, as for block_open; taken; may be NULL */
    unsigned flags; /* BLOCK_OPEN_* */
    bool write_through;
    bool empty;        /* there is no medium: neither file nor options */
    int detect_zeroes; /* of one that is put in then: BlockdevDetectZeroesOptions */
    bool snapshot;     /* what is written goes to a file that is gone afterwards */
    bool copy_on_read;
    int read_error, write_error; /* BlockdevOnError */
    const char *throttle_group;  /* NULL: one of its own, if it has limits */
    ThrottleLimits *throttling;  /* NULL: none */
    bool ignore_invalid, ignore_failed; /* in statistics: statistics.h */
    const unsigned *intervals; /* of which statistics are kept, in seconds */
    size_t interval_count;
} DiskOptions;
/* A borrowed pointer: the object tree under `root` holds the disk. NULL with an error that names the file. */
Disk *disk_open(Object *root, Files *files, Loop *loop, const DiskOptions *options, Error **error);
/* -blockdev and blockdev-add: a node of its own, whose name is then that of a drive too. `options` is taken. */
bool disk_add_node(Object *root, Files *files, Loop *loop, Json *options, Error **error);
bool disk_remove_node(Object *root, const char *name, Error **error);
/* The nodes of the machine; NULL where nothing has been opened yet. */
BlockGraph *disk_graph(Object *root);
/* The same, made where there is none; NULL with an error. */
BlockGraph *disk_make_graph(Object *root, Files *files, Loop *loop, Error **error);
/* The same, for trace events of its nodes, and events of the machine about images that are damaged. */
bool disk_prepare_graph(Machine *machine, Files *files, Error **error);
/* What counts in statistics of its requests: OnOffAuto; auto: as before. */
void disk_set_accounting(Disk *disk, int invalid, int failed);
/* Waits for its requests and takes it out of the tree. */
void disk_close(Disk *disk);
bool disk_is_empty(const Disk *disk); /* its size is 0, and all requests but flushes fail */
/* The medium of a disk that no device uses: takes it out; or puts in another one that is opened in the same way but for
 * its format (NULL: found out) and for `mode`, a BlockdevChangeReadOnlyMode. What fails leaves the old one there. */
bool disk_eject(Disk *disk, Error **error);
bool disk_change(Disk *disk, const char *filename, const char *format, int mode, Error **error);
/* Takes the drive's name and image away; a device that uses it keeps an empty one without a name. */
bool disk_delete(Disk *disk, Error **error);
bool disk_has_name(const Disk *disk); /* that of a drive: not a node's, and it was not taken away */
const char *disk_id(const Disk *disk);
const char *disk_path(const Disk *disk);
uint64_t disk_size(const Disk *disk); /* bytes */
bool disk_read_only(const Disk *disk);
BlockEdge *disk_edge(const Disk *disk);
const char *disk_node_name(const Disk *disk);
BlockNode *disk_node(const Disk *disk); /* below filters that the disk has put there by itself */
typedef enum DiskStatus { DISK_OK, DISK_FAILED, DISK_NOSPACE } DiskStatus; /* what stopped the machine */
void disk_set_status(Disk *disk, DiskStatus status);
DiskStatus disk_status(const Disk *disk);
/* What -drive says is to be done about errors: BlockdevOnError. */
int disk_error_policy(const Disk *disk, bool write);
/* The limits of what goes through; `group` NULL: as before, else its own. All zeroes: none. */
bool disk_set_limits(Disk *disk, const char *group, const ThrottleLimits *limits, Error **error);
/* The device that uses the disk hears (main thread) that its size has changed, and that it is to submit nothing, on no
 * loop, until it is told to go on; requests that it has submitted are not its concern then. Both may be NULL. */
typedef struct DiskListener {
    void (*resized)(void *data);
    void (*pause)(void *data, bool pauses);
} DiskListener;
void disk_set_listener(Disk *disk, const DiskListener *listener, void *data); /* NULL: nobody listens */
/* The block layer's part of a loop from which the disk's user will submit, and the end of that, with nothing under way
 * there. The main loop's is always there, and may be taken too. NULL with an error. */
BlockLoop *disk_take_loop(Disk *disk, Loop *loop, Error **error);
void disk_give_loop(Disk *disk, BlockLoop *loop);
const Object *disk_user(const Disk *disk); /* NULL: no device uses it */
/* A disk serves one device, while which nobody else writes to its node but where the device shares that (and anybody
 * may while it serves none). False where it serves another, or somebody writes. */
bool disk_attach(Disk *disk, Object *user, bool shares_writes, Error **error);
void disk_detach(Disk *disk);

/* What is outside the disk, or a write to a read-only one, is done with EIO or EPERM. On any loop that was taken. */
void disk_submit(Disk *disk, DiskRequest *request);
/* Counts a request that the device refuses itself: it is misaligned, or outside the disk. */
void disk_count_invalid(Disk *disk, DiskOperation operation);
/* Returns when no request is left, of whichever loop; their `done` were called. */
void disk_drain(Disk *disk);
/* The first `count` bytes at once, for firmware in flash; what lies behind the end reads as zero. */
bool disk_read_first(Disk *disk, void *bytes, uint64_t count, Error **error);

/* A property row that names a disk by its id; the field is a Disk *, not owned. */
bool disk_property_set(Object *object, const Property *property, const Json *value, Error **error);
Json *disk_property_get(Object *object, const Property *property, Error **error);
#define PROP_DRIVE(name_, struct_, field_) \
    { .name = name_, .type_name = "str", .offset = offsetof(struct_, field_), .get = disk_property_get, \
      .set = disk_property_set, .description = "ID of a drive" }
