/* Devices: making, placing, realizing and taking them away. Registers are in register.c, buses in bus.c. */
#include "core/device.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "core/device_internal.h"
#include "core/lock_internal.h"
#include "core/machine.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const DeviceClass *device_class_parent(const DeviceClass *class)
{
    return class == &device_class ? NULL : (const DeviceClass *)class->class.parent;
}

bool device_enter(Device *device) { return device->lock && lock_enter(device->lock) == LOCK_ENTERED; }

/* Life. */

static void device_init(Object *object)
{
    Device *device = (Device *)object;
    device->machine = object->data;
    if (device->machine) {
        device->lock = device_lock_new(device->machine);
        device->own_lock = true;
    }
}

void device_share_lock(Device *device, DeviceLock *lock)
{
    assert(!device->realized);
    if (device->own_lock) {
        device_lock_free(device->lock);
    }
    device->own_lock = false;
    device->lock = lock;
}

static bool realize_classes(Device *device, const DeviceClass *class, Error **error)
{
    const DeviceClass *parent = device_class_parent(class);
    if (parent && !realize_classes(device, parent, error)) {
        return false;
    }
    /* A class that leaves the hook alone may have been filled from its parent's: each runs once. */
    bool own = class->realize && !(parent && parent->realize == class->realize);
    return !own || class->realize(device, error);
}

static void unrealize_classes(Device *device)
{
    for (const DeviceClass *class = device_class_of(device); class; class = device_class_parent(class)) {
        const DeviceClass *parent = device_class_parent(class);
        if (class->unrealize && !(parent && parent->unrealize == class->unrealize)) {
            class->unrealize(device);
        }
    }
}

static bool device_complete(Object *object, Error **error)
{
    Device *device = (Device *)object;
    if (device_class_of(device)->interrupt_controller) {
        lock_set_controller(device->lock);
    }
    AUTO_FREE char *path = object_path(object);
    device->description = string_format("%s (%s)", object->class->name, path ? path : "nowhere");
    device->realized = device_make_banks(device, error) && realize_classes(device, device_class_of(device), error);
    return device->realized;
}

static void leave_bus(Device *device)
{
    if (device->bus) {
        if (device->bus->unplug) {
            device->bus->unplug(device->bus, device);
        }
        list_remove(&device->sibling);
        device->bus = NULL;
    }
}

void device_unrealize(Device *device)
{
    for (size_t i = 0; i < device->buses.count; i++) {
        LIST_FOREACH_SAFE(&device->buses.items[i]->devices, child, Device, sibling)
        {
            object_unparent(&child->object);
        }
    }
    if (device->realized) {
        unrealize_classes(device);
        device->realized = false;
    }
    device_disconnect_irqs(device);
    leave_bus(device);
}

static void device_unparent(Object *object) { device_unrealize((Device *)object); }

static void device_finalize(Object *object)
{
    Device *device = (Device *)object;
    device_disconnect_irqs(device);
    if (device->own_lock) {
        device_lock_free(device->lock);
    }
    vec_free(&device->regions);
    vec_free(&device->buses);
    free(device->bank_views);
    free(device->description);
    free(device->id);
}

enum { FACT_REALIZED, FACT_HOT_PLUGGED, FACT_HOT_PLUGGABLE };

static Json *get_fact(Object *object, const Property *property, Error **error)
{
    const Device *device = (const Device *)object;
    const bool facts[] = {
        [FACT_REALIZED] = device->realized,
        [FACT_HOT_PLUGGED] = device->hotplugged,
        [FACT_HOT_PLUGGABLE] = device_class_of(device)->hot_pluggable,
    };
    return json_bool(facts[property->data]);
}

static Json *get_parent_bus(Object *object, const Property *property, Error **error)
{
    const Device *device = (const Device *)object;
    AUTO_FREE char *path = device->bus ? object_path(&device->bus->object) : NULL;
    return json_string(path ? path : "");
}

static const Property device_properties[] = {
    { .name = "parent_bus", .type = &type_string, .type_name = "link<bus>", .when = PROPERTY_READ_ONLY,
      .get = get_parent_bus },
    { .name = "realized", .type = &type_bool, .when = PROPERTY_READ_ONLY, .data = FACT_REALIZED, .get = get_fact },
    { .name = "hotplugged", .type = &type_bool, .when = PROPERTY_READ_ONLY, .data = FACT_HOT_PLUGGED,
      .get = get_fact },
    { .name = "hotpluggable", .type = &type_bool, .when = PROPERTY_READ_ONLY, .data = FACT_HOT_PLUGGABLE,
      .get = get_fact },
    PROP_END,
};

const DeviceClass device_class = {
    .class = {
        .name = "device",
        .parent = &object_class,
        .description = "The base of all devices",
        .size = sizeof(Device),
        .abstract = true,
        .properties = device_properties,
        .init = device_init,
        .complete = device_complete,
        .unparent = device_unparent,
        .finalize = device_finalize,
    },
    .category = "Misc",
};

const DeviceClass sysbus_device_class = {
    .class = {
        .name = "sys-bus-device",
        .parent = &device_class.class,
        .description = "A device at a fixed place in the machine's memory",
        .abstract = true,
    },
    .bus_type = "System",
};

/* Making. */

Device *device_new(Machine *machine, const char *class_name, const char *id, Error **error)
{
    const Class *class = class_find_user(class_name, &device_class.class, "device", error);
    if (!class) {
        return NULL;
    }
    Device *device = (Device *)object_new(class, machine, &machine->defaults, error);
    if (device) {
        device->id = string_copy(id);
    }
    return device;
}

static bool hang(Device *device, Object *parent, const char *name, Error **error)
{
    if (device->object.parent) {
        return true;
    }
    Object *machine = &device->machine->object;
    if (!parent && device->id) {
        parent = object_container(machine, "peripheral");
        if (object_child(parent, device->id)) {
            return error_set(error, "Duplicate device ID '%s'", device->id);
        }
    }
    parent = parent ? parent : object_container(machine, "unattached");
    name = name ? name : device->id ? device->id : "device[*]";
    return object_add_child(parent, name, &device->object, error);
}

static const char *needed_bus(const Device *device)
{
    const DeviceClass *class = device_class_of(device);
    while (class && !class->bus_type) {
        class = device_class_parent(class);
    }
    return class ? class->bus_type : NULL;
}

static bool enter_bus(Device *device, Bus *bus, Error **error)
{
    const char *type = needed_bus(device), *name = device->object.class->name;
    if (bus && (!type || !bus_takes(bus, type))) {
        return error_set(error, "Device '%s' can't go on %s bus", name, bus->type);
    }
    if (type && !bus) {
        bus = machine_find_bus(device->machine, NULL, type, error);
        if (!bus) {
            return error_prepend(error, "device '%s': ", name);
        }
    }
    if (!bus) {
        return true;
    }
    if (bus->maximum && bus_device_count(bus) >= bus->maximum) {
        return error_set(error, "Bus '%s' is full", bus_name(bus));
    }
    if (device->hotplugged && !bus->hot_pluggable) {
        return error_set(error, "Bus '%s' does not support hotplugging", bus_name(bus));
    }
    if (bus->plug && !bus->plug(bus, device, error)) {
        return false;
    }
    device->bus = bus;
    list_append(&bus->devices, &device->sibling);
    return true;
}

bool device_realize(Device *device, Object *parent, const char *name, Bus *bus, Error **error)
{
    bool part = device->object.parent != NULL;
    bool done = hang(device, parent, name, error) && enter_bus(device, bus, error) &&
                object_complete(&device->object, error);
    if (!done && !part) {
        object_unparent(&device->object);
    }
    if (!part) {
        object_unref(&device->object); /* the tree's stays */
    }
    return done;
}

/* device_add and device_del. */

static bool id_is_well_formed(const char *id)
{
    if (!isalpha((unsigned char)*id)) {
        return false;
    }
    for (; *id; id++) {
        if (!isalnum((unsigned char)*id) && !strchr("-._", *id)) {
            return false;
        }
    }
    return true;
}

static bool check_request(const Json *options, const char *driver, const char *id, Error **error)
{
    if (!driver) {
        return error_set(error, "Parameter 'driver' is missing");
    }
    const Class *class = class_find_user(driver, &device_class.class, "device", error);
    if (!class) {
        return false;
    }
    if (!((const DeviceClass *)class)->user_pluggable) {
        return error_set(error, "Parameter 'driver' expects a pluggable device type; '%s' is part of a machine",
                         driver);
    }
    if (json_get(options, "id") && (!id || !id_is_well_formed(id))) {
        return error_set(error, "Parameter 'id' expects an identifier");
    }
    return true;
}

static bool device_add_parked(Machine *machine, const Json *options, bool texts, Error **error)
{
    static const char *const own_keys[] = { "driver", "id", "bus", NULL };
    const char *driver = json_get_text(options, "driver"), *id = json_get_text(options, "id");
    const char *bus_name = json_get_text(options, "bus");
    Bus *bus = NULL;
    if (bus_name && !(bus = machine_find_bus(machine, bus_name, NULL, error))) {
        return false;
    }
    Device *device = device_new(machine, driver, id, error);
    if (!device) {
        return false;
    }
    device->hotplugged = machine->loaded;
    if (!object_set_all(&device->object, options, texts, own_keys, error)) {
        object_unref(&device->object);
        return false;
    }
    Object *parent = id ? NULL : object_container(&machine->object, "peripheral-anon");
    if (!device_realize(device, parent, NULL, bus, error)) {
        return false;
    }
    if (device->hotplugged) {
        device_start(device);
    }
    return true;
}

bool device_add(Machine *machine, const Json *options, bool texts, Error **error)
{
    if (!check_request(options, json_get_text(options, "driver"), json_get_text(options, "id"), error)) {
        return false;
    }
    machine_park(machine);
    bool done = device_add_parked(machine, options, texts, error);
    machine_unpark(machine);
    return done;
}

static Device *find_device(Machine *machine, const char *id_or_path)
{
    Object *object = NULL;
    if (*id_or_path == '/') {
        object = object_resolve(machine->root, id_or_path, NULL);
    } else {
        object = object_child(object_container(&machine->object, "peripheral"), id_or_path);
    }
    return object && object_is(object, &device_class.class) ? (Device *)object : NULL;
}

static void announce_deleted(Device *device)
{
    AUTO_FREE char *path = object_path(&device->object);
    Json *arguments = json_object();
    if (device->id) {
        json_set(arguments, "device", json_string(device->id));
    }
    json_set(arguments, "path", json_string(path));
    machine_event(device->machine, "DEVICE_DELETED", arguments);
}

bool device_remove(Machine *machine, const char *id_or_path, Error **error)
{
    Device *device = find_device(machine, id_or_path);
    if (!device) {
        return error_set_class(error, ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id_or_path);
    }
    if (device->bus && !device->bus->hot_pluggable) {
        return error_set(error, "Bus '%s' does not support hotplugging", bus_name(device->bus));
    }
    if (!device_class_of(device)->hot_pluggable) {
        return error_set(error, "Device '%s' does not support hotplugging", device->object.class->name);
    }
    machine_park(machine);
    device_unrealize(device);
    announce_deleted(device);
    object_unparent(&device->object);
    machine_unpark(machine);
    return true;
}

/* Facts. */

Log *device_log(const Device *device) { return device->machine->log; }
Trace *device_trace(const Device *device) { return device->machine->trace; }

const char *device_name(const Device *device)
{
    return device->description ? device->description : device->object.class->name;
}

void device_map(Device *device, unsigned bank, uint64_t address)
{
    assert(bank < device->regions.count);
    Region *region = device->regions.items[bank];
    if (bank < ARRAY_SIZE(device->placement.addresses)) {
        device->placement.addresses[bank] = address;
        device->placement.sizes[bank] = region->size_minus_1 + 1;
    }
    region_map(device->machine->memory, address, region, 0);
}

typedef struct EachContext {
    void (*visit)(Device *device, void *context);
    void *context;
} EachContext;

static bool visit_device(Object *object, void *data)
{
    const EachContext *each = data;
    if (object_is(object, &device_class.class) && ((Device *)object)->realized) {
        each->visit((Device *)object, each->context);
    }
    return true;
}

void machine_each_device(Machine *machine, void (*visit)(Device *device, void *context), void *context)
{
    object_each_descendant(&machine->object, visit_device, &(EachContext){ visit, context });
}
