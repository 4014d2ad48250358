/* The debugger's packets, by their first letters. */
#include "base/bytes.h"
#include "base/vec.h"
#include "cpu/cpu.h"
#include "gdb/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_MAXIMUM = GDB_PACKET_MAXIMUM / 2 - 16, REGISTER_BYTES = 64 };

/* What a packet's function says of it. */
typedef enum Answer { ANSWER_REPLY, ANSWER_OK, ANSWER_ERROR, ANSWER_NONE, ANSWER_RESUME } Answer;

typedef Answer PacketFunction(Gdb *gdb, char *arguments, size_t length);

static void append_hex(StrBuf *text, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        strbuf_printf(text, "%02x", ((const uint8_t *)bytes)[i]);
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* How many bytes there were. */
static size_t parse_hex(const char *text, uint8_t *bytes, size_t size)
{
    size_t i = 0;

    for (; i < size && hex_digit(text[2 * i]) >= 0 && hex_digit(text[2 * i + 1]) >= 0; i++) {
        bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    }
    return i;
}

/* A number, and over the sign behind it. */
static uint64_t parse_number(char **at)
{
    uint64_t value = strtoull(*at, at, 16);
    *at += **at == ',' || **at == ':' || **at == ';' || **at == '=';
    return value;
}

/* -1: all; 0: any. */
static int parse_thread(const char *text)
{
    return text[0] == '-' ? -1 : (int)strtol(text, NULL, 16);
}

static Cpu *current_cpu(Gdb *gdb)
{
    Cpu *cpu = gdb->thread > 0 ? gdb->target->cpu(gdb->data, gdb->thread) : NULL;

    if (!cpu && gdb->target->thread(gdb->data, 0, &gdb->thread)) {
        cpu = gdb->target->cpu(gdb->data, gdb->thread);
    }
    return cpu;
}

/* -- registers --------------------------------------------------------------------------------------------------------- */

static void append_register(const Cpu *cpu, const GuestRegister *reg, StrBuf *text)
{
    append_hex(text, cpu->exec.state + reg->offset, reg->bits / 8);
}

static Answer read_registers(Gdb *gdb, char *arguments, size_t length)
{
    const Guest *guest = gdb->target->guest;
    Cpu *cpu = current_cpu(gdb);
    int row;

    if (!cpu) {
        return ANSWER_ERROR;
    }
    for (unsigned i = 0; (row = gdb_register_row(guest, i)) >= 0; i++) {
        append_register(cpu, &guest->ir.registers[row], &gdb->reply);
    }
    return ANSWER_REPLY;
}

/* From hexadecimal digits; the number of digits used. */
static size_t set_register(Cpu *cpu, unsigned row, const char *digits)
{
    const GuestRegister *reg = &cpu->guest->ir.registers[row];
    uint8_t bytes[REGISTER_BYTES] = { 0 };
    size_t size = parse_hex(digits, bytes, MIN(reg->bits / 8u, sizeof bytes));

    if (size * 8 != reg->bits) {
        return 0;
    }
    if (row == cpu->guest->ir.pc_register) {
        cpu->guest->set_pc(cpu, load_le(bytes, (unsigned)size));
    } else if (strcmp(reg->name, "zero")) { /* always what it says */
        memcpy(cpu->exec.state + reg->offset, bytes, size);
    }
    return 2 * size;
}

static Answer write_registers(Gdb *gdb, char *arguments, size_t length)
{
    Cpu *cpu = current_cpu(gdb);
    int row;

    for (unsigned i = 0; cpu && *arguments && (row = gdb_register_row(cpu->guest, i)) >= 0; i++) {
        size_t used = set_register(cpu, (unsigned)row, arguments);
        if (!used) {
            return ANSWER_ERROR;
        }
        arguments += used;
    }
    return cpu ? ANSWER_OK : ANSWER_ERROR;
}

static Answer read_register(Gdb *gdb, char *arguments, size_t length)
{
    Cpu *cpu = current_cpu(gdb);
    int row = gdb_register_row(gdb->target->guest, (unsigned)parse_number(&arguments));

    if (!cpu || row < 0) {
        return ANSWER_ERROR;
    }
    append_register(cpu, &cpu->guest->ir.registers[row], &gdb->reply);
    return ANSWER_REPLY;
}

static Answer write_register(Gdb *gdb, char *arguments, size_t length)
{
    Cpu *cpu = current_cpu(gdb);
    int row = gdb_register_row(gdb->target->guest, (unsigned)parse_number(&arguments));

    return cpu && row >= 0 && set_register(cpu, (unsigned)row, arguments) ? ANSWER_OK : ANSWER_ERROR;
}

/* -- memory ------------------------------------------------------------------------------------------------------------ */

static Answer read_memory(Gdb *gdb, char *arguments, size_t length)
{
    uint64_t address = parse_number(&arguments), wanted = parse_number(&arguments);
    size_t size = MIN(wanted, MEMORY_MAXIMUM);
    AUTO_FREE uint8_t *bytes = mem_alloc(size + 1);

    /* What can be read of it from the start. */
    while (size && !gdb->target->read(gdb->data, address, bytes, size)) {
        uint64_t in_page = (address + size - 1) & 4095;
        size = size > in_page + 1 ? size - in_page - 1 : 0;
    }
    append_hex(&gdb->reply, bytes, size);
    return size ? ANSWER_REPLY : ANSWER_ERROR;
}

static Answer write_memory(Gdb *gdb, char *arguments, size_t length)
{
    uint64_t address = parse_number(&arguments), size = parse_number(&arguments);
    uint8_t bytes[MEMORY_MAXIMUM];

    return size <= sizeof bytes && parse_hex(arguments, bytes, size) == size &&
                   gdb->target->write(gdb->data, address, bytes, size)
               ? ANSWER_OK
               : ANSWER_ERROR;
}

static Answer write_bytes(Gdb *gdb, char *arguments, size_t length)
{
    char *start = arguments;
    uint64_t address = parse_number(&arguments), size = parse_number(&arguments);
    size_t rest = length - (size_t)(arguments - start);

    return size == rest && (!size || gdb->target->write(gdb->data, address, arguments, size)) ? ANSWER_OK : ANSWER_ERROR;
}

static Answer change_point(Gdb *gdb, char *arguments, bool (*change)(void *, GdbPoint, uint64_t, uint64_t))
{
    uint64_t kind = parse_number(&arguments), address = parse_number(&arguments), size = parse_number(&arguments);

    if (kind > GDB_WATCH_ACCESS) {
        return ANSWER_REPLY; /* not known */
    }
    return change(gdb->data, (GdbPoint)kind, address, size) ? ANSWER_OK : ANSWER_ERROR;
}

static Answer insert_point(Gdb *gdb, char *arguments, size_t length)
{
    return change_point(gdb, arguments, gdb->target->insert);
}

static Answer remove_point(Gdb *gdb, char *arguments, size_t length)
{
    return change_point(gdb, arguments, gdb->target->remove);
}

/* -- going on ------------------------------------------------------------------------------------------------------------ */

static void resume_all(Gdb *gdb, GdbAction action, int signal)
{
    int thread;

    for (unsigned i = 0; gdb->target->thread(gdb->data, i, &thread); i++) {
        bool acts = thread == gdb->thread || action == GDB_RUN;
        gdb->target->resume(gdb->data, thread, acts ? action : GDB_RUN, thread == gdb->thread ? signal : 0);
    }
}

static Answer continue_all(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_RUN, 0);
    return ANSWER_RESUME;
}

static Answer step_one(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_STEP, 0);
    return ANSWER_RESUME;
}

static Answer continue_with(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_RUN, (int)parse_number(&arguments));
    return ANSWER_RESUME;
}

static Answer step_with(Gdb *gdb, char *arguments, size_t length)
{
    resume_all(gdb, GDB_STEP, (int)parse_number(&arguments));
    return ANSWER_RESUME;
}

/* vCont;ACTION[:THREAD]...: the first that fits a thread is its. */
static void resume_thread(Gdb *gdb, int thread, const char *actions)
{
    GdbAction action = GDB_HOLD;
    int signal = 0;

    for (const char *at = actions; *at == ';';) {
        char letter = *++at;
        char *end = (char *)at + (*at != 0);
        int number = letter == 'C' || letter == 'S' ? (int)strtoul(end, &end, 16) : 0;
        int meant = *end == ':' ? parse_thread(end + 1) : -1;
        at = end + strcspn(end, ";");
        if (meant <= 0 || meant == thread) {
            action = letter == 's' || letter == 'S' ? GDB_STEP : letter == 'c' || letter == 'C' ? GDB_RUN : GDB_HOLD;
            signal = number;
            break;
        }
    }
    gdb->target->resume(gdb->data, thread, action, signal);
}

static Answer resume_by_thread(Gdb *gdb, char *arguments, size_t length)
{
    int thread;

    if (*arguments == '?') {
        strbuf_append(&gdb->reply, "vCont;c;C;s;S;t");
        return ANSWER_REPLY;
    }
    for (unsigned i = 0; gdb->target->thread(gdb->data, i, &thread); i++) {
        resume_thread(gdb, thread, arguments);
    }
    return ANSWER_RESUME;
}

static Answer kill_all(Gdb *gdb, char *arguments, size_t length)
{
    gdb_packet_write(gdb, "OK", 2);
    gdb->target->kill(gdb->data);
    return ANSWER_NONE;
}

/* -- threads and queries ------------------------------------------------------------------------------------------------- */

static Answer choose_thread(Gdb *gdb, char *arguments, size_t length)
{
    int thread = parse_thread(arguments + 1);

    if (thread > 0 && !gdb->target->cpu(gdb->data, thread)) {
        return ANSWER_ERROR;
    }
    if (thread > 0 || arguments[0] == 'g') {
        gdb->thread = thread > 0 ? thread : gdb->thread;
    }
    return ANSWER_OK;
}

static Answer thread_lives(Gdb *gdb, char *arguments, size_t length)
{
    return gdb->target->cpu(gdb->data, parse_thread(arguments)) ? ANSWER_OK : ANSWER_ERROR;
}

static Answer more_threads(Gdb *gdb, char *arguments, size_t length)
{
    int thread;
    unsigned count = 0;

    for (; count < 200 && gdb->target->thread(gdb->data, (unsigned)gdb->next_thread, &thread); count++, gdb->next_thread++) {
        strbuf_printf(&gdb->reply, "%c%x", count ? ',' : 'm', (unsigned)thread);
    }
    strbuf_append(&gdb->reply, count ? "" : "l");
    return ANSWER_REPLY;
}

static Answer first_threads(Gdb *gdb, char *arguments, size_t length)
{
    gdb->next_thread = 0;
    return more_threads(gdb, arguments, length);
}

static Answer current_thread(Gdb *gdb, char *arguments, size_t length)
{
    strbuf_printf(&gdb->reply, "QC%x", (unsigned)gdb->thread);
    return ANSWER_REPLY;
}

static Answer supported(Gdb *gdb, char *arguments, size_t length)
{
    strbuf_printf(&gdb->reply, "PacketSize=%x;QStartNoAckMode+;vContSupported+;qXfer:features:read+;qXfer:auxv:read+;"
                               "qXfer:siginfo:read+;qXfer:exec-file:read+;QCatchSyscalls+;swbreak+",
                  GDB_PACKET_MAXIMUM);
    return ANSWER_REPLY;
}

static Answer no_acknowledge(Gdb *gdb, char *arguments, size_t length)
{
    gdb->no_acknowledge = true;
    return ANSWER_OK;
}

static Answer attached(Gdb *gdb, char *arguments, size_t length)
{
    strbuf_append(&gdb->reply, "0");
    return ANSWER_REPLY;
}

/* OBJECT:read:ANNEX:OFFSET,SIZE */
static Answer transfer(Gdb *gdb, char *arguments, size_t length)
{
    AUTO_STRBUF(bytes);
    char *read = strstr(arguments, ":read:"), *place = strrchr(arguments, ':');

    if (!read || place < read + 5) {
        return ANSWER_REPLY;
    }
    *read = 0;
    place++;
    uint64_t offset = parse_number(&place), wanted = parse_number(&place), size = MIN(wanted, MEMORY_MAXIMUM);
    if (!strcmp(arguments, "features")) {
        gdb_describe(gdb->target->guest, &bytes);
    } else if (!gdb->target->object(gdb->data, arguments, gdb->thread, &bytes)) {
        return ANSWER_ERROR;
    }
    offset = MIN(offset, bytes.length);
    size = MIN(size, bytes.length - offset);
    strbuf_append_char(&gdb->reply, offset + size < bytes.length ? 'm' : 'l');
    strbuf_append_bytes(&gdb->reply, strbuf_text(&bytes) + offset, size);
    return ANSWER_REPLY;
}

/* 0, or 1[;NUMBER]... */
static Answer catch_calls(Gdb *gdb, char *arguments, size_t length)
{
    enum { NUMBERS = 512 };
    uint64_t numbers[NUMBERS];
    size_t count = 0;
    bool enabled = *arguments == '1';

    for (char *at = strchr(arguments, ';'); at && *at && count < NUMBERS;) {
        at += *at == ';';
        numbers[count++] = strtoull(at, &at, 16);
        at += strcspn(at, ";");
    }
    gdb->target->catch_calls(gdb->data, enabled, numbers, count);
    return ANSWER_OK;
}

static Answer detach(Gdb *gdb, char *arguments, size_t length)
{
    gdb_packet_write(gdb, "OK", 2);
    gdb->gone = true;
    return ANSWER_NONE;
}

static const struct {
    const char *name;
    PacketFunction *function;
} packets[] = {
    { "g", read_registers },           { "G", write_registers },
    { "p", read_register },            { "P", write_register },
    { "m", read_memory },              { "M", write_memory },
    { "X", write_bytes },              { "Z", insert_point },
    { "z", remove_point },             { "c", continue_all },
    { "s", step_one },                 { "C", continue_with },
    { "S", step_with },                { "vCont", resume_by_thread },
    { "vKill", kill_all },             { "k", kill_all },
    { "H", choose_thread },            { "T", thread_lives },
    { "qfThreadInfo", first_threads }, { "qsThreadInfo", more_threads },
    { "qC", current_thread },          { "qSupported", supported },
    { "QStartNoAckMode", no_acknowledge }, { "qAttached", attached },
    { "qXfer:", transfer },            { "QCatchSyscalls:", catch_calls },
    { "D", detach },
};

/* The longest name that the packet begins with; a packet that nobody knows gets an empty answer. */
static Answer dispatch(Gdb *gdb, size_t length)
{
    size_t best = ARRAY_SIZE(packets), best_length = 0;

    for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
        size_t size = strlen(packets[i].name);
        if (size > best_length && !strncmp(gdb->packet, packets[i].name, size)) {
            best = i;
            best_length = size;
        }
    }
    return best == ARRAY_SIZE(packets)
               ? ANSWER_REPLY
               : packets[best].function(gdb, gdb->packet + best_length, length - best_length);
}

static void describe_stop(const GdbStop *stop, StrBuf *text)
{
    static const char *const watches[] = { [GDB_WATCH_WRITE] = "watch", [GDB_WATCH_READ] = "rwatch",
                                           [GDB_WATCH_ACCESS] = "awatch" };

    if (stop->kind == GDB_EXITED || stop->kind == GDB_KILLED) {
        strbuf_printf(text, "%c%02x", stop->kind == GDB_EXITED ? 'W' : 'X', (unsigned)stop->signal & 255);
        return;
    }
    strbuf_printf(text, "T%02xthread:%x;", (unsigned)stop->signal, (unsigned)stop->thread);
    switch (stop->kind) {
    case GDB_BY_BREAKPOINT:
        strbuf_append(text, "swbreak:;");
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
    default:
        break;
    }
}

static void report(Gdb *gdb, const GdbStop *stop)
{
    AUTO_STRBUF(text);

    describe_stop(stop, &text);
    gdb_packet_write(gdb, strbuf_text(&text), text.length);
}

static void answer(Gdb *gdb, Answer result)
{
    switch (result) {
    case ANSWER_REPLY:
        gdb_packet_write(gdb, strbuf_text(&gdb->reply), gdb->reply.length);
        break;
    case ANSWER_OK:
        gdb_packet_write(gdb, "OK", 2);
        break;
    case ANSWER_ERROR:
        gdb_packet_write(gdb, "E01", 3);
        break;
    default:
        break;
    }
}

bool gdb_stopped(Gdb *gdb, const GdbStop *stop)
{
    int length;

    gdb->thread = stop->thread;
    if (stop->signal) { /* else the debugger has just come, and will ask */
        report(gdb, stop);
    }
    while (!gdb->gone && (length = gdb_packet_read(gdb)) >= 0) {
        if (gdb->packet[0] == '?') {
            GdbStop first = *stop;
            first.signal = stop->signal ? stop->signal : GDB_SIGNAL_TRAP;
            report(gdb, &first);
            continue;
        }
        strbuf_clear(&gdb->reply);
        Answer result = dispatch(gdb, (size_t)length);
        if (result == ANSWER_RESUME) {
            return true;
        }
        answer(gdb, result);
    }
    return false;
}

void gdb_report_end(Gdb *gdb, const GdbStop *stop)
{
    report(gdb, stop);
}
