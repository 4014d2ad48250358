/*
 * A vCPU: registers, TLB, translated blocks, and the run loop. It knows its guest by the Guest table, the machine by
 * the CpuBus table. Whoever runs it is a thread of the machine (core/vcpu.h), of a user program, or a test.
 *
 * A function marked "any thread" may be called from any; all others belong to the thread that runs the vCPU, or to
 * whoever has it parked.
 */
#pragma once

#include "base/list.h"
#include "base/thread.h"
#include "cpu/bus.h"
#include "cpu/guest.h"
#include "jit/exec.h"

typedef struct BlockCache BlockCache;
typedef struct CodeHost CodeHost;
typedef struct CodeVcpu CodeVcpu;
typedef struct CpuGroup CpuGroup;
typedef struct CpuTlb CpuTlb;
typedef struct Log Log;

/* Bits of exec.attention. */
enum {
    CPU_ATTENTION_INTERRUPT = 1, /* a line changed: ask guest->interrupt */
    CPU_ATTENTION_WORK = 2,      /* cpu_post queued something */
    CPU_ATTENTION_STOP = 4,      /* cpu_stop: leave cpu_run */
    CPU_ATTENTION_EXCLUSIVE = 8, /* another vCPU wants to be alone */
    CPU_ATTENTION_TIMER = 16,    /* a deadline of cpu_timer_set may have passed */
    CPU_ATTENTION_DROP = 32,     /* drop translations, or compare code: `drop` says which */
    CPU_ATTENTION_LOG = 64,      /* each block is logged: none runs on to the next by itself */
};

typedef enum CpuExit {
    CPU_EXIT_BUDGET,    /* exec.budget is used up */
    CPU_EXIT_STOPPED,   /* cpu_stop */
    CPU_EXIT_HALTED,    /* waits for an interrupt: cpu_wait, or come back when cpu_has_work */
    CPU_EXIT_EXCEPTION, /* only where cpu->exceptions_exit (user mode): exec.exception says which */
    CPU_EXIT_DEBUG,     /* a breakpoint, watchpoint or step */
} CpuExit;

/* A device that owns processor registers (CSRs, MSRs, system registers) claims their numbers. */
typedef struct CpuRegisterClaim {
    uint32_t first, last; /* the guest's numbering, inclusive */
    bool (*read)(Cpu *cpu, void *owner, uint32_t number, uint64_t *value); /* false: as if it did not exist */
    bool (*write)(Cpu *cpu, void *owner, uint32_t number, uint64_t value);
    void *owner;
} CpuRegisterClaim;

enum { CPU_TIMERS = 4 };

struct Cpu {
    Exec exec; /* first: translated code reaches it from the state pointer */
    const Guest *guest;
    const CpuBus *bus;
    void *bus_data; /* the bus's own */
    void *config;   /* the guest's configuration struct, checked */
    void *guest_data;
    unsigned index; /* 0 .. in its group */
    CpuGroup *group;
    Log *log;
    unsigned block_insns; /* guest instructions in a block, at most */
    BlockCache *blocks;
    CodeVcpu *code; /* NULL: interpreted alone */
    bool limited;   /* cpu_run was given a budget */
    bool counted;   /* the guest has looked at its count: cpu_count */
    bool counts;    /* translated code counts instructions: one of these, or an alarm is set */
    bool halted;          /* waits for an interrupt */
    bool powered_off;     /* PSCI, HSM, SIPI: does not run until cpu_power_on */
    bool exceptions_exit; /* user mode: an exception leaves cpu_run */
    bool single_step;
    bool interprets_next; /* one instruction: its access is made by what knows the address */
    bool holds_interrupts; /* a debugger steps: none is taken */
    bool watches; /* the guest's to set: guest->watch is asked */
    _Atomic uint64_t lines; /* interrupt inputs: bit n is line n */
    _Atomic uint64_t edges; /* lines that rose, for guests that latch pulses: they clear what they have seen */
    Mutex lock;             /* of `work` and waiting */
    Condition wake;
    ListNode work;
    CpuRegisterClaim *claims;
    size_t claim_count;
    uint64_t timer_deadlines[CPU_TIMERS]; /* in ticks of cpu_time; UINT64_MAX: none */
    uint64_t alarm; /* exec.insns at which guest->alarm is called; UINT64_MAX: never */
    CpuTlb *tlb;
    /* of what the TLB holds for the present address space: changes where predictions are wrong */
    uint64_t space_serial;
    uint64_t shared_serial; /* of what all spaces share: likewise */
    bool running;          /* executes guest instructions: an exclusive section waits for it; under the group's lock */
    _Atomic uint32_t runs; /* goes up where cpu_run begins and where it ends: odd within */
    _Atomic uint32_t drop; /* CpuDrop bits asked for by others */
};
enum CpuDrop { CPU_DROP_TLB = 1, CPU_DROP_CODE = 2, CPU_DROP_TARGETS = 4, CPU_DROP_INTERPRETED = 8 };

/* vCPUs that share memory: what an exclusive section holds off. */
CpuGroup *cpu_group_new(void);
void cpu_group_free(CpuGroup *group);

/* How the vCPUs of a group execute; all zeroes: by the interpreter. */
typedef struct CpuEngine {
    const CodeHost *host; /* translates; what it cannot is interpreted. NULL: all is */
    uint64_t code_bytes;  /* of the code cache, its tables included; 0: 256 MiB */
    uint32_t code_flags;  /* CodeFlags that all blocks have: CODE_DIRECT, CODE_BASE, CODE_COUNT_JUMPS */
    unsigned block_insns; /* guest instructions in a block, at most; 0: what is usual */
    bool perf_map, jit_dump; /* tell the host's profiler: cpu/code_profile.h */
    bool gdb;                /* tell the host's debugger: cpu/code_debugger.h */
} CpuEngine;
/* Before the first vCPU is made. All of the group's are of one guest then. */
void cpu_group_set_engine(CpuGroup *group, const CpuEngine *engine);
/* Around fork(2), by a thread whose vCPU, `cpu`, is not in cpu_run: nothing of the group is half changed then. In the
 * child `cpu` is the only one left, and the memory of the others is lost. */
void cpu_group_fork_begin(CpuGroup *group);
void cpu_group_fork_end(CpuGroup *group, Cpu *cpu, bool is_child);
/* The thread of this vCPU was ended by force, wherever it was: none waits for it any more. It may be freed then. */
void cpu_group_abandon(Cpu *cpu);
/* User mode: code in [first, last] of what `ram` (of BusPage) names is gone: each vCPU leaves it before it enters
 * another block. Any thread. */
void cpu_group_drop_code(CpuGroup *group, const void *ram, uint64_t first, uint64_t last);
/* User mode: code in [first, last] of `ram` may have changed, for all threads. It is compared before this returns: by
 * then translations of what it was are left, or will be before they go backwards or jump. By the thread of `cpu`,
 * which is not in cpu_run. */
void cpu_check_code(Cpu *cpu, const void *ram, uint64_t first, uint64_t last);

/* info jit: false where no code is translated. Any thread, while no vCPU is made or freed. */
bool cpu_group_report_code(CpuGroup *group, StrBuf *out);

/* `config` is copied (guest->config_size bytes, already checked). NULL with an error. The state is as after reset. */
Cpu *cpu_new(const Guest *guest, const void *config, unsigned index, CpuGroup *group, const CpuBus *bus, void *bus_data,
             Log *log, Error **error);
void cpu_free(Cpu *cpu);
void cpu_reset(Cpu *cpu);

/* The guest's register struct: cpu_state(cpu) as RiscvState and so on. */
static inline void *cpu_state(const Cpu *cpu) { return cpu->exec.state; }

/* Runs at most `budget` guest instructions (INT64_MAX: until something else ends it). Taken interrupts and delivered
 * exceptions are no instructions; an exception takes one from the budget all the same. exec.budget is what is left. */
CpuExit cpu_run(Cpu *cpu, int64_t budget);
/* Sleeps until the halted vCPU has work, is to stop, or host_monotonic_ns() reaches `deadline` (INT64_MAX: never). */
void cpu_wait(Cpu *cpu, int64_t deadline);
bool cpu_has_work(Cpu *cpu);

/* Any thread: */
void cpu_stop(Cpu *cpu); /* cpu_run returns CPU_EXIT_STOPPED soon, or at once when it is called next */
void cpu_kick(Cpu *cpu, uint32_t attention);
/* As cpu_stop. Gives cpu->runs: even, and no instruction is executed before cpu_run returns CPU_EXIT_STOPPED; odd, and
 * the vCPU is between two instructions once cpu->runs is another. */
uint32_t cpu_stop_counted(Cpu *cpu);
/* Runs `function` on the vCPU's thread at an instruction boundary. */
void cpu_post(Cpu *cpu, void (*function)(Cpu *cpu, void *data), void *data);
void cpu_line_set(Cpu *cpu, unsigned line, bool level);

/* For guests' helpers. cpu_raise records the exception; the first one of an instruction counts. */
void cpu_raise(Cpu *cpu, uint32_t code, uint64_t value);
void cpu_raise_more(Cpu *cpu, uint32_t code, uint64_t value, uint64_t more);
/* Guest memory by virtual address under MMU mode of `op`, as an instruction would: false, an exception is pending. */
bool cpu_load(Cpu *cpu, uint64_t address, MemOp op, uint64_t *value);
bool cpu_store(Cpu *cpu, uint64_t address, MemOp op, uint64_t value);
/* Physical memory, for page walks: false on a bus error. Atomically, where `expected` is compared first: `*expected`
 * becomes what was there. */
bool cpu_physical_load(Cpu *cpu, uint64_t physical, unsigned size, uint64_t *value);
bool cpu_physical_cas(Cpu *cpu, uint64_t physical, unsigned size, uint64_t *expected, uint64_t value);
/* Virtual memory as a debugger sees it, in the MMU mode of fetches: no side effects, no exceptions; false where nothing
 * is mapped, or a device. Writing drops code translated from it. */
bool cpu_debug_read(Cpu *cpu, uint64_t address, void *bytes, size_t count);
bool cpu_debug_write(Cpu *cpu, uint64_t address, const void *bytes, size_t count);
bool cpu_debug_translate(Cpu *cpu, uint64_t address, uint64_t *physical);

/* Which translations of addresses are dropped. */
typedef struct TlbScope {
    uint32_t modes;           /* bit n: MMU mode n */
    bool one_page;            /* that of `address` alone, however large it is */
    bool one_space;           /* those of address spaces that agree with `space` where `space_mask` has bits; not global
                               * ones */
    uint64_t address, space, space_mask;
} TlbScope;
void cpu_tlb_drop(Cpu *cpu, const TlbScope *scope);
void cpu_tlb_flush(Cpu *cpu, uint32_t modes); /* of all spaces */
void cpu_tlb_flush_page(Cpu *cpu, uint64_t address, uint32_t modes);
/* The guest's address space may be another one: guest->space says which. Translations of the one before are kept, for
 * when it comes back. An instruction that calls this has to end its block. */
void cpu_tlb_select(Cpu *cpu);

/* How often; for monitors. */
typedef struct CpuTlbCounts {
    _Atomic uint64_t flushes, space_drops, page_drops, switches;
    _Atomic uint64_t walks, large, shared; /* misses: by walks, from a large page's, from another space's */
} CpuTlbCounts;
const CpuTlbCounts *cpu_tlb_counts(const Cpu *cpu);
/* Any thread. Each vCPU of the group drops them before it enters another block; one that does not run, before it runs
 * again. */
void cpu_group_tlb_flush(CpuGroup *group);
/* Code may have changed: every block is compared with memory before it runs again. */
void cpu_code_changed(Cpu *cpu);
void cpu_group_code_changed(CpuGroup *group); /* any thread; as cpu_group_tlb_flush */

/* Runs `body` while no other vCPU of the group executes; also within another exclusive section of the same vCPU.
 * For the thread that runs `cpu`, or has it parked. */
void cpu_exclusive(Cpu *cpu, void (*body)(Cpu *cpu, void *data), void *data);

/* guest->alarm is called once, in front of the instruction that is number `insns` of exec.insns; UINT64_MAX: never. The
 * instruction that calls this has to end its block. Execution counts exactly as long as there is an alarm. */
void cpu_set_alarm(Cpu *cpu, uint64_t insns);

/* For a helper that is about to look at exec.insns, or to set what is derived from it. Until the first such call code
 * may run that does not count; from then on, up to a reset, all does. False: an exception is pending, and the
 * instruction is begun anew; to be called before it has done anything. The helper has to be one that raises. */
bool cpu_count(Cpu *cpu);

uint64_t cpu_time(Cpu *cpu);
void cpu_random(Cpu *cpu, void *bytes, size_t count);
void cpu_timer_set(Cpu *cpu, unsigned timer, uint64_t deadline);

void cpu_claim_registers(Cpu *cpu, const CpuRegisterClaim *claim);
/* False: nobody claimed the number, or the owner refused. */
bool cpu_claimed_read(Cpu *cpu, uint32_t number, uint64_t *value);
bool cpu_claimed_write(Cpu *cpu, uint32_t number, uint64_t value);

/* Power of each vCPU. cpu_power_on: any thread; runs `prepare` on the vCPU's thread after a reset. */
void cpu_power_off(Cpu *cpu);
void cpu_power_on(Cpu *cpu, void (*prepare)(Cpu *cpu, void *data), void *data);

/* For the handler of SIGSEGV and SIGBUS, on the thread of the vCPU, with the handler's third argument: if translated
 * code (CODE_DIRECT) accessed guest memory at *host_address, the guest's exception is pending when this returns true,
 * and the handler is to return. NULL: the host does not say where (x86: addresses that are not canonical); the
 * interpreter makes the access then. False: it was not translated code. Async-signal-safe if bus->walk is. */
bool cpu_host_fault(Cpu *cpu, void *ucontext, const uintptr_t *host_address, MmuAccess access);
