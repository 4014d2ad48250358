/*
 * From an IR block to host code, in one pass behind a backward one that finds last uses (values.c). Code that is rarely
 * run, and the exits' stubs, follow the block's own.
 */
#include "jit/x64/compile.h"

#include "jit/x64/internal.h"

static Lower *const lowerings[IR_OP_COUNT] = {
    [IR_OP_get] = lower_get,
    [IR_OP_set] = lower_set,
    [IR_OP_load] = lower_load,
    [IR_OP_store] = lower_store,
    [IR_OP_zero] = lower_zero,
    [IR_OP_load_linked... IR_OP_atomic_cas] = lower_atomic,
    [IR_OP_fence] = lower_fence,
    [IR_OP_fadd... IR_OP_funbox] = lower_float,
    [IR_OP_insn] = lower_insn,
    [IR_OP_args] = lower_args,
    [IR_OP_call] = lower_call,
    [IR_OP_label] = lower_label,
    [IR_OP_jump] = lower_jump,
    [IR_OP_branch] = lower_branch,
    [IR_OP_push_return] = lower_push_return,
    [IR_OP_goto] = lower_goto,
    [IR_OP_goto_value] = lower_goto_value,
    [IR_OP_exit] = lower_exit,
};

bool cold_add(Compiler *c, Cold cold)
{
    if (c->cold_count == MAXIMUM_COLD) {
        c->failed = true;
        return false;
    }
    c->cold[c->cold_count++] = cold;
    return true;
}

void *data_alloc(Compiler *c, size_t size)
{
    size = align_up(size, 8);
    if ((size_t)(c->data_end - c->data) < size) {
        c->no_room = true;
        return NULL;
    }
    void *memory = c->data;
    c->data += size;
    return memory;
}

void fill_point(const Compiler *c, CodePoint *point)
{
    point->insn = (uint16_t)(c->begun - 1);
    point->pc_offset = (uint16_t)(c->insn_pc - c->ir->pc);
    point->unsettled = float_unsettled(c);
}

static bool has_room(Compiler *c, size_t bytes)
{
    if ((size_t)(c->code.end - c->code.at) < bytes) {
        c->no_room = true;
    }
    return !c->no_room && !c->failed;
}

/* A block whose instruction goes on on another page: that page must be the one it was translated from. */
static void emit_guard(Compiler *c)
{
    size_t table = offsetof(Exec, tlb) + c->block->fetch_mmu_mode * sizeof(TlbTable);
    unsigned page_bits = c->common->layout.page_bits;
    uint64_t page = align_down(c->block->guard_pc, BIT(page_bits));
    uint8_t *places[2];

    x64_load_constant(&c->code, RCX, (uint32_t)((page >> page_bits) * sizeof(TlbEntry)));
    x64_alu(&c->code, X64_AND, 8, RCX, exec_operand(c->common, table + offsetof(TlbTable, offset_mask)));
    x64_alu(&c->code, X64_ADD, 8, RCX, exec_operand(c->common, table + offsetof(TlbTable, entries)));
    x64_load_constant(&c->code, RAX, page);
    x64_alu(&c->code, X64_CMP, 8, RAX, x64_memory(RCX, offsetof(TlbEntry, execute)));
    places[0] = x64_branch_short(&c->code, X64_NE);
    x64_load_constant(&c->code, RAX, c->block->guard_addend);
    x64_alu(&c->code, X64_CMP, 8, RAX, x64_memory(RCX, offsetof(TlbEntry, addend)));
    places[1] = x64_branch_short(&c->code, X64_NE);
    uint8_t *over = x64_jump_short(&c->code);
    x64_land_short(&c->code, places[0]);
    x64_land_short(&c->code, places[1]);
    x64_load_constant(&c->code, RAX, c->ir->pc);
    x64_jump(&c->code, c->common->exit_pc);
    x64_land_short(&c->code, over);
}

static void emit_count(Compiler *c)
{
    x64_alu_immediate(&c->code, X64_CMP, 8, EXEC(c, budget), c->ir->insn_count);
    uint8_t *enough = x64_branch_short(&c->code, X64_GE);
    x64_load_constant(&c->code, RAX, c->ir->pc);
    x64_jump(&c->code, c->common->exit_pc);
    x64_land_short(&c->code, enough);
    x64_alu_immediate(&c->code, X64_SUB, 8, EXEC(c, budget), c->ir->insn_count);
    x64_alu_immediate(&c->code, X64_ADD, 8, EXEC(c, insns), c->ir->insn_count);
}

static void emit_body(Compiler *c)
{
    c->body = x64_here(&c->code);
    if (c->block->guarded) {
        emit_guard(c);
    }
    if (c->flags & CODE_COUNTED) {
        emit_count(c);
    }
    for (c->now = 1; c->now < c->ir->count && has_room(c, ROOM_FOR_INST); c->now++) {
        const IrInst *inst = inst_of(c, c->now);
        Value *value = &c->values[c->now];
        if (value->dead || value->fused || inst->op == IR_OP_const) {
            continue;
        }
        if (ir_op_info[inst->op].effects[0] == 'E') {
            float_settle_all(c);
        }
        (lowerings[inst->op] ? lowerings[inst->op] : integer_lowerings[inst->op])(c, inst);
        c->locked = c->read = 0;
        release_operands(c);
        slots_free(c);
    }
}

static void emit_slow(Compiler *c, const Cold *cold)
{
    x64_land(&c->code, cold->from);
    if (cold->also) {
        x64_land(&c->code, cold->also);
    }
    if (cold->shares) {
        emit_tlb_entry(c, cold->place, cold->mode, cold->entry);
        x64_alu(&c->code, X64_CMP, 8, cold->tag, x64_memory(cold->entry, cold->tag_offset));
        x64_branch(&c->code, X64_E, cold->hit);
    }
    x64_r(&c->code, X64_PUSH, 4, RAX, 0);
    x64_rm(&c->code, X64_LEA, 8, RAX, x64_at(cold->data));
    x64_call(&c->code, c->common->slow);
    if (cold->renews) {
        emit_tlb_entry(c, cold->place, cold->mode, cold->entry);
    }
    x64_jump(&c->code, cold->back + c->code.run);
}

static void emit_stub(Compiler *c, CodeLink *link)
{
    link->stub = x64_here(&c->code);
    atomic_store_explicit(&link->target, link->stub, memory_order_relaxed);
    x64_rm(&c->code, X64_LEA, 8, RAX, x64_at(link));
    x64_jump(&c->code, c->common->exit_link);
}

/* The jumps to a link's stub when it has its place. */
static void land_at(uint8_t *place, const uint8_t *target)
{
    int32_t distance = (int32_t)(target - place);
    memcpy(place - 4, &distance, sizeof distance);
}

static void emit_cold(Compiler *c)
{
    if (has_room(c, c->float_cold_count * (size_t)ROOM_FOR_FLOAT_COLD)) {
        emit_float_cold(c);
    }
    for (uint32_t i = 0; i < c->cold_count && has_room(c, ROOM_FOR_COLD); i++) {
        const Cold *cold = &c->cold[i];
        if (cold->kind == COLD_SLOW) {
            emit_slow(c, cold);
        } else if (cold->kind == COLD_LINK) {
            emit_stub(c, cold->data);
        } else if (cold->kind == COLD_SITE) {
            emit_site_miss(c, cold);
        }
    }
    for (uint32_t i = 0; i < c->cold_count && has_room(c, 0); i++) {
        const Cold *cold = &c->cold[i];
        if (cold->kind == COLD_ATTENTION) {
            land_at(cold->from, (const uint8_t *)((CodeLink *)cold->data)->stub - c->code.run);
        }
    }
}

static bool falls_through(const IrInst *inst)
{
    return inst->op != IR_OP_jump && ir_op_info[inst->op].effects[0] != 'E';
}

static bool prepare_block(Compiler *c)
{
    unsigned links = 0;

    if (c->ir->count > MAXIMUM_VALUES || c->ir->label_count > MAXIMUM_LABELS) {
        c->failed = true;
        return false;
    }
    memset(c->label_places, 0, c->ir->label_count * sizeof *c->label_places);
    memset(c->label_sources, 0, c->ir->label_count * sizeof *c->label_sources);
    for (IrRef ref = 1; ref < c->ir->count; ref++) {
        const IrInst *inst = inst_of(c, ref);
        links += inst->op == IR_OP_goto || inst->op == IR_OP_push_return;
        if (inst->op == IR_OP_label) {
            c->label_position[inst->aux] = ref;
        }
        if (inst->op == IR_OP_jump || inst->op == IR_OP_branch ||
            (inst->op == IR_OP_label && falls_through(inst - 1))) {
            c->label_sources[inst->aux] = (uint8_t)MIN(c->label_sources[inst->aux] + 1, 2);
        }
    }
    c->block->links = links ? data_alloc(c, links * sizeof(CodeLink)) : NULL;
    values_init(c);
    return !c->no_room;
}

static CompileResult finish(Compiler *c, CodeSpace *space)
{
    CodePoint *points = c->point_count ? data_alloc(c, c->point_count * sizeof *points) : NULL;

    if (c->failed || c->no_room) {
        memset(space->data, 0, (size_t)(c->data - space->data)); /* as it was: the next one may be made there */
        return c->failed ? COMPILE_TOO_LARGE : COMPILE_NO_ROOM;
    }
    if (points) {
        memcpy(points, c->points, c->point_count * sizeof *points);
    }
    c->block->code = space->code;
    c->block->code_bytes = (uint32_t)(c->code.at - c->start);
    c->block->link_count = (uint16_t)c->link_count;
    c->block->points = points;
    c->block->point_count = (uint16_t)c->point_count;
    space->code_used = c->block->code_bytes;
    space->data_used = (size_t)(c->data - space->data);
    return COMPILE_DONE;
}

/* Numbers take AVX. */
static bool is_possible(const X64Common *common, const IrBlock *ir)
{
    for (IrRef ref = 1; ref < ir->count && !common->float_host.avx; ref++) {
        if (is_float((IrType)ir->insts[ref].type)) {
            return false;
        }
    }
    return true;
}

CompileResult x64_compile(CodeSpace *space, const void *common, const IrBlock *ir, const IrGuest *guest,
                          CodeBlock *block)
{
    Compiler compiler, *c = &compiler;

    if (!is_possible(common, ir)) {
        return COMPILE_CANNOT;
    }

    /* Not the arrays: what of them is used is cleared by values_init and prepare_block. */
    c->code = (X64Code){ space->code_write, space->code_write + space->code_room, space->code - space->code_write };
    c->start = space->code_write;
    c->common = common;
    c->ir = ir;
    c->guest = guest;
    c->block = block;
    c->data = space->data;
    c->data_end = space->data + space->data_room;
    c->flags = block->flags;
    c->failed = c->no_room = false;
    c->locked = c->read = 0;
    c->probe = (Probe){ 0 };
    c->insn_pc = ir->pc;
    c->begun = 0;
    c->float_cold_count = 0;
    c->cold_count = c->link_count = c->point_count = 0;
    block->insn_count = ir->insn_count;
    if (prepare_block(c) && has_room(c, ROOM_FOR_INST)) {
        emit_body(c);
        emit_cold(c);
    }
    return finish(c, space);
}
