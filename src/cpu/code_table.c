/*
 * The table of blocks, the links between them, and the pages that they come from: see code.h. Readers of the table take
 * no lock; a block's `next` stays as it was when the block is taken out, and its memory stays until no reader can be
 * left, so a reader that stands on it finds its way.
 */
#include "base/error.h"
#include "base/host/host.h"
#include "cpu/code.h"

#include <stdlib.h>
#include <string.h>

struct CodePage {
    const void *ram;
    const uint8_t *host;
    uint64_t offset;
    CodePage *next;
    Block *blocks;
    uint64_t checked; /* the count of changes up to which `bytes` are known to be memory's, where blocks come from */
    uint64_t covered; /* bit n: from the 64th part n of the page some block comes */
    uint8_t bytes[]; /* as blocks were made from them; elsewhere of any age */
};

enum { BYTES_FOR_EACH_BUCKET = 1024, PAGE_PARTS = 64 };

#define DEFAULT_BYTES (256 * MIB)

static void tell_debugger(CodeCache *cache)
{
    const CodeMemory *memory = &cache->memory;
    CodeUnwind unwind;

    cache->host->unwind(cache->common, memory->code, &unwind);
    cache->debugger = code_debugger_new(&unwind, cache->host->elf_machine, memory->code,
                                        memory->chunk_count * memory->chunk_bytes);
}

static bool init(CodeCache *cache, const IrGuest *guest, const CodeLayout *layout, uint64_t bytes, Error **error)
{
    CodeSpace space;
    void *unused;

    cache->bucket_count = 1024;
    while (cache->bucket_count * BYTES_FOR_EACH_BUCKET < bytes) {
        cache->bucket_count *= 2;
    }
    /* A mapping: pages of it that no block falls on are never there. */
    cache->buckets = host_memory_map(-1, 0, cache->bucket_count * sizeof *cache->buckets, HOST_MEMORY_NORESERVE, error);
    if (!cache->buckets || !code_memory_init(&cache->memory, bytes, error)) {
        return false;
    }
    CodeChunk *chunk = code_memory_take(&cache->memory); /* for what is common: never taken back */
    if (!chunk || !code_chunk_space(&cache->memory, chunk, 0, &space, &unused)) {
        return error_set(error, "no memory for translated code");
    }
    if (!cache->host->prepare(&space, guest, layout, &cache->common, error)) {
        return false;
    }
    code_chunk_use(&cache->memory, chunk, &space, NULL);
    return true;
}

CodeCache *code_cache_new(const CpuEngine *engine, const IrGuest *guest, const CodeLayout *layout, Error **error)
{
    CodeCache *cache = NEW(CodeCache);

    cache->host = engine->host;
    cache->flags = engine->code_flags | (guest->fp_rules ? CODE_FP_EXACT : 0);
    mutex_init(&cache->lock);
    bool wanted = engine->perf_map || engine->jit_dump;
    if (wanted) {
        cache->profile = code_profile_new(engine->perf_map, engine->jit_dump, engine->host->elf_machine, error);
    }
    uint64_t bytes = engine->code_bytes ? engine->code_bytes : DEFAULT_BYTES;
    if ((wanted && !cache->profile) || !init(cache, guest, layout, bytes, error)) {
        code_cache_free(cache);
        return NULL;
    }
    if (engine->gdb && cache->host->unwind) {
        tell_debugger(cache);
    }
    return cache;
}

void code_cache_free(CodeCache *cache)
{
    if (!cache) {
        return;
    }
    for (size_t i = 0; i < CODE_PAGE_BUCKETS; i++) {
        for (CodePage *page = cache->pages[i], *next; page; page = next) {
            next = page->next;
            free(page);
        }
    }
    if (cache->buckets) {
        host_memory_unmap((void *)cache->buckets, cache->bucket_count * sizeof *cache->buckets);
    }
    code_memory_free(&cache->memory);
    code_debugger_free(cache->debugger);
    code_profile_free(cache->profile);
    mutex_destroy(&cache->lock);
    free(cache);
}

static uint64_t mix(uint64_t h)
{
    h *= 0xff51afd7ed558ccd;
    return h ^ h >> 32;
}

/* Blocks of neighbouring guest pages lie on one page of the table: a short program touches few of them. */
static _Atomic(Block *) *bucket_of(CodeCache *cache, const BlockQuery *query)
{
    enum { BLOCK_BITS = 6, NEAR_BITS = 3, PAGE_BITS = 12 };
    uint64_t kind = mix(query->mode << 8 ^ query->flags), page = query->pc >> PAGE_BITS;
    uint64_t ram = (uintptr_t)query->ram ^ query->ram_offset >> (PAGE_BITS + NEAR_BITS) << 20;
    uint64_t h = mix(page >> NEAR_BITS ^ mix(ram) ^ kind);
    uint64_t place = (query->pc >> 1 ^ query->pc >> (1 + BLOCK_BITS)) & mask_bits(BLOCK_BITS);

    h = h << NEAR_BITS | (page & mask_bits(NEAR_BITS));
    return &cache->buckets[(h << BLOCK_BITS | place) & (cache->bucket_count - 1)];
}

bool code_block_is(const Block *block, const BlockQuery *query)
{
    return block->code.pc == query->pc && block->ram == query->ram && block->ram_offset == query->ram_offset &&
           block->code.mode == query->mode && block->code.flags == query->flags;
}

static BlockQuery query_for(const Block *block)
{
    return (BlockQuery){ block->ram, block->ram_offset, block->code.pc, block->code.mode, block->code.flags };
}

Block *code_find(CodeCache *cache, const BlockQuery *query)
{
    Block *block = atomic_load_explicit(bucket_of(cache, query), memory_order_acquire);

    while (block && !code_block_is(block, query)) {
        block = atomic_load_explicit(&block->next, memory_order_acquire);
    }
    return block;
}

/* Pages. Under the lock. */

static CodePage **page_slot(CodeCache *cache, const void *ram, uint64_t offset)
{
    CodePage **slot = &cache->pages[mix((uintptr_t)ram ^ offset) % CODE_PAGE_BUCKETS];

    while (*slot && ((*slot)->ram != ram || (*slot)->offset != offset)) {
        slot = &(*slot)->next;
    }
    return slot;
}

static CodePage *get_page(CodeCache *cache, const TlbSource *source, unsigned page_bits)
{
    CodePage **slot = page_slot(cache, source->ram, source->ram_offset);

    if (!*slot) {
        CodePage *page = mem_alloc0(sizeof *page + BIT(page_bits));
        page->ram = source->ram;
        page->host = source->host;
        page->offset = source->ram_offset;
        page->checked = atomic_load(&cache->changes);
        *slot = page;
    }
    return *slot;
}

/* Bits for `covered`. */
static uint64_t parts_of(uint32_t offset, uint32_t count, unsigned page_bits)
{
    size_t bytes = BIT(page_bits) / PAGE_PARTS;
    return mask_bits((unsigned)((offset + count - 1) / bytes) + 1) & ~mask_bits((unsigned)(offset / bytes));
}

/* False: the memory is gone, or was for a moment. Whether it is back must not be asked with the lock held: whoever
 * changes mappings drops code while none may look at them. */
static bool read_memory(Cpu *cpu, const uint8_t *host, uint8_t *bytes, unsigned count)
{
    cpu->exec.guard_final = true;
    bool there = cpu_move_ram(cpu, (uint8_t *)host, bytes, count, false);
    cpu->exec.guard_final = false;
    return there;
}

/* Takes what no block comes from yet from memory. False: as read_memory. */
static bool read_parts(Cpu *cpu, CodePage *page, uint64_t parts)
{
    size_t bytes = BIT(cpu->exec.page_bits) / PAGE_PARTS;

    for (uint64_t left = parts & ~page->covered; left; left &= left - 1) {
        size_t first = (size_t)__builtin_ctzll(left) * bytes;
        if (!read_memory(cpu, page->host + first, page->bytes + first, (unsigned)bytes)) {
            return false;
        }
    }
    return true;
}

/* Links. Under the lock. */

static CodeBlock *linked_to(const CodeLink *link) { return atomic_load_explicit(&link->to, memory_order_relaxed); }

static void unlink_exit(CodeLink *link)
{
    if (!linked_to(link)) {
        return;
    }
    atomic_store_explicit(&link->target, link->stub, memory_order_release);
    *link->previous = link->next;
    if (link->next) {
        link->next->previous = link->previous;
    }
    atomic_store_explicit(&link->to, NULL, memory_order_relaxed);
}

void code_link(CodeCache *cache, CodeLink *link, Block *to, uintptr_t addend)
{
    mutex_lock(&cache->lock);
    if (!((Block *)link->from)->dropped && !to->dropped && linked_to(link) != &to->code) {
        unlink_exit(link);
        atomic_store_explicit(&link->to, &to->code, memory_order_release);
        link->addend = addend;
        link->next = to->incoming;
        link->previous = &to->incoming;
        if (to->incoming) {
            to->incoming->previous = &link->next;
        }
        to->incoming = link;
        atomic_store_explicit(&link->target, to->code.code, memory_order_release);
        atomic_fetch_add_explicit(&cache->counts.links, 1, memory_order_relaxed);
    }
    mutex_unlock(&cache->lock);
}

/* Dropping. Under the lock. */

static void leave_bucket(CodeCache *cache, Block *block)
{
    BlockQuery query = query_for(block);
    _Atomic(Block *) *link = bucket_of(cache, &query);

    while (atomic_load_explicit(link, memory_order_relaxed) != block) {
        link = &atomic_load_explicit(link, memory_order_relaxed)->next;
    }
    atomic_store_explicit(link, atomic_load_explicit(&block->next, memory_order_relaxed), memory_order_release);
}

static void leave_page(CodeCache *cache, BlockPart *part)
{
    CodePage *page = part->page;

    if (!page) {
        return;
    }
    *part->link = part->next;
    for (unsigned i = 0; part->next && i < BLOCK_PARTS; i++) { /* the part of it that stands on this page */
        if (part->next->parts[i].page == page && part->next->parts[i].link == &part->next) {
            part->next->parts[i].link = part->link;
        }
    }
    part->page = NULL;
    if (!page->blocks) {
        CodePage **slot = page_slot(cache, page->ram, page->offset);
        *slot = page->next;
        free(page);
    }
}

static void drop(CodeCache *cache, Block *block)
{
    if (block->dropped) {
        return;
    }
    block->dropped = true;
    leave_bucket(cache, block);
    for (unsigned i = 0; i < BLOCK_PARTS; i++) {
        leave_page(cache, &block->parts[i]);
    }
    while (block->incoming) {
        unlink_exit(block->incoming);
    }
    for (unsigned i = 0; i < block->code.link_count; i++) {
        unlink_exit(&block->code.links[i]);
    }
    atomic_fetch_add_explicit(&cache->counts.drops, 1, memory_order_relaxed);
}

/* A bit for several places: that one of them looks at no site costs little. */
static uint64_t given_up_bit(const BlockQuery *query)
{
    return mix(query->pc ^ mix((uintptr_t)query->ram ^ query->ram_offset)) % CODE_GIVEN_UP_BITS;
}

bool code_is_given_up(const CodeCache *cache, const BlockQuery *query)
{
    uint64_t bit = given_up_bit(query);
    return atomic_load_explicit(&cache->given_up[bit / 64], memory_order_relaxed) >> bit % 64 & 1;
}

void code_give_up_site(CodeCache *cache, Block *block)
{
    BlockQuery query = query_for(block);
    uint64_t bit = given_up_bit(&query);

    mutex_lock(&cache->lock);
    if (!block->dropped) {
        atomic_fetch_or_explicit(&cache->given_up[bit / 64], BIT(bit % 64), memory_order_relaxed);
        atomic_fetch_add_explicit(&cache->counts.given_up, 1, memory_order_relaxed);
        drop(cache, block);
    }
    mutex_unlock(&cache->lock);
}

void code_drop_chunk(CodeCache *cache, CodeChunk *chunk)
{
    uint32_t count = atomic_load_explicit(&chunk->block_count, memory_order_relaxed);

    for (uint32_t i = 0; i < count; i++) {
        drop(cache, code_chunk_block(&cache->memory, chunk, i));
    }
}

/* Comparing. Under the lock. */

static const BlockPart *part_on(const Block *block, const CodePage *page)
{
    return block->parts[0].page == page ? &block->parts[0] : &block->parts[1];
}

/* Drops the blocks whose bytes are not those of `now`, and takes these over. The page may be gone then: false. */
static bool renew_page(CodeCache *cache, CodePage *page, const uint8_t *now, unsigned page_bits)
{
    for (Block *block = page->blocks, *next; block; block = next) {
        const BlockPart *part = part_on(block, page);
        next = part->next;
        if (memcmp(page->bytes + part->offset, now + part->offset, part->count)) {
            bool last = page->blocks == block && !next;
            drop(cache, block);
            if (last) {
                return false;
            }
        }
    }
    memcpy(page->bytes, now, BIT(page_bits));
    return true;
}

/* A page that the host cannot read any more. It goes with its last block; without any it holds nothing from now on. */
static void drop_page(CodeCache *cache, CodePage *page, uint64_t changes)
{
    if (!page->blocks) {
        page->covered = 0;
        page->checked = changes;
    }
    for (Block *block = page->blocks, *next; block; block = next) {
        next = part_on(block, page)->next;
        drop(cache, block);
    }
}

/* Whether memory is as it was where blocks come from. */
static bool is_as_read(const CodePage *page, unsigned page_bits)
{
    size_t words = BIT(page_bits) / PAGE_PARTS / sizeof(uint64_t);

    for (uint64_t left = page->covered; left; left &= left - 1) {
        size_t first = (size_t)__builtin_ctzll(left) * words;
        const uint64_t *then = (const uint64_t *)(const void *)page->bytes + first;
        const _Atomic uint64_t *now = (const _Atomic uint64_t *)(const void *)page->host + first;
        uint64_t different = 0;
        for (size_t i = 0; i < words; i++) {
            different |= then[i] ^ atomic_load_explicit(&now[i], memory_order_relaxed);
        }
        if (different) {
            return false;
        }
    }
    return true;
}

/* The same; false where the memory is gone, too, as for read_memory. */
static bool page_stands(Cpu *cpu, const CodePage *page)
{
    ExecGuard guard, *outer = cpu->exec.guard;

    if (!cpu->exec.guarded) {
        return is_as_read(page, cpu->exec.page_bits);
    }
    cpu->exec.guard = &guard;
    cpu->exec.guard_final = true;
    bool stands = !_setjmp(guard.place) && is_as_read(page, cpu->exec.page_bits);
    cpu->exec.guard_final = false;
    cpu->exec.guard = outer;
    return stands;
}

static void compare_page(Cpu *cpu, CodePage *page)
{
    CodeCache *cache = code_cache_of(cpu);
    unsigned page_bits = cpu->exec.page_bits;
    uint64_t changes = atomic_load(&cache->changes);

    if (page_stands(cpu, page)) {
        page->checked = changes;
        return;
    }
    AUTO_FREE uint8_t *now = mem_alloc(BIT(page_bits));
    if (!read_memory(cpu, page->host, now, (unsigned)BIT(page_bits))) {
        drop_page(cache, page, changes);
    } else if (!memcmp(now, page->bytes, BIT(page_bits)) || renew_page(cache, page, now, page_bits)) {
        page->checked = changes;
    }
}

static void check_page(Cpu *cpu, const TlbSource *source, uint64_t since)
{
    CodePage *page = *page_slot(code_cache_of(cpu), source->ram, source->ram_offset);

    if (page && page->checked < since) {
        page->host = source->host;
        compare_page(cpu, page);
    }
}

/* The first of the list that was not compared since there were `changes`. */
static CodePage *page_to_check(CodePage *page, uint64_t changes)
{
    while (page && (page->checked >= changes || !page->blocks)) {
        page = page->next;
    }
    return page;
}

static void check_all(Cpu *cpu, uint64_t changes)
{
    CodeCache *cache = code_cache_of(cpu);

    for (size_t i = 0; i < CODE_PAGE_BUCKETS; i++) {
        CodePage *page; /* looked for anew after each: pages may be freed */
        while ((page = page_to_check(cache->pages[i], changes))) {
            compare_page(cpu, page);
        }
    }
}

void code_check_all(Cpu *cpu, uint64_t since)
{
    CodeCache *cache = code_cache_of(cpu);

    mutex_lock(&cache->lock);
    check_all(cpu, since);
    mutex_unlock(&cache->lock);
}

void code_check_range(Cpu *cpu, const void *ram, uint64_t first, uint64_t last)
{
    CodeCache *cache = code_cache_of(cpu);
    unsigned page_bits = cpu->exec.page_bits;
    uint64_t page_number = first >> page_bits, last_number = last >> page_bits;

    mutex_lock(&cache->lock);
    if (last_number - page_number >= CODE_PAGE_BUCKETS) {
        check_all(cpu, atomic_fetch_add(&cache->changes, 1) + 1);
    } else {
        for (; page_number <= last_number; page_number++) {
            CodePage *page = *page_slot(cache, ram, page_number << page_bits);
            if (page) {
                compare_page(cpu, page);
            }
        }
    }
    mutex_unlock(&cache->lock);
}

void code_page_check(Cpu *cpu, const TlbSource *source, uint64_t since)
{
    CodeCache *cache = code_cache_of(cpu);

    mutex_lock(&cache->lock);
    check_page(cpu, source, since);
    mutex_unlock(&cache->lock);
}

/* Publishing. */

static bool part_is(const CodePage *page, const uint8_t *bytes, uint32_t offset, uint32_t count)
{
    return !memcmp(page->bytes + offset, bytes, count);
}

static bool read_and_compare(Cpu *cpu, CodePage *page, const uint8_t *bytes, uint32_t offset, uint32_t count)
{
    return read_parts(cpu, page, parts_of(offset, count, cpu->exec.page_bits)) && part_is(page, bytes, offset, count);
}

/* The page, holding the bytes; NULL: memory is not what was translated. A page without blocks stays for a moment. */
static CodePage *page_holding(Cpu *cpu, const TlbSource *source, const uint8_t *bytes, uint32_t offset, uint32_t count)
{
    CodeCache *cache = code_cache_of(cpu);
    CodePage *page = get_page(cache, source, cpu->exec.page_bits);

    if (read_and_compare(cpu, page, bytes, offset, count)) {
        return page;
    }
    check_page(cpu, source, UINT64_MAX);
    page = get_page(cache, source, cpu->exec.page_bits);
    return read_and_compare(cpu, page, bytes, offset, count) ? page : NULL;
}

static void enter_page(Block *block, unsigned index, CodePage *page, uint32_t offset, uint32_t count,
                       unsigned page_bits)
{
    BlockPart *part = &block->parts[index];

    *part = (BlockPart){ page, page->blocks, &page->blocks, offset, count };
    page->covered |= parts_of(offset, count, page_bits);
    for (unsigned i = 0; page->blocks && i < BLOCK_PARTS; i++) {
        if (page->blocks->parts[i].page == page && page->blocks->parts[i].link == &page->blocks) {
            page->blocks->parts[i].link = &part->next;
        }
    }
    page->blocks = block;
}

static bool enter_pages(Cpu *cpu, Block *block, const Translation *from)
{
    unsigned page_bits = cpu->exec.page_bits;
    uint32_t offset = (uint32_t)(block->code.pc & mask_bits(page_bits));
    uint32_t here = (uint32_t)MIN(from->ir.bytes, BIT(page_bits) - offset), there = from->ir.bytes - here;
    CodePage *first = page_holding(cpu, &from->first, from->bytes, offset, here), *second;

    if (!first || (there && from->first.ram == from->second.ram && from->first.ram_offset == from->second.ram_offset)) {
        return false; /* one page under two addresses: the interpreter's */
    }
    enter_page(block, 0, first, offset, here, page_bits); /* it stays, whatever the second one's check drops */
    if (!there) {
        return true;
    }
    second = page_holding(cpu, &from->second, from->bytes + here, 0, there);
    if (!second) {
        leave_page(code_cache_of(cpu), &block->parts[0]);
        return false;
    }
    enter_page(block, 1, second, 0, there, page_bits);
    return true;
}

static PublishResult publish(Cpu *cpu, Block **block, const Translation *from)
{
    CodeCache *cache = code_cache_of(cpu);
    BlockQuery query = query_for(*block);
    Block *other = code_find(cache, &query);

    if (other) {
        (*block)->dropped = true;
        *block = other;
        return PUBLISH_LOST;
    }
    if (!enter_pages(cpu, *block, from)) {
        (*block)->dropped = true;
        return PUBLISH_CHANGED;
    }
    _Atomic(Block *) *bucket = bucket_of(cache, &query);
    atomic_store_explicit(&(*block)->next, atomic_load_explicit(bucket, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(bucket, *block, memory_order_release);
    return PUBLISH_DONE;
}

PublishResult code_publish(Cpu *cpu, Block **block, const Translation *from)
{
    CodeCache *cache = code_cache_of(cpu);

    mutex_lock(&cache->lock);
    PublishResult result = publish(cpu, block, from);
    mutex_unlock(&cache->lock);
    return result;
}

static CodePage *page_in_range(CodePage *page, const void *ram, uint64_t first, uint64_t last, unsigned page_bits)
{
    while (page && (!page->blocks || page->ram != ram || page->offset > last ||
                    page->offset + mask_bits(page_bits) < first)) {
        page = page->next;
    }
    return page;
}

void code_drop_range(CodeCache *cache, const void *ram, uint64_t first, uint64_t last, unsigned page_bits)
{
    mutex_lock(&cache->lock);
    for (size_t i = 0; i < CODE_PAGE_BUCKETS; i++) {
        CodePage *page; /* looked for anew after each drop, which may free any page */
        while ((page = page_in_range(cache->pages[i], ram, first, last, page_bits))) {
            drop(cache, page->blocks);
        }
    }
    mutex_unlock(&cache->lock);
}
