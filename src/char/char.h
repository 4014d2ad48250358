/*
 * Character devices: the host's side of serial ports, consoles and monitors. A back-end ("chardev-stdio" ...) moves
 * bytes between the host and the one front-end that is attached; a mux has several. All calls are on the main loop's
 * thread but those marked "any thread".
 */
#pragma once

#include "object/object.h"

typedef struct CharDevice CharDevice;
typedef struct ChardevOptions ChardevOptions;
typedef struct Loop Loop;
typedef struct Files Files;

typedef enum CharEvent {
    CHAR_EVENT_OPENED,
    CHAR_EVENT_CLOSED,
    CHAR_EVENT_BREAK,
    CHAR_EVENT_MUX_IN,
    CHAR_EVENT_MUX_OUT
} CharEvent;

/* What a device or monitor attaches; it stays where it is while attached. Callbacks run on the main loop without the
 * device's lock. */
typedef struct CharFrontend {
    CharDevice *backend;               /* NULL: what is written is lost, nothing comes in */
    size_t (*can_receive)(void *data); /* bytes that `receive` takes now; 0: later, after char_accept_input */
    void (*receive)(void *data, const uint8_t *bytes, size_t count);
    void (*event)(void *data, CharEvent event);
    void *data;
    bool modest; /* on a mux: does not take the input from another front-end by being attached */
    int mux_slot;
    void (*writable)(void *data); /* char_notify_writable's, under the back-end's lock */
    void *writable_data;
} CharFrontend;

/* A back-end that is open already sends CHAR_EVENT_OPENED at once. */
bool char_attach(CharFrontend *frontend, CharDevice *backend, Error **error);
void char_detach(CharFrontend *frontend);
/* Bytes taken: fewer than `count` when the host cannot take more now; `writable` of char_notify_writable says when.
 * Any thread. */
size_t char_write(CharFrontend *frontend, const uint8_t *bytes, size_t count);
/* Calls `writable` once on the main loop when more can be written; replaces an earlier request. Any thread. */
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
/* A descriptor that the peer sent over a UNIX socket, the oldest first; owned by the caller. -1: there is none. */
int char_take_fd(CharFrontend *frontend);

/* A property row of a device that names a chardev by id: its value is at `field_`, a CharFrontend. */
bool char_property_set(Object *object, const Property *property, const struct Json *value, Error **error);
struct Json *char_property_get(Object *object, const Property *property, Error **error);
#define PROP_CHARDEV(name_, struct_, field_) \
    { .name = name_, .type_name = "str", .offset = offsetof(struct_, field_), .get = char_property_get, \
      .set = char_property_set, .description = "ID of a character device" }

/* Where character devices live: what a program or a machine in a library gives all of its own. */
typedef struct CharHost {
    Object *container; /* "/chardevs" */
    Loop *loop;
    Files *files;
    uint8_t escape; /* of a mux: Ctrl-A unless -echr says another */
    bool no_terminal; /* -daemonize: stdio cannot be used */
    bool (*interrupted)(void *data); /* asked while waiting for a peer: whether to give up; may be NULL */
    void (*exit_requested)(void *data); /* a mux's "x" */
    /* What the user may want to know; `kind` NULL: a program that reads the output, too. May be NULL. */
    void (*message)(void *data, const char *kind, const char *text);
    void *data;
} CharHost;

/* Makes the device that -chardev describes, with a "ID-base" under it where `mux` is asked for. It hangs in the
 * container, which holds the only reference: the result is borrowed. */
CharDevice *char_new(CharHost *host, const ChardevOptions *options, Error **error);
/* The same from the text of -serial, -monitor and -qmp: "stdio", "unix:path,server=on", "mon:stdio" and so on.
 * "none" succeeds with NULL in *device. `*monitor` (may be NULL: not allowed) says whether "mon:" was there. */
bool char_new_legacy(CharHost *host, const char *id, const char *text, CharDevice **device, bool *monitor,
                     Error **error);
/* One whose other end is the caller: `output` gets what is written (any thread); char_callback_input is what comes in,
 * of which it takes as much as there is room for. */
CharDevice *char_new_callback(CharHost *host, const char *id,
                              void (*output)(void *data, const uint8_t *bytes, size_t count), void *data,
                              Error **error);
size_t char_callback_input(CharDevice *device, const uint8_t *bytes, size_t count);
bool char_is_callback(const CharDevice *device);
CharDevice *char_find(CharHost *host, const char *id, Error **error);
/* An error while something is attached. */
bool char_remove(CharHost *host, const char *id, Error **error);
/* Closes all: sockets' files are unlinked, the terminal is as it was. */
void char_remove_all(CharHost *host);

const char *char_id(const CharDevice *device);
char *char_filename(const CharDevice *device); /* query-chardev's: "pty:/dev/pts/3"; owned by the caller */
bool char_has_frontend(const CharDevice *device); /* attached and open, as query-chardev says */
/* A line break of the terminal as a peer would send it. False with an error where the device has none. */
void char_send_break(CharDevice *device);
/* Bytes as if they came from the host: for tests and ring buffers. */
size_t char_ring_write(CharDevice *device, const uint8_t *bytes, size_t count);
size_t char_ring_read(CharDevice *device, uint8_t *bytes, size_t count);
bool char_is_ring(const CharDevice *device);
/* A mux gets the monitor as one more front-end. */
bool char_is_mux(const CharDevice *device);
