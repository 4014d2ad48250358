/* GLib's default context, driven by a loop: g_main_context_prepare, query, check and dispatch round the loop's wait. */
#include "core/loop_internal.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

struct LoopGlib {
    GMainContext *context;
    HostPoller *poller;
    GPollFD *fds; /* of this round */
    int count, capacity;
    GPollFD *watched; /* what the poller watches: one entry a descriptor */
    int watched_count;
    int priority;
    bool acquired;
};

LoopGlib *loop_glib_new(HostPoller *outer, Error **error)
{
    LoopGlib *glib = NEW(LoopGlib);
    glib->context = g_main_context_ref(g_main_context_default());
    glib->poller = host_poller_new(error);
    if (!glib->poller || !host_poller_set(outer, host_poller_fd(glib->poller), HOST_POLL_IN, glib, error)) {
        loop_glib_free(glib);
        return NULL;
    }
    return glib;
}

void loop_glib_free(LoopGlib *glib)
{
    if (!glib) {
        return;
    }
    host_poller_free(glib->poller);
    g_main_context_unref(glib->context);
    free(glib->fds);
    free(glib->watched);
    free(glib);
}

static unsigned to_host(unsigned events)
{
    return (events & G_IO_IN ? HOST_POLL_IN : 0) | (events & G_IO_OUT ? HOST_POLL_OUT : 0) |
           (events & (G_IO_ERR | G_IO_HUP) ? HOST_POLL_ERROR : 0);
}

static unsigned from_host(unsigned events)
{
    return (events & HOST_POLL_IN ? G_IO_IN : 0) | (events & HOST_POLL_OUT ? G_IO_OUT : 0) |
           (events & HOST_POLL_ERROR ? G_IO_ERR : 0) | (events & HOST_POLL_HANGUP ? G_IO_HUP : 0);
}

/* Each descriptor once, with all events that sources want of it. */
static GPollFD *merge(const GPollFD *fds, int count, int *merged_count)
{
    GPollFD *merged = mem_alloc_array((size_t)count + 1, sizeof *merged);
    *merged_count = 0;
    for (int i = 0; i < count; i++) {
        int at = 0;
        while (at < *merged_count && merged[at].fd != fds[i].fd) {
            at++;
        }
        if (at == *merged_count) {
            merged[(*merged_count)++] = (GPollFD){ .fd = fds[i].fd };
        }
        merged[at].events |= fds[i].events;
    }
    return merged;
}

static bool watches(const GPollFD *fds, int count, int fd)
{
    for (int i = 0; i < count; i++) {
        if (fds[i].fd == fd) {
            return true;
        }
    }
    return false;
}

static void watch_all(LoopGlib *glib)
{
    int count;
    GPollFD *wanted = merge(glib->fds, glib->count, &count);
    if (count == glib->watched_count && !memcmp(wanted, glib->watched, (size_t)count * sizeof *wanted)) {
        free(wanted);
        return;
    }
    for (int i = 0; i < glib->watched_count; i++) {
        if (!watches(wanted, count, glib->watched[i].fd)) {
            host_poller_set(glib->poller, glib->watched[i].fd, 0, NULL, NULL);
        }
    }
    for (int i = 0; i < count; i++) {
        host_poller_set(glib->poller, wanted[i].fd, to_host(wanted[i].events), NULL, NULL);
    }
    free(glib->watched);
    glib->watched = wanted;
    glib->watched_count = count;
}

int64_t loop_glib_prepare(LoopGlib *glib, int64_t timeout_ns)
{
    int milliseconds = -1;
    glib->acquired = g_main_context_acquire(glib->context);
    if (!glib->acquired) {
        return timeout_ns;
    }
    g_main_context_prepare(glib->context, &glib->priority);
    while ((glib->count = g_main_context_query(glib->context, glib->priority, &milliseconds, glib->fds,
                                               glib->capacity)) > glib->capacity) {
        glib->capacity = glib->count;
        glib->fds = mem_realloc(glib->fds, (size_t)glib->capacity * sizeof *glib->fds);
    }
    for (int i = 0; i < glib->count; i++) {
        glib->fds[i].revents = 0;
    }
    watch_all(glib);
    if (milliseconds < 0) {
        return timeout_ns;
    }
    int64_t ns = (int64_t)milliseconds * 1000000;
    return timeout_ns < 0 || ns < timeout_ns ? ns : timeout_ns;
}

void loop_glib_ready(LoopGlib *glib)
{
    HostPollEvent events[64];
    int count = host_poller_wait(glib->poller, events, ARRAY_SIZE(events), 0);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < glib->count; j++) {
            if (glib->fds[j].fd == events[i].fd) {
                unsigned wanted = glib->fds[j].events | G_IO_ERR | G_IO_HUP;
                glib->fds[j].revents = (gushort)(from_host(events[i].events) & wanted);
            }
        }
    }
}

bool loop_glib_dispatch(LoopGlib *glib)
{
    if (!glib->acquired) {
        return false;
    }
    bool ready = g_main_context_check(glib->context, glib->priority, glib->fds, glib->count);
    if (ready) {
        g_main_context_dispatch(glib->context);
    }
    g_main_context_release(glib->context);
    return ready;
}
