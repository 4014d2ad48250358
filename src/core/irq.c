/*
 * Interrupt lines. An output's state is its level and a count of changes in one word, so that changes which reach an
 * input late, from different threads, are told apart from older ones and each is passed on at most once.
 */
#include "core/device_internal.h"

#include "base/thread.h"
#include "base/vec.h"
#include "core/lock_internal.h"
#include "core/machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* An input of a device or vCPU. */
typedef struct IrqTarget {
    Device *to;
    IrqInput *function;
    unsigned number;
    Cpu *cpu; /* in place of `to`: `number` is its line, `mutex` the lock */
    Mutex mutex;
    unsigned high; /* outputs that are at 1; under the lock of `to` */
    ListNode links;
    ListNode node; /* of the machine's vCPU lines */
} IrqTarget;

/* A wire from an output to an input. */
typedef struct IrqLink {
    Irq *irq;
    IrqTarget *target;
    uint64_t seen; /* the output's state that the input knows; under the input's lock */
    ListNode of_irq, of_target;
} IrqLink;

struct Irq {
    Device *from;
    Irq **handle; /* in the device's struct */
    _Atomic uint64_t state; /* changes << 1 | level */
    ListNode links;
};

typedef struct IrqGroup {
    char *name;
    unsigned count;
    IrqTarget *targets; /* of inputs */
    Irq **outputs;      /* the device's array */
} IrqGroup;

typedef struct IrqGroups {
    VEC(IrqGroup) inputs, outputs;
} IrqGroups;

typedef struct IrqLines {
    ListNode targets;
} IrqLines;

/* Levels. */

static void tell(IrqTarget *target, int level)
{
    if (target->cpu) {
        cpu_line_set(target->cpu, target->number, level);
    } else {
        target->function(target->to, target->number, level);
    }
}

/* The input's lock is held. */
static void apply(IrqLink *link, uint64_t state)
{
    IrqTarget *target = link->target;
    bool was_high = target->high > 0;
    if (state >> 1 <= link->seen >> 1) {
        return;
    }
    target->high += (unsigned)(state & 1) - (unsigned)(link->seen & 1);
    link->seen = state;
    if (was_high != (target->high > 0)) {
        tell(target, target->high > 0);
    }
}

static void deliver(void *data, uint64_t state, uint64_t unused)
{
    IrqLink *link = data;
    IrqTarget *target = link->target;
    if (target->cpu) {
        mutex_lock(&target->mutex);
        apply(link, state);
        mutex_unlock(&target->mutex);
        return;
    }
    DeviceLock *lock = target->to->lock;
    LockEntry entry = lock_enter(lock);
    if (entry != LOCK_ENTERED) {
        /* The device's own lines come later too, so that what turns itself over does not call itself. What is dropped
         * after very many of them belongs to such a line. */
        lock_defer(lock_domain(lock), deliver, link, state, 0);
        return;
    }
    apply(link, state);
    device_unlock(lock);
}

void irq_set(Irq *irq, int level)
{
    if (!irq) {
        return;
    }
    uint64_t old = atomic_load(&irq->state), new;
    do {
        if ((old & 1) == (level != 0)) {
            return;
        }
        new = ((old >> 1) + 1) << 1 | (level != 0);
    } while (!atomic_compare_exchange_weak(&irq->state, &old, new));
    LIST_FOREACH(&irq->links, link, IrqLink, of_irq)
    {
        deliver(link, new, 0);
    }
}

void irq_pulse(Irq *irq)
{
    irq_set(irq, 1);
    irq_set(irq, 0);
}

int irq_level(const Irq *irq) { return irq ? atomic_load(&irq->state) & 1 : 0; }

/* Groups. */

static IrqGroups *groups_of(Device *device)
{
    if (!device->irqs) {
        device->irqs = NEW(IrqGroups);
    }
    return device->irqs;
}

static IrqGroup *find_group(IrqGroup *groups, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(groups[i].name, name)) {
            return &groups[i];
        }
    }
    return NULL;
}

void device_init_irq_inputs(Device *device, const char *group, IrqInput *input, unsigned count)
{
    IrqGroup new = { .name = string_copy(group), .count = count, .targets = mem_alloc_array(count, sizeof(IrqTarget)) };
    for (unsigned i = 0; i < count; i++) {
        new.targets[i] = (IrqTarget){ .to = device, .function = input, .number = i };
        list_init(&new.targets[i].links);
    }
    vec_push(&groups_of(device)->inputs, new);
}

void device_init_irq_outputs(Device *device, const char *group, Irq **outputs, unsigned count)
{
    IrqGroup new = { .name = string_copy(group), .count = count, .outputs = outputs };
    vec_push(&groups_of(device)->outputs, new);
}

/* Wiring. */

static Irq *output_of(Device *from, const char *group, unsigned output)
{
    IrqGroups *groups = groups_of(from);
    IrqGroup *found = find_group(groups->outputs.items, groups->outputs.count, group);
    assert(found && output < found->count);
    if (!found->outputs[output]) {
        Irq *irq = NEW(Irq);
        irq->from = from;
        irq->handle = &found->outputs[output];
        list_init(&irq->links);
        found->outputs[output] = irq;
    }
    return found->outputs[output];
}

static void connect(Irq *irq, IrqTarget *target)
{
    IrqLink *link = NEW(IrqLink);
    link->irq = irq;
    link->target = target;
    list_append(&irq->links, &link->of_irq);
    list_append(&target->links, &link->of_target);
    uint64_t state = atomic_load(&irq->state);
    if (state & 1) {
        deliver(link, state, 0);
    }
}

void irq_connect(Device *from, const char *group, unsigned output, Device *to, const char *to_group, unsigned input)
{
    IrqGroups *groups = groups_of(to);
    IrqGroup *found = find_group(groups->inputs.items, groups->inputs.count, to_group);
    assert(found && input < found->count);
    connect(output_of(from, group, output), &found->targets[input]);
}

static IrqTarget *cpu_target(Machine *machine, Cpu *cpu, unsigned line)
{
    if (!machine->irq_lines) {
        machine->irq_lines = NEW(IrqLines);
        list_init(&machine->irq_lines->targets);
    }
    LIST_FOREACH(&machine->irq_lines->targets, target, IrqTarget, node)
    {
        if (target->cpu == cpu && target->number == line) {
            return target;
        }
    }
    IrqTarget *target = NEW(IrqTarget);
    target->cpu = cpu;
    target->number = line;
    mutex_init(&target->mutex);
    list_init(&target->links);
    list_append(&machine->irq_lines->targets, &target->node);
    return target;
}

void irq_connect_cpu(Device *from, const char *group, unsigned output, Cpu *cpu, unsigned line)
{
    connect(output_of(from, group, output), cpu_target(from->machine, cpu, line));
}

/* Taking away; the machine is parked, or was never started. */

static void disconnect(IrqLink *link)
{
    uint64_t low = ((link->seen >> 1) + 1) << 1;
    if (link->seen & 1) {
        deliver(link, low, 0);
    }
    list_remove(&link->of_irq);
    list_remove(&link->of_target);
    free(link);
}

static void irq_free(Irq *irq)
{
    LIST_FOREACH_SAFE(&irq->links, link, IrqLink, of_irq)
    {
        disconnect(link);
    }
    *irq->handle = NULL;
    free(irq);
}

static void target_disconnect(IrqTarget *target)
{
    LIST_FOREACH_SAFE(&target->links, link, IrqLink, of_target)
    {
        /* Who is told is on its way out itself: the wire goes without a word. */
        link->seen = 0;
        disconnect(link);
    }
}

void device_disconnect_irqs(Device *device)
{
    IrqGroups *groups = device->irqs;
    if (!groups) {
        return;
    }
    for (size_t i = 0; i < groups->outputs.count; i++) {
        IrqGroup *group = &groups->outputs.items[i];
        for (unsigned n = 0; n < group->count; n++) {
            if (group->outputs[n]) {
                irq_free(group->outputs[n]);
            }
        }
        free(group->name);
    }
    for (size_t i = 0; i < groups->inputs.count; i++) {
        IrqGroup *group = &groups->inputs.items[i];
        for (unsigned n = 0; n < group->count; n++) {
            target_disconnect(&group->targets[n]);
        }
        free(group->targets);
        free(group->name);
    }
    vec_free(&groups->outputs);
    vec_free(&groups->inputs);
    free(groups);
    device->irqs = NULL;
}

void irq_lines_drop(Machine *machine, const Cpu *cpu)
{
    if (!machine->irq_lines) {
        return;
    }
    LIST_FOREACH_SAFE(&machine->irq_lines->targets, target, IrqTarget, node)
    {
        if (!cpu || target->cpu == cpu) {
            target_disconnect(target);
            list_remove(&target->node);
            mutex_destroy(&target->mutex);
            free(target);
        }
    }
    if (!cpu) {
        free(machine->irq_lines);
        machine->irq_lines = NULL;
    }
}

/* Telling again. */

static void refresh_device(Device *device, void *context)
{
    IrqGroups *groups = device->irqs;
    for (size_t i = 0; groups && i < groups->inputs.count; i++) {
        IrqGroup *group = &groups->inputs.items[i];
        for (unsigned n = 0; n < group->count; n++) {
            if (list_empty(&group->targets[n].links)) {
                continue;
            }
            bool entered = device_enter(device);
            tell(&group->targets[n], group->targets[n].high > 0);
            if (entered) {
                device_unlock(device->lock);
            }
        }
    }
}

void machine_refresh_irqs(Machine *machine)
{
    machine_each_device(machine, refresh_device, NULL);
    for (ListNode *node = machine->irq_lines ? machine->irq_lines->targets.next : NULL;
         node && node != &machine->irq_lines->targets; node = node->next) {
        IrqTarget *target = list_item(node, IrqTarget, node);
        mutex_lock(&target->mutex);
        tell(target, target->high > 0);
        mutex_unlock(&target->mutex);
    }
}
