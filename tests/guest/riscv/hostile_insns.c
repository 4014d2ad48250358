#include "hostile_insns.h"

#include <stddef.h>

#define LOAD(funct3, opcode) (10 << 15 | (funct3) << 12 | 12 << 7 | (opcode))
#define STORE(funct3, opcode) (13 << 20 | 10 << 15 | (funct3) << 12 | (opcode))
#define AMO(funct5, funct3, rs2) ((uint32_t)(funct5) << 27 | (rs2) << 20 | 10 << 15 | (funct3) << 12 | 12 << 7 | 0x2f)
#define LINKED(funct3) (0x10000000 | 10 << 15 | (funct3) << 12 | 14 << 7 | 0x2f)
#define CBO(n) ((uint32_t)(n) << 20 | 10 << 15 | 2 << 12 | 0x0f)

const HostileInsn hostile_insns[] = {
    { "lb", HOSTILE_LOAD, 1, true, false, 0, 4, LOAD(0, 0x03), 0 },
    { "lbu", HOSTILE_LOAD, 1, false, false, 0, 4, LOAD(4, 0x03), 0 },
    { "lh", HOSTILE_LOAD, 2, true, false, 0, 4, LOAD(1, 0x03), 0 },
    { "lhu", HOSTILE_LOAD, 2, false, false, 0, 4, LOAD(5, 0x03), 0 },
    { "lw", HOSTILE_LOAD, 4, true, false, 0, 4, LOAD(2, 0x03), 0 },
    { "lwu", HOSTILE_LOAD, 4, false, false, 64, 4, LOAD(6, 0x03), 0 },
    { "ld", HOSTILE_LOAD, 8, true, false, 64, 4, LOAD(3, 0x03), 0 },
    { "c.lw", HOSTILE_LOAD, 4, true, false, 0, 2, 0x4110, 0 },
    { "c.ld", HOSTILE_LOAD, 8, true, false, 64, 2, 0x6110, 0 },
    { "c.lhu", HOSTILE_LOAD, 2, false, false, 0, 2, 0x8510, 0 },
    { "flh", HOSTILE_LOAD, 2, false, true, 0, 4, LOAD(1, 0x07), 0 },
    { "flw", HOSTILE_LOAD, 4, false, true, 0, 4, LOAD(2, 0x07), 0 },
    { "fld", HOSTILE_LOAD, 8, false, true, 0, 4, LOAD(3, 0x07), 0 },
    { "sb", HOSTILE_STORE, 1, false, false, 0, 4, STORE(0, 0x23), 0 },
    { "sh", HOSTILE_STORE, 2, false, false, 0, 4, STORE(1, 0x23), 0 },
    { "sw", HOSTILE_STORE, 4, false, false, 0, 4, STORE(2, 0x23), 0 },
    { "sd", HOSTILE_STORE, 8, false, false, 64, 4, STORE(3, 0x23), 0 },
    { "c.sw", HOSTILE_STORE, 4, false, false, 0, 2, 0xc114, 0 },
    { "c.sd", HOSTILE_STORE, 8, false, false, 64, 2, 0xe114, 0 },
    { "c.sb", HOSTILE_STORE, 1, false, false, 0, 2, 0x8914, 0 },
    { "fsh", HOSTILE_STORE, 2, false, true, 0, 4, STORE(1, 0x27), 0 },
    { "fsw", HOSTILE_STORE, 4, false, true, 0, 4, STORE(2, 0x27), 0 },
    { "fsd", HOSTILE_STORE, 8, false, true, 0, 4, STORE(3, 0x27), 0 },
    { "amoadd.b", HOSTILE_ADD, 1, true, false, 0, 4, AMO(0, 0, 13), 0 },
    { "amoadd.h", HOSTILE_ADD, 2, true, false, 0, 4, AMO(0, 1, 13), 0 },
    { "amoadd.w", HOSTILE_ADD, 4, true, false, 0, 4, AMO(0, 2, 13), 0 },
    { "amoadd.d", HOSTILE_ADD, 8, true, false, 64, 4, AMO(0, 3, 13), 0 },
    { "amocas.h", HOSTILE_SWAP, 2, true, false, 0, 4, AMO(5, 1, 14), 0 },
    { "amocas.w", HOSTILE_SWAP, 4, true, false, 0, 4, AMO(5, 2, 14), 0 },
    { "amocas.d", HOSTILE_SWAP, 8, true, false, 0, 4, AMO(5, 3, 14), 0 },
    { "amocas.q", HOSTILE_SWAP, 16, true, false, 64, 4, AMO(5, 4, 14), 0 },
    { "lr.w sc.w", HOSTILE_RESERVE, 4, true, false, 0, 4, LINKED(2), AMO(3, 2, 13) },
    { "lr.d sc.d", HOSTILE_RESERVE, 8, true, false, 64, 4, LINKED(3), AMO(3, 3, 13) },
    { "cbo.zero", HOSTILE_ZERO, 64, false, false, 0, 4, CBO(4), 0 },
    { "cbo.flush", HOSTILE_MANAGE, 64, false, false, 0, 4, CBO(2), 0 },
    { "cbo.clean", HOSTILE_MANAGE, 64, false, false, 0, 4, CBO(1), 0 },
    { "cbo.inval", HOSTILE_MANAGE, 64, false, false, 0, 4, CBO(0), 0 },
    { "prefetch.r", HOSTILE_HINT, 0, false, false, 0, 4, 0x00156013, 0 },
    { "prefetch.i", HOSTILE_HINT, 0, false, false, 0, 4, 0x00056013, 0 },
    { "prefetch.w", HOSTILE_HINT, 0, false, false, 0, 4, 0x00356013, 0 },
    { "jr", HOSTILE_JUMP, 2, false, false, 0, 4, 0x00050067, 0 },
    { "c.jr", HOSTILE_JUMP, 2, false, false, 0, 2, 0x8502, 0 },
    { "c.jalr", HOSTILE_JUMP, 2, false, false, 0, 2, 0x9502, 0 },
    { NULL, 0, 0, false, false, 0, 0, 0, 0 },
};
