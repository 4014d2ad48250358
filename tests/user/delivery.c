/* Signals, closer: queues, order, contexts that handlers edit, exactness between instructions, waiting without a lost
 * wake-up, calls that go on, nested handlers, alternate stacks that overflow. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { ROUNDS = 300 };

/* The instructions: one that is undefined, behind which the result is taken from a register that a handler may set;
 * two registers that count together for ever, until the third is not zero. */
#ifdef __riscv
#define PC(c) (c)->uc_mcontext.__gregs[REG_PC]
#define RESULT(c) (c)->uc_mcontext.__gregs[REG_A0]
#define FIRST(c) (c)->uc_mcontext.__gregs[18]  /* s2 */
#define SECOND(c) (c)->uc_mcontext.__gregs[19] /* s3 */
#define STOP(c) (c)->uc_mcontext.__gregs[20]   /* s4 */
enum { UNDEFINED_SIZE = 4 };

static long undefined(void)
{
    register long a0 __asm__("a0") = 1;
    __asm__ volatile(".option push\n.option norvc\n.word 0xc0001073\n.option pop" : "+r"(a0));
    return a0;
}

__attribute__((noinline, noclone)) static void count_together(long *first, long *second)
{
    register long s2 __asm__("s2") = 0, s3 __asm__("s3") = 0, s4 __asm__("s4") = 0;
    __asm__ volatile("counting: addi s2, s2, 1\naddi s3, s3, 1\nbeqz s4, counting\ncounted:"
                     : "+r"(s2), "+r"(s3), "+r"(s4));
    *first = s2;
    *second = s3;
}
#else
#define PC(c) (c)->uc_mcontext.gregs[REG_RIP]
#define RESULT(c) (c)->uc_mcontext.gregs[REG_RAX]
#define FIRST(c) (c)->uc_mcontext.gregs[REG_R12]
#define SECOND(c) (c)->uc_mcontext.gregs[REG_R13]
#define STOP(c) (c)->uc_mcontext.gregs[REG_R14]
enum { UNDEFINED_SIZE = 2 };

static long undefined(void)
{
    long rax = 1;
    __asm__ volatile("ud2" : "+a"(rax));
    return rax;
}

__attribute__((noinline, noclone)) static void count_together(long *first, long *second)
{
    register long r12 __asm__("r12") = 0, r13 __asm__("r13") = 0, r14 __asm__("r14") = 0;
    __asm__ volatile("counting: add $1, %0\nadd $1, %1\ntest %2, %2\njz counting\ncounted:"
                     : "+r"(r12), "+r"(r13), "+r"(r14) : : "cc");
    *first = r12;
    *second = r13;
}
#endif

static void install(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void block(int how, int first, int last)
{
    sigset_t set;

    sigemptyset(&set);
    for (int number = first; number <= last; number++) {
        sigaddset(&set, number);
    }
    pthread_sigmask(how, &set, NULL);
}

/* -- queues and order ---------------------------------------------------------------------------------------------- */

static char text[4096];
static volatile int used; /* handlers run within calls that the compiler takes for leaves */

static void note(int number, siginfo_t *info, void *context)
{
    used += snprintf(text + used, sizeof text - (size_t)used, "%d:%d:%d:%d ",
                     number >= SIGRTMIN ? number - SIGRTMIN + 100 : number,
                     info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0,
                     info->si_pid == getpid());
}

static void say(const char *name)
{
    printf("%s: %s\n", name, text);
    text[used = 0] = 0;
}

static void queues(void)
{
    siginfo_t info;
    sigset_t set;

    for (int i = 0; i < 4; i++) {
        install(SIGRTMIN + i, note, 0);
    }
    install(SIGUSR1, note, 0);
    install(SIGUSR2, note, 0);
    block(SIG_BLOCK, SIGRTMIN, SIGRTMIN + 3);
    block(SIG_BLOCK, SIGUSR1, SIGUSR2);
    for (int i = 0; i < 12; i++) {
        sigqueue(getpid(), SIGRTMIN + 3 - i % 4, (union sigval){ .sival_int = i });
    }
    kill(getpid(), SIGUSR2);
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 77 });
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 78 });
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 2);
    while (sigtimedwait(&set, &info, &(struct timespec){ 0 }) > 0) {
        note(info.si_signo, &info, NULL);
    }
    say("taken");
    block(SIG_UNBLOCK, SIGRTMIN, SIGRTMIN + 3);
    say("queued");
    block(SIG_UNBLOCK, SIGUSR1, SIGUSR2);
    say("standard");
    printf("bad: %d ", sigqueue(getpid(), 65, (union sigval){ 0 }));
    printf("%d ", errno);
    printf("%d %d\n", sigqueue(getpid(), 0, (union sigval){ 0 }), sigtimedwait(&set, &info, &(struct timespec){ 0 }));
}

/* -- contexts ------------------------------------------------------------------------------------------------------ */

static void skip(int number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;

    used += snprintf(text, sizeof text, "%d %d %d ", number, info->si_code > 0, (uintptr_t)info->si_addr == PC(c));
    PC(c) += UNDEFINED_SIZE;
    RESULT(c) = 42;
    sigaddset(&c->uc_sigmask, SIGUSR1);
}

static void contexts(void)
{
    sigset_t set;

    install(SIGILL, skip, 0);
    long result = undefined();
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    printf("edited: %ld, mask %d, ", result, sigismember(&set, SIGUSR1));
    say("told");
    block(SIG_UNBLOCK, SIGUSR1, SIGUSR1);
}

static volatile int torn, ticks;
extern const char counting[], counted[];

static void look(int number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    long ahead = FIRST(c) - SECOND(c);

    if (PC(c) < (uintptr_t)counting || PC(c) >= (uintptr_t)counted) {
        return; /* not there yet */
    }
    torn += ahead != 0 && ahead != 1;
    if (++ticks == ROUNDS) {
        STOP(c) = 1;
    }
}

static void exact(void)
{
    struct itimerval timer = { { 0, 200 }, { 0, 200 } };
    long first, second;

    install(SIGALRM, look, SA_RESTART);
    setitimer(ITIMER_REAL, &timer, NULL);
    count_together(&first, &second);
    setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
    printf("between instructions: torn %d, same %d\n", torn, first == second);
}

/* -- waiting ------------------------------------------------------------------------------------------------------- */

static atomic_int arrived, wanted;
static pthread_t waiter;

static void arrive(int number, siginfo_t *info, void *context)
{
    atomic_fetch_add(&arrived, 1);
}

static void *send_all(void *argument)
{
    for (int i = 1; i <= ROUNDS * 5; i++) {
        while (atomic_load(&wanted) < i) {
            sched_yield();
        }
        pthread_kill(waiter, SIGUSR1);
    }
    return NULL;
}

/* A signal that comes at any moment around the call ends it: else this hangs. */
static void wake_ups(void)
{
    pthread_t sender;
    sigset_t open;
    int set = epoll_create1(0), failures = 0;
    struct epoll_event event;
    siginfo_t info;

    waiter = pthread_self();
    install(SIGUSR1, arrive, 0);
    block(SIG_BLOCK, SIGUSR1, SIGUSR1);
    sigemptyset(&open);
    pthread_create(&sender, NULL, send_all, NULL);
    for (int i = 1; i <= ROUNDS * 5; i++) {
        atomic_store(&wanted, i);
        switch (i % 5) {
        case 0:
            failures += sigsuspend(&open) != -1 || errno != EINTR;
            break;
        case 1:
            failures += ppoll(NULL, 0, NULL, &open) != -1 || errno != EINTR;
            break;
        case 2:
            failures += pselect(0, NULL, NULL, NULL, NULL, &open) != -1 || errno != EINTR;
            break;
        case 3:
            failures += epoll_pwait(set, &event, 1, -1, &open) != -1 || errno != EINTR;
            break;
        default: {
            sigset_t own;
            sigemptyset(&own);
            sigaddset(&own, SIGUSR1);
            int from = sigwaitinfo(&own, &info); /* some libcs call SI_USER what is SI_TKILL */
            failures += from != SIGUSR1 || (info.si_code != SI_USER && info.si_code != SI_TKILL);
            atomic_fetch_add(&arrived, 1);
            break;
        }
        }
        failures += atomic_load(&arrived) != i;
    }
    pthread_join(sender, NULL);
    block(SIG_UNBLOCK, SIGUSR1, SIGUSR1);
    printf("woken %d times, failures %d\n", atomic_load(&arrived), failures);
}

static int ends[2];
static sem_t gate;
static atomic_int over;

static void *disturb(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_kill(waiter, SIGUSR1);
        sched_yield();
    }
    write(ends[1], "x", 1);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_kill(waiter, SIGUSR1);
        sched_yield();
    }
    sem_post(&gate);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_kill(waiter, SIGUSR1);
        sched_yield();
    }
    atomic_store(&over, 1);
    return NULL;
}

static void restarted(void)
{
    struct timespec begin, end, pause = { 0, 20000000 };
    pthread_t thread;
    char byte = 0;
    int status = 0;

    pipe(ends);
    sem_init(&gate, 0, 0);
    install(SIGUSR1, arrive, SA_RESTART);
    pthread_create(&thread, NULL, disturb, NULL);
    long got = read(ends[0], &byte, 1);
    int waited = sem_wait(&gate);
    pid_t child = fork();
    if (!child) {
        nanosleep(&pause, NULL);
        _exit(7);
    }
    pid_t found = waitpid(child, &status, 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (nanosleep(&pause, &pause) && errno == EINTR) {
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    long took = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
    pthread_join(thread, NULL);
    printf("went on: %ld %c, %d, %d %x, slept %d\n", got, byte, waited, found == child, status, took >= 19);
}

static void *lock(void *mutex)
{
    return (void *)(intptr_t)pthread_mutex_lock(mutex);
}

static void *disturb_both(void *locker)
{
    for (int i = 0; i < ROUNDS * 5; i++) {
        pthread_kill(waiter, SIGUSR1);
        pthread_kill(*(pthread_t *)locker, SIGUSR1);
        nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
    }
    atomic_store(&over, 1);
    return NULL;
}

/* What does not wait is never interrupted, nor is the wait for a mutex that lends its priority, whatever the handler's
 * flags. */
static void not_interrupted(void)
{
    pthread_mutexattr_t lends;
    pthread_mutex_t mutex;
    pthread_t locker, thread;
    int calls = 0, failures = 0;
    void *locked;

    install(SIGUSR1, arrive, 0);
    atomic_store(&over, 0);
    pthread_mutexattr_init(&lends);
    pthread_mutexattr_setprotocol(&lends, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&mutex, &lends);
    pthread_mutex_lock(&mutex);
    pthread_create(&locker, NULL, lock, &mutex);
    pthread_create(&thread, NULL, disturb_both, &locker);
    for (; !atomic_load(&over); calls++) {
        int fd = open("/dev/null", O_RDWR);
        failures += fd < 0 || write(fd, "x", 1) != 1 || fcntl(fd, F_GETFD) < 0 || close(fd) || access("/", F_OK);
    }
    pthread_mutex_unlock(&mutex);
    pthread_join(locker, &locked);
    pthread_join(thread, NULL);
    printf("not interrupted: %d, failures %d, locked %d\n", calls > 0, failures, (int)(intptr_t)locked);
}

/* -- nesting and stacks -------------------------------------------------------------------------------------------- */

static void nest(int number, siginfo_t *info, void *context)
{
    used += snprintf(text + used, sizeof text - (size_t)used, "<%d ", number);
    if (number == SIGUSR1 && used < 40) {
        raise(SIGUSR1); /* at once only with SA_NODEFER */
        raise(SIGUSR2);
    }
    used += snprintf(text + used, sizeof text - (size_t)used, "%d> ", number);
}

static void nesting(void)
{
    struct sigaction action = { .sa_sigaction = nest, .sa_flags = SA_SIGINFO }, old;

    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    say("deferred");
    action.sa_flags |= SA_NODEFER;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    say("not deferred");
    action.sa_flags = SA_SIGINFO | SA_RESETHAND;
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &action, NULL);
    used = 50;
    raise(SIGUSR1);
    used = 0;
    sigaction(SIGUSR1, NULL, &old);
    printf("reset %d, flags %x, mask %d\n", old.sa_handler == SIG_DFL,
           (unsigned)(old.sa_flags & (SA_SIGINFO | SA_RESETHAND)),
           sigismember(&old.sa_mask, SIGUSR2));
}

static sigjmp_buf back;
static stack_t alternate;

static int is_on_alternate(void)
{
    char here;
    return &here >= (char *)alternate.ss_sp && &here < (char *)alternate.ss_sp + alternate.ss_size;
}

static void overflowed(int number, siginfo_t *info, void *context)
{
    stack_t now = { 0 }; /* not told where the call fails */
    int set = sigaltstack(&alternate, &now), error = set ? errno : 0;

    used = snprintf(text, sizeof text, "on it %d, said so %d, set %d %d, context %d", is_on_alternate(), now.ss_flags,
                    set, error,
                    ((ucontext_t *)context)->uc_stack.ss_sp == alternate.ss_sp);
    siglongjmp(back, 1);
}

static int sink(volatile char *p)
{
    volatile char buffer[4096];
    buffer[0] = p[0];
    return sink(buffer) + buffer[0];
}

static void stacks(void)
{
    stack_t now;

    alternate = (stack_t){ .ss_sp = malloc(65536), .ss_size = 65536 };
    printf("set %d\n", sigaltstack(&alternate, NULL));
    install(SIGSEGV, overflowed, SA_ONSTACK);
    for (int i = 0; i < 2; i++) {
        if (!sigsetjmp(back, 1)) {
            sink((char[]){ 0 });
        }
        say("overflow");
    }
    alternate.ss_flags = SS_AUTODISARM;
    printf("disarming %d\n", sigaltstack(&alternate, NULL));
    if (!sigsetjmp(back, 1)) {
        sink((char[]){ 0 });
    }
    say("overflow");
    alternate.ss_flags = 0;
    sigaltstack(NULL, &now);
    printf("%x\n", now.ss_flags);
    alternate.ss_flags = 1234;
    printf("bad %d", sigaltstack(&alternate, NULL));
    printf(" %d\n", errno);
    alternate.ss_flags = 0;
    alternate.ss_size = 100;
    printf("small %d", sigaltstack(&alternate, NULL));
    printf(" %d\n", errno);
}

/* -- children ------------------------------------------------------------------------------------------------------ */

static void children(void)
{
    siginfo_t info = { 0 };
    int status;

    install(SIGCHLD, note, SA_NOCLDSTOP);
    pid_t child = fork();
    if (!child) {
        raise(SIGSTOP);
        _exit(3);
    }
    waitpid(child, &status, WUNTRACED);
    printf("stopped %d, told %d, ", WIFSTOPPED(status), used);
    kill(child, SIGCONT);
    waitid(P_PID, child, &info, WEXITED);
    printf("exit %d %d, told %d\n", info.si_code == CLD_EXITED, info.si_status, used > 0);
    install(SIGCHLD, note, SA_NOCLDWAIT);
    child = fork();
    if (!child) {
        _exit(0);
    }
    printf("none to wait for: %d", waitpid(child, &status, 0));
    printf(" %d\n", errno);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    queues();
    contexts();
    exact();
    wake_ups();
    restarted();
    not_interrupted();
    nesting();
    stacks();
    children();
    return 0;
}
