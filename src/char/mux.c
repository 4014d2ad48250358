/*
 * Several front-ends on one back-end: the serial port and the monitor on a terminal. Output of all goes out; input goes
 * to the one that has the focus, the newest (but for modest ones) until Ctrl-A C hands it on. After the escape
 * character (Ctrl-A, or -echr's) a byte is a command: see the table. What the focused front-end cannot take yet is
 * kept, so that commands work while a guest does not read.
 *
 * Not here: Ctrl-A S, which writes the changes of -snapshot back: there is no -snapshot.
 */
#include "char/char_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "base/host/host.h"
#include "schema/char.h"

#include <stdio.h>
#include <string.h>

enum { MUX_SLOTS = 8, MUX_PENDING = 4096, STAMP_SIZE = 32 };
#define NS_IN_MS INT64_C(1000000)

typedef struct MuxSlot {
    CharFrontend *frontend;
    uint32_t put, taken; /* counts of bytes in and out of `pending` */
    uint8_t pending[MUX_PENDING];
} MuxSlot;

typedef struct MuxChar {
    CharDevice device;
    CharFrontend base;
    MuxSlot slots[MUX_SLOTS];
    int focus; /* a slot; -1: none */
    bool escaped;
    /* Under the device's lock: */
    bool timestamps, line_start;
    int64_t timestamps_since; /* ns; 0: none yet */
    char stamp[STAMP_SIZE];   /* what of a stamp could not be written yet */
    size_t stamp_length, stamp_done;
} MuxChar;

typedef struct MuxKey {
    char key;
    void (*act)(MuxChar *mux);
    const char *help;
} MuxKey;

static void mux_help(MuxChar *mux);

static void mux_slot_event(MuxChar *mux, int slot, CharEvent event)
{
    CharFrontend *frontend = slot >= 0 ? mux->slots[slot].frontend : NULL;
    if (frontend && frontend->event) {
        frontend->event(frontend->data, event);
    }
}

static void mux_set_focus(MuxChar *mux, int slot)
{
    if (mux->focus != slot) {
        mux_slot_event(mux, mux->focus, CHAR_EVENT_MUX_OUT);
        mux->focus = slot;
        mux_slot_event(mux, slot, CHAR_EVENT_MUX_IN);
    }
}

/* The next slot in use after `slot`, around the end; -1 where there is none. */
static int mux_next(const MuxChar *mux, int slot)
{
    for (int i = 1; i <= MUX_SLOTS; i++) {
        int candidate = (slot + i) % MUX_SLOTS;
        if (mux->slots[candidate].frontend) {
            return candidate;
        }
    }
    return -1;
}

static void mux_print(MuxChar *mux, const char *text)
{
    char_write(&mux->base, (const uint8_t *)text, strlen(text));
}

static void mux_exit(MuxChar *mux)
{
    CharHost *host = mux->device.host;
    mux_print(mux, "QEMU: Terminated\n\r");
    if (host->exit_requested) {
        host->exit_requested(host->data);
    }
}

static void mux_toggle_timestamps(MuxChar *mux)
{
    mutex_lock(&mux->device.lock);
    mux->timestamps = !mux->timestamps;
    mux->timestamps_since = 0;
    mux->line_start = false;
    mutex_unlock(&mux->device.lock);
}

static void mux_break(MuxChar *mux) { mux_slot_event(mux, mux->focus, CHAR_EVENT_BREAK); }
static void mux_switch(MuxChar *mux) { mux_set_focus(mux, mux_next(mux, mux->focus)); }

static const MuxKey mux_keys[] = {
    { 'h', mux_help, "print this help" },
    { 'x', mux_exit, "exit emulator" },
    { 't', mux_toggle_timestamps, "toggle console timestamps" },
    { 'b', mux_break, "send break (magic sysrq)" },
    { 'c', mux_switch, "switch between console and monitor" },
    { '?', mux_help, NULL },
};

static void mux_help(MuxChar *mux)
{
    char escape[8], line[80];
    uint8_t byte = mux->device.host->escape;
    snprintf(escape, sizeof escape, byte < 27 ? "C-%c" : "0x%02x", byte < 27 ? byte + 'a' - 1 : byte);
    mux_print(mux, "\n\r");
    for (size_t i = 0; i < ARRAY_SIZE(mux_keys); i++) {
        if (mux_keys[i].help) {
            snprintf(line, sizeof line, "%s %c    %s\n\r", escape, mux_keys[i].key, mux_keys[i].help);
            mux_print(mux, line);
        }
    }
    snprintf(line, sizeof line, "%s %s  sends %s\n\r", escape, escape, escape);
    mux_print(mux, line);
}

/* Gives the focused front-end what it takes of its pending bytes. */
static void mux_flush(MuxChar *mux)
{
    while (mux->focus >= 0) {
        MuxSlot *slot = &mux->slots[mux->focus];
        CharFrontend *frontend = slot->frontend;
        uint32_t start = slot->taken % MUX_PENDING;
        size_t room = frontend && frontend->can_receive ? frontend->can_receive(frontend->data) : 0;
        size_t count = MIN(MIN(room, slot->put - slot->taken), MUX_PENDING - start);
        if (!count) {
            return;
        }
        slot->taken += count;
        frontend->receive(frontend->data, slot->pending + start, count);
    }
}

static void mux_pend(MuxChar *mux, uint8_t byte)
{
    if (mux->focus >= 0) {
        MuxSlot *slot = &mux->slots[mux->focus];
        if (slot->put - slot->taken < MUX_PENDING) {
            slot->pending[slot->put++ % MUX_PENDING] = byte;
        }
    }
}

static void mux_command(MuxChar *mux, uint8_t byte)
{
    for (size_t i = 0; i < ARRAY_SIZE(mux_keys); i++) {
        if (mux_keys[i].key == byte) {
            mux_flush(mux);
            mux_keys[i].act(mux);
            return;
        }
    }
}

static void mux_receive(void *data, const uint8_t *bytes, size_t count)
{
    MuxChar *mux = data;
    uint8_t escape = mux->device.host->escape;
    for (size_t i = 0; i < count; i++) {
        if (mux->escaped) {
            mux->escaped = false;
            if (bytes[i] == escape) {
                mux_pend(mux, escape);
            } else {
                mux_command(mux, bytes[i]);
            }
        } else if (bytes[i] == escape) {
            mux->escaped = true;
        } else {
            mux_pend(mux, bytes[i]);
        }
    }
    mux_flush(mux);
}

/* What fits in every slot, for a command may change the focus on the way. */
static size_t mux_can_receive(void *data)
{
    MuxChar *mux = data;
    size_t room = MUX_PENDING;
    for (int i = 0; i < MUX_SLOTS; i++) {
        room = MIN(room, MUX_PENDING - (mux->slots[i].put - mux->slots[i].taken));
    }
    return room;
}

static void mux_event(void *data, CharEvent event)
{
    MuxChar *mux = data;
    mux->device.opened = event == CHAR_EVENT_OPENED || (mux->device.opened && event != CHAR_EVENT_CLOSED);
    for (int i = 0; i < MUX_SLOTS; i++) {
        mux_slot_event(mux, i, event);
    }
}

static void mux_base_writable(void *data)
{
    MuxChar *mux = data;
    char_writable(&mux->device);
    for (int i = 0; i < MUX_SLOTS; i++) {
        char_frontend_writable(&mux->device, mux->slots[i].frontend);
    }
}

static void mux_update(CharDevice *device)
{
    MuxChar *mux = (MuxChar *)device;
    mux_flush(mux);
    char_accept_input(&mux->base);
    if (char_wants_write(device)) {
        char_notify_writable(&mux->base, mux_base_writable, mux);
    }
}

static void mux_make_stamp(MuxChar *mux)
{
    int64_t now = host_monotonic_ns();
    if (!mux->timestamps_since) {
        mux->timestamps_since = now;
    }
    int64_t ms = (now - mux->timestamps_since) / NS_IN_MS, seconds = ms / 1000;
    mux->stamp_done = 0;
    mux->stamp_length = snprintf(mux->stamp, STAMP_SIZE, "[%02d:%02d:%02d.%03d] ", (int)(seconds / 3600 % 100),
                                 (int)(seconds / 60 % 60), (int)(seconds % 60), (int)(ms % 1000));
}

/* Writes lines, each with a stamp before it. */
static size_t mux_write_stamped(MuxChar *mux, const uint8_t *bytes, size_t count)
{
    size_t done = 0;
    while (done < count) {
        if (mux->line_start) {
            mux_make_stamp(mux);
            mux->line_start = false;
        }
        size_t left = mux->stamp_length - mux->stamp_done;
        mux->stamp_done += char_write(&mux->base, (const uint8_t *)mux->stamp + mux->stamp_done, left);
        if (mux->stamp_done < mux->stamp_length) {
            break;
        }
        const uint8_t *newline = memchr(bytes + done, '\n', count - done);
        size_t length = newline ? (size_t)(newline - (bytes + done)) + 1 : count - done;
        size_t written = char_write(&mux->base, bytes + done, length);
        done += written;
        if (written < length) {
            break;
        }
        mux->line_start = newline != NULL;
    }
    return done;
}

static size_t mux_write(CharDevice *device, const uint8_t *bytes, size_t count)
{
    MuxChar *mux = (MuxChar *)device;
    return mux->timestamps ? mux_write_stamped(mux, bytes, count) : char_write(&mux->base, bytes, count);
}

static bool mux_attach(CharDevice *device, CharFrontend *frontend, Error **error)
{
    MuxChar *mux = (MuxChar *)device;
    int slot = 0;
    while (slot < MUX_SLOTS && mux->slots[slot].frontend) {
        slot++;
    }
    if (slot == MUX_SLOTS) {
        return error_set(error, "character device '%s' has %d front-ends, which is the limit", char_id(device),
                         MUX_SLOTS);
    }
    mux->slots[slot].frontend = frontend;
    mux->slots[slot].put = mux->slots[slot].taken = 0;
    frontend->backend = device;
    frontend->mux_slot = slot;
    object_ref(&device->object);
    if (device->opened) {
        mux_slot_event(mux, slot, CHAR_EVENT_OPENED);
    }
    if (mux->focus < 0 || !frontend->modest) {
        mux_set_focus(mux, slot);
    }
    char_post_update(device);
    return true;
}

static void mux_detach(CharDevice *device, CharFrontend *frontend)
{
    MuxChar *mux = (MuxChar *)device;
    mux->slots[frontend->mux_slot].frontend = NULL;
    if (mux->focus == frontend->mux_slot) {
        mux->focus = -1;
        mux_set_focus(mux, mux_next(mux, frontend->mux_slot));
    }
}

static bool mux_open(CharDevice *device, const ChardevOptions *options, Error **error)
{
    MuxChar *mux = (MuxChar *)device;
    mux->base = (CharFrontend){
        .can_receive = mux_can_receive,
        .receive = mux_receive,
        .event = mux_event,
        .data = mux,
    };
    CharDevice *base = char_find(device->host, options->u.mux.chardev, error);
    return base && char_attach(&mux->base, base, error);
}

static void mux_close(CharDevice *device) { char_detach(&((MuxChar *)device)->base); }

static int mux_take_fd(CharDevice *device) { return char_take_fd(&((MuxChar *)device)->base); }

static void mux_set_serial(CharDevice *device, const CharSerialParameters *parameters)
{
    char_set_serial(&((MuxChar *)device)->base, parameters);
}

static void mux_set_break(CharDevice *device, bool on) { char_set_break(&((MuxChar *)device)->base, on); }

bool char_mux_in_use(const CharDevice *device) { return mux_next((const MuxChar *)device, 0) >= 0; }

static void mux_init(Object *object) { ((MuxChar *)object)->focus = -1; }

const CharClass char_mux_class = {
    .class = {
        .name = "chardev-mux",
        .parent = &char_class.class,
        .description = "several front-ends on one character device",
        .size = sizeof(MuxChar),
        .init = mux_init,
    },
    .open = mux_open,
    .close = mux_close,
    .write = mux_write,
    .update = mux_update,
    .attach = mux_attach,
    .detach = mux_detach,
    .take_fd = mux_take_fd,
    .set_serial = mux_set_serial,
    .set_break = mux_set_break,
};
