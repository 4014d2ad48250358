/* A monitor's state, and what its parts share. */
#pragma once

#include "api/command.h"
#include "api/json.h"
#include "base/strbuf.h"
#include "core/vcpu.h"
#include "monitor/format.h"
#include "monitor/monitor.h"
#include "monitor/readline.h"

/* What waits to be written: no command is read above the first, no event kept above the second. */
enum { OUTPUT_HIGH = 64 * 1024, OUTPUT_LIMIT = 4 * 1024 * 1024 };

struct Monitor {
    Control *control;
    ListNode node; /* not linked: one that control_hmp made for a line */
    MonitorKind kind;
    CharFrontend chars;
    StrBuf output;
    size_t output_done; /* bytes at its start that are written */
    bool waiting;       /* for the back-end to take more */
    size_t events_lost;
    /* QMP */
    JsonParser *parser;
    bool negotiated;
    bool out_of_band; /* the client enabled "oob" */
    /* HMP */
    ReadLine *line;
    bool greeted, hidden; /* hidden: a mux's other front-end has the terminal */
    int cpu_index;
    ValueFormat format; /* x's last */
};

/* Bytes as they are. */
void monitor_write(Monitor *monitor, const char *bytes, size_t count);
/* Text, with "\n" made "\r\n". */
void monitor_print(Monitor *monitor, const char *text);

/* At once, with its clients. */
bool monitor_end_export(Monitor *monitor, const char *id, Error **error);
void monitor_end_exports(const Control *control); /* all of them, and the server */

void qmp_open(Monitor *monitor);
void qmp_close(Monitor *monitor);
void qmp_receive(Monitor *monitor, const uint8_t *bytes, size_t count);
void qmp_send(Monitor *monitor, const Json *json);
/* The whole of one request to its whole reply. `monitor` NULL: past negotiation. */
Json *qmp_handle(Control *control, Monitor *monitor, Json *request);

void hmp_open(Monitor *monitor);
void hmp_receive(Monitor *monitor, const uint8_t *bytes, size_t count);
void hmp_mux(Monitor *monitor, bool in);
/* Runs a line; prints into `out`, errors too. */
void hmp_run_line(Monitor *monitor, const char *line, StrBuf *out);
void hmp_complete(Monitor *monitor, const char *text, TextList *candidates, size_t *word_length);
const HmpCommand *hmp_find(const char *name, bool info);
/* The next word of a line, in quotes or up to white space; NULL at the end or (with an error) without a closing quote.
 * Owned by the caller. */
char *hmp_next_word(const char **line, Error **error);

/* The vCPU that HMP's commands mean: NULL, with an error, where there is none. */
Vcpu *monitor_vcpu(Monitor *monitor, Error **error);
bool monitor_register(void *monitor, const char *name, uint64_t *value);
