/*
 * ioctl. A program whose words and addresses are the host's gets the host's as it is. For others a row of ioctls.def
 * says what the argument is; a number that holds the size of a struct is another one where the struct is. What has no
 * row is passed on where a number says that it has no argument, and gets ENOTTY else.
 */
#include "user/ioctl.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "user/format.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/blkpg.h>
#include <linux/cdrom.h>
#include <linux/dm-ioctl.h>
#include <linux/fb.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/hdreg.h>
#include <linux/if_tun.h>
#include <linux/input.h>
#include <linux/kd.h>
#include <linux/loop.h>
#include <linux/nbd.h>
#include <linux/nsfs.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <linux/serial.h>
#include <linux/sockios.h>
#include <linux/soundcard.h>
#include <linux/uinput.h>
#include <linux/vt.h>
#include <linux/watchdog.h>
#include <net/if.h>
#include <scsi/scsi.h>
#include <scsi/sg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

enum { HOST_WORD = 8, STRUCT_MAXIMUM = 1024 };

/* What the headers lack, or have with a type that they lack. */
enum { TERMIOS2_SIZE = 44 };
#undef TCGETS2
#undef TCSETS2
#undef TCSETSW2
#undef TCSETSF2
#define TCGETS2 _IOC(_IOC_READ, 'T', 0x2a, TERMIOS2_SIZE)
#define TCSETS2 _IOC(_IOC_WRITE, 'T', 0x2b, TERMIOS2_SIZE)
#define TCSETSW2 _IOC(_IOC_WRITE, 'T', 0x2c, TERMIOS2_SIZE)
#define TCSETSF2 _IOC(_IOC_WRITE, 'T', 0x2d, TERMIOS2_SIZE)
#ifndef SCSI_IOCTL_GET_IDLUN
#define SCSI_IOCTL_GET_IDLUN 0x5382
#define SCSI_IOCTL_GET_BUS_NUMBER 0x5386
#endif

typedef enum IoctlKind { KIND_NONE, KIND_IN, KIND_OUT, KIND_BOTH } IoctlKind;

typedef struct IoctlCall {
    Task *task;
    uint64_t fd, argument;
    uint32_t request; /* the host's */
} IoctlCall;

typedef int64_t IoctlFunction(const IoctlCall *call);

typedef struct IoctlRow {
    const char *name;
    uint32_t request;
    uint8_t kind;
    const char *declared, *format; /* declared NULL: the format, where the number holds a size */
    IoctlFunction *function;
} IoctlRow;

static IoctlFunction ioctl_pointer, ioctl_interfaces;

static const IoctlRow rows[] = {
#define IOCTL(name_, kind_, format_) { #name_, (uint32_t)(name_), KIND_##kind_, NULL, format_, NULL },
#define IOCTL_AS(name_, declared_, kind_, format_) \
    { #name_, (uint32_t)(name_), KIND_##kind_, declared_, format_, NULL },
#define IOCTL_BY(name_, function_) { #name_, (uint32_t)(name_), KIND_NONE, NULL, "", ioctl_##function_ },
#include "user/ioctls.def"
};

/* The request as the guest makes it. */
static uint32_t guest_request(const IoctlRow *row, unsigned word)
{
    const char *declared = row->declared ? row->declared : row->format;
    uint32_t size = _IOC_SIZE(row->request);

    if (!size || !*declared || size != format_size(declared, HOST_WORD)) {
        return row->request;
    }
    return (row->request & ~(uint32_t)IOCSIZE_MASK) | (uint32_t)format_size(declared, word) << IOCSIZE_SHIFT;
}

static const IoctlRow *find_row(uint32_t request, unsigned word)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!((rows[i].request ^ request) & 0xffff) && guest_request(&rows[i], word) == request) {
            return &rows[i];
        }
    }
    return NULL;
}

static int64_t make_call(const IoctlCall *call, uint64_t argument)
{
    return host_call(call->task, SYS_ioctl, call->fd, call->request, argument, 0, 0, 0);
}

/* A struct that is the same everywhere, and may be longer than its type. */
static int64_t ioctl_pointer(const IoctlCall *call)
{
    uint64_t host;

    return guest_pointer(call->task, call->argument, 1, &host) ? make_call(call, host) : -EFAULT;
}

static int64_t by_format(const IoctlCall *call, const IoctlRow *row)
{
    const GuestMemory *memory = task_memory(call->task);
    unsigned word = task_abi(call->task)->word_size;
    uint8_t guest[STRUCT_MAXIMUM], host[STRUCT_MAXIMUM] = { 0 };
    size_t size = format_size(row->format, word);

    if (row->kind != KIND_OUT && memory_read(memory, guest, call->argument, size)) {
        return -EFAULT;
    }
    if (row->kind != KIND_IN && !task_can_write(call->task, call->argument, size)) {
        return -EFAULT;
    }
    if (row->kind != KIND_OUT && !format_to_host(row->format, word, memory, guest, host)) {
        return -EFAULT;
    }
    int64_t result = make_call(call, (uintptr_t)host);
    if (result >= 0 && row->kind != KIND_IN) {
        format_to_guest(row->format, word, memory, host, guest);
        result = memory_write(memory, call->argument, guest, size) ? -EFAULT : result;
    }
    return result;
}

/* struct ifconf: the length and address of an array of struct ifreq; without one, the length that it would have. */
static int64_t ioctl_interfaces(const IoctlCall *call)
{
    static const char *const list_format = "I p", *const format = "16b h 14b";
    const GuestMemory *memory = task_memory(call->task);
    unsigned word = task_abi(call->task)->word_size;
    size_t step = word == 8 ? sizeof(struct ifreq) : format_size(format, word);
    struct ifconf list;
    uint8_t bytes[sizeof list], element[sizeof(struct ifreq)];

    if (memory_read(memory, bytes, call->argument, format_size(list_format, word)) ||
        !task_can_write(call->task, call->argument, sizeof(int)) ||
        !format_to_host(list_format, word, memory, bytes, &list)) {
        return -EFAULT;
    }
    if (list.ifc_len < 0) {
        return -EINVAL;
    }
    uint64_t address = list.ifc_buf ? (uint64_t)(list.ifc_buf - (char *)memory->base) : 0;
    size_t count = MIN((size_t)list.ifc_len / step, 4096);
    AUTO_FREE char *array = mem_alloc_array(count + 1, sizeof(struct ifreq));
    list.ifc_buf = address ? array : NULL;
    list.ifc_len = (int)(count * sizeof(struct ifreq));
    int64_t result = make_call(call, (uintptr_t)&list);
    count = result < 0 ? 0 : (size_t)list.ifc_len / sizeof(struct ifreq);
    for (size_t i = 0; address && i < count; i++) {
        format_to_guest(format, word, memory, array + i * sizeof(struct ifreq), element);
        if (memory_write(memory, address + i * step, element, format_size(format, word))) {
            return -EFAULT;
        }
    }
    uint32_t length = (uint32_t)(count * step);
    return result < 0 ? result : memory_write(memory, call->argument, &length, sizeof length) ? -EFAULT : result;
}

/* Families whose numbers say how long a struct is that is the same everywhere: of input devices, which alone are told
 * by their type to have no words in them. */
static bool is_family(uint32_t request)
{
    enum { EFFECT = 0x80 }; /* EVIOCSFF: a struct with an address */
    return _IOC_TYPE(request) == 'E' && _IOC_NR(request) != EFFECT && _IOC_SIZE(request);
}

int64_t sys_ioctl(Task *task, const uint64_t *a)
{
    IoctlCall call = { .task = task, .fd = a[0], .argument = a[2], .request = (uint32_t)a[1] };

    if (guest_is_like_host(task)) {
        bool is_foreign = a[2] >= task_memory(task)->limit && a[2] <= INT64_MAX;
        return is_foreign ? -EFAULT : make_call(&call, a[2]);
    }
    const IoctlRow *row = find_row(call.request, task_abi(task)->word_size);
    if (row) {
        call.request = row->request;
        return row->function            ? row->function(&call)
               : row->kind == KIND_NONE ? make_call(&call, a[2])
                                        : by_format(&call, row);
    }
    if (is_family(call.request)) {
        return ioctl_pointer(&call);
    }
    log_unimplemented(task->process->log, "ioctl 0x%" PRIx32 " has no row\n", call.request);
    return -ENOTTY;
}

const char *ioctl_name(const Task *task, uint32_t request)
{
    const IoctlRow *row = find_row(request, task_abi(task)->word_size);
    return row ? row->name : NULL;
}

bool ioctl_print(Task *task, uint32_t request, uint64_t address, bool returns, StrBuf *text)
{
    unsigned word = task_abi(task)->word_size;
    const IoctlRow *row = find_row(request, word);
    uint8_t guest[STRUCT_MAXIMUM];

    if (!row || !*row->format || row->kind == (returns ? KIND_IN : KIND_OUT) ||
        memory_read(task_memory(task), guest, address, format_size(row->format, word))) {
        return false;
    }
    format_print(row->format, word, guest, text);
    return true;
}

bool ioctl_row(size_t index, IoctlDescription *description)
{
    if (index >= ARRAY_SIZE(rows)) {
        return false;
    }
    const IoctlRow *row = &rows[index];
    *description = (IoctlDescription){ .name = row->name, .request = row->request, .format = row->format,
                                       .declared = row->declared ? row->declared : row->format };
    return true;
}
