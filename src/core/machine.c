/* Machines: making, building and ending them; their properties; -smp and -m. */
#include "core/debugger.h"
#include "core/device_internal.h"
#include "core/lock_internal.h"
#include "core/loop.h"
#include "core/machine_internal.h"
#include "core/memory_internal.h"
#include "schema/board.h"

#include "api/json.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Properties. */

static bool set_smp(Object *object, const Property *property, const Json *value, Error **error)
{
    MachineOptions *options = &((Machine *)object)->options;
    SMPConfiguration smp = { 0 };
    if (!type_from_json(&SMPConfiguration_type, value, &smp, error)) {
        return false;
    }
    options->cpus = (unsigned)smp.cpus;
    options->maximum_cpus = (unsigned)smp.maxcpus;
    options->drawers = (unsigned)smp.drawers;
    options->books = (unsigned)smp.books;
    options->sockets = (unsigned)smp.sockets;
    options->dies = (unsigned)smp.dies;
    options->clusters = (unsigned)smp.clusters;
    options->modules = (unsigned)smp.modules;
    options->cores = (unsigned)smp.cores;
    options->threads = (unsigned)smp.threads;
    return true;
}

static Json *get_smp(Object *object, const Property *property, Error **error)
{
    const MachineOptions *options = &((Machine *)object)->options;
    SMPConfiguration smp = {
        .has_cpus = true, .cpus = options->cpus, .has_maxcpus = true, .maxcpus = options->maximum_cpus,
        .has_sockets = true, .sockets = options->sockets, .has_cores = true, .cores = options->cores,
        .has_threads = true, .threads = options->threads,
    };
    return type_to_json(&SMPConfiguration_type, &smp);
}

static bool set_memory(Object *object, const Property *property, const Json *value, Error **error)
{
    MachineOptions *options = &((Machine *)object)->options;
    MemorySizeConfiguration memory = { 0 };
    if (!type_from_json(&MemorySizeConfiguration_type, value, &memory, error)) {
        return false;
    }
    options->ram_size = memory.has_size ? memory.size : 0;
    options->maximum_ram = memory.has_max_size ? memory.max_size : 0;
    options->ram_slots = memory.has_slots ? (unsigned)memory.slots : 0;
    return true;
}

static Json *get_memory(Object *object, const Property *property, Error **error)
{
    const MachineOptions *options = &((Machine *)object)->options;
    MemorySizeConfiguration memory = {
        .has_size = true, .size = options->ram_size, .has_max_size = true,
        .max_size = MAX(options->maximum_ram, options->ram_size), .has_slots = true, .slots = options->ram_slots,
    };
    return type_to_json(&MemorySizeConfiguration_type, &memory);
}

static bool set_usb(Object *object, const Property *property, const Json *value, Error **error)
{
    return !json_to_bool(value) || error_set(error, "there are no USB controllers: 'usb' can only be off");
}

static Json *get_usb(Object *object, const Property *property, Error **error) { return json_bool(false); }

static const Property machine_properties[] = {
    PROP("kernel", type_string, Machine, options.kernel, NULL, "Linux kernel image file"),
    PROP("initrd", type_string, Machine, options.initrd, NULL, "Linux initial ramdisk file"),
    PROP("append", type_string, Machine, options.append, NULL, "Linux kernel command line"),
    PROP("dtb", type_string, Machine, options.dtb, NULL, "device tree file in place of the machine's own"),
    PROP("dumpdtb", type_string, Machine, options.dumpdtb, NULL, "write the device tree to this file and quit"),
    PROP("dt-compatible", type_string, Machine, dt_compatible, NULL,
         "what a device tree that is made calls the machine"),
    PROP("firmware", type_string, Machine, options.bios, NULL, "firmware image"),
    { .name = "memory-backend", .type = &type_string, .type_name = "link<memory-backend>",
      .offset = offsetof(Machine, options.memory_backend), .description = "object that is the machine's memory" },
    { .name = "smp", .type = &SMPConfiguration_type, .get = get_smp, .set = set_smp, .description = "processors" },
    { .name = "memory", .type = &MemorySizeConfiguration_type, .get = get_memory, .set = set_memory,
      .description = "size of the memory" },
    PROP("dump-guest-core", type_bool, Machine, dump_guest_core, "on", "put guest memory into a core dump"),
    PROP("mem-merge", type_bool, Machine, mem_merge, "on", "let the host share equal pages of guest memory"),
    PROP("graphics", type_bool, Machine, graphics, "on", "firmware may use a screen; off by -nographic"),
    PROP("phandle-start", type_uint32, Machine, phandle_start, "1", "first handle in a device tree that is made"),
    { .name = "usb", .type = &type_bool, .get = get_usb, .set = set_usb, .description = "USB controllers: none yet" },
    PROP_END,
};

const MachineClass machine_class = {
    .class = {
        .name = "machine",
        .parent = &object_class,
        .description = "The base of all machines",
        .size = sizeof(Machine),
        .abstract = true,
        .properties = machine_properties,
    },
};

/* Classes by a user's word. */

static bool class_is_for(const Class *class, const Guest *guest)
{
    if (class->abstract || !class_is(class, &machine_class.class)) {
        return false;
    }
    const char *const *targets = ((const MachineClass *)class)->targets;
    for (; targets && *targets; targets++) {
        if (guest && !strcmp(*targets, guest->target)) {
            return true;
        }
    }
    return !targets || !((const MachineClass *)class)->targets;
}

/* Names and aliases by turns; "" stands for one that is not there. */
static const char *candidate_name(const void *guest, size_t i)
{
    if (i / 2 >= object_class_count) {
        return NULL;
    }
    const Class *class = object_classes[i / 2];
    if (!class_is_for(class, guest)) {
        return "";
    }
    const MachineClass *machine = (const MachineClass *)class;
    const char *name = i & 1 ? machine->alias : machine->name;
    return name ? name : "";
}

const MachineClass *machine_class_find(const char *name, const Guest *guest, Error **error)
{
    const char *candidate;
    for (size_t i = 0; (candidate = candidate_name(guest, i)); i++) {
        if (*candidate && !strcmp(candidate, name)) {
            return (const MachineClass *)object_classes[i / 2];
        }
    }
    AUTO_FREE char *suggestion = text_suggestion(name, candidate_name, guest);
    error_set(error, "unsupported machine type: '%s'%s", name, suggestion);
    error_add_hint(error, "Use -machine help to list supported machines");
    return NULL;
}

const MachineClass *machine_class_default(const Guest *guest)
{
    for (size_t i = 0; i < object_class_count; i++) {
        if (class_is_for(object_classes[i], guest) && ((const MachineClass *)object_classes[i])->is_default) {
            return (const MachineClass *)object_classes[i];
        }
    }
    return NULL;
}

/* Making. */

static void copy_options(Machine *machine, const MachineOptions *options)
{
    static const size_t texts[] = {
        offsetof(MachineOptions, cpu_model), offsetof(MachineOptions, memory_backend), offsetof(MachineOptions, kernel),
        offsetof(MachineOptions, initrd),    offsetof(MachineOptions, append),         offsetof(MachineOptions, dtb),
        offsetof(MachineOptions, bios),      offsetof(MachineOptions, dumpdtb),        offsetof(MachineOptions, name),
        offsetof(MachineOptions, uuid),      offsetof(MachineOptions, firmware_directories),
    };
    MachineOptions defaults = machine->options; /* by -global */
    machine->options = *options;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char **text = (char **)((char *)&machine->options + texts[i]);
        char *fallback = *(char **)((char *)&defaults + texts[i]);
        if (*text) {
            free(fallback);
            *text = string_copy(*text);
        } else {
            *text = fallback;
        }
    }
}

/* The version's rows come first, so that the user's win. */
static PropertyDefaults collect_defaults(const MachineClass *class, const PropertyDefaults *globals, Object *root)
{
    size_t own = class->version_default_count, given = globals ? globals->count : 0;
    PropertyDefaults all = { .items = mem_alloc_array(own + given + 1, sizeof *all.items), .count = own + given,
                             .root = root };
    for (size_t i = 0; i < own; i++) {
        all.items[i] = class->version_defaults[i];
    }
    for (size_t i = 0; i < given; i++) {
        all.items[own + i] = globals->items[i];
    }
    return all;
}

/* Tells the owner of -global which of them were applied so far. */
static void note_globals(Machine *machine)
{
    const PropertyDefaults *globals = machine->options.globals;
    size_t own = machine->class->version_default_count;
    for (size_t i = 0; globals && i < globals->count; i++) {
        globals->items[i].used |= machine->defaults.items[own + i].used;
    }
}

static void make_parts(Machine *machine)
{
    Object *object = &machine->object;
    machine->locks = lock_domain_new();
    machine->map = memory_map_new(machine);
    machine->clocks = clocks_new(machine->loop, machine->options.clock_source);
    machine->cpu_group = cpu_group_new();
    cpu_group_set_engine(machine->cpu_group, &machine->options.engine);
    machine->turns = machine->options.by_turns ? turns_new() : NULL;
    machine->step = NEW(MachineStep);
    parking_init(machine);
    timebase_init(machine);
    object_container(machine->root, "objects");
    object_container(machine->root, "chardevs");
    object_container(machine->root, "backend");
    object_container(object, "peripheral");
    object_container(object, "peripheral-anon");
    object_container(object, "unattached");
    machine->memory = region_new_container(NULL, machine, "system", UINT64_MAX);
    machine->address_space = address_space_new(machine, "memory", machine->memory);
    machine->system_bus = bus_new(&system_bus_class, NULL, machine, "sysbus", NULL);
}

Machine *machine_new(const MachineClass *class, const MachineOptions *options, Loop *loop, Files *files, Log *log,
                     Trace *trace, Error **error)
{
    if (options->clock_source == CLOCK_FROM_INSTRUCTIONS && !options->single_threaded) {
        error_set(error, "time can be taken from instructions only where one thread runs all vCPUs");
        return NULL;
    }
    Object *root = object_new(&container_class, NULL, NULL, NULL);
    PropertyDefaults defaults = collect_defaults(class, options->globals, root);
    Machine *machine = (Machine *)object_new(&class->class, NULL, &defaults, error);
    if (!machine) {
        free(defaults.items);
        object_unref(root);
        return NULL;
    }
    machine->object.data = machine;
    root->data = machine;
    machine->root = root;
    machine->class = class;
    machine->guest = options->guest;
    machine->defaults = defaults;
    machine->loop = loop;
    machine->files = files;
    machine->log = log;
    machine->trace = trace;
    machine->run_state = RUN_STATE_PRELAUNCH;
    copy_options(machine, options);
    atomic_init(&machine->random, options->seed);
    object_add_child(root, "machine", &machine->object, NULL);
    make_parts(machine);
    return machine;
}

static void free_parts(Machine *machine)
{
    while (machine->spaces.count) {
        address_space_free(machine->spaces.items[machine->spaces.count - 1]);
    }
    ram_block_unref(machine->ram);
    irq_lines_drop(machine, NULL);
    clocks_free(machine->clocks);
    cpu_group_free(machine->cpu_group);
    turns_free(machine->turns);
    memory_map_free(machine->map);
    timebase_free(machine);
    parking_free(machine);
    lock_domain_free(machine->locks);
    free(machine->step);
    free(machine->defaults.items);
    free((char *)machine->options.cpu_model);
    free((char *)machine->options.name);
    free((char *)machine->options.uuid);
    free((char *)machine->options.firmware_directories);
    free(machine->reboot_action);
    free(machine->shutdown_action);
    free(machine->panic_action);
    free(machine->watchdog_action);
    vec_free(&machine->vcpus);
    vec_free(&machine->serials);
    vec_free(&machine->boot_order);
    vec_free(&machine->iothreads);
    vec_free(&machine->listeners);
}

void machine_free(Machine *machine)
{
    if (!machine) {
        return;
    }
    Object *root = machine->root;
    debugger_free(machine);
    machine_park(machine); /* for good */
    note_globals(machine);
    machine->events = (MachineEvents){ 0 };
    machine_hold(machine, RESET_POWER_ON); /* requests in flight still want the memory */
    memory_begin(machine); /* nobody looks at the map any more */
    object_unparent(&machine->object);
    object_unref(root); /* objects, chardevs, backends */
    memory_commit(machine);
    loop_drain(machine->loop); /* what still speaks of this machine */
    free_parts(machine);
    object_unref(&machine->object);
}

/* -smp. */

static bool check_level(const char *name, unsigned count, Error **error)
{
    return count <= 1 || error_set(error, "%s > 1 not supported by this machine's CPU topology", name);
}

static bool complete_smp(Machine *machine, Error **error)
{
    MachineOptions *o = &machine->options;
    if (!check_level("drawers", o->drawers, error) || !check_level("books", o->books, error) ||
        !check_level("dies", o->dies, error) || !check_level("clusters", o->clusters, error) ||
        !check_level("modules", o->modules, error)) {
        return false;
    }
    o->drawers = o->books = o->dies = o->clusters = o->modules = 1;
    unsigned wanted = o->maximum_cpus ? o->maximum_cpus : o->cpus;
    uint64_t known = (uint64_t)MAX(o->sockets, 1u) * MAX(o->cores, 1u) * MAX(o->threads, 1u);
    unsigned *open = !o->cores ? &o->cores : !o->sockets ? &o->sockets : &o->threads;
    if (!*open && wanted) {
        *open = MAX((unsigned)(wanted / known), 1u);
    }
    o->sockets = MAX(o->sockets, 1u);
    o->cores = MAX(o->cores, 1u);
    o->threads = MAX(o->threads, 1u);
    uint64_t product = (uint64_t)o->sockets * o->cores * o->threads;
    o->maximum_cpus = wanted ? wanted : product > UINT32_MAX ? UINT32_MAX : (unsigned)product;
    if (product != o->maximum_cpus) {
        return error_set(error,
                         "Invalid CPU topology: product of the hierarchy must match maxcpus: "
                         "sockets (%u) * cores (%u) * threads (%u) != maxcpus (%u)",
                         o->sockets, o->cores, o->threads, o->maximum_cpus);
    }
    o->cpus = o->cpus ? o->cpus : o->maximum_cpus;
    if (o->cpus > o->maximum_cpus) {
        return error_set(error,
                         "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
                         "sockets (%u) * cores (%u) * threads (%u) == maxcpus (%u) < smp_cpus (%u)",
                         o->sockets, o->cores, o->threads, o->maximum_cpus, o->cpus);
    }
    return true;
}

static bool check_cpus(Machine *machine, Error **error)
{
    if (!complete_smp(machine, error)) {
        return false;
    }
    unsigned most = machine->class->maximum_cpus ? machine->class->maximum_cpus : 1;
    if (machine->options.maximum_cpus > most) {
        return error_set(error, "Invalid SMP CPUs %u. The max CPUs supported by machine '%s' is %u",
                         machine->options.maximum_cpus, machine->class->name, most);
    }
    return true;
}

static bool check_memory(const Machine *machine, Error **error)
{
    const MachineOptions *options = &machine->options;
    if (options->maximum_ram && options->maximum_ram < options->ram_size) {
        return error_set(error, "invalid value of maxmem: maximum memory size (0x%" PRIx64 ") must be at least the "
                                "initial memory size (0x%" PRIx64 ")", options->maximum_ram, options->ram_size);
    }
    if (options->ram_slots || options->maximum_ram > options->ram_size) {
        return error_set(error, "-m: memory cannot be plugged into machine '%s' (slots, maxmem)", machine->class->name);
    }
    return true;
}

bool machine_build(Machine *machine, Error **error)
{
    assert(!machine->built);
    if (!check_cpus(machine, error) || !machine_make_ram(machine, error) || !check_memory(machine, error) ||
        !object_complete(&machine->object, error)) {
        return false;
    }
    memory_begin(machine);
    machine->built = !machine->class->build || machine->class->build(machine, error);
    memory_commit(machine);
    note_globals(machine);
    return machine->built;
}

bool machine_start_up(Machine *machine, Error **error)
{
    assert(machine->built && !machine->loaded);
    if (machine->class->load && !machine->class->load(machine, error)) {
        return false;
    }
    note_globals(machine);
    machine->loaded = true;
    machine_reset(machine, RESET_POWER_ON);
    return true;
}
