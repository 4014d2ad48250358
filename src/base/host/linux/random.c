/* The host's random source: getrandom(2). */
#include "base/host/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void host_random(void *bytes, size_t count)
{
    while (count) {
        ssize_t got = getrandom(bytes, count, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            perror("getrandom");
            abort();
        }
        bytes = (char *)bytes + got;
        count -= (size_t)got;
    }
}
