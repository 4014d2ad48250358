/* Locks on single bytes of files that belong to the open file (fcntl(2), "open file description locks"), and who has
 * them (proc(5)). */
#include "base/host/host.h"

#include "base/strbuf.h"
#include "base/vec.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int lock(int fd, int command, short type, uint64_t first, uint64_t count, struct flock *result)
{
    *result = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = (off_t)count };
    int outcome;
    do {
        outcome = fcntl(fd, command, result);
    } while (outcome < 0 && errno == EINTR);
    return outcome < 0 ? errno : 0;
}

int host_file_lock_shared(int fd, uint64_t first, uint64_t count)
{
    struct flock result;
    int error = lock(fd, F_OFD_SETLK, F_RDLCK, first, count, &result);
    return error == EACCES ? EAGAIN : error;
}

int host_file_unlock(int fd, uint64_t first, uint64_t count)
{
    struct flock result;
    return lock(fd, F_OFD_SETLK, F_UNLCK, first, count, &result);
}

int host_file_lock_test(int fd, uint64_t first, uint64_t count)
{
    struct flock result;
    int error = lock(fd, F_OFD_GETLK, F_WRLCK, first, count, &result);
    return error ? error : result.l_type == F_UNLCK ? 0 : EAGAIN;
}

/* Whether the descriptor is of the file, and holds locks. */
static bool holds_locks(const char *process, const char *descriptor, const struct stat *file)
{
    char path[600], line[256];
    struct stat other;
    snprintf(path, sizeof path, "/proc/%s/fd/%s", process, descriptor);
    if (stat(path, &other) < 0 || other.st_dev != file->st_dev || other.st_ino != file->st_ino) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", process, descriptor);
    FILE *info = fopen(path, "re");
    bool found = false;
    while (info && !found && fgets(line, sizeof line, info)) {
        found = strncmp(line, "lock:", 5) == 0;
    }
    if (info) {
        fclose(info);
    }
    return found;
}

static bool process_holds(const char *process, const struct stat *file)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/fd", process);
    DIR *folder = opendir(path);
    bool found = false;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        found = isdigit((unsigned char)entry->d_name[0]) && holds_locks(process, entry->d_name, file);
    }
    if (folder) {
        closedir(folder);
    }
    return found;
}

static char *describe(const char *process)
{
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof name, file)) {
            name[strcspn(name, "\n")] = 0;
        }
        fclose(file);
    }
    return string_format("%s (process %s)", name[0] ? name : "?", process);
}

char *host_file_lock_holder(int fd)
{
    struct stat file;
    DIR *folder = fstat(fd, &file) == 0 ? opendir("/proc") : NULL;
    char *found = NULL, self[24];
    snprintf(self, sizeof self, "%ld", (long)getpid());
    for (int round = 0; folder && !found && round < 2; round++) { /* others first, then this one */
        rewinddir(folder);
        for (struct dirent *entry; !found && (entry = readdir(folder));) {
            bool is_self = strcmp(entry->d_name, self) == 0;
            if (isdigit((unsigned char)entry->d_name[0]) && is_self == (round == 1) &&
                process_holds(entry->d_name, &file)) {
                found = describe(entry->d_name);
            }
        }
    }
    if (folder) {
        closedir(folder);
    }
    return found;
}
