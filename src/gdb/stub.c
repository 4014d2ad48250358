/* The debugger's packets, by their first letters: threads, going on, queries. */
#include "base/vec.h"
#include "cpu/cpu.h"
#include "gdb/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void append_thread(const Gdb *gdb, int thread, StrBuf *text)
{
    if (gdb->multiprocess) {
        strbuf_printf(text, "p%x.", (unsigned)gdb->target->process);
    }
    strbuf_printf(text, "%x", (unsigned)thread);
}

/* -- going on ------------------------------------------------------------------------------------------------------ */

static void resume_all(Gdb *gdb, int action, int signal)
{
    int thread;

    for (unsigned i = 0; gdb->target->thread(gdb->data, i, &thread); i++) {
        const GdbResume resume = { .action = thread == gdb->thread ? action : GDB_RUN,
                                   .signal = thread == gdb->thread ? signal : 0 };
        gdb->target->resume(gdb->data, thread, &resume);
    }
}

static GdbAnswer continue_all(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_RUN, 0);
    return ANSWER_RESUME;
}

static GdbAnswer step_one(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_STEP, 0);
    return ANSWER_RESUME;
}

static GdbAnswer continue_with(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_RUN, (int)gdb_parse_number(&arguments));
    return ANSWER_RESUME;
}

static GdbAnswer step_with(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_STEP, (int)gdb_parse_number(&arguments));
    return ANSWER_RESUME;
}

/* One action of vCont: c, s, t, CSIGNAL, SSIGNAL, rSTART,END. What follows it. */
static char *parse_action(char *at, GdbResume *resume)
{
    char letter = *at;

    at += letter != 0;
    *resume = (GdbResume){ .action = strchr("sSr", letter)  ? GDB_STEP
                                     : strchr("cC", letter) ? GDB_RUN
                                                            : GDB_HOLD };
    if (letter == 'C' || letter == 'S') {
        resume->signal = (int)strtoul(at, &at, 16);
    } else if (letter == 'r') {
        resume->start = strtoull(at, &at, 16);
        resume->end = strtoull(at + (*at == ','), &at, 16);
    }
    return at;
}

/* vCont;ACTION[:THREAD]...: the first that fits a thread is its. */
static void resume_thread(Gdb *gdb, int thread, char *actions)
{
    for (char *at = actions; *at == ';';) {
        GdbResume resume;
        int process = gdb->target->process, meant = -1;
        at = parse_action(at + 1, &resume);
        if (*at == ':') {
            gdb_parse_thread(at + 1, &process, &meant);
        }
        at += strcspn(at, ";");
        if ((process <= 0 || process == gdb->target->process) && (meant <= 0 || meant == thread)) {
            gdb->target->resume(gdb->data, thread, &resume);
            return;
        }
    }
    gdb->target->resume(gdb->data, thread, &(GdbResume){ .action = GDB_HOLD });
}

static GdbAnswer resume_by_thread(Gdb *gdb, char *arguments, size_t length)
{
    int thread;

    if (*arguments == '?') {
        strbuf_append(&gdb->reply, "vCont;c;C;s;S;t;r");
        return ANSWER_REPLY;
    }
    for (unsigned i = 0; gdb->target->thread(gdb->data, i, &thread); i++) {
        resume_thread(gdb, thread, arguments);
    }
    return ANSWER_RESUME;
}

static GdbAnswer kill_process(Gdb *gdb, char *arguments, size_t length)
{
    gdb_link_write_text(&gdb->link, "OK");
    gdb->target->kill(gdb->data);
    return ANSWER_NONE;
}

/* Nobody waits for an answer. */
static GdbAnswer kill_all(Gdb *gdb, char *arguments, size_t length)
{
    gdb->target->kill(gdb->data);
    return ANSWER_NONE;
}

static GdbAnswer detach(Gdb *gdb, char *arguments, size_t length)
{
    gdb_link_write_text(&gdb->link, "OK");
    gdb->link.gone = true;
    return ANSWER_NONE;
}

/* -- threads ------------------------------------------------------------------------------------------------------- */

static GdbAnswer choose_thread(Gdb *gdb, char *arguments, size_t length)
{
    int thread;

    gdb_parse_thread(arguments + (length > 0), NULL, &thread);
    if (thread > 0 && !gdb->target->cpu(gdb->data, thread)) {
        return ANSWER_ERROR;
    }
    if (thread > 0) {
        gdb->thread = thread;
    }
    return ANSWER_OK;
}

static GdbAnswer thread_lives(Gdb *gdb, char *arguments, size_t length)
{
    int thread;

    gdb_parse_thread(arguments, NULL, &thread);
    return gdb->target->cpu(gdb->data, thread) ? ANSWER_OK : ANSWER_ERROR;
}

static GdbAnswer more_threads(Gdb *gdb, char *arguments, size_t length)
{
    int thread;
    unsigned count = 0;

    for (; count < 200 && gdb->target->thread(gdb->data, (unsigned)gdb->next_thread, &thread); gdb->next_thread++) {
        strbuf_append_char(&gdb->reply, count++ ? ',' : 'm');
        append_thread(gdb, thread, &gdb->reply);
    }
    strbuf_append(&gdb->reply, count ? "" : "l");
    return ANSWER_REPLY;
}

static GdbAnswer first_threads(Gdb *gdb, char *arguments, size_t length)
{
    gdb->next_thread = 0;
    return more_threads(gdb, arguments, length);
}

static GdbAnswer current_thread(Gdb *gdb, char *arguments, size_t length)
{
    if (length) {
        return ANSWER_REPLY; /* another packet */
    }
    strbuf_append(&gdb->reply, "QC");
    append_thread(gdb, gdb->thread, &gdb->reply);
    return ANSWER_REPLY;
}

/* qThreadExtraInfo,THREAD */
static GdbAnswer describe_thread(Gdb *gdb, char *arguments, size_t length)
{
    AUTO_STRBUF(text);
    int thread;

    gdb_parse_thread(arguments, NULL, &thread);
    gdb->target->describe(gdb->data, thread, &text);
    gdb_append_hex(&gdb->reply, strbuf_text(&text), text.length);
    return ANSWER_REPLY;
}

/* -- queries ------------------------------------------------------------------------------------------------------- */

static GdbAnswer supported(Gdb *gdb, char *arguments, size_t length)
{
    const GdbTarget *target = gdb->target;

    gdb->multiprocess = target->process && gdb_can(arguments, "multiprocess");
    gdb->forks = gdb_can(arguments, "fork-events") && gdb_can(arguments, "vfork-events");
    strbuf_printf(&gdb->reply, "PacketSize=%x;QStartNoAckMode+;vContSupported+;qXfer:features:read+;swbreak+;hwbreak+",
                  GDB_PACKET_MAXIMUM);
    strbuf_append(&gdb->reply, gdb->multiprocess ? ";multiprocess+" : "");
    if (target->object) {
        strbuf_append(&gdb->reply, ";qXfer:auxv:read+;qXfer:siginfo:read+;qXfer:siginfo:write+;qXfer:exec-file:read+");
    }
    strbuf_append(&gdb->reply, target->catch_calls ? ";QCatchSyscalls+" : "");
    strbuf_append(&gdb->reply, target->pass_signals ? ";QPassSignals+" : "");
    return ANSWER_REPLY;
}

static GdbAnswer no_acknowledge(Gdb *gdb, char *arguments, size_t length)
{
    gdb_link_write_text(&gdb->link, "OK");
    gdb->link.no_acknowledge = true;
    return ANSWER_NONE;
}

/* A debugger that leaves kills a program, and lets a machine be. */
static GdbAnswer attached(Gdb *gdb, char *arguments, size_t length)
{
    strbuf_append(&gdb->reply, gdb->target->object ? "0" : "1");
    return ANSWER_REPLY;
}

/* OBJECT:read:ANNEX:OFFSET,SIZE; OBJECT:write:ANNEX:OFFSET:BYTES */
static GdbAnswer transfer(Gdb *gdb, char *arguments, size_t length)
{
    AUTO_STRBUF(bytes);
    const GdbTarget *target = gdb->target;
    char *end = arguments + length, *colon = strchr(arguments, ':');
    bool writes = colon && !strncmp(colon, ":write:", 7);
    char *place = colon && (writes || !strncmp(colon, ":read:", 6)) ? strchr(colon + 1, ':') : NULL;

    place = place ? strchr(place + 1, ':') : NULL;
    if (!place) {
        return ANSWER_REPLY;
    }
    *colon = 0;
    place++;
    uint64_t offset = gdb_parse_number(&place);
    if (writes) {
        size_t size = (size_t)(end - place);
        bool ok = target->set_object &&
                  target->set_object(gdb->data, arguments, gdb->thread, offset, (uint8_t *)place, size);
        strbuf_printf(&gdb->reply, "%zx", size);
        return ok ? ANSWER_REPLY : ANSWER_ERROR;
    }
    uint64_t wanted = gdb_parse_number(&place), size = MIN(wanted, GDB_DATA_MAXIMUM);
    if (!strcmp(arguments, "features")) {
        gdb_describe(gdb, &bytes);
    } else if (!target->object || !target->object(gdb->data, arguments, gdb->thread, &bytes)) {
        return ANSWER_ERROR;
    }
    offset = MIN(offset, bytes.length);
    size = MIN(size, bytes.length - offset);
    strbuf_append_char(&gdb->reply, offset + size < bytes.length ? 'm' : 'l');
    strbuf_append_bytes(&gdb->reply, strbuf_text(&bytes) + offset, size);
    return ANSWER_REPLY;
}

/* 0, or 1[;NUMBER]... */
static GdbAnswer catch_calls(Gdb *gdb, char *arguments, size_t length)
{
    enum { NUMBERS = 512 };
    uint64_t numbers[NUMBERS];
    size_t count = 0;
    bool enabled = *arguments == '1';

    if (!gdb->target->catch_calls) {
        return ANSWER_REPLY;
    }
    for (char *at = strchr(arguments, ';'); at && *at && count < NUMBERS;) {
        at += *at == ';';
        numbers[count++] = strtoull(at, &at, 16);
        at += strcspn(at, ";");
    }
    gdb->target->catch_calls(gdb->data, enabled, numbers, count);
    return ANSWER_OK;
}

/* NUMBER[;NUMBER]... */
static GdbAnswer pass_signals(Gdb *gdb, char *arguments, size_t length)
{
    uint8_t numbers[256];
    size_t count = 0;

    if (!gdb->target->pass_signals) {
        return ANSWER_REPLY;
    }
    for (char *at = arguments; *at && count < ARRAY_SIZE(numbers);) {
        numbers[count++] = (uint8_t)strtoul(at, &at, 16);
        at += strcspn(at, ";");
        at += *at == ';';
    }
    gdb->target->pass_signals(gdb->data, numbers, count);
    return ANSWER_OK;
}

/* qRcmd,HEX: `monitor LINE` */
static GdbAnswer command(Gdb *gdb, char *arguments, size_t length)
{
    AUTO_STRBUF(text);
    AUTO_FREE char *line = mem_alloc0(length + 1);

    gdb_parse_hex(arguments, (uint8_t *)line, length / 2);
    if (!gdb->target->command || !gdb->target->command(gdb->data, line, &text)) {
        return ANSWER_REPLY;
    }
    gdb_append_hex(&gdb->reply, strbuf_text(&text), text.length);
    return text.length ? ANSWER_REPLY : ANSWER_OK;
}

static const struct {
    const char *name;
    GdbPacketFunction *function;
} packets[] = {
    { "g", gdb_read_registers },       { "G", gdb_write_registers },
    { "p", gdb_read_register },        { "P", gdb_write_register },
    { "m", gdb_read_memory },          { "M", gdb_write_memory },
    { "X", gdb_write_bytes },          { "Z", gdb_insert_point },
    { "z", gdb_remove_point },         { "c", continue_all },
    { "s", step_one },                 { "C", continue_with },
    { "S", step_with },                { "vCont", resume_by_thread },
    { "vKill", kill_process },         { "k", kill_all },
    { "H", choose_thread },            { "T", thread_lives },
    { "qfThreadInfo", first_threads }, { "qsThreadInfo", more_threads },
    { "qThreadExtraInfo,", describe_thread },
    { "qC", current_thread },                   { "qSupported", supported },
    { "QStartNoAckMode", no_acknowledge }, { "qAttached", attached },
    { "qXfer:", transfer },            { "QCatchSyscalls:", catch_calls },
    { "QPassSignals:", pass_signals }, { "qRcmd,", command },
    { "D", detach },
};

/* The longest name that the packet begins with; a packet that nobody knows gets an empty answer. */
static GdbAnswer dispatch(Gdb *gdb)
{
    size_t best = ARRAY_SIZE(packets), best_length = 0;
    char *packet = gdb->link.packet;

    for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
        size_t size = strlen(packets[i].name);
        if (size > best_length && !strncmp(packet, packets[i].name, size)) {
            best = i;
            best_length = size;
        }
    }
    if (best == ARRAY_SIZE(packets)) {
        if (gdb->target->query) {
            gdb->target->query(gdb->data, packet, &gdb->reply);
        }
        return ANSWER_REPLY;
    }
    return packets[best].function(gdb, packet + best_length, gdb->link.length - best_length);
}

/* -- stopping ------------------------------------------------------------------------------------------------------ */

static void describe_end(const Gdb *gdb, const GdbStop *stop, StrBuf *text)
{
    strbuf_printf(text, "%c%02x", stop->kind == GDB_EXITED ? 'W' : 'X', (unsigned)stop->signal & 255);
    if (gdb->multiprocess) {
        strbuf_printf(text, ";process:%x", (unsigned)gdb->target->process);
    }
}

static void append_child(const GdbStop *stop, const char *event, StrBuf *text)
{
    strbuf_printf(text, "%s:p%" PRIx64 ".%" PRIx64 ";", event, stop->value, stop->value);
}

static void describe_stop(const Gdb *gdb, const GdbStop *stop, StrBuf *text)
{
    static const char *const watches[] = { [GDB_WATCH_WRITE] = "watch", [GDB_WATCH_READ] = "rwatch",
                                           [GDB_WATCH_ACCESS] = "awatch" };

    strbuf_printf(text, "T%02xthread:", (unsigned)(stop->signal ? stop->signal : GDB_SIGNAL_TRAP));
    append_thread(gdb, stop->thread, text);
    strbuf_append_char(text, ';');
    switch (stop->kind) {
    case GDB_BY_INTERRUPT:
        strbuf_append(text, "interrupt:;"); /* for the broker; to the debugger the signal says it */
        break;
    case GDB_BY_BREAKPOINT:
        strbuf_append(text, stop->point == GDB_HARDWARE ? "hwbreak:;" : "swbreak:;");
        break;
    case GDB_BY_WATCHPOINT:
        strbuf_printf(text, "%s:%" PRIx64 ";", watches[stop->point], stop->value);
        break;
    case GDB_BY_CALL:
        strbuf_printf(text, "syscall_entry:%" PRIx64 ";", stop->value);
        break;
    case GDB_BY_RETURN:
        strbuf_printf(text, "syscall_return:%" PRIx64 ";", stop->value);
        break;
    case GDB_BY_FORK:
        append_child(stop, "fork", text);
        break;
    case GDB_BY_VFORK:
        append_child(stop, "vfork", text);
        break;
    case GDB_BY_VFORK_DONE:
        strbuf_append(text, "vforkdone:;");
        break;
    case GDB_BY_EXEC:
        strbuf_append(text, "exec:");
        gdb_append_hex(text, stop->path, strlen(stop->path));
        strbuf_append_char(text, ';');
        break;
    default:
        break;
    }
}

static void report(Gdb *gdb, const GdbStop *stop)
{
    AUTO_STRBUF(text);
    bool forked = stop->kind == GDB_BY_FORK || stop->kind == GDB_BY_VFORK;

    if (stop->kind == GDB_EXITED || stop->kind == GDB_KILLED) {
        describe_end(gdb, stop, &text);
    } else {
        describe_stop(gdb, stop, &text);
    }
    gdb_link_write(&gdb->link, strbuf_text(&text), text.length, forked ? stop->channel : -1);
}

static void answer(Gdb *gdb, GdbAnswer result)
{
    switch (result) {
    case ANSWER_REPLY:
        gdb_link_write(&gdb->link, strbuf_text(&gdb->reply), gdb->reply.length, -1);
        break;
    case ANSWER_OK:
        gdb_link_write_text(&gdb->link, "OK");
        break;
    case ANSWER_ERROR:
        gdb_link_write_text(&gdb->link, "E01");
        break;
    default:
        break;
    }
}

/* True: all is to go on. */
static bool serve_packet(Gdb *gdb, const GdbStop *stop)
{
    if (gdb->link.packet[0] == '?') {
        report(gdb, stop);
        return false;
    }
    strbuf_clear(&gdb->reply);
    GdbAnswer result = dispatch(gdb);
    answer(gdb, result);
    return result == ANSWER_RESUME;
}

bool gdb_stopped(Gdb *gdb, const GdbStop *stop)
{
    gdb->thread = stop->thread;
    if (stop->signal) { /* else the debugger has just come, and will ask */
        report(gdb, stop);
    } else if (stop->kind == GDB_BY_EXEC) {
        gdb_link_write_text(&gdb->link, GDB_EXEC_NOTICE);
    }
    while (!gdb->link.gone && gdb_link_packet(&gdb->link)) {
        if (serve_packet(gdb, stop)) {
            return true;
        }
    }
    return false;
}

void gdb_report(Gdb *gdb, const GdbStop *stop)
{
    gdb->thread = stop->thread;
    report(gdb, stop);
}

GdbServed gdb_serve(Gdb *gdb, const GdbStop *stop, bool runs)
{
    gdb->thread = gdb->thread > 0 ? gdb->thread : stop->thread;
    while (!gdb->link.gone && gdb_link_ready(&gdb->link)) {
        GdbItem item = gdb_link_next(&gdb->link);
        if (item == GDB_ITEM_INTERRUPT && runs) {
            return GDB_SERVED_INTERRUPT;
        }
        if (item == GDB_ITEM_PACKET && serve_packet(gdb, stop)) {
            return GDB_SERVED_RESUME;
        }
    }
    return gdb->link.gone ? GDB_SERVED_END : GDB_SERVED;
}

void gdb_report_end(Gdb *gdb, const GdbStop *stop)
{
    report(gdb, stop);
}
