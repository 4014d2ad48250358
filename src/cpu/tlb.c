/*
 * The TLB: for each MMU mode a direct-mapped table that hits compare with directly (Exec.tlb), a parallel one of what
 * the slow paths need, and a few victims. Entries are for the guest's smallest page; a flush of one page drops the
 * whole mode where a larger one covers it. Tables grow when they are full at a flush, and shrink when they stay empty.
 */
#include "cpu/code.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MINIMUM_BITS = 6,
    MAXIMUM_BITS = 13,
    VICTIMS = 8,
    QUIET_FLUSHES = 64, /* so many in a row with less than a quarter used: halve the table */
};

typedef struct TlbMode {
    TlbSource *sources; /* parallel to Exec.tlb's entries */
    TlbEntry victims[VICTIMS];
    TlbSource victim_sources[VICTIMS];
    unsigned next_victim;
    unsigned bits;
    unsigned used;                     /* entries filled since the last flush */
    unsigned quiet_flushes;
    uint64_t large_first, large_last;  /* addresses that larger pages cover, as one range; none: first > last */
} TlbMode;

struct CpuTlb {
    TlbMode modes[TLB_MODES];
    TlbSource uncached;       /* the last answer that may not be kept */
    uint64_t fetched[16];     /* a filter: the bit of each page that code was fetched from since the epoch began */
};

static unsigned filter_bit(const Cpu *cpu, uint64_t page)
{
    return (unsigned)((page >> cpu->exec.page_bits) * 0x9e3779b97f4a7c15 >> 54);
}

static void begin_epoch(Cpu *cpu)
{
    memset(cpu->tlb->fetched, 0, sizeof cpu->tlb->fetched);
    cpu->exec.epoch++;
    code_translations_changed(cpu);
}

static void clear_entries(TlbEntry *entries, size_t count)
{
    memset(entries, 0xff, count * sizeof *entries); /* TLB_INVALID everywhere */
}

static void mode_clear(Cpu *cpu, unsigned index)
{
    TlbMode *mode = &cpu->tlb->modes[index];

    clear_entries(cpu->exec.tlb[index].entries, (size_t)1 << mode->bits);
    clear_entries(mode->victims, VICTIMS);
    mode->used = 0;
    mode->large_first = UINT64_MAX;
    mode->large_last = 0;
}

static void mode_allocate(Cpu *cpu, unsigned index, unsigned bits)
{
    TlbMode *mode = &cpu->tlb->modes[index];
    TlbTable *table = &cpu->exec.tlb[index];

    free(table->entries);
    free(mode->sources);
    mode->bits = bits;
    mode->quiet_flushes = 0;
    table->entries = mem_alloc_array((size_t)1 << bits, sizeof *table->entries);
    table->index_mask = mask_bits(bits);
    table->offset_mask = table->index_mask * sizeof *table->entries;
    mode->sources = mem_alloc_array((size_t)1 << bits, sizeof *mode->sources);
    mode_clear(cpu, index);
}

CpuTlb *tlb_new(Cpu *cpu)
{
    cpu->tlb = NEW(CpuTlb);
    for (unsigned i = 0; i < TLB_MODES; i++) {
        mode_allocate(cpu, i, MINIMUM_BITS);
    }
    return cpu->tlb;
}

void tlb_free(Cpu *cpu)
{
    for (unsigned i = 0; cpu->tlb && i < TLB_MODES; i++) {
        free(cpu->exec.tlb[i].entries);
        free(cpu->tlb->modes[i].sources);
    }
    free(cpu->tlb);
}

/* Empties a mode's table, and gives it another size where its use says so. */
static void mode_flush(Cpu *cpu, unsigned index)
{
    TlbMode *mode = &cpu->tlb->modes[index];
    unsigned size = 1u << mode->bits;

    if (mode->used == 0) {
        return;
    }
    if (mode->used > size / 4 * 3 && mode->bits < MAXIMUM_BITS) {
        mode_allocate(cpu, index, mode->bits + 1);
        return;
    }
    mode->quiet_flushes = mode->used < size / 4 ? mode->quiet_flushes + 1 : 0;
    if (mode->quiet_flushes > QUIET_FLUSHES && mode->bits > MINIMUM_BITS) {
        mode_allocate(cpu, index, mode->bits - 1);
        return;
    }
    mode_clear(cpu, index);
}

void cpu_tlb_flush(Cpu *cpu, uint32_t modes)
{
    if (cpu_log_enabled(cpu, LOG_MMU)) {
        log_write(cpu->log, "cpu %u: mmu: flush of modes 0x%x\n", cpu->index, (unsigned)(modes & mask_bits(TLB_MODES)));
    }
    for (; modes & mask_bits(TLB_MODES); modes &= modes - 1) {
        mode_flush(cpu, (unsigned)__builtin_ctz(modes));
    }
    begin_epoch(cpu);
}

static void forget_fetches(TlbEntry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        entries[i].execute = TLB_INVALID;
    }
}

void tlb_forget_fetches(Cpu *cpu)
{
    for (unsigned i = 0; i < TLB_MODES; i++) {
        if (cpu->tlb->modes[i].used) {
            forget_fetches(cpu->exec.tlb[i].entries, (size_t)1 << cpu->tlb->modes[i].bits);
            forget_fetches(cpu->tlb->modes[i].victims, VICTIMS);
        }
    }
}

static bool entry_is_for(const TlbEntry *entry, uint64_t page)
{
    uint64_t flags = TLB_SLOW;
    return (entry->read & ~flags) == page || (entry->write & ~flags) == page || (entry->execute & ~flags) == page;
}

/* True where more than the page had to go. */
static bool mode_flush_page(Cpu *cpu, unsigned index, uint64_t page)
{
    TlbMode *mode = &cpu->tlb->modes[index];
    TlbTable *table = &cpu->exec.tlb[index];
    TlbEntry *entry = &table->entries[page >> cpu->exec.page_bits & table->index_mask];

    if (page >= mode->large_first && page <= mode->large_last) {
        mode_flush(cpu, index);
        return true;
    }
    if (entry_is_for(entry, page)) {
        clear_entries(entry, 1);
    }
    for (unsigned i = 0; i < VICTIMS; i++) {
        if (entry_is_for(&mode->victims[i], page)) {
            clear_entries(&mode->victims[i], 1);
        }
    }
    return false;
}

/* Links between blocks stay where no code was fetched from the page: that of data comes and goes often. */
void cpu_tlb_flush_page(Cpu *cpu, uint64_t address, uint32_t modes)
{
    uint64_t page = align_down(address & cpu_address_mask(cpu), BIT(cpu->exec.page_bits));
    unsigned bit = filter_bit(cpu, page);
    bool links = cpu->tlb->fetched[bit / 64] >> bit % 64 & 1;

    if (cpu_log_enabled(cpu, LOG_MMU)) {
        log_write(cpu->log, "cpu %u: mmu: flush of page 0x%" PRIx64 ", modes 0x%x\n", cpu->index, page,
                  (unsigned)(modes & mask_bits(TLB_MODES)));
    }
    for (; modes & mask_bits(TLB_MODES); modes &= modes - 1) {
        links |= mode_flush_page(cpu, (unsigned)__builtin_ctz(modes), page);
    }
    if (links) {
        begin_epoch(cpu);
    }
}

static uint64_t tag_for(const TlbEntry *entry, MmuAccess access)
{
    return access == MMU_READ ? entry->read : access == MMU_WRITE ? entry->write : entry->execute;
}

static bool allows(const TlbEntry *entry, MmuAccess access, uint64_t page)
{
    return (tag_for(entry, access) & ~(uint64_t)TLB_SLOW) == page;
}

/* Swaps a victim that allows the access with the entry in its place. */
static bool recall_victim(TlbMode *mode, TlbEntry *entry, TlbSource *source, MmuAccess access, uint64_t page)
{
    for (unsigned i = 0; i < VICTIMS; i++) {
        if (allows(&mode->victims[i], access, page)) {
            TlbEntry old_entry = *entry;
            TlbSource old_source = *source;
            *entry = mode->victims[i];
            *source = mode->victim_sources[i];
            mode->victims[i] = old_entry;
            mode->victim_sources[i] = old_source;
            return true;
        }
    }
    return false;
}

static void evict(TlbMode *mode, const TlbEntry *entry, const TlbSource *source, uint64_t page)
{
    if (entry->read == TLB_INVALID && entry->write == TLB_INVALID && entry->execute == TLB_INVALID) {
        mode->used++;
    } else if (!entry_is_for(entry, page)) {
        unsigned victim = mode->next_victim++ % VICTIMS;
        mode->victims[victim] = *entry;
        mode->victim_sources[victim] = *source;
    }
}

static void note_large_page(TlbMode *mode, uint64_t address, unsigned bits)
{
    uint64_t first = address & ~mask_bits(bits), last = first | mask_bits(bits);

    mode->large_first = MIN(mode->large_first, first);
    mode->large_last = MAX(mode->large_last, last);
}

static TlbSource find_source(Cpu *cpu, uint64_t address, const MmuResult *result)
{
    unsigned page_bits = cpu->exec.page_bits;
    uint64_t in_page = address & mask_bits(page_bits);
    BusPage page = { 0 };

    cpu->bus->page(cpu, result->physical - in_page, page_bits, &page);
    return (TlbSource){
        .physical = result->physical - in_page,
        .host = page.host,
        .ram = page.ram,
        .ram_offset = page.ram_offset,
        .attributes = result->attributes,
        .writable = page.writable,
        .cacheable = result->page_bits >= page_bits,
        .granule = BIT(MIN(result->page_bits, page_bits)),
    };
}

/* `result` NULL: the walk refused it. */
static void log_walk(Cpu *cpu, uint64_t address, MmuAccess access, unsigned index, const MmuResult *result)
{
    static const char *const accesses[] = { [MMU_READ] = "read", [MMU_WRITE] = "write", [MMU_EXECUTE] = "fetch" };
    char text[80] = "refused";

    if (result) {
        snprintf(text, sizeof text, "physical 0x%" PRIx64 ", %c%c%c, page of %u bits", result->physical,
                 result->permissions & MMU_PERM_READ ? 'r' : '-', result->permissions & MMU_PERM_WRITE ? 'w' : '-',
                 result->permissions & MMU_PERM_EXECUTE ? 'x' : '-', result->page_bits);
    }
    log_write(cpu->log, "cpu %u: mmu: %s 0x%" PRIx64 " in mode %u: %s\n", cpu->index, accesses[access], address, index,
              text);
}

static const TlbSource *fill(Cpu *cpu, uint64_t address, MmuAccess access, unsigned index)
{
    unsigned page_bits = cpu->exec.page_bits;
    uint64_t page = align_down(address, BIT(page_bits));
    MmuResult result = { 0 };

    bool allowed = cpu_walk(cpu, address, access, index, false, &result);
    if (cpu_log_enabled(cpu, LOG_MMU)) {
        log_walk(cpu, address, access, index, allowed ? &result : NULL);
    }
    if (!allowed) {
        return NULL;
    }
    TlbSource source = find_source(cpu, address, &result);
    if (!source.cacheable) {
        cpu->tlb->uncached = source;
        return &cpu->tlb->uncached;
    }
    /* Looked up only now: the walk, and what it calls, may have flushed and resized. */
    TlbMode *mode = &cpu->tlb->modes[index];
    size_t slot = page >> page_bits & cpu->exec.tlb[index].index_mask;
    TlbEntry *entry = &cpu->exec.tlb[index].entries[slot];
    uint64_t fetch_flags = source.host ? 0 : TLB_SLOW, read_flags = result.watched ? TLB_SLOW : fetch_flags;
    uint64_t write_flags = source.writable ? read_flags : TLB_SLOW;

    evict(mode, entry, &mode->sources[slot], page);
    if (result.page_bits > page_bits) {
        note_large_page(mode, address, result.page_bits);
    }
    mode->sources[slot] = source;
    entry->read = result.permissions & MMU_PERM_READ ? page | read_flags : TLB_INVALID;
    entry->write = result.permissions & MMU_PERM_WRITE ? page | write_flags : TLB_INVALID;
    entry->execute = TLB_INVALID;
    if (result.permissions & MMU_PERM_EXECUTE && (access == MMU_EXECUTE || !cpu->code)) {
        code_fetches_from(cpu, &source); /* exits of host code go by this tag: blocks from the page are what it holds */
        entry->execute = page | fetch_flags;
    }
    entry->addend = (uintptr_t)source.host - page;
    return &mode->sources[slot];
}

const TlbSource *tlb_lookup(Cpu *cpu, uint64_t address, MmuAccess access, unsigned index)
{
    const TlbTable *table = &cpu->exec.tlb[index];
    TlbMode *mode = &cpu->tlb->modes[index];
    uint64_t page = align_down(address, BIT(cpu->exec.page_bits));
    size_t slot = page >> cpu->exec.page_bits & table->index_mask;

    if (access == MMU_EXECUTE) {
        unsigned bit = filter_bit(cpu, page);
        cpu->tlb->fetched[bit / 64] |= BIT(bit % 64);
    }
    if (allows(&table->entries[slot], access, page) ||
        recall_victim(mode, &table->entries[slot], &mode->sources[slot], access, page)) {
        return &mode->sources[slot];
    }
    return fill(cpu, address, access, index);
}
