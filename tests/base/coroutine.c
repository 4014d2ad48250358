/* Coroutines: that they leave and go on where they were, keep what a function may keep, and can be used again. */
#include "base/host/coroutine.h"

#include <glib.h>

typedef struct Count {
    Coroutine *coroutine;
    unsigned limit, value;
} Count;

static void count(void *data)
{
    Count *counter = data;
    double sum = 0.5; /* kept over the switches, in whatever register */
    for (unsigned i = 0; i < counter->limit; i++) {
        sum += i;
        counter->value = (unsigned)sum;
        coroutine_leave(counter->coroutine);
    }
    counter->value = 1000;
}

static void test_leave(void)
{
    Count counter = { .coroutine = coroutine_new(), .limit = 10 };
    for (unsigned round = 0; round < 3; round++) { /* the same stack again */
        coroutine_prepare(counter.coroutine, count, &counter);
        for (unsigned i = 0; i < 10; i++) {
            g_assert_false(coroutine_enter(counter.coroutine));
            g_assert_cmpuint(counter.value, ==, i * (i + 1) / 2);
        }
        g_assert_true(coroutine_enter(counter.coroutine));
        g_assert_cmpuint(counter.value, ==, 1000);
    }
    coroutine_free(counter.coroutine);
}

/* Many at once, entered in turn. */
static void test_many(void)
{
    enum { MANY = 200 };
    Count *counters = g_new0(Count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        counters[i] = (Count){ .coroutine = coroutine_new(), .limit = i };
        coroutine_prepare(counters[i].coroutine, count, &counters[i]);
    }
    for (unsigned round = 0; round < MANY; round++) {
        for (unsigned i = round; i < MANY; i++) {
            g_assert_cmpint(coroutine_enter(counters[i].coroutine), ==, round == i);
        }
    }
    for (unsigned i = 0; i < MANY; i++) {
        coroutine_free(counters[i].coroutine);
    }
    g_free(counters);
}

/* One within the other. */
static void nest(void *data)
{
    Count *outer = data, inner = { .coroutine = coroutine_new(), .limit = 1 };
    coroutine_prepare(inner.coroutine, count, &inner);
    g_assert_false(coroutine_enter(inner.coroutine));
    coroutine_leave(outer->coroutine);
    g_assert_true(coroutine_enter(inner.coroutine));
    outer->value = inner.value;
    coroutine_free(inner.coroutine);
}

static void test_nested(void)
{
    Count outer = { .coroutine = coroutine_new() };
    coroutine_prepare(outer.coroutine, nest, &outer);
    g_assert_false(coroutine_enter(outer.coroutine));
    g_assert_true(coroutine_enter(outer.coroutine));
    g_assert_cmpuint(outer.value, ==, 1000);
    coroutine_free(outer.coroutine);
}

static void use_stack(void *data)
{
    volatile char bytes[128 << 10];
    for (size_t i = 0; i < sizeof bytes; i += 512) {
        bytes[i] = 1;
    }
    *(unsigned *)data = bytes[512];
}

static void test_stack(void)
{
    Coroutine *coroutine = coroutine_new();
    unsigned value = 0;
    coroutine_prepare(coroutine, use_stack, &value);
    g_assert_true(coroutine_enter(coroutine));
    g_assert_cmpuint(value, ==, 1);
    coroutine_free(coroutine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/coroutine/leave", test_leave);
    g_test_add_func("/coroutine/many", test_many);
    g_test_add_func("/coroutine/nested", test_nested);
    g_test_add_func("/coroutine/stack", test_stack);
    return g_test_run();
}
