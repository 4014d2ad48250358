/*
 * One table of translations, for one MMU mode of one address space: direct-mapped, with a few victims beside it, and a
 * short list of large pages that misses look at before they walk. It has no memory before something is entered.
 */
#pragma once

#include "cpu/cpu_internal.h"

enum { TLB_VICTIMS = 8, TLB_LARGE_PAGES = 16, TLB_FILTER_WORDS = 16, TLB_FETCH_SLOTS = 64 };

/* A page larger than the guest's smallest one, as the walk found it. */
typedef struct TlbLarge {
    uint64_t first, last; /* addresses; first > last: none */
    MmuResult result;     /* `physical` is of `first` */
} TlbLarge;

typedef struct TlbWays {
    TlbTable table;
    TlbSource *sources; /* parallel to the table's entries; NULL: nothing was ever entered */
    TlbEntry victims[TLB_VICTIMS];
    TlbSource victim_sources[TLB_VICTIMS];
    unsigned next_victim;
    unsigned bits;          /* the table has 1 << bits entries */
    unsigned used;          /* entries filled since the last flush */
    unsigned displaced;     /* entries that made place for another page since it got its size */
    unsigned quiet_flushes;
    unsigned fetched_count; /* TLB_FETCH_SLOTS: more than there is place for */
    uint16_t fetched[TLB_FETCH_SLOTS]; /* slots that may have tags for fetches */
    TlbLarge large[TLB_LARGE_PAGES];
    unsigned next_large;
    bool has_large; /* since the last flush */
    uint64_t lost_first, lost_last; /* addresses of large pages that the list had no place for; none: first > last */
} TlbWays;

/* The table has one entry then, that nothing hits. */
void tlb_ways_init(TlbWays *ways);
void tlb_ways_free(TlbWays *ways);
/* Empties it, and gives it another size where its use says so. */
void tlb_ways_flush(TlbWays *ways);
/* Becomes what the other one is, where that is not too much. */
void tlb_ways_copy(TlbWays *ways, const TlbWays *from);
/* Drops what translates any address of the page, all of a large page included. True where other pages had to go too. */
bool tlb_ways_flush_page(TlbWays *ways, uint64_t page, unsigned page_bits);
void tlb_ways_forget_fetches(TlbWays *ways);
/* The slot of the page's entry where it allows the access, or -1. Swaps a victim in. */
int64_t tlb_ways_find(TlbWays *ways, MmuAccess access, uint64_t page, unsigned page_bits);
/* In the place of an older entry for the page, or of another page's. May resize the table. */
size_t tlb_ways_enter(TlbWays *ways, uint64_t page, unsigned page_bits, const TlbEntry *entry, const TlbSource *source);
void tlb_ways_enter_large(TlbWays *ways, uint64_t address, const MmuResult *result);
/* What was entered for the large page around the address, where it allows the access; NULL: nothing. */
const TlbLarge *tlb_ways_find_large(const TlbWays *ways, MmuAccess access, uint64_t address);
/* Sets the bit of each page that may be fetched from. */
void tlb_ways_filter_fetches(const TlbWays *ways, unsigned page_bits, uint64_t filter[TLB_FILTER_WORDS]);

static inline unsigned tlb_filter_bit(uint64_t page, unsigned page_bits)
{
    return (unsigned)((page >> page_bits) * 0x9e3779b97f4a7c15 >> 54);
}
