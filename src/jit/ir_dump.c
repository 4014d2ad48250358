/*
 * A block as text, for -d op:
 *
 *     block 0x80000000: 2 insns, 8 bytes
 *      ---- 0x80000000 +4
 *       %2.i64 = get x5
 *       %4.i64 = add %2, 0x10
 *       set x5, %4
 *      L0:
 *       %7.i64 = load.s32 [%4 + 8] mode 3
 *
 * Constants stand where they are used. Floating-point operations show context, rounding and rule behind a slash.
 */
#include "base/strbuf.h"
#include "jit/ir_internal.h"

#include <inttypes.h>

typedef struct Dump {
    const IrBlock *block;
    const IrGuest *guest;
    StrBuf *out;
} Dump;

static const char *const condition_names[] = {
    "eq", "ne", "lt_s", "ge_s", "le_s", "gt_s", "lt_u", "ge_u", "le_u", "gt_u", "test_eq", "test_ne",
};
static const char *const fp_condition_names[] = { "eq_quiet",       "lt", "le", "lt_quiet", "le_quiet", "eq",
                                                  "unordered_quiet" };
static const char *const exit_names[] = { "recheck", "halt", "exception", "code", "yield", "debug" };
static const char *const hint_names[] = { "plain", "call", "return" };
static const char *const order_names[] = { "", " acquire", " release", " acq_rel", " seq_cst", " tso", " ?", " ?" };
static const char *const rounding_names[] = { "nearest_even", "toward_zero", "down", "up",
                                              "nearest_away", "odd",         "?",    "dynamic" };

#define NAME(table, index) ((index) < ARRAY_SIZE(table) ? table[index] : "?")

static void dump_operand(Dump *d, const char *separator, IrRef ref)
{
    uint64_t value;

    if (ref == 0) {
        strbuf_printf(d->out, "%s-", separator);
    } else if (ir_is_const(d->block, ref, &value)) {
        strbuf_printf(d->out, "%s0x%" PRIx64, separator, value);
    } else {
        strbuf_printf(d->out, "%s%%%u", separator, ref);
    }
}

/* All operands, as many as the operation has; those of a call as many as there are. */
static void dump_operands(Dump *d, const IrInst *inst, const char *separator)
{
    const IrRef refs[3] = { inst->a, inst->b, inst->c };
    bool optional = inst->op == IR_OP_call || inst->op == IR_OP_args;

    for (unsigned i = 0; ir_op_info[inst->op].operands[i] && (refs[i] || !optional); i++) {
        dump_operand(d, separator, refs[i]);
        separator = ", ";
    }
}

static void dump_access(Dump *d, const IrInst *inst)
{
    unsigned op = inst->aux;
    bool plain = inst->op == IR_OP_load || inst->op == IR_OP_store;

    strbuf_printf(d->out, ".%c%u", op & MEM_SIGNED ? 's' : 'u', mem_size((MemOp)op) * 8);
    dump_operand(d, " [", inst->a);
    if (plain && inst->displacement) {
        int64_t displacement = inst->displacement;
        strbuf_printf(d->out, " %c %" PRId64, displacement < 0 ? '-' : '+',
                      displacement < 0 ? -displacement : displacement);
    }
    strbuf_append_char(d->out, ']');
    if (inst->b) {
        dump_operand(d, ", ", inst->b);
    }
    if (!plain && inst->c) {
        dump_operand(d, " if ", inst->c);
    }
    strbuf_printf(d->out, " mode %u%s%s%s%s%s%s", mem_mode((MemOp)op), order_names[(op & MEM_ORDER_MASK) >> 7],
                  op & MEM_BIG_ENDIAN ? " big_endian" : "", op & MEM_ALIGNED ? " aligned" : "",
                  op & MEM_ATOMIC ? " atomic" : "", op & MEM_STACK ? " stack" : "", op & MEM_EXECUTE ? " execute" : "");
}

static void dump_register(Dump *d, const IrInst *inst)
{
    if (inst->aux < d->guest->register_count) {
        strbuf_printf(d->out, " %s", d->guest->registers[inst->aux].name);
    } else {
        strbuf_printf(d->out, " register %u", inst->aux);
    }
    dump_operands(d, inst, ", ");
}

static void dump_call(Dump *d, const IrInst *inst)
{
    bool known = inst->aux < d->guest->helper_count;

    strbuf_printf(d->out, " %s(", known ? d->guest->helpers[inst->aux].name : "?");
    dump_operands(d, inst, "");
    strbuf_append(d->out, ")");
}

static void dump_fp(Dump *d, const IrInst *inst)
{
    unsigned rule = ir_fp_rule(inst->aux);

    if (inst->op == IR_OP_fcmp) {
        strbuf_printf(d->out, ".%s", NAME(fp_condition_names, rule));
    }
    dump_operands(d, inst, " ");
    strbuf_printf(d->out, " / %u %s", ir_fp_context(inst->aux), rounding_names[ir_fp_rounding(inst->aux)]);
    if (rule && inst->op != IR_OP_fcmp) {
        strbuf_printf(d->out, " rule %u", rule);
    }
}

static void dump_plain(Dump *d, const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_cmp:
        strbuf_printf(d->out, ".%s", NAME(condition_names, inst->aux & 0xffu));
        break;
    case IR_OP_sext:
    case IR_OP_zext:
        strbuf_printf(d->out, "%u", inst->aux);
        break;
    case IR_OP_extract:
    case IR_OP_deposit:
        strbuf_printf(d->out, ".%u.%u", inst->aux & 0xff, inst->aux >> 8);
        break;
    case IR_OP_div_s:
    case IR_OP_div_u:
        strbuf_append(d->out, inst->aux ? ".ones" : "");
        break;
    default:
        break;
    }
    dump_operands(d, inst, " ");
}

static void dump_control(Dump *d, const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_jump:
        strbuf_printf(d->out, " L%u", inst->aux);
        break;
    case IR_OP_branch:
        dump_operand(d, " ", inst->a);
        strbuf_printf(d->out, ", L%u", inst->aux);
        break;
    case IR_OP_goto:
    case IR_OP_push_return:
        strbuf_printf(d->out, " 0x%" PRIx64, (uint64_t)inst->imm);
        break;
    case IR_OP_goto_value:
        dump_operand(d, " ", inst->a);
        strbuf_printf(d->out, " %s", NAME(hint_names, inst->aux));
        break;
    case IR_OP_exit:
        strbuf_printf(d->out, " %s", NAME(exit_names, inst->aux));
        break;
    case IR_OP_fence:
        strbuf_printf(d->out, " %s%s%s%s%s", inst->aux & IR_FENCE_READ_READ ? "rr " : "",
                      inst->aux & IR_FENCE_READ_WRITE ? "rw " : "", inst->aux & IR_FENCE_WRITE_READ ? "wr " : "",
                      inst->aux & IR_FENCE_WRITE_WRITE ? "ww " : "", inst->aux & IR_FENCE_IO ? "io" : "");
        break;
    default:
        dump_operands(d, inst, " ");
        break;
    }
}

static void dump_body(Dump *d, const IrInst *inst)
{
    const IrOpInfo *info = &ir_op_info[inst->op];

    if (inst->op == IR_OP_get || inst->op == IR_OP_set) {
        dump_register(d, inst);
    } else if (inst->op == IR_OP_call) {
        dump_call(d, inst);
    } else if (info->operands[0] == 'A' && info->effects[0] != 'E') {
        dump_access(d, inst);
    } else if (info->effects[0] == 'F') {
        dump_fp(d, inst);
    } else if (info->effects[0] == 'P') {
        dump_plain(d, inst);
    } else {
        dump_control(d, inst);
    }
}

static void dump_inst(Dump *d, IrRef ref)
{
    const IrInst *inst = &d->block->insts[ref];

    if (inst->op == IR_OP_const) {
        return;
    }
    if (inst->op == IR_OP_insn) {
        strbuf_printf(d->out, " ---- 0x%" PRIx64 " +%u\n", (uint64_t)inst->imm, inst->aux);
        return;
    }
    if (inst->op == IR_OP_label) {
        strbuf_printf(d->out, " L%u:\n", inst->aux);
        return;
    }
    strbuf_append(d->out, "  ");
    if (inst->type != IR_VOID && inst->op != IR_OP_set) {
        strbuf_printf(d->out, "%%%u.%s = ", ref, ir_type_name(inst->type));
    }
    strbuf_append(d->out, inst->op < IR_OP_COUNT ? ir_op_info[inst->op].name : "?");
    if (inst->op < IR_OP_COUNT) {
        dump_body(d, inst);
    }
    strbuf_append_char(d->out, '\n');
}

void ir_dump(const IrBlock *block, const IrGuest *guest, StrBuf *buffer)
{
    Dump d = { block, guest, buffer };

    strbuf_printf(buffer, "block 0x%" PRIx64 ": %u insn%s, %u bytes\n", block->pc, block->insn_count,
                  block->insn_count == 1 ? "" : "s", block->bytes);
    for (IrRef ref = 1; ref < block->count; ref++) {
        dump_inst(&d, ref);
    }
}
