/*
 * System V communication: semaphores, messages and the control calls, whose structs are layouts; notification by POSIX
 * message queues; keys. Shared memory itself is memory.h's.
 *
 * Not here: keyctl's operations on public keys and Diffie-Hellman (EOPNOTSUPP, as of a kernel without them).
 */
#include "user/syscall_functions.h"

#include <errno.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>

enum { IPC_64_FLAG = 0x100, MESSAGE_LIMIT = 16 << 20 };

/* -- semaphores ---------------------------------------------------------------------------------------------------- */

static int64_t operate(Task *task, const uint64_t *a, uint64_t timeout_address)
{
    uint64_t count = (uint32_t)a[2], timeout = guest_pointer_or_bad(task, timeout_address, 16);
    uint64_t operations = guest_pointer_or_bad(task, a[1], count * sizeof(struct sembuf));
    return host_call(task, SYS_semtimedop, a[0], operations, count, timeout, 0, 0);
}

int64_t sys_semop(Task *task, const uint64_t *a)
{
    return operate(task, a, 0);
}

int64_t sys_semtimedop(Task *task, const uint64_t *a)
{
    return operate(task, a, a[3]);
}

/* A control call whose argument is a struct: in, out or both as the command says. */
static int64_t control(Task *task, long number, const uint64_t *a, unsigned at, LayoutId layout, bool in)
{
    uint8_t host[LAYOUT_MAXIMUM] = { 0 };
    uint64_t command = a[at - 1] & ~(uint64_t)IPC_64_FLAG;

    if (in && task_read(task, layout, a[at], host)) {
        return -EFAULT;
    }
    int64_t result = at == 2 ? host_call(task, number, a[0], command, (uintptr_t)host, 0, 0, 0)
                             : host_call(task, number, a[0], a[1], command, (uintptr_t)host, 0, 0);
    return result >= 0 && !in && task_write(task, layout, a[at], host) ? -EFAULT : result;
}

/* As many values of 16 bits as the set has semaphores. */
static int64_t control_all(Task *task, const uint64_t *a, uint64_t command)
{
    struct semid_ds status;
    uint64_t values;

    if (syscall(SYS_semctl, (int)a[0], 0, IPC_STAT, &status)) {
        if (errno != EACCES) {
            return -errno;
        }
        status.sem_nsems = 0; /* who may not read may yet write: the kernel looks at the memory */
    }
    if (!guest_pointer(task, a[3], status.sem_nsems * sizeof(uint16_t), &values)) {
        return -EFAULT;
    }
    return host_call(task, SYS_semctl, a[0], a[1], command, values, 0, 0);
}

int64_t sys_semctl(Task *task, const uint64_t *a)
{
    uint64_t command = a[2] & ~(uint64_t)IPC_64_FLAG;

    switch (command) {
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        return control(task, SYS_semctl, a, 3, LAYOUT_SEMID, false);
    case IPC_SET:
        return control(task, SYS_semctl, a, 3, LAYOUT_SEMID, true);
    case IPC_INFO:
    case SEM_INFO:
        return control(task, SYS_semctl, a, 3, LAYOUT_SEMINFO, false);
    case GETALL:
    case SETALL:
        return control_all(task, a, command);
    default:
        return host_call(task, SYS_semctl, a[0], a[1], command, a[3], 0, 0);
    }
}

int64_t sys_shmctl(Task *task, const uint64_t *a)
{
    switch (a[1] & ~(uint64_t)IPC_64_FLAG) {
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        return control(task, SYS_shmctl, a, 2, LAYOUT_SHMID, false);
    case IPC_SET:
        return control(task, SYS_shmctl, a, 2, LAYOUT_SHMID, true);
    case IPC_INFO:
        return control(task, SYS_shmctl, a, 2, LAYOUT_SHMINFO, false);
    case SHM_INFO:
        return control(task, SYS_shmctl, a, 2, LAYOUT_SHM_INFO, false);
    default:
        return host_call(task, SYS_shmctl, a[0], a[1] & ~(uint64_t)IPC_64_FLAG, 0, 0, 0, 0);
    }
}

/* -- messages ------------------------------------------------------------------------------------------------------ */

int64_t sys_msgctl(Task *task, const uint64_t *a)
{
    switch (a[1] & ~(uint64_t)IPC_64_FLAG) {
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        return control(task, SYS_msgctl, a, 2, LAYOUT_MSQID, false);
    case IPC_SET:
        return control(task, SYS_msgctl, a, 2, LAYOUT_MSQID, true);
    case IPC_INFO:
    case MSG_INFO:
        return control(task, SYS_msgctl, a, 2, LAYOUT_MSGINFO, false);
    default:
        return host_call(task, SYS_msgctl, a[0], a[1] & ~(uint64_t)IPC_64_FLAG, 0, 0, 0, 0);
    }
}

/* A message is its type, a word, and its text. */
int64_t sys_msgsnd(Task *task, const uint64_t *a)
{
    unsigned word = task_abi(task)->word_size;
    uint64_t type;

    if ((int64_t)a[2] < 0 || a[2] > MESSAGE_LIMIT) {
        return -EINVAL;
    }
    if (memory_read_word(task_memory(task), a[1], word, &type)) {
        return -EFAULT;
    }
    struct msgbuf *message = mem_alloc(sizeof(long) + a[2]);
    message->mtype = word == 4 ? (int32_t)type : (long)type;
    int64_t result = memory_read(task_memory(task), message->mtext, a[1] + word, a[2]);
    if (!result) {
        result = host_call(task, SYS_msgsnd, a[0], (uintptr_t)message, a[2], a[3], 0, 0);
    }
    free(message);
    return result;
}

/* Any size may be given; no message has more than the limit. */
int64_t sys_msgrcv(Task *task, const uint64_t *a)
{
    unsigned word = task_abi(task)->word_size;
    uint64_t size = MIN(a[2], MESSAGE_LIMIT);

    if (word == 4 ? (int32_t)a[2] < 0 : (int64_t)a[2] < 0) {
        return -EINVAL;
    }
    struct msgbuf *message = mem_alloc(sizeof(long) + size);
    int64_t result = host_call(task, SYS_msgrcv, a[0], (uintptr_t)message, size, a[3], a[4], 0);
    if (result >= 0 && (memory_write_word(task_memory(task), a[1], word, (uint64_t)message->mtype) ||
                        memory_write(task_memory(task), a[1] + word, message->mtext, (size_t)result))) {
        result = -EFAULT;
    }
    free(message);
    return result;
}

/* The cookie of a notification by thread goes through a socket of the guest's. */
int64_t sys_mq_notify(Task *task, const uint64_t *a)
{
    enum { COOKIE = 32 };
    struct sigevent event;
    uint64_t cookie;

    if (!a[1]) {
        return host_call(task, SYS_mq_notify, a[0], 0, 0, 0, 0, 0);
    }
    if (task_read(task, LAYOUT_SIGEVENT, a[1], &event)) {
        return -EFAULT;
    }
    if (event.sigev_notify == SIGEV_THREAD) {
        if (!guest_pointer(task, (uintptr_t)event.sigev_value.sival_ptr, COOKIE, &cookie)) {
            return -EFAULT;
        }
        event.sigev_value.sival_ptr = (void *)(uintptr_t)cookie;
    }
    return host_call(task, SYS_mq_notify, a[0], (uintptr_t)&event, 0, 0, 0, 0);
}

/* -- keys ---------------------------------------------------------------------------------------------------------- */

/* Bit n: argument n is a pointer. */
enum { KEY_POINTER_1 = 2, KEY_POINTER_2 = 4, KEY_POINTER_3 = 8, KEY_KNOWN = 1 };

int64_t sys_keyctl(Task *task, const uint64_t *a)
{
    static const uint8_t operations[] = {
        [0] = KEY_KNOWN,                                   /* GET_KEYRING_ID */
        [1] = KEY_KNOWN | KEY_POINTER_1,                   /* JOIN_SESSION_KEYRING */
        [2] = KEY_KNOWN | KEY_POINTER_2,                   /* UPDATE */
        [3] = KEY_KNOWN, [4] = KEY_KNOWN, [5] = KEY_KNOWN, /* REVOKE, CHOWN, SETPERM */
        [6] = KEY_KNOWN | KEY_POINTER_2,                   /* DESCRIBE */
        [7] = KEY_KNOWN, [8] = KEY_KNOWN, [9] = KEY_KNOWN, /* CLEAR, LINK, UNLINK */
        [10] = KEY_KNOWN | KEY_POINTER_2 | KEY_POINTER_3,  /* SEARCH */
        [11] = KEY_KNOWN | KEY_POINTER_2,                  /* READ */
        [12] = KEY_KNOWN | KEY_POINTER_2,                  /* INSTANTIATE */
        [13] = KEY_KNOWN, [14] = KEY_KNOWN,                /* NEGATE, SET_REQKEY_KEYRING */
        [15] = KEY_KNOWN, [16] = KEY_KNOWN,                /* SET_TIMEOUT, ASSUME_AUTHORITY */
        [17] = KEY_KNOWN | KEY_POINTER_2,                  /* GET_SECURITY */
        [18] = KEY_KNOWN, [19] = KEY_KNOWN,                /* SESSION_TO_PARENT, REJECT */
        [21] = KEY_KNOWN, [22] = KEY_KNOWN,                /* INVALIDATE, GET_PERSISTENT */
        [29] = KEY_KNOWN | KEY_POINTER_2 | KEY_POINTER_3,  /* RESTRICT_KEYRING */
        [30] = KEY_KNOWN,                                  /* MOVE */
        [31] = KEY_KNOWN | KEY_POINTER_1,                  /* CAPABILITIES */
    };
    uint64_t h[5];

    if (a[0] >= ARRAY_SIZE(operations) || !operations[a[0]]) {
        return -EOPNOTSUPP;
    }
    for (unsigned i = 0; i < 5; i++) {
        h[i] = i && operations[a[0]] >> i & 1 ? guest_pointer_or_bad(task, a[i], 1) : a[i];
    }
    return host_call(task, SYS_keyctl, h[0], h[1], h[2], h[3], h[4], 0);
}
