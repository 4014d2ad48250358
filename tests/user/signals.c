/* Signals: handlers, masks, faults, alternate stacks, interrupted calls. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int count, code, restarted;
static void *volatile address;
static char *page;

static void on_fault(int number, siginfo_t *info, void *context)
{
    code = info->si_code;
    address = info->si_addr;
    siglongjmp(back, number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    char local;
    (void)local;
    count += number == SIGUSR1 ? 1 : number == SIGALRM ? 100 : 10000;
}

static void on_write(int number, siginfo_t *info, void *context)
{
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    count++;
}

static void install(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
    sigaction(number, &action, NULL);
}

static void faults(void)
{
    int number;

    install(SIGSEGV, on_fault, 0);
    if (!(number = sigsetjmp(back, 1))) {
        *(volatile int *)16 = 1;
    }
    printf("fault %d %d %p\n", number, code, address);
    page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!(number = sigsetjmp(back, 1))) {
        page[5] = 1;
    }
    printf("fault %d %d %d\n", number, code, address == page + 5);
    install(SIGSEGV, on_write, 0);
    count = 0;
    page[7] = 'y';
    printf("done again %d %c\n", count, page[7]);
}

static void masks(void)
{
    sigset_t set, old, pending;

    install(SIGUSR1, on_signal, 0);
    install(SIGRTMIN + 3, on_signal, 0);
    count = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGRTMIN + 3);
    raise(SIGRTMIN + 3);
    sigpending(&pending);
    printf("blocked: %d pending %d %d\n", count, sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2));
    sigsuspend(&old);
    printf("after sigsuspend: some %d, %s\n", count > 0, strerror(errno));
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("unblocked: %d\n", count);
}

static void interrupted(void)
{
    struct itimerval timer = { .it_value.tv_usec = 50000 };
    int ends[2];
    char byte;

    pipe(ends);
    install(SIGALRM, on_signal, 0);
    setitimer(ITIMER_REAL, &timer, NULL);
    printf("read %zd", read(ends[0], &byte, 1));
    printf(" %s\n", strerror(errno));
}

static void alternate(void)
{
    stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 }, old;

    sigaltstack(&stack, NULL);
    install(SIGUSR2, on_signal, SA_ONSTACK | SA_RESETHAND);
    count = 0;
    raise(SIGUSR2);
    sigaltstack(NULL, &old);
    printf("alternate %d %d\n", count, old.ss_sp == stack.ss_sp && old.ss_flags == 0);
}

int main(void)
{
    faults();
    masks();
    interrupted();
    alternate();
    fflush(stdout);
    raise(SIGUSR2); /* its handler is gone: ends by it */
    return 0;
}
