/*
 * Encodings of the VEX and EVEX instructions that floating point is made of, between registers alone, and of the few
 * others beside them: after the Intel SDM, volume 2. Registers are numbers from 0 to 15.
 */
#pragma once

#include "base/compiler.h"

/* Where code goes. What does not fit is not written, and `used` counts on. */
typedef struct VectorCode {
    uint8_t *bytes;
    uint32_t room, used;
} VectorCode;

static inline void vector_byte(VectorCode *code, unsigned value)
{
    if (code->used < code->room) {
        code->bytes[code->used] = (uint8_t)value;
    }
    code->used++;
}

static inline void vector_number(VectorCode *code, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        vector_byte(code, (unsigned)(value >> 8 * i & 0xff));
    }
}

/* An instruction of the vector unit: prefix (0, 66, F3, F2 as 0 to 3), opcode map (0F, 0F 38, 0F 3A as 1 to 3), W. */
typedef struct VectorEncoding {
    uint8_t prefix, map, opcode;
    bool wide;
} VectorEncoding;

/* reg, vvvv (0 where there is none), rm: all registers. */
static inline void vector_emit(VectorCode *code, VectorEncoding v, unsigned reg, unsigned second, unsigned rm)
{
    vector_byte(code, 0xc4);
    vector_byte(code, (reg < 8) << 7 | 1 << 6 | (rm < 8) << 5 | v.map);
    vector_byte(code, (unsigned)v.wide << 7 | (~second & 15) << 3 | v.prefix);
    vector_byte(code, v.opcode);
    vector_byte(code, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void vector_emit_immediate(VectorCode *code, VectorEncoding v, unsigned reg, unsigned second, unsigned rm,
                                        unsigned immediate)
{
    vector_emit(code, v, reg, second, rm);
    vector_byte(code, immediate);
}

/* The same as EVEX, 128 bits, without masks: for what AVX-512 alone has. */
static inline void vector_emit_evex(VectorCode *code, VectorEncoding v, unsigned reg, unsigned second, unsigned rm)
{
    vector_byte(code, 0x62);
    vector_byte(code, (reg < 8) << 7 | 1 << 6 | (rm < 8) << 5 | 1 << 4 | v.map);
    vector_byte(code, (unsigned)v.wide << 7 | (~second & 15) << 3 | 1 << 2 | v.prefix);
    vector_byte(code, 1 << 3);
    vector_byte(code, v.opcode);
    vector_byte(code, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* ---- The few of the integer unit ---- */

/* Opcode with a register (or an extension of the opcode) and a register. */
static inline void vector_integer(VectorCode *code, bool wide, unsigned opcode, unsigned reg, unsigned rm)
{
    vector_byte(code, 0x40 | (unsigned)wide << 3 | (reg >= 8) << 2 | (rm >= 8));
    if (opcode > 0xff) {
        vector_byte(code, opcode >> 8);
    }
    vector_byte(code, opcode & 0xff);
    vector_byte(code, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

enum {
    VECTOR_ADD_EXTENSION = 0,
    VECTOR_SUB_EXTENSION = 5,
    VECTOR_COMPARE_EXTENSION = 7,
    VECTOR_MOVE = 0x89, /* rm becomes reg */
    VECTOR_XOR = 0x31,
    VECTOR_TEST = 0x85,
    VECTOR_CMOV = 0x0f40, /* + VectorCondition */
    VECTOR_SET = 0x0f90,
};

/* VECTOR_..._EXTENSION with an immediate of 32 bits, sign-extended. */
static inline void vector_integer_immediate(VectorCode *code, bool wide, unsigned extension, unsigned rm,
                                            int32_t immediate)
{
    bool is_byte = immediate == (int8_t)immediate;

    vector_integer(code, wide, is_byte ? 0x83 : 0x81, extension, rm);
    vector_number(code, (uint32_t)immediate, is_byte ? 1 : 4);
}

/* Flags are kept. */
static inline void vector_constant(VectorCode *code, unsigned reg, uint64_t value)
{
    bool wide = value >> 32;

    vector_byte(code, 0x40 | (unsigned)wide << 3 | (reg >= 8));
    vector_byte(code, 0xb8 | (reg & 7));
    vector_number(code, value, wide ? 8 : 4);
}

typedef enum VectorCondition {
    VECTOR_OVERFLOW = 0,
    VECTOR_BELOW = 2,
    VECTOR_NOT_BELOW = 3,
    VECTOR_EQUAL = 4,
    VECTOR_NOT_EQUAL = 5,
    VECTOR_ABOVE = 7,
    VECTOR_SIGN = 8,
    VECTOR_PARITY = 10,
    VECTOR_NO_PARITY = 11,
} VectorCondition;

/* A jump forwards; returns where its end is, for vector_jump_here. */
static inline uint32_t vector_jump_if(VectorCode *code, VectorCondition condition)
{
    vector_byte(code, 0x0f);
    vector_byte(code, 0x80 | (unsigned)condition);
    vector_number(code, 0, 4);
    return code->used;
}

/* The jump that ends at `from` goes to `to`. */
static inline void vector_jump_to(VectorCode *code, uint32_t from, uint32_t to)
{
    if (from <= code->room) {
        VectorCode at = { code->bytes, code->room, from - 4 };
        vector_number(&at, (uint32_t)(to - from), 4);
    }
}

static inline void vector_jump_back(VectorCode *code, uint32_t to)
{
    vector_byte(code, 0xe9);
    vector_number(code, 0, 4);
    vector_jump_to(code, code->used, to);
}
