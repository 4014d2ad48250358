/* Instruction marks, labels, branches and ends. */
#include "jit/x64/internal.h"

void lower_insn(Compiler *c, const IrInst *inst)
{
    c->insn_pc = (uint64_t)inst->imm;
    c->begun++;
}

static void note_label(Compiler *c, unsigned label)
{
    c->label_begun[label] = c->begun;
    c->label_pc[label] = c->insn_pc;
}

/* Places that jump to a label are chained: the displacement of each holds the distance to the one before. */
static void chain_place(Compiler *c, unsigned label, uint8_t *place)
{
    uint8_t *before = c->label_places[label];
    int32_t distance = before ? (int32_t)(place - before) : 0;

    memcpy(place - 4, &distance, sizeof distance);
    c->label_places[label] = place;
    note_label(c, label);
}

void lower_jump(Compiler *c, const IrInst *inst)
{
    save_for_label(c, c->label_position[inst->aux]);
    float_before_jump(c, inst->aux);
    chain_place(c, inst->aux, x64_jump_forward(&c->code));
    float_jumped(c, inst->aux);
}

void lower_branch(Compiler *c, const IrInst *inst)
{
    X64Condition condition = X64_NE;

    save_for_label(c, c->label_position[inst->aux]);
    float_before_jump(c, inst->aux);
    if (c->values[inst->a].fused) {
        condition = lower_compare(c, inst_of(c, inst->a));
    } else {
        unsigned reg = use_register(c, inst->a);
        x64_rr(&c->code, X64_TEST_MR, operand_size((IrType)inst_of(c, inst->a)->type), reg, reg);
    }
    chain_place(c, inst->aux, x64_branch_forward(&c->code, condition));
    float_jumped(c, inst->aux);
}

void lower_label(Compiler *c, const IrInst *inst)
{
    unsigned label = inst->aux;

    save_for_label(c, c->now);
    float_before_jump(c, label);
    for (uint8_t *place = c->label_places[label], *before; place; place = before) {
        int32_t distance;
        memcpy(&distance, place - 4, sizeof distance);
        before = distance ? place - distance : NULL;
        x64_land(&c->code, place);
    }
    if (c->label_places[label]) {
        c->begun = c->label_begun[label];
        c->insn_pc = c->label_pc[label];
    }
    arrive_at_label(c);
    float_at_label(c, label);
}

/* Ends. */

/* Of counted code that leaves before the block's end: gives back the instructions that were not begun. */
static void count_exit(Compiler *c, uint32_t completed)
{
    int64_t ahead = (int64_t)c->ir->insn_count - completed;

    if (c->flags & CODE_COUNTED && ahead) {
        x64_alu_immediate(&c->code, X64_ADD, 8, EXEC(c, budget), ahead);
        x64_alu_immediate(&c->code, X64_SUB, 8, EXEC(c, insns), ahead);
    }
}

static bool crosses_page(const Compiler *c, uint64_t pc)
{
    return !(c->flags & CODE_DIRECT) && (pc ^ c->ir->pc) >> c->common->layout.page_bits;
}

static CodeLink *new_link(Compiler *c, uint64_t pc)
{
    CodeLink *link = &c->block->links[c->link_count++];

    link->pc = pc;
    link->cross_page = crosses_page(c, pc);
    return link;
}

static void poll_attention(Compiler *c, CodeLink *link)
{
    x64_alu_immediate(&c->code, X64_CMP, 4, EXEC(c, attention), 0);
    uint8_t *place = x64_branch_forward(&c->code, X64_NE);
    cold_add(c, (Cold){ .kind = COLD_ATTENTION, .from = place, .data = link });
}

/* The fetch TLB's entry of the target's page must be the one that the link was made for. */
static void compare_page(Compiler *c, CodeLink *link)
{
    const TlbTable *table = &((Exec *)0)->tlb[c->block->fetch_mmu_mode];
    size_t at = (size_t)(uintptr_t)table;
    unsigned page_bits = c->common->layout.page_bits;
    uint64_t page = align_down(link->pc, BIT(page_bits));
    uint8_t *places[2];

    x64_load_constant(&c->code, RCX, (uint32_t)((page >> page_bits) * sizeof(TlbEntry)));
    x64_alu(&c->code, X64_AND, 8, RCX, exec_operand(c->common, at + offsetof(TlbTable, offset_mask)));
    x64_alu(&c->code, X64_ADD, 8, RCX, exec_operand(c->common, at + offsetof(TlbTable, entries)));
    x64_load_constant(&c->code, RAX, page);
    x64_alu(&c->code, X64_CMP, 8, RAX, x64_memory(RCX, offsetof(TlbEntry, execute)));
    places[0] = x64_branch_forward(&c->code, X64_NE);
    x64_rm(&c->code, X64_MOV_RM, 8, RAX, x64_memory(RCX, offsetof(TlbEntry, addend)));
    x64_alu(&c->code, X64_CMP, 8, RAX, x64_at(&link->addend));
    places[1] = x64_branch_forward(&c->code, X64_NE);
    for (unsigned i = 0; i < 2; i++) {
        cold_add(c, (Cold){ .kind = COLD_ATTENTION, .from = places[i], .data = link });
    }
}

static void leave_to(Compiler *c, uint64_t pc)
{
    x64_load_constant(&c->code, RAX, pc);
    x64_jump(&c->code, c->common->exit_pc);
}

void lower_goto(Compiler *c, const IrInst *inst)
{
    uint64_t pc = (uint64_t)inst->imm;
    bool backwards = pc <= c->insn_pc;

    count_exit(c, c->begun);
    if (c->flags & CODE_NO_LINKS) {
        leave_to(c, pc);
        return;
    }
    CodeLink *link = new_link(c, pc);
    if (backwards) {
        poll_attention(c, link);
    }
    if (pc == c->ir->pc && !c->block->guarded) {
        x64_jump(&c->code, c->body);
    } else {
        if (link->cross_page) {
            compare_page(c, link);
        }
        x64_m(&c->code, X64_JMP, 4, x64_at(&link->target), 0);
    }
    cold_add(c, (Cold){ .kind = COLD_LINK, .data = link });
}

void lower_push_return(Compiler *c, const IrInst *inst)
{
    uint64_t pc = (uint64_t)inst->imm;

    if (c->flags & CODE_NO_LINKS || crosses_page(c, pc)) {
        return;
    }
    CodeLink *link = new_link(c, pc);
    unsigned top = scratch_register(c), value = scratch_register(c);
    x64_rm(&c->code, X64_MOV_RM, 4, top, EXEC(c, return_top));
    x64_alu_immediate(&c->code, X64_ADD, 4, x64_register(top), sizeof(ExecReturn));
    x64_alu_immediate(&c->code, X64_AND, 4, x64_register(top), (EXEC_RETURNS - 1) * sizeof(ExecReturn));
    x64_rm(&c->code, X64_MOV_MR, 4, top, EXEC(c, return_top));
    x64_alu(&c->code, X64_ADD, 8, top, EXEC(c, returns));
    store_constant(c, x64_memory(top, offsetof(ExecReturn, pc)), pc, value);
    x64_rm(&c->code, X64_LEA, 8, value, x64_at(link));
    x64_rm(&c->code, X64_MOV_MR, 8, value, x64_memory(top, offsetof(ExecReturn, link)));
    cold_add(c, (Cold){ .kind = COLD_LINK, .data = link });
}

static void count_jump(Compiler *c, unsigned count)
{
    if (c->flags & CODE_COUNT_JUMPS) {
        x64_alu_immediate(&c->code, X64_ADD, 8, EXEC(c, jump_counts[count]), 1);
    }
}

/* rax: where to. rcx: the entry of the table that has it; else out. */
static void find_in_table(X64Code *code, const X64Common *common)
{
    x64_rr(code, X64_MOV_RM, 8, RCX, RAX);
    x64_rr(code, X64_MOV_RM, 8, RDX, RAX);
    x64_r(code, X64_SHR_I, 8, RCX, 1);
    x64_r(code, X64_SHR_I, 8, RDX, 12);
    x64_alu(code, X64_XOR, 4, RCX, x64_register(RDX));
    x64_alu_immediate(code, X64_AND, 4, x64_register(RCX), EXEC_TARGETS - 1);
    x64_r(code, X64_SHL_I, 4, RCX, 4);
    x64_alu(code, X64_ADD, 8, RCX, exec_operand(common, offsetof(Exec, targets)));
    x64_alu(code, X64_CMP, 8, RAX, x64_memory(RCX, offsetof(ExecTarget, pc)));
    x64_branch(code, X64_NE, common->exit_pc);
}
_Static_assert(sizeof(ExecTarget) == 16, "an index into the targets is shifted by 4");
_Static_assert(offsetof(ExecTargets, table) == 0, "the table comes first");

static void jump_by_table(Compiler *c)
{
    count_jump(c, JUMPS_TABLE);
    find_in_table(&c->code, c->common);
    count_jump(c, JUMPS_TABLE_HIT);
    x64_m(&c->code, X64_JMP, 4, x64_memory(RCX, offsetof(ExecTarget, code)), 0);
}

/* The site knows the last targets of this jump; another one is looked for in the table. */
static void jump_by_site(Compiler *c)
{
    unsigned site = exec_site_index(c->insn_pc);
    int32_t at = (int32_t)(offsetof(ExecTargets, sites) + site * sizeof(ExecSite));
    const CodeBlock **block = data_alloc(c, sizeof *block);

    if (!block) {
        return;
    }
    *block = c->block;
    count_jump(c, JUMPS_SITE);
    x64_rm(&c->code, X64_MOV_RM, 8, RCX, EXEC(c, targets));
    for (unsigned way = 0;; way++, at += (int32_t)sizeof(ExecTarget)) {
        bool last = way == EXEC_WAYS - 1;
        uint8_t *place;
        x64_alu(&c->code, X64_CMP, 8, RAX, x64_memory(RCX, at + (int)offsetof(ExecTarget, pc)));
        place = last ? x64_branch_forward(&c->code, X64_NE) : x64_branch_short(&c->code, X64_NE);
        count_jump(c, JUMPS_SITE_HIT + way);
        x64_m(&c->code, X64_JMP, 4, x64_memory(RCX, at + (int)offsetof(ExecTarget, code)), 0);
        if (last) {
            cold_add(c, (Cold){ .kind = COLD_SITE, .from = place, .data = block, .site = (uint16_t)site });
            return;
        }
        x64_land_short(&c->code, place);
    }
}

/* rcx: the targets. */
void emit_site_miss(Compiler *c, const Cold *cold)
{
    x64_land(&c->code, cold->from);
    x64_m(&c->code, X64_MOV_MI, 1, x64_memory(RCX, (int)offsetof(ExecTargets, touched) + cold->site), 1);
    x64_rm(&c->code, X64_LEA, 8, RSI,
           x64_memory(RCX, (int)(offsetof(ExecTargets, sites) + cold->site * sizeof(ExecSite))));
    x64_rm(&c->code, X64_LEA, 8, RDX, x64_at(cold->data));
    x64_jump(&c->code, c->common->site_miss);
}

/* rax: where to; rsi: the site; rdx: where its block's address is. What the table knows comes first in the site. */
void control_emit_common(X64Code *code, X64Common *common)
{
    X64Operand asked = exec_operand(common, offsetof(Exec, jump_counts[JUMPS_TABLE]));
    X64Operand found = exec_operand(common, offsetof(Exec, jump_counts[JUMPS_TABLE_HIT]));

    common->site_miss = x64_here(code);
    x64_alu_immediate(code, X64_SUB, 4, x64_memory(RSI, offsetof(ExecSite, patience)), 1);
    uint8_t *tired = x64_branch_forward(code, X64_B);
    x64_alu_immediate(code, X64_ADD, 8, asked, 1);
    find_in_table(code, common);
    x64_alu_immediate(code, X64_ADD, 8, found, 1);
    for (unsigned way = EXEC_WAYS - 1; way > 0; way--) {
        x64_rm(code, X64_MOVUPS_RM, 4, 0, x64_memory(RSI, (way - 1) * sizeof(ExecTarget)));
        x64_rm(code, X64_MOVUPS_MR, 4, 0, x64_memory(RSI, way * sizeof(ExecTarget)));
    }
    x64_rm(code, X64_MOVUPS_RM, 4, 0, x64_memory(RCX, 0));
    x64_rm(code, X64_MOVUPS_MR, 4, 0, x64_memory(RSI, 0));
    x64_m(code, X64_JMP, 4, x64_memory(RCX, offsetof(ExecTarget, code)), 0);
    x64_land(code, tired);
    x64_rm(code, X64_MOV_RM, 8, RDX, x64_memory(RDX, 0));
    x64_rm(code, X64_MOV_MR, 8, RSI, exec_operand(common, offsetof(Exec, tired_site)));
    x64_rm(code, X64_MOV_MR, 8, RDX, exec_operand(common, offsetof(Exec, tired_block)));
    x64_jump(code, common->exit_pc);
}
_Static_assert(offsetof(ExecSite, ways) == 0, "the ways come first");

static void jump_by_returns(Compiler *c)
{
    count_jump(c, JUMPS_RETURN);
    x64_rm(&c->code, X64_MOV_RM, 4, RDX, EXEC(c, return_top));
    x64_rm(&c->code, X64_MOV_RM, 8, RCX, EXEC(c, returns));
    x64_rm(&c->code, X64_LEA, 4, RSI, x64_memory(RDX, -(int)sizeof(ExecReturn)));
    x64_alu_immediate(&c->code, X64_AND, 4, x64_register(RSI), (EXEC_RETURNS - 1) * sizeof(ExecReturn));
    x64_rm(&c->code, X64_MOV_MR, 4, RSI, EXEC(c, return_top));
    x64_alu(&c->code, X64_CMP, 8, RAX, x64_indexed(RCX, RDX, 0, offsetof(ExecReturn, pc)));
    uint8_t *place = x64_branch_short(&c->code, X64_NE);
    count_jump(c, JUMPS_RETURN_HIT);
    x64_rm(&c->code, X64_MOV_RM, 8, RCX, x64_indexed(RCX, RDX, 0, offsetof(ExecReturn, link)));
    x64_m(&c->code, X64_JMP, 4, x64_memory(RCX, offsetof(CodeLink, target)), 0);
    x64_land_short(&c->code, place);
}

void lower_goto_value(Compiler *c, const IrInst *inst)
{
    if (value_of(c, inst->a)->where != RAX) {
        take_register(c, RAX);
    }
    move_to_register(c, RAX, inst->a, c->ir->address_bits == 32 ? 4 : 8);
    count_exit(c, c->begun);
    if (c->flags & CODE_NO_LINKS) {
        x64_jump(&c->code, c->common->exit_pc);
        return;
    }
    x64_alu_immediate(&c->code, X64_CMP, 4, EXEC(c, attention), 0);
    x64_branch(&c->code, X64_NE, c->common->exit_pc);
    if (inst->aux == IR_JUMP_RETURN) {
        jump_by_returns(c);
        jump_by_table(c);
    } else if (c->block->asks_table) {
        jump_by_table(c);
    } else {
        jump_by_site(c);
    }
}

void lower_exit(Compiler *c, const IrInst *inst)
{
    bool here = inst->aux == IR_EXIT_EXCEPTION || inst->aux == IR_EXIT_DEBUG;

    count_exit(c, here ? c->begun - 1 : c->begun);
    if (here) {
        const GuestRegister *pc = &c->guest->registers[c->guest->pc_register];
        store_constant(c, EXEC(c, pc), c->insn_pc, RCX);
        x64_load_constant(&c->code, RCX, c->insn_pc);
        x64_rm(&c->code, X64_MOV_MR, pc->bits / 8, RCX, state_operand(pc->offset));
    }
    x64_load_constant(&c->code, RAX, inst->aux);
    x64_jump(&c->code, c->common->exit_reason);
}
