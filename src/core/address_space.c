/*
 * Accesses to address spaces: splitting at regions, size rules, byte order, register stride, and the crossing rule of
 * device locks for DMA that reaches registers.
 */
#include "core/memory_internal.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/vec.h"
#include "core/device.h"
#include "core/lock_internal.h"
#include "core/machine.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const Access device_access = { .requester_kind = REQUESTER_DEVICE };

/* Guest RAM is shared with vCPUs: naturally aligned words are read and written in one piece, as a bus does. */
static void ram_read(void *bytes, const void *ram, size_t count)
{
    switch ((uintptr_t)ram & (count - 1) ? 0 : count) {
    case 1: store_le(bytes, 1, __atomic_load_n((const uint8_t *)ram, __ATOMIC_RELAXED)); break;
    case 2: store_le(bytes, 2, __atomic_load_n((const uint16_t *)ram, __ATOMIC_RELAXED)); break;
    case 4: store_le(bytes, 4, __atomic_load_n((const uint32_t *)ram, __ATOMIC_RELAXED)); break;
    case 8: store_le(bytes, 8, __atomic_load_n((const uint64_t *)ram, __ATOMIC_RELAXED)); break;
    default: memcpy(bytes, ram, count);
    }
}

static void ram_write(void *ram, const void *bytes, size_t count)
{
    switch ((uintptr_t)ram & (count - 1) ? 0 : count) {
    case 1: __atomic_store_n((uint8_t *)ram, (uint8_t)load_le(bytes, 1), __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)ram, (uint16_t)load_le(bytes, 2), __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)ram, (uint32_t)load_le(bytes, 4), __ATOMIC_RELAXED); break;
    case 8: __atomic_store_n((uint64_t *)ram, load_le(bytes, 8), __ATOMIC_RELAXED); break;
    default: memcpy(ram, bytes, count);
    }
}

/* One call of a hook. */

typedef struct Write {
    Region *region;
    Access access;
    uint64_t value;
} Write;

static void log_refused(const Region *region, const Access *access, const char *why)
{
    Log *log = region->machine->log;
    if (!access->debug && log_enabled(log, (LogItem)(LOG_GUEST_ERRORS | LOG_INVALID_MEM))) {
        log_write(log, "%s: %s of %u bytes at 0x%" PRIx64 " %s\n", region->object.name,
                  access->write ? "write" : "read", access->size, access->address, why);
    }
}

/* In QEMU's words: scripts look for them. */
static void log_nobody(Log *log, const Access *access, uint64_t address, uint64_t count)
{
    if (!access->debug && log_enabled(log, LOG_INVALID_MEM)) {
        log_write(log, "Invalid %s at addr 0x%" PRIX64 ", size %" PRIu64 ", region '(null)', reason: rejected\n",
                  access->write ? "write" : "read", address, count);
    }
}

static void write_later(void *data, uint64_t a, uint64_t b)
{
    Write *write = data;
    const Region *region = write->region;
    LockEntry entry = lock_enter(region->lock);
    if (entry == LOCK_ENTERED) {
        region->ops->write(region->owner, &write->access, write->value);
        device_unlock(region->lock);
    }
    free(write);
}

static AccessResult cross(Region *region, const Access *access, uint64_t value, LockEntry entry)
{
    if (entry == LOCK_HELD || !access->write || access->debug) {
        log_refused(region, access, "by a device that is busy itself");
        return ACCESS_DEVICE_ERROR;
    }
    Write *write = NEW(Write);
    *write = (Write){ region, *access, value };
    if (!lock_defer(lock_domain(region->lock), write_later, write, 0, 0)) {
        free(write);
        return ACCESS_DEVICE_ERROR;
    }
    return ACCESS_OK;
}

static AccessResult call(Region *region, const Access *access, uint64_t *value)
{
    if (access->write && region->ops->ring && region->ops->ring(region->owner, access, *value)) {
        return ACCESS_OK;
    }
    if (region->lock) {
        LockEntry entry = lock_enter(region->lock);
        if (entry != LOCK_ENTERED) {
            return cross(region, access, *value, entry);
        }
    }
    const RegionOps *ops = region->ops;
    AccessResult result = ACCESS_DEVICE_ERROR;
    if (access->write) {
        result = ops->write ? ops->write(region->owner, access, *value) : result;
    } else {
        result = ops->read ? ops->read(region->owner, access, value) : result;
    }
    if (region->lock) {
        device_unlock(region->lock);
    }
    return result;
}

/* A piece that the hooks take in one call, by the bytes on the bus. */
static AccessResult call_bytes(Region *region, Access *access, uint8_t *bytes)
{
    uint64_t value = 0;
    if (access->write) {
        value = load_le(bytes, access->size);
        value = region->order == BYTE_ORDER_BIG ? swap_bytes(value, access->size) : value;
        return call(region, access, &value);
    }
    AccessResult result = call(region, access, &value);
    value = region->order == BYTE_ORDER_BIG ? swap_bytes(value, access->size) : value;
    store_le(bytes, access->size, value);
    return result;
}

static AccessResult call_narrow(Region *region, Access access, uint8_t *bytes, unsigned minimum)
{
    if (access.write) {
        log_refused(region, &access, "is too narrow");
        return ACCESS_DEVICE_ERROR;
    }
    uint8_t whole[8] = { 0 };
    unsigned skip = access.address & (minimum - 1), size = access.size;
    access.address -= skip;
    access.size = (uint8_t)minimum;
    AccessResult result = call_bytes(region, &access, whole);
    memcpy(bytes, whole + skip, MIN(size, minimum - skip));
    return result;
}

static unsigned or_default(unsigned value, unsigned fallback) { return value ? value : fallback; }

/* Registers at a stride: each answers at its first bytes, the rest of its place reads as zero. */
static AccessResult call_strided(Region *region, Access access, uint8_t *bytes)
{
    unsigned stride = 1u << region->stride_shift, width = MIN(stride, or_default(region->ops->impl_maximum, 8));
    AccessResult result = ACCESS_OK;
    uint64_t address = access.address;
    for (unsigned done = 0; done < access.size;) {
        unsigned inside = (address + done) & (stride - 1), room = MIN(stride - inside, access.size - done);
        if (!inside) {
            Access piece = access;
            piece.address = (address + done) >> region->stride_shift;
            piece.size = (uint8_t)MIN(width, room);
            AccessResult one = call_bytes(region, &piece, bytes + done);
            result = result ? result : one;
        }
        done += room;
    }
    return result;
}

static bool size_valid(const Region *region, const Access *access)
{
    const RegionOps *ops = region->ops;
    unsigned maximum = or_default(ops->valid_maximum, 8) << region->stride_shift;
    if (access->size < ops->valid_minimum || access->size > maximum) {
        return false;
    }
    return ops->unaligned || !(access->address & (access->size - 1));
}

/* One access of the guest's size, by the bytes on the bus. */
static AccessResult call_any(Region *region, Access access, uint8_t *bytes)
{
    const RegionOps *ops = region->ops;
    if (!size_valid(region, &access)) {
        log_refused(region, &access, "has a size or alignment that the device does not take");
        return ACCESS_DEVICE_ERROR;
    }
    if (region->stride_shift) {
        return call_strided(region, access, bytes);
    }
    unsigned minimum = or_default(ops->impl_minimum, 1), maximum = or_default(ops->impl_maximum, 8);
    if (access.size < minimum) {
        return call_narrow(region, access, bytes, minimum);
    }
    AccessResult result = ACCESS_OK;
    for (unsigned done = 0, size = access.size; done < size;) {
        Access piece = access;
        piece.address += done;
        piece.size = (uint8_t)MIN(maximum, size - done);
        AccessResult one = call_bytes(region, &piece, bytes + done);
        result = result ? result : one;
        done += piece.size;
    }
    return result;
}

/* Any length. */

/* The largest access that the region, the alignment and the rest of the bytes allow. */
static unsigned piece_size(const FlatRange *range, uint64_t address, uint64_t count)
{
    unsigned maximum = MIN(8u, or_default(range->region->ops->valid_maximum, 8) << range->region->stride_shift);
    unsigned size = 1;
    while (size < maximum && 2 * size <= count && !(address & (2 * size - 1))) {
        size *= 2;
    }
    return size;
}

static uint64_t ram_offset_of(const FlatRange *range, const uint8_t *host)
{
    return (uint64_t)(host - range->region->ram->host);
}

/* Reads or writes up to `count` bytes at `address` within one range; `*done` becomes how many. */
static AccessResult transfer(const FlatRange *range, const Access *access, uint64_t address, uint8_t *bytes,
                             uint64_t count, uint64_t *done)
{
    uint64_t room = range->last - address;
    *done = room < count - 1 ? room + 1 : count;
    uint64_t inside = address - range->first;
    if (range->host && !access->write) {
        ram_read(bytes, range->host + inside, *done);
        return ACCESS_OK;
    }
    if (range->writable) {
        ram_write(range->host + inside, bytes, *done);
        ram_block_mark_dirty(range->region->ram, ram_offset_of(range, range->host + inside), *done);
        return ACCESS_OK;
    }
    if (!range->region || !range->region->ops) {
        if (!access->write) {
            memset(bytes, 0, *done);
        }
        bool rom = range->region && range->host;
        return rom ? ACCESS_OK : ACCESS_DECODE_ERROR; /* what is written to ROM is lost */
    }
    Access piece = *access;
    *done = piece.size = (uint8_t)piece_size(range, address, *done);
    piece.address = range->offset + inside;
    return call_any(range->region, piece, bytes);
}

static AccessResult transfer_all(AddressSpace *space, const Access *access, uint64_t address, uint8_t *bytes,
                                 uint64_t count)
{
    AccessResult result = ACCESS_OK;
    while (count) {
        FlatRange range;
        uint64_t done;
        address_space_lookup(space, address, &range);
        AccessResult one = transfer(&range, access, address, bytes, count, &done);
        if (one == ACCESS_DECODE_ERROR && !range.region) {
            log_nobody(space->map->machine->log, access, address, done);
        }
        result = result ? result : one;
        address += done;
        bytes += done;
        count -= done;
    }
    return result;
}

AccessResult address_space_read(AddressSpace *space, const Access *access, uint64_t address, void *bytes, size_t count)
{
    Access read = access ? *access : device_access;
    read.write = false;
    return transfer_all(space, &read, address, bytes, count);
}

AccessResult address_space_write(AddressSpace *space, const Access *access, uint64_t address, const void *bytes,
                                 size_t count)
{
    Access write = access ? *access : device_access;
    write.write = true;
    return transfer_all(space, &write, address, (uint8_t *)bytes, count);
}

/* One access. */

static AccessResult transfer_one(AddressSpace *space, Access *access, uint64_t address, uint8_t *bytes)
{
    FlatRange range;
    address_space_lookup(space, address, &range);
    bool io = range.region && range.region->ops && !(access->write ? range.writable : range.host != NULL);
    if (!io || range.last - address < access->size - 1u) {
        return transfer_all(space, access, address, bytes, access->size);
    }
    access->address = range.offset + (address - range.first);
    return call_any(range.region, *access, bytes);
}

AccessResult address_space_load(AddressSpace *space, const Access *access, uint64_t address, unsigned size,
                                uint64_t *value)
{
    Access read = access ? *access : device_access;
    uint8_t bytes[8] = { 0 };
    read.write = false;
    read.size = (uint8_t)size;
    AccessResult result = transfer_one(space, &read, address, bytes);
    *value = load_le(bytes, size);
    return result;
}

AccessResult address_space_store(AddressSpace *space, const Access *access, uint64_t address, unsigned size,
                                 uint64_t value)
{
    Access write = access ? *access : device_access;
    uint8_t bytes[8];
    write.write = true;
    write.size = (uint8_t)size;
    store_le(bytes, size, value);
    return transfer_one(space, &write, address, bytes);
}

/* RAM in place. */

bool address_space_map(AddressSpace *space, uint64_t address, size_t count, bool write, RamMap *map)
{
    FlatRange range;
    address_space_lookup(space, address, &range);
    if (!count || !range.host || (write && !range.writable)) {
        *map = (RamMap){ 0 };
        return false;
    }
    uint8_t *host = range.host + (address - range.first);
    uint64_t room = range.last - address;
    *map = (RamMap){ .host = host,
                     .count = room < count - 1 ? (size_t)room + 1 : count,
                     .block = ram_block_ref(range.region->ram),
                     .offset = ram_offset_of(&range, host),
                     .write = write };
    return true;
}

void address_space_unmap(AddressSpace *space, RamMap *map, size_t written)
{
    assert(written <= map->count);
    if (map->write && written) {
        ram_block_mark_dirty(map->block, map->offset, written);
    }
    if (map->block) {
        ram_block_unref(map->block);
    }
    *map = (RamMap){ 0 };
}

static bool page_is_clean(const RamBlock *block, uint64_t offset)
{
    uint8_t *dirty = atomic_load(&block->dirty);
    uint64_t page = offset >> RAM_DIRTY_PAGE_BITS;
    return dirty && !(__atomic_load_n(&dirty[page / 8], __ATOMIC_RELAXED) & 1u << page % 8);
}

void address_space_page(AddressSpace *space, uint64_t address, unsigned page_bits, BusPage *page)
{
    FlatRange range;
    uint64_t first = address & ~mask_bits(page_bits), last = address | mask_bits(page_bits);
    address_space_lookup(space, address, &range);
    *page = (BusPage){ 0 };
    if (!range.host || range.first > first || range.last < last) {
        return;
    }
    RamBlock *block = range.region->ram;
    page->host = range.host + (first - range.first);
    page->ram = block;
    page->ram_offset = ram_offset_of(&range, page->host);
    page->writable = range.writable && !(page_bits <= RAM_DIRTY_PAGE_BITS ? page_is_clean(block, page->ram_offset)
                                                                           : atomic_load(&block->dirty) != NULL);
}

bool address_space_write_rom(AddressSpace *space, uint64_t address, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    bool taken = true;
    while (count) {
        FlatRange range;
        bool found = address_space_lookup(space, address, &range);
        uint64_t room = range.last - address, done = room < count - 1 ? room + 1 : count;
        if (found && region_is_ram(range.region)) {
            const Region *region = range.region;
            uint64_t offset = region->ram_offset + range.offset + (address - range.first);
            memcpy(region->ram->host + offset, from, done);
            ram_block_mark_dirty(region->ram, offset, done);
        } else {
            taken = false;
        }
        address += done;
        from += done;
        count -= done;
    }
    return taken;
}
