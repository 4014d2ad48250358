/*
 * The parts of a virtio disk: the device and its properties (virtio_blk.c), its requests (virtio_blk_request.c), and
 * which loop works on which queue (virtio_blk_queues.c).
 */
#pragma once

#include "block/block.h"
#include "core/boot_order.h"
#include "hw/virtio/virtio.h"
#include "schema/block.h"
#include "schema/common.h"

typedef struct VirtioBlock VirtioBlock;
typedef struct VirtioBlockRequest VirtioBlockRequest;

enum {
    VIRTIO_BLK_F_SEG_MAX = 2,
    VIRTIO_BLK_F_GEOMETRY = 4,
    VIRTIO_BLK_F_RO = 5,
    VIRTIO_BLK_F_BLK_SIZE = 6,
    VIRTIO_BLK_F_FLUSH = 9,
    VIRTIO_BLK_F_TOPOLOGY = 10,
    VIRTIO_BLK_F_CONFIG_WCE = 11,
    VIRTIO_BLK_F_MQ = 12,
    VIRTIO_BLK_F_DISCARD = 13,
    VIRTIO_BLK_F_WRITE_ZEROES = 14,
};

/* What goes with a queue: all of it is its loop's alone. */
typedef struct VirtioBlockQueue {
    VirtioBlock *block;
    VirtQueue *queue;
    BlockLoop *loop;            /* NULL: none was taken */
    struct IoThread *iothread;  /* whose it is; NULL: the main one */
    BlockCall call;  /* at the end of a round that requests have ended in: one interrupt for all of them */
    bool called;     /* that is on its way */
    bool used;       /* the driver is to hear of what ended */
    bool handling;   /* requests are being begun: the interrupt comes after the last one */
    VirtioBlockRequest *failed; /* to be tried again when the machine goes on */
} VirtioBlockQueue;

struct VirtioBlock {
    VirtioDevice virtio;
    VirtioBlockQueue *queues; /* one for each; NULL: not realized */
    _Atomic bool writeback;   /* as the driver last set it */
    /* Properties. */
    Disk *disk;
    Object *iothread;           /* of all queues; NULL: see below, or the main loop */
    TypeList iothread_mapping;  /* IOThreadVirtQueueMapping */
    char *serial;
    uint64_t logical_block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity;
    uint32_t cylinders, heads, sectors, max_discard_sectors, max_write_zeroes_sectors;
    BootGeometry firmware_geometry;
    int32_t boot_index;
    uint16_t num_queues, queue_size;
    OnOffAuto write_cache; /* auto: on */
    OnOffAuto account_invalid, account_failed; /* in statistics; auto: as the drive says */
    bool config_wce, discard, report_discard_granularity, write_zeroes, seg_max_adjust, share_writes;
    int read_error, write_error; /* BlockdevOnError; auto: as the drive says */
};

/* virtio_blk_request.c: on the queue's loop. */
void virtio_blk_handle(VirtioDevice *device, VirtQueue *queue);
void virtio_blk_interrupt(VirtioBlockQueue *queue); /* where something has ended since the last one */
void virtio_blk_try_again(VirtioBlockQueue *queue); /* what failed */
void virtio_blk_give_up(VirtioBlockQueue *queue);   /* the same, before a reset */

/* virtio_blk_queues.c: on the main thread. Makes the queues and takes their loops; and undoes it, when nothing is in
 * flight. */
bool virtio_blk_make_queues(VirtioBlock *block, Error **error);
void virtio_blk_free_queues(VirtioBlock *block);
/* Calls the function for each queue, on its loop. */
void virtio_blk_each_queue(VirtioBlock *block, void (*function)(VirtioBlockQueue *queue));
