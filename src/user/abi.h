/*
 * What differs from one guest to another, as one const table: user/<isa>/ has them. The rest of user/ knows guests by
 * this alone.
 */
#pragma once

#include "base/compiler.h"
#include "user/layout.h"

#include <signal.h>

typedef struct Cpu Cpu;
typedef struct Guest Guest;
typedef struct GuestMemory GuestMemory;
typedef struct StrBuf StrBuf;
typedef struct Task Task;

enum { SYSCALL_ARGUMENTS = 6, CORE_REGISTERS = 64 };

/* What an exception of the processor is to its program. */
typedef struct UserException {
    enum { EXCEPTION_SYSCALL, EXCEPTION_SIGNAL } kind;
    int signal, code; /* as in siginfo */
    uint64_t address;
} UserException;

/* What a signal's frame on the guest's stack is made of. */
typedef struct SignalFrame {
    uint64_t stack;          /* below this; the frame may lie on the alternate stack */
    uint64_t handler, flags; /* of sigaction */
    uint64_t restorer;       /* where the guest's ABI has one; else the vDSO's is taken */
    const siginfo_t *info;
    uint64_t mask;           /* to be brought back */
    uint64_t alternate_start, alternate_size;
    int alternate_flags;
} SignalFrame;

typedef struct SyscallNumber {
    uint16_t number, row; /* row: SyscallId */
} SyscallNumber;

typedef struct UserAbi {
    const char *target;    /* "riscv64" */
    const char *machine;   /* uname's */
    const Guest *guest;
    uint8_t word_size;     /* 4 or 8 */
    uint16_t elf_machine;
    uint64_t address_limit, stack_top;
    uint64_t exec_base;    /* where position-independent programs lie */
    const SyscallNumber *syscalls; /* in order of number */
    size_t syscall_count;
    const Layout *layouts;         /* LAYOUT_COUNT */
    const uint8_t *vdso;
    size_t vdso_size;      /* at most a page */
    uint32_t vdso_restorer; /* offset of __vdso_rt_sigreturn */

    /* Exception codes of the guest for accesses to addresses where nothing is: by MmuAccess. */
    uint32_t page_faults[3];

    bool (*accepts)(const uint8_t *elf_header); /* beyond class, byte order and machine: flags */
    /* A new program: user mode, zeroes in all registers but these. */
    void (*start)(Cpu *cpu, uint64_t entry, uint64_t stack);
    /* A copy for a new thread or process: its system call gives 0. `stack` 0: the parent's. */
    void (*start_child)(Cpu *cpu, const Cpu *parent, uint64_t stack, bool set_tls, uint64_t tls);
    void (*exception)(const Cpu *cpu, UserException *exception);
    /* At a system call: its number, registers of arguments; its result. */
    uint64_t (*syscall_number)(const Cpu *cpu);
    void (*syscall_arguments)(const Cpu *cpu, uint64_t *arguments); /* 7: that many words there may be */
    void (*syscall_done)(Cpu *cpu, int64_t result);
    void (*syscall_skip)(Cpu *cpu);    /* the next instruction follows, nothing else changes */
    void (*syscall_restart)(Cpu *cpu); /* after syscall_skip: the same again, with its arguments */
    uint64_t (*stack_pointer)(const Cpu *cpu);
    /* Calls that only this guest has; the arguments are plain words. */
    /* False: the frame cannot be written, and nothing has changed. */
    bool (*push_frame)(Task *task, const SignalFrame *frame);
    /* From the frame that the stack pointer shows. */
    bool (*pop_frame)(Task *task, SignalFrame *frame);
    uint64_t (*hwcap)(const Cpu *cpu);
    /* The instruction that breaks, of so many bytes; NULL: there is none. */
    const uint8_t *(*breakpoint)(uint64_t size);
    /* For dumps of the core: the registers of elf_gregset_t in its order, how many; elf_fpregset_t, its size. */
    unsigned (*core_registers)(const Cpu *cpu, uint64_t registers[CORE_REGISTERS]);
    size_t (*core_float)(const Cpu *cpu, uint8_t *bytes); /* at most 512 */
    const char *platform; /* AT_PLATFORM; may be NULL */
    void (*print_cpuinfo)(const Cpu *cpu, unsigned index, StrBuf *text); /* one processor of /proc/cpuinfo */
} UserAbi;

enum { SYSCALL_WORDS = 7 };

/* Every guest's, by number; ends with NULL. */
extern const UserAbi *const user_abis[];
