/* A: each operation on words and doublewords, reservations, alignment. */
#include "test.h"

.macro AMO insn, store, load, memory, operand, result
    la t0, target
    li t1, \memory
    \store t1, (t0)
    li t1, \operand
    \insn a2, t1, (t0)
    CHECK a2, \memory
    \load a3, (t0)
    CHECK a3, \result
    li t2, \memory
    \store t2, (t0)
    \insn\().aqrl t1, t1, (t0)
    CHECK_SAME t1, t2
    \store t2, (t0)
    li t1, \operand
    \insn x0, t1, (t0)
    CHECK x0, 0
    \load a3, (t0)
    CHECK a3, \result
    \store t2, (t0)
    \insn\().aq t0, t1, (t0)
    CHECK_SAME t0, t2
    la t0, target
.endm
#if __riscv_xlen == 64
#define MIN32 0xffffffff80000000
#else
#define MIN32 0x80000000
#endif

TEST amoswap_w
    AMO amoswap.w, sw, lw, 5, 9, 9
    AMO amoswap.w, sw, lw, -1, MIN32, MIN32
    END
TEST amoadd_w
    AMO amoadd.w, sw, lw, 5, -6, -1
    AMO amoadd.w, sw, lw, 0x7fffffff, 1, MIN32
    END
TEST amoxor_w
    AMO amoxor.w, sw, lw, 0x0ff0, 0x00ff, 0x0f0f
    AMO amoxor.w, sw, lw, -1, -1, 0
    END
TEST amoand_w
    AMO amoand.w, sw, lw, 0x0ff0, 0x00ff, 0x00f0
    AMO amoand.w, sw, lw, -1, MIN32, MIN32
    END
TEST amoor_w
    AMO amoor.w, sw, lw, 0x0ff0, 0x00ff, 0x0fff
    AMO amoor.w, sw, lw, 0, MIN32, MIN32
    END
TEST amomin_w
    AMO amomin.w, sw, lw, 5, -6, -6
    AMO amomin.w, sw, lw, MIN32, 0x7fffffff, MIN32
    END
TEST amomax_w
    AMO amomax.w, sw, lw, 5, -6, 5
    AMO amomax.w, sw, lw, MIN32, 0x7fffffff, 0x7fffffff
    END
TEST amominu_w
    AMO amominu.w, sw, lw, 5, -6, 5
    AMO amominu.w, sw, lw, MIN32, 0x7fffffff, 0x7fffffff
    END
TEST amomaxu_w
    AMO amomaxu.w, sw, lw, 5, -6, -6
    AMO amomaxu.w, sw, lw, MIN32, 0x7fffffff, MIN32
    END

#if __riscv_xlen == 64
/* Only the low word of the operand counts, and only a word of memory changes. */
TEST amo_word_of_double
    la t0, target
    li t1, 0x1111111122222222
    sd t1, (t0)
    li t1, 0x3333333344444444
    amoadd.w a2, t1, (t0)
    CHECK a2, 0x22222222
    ld a2, (t0)
    CHECK a2, 0x1111111166666666
    li t1, 0x00000001ffffffff
    amomaxu.w a2, t1, (t0)
    ld a2, (t0)
    CHECK a2, 0x11111111ffffffff
    li t1, 0x7fffffff00000005
    amomax.w a2, t1, (t0)
    CHECK a2, -1
    ld a2, (t0)
    CHECK a2, 0x1111111100000005
    END

TEST amoswap_d
    AMO amoswap.d, sd, ld, 0x123456789, X_MIN, X_MIN
    END
TEST amoadd_d
    AMO amoadd.d, sd, ld, 0xffffffff, 1, 0x100000000
    END
TEST amoxor_d
    AMO amoxor.d, sd, ld, -1, X_MIN, 0x7fffffffffffffff
    END
TEST amoand_d
    AMO amoand.d, sd, ld, 0xff00000000, -1, 0xff00000000
    END
TEST amoor_d
    AMO amoor.d, sd, ld, X_MIN, 1, 0x8000000000000001
    END
TEST amomin_d
    AMO amomin.d, sd, ld, 0x80000000, X_MIN, X_MIN
    END
TEST amomax_d
    AMO amomax.d, sd, ld, 0x80000000, X_MIN, 0x80000000
    END
TEST amominu_d
    AMO amominu.d, sd, ld, 0x80000000, X_MIN, 0x80000000
    END
TEST amomaxu_d
    AMO amomaxu.d, sd, ld, 0x80000000, X_MIN, X_MIN
    END
#endif

.macro RESERVE lr, sc, load, store
    la t0, target
    li t1, 0x12345678
    \store t1, (t0)
    \lr a2, (t0)
    CHECK a2, 0x12345678
    li t1, -5
    \sc a3, t1, (t0)    /* stored */
    CHECK a3, 0
    \load a2, (t0)
    CHECK a2, -5
    li t1, 7
    \sc a3, t1, (t0)    /* no reservation any more */
    snez a3, a3
    CHECK a3, 1
    \load a2, (t0)
    CHECK a2, -5
    \lr a2, (t0)        /* another address */
    addi t2, t0, 512
    \sc a3, t1, (t2)
    snez a3, a3
    CHECK a3, 1
    \load a2, (t2)
    CHECK a2, 0
    \sc a3, t1, (t0)    /* which gave the reservation up */
    snez a3, a3
    CHECK a3, 1
    \lr a2, (t0)        /* a store between that changes the value */
    \store zero, (t0)
    \sc a3, t1, (t0)
    snez a3, a3
    CHECK a3, 1
    \lr\().aqrl a2, (t0)
    \sc\().aqrl t1, t1, (t0)
    CHECK t1, 0
    \load a2, (t0)
    CHECK a2, 7
    \lr t0, (t0)        /* result in the address register */
    CHECK t0, 7
    la t0, target
    \lr x0, (t0)
    \sc x0, t0, (t0)
    CHECK x0, 0
.endm

TEST lr_sc_w
    RESERVE lr.w, sc.w, lw, sw
    la t0, target
    li t1, -1
    sw t1, (t0)
    lr.w a2, (t0)
    CHECK a2, -1
    END

#if __riscv_xlen == 64
TEST lr_sc_d
    RESERVE lr.d, sc.d, ld, sd
    END
#endif

/* A loop as compilers write it. */
TEST lr_sc_loop
    la t0, target
    li a4, 100
1:  lr.w t1, (t0)
    addi t1, t1, 3
    sc.w t2, t1, (t0)
    bnez t2, 1b
    addi a4, a4, -1
    bnez a4, 1b
    lw a2, (t0)
    CHECK a2, 300
    END

/* Misaligned ones trap, and touch nothing. */
TEST misaligned
    la t0, target + 2
    la t1, target + 2
    TRY lr.w a2, (t0)
    CHECK s2, 4
    CHECK_SAME s3, t1
    TRY sc.w a2, a2, (t0)
    CHECK s2, 6
    CHECK_SAME s3, t1
    TRY amoadd.w a2, a2, (t0)
    CHECK s2, 6
    CHECK_SAME s3, t1
    CHECK_SAME s4, s1
#if __riscv_xlen == 64
    addi t0, t0, 2
    addi t1, t1, 2
    TRY lr.d a2, (t0)
    CHECK s2, 4
    CHECK_SAME s3, t1
    TRY amoswap.d a2, a2, (t0)
    CHECK s2, 6
    CHECK_SAME s3, t1
#endif
    END

    .bss
    .align 4
target:
    .skip 1024
