/*
 * A disk in memory, as the protocol "memory" under names like memory:0x55..., which are the address of a MemoryDisk. It
 * can keep what was done to it, in order: what a disk that loses its power may have done in part.
 */
#pragma once

#include "base/vec.h"

#include <stdio.h>

typedef enum MemoryKind {
    MEMORY_WRITE,
    MEMORY_RESIZE,
    MEMORY_GROW,
    MEMORY_FLUSH_BEGIN,
    MEMORY_FLUSH_END,
} MemoryKind;

typedef struct MemoryEvent {
    MemoryKind kind;
    uint64_t offset, bytes; /* MEMORY_RESIZE: bytes is the new size; MEMORY_GROW: at least */
    uint8_t *data;          /* of a write; NULL: zeroes */
    size_t flush;           /* MEMORY_FLUSH_END: the event that it began with */
    size_t done;            /* how many events there were when it was done; 0: it was not */
} MemoryEvent;

typedef struct MemoryDisk {
    uint8_t *bytes;
    uint64_t size, limit; /* it does not grow above that: ENOSPC */
    bool keeps;
    _Atomic bool busy; /* in a request of one of the threads that share it */
    VEC(MemoryEvent) events;
} MemoryDisk;

char *memory_disk_name(const MemoryDisk *disk); /* the caller's */
void memory_disk_clear(MemoryDisk *disk);
/* What an event did is done to another disk; its parts outside the pieces of `sector` bytes for which `survives` says
 * so are not. */
void memory_disk_apply(MemoryDisk *disk, const MemoryEvent *event, bool (*survives)(void *data), void *data);
