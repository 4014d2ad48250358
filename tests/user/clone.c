/* clone in its forms, vfork with shared memory, posix_spawn with its errors, pidfds. */
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int shared;
static char stack[65536] __attribute__((aligned(16)));

/* Not every libc for RISC-V has more than fork by this name, or makes a thread by clone. */
#if defined __riscv && !defined __GLIBC__
#define NO_THREAD_BY_CLONE
#define vfork vfork_by_clone
int vfork_by_clone(void);
__asm__("vfork_by_clone:\n li a0, 0x4111\n li a1, 0\n li a7, 220\n ecall\n ret"); /* CLONE_VM, _VFORK, SIGCHLD */
#endif

/* -- signals that libcs keep for themselves ------------------------------------------------------------------------ */

enum { KEPT = 33, SET_SIZE = 8, ACTION_WORDS = 8 };
static volatile int told;

static void tell(int number)
{
    told += number;
}

#ifdef NO_THREAD_BY_CLONE
int thread_by_clone(int flags, void *stack, volatile int *tid);
__asm__("thread_by_clone:\n mv a4, a2\n li a2, 0\n li a3, 0\n li a7, 220\n ecall\n"
        "bnez a0, 1f\n li a7, 93\n ecall\n1: ret");
#else
static int end_at_once(void *argument)
{
    return 0;
}

static int thread_by_clone(int flags, void *stack, volatile int *tid)
{
    return clone(end_at_once, stack, flags, NULL, NULL, NULL, tid);
}
#endif

/* Not by pthread_create: a libc has signals of its own to set up. */
static void have_thread(void)
{
    static volatile int tid;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;

    tid = 1;
    thread_by_clone(flags, stack + sizeof stack, &tid);
    while (tid) {
        sched_yield();
    }
}

static void kept_signal(const char *how, unsigned long *action, int is_blocked)
{
    const uint64_t set = UINT64_C(1) << (KEPT - 1);
    int status;
    pid_t child = fork();

    if (!child) {
        syscall(SYS_rt_sigaction, KEPT, action, NULL, SET_SIZE);
        syscall(SYS_rt_sigprocmask, is_blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL, SET_SIZE);
        have_thread();
        syscall(SYS_kill, getpid(), KEPT);
        syscall(SYS_tgkill, getpid(), getpid(), KEPT);
        _exit(told);
    }
    waitpid(child, &status, 0);
    printf("%s: %x\n", how, status & ~0x80);
}

/* Each in a process of its own, which has had no thread yet. */
static void kept_signals(void)
{
    unsigned long action[ACTION_WORDS] = { 0 };

    kept_signal("ends", action, 0);
    kept_signal("blocked", action, 1);
    action[0] = 1;
    kept_signal("ignored", action, 0);
    signal(SIGUSR1, tell);
    syscall(SYS_rt_sigaction, SIGUSR1, NULL, action, SET_SIZE);
    kept_signal("handled", action, 0);
    kept_signal("handled later", action, 1);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void vforks(void)
{
    int status;
    pid_t child = vfork();

    if (!child) {
        shared = 17;
        _exit(3);
    }
    waitpid(child, &status, 0);
    printf("vfork: shared %d, status %x\n", shared, status);
    child = vfork();
    if (!child) {
        execl("/nowhere/at/all", "x", NULL);
        shared = errno;
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("vfork and a failing exec: %s\n", strerror(shared));
    fflush(stdout);
    child = vfork();
    if (!child) {
        execl("/bin/echo", "echo", "vfork and exec", NULL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("status %x\n", status);
    child = vfork();
    if (!child) {
        kill(getpid(), SIGKILL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("killed: %x\n", status);
}

static int child_of_clone(void *argument)
{
    shared += *(int *)argument;
    return 5;
}

static void clones(void)
{
    int number = 4, status;
    pid_t tid = 0;

    shared = 1;
    pid_t child = clone(child_of_clone, stack + sizeof stack, CLONE_VM | SIGCHLD, &number);
    waitpid(child, &status, 0);
    printf("shares memory: %d, %x\n", shared, status);
    pid_t pidfd = -1;
    siginfo_t info = { 0 };
    child = clone(child_of_clone, stack + sizeof stack, CLONE_VM | CLONE_PIDFD | SIGCHLD, &number, &pidfd);
    printf("and has a pidfd: %d, ", pidfd >= 0 && !waitid(P_PIDFD, pidfd, &info, WEXITED));
    printf("%d, %d\n", info.si_pid == child, info.si_status);
    child = clone(child_of_clone, stack + sizeof stack, SIGCHLD, &number);
    waitpid(child, &status, 0);
    printf("has its own: %d, %x\n", shared, status);
    child = clone(child_of_clone, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD, &number,
                  &tid);
    printf("tid %d\n", tid == child);
    waitpid(child, &status, 0);
    printf("as vfork: %d, %x\n", shared, status);
    child = clone(child_of_clone, stack + sizeof stack, CLONE_VM | CLONE_VFORK, &number);
    printf("no signal: %d, ", waitpid(child, &status, 0) == -1 && errno == ECHILD);
    printf("%d\n", waitpid(child, &status, __WCLONE) == child);
    printf("bad flags: %ld ", syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0));
    printf("%s\n", strerror(errno));
}

static void clone3s(void)
{
    struct clone_args args = { .exit_signal = SIGCHLD, .flags = CLONE_PIDFD };
    int pidfd = -1, status;
    siginfo_t info = { 0 };

    args.pidfd = (uintptr_t)&pidfd;
    pid_t child = syscall(SYS_clone3, &args, sizeof args);
    if (!child) {
        _exit(6);
    }
    printf("pidfd %d, ", pidfd >= 0);
    printf("waitid %d, ", waitid(P_PIDFD, pidfd, &info, WEXITED));
    printf("pid %d, status %d\n", info.si_pid == child, info.si_status);
    args.exit_signal = 100;
    printf("bad signal %ld ", syscall(SYS_clone3, &args, sizeof args));
    printf("%s\n", strerror(errno));
    printf("too short %ld ", syscall(SYS_clone3, &args, 8));
    printf("%s\n", strerror(errno));
    printf("too long %ld ", syscall(SYS_clone3, &args, 8192));
    printf("%s\n", strerror(errno));
    printf("bad pointer %ld ", syscall(SYS_clone3, (void *)8, sizeof args));
    printf("%s\n", strerror(errno));
    args = (struct clone_args){ .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD, .exit_signal = SIGCHLD };
    args.pidfd = (uintptr_t)&pidfd;
    printf("wait %d\n", wait(&status) == -1 && errno == ECHILD);
}

static void spawns(void)
{
    char *arguments[] = { "echo", "spawned", NULL }, *environment[] = { NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t set;
    pid_t child;
    int status;

    fflush(stdout);
    for (int i = 0; i < 5; i++) {
        int result = posix_spawn(&child, "/bin/echo", NULL, NULL, arguments, environment);
        waitpid(child, &status, 0);
        printf("spawn %d, ", result);
        fflush(stdout);
    }
    printf("status %x\n", status);
    printf("missing: %s\n", strerror(posix_spawn(&child, "/nowhere", NULL, NULL, arguments, environment)));
    printf("a folder: %s\n", strerror(posix_spawn(&child, "/tmp", NULL, NULL, arguments, environment)));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/nowhere/file", 0, 0);
    printf("bad action: %s\n", strerror(posix_spawn(&child, "/bin/echo", &actions, NULL, arguments, environment)));
    posix_spawnattr_init(&attributes);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    posix_spawnattr_setsigmask(&attributes, &set);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    printf("with attributes: %d\n", posix_spawnp(&child, "true", NULL, &attributes, arguments, environment));
    waitpid(child, &status, 0);
    fflush(stdout);
    printf("system %d, ", system("exit 7") >> 8);
    FILE *pipe = popen("echo popen", "r");
    char line[100] = "";
    printf("%s", fgets(line, sizeof line, pipe));
    printf("pclose %d\n", pclose(pipe));
}

static void *end_badly(void *argument)
{
    long words = 3;

    syscall(SYS_set_robust_list, argument, words * (long)sizeof(long));
    return argument;
}

/* Nobody is told where nothing is mapped, and all go on. */
static void untold(void)
{
    const long told = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    pthread_t thread;
    void *result = NULL;
    int status = 0;

    fflush(stdout);
    long child = syscall(SYS_clone, told | SIGCHLD, 0, 8, 8, 8);
    if (!child) {
        _exit(5);
    }
    printf("untold: %d ", waitpid((pid_t)child, &status, 0) == child);
    printf("%x, threads that hold what is not there:", status);
    for (uintptr_t list = 0; list < 3; list++) {
        pthread_create(&thread, NULL, end_badly, (void *)(list * 8192));
        pthread_join(thread, &result);
        printf(" %ld", (long)(intptr_t)result);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    kept_signals();
    vforks();
    clones();
    clone3s();
    spawns();
    untold();
    return 0;
}
