/*
 * Address spaces: regions in containers with priorities and aliases, flattened into a sorted view that vCPUs and
 * devices look up without a lock. RAM blocks stand behind RAM regions and name their backing.
 */
#pragma once

#include "base/compiler.h"
#include "base/list.h"
#include "cpu/bus.h"
#include "object/object.h"

typedef struct AddressSpace AddressSpace;
typedef struct Machine Machine;
typedef struct Region Region;

/* Who asks for what. */
typedef struct Access {
    uint64_t address; /* offset in the region, as a device sees it */
    uint8_t size;     /* 1 to 8 bytes */
    bool write;
    bool debug;       /* no side effects wanted */
    bool secure, privileged, instruction;
    uint8_t requester_kind; /* REQUESTER_... */
    uint32_t requester;     /* vCPU index, PCI requester id, stream id */
    uint32_t attributes;    /* memory attributes of the guest */
} Access;
enum { REQUESTER_CPU, REQUESTER_PCI, REQUESTER_STREAM, REQUESTER_DEVICE, REQUESTER_DEBUGGER };

typedef enum ByteOrder { BYTE_ORDER_LITTLE, BYTE_ORDER_BIG } ByteOrder;

/* Registers of a device as memory. The mapping adapts access sizes: what the guest may use (`valid`; others are a
 * device error), what the hooks take (`impl`); wider ones are split, narrower ones are widened by reading the whole
 * (reads) or refused (writes). Hooks run under the region's lock. A device's own DMA into its own registers, or a read
 * of another device's, is a device error; its write to another device's runs once its lock is released. */
typedef struct RegionOps {
    AccessResult (*read)(void *owner, const Access *access, uint64_t *value);
    AccessResult (*write)(void *owner, const Access *access, uint64_t value);
    uint8_t valid_minimum, valid_maximum; /* bytes; 0: 1 and 8 */
    uint8_t impl_minimum, impl_maximum;   /* bytes; 0: 1 and 8 */
    bool unaligned;                       /* hooks take unaligned addresses */
    /* Asked first about a write, without the lock: whether it was a doorbell, and all that is to be done is done. May
     * be NULL. */
    bool (*ring)(void *owner, const Access *access, uint64_t value);
} RegionOps;

typedef enum RegionKind {
    REGION_CONTAINER,
    REGION_RAM,
    REGION_ROM,        /* RAM that writes do not change */
    REGION_ROM_DEVICE, /* reads are RAM while `romd`, writes go to the hooks */
    REGION_IO,
    REGION_ALIAS,
    REGION_IOMMU,
} RegionKind;

typedef enum RamBacking { RAM_ANONYMOUS, RAM_MEMFD, RAM_FILE } RamBacking;
typedef struct RamBlock {
    const char *id; /* stable name in saved state: "virt.ram" */
    uint8_t *host;
    uint64_t size;
    RamBacking backing;
    bool shared, huge_pages, prealloc, read_only;
    int fd; /* -1 where there is none */
    uint64_t fd_offset;
    _Atomic(uint8_t *) dirty; /* a bit a page of 4 KiB; NULL while nothing tracks */
    _Atomic uint32_t references;
} RamBlock;
enum { RAM_DIRTY_PAGE_BITS = 12 };
typedef struct RamOptions {
    RamBacking backing;
    bool shared, huge_pages, prealloc, read_only;
    bool no_reserve;
    struct Files *files; /* RAM_FILE: what opens `path` */
    const char *path;    /* a file, made and grown where it is too short (unless it is read-only), or a directory: a
                          * nameless file in it */
    uint64_t offset;     /* in the file; a multiple of the host's page */
} RamOptions;
/* `options` NULL: anonymous, private. The size is rounded up to whole host pages for the host alone. */
RamBlock *ram_block_new(const char *id, uint64_t size, const RamOptions *options, Error **error);
RamBlock *ram_block_ref(RamBlock *block);
void ram_block_unref(RamBlock *block);
/* Starts or ends tracking of writes; parked. Starting marks everything dirty. */
void ram_block_track(RamBlock *block, bool on);
void ram_block_mark_dirty(RamBlock *block, uint64_t offset, uint64_t count); /* any thread */
/* Whether any page of the range was written, and forgets it. The caller flushes TLBs before it counts on later writes
 * being seen. */
bool ram_block_take_dirty(RamBlock *block, uint64_t offset, uint64_t count);

struct Region {
    Object object; /* class "memory-region", QEMU's name: children of their device */
    RegionKind kind;
    uint64_t size_minus_1; /* so that a whole 64-bit space fits */
    const RegionOps *ops;
    void *owner;
    struct DeviceLock *lock; /* taken around ops; NULL: none */
    RamBlock *ram;
    uint64_t ram_offset;
    ByteOrder order;
    uint8_t stride_shift; /* registers stand 1 << stride_shift times farther apart than their addresses say */
    bool romd, enabled;
    Region *alias;
    uint64_t alias_offset;
    Region *container;
    uint64_t address; /* in the container */
    int priority;
    ListNode children, sibling;
    Machine *machine;
};
extern const Class region_class;

/* `name` is shown by info mtree; owner is the device (NULL: the machine). Regions are children of `owner`'s object.
 * Each returns a borrowed pointer. A `size` of UINT64_MAX is the whole space of 2^64 bytes. */
Region *region_new_container(Object *owner, Machine *machine, const char *name, uint64_t size);
Region *region_new_ram(Object *owner, Machine *machine, const char *name, RamBlock *block, uint64_t offset,
                       uint64_t size, bool rom); /* takes its own reference of the block */
Region *region_new_io(Object *owner, Machine *machine, const char *name, const RegionOps *ops, void *data,
                      struct DeviceLock *lock, uint64_t size);
Region *region_new_rom_device(Object *owner, Machine *machine, const char *name, RamBlock *block, const RegionOps *ops,
                              void *data, struct DeviceLock *lock);
Region *region_new_alias(Object *owner, Machine *machine, const char *name, Region *target, uint64_t offset,
                         uint64_t size);
/* Changes of the map; any thread, whatever locks it holds. Look-ups see them at once; vCPUs drop what they remember of
 * the old map before their next instruction. `container` may be of any kind but an alias: children lie over what it is
 * itself. A region or RAM block is destroyed only while the machine is parked. */
void region_map(Region *container, uint64_t address, Region *region, int priority);
void region_unmap(Region *region);
void region_set_enabled(Region *region, bool enabled);
void region_set_romd(Region *region, bool romd);
void region_move(Region *region, uint64_t address);
/* Several changes that take effect as one; nests. */
void memory_begin(Machine *machine);
void memory_commit(Machine *machine);

AddressSpace *address_space_new(Machine *machine, const char *name, Region *root);
void address_space_free(AddressSpace *space);
uint64_t address_space_generation(const AddressSpace *space); /* grows with every change */

/* Any length; splits at regions. `access` gives requester and attributes; its address and size are not looked at. The
 * first result that is not ok is returned, the rest is still done (what cannot be read is zero). NULL access: a device
 * of the machine. Writes to RAM mark it dirty. */
AccessResult address_space_read(AddressSpace *space, const Access *access, uint64_t address, void *bytes, size_t count);
AccessResult address_space_write(AddressSpace *space, const Access *access, uint64_t address, const void *bytes,
                                 size_t count);
/* One access of 1, 2, 4 or 8 bytes in the guest's natural (little-endian) order. */
AccessResult address_space_load(AddressSpace *space, const Access *access, uint64_t address, unsigned size,
                                uint64_t *value);
AccessResult address_space_store(AddressSpace *space, const Access *access, uint64_t address, unsigned size,
                                 uint64_t value);
/* RAM at `address` in place. `*count` is shortened to what is there in one piece; NULL: no RAM (I/O, unmapped, not
 * writable). The map holds a reference of the RAM block until address_space_unmap, which marks what was written. */
typedef struct RamMap {
    uint8_t *host;
    size_t count;
    RamBlock *block;
    uint64_t offset; /* in the block */
    bool write;
} RamMap;
bool address_space_map(AddressSpace *space, uint64_t address, size_t count, bool write, RamMap *map);
void address_space_unmap(AddressSpace *space, RamMap *map, size_t written);
/* What a vCPU's TLB asks. */
void address_space_page(AddressSpace *space, uint64_t address, unsigned page_bits, BusPage *page);
/* Loads `count` bytes as firmware would: ROM too. False where nothing takes them. */
bool address_space_write_rom(AddressSpace *space, uint64_t address, const void *bytes, size_t count);
/* info mtree. */
void address_space_print(const AddressSpace *space, bool flat, struct StrBuf *buffer);
