/* Lists of machines, processors, devices, objects and a class's properties, in the layout that QEMU's users know. */
#include "monitor/help.h"

#include "api/type.h"
#include "core/device.h"
#include "core/vcpu.h"

#include <stdlib.h>
#include <string.h>

typedef VEC(const Class *) ClassList;

static int compare_classes(const void *a, const void *b)
{
    return strcmp((*(const Class *const *)a)->name, (*(const Class *const *)b)->name);
}

/* All that are derived from `base`, or (NULL) can be made by -object, and are not abstract; in order of name. */
static ClassList list_classes(const Class *base)
{
    ClassList list = { 0 };
    for (size_t i = 0; i < object_class_count; i++) {
        const Class *class = object_classes[i];
        if (!class->abstract && (base ? class_is(class, base) : class->user_creatable)) {
            vec_push(&list, class);
        }
    }
    if (list.count) {
        qsort(list.items, list.count, sizeof *list.items, compare_classes);
    }
    return list;
}

bool machine_class_serves(const MachineClass *class, const Guest *guest)
{
    for (const char *const *target = class->targets; target && *target; target++) {
        if (!strcmp(*target, guest->target)) {
            return true;
        }
    }
    return !class->targets;
}

void help_machines(const Guest *guest, StrBuf *out)
{
    ClassList list = list_classes(&machine_class.class);
    strbuf_append(out, "Supported machines are:\n");
    for (size_t i = 0; i < list.count; i++) {
        const MachineClass *class = (const MachineClass *)list.items[i];
        const char *description = class->class.description ? class->class.description : "";
        if (!machine_class_serves(class, guest)) {
            continue;
        }
        if (class->alias) {
            strbuf_printf(out, "%-20s %s (alias of %s)\n", class->alias, description, class->name);
        }
        strbuf_printf(out, "%-20s %s%s\n", class->name, description, class->is_default ? " (default)" : "");
    }
    vec_free(&list);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void help_cpus(const Guest *guest, StrBuf *out)
{
    VEC(const char *) names = { 0 };
    for (const GuestModel *model = guest->models; model->name; model++) {
        vec_push(&names, model->name);
    }
    for (const GuestOtherModel *other = guest->other_models; other && other->name; other++) {
        if (other->guest) {
            vec_push(&names, other->name);
        }
    }
    qsort(names.items, names.count, sizeof *names.items, compare_names);
    strbuf_append(out, "Available CPUs:\n");
    for (size_t i = 0; i < names.count; i++) {
        strbuf_printf(out, "  %s\n", names.items[i]);
    }
    vec_free(&names);
}

/* -- devices ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *category, *heading;
} categories[] = {
    { "Bridge", "Controller/Bridge/Hub" }, { "USB", "USB" },     { "Storage", "Storage" },   { "Network", "Network" },
    { "Input", "Input" },                  { "Display", "Display" }, { "Sound", "Sound" },   { "Misc", "Misc" },
    { "CPU", "CPU" },                      { "Watchdog", "Watchdog" }, { NULL, "Uncategorized" },
};

static bool in_category(const DeviceClass *class, size_t category)
{
    if (categories[category].category) {
        return class->category && !strcmp(class->category, categories[category].category);
    }
    for (size_t i = 0; i < ARRAY_SIZE(categories) - 1; i++) {
        if (in_category(class, i)) {
            return false;
        }
    }
    return true;
}

static void print_device(const DeviceClass *class, StrBuf *out)
{
    strbuf_printf(out, "name \"%s\"", class->class.name);
    if (class->bus_type) {
        strbuf_printf(out, ", bus %s", class->bus_type);
    }
    if (class->class.description) {
        strbuf_printf(out, ", desc \"%s\"", class->class.description);
    }
    strbuf_append(out, "\n");
}

void help_devices(StrBuf *out)
{
    ClassList list = list_classes(&device_class.class);
    bool first = true;
    for (size_t category = 0; category < ARRAY_SIZE(categories); category++) {
        bool headed = false;
        for (size_t i = 0; i < list.count; i++) {
            const DeviceClass *class = (const DeviceClass *)list.items[i];
            if (!class->user_pluggable || !in_category(class, category)) {
                continue;
            }
            if (!headed) {
                strbuf_printf(out, "%s%s devices:\n", first ? "" : "\n", categories[category].heading);
            }
            headed = true;
            first = false;
            print_device(class, out);
        }
    }
    vec_free(&list);
}

void help_objects(StrBuf *out)
{
    ClassList list = list_classes(NULL);
    strbuf_append(out, "List of user creatable objects:\n");
    for (size_t i = 0; i < list.count; i++) {
        strbuf_printf(out, "  %s\n", list.items[i]->name);
    }
    vec_free(&list);
}

/* -- properties ------------------------------------------------------------------------------------------------- */

typedef VEC(char *) Lines;

static void add_line(const Class *owner, const Property *property, void *context)
{
    AUTO_STRBUF(line);
    AUTO_STRBUF(head);
    if (property->when == PROPERTY_READ_ONLY || property->kind == PROPERTY_CHILD || property->hidden ||
        owner == &device_class.class || owner == &object_class) {
        return;
    }
    AUTO_FREE char *type = property_type_name(property);
    strbuf_printf(&head, "%s=<%s>", property->name, type);
    strbuf_printf(&line, property->description || property->default_text ? "  %-22s - %s" : "  %s%s",
                  strbuf_text(&head), property->description ? property->description : "");
    if (property->default_text) {
        strbuf_printf(&line, " (default: %s)", property->default_text);
    }
    vec_push((Lines *)context, strbuf_take(&line));
}

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void help_class(const Class *class, StrBuf *out)
{
    Lines lines = { 0 };
    device_class_each_property(class, add_line, &lines);
    if (!lines.count) {
        strbuf_printf(out, "There are no options for %s.\n", class->name);
        return;
    }
    qsort(lines.items, lines.count, sizeof *lines.items, compare_lines);
    strbuf_printf(out, "%s options:\n", class->name);
    for (size_t i = 0; i < lines.count; i++) {
        strbuf_printf(out, "%s\n", lines.items[i]);
        free(lines.items[i]);
    }
    vec_free(&lines);
}
