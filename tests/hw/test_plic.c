/* The PLIC: gateways, priorities, thresholds, claim and completion, several contexts. */
#include "bench.h"

#include <string.h>

enum { PENDING = 0x1000, ENABLE = 0x2000, ENABLE_STRIDE = 0x80, CONTEXT = 0x200000, CONTEXT_STRIDE = 0x1000 };

typedef struct Plic {
    Bench *bench;
    uint64_t base;
    Device *device;
} Plic;

/* Four contexts on the bench's lines 0 to 3; sources 1 to 40 from lines of the same numbers. */
static Plic plic_new(void)
{
    Plic plic = { .bench = bench_new() };

    plic.device = bench_add(plic.bench, "riscv.sifive.plic", "hart-config=MS,,MS,num-sources=41");
    plic.base = bench_address(plic.device, 0);
    for (unsigned i = 0; i < 4; i++) {
        bench_watch(plic.bench, plic.device, "", i, i);
    }
    for (unsigned i = 1; i <= 40; i++) {
        bench_drive(plic.bench, plic.device, i, i);
    }
    bench_reset(plic.bench, RESET_POWER_ON);
    return plic;
}

static uint32_t get(Plic *plic, uint64_t offset) { return (uint32_t)bench_read(plic->bench, plic->base + offset, 4); }
static void put(Plic *plic, uint64_t offset, uint32_t value)
{
    bench_write(plic->bench, plic->base + offset, 4, value);
}

static void set_priority(Plic *plic, unsigned source, uint32_t value) { put(plic, 4 * source, value); }
static uint32_t claim(Plic *plic, unsigned context) { return get(plic, CONTEXT + context * CONTEXT_STRIDE + 4); }

static void complete(Plic *plic, unsigned context, uint32_t source)
{
    put(plic, CONTEXT + context * CONTEXT_STRIDE + 4, source);
}

static void set_threshold(Plic *plic, unsigned context, uint32_t value)
{
    put(plic, CONTEXT + context * CONTEXT_STRIDE, value);
}

static void enable(Plic *plic, unsigned context, unsigned source)
{
    uint64_t word = ENABLE + context * ENABLE_STRIDE + source / 32 * 4;

    put(plic, word, get(plic, word) | 1u << source % 32);
}

static bool is_pending(Plic *plic, unsigned source) { return get(plic, PENDING + source / 32 * 4) >> source % 32 & 1; }

static void test_claim(void)
{
    Plic plic = plic_new();

    set_priority(&plic, 7, 1);
    bench_set(plic.bench, 7, 1);
    g_assert_true(is_pending(&plic, 7));
    g_assert_cmpint(bench_level(plic.bench, 1), ==, 0); /* not enabled */
    enable(&plic, 1, 7);
    g_assert_cmpint(bench_level(plic.bench, 1), ==, 1);
    g_assert_cmpint(bench_level(plic.bench, 0), ==, 0);
    g_assert_cmpuint(claim(&plic, 1), ==, 7);
    g_assert_false(is_pending(&plic, 7));
    g_assert_cmpint(bench_level(plic.bench, 1), ==, 0);
    g_assert_cmpuint(claim(&plic, 1), ==, 0);
    complete(&plic, 1, 7); /* the line is still high: asks again */
    g_assert_true(is_pending(&plic, 7));
    g_assert_cmpuint(claim(&plic, 1), ==, 7);
    bench_set(plic.bench, 7, 0);
    complete(&plic, 1, 7);
    g_assert_false(is_pending(&plic, 7));
    g_assert_cmpint(bench_level(plic.bench, 1), ==, 0);
    bench_free(plic.bench);
}

static void test_pending_stays(void)
{
    Plic plic = plic_new();

    bench_set(plic.bench, 33, 1);
    bench_set(plic.bench, 33, 0);
    g_assert_true(is_pending(&plic, 33)); /* a request that was forwarded is not taken back */
    put(&plic, PENDING + 4, 0);
    g_assert_true(is_pending(&plic, 33)); /* read-only */
    bench_free(plic.bench);
}

static void test_priorities(void)
{
    Plic plic = plic_new();

    for (unsigned source = 3; source <= 35; source += 32) {
        enable(&plic, 0, source);
        set_priority(&plic, source, 2);
    }
    enable(&plic, 0, 9);
    set_priority(&plic, 9, 5);
    enable(&plic, 0, 10); /* priority 0: never */
    for (unsigned source = 1; source <= 40; source++) {
        bench_set(plic.bench, source, 1);
    }
    g_assert_cmpuint(claim(&plic, 0), ==, 9);
    g_assert_cmpuint(claim(&plic, 0), ==, 3); /* equals: the lower number */
    g_assert_cmpuint(claim(&plic, 0), ==, 35);
    g_assert_cmpuint(claim(&plic, 0), ==, 0);
    set_priority(&plic, 10, 7);
    g_assert_cmpuint(claim(&plic, 0), ==, 10);
    bench_free(plic.bench);
}

static void test_threshold(void)
{
    Plic plic = plic_new();

    enable(&plic, 2, 5);
    set_priority(&plic, 5, 3);
    set_threshold(&plic, 2, 3);
    bench_set(plic.bench, 5, 1);
    g_assert_cmpint(bench_level(plic.bench, 2), ==, 0);
    set_threshold(&plic, 2, 2);
    g_assert_cmpint(bench_level(plic.bench, 2), ==, 1);
    set_threshold(&plic, 2, 7);
    g_assert_cmpint(bench_level(plic.bench, 2), ==, 0);
    g_assert_cmpuint(claim(&plic, 2), ==, 5); /* a claim does not look at it */
    set_threshold(&plic, 2, 0xff); /* bits that no priority has read as zero */
    g_assert_cmpuint(get(&plic, CONTEXT + 2 * CONTEXT_STRIDE), ==, 7);
    set_priority(&plic, 5, 0x18);
    g_assert_cmpuint(get(&plic, 4 * 5), ==, 0);
    bench_free(plic.bench);
}

static void test_contexts(void)
{
    Plic plic = plic_new();

    for (unsigned context = 0; context < 4; context++) {
        enable(&plic, context, 20);
    }
    set_priority(&plic, 20, 1);
    bench_set(plic.bench, 20, 1);
    for (unsigned context = 0; context < 4; context++) {
        g_assert_cmpint(bench_level(plic.bench, context), ==, 1);
    }
    g_assert_cmpuint(claim(&plic, 3), ==, 20); /* one of them gets it */
    for (unsigned context = 0; context < 4; context++) {
        g_assert_cmpint(bench_level(plic.bench, context), ==, 0);
        g_assert_cmpuint(claim(&plic, context), ==, 0);
    }
    complete(&plic, 0, 20); /* any context that has it enabled may complete */
    g_assert_cmpint(bench_level(plic.bench, 3), ==, 1);
    bench_free(plic.bench);
}

static void test_wrong_completion(void)
{
    Plic plic = plic_new();

    enable(&plic, 0, 4);
    set_priority(&plic, 4, 1);
    bench_set(plic.bench, 4, 1);
    g_assert_cmpuint(claim(&plic, 0), ==, 4);
    complete(&plic, 1, 4); /* not enabled there */
    complete(&plic, 0, 0);
    complete(&plic, 0, 41);
    complete(&plic, 0, UINT32_MAX);
    g_assert_false(is_pending(&plic, 4));
    complete(&plic, 0, 4);
    g_assert_true(is_pending(&plic, 4));
    bench_free(plic.bench);
}

static void test_edges_of_the_map(void)
{
    Plic plic = plic_new();

    set_priority(&plic, 0, 7);
    g_assert_cmpuint(get(&plic, 0), ==, 0); /* source 0 does not exist */
    put(&plic, ENABLE, UINT32_MAX);
    g_assert_cmphex(get(&plic, ENABLE), ==, 0xfffffffe);
    put(&plic, ENABLE + 4, UINT32_MAX);
    g_assert_cmphex(get(&plic, ENABLE + 4), ==, 0x1ff);
    put(&plic, ENABLE + 8, UINT32_MAX);
    g_assert_cmphex(get(&plic, ENABLE + 8), ==, 0);
    set_priority(&plic, 41, 7);
    g_assert_cmpuint(get(&plic, 4 * 41), ==, 0);
    put(&plic, CONTEXT + 4 * CONTEXT_STRIDE, 1); /* there are four contexts */
    g_assert_cmpuint(get(&plic, CONTEXT + 4 * CONTEXT_STRIDE), ==, 0);
    bench_free(plic.bench);
}

static void test_reset_keeps_lines(void)
{
    Plic plic = plic_new();

    enable(&plic, 0, 6);
    set_priority(&plic, 6, 1);
    bench_set(plic.bench, 6, 1);
    g_assert_cmpuint(claim(&plic, 0), ==, 6);
    bench_reset(plic.bench, RESET_WARM);
    g_assert_cmpuint(get(&plic, 4 * 6), ==, 0);
    g_assert_true(is_pending(&plic, 6)); /* the line is still high, and nobody has claimed it now */
    bench_free(plic.bench);
}

static void test_wrong_properties(void)
{
    static const char *const wrong[][2] = {
        { "num-sources=0,hart-config=M", "num-sources" },
        { "num-sources=1025,hart-config=M", "num-sources" },
        { "hart-config=MM", "hart-config" },
        { "hart-config=X", "hart-config" },
        { "num-sources=4", "hart-config" },
        { "hart-config=M,enable-stride=0x100", "enable-stride" },
        { "hart-config=M,aperture-size=0x200000", "aperture-size" },
        { "hart-config=M,num-sources=1024,pending-base=0x800", "pending-base" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        Bench *bench = bench_new();
        char *message = bench_add_error(bench, "riscv.sifive.plic", wrong[i][0]);
        g_test_message("%s: %s", wrong[i][0], message);
        g_assert_nonnull(strstr(message, wrong[i][1]));
        g_free(message);
        bench_free(bench);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plic/claim", test_claim);
    g_test_add_func("/plic/pending-stays", test_pending_stays);
    g_test_add_func("/plic/priorities", test_priorities);
    g_test_add_func("/plic/threshold", test_threshold);
    g_test_add_func("/plic/contexts", test_contexts);
    g_test_add_func("/plic/wrong-completion", test_wrong_completion);
    g_test_add_func("/plic/edges-of-the-map", test_edges_of_the_map);
    g_test_add_func("/plic/reset-keeps-lines", test_reset_keeps_lines);
    g_test_add_func("/plic/wrong-properties", test_wrong_properties);
    return g_test_run();
}
