/* The newest bytes of output in memory, for ringbuf-read; ringbuf-write puts bytes there too. */
#include "char/char_internal.h"

#include "base/error.h"
#include "schema/char.h"

#include <stdlib.h>

enum { DEFAULT_SIZE = 65536, LARGEST_SIZE = 1 << 30 };

typedef struct RingChar {
    CharDevice device;
    uint8_t *bytes;
    size_t size;           /* a power of two */
    uint64_t put, taken;   /* counts; at most `size` apart. Under the device's lock */
} RingChar;

static bool ring_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    RingChar *ring = (RingChar *)device;
    const ChardevRingbuf *given = &options->u.ringbuf;
    uint64_t size = given->has_size ? given->size : DEFAULT_SIZE;
    if (!is_power_of_2(size) || size > LARGEST_SIZE) {
        return error_set(error, "'size' of a ring buffer must be a power of two, at most 1G");
    }
    ring->size = size;
    ring->bytes = mem_alloc(size);
    char_set_opened(device, true);
    return true;
}

static void ring_close(CharDevice *device)
{
    RingChar *ring = (RingChar *)device;
    mutex_lock(&device->lock);
    free(ring->bytes);
    ring->bytes = NULL;
    ring->size = 0;
    mutex_unlock(&device->lock);
}

static size_t ring_put(CharDevice *device, const uint8_t *bytes, size_t count)
{
    RingChar *ring = (RingChar *)device;
    for (size_t i = 0; i < count && ring->size; i++) {
        ring->bytes[ring->put++ & (ring->size - 1)] = bytes[i];
    }
    if (ring->put - ring->taken > ring->size) {
        ring->taken = ring->put - ring->size;
    }
    return count;
}

static void ring_update(CharDevice *device)
{
    if (char_wants_write(device)) {
        char_writable(device);
    }
}

const CharClass char_ringbuf_class = {
    .class = {
        .name = "chardev-ringbuf",
        .parent = &char_class.class,
        .description = "keeps the newest output in memory",
        .size = sizeof(RingChar),
    },
    .open = ring_open,
    .close = ring_close,
    .write = ring_put,
    .update = ring_update,
};

/* QEMU's older name of the same. */
const CharClass char_memory_class = {
    .class = {
        .name = "chardev-memory",
        .parent = &char_ringbuf_class.class,
        .size = sizeof(RingChar),
    },
    .open = ring_open,
    .close = ring_close,
    .write = ring_put,
    .update = ring_update,
};

bool char_is_ring(const CharDevice *device) { return object_is(&device->object, &char_ringbuf_class.class); }

size_t char_ring_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    mutex_lock(&device->lock);
    size_t put = ring_put(device, bytes, count);
    mutex_unlock(&device->lock);
    return put;
}

size_t char_ring_read(CharDevice *device, uint8_t *bytes, size_t count)
{
    RingChar *ring = (RingChar *)device;
    size_t done = 0;
    mutex_lock(&device->lock);
    while (done < count && ring->taken != ring->put) {
        bytes[done++] = ring->bytes[ring->taken++ & (ring->size - 1)];
    }
    mutex_unlock(&device->lock);
    return done;
}
