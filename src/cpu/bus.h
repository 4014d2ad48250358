/* What a vCPU needs of the machine around it, given as one table: memory behind physical addresses, time, timers. */
#pragma once

#include "base/compiler.h"

typedef struct Cpu Cpu;
typedef struct MmuResult MmuResult;

typedef enum AccessResult {
    ACCESS_OK,
    ACCESS_DECODE_ERROR, /* nothing answers there */
    ACCESS_DEVICE_ERROR, /* what answers refuses */
    ACCESS_RETRY,        /* not now: the instruction is begun anew */
} AccessResult;

typedef struct BusPage {
    uint8_t *host;  /* of the page's first byte; NULL: I/O */
    bool writable;  /* else writes go through bus->write (ROM, dirty tracking) */
    void *ram;      /* identity of the RAM block, and the page's offset in it: the key of translated code */
    uint64_t ram_offset;
} BusPage;

typedef struct CpuBus {
    /* The page of 1 << page_bits bytes at `physical`. */
    void (*page)(Cpu *cpu, uint64_t physical, unsigned page_bits, BusPage *page);
    AccessResult (*read)(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t *value);
    AccessResult (*write)(Cpu *cpu, uint64_t physical, unsigned size, uint32_t attributes, uint64_t value);
    /* The guest's time in ticks of its timebase (RISC-V's mtime, Arm's counter, x86's TSC). */
    uint64_t (*time)(Cpu *cpu);
    /* guest->timer(cpu, timer) is called on the vCPU's thread once time() reaches `deadline`; UINT64_MAX: never. */
    void (*timer_set)(Cpu *cpu, unsigned timer, uint64_t deadline);
    /* Random bytes for the guest. NULL: the host's. */
    void (*random)(Cpu *cpu, void *bytes, size_t count);
    /* Replaces the guest's own walk where that is not NULL: a user program's addresses are those of its process.
     * `access` is an MmuAccess. False: nothing is there, and unless `probe` an exception is pending. */
    bool (*walk)(Cpu *cpu, uint64_t address, unsigned access, bool probe, MmuResult *result);
} CpuBus;
