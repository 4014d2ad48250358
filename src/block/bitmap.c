/* Dirty bitmaps in memory. */
#include "block/bitmap.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "block/block_internal.h"

#include <inttypes.h>
#include <stdatomic.h>

enum { WORD_BITS = 64, PAGE_WORDS = 512, PAGE_BITS = WORD_BITS * PAGE_WORDS, USUAL_GRANULARITY = 65536,
       LEAST_USUAL_GRANULARITY = 4096 };
#define MAXIMUM_BITS BIT(32)

/* The mark of a page whose bits are all set; never looked at as memory. */
static uint64_t *full_page(void) { return (uint64_t *)UINTPTR_MAX; }

/* Bits; the mutex is held, or nobody else is there */

static uint64_t count_bits(uint64_t size, unsigned granularity_bits)
{
    return (size >> granularity_bits) + ((size & mask_bits(granularity_bits)) != 0);
}

static uint64_t bits_of(const BlockBitmap *bitmap) { return count_bits(bitmap->size, bitmap->granularity_bits); }

uint64_t block_bitmap_words(const BlockBitmap *bitmap) { return (bits_of(bitmap) + WORD_BITS - 1) / WORD_BITS; }

static uint64_t word_at(const BlockBitmap *bitmap, uint64_t word)
{
    uint64_t bits = bits_of(bitmap), first = word * WORD_BITS;
    if (first >= bits) {
        return 0;
    }
    const uint64_t *page = bitmap->pages[word / PAGE_WORDS];
    uint64_t value = page == full_page() ? UINT64_MAX : page ? page[word % PAGE_WORDS] : 0;
    return bits - first < WORD_BITS ? value & mask_bits((unsigned)(bits - first)) : value;
}

static uint64_t *page_to_change(BlockBitmap *bitmap, uint64_t index)
{
    uint64_t **page = &bitmap->pages[index];
    if (!*page) {
        *page = mem_alloc_array(PAGE_WORDS, sizeof **page);
    }
    return *page;
}

/* Bits `first` to `end`, all in one word. */
static void set_in_word(uint64_t *page, uint64_t first, uint64_t end)
{
    uint64_t mask = end - first == WORD_BITS ? UINT64_MAX : mask_bits((unsigned)(end - first)) << first % WORD_BITS;
    page[first / WORD_BITS % PAGE_WORDS] |= mask;
}

static void set_in_page(BlockBitmap *bitmap, uint64_t first, uint64_t end)
{
    uint64_t index = first / PAGE_BITS;
    if (bitmap->pages[index] == full_page()) {
        return;
    }
    if (end - first == PAGE_BITS) {
        free(bitmap->pages[index]);
        bitmap->pages[index] = full_page();
        return;
    }
    uint64_t *page = page_to_change(bitmap, index);
    for (uint64_t next; first < end; first = next) {
        next = MIN(end, align_down(first, WORD_BITS) + WORD_BITS);
        set_in_word(page, first, next);
    }
}

static void set_bits(BlockBitmap *bitmap, uint64_t first, uint64_t end)
{
    for (uint64_t next; first < end; first = next) {
        next = MIN(end, align_down(first, PAGE_BITS) + PAGE_BITS);
        set_in_page(bitmap, first, next);
    }
}

/* The first bit from `bit` on that is as `set` says; or the end. */
static uint64_t find_bit(const BlockBitmap *bitmap, uint64_t bit, bool set)
{
    uint64_t bits = bits_of(bitmap);
    while (bit < bits) {
        const uint64_t *page = bitmap->pages[bit / PAGE_BITS];
        if ((!page && set) || (page == full_page() && !set)) {
            bit = align_down(bit, PAGE_BITS) + PAGE_BITS;
            continue;
        }
        uint64_t word = word_at(bitmap, bit / WORD_BITS);
        word = (set ? word : ~word) >> bit % WORD_BITS;
        if (word) {
            return MIN(bits, bit + (unsigned)__builtin_ctzll(word));
        }
        bit = align_down(bit, WORD_BITS) + WORD_BITS;
    }
    return bits;
}

static void free_page(uint64_t *page)
{
    if (page != full_page()) {
        free(page);
    }
}

static void clear_pages(BlockBitmap *bitmap)
{
    for (size_t i = 0; i < bitmap->page_count; i++) {
        free_page(bitmap->pages[i]);
        bitmap->pages[i] = NULL;
    }
}

/* Bits as bytes */

bool block_bitmap_save_words(BlockBitmap *bitmap, uint64_t word, uint8_t *bytes, size_t count)
{
    uint64_t any = 0;
    for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
        uint64_t value = word_at(bitmap, word + i / sizeof(uint64_t));
        store_le64(bytes + i, value);
        any |= value;
    }
    return any != 0;
}

void block_bitmap_load_words(BlockBitmap *bitmap, uint64_t word, const uint8_t *bytes, size_t count)
{
    uint64_t words = block_bitmap_words(bitmap);
    for (size_t i = 0; i < count && word < words; i += sizeof(uint64_t), word++) {
        uint64_t value = load_le64(bytes + i), index = word / PAGE_WORDS;
        if (value && bitmap->pages[index] != full_page()) {
            page_to_change(bitmap, index)[word % PAGE_WORDS] |= value;
        }
    }
}

/* Making and changing them */

bool block_bitmap_fits(uint64_t size, unsigned granularity_bits)
{
    return count_bits(size, granularity_bits) <= MAXIMUM_BITS;
}

BlockBitmap *block_bitmap_new(BlockNode *node, const char *name, unsigned granularity_bits, uint64_t size)
{
    BlockBitmap *bitmap = NEW(BlockBitmap);
    bitmap->node = node;
    bitmap->name = string_copy(name);
    bitmap->granularity_bits = granularity_bits;
    bitmap->size = size;
    bitmap->page_count = (bits_of(bitmap) + PAGE_BITS - 1) / PAGE_BITS;
    bitmap->pages = mem_alloc_array(bitmap->page_count, sizeof *bitmap->pages);
    mutex_init(&bitmap->mutex);
    list_append(&node->bitmaps, &bitmap->in_node);
    return bitmap;
}

void block_bitmap_remove(BlockBitmap *bitmap)
{
    list_remove(&bitmap->in_node);
    clear_pages(bitmap);
    mutex_destroy(&bitmap->mutex);
    free(bitmap->pages);
    free(bitmap->stored);
    free(bitmap->name);
    free(bitmap);
}

/* A page that is cut must not have bits behind the end: they would come back with the next growing. */
static void cut_last_page(BlockBitmap *bitmap)
{
    uint64_t bits = bits_of(bitmap), first = align_down(bits, PAGE_BITS);
    if (bits == first || !bitmap->pages[bits / PAGE_BITS]) {
        return;
    }
    uint64_t *old = bitmap->pages[bits / PAGE_BITS], *page = mem_alloc_array(PAGE_WORDS, sizeof *page);
    for (uint64_t i = 0; i < PAGE_WORDS; i++) {
        page[i] = word_at(bitmap, first / WORD_BITS + i);
    }
    bitmap->pages[bits / PAGE_BITS] = page;
    free_page(old);
}

void block_bitmap_resize(BlockBitmap *bitmap, uint64_t size)
{
    size_t count = (count_bits(size, bitmap->granularity_bits) + PAGE_BITS - 1) / PAGE_BITS;
    cut_last_page(bitmap); /* all bits of one that is marked as full count from now on */
    uint64_t **pages = mem_alloc_array(count, sizeof *pages);
    for (size_t i = 0; i < bitmap->page_count; i++) {
        if (i < count) {
            pages[i] = bitmap->pages[i];
        } else {
            free_page(bitmap->pages[i]);
        }
    }
    free(bitmap->pages);
    bitmap->pages = pages;
    bitmap->page_count = count;
    bitmap->size = size;
    bitmap->changed = true;
    cut_last_page(bitmap);
}

void block_bitmap_set(BlockBitmap *bitmap, uint64_t offset, uint64_t bytes)
{
    if (bytes == 0 || offset >= bitmap->size) {
        return;
    }
    uint64_t last = offset + MIN(bytes, bitmap->size - offset) - 1;
    mutex_lock(&bitmap->mutex);
    set_bits(bitmap, offset >> bitmap->granularity_bits, (last >> bitmap->granularity_bits) + 1);
    bitmap->changed = true;
    mutex_unlock(&bitmap->mutex);
}

void block_bitmaps_note(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (bitmap->enabled && !bitmap->inconsistent) {
            block_bitmap_set(bitmap, offset, bytes);
        }
    }
}

/* For users */

bool block_bitmaps_supported(const BlockNode *node)
{
    return node->driver->bitmaps_supported && node->driver->bitmaps_supported(node);
}

bool block_bitmaps_load(BlockNode *node, Error **error)
{
    return !node->driver->bitmaps_load || node->driver->bitmaps_load(node, error);
}

BlockBitmap *block_bitmap_at(const BlockNode *node, size_t i)
{
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (i-- == 0) {
            return bitmap;
        }
    }
    return NULL;
}

static BlockBitmap *find(const BlockNode *node, const char *name)
{
    LIST_FOREACH(&node->bitmaps, bitmap, BlockBitmap, in_node)
    {
        if (strcmp(bitmap->name, name) == 0) {
            return bitmap;
        }
    }
    return NULL;
}

BlockBitmap *block_bitmap_find(const BlockNode *node, const char *name, Error **error)
{
    BlockBitmap *bitmap = find(node, name);
    if (!bitmap) {
        error_set(error, "Dirty bitmap '%s' not found", name);
    }
    return bitmap;
}

uint32_t block_bitmap_usual_granularity(const BlockNode *node)
{
    BlockFacts facts;
    block_node_facts(node, &facts);
    json_free(facts.specific);
    return facts.cluster_bytes ? MIN(MAX(facts.cluster_bytes, LEAST_USUAL_GRANULARITY), USUAL_GRANULARITY)
                               : USUAL_GRANULARITY;
}

static bool can_be_persistent(BlockNode *node, const char *name, unsigned granularity_bits, Error **error)
{
    if (!node->driver->bitmap_check) {
        return error_set(error, "Can't store persistent bitmaps to %s: Operation not supported", node->name);
    }
    return node->driver->bitmap_check(node, name, granularity_bits, error) ||
           error_prepend(error, "Can't make bitmap '%s' persistent in '%s': ", name, node->name);
}

BlockBitmap *block_bitmap_add(BlockNode *node, const char *name, uint64_t granularity, bool persistent, Error **error)
{
    uint64_t step = granularity ? granularity : block_bitmap_usual_granularity(node);
    if (step < BLOCK_SECTOR || (step & (step - 1)) || step > UINT32_MAX) {
        error_set(error, "Granularity must be power of 2 and at least %d", BLOCK_SECTOR);
        return NULL;
    }
    unsigned bits = (unsigned)__builtin_ctzll(step);
    if (find(node, name)) {
        error_set(error, "Bitmap already exists: %s", name);
        return NULL;
    }
    if (persistent && !can_be_persistent(node, name, bits, error)) {
        return NULL;
    }
    if (!block_bitmap_fits(block_node_size(node), bits)) {
        error_set(error, "Too much space will be occupied by the bitmap. Use larger granularity");
        return NULL;
    }
    block_graph_drain_begin(node->graph);
    BlockBitmap *bitmap = block_bitmap_new(node, name, bits, block_node_size(node));
    bitmap->persistent = persistent;
    bitmap->enabled = bitmap->changed = true;
    block_graph_drain_end(node->graph);
    return bitmap;
}

static bool can_be_used(const BlockBitmap *bitmap, Error **error)
{
    if (bitmap->inconsistent) {
        error_set(error, "Bitmap '%s' is inconsistent and cannot be used", bitmap->name);
        error_add_hint(error, "Try block-dirty-bitmap-remove to delete this bitmap from disk\n");
    }
    return !bitmap->inconsistent;
}

static bool can_be_changed(const BlockBitmap *bitmap, Error **error)
{
    if (bitmap->persistent && bitmap->node->read_only) {
        return error_set(error, "Bitmap '%s' is readonly and cannot be modified", bitmap->name);
    }
    return can_be_used(bitmap, error);
}

bool block_bitmap_clear(BlockBitmap *bitmap, Error **error)
{
    if (!can_be_changed(bitmap, error)) {
        return false;
    }
    block_graph_drain_begin(bitmap->node->graph);
    clear_pages(bitmap);
    bitmap->changed = true;
    block_graph_drain_end(bitmap->node->graph);
    return true;
}

bool block_bitmap_enable(BlockBitmap *bitmap, bool enable, Error **error)
{
    if (!can_be_changed(bitmap, error)) {
        return false;
    }
    block_graph_drain_begin(bitmap->node->graph);
    bitmap->enabled = enable;
    block_graph_drain_end(bitmap->node->graph);
    return true;
}

bool block_bitmap_merge(BlockBitmap *bitmap, BlockBitmap *from, Error **error)
{
    if (!can_be_changed(bitmap, error) || !can_be_used(from, error)) {
        return false;
    }
    if (bitmap->size != from->size) {
        return error_set(error, "Bitmaps are of different sizes (destination size is %" PRIu64 ", source size is %"
                         PRIu64 ") and can't be merged", bitmap->size, from->size);
    }
    block_graph_drain_begin(bitmap->node->graph);
    for (uint64_t start = 0, end; bitmap != from && block_bitmap_next(from, &start, &end); start = end) {
        block_bitmap_set(bitmap, start, end - start);
    }
    block_graph_drain_end(bitmap->node->graph);
    return true;
}

bool block_bitmap_next(BlockBitmap *bitmap, uint64_t *start, uint64_t *end)
{
    unsigned bits = bitmap->granularity_bits;
    mutex_lock(&bitmap->mutex);
    uint64_t from = *start >= bitmap->size ? bits_of(bitmap) : *start >> bits;
    uint64_t first = find_bit(bitmap, from, true), last = find_bit(bitmap, first, false), all = bits_of(bitmap);
    mutex_unlock(&bitmap->mutex);
    if (first == all) {
        return false;
    }
    *start = MAX(*start, first << bits);
    *end = last == all ? bitmap->size : last << bits;
    return true;
}

uint64_t block_bitmap_count(BlockBitmap *bitmap)
{
    uint64_t bytes = 0;
    for (uint64_t start = 0, end; block_bitmap_next(bitmap, &start, &end); start = end) {
        bytes += end - start;
    }
    return bytes;
}
