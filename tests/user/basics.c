/* Arguments, environment, files, memory, children: each line printed is the same on every processor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The order of a call's arguments is the compiler's: first the call, then what it left behind. */
#define SHOW(what_, call_) \
    do { \
        errno = 0; \
        long result_ = (long)(call_); \
        printf("%s: %ld %d\n", what_, result_, errno); \
    } while (0)

static void files(void)
{
    char name[] = "/tmp/myna-user-XXXXXX", bytes[16] = "";
    int fd = mkstemp(name);
    struct stat status;
    struct iovec vector[2] = { { "abc", 3 }, { "defg", 4 } };

    SHOW("writev", writev(fd, vector, 2));
    SHOW("fstat", fstat(fd, &status));
    printf("%ld %o %ld\n", (long)status.st_size, status.st_mode, (long)status.st_nlink);
    SHOW("pread", pread(fd, bytes, 3, 2));
    printf("%s\n", bytes);
    SHOW("ftruncate", ftruncate(fd, 100));
    SHOW("lseek", lseek(fd, 0, SEEK_END));
    SHOW("unlink", unlink(name));
    SHOW("write from nowhere", write(fd, (void *)8, 4));
    SHOW("open nowhere", open((void *)8, O_RDONLY));
    SHOW("stat of nothing", stat("/no/such", &status));
    SHOW("stat to nowhere", syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, (void *)8));
    vector[1].iov_base = (void *)8;
    SHOW("writev of half", writev(fd, vector, 2));
    close(fd);
}

static void memory(void)
{
    size_t page = 4096;
    char *area = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;
    int zero = open("/dev/zero", O_RDONLY);

    area[3 * page] = 'x';
    SHOW("mprotect", mprotect(area + page, page, PROT_READ));
    SHOW("read to read-only", read(zero, area + page, 1));
    SHOW("mremap across", mremap(area, 8 * page, 16 * page, MREMAP_MAYMOVE));
    SHOW("munmap", munmap(area + page, page));
    SHOW("mprotect of a hole", mprotect(area, 4 * page, PROT_READ));
    SHOW("bad alignment", munmap(area + 1, page));
    moved = mremap(area + 2 * page, 6 * page, 64 * page, MREMAP_MAYMOVE);
    printf("mremap keeps %c\n", moved[page]);
    SHOW("no length", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void reordered(void)
{
    size_t page = 4096;
    char *area = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *private = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (int i = 0; i < 4; i++) {
        area[i * page] = 'a' + i;
    }
    SHOW("reordered", syscall(SYS_remap_file_pages, area, 2 * page, 0, 2, 0));
    SHOW("back to the first", syscall(SYS_remap_file_pages, area + 3 * page + 5, page + 5, 0, 0, 0));
    area[0] = 'x';
    printf("%c%c%c%c\n", area[0], area[page], area[2 * page], area[3 * page]);
    SHOW("with a protection", syscall(SYS_remap_file_pages, area, page, PROT_READ, 0, 0));
    SHOW("private", syscall(SYS_remap_file_pages, private, page, 0, 0, 0));
    SHOW("no length", syscall(SYS_remap_file_pages, area, 5, 0, 0, 0));
    SHOW("too long", syscall(SYS_remap_file_pages, area, -page, 0, 0, 0));
    SHOW("nowhere", syscall(SYS_remap_file_pages, 8, page, 0, 0, 0));
}

static void children(void)
{
    int ends[2], status;
    char bytes[8] = "";

    pipe(ends);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        write(ends[1], "child", 5);
        _exit(7);
    }
    read(ends[0], bytes, 5);
    waitpid(child, &status, 0);
    printf("%s ended with %d\n", bytes, WEXITSTATUS(status));
    child = fork();
    if (!child) {
        raise(SIGTERM);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("killed by %d\n", WTERMSIG(status));
}

int main(int argc, char **argv)
{
    printf("%d arguments: %s %s\n", argc, argv[1], argv[2]);
    setenv("NAME", "value", 1);
    printf("environment %s\n", getenv("NAME"));
    files();
    memory();
    reordered();
    children();
    printf("%.10f %a\n", 1.0 / 3, 1e-300 * 3);
    return 42;
}
