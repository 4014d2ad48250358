/* Structs of system calls on RISC-V. */
#pragma once

#include "user/layout.h"

extern const Layout riscv64_layouts[LAYOUT_COUNT], riscv32_layouts[LAYOUT_COUNT];
