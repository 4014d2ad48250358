/*
 * A console device: VIRTIO 1.2, section 5.3 ("virtio-serial-device"), with a bus of up to 31 ports that may come and go
 * while the machine runs (virtio_port.c). With VIRTIO_CONSOLE_F_MULTIPORT the driver is told of ports by messages on
 * the control queues; without, it knows port 0 alone, and takes it to be open.
 *
 * A message waits as a bit of `tell` until the driver has a buffer for it: what changed twice meanwhile is told once.
 *
 * Not here: the console's size (VIRTIO_CONSOLE_F_SIZE); resets of single queues.
 */
#include "hw/virtio/virtio_serial.h"

#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

enum { VIRTIO_ID_CONSOLE = 3, QUEUE_SIZE = 128, CONTROL_QUEUE_SIZE = 32 };
enum { F_EMERGENCY_WRITE = 2 };
enum { CONFIG_MAX_PORTS = 4, CONFIG_EMERGENCY = 8, CONFIG_SIZE = 12 };
enum { QUEUE_CONTROL_RECEIVE = 2, QUEUE_CONTROL_TRANSMIT = 3 };

/* struct virtio_console_control: id (4 bytes), event (2), value (2). */
enum { MESSAGE_SIZE = 8 };
typedef enum ControlEvent {
    EVENT_DEVICE_READY,
    EVENT_PORT_ADD,
    EVENT_PORT_REMOVE,
    EVENT_PORT_READY,
    EVENT_CONSOLE_PORT,
    EVENT_RESIZE,
    EVENT_PORT_OPEN,
    EVENT_PORT_NAME,
} ControlEvent;

/* Queues: two for port 0, two for control, two for each further port. */

VirtQueue *virtio_serial_receive_queue(VirtioSerial *serial, uint32_t port)
{
    return &serial->virtio.queues[port ? 2 * port + 2 : 0];
}

VirtQueue *virtio_serial_transmit_queue(VirtioSerial *serial, uint32_t port)
{
    return virtio_serial_receive_queue(serial, port) + 1;
}

static VirtioPort *port_of_queue(VirtioSerial *serial, const VirtQueue *queue)
{
    unsigned number = queue->index < QUEUE_CONTROL_RECEIVE ? 0 : queue->index / 2 - 1;
    return serial->ports[number];
}

static uint16_t order16(const VirtioSerial *serial, uint16_t value)
{
    return virtio_is_big_endian(&serial->virtio) ? __builtin_bswap16(value) : value;
}

static uint32_t order32(const VirtioSerial *serial, uint32_t value)
{
    return virtio_is_big_endian(&serial->virtio) ? __builtin_bswap32(value) : value;
}

/* Telling the driver. */

static bool send_message(VirtioSerial *serial, uint32_t port, ControlEvent event, uint16_t value, const char *text)
{
    VirtQueue *queue = &serial->virtio.queues[QUEUE_CONTROL_RECEIVE];
    VirtElement *element = virtqueue_pop(queue);
    uint8_t message[MESSAGE_SIZE];
    if (!element) {
        return false;
    }
    store_le32(message, order32(serial, port));
    store_le16(message + 4, order16(serial, event));
    store_le16(message + 6, order16(serial, value));
    size_t written = virt_write(element, 0, message, sizeof message);
    written += virt_write(element, sizeof message, text, text ? strlen(text) : 0);
    virtqueue_push(queue, element, (uint32_t)written);
    return true;
}

/* The lowest bit of `tell`; false where there is no buffer for it. */
static bool tell_one(VirtioSerial *serial, uint32_t number, uint8_t what)
{
    VirtioPort *port = serial->ports[number];
    bool sent = false;
    switch (what) {
    case TELL_REMOVE:
        sent = send_message(serial, number, EVENT_PORT_REMOVE, 1, NULL);
        break;
    case TELL_ADD:
        sent = send_message(serial, number, EVENT_PORT_ADD, 1, NULL);
        break;
    case TELL_CONSOLE:
        sent = send_message(serial, number, EVENT_CONSOLE_PORT, 1, NULL);
        break;
    case TELL_NAME:
        sent = send_message(serial, number, EVENT_PORT_NAME, 1, port->name);
        break;
    case TELL_OPEN:
        sent = send_message(serial, number, EVENT_PORT_OPEN, virtio_port_host_open(port), NULL);
        port->told_open = sent ? virtio_port_host_open(port) : port->told_open;
        break;
    }
    return sent;
}

static void tell_all(VirtioSerial *serial)
{
    bool sent = false, room = serial->driver_ready;
    for (uint32_t number = 0; room && number < serial->max_ports; number++) {
        while (room && serial->tell[number]) {
            uint8_t what = serial->tell[number] & -serial->tell[number];
            room = tell_one(serial, number, what);
            if (room) {
                serial->tell[number] &= (uint8_t)~what;
                sent = true;
            }
        }
    }
    if (sent) {
        virtqueue_interrupt(&serial->virtio.queues[QUEUE_CONTROL_RECEIVE]);
    }
}

void virtio_serial_tell(VirtioSerial *serial, uint32_t port, uint8_t tell)
{
    uint8_t *pending = &serial->tell[port];
    if (tell == TELL_REMOVE) {
        /* One that the driver has not heard of needs no farewell; of one that it has, nothing else matters. */
        *pending = *pending & TELL_ADD ? *pending & TELL_REMOVE : TELL_REMOVE;
    } else {
        *pending |= tell;
    }
    tell_all(serial);
}

/* Hearing the driver. */

static void driver_says_ready(VirtioSerial *serial, bool well)
{
    if (!well) {
        log_guest_error(device_log(&serial->virtio.device), "%s: the driver cannot use the device\n",
                        device_name(&serial->virtio.device));
        return;
    }
    serial->driver_ready = true;
    tell_all(serial);
}

static void driver_takes_port(VirtioPort *port, bool well)
{
    VirtioSerial *serial = port->serial;
    if (!well) {
        log_guest_error(device_log(&serial->virtio.device), "%s: the driver cannot use port %" PRIu32 "\n",
                        device_name(&serial->virtio.device), port->number);
        return;
    }
    port->known = true;
    serial->tell[port->number] |= (virtio_port_is_console(port) ? TELL_CONSOLE : 0) | (port->name ? TELL_NAME : 0) |
                                  (virtio_port_host_open(port) ? TELL_OPEN : 0);
    tell_all(serial);
}

static void hear(VirtioSerial *serial, const uint8_t message[MESSAGE_SIZE])
{
    uint32_t number = order32(serial, load_le32(message));
    uint16_t event = order16(serial, load_le16(message + 4)), value = order16(serial, load_le16(message + 6));
    VirtioPort *port = number < serial->max_ports ? serial->ports[number] : NULL;
    if (event == EVENT_DEVICE_READY) {
        driver_says_ready(serial, value);
    } else if (!port) { /* it may have gone just now */
        log_guest_error(device_log(&serial->virtio.device), "%s: message %u for port %" PRIu32 ", which is not there\n",
                        device_name(&serial->virtio.device), event, number);
    } else if (event == EVENT_PORT_READY) {
        driver_takes_port(port, value);
    } else if (event == EVENT_PORT_OPEN) {
        port->guest_open = value;
        char_accept_input(&port->frontend);
    } else {
        log_guest_error(device_log(&serial->virtio.device), "%s: unknown message %u\n",
                        device_name(&serial->virtio.device), event);
    }
}

static void handle_control_transmit(VirtioDevice *device, VirtQueue *queue)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    for (unsigned i = 0; i < queue->size; i++) {
        VirtElement *element = virtqueue_pop(queue);
        uint8_t message[MESSAGE_SIZE];
        if (!element) {
            virtqueue_interrupt(queue);
            return;
        }
        if (virt_read(element, 0, message, sizeof message) == sizeof message) {
            hear(serial, message);
        }
        virtqueue_push(queue, element, 0);
    }
    virtqueue_interrupt(queue);
    virtqueue_again(queue);
}

static void handle_control_receive(VirtioDevice *device, VirtQueue *queue) { tell_all((VirtioSerial *)device); }

/* Ports' queues. */

static void handle_receive(VirtioDevice *device, VirtQueue *queue)
{
    VirtioPort *port = port_of_queue((VirtioSerial *)device, queue);
    if (port) {
        char_accept_input(&port->frontend);
    }
}

/* What is written to a port that is not there is lost. */
static void discard(VirtQueue *queue)
{
    for (unsigned i = 0; i < queue->size; i++) {
        VirtElement *element = virtqueue_pop(queue);
        if (!element) {
            virtqueue_interrupt(queue);
            return;
        }
        virtqueue_push(queue, element, 0);
    }
    virtqueue_interrupt(queue);
    virtqueue_again(queue);
}

static void handle_transmit(VirtioDevice *device, VirtQueue *queue)
{
    VirtioPort *port = port_of_queue((VirtioSerial *)device, queue);
    if (port) {
        virtio_port_transmit(port);
    } else {
        discard(queue);
    }
}

/* Configuration. */

static void get_config(VirtioDevice *device, uint8_t *config)
{
    const VirtioSerial *serial = (const VirtioSerial *)device;
    store_le32(config + CONFIG_MAX_PORTS, order32(serial, serial->max_ports));
}

static void set_config(VirtioDevice *device, const uint8_t *config, uint32_t offset, uint32_t size)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    if (!serial->emergency_write || offset > CONFIG_EMERGENCY || offset + size <= CONFIG_EMERGENCY) {
        return;
    }
    for (uint32_t number = 0; number < serial->max_ports; number++) {
        if (serial->ports[number] && virtio_port_is_console(serial->ports[number])) {
            virtio_port_emergency(serial->ports[number],
                                  (uint8_t)order32(serial, load_le32(config + CONFIG_EMERGENCY)));
            return;
        }
    }
}

/* A driver that has just begun, or has ended, knows of no port. */
static void features_changed(VirtioDevice *device)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    if (device->driver_features) {
        return;
    }
    serial->driver_ready = false;
    for (uint32_t number = 0; number < serial->max_ports; number++) {
        serial->tell[number] = serial->ports[number] ? TELL_ADD : 0;
        if (serial->ports[number]) {
            virtio_port_forget(serial->ports[number]);
        }
    }
}

/* The bus. */

static bool is_number_taken(const VirtioSerial *serial, uint32_t number)
{
    LIST_FOREACH(&serial->bus->devices, other, Device, sibling)
    {
        if (((const VirtioPort *)other)->number == number) {
            return true;
        }
    }
    return false;
}

static bool is_name_taken(const VirtioSerial *serial, const char *name)
{
    LIST_FOREACH(&serial->bus->devices, other, Device, sibling)
    {
        const VirtioPort *port = (const VirtioPort *)other;
        if (port->name && !strcmp(port->name, name)) {
            return true;
        }
    }
    return false;
}

/* Port 0 is a console's: drivers without MULTIPORT take it for one. */
static bool give_number(const VirtioSerial *serial, VirtioPort *port, Error **error)
{
    uint32_t number = virtio_port_is_console(port) ? 0 : 1;
    if (port->number == PORT_ANY) {
        while (number < serial->max_ports && is_number_taken(serial, number)) {
            number++;
        }
        port->number = number;
        return number < serial->max_ports ||
               error_set(error, "virtio-serial-bus: Maximum port limit for this device reached");
    }
    if (port->number >= serial->max_ports) {
        return error_set(error, "virtio-serial-bus: Out-of-range port id specified, max. allowed: %" PRIu32,
                         serial->max_ports - 1);
    }
    if (port->number < number) {
        return error_set(error, "virtio-serial-bus: port 0 is reserved for virtconsole devices");
    }
    return !is_number_taken(serial, port->number) ||
           error_set(error, "virtio-serial-bus: A port already exists at id %" PRIu32, port->number);
}

static bool port_plug(Bus *bus, Device *device, Error **error)
{
    VirtioSerial *serial = (VirtioSerial *)bus->owner;
    VirtioPort *port = (VirtioPort *)device;
    if (port->name && is_name_taken(serial, port->name)) {
        return error_set(error, "virtio-serial-bus: A port already exists by name %s", port->name);
    }
    device_share_lock(device, bus->owner->lock);
    return give_number(serial, port, error);
}

static void serial_bus_init(Object *object)
{
    Bus *bus = (Bus *)object;
    bus->hot_pluggable = true;
    bus->plug = port_plug;
}

const Class virtio_serial_bus_class = {
    .name = "virtio-serial-bus",
    .parent = &bus_class,
    .description = "The ports of a virtio console device",
    .init = serial_bus_init,
};

/* The device. */

static bool serial_realize(Device *device, Error **error)
{
    VirtioSerial *serial = (VirtioSerial *)device;
    if (serial->max_ports < 1 || serial->max_ports > SERIAL_PORTS) {
        return error_set(error, "'max_ports' must be from 1 to %d", SERIAL_PORTS);
    }
    serial->bus = bus_new(&virtio_serial_bus_class, device, device->machine, NULL, error);
    if (!serial->bus) {
        return false;
    }
    serial->virtio.host_features |= (serial->max_ports > 1 ? BIT(VIRTIO_CONSOLE_F_MULTIPORT) : 0) |
                                    (serial->emergency_write ? BIT(F_EMERGENCY_WRITE) : 0);
    serial->virtio.host_features &= ~BIT(VIRTIO_F_RING_RESET); /* a port would not know what it has sent */
    serial->virtio.config_size = CONFIG_SIZE;
    virtio_add_queue(&serial->virtio, QUEUE_SIZE, handle_receive);
    virtio_add_queue(&serial->virtio, QUEUE_SIZE, handle_transmit);
    if (serial->max_ports > 1) {
        virtio_add_queue(&serial->virtio, CONTROL_QUEUE_SIZE, handle_control_receive);
        virtio_add_queue(&serial->virtio, CONTROL_QUEUE_SIZE, handle_control_transmit);
    }
    for (uint32_t port = 1; port < serial->max_ports; port++) {
        virtio_add_queue(&serial->virtio, QUEUE_SIZE, handle_receive);
        virtio_add_queue(&serial->virtio, QUEUE_SIZE, handle_transmit);
    }
    return true;
}

static const StateField state_fields[] = {
    STATE_FIELD(VirtioSerial, driver_ready, STATE_BOOL),
    STATE_FIELD_ARRAY(VirtioSerial, tell, STATE_UNSIGNED,
                      .maximum = TELL_REMOVE | TELL_ADD | TELL_CONSOLE | TELL_NAME | TELL_OPEN),
    STATE_FIELD_NOT_SAVED(VirtioSerial, bus, "a handle"),
    STATE_FIELD_NOT_SAVED(VirtioSerial, ports, "handles"),
    STATE_FIELDS_END,
};

/* A port that is not there can only be gone; one without a name is not told one. */
static bool check_loaded(void *state, uint32_t version, Error **error)
{
    const VirtioSerial *serial = state;
    for (uint32_t number = 0; number < SERIAL_PORTS; number++) {
        const VirtioPort *port = serial->ports[number];
        uint8_t allowed = !port ? TELL_REMOVE : port->name ? UINT8_MAX : (uint8_t)~TELL_NAME;
        if (serial->tell[number] & ~allowed) {
            return error_set(error, "the driver is to hear of port %" PRIu32 ", which is not like that here", number);
        }
    }
    return true;
}

static const StateTable state_table = {
    .name = "virtio-serial", .version = 1, .minimum_version = 1, .fields = state_fields, .check = check_loaded,
};

static const Property properties[] = {
    PROP("max_ports", type_uint32, VirtioSerial, max_ports, "31", "ports that there can be"),
    PROP("emergency-write", type_bool, VirtioSerial, emergency_write, "on",
         "let the driver write a character past all queues"),
    PROP_END,
};

const VirtioDeviceClass virtio_serial_class = {
    .device = {
        .class = {
            .name = "virtio-serial-device",
            .parent = &virtio_device_class.device.class,
            .description = "Virtio consoles and ports",
            .size = sizeof(VirtioSerial),
            .properties = properties,
        },
        .bus_type = "virtio-bus",
        .category = "Input",
        .user_pluggable = true,
        .state = &state_table,
        .realize = serial_realize,
    },
    .virtio_id = VIRTIO_ID_CONSOLE,
    .get_config = get_config,
    .set_config = set_config,
    .features_changed = features_changed,
};
