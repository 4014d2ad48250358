/* The rows of strace.def, and what they print of memory. */
#include "base/bytes.h"
#include "user/format.h"
#include "user/ioctl.h"
#include "user/siginfo.h"
#include "user/strace_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOWN = 8, STRUCT_MAXIMUM = 1024 };

/* What a printer gets: the call's arguments, which of them, and, after the call, its result. */
typedef struct Place {
    Task *task;
    const StraceHint *hint;
    const uint64_t *arguments;
    uint64_t value; /* the argument */
    int64_t result;
} Place;

typedef void Printer(const Place *place, StrBuf *text);

struct StraceHint {
    uint16_t call; /* SyscallId */
    uint8_t argument, moment;
    uint8_t names, other; /* NameSet; another argument's number */
    const char *format;
    Printer *printer;
};

enum { BEFORE_CALL, AFTER_CALL };

static unsigned word_of(const Place *place)
{
    return task_abi(place->task)->word_size;
}

static bool read_memory(const Place *place, uint64_t address, void *bytes, size_t size)
{
    return address && !memory_read(task_memory(place->task), bytes, address, size);
}

static uint64_t read_word(const Place *place, uint64_t address)
{
    uint64_t value = 0;
    return memory_read_word(task_memory(place->task), address, word_of(place), &value) ? 0 : value;
}

static void print_by(const Place *place, const char *format, uint64_t address, StrBuf *text)
{
    uint8_t bytes[STRUCT_MAXIMUM];

    if (read_memory(place, address, bytes, format_size(format, word_of(place)))) {
        format_print(format, word_of(place), bytes, text);
    } else {
        strace_pointer(address, text);
    }
}

static void print_flags(const Place *place, StrBuf *text)
{
    strace_flags((NameSet)place->hint->names, place->value, text);
}

static void print_choice(const Place *place, StrBuf *text)
{
    strace_choice((NameSet)place->hint->names, place->value, text);
}

static void print_format(const Place *place, StrBuf *text)
{
    print_by(place, place->hint->format, place->value, text);
}

static void print_string(const Place *place, StrBuf *text)
{
    strace_string(place->task, place->value, text);
}

/* As many bytes as the call says. */
static void print_result(const Place *place, StrBuf *text)
{
    strace_bytes(place->task, place->value, (uint64_t)place->result, text);
}

/* -- lists --------------------------------------------------------------------------------------------------------- */

/* Elements of so many bytes from an address, the first of them, each by a function. */
static void print_list(const Place *place, uint64_t address, uint64_t count, size_t step,
                       void (*print)(const Place *place, uint64_t address, StrBuf *text), StrBuf *text)
{
    if (!address) {
        strace_pointer(address, text);
        return;
    }
    strbuf_append_char(text, '[');
    for (uint64_t i = 0; i < MIN(count, SHOWN); i++) {
        strbuf_append(text, i ? "," : "");
        print(place, address + i * step, text);
    }
    strbuf_append(text, count > SHOWN ? ",...]" : "]");
}

static void print_vector_item(const Place *place, uint64_t address, StrBuf *text)
{
    uint64_t base = read_word(place, address), size = read_word(place, address + word_of(place));

    strbuf_append(text, "{iov_base=");
    strace_bytes(place->task, base, size, text);
    strbuf_printf(text, ",iov_len=%" PRIu64 "}", size);
}

static void print_vector(const Place *place, StrBuf *text)
{
    print_list(place, place->value, place->arguments[place->hint->other], 2 * word_of(place), print_vector_item, text);
}

static void print_poll(const Place *place, uint64_t address, StrBuf *text)
{
    uint8_t bytes[8];

    if (!read_memory(place, address, bytes, sizeof bytes)) {
        strace_pointer(address, text);
        return;
    }
    strbuf_printf(text, "{fd=%d,events=", (int)load_le32(bytes));
    strace_flags(NAMES_POLL, load_le(bytes + 4, 2), text);
    if (place->hint->moment == AFTER_CALL) {
        strbuf_append(text, ",revents=");
        strace_flags(NAMES_POLL, load_le(bytes + 6, 2), text);
    }
    strbuf_append_char(text, '}');
}

static void print_polls(const Place *place, StrBuf *text)
{
    print_list(place, place->value, place->arguments[place->hint->other], 8, print_poll, text);
}

static void print_event(const Place *place, uint64_t address, StrBuf *text)
{
    uint8_t bytes[16];

    if (read_memory(place, address, bytes, sizeof bytes)) {
        strbuf_append(text, "{events=");
        strace_flags(NAMES_POLL, load_le32(bytes), text);
        strbuf_printf(text, ",data=0x%" PRIx64 "}", load_le64(bytes + 8));
    }
}

static void print_events(const Place *place, StrBuf *text)
{
    print_list(place, place->value, (uint64_t)place->result, 16, print_event, text);
}

static void print_epoll(const Place *place, StrBuf *text)
{
    if (place->value) {
        print_event(place, place->value, text);
    } else {
        strace_pointer(place->value, text);
    }
}

static void print_id(const Place *place, uint64_t address, StrBuf *text)
{
    uint64_t id;
    strbuf_printf(text, "0x%" PRIx64, read_memory(place, address, &id, sizeof id) ? id : 0);
}

/* As many numbers of 64 bits as the call says. */
static void print_ids(const Place *place, StrBuf *text)
{
    print_list(place, place->value, (uint64_t)place->result, sizeof(uint64_t), print_id, text);
}

/* struct iocb, by its address. */
static void print_aio(const Place *place, uint64_t address, StrBuf *text)
{
    print_by(place, "q:aio_data i i h:aio_lio_opcode h:aio_reqprio i:aio_fildes q:aio_buf q:aio_nbytes Q:aio_offset",
             read_word(place, address), text);
}

static void print_requests(const Place *place, StrBuf *text)
{
    print_list(place, place->value, place->arguments[place->hint->other], word_of(place), print_aio, text);
}

static void print_completion(const Place *place, uint64_t address, StrBuf *text)
{
    print_by(place, "q:data q:obj Q:res Q:res2", address, text);
}

static void print_completions(const Place *place, StrBuf *text)
{
    print_list(place, place->value, (uint64_t)place->result, 32, print_completion, text);
}

/* struct futex_waitv */
static void print_waiter(const Place *place, uint64_t address, StrBuf *text)
{
    uint64_t waiter[3];

    if (read_memory(place, address, waiter, sizeof waiter)) {
        strbuf_printf(text, "{val=%" PRIu64 ",uaddr=0x%" PRIx64 ",flags=", waiter[0], waiter[1]);
        strace_flags(NAMES_FUTEX2, (uint32_t)waiter[2], text);
        strbuf_append_char(text, '}');
    } else {
        strace_pointer(address, text);
    }
}

static void print_waiters(const Place *place, StrBuf *text)
{
    print_list(place, place->value, place->arguments[place->hint->other], 24, print_waiter, text);
}

static void print_pair(const Place *place, StrBuf *text)
{
    print_list(place, place->value, 2, 24, print_waiter, text);
}

static void print_operation(const Place *place, uint64_t address, StrBuf *text)
{
    int16_t operation[3];

    if (read_memory(place, address, operation, sizeof operation)) {
        strbuf_printf(text, "{sem_num=%d,sem_op=%d,sem_flg=", operation[0], operation[1]);
        strace_flags(NAMES_IPC, (uint16_t)operation[2], text);
        strbuf_append_char(text, '}');
    }
}

static void print_operations(const Place *place, StrBuf *text)
{
    print_list(place, place->value, place->arguments[place->hint->other], 6, print_operation, text);
}

static void print_group(const Place *place, uint64_t address, StrBuf *text)
{
    uint32_t group;
    strbuf_printf(text, "%u", read_memory(place, address, &group, sizeof group) ? group : 0);
}

static void print_groups(const Place *place, StrBuf *text)
{
    uint64_t count = place->hint->moment == AFTER_CALL ? (uint64_t)place->result : place->arguments[0];
    print_list(place, place->value, count, 4, print_group, text);
}

static void print_pointed(const Place *place, uint64_t address, StrBuf *text)
{
    strace_string(place->task, read_word(place, address), text);
}

static uint64_t count_pointers(const Place *place)
{
    uint64_t count = 0;

    while (count < 10000 && read_word(place, place->value + count * word_of(place))) {
        count++;
    }
    return count;
}

/* Addresses up to a NULL. */
static void print_strings(const Place *place, StrBuf *text)
{
    print_list(place, place->value, place->value ? count_pointers(place) : 0, word_of(place), print_pointed, text);
}

static void print_count(const Place *place, StrBuf *text)
{
    strace_pointer(place->value, text);
    if (place->value) {
        strbuf_printf(text, " /* %" PRIu64 " variables */", count_pointers(place));
    }
}

/* An fd_set: the first word of each 64 that are below the count. */
static void print_set(const Place *place, StrBuf *text)
{
    uint64_t count = MIN(place->arguments[0], 1024), bits = 0;
    const char *separator = "";

    if (!place->value) {
        strace_pointer(place->value, text);
        return;
    }
    strbuf_append_char(text, '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i % 64 == 0 && !read_memory(place, place->value + i / 8, &bits, sizeof bits)) {
            break;
        }
        if (bits >> i % 64 & 1) {
            strbuf_printf(text, "%s%" PRIu64, separator, i);
            separator = ",";
        }
    }
    strbuf_append_char(text, ']');
}

static void print_mask(const Place *place, StrBuf *text)
{
    uint64_t bits;

    if (read_memory(place, place->value, &bits, sizeof bits)) {
        strbuf_printf(text, "[0x%" PRIx64 "]", bits);
    } else {
        strace_pointer(place->value, text);
    }
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static void print_request(const Place *place, StrBuf *text)
{
    const char *name = ioctl_name(place->task, (uint32_t)place->value);

    if (name) {
        strbuf_append(text, name);
    } else {
        strbuf_printf(text, "0x%" PRIx32, (uint32_t)place->value);
    }
}

static void print_ioctl(const Place *place, StrBuf *text)
{
    bool returns = place->hint->moment == AFTER_CALL;

    if (!ioctl_print(place->task, (uint32_t)place->arguments[1], place->value, returns, text) && !returns) {
        strbuf_printf(text, place->value ? "0x%" PRIx64 : "0", place->value);
    }
}

static void print_fcntl(const Place *place, StrBuf *text)
{
    switch ((int)place->arguments[1]) {
    case F_GETFD:
    case F_GETFL:
    case F_GETOWN:
    case F_GETSIG:
    case F_GETLEASE:
    case F_GETPIPE_SZ:
    case F_GET_SEALS:
        strbuf_append_char(text, '0'); /* it is not looked at */
        break;
    case F_SETFL:
        strace_flags(NAMES_OPEN, place->value, text);
        break;
    case F_SETFD:
        strace_flags(NAMES_FD, place->value, text);
        break;
    case F_SETLK:
    case F_SETLKW:
    case F_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
    case F_OFD_GETLK:
        print_by(place, "2h 2Q I", place->value, text);
        break;
    default:
        strbuf_printf(text, "%" PRId64, (int64_t)place->value);
        break;
    }
}

static void print_how(const Place *place, StrBuf *text)
{
    uint64_t how[3];

    if (!read_memory(place, place->value, how, sizeof how)) {
        strace_pointer(place->value, text);
        return;
    }
    strbuf_append(text, "{flags=");
    strace_flags(NAMES_OPEN, how[0], text);
    strbuf_printf(text, ",mode=0%" PRIo64 ",resolve=0x%" PRIx64 "}", how[1], how[2]);
}

static void print_handle(const Place *place, StrBuf *text)
{
    uint32_t handle[2];

    if (!read_memory(place, place->value, handle, sizeof handle)) {
        strace_pointer(place->value, text);
        return;
    }
    strbuf_printf(text, "{handle_bytes=%u,handle_type=%d,f_handle=", handle[0], (int)handle[1]);
    strace_bytes(place->task, place->value + sizeof handle, handle[0], text);
    strbuf_append_char(text, '}');
}

/* struct linux_dirent64: how many, and the names of the first. */
static void print_entries(const Place *place, StrBuf *text)
{
    enum { LENGTH = 16, NAME = 19 };
    uint64_t end = place->value + (uint64_t)place->result;
    unsigned count = 0;
    uint16_t length;

    strbuf_append_char(text, '[');
    for (uint64_t at = place->value;
         at < end && read_memory(place, at + LENGTH, &length, sizeof length) && length; at += length) {
        if (count < SHOWN) {
            strbuf_append(text, count ? "," : "");
            strace_string(place->task, at + NAME, text);
        }
        count++;
    }
    strbuf_printf(text, "%s] /* %u entries */", count > SHOWN ? ",..." : "", count);
}

static void print_mount_attributes(const Place *place, StrBuf *text)
{
    uint64_t attributes[4];

    if (!read_memory(place, place->value, attributes, sizeof attributes)) {
        strace_pointer(place->value, text);
        return;
    }
    strbuf_append(text, "{attr_set=");
    strace_flags(NAMES_MOUNT_ATTRIBUTE, attributes[0], text);
    strbuf_append(text, ",attr_clr=");
    strace_flags(NAMES_MOUNT_ATTRIBUTE, attributes[1], text);
    strbuf_append(text, ",propagation=");
    strace_flags(NAMES_MOUNT, attributes[2], text);
    strbuf_printf(text, ",userns_fd=%" PRIu64 "}", attributes[3]);
}

/* -- processes ----------------------------------------------------------------------------------------------------- */

static void print_status(const Place *place, StrBuf *text)
{
    int status;

    if (!place->result || !read_memory(place, place->value, &status, sizeof status)) {
        return;
    }
    if (WIFEXITED(status)) {
        strbuf_printf(text, "[WIFEXITED,WEXITSTATUS=%d]", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status) || WIFSTOPPED(status)) {
        strbuf_append(text, WIFSTOPPED(status) ? "[WIFSTOPPED,WSTOPSIG=" : "[WIFSIGNALED,WTERMSIG=");
        strace_signal((uint64_t)(WIFSTOPPED(status) ? WSTOPSIG(status) : WTERMSIG(status)), text);
        strbuf_append(text, WIFSIGNALED(status) && WCOREDUMP(status) ? ",WCOREDUMP]" : "]");
    } else {
        strbuf_printf(text, "[0x%x]", (unsigned)status);
    }
}

static void print_info(const Place *place, StrBuf *text)
{
    uint8_t bytes[SIGINFO_SIZE];
    siginfo_t info;

    if (!read_memory(place, place->value, bytes, sizeof bytes)) {
        strace_pointer(place->value, text);
        return;
    }
    if (word_of(place) == 8) {
        memcpy(&info, bytes, sizeof info);
    } else {
        siginfo_to_host(word_of(place), bytes, &info);
    }
    strace_info(&info, text);
}

static void print_event_signal(const Place *place, StrBuf *text)
{
    unsigned word = word_of(place);
    uint32_t rest[2];

    if (!read_memory(place, place->value + word, rest, sizeof rest)) {
        strace_pointer(place->value, text);
        return;
    }
    strbuf_printf(text, "{sigev_value=0x%" PRIx64 ",sigev_signo=", read_word(place, place->value));
    strace_signal(rest[0], text);
    strbuf_append(text, ",sigev_notify=");
    strace_choice(NAMES_NOTIFY, rest[1], text);
    strbuf_append_char(text, '}');
}

/* struct clone_args */
static void print_clone(const Place *place, StrBuf *text)
{
    uint64_t a[11] = { 0 };

    if (!read_memory(place, place->value, a, MIN(place->arguments[1], sizeof a))) {
        strace_pointer(place->value, text);
        return;
    }
    strbuf_append(text, "{flags=");
    strace_flags(NAMES_CLONE, a[0], text);
    strbuf_printf(text, ",pidfd=0x%" PRIx64 ",child_tid=0x%" PRIx64 ",parent_tid=0x%" PRIx64 ",exit_signal=", a[1],
                  a[2], a[3]);
    strace_signal(a[4], text);
    strbuf_printf(text, ",stack=0x%" PRIx64 ",stack_size=%" PRIu64 ",tls=0x%" PRIx64 ",set_tid=0x%" PRIx64
                  ",set_tid_size=%" PRIu64 ",cgroup=%" PRIu64 "}", a[5], a[6], a[7], a[8], a[9], a[10]);
}

/* The fourth argument is a time for some of futex's operations, a number for others. */
static void print_futex(const Place *place, StrBuf *text)
{
    int operation = (int)place->arguments[1] & FUTEX_CMD_MASK;
    bool is_time = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET || operation == FUTEX_LOCK_PI ||
                   operation == FUTEX_WAIT_REQUEUE_PI;

    if (is_time) {
        print_by(place, "2Q", place->value, text);
    } else {
        strbuf_printf(text, "%" PRIu64, place->value);
    }
}

static void print_signals(const Place *place, StrBuf *text)
{
    uint64_t set;

    if (read_memory(place, place->value, &set, sizeof set)) {
        strace_signals(set, text);
    } else {
        strace_pointer(place->value, text);
    }
}

static void print_action(const Place *place, StrBuf *text)
{
    unsigned word = word_of(place);
    uint64_t handler = read_word(place, place->value), mask = 0;

    if (!place->value || !read_memory(place, place->value + 2 * word, &mask, sizeof mask)) {
        strace_pointer(place->value, text);
        return;
    }
    if (handler > 1) {
        strbuf_printf(text, "{sa_handler=0x%" PRIx64, handler);
    } else {
        strbuf_append(text, handler ? "{sa_handler=SIG_IGN" : "{sa_handler=SIG_DFL");
    }
    strbuf_append(text, ",sa_flags=");
    strace_flags(NAMES_SIGACTION, read_word(place, place->value + word), text);
    strbuf_append(text, ",sa_mask=");
    strace_signals(mask, text);
    strbuf_append_char(text, '}');
}

/* -- sockets ------------------------------------------------------------------------------------------------------- */

static void print_socket_address(const Place *place, uint64_t address, uint64_t length, StrBuf *text)
{
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        uint8_t bytes[sizeof(struct sockaddr_storage)];
    } a = { 0 };
    char name[INET6_ADDRSTRLEN];

    if (length < sizeof a.any.sa_family || !read_memory(place, address, a.bytes, MIN(length, sizeof a - 1))) {
        strace_pointer(address, text);
        return;
    }
    switch (a.any.sa_family) {
    case AF_UNIX:
        strbuf_append(text, "{sa_family=AF_UNIX,sun_path=");
        strace_bytes(place->task, address + 2,
                     a.path.sun_path[0] ? strnlen(a.path.sun_path, sizeof a.path.sun_path) : length - 2, text);
        strbuf_append_char(text, '}');
        break;
    case AF_INET:
        strbuf_printf(text, "{sa_family=AF_INET,sin_port=htons(%u),sin_addr=inet_addr(\"%s\")}", ntohs(a.in.sin_port),
                      inet_ntop(AF_INET, &a.in.sin_addr, name, sizeof name));
        break;
    case AF_INET6:
        strbuf_printf(text, "{sa_family=AF_INET6,sin6_port=htons(%u),sin6_addr=\"%s\"}", ntohs(a.in6.sin6_port),
                      inet_ntop(AF_INET6, &a.in6.sin6_addr, name, sizeof name));
        break;
    default:
        strbuf_printf(text, "{sa_family=%u,sa_data=", a.any.sa_family);
        strace_bytes(place->task, address + 2, length - 2, text);
        strbuf_append_char(text, '}');
        break;
    }
}

static void print_address(const Place *place, StrBuf *text)
{
    print_socket_address(place, place->value, place->arguments[place->hint->other], text);
}

/* The length is in memory. */
static uint64_t length_at(const Place *place)
{
    uint32_t length = 0;
    return read_memory(place, place->arguments[place->hint->other], &length, sizeof length) ? length : 0;
}

static void print_address_by_length(const Place *place, StrBuf *text)
{
    print_socket_address(place, place->value, length_at(place), text);
}

/* struct cmsghdr one by one: of descriptors their numbers, of the rest the bytes. */
static void print_control(const Place *place, uint64_t address, uint64_t size, StrBuf *text)
{
    unsigned word = word_of(place), header = word + 8;
    const char *separator = "";
    int kind[2];

    strbuf_append(text, ",msg_control=[");
    for (uint64_t at = address, end = address + size, length; at + header <= end; at += align_up(length, word)) {
        length = read_word(place, at);
        if (length < header || length > end - at || !read_memory(place, at + word, kind, sizeof kind)) {
            break;
        }
        strbuf_printf(text, "%s{cmsg_level=", separator);
        strace_choice(NAMES_SOCKET_LEVEL, (uint64_t)kind[0], text);
        bool descriptors = kind[0] == SOL_SOCKET && kind[1] == SCM_RIGHTS;
        strbuf_printf(text, descriptors ? ",cmsg_type=SCM_RIGHTS,cmsg_data=" : ",cmsg_type=%d,cmsg_data=", kind[1]);
        if (descriptors) {
            print_list(place, at + header, (length - header) / 4, 4, print_group, text);
        } else {
            strace_bytes(place->task, at + header, length - header, text);
        }
        strbuf_append_char(text, '}');
        separator = ",";
    }
    strbuf_append_char(text, ']');
}

/* struct msghdr: words but for the name's length. */
static void print_message(const Place *place, StrBuf *text)
{
    unsigned word = word_of(place);
    uint64_t at = place->value, name = read_word(place, at);
    uint32_t name_length = 0;

    if (!read_memory(place, at + word, &name_length, sizeof name_length)) {
        strace_pointer(at, text);
        return;
    }
    strbuf_append(text, "{msg_name=");
    print_socket_address(place, name, name_length, text);
    strbuf_append(text, ",msg_iov=");
    print_list(place, read_word(place, at + 2 * word), read_word(place, at + 3 * word), 2 * word, print_vector_item,
               text);
    if (read_word(place, at + 5 * word)) {
        print_control(place, read_word(place, at + 4 * word), read_word(place, at + 5 * word), text);
    }
    strbuf_printf(text, ",msg_controllen=%" PRIu64 "}", read_word(place, at + 5 * word));
}

static void print_socket_option(const Place *place, StrBuf *text)
{
    if ((int)place->arguments[1] == SOL_SOCKET) {
        strace_choice(NAMES_SOCKET_OPTION, place->value, text);
    } else {
        strbuf_printf(text, "%" PRIu64, place->value);
    }
}

/* Most are an int. */
static void print_value(const Place *place, uint64_t length, StrBuf *text)
{
    if (length == sizeof(int)) {
        print_by(place, "I", place->value, text);
    } else {
        strace_bytes(place->task, place->value, length, text);
    }
}

static void print_option_value(const Place *place, StrBuf *text)
{
    print_value(place, place->arguments[place->hint->other], text);
}

static void print_option_by_length(const Place *place, StrBuf *text)
{
    print_value(place, length_at(place), text);
}

/* -- rows ---------------------------------------------------------------------------------------------------------- */

/* A format, or a number: both are taken of whatever the row has. */
#define DETAIL_FORMAT(detail_) _Generic((detail_), char *: (detail_), const char *: (detail_), default: NULL)
#define DETAIL_NUMBER(detail_) _Generic((detail_), char *: 0, const char *: 0, default: (detail_))

static const StraceHint hints[] = {
#define FLAGS(call_, argument_, set_) { SYSCALL_##call_, argument_, BEFORE_CALL, NAMES_##set_, 0, NULL, print_flags },
#define CHOICE(call_, argument_, set_) { SYSCALL_##call_, argument_, BEFORE_CALL, NAMES_##set_, 0, NULL, print_choice },
#define BEFORE(call_, argument_, printer_, detail_) \
    { SYSCALL_##call_, argument_, BEFORE_CALL, 0, DETAIL_NUMBER(detail_), DETAIL_FORMAT(detail_), print_##printer_ },
#define AFTER(call_, argument_, printer_, detail_) \
    { SYSCALL_##call_, argument_, AFTER_CALL, 0, DETAIL_NUMBER(detail_), DETAIL_FORMAT(detail_), print_##printer_ },
#include "user/strace.def"
};

const StraceHint *strace_find_hint(const Syscall *row, unsigned argument, bool returns)
{
    size_t call = (size_t)(row - syscall_table);

    for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
        if (hints[i].call == call && hints[i].argument == argument &&
            hints[i].moment == (returns ? AFTER_CALL : BEFORE_CALL)) {
            return &hints[i];
        }
    }
    return NULL;
}

void strace_hint(Task *task, const StraceHint *hint, const uint64_t *arguments, unsigned argument, int64_t result,
                 StrBuf *text)
{
    const Place place = { .task = task, .hint = hint, .arguments = arguments, .value = arguments[argument],
                          .result = result };

    hint->printer(&place, text);
}
