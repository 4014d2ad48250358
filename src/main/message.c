/* Messages to the user, as QEMU's -msg documents them. */
#include "main/program.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/strbuf.h"

#include <time.h>

#define NS_IN_S INT64_C(1000000000)

static void append_time(StrBuf *line)
{
    int64_t now = host_realtime_ns();
    time_t seconds = now / NS_IN_S;
    struct tm parts;
    char text[32];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    strbuf_printf(line, "%s.%06dZ ", text, (int)(now % NS_IN_S / 1000));
}

void message_print(const Messages *messages, const char *kind, const char *text)
{
    AUTO_STRBUF(line);
    if (messages->timestamps) {
        append_time(&line);
    }
    if (messages->guest_name) {
        strbuf_printf(&line, "%s ", messages->guest_name);
    }
    strbuf_printf(&line, "%s: ", messages->program);
    if (kind && *kind) {
        strbuf_printf(&line, "%s: ", kind);
    }
    strbuf_printf(&line, "%s\n", text);
    fputs(strbuf_text(&line), stderr);
}

void message_error(const Messages *messages, const Error *error)
{
    message_print(messages, NULL, error_message(error));
    if (*error_hint(error)) {
        fprintf(stderr, "%s\n", error_hint(error));
    }
}
