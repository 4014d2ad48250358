/* Telnet's commands are taken out of the input wherever the packets happen to be cut. */
#include "char/telnet.h"

#include <glib.h>
#include <string.h>

#define SENT "a\377\373\001b\377\377c\377\363d\377\372\030\000\001xterm\377\360e\377\361f"
#define DATA "ab\377cdef"

static void test_whole(void)
{
    uint8_t bytes[] = SENT;
    Telnet telnet = { 0 };
    unsigned breaks = 0;
    size_t kept = telnet_filter(&telnet, bytes, sizeof bytes - 1, &breaks);
    g_assert_cmpmem(bytes, kept, DATA, strlen(DATA));
    g_assert_cmpuint(breaks, ==, 1);
}

static void test_cut(void)
{
    for (size_t cut = 0; cut < sizeof SENT; cut++) {
        uint8_t bytes[] = SENT;
        Telnet telnet = { 0 };
        unsigned breaks = 0;
        size_t first = telnet_filter(&telnet, bytes, cut, &breaks);
        size_t second = telnet_filter(&telnet, bytes + cut, sizeof bytes - 1 - MIN(cut, sizeof bytes - 1), &breaks);
        memmove(bytes + first, bytes + cut, second);
        g_assert_cmpmem(bytes, first + second, DATA, strlen(DATA));
        g_assert_cmpuint(breaks, ==, 1);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/telnet/whole", test_whole);
    g_test_add_func("/telnet/cut", test_cut);
    return g_test_run();
}
