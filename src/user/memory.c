/*
 * The guest's mappings: mmap(2) and its family, done on the host at fixed addresses that are chosen here the way Linux
 * chooses them. The array of ranges says what the guest asked for; what lies in files, and which, the host knows.
 *
 * Not here: stacks that grow by MAP_GROWSDOWN; guest pages smaller than the host's.
 */
#include "user/memory.h"

#include "base/error.h"
#include "base/host/host.h"
#include "cpu/cpu.h"
#include "user/host/host.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/shm.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

enum {
    LOWEST_ADDRESS = 0x10000, /* mmap_min_addr */
    ALL_PROTECTION = PROT_READ | PROT_WRITE | PROT_EXEC,
    /* Those that mean the same on every host; what is not known is not looked at, as in Linux. */
    PASSED_FLAGS = MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_LOCKED | MAP_POPULATE | MAP_NONBLOCK |
                   MAP_STACK | MAP_HUGETLB | 0x3f << MAP_HUGE_SHIFT,
};

/* Private memory that is to be written, and of this size at least, the host is asked to back by huge pages: first
 * touches and misses of the host's TLB are what large arrays cost. Not what says that it is sparse, nor stacks. */
#define HUGE_AT_LEAST (4 * MIB)
#define HUGE_PAGE (2 * MIB)
enum { NEVER_HUGE = MAP_NORESERVE | MAP_STACK | MAP_GROWSDOWN | MAP_HUGETLB };

static bool reserve_area(GuestMemory *memory, uint64_t base, uint64_t size, Error **error)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (base ? MAP_FIXED_NOREPLACE : 0);
    void *area = mmap((void *)(uintptr_t)base, size, PROT_NONE, flags, -1, 0);

    if (area == MAP_FAILED || (base && area != (void *)(uintptr_t)base)) {
        int number = area == MAP_FAILED ? errno : EEXIST;
        if (area != MAP_FAILED) {
            munmap(area, size);
        }
        return error_set_errno(error, number, "cannot reserve 0x%" PRIx64 " bytes of address space", size);
    }
    memory->base = area;
    memory->reserved = true;
    return true;
}

GuestMemory *memory_new(uint64_t base, uint64_t limit, uint64_t reserve, Error **error)
{
    GuestMemory *memory = NEW(GuestMemory);

    memory->base = (uint8_t *)(uintptr_t)base;
    memory->limit = limit;
    memory->minimum = LOWEST_ADDRESS;
    if (reserve && !reserve_area(memory, base, reserve, error)) {
        free(memory);
        return NULL;
    }
    mutex_init(&memory->lock);
    return memory;
}

void memory_free(GuestMemory *memory)
{
    if (memory) {
        mutex_destroy(&memory->lock);
        vec_free(&memory->ranges);
        free(memory);
    }
}

/* -- ranges: all with the lock held ------------------------------------------------------------------------------ */

/* The first range that ends behind `address`. */
static size_t find_index(const GuestMemory *memory, uint64_t address)
{
    size_t low = 0, high = memory->ranges.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory->ranges.items[middle].end > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static bool is_free(const GuestMemory *memory, uint64_t start, uint64_t end)
{
    size_t i = find_index(memory, start);
    return i == memory->ranges.count || memory->ranges.items[i].start >= end;
}

/* Whether every page is in some range. */
static bool is_whole(const GuestMemory *memory, uint64_t start, uint64_t end)
{
    for (size_t i = find_index(memory, start); start < end; i++) {
        if (i == memory->ranges.count || memory->ranges.items[i].start > start) {
            return false;
        }
        start = memory->ranges.items[i].end;
    }
    return true;
}

static void insert_at(GuestMemory *memory, size_t index, MemoryRange range)
{
    vec_push(&memory->ranges, range);
    MemoryRange *items = memory->ranges.items;
    memmove(items + index + 1, items + index, (memory->ranges.count - 1 - index) * sizeof *items);
    items[index] = range;
}

/* Makes a range begin at `address` if one goes on through it. */
static void split_at(GuestMemory *memory, uint64_t address)
{
    size_t i = find_index(memory, address);

    if (i < memory->ranges.count && memory->ranges.items[i].start < address) {
        MemoryRange upper = memory->ranges.items[i];
        memory->ranges.items[i].end = address;
        upper.start = address;
        insert_at(memory, i + 1, upper);
    }
}

static void remove_ranges(GuestMemory *memory, uint64_t start, uint64_t end)
{
    split_at(memory, start);
    split_at(memory, end);
    size_t first = find_index(memory, start), last = first;
    while (last < memory->ranges.count && memory->ranges.items[last].start < end) {
        last++;
    }
    MemoryRange *items = memory->ranges.items;
    if (last > first) {
        memmove(items + first, items + last, (memory->ranges.count - last) * sizeof *items);
    }
    memory->ranges.count -= last - first;
}

static bool alike(const MemoryRange *a, const MemoryRange *b)
{
    return a->protection == b->protection && a->shared == b->shared && a->kind == b->kind && a->kind != MEMORY_SHM;
}

/* Joins the range with the one before it where they are alike. */
static void join(GuestMemory *memory, size_t index)
{
    MemoryRange *items = memory->ranges.items;

    if (index > 0 && index < memory->ranges.count && items[index - 1].end == items[index].start &&
        alike(&items[index - 1], &items[index])) {
        items[index - 1].end = items[index].end;
        vec_remove(&memory->ranges, index);
    }
}

static void set_range(GuestMemory *memory, MemoryRange range)
{
    remove_ranges(memory, range.start, range.end);
    size_t index = find_index(memory, range.start);
    insert_at(memory, index, range);
    join(memory, index + 1);
    join(memory, index);
}

/* Changes the ranges that lie there, one by one. */
static void change_ranges(GuestMemory *memory, uint64_t start, uint64_t end, int protection, int kind)
{
    split_at(memory, start);
    split_at(memory, end);
    size_t i = find_index(memory, start);
    for (; i < memory->ranges.count && memory->ranges.items[i].start < end; i++) {
        MemoryRange *range = &memory->ranges.items[i];
        range->protection = protection >= 0 ? (uint8_t)protection : range->protection;
        range->kind = kind >= 0 ? (uint8_t)kind : range->kind;
    }
    for (; i > 0 && memory->ranges.items[i - 1].end >= start; i--) {
        join(memory, i);
    }
}

uint64_t memory_find_free(const GuestMemory *memory, uint64_t size)
{
    uint64_t top = memory->map_top;

    for (size_t i = find_index(memory, top - 1) + 1; i-- > 0;) {
        if (i == memory->ranges.count || memory->ranges.items[i].start >= top) {
            continue;
        }
        uint64_t end = memory->ranges.items[i].end;
        if (end <= top && top - end >= size) {
            return top - size;
        }
        top = memory->ranges.items[i].start;
    }
    return top >= memory->minimum && top - memory->minimum >= size ? top - size : 0;
}

bool memory_next(GuestMemory *memory, uint64_t address, MemoryRange *range)
{
    mutex_lock(&memory->lock);
    size_t i = find_index(memory, address);
    bool found = i < memory->ranges.count;
    if (found) {
        *range = memory->ranges.items[i];
    }
    mutex_unlock(&memory->lock);
    return found;
}

bool memory_lookup(GuestMemory *memory, uint64_t address, MemoryRange *range)
{
    return memory_next(memory, address, range) && range->start <= address;
}

bool memory_is_only_code(GuestMemory *memory, uint64_t start, uint64_t end)
{
    bool shared = false, some = start < end;

    mutex_lock(&memory->lock);
    for (size_t i = 0; i < memory->ranges.count && !shared; i++) {
        const MemoryRange *range = &memory->ranges.items[i];
        if (range->protection & PROT_EXEC) {
            shared = range->shared;
            start = range->start <= start && start < range->end ? range->end : start;
        }
    }
    mutex_unlock(&memory->lock);
    return some && !shared && start >= end;
}

/* What is at the addresses goes, or changes its protection: translated code from there first, as comparisons read
 * it. */
static void mappings_change(GuestMemory *memory, uint64_t address, uint64_t size)
{
    if (memory->group && size) {
        cpu_group_drop_code(memory->group, memory, address, address + size - 1);
    }
}

/* What translated addresses were is no longer true. */
static void mappings_changed(GuestMemory *memory)
{
    if (memory->group) {
        cpu_group_tlb_flush(memory->group);
    }
}

/* -- the host's side --------------------------------------------------------------------------------------------- */

static int host_protection(int protection)
{
    return (protection & (PROT_READ | PROT_WRITE)) | (protection & PROT_EXEC ? PROT_READ : 0);
}

/* A whole number of pages inside the guest's space. */
static int64_t check_area(const GuestMemory *memory, uint64_t address, uint64_t *size)
{
    if (address & (GUEST_PAGE_SIZE - 1)) {
        return -EINVAL;
    }
    if (*size > memory->limit || !memory_contains(memory, address, align_up(*size, GUEST_PAGE_SIZE))) {
        return -ENOMEM;
    }
    *size = align_up(*size, GUEST_PAGE_SIZE);
    return 0;
}

static int host_unmap(GuestMemory *memory, uint64_t address, uint64_t size)
{
    void *host = memory_host(memory, address);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

    if (memory->reserved) {
        return mmap(host, size, PROT_NONE, flags, -1, 0) == MAP_FAILED ? -errno : 0;
    }
    return munmap(host, size) ? -errno : 0;
}

/* -- mmap -------------------------------------------------------------------------------------------------------- */

typedef struct MapRequest {
    uint64_t address, size, offset;
    int protection, flags, fd;
} MapRequest;

static bool wants_huge_pages(const MapRequest *request)
{
    return (request->flags & (MAP_TYPE | MAP_ANONYMOUS)) == (MAP_PRIVATE | MAP_ANONYMOUS) &&
           !(request->flags & NEVER_HUGE) && request->protection & PROT_WRITE && request->size >= HUGE_AT_LEAST;
}

/* What huge pages can back lies at a multiple of their size where there is room for that. */
static uint64_t find_place(const GuestMemory *memory, const MapRequest *request)
{
    uint64_t found = wants_huge_pages(request)
                         ? memory_find_free(memory, request->size + HUGE_PAGE - GUEST_PAGE_SIZE) : 0;
    uint64_t to_multiple = -(uint64_t)(uintptr_t)memory_host(memory, found) & (HUGE_PAGE - 1);

    return found ? found + to_multiple : memory_find_free(memory, request->size);
}

/* Where it goes, or an errno value. */
static int64_t choose_place(GuestMemory *memory, const MapRequest *request)
{
    uint64_t hint = align_down(request->address, GUEST_PAGE_SIZE);

    if (request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        bool taken = !is_free(memory, request->address, request->address + request->size);
        return request->flags & MAP_FIXED_NOREPLACE && taken ? -EEXIST : (int64_t)request->address;
    }
    if (hint >= memory->minimum && memory_contains(memory, hint, request->size) &&
        is_free(memory, hint, hint + request->size)) {
        return (int64_t)hint;
    }
    uint64_t found = find_place(memory, request);
    return found ? (int64_t)found : -ENOMEM;
}

static int64_t map_at(GuestMemory *memory, uint64_t address, const MapRequest *request)
{
    bool was_free = is_free(memory, address, address + request->size);
    int shared = request->flags & MAP_TYPE;
    int flags = (request->flags & PASSED_FLAGS & ~MAP_TYPE) | shared;

    flags |= was_free && !memory->reserved ? MAP_FIXED_NOREPLACE : MAP_FIXED;
    flags |= shared == MAP_SHARED_VALIDATE ? request->flags & MAP_SYNC : 0;
    if (!was_free) {
        mappings_change(memory, address, request->size);
    }
    void *host = mmap(memory_host(memory, address), request->size, host_protection(request->protection), flags,
                      request->fd, (off_t)request->offset);
    if (host == MAP_FAILED) {
        return errno == EEXIST ? -ENOMEM : -errno;
    }
    if (wants_huge_pages(request)) {
        madvise(host, request->size, MADV_HUGEPAGE); /* a kernel without them says no */
    }
    set_range(memory, (MemoryRange){ address, address + request->size, request->protection & ALL_PROTECTION,
                                     shared != MAP_PRIVATE, MEMORY_PLAIN });
    if (!was_free) {
        mappings_changed(memory);
    }
    return (int64_t)address;
}

static int64_t check_request(const GuestMemory *memory, MapRequest *request)
{
    int type = request->flags & MAP_TYPE;
    bool fixed = request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);

    if (!request->size || request->offset & (GUEST_PAGE_SIZE - 1) ||
        (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)) {
        return -EINVAL;
    }
    return check_area(memory, fixed ? request->address : 0, &request->size);
}

int64_t memory_map(GuestMemory *memory, uint64_t address, uint64_t size, int protection, int flags, int fd,
                   uint64_t offset)
{
    MapRequest request = { address, size, offset, protection, flags, fd };
    int64_t result = check_request(memory, &request);

    if (result < 0) {
        return result;
    }
    mutex_lock(&memory->lock);
    result = choose_place(memory, &request);
    if (result >= 0) {
        result = map_at(memory, (uint64_t)result, &request);
    }
    mutex_unlock(&memory->lock);
    return result;
}

int64_t memory_unmap(GuestMemory *memory, uint64_t address, uint64_t size)
{
    int64_t result = size ? check_area(memory, address, &size) : -EINVAL;

    if (result < 0) {
        return -EINVAL;
    }
    mutex_lock(&memory->lock);
    if (!is_free(memory, address, address + size)) {
        mappings_change(memory, address, size);
        result = host_unmap(memory, address, size);
        if (!result) {
            remove_ranges(memory, address, address + size);
            mappings_changed(memory);
        }
    }
    mutex_unlock(&memory->lock);
    return result;
}

int64_t memory_protect(GuestMemory *memory, uint64_t address, uint64_t size, int protection)
{
    int64_t result = check_area(memory, address, &size);

    if (protection & ~(ALL_PROTECTION | PROT_GROWSDOWN | PROT_GROWSUP | 8)) {
        return -EINVAL;
    }
    if (result < 0 || !size) {
        return result;
    }
    mutex_lock(&memory->lock);
    mappings_change(memory, address, size);
    if (!is_whole(memory, address, address + size)) {
        result = -ENOMEM;
    } else if (mprotect(memory_host(memory, address), size, host_protection(protection))) {
        result = -errno;
    } else {
        change_ranges(memory, address, address + size, protection & ALL_PROTECTION, -1);
        mappings_changed(memory);
    }
    mutex_unlock(&memory->lock);
    return result;
}

int64_t memory_advise(GuestMemory *memory, uint64_t address, uint64_t size, int advice)
{
    uint64_t length = align_up(size, GUEST_PAGE_SIZE), last = memory->limit > UINT32_MAX ? UINT64_MAX : UINT32_MAX;

    if (address & (GUEST_PAGE_SIZE - 1) || length > last - address || length < size) {
        return -EINVAL;
    }
    int64_t result = check_area(memory, address, &size);
    if (result < 0 || !size) {
        return result;
    }
    return madvise(memory_host(memory, address), size, advice) ? -errno : 0;
}

/* Shared pages of one file in another order: the host's kernel says what is wrong with them. */
int64_t memory_reorder(GuestMemory *memory, uint64_t address, uint64_t size, int protection, uint64_t page, int flags)
{
    address = align_down(address, GUEST_PAGE_SIZE);
    size = align_down(size, GUEST_PAGE_SIZE);
    if (!memory_contains(memory, address, size)) {
        return -EINVAL;
    }
    mutex_lock(&memory->lock);
    mappings_change(memory, address, size);
    int64_t result = remap_file_pages(memory_host(memory, address), size, protection, page, flags) ? -errno : 0;
    mappings_changed(memory);
    mutex_unlock(&memory->lock);
    return result;
}

/* -- mremap ------------------------------------------------------------------------------------------------------ */

typedef struct RemapRequest {
    uint64_t address, old_size, new_size, new_address;
    int flags;
} RemapRequest;

static int64_t check_remap(const GuestMemory *memory, RemapRequest *r)
{
    bool fixed = r->flags & MREMAP_FIXED, keeps = r->flags & MREMAP_DONTUNMAP;
    int64_t result = check_area(memory, r->address, &r->old_size);

    if (r->flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) || !r->new_size || result == -EINVAL ||
        ((fixed || keeps) && !(r->flags & MREMAP_MAYMOVE))) {
        return -EINVAL;
    }
    if (result < 0) {
        return -EFAULT;
    }
    result = check_area(memory, fixed ? r->new_address : 0, &r->new_size);
    if (result < 0 || (keeps && r->old_size != r->new_size)) {
        return result == -ENOMEM && !fixed ? -ENOMEM : -EINVAL;
    }
    bool overlap = r->address < r->new_address + r->new_size && r->new_address < r->address + r->old_size;
    return fixed && overlap ? -EINVAL : 0;
}

static int64_t shrink(GuestMemory *memory, const RemapRequest *r)
{
    uint64_t tail = r->address + r->new_size, size = r->old_size - r->new_size;
    int64_t result = size ? host_unmap(memory, tail, size) : 0;

    if (size && !result) {
        remove_ranges(memory, tail, tail + size);
    }
    return result ? result : (int64_t)r->address;
}

static int64_t move(GuestMemory *memory, const RemapRequest *r, const MemoryRange *range)
{
    uint64_t to = r->flags & MREMAP_FIXED ? r->new_address : memory_find_free(memory, r->new_size);
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (r->flags & MREMAP_DONTUNMAP);

    if (!to) {
        return -ENOMEM;
    }
    if (mremap(memory_host(memory, r->address), r->old_size, r->new_size, flags, memory_host(memory, to)) ==
        MAP_FAILED) {
        return -errno;
    }
    if (!(r->flags & MREMAP_DONTUNMAP) && r->old_size) {
        remove_ranges(memory, r->address, r->address + r->old_size);
        if (memory->reserved) {
            host_unmap(memory, r->address, r->old_size);
        }
    }
    set_range(memory, (MemoryRange){ to, to + r->new_size, range->protection, range->shared, range->kind });
    return (int64_t)to;
}

/* Into the room behind it. A reserved area is opened for the host first. */
static int64_t grow(GuestMemory *memory, const RemapRequest *r, const MemoryRange *range)
{
    uint8_t *host = memory_host(memory, r->address);

    if (memory->reserved) {
        munmap(host + r->old_size, r->new_size - r->old_size);
    }
    if (mremap(host, r->old_size, r->new_size, 0) == MAP_FAILED) {
        int number = errno;
        if (memory->reserved) {
            host_unmap(memory, r->address + r->old_size, r->new_size - r->old_size);
        }
        return -number;
    }
    set_range(memory, (MemoryRange){ r->address, r->address + r->new_size, range->protection, range->shared,
                                     range->kind });
    return (int64_t)r->address;
}

static int64_t remap(GuestMemory *memory, const RemapRequest *r)
{
    uint64_t end = r->address + r->old_size;
    size_t i = find_index(memory, r->address);

    if (i == memory->ranges.count || memory->ranges.items[i].start > r->address) {
        return -EFAULT;
    }
    MemoryRange range = memory->ranges.items[i];
    if (!(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && r->new_size <= r->old_size) {
        return shrink(memory, r);
    }
    if (range.end < end) {
        return -EFAULT;
    }
    bool room = memory_contains(memory, r->address, r->new_size) && is_free(memory, end, r->address + r->new_size);
    if (!(r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && room && r->old_size) {
        int64_t result = grow(memory, r, &range);
        if (result >= 0) {
            return result;
        }
    }
    return r->flags & MREMAP_MAYMOVE ? move(memory, r, &range) : -ENOMEM;
}

int64_t memory_remap(GuestMemory *memory, uint64_t address, uint64_t old_size, uint64_t new_size, int flags,
                     uint64_t new_address)
{
    RemapRequest request = { address, old_size, new_size, new_address, flags };
    int64_t result = check_remap(memory, &request);

    if (result < 0) {
        return result;
    }
    mutex_lock(&memory->lock);
    mappings_change(memory, request.address, request.old_size);
    if (flags & MREMAP_FIXED) {
        mappings_change(memory, request.new_address, request.new_size);
    }
    result = remap(memory, &request);
    if (result >= 0) {
        mappings_changed(memory);
    }
    mutex_unlock(&memory->lock);
    return result;
}

/* -- brk --------------------------------------------------------------------------------------------------------- */

void memory_set_brk(GuestMemory *memory, uint64_t address)
{
    memory->brk_start = memory->brk_end = align_up(address, GUEST_PAGE_SIZE);
}

static bool change_brk(GuestMemory *memory, uint64_t old_end, uint64_t new_end)
{
    MapRequest request = { .address = old_end, .size = new_end - old_end, .protection = PROT_READ | PROT_WRITE,
                           .flags = MAP_PRIVATE | MAP_ANONYMOUS, .fd = -1 };

    if (new_end < old_end) {
        mappings_change(memory, new_end, old_end - new_end);
        if (host_unmap(memory, new_end, old_end - new_end)) {
            return false;
        }
        remove_ranges(memory, new_end, old_end);
        mappings_changed(memory);
        return true;
    }
    if (!is_free(memory, old_end, new_end) || map_at(memory, old_end, &request) < 0) {
        return false;
    }
    change_ranges(memory, old_end, new_end, -1, MEMORY_HEAP);
    return true;
}

uint64_t memory_brk(GuestMemory *memory, uint64_t address)
{
    mutex_lock(&memory->lock);
    uint64_t old_end = align_up(memory->brk_end, GUEST_PAGE_SIZE), new_end = align_up(address, GUEST_PAGE_SIZE);

    if (address >= memory->brk_start && address < memory->limit - GUEST_PAGE_SIZE &&
        (old_end == new_end || change_brk(memory, old_end, new_end))) {
        memory->brk_end = address;
    }
    uint64_t result = memory->brk_end;
    mutex_unlock(&memory->lock);
    return result;
}

/* -- System V shared memory -------------------------------------------------------------------------------------- */

static int64_t attach(GuestMemory *memory, int id, uint64_t address, uint64_t size, int flags)
{
    MapRequest request = { .address = address, .size = size, .flags = address ? MAP_FIXED_NOREPLACE : 0 };
    int64_t place;

    if (flags & SHM_REMAP) {
        request.flags = MAP_FIXED;
    }
    place = choose_place(memory, &request);
    if (place < 0) {
        return place == -EEXIST ? -EINVAL : place;
    }
    void *host = memory_host(memory, (uint64_t)place);
    mappings_change(memory, (uint64_t)place, size);
    if (shmat(id, host, (flags & (SHM_RDONLY | SHM_EXEC)) | SHM_REMAP) == (void *)-1) {
        return -errno;
    }
    int protection = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
    set_range(memory, (MemoryRange){ (uint64_t)place, (uint64_t)place + size, (uint8_t)protection, true, MEMORY_SHM });
    mappings_changed(memory);
    return place;
}

int64_t memory_attach(GuestMemory *memory, int shared_memory, uint64_t address, int flags)
{
    struct shmid_ds status;

    if (address & (GUEST_PAGE_SIZE - 1)) {
        if (!(flags & SHM_RND)) {
            return -EINVAL;
        }
        address = align_down(address, GUEST_PAGE_SIZE);
    }
    if (!address && flags & SHM_REMAP) {
        return -EINVAL;
    }
    if (shmctl(shared_memory, IPC_STAT, &status)) {
        return -errno;
    }
    uint64_t size = status.shm_segsz;
    int64_t result = check_area(memory, address, &size);
    if (result < 0) {
        return result;
    }
    mutex_lock(&memory->lock);
    result = attach(memory, shared_memory, address, size, flags);
    mutex_unlock(&memory->lock);
    return result;
}

int64_t memory_detach(GuestMemory *memory, uint64_t address)
{
    int64_t result = -EINVAL;

    mutex_lock(&memory->lock);
    size_t i = find_index(memory, address);
    if (i < memory->ranges.count && memory->ranges.items[i].start == address &&
        memory->ranges.items[i].kind == MEMORY_SHM) {
        uint64_t end = memory->ranges.items[i].end;
        mappings_change(memory, address, end - address);
        result = shmdt(memory_host(memory, address)) ? -errno : 0;
        if (!result) {
            remove_ranges(memory, address, end);
            if (memory->reserved) {
                host_unmap(memory, address, end - address);
            }
            mappings_changed(memory);
        }
    }
    mutex_unlock(&memory->lock);
    return result;
}

void memory_mark(GuestMemory *memory, uint64_t address, uint64_t size, MemoryKind kind)
{
    mutex_lock(&memory->lock);
    change_ranges(memory, address, address + align_up(size, GUEST_PAGE_SIZE), -1, kind);
    mutex_unlock(&memory->lock);
}

/* -- copies ------------------------------------------------------------------------------------------------------ */

int memory_read(const GuestMemory *memory, void *bytes, uint64_t address, size_t size)
{
    return memory_contains(memory, address, size) && !user_copy(bytes, memory_host(memory, address), size) ? 0
                                                                                                          : -EFAULT;
}

int memory_write(const GuestMemory *memory, uint64_t address, const void *bytes, size_t size)
{
    return memory_contains(memory, address, size) && !user_copy(memory_host(memory, address), bytes, size) ? 0
                                                                                                          : -EFAULT;
}

int64_t memory_read_string(const GuestMemory *memory, char *text, uint64_t address, size_t size)
{
    for (size_t done = 0, here; done < size; done += here) {
        here = MIN(size - done, GUEST_PAGE_SIZE - ((address + done) & (GUEST_PAGE_SIZE - 1)));
        if (memory_read(memory, text + done, address + done, here)) {
            return -EFAULT;
        }
        const char *end = memchr(text + done, 0, here);
        if (end) {
            return end - text;
        }
    }
    return -ENAMETOOLONG;
}

int memory_read_word(const GuestMemory *memory, uint64_t address, unsigned size, uint64_t *value)
{
    *value = 0;
    return memory_read(memory, value, address, size);
}

int memory_write_word(const GuestMemory *memory, uint64_t address, unsigned size, uint64_t value)
{
    return memory_write(memory, address, &value, size);
}
