/* What config.c, profile.c and the guest's table share about configurations that are being made. */
#pragma once

#include "guest/riscv/config.h"

typedef struct StrBuf StrBuf;

/* config.c: the name of the switch that is at `offset`; the versions as users write them. */
const char *riscv_extension_name(uint16_t offset);
extern const char *const riscv_priv_names[];

/* Turns on what the profiles that are on mandate. Before the rules between extensions. */
void riscv_profiles_apply(RiscvConfig *c);
/* Notes which profiles the processor has in the end. */
void riscv_profiles_find(RiscvConfig *c);
/* Zic64b. */
bool riscv_blocks_of_64(const RiscvConfig *c);
