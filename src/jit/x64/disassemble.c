/*
 * Host code as text, for -d out_asm: the instructions that encoder.h makes, and no others, read back by encodings.def.
 * Operands are in Intel's order; addresses that are relative to the instruction are shown as what they come to.
 */
#include "jit/x64/disassemble.h"

#include "base/bytes.h"
#include "base/strbuf.h"
#include "jit/host.h"
#include "jit/x64/encoder.h"

#include <inttypes.h>
#include <string.h>

typedef enum Kind { KIND_GENERAL, KIND_VECTOR } Kind;

typedef struct Decoder {
    const uint8_t *at, *end;
    uint64_t address; /* of the instruction */
    const uint8_t *start;
    StrBuf *text;
    bool failed, gs, lock, operand16, vex, evex;
    uint8_t prefix; /* f3, f2, or 66 where VEX has it */
    uint8_t map;
    bool w;
    unsigned r, x, b; /* 8 or 0 */
    unsigned second;
    uint8_t opcode, modrm;
} Decoder;

static const char *const condition_names[] = { "o", "no", "b",  "ae", "e", "ne", "be", "a",
                                               "s", "ns", "p", "np", "l", "ge", "le", "g" };

static uint8_t take(Decoder *d)
{
    if (d->at == d->end) {
        d->failed = true;
        return 0;
    }
    return *d->at++;
}

static int64_t take_signed(Decoder *d, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)take(d) << (i * 8);
    }
    return sign_extend(value, bytes * 8);
}

static uint64_t here(const Decoder *d)
{
    return d->address + (uint64_t)(d->at - d->start);
}

/* Registers. */

static void put_general(Decoder *d, unsigned reg, unsigned size)
{
    static const char *const names[] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };

    if (reg >= 8) {
        strbuf_printf(d->text, "r%u%s", reg, size == 8 ? "" : size == 4 ? "d" : size == 2 ? "w" : "b");
    } else if (size == 1) {
        strbuf_printf(d->text, "%.*sl", reg < 4 ? 1 : 2, names[reg]);
    } else {
        strbuf_printf(d->text, "%s%s", size == 8 ? "r" : size == 4 ? "e" : "", names[reg]);
    }
}

static void put_register(Decoder *d, Kind kind, unsigned reg, unsigned size)
{
    if (kind == KIND_VECTOR) {
        strbuf_printf(d->text, "xmm%u", reg);
    } else {
        put_general(d, reg, size);
    }
}

/* Memory. */

static void put_displacement(Decoder *d, int64_t displacement, bool always)
{
    if (displacement || always) {
        strbuf_printf(d->text, "%c0x%" PRIx64, displacement < 0 ? '-' : '+',
                      (uint64_t)(displacement < 0 ? -displacement : displacement));
    }
}

static void put_memory(Decoder *d, unsigned size, unsigned immediate_bytes)
{
    static const char *const sizes[] = { [1] = "BYTE", [2] = "WORD", [4] = "DWORD", [8] = "QWORD", [16] = "OWORD" };
    unsigned mode = d->modrm >> 6, base = d->modrm & 7, sib = 0;
    bool has_sib = base == 4;

    if (size) {
        strbuf_printf(d->text, "%s PTR ", sizes[size]);
    }
    strbuf_append(d->text, d->gs ? "gs:[" : "[");
    if (mode == 0 && base == 5) {
        int64_t distance = take_signed(d, 4);
        strbuf_printf(d->text, "0x%" PRIx64 "]", here(d) + immediate_bytes + (uint64_t)distance);
        return;
    }
    if (has_sib) {
        sib = take(d);
        base = sib & 7;
    }
    bool no_base = has_sib && mode == 0 && base == 5;
    unsigned index = (sib >> 3 & 7) | d->x;
    bool has_index = has_sib && index != 4;
    if (!no_base) {
        put_general(d, base | d->b, 8);
    }
    if (has_index) {
        strbuf_append(d->text, no_base ? "" : "+");
        put_general(d, index, 8);
        strbuf_printf(d->text, "*%u", 1u << (sib >> 6));
    }
    int64_t displacement = mode == 1 ? take_signed(d, 1) : mode == 2 || no_base ? take_signed(d, 4) : 0;
    put_displacement(d, displacement, mode != 0 || no_base);
    strbuf_append_char(d->text, ']');
}

/* What the operands of a row are. */

typedef struct Row {
    const X64Encoding *encoding;
    X64Op op;
    unsigned size;
} Row;

static const char *const row_names[X64_OP_COUNT] = {
#define X64(name, mnemonic, prefix, map, opcode, digit, flags) [X64_##name] = #name,
#include "jit/x64/encodings.def"
#undef X64
};

static bool is_reversed(X64Op op)
{
    return strstr(row_names[op], "_MR") || op == X64_XCHG || op == X64_XADD || op == X64_CMPXCHG;
}

static bool is_bit_manipulation(X64Op op) { return op >= X64_ANDN && op <= X64_MULX; }
static bool is_vector(X64Op op) { return op >= X64_MOVD_RM; }

static Kind kind_of_register(X64Op op)
{
    bool to_integer = (op >= X64_VCVTTSS2SI && op <= X64_VCVTSD2SI) || (op >= X64_VCVTTSS2USI && op <= X64_VCVTSD2USI);
    return is_vector(op) && !to_integer ? KIND_VECTOR : KIND_GENERAL;
}

static Kind kind_of_rm(X64Op op)
{
    switch (op) {
    case X64_MOVD_RM:
    case X64_MOVD_MR:
    case X64_VMOVD_RM:
    case X64_VMOVD_MR:
    case X64_VCVTSI2SS:
    case X64_VCVTSI2SD:
    case X64_VCVTUSI2SS:
    case X64_VCVTUSI2SD:
    case X64_VPINSRW:
        return KIND_GENERAL;
    default:
        return is_vector(op) ? KIND_VECTOR : KIND_GENERAL;
    }
}

/* Of the register or memory, where it is not that of the rest; 0 where the name says it. */
static unsigned size_of_rm(const Row *row, bool memory)
{
    switch (row->op) {
    case X64_MOVZX_8:
    case X64_MOVSX_8:
        return 1;
    case X64_MOVZX_16:
    case X64_MOVSX_16:
        return 2;
    case X64_MOVSXD:
        return 4;
    case X64_LEA:
        return 0;
    case X64_CMPXCHG16B:
        return 16;
    case X64_VPINSRW:
        return memory ? 2 : 4;
    case X64_LDMXCSR:
    case X64_STMXCSR:
        return 4;
    case X64_PUSH:
    case X64_POP:
    case X64_CALL:
    case X64_JMP:
        return 8;
    default:
        return memory && kind_of_rm(row->op) == KIND_VECTOR ? 0 : row->size;
    }
}

static const char *mnemonic_of(const Row *row, bool w)
{
    switch (row->op) {
    case X64_MOVD_RM:
    case X64_MOVD_MR:
        return w ? "movq" : "movd";
    case X64_VMOVD_RM:
    case X64_VMOVD_MR:
        return w ? "vmovq" : "vmovd";
    default:
        return row->encoding->mnemonic;
    }
}

/* Finding the row. */

static bool prefix_fits(const Decoder *d, const X64Encoding *e)
{
    if (d->vex || d->evex) {
        return e->prefix == d->prefix;
    }
    if (e->prefix == 0x66) {
        return d->operand16 && !d->prefix;
    }
    return e->prefix == d->prefix && (!d->operand16 || e->flags & (X64_SIZED | X64_WIDE));
}

static bool fits(const Decoder *d, const X64Encoding *e)
{
    bool is_byte = e->flags & X64_SIZED && d->opcode + 1 == e->opcode;

    return e->map == d->map && (d->opcode == e->opcode || is_byte) && !!(e->flags & X64_VEX) == d->vex &&
           !!(e->flags & X64_EVEX) == d->evex && prefix_fits(d, e) &&
           (!(e->flags & X64_DIGIT) || e->digit == (d->modrm >> 3 & 7)) && (!(e->flags & X64_W) || d->w);
}

/* The last that fits: of two rows that only W tells apart the one with it comes later. */
static bool find_row(const Decoder *d, Row *row)
{
    row->encoding = NULL;
    for (unsigned op = 0; op < X64_OP_COUNT; op++) {
        const X64Encoding *e = &x64_encodings[op];
        if (fits(d, e)) {
            bool is_byte = e->flags & X64_SIZED && d->opcode != e->opcode;
            bool is_word = e->flags & (X64_SIZED | X64_WIDE) && d->operand16 && e->prefix != 0x66;
            *row = (Row){ e, (X64Op)op, is_byte ? 1 : d->w ? 8 : is_word ? 2 : 4 };
        }
    }
    return row->encoding;
}

/* Operands. */

static void put_rm(Decoder *d, const Row *row, unsigned immediate_bytes)
{
    bool memory = d->modrm < 0xc0;
    unsigned size = size_of_rm(row, memory);

    if (memory) {
        put_memory(d, size, immediate_bytes);
    } else {
        put_register(d, kind_of_rm(row->op), (d->modrm & 7) | d->b, size);
    }
}

static void put_second(Decoder *d, const Row *row)
{
    put_register(d, is_bit_manipulation(row->op) ? KIND_GENERAL : KIND_VECTOR, d->second, row->size);
}

static void put_immediate(Decoder *d, const Row *row, unsigned bytes)
{
    int64_t value = take_signed(d, bytes);
    bool is_wide = row->encoding->flags & X64_SIZED || row->encoding->flags & X64_WIDE;
    bool is_count = row->op >= X64_ROL_I && row->op <= X64_SAR_I;
    uint64_t mask = is_wide && !is_count ? mask_bits(row->size * 8) : UINT8_MAX;

    strbuf_printf(d->text, "0x%" PRIx64, (uint64_t)value & mask);
}

static void comma(Decoder *d) { strbuf_append_char(d->text, ','); }

static void put_operands(Decoder *d, const Row *row)
{
    unsigned flags = row->encoding->flags, reg = (d->modrm >> 3 & 7) | d->r;
    unsigned immediate_bytes = flags & X64_IMM8 ? 1 : flags & X64_IMM_SIZED ? MIN(row->size, 4) : 0;
    bool merged = (row->op >= X64_VMOV_RM_SS && row->op <= X64_VMOV_MR_SD) && d->modrm < 0xc0;
    bool has_second = flags & (X64_VEX | X64_EVEX) && !(flags & X64_TWO) && !merged;
    bool last = row->op == X64_SHLX || row->op == X64_SHRX || row->op == X64_SARX;

    if (flags & X64_DIGIT) {
        put_rm(d, row, immediate_bytes);
    } else if (is_reversed(row->op)) {
        put_rm(d, row, immediate_bytes);
        comma(d);
        if (has_second) {
            put_second(d, row);
            comma(d);
        }
        put_register(d, kind_of_register(row->op), reg, row->size);
    } else {
        put_register(d, kind_of_register(row->op), reg, row->size);
        comma(d);
        if (has_second && !last) {
            put_second(d, row);
            comma(d);
        }
        put_rm(d, row, immediate_bytes);
        if (last) {
            comma(d);
            put_second(d, row);
        }
    }
    if (immediate_bytes) {
        comma(d);
        put_immediate(d, row, immediate_bytes);
    } else if (row->op >= X64_ROL_CL && row->op <= X64_SAR_CL) {
        strbuf_append(d->text, ",cl");
    }
}

/* Instructions that are no rows: the opcode holds a register or a condition, or nothing follows. */
static bool put_other(Decoder *d)
{
    unsigned low = (d->opcode & 7) | d->b, condition = d->opcode & 15;
    unsigned size = d->w ? 8 : 4;

    if (d->map == 1 && (d->opcode & 0xf8) == 0xb8) {
        uint64_t value = (uint64_t)take_signed(d, size);
        strbuf_append(d->text, "mov ");
        put_general(d, low, size);
        strbuf_printf(d->text, ",0x%" PRIx64, value & mask_bits(size * 8));
    } else if (d->map == 1 && (d->opcode == 0xe8 || d->opcode == 0xe9 || d->opcode == 0xeb)) {
        int64_t distance = take_signed(d, d->opcode == 0xeb ? 1 : 4);
        strbuf_printf(d->text, "%s 0x%" PRIx64, d->opcode == 0xe8 ? "call" : "jmp", here(d) + (uint64_t)distance);
    } else if ((d->map == 1 && (d->opcode & 0xf0) == 0x70) || (d->map == 2 && (d->opcode & 0xf0) == 0x80)) {
        int64_t distance = take_signed(d, d->map == 1 ? 1 : 4);
        strbuf_printf(d->text, "j%s 0x%" PRIx64, condition_names[condition], here(d) + (uint64_t)distance);
    } else if (d->map == 1 && d->opcode == 0xc3) {
        strbuf_append(d->text, "ret");
    } else if (d->map == 2 && (d->opcode & 0xf8) == 0xc8) {
        strbuf_append(d->text, "bswap ");
        put_general(d, low, size);
    } else if (d->map == 2 && (d->opcode & 0xf0) == 0x90) {
        d->modrm = take(d);
        strbuf_printf(d->text, "set%s ", condition_names[condition]);
        put_general(d, (d->modrm & 7) | d->b, 1);
    } else if (d->map == 2 && (d->opcode & 0xf0) == 0x40) {
        const Row row = { &x64_encodings[X64_MOV_RM], X64_MOV_RM, size };
        d->modrm = take(d);
        strbuf_printf(d->text, "cmov%s ", condition_names[condition]);
        put_operands(d, &row);
    } else {
        return false;
    }
    return true;
}

/* Prefixes, up to the opcode. */

static void take_legacy(Decoder *d, uint8_t byte)
{
    for (;; byte = take(d)) {
        switch (byte) {
        case 0x65:
            d->gs = true;
            continue;
        case 0x66:
            d->operand16 = true;
            continue;
        case 0xf0:
            d->lock = true;
            continue;
        case 0xf2:
        case 0xf3:
            d->prefix = byte;
            continue;
        default:
            break;
        }
        break;
    }
    if ((byte & 0xf0) == 0x40) {
        d->w = byte & 8;
        d->r = byte << 1 & 8;
        d->x = byte << 2 & 8;
        d->b = byte << 3 & 8;
        byte = take(d);
    }
    d->map = 1;
    if (byte == 0x0f) {
        byte = take(d);
        d->map = byte == 0x38 ? 3 : byte == 0x3a ? 4 : 2;
        byte = d->map == 2 ? byte : take(d);
    }
    d->opcode = byte;
}

static void take_vex(Decoder *d, uint8_t first)
{
    static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
    uint8_t bits = take(d), last = bits;

    d->vex = first != 0x62;
    d->evex = first == 0x62;
    d->map = 2;
    d->r = bits & 0x80 ? 0 : 8;
    if (first != 0xc5) {
        d->x = bits & 0x40 ? 0 : 8;
        d->b = bits & 0x20 ? 0 : 8;
        d->map = (uint8_t)((bits & 7) + 1);
        last = take(d);
        d->w = last & 0x80;
    }
    d->second = ~last >> 3 & 15;
    d->prefix = prefixes[last & 3];
    if (d->evex) {
        take(d);
    }
    d->opcode = take(d);
}

unsigned x64_disassemble_one(const uint8_t *code, size_t count, uint64_t address, StrBuf *text)
{
    Decoder d = { .at = code, .start = code, .end = code + count, .address = address, .text = text };
    Row row;
    uint8_t byte = take(&d);

    if (byte == 0xc4 || byte == 0xc5 || byte == 0x62) {
        take_vex(&d, byte);
    } else if (byte == 0x65 && count > 1 && (code[1] == 0xc4 || code[1] == 0xc5)) {
        d.gs = true;
        take_vex(&d, take(&d));
    } else {
        take_legacy(&d, byte);
    }
    if (d.lock) {
        strbuf_append(text, "lock ");
    }
    if (d.vex || d.evex || !put_other(&d)) {
        d.modrm = take(&d);
        if (!find_row(&d, &row)) {
            return 0;
        }
        strbuf_printf(text, "%s ", mnemonic_of(&row, d.w));
        put_operands(&d, &row);
    }
    return d.failed ? 0 : (unsigned)(d.at - code);
}

void x64_disassemble(const CodeBlock *block, StrBuf *text)
{
    const uint8_t *code = block->code;

    for (uint32_t at = 0, length; at < block->code_bytes; at += length) {
        AUTO_STRBUF(line);
        length = x64_disassemble_one(code + at, block->code_bytes - at, (uintptr_t)(code + at), &line);
        bool known = length;
        length = known ? length : 1;
        strbuf_printf(text, "0x%" PRIxPTR ":  ", (uintptr_t)(code + at));
        for (unsigned i = 0; i < length; i++) {
            strbuf_printf(text, "%02x", code[at + i]);
        }
        strbuf_printf(text, "%*s%s\n", length < 11 ? 24 - 2 * (int)length : 2, "", known ? strbuf_text(&line) : "?");
    }
}
