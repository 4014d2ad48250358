/* Between a virtio console device (virtio_serial.c) and its ports (virtio_port.c). */
#pragma once

#include "char/char.h"
#include "hw/virtio/virtio.h"

typedef struct VirtioPort VirtioPort;

enum { VIRTIO_CONSOLE_F_MULTIPORT = 1 };
enum { SERIAL_PORTS = 31 }; /* at most: two queues for each, and two for control */

/* What the driver is to be told of a port, as soon as it gives a buffer for it: in this order. */
enum {
    TELL_REMOVE = 1,
    TELL_ADD = 2,
    TELL_CONSOLE = 4,
    TELL_NAME = 8,
    TELL_OPEN = 16,
};

typedef struct VirtioSerial {
    VirtioDevice virtio;
    Bus *bus; /* "virtio-serial-bus" */
    uint32_t max_ports;
    bool emergency_write;
    bool driver_ready;          /* it said so on the control queue */
    uint8_t tell[SERIAL_PORTS]; /* TELL_* */
    VirtioPort *ports[SERIAL_PORTS]; /* NULL where there is none */
} VirtioSerial;

struct VirtioPort {
    Device device; /* its lock is the VirtioSerial's */
    VirtioSerial *serial; /* NULL while it is not plugged in */
    CharFrontend frontend;
    uint32_t number; /* property nr; PORT_ANY before it has a place */
    char *name;
    bool known;       /* the driver said that it is ready for the port */
    bool guest_open;  /* somebody in the guest has it open */
    bool told_open;   /* what the driver was told last of the host's side */
    uint32_t sent;    /* bytes of the first buffer to be transmitted that the host has taken */
    bool notified;    /* the host's side will say when it takes more */
};

#define PORT_ANY UINT32_MAX

typedef struct VirtioPortClass {
    DeviceClass device;
    bool console; /* open on both sides as long as it exists */
} VirtioPortClass;

extern const VirtioPortClass virtio_port_class; /* "virtio-serial-port", abstract */

static inline bool virtio_port_is_console(const VirtioPort *port)
{
    return ((const VirtioPortClass *)port->device.object.class)->console;
}

VirtQueue *virtio_serial_receive_queue(VirtioSerial *serial, uint32_t port);
VirtQueue *virtio_serial_transmit_queue(VirtioSerial *serial, uint32_t port);

/* All under the lock. Tells the driver what `tell` says, as far as it has given buffers. */
void virtio_serial_tell(VirtioSerial *serial, uint32_t port, uint8_t tell);
/* The other side of the port is open: always, for a console. */
bool virtio_port_host_open(const VirtioPort *port);
/* Whether the driver wants what comes in, and sends only what somebody reads. */
bool virtio_port_guest_open(const VirtioPort *port);
/* What the driver made available to be transmitted goes out. */
void virtio_port_transmit(VirtioPort *port);
/* A byte past all buffers and queues: the guest's last words. */
void virtio_port_emergency(VirtioPort *port, uint8_t byte);
/* The driver is gone: it has not heard of the port. */
void virtio_port_forget(VirtioPort *port);
