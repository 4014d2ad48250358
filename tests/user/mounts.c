/* Mounts, names of the machine and roots, in namespaces of their own; where those are forbidden, they are to both. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "narrow.h"

static void show(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result < 0 ? -1 : result, result < 0 ? strerror(errno) : "");
}
#define SHOW(expression) (errno = 0, show(#expression, (long)(expression)))
#define OK(expression) (errno = 0, show(#expression, (long)(expression) < 0 ? -1 : 0))

enum { OPEN_TREE = 428, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, FSPICK, MOUNT_SETATTR = 442, OPEN_TREE_ATTR = 467 };

static char folder[64];

static const char *in(const char *name)
{
    static char paths[4][128];
    static unsigned which;

    snprintf(paths[++which % 4], sizeof paths[0], "%s/%s", folder, name);
    return paths[which % 4];
}

static long text_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    long result = fd < 0 ? -1 : write(fd, text, strlen(text));

    if (fd >= 0) {
        close(fd);
    }
    return result;
}

static bool make_namespaces(void)
{
    char map[64];
    unsigned user = getuid(), group = getgid();

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID)) {
        SHOW(-1);
        return false;
    }
    text_to("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", user);
    SHOW(text_to("/proc/self/uid_map", map) > 0);
    snprintf(map, sizeof map, "0 %u 1", group);
    SHOW(text_to("/proc/self/gid_map", map) > 0);
    SHOW(getuid());
    return true;
}

static void named(void)
{
    struct utsname name;
    int before = open("/proc/self/ns/uts", O_RDONLY);

    SHOW(sethostname("myna-host", 9));
    SHOW(setdomainname("myna-domain", 11));
    uname(&name);
    SHOW(!strcmp(name.nodename, "myna-host"));
#ifndef NARROW
    SHOW(!strcmp(name.domainname, "myna-domain"));
#endif
    SHOW(unshare(CLONE_NEWUTS));
    SHOW(sethostname("another", 7));
    SHOW(setns(before, CLONE_NEWUTS));
    uname(&name);
    SHOW(!strcmp(name.nodename, "myna-host"));
    SHOW(setns(before, CLONE_NEWNET));
    close(before);
}

/* By the older calls. */
static void older(void)
{
    struct stat status;

    SHOW(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    SHOW(mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0751"));
    stat(folder, &status);
    SHOW(status.st_mode & 07777);
    SHOW(text_to(in("file"), "contents"));
    SHOW(mkdir(in("bound"), 0700));
    SHOW(mount(folder, in("bound"), NULL, MS_BIND, NULL));
    SHOW(access(in("bound/file"), F_OK));
    SHOW(mount(NULL, in("bound"), NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
    SHOW(text_to(in("bound/more"), "x"));
    SHOW(umount2(in("bound"), MNT_DETACH | UMOUNT_NOFOLLOW));
    SHOW(access(in("bound/file"), F_OK));
    SHOW(umount2(in("bound"), 0));
}

struct attributes {
    uint64_t set, clear, propagation, user;
};

/* By the newer ones. */
static void newer(void)
{
    struct attributes attributes = { .set = 1 /* MOUNT_ATTR_RDONLY */ };
    int context, made, picked, tree;

    OK(context = syscall(FSOPEN, "tmpfs", 1 /* CLOEXEC */));
    SHOW(syscall(FSCONFIG, context, 1 /* SET_STRING */, "size", "2m", 0));
    SHOW(syscall(FSCONFIG, context, 1, "nothing", "2m", 0));
    SHOW(syscall(FSCONFIG, context, 6 /* CMD_CREATE */, NULL, NULL, 0));
    OK(made = syscall(FSMOUNT, context, 1, 0));
    SHOW(syscall(MOVE_MOUNT, made, "", AT_FDCWD, in("bound"), 4 /* F_EMPTY_PATH */));
    SHOW(text_to(in("bound/file"), "x"));
    OK(tree = syscall(OPEN_TREE, AT_FDCWD, in("bound"), 1 /* CLONE */ | O_CLOEXEC));
    SHOW(mkdir(in("second"), 0700));
    SHOW(syscall(MOVE_MOUNT, tree, "", AT_FDCWD, in("second"), 4));
    SHOW(syscall(MOUNT_SETATTR, AT_FDCWD, in("second"), 0, &attributes, sizeof attributes));
    SHOW(text_to(in("second/more"), "x"));
    SHOW(text_to(in("bound/more"), "x"));
    OK(picked = syscall(FSPICK, AT_FDCWD, in("bound"), 1));
    SHOW(syscall(FSCONFIG, picked, 0 /* SET_FLAG */, "ro", NULL, 0));
    SHOW(syscall(FSCONFIG, picked, 7 /* CMD_RECONFIGURE */, NULL, NULL, 0));
    SHOW(text_to(in("bound/third"), "x"));
    int again = syscall(OPEN_TREE_ATTR, AT_FDCWD, in("second"), 1 | O_CLOEXEC, &attributes, sizeof attributes);
    OK(again);
    SHOW(umount2(in("second"), 0));
    SHOW(umount2(in("bound"), MNT_DETACH));
}

/* The first process of a namespace for processes, with another root. */
static void inside(void)
{
    char text[64] = "";

    SHOW(getpid());
    SHOW(mount(folder, folder, NULL, MS_BIND, NULL));
    SHOW(mkdir(in("old"), 0700));
    SHOW(mkdir(in("proc"), 0700));
    SHOW(mount("proc", in("proc"), "proc", 0, NULL));
    SHOW(chdir(folder));
    SHOW(syscall(SYS_pivot_root, ".", "old"));
    SHOW(chdir("/"));
    SHOW(umount2("/old", MNT_DETACH));
    SHOW(access("/file", F_OK));
    SHOW(access("/usr", F_OK));
    OK(readlink("/proc/self", text, sizeof text));
    SHOW(text[0] ? atol(text) : 1);
    SHOW(access("/proc/1/exe", F_OK));
    SHOW(access("/proc/self/maps", R_OK));
    SHOW(mkdir("/inner", 0700));
    SHOW(chroot("/inner"));
    SHOW(access("/file", F_OK));
    SHOW(access("/../file", F_OK));
    fflush(stdout);
    _exit(7);
}

int main(void)
{
    int status = 0;

    snprintf(folder, sizeof folder, "/tmp/myna-mounts-%d", getpid());
    mkdir(folder, 0700);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        if (make_namespaces()) {
            named();
            older();
            newer();
            fflush(stdout);
            child = fork();
            if (!child) {
                inside();
            }
            waitpid(child, &status, 0);
            SHOW(WEXITSTATUS(status));
        }
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    SHOW(status);
    rmdir(folder);
    return 0;
}
