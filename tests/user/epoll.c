/* Waiting for files: epoll, select and poll, with time and with signals; timers and signals that are waited for. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#define BAD ((void *)8)

static void show(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void note(int number)
{
    (void)number;
    write(1, "signal\n", 7);
}

static void by_epoll(int *first, int *second)
{
    int set = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x123456789abcdef0 }, got[4];

    show("add", epoll_ctl(set, EPOLL_CTL_ADD, first[0], &event));
    event.data.u64 = 7;
    show("add", epoll_ctl(set, EPOLL_CTL_ADD, second[0], &event));
    show("add again", epoll_ctl(set, EPOLL_CTL_ADD, second[0], &event));
    show("add bad", epoll_ctl(set, EPOLL_CTL_ADD, first[1], BAD));
    show("nothing", epoll_wait(set, got, 4, 10));
    write(first[1], "x", 1);
    write(second[1], "x", 1);
    int count = epoll_wait(set, got, 4, -1);
    for (int i = 0; i < count; i++) {
        printf("%x %llx\n", got[i].events, (unsigned long long)got[i].data.u64);
    }
    show("none", epoll_wait(set, got, 0, 0));
    show("bad", epoll_wait(set, BAD, 4, 0));
    show("delete", epoll_ctl(set, EPOLL_CTL_DEL, second[0], BAD));
    show("one", epoll_wait(set, got, 4, 0));
    close(set);
}

static void by_select(int *first, int *second)
{
    fd_set set;
    struct timeval time = { 0, 1000 };
    char byte;

    read(second[0], &byte, 1);
    FD_ZERO(&set);
    FD_SET(first[0], &set);
    FD_SET(second[0], &set);
    show("select", select(second[1] + 1, &set, NULL, NULL, &time));
    printf("%d %d\n", FD_ISSET(first[0], &set), FD_ISSET(second[0], &set));
    show("select bad", select(second[1] + 1, BAD, NULL, NULL, &time));
    struct pollfd file = { second[0], POLLIN, 0 };
    show("poll", poll(&file, 1, 5));
    show("poll bad", poll(BAD, 1, 5));
}

static void with_signals(int *second)
{
    sigset_t blocked, none;
    struct timespec time = { 5, 0 };
    struct pollfd file = { second[0], POLLIN, 0 };
    siginfo_t info;

    signal(SIGUSR1, note);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    show("ppoll", ppoll(&file, 1, &time, &none));
    raise(SIGUSR1);
    show("pselect", pselect(0, NULL, NULL, NULL, &time, &none));
    int set = epoll_create1(0);
    struct epoll_event event;
    raise(SIGUSR1);
    show("epoll_pwait", epoll_pwait(set, &event, 1, 5000, &none));
    raise(SIGUSR1);
    show("sigtimedwait", sigtimedwait(&blocked, &info, &time));
    printf("%d\n", info.si_pid == getpid());
    time = (struct timespec){ 0, 1000 };
    show("sigtimedwait none", sigtimedwait(&blocked, NULL, &time));
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 42 });
    show("sigwaitinfo", sigwaitinfo(&blocked, &info));
    printf("%d %d\n", info.si_code, info.si_value.sival_int);
    close(set);
}

static void by_timer(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 9 };
    struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
    sigset_t blocked;
    siginfo_t info;
    timer_t timer;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    show("timer_create", timer_create(CLOCK_MONOTONIC, &event, &timer));
    show("timer_settime", timer_settime(timer, 0, &soon, NULL));
    show("sigwaitinfo", sigwaitinfo(&blocked, &info));
    printf("%d %d\n", info.si_code, info.si_value.sival_int);
    show("timer_delete", timer_delete(timer));
}

static void by_prctl(void)
{
    char name[17] = "";

    show("set name", prctl(PR_SET_NAME, "a name"));
    show("get name", prctl(PR_GET_NAME, name));
    printf("%s\n", name);
    show("get name bad", prctl(PR_GET_NAME, BAD));
    show("unknown", prctl(12345));
}

int main(void)
{
    int first[2], second[2];

    setvbuf(stdout, NULL, _IONBF, 0);
    pipe(first);
    pipe(second);
    by_epoll(first, second);
    by_select(first, second);
    with_signals(second);
    by_timer();
    by_prctl();
}
