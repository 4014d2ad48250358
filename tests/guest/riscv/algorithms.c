/*
 * Whole algorithms made of the scalar cryptography instructions, against the vectors of their standards: SHA-256 and
 * SHA-512 (FIPS 180-4, examples), AES-128 and AES-256 both ways (FIPS 197, appendix C), SM3 (GB/T 32905, examples) and
 * SM4 (GB/T 32907, example). A test program as start.S runs them; `volatile` keeps the compiler from computing ahead.
 */
#include <stddef.h>
#include <stdint.h>

_Noreturn void test_pass(void);
_Noreturn void test_fail(void);

typedef unsigned long Register;

#define UNARY(name_) \
    static inline Register name_(Register a) \
    { \
        Register result; \
        __asm__(#name_ " %0, %1" : "=r"(result) : "r"(a)); \
        return result; \
    }
#define BINARY(name_) \
    static inline Register name_(Register a, Register b) \
    { \
        Register result; \
        __asm__(#name_ " %0, %1, %2" : "=r"(result) : "r"(a), "r"(b)); \
        return result; \
    }
/* With a number behind two registers, or behind one. */
#define BY_BYTE(name_, a_, b_, byte_) \
    ({ \
        Register result_; \
        __asm__(#name_ " %0, %1, %2, " #byte_ : "=r"(result_) : "r"((Register)(a_)), "r"((Register)(b_))); \
        result_; \
    })
#define BY_NUMBER(name_, a_, number_) \
    ({ Register result_; __asm__(#name_ " %0, %1, %2" : "=r"(result_) : "r"((Register)(a_)), "i"(number_)); result_; })

static uint32_t swap32(uint32_t x) { return x >> 24 | (x >> 8 & 0xff00) | (x << 8 & 0xff0000) | x << 24; }
static uint64_t swap64(uint64_t x) { return (uint64_t)swap32((uint32_t)x) << 32 | swap32((uint32_t)(x >> 32)); }
static uint32_t rotate(uint32_t x, unsigned by) { return x << (by & 31) | x >> (-by & 31); }

static void expect(const void *found, const void *wanted, size_t count)
{
    const volatile uint8_t *a = found, *b = wanted;

    for (size_t i = 0; i < count; i++) {
        if (a[i] != b[i]) {
            test_fail();
        }
    }
}

/* A message of `count` bytes, padded as all of these hashes do: a one, zeroes, and the bits it has, big-endian, at the
 * end of the last block. Returns the bytes. */
static size_t pad(uint8_t *to, const char *message, size_t count, size_t block, size_t length_bytes)
{
    size_t total = (count + 1 + length_bytes + block - 1) / block * block;

    for (size_t i = 0; i < total; i++) {
        *(volatile uint8_t *)&to[i] = i < count ? (uint8_t)message[i] : i == count ? 0x80 : 0;
    }
    to[total - 1] = (uint8_t)(count * 8);
    to[total - 2] = (uint8_t)(count * 8 >> 8);
    return total;
}

static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
static const char two_long_blocks[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
                                      "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";

/* SHA-256 */

UNARY(sha256sig0) UNARY(sha256sig1) UNARY(sha256sum0) UNARY(sha256sum1)

static const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static void sha256_block(uint32_t state[8], const uint32_t *block)
{
    uint32_t w[64], v[8];

    for (unsigned i = 0; i < 64; i++) {
        w[i] = i < 16 ? swap32(block[i])
                      : (uint32_t)sha256sig1(w[i - 2]) + w[i - 7] + (uint32_t)sha256sig0(w[i - 15]) + w[i - 16];
    }
    for (unsigned i = 0; i < 8; i++) {
        v[i] = state[i];
    }
    for (unsigned i = 0; i < 64; i++) {
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]), majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint32_t one = v[7] + (uint32_t)sha256sum1(v[4]) + choice + sha256_constants[i] + w[i];
        uint32_t two = (uint32_t)sha256sum0(v[0]) + majority;
        for (unsigned j = 7; j > 0; j--) {
            v[j] = v[j - 1];
        }
        v[4] += one;
        v[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

static void check_sha256(const char *message, size_t count, const uint32_t wanted[8])
{
    uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    uint32_t padded[32];
    size_t total = pad((uint8_t *)padded, message, count, 64, 8);

    for (size_t i = 0; i < total / 4; i += 16) {
        sha256_block(state, padded + i);
    }
    expect(state, wanted, sizeof state);
}

void test_sha256(void)
{
    static const uint32_t abc[8] = { 0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
                                     0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad };
    static const uint32_t two[8] = { 0x248d6a61, 0xd20638b8, 0xe5c02693, 0x0c3e6039,
                                     0xa33ce459, 0x64ff2167, 0xf6ecedd4, 0x19db06c1 };

    check_sha256("abc", 3, abc);
    check_sha256(two_blocks, sizeof two_blocks - 1, two);
    test_pass();
}

/* SHA-512: on RV32 by halves. */

#if __riscv_xlen == 64
UNARY(sha512sig0) UNARY(sha512sig1) UNARY(sha512sum0) UNARY(sha512sum1)
#else
BINARY(sha512sig0l) BINARY(sha512sig0h) BINARY(sha512sig1l) BINARY(sha512sig1h) BINARY(sha512sum0r) BINARY(sha512sum1r)

#define HALVES(name_, low_, high_) \
    static uint64_t name_(uint64_t x) \
    { \
        uint32_t low = (uint32_t)x, high = (uint32_t)(x >> 32); \
        return (uint64_t)high_(high, low) << 32 | low_(low, high); \
    }
HALVES(sha512sig0, sha512sig0l, sha512sig0h)
HALVES(sha512sig1, sha512sig1l, sha512sig1h)
HALVES(sha512sum0, sha512sum0r, sha512sum0r)
HALVES(sha512sum1, sha512sum1r, sha512sum1r)
#endif

static const uint64_t sha512_constants[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static void sha512_block(uint64_t state[8], const uint64_t *block)
{
    uint64_t w[80], v[8];

    for (unsigned i = 0; i < 80; i++) {
        w[i] = i < 16 ? swap64(block[i]) : sha512sig1(w[i - 2]) + w[i - 7] + sha512sig0(w[i - 15]) + w[i - 16];
    }
    for (unsigned i = 0; i < 8; i++) {
        v[i] = state[i];
    }
    for (unsigned i = 0; i < 80; i++) {
        uint64_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]), majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint64_t one = v[7] + sha512sum1(v[4]) + choice + sha512_constants[i] + w[i];
        uint64_t two = sha512sum0(v[0]) + majority;
        for (unsigned j = 7; j > 0; j--) {
            v[j] = v[j - 1];
        }
        v[4] += one;
        v[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

static void check_sha512(const char *message, size_t count, const uint64_t wanted[8])
{
    uint64_t state[8] = { 0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                          0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 };
    uint64_t padded[32];
    size_t total = pad((uint8_t *)padded, message, count, 128, 16);

    for (size_t i = 0; i < total / 8; i += 16) {
        sha512_block(state, padded + i);
    }
    expect(state, wanted, sizeof state);
}

void test_sha512(void)
{
    static const uint64_t abc[8] = { 0xddaf35a193617aba, 0xcc417349ae204131, 0x12e6fa4e89a97ea2, 0x0a9eeee64b55d39a,
                                     0x2192992a274fc1a8, 0x36ba3c23a3feebbd, 0x454d4423643ce80e, 0x2a9ac94fa54ca49f };
    static const uint64_t two[8] = { 0x8e959b75dae313da, 0x8cf4f72814fc143f, 0x8f7779c6eb9f7fa1, 0x7299aeadb6889018,
                                     0x501d289e4900f7e4, 0x331b99dec4b5433a, 0xc7d329eeb6dd2654, 0x5e96e55b874be909 };

    check_sha512("abc", 3, abc);
    check_sha512(two_long_blocks, sizeof two_long_blocks - 1, two);
    test_pass();
}

/* AES. Words are as in memory, the first byte lowest. */

enum { AES_WORDS = 4, AES_KEY_WORDS = 60 };

#if __riscv_xlen == 64
BINARY(aes64es) BINARY(aes64esm) BINARY(aes64ds) BINARY(aes64dsm) BINARY(aes64ks2) UNARY(aes64im)

#define ROUND_128(number_) \
    keys[2 * number_ + 2] = aes64ks2(BY_NUMBER(aes64ks1i, keys[2 * number_ + 1], number_), keys[2 * number_]); \
    keys[2 * number_ + 3] = aes64ks2(keys[2 * number_ + 2], keys[2 * number_ + 1])
#define ROUND_256(number_) \
    keys[4 * number_ + 4] = aes64ks2(BY_NUMBER(aes64ks1i, keys[4 * number_ + 3], number_), keys[4 * number_]); \
    keys[4 * number_ + 5] = aes64ks2(keys[4 * number_ + 4], keys[4 * number_ + 1]); \
    keys[4 * number_ + 6] = aes64ks2(BY_NUMBER(aes64ks1i, keys[4 * number_ + 5], 10), keys[4 * number_ + 2]); \
    keys[4 * number_ + 7] = aes64ks2(keys[4 * number_ + 6], keys[4 * number_ + 3])

static void expand_key(const uint64_t *key, unsigned key_words, uint64_t *keys)
{
    for (unsigned i = 0; i < key_words / 2; i++) {
        keys[i] = key[i];
    }
    if (key_words == 4) {
        ROUND_128(0); ROUND_128(1); ROUND_128(2); ROUND_128(3); ROUND_128(4);
        ROUND_128(5); ROUND_128(6); ROUND_128(7); ROUND_128(8); ROUND_128(9);
    } else {
        ROUND_256(0); ROUND_256(1); ROUND_256(2); ROUND_256(3); ROUND_256(4); ROUND_256(5);
        keys[28] = aes64ks2(BY_NUMBER(aes64ks1i, keys[27], 6), keys[24]);
        keys[29] = aes64ks2(keys[28], keys[25]);
    }
}

static void encrypt(const uint64_t *keys, unsigned rounds, const uint64_t from[2], uint64_t to[2])
{
    uint64_t low = from[0] ^ keys[0], high = from[1] ^ keys[1];

    for (unsigned i = 1; i < rounds; i++) {
        uint64_t next = aes64esm(low, high) ^ keys[2 * i];
        high = aes64esm(high, low) ^ keys[2 * i + 1];
        low = next;
    }
    to[0] = aes64es(low, high) ^ keys[2 * rounds];
    to[1] = aes64es(high, low) ^ keys[2 * rounds + 1];
}

static void decrypt(const uint64_t *keys, unsigned rounds, const uint64_t from[2], uint64_t to[2])
{
    uint64_t low = from[0] ^ keys[2 * rounds], high = from[1] ^ keys[2 * rounds + 1];

    for (unsigned i = rounds - 1; i > 0; i--) {
        uint64_t next = aes64dsm(low, high) ^ aes64im(keys[2 * i]);
        high = aes64dsm(high, low) ^ aes64im(keys[2 * i + 1]);
        low = next;
    }
    to[0] = aes64ds(low, high) ^ keys[0];
    to[1] = aes64ds(high, low) ^ keys[1];
}
#else
#define FOUR_BYTES(name_, start_, a_, b_, c_, d_) \
    BY_BYTE(name_, BY_BYTE(name_, BY_BYTE(name_, BY_BYTE(name_, start_, a_, 0), b_, 1), c_, 2), d_, 3)

static void expand_key(const uint64_t *key, unsigned key_words, uint64_t *into)
{
    const uint32_t *from = (const uint32_t *)key;
    uint32_t *keys = (uint32_t *)into, constant = 1;

    for (unsigned i = 0; i < 4 * (key_words + 7); i++) {
        if (i < key_words) {
            keys[i] = from[i];
            continue;
        }
        uint32_t last = keys[i - 1];
        keys[i] = keys[i - key_words];
        if (i % key_words == 0) {
            last = rotate(last, 24);
            keys[i] = FOUR_BYTES(aes32esi, keys[i] ^ constant, last, last, last, last);
            constant = constant << 1 ^ (constant >> 7) * 0x11b;
        } else if (key_words == 8 && i % 8 == 4) {
            keys[i] = FOUR_BYTES(aes32esi, keys[i], last, last, last, last);
        } else {
            keys[i] ^= last;
        }
    }
}

static void encrypt(const uint64_t *all_keys, unsigned rounds, const uint64_t from[2], uint64_t to[2])
{
    const uint32_t *keys = (const uint32_t *)all_keys;
    uint32_t state[4], next[4];

    for (unsigned i = 0; i < 4; i++) {
        state[i] = ((const uint32_t *)from)[i] ^ keys[i];
    }
    for (unsigned round = 1; round <= rounds; round++) {
        for (unsigned i = 0; i < 4; i++) {
            uint32_t key = keys[4 * round + i], b = state[(i + 1) & 3], c = state[(i + 2) & 3], d = state[(i + 3) & 3];
            next[i] = round < rounds ? FOUR_BYTES(aes32esmi, key, state[i], b, c, d)
                                     : FOUR_BYTES(aes32esi, key, state[i], b, c, d);
        }
        for (unsigned i = 0; i < 4; i++) {
            state[i] = next[i];
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        ((uint32_t *)to)[i] = state[i];
    }
}

/* InvMixColumns of a key. */
static uint32_t inverse_mixed(uint32_t key)
{
    uint32_t substituted = FOUR_BYTES(aes32esi, 0, key, key, key, key);
    return FOUR_BYTES(aes32dsmi, 0, substituted, substituted, substituted, substituted);
}

static void decrypt(const uint64_t *all_keys, unsigned rounds, const uint64_t from[2], uint64_t to[2])
{
    const uint32_t *keys = (const uint32_t *)all_keys;
    uint32_t state[4], next[4];

    for (unsigned i = 0; i < 4; i++) {
        state[i] = ((const uint32_t *)from)[i] ^ keys[4 * rounds + i];
    }
    for (unsigned round = rounds - 1; round + 1 > 0; round--) {
        for (unsigned i = 0; i < 4; i++) {
            uint32_t key = keys[4 * round + i], b = state[(i + 3) & 3], c = state[(i + 2) & 3], d = state[(i + 1) & 3];
            next[i] = round ? FOUR_BYTES(aes32dsmi, inverse_mixed(key), state[i], b, c, d)
                            : FOUR_BYTES(aes32dsi, key, state[i], b, c, d);
        }
        for (unsigned i = 0; i < 4; i++) {
            state[i] = next[i];
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        ((uint32_t *)to)[i] = state[i];
    }
}
#endif

static void check_aes(unsigned key_words, const uint8_t wanted[16])
{
    uint64_t key[4], plain[2], cipher[2], again[2], keys[AES_KEY_WORDS / 2];

    for (unsigned i = 0; i < 32; i++) {
        ((volatile uint8_t *)key)[i] = (uint8_t)i;
    }
    for (unsigned i = 0; i < 16; i++) {
        ((volatile uint8_t *)plain)[i] = (uint8_t)(i * 0x11);
    }
    expand_key(key, key_words, keys);
    encrypt(keys, key_words + 6, plain, cipher);
    expect(cipher, wanted, 16);
    decrypt(keys, key_words + 6, cipher, again);
    expect(again, plain, 16);
}

void test_aes128(void)
{
    static const uint8_t wanted[16] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                        0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };
    check_aes(4, wanted);
    test_pass();
}

void test_aes256(void)
{
    static const uint8_t wanted[16] = { 0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf,
                                        0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89 };
    check_aes(8, wanted);
    test_pass();
}

/* SM3 */

UNARY(sm3p0) UNARY(sm3p1)

static void sm3_block(uint32_t state[8], const uint32_t *block)
{
    uint32_t w[68], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6],
                    h = state[7];

    for (unsigned i = 0; i < 68; i++) {
        w[i] = i < 16 ? swap32(block[i])
                      : (uint32_t)sm3p1(w[i - 16] ^ w[i - 9] ^ rotate(w[i - 3], 15)) ^ rotate(w[i - 13], 7) ^ w[i - 6];
    }
    for (unsigned i = 0; i < 64; i++) {
        uint32_t constant = i < 16 ? 0x79cc4519 : 0x7a879d8a;
        uint32_t one = rotate(rotate(a, 12) + e + rotate(constant, i), 7), two = one ^ rotate(a, 12);
        uint32_t first = i < 16 ? a ^ b ^ c : (a & b) | (a & c) | (b & c);
        uint32_t second = i < 16 ? e ^ f ^ g : (e & f) | (~e & g);
        first += d + two + (w[i] ^ w[i + 4]);
        second += h + one + w[i];
        d = c, c = rotate(b, 9), b = a, a = first;
        h = g, g = rotate(f, 19), f = e, e = (uint32_t)sm3p0(second);
    }
    const uint32_t words[8] = { a, b, c, d, e, f, g, h };
    for (unsigned i = 0; i < 8; i++) {
        state[i] ^= words[i];
    }
}

static void check_sm3(const char *message, size_t count, const uint32_t wanted[8])
{
    uint32_t state[8] = { 0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600,
                          0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e };
    uint32_t padded[32];
    size_t total = pad((uint8_t *)padded, message, count, 64, 8);

    for (size_t i = 0; i < total / 4; i += 16) {
        sm3_block(state, padded + i);
    }
    expect(state, wanted, sizeof state);
}

void test_sm3(void)
{
    static const uint32_t abc[8] = { 0x66c7f0f4, 0x62eeedd9, 0xd1f2d46b, 0xdc10e4e2,
                                     0x4167c487, 0x5cf2f7a2, 0x297da02b, 0x8f4ba8e0 };
    static const uint32_t long_one[8] = { 0xdebe9ff9, 0x2275b8a1, 0x38604889, 0xc18e5a4d,
                                          0x6fdb70e5, 0x387e5765, 0x293dcba3, 0x9c0c5732 };

    check_sm3("abc", 3, abc);
    check_sm3("abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd", 64, long_one);
    test_pass();
}

/* SM4. Words are as in memory, so that the standard's constants are turned around. */

#define SM4_BYTES(name_, start_, x_) \
    ((uint32_t)BY_BYTE(name_, BY_BYTE(name_, BY_BYTE(name_, BY_BYTE(name_, start_, x_, 0), x_, 1), x_, 2), x_, 3))

static void sm4_keys(const uint32_t key[4], uint32_t keys[32])
{
    uint32_t k[4] = { key[0] ^ swap32(0xa3b1bac6), key[1] ^ swap32(0x56aa3350), key[2] ^ swap32(0x677d9197),
                      key[3] ^ swap32(0xb27022dc) };

    for (unsigned i = 0; i < 32; i++) {
        uint32_t constant = 0;
        for (unsigned j = 0; j < 4; j++) {
            constant |= ((4 * i + j) * 7 & 0xff) << 8 * j;
        }
        uint32_t x = k[1] ^ k[2] ^ k[3] ^ constant;
        keys[i] = SM4_BYTES(sm4ks, k[0], x);
        k[0] = k[1], k[1] = k[2], k[2] = k[3], k[3] = keys[i];
    }
}

static void sm4(const uint32_t keys[32], int step, const uint32_t from[4], uint32_t to[4])
{
    uint32_t s[4] = { from[0], from[1], from[2], from[3] };

    for (unsigned i = 0; i < 32; i++) {
        uint32_t x = s[1] ^ s[2] ^ s[3] ^ keys[step > 0 ? i : 31 - i];
        uint32_t next = SM4_BYTES(sm4ed, s[0], x);
        s[0] = s[1], s[1] = s[2], s[2] = s[3], s[3] = next;
    }
    for (unsigned i = 0; i < 4; i++) {
        to[i] = s[3 - i];
    }
}

void test_sm4(void)
{
    static const uint8_t text[16] __attribute__((aligned(8))) = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                                                  0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10 };
    static const uint8_t wanted[16] = { 0x68, 0x1e, 0xdf, 0x34, 0xd2, 0x06, 0x96, 0x5e,
                                        0x86, 0xb3, 0xe9, 0x4f, 0x53, 0x6e, 0x42, 0x46 };
    uint32_t keys[32], cipher[4], again[4];

    sm4_keys((const uint32_t *)text, keys);
    sm4(keys, 1, (const uint32_t *)text, cipher);
    expect(cipher, wanted, sizeof wanted);
    sm4(keys, -1, cipher, again);
    expect(again, text, sizeof text);
    test_pass();
}
