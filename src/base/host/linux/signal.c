/* Signals that can be polled: signalfd(2). */
#include "base/host/host.h"

#include "base/error.h"
#include "base/vec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct HostSignals {
    int fd;
    sigset_t set, before;
};

HostSignals *host_signals_new(const int *signals, size_t count, Error **error)
{
    HostSignals *watch = NEW(HostSignals);
    sigemptyset(&watch->set);
    for (size_t i = 0; i < count; i++) {
        sigaddset(&watch->set, signals[i]);
    }
    watch->fd = signalfd(-1, &watch->set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watch->fd < 0) {
        error_set_errno(error, errno, "cannot make a signal descriptor");
        free(watch);
        return NULL;
    }
    pthread_sigmask(SIG_BLOCK, &watch->set, &watch->before);
    return watch;
}

void host_signals_free(HostSignals *watch)
{
    if (!watch) {
        return;
    }
    close(watch->fd);
    sigset_t unblock = watch->set;
    for (int number = 1; number < NSIG; number++) {
        if (sigismember(&watch->before, number) == 1) {
            sigdelset(&unblock, number);
        }
    }
    pthread_sigmask(SIG_UNBLOCK, &unblock, NULL);
    free(watch);
}

int host_signals_fd(const HostSignals *watch) { return watch->fd; }

bool host_signals_next(HostSignals *watch, HostSignal *signal)
{
    struct signalfd_siginfo information;
    if (read(watch->fd, &information, sizeof information) != sizeof information) {
        return false;
    }
    if (signal) {
        *signal = (HostSignal){ .number = information.ssi_signo, .sender = information.ssi_pid };
    }
    return true;
}
