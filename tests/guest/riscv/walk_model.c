#include "walk_model.h"

enum { PAGE = 4096, V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };
enum { PMP_OFF, PMP_TOR, PMP_NA4, PMP_NAPOT };

static unsigned page_fault(ModelAccess blamed)
{
    return blamed == MODEL_FETCH ? 12 : blamed == MODEL_LOAD ? 13 : 15;
}

static unsigned access_fault(ModelAccess blamed)
{
    return blamed == MODEL_FETCH ? 1 : blamed == MODEL_LOAD ? 5 : 7;
}

unsigned model_levels(ModelMode mode)
{
    return mode == MODEL_BARE ? 0 : mode == MODEL_SV32 ? 2 : (unsigned)mode - MODEL_SV39 + 3;
}

unsigned model_entry_size(const WalkModel *model)
{
    return model->mode == MODEL_SV32 ? 4 : 8;
}

static unsigned index_bits(const WalkModel *model)
{
    return model->mode == MODEL_SV32 ? 10 : 9;
}

/* The bytes that an entry is about; false: none. */
static bool pmp_range(const WalkModel *model, unsigned entry, uint64_t *first, uint64_t *last)
{
    uint64_t address = model->pmpaddr[entry], size = 8;

    switch (model->pmpcfg[entry] >> 3 & 3) {
    case PMP_TOR:
        *first = entry ? model->pmpaddr[entry - 1] * 4 : 0;
        *last = address * 4 - 1;
        return address * 4 > *first;
    case PMP_NA4:
        *first = address * 4;
        *last = *first + 3;
        return true;
    case PMP_NAPOT:
        for (uint64_t bit = 1; address & bit; bit <<= 1) {
            size *= 2;
        }
        *first = address * 4 & ~(size - 1);
        *last = *first + size - 1;
        return true;
    default:
        return false;
    }
}

/* "The lowest-numbered PMP entry that matches any byte of an access determines whether that access succeeds or fails.
 * This matching PMP entry must match all bytes of an access, or the access fails, irrespective of the L, R, W, and X
 * bits." Entries are not locked here: machine mode may do all. */
static bool pmp_allows(const WalkModel *model, uint64_t physical, unsigned size, unsigned privilege, ModelAccess access)
{
    uint8_t wanted = access == MODEL_LOAD ? 1 : access == MODEL_STORE ? 2 : 4;

    for (unsigned i = 0; i < MODEL_PMP_ENTRIES; i++) {
        uint64_t first, last;
        if (!pmp_range(model, i, &first, &last) || physical + size - 1 < first || physical > last) {
            continue;
        }
        if (physical < first || physical + size - 1 > last) {
            return false;
        }
        return privilege == 3 || model->pmpcfg[i] & wanted;
    }
    return privilege == 3;
}

static bool is_canonical(const WalkModel *model, uint64_t address)
{
    unsigned unused = model->mode == MODEL_SV32 ? 32 : 64 - 12 - 9 * model_levels(model->mode);
    return model->mode == MODEL_SV32 || (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

static bool is_leaf(uint64_t entry)
{
    return entry & (R | X);
}

/* Reserved settings of what is not the physical page number and not the lowest byte; entries of 32 bits have none. */
static bool upper_bits_fine(const WalkModel *model, uint64_t entry)
{
    unsigned type = entry >> 61 & 3, napot = entry >> 63;

    if (model->mode == MODEL_SV32) {
        return true;
    }
    if (entry >> 54 & 0x7f) {
        return false;
    }
    if (!is_leaf(entry)) {
        return !type && !napot;
    }
    return (!napot || model->svnapot) && (!type || (model->svpbmt && type != 3));
}

static uint64_t page_number(const WalkModel *model, uint64_t entry)
{
    return model->mode == MODEL_SV32 ? entry >> 10 & 0x3fffff : entry >> 10 & 0xfffffffffff;
}

typedef struct Found {
    uint64_t entry, entry_address;
    unsigned level;
} Found;

/* Steps 1 to 4. */
static unsigned find_leaf(const WalkModel *model, uint64_t address, ModelAccess blamed, Found *found)
{
    unsigned size = model_entry_size(model), levels = model_levels(model->mode), bits = index_bits(model);
    uint64_t table = model->root;

    found->entry_address = UINT64_MAX;
    if (!is_canonical(model, address)) {
        return page_fault(blamed);
    }
    for (unsigned level = levels; level-- > 0;) {
        uint64_t index = address >> (12 + level * bits) & ((1u << bits) - 1);
        uint64_t place = table + index * size, entry;
        if (!pmp_allows(model, place, size, 1, MODEL_LOAD) || !model->load(model->memory, place, size, &entry)) {
            return access_fault(blamed);
        }
        *found = (Found){ entry, place, level };
        if (!(entry & V) || (entry & (R | W)) == W || !upper_bits_fine(model, entry)) {
            return page_fault(blamed);
        }
        if (is_leaf(entry)) {
            return 0;
        }
        if (entry & (D | A | U)) {
            return page_fault(blamed);
        }
        table = page_number(model, entry) * PAGE;
    }
    return page_fault(blamed);
}

/* Step 5. */
static bool leaf_allows(const WalkModel *model, uint64_t entry, ModelAccess access)
{
    bool user = entry & U;

    if (model->privilege == 0 && !user) {
        return false;
    }
    if (model->privilege == 1 && user && (access == MODEL_FETCH || !model->sum)) {
        return false;
    }
    switch (access) {
    case MODEL_LOAD:
        return entry & R || (model->mxr && entry & X);
    case MODEL_STORE:
        return entry & W;
    default:
        return entry & X;
    }
}

/* Steps 6 and 9: the page's address, or false where it is misaligned. */
static bool place_in_page(const WalkModel *model, const Found *found, uint64_t address, uint64_t *physical)
{
    uint64_t number = page_number(model, found->entry), pages = UINT64_C(1) << found->level * index_bits(model);

    if (model->mode != MODEL_SV32 && found->entry >> 63) {
        if (found->level || (number & 15) != 8) {
            return false;
        }
        number &= ~UINT64_C(15);
        pages = 16;
    }
    if (number & (pages - 1)) {
        return false;
    }
    *physical = number * PAGE + (address & (pages * PAGE - 1));
    return true;
}

/* Steps 7 and 8. */
static unsigned mark(const WalkModel *model, const Found *found, ModelAccess access, ModelAccess blamed)
{
    uint64_t wanted = A | (access == MODEL_STORE ? D : 0);
    unsigned size = model_entry_size(model);

    if ((found->entry & wanted) == wanted) {
        return 0;
    }
    if (!model->updates) {
        return page_fault(blamed);
    }
    bool allowed = pmp_allows(model, found->entry_address, size, 1, MODEL_STORE) &&
                   model->store(model->memory, found->entry_address, size, found->entry | wanted);
    return allowed ? 0 : access_fault(blamed);
}

/* Of one byte. 0, or the cause of what is raised. */
static unsigned translate(const WalkModel *model, uint64_t address, ModelAccess access, ModelAccess blamed,
                          uint64_t *physical)
{
    Found found;

    *physical = address;
    if (model->mode == MODEL_BARE || model->privilege == 3) {
        return 0;
    }
    unsigned cause = find_leaf(model, address, blamed, &found);
    if (cause) {
        return cause;
    }
    if (!leaf_allows(model, found.entry, access) || !place_in_page(model, &found, address, physical)) {
        return page_fault(blamed);
    }
    return mark(model, &found, access, blamed);
}

bool model_translate(const WalkModel *model, uint64_t address, unsigned size, ModelAccess access, ModelAccess blamed,
                     uint64_t physical[MODEL_BYTES], ModelFault *fault)
{
    uint64_t mask = model->xlen == 64 ? UINT64_MAX : UINT32_MAX;
    bool whole = !(address & (size - 1)) && size <= 16; /* one access; others are one of each byte */

    for (unsigned i = 0; i < size; i++) {
        *fault = (ModelFault){ 0, (address + i) & mask };
        fault->cause = translate(model, fault->address, access, blamed, &physical[i]);
        if (!fault->cause && (!whole || !i) &&
            !pmp_allows(model, physical[i], whole ? size : 1, model->privilege, access)) {
            fault->cause = access_fault(blamed);
        }
        if (fault->cause) {
            return false;
        }
    }
    return true;
}

bool model_last_entry(const WalkModel *model, uint64_t address, uint64_t *physical)
{
    Found found;

    if (model->mode == MODEL_BARE) {
        return false;
    }
    find_leaf(model, address, MODEL_LOAD, &found);
    *physical = found.entry_address;
    return found.entry_address != UINT64_MAX;
}
