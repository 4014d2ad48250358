/*
 * The TLB of a vCPU: for each address space that ran lately, and each MMU mode, a table that hits compare with directly
 * (tlb_table.h). Changing to another space puts its tables in the place of the present one's; translations of global
 * pages, and of modes that know no spaces, stand in tables of their own, which a space begins with. A miss looks for
 * the page among those, then among large pages, and walks where both have nothing.
 *
 * A space that is not the present one is dropped by a mark, and emptied when it comes back.
 */
#include "base/strbuf.h"
#include "cpu/code.h"
#include "cpu/tlb_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPACES = 8 };

typedef struct TlbSpace {
    uint64_t space;  /* the guest's name for it */
    bool valid;      /* else it is to be emptied before it is used */
    uint64_t serial; /* of predictions that hold: another one each time some may not */
    uint64_t last_used;
    uint64_t fetches; /* CpuTlb.fetches, as of which its tags for fetches are true */
    uint64_t filter[TLB_FILTER_WORDS]; /* the bit of each page that code may have been fetched from */
    TlbWays ways[TLB_MODES];
} TlbSpace;

struct CpuTlb {
    TlbSpace common;    /* modes without spaces; the other modes' tables have the global pages */
    TlbSpace *spaces[SPACES];
    TlbSpace *current;  /* one of them; `common` where no mode has a space */
    TlbSource uncached; /* the last answer that may not be kept */
    uint64_t serials, uses, fetches;
    CpuTlbCounts counts;
};

static uint32_t spaced_modes(const Cpu *cpu) { return cpu->guest->space ? cpu->guest->spaced_modes : 0; }

static TlbWays *ways_of(const Cpu *cpu, unsigned mode)
{
    return spaced_modes(cpu) >> mode & 1 ? &cpu->tlb->current->ways[mode] : &cpu->tlb->common.ways[mode];
}

/* Tables may have moved: translated code finds them where they are. */
static void show_tables(Cpu *cpu)
{
    for (unsigned i = 0; i < TLB_MODES; i++) {
        cpu->exec.tlb[i] = ways_of(cpu, i)->table;
    }
}

static void space_init(TlbSpace *space)
{
    *space = (TlbSpace){ 0 };
    for (unsigned i = 0; i < TLB_MODES; i++) {
        tlb_ways_init(&space->ways[i]);
    }
}

static void space_free(TlbSpace *space)
{
    for (unsigned i = 0; i < TLB_MODES; i++) {
        tlb_ways_free(&space->ways[i]);
    }
}

static void forget_space_fetches(TlbSpace *space)
{
    for (unsigned i = 0; i < TLB_MODES; i++) {
        tlb_ways_forget_fetches(&space->ways[i]);
    }
}

/* What the filter says from now on: pages that translated code can enter without a look-up. */
static void filter_anew(const Cpu *cpu, TlbSpace *space)
{
    memset(space->filter, 0, sizeof space->filter);
    for (unsigned i = 0; i < TLB_MODES; i++) {
        const TlbWays *ways = spaced_modes(cpu) >> i & 1 ? &space->ways[i] : &cpu->tlb->common.ways[i];
        tlb_ways_filter_fetches(ways, cpu->exec.page_bits, space->filter);
    }
}

/* The interpreter's links are all of the epoch, translated code's predictions of the space's serial. */
static void enter_space(Cpu *cpu)
{
    cpu->space_serial = cpu->tlb->current->serial;
    cpu->exec.epoch++;
    code_space_changed(cpu);
}

/* Of one space; those on pages that all spaces share stay. */
static void forget_predictions(Cpu *cpu, TlbSpace *space)
{
    space->serial = ++cpu->tlb->serials;
    filter_anew(cpu, space);
    if (space == cpu->tlb->current) {
        enter_space(cpu);
    }
}

static void forget_all_predictions(Cpu *cpu)
{
    CpuTlb *tlb = cpu->tlb;

    cpu->shared_serial++;
    filter_anew(cpu, &tlb->common);
    for (unsigned i = 0; i < SPACES && tlb->spaces[i]; i++) {
        forget_predictions(cpu, tlb->spaces[i]);
    }
    if (tlb->current == &tlb->common) {
        forget_predictions(cpu, tlb->current);
    }
}

/* What is left are translations that all spaces share. */
static void flush_ways(Cpu *cpu, TlbSpace *space, uint32_t modes)
{
    CpuTlb *tlb = cpu->tlb;

    for (uint32_t left = modes & mask_bits(TLB_MODES); left; left &= left - 1) {
        unsigned mode = (unsigned)__builtin_ctz(left);
        if (space == &tlb->common || !(spaced_modes(cpu) >> mode & 1)) {
            tlb_ways_flush(&space->ways[mode]);
        } else {
            tlb_ways_copy(&space->ways[mode], &tlb->common.ways[mode]);
        }
    }
}

/* That of the name; else one that is to be emptied: a new one, or what was used longest ago. */
static TlbSpace *find_space(CpuTlb *tlb, uint64_t name)
{
    TlbSpace **slot = &tlb->spaces[0];

    for (unsigned i = 0; i < SPACES; i++) {
        if (!tlb->spaces[i]) {
            tlb->spaces[i] = NEW(TlbSpace);
            space_init(tlb->spaces[i]);
            slot = &tlb->spaces[i];
            break;
        }
        if (tlb->spaces[i]->space == name) {
            return tlb->spaces[i];
        }
        if (tlb->spaces[i]->last_used < (*slot)->last_used) {
            slot = &tlb->spaces[i];
        }
    }
    (*slot)->space = name;
    (*slot)->valid = false;
    return *slot;
}

static void revive(Cpu *cpu, TlbSpace *space)
{
    CpuTlb *tlb = cpu->tlb;

    if (!space->valid) {
        space->valid = true;
        flush_ways(cpu, space, UINT32_MAX);
        space->serial = ++tlb->serials;
        filter_anew(cpu, space);
    } else if (space->fetches != tlb->fetches) {
        forget_space_fetches(space);
    }
    space->fetches = tlb->fetches;
}

void cpu_tlb_select(Cpu *cpu)
{
    CpuTlb *tlb = cpu->tlb;

    if (!spaced_modes(cpu)) {
        return;
    }
    TlbSpace *space = find_space(tlb, cpu->guest->space(cpu));
    space->last_used = ++tlb->uses;
    if (space != tlb->current || !space->valid) {
        count_up(&tlb->counts.switches);
        revive(cpu, space);
        tlb->current = space;
        enter_space(cpu);
        show_tables(cpu);
    }
}

CpuTlb *tlb_new(Cpu *cpu)
{
    CpuTlb *tlb = cpu->tlb = NEW(CpuTlb);

    space_init(&tlb->common);
    tlb->current = &tlb->common;
    revive(cpu, tlb->current);
    enter_space(cpu);
    cpu_tlb_select(cpu);
    show_tables(cpu);
    return tlb;
}

void tlb_free(Cpu *cpu)
{
    CpuTlb *tlb = cpu->tlb;

    if (!tlb) {
        return;
    }
    space_free(&tlb->common);
    for (unsigned i = 0; i < SPACES && tlb->spaces[i]; i++) {
        space_free(tlb->spaces[i]);
        free(tlb->spaces[i]);
    }
    free(tlb);
}

/* Dropping. */

static void log_drop(Cpu *cpu, const TlbScope *scope)
{
    AUTO_STRBUF(what);

    if (scope->one_page) {
        strbuf_printf(&what, "page 0x%" PRIx64 ", ", scope->address & cpu_address_mask(cpu));
    }
    strbuf_printf(&what, "modes 0x%x", (unsigned)(scope->modes & mask_bits(TLB_MODES)));
    if (scope->one_space) {
        strbuf_printf(&what, ", space 0x%" PRIx64, scope->space & scope->space_mask);
    }
    log_write(cpu->log, "cpu %u: mmu: flush of %s\n", cpu->index, strbuf_text(&what));
}

/* True where code may have been fetched from what goes. Else predictions stay: data comes and goes often. */
static bool drop_page(Cpu *cpu, TlbSpace *space, const TlbScope *scope)
{
    uint64_t page = align_down(scope->address & cpu_address_mask(cpu), BIT(cpu->exec.page_bits));
    unsigned bit = tlb_filter_bit(page, cpu->exec.page_bits);
    bool fetched = space->filter[bit / 64] >> bit % 64 & 1;

    for (uint32_t left = scope->modes & mask_bits(TLB_MODES); left; left &= left - 1) {
        fetched |= tlb_ways_flush_page(&space->ways[__builtin_ctz(left)], page, cpu->exec.page_bits);
    }
    return fetched;
}

static void drop(Cpu *cpu, TlbSpace *space, const TlbScope *scope)
{
    if (!space->valid || (scope->one_space && (space->space ^ scope->space) & scope->space_mask)) {
        return;
    }
    if (scope->one_page) {
        if (drop_page(cpu, space, scope)) {
            forget_predictions(cpu, space);
        }
    } else if (space == cpu->tlb->current) {
        flush_ways(cpu, space, scope->modes);
        forget_predictions(cpu, space);
    } else {
        space->valid = false;
    }
}

/* Pages of all spaces, and the modes that know none. */
static void drop_common(Cpu *cpu, const TlbScope *scope)
{
    bool fetched = true;

    if (scope->one_page) {
        fetched = drop_page(cpu, &cpu->tlb->common, scope);
    } else {
        flush_ways(cpu, &cpu->tlb->common, scope->modes);
    }
    if (fetched) {
        forget_all_predictions(cpu);
    }
}

static void count_drop(CpuTlbCounts *counts, const TlbScope *scope)
{
    count_up(scope->one_page ? &counts->page_drops : scope->one_space ? &counts->space_drops : &counts->flushes);
}

void cpu_tlb_drop(Cpu *cpu, const TlbScope *scope)
{
    CpuTlb *tlb = cpu->tlb;

    if (cpu_log_enabled(cpu, LOG_MMU)) {
        log_drop(cpu, scope);
    }
    count_drop(&tlb->counts, scope);
    if (!scope->one_space || !spaced_modes(cpu)) { /* first: it is what flushed spaces begin with */
        drop_common(cpu, scope);
    }
    for (unsigned i = 0; i < SPACES && tlb->spaces[i]; i++) {
        drop(cpu, tlb->spaces[i], scope);
    }
    cpu_tlb_select(cpu);
    show_tables(cpu);
}

void cpu_tlb_flush(Cpu *cpu, uint32_t modes)
{
    cpu_tlb_drop(cpu, &(TlbScope){ .modes = modes });
}

void cpu_tlb_flush_page(Cpu *cpu, uint64_t address, uint32_t modes)
{
    cpu_tlb_drop(cpu, &(TlbScope){ .modes = modes, .one_page = true, .address = address });
}

void tlb_forget_fetches(Cpu *cpu)
{
    CpuTlb *tlb = cpu->tlb;

    tlb->fetches++;
    forget_space_fetches(&tlb->common);
    if (tlb->current != &tlb->common) {
        forget_space_fetches(tlb->current);
        tlb->current->fetches = tlb->fetches;
    }
}

const CpuTlbCounts *cpu_tlb_counts(const Cpu *cpu) { return &cpu->tlb->counts; }

/* Filling. */

static TlbSource find_source(Cpu *cpu, uint64_t address, const MmuResult *result, bool spaced)
{
    unsigned page_bits = cpu->exec.page_bits;
    uint64_t in_page = address & mask_bits(page_bits), granule = BIT(MIN(result->page_bits, page_bits));
    BusPage page = { 0 };

    cpu->bus->page(cpu, result->physical - in_page, page_bits, &page);
    return (TlbSource){
        .physical = result->physical - in_page,
        .host = page.host,
        .ram = page.ram,
        .ram_offset = page.ram_offset,
        .attributes = result->attributes,
        .writable = page.writable,
        .shared = result->global || !spaced,
        .cacheable = result->page_bits >= page_bits,
        .granule = granule,
        .extent = result->extent ? result->extent : granule - (address & (granule - 1)),
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

/* The entry for a page; the tag for fetches comes with the first fetch, which sees to the blocks from it. */
static TlbEntry make_entry(Cpu *cpu, uint64_t page, MmuAccess access, const TlbSource *source, const MmuResult *result)
{
    uint8_t permissions = result->permissions;
    uint64_t fetch_flags = source->host ? 0 : TLB_SLOW, read_flags = result->watched ? TLB_SLOW : fetch_flags;
    uint64_t write_flags = source->writable ? read_flags : TLB_SLOW;
    TlbEntry entry = {
        .read = permissions & MMU_PERM_READ ? page | read_flags : TLB_INVALID,
        .write = permissions & MMU_PERM_WRITE ? page | write_flags : TLB_INVALID,
        .execute = TLB_INVALID,
        .addend = (uintptr_t)source->host - page,
    };

    if (permissions & MMU_PERM_EXECUTE && (access == MMU_EXECUTE || !cpu->code)) {
        code_fetches_from(cpu, source); /* exits of host code go by this tag: blocks from the page are what it holds */
        entry.execute = page | fetch_flags;
    }
    return entry;
}

static void note_fetches(Cpu *cpu, uint64_t page, const TlbSource *source)
{
    unsigned bit = tlb_filter_bit(page, cpu->exec.page_bits);

    cpu->tlb->current->filter[bit / 64] |= BIT(bit % 64);
    if (source->shared) {
        cpu->tlb->common.filter[bit / 64] |= BIT(bit % 64);
    }
}

static const TlbSource *enter(Cpu *cpu, uint64_t page, unsigned mode, const TlbEntry *entry, const TlbSource *source)
{
    TlbWays *ways = ways_of(cpu, mode);
    size_t slot = tlb_ways_enter(ways, page, cpu->exec.page_bits, entry, source);

    cpu->exec.tlb[mode] = ways->table;
    if (entry->execute != TLB_INVALID) {
        note_fetches(cpu, page, source);
    }
    return &ways->sources[slot];
}

/* A page that all spaces share, and that another one had. NULL: it is not known. */
static const TlbSource *recall_common(Cpu *cpu, uint64_t page, MmuAccess access, unsigned mode)
{
    TlbWays *common = &cpu->tlb->common.ways[mode];
    int64_t slot = tlb_ways_find(common, access, page, cpu->exec.page_bits);

    if (slot < 0) {
        return NULL;
    }
    count_up(&cpu->tlb->counts.shared);
    return enter(cpu, page, mode, &common->table.entries[slot], &common->sources[slot]);
}

/* From the lists of large pages: while some of their smallest pages are watched, each of these is asked for. */
static bool recall_large(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mode, MmuResult *result)
{
    const TlbLarge *large = cpu->watches ? NULL : tlb_ways_find_large(ways_of(cpu, mode), access, address);

    if (!large && !cpu->watches && spaced_modes(cpu) >> mode & 1) {
        large = tlb_ways_find_large(&cpu->tlb->common.ways[mode], access, address);
    }
    if (large) {
        *result = large->result;
        result->physical += address - large->first;
        count_up(&cpu->tlb->counts.large);
    }
    return large;
}

static bool find_result(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mode, MmuResult *result)
{
    if (recall_large(cpu, address, access, mode, result)) {
        return true;
    }
    count_up(&cpu->tlb->counts.walks);
    bool allowed = cpu_walk(cpu, address, access, mode, false, result);
    if (cpu_log_enabled(cpu, LOG_MMU)) {
        log_walk(cpu, address, access, mode, allowed ? result : NULL);
    }
    return allowed;
}

static const TlbSource *fill(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mode)
{
    uint64_t page = align_down(address, BIT(cpu->exec.page_bits));
    bool spaced = spaced_modes(cpu) >> mode & 1;
    MmuResult result = { 0 };

    if (cpu->guest->missed) {
        cpu->guest->missed(cpu, access);
    }
    const TlbSource *known = spaced ? recall_common(cpu, page, access, mode) : NULL;
    if (known) {
        return known;
    }
    if (!find_result(cpu, address, access, mode, &result)) {
        return NULL;
    }
    TlbSource source = find_source(cpu, address, &result, spaced);
    if (!source.cacheable) {
        cpu->tlb->uncached = source;
        return &cpu->tlb->uncached;
    }
    TlbEntry entry = make_entry(cpu, page, access, &source, &result);
    bool large = result.page_bits > cpu->exec.page_bits;
    TlbWays *common = &cpu->tlb->common.ways[mode];
    if (large) {
        tlb_ways_enter_large(ways_of(cpu, mode), address, &result);
    }
    if (spaced && result.global && large) {
        tlb_ways_enter_large(common, address, &result);
    }
    if (spaced && result.global) {
        tlb_ways_enter(common, page, cpu->exec.page_bits, &entry, &source);
    }
    return enter(cpu, page, mode, &entry, &source);
}

const TlbSource *tlb_lookup(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mode)
{
    TlbWays *ways = ways_of(cpu, mode);
    uint64_t page = align_down(address, BIT(cpu->exec.page_bits));
    int64_t slot = tlb_ways_find(ways, access, page, cpu->exec.page_bits);

    if (slot < 0) {
        return fill(cpu, address, access, mode);
    }
    if (access == MMU_EXECUTE) {
        note_fetches(cpu, page, &ways->sources[slot]);
    }
    return &ways->sources[slot];
}
