/*
 * What is done to a block before a host makes code of it: the same block with less to do. The interpreter runs blocks
 * as they are.
 */
#pragma once

#include "jit/ir.h"

/* What may be assumed of a guest's register. */
typedef enum IrKeep {
    IR_KEEP_ANY,      /* nothing: it shares bytes with another, or is not one of 32 or 64 bits */
    IR_KEEP_MEMORY,   /* 32 or 64 bits of its own, in the guest's state */
    IR_KEEP_REGISTER, /* likewise, and the host keeps it in a register: what is made there needs no other place */
} IrKeep;

/* `keeps` is an IrKeep for each register of the guest. False: the block is too long for it. */
bool ir_optimise(IrBlock *to, const IrBlock *from, const IrGuest *guest, const uint8_t *keeps);
