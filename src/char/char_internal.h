/*
 * What back-ends share: the device, its class table, and the helpers that call front-ends.
 *
 * Locks: `lock` guards the state that char_write touches (any thread), which is the class's output side. Everything
 * else belongs to the main loop's thread. Front-ends' callbacks are never called with the lock held.
 */
#pragma once

#include "base/thread.h"
#include "base/vec.h"
#include "char/char.h"

typedef struct CharClass {
    Class class;
    /* Opens the host's side. On failure `close` is called all the same. */
    bool (*open)(CharDevice *device, const ChardevOptions *options, Error **error);
    void (*close)(CharDevice *device);
    /* Any thread, locked: bytes taken. */
    size_t (*write)(CharDevice *device, const uint8_t *bytes, size_t count);
    /* Main loop: what the front-end wants changed (attached, can receive, waits to write): set watches accordingly. */
    void (*update)(CharDevice *device);
    void (*set_serial)(CharDevice *device, const CharSerialParameters *parameters);
    void (*set_break)(CharDevice *device, bool on);
    int (*take_fd)(CharDevice *device);
    /* query-chardev's filename; owned by the caller. NULL: the name of the back-end. */
    char *(*filename)(const CharDevice *device);
    /* A mux alone: several front-ends. */
    bool (*attach)(CharDevice *device, CharFrontend *frontend, Error **error);
    void (*detach)(CharDevice *device, CharFrontend *frontend);
} CharClass;

struct CharDevice {
    Object object;
    CharHost *host;
    const char *backend; /* "stdio": its name on the command line */
    CharFrontend *frontend;
    bool opened;         /* there is a peer */
    bool closing;
    _Atomic bool update_posted;
    Mutex lock;
    bool wants_write; /* char_notify_writable was called: cleared by char_writable. Locked */
    int log_fd;
};

extern const CharClass char_class, char_callback_class, char_file_class, char_memory_class, char_mux_class,
    char_null_class, char_pipe_class, char_pty_class, char_ringbuf_class, char_socket_class, char_stdio_class,
    char_vc_class;
#define char_class_of(device) ((const CharClass *)((const CharDevice *)(device))->object.class)

/* Opens one under a checked id; it hangs in the container when it succeeds. `options` NULL: `open` needs none. */
CharDevice *char_make(CharHost *host, const char *id, const CharClass *class, const ChardevOptions *options,
                      Error **error);
/* Tells the user something: CharHost's `message`. */
void char_message(CharDevice *device, const char *kind, const char *format, ...) PRINTF(3, 4);
/* Bytes that the front-end takes now; 0 without one. */
size_t char_can_receive(CharDevice *device);
void char_receive(CharDevice *device, const uint8_t *bytes, size_t count);
void char_event(CharDevice *device, CharEvent event);
/* The peer came or went: the front-end is told where that is a change. */
void char_set_opened(CharDevice *device, bool opened);
/* The host takes bytes again: calls the waiting front-end (NULL: none). */
void char_frontend_writable(CharDevice *device, CharFrontend *frontend);
void char_writable(CharDevice *device);
bool char_wants_write(CharDevice *device);
/* Has `update` run on the main loop soon. Any thread. */
void char_post_update(CharDevice *device);

bool char_mux_in_use(const CharDevice *device);

/* A pair of descriptors (which may be the same) that are read and written without blocking: what stdio, pipe, pty and
 * connected sockets are made of. The owner calls update from its own. */
typedef struct CharFd {
    CharDevice *device;
    int in, out; /* -1: there is none */
    struct LoopFd *in_watch, *out_watch;
    /* In place of read(2); -1 with errno, 0 at the end. May be NULL. */
    ssize_t (*read)(CharDevice *device, int fd, void *bytes, size_t count);
    /* Takes the bytes in place of char_receive: telnet. May be NULL. */
    void (*received)(CharDevice *device, uint8_t *bytes, size_t count);
    void (*ended)(CharDevice *device); /* end of file, or an error */
} CharFd;
/* Takes the descriptors over; they are set to not block. */
void char_fd_start(CharFd *channel, CharDevice *device, int in, int out);
void char_fd_update(CharFd *channel);
size_t char_fd_write(CharFd *channel, const uint8_t *bytes, size_t count);
/* Reads no more and closes the input, unless it is up to 2; writers on other threads notice nothing. The output is
 * another descriptor. */
void char_fd_end_input(CharFd *channel);
/* Removes the watches; the descriptors are the caller's again. */
void char_fd_release(CharFd *channel);
/* The same, and closes the descriptors, but for those up to 2. */
void char_fd_stop(CharFd *channel);
