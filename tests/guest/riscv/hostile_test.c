/*
 * What attackers write: each instruction that reaches memory, at each offset about the edge of two pages, whatever the
 * two are; and random page tables, under random protection, changed between accesses with and without fences. On both
 * engines, compared with walk_model.h.
 *
 *     hostile_test [g_test's options] [CASES [SEED]]
 */
#include "hostile.h"

#include "base/bytes.h"

#include <glib.h>
#include <stdlib.h>

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128, PAGE = 4096 };
enum { PMP_NONE = 0x18, PMP_READ = 0x19, PMP_READ_WRITE = 0x1b }; /* powers of two */

static unsigned long case_count = 4000, first_seed = 1;

typedef struct Setting {
    const char *name, *model;
    ModelMode mode;
} Setting;

#define MODEL_64 "rv64,svnapot=on,svpbmt=on,svinval=on,zabha=on,zacas=on,zfh=on,zcb=on"
#define MODEL_32 "rv32,svinval=on,zabha=on,zacas=on,zfh=on,zcb=on"
static const Setting settings[] = {
    { "bare-rv64", MODEL_64, MODEL_BARE }, { "bare-rv32", MODEL_32, MODEL_BARE }, { "sv32", MODEL_32, MODEL_SV32 },
    { "sv39", MODEL_64, MODEL_SV39 },      { "sv48", MODEL_64, MODEL_SV48 },      { "sv57", MODEL_64, MODEL_SV57 },
};

static bool insn_exists(const Scene *scene, const HostileInsn *insn)
{
    return !insn->xlen || insn->xlen == scene->model.xlen;
}

static uint64_t entry_of(uint64_t physical, uint64_t flags)
{
    return physical >> 12 << 10 | flags;
}

/* Two pages, each of any kind. */

typedef struct PageKind {
    const char *name;
    uint64_t flags; /* of its entry */
    uint64_t physical; /* 0: one of data */
    uint8_t pmp;    /* 0: open; else of all of it, or of `cut` bytes at the page's edge with the other one */
    uint8_t cut;
} PageKind;

static const PageKind page_kinds[] = {
    { "plain", V | R | W | X | A | D, 0, 0, 0 },
    { "nothing", 0, 0, 0, 0 },
    { "no write", V | R | X | A | D, 0, 0, 0 },
    { "execute alone", V | X | A | D, 0, 0, 0 },
    { "no execute", V | R | W | A | D, 0, 0, 0 },
    { "write alone", V | W | A | D, 0, 0, 0 },
    { "of another privilege", V | R | W | X | U | A | D, 0, 0, 0 },
    { "not accessed", V | R | W | X, 0, 0, 0 },
    { "not dirty", V | R | W | X | A, 0, 0, 0 },
    { "pointer", V, 0, 0, 0 },
    { "protected", V | R | W | X | A | D, 0, PMP_NONE, 0 },
    { "protected from writes", V | R | W | X | A | D, 0, PMP_READ, 0 },
    { "protected at the edge", V | R | W | X | A | D, 0, PMP_NONE, 4 },
    { "protected from execution", V | R | W | X | A | D, 0, PMP_READ_WRITE, 0 },
    { "hole", V | R | W | X | A | D, SCENE_HOLE, 0, 0 },
    { "device", V | R | W | X | A | D, SCENE_DEVICE, 0, 0 },
    { "ROM", V | R | W | X | A | D, SCENE_ROM, 0, 0 },
};

enum { LOW_PAGE = SCENE_DATA + 3 * PAGE, HIGH_PAGE = SCENE_DATA + 9 * PAGE, PAIR_INDEX = 6 };

static void protect(Scene *scene, unsigned entry, const PageKind *kind, bool high)
{
    uint64_t page = high ? HIGH_PAGE : LOW_PAGE, first = high ? page : page + PAGE - MAX(kind->cut, 1);

    scene->model.pmpcfg[entry] = kind->cut && kind->pmp ? 0x10 : kind->pmp; /* four bytes, or a power of two */
    scene->model.pmpaddr[entry] = kind->cut ? first >> 2 : page >> 2 | (PAGE / 8 - 1);
}

/* The two entries of the lowest level, in a table of their own; tables 0, 1 ... lead there. */
static void map_pair(Scene *scene, const PageKind *low, const PageKind *high, bool user)
{
    unsigned size = model_entry_size(&scene->model), levels = model_levels(scene->model.mode);
    uint64_t flags = user ? U : 0, last = SCENE_TABLES + (levels - 1) * PAGE;

    for (unsigned i = 0; i + 1 < levels; i++) {
        uint64_t table = SCENE_TABLES + i * PAGE;
        scene_poke(scene, table + PAIR_INDEX * size, size, entry_of(table + PAGE, V));
    }
    uint64_t low_flags = low->flags & ~V && low->flags & V ? low->flags ^ flags : low->flags;
    uint64_t high_flags = high->flags & ~V && high->flags & V ? high->flags ^ flags : high->flags;
    scene_poke(scene, last + PAIR_INDEX * size, size, entry_of(low->physical ? low->physical : LOW_PAGE, low_flags));
    scene_poke(scene, last + (PAIR_INDEX + 1) * size, size,
               entry_of(high->physical ? high->physical : HIGH_PAGE, high_flags));
}

static uint64_t pair_address(const Scene *scene)
{
    unsigned bits = scene->model.mode == MODEL_SV32 ? 10 : 9;
    uint64_t address = 0;

    for (unsigned i = 0; i < model_levels(scene->model.mode); i++) {
        address |= (uint64_t)PAIR_INDEX << (12 + i * bits);
    }
    return address + PAGE;
}

static void check_offsets(Scene *scene, const HostileInsn *insn, unsigned privilege, bool from_machine)
{
    static const int16_t offsets[] = { -64, -33, -16, -15, -9, -8, -7, -6, -5, -4, -3,
                                       -2,  -1,  0,   1,   2,  3,  4,  7,  8,  62 };

    for (unsigned i = 0; i < G_N_ELEMENTS(offsets); i++) {
        uint64_t address = pair_address(scene) + (uint64_t)(int64_t)offsets[i];
        scene_check(scene, &(SceneAccess){ insn, scene->model.xlen == 32 ? (uint32_t)address : address, privilege,
                                           from_machine, .fence = i % 4 ? FENCE_NONE : FENCE_ALL });
    }
}

static void check_pair(Scene *scene, const PageKind *low, const PageKind *high, unsigned number)
{
    unsigned privilege = number % 2;
    bool from_machine = number / 2 % 3 == 2;

    scene->model.updates = number % 5 != 0;
    protect(scene, 1, low, false);
    protect(scene, 2, high, true);
    scene_apply(scene);
    bool every = low == &page_kinds[0] || high == &page_kinds[0]; /* else one in four */
    for (const HostileInsn *insn = hostile_insns; insn->name; insn++) {
        if (insn_exists(scene, insn) && (every || (insn - hostile_insns + number) % 4 == 0)) {
            scene_fill(scene);
            map_pair(scene, low, high, !privilege);
            scene_apply(scene);
            check_offsets(scene, insn, privilege, from_machine);
        }
    }
}

static void check_pairs(const Setting *setting, const char *engine)
{
    Scene *scene = scene_new(setting->model, engine, setting->mode);
    unsigned number = 0, kinds = G_N_ELEMENTS(page_kinds);

    for (unsigned low = 0; low < kinds; low++) {
        for (unsigned high = 0; high < kinds; high++) {
            check_pair(scene, &page_kinds[low], &page_kinds[high], number++);
        }
    }
    g_test_message("%s: %lu accesses, %lu faults", engine, (unsigned long)scene->cases, (unsigned long)scene->faults);
    scene_free(scene);
}

static void test_pairs(const void *setting)
{
    check_pairs(setting, "interp");
    check_pairs(setting, "tcg");
}

/* Ways from the one page into the other: jumps, branches, and what just goes on. */

static void check_way(Scene *scene, const HostileInsn *jump, int offset, uint32_t bits, unsigned number)
{
    static const unsigned privileges[] = { 0, 1, 1 };
    uint64_t address = pair_address(scene) + (uint64_t)(int64_t)offset;

    scene_poke(scene, LOW_PAGE + PAGE + (uint64_t)(int64_t)offset, (bits & 3) == 3 ? 4 : 2, bits);
    scene_check(scene, &(SceneAccess){ jump, scene->model.xlen == 32 ? (uint32_t)address : address,
                                       privileges[number % 3], false, .fence = FENCE_ALL });
}

static void check_ways(Scene *scene, const PageKind *low, const PageKind *high, unsigned number)
{
    const HostileInsn *jump = hostile_insns;

    while (jump->kind != HOSTILE_JUMP) {
        jump++;
    }
    scene->model.updates = number % 2;
    scene_fill(scene);
    map_pair(scene, low, high, number % 3 == 0);
    protect(scene, 1, low, false);
    protect(scene, 2, high, true);
    scene_apply(scene);
    check_way(scene, jump, -0x80, HOSTILE_JAL, number);
    check_way(scene, jump, -0x7c, HOSTILE_BRANCH, number);
    check_way(scene, jump, -0x78, HOSTILE_SHORT_JUMP, number);
    check_way(scene, jump, -0x40, HOSTILE_SHORT_BRANCH, number);
    check_way(scene, jump, -4, HOSTILE_NOP, number);
    check_way(scene, jump, -2, HOSTILE_SHORT_NOP, number);
}

static void check_jumps(const Setting *setting, const char *engine)
{
    Scene *scene = scene_new(setting->model, engine, setting->mode);
    unsigned number = 0, kinds = G_N_ELEMENTS(page_kinds);

    for (unsigned low = 0; low < kinds; low++) {
        for (unsigned high = 0; high < kinds; high++, number++) {
            check_ways(scene, &page_kinds[low], &page_kinds[high], number);
        }
    }
    g_test_message("%s: %lu jumps, %lu faults", engine, (unsigned long)scene->cases, (unsigned long)scene->faults);
    scene_free(scene);
}

static void test_jumps(const void *setting)
{
    check_jumps(setting, "interp");
    check_jumps(setting, "tcg");
}

/* Random tables. */

enum { BLOCK_INDEX = 0x10 };
static const unsigned indices[] = { 0, 1, 3, BLOCK_INDEX, 0x20, 0x21, 0x2f, 0x1ff };

static uint64_t pick(GRand *rand, const uint64_t *values, unsigned count)
{
    return values[g_rand_int_range(rand, 0, (int)count)];
}
#define PICK(rand, ...) \
    pick(rand, (const uint64_t[]){ __VA_ARGS__ }, G_N_ELEMENTS(((const uint64_t[]){ __VA_ARGS__ })))

static bool chance(GRand *rand, unsigned percent)
{
    return g_rand_int_range(rand, 0, 100) < (int)percent;
}

static uint64_t random_table(GRand *rand)
{
    return SCENE_TABLES + (uint64_t)g_rand_int_range(rand, 0, SCENE_TABLE_COUNT) * PAGE;
}

static uint64_t random_page(GRand *rand)
{
    return SCENE_DATA + (uint64_t)g_rand_int_range(rand, 0, SCENE_DATA_PAGES) * PAGE;
}

static uint64_t random_word(GRand *rand)
{
    return (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);
}

static uint64_t leaf_flags(GRand *rand)
{
    uint64_t rights = PICK(rand, R, R | W, R | W, R | W | X, R | W | X, R | X, X);
    uint64_t marks = PICK(rand, A | D, A | D, A | D, A, 0, D);

    return V | rights | marks | (chance(rand, 40) ? U : 0) | (chance(rand, 20) ? 0x300 : 0);
}

/* What nobody in his right mind would write. */
static uint64_t strange_entry(GRand *rand)
{
    uint64_t plain = entry_of(random_page(rand), leaf_flags(rand));

    switch (g_rand_int_range(rand, 0, 9)) {
    case 0:
        return plain ^ R;
    case 1:
        return plain | UINT64_C(1) << g_rand_int_range(rand, 54, 64);
    case 2:
        return plain | PICK(rand, 1, 2, 3) << 61;
    case 3:
        return entry_of(PICK(rand, SCENE_DATA + 0x8000, SCENE_DATA + 0x8000, SCENE_DATA, SCENE_DATA + 0x4000,
                             SCENE_DATA + 0x9000), leaf_flags(rand)) | UINT64_C(1) << 63;
    case 4:
        return entry_of(PICK(rand, SCENE_HOLE, SCENE_DEVICE, SCENE_ROM, UINT64_C(0x3ffffffff000)), leaf_flags(rand));
    case 5:
        return entry_of(PICK(rand, SCENE_HOLE, SCENE_DEVICE, SCENE_ROM, UINT64_C(0x3ffffffff000)), V);
    case 6:
        return entry_of(random_table(rand), V | PICK(rand, U, A, D, A | D) | PICK(rand, 0, R));
    case 7:
        return entry_of(random_table(rand), V) | UINT64_C(1) << g_rand_int_range(rand, 54, 64);
    default:
        return random_word(rand);
    }
}

static uint64_t random_entry(GRand *rand)
{
    int kind = g_rand_int_range(rand, 0, 100);

    return kind < 40   ? entry_of(random_table(rand), V)
           : kind < 70 ? entry_of(random_page(rand), leaf_flags(rand))
           : kind < 74 ? entry_of(random_table(rand), leaf_flags(rand)) /* tables that are data */
           : kind < 92 ? entry_of(PICK(rand, TEST_RAM_BASE, TEST_RAM_BASE, 0), leaf_flags(rand)) /* large */
           : kind < 94 ? 0
                       : strange_entry(rand);
}

/* Entries that all spaces share are there only where each change of the space is fenced. Blocks of pages may be taken
 * for one page whatever the other entries in them are, so that they are where the others are never asked. */
static uint64_t allowed_entry(const Scene *scene, uint64_t place, uint64_t entry)
{
    bool block = scene->model.mode == MODEL_SV32 || (place & (PAGE - 1)) / 8 == BLOCK_INDEX;

    return entry & ~(scene->globals ? 0 : (uint64_t)G) & ~(block ? 0 : UINT64_C(1) << 63);
}

static unsigned random_index(GRand *rand)
{
    return indices[g_rand_int_range(rand, 0, G_N_ELEMENTS(indices))];
}

static uint64_t random_address(Scene *scene, GRand *rand)
{
    unsigned bits = scene->model.mode == MODEL_SV32 ? 10 : 9, levels = model_levels(scene->model.mode);
    uint64_t top = scene_top_address(scene, random_index(rand)), address = top;

    if (!levels) {
        address = PICK(rand, SCENE_DATA, SCENE_DATA + PAGE, SCENE_HOLE, SCENE_DEVICE, SCENE_ROM, SCENE_TABLES,
                       SCENE_CODE, random_word(rand));
    }
    for (unsigned i = 0; i + 1 < levels; i++) {
        address |= (uint64_t)random_index(rand) << (12 + i * bits);
    }
    address += PICK(rand, 0, 1, 2, 4, 8, 0x7f8, 0xff8, 0xffc, 0xffe, 0xfff, g_rand_int_range(rand, 0, PAGE));
    if (chance(rand, 3)) {
        address ^= UINT64_C(1) << g_rand_int_range(rand, 38, 64); /* often no address at all */
    }
    return scene->model.xlen == 32 ? (uint32_t)address : address;
}

static void random_protection(Scene *scene, GRand *rand)
{
    for (unsigned i = 1; i <= SCENE_FREE_PMP; i++) {
        uint64_t place = chance(rand, 50) ? random_table(rand) : random_page(rand);
        uint64_t small = place + random_index(rand) * model_entry_size(&scene->model);
        uint64_t rights = PICK(rand, 0, 1, 1, 3, 3, 5, 7, 7, 7), kind = PICK(rand, 0, 0, 0, 0, 1, 2, 3, 3);
        scene->model.pmpcfg[i] = (uint8_t)(kind << 3 | rights);
        scene->model.pmpaddr[i] = kind == 3 ? place >> 2 | (PICK(rand, 0, 1, PAGE / 8 - 1, PAGE / 8 - 1))
                                            : (chance(rand, 50) ? place : small) >> 2;
    }
}

static void random_tables(Scene *scene, GRand *rand)
{
    unsigned size = model_entry_size(&scene->model);

    for (unsigned table = 0; table < SCENE_TABLE_COUNT; table++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(indices); i++) {
            uint64_t place = SCENE_TABLES + table * PAGE + indices[i] * size;
            scene_poke(scene, place, size, allowed_entry(scene, place, random_entry(rand)));
        }
    }
    scene_poke(scene, SCENE_DEVICE, 8, allowed_entry(scene, SCENE_DEVICE, random_entry(rand)) & ~((uint64_t)G << 32));
}

static void choose_root(Scene *scene, GRand *rand)
{
    scene->model.root = chance(rand, 96) ? random_table(rand) : PICK(rand, SCENE_HOLE, SCENE_DEVICE, SCENE_ROM);
    uint64_t number = (scene->model.root - SCENE_TABLES) / PAGE;
    scene->asid = number < SCENE_TABLE_COUNT ? (unsigned)number : 16 + (scene->model.root >> 12 & 7); /* one's alone */
}

/* All anew, and forgotten. */
static void new_scene(Scene *scene, GRand *rand)
{
    bool open = chance(rand, 60);

    scene->globals = chance(rand, 30);
    scene_fill(scene);
    random_tables(scene, rand);
    random_protection(scene, rand);
    for (unsigned i = 1; i <= SCENE_FREE_PMP && open; i++) {
        scene->model.pmpcfg[i] = 0;
    }
    choose_root(scene, rand);
    scene->model.updates = chance(rand, 70);
    scene->model.svpbmt = scene->model.xlen == 64 && chance(rand, 50);
    scene_apply(scene);
}

static bool is_pointer(uint64_t entry)
{
    return (entry & (V | R | W | X)) == V;
}

/* The entry that the address ends at, another one. Fences for one page are for leaves alone. */
static SceneFence change_entry(Scene *scene, GRand *rand, uint64_t address)
{
    static const SceneFence fences[] = { FENCE_NONE, FENCE_NONE, FENCE_ALL, FENCE_PAGE, FENCE_PAGE_OF_SPACE };
    unsigned size = model_entry_size(&scene->model);
    uint64_t place = 0;

    bool found = model_last_entry(&scene->model, address, &place);
    unsigned index = (unsigned)(place & (PAGE - 1)) / size;
    bool code = index == SCENE_SUPERVISOR_INDEX || index == SCENE_USER_INDEX;
    if (scene->kept_count == SCENE_SNAPSHOTS || !found || code ||
        place - SCENE_TABLES >= SCENE_TABLE_COUNT * PAGE) {
        return FENCE_ALL;
    }
    SceneFence fence = fences[g_rand_int_range(rand, 0, scene->globals ? 4 : 5)];
    uint64_t entry = scene_peek(scene, place, size);
    uint64_t other = chance(rand, 50) ? random_entry(rand) : entry ^ 1u << g_rand_int_range(rand, 0, 8);
    scene_keep(scene);
    scene_poke(scene, place, size, allowed_entry(scene, place, other));
    return is_pointer(entry) || is_pointer(other) ? FENCE_ALL : fence;
}

static const HostileInsn *random_insn(Scene *scene, GRand *rand)
{
    const HostileInsn *insn;
    unsigned count = 0;

    while (hostile_insns[count].name) {
        count++;
    }
    do {
        insn = &hostile_insns[g_rand_int_range(rand, 0, (int)count)];
    } while (!insn_exists(scene, insn));
    return insn;
}

/* Into its page, where it lies on two, or jumps to the edge. */
static uint64_t on_one_page(const HostileInsn *insn, uint64_t address)
{
    unsigned size = insn->kind == HOSTILE_JUMP ? 4 : MAX(insn->size, 1);
    return (address & (PAGE - 1)) + size > PAGE ? address & ~UINT64_C(63) : address;
}

/* Mostly one where something is: by chance alone hardly any is. */
static uint64_t other_address(Scene *scene, GRand *rand, unsigned privilege)
{
    bool any = chance(rand, 25);
    uint64_t address = 0;

    for (unsigned i = 0; i < 40; i++) {
        address = random_address(scene, rand);
        if (any || scene_reaches(scene, address, privilege)) {
            break;
        }
    }
    return address;
}

static void random_access(Scene *scene, GRand *rand, uint64_t *address)
{
    SceneAccess access = { .insn = random_insn(scene, rand), .privilege = (unsigned)PICK(rand, 0, 1, 1, 1) };

    *address = chance(rand, 50) ? *address : other_address(scene, rand, access.privilege);
    access.from_machine = chance(rand, 30);
    access.sum = chance(rand, 40);
    access.mxr = chance(rand, 20);
    access.fence = scene->model.mode != MODEL_BARE && chance(rand, 40) ? change_entry(scene, rand, *address)
                   : chance(rand, 20)                                  ? FENCE_ALL
                                                                       : FENCE_NONE;
    if (chance(rand, 10)) {
        choose_root(scene, rand);
        access.fence = scene->globals ? FENCE_ALL : access.fence;
    }
    if (scene->kept_count && access.insn->kind == HOSTILE_RESERVE) {
        access.fence = FENCE_ALL; /* it is two accesses: each may be by another translation */
    }
    bool block = (*address >> 12 & 0x1ff) == BLOCK_INDEX;
    access.address = access.fence == FENCE_ALL && !block ? *address : on_one_page(access.insn, *address);
    scene_check(scene, &access);
}

static void check_random(const Setting *setting, const char *engine)
{
    Scene *scene = scene_new(setting->model, engine, setting->mode);
    GRand *rand = g_rand_new_with_seed((guint32)first_seed);
    uint64_t address = 0;

    for (unsigned long i = 0; i < case_count; i++) {
        if (i % 16 == 0) {
            new_scene(scene, rand);
        }
        random_access(scene, rand, &address);
    }
    g_test_message("%s: %lu accesses, %lu faults, %lu by translations that were remembered", engine,
                   (unsigned long)scene->cases, (unsigned long)scene->faults, (unsigned long)scene->remembered);
    g_rand_free(rand);
    scene_free(scene);
}

static void test_random(const void *setting)
{
    check_random(setting, "interp");
    check_random(setting, "tcg");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    case_count = argc > 1 ? strtoul(argv[1], NULL, 0) : case_count;
    first_seed = argc > 2 ? strtoul(argv[2], NULL, 0) : first_seed;
    for (unsigned i = 0; i < G_N_ELEMENTS(settings); i++) {
        g_autofree char *pairs = g_strdup_printf("/guest/riscv/hostile/pairs/%s", settings[i].name);
        g_autofree char *random = g_strdup_printf("/guest/riscv/hostile/random/%s", settings[i].name);
        g_autofree char *jumps = g_strdup_printf("/guest/riscv/hostile/jumps/%s", settings[i].name);
        if (settings[i].mode != MODEL_BARE) {
            g_test_add_data_func(pairs, &settings[i], test_pairs);
            g_test_add_data_func(jumps, &settings[i], test_jumps);
        }
        g_test_add_data_func(random, &settings[i], test_random);
    }
    hostile_add_thread_tests();
    return g_test_run();
}
