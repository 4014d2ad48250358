/* info mtree: an address space as the tree of its regions, or as it is flattened; QEMU's layout. */
#include "core/memory_internal.h"

#include "base/strbuf.h"
#include "base/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef VEC(const Region *) RegionList;

static const char *kind_name(const Region *region)
{
    switch (region->kind) {
    case REGION_RAM:
        return "ram";
    case REGION_ROM:
        return "rom";
    case REGION_ROM_DEVICE:
        return region->romd ? "romd" : "i/o";
    case REGION_ALIAS:
        return region->alias ? kind_name(region->alias) : "i/o";
    default:
        return "i/o";
    }
}

/* Without the number that tells it from its siblings. */
static void append_name(const Region *region, StrBuf *buffer)
{
    const char *name = region->object.name ? region->object.name : "";
    strbuf_append_bytes(buffer, name, strcspn(name, "["));
}

static int compare_regions(const void *a, const void *b)
{
    const Region *first = *(const Region *const *)a, *second = *(const Region *const *)b;
    if (first->address != second->address) {
        return first->address < second->address ? -1 : 1;
    }
    return second->priority - first->priority;
}

static void print_region(const Region *region, uint64_t base, unsigned indent, StrBuf *buffer)
{
    uint64_t start = base + region->address;
    strbuf_printf(buffer, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", (int)indent, "", start,
                  start + region->size_minus_1, region->priority, kind_name(region));
    if (region->kind == REGION_ALIAS) {
        strbuf_append(buffer, "alias ");
    }
    append_name(region, buffer);
    if (region->kind == REGION_ALIAS && region->alias) {
        strbuf_append(buffer, " @");
        append_name(region->alias, buffer);
        strbuf_printf(buffer, " %016" PRIx64 "-%016" PRIx64, region->alias_offset,
                      region->alias_offset + region->size_minus_1);
    }
    strbuf_append(buffer, region->enabled ? "\n" : " [disabled]\n");
    RegionList children = { 0 };
    LIST_FOREACH(&region->children, child, const Region, sibling)
    {
        vec_push(&children, child);
    }
    if (children.count) {
        qsort(children.items, children.count, sizeof *children.items, compare_regions);
    }
    for (size_t i = 0; i < children.count; i++) {
        print_region(children.items[i], start, indent + 2, buffer);
    }
    vec_free(&children);
}

static void print_flat(const AddressSpace *space, StrBuf *buffer)
{
    FlatView *view = flat_view_new(space->root);
    strbuf_printf(buffer, "FlatView\n AS \"%s\", root: ", space->name);
    append_name(space->root, buffer);
    strbuf_append(buffer, "\n");
    for (size_t i = 0; i < view->count; i++) {
        const FlatRange *range = &view->ranges[i];
        strbuf_printf(buffer, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", range->first, range->last,
                      range->region->priority, kind_name(range->region));
        append_name(range->region, buffer);
        if (range->offset) {
            strbuf_printf(buffer, " @%016" PRIx64, range->offset);
        }
        strbuf_append(buffer, "\n");
    }
    strbuf_append(buffer, view->count ? "" : "  No rendered FlatView\n");
    flat_view_free(view);
}

void address_space_print(const AddressSpace *space, bool flat, StrBuf *buffer)
{
    MemoryMap *map = space->map;
    mutex_lock(&map->lock);
    if (flat) {
        print_flat(space, buffer);
    } else {
        strbuf_printf(buffer, "address-space: %s\n", space->name);
        print_region(space->root, 0, 2, buffer);
    }
    mutex_unlock(&map->lock);
}
