/*
 * A QMP client that sends anything, in pieces, to a program without a machine. Each line that comes back is JSON. The
 * inputs left out are those that would do what the user may but a test must not: touch files, wait for peers, take all
 * memory.
 */
#include "api/json.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "core/loop.h"
#include "cpu/guest.h"
#include "lib/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const options[] = { "-M", "none", "-nodefaults", "-display", "none" };

static bool is_harmless(const uint8_t *data, size_t size)
{
    static const char *const words[] = { "/", "\\", "file", "path", "prealloc", "size", "socket", "pty", "pipe", "fd" };
    bool harmless = true;
    for (size_t i = 0; i < ARRAY_SIZE(words) && harmless; i++) {
        harmless = !memmem(data, size, words[i], strlen(words[i]));
    }
    return harmless;
}

static void output(void *data, const uint8_t *bytes, size_t count)
{
    strbuf_append_bytes(data, bytes, count);
}

static void check_lines(const StrBuf *out)
{
    const char *text = out->data, *end;
    for (size_t left = out->length; left && (end = memchr(text, '\n', left)); left -= end + 1 - text, text = end + 1) {
        Json *line = json_parse(text, end - text, NULL);
        if (!line) {
            fprintf(stderr, "no JSON: %.*s\n", (int)(end - text), text);
            abort();
        }
        json_free(line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_STRBUF(out);
    if (size < 2 || !is_harmless(data, size)) {
        return 0;
    }
    Instance *instance = instance_new(guest_find("riscv64", NULL), false, NULL);
    if (!instance || !given_add_arguments(&instance->given, ARRAY_SIZE(options), options, instance->files, NULL) ||
        !instance_create(instance, NULL)) {
        abort();
    }
    CharDevice *device = char_new_callback(&instance->chars, "client", output, &out, NULL);
    if (!device || !monitor_new(&instance->control, device, MONITOR_QMP, NULL)) {
        abort();
    }
    for (size_t at = 1, piece = 16u * data[0] + 1; at < size;) {
        loop_drain(instance->loop);
        size_t taken = char_callback_input(device, data + at, MIN(piece, size - at));
        at += taken ? taken : 1; /* after too much unread output none is taken */
    }
    loop_drain(instance->loop);
    instance_free(instance);
    check_lines(&out);
    return 0;
}
