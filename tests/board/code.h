/* RISC-V instructions for tests, by the unprivileged specification's formats; x registers by number. */
#pragma once

#include <stdint.h>

enum { ZERO = 0, RA = 1, T0 = 5, T1 = 6, T2 = 7, A0 = 10, A1 = 11, A6 = 16, A7 = 17 };

#define RV_I(opcode, funct3, rd, rs1, imm) \
    ((uint32_t)(imm) << 20 | (uint32_t)(rs1) << 15 | (uint32_t)(funct3) << 12 | (uint32_t)(rd) << 7 | (opcode))
#define RV_S(opcode, funct3, rs1, rs2, imm) \
    (((uint32_t)(imm) & 0xfe0) << 20 | (uint32_t)(rs2) << 20 | (uint32_t)(rs1) << 15 | (uint32_t)(funct3) << 12 | \
     ((uint32_t)(imm) & 0x1f) << 7 | (opcode))
#define RV_B(funct3, rs1, rs2, distance) \
    (((uint32_t)(distance) >> 12 & 1) << 31 | ((uint32_t)(distance) >> 5 & 0x3f) << 25 | (uint32_t)(rs2) << 20 | \
     (uint32_t)(rs1) << 15 | (uint32_t)(funct3) << 12 | ((uint32_t)(distance) >> 1 & 0xf) << 8 | \
     ((uint32_t)(distance) >> 11 & 1) << 7 | 0x63)

#define LUI(rd, upper) ((uint32_t)(upper) << 12 | (uint32_t)(rd) << 7 | 0x37)
#define AUIPC(rd, upper) ((uint32_t)(upper) << 12 | (uint32_t)(rd) << 7 | 0x17)
#define ADDI(rd, rs1, imm) RV_I(0x13, 0, rd, rs1, (imm) & 0xfff)
#define LW(rd, imm, rs1) RV_I(0x03, 2, rd, rs1, (imm) & 0xfff)
#define SB(rs2, imm, rs1) RV_S(0x23, 0, rs1, rs2, imm)
#define SW(rs2, imm, rs1) RV_S(0x23, 2, rs1, rs2, imm)
#define BEQ(rs1, rs2, distance) RV_B(0, rs1, rs2, distance)
#define BNE(rs1, rs2, distance) RV_B(1, rs1, rs2, distance)
#define ECALL 0x00000073
#define LOOP_FOREVER 0x0000006f /* j . */

/* A character on the UART, whose address is in T0. */
#define PUT(c) ADDI(T1, ZERO, c), SB(T1, 0, T0)
/* The test finisher's word `status`, by T1 and T2. */
#define FINISH(status) LUI(T2, 0x100), LUI(T1, ((status) + 0x800) >> 12), ADDI(T1, T1, (status) & 0xfff), SW(T1, 0, T2)
