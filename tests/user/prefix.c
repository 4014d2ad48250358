/*
 * Says of each file named how it is found: what it holds, whether it is a link and to what. FOLDER:PATH is looked up
 * from the open folder, and then from there after chdir. For prefix.py.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "narrow.h"

enum { NO_SYMLINKS = 4, BENEATH = 8, IN_ROOT = 16 };

static int by_openat2(int folder, const char *path, uint64_t resolve)
{
    uint64_t how[3] = { O_RDONLY, 0, resolve };

    return (int)syscall(SYS_openat2, folder, path, how, sizeof how);
}

static void show(int folder, const char *path)
{
    char text[64] = { 0 }, target[64] = { 0 };
    struct stat status = { 0 };
    int fd = openat(folder, path, O_RDONLY), link = openat(folder, path, O_RDONLY | O_NOFOLLOW);

    if (fd >= 0) {
        read(fd, text, sizeof text - 1);
    }
    printf("%s|", text);
    printf("%s|", fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) ? "none" :
                  S_ISLNK(status.st_mode) ? "link" : "file");
    printf("%ld|", fstatat(folder, path, &status, 0) ? -1L : (long)status.st_size);
    printf("%s|", readlinkat(folder, path, target, sizeof target - 1) < 0 ? "" : target);
    printf("%s|%s|", faccessat(folder, path, R_OK, 0) ? "no" : "yes", link < 0 ? "no" : "yes");
    printf("%d%d%d%d\n", by_openat2(folder, path, 0) >= 0, by_openat2(folder, path, NO_SYMLINKS) >= 0,
           by_openat2(folder, path, BENEATH) >= 0, by_openat2(folder, path, IN_ROOT) >= 0);
}

static void show_from(const char *argument)
{
    char folder[512];
    const char *colon = strchr(argument, ':');

    if (!colon) {
        show(AT_FDCWD, argument);
        return;
    }
    snprintf(folder, sizeof folder, "%.*s", (int)(colon - argument), argument);
    show(open(folder, O_RDONLY | O_DIRECTORY), colon + 1);
    chdir(folder);
    show(AT_FDCWD, colon + 1);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        show_from(argv[i]);
    }
    fflush(stdout);
    if (argc > 3) {
        chdir("/run");
        execl("script", "script", NULL); /* runs this program with two arguments */
        return 1;
    }
    return 0;
}
