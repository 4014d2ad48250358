/*
 * Sources of entropy. "rng-builtin" answers at once, from the host's own source or -seed's; "rng-random" reads a file
 * (/dev/urandom) as it becomes readable, one request after the other.
 */
#include "hw/virtio/rng_backend.h"

#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "core/loop.h"
#include "core/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGEST_READ = 64 * 1024 };

void rng_request(RngBackend *backend, RngRequest *request)
{
    ((const RngBackendClass *)backend->object.class)->request(backend, request);
}

void rng_cancel(RngBackend *backend, RngRequest *request)
{
    const RngBackendClass *class = (const RngBackendClass *)backend->object.class;
    if (class->cancel) {
        class->cancel(backend, request);
    }
}

const RngBackendClass rng_backend_class = {
    .class = {
        .name = "rng-backend",
        .parent = &object_class,
        .abstract = true,
        .size = sizeof(RngBackend),
    },
};

/* rng-builtin. */

static void builtin_request(RngBackend *backend, RngRequest *request)
{
    size_t count = MIN(request->wanted, LARGEST_READ);
    void *bytes = mem_alloc(count);
    machine_random(backend->object.data, bytes, count);
    request->done(request, bytes, count);
    free(bytes);
}

const RngBackendClass rng_builtin_class = {
    .class = {
        .name = "rng-builtin",
        .parent = &rng_backend_class.class,
        .description = "Random bytes from the host's kernel",
        .user_creatable = true,
    },
    .request = builtin_request,
};

/* rng-random. */

typedef struct RngRandom {
    RngBackend backend;
    char *filename;
    int fd;
    LoopFd *watch;
    RngRequest *first;
} RngRandom;

static void random_ready(void *data, unsigned events)
{
    RngRandom *source = data;
    RngRequest *request = source->first;
    if (!request) {
        loop_fd_set(source->watch, 0);
        return;
    }
    size_t count = MIN(request->wanted, LARGEST_READ);
    void *bytes = mem_alloc(count);
    ssize_t got = read(source->fd, bytes, count);
    if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
        source->first = request->next;
        request->done(request, bytes, got > 0 ? (size_t)got : 0);
    }
    free(bytes);
}

static void random_request(RngBackend *backend, RngRequest *request)
{
    RngRandom *source = (RngRandom *)backend;
    RngRequest **last = &source->first;
    while (*last) {
        last = &(*last)->next;
    }
    request->next = NULL;
    *last = request;
    loop_fd_set(source->watch, HOST_POLL_IN);
}

static void random_cancel(RngBackend *backend, RngRequest *request)
{
    RngRandom *source = (RngRandom *)backend;
    for (RngRequest **link = &source->first; *link; link = &(*link)->next) {
        if (*link == request) {
            *link = request->next;
            return;
        }
    }
}

static void random_init(Object *object) { ((RngRandom *)object)->fd = -1; }

static bool random_complete(Object *object, Error **error)
{
    RngRandom *source = (RngRandom *)object;
    Machine *machine = object->data;
    source->fd = files_open(machine->files, source->filename, O_RDONLY | O_NONBLOCK, 0, error);
    if (source->fd < 0) {
        return error_prepend(error, "rng-random: ");
    }
    source->watch = loop_fd_add(machine->loop, source->fd, 0, random_ready, source);
    return true;
}

static void random_finalize(Object *object)
{
    RngRandom *source = (RngRandom *)object;
    if (source->watch) {
        loop_fd_remove(source->watch);
    }
    if (source->fd >= 0) {
        close(source->fd);
    }
}

static const Property random_properties[] = {
    PROP("filename", type_string, RngRandom, filename, "/dev/urandom", "file to read random bytes from"),
    PROP_END,
};

const RngBackendClass rng_random_class = {
    .class = {
        .name = "rng-random",
        .parent = &rng_backend_class.class,
        .description = "Random bytes from a file of the host",
        .user_creatable = true,
        .size = sizeof(RngRandom),
        .properties = random_properties,
        .init = random_init,
        .complete = random_complete,
        .finalize = random_finalize,
    },
    .request = random_request,
    .cancel = random_cancel,
};
