/* Clocks, processor count, page size, thread names: Linux. */
#include "base/host/host.h"

#include "base/vec.h"

#include <sched.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t host_monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
int64_t host_realtime_ns(void) { return clock_ns(CLOCK_REALTIME); }
size_t host_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

unsigned host_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return (unsigned)CPU_COUNT(&set);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
    return online > 0 ? (unsigned)online : 1;
}

void host_thread_set_name(const char *name)
{
    char cut[16] = "";
    strncpy(cut, name, sizeof cut - 1);
    prctl(PR_SET_NAME, cut);
}

uint64_t host_thread_id(void) { return (uint64_t)gettid(); }
