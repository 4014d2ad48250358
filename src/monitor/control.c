/* Monitors on their character devices: output, connection, events. */
#include "monitor/monitor_internal.h"

#include "base/error.h"
#include "base/host/host.h"

#include <stdlib.h>
#include <string.h>

enum { RECEIVE_AT_ONCE = 4096 };
#define NS_IN_S INT64_C(1000000000)
#define NS_IN_US INT64_C(1000)

/* -- output ----------------------------------------------------------------------------------------------------- */

static void monitor_flush(void *data);

static void monitor_wait(Monitor *monitor)
{
    monitor->waiting = true;
    char_notify_writable(&monitor->chars, monitor_flush, monitor);
}

static void monitor_flush(void *data)
{
    Monitor *monitor = data;
    bool was_full = monitor->output.length - monitor->output_done > OUTPUT_HIGH;
    monitor->waiting = false;
    while (monitor->output_done < monitor->output.length) {
        const uint8_t *bytes = (const uint8_t *)monitor->output.data + monitor->output_done;
        size_t written = char_write(&monitor->chars, bytes, monitor->output.length - monitor->output_done);
        monitor->output_done += written;
        if (!written) {
            monitor_wait(monitor);
            break;
        }
    }
    if (monitor->output_done == monitor->output.length) {
        strbuf_clear(&monitor->output);
        monitor->output_done = 0;
    }
    if (was_full && monitor->output.length - monitor->output_done <= OUTPUT_HIGH) {
        char_accept_input(&monitor->chars);
    }
}

void monitor_write(Monitor *monitor, const char *bytes, size_t count)
{
    if (!monitor->chars.backend) {
        return;
    }
    strbuf_append_bytes(&monitor->output, bytes, count);
    if (!monitor->waiting) {
        monitor_flush(monitor);
    }
}

void monitor_print(Monitor *monitor, const char *text)
{
    AUTO_STRBUF(out);
    for (const char *at = text; *at; at++) {
        if (*at == '\n' && (at == text || at[-1] != '\r')) {
            strbuf_append_char(&out, '\r');
        }
        strbuf_append_char(&out, *at);
    }
    monitor_write(monitor, strbuf_text(&out), out.length);
}

/* -- the character device --------------------------------------------------------------------------------------- */

static size_t monitor_can_receive(void *data)
{
    const Monitor *monitor = data;
    return monitor->output.length - monitor->output_done > OUTPUT_HIGH ? 0 : RECEIVE_AT_ONCE;
}

static void monitor_receive(void *data, const uint8_t *bytes, size_t count)
{
    Monitor *monitor = data;
    if (monitor->kind == MONITOR_HMP) {
        hmp_receive(monitor, bytes, count);
    } else {
        qmp_receive(monitor, bytes, count);
    }
}

static void monitor_opened(Monitor *monitor)
{
    if (monitor->kind == MONITOR_HMP) {
        hmp_open(monitor);
    } else {
        qmp_open(monitor);
    }
}

static void monitor_closed(Monitor *monitor)
{
    strbuf_clear(&monitor->output);
    monitor->output_done = 0;
    if (monitor->kind != MONITOR_HMP) {
        qmp_close(monitor);
    }
}

static void monitor_char_event(void *data, CharEvent event)
{
    Monitor *monitor = data;
    switch (event) {
    case CHAR_EVENT_OPENED:
        monitor_opened(monitor);
        break;
    case CHAR_EVENT_CLOSED:
        monitor_closed(monitor);
        break;
    case CHAR_EVENT_MUX_IN:
    case CHAR_EVENT_MUX_OUT:
        if (monitor->kind == MONITOR_HMP) {
            hmp_mux(monitor, event == CHAR_EVENT_MUX_IN);
        }
        break;
    case CHAR_EVENT_BREAK:
        break;
    }
}

Monitor *monitor_new(Control *control, CharDevice *device, MonitorKind kind, Error **error)
{
    if (kind != MONITOR_HMP && char_is_mux(device)) {
        error_set(error, "QMP cannot share '%s', which is a multiplexer", char_id(device));
        return NULL;
    }
    Monitor *monitor = NEW(Monitor);
    monitor->control = control;
    monitor->kind = kind;
    monitor->hidden = char_is_mux(device);
    monitor->chars = (CharFrontend){
        .can_receive = monitor_can_receive,
        .receive = monitor_receive,
        .event = monitor_char_event,
        .data = monitor,
        .modest = true,
    };
    list_append(&control->monitors, &monitor->node);
    if (!char_attach(&monitor->chars, device, error)) {
        monitor_free(monitor);
        return NULL;
    }
    return monitor;
}

void monitor_free(Monitor *monitor)
{
    if (!monitor) {
        return;
    }
    if (list_linked(&monitor->node)) {
        list_remove(&monitor->node);
    }
    if (monitor->chars.backend) {
        monitor_flush(monitor);
        char_detach(&monitor->chars);
    }
    qmp_close(monitor);
    readline_free(monitor->line);
    strbuf_free(&monitor->output);
    free(monitor);
}

/* -- control ---------------------------------------------------------------------------------------------------- */

void control_init(Control *control) { list_init(&control->monitors); }

void control_finish(Control *control)
{
    monitor_end_exports(control); /* of which clients hear */
    LIST_FOREACH_SAFE(&control->monitors, monitor, Monitor, node)
    {
        monitor_free(monitor);
    }
}

static Json *event_stamp(void)
{
    int64_t now = host_realtime_ns();
    Json *stamp = json_object();
    json_set(stamp, "seconds", json_int(now / NS_IN_S));
    json_set(stamp, "microseconds", json_int(now % NS_IN_S / NS_IN_US));
    return stamp;
}

/* A client that does not read gets no further events, so that a guest cannot fill the host's memory. */
static void monitor_send_event(Monitor *monitor, const Json *event)
{
    if (monitor->kind == MONITOR_HMP || !monitor->negotiated) {
        return;
    }
    if (monitor->output.length - monitor->output_done > OUTPUT_LIMIT) {
        monitor->events_lost++;
        return;
    }
    qmp_send(monitor, event);
}

void control_event(Control *control, const char *name, Json *data)
{
    Json *event = json_object();
    json_set(event, "timestamp", event_stamp());
    json_set(event, "event", json_string(name));
    if (data) {
        json_set(event, "data", data);
    }
    LIST_FOREACH(&control->monitors, monitor, Monitor, node)
    {
        monitor_send_event(monitor, event);
    }
    json_free(event);
}
