/*
 * Memory, page tables and protection such as an attacker would write, under one instruction: what it does, compared
 * with walk_model.h. A scene is a machine with a few pages each of code, tables and data, and a second copy of memory
 * and registers, which the model changes.
 */
#pragma once

#include "hostile_insns.h"
#include "machine.h"
#include "walk_model.h"

enum {
    SCENE_CODE = 0x80001000,
    SCENE_TABLES = 0x80010000,
    SCENE_TABLE_COUNT = 12,
    SCENE_DATA = 0x80020000, /* a block of 64 KiB */
    SCENE_DATA_PAGES = 16,
    SCENE_DEVICE = 0x2004000, /* 8 bytes that can be read and written, of a page where nothing else answers */
    SCENE_ROM = TEST_ROM_BASE,
    SCENE_HOLE = 0x3000000,
    SCENE_RAM_SIZE = 0x30000, /* as far as it is used and compared */
    SCENE_FREE_PMP = 6,       /* entries 1 to 6 are the test's: 0 is the code, the last one all */
    SCENE_SNAPSHOTS = 4,
    SCENE_SUPERVISOR_INDEX = 2, /* of the highest table: all of RAM, as code */
    SCENE_USER_INDEX = 5,
};

typedef struct SceneMemory {
    uint8_t ram[SCENE_RAM_SIZE];
    uint64_t device; /* the register at SCENE_DEVICE */
} SceneMemory;

/* What comes before the instruction. */
typedef enum SceneFence { FENCE_NONE, FENCE_ALL, FENCE_PAGE, FENCE_PAGE_OF_SPACE } SceneFence;

typedef struct SceneAccess {
    const HostileInsn *insn;
    uint64_t address;
    unsigned privilege;
    bool from_machine; /* machine mode's access with mstatus.MPRV, not that mode's own */
    bool sum, mxr;
    SceneFence fence;
} SceneAccess;

enum { SCENE_JOURNAL = 256 };

typedef struct Scene {
    TestMachine *machine;
    WalkModel model;   /* `memory` is the scene's `walker` */
    SceneMemory now;   /* as the model has it */
    SceneMemory *view; /* where walks look for entries: now, or as it was */
    SceneMemory kept[SCENE_SNAPSHOTS]; /* as it was since the last fence: what translations may be remembered of */
    unsigned kept_count;
    unsigned asid;
    bool globals; /* entries may be those of all spaces */
    bool fence_is_due; /* an instruction changed tables, say: the next access begins with a fence */
    bool outside; /* the model looked at memory that is not the scene's */
    struct SceneUndo {
        uint8_t *place;
        uint8_t size;
        uint64_t value;
    } journal[SCENE_JOURNAL]; /* what the model stored */
    unsigned journal_count;
    uint64_t cases, faults, remembered; /* how many, for the tests' messages */
} Scene;

/* `model` as of test_machine_new. */
Scene *scene_new(const char *model, const char *engine, ModelMode mode);
void scene_free(Scene *scene);
/* Memory, in the model and in the machine: as by another bus master. After scene_keep translations of what was there
 * before may be remembered, up to a fence. */
void scene_poke(Scene *scene, uint64_t physical, unsigned size, uint64_t value);
void scene_keep(Scene *scene);
uint64_t scene_peek(const Scene *scene, uint64_t physical, unsigned size);
void scene_fill(Scene *scene); /* the data pages, and the code's entries of all tables, as at first */
/* What was changed in the model's protection and features comes to the machine; translations are forgotten. */
void scene_apply(Scene *scene);
/* Whether that privilege could read there. */
bool scene_reaches(Scene *scene, uint64_t address, unsigned privilege);
/* Runs the instruction and compares; aborts with a message where the machine does other than the model. While something
 * is kept and not all is fenced, the access has to lie on one page. */
void scene_check(Scene *scene, const SceneAccess *access);
uint64_t scene_top_address(const Scene *scene, unsigned index); /* what entry `index` of the highest table is about */

void hostile_add_thread_tests(void);
