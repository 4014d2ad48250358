/* What RISC-V boards share: their harts, how firmware and a kernel are started. */
#pragma once

#include "board/loader.h"

typedef struct FdtWriter FdtWriter;
typedef struct Machine Machine;

/* Lines of a hart: bits of mip. */
enum {
    RISCV_LINE_SUPERVISOR_SOFTWARE = 1,
    RISCV_LINE_MACHINE_SOFTWARE = 3,
    RISCV_LINE_MACHINE_TIMER = 7,
    RISCV_LINE_SUPERVISOR_EXTERNAL = 9,
    RISCV_LINE_MACHINE_EXTERNAL = 11,
};

/* The vCPUs, by -cpu's model and properties, as /machine/soc0/harts[N]. */
bool riscv_add_harts(Machine *machine, unsigned count, Error **error);
/* The node /cpus, at the writer's place. Handles of each hart and its interrupt controller, owned by the caller. */
typedef struct RiscvHartHandles {
    uint32_t cpu, interrupt_controller;
} RiscvHartHandles;
RiscvHartHandles *riscv_write_harts(Machine *machine, FdtWriter *fdt);
/* The node /pmu. */
void riscv_write_counters(const Machine *machine, FdtWriter *fdt);

/*
 * Starting firmware and kernel: the firmware at the start of RAM gets the hart's number in a0, the device tree in a1
 * and OpenSBI's fw_dynamic_info, which names the kernel, in a2.
 */
typedef struct RiscvBoot {
    Machine *machine;
    Loader *loader;
    uint64_t rom, ram, ram_size; /* where the reset code goes; where RAM begins, and its bytes */
    uint64_t flash;              /* where flash that holds something begins; 0: there is none */
    uint64_t start;              /* where the harts go from the reset code */
    uint64_t kernel_entry;       /* 0: none */
    uint64_t kernel_end;
    uint64_t initrd, initrd_size; /* 0: none */
} RiscvBoot;
/* Loads -bios, -kernel and -initrd; fills the last five. Without a kernel, what is in flash takes its place. */
bool riscv_boot_load(RiscvBoot *boot, Error **error);
/* /chosen's bootargs and initrd, and the stdout path and seed where they are given; at the root of the tree. */
void riscv_boot_write_chosen(const RiscvBoot *boot, FdtWriter *fdt);
/* Places the finished device tree, and the reset code that hands it over. `renew` as for loader_add_bytes. */
bool riscv_boot_finish(RiscvBoot *boot, const void *blob, size_t size,
                       void (*renew)(Machine *machine, void *bytes, size_t size), Error **error);
