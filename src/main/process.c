/* What concerns the process: the background, its file, its root directory and user. */
#include "main/program.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- the background --------------------------------------------------------------------------------------------- */

/* The child writes a byte when it is ready; it ends without one when it fails, having said why. */
static int wait_for_child(int ready)
{
    char byte;
    ssize_t count;
    do {
        count = read(ready, &byte, 1);
    } while (count < 0 && errno == EINTR);
    return count == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

bool daemon_start(int *status, int *ready, Error **error)
{
    int ends[2];
    *ready = -1;
    *status = EXIT_FAILURE;
    if (pipe2(ends, O_CLOEXEC)) {
        error_set_errno(error, errno, "cannot make a pipe");
        return true;
    }
    pid_t child = fork();
    if (child < 0) {
        error_set_errno(error, errno, "cannot go into the background");
        return true;
    }
    if (child) {
        close(ends[1]);
        *status = wait_for_child(ends[0]);
        waitpid(child, NULL, 0);
        return true;
    }
    close(ends[0]);
    setsid();
    /* A second time, so that it leads no session and no terminal can become its own. */
    child = fork();
    if (child) {
        _exit(child < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    umask(S_IWGRP | S_IRWXO); /* nobody's terminal says who may see what it makes */
    *ready = ends[1];
    return false;
}

bool daemon_ready(int ready, Error **error)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || chdir("/")) {
        return error_set_errno(error, errno, "cannot leave the terminal");
    }
    for (int fd = 0; fd <= 2; fd++) {
        dup2(null, fd);
    }
    close(null);
    bool told = write(ready, "", 1) == 1;
    close(ready);
    return told || error_set(error, "the program that started this one is gone");
}

/* -- -pidfile --------------------------------------------------------------------------------------------------- */

/* Whether the path still names the open file: another process may have removed it just now. */
static bool is_same_file(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

static int open_locked(const char *path, Error **error)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    for (;;) {
        int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (fd < 0) {
            error_set_errno(error, errno, "cannot create PID file '%s'", path);
            return -1;
        }
        if (fcntl(fd, F_SETLK, &lock)) {
            error_set_errno(error, errno, "cannot lock PID file '%s'", path);
            close(fd);
            return -1;
        }
        if (is_same_file(fd, path)) {
            return fd;
        }
        close(fd);
    }
}

bool pid_file_write(PidFile *file, const char *path, Error **error)
{
    char text[32], absolute[PATH_MAX];
    int length = snprintf(text, sizeof text, "%lld\n", (long long)getpid());
    file->fd = open_locked(path, error);
    if (file->fd < 0) {
        return false;
    }
    file->path = string_copy(realpath(path, absolute) ? absolute : path);
    if (ftruncate(file->fd, 0) || write(file->fd, text, length) != length) {
        return error_set_errno(error, errno, "cannot write PID file '%s'", path);
    }
    return true;
}

void pid_file_remove(PidFile *file)
{
    if (file->path) {
        unlink(file->path);
        close(file->fd);
        free(file->path);
        file->path = NULL;
    }
}

/* -- -run-with -------------------------------------------------------------------------------------------------- */

bool process_change_root(const char *directory, Error **error)
{
    if (chroot(directory) || chdir("/")) {
        return error_set_errno(error, errno, "cannot make '%s' the root directory", directory);
    }
    return true;
}

typedef struct User {
    uid_t uid;
    gid_t gid;
    const char *name; /* NULL: given by numbers */
} User;

static bool parse_numbers(const char *text, User *user)
{
    const char *colon = strchr(text, ':');
    uint64_t uid, gid;
    if (!colon) {
        return false;
    }
    AUTO_FREE char *first = string_format("%.*s", (int)(colon - text), text);
    if (!text_to_uint64(first, &uid, NULL) || !text_to_uint64(colon + 1, &gid, NULL) || uid >= UINT32_MAX ||
        gid >= UINT32_MAX) {
        return false;
    }
    *user = (User){ .uid = uid, .gid = gid };
    return true;
}

static bool find_user(const char *text, User *user, Error **error)
{
    const struct passwd *entry = getpwnam(text);
    if (entry) {
        *user = (User){ .uid = entry->pw_uid, .gid = entry->pw_gid, .name = entry->pw_name };
        return true;
    }
    return parse_numbers(text, user) ||
           error_set(error, "user '%s' is neither a user's name nor UID:GID", text);
}

bool process_change_user(const char *text, Error **error)
{
    User user;
    if (!find_user(text, &user, error)) {
        return false;
    }
    if (setgid(user.gid)) {
        return error_set_errno(error, errno, "cannot become group %u", (unsigned)user.gid);
    }
    if (user.name ? initgroups(user.name, user.gid) : setgroups(1, &user.gid)) {
        return error_set_errno(error, errno, "cannot set the groups of '%s'", text);
    }
    if (setuid(user.uid)) {
        return error_set_errno(error, errno, "cannot become user '%s'", text);
    }
    if (user.uid && setuid(0) == 0) {
        return error_set(error, "root's rights cannot be given up");
    }
    return true;
}
