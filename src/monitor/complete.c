/* Completion of HMP's lines: names of commands, then what the parameter under the cursor can be. */
#include "monitor/monitor_internal.h"

#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "core/device.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct Completion {
    Monitor *monitor;
    const char *word; /* what is there of it */
    TextList *candidates;
} Completion;

static void offer(Completion *completion, const char *text, const char *behind)
{
    if (text_starts_with(text, completion->word)) {
        vec_push(completion->candidates, string_format("%s%s", text, behind));
    }
}

static void offer_commands(Completion *completion, bool info)
{
    for (size_t i = 0; i < schema_hmp_command_count; i++) {
        if (schema_hmp_commands[i].info == info) {
            offer(completion, schema_hmp_commands[i].name, " ");
        }
    }
}

static void offer_help(Completion *completion) { offer_commands(completion, false); }

static bool offer_child(Object *child, void *context)
{
    offer(context, child->name, " ");
    return true;
}

static void offer_children(Completion *completion, Object *parent)
{
    if (parent) {
        object_each_child(parent, offer_child, completion);
    }
}

static void offer_chardevs(Completion *completion)
{
    offer_children(completion, completion->monitor->control->chars->container);
}

static void offer_objects(Completion *completion)
{
    offer_children(completion, object_child(completion->monitor->control->machine->root, "objects"));
}

static void offer_devices(Completion *completion)
{
    offer_children(completion, object_child(&completion->monitor->control->machine->object, "peripheral"));
}

static void offer_drivers(Completion *completion)
{
    for (size_t i = 0; i < object_class_count; i++) {
        const Class *class = object_classes[i];
        if (!class->abstract && class_is(class, &device_class.class) && ((const DeviceClass *)class)->user_pluggable) {
            offer(completion, class->name, "");
        }
    }
}

static void offer_object_types(Completion *completion)
{
    for (size_t i = 0; i < object_class_count; i++) {
        if (object_classes[i]->user_creatable && !object_classes[i]->abstract) {
            offer(completion, object_classes[i]->name, "");
        }
    }
}

static void offer_log_items(Completion *completion)
{
    static const char *const names[] = {
#define X(enumerator, name, description) name,
        LOG_ITEMS(X)
#undef X
        "none", "all",
    };
    const char *comma = strrchr(completion->word, ',');
    size_t kept = comma ? (size_t)(comma + 1 - completion->word) : 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (text_starts_with(names[i], completion->word + kept)) {
            vec_push(completion->candidates, string_format("%.*s%s", (int)kept, completion->word, names[i]));
        }
    }
}

/* Absolute paths, a level at a time. */
static void offer_paths(Completion *completion)
{
    Object *object = completion->monitor->control->machine->root;
    const char *slash = strrchr(completion->word, '/');
    if (!slash) {
        vec_push(completion->candidates, string_copy("/"));
        return;
    }
    AUTO_FREE char *above = string_format("%.*s", (int)(slash - completion->word), completion->word);
    object = *above ? object_resolve(object, above, NULL) : object;
    size_t position = 0;
    for (MapEntry *entry; object && object->children && (entry = map_next(object->children, &position));) {
        const Object *child = entry->value;
        AUTO_FREE char *path = string_format("%s/%s", above, entry->key);
        offer(completion, path, child->children && child->children->count ? "" : " ");
    }
}

static const struct {
    const char *command;
    uint32_t parameter;
    void (*offer)(Completion *completion);
} parameter_offers[] = {
    { "help", 0, offer_help },          { "chardev-send-break", 0, offer_chardevs },
    { "device_add", 0, offer_drivers }, { "device_del", 0, offer_devices },
    { "object_add", 0, offer_object_types }, { "object_del", 0, offer_objects },
    { "log", 0, offer_log_items },      { "qom-list", 0, offer_paths },
    { "qom-get", 0, offer_paths },      { "qom-set", 0, offer_paths },
    { "qom-tree", 0, offer_paths },     { "ringbuf_read", 0, offer_chardevs },
    { "ringbuf_write", 0, offer_chardevs },
};

/* What the type says that it can be: a word of an enum, on or off. */
static void offer_values(Completion *completion, const Type *type)
{
    if (type->kind == TYPE_BOOL) {
        offer(completion, "on", " ");
        offer(completion, "off", " ");
    }
    for (uint32_t i = 0; type->kind == TYPE_ENUM && i < type->count; i++) {
        offer(completion, type->names[i], " ");
    }
}

/* Words that begin with '-' are flags and count for nothing. */
static void offer_parameter(Completion *completion, const HmpCommand *command, uint32_t number)
{
    for (size_t i = 0; i < ARRAY_SIZE(parameter_offers); i++) {
        if (!strcmp(parameter_offers[i].command, command->name) && parameter_offers[i].parameter == number) {
            parameter_offers[i].offer(completion);
            return;
        }
    }
    for (uint32_t i = 0; i < command->parameter_count; i++) {
        if (command->parameters[i].kind != HMP_FLAG && number-- == 0) {
            offer_values(completion, command->arguments->members[command->parameters[i].member].type);
        }
    }
}

void hmp_complete(Monitor *monitor, const char *text, TextList *candidates, size_t *word_length)
{
    VEC(char *) words = { 0 };
    const char *at = text;
    for (char *word; (word = hmp_next_word(&at, NULL));) {
        vec_push(&words, word);
    }
    bool fresh = !words.count || isspace((unsigned char)text[strlen(text) - 1]);
    size_t before = words.count - (fresh ? 0 : 1);
    Completion completion = { monitor, fresh ? "" : words.items[before], candidates };
    *word_length = strlen(completion.word);
    bool info = before && !strcmp(words.items[0], "info");
    if (before == 0) {
        offer_commands(&completion, false);
    } else if (info && before == 1) {
        offer_commands(&completion, true);
    } else if (before == 1 + (size_t)info && text_starts_with(completion.word, "-")) {
        *word_length = 0;
    } else {
        const HmpCommand *command = hmp_find(words.items[info], info);
        uint32_t number = 0;
        for (size_t i = 1 + info; i < before; i++) {
            number += words.items[i][0] != '-';
        }
        if (command) {
            offer_parameter(&completion, command, number);
        }
    }
    for (size_t i = 0; i < words.count; i++) {
        free(words.items[i]);
    }
    vec_free(&words);
}
