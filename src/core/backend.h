/* "memory-backend": RAM that the user describes with -object, and the main RAM of a machine. */
#pragma once

#include "core/memory.h"

typedef struct MemoryBackend {
    Object object;
    uint64_t size;
    bool share, prealloc, merge, dump, reserve, huge_pages, read_only;
    char *path;
    uint64_t offset;
    RamBlock *block; /* once complete */
    bool used;       /* by a machine or device: cannot be deleted */
} MemoryBackend;
extern const Class memory_backend_class; /* abstract */
