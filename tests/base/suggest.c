/* What is proposed for a misspelt name. */
#include "base/compiler.h"
#include "base/text.h"
#include "base/vec.h"

#include <glib.h>

static const char *const names[] = {
    "virt",       "virt-9.2",    "virt-10.0",     "none",          "sifive_u",   "spike",      "virtio-blk-device",
    "virtio-rng-device", "virtio-net-device", "guest_errors", "unimp", "in_asm", "out_asm", "cpu", "int", "mmu",
    "riscv.sifive.plic", "goldfish_rtc", "ns16550a",
    NULL,
};

static const char *candidate(const void *context, size_t i) { return ((const char *const *)context)[i]; }

static void expect(const char *name, const char *suggestion)
{
    g_autofree char *text = text_suggestion(name, candidate, names);
    g_assert_cmpstr(text, ==, suggestion);
}

static void test_spelling(void)
{
    expect("vrit", "; did you mean 'virt'?");           /* two exchanged */
    expect("nome", "; did you mean 'none'?");           /* one replaced */
    expect("unim", "; did you mean 'unimp'?");          /* one left out */
    expect("guest-error", "; did you mean 'guest_errors'?");
    expect("CPU", "; did you mean 'cpu'?");
    expect("sifive-u", "; did you mean 'sifive_u'?");
    expect("inasm", "; did you mean 'in_asm'?");
    expect("goldfish-rct", "; did you mean 'goldfish_rtc'?");
}

static void test_words(void)
{
    expect("rng", "; did you mean 'virtio-rng-device'?");
    expect("plic", "; did you mean 'riscv.sifive.plic'?");
    expect("virtio-blk", "; did you mean 'virtio-blk-device'?");
    expect("ng", ""); /* too short to be a word of its own */
}

static void test_order_and_limit(void)
{
    const char *nearest[2];
    g_assert_cmpuint(text_nearest("virt-10.1", candidate, names, nearest, 2), ==, 2);
    g_assert_cmpstr(nearest[0], ==, "virt-10.0");
    g_assert_cmpstr(nearest[1], ==, "virt-9.2");
    g_assert_cmpuint(text_nearest("virt-10.1", candidate, names, nearest, 1), ==, 1);
    g_assert_cmpstr(nearest[0], ==, "virt-10.0");
    g_assert_cmpuint(text_nearest("virt", candidate, names, nearest, 0), ==, 0);
}

static void test_far(void)
{
    expect("", "");
    expect("x", "");
    expect("ab", "");
    expect("pc-q35-8.2", "");
    expect("integer", ""); /* not 'int': more letters differ than are the same */
    g_autofree char *long_name = g_strnfill(1000000, 'v');
    expect(long_name, "");
    g_autofree char *just = g_strnfill(64, 'v');
    const char *const one[] = { just, NULL };
    just[63] = 'w';
    g_autofree char *suggestion = text_suggestion("vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
                                                  candidate, one);
    g_assert_nonnull(strstr(suggestion, just));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spelling", test_spelling);
    g_test_add_func("/words", test_words);
    g_test_add_func("/order", test_order_and_limit);
    g_test_add_func("/far", test_far);
    return g_test_run();
}
