/*
 * The code cache of a group of vCPUs: blocks of host code, found by the RAM they come from, guest address, mode and
 * flags; links between them; and their memory, given out and taken back by chunks.
 *
 * Threads. Look-up takes no lock, and translation neither: each vCPU fills chunks of its own. Publishing, linking and
 * dropping take the cache's lock, for some hundred nanoseconds each.
 *
 * Taking back. A block that is dropped is unlinked and found no more, but its memory stays: a vCPU may be in it, or
 * have its address in its targets and returns. Chunks go back as wholes: one is emptied, a new epoch begins, and the
 * chunk is used again when each vCPU has reached it, that is, has been in the run loop and emptied its targets and
 * returns, or does not run at all. The next to go is any of those that nobody has looked blocks up
 * in since all were asked last; new ones are spared until then.
 *
 * Code that changes. Nothing is write-protected. Of each page that blocks come from there is a copy. A vCPU that is
 * told of changes compares a page with its copy before it fetches from it again, and what changed is dropped.
 */
#pragma once

#include "cpu/code_debugger.h"
#include "cpu/code_profile.h"
#include "cpu/cpu_internal.h"
#include "jit/host.h"

typedef struct Block Block;
typedef struct CodeCache CodeCache;
typedef struct CodePage CodePage;
typedef struct CodeTargets CodeTargets;

/* The bytes of a block that stand on one page. */
typedef struct BlockPart {
    CodePage *page;
    Block *next, **link; /* in the page's list, part by part; `link` is what leads here */
    uint32_t offset, count;
} BlockPart;

enum { BLOCK_PARTS = 2 };

struct Block {
    CodeBlock code; /* first: links know blocks by it */
    const void *ram;
    uint64_t ram_offset; /* of the page */
    const void *second_ram;
    uint64_t second_offset; /* where an instruction that crosses pages goes on; second_ram NULL: none does */
    _Atomic(Block *) next;  /* in the bucket */
    CodeLink *incoming;     /* exits that lead here */
    BlockPart parts[BLOCK_PARTS];
    bool interpreted; /* the host cannot: code.code is where code would have been */
    bool dropped;
};

typedef struct BlockQuery {
    const void *ram;
    uint64_t ram_offset, pc, mode;
    uint32_t flags;
} BlockQuery;

/* Memory: code_memory.c. */
typedef struct CodeChunk {
    enum ChunkState { CHUNK_FREE, CHUNK_FILLING, CHUNK_FULL, CHUNK_LEAVING } state;
    bool has_code_memory;
    bool shared; /* with a process that forked off: what was written stays */
    _Atomic size_t code_used;     /* others may look at it */
    size_t code_ready;            /* up to here the host was asked for pages */
    size_t data_used;
    _Atomic bool used;           /* CHUNK_FULL: new, or looked up in, since all chunks were asked last */
    uint64_t epoch;              /* CHUNK_LEAVING: free once every vCPU has seen it */
    _Atomic uint32_t block_count; /* their addresses stand at the end of the data, by falling address of these */
} CodeChunk;

typedef struct CodeMemory {
    uint8_t *reservation; /* code, then data */
    uint8_t *code, *write, *data;
    size_t chunk_bytes, chunk_count; /* of code; data likewise */
    CodeChunk *chunks;
    uint32_t random; /* the last number */
} CodeMemory;

bool code_memory_init(CodeMemory *memory, uint64_t bytes, Error **error);
void code_memory_free(CodeMemory *memory);
/* A chunk to fill, or NULL. */
CodeChunk *code_memory_take(CodeMemory *memory);
/* The chunk that is to go, or NULL; and how many are free. */
CodeChunk *code_memory_choose(CodeMemory *memory);
size_t code_memory_free_chunks(const CodeMemory *memory);
/* The process has forked: the memory of all code is shared with another one. Chunks that are being filled go on in the
 * parent alone. */
void code_memory_share(CodeMemory *memory, bool is_child);
/* What is left of a chunk, behind `head` bytes of data for the block itself. False: not even these. */
bool code_chunk_space(const CodeMemory *memory, const CodeChunk *chunk, size_t head, CodeSpace *space, void **head_at);
/* Takes what was used of the space. */
void code_chunk_use(CodeMemory *memory, CodeChunk *chunk, const CodeSpace *space, Block *block);
/* A block in the chunk is about to run. Takes no lock. */
void code_memory_use(CodeMemory *memory, const Block *block);
Block *code_chunk_block(const CodeMemory *memory, const CodeChunk *chunk, uint32_t index);
/* The block that a host address is in, or NULL. Takes no lock: for signal handlers. */
Block *code_memory_find(const CodeMemory *memory, const void *pc);

/* Blocks: code_table.c. */
typedef struct CodeCounts {
    _Atomic uint64_t blocks, interpreted, guest_bytes, host_bytes, insns; /* made so far */
    _Atomic uint64_t links, drops, evictions, lost; /* lost: another vCPU was first */
    _Atomic uint64_t given_up; /* blocks whose indirect jumps look at no site any more */
} CodeCounts;

/* How a vCPU found what it entered from the run loop. */
typedef struct CodeLookups {
    /* By its targets, by the exit's link, in the table; the rest had to be made. */
    _Atomic uint64_t entered, predicted, linked, found;
    _Atomic uint64_t cold; /* stretches that were interpreted for want of room */
    _Atomic uint64_t contexts, fences, forgotten; /* changes of targets; told of changed code; targets lost by that or
                                                  * because code went */
} CodeLookups;

enum { CODE_PAGE_BUCKETS = 1 << 12, CODE_GIVEN_UP_BITS = 1 << 16 };

struct CodeCache {
    const CodeHost *host;
    void *common;
    uint32_t flags; /* CodeFlags that all blocks have */
    Mutex lock;
    CodeMemory memory;
    _Atomic(Block *) *buckets;
    size_t bucket_count;
    CodePage *pages[CODE_PAGE_BUCKETS];
    _Atomic uint64_t given_up[CODE_GIVEN_UP_BITS / 64]; /* by place: code_is_given_up */
    _Atomic uint64_t changes; /* times that a vCPU was told of changed code */
    _Atomic uint64_t epoch;   /* of chunks taken back */
    CodeCounts counts;
    CodeProfile *profile; /* NULL: nobody wants to know */
    CodeDebugger *debugger; /* likewise */
};

/* NULL with an error. `guest` and `layout` are alike for all vCPUs. */
CodeCache *code_cache_new(const CpuEngine *engine, const IrGuest *guest, const CodeLayout *layout, Error **error);
void code_cache_free(CodeCache *cache);
Block *code_find(CodeCache *cache, const BlockQuery *query);
bool code_block_is(const Block *block, const BlockQuery *query);
typedef enum PublishResult { PUBLISH_DONE, PUBLISH_LOST, PUBLISH_CHANGED } PublishResult;
/* Enters a block. LOST: `*block` becomes the one that was there before. CHANGED: memory is not what the translation
 * was made from any more. */
PublishResult code_publish(Cpu *cpu, Block **block, const Translation *from);
/* The exit `link` leads to `to` from now on, unless one of them was dropped. */
void code_link(CodeCache *cache, CodeLink *link, Block *to, uintptr_t addend);
/* The page as the source has it is compared with the blocks from it, unless that was done since `since`. Where the host
 * cannot read it any more (exec.guarded), all of them go. */
void code_page_check(Cpu *cpu, const TlbSource *source, uint64_t since);
void code_check_all(Cpu *cpu, uint64_t since); /* all pages */
/* The same with the pages of [first, last] of `ram` as they are now; of a range that is very long, with all. */
void code_check_range(Cpu *cpu, const void *ram, uint64_t first, uint64_t last);
/* Drops blocks of [first, last] of `ram`. */
void code_drop_range(CodeCache *cache, const void *ram, uint64_t first, uint64_t last, unsigned page_bits);
/* The block's indirect jumps go to too many places: it is dropped. What is made in its place has `asks_table`; so may
 * a few others. */
void code_give_up_site(CodeCache *cache, Block *block);
bool code_is_given_up(const CodeCache *cache, const BlockQuery *query);
/* Under the lock. */
void code_drop_chunk(CodeCache *cache, CodeChunk *chunk);

/* A vCPU's part: code_vcpu.c. */
CodeCache *code_cache_of(const Cpu *cpu);
CodeVcpu *code_vcpu_new(Cpu *cpu, CodeCache *cache);
void code_vcpu_free(Cpu *cpu);
CodeLookups *code_lookups(const Cpu *cpu);
/* Runs from the guest's pc on. False: the interpreter is to do it (or to find out what is wrong). */
bool code_run(Cpu *cpu, int *reason);
/* How much it is to do then: an instruction, or a stretch of code that is not worth its room in a small cache. */
int64_t code_insns_to_interpret(const Cpu *cpu);
void code_told_of_changes(Cpu *cpu);
/* Blocks may have been dropped: what led to them is forgotten. */
void code_blocks_went(Cpu *cpu);
/* RAM that code was fetched from may be no more. */
void code_map_changed(Cpu *cpu);
/* Between blocks: the memory that this vCPU does not hold any more may go. */
void code_rest(Cpu *cpu);
/* Whether the vCPU has seen the epoch, or is in no code and will see it before it enters any. Under the group's
 * lock. */
bool code_has_reached(const Cpu *cpu, uint64_t epoch);
/* Around fork(2), by the thread of `cpu`, which is in no code. */
void code_fork_begin(CodeCache *cache);
void code_fork_end(Cpu *cpu, bool is_child);
/* A page enters the fetch TLB. */
void code_fetches_from(Cpu *cpu, const TlbSource *source);
/* Where indirect jumps and returns lead to: code_targets.c. */
CodeTargets *code_targets_new(void);
void code_targets_free(CodeTargets *targets);
CodeTargets *code_targets_of(const Cpu *cpu); /* NULL: the vCPU has none */
/* Those of the vCPU's mode and space, and of blocks with `flags`. */
void code_targets_select(Cpu *cpu, uint32_t flags);
/* exec.tired_block. */
void code_site_is_tired(Cpu *cpu);
/* Jumps to the block's pc find it from now on. `shared`: it is on a page that all spaces share. */
void code_targets_add(Cpu *cpu, const Block *block, bool shared);
/* Translations of addresses or code went: nothing may be entered by targets and returns. */
void code_forget_targets(Cpu *cpu);
/* cpu->space_serial is another one: predictions made under the old one are left. */
void code_space_changed(Cpu *cpu);
/* code_report.c: info jit. The sum takes the cache's lock, which comes before the group's; the report takes none. */
typedef struct CodeSummary {
    uint64_t blocks, guest_bytes, host_bytes, insns, largest, crossing, linked, linked_twice;
    uint64_t chunk_bytes;
} CodeSummary;
CodeSummary code_sum_up(CodeCache *cache);
void code_report(CodeCache *cache, const CodeSummary *sum, Cpu *const *cpus, size_t count, StrBuf *out);
/* group.c: whether each vCPU but one has reached the epoch; those that have not are kicked. */
bool group_has_reached(CpuGroup *group, uint64_t epoch, const Cpu *but);
