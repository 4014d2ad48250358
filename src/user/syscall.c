/*
 * From an instruction of the guest to a call of the host and back: arguments are gathered from registers by the kinds
 * of their row; a row without a function is forwarded with its pointers and structs converted.
 */
#include "user/syscall.h"

#include "base/log.h"
#include "trace/user.h"
#include "user/debug.h"
#include "user/host/host.h"
#include "user/options.h"
#include "user/path.h"
#include "user/siginfo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/uio.h>

enum { VECTOR_INLINE = 16 };

int64_t host_call(Task *task, long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    const uint64_t arguments[6] = { a, b, c, d, e, f };
    return user_syscall(&task->pending, number, arguments);
}

bool guest_pointer(const Task *task, uint64_t address, uint64_t size, uint64_t *host)
{
    const GuestMemory *memory = task_memory(task);

    if (!address) {
        *host = 0;
        return true;
    }
    *host = (uintptr_t)memory_host(memory, address);
    return memory_contains(memory, address, size);
}

uint64_t guest_pointer_or_bad(const Task *task, uint64_t address, uint64_t size)
{
    uint64_t host;
    return guest_pointer(task, address, size, &host) ? host : BAD_POINTER;
}

uint64_t task_writable(Task *task, uint64_t address, uint64_t size)
{
    MemoryRange range;
    uint64_t at = address;

    while (at - address < size && memory_lookup(task_memory(task), at, &range) && range.protection & PROT_WRITE) {
        at = range.end;
    }
    return MIN(at - address, size);
}

bool task_can_write(Task *task, uint64_t address, uint64_t size)
{
    return task_writable(task, address, size) == size;
}

int task_read(Task *task, LayoutId id, uint64_t address, void *host)
{
    const Layout *layout = &task_abi(task)->layouts[id];
    uint8_t bytes[LAYOUT_MAXIMUM];

    if (layout_is_same(layout)) {
        return memory_read(task_memory(task), host, address, layout->host_size);
    }
    if (memory_read(task_memory(task), bytes, address, layout->guest_size)) {
        return -EFAULT;
    }
    layout_to_host(layout, bytes, host);
    return 0;
}

int task_write(Task *task, LayoutId id, uint64_t address, const void *host)
{
    const Layout *layout = &task_abi(task)->layouts[id];
    uint8_t bytes[LAYOUT_MAXIMUM];

    layout_to_guest(layout, host, bytes);
    return memory_write(task_memory(task), address, bytes, layout->guest_size);
}

/* -- forwarding -------------------------------------------------------------------------------------------------- */

/* Where an argument lies while the host works on it. */
typedef union Storage {
    uint8_t bytes[LAYOUT_MAXIMUM];
    struct iovec vector[VECTOR_INLINE];
} Storage;

typedef struct Forward {
    Task *task;
    const Syscall *row;
    const uint64_t *arguments;
    uint64_t host[SYSCALL_ARGUMENTS];
    Storage storage[SYSCALL_ARGUMENTS];
    struct iovec *vectors; /* a long one */
    PathBuffer path;       /* no call that is forwarded has two */
} Forward;

/* The host's kernel says what is wrong with a bad pointer, in its order of errors. */
static int forward_pointer(Forward *f, unsigned i, uint64_t size)
{
    f->host[i] = guest_pointer_or_bad(f->task, f->arguments[i], size);
    return 0;
}

/* Address 0 is no NULL here. What ends before it begins the kernel refuses, or finds empty, without looking at
 * memory. */
static int forward_area(Forward *f, unsigned i)
{
    const GuestMemory *memory = task_memory(f->task);
    uint64_t address = f->arguments[i], size = f->arguments[f->row->arguments[i].detail];

    if (memory_contains(memory, address, size)) {
        f->host[i] = (uintptr_t)memory_host(memory, address);
        return 0;
    }
    f->host[i] = task_abi(f->task)->word_size == 8 ? address : (uint64_t)(int32_t)address;
    bool empty = f->host[i] + align_up(size + (address & (GUEST_PAGE_SIZE - 1)), GUEST_PAGE_SIZE) <= f->host[i];
    return empty ? 0 : -ENOMEM;
}

static int forward_struct(Forward *f, unsigned i)
{
    const Argument *argument = &f->row->arguments[i];
    const Layout *layout = &task_abi(f->task)->layouts[argument->detail];

    if (!layout->guest_size) {
        return -ENOSYS; /* this guest has no such struct */
    }
    if (layout_is_same(layout) || !f->arguments[i]) {
        return forward_pointer(f, i, layout->host_size);
    }
    bool good = argument->kind == ARGUMENT_OUT ||
                !task_read(f->task, (LayoutId)argument->detail, f->arguments[i], f->storage[i].bytes);
    f->host[i] = good ? (uintptr_t)f->storage[i].bytes : BAD_POINTER;
    return 0;
}

/* Each element is checked: none may lie outside of the guest's space. */
int64_t task_vector(Task *task, uint64_t address, uint64_t count, struct iovec *vector)
{
    unsigned size = task_abi(task)->word_size;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t base, length, host;
        if (memory_read_word(task_memory(task), address + 2 * i * size, size, &base) ||
            memory_read_word(task_memory(task), address + (2 * i + 1) * size, size, &length)) {
            return -EFAULT;
        }
        if (length >> (8 * size - 1)) { /* negative */
            return -EINVAL;
        }
        if (!guest_pointer(task, base, length, &host)) {
            return -EFAULT;
        }
        vector[i] = (struct iovec){ (void *)(uintptr_t)host, length };
    }
    return 0;
}

static int64_t forward_vector(Forward *f, unsigned i)
{
    uint64_t count = f->arguments[f->row->arguments[i].detail];
    struct iovec *vector = f->storage[i].vector;

    if ((int64_t)count < 0 || count > VECTOR_MAXIMUM) {
        return -EINVAL;
    }
    if (count > VECTOR_INLINE) {
        vector = f->vectors = mem_alloc_array(count, sizeof *vector);
    }
    int64_t result = task_vector(f->task, f->arguments[i], count, vector);
    f->host[i] = result == -EFAULT ? BAD_POINTER : (uintptr_t)vector;
    return result == -EFAULT ? 0 : result;
}

bool guest_is_like_host(const Task *task)
{
    return task_abi(task)->word_size == 8 && !task_memory(task)->base;
}

static int forward_info(Forward *f, unsigned i)
{
    uint8_t bytes[SIGINFO_SIZE];

    if (task_abi(f->task)->word_size == 8 || !f->arguments[i]) {
        return forward_pointer(f, i, SIGINFO_SIZE);
    }
    f->host[i] = (uintptr_t)f->storage[i].bytes;
    if (f->row->arguments[i].kind == ARGUMENT_INFO_OUT) {
        return 0;
    }
    if (memory_read(task_memory(f->task), bytes, f->arguments[i], sizeof bytes)) {
        f->host[i] = BAD_POINTER;
        return 0;
    }
    siginfo_to_host(task_abi(f->task)->word_size, bytes, (siginfo_t *)f->storage[i].bytes);
    return 0;
}

/* Where a link that the path ends with is meant itself. */
static PathLink path_link(const Forward *f, unsigned path)
{
    const Argument *arguments = f->row->arguments;

    for (unsigned i = 0; i < SYSCALL_ARGUMENTS; i++) {
        bool flags = arguments[i].kind == ARGUMENT_FLAGS && arguments[i].detail == FLAGS_AT;
        if (flags && f->arguments[i] & AT_SYMLINK_NOFOLLOW) {
            return PATH_LINK;
        }
    }
    return (PathLink)arguments[path].detail;
}

static int path_folder(const Forward *f, unsigned path)
{
    return path && f->row->arguments[path - 1].kind == ARGUMENT_DIRFD ? (int)f->arguments[path - 1] : AT_FDCWD;
}

static int64_t forward_argument(Forward *f, unsigned i)
{
    const Argument *argument = &f->row->arguments[i];

    switch (argument->kind) {
    case ARGUMENT_PATH:
        return path_to_host(f->task, path_folder(f, i), f->arguments[i], path_link(f, i), &f->path, &f->host[i]);
    case ARGUMENT_STRING:
        return forward_pointer(f, i, 1);
    case ARGUMENT_AREA:
        return forward_area(f, i);
    case ARGUMENT_BYTES_IN:
    case ARGUMENT_BYTES_OUT:
        return forward_pointer(f, i, f->arguments[argument->detail]);
    case ARGUMENT_FIXED_IN:
    case ARGUMENT_FIXED_OUT:
        return forward_pointer(f, i, argument->detail);
    case ARGUMENT_SIGSET_IN:
        return forward_pointer(f, i, sizeof(uint64_t));
    case ARGUMENT_IN:
    case ARGUMENT_OUT:
    case ARGUMENT_INOUT:
        return forward_struct(f, i);
    case ARGUMENT_VECTOR_IN:
    case ARGUMENT_VECTOR_OUT:
        return forward_vector(f, i);
    case ARGUMENT_INFO_IN:
    case ARGUMENT_INFO_OUT:
        return forward_info(f, i);
    default:
        return 0;
    }
}

static int result_to_guest(Forward *f, unsigned i)
{
    const Argument *argument = &f->row->arguments[i];
    uint8_t bytes[SIGINFO_SIZE];

    switch (argument->kind) {
    case ARGUMENT_OUT:
    case ARGUMENT_INOUT:
        return task_write(f->task, (LayoutId)argument->detail, f->arguments[i], f->storage[i].bytes);
    case ARGUMENT_INFO_OUT:
        siginfo_to_guest(task_abi(f->task)->word_size, (const siginfo_t *)f->storage[i].bytes, bytes);
        return memory_write(task_memory(f->task), f->arguments[i], bytes, sizeof bytes);
    default:
        return 0;
    }
}

/* What the host wrote into our storage goes to the guest. */
static int forward_results(Forward *f)
{
    for (unsigned i = 0; i < SYSCALL_ARGUMENTS && f->row->arguments[i].kind != ARGUMENT_NONE; i++) {
        if (f->host[i] == (uintptr_t)f->storage[i].bytes && result_to_guest(f, i)) {
            return -EFAULT;
        }
    }
    return 0;
}

static uint64_t guest_size_of(const Forward *f, const Argument *argument)
{
    return argument->kind == ARGUMENT_INFO_OUT ? SIGINFO_SIZE : task_abi(f->task)->layouts[argument->detail].guest_size;
}

/* A buffer for what comes out must not be found missing when the call has been made: the kernel is to find that, where
 * it looks at nothing before it has done its work. */
static void check_results(Forward *f)
{
    for (unsigned i = 0; i < SYSCALL_ARGUMENTS && f->row->arguments[i].kind != ARGUMENT_NONE; i++) {
        const Argument *argument = &f->row->arguments[i];
        bool is_out = argument->kind == ARGUMENT_OUT || argument->kind == ARGUMENT_INOUT ||
                      argument->kind == ARGUMENT_INFO_OUT;
        bool out = is_out && f->host[i] == (uintptr_t)f->storage[i].bytes;
        if (out && !task_can_write(f->task, f->arguments[i], guest_size_of(f, argument))) {
            f->host[i] = argument->kind == ARGUMENT_INOUT ? BAD_POINTER
                                                          : guest_pointer_or_bad(f->task, f->arguments[i], 1);
        }
    }
}

int64_t syscall_forward(Task *task, const Syscall *row, const uint64_t *arguments)
{
    Forward f;
    int64_t result = 0;

    f.task = task;
    f.row = row;
    f.arguments = arguments;
    f.vectors = NULL;
    memcpy(f.host, arguments, sizeof f.host);
    for (unsigned i = 0; i < SYSCALL_ARGUMENTS && row->arguments[i].kind != ARGUMENT_NONE && !result; i++) {
        result = forward_argument(&f, i);
    }
    if (!result) {
        check_results(&f);
        result = user_syscall(&task->pending, row->host_number, f.host);
        if (result >= 0 && forward_results(&f)) {
            result = -EFAULT;
        }
    }
    free(f.vectors);
    return result;
}

/* -- dispatch ---------------------------------------------------------------------------------------------------- */

/* False: an argument is a file of the emulator's own. */
static bool gather_arguments(const Task *task, const Syscall *row, const uint64_t *words, uint64_t *arguments)
{
    bool narrow = task_abi(task)->word_size == 4, good = true;

    for (unsigned i = 0, word = 0; i < SYSCALL_ARGUMENTS; i++) {
        uint64_t value = word < SYSCALL_WORDS ? words[word] : 0;
        word++;
        switch (row->arguments[i].kind) {
        case ARGUMENT_FD:
        case ARGUMENT_DIRFD:
            value = (uint64_t)(int32_t)value;
            good &= !task_file_is_own(task, (int)value);
            break;
        case ARGUMENT_INT:
        case ARGUMENT_SIGNAL:
            value = (uint64_t)(int32_t)value;
            break;
        case ARGUMENT_UINT:
        case ARGUMENT_MODE:
        case ARGUMENT_FLAGS:
            value = (uint32_t)value;
            break;
        case ARGUMENT_LONG:
            value = narrow ? (uint64_t)(int32_t)value : value;
            break;
        case ARGUMENT_OFFSET:
            if (narrow) {
                value = (uint32_t)value | (word < SYSCALL_WORDS ? words[word] << 32 : 0);
                word++;
            }
            break;
        case ARGUMENT_HIGH:
            if (narrow) { /* the offset has it */
                value = 0;
                word--;
            }
            break;
        default:
            break;
        }
        arguments[i] = value;
    }
    return good;
}

void syscall_run(Task *task)
{
    const UserAbi *abi = task_abi(task);
    uint64_t number = abi->syscall_number(task->cpu), words[SYSCALL_WORDS], arguments[SYSCALL_ARGUMENTS];
    const Syscall *row = syscall_find(abi, number);
    int64_t result = -ENOSYS;

    abi->syscall_skip(task->cpu);
    if (!row) {
        log_unimplemented(task->process->log, "system call %" PRIu64 " does not exist\n", number);
        abi->syscall_done(task->cpu, result);
        return;
    }
    slots_enter_call(task, (unsigned)(row - syscall_table));
    abi->syscall_arguments(task->cpu, words);
    bool good = gather_arguments(task, row, words, arguments);
    bool traced = UNLIKELY(log_enabled(task->process->log, LOG_STRACE));
    if (traced) {
        strace_enter(task, row, arguments);
    }
    Trace *trace = task->process->log->trace;
    trace_guest_user_syscall(trace, task->cpu->index, number, arguments[0], arguments[1], arguments[2], arguments[3],
                             arguments[4], arguments[5]);
    debug_call(task, number, false);
    result = !good ? -EBADF : row->function ? row->function(task, arguments) : syscall_forward(task, row, arguments);
    debug_call(task, number, true);
    trace_guest_user_syscall_ret(trace, task->cpu->index, number, (uint64_t)result);
    if (traced) {
        strace_leave(task, row, arguments, result);
    }
    if (result == -USER_RESTART) {
        abi->syscall_restart(task->cpu);
        task->restarting = atomic_load(&task->pending) != PENDING_ANEW;
    } else if (result != SYSCALL_NO_RESULT) {
        abi->syscall_done(task->cpu, result);
    }
}
