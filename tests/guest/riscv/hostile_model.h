/* What the instructions of a scene do, by the model: hostile.c compares the machine with it. */
#pragma once

#include "hostile.h"

enum {
    EBREAK = 0x00100073,
    SHORT_EBREAK = 0x9002,
    ILLEGAL = 2,
    BREAKPOINT = 3,
    X_ADDRESS = 10,
    X_RESULT = 12,
    X_VALUE = 13,
};

typedef struct HostileRegisters {
    uint64_t x[32], f[32];
} HostileRegisters;

typedef struct HostileOutcome {
    HostileRegisters registers;
    ModelFault fault; /* cause 3: it was done, and the ebreak behind it came */
    uint64_t pc;      /* of what trapped */
    bool unknown;     /* it goes on in a place whose bytes are not the scene's: not to be run */
} HostileOutcome;

/* Changes the scene's memory, by way of its journal; `out` holds the registers from before. */
void hostile_model(Scene *scene, const SceneAccess *access, HostileOutcome *out);

/* Memory as the model has it; false where nothing answers. */
bool scene_load(Scene *scene, SceneMemory *memory, uint64_t physical, unsigned size, uint64_t *value);
bool scene_store(Scene *scene, SceneMemory *memory, uint64_t physical, unsigned size, uint64_t value);
void scene_undo(Scene *scene); /* what is in the journal */
/* Where the instruction lies, as the access's privilege has it. */
uint64_t scene_code_address(const Scene *scene, const SceneAccess *access);
