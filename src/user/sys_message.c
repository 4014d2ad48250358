/*
 * Messages of sockets: sendmsg and its kin. The header's pointers are checked and turned into the host's; where words
 * have 32 bits, headers and control messages are converted.
 */
#include "base/bytes.h"
#include "base/host/host.h"
#include "user/format.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CONTROL_LIMIT = 64 << 10, MESSAGES_MAXIMUM = 1024, SECOND = 1000000000 };

/* A message on its way through the host's kernel. */
typedef struct Message {
    Task *task;
    uint64_t address; /* of the guest's header */
    struct msghdr header;
    uint8_t *control; /* converted; NULL: the guest's own */
    uint64_t control_address, control_size;
    struct iovec vector[VECTOR_MAXIMUM];
} Message;

/* The header: seven words but for namelen and flags, which have 32 bits. */
typedef struct HeaderShape {
    uint8_t size, name, name_length, vector, count, control, control_length, flags;
} HeaderShape;

static const HeaderShape *shape_of(const Task *task)
{
    static const HeaderShape wide = { 56, 0, 8, 16, 24, 32, 40, 48 }, narrow = { 28, 0, 4, 8, 12, 16, 20, 24 };
    return task_abi(task)->word_size == 8 ? &wide : &narrow;
}

/* -- control messages of 32-bit guests: a length, a level, a type, each of 32 bits, then data; aligned to 4 -------- */

enum { NARROW_HEADER = 12 };

static int64_t control_to_host(Message *m)
{
    size_t used = 0;

    if (m->control_size > CONTROL_LIMIT) {
        return -ENOBUFS;
    }
    AUTO_FREE uint8_t *guest = mem_alloc(m->control_size + 1);
    if (memory_read(task_memory(m->task), guest, m->control_address, m->control_size)) {
        return -EFAULT;
    }
    m->control = mem_alloc0(2 * m->control_size + CMSG_SPACE(0));
    for (uint64_t at = 0; at + NARROW_HEADER <= m->control_size;) {
        uint64_t length = load_le32(guest + at);
        if (length < NARROW_HEADER || length > m->control_size - at) {
            return -EINVAL;
        }
        struct cmsghdr *host = (struct cmsghdr *)(m->control + used);
        host->cmsg_len = CMSG_LEN(length - NARROW_HEADER);
        host->cmsg_level = (int)load_le32(guest + at + 4);
        host->cmsg_type = (int)load_le32(guest + at + 8);
        memcpy(CMSG_DATA(host), guest + at + NARROW_HEADER, length - NARROW_HEADER);
        used += CMSG_SPACE(length - NARROW_HEADER);
        at += align_up(length, 4);
    }
    m->header.msg_control = m->control;
    m->header.msg_controllen = used;
    return 0;
}

/* Times of arrival by the old options are of words. */
static const char *data_format(const struct cmsghdr *c)
{
    enum { TIMEVAL = 29, TIMESPEC = 35, TIMESPECS = 37 };

    if (c->cmsg_level != SOL_SOCKET) {
        return NULL;
    }
    return c->cmsg_type == TIMEVAL || c->cmsg_type == TIMESPEC ? "2L" : c->cmsg_type == TIMESPECS ? "6L" : NULL;
}

/* The data as the guest has it, and its length. */
static const uint8_t *data_to_guest(const Message *m, struct cmsghdr *c, uint8_t converted[24], uint64_t *length)
{
    const char *format = data_format(c);

    *length = c->cmsg_len - CMSG_LEN(0);
    if (!format || *length < format_size(format, 8)) {
        return CMSG_DATA(c);
    }
    *length = format_size(format, 4);
    format_to_guest(format, 4, task_memory(m->task), CMSG_DATA(c), converted);
    return converted;
}

/* Files that came, but that the guest has no room for. */
static void close_rest(struct cmsghdr *c, uint64_t kept)
{
    uint64_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (uint64_t i = kept / sizeof(int); c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        close(fd);
    }
}

/* What does not fit is cut, and flagged so. */
static int control_to_guest(Message *m)
{
    uint64_t used = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->header); c; c = CMSG_NXTHDR(&m->header, c)) {
        uint8_t head[NARROW_HEADER], converted[24];
        uint64_t room = m->control_size - used, data;
        const uint8_t *bytes = data_to_guest(m, c, converted, &data);
        if (room < NARROW_HEADER || data > room - NARROW_HEADER) {
            m->header.msg_flags |= MSG_CTRUNC;
            data = room < NARROW_HEADER ? 0 : room - NARROW_HEADER;
            data = c->cmsg_type == SCM_RIGHTS ? data / sizeof(int) * sizeof(int) : data;
            close_rest(c, data);
        }
        if (room < NARROW_HEADER) {
            continue;
        }
        store_le32(head, (uint32_t)(NARROW_HEADER + data));
        store_le32(head + 4, (uint32_t)c->cmsg_level);
        store_le32(head + 8, (uint32_t)c->cmsg_type);
        if (memory_write(task_memory(m->task), m->control_address + used, head, sizeof head) ||
            memory_write(task_memory(m->task), m->control_address + used + NARROW_HEADER, bytes, data)) {
            return -EFAULT;
        }
        used = MIN(used + align_up(NARROW_HEADER + data, 4), m->control_size);
    }
    m->header.msg_controllen = used;
    return 0;
}

/* -- headers ------------------------------------------------------------------------------------------------------- */

static int64_t read_control(Message *m, bool receives)
{
    uint64_t host;

    if (!guest_pointer(m->task, m->control_address, m->control_size, &host)) {
        return -EFAULT;
    }
    m->header.msg_control = (void *)(uintptr_t)host;
    m->header.msg_controllen = m->control_size;
    if (task_abi(m->task)->word_size == 8 || !m->control_size || !host) {
        return 0;
    }
    if (!receives) {
        return control_to_host(m);
    }
    m->header.msg_controllen = MIN(2 * m->control_size, CONTROL_LIMIT);
    m->header.msg_control = m->control = mem_alloc0(m->header.msg_controllen);
    return 0;
}

static Message *message_new(Task *task)
{
    Message *m = mem_alloc(sizeof *m); /* the vector is filled as far as it is used */

    m->task = task;
    m->control = NULL;
    return m;
}

static void message_free(Message *m)
{
    free(m->control);
    free(m);
}

static int64_t message_read(Message *m, uint64_t address, bool receives)
{
    const HeaderShape *shape = shape_of(m->task);
    unsigned word = task_abi(m->task)->word_size;
    uint8_t bytes[56];
    uint64_t name;

    m->address = address;
    free(m->control);
    m->control = NULL;
    if (memory_read(task_memory(m->task), bytes, address, shape->size)) {
        return -EFAULT;
    }
    m->header = (struct msghdr){ .msg_namelen = load_le32(bytes + shape->name_length), .msg_iov = m->vector,
                                 .msg_iovlen = load_le(bytes + shape->count, word),
                                 .msg_flags = (int)load_le32(bytes + shape->flags) };
    if (m->header.msg_iovlen > VECTOR_MAXIMUM) {
        return -EMSGSIZE;
    }
    if ((int32_t)m->header.msg_namelen < 0) {
        return -EINVAL;
    }
    if (!guest_pointer(m->task, load_le(bytes, word), m->header.msg_namelen, &name)) {
        return -EFAULT;
    }
    m->header.msg_name = (void *)(uintptr_t)name;
    m->control_address = load_le(bytes + shape->control, word);
    m->control_size = load_le(bytes + shape->control_length, word);
    int64_t result = read_control(m, receives);
    return result ? result : task_vector(m->task, load_le(bytes + shape->vector, word), m->header.msg_iovlen,
                                         m->vector);
}

/* What the host's kernel says of the message that came: lengths and flags. */
static int message_write(Message *m)
{
    const HeaderShape *shape = shape_of(m->task);
    GuestMemory *memory = task_memory(m->task);
    unsigned word = task_abi(m->task)->word_size;

    if (m->control && control_to_guest(m)) {
        return -EFAULT;
    }
    return memory_write_word(memory, m->address + shape->name_length, 4, m->header.msg_namelen) ||
                   memory_write_word(memory, m->address + shape->control_length, word, m->header.msg_controllen) ||
                   memory_write_word(memory, m->address + shape->flags, 4, (uint32_t)m->header.msg_flags)
               ? -EFAULT
               : 0;
}

/* -- the calls ----------------------------------------------------------------------------------------------------- */

static int64_t send_one(Message *m, uint64_t fd, uint64_t address, uint64_t flags)
{
    int64_t result = message_read(m, address, false);
    return result ? result : host_call(m->task, SYS_sendmsg, fd, (uintptr_t)&m->header, flags, 0, 0, 0);
}

static int64_t receive_one(Message *m, uint64_t fd, uint64_t address, uint64_t flags)
{
    int64_t result = message_read(m, address, true);

    if (!result) {
        result = host_call(m->task, SYS_recvmsg, fd, (uintptr_t)&m->header, flags, 0, 0, 0);
        if (result >= 0 && message_write(m)) {
            result = -EFAULT;
        }
    }
    return result;
}

int64_t sys_sendmsg(Task *task, const uint64_t *a)
{
    Message *m = message_new(task);
    int64_t result = send_one(m, a[0], a[1], a[2]);

    message_free(m);
    return result;
}

int64_t sys_recvmsg(Task *task, const uint64_t *a)
{
    Message *m = message_new(task);
    int64_t result = receive_one(m, a[0], a[1], a[2]);

    message_free(m);
    return result;
}

/* Behind each header its length; all of it aligned to a word. */
static int64_t set_length(Message *m, int64_t result)
{
    const HeaderShape *shape = shape_of(m->task);

    return result >= 0 && memory_write_word(task_memory(m->task), m->address + shape->size, 4, (uint64_t)result)
               ? -EFAULT
               : result;
}

/* As many as there are until one fails; the error counts where it is the first. */
int64_t sys_sendmmsg(Task *task, const uint64_t *a)
{
    uint64_t step = align_up(shape_of(task)->size + 4u, task_abi(task)->word_size), count = MIN(a[2], MESSAGES_MAXIMUM);
    Message *m = message_new(task);
    int64_t result = 0, done = 0;

    while ((uint64_t)done < count && result >= 0) {
        result = set_length(m, send_one(m, a[0], a[1] + (uint64_t)done * step, a[3]));
        done += result >= 0;
    }
    message_free(m);
    return done || result >= 0 ? done : result;
}

/* The time is looked at after each message alone, as recvmmsg(2) says. */
int64_t sys_recvmmsg(Task *task, const uint64_t *a)
{
    uint64_t step = align_up(shape_of(task)->size + 4u, task_abi(task)->word_size), count = MIN(a[2], MESSAGES_MAXIMUM);
    int64_t result = 0, done = 0, limit = INT64_MAX, flags = (int64_t)(a[3] & ~(uint64_t)MSG_WAITFORONE);
    int64_t time[2];

    if (a[4] && memory_read(task_memory(task), time, a[4], sizeof time)) {
        return -EFAULT;
    }
    if (a[4] && (time[0] < 0 || time[1] < 0 || time[1] >= SECOND)) {
        return -EINVAL;
    }
    if (a[4] && time[0] < INT32_MAX) {
        limit = host_monotonic_ns() + time[0] * SECOND + time[1];
    }
    Message *m = message_new(task);
    while ((uint64_t)done < count && result >= 0 && (!done || host_monotonic_ns() < limit)) {
        result = set_length(m, receive_one(m, a[0], a[1] + (uint64_t)done * step, (uint64_t)flags));
        done += result >= 0;
        flags |= a[3] & MSG_WAITFORONE ? MSG_DONTWAIT : 0;
    }
    message_free(m);
    if (a[4] && limit != INT64_MAX) {
        int64_t left = MAX(limit - host_monotonic_ns(), 0);
        time[0] = left / SECOND;
        time[1] = left % SECOND;
        memory_write(task_memory(task), a[4], time, sizeof time);
    }
    return done || result >= 0 ? done : result;
}
