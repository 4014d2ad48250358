#include "core/clock.h"

#include "base/host/host.h"
#include "base/thread.h"
#include "core/device.h"
#include "core/lock_internal.h"
#include "core/loop.h"

#include <glib.h>
#include <stdatomic.h>

typedef struct Firing {
    ClockSet *clocks;
    GString *text;
    Timer timers[4];
    Timer *cancel, *again;
    DeviceLock *lock;
} Firing;

static void fired(Firing *firing, char name)
{
    g_string_append_printf(firing->text, "%c%" G_GINT64_FORMAT " ", name, clock_now(firing->clocks, CLOCK_VIRTUAL));
    if (firing->cancel) {
        timer_cancel(firing->cancel);
        firing->cancel = NULL;
    }
    if (firing->again) {
        timer_set(firing->again, clock_now(firing->clocks, CLOCK_VIRTUAL) + 5);
        firing->again = NULL;
    }
}
static void fired_a(void *data) { fired(data, 'a'); }
static void fired_b(void *data) { fired(data, 'b'); }
static void fired_c(void *data) { fired(data, 'c'); }

static void test_instructions(void)
{
    Loop *loop = loop_new(false, NULL);
    Firing firing = { clocks_new(loop, CLOCK_FROM_INSTRUCTIONS), g_string_new(NULL), .cancel = NULL };
    Timer *a = &firing.timers[0], *b = &firing.timers[1], *c = &firing.timers[2];
    timer_init(a, firing.clocks, CLOCK_VIRTUAL, NULL, fired_a, &firing);
    timer_init(b, firing.clocks, CLOCK_VIRTUAL, NULL, fired_b, &firing);
    timer_init(c, firing.clocks, CLOCK_VIRTUAL, NULL, fired_c, &firing);
    g_assert_cmpint(clocks_next_deadline(firing.clocks, CLOCK_VIRTUAL), ==, INT64_MAX);
    timer_set(c, 100);
    timer_set(b, 100);
    timer_set(a, 150);
    g_assert_cmpint(clocks_next_deadline(firing.clocks, CLOCK_VIRTUAL), ==, 100);
    clocks_advance(firing.clocks, 99);
    g_assert_cmpstr(firing.text->str, ==, "");
    clocks_advance(firing.clocks, 1000); /* ties by creation; each at its own time */
    g_assert_cmpstr(firing.text->str, ==, "b100 c100 a150 ");
    g_assert_cmpint(clock_now(firing.clocks, CLOCK_VIRTUAL), ==, 1099);
    g_assert_false(timer_is_set(a));
    /* One that fires takes another away, and sets a third within the same stretch. */
    g_string_truncate(firing.text, 0);
    timer_set(a, 1200);
    timer_set(b, 1201);
    firing.cancel = b;
    firing.again = c;
    clocks_advance(firing.clocks, 200);
    g_assert_cmpstr(firing.text->str, ==, "a1200 c1205 ");
    clocks_set_virtual(firing.clocks, 5000);
    g_assert_cmpint(clock_now(firing.clocks, CLOCK_VIRTUAL), ==, 5000);
    timer_set(a, 4000); /* has passed: fires next */
    clocks_advance(firing.clocks, 0);
    g_assert_cmpstr(firing.text->str, ==, "a1200 c1205 a5000 ");
    timer_destroy(a);
    timer_destroy(b);
    timer_destroy(c);
    clocks_free(firing.clocks);
    g_string_free(firing.text, TRUE);
    loop_free(loop);
}

static void test_virtual_stands(void)
{
    Loop *loop = loop_new(false, NULL);
    Firing firing = { clocks_new(loop, CLOCK_FROM_HOST), g_string_new(NULL), .cancel = NULL };
    Timer *a = &firing.timers[0];
    timer_init(a, firing.clocks, CLOCK_VIRTUAL, NULL, fired_a, &firing);
    g_assert_cmpint(clock_now(firing.clocks, CLOCK_VIRTUAL), ==, 0);
    timer_set(a, 1000000);
    g_usleep(2000);
    loop_iterate(loop, 0);
    g_assert_cmpint(clock_now(firing.clocks, CLOCK_VIRTUAL), ==, 0);
    g_assert_cmpuint(firing.text->len, ==, 0);
    int64_t before = host_monotonic_ns();
    clocks_run(firing.clocks, true);
    while (!firing.text->len) {
        loop_iterate(loop, -1);
    }
    g_assert_cmpint(host_monotonic_ns() - before, >=, 1000000);
    clocks_run(firing.clocks, false);
    int64_t stopped = clock_now(firing.clocks, CLOCK_VIRTUAL);
    g_assert_cmpint(stopped, >=, 1000000);
    g_usleep(1000);
    g_assert_cmpint(clock_now(firing.clocks, CLOCK_VIRTUAL), ==, stopped);
    before = host_monotonic_ns();
    clocks_run(firing.clocks, true);
    int64_t gone = clock_now(firing.clocks, CLOCK_VIRTUAL) - stopped;
    g_assert_cmpint(gone, >=, 0);
    g_assert_cmpint(gone, <=, host_monotonic_ns() - before);
    timer_destroy(a);
    clocks_free(firing.clocks);
    g_string_free(firing.text, TRUE);
    loop_free(loop);
}

static void test_host_kinds(void)
{
    static const ClockKind kinds[] = { CLOCK_REAL, CLOCK_HOST };
    Loop *loop = loop_new(false, NULL);
    Firing firing = { clocks_new(loop, CLOCK_FROM_HOST), g_string_new(NULL), .cancel = NULL };
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        Timer *timer = &firing.timers[i];
        timer_init(timer, firing.clocks, kinds[i], NULL, fired_a, &firing);
        timer_set(timer, clock_now(firing.clocks, kinds[i]) + 2000000);
        g_string_truncate(firing.text, 0);
        while (!firing.text->len) {
            loop_iterate(loop, -1);
        }
        g_assert_false(timer_is_set(timer));
        timer_set(timer, INT64_MIN); /* long past */
        g_string_truncate(firing.text, 0);
        while (!firing.text->len) {
            loop_iterate(loop, -1);
        }
        timer_destroy(timer);
    }
    clocks_free(firing.clocks);
    g_string_free(firing.text, TRUE);
    loop_free(loop);
}

/* A timer that is cancelled under its lock does not fire afterwards, however the threads meet. */
typedef struct Contest {
    ClockSet *clocks;
    Loop *loop;
    DeviceLock *lock;
    Timer timer;
    bool allowed; /* under the lock */
    unsigned fired;
    _Atomic bool done;
} Contest;

static void contest_fired(void *data)
{
    Contest *contest = data;
    g_assert_true(contest->allowed);
    contest->allowed = false;
    contest->fired++;
}

static void *contest_thread(void *data)
{
    Contest *contest = data;
    for (unsigned i = 0; i < 5000; i++) {
        device_lock(contest->lock);
        contest->allowed = true;
        timer_set(&contest->timer, host_monotonic_ns() + i % 1000);
        device_unlock(contest->lock);
        device_lock(contest->lock);
        timer_cancel(&contest->timer);
        contest->allowed = false;
        device_unlock(contest->lock);
    }
    atomic_store(&contest->done, true);
    loop_quit(contest->loop);
    return NULL;
}

static void test_cancel_race(void)
{
    Loop *loop = loop_new(false, NULL);
    LockDomain *domain = lock_domain_new();
    Contest contest = { .clocks = clocks_new(loop, CLOCK_FROM_HOST), .loop = loop, .lock = lock_new(domain) };
    timer_init(&contest.timer, contest.clocks, CLOCK_REAL, contest.lock, contest_fired, &contest);
    Thread thread;
    thread_start(&thread, "contest", contest_thread, &contest, NULL);
    loop_run(loop);
    thread_join(&thread);
    g_assert_true(atomic_load(&contest.done));
    timer_destroy(&contest.timer);
    clocks_free(contest.clocks);
    device_lock_free(contest.lock);
    lock_domain_free(domain);
    loop_free(loop);
}

static void changed(void *data) { ++*(unsigned *)data; }

static void test_clock_inputs(void)
{
    unsigned calls = 0;
    ClockInput source, half, slow;
    clock_input_init(&source, NULL, NULL);
    clock_input_init(&half, changed, &calls);
    clock_input_init(&slow, NULL, NULL);
    half.divider = 2;
    clock_input_connect(&half, &source);
    clock_input_connect(&slow, &half);
    g_assert_cmpuint(clock_input_hz(&half), ==, 0);
    g_assert_cmpint(clock_input_ns(&half, 1), ==, INT64_MAX);
    clock_input_set_hz(&source, 20000000);
    g_assert_cmpuint(calls, ==, 1);
    g_assert_cmpuint(clock_input_hz(&half), ==, 10000000);
    g_assert_cmpuint(clock_input_hz(&slow), ==, 10000000);
    g_assert_cmpuint(clock_input_ticks(&half, 999), ==, 9);
    g_assert_cmpint(clock_input_ns(&half, 10), ==, 1000);
    clock_input_set_hz(&source, 20000000);
    g_assert_cmpuint(calls, ==, 1);
    clock_input_set_hz(&source, 65536);
    g_assert_cmpuint(clock_input_hz(&half), ==, 32768);
    g_assert_cmpuint(clock_input_ticks(&half, INT64_C(1000000000) * 3600), ==, UINT64_C(32768) * 3600);
    g_assert_cmpint(clock_input_ns(&half, 1), ==, 30518); /* 30517.578 rounded up */
    g_assert_cmpint(clock_input_ns(&half, UINT64_MAX), ==, INT64_MAX);
    clock_input_connect(&half, NULL);
    clock_input_set_hz(&source, 1);
    g_assert_cmpuint(clock_input_hz(&half), ==, 32768);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/clock/instructions", test_instructions);
    g_test_add_func("/core/clock/virtual-stands", test_virtual_stands);
    g_test_add_func("/core/clock/host-kinds", test_host_kinds);
    g_test_add_func("/core/clock/cancel-race", test_cancel_race);
    g_test_add_func("/core/clock/inputs", test_clock_inputs);
    return g_test_run();
}
