/*
 * A small guest and a machine around it, to test the run loop, the slow paths and the block cache with.
 *
 * Instructions are 4 bytes, little-endian, at any even address: operation, registers b << 4 | a, 16-bit immediate i
 * (signed; c is its low 4 bits). Sixteen 64-bit registers. One exception vector; interrupts come by line 0 or 1 while
 * `status` has TOY_INTERRUPTS. Translation is a table of one entry a page over 4 MiB of addresses.
 */
#pragma once

#include "base/log.h"
#include "cpu/cpu.h"

enum ToyOp {
    TOY_ADDI,  /* a = b + i */
    TOY_ADD,   /* a = b + c */
    TOY_SHL,   /* a = a << 16 | unsigned i */
    TOY_LOAD,  /* a = memory[b + (i >> 4)], of 1 << (i & 3) bytes; i & 4: sign-extended, i & 8: alignment is checked */
    TOY_STORE, /* memory[b + (i >> 4)] = a; likewise */
    TOY_LOADB, /* big-endian */
    TOY_STOREB,
    TOY_BEQ, /* a == b: pc += i * 2 */
    TOY_BNE,
    TOY_JUMP,   /* pc = b + i */
    TOY_CALL,   /* a = pc + 4; pc += i * 2 */
    TOY_AMOADD, /* a = memory[b], memory[b] += c; 64 bits */
    TOY_LR,     /* a = memory[b] */
    TOY_SC,     /* memory[b] = c; a = 0 if it did */
    TOY_SYSTEM, /* i: ToySystem */
    TOY_AMOADD4, /* as AMOADD of 32 bits, misaligned ones too */
    TOY_CAS,     /* 128 bits: memory[b] is compared with (c, c + 1), becomes (c + 2, c + 3), was: (a, a + 1) */
    TOY_LOAD16,  /* (a, a + 1) = memory[b] */
    TOY_OPS,
};
enum ToySystem {
    TOY_HALT,
    TOY_SYSCALL,     /* raises TOY_E_SYSCALL, value r1 */
    TOY_CODE_CHANGED,
    TOY_RETURN,      /* pc = epc; interrupts on if they were */
    TOY_INTERRUPTS_ON,
    TOY_INTERRUPTS_OFF,
    TOY_BREAK,
    TOY_YIELD,
    TOY_FLUSH,       /* all of the TLB */
    TOY_FLUSH_GROUP,
    TOY_READ_CAUSE,  /* r1 = cause, r2 = value, r3 = epc */
    TOY_COUNT,       /* r1 = instructions before this one */
    TOY_POWER_OFF,
    TOY_SUM6,        /* r1 = weighted sum of r1 to r6, by a helper with six arguments */
    TOY_SWITCH_MODE, /* flips `mode`, which translated code depends on: ADDI subtracts then */
    TOY_SYSTEM_COUNT,
};
enum ToyException {
    TOY_E_ILLEGAL = 1,
    TOY_E_FETCH,
    TOY_E_READ,
    TOY_E_WRITE,
    TOY_E_BUS_FETCH,
    TOY_E_BUS_READ,
    TOY_E_BUS_WRITE,
    TOY_E_ALIGN_READ,
    TOY_E_ALIGN_WRITE,
    TOY_E_SYSCALL,
    TOY_E_INTERRUPT = 32, /* + line */
};
enum { TOY_INTERRUPTS = 1, TOY_INTERRUPTS_BEFORE = 2 };

typedef struct ToyState {
    uint64_t r[16], pc;
    uint64_t vector, epc, cause, value, status, mode;
} ToyState;

enum { TOY_PAGES = 1024, TOY_RAM = 1 << 20, TOY_PAGE = 4096 };
#define TOY_IO UINT64_C(0x80000000) /* physical: a page that counts and records accesses; behind it is nothing */
enum {
    TOY_SMALL = 8
}; /* in a page table entry: the page is checked by 16 bytes, the odd ones of which are not there */
enum { TOY_LARGE = 16 }; /* one of a group of 16 pages that are mapped as one */
enum { TOY_GLOBAL = 32 };

typedef struct ToyMachine {
    uint8_t *ram;                         /* physical 0 on, TOY_RAM bytes */
    _Atomic uint64_t pages[TOY_PAGES];    /* physical page | MMU_PERM bits | TOY_SMALL */
    uint64_t io_address[64],
        io_value[64]; /* accesses of the I/O page; bit 63 of the address: a write; << 56: the size */
    _Atomic unsigned io_count;
    _Atomic uint64_t walks, time, deadline; /* walks: of loads and stores */
    uint64_t space; /* whose tables `pages` are now */
    CpuGroup *group;
    Cpu *cpus[8];
    unsigned cpu_count;
    Log *log;
    bool read_only; /* RAM is to be written by the bus: somebody tracks it */
    _Atomic unsigned timer_calls;
} ToyMachine;

extern const Guest toy_guest;

/* Pages are mapped one to one with all permissions. */
ToyMachine *toy_new(unsigned cpus);
/* Of the code cache, where TOY_ENGINE is "code" or "host" in the environment: blocks run through it and the fake host,
 * or as code of this machine. */
extern uint64_t toy_code_bytes;
/* False: by code of this machine that does not count (TOY_ENGINE "host_uncounted") where it need not. */
bool toy_counts(void);
void toy_free(ToyMachine *machine);
static inline ToyState *toy_state(ToyMachine *machine, unsigned index) { return cpu_state(machine->cpus[index]); }

#define TOY(op, a, b, i) ((uint32_t)(op) | (uint32_t)(a) << 8 | (uint32_t)(b) << 12 | (uint32_t)(uint16_t)(i) << 16)
#define TOY_ACCESS(offset, size_bits) ((offset) << 4 | (size_bits))
/* Writes instructions at a physical address. */
void toy_code(ToyMachine *machine, uint64_t address, const uint32_t *code, size_t count);
#define TOY_CODE(machine, address, ...) \
    toy_code(machine, address, (const uint32_t[]){ __VA_ARGS__ }, ARRAY_SIZE(((const uint32_t[]){ __VA_ARGS__ })))
