/*
 * Floating point on the host's own unit, one operation of IR at a time, for registers that the caller chose.
 *
 * A host instruction serves where it has the guest's result and raises what the guest's would, under MXCSR's rounding.
 * Three ways lead around where it does not: a check with cold code behind it, a NaN rule that is applied later, and
 * ir_fp_exact instead. Which, a table in fp_rules.c says, by operation and by how the guest's FpContext differs.
 *
 * Values. A number of a format narrower than 64 bits is kept boxed: all ones above it up to bit 63. Scalar instructions
 * take those bits from an operand, so that arithmetic keeps them for nothing, and a NaN-boxed guest register is the
 * value as it stands.
 *
 * Unsettled values. Where the guest's NaNs are always the default one, a result that may be a NaN is left as the host
 * made it. It has to be settled (x64_fp_settle) before its bits are seen: by a store, an operation on the sign, a move
 * to an integer, a helper, a way out of the block. Arithmetic and comparisons do not care.
 */
#pragma once

#include "fpu/fpu.h"
#include "jit/ir.h"
#include "jit/x64/encoder.h"

/* ---- How a guest's rules differ from the host's: fp_rules.c ---- */

typedef enum FpTreatment {
    FP_TREAT_HOST,    /* the host's instruction as it is */
    FP_TREAT_SETTLE,  /* the same, and a NaN is made the default one later */
    FP_TREAT_CHECK,   /* the same, and ir_fp_exact where a NaN came out */
    FP_TREAT_EXACT,   /* ir_fp_exact always */
} FpTreatment;
/* What all differences of `rules` together ask for. `exact`: flags have to be right too, always (CODE_FP_EXACT); where
 * rules differ in nothing but flags the host's instruction serves otherwise. */
FpTreatment x64_fp_treatment(const FpContext *rules, IrOp op, bool narrows, bool exact);

/* MXCSR for translated code: rounding and flushing of the context, no flags. A rounding that the host has not is none
 * that dynamic rounding may have (ir.h): it is to nearest here. */
uint32_t x64_fp_control(const FpContext *context);
/* The flags that MXCSR holds as FpFlag bits. */
unsigned x64_fp_flags(uint32_t mxcsr);
/* The bits of a register that holds a boxed number and may be unsettled. */
uint64_t x64_fp_settled(const FpContext *rules, IrType type, uint64_t bits);
uint64_t x64_fp_default_nan(const FpContext *rules, IrType type);

/* ---- Code: fp.c ---- */

/* Operands of instructions, in pairs of 64 bits, within reach of the code. By IrType. */
typedef struct X64FpConstants {
    uint64_t sign[IR_F64 + 1][2];
    uint64_t magnitude[IR_F64 + 1][2]; /* with all that stands above the number */
    uint64_t box[IR_F64 + 1][2];       /* what stands above it alone */
} X64FpConstants;
void x64_fp_constants_init(X64FpConstants *constants);

typedef struct X64FpHost {
    bool fma, f16c, avx512;
    const X64FpConstants *constants;
} X64FpHost;

/* Registers are host register numbers: xmm ones for numbers, general ones for integers. */
typedef struct X64FpOperation {
    uint8_t op, type, from; /* IrOp, IrType of the result and of a */
    uint8_t rounding, rule; /* as IrInst.aux has them */
    uint8_t result, a, c;
    X64Operand b; /* memory for those that x64_fp_takes_memory says */
    bool negate_product, negate_addend; /* ffma, where x64_fp_negates */
    uint8_t scratch[2]; /* xmm registers, none of the others */
    uint8_t integer_scratch;
} X64FpOperation;

/* Code to be placed out of the way. `jump` is the end of the jump to it. On its way in, operands are what they were;
 * then it goes to `resume`. */
typedef enum X64FpColdKind {
    X64_FP_NOT_COLD,
    X64_FP_COLD_EXACT,
    X64_FP_COLD_DEFAULT_NAN, /* the result becomes that */
} X64FpColdKind;
typedef struct X64FpCold {
    X64FpColdKind kind;
    uint8_t *jump, *resume;
} X64FpCold;

typedef enum X64FpOutcome {
    X64_FP_DONE,
    X64_FP_UNSETTLED, /* done, and the result is unsettled */
    X64_FP_CALL,      /* nothing was emitted: call ir_fp_exact */
} X64FpOutcome;
/* Every operation of effect F and those on signs. */
X64FpOutcome x64_fp_emit(X64Code *code, const X64FpHost *host, const FpContext *rules, bool exact,
                         const X64FpOperation *operation, X64FpCold *cold);
bool x64_fp_takes_memory(IrOp op);
/* Whether a fused multiplication and addition of such operands may negate on its way. */
bool x64_fp_negates(const X64FpHost *host, const FpContext *rules, bool exact, IrType type, unsigned rounding);
/* A comparison (fcmp), for a branch: which condition holds where it is true, and whether parity must be clear too. */
X64Condition x64_fp_emit_compare(X64Code *code, const X64FpOperation *operation, bool *and_no_parity);
/* `reg`, a number of the type, becomes a settled one; for code that is rarely run. */
void x64_fp_emit_settled(X64Code *code, const FpContext *rules, IrType type, unsigned reg);
/* funbox: result, a, integer_scratch. */
void x64_fp_emit_unbox(X64Code *code, const X64FpHost *host, const X64FpOperation *operation, X64FpCold *cold);
/* Bits of a number that stand in the low part of xmm register `a`, boxed into `result`. */
void x64_fp_emit_box(X64Code *code, const X64FpHost *host, const X64FpOperation *operation);

/* Of a block's code, for the calls in it. */
typedef struct X64FpFrame {
    uint8_t state;           /* general register that holds the guest's state; one that calls keep */
    int32_t context_offset;  /* of the FpContext, from there */
    const uint8_t *thunk;    /* what x64_fp_emit_thunk made */
} X64FpFrame;
/* What the calls have in common; rsp is a multiple of 16 where they are made. */
void x64_fp_emit_thunk(X64Code *code, const X64FpFrame *frame);
/* How far the stack pointer is from where a block has it, where the thunk calls. */
unsigned x64_fp_thunk_depth(void);
/* The call of ir_fp_exact: every register but the result is kept. */
void x64_fp_emit_call(X64Code *code, const X64FpFrame *frame, const X64FpOperation *operation);
/* The cold code itself. */
void x64_fp_emit_cold(X64Code *code, const X64FpFrame *frame, const FpContext *rules, const X64FpOperation *operation,
                      const X64FpCold *cold);
