/*
 * Memory of the code cache: one reservation, first the code as it is executed, then the data, within reach of 32-bit
 * displacements; and another where the same code is written. Chunks of both kinds go together: chunk n of the code and
 * chunk n of the data. Code is committed chunk by chunk, each a memory file of its own, so that after a fork either
 * process can put fresh memory in the place of what both see.
 */
#include "base/error.h"
#include "base/host/host.h"
#include "cpu/code.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNKS_AT_LEAST = 8, CODE_ALIGNMENT = 64, DATA_ALIGNMENT = 16 };
#define CHUNK_MAXIMUM (256 * KIB)
#define CHUNK_MINIMUM (32 * KIB)
#define CODE_AHEAD (4 * KIB)
#define BYTES_AT_LEAST (2 * CHUNKS_AT_LEAST * CHUNK_MINIMUM)
#define BYTES_AT_MOST (2 * GIB - 2 * MIB)

bool code_memory_init(CodeMemory *memory, uint64_t bytes, Error **error)
{
    bytes = MIN(MAX(bytes, BYTES_AT_LEAST), BYTES_AT_MOST);
    memory->chunk_bytes = CHUNK_MAXIMUM;
    while (memory->chunk_bytes > CHUNK_MINIMUM && bytes / 2 / memory->chunk_bytes < 4 * CHUNKS_AT_LEAST) {
        memory->chunk_bytes /= 2;
    }
    memory->chunk_count = bytes / 2 / memory->chunk_bytes;
    size_t half = memory->chunk_count * memory->chunk_bytes;
    memory->reservation = host_memory_reserve(2 * half, error);
    memory->write = memory->reservation ? host_memory_reserve(half, error) : NULL;
    if (!memory->write || !host_memory_commit(memory->reservation + half, half, error)) {
        return false;
    }
    memory->code = memory->reservation;
    memory->data = memory->reservation + half;
    memory->chunks = mem_alloc_array(memory->chunk_count, sizeof *memory->chunks);
    return true;
}

void code_memory_free(CodeMemory *memory)
{
    size_t half = memory->chunk_count * memory->chunk_bytes;

    if (memory->write) {
        host_memory_unmap(memory->write, half);
    }
    if (memory->reservation) {
        host_memory_unmap(memory->reservation, 2 * half);
    }
    free(memory->chunks);
}

static size_t chunk_start(const CodeMemory *memory, const CodeChunk *chunk)
{
    return (size_t)(chunk - memory->chunks) * memory->chunk_bytes;
}

/* Asks the host for pages of code some at a time: one by one, and in both mappings, they cost twice as much. */
static void get_ready(CodeMemory *memory, CodeChunk *chunk)
{
    size_t needed = atomic_load_explicit(&chunk->code_used, memory_order_relaxed) + CODE_AHEAD;

    while (chunk->code_ready < MIN(needed, memory->chunk_bytes)) {
        host_memory_advise(memory->write + chunk_start(memory, chunk) + chunk->code_ready, CHUNK_MINIMUM,
                           HOST_MEMORY_SOON);
        chunk->code_ready += CHUNK_MINIMUM;
    }
}

/* Fresh memory, or what the chunk had before. */
static bool prepare_chunk(CodeMemory *memory, CodeChunk *chunk)
{
    size_t start = chunk_start(memory, chunk);

    if ((!chunk->has_code_memory || chunk->shared) &&
        !host_memory_commit_code(memory->code + start, memory->write + start, memory->chunk_bytes, NULL)) {
        return false;
    }
    if (chunk->has_code_memory && !host_memory_commit(memory->data + start, memory->chunk_bytes, NULL)) {
        return false;
    }
    *chunk = (CodeChunk){ .state = CHUNK_FILLING, .has_code_memory = true };
    get_ready(memory, chunk);
    return true;
}

CodeChunk *code_memory_take(CodeMemory *memory)
{
    for (size_t i = 0; i < memory->chunk_count; i++) {
        if (memory->chunks[i].state == CHUNK_FREE) {
            return prepare_chunk(memory, &memory->chunks[i]) ? &memory->chunks[i] : NULL;
        }
    }
    return NULL;
}

static bool may_go(const CodeChunk *chunk)
{
    return chunk->state == CHUNK_FULL && !atomic_load_explicit(&chunk->used, memory_order_relaxed);
}

static size_t count_candidates(const CodeMemory *memory)
{
    size_t count = 0;

    for (size_t i = 0; i < memory->chunk_count; i++) {
        count += may_go(&memory->chunks[i]);
    }
    return count;
}

CodeChunk *code_memory_choose(CodeMemory *memory)
{
    size_t count = count_candidates(memory);

    for (size_t i = 0; i < memory->chunk_count && !count; i++) { /* all of them were used: asks anew */
        atomic_store_explicit(&memory->chunks[i].used, false, memory_order_relaxed);
    }
    count = count ? count : count_candidates(memory);
    memory->random = memory->random * 1664525 + 1013904223;
    size_t left = count ? (memory->random >> 8) % count : 0;
    for (size_t i = 0; i < memory->chunk_count; i++) {
        if (may_go(&memory->chunks[i]) && !left--) {
            return &memory->chunks[i];
        }
    }
    return NULL; /* none is full, or it was used meanwhile */
}

void code_memory_use(CodeMemory *memory, const Block *block)
{
    size_t offset = (size_t)((uintptr_t)block->code.code - (uintptr_t)memory->code);
    CodeChunk *chunk = &memory->chunks[offset / memory->chunk_bytes];

    if (!atomic_load_explicit(&chunk->used, memory_order_relaxed)) {
        atomic_store_explicit(&chunk->used, true, memory_order_relaxed);
    }
}

size_t code_memory_free_chunks(const CodeMemory *memory)
{
    size_t count = 0;

    for (size_t i = 0; i < memory->chunk_count; i++) {
        count += memory->chunks[i].state == CHUNK_FREE;
    }
    return count;
}

void code_memory_share(CodeMemory *memory, bool is_child)
{
    for (size_t i = 0; i < memory->chunk_count; i++) {
        CodeChunk *chunk = &memory->chunks[i];
        chunk->shared = chunk->has_code_memory;
        if (is_child && chunk->state == CHUNK_FILLING && i > 0) { /* the first one holds what is common */
            chunk->state = CHUNK_FULL;
        }
    }
}

/* The addresses of the chunk's blocks, downwards from the end of its data. */
static Block **block_slot(const CodeMemory *memory, const CodeChunk *chunk, uint32_t index)
{
    return (Block **)(memory->data + chunk_start(memory, chunk) + memory->chunk_bytes) - 1 - index;
}

Block *code_chunk_block(const CodeMemory *memory, const CodeChunk *chunk, uint32_t index)
{
    return *block_slot(memory, chunk, index);
}

bool code_chunk_space(const CodeMemory *memory, const CodeChunk *chunk, size_t head, CodeSpace *space, void **head_at)
{
    size_t start = chunk_start(memory, chunk), used = chunk->data_used + align_up(head, DATA_ALIGNMENT);
    size_t code_used = atomic_load_explicit(&chunk->code_used, memory_order_relaxed);
    size_t slots = (chunk->block_count + 1) * sizeof(Block *);

    if (used + slots + DATA_ALIGNMENT > memory->chunk_bytes ||
        code_used + CODE_ALIGNMENT > memory->chunk_bytes) {
        return false;
    }
    *head_at = memory->data + start + chunk->data_used;
    *space = (CodeSpace){
        .code_write = memory->write + start + code_used,
        .code = memory->code + start + code_used,
        .code_room = memory->chunk_bytes - code_used,
        .data = memory->data + start + used,
        .data_room = memory->chunk_bytes - slots - used,
    };
    return true;
}

void code_chunk_use(CodeMemory *memory, CodeChunk *chunk, const CodeSpace *space, Block *block)
{
    size_t start = chunk_start(memory, chunk);

    assert(space->code_used <= space->code_room && space->data_used <= space->data_room);
    chunk->data_used = align_up((size_t)(space->data - memory->data) - start + space->data_used, DATA_ALIGNMENT);
    size_t code_used = atomic_load_explicit(&chunk->code_used, memory_order_relaxed) + space->code_used;
    atomic_store_explicit(&chunk->code_used, align_up(code_used, CODE_ALIGNMENT), memory_order_relaxed);
    get_ready(memory, chunk);
    if (block) {
        uint32_t count = atomic_load_explicit(&chunk->block_count, memory_order_relaxed);
        *block_slot(memory, chunk, count) = block;
        atomic_store_explicit(&chunk->block_count, count + 1, memory_order_release);
    }
}

Block *code_memory_find(const CodeMemory *memory, const void *pc)
{
    size_t offset = (size_t)((uintptr_t)pc - (uintptr_t)memory->code);

    if ((uintptr_t)pc < (uintptr_t)memory->code || offset >= memory->chunk_count * memory->chunk_bytes) {
        return NULL;
    }
    const CodeChunk *chunk = &memory->chunks[offset / memory->chunk_bytes];
    uint32_t low = 0, high = atomic_load_explicit(&chunk->block_count, memory_order_acquire);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        Block *block = code_chunk_block(memory, chunk, middle);
        uintptr_t first = (uintptr_t)block->code.code;
        if ((uintptr_t)pc < first) {
            high = middle;
        } else if ((uintptr_t)pc >= first + block->code.code_bytes) {
            low = middle + 1;
        } else {
            return block;
        }
    }
    return NULL;
}
