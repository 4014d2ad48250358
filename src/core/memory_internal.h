/* Between region.c, flat_view.c and address_space.c. */
#pragma once

#include "core/memory.h"

#include "base/thread.h"

typedef struct FlatView FlatView;

/* A stretch of an address space that one region answers for, or a hole (`region` NULL). */
typedef struct FlatRange {
    uint64_t first, last;
    Region *region;
    uint64_t offset; /* of `first` in the region */
    uint8_t *host;   /* of `first`, where reads are RAM; else NULL */
    bool writable;   /* writes are RAM too */
} FlatRange;

struct FlatView {
    uint64_t generation;
    size_t count, capacity;
    FlatRange *ranges; /* sorted, disjoint, without holes among them */
};

/* Readers of views announce themselves in one of several counters, picked by thread, so that vCPUs seldom share one. */
enum { VIEW_STRIPES = 16 };
typedef struct ViewStripe {
    _Alignas(64) _Atomic uint32_t readers;
} ViewStripe;

/* A machine's memory map. */
typedef struct MemoryMap {
    Machine *machine;
    Mutex lock; /* of the tree of regions and of machine->spaces; a leaf: nothing is called inside */
    unsigned depth; /* of memory_begin */
    bool changed;
    ViewStripe stripes[VIEW_STRIPES];
} MemoryMap;

struct AddressSpace {
    MemoryMap *map;
    char *name;
    Region *root;
    _Atomic(FlatView *) view;
};

MemoryMap *memory_map_new(Machine *machine);
void memory_map_free(MemoryMap *map);
/* Within the lock: what is to be shown changed. */
void memory_map_changed(MemoryMap *map);

/* Copies the range at `address`, or the hole; false for a hole. No lock. */
bool address_space_lookup(AddressSpace *space, uint64_t address, FlatRange *range);

static inline bool region_is_ram(const Region *region)
{
    return region->kind == REGION_RAM || region->kind == REGION_ROM || region->kind == REGION_ROM_DEVICE;
}
