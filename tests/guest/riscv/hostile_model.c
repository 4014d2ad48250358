#include "hostile_model.h"

#include "base/bytes.h"
#include "base/compiler.h"

#include <glib.h>
#include <string.h>

/* Byte by byte, as far as something answers. */
static bool move(Scene *scene, const uint64_t *physical, unsigned size, uint8_t *bytes, bool write, unsigned *failed)
{
    for (unsigned i = 0; i < size; i++) {
        uint64_t value = bytes[i];
        *failed = i;
        if (write ? !scene_store(scene, &scene->now, physical[i], 1, value)
                  : !scene_load(scene, &scene->now, physical[i], 1, &value)) {
            return false;
        }
        bytes[i] = (uint8_t)value;
    }
    return true;
}

static uint64_t truncated(const Scene *scene, uint64_t value)
{
    return scene->model.xlen == 64 ? value : (uint32_t)value;
}

/* All of it is translated before anything moves. */
static bool access_memory(Scene *scene, uint64_t address, unsigned size, bool write, ModelAccess blamed, uint8_t *bytes,
                          ModelFault *fault)
{
    uint64_t physical[MODEL_BYTES];
    unsigned failed;

    if (!model_translate(&scene->model, address, size, write ? MODEL_STORE : MODEL_LOAD, blamed, physical, fault)) {
        return false;
    }
    if (!move(scene, physical, size, bytes, write, &failed)) {
        *fault = (ModelFault){ blamed == MODEL_LOAD ? 5 : 7, truncated(scene, address + failed) };
        return false;
    }
    return true;
}

static uint64_t extended(const Scene *scene, const HostileInsn *insn, const uint8_t *bytes)
{
    unsigned size = MIN(insn->size, scene->model.xlen / 8);
    uint64_t value = load_le(bytes, size);

    return truncated(scene, insn->is_signed ? (uint64_t)sign_extend(value, size * 8) : value);
}

static bool model_plain(Scene *scene, const SceneAccess *access, HostileOutcome *out)
{
    const HostileInsn *insn = access->insn;
    HostileRegisters *registers = &out->registers;
    uint8_t bytes[MODEL_BYTES] = { 0 };

    if (insn->kind == HOSTILE_STORE) {
        store_le64(bytes, insn->is_fp ? registers->f[X_VALUE] : registers->x[X_VALUE]);
        return access_memory(scene, access->address, insn->size, true, MODEL_STORE, bytes, &out->fault);
    }
    if (!access_memory(scene, access->address, insn->size, false, MODEL_LOAD, bytes, &out->fault)) {
        return false;
    }
    if (insn->is_fp) {
        registers->f[X_RESULT] = load_le(bytes, insn->size) | (insn->size < 8 ? ~mask_bits(insn->size * 8u) : 0);
    } else {
        registers->x[X_RESULT] = extended(scene, insn, bytes);
    }
    return true;
}

/* What is read and written: allowed to be written first, and all faults are a store's. */
static bool model_modify(Scene *scene, const SceneAccess *access, HostileOutcome *out)
{
    const HostileInsn *insn = access->insn;
    uint64_t *x = out->registers.x, physical[MODEL_BYTES];
    unsigned half = scene->model.xlen / 8;
    uint8_t bytes[16], wanted[16], value[16];

    if (!model_translate(&scene->model, access->address, insn->size, MODEL_STORE, MODEL_STORE, physical, &out->fault) ||
        !access_memory(scene, access->address, insn->size, false, MODEL_STORE, bytes, &out->fault)) {
        return false;
    }
    store_le(wanted, half, x[X_RESULT]);
    store_le(wanted + half, half, x[X_RESULT + 1]);
    store_le(value, half, x[X_RESULT + 2]);
    store_le(value + half, half, x[X_RESULT + 3]);
    if (insn->kind == HOSTILE_ADD) {
        store_le(value, insn->size, load_le(bytes, insn->size) + x[X_VALUE]);
    } else if (memcmp(bytes, wanted, insn->size)) {
        memcpy(value, bytes, sizeof value); /* it is written, but not changed */
    }
    if (!access_memory(scene, access->address, insn->size, true, MODEL_STORE, value, &out->fault)) {
        return false;
    }
    x[X_RESULT] = extended(scene, insn, bytes);
    if (insn->size > half) {
        x[X_RESULT + 1] = load_le(bytes + half, half);
    }
    return true;
}

/* Marking its own entry may be what a reservation is lost by. */
static bool model_reserve(Scene *scene, const SceneAccess *access, HostileOutcome *out)
{
    unsigned size = access->insn->size;
    uint64_t *x = out->registers.x, physical[MODEL_BYTES];
    uint8_t bytes[8] = { 0 }, again[8] = { 0 };

    if (!access_memory(scene, access->address, size, false, MODEL_LOAD, bytes, &out->fault)) {
        return false;
    }
    x[X_RESULT + 2] = extended(scene, access->insn, bytes);
    out->pc += 4;
    if (!model_translate(&scene->model, access->address, size, MODEL_STORE, MODEL_STORE, physical, &out->fault) ||
        !access_memory(scene, access->address, size, false, MODEL_STORE, again, &out->fault)) {
        return false;
    }
    bool lost = memcmp(bytes, again, size);
    store_le64(again, lost ? load_le64(again) : x[X_VALUE]);
    if (!access_memory(scene, access->address, size, true, MODEL_STORE, again, &out->fault)) {
        return false;
    }
    x[X_RESULT] = lost;
    return true;
}

/* Blocks of 64 bytes; what is raised is a store's, and names the address that was given. */
static bool model_block(Scene *scene, const SceneAccess *access, HostileOutcome *out)
{
    uint64_t block = access->address & ~UINT64_C(63), physical[MODEL_BYTES];
    uint8_t zeroes[MODEL_BYTES] = { 0 };
    bool done = access->insn->kind == HOSTILE_ZERO
                    ? access_memory(scene, block, 64, true, MODEL_STORE, zeroes, &out->fault)
                    : model_translate(&scene->model, block, 64, MODEL_LOAD, MODEL_STORE, physical, &out->fault);

    out->fault.address = access->address;
    return done;
}

/* Two bytes at a time. */
static bool fetch(Scene *scene, uint64_t pc, unsigned offset, uint64_t *half, HostileOutcome *out)
{
    uint64_t physical[MODEL_BYTES];

    out->pc = pc;
    if (!model_translate(&scene->model, pc + offset, 2, MODEL_FETCH, MODEL_FETCH, physical, &out->fault)) {
        return false;
    }
    if (!scene_load(scene, &scene->now, physical[0], 2, half)) {
        out->fault = (ModelFault){ 1, truncated(scene, pc + offset) };
        return false;
    }
    out->unknown |= physical[0] - SCENE_DATA >= SCENE_DATA_PAGES * 4096 && physical[0] - SCENE_ROM >= 4096;
    return true;
}

/* Where an instruction goes on, by its address; those that tests put in places. 0: not one of them. */
static int length_of_way(uint64_t bits)
{
    static const struct {
        uint32_t bits;
        int by;
    } rows[] = {
        { HOSTILE_NOP, 4 },       { HOSTILE_SHORT_NOP, 2 },        { HOSTILE_JAL, HOSTILE_FAR },
        { HOSTILE_BRANCH, HOSTILE_FAR }, { HOSTILE_SHORT_JUMP, HOSTILE_FAR }, { HOSTILE_SHORT_BRANCH, HOSTILE_NEAR },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].bits == bits) {
            return rows[i].by;
        }
    }
    return 0;
}

/* What is there is an ebreak, the end of one, a way to elsewhere, or what earlier cases have stored. */
static void model_jump(Scene *scene, const SceneAccess *access, HostileOutcome *out)
{
    uint64_t pc = access->address & ~UINT64_C(1), low, high;
    int by;

    if (access->from_machine) {
        scene->model.privilege = 3; /* MPRV is of loads and stores */
    }
    do {
        high = 0;
        if (!fetch(scene, pc, 0, &low, out) || ((low & 3) == 3 && !fetch(scene, pc, 2, &high, out))) {
            return;
        }
        by = length_of_way(low | high << 16);
        pc = truncated(scene, pc + (uint64_t)(int64_t)by);
    } while (by);
    if (low == SHORT_EBREAK || (low | high << 16) == EBREAK) {
        out->fault = (ModelFault){ BREAKPOINT, pc };
    } else if (low == EBREAK >> 16) {
        out->fault = (ModelFault){ ILLEGAL, low };
    } else {
        out->unknown = true;
    }
}

static bool is_misaligned(const SceneAccess *access)
{
    HostileKind kind = access->insn->kind;
    bool aligned = kind == HOSTILE_ADD || kind == HOSTILE_SWAP || kind == HOSTILE_RESERVE;
    return aligned && access->address & (access->insn->size - 1u);
}

/* True: it was done. */
static bool model_insn(Scene *scene, const SceneAccess *access, HostileOutcome *out)
{
    if (is_misaligned(access)) {
        out->fault = (ModelFault){ access->insn->kind == HOSTILE_RESERVE ? 4 : 6, access->address };
        return false;
    }
    switch (access->insn->kind) {
    case HOSTILE_LOAD:
    case HOSTILE_STORE:
        return model_plain(scene, access, out);
    case HOSTILE_ADD:
    case HOSTILE_SWAP:
        return model_modify(scene, access, out);
    case HOSTILE_RESERVE:
        return model_reserve(scene, access, out);
    case HOSTILE_ZERO:
    case HOSTILE_MANAGE:
        return model_block(scene, access, out);
    case HOSTILE_JUMP:
        model_jump(scene, access, out);
        return false;
    default:
        return true;
    }
}

void hostile_model(Scene *scene, const SceneAccess *access, HostileOutcome *out)
{
    const HostileInsn *insn = access->insn;
    uint64_t physical[MODEL_BYTES], code = scene_code_address(scene, access);

    out->pc = code;
    scene->model.sum = access->sum;
    scene->model.mxr = access->mxr;
    scene->model.privilege = access->from_machine ? 3 : access->privilege;
    if (!model_translate(&scene->model, code, 2, MODEL_FETCH, MODEL_FETCH, physical, &out->fault)) {
        return;
    }
    SceneAccess in_place = *access;
    in_place.from_machine = true;
    out->unknown = physical[0] != scene_code_address(scene, &in_place); /* a store made the entry lead elsewhere */
    if (insn->kind == HOSTILE_JUMP && insn->bits == 0x9502) { /* c.jalr */
        out->registers.x[1] = truncated(scene, code + 2);
    }
    scene->model.privilege = access->privilege;
    if (model_insn(scene, access, out)) {
        out->pc = code + insn->bytes + (insn->second ? 4 : 0);
        out->fault = (ModelFault){ BREAKPOINT, out->pc };
    }
}
