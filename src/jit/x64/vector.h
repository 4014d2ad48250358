/*
 * Encodings of the VEX and EVEX instructions that floating point is made of, and of the few others beside them: after
 * the Intel SDM, volume 2. Registers are numbers from 0 to 15.
 */
#pragma once

#include "base/compiler.h"

/* Where code goes. What does not fit is not written, and `used` counts on. */
typedef struct X64Code {
    uint8_t *bytes;
    uint32_t room, used;
} X64Code;

static inline void x64_byte(X64Code *code, unsigned value)
{
    if (code->used < code->room) {
        code->bytes[code->used] = (uint8_t)value;
    }
    code->used++;
}

static inline void x64_number(X64Code *code, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        x64_byte(code, (unsigned)(value >> 8 * i & 0xff));
    }
}

/* An instruction of the vector unit: prefix (0, 66, F3, F2 as 0 to 3), opcode map (0F, 0F 38, 0F 3A as 1 to 3), W. */
typedef struct X64Vector {
    uint8_t prefix, map, opcode;
    bool wide;
} X64Vector;

/* reg, vvvv (0 where there is none), rm: all registers. */
static inline void x64_vector(X64Code *code, X64Vector v, unsigned reg, unsigned second, unsigned rm)
{
    x64_byte(code, 0xc4);
    x64_byte(code, (reg < 8) << 7 | 1 << 6 | (rm < 8) << 5 | v.map);
    x64_byte(code, (unsigned)v.wide << 7 | (~second & 15) << 3 | v.prefix);
    x64_byte(code, v.opcode);
    x64_byte(code, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void x64_vector_immediate(X64Code *code, X64Vector v, unsigned reg, unsigned second, unsigned rm,
                                        unsigned immediate)
{
    x64_vector(code, v, reg, second, rm);
    x64_byte(code, immediate);
}

/* The same as EVEX, 128 bits, without masks: for what AVX-512 alone has. */
static inline void x64_evex(X64Code *code, X64Vector v, unsigned reg, unsigned second, unsigned rm)
{
    x64_byte(code, 0x62);
    x64_byte(code, (reg < 8) << 7 | 1 << 6 | (rm < 8) << 5 | 1 << 4 | v.map);
    x64_byte(code, (unsigned)v.wide << 7 | (~second & 15) << 3 | 1 << 2 | v.prefix);
    x64_byte(code, 1 << 3);
    x64_byte(code, v.opcode);
    x64_byte(code, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* ---- The few of the integer unit ---- */

/* Opcode with a register (or an extension of the opcode) and a register. */
static inline void x64_integer(X64Code *code, bool wide, unsigned opcode, unsigned reg, unsigned rm)
{
    x64_byte(code, 0x40 | (unsigned)wide << 3 | (reg >= 8) << 2 | (rm >= 8));
    if (opcode > 0xff) {
        x64_byte(code, opcode >> 8);
    }
    x64_byte(code, opcode & 0xff);
    x64_byte(code, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

enum {
    X64_ADD_EXTENSION = 0,
    X64_SUB_EXTENSION = 5,
    X64_COMPARE_EXTENSION = 7,
    X64_MOVE = 0x89, /* rm becomes reg */
    X64_XOR = 0x31,
    X64_TEST = 0x85,
    X64_CMOV = 0x0f40, /* + X64Condition */
    X64_SET = 0x0f90,
};

/* X64_..._EXTENSION with an immediate of 32 bits, sign-extended. */
static inline void x64_immediate(X64Code *code, bool wide, unsigned extension, unsigned rm, int32_t immediate)
{
    bool is_byte = immediate == (int8_t)immediate;

    x64_integer(code, wide, is_byte ? 0x83 : 0x81, extension, rm);
    x64_number(code, (uint32_t)immediate, is_byte ? 1 : 4);
}

/* Flags are kept. */
static inline void x64_move_constant(X64Code *code, unsigned reg, uint64_t value)
{
    bool wide = value >> 32;

    x64_byte(code, 0x40 | (unsigned)wide << 3 | (reg >= 8));
    x64_byte(code, 0xb8 | (reg & 7));
    x64_number(code, value, wide ? 8 : 4);
}

typedef enum X64Condition {
    X64_OVERFLOW = 0,
    X64_BELOW = 2,
    X64_NOT_BELOW = 3,
    X64_EQUAL = 4,
    X64_NOT_EQUAL = 5,
    X64_ABOVE = 7,
    X64_SIGN = 8,
    X64_PARITY = 10,
    X64_NO_PARITY = 11,
} X64Condition;

/* A jump forwards; returns where its end is, for x64_jump_here. */
static inline uint32_t x64_jump_if(X64Code *code, X64Condition condition)
{
    x64_byte(code, 0x0f);
    x64_byte(code, 0x80 | (unsigned)condition);
    x64_number(code, 0, 4);
    return code->used;
}

/* The jump that ends at `from` goes to `to`. */
static inline void x64_jump_to(X64Code *code, uint32_t from, uint32_t to)
{
    if (from <= code->room) {
        X64Code at = { code->bytes, code->room, from - 4 };
        x64_number(&at, (uint32_t)(to - from), 4);
    }
}

static inline void x64_jump_back(X64Code *code, uint32_t to)
{
    x64_byte(code, 0xe9);
    x64_number(code, 0, 4);
    x64_jump_to(code, code->used, to);
}
