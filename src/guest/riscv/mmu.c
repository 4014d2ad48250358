/*
 * Address translation: Sv32, Sv39, Sv48 and Sv57 ("Supervisor-Level ISA" of the privileged manual), with accessed and
 * dirty bits set by hardware (Svadu) or by a page fault (Svade), blocks of 64 KiB (Svnapot), and memory types (Svpbmt),
 * which are checked and otherwise without effect: caches are not modelled. Two stages are not here.
 */
#include "guest/riscv/internal.h"

#include "base/strbuf.h"

#include <inttypes.h>

enum {
    PTE_VALID = 1 << 0,
    PTE_READ = 1 << 1,
    PTE_WRITE = 1 << 2,
    PTE_EXECUTE = 1 << 3,
    PTE_USER = 1 << 4,
    PTE_GLOBAL = 1 << 5,
    PTE_ACCESSED = 1 << 6,
    PTE_DIRTY = 1 << 7,
    PTE_PPN_SHIFT = 10,
    PAGE_BITS = 12,
    NAPOT_BITS = 16,    /* of the only size of block that Svnapot has */
    NAPOT_64_KIB = 0x8, /* how the low bits of a page number say so */
    PTE_MEMORY_TYPE_SHIFT = 61,
    MEMORY_TYPES = 3,
};
#define PTE_RESERVED_64 (mask_bits(7) << 54)
#define PTE_MEMORY_TYPE (UINT64_C(3) << PTE_MEMORY_TYPE_SHIFT)
#define PTE_NAPOT BIT(63)

/* A paging scheme. */
typedef struct Scheme {
    uint8_t levels, index_bits, entry_bytes, physical_bits;
} Scheme;

static const Scheme sv32 = { .levels = 2, .index_bits = 10, .entry_bytes = 4, .physical_bits = 34 };
static const Scheme sv39_and_up[] = {
    { .levels = 3, .index_bits = 9, .entry_bytes = 8, .physical_bits = 56 },
    { .levels = 4, .index_bits = 9, .entry_bytes = 8, .physical_bits = 56 },
    { .levels = 5, .index_bits = 9, .entry_bytes = 8, .physical_bits = 56 },
};

typedef enum WalkFault { WALK_OK, WALK_PAGE_FAULT, WALK_ACCESS_FAULT, WALK_AGAIN } WalkFault;

typedef struct Walk {
    Cpu *cpu;
    const Scheme *scheme;
    uint64_t address;
    MmuAccess access;
    unsigned mmu_mode;
    bool probe;
    uint64_t entry_address, entry; /* of the leaf */
    MmuResult *result;
} Walk;

static RiscvPrivilege mode_privilege(unsigned mmu_mode)
{
    static const RiscvPrivilege privileges[] = {
        [MMU_MODE_USER] = RISCV_USER,
        [MMU_MODE_SUPERVISOR] = RISCV_SUPERVISOR,
        [MMU_MODE_SUPERVISOR_SUM] = RISCV_SUPERVISOR,
        [MMU_MODE_MACHINE] = RISCV_MACHINE,
    };
    return privileges[mmu_mode & MMU_MODE_PRIVILEGE];
}

unsigned riscv_fetch_mmu_mode(const Cpu *cpu)
{
    return riscv_state(cpu)->privilege; /* the numbers agree */
}

unsigned riscv_data_mmu_mode(const Cpu *cpu)
{
    const RiscvState *state = riscv_state(cpu);
    unsigned privilege = state->privilege;

    if (state->mstatus & MSTATUS_MPRV && privilege == RISCV_MACHINE && !riscv_in_nmi(cpu)) {
        privilege = (state->mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT;
    }
    if (privilege == RISCV_MACHINE) {
        return MMU_MODE_MACHINE;
    }
    unsigned mode = privilege == RISCV_USER                ? MMU_MODE_USER
                    : state->mstatus & MSTATUS_SUM ? MMU_MODE_SUPERVISOR_SUM
                                                   : MMU_MODE_SUPERVISOR;
    return mode | (state->mstatus & MSTATUS_MXR ? MMU_MODE_MXR : 0);
}

unsigned riscv_satp_mode(const RiscvConfig *config, uint64_t satp)
{
    return (unsigned)(config->xlen == 32 ? satp >> 31 & 1 : satp >> 60);
}

bool riscv_satp_mode_supported(const RiscvConfig *config, unsigned mode)
{
    if (mode == SATP_BARE) {
        return true;
    }
    if (config->xlen == 32) {
        return config->paging_levels == 2;
    }
    return mode >= SATP_SV39 && mode <= SATP_SV57 && mode - SATP_SV39 + 3 <= config->paging_levels;
}

/* Dropping translations. An address space is all of satp: its tables and its number (ASID). */

uint64_t riscv_space(const Cpu *cpu)
{
    return riscv_state(cpu)->satp;
}

void riscv_fence(Cpu *cpu, const uint64_t *address, const uint64_t *space)
{
    bool narrow = riscv_config(cpu)->xlen == 32;
    unsigned shift = narrow ? 22 : 44, bits = narrow ? 9 : 16;

    cpu_tlb_drop(cpu, &(TlbScope){
                          .modes = MMU_MODES_TRANSLATED,
                          .one_page = address,
                          .address = address ? *address : 0,
                          .one_space = space,
                          .space = space ? *space << shift : 0,
                          .space_mask = mask_bits(bits) << shift,
                      });
}

void riscv_satp_changed(Cpu *cpu)
{
    cpu_tlb_select(cpu);
}

void riscv_translation_changed(Cpu *cpu)
{
    cpu_tlb_flush(cpu, MMU_MODES_TRANSLATED);
}

void riscv_protection_changed(Cpu *cpu)
{
    cpu_tlb_flush(cpu, MMU_MODES_ALL);
}

/* What satp says; NULL: addresses are physical. */
static const Scheme *satp_scheme(const Cpu *cpu)
{
    unsigned mode = riscv_satp_mode(riscv_config(cpu), riscv_state(cpu)->satp);

    return mode == SATP_BARE ? NULL : mode == SATP_SV32 ? &sv32 : &sv39_and_up[mode - SATP_SV39];
}

static const Scheme *current_scheme(const Cpu *cpu, unsigned mmu_mode)
{
    return mode_privilege(mmu_mode) == RISCV_MACHINE ? NULL : satp_scheme(cpu);
}

static uint64_t table_root(const Cpu *cpu)
{
    unsigned bits = riscv_config(cpu)->xlen == 32 ? 22 : 44;
    return (riscv_state(cpu)->satp & mask_bits(bits)) << PAGE_BITS;
}

/* The bits above those that the tables translate are copies of the highest of them. */
static bool is_canonical(const Scheme *scheme, uint64_t address)
{
    unsigned bits = PAGE_BITS + scheme->levels * scheme->index_bits;
    return scheme->entry_bytes == 4 || (uint64_t)sign_extend(address, bits) == address;
}

/* MMU_PERM bits that the leaf gives, accessed and dirty bits aside. */
static uint8_t leaf_permissions(const Walk *walk, uint64_t entry)
{
    RiscvPrivilege privilege = mode_privilege(walk->mmu_mode);
    bool user_page = entry & PTE_USER;
    bool data = privilege == RISCV_USER ? user_page
                                        : !user_page || walk->mmu_mode % 4 == MMU_MODE_SUPERVISOR_SUM;
    bool fetch = user_page == (privilege == RISCV_USER);
    bool readable = entry & PTE_READ || (walk->mmu_mode & MMU_MODE_MXR && entry & PTE_EXECUTE);

    return (data && readable ? MMU_PERM_READ : 0) | (data && entry & PTE_WRITE ? MMU_PERM_WRITE : 0) |
           (fetch && entry & PTE_EXECUTE ? MMU_PERM_EXECUTE : 0);
}

static uint8_t access_permission(MmuAccess access)
{
    return (uint8_t)(1 << access); /* the numbers agree */
}

/* Bits that an entry must not have: those of extensions that are not there, or in a pointer to a table. */
static uint64_t reserved_bits(const Cpu *cpu, uint64_t entry)
{
    const RiscvConfig *config = riscv_config(cpu);
    bool leaf = entry & (PTE_READ | PTE_EXECUTE);
    bool types = leaf && config->svpbmt && riscv_state(cpu)->menvcfg & MENVCFG_PBMTE;

    return PTE_RESERVED_64 | (types ? 0 : PTE_MEMORY_TYPE) | (leaf && config->svnapot ? 0 : PTE_NAPOT);
}

static bool is_malformed(const Cpu *cpu, uint64_t entry)
{
    return entry & reserved_bits(cpu, entry) || (entry >> PTE_MEMORY_TYPE_SHIFT & 3) >= MEMORY_TYPES;
}

/* Whether supervisor mode may: all of the entry, which an edge of a protected region may cut. */
static bool may_access_entry(const Walk *walk, uint64_t address, uint8_t permission)
{
    uint8_t page_bits = PAGE_BITS;
    uint64_t extent;
    uint8_t allowed = riscv_pmp_permissions(walk->cpu, address, RISCV_SUPERVISOR, &page_bits, &extent);

    return allowed & permission && extent >= walk->scheme->entry_bytes;
}

static WalkFault load_entry(Walk *walk, uint64_t address, uint64_t *entry)
{
    if (!may_access_entry(walk, address, MMU_PERM_READ) ||
        !cpu_physical_load(walk->cpu, address, walk->scheme->entry_bytes, entry)) {
        return WALK_ACCESS_FAULT;
    }
    bool reserved = walk->scheme->entry_bytes == 8 && is_malformed(walk->cpu, *entry);
    bool write_only = (*entry & (PTE_READ | PTE_WRITE)) == PTE_WRITE;
    return !(*entry & PTE_VALID) || reserved || write_only ? WALK_PAGE_FAULT : WALK_OK;
}

static uint64_t entry_physical(const Scheme *scheme, uint64_t entry)
{
    return bits_extract(entry, PTE_PPN_SHIFT, scheme->physical_bits - PAGE_BITS) << PAGE_BITS;
}

/* The size of the page that the leaf stands for: that of its level, or a block of several. Its address is aligned. */
static WalkFault leaf_size(const Walk *walk, unsigned shift)
{
    uint64_t physical = entry_physical(walk->scheme, walk->entry);

    walk->result->page_bits = (uint8_t)shift;
    if (walk->scheme->entry_bytes == 8 && walk->entry & PTE_NAPOT) {
        uint64_t size = bits_extract(physical, PAGE_BITS, NAPOT_BITS - PAGE_BITS);
        walk->result->page_bits = NAPOT_BITS;
        return shift == PAGE_BITS && size == NAPOT_64_KIB ? WALK_OK : WALK_PAGE_FAULT;
    }
    return physical & mask_bits(shift) ? WALK_PAGE_FAULT : WALK_OK;
}

/* Down the tables to a leaf; page_bits is its size then. */
static WalkFault find_leaf(Walk *walk)
{
    const Scheme *scheme = walk->scheme;
    uint64_t table = table_root(walk->cpu);

    if (!is_canonical(scheme, walk->address)) {
        return WALK_PAGE_FAULT;
    }
    walk->result->global = false;
    for (int level = scheme->levels - 1; level >= 0; level--) {
        unsigned shift = PAGE_BITS + (unsigned)level * scheme->index_bits;
        uint64_t index = bits_extract(walk->address, shift, scheme->index_bits), entry;
        walk->entry_address = table + index * scheme->entry_bytes;
        WalkFault fault = load_entry(walk, walk->entry_address, &entry);
        if (fault != WALK_OK) {
            return fault;
        }
        walk->result->global |= entry & PTE_GLOBAL;
        if (entry & (PTE_READ | PTE_EXECUTE)) {
            walk->entry = entry;
            return leaf_size(walk, shift);
        }
        if (entry & (PTE_USER | PTE_ACCESSED | PTE_DIRTY)) {
            return WALK_PAGE_FAULT; /* reserved in a pointer */
        }
        table = entry_physical(scheme, entry);
    }
    return WALK_PAGE_FAULT;
}

/* Sets the accessed bit, and the dirty bit for a write; or faults where hardware is not to. */
static WalkFault mark_leaf(Walk *walk)
{
    const RiscvConfig *config = riscv_config(walk->cpu);
    uint64_t wanted = PTE_ACCESSED | (walk->access == MMU_WRITE ? PTE_DIRTY : 0);
    bool by_hardware = config->svadu ? riscv_state(walk->cpu)->menvcfg & MENVCFG_ADUE : !config->svade;
    uint64_t found = walk->entry;

    if (walk->probe || (walk->entry & wanted) == wanted) {
        return WALK_OK;
    }
    if (!by_hardware) {
        return WALK_PAGE_FAULT;
    }
    if (!may_access_entry(walk, walk->entry_address, MMU_PERM_WRITE) ||
        !cpu_physical_cas(walk->cpu, walk->entry_address, walk->scheme->entry_bytes, &found, walk->entry | wanted)) {
        return WALK_ACCESS_FAULT;
    }
    if (found != walk->entry) {
        return WALK_AGAIN; /* another hart changed it */
    }
    walk->entry |= wanted;
    return WALK_OK;
}

static WalkFault translate(Walk *walk)
{
    MmuResult *result = walk->result;
    WalkFault fault = find_leaf(walk);

    if (fault != WALK_OK) {
        return fault;
    }
    result->permissions = leaf_permissions(walk, walk->entry);
    if (!(result->permissions & access_permission(walk->access)) && !walk->probe) {
        return WALK_PAGE_FAULT;
    }
    fault = mark_leaf(walk);
    if (fault != WALK_OK) {
        return fault;
    }
    if (!(walk->entry & PTE_DIRTY)) {
        result->permissions &= (uint8_t)~MMU_PERM_WRITE;
    }
    uint64_t offset = mask_bits(result->page_bits);
    result->physical = (entry_physical(walk->scheme, walk->entry) & ~offset) | (walk->address & offset);
    return WALK_OK;
}

static void raise_fault(const Walk *walk, WalkFault fault)
{
    static const RiscvCause causes[][3] = {
        [WALK_PAGE_FAULT] = { CAUSE_LOAD_PAGE_FAULT, CAUSE_STORE_PAGE_FAULT, CAUSE_FETCH_PAGE_FAULT },
        [WALK_ACCESS_FAULT] = { CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, CAUSE_FETCH_ACCESS },
    };
    if (walk->access != MMU_EXECUTE || riscv_fetch_passes(walk->cpu)) {
        cpu_raise(walk->cpu, causes[fault][walk->access], walk->address);
    }
}

/* The page table's answer, or all of memory where addresses are physical. */
static WalkFault translate_or_pass(Walk *walk)
{
    if (!walk->scheme) {
        walk->result->physical = walk->address;
        walk->result->page_bits = 30;
        walk->result->permissions = MMU_PERM_READ | MMU_PERM_WRITE | MMU_PERM_EXECUTE;
        return WALK_OK;
    }
    WalkFault fault;
    do {
        fault = translate(walk);
    } while (fault == WALK_AGAIN);
    return fault;
}

bool riscv_walk(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mmu_mode, bool probe, MmuResult *result)
{
    Walk walk = { .cpu = cpu,
                  .scheme = current_scheme(cpu, mmu_mode),
                  .address = address,
                  .access = access,
                  .mmu_mode = mmu_mode,
                  .probe = probe,
                  .result = result };

    *result = (MmuResult){ 0 };
    WalkFault fault = translate_or_pass(&walk);
    if (fault == WALK_OK) {
        uint8_t allowed = riscv_pmp_permissions(cpu, result->physical, mode_privilege(mmu_mode), &result->page_bits,
                                                &result->extent);
        result->permissions &= allowed;
        result->watched = riscv_page_watched(cpu, address);
        if (probe || allowed & access_permission(access)) {
            return true;
        }
        fault = WALK_ACCESS_FAULT;
    }
    if (!probe) {
        raise_fault(&walk, fault);
    }
    return false;
}

void riscv_bus_error(Cpu *cpu, uint64_t address, uint64_t physical, MmuAccess access)
{
    static const RiscvCause causes[] = { CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, CAUSE_FETCH_ACCESS };

    if (access != MMU_EXECUTE || riscv_fetch_passes(cpu)) {
        cpu_raise(cpu, causes[access], address);
    }
}

void riscv_misaligned(Cpu *cpu, uint64_t address, MmuAccess access)
{
    static const RiscvCause causes[] = { CAUSE_LOAD_MISALIGNED, CAUSE_STORE_MISALIGNED, CAUSE_FETCH_MISALIGNED };
    cpu_raise(cpu, causes[access], address);
}

/* info mem */

/* Tables that point to each other list more than anyone lives to see: the list ends at either limit. */
enum { LISTED_LINES = 16384, LISTED_TABLES = 16384 };

typedef struct Mappings {
    Walk walk;
    StrBuf *buffer;
    uint64_t address, physical, size, flags; /* the stretch that grows; size 0: none */
    unsigned lines, tables;
} Mappings;

static void print_stretch(Mappings *map)
{
    static const char letters[] = "rwxugad"; /* from PTE_READ up */
    int digits = riscv_config(map->walk.cpu)->xlen / 4;
    char text[sizeof letters] = "";

    if (!map->size) {
        return;
    }
    for (unsigned i = 0; letters[i]; i++) {
        text[i] = map->flags & (uint64_t)PTE_READ << i ? letters[i] : '-';
    }
    strbuf_printf(map->buffer, "%0*" PRIx64 " %016" PRIx64 " %0*" PRIx64 " %s\n", digits, map->address, map->physical,
                  digits, map->size, text);
    map->size = 0;
    map->lines++;
}

/* Each entry of a block names all of it. */
static uint64_t listed_physical(const Mappings *map, uint64_t address, uint64_t entry)
{
    uint64_t physical = entry_physical(map->walk.scheme, entry), offset = mask_bits(NAPOT_BITS);
    bool block = map->walk.scheme->entry_bytes == 8 && entry & PTE_NAPOT;

    return block ? (physical & ~offset) | (address & offset) : physical;
}

static void list_page(Mappings *map, uint64_t address, uint64_t size, uint64_t entry)
{
    uint64_t physical = listed_physical(map, address, entry), flags = entry & (mask_bits(8) & ~PTE_VALID);
    bool follows = map->size && map->address + map->size == address && map->physical + map->size == physical &&
                   map->flags == flags;

    if (!follows) {
        print_stretch(map);
        map->address = address;
        map->physical = physical;
        map->flags = flags;
    }
    map->size += size;
}

static void list_table(Mappings *map, uint64_t table, int level, uint64_t address)
{
    const Scheme *scheme = map->walk.scheme;
    unsigned shift = PAGE_BITS + (unsigned)level * scheme->index_bits;
    unsigned top_bit = shift + scheme->index_bits;

    map->tables++;
    for (uint64_t i = 0; i < UINT64_C(1) << scheme->index_bits; i++) {
        uint64_t entry, at = address | i << shift;
        if (map->lines >= LISTED_LINES || map->tables >= LISTED_TABLES) {
            return;
        }
        if (level == scheme->levels - 1 && scheme->entry_bytes == 8) {
            at = (uint64_t)sign_extend(at, top_bit);
        }
        if (load_entry(&map->walk, table + i * scheme->entry_bytes, &entry) != WALK_OK) {
            continue;
        }
        if (entry & (PTE_READ | PTE_EXECUTE)) {
            list_page(map, at, UINT64_C(1) << shift, entry);
        } else if (level > 0) {
            list_table(map, entry_physical(scheme, entry), level - 1, at);
        }
    }
}

void riscv_print_mappings(Cpu *cpu, StrBuf *buffer)
{
    Mappings map = { .walk = { .cpu = cpu, .scheme = satp_scheme(cpu), .probe = true }, .buffer = buffer };
    int digits = riscv_config(cpu)->xlen / 4;

    if (!map.walk.scheme) {
        strbuf_append(buffer, "No translation or protection\n");
        return;
    }
    strbuf_printf(buffer, "%-*s %-16s %-*s %s\n", digits, "vaddr", "paddr", digits, "size", "attr");
    strbuf_printf(buffer, "%.*s %.16s %.*s -------\n", digits, "----------------", "----------------", digits,
                  "----------------");
    list_table(&map, table_root(cpu), map.walk.scheme->levels - 1, 0);
    print_stretch(&map);
    if (map.lines >= LISTED_LINES || map.tables >= LISTED_TABLES) {
        strbuf_append(buffer, "(there is more)\n");
    }
}
