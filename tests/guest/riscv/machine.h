/*
 * A machine for tests of the RISC-V guest: one hart, RAM, a ROM, a CLINT, the test finisher, at the addresses of the
 * `virt` board, so that the same programs run there. Time counts instructions; waiting skips to the next deadline.
 */
#pragma once

#include "cpu/cpu.h"
#include "guest/riscv/config.h"

#define TEST_RAM_BASE UINT64_C(0x80000000)
enum { TEST_RAM_SIZE = 4 << 20, TEST_ROM_BASE = 0x1000, TEST_ROM_SIZE = 0x1000 };

typedef struct TestMachine {
    Cpu *cpu;
    CpuGroup *group;
    uint8_t *ram, *rom; /* writes to the ROM are refused */
    bool finished;
    uint32_t status; /* what the program wrote to the finisher: 0x5555 passed; n << 16 | 0x3333 failed in row n */
    uint64_t time_skipped, mtimecmp, stimecmp;
    bool software_interrupt;
} TestMachine;

/* By translated code, where MYNA_TEST_ENGINE is "tcg" in the environment. "rv64,svade=on": a model and properties.
 * Aborts where there is no such thing. */
TestMachine *test_machine_new(const char *model_and_properties);
void test_machine_free(TestMachine *machine);
/* Runs until the program is finished, or for so many instructions. */
void test_machine_run(TestMachine *machine, uint64_t limit);
void test_machine_write(TestMachine *machine, uint64_t address, const void *bytes, size_t count);
/* The configuration that a model and properties make; false with an error. */
bool test_config(const char *model_and_properties, const Guest **guest, RiscvConfig *config, Error **error);
