/*
 * myna-user: runs a Linux program of another processor. Which processor is read off the program, or off the name that
 * we are called by (qemu-riscv64, myna-riscv32).
 *
 * Not here yet: -R for 64-bit guests beside a base.
 */
#include "user/main.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cpu/guest.h"
#include "jit/host.h"
#include "user/binfmt.h"
#include "user/debug.h"
#include "user/elf.h"
#include "user/host/host.h"
#include "user/options.h"
#include "user/path.h"
#include "user/proc.h"
#include "user/signal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ELF_CLASS = 4, ELF_MACHINE = 18, OWN_LOWEST = 200, OWN_HIGHEST = 4096, OWN_FILES = 2, EXIT_BAD = 1 };

static const UserAbi *abi_by_name(const char *name)
{
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;

    for (size_t i = 0; user_abis[i]; i++) {
        if (text_ends_with(base, user_abis[i]->target)) {
            return user_abis[i];
        }
    }
    return NULL;
}

static const UserAbi *abi_by_file(int fd)
{
    uint8_t header[20] = { 0 };

    if (pread(fd, header, sizeof header, 0) != sizeof header || memcmp(header, "\177ELF", 4)) {
        return NULL;
    }
    for (size_t i = 0; user_abis[i]; i++) {
        if (header[ELF_CLASS] == user_abis[i]->guest->elf_class &&
            (header[ELF_MACHINE] | header[ELF_MACHINE + 1] << 8) == user_abis[i]->elf_machine) {
            return user_abis[i];
        }
    }
    return NULL;
}

static bool choose_cpu(Process *process, Error **error)
{
    const Guest *guest = process->abi->guest;
    const char *text = process->options->cpu ? process->options->cpu : guest->default_model;

    process->cpu_config = user_cpu_config(guest, text, error);
    return process->cpu_config;
}

/* -cpu help: of the guest that we are called by, or of all. */
static void print_models(const char *name)
{
    const UserAbi *abi = abi_by_name(name);

    for (size_t i = 0; user_abis[i]; i++) {
        if (!abi || abi == user_abis[i]) {
            user_cpu_help(user_abis[i]->guest);
        }
    }
}

static bool map_vdso(Process *process, Error **error)
{
    const UserAbi *abi = process->abi;
    int64_t place = memory_map(process->memory, 0, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (place < 0 || memory_write(process->memory, (uint64_t)place, abi->vdso, abi->vdso_size) ||
        memory_protect(process->memory, (uint64_t)place, GUEST_PAGE_SIZE, PROT_READ | PROT_EXEC) < 0) {
        return error_set(error, "there is no room for the vDSO");
    }
    process->program.vdso = (uint64_t)place;
    memory_mark(process->memory, (uint64_t)place, GUEST_PAGE_SIZE, MEMORY_VDSO);
    return true;
}

static bool make_memory(Process *process, Error **error)
{
    enum { MAP_GAP = 128 << 20 }; /* below the stack, for it to grow */
    const UserOptions *options = process->options;
    const UserAbi *abi = process->abi;

    if (options->reserved && options->reserved < abi->address_limit) {
        return error_set(error, "-R: %s needs 0x%llx bytes", abi->target, (unsigned long long)abi->address_limit);
    }
    process->memory = memory_new(options->guest_base, abi->address_limit, options->reserved, error);
    if (!process->memory) {
        return false;
    }
    process->memory->map_top = abi->stack_top - MAP_GAP;
    process->memory->group = process->group;
    return true;
}

/* Translated code reaches the guest's memory directly. */
static void choose_engine(Process *process)
{
    const CpuEngine engine = {
        .host = process->options->interpret ? NULL : code_host_native(),
        .code_bytes = process->options->code_bytes,
        .block_insns = process->options->one_insn ? 1 : 0,
        .perf_map = process->options->perf_map,
        .jit_dump = process->options->jit_dump,
        .gdb = process->options->gdb_jit,
        .code_flags = CODE_DIRECT | (process->memory->base ? CODE_BASE : 0),
    };
    cpu_group_set_engine(process->group, &engine);
}

/* Everything but the program: it may be loaded then. */
static bool process_init(Process *process, Error **error)
{
    process->group = cpu_group_new();
    process->signals = NEW(SignalActions);
    mutex_init(&process->signals->lock);
    mutex_init(&process->lock);
    list_init(&process->tasks);
    process->slots = slots_new();
    if (!choose_cpu(process, error) || !make_memory(process, error) || !map_vdso(process, error)) {
        return false;
    }
    choose_engine(process);
    return true;
}

/* Whether the file begins as this program does: without /proc the name that it was executed by may be the guest's. */
static bool is_ours(int fd)
{
    extern const uint8_t __ehdr_start[] __attribute__((visibility("hidden")));
    uint8_t header[sizeof(Elf64_Ehdr)];

    return pread(fd, header, sizeof header, 0) == sizeof header && !memcmp(header, __ehdr_start, sizeof header);
}

/* Beyond what the program may open, where its limit lets us and the table of files stays small. */
static int move_beyond(int fd)
{
    struct rlimit limit;
    int high = -1;

    if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < MIN(limit.rlim_max, OWN_HIGHEST)) {
        struct rlimit more = { MIN(limit.rlim_cur + OWN_FILES, limit.rlim_max), limit.rlim_max };
        setrlimit(RLIMIT_NOFILE, &more);
        high = fcntl(fd, F_DUPFD_CLOEXEC, (int)limit.rlim_cur);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return high >= 0 ? high : fcntl(fd, F_DUPFD_CLOEXEC, OWN_LOWEST);
}

/* The emulator's own file, so that execve finds it whatever the guest does to names; out of the guest's way. -1: it
 * cannot be found, and binfmt_misc has to. */
static int open_self(const UserOptions *options)
{
    if (options->self_fd) {
        return fcntl(options->self_fd, F_SETFD, FD_CLOEXEC) ? -1 : options->self_fd;
    }
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) { /* no /proc */
        fd = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && !is_ours(fd)) {
            close(fd);
            return -1;
        }
    }
    int high = fd < 0 ? -1 : move_beyond(fd);

    if (high >= 0) {
        close(fd);
        return high;
    }
    return fd;
}

static Task *start_program(Process *process, int fd, const char *path, char **arguments, char **environment,
                           Error **error)
{
    Task *task = task_new(process, error);
    char resolved[PATH_MAX];
    uint64_t start, stack;

    if (!task) {
        return NULL;
    }
    process->program.path = string_copy(realpath(path, resolved) ? resolved : path);
    if (!elf_load(process, fd, path, &start, error) ||
        !(stack = stack_make(process, task->cpu, arguments, environment, path, error))) {
        task_free(task);
        return NULL;
    }
    task->tid = (int)syscall(SYS_gettid);
    user_set_mask(SIG_BLOCK, NULL, &task->mask);
    list_append(&process->tasks, &task->link);
    process->abi->start(task->cpu, start, stack);
    proc_show_program(process);
    return task;
}

/* What binfmt_misc hands over beside the program's name: the flags O and C its open file, P its own argv[0]. */
static void take_binfmt(UserOptions *options, UserCommand *command)
{
    enum { PRESERVE_ARGV0 = 1 };

    command->program = command->arguments[0];
    if (!options->program_fd && getauxval(AT_EXECFD)) {
        options->program_fd = (int)getauxval(AT_EXECFD);
        fcntl(options->program_fd, F_SETFD, FD_CLOEXEC);
    }
    if (getauxval(AT_FLAGS) & PRESERVE_ARGV0 && command->arguments[1]) {
        command->arguments++;
    }
}

int user_main(int argc, char **argv, char **environment)
{
    AUTO_ERROR(error);
    UserOptions options = { 0 };
    Process process = { .options = &options, .log = log_new(), .self = -1, .image = -1 };
    UserCommand command = { .environment = environment };
    int status;

    if (binfmt_command(argc, argv, &status)) {
        return status;
    }
    if (!user_options_parse(&options, &command, argc, argv, &status, &error)) {
        if (options.cpu_help) {
            print_models(argv[0]);
        }
        return error ? (fprintf(stderr, "%s: %s\n", argv[0], error_message(error)), status) : status;
    }
    take_binfmt(&options, &command);
    const char *path = command.program;
    process.root = options.prefix ? realpath(options.prefix, NULL) : NULL;
    if (process.root && !process.root[1]) {
        process.root = NULL; /* the host's own */
    }
    int fd = options.program_fd ? options.program_fd : elf_open(path);
    if (fd < 0) {
        fprintf(stderr, "%s: %s: %s\n", argv[0], path, strerror(-fd));
        return EXIT_BAD;
    }
    process.abi = abi_by_name(argv[0]);
    process.abi = process.abi ? process.abi : abi_by_file(fd);
    if (!process.abi) {
        fprintf(stderr, "%s: %s: not a program of any processor known here\n", argv[0], path);
        return EXIT_BAD;
    }
    if (options.argv0) {
        command.arguments[0] = (char *)options.argv0;
    }
    Task *task = NULL;
    signals_catch_faults();
    if (user_options_log(&options, process.log, &error) && process_init(&process, &error)) {
        task = start_program(&process, fd, path, command.arguments, command.environment, &error);
    }
    if (!task) {
        fprintf(stderr, "%s: %s\n%s", argv[0], error_message(error), error_hint(error));
        return EXIT_BAD;
    }
    process.image = move_beyond(fd);
    close(fd);
    process.self = open_self(&options);
    task_set_current(task);
    proc_log_layout(task, "binary load");
    if (options.debug_fd ? !debug_start_again(&process, options.debug_fd, &error)
                         : options.debugger && !debug_start(&process, options.debugger, options.prefix, &error)) {
        fprintf(stderr, "%s: %s\n", argv[0], error_message(error));
        return EXIT_BAD;
    }
    signals_start(&process);
    task_main(task);
}
