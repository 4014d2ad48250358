#include "hostile_model.h"

#include "base/bytes.h"
#include "guest/riscv/internal.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

enum {
    CODE_PAGES = 16,
    SLOT_BYTES = 32,
    STUB = TEST_RAM_BASE & 0xffffffff,
    HANDLER_OFFSET = 0x400,
    STUB_BYTES = 64,
    STUB_FENCE = 3, /* bits of a stub's number: a SceneFence */
    STUB_MACHINE = 4,
    STUBS = 8,
    FINISHER = 0x100000,
    CLINT = 0x2000000,
    CLINT_SIZE = 0x10000,
};
#define CASE_LIMIT 10000

/* The scene's memory, as the model sees it. */

static uint8_t *place_of(SceneMemory *memory, uint64_t physical, unsigned size)
{
    if (physical - TEST_RAM_BASE < SCENE_RAM_SIZE && physical - TEST_RAM_BASE + size <= SCENE_RAM_SIZE) {
        return memory->ram + (physical - TEST_RAM_BASE);
    }
    if (physical - SCENE_DEVICE < 8 && physical - SCENE_DEVICE + size <= 8) {
        return (uint8_t *)&memory->device + (physical - SCENE_DEVICE);
    }
    return NULL;
}

/* The machine has more RAM than the scene, and more devices. */
static bool is_elsewhere(uint64_t physical)
{
    bool timer = physical - CLINT < CLINT_SIZE && physical - SCENE_DEVICE >= 4096;
    return timer || physical - TEST_RAM_BASE < TEST_RAM_SIZE || physical - FINISHER < 4096;
}

bool scene_load(Scene *scene, SceneMemory *memory, uint64_t physical, unsigned size, uint64_t *value)
{
    const uint8_t *place = place_of(memory, physical, size);

    if (!place && physical - SCENE_ROM < TEST_ROM_SIZE) {
        place = scene->machine->rom + (physical - SCENE_ROM);
    }
    *value = place ? load_le(place, size) : 0;
    scene->outside |= !place && is_elsewhere(physical);
    return place;
}

bool scene_store(Scene *scene, SceneMemory *memory, uint64_t physical, unsigned size, uint64_t value)
{
    uint8_t *place = place_of(memory, physical, size);

    if (place) {
        g_assert_cmpuint(scene->journal_count, <, SCENE_JOURNAL);
        scene->journal[scene->journal_count++] = (struct SceneUndo){ place, (uint8_t)size, load_le(place, size) };
        store_le(place, size, value);
    }
    scene->outside |= !place && is_elsewhere(physical);
    return place;
}

void scene_undo(Scene *scene)
{
    while (scene->journal_count) {
        const struct SceneUndo *last = &scene->journal[--scene->journal_count];
        store_le(last->place, last->size, last->value);
    }
}

static bool walker_load(void *memory, uint64_t physical, unsigned size, uint64_t *value)
{
    Scene *scene = memory;
    return scene_load(scene, scene->view, physical, size, value);
}

static bool walker_store(void *memory, uint64_t physical, unsigned size, uint64_t value)
{
    Scene *scene = memory;
    return scene_store(scene, scene->view, physical, size, value);
}

/* Code. */

static void write_code(Scene *scene, uint64_t address, const uint32_t *words, unsigned count)
{
    test_machine_write(scene->machine, address, words, count * sizeof *words);
}

/* t0 = satp, t1 = mstatus, t2 = where to, t3 = the space's number. */
static void write_stubs(Scene *scene)
{
    static const uint32_t handler[] = { 0x00100fb7, 0x000fa023, 0x0000006f }; /* the finisher is told; x31 is lost */
    static const uint32_t fences[] = {
        [FENCE_NONE] = 0x00000013,          /* nop */
        [FENCE_ALL] = 0x12000073,           /* sfence.vma */
        [FENCE_PAGE] = 0x12050073,          /* sfence.vma a0, x0 */
        [FENCE_PAGE_OF_SPACE] = 0x13c50073, /* sfence.vma a0, t3 */
    };

    for (unsigned stub = 0; stub < STUBS; stub++) {
        uint32_t words[8];
        unsigned count = 0;
        words[count++] = 0x18029073; /* csrw satp, t0 */
        words[count++] = fences[stub & STUB_FENCE];
        words[count++] = 0x0000100f; /* fence.i */
        words[count++] = 0x30031073; /* csrw mstatus, t1 */
        if (stub & STUB_MACHINE) {
            words[count++] = 0x00038067; /* jr t2 */
        } else {
            words[count++] = 0x34139073; /* csrw mepc, t2 */
            words[count++] = 0x30200073; /* mret */
        }
        write_code(scene, STUB + stub * STUB_BYTES, words, count);
    }
    write_code(scene, STUB + HANDLER_OFFSET, handler, G_N_ELEMENTS(handler));
}

static uint64_t slot_of(const HostileInsn *insn)
{
    return SCENE_CODE + (uint64_t)(insn - hostile_insns) * SLOT_BYTES;
}

static void write_slots(Scene *scene)
{
    for (const HostileInsn *insn = hostile_insns; insn->name; insn++) {
        uint8_t bytes[12];
        unsigned length = insn->bytes;
        store_le32(bytes, insn->bits);
        if (insn->second) {
            store_le32(bytes + length, insn->second);
            length += 4;
        }
        store_le32(bytes + length, EBREAK);
        test_machine_write(scene->machine, slot_of(insn), bytes, length + 4);
    }
}

/* Each place of two bytes is a short ebreak, but for the ones at edges of pages, which are a long one across them. */
static void fill_with_breaks(uint8_t *page)
{
    for (unsigned i = 2; i < 4094; i += 2) {
        store_le16(page + i, SHORT_EBREAK);
    }
    store_le16(page + 4094, EBREAK & 0xffff);
    store_le16(page, EBREAK >> 16);
}

uint64_t scene_top_address(const Scene *scene, unsigned index)
{
    unsigned bits = scene->model.mode == MODEL_SV32 ? 10 : 9;
    unsigned shift = 12 + bits * (model_levels(scene->model.mode) - 1);
    uint64_t address = (uint64_t)index << shift;

    return scene->model.xlen == 32 ? address : (uint64_t)sign_extend(address, shift + bits);
}

/* The code page in the page that the highest table's entry is about. */
uint64_t scene_code_address(const Scene *scene, const SceneAccess *access)
{
    uint64_t slot = slot_of(access->insn), first = scene_top_address(scene, 1);

    if (access->from_machine || access->privilege == 3 || scene->model.mode == MODEL_BARE) {
        return slot;
    }
    unsigned index = access->privilege == 1 ? SCENE_SUPERVISOR_INDEX : SCENE_USER_INDEX;
    return scene_top_address(scene, index) + (slot & (first - 1));
}

void scene_poke(Scene *scene, uint64_t physical, unsigned size, uint64_t value)
{
    scene_store(scene, &scene->now, physical, size, value);
    scene->journal_count = 0;
    scene->machine->mtimecmp = scene->now.device;
    if (physical - TEST_RAM_BASE < SCENE_RAM_SIZE) {
        store_le(scene->machine->ram + (physical - TEST_RAM_BASE), size, value);
    }
}

void scene_keep(Scene *scene)
{
    memmove(&scene->kept[1], &scene->kept[0], (SCENE_SNAPSHOTS - 1) * sizeof scene->kept[0]);
    scene->kept[0] = scene->now;
    g_assert_cmpuint(scene->kept_count, <, SCENE_SNAPSHOTS);
    scene->kept_count++;
}

uint64_t scene_peek(const Scene *scene, uint64_t physical, unsigned size)
{
    uint64_t value;

    scene_load((Scene *)scene, (SceneMemory *)&scene->now, physical, size, &value);
    return value;
}

void scene_fill(Scene *scene)
{
    unsigned size = model_entry_size(&scene->model);
    uint64_t first = scene->model.mode == MODEL_BARE ? 0 : scene_top_address(scene, 1);
    uint64_t entry = (TEST_RAM_BASE & ~(first - 1)) >> 2 | 0x4b; /* A, X, R, V */

    memcpy(scene->now.ram, scene->machine->ram, CODE_PAGES * 4096);
    memset(scene->now.ram + CODE_PAGES * 4096, 0, SCENE_RAM_SIZE - CODE_PAGES * 4096);
    for (unsigned i = 0; i < SCENE_DATA_PAGES; i++) {
        fill_with_breaks(scene->now.ram + (SCENE_DATA - TEST_RAM_BASE) + i * 4096);
    }
    for (unsigned i = 0; i < SCENE_TABLE_COUNT; i++) {
        uint8_t *table = scene->now.ram + (SCENE_TABLES - TEST_RAM_BASE) + i * 4096;
        store_le(table + SCENE_SUPERVISOR_INDEX * size, size, entry);
        store_le(table + SCENE_USER_INDEX * size, size, entry | 0x10);
    }
    memcpy(scene->machine->ram, scene->now.ram, SCENE_RAM_SIZE);
}

void scene_apply(Scene *scene)
{
    RiscvState *state = riscv_state(scene->machine->cpu);
    const WalkModel *model = &scene->model;

    for (unsigned i = 0; i < MODEL_PMP_ENTRIES; i++) {
        state->pmpcfg[i] = model->pmpcfg[i];
        state->pmpaddr[i] = model->pmpaddr[i];
    }
    riscv_pmp_derive(scene->machine->cpu);
    state->menvcfg = ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | (model->svpbmt ? MENVCFG_PBMTE : 0) |
                     (model->updates ? MENVCFG_ADUE : 0);
    state->senvcfg = ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE;
    riscv_translation_changed(scene->machine->cpu);
    scene->kept_count = 0;
}

Scene *scene_new(const char *model, const char *engine, ModelMode mode)
{
    Scene *scene = g_new0(Scene, 1);

    g_setenv("MYNA_TEST_ENGINE", engine, true);
    scene->machine = test_machine_new(model);
    g_unsetenv("MYNA_TEST_ENGINE");
    const RiscvConfig *config = riscv_config(scene->machine->cpu);
    scene->view = &scene->now;
    scene->model = (WalkModel){ .xlen = config->xlen,
                                .mode = mode,
                                .root = SCENE_TABLES,
                                .svnapot = config->svnapot,
                                .svpbmt = config->svpbmt,
                                .updates = true,
                                .load = walker_load,
                                .store = walker_store,
                                .memory = scene };
    scene->model.pmpcfg[0] = 0x1d; /* a power of two, read and execute */
    scene->model.pmpaddr[0] = TEST_RAM_BASE >> 2 | (CODE_PAGES * 4096 / 8 - 1);
    scene->model.pmpcfg[MODEL_PMP_ENTRIES - 1] = 0x1f;
    scene->model.pmpaddr[MODEL_PMP_ENTRIES - 1] = config->xlen == 64 ? mask_bits(54) : UINT32_MAX;
    write_stubs(scene);
    write_slots(scene);
    fill_with_breaks(scene->machine->rom);
    riscv_state(scene->machine->cpu)->mtvec = STUB + HANDLER_OFFSET;
    scene_fill(scene);
    scene_apply(scene);
    return scene;
}

void scene_free(Scene *scene)
{
    test_machine_free(scene->machine);
    g_free(scene);
}

bool scene_reaches(Scene *scene, uint64_t address, unsigned privilege)
{
    uint64_t physical[MODEL_BYTES], value;
    ModelFault fault;

    scene->model.privilege = privilege;
    bool reaches = model_translate(&scene->model, address, 1, MODEL_LOAD, MODEL_LOAD, physical, &fault) &&
                   scene_load(scene, &scene->now, physical[0], 1, &value);
    scene_undo(scene);
    return reaches;
}

/* Running it. */

static uint64_t satp_of(const Scene *scene)
{
    uint64_t number = scene->model.root >> 12;

    return scene->model.xlen == 64 ? (uint64_t)scene->model.mode << 60 | (uint64_t)scene->asid << 44 | number
                                   : (uint64_t)scene->model.mode << 31 | (uint64_t)scene->asid << 22 | number;
}

static void run(Scene *scene, const SceneAccess *access)
{
    Cpu *cpu = scene->machine->cpu;
    RiscvState *state = riscv_state(cpu);
    bool machine = access->from_machine || access->privilege == 3;
    unsigned stub = access->fence | (machine ? STUB_MACHINE : 0);

    state->x[5] = satp_of(scene);
    state->x[6] = access->privilege << MSTATUS_MPP_SHIFT | MSTATUS_FS | (access->sum ? MSTATUS_SUM : 0) |
                  (access->mxr ? MSTATUS_MXR : 0) | (access->from_machine ? MSTATUS_MPRV : 0);
    state->x[7] = scene_code_address(scene, access);
    state->x[28] = scene->asid;
    cpu->guest->set_pc(cpu, STUB + stub * STUB_BYTES);
    state->mcause = state->mtval = state->mepc = UINT64_C(0xbad);
    scene->machine->finished = false;
    test_machine_run(scene->machine, CASE_LIMIT);
}

/* Loads are told apart by what they read. */
static void registers_before(Scene *scene, const SceneAccess *access, HostileRegisters *registers)
{
    RiscvState *state = riscv_state(scene->machine->cpu);
    uint64_t number = scene->cases;

    state->x[1] = 1;
    state->x[X_ADDRESS] = access->address;
    for (unsigned i = X_RESULT; i < X_RESULT + 4; i++) {
        number = (number + i) * UINT64_C(0x9e3779b97f4a7c15);
        state->x[i] = scene->model.xlen == 64 ? number : (uint32_t)number;
        state->f[i] = number;
    }
    if (number & 0x400) { /* what amocas may find */
        uint64_t found = UINT64_C(0x9002900290029002) & mask_bits(scene->model.xlen);
        state->x[X_RESULT] = state->x[X_RESULT + 1] = found;
    }
    memcpy(registers->x, state->x, sizeof registers->x);
    memcpy(registers->f, state->f, sizeof registers->f);
}

/* x5 to x7, x28 and x31 are the stubs' own. */
static bool registers_agree(const Scene *scene, const HostileRegisters *expected)
{
    const RiscvState *state = riscv_state(scene->machine->cpu);
    bool same = state->x[1] == expected->x[1];

    for (unsigned i = 8; i < 31; i++) {
        same &= i == 28 || state->x[i] == expected->x[i];
    }
    return same && !memcmp(state->f, expected->f, sizeof expected->f);
}

static bool data_agrees(const Scene *scene)
{
    size_t start = SCENE_DATA - TEST_RAM_BASE;

    return scene->machine->mtimecmp == scene->now.device &&
           !memcmp(scene->machine->ram + start, scene->now.ram + start, SCENE_RAM_SIZE - start);
}

/* Where a remembered translation was used, its entry may have been looked at again, and marked. */
static bool tables_agree(const Scene *scene, bool marked)
{
    const uint8_t *left = scene->machine->ram + (SCENE_TABLES - TEST_RAM_BASE);
    const uint8_t *right = scene->now.ram + (SCENE_TABLES - TEST_RAM_BASE);
    unsigned size = model_entry_size(&scene->model), different = 0;

    if (!marked) {
        return !memcmp(left, right, SCENE_TABLE_COUNT * 4096);
    }
    for (unsigned i = 0; i < SCENE_TABLE_COUNT * 4096; i += size) {
        uint64_t is = load_le(left + i, size), was = load_le(right + i, size);
        different |= (is ^ was) & ~UINT64_C(0xc0) || (is & was) != was;
    }
    return !different;
}

static bool outcome_agrees(const Scene *scene, const HostileOutcome *expected, bool marked)
{
    const RiscvState *state = riscv_state(scene->machine->cpu);

    return scene->machine->finished && state->mcause == expected->fault.cause &&
           state->mtval == expected->fault.address && state->mepc == expected->pc &&
           registers_agree(scene, &expected->registers) && data_agrees(scene) && tables_agree(scene, marked);
}

static void report_walk(const Scene *scene, uint64_t address)
{
    unsigned bits = scene->model.mode == MODEL_SV32 ? 10 : 9, size = model_entry_size(&scene->model);
    uint64_t table = scene->model.root;

    for (unsigned level = model_levels(scene->model.mode); level-- > 0;) {
        uint64_t place = table + (address >> (12 + level * bits) & mask_bits(bits)) * size;
        uint64_t entry = scene_peek(scene, place, size);
        g_printerr("  level %u: entry at %#" PRIx64 ": %#" PRIx64 "\n", level, place, entry);
        table = bits_extract(entry, 10, 44) << 12;
    }
}

static void report_memory(const Scene *scene)
{
    unsigned reported = 0;

    for (size_t i = SCENE_TABLES - TEST_RAM_BASE; i < SCENE_RAM_SIZE && reported < 8; i++) {
        if (scene->machine->ram[i] != scene->now.ram[i]) {
            g_printerr("  byte at %#" PRIx64 ": is %02x, should be %02x\n", TEST_RAM_BASE + i, scene->machine->ram[i],
                       scene->now.ram[i]);
            reported++;
        }
    }
}

static void report(const Scene *scene, const SceneAccess *access, const HostileOutcome *expected)
{
    const RiscvState *state = riscv_state(scene->machine->cpu);

    g_printerr("case %" PRIu64 ": %s at %#" PRIx64 ", privilege %u%s, sum %d, mxr %d, updates %d, fence %d, kept %u\n",
               scene->cases, access->insn->name, access->address, access->privilege,
               access->from_machine ? " by MPRV" : "", access->sum, access->mxr, scene->model.updates,
               (int)access->fence, scene->kept_count);
    g_printerr("  finished %d; cause %" PRIu64 ", should be %u\n", scene->machine->finished, state->mcause,
               expected->fault.cause);
    g_printerr("  value %#" PRIx64 ", should be %#" PRIx64 "; pc %#" PRIx64 ", should be %#" PRIx64 "\n", state->mtval,
               expected->fault.address, state->mepc, expected->pc);
    for (unsigned i = X_RESULT; i < X_RESULT + 4; i++) {
        g_printerr("  x%u: is %#" PRIx64 ", should be %#" PRIx64 "\n", i, state->x[i], expected->registers.x[i]);
    }
    report_walk(scene, access->address);
    report_memory(scene);
    g_error("%s", access->insn->name);
}

/* By the entries as they were at one time or another. */
static bool was_remembered(Scene *scene, const SceneAccess *access, const HostileRegisters *before)
{
    bool found = false;

    for (unsigned i = 0; i < scene->kept_count && !found; i++) {
        HostileOutcome expected = { .registers = *before };
        scene_undo(scene);
        scene->view = &scene->kept[i];
        hostile_model(scene, access, &expected);
        found = scene->outside || expected.unknown || outcome_agrees(scene, &expected, true);
    }
    scene->view = &scene->now;
    return found;
}

/* Marks that were made on another way than the model's. */
static void take_over(Scene *scene)
{
    memcpy(scene->now.ram, scene->machine->ram, SCENE_RAM_SIZE);
    scene->now.device = scene->machine->mtimecmp;
    scene->fence_is_due = true; /* for all that is known */
    scene->remembered++;
}

static void run_and_compare(Scene *scene, const SceneAccess *access, const HostileRegisters *before,
                            const HostileOutcome *expected)
{
    run(scene, access);
    scene->faults += expected->fault.cause != BREAKPOINT;
    if (outcome_agrees(scene, expected, false)) {
        return;
    }
    if (access->fence != FENCE_NONE || !was_remembered(scene, access, before)) {
        report(scene, access, expected);
    }
    take_over(scene);
}

/* Marks aside. */
static bool stored_to_tables(const Scene *scene)
{
    bool stored = false;

    for (unsigned i = 0; i < scene->journal_count; i++) {
        const struct SceneUndo *store = &scene->journal[i];
        uint64_t changed = (load_le(store->place, store->size) ^ store->value) & ~UINT64_C(0xc0);
        stored |= changed && store->place < scene->now.ram + (SCENE_DATA - TEST_RAM_BASE);
        stored |= changed && store->place >= (const uint8_t *)&scene->now.device;
    }
    return stored;
}

void scene_check(Scene *scene, const SceneAccess *given)
{
    SceneAccess access = *given;
    HostileOutcome expected = { 0 };
    HostileRegisters before;

    scene->cases++;
    access.fence = scene->fence_is_due ? FENCE_ALL : access.fence;
    registers_before(scene, &access, &before);
    expected.registers = before;
    scene->outside = false;
    hostile_model(scene, &access, &expected);
    if (expected.unknown || scene->outside) {
        scene_undo(scene);
        scene->fence_is_due |= access.fence == FENCE_ALL;
        return;
    }
    scene->kept_count = access.fence == FENCE_ALL ? 0 : scene->kept_count;
    scene->fence_is_due = false;
    run_and_compare(scene, &access, &before, &expected);
    scene->fence_is_due |= stored_to_tables(scene);
    scene->journal_count = 0;
}
