/*
 * Memory backends: "memory-backend-ram", "memory-backend-file" and "memory-backend-memfd". Left out are binding to NUMA
 * nodes (host-nodes, policy), threads for preallocation, pmem, alignment and seals.
 */
#include "core/backend.h"

#include "api/type.h"
#include "base/error.h"
#include "base/host/host.h"
#include "core/machine_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void advise(const RamBlock *block, bool merge, bool dump)
{
    uint64_t size = align_up(block->size, host_page_size());
    host_memory_advise(block->host, size, merge ? HOST_MEMORY_MERGE : HOST_MEMORY_NO_MERGE);
    host_memory_advise(block->host, size, dump ? HOST_MEMORY_DUMP : HOST_MEMORY_NO_DUMP);
}

static bool make_block(MemoryBackend *backend, RamBacking backing, const char *path, Error **error)
{
    const Object *object = &backend->object;
    const Machine *machine = object->data;
    const char *name = object->name ? object->name : object->class->name;
    RamOptions options = { .backing = backing, .shared = backend->share, .huge_pages = backend->huge_pages,
                           .prealloc = backend->prealloc, .read_only = backend->read_only,
                           .no_reserve = !backend->reserve, .files = machine ? machine->files : NULL, .path = path,
                           .offset = backend->offset };
    if (!backend->size) {
        return error_set(error, "%s '%s': a size is needed", object->class->name, name);
    }
    if (backend->prealloc && !backend->reserve) {
        return error_set(error, "%s '%s': 'prealloc=on' and 'reserve=off' are incompatible", object->class->name, name);
    }
    backend->block = ram_block_new(name, backend->size, &options, error);
    if (!backend->block) {
        return error_prepend(error, "%s '%s': ", object->class->name, name);
    }
    advise(backend->block, backend->merge, backend->dump);
    return true;
}

static void backend_finalize(Object *object) { ram_block_unref(((MemoryBackend *)object)->block); }

static bool backend_can_delete(Object *object, Error **error)
{
    if (((MemoryBackend *)object)->used) {
        return error_set(error, "object '%s' is in use, can not be deleted", object->name);
    }
    return true;
}

static const Property backend_properties[] = {
    PROP("size", type_size, MemoryBackend, size, NULL, "how much there is"),
    PROP("share", type_bool, MemoryBackend, share, "off", "what the guest writes is seen by others that map it"),
    PROP("prealloc", type_bool, MemoryBackend, prealloc, "off", "take it all from the host at once"),
    PROP("merge", type_bool, MemoryBackend, merge, "on", "let the host share equal pages"),
    PROP("dump", type_bool, MemoryBackend, dump, "on", "put it into a core dump of the emulator"),
    PROP("reserve", type_bool, MemoryBackend, reserve, "on", "have the host set swap space aside for it"),
    PROP_END,
};

const Class memory_backend_class = {
    .name = "memory-backend",
    .parent = &object_class,
    .description = "Memory for a machine",
    .size = sizeof(MemoryBackend),
    .abstract = true,
    .properties = backend_properties,
    .finalize = backend_finalize,
    .can_delete = backend_can_delete,
};

static bool ram_complete(Object *object, Error **error)
{
    return make_block((MemoryBackend *)object, RAM_ANONYMOUS, NULL, error);
}

const Class memory_backend_ram_class = {
    .name = "memory-backend-ram",
    .parent = &memory_backend_class,
    .description = "Anonymous memory",
    .user_creatable = true,
    .complete = ram_complete,
};

static const Property memfd_properties[] = {
    PROP("share", type_bool, MemoryBackend, share, "on", "what the guest writes is seen by others that map it"),
    PROP("hugetlb", type_bool, MemoryBackend, huge_pages, "off", "use the host's huge pages"),
    PROP_END,
};

static bool memfd_complete(Object *object, Error **error)
{
    return make_block((MemoryBackend *)object, RAM_MEMFD, NULL, error);
}

const Class memory_backend_memfd_class = {
    .name = "memory-backend-memfd",
    .parent = &memory_backend_class,
    .description = "Memory in a file without a name, which other processes can be handed",
    .user_creatable = true,
    .properties = memfd_properties,
    .complete = memfd_complete,
};

static const Property file_properties[] = {
    PROP("mem-path", type_string, MemoryBackend, path, NULL, "the file, or the directory for one without a name"),
    PROP("offset", type_size, MemoryBackend, offset, "0", "where in the file it begins"),
    PROP("readonly", type_bool, MemoryBackend, read_only, "off", "open the file for reading alone: the guest has ROM"),
    PROP_END,
};

static bool file_complete(Object *object, Error **error)
{
    MemoryBackend *backend = (MemoryBackend *)object;
    if (!backend->path) {
        return error_set(error, "memory-backend-file '%s': a mem-path is needed", object->name ? object->name : "");
    }
    return make_block(backend, RAM_FILE, backend->path, error);
}

const Class memory_backend_file_class = {
    .name = "memory-backend-file",
    .parent = &memory_backend_class,
    .description = "Memory in a file",
    .user_creatable = true,
    .properties = file_properties,
    .complete = file_complete,
};

/* The main RAM. */

static MemoryBackend *find_backend(Machine *machine, const char *id, Error **error)
{
    Object *object = *id == '/' ? object_resolve(machine->root, id, NULL)
                                : object_child(object_container(machine->root, "objects"), id);
    if (!object || !object_is(object, &memory_backend_class) || !((MemoryBackend *)object)->block) {
        error_set(error, "there is no memory backend '%s'", id);
        error_add_hint(error, "-object memory-backend-ram,id=%s,size=... makes one", id);
        return NULL;
    }
    return (MemoryBackend *)object;
}

static bool use_backend(Machine *machine, const char *id, Error **error)
{
    MemoryBackend *backend = find_backend(machine, id, error);
    if (!backend) {
        return false;
    }
    if (backend->used) {
        return error_set(error, "the memory backend '%s' is used already", id);
    }
    if (machine->options.ram_size && machine->options.ram_size != backend->size) {
        return error_set(error, "the memory backend '%s' has 0x%" PRIx64 " bytes, but -m says 0x%" PRIx64, id,
                         backend->size, machine->options.ram_size);
    }
    backend->used = true;
    machine->options.ram_size = backend->size;
    machine->ram = ram_block_ref(backend->block);
    return true;
}

bool machine_make_ram(Machine *machine, Error **error)
{
    const MachineOptions *options = &machine->options;
    if (options->memory_backend) {
        return use_backend(machine, options->memory_backend, error);
    }
    uint64_t size = options->ram_size ? options->ram_size : machine->class->default_ram;
    machine->options.ram_size = size;
    if (!size) {
        return true;
    }
    const char *id = machine->class->default_ram_id ? machine->class->default_ram_id : "ram";
    machine->ram = ram_block_new(id, size, NULL, error);
    if (!machine->ram) {
        return error_prepend(error, "-m: ");
    }
    advise(machine->ram, machine->mem_merge, machine->dump_guest_core);
    return true;
}
