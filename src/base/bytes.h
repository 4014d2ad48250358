/* Unaligned loads and stores of a stated byte order. */
#pragma once

#include "base/compiler.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the host must be little-endian"
#endif

#define BYTES_ACCESSORS(bits, swap) \
    static inline uint##bits##_t load_le##bits(const void *p) \
    { \
        uint##bits##_t v; \
        memcpy(&v, p, sizeof v); \
        return v; \
    } \
    static inline uint##bits##_t load_be##bits(const void *p) { return swap(load_le##bits(p)); } \
    static inline void store_le##bits(void *p, uint##bits##_t v) { memcpy(p, &v, sizeof v); } \
    static inline void store_be##bits(void *p, uint##bits##_t v) { store_le##bits(p, swap(v)); }

BYTES_ACCESSORS(16, __builtin_bswap16)
BYTES_ACCESSORS(32, __builtin_bswap32)
BYTES_ACCESSORS(64, __builtin_bswap64)
#undef BYTES_ACCESSORS

/* `size` bytes, 1 to 8, little-endian, zero-extended. */
static inline uint64_t load_le(const void *p, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, p, size);
    return v;
}

static inline void store_le(void *p, unsigned size, uint64_t v) { memcpy(p, &v, size); }

/* The low `size` bytes (1, 2, 4 or 8) of `v` in the other byte order. */
static inline uint64_t swap_bytes(uint64_t v, unsigned size) { return __builtin_bswap64(v) >> (64 - 8 * size); }
