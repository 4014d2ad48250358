/* How long the operations of fpu/ take, in nanoseconds: throughput over independent operands of like exponents. */
#include "base/host/host.h"
#include "fpu/fpu.h"

#include <stdio.h>

#define OPERANDS 1024 /* a power of two */
#define ROUNDS 4000

typedef struct Operands {
    uint64_t f64[OPERANDS];
    uint32_t f32[OPERANDS];
    Float128 f128[OPERANDS];
    Float80 f80[OPERANDS];
} Operands;

/* Positive, from 2^-8 to 2^8. */
static void fill(Operands *operands)
{
    FpContext fp = { 0 };
    uint64_t state = 1;
    for (unsigned i = 0; i < OPERANDS; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        operands->f64[i] = (UINT64_C(1023 - 8) + (state >> 60)) << 52 | (state << 8 >> 12);
        operands->f32[i] = f32_from_f64(operands->f64[i], &fp);
        operands->f128[i] = f128_from_f64(operands->f64[i], &fp) | state;
        operands->f80[i] = f80_from_f64(operands->f64[i], &fp);
        operands->f80[i].significand |= state & 0x7ff;
    }
}

/* `expression` works on the operands a, b and c of type T in `file`. */
#define BENCH(name, T, file, expression) \
    do { \
        int64_t start = host_monotonic_ns(); \
        for (unsigned round = 0; round < ROUNDS; round++) { \
            for (unsigned i = 0; i < OPERANDS; i++) { \
                T a = operands.file[i]; \
                T b UNUSED = operands.file[(i + round + 1) % OPERANDS]; \
                T c UNUSED = operands.file[(i + 2 * round + 2) % OPERANDS]; \
                expression; \
            } \
        } \
        printf("%-14s %6.2f ns\n", name, (double)(host_monotonic_ns() - start) / ROUNDS / OPERANDS); \
    } while (0)

int main(void)
{
    static Operands operands;
    FpContext fp = { 0 };

    fill(&operands);
    BENCH("f64 add", uint64_t, f64, f64_add(a, b, &fp));
    BENCH("f64 sub", uint64_t, f64, f64_sub(a, b, &fp));
    BENCH("f64 mul", uint64_t, f64, f64_mul(a, b, &fp));
    BENCH("f64 div", uint64_t, f64, f64_div(a, b, &fp));
    BENCH("f64 sqrt", uint64_t, f64, f64_sqrt(a, &fp));
    BENCH("f64 fma", uint64_t, f64, f64_fma(a, b, c, &fp));
    BENCH("f64 compare", uint64_t, f64, f64_compare(a, b, true, &fp));
    BENCH("f64 minimum", uint64_t, f64, f64_minmax(a, b, false, FP_MINMAX_NUMBER, &fp));
    BENCH("f64 to i64", uint64_t, f64, f64_to_i64(a, &fp));
    BENCH("f64 from i64", uint64_t, f64, f64_from_i64((int64_t)(a >> 20), &fp));
    BENCH("f64 to f32", uint64_t, f64, f32_from_f64(a, &fp));
    BENCH("f32 add", uint32_t, f32, f32_add(a, b, &fp));
    BENCH("f32 mul", uint32_t, f32, f32_mul(a, b, &fp));
    BENCH("f32 div", uint32_t, f32, f32_div(a, b, &fp));
    BENCH("f32 sqrt", uint32_t, f32, f32_sqrt(a, &fp));
    BENCH("f32 fma", uint32_t, f32, f32_fma(a, b, c, &fp));
    BENCH("f32 to f64", uint32_t, f32, f64_from_f32(a, &fp));
    BENCH("f80 add", Float80, f80, f80_add(a, b, &fp));
    BENCH("f80 mul", Float80, f80, f80_mul(a, b, &fp));
    BENCH("f80 div", Float80, f80, f80_div(a, b, &fp));
    BENCH("f80 sqrt", Float80, f80, f80_sqrt(a, &fp));
    BENCH("f128 add", Float128, f128, f128_add(a, b, &fp));
    BENCH("f128 mul", Float128, f128, f128_mul(a, b, &fp));
    BENCH("f128 div", Float128, f128, f128_div(a, b, &fp));
    BENCH("f128 sqrt", Float128, f128, f128_sqrt(a, &fp));
    BENCH("f128 fma", Float128, f128, f128_fma(a, b, c, &fp));
    return 0;
}
