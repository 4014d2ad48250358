/*
 * One executable, many programs: by the name that it is called by (myna-system-riscv64, qemu-system-riscv64, qemu-img),
 * or by its first words (myna system riscv64, myna img).
 */
#include "main/program.h"

#include "base/error.h"
#include "base/text.h"
#include "cpu/guest.h"
#include "monitor/monitor.h"
#include "tools/tool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "myna";
}

static int run_system(const char *program, const char *target, int count, const char *const *arguments)
{
    AUTO_ERROR(error);
    const Guest *guest = guest_find(target, &error);
    if (!guest) {
        fprintf(stderr, "%s: %s\n", program, error_message(error));
        return EXIT_FAILURE;
    }
    return system_main(program, guest, count, arguments);
}

static const struct {
    const char *name;
    int (*run)(const char *program, int count, char **arguments);
} tools[] = {
    { "img", img_main },
    { "io", io_main },
    { "nbd", nbd_main },
};

/* The tool of that name; false where there is none. */
static bool run_tool(const char *name, const char *program, int count, char **arguments, int *status)
{
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        if (!strcmp(name, tools[i].name)) {
            *status = tools[i].run(program, count, arguments);
            return true;
        }
    }
    return false;
}

static void print_usage(FILE *file)
{
    fprintf(file, "usage: myna system GUEST [options]\n       myna img COMMAND [options]\n"
                  "       myna io [options] [file]\n       myna nbd [options] file\n\nGuests:\n");
    for (size_t i = 0; i < guest_count; i++) {
        fprintf(file, "  %s\n", guests[i]->target);
    }
    fprintf(file, "\nmyna-system-GUEST and qemu-system-GUEST, links to this program, are the same.\n");
}

static int run_words(int count, char **arguments)
{
    const char *const *words = (const char *const *)arguments;
    int status = 0;
    AUTO_FREE char *tool_name = string_format("myna-%s", count ? words[0] : "");
    if (count >= 1 && run_tool(words[0], tool_name, count - 1, arguments + 1, &status)) {
        return status;
    }
    if (count >= 2 && !strcmp(words[0], "system")) {
        AUTO_FREE char *program = string_format("myna-system-%s", words[1]);
        return run_system(program, words[1], count - 2, words + 2);
    }
    if (count == 1 && (!strcmp(words[0], "--version") || !strcmp(words[0], "-version"))) {
        printf("%s (answers as QEMU emulator version %s)\n", monitor_package, monitor_version);
        return EXIT_SUCCESS;
    }
    bool help = count == 1 && (!strcmp(words[0], "help") || !strcmp(words[0], "--help") || !strcmp(words[0], "-h"));
    if (!help && count) {
        fprintf(stderr, "myna: there is no program '%s' in this build\n", words[0]);
    }
    print_usage(help ? stdout : stderr);
    return help ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Where the caller closed one of them: else the first files that are opened would be the ones that everybody writes to,
 * and that a daemon closes. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

int main(int count, char **words)
{
    fill_standard_descriptors();
    static const char *const prefixes[] = { "qemu-system-", "myna-system-" };
    const char *program = base_name(words[0]);
    const char *const *arguments = (const char *const *)words + 1;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (text_starts_with(program, prefixes[i])) {
            return run_system(program, program + strlen(prefixes[i]), count - 1, arguments);
        }
    }
    int status = 0;
    bool named = text_starts_with(program, "qemu-") || text_starts_with(program, "myna-");
    if (named && run_tool(program + strlen("qemu-"), program, count - 1, words + 1, &status)) {
        return status;
    }
    return run_words(MAX(count - 1, 0), words + 1);
}
