#include "core/loop.h"
#include "core/loop_poll.h"

#include "base/host/host.h"
#include "base/thread.h"

#include <glib.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define HOUR_NS INT64_C(3600000000000)

typedef struct Trail {
    Loop *loop;
    GString *text;
} Trail;

static void append_a(void *data) { g_string_append_c(((Trail *)data)->text, 'a'); }
static void append_b(void *data) { g_string_append_c(((Trail *)data)->text, 'b'); }
static void append_c(void *data) { g_string_append_c(((Trail *)data)->text, 'c'); }

static void post_more(void *data)
{
    Trail *trail = data;
    g_string_append_c(trail->text, 'm');
    loop_post(trail->loop, append_c, trail);
}

static Trail trail_new(bool glib) { return (Trail){ loop_new(glib, NULL), g_string_new(NULL) }; }

static void trail_free(Trail *trail)
{
    loop_free(trail->loop);
    g_string_free(trail->text, TRUE);
}

static void test_posts(void)
{
    Trail trail = trail_new(false);
    g_assert_true(loop_is_self(trail.loop));
    loop_post(trail.loop, append_a, &trail);
    loop_post(trail.loop, post_more, &trail);
    loop_post(trail.loop, append_b, &trail);
    g_assert_cmpstr(trail.text->str, ==, "");
    g_assert_true(loop_iterate(trail.loop, -1));
    g_assert_cmpstr(trail.text->str, ==, "amb"); /* what is posted meanwhile waits for the next round */
    loop_drain(trail.loop);
    g_assert_cmpstr(trail.text->str, ==, "ambc");
    g_assert_false(loop_iterate(trail.loop, 0));
    loop_post_wait(trail.loop, append_a, &trail);
    g_assert_cmpstr(trail.text->str, ==, "ambca");
    trail_free(&trail);
}

/* However often the loop wakes up on the way, and for what. */
static void await(Trail *trail, const char *text)
{
    while (trail->text->len < strlen(text)) {
        loop_iterate(trail->loop, -1);
    }
    g_assert_cmpstr(trail->text->str, ==, text);
}

static void test_timers(void)
{
    Trail trail = trail_new(false);
    LoopTimer a, b, c;
    loop_timer_init(&a, trail.loop, append_a, &trail);
    loop_timer_init(&b, trail.loop, append_b, &trail);
    loop_timer_init(&c, trail.loop, append_c, &trail);
    int64_t now = host_monotonic_ns();
    loop_timer_set(&c, now - 10);
    loop_timer_set(&b, now - 10); /* ties: in order of creation */
    loop_timer_set(&a, now + HOUR_NS);
    await(&trail, "bc");
    now = host_monotonic_ns();
    loop_timer_set(&a, now + 3000000);
    await(&trail, "bca");
    g_assert_cmpint(host_monotonic_ns(), >=, now + 3000000);
    g_assert_cmpint(a.deadline, ==, INT64_MAX);
    loop_timer_set(&a, now);
    loop_timer_cancel(&a);
    g_assert_false(loop_iterate(trail.loop, 0));
    /* The earlier one decides how long a round waits. */
    loop_timer_set(&a, host_monotonic_ns() + HOUR_NS);
    loop_timer_set(&b, host_monotonic_ns() + 1000000);
    await(&trail, "bcab");
    loop_timer_cancel(&a);
    trail_free(&trail);
}

typedef struct Pipe {
    int fds[2];
    LoopFd *watch, *other;
    unsigned calls, events;
} Pipe;

static void pipe_ready(void *data, unsigned events)
{
    Pipe *pipe = data;
    char byte;
    pipe->calls++;
    pipe->events = events;
    if (events & HOST_POLL_IN) {
        g_assert_cmpint(read(pipe->fds[0], &byte, 1), ==, 1);
    }
    if (pipe->other) {
        loop_fd_remove(pipe->other);
        pipe->other = NULL;
    }
}

static void pipe_open(Pipe *pipe_, Loop *loop)
{
    *pipe_ = (Pipe){ 0 };
    g_assert_cmpint(pipe(pipe_->fds), ==, 0);
    pipe_->watch = loop_fd_add(loop, pipe_->fds[0], HOST_POLL_IN, pipe_ready, pipe_);
    g_assert_nonnull(pipe_->watch);
}

static void pipe_close(Pipe *pipe)
{
    close(pipe->fds[0]);
    close(pipe->fds[1]);
}

static void test_fds(void)
{
    Trail trail = trail_new(false);
    Pipe one, two;
    pipe_open(&one, trail.loop);
    pipe_open(&two, trail.loop);
    g_assert_false(loop_iterate(trail.loop, 0));
    g_assert_cmpint(write(one.fds[1], "x", 1), ==, 1);
    g_assert_true(loop_iterate(trail.loop, -1));
    g_assert_cmpuint(one.calls, ==, 1);
    g_assert_cmpuint(two.calls, ==, 0);
    loop_fd_set(one.watch, 0);
    g_assert_cmpint(write(one.fds[1], "x", 1), ==, 1);
    g_assert_false(loop_iterate(trail.loop, 0));
    loop_fd_set(one.watch, HOST_POLL_IN);
    /* Both are ready, and whichever is served first takes the other away. */
    g_assert_cmpint(write(two.fds[1], "x", 1), ==, 1);
    one.other = two.watch;
    two.other = one.watch;
    loop_iterate(trail.loop, -1);
    g_assert_cmpuint(one.calls - 1 + two.calls, ==, 1);
    if (one.calls == 1) {
        one.watch = NULL;
    }
    loop_fd_remove(one.watch ? one.watch : two.watch);
    g_assert_false(loop_iterate(trail.loop, 0));
    pipe_close(&one);
    pipe_close(&two);
    trail_free(&trail);
}

static gboolean glib_called(void *data)
{
    g_string_append_c(((Trail *)data)->text, 'g');
    return G_SOURCE_REMOVE;
}

static gboolean glib_ready(GIOChannel *channel, GIOCondition condition, void *data)
{
    g_string_append_c(((Trail *)data)->text, condition & G_IO_IN ? 'r' : '?');
    return G_SOURCE_REMOVE;
}

static void test_glib(void)
{
    Trail trail = trail_new(true);
    g_idle_add(glib_called, &trail);
    loop_iterate(trail.loop, -1);
    g_assert_cmpstr(trail.text->str, ==, "g");
    g_timeout_add(2, glib_called, &trail);
    while (trail.text->len < 2) {
        loop_iterate(trail.loop, -1);
    }
    int fds[2];
    g_assert_cmpint(pipe(fds), ==, 0);
    GIOChannel *channel = g_io_channel_unix_new(fds[0]);
    g_io_add_watch(channel, G_IO_IN, glib_ready, &trail);
    g_assert_false(loop_iterate(trail.loop, 1000000));
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    while (trail.text->len < 3) {
        loop_iterate(trail.loop, -1);
    }
    g_assert_cmpstr(trail.text->str, ==, "ggr");
    g_assert_false(loop_iterate(trail.loop, 0)); /* the source is gone, though the pipe is still readable */
    g_io_channel_unref(channel);
    close(fds[0]);
    close(fds[1]);
    trail_free(&trail);
}

/* Other threads. */

enum { POSTS = 2000 };

typedef struct Counter {
    Loop *loop;
    unsigned count; /* on the loop's thread alone */
    _Atomic unsigned done;
} Counter;

static void count(void *data) { ((Counter *)data)->count++; }

static void check_count(void *data) { g_assert_cmpuint(((Counter *)data)->count, >, 0); }

static void *post_many(void *data)
{
    Counter *counter = data;
    for (unsigned i = 0; i < POSTS; i++) {
        if (i % 16) {
            loop_post(counter->loop, count, counter);
        } else {
            loop_post_wait(counter->loop, count, counter);
        }
    }
    loop_post_wait(counter->loop, check_count, counter);
    if (atomic_fetch_add(&counter->done, 1) == 2) {
        loop_quit(counter->loop);
    }
    return NULL;
}

static void test_threads(void)
{
    Counter counter = { .loop = loop_new(false, NULL) };
    Thread threads[3];
    for (unsigned i = 0; i < 3; i++) {
        thread_start(&threads[i], "poster", post_many, &counter, NULL);
    }
    loop_run(counter.loop);
    for (unsigned i = 0; i < 3; i++) {
        thread_join(&threads[i]);
    }
    loop_drain(counter.loop);
    g_assert_cmpuint(counter.count, ==, 3 * POSTS);
    loop_free(counter.loop);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void quit(void *data) { loop_quit(data); }

static void test_other_loop(void)
{
    Counter counter = { .loop = loop_new(false, NULL) };
    Thread thread;
    LoopTimer timer;
    loop_timer_init(&timer, counter.loop, quit, counter.loop);
    thread_start(&thread, "loop", run_loop, counter.loop, NULL);
    for (unsigned i = 0; i < 200; i++) {
        loop_post(counter.loop, count, &counter);
        loop_timer_set(&timer, host_monotonic_ns() + HOUR_NS);
    }
    while (loop_is_self(counter.loop)) {
        g_usleep(100);
    }
    loop_drain(counter.loop);
    g_assert_cmpuint(counter.count, ==, 200);
    loop_timer_set(&timer, host_monotonic_ns());
    thread_join(&thread);
    loop_free(counter.loop);
}

/* Looking for events before sleeping. */

/* A wait that ends `after` the loop began to look. */
static void learn(LoopPoll *poll, int64_t after)
{
    int64_t window = loop_poll_window(poll);
    loop_poll_learn(poll, after, after < window);
}

static void test_poll_window(void)
{
    LoopPoll poll;
    loop_poll_init(&poll, &(LoopPolling){ .maximum_ns = 30000, .grow = 3, .shrink = 2 });
    g_assert_cmpint(loop_poll_window(&poll), ==, 0);
    learn(&poll, 10000);
    g_assert_cmpint(poll.window, ==, 4000);
    learn(&poll, 10000);
    g_assert_cmpint(poll.window, ==, 12000);
    for (unsigned i = 0; i < 1000; i++) { /* long enough */
        learn(&poll, 10000);
        g_assert_cmpint(loop_poll_window(&poll), ==, 12000);
    }
    learn(&poll, 20000);
    g_assert_cmpint(poll.window, ==, 30000);
    learn(&poll, 31000);
    g_assert_cmpint(poll.window, ==, 30000);
    learn(&poll, 61000); /* nothing that looking could have brought */
    g_assert_cmpint(poll.window, ==, 15000);
    loop_poll_init(&poll, &(LoopPolling){ .maximum_ns = 3000 });
    learn(&poll, 10);
    g_assert_cmpint(poll.window, ==, 3000);
    learn(&poll, 10000);
    g_assert_cmpint(poll.window, ==, 0);
}

/* Who sends only once the loop sleeps: how often does it look in vain? */
static unsigned looks_in_vain(LoopPoll *poll, unsigned waits)
{
    unsigned count = 0;
    for (unsigned i = 0; i < waits; i++) {
        int64_t window = loop_poll_window(poll);
        count += window > 0;
        loop_poll_learn(poll, window + 1000, false);
    }
    return count;
}

static void test_poll_in_vain(void)
{
    LoopPoll poll;
    loop_poll_init(&poll, &(LoopPolling){ .maximum_ns = 100000 });
    g_assert_cmpuint(looks_in_vain(&poll, 100000), <, 40);
    for (unsigned i = 0; i < 40000; i++) { /* another that is quick: it looks again, and goes on */
        learn(&poll, 1000);
    }
    g_assert_cmpint(loop_poll_window(&poll), ==, 100000);
    g_assert_cmpuint(looks_in_vain(&poll, 9), ==, 8);
}

typedef struct Look {
    LoopFd *watch;
    int fds[2];
    unsigned looks, calls;
} Look;

static bool look(void *data)
{
    ((Look *)data)->looks++;
    return true;
}

static void look_ready(void *data, unsigned events)
{
    g_assert_cmpuint(events, ==, HOST_POLL_IN);
    ((Look *)data)->calls++;
}

static void test_look(void)
{
    Trail trail = trail_new(false);
    Look one = { 0 };
    g_assert_cmpint(pipe(one.fds), ==, 0);
    one.watch = loop_fd_add(trail.loop, one.fds[0], HOST_POLL_IN, look_ready, &one);
    loop_fd_set_look(one.watch, look);
    loop_set_polling(trail.loop, &(LoopPolling){ .maximum_ns = HOUR_NS, .grow = HOUR_NS });
    while (one.looks == 0 && host_cpu_count() > 1) { /* what comes at once makes it look */
        g_assert_cmpint(write(one.fds[1], "x", 1), ==, 1);
        loop_iterate(trail.loop, HOUR_NS);
        char byte;
        g_assert_cmpint(read(one.fds[0], &byte, 1), ==, 1);
    }
    unsigned before = one.calls;
    while (one.calls < before + 5 && host_cpu_count() > 1) { /* nothing is in the pipe */
        loop_iterate(trail.loop, HOUR_NS);
    }
    loop_fd_set(one.watch, 0); /* not looked at then */
    unsigned looks = one.looks;
    loop_iterate(trail.loop, 1000000);
    g_assert_cmpuint(one.looks, ==, looks);
    loop_fd_remove(one.watch);
    close(one.fds[0]);
    close(one.fds[1]);
    trail_free(&trail);
}

/* Two loops, one after the other: no call is lost between looking and sleeping. */
enum { EXCHANGES = 20000 };

typedef struct Player {
    Loop *loop;
    struct Player *other;
    _Atomic unsigned calls;
} Player;

static void play(void *data)
{
    Player *player = data;
    if (++player->calls == EXCHANGES) {
        loop_quit(player->loop);
    }
    if (player->other->calls < EXCHANGES) {
        loop_post(player->other->loop, play, player->other);
    }
}

static void *run_player(void *data)
{
    loop_run(((Player *)data)->loop);
    return NULL;
}

static void test_looking_threads(void)
{
    Player players[2];
    Thread threads[2];
    for (unsigned i = 0; i < 2; i++) {
        players[i] = (Player){ .loop = loop_new(false, NULL), .other = &players[!i] };
        loop_set_polling(players[i].loop, &(LoopPolling){ .maximum_ns = i ? 3000 : 200000, .grow = 4, .shrink = 2 });
    }
    loop_post(players[0].loop, play, &players[0]);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(thread_start(&threads[i], "player", run_player, &players[i], NULL));
    }
    for (unsigned i = 0; i < 2; i++) {
        thread_join(&threads[i]);
        g_assert_cmpuint(players[i].calls, ==, EXCHANGES);
    }
    for (unsigned i = 0; i < 2; i++) {
        loop_free(players[i].loop);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/loop/posts", test_posts);
    g_test_add_func("/core/loop/timers", test_timers);
    g_test_add_func("/core/loop/fds", test_fds);
    g_test_add_func("/core/loop/glib", test_glib);
    g_test_add_func("/core/loop/threads", test_threads);
    g_test_add_func("/core/loop/other-loop", test_other_loop);
    g_test_add_func("/core/loop/poll-window", test_poll_window);
    g_test_add_func("/core/loop/poll-in-vain", test_poll_in_vain);
    g_test_add_func("/core/loop/look", test_look);
    g_test_add_func("/core/loop/looking-threads", test_looking_threads);
    return g_test_run();
}
