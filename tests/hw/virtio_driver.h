/*
 * A virtio driver for tests: a virtio-mmio transport on the bench with a device behind it, guest memory, and the
 * driver's side of split and packed queues. What a test wants to be wrong it writes into the memory itself.
 */
#pragma once

#include "bench.h"
#include "hw/virtio/virtio.h"

#define DRIVER_RAM UINT64_C(0x80000000)
enum { DRIVER_RAM_SIZE = 4 << 20, DRIVER_LINE = 0, DRIVER_QUEUES = 8 };

/* Registers of virtio-mmio, by VIRTIO 1.2's names. */
enum {
    MMIO_MAGIC = 0x000,
    MMIO_VERSION = 0x004,
    MMIO_DEVICE_ID = 0x008,
    MMIO_VENDOR_ID = 0x00c,
    MMIO_DEVICE_FEATURES = 0x010,
    MMIO_DEVICE_FEATURES_SEL = 0x014,
    MMIO_DRIVER_FEATURES = 0x020,
    MMIO_DRIVER_FEATURES_SEL = 0x024,
    MMIO_GUEST_PAGE_SIZE = 0x028,
    MMIO_QUEUE_SEL = 0x030,
    MMIO_QUEUE_NUM_MAX = 0x034,
    MMIO_QUEUE_NUM = 0x038,
    MMIO_QUEUE_ALIGN = 0x03c,
    MMIO_QUEUE_PFN = 0x040,
    MMIO_QUEUE_READY = 0x044,
    MMIO_QUEUE_NOTIFY = 0x050,
    MMIO_INTERRUPT_STATUS = 0x060,
    MMIO_INTERRUPT_ACK = 0x064,
    MMIO_STATUS = 0x070,
    MMIO_QUEUE_DESC = 0x080,
    MMIO_QUEUE_DRIVER = 0x090,
    MMIO_QUEUE_DEVICE = 0x0a0,
    MMIO_SHM_SEL = 0x0ac,
    MMIO_SHM_LEN = 0x0b0,
    MMIO_SHM_BASE = 0x0b8,
    MMIO_QUEUE_RESET = 0x0c0,
    MMIO_CONFIG_GENERATION = 0x0fc,
    MMIO_CONFIG = 0x100,
};

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_AVAIL = 1 << 7, DESC_USED = 1 << 15 };

/* What a driver was before it used the device. */
enum { STATUS_BEGUN = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER };

typedef struct Buffer {
    uint64_t address;
    uint32_t length;
    bool write; /* by the device */
} Buffer;

typedef struct DriverQueue {
    struct Driver *driver;
    uint16_t index, size;
    uint64_t descriptors, available, used; /* addresses */
    uint16_t next;                         /* split: the next free descriptor; packed: the next place in the ring */
    uint16_t available_index;              /* split: as published */
    uint16_t last_used;
    bool wrap, used_wrap;    /* packed */
    uint16_t next_id;        /* packed */
    uint16_t lengths[1024];  /* packed: descriptors of each buffer id */
} DriverQueue;

typedef struct Driver {
    Bench *bench;
    Device *transport;
    VirtioDevice *device;
    uint64_t base; /* of the registers */
    bool legacy, packed, big_endian;
    uint64_t features;
    uint8_t *ram;
    uint64_t allocated;
    DriverQueue queues[DRIVER_QUEUES];
} Driver;

/* A bench with memory and a transport; the device is added and the machine runs. */
Driver *driver_new(const char *class, const char *properties, bool legacy);
/* The parts of it, for tests that put things between. */
Driver *driver_new_empty(bool legacy);
void driver_add(Driver *driver, const char *class, const char *properties);
void driver_run(Driver *driver);
void driver_free(Driver *driver);

/* Registers. */
uint32_t driver_get(Driver *driver, uint64_t offset);
void driver_put(Driver *driver, uint64_t offset, uint32_t value);
uint64_t driver_offered(Driver *driver);

/* Memory. */
uint64_t driver_alloc(Driver *driver, uint64_t size, uint64_t alignment);
uint8_t *driver_host(Driver *driver, uint64_t address);
uint64_t driver_load(Driver *driver, uint64_t address, unsigned size); /* in the driver's byte order */
void driver_store(Driver *driver, uint64_t address, unsigned size, uint64_t value);

/* From reset to FEATURES_OK (legacy: DRIVER); what of `wanted` is offered is accepted, and VERSION_1. */
void driver_negotiate(Driver *driver, uint64_t wanted);
void driver_go(Driver *driver); /* DRIVER_OK */
/* A ring in memory, and the registers told of it. */
DriverQueue *driver_queue(Driver *driver, uint16_t index, uint16_t size);
/* The ring's memory alone; driver_tell sets the registers. */
DriverQueue *driver_make_queue(Driver *driver, uint16_t index, uint16_t size);
void driver_tell(DriverQueue *queue);

/* Makes a chain available without a notification; returns its id. */
uint16_t queue_add(DriverQueue *queue, const Buffer *buffers, unsigned count);
uint16_t queue_add_indirect(DriverQueue *queue, const Buffer *buffers, unsigned count);
void queue_kick(DriverQueue *queue);
/* The next used chain; false where there is none. */
bool queue_take(DriverQueue *queue, uint16_t *id, uint32_t *length);
/* Runs the loop until there is one, or far too long. */
bool queue_wait(DriverQueue *queue);
void driver_put_descriptor(Driver *driver, uint64_t at, uint64_t address, uint32_t length, uint16_t third,
                           uint16_t fourth);
/* The driver's words on interrupts: a flag (or packed: disable), or an event. */
void queue_want_interrupts(DriverQueue *queue, bool wanted);
void queue_want_interrupt_at(DriverQueue *queue, uint16_t position, bool wrap);
bool driver_interrupted(Driver *driver); /* whether the line is high; acknowledges all */

/* The test device: 12 bytes of configuration and queues whose buffers it holds until the test pushes them. Drained, it
 * pushes them itself. */
typedef struct TestDevice {
    VirtioDevice virtio;
    VirtElement *held[64];
    VirtQueue *held_of[64];
    unsigned held_count;
    bool echo;     /* holds nothing: what it reads it writes */
    bool suppress; /* notifications, until the test says otherwise */
    uint16_t queue_count, queue_size;
    uint8_t config[12];
    unsigned config_writes, agreed, drained;
} TestDevice;
static inline TestDevice *test_device(const Driver *driver) { return (TestDevice *)driver->device; }
void test_device_push(Driver *driver, unsigned held, uint32_t written);

/* Drivers of every kind, with the test device; "legacy-big" is one of a big-endian guest. */
#define PACKED BIT(VIRTIO_F_RING_PACKED)
#define EVENT BIT(VIRTIO_F_EVENT_IDX)
#define INDIRECT BIT(VIRTIO_F_INDIRECT_DESC)
typedef struct DriverKind {
    const char *name; /* NULL ends the list */
    bool legacy, big_endian;
    uint64_t features;
} DriverKind;
extern const DriverKind driver_kinds[];
/* From a new bench to negotiated features. */
Driver *driver_start(const void *kind);
Driver *driver_start_with(const DriverKind *kind, uint64_t features);
/* The same with another device than the test's. */
Driver *driver_start_device(const DriverKind *kind, const char *class, uint64_t features);
/* A test of each kind, "/virtqueue/KIND/NAME". */
typedef struct DriverTest {
    const char *name;
    void (*test)(const void *kind);
} DriverTest;
void driver_add_tests(const DriverTest *tests, size_t count);

/* The next used chain is this one; there is none. */
void queue_expect(DriverQueue *queue, uint16_t id, uint32_t length);
bool queue_nothing_used(DriverQueue *queue);
/* A buffer of 16 bytes to write to; some, notified of and held by the test device. */
uint16_t queue_offer(DriverQueue *queue);
void queue_offer_and_hold(DriverQueue *queue, unsigned count);
