/* What /proc says of the program itself, its auxiliary vector, and its vDSO. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "narrow.h"

extern char **environ;
static int data = 1;

static size_t slurp(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY);
    ssize_t count, done = 0;

    while (fd >= 0 && (count = read(fd, text + done, size - 1 - done)) > 0) {
        done += count;
    }
    close(fd);
    text[done] = 0;
    return done;
}

/* The mapping of an address: its permissions and the last part of its name. */
static void show(const char *what, const void *address)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start, end, last = 0, offset;
    char line[4096], permissions[8], name[4096];
    int ordered = 1;

    while (fgets(line, sizeof line, maps)) {
        name[0] = 0;
        sscanf(line, "%lx-%lx %7s %lx %*s %*s %4095s", &start, &end, permissions, &offset, name);
        ordered &= start >= last;
        last = end;
        if ((uintptr_t)address >= start && (uintptr_t)address < end) {
            char *slash = strrchr(name, '/');
            printf("%s: %s %s\n", what, permissions, slash ? "a file" : name);
        }
    }
    fclose(maps);
    if (!ordered) {
        printf("not in order\n");
    }
}

static void abort_by(int number)
{
    abort();
}

static void maps(void)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    show("stack", &page);
    char *begin = (char *)syscall(SYS_brk, 0);
    show("heap", (char *)syscall(SYS_brk, begin + 4096) == begin + 4096 ? begin + 4096 - 8 : NULL);
    show("executable page", page);
    mprotect(page + 4096, 4096, PROT_NONE);
    show("closed page", page + 4096);
    show("vDSO", (void *)getauxval(AT_SYSINFO_EHDR));
    show("code", maps);
    show("data", &data);
}

static void command_line(int argc, char **argv)
{
    char text[65536], link[4096] = "";
    size_t size = slurp("/proc/self/cmdline", text, sizeof text);

    printf("cmdline: same name %d, rest", !strcmp(text, argv[0]));
    for (char *at = text + strlen(text) + 1; at < text + size; at += strlen(at) + 1) {
        printf(" %s", at);
    }
    size = slurp("/proc/self/environ", text, sizeof text);
    printf("\nenviron: %d\n", environ[0] ? !strcmp(text, environ[0]) : !size);
    ssize_t length = readlink("/proc/self/exe", link, sizeof link - 1);
    printf("exe: %d\n", length > 0 && !strcmp(strrchr(link, '/'), strrchr(argv[0], '/')));
    struct stat by_link, by_name;
    stat("/proc/self/exe", &by_link);
    stat(argv[0], &by_name);
    printf("exe is the program: %d\n", by_link.st_ino == by_name.st_ino);
    slurp("/proc/self/comm", text, sizeof text);
    printf("comm: %s", text);
    snprintf(link, sizeof link, "/proc/%d/task/%d/stat", getpid(), getpid());
    slurp(link, text, sizeof text);
    char name[32];
    unsigned long fields[52] = { 0 }, pid;
    sscanf(text, "%lu (%31[^)]", &pid, name);
    char *at = strrchr(text, ')') + 1;
    for (int i = 3; i < 52; i++) {
        while (*at == ' ') {
            at++;
        }
        fields[i] = strtoul(at, &at, 10);
        at += strcspn(at, " ");
    }
    printf("stat: %d %s, code %d, stack %d, arguments %d\n", pid == getpid(), name,
           fields[26] <= (uintptr_t)command_line && (uintptr_t)command_line < fields[27], fields[28] > (uintptr_t)&at,
           fields[48] == (uintptr_t)argv[0]);
    slurp("/proc/self/status", text, sizeof text);
    printf("status: %.10s\n", text);
    printf("missing: %d ", open("/proc/self/none", O_RDONLY));
    printf("%s\n", strerror(errno));
}

static void auxiliary(char **argv)
{
    unsigned long words[128] = { 0 };
    int fd = open("/proc/self/auxv", O_RDONLY);
    read(fd, words, sizeof words);
    int page = 0;
    for (int i = 0; i < 128 && words[i]; i += 2) {
        page |= words[i] == AT_PAGESZ && words[i + 1] == 4096;
    }
    printf("auxv: page %d, random %d, execfn %d, entry %d, secure %lu, clk %lu\n", page, getauxval(AT_RANDOM) != 0,
           !strcmp((char *)getauxval(AT_EXECFN), argv[0]), getauxval(AT_ENTRY) != 0, getauxval(AT_SECURE),
           getauxval(AT_CLKTCK));
    printf("uid %d %d, hwcap %d\n", getauxval(AT_UID) == getuid(), getauxval(AT_EGID) == getegid(),
           getauxval(AT_HWCAP) != 0);
}

/* By the dynamic section, as libc does. */
static void vdso(void)
{
    const ElfW(Ehdr) *header = (void *)getauxval(AT_SYSINFO_EHDR);
    const ElfW(Phdr) *segments = (void *)((char *)header + header->e_phoff);
    const ElfW(Dyn) *dynamic = NULL;
    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    const uint32_t *hash = NULL;
    int found = 0;

    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_DYNAMIC) {
            dynamic = (void *)((char *)header + segments[i].p_offset);
        }
    }
    for (; dynamic->d_tag; dynamic++) {
        const void *at = (char *)header + dynamic->d_un.d_ptr;
        symbols = dynamic->d_tag == DT_SYMTAB ? at : symbols;
        strings = dynamic->d_tag == DT_STRTAB ? at : strings;
        hash = dynamic->d_tag == DT_HASH ? at : hash;
    }
    for (uint32_t i = 1; hash && i < hash[1]; i++) {
        if (!strcmp(strings + symbols[i].st_name, "__vdso_clock_gettime")) {
            int (*function)(clockid_t, struct timespec *) = (void *)((char *)header + symbols[i].st_value);
            struct timespec by_vdso, by_call;
            syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &by_call);
            found = !function(CLOCK_MONOTONIC, &by_vdso) &&
                    (by_vdso.tv_sec - by_call.tv_sec) * 1000000000 + by_vdso.tv_nsec - by_call.tv_nsec >= 0;
        }
    }
    found = found || !hash || sizeof(long) == 4; /* that of 32 bits has no such function */
    printf("vDSO: %d, clock_gettime %d\n", !memcmp(header, ELFMAG, SELFMAG), found);
}

static unsigned long long value_of(const char *text, const char *name, int base)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

/* What the files say of memory and signals agrees, and is of this program alone. */
static void numbers(void)
{
    static char status[65536], text[65536], line[64];
    unsigned long long all = 0, start, end, lines = 0;
    size_t size;

    signal(SIGUSR2, abort_by);
    signal(SIGPIPE, SIG_IGN);
    slurp("/proc/self/status", status, sizeof status);
    printf("caught %llx, ignored %llx, blocked %llx, threads %llu\n", value_of(status, "SigCgt:", 16),
           value_of(status, "SigIgn:", 16), value_of(status, "SigBlk:", 16), value_of(status, "Threads:", 10));
    slurp("/proc/self/maps", text, sizeof text);
    for (char *at = text; *at; at = strchr(at, '\n') + 1) {
        if (sscanf(at, "%llx-%llx", &start, &end) == 2 && !(start >> 63)) { /* not what is the kernel's */
            all += end - start;
            lines++;
        }
    }
    printf("size: %d", value_of(status, "VmSize:", 10) == all / 1024);
    printf(", at most resident: %d", value_of(status, "VmRSS:", 10) <= all / 1024);
    slurp("/proc/self/statm", text, sizeof text);
    printf(", in statm: %d\n", strtoull(text, NULL, 10) == all / 4096);
    slurp("/proc/self/smaps_rollup", text, sizeof text);
    printf("rollup: %d\n", !*text || (strstr(text, "[rollup]") && value_of(text, "Rss:", 10) <= all / 1024));
    size = slurp("/proc/self/numa_maps", text, sizeof text);
    for (size_t i = 0; i < size; i++) {
        lines -= text[i] == '\n';
    }
    printf("mappings by node: %d\n", !size || (long long)lines >= 0);
    int folder = open("/proc/self", O_RDONLY | O_DIRECTORY), by_folder = openat(folder, "maps", O_RDONLY);
    read(by_folder, line, sizeof line - 1);
    slurp("/proc/self/maps", text, sizeof text);
    printf("from its folder: %d\n", !memcmp(line, text, 16));
    close(by_folder);
    close(folder);
}

static void open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int listed = 0, open = 0;

    while ((entry = readdir(folder))) {
        listed += entry->d_name[0] != '.';
    }
    for (int fd = 0; fd < 1024; fd++) {
        open += fcntl(fd, F_GETFD) >= 0;
    }
    closedir(folder);
    printf("as many open files as are listed: %d\n", listed == open);
}

/* Every number can be had, and with a higher limit no other files are seen. */
static void numbers_of_files(void)
{
    struct rlimit limit;
    struct stat status;
    int had = 0, open = 0, later = 0;

    getrlimit(RLIMIT_NOFILE, &limit);
    int count = limit.rlim_cur < 2048 ? (int)limit.rlim_cur : 2048;
    for (int fd = 3; fd < count; fd++) {
        open += !fstat(fd, &status);
        had += dup2(0, fd) == fd && !fstat(fd, &status) && !close(fd);
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 3; fd < 4200; fd++) {
        later += !fstat(fd, &status);
    }
    printf("numbers of files: %d, open %d\n", had == count - 3, open == later);
}

/* A program that is started with few numbers may have them all, too. */
static void few_numbers(void)
{
    const struct rlimit few = { 64, 64 };
    fflush(stdout);
    pid_t child = fork();

    if (!child) {
        setrlimit(RLIMIT_NOFILE, &few);
        execl("/proc/self/exe", "proc", "few", NULL);
        _exit(99);
    }
    waitpid(child, NULL, 0);
}

/* Its mappings are the program's own alone: the same as its parent's were. */
static void show_mappings(const char *name, const char *program)
{
    static char of_child[65536], own[65536];
    FILE *file = fopen(name, "r");
    int stack = 0, named = 0, other = 0;
    char line[4096];

    fread(own, 1, sizeof own - 1, fopen("/proc/self/maps", "r"));
    while (file && fgets(line, sizeof line, file)) {
        char *path = strchr(line, '/');
        stack += strstr(line, "[stack]") != NULL;
        line[strcspn(line, "\n")] = 0;
        named += path && !strcmp(path, program);
        strchrnul(line, '-')[1] = 0; /* where it begins: what lies behind may be one with it */
        other += !strstr(own, line);
    }
    printf("a child's mappings: stack %d, program %d, %d more\n", stack, named > 0, other);
}

static void of_a_child(void)
{
    char name[64], own[4096] = "", of_child[4096] = "";
    struct stat by_link, by_name;
    pid_t child = fork();

    if (!child) {
        pause();
        _exit(0);
    }
    snprintf(name, sizeof name, "/proc/%d/exe", child);
    readlink("/proc/self/exe", own, sizeof own - 1);
    readlink(name, of_child, sizeof of_child - 1);
    stat(name, &by_link);
    stat(own, &by_name);
    printf("a child's program: %d %d\n", !strcmp(own, of_child), by_link.st_ino == by_name.st_ino);
    snprintf(name, sizeof name, "/proc/%d/maps", child);
    show_mappings(name, own);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void *answer_tid(void *argument)
{
    *(pid_t *)argument = (pid_t)syscall(SYS_gettid);
    return NULL;
}

/* Its files are there until it has ended, and say something. */
static void of_an_ended_thread(void)
{
    static const char *const files[] = { "status", "stat", "statm", "maps", "smaps", "comm" };
    int empty = 0, gone = 0;

    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        char name[64], byte;
        pthread_t thread;
        pid_t tid;
        int fd;
        pthread_create(&thread, NULL, answer_tid, &tid);
        pthread_join(thread, NULL);
        snprintf(name, sizeof name, "/proc/self/task/%d/%s", tid, files[i]);
        while ((fd = open(name, O_RDONLY)) >= 0) {
            empty += !read(fd, &byte, 1);
            close(fd);
        }
        gone += errno == ENOENT;
    }
    printf("ended threads: gone %d, empty %d\n", gone, empty);
}

/* As cp(1) looks whether what it opened is what it had looked at. */
static void same_file(const char *path)
{
    struct stat named, opened;
    struct statx extended;
    int fd = open(path, O_RDONLY);

    int failed = stat(path, &named) | fstat(fd, &opened) | statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended);
    printf("%s: %d, same %d %d, mode %o, size %d %d, links %d\n", path, failed,
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino, extended.stx_ino == named.st_ino,
           opened.st_mode, (int)opened.st_size, (int)extended.stx_size, (int)opened.st_nlink);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "few")) {
        numbers_of_files();
        return 0;
    }
    prctl(PR_SET_NAME, "a name");
    maps();
    command_line(argc, argv);
    auxiliary(argv);
    vdso();
    struct stat status;
    printf("cpuinfo %d, mem %d\n", !stat("/proc/cpuinfo", &status) &&
           slurp("/proc/cpuinfo", (char[65536]){ 0 }, 65536) > 20,
           open("/proc/self/mem", O_RDWR) >= 0);
    same_file("/proc/cpuinfo");
    same_file("/proc/self/maps");
    same_file("/proc/self/status");
    int fd = open("/proc/self/mem", O_RDWR);
    int seven = 7;
    pwrite(fd, &seven, sizeof seven, (off_t)(uintptr_t)&data);
    printf("by mem %d\n", *(volatile int *)&data);
    numbers();
    open_files();
    numbers_of_files();
    few_numbers();
    fflush(stdout);
    of_a_child();
    of_an_ended_thread();
    return 0;
}
