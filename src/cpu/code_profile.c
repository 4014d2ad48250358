/* See code_profile.h. */
#include "cpu/code_profile.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/thread.h"
#include "base/vec.h"
#include "jit/host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DUMP_MAGIC = 0x4a695444, DUMP_VERSION = 1, DUMP_CODE_LOAD = 0, NAME_SIZE = 32, MARK_BYTES = 1 };

typedef struct DumpHeader {
    uint32_t magic, version, total_size, machine, padding, process;
    uint64_t timestamp, flags;
} DumpHeader;

typedef struct DumpCode {
    uint32_t kind, total_size;
    uint64_t timestamp;
    uint32_t process, thread;
    uint64_t address, code_address, code_size, index;
} DumpCode;

struct CodeProfile {
    Mutex lock;
    pid_t process;
    FILE *map, *dump;
    void *mark; /* an executable mapping of the dump: how perf learns of it */
    uint64_t blocks;
};

static FILE *open_for_process(const char *pattern, Error **error)
{
    char name[64];
    snprintf(name, sizeof name, pattern, (int)getpid());
    FILE *file = fopen(name, "w+e");
    if (!file) {
        error_set_errno(error, errno, "cannot create '%s'", name);
    }
    return file;
}

static bool open_map(CodeProfile *profile, Error **error)
{
    profile->map = open_for_process("/tmp/perf-%d.map", error);
    return profile->map;
}

static bool open_dump(CodeProfile *profile, unsigned machine, Error **error)
{
    const DumpHeader header = {
        .magic = DUMP_MAGIC,
        .version = DUMP_VERSION,
        .total_size = sizeof header,
        .machine = machine,
        .process = (uint32_t)profile->process,
        .timestamp = (uint64_t)host_monotonic_ns(),
    };

    profile->dump = open_for_process("jit-%d.dump", error);
    if (!profile->dump) {
        return false;
    }
    fwrite(&header, sizeof header, 1, profile->dump);
    fflush(profile->dump);
    profile->mark = mmap(NULL, MARK_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(profile->dump), 0);
    return profile->mark != MAP_FAILED || error_set_errno(error, errno, "cannot map 'jit-%d.dump'", (int)getpid());
}

CodeProfile *code_profile_new(bool map, bool dump, unsigned machine, Error **error)
{
    CodeProfile *profile = NEW(CodeProfile);

    mutex_init(&profile->lock);
    profile->process = getpid();
    profile->mark = MAP_FAILED;
    if ((map && !open_map(profile, error)) || (dump && !open_dump(profile, machine, error))) {
        code_profile_free(profile);
        return NULL;
    }
    return profile;
}

void code_profile_free(CodeProfile *profile)
{
    if (!profile) {
        return;
    }
    if (profile->mark != MAP_FAILED) {
        munmap(profile->mark, MARK_BYTES);
    }
    if (profile->map) {
        fclose(profile->map);
    }
    if (profile->dump) {
        fclose(profile->dump);
    }
    mutex_destroy(&profile->lock);
    free(profile);
}

static void add_to_dump(CodeProfile *profile, const CodeBlock *block, const char *name)
{
    size_t name_size = strlen(name) + 1;
    const DumpCode record = {
        .kind = DUMP_CODE_LOAD,
        .total_size = (uint32_t)(sizeof record + name_size + block->code_bytes),
        .timestamp = (uint64_t)host_monotonic_ns(),
        .process = (uint32_t)profile->process,
        .thread = (uint32_t)host_thread_id(),
        .address = (uintptr_t)block->code,
        .code_address = (uintptr_t)block->code,
        .code_size = block->code_bytes,
        .index = profile->blocks,
    };

    fwrite(&record, sizeof record, 1, profile->dump);
    fwrite(name, name_size, 1, profile->dump);
    fwrite(block->code, block->code_bytes, 1, profile->dump);
}

void code_profile_add(CodeProfile *profile, const CodeBlock *block)
{
    char name[NAME_SIZE];

    if (getpid() != profile->process) {
        return;
    }
    snprintf(name, sizeof name, "guest-0x%" PRIx64, block->pc);
    mutex_lock(&profile->lock);
    if (profile->map) {
        fprintf(profile->map, "%" PRIxPTR " %" PRIx32 " %s\n", (uintptr_t)block->code, block->code_bytes, name);
    }
    if (profile->dump) {
        add_to_dump(profile, block, name);
    }
    profile->blocks++;
    mutex_unlock(&profile->lock);
}
