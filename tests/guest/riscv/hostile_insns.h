/* Instructions that reach memory, for tests of where they may not: in machines (hostile.c) and programs of Linux. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Instructions that tests put where jumps go to: they go on by so many bytes. */
enum {
    HOSTILE_NOP = 0x00000013,
    HOSTILE_SHORT_NOP = 0x0001,
    HOSTILE_JAL = 0x1000006f,
    HOSTILE_BRANCH = 0x10000063,   /* beq x0, x0 */
    HOSTILE_SHORT_JUMP = 0xa201,
    HOSTILE_SHORT_BRANCH = 0xe141, /* c.bnez a0 */
    HOSTILE_FAR = 0x100,
    HOSTILE_NEAR = 0x80,
};

typedef enum HostileKind {
    HOSTILE_LOAD,
    HOSTILE_STORE,
    HOSTILE_ADD,  /* amoadd */
    HOSTILE_SWAP, /* amocas */
    HOSTILE_RESERVE, /* lr, then sc */
    HOSTILE_ZERO,
    HOSTILE_MANAGE, /* cbo.flush: looks whether it may */
    HOSTILE_HINT,
    HOSTILE_JUMP, /* what is there runs */
} HostileKind;

typedef struct HostileInsn {
    const char *name;
    HostileKind kind;
    uint8_t size;          /* of the access */
    bool is_signed, is_fp;
    uint8_t xlen;          /* 0: any */
    uint8_t bytes;         /* of the first instruction: 2 or 4 */
    uint32_t bits, second; /* second: of sc */
} HostileInsn;

/* The last one has no name. x10 is the address, x2 the stack pointer; x12 to x15, f12 and f13 are data. */
extern const HostileInsn hostile_insns[];
