/*
 * The io program: exercises the block layer with commands like those of qemu-io, from the command line or stdin.
 *
 * Not here: a history of typed lines, breakpoints of blkdebug, zoned devices, reopen, -s, -C, -m, -k, -i.
 */
#include "tools/io/io.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { MAXIMUM_WORDS = 1024 };

static const struct option options[] = {
    { "cmd", required_argument, NULL, 'c' },     { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },     { "nocache", no_argument, NULL, 'n' },
    { "cache", required_argument, NULL, 't' },   { "discard", required_argument, NULL, 'd' },
    { "force-share", no_argument, NULL, 'U' },   { "image-opts", no_argument, NULL, 'O' },
    { "help", no_argument, NULL, 'h' },          { "version", no_argument, NULL, 'V' },
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
    printf("Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- %s\n", text);
    return false;
}

bool io_open(Io *io, const ToolOpen *how)
{
    ToolOpen open = *how;
    bool writes = open.flags & BLOCK_OPEN_WRITE, shares = open.flags & BLOCK_OPEN_FORCE_SHARE;
    open.permissions = BLOCK_PERMISSION_READ | (writes ? BLOCK_PERMISSION_WRITE | BLOCK_PERMISSION_RESIZE : 0);
    open.shared = shares ? BLOCK_PERMISSION_ALL : BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED;
    AUTO_FREE char *complaint = string_format("can't open device %s: ", open.name);
    open.complaint = complaint;
    io->edge = tool_open(&io->tool, &open);
    return io->edge != NULL;
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

void io_close(Io *io)
{
    io_finish_pending(io);
    block_detach(io->edge);
    io->edge = NULL;
}

/* Lines */

static const IoCommand *find_command(const char *name)
{
    const IoCommand *const lists[] = { io_transfer_commands, io_other_commands };
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
    const IoCommand *command = find_command(name);
    printf("%s %s -- %s\n", command->name, command->arguments, command->summary);
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
    const IoCommand *command = find_command(words[0]);
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

static int run_line(Io *io, const char *line)
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
    return count ? run_words(io, count, words) : 0;
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
            printf("\n");
            break;
        }
        run_line(io, line);
    }
    free(line);
}

static int run_all(Io *io, char **lines, size_t count)
{
    int status = 0;
    for (size_t i = 0; i < count && !io->quits; i++) {
        status = run_line(io, lines[i]) < 0 ? 1 : status;
    }
    if (count == 0) {
        run_interactively(io);
    }
    io_finish_pending(io);
    return status;
}

/* The program */

static void print_help(const char *program)
{
    printf("Usage: %s [OPTIONS]... [-c STRING]... [file]\nDisk exerciser\n\n"
           "  --image-opts         treat file as option string\n"
           "  -c, --cmd STRING     execute command with its arguments from the given string\n"
           "  -f, --format FMT     specifies the block driver to use\n"
           "  -r, --read-only      open the file read-only\n"
           "  -n, --nocache        disable host cache, short for -t none\n"
           "  -t, --cache=MODE     use the given cache mode for the image\n"
           "  -d, --discard=MODE   use the given discard mode for the image\n"
           "  -U, --force-share    force shared permissions\n"
           "  -h, --help           display this help and exit\n"
           "  -V, --version        output version information and exit\n\n"
           "See '%s -c help' for information on available commands.\n", program, program);
}

typedef struct Lines {
    char **items;
    size_t count, capacity;
} Lines;

/* False where the program ends, with `*status`. */
static bool parse_option(Io *io, int letter, Lines *lines, int *status)
{
    AUTO_ERROR(error);
    switch (letter) {
    case 'c':
        vec_push(lines, optarg);
        return true;
    case 'f':
        io->how.format = optarg;
        return true;
    case 'r':
        io->how.flags &= ~(unsigned)BLOCK_OPEN_WRITE;
        return true;
    case 'n':
        io->how.flags |= BLOCK_OPEN_DIRECT;
        return true;
    case 't':
        if (!block_parse_cache_mode(optarg, &io->how.flags, &io->how.write_through, &error)) {
            tool_error(&io->tool, "Invalid cache option: %s", optarg);
        }
        return error == NULL;
    case 'd':
        io->how.flags |= strcmp(optarg, "unmap") == 0 || strcmp(optarg, "on") == 0 ? BLOCK_OPEN_DISCARD : 0;
        return true;
    case 'U':
        io->how.flags |= BLOCK_OPEN_FORCE_SHARE;
        return true;
    case 'O':
        io->how.image_opts = true;
        return true;
    case 'h':
        print_help(io->tool.program);
        *status = 0;
        return false;
    case 'V':
        printf("%s %s\n", io->tool.program, tool_version);
        *status = 0;
        return false;
    default:
        fprintf(stderr, "Try '%s --help' for more information.\n", io->tool.program);
        return false;
    }
}

int io_main(const char *program, int count, char **arguments)
{
    Io io = { .how = { .flags = BLOCK_OPEN_WRITE | BLOCK_OPEN_DISCARD } };
    Lines lines = { 0 };
    int status = 1;
    bool goes_on = tool_init(&io.tool, program);
    AUTO_FREE char **all = mem_alloc_array((size_t)count + 2, sizeof *all);
    all[0] = (char *)(uintptr_t)program;
    memcpy(all + 1, arguments, (size_t)count * sizeof *all);
    optind = 0;
    for (int letter; goes_on && (letter = getopt_long(count + 1, all, "c:f:rnt:d:UhV", options, NULL)) != -1;) {
        goes_on = parse_option(&io, letter, &lines, &status);
    }
    if (goes_on && count + 1 - optind > 1) {
        fprintf(stderr, "Try '%s --help' for more information.\n", program);
        goes_on = false;
    }
    int first = optind; /* commands use getopt too */
    if (goes_on && first <= count) {
        io.how.name = all[first];
        goes_on = io_open(&io, &io.how);
    }
    status = goes_on ? run_all(&io, lines.items, lines.count) : status;
    io_close(&io);
    vec_free(&lines);
    tool_free(&io.tool);
    return fflush(stdout) == 0 ? status : 1;
}
