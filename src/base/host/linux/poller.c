/*
 * Readiness: epoll(7). Descriptors that epoll refuses (regular files) are kept in the table as always ready; while
 * there is one, an event that stays signalled keeps the poller itself ready.
 */
#include "base/host/host.h"

#include "base/error.h"
#include "base/vec.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

typedef struct Watch {
    unsigned events; /* 0: not watched */
    bool always_ready;
    void *data;
} Watch;

struct HostPoller {
    int fd;
    int ready_event; /* signalled and watched while always_ready_count is not 0; -1: not made yet */
    size_t always_ready_count;
    VEC(Watch) watches; /* by descriptor */
};

HostPoller *host_poller_new(Error **error)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot make a poller");
        return NULL;
    }
    HostPoller *poller = NEW(HostPoller);
    poller->fd = fd;
    poller->ready_event = -1;
    return poller;
}

void host_poller_free(HostPoller *poller)
{
    if (!poller) {
        return;
    }
    if (poller->ready_event >= 0) {
        close(poller->ready_event);
    }
    close(poller->fd);
    vec_free(&poller->watches);
    free(poller);
}

int host_poller_fd(const HostPoller *poller) { return poller->fd; }

static bool update_ready_event(HostPoller *poller, Error **error)
{
    if (poller->ready_event < 0) {
        poller->ready_event = host_event_new(error);
        if (poller->ready_event < 0) {
            return false;
        }
        host_event_signal(poller->ready_event);
        struct epoll_event none = { .data.fd = -1 };
        epoll_ctl(poller->fd, EPOLL_CTL_ADD, poller->ready_event, &none);
    }
    struct epoll_event event = { .events = poller->always_ready_count ? EPOLLIN : 0, .data.fd = -1 };
    if (epoll_ctl(poller->fd, EPOLL_CTL_MOD, poller->ready_event, &event) < 0) {
        return error_set_errno(error, errno, "cannot poll an event descriptor");
    }
    return true;
}

static Watch *watch_of(HostPoller *poller, int fd)
{
    while (poller->watches.count <= (size_t)fd) {
        vec_push(&poller->watches, (Watch){ 0 });
    }
    return &poller->watches.items[fd];
}

static bool set_always_ready(HostPoller *poller, Watch *watch, bool always_ready, Error **error)
{
    if (watch->always_ready == always_ready) {
        return true;
    }
    watch->always_ready = always_ready;
    poller->always_ready_count += always_ready ? 1 : SIZE_MAX;
    return update_ready_event(poller, error);
}

/* A descriptor may have been closed, which epoll notices, and its number used again since it was set. */
static int control(HostPoller *poller, int fd, unsigned events)
{
    struct epoll_event event = { .data.fd = fd };
    event.events = (events & HOST_POLL_IN ? EPOLLIN | EPOLLRDHUP : 0) | (events & HOST_POLL_OUT ? EPOLLOUT : 0);
    if (!events) {
        return epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, &event);
    }
    int result = epoll_ctl(poller->fd, EPOLL_CTL_MOD, fd, &event);
    return result < 0 && errno == ENOENT ? epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) : result;
}

bool host_poller_set(HostPoller *poller, int fd, unsigned events, void *data, Error **error)
{
    assert(fd >= 0);
    Watch *watch = watch_of(poller, fd);
    watch->events = events;
    watch->data = data;
    int result = control(poller, fd, events);
    if (!events) {
        return set_always_ready(poller, watch, false, error);
    }
    if (result == 0) {
        return set_always_ready(poller, watch, false, error);
    }
    if (errno == EPERM) {
        return set_always_ready(poller, watch, true, error);
    }
    watch->events = 0;
    return error_set_errno(error, errno, "cannot poll descriptor %d", fd);
}

/* epoll_pwait2 takes nanoseconds, but neither old kernels nor every sandbox have it. */
static int wait_events(int fd, struct epoll_event *events, int limit, int64_t timeout_ns)
{
    enum { SECOND = 1000000000, MILLISECOND = 1000000 };
    struct timespec time = { .tv_sec = timeout_ns / SECOND, .tv_nsec = timeout_ns % SECOND };
    int count = epoll_pwait2(fd, events, limit, timeout_ns < 0 ? NULL : &time, NULL);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) {
        return count;
    }
    int64_t milliseconds = timeout_ns / MILLISECOND + (timeout_ns % MILLISECOND > 0);
    return epoll_wait(fd, events, limit, timeout_ns < 0 ? -1 : (int)MIN(milliseconds, INT32_MAX));
}

static unsigned poll_events(uint32_t events)
{
    return (events & EPOLLIN ? HOST_POLL_IN : 0) | (events & EPOLLOUT ? HOST_POLL_OUT : 0) |
           (events & EPOLLERR ? HOST_POLL_ERROR : 0) | (events & (EPOLLHUP | EPOLLRDHUP) ? HOST_POLL_HANGUP : 0);
}

static int add_always_ready(const HostPoller *poller, HostPollEvent *events, int count, int limit)
{
    for (size_t fd = 0; fd < poller->watches.count && count < limit; fd++) {
        const Watch *watch = &poller->watches.items[fd];
        if (watch->always_ready) {
            events[count++] = (HostPollEvent){ .fd = (int)fd, .events = watch->events, .data = watch->data };
        }
    }
    return count;
}

int host_poller_wait(HostPoller *poller, HostPollEvent *events, int limit, int64_t timeout_ns)
{
    enum { BATCH = 64 };
    struct epoll_event ready[BATCH];
    int got = wait_events(poller->fd, ready, MIN(limit, BATCH), timeout_ns);
    int count = 0;
    bool with_files = false;
    for (int i = 0; i < got; i++) {
        int fd = ready[i].data.fd;
        if (fd < 0) {
            with_files = true;
        } else {
            events[count++] = (HostPollEvent){ .fd = fd, .events = poll_events(ready[i].events),
                                               .data = poller->watches.items[fd].data };
        }
    }
    return with_files ? add_always_ready(poller, events, count, limit) : count;
}
