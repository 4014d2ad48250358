/* Calls that the other programs make with bad arguments alone: here each does its work. What the host refuses to all,
 * or to those without rights, it refuses to both alike. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "narrow.h"

static void show(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result < 0 ? -1 : result, result < 0 ? strerror(errno) : "");
}
#define SHOW(expression) (errno = 0, show(#expression, (long)(expression)))
#define OK(expression) (errno = 0, show(#expression, (long)(expression) < 0 ? -1 : 0))

static char folder[64], path[96], other[96];
static int file;

/* -- files -------------------------------------------------------------------------------------------------------- */

static long size_of(const char *name)
{
    struct stat status;
    return stat(name, &status) ? -1 : (long)status.st_size;
}

static void names(void)
{
    char text[4096], name[4096];
    struct stat status;

    SHOW(truncate(path, 5000));
    SHOW(size_of(path));
    SHOW(chmod(path, 0612));
    SHOW(chown(path, -1, getgid()));
    SHOW(fstat(file, &status));
    SHOW(status.st_mode);
#ifndef NARROW
    struct stat again;
    SHOW(syscall(SYS_fstat, file, &again));
    SHOW(!memcmp(&status, &again, sizeof status));
#endif
    SHOW(symlink("file", other));
    SHOW(size_of(other));
    SHOW(unlink(other));
    SHOW(mkfifo(other, 0640));
    SHOW(unlink(other));
    SHOW(link(path, other));
    stat(other, &status);
    SHOW(status.st_nlink);
    SHOW(truncate(other, 3));
    SHOW(unlink(other));
    SHOW(open(other, O_RDWR | O_CREAT, 0600) >= 0);
    SHOW(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 1 /* RENAME_NOREPLACE */));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */));
    SHOW(size_of(path));
    SHOW(size_of(other));
    SHOW(syscall(SYS_renameat2, AT_FDCWD, other, AT_FDCWD, path, 0));
    SHOW(size_of(path));
    SHOW(chdir(folder));
    SHOW(getcwd(text, sizeof text) == text && realpath(folder, name) && !strcmp(text, name));
    SHOW(syscall(SYS_getcwd, text, sizeof text) == strlen(name) + 1);
    SHOW(size_of("file"));
    SHOW(chdir("/"));
}

static void systems(void)
{
    struct statfs by_name, by_file, proc;

    SHOW(statfs(path, &by_name));
    SHOW(fstatfs(file, &by_file));
    SHOW(by_name.f_type == by_file.f_type && by_name.f_bsize == by_file.f_bsize &&
         by_name.f_blocks == by_file.f_blocks && by_name.f_namelen == by_file.f_namelen);
    SHOW(by_name.f_bsize);
    SHOW(by_name.f_namelen);
    SHOW(by_name.f_blocks >= by_name.f_bfree);
    SHOW(statfs("/proc", &proc));
    SHOW(proc.f_type);
}

static void attributes(void)
{
    char value[16] = "", list[256] = "";

    OK(setxattr(path, "user.one", "value", 5, XATTR_CREATE));
    SHOW(getxattr(path, "user.one", value, sizeof value));
    SHOW(!strcmp(value, "value"));
    OK(listxattr(path, list, sizeof list));
    SHOW(strstr(list, "user.one") != NULL);
    OK(removexattr(path, "user.one"));
    OK(getxattr(path, "user.one", value, sizeof value));
}

static void handles(void)
{
    struct {
        struct file_handle handle;
        char bytes[128];
    } handle = { .handle = { .handle_bytes = 128 } };
    int mount, opened;

    OK(name_to_handle_at(AT_FDCWD, path, &handle.handle, &mount, 0));
    OK(opened = open_by_handle_at(file, &handle.handle, O_RDONLY));
    close(opened);
}

/* An event of a file that is opened. */
static void watched(void)
{
    char events[4096];
    int fd = syscall(SYS_fanotify_init, FAN_CLASS_NOTIF | 0x200 /* FAN_REPORT_FID */ | FAN_CLOEXEC | FAN_NONBLOCK, 0);

    OK(fd);
    OK(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_CLOSE, AT_FDCWD, path));
    close(open(path, O_RDONLY));
    struct fanotify_event_metadata *event = (struct fanotify_event_metadata *)events;
    SHOW(read(fd, events, sizeof events) >= (int)sizeof *event);
    SHOW(event->mask & (FAN_OPEN | FAN_CLOSE));
    OK(fanotify_mark(fd, FAN_MARK_REMOVE, FAN_OPEN | FAN_CLOSE, AT_FDCWD, path));
    close(fd);
}

static void cancelled(void)
{
    aio_context_t context = 0;
    struct iocb block = { .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN }, *blocks = &block;
    struct io_event event = { 0 };
    int ends[2];

    pipe(ends);
    block.aio_fildes = ends[0];
    SHOW(syscall(SYS_io_setup, 4, &context));
    SHOW(syscall(SYS_io_submit, context, 1, &blocks));
    SHOW(syscall(SYS_io_cancel, context, &block, &event)); /* EINPROGRESS: the event comes as others do */
    SHOW(syscall(SYS_io_destroy, context));
    close(ends[0]);
    close(ends[1]);
}

/* -- time and the machine ------------------------------------------------------------------------------------------ */

static void times_of(void)
{
    struct itimerspec set = { { 7, 0 }, { 1000, 5 } }, timer;
    struct itimerval interval = { { 5, 0 }, { 2000, 0 } }, left;
    struct timeval now;
    struct timezone zone;
    struct timex timex = { 0 };
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);

    timerfd_settime(fd, 0, &set, NULL);
    SHOW(timerfd_gettime(fd, &timer));
    SHOW(timer.it_interval.tv_sec == 7 && timer.it_value.tv_sec <= 1000 && timer.it_value.tv_sec > 900);
    setitimer(ITIMER_VIRTUAL, &interval, NULL);
    SHOW(getitimer(ITIMER_VIRTUAL, &left));
    SHOW(left.it_interval.tv_sec == 5 && left.it_value.tv_sec <= 2000 && left.it_value.tv_sec > 1900);
    SHOW(gettimeofday(&now, &zone));
#ifndef NARROW
    struct timeval then;
    SHOW(syscall(SYS_gettimeofday, &then, &zone));
    SHOW(then.tv_sec - now.tv_sec < 100);
    SHOW(zone.tz_minuteswest);
#endif
#ifndef NARROW
    OK(syscall(SYS_adjtimex, &timex));
#endif
    OK(adjtimex(&timex));
    SHOW(timex.tick);
    SHOW(llabs((long long)timex.time.tv_sec - now.tv_sec) < 100);
}

static void machine(void)
{
    struct utsname name;
    struct sysinfo info;
    struct rusage usage;
    struct sched_param parameter = { 77 };
    struct timespec slice;
    uid_t ids[3];
    unsigned long long total = 0;

    SHOW(uname(&name));
    SHOW(!strcmp(name.sysname, "Linux") && name.release[0] && name.version[0]);
    FILE *memory = fopen("/proc/meminfo", "r");
    fscanf(memory, "MemTotal: %llu kB", &total);
    fclose(memory);
    total /= 4; /* in pages */
    SHOW(sysinfo(&info));
    SHOW(info.uptime > 0 && info.totalram >= info.freeram && info.procs > 0);
    SHOW((unsigned long long)info.totalram * info.mem_unit / 4096 == total);
    SHOW(getrusage(RUSAGE_SELF, &usage));
    SHOW(usage.ru_maxrss > 0 && usage.ru_minflt > 0);
    SHOW(syscall(SYS_getresuid, &ids[0], &ids[1], &ids[2]));
    SHOW(ids[0] == getuid() && ids[1] == geteuid());
    SHOW(syscall(SYS_sched_getparam, 0, &parameter));
    SHOW(parameter.sched_priority);
    SHOW(syscall(SYS_sched_rr_get_interval, 0, &slice));
    SHOW(slice.tv_sec == 0 && slice.tv_nsec > 0);
}

/* -- processes ----------------------------------------------------------------------------------------------------- */

static void run(void (*function)(void))
{
    int status = 0;
    pid_t child = (fflush(stdout), fork());

    if (!child) {
        function();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    SHOW(status);
}

static void rooted(void)
{
    OK(chroot(folder));
    OK(chdir("/"));
    OK(size_of("/file"));
}

static void locked(void)
{
    OK(mlockall(MCL_FUTURE | 4 /* MCL_ONFAULT */));
    OK(munlockall());
}

/* What a ruleset does not name cannot be read. */
static void restricted(void)
{
    struct landlock_ruleset_attr rules = { .handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE };
    struct landlock_path_beneath_attr beneath = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
    int set = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);

    OK(set);
    if (set < 0) {
        return;
    }
    beneath.parent_fd = open(folder, O_PATH);
    OK(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0));
    prctl(38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0);
    OK(syscall(SYS_landlock_restrict_self, set, 0));
    OK(open(path, O_RDONLY));
    OK(open("/etc/passwd", O_RDONLY));
}

/* A key of one's own is found by its name. */
static void keys(void)
{
    char text[16] = "";
    long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

    OK(ring);
    OK(syscall(SYS_add_key, "user", "myna-good", "payload", 7UL, KEY_SPEC_SESSION_KEYRING));
    long key = syscall(SYS_request_key, "user", "myna-good", NULL, 0);
    OK(key);
    SHOW(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof text));
    SHOW(!strcmp(text, "payload"));
}

static void reaped(void)
{
    pid_t child = fork();

    if (!child) {
        pause();
    }
    int fd = syscall(SYS_pidfd_open, child, 0);
    kill(child, SIGKILL);
    long result;
    do {
        result = syscall(448 /* process_mrelease */, fd, 0);
    } while (result && errno == EAGAIN);
    SHOW(result && errno != ESRCH ? errno : 0); /* it may have ended by now */
    waitpid(child, NULL, 0);
}

static void nodes(void)
{
    unsigned long mask = 1;
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    OK(syscall(SYS_mbind, pages, 8192UL, MPOL_BIND, &mask, 8 * sizeof mask, 0));
    OK(syscall(450 /* set_mempolicy_home_node */, pages, 8192UL, 0UL, 0UL));
    OK(syscall(SYS_migrate_pages, 0, 8 * sizeof mask, &mask, &mask));
}

static void accepted(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX }, peer;
    socklen_t length = sizeof peer;
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), taken;

    snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", folder);
    SHOW(bind(server, (struct sockaddr *)&name, sizeof name));
    SHOW(listen(server, 1));
    SHOW(connect(client, (struct sockaddr *)&name, sizeof name));
    OK(taken = syscall(SYS_accept, server, &peer, &length));
    SHOW(length);
    SHOW(write(taken, "x", 1));
    unlink(name.sun_path);
}

#ifdef __riscv
#define FLUSH_CONTEXT(context, scope) syscall(SYS_prctl, 71 /* PR_RISCV_SET_ICACHE_FLUSH_CTX */, context, scope, 0, 0)
#else
#define FLUSH_CONTEXT(context, scope) ((context) > 1 || (scope) > 1 ? (errno = EINVAL, -1) : 0)
#endif

static void options(void)
{
    enum { GET_AUXV = 0x41555856, PTRACER = 0x59616d61, VMA = 0x53564d41 };
    static unsigned long vector[128];
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long size = prctl(GET_AUXV, vector, sizeof vector, 0, 0);
    int found = 0;

    for (int i = 0; i < size / (int)sizeof(long); i += 2) {
        found |= vector[i] == 6 /* AT_PAGESZ */ && vector[i + 1] == 4096;
    }
    SHOW(found);
    SHOW(prctl(GET_AUXV, vector, 8, 0, 0) == size);
    SHOW(prctl(GET_AUXV, (void *)8, sizeof vector, 0, 0));
    SHOW(prctl(GET_AUXV, vector, sizeof vector, 1, 0));
    SHOW(prctl(PTRACER, getppid(), 0, 0, 0));
    SHOW(prctl(VMA, 0, page, 4096, "a name"));
    SHOW(prctl(VMA, 0, page + 1, 4096, "a name"));
    SHOW(prctl(13 /* PR_GET_TIMING */, 0, 0, 0, 0));
    SHOW(prctl(34 /* PR_MCE_KILL_GET */, 0, 0, 0, 0));
    SHOW(prctl(68 /* PR_GET_MEMORY_MERGE */, 0, 0, 0, 0));
    SHOW(FLUSH_CONTEXT(0, 0));
    SHOW(FLUSH_CONTEXT(1, 1));
    SHOW(FLUSH_CONTEXT(2, 0));
    SHOW(FLUSH_CONTEXT(0, 2));
}

/* Linux 6.19's and 7.0's: who has a kernel without them gets that. */
static void newest(void)
{
    uint64_t request[4] = { 32 }, ids[64];

    OK(syscall(470 /* listns */, request, ids, 64UL, 0));
    OK(syscall(470, request, ids, 64UL, 0x100));
    OK(syscall(470, (void *)8, ids, 64UL, 0));
}

/* -- scripts by descriptors: their interpreter is told of those, where they are open still ------------------------- */

static void by_descriptor(int flags, int folder_number, const char *name, int at)
{
    char script[128], *arguments[] = { "zero", "one", NULL };

    snprintf(script, sizeof script, "%s/script", folder);
    int fd = open(script, O_WRONLY | O_CREAT, 0700);
    write(fd, "#!/bin/echo option\n", 19);
    close(fd);
    dup3(open(script, O_RDONLY), 50, flags);
    dup3(open(folder, O_RDONLY | O_DIRECTORY), 51, flags);
    SHOW(syscall(SYS_execveat, folder_number, name, arguments, arguments + 2, at));
}

static void script_open(void)
{
    by_descriptor(0, 50, "", AT_EMPTY_PATH);
}

static void script_closed(void)
{
    by_descriptor(O_CLOEXEC, 50, "", AT_EMPTY_PATH);
}

static void script_in_folder(void)
{
    by_descriptor(0, 51, "script", 0);
}

static void script_in_closed(void)
{
    by_descriptor(O_CLOEXEC, 51, "script", 0);
}

/* -- the program's file, of which no name is left ------------------------------------------------------------------ */

static void show_image(char **arguments)
{
    char name[128] = "";
    struct stat status;

    SHOW(readlink("/proc/self/exe", name, sizeof name - 1) > 0);
    SHOW(strstr(name, " (deleted)") != NULL);
    SHOW(open("/proc/self/exe", O_RDONLY) >= 0);
    SHOW(stat("/proc/self/exe", &status));
    SHOW(status.st_size > 10000);
    puts(arguments[0]);
    fflush(stdout);
    if (!strcmp(arguments[1], "once")) {
        arguments[1] = "again";
        SHOW(execv("/proc/self/exe", arguments));
    }
    _exit(5);
}

static void copy_self(int to)
{
    char bytes[4096];
    ssize_t size;
    int from = open("/proc/self/exe", O_RDONLY);

    while ((size = read(from, bytes, sizeof bytes)) > 0) {
        write(to, bytes, size);
    }
    close(from);
}

static void from_memory(void)
{
    char *arguments[] = { "zero", "once", NULL }, name[32];
    int fd = memfd_create("program", MFD_CLOEXEC);

    copy_self(fd);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    SHOW(execv(name, arguments));
}

static void moved(void)
{
    char program[128], *arguments[] = { "zero", "move", NULL };

    snprintf(program, sizeof program, "%s/program", folder);
    int fd = open(program, O_WRONLY | O_CREAT, 0700);
    copy_self(fd);
    close(fd);
    SHOW(execv(program, arguments));
}

static void move_image(char **arguments)
{
    char name[128] = "", now[160];

    readlink("/proc/self/exe", name, sizeof name - 1);
    snprintf(now, sizeof now, "%s-now", name);
    SHOW(rename(name, now));
    memset(name, 0, sizeof name);
    readlink("/proc/self/exe", name, sizeof name - 1);
    SHOW(strcmp(name, now));
    SHOW(unlink(now));
    arguments[1] = "once";
    show_image(arguments);
}

int main(int count, char **arguments)
{
    if (count == 2) {
        (strcmp(arguments[1], "move") ? show_image : move_image)(arguments);
    }
    snprintf(folder, sizeof folder, "/tmp/myna-good-%d", getpid());
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    mkdir(folder, 0755);
    file = open(path, O_RDWR | O_CREAT, 0600);
    names();
    close(file);
    file = open(path, O_RDWR);
    systems();
    attributes();
    handles();
    watched();
    cancelled();
    times_of();
    machine();
    run(rooted);
    run(locked);
    run(restricted);
    run(keys);
    reaped();
    nodes();
    accepted();
    options();
    newest();
    run(script_open);
    run(script_closed);
    run(script_in_folder);
    run(script_in_closed);
    unlink(strcat(strcpy(other, folder), "/script"));
    run(from_memory);
    run(moved);
    unlink(path);
    unlink(other);
    rmdir(folder);
    return 0;
}
