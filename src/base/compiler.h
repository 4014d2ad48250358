/* What every file may use of the compiler: attributes, small macros and bit arithmetic. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTF(format_, arguments_) __attribute__((__format__(__printf__, format_, arguments_)))
#define NODISCARD __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define BIT(n) (UINT64_C(1) << (n))

/* The low `n` bits set; `n` from 0 to 64. */
static inline uint64_t mask_bits(unsigned n) { return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1; }

/* `length` bits of `value` from bit `start`; start + length at most 64, length at least 1. */
static inline uint64_t bits_extract(uint64_t value, unsigned start, unsigned length)
{
    return value >> start & mask_bits(length);
}

static inline uint64_t bits_deposit(uint64_t value, unsigned start, unsigned length, uint64_t field)
{
    uint64_t mask = mask_bits(length) << start;
    return (value & ~mask) | (field << start & mask);
}

/* `value`'s low `bits` (1 to 64) as a two's complement number. */
static inline int64_t sign_extend(uint64_t value, unsigned bits)
{
    return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

/* `alignment` is a power of two; the upper one wraps. */
static inline uint64_t align_down(uint64_t value, uint64_t alignment) { return value & ~(alignment - 1); }
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}
static inline bool is_power_of_2(uint64_t value) { return value && !(value & (value - 1)); }
