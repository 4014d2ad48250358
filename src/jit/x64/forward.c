/*
 * Within a block a register that stands in memory is read once, and of several sets in a row only the last is made: where
 * nothing between them can leave the block or look at the guest's state.
 */
#include "jit/x64/internal.h"

static bool is_plain(const Compiler *c, unsigned reg)
{
    return reg < FORWARD_REGISTERS && c->common->is_plain[reg];
}

static bool helper_has(const Compiler *c, const IrInst *inst, unsigned effects)
{
    return c->guest->helpers[inst->aux].effects & effects;
}

void forward_gets(Compiler *c)
{
    IrRef known[FORWARD_REGISTERS] = { 0 };

    for (IrRef ref = 1; ref < c->ir->count; ref++) {
        const IrInst *inst = inst_of(c, ref);
        switch (inst->op) {
        case IR_OP_set:
            if (is_plain(c, inst->aux)) {
                known[inst->aux] = inst->type == IR_I64 ? inst->a : 0;
            }
            break;
        case IR_OP_get:
            if (inst->type == IR_I64 && is_plain(c, inst->aux)) {
                c->values[ref].forward = known[inst->aux];
            }
            break;
        case IR_OP_label:
            memset(known, 0, sizeof known);
            break;
        case IR_OP_call:
            if (helper_has(c, inst, HELPER_WRITES)) {
                memset(known, 0, sizeof known);
            }
            break;
        default:
            break;
        }
    }
}

/* Whether the instruction may leave the block, be left in the middle, or look at registers that it does not name. */
static bool is_observer(const Compiler *c, const IrInst *inst)
{
    switch (inst->op) {
    case IR_OP_load... IR_OP_fence:
    case IR_OP_label:
    case IR_OP_jump:
    case IR_OP_branch:
    case IR_OP_goto:
    case IR_OP_goto_value:
    case IR_OP_exit:
        return true;
    case IR_OP_call:
        return helper_has(c, inst, ~0u);
    default:
        return false;
    }
}

bool is_unseen_set(const Compiler *c, IrRef ref, bool *pending)
{
    const IrInst *inst = inst_of(c, ref);

    if (is_observer(c, inst)) {
        memset(pending, false, FORWARD_REGISTERS * sizeof *pending);
    } else if (inst->op == IR_OP_get && is_plain(c, inst->aux) && !c->values[ref].forward) {
        pending[inst->aux] = false;
    } else if (inst->op == IR_OP_set && is_plain(c, inst->aux)) {
        bool unseen = pending[inst->aux];
        pending[inst->aux] = true;
        return unseen;
    }
    return false;
}
