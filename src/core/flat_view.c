/*
 * Flattened views of address spaces: the tree of regions as one sorted array. A view never changes once it is
 * published; look-ups run without a lock, and an old view is freed when every reader of that moment has left (reading
 * sections are a binary search long and call nothing).
 */
#include "core/memory_internal.h"

#include "base/vec.h"
#include "cpu/cpu.h"
#include "core/machine.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef __int128 Position; /* a place in a space, or outside of it: aliases reach below zero and above 2^64 */
enum { DEPTH_LIMIT = 64 };

/* Building. */

static size_t first_after(const FlatView *view, uint64_t address)
{
    size_t low = 0, high = view->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (view->ranges[middle].last < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert_range(FlatView *view, size_t at, const FlatRange *range)
{
    if (view->count == view->capacity) {
        view->ranges = vec_grow(view->ranges, &view->capacity, view->count + 1, sizeof *view->ranges);
    }
    memmove(view->ranges + at + 1, view->ranges + at, (view->count - at) * sizeof *view->ranges);
    view->ranges[at] = *range;
    view->count++;
}

static FlatRange make_range(Region *region, Position base, uint64_t first, uint64_t last)
{
    FlatRange range = { .first = first, .last = last, .region = region, .offset = (uint64_t)(first - base) };
    bool reads_ram = region->kind == REGION_RAM || region->kind == REGION_ROM ||
                     (region->kind == REGION_ROM_DEVICE && region->romd);
    if (reads_ram) {
        range.host = region->ram->host + region->ram_offset + range.offset;
        range.writable = region->kind == REGION_RAM && !region->ram->read_only;
    }
    return range;
}

/* Gives `region`, which begins at `base`, whatever of first..last nobody has yet. */
static void claim(FlatView *view, Region *region, Position base, uint64_t first, uint64_t last)
{
    size_t i = first_after(view, first);
    for (;;) {
        bool more = i < view->count && view->ranges[i].first <= last;
        uint64_t limit = more ? view->ranges[i].first : last;
        if (!more || limit > first) {
            FlatRange range = make_range(region, base, first, more ? limit - 1 : last);
            insert_range(view, i++, &range);
        }
        if (!more || view->ranges[i].last >= last) {
            return;
        }
        first = view->ranges[i++].last + 1;
    }
}

/* Shows `region`, which begins at `base`, within first..last. Its children come first: the highest priority, and among
 * equal ones the latest, wins. */
static void render(FlatView *view, Region *region, Position base, Position first, Position last, unsigned depth)
{
    assert(depth < DEPTH_LIMIT); /* an alias that contains itself */
    first = MAX(first, base);
    last = MIN(last, base + region->size_minus_1);
    if (!region->enabled || first > last) {
        return;
    }
    if (region->kind == REGION_ALIAS) {
        render(view, region->alias, base - region->alias_offset, first, last, depth + 1);
        return;
    }
    LIST_FOREACH(&region->children, child, Region, sibling)
    {
        render(view, child, base + child->address, first, last, depth + 1);
    }
    if (region->kind != REGION_CONTAINER) {
        claim(view, region, base, (uint64_t)first, (uint64_t)last);
    }
}

static bool continues(const FlatRange *a, const FlatRange *b)
{
    return a->last + 1 == b->first && a->region == b->region && a->offset + (b->first - a->first) == b->offset &&
           !a->host == !b->host && a->writable == b->writable;
}

static void merge_neighbours(FlatView *view)
{
    size_t kept = 0;
    for (size_t i = 1; i < view->count; i++) {
        if (continues(&view->ranges[kept], &view->ranges[i])) {
            view->ranges[kept].last = view->ranges[i].last;
        } else {
            view->ranges[++kept] = view->ranges[i];
        }
    }
    view->count = view->count ? kept + 1 : 0;
}

static FlatView *flat_view_new(const Region *root)
{
    FlatView *view = NEW(FlatView);
    Region *shown = (Region *)root;
    if (shown->kind == REGION_ALIAS || shown->enabled) {
        render(view, shown, 0, 0, UINT64_MAX, 0);
    }
    merge_neighbours(view);
    return view;
}

static void flat_view_free(FlatView *view)
{
    if (view) {
        free(view->ranges);
        free(view);
    }
}

static bool flat_view_equal(const FlatView *a, const FlatView *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const FlatRange *x = &a->ranges[i], *y = &b->ranges[i];
        if (x->first != y->first || x->last != y->last || x->region != y->region || x->offset != y->offset ||
            x->host != y->host || x->writable != y->writable) {
            return false;
        }
    }
    return true;
}

/* Reading and publishing. */

static ViewStripe *own_stripe(MemoryMap *map)
{
    uintptr_t self = (uintptr_t)pthread_self(); /* descriptors stand some 4 KiB or more apart */
    return &map->stripes[(self >> 12 ^ self >> 18) % VIEW_STRIPES];
}

bool address_space_lookup(AddressSpace *space, uint64_t address, FlatRange *range)
{
    ViewStripe *stripe = own_stripe(space->map);
    atomic_fetch_add(&stripe->readers, 1);
    const FlatView *view = atomic_load(&space->view);
    size_t i = first_after(view, address);
    bool found = i < view->count && view->ranges[i].first <= address;
    if (found) {
        *range = view->ranges[i];
    } else {
        *range = (FlatRange){ .first = i ? view->ranges[i - 1].last + 1 : 0,
                              .last = i < view->count ? view->ranges[i].first - 1 : UINT64_MAX };
    }
    atomic_fetch_sub_explicit(&stripe->readers, 1, memory_order_release);
    return found;
}

/* Whoever reads the view that was just replaced has left when each counter was once seen at zero. */
static void wait_for_readers(MemoryMap *map)
{
    for (unsigned i = 0; i < VIEW_STRIPES; i++) {
        while (atomic_load(&map->stripes[i].readers)) {
            sched_yield();
        }
    }
}

static bool refresh(AddressSpace *space)
{
    FlatView *old = atomic_load(&space->view);
    FlatView *new = flat_view_new(space->root);
    new->generation = old ? old->generation + 1 : 1;
    if (old && flat_view_equal(old, new)) {
        flat_view_free(new);
        return false;
    }
    atomic_store(&space->view, new);
    wait_for_readers(space->map);
    flat_view_free(old);
    return old != NULL;
}

static void show_changes(MemoryMap *map)
{
    bool changed = false;
    map->changed = false;
    for (size_t i = 0; i < map->machine->spaces.count; i++) {
        changed |= refresh(map->machine->spaces.items[i]);
    }
    if (changed && map->machine->cpu_group) {
        cpu_group_tlb_flush(map->machine->cpu_group);
    }
}

void memory_map_changed(MemoryMap *map)
{
    map->changed = true;
    if (!map->depth) {
        show_changes(map);
    }
}

void memory_begin(Machine *machine)
{
    MemoryMap *map = machine->map;
    mutex_lock(&map->lock);
    map->depth++;
    mutex_unlock(&map->lock);
}

void memory_commit(Machine *machine)
{
    MemoryMap *map = machine->map;
    mutex_lock(&map->lock);
    assert(map->depth);
    if (!--map->depth && map->changed) {
        show_changes(map);
    }
    mutex_unlock(&map->lock);
}

MemoryMap *memory_map_new(Machine *machine)
{
    MemoryMap *map = aligned_alloc(_Alignof(MemoryMap), sizeof *map);
    if (!map) {
        abort();
    }
    memset(map, 0, sizeof *map);
    map->machine = machine;
    mutex_init(&map->lock);
    return map;
}

void memory_map_free(MemoryMap *map)
{
    assert(!map->machine->spaces.count);
    vec_free(&map->machine->spaces);
    mutex_destroy(&map->lock);
    free(map);
}

AddressSpace *address_space_new(Machine *machine, const char *name, Region *root)
{
    AddressSpace *space = NEW(AddressSpace);
    space->map = machine->map;
    space->name = string_copy(name);
    space->root = root;
    object_ref(&root->object);
    mutex_lock(&space->map->lock);
    vec_push(&machine->spaces, space);
    refresh(space);
    mutex_unlock(&space->map->lock);
    return space;
}

/* No look-up is under way. */
void address_space_free(AddressSpace *space)
{
    if (!space) {
        return;
    }
    Machine *machine = space->map->machine;
    mutex_lock(&space->map->lock);
    for (size_t i = 0; i < machine->spaces.count; i++) {
        if (machine->spaces.items[i] == space) {
            vec_remove(&machine->spaces, i);
        }
    }
    mutex_unlock(&space->map->lock);
    flat_view_free(atomic_load(&space->view));
    object_unref(&space->root->object);
    free(space->name);
    free(space);
}

uint64_t address_space_generation(const AddressSpace *space)
{
    mutex_lock(&space->map->lock);
    uint64_t generation = atomic_load(&space->view)->generation;
    mutex_unlock(&space->map->lock);
    return generation;
}
