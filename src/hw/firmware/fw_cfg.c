/*
 * The firmware configuration device over memory-mapped registers ("fw_cfg_mem"): items that firmware and kernel read by
 * key or, through a directory, by name. After QEMU's "QEMU Firmware Configuration (fw_cfg) Device" specification.
 *
 * Data is read a byte at a time in any access size, or by a DMA descriptor in guest memory. Writing items is not
 * offered: a DMA write, and a write to the data register, which the specification has made obsolete, do nothing (the
 * former with the error bit).
 */
#include "hw/firmware/fw_cfg.h"

#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "core/fdt.h"
#include "core/machine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_NAME_BYTES = 56, DIRECTORY_ENTRY_BYTES = 64, FILE_LIMIT = 0x4000 - FW_CFG_FILE_FIRST };
enum { KEY_WRITE_CHANNEL = 0x4000, KEY_ARCHITECTURE = 0x8000 };
enum { ID_TRADITIONAL = 1, ID_DMA = 2 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16, DMA_DESCRIPTOR_BYTES = 16 };
enum { ZERO_CHUNK = 4096 };

typedef struct Item {
    uint16_t key;
    uint8_t *bytes;
    uint32_t size;
    char name[FILE_NAME_BYTES]; /* of a file; else empty */
} Item;

typedef struct FwCfg {
    Device device;
    VEC(Item) items;
    bool dma_enabled;
    uint16_t key;    /* selected */
    uint32_t offset; /* of the next byte in it */
    uint32_t dma_address_high;
} FwCfg;

extern const DeviceClass fw_cfg_class;

static FwCfg *fw_cfg_of(Device *device) { return (FwCfg *)device; }

/* Items. */

static Item *find(const FwCfg *cfg, uint16_t key)
{
    for (size_t i = 0; i < cfg->items.count; i++) {
        if (cfg->items.items[i].key == key) {
            return &cfg->items.items[i];
        }
    }
    return NULL;
}

static Item *add(FwCfg *cfg, uint16_t key, const void *bytes, uint32_t size)
{
    Item *item = find(cfg, key);
    if (!item) {
        vec_push(&cfg->items, (Item){ .key = key });
        item = &cfg->items.items[cfg->items.count - 1];
    }
    free(item->bytes);
    item->bytes = mem_copy(bytes, size);
    item->size = size;
    return item;
}

void fw_cfg_add_bytes(Device *fw_cfg, uint16_t key, const void *bytes, uint32_t size)
{
    add(fw_cfg_of(fw_cfg), key, bytes, size);
}

void fw_cfg_add_integer(Device *fw_cfg, uint16_t key, unsigned size, uint64_t value)
{
    uint8_t bytes[8];
    store_le(bytes, size, value);
    fw_cfg_add_bytes(fw_cfg, key, bytes, size);
}

void fw_cfg_add_text(Device *fw_cfg, uint16_t key, const char *text)
{
    fw_cfg_add_bytes(fw_cfg, key, text, (uint32_t)strlen(text) + 1);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const Item *const *)a)->name, (*(const Item *const *)b)->name);
}

/* The directory, sorted by name. Keys stay those that the files were added with. */
static void rebuild_directory(FwCfg *cfg)
{
    VEC(const Item *) files = { 0 };
    for (size_t i = 0; i < cfg->items.count; i++) {
        if (cfg->items.items[i].name[0]) {
            vec_push(&files, &cfg->items.items[i]);
        }
    }
    if (files.count > 0) {
        qsort(files.items, files.count, sizeof *files.items, compare_names);
    }
    uint32_t size = 4 + (uint32_t)files.count * DIRECTORY_ENTRY_BYTES;
    uint8_t *directory = mem_alloc0(size);
    store_be32(directory, (uint32_t)files.count);
    for (size_t i = 0; i < files.count; i++) {
        uint8_t *entry = directory + 4 + i * DIRECTORY_ENTRY_BYTES;
        store_be32(entry, files.items[i]->size);
        store_be16(entry + 4, files.items[i]->key);
        memcpy(entry + 8, files.items[i]->name, FILE_NAME_BYTES);
    }
    vec_free(&files);
    add(cfg, FW_CFG_FILE_DIR, directory, size);
    free(directory);
}

bool fw_cfg_add_file(Device *fw_cfg, const char *name, const void *bytes, uint32_t size, Error **error)
{
    FwCfg *cfg = fw_cfg_of(fw_cfg);
    uint16_t key = FW_CFG_FILE_FIRST;
    if (name[0] == '\0' || strlen(name) >= FILE_NAME_BYTES) {
        return error_set(error, "fw_cfg file name '%s' must have from 1 to %d characters", name, FILE_NAME_BYTES - 1);
    }
    for (size_t i = 0; i < cfg->items.count; i++) {
        const Item *item = &cfg->items.items[i];
        if (strcmp(item->name, name) == 0) {
            key = item->key;
            break;
        }
        if (item->name[0] && item->key >= key) {
            key = (uint16_t)(item->key + 1);
        }
    }
    if (key >= FW_CFG_FILE_FIRST + FILE_LIMIT) {
        return error_set(error, "fw_cfg has no room for file '%s'", name);
    }
    Item *item = add(cfg, key, bytes, size);
    memset(item->name, 0, sizeof item->name);
    memcpy(item->name, name, strlen(name));
    rebuild_directory(cfg);
    return true;
}

/* Reading. */

static void select_item(FwCfg *cfg, uint16_t key)
{
    cfg->key = key & (uint16_t)~KEY_WRITE_CHANNEL;
    cfg->offset = 0;
}

/* The next `count` bytes that are there; what lies behind an item's end reads as zero. */
static uint32_t take(FwCfg *cfg, uint32_t count, const uint8_t **bytes)
{
    const Item *item = find(cfg, cfg->key);
    uint32_t left = item && cfg->offset < item->size ? item->size - cfg->offset : 0;
    uint32_t taken = MIN(count, left);
    *bytes = taken ? item->bytes + cfg->offset : NULL;
    cfg->offset += taken;
    return taken;
}

static AccessResult data_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    unsigned shift = 8 * (unsigned)(access->address - reg->address);
    const uint8_t *bytes;
    *value = 0;
    if (access->debug) {
        return ACCESS_OK;
    }
    uint32_t count = take(fw_cfg_of(device), access->size, &bytes);
    *value = count ? load_le(bytes, count) << shift : 0;
    return ACCESS_OK;
}

static AccessResult data_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    log_guest_error(device_log(device), "%s: writing through the data register is obsolete\n", device_name(device));
    return ACCESS_OK;
}

static AccessResult selector_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    select_item(fw_cfg_of(device), __builtin_bswap16((uint16_t)value));
    return ACCESS_OK;
}

/* DMA. */

static bool copy_to_guest(FwCfg *cfg, uint64_t address, uint32_t length)
{
    static const uint8_t zeroes[ZERO_CHUNK];
    AddressSpace *space = cfg->device.machine->address_space;
    const uint8_t *bytes;
    uint32_t count = take(cfg, length, &bytes);
    bool ok = count == 0 || address_space_write(space, NULL, address, bytes, count) == ACCESS_OK;
    for (uint64_t done = count; ok && done < length;) {
        uint32_t piece = (uint32_t)MIN(length - done, sizeof zeroes);
        ok = address_space_write(space, NULL, address + done, zeroes, piece) == ACCESS_OK;
        done += piece;
    }
    return ok;
}

/* Returns the control field to leave in the descriptor: 0, or the error bit. */
static uint32_t perform(FwCfg *cfg, uint32_t control, uint32_t length, uint64_t address)
{
    const uint8_t *bytes;
    if (control & DMA_SELECT) {
        select_item(cfg, (uint16_t)(control >> 16));
    }
    if (control & DMA_READ) {
        return copy_to_guest(cfg, address, length) ? 0 : DMA_ERROR;
    }
    if (control & DMA_WRITE) {
        return DMA_ERROR;
    }
    if (control & DMA_SKIP) {
        take(cfg, length, &bytes);
    }
    return 0;
}

static AccessResult dma_start(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    FwCfg *cfg = fw_cfg_of(device);
    AddressSpace *space = device->machine->address_space;
    uint64_t descriptor = (uint64_t)__builtin_bswap32(cfg->dma_address_high) << 32 | __builtin_bswap32((uint32_t)value);
    uint8_t fields[DMA_DESCRIPTOR_BYTES];
    cfg->dma_address_high = 0;
    if (address_space_read(space, NULL, descriptor, fields, sizeof fields) != ACCESS_OK) {
        log_guest_error(device_log(device), "%s: no memory at descriptor 0x%" PRIx64 "\n", device_name(device),
                        descriptor);
        return ACCESS_OK;
    }
    uint8_t control[4];
    store_be32(control, perform(cfg, load_be32(fields), load_be32(fields + 4), load_be64(fields + 8)));
    address_space_write(space, NULL, descriptor, control, sizeof control);
    return ACCESS_OK;
}

static bool has_dma(const Device *device, const Register *reg) { return ((const FwCfg *)device)->dma_enabled; }

/* Registers are big-endian; the data register keeps the order of bytes. Reading the DMA address tells "QEMU CFG". */
static const Register registers[] = {
    REG_HOOK(Data, 0x00, .size = 8, .read = data_read, .write = data_write),
    REG_HOOK(Selector, 0x08, .size = 2, .write = selector_write, .write_only = true),
    REG_HOOK(DMAAddressHighSignature, 0x10, .reset = 0x554d4551, .read_only = true, .present = has_dma),
    REG_FIELD(FwCfg, DMAAddressHigh, 0x10, dma_address_high, .writable = UINT32_MAX, .write_only = true,
              .present = has_dma),
    REG_HOOK(DMAAddressLowSignature, 0x14, .reset = 0x47464320, .read_only = true, .present = has_dma),
    REG_HOOK(DMAAddressLow, 0x14, .write = dma_start, .write_only = true, .present = has_dma),
};

static const RegisterBank banks[] = {
    { .name = "fwcfg", .size = 0x18, .registers = registers, .count = ARRAY_SIZE(registers) },
};

/* Life. */

static void add_fixed_items(FwCfg *cfg)
{
    fw_cfg_add_bytes(&cfg->device, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_integer(&cfg->device, FW_CFG_ID, 4, ID_TRADITIONAL | (cfg->dma_enabled ? ID_DMA : 0));
    rebuild_directory(cfg);
}

static bool fw_cfg_realize(Device *device, Error **error)
{
    add_fixed_items(fw_cfg_of(device));
    return true;
}

static void fw_cfg_finalize(Object *object)
{
    FwCfg *cfg = (FwCfg *)object;
    for (size_t i = 0; i < cfg->items.count; i++) {
        free(cfg->items.items[i].bytes);
    }
    vec_free(&cfg->items);
}

static void fw_cfg_reset(Device *device, ResetKind kind) { select_item(fw_cfg_of(device), FW_CFG_SIGNATURE); }

static void fw_cfg_write_fdt(Device *device, FdtWriter *fdt)
{
    const Placement *placement = &device->placement;
    fdt_begin(fdt, "fw-cfg@%" PRIx64, placement->addresses[0]);
    fdt_empty(fdt, "dma-coherent");
    fdt_reg(fdt, (const uint64_t[]){ placement->addresses[0], placement->sizes[0] }, 1);
    fdt_text(fdt, "compatible", "qemu,fw-cfg-mmio");
    fdt_end(fdt);
}

static const StateField state_fields[] = {
    STATE_FIELD(FwCfg, key, STATE_UNSIGNED),
    STATE_FIELD(FwCfg, offset, STATE_UNSIGNED),
    STATE_FIELD_NOT_SAVED(FwCfg, items, "the board's; they do not change while it runs"),
    STATE_FIELD_NOT_SAVED(FwCfg, dma_enabled, "a property"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "fw_cfg", .version = 1, .minimum_version = 1, .fields = state_fields,
};

static const Property properties[] = {
    PROP("dma_enabled", type_bool, FwCfg, dma_enabled, "on", "offer DMA"),
    PROP_END,
};

const DeviceClass fw_cfg_class = {
    .class = {
        .name = "fw_cfg",
        .parent = &sysbus_device_class.class,
        .abstract = true,
        .size = sizeof(FwCfg),
        .properties = properties,
        .finalize = fw_cfg_finalize,
    },
    .category = "Misc",
    .state = &state_table,
    .realize = fw_cfg_realize,
    .reset = fw_cfg_reset,
    .write_fdt = fw_cfg_write_fdt,
};

const DeviceClass fw_cfg_mem_class = {
    .class = {
        .name = "fw_cfg_mem",
        .parent = &fw_cfg_class.class,
        .description = "Firmware configuration in memory",
    },
    .banks = banks,
    .bank_count = ARRAY_SIZE(banks),
};
