/* Character devices: attaching, writing, calling back; what every back-end shares. */
#include "char/char_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "core/loop.h"
#include "core/machine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void char_init(Object *object)
{
    CharDevice *device = (CharDevice *)object;
    mutex_init(&device->lock);
    device->log_fd = -1;
}

static void char_unparent(Object *object)
{
    CharDevice *device = (CharDevice *)object;
    device->closing = true;
    if (device->host && char_class_of(device)->close) {
        char_class_of(device)->close(device);
    }
}

static void char_finalize(Object *object)
{
    CharDevice *device = (CharDevice *)object;
    if (device->log_fd >= 0) {
        close(device->log_fd);
    }
    mutex_destroy(&device->lock);
}

const CharClass char_class = {
    .class = {
        .name = "chardev",
        .parent = &object_class,
        .description = "the base of all character devices",
        .size = sizeof(CharDevice),
        .abstract = true,
        .init = char_init,
        .unparent = char_unparent,
        .finalize = char_finalize,
    },
};

const char *char_id(const CharDevice *device) { return device->object.name; }

char *char_filename(const CharDevice *device)
{
    const CharClass *class = char_class_of(device);
    return class->filename ? class->filename(device) : string_copy(device->backend);
}

bool char_has_frontend(const CharDevice *device)
{
    return char_is_mux(device) ? char_mux_in_use(device) : device->frontend != NULL;
}

bool char_is_mux(const CharDevice *device) { return object_is(&device->object, &char_mux_class.class); }

bool char_attach(CharFrontend *frontend, CharDevice *backend, Error **error)
{
    const CharClass *class = char_class_of(backend);
    if (class->attach) {
        return class->attach(backend, frontend, error);
    }
    if (backend->frontend) {
        return error_set(error, "character device '%s' is already in use", char_id(backend));
    }
    frontend->backend = backend;
    backend->frontend = frontend;
    object_ref(&backend->object);
    if (backend->opened && frontend->event) {
        frontend->event(frontend->data, CHAR_EVENT_OPENED);
    }
    char_post_update(backend);
    return true;
}

void char_detach(CharFrontend *frontend)
{
    CharDevice *device = frontend->backend;
    if (!device) {
        return;
    }
    mutex_lock(&device->lock);
    frontend->writable = NULL;
    mutex_unlock(&device->lock);
    if (char_class_of(device)->detach) {
        char_class_of(device)->detach(device, frontend);
    } else {
        device->frontend = NULL;
        char_post_update(device);
    }
    frontend->backend = NULL;
    object_unref(&device->object);
}

/* The log keeps what was taken; a log that cannot be written (a full disk) loses bytes and stops nothing. */
static void char_log(CharDevice *device, const uint8_t *bytes, size_t count)
{
    while (device->log_fd >= 0 && count) {
        ssize_t written = write(device->log_fd, bytes, count);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        bytes += written;
        count -= written;
    }
}

size_t char_write(CharFrontend *frontend, const uint8_t *bytes, size_t count)
{
    CharDevice *device = frontend->backend;
    if (!device || !count) {
        return count;
    }
    mutex_lock(&device->lock);
    size_t taken = char_class_of(device)->write(device, bytes, count);
    char_log(device, bytes, taken);
    mutex_unlock(&device->lock);
    return taken;
}

void char_notify_writable(CharFrontend *frontend, void (*writable)(void *data), void *data)
{
    CharDevice *device = frontend->backend;
    if (!device) {
        return;
    }
    mutex_lock(&device->lock);
    frontend->writable = writable;
    frontend->writable_data = data;
    device->wants_write = writable != NULL;
    mutex_unlock(&device->lock);
    char_post_update(device);
}

bool char_wants_write(CharDevice *device)
{
    mutex_lock(&device->lock);
    bool wants = device->wants_write;
    mutex_unlock(&device->lock);
    return wants;
}

void char_frontend_writable(CharDevice *device, CharFrontend *frontend)
{
    if (!frontend) {
        return;
    }
    mutex_lock(&device->lock);
    void (*writable)(void *data) = frontend->writable;
    frontend->writable = NULL;
    mutex_unlock(&device->lock);
    if (writable) {
        writable(frontend->writable_data);
    }
}

void char_writable(CharDevice *device)
{
    mutex_lock(&device->lock);
    device->wants_write = false;
    mutex_unlock(&device->lock);
    char_frontend_writable(device, device->frontend);
}

static void char_run_update(void *data)
{
    CharDevice *device = data;
    atomic_store(&device->update_posted, false);
    if (!device->closing && char_class_of(device)->update) {
        char_class_of(device)->update(device);
    }
    object_unref(&device->object);
}

void char_post_update(CharDevice *device)
{
    if (!atomic_exchange(&device->update_posted, true)) {
        object_ref(&device->object);
        loop_post(device->host->loop, char_run_update, device);
    }
}

void char_accept_input(CharFrontend *frontend)
{
    if (frontend->backend) {
        char_post_update(frontend->backend);
    }
}

bool char_is_open(const CharFrontend *frontend) { return frontend->backend && frontend->backend->opened; }

void char_set_serial(CharFrontend *frontend, const CharSerialParameters *parameters)
{
    CharDevice *device = frontend->backend;
    if (device && char_class_of(device)->set_serial) {
        char_class_of(device)->set_serial(device, parameters);
    }
}

void char_set_break(CharFrontend *frontend, bool on)
{
    CharDevice *device = frontend->backend;
    if (device && char_class_of(device)->set_break) {
        char_class_of(device)->set_break(device, on);
    }
}

int char_take_fd(CharFrontend *frontend)
{
    CharDevice *device = frontend->backend;
    return device && char_class_of(device)->take_fd ? char_class_of(device)->take_fd(device) : -1;
}

void char_send_break(CharDevice *device) { char_event(device, CHAR_EVENT_BREAK); }

void char_message(CharDevice *device, const char *kind, const char *format, ...)
{
    AUTO_STRBUF(text);
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&text, format, arguments);
    va_end(arguments);
    if (device->host->message) {
        device->host->message(device->host->data, kind, strbuf_text(&text));
    }
}

size_t char_can_receive(CharDevice *device)
{
    CharFrontend *frontend = device->frontend;
    return frontend && frontend->can_receive ? frontend->can_receive(frontend->data) : 0;
}

void char_receive(CharDevice *device, const uint8_t *bytes, size_t count)
{
    CharFrontend *frontend = device->frontend;
    if (frontend && frontend->receive && count) {
        frontend->receive(frontend->data, bytes, count);
    }
}

void char_event(CharDevice *device, CharEvent event)
{
    CharFrontend *frontend = device->frontend;
    if (frontend && frontend->event) {
        frontend->event(frontend->data, event);
    }
}

void char_set_opened(CharDevice *device, bool opened)
{
    if (device->opened != opened) {
        device->opened = opened;
        char_event(device, opened ? CHAR_EVENT_OPENED : CHAR_EVENT_CLOSED);
    }
}

bool char_property_set(Object *object, const Property *property, const Json *value, Error **error)
{
    CharFrontend *frontend = (CharFrontend *)((char *)object + property->offset);
    Machine *machine = object->data;
    if (json_kind(value) != JSON_STRING) {
        return error_set(error, "'%s' expects the ID of a character device", property->name);
    }
    Object *container = object_child(machine->root, "chardevs");
    Object *backend = container ? object_child(container, json_text(value)) : NULL;
    if (!backend) {
        return error_set(error, "property '%s': there is no character device '%s'", property->name, json_text(value));
    }
    char_detach(frontend);
    return char_attach(frontend, (CharDevice *)backend, error);
}

Json *char_property_get(Object *object, const Property *property, Error **error)
{
    const CharFrontend *frontend = (const CharFrontend *)((const char *)object + property->offset);
    return json_string(frontend->backend ? char_id(frontend->backend) : "");
}
