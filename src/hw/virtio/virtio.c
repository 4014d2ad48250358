/*
 * Virtio devices beside their queues: bus, features, status, configuration space, work on the loop, saved state.
 * VIRTIO 1.2, sections 2 and 3; "legacy interface" paragraphs for drivers from before 1.0.
 */
#include "hw/virtio/queue_internal.h"

#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "core/loop.h"
#include "core/machine.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

/* The bus. */

static bool virtio_plug(Bus *bus, Device *device, Error **error)
{
    VirtioBus *virtio_bus = (VirtioBus *)bus;
    VirtioDevice *vdev = (VirtioDevice *)device;
    device_share_lock(device, bus->owner->lock); /* the transport's registers are the device's */
    virtio_bus->device = vdev;
    vdev->transport = virtio_bus->transport;
    vdev->transport_data = virtio_bus->data;
    return true;
}

static void virtio_unplug(Bus *bus, Device *device)
{
    VirtioDevice *vdev = (VirtioDevice *)device;
    ((VirtioBus *)bus)->device = NULL;
    vdev->transport = NULL;
    vdev->transport_data = NULL;
}

static void virtio_bus_init(Object *object)
{
    Bus *bus = (Bus *)object;
    bus->maximum = 1;
    bus->plug = virtio_plug;
    bus->unplug = virtio_unplug;
}

const Class virtio_bus_class = {
    .name = "virtio-bus",
    .parent = &bus_class,
    .abstract = true,
    .size = sizeof(VirtioBus),
    .init = virtio_bus_init,
};

/* Features and status. */

bool virtio_is_big_endian(const VirtioDevice *device)
{
    return !virtio_has(device, VIRTIO_F_VERSION_1) && device->device.machine->guest &&
           device->device.machine->guest->big_endian;
}

uint32_t virtio_features(const VirtioDevice *device, uint32_t select, bool modern)
{
    uint64_t features = device->host_features;
    if (modern) {
        features |= BIT(VIRTIO_F_VERSION_1);
        features &= ~(BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VIRTIO_F_ANY_LAYOUT));
    } else {
        features &= UINT32_MAX;
    }
    return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static void features_changed(VirtioDevice *device)
{
    if (virtio_class_of(device)->features_changed) {
        virtio_class_of(device)->features_changed(device);
    }
}

void virtio_set_driver_features(VirtioDevice *device, uint32_t select, uint32_t value, bool modern)
{
    if (select >= 2 || device->status & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)) {
        return;
    }
    uint32_t accepted = value & virtio_features(device, select, modern);
    device->driver_features = bits_deposit(device->driver_features, 32 * select, 32, accepted);
    if (!modern) {
        features_changed(device);
    }
}

/* Queues: the vCPU's part sets a mark, the loop's does the work. */

VirtQueue *virtio_queue(VirtioDevice *device, uint32_t index)
{
    return index < device->queue_count ? &device->queues[index] : NULL;
}

static void handle_queue(void *data)
{
    VirtQueue *queue = data;
    VirtioDevice *device = queue->device;
    bool locks = !virtio_class_of(device)->own_queues;
    if (locks) {
        device_lock(device->device.lock);
    }
    atomic_store(&queue->kicked, false);
    if (queue->ready) {
        queue->handle(device, queue);
    }
    if (locks) {
        device_unlock(device->device.lock);
    }
    object_unref(&device->device.object);
}

static void kick(VirtQueue *queue)
{
    VirtioDevice *device = queue->device;
    if (queue->ready && !device->broken && !atomic_exchange(&queue->kicked, true)) {
        object_ref(&device->device.object);
        loop_post(queue->loop, handle_queue, queue);
    }
}

/* What was made available while the device could not look. */
static void kick_all(VirtioDevice *device)
{
    for (unsigned i = 0; i < device->queue_count; i++) {
        kick(&device->queues[i]);
    }
}

void virtio_queue_notify(VirtioDevice *device, uint32_t index)
{
    VirtQueue *queue = virtio_queue(device, index);
    if (queue) {
        kick(queue);
    }
}

void virtqueue_again(VirtQueue *queue) { kick(queue); }

static bool is_first_of_loop(const VirtioDevice *device, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (device->queues[i].loop == device->queues[index].loop) {
            return false;
        }
    }
    return true;
}

void virtio_each_loop(VirtioDevice *device, void (*function)(void *data), void *data)
{
    for (unsigned i = 0; i < device->queue_count; i++) {
        if (is_first_of_loop(device, i)) {
            loop_post_wait(device->queues[i].loop, function, data);
        }
    }
}

static void nothing(void *data) {}

void virtio_pause(VirtioDevice *device)
{
    device->pauses++;
    virtio_each_loop(device, nothing, NULL);
}

void virtio_resume(VirtioDevice *device)
{
    device->pauses--;
    kick_all(device);
}

/* Resets. Requests in flight are finished on the loops first, which the driver waits for; none begin meanwhile. */

enum { WHOLE_DEVICE = UINT32_MAX };

typedef struct ResetRequest {
    VirtioDevice *device;
    uint64_t index; /* of a queue, or WHOLE_DEVICE */
    bool stop;      /* the queue keeps its size and addresses */
} ResetRequest;

static void reset_queue(const ResetRequest *request, VirtQueue *queue)
{
    if (request->stop) {
        virtio_queue_stop(queue);
    } else {
        virtio_queue_reset(queue);
    }
}

/* The device, but for its queues. */
static void reset_rest(VirtioDevice *device)
{
    device->driver_features = 0;
    device->status = device->isr = 0;
    device->broken = false;
    features_changed(device);
    if (device->transport) {
        device->transport->interrupt(device->transport_data, NULL);
    }
}

static void carry_out(const ResetRequest *request)
{
    VirtioDevice *device = request->device;
    for (unsigned i = 0; i < device->queue_count; i++) {
        if (request->index == WHOLE_DEVICE || request->index == i) {
            reset_queue(request, &device->queues[i]);
        }
    }
    if (request->index == WHOLE_DEVICE) {
        reset_rest(device);
    }
}

/* The queues of this thread's loop: nobody works on them meanwhile. */
static void reset_queues_of_loop(void *data)
{
    const ResetRequest *request = data;
    VirtioDevice *device = request->device;
    device_lock(device->device.lock);
    for (unsigned i = 0; i < device->queue_count; i++) {
        if (loop_is_self(device->queues[i].loop) && (request->index == WHOLE_DEVICE || request->index == i)) {
            reset_queue(request, &device->queues[i]);
        }
    }
    device_unlock(device->device.lock);
}

static void drain(VirtioDevice *device)
{
    virtio_each_loop(device, nothing, NULL);
    if (virtio_class_of(device)->drain) {
        virtio_class_of(device)->drain(device);
    }
}

/* Main thread; `resets` counts it already. */
static void drain_and_carry_out(void *data)
{
    ResetRequest *request = data;
    VirtioDevice *device = request->device;
    drain(device);
    virtio_each_loop(device, reset_queues_of_loop, request);
    device_lock(device->device.lock);
    if (request->index == WHOLE_DEVICE) {
        reset_rest(device);
    }
    device->resets--;
    kick_all(device);
    device_unlock(device->device.lock);
}

static void carry_out_later(void *data, uint64_t index, uint64_t stop)
{
    VirtioDevice *device = data;
    loop_post_wait(device->device.machine->loop, drain_and_carry_out, &(ResetRequest){ device, index, stop });
}

/* Somebody may be working on it. Under the lock. */
static bool is_busy(const VirtQueue *queue)
{
    return virtio_class_of(queue->device)->own_queues ? queue->ready : queue->in_flight > 0;
}

static bool any_is_busy(const VirtioDevice *device)
{
    for (unsigned i = 0; i < device->queue_count; i++) {
        if (is_busy(&device->queues[i])) {
            return true;
        }
    }
    return false;
}

/* The chains that the device still has of them are not wanted any more. */
static void mark_resetting(VirtioDevice *device, uint64_t index)
{
    for (unsigned i = 0; i < device->queue_count; i++) {
        if (index == WHOLE_DEVICE || index == i) {
            device->queues[i].resetting = true;
        }
    }
}

static void request_reset(VirtioDevice *device, uint64_t index, bool stop, bool busy)
{
    if (busy) {
        mark_resetting(device, index);
        device->resets++;
        device_defer(device->device.lock, carry_out_later, device, index, stop);
    } else {
        carry_out(&(ResetRequest){ device, index, stop });
    }
}

static void request_queue_reset(VirtQueue *queue, bool stop)
{
    request_reset(queue->device, queue->index, stop, is_busy(queue));
}

void virtio_request_queue_reset(VirtQueue *queue) { request_queue_reset(queue, false); }
void virtio_request_queue_stop(VirtQueue *queue) { request_queue_reset(queue, true); }

/* VERSION_1 is what tells a driver of today from a legacy one, which does not say FEATURES_OK. */
static bool can_agree(const VirtioDevice *device)
{
    uint64_t needed = BIT(VIRTIO_F_VERSION_1) | (device->host_features & BIT(VIRTIO_F_ACCESS_PLATFORM));
    return !(needed & ~device->driver_features);
}

void virtio_set_status(VirtioDevice *device, uint8_t status)
{
    uint8_t before = device->status, news = status & (uint8_t)~before;
    if (status == 0) {
        request_reset(device, WHOLE_DEVICE, false, any_is_busy(device));
        return;
    }
    if (news & VIRTIO_STATUS_FEATURES_OK) {
        if (can_agree(device)) {
            features_changed(device);
        } else {
            status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
        }
    }
    device->status = (uint8_t)((status & ~VIRTIO_STATUS_NEEDS_RESET) |
                               (before & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_NEEDS_RESET)));
    if (news & VIRTIO_STATUS_DRIVER_OK) {
        kick_all(device);
    }
}

void virtio_error(VirtioDevice *device, const char *format, ...)
{
    if (atomic_exchange(&device->broken, true)) {
        return;
    }
    if (log_enabled(device_log(&device->device), LOG_GUEST_ERRORS)) {
        AUTO_STRBUF(message);
        va_list arguments;
        va_start(arguments, format);
        strbuf_vprintf(&message, format, arguments);
        va_end(arguments);
        log_write(device_log(&device->device), "%s: %s\n", device_name(&device->device), strbuf_text(&message));
    }
    bool entered = device_enter(&device->device);
    if (virtio_has(device, VIRTIO_F_VERSION_1)) {
        device->status |= VIRTIO_STATUS_NEEDS_RESET;
        virtio_config_changed(device);
    }
    if (entered) {
        device_unlock(device->device.lock);
    }
}

/* Configuration space. */

void virtio_config_changed(VirtioDevice *device)
{
    if (!(device->status & VIRTIO_STATUS_DRIVER_OK) || !device->transport) {
        return;
    }
    device->config_generation++;
    device->isr |= VIRTIO_ISR_CONFIG;
    device->transport->interrupt(device->transport_data, NULL);
}

static bool is_in_config(const VirtioDevice *device, uint32_t offset, uint32_t size)
{
    return size <= device->config_size && offset <= device->config_size - size;
}

static void read_config(VirtioDevice *device, uint8_t config[VIRTIO_CONFIG_LIMIT])
{
    memset(config, 0, VIRTIO_CONFIG_LIMIT);
    if (virtio_class_of(device)->get_config) {
        virtio_class_of(device)->get_config(device, config);
    }
}

void virtio_config_read(VirtioDevice *device, uint32_t offset, void *bytes, uint32_t size)
{
    uint8_t config[VIRTIO_CONFIG_LIMIT];
    if (!is_in_config(device, offset, size)) {
        memset(bytes, 0xff, size);
        return;
    }
    read_config(device, config);
    memcpy(bytes, config + offset, size);
}

void virtio_config_write(VirtioDevice *device, uint32_t offset, const void *bytes, uint32_t size)
{
    uint8_t config[VIRTIO_CONFIG_LIMIT];
    if (!is_in_config(device, offset, size) || !virtio_class_of(device)->set_config) {
        return;
    }
    read_config(device, config);
    memcpy(config + offset, bytes, size);
    virtio_class_of(device)->set_config(device, config, offset, size);
}

/* The class. */

static void add_ring_features(VirtioDevice *device)
{
    const struct {
        bool wanted;
        unsigned feature;
    } features[] = {
        { device->indirect_desc, VIRTIO_F_INDIRECT_DESC }, { device->event_idx, VIRTIO_F_EVENT_IDX },
        { device->notify_on_empty, VIRTIO_F_NOTIFY_ON_EMPTY }, { device->any_layout, VIRTIO_F_ANY_LAYOUT },
        { device->iommu_platform, VIRTIO_F_ACCESS_PLATFORM }, { device->packed, VIRTIO_F_RING_PACKED },
        { device->in_order, VIRTIO_F_IN_ORDER }, { device->queue_reset, VIRTIO_F_RING_RESET },
    };
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        device->host_features |= features[i].wanted ? BIT(features[i].feature) : 0;
    }
}

/* A machine that stands still, to be saved or looked at, has nothing in flight. */
static void run_state_changed(void *data, bool running)
{
    VirtioDevice *device = data;
    device->stopped = !running;
    if (running) {
        kick_all(device);
    } else {
        drain(device);
    }
}

static bool virtio_realize(Device *device, Error **error)
{
    VirtioDevice *vdev = (VirtioDevice *)device;
    add_ring_features(vdev);
    vdev->stopped = !machine_is_running(device->machine);
    machine_add_run_state_listener(device->machine, run_state_changed, vdev);
    return true;
}

static void drain_and_reset(VirtioDevice *device)
{
    mark_resetting(device, WHOLE_DEVICE);
    device->resets++;
    drain_and_carry_out(&(ResetRequest){ device, WHOLE_DEVICE, false });
}

void virtio_end(VirtioDevice *device)
{
    drain_and_reset(device);
    device->pauses++; /* for good */
}

static void virtio_unrealize(Device *device) { drain_and_reset((VirtioDevice *)device); }

/* Also of a device that was not realized. */
static void virtio_finalize(Object *object)
{
    machine_remove_run_state_listener(((Device *)object)->machine, run_state_changed, object);
}

static void virtio_still(Device *device, bool still)
{
    VirtioDevice *vdev = (VirtioDevice *)device;
    if (still) {
        virtio_pause(vdev);
        drain(vdev);
    } else {
        virtio_resume(vdev);
    }
}

static void virtio_reset_hold(Device *device, ResetKind kind)
{
    drain_and_reset((VirtioDevice *)device);
    ((VirtioDevice *)device)->resets = 0;
}

static const StateField queue_fields[] = {
    STATE_FIELD(VirtQueue, size, STATE_UNSIGNED, .maximum = VIRTIO_QUEUE_SIZE_LIMIT),
    STATE_FIELD(VirtQueue, ready, STATE_BOOL),
    STATE_FIELD(VirtQueue, descriptors, STATE_UNSIGNED),
    STATE_FIELD(VirtQueue, driver, STATE_UNSIGNED),
    STATE_FIELD(VirtQueue, used, STATE_UNSIGNED),
    STATE_FIELD(VirtQueue, next_available, STATE_UNSIGNED),
    STATE_FIELD(VirtQueue, next_used, STATE_UNSIGNED),
    STATE_FIELD(VirtQueue, available_wrap, STATE_BOOL),
    STATE_FIELD(VirtQueue, used_wrap, STATE_BOOL),
    STATE_FIELD(VirtQueue, signalled, STATE_UNSIGNED),
    STATE_FIELD(VirtQueue, signalled_valid, STATE_BOOL),
    STATE_FIELD_NOT_SAVED(VirtQueue, kicked, "every queue is looked at when the machine runs"),
    STATE_FIELD_NOT_SAVED(VirtQueue, quiet, "not between two calls of `handle`"),
    STATE_FIELD_NOT_SAVED(VirtQueue, resetting, "resets are finished before saving"),
    STATE_FIELD_NOT_SAVED(VirtQueue, in_flight, "requests are finished before saving"),
    STATE_FIELD_NOT_SAVED(VirtQueue, first, "goes with in_flight"),
    STATE_FIELD_NOT_SAVED(VirtQueue, last, "goes with in_flight"),
    STATE_FIELD_NOT_SAVED(VirtQueue, device, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtQueue, handle, "a function"),
    STATE_FIELD_NOT_SAVED(VirtQueue, loop, "by properties"),
    STATE_FIELD_NOT_SAVED(VirtQueue, index, "its place in the array"),
    STATE_FIELD_NOT_SAVED(VirtQueue, maximum, "by properties"),
    STATE_FIELDS_END,
};

static bool check_queue(void *state, uint32_t version, Error **error)
{
    const VirtQueue *queue = state;
    if (queue->size > queue->maximum || (queue->ready && queue->size == 0)) {
        return error_set(error, "a queue of %u entries, where %u is the most", queue->size, queue->maximum);
    }
    return true;
}

static const StateTable queue_state = {
    .name = "virtqueue", .version = 1, .minimum_version = 1, .fields = queue_fields, .check = check_queue,
};

static bool check_device(void *state, uint32_t version, Error **error)
{
    const VirtioDevice *device = state;
    uint64_t offered = device->host_features | BIT(VIRTIO_F_VERSION_1);
    for (unsigned i = 0; i < device->queue_count; i++) {
        const VirtQueue *queue = &device->queues[i];
        if (virtio_has(device, VIRTIO_F_RING_PACKED) && queue->ready &&
            (queue->next_available >= queue->size || queue->next_used >= queue->size)) {
            return error_set(error, "queue %u stands outside its ring", i);
        }
    }
    return !(device->driver_features & ~offered) ||
           error_set(error, "the driver accepted features that this device does not offer: 0x%llx",
                     (unsigned long long)(device->driver_features & ~offered));
}

static const StateField device_fields[] = {
    STATE_FIELD(VirtioDevice, driver_features, STATE_UNSIGNED),
    STATE_FIELD(VirtioDevice, status, STATE_UNSIGNED),
    STATE_FIELD(VirtioDevice, isr, STATE_UNSIGNED, .maximum = VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG),
    STATE_FIELD(VirtioDevice, broken, STATE_BOOL),
    STATE_FIELD(VirtioDevice, config_generation, STATE_UNSIGNED),
    STATE_FIELD_ARRAY(VirtioDevice, queues, STATE_STRUCT, .table = &queue_state),
    STATE_FIELD_NOT_SAVED(VirtioDevice, host_features, "by properties"),
    STATE_FIELD_NOT_SAVED(VirtioDevice, config_size, "of the class"),
    STATE_FIELD_NOT_SAVED(VirtioDevice, queue_count, "of the class and by properties"),
    STATE_FIELD_NOT_SAVED(VirtioDevice, transport, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtioDevice, transport_data, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtioDevice, pauses, "over when the machine is saved"),
    STATE_FIELD_NOT_SAVED(VirtioDevice, stopped, "the machine's run state says so"),
    STATE_FIELD_NOT_SAVED(VirtioDevice, resets, "they are finished before saving"),
    STATE_FIELDS_END,
};

static const StateTable device_state = {
    .name = "virtio", .version = 1, .minimum_version = 1, .fields = device_fields, .check = check_device,
};

static const Property properties[] = {
    PROP("indirect_desc", type_bool, VirtioDevice, indirect_desc, "on", "offer tables of descriptors"),
    PROP("event_idx", type_bool, VirtioDevice, event_idx, "on", "offer notification by index"),
    PROP("notify_on_empty", type_bool, VirtioDevice, notify_on_empty, "on", "interrupt when a queue runs empty"),
    PROP("any_layout", type_bool, VirtioDevice, any_layout, "on", "take headers in any split of buffers"),
    PROP("iommu_platform", type_bool, VirtioDevice, iommu_platform, "off", "go through the platform's address map"),
    PROP("packed", type_bool, VirtioDevice, packed, "off", "offer packed queues"),
    PROP("in_order", type_bool, VirtioDevice, in_order, "off", "offer to give buffers back in the order they came in"),
    PROP("queue_reset", type_bool, VirtioDevice, queue_reset, "on", "let single queues be reset"),
    PROP_END,
};

const VirtioDeviceClass virtio_device_class = {
    .device = {
        .class = {
            .name = "virtio-device",
            .parent = &device_class.class,
            .abstract = true,
            .size = sizeof(VirtioDevice),
            .properties = properties,
            .finalize = virtio_finalize,
        },
        .bus_type = "virtio-bus",
        .state = &device_state,
        .realize = virtio_realize,
        .unrealize = virtio_unrealize,
        .reset_hold = virtio_reset_hold,
        .still = virtio_still,
    },
};
