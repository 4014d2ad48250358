/*
 * What drivers of block nodes implement, and what they see of nodes and edges.
 *
 * Requests reach a driver in tasks, from any loop and many at once; it guards what it keeps with TaskLocks. A read or
 * write that needs nothing but to be sent on to a child at another offset should be said by `map`, which is asked first
 * and must not wait: then no task is made. Everything else is called on the main loop's thread, outside tasks, with no
 * request on its way where the graph or the node's tables change.
 */
#pragma once

#include "base/list.h"
#include "block/graph.h"
#include "block/image.h"
#include "block/ranges.h"
#include "block/throttle.h"

typedef struct BlockDriver BlockDriver;
enum { BLOCK_SECTOR = 512 };

/* What a driver takes; the layer cuts and pads requests to it. 0: any. */
typedef struct BlockLimits {
    uint32_t alignment;        /* of reads and writes, a power of two; at least 1 */
    uint32_t memory_alignment; /* of buffers; at least 1 */
    unsigned maximum_vectors;
    uint64_t maximum_transfer; /* of one read or write, a multiple of the alignment */
    uint32_t zero_alignment, discard_alignment; /* of which whole ones are zeroed or discarded apart from the rest */
    uint64_t maximum_zero, maximum_discard;     /* of one request */
    unsigned write_flags; /* BLOCK_FUA, BLOCK_COMPRESSED where the driver's write does that itself */
} BlockLimits;

struct BlockEdge {
    char *name;        /* "file"; a user's purpose */
    BlockNode *node;   /* that it leads to; holds a reference */
    BlockNode *parent; /* NULL: a user */
    BlockGraph *graph;
    unsigned permissions, shared;
    ListNode in_node, in_parent; /* node->parents; parent->children or graph->users */
    /* A user's. */
    bool write_through;
    ThrottleMember *throttle; /* NULL: no limits */
    void (*resized)(void *data);
    void *resized_data;
    _Atomic uint32_t in_flight;
    struct {
        _Atomic uint64_t operations, bytes, nanoseconds, failed, invalid;
    } statistics[BLOCK_OPERATION_COUNT];
    _Atomic int64_t last; /* when a request ended */
    struct BlockDetail *detail; /* statistics.h; NULL: none is kept */
};

struct BlockNode {
    ListNode in_graph;
    BlockGraph *graph;
    const BlockDriver *driver;
    void *state; /* the driver's, state_size bytes */
    unsigned references;
    char *name, *file_name;
    Json *options;  /* of its children, while it is opened */
    Json *given, *common; /* its own; those that every node has */
    unsigned opened_flags;
    bool inherits; /* a file that was opened for the node above, whose flags are its own too */
    unsigned flags; /* BLOCK_OPEN_*, that its children are opened with */
    const BlockNode *above; /* while it is opened: whose child it becomes */
    bool read_only, force_share, discard, no_flush;
    bool guessed; /* its driver: by the file's beginning */
    _Atomic bool damaged; /* and said so */
    bool hidden;
    bool was_told; /* of a drain */
    bool listens; /* counted in the graph: its driver has a debug_event */
    int detect_zeroes; /* BlockdevDetectZeroesOptions */
    _Atomic uint64_t size;
    BlockLimits limits;
    ListNode children, parents; /* BlockEdge */
    BlockEdge *file, *backing;  /* of the children; NULL: none */
    _Atomic uint64_t highest_write;
    _Atomic uint64_t write_threshold; /* UINT64_MAX: none */
    _Atomic uint64_t written, flushed; /* counts of changes, for flushes that have nothing to do */
    /* Writes under way, where they have to be kept apart: see node_io.c. */
    RangeLock ranges;
    ListNode bitmaps; /* BlockBitmap */
};

/* Where a request goes on: at `offset` of `edge`'s node, the whole of it. */
typedef struct BlockMapping {
    BlockEdge *edge;
    uint64_t offset;
    unsigned token; /* for map_done */
} BlockMapping;

struct BlockDriver {
    const char *name;
    bool is_protocol;
    bool is_filter; /* it shows its `file` at the same offsets: filter.h */
    bool compresses;        /* its images take BLOCK_COMPRESSED */
    bool grows_with_zeroes; /* what is behind the end reads as zeroes once it is written to behind that */
    size_t state_size;
    const Type *settings;     /* of its own options, children not among them */
    const char *filename_key; /* of a protocol whose name is a path: where it goes; else NULL */
    /* Of a protocol with names of its own: their first words, NULL at the end ("nbd" of nbd://host), and how one
     * becomes options; without parse_name, what follows the word is a path. NULL: none. */
    const char *const *schemes;
    bool (*parse_name)(const BlockDriver *driver, const char *name, Json *options, Error **error);
    const char *const *children; /* its options that are nodes, NULL at the end; NULL: "file", but for protocols */
    int (*probe)(const uint8_t *bytes, size_t count); /* how much a file that begins so looks like it, 0 to 100 */

    bool (*open)(BlockNode *node, const void *settings, Error **error);
    void (*close)(BlockNode *node);

    /* Fast path: false where it cannot be said at once. The operation is a read or a write. */
    bool (*map)(BlockNode *node, BlockOperation operation, uint64_t offset, uint64_t bytes, BlockMapping *mapping);
    void (*map_done)(BlockNode *node, unsigned token); /* the request has ended; NULL: nothing to do. Must not wait */
    /* The host's request of a protocol, for reads and writes that fit its limits: fills operation, file and offset, and
     * says whose it is. NULL: none now, make a task. */
    HostAio *(*host_request)(BlockNode *node, BlockLoop *loop, HostAioRequest *request);

    /* In tasks. 0 or an errno value. */
    int (*read)(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors);
    int (*write)(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags);
    int (*write_zeroes)(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags); /* ENOTSUP: cannot */
    int (*discard)(BlockNode *node, uint64_t offset, uint64_t bytes);
    /* Takes space for a part of a file, which may be behind its end and becomes a part of it; what is there stays, what
     * is new reads as zeroes. NULL: it cannot. */
    int (*allocate)(BlockNode *node, uint64_t offset, uint64_t bytes);
    /* A write of what is at `source`; NULL or ENOTSUP: it cannot. */
    int (*copy_to)(BlockNode *node, uint64_t offset, uint64_t bytes, const BlockCopySource *source);
    int (*flush)(BlockNode *node);
    /* `bytes` at most. NULL: data without an offset. */
    int (*status)(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status);

    /* What it needs of the child `name`, and shares, where its parents need and share that much. NULL: the same. */
    unsigned (*child_permissions)(const BlockNode *node, const char *name, unsigned permissions, unsigned *shared);
    /* What all its parents need or allow has changed: takes it up, or refuses. NULL: nothing to do. */
    bool (*set_permissions)(BlockNode *node, unsigned permissions, unsigned shared, Error **error);
    int64_t (*allocated_size)(BlockNode *node); /* NULL: of `file` */
    BlockDiscards (*discards)(const BlockNode *node);
    void (*child_resized)(BlockNode *node); /* the size of `file` has changed: takes up its own; NULL: keeps it */
    /* Its connection is cut for good, and what waits for it fails; main loop's thread, with requests on their way. */
    void (*yank)(BlockNode *node);
    /* A drain begins: what only waits is let go. Until it ends, nothing waits. */
    void (*drain_begin)(BlockNode *node);
    void (*drain_end)(BlockNode *node);
    /* Something that tests may want to know of happens; `event` is a BlkdebugEvent. In tasks or outside. */
    void (*debug_event)(BlockNode *node, int event);
    int (*state)(BlockNode *node, bool write, uint64_t offset, uint64_t bytes, BlockVectors vectors); /* in tasks */
    bool (*resize)(BlockNode *node, uint64_t size, int preallocation, Error **error);

    /* Images as a whole: see image.h. */
    const Type *create_type;
    /* `options`: of create_type. `file_options`: for block_create_file. NULL: such images cannot be made. */
    bool (*create)(BlockGraph *graph, const char *filename, const void *options, const Json *file_options,
                   Error **error);
    const Type *amend_type; /* NULL: none of its options can be changed */
    bool (*amend)(BlockNode *node, const void *options, Error **error); /* of amend_type */
    /* `options`: of create_type, with the source's size; `source` may be NULL. NULL: it cannot tell. */
    bool (*measure)(const void *options, BlockEdge *source, BlockMeasure *measure, Error **error);
    bool has_backing; /* an image can name a backing file */
    void (*facts)(const BlockNode *node, BlockFacts *facts);
    bool (*check)(BlockNode *node, unsigned fix, BlockCheck *check, Error **error);
    bool (*change_backing_file)(BlockNode *node, const char *filename, const char *format, Error **error);
    bool (*make_empty)(BlockNode *node, Error **error);
    bool (*snapshot_list)(BlockNode *node, BlockSnapshots *list, Error **error);
    bool (*snapshot_create)(BlockNode *node, const BlockSnapshot *snapshot, Error **error);
    bool (*snapshot_apply)(BlockNode *node, const char *name, Error **error);
    bool (*snapshot_delete)(BlockNode *node, const char *name, Error **error);
    bool (*snapshot_load)(BlockNode *node, const char *name, Error **error);
    /* Persistent bitmaps: see bitmap.h. NULL: it has none. Those that the image has become the node's; they are stored
     * when it is closed. */
    bool (*bitmaps_supported)(const BlockNode *node);
    bool (*bitmaps_load)(BlockNode *node, Error **error);
    /* Whether one more can be stored. */
    bool (*bitmap_check)(BlockNode *node, const char *name, unsigned granularity_bits, Error **error);
};

/* Sorted by name (generated). */
extern const BlockDriver *const block_drivers[];
extern const size_t block_driver_count;

/* In a task: the driver's `allocate`. ENOTSUP where there is none. */
int block_allocate(BlockEdge *edge, uint64_t offset, uint64_t bytes);

/* For drivers: opens the child that the options name, or the file of that name. NULL with an error. */
BlockEdge *block_open_child(BlockNode *node, const char *name, Error **error);
/* The same of an image, of whatever format it looks to be. */
BlockEdge *block_open_image_child(BlockNode *node, const char *name, Error **error);
bool block_has_child_options(const BlockNode *node, const char *name);
/* The same where the image has a name for the child, relative to itself: it is used without options. `filename` may be
 * NULL. */
BlockEdge *block_open_named_child(BlockNode *node, const char *name, const char *filename, Error **error);
/* node->backing: as the options say, else the image; `filename` and `format` may be NULL. Having none is no error. */
bool block_open_backing(BlockNode *node, const char *filename, const char *format, Error **error);
/* child_permissions of image formats: their files are theirs alone to write to, their backing files are only read. */
unsigned block_format_permissions(const BlockNode *node, const char *name, unsigned permissions, unsigned *shared);
/* Tells the nearest node from here downwards that listens. Costs nothing where none does. */
void block_debug_event(BlockEdge *edge, int event);
/* Says on stderr and to whoever asked for it, once for each node, that the image is damaged. */
void block_node_damaged(BlockNode *node, const BlockDamage *damage);
/* The format that a file which begins so looks to be of. */
const BlockDriver *block_probe(const uint8_t *bytes, size_t count);
Files *block_graph_files(const BlockGraph *graph);
/* For `create`: a new file, or an old one made empty, of a size; opened to be written. `options`: of the protocol's
 * create type, `size` aside; may be NULL. NULL with an error. */
BlockEdge *block_create_file(BlockGraph *graph, const char *filename, uint64_t size, const Json *options,
                             Error **error);
/* Memory for buffers that the node takes; freed by free(). */
void *block_buffer(const BlockNode *node, size_t bytes);
