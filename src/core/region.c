/* Regions: the tree that address spaces are flattened from. */
#include "core/memory_internal.h"

#include "base/error.h"
#include "base/vec.h"
#include "core/device.h"
#include "core/machine.h"

#include <stdlib.h>

static void region_init(Object *object)
{
    Region *region = (Region *)object;
    list_init(&region->children);
    region->enabled = true;
    region->romd = true;
    region->machine = object->data;
}

static void region_unparent(Object *object)
{
    Region *region = (Region *)object;
    if (region->container) {
        region_unmap(region);
    }
    while (!list_empty(&region->children)) {
        region_unmap(list_item(region->children.next, Region, sibling));
    }
}

static void region_finalize(Object *object)
{
    Region *region = (Region *)object;
    if (region->ram) {
        ram_block_unref(region->ram);
    }
    if (region->alias) {
        object_unref(&region->alias->object);
    }
}

const Class region_class = {
    .name = "memory-region",
    .parent = &object_class,
    .description = "A part of an address space",
    .size = sizeof(Region),
    .init = region_init,
    .unparent = region_unparent,
    .finalize = region_finalize,
};

static Region *region_new(Object *owner, Machine *machine, const char *name, RegionKind kind, uint64_t size)
{
    assert(size);
    Region *region = (Region *)object_new(&region_class, machine, NULL, NULL);
    region->kind = kind;
    region->size_minus_1 = size == UINT64_MAX ? UINT64_MAX : size - 1;
    Object *parent = owner ? owner : object_container(&machine->object, "unattached");
    char *child_name = string_format("%s[*]", name);
    bool added = object_add_child(parent, child_name, &region->object, NULL);
    assert(added);
    (void)added;
    free(child_name);
    object_unref(&region->object); /* the parent's reference stays */
    return region;
}

Region *region_new_container(Object *owner, Machine *machine, const char *name, uint64_t size)
{
    return region_new(owner, machine, name, REGION_CONTAINER, size);
}

Region *region_new_ram(Object *owner, Machine *machine, const char *name, RamBlock *block, uint64_t offset,
                       uint64_t size, bool rom)
{
    assert(offset <= block->size && size <= block->size - offset);
    Region *region = region_new(owner, machine, name, rom ? REGION_ROM : REGION_RAM, size);
    region->ram = ram_block_ref(block);
    region->ram_offset = offset;
    return region;
}

Region *region_new_io(Object *owner, Machine *machine, const char *name, const RegionOps *ops, void *data,
                      struct DeviceLock *lock, uint64_t size)
{
    Region *region = region_new(owner, machine, name, REGION_IO, size);
    region->ops = ops;
    region->owner = data;
    region->lock = lock;
    return region;
}

Region *region_new_rom_device(Object *owner, Machine *machine, const char *name, RamBlock *block, const RegionOps *ops,
                              void *data, struct DeviceLock *lock)
{
    Region *region = region_new(owner, machine, name, REGION_ROM_DEVICE, block->size);
    region->ram = ram_block_ref(block);
    region->ops = ops;
    region->owner = data;
    region->lock = lock;
    return region;
}

Region *region_new_alias(Object *owner, Machine *machine, const char *name, Region *target, uint64_t offset,
                         uint64_t size)
{
    Region *region = region_new(owner, machine, name, REGION_ALIAS, size);
    region->alias = (Region *)object_ref(&target->object);
    region->alias_offset = offset;
    return region;
}

/* Changes. */

static MemoryMap *lock_map(const Region *region)
{
    MemoryMap *map = region->machine->map;
    mutex_lock(&map->lock);
    return map;
}

/* Children stand in the order in which they win: highest priority first, among equal ones the latest first. */
static void link_child(Region *container, Region *region)
{
    ListNode *position = container->children.next;
    while (position != &container->children && list_item(position, Region, sibling)->priority > region->priority) {
        position = position->next;
    }
    list_insert_before(position, &region->sibling);
}

void region_map(Region *container, uint64_t address, Region *region, int priority)
{
    MemoryMap *map = lock_map(region);
    assert(!region->container);
    region->container = container;
    region->address = address;
    region->priority = priority;
    link_child(container, region);
    memory_map_changed(map);
    mutex_unlock(&map->lock);
}

void region_unmap(Region *region)
{
    MemoryMap *map = lock_map(region);
    if (region->container) {
        list_remove(&region->sibling);
        region->container = NULL;
        memory_map_changed(map);
    }
    mutex_unlock(&map->lock);
}

static void set_flag(Region *region, bool *flag, bool value)
{
    MemoryMap *map = lock_map(region);
    if (*flag != value) {
        *flag = value;
        memory_map_changed(map);
    }
    mutex_unlock(&map->lock);
}

void region_set_enabled(Region *region, bool enabled) { set_flag(region, &region->enabled, enabled); }
void region_set_romd(Region *region, bool romd) { set_flag(region, &region->romd, romd); }

void region_move(Region *region, uint64_t address)
{
    MemoryMap *map = lock_map(region);
    if (region->address != address) {
        region->address = address;
        memory_map_changed(map);
    }
    mutex_unlock(&map->lock);
}
