/* Threads: mutexes and conditions, atomics, thread-local variables, cancellation, robust and PI mutexes, signals to one
 * thread, fork and exec in a threaded program, a mapping that goes away under another thread's feet. */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "narrow.h"

enum { THREADS = 8, ROUNDS = 20000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static _Thread_local int local = 7;
static long counter;
static _Atomic long atomic_counter;
static int turn;

static void *count(void *argument)
{
    for (int i = 0; i < ROUNDS / THREADS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        atomic_fetch_add(&atomic_counter, 3);
        local++;
    }
    return (void *)(intptr_t)(local + (int)(intptr_t)argument);
}

static void many(void)
{
    pthread_t threads[THREADS];
    long sum = 0;

    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, count, (void *)(intptr_t)i);
    }
    for (int i = 0; i < THREADS; i++) {
        void *value;
        pthread_join(threads[i], &value);
        sum += (intptr_t)value;
    }
    printf("counter %ld, atomic %ld, local %d, sum %ld\n", counter, atomic_counter, local, sum);
}

static void *pass(void *argument)
{
    int me = (int)(intptr_t)argument;

    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 200; i++) {
        while (turn != me) {
            pthread_cond_wait(&condition, &mutex);
        }
        turn = !me;
        pthread_cond_broadcast(&condition);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void ping_pong(void)
{
    pthread_t a, b;

    pthread_create(&a, NULL, pass, (void *)0);
    pthread_create(&b, NULL, pass, (void *)1);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    printf("turn %d\n", turn);
}

static void cleaned(void *argument)
{
    printf("cleaned up: %s\n", (char *)argument);
}

static void *forever(void *argument)
{
    pthread_cleanup_push(cleaned, "yes");
    for (;;) {
        pause();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void cancel(void)
{
    pthread_t thread;
    void *value;

    pthread_create(&thread, NULL, forever, NULL);
    pthread_cancel(thread);
    pthread_join(thread, &value);
    printf("cancelled %d\n", value == PTHREAD_CANCELED);
}

static pthread_mutex_t robust;

static void *die_with(void *argument)
{
    pthread_mutex_lock(&robust);
    return NULL;
}

static void robust_mutexes(void)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;

    for (int inherit = 0; inherit < 2; inherit++) {
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutexattr_setprotocol(&attributes, inherit ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
        pthread_mutex_init(&robust, &attributes);
        pthread_create(&thread, NULL, die_with, NULL);
        pthread_join(thread, NULL);
        int result = pthread_mutex_lock(&robust);
        printf("robust: %s, ", strerror(result));
        printf("consistent %d, ", pthread_mutex_consistent(&robust));
        printf("unlock %d\n", pthread_mutex_unlock(&robust));
    }
    void *head;
    size_t length = 0;
    long result = syscall(SYS_get_robust_list, 0, &head, &length);
    printf("robust list %ld %d, ", result, length == 3 * sizeof(void *));
    printf("%ld ", syscall(SYS_set_robust_list, head, 1));
    printf("%s\n", strerror(errno));
}

static pthread_mutex_t inheriting;

static void *contend(void *argument)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&inheriting);
        counter++;
        pthread_mutex_unlock(&inheriting);
    }
    return NULL;
}

static void inheritance(void)
{
    pthread_mutexattr_t attributes;
    pthread_t threads[3];

    counter = 0;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inheriting, &attributes);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, contend, NULL);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("inheriting %ld\n", counter);
}

static _Thread_local volatile int got;
static sem_t ready, done;

static void on_signal(int number)
{
    got = number;
}

static void *wait_for_signal(void *argument)
{
    *(pid_t *)argument = gettid();
    sem_post(&ready);
    while (!got) {
        usleep(1000);
    }
    return (void *)(intptr_t)got;
}

static void directed(void)
{
    pthread_t thread;
    pid_t tid;
    void *value;

    signal(SIGUSR1, on_signal);
    sem_init(&ready, 0, 0);
    pthread_create(&thread, NULL, wait_for_signal, &tid);
    sem_wait(&ready);
    printf("tgkill %ld\n", syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
    pthread_join(thread, &value);
    printf("signal in thread %d, here %d\n", (int)(intptr_t)value, got);
    errno = 0;
    printf("tgkill of a bad one %ld ", syscall(SYS_tgkill, getpid(), 0, 0));
    printf("%d\n", errno);
}

static void *spin(void *argument)
{
    while (!atomic_load((_Atomic int *)argument)) {
        free(malloc(100));
    }
    return NULL;
}

static void forks(void)
{
    _Atomic int stop = 0;
    pthread_t threads[3];
    int status, good = 0;

    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, spin, &stop);
    }
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (!child) {
            pthread_t own;
            void *value;
            counter = 0;
            pthread_create(&own, NULL, count, (void *)1);
            pthread_join(own, &value);
            _exit(counter == ROUNDS / THREADS ? 40 + i : 1);
        }
        waitpid(child, &status, 0);
        good += WEXITSTATUS(status) == 40 + i;
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("forks %d\n", good);
}

static void *run_echo(void *argument)
{
    execl("/bin/echo", "echo", "from a thread", NULL);
    return NULL;
}

static void exec_from_thread(void)
{
    pthread_t thread;
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (!child) {
        pthread_create(&thread, NULL, run_echo, NULL);
        pthread_join(thread, NULL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("exec %d\n", status);
}

static void *outlive(void *argument)
{
    usleep(20000);
    printf("the last thread\n");
    fflush(stdout);
    syscall(SYS_exit, 5);
    return NULL;
}

static void leader_ends_first(void)
{
    pthread_t thread;
    int status;

    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        pthread_create(&thread, NULL, outlive, NULL);
        syscall(SYS_exit, 3);
    }
    waitpid(child, &status, 0);
    printf("leader first: %x\n", status);
    child = fork();
    if (!child) {
        pthread_create(&thread, NULL, forever, NULL);
        usleep(1000);
        exit(9);
    }
    waitpid(child, &status, 0);
    printf("exit with a thread: %x\n", status);
}

static sigjmp_buf escape;
static volatile char *volatile page;
static volatile sig_atomic_t faults;

static void on_fault(int number, siginfo_t *info, void *context)
{
    faults += number == SIGSEGV && info->si_addr == page + 8;
    siglongjmp(escape, 1);
}

static void *remap(void *argument)
{
    for (int i = 0; i < 300; i++) {
        mmap((void *)page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        sched_yield();
        if (i % 2) {
            munmap((void *)page, 4096);
        } else {
            mprotect((void *)page, 4096, PROT_NONE);
        }
        sched_yield();
    }
    *(_Atomic int *)argument = 1;
    return NULL;
}

/* Accesses of all kinds race with the mapping: each works, or faults the guest. */
static void race(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    _Atomic int stop = 0;
    pthread_t thread;
    volatile int rounds = 0;

    page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGSEGV, &action, NULL);
    pthread_create(&thread, NULL, remap, &stop);
    while (!stop) {
        if (!sigsetjmp(escape, 1)) {
            switch (rounds++ % 4) {
            case 0:
                (void)*(volatile long *)(page + 8);
                break;
            case 1:
                *(volatile int *)(page + 8) = 1;
                break;
            case 2:
                atomic_fetch_add((_Atomic int *)(page + 8), 1);
                break;
            default:
                (void)!write(-1, (void *)page, 8);
            }
        }
    }
    pthread_join(thread, NULL);
    signal(SIGSEGV, SIG_DFL);
    printf("race over\n");
}

static void barriers(void)
{
    int commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    printf("membarrier %d\n", commands >= 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED));
    printf("register %ld, ", syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    printf("expedited %ld\n", syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

static void show_call(const char *name, long result)
{
    printf("%s %ld %d\n", name, result, result < 0 ? errno : 0);
}

/* What a command does not use may hold anything. */
static void futexes(void)
{
    static int word, other;
    const long any = -4096;

    show_call("wake", syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, any, any, any));
    show_call("bitset", syscall(SYS_futex, &word, FUTEX_WAKE_BITSET, 1, any, any, 1L));
    show_call("wait", syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, any, any));
    show_call("requeue", syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 1L, &other, any));
    show_call("bad time", syscall(SYS_futex, &word, FUTEX_WAIT, 0, any, NULL, 0L));
    show_call("bad second", syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 1L, any, 0L));
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    many();
    ping_pong();
    cancel();
    robust_mutexes();
    inheritance();
    directed();
    forks();
    exec_from_thread();
    leader_ends_first();
    race();
    barriers();
    futexes();
    return 0;
}
