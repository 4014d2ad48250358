/*
 * Which loop works on which queue of a virtio disk: the main one, that of the property `iothread`, or those of
 * `iothread-vq-mapping`, which gives each queue to one thread, or, where it names none, lets them go round.
 */
#include "hw/virtio/virtio_blk.h"

#include "base/error.h"
#include "base/vec.h"
#include "core/iothread.h"
#include "core/loop.h"
#include "core/machine.h"
#include "schema/virtio.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const IOThreadVirtQueueMapping *mapping_of(const VirtioBlock *block, size_t i)
{
    return (const IOThreadVirtQueueMapping *)block->iothread_mapping.items + i;
}

static IoThread *find_iothread(const VirtioBlock *block, const char *id, Error **error)
{
    Object *objects = object_container(block->virtio.device.machine->root, "objects");
    Object *object = object_child(objects, id);
    if (!object || !object_is(object, &iothread_class)) {
        error_set(error, "IOThread \"%s\" object does not exist", id);
        error_add_hint(error, "-object iothread,id=%s makes it", id);
        return NULL;
    }
    return (IoThread *)object;
}

static bool check_names(const VirtioBlock *block, Error **error)
{
    size_t count = block->iothread_mapping.count;
    for (size_t i = 0; i < count; i++) {
        const IOThreadVirtQueueMapping *mapping = mapping_of(block, i);
        if ((mapping->vqs.count > 0) != (mapping_of(block, 0)->vqs.count > 0)) {
            return error_set(error, "either all items in iothread-vq-mapping must have vqs or none of them must have "
                                    "it");
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(mapping->iothread, mapping_of(block, j)->iothread) == 0) {
                return error_set(error, "duplicate IOThread name \"%s\" in iothread-vq-mapping", mapping->iothread);
            }
        }
        if (!find_iothread(block, mapping->iothread, error)) {
            return false;
        }
    }
    return true;
}

/* The mapping's item of each queue goes to `owners`, SIZE_MAX where there is none. */
static bool assign(const VirtioBlock *block, const IOThreadVirtQueueMapping *mapping, size_t item, size_t *owners,
                   Error **error)
{
    for (size_t i = 0; i < mapping->vqs.count; i++) {
        uint16_t number = mapping->vqs.items[i];
        if (number >= block->num_queues) {
            return error_set(error,
                             "vq index %u for IOThread \"%s\" must be less than num_queues %u in iothread-vq-mapping",
                             number, mapping->iothread, block->num_queues);
        }
        if (owners[number] != SIZE_MAX) {
            return error_set(error, "cannot assign vq %u to IOThread \"%s\" because it is already assigned", number,
                             mapping->iothread);
        }
        owners[number] = item;
    }
    return true;
}

static bool find_owners(const VirtioBlock *block, size_t *owners, Error **error)
{
    size_t count = block->iothread_mapping.count;
    bool goes_round = mapping_of(block, 0)->vqs.count == 0;
    for (unsigned i = 0; i < block->num_queues; i++) {
        owners[i] = goes_round ? i % count : SIZE_MAX;
    }
    for (size_t i = 0; !goes_round && i < count; i++) {
        if (!assign(block, mapping_of(block, i), i, owners, error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < block->num_queues; i++) {
        if (owners[i] == SIZE_MAX) {
            return error_set(error, "missing vq %u IOThread assignment in iothread-vq-mapping", i);
        }
    }
    return true;
}

/* The thread of each queue; NULL where the main loop works on it. */
static bool find_threads(const VirtioBlock *block, IoThread *threads[VIRTIO_QUEUES], Error **error)
{
    size_t owners[VIRTIO_QUEUES];
    if (block->iothread && block->iothread_mapping.count > 0) {
        return error_set(error, "iothread and iothread-vq-mapping properties cannot be set at the same time");
    }
    bool mapped = block->iothread_mapping.count > 0;
    if (mapped && (!check_names(block, error) || !find_owners(block, owners, error))) {
        return false;
    }
    for (unsigned i = 0; i < block->num_queues; i++) {
        threads[i] = mapped ? find_iothread(block, mapping_of(block, owners[i])->iothread, NULL)
                            : (IoThread *)block->iothread;
    }
    return true;
}

bool virtio_blk_make_queues(VirtioBlock *block, Error **error)
{
    IoThread *threads[VIRTIO_QUEUES];
    if (!find_threads(block, threads, error)) {
        return false;
    }
    block->queues = mem_alloc_array(block->num_queues, sizeof *block->queues);
    memset(block->queues, 0, block->num_queues * sizeof *block->queues);
    for (unsigned i = 0; i < block->num_queues; i++) {
        VirtioBlockQueue *queue = &block->queues[i];
        Loop *loop = threads[i] ? iothread_loop(threads[i]) : block->virtio.device.machine->loop;
        queue->block = block;
        queue->loop = disk_take_loop(block->disk, loop, error);
        if (!queue->loop) {
            virtio_blk_free_queues(block);
            return false;
        }
        queue->iothread = threads[i] ? iothread_ref(threads[i]) : NULL;
    }
    for (unsigned i = 0; i < block->num_queues; i++) {
        block->queues[i].queue = virtio_add_queue(&block->virtio, block->queue_size, virtio_blk_handle);
        block->queues[i].queue->loop = block_loop_outer(block->queues[i].loop);
    }
    return true;
}

/* An interrupt's call that is still on its way is for nothing. */
static void let_call_run(VirtioBlockQueue *queue)
{
    while (queue->called) {
        block_loop_poll(queue->loop, false);
    }
}

void virtio_blk_free_queues(VirtioBlock *block)
{
    if (block->virtio.queue_count > 0) {
        virtio_blk_each_queue(block, let_call_run);
    }
    for (unsigned i = 0; i < block->num_queues && block->queues[i].loop; i++) {
        disk_give_loop(block->disk, block->queues[i].loop);
        if (block->queues[i].queue) {
            block->queues[i].queue->loop = block->virtio.device.machine->loop;
        }
        if (block->queues[i].iothread) {
            iothread_unref(block->queues[i].iothread);
        }
    }
    free(block->queues);
    block->queues = NULL;
}

typedef struct EachQueue {
    VirtioBlock *block;
    void (*function)(VirtioBlockQueue *queue);
} EachQueue;

static void call_for_own(void *data)
{
    const EachQueue *each = data;
    for (unsigned i = 0; i < each->block->num_queues; i++) {
        VirtioBlockQueue *queue = &each->block->queues[i];
        if (loop_is_self(queue->queue->loop)) {
            each->function(queue);
        }
    }
}

void virtio_blk_each_queue(VirtioBlock *block, void (*function)(VirtioBlockQueue *queue))
{
    virtio_each_loop(&block->virtio, call_for_own, &(EachQueue){ block, function });
}
