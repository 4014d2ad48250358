/*
 * A disk: VIRTIO 1.2, section 5.2 ("virtio-blk-device").
 *
 * Each request is a header, data, and a status byte. Reads and writes go straight between the guest's buffers and the
 * disk; several queues are served alike. With the write cache off (property write-cache, or the driver's WCE field) a
 * write is done when it has been flushed. A request that fails is reported to the guest, ignored, or stops the machine,
 * which tries it again when it goes on (properties rerror and werror, else as the drive says).
 *
 * Not here: SCSI commands (legacy VIRTIO_BLK_F_SCSI is not offered), secure erase, zoned disks, lifetime; saving a
 * machine that an error has stopped.
 */
#include "api/json.h"
#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/vec.h"
#include "block/block.h"
#include "core/machine.h"
#include "core/loop.h"
#include "hw/virtio/virtio.h"
#include "schema/block.h"
#include "schema/common.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    F_SEG_MAX = 2,
    F_GEOMETRY = 4,
    F_RO = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_TOPOLOGY = 10,
    F_CONFIG_WCE = 11,
    F_MQ = 12,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,
};

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

enum { ID_BYTES = 20, HEADER_BYTES = 16, RANGE_BYTES = 16, RANGE_UNMAP = 1, VIRTIO_ID_BLOCK = 2 };

/* Offsets in the configuration space, section 5.2.4. */
enum {
    CONFIG_CAPACITY = 0,
    CONFIG_SEG_MAX = 12,
    CONFIG_CYLINDERS = 16,
    CONFIG_HEADS = 18,
    CONFIG_SECTORS = 19,
    CONFIG_BLK_SIZE = 20,
    CONFIG_PHYSICAL_BLOCK_EXP = 24,
    CONFIG_MIN_IO_SIZE = 26,
    CONFIG_OPT_IO_SIZE = 28,
    CONFIG_WRITEBACK = 32,
    CONFIG_NUM_QUEUES = 34,
    CONFIG_MAX_DISCARD_SECTORS = 36,
    CONFIG_MAX_DISCARD_SEG = 40,
    CONFIG_DISCARD_SECTOR_ALIGNMENT = 44,
    CONFIG_MAX_WRITE_ZEROES_SECTORS = 48,
    CONFIG_MAX_WRITE_ZEROES_SEG = 52,
    CONFIG_WRITE_ZEROES_MAY_UNMAP = 56,
    CONFIG_BYTES = 60,
};

enum { QUEUES_AUTO = UINT16_MAX, BLOCK_SIZE_LIMIT = 2 << 20, RANGE_LIMIT = INT32_MAX / 512 };

typedef struct VirtioBlock {
    VirtioDevice virtio;
    Disk *disk;
    char *serial;
    uint64_t logical_block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity;
    uint32_t cylinders, heads, sectors, max_discard_sectors, max_write_zeroes_sectors;
    uint16_t num_queues, queue_size;
    OnOffAuto write_cache; /* auto: on */
    OnOffAuto account_invalid, account_failed; /* in statistics; auto: as the drive says */
    bool config_wce, discard, write_zeroes, seg_max_adjust, share_writes;
    bool writeback; /* as the driver last set it */
    int read_error, write_error; /* BlockdevOnError; auto: as the drive says */
    struct BlockRequest *failed; /* to be tried again when the machine goes on */
} VirtioBlock;

/* A request on its way. */
typedef struct BlockRequest {
    struct BlockRequest *next; /* among the failed ones */
    VirtioBlock *block;
    VirtQueue *queue;
    VirtElement *element;
    DiskRequest disk;
    struct iovec *vectors;
    size_t data_bytes; /* read from the disk */
} BlockRequest;

static VirtioBlock *block_of(VirtioDevice *device) { return (VirtioBlock *)device; }

/* Ending a request. */

static void finish(BlockRequest *request, uint8_t status)
{
    VirtElement *element = request->element;
    size_t written = status == S_OK ? request->data_bytes : 0, end = element->in_bytes - 1;
    virt_write(element, end, &status, 1);
    /* What was written from the start on without a gap: with the status where all before it was. */
    virtqueue_push(request->queue, element, (uint32_t)(written == end ? written + 1 : written));
    virtqueue_interrupt(request->queue);
    free(request->vectors);
    free(request);
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

/* Under the lock; an error that is ignored ends as success does. */
static void fail(BlockRequest *request, int error)
{
    VirtioBlock *block = request->block;
    Machine *machine = block->virtio.device.machine;
    bool write = request->disk.operation != DISK_READ;
    BlockdevOnError policy = policy_of(block, write);
    if (policy == BLOCKDEV_ON_ERROR_STOP || (policy == BLOCKDEV_ON_ERROR_ENOSPC && error == ENOSPC)) {
        request->next = block->failed;
        block->failed = request;
        disk_set_status(block->disk, error == ENOSPC ? DISK_NOSPACE : DISK_FAILED);
        tell_error(block, write, "stop", error);
        loop_post(machine->loop, stop_machine, machine);
    } else {
        bool ignored = policy == BLOCKDEV_ON_ERROR_IGNORE;
        tell_error(block, write, ignored ? "ignore" : "report", error);
        finish(request, ignored ? S_OK : S_IOERR);
    }
}

static BlockRequest *take_failed(VirtioBlock *block)
{
    BlockRequest *request = block->failed;
    if (request) {
        block->failed = request->next;
    }
    return request;
}

/* The machine goes on. */
static void try_again(void *data, bool running)
{
    VirtioBlock *block = data;
    device_lock(block->virtio.device.lock);
    if (running) {
        disk_set_status(block->disk, DISK_OK);
    }
    for (BlockRequest *request; running && (request = take_failed(block));) {
        disk_submit(block->disk, &request->disk);
    }
    device_unlock(block->virtio.device.lock);
}

static void flush_done(DiskRequest *disk_request, int error)
{
    BlockRequest *request = disk_request->data;
    DeviceLock *lock = request->block->virtio.device.lock;
    device_lock(lock);
    if (error) {
        fail(request, error);
    } else {
        finish(request, S_OK);
    }
    device_unlock(lock);
}

/* Section 5.2.6.2: what a driver sees as stable once it is written. */
static bool is_write_through(const VirtioBlock *block)
{
    return !block->writeback || !(virtio_has(&block->virtio, F_FLUSH) || virtio_has(&block->virtio, F_CONFIG_WCE));
}

static void request_done(DiskRequest *disk_request, int error)
{
    BlockRequest *request = disk_request->data;
    VirtioBlock *block = request->block;
    bool changes = disk_request->operation == DISK_WRITE || disk_request->operation == DISK_WRITE_ZEROES;
    device_lock(block->virtio.device.lock);
    if (error) {
        fail(request, error);
    } else if (changes && is_write_through(block)) {
        *disk_request = (DiskRequest){ .operation = DISK_FLUSH, .done = flush_done, .data = request };
        disk_submit(block->disk, disk_request);
    } else {
        finish(request, S_OK);
    }
    device_unlock(block->virtio.device.lock);
}

static void submit(BlockRequest *request, DiskOperation operation)
{
    request->disk.operation = operation;
    request->disk.done = request_done;
    request->disk.data = request;
    disk_submit(request->block->disk, &request->disk);
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

static void refuse(BlockRequest *request, DiskOperation operation)
{
    disk_count_invalid(request->block->disk, operation);
    finish(request, S_IOERR);
}

static void transfer(BlockRequest *request, uint64_t sector, bool read)
{
    const VirtElement *element = request->element;
    size_t bytes = read ? element->in_bytes - 1 : element->out_bytes - HEADER_BYTES;
    unsigned count = read ? element->in_count : element->out_count;
    if (!is_in_disk(request->block, sector, bytes)) {
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
static void change_range(BlockRequest *request, bool discard)
{
    const VirtioBlock *block = request->block;
    uint8_t range[RANGE_BYTES];
    bool offered = virtio_has(&request->block->virtio, discard ? F_DISCARD : F_WRITE_ZEROES);
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

static void get_id(BlockRequest *request)
{
    char id[ID_BYTES] = { 0 };
    const char *serial = request->block->serial ? request->block->serial : "";
    memcpy(id, serial, strnlen(serial, sizeof id));
    size_t room = MIN(sizeof id, request->element->in_bytes - 1);
    request->data_bytes = virt_write(request->element, 0, id, room);
    finish(request, S_OK);
}

static void start(BlockRequest *request, uint32_t type, uint64_t sector)
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

static void handle_element(VirtioBlock *block, VirtQueue *queue, VirtElement *element)
{
    uint8_t header[HEADER_BYTES];
    if (virt_read(element, 0, header, sizeof header) != sizeof header || element->in_bytes < 1) {
        virtio_error(&block->virtio, "a request without header or status");
        virtqueue_discard(queue, element);
        return;
    }
    BlockRequest *request = NEW(BlockRequest);
    *request = (BlockRequest){ .block = block, .queue = queue, .element = element };
    start(request, (uint32_t)header_field(&block->virtio, header, 4), header_field(&block->virtio, header + 8, 8));
}

static bool handle_next(VirtioDevice *device, VirtQueue *queue)
{
    VirtElement *element = virtqueue_pop(queue);
    if (element) {
        handle_element(block_of(device), queue, element);
    }
    return element;
}

static void handle(VirtioDevice *device, VirtQueue *queue)
{
    virtqueue_set_notification(queue, false);
    for (unsigned i = 0; i < queue->size; i++) {
        if (!handle_next(device, queue)) {
            virtqueue_set_notification(queue, true);
            if (!handle_next(device, queue)) { /* made available before the driver could see that it is to notify */
                return;
            }
            virtqueue_set_notification(queue, false);
        }
    }
    virtqueue_again(queue);
}

/* Configuration and life. */

static void store(VirtioDevice *device, uint8_t *config, unsigned offset, unsigned size, uint64_t value)
{
    store_le(config + offset, size, virtio_is_big_endian(device) ? swap_bytes(value, size) : value);
}

static void get_config(VirtioDevice *device, uint8_t *config)
{
    const VirtioBlock *block = block_of(device);
    unsigned logical = (unsigned)block->logical_block_size;
    uint64_t physical_exponent = (uint64_t)__builtin_ctzll(block->physical_block_size / logical);
    const struct {
        unsigned offset, size;
        uint64_t value;
    } fields[] = {
        { CONFIG_CAPACITY, 8, disk_size(block->disk) / DISK_SECTOR },
        { CONFIG_SEG_MAX, 4, block->seg_max_adjust ? block->queue_size - 2u : 126 },
        { CONFIG_CYLINDERS, 2, block->cylinders },
        { CONFIG_HEADS, 1, block->heads },
        { CONFIG_SECTORS, 1, block->sectors },
        { CONFIG_BLK_SIZE, 4, logical },
        { CONFIG_PHYSICAL_BLOCK_EXP, 1, physical_exponent },
        { CONFIG_MIN_IO_SIZE, 2, block->min_io_size / logical },
        { CONFIG_OPT_IO_SIZE, 4, block->opt_io_size / logical },
        { CONFIG_WRITEBACK, 1, block->writeback },
        { CONFIG_NUM_QUEUES, 2, block->num_queues },
        { CONFIG_MAX_DISCARD_SECTORS, 4, block->max_discard_sectors },
        { CONFIG_MAX_DISCARD_SEG, 4, 1 },
        { CONFIG_DISCARD_SECTOR_ALIGNMENT, 4, block->discard_granularity / DISK_SECTOR },
        { CONFIG_MAX_WRITE_ZEROES_SECTORS, 4, block->max_write_zeroes_sectors },
        { CONFIG_MAX_WRITE_ZEROES_SEG, 4, 1 },
        { CONFIG_WRITE_ZEROES_MAY_UNMAP, 1, 1 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        store(device, config, fields[i].offset, fields[i].size, fields[i].value);
    }
}

static void set_config(VirtioDevice *device, const uint8_t *config, uint32_t offset, uint32_t size)
{
    if (offset <= CONFIG_WRITEBACK && offset + size > CONFIG_WRITEBACK && virtio_has(device, F_CONFIG_WCE)) {
        block_of(device)->writeback = config[CONFIG_WRITEBACK] & 1;
    }
}

/* Section 5.2.5.2: a driver that can switch the cache but not flush it begins without. */
static void features_changed(VirtioDevice *device)
{
    VirtioBlock *block = block_of(device);
    bool cannot_flush = virtio_has(device, F_CONFIG_WCE) && !virtio_has(device, F_FLUSH);
    block->writeback = block->write_cache != ON_OFF_AUTO_OFF && !cannot_flush;
}

/* Before a reset, nothing is left to be tried again either. */
static void drain(VirtioDevice *device)
{
    VirtioBlock *block = block_of(device);
    if (!block->disk) {
        return;
    }
    disk_drain(block->disk);
    device_lock(device->device.lock);
    for (BlockRequest *request; device->resets > 0 && (request = take_failed(block));) {
        finish(request, S_IOERR);
    }
    device_unlock(device->device.lock);
}

static void resized(void *data)
{
    VirtioDevice *device = data;
    device_lock(device->device.lock);
    virtio_config_changed(device);
    device_unlock(device->device.lock);
}

static bool check_block_size(const char *name, uint64_t size, Error **error)
{
    return (is_power_of_2(size) && size >= DISK_SECTOR && size <= BLOCK_SIZE_LIMIT) ||
           error_set(error, "parameter %s must be a power of 2 between %d and %d", name, DISK_SECTOR, BLOCK_SIZE_LIMIT);
}

static bool check_multiple(const VirtioBlock *block, const char *name, uint64_t size, uint64_t most, Error **error)
{
    if (size % block->logical_block_size) {
        return error_set(error, "%s must be a multiple of logical_block_size", name);
    }
    return size / block->logical_block_size <= most ||
           error_set(error, "%s must not exceed %" PRIu64 " logical blocks", name, most);
}

static bool check_block_sizes(VirtioBlock *block, Error **error)
{
    if (!check_block_size("logical_block_size", block->logical_block_size, error) ||
        !check_block_size("physical_block_size", block->physical_block_size, error)) {
        return false;
    }
    if (block->logical_block_size > block->physical_block_size) {
        return error_set(error, "logical_block_size > physical_block_size not supported");
    }
    uint64_t most = UINT32_MAX / block->logical_block_size;
    return check_multiple(block, "min_io_size", block->min_io_size, UINT16_MAX, error) &&
           check_multiple(block, "opt_io_size", block->opt_io_size, UINT32_MAX, error) &&
           check_multiple(block, "discard_granularity", block->discard_granularity, most, error);
}

static bool check_range(const char *name, uint32_t value, uint32_t most, Error **error)
{
    return (value >= 1 && value <= most) ||
           error_set(error, "%s must be between 1 and %" PRIu32 ", not %" PRIu32, name, most, value);
}

static bool check_numbers(const VirtioBlock *block, Error **error)
{
    const struct {
        const char *name;
        uint32_t value, most;
    } numbers[] = {
        { "cyls", block->cylinders, UINT16_MAX },
        { "heads", block->heads, UINT8_MAX },
        { "secs", block->sectors, UINT8_MAX },
        { "num-queues", block->num_queues, VIRTIO_QUEUES },
        { "max-discard-sectors", block->max_discard_sectors, RANGE_LIMIT },
        { "max-write-zeroes-sectors", block->max_write_zeroes_sectors, RANGE_LIMIT },
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (!check_range(numbers[i].name, numbers[i].value, numbers[i].most, error)) {
            return false;
        }
    }
    return (is_power_of_2(block->queue_size) && block->queue_size > 2 &&
            block->queue_size <= VIRTIO_QUEUE_SIZE_LIMIT) ||
           error_set(error, "queue-size must be a power of 2 between 4 and %d, not %u", VIRTIO_QUEUE_SIZE_LIMIT,
                     block->queue_size);
}

/* What was left open. A geometry that old systems accept has 63 sectors and 16 heads. */
static void choose(VirtioBlock *block)
{
    block->logical_block_size = block->logical_block_size ? block->logical_block_size : DISK_SECTOR;
    if (block->physical_block_size == 0) {
        block->physical_block_size = block->logical_block_size;
    }
    if (block->discard_granularity == UINT32_MAX) {
        block->discard_granularity = block->logical_block_size;
    }
    block->num_queues = block->num_queues == QUEUES_AUTO ? 1 : block->num_queues;
    if (block->cylinders == 0 && block->heads == 0 && block->sectors == 0) {
        block->heads = 16;
        block->sectors = 63;
        uint64_t cylinders = disk_size(block->disk) / DISK_SECTOR / (16 * 63);
        block->cylinders = (uint32_t)MIN(MAX(cylinders, 2), 16383);
    }
}

static void add_features(VirtioBlock *block)
{
    const struct {
        bool wanted;
        unsigned feature;
    } features[] = {
        { true, F_SEG_MAX }, { true, F_GEOMETRY }, { true, F_BLK_SIZE }, { true, F_FLUSH }, { true, F_TOPOLOGY },
        { disk_read_only(block->disk), F_RO }, { block->config_wce, F_CONFIG_WCE }, { block->num_queues > 1, F_MQ },
        { block->discard, F_DISCARD }, { block->write_zeroes, F_WRITE_ZEROES },
    };
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        block->virtio.host_features |= features[i].wanted ? BIT(features[i].feature) : 0;
    }
}

static bool block_realize(Device *device, Error **error)
{
    VirtioBlock *block = (VirtioBlock *)device;
    if (!block->disk) {
        return error_set(error, "drive property not set: it names a -drive by its id");
    }
    if (disk_is_empty(block->disk)) {
        return error_set(error, "Device needs media, but drive is empty");
    }
    if (block->read_error == BLOCKDEV_ON_ERROR_ENOSPC) {
        return error_set(error, "rerror=enospc is not supported");
    }
    choose(block);
    if (!check_block_sizes(block, error) || !check_numbers(block, error) ||
        !disk_attach(block->disk, &device->object, block->share_writes, error)) {
        return false;
    }
    disk_set_accounting(block->disk, block->account_invalid, block->account_failed);
    add_features(block);
    block->virtio.config_size = CONFIG_BYTES;
    for (unsigned i = 0; i < block->num_queues; i++) {
        virtio_add_queue(&block->virtio, block->queue_size, handle);
    }
    disk_set_resized(block->disk, resized, block);
    machine_add_run_state_listener(device->machine, try_again, block);
    return true;
}

static void block_unrealize(Device *device)
{
    VirtioBlock *block = (VirtioBlock *)device;
    disk_set_resized(block->disk, NULL, NULL);
    disk_detach(block->disk);
    machine_remove_run_state_listener(device->machine, try_again, block);
}

static const StateField state_fields[] = {
    STATE_FIELD(VirtioBlock, writeback, STATE_BOOL),
    STATE_FIELD_NOT_SAVED(VirtioBlock, disk, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtioBlock, failed, "requests of a machine that an error has stopped"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "virtio-blk", .version = 1, .minimum_version = 1, .fields = state_fields,
};

static const Property properties[] = {
    PROP_DRIVE("drive", VirtioBlock, disk),
    PROP("serial", type_string, VirtioBlock, serial, NULL, "serial number that the guest sees"),
    PROP("logical_block_size", type_size, VirtioBlock, logical_block_size, "0", "smallest unit of a request; 0: 512"),
    PROP("physical_block_size", type_size, VirtioBlock, physical_block_size, "0", "the disk's own unit; 0: logical"),
    PROP("min_io_size", type_size, VirtioBlock, min_io_size, "0", "suggested smallest request"),
    PROP("opt_io_size", type_size, VirtioBlock, opt_io_size, "0", "suggested best request"),
    PROP("discard_granularity", type_size, VirtioBlock, discard_granularity, "4294967295", "unit of discards"),
    PROP("cyls", type_uint32, VirtioBlock, cylinders, "0", "geometry; 0: guessed"),
    PROP("heads", type_uint32, VirtioBlock, heads, "0", "geometry; 0: guessed"),
    PROP("secs", type_uint32, VirtioBlock, sectors, "0", "geometry; 0: guessed"),
    PROP("max-discard-sectors", type_uint32, VirtioBlock, max_discard_sectors, "4194303", "of one request"),
    PROP("max-write-zeroes-sectors", type_uint32, VirtioBlock, max_write_zeroes_sectors, "4194303", "of one request"),
    PROP("num-queues", type_uint16, VirtioBlock, num_queues, "65535", "queues; 65535: one"),
    PROP("queue-size", type_uint16, VirtioBlock, queue_size, "256", "entries of a queue"),
    PROP("write-cache", OnOffAuto_type, VirtioBlock, write_cache, "auto", "writes are done before they are flushed"),
    PROP("config-wce", type_bool, VirtioBlock, config_wce, "on", "the driver may switch the write cache"),
    PROP("discard", type_bool, VirtioBlock, discard, "on", "offer discard"),
    PROP("write-zeroes", type_bool, VirtioBlock, write_zeroes, "on", "offer writing zeroes"),
    PROP("rerror", BlockdevOnError_type, VirtioBlock, read_error, "auto", "what a read that fails does"),
    PROP("werror", BlockdevOnError_type, VirtioBlock, write_error, "auto", "what a write that fails does"),
    PROP("account-invalid", OnOffAuto_type, VirtioBlock, account_invalid, "auto",
         "requests that make no sense count as the last one, in statistics"),
    PROP("account-failed", OnOffAuto_type, VirtioBlock, account_failed, "auto",
         "requests that failed do, and their time counts"),
    PROP("share-rw", type_bool, VirtioBlock, share_writes, "off", "others may write to the disk meanwhile"),
    PROP("seg-max-adjust", type_bool, VirtioBlock, seg_max_adjust, "on", "segments follow the queue's size"),
    PROP_END,
};

const VirtioDeviceClass virtio_blk_class = {
    .device = {
        .class = {
            .name = "virtio-blk-device",
            .parent = &virtio_device_class.device.class,
            .description = "Virtio disk",
            .size = sizeof(VirtioBlock),
            .properties = properties,
        },
        .bus_type = "virtio-bus",
        .category = "Storage",
        .user_pluggable = true,
        .state = &state_table,
        .realize = block_realize,
        .unrealize = block_unrealize,
    },
    .virtio_id = VIRTIO_ID_BLOCK,
    .get_config = get_config,
    .set_config = set_config,
    .features_changed = features_changed,
    .drain = drain,
};
