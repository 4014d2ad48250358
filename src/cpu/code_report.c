/* `info jit`: what is in the code cache, and how often it was looked at, in the lines that QEMU's users know. */
#include "base/strbuf.h"
#include "cpu/code.h"

#include <inttypes.h>

static void add_block(CodeSummary *sum, const Block *block)
{
    unsigned linked = 0;

    if (block->dropped || block->interpreted) {
        return;
    }
    for (unsigned i = 0; i < block->code.link_count; i++) {
        linked += atomic_load_explicit(&block->code.links[i].to, memory_order_relaxed) != NULL;
    }
    sum->blocks++;
    sum->guest_bytes += block->code.guest_bytes;
    sum->host_bytes += block->code.code_bytes;
    sum->insns += block->code.insn_count;
    sum->largest = MAX(sum->largest, (uint64_t)block->code.guest_bytes);
    sum->crossing += block->second_ram != NULL;
    sum->linked += linked > 0;
    sum->linked_twice += linked > 1;
}

CodeSummary code_sum_up(CodeCache *cache)
{
    CodeSummary sum = { 0 };

    mutex_lock(&cache->lock);
    for (size_t i = 0; i < cache->memory.chunk_count; i++) {
        const CodeChunk *chunk = &cache->memory.chunks[i];
        uint32_t count = chunk->state == CHUNK_FREE ? 0 : atomic_load(&chunk->block_count);
        for (uint32_t n = 0; n < count; n++) {
            add_block(&sum, code_chunk_block(&cache->memory, chunk, n));
        }
        size_t used = atomic_load_explicit(&chunk->code_used, memory_order_relaxed);
        sum.chunk_bytes += chunk->state == CHUNK_FREE ? 0 : used;
    }
    mutex_unlock(&cache->lock);
    return sum;
}

static uint64_t percent(uint64_t part, uint64_t whole) { return whole ? part * 100 / whole : 0; }
static uint64_t average(uint64_t sum, uint64_t count) { return count ? sum / count : 0; }
static uint64_t get(const _Atomic uint64_t *count) { return atomic_load_explicit(count, memory_order_relaxed); }

static void print_blocks(const CodeCache *cache, const CodeSummary *sum, StrBuf *out)
{
    strbuf_printf(out, "gen code size       %" PRIu64 "/%zu\n", sum->chunk_bytes,
                  cache->memory.chunk_count * cache->memory.chunk_bytes);
    strbuf_printf(out, "TB count            %" PRIu64 "\n", sum->blocks);
    strbuf_printf(out, "TB avg target size  %" PRIu64 " max=%" PRIu64 " bytes\n",
                  average(sum->guest_bytes, sum->blocks), sum->largest);
    strbuf_printf(out, "TB avg host size    %" PRIu64 " bytes (expansion ratio: %.1f)\n",
                  average(sum->host_bytes, sum->blocks),
                  sum->guest_bytes ? (double)sum->host_bytes / (double)sum->guest_bytes : 0);
    strbuf_printf(out, "TB avg insns        %.1f\n", sum->blocks ? (double)sum->insns / (double)sum->blocks : 0);
    strbuf_printf(out, "cross page TB count %" PRIu64 " (%" PRIu64 "%%)\n", sum->crossing,
                  percent(sum->crossing, sum->blocks));
    strbuf_printf(out, "direct jump count   %" PRIu64 " (%" PRIu64 "%%) (2 jumps=%" PRIu64 " %" PRIu64 "%%)\n",
                  sum->linked, percent(sum->linked, sum->blocks), sum->linked_twice,
                  percent(sum->linked_twice, sum->blocks));
}

static void print_cache_counts(const CodeCounts *counts, StrBuf *out)
{
    strbuf_printf(out, "TB flush count      %" PRIu64 "\n", get(&counts->evictions));
    strbuf_printf(out, "TB invalidate count %" PRIu64 "\n", get(&counts->drops));
    strbuf_printf(out, "TB made             %" PRIu64 ", %" PRIu64 " twice, %" PRIu64 " for the interpreter\n",
                  get(&counts->blocks), get(&counts->lost), get(&counts->interpreted));
    strbuf_printf(out, "TB with many ways   %" PRIu64 "\n", get(&counts->given_up));
    strbuf_printf(out, "TB links made       %" PRIu64 "\n", get(&counts->links));
}

static void print_vcpu(const Cpu *cpu, StrBuf *out)
{
    const CodeLookups *lookups = code_lookups(cpu);
    const CpuTlbCounts *tlb = cpu_tlb_counts(cpu);
    uint64_t entered = get(&lookups->entered), predicted = get(&lookups->predicted), found = get(&lookups->found);
    uint64_t linked = get(&lookups->linked);
    uint64_t walks = get(&tlb->walks), large = get(&tlb->large), shared = get(&tlb->shared);
    uint64_t misses = walks + large + shared;

    strbuf_printf(out,
                  "CPU %u: code entered %" PRIu64 " times: %" PRIu64 "%% predicted, %" PRIu64 "%% linked, %" PRIu64
                  "%% found, %" PRIu64 " contexts\n",
                  cpu->index, entered, percent(predicted, entered), percent(linked, entered), percent(found, entered),
                  get(&lookups->contexts));
    strbuf_printf(out, "CPU %u: interpreted %" PRIu64 " stretches that there was no room for\n", cpu->index,
                  get(&lookups->cold));
    strbuf_printf(out, "CPU %u: told of changed code %" PRIu64 " times, predictions forgotten %" PRIu64 " times\n",
                  cpu->index, get(&lookups->fences), get(&lookups->forgotten));
    strbuf_printf(out,
                  "CPU %u: TLB misses %" PRIu64 ": %" PRIu64 "%% walks, %" PRIu64 "%% from large pages, %" PRIu64
                  "%% from other spaces\n",
                  cpu->index, misses, percent(walks, misses), percent(large, misses), percent(shared, misses));
}

/* Of jumps that were counted while the vCPU runs. */
static void print_jumps(const Cpu *cpu, StrBuf *out)
{
    uint64_t counts[JUMP_COUNTS];

    for (unsigned i = 0; i < JUMP_COUNTS; i++) {
        counts[i] = __atomic_load_n(&cpu->exec.jump_counts[i], __ATOMIC_RELAXED);
    }
    strbuf_printf(out, "CPU %u: returns %" PRIu64 ": %" PRIu64 "%% predicted\n", cpu->index, counts[JUMPS_RETURN],
                  percent(counts[JUMPS_RETURN_HIT], counts[JUMPS_RETURN]));
    strbuf_printf(out, "CPU %u: other indirect jumps that look at their last targets %" PRIu64 ":", cpu->index,
                  counts[JUMPS_SITE]);
    for (unsigned way = 0; way < EXEC_WAYS; way++) {
        strbuf_printf(out, "%s %" PRIu64 "%%", way ? "," : "",
                      percent(counts[JUMPS_SITE_HIT + way], counts[JUMPS_SITE]));
    }
    strbuf_printf(out, " hit\nCPU %u: table of targets asked %" PRIu64 " times: %" PRIu64 "%% hit\n", cpu->index,
                  counts[JUMPS_TABLE], percent(counts[JUMPS_TABLE_HIT], counts[JUMPS_TABLE]));
}

static void print_tlb_flushes(Cpu *const *cpus, size_t count, StrBuf *out)
{
    uint64_t full = 0, partial = 0, elided = 0;

    for (size_t i = 0; i < count; i++) {
        const CpuTlbCounts *tlb = cpu_tlb_counts(cpus[i]);
        full += get(&tlb->flushes);
        partial += get(&tlb->space_drops) + get(&tlb->page_drops);
        elided += get(&tlb->switches);
    }
    strbuf_printf(out, "TLB full flushes    %" PRIu64 "\n", full);
    strbuf_printf(out, "TLB partial flushes %" PRIu64 "\n", partial);
    strbuf_printf(out, "TLB elided flushes  %" PRIu64 "\n", elided);
}

void code_report(CodeCache *cache, const CodeSummary *sum, Cpu *const *cpus, size_t count, StrBuf *out)
{
    strbuf_printf(out, "Accelerator settings:\none-insn-per-tb: %s\n\n",
                  count && cpus[0]->block_insns == 1 ? "on" : "off");
    strbuf_append(out, "Translation buffer state:\n");
    print_blocks(cache, sum, out);
    strbuf_append(out, "\nStatistics:\n");
    print_cache_counts(&cache->counts, out);
    print_tlb_flushes(cpus, count, out);
    for (size_t i = 0; i < count; i++) {
        print_vcpu(cpus[i], out);
        if (cache->flags & CODE_COUNT_JUMPS) {
            print_jumps(cpus[i], out);
        }
    }
}
