/*
 * System calls with hostile arguments: structs of all kinds, vectors, messages, requests of ioctl and options of
 * sockets, in memory that holds anything, for guests of both word sizes; -strace shows them. And the tables that
 * convert them, both ways and back.
 *
 * The first byte: the guest's word, whether -strace is on, how many calls follow. Each call has 20 bytes: its row, of
 * all that the guest has, then for each argument a kind and a number. The rest is what the guest's memory holds.
 *
 * Calls stop before the host's kernel, as if a signal came, but for those on descriptors of ours that harm nobody.
 * Those that end a process, make one, or set what the fuzzer itself needs are not made.
 */
#include "user_process.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "cpu/guest.h"
#include "guest/riscv/state.h"
#include "user/format.h"
#include "user/ioctl.h"
#include "user/siginfo.h"
#include "user/syscall.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CALL_SIZE = 20, CALLS_MAXIMUM = 8, STRACE = 2, A0 = 10, A7 = 17,
    MEMORY = 0x10000, MEMORY_SIZE = 0x2000, READ_ONLY = 0x14000, /* between them nothing */
    FIRST_FD = 200, FD_COUNT = 7,
};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* -- tables ------------------------------------------------------------------------------------------------------- */

/* What comes out the second time is what came out the first time. */
static void check_layout(const Layout *layout, const uint8_t *data, size_t size)
{
    uint8_t *guest = mem_alloc0(layout->guest_size + 1), *again = mem_alloc0(layout->guest_size + 1);
    uint8_t *host = mem_alloc0(layout->host_size + 1);

    memcpy(guest, data, MIN(size, layout->guest_size));
    layout_to_host(layout, guest, host);
    layout_to_guest(layout, host, guest);
    layout_to_host(layout, guest, host);
    layout_to_guest(layout, host, again);
    must(!memcmp(guest, again, layout->guest_size), "a struct comes back as it went");
    free(guest);
    free(again);
    free(host);
}

static void check_format(const Process *process, const char *format, const uint8_t *data, size_t size)
{
    unsigned word = process->abi->word_size;
    size_t guest_size = format_size(format, word), host_size = format_size(format, 8);
    uint8_t *guest = mem_alloc0(guest_size + 1), *again = mem_alloc0(guest_size + 1), *host = mem_alloc0(host_size + 1);

    memcpy(guest, data, MIN(size, guest_size));
    if (format_to_host(format, word, process->memory, guest, host)) {
        format_to_guest(format, word, process->memory, host, guest);
        must(format_to_host(format, word, process->memory, guest, host), "an address of the guest stays one");
        format_to_guest(format, word, process->memory, host, again);
        must(!memcmp(guest, again, guest_size), "a struct comes back as it went");
    }
    free(guest);
    free(again);
    free(host);
}

static void check_info(const Process *process, const uint8_t *data, size_t size)
{
    uint8_t guest[SIGINFO_SIZE] = { 0 }, again[SIGINFO_SIZE];
    siginfo_t info;

    memcpy(guest, data, MIN(size, sizeof guest));
    siginfo_to_host(process->abi->word_size, guest, &info);
    siginfo_to_guest(process->abi->word_size, &info, guest);
    siginfo_to_host(process->abi->word_size, guest, &info);
    siginfo_to_guest(process->abi->word_size, &info, again);
    must(!memcmp(guest, again, sizeof guest), "what comes with a signal comes back as it went");
}

/* All layouts; of the requests of ioctl some, by the size. */
static void check_tables(const Process *process, const uint8_t *data, size_t size)
{
    enum { STEP = 16 };
    IoctlDescription row;

    for (unsigned id = 0; id < LAYOUT_COUNT; id++) {
        if (process->abi->layouts[id].guest_size) {
            check_layout(&process->abi->layouts[id], data, size);
        }
    }
    for (size_t i = size % STEP; ioctl_row(i, &row); i += STEP) {
        check_format(process, row.format, data, size);
    }
    check_info(process, data, size);
}

/* -- calls -------------------------------------------------------------------------------------------------------- */

static bool is_one_of(const Syscall *row, const SyscallId *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (row == &syscall_table[ids[i]]) {
            return true;
        }
    }
    return false;
}

static bool is_left_out(const Syscall *row)
{
    static const SyscallId ids[] = {
        SYSCALL_exit, SYSCALL_exit_group, SYSCALL_clone, SYSCALL_clone3, SYSCALL_rt_sigaction, SYSCALL_rt_sigprocmask,
        SYSCALL_rt_sigsuspend, SYSCALL_rt_sigreturn, SYSCALL_mmap, SYSCALL_shmat, SYSCALL_set_robust_list,
        SYSCALL_openat, /* of what /proc/self has of the guest: a file each time */
    };
    return is_one_of(row, ids, ARRAY_SIZE(ids));
}

/* Those that the host's kernel gets: they do not wait, as descriptors are set so. */
static bool is_made(const Syscall *row)
{
    static const SyscallId ids[] = {
        SYSCALL_sendmsg, SYSCALL_recvmsg, SYSCALL_sendmmsg, SYSCALL_recvmmsg, SYSCALL_sendto, SYSCALL_recvfrom,
        SYSCALL_setsockopt, SYSCALL_getsockopt, SYSCALL_getsockname, SYSCALL_getpeername, SYSCALL_fstat,
        SYSCALL_statfs64, SYSCALL_fstatfs64, SYSCALL_timerfd_settime, SYSCALL_timerfd_gettime, SYSCALL_clock_gettime,
        SYSCALL_clock_getres, SYSCALL_getrusage, SYSCALL_times, SYSCALL_sysinfo, SYSCALL_uname, SYSCALL_getitimer,
        SYSCALL_sched_getparam, SYSCALL_epoll_ctl, SYSCALL_getrlimit, SYSCALL_gettimeofday, SYSCALL_getgroups,
        SYSCALL_get_mempolicy, SYSCALL_sched_getaffinity, SYSCALL_capget,
    };
    return is_one_of(row, ids, ARRAY_SIZE(ids));
}

/* Descriptors of all kinds that structs go through. */
static void open_files(void)
{
    int ends[2];
    const int files[FD_COUNT - 2] = { epoll_create1(0), timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK),
                                      memfd_create("file", 0), posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK),
                                      socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) };

    must(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), "sockets");
    for (int i = 0; i < FD_COUNT; i++) {
        must(dup2(i < 2 ? ends[i] : files[i - 2], FIRST_FD + i) >= 0, "descriptors");
    }
}

static uint64_t make_argument(const Process *process, const uint8_t *data)
{
    uint64_t value = load_le16(data + 1);

    switch (data[0] & 7) {
    case 0:
        return value;
    case 1:
        return MEMORY + value % MEMORY_SIZE;
    case 2:
        return MEMORY + MEMORY_SIZE - value % 64;
    case 3:
        return READ_ONLY + value % GUEST_PAGE_SIZE;
    case 4:
        return process->memory->limit - value % 64;
    case 5:
        return -value;
    case 6:
        return value << (data[0] >> 3);
    default:
        return FIRST_FD + value % FD_COUNT;
    }
}

static void make_call(Process *process, Task *task, const uint8_t *data)
{
    const SyscallNumber *number = &process->abi->syscalls[load_le16(data) % process->abi->syscall_count];
    const Syscall *row = &syscall_table[number->row];
    RiscvState *state = cpu_state(task->cpu);
    uint64_t mask = process->abi->word_size == 8 ? UINT64_MAX : UINT32_MAX;

    if (is_left_out(row)) {
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        state->x[A0 + i] = make_argument(process, data + 2 + 3 * i) & mask;
    }
    state->x[A7] = number->number;
    atomic_store(&task->pending, !is_made(row));
    task->restarting = false;
    syscall_run(task);
    must(!task->exec, "nothing is left of an execve");
}

static void fill_memory(Process *process, const uint8_t *data, size_t size)
{
    enum { PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED };
    GuestMemory *memory = process->memory;

    memory_map(memory, MEMORY, MEMORY_SIZE, PROT_READ | PROT_WRITE, PRIVATE, -1, 0);
    memory_map(memory, READ_ONLY, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE, PRIVATE, -1, 0);
    memory_write(memory, MEMORY, data, MIN(size, MEMORY_SIZE));
    memory_write(memory, READ_ONLY, data, MIN(size, GUEST_PAGE_SIZE));
    memory_protect(memory, READ_ONLY, GUEST_PAGE_SIZE, PROT_READ);
}

/* Whatever a frame of a signal holds. */
static void pop_frame(Process *process, Task *task)
{
    SignalFrame frame = { 0 };
    RiscvState *state = cpu_state(task->cpu);

    state->x[2] = MEMORY;
    must(process->abi->pop_frame(task, &frame), "a frame that is there can be read");
}

/* A process for each guest, made once. */
static Process *find_process(unsigned index)
{
    static Process *processes[2];

    if (!processes[0]) {
        user_process_prepare();
        open_files();
        for (unsigned i = 0; i < 2; i++) {
            processes[i] = user_process_new(user_abis[i]);
            must(log_set_file(processes[i]->log, "/dev/null", NULL), "a log");
        }
    }
    return processes[index];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) {
        return 0;
    }
    Process *process = find_process(data[0] & 1);
    Task *task = list_item(process->tasks.next, Task, link);
    size_t count = MIN(data[0] >> 4 & (CALLS_MAXIMUM - 1), (size - 1) / CALL_SIZE);
    const uint8_t *memory = data + 1 + count * CALL_SIZE;
    size_t memory_size = size - 1 - count * CALL_SIZE;

    task_set_current(task);
    log_set_items(process->log, data[0] & STRACE ? "strace" : "none", NULL);
    check_tables(process, memory, memory_size);
    fill_memory(process, memory, memory_size);
    for (size_t i = 0; i < count; i++) {
        make_call(process, task, data + 1 + i * CALL_SIZE);
    }
    fill_memory(process, memory, memory_size);
    pop_frame(process, task);
    user_process_clear(process);
    return 0;
}
