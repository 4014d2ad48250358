/* Where the values of a block lie while the interpreter runs it: worked out by interp_places.c for interp_prepare.c. */
#pragma once

#include "jit/interp_internal.h"
#include "jit/ir_internal.h"

enum { SLOTS = EXEC_SCRATCH / 8 };

typedef struct Value {
    IrRef root;       /* the value whose place this one shares; itself at first */
    uint32_t skew;    /* how far into it, in bytes */
    uint32_t uses;    /* of a root: of it and all that share its place */
    IrRef last_use;   /* of a root */
    bool in_register; /* of a get: its place is the register */
    bool fused;       /* done by the instruction before: the branch on a cmp, the set of a result */
    int32_t place;    /* of a root, once it is made */
} Value;

typedef struct Places {
    const IrBlock *block;
    const IrGuest *guest;
    Value *values; /* by IrRef */
    uint64_t free_slots[SLOTS / 64];
    bool failed; /* there were not enough slots */
} Places;

/* Finds uses, shared places, and the gets that need no copy. */
void places_init(Places *p, const IrBlock *block, const IrGuest *guest);
void places_free(Places *p);
/* Gives a root its slot, or two for more than 64 bits. */
int32_t places_new_slot(Places *p, IrRef ref);
/* Operands of `inst` whose last use was at `at` give their slots back. */
void places_release_operands(Places *p, const IrInst *inst, IrRef at);
/* Whether a constant as operand `position` stands in the prepared instruction. */
bool places_takes_immediate(const Places *p, const IrInst *inst, unsigned position);

static inline const IrInst *inst_at(const Places *p, IrRef ref) { return &p->block->insts[ref]; }

static inline const GuestRegister *register_of(const Places *p, const IrInst *inst)
{
    return &p->guest->registers[inst->aux];
}

static inline int32_t place_of(const Places *p, IrRef ref)
{
    const Value *value = &p->values[ref];
    return ref ? p->values[value->root].place + (int32_t)value->skew : 0;
}
