/*
 * query-qmp-schema (api/command.h): what the QMP specification says of schema introspection. Commands and events have
 * their own names; types have numbers, which say nothing from one build to the next, except for the builtin ones
 * ("str", "int", "bool", "number", "null", "any"), and for arrays, which are "[element]". Every integer is "int".
 */
#include "api/command.h"

#include "api/json.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

typedef struct Introspection {
    Json *entries;
    VEC(const Type *) types; /* met; those from `described` on have no entry yet */
    size_t described;
    Map arrays; /* names that have an entry */
} Introspection;

static const char *builtin_name(const Type *type)
{
    static const char *const names[] = {
        [TYPE_NULL] = "null",     [TYPE_BOOL] = "bool",  [TYPE_INT] = "int", [TYPE_SIZE] = "int",
        [TYPE_NUMBER] = "number", [TYPE_STRING] = "str", [TYPE_ANY] = "any",
    };
    return type->kind < ARRAY_SIZE(names) ? names[type->kind] : NULL;
}

static Json *entry_new(Introspection *in, const char *name, const char *meta_type, const char *const *features)
{
    Json *entry = json_object();
    json_set(entry, "name", json_string(name));
    json_set(entry, "meta-type", json_string(meta_type));
    if (features) {
        Json *list = json_array();
        for (; *features; features++) {
            json_array_append(list, json_string(*features));
        }
        json_set(entry, "features", list);
    }
    json_array_append(in->entries, entry);
    return entry;
}

/* The name by which an entry refers to the type; owned by the caller. Number 0 is the object without members. */
static char *type_reference(Introspection *in, const Type *type)
{
    if (type && type->kind == TYPE_LIST) {
        AUTO_FREE char *element = type_reference(in, type->element);
        char *name = string_format("[%s]", element);
        if (!map_has(&in->arrays, name)) {
            map_set(&in->arrays, name, in);
            json_set(entry_new(in, name, "array", NULL), "element-type", json_string(element));
        }
        return name;
    }
    if (type && builtin_name(type)) {
        return string_copy(builtin_name(type));
    }
    size_t i = 0;
    while (i < in->types.count && in->types.items[i] != type) {
        i++;
    }
    if (i == in->types.count) {
        vec_push(&in->types, type);
    }
    return string_format("%zu", i);
}

static Json *reference_json(Introspection *in, const Type *type) { return json_string_take(type_reference(in, type)); }

static void describe_builtins(Introspection *in)
{
    static const struct {
        const char *name, *json_type;
    } builtins[] = {
        { "any", "value" }, { "bool", "boolean" },  { "int", "int" },
        { "null", "null" }, { "number", "number" }, { "str", "string" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(builtins); i++) {
        Json *entry = entry_new(in, builtins[i].name, "builtin", NULL);
        json_set(entry, "json-type", json_string(builtins[i].json_type));
    }
}

static void describe_enum(const Type *type, Json *entry)
{
    Json *members = json_array(), *values = json_array();
    for (uint32_t i = 0; i < type->count; i++) {
        Json *member = json_object();
        json_set(member, "name", json_string(type->names[i]));
        json_array_append(members, member);
        json_array_append(values, json_string(type->names[i]));
    }
    json_set(entry, "members", members);
    json_set(entry, "values", values);
}

static Json *member_json(Introspection *in, const TypeMember *member)
{
    Json *json = json_object();
    json_set(json, "name", json_string(member->name));
    json_set(json, "type", reference_json(in, member->type));
    if (member->optional) {
        json_set(json, "default", json_null());
    }
    if (member->features) {
        Json *features = json_array();
        for (const char *const *feature = member->features; *feature; feature++) {
            json_array_append(features, json_string(*feature));
        }
        json_set(json, "features", features);
    }
    return json;
}

/* One variant for each value of the tag: those without a branch add no members. */
static Json *variants_json(Introspection *in, const Type *type)
{
    Json *variants = json_array();
    const Type *tag = type->members[type->tag].type;
    for (uint32_t value = 0; value < tag->count; value++) {
        const Type *branch = NULL;
        for (uint32_t i = 0; i < type->count; i++) {
            branch = type->branches[i].value == (int)value ? type->branches[i].type : branch;
        }
        Json *variant = json_object();
        json_set(variant, "case", json_string(tag->names[value]));
        json_set(variant, "type", reference_json(in, branch));
        json_array_append(variants, variant);
    }
    return variants;
}

static void describe_object(Introspection *in, const Type *type, Json *entry)
{
    Json *members = json_array();
    for (uint32_t i = 0; type && i < type->member_count; i++) {
        json_array_append(members, member_json(in, &type->members[i]));
    }
    json_set(entry, "members", members);
    if (type && type->kind == TYPE_UNION) {
        json_set(entry, "tag", json_string(type->members[type->tag].name));
        json_set(entry, "variants", variants_json(in, type));
    }
}

static void describe_alternate(Introspection *in, const Type *type, Json *entry)
{
    Json *members = json_array();
    for (uint32_t i = 0; i < type->count; i++) {
        Json *member = json_object();
        json_set(member, "type", reference_json(in, type->branches[i].type));
        json_array_append(members, member);
    }
    json_set(entry, "members", members);
}

static void describe_type(Introspection *in, const Type *type, const char *name)
{
    const char *const *features = type ? type->features : NULL;
    if (type && type->kind == TYPE_ENUM) {
        describe_enum(type, entry_new(in, name, "enum", features));
    } else if (type && type->kind == TYPE_ALTERNATE) {
        describe_alternate(in, type, entry_new(in, name, "alternate", features));
    } else {
        describe_object(in, type, entry_new(in, name, "object", features));
    }
}

static const Type *arguments_of(const Schema *schema, const Command *command)
{
    for (size_t i = 0; i < schema->open_count; i++) {
        if (strcmp(schema->open[i].command, command->name) == 0) {
            return schema->open[i].type;
        }
    }
    return command->arguments;
}

static void describe_command(Introspection *in, const Schema *schema, const Command *command)
{
    Json *entry = entry_new(in, command->name, "command", command->features);
    json_set(entry, "arg-type", reference_json(in, arguments_of(schema, command)));
    json_set(entry, "ret-type", reference_json(in, command->returns));
    if (command->flags & COMMAND_ALLOW_OOB) {
        json_set(entry, "allow-oob", json_bool(true));
    }
}

Json *schema_introspect(const Schema *schema)
{
    Introspection in = { .entries = json_array() };
    vec_push(&in.types, NULL);
    for (size_t i = 0; i < schema->command_count; i++) {
        describe_command(&in, schema, &schema->commands[i]);
    }
    for (size_t i = 0; i < schema->event_count; i++) {
        const Event *event = &schema->events[i];
        Json *entry = entry_new(&in, event->name, "event", event->features);
        json_set(entry, "arg-type", reference_json(&in, event->data));
    }
    for (; in.described < in.types.count; in.described++) {
        AUTO_FREE char *name = string_format("%zu", in.described);
        describe_type(&in, in.types.items[in.described], name);
    }
    describe_builtins(&in);
    vec_free(&in.types);
    map_free(&in.arrays, NULL);
    return in.entries;
}
