/*
 * Ports of a virtio console device: VIRTIO 1.2, section 5.3.6. "virtconsole" is a terminal, open as long as it exists;
 * "virtserialport" a pipe with a name, whose ends are told when the other one opens or closes. Each moves bytes between
 * its pair of queues and a character device, and may be unplugged while the machine runs.
 *
 * A buffer that the host took a part of stays in the queue; how much that was is the port's state.
 */
#include "hw/virtio/virtio_serial.h"

#include "api/type.h"
#include "base/error.h"
#include "base/strbuf.h"

#include <inttypes.h>

enum { PIECE = 4096 };

static VirtioPort *port_of(void *device) { return device; }

bool virtio_port_host_open(const VirtioPort *port)
{
    return virtio_port_is_console(port) || (port->frontend.backend && char_is_open(&port->frontend));
}

bool virtio_port_guest_open(const VirtioPort *port)
{
    return port->guest_open || virtio_port_is_console(port) ||
           !virtio_has(&port->serial->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* To the guest. */

/* The next buffer that is not empty. */
static VirtElement *pop_to_fill(VirtioPort *port)
{
    VirtQueue *queue = virtio_serial_receive_queue(port->serial, port->number);
    for (unsigned i = 0; i < queue->size; i++) {
        VirtElement *element = virtqueue_pop(queue);
        if (!element || element->in_bytes) {
            return element;
        }
        virtqueue_push(queue, element, 0);
    }
    return NULL;
}

static size_t port_can_receive(void *data)
{
    VirtioPort *port = data;
    size_t bytes = 0;
    device_lock(port->device.lock);
    VirtElement *element = port->serial && virtio_port_guest_open(port) ? pop_to_fill(port) : NULL;
    if (element) {
        bytes = element->in_bytes;
        virtqueue_unpop(virtio_serial_receive_queue(port->serial, port->number), element);
    }
    device_unlock(port->device.lock);
    return bytes;
}

/* Between the question and this the driver may have reset the device: then they are lost, as it wanted. */
static void port_receive(void *data, const uint8_t *bytes, size_t count)
{
    VirtioPort *port = data;
    device_lock(port->device.lock);
    VirtQueue *queue = virtio_serial_receive_queue(port->serial, port->number);
    while (count) {
        VirtElement *element = pop_to_fill(port);
        if (!element) {
            break;
        }
        size_t written = virt_write(element, 0, bytes, count);
        virtqueue_push(queue, element, (uint32_t)written);
        bytes += written;
        count -= written;
    }
    virtqueue_interrupt(queue);
    device_unlock(port->device.lock);
}

/* From the guest. */

static void host_writable(void *data)
{
    VirtioPort *port = data;
    device_lock(port->device.lock);
    port->notified = false;
    if (port->serial) {
        virtio_port_transmit(port);
    }
    device_unlock(port->device.lock);
}

/* Whether the host took all that is left of the buffer. */
static bool transmit_one(VirtioPort *port, const VirtElement *element)
{
    uint8_t bytes[PIECE];
    while (port->sent < element->out_bytes) {
        size_t count = virt_read(element, port->sent, bytes, sizeof bytes);
        size_t taken = char_write(&port->frontend, bytes, count);
        port->sent += (uint32_t)taken;
        if (taken < count) {
            return false;
        }
    }
    return true;
}

void virtio_port_transmit(VirtioPort *port)
{
    VirtQueue *queue = virtio_serial_transmit_queue(port->serial, port->number);
    bool read = port->frontend.backend && char_is_open(&port->frontend); /* else it is lost */
    for (unsigned i = 0; i < queue->size; i++) {
        VirtElement *element = port->notified ? NULL : virtqueue_pop(queue);
        if (!element) {
            virtqueue_interrupt(queue);
            return;
        }
        if (read && !transmit_one(port, element)) {
            virtqueue_unpop(queue, element);
            port->notified = true;
            char_notify_writable(&port->frontend, host_writable, port);
            continue; /* ends */
        }
        port->sent = 0;
        virtqueue_push(queue, element, 0);
    }
    virtqueue_interrupt(queue);
    virtqueue_again(queue);
}

static void tell_if_changed(VirtioPort *port)
{
    if (port->known && port->told_open != virtio_port_host_open(port)) {
        virtio_serial_tell(port->serial, port->number, TELL_OPEN);
    }
}

static void port_event(void *data, CharEvent event)
{
    VirtioPort *port = data;
    device_lock(port->device.lock);
    if (port->serial) {
        tell_if_changed(port);
        port->notified &= char_is_open(&port->frontend);
        virtio_port_transmit(port); /* what nobody reads any more is lost */
    }
    device_unlock(port->device.lock);
}

void virtio_port_emergency(VirtioPort *port, uint8_t byte) { char_write(&port->frontend, &byte, 1); }

void virtio_port_forget(VirtioPort *port)
{
    port->known = port->guest_open = port->told_open = false;
    port->sent = 0;
}

/* Life. */

static void port_init(Object *object)
{
    VirtioPort *port = port_of(object);
    port->frontend = (CharFrontend){
        .can_receive = port_can_receive, .receive = port_receive, .event = port_event, .data = port,
    };
}

static bool port_realize(Device *device, Error **error)
{
    VirtioPort *port = port_of(device);
    device_lock(device->lock);
    port->serial = (VirtioSerial *)device->bus->owner;
    port->serial->ports[port->number] = port;
    virtio_serial_tell(port->serial, port->number, TELL_ADD);
    device_unlock(device->lock);
    return true;
}

static void port_unrealize(Device *device)
{
    VirtioPort *port = port_of(device);
    char_detach(&port->frontend);
    device_lock(device->lock);
    VirtioSerial *serial = port->serial;
    port->serial = NULL;
    serial->ports[port->number] = NULL;
    virtio_serial_tell(serial, port->number, TELL_REMOVE);
    device_unlock(device->lock);
}

/* The back-end is attached when the property is set, realized or not. */
static void port_finalize(Object *object) { char_detach(&port_of(object)->frontend); }

/* The driver that was told otherwise before saving hears what is so now. */
static void port_settle(Device *device)
{
    VirtioPort *port = port_of(device);
    tell_if_changed(port);
    char_accept_input(&port->frontend);
}

static void port_print(Device *device, StrBuf *out)
{
    const VirtioPort *port = port_of(device);
    strbuf_printf(out, "port %" PRIu32 ", guest %s, host %s", port->number,
                  virtio_port_guest_open(port) ? "on" : "off", virtio_port_host_open(port) ? "on" : "off");
}

static const StateField state_fields[] = {
    STATE_FIELD(VirtioPort, known, STATE_BOOL),
    STATE_FIELD(VirtioPort, guest_open, STATE_BOOL),
    STATE_FIELD(VirtioPort, told_open, STATE_BOOL),
    STATE_FIELD(VirtioPort, sent, STATE_UNSIGNED),
    STATE_FIELD_NOT_SAVED(VirtioPort, frontend, "the host's side"),
    STATE_FIELD_NOT_SAVED(VirtioPort, notified, "the queue is looked at when the machine runs"),
    STATE_FIELD_NOT_SAVED(VirtioPort, serial, "a handle"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "virtio-serial-port", .version = 1, .minimum_version = 1, .fields = state_fields,
};

static const Property properties[] = {
    PROP_CHARDEV("chardev", VirtioPort, frontend),
    PROP("nr", type_uint32, VirtioPort, number, "4294967295", "its number on the device; 4294967295: the next"),
    PROP("name", type_string, VirtioPort, name, NULL, "what the guest finds it by"),
    PROP_END,
};

const VirtioPortClass virtio_port_class = {
    .device = {
        .class = {
            .name = "virtio-serial-port",
            .parent = &device_class.class,
            .abstract = true,
            .size = sizeof(VirtioPort),
            .properties = properties,
            .init = port_init,
            .finalize = port_finalize,
        },
        .bus_type = "virtio-serial-bus",
        .category = "Input",
        .state = &state_table,
        .realize = port_realize,
        .unrealize = port_unrealize,
        .settle = port_settle,
        .print = port_print,
    },
};

const VirtioPortClass virtserialport_class = {
    .device = {
        .class = {
            .name = "virtserialport",
            .parent = &virtio_port_class.device.class,
            .description = "Port of a virtio console device",
            .size = sizeof(VirtioPort),
        },
        .category = "Input",
        .user_pluggable = true,
        .hot_pluggable = true,
    },
};

const VirtioPortClass virtconsole_class = {
    .device = {
        .class = {
            .name = "virtconsole",
            .parent = &virtio_port_class.device.class,
            .description = "Terminal on a virtio console device",
            .size = sizeof(VirtioPort),
        },
        .category = "Input",
        .user_pluggable = true,
        .hot_pluggable = true,
    },
    .console = true,
};
