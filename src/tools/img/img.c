/* The img program: makes, describes, checks, copies and changes disk images. Its commands are those of qemu-img. */
#include "tools/img/img.h"

#include <string.h>


static const ImgCommand *const commands[] = {
    &img_amend, &img_bench, &img_bitmap, &img_check, &img_commit, &img_compare, &img_convert, &img_create,
    &img_dd, &img_info, &img_map, &img_measure, &img_rebase, &img_resize, &img_snapshot,
};

static void print_help(const char *program)
{
    printf("%s %s\nDisk image utility.  Usage:\n\n  %s [standard options] COMMAND [--help | command options]\n\n"
           "Standard options:\n  -h, --help\n     display this help and exit\n"
           "  -V, --version\n     display version info and exit\n"
           "  -T, --trace TRACE\n     trace events: [[enable=]PATTERN][,events=FILE][,file=FILE]; 'help' lists them\n\n"
           "Recognized commands (run %s COMMAND --help for command-specific help):\n\n",
           program, tool_version, program, program);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        printf("  %s - %s\n", commands[i]->name, commands[i]->summary);
    }
    printf("\nSupported image formats:\n\n ");
    const BlockDriver *driver;
    for (size_t i = 0; (driver = block_driver_at(i)); i++) {
        printf(" %s", block_driver_name(driver));
    }
    printf("\n");
}

static const ImgCommand *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static bool trace_all(Tool *tool, const Texts *traces, bool *ended)
{
    bool ok = true;
    for (size_t i = 0; i < traces->count && ok && !*ended; i++) {
        ok = tool_trace(tool, traces->items[i], ended);
    }
    return ok;
}

static int see_help(const char *program)
{
    fprintf(stderr, "Try '%s --help' for more info\n", program);
    return 1;
}

/* `command`: NULL where there is none of that name. */
static int run_command(const char *program, const ImgCommand *command, const Texts *traces, int count, char **words)
{
    Img img = { .command = command };
    ImgArguments arguments = { 0 };
    int status = 1;
    bool ended = false;
    if (tool_init(&img.tool, program) && tool_signals_start(&img.tool) && trace_all(&img.tool, traces, &ended)) {
        if (ended) {
            status = 0;
        } else if (count == 0) {
            tool_error(&img.tool, "Not enough arguments");
            status = see_help(program);
        } else if (!command) {
            tool_error(&img.tool, "Command not found: %s", words[0]);
            status = see_help(program);
        } else if (img_parse(&img, count - 1, words + 1, &arguments, &status)) {
            status = command->run(&img, &arguments);
        }
    }
    img_arguments_clear(&arguments);
    tool_free(&img.tool);
    tool_signals_end(&img.tool);
    return fflush(stdout) == 0 ? status : 1;
}

/* What stands before the command; false where the program ends, with `*status`. */
static bool parse_standard(const char *program, int count, char **words, Texts *traces, int *status)
{
    static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { "trace", required_argument, NULL, 'T' },
        { 0 },
    };
    *status = 0;
    optind = 0;
    for (int letter; (letter = getopt_long(count, words, "+hVT:", options, NULL)) != -1;) {
        switch (letter) {
        case 'h':
            print_help(program);
            return false;
        case 'V':
            printf("%s %s\n", program, tool_version);
            return false;
        case 'T':
            vec_push(traces, optarg);
            break;
        default:
            *status = see_help(program);
            return false;
        }
    }
    return true;
}

int img_main(const char *program, int count, char **arguments)
{
    Texts traces = { 0 };
    int status;
    AUTO_FREE char **all = mem_alloc_array((size_t)count + 2, sizeof *all);
    all[0] = (char *)(uintptr_t)program; /* getopt's messages begin with it */
    memcpy(all + 1, arguments, (size_t)count * sizeof *all);
    if (parse_standard(program, count + 1, all, &traces, &status)) {
        int first = optind;
        status = run_command(program, first <= count ? find_command(all[first]) : NULL, &traces, count + 1 - first,
                             all + first);
    }
    vec_free(&traces);
    return status;
}
