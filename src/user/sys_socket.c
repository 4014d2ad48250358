/* System calls on sockets; messages are in sys_message.c, options in sys_option.c. */
#include "user/syscall_functions.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t sys_socketpair(Task *task, const uint64_t *a)
{
    int ends[2];
    int64_t result = host_call(task, SYS_socketpair, a[0], a[1], a[2], (uintptr_t)ends, 0, 0);

    if (!result && memory_write(task_memory(task), a[3], ends, sizeof ends)) {
        close(ends[0]);
        close(ends[1]);
        return -EFAULT;
    }
    return result;
}
