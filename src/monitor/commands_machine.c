/* Commands about the machine as a whole: what it is, its state, its processors. */
#include "monitor/monitor_internal.h"

#include "base/error.h"
#include "base/vec.h"
#include "core/iothread.h"
#include "core/vcpu.h"
#include "monitor/help.h"
#include "schema/machine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool qmp_query_status(Monitor *monitor, StatusInfo *result, Error **error)
{
    result->status = monitor->control->machine->run_state;
    result->running = machine_is_running(monitor->control->machine);
    return true;
}

bool hmp_info_status(Monitor *monitor, StrBuf *output, Error **error)
{
    const Machine *machine = monitor->control->machine;
    bool running = machine_is_running(machine);
    strbuf_printf(output, "VM status: %s", running ? "running" : "paused");
    if (!running && machine->run_state != RUN_STATE_PAUSED) {
        strbuf_printf(output, " (%s)", run_state_name(machine->run_state));
    }
    strbuf_append(output, "\n");
    return true;
}

static int target_of(const Guest *guest) { return type_enum_value(&SysEmuTarget_type, guest->target, NULL); }

bool qmp_query_target(Monitor *monitor, TargetInfo *result, Error **error)
{
    result->arch = target_of(monitor->control->machine->guest);
    return true;
}

/* -- iothreads ------------------------------------------------------------------------------------------------- */

typedef VEC(IOThreadInfo) IoThreads;

static bool add_iothread(Object *object, void *context)
{
    if (object_is(object, &iothread_class)) {
        const IoThread *iothread = (IoThread *)object;
        const LoopPolling *polling = iothread_polling(iothread);
        IoThreads *list = context;
        vec_push(list, (IOThreadInfo){ .id = string_copy(object->name), .thread_id = iothread_thread_id(iothread),
                                       .poll_max_ns = polling->maximum_ns, .poll_grow = polling->grow,
                                       .poll_shrink = polling->shrink,
                                       .aio_max_batch = loop_batch(iothread_loop((IoThread *)object)) });
    }
    return true;
}

bool qmp_query_iothreads(Monitor *monitor, IOThreadInfoList *result, Error **error)
{
    IoThreads list = { 0 };
    object_each_child(object_container(monitor->control->machine->root, "objects"), add_iothread, &list);
    *result = (IOThreadInfoList){ list.items, list.count };
    return true;
}

bool hmp_info_iothreads(Monitor *monitor, StrBuf *output, Error **error)
{
    IOThreadInfoList list = { 0 };
    qmp_query_iothreads(monitor, &list, NULL);
    for (size_t i = 0; i < list.count; i++) {
        const IOThreadInfo *info = &list.items[i];
        strbuf_printf(output,
                      "%s:\n  thread_id=%" PRId64 "\n  poll-max-ns=%" PRId64 "\n  poll-grow=%" PRId64
                      "\n  poll-shrink=%" PRId64 "\n  aio-max-batch=%" PRId64 "\n",
                      info->id, info->thread_id, info->poll_max_ns, info->poll_grow, info->poll_shrink,
                      info->aio_max_batch);
    }
    type_clear(&IOThreadInfoList_type, &list);
    return true;
}

/* -- what there is ---------------------------------------------------------------------------------------------- */

static MachineInfo machine_info(const MachineClass *class, const Guest *guest)
{
    MachineInfo info = {
        .name = string_copy(class->name),
        .alias = string_copy(class->alias),
        .has_is_default = class->is_default,
        .is_default = class->is_default,
        .cpu_max = class->maximum_cpus,
        .default_ram_id = string_copy(class->default_ram_id),
    };
    const char *model = class->default_cpu ? class->default_cpu : guest->default_model;
    const VcpuClass *cpu = class->build && !class->no_cpus ? vcpu_class_find(guest, model, NULL) : NULL;
    info.default_cpu_type = cpu ? string_copy(cpu->device.class.name) : NULL;
    return info;
}

bool qmp_query_machines(Monitor *monitor, MachineInfoList *result, Error **error)
{
    VEC(MachineInfo) list = { 0 };
    const Guest *guest = monitor->control->machine->guest;
    for (size_t i = 0; i < object_class_count; i++) {
        const MachineClass *class = (const MachineClass *)object_classes[i];
        bool is_machine = class_is(&class->class, &machine_class.class) && !class->class.abstract;
        if (is_machine && machine_class_serves(class, guest)) {
            vec_push(&list, machine_info(class, guest));
        }
    }
    result->items = list.items;
    result->count = list.count;
    return true;
}

bool qmp_query_cpus_fast(Monitor *monitor, CpuInfoFastList *result, Error **error)
{
    const Machine *machine = monitor->control->machine;
    VEC(CpuInfoFast) list = { 0 };
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        const Vcpu *vcpu = machine->vcpus.items[i];
        CpuInfoFast info = {
            .cpu_index = vcpu->index,
            .qom_path = object_path(&vcpu->device.object),
            .thread_id = vcpu->thread_id,
            .target = target_of(machine->guest),
            .props = mem_alloc0(sizeof(CpuInstanceProperties)),
        };
        info.props->has_core_id = true;
        info.props->core_id = vcpu->index;
        vec_push(&list, info);
    }
    result->items = list.items;
    result->count = list.count;
    return true;
}

bool hmp_info_cpus(Monitor *monitor, StrBuf *output, Error **error)
{
    const Machine *machine = monitor->control->machine;
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        const Vcpu *vcpu = machine->vcpus.items[i];
        strbuf_printf(output, "%s CPU #%u: thread_id=%d\n", (int)i == monitor->cpu_index ? "*" : " ", vcpu->index,
                      vcpu->thread_id);
    }
    return true;
}

bool hmp_info_jit(Monitor *monitor, StrBuf *output, Error **error)
{
    Machine *machine = monitor->control->machine;
    return cpu_group_report_code(machine->cpu_group, output) ||
           error_set(error, "JIT information is only available with accel=tcg");
}

bool qmp_x_query_jit(Monitor *monitor, HumanReadableText *result, Error **error)
{
    AUTO_STRBUF(text);
    if (!hmp_info_jit(monitor, &text, error)) {
        return false;
    }
    result->human_readable_text = string_copy(strbuf_text(&text));
    return true;
}

bool qmp_query_kvm(Monitor *monitor, KvmInfo *result, Error **error) { return true; }

bool hmp_info_kvm(Monitor *monitor, StrBuf *output, Error **error)
{
    strbuf_append(output, "kvm support: not compiled\n");
    return true;
}

/* -- running it ------------------------------------------------------------------------------------------------- */

bool qmp_stop(Monitor *monitor, Error **error)
{
    machine_stop(monitor->control->machine, RUN_STATE_PAUSED);
    return true;
}

bool qmp_cont(Monitor *monitor, Error **error) { return machine_run(monitor->control->machine, error); }

bool qmp_system_reset(Monitor *monitor, Error **error)
{
    machine_request_reset(monitor->control->machine, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
    return true;
}

bool qmp_system_powerdown(Monitor *monitor, Error **error)
{
    machine_request_powerdown(monitor->control->machine);
    return true;
}
