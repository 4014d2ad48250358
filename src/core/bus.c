/* Buses: what devices plug into. */
#include "core/device_internal.h"

#include "base/error.h"
#include "core/machine.h"

#include <string.h>

static void bus_init(Object *object)
{
    Bus *bus = (Bus *)object;
    bus->type = object->class->name;
    bus->machine = object->data;
    list_init(&bus->devices);
}

/* What is still plugged in stands alone from here on. */
static void bus_unparent(Object *object)
{
    LIST_FOREACH_SAFE(&((Bus *)object)->devices, device, Device, sibling)
    {
        list_remove(&device->sibling);
        device->bus = NULL;
    }
}

const Class bus_class = {
    .name = "bus",
    .parent = &object_class,
    .description = "What devices plug into",
    .size = sizeof(Bus),
    .abstract = true,
    .init = bus_init,
    .unparent = bus_unparent,
};

const Class system_bus_class = {
    .name = "System",
    .parent = &bus_class,
    .description = "The bus of a machine's own devices",
};

unsigned bus_device_count(const Bus *bus)
{
    unsigned count = 0;
    for (const ListNode *node = bus->devices.next; node != &bus->devices; node = node->next) {
        count++;
    }
    return count;
}

bool bus_takes(const Bus *bus, const char *type)
{
    for (const Class *class = bus->object.class; class != &bus_class; class = class->parent) {
        if (!strcmp(class->name, type)) {
            return true;
        }
    }
    return !strcmp(bus->type, type);
}

typedef struct BusCount {
    const Class *class;
    size_t count;
} BusCount;

static bool count_bus(Object *object, void *data)
{
    BusCount *count = data;
    count->count += object->class == count->class;
    return true;
}

/* "ID.N" by its owner's id, the N-th of that owner; else "CLASS.N", the N-th of its class in the machine. */
static char *default_name(const Class *class, const Device *owner, Machine *machine)
{
    if (owner && owner->id) {
        return string_format("%s.%zu", owner->id, owner->buses.count);
    }
    BusCount count = { class, 0 };
    object_each_descendant(&machine->object, count_bus, &count);
    return string_format("%s.%zu", class->name, count.count);
}

Bus *bus_new(const Class *class, Device *owner, Machine *machine, const char *name, Error **error)
{
    Bus *bus = (Bus *)object_new(class, machine, NULL, error);
    if (!bus) {
        return NULL;
    }
    AUTO_FREE char *own_name = NULL;
    if (!name) {
        name = own_name = default_name(class, owner, machine);
    }
    bus->owner = owner;
    Object *parent = owner ? &owner->object : object_container(&machine->object, "unattached");
    bool added = object_add_child(parent, name, &bus->object, error);
    object_unref(&bus->object); /* the parent's reference stays */
    if (!added) {
        return NULL;
    }
    if (owner) {
        vec_push(&owner->buses, bus);
    }
    return bus;
}

typedef struct BusSearch {
    const char *name, *type;
    Bus *found;
    bool any_full;
} BusSearch;

static bool visit_bus(Object *object, void *data)
{
    BusSearch *search = data;
    if (!object_is(object, &bus_class)) {
        return true;
    }
    Bus *bus = (Bus *)object;
    bool fits = search->name ? !strcmp(object->name, search->name) : bus_takes(bus, search->type);
    if (fits && !search->name && bus->maximum && bus_device_count(bus) >= bus->maximum) {
        search->any_full = true;
        fits = false;
    }
    search->found = fits ? bus : NULL;
    return !fits;
}

Bus *machine_find_bus(Machine *machine, const char *path_or_name, const char *type, Error **error)
{
    if (path_or_name && *path_or_name == '/') {
        Object *object = object_resolve(machine->root, path_or_name, NULL);
        if (!object || !object_is(object, &bus_class)) {
            error_set(error, "Bus '%s' not found", path_or_name);
            return NULL;
        }
        return (Bus *)object;
    }
    if (!path_or_name && machine->system_bus && bus_takes(machine->system_bus, type)) {
        return machine->system_bus;
    }
    BusSearch search = { path_or_name, type, NULL, false };
    object_each_descendant(&machine->object, visit_bus, &search);
    if (!search.found && path_or_name) {
        error_set(error, "Bus '%s' not found", path_or_name);
    } else if (!search.found) {
        error_set(error, search.any_full ? "No '%s' bus has room" : "No '%s' bus found", type);
    }
    return search.found;
}
