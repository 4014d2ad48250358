/*
 * A disk: VIRTIO 1.2, section 5.2 ("virtio-blk-device").
 *
 * The device, its configuration space and properties; virtio_blk_request.c does its requests, on the loops that
 * virtio_blk_queues.c gives its queues to. With the write cache off (property write-cache, or the driver's WCE field) a
 * write is done when it has been flushed. A request that fails is reported to the guest, ignored, or stops the machine,
 * which tries it again when it goes on (properties rerror and werror, else as the drive says).
 *
 * Not here: SCSI commands (legacy VIRTIO_BLK_F_SCSI is not offered), secure erase, zoned disks, lifetime; merging of
 * requests (request-merging); block sizes that the image suggests (backend_defaults); saving a machine that an error
 * has stopped.
 */
#include "hw/virtio/virtio_blk.h"

#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "core/iothread.h"
#include "core/machine.h"
#include "schema/virtio.h"

#include <inttypes.h>

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

enum { QUEUES_AUTO = UINT16_MAX, BLOCK_SIZE_LIMIT = 2 << 20, RANGE_LIMIT = INT32_MAX / 512, VIRTIO_ID_BLOCK = 2 };

static VirtioBlock *block_of(VirtioDevice *device) { return (VirtioBlock *)device; }

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
    if (offset <= CONFIG_WRITEBACK && offset + size > CONFIG_WRITEBACK && virtio_has(device, VIRTIO_BLK_F_CONFIG_WCE)) {
        block_of(device)->writeback = config[CONFIG_WRITEBACK] & 1;
    }
}

/* Section 5.2.5.2: a driver that can switch the cache but not flush it begins without. */
static void features_changed(VirtioDevice *device)
{
    VirtioBlock *block = block_of(device);
    bool cannot_flush = virtio_has(device, VIRTIO_BLK_F_CONFIG_WCE) && !virtio_has(device, VIRTIO_BLK_F_FLUSH);
    block->writeback = block->write_cache != ON_OFF_AUTO_OFF && !cannot_flush;
}

static void settle_queue(VirtioBlockQueue *queue)
{
    if (queue->queue->resetting) {
        virtio_blk_give_up(queue);
    }
    virtio_blk_interrupt(queue);
}

/* Before a reset, nothing is left to be tried again either. */
static void drain(VirtioDevice *device)
{
    VirtioBlock *block = block_of(device);
    if (block->queues) {
        disk_drain(block->disk);
        virtio_blk_each_queue(block, settle_queue);
    }
}

/* The machine goes on. */
static void run_state_changed(void *data, bool running)
{
    VirtioBlock *block = data;
    if (running) {
        disk_set_status(block->disk, DISK_OK);
        virtio_blk_each_queue(block, virtio_blk_try_again);
    }
}

static void resized(void *data)
{
    VirtioDevice *device = data;
    device_lock(device->device.lock);
    virtio_config_changed(device);
    device_unlock(device->device.lock);
}

static void pause_device(void *data, bool pauses)
{
    if (pauses) {
        virtio_pause(data);
    } else {
        virtio_resume(data);
    }
}

static const DiskListener disk_listener = { .resized = resized, .pause = pause_device };

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
    if (block->discard_granularity == UINT32_MAX || !block->report_discard_granularity) {
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
        { true, VIRTIO_BLK_F_SEG_MAX },
        { true, VIRTIO_BLK_F_GEOMETRY },
        { true, VIRTIO_BLK_F_BLK_SIZE },
        { true, VIRTIO_BLK_F_FLUSH },
        { true, VIRTIO_BLK_F_TOPOLOGY },
        { disk_read_only(block->disk), VIRTIO_BLK_F_RO },
        { block->config_wce, VIRTIO_BLK_F_CONFIG_WCE },
        { block->num_queues > 1, VIRTIO_BLK_F_MQ },
        { block->discard, VIRTIO_BLK_F_DISCARD },
        { block->write_zeroes, VIRTIO_BLK_F_WRITE_ZEROES },
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
    if (!boot_order_add(device, block->boot_index, &block->firmware_geometry, error) ||
        !virtio_blk_make_queues(block, error)) {
        boot_order_remove(device);
        disk_detach(block->disk);
        return false;
    }
    disk_set_accounting(block->disk, block->account_invalid, block->account_failed);
    add_features(block);
    block->virtio.config_size = CONFIG_BYTES;
    disk_set_listener(block->disk, &disk_listener, block);
    machine_add_run_state_listener(device->machine, run_state_changed, block);
    return true;
}

static void block_unrealize(Device *device)
{
    VirtioBlock *block = (VirtioBlock *)device;
    machine_remove_run_state_listener(device->machine, run_state_changed, block);
    virtio_end(&block->virtio);
    virtio_blk_free_queues(block);
    disk_set_listener(block->disk, NULL, NULL);
    disk_detach(block->disk);
    boot_order_remove(device);
}

static void write_firmware_name(const Device *device, StrBuf *buffer) { strbuf_append(buffer, "disk@0,0"); }

static const StateField state_fields[] = {
    STATE_FIELD(VirtioBlock, writeback, STATE_BOOL),
    STATE_FIELD_NOT_SAVED(VirtioBlock, disk, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtioBlock, queues, "loops, and requests of a machine that an error has stopped"),
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
    PROP("lcyls", type_uint32, VirtioBlock, firmware_geometry.cylinders, "0", "geometry that firmware is told of"),
    PROP("lheads", type_uint32, VirtioBlock, firmware_geometry.heads, "0", "geometry that firmware is told of"),
    PROP("lsecs", type_uint32, VirtioBlock, firmware_geometry.sectors, "0", "geometry that firmware is told of"),
    PROP("bootindex", type_int32, VirtioBlock, boot_index, "-1", "place in the order of booting; negative: none"),
    PROP("max-discard-sectors", type_uint32, VirtioBlock, max_discard_sectors, "4194303", "of one request"),
    PROP("max-write-zeroes-sectors", type_uint32, VirtioBlock, max_write_zeroes_sectors, "4194303", "of one request"),
    PROP_LINK("iothread", iothread_class, VirtioBlock, iothread, "that works on the queues; the main loop by default"),
    { .name = "iothread-vq-mapping", .kind = PROPERTY_ARRAY, .type = &IOThreadVirtQueueMapping_type,
      .type_name = "IOThreadVirtQueueMappingList", .offset = offsetof(VirtioBlock, iothread_mapping),
      .description = "several that do: [{\"iothread\":\"<id>\", \"vqs\":[1,2,3,...]},...]" },
    PROP("num-queues", type_uint16, VirtioBlock, num_queues, "65535", "queues; 65535: one"),
    PROP("queue-size", type_uint16, VirtioBlock, queue_size, "256", "entries of a queue"),
    PROP("write-cache", OnOffAuto_type, VirtioBlock, write_cache, "auto", "writes are done before they are flushed"),
    PROP("config-wce", type_bool, VirtioBlock, config_wce, "on", "the driver may switch the write cache"),
    PROP("discard", type_bool, VirtioBlock, discard, "on", "offer discard"),
    PROP("report-discard-granularity", type_bool, VirtioBlock, report_discard_granularity, "on",
         "as the alignment of discards; else it is the logical block"),
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
        .write_firmware_name = write_firmware_name,
    },
    .virtio_id = VIRTIO_ID_BLOCK,
    .get_config = get_config,
    .set_config = set_config,
    .features_changed = features_changed,
    .drain = drain,
    .own_queues = true,
};
