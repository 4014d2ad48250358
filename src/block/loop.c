/* The block layer's part of a loop: descriptors, timers, calls from other threads, asynchronous files. */
#include "block/task_internal.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"

#include <unistd.h>

/* Rounds */

static BlockCall *take_call(BlockLoop *loop)
{
    BlockCall *call = NULL;
    mutex_lock(&loop->mutex);
    if (!list_empty(&loop->calls)) {
        call = list_item(loop->calls.next, BlockCall, node);
        list_remove(&call->node);
    }
    mutex_unlock(&loop->mutex);
    return call;
}

static bool run_calls(BlockLoop *loop)
{
    bool any = false;
    for (BlockCall *call; (call = take_call(loop));) {
        call->function(call->data);
        any = true;
    }
    return any;
}

void block_loop_take(BlockLoop *loop)
{
    if (UNLIKELY(block_loop_self(loop->runtime) != loop)) {
        pthread_setspecific(loop->runtime->self, loop);
    }
}

void block_round_begin(BlockLoop *loop)
{
    block_loop_take(loop);
    loop->depth++;
}

/* What the host has in memory is done when it is sent, and needs no further round. */
static bool send_and_reap(BlockLoop *loop)
{
    bool any = false;
    for (unsigned i = 0; i < ARRAY_SIZE(loop->aio); i++) {
        HostAio *aio = loop->aio[i].aio;
        if (aio && !loop->plugged && !loop->sending) {
            loop->sending = true;
            host_aio_send(aio);
            any = any || host_aio_has_ended(aio);
            loop->sending = false;
            if (host_aio_has_ended(aio)) {
                host_aio_reap(aio);
            }
        }
    }
    return any;
}

void block_round_end(BlockLoop *loop)
{
    enum { LIMIT = 16 }; /* then others have their turn */
    if (loop->depth == 1) {
        run_calls(loop);
        bool any = true;
        for (unsigned i = 0; i < LIMIT && any; i++) {
            any = send_and_reap(loop);
            any = run_calls(loop) || any; /* also those of what ended while it was sent */
        }
    }
    loop->depth--;
    block_loop_send(loop);
}

void block_loop_call(BlockLoop *loop, BlockCall *call)
{
    bool in_round = block_loop_self(loop->runtime) == loop && loop->depth > 0;
    mutex_lock(&loop->mutex);
    bool first = list_empty(&loop->calls);
    list_append(&loop->calls, &call->node);
    if (first && !in_round) {
        host_event_signal(loop->wake_fd); /* under the mutex: once the call has run, the loop may go */
    }
    mutex_unlock(&loop->mutex);
}

static void woken(void *data, unsigned events)
{
    BlockLoop *loop = data;
    host_event_clear(loop->wake_fd); /* the calls are run at the round's end */
}

void block_loop_poll(BlockLoop *loop, bool wait)
{
    assert(block_loop_self(loop->runtime) == loop && !loop->current);
    unsigned depth = loop->depth;
    loop->depth = 0; /* a round of its own, also within another */
    block_round_begin(loop);
    bool any = run_calls(loop);
    loop->depth = 0;
    block_loop_send(loop);
    loop_iterate(loop->inner, wait && !any ? -1 : 0);
    loop->depth = depth;
}

/* Descriptors and timers: known to both loops */

struct BlockWatch {
    BlockLoop *loop;
    LoopFd *outer, *inner;
    void (*ready)(void *data, unsigned events);
    bool (*look)(void *data);
    void *data;
};

static void watch_ready(void *data, unsigned events)
{
    BlockWatch *watch = data;
    BlockLoop *loop = watch->loop;
    block_round_begin(loop);
    watch->ready(watch->data, events);
    block_round_end(loop);
}

BlockWatch *block_watch_add(BlockLoop *loop, int fd, unsigned events, void (*ready)(void *data, unsigned events),
                            void *data)
{
    BlockWatch *watch = NEW(BlockWatch);
    *watch = (BlockWatch){ .loop = loop, .ready = ready, .data = data };
    watch->outer = loop_fd_add(loop->outer, fd, events, watch_ready, watch);
    watch->inner = watch->outer ? loop_fd_add(loop->inner, fd, events, watch_ready, watch) : NULL;
    if (!watch->inner) {
        block_watch_remove(watch);
        return NULL;
    }
    return watch;
}

void block_watch_set(BlockWatch *watch, unsigned events)
{
    loop_fd_set(watch->outer, events);
    loop_fd_set(watch->inner, events);
}

static bool watch_look(void *data)
{
    const BlockWatch *watch = data;
    return watch->look(watch->data);
}

void block_watch_set_look(BlockWatch *watch, bool (*look)(void *data))
{
    watch->look = look;
    loop_fd_set_look(watch->outer, look ? watch_look : NULL);
}

void block_watch_remove(BlockWatch *watch)
{
    if (watch) {
        loop_fd_remove(watch->outer);
        loop_fd_remove(watch->inner);
        free(watch);
    }
}

static void timer_expired(void *data)
{
    BlockTimer *timer = data;
    BlockLoop *loop = timer->loop;
    block_timer_cancel(timer); /* in the other one */
    block_round_begin(loop);
    timer->expired(timer->data);
    block_round_end(loop);
}

void block_timer_init(BlockTimer *timer, BlockLoop *loop, void (*expired)(void *data), void *data)
{
    *timer = (BlockTimer){ .loop = loop, .expired = expired, .data = data };
    loop_timer_init(&timer->outer, loop->outer, timer_expired, timer);
    loop_timer_init(&timer->inner, loop->inner, timer_expired, timer);
}

void block_timer_set(BlockTimer *timer, int64_t deadline)
{
    loop_timer_set(&timer->outer, deadline);
    loop_timer_set(&timer->inner, deadline);
}

void block_timer_cancel(BlockTimer *timer) { block_timer_set(timer, INT64_MAX); }

/* Asynchronous files */

static void aio_ready(void *data, unsigned events) { host_aio_reap(data); }
static bool aio_look(void *data) { return host_aio_has_ended(data); }

HostAio *block_loop_aio(BlockLoop *loop, bool ring, Error **error)
{
    if (!loop->aio[ring].aio) {
        HostAio *aio = host_aio_new(ring ? HOST_AIO_RING : HOST_AIO_NATIVE, BLOCK_AIO_DEPTH, error);
        BlockWatch *watch = aio ? block_watch_add(loop, host_aio_fd(aio), HOST_POLL_IN, aio_ready, aio) : NULL;
        if (!watch) {
            if (aio) {
                error_set(error, "the descriptor of the host's asynchronous I/O cannot be watched");
                host_aio_free(aio);
            }
            return NULL;
        }
        host_aio_set_eager(aio, &loop->eager);
        block_watch_set_look(watch, aio_look);
        loop->aio[ring].aio = aio;
        loop->aio[ring].watch = watch;
    }
    return loop->aio[ring].aio;
}

void block_loop_send(BlockLoop *loop)
{
    if (loop->depth > 0 || loop->plugged > 0 || loop->sending) {
        return;
    }
    loop->sending = true; /* what fails at once is done within */
    for (unsigned i = 0; i < ARRAY_SIZE(loop->aio); i++) {
        if (loop->aio[i].aio) {
            host_aio_send(loop->aio[i].aio);
        }
    }
    loop->sending = false;
}

/* A batch goes also before the round ends; only to io_uring, by which nothing ends meanwhile. */
void block_loop_add(BlockLoop *loop, HostAio *aio, HostAioRequest *request)
{
    int64_t batch = loop_batch(loop->outer);
    host_aio_add(aio, request);
    if (UNLIKELY(batch > 0) && ++loop->added >= (uint64_t)batch && aio == loop->aio[true].aio &&
        loop->eager.most == 0 && !loop->plugged && !loop->sending) {
        loop->added = 0;
        host_aio_send(aio);
    }
    block_loop_send(loop);
}

void block_loop_set_eager(BlockLoop *loop, uint64_t most) { loop->eager.most = most; }

bool block_loop_write(BlockLoop *loop, const HostAioRequest *request, int64_t *result)
{
    return host_write_eagerly(&loop->eager, request, result);
}

void block_loop_plug(BlockLoop *loop) { loop->plugged++; }

void block_loop_unplug(BlockLoop *loop)
{
    loop->plugged--;
    block_loop_send(loop);
}

/* Life */

BlockLoop *block_loop_self(const BlockRuntime *runtime) { return pthread_getspecific(runtime->self); }

BlockLoop *block_loop_new(BlockRuntime *runtime, Loop *outer, Error **error)
{
    BlockLoop *loop = NEW(BlockLoop);
    *loop = (BlockLoop){ .runtime = runtime, .outer = outer, .wake_fd = -1 };
    mutex_init(&loop->mutex);
    list_init(&loop->calls);
    pthread_setspecific(runtime->self, loop);
    loop->inner = loop_new(false, error);
    loop->wake_fd = loop->inner ? host_event_new(error) : -1;
    if (loop->wake_fd < 0) {
        block_loop_free(loop);
        return NULL;
    }
    loop->wake_watch = block_watch_add(loop, loop->wake_fd, HOST_POLL_IN, woken, loop);
    if (!loop->wake_watch) {
        error_set(error, "the block layer's descriptor cannot be watched");
        block_loop_free(loop);
        return NULL;
    }
    return loop;
}

void block_loop_free(BlockLoop *loop)
{
    if (!loop) {
        return;
    }
    assert(list_empty(&loop->calls) && block_loop_self(loop->runtime) == loop);
    block_threads_leave(loop);
    pthread_setspecific(loop->runtime->self, NULL);
    block_tasks_free(loop);
    for (unsigned i = 0; i < ARRAY_SIZE(loop->aio); i++) {
        block_watch_remove(loop->aio[i].watch);
        host_aio_free(loop->aio[i].aio);
    }
    block_watch_remove(loop->wake_watch);
    loop_free(loop->inner);
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    mutex_destroy(&loop->mutex);
    free(loop);
}

typedef struct MakeLoop {
    BlockRuntime *runtime;
    Loop *outer;
    BlockLoop *loop;
    Error **error;
} MakeLoop;

static void make_loop(void *data)
{
    MakeLoop *make = data;
    make->loop = block_loop_new(make->runtime, make->outer, make->error);
}

BlockLoop *block_loop_of(BlockRuntime *runtime, Loop *outer, Error **error)
{
    LIST_FOREACH (&runtime->others, loop, BlockLoop, in_runtime) {
        if (loop->outer == outer) {
            loop->users++;
            return loop;
        }
    }
    MakeLoop make = { .runtime = runtime, .outer = outer, .error = error };
    loop_post_wait(outer, make_loop, &make);
    if (make.loop) {
        make.loop->users = 1;
        list_append(&runtime->others, &make.loop->in_runtime);
    }
    return make.loop;
}

static void free_loop(void *data) { block_loop_free(data); }

void block_loop_release(BlockLoop *loop)
{
    if (--loop->users == 0) {
        list_remove(&loop->in_runtime);
        loop_post_wait(loop->outer, free_loop, loop);
    }
}

BlockRuntime *block_runtime_new(Loop *main_loop, Error **error)
{
    BlockRuntime *runtime = NEW(BlockRuntime);
    int number = pthread_key_create(&runtime->self, NULL);
    if (number) {
        error_set_errno(error, number, "the block layer needs a key for its threads");
        free(runtime);
        return NULL;
    }
    mutex_init(&runtime->mutex);
    condition_init(&runtime->changed);
    list_init(&runtime->work);
    list_init(&runtime->others);
    runtime->main = block_loop_new(runtime, main_loop, error);
    if (!runtime->main) {
        block_runtime_free(runtime);
        return NULL;
    }
    return runtime;
}

void block_runtime_free(BlockRuntime *runtime)
{
    if (!runtime) {
        return;
    }
    block_threads_stop(runtime);
    block_loop_free(runtime->main);
    pthread_key_delete(runtime->self);
    condition_destroy(&runtime->changed);
    mutex_destroy(&runtime->mutex);
    free(runtime);
}

Loop *block_loop_outer(const BlockLoop *loop) { return loop->outer; }
BlockLoop *block_runtime_main(const BlockRuntime *runtime) { return runtime->main; }
