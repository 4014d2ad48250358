/* Packed virtqueues: VIRTIO 1.2, section 2.8. */
#include "hw/virtio/queue_internal.h"

enum { FLAG_AVAILABLE = 1 << 7, FLAG_USED = 1 << 15 };
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESCRIPTOR = 2, EVENT_MASK = 3 };
enum { EVENT_SIZE = 4, WRAP_SHIFT = 15 };

static bool load_descriptor(const VirtQueue *queue, uint64_t table, uint32_t index, VirtDescriptor *descriptor)
{
    uint8_t bytes[VIRT_DESCRIPTOR_SIZE];
    if (!ring_load_bytes(queue, table + (uint64_t)index * VIRT_DESCRIPTOR_SIZE, bytes)) {
        return false;
    }
    descriptor->address = ring_field(queue, bytes, 8);
    descriptor->length = (uint32_t)ring_field(queue, bytes + 8, 4);
    descriptor->id = (uint16_t)ring_field(queue, bytes + 12, 2);
    descriptor->flags = (uint16_t)ring_field(queue, bytes + 14, 2);
    return true;
}

static uint64_t descriptor_address(const VirtQueue *queue, uint16_t position)
{
    return queue->descriptors + (uint64_t)position * VIRT_DESCRIPTOR_SIZE;
}

static bool packed_is_empty(const VirtQueue *queue)
{
    uint16_t flags = ring_load16(queue, descriptor_address(queue, queue->next_available) + 14);
    return !!(flags & FLAG_AVAILABLE) != queue->available_wrap || !!(flags & FLAG_USED) == queue->available_wrap;
}

static bool collect_indirect(VirtQueue *queue, VirtElement *element, const VirtDescriptor *head)
{
    uint32_t count;
    if (!virt_enter_indirect(queue, head, &count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        VirtDescriptor descriptor;
        if (!load_descriptor(queue, head->address, i, &descriptor) ||
            !virt_element_add(queue, element, &descriptor)) {
            return false;
        }
    }
    return true;
}

static void advance(const VirtQueue *queue, uint16_t *position, bool *wrap, uint16_t count)
{
    uint32_t next = (uint32_t)*position + count;
    if (next >= queue->size) {
        next -= queue->size;
        *wrap = !*wrap;
    }
    *position = (uint16_t)next;
}

static bool packed_pop(VirtQueue *queue, VirtElement *element)
{
    if (packed_is_empty(queue)) {
        return false;
    }
    uint16_t position = queue->next_available, count = 0;
    bool wrap = queue->available_wrap;
    VirtDescriptor descriptor;
    do {
        if (count == queue->size) {
            virtio_error(queue->device, "queue %u: a chain longer than the ring", queue->index);
            return false;
        }
        if (!load_descriptor(queue, queue->descriptors, position, &descriptor)) {
            return false;
        }
        bool ok = descriptor.flags & VIRT_DESCRIPTOR_INDIRECT ? collect_indirect(queue, element, &descriptor)
                                                              : virt_element_add(queue, element, &descriptor);
        if (!ok) {
            return false;
        }
        count++;
        advance(queue, &position, &wrap, 1);
    } while (descriptor.flags & VIRT_DESCRIPTOR_NEXT);
    element->id = descriptor.id;
    element->descriptors = count;
    queue->next_available = position;
    queue->available_wrap = wrap;
    return true;
}

static void packed_unpop(VirtQueue *queue, uint16_t descriptors)
{
    if (queue->next_available < descriptors) {
        queue->next_available = (uint16_t)(queue->next_available + queue->size);
        queue->available_wrap = !queue->available_wrap;
    }
    queue->next_available = (uint16_t)(queue->next_available - descriptors);
}

static void packed_push(VirtQueue *queue, const VirtElement *element, uint32_t written)
{
    uint64_t entry = descriptor_address(queue, queue->next_used);
    uint16_t flags = (uint16_t)((queue->used_wrap ? FLAG_AVAILABLE | FLAG_USED : 0) |
                                (element->in_bytes ? VIRT_DESCRIPTOR_WRITE : 0));
    ring_store32(queue, entry + 8, written);
    ring_store16(queue, entry + 12, element->id);
    ring_store16(queue, entry + 14, flags);
    advance(queue, &queue->next_used, &queue->used_wrap, element->descriptors);
}

static bool packed_wants_interrupt(VirtQueue *queue)
{
    uint16_t offset_wrap = ring_load16(queue, queue->driver);
    uint16_t flags = ring_load16(queue, queue->driver + 2) & EVENT_MASK;
    uint16_t before = queue->signalled;
    bool first = !queue->signalled_valid;
    queue->signalled = queue->next_used;
    queue->signalled_valid = true;
    if (flags != EVENT_DESCRIPTOR || !virtio_has(queue->device, VIRTIO_F_EVENT_IDX)) {
        return flags != EVENT_DISABLE;
    }
    /* Positions of the round before count as negative, so that they compare. */
    uint16_t event = offset_wrap & mask_bits(WRAP_SHIFT);
    if ((offset_wrap >> WRAP_SHIFT) != queue->used_wrap) {
        event = (uint16_t)(event - queue->size);
    }
    if (before > queue->next_used) {
        before = (uint16_t)(before - queue->size);
    }
    return first || ring_passed(event, queue->next_used, before);
}

static void packed_set_notification(VirtQueue *queue, bool wanted)
{
    uint16_t flags = wanted ? EVENT_ENABLE : EVENT_DISABLE;
    if (wanted && virtio_has(queue->device, VIRTIO_F_EVENT_IDX)) {
        ring_store16(queue, queue->used, (uint16_t)(queue->next_available | queue->available_wrap << WRAP_SHIFT));
        flags = EVENT_DESCRIPTOR;
    }
    ring_store16(queue, queue->used + 2, flags);
}

static void packed_area_sizes(const VirtioDevice *device, uint32_t size, uint64_t sizes[3])
{
    sizes[0] = (uint64_t)VIRT_DESCRIPTOR_SIZE * size;
    sizes[1] = sizes[2] = EVENT_SIZE;
}

const VirtRing virt_ring_packed = {
    .is_empty = packed_is_empty,
    .pop = packed_pop,
    .unpop = packed_unpop,
    .push = packed_push,
    .wants_interrupt = packed_wants_interrupt,
    .set_notification = packed_set_notification,
    .area_sizes = packed_area_sizes,
};
