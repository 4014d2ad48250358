/* Between the files of cpu/. */
#pragma once

#include "base/log.h"
#include "base/vec.h"
#include "cpu/cpu.h"
#include "jit/interp.h"

/* What stands behind one page of a TLB: what the slow paths and the fetch need beyond its TlbEntry. */
typedef struct TlbSource {
    uint64_t physical;   /* of the page's first byte */
    uint8_t *host;       /* NULL: I/O */
    void *ram;           /* as BusPage */
    uint64_t ram_offset;
    uint32_t attributes; /* for the bus */
    bool writable;
    bool shared;    /* the translation is that of all address spaces */
    bool cacheable; /* all of the page is mapped alike; else it holds for `granule` bytes around the address alone */
    uint64_t granule;    /* a power of two */
    uint64_t extent;     /* bytes from the address on up to the next edge */
} TlbSource;

CpuTlb *tlb_new(Cpu *cpu);
void tlb_free(Cpu *cpu);
/* Where the access goes. NULL: an exception is pending. Valid until the next call. */
const TlbSource *tlb_lookup(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mode);

/* The next fetch from each page begins with a walk. */
void tlb_forget_fetches(Cpu *cpu);

/* The slow paths of loads, stores and atomics. */
extern const ExecMemory cpu_memory;
/* No guest's exception: the instruction could not be done now and is begun anew, after a look at the attention word. */
#define CPU_EXCEPTION_RETRY UINT32_MAX
/* Guest RAM that others may change meanwhile: copied by naturally aligned pieces of up to 8 bytes. */
void ram_read(const uint8_t *host, void *bytes, unsigned count);
void ram_write(uint8_t *host, const void *bytes, unsigned count);
/* Either, behind a guard where exec.guarded. False: the host faulted, and nothing has been raised. */
bool cpu_move_ram(Cpu *cpu, uint8_t *host, void *bytes, unsigned count, bool write);
/* Raises what a fault of the host at a host address is to the guest. */
void cpu_raise_host_fault(Cpu *cpu, uintptr_t host_address, MmuAccess access);

/* The group: group.c. A vCPU executes between enter and leave. */
/* False with an error: the group's code cache, made for its first vCPU, cannot be. */
bool group_add(CpuGroup *group, Cpu *cpu, Error **error);
void group_remove(CpuGroup *group, Cpu *cpu);
void group_enter(Cpu *cpu);
void group_leave(Cpu *cpu);

/* Counts that their vCPU alone changes and anybody may read. */
static inline void count_up(_Atomic uint64_t *count)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
}

void cpu_run_work(Cpu *cpu);
void cpu_run_timers(Cpu *cpu);

BlockCache *block_cache_new(void);
void block_cache_free(BlockCache *cache);
void block_cache_clear(Cpu *cpu);
/* The code at the guest's pc, in exec.mode; of one instruction if `single`. Remembers it at exec.link, if that is set,
 * for the exit that led here. NULL: an exception is pending. */
InterpCode *block_find(Cpu *cpu, bool single);
/* Starts a new generation of code. */
void block_cache_code_changed(BlockCache *cache);

enum {
    BLOCK_INSNS = 64,  /* guest instructions in a block, at most and where the engine has no word on it */
    BLOCK_BYTES = 512, /* of code */
};

/* One translation: IR, the bytes it was made from, and the pages they stand on. */
typedef struct Translation {
    IrBlock ir, optimised; /* storage is kept from one to the next */
    uint8_t bytes[BLOCK_BYTES];
    uint32_t available;       /* how many have been fetched */
    TlbSource first, second;  /* where the first byte is; where the first instruction goes on, if it `crosses` */
    bool crosses;
} Translation;
/* From the guest's pc on, in exec.mode, `limit` instructions at most. False: the first one cannot be fetched, and an
 * exception is pending. */
bool translate(Cpu *cpu, Translation *translation, unsigned limit);

static inline bool cpu_log_enabled(const Cpu *cpu, LogItem item) { return cpu->log && log_enabled(cpu->log, item); }
static inline uint64_t cpu_address_mask(const Cpu *cpu) { return mask_bits(cpu->guest->word_bits); }
/* By the guest's tables, or by the process that a user program is. */
static inline bool cpu_walk(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mode, bool probe, MmuResult *result)
{
    return cpu->bus->walk ? cpu->bus->walk(cpu, address, access, probe, result)
                          : cpu->guest->walk(cpu, address, access, mode, probe, result);
}
