/*
 * Character devices: the host's side of serial ports, consoles and monitors. A back-end ("chardev-stdio" ...) moves
 * bytes between the host and the one front-end that is attached; a mux has several. All calls are on the main loop's
 * thread but char_write, which any thread may call.
 */
#pragma once

#include "object/object.h"

typedef struct CharDevice CharDevice;
typedef struct Loop Loop;
typedef struct Files Files;

typedef enum CharEvent { CHAR_EVENT_OPENED, CHAR_EVENT_CLOSED, CHAR_EVENT_BREAK, CHAR_EVENT_MUX_IN, CHAR_EVENT_MUX_OUT } CharEvent;

/* What a device or monitor attaches. Callbacks run on the main loop without the device's lock. */
typedef struct CharFrontend {
    CharDevice *backend; /* NULL: what is written is lost, nothing comes in */
    size_t (*can_receive)(void *data); /* bytes that `receive` takes now; 0: later, after char_accept_input */
    void (*receive)(void *data, const uint8_t *bytes, size_t count);
    void (*event)(void *data, CharEvent event);
    void *data;
    int mux_slot;
} CharFrontend;

bool char_attach(CharFrontend *frontend, CharDevice *backend, Error **error);
void char_detach(CharFrontend *frontend);
/* Bytes taken: fewer than `count` when the host cannot take more now; `writable` of char_notify_writable says when. */
size_t char_write(CharFrontend *frontend, const uint8_t *bytes, size_t count);
/* Calls `writable` once on the main loop when more can be written; replaces an earlier request. */
void char_notify_writable(CharFrontend *frontend, void (*writable)(void *data), void *data);
/* The front-end can receive again. Any thread. */
void char_accept_input(CharFrontend *frontend);
bool char_is_open(const CharFrontend *frontend);
typedef struct CharSerialParameters {
    int baud, data_bits, stop_bits;
    char parity; /* 'N', 'E', 'O' */
} CharSerialParameters;
void char_set_serial(CharFrontend *frontend, const CharSerialParameters *parameters);
void char_set_break(CharFrontend *frontend, bool on);

/* A property row of a device that names a chardev by id: its value is at `field_`, a CharFrontend. */
bool char_property_set(Object *object, const Property *property, const struct Json *value, Error **error);
struct Json *char_property_get(Object *object, const Property *property, Error **error);
#define PROP_CHARDEV(name_, struct_, field_) \
    { .name = name_, .type_name = "str", .offset = offsetof(struct_, field_), .get = char_property_get, \
      .set = char_property_set, .description = "ID of a character device" }
