/* Commands about processor models. */
#include "monitor/monitor_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "schema/machine.h"

#include <string.h>

static const GuestModel *find_model(const VcpuClass *class)
{
    const GuestModel *model = class->guest->models;
    while (strcmp(model->name, class->model)) {
        model++;
    }
    return model;
}

static CpuDefinitionInfo definition_of(const Guest *guest, const char *name)
{
    const VcpuClass *class = vcpu_class_find(guest, name, NULL);
    return (CpuDefinitionInfo){
        .name = string_copy(name),
        .static_ = class && !find_model(class)->varies,
        .typename = string_copy(class ? class->device.class.name : name),
    };
}

bool qmp_query_cpu_definitions(Monitor *monitor, CpuDefinitionInfoList *result, Error **error)
{
    VEC(CpuDefinitionInfo) list = { 0 };
    const Guest *guest = monitor->control->machine->guest;
    for (const GuestModel *model = guest->models; model->name; model++) {
        vec_push(&list, definition_of(guest, model->name));
    }
    for (const GuestOtherModel *other = guest->other_models; other && other->name; other++) {
        if (other->guest) {
            vec_push(&list, definition_of(guest, other->name));
        }
    }
    result->items = list.items;
    result->count = list.count;
    return true;
}

/* The switches of a checked configuration. */
static Json *switches_of(const Guest *guest, const void *config)
{
    Json *switches = json_object();
    for (const Property *row = guest->properties; row->name; row++) {
        if (row->type == &type_bool && !row->deprecated) {
            json_set(switches, row->name, json_bool(*((const bool *)config + row->offset)));
        }
    }
    return switches;
}

/* A processor of the model, made for a moment; NULL where the properties cannot be. */
static Json *expand(Machine *machine, const VcpuClass *class, const Json *properties, Error **error)
{
    Vcpu *vcpu = (Vcpu *)object_new(&class->device.class, machine, NULL, error);
    Json *switches = NULL;
    if (vcpu && (!properties || object_set_all(&vcpu->device.object, properties, false, NULL, error)) &&
        (!class->guest->config_check || class->guest->config_check(find_model(class), vcpu->config, error))) {
        switches = switches_of(class->guest, vcpu->config);
    }
    if (vcpu) {
        object_unref(&vcpu->device.object);
    }
    return switches;
}

bool qmp_query_cpu_model_expansion(Monitor *monitor, const QueryCpuModelExpansionArguments *arguments,
                                   CpuModelExpansionInfo *result, Error **error)
{
    Machine *machine = monitor->control->machine;
    const VcpuClass *class = vcpu_class_find(machine->guest, arguments->model.name, error);
    if (!class) {
        return false;
    }
    if (arguments->type != CPU_MODEL_EXPANSION_TYPE_FULL) {
        return error_set(error, "The requested expansion type is not supported");
    }
    if (arguments->model.props && json_kind(arguments->model.props) != JSON_OBJECT) {
        return error_set(error, "Invalid parameter type for 'model.props', expected: object");
    }
    Json *switches = expand(machine, class, arguments->model.props, error);
    if (!switches) {
        return false;
    }
    result->model.name = string_copy(class->model);
    result->model.props = switches;
    return true;
}
