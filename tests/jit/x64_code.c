/*
 * Host code for a disassembler to look at: x64_code.py compares.
 *
 *   x64_code encodings    each row of encodings.def with several operands: what it is to be, and its bytes
 *   x64_code float        floating-point operations of IR: a name, and the bytes of the block
 *   x64_code text < lines of an address and bytes     each instruction's length and text, as -d out_asm has it
 */
#include "harness.h"

#include "base/strbuf.h"
#include "jit/ir_internal.h"
#include "jit/x64/disassemble.h"
#include "jit/x64/internal.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_bytes(const uint8_t *from, const uint8_t *to)
{
    for (; from < to; from++) {
        printf("%02x", *from);
    }
    printf("\n");
}

/* ---- Encodings ---- */

static const X64Operand operands[] = {
    { .base = RDX },
    { .base = RSI },
    { .base = R13 },
    { .memory = true, .base = RBP, .index = X64_NO_REGISTER, .displacement = 16 },
    { .memory = true, .base = R13, .index = X64_NO_REGISTER },
    { .memory = true, .base = RSP, .index = X64_NO_REGISTER, .displacement = 200 },
    { .memory = true, .base = R12, .index = R9, .scale = 2, .displacement = -0x12345 },
    { .memory = true, .base = RAX, .index = RBX },
};

static void print_operand(X64Operand o)
{
    if (!o.memory) {
        printf("%u", o.base);
    } else if (o.index == X64_NO_REGISTER) {
        printf("[%u%+d]", o.base, o.displacement);
    } else {
        printf("[%u+%u*%u%+d]", o.base, o.index, 1u << o.scale, o.displacement);
    }
}

static void print_encoding(X64Op op, unsigned size, unsigned reg, X64Operand rm)
{
    static const char *const names[X64_OP_COUNT] = {
#define X64(name, mnemonic, prefix, map, opcode, digit, flags) [X64_##name] = #name,
#include "jit/x64/encodings.def"
#undef X64
    };
    const X64Encoding *e = &x64_encodings[op];
    uint8_t bytes[2 * X64_LONGEST];
    X64Code code = { bytes, bytes + sizeof bytes, 0 };
    enum { SECOND = R10, IMMEDIATE = 5 };

    bool merges = op >= X64_VMOV_RM_SS && op <= X64_VMOV_MR_SD; /* registers; memory is loaded or stored alone */

    x64_encode(&code, op, size, reg, merges && rm.memory ? 0 : SECOND, rm, IMMEDIATE);
    printf("%s %s %u %u ", names[op], e->mnemonic, e->flags, size);
    printf(e->flags & X64_DIGIT ? "- " : "%u ", reg);
    print_operand(rm);
    printf(" ");
    print_bytes(bytes, code.at);
}

static void print_encodings(void)
{
    for (unsigned op = 0; op < X64_OP_COUNT; op++) {
        unsigned flags = x64_encodings[op].flags;
        for (unsigned size = 1; size <= 8; size *= 2) {
            bool sized = flags & (X64_SIZED | X64_WIDE);
            bool has_size = sized ? size > 1 || flags & X64_SIZED
                                  : size == 4 || (size == 8 && flags & (X64_VEX | X64_EVEX));
            for (unsigned i = 0; has_size && i < ARRAY_SIZE(operands); i++) {
                if (!(operands[i].memory && flags & X64_EVEX)) {
                    print_encoding((X64Op)op, size, i & 1 ? RSI : R11, operands[i]);
                }
            }
        }
    }
}

/* ---- Floating point ---- */

/* x4, x5 and x6 are in xmm15, xmm14 and xmm13: x4 = x5 op x6, or x4 = x5 op x6 + x4. */
static void build(IrBuilder *b, IrOp op, IrType type, IrType from, unsigned rounding, unsigned rule)
{
    const char *needs = ir_op_info[op].operands;
    IrRef refs[3] = { 0 };

    for (unsigned i = 0; i < 3 && needs[i]; i++) {
        unsigned reg = i == 2 ? R_X0 + 4 : R_X0 + 5 + i;
        IrType whole = ir_type_is_float(from) ? IR_F64 : IR_I64;
        refs[i] = ir_get(b, whole, whole == IR_F64 ? reg : R_X0 + 1);
        if (ir_type_is_float(from) && from != IR_F64 && op != IR_OP_fbox && op != IR_OP_funbox) {
            refs[i] = ir_emit(b, IR_OP_funbox, from, IR_FP(0, 0, 0, IR_F64), refs[i], 0, 0);
        } else if (from == IR_I32) {
            refs[i] = ir_trunc(b, IR_I32, refs[i]);
        }
    }
    IrRef result = ir_emit(b, op, type, IR_FP(0, rounding, rule, from), refs[0], refs[1], refs[2]);
    if (ir_type_is_float(type) && type != IR_F64) {
        result = ir_emit(b, IR_OP_fbox, IR_F64, IR_FP(0, 0, 0, type), result, 0, 0);
    }
    ir_set(b, ir_type_is_float(type) ? R_X0 + 4 : R_X0 + 2, result);
    ir_exit(b, IR_EXIT_RECHECK);
}

static void print_float(const char *name, IrOp op, IrType type, IrType from, unsigned rounding, unsigned rule)
{
    TestMachine *machine = machine_new();
    IrBlock block;
    IrBuilder b;
    CodeBlock code;

    machine_prepare(machine);
    /* The same features wherever this runs. */
    X64Common *common = machine->code_common;
    if (!common->float_host.avx) {
        machine_free(machine);
        return;
    }
    common->float_host.host.fma = common->float_host.host.f16c = true;
    common->float_host.host.avx512 = false;
    ir_block_init(&block);
    ir_builder_init(&b, &block, &test_guest, 0x1000, 64);
    ir_insn(&b, 0x1000, 4);
    build(&b, op, type, from, rounding, rule);
    if (machine_compile(machine, &block, 0, &code) == COMPILE_DONE) {
        printf("%s ", name);
        print_bytes(code.code, (const uint8_t *)code.code + code.code_bytes);
    }
    ir_block_free(&block);
    machine_free(machine);
}

#define D IR_ROUND_DYNAMIC
static const struct {
    const char *name;
    IrOp op;
    IrType type, from;
    unsigned rounding, rule;
} float_rows[] = {
    { "fadd.d", IR_OP_fadd, IR_F64, IR_F64, D, 0 },
    { "fadd.s", IR_OP_fadd, IR_F32, IR_F32, D, 0 },
    { "fadd.h", IR_OP_fadd, IR_F16, IR_F16, D, 0 },
    { "fsub.d", IR_OP_fsub, IR_F64, IR_F64, D, 0 },
    { "fmul.d", IR_OP_fmul, IR_F64, IR_F64, D, 0 },
    { "fdiv.d", IR_OP_fdiv, IR_F64, IR_F64, D, 0 },
    { "fsqrt.d", IR_OP_fsqrt, IR_F64, IR_F64, D, 0 },
    { "fmadd.d", IR_OP_ffma, IR_F64, IR_F64, D, 0 },
    { "fmin.d", IR_OP_fmin, IR_F64, IR_F64, D, FP_MINMAX_NUMBER },
    { "fmax.s", IR_OP_fmax, IR_F32, IR_F32, D, FP_MINMAX_NUMBER },
    { "fneg.d", IR_OP_fneg, IR_F64, IR_F64, D, 0 },
    { "fabs.d", IR_OP_fabs, IR_F64, IR_F64, D, 0 },
    { "fsgnj.d", IR_OP_fcopysign, IR_F64, IR_F64, D, 0 },
    { "feq.d", IR_OP_fcmp, IR_I64, IR_F64, D, IR_FP_EQ_QUIET },
    { "flt.d", IR_OP_fcmp, IR_I64, IR_F64, D, IR_FP_LT },
    { "fle.s", IR_OP_fcmp, IR_I64, IR_F32, D, IR_FP_LE },
    { "fclass.d", IR_OP_fclass, IR_I64, IR_F64, D, 0 },
    { "fcvt.s.d", IR_OP_fconvert, IR_F32, IR_F64, D, 0 },
    { "fcvt.d.s", IR_OP_fconvert, IR_F64, IR_F32, D, 0 },
    { "fcvt.w.d-rtz", IR_OP_f_to_s, IR_I32, IR_F64, FP_ROUND_TOWARD_ZERO, 0 },
    { "fcvt.l.d-rdn", IR_OP_f_to_s, IR_I64, IR_F64, FP_ROUND_DOWN, 0 },
    { "fcvt.lu.d-rtz", IR_OP_f_to_u, IR_I64, IR_F64, FP_ROUND_TOWARD_ZERO, 0 },
    { "fcvt.d.w", IR_OP_s_to_f, IR_F64, IR_I32, D, 0 },
    { "fcvt.d.lu", IR_OP_u_to_f, IR_F64, IR_I64, D, 0 },
    { "fcvt.d.l-rdn", IR_OP_s_to_f, IR_F64, IR_I64, FP_ROUND_DOWN, 0 },
    { "fcvt.s.l", IR_OP_s_to_f, IR_F32, IR_I64, D, 0 },
    { "fround.d", IR_OP_fround_int, IR_F64, IR_F64, D, 0 },
};

/* ---- Text ---- */

static void print_text(uint64_t address, const char *digits)
{
    size_t count = strlen(digits) / 2;
    uint8_t *bytes = g_malloc(count);

    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(g_ascii_xdigit_value(digits[2 * i]) << 4 | g_ascii_xdigit_value(digits[2 * i + 1]));
    }
    for (size_t at = 0; at < count;) {
        AUTO_STRBUF(text);
        unsigned length = x64_disassemble_one(bytes + at, count - at, address + at, &text);
        printf("%u %s\n", length, length ? strbuf_text(&text) : "?");
        at += MAX(length, 1);
    }
    printf("end\n");
    g_free(bytes);
}

static void print_texts(void)
{
    char *line = NULL;
    size_t size = 0;
    uint64_t address;
    int digits;

    while (getline(&line, &size, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%" SCNu64 " %n", &address, &digits) == 1) {
            print_text(address, line + digits);
        }
    }
    free(line);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "encodings")) {
        print_encodings();
    } else if (argc == 2 && !strcmp(argv[1], "float")) {
        for (unsigned i = 0; i < ARRAY_SIZE(float_rows); i++) {
            print_float(float_rows[i].name, float_rows[i].op, float_rows[i].type, float_rows[i].from,
                        float_rows[i].rounding, float_rows[i].rule);
        }
    } else if (argc == 2 && !strcmp(argv[1], "text")) {
        print_texts();
    } else {
        return 2;
    }
    return 0;
}
