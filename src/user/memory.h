/*
 * The address space of a guest program: what is mapped where, as the guest sees it. The mappings themselves are the
 * host's, at `base` plus the guest's address; what is executable to the guest is merely readable to the host.
 *
 * All functions take any guest address and size. Those that return int64_t give a result, or a negative errno value of
 * the host (Linux's numbers are the same for every guest here).
 */
#pragma once

#include "base/compiler.h"
#include "base/thread.h"
#include "base/vec.h"

typedef struct CpuGroup CpuGroup;

enum { GUEST_PAGE_BITS = 12, GUEST_PAGE_SIZE = 1 << GUEST_PAGE_BITS };

typedef enum MemoryKind { MEMORY_PLAIN, MEMORY_HEAP, MEMORY_STACK, MEMORY_VDSO, MEMORY_SHM } MemoryKind;

/* Neighbours that are alike are one range. */
typedef struct MemoryRange {
    uint64_t start, end; /* end is exclusive */
    uint8_t protection;  /* PROT_ bits, as the guest asked for */
    bool shared;
    uint8_t kind;
} MemoryRange;

typedef struct GuestMemory {
    Mutex lock; /* of all that follows `limit` */
    CpuGroup *group;
    uint8_t *base;     /* host address of guest address 0 */
    uint64_t limit;    /* all guest addresses are below */
    bool reserved;     /* the host keeps the whole area for the guest: what is unmapped is reserved again */
    uint64_t minimum;  /* no mapping below is chosen */
    uint64_t map_top;  /* mappings are placed downwards from here */
    uint64_t brk_start, brk_end;
    VEC(MemoryRange) ranges; /* in order of address */
} GuestMemory;

typedef struct Error Error;

/* `base` 0: the host's own addresses. `reserve`: bytes to reserve for the guest, wherever the host has room for them
 * unless `base` says where; 0: none. NULL with an error. */
GuestMemory *memory_new(uint64_t base, uint64_t limit, uint64_t reserve, Error **error);
void memory_free(GuestMemory *memory);

/* The lowest address at which whole size fits, searched downwards from map_top; with the lock held. 0: there is
 * none. */
uint64_t memory_find_free(const GuestMemory *memory, uint64_t size);

/* As the system calls of these names. Offsets are in bytes. */
int64_t memory_map(GuestMemory *memory, uint64_t address, uint64_t size, int protection, int flags, int fd,
                   uint64_t offset);
int64_t memory_unmap(GuestMemory *memory, uint64_t address, uint64_t size);
int64_t memory_protect(GuestMemory *memory, uint64_t address, uint64_t size, int protection);
int64_t memory_remap(GuestMemory *memory, uint64_t address, uint64_t old_size, uint64_t new_size, int flags,
                     uint64_t new_address);
int64_t memory_advise(GuestMemory *memory, uint64_t address, uint64_t size, int advice);
/* remap_file_pages */
int64_t memory_reorder(GuestMemory *memory, uint64_t address, uint64_t size, int protection, uint64_t page, int flags);
uint64_t memory_brk(GuestMemory *memory, uint64_t address);
/* Where the program's data ends. */
void memory_set_brk(GuestMemory *memory, uint64_t address);
int64_t memory_attach(GuestMemory *memory, int shared_memory, uint64_t address, int flags);
int64_t memory_detach(GuestMemory *memory, uint64_t address);
/* Marks what is mapped there, for /proc/self/maps. */
void memory_mark(GuestMemory *memory, uint64_t address, uint64_t size, MemoryKind kind);

/* The range that holds `address`; false: none does. */
bool memory_lookup(GuestMemory *memory, uint64_t address, MemoryRange *range);

/* The first range that ends behind `address`; false: there is none. */
bool memory_next(GuestMemory *memory, uint64_t address, MemoryRange *range);

/* Whether all from `start` up to `end` may be executed, and nothing that may is changed through other mappings or by
 * others. */
bool memory_is_only_code(GuestMemory *memory, uint64_t start, uint64_t end);

/* Whether all of it lies below the limit: nothing of ours does, so that the host may be given the pointer. */
static inline bool memory_contains(const GuestMemory *memory, uint64_t address, uint64_t size)
{
    return address <= memory->limit && size <= memory->limit - address;
}
/* Any address will do: what becomes of it, where it is none of the guest's, may be compared and passed on. */
static inline void *memory_host(const GuestMemory *memory, uint64_t address)
{
    return (void *)((uintptr_t)memory->base + (uintptr_t)address);
}

/* Guarded copies: 0, or -EFAULT where not all of it could be copied. */
int memory_read(const GuestMemory *memory, void *bytes, uint64_t address, size_t size);
int memory_write(const GuestMemory *memory, uint64_t address, const void *bytes, size_t size);
/* A string with its NUL, at most `size` bytes: its length, -EFAULT, or -ENAMETOOLONG. */
int64_t memory_read_string(const GuestMemory *memory, char *text, uint64_t address, size_t size);
/* Words of 4 or 8 bytes. */
int memory_read_word(const GuestMemory *memory, uint64_t address, unsigned size, uint64_t *value);
int memory_write_word(const GuestMemory *memory, uint64_t address, unsigned size, uint64_t value);
