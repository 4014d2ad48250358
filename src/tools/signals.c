/*
 * Signals while an image is worked on. A thread waits for them. SIGUSR1 asks for the progress. What ends the program
 * ends it between two steps where the command looks at tool_interrupted, else (and when it comes again) at once; new
 * files that are not whole yet are removed.
 */
#include "tools/tool.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/thread.h"
#include "base/vec.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

struct ToolSignals {
    HostSignals *watch;
    Thread thread;
    int stop_fd;
    _Atomic int interrupted; /* by that signal; 0: no */
    _Atomic bool progress, stops; /* it is asked for; the command stops by itself */
    Mutex mutex;
    VEC(char *) files;
};

/* `mutex` is held. */
static void remove_files(const ToolSignals *signals)
{
    for (size_t i = 0; i < signals->files.count; i++) {
        struct stat status;
        if (lstat(signals->files.items[i], &status) == 0 && S_ISREG(status.st_mode)) {
            unlink(signals->files.items[i]);
        }
    }
}

/* As the signal does where nobody waits for it. */
static void die(int number)
{
    sigset_t set;
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
}

static void take_signal(ToolSignals *signals, int number)
{
    if (number == SIGUSR1) {
        atomic_store(&signals->progress, true);
        return;
    }
    if (atomic_exchange(&signals->interrupted, number) == 0 && atomic_load(&signals->stops)) {
        return;
    }
    mutex_lock(&signals->mutex);
    remove_files(signals);
    die(number);
}

static void *serve(void *data)
{
    ToolSignals *signals = data;
    struct pollfd fds[] = { { host_signals_fd(signals->watch), POLLIN, 0 }, { signals->stop_fd, POLLIN, 0 } };
    HostSignal signal;
    while (!fds[1].revents) {
        if (poll(fds, ARRAY_SIZE(fds), -1) > 0) {
            while (host_signals_next(signals->watch, &signal)) {
                take_signal(signals, signal.number);
            }
        }
    }
    return NULL;
}

bool tool_signals_start(Tool *tool)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
    AUTO_ERROR(error);
    ToolSignals *signals = NEW(ToolSignals);
    mutex_init(&signals->mutex);
    signals->stop_fd = host_event_new(&error);
    signals->watch = signals->stop_fd < 0 ? NULL : host_signals_new(numbers, ARRAY_SIZE(numbers), &error);
    if (!signals->watch || !thread_start(&signals->thread, "signals", serve, signals, &error)) {
        tool_error(tool, "%s", error_message(error));
        host_signals_free(signals->watch);
        if (signals->stop_fd >= 0) {
            close(signals->stop_fd);
        }
        free(signals);
        return false;
    }
    tool->signals = signals;
    return true;
}

void tool_signals_end(Tool *tool)
{
    ToolSignals *signals = tool->signals;
    if (!signals) {
        return;
    }
    host_event_signal(signals->stop_fd);
    thread_join(&signals->thread);
    int interrupted = atomic_load(&signals->interrupted);
    if (interrupted) {
        remove_files(signals);
    }
    for (size_t i = 0; i < signals->files.count; i++) {
        free(signals->files.items[i]);
    }
    vec_free(&signals->files);
    host_signals_free(signals->watch);
    close(signals->stop_fd);
    free(signals);
    tool->signals = NULL;
    if (interrupted) {
        fflush(stdout);
        die(interrupted);
    }
}

void tool_stops(Tool *tool, bool stops) { atomic_store(&tool->signals->stops, stops); }
bool tool_interrupted(const Tool *tool) { return tool->signals && atomic_load(&tool->signals->interrupted); }
bool tool_progress_wanted(const Tool *tool)
{
    return tool->signals && atomic_exchange(&tool->signals->progress, false);
}

void tool_guard(Tool *tool, const char *path)
{
    mutex_lock(&tool->signals->mutex);
    vec_push(&tool->signals->files, string_copy(path));
    mutex_unlock(&tool->signals->mutex);
}

void tool_unguard(Tool *tool)
{
    mutex_lock(&tool->signals->mutex);
    while (tool->signals->files.count > 0) {
        free(tool->signals->files.items[--tool->signals->files.count]);
    }
    mutex_unlock(&tool->signals->mutex);
}
