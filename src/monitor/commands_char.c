/* Commands about character devices. */
#include "monitor/monitor_internal.h"

#include "base/error.h"
#include "schema/char.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_READ = 64 << 20 };

typedef VEC(ChardevInfo) ChardevInfos;

static bool add_info(Object *child, void *context)
{
    const CharDevice *device = (const CharDevice *)child;
    ChardevInfo info = {
        .label = string_copy(char_id(device)),
        .filename = char_filename(device),
        .frontend_open = char_has_frontend(device),
    };
    vec_push((ChardevInfos *)context, info);
    return true;
}

bool qmp_query_chardev(Monitor *monitor, ChardevInfoList *result, Error **error)
{
    ChardevInfos list = { 0 };
    object_each_child(monitor->control->chars->container, add_info, &list);
    result->items = list.items;
    result->count = list.count;
    return true;
}

bool hmp_info_chardev(Monitor *monitor, StrBuf *output, Error **error)
{
    ChardevInfoList list = { 0 };
    if (!qmp_query_chardev(monitor, &list, error)) {
        return false;
    }
    for (size_t i = 0; i < list.count; i++) {
        strbuf_printf(output, "%s: filename=%s\n", list.items[i].label, list.items[i].filename);
    }
    type_clear(&ChardevInfoList_type, &list);
    return true;
}

static CharDevice *find_ring(Monitor *monitor, const char *id, Error **error)
{
    CharDevice *device = char_find(monitor->control->chars, id, error);
    if (device && !char_is_ring(device)) {
        error_set(error, "'%s' is not a ring buffer", id);
        return NULL;
    }
    return device;
}

bool qmp_ringbuf_write(Monitor *monitor, const RingbufWriteArguments *arguments, Error **error)
{
    CharDevice *device = find_ring(monitor, arguments->device, error);
    if (!device) {
        return false;
    }
    if (!arguments->has_format || arguments->format == DATA_FORMAT_UTF8) {
        char_ring_write(device, (const uint8_t *)arguments->data, strlen(arguments->data));
        return true;
    }
    gsize size;
    g_autofree guchar *bytes = g_base64_decode(arguments->data, &size);
    char_ring_write(device, bytes, size);
    return true;
}

/* The longest whole characters stay; a byte that is none becomes U+FFFD. */
static char *as_utf8(const uint8_t *bytes, size_t count)
{
    g_autofree char *text = g_utf8_make_valid((const char *)bytes, count);
    return string_copy(text);
}

bool qmp_ringbuf_read(Monitor *monitor, const RingbufReadArguments *arguments, char **result, Error **error)
{
    CharDevice *device = find_ring(monitor, arguments->device, error);
    if (!device) {
        return false;
    }
    if (arguments->size <= 0) {
        return error_set(error, "Parameter 'size' expects a number above 0");
    }
    size_t wanted = MIN(arguments->size, LARGEST_READ);
    AUTO_FREE uint8_t *bytes = mem_alloc(wanted);
    size_t count = char_ring_read(device, bytes, wanted);
    if (arguments->has_format && arguments->format == DATA_FORMAT_BASE64) {
        g_autofree char *text = g_base64_encode(bytes, count);
        *result = string_copy(text);
    } else {
        *result = as_utf8(bytes, count);
    }
    return true;
}

bool hmp_ringbuf_read(Monitor *monitor, const RingbufReadArguments *arguments, StrBuf *output, Error **error)
{
    AUTO_FREE char *text = NULL;
    if (!qmp_ringbuf_read(monitor, arguments, &text, error)) {
        return false;
    }
    strbuf_printf(output, "%s\n", text);
    return true;
}

bool qmp_chardev_send_break(Monitor *monitor, const ChardevSendBreakArguments *arguments, Error **error)
{
    CharDevice *device = char_find(monitor->control->chars, arguments->id, error);
    if (!device) {
        return false;
    }
    char_send_break(device);
    return true;
}
