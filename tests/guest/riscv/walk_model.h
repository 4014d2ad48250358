/*
 * How an address is translated and protected, said a second time: "Virtual Address Translation Process" and "Physical
 * Memory Protection" of the privileged manual, with Svnapot, Svpbmt and Svadu, step by step and byte by byte. Tests
 * compare the guest with it. Nothing here is the guest's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_PMP_ENTRIES = 8 };

typedef enum ModelAccess { MODEL_LOAD, MODEL_STORE, MODEL_FETCH } ModelAccess;
typedef enum ModelMode { MODEL_BARE = 0, MODEL_SV32 = 1, MODEL_SV39 = 8, MODEL_SV48 = 9, MODEL_SV57 = 10 } ModelMode;

typedef struct WalkModel {
    unsigned xlen;
    ModelMode mode;
    uint64_t root; /* the highest table's physical address */
    bool svnapot, svpbmt, updates; /* updates: accessed and dirty bits are set, not asked for by faults */
    unsigned privilege; /* 0, 1, 3: as which memory is accessed */
    bool sum, mxr;
    uint8_t pmpcfg[MODEL_PMP_ENTRIES];
    uint64_t pmpaddr[MODEL_PMP_ENTRIES];
    /* Physical memory; false where nothing answers. Stores that hold: what is read afterwards is what was stored. */
    bool (*load)(void *memory, uint64_t physical, unsigned size, uint64_t *value);
    bool (*store)(void *memory, uint64_t physical, unsigned size, uint64_t value);
    void *memory;
} WalkModel;

typedef struct ModelFault {
    unsigned cause;
    uint64_t address;
} ModelFault;

enum { MODEL_BYTES = 64 };

/* Where each byte of an access lies; sets accessed and dirty bits on the way. False: `fault` says what is raised. A
 * fault is one of `blamed`: loads of instructions that also store are stores' faults. */
bool model_translate(const WalkModel *model, uint64_t address, unsigned size, ModelAccess access, ModelAccess blamed,
                     uint64_t physical[MODEL_BYTES], ModelFault *fault);
/* The entry that the last level looked at has, wherever the walk ended: for tests that change it. False: none. */
bool model_last_entry(const WalkModel *model, uint64_t address, uint64_t *physical);
unsigned model_entry_size(const WalkModel *model);
unsigned model_levels(ModelMode mode);
