/*
 * The core of virtio devices, after "Virtual I/O Device (VIRTIO) Version 1.2", sections 2 and 3: feature and status
 * negotiation, configuration space, split and packed virtqueues. It never names a transport: virtio-mmio (and others)
 * reach it through a bus and this header.
 *
 * A queue's notification never holds up the vCPU that makes it: it takes no lock, and the queue is worked on by its
 * loop. That is the main one, where this happens under the device's lock; a device of a class with `own_queues` may
 * give each of its queues a loop of its own, and has no lock there: what moves along a ring (its positions, the chains
 * that were popped) is that loop's alone from the time when the driver enables the queue until it stops it, and to stop
 * it is done on that loop, after the vCPU has let go of the lock. The same functions serve both.
 *
 * A driver that breaks the rules stops its device (DEVICE_NEEDS_RESET, in a modern driver's eyes) until it is reset.
 */
#pragma once

#include "core/device.h"

#include <sys/uio.h>

typedef struct Loop Loop;
typedef struct VirtElement VirtElement;
typedef struct VirtioDevice VirtioDevice;
typedef struct VirtioTransport VirtioTransport;
typedef struct VirtQueue VirtQueue;

enum {
    VIRTIO_QUEUES = 64,             /* of one device at most */
    VIRTIO_QUEUE_SIZE_LIMIT = 1024, /* descriptors of a queue, and of a chain */
    VIRTIO_CONFIG_LIMIT = 256,      /* bytes of a device's configuration space */
};

enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

enum {
    VIRTIO_F_NOTIFY_ON_EMPTY = 24, /* legacy */
    VIRTIO_F_ANY_LAYOUT = 27,      /* legacy */
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
    VIRTIO_F_ACCESS_PLATFORM = 33,
    VIRTIO_F_RING_PACKED = 34,
    VIRTIO_F_IN_ORDER = 35,
    VIRTIO_F_RING_RESET = 40,
};

enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

struct VirtQueue {
    VirtioDevice *device;
    void (*handle)(VirtioDevice *device, VirtQueue *queue); /* buffers were made available */
    uint16_t index;
    uint16_t maximum; /* size that the device offers; 0: there is no such queue */
    uint16_t size;
    Loop *loop; /* that works on it */
    _Atomic bool ready;
    _Atomic bool kicked; /* notified: a call is on its way to the loop */
    bool quiet;  /* the device looks by itself: virtqueue_set_notification */
    bool resetting; /* the driver waits for its end */
    /* Guest addresses of the descriptor table or ring, the driver's and the device's area. */
    uint64_t descriptors, driver, used;
    /* Split: free-running indices. Packed: positions, with their wrap counters. */
    uint16_t next_available, next_used;
    bool available_wrap, used_wrap;
    uint16_t signalled; /* next_used at the last interrupt */
    bool signalled_valid;
    uint16_t in_flight; /* popped and not yet pushed */
    VirtElement *first, *last; /* these, as they were popped, where they are given back in that order */
};

/* A chain of buffers that the driver made available. */
struct VirtElement {
    uint16_t id;            /* of the head (split) or the buffer (packed) */
    uint16_t descriptors;   /* ring entries that the chain takes */
    struct iovec *out, *in; /* to be read, to be written by the device */
    unsigned out_count, in_count;
    size_t out_bytes, in_bytes;
    RamMap *maps;
    unsigned map_count;
    bool ordered;      /* it is given back after those that were popped before it: */
    VirtElement *next; /* in the queue's list, */
    bool done;         /* waiting for those, */
    uint32_t written;  /* with this */
};

typedef struct VirtioDeviceClass {
    DeviceClass device;
    uint16_t virtio_id;
    /* Fills the configuration space from the device's state; called before each read. May be NULL. */
    void (*get_config)(VirtioDevice *device, uint8_t *config);
    /* The driver wrote `size` bytes at `offset`; `config` holds them. May be NULL: writes are lost. */
    void (*set_config)(VirtioDevice *device, const uint8_t *config, uint32_t offset, uint32_t size);
    /* Features were agreed on; a legacy driver may write them several times. May be NULL. */
    void (*features_changed)(VirtioDevice *device);
    /* Finishes what is in flight or gives it back (virtqueue_unpop); nothing new can be popped. On the main loop's
     * thread, without the lock. May be NULL. */
    void (*drain)(VirtioDevice *device);
    bool own_queues; /* queues are handled without the device's lock, on their loops */
} VirtioDeviceClass;

struct VirtioDevice {
    Device device;
    uint64_t host_features;           /* offered: the class's own are added by its realize */
    _Atomic uint64_t driver_features; /* accepted */
    _Atomic uint8_t status;
    uint8_t isr; /* under the lock */
    _Atomic bool broken;
    _Atomic bool stopped;    /* the machine stands still */
    _Atomic unsigned resets; /* that wait for what is in flight; while there are some, or it is stopped, nothing is
                              * popped */
    _Atomic unsigned pauses; /* virtio_pause: likewise */
    uint32_t config_generation;
    uint32_t config_size;
    VirtQueue queues[VIRTIO_QUEUES];
    unsigned queue_count;
    const VirtioTransport *transport;
    void *transport_data;
    /* Properties. */
    bool indirect_desc, event_idx, notify_on_empty, any_layout, iommu_platform, packed, in_order, queue_reset;
};

extern const VirtioDeviceClass virtio_device_class; /* "virtio-device", abstract */
#define virtio_class_of(vdev) ((const VirtioDeviceClass *)((const VirtioDevice *)(vdev))->device.object.class)

/* The transport's side. */
struct VirtioTransport {
    /* isr changed: drive the interrupt. `queue` NULL: the configuration changed. Called under the device's lock. */
    void (*interrupt)(void *data, VirtQueue *queue);
};
typedef struct VirtioBus {
    Bus bus;
    const VirtioTransport *transport;
    void *data; /* the transport's */
    VirtioDevice *device; /* NULL while nothing is plugged in */
} VirtioBus;
extern const Class virtio_bus_class; /* "virtio-bus", abstract: takes one device */

/* All under the virtio device's lock. What is in flight when the driver resets the device, or resets or stops a queue,
 * is finished first: after the lock is released, before the guest's next instruction. */
void virtio_set_status(VirtioDevice *device, uint8_t status); /* 0 resets */
void virtio_request_queue_reset(VirtQueue *queue);
void virtio_request_queue_stop(VirtQueue *queue); /* not ready any more; size and addresses stay */
/* 32 bits of the features; a legacy driver (`modern` false) sees those below VERSION_1. */
uint32_t virtio_features(const VirtioDevice *device, uint32_t select, bool modern);
void virtio_set_driver_features(VirtioDevice *device, uint32_t select, uint32_t value, bool modern);
void virtio_config_read(VirtioDevice *device, uint32_t offset, void *bytes, uint32_t size);
void virtio_config_write(VirtioDevice *device, uint32_t offset, const void *bytes, uint32_t size);
VirtQueue *virtio_queue(VirtioDevice *device, uint32_t index); /* NULL where there is none */
/* Checks the addresses and size that the driver gave: bad ones stop the device. */
void virtio_queue_enable(VirtQueue *queue);
void virtio_queue_notify(VirtioDevice *device, uint32_t index); /* needs no lock */
/* Bytes from the start of a legacy ring of `size` entries to its used ring; `alignment` is a power of two. */
uint64_t virtio_legacy_used_offset(uint16_t size, uint32_t alignment);

/* The device's side: under its lock or, where it has `own_queues`, on the queue's loop. */
VirtQueue *virtio_add_queue(VirtioDevice *device, uint16_t maximum, void (*handle)(VirtioDevice *, VirtQueue *));
static inline bool virtio_has(const VirtioDevice *device, unsigned feature)
{
    return device->driver_features >> feature & 1;
}
/* Whether ring and configuration fields are big-endian: legacy drivers of big-endian guests. */
bool virtio_is_big_endian(const VirtioDevice *device);
/* Main thread, without the lock: nothing is popped from now on, and whoever was popping is done; and the end of that.
 * What is in flight stays so. They nest. */
void virtio_pause(VirtioDevice *device);
void virtio_resume(VirtioDevice *device);
/* In `unrealize`, of a class with own_queues: resets the device for good, so that nothing of it is on any loop. */
void virtio_end(VirtioDevice *device);
/* Calls the function on each loop of the device's queues, one after the other. As above. */
void virtio_each_loop(VirtioDevice *device, void (*function)(void *data), void *data);
/* The driver broke a rule: logs it and stops the device. */
void virtio_error(VirtioDevice *device, const char *format, ...) PRINTF(2, 3);
void virtio_config_changed(VirtioDevice *device);

/* The next chain, or NULL where there is none (or the device is stopped). */
VirtElement *virtqueue_pop(VirtQueue *queue);
/* Gives the chain back, `written` bytes of its `in` part filled, and frees it. */
void virtqueue_push(VirtQueue *queue, VirtElement *element, uint32_t written);
/* Takes back the last pop: the chain will be there again. */
void virtqueue_unpop(VirtQueue *queue, VirtElement *element);
/* Forgets a chain (reset). */
void virtqueue_discard(VirtQueue *queue, VirtElement *element);
/* Interrupts the driver if it wants to hear of what was pushed. */
void virtqueue_interrupt(VirtQueue *queue);
/* Has `handle` called again, after others had their turn: it leaves off after so many buffers as the queue has entries,
 * for a driver can add more for ever. */
void virtqueue_again(VirtQueue *queue);
/* Asks the driver for notifications, or spares it them while the device looks by itself. */
void virtqueue_set_notification(VirtQueue *queue, bool wanted);

/* Copies between a chain's buffers and memory; returns the bytes moved, fewer at the end of the chain. */
size_t virt_read(const VirtElement *element, size_t offset, void *bytes, size_t count);
size_t virt_write(const VirtElement *element, size_t offset, const void *bytes, size_t count);
