/*
 * A machine to test core with: "test", with RAM at 0x80000000 and, where -cpu names a model, RISC-V vCPUs that begin
 * there. It records the events it sends.
 */
#pragma once

#include "core/machine.h"
#include "core/vcpu.h"

#include <glib.h>

enum { TEST_RAM = 0x80000000u };

typedef struct Fixture {
    Machine *machine;
    Loop *loop;
    Log *log;
    Trace *trace;
    GString *events; /* "STOP;RESET {...};" */
    unsigned shutdowns;
    ShutdownCause cause;
    int status;
} Fixture;

/* `options` may be NULL. The machine is built and, unless told otherwise, started up. */
Fixture *fixture_new(const MachineOptions *options);
Fixture *fixture_new_raw(const MachineOptions *options); /* not even built */
void fixture_free(Fixture *fixture);
void fixture_expect_events(Fixture *fixture, const char *events); /* and forgets them */
uint8_t *fixture_ram(Fixture *fixture);
/* Instructions at an offset in RAM. */
void fixture_code(Fixture *fixture, uint64_t offset, const uint32_t *code, size_t count);

/* A device of a class of the test's own, realized. */
Device *fixture_device(Fixture *fixture, const char *class_name);

uint64_t fixture_read(Fixture *fixture, uint64_t address, unsigned size); /* asserts success */
void fixture_write(Fixture *fixture, uint64_t address, unsigned size, uint64_t value);

extern const MachineClass test_machine_class;

/* RV64I instructions. */
enum { ZERO, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5 };
static inline uint32_t rv_i(uint32_t opcode, uint32_t funct3, uint32_t rd, uint32_t rs1, int32_t immediate)
{
    return opcode | rd << 7 | funct3 << 12 | rs1 << 15 | (uint32_t)immediate << 20;
}
static inline uint32_t rv_addi(uint32_t rd, uint32_t rs1, int32_t value) { return rv_i(0x13, 0, rd, rs1, value); }
static inline uint32_t rv_slli(uint32_t rd, uint32_t rs1, int32_t bits) { return rv_i(0x13, 1, rd, rs1, bits); }
static inline uint32_t rv_add(uint32_t rd, uint32_t rs1, uint32_t rs2)
{
    return 0x33 | rd << 7 | rs1 << 15 | rs2 << 20;
}
static inline uint32_t rv_lui(uint32_t rd, uint32_t value) { return 0x37 | rd << 7 | (value & 0xfffff000); }
static inline uint32_t rv_ld(uint32_t rd, uint32_t rs1, int32_t offset) { return rv_i(0x03, 3, rd, rs1, offset); }
static inline uint32_t rv_lwu(uint32_t rd, uint32_t rs1, int32_t offset) { return rv_i(0x03, 6, rd, rs1, offset); }
static inline uint32_t rv_store(uint32_t funct3, uint32_t rs2, uint32_t rs1, int32_t offset)
{
    uint32_t bits = (uint32_t)offset;
    return 0x23 | (bits & 31) << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | (bits >> 5 & 127) << 25;
}
static inline uint32_t rv_sd(uint32_t rs2, uint32_t rs1, int32_t offset) { return rv_store(3, rs2, rs1, offset); }
static inline uint32_t rv_sw(uint32_t rs2, uint32_t rs1, int32_t offset) { return rv_store(2, rs2, rs1, offset); }
static inline uint32_t rv_jump(int32_t offset) /* a multiple of 2 */
{
    uint32_t bits = (uint32_t)offset;
    return 0x6f | (bits >> 12 & 255) << 12 | (bits >> 11 & 1) << 20 | (bits >> 1 & 1023) << 21 | (bits >> 20 & 1) << 31;
}
static inline uint32_t rv_csrw(uint32_t csr, uint32_t rs1) { return rv_i(0x73, 1, ZERO, rs1, (int32_t)csr); }
static inline uint32_t rv_csrs(uint32_t csr, uint32_t rs1) { return rv_i(0x73, 2, ZERO, rs1, (int32_t)csr); }
static inline uint32_t rv_csrr(uint32_t rd, uint32_t csr) { return rv_i(0x73, 2, rd, ZERO, (int32_t)csr); }
enum { RV_WFI = 0x10500073, RV_MRET = 0x30200073 };
enum { CSR_MSTATUS = 0x300, CSR_MIE = 0x304, CSR_MTVEC = 0x305, CSR_MHARTID = 0xf14, CSR_TIME = 0xc01 };
#define FIXTURE_CODE(fixture, offset, ...) \
    fixture_code(fixture, offset, (const uint32_t[]){ __VA_ARGS__ }, G_N_ELEMENTS(((const uint32_t[]){ __VA_ARGS__ })))
