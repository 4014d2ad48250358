/*
 * Virtqueues, whatever their format: buffers in guest memory, chains in and out, interrupts. The formats are in
 * queue_split.c and queue_packed.c. Ring fields are read and written through the address space one by one, so that a
 * ring may lie anywhere in memory.
 */
#include "hw/virtio/queue_internal.h"

#include "base/bytes.h"
#include "base/vec.h"
#include "core/machine.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

static AddressSpace *space_of(const VirtQueue *queue) { return queue->device->device.machine->address_space; }

static const VirtRing *ring_of(const VirtQueue *queue)
{
    return virtio_has(queue->device, VIRTIO_F_RING_PACKED) ? &virt_ring_packed : &virt_ring_split;
}

static uint64_t ordered(const VirtQueue *queue, uint64_t value, unsigned size)
{
    return virtio_is_big_endian(queue->device) ? swap_bytes(value, size) : value;
}

static bool check(const VirtQueue *queue, uint64_t address, AccessResult result)
{
    if (result != ACCESS_OK) {
        virtio_error(queue->device, "queue %u: its ring at 0x%" PRIx64 " is not in memory", queue->index, address);
    }
    return result == ACCESS_OK;
}

uint16_t ring_load16(const VirtQueue *queue, uint64_t address)
{
    uint64_t value = 0;
    check(queue, address, address_space_load(space_of(queue), NULL, address, 2, &value));
    atomic_thread_fence(memory_order_acquire);
    return (uint16_t)ordered(queue, value, 2);
}

void ring_store16(const VirtQueue *queue, uint64_t address, uint16_t value)
{
    atomic_thread_fence(memory_order_release);
    check(queue, address, address_space_store(space_of(queue), NULL, address, 2, ordered(queue, value, 2)));
}

void ring_store32(const VirtQueue *queue, uint64_t address, uint32_t value)
{
    check(queue, address, address_space_store(space_of(queue), NULL, address, 4, ordered(queue, value, 4)));
}

bool ring_load_bytes(const VirtQueue *queue, uint64_t address, uint8_t bytes[VIRT_DESCRIPTOR_SIZE])
{
    return check(queue, address, address_space_read(space_of(queue), NULL, address, bytes, VIRT_DESCRIPTOR_SIZE));
}

uint64_t ring_field(const VirtQueue *queue, const uint8_t *bytes, unsigned size)
{
    return ordered(queue, load_le(bytes, size), size);
}

/* Elements. */

/* `used`: the device may have written to any of the chain's writable buffers, beyond what it tells the driver. */
static void unmap(VirtQueue *queue, VirtElement *element, bool used)
{
    for (unsigned i = 0; i < element->map_count; i++) {
        RamMap *map = &element->maps[i];
        address_space_unmap(space_of(queue), map, used && map->write ? map->count : 0);
    }
    free(element->maps);
    free(element->out);
    free(element->in);
    free(element);
}

/* Makes room for one more item in an array whose room is always a power of two. */
static void *room_for_next(void *items, unsigned count, size_t size)
{
    return count == 0 || is_power_of_2(count) ? mem_realloc(items, (count ? count * 2 : 1) * size) : items;
}

static void append_vector(struct iovec **vectors, unsigned *count, size_t *bytes, const RamMap *map)
{
    *vectors = room_for_next(*vectors, *count, sizeof **vectors);
    (*vectors)[(*count)++] = (struct iovec){ map->host, map->count };
    *bytes += map->count;
}

bool virt_element_add(VirtQueue *queue, VirtElement *element, const VirtDescriptor *descriptor)
{
    bool write = descriptor->flags & VIRT_DESCRIPTOR_WRITE;
    uint64_t address = descriptor->address;
    if (!write && element->in_count > 0) {
        virtio_error(queue->device, "queue %u: a readable buffer follows a writable one", queue->index);
        return false;
    }
    if (element->in_bytes + element->out_bytes + descriptor->length > UINT32_MAX ||
        element->map_count >= 2 * VIRTIO_QUEUE_SIZE_LIMIT) {
        virtio_error(queue->device, "queue %u: a chain that is too long", queue->index);
        return false;
    }
    for (size_t left = descriptor->length; left > 0;) {
        RamMap map;
        if (!address_space_map(space_of(queue), address, left, write, &map)) {
            virtio_error(queue->device, "queue %u: the buffer at 0x%" PRIx64 " is not in memory", queue->index,
                         address);
            return false;
        }
        element->maps = room_for_next(element->maps, element->map_count, sizeof *element->maps);
        element->maps[element->map_count++] = map;
        if (write) {
            append_vector(&element->in, &element->in_count, &element->in_bytes, &map);
        } else {
            append_vector(&element->out, &element->out_count, &element->out_bytes, &map);
        }
        address += map.count;
        left -= map.count;
    }
    return true;
}

bool virt_enter_indirect(VirtQueue *queue, const VirtDescriptor *descriptor, uint32_t *count)
{
    *count = descriptor->length / VIRT_DESCRIPTOR_SIZE;
    if (!virtio_has(queue->device, VIRTIO_F_INDIRECT_DESC) || descriptor->flags & VIRT_DESCRIPTOR_NEXT ||
        descriptor->length % VIRT_DESCRIPTOR_SIZE || *count == 0 || *count > VIRTIO_QUEUE_SIZE_LIMIT) {
        virtio_error(queue->device, "queue %u: an indirect descriptor of %" PRIu32 " bytes, flags 0x%x", queue->index,
                     descriptor->length, descriptor->flags);
        return false;
    }
    return true;
}

/* Legacy drivers use a device before they say DRIVER_OK. */
static bool can_pop(const VirtQueue *queue)
{
    const VirtioDevice *device = queue->device;
    bool started = device->status & VIRTIO_STATUS_DRIVER_OK || !virtio_has(device, VIRTIO_F_VERSION_1);
    return started && queue->ready && !device->broken && !device->stopped && !device->resets && !device->pauses;
}

/* With VIRTIO_F_IN_ORDER, section 2.7.9 and its kin. */
static void note_order(VirtQueue *queue, VirtElement *element)
{
    if (!virtio_has(queue->device, VIRTIO_F_IN_ORDER)) {
        return;
    }
    element->ordered = true;
    if (queue->first) {
        queue->last->next = element;
    } else {
        queue->first = element;
    }
    queue->last = element;
}

static void forget_order(VirtQueue *queue, const VirtElement *element)
{
    VirtElement *before = NULL;
    for (VirtElement *other = queue->first; other; before = other, other = other->next) {
        if (other != element) {
            continue;
        }
        if (before) {
            before->next = other->next;
        } else {
            queue->first = other->next;
        }
        if (queue->last == other) {
            queue->last = before;
        }
        return;
    }
}

VirtElement *virtqueue_pop(VirtQueue *queue)
{
    if (!can_pop(queue)) {
        return NULL;
    }
    if (queue->in_flight >= queue->size) {
        if (!ring_of(queue)->is_empty(queue)) {
            virtio_error(queue->device, "queue %u: more buffers than entries", queue->index);
        }
        return NULL;
    }
    VirtElement *element = NEW(VirtElement);
    if (!ring_of(queue)->pop(queue, element)) {
        unmap(queue, element, false);
        return NULL;
    }
    queue->in_flight++;
    note_order(queue, element);
    return element;
}

static void give_back(VirtQueue *queue, VirtElement *element, uint32_t written)
{
    assert(queue->in_flight > 0);
    queue->in_flight--;
    if (queue->ready && !queue->device->broken) {
        ring_of(queue)->push(queue, element, written);
    }
    unmap(queue, element, true);
}

/* Those at the beginning that are done. */
static void give_back_in_order(VirtQueue *queue)
{
    while (queue->first && queue->first->done) {
        VirtElement *element = queue->first;
        queue->first = element->next;
        give_back(queue, element, element->written);
    }
}

void virtqueue_push(VirtQueue *queue, VirtElement *element, uint32_t written)
{
    if (!element->ordered) {
        give_back(queue, element, written);
        return;
    }
    element->done = true;
    element->written = written;
    give_back_in_order(queue);
}

void virtqueue_unpop(VirtQueue *queue, VirtElement *element)
{
    ring_of(queue)->unpop(queue, element->descriptors);
    virtqueue_discard(queue, element);
}

void virtqueue_discard(VirtQueue *queue, VirtElement *element)
{
    assert(queue->in_flight > 0);
    queue->in_flight--;
    forget_order(queue, element);
    unmap(queue, element, false);
    give_back_in_order(queue); /* what waited for it alone */
}

void virtqueue_interrupt(VirtQueue *queue)
{
    VirtioDevice *device = queue->device;
    if (!queue->ready || device->broken) {
        return;
    }
    atomic_thread_fence(memory_order_seq_cst);
    bool out_of_buffers = virtio_has(device, VIRTIO_F_NOTIFY_ON_EMPTY) && queue->in_flight == 0 &&
                          ring_of(queue)->is_empty(queue);
    bool wanted = ring_of(queue)->wants_interrupt(queue) || out_of_buffers;
    if (wanted && device->transport) {
        bool entered = device_enter(&device->device);
        device->isr |= VIRTIO_ISR_QUEUE;
        device->transport->interrupt(device->transport_data, queue);
        if (entered) {
            device_unlock(device->device.lock);
        }
    }
}

void virtqueue_set_notification(VirtQueue *queue, bool wanted)
{
    queue->quiet = !wanted;
    if (queue->ready && !queue->device->broken) {
        ring_of(queue)->set_notification(queue, wanted);
        atomic_thread_fence(memory_order_seq_cst);
    }
}

/* The queue's life. */

VirtQueue *virtio_add_queue(VirtioDevice *device, uint16_t maximum, void (*handle)(VirtioDevice *, VirtQueue *))
{
    assert(device->queue_count < VIRTIO_QUEUES && maximum <= VIRTIO_QUEUE_SIZE_LIMIT);
    VirtQueue *queue = &device->queues[device->queue_count];
    *queue = (VirtQueue){
        .device = device, .handle = handle, .index = (uint16_t)device->queue_count++, .maximum = maximum,
        .loop = device->device.machine->loop,
    };
    virtio_queue_reset(queue);
    return queue;
}

void virtio_queue_stop(VirtQueue *queue)
{
    assert(queue->in_flight == 0);
    queue->ready = queue->quiet = queue->resetting = queue->signalled_valid = false;
    queue->next_available = queue->next_used = queue->signalled = 0;
    queue->available_wrap = queue->used_wrap = true;
}

void virtio_queue_reset(VirtQueue *queue)
{
    virtio_queue_stop(queue);
    queue->size = queue->maximum;
    queue->descriptors = queue->driver = queue->used = 0;
}

static bool is_size_legal(const VirtQueue *queue)
{
    bool packed = virtio_has(queue->device, VIRTIO_F_RING_PACKED);
    return queue->size > 0 && queue->size <= queue->maximum && (packed || is_power_of_2(queue->size));
}

static bool is_in_memory(const VirtQueue *queue, uint64_t address, uint64_t size, bool write)
{
    while (size > 0) {
        RamMap map;
        if (!address_space_map(space_of(queue), address, size, write, &map)) {
            return false;
        }
        address += map.count;
        size -= map.count;
        address_space_unmap(space_of(queue), &map, 0);
    }
    return true;
}

void virtio_queue_enable(VirtQueue *queue)
{
    uint64_t sizes[3];
    const uint64_t addresses[3] = { queue->descriptors, queue->driver, queue->used };
    const bool written[3] = { virtio_has(queue->device, VIRTIO_F_RING_PACKED), false, true };
    if (!is_size_legal(queue)) {
        virtio_error(queue->device, "queue %u cannot have %u entries", queue->index, queue->size);
        return;
    }
    ring_of(queue)->area_sizes(queue->device, queue->size, sizes);
    for (unsigned i = 0; i < 3; i++) {
        if (!is_in_memory(queue, addresses[i], sizes[i], written[i])) {
            virtio_error(queue->device, "queue %u: its ring at 0x%" PRIx64 " is not in memory", queue->index,
                         addresses[i]);
            return;
        }
    }
    queue->ready = true;
}

uint64_t virtio_legacy_used_offset(uint16_t size, uint32_t alignment)
{
    return align_up((uint64_t)VIRT_DESCRIPTOR_SIZE * size + 2 * (3 + (uint64_t)size), alignment);
}

/* Copies. */

static size_t copy(const struct iovec *vectors, unsigned count, size_t offset, uint8_t *bytes, size_t length,
                   bool to_guest)
{
    size_t done = 0;
    for (unsigned i = 0; i < count && done < length; i++) {
        if (offset >= vectors[i].iov_len) {
            offset -= vectors[i].iov_len;
            continue;
        }
        size_t piece = MIN(vectors[i].iov_len - offset, length - done);
        uint8_t *guest = (uint8_t *)vectors[i].iov_base + offset;
        memcpy(to_guest ? guest : bytes + done, to_guest ? bytes + done : guest, piece);
        done += piece;
        offset = 0;
    }
    return done;
}

size_t virt_read(const VirtElement *element, size_t offset, void *bytes, size_t count)
{
    return copy(element->out, element->out_count, offset, bytes, count, false);
}

size_t virt_write(const VirtElement *element, size_t offset, const void *bytes, size_t count)
{
    return copy(element->in, element->in_count, offset, (uint8_t *)(uintptr_t)bytes, count, true);
}
