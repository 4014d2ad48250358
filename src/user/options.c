/* The command line of user mode: a table of options, each with its variable, as QEMU's users know them. */
#include "user/options.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/trace.h"
#include "base/vec.h"
#include "user/main.h"
#include "user/memory.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 1 };

/* What the options change as they are read. */
typedef struct Parse {
    UserOptions *options;
    VEC(char *) environment;
    bool done; /* -h, -version */
} Parse;

typedef bool OptionFunction(Parse *parse, const char *value, Error **error);

#define TEXT_OPTION(name_) \
    static bool set_##name_(Parse *parse, const char *value, Error **error) \
    { \
        parse->options->name_ = value; \
        return true; \
    }
TEXT_OPTION(prefix)
TEXT_OPTION(release)
TEXT_OPTION(argv0)
TEXT_OPTION(debugger)
TEXT_OPTION(log_file)
TEXT_OPTION(log_ranges)

static bool is_help(const char *value)
{
    return !strcmp(value, "help") || !strcmp(value, "?");
}

static bool set_cpu(Parse *parse, const char *value, Error **error)
{
    parse->options->cpu = value;
    parse->options->cpu_help = parse->done = is_help(value);
    return true;
}

static void print_events(Parse *parse)
{
    Trace *trace = trace_new(trace_events, trace_event_count, NULL);

    trace_print(trace, stdout);
    trace_free(trace);
    parse->done = true;
}

static bool set_log_items(Parse *parse, const char *value, Error **error)
{
    AUTO_STRBUF(text);

    parse->options->log_items = value;
    if (!strcmp(value, "trace:help")) {
        print_events(parse);
    } else if (is_help(value)) {
        log_print_items(&text);
        fputs(strbuf_text(&text), stdout);
        parse->done = true;
    }
    return true;
}

/* [[enable=]PATTERN][,events=FILE][,file=FILE] */
static bool set_trace(Parse *parse, const char *value, Error **error)
{
    static const char *const known[] = { "enable", "events", "file" };
    bool help = false, ok = true;
    Json *values = options_parse(value, "enable", &help, error);

    if (help || is_help(value)) {
        print_events(parse);
    }
    for (size_t i = 0; values && i < json_length(values); i++) {
        bool found = parse->done;
        for (size_t k = 0; k < ARRAY_SIZE(known); k++) {
            found = found || !strcmp(json_key(values, i), known[k]);
        }
        ok = found && ok ? ok : error_set(error, "there is no '%s': enable, events and file are known",
                                          json_key(values, i));
    }
    ok = ok && values;
    json_free(values);
    parse->options->trace = value;
    return ok;
}

/* Guests have pages of 4 KiB, whatever the host has. */
static bool set_page_size(Parse *parse, const char *value, Error **error)
{
    uint64_t size;

    if (!text_to_uint64(value, &size, error)) {
        return false;
    }
    if (size < GUEST_PAGE_SIZE || size & (size - 1)) {
        return error_set(error, "%s: a page is a power of two, 4096 or more", value);
    }
    return size == GUEST_PAGE_SIZE || error_set(error, "%s: the program's pages have 4096 bytes", value);
}

static bool refuse_plugin(Parse *parse, const char *value, Error **error)
{
    return error_set(error, "%s: this program is static, and loads no plugins", value);
}

static bool set_strace(Parse *parse, const char *value, Error **error)
{
    parse->options->strace = true;
    return true;
}

static bool set_one_insn(Parse *parse, const char *value, Error **error)
{
    parse->options->one_insn = true;
    return true;
}

static bool set_perf_map(Parse *parse, const char *value, Error **error)
{
    parse->options->perf_map = true;
    return true;
}

static bool set_jit_dump(Parse *parse, const char *value, Error **error)
{
    parse->options->jit_dump = true;
    return true;
}

static bool set_gdb_jit(Parse *parse, const char *value, Error **error)
{
    parse->options->gdb_jit = true;
    return true;
}

static bool set_code_size(Parse *parse, const char *value, Error **error)
{
    uint64_t size;

    if (!text_to_uint64(value, &size, error)) {
        return false;
    }
    parse->options->code_size = value;
    parse->options->code_bytes = MIN(size, UINT64_C(4096)) * MIB;
    return true;
}

static bool set_accelerator(Parse *parse, const char *value, Error **error)
{
    parse->options->interpret = !strcmp(value, "interp");
    if (!parse->options->interpret && strcmp(value, "tcg") && strcmp(value, "jit")) {
        return error_set(error,
                         "there is no accelerator '%s': 'tcg' (the same as 'jit') translates, 'interp' interprets",
                         value);
    }
    return true;
}

static bool set_stack(Parse *parse, const char *value, Error **error)
{
    return text_to_size(value, 1, &parse->options->stack_size, error);
}

static bool set_reserved(Parse *parse, const char *value, Error **error)
{
    return text_to_size(value, 1, &parse->options->reserved, error);
}

static bool set_seed(Parse *parse, const char *value, Error **error)
{
    parse->options->seeded = true;
    parse->options->seed_text = value;
    return text_to_uint64(value, &parse->options->seed, error);
}

static bool parse_fd(const char *value, int *fd, Error **error)
{
    uint64_t number;

    if (!text_to_uint64(value, &number, error)) {
        return false;
    }
    *fd = number <= INT_MAX ? (int)number : 0;
    return true;
}

/* These are of our own making, for execve: of a file without a name, of ourselves, of the log and the debugger that
 * stay. */
static bool set_program_fd(Parse *parse, const char *value, Error **error)
{
    return parse_fd(value, &parse->options->program_fd, error);
}

static bool set_self_fd(Parse *parse, const char *value, Error **error)
{
    return parse_fd(value, &parse->options->self_fd, error);
}

static bool set_log_fd(Parse *parse, const char *value, Error **error)
{
    return parse_fd(value, &parse->options->log_fd, error);
}

static bool set_debug_fd(Parse *parse, const char *value, Error **error)
{
    return parse_fd(value, &parse->options->debug_fd, error);
}

static bool set_base(Parse *parse, const char *value, Error **error)
{
    return text_to_uint64(value, &parse->options->guest_base, error);
}

/* Removes NAME, or NAME of NAME=VALUE. */
static void remove_variable(Parse *parse, const char *name)
{
    size_t length = strcspn(name, "=");

    for (size_t i = parse->environment.count; i-- > 0;) {
        const char *item = parse->environment.items[i];
        if (!strncmp(item, name, length) && item[length] == '=') {
            vec_remove(&parse->environment, i);
        }
    }
}

/* One or, separated by commas, several. */
static bool set_variables(Parse *parse, const char *value, Error **error)
{
    while (*value) {
        size_t length = strcspn(value, ",");
        char *item = string_copy_length(value, length); /* lives as long as we do */
        if (!strchr(item, '=')) {
            return error_set(error, "'%s' is not NAME=VALUE", item);
        }
        remove_variable(parse, item);
        vec_push(&parse->environment, item);
        value += length + (value[length] == ',');
    }
    return true;
}

static bool unset_variables(Parse *parse, const char *value, Error **error)
{
    while (*value) {
        size_t length = strcspn(value, ",");
        AUTO_FREE char *name = string_copy_length(value, length);
        remove_variable(parse, name);
        value += length + (value[length] == ',');
    }
    return true;
}

static OptionFunction print_help, print_version;

static const struct OptionRow {
    const char *name, *variable;
    const char *argument; /* NULL: takes none */
    OptionFunction *function;
    const char *help;
} rows[] = {
    { "h", NULL, NULL, print_help, "print this help" },
    { "help", NULL, NULL, print_help, "print this help" },
    { "g", "QEMU_GDB", "port", set_debugger, "wait for gdb on this port, or this socket's path" },
    { "L", "QEMU_LD_PREFIX", "path", set_prefix, "look for the program's files below 'path' first" },
    { "s", "QEMU_STACK_SIZE", "size", set_stack, "the stack's size in bytes" },
    { "cpu", "QEMU_CPU", "model", set_cpu, "the processor" },
    { "E", "QEMU_SET_ENV", "var=value", set_variables, "set variables of the program's environment" },
    { "U", "QEMU_UNSET_ENV", "var", unset_variables, "remove variables of the program's environment" },
    { "0", "QEMU_ARGV0", "argv0", set_argv0, "the program's argv[0]" },
    { "r", "QEMU_UNAME", "uname", set_release, "the release that uname tells" },
    { "accel", "MYNA_ACCEL", "name", set_accelerator, "how to run the program: tcg (by translation) or interp" },
    { "B", "QEMU_GUEST_BASE", "address", set_base, "where the program's address 0 is in ours" },
    { "R", "QEMU_RESERVED_VA", "size", set_reserved, "reserve so much address space for the program" },
    { "seed", "QEMU_RAND_SEED", "number", set_seed, "make AT_RANDOM of this number: the same each time" },
    { "d", "QEMU_LOG", "item[,...]", set_log_items, "log these items" },
    { "dfilter", "QEMU_DFILTER", "range[,...]", set_log_ranges, "log what happens in these addresses alone" },
    { "D", "QEMU_LOG_FILENAME", "logfile", set_log_file, "write the log to 'logfile'" },
    { "one-insn-per-tb", "QEMU_ONE_INSN_PER_TB", NULL, set_one_insn, "each instruction is a block of its own" },
    { "p", "QEMU_PAGESIZE", "pagesize", set_page_size, "the program's page size, to be checked: 4096" },
    { "tb-size", "QEMU_TB_SIZE", "size", set_code_size, "MiB of translated code and its tables" },
    { "perfmap", "QEMU_PERFMAP", NULL, set_perf_map, "write blocks' names to /tmp/perf-PID.map" },
    { "jitdump", "QEMU_JITDUMP", NULL, set_jit_dump, "write blocks to jit-PID.dump" },
    { "gdb-jit", "MYNA_GDB_JIT", NULL, set_gdb_jit, "a debugger of this program is told of blocks" },
    { "strace", "QEMU_STRACE", NULL, set_strace, "log system calls" },
    { "trace", "QEMU_TRACE", "[[enable=]pattern][,events=file][,file=file]", set_trace, "log these events" },
    { "plugin", "QEMU_PLUGIN", "file", refuse_plugin, "refused: this program is static" },
    { "self-fd", NULL, "fd", set_self_fd, "the emulator's own file, open already" },
    { "program-fd", NULL, "fd", set_program_fd, "the program's file, open already" },
    { "log-fd", NULL, "fd", set_log_fd, "the log's file, open already" },
    { "debug-fd", NULL, "fd", set_debug_fd, "the connection to a debugger, open already" },
    { "version", "QEMU_VERSION", NULL, print_version, "print the version" },
};

static bool print_help(Parse *parse, const char *value, Error **error)
{
    printf("usage: myna-user [options] program [arguments...]\nOptions and the variables that set them:\n");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        printf("  -%-16s %-12s %-22s %s\n", rows[i].name, rows[i].argument ? rows[i].argument : "",
               rows[i].variable ? rows[i].variable : "", rows[i].help);
    }
    parse->done = true;
    return true;
}

static bool print_version(Parse *parse, const char *value, Error **error)
{
    printf("myna-user version %s\n", MYNA_VERSION);
    parse->done = true;
    return true;
}

/* None of them where the program has rights that its caller has not (binfmt_misc's C). */
static bool apply_variables(Parse *parse, Error **error)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *value = rows[i].variable ? secure_getenv(rows[i].variable) : NULL;
        if (value && !rows[i].function(parse, value, error)) {
            return error_prepend(error, "%s: ", rows[i].variable);
        }
    }
    return true;
}

static const struct OptionRow *find_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!strcmp(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* The index of the first argument that is no option; 0 with an error. */
static int apply_arguments(Parse *parse, int argc, char **argv, Error **error)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-' && !parse->done; i++) {
        const char *name = argv[i] + 1 + (argv[i][1] == '-');
        if (!name[0]) {
            return i + 1;
        }
        const struct OptionRow *row = find_row(name);
        if (!row) {
            error_set(error, "unknown option '%s'; -h lists them", argv[i]);
            return 0;
        }
        if (row->argument && i + 1 == argc) {
            error_set(error, "-%s needs a value: %s", row->name, row->argument);
            return 0;
        }
        if (!row->function(parse, row->argument ? argv[++i] : NULL, error)) {
            error_prepend(error, "-%s: ", row->name);
            return 0;
        }
    }
    return i;
}

bool user_options_parse(UserOptions *options, UserCommand *command, int argc, char **argv, int *status, Error **error)
{
    Parse parse = { .options = options };

    *status = EXIT_USAGE;
    options->guest_base = MYNA_GUEST_BASE;
    for (char **item = command->environment; *item; item++) {
        vec_push(&parse.environment, *item);
    }
    int first = apply_variables(&parse, error) ? apply_arguments(&parse, argc, argv, error) : 0;
    if (!first || parse.done) {
        *status = parse.done ? EXIT_SUCCESS : EXIT_USAGE;
        return false;
    }
    if (first >= argc) {
        return error_set(error, "which program? -h lists the options");
    }
    vec_push(&parse.environment, NULL);
    command->environment = parse.environment.items;
    command->arguments = argv + first;
    return true;
}

static bool apply_trace(const UserOptions *options, Log *log, Error **error)
{
    enum { LARGEST = 1 << 20 };
    Json *values = options_parse(options->trace, "enable", NULL, error);
    const char *file = json_get_text(values, "file"), *events = json_get_text(values, "events");
    const char *pattern = json_get_text(values, "enable");
    bool ok = !file || options->log_fd || log_set_file(log, file, error);
    size_t size;
    AUTO_FREE char *text = ok && events ? files_read_all(NULL, events, LARGEST, &size, error) : NULL;

    ok = ok && (!events || (text && trace_select_file(log->trace, text, error))) &&
         (!pattern || trace_select(log->trace, pattern, error));
    json_free(values);
    return ok;
}

bool user_options_log(const UserOptions *options, Log *log, Error **error)
{
    enum { LOWEST_FD = 210 }; /* out of the program's way */

    log->trace = trace_new(trace_events, trace_event_count, log);
    log->lowest_fd = LOWEST_FD;
    if (options->log_fd) {
        fcntl(options->log_fd, F_SETFD, FD_CLOEXEC);
        if (!log_use_file(log, options->log_file ? options->log_file : "-trace", options->log_fd, error)) {
            return false;
        }
    } else if (options->log_file && !log_set_file(log, options->log_file, error)) {
        return false;
    }
    if (options->log_items && !log_set_items(log, options->log_items, error)) {
        return false;
    }
    if (options->trace && !apply_trace(options, log, error)) {
        return error_prepend(error, "-trace: ");
    }
    if (options->strace) {
        atomic_fetch_or(&log->items, LOG_STRACE);
    }
    return !options->log_ranges || log_set_ranges(log, options->log_ranges, error);
}
