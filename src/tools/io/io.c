/*
 * The io program: exercises the block layer with commands like those of qemu-io, from the command line or stdin.
 *
 * Not here: zoned devices (their commands say so).
 */
#include "tools/io/io.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { MAXIMUM_WORDS = 1024 };

enum { IMAGE_OPTS = 256, OBJECT };

static const struct option options[] = {
    { "cmd", required_argument, NULL, 'c' },     { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },     { "snapshot", no_argument, NULL, 's' },
    { "nocache", no_argument, NULL, 'n' },       { "copy-on-read", no_argument, NULL, 'C' },
    { "misalign", no_argument, NULL, 'm' },      { "native-aio", no_argument, NULL, 'k' },
    { "aio", required_argument, NULL, 'i' },     { "cache", required_argument, NULL, 't' },
    { "discard", required_argument, NULL, 'd' }, { "force-share", no_argument, NULL, 'U' },
    { "image-opts", no_argument, NULL, IMAGE_OPTS }, { "object", required_argument, NULL, OBJECT },
    { "help", no_argument, NULL, 'h' },          { "version", no_argument, NULL, 'V' },
    { "trace", required_argument, NULL, 'T' },
    { 0 },
};

/* What commands share */

char *io_size_text(double bytes)
{
    static const char *const units[] = { " bytes", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
        bytes /= 1024;
        unit++;
    }
    AUTO_FREE char *number = unit ? string_format("%.3f", bytes) : string_format("%.0f", bytes);
    if (text_ends_with(number, ".000")) {
        number[strlen(number) - strlen(".000")] = 0;
    }
    return string_format("%s%s", number, units[unit]);
}

bool io_parse_number(const char *text, uint64_t *value)
{
    if (text_to_size(text, 1, value, NULL) && *value <= INT64_MAX) {
        return true;
    }
    if (tool_is_number(text)) {
        printf("Parsing error: argument too large -- %s\n", text);
        return false;
    }
    printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- %s\n", text);
    return false;
}

void io_finish_pending(Io *io)
{
    while (io->pending > 0) {
        block_loop_poll(block_runtime_main(block_graph_runtime(io->tool.graph)), true);
    }
}

bool io_may_write(const Io *io)
{
    bool read_only = block_node_is_read_only(block_edge_node(io->edge));
    if (read_only) {
        tool_error(&io->tool, "Block node is read-only");
    }
    return !read_only;
}

/* Lines */

/* Names of one letter. */
static const char *long_name(const char *name)
{
    static const char *const names[] = { "alloc", "close", "discard", "flush", "info", "length", "open", "quit", "read",
                                         "truncate", "write" };
    for (size_t i = 0; i < ARRAY_SIZE(names) && name[0] && !name[1]; i++) {
        if (names[i][0] == name[0]) {
            return names[i];
        }
    }
    return name;
}

const IoCommand *io_find_command(const char *name)
{
    const IoCommand *const lists[] = { io_transfer_commands, io_other_commands };
    name = long_name(name);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (const IoCommand *command = lists[i]; command->name; command++) {
            if (strcmp(command->name, name) == 0) {
                return command;
            }
        }
    }
    return NULL;
}

void io_print_usage(const char *name)
{
    const IoCommand *command = io_find_command(name);
    printf("%s %s%s-- %s\n", name, command->arguments, *command->arguments ? " " : "", command->summary);
}

void io_offer_commands(const char *start, TextList *names)
{
    const IoCommand *const lists[] = { io_transfer_commands, io_other_commands };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (const IoCommand *command = lists[i]; command->name; command++) {
            if (strncmp(command->name, start, strlen(start)) == 0) {
                vec_push(names, string_format("%s ", command->name));
            }
        }
    }
}

static int check_count(const IoCommand *command, int given)
{
    if (given >= command->least && (command->most < 0 || given <= command->most)) {
        return 0;
    }
    if (command->most < 0) {
        fprintf(stderr, "bad argument count %d to %s, expected at least %d arguments\n", given, command->name,
                command->least);
    } else if (command->least == command->most) {
        fprintf(stderr, "bad argument count %d to %s, expected %d arguments\n", given, command->name, command->least);
    } else {
        fprintf(stderr, "bad argument count %d to %s, expected between %d and %d arguments\n", given, command->name,
                command->least, command->most);
    }
    return -EINVAL;
}

static int run_words(Io *io, int count, char **words)
{
    const IoCommand *command = io_find_command(words[0]);
    fflush(stdout);
    if (!command) {
        fprintf(stderr, "command \"%s\" not found\n", words[0]);
        return -EINVAL;
    }
    if (command->needs_file && !io->edge) {
        fprintf(stderr, "no file open, try 'help open'\n");
        return -EINVAL;
    }
    int result = check_count(command, count - 1);
    return result ? result : command->run(io, count, words);
}

void io_run_line(Io *io, const char *line)
{
    AUTO_FREE char *copy = string_copy(line);
    AUTO_FREE char **words = mem_alloc_array(MAXIMUM_WORDS + 1, sizeof *words);
    int count = 0;
    char *rest = copy;
    for (char *word; count < MAXIMUM_WORDS && (word = strsep(&rest, " \t\n"));) {
        if (*word) {
            words[count++] = word;
        }
    }
    if (count && run_words(io, count, words) < 0) {
        io->failed = true;
    }
}

/* From stdin: a command that fails does not end it. */
static void run_interactively(Io *io)
{
    char *line = NULL;
    size_t room = 0;
    while (!io->quits) {
        printf("%s> ", io->tool.program);
        fflush(stdout);
        if (getline(&line, &room, stdin) < 0) {
            break;
        }
        io_run_line(io, line);
    }
    free(line);
}

static void run_all(Io *io, char **lines, size_t count)
{
    for (size_t i = 0; i < count && !io->quits; i++) {
        io_run_line(io, lines[i]);
    }
    if (count == 0 && !io_run_terminal(io)) {
        run_interactively(io);
    }
}

/* The program */

static void print_help(const char *program)
{
    printf("Usage: %s [OPTIONS]... [-c STRING]... [file]\nDisk exerciser\n\n"
           "  --object OBJECTDEF   define an object such as a secret\n"
           "  --image-opts         treat file as option string\n"
           "  -c, --cmd STRING     execute command with its arguments from the given string\n"
           "  -f, --format FMT     specifies the block driver to use\n"
           "  -r, --read-only      open the file read-only\n"
           "  -s, --snapshot       write to a file that is gone afterwards\n"
           "  -n, --nocache        disable host cache, short for -t none\n"
           "  -C, --copy-on-read   keep what is read from backing files\n"
           "  -m, --misalign       misalign buffers, for O_DIRECT\n"
           "  -k, --native-aio     use the host's older asynchronous I/O, short for -i native\n"
           "  -i, --aio=MODE       threads, native or io_uring\n"
           "  -t, --cache=MODE     use the given cache mode for the image\n"
           "  -d, --discard=MODE   use the given discard mode for the image\n"
           "  -U, --force-share    force shared permissions\n"
           "  -T, --trace [[enable=]PATTERN][,events=FILE][,file=FILE]\n"
           "                       trace events; 'help' lists them\n"
           "  -h, --help           display this help and exit\n"
           "  -V, --version        output version information and exit\n\n"
           "See '%s -c help' for information on available commands.\n", program, program);
}

typedef struct Lines {
    char **items;
    size_t count, capacity;
} Lines;

static int see_help(const Io *io)
{
    print_help(io->tool.program);
    return 1;
}

/* False where the program ends, with `*status`. */
static bool parse_option(Io *io, int letter, Lines *lines, int *status)
{
    bool ended = false;
    switch (letter) {
    case 'c':
        vec_push(lines, optarg);
        return true;
    case 'f':
        io->how.format = optarg;
        return true;
    case 'm':
        io->misalign = true;
        return true;
    case IMAGE_OPTS:
        io->how.image_opts = true;
        return true;
    case OBJECT:
        if (!tool_add_object(&io->tool, optarg, &ended)) {
            return false;
        }
        *status = ended ? 0 : *status;
        return !ended;
    case 'T':
        if (!tool_trace(&io->tool, optarg, &ended)) {
            return false;
        }
        *status = ended ? 0 : *status;
        return !ended;
    case 'h':
        print_help(io->tool.program);
        *status = 0;
        return false;
    case 'V':
        printf("%s %s\n", io->tool.program, tool_version);
        *status = 0;
        return false;
    case '?':
        *status = see_help(io);
        return false;
    default:
        return io_parse_how(io, letter, optarg, &io->how);
    }
}

/* False where the program ends, with `*status`. */
static bool parse_all(Io *io, int count, char **words, Lines *lines, int *status)
{
    optind = 0;
    for (int letter; (letter = getopt_long(count, words, "c:f:rsnCmki:t:d:UhVT:", options, NULL)) != -1;) {
        if (!parse_option(io, letter, lines, status)) {
            return false;
        }
    }
    if (count - optind > 1) {
        *status = see_help(io);
        return false;
    }
    if (io->how.format && io->how.image_opts) {
        tool_error(&io->tool, "--image-opts and -f are mutually exclusive");
        return false;
    }
    io->how.name = optind < count ? words[optind] : NULL;
    return true;
}

int io_main(const char *program, int count, char **arguments)
{
    Io io = { .how = { .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD } };
    Lines lines = { 0 };
    int status = 1;
    AUTO_FREE char **all = mem_alloc_array((size_t)count + 2, sizeof *all);
    all[0] = (char *)(uintptr_t)program;
    memcpy(all + 1, arguments, (size_t)count * sizeof *all);
    if (tool_init(&io.tool, program) && parse_all(&io, count + 1, all, &lines, &status) &&
        (!io.how.name || io_open(&io, &io.how))) {
        run_all(&io, lines.items, lines.count);
        status = io.failed ? 1 : 0;
    }
    io_close(&io);
    vec_free(&lines);
    tool_free(&io.tool);
    return fflush(stdout) == 0 ? status : 1;
}
