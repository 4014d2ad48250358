/* See tlb_table.h. */
#include "cpu/tlb_table.h"

#include <stdlib.h>
#include <string.h>

enum {
    MINIMUM_BITS = 6,
    MAXIMUM_BITS = 13,
    COPIED_BITS = 12,
    QUIET_FLUSHES = 64, /* so many in a row with less than a quarter used: halve the table */
};

/* Of all tables that nothing was entered in. Never written: what writes makes a table first. */
static const TlbEntry no_entry = { TLB_INVALID, TLB_INVALID, TLB_INVALID, 0 };

static void clear_entries(TlbEntry *entries, size_t count)
{
    memset(entries, 0xff, count * sizeof *entries); /* TLB_INVALID everywhere */
}

static bool is_empty(const TlbEntry *entry)
{
    return entry->read == TLB_INVALID && entry->write == TLB_INVALID && entry->execute == TLB_INVALID;
}

static bool entry_is_for(const TlbEntry *entry, uint64_t page)
{
    uint64_t flags = TLB_SLOW;
    return (entry->read & ~flags) == page || (entry->write & ~flags) == page || (entry->execute & ~flags) == page;
}

/* The page of an entry that is not empty. */
static uint64_t entry_page(const TlbEntry *entry)
{
    uint64_t tag = entry->read != TLB_INVALID    ? entry->read
                   : entry->write != TLB_INVALID ? entry->write
                                                 : entry->execute;
    return tag & ~(uint64_t)TLB_SLOW;
}

static size_t slot_of(const TlbWays *ways, uint64_t page, unsigned page_bits)
{
    return page >> page_bits & ways->table.index_mask;
}

static void forget_large(TlbWays *ways)
{
    for (unsigned i = 0; i < TLB_LARGE_PAGES; i++) {
        ways->large[i] = (TlbLarge){ .first = UINT64_MAX };
    }
    ways->lost_first = UINT64_MAX;
    ways->lost_last = 0;
    ways->has_large = false;
}

static void note_fetched(TlbWays *ways, size_t slot)
{
    if (ways->table.entries[slot].execute != TLB_INVALID && ways->fetched_count < TLB_FETCH_SLOTS) {
        ways->fetched[ways->fetched_count++] = (uint16_t)slot;
    }
}

static void clear(TlbWays *ways)
{
    clear_entries(ways->table.entries, (size_t)1 << ways->bits);
    clear_entries(ways->victims, TLB_VICTIMS);
    ways->used = ways->fetched_count = 0;
    forget_large(ways);
}

void tlb_ways_init(TlbWays *ways)
{
    *ways = (TlbWays){ .table = { .entries = (TlbEntry *)&no_entry } };
    clear_entries(ways->victims, TLB_VICTIMS);
    forget_large(ways);
}

void tlb_ways_free(TlbWays *ways)
{
    if (ways->sources) {
        free(ways->table.entries);
        free(ways->sources);
    }
}

/* Memory for a table, all of it invalid. */
static void allocate(TlbWays *ways, unsigned bits)
{
    size_t count = (size_t)1 << bits;

    ways->bits = bits;
    ways->quiet_flushes = ways->displaced = 0;
    ways->table.entries = mem_alloc_array(count, sizeof *ways->table.entries);
    ways->table.index_mask = count - 1;
    ways->table.offset_mask = ways->table.index_mask * sizeof *ways->table.entries;
    ways->sources = mem_alloc_array(count, sizeof *ways->sources);
    clear_entries(ways->table.entries, count);
}

static void resize(TlbWays *ways, unsigned bits)
{
    tlb_ways_free(ways);
    allocate(ways, bits);
    clear(ways);
}

/* Twice as large, with what is in it. */
static void grow(TlbWays *ways, unsigned page_bits)
{
    TlbEntry *entries = ways->table.entries;
    TlbSource *sources = ways->sources;
    size_t count = (size_t)1 << ways->bits;

    allocate(ways, ways->bits + 1);
    for (size_t i = 0; i < count; i++) {
        if (!is_empty(&entries[i])) {
            size_t slot = slot_of(ways, entry_page(&entries[i]), page_bits);
            ways->table.entries[slot] = entries[i];
            ways->sources[slot] = sources[i];
        }
    }
    free(entries);
    free(sources);
    ways->fetched_count = TLB_FETCH_SLOTS;
}

void tlb_ways_flush(TlbWays *ways)
{
    unsigned size = 1u << ways->bits;

    if (ways->used == 0) {
        forget_large(ways);
        return;
    }
    if (ways->used > size / 4 * 3 && ways->bits < MAXIMUM_BITS) {
        resize(ways, ways->bits + 1);
        return;
    }
    ways->quiet_flushes = ways->used < size / 4 ? ways->quiet_flushes + 1 : 0;
    if (ways->quiet_flushes > QUIET_FLUSHES && ways->bits > MINIMUM_BITS) {
        resize(ways, ways->bits - 1);
        return;
    }
    clear(ways);
}

void tlb_ways_copy(TlbWays *ways, const TlbWays *from)
{
    if (!from->used || from->bits > COPIED_BITS) {
        tlb_ways_flush(ways);
        return;
    }
    if (!ways->sources || ways->bits != from->bits) {
        tlb_ways_free(ways);
        allocate(ways, from->bits);
    }
    TlbTable table = ways->table;
    TlbSource *sources = ways->sources;
    memcpy(table.entries, from->table.entries, sizeof *table.entries << from->bits);
    memcpy(sources, from->sources, sizeof *sources << from->bits);
    *ways = *from;
    ways->table = table;
    ways->sources = sources;
    ways->displaced = ways->quiet_flushes = 0;
}

static void drop_range(TlbEntry *entries, size_t count, uint64_t first, uint64_t last)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_empty(&entries[i]) && entry_page(&entries[i]) >= first && entry_page(&entries[i]) <= last) {
            clear_entries(&entries[i], 1);
        }
    }
}

static void drop_large(TlbWays *ways, TlbLarge *large)
{
    drop_range(ways->table.entries, (size_t)1 << ways->bits, large->first, large->last);
    drop_range(ways->victims, TLB_VICTIMS, large->first, large->last);
    *large = (TlbLarge){ .first = UINT64_MAX };
}

bool tlb_ways_flush_page(TlbWays *ways, uint64_t page, unsigned page_bits)
{
    bool more = false;

    if (!ways->used && !ways->has_large) {
        return false;
    }
    if (page >= ways->lost_first && page <= ways->lost_last) {
        tlb_ways_flush(ways);
        return true;
    }
    for (unsigned i = 0; i < TLB_LARGE_PAGES; i++) {
        if (page >= ways->large[i].first && page <= ways->large[i].last) {
            drop_large(ways, &ways->large[i]);
            more = true;
        }
    }
    TlbEntry *entry = &ways->table.entries[slot_of(ways, page, page_bits)];
    if (entry_is_for(entry, page)) {
        clear_entries(entry, 1);
    }
    for (unsigned i = 0; i < TLB_VICTIMS; i++) {
        if (entry_is_for(&ways->victims[i], page)) {
            clear_entries(&ways->victims[i], 1);
        }
    }
    return more;
}

static void forget_fetches(TlbEntry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        entries[i].execute = TLB_INVALID;
    }
}

void tlb_ways_forget_fetches(TlbWays *ways)
{
    if (!ways->used) {
        return;
    }
    if (ways->fetched_count == TLB_FETCH_SLOTS) {
        forget_fetches(ways->table.entries, (size_t)1 << ways->bits);
    }
    for (unsigned i = 0; i < ways->fetched_count && ways->fetched_count < TLB_FETCH_SLOTS; i++) {
        ways->table.entries[ways->fetched[i]].execute = TLB_INVALID;
    }
    ways->fetched_count = 0;
    forget_fetches(ways->victims, TLB_VICTIMS);
}

static void filter_fetches(const TlbEntry *entries, size_t count, unsigned page_bits, uint64_t *filter)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].execute != TLB_INVALID) {
            unsigned bit = tlb_filter_bit(entry_page(&entries[i]), page_bits);
            filter[bit / 64] |= BIT(bit % 64);
        }
    }
}

void tlb_ways_filter_fetches(const TlbWays *ways, unsigned page_bits, uint64_t filter[TLB_FILTER_WORDS])
{
    if (ways->used) {
        filter_fetches(ways->table.entries, (size_t)1 << ways->bits, page_bits, filter);
        filter_fetches(ways->victims, TLB_VICTIMS, page_bits, filter);
    }
}

static bool allows(const TlbEntry *entry, MmuAccess access, uint64_t page)
{
    uint64_t tag = access == MMU_READ ? entry->read : access == MMU_WRITE ? entry->write : entry->execute;
    return (tag & ~(uint64_t)TLB_SLOW) == page;
}

static void swap_victim(TlbWays *ways, unsigned victim, size_t slot)
{
    TlbEntry entry = ways->table.entries[slot];
    TlbSource source = ways->sources[slot];

    ways->table.entries[slot] = ways->victims[victim];
    ways->sources[slot] = ways->victim_sources[victim];
    ways->victims[victim] = entry;
    ways->victim_sources[victim] = source;
    note_fetched(ways, slot);
}

int64_t tlb_ways_find(TlbWays *ways, MmuAccess access, uint64_t page, unsigned page_bits)
{
    size_t slot = slot_of(ways, page, page_bits);

    if (allows(&ways->table.entries[slot], access, page)) {
        return (int64_t)slot;
    }
    for (unsigned i = 0; i < TLB_VICTIMS && ways->used; i++) {
        if (allows(&ways->victims[i], access, page)) {
            swap_victim(ways, i, slot);
            return (int64_t)slot;
        }
    }
    return -1;
}

/* Makes place in the slot; what was there becomes a victim, and a victim that was the page's goes. */
static void vacate(TlbWays *ways, size_t slot, uint64_t page)
{
    unsigned victim = ways->next_victim % TLB_VICTIMS;
    bool old_one = false;

    if (entry_is_for(&ways->table.entries[slot], page)) {
        return;
    }
    for (unsigned i = 0; i < TLB_VICTIMS && !old_one; i++) {
        old_one = entry_is_for(&ways->victims[i], page);
        victim = old_one ? i : victim;
    }
    if (is_empty(&ways->table.entries[slot])) {
        ways->used++;
        if (old_one) {
            clear_entries(&ways->victims[victim], 1);
        }
        return;
    }
    ways->displaced++;
    ways->next_victim += !old_one;
    ways->victims[victim] = ways->table.entries[slot];
    ways->victim_sources[victim] = ways->sources[slot];
}

size_t tlb_ways_enter(TlbWays *ways, uint64_t page, unsigned page_bits, const TlbEntry *entry, const TlbSource *source)
{
    if (!ways->sources) {
        allocate(ways, MINIMUM_BITS);
    } else if (ways->displaced > 2u << ways->bits && ways->bits < MAXIMUM_BITS) {
        grow(ways, page_bits);
    }
    size_t slot = slot_of(ways, page, page_bits);
    vacate(ways, slot, page);
    ways->table.entries[slot] = *entry;
    ways->sources[slot] = *source;
    note_fetched(ways, slot);
    return slot;
}

void tlb_ways_enter_large(TlbWays *ways, uint64_t address, const MmuResult *result)
{
    uint64_t first = address & ~mask_bits(result->page_bits), last = first | mask_bits(result->page_bits);
    TlbLarge *large = NULL;

    for (unsigned i = 0; i < TLB_LARGE_PAGES && !large; i++) {
        large = ways->large[i].first == first && ways->large[i].last == last ? &ways->large[i] : NULL;
    }
    if (!large) {
        large = &ways->large[ways->next_large++ % TLB_LARGE_PAGES];
        if (large->first <= large->last) {
            ways->lost_first = MIN(ways->lost_first, large->first);
            ways->lost_last = MAX(ways->lost_last, large->last);
        }
    }
    *large = (TlbLarge){ first, last, *result };
    large->result.physical -= address - first;
    ways->has_large = true;
}

const TlbLarge *tlb_ways_find_large(const TlbWays *ways, MmuAccess access, uint64_t address)
{
    for (unsigned i = 0; i < TLB_LARGE_PAGES && ways->has_large; i++) {
        const TlbLarge *large = &ways->large[i];
        if (address >= large->first && address <= large->last && large->result.permissions >> access & 1) {
            return large;
        }
    }
    return NULL;
}
