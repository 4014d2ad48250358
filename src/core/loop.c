/*
 * Event loops on the host's poller. One round: wait for descriptors until the first timer is due, then descriptors,
 * timers in order of deadline and creation, posted calls in order, and GLib's context where it is attached.
 */
#include "core/loop_internal.h"
#include "core/loop_poll.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 64, TIMERS_AT_ONCE = 1024, MOST_LOOKS = 4, TURNS = 4, USUAL_THREADS = 64 };

typedef struct Post {
    ListNode node;
    void (*function)(void *data);
    void *data;
    bool *done; /* of loop_post_wait: becomes true, under the loop's mutex */
} Post;

struct LoopFd {
    ListNode node, in_looks;
    Loop *loop;
    int fd;
    unsigned events;
    bool removed;
    void (*ready)(void *data, unsigned events);
    bool (*look)(void *data);
    void *data;
};

struct Loop {
    HostPoller *poller;
    int wake_fd;
    _Atomic bool woken, quit;
    _Atomic bool looks; /* at `woken` too, which needs no signal then */
    _Atomic(pthread_t) owner;
    Mutex mutex; /* of posts and timers */
    Condition changed; /* something was posted, or a waited-for post is done */
    ListNode posts, timers;
    uint64_t timer_order;
    int64_t waits_until; /* while it waits; a timer set to later needs no wake-up. INT64_MIN: it does not wait */
    ListNode watches, removed; /* LoopFd */
    unsigned depth;            /* of loop_iterate */
    LoopGlib *glib;
    LoopPoll poll;
    LoopPolling polling; /* that `poll` is to take over, under the mutex */
    bool polling_set;
    _Atomic int64_t batch;
    _Atomic int64_t least_threads, most_threads;
    ListNode with_look; /* LoopFd */
    unsigned look_count; /* of them */
};

Loop *loop_new(bool attach_glib, Error **error)
{
    Loop *loop = NEW(Loop);
    mutex_init(&loop->mutex);
    condition_init(&loop->changed);
    list_init(&loop->posts);
    list_init(&loop->timers);
    list_init(&loop->watches);
    list_init(&loop->removed);
    list_init(&loop->with_look);
    atomic_store(&loop->owner, pthread_self());
    loop->waits_until = INT64_MIN;
    loop->wake_fd = -1;
    atomic_store(&loop->most_threads, USUAL_THREADS);
    loop->poller = host_poller_new(error);
    if (!loop->poller || (loop->wake_fd = host_event_new(error)) < 0 ||
        !host_poller_set(loop->poller, loop->wake_fd, HOST_POLL_IN, NULL, error) ||
        (attach_glib && !(loop->glib = loop_glib_new(loop->poller, error)))) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

static void free_watches(ListNode *list)
{
    LIST_FOREACH_SAFE(list, watch, LoopFd, node)
    {
        list_remove(&watch->node);
        free(watch);
    }
}

void loop_free(Loop *loop)
{
    if (!loop) {
        return;
    }
    LIST_FOREACH_SAFE(&loop->posts, post, Post, node)
    {
        free(post);
    }
    free_watches(&loop->watches);
    free_watches(&loop->removed);
    loop_glib_free(loop->glib);
    host_poller_free(loop->poller);
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    condition_destroy(&loop->changed);
    mutex_destroy(&loop->mutex);
    free(loop);
}

bool loop_is_self(const Loop *loop) { return pthread_equal(atomic_load(&((Loop *)loop)->owner), pthread_self()); }

static void wake(Loop *loop)
{
    if (!loop_is_self(loop) && !atomic_exchange(&loop->woken, true) && !atomic_load(&loop->looks)) {
        host_event_signal(loop->wake_fd);
    }
}

/* Posted calls. */

static void post(Loop *loop, void (*function)(void *data), void *data, bool *done)
{
    Post *new = NEW(Post);
    *new = (Post){ .function = function, .data = data, .done = done };
    mutex_lock(&loop->mutex);
    list_append(&loop->posts, &new->node);
    condition_broadcast(&loop->changed);
    mutex_unlock(&loop->mutex);
    wake(loop);
}

void loop_post(Loop *loop, void (*function)(void *data), void *data) { post(loop, function, data, NULL); }

void loop_post_wait(Loop *loop, void (*function)(void *data), void *data)
{
    if (loop_is_self(loop)) {
        function(data);
        return;
    }
    bool done = false;
    post(loop, function, data, &done);
    mutex_lock(&loop->mutex);
    while (!done) {
        condition_wait(&loop->changed, &loop->mutex);
    }
    mutex_unlock(&loop->mutex);
}

static Post *take_post(Loop *loop)
{
    Post *post = NULL;
    mutex_lock(&loop->mutex);
    if (!list_empty(&loop->posts)) {
        post = list_item(loop->posts.next, Post, node);
        list_remove(&post->node);
    }
    mutex_unlock(&loop->mutex);
    return post;
}

static bool run_one_post(Loop *loop)
{
    Post *post = take_post(loop);
    if (!post) {
        return false;
    }
    post->function(post->data);
    if (post->done) {
        mutex_lock(&loop->mutex);
        *post->done = true;
        condition_broadcast(&loop->changed);
        mutex_unlock(&loop->mutex);
    }
    free(post);
    return true;
}

static size_t posts_waiting(Loop *loop)
{
    size_t count = 0;
    mutex_lock(&loop->mutex);
    for (ListNode *node = loop->posts.next; node != &loop->posts; node = node->next) {
        count++;
    }
    mutex_unlock(&loop->mutex);
    return count;
}

/* What is there now: a call that posts itself again does not keep descriptors waiting. */
static bool run_posts(Loop *loop)
{
    bool any = false;
    for (size_t left = posts_waiting(loop); left && run_one_post(loop); left--) {
        any = true;
    }
    return any;
}

static void nothing(void *data) {}

void loop_drain(Loop *loop)
{
    if (!loop_is_self(loop)) {
        loop_post_wait(loop, nothing, NULL);
        return;
    }
    while (run_one_post(loop)) {
    }
}

void loop_wait_posted(Loop *loop)
{
    mutex_lock(&loop->mutex);
    while (list_empty(&loop->posts)) {
        condition_wait(&loop->changed, &loop->mutex);
    }
    mutex_unlock(&loop->mutex);
    run_posts(loop);
}

/* Timers. */

void loop_timer_init(LoopTimer *timer, Loop *loop, void (*expired)(void *data), void *data)
{
    *timer = (LoopTimer){ .loop = loop, .deadline = INT64_MAX, .expired = expired, .data = data };
    mutex_lock(&loop->mutex);
    timer->order = loop->timer_order++;
    mutex_unlock(&loop->mutex);
}

static void unlink_timer(LoopTimer *timer)
{
    if (list_linked(&timer->node)) {
        list_remove(&timer->node);
    }
    timer->deadline = INT64_MAX;
}

static void link_timer(LoopTimer *timer, int64_t deadline)
{
    Loop *loop = timer->loop;
    ListNode *position = loop->timers.next;
    for (; position != &loop->timers; position = position->next) {
        const LoopTimer *other = list_item(position, LoopTimer, node);
        if (other->deadline > deadline || (other->deadline == deadline && other->order > timer->order)) {
            break;
        }
    }
    timer->deadline = deadline;
    list_insert_before(position, &timer->node);
}

void loop_timer_set(LoopTimer *timer, int64_t deadline)
{
    Loop *loop = timer->loop;
    mutex_lock(&loop->mutex);
    unlink_timer(timer);
    if (deadline != INT64_MAX) {
        link_timer(timer, deadline);
    }
    bool earlier = deadline < loop->waits_until;
    mutex_unlock(&loop->mutex);
    if (earlier) {
        wake(loop);
    }
}

void loop_timer_cancel(LoopTimer *timer) { loop_timer_set(timer, INT64_MAX); }

static bool run_one_timer(Loop *loop, int64_t now)
{
    LoopTimer *timer = NULL;
    mutex_lock(&loop->mutex);
    if (!list_empty(&loop->timers)) {
        timer = list_item(loop->timers.next, LoopTimer, node);
        if (timer->deadline <= now) {
            unlink_timer(timer);
        } else {
            timer = NULL;
        }
    }
    mutex_unlock(&loop->mutex);
    if (timer) {
        timer->expired(timer->data);
    }
    return timer != NULL;
}

static bool run_timers(Loop *loop)
{
    int64_t now = host_monotonic_ns();
    unsigned count = 0;
    while (count < TIMERS_AT_ONCE && run_one_timer(loop, now)) {
        count++;
    }
    return count > 0;
}

/* Descriptors. */

LoopFd *loop_fd_add(Loop *loop, int fd, unsigned events, void (*ready)(void *data, unsigned events), void *data)
{
    LoopFd *watch = NEW(LoopFd);
    *watch = (LoopFd){ .loop = loop, .fd = fd, .events = events, .ready = ready, .data = data };
    if (events && !host_poller_set(loop->poller, fd, events, watch, NULL)) {
        free(watch);
        return NULL;
    }
    list_append(&loop->watches, &watch->node);
    return watch;
}

void loop_fd_set(LoopFd *watch, unsigned events)
{
    if (watch->events != events) {
        watch->events = events;
        host_poller_set(watch->loop->poller, watch->fd, events, watch, NULL);
    }
}

void loop_fd_set_look(LoopFd *watch, bool (*look)(void *data))
{
    if (watch->look) {
        list_remove(&watch->in_looks);
        watch->loop->look_count--;
    }
    watch->look = look;
    if (look) {
        list_append(&watch->loop->with_look, &watch->in_looks);
        watch->loop->look_count++;
    }
}

void loop_fd_remove(LoopFd *watch)
{
    if (!watch) {
        return;
    }
    loop_fd_set(watch, 0);
    loop_fd_set_look(watch, NULL);
    watch->removed = true;
    list_remove(&watch->node);
    if (watch->loop->depth) {
        list_append(&watch->loop->removed, &watch->node); /* the round may still have an event of it */
    } else {
        free(watch);
    }
}

static bool dispatch(Loop *loop, const HostPollEvent *events, int count)
{
    bool any = false;
    for (int i = 0; i < count; i++) {
        LoopFd *watch = events[i].data;
        if (!watch) {
            /* In this order: a signal that comes between the two is for what this round is still to find. */
            host_event_clear(loop->wake_fd);
            atomic_store(&loop->woken, false);
        } else if (loop->glib && events[i].data == loop->glib) {
            loop_glib_ready(loop->glib);
        } else if (!watch->removed && watch->events) {
            watch->ready(watch->data, events[i].events);
            any = true;
        }
    }
    return any;
}

/* Looking for events before sleeping. */

void loop_set_polling(Loop *loop, const LoopPolling *polling)
{
    bool alone = host_cpu_count() == 1;
    mutex_lock(&loop->mutex);
    loop->polling = alone ? (LoopPolling){ 0 } : *polling;
    loop->polling_set = true; /* from the next wait on */
    mutex_unlock(&loop->mutex);
}

void loop_set_threads(Loop *loop, const LoopThreads *threads)
{
    atomic_store(&loop->least_threads, threads->least);
    atomic_store(&loop->most_threads, threads->most);
}

LoopThreads loop_threads(const Loop *loop)
{
    Loop *read = (Loop *)loop;
    return (LoopThreads){ atomic_load(&read->least_threads), atomic_load(&read->most_threads) };
}

void loop_set_batch(Loop *loop, int64_t count) { atomic_store(&loop->batch, count); }
int64_t loop_batch(const Loop *loop) { return atomic_load_explicit(&((Loop *)loop)->batch, memory_order_relaxed); }

static bool look_at_watches(Loop *loop, HostPollEvent *event)
{
    LIST_FOREACH (&loop->with_look, watch, LoopFd, in_looks) {
        if (watch->events & HOST_POLL_IN && watch->look(watch->data)) {
            *event = (HostPollEvent){ .fd = watch->fd, .events = HOST_POLL_IN, .data = watch };
            return true;
        }
    }
    return false;
}

/* Until that time. True where there are events, `count` of them, or the loop was woken. */
static bool look(Loop *loop, int64_t until, HostPollEvent *events, int *count)
{
    bool quick = loop->look_count > 0 && loop->look_count <= MOST_LOOKS;
    *count = 0;
    atomic_store(&loop->looks, true);
    for (unsigned turn = 0; *count == 0 && !atomic_load(&loop->woken); turn++) {
        if (quick && look_at_watches(loop, events)) {
            *count = 1;
        } else if (!quick || turn % TURNS == TURNS - 1) {
            *count = host_poller_wait(loop->poller, events, EVENTS_AT_ONCE, 0);
        }
        if (*count == 0 && host_monotonic_ns() >= until) {
            break;
        }
    }
    atomic_store(&loop->looks, false);
    /* In this order: who still saw that the loop looks has set `woken`, and sends no signal. */
    return atomic_exchange(&loop->woken, false) || *count > 0;
}

static int wait_for_events(Loop *loop, HostPollEvent *events, int64_t timeout)
{
    if (timeout == 0 || loop->poll.settings.maximum_ns == 0) {
        return host_poller_wait(loop->poller, events, EVENTS_AT_ONCE, timeout);
    }
    int64_t start = host_monotonic_ns(), window = loop_poll_window(&loop->poll);
    window = timeout < 0 ? window : MIN(window, timeout);
    int count = 0;
    bool hit = window > 0 && look(loop, start + window, events, &count);
    if (!hit) {
        count = host_poller_wait(loop->poller, events, EVENTS_AT_ONCE, timeout < 0 ? timeout : timeout - window);
    }
    loop_poll_learn(&loop->poll, host_monotonic_ns() - start, hit);
    return count;
}

/* Running. */

static int64_t wait_time(Loop *loop, int64_t limit)
{
    mutex_lock(&loop->mutex);
    int64_t deadline = list_empty(&loop->timers) ? INT64_MAX : list_item(loop->timers.next, LoopTimer, node)->deadline;
    bool posted = !list_empty(&loop->posts);
    loop->waits_until = deadline;
    if (UNLIKELY(loop->polling_set)) {
        loop_poll_init(&loop->poll, &loop->polling);
        loop->polling_set = false;
    }
    mutex_unlock(&loop->mutex);
    if (posted || atomic_load(&loop->quit)) {
        return 0;
    }
    if (deadline != INT64_MAX) {
        int64_t now = host_monotonic_ns(), left = deadline > now ? deadline - now : 0;
        limit = limit < 0 || left < limit ? left : limit;
    }
    return limit;
}

static void end_wait(Loop *loop)
{
    mutex_lock(&loop->mutex);
    loop->waits_until = INT64_MIN;
    mutex_unlock(&loop->mutex);
}

bool loop_iterate(Loop *loop, int64_t timeout_ns)
{
    HostPollEvent events[EVENTS_AT_ONCE];
    atomic_store(&loop->owner, pthread_self());
    loop->depth++;
    int64_t timeout = loop->glib ? loop_glib_prepare(loop->glib, timeout_ns) : timeout_ns;
    timeout = wait_time(loop, timeout);
    int count = wait_for_events(loop, events, timeout);
    end_wait(loop);
    bool any = dispatch(loop, events, count);
    any |= run_timers(loop);
    any |= run_posts(loop);
    if (loop->glib) {
        any |= loop_glib_dispatch(loop->glib);
    }
    if (!--loop->depth) {
        free_watches(&loop->removed);
    }
    return any;
}

void loop_run(Loop *loop)
{
    while (!atomic_load(&loop->quit)) {
        loop_iterate(loop, -1);
    }
    atomic_store(&loop->quit, false);
}

void loop_quit(Loop *loop)
{
    atomic_store(&loop->quit, true);
    wake(loop);
}
