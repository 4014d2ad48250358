/*
 * Access to control and status registers: existence, privilege, reading and writing by the rows of csr_table.c.
 * Registers that no row has may have been claimed by a device of the machine.
 */
#include "guest/riscv/csr.h"

#include "base/strbuf.h"

#include <stdio.h>
#include <string.h>

enum {
    CSR_NUMBER_SHIFT = 20,
    FUNCT3_SHIFT = 12,
    RS1_SHIFT = 15,
    FUNCT3_IMMEDIATE = 4,
    FUNCT3_OPERATION = 3, /* mask of the following */
    FUNCT3_WRITE = 1,
    FUNCT3_SET = 2,
    FUNCT3_CLEAR = 3,
    ROW_CLAIMED = 0xffff, /* no row: a device's register, if any */
};

/* NULL: no row, or not on this processor. */
static const CsrRow *find_row(const RiscvConfig *config, unsigned number, unsigned *index)
{
    unsigned low = 0, high = riscv_csr_row_count;

    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        *(riscv_csr_rows[middle].number <= number ? &low : &high) = middle;
    }
    const CsrRow *row = &riscv_csr_rows[low];
    *index = number - row->number;
    if (number < row->number || *index >= MAX(row->count, 1u) || (row->flags & CSR_UPPER && config->xlen != 32) ||
        (row->exists && !row->exists(config, *index))) {
        return NULL;
    }
    return row;
}

static bool is_read_only(unsigned number)
{
    return number >> 10 == 3;
}

static RiscvPrivilege lowest_privilege(unsigned number)
{
    unsigned level = number >> 8 & 3;
    return level == 2 ? RISCV_MACHINE : (RiscvPrivilege)level;
}

static unsigned operation_of(uint32_t bits)
{
    return bits >> FUNCT3_SHIFT & FUNCT3_OPERATION;
}

/* Setting and clearing write where the operand is another register than x0, or another immediate than 0. */
static bool writes(uint32_t bits)
{
    return operation_of(bits) == FUNCT3_WRITE || bits >> RS1_SHIFT & 31;
}

RiscvCsrUse riscv_csr_use(const Cpu *cpu, uint32_t bits, RiscvPrivilege privilege)
{
    unsigned index, number = bits >> CSR_NUMBER_SHIFT;
    const CsrRow *row = find_row(riscv_config(cpu), number, &index);
    bool claimable = !row && cpu->claim_count, write = writes(bits);
    bool clears_low = bits >> FUNCT3_SHIFT & FUNCT3_IMMEDIATE && operation_of(bits) == FUNCT3_CLEAR;

    return (RiscvCsrUse){
        .row = row ? (unsigned)(row - riscv_csr_rows) : ROW_CLAIMED,
        .exists = (row || claimable) && privilege >= lowest_privilege(number) && !(write && is_read_only(number)) &&
                  !(row && row->flags & CSR_EXCHANGE && !write),
        .ends = write && (!row || (row->flags & CSR_ENDS && !(row->flags & CSR_DISABLES && clears_low))),
    };
}

void riscv_csr_name(const RiscvConfig *config, unsigned number, StrBuf *buffer)
{
    unsigned index;
    const CsrRow *row = find_row(config, number, &index);

    if (!row) {
        strbuf_printf(buffer, "0x%x", number);
        return;
    }
    strbuf_append(buffer, row->name);
    if (row->count) {
        strbuf_printf(buffer, "%u%s", row->first_index + index, row->flags & CSR_UPPER ? "h" : "");
    }
}

static uint64_t read_whole(Cpu *cpu, const CsrRow *row, unsigned index)
{
    if (row->read) {
        return row->read(cpu, row, index);
    }
    return row->flags & CSR_HOOKED ? 0 : *riscv_csr_storage(cpu, row, index);
}

static uint64_t read_row(Cpu *cpu, const CsrRow *row, unsigned index)
{
    uint64_t whole = read_whole(cpu, row, index);
    return riscv_truncate(riscv_config(cpu), row->flags & CSR_UPPER ? whole >> 32 : whole);
}

/* Changes the bits of `mask`. */
static void write_row(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value, uint64_t mask)
{
    uint64_t *stored = row->flags & CSR_HOOKED ? NULL : riscv_csr_storage(cpu, row, index);
    uint64_t old = stored ? *stored : read_whole(cpu, row, index);

    if (row->flags & CSR_UPPER) {
        value <<= 32;
        mask <<= 32;
    }
    value = (old & ~mask) | (value & mask);
    if (row->write) {
        row->write(cpu, row, index, value);
    } else if (stored) {
        *stored = (old & ~row->writable) | (value & row->writable);
    }
}

/* What an instruction writes: the bits of `mask` become those of `value`. Nothing where the mask is empty and the
 * instruction is not a plain write. */
typedef struct CsrChange {
    bool write;
    uint64_t value, mask;
} CsrChange;

static CsrChange decode_change(const RiscvConfig *config, uint32_t bits, uint64_t operand)
{
    uint64_t all = mask_bits(config->xlen);

    if (operation_of(bits) == FUNCT3_WRITE) {
        return (CsrChange){ true, operand, all };
    }
    return (CsrChange){ writes(bits), operation_of(bits) == FUNCT3_SET ? all : 0, operand };
}

static bool access_claimed(Cpu *cpu, unsigned number, const CsrChange *change, uint64_t *old)
{
    if (!cpu_claimed_read(cpu, number, old)) {
        return false;
    }
    return !change->write ||
           cpu_claimed_write(cpu, number, (*old & ~change->mask) | (change->value & change->mask));
}

uint64_t riscv_helper_csr(Cpu *cpu, uint64_t bits, uint64_t operand, uint64_t unused)
{
    const RiscvConfig *config = riscv_config(cpu);
    uint32_t insn = (uint32_t)bits;
    unsigned number = insn >> CSR_NUMBER_SHIFT, row_index = (unsigned)(bits >> 32);
    CsrChange change = decode_change(config, insn, operand);
    uint64_t old = 0;

    if (row_index == ROW_CLAIMED) {
        if (!access_claimed(cpu, number, &change, &old)) {
            cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, insn);
        }
        return old;
    }
    const CsrRow *row = &riscv_csr_rows[row_index];
    if (row->allowed && !row->allowed(cpu, number)) {
        cpu_raise(cpu, CAUSE_ILLEGAL_INSTRUCTION, insn);
        return 0;
    }
    if (row->read == riscv_csr_read_counter && !cpu_count(cpu)) {
        return 0;
    }
    old = read_row(cpu, row, number - row->number);
    if (change.write) {
        write_row(cpu, row, number - row->number, change.value, change.mask);
    }
    return old;
}

bool riscv_csr_read(Cpu *cpu, unsigned number, uint64_t *value)
{
    unsigned index;
    const CsrRow *row = find_row(riscv_config(cpu), number, &index);

    if (row) {
        *value = read_row(cpu, row, index);
    }
    return row;
}

bool riscv_csr_write(Cpu *cpu, unsigned number, uint64_t value)
{
    unsigned index;
    const CsrRow *row = find_row(riscv_config(cpu), number, &index);

    if (!row || is_read_only(number)) {
        return false;
    }
    write_row(cpu, row, index, value, mask_bits(riscv_config(cpu)->xlen));
    return true;
}

bool riscv_system_register(const Cpu *cpu, unsigned number, char name[24], unsigned *bits)
{
    const RiscvConfig *config = riscv_config(cpu);
    AUTO_STRBUF(text);
    unsigned index;

    *bits = config->xlen;
    if (number == RISCV_SYSTEM_REGISTERS - 1) {
        strcpy(name, "priv");
        return true;
    }
    if (number >= RISCV_SYSTEM_REGISTERS || !find_row(config, number, &index)) {
        return false;
    }
    riscv_csr_name(config, number, &text);
    snprintf(name, 24, "%s", strbuf_text(&text));
    return true;
}

bool riscv_get_system_register(Cpu *cpu, unsigned number, uint64_t *value)
{
    if (number == RISCV_SYSTEM_REGISTERS - 1) {
        *value = riscv_state(cpu)->privilege;
        return true;
    }
    return number < RISCV_SYSTEM_REGISTERS && riscv_csr_read(cpu, number, value);
}

bool riscv_set_system_register(Cpu *cpu, unsigned number, uint64_t value)
{
    if (number == RISCV_SYSTEM_REGISTERS - 1) {
        if (!riscv_privilege_exists(riscv_config(cpu), value)) {
            return false;
        }
        riscv_set_privilege(cpu, (RiscvPrivilege)value, 0);
        return true;
    }
    return number < RISCV_SYSTEM_REGISTERS && riscv_csr_write(cpu, number, value);
}
