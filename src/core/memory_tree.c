/* info mtree: address spaces as trees of regions, and flattened. */
#include "core/memory_internal.h"

#include "base/strbuf.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

/* The name without the number that keeps it apart from its brothers. */
static int name_length(const Region *region)
{
    const char *bracket = strrchr(region->object.name ? region->object.name : "", '[');
    return bracket ? (int)(bracket - region->object.name) : 80;
}

static const char *kind_name(const Region *region)
{
    switch (region->kind) {
    case REGION_RAM:
        return region->ram->read_only ? "rom" : "ram";
    case REGION_ROM:
        return "rom";
    case REGION_ROM_DEVICE:
        return "romd";
    default:
        return "i/o";
    }
}

static void print_region(const Region *region, uint64_t base, unsigned depth, StrBuf *buffer)
{
    uint64_t first = base + region->address;
    const char *name = region->object.name ? region->object.name : "?";
    const char *disabled = region->enabled ? "" : " [disabled]";
    strbuf_printf(buffer, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", (int)(2 * depth), "", first,
                  first + region->size_minus_1, region->priority,
                  region->kind == REGION_ALIAS ? kind_name(region->alias) : kind_name(region));
    if (region->kind == REGION_ALIAS) {
        const Region *target = region->alias;
        strbuf_printf(buffer, "alias %.*s @%.*s %016" PRIx64 "-%016" PRIx64 "%s\n", name_length(region), name,
                      name_length(target), target->object.name ? target->object.name : "?", region->alias_offset,
                      region->alias_offset + region->size_minus_1, disabled);
    } else {
        strbuf_printf(buffer, "%.*s%s\n", name_length(region), name, disabled);
    }
}

/* Children by address; among equal ones the winner first. */
static void print_tree(const Region *region, uint64_t base, unsigned depth, StrBuf *buffer)
{
    print_region(region, base, depth, buffer);
    uint64_t from = 0;
    for (bool more = true; more;) {
        uint64_t lowest = UINT64_MAX;
        more = false;
        for (const ListNode *node = region->children.next; node != &region->children; node = node->next) {
            const Region *child = list_item(node, Region, sibling);
            if (child->address >= from && (!more || child->address < lowest)) {
                lowest = child->address;
                more = true;
            }
        }
        for (const ListNode *node = region->children.next; more && node != &region->children; node = node->next) {
            const Region *child = list_item(node, Region, sibling);
            if (child->address == lowest) {
                print_tree(child, base + region->address, depth + 1, buffer);
            }
        }
        from = lowest + 1;
        more &= from != 0;
    }
}

static void print_flat(const FlatView *view, const AddressSpace *space, StrBuf *buffer)
{
    strbuf_printf(buffer, "FlatView\n AS \"%s\", root: %.*s\n", space->name, name_length(space->root),
                  space->root->object.name ? space->root->object.name : "?");
    for (size_t i = 0; i < view->count; i++) {
        const FlatRange *range = &view->ranges[i];
        const Region *region = range->region;
        strbuf_printf(buffer, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %.*s", range->first, range->last,
                      region->priority, kind_name(region), name_length(region),
                      region->object.name ? region->object.name : "?");
        if (range->offset) {
            strbuf_printf(buffer, " @%016" PRIx64, range->offset);
        }
        strbuf_append_char(buffer, '\n');
    }
}

void address_space_print(const AddressSpace *space, bool flat, StrBuf *buffer)
{
    mutex_lock(&space->map->lock);
    if (flat) {
        print_flat(atomic_load(&((AddressSpace *)space)->view), space, buffer);
    } else {
        strbuf_printf(buffer, "address-space: %s\n", space->name);
        print_tree(space->root, 0, 1, buffer);
    }
    mutex_unlock(&space->map->lock);
}
