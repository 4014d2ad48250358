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

const char *bus_name(const Bus *bus)
{
    return bus == bus->machine->system_bus ? "main-system-bus" : bus->object.name;
}

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

typedef struct NameSearch {
    const char *name;
    Bus *found;
} NameSearch;

static bool match_name(Object *object, void *data)
{
    NameSearch *search = data;
    bool fits = object_is(object, &bus_class) && !strcmp(object->name, search->name);
    search->found = fits ? (Bus *)object : NULL;
    return !fits;
}

static Bus *find_named(Machine *machine, const char *path_or_name, Error **error)
{
    NameSearch search = { path_or_name, NULL };
    if (*path_or_name == '/') {
        Object *object = object_resolve(machine->root, path_or_name, NULL);
        search.found = object && object_is(object, &bus_class) ? (Bus *)object : NULL;
    } else {
        object_each_descendant(&machine->object, match_name, &search);
    }
    if (!search.found) {
        error_set(error, "Bus '%s' not found", path_or_name);
    }
    return search.found;
}

/* A bus itself before those of its devices, and of these the newest first: users' devices find their places as they do
 * with QEMU. */
static Bus *find_fitting(Bus *bus, const char *type, bool *any_full)
{
    if (bus_takes(bus, type)) {
        if (!bus->maximum || bus_device_count(bus) < bus->maximum) {
            return bus;
        }
        *any_full = true;
    }
    for (ListNode *node = bus->devices.previous; node != &bus->devices; node = node->previous) {
        Device *device = list_item(node, Device, sibling);
        for (size_t i = device->buses.count; i-- > 0;) {
            Bus *found = find_fitting(device->buses.items[i], type, any_full);
            if (found) {
                return found;
            }
        }
    }
    return NULL;
}

Bus *machine_find_bus(Machine *machine, const char *path_or_name, const char *type, Error **error)
{
    if (path_or_name) {
        return find_named(machine, path_or_name, error);
    }
    bool any_full = false;
    Bus *found = machine->system_bus ? find_fitting(machine->system_bus, type, &any_full) : NULL;
    if (!found) {
        error_set(error, any_full ? "No '%s' bus has room" : "No '%s' bus found", type);
    }
    return found;
}
