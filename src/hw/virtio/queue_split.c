/* Split virtqueues: VIRTIO 1.2, section 2.7. */
#include "hw/virtio/queue_internal.h"

#include <stdatomic.h>

enum { FLAG_NO_INTERRUPT = 1, FLAG_NO_NOTIFY = 1 };

/* The available ring is flags, index, entries, used_event; the used ring is flags, index, entries, avail_event. */
static uint64_t available_entry(const VirtQueue *queue, uint16_t i)
{
    return queue->driver + 4 + 2 * (uint64_t)(i % queue->size);
}
static uint64_t used_entry(const VirtQueue *queue, uint16_t i)
{
    return queue->used + 4 + 8 * (uint64_t)(i % queue->size);
}
static uint64_t used_event(const VirtQueue *queue) { return queue->driver + 4 + 2 * (uint64_t)queue->size; }
static uint64_t available_event(const VirtQueue *queue) { return queue->used + 4 + 8 * (uint64_t)queue->size; }

static bool load_descriptor(const VirtQueue *queue, uint64_t table, uint32_t index, VirtDescriptor *descriptor)
{
    uint8_t bytes[VIRT_DESCRIPTOR_SIZE];
    if (!ring_load_bytes(queue, table + (uint64_t)index * VIRT_DESCRIPTOR_SIZE, bytes)) {
        return false;
    }
    descriptor->address = ring_field(queue, bytes, 8);
    descriptor->length = (uint32_t)ring_field(queue, bytes + 8, 4);
    descriptor->flags = (uint16_t)ring_field(queue, bytes + 12, 2);
    descriptor->next = (uint16_t)ring_field(queue, bytes + 14, 2);
    return true;
}

/* Follows a chain through the table at `table` of `count` descriptors. One that points to another table goes to
 * `*indirect`, where the caller allows it (not NULL), and ends this one. */
static bool follow(VirtQueue *queue, VirtElement *element, uint64_t table, uint32_t count, uint32_t index,
                   VirtDescriptor *indirect)
{
    for (uint32_t seen = 0; index < count && seen < count; seen++) {
        VirtDescriptor descriptor;
        if (!load_descriptor(queue, table, index, &descriptor)) {
            return false;
        }
        if (descriptor.flags & VIRT_DESCRIPTOR_INDIRECT) {
            if (!indirect) {
                virtio_error(queue->device, "queue %u: a table of descriptors inside another", queue->index);
                return false;
            }
            *indirect = descriptor;
            return true;
        }
        if (!virt_element_add(queue, element, &descriptor)) {
            return false;
        }
        if (!(descriptor.flags & VIRT_DESCRIPTOR_NEXT)) {
            return true;
        }
        index = descriptor.next;
    }
    virtio_error(queue->device, "queue %u: a chain that loops or leaves its table", queue->index);
    return false;
}

static bool collect(VirtQueue *queue, VirtElement *element)
{
    VirtDescriptor indirect = { 0 };
    uint32_t count;
    if (!follow(queue, element, queue->descriptors, queue->size, element->id, &indirect)) {
        return false;
    }
    if (!(indirect.flags & VIRT_DESCRIPTOR_INDIRECT)) {
        return true;
    }
    return virt_enter_indirect(queue, &indirect, &count) &&
           follow(queue, element, indirect.address, count, 0, NULL);
}

static bool split_is_empty(const VirtQueue *queue)
{
    return ring_load16(queue, queue->driver + 2) == queue->next_available;
}

/* The driver notifies the device of what goes beyond this. */
static void ask_for_next(const VirtQueue *queue)
{
    ring_store16(queue, available_event(queue), queue->next_available);
    atomic_thread_fence(memory_order_seq_cst); /* before the look at what is available by now */
}

static bool split_pop(VirtQueue *queue, VirtElement *element)
{
    uint16_t available = ring_load16(queue, queue->driver + 2);
    uint16_t waiting = (uint16_t)(available - queue->next_available);
    if (waiting == 0) {
        return false;
    }
    if (waiting > queue->size) {
        virtio_error(queue->device, "queue %u: index %u is %u ahead", queue->index, available, waiting);
        return false;
    }
    element->id = ring_load16(queue, available_entry(queue, queue->next_available));
    element->descriptors = 1;
    queue->next_available++;
    if (virtio_has(queue->device, VIRTIO_F_EVENT_IDX) && !queue->quiet) {
        ask_for_next(queue);
    }
    return collect(queue, element);
}

static void split_unpop(VirtQueue *queue, uint16_t descriptors) { queue->next_available--; }

static void split_push(VirtQueue *queue, const VirtElement *element, uint32_t written)
{
    uint64_t entry = used_entry(queue, queue->next_used);
    ring_store32(queue, entry, element->id);
    ring_store32(queue, entry + 4, written);
    ring_store16(queue, queue->used + 2, ++queue->next_used);
}

static bool split_wants_interrupt(VirtQueue *queue)
{
    if (!virtio_has(queue->device, VIRTIO_F_EVENT_IDX)) {
        return !(ring_load16(queue, queue->driver) & FLAG_NO_INTERRUPT);
    }
    uint16_t before = queue->signalled;
    bool first = !queue->signalled_valid;
    queue->signalled = queue->next_used;
    queue->signalled_valid = true;
    return first || ring_passed(ring_load16(queue, used_event(queue)), queue->next_used, before);
}

static void split_set_notification(VirtQueue *queue, bool wanted)
{
    if (!virtio_has(queue->device, VIRTIO_F_EVENT_IDX)) {
        ring_store16(queue, queue->used, wanted ? 0 : FLAG_NO_NOTIFY);
    } else if (wanted) {
        ask_for_next(queue);
    }
}

static void split_area_sizes(const VirtioDevice *device, uint32_t size, uint64_t sizes[3])
{
    unsigned event = virtio_has(device, VIRTIO_F_EVENT_IDX) ? 2 : 0;
    sizes[0] = (uint64_t)VIRT_DESCRIPTOR_SIZE * size;
    sizes[1] = 4 + 2 * (uint64_t)size + event;
    sizes[2] = 4 + 8 * (uint64_t)size + event;
}

const VirtRing virt_ring_split = {
    .is_empty = split_is_empty,
    .pop = split_pop,
    .unpop = split_unpop,
    .push = split_push,
    .wants_interrupt = split_wants_interrupt,
    .set_notification = split_set_notification,
    .area_sizes = split_area_sizes,
};
