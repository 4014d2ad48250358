/*
 * An entropy device: VIRTIO 1.2, section 5.4 ("virtio-rng-device"). One queue of buffers to fill with random bytes from
 * an rng-backend object (property `rng`; rng-builtin by default), at most max-bytes in each period (ms).
 */
#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"
#include "hw/virtio/rng_backend.h"
#include "hw/virtio/virtio.h"

#include <inttypes.h>

enum { VIRTIO_ID_ENTROPY = 4, QUEUE_SIZE = 8, NS_PER_MS = 1000000 };

extern const RngBackendClass rng_builtin_class;

typedef struct VirtioRng {
    VirtioDevice virtio;
    Object *source; /* link to an rng-backend */
    Object *builtin; /* its own, where none is given */
    uint64_t max_bytes;
    uint32_t period; /* ms */
    uint64_t quota;  /* bytes left in this period */
    Timer timer;     /* the end of a period in which bytes were used */
    VirtElement *element; /* being filled */
    RngRequest request;
} VirtioRng;

static RngBackend *backend_of(const VirtioRng *rng)
{
    return (RngBackend *)(rng->source ? rng->source : rng->builtin);
}

static VirtQueue *queue_of(VirtioRng *rng) { return &rng->virtio.queues[0]; }

/* A source that has nothing is asked again in the next period: the driver is promised a byte at least. */
static void filled(RngRequest *request, const void *bytes, size_t count)
{
    VirtioRng *rng = request->data;
    VirtElement *element = rng->element;
    rng->element = NULL;
    if (count == 0) {
        log_write(device_log(&rng->virtio.device), "%s: its source of random bytes fails\n",
                  device_name(&rng->virtio.device));
        rng->quota = 0;
        virtqueue_unpop(queue_of(rng), element);
        return;
    }
    rng->quota -= MIN(rng->quota, count);
    virtqueue_push(queue_of(rng), element, (uint32_t)virt_write(element, 0, bytes, count));
    virtqueue_interrupt(queue_of(rng));
}

/* A source that answers later does so without the lock. */
static void filled_later(RngRequest *request, const void *bytes, size_t count)
{
    VirtioRng *rng = request->data;
    DeviceLock *lock = rng->virtio.device.lock;
    device_lock(lock);
    filled(request, bytes, count);
    virtqueue_again(queue_of(rng));
    device_unlock(lock);
}

static bool start_one(VirtioRng *rng)
{
    VirtElement *element = rng->quota > 0 && !rng->element ? virtqueue_pop(queue_of(rng)) : NULL;
    if (!element) {
        return false;
    }
    if (element->in_bytes == 0) {
        virtqueue_push(queue_of(rng), element, 0);
        virtqueue_interrupt(queue_of(rng));
        return true;
    }
    if (!timer_is_set(&rng->timer)) {
        timer_set(&rng->timer, clock_now(rng->virtio.device.machine->clocks, CLOCK_VIRTUAL) +
                                   (int64_t)rng->period * NS_PER_MS);
    }
    rng->element = element;
    rng->request = (RngRequest){ .wanted = MIN(element->in_bytes, rng->quota), .data = rng };
    rng->request.done = backend_of(rng)->object.class == &rng_builtin_class.class ? filled : filled_later;
    rng_request(backend_of(rng), &rng->request);
    return true;
}

static void handle(VirtioDevice *device, VirtQueue *queue)
{
    for (unsigned i = 0; i < queue->size; i++) {
        if (!start_one((VirtioRng *)device)) {
            return;
        }
    }
    virtqueue_again(queue);
}

static void period_ended(void *data)
{
    VirtioRng *rng = data;
    rng->quota = rng->max_bytes;
    virtqueue_again(queue_of(rng));
}

static void drain(VirtioDevice *device)
{
    VirtioRng *rng = (VirtioRng *)device;
    device_lock(device->device.lock);
    if (rng->element) {
        rng_cancel(backend_of(rng), &rng->request);
        virtqueue_unpop(queue_of(rng), rng->element);
        rng->element = NULL;
    }
    device_unlock(device->device.lock);
}

static bool rng_realize(Device *device, Error **error)
{
    VirtioRng *rng = (VirtioRng *)device;
    if (rng->period == 0) {
        return error_set(error, "'period' must be at least 1 (ms)");
    }
    if (rng->max_bytes > INT64_MAX) {
        return error_set(error, "'max-bytes' must be less than 2^63");
    }
    if (!rng->source) {
        rng->builtin = object_new(&rng_builtin_class.class, device->machine, NULL, error);
        if (!rng->builtin || !object_complete(rng->builtin, error)) {
            return false;
        }
    }
    timer_init(&rng->timer, device->machine->clocks, CLOCK_VIRTUAL, device->lock, period_ended, rng);
    virtio_add_queue(&rng->virtio, QUEUE_SIZE, handle);
    return true;
}

static void rng_unrealize(Device *device) { timer_destroy(&((VirtioRng *)device)->timer); }

static void rng_finalize(Object *object) { object_unref(((VirtioRng *)object)->builtin); }

static void rng_reset(Device *device, ResetKind kind)
{
    VirtioRng *rng = (VirtioRng *)device;
    timer_cancel(&rng->timer);
    rng->quota = rng->max_bytes;
}

static bool check_loaded(void *state, uint32_t version, Error **error)
{
    const VirtioRng *rng = state;
    return rng->quota <= rng->max_bytes ||
           error_set(error, "%" PRIu64 " bytes are left of %" PRIu64, rng->quota, rng->max_bytes);
}

static const StateField state_fields[] = {
    STATE_FIELD(VirtioRng, quota, STATE_UNSIGNED),
    STATE_FIELD(VirtioRng, timer, STATE_TIMER),
    STATE_FIELD_NOT_SAVED(VirtioRng, builtin, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtioRng, element, "given back to the queue when the machine stops"),
    STATE_FIELD_NOT_SAVED(VirtioRng, request, "goes with the element"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "virtio-rng", .version = 1, .minimum_version = 1, .fields = state_fields, .check = check_loaded,
};

static const Property properties[] = {
    PROP_LINK("rng", rng_backend_class.class, VirtioRng, source, "rng-backend object; the host's kernel by default"),
    PROP("max-bytes", type_uint64, VirtioRng, max_bytes, "9223372036854775807", "bytes in each period at most"),
    PROP("period", type_uint32, VirtioRng, period, "65536", "ms"),
    PROP_END,
};

const VirtioDeviceClass virtio_rng_class = {
    .device = {
        .class = {
            .name = "virtio-rng-device",
            .parent = &virtio_device_class.device.class,
            .description = "Virtio entropy source",
            .size = sizeof(VirtioRng),
            .properties = properties,
            .finalize = rng_finalize,
        },
        .bus_type = "virtio-bus",
        .category = "Misc",
        .user_pluggable = true,
        .state = &state_table,
        .realize = rng_realize,
        .unrealize = rng_unrealize,
        .reset = rng_reset,
    },
    .virtio_id = VIRTIO_ID_ENTROPY,
    .drain = drain,
};
