#include "jit/x64/encoder.h"

#include "base/bytes.h"

#include <string.h>

const X64Encoding x64_encodings[X64_OP_COUNT] = {
#define X64(name, mnemonic, prefix, map, opcode, digit, flags) { mnemonic, prefix, map, opcode, digit, flags },
#include "jit/x64/encodings.def"
#undef X64
};

static void byte(X64Code *code, unsigned value)
{
    *code->at++ = (uint8_t)value;
}

static void word32(X64Code *code, uint32_t value)
{
    store_le32(code->at, value);
    code->at += 4;
}

static void immediate_of(X64Code *code, unsigned size, int64_t value)
{
    if (size == 1) {
        byte(code, (unsigned)value & 0xff);
    } else if (size == 2) {
        store_le16(code->at, (uint16_t)value);
        code->at += 2;
    } else {
        word32(code, (uint32_t)value);
    }
}

static void rip_relative(X64Code *code, unsigned reg, const void *target, unsigned immediate_bytes)
{
    byte(code, reg << 3 | 5);
    const uint8_t *next = x64_here(code) + 4 + immediate_bytes;
    word32(code, (uint32_t)((const uint8_t *)target - next));
}

/* ModRM, SIB and displacement. rsp and r12 as a base need a SIB byte, rbp and r13 a displacement. */
static void modrm(X64Code *code, unsigned reg, X64Operand rm, unsigned immediate_bytes)
{
    reg &= 7;
    if (!rm.memory) {
        byte(code, 0xc0 | reg << 3 | (rm.base & 7));
        return;
    }
    if (rm.target) {
        rip_relative(code, reg, rm.target, immediate_bytes);
        return;
    }
    bool sib = rm.index != X64_NO_REGISTER || rm.base == X64_NO_REGISTER || (rm.base & 7) == RSP;
    unsigned index = rm.index == X64_NO_REGISTER ? 4 : rm.index & 7u;
    unsigned base = rm.base == X64_NO_REGISTER ? 5 : rm.base & 7u;
    unsigned mode = rm.base == X64_NO_REGISTER                 ? 0
                    : rm.displacement == 0 && base != RBP      ? 0
                    : rm.displacement == (int8_t)rm.displacement ? 1
                                                                 : 2;

    byte(code, mode << 6 | reg << 3 | (sib ? 4 : base));
    if (sib) {
        byte(code, (unsigned)rm.scale << 6 | index << 3 | base);
    }
    if (mode == 1) {
        byte(code, (uint8_t)rm.displacement);
    } else if (mode == 2 || rm.base == X64_NO_REGISTER) {
        word32(code, (uint32_t)rm.displacement);
    }
}

/* R, X and B of REX and VEX. */
static unsigned extension_bits(unsigned reg, X64Operand rm)
{
    unsigned bits = reg >> 1 & 4;

    if (rm.memory && rm.index != X64_NO_REGISTER) {
        bits |= rm.index >> 2 & 2;
    }
    if (rm.base != X64_NO_REGISTER) {
        bits |= rm.base >> 3 & 1;
    }
    return bits;
}

static unsigned compressed_prefix(const X64Encoding *e)
{
    return e->prefix == 0x66 ? 1 : e->prefix == 0xf3 ? 2 : e->prefix == 0xf2 ? 3 : 0;
}

static void evex(X64Code *code, const X64Encoding *e, bool w, unsigned reg, unsigned second, X64Operand rm)
{
    assert(!rm.memory);
    byte(code, 0x62);
    byte(code, (extension_bits(reg, rm) ^ 7) << 5 | 1 << 4 | (e->map - 1u));
    byte(code, (unsigned)w << 7 | (~second & 15) << 3 | 1 << 2 | compressed_prefix(e));
    byte(code, 1 << 3);
    byte(code, e->opcode);
}

static void vex(X64Code *code, const X64Encoding *e, bool w, unsigned reg, unsigned second, X64Operand rm)
{
    unsigned bits = extension_bits(reg, rm) ^ 7; /* they stand inverted */
    unsigned last = (~second & 15) << 3 | compressed_prefix(e);

    if (e->map == 2 && !w && (bits & 3) == 3) {
        byte(code, 0xc5);
        byte(code, (bits >> 2) << 7 | last);
    } else {
        byte(code, 0xc4);
        byte(code, bits << 5 | (e->map - 1u));
        byte(code, (unsigned)w << 7 | last);
    }
    byte(code, e->opcode);
}

/* Whether a byte register is one of spl, bpl, sil and dil: they are reached with a REX prefix alone. */
static bool needs_rex(unsigned reg)
{
    return reg >= RSP && reg <= RDI;
}

static void legacy(X64Code *code, const X64Encoding *e, unsigned size, unsigned reg, X64Operand rm)
{
    bool sized = e->flags & (X64_SIZED | X64_WIDE);
    bool w = e->flags & X64_W || (sized && size == 8);
    unsigned rex = (w ? 8u : 0) | extension_bits(reg, rm);
    bool byte_form = e->flags & X64_SIZED && size == 1;

    if ((byte_form && !(e->flags & X64_DIGIT) && needs_rex(reg)) ||
        ((byte_form || e->flags & X64_BYTE_RM) && !rm.memory && needs_rex(rm.base))) {
        rex |= 0x40;
    }
    if (e->prefix) {
        byte(code, e->prefix);
    }
    if (sized && size == 2) {
        byte(code, 0x66);
    }
    if (rex) {
        byte(code, 0x40 | rex);
    }
    if (e->map >= 2) {
        byte(code, 0x0f);
    }
    if (e->map >= 3) {
        byte(code, e->map == 3 ? 0x38 : 0x3a);
    }
    byte(code, byte_form ? e->opcode - 1u : e->opcode);
}

void x64_encode(X64Code *code, X64Op op, unsigned size, unsigned reg, unsigned second, X64Operand rm, int64_t immediate)
{
    const X64Encoding *e = &x64_encodings[op];
    unsigned immediate_bytes = e->flags & X64_IMM8 ? 1 : e->flags & X64_IMM_SIZED ? MIN(size, 4) : 0;

    reg = e->flags & X64_DIGIT ? e->digit : reg & 15;
    if (!rm.memory) {
        rm.base &= 15;
    }
    if (rm.gs) {
        byte(code, 0x65);
    }
    bool w = e->flags & X64_W || size == 8;
    second = e->flags & X64_TWO ? 0 : second;
    if (e->flags & X64_EVEX) {
        evex(code, e, w, reg, second, rm);
    } else if (e->flags & X64_VEX) {
        vex(code, e, w, reg, second, rm);
    } else {
        legacy(code, e, size, reg, rm);
    }
    modrm(code, reg, rm, immediate_bytes);
    if (immediate_bytes) {
        immediate_of(code, immediate_bytes, immediate);
    }
}

enum { ALU_STEP = X64_OR_RM - X64_ADD_RM };

void x64_alu(X64Code *code, X64Alu alu, unsigned size, unsigned reg, X64Operand rm)
{
    x64_encode(code, (X64Op)(X64_ADD_RM + alu * ALU_STEP), size, reg, 0, rm, 0);
}

void x64_alu_store(X64Code *code, X64Alu alu, unsigned size, X64Operand rm, unsigned reg)
{
    x64_encode(code, (X64Op)(X64_ADD_MR + alu * ALU_STEP), size, reg, 0, rm, 0);
}

void x64_alu_immediate(X64Code *code, X64Alu alu, unsigned size, X64Operand rm, int64_t immediate)
{
    bool is_short = size > 1 && immediate == (int8_t)immediate;
    x64_encode(code, (X64Op)((is_short ? X64_ADD_MI8 : X64_ADD_MI) + alu * ALU_STEP), size, 0, 0, rm, immediate);
}

void x64_load_constant(X64Code *code, unsigned reg, uint64_t value)
{
    if (value <= UINT32_MAX) {
        if (reg >= R8) {
            byte(code, 0x41);
        }
        byte(code, 0xb8 | (reg & 7));
        word32(code, (uint32_t)value);
    } else if ((int64_t)value == (int32_t)value) {
        x64_r(code, X64_MOV_MI, 8, reg, (int64_t)value);
    } else {
        byte(code, 0x48 | reg >> 3);
        byte(code, 0xb8 | (reg & 7));
        store_le64(code->at, value);
        code->at += 8;
    }
}

/* Jumps. */

uint8_t *x64_jump_forward(X64Code *code)
{
    byte(code, 0xe9);
    code->at += 4;
    return code->at;
}

uint8_t *x64_branch_forward(X64Code *code, X64Condition condition)
{
    byte(code, 0x0f);
    byte(code, 0x80 | condition);
    code->at += 4;
    return code->at;
}

void x64_land(X64Code *code, uint8_t *place)
{
    store_le32(place - 4, (uint32_t)(code->at - place));
}

uint8_t *x64_branch_short(X64Code *code, X64Condition condition)
{
    byte(code, 0x70 | condition);
    return ++code->at;
}

uint8_t *x64_jump_short(X64Code *code)
{
    byte(code, 0xeb);
    return ++code->at;
}

void x64_land_short(X64Code *code, uint8_t *place)
{
    assert(code->at - place <= INT8_MAX);
    place[-1] = (uint8_t)(code->at - place);
}

static int64_t distance(const X64Code *code, const void *target, unsigned length)
{
    return (const uint8_t *)target - (x64_here(code) + length);
}

void x64_jump(X64Code *code, const void *target)
{
    int64_t near = distance(code, target, 2);

    if (near == (int8_t)near) {
        byte(code, 0xeb);
        byte(code, (uint8_t)near);
    } else {
        byte(code, 0xe9);
        word32(code, (uint32_t)distance(code, target, 4));
    }
}

void x64_branch(X64Code *code, X64Condition condition, const void *target)
{
    int64_t near = distance(code, target, 2);

    if (near == (int8_t)near) {
        byte(code, 0x70 | condition);
        byte(code, (uint8_t)near);
    } else {
        byte(code, 0x0f);
        byte(code, 0x80 | condition);
        word32(code, (uint32_t)distance(code, target, 4));
    }
}

void x64_call(X64Code *code, const void *target)
{
    byte(code, 0xe8);
    word32(code, (uint32_t)distance(code, target, 4));
}

void x64_set(X64Code *code, X64Condition condition, unsigned reg)
{
    if (reg >= RSP) {
        byte(code, 0x40 | reg >> 3);
    }
    byte(code, 0x0f);
    byte(code, 0x90 | condition);
    byte(code, 0xc0 | (reg & 7));
}

void x64_lock(X64Code *code) { byte(code, 0xf0); }
void x64_return(X64Code *code) { byte(code, 0xc3); }

void x64_bswap(X64Code *code, unsigned size, unsigned reg)
{
    unsigned rex = (size == 8 ? 8u : 0) | reg >> 3;

    if (rex) {
        byte(code, 0x40 | rex);
    }
    byte(code, 0x0f);
    byte(code, 0xc8 | (reg & 7));
}

void x64_cmov(X64Code *code, X64Condition condition, unsigned size, unsigned reg, X64Operand rm)
{
    unsigned rex = (size == 8 ? 8u : 0) | extension_bits(reg, rm);

    if (rex) {
        byte(code, 0x40 | rex);
    }
    byte(code, 0x0f);
    byte(code, 0x40 | condition);
    modrm(code, reg, rm, 0);
}
