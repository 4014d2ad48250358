/*
 * Requests of a virtio disk: VIRTIO 1.2, section 5.2.6. Each is a header, data, and a status byte. Reads and writes go
 * straight between the guest's buffers and the disk. Whatever happens to a request does so on its queue's loop, where
 * requests that end in one round of the loop are told of by one interrupt.
 */
#include "hw/virtio/virtio_blk.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/vec.h"
#include "core/loop.h"
#include "core/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

enum { ID_BYTES = 20, HEADER_BYTES = 16, RANGE_BYTES = 16, RANGE_UNMAP = 1 };

/* A request on its way. */
struct VirtioBlockRequest {
    VirtioBlockRequest *next; /* among the failed ones */
    VirtioBlockQueue *queue;
    VirtElement *element;
    DiskRequest disk;
    struct iovec *vectors;
    size_t data_bytes; /* read from the disk */
};

/* Ending a request. */

void virtio_blk_interrupt(VirtioBlockQueue *queue)
{
    if (queue->used) {
        queue->used = false;
        virtqueue_interrupt(queue->queue);
    }
}

static void round_ended(void *data)
{
    VirtioBlockQueue *queue = data;
    queue->called = false;
    virtio_blk_interrupt(queue);
}

static void note_used(VirtioBlockQueue *queue)
{
    queue->used = true;
    if (!queue->handling && !queue->called) {
        queue->called = true;
        queue->call = (BlockCall){ .function = round_ended, .data = queue };
        block_loop_call(queue->loop, &queue->call);
    }
}

static void free_request(VirtioBlockRequest *request)
{
    free(request->vectors);
    free(request);
}

static void finish(VirtioBlockRequest *request, uint8_t status)
{
    VirtElement *element = request->element;
    size_t written = status == S_OK ? request->data_bytes : 0, end = element->in_bytes - 1;
    virt_write(element, end, &status, 1);
    /* What was written from the start on without a gap: with the status where all before it was. */
    virtqueue_push(request->queue->queue, element, (uint32_t)(written == end ? written + 1 : written));
    note_used(request->queue);
    free_request(request);
}

/* Requests that failed. */

static BlockdevOnError policy_of(const VirtioBlock *block, bool write)
{
    int own = write ? block->write_error : block->read_error;
    int policy = own == BLOCKDEV_ON_ERROR_AUTO ? disk_error_policy(block->disk, write) : own;
    BlockdevOnError usual = write ? BLOCKDEV_ON_ERROR_ENOSPC : BLOCKDEV_ON_ERROR_REPORT;
    return policy == BLOCKDEV_ON_ERROR_AUTO ? usual : (BlockdevOnError)policy;
}

static void tell_error(const VirtioBlock *block, bool write, const char *action, int error)
{
    static const char *const operations[] = { "read", "write" };
    const Object *object = &block->virtio.device.object;
    Json *arguments = json_object();
    AUTO_FREE char *path = object_path(object);
    json_set(arguments, "qom-path", json_string(path ? path : ""));
    json_set(arguments, "device", json_string(disk_has_name(block->disk) ? disk_id(block->disk) : ""));
    json_set(arguments, "node-name", json_string(disk_node_name(block->disk)));
    json_set(arguments, "operation", json_string(operations[write]));
    json_set(arguments, "action", json_string(action));
    json_set(arguments, "nospace", json_bool(error == ENOSPC));
    json_set(arguments, "reason", json_string(strerror(error)));
    machine_event(block->virtio.device.machine, "BLOCK_IO_ERROR", arguments);
}

static void stop_machine(void *data) { machine_stop(data, RUN_STATE_IO_ERROR); }

/* An error that is ignored ends as success does. */
static void fail(VirtioBlockRequest *request, int error)
{
    VirtioBlock *block = request->queue->block;
    Machine *machine = block->virtio.device.machine;
    bool write = request->disk.operation != DISK_READ;
    BlockdevOnError policy = policy_of(block, write);
    if (policy == BLOCKDEV_ON_ERROR_STOP || (policy == BLOCKDEV_ON_ERROR_ENOSPC && error == ENOSPC)) {
        request->next = request->queue->failed;
        request->queue->failed = request;
        disk_set_status(block->disk, error == ENOSPC ? DISK_NOSPACE : DISK_FAILED);
        tell_error(block, write, "stop", error);
        loop_post(machine->loop, stop_machine, machine);
    } else {
        bool ignored = policy == BLOCKDEV_ON_ERROR_IGNORE;
        tell_error(block, write, ignored ? "ignore" : "report", error);
        finish(request, ignored ? S_OK : S_IOERR);
    }
}

static VirtioBlockRequest *take_failed(VirtioBlockQueue *queue)
{
    VirtioBlockRequest *request = queue->failed;
    if (request) {
        queue->failed = request->next;
    }
    return request;
}

void virtio_blk_try_again(VirtioBlockQueue *queue)
{
    for (VirtioBlockRequest *request; (request = take_failed(queue));) {
        disk_submit(queue->block->disk, &request->disk);
    }
}

void virtio_blk_give_up(VirtioBlockQueue *queue)
{
    for (VirtioBlockRequest *request; (request = take_failed(queue));) {
        virtqueue_discard(queue->queue, request->element);
        free_request(request);
    }
}

static void flush_done(DiskRequest *disk_request, int error)
{
    VirtioBlockRequest *request = disk_request->data;
    if (error) {
        fail(request, error);
    } else {
        finish(request, S_OK);
    }
}

/* Section 5.2.6.2: what a driver sees as stable once it is written. */
static bool is_write_through(const VirtioBlock *block)
{
    const VirtioDevice *device = &block->virtio;
    return !block->writeback ||
           !(virtio_has(device, VIRTIO_BLK_F_FLUSH) || virtio_has(device, VIRTIO_BLK_F_CONFIG_WCE));
}

static void request_done(DiskRequest *disk_request, int error)
{
    VirtioBlockRequest *request = disk_request->data;
    const VirtioBlock *block = request->queue->block;
    bool changes = disk_request->operation == DISK_WRITE || disk_request->operation == DISK_WRITE_ZEROES;
    if (error) {
        fail(request, error);
    } else if (changes && is_write_through(block)) {
        *disk_request = (DiskRequest){ .operation = DISK_FLUSH, .done = flush_done, .data = request };
        disk_submit(block->disk, disk_request);
    } else {
        finish(request, S_OK);
    }
}

static void submit(VirtioBlockRequest *request, DiskOperation operation)
{
    request->disk.operation = operation;
    request->disk.done = request_done;
    request->disk.data = request;
    disk_submit(request->queue->block->disk, &request->disk);
}

/* Kinds of requests. */

/* The part of a chain's vectors from `skip` on, `bytes` long. */
static unsigned cut_vectors(const struct iovec *from, unsigned count, size_t skip, size_t bytes, struct iovec *to)
{
    unsigned used = 0;
    for (unsigned i = 0; i < count && bytes > 0; i++) {
        if (skip >= from[i].iov_len) {
            skip -= from[i].iov_len;
            continue;
        }
        size_t length = MIN(from[i].iov_len - skip, bytes);
        to[used++] = (struct iovec){ (char *)from[i].iov_base + skip, length };
        bytes -= length;
        skip = 0;
    }
    return used;
}

static bool is_in_disk(const VirtioBlock *block, uint64_t sector, uint64_t bytes)
{
    uint64_t size = disk_size(block->disk);
    return bytes % DISK_SECTOR == 0 && bytes % block->logical_block_size == 0 && sector <= size / DISK_SECTOR &&
           bytes <= size - sector * DISK_SECTOR && sector * DISK_SECTOR % block->logical_block_size == 0;
}

static void refuse(VirtioBlockRequest *request, DiskOperation operation)
{
    disk_count_invalid(request->queue->block->disk, operation);
    finish(request, S_IOERR);
}

static void transfer(VirtioBlockRequest *request, uint64_t sector, bool read)
{
    const VirtElement *element = request->element;
    size_t bytes = read ? element->in_bytes - 1 : element->out_bytes - HEADER_BYTES;
    unsigned count = read ? element->in_count : element->out_count;
    if (!is_in_disk(request->queue->block, sector, bytes)) {
        refuse(request, read ? DISK_READ : DISK_WRITE);
        return;
    }
    request->vectors = mem_alloc_array(count, sizeof *request->vectors);
    request->disk.offset = sector * DISK_SECTOR;
    request->disk.bytes = bytes;
    request->disk.vectors = request->vectors;
    request->disk.vector_count = cut_vectors(read ? element->in : element->out, count, read ? 0 : HEADER_BYTES, bytes,
                                             request->vectors);
    request->data_bytes = read ? bytes : 0;
    submit(request, read ? DISK_READ : DISK_WRITE);
}

/* Discard and write zeroes: one range, as max_*_seg says. */
static void change_range(VirtioBlockRequest *request, bool discard)
{
    const VirtioBlock *block = request->queue->block;
    uint8_t range[RANGE_BYTES];
    bool offered = virtio_has(&block->virtio, discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES);
    if (!offered || virt_read(request->element, HEADER_BYTES, range, sizeof range) != sizeof range ||
        request->element->out_bytes != HEADER_BYTES + RANGE_BYTES) {
        finish(request, S_UNSUPP);
        return;
    }
    uint64_t sector = load_le64(range), bytes = (uint64_t)load_le32(range + 8) * DISK_SECTOR;
    uint32_t flags = load_le32(range + 12);
    uint32_t maximum = discard ? block->max_discard_sectors : block->max_write_zeroes_sectors;
    if (flags & ~(discard ? 0u : RANGE_UNMAP)) {
        finish(request, S_UNSUPP);
    } else if (bytes / DISK_SECTOR > maximum || !is_in_disk(block, sector, bytes)) {
        refuse(request, discard ? DISK_DISCARD : DISK_WRITE_ZEROES);
    } else {
        request->disk.offset = sector * DISK_SECTOR;
        request->disk.bytes = bytes;
        request->disk.may_unmap = flags & RANGE_UNMAP;
        submit(request, discard ? DISK_DISCARD : DISK_WRITE_ZEROES);
    }
}

static void get_id(VirtioBlockRequest *request)
{
    char id[ID_BYTES] = { 0 };
    const char *serial = request->queue->block->serial ? request->queue->block->serial : "";
    memcpy(id, serial, strnlen(serial, sizeof id));
    size_t room = MIN(sizeof id, request->element->in_bytes - 1);
    request->data_bytes = virt_write(request->element, 0, id, room);
    finish(request, S_OK);
}

static void start(VirtioBlockRequest *request, uint32_t type, uint64_t sector)
{
    switch (type) {
    case T_IN:
        transfer(request, sector, true);
        break;
    case T_OUT:
        transfer(request, sector, false);
        break;
    case T_FLUSH:
        submit(request, DISK_FLUSH);
        break;
    case T_GET_ID:
        get_id(request);
        break;
    case T_DISCARD:
    case T_WRITE_ZEROES:
        change_range(request, type == T_DISCARD);
        break;
    default:
        finish(request, S_UNSUPP);
    }
}

static uint64_t header_field(const VirtioDevice *device, const uint8_t *bytes, unsigned size)
{
    uint64_t value = load_le(bytes, size);
    return virtio_is_big_endian(device) ? swap_bytes(value, size) : value;
}

static void handle_element(VirtioBlockQueue *queue, VirtElement *element)
{
    VirtioDevice *device = &queue->block->virtio;
    uint8_t header[HEADER_BYTES];
    if (virt_read(element, 0, header, sizeof header) != sizeof header || element->in_bytes < 1) {
        virtio_error(device, "a request without header or status");
        virtqueue_discard(queue->queue, element);
        return;
    }
    VirtioBlockRequest *request = NEW(VirtioBlockRequest);
    request->queue = queue;
    request->element = element;
    start(request, (uint32_t)header_field(device, header, 4), header_field(device, header + 8, 8));
}

static bool handle_next(VirtioBlockQueue *queue)
{
    VirtElement *element = virtqueue_pop(queue->queue);
    if (element) {
        handle_element(queue, element);
    }
    return element;
}

/* False: there may be more. */
static bool handle_some(VirtioBlockQueue *queue)
{
    virtqueue_set_notification(queue->queue, false);
    for (unsigned i = 0; i < queue->queue->size; i++) {
        if (!handle_next(queue)) {
            virtqueue_set_notification(queue->queue, true);
            if (!handle_next(queue)) { /* made available before the driver could see that it is to notify */
                return true;
            }
            virtqueue_set_notification(queue->queue, false);
        }
    }
    return false;
}

void virtio_blk_handle(VirtioDevice *device, VirtQueue *virtqueue)
{
    VirtioBlockQueue *queue = &((VirtioBlock *)device)->queues[virtqueue->index];
    queue->handling = true;
    block_loop_plug(queue->loop);
    bool all = handle_some(queue);
    block_loop_unplug(queue->loop);
    queue->handling = false;
    virtio_blk_interrupt(queue);
    if (!all) {
        virtqueue_again(virtqueue);
    }
}
