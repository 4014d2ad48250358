/*
 * ioctl. A program whose words and addresses are the host's gets the host's as it is, but for the one struct that
 * differs still. For others a row of ioctls.def says what the argument is; a number that holds the size of a struct is
 * another one where the struct is. What has no row is passed on where it is of a family whose structs are the same
 * everywhere, or all that differs is where the guest's memory lies and the number tells of a struct; else it gets
 * ENOTTY.
 */
#include "user/ioctl.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "user/format.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/auto_fs.h>
#include <linux/blkpg.h>
#include <linux/blktrace_api.h>
#include <linux/blkzoned.h>
#include <linux/btrfs.h>
#include <linux/cdrom.h>
#include <linux/dm-ioctl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/fb.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/fsmap.h>
#include <linux/fsverity.h>
#include <linux/fuse.h>
#include <linux/hdreg.h>
#include <linux/hidraw.h>
#include <linux/i2c-dev.h>
#include <linux/if_bonding.h>
#include <linux/if_tunnel.h>
#include <linux/if_tun.h>
#include <linux/input.h>
#include <linux/kd.h>
#include <linux/loop.h>
#include <linux/msdos_fs.h>
#include <linux/nbd.h>
#include <linux/nsfs.h>
#include <linux/nvme_ioctl.h>
#include <linux/ppp-ioctl.h>
#include <linux/pps.h>
#include <linux/pr.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <linux/serial.h>
#include <linux/sockios.h>
#include <linux/soundcard.h>
#include <linux/udmabuf.h>
#include <linux/uinput.h>
#include <linux/usbdevice_fs.h>
#include <linux/vhost.h>
#include <linux/videodev2.h>
#include <linux/vt.h>
#include <linux/watchdog.h>
#include <linux/wireless.h>
#include <mtd/mtd-user.h>
#include <scsi/scsi.h>
#include <scsi/sg.h>
#include <sound/asound.h>
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
#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif
#ifndef INOTIFY_IOC_SETNEXTWD
#define INOTIFY_IOC_SETNEXTWD _IOW('I', 0, int32_t)
#endif
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

static IoctlFunction ioctl_pointer, ioctl_interfaces, ioctl_loop_status;

typedef enum IoctlFunctionId { BY_none, BY_pointer, BY_interfaces, BY_loop_status } IoctlFunctionId;
static IoctlFunction *const functions[] = {
    [BY_pointer] = ioctl_pointer,
    [BY_interfaces] = ioctl_interfaces,
    [BY_loop_status] = ioctl_loop_status,
};

/* Without pointers: nothing of it is relocated, or touched, when a program starts. */
typedef struct IoctlRow {
    char name[40], format[40];
    char declared[28]; /* empty: the format, where the number holds a size */
    uint32_t request;
    uint8_t kind, function; /* IoctlKind, IoctlFunctionId */
} IoctlRow;

static const IoctlRow rows[] = {
#define IOCTL(name_, kind_, format_) { #name_, format_, "", (uint32_t)(name_), KIND_##kind_, BY_none },
#define IOCTL_AS(name_, declared_, kind_, format_) \
    { #name_, format_, declared_, (uint32_t)(name_), KIND_##kind_, BY_none },
#define IOCTL_BY(name_, function_) { #name_, "", "", (uint32_t)(name_), KIND_NONE, BY_##function_ },
#define IOCTL_FAMILY(type_, first_, last_)
#define IOCTL_REFUSED(type_)
#include "user/ioctls.def"
#undef IOCTL
#undef IOCTL_AS
#undef IOCTL_BY
#undef IOCTL_FAMILY
#undef IOCTL_REFUSED
};

typedef struct IoctlFamily {
    uint8_t type, first, last;
    bool is_refused;
} IoctlFamily;

static const IoctlFamily families[] = {
#define IOCTL(...)
#define IOCTL_AS(...)
#define IOCTL_BY(...)
#define IOCTL_FAMILY(type_, first_, last_) { type_, first_, last_, false },
#define IOCTL_REFUSED(type_) { type_, 0, 0xff, true },
#include "user/ioctls.def"
};

/* The request as the guest makes it. */
static uint32_t guest_request(const IoctlRow *row, unsigned word)
{
    const char *declared = *row->declared ? row->declared : row->format;
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

/* The argument is no good: of whatever else is wrong the host's kernel tells first. */
static int64_t make_bad_call(const IoctlCall *call)
{
    const uint64_t kernels = (uint64_t)-4096;
    int64_t result = make_call(call, kernels);

    return result < 0 ? result : -EFAULT;
}

/* A struct that is the same everywhere, and may be longer than its type. */
static int64_t ioctl_pointer(const IoctlCall *call)
{
    uint64_t host;

    return guest_pointer(call->task, call->argument, 1, &host) ? make_call(call, host) : make_bad_call(call);
}

static int64_t by_format(const IoctlCall *call, const IoctlRow *row)
{
    const GuestMemory *memory = task_memory(call->task);
    unsigned word = task_abi(call->task)->word_size;
    uint8_t guest[STRUCT_MAXIMUM], host[STRUCT_MAXIMUM] = { 0 };
    size_t size = format_size(row->format, word);

    if ((row->kind != KIND_OUT && memory_read(memory, guest, call->argument, size)) ||
        (row->kind != KIND_IN && !task_can_write(call->task, call->argument, size)) ||
        (row->kind != KIND_OUT && !format_to_host(row->format, word, memory, guest, host))) {
        return make_bad_call(call);
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

/* struct loop_info, where numbers of devices have 32 bits: of x86-64 alone they have a word. */
static int64_t ioctl_loop_status(const IoctlCall *call)
{
    static const char *const format = "I i l i 4I 64b 32b 2l 4b";
    const GuestMemory *memory = task_memory(call->task);
    unsigned word = task_abi(call->task)->word_size;
    size_t size = format_size(format, word);
    uint8_t guest[sizeof(struct loop_info)];
    struct {
        int number;
        unsigned device;
        unsigned long inode;
        unsigned real_device;
        int rest[4];
        char texts[LO_NAME_SIZE + LO_KEY_SIZE];
        unsigned long initial[2];
        char reserved[4];
    } generic;
    struct loop_info host = { 0 };

    if (memory_read(memory, guest, call->argument, size) || !task_can_write(call->task, call->argument, size)) {
        return make_bad_call(call);
    }
    format_to_host(format, word, memory, guest, &generic);
    host.lo_number = generic.number;
    memcpy(&host.lo_offset, generic.rest, sizeof generic.rest);
    memcpy(host.lo_name, generic.texts, sizeof generic.texts);
    memcpy(host.lo_init, generic.initial, sizeof generic.initial);
    int64_t result = make_call(call, (uintptr_t)&host);
    if (result < 0 || call->request != LOOP_GET_STATUS) {
        return result;
    }
    generic.number = host.lo_number;
    generic.device = (unsigned)host.lo_device;
    generic.inode = host.lo_inode;
    generic.real_device = (unsigned)host.lo_rdevice;
    memcpy(generic.rest, &host.lo_offset, sizeof generic.rest);
    memcpy(generic.texts, host.lo_name, sizeof generic.texts);
    memcpy(generic.initial, host.lo_init, sizeof generic.initial);
    format_to_guest(format, word, memory, &generic, guest);
    return memory_write(memory, call->argument, guest, size) ? -EFAULT : result;
}

static const IoctlFamily *find_family(uint32_t request)
{
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        const IoctlFamily *family = &families[i];
        if (_IOC_TYPE(request) == family->type && _IOC_NR(request) >= family->first &&
            _IOC_NR(request) <= family->last) {
            return family;
        }
    }
    return NULL;
}

/* What no row says: by what the number says. */
static int64_t without_row(const IoctlCall *call, const IoctlFamily *family)
{
    bool has_struct = _IOC_DIR(call->request) != _IOC_NONE && _IOC_SIZE(call->request);

    if (family ? has_struct : has_struct && task_abi(call->task)->word_size == HOST_WORD) {
        return ioctl_pointer(call);
    }
    if (family) {
        return make_call(call, call->argument);
    }
    log_unimplemented(call->task->process->log, "ioctl 0x%" PRIx32 " has no row\n", call->request);
    return -ENOTTY;
}

int64_t sys_ioctl(Task *task, const uint64_t *a)
{
    IoctlCall call = { .task = task, .fd = a[0], .argument = a[2], .request = (uint32_t)a[1] };

    const IoctlFamily *family = find_family(call.request);
    if (family && family->is_refused) {
        return -ENOTTY;
    }
    bool differs = call.request == LOOP_SET_STATUS || call.request == LOOP_GET_STATUS;
    if (guest_is_like_host(task) && !differs) {
        bool is_foreign = a[2] >= task_memory(task)->limit && a[2] <= INT64_MAX;
        return is_foreign ? -EFAULT : make_call(&call, a[2]);
    }
    const IoctlRow *row = find_row(call.request, task_abi(task)->word_size);
    if (row) {
        call.request = row->request;
        return row->function            ? functions[row->function](&call)
               : row->kind == KIND_NONE ? make_call(&call, a[2])
                                        : by_format(&call, row);
    }
    return without_row(&call, family);
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
                                       .declared = *row->declared ? row->declared : row->format };
    return true;
}
