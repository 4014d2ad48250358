/*
 * x86-64 instructions as bytes. One function encodes any row of encodings.def: an operation, an operand size, a
 * register and a register-or-memory operand. After Intel's "Software Developer's Manual", volume 2. Prefixes, REX and
 * VEX are chosen here; of EVEX there is no more than 128 bits without masks, between the first 16 registers.
 */
#pragma once

#include "base/compiler.h"

enum {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    X64_XMM0 = 16, /* as host register numbers; encoded modulo 16 */
    X64_NO_REGISTER = 255,
};

/* Bits of X64Encoding.flags. */
enum {
    X64_SIZED = 1,      /* with size 1 the opcode less 1; 2: prefix 66; 8: REX.W */
    X64_WIDE = 2,       /* the same, without a byte form */
    X64_VEX = 4,        /* VEX; size 8 is W; `second` is vvvv */
    X64_IMM8 = 8,
    X64_IMM_SIZED = 16, /* an immediate of the size, at most 4 bytes */
    X64_DIGIT = 32,     /* /0 to /7 in the ModRM byte instead of a register: `digit` */
    X64_BYTE_RM = 64,   /* r/m is a byte register whatever the size says: spl, sil and so on need REX */
    X64_W = 128,        /* W always */
    X64_TWO = 512,      /* VEX or EVEX with two operands: no `second` */
    X64_EVEX = 256,     /* EVEX, else as X64_VEX; registers alone */
};

typedef struct X64Encoding {
    const char *mnemonic;
    uint8_t prefix; /* 0, 0x66, 0xf3 or 0xf2 */
    uint8_t map;    /* 1: one byte; 2: 0F; 3: 0F 38; 4: 0F 3A */
    uint8_t opcode;
    uint8_t digit;
    uint16_t flags;
} X64Encoding;

typedef enum X64Op {
#define X64(name, mnemonic, prefix, map, opcode, digit, flags) X64_##name,
#include "jit/x64/encodings.def"
#undef X64
    X64_OP_COUNT
} X64Op;
extern const X64Encoding x64_encodings[X64_OP_COUNT];

/* Condition codes, as in jcc, setcc and cmovcc. */
typedef enum X64Condition {
    X64_O, X64_NO, X64_B, X64_AE, X64_E, X64_NE, X64_BE, X64_A, X64_S, X64_NS, X64_P, X64_NP, X64_L, X64_GE, X64_LE,
    X64_G
} X64Condition;

/* A register, or memory: at base + index << scale + displacement, or at `target`. */
typedef struct X64Operand {
    bool memory, gs;
    uint8_t base, index, scale; /* of memory; of a register: base */
    int32_t displacement;
    const void *target; /* rip-relative, unless NULL */
} X64Operand;

static inline X64Operand x64_register(unsigned reg) { return (X64Operand){ .base = (uint8_t)reg }; }
static inline X64Operand x64_memory(unsigned base, int64_t displacement)
{
    return (X64Operand){ .memory = true, .base = (uint8_t)base, .index = X64_NO_REGISTER,
                         .displacement = (int32_t)displacement };
}
static inline X64Operand x64_indexed(unsigned base, unsigned index, unsigned scale, int64_t displacement)
{
    return (X64Operand){ .memory = true, .base = (uint8_t)base, .index = (uint8_t)index, .scale = (uint8_t)scale,
                         .displacement = (int32_t)displacement };
}
static inline X64Operand x64_at(const void *target)
{
    return (X64Operand){ .memory = true, .base = X64_NO_REGISTER, .index = X64_NO_REGISTER, .target = target };
}

/* Where code is written, and where it will run. The writer sees to it that there is room: X64_LONGEST for each. */
typedef struct X64Code {
    uint8_t *at, *end;
    ptrdiff_t run; /* what to add to a place in the writable mapping to get where it runs */
} X64Code;
enum { X64_LONGEST = 16 };

static inline const uint8_t *x64_here(const X64Code *code) { return code->at + code->run; }

/* `reg` is ignored with a digit, `second` without VEX, `immediate` where none is taken. */
void x64_encode(X64Code *code, X64Op op, unsigned size, unsigned reg, unsigned second, X64Operand rm,
                int64_t immediate);

static inline void x64_rr(X64Code *code, X64Op op, unsigned size, unsigned reg, unsigned rm)
{
    x64_encode(code, op, size, reg, 0, x64_register(rm), 0);
}
static inline void x64_rm(X64Code *code, X64Op op, unsigned size, unsigned reg, X64Operand rm)
{
    x64_encode(code, op, size, reg, 0, rm, 0);
}
/* With VEX: op reg, second, rm. */
static inline void x64_rrr(X64Code *code, X64Op op, unsigned reg, unsigned second, unsigned rm)
{
    x64_encode(code, op, 4, reg, second, x64_register(rm), 0);
}
static inline void x64_rrm(X64Code *code, X64Op op, unsigned reg, unsigned second, X64Operand rm)
{
    x64_encode(code, op, 4, reg, second, rm, 0);
}
static inline void x64_rrri(X64Code *code, X64Op op, unsigned reg, unsigned second, unsigned rm, int64_t immediate)
{
    x64_encode(code, op, 4, reg, second, x64_register(rm), immediate);
}
/* Without a register: op rm, or op rm, immediate. */
static inline void x64_m(X64Code *code, X64Op op, unsigned size, X64Operand rm, int64_t immediate)
{
    x64_encode(code, op, size, 0, 0, rm, immediate);
}
static inline void x64_r(X64Code *code, X64Op op, unsigned size, unsigned rm, int64_t immediate)
{
    x64_encode(code, op, size, 0, 0, x64_register(rm), immediate);
}

/* The eight operations of one pattern, by X64_ADD_RM + n * X64_ALU_STEP: op reg, rm; op rm, reg; op rm, immediate. */
typedef enum X64Alu { X64_ADD, X64_OR, X64_ADC, X64_SBB, X64_AND, X64_SUB, X64_XOR, X64_CMP } X64Alu;
void x64_alu(X64Code *code, X64Alu alu, unsigned size, unsigned reg, X64Operand rm);
void x64_alu_store(X64Code *code, X64Alu alu, unsigned size, X64Operand rm, unsigned reg);
/* Immediates of 8 bits are short; with size 8 it must fit into 32 bits, sign-extended. */
void x64_alu_immediate(X64Code *code, X64Alu alu, unsigned size, X64Operand rm, int64_t immediate);
/* The shortest way to a constant; flags stay. */
void x64_load_constant(X64Code *code, unsigned reg, uint64_t value);

/* Jumps. A forward one is a place to patch: its 32-bit displacement's end. */
uint8_t *x64_jump_forward(X64Code *code);
uint8_t *x64_branch_forward(X64Code *code, X64Condition condition);
void x64_land(X64Code *code, uint8_t *place);
/* With displacements of 8 bits; what is jumped over must be short. */
uint8_t *x64_branch_short(X64Code *code, X64Condition condition);
uint8_t *x64_jump_short(X64Code *code);
void x64_land_short(X64Code *code, uint8_t *place);
/* To an address in the mapping that runs. */
void x64_jump(X64Code *code, const void *target);
void x64_branch(X64Code *code, X64Condition condition, const void *target);
void x64_call(X64Code *code, const void *target);
void x64_set(X64Code *code, X64Condition condition, unsigned reg);
void x64_lock(X64Code *code); /* the prefix */
void x64_return(X64Code *code);
void x64_bswap(X64Code *code, unsigned size, unsigned reg);
void x64_cmov(X64Code *code, X64Condition condition, unsigned size, unsigned reg, X64Operand rm);
