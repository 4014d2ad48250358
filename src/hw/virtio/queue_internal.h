/* What the two ring formats give to virtio's queues. */
#pragma once

#include "hw/virtio/virtio.h"

/* A descriptor, of whichever format. */
typedef struct VirtDescriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next, id;
} VirtDescriptor;

enum { VIRT_DESCRIPTOR_NEXT = 1, VIRT_DESCRIPTOR_WRITE = 2, VIRT_DESCRIPTOR_INDIRECT = 4, VIRT_DESCRIPTOR_SIZE = 16 };

typedef struct VirtRing {
    bool (*is_empty)(const VirtQueue *queue);
    /* Collects the next chain's descriptors into the element. False: none there, or the driver broke a rule. */
    bool (*pop)(VirtQueue *queue, VirtElement *element);
    void (*unpop)(VirtQueue *queue, uint16_t descriptors);
    void (*push)(VirtQueue *queue, const VirtElement *element, uint32_t written);
    bool (*wants_interrupt)(VirtQueue *queue);
    void (*set_notification)(VirtQueue *queue, bool wanted);
    /* Bytes of the three areas of a ring of `size` entries. */
    void (*area_sizes)(const VirtioDevice *device, uint32_t size, uint64_t sizes[3]);
} VirtRing;
extern const VirtRing virt_ring_split, virt_ring_packed;

/* The queue as it is after a reset, or unused with its size and addresses as they are. Nothing of it is in flight. */
void virtio_queue_reset(VirtQueue *queue);
void virtio_queue_stop(VirtQueue *queue);

/* Ring fields in guest memory, in the device's byte order. Where there is no memory the device is stopped. */
uint16_t ring_load16(const VirtQueue *queue, uint64_t address);
void ring_store16(const VirtQueue *queue, uint64_t address, uint16_t value);
void ring_store32(const VirtQueue *queue, uint64_t address, uint32_t value);
/* False where there is no memory. */
bool ring_load_bytes(const VirtQueue *queue, uint64_t address, uint8_t bytes[VIRT_DESCRIPTOR_SIZE]);
uint64_t ring_field(const VirtQueue *queue, const uint8_t *bytes, unsigned size);

/* Maps a descriptor's buffer into the element. False after virtio_error. */
bool virt_element_add(VirtQueue *queue, VirtElement *element, const VirtDescriptor *descriptor);
/* Checks a descriptor that points to a table of them; `*count` is the table's length. False after virtio_error. */
bool virt_enter_indirect(VirtQueue *queue, const VirtDescriptor *descriptor, uint32_t *count);
/* Whether an index that moved from `before` to `now` passed `event` (section 2.7.10.1). */
static inline bool ring_passed(uint16_t event, uint16_t now, uint16_t before)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}
