/*
 * The slow paths of guest memory: what the TLB does not hold, I/O, misaligned accesses and those that cross pages. An
 * access is cut into parts that lie on one page; all parts are translated before the first byte moves. A part of RAM
 * moves by naturally aligned pieces, one of I/O by naturally aligned bus accesses. An aligned access that an edge of a
 * protection unit cuts is refused whole, and an atomic one within 16 bytes; of others each part is checked alone.
 */
#include "base/bytes.h"
#include "cpu/cpu_internal.h"

enum { ACCESS_BYTES = 64, WHOLE_BYTES = 16, MAXIMUM_PARTS = 18 };

typedef struct Part {
    TlbSource source;
    uint64_t address;
    unsigned count;
} Part;

typedef struct Parts {
    Part parts[MAXIMUM_PARTS];
    unsigned count;
} Parts;

/* The largest power of two, up to 8, that divides the address and is no more than `count`. */
static unsigned piece_size(uint64_t address, unsigned count)
{
    unsigned size = 8;

    while (size > count || address & (size - 1)) {
        size /= 2;
    }
    return size;
}

static uint64_t host_load(const uint8_t *host, unsigned size)
{
    switch (size) {
    case 1:
        return __atomic_load_n(host, __ATOMIC_ACQUIRE);
    case 2:
        return __atomic_load_n((const uint16_t *)host, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_load_n((const uint32_t *)host, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((const uint64_t *)host, __ATOMIC_ACQUIRE);
    }
}

static void host_store(uint8_t *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        __atomic_store_n(host, (uint8_t)value, __ATOMIC_RELEASE);
        break;
    case 2:
        __atomic_store_n((uint16_t *)host, (uint16_t)value, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)host, (uint32_t)value, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)host, value, __ATOMIC_RELEASE);
        break;
    }
}

void ram_read(const uint8_t *host, void *bytes, unsigned count)
{
    for (unsigned done = 0, size; done < count; done += size) {
        size = piece_size((uintptr_t)host + done, count - done);
        store_le((uint8_t *)bytes + done, size, host_load(host + done, size));
    }
}

void ram_write(uint8_t *host, const void *bytes, unsigned count)
{
    for (unsigned done = 0, size; done < count; done += size) {
        size = piece_size((uintptr_t)host + done, count - done);
        host_store(host + done, size, load_le((const uint8_t *)bytes + done, size));
    }
}

static void move_ram(uint8_t *host, void *bytes, unsigned count, bool write)
{
    if (write) {
        ram_write(host, bytes, count);
    } else {
        ram_read(host, bytes, count);
    }
}

bool cpu_move_ram(Cpu *cpu, uint8_t *host, void *bytes, unsigned count, bool write)
{
    ExecGuard guard, *outer = cpu->exec.guard;

    if (!cpu->exec.guarded) {
        move_ram(host, bytes, count, write);
        return true;
    }
    cpu->exec.guard = &guard;
    bool faulted = _setjmp(guard.place);
    if (!faulted) {
        move_ram(host, bytes, count, write);
    }
    cpu->exec.guard = outer;
    return !faulted;
}

/* The process's word on it is asked for. */
void cpu_raise_host_fault(Cpu *cpu, uintptr_t host_address, MmuAccess access)
{
    uint64_t address = (host_address - cpu->exec.base) & cpu_address_mask(cpu);
    MmuResult result = { 0 };

    if (!cpu_walk(cpu, address, access, 0, false, &result)) {
        return;
    }
    if (cpu->exec.fault_of_mapping) {
        cpu_raise(cpu, CPU_EXCEPTION_RETRY, address);
    } else {
        cpu->guest->bus_error(cpu, address, result.physical, access);
    }
}

static void raise_caught(Cpu *cpu)
{
    cpu_raise_host_fault(cpu, cpu->exec.fault_address, cpu->exec.fault_writes ? MMU_WRITE : MMU_READ);
}

static uint64_t part_physical(const Cpu *cpu, const Part *part)
{
    return part->source.physical + (part->address & mask_bits(cpu->exec.page_bits));
}

static uint8_t *part_host(const Cpu *cpu, const Part *part)
{
    return part->source.host + (part->address & mask_bits(cpu->exec.page_bits));
}

/* What a failed bus access is to the guest. ACCESS_RETRY: the memory map is changing; the instruction is begun anew. */
static void raise_result(Cpu *cpu, AccessResult result, uint64_t address, uint64_t physical, MmuAccess access)
{
    if (result == ACCESS_RETRY) {
        cpu_raise(cpu, CPU_EXCEPTION_RETRY, address);
    } else {
        cpu->guest->bus_error(cpu, address, physical, access);
    }
}

/* `fault`: what kind of access a bus error is one of. */
static bool read_part(Cpu *cpu, const Part *part, MmuAccess fault, uint8_t *bytes)
{
    uint64_t physical = part_physical(cpu, part), value;

    if (part->source.host) {
        if (!cpu_move_ram(cpu, part_host(cpu, part), bytes, part->count, false)) {
            cpu_raise_host_fault(cpu, cpu->exec.fault_address, fault);
            return false;
        }
        return true;
    }
    for (unsigned done = 0, size; done < part->count; done += size) {
        size = piece_size(physical + done, part->count - done);
        value = 0;
        AccessResult result = cpu->bus->read(cpu, physical + done, size, part->source.attributes, &value);
        if (result != ACCESS_OK) {
            raise_result(cpu, result, part->address + done, physical + done, fault);
            return false;
        }
        store_le(bytes + done, size, value);
    }
    return true;
}

static bool write_part(Cpu *cpu, const Part *part, const uint8_t *bytes)
{
    uint64_t physical = part_physical(cpu, part);

    if (part->source.host && part->source.writable) {
        if (!cpu_move_ram(cpu, part_host(cpu, part), (void *)bytes, part->count, true)) {
            raise_caught(cpu);
            return false;
        }
        return true;
    }
    for (unsigned done = 0, size; done < part->count; done += size) {
        size = piece_size(physical + done, part->count - done);
        uint64_t value = load_le(bytes + done, size);
        AccessResult result = cpu->bus->write(cpu, physical + done, size, part->source.attributes, value);
        if (result != ACCESS_OK) {
            raise_result(cpu, result, part->address + done, physical + done, MMU_WRITE);
            return false;
        }
    }
    return true;
}

static bool is_within_whole(uint64_t address, unsigned size)
{
    return (address & (WHOLE_BYTES - 1)) + size <= WHOLE_BYTES;
}

/* An aligned access of a size that instructions have is one access, not several, and so is an atomic one within 16
 * bytes: all of it has to lie between edges. */
static bool is_cut(const TlbSource *source, uint64_t address, MemOp op)
{
    unsigned size = mem_size(op);

    return !source->cacheable && source->extent < size && is_within_whole(address, size) &&
           (!(address & (size - 1)) || op & MEM_ATOMIC);
}

/* User mode: what a process has mapped may still not be there (behind a file's end). It is found out in order, and
 * before anything is stored. */
static bool reach_part(Cpu *cpu, const Part *part, unsigned size, MmuAccess fault)
{
    uint8_t byte;

    if (!cpu->exec.guarded || part->count == size || !part->source.host ||
        cpu_move_ram(cpu, part_host(cpu, part), &byte, 1, false)) {
        return true;
    }
    cpu_raise_host_fault(cpu, cpu->exec.fault_address, fault);
    return false;
}

/* `fault`: what kind of access a refused one is. */
static bool find_parts(Cpu *cpu, uint64_t address, MemOp op, MmuAccess access, MmuAccess fault, Parts *parts)
{
    unsigned size = mem_size(op);

    parts->count = 0;
    for (unsigned done = 0; done < size;) {
        Part *part = &parts->parts[parts->count++];
        part->address = (address + done) & cpu_address_mask(cpu);
        const TlbSource *source = tlb_lookup(cpu, part->address, access, mem_mode(op));
        if (!source) {
            return false;
        }
        part->source = *source;
        if (!done && is_cut(source, address, op)) {
            cpu->guest->bus_error(cpu, address, part_physical(cpu, part), fault);
            return false;
        }
        uint64_t granule = MAX(source->granule, 4); /* none is smaller: MAXIMUM_PARTS is enough */
        part->count = (unsigned)MIN(granule - (part->address & (granule - 1)), size - done);
        if (!reach_part(cpu, part, size, fault)) {
            return false;
        }
        done += part->count;
    }
    return true;
}

static bool check_alignment(Cpu *cpu, uint64_t address, MemOp op, MmuAccess access)
{
    unsigned size = mem_size(op);
    bool allowed = !(op & MEM_ALIGNED) || !(address & (size - 1)) ||
        (op & MEM_ATOMIC && is_within_whole(address, size));

    if (!allowed) {
        cpu->guest->misaligned(cpu, address, access);
        return false;
    }
    return true;
}

/* The number that `bytes`, in memory's order, are; or back. */
static void reorder(uint8_t *bytes, MemOp op)
{
    unsigned size = mem_size(op);

    for (unsigned i = 0; op & MEM_BIG_ENDIAN && i < size / 2; i++) {
        uint8_t byte = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = byte;
    }
}

typedef struct Transfer {
    const Parts *parts;
    MmuAccess fault;
    uint8_t *bytes;
    bool write, ok;
} Transfer;

static void transfer_parts(Cpu *cpu, void *data)
{
    Transfer *transfer = data;
    uint8_t *bytes = transfer->bytes;

    transfer->ok = true;
    for (unsigned i = 0; i < transfer->parts->count && transfer->ok; i++) {
        const Part *part = &transfer->parts->parts[i];
        transfer->ok = transfer->write ? write_part(cpu, part, bytes) : read_part(cpu, part, transfer->fault, bytes);
        bytes += part->count;
    }
}

static void fence_if_sequential(MemOp op)
{
    if ((op & MEM_ORDER_MASK) == MEM_SEQ_CST) {
        __sync_synchronize();
    }
}

/* RAM of the machine, all on one page: most accesses that only missed the TLB. */
static uint8_t *plain_ram(const Cpu *cpu, const Parts *parts, bool write)
{
    const Part *part = &parts->parts[0];
    bool plain = parts->count == 1 && part->source.host && (!write || part->source.writable) && !cpu->exec.guarded;

    return plain ? part_host(cpu, part) : NULL;
}

/* Moves the bytes; what must be single-copy atomic and is not one piece, in an exclusive section. */
static bool transfer(Cpu *cpu, uint64_t address, MemOp op, Transfer *transfer)
{
    bool one_piece = mem_size(op) <= 8 && !(address & (mem_size(op) - 1));

    uint8_t *plain = plain_ram(cpu, transfer->parts, transfer->write);

    fence_if_sequential(op);
    transfer->ok = true;
    if (op & MEM_ATOMIC && !one_piece) {
        cpu_exclusive(cpu, transfer_parts, transfer);
    } else if (plain) {
        move_ram(plain, transfer->bytes, mem_size(op), transfer->write);
    } else {
        transfer_parts(cpu, transfer);
    }
    fence_if_sequential(op);
    return transfer->ok;
}

/* Whether nobody waits for it. */
static bool may_access(Cpu *cpu, uint64_t address, MemOp op, MmuAccess access)
{
    return LIKELY(!cpu->watches) || access == MMU_EXECUTE || cpu->guest->watch(cpu, address, mem_size(op), access);
}

static bool slow_load(Cpu *cpu, uint64_t address, MemOp op, uint64_t value[8])
{
    bool modify = cpu->exec.read_modify_write;
    MmuAccess fault = modify ? MMU_WRITE : MMU_READ, access = op & MEM_EXECUTE ? MMU_EXECUTE : MMU_READ;
    uint8_t bytes[ACCESS_BYTES] = { 0 };
    Parts parts;
    Transfer move = { &parts, fault, bytes, .write = false };

    if (!may_access(cpu, address, op, access) || (modify && !may_access(cpu, address, op, MMU_WRITE)) ||
        !check_alignment(cpu, address, op, fault) ||
        (modify && !find_parts(cpu, address, op, MMU_WRITE, MMU_WRITE, &parts)) ||
        !find_parts(cpu, address, op, access, fault, &parts) || !transfer(cpu, address, op, &move)) {
        return false;
    }
    reorder(bytes, op);
    for (unsigned i = 0; i < ACCESS_BYTES / 8; i++) {
        value[i] = load_le64(bytes + 8 * i);
    }
    return true;
}

static bool slow_store(Cpu *cpu, uint64_t address, MemOp op, const uint64_t value[8])
{
    uint8_t bytes[ACCESS_BYTES];
    Parts parts;
    Transfer move = { &parts, MMU_WRITE, bytes, .write = true };

    if (!may_access(cpu, address, op, MMU_WRITE) || !check_alignment(cpu, address, op, MMU_WRITE) ||
        !find_parts(cpu, address, op, MMU_WRITE, MMU_WRITE, &parts)) {
        return false;
    }
    for (unsigned i = 0; i < (mem_size(op) + 7) / 8; i++) {
        store_le64(bytes + 8 * i, value[i]);
    }
    reorder(bytes, op);
    return transfer(cpu, address, op, &move);
}

static void *slow_atomic(Cpu *cpu, uint64_t address, MemOp op)
{
    unsigned size = mem_size(op), mode = mem_mode(op);
    uint64_t offset = address & mask_bits(cpu->exec.page_bits);

    if (!may_access(cpu, address, op, MMU_READ) || !may_access(cpu, address, op, MMU_WRITE) ||
        !check_alignment(cpu, address, op, MMU_WRITE) || address & (size - 1)) {
        return NULL; /* misaligned: the exclusive section translates it */
    }
    const TlbSource *source = tlb_lookup(cpu, address, MMU_WRITE, mode);
    if (source) {
        source = tlb_lookup(cpu, address, MMU_READ, mode);
    }
    return source && source->host && source->writable && source->cacheable ? source->host + offset : NULL;
}

const ExecMemory cpu_memory = {
    .load = slow_load,
    .store = slow_store,
    .atomic = slow_atomic,
    .fault = raise_caught,
    .exclusive = cpu_exclusive,
};

bool cpu_load(Cpu *cpu, uint64_t address, MemOp op, uint64_t *value)
{
    uint64_t words[8];

    assert(mem_size(op) <= 8);
    if (!slow_load(cpu, address & cpu_address_mask(cpu), op, words)) {
        return false;
    }
    *value = op & MEM_SIGNED ? (uint64_t)sign_extend(words[0], mem_size(op) * 8) : words[0];
    return true;
}

bool cpu_store(Cpu *cpu, uint64_t address, MemOp op, uint64_t value)
{
    const uint64_t words[8] = { value };

    assert(mem_size(op) <= 8);
    return slow_store(cpu, address & cpu_address_mask(cpu), op, words);
}

/* The host's bytes at a physical address that is naturally aligned for `size`, or NULL. */
static uint8_t *physical_host(Cpu *cpu, uint64_t physical, BusPage *page)
{
    cpu->bus->page(cpu, align_down(physical, BIT(cpu->exec.page_bits)), cpu->exec.page_bits, page);
    return page->host ? page->host + (physical & mask_bits(cpu->exec.page_bits)) : NULL;
}

bool cpu_physical_load(Cpu *cpu, uint64_t physical, unsigned size, uint64_t *value)
{
    BusPage page = { 0 };
    const uint8_t *host = physical_host(cpu, physical, &page);

    assert(is_power_of_2(size) && size <= 8 && !(physical & (size - 1)));
    if (host) {
        *value = host_load(host, size);
        return true;
    }
    *value = 0;
    return cpu->bus->read(cpu, physical, size, 0, value) == ACCESS_OK;
}

typedef struct PhysicalCas {
    uint64_t physical, *expected, value;
    unsigned size;
    bool ok;
} PhysicalCas;

/* Where there is no RAM to do it on, with nobody else running. What does not keep a value, as ROM, refuses it. */
static void physical_cas_exclusive(Cpu *cpu, void *data)
{
    PhysicalCas *cas = data;
    uint64_t before = 0, after = 0;

    cas->ok = cpu->bus->read(cpu, cas->physical, cas->size, 0, &before) == ACCESS_OK;
    if (cas->ok && before == *cas->expected) {
        cas->ok = cpu->bus->write(cpu, cas->physical, cas->size, 0, cas->value) == ACCESS_OK &&
            cpu->bus->read(cpu, cas->physical, cas->size, 0, &after) == ACCESS_OK && after == cas->value;
    }
    *cas->expected = before;
}

bool cpu_physical_cas(Cpu *cpu, uint64_t physical, unsigned size, uint64_t *expected, uint64_t value)
{
    BusPage page = { 0 };
    void *host = physical_host(cpu, physical, &page);

    assert((size == 4 || size == 8) && !(physical & (size - 1)));
    if (!host || !page.writable) {
        PhysicalCas cas = { physical, expected, value, size, false };
        cpu_exclusive(cpu, physical_cas_exclusive, &cas);
        return cas.ok;
    }
    if (size == 4) {
        uint32_t before = (uint32_t)*expected;
        __atomic_compare_exchange_n((uint32_t *)host, &before, (uint32_t)value, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        *expected = before;
    } else {
        __atomic_compare_exchange_n((uint64_t *)host, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    return true;
}

/* The debugger's view. */

bool cpu_debug_translate(Cpu *cpu, uint64_t address, uint64_t *physical)
{
    MmuResult result = { 0 };

    if (!cpu_walk(cpu, address & cpu_address_mask(cpu), MMU_READ, cpu->guest->fetch_mmu_mode(cpu), true, &result)) {
        return false;
    }
    *physical = result.physical;
    return true;
}

/* How many of `count` bytes from `address` on stand on its page; their RAM or NULL. */
static uint8_t *debug_host(Cpu *cpu, uint64_t address, size_t *count, uint64_t *physical, BusPage *page)
{
    uint64_t page_size = BIT(cpu->exec.page_bits);

    *count = MIN(*count, page_size - (address & (page_size - 1)));
    return cpu_debug_translate(cpu, address, physical) ? physical_host(cpu, *physical, page) : NULL;
}

bool cpu_debug_read(Cpu *cpu, uint64_t address, void *bytes, size_t count)
{
    for (size_t done = 0, here; done < count; done += here) {
        BusPage page = { 0 };
        uint64_t physical;
        here = count - done;
        const uint8_t *host = debug_host(cpu, address + done, &here, &physical, &page);
        if (!host) {
            return false;
        }
        if (!cpu_move_ram(cpu, (uint8_t *)host, (uint8_t *)bytes + done, (unsigned)here, false)) {
            return false;
        }
    }
    return true;
}

bool cpu_debug_write(Cpu *cpu, uint64_t address, const void *bytes, size_t count)
{
    bool ok = true;

    for (size_t done = 0, here; done < count && ok; done += here) {
        const uint8_t *from = (const uint8_t *)bytes + done;
        BusPage page = { 0 };
        uint64_t physical;
        here = count - done;
        uint8_t *host = debug_host(cpu, address + done, &here, &physical, &page);
        if (host && page.writable) {
            ok = cpu_move_ram(cpu, host, (void *)from, (unsigned)here, true);
        }
        for (size_t i = 0; host && !page.writable && i < here && ok; i++) { /* ROM, or somebody tracks the page */
            ok = cpu->bus->write(cpu, physical + i, 1, 0, from[i]) == ACCESS_OK;
        }
        ok = ok && host;
    }
    cpu_group_code_changed(cpu->group);
    return ok;
}
