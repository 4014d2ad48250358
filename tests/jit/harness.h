/* A guest of registers alone, 16 pages of memory, and ways to run a block on them: interpreter, host code,
 * reference.c. */
#pragma once

#include "fpu/fpu.h"
#include "jit/host.h"
#include "jit/interp.h"

typedef unsigned __int128 U128;

/* FpFlags that every engine raises; the others are of guests that ask for them. */
enum { COMMON_FP_FLAGS = 31 };

typedef struct TestState {
    uint64_t pc, x[8]; /* registers of 64 bits */
    uint32_t w[4];     /* of 32 */
    U128 q[4];
    Float80 t[2];
    uint8_t b[2];
    uint16_t h[2];
    FpContext fp[2];
} TestState;

/* Numbers of registers. w0 and low x0 overlap nothing; x0 has names for its parts. */
enum {
    R_PC,
    R_X0,
    R_W0 = R_X0 + 8,
    R_Q0 = R_W0 + 4,
    R_T0 = R_Q0 + 4,
    R_B0 = R_T0 + 2,
    R_H0 = R_B0 + 2,
    R_X0_LOW = R_H0 + 2, /* the low 32, 16 and 8 bits of x0, and its second byte */
    R_X0_HALF,
    R_X0_BYTE,
    R_X0_BYTE1,
    R_FLAGS, /* fp[0]'s */
    REGISTERS,
};
enum { H_SUM3, H_SUM6, H_RAISE, H_RAISE_IF, H_SWAP, H_COUNT, HELPERS };

enum { TEST_PAGE_BITS = 8, TEST_MEMORY = 4096 };
#define TEST_BASE UINT64_C(0x12345000) /* of memory; every fourth page is read-only, what is around it faults */

/* How floating point is in a mode: that of exec.mode. Blocks of host code are exact in other modes than 0. */
enum { TEST_MODES = 5 };
extern const FpContext test_fp_rules[TEST_MODES];

/* What runs a block. Host code is the interpreter where the host has none. */
typedef enum TestEngine { ENGINE_INTERPRETER, ENGINE_HOST, ENGINE_HOST_COUNTED, ENGINES } TestEngine;

typedef struct TestMachine {
    _Alignas(64) uint8_t scratch[EXEC_SCRATCH];
    TestState state;
    uint64_t padding;
    _Alignas(64) uint8_t memory[TEST_MEMORY];
    Exec exec;
    TlbEntry entries[16];
    ExecJump jumps[EXEC_JUMPS];
    ExecTargets targets;
    ExecReturn returns[EXEC_RETURNS];
    TestEngine engine;
    bool plain_host;      /* without the instructions that only some hosts have, but for floating point's */
    uint8_t *code_memory; /* of host code: half code, half data */
    void *code_common;
    size_t code_used, data_used; /* by what is common */
    size_t data_dirty, code_last; /* behind that, by the last block */
    IrBlock optimised;           /* what was compiled last */
    bool io;             /* atomics are done in exclusive sections */
    unsigned exclusives; /* how many there were */
} TestMachine;

extern const IrGuest test_guest;

enum { E_FAULT_READ = 1, E_FAULT_WRITE, E_ALIGN, E_HELPER };

TestMachine *machine_new(void);
void machine_free(TestMachine *machine);
/* Every page of memory is looked up directly, or none: all accesses take the slow path. */
void machine_map(TestMachine *machine, bool direct);
static inline Cpu *machine_cpu(TestMachine *machine) { return (Cpu *)machine; }
/* Verifies, prepares and runs a block once, with the budget that it needs. */
int machine_run(TestMachine *machine, const IrBlock *block);

/* What machine_compile does the first time: the code that blocks have in common. */
void machine_prepare(TestMachine *machine);
/* A block of host code in the machine's memory, which holds one at a time. */
CompileResult machine_compile(TestMachine *machine, const IrBlock *block, unsigned flags, CodeBlock *code);
/* The same with guards and more as `wanted` has them. */
CompileResult machine_compile_as(TestMachine *machine, const IrBlock *block, unsigned flags, const CodeBlock *wanted,
                                 CodeBlock *code);
/* The last one that was compiled stays, and others are made behind it. */
void machine_keep(TestMachine *machine);
int machine_enter(TestMachine *machine, const CodeBlock *code);

/* The same block, instruction by instruction in plain C. */
int reference_run(TestMachine *machine, const IrBlock *block);
/* An operation of value operands: pure ones, and FP by `fp`. Values are their bits, zero-extended. */
U128 reference_value(const IrInst *inst, const IrType types[3], const U128 values[3], FpContext *fp);
unsigned type_bits(IrType type);

/* Memory as the tests' slow paths see it: bytes and an exception. */
bool memory_read(TestMachine *machine, uint64_t address, unsigned size, uint8_t *bytes);
bool memory_write(TestMachine *machine, uint64_t address, unsigned size, const uint8_t *bytes);

/* xorshift: the same blocks for the same seed. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}
/* Often an edge: near 0, a power of two, the ends. */
uint64_t random_edgy(uint64_t *state);
