/*
 * NOR flash with the Intel command set ("cfi.pflash01"): one bank of `width` bytes, made of chips of `device-width`
 * bytes side by side. After JEDEC JESD68.01 (Common Flash Interface) and Intel's "3 Volt Intel StrataFlash Memory"
 * (J3) datasheet: read array, status, identifier and query modes; word and buffered programming, which can only clear
 * bits; block erase; block lock bits.
 *
 * With a drive, its first bytes are what the flash holds, and what the guest changes is written back by the loop, one
 * write at a time. Operations take no time of the guest's: one that is suspended is done already, as the status then
 * says (ready, not suspended), and to resume it does nothing.
 *
 * Not here: protection registers, enhanced factory programming, partitions; commands to one chip of a bank alone: the
 * lowest chip's byte of a write is the command for all.
 */
#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "block/block.h"
#include "core/fdt.h"
#include "core/loop.h"
#include "core/machine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMMAND_PROGRAM_ALTERNATE = 0x10,
    COMMAND_ERASE = 0x20,
    COMMAND_PROGRAM = 0x40,
    COMMAND_CLEAR_STATUS = 0x50,
    COMMAND_LOCK = 0x60,
    COMMAND_READ_STATUS = 0x70,
    COMMAND_READ_IDENTIFIER = 0x90,
    COMMAND_READ_QUERY = 0x98,
    COMMAND_SUSPEND = 0xb0,
    COMMAND_CONFIRM = 0xd0,
    COMMAND_PROGRAM_BUFFER = 0xe8,
    COMMAND_RESET_OTHER = 0xf0, /* of another command set: drivers that do not know yet which it is send both */
    COMMAND_READ_ARRAY = 0xff,
    LOCK_SET = 0x01,
};

enum {
    STATUS_LOCKED = 0x02,
    STATUS_PROGRAMMING_VOLTAGE = 0x08, /* also: the drive is read-only */
    STATUS_PROGRAM = 0x10,
    STATUS_ERASE = 0x20,
    STATUS_READY = 0x80,
    STATUS_SEQUENCE = STATUS_PROGRAM | STATUS_ERASE,
};

typedef enum FlashMode { MODE_ARRAY, MODE_STATUS, MODE_IDENTIFIER, MODE_QUERY, MODE_COUNT } FlashMode;
typedef enum FlashStep {
    STEP_COMMAND,
    STEP_PROGRAM,
    STEP_ERASE,
    STEP_LOCK,
    STEP_BUFFER_COUNT,
    STEP_BUFFER_DATA,
    STEP_BUFFER_CONFIRM,
    STEP_COUNT,
} FlashStep;

/* A chip's buffer has as many bytes as its count of words can ask for, 1 KiB at most. A block's size is 16 bits of 256
 * bytes in the query table. */
enum { BUFFER_SHIFT_BYTE = 8, BUFFER_SHIFT = 10, BUFFER_LIMIT = 2 << BUFFER_SHIFT, QUERY_BYTES = 0x40 };
enum { BLOCK_SIZE_MINIMUM = 64 * 1024, CHIP_BLOCK_SIZE_LIMIT = 8 * 1024 * 1024 };
#define FLASH_LIMIT (2 * GIB)
#define BLOCK_LIMIT (FLASH_LIMIT / BLOCK_SIZE_MINIMUM)

typedef struct Pflash {
    Device device;
    Disk *disk;
    char *name;
    uint32_t num_blocks;
    uint64_t sector_length;
    uint8_t width, device_width;
    uint16_t id[4];
    RamBlock *storage;
    Region *region;

    uint8_t mode, step; /* FlashMode, FlashStep */
    uint8_t status;
    uint32_t buffer_words; /* still to come */
    uint64_t buffer_base;  /* offset in the flash; UINT64_MAX before the first word */
    uint8_t buffer[BUFFER_LIMIT];
    uint8_t locked[BLOCK_LIMIT / 8]; /* a bit for each block */
    uint8_t query[QUERY_BYTES];

    /* What is to be written back: the loop's thread works on it, the lock guards it. */
    uint64_t dirty_first, dirty_end;
    bool posted, writing;
    bool loaded; /* from saved state, which the drive does not hold yet */
    DiskRequest request;
    struct iovec vector;
} Pflash;

static Pflash *flash_of(Device *device) { return (Pflash *)device; }
static unsigned chip_count(const Pflash *flash) { return flash->width / flash->device_width; }
static uint64_t flash_size(const Pflash *flash) { return flash->num_blocks * flash->sector_length; }
static unsigned buffer_shift(const Pflash *flash)
{
    return flash->device_width == 1 ? BUFFER_SHIFT_BYTE : BUFFER_SHIFT;
}
static uint32_t buffer_size(const Pflash *flash) { return chip_count(flash) << buffer_shift(flash); }

static bool is_locked(const Pflash *flash, uint64_t offset)
{
    uint64_t block = offset / flash->sector_length;
    return flash->locked[block / 8] >> block % 8 & 1;
}

/* Writing back. */

static void write_back(Pflash *flash);

static void written_back(DiskRequest *request, int error)
{
    Pflash *flash = request->data;
    free(flash->vector.iov_base);
    device_lock(flash->device.lock);
    if (error) {
        log_write(device_log(&flash->device), "%s: could not write to drive '%s': %s\n", device_name(&flash->device),
                  disk_id(flash->disk), strerror(error));
    }
    flash->writing = false;
    write_back(flash);
    device_unlock(flash->device.lock);
}

/* On the loop's thread, with the lock. */
static void write_back(Pflash *flash)
{
    if (flash->writing || flash->dirty_first >= flash->dirty_end) {
        return;
    }
    uint64_t first = align_down(flash->dirty_first, DISK_SECTOR);
    uint64_t end = MIN(align_up(flash->dirty_end, DISK_SECTOR), disk_size(flash->disk));
    flash->dirty_first = UINT64_MAX;
    flash->dirty_end = 0;
    flash->writing = true;
    flash->vector = (struct iovec){ mem_copy(flash->storage->host + first, end - first), end - first };
    flash->request = (DiskRequest){ .operation = DISK_WRITE, .offset = first, .bytes = end - first,
                                    .vectors = &flash->vector, .vector_count = 1, .done = written_back, .data = flash };
    disk_submit(flash->disk, &flash->request);
}

static void write_back_posted(void *data)
{
    Pflash *flash = data;
    device_lock(flash->device.lock);
    flash->posted = false;
    write_back(flash);
    device_unlock(flash->device.lock);
    object_unref(&flash->device.object);
}

static void mark_dirty(Pflash *flash, uint64_t offset, uint64_t bytes)
{
    if (!flash->disk) {
        return;
    }
    flash->dirty_first = MIN(flash->dirty_first, offset);
    flash->dirty_end = MAX(flash->dirty_end, offset + bytes);
    if (!flash->posted) {
        flash->posted = true;
        object_ref(&flash->device.object);
        loop_post(flash->device.machine->loop, write_back_posted, flash);
    }
}

static void finish_writing(Pflash *flash)
{
    if (!flash->disk) {
        return;
    }
    device_lock(flash->device.lock);
    write_back(flash);
    device_unlock(flash->device.lock);
    disk_drain(flash->disk);
}

static void run_state_changed(void *data, bool running)
{
    if (!running) {
        finish_writing(data);
    }
}

/* The array. */

static void set_mode(Pflash *flash, FlashMode mode)
{
    flash->mode = mode;
    region_set_romd(flash->region, mode == MODE_ARRAY);
}

/* Whether a block may change; sets the status where not. */
static bool check_changeable(Pflash *flash, uint64_t offset, uint8_t operation)
{
    if (flash->disk && disk_read_only(flash->disk)) {
        flash->status |= STATUS_PROGRAMMING_VOLTAGE | operation;
        return false;
    }
    if (is_locked(flash, offset)) {
        flash->status |= STATUS_LOCKED | operation;
        return false;
    }
    return true;
}

/* Programming turns ones into zeroes. */
static void program(Pflash *flash, uint64_t offset, const uint8_t *bytes, uint32_t count)
{
    if (!check_changeable(flash, offset, STATUS_PROGRAM)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        flash->storage->host[offset + i] &= bytes[i];
    }
    mark_dirty(flash, offset, count);
}

static void erase(Pflash *flash, uint64_t offset)
{
    uint64_t first = offset - offset % flash->sector_length;
    if (check_changeable(flash, first, STATUS_ERASE)) {
        memset(flash->storage->host + first, 0xff, flash->sector_length);
        mark_dirty(flash, first, flash->sector_length);
    }
}

/* Commands. */

static void begin(Pflash *flash, FlashStep step)
{
    flash->step = step;
    set_mode(flash, MODE_STATUS);
}

static void take_command(Pflash *flash, uint8_t command)
{
    switch (command) {
    case COMMAND_READ_ARRAY:
    case COMMAND_RESET_OTHER:
        set_mode(flash, MODE_ARRAY);
        break;
    case COMMAND_PROGRAM:
    case COMMAND_PROGRAM_ALTERNATE:
        begin(flash, STEP_PROGRAM);
        break;
    case COMMAND_ERASE:
        begin(flash, STEP_ERASE);
        break;
    case COMMAND_LOCK:
        begin(flash, STEP_LOCK);
        break;
    case COMMAND_PROGRAM_BUFFER:
        begin(flash, STEP_BUFFER_COUNT);
        break;
    case COMMAND_CLEAR_STATUS:
        flash->status = STATUS_READY;
        break;
    case COMMAND_READ_STATUS:
    case COMMAND_SUSPEND:
    case COMMAND_CONFIRM:
        set_mode(flash, MODE_STATUS);
        break;
    case COMMAND_READ_IDENTIFIER:
        set_mode(flash, MODE_IDENTIFIER);
        break;
    case COMMAND_READ_QUERY:
        set_mode(flash, MODE_QUERY);
        break;
    default:
        log_guest_error(device_log(&flash->device), "%s: unknown command 0x%02x\n", device_name(&flash->device),
                        command);
        set_mode(flash, MODE_ARRAY);
    }
}

static void set_lock(Pflash *flash, uint64_t offset, uint8_t command)
{
    uint64_t block = offset / flash->sector_length;
    if (command == LOCK_SET) {
        flash->locked[block / 8] |= (uint8_t)(1u << block % 8);
    } else if (command == COMMAND_CONFIRM) { /* J3: unlocks every block */
        memset(flash->locked, 0, sizeof flash->locked);
    } else {
        flash->status |= STATUS_SEQUENCE;
    }
}

static void start_buffer(Pflash *flash, uint64_t value)
{
    uint64_t words = (value & mask_bits(8 * MIN(flash->device_width, 2))) + 1;
    if (words * flash->width > buffer_size(flash)) {
        flash->status |= STATUS_SEQUENCE;
        flash->step = STEP_COMMAND;
        return;
    }
    flash->buffer_words = (uint32_t)words;
    flash->buffer_base = UINT64_MAX;
    memset(flash->buffer, 0xff, sizeof flash->buffer);
    flash->step = STEP_BUFFER_DATA;
}

static void fill_buffer(Pflash *flash, uint64_t offset, const uint8_t *bytes, uint8_t count)
{
    if (flash->buffer_base == UINT64_MAX) {
        flash->buffer_base = align_down(offset, buffer_size(flash));
    }
    uint64_t place = offset - flash->buffer_base; /* wraps below the base */
    if (place >= buffer_size(flash) || count > buffer_size(flash) - place) {
        flash->status |= STATUS_SEQUENCE;
        flash->step = STEP_COMMAND;
        return;
    }
    memcpy(flash->buffer + place, bytes, count);
    if (--flash->buffer_words == 0) {
        flash->step = STEP_BUFFER_CONFIRM;
    }
}

static AccessResult flash_write(void *owner, const Access *access, uint64_t value)
{
    Pflash *flash = owner;
    uint8_t bytes[8], command = (uint8_t)value, step = flash->step;
    store_le64(bytes, value);
    if (step != STEP_BUFFER_COUNT && step != STEP_BUFFER_DATA) {
        flash->step = STEP_COMMAND;
    }
    switch (step) {
    case STEP_PROGRAM:
        program(flash, access->address, bytes, access->size);
        break;
    case STEP_ERASE:
        if (command == COMMAND_CONFIRM) {
            erase(flash, access->address);
        } else {
            flash->status |= STATUS_SEQUENCE;
        }
        break;
    case STEP_LOCK:
        set_lock(flash, access->address, command);
        break;
    case STEP_BUFFER_COUNT:
        start_buffer(flash, value);
        break;
    case STEP_BUFFER_DATA:
        fill_buffer(flash, access->address, bytes, access->size);
        break;
    case STEP_BUFFER_CONFIRM:
        if (command == COMMAND_CONFIRM) {
            program(flash, flash->buffer_base, flash->buffer, buffer_size(flash));
        } else {
            flash->status |= STATUS_SEQUENCE;
        }
        break;
    default:
        take_command(flash, command);
    }
    return ACCESS_OK;
}

/* What each chip answers in a mode other than the array's. */
static uint16_t chip_answer(const Pflash *flash, uint64_t offset)
{
    uint64_t word = offset / flash->width;
    switch (flash->mode) {
    case MODE_QUERY:
        return word < QUERY_BYTES ? flash->query[word] : 0;
    case MODE_IDENTIFIER:
        switch (word % (flash->sector_length / flash->width)) {
        case 0:
            return flash->id[0];
        case 1:
            return flash->id[1];
        case 2:
            return is_locked(flash, offset);
        default:
            return 0;
        }
    default:
        return flash->status;
    }
}

/* The chips' answers side by side, cut to the access. */
static AccessResult flash_read(void *owner, const Access *access, uint64_t *value)
{
    Pflash *flash = owner;
    if (flash->mode == MODE_ARRAY) {
        *value = load_le(flash->storage->host + access->address, access->size);
        return ACCESS_OK;
    }
    uint8_t bytes[8];
    for (unsigned i = 0; i < access->size; i++) {
        uint64_t offset = access->address + i;
        unsigned lane = (unsigned)(offset % flash->device_width);
        bytes[i] = lane < 2 ? (uint8_t)(chip_answer(flash, offset) >> 8 * lane) : 0;
    }
    *value = load_le(bytes, access->size);
    return ACCESS_OK;
}

static const RegionOps flash_ops = { .read = flash_read, .write = flash_write, .impl_maximum = 4 };

/* The query table, JESD68.01 and the J3 datasheet's appendix: what one chip says of itself. */
static void fill_query(Pflash *flash)
{
    uint64_t chip_size = flash_size(flash) / chip_count(flash);
    uint64_t block = flash->sector_length / chip_count(flash) / 256;
    const struct {
        uint8_t at, value;
    } bytes[] = {
        { 0x10, 'Q' }, { 0x11, 'R' }, { 0x12, 'Y' },
        { 0x13, 0x01 },                 /* Intel's extended command set */
        { 0x15, 0x31 },                 /* its table */
        { 0x1b, 0x27 }, { 0x1c, 0x36 }, /* supply: 2.7 to 3.6 V */
        { 0x1f, 7 }, { 0x20, 7 },       /* 2^n us for a word, a buffer */
        { 0x21, 10 },                   /* 2^n ms to erase a block */
        { 0x23, 4 }, { 0x24, 4 }, { 0x25, 4 }, /* 2^n times as much at worst */
        { 0x27, (uint8_t)__builtin_ctzll(chip_size) },
        { 0x28, flash->device_width == 1 ? 0 : flash->device_width == 2 ? 1 : 3 }, /* x8, x16, x32 */
        { 0x2a, (uint8_t)buffer_shift(flash) },
        { 0x2c, 1 }, /* erase regions */
        { 0x2d, (uint8_t)(flash->num_blocks - 1) }, { 0x2e, (uint8_t)((flash->num_blocks - 1) >> 8) },
        { 0x2f, (uint8_t)block }, { 0x30, (uint8_t)(block >> 8) },
        { 0x31, 'P' }, { 0x32, 'R' }, { 0x33, 'I' }, { 0x34, '1' }, { 0x35, '1' },
        { 0x36, 0x0e }, /* erasing and programming can be suspended, blocks locked and unlocked */
        { 0x3a, 0x01 }, /* while erasing is suspended, one may program */
        { 0x3b, 0x01 }, { 0x3d, 0x33 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
        flash->query[bytes[i].at] = bytes[i].value;
    }
}

/* Life. */

static bool is_width(uint8_t width) { return width == 1 || width == 2 || width == 4; }

static bool check_geometry(Pflash *flash, Error **error)
{
    if (!is_width(flash->width) || !is_width(flash->device_width) || flash->device_width > flash->width) {
        return error_set(error, "'width' and 'device-width' must be 1, 2 or 4, and the latter not the larger");
    }
    uint64_t block = flash->sector_length;
    if (!is_power_of_2(block) || block < BLOCK_SIZE_MINIMUM || block / chip_count(flash) > CHIP_BLOCK_SIZE_LIMIT) {
        return error_set(error, "'sector-length' must be a power of two from 64 KiB to 8 MiB a chip");
    }
    if (!is_power_of_2(flash->num_blocks) || flash_size(flash) > FLASH_LIMIT) {
        return error_set(error, "'num-blocks' must be a power of two, and the whole at most 2 GiB");
    }
    if (!flash->name || !flash->name[0]) {
        return error_set(error, "Property 'name' is missing");
    }
    return true;
}

static bool load_drive(Pflash *flash, Error **error)
{
    if (!flash->disk) {
        return true; /* zeroes: it takes no memory of the host's until something is erased */
    }
    if (disk_size(flash->disk) != flash_size(flash)) {
        return error_set(error, "flash '%s' requires %" PRIu64 " bytes, '%s' provides %" PRIu64 " bytes", flash->name,
                         flash_size(flash), disk_path(flash->disk), disk_size(flash->disk));
    }
    return disk_read_first(flash->disk, flash->storage->host, flash->storage->size, error) &&
           disk_attach(flash->disk, &flash->device.object, false, error);
}

static bool flash_realize(Device *device, Error **error)
{
    Pflash *flash = flash_of(device);
    flash->device_width = flash->device_width ? flash->device_width : flash->width;
    if (!check_geometry(flash, error)) {
        return false;
    }
    flash->storage = ram_block_new(flash->name, flash_size(flash), NULL, error);
    if (!flash->storage || !load_drive(flash, error)) {
        return false;
    }
    flash->dirty_first = UINT64_MAX;
    fill_query(flash);
    flash->region = region_new_rom_device(&device->object, device->machine, flash->name, flash->storage, &flash_ops,
                                          flash, device->lock);
    vec_push(&device->regions, flash->region);
    machine_add_run_state_listener(device->machine, run_state_changed, flash);
    return true;
}

static void flash_unrealize(Device *device)
{
    Pflash *flash = flash_of(device);
    machine_remove_run_state_listener(device->machine, run_state_changed, flash);
    finish_writing(flash);
    if (flash->disk) {
        disk_detach(flash->disk);
    }
}

static void flash_finalize(Object *object)
{
    Pflash *flash = (Pflash *)object;
    ram_block_unref(flash->storage);
}

static void flash_reset(Device *device, ResetKind kind)
{
    Pflash *flash = flash_of(device);
    flash->mode = MODE_ARRAY;
    flash->step = STEP_COMMAND;
    flash->status = STATUS_READY;
}

static void flash_settle(Device *device)
{
    Pflash *flash = flash_of(device);
    set_mode(flash, flash->mode);
    if (flash->loaded && !(flash->disk && disk_read_only(flash->disk))) {
        mark_dirty(flash, 0, flash_size(flash));
    }
    flash->loaded = false;
}

static void flash_write_fdt(Device *device, FdtWriter *fdt)
{
    const Pflash *flash = flash_of(device);
    fdt_begin(fdt, "flash@%" PRIx64, device->placement.addresses[0]);
    fdt_text(fdt, "compatible", "cfi-flash");
    fdt_reg(fdt, (const uint64_t[]){ device->placement.addresses[0], device->placement.sizes[0] }, 1);
    fdt_u32(fdt, "bank-width", flash->width);
    fdt_end(fdt);
}

static bool check_loaded(void *state, uint32_t version, Error **error)
{
    Pflash *flash = state;
    bool filling = flash->step == STEP_BUFFER_DATA, begun = flash->buffer_base != UINT64_MAX;
    if ((filling && flash->buffer_words == 0) || (flash->step == STEP_BUFFER_CONFIRM && !begun)) {
        return error_set(error, "a buffered write of no words");
    }
    if (begun && (flash->buffer_base % buffer_size(flash) || flash->buffer_base >= flash_size(flash))) {
        return error_set(error, "a buffer at 0x%" PRIx64, flash->buffer_base);
    }
    flash->loaded = true;
    return true;
}

static const StateField state_fields[] = {
    STATE_FIELD(Pflash, mode, STATE_UNSIGNED, .maximum = MODE_COUNT - 1),
    STATE_FIELD(Pflash, step, STATE_UNSIGNED, .maximum = STEP_COUNT - 1),
    STATE_FIELD(Pflash, status, STATE_UNSIGNED),
    STATE_FIELD(Pflash, buffer_words, STATE_UNSIGNED, .maximum = BUFFER_LIMIT),
    STATE_FIELD(Pflash, buffer_base, STATE_UNSIGNED),
    STATE_FIELD(Pflash, buffer, STATE_BYTES),
    STATE_FIELD(Pflash, locked, STATE_BYTES),
    STATE_FIELD_NOT_SAVED(Pflash, loaded, "settle looks at it"),
    STATE_FIELD_NOT_SAVED(Pflash, disk, "a handle"),
    STATE_FIELD_NOT_SAVED(Pflash, storage, "saved as RAM"),
    STATE_FIELD_NOT_SAVED(Pflash, region, "a handle"),
    STATE_FIELD_NOT_SAVED(Pflash, query, "made from properties"),
    STATE_FIELD_NOT_SAVED(Pflash, dirty_first, "written back before saving"),
    STATE_FIELD_NOT_SAVED(Pflash, dirty_end, "written back before saving"),
    STATE_FIELD_NOT_SAVED(Pflash, posted, "the loop is drained before saving"),
    STATE_FIELD_NOT_SAVED(Pflash, writing, "written back before saving"),
    STATE_FIELD_NOT_SAVED(Pflash, request, "written back before saving"),
    STATE_FIELD_NOT_SAVED(Pflash, vector, "written back before saving"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "cfi.pflash01", .version = 1, .minimum_version = 1, .fields = state_fields, .check = check_loaded,
};

static const Property properties[] = {
    PROP_DRIVE("drive", Pflash, disk),
    PROP("name", type_string, Pflash, name, NULL, "of its memory, in saved state"),
    PROP("num-blocks", type_uint32, Pflash, num_blocks, "0", "erase blocks"),
    PROP("sector-length", type_uint64, Pflash, sector_length, "0", "bytes of an erase block"),
    PROP("width", type_uint8, Pflash, width, "0", "bytes of the bank's data bus"),
    PROP("device-width", type_uint8, Pflash, device_width, "0", "bytes of each chip's data bus; 0: one chip"),
    PROP("id0", type_uint16, Pflash, id[0], "0", "identifier: manufacturer"),
    PROP("id1", type_uint16, Pflash, id[1], "0", "identifier: device"),
    PROP("id2", type_uint16, Pflash, id[2], "0", "identifier, which this command set does not show"),
    PROP("id3", type_uint16, Pflash, id[3], "0", "identifier, which this command set does not show"),
    PROP_END,
};

const DeviceClass cfi_pflash01_class = {
    .class = {
        .name = "cfi.pflash01",
        .parent = &sysbus_device_class.class,
        .description = "Flash memory with Intel's command set",
        .size = sizeof(Pflash),
        .properties = properties,
        .finalize = flash_finalize,
    },
    .category = "Misc",
    .state = &state_table,
    .realize = flash_realize,
    .unrealize = flash_unrealize,
    .reset = flash_reset,
    .settle = flash_settle,
    .write_fdt = flash_write_fdt,
};
