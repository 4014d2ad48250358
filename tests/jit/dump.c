/* A block with one of each kind of operation, as text; what the optimiser makes of blocks, as text. */
#include "harness.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "jit/ir_optimise.h"

#include <glib.h>
#include <string.h>

static const char golden[] =
    "block 0x1000: 3 insns, 10 bytes\n"
    " ---- 0x1000 +4\n"
    "  %2.i64 = get x1\n"
    "  %4.i64 = add %2, 0xfffffffffffffff0\n"
    "  set x2, %4\n"
    "  %6.i64 = load.s32 [%4 + 8] mode 3 acquire\n"
    "  %7.i32 = trunc %6\n"
    "  %8.i32 = load.u8 [%2] mode 0 big_endian aligned\n"
    "  store.u16 [%2 - 4], %7 mode 1\n"
    "  %10.i64 = atomic_add.u64 [%2], %6 mode 0 seq_cst aligned\n"
    "  %11.i64 = atomic_cas.u64 [%2], %6 if %10 mode 0\n"
    "  %12.i64 = load_linked.u64 [%2] mode 0\n"
    "  %13.i64 = store_conditional.u64 [%2], %12 mode 0\n"
    " ---- 0x1004 +2\n"
    "  %15.i64 = sext32 %6\n"
    "  %16.i64 = extract.4.12 %15\n"
    "  %17.i64 = div_s.ones %16, %15\n"
    "  %18.i32 = cmp.lt_u %17, %16\n"
    "  %19.f64 = bitcast %17\n"
    "  %20.f64 = fadd %19, %19 / 1 dynamic\n"
    "  %21.i32 = fcmp.le_quiet %20, %19 / 0 nearest_even\n"
    "  %22.f64 = fmin %20, %19 / 0 toward_zero rule 1\n"
    "  fence rw ww io\n"
    "  args %17, %16\n"
    "  %25.i64 = call sum6(%2, %4, %6)\n"
    "  call raise(%17)\n"
    " ---- 0x1006 +4\n"
    "  push_return 0x100a\n"
    "  branch %18, L0\n"
    "  goto 0x100a\n"
    " L0:\n"
    "  branch %21, L1\n"
    "  exit recheck\n"
    " L1:\n"
    "  goto_value %17 call\n";

static void build(IrBuilder *b)
{
    unsigned first = ir_label_new(b), second = ir_label_new(b);

    ir_insn(b, 0x1000, 4);
    IrRef x = ir_get(b, IR_I64, R_X0 + 1), sum = ir_binary_const(b, IR_OP_add, IR_I64, x, (uint64_t)-16);
    ir_set(b, R_X0 + 2, sum);
    IrRef y = ir_load(b, IR_I64, MEM_32 | MEM_SIGNED | 3 << MEM_MODE_SHIFT | MEM_ACQUIRE, sum, 8);
    IrRef low = ir_trunc(b, IR_I32, y);
    ir_load(b, IR_I32, MEM_8 | MEM_BIG_ENDIAN | MEM_ALIGNED, x, 0);
    ir_store(b, MEM_16 | 1 << MEM_MODE_SHIFT, x, -4, low);
    IrRef old = ir_atomic(b, IR_OP_atomic_add, IR_I64, MEM_64 | MEM_SEQ_CST | MEM_ALIGNED, x, y, 0);
    ir_atomic(b, IR_OP_atomic_cas, IR_I64, MEM_64, x, y, old);
    IrRef linked = ir_atomic(b, IR_OP_load_linked, IR_I64, MEM_64, x, 0, 0);
    ir_atomic(b, IR_OP_store_conditional, IR_I64, MEM_64, x, linked, 0);
    ir_insn(b, 0x1004, 2);
    IrRef extended = ir_extend(b, IR_OP_sext, IR_I64, 32, y);
    IrRef field = ir_emit(b, IR_OP_extract, IR_I64, 4 | 12 << 8, extended, 0, 0);
    IrRef quotient = ir_emit(b, IR_OP_div_s, IR_I64, 1, field, extended, 0);
    IrRef less = ir_compare(b, IR_LT_U, IR_I32, quotient, field);
    IrRef f = ir_unary(b, IR_OP_bitcast, IR_F64, quotient);
    IrRef fsum = ir_emit(b, IR_OP_fadd, IR_F64, IR_FP(1, IR_ROUND_DYNAMIC, 0, 0), f, f, 0);
    IrRef fless = ir_emit(b, IR_OP_fcmp, IR_I32, IR_FP(0, 0, IR_FP_LE_QUIET, IR_F64), fsum, f, 0);
    ir_emit(b, IR_OP_fmin, IR_F64, IR_FP(0, FP_ROUND_TOWARD_ZERO, FP_MINMAX_NAN, 0), fsum, f, 0);
    ir_fence(b, IR_FENCE_READ_WRITE | IR_FENCE_WRITE_WRITE | IR_FENCE_IO);
    ir_call(b, H_SUM6, IR_I64, (const IrRef[]){ x, sum, y, quotient, field }, 5);
    ir_call(b, H_RAISE, IR_VOID, &quotient, 1);
    ir_insn(b, 0x1006, 4);
    ir_push_return(b, 0x100a);
    ir_branch(b, less, first);
    ir_goto(b, 0x100a);
    ir_label(b, first);
    ir_branch(b, fless, second);
    ir_exit(b, IR_EXIT_RECHECK);
    ir_label(b, second);
    ir_goto_value(b, quotient, IR_JUMP_CALL);
}

static void test_golden(void)
{
    AUTO_STRBUF(text);
    AUTO_ERROR(error);
    IrBlock block;
    IrBuilder b;

    ir_block_init(&block);
    ir_builder_init(&b, &block, &test_guest, 0x1000, 64);
    build(&b);
    g_assert_true(ir_verify(&block, &test_guest, &error));
    ir_dump(&block, &test_guest, &text);
    g_assert_cmpstr(strbuf_text(&text), ==, golden);
    ir_block_free(&block);
}

/* What becomes of a block where x0 to x7 stand in memory, but for x2, which the host keeps. */
static void check_optimised(void (*build_block)(IrBuilder *b), const char *expected)
{
    const uint8_t keeps[REGISTERS] = {
        [R_X0] = IR_KEEP_MEMORY,           [R_X0 + 1] = IR_KEEP_MEMORY, [R_X0 + 3] = IR_KEEP_MEMORY,
        [R_X0 + 2] = IR_KEEP_REGISTER,
    };
    AUTO_STRBUF(text);
    AUTO_ERROR(error);
    IrBlock block, optimised;
    IrBuilder b;

    ir_block_init(&block);
    ir_block_init(&optimised);
    ir_builder_init(&b, &block, &test_guest, 0x1000, 64);
    ir_insn(&b, 0x1000, 4);
    build_block(&b);
    ir_goto(&b, 0x1004);
    g_assert_true(ir_optimise(&optimised, &block, &test_guest, keeps));
    g_assert_true(ir_verify(&optimised, &test_guest, &error));
    ir_dump(&optimised, &test_guest, &text);
    const char *body = strstr(strbuf_text(&text), "+4\n") + 3;
    g_assert_cmpstr(body, ==, expected);
    ir_block_free(&block);
    ir_block_free(&optimised);
}

static IrRef word(IrBuilder *b, IrOp op, unsigned reg, uint64_t amount)
{
    IrRef value = ir_binary_const(b, op, IR_I32, ir_get(b, IR_I32, reg), amount);
    return ir_extend(b, IR_OP_sext, IR_I64, 32, value);
}

/* RV64's way to rotate a word: all but the last set is seen by nobody. */
static void rotation(IrBuilder *b)
{
    ir_set(b, R_X0 + 3, word(b, IR_OP_shl, R_X0 + 1, 7));
    ir_set(b, R_X0 + 2, word(b, IR_OP_shr, R_X0 + 1, 25));
    IrRef left = ir_get(b, IR_I64, R_X0 + 3), right = ir_get(b, IR_I64, R_X0 + 2);
    ir_set(b, R_X0 + 2, ir_binary(b, IR_OP_or, IR_I64, right, left));
    ir_set(b, R_X0 + 2, word(b, IR_OP_add, R_X0 + 2, 1));
    ir_set(b, R_X0 + 3, ir_const(b, IR_I64, 0));
}

/* The register that a store may fault with is whole, and the value of the store is its low half. */
static void seen(IrBuilder *b)
{
    ir_set(b, R_X0 + 2, word(b, IR_OP_add, R_X0 + 1, 1));
    ir_store(b, MEM_32, ir_get(b, IR_I64, R_X0 + 3), 0, ir_get(b, IR_I64, R_X0 + 2));
    ir_set(b, R_X0 + 2, ir_const(b, IR_I64, 0));
}

static void extensions(IrBuilder *b)
{
    IrRef x = ir_get(b, IR_I64, R_X0 + 1);
    IrRef left = ir_binary_const(b, IR_OP_shl, IR_I64, x, 48);

    ir_set(b, R_X0, ir_binary_const(b, IR_OP_shr, IR_I64, left, 48));
    ir_set(b, R_X0 + 2, ir_binary_const(b, IR_OP_sar, IR_I64, left, 48));
    ir_set(b, R_X0 + 2, word(b, IR_OP_add, R_X0 + 2, 0)); /* read below, and extended already */
    ir_set(b, R_X0 + 3, ir_extend(b, IR_OP_sext, IR_I64, 32, ir_trunc(b, IR_I32, ir_get(b, IR_I64, R_X0 + 2))));
}

/* What one way to a label knows does not hold behind it. */
static void labels(IrBuilder *b)
{
    unsigned label = ir_label_new(b);

    ir_set(b, R_X0 + 2, word(b, IR_OP_add, R_X0 + 1, 1));
    ir_branch(b, ir_get(b, IR_I64, R_X0 + 3), label);
    ir_set(b, R_X0 + 2, ir_const(b, IR_I64, 5));
    ir_label(b, label);
    ir_set(b, R_X0 + 3, ir_get(b, IR_I64, R_X0 + 2));
}

static void test_optimised(void)
{
    check_optimised(rotation, "  %2.i32 = get x1\n"
                              "  %4.i32 = rotl %2, 0x7\n"
                              "  set x2, %4\n"
                              "  %7.i32 = add %4, 0x1\n"
                              "  %8.i64 = sext32 %7\n"
                              "  set x2, %8\n"
                              "  set x3, 0x0\n"
                              "  goto 0x1004\n");
    check_optimised(seen, "  %2.i32 = get x1\n"
                          "  %4.i32 = add %2, 0x1\n"
                          "  %5.i64 = sext32 %4\n"
                          "  set x2, %5\n"
                          "  %7.i64 = get x3\n"
                          "  store.u32 [%7], %5 mode 0\n"
                          "  set x2, 0x0\n"
                          "  goto 0x1004\n");
    check_optimised(extensions, "  %2.i64 = get x1\n"
                                "  %3.i64 = zext16 %2\n"
                                "  set x0, %3\n"
                                "  %5.i64 = sext16 %2\n"
                                "  set x2, %5\n"
                                "  set x3, %5\n"
                                "  goto 0x1004\n");
    check_optimised(labels, "  %2.i32 = get x1\n"
                            "  %4.i32 = add %2, 0x1\n"
                            "  %5.i64 = sext32 %4\n"
                            "  set x2, %5\n"
                            "  %7.i64 = get x3\n"
                            "  branch %7, L0\n"
                            "  set x2, 0x5\n"
                            " L0:\n"
                            "  %12.i64 = get x2\n"
                            "  set x3, %12\n"
                            "  goto 0x1004\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/jit/dump/golden", test_golden);
    g_test_add_func("/jit/dump/optimised", test_optimised);
    return g_test_run();
}
