/*
 * Process 1 of a test machine: leans on traps, paging, signals, floating point and several processors, prints what it
 * found, and powers off. Built for the guest and run as the one file of an initial RAM disk; the same source built for
 * the host prints the same lines (but for the power-off, which it skips when it is not process 1).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9e3779b97f4a7c15;
    return h ^ h >> 29;
}

static void integers(void)
{
    uint64_t h = 1, x = 88172645463325252;
    for (int i = 0; i < 200000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        h = mix(h, x / ((x >> 40) + 3) + x % 1000003);
        h = mix(h, (uint64_t)((__int128)(int64_t)x * (int64_t)h >> 64));
        h = mix(h, (uint32_t)((int32_t)x / (int32_t)((x >> 33) | 1)));
    }
    printf("integers %016llx\n", (unsigned long long)h);
}

static uint64_t bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static void floating_point(void)
{
    static const int modes[] = { FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD };
    uint64_t h = 1;
    for (unsigned mode = 0; mode < 4; mode++) {
        fesetround(modes[mode]);
        feclearexcept(FE_ALL_EXCEPT);
        volatile double x = 0.7, y = 1e-3;
        for (int i = 0; i < 20000; i++) {
            x = x * 1.0001 + y / 3;
            y = sqrt(x) - y * 0.5;
            h = mix(h, bits(x));
            h = mix(h, bits(fma(x, y, -1)));
            h = mix(h, (uint64_t)(int64_t)(x * 1e6));
            x = x > 1e6 ? 0.7 : x;
        }
        h = mix(h, fetestexcept(FE_INEXACT) != 0);
        h = mix(h, fetestexcept(FE_OVERFLOW) != 0);
        h = mix(h, fetestexcept(FE_INVALID) != 0);
    }
    fesetround(FE_TONEAREST);
    printf("floating_point %016llx\n", (unsigned long long)h);
}

static volatile sig_atomic_t faults;
static char *guarded;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number, (void)context;
    if ((char *)info->si_addr == guarded + 4096) {
        faults++;
        mprotect(guarded + 4096, 4096, PROT_READ | PROT_WRITE);
    }
}

/* A store to a page that is not writable: the signal's address is exact, and the store is done again after it. */
static void page_faults(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, NULL);
    guarded = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 100; i++) {
        mprotect(guarded + 4096, 4096, PROT_READ);
        *(volatile uint32_t *)(void *)(guarded + 4096) = i;
    }
    printf("page_faults %d %d\n", (int)faults, *(int *)(void *)(guarded + 4096));
}

static void processes(void)
{
    int sum = 0;
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(i);
        }
        int status = 0;
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
    }
    printf("processes %d\n", sum);
}

static _Atomic uint64_t counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t guarded_counter;

static void *count(void *argument)
{
    for (int i = 0; i < 20000; i++) {
        atomic_fetch_add(&counter, 1);
        pthread_mutex_lock(&mutex);
        guarded_counter += 3;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void threads(void)
{
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&thread[i], NULL, count, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
    }
    printf("threads %llu %llu\n", (unsigned long long)counter, (unsigned long long)guarded_counter);
}

static void timers(void)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    usleep(50000);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double slept = end.tv_sec - start.tv_sec + 1e-9 * (end.tv_nsec - start.tv_nsec);
    printf("timers %s\n", slept >= 0.05 && slept < 5 ? "ok" : "wrong");
}

int main(void)
{
    printf("userland starts\n");
    integers();
    floating_point();
    page_faults();
    processes();
    threads();
    timers();
    printf("userland done\n");
    fflush(stdout);
    if (getpid() == 1) {
        sync();
        reboot(RB_POWER_OFF);
    }
    return 0;
}
