/*
 * Translated blocks of one vCPU, found by the RAM they come from, the guest's address and mode. A block remembers its
 * bytes: after cpu_code_changed each is compared with memory before it runs again. When the cache is full, all of it is
 * dropped.
 */
#include "cpu/cpu_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct BlockKey {
    const void *ram;
    uint64_t ram_offset, pc, mode;
    uint64_t single; /* one instruction, for a step or the end of a budget */
} BlockKey;

typedef struct Block {
    BlockKey key;
    struct Block *next; /* in the bucket */
    InterpCode *code;
    uint64_t generation;      /* of code: when the bytes were last known to be those in memory */
    const void *second_ram;   /* where the one instruction of a block that crosses pages goes on; NULL: it does not */
    uint64_t second_offset;
    uint32_t size;
    uint8_t bytes[];
} Block;

struct BlockCache {
    Block **buckets;
    size_t bucket_count, count, memory;
    uint64_t generation;
    Block *transient; /* the last one that may not be kept */
    Translation translation;
};

enum { BUCKETS_AT_FIRST = 1024 };
#define MEMORY_LIMIT (48 * MIB)

BlockCache *block_cache_new(void)
{
    BlockCache *cache = NEW(BlockCache);

    cache->bucket_count = BUCKETS_AT_FIRST;
    cache->buckets = mem_alloc0(cache->bucket_count * sizeof *cache->buckets);
    ir_block_init(&cache->translation.ir);
    return cache;
}

static size_t block_memory(const Block *block)
{
    return sizeof *block + block->size + interp_size(block->code);
}

static void block_free(Block *block)
{
    if (block) {
        interp_free(block->code);
        free(block);
    }
}

static void drop_all(BlockCache *cache)
{
    for (size_t i = 0; i < cache->bucket_count; i++) {
        for (Block *block = cache->buckets[i], *next; block; block = next) {
            next = block->next;
            block_free(block);
        }
        cache->buckets[i] = NULL;
    }
    cache->count = 0;
    cache->memory = 0;
}

/* Before or after blocks are freed: no link may lead to them, or stand in them. */
static void links_are_wrong(Cpu *cpu)
{
    cpu->exec.epoch++;
    cpu->exec.link = NULL;
}

void block_cache_clear(Cpu *cpu)
{
    drop_all(cpu->blocks);
    links_are_wrong(cpu);
}

void block_cache_free(BlockCache *cache)
{
    drop_all(cache);
    block_free(cache->transient);
    ir_block_free(&cache->translation.ir);
    free(cache->buckets);
    free(cache);
}

void block_cache_code_changed(BlockCache *cache)
{
    cache->generation++;
}

static size_t hash(const BlockKey *key)
{
    uint64_t h =
        key->pc ^ key->mode * 0x9e3779b97f4a7c15 ^ (uintptr_t)key->ram ^ key->ram_offset << 20 ^ key->single << 63;

    h *= 0xff51afd7ed558ccd;
    return h >> 32 ^ h;
}

static Block **find_link(BlockCache *cache, const BlockKey *key)
{
    Block **link = &cache->buckets[hash(key) & (cache->bucket_count - 1)];

    while (*link && memcmp(&(*link)->key, key, sizeof *key)) {
        link = &(*link)->next;
    }
    return link;
}

static void grow(BlockCache *cache)
{
    Block **old = cache->buckets;
    size_t old_count = cache->bucket_count;

    cache->bucket_count *= 4;
    cache->buckets = mem_alloc0(cache->bucket_count * sizeof *cache->buckets);
    for (size_t i = 0; i < old_count; i++) {
        for (Block *block = old[i], *next; block; block = next) {
            next = block->next;
            Block **bucket = &cache->buckets[hash(&block->key) & (cache->bucket_count - 1)];
            block->next = *bucket;
            *bucket = block;
        }
    }
    free(old);
}

static void insert(BlockCache *cache, Block *block)
{
    Block **bucket;

    if (cache->count >= cache->bucket_count) {
        grow(cache);
    }
    bucket = &cache->buckets[hash(&block->key) & (cache->bucket_count - 1)];
    block->next = *bucket;
    *bucket = block;
    cache->count++;
    cache->memory += block_memory(block);
}

static bool bytes_are(Cpu *cpu, const uint8_t *host, const uint8_t *expected, unsigned count)
{
    uint8_t bytes[BLOCK_BYTES];

    return cpu_move_ram(cpu, (uint8_t *)host, bytes, count, false) && !memcmp(bytes, expected, count);
}

/* Whether memory still holds the block's code. False with an exception pending where its second page is gone. */
static bool still_there(Cpu *cpu, const Block *block, const TlbSource *first)
{
    uint64_t page_size = BIT(cpu->exec.page_bits), offset = block->key.pc & (page_size - 1);
    unsigned here = (unsigned)MIN(block->size, page_size - offset);
    uint8_t *host = first->host + offset; /* `first` does not outlive the next look-up */
    bool changed = block->generation != cpu->blocks->generation;

    if (block->second_ram) {
        uint64_t next = (block->key.pc + here) & cpu_address_mask(cpu);
        const TlbSource *second = tlb_lookup(cpu, next, MMU_EXECUTE, cpu->guest->fetch_mmu_mode(cpu));
        if (!second || !second->cacheable || second->ram != block->second_ram ||
            second->ram_offset != block->second_offset ||
            (changed && !bytes_are(cpu, second->host, block->bytes + here, block->size - here))) {
            return false;
        }
    }
    return !changed || bytes_are(cpu, host, block->bytes, here);
}

/* A new block from the guest's pc on, not in the cache yet. */
static Block *make(Cpu *cpu, const BlockKey *key, const TlbSource *first)
{
    Translation *from = &cpu->blocks->translation;
    unsigned limit = key->single ? 1 : cpu->block_insns;
    InterpCode *code = NULL;

    for (; !code; limit /= 2) {
        assert(limit > 0); /* else one instruction has more values than scratch holds */
        from->first = *first;
        if (!translate(cpu, from, limit)) {
            return NULL;
        }
        code = interp_prepare(&from->ir, &cpu->guest->ir);
    }
    Block *block = mem_alloc0(sizeof *block + from->ir.bytes);
    block->key = *key;
    block->code = code;
    block->generation = cpu->blocks->generation;
    block->size = from->ir.bytes;
    memcpy(block->bytes, from->bytes, from->ir.bytes);
    if (from->crosses) {
        block->second_ram = from->second.ram;
        block->second_offset = from->second.ram_offset;
    }
    return block;
}

static bool may_be_kept(const TlbSource *source)
{
    return source->cacheable && source->host && source->ram;
}

static InterpCode *run_once(Cpu *cpu, Block *block)
{
    block_free(cpu->blocks->transient);
    cpu->blocks->transient = block;
    links_are_wrong(cpu);
    return block ? block->code : NULL;
}

static Block *find_in(Cpu *cpu, const BlockKey *key, const TlbSource *first)
{
    BlockCache *cache = cpu->blocks;
    Block **link = find_link(cache, key), *block = *link;

    if (block && still_there(cpu, block, first)) {
        block->generation = cache->generation;
        return block;
    }
    if (cpu->exec.exception.pending) {
        return NULL;
    }
    if (block) {
        *link = block->next;
        cache->count--;
        cache->memory -= block_memory(block);
        block_free(block);
        links_are_wrong(cpu);
    }
    if (cache->memory > MEMORY_LIMIT) {
        block_cache_clear(cpu);
    }
    block = make(cpu, key, first);
    if (!block) {
        return NULL; /* an exception is pending */
    }
    if (cache->translation.crosses && !may_be_kept(&cache->translation.second)) {
        run_once(cpu, block);
        return block;
    }
    insert(cache, block);
    return block;
}

InterpCode *block_find(Cpu *cpu, bool single)
{
    Exec *exec = &cpu->exec;
    uint64_t pc = cpu->guest->pc(cpu);
    ExecJump *jump = exec_jump(exec, pc);

    if (!single && jump->pc == pc && jump->mode == exec->mode && jump->link.epoch == exec->epoch) {
        if (exec->link) {
            *exec->link = jump->link;
        }
        return jump->link.code;
    }
    exec->pc = pc;
    const TlbSource *source = tlb_lookup(cpu, pc, MMU_EXECUTE, cpu->guest->fetch_mmu_mode(cpu));
    if (!source) {
        return NULL;
    }
    TlbSource first = *source;
    BlockKey key = { first.ram, first.ram_offset, pc, exec->mode, single };
    if (!may_be_kept(&first)) {
        return run_once(cpu, make(cpu, &key, &first));
    }
    Block *block = find_in(cpu, &key, &first);
    if (!block) {
        return NULL;
    }
    if (!single && block != cpu->blocks->transient) {
        jump = exec_jump(exec, pc);
        *jump = (ExecJump){ pc, exec->mode, { block->code, exec->epoch } };
        if (exec->link) {
            *exec->link = jump->link;
        }
    }
    return block->code;
}
