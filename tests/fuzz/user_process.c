#include "user_process.h"

#include "base/error.h"
#include "base/log.h"
#include "cpu/guest.h"
#include "user/host/host.h"
#include "user/main.h"
#include "user/options.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What was there before, by number: for faults that are bugs. */
static struct sigaction before[SIGNALS + 1];

static void handle_fault(int number, siginfo_t *info, void *context)
{
    if (!user_fix_copy(context)) {
        sigaction(number, &before[number], NULL); /* it comes again */
    }
}

void user_process_prepare(void)
{
    const struct sigaction action = { .sa_sigaction = handle_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { 0 };

    sigaction(SIGSEGV, &action, &before[SIGSEGV]);
    sigaction(SIGBUS, &action, &before[SIGBUS]);
    if (syscall(SYS_capset, &header, none)) {
        abort();
    }
}

Process *user_process_new(const UserAbi *abi)
{
    UserOptions *options = NEW(UserOptions);
    Process *process = NEW(Process);
    Error *error = NULL;

    process->abi = abi;
    process->options = options;
    process->log = log_new();
    process->self = -1;
    process->image = -1;
    process->group = cpu_group_new();
    process->signals = NEW(SignalActions);
    process->cpu_config = user_cpu_config(abi->guest, abi->guest->default_model, &error);
    process->memory = memory_new(0, abi->address_limit, abi->address_limit, &error);
    process->program.path = string_copy("/program");
    mutex_init(&process->signals->lock);
    mutex_init(&process->lock);
    list_init(&process->tasks);
    if (!process->memory || !process->cpu_config || !user_options_log(options, process->log, &error)) {
        abort();
    }
    process->memory->map_top = abi->stack_top - (128 << 20);
    Task *task = task_new(process, &error);
    if (!task) {
        abort();
    }
    task->tid = (int)syscall(SYS_gettid);
    list_append(&process->tasks, &task->link);
    return process;
}

void user_process_clear(Process *process)
{
    memory_unmap(process->memory, 0, process->memory->limit);
    process->memory->brk_start = process->memory->brk_end = 0;
}
