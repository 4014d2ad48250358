/*
 * A guest: one const table of functions and facts. cpu/ and what stands above it know guests by this alone.
 */
#pragma once

#include "jit/ir.h"

typedef struct Cpu Cpu;
typedef struct Guest Guest;
typedef struct Property Property;
typedef struct StrBuf StrBuf;
typedef struct Translator Translator;

typedef enum MmuAccess { MMU_READ, MMU_WRITE, MMU_EXECUTE } MmuAccess;
enum { MMU_PERM_READ = 1, MMU_PERM_WRITE = 2, MMU_PERM_EXECUTE = 4 };

/* What a page walk finds. */
typedef struct MmuResult {
    uint64_t physical;  /* of the address asked for */
    uint8_t page_bits;  /* the page or block is 1 << page_bits bytes, all of it mapped alike; less than the guest's
                         * smallest page where a protection unit cuts one: not cached then */
    uint64_t extent;    /* bytes from there on, no edge of a protection unit among them; 0: to the end of the block */
    uint8_t permissions; /* MMU_PERM bits that later accesses may use without a walk: no write before the dirty bit */
    bool global;
    bool watched; /* guest->watch may have something against accesses to this smallest page */
    uint32_t attributes; /* memory attributes for the bus: the guest's own */
} MmuResult;

/* A processor model of a guest: a row for -cpu. */
typedef struct GuestModel {
    const char *name; /* "rv64", "max" */
    const char *description;
    const void *defaults; /* the guest's own */
    bool varies; /* what it is may change from one version of this program to the next */
    bool closed; /* a processor that somebody makes: nothing can be added to it */
} GuestModel;

/* A model that only machines know: another guest's, of the same family, or one that cannot be had. */
typedef struct GuestOtherModel {
    const char *name;
    const Guest *guest; /* NULL: it cannot be had */
    const char *model;  /* its name there */
    const char *lacks;  /* what it would need */
} GuestOtherModel;

struct Guest {
    IrGuest ir;       /* name, registers, helpers, FP contexts */
    const char *target; /* query-target's name: "riscv64" */
    uint16_t elf_machine;
    uint8_t elf_class; /* 1: 32-bit, 2: 64-bit */
    bool big_endian;
    uint8_t word_bits; /* of addresses and general registers at most */
    uint8_t page_bits; /* of the smallest page */
    const char *gdb_architecture;    /* as gdb's `set architecture` names it; NULL: gdb does not know the guest */
    const char *const *gdb_features; /* gdb's name for each group of the register table */
    unsigned gdb_feature_count;
    uint32_t state_size, config_size;

    /* -cpu: models and the properties of the guest's configuration struct (offsets are into it). */
    const GuestModel *models; /* ends with a row without a name */
    const char *default_model;
    const GuestOtherModel *other_models; /* ends with a row without a name; may be NULL */
    const Property *properties;
    /* Fills a configuration (all zeroes before) with a model's defaults. */
    void (*config_init)(const GuestModel *model, void *config);
    /* A property of the configuration was set by the user: what he gave wins over what a model implies. May be NULL. */
    void (*config_given)(void *config, const Property *property);
    /* Checks a configuration as a whole, adds what is implied; an impossible one is an error that says why. */
    bool (*config_check)(const GuestModel *model, void *config, Error **error);
    /* Appends lines about a checked one, of the vCPU `index`, that the user should read. May be NULL. */
    void (*config_warnings)(const void *config, unsigned index, StrBuf *lines);

    /* After cpu->config is set; once. */
    bool (*init)(Cpu *cpu, Error **error);
    void (*finalize)(Cpu *cpu);
    void (*reset)(Cpu *cpu);
    /* Everything beside the address that decides how code is translated, for the state as it is. */
    uint64_t (*mode)(const Cpu *cpu);
    /* The MMU mode of instruction fetches. */
    unsigned (*fetch_mmu_mode)(const Cpu *cpu);
    /* The present address space, by a number that tells it from any other: translations that are not global are its own
     * in `spaced_modes` (bit n: MMU mode n). Whatever changes it calls cpu_tlb_select. NULL: there is one alone. */
    uint64_t (*space)(const Cpu *cpu);
    uint32_t spaced_modes;
    uint64_t (*pc)(const Cpu *cpu);
    void (*set_pc)(Cpu *cpu, uint64_t pc);
    /* Translates the one instruction at t->pc: see cpu/translator.h. */
    void (*translate)(Translator *t);
    /* Walks the tables for `address` in `mmu_mode`. False: no translation; unless `probe`, the exception has been
     * raised, and accessed and dirty bits set. A probe (debugger, device) changes nothing and raises nothing. */
    bool (*walk)(Cpu *cpu, uint64_t address, MmuAccess access, unsigned mmu_mode, bool probe, MmuResult *result);
    /* While cpu->watches: asked by the slow paths before an access to data is looked at in any other way. False: an
     * exception is pending. May be NULL. */
    bool (*watch)(Cpu *cpu, uint64_t address, unsigned size, MmuAccess access);
    /* An address was not in the TLB: for guests that count. May be NULL. */
    void (*missed)(Cpu *cpu, MmuAccess access);
    /* Raises what a bus error, or a misaligned access, is to this guest. */
    void (*bus_error)(Cpu *cpu, uint64_t address, uint64_t physical, MmuAccess access);
    void (*misaligned)(Cpu *cpu, uint64_t address, MmuAccess access);
    /* The pending exception, taken by the guest: changes registers to those of the handler's first instruction. */
    void (*deliver)(Cpu *cpu);
    /* Takes the highest pending enabled interrupt, if there is one: true then. */
    bool (*interrupt)(Cpu *cpu);
    /* Whether a halted processor must go on (a pending interrupt, enabled or not, as the manual says). */
    bool (*has_work)(const Cpu *cpu);
    /* A timer set by cpu_timer_set ran out. */
    void (*timer)(Cpu *cpu, unsigned timer);
    /* What cpu_set_alarm asked for. */
    void (*alarm)(Cpu *cpu);
    /* Registers came out of a file: false with an error where they are not such as this processor can have. NULL: it
     * can have any. */
    bool (*check_state)(const Cpu *cpu, Error **error);
    /* Saved state was loaded: derive what is not saved. */
    void (*settle)(Cpu *cpu);
    /* For debuggers: registers that are not in the register table, by numbers below `system_register_limit`, of which
     * there may be few. False: there is none of this number. May be NULL. */
    bool (*system_register)(const Cpu *cpu, unsigned number, char name[24], unsigned *bits);
    bool (*get_system_register)(Cpu *cpu, unsigned number, uint64_t *value);
    bool (*set_system_register)(Cpu *cpu, unsigned number, uint64_t value);
    unsigned system_register_limit;
    const char *gdb_system_feature; /* what gdb calls them all */
    /* Text of one instruction into `buffer`; returns its length in bytes, 0 where there are too few. */
    unsigned (*disassemble)(const Cpu *cpu, uint64_t pc, const uint8_t *bytes, unsigned count, StrBuf *buffer);
    /* `info registers`, in the layout that QEMU's users know. */
    void (*print_registers)(const Cpu *cpu, bool with_fp, StrBuf *buffer);
    /* `info mem`: a line for each stretch of virtual memory that is mapped alike; may be NULL. */
    void (*print_mappings)(Cpu *cpu, StrBuf *buffer);
    /* The guest's part of `cpu`'s device-tree node and the like: the ISA string. Owned by the caller; may be NULL. */
    char *(*isa_string)(const void *config);
};

/* Every guest compiled in (generated from `const Guest NAME_guest`). */
extern const Guest *const guests[];
extern const size_t guest_count;
/* NULL with an error that names the nearest. */
const Guest *guest_find(const char *target, Error **error);
/* The error of a model that the guest does not have; false. */
bool guest_no_model(const Guest *guest, const char *model, Error **error);
