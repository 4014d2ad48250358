/*
 * The img program: makes, describes, checks, copies and changes disk images. Its commands are those of qemu-img.
 *
 * Not here: --trace.
 */
#include "tools/img/img.h"

static const ImgCommand *const commands[] = {
    &img_amend, &img_bench, &img_bitmap, &img_check, &img_commit, &img_compare, &img_convert, &img_create,
    &img_dd, &img_info, &img_map, &img_measure, &img_rebase, &img_resize, &img_snapshot,
};

static void print_help(const char *program)
{
    printf("%s %s\nDisk image utility.  Usage:\n\n  %s [standard options] COMMAND [--help | command options]\n\n"
           "Standard options:\n  -h, --help\n     display this help and exit\n"
           "  -V, --version\n     display version info and exit\n\n"
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

static int run_command(const char *program, const ImgCommand *command, int count, char **words)
{
    Img img = { .command = command };
    ImgArguments arguments = { 0 };
    int status = 1;
    if (tool_init(&img.tool, program) && tool_signals_start(&img.tool) &&
        img_parse(&img, count, words, &arguments, &status)) {
        status = command->run(&img, &arguments);
    }
    img_arguments_clear(&arguments);
    tool_free(&img.tool);
    tool_signals_end(&img.tool);
    return fflush(stdout) == 0 ? status : 1;
}

static bool is_one_of(const char *word, const char *letter, const char *name)
{
    return strcmp(word, letter) == 0 || strcmp(word, name) == 0;
}

int img_main(const char *program, int count, char **arguments)
{
    if (count == 0) {
        fprintf(stderr, "%s: Not enough arguments\nTry '%s --help' for more info\n", program, program);
        return 1;
    }
    if (is_one_of(arguments[0], "-h", "--help")) {
        print_help(program);
        return 0;
    }
    if (is_one_of(arguments[0], "-V", "--version")) {
        printf("%s %s\n", program, tool_version);
        return 0;
    }
    const ImgCommand *command = find_command(arguments[0]);
    if (!command) {
        fprintf(stderr, "%s: Command not found: %s\nTry '%s --help' for more info\n", program, arguments[0], program);
        return 1;
    }
    return run_command(program, command, count - 1, arguments + 1);
}
