/*
 * binfmt_misc, after Documentation/admin-guide/binfmt-misc.rst: a rule for each guest by the first bytes of its ELF
 * files.
 *
 *   myna-user --register [--flags FLAGS] [GUEST...]    FLAGS: F (ours is opened now: serves in any container),
 *                                                      P (argv[0] is kept), O (the kernel opens the program),
 *                                                      C (and set-user-ID programs get what they ask for)
 *   myna-user --unregister [GUEST...]
 *   myna-user --check [GUEST...]                       says what is registered, and what is wrong
 *
 * The rules are called myna-GUEST. Those of others for the same programs are named by --check and left alone.
 */
#include "user/binfmt.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "cpu/guest.h"
#include "user/abi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "/proc/sys/fs/binfmt_misc"

enum { MAGIC_SIZE = 20, RULE_LIMIT = 1900 };

typedef struct Request {
    const char *flags;
    char **guests; /* NULL: all */
    const char *program;
} Request;

typedef bool Action(const Request *request, const UserAbi *abi, Error **error);

/* Class, byte order, version, kind of file (ET_EXEC and ET_DYN differ in a bit each) and machine; not the system's
 * ABI. */
static void fill_magic(const UserAbi *abi, uint8_t magic[MAGIC_SIZE], uint8_t mask[MAGIC_SIZE])
{
    const uint8_t bytes[MAGIC_SIZE] = { 0x7f, 'E', 'L', 'F', abi->guest->elf_class, 1, 1, [16] = 2,
                                        [18] = (uint8_t)abi->elf_machine, [19] = (uint8_t)(abi->elf_machine >> 8) };
    const uint8_t bits[MAGIC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, [16] = 0xfe, [17] = 0xff,
                                       [18] = 0xff, [19] = 0xff };

    memcpy(magic, bytes, MAGIC_SIZE);
    memcpy(mask, bits, MAGIC_SIZE);
}

static void append_bytes(StrBuf *text, const char *prefix, const uint8_t *bytes)
{
    for (unsigned i = 0; i < MAGIC_SIZE; i++) {
        strbuf_printf(text, "%s%02x", prefix, bytes[i]);
    }
}

static bool write_file(const char *path, const char *text, Error **error)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (!ok) {
        error_set_errno(error, errno, "%s cannot be written", path);
        error_add_hint(error, errno == ENOENT ? "mount it: mount -t binfmt_misc binfmt_misc " FOLDER "\n"
                                              : "this needs to be root's\n");
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

/* The kernel takes the first character of a rule to stand between its parts: one that none of them has. */
static char separator_for(const char *program)
{
    const char *at = ":;,|!#%";

    while (at[1] && strchr(program, *at)) {
        at++;
    }
    return *at;
}

static bool is_mounted(Error **error)
{
    if (!access(FOLDER "/status", F_OK)) {
        return true;
    }
    error_set(error, "binfmt_misc is not mounted");
    error_add_hint(error, "mount -t binfmt_misc binfmt_misc " FOLDER "\n");
    return false;
}

static void read_rule(const char *name, StrBuf *text)
{
    char path[PATH_MAX], bytes[RULE_LIMIT];
    int fd;

    snprintf(path, sizeof path, FOLDER "/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? read(fd, bytes, sizeof bytes) : 0;
    strbuf_append_bytes(text, bytes, (size_t)MAX(count, 0));
    if (fd >= 0) {
        close(fd);
    }
}

static bool is_registered(const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, FOLDER "/%s", name);
    return !access(path, F_OK);
}

static bool unregister_guest(const Request *request, const UserAbi *abi, Error **error)
{
    char name[64], path[PATH_MAX];

    if (!is_mounted(error)) {
        return false;
    }
    snprintf(name, sizeof name, "myna-%s", abi->target);
    if (!is_registered(name)) {
        printf("%s: is not registered\n", name);
        return true;
    }
    snprintf(path, sizeof path, FOLDER "/%s", name);
    return write_file(path, "-1", error) && printf("%s: is no more\n", name) > 0;
}

static bool register_guest(const Request *request, const UserAbi *abi, Error **error)
{
    AUTO_STRBUF(rule);
    uint8_t magic[MAGIC_SIZE], mask[MAGIC_SIZE];
    char name[64], separator = separator_for(request->program);

    if (!is_mounted(error)) {
        return false;
    }
    snprintf(name, sizeof name, "myna-%s", abi->target);
    if (is_registered(name) && !unregister_guest(request, abi, error)) {
        return false;
    }
    fill_magic(abi, magic, mask);
    strbuf_printf(&rule, "%c%s%cM%c%c", separator, name, separator, separator, separator);
    append_bytes(&rule, "\\x", magic);
    strbuf_append_char(&rule, separator);
    append_bytes(&rule, "\\x", mask);
    strbuf_printf(&rule, "%c%s%c%s", separator, request->program, separator, request->flags);
    return write_file(FOLDER "/register", strbuf_text(&rule), error) &&
           printf("%s: %s, flags %s\n", name, request->program, request->flags) > 0;
}

/* Whether the rule is for the guest's programs: the kernel shows the bytes in hexadecimal. */
static bool is_for(const StrBuf *rule, const UserAbi *abi)
{
    AUTO_STRBUF(wanted);
    uint8_t magic[MAGIC_SIZE], mask[MAGIC_SIZE];
    const char *shown = strstr(strbuf_text(rule), "\nmagic ");

    fill_magic(abi, magic, mask);
    append_bytes(&wanted, "", magic);
    /* The machine, and the class, are what tells guests apart. */
    return shown && strlen(shown + 7) >= 2 * MAGIC_SIZE && !strncmp(shown + 7, strbuf_text(&wanted), 10) &&
           !strncmp(shown + 7 + 36, strbuf_text(&wanted) + 36, 4);
}

/* The rest of the line that begins with `word`. */
static const char *rule_line(const StrBuf *rule, const char *word, char *line, size_t size)
{
    const char *at = strstr(strbuf_text(rule), word);

    snprintf(line, size, "%.*s", at ? (int)strcspn(at + strlen(word), "\n") : 0, at ? at + strlen(word) : "");
    return line;
}

/* What is wrong with a rule for the guest's programs; false: something is. */
static bool check_rule(const char *name, const StrBuf *rule, const char *own, bool first)
{
    char program[PATH_MAX], flags[32];
    bool good = true;

    rule_line(rule, "\ninterpreter ", program, sizeof program);
    rule_line(rule, "\nflags: ", flags, sizeof flags);
    printf("%s: %s, flags %s, %s\n", name, program, flags, text_starts_with(strbuf_text(rule), "enabled") ? "enabled"
                                                                                                      : "disabled");
    if (strcmp(name, own)) {
        printf("  is not ours%s\n", first ? ", and the kernel asks it first" : "");
        good = !first;
    }
    if (access(program, X_OK)) {
        printf("  %s cannot be run: %s\n", program, strerror(errno));
        good = strchr(flags, 'F');
    }
    if (!strchr(flags, 'F')) {
        printf("  without F it serves only where %s can be reached: not in a container\n", program);
    }
    return good && text_starts_with(strbuf_text(rule), "enabled");
}

static bool check_guest(const Request *request, const UserAbi *abi, Error **error)
{
    char own[64];
    bool good = true, found = false;
    DIR *folder = is_mounted(error) ? opendir(FOLDER) : NULL;
    AUTO_STRBUF(state);

    if (!folder) {
        return false;
    }
    snprintf(own, sizeof own, "myna-%s", abi->target);
    read_rule("status", &state);
    if (!text_starts_with(strbuf_text(&state), "enabled")) {
        printf("binfmt_misc is disabled: echo 1 > " FOLDER "/status\n");
        good = false;
    }
    /* The kernel keeps the newest first, and so does the folder. */
    for (struct dirent *entry; (entry = readdir(folder));) {
        AUTO_STRBUF(rule);
        if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "register") || !strcmp(entry->d_name, "status")) {
            continue;
        }
        read_rule(entry->d_name, &rule);
        if (is_for(&rule, abi)) {
            good = check_rule(entry->d_name, &rule, own, !found) && good;
            found = true;
        }
    }
    closedir(folder);
    return found ? good || error_set(error, "programs for %s will not run by this program", abi->target)
                 : error_set(error, "%s: nothing is registered for its programs", own);
}

static bool is_wanted(const Request *request, const UserAbi *abi)
{
    bool wanted = !*request->guests;

    for (char **name = request->guests; *name; name++) {
        wanted = wanted || !strcmp(*name, abi->target);
    }
    return wanted;
}

static bool names_are_known(const Request *request)
{
    for (char **name = request->guests; *name; name++) {
        bool known = false;
        for (size_t i = 0; user_abis[i]; i++) {
            known = known || !strcmp(*name, user_abis[i]->target);
        }
        if (!known) {
            fprintf(stderr, "myna-user: there is no guest '%s'\n", *name);
            return false;
        }
    }
    return true;
}

static bool flags_are_known(const char *flags)
{
    if (strspn(flags, "POCF") != strlen(flags)) {
        fprintf(stderr, "myna-user: --flags %s: the flags are P, O, C and F\n", flags);
        return false;
    }
    return true;
}

/* Takes `--flags FLAGS` out of the words; other options there are none. */
static bool take_flags(Request *request, bool registers)
{
    char **to = request->guests;

    for (char **word = request->guests; *word; word++) {
        if (!strcmp(*word, "--flags") && registers) {
            if (!word[1]) {
                fprintf(stderr, "myna-user: --flags: which? P, O, C, F or several of them\n");
                return false;
            }
            request->flags = *++word;
        } else if (**word == '-') {
            fprintf(stderr, "myna-user: unknown option '%s'%s\n", *word,
                    registers ? "; --flags FLAGS is what there is" : "; names of guests are what there is");
            return false;
        } else {
            *to++ = *word;
        }
    }
    *to = NULL;
    return flags_are_known(request->flags);
}

static int run_all(const Request *request, Action *action)
{
    int status = 0;

    for (size_t i = 0; user_abis[i]; i++) {
        AUTO_ERROR(error);
        if (is_wanted(request, user_abis[i]) && !action(request, user_abis[i], &error)) {
            fprintf(stderr, "myna-user: %s\n%s", error_message(error), error_hint(error));
            status = 1;
        }
    }
    return status;
}

bool binfmt_command(int argc, char **argv, int *status)
{
    static const struct {
        const char *name;
        Action *action;
    } actions[] = { { "--register", register_guest }, { "--unregister", unregister_guest },
                    { "--check", check_guest } };
    char program[PATH_MAX] = "";

    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(actions); i++) {
        if (strcmp(argv[1], actions[i].name)) {
            continue;
        }
        Request request = { "F", argv + 2, program };
        bool understood = take_flags(&request, actions[i].action == register_guest);
        if (understood && readlink("/proc/self/exe", program, sizeof program - 1) < 0) {
            perror("myna-user: /proc/self/exe");
            *status = 1;
        } else {
            understood = understood && names_are_known(&request);
            *status = understood ? run_all(&request, actions[i].action) : 1;
        }
        return true;
    }
    return false;
}
