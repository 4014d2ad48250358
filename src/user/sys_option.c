/*
 * Options of sockets. Those whose value holds words, addresses or what is aligned to them have rows; all others are the
 * same everywhere.
 *
 * Not here: options of IPv4's and IPv6's packet filters (iptables), whose values are programs; MCAST_MSFILTER,
 * IPV6_2292PKTOPTIONS and those of SCTP that hold addresses.
 */
#include "user/format.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD
#define SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD SO_VM_SOCKETS_CONNECT_TIMEOUT
#endif

enum { HOST_WORD = 8, VALUE_MAXIMUM = 512 };

typedef struct OptionRow {
    int level, option;
    const char *format;
    bool is_set_only; /* what is got by that number is another */
} OptionRow;

/* include/uapi: linux/filter.h, linux/if_packet.h, linux/if_xdp.h, linux/in.h, linux/time.h, linux/vm_sockets.h */
static const OptionRow rows[] = {
    { SOL_SOCKET, SO_RCVTIMEO, "2L" },
    { SOL_SOCKET, SO_SNDTIMEO, "2L" },
    { SOL_SOCKET, SO_ATTACH_FILTER, "h p", true },
    { SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, "h p", true },
    { SOL_PACKET, PACKET_FANOUT_DATA, "h p", true },
    { SOL_XDP, XDP_UMEM_REG, "P q 3i", true },
    { AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, "2L" },
    { IPPROTO_IP, MCAST_JOIN_GROUP, "i a128b" },
    { IPPROTO_IP, MCAST_LEAVE_GROUP, "i a128b" },
    { IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, "i a128b a128b" },
    { IPPROTO_IP, MCAST_LEAVE_SOURCE_GROUP, "i a128b a128b" },
    { IPPROTO_IP, MCAST_BLOCK_SOURCE, "i a128b a128b" },
    { IPPROTO_IP, MCAST_UNBLOCK_SOURCE, "i a128b a128b" },
    { IPPROTO_IPV6, MCAST_JOIN_GROUP, "i a128b" },
    { IPPROTO_IPV6, MCAST_LEAVE_GROUP, "i a128b" },
    { IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, "i a128b a128b" },
    { IPPROTO_IPV6, MCAST_LEAVE_SOURCE_GROUP, "i a128b a128b" },
    { IPPROTO_IPV6, MCAST_BLOCK_SOURCE, "i a128b a128b" },
    { IPPROTO_IPV6, MCAST_UNBLOCK_SOURCE, "i a128b a128b" },
};

/* NULL: the same on the host. */
static const char *find_format(const Task *task, uint64_t level, uint64_t option, bool sets)
{
    for (size_t i = 0; !guest_is_like_host(task) && i < ARRAY_SIZE(rows); i++) {
        if (rows[i].level == (int)level && rows[i].option == (int)option && (sets || !rows[i].is_set_only)) {
            return rows[i].format;
        }
    }
    return NULL;
}

int64_t sys_setsockopt(Task *task, const uint64_t *a)
{
    const char *format = find_format(task, a[1], a[2], true);
    unsigned word = task_abi(task)->word_size;
    uint8_t guest[VALUE_MAXIMUM], host[VALUE_MAXIMUM];

    if (!format || !a[3]) {
        return syscall_forward(task, &syscall_table[SYSCALL_setsockopt], a);
    }
    if ((uint32_t)a[4] < format_size(format, word)) {
        return -EINVAL;
    }
    if (memory_read(task_memory(task), guest, a[3], format_size(format, word)) ||
        !format_to_host(format, word, task_memory(task), guest, host)) {
        return -EFAULT;
    }
    return host_call(task, SYS_setsockopt, a[0], a[1], a[2], (uintptr_t)host, format_size(format, HOST_WORD), 0);
}

/* The host's length is of its own struct; what does not fit into the guest's is cut. */
static int64_t get_by_format(Task *task, const uint64_t *a, const char *format, socklen_t length)
{
    unsigned word = task_abi(task)->word_size;
    uint8_t guest[VALUE_MAXIMUM], host[VALUE_MAXIMUM] = { 0 };
    socklen_t host_length = (socklen_t)format_size(format, HOST_WORD);
    int64_t result = host_call(task, SYS_getsockopt, a[0], a[1], a[2], (uintptr_t)host, (uintptr_t)&host_length, 0);

    if (result < 0) {
        return result;
    }
    format_to_guest(format, word, task_memory(task), host, guest);
    length = MIN(length, (socklen_t)format_size(format, word));
    return memory_write(task_memory(task), a[3], guest, length) ||
                   memory_write(task_memory(task), a[4], &length, sizeof length)
               ? -EFAULT
               : result;
}

int64_t sys_getsockopt(Task *task, const uint64_t *a)
{
    const char *format = find_format(task, a[1], a[2], false);
    uint64_t host;
    socklen_t length;

    if (memory_read(task_memory(task), &length, a[4], sizeof length)) {
        return -EFAULT;
    }
    if ((int32_t)length < 0) {
        return -EINVAL;
    }
    if (format) {
        return get_by_format(task, a, format, length);
    }
    if (!guest_pointer(task, a[3], length, &host)) {
        return -EFAULT;
    }
    int64_t result = host_call(task, SYS_getsockopt, a[0], a[1], a[2], host, (uintptr_t)&length, 0);
    return result >= 0 && memory_write(task_memory(task), a[4], &length, sizeof length) ? -EFAULT : result;
}
