/*
 * A vCPU and the code cache: finds the block to run, has it made where there is none, and links the exit that led here.
 */
#include "base/strbuf.h"
#include "cpu/code.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 3, ENTERED_PAGES = 64 };
/* Where there is not room for all code, what is entered less often than HOT times while a chunk is filled is
 * interpreted, STRETCH instructions at a time. */
enum { HOT = 16, STRETCH = 64, HEATS = 4096 };

/* RAM that code was fetched from. */
typedef struct EnteredPage {
    const void *ram;
    uint8_t *host;
    uint64_t offset;
} EnteredPage;

struct CodeVcpu {
    CodeCache *cache;
    CodeTargets *targets;
    uint64_t since;         /* the count of changes that this vCPU was told of last */
    _Atomic uint64_t epoch; /* of the cache: seen */
    _Atomic bool inside;    /* has host code on its stack, even while it is not `running` */
    EnteredPage entered[ENTERED_PAGES]; /* since targets and tags for fetches were forgotten last: what these rely on */
    uint64_t drops;         /* of blocks, in all, when this was looked at last */
    unsigned entered_count; /* ENTERED_PAGES: perhaps more than there is place for */
    CodeChunk *chunk;       /* it fills; NULL: none */
    bool cold;              /* what was looked for last is not worth its room */
    uint8_t heat[HEATS];    /* by address: how often it was looked for, half of that for each chunk since then */
    CodeLookups lookups;
    Translation translation;
};

CodeVcpu *code_vcpu_new(Cpu *cpu, CodeCache *cache)
{
    CodeVcpu *code = NEW(CodeVcpu);

    code->cache = cache;
    code->targets = code_targets_new();
    ir_block_init(&code->translation.ir);
    ir_block_init(&code->translation.optimised);
    return code;
}

CodeCache *code_cache_of(const Cpu *cpu) { return cpu->code->cache; }

CodeTargets *code_targets_of(const Cpu *cpu) { return cpu->code ? cpu->code->targets : NULL; }

CodeLookups *code_lookups(const Cpu *cpu) { return &cpu->code->lookups; }

static void finish_chunk(CodeVcpu *code)
{
    mutex_lock(&code->cache->lock);
    if (code->chunk) {
        code->chunk->state = CHUNK_FULL;
        atomic_store_explicit(&code->chunk->used, true, memory_order_relaxed);
        code->chunk = NULL;
    }
    mutex_unlock(&code->cache->lock);
}

void code_vcpu_free(Cpu *cpu)
{
    CodeVcpu *code = cpu->code;

    if (!code) {
        return;
    }
    finish_chunk(code);
    code_targets_free(code->targets);
    ir_block_free(&code->translation.ir);
    ir_block_free(&code->translation.optimised);
    free(code);
    cpu->code = NULL;
}

/* What changes, what goes. */

/* Whether no block was dropped, by whomever, since this was asked last. */
static bool all_blocks_stand(CodeVcpu *code)
{
    uint64_t before = code->drops;

    code->drops = atomic_load_explicit(&code->cache->counts.drops, memory_order_relaxed);
    return code->drops == before;
}

/* Compares the pages that were entered, if they are few. True: nothing that this vCPU relies on was dropped, and all it
 * relies on is as it was. */
static bool entered_pages_stand(Cpu *cpu)
{
    CodeVcpu *code = cpu->code;

    for (unsigned i = 0; i < code->entered_count && code->entered_count < ENTERED_PAGES; i++) {
        const EnteredPage *page = &code->entered[i];
        const TlbSource source = { .ram = (void *)page->ram, .host = page->host, .ram_offset = page->offset };
        code_page_check(cpu, &source, code->since);
    }
    return all_blocks_stand(code) && code->entered_count < ENTERED_PAGES;
}

void code_told_of_changes(Cpu *cpu)
{
    CodeVcpu *code = cpu->code;

    if (!code) {
        return;
    }
    count_up(&code->lookups.fences);
    code->since = atomic_fetch_add(&code->cache->changes, 1) + 1;
    if (code->cache->flags & CODE_DIRECT) { /* its links ask no TLB */
        code_check_all(cpu, code->since);
        code_blocks_went(cpu);
    } else if (!entered_pages_stand(cpu)) {
        code->entered_count = 0;
        code_forget_targets(cpu);
        tlb_forget_fetches(cpu);
    }
}

void code_blocks_went(Cpu *cpu)
{
    if (cpu->code && !all_blocks_stand(cpu->code)) {
        code_forget_targets(cpu);
    }
}

void code_map_changed(Cpu *cpu)
{
    if (cpu->code) {
        cpu->code->entered_count = ENTERED_PAGES; /* all is forgotten next time, and none of them compared */
    }
}

bool code_has_reached(const Cpu *cpu, uint64_t epoch)
{
    return !cpu->code || atomic_load(&cpu->code->epoch) >= epoch ||
           (!cpu->running && !atomic_load_explicit(&cpu->code->inside, memory_order_acquire));
}

static void note_entered(CodeVcpu *code, const TlbSource *source)
{
    for (unsigned i = code->entered_count; i-- > 0;) {
        if (code->entered[i].ram == source->ram && code->entered[i].offset == source->ram_offset) {
            return;
        }
    }
    if (code->entered_count < ENTERED_PAGES) {
        code->entered[code->entered_count++] = (EnteredPage){ source->ram, source->host, source->ram_offset };
    }
}

void code_fetches_from(Cpu *cpu, const TlbSource *source)
{
    if (cpu->code && source->cacheable && source->host && source->ram) {
        note_entered(cpu->code, source);
        code_page_check(cpu, source, cpu->code->since);
    }
}

void code_rest(Cpu *cpu)
{
    CodeVcpu *code = cpu->code;

    if (!code) {
        return;
    }
    uint64_t epoch = atomic_load(&code->cache->epoch);
    if (UNLIKELY(epoch != atomic_load_explicit(&code->epoch, memory_order_relaxed))) {
        code_forget_targets(cpu);
        atomic_store(&code->epoch, epoch);
    }
}

void code_fork_begin(CodeCache *cache)
{
    if (cache) {
        mutex_lock(&cache->lock);
    }
}

void code_fork_end(Cpu *cpu, bool is_child)
{
    CodeVcpu *code = cpu->code;

    if (!code) {
        return;
    }
    code_memory_share(&code->cache->memory, is_child);
    if (is_child) {
        code->chunk = NULL;
    }
    mutex_unlock(&code->cache->lock);
}

/* Making blocks. */

/* Chunks that everybody has let go of are free. Under the lock. */
static void reclaim(Cpu *cpu)
{
    CodeMemory *memory = &cpu->code->cache->memory;

    for (size_t i = 0; i < memory->chunk_count; i++) {
        CodeChunk *chunk = &memory->chunks[i];
        if (chunk->state == CHUNK_LEAVING && group_has_reached(cpu->group, chunk->epoch, cpu)) {
            chunk->state = CHUNK_FREE;
        }
    }
}

/* Empties a chunk where few are free. Under the lock. */
static void evict(Cpu *cpu)
{
    CodeCache *cache = cpu->code->cache;
    CodeChunk *chunk = code_memory_free_chunks(&cache->memory) > 1 ? NULL : code_memory_choose(&cache->memory);

    if (!chunk) {
        return;
    }
    code_drop_chunk(cache, chunk);
    chunk->state = CHUNK_LEAVING;
    chunk->epoch = atomic_fetch_add(&cache->epoch, 1) + 1;
    atomic_fetch_add_explicit(&cache->counts.evictions, 1, memory_order_relaxed);
}

/* Another chunk; false: none is free before the other vCPUs have let go of one. This vCPU is in no block. */
static bool change_chunk(Cpu *cpu)
{
    CodeVcpu *code = cpu->code;

    finish_chunk(code);
    for (unsigned i = 0; i < HEATS; i++) {
        code->heat[i] /= 2;
    }
    mutex_lock(&code->cache->lock);
    evict(cpu);
    code_rest(cpu);
    reclaim(cpu);
    code->chunk = code_memory_take(&code->cache->memory);
    mutex_unlock(&code->cache->lock);
    return code->chunk;
}

static void describe(Cpu *cpu, Block *block, const BlockQuery *query, const Translation *from)
{
    *block = (Block){
        .code = { .pc = query->pc,
                  .mode = query->mode,
                  .flags = query->flags,
                  .guest_bytes = from->ir.bytes,
                  .insn_count = from->ir.insn_count,
                  .asks_table = code_is_given_up(cpu->code->cache, query),
                  .fetch_mmu_mode = (uint8_t)cpu->guest->fetch_mmu_mode(cpu) },
        .ram = query->ram,
        .ram_offset = query->ram_offset,
    };
    if (from->crosses) {
        uint64_t page_size = BIT(cpu->exec.page_bits);
        block->second_ram = from->second.ram;
        block->second_offset = from->second.ram_offset;
        block->code.guard_pc = align_up(query->pc + 1, page_size) & cpu_address_mask(cpu);
        block->code.guard_addend = (uintptr_t)from->second.host - block->code.guard_pc;
        block->code.guarded = !(query->flags & CODE_DIRECT);
    }
}

/* What is to be compiled of the translation. */
static const IrBlock *optimise(Cpu *cpu)
{
    const CodeCache *cache = cpu->code->cache;
    Translation *from = &cpu->code->translation;

    if (!cache->host->optimise ||
        !cache->host->optimise(cache->common, &from->optimised, &from->ir, &cpu->guest->ir)) {
        return &from->ir;
    }
    assert(!VERIFY_IR || ir_verify(&from->optimised, &cpu->guest->ir, NULL));
    if (cpu_log_enabled(cpu, LOG_OP_OPT) && log_address_selected(cpu->log, from->ir.pc)) {
        AUTO_STRBUF(text);
        ir_dump(&from->optimised, &cpu->guest->ir, &text);
        log_write(cpu->log, "optimised %s\n", strbuf_text(&text));
    }
    return &from->optimised;
}

/* The translation as host code, in this vCPU's chunk or the next. */
static CompileResult compile(Cpu *cpu, const BlockQuery *query, Block **made)
{
    CodeVcpu *code = cpu->code;
    const Translation *from = &code->translation;
    const IrBlock *ir = optimise(cpu);
    CompileResult result = COMPILE_NO_ROOM;

    for (unsigned tries = 0; tries < 2 && result == COMPILE_NO_ROOM; tries++) {
        CodeSpace space;
        void *head;
        if ((tries || !code->chunk) && !change_chunk(cpu)) {
            return COMPILE_NO_ROOM;
        }
        if (!code_chunk_space(&code->cache->memory, code->chunk, sizeof(Block), &space, &head)) {
            continue;
        }
        Block *block = head;
        describe(cpu, block, query, from);
        result = code->cache->host->compile(&space, code->cache->common, ir, &cpu->guest->ir, &block->code);
        if (result == COMPILE_CANNOT && from->ir.insn_count == 1) { /* so that nobody tries again */
            block->interpreted = true;
            block->code.code = space.code;
            result = COMPILE_DONE;
            space.code_used = space.data_used = 0;
        }
        if (result == COMPILE_DONE) {
            for (unsigned i = 0; i < block->code.link_count; i++) {
                /* Another vCPU comes to it by translated code: what it reads of the link is written before this. */
                __atomic_store_n(&block->code.links[i].from, &block->code, __ATOMIC_RELEASE);
            }
            code_chunk_use(&code->cache->memory, code->chunk, &space, block);
            *made = block;
        }
    }
    return result;
}

static void count_block(CodeCache *cache, const Block *block)
{
    if (block->interpreted) {
        atomic_fetch_add_explicit(&cache->counts.interpreted, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&cache->counts.blocks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->counts.guest_bytes, block->code.guest_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->counts.host_bytes, block->code.code_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->counts.insns, block->code.insn_count, memory_order_relaxed);
}

static void announce(Cpu *cpu, const Block *block)
{
    CodeCache *cache = cpu->code->cache;

    count_block(cache, block);
    if (cache->profile && !block->interpreted) {
        code_profile_add(cache->profile, &block->code);
    }
    if (cpu_log_enabled(cpu, LOG_OUT_ASM) && !block->interpreted && log_address_selected(cpu->log, block->code.pc)) {
        AUTO_STRBUF(text);
        cache->host->disassemble(&block->code, &text);
        log_write(cpu->log, "OUT: [size=%" PRIu32 "]\n%s\n", block->code.code_bytes, strbuf_text(&text));
    }
}

static bool may_be_kept(const TlbSource *source)
{
    return source->cacheable && source->host && source->ram;
}

/* Translates, compiles, publishes. NULL: the interpreter is to go on, or an exception is pending. */
static Block *make(Cpu *cpu, const BlockQuery *query, const TlbSource *first)
{
    CodeVcpu *code = cpu->code;
    unsigned limit = cpu->block_insns;

    for (unsigned tries = 0; tries < TRIES && limit;) {
        Block *block = NULL;
        code->translation.first = *first;
        if (!translate(cpu, &code->translation, limit) ||
            (code->translation.crosses && !may_be_kept(&code->translation.second))) {
            return NULL;
        }
        CompileResult result = compile(cpu, query, &block);
        if (result == COMPILE_NO_ROOM && !code->chunk) { /* before others have let go of one */
            code->cold = true;
            return NULL;
        }
        if (result != COMPILE_DONE) { /* a shorter one may do, up to what the host cannot */
            limit = MIN(limit, code->translation.ir.insn_count) / 2;
            continue;
        }
        PublishResult published = code_publish(cpu, &block, &code->translation);
        if (published == PUBLISH_DONE) {
            announce(cpu, block);
        } else {
            atomic_fetch_add_explicit(&code->cache->counts.lost, 1, memory_order_relaxed);
        }
        if (published != PUBLISH_CHANGED) {
            return block;
        }
        tries++;
    }
    return NULL;
}

/* Finding. */

/* Whether the second page of a block that crosses is mapped as it was. False may mean that an exception is pending. */
static bool second_page_stands(Cpu *cpu, const Block *block)
{
    if (!block->second_ram) {
        return true;
    }
    const TlbSource *second = tlb_lookup(cpu, block->code.guard_pc, MMU_EXECUTE, cpu->guest->fetch_mmu_mode(cpu));
    if (!second || !may_be_kept(second) || second->ram != block->second_ram ||
        second->ram_offset != block->second_offset) {
        return false;
    }
    return true;
}

/* Exits that ask no TLB lead to the block's own page, or to where nobody maps anything else unnoticed. */
static bool stays_in_reach(const Block *block, const CodeLink *link)
{
    const Block *from = (const Block *)link->from;
    return link->cross_page || block->code.flags & CODE_DIRECT ||
           (from->ram == block->ram && from->ram_offset == block->ram_offset);
}

/* Called with a block that holds what stands at pc now: the exit that led here, and jumps, find it next time. */
static void remember(Cpu *cpu, Block *block, const TlbSource *source)
{
    Exec *exec = &cpu->exec;
    CodeLink *link = exec->code_link;
    const CodeBlock *from = link ? __atomic_load_n(&link->from, __ATOMIC_ACQUIRE) : NULL;
    bool linked = from && atomic_load_explicit(&link->target, memory_order_relaxed) == block->code.code;

    if (from && !linked && link->pc == block->code.pc && from->mode == block->code.mode &&
        from->flags == block->code.flags &&
        stays_in_reach(block, link)) {
        uint64_t page = align_down(block->code.pc, BIT(exec->page_bits));
        code_link(cpu->code->cache, link, block, (uintptr_t)source->host - page);
    }
    /* Of what exits lead to the table is not asked. The entry of a block that crosses pages refuses until `find` has
     * looked up the second page. */
    if (!link && !block->second_ram) {
        code_targets_add(cpu, block, source->shared);
    }
}

/* The block that the exit led to already, when its page was not in the TLB. NULL: none that is asked for. */
static Block *find_linked(const Exec *exec, const BlockQuery *query)
{
    CodeBlock *to = exec->code_link ? atomic_load_explicit(&exec->code_link->to, memory_order_acquire) : NULL;
    Block *block = (Block *)to;

    return block && !block->second_ram && code_block_is(block, query) ? block : NULL;
}

/* Whether no room is to be made for code that is not there. */
static bool is_cold(Cpu *cpu, const BlockQuery *query)
{
    CodeVcpu *code = cpu->code;
    uint8_t *heat = &code->heat[(query->pc >> 1 ^ query->pc >> 13 ^ query->mode) % HEATS];
    bool full = atomic_load_explicit(&code->cache->counts.evictions, memory_order_relaxed);

    code->cold = full && !(query->flags & CODE_NO_LINKS) && ++*heat < HOT;
    if (code->cold) {
        count_up(&code->lookups.cold);
    } else {
        *heat = 0;
    }
    return code->cold;
}

int64_t code_insns_to_interpret(const Cpu *cpu) { return cpu->code->cold ? STRETCH : 1; }

/* The code at the guest's pc. NULL: as make. */
static const void *find(Cpu *cpu, uint32_t flags)
{
    Exec *exec = &cpu->exec;
    uint64_t pc = cpu->guest->pc(cpu);
    const ExecTarget *target = &exec->targets->table[exec_target_index(pc)];

    if (!exec->code_link && target->pc == pc && pc != EXEC_NO_PC) {
        count_up(&cpu->code->lookups.predicted);
        return target->code;
    }
    exec->pc = pc;
    const TlbSource *source = tlb_lookup(cpu, pc, MMU_EXECUTE, cpu->guest->fetch_mmu_mode(cpu));
    if (!source || !may_be_kept(source)) {
        return NULL;
    }
    TlbSource first = *source;
    BlockQuery query = { first.ram, first.ram_offset, pc, exec->mode, flags };
    Block *block = find_linked(exec, &query);
    if (block) {
        count_up(&cpu->code->lookups.linked);
        remember(cpu, block, &first);
        return block->code.code;
    }
    block = code_find(cpu->code->cache, &query);
    if (block && (!second_page_stands(cpu, block) || block != code_find(cpu->code->cache, &query))) {
        return NULL; /* the interpreter takes this instruction */
    }
    if (block) {
        count_up(&cpu->code->lookups.found);
    } else if (!is_cold(cpu, &query)) {
        block = make(cpu, &query, &first);
    }
    if (!block || block->interpreted) {
        return NULL;
    }
    code_memory_use(&cpu->code->cache->memory, block);
    remember(cpu, block, &first);
    return block->code.code;
}

bool code_run(Cpu *cpu, int *reason)
{
    CodeVcpu *code = cpu->code;
    uint32_t flags = code->cache->flags | (cpu->counts ? CODE_COUNTED : 0);

    if (cpu_log_enabled(cpu, (LogItem)(LOG_EXEC | LOG_CPU | LOG_NOCHAIN))) {
        flags |= CODE_NO_LINKS;
    }
    code_targets_select(cpu, flags);
    code->cold = false;
    const void *at = find(cpu, flags);
    cpu->exec.code_link = NULL;
    if (!at) {
        return false;
    }
    count_up(&code->lookups.entered);
    atomic_store_explicit(&code->inside, true, memory_order_relaxed);
    *reason = code->cache->host->enter(code->cache->common, &cpu->exec, cpu, at);
    if (UNLIKELY(cpu->exec.tired_block)) {
        code_site_is_tired(cpu);
    }
    atomic_store_explicit(&code->inside, false, memory_order_release);
    return true;
}

/* Faults. */

static const CodePoint *find_point(const CodeBlock *block, uint32_t offset)
{
    for (unsigned i = 0; i < block->point_count; i++) {
        if (block->points[i].offset == offset) {
            return &block->points[i];
        }
    }
    return NULL;
}

bool cpu_host_fault(Cpu *cpu, void *ucontext, const uintptr_t *host_address, MmuAccess access)
{
    CodeRegisters registers;
    const void *pc;

    if (!cpu->code || !atomic_load_explicit(&cpu->code->inside, memory_order_relaxed)) {
        return false;
    }
    CodeCache *cache = cpu->code->cache;
    cache->host->context_registers(ucontext, &registers, &pc);
    const Block *block = code_memory_find(&cache->memory, pc);
    const CodePoint *point =
        block ? find_point(&block->code, (uint32_t)((uintptr_t)pc - (uintptr_t)block->code.code)) : NULL;
    if (!point) {
        return false;
    }
    cache->host->restore(cache->common, &cpu->exec, &block->code, point, &registers);
    if (host_address) {
        cpu_raise_host_fault(cpu, *host_address, access);
    } else {
        cpu->interprets_next = true;
        cpu_raise(cpu, CPU_EXCEPTION_RETRY, 0);
    }
    cache->host->context_leave(cache->common, ucontext, IR_EXIT_EXCEPTION);
    return true;
}
