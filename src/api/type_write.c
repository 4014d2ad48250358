/* From a value to JSON, to text for people, and help on a type (api/type.h). */
#include "api/type_internal.h"

#include "api/json.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

enum { INDENT = 4, HELP_COLUMN = 24 };

static int64_t load_signed(const Type *type, const void *value)
{
    uint64_t number = 0;
    memcpy(&number, value, type->size);
    return sign_extend(number, type->size * 8);
}

static uint64_t load_unsigned(const Type *type, const void *value)
{
    uint64_t number = 0;
    memcpy(&number, value, type->size);
    return number;
}

/* ---- JSON ---- */

static void members_to_json(const Type *type, const void *value, Json *object)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        const TypeMember *member = &type->members[i];
        if (type_member_present(member, value)) {
            json_set(object, member->name, type_to_json(member->type, type_member_place(member, (void *)value)));
        }
    }
    const TypeBranch *branch = type->kind == TYPE_UNION ? type_branch(type, value) : NULL;
    if (branch && branch->type) {
        members_to_json(branch->type, type_branch_place(branch, (void *)value), object);
    }
}

static Json *object_to_json(const Type *type, const void *value)
{
    Json *object = json_object();
    members_to_json(type, value, object);
    return object;
}

static Json *list_to_json(const Type *element, const TypeList *list)
{
    Json *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        json_array_append(array, type_to_json(element, (const char *)list->items + i * element->size));
    }
    return array;
}

static const char *enum_name(const Type *type, const void *value)
{
    int number = *(const int *)value;
    assert(number >= 0 && (uint32_t)number < type->count);
    return type->names[number];
}

static const char *string_or_empty(const void *value)
{
    const char *text = *(char *const *)value;
    return text ? text : "";
}

static Json *alternate_to_json(const Type *type, const void *value)
{
    const TypeBranch *branch = type_branch(type, value);
    return branch ? type_to_json(branch->type, type_branch_place(branch, (void *)value)) : json_null();
}

Json *type_to_json(const Type *type, const void *value)
{
    switch (type->kind) {
    case TYPE_NULL:
        return json_null();
    case TYPE_BOOL:
        return json_bool(*(const bool *)value);
    case TYPE_INT:
        return type->is_signed ? json_int(load_signed(type, value)) : json_uint(load_unsigned(type, value));
    case TYPE_SIZE:
        return json_uint(load_unsigned(type, value));
    case TYPE_NUMBER:
        return json_double(*(const double *)value);
    case TYPE_STRING:
        return json_string(string_or_empty(value));
    case TYPE_ENUM:
        return json_string(enum_name(type, value));
    case TYPE_STRUCT:
    case TYPE_UNION:
        return object_to_json(type, value);
    case TYPE_ALTERNATE:
        return alternate_to_json(type, value);
    case TYPE_LIST:
        return list_to_json(type->element, value);
    case TYPE_ANY:
        return *(Json *const *)value ? json_copy(*(Json *const *)value) : json_null();
    }
    return json_null();
}

/* ---- text ---- */

static void text_value(const Json *json, int indent, StrBuf *buffer);

static bool is_scalar(const Json *json) { return json_kind(json) != JSON_OBJECT && json_kind(json) != JSON_ARRAY; }

static bool all_scalars(const Json *array)
{
    for (size_t i = 0; i < json_length(array); i++) {
        if (!is_scalar(json_item(array, i))) {
            return false;
        }
    }
    return true;
}

static void text_scalar(const Json *json, StrBuf *buffer)
{
    if (json_kind(json) == JSON_STRING) {
        strbuf_append(buffer, json_text(json));
    } else {
        json_write(buffer, json);
    }
}

static void text_object(const Json *json, int indent, StrBuf *buffer)
{
    for (size_t i = 0; i < json_length(json); i++) {
        const Json *value = json_value(json, i);
        strbuf_printf(buffer, "%*s%s:", indent, "", json_key(json, i));
        if (is_scalar(value) || (json_kind(value) == JSON_ARRAY && all_scalars(value))) {
            strbuf_append_char(buffer, ' ');
            text_value(value, 0, buffer);
        } else {
            strbuf_append_char(buffer, '\n');
            text_value(value, indent + INDENT, buffer);
        }
    }
}

static void text_array(const Json *json, int indent, StrBuf *buffer)
{
    bool scalars = all_scalars(json);
    for (size_t i = 0; i < json_length(json); i++) {
        if (scalars) {
            strbuf_printf(buffer, "%s%*s", i ? ", " : "", i ? 0 : indent, "");
            text_scalar(json_item(json, i), buffer);
        } else {
            strbuf_append(buffer, i ? "\n" : "");
            text_value(json_item(json, i), indent, buffer);
        }
    }
    strbuf_append(buffer, scalars ? "\n" : "");
}

static void text_value(const Json *json, int indent, StrBuf *buffer)
{
    if (json_kind(json) == JSON_OBJECT) {
        text_object(json, indent, buffer);
        return;
    }
    if (json_kind(json) == JSON_ARRAY) {
        text_array(json, indent, buffer);
        return;
    }
    strbuf_printf(buffer, "%*s", indent, "");
    text_scalar(json, buffer);
    strbuf_append_char(buffer, '\n');
}

void type_to_text(const Type *type, const void *value, StrBuf *buffer)
{
    Json *json = type_to_json(type, value);
    text_value(json, 0, buffer);
    json_free(json);
}

/* ---- help ---- */

const char *type_display_name(const Type *type) { return type->name; }

typedef struct HelpLine {
    const TypeMember *member;
    const char *branch; /* the tag's value that the member belongs to; NULL: all */
} HelpLine;

typedef VEC(HelpLine) HelpLines;

static void collect_help(const Type *type, const char *branch, HelpLines *lines)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        vec_push(lines, (HelpLine){ .member = &type->members[i], .branch = branch });
    }
    const Type *tag = type->kind == TYPE_UNION ? type->members[type->tag].type : NULL;
    for (uint32_t i = 0; tag && i < type->count; i++) {
        if (type->branches[i].type) {
            collect_help(type->branches[i].type, tag->names[type->branches[i].value], lines);
        }
    }
}

static int compare_text(const char *a, const char *b) { return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL); }

static int compare_help(const void *left, const void *right)
{
    const HelpLine *a = left, *b = right;
    int branches = compare_text(a->branch, b->branch);
    return branches ? branches : strcmp(a->member->name, b->member->name);
}

static void help_choices(const Type *type, StrBuf *buffer)
{
    for (uint32_t i = 0; i < type->count; i++) {
        strbuf_printf(buffer, "%s%s", i ? "|" : "", type->names[i]);
    }
}

static void help_line(const TypeMember *member, int indent, StrBuf *buffer)
{
    AUTO_STRBUF(head);
    strbuf_printf(&head, "%*s%s=<%s>", indent, "", member->name, type_display_name(member->type));
    strbuf_printf(buffer, "%-*s - %s", HELP_COLUMN, strbuf_text(&head), member->description);
    if (member->type->kind == TYPE_ENUM) {
        strbuf_append(buffer, " (");
        help_choices(member->type, buffer);
        strbuf_append_char(buffer, ')');
    }
    if (member->default_text) {
        strbuf_printf(buffer, " (default: %s)", member->default_text);
    }
    strbuf_append_char(buffer, '\n');
}

void type_help(const Type *type, StrBuf *buffer)
{
    HelpLines lines = { 0 };
    if (type_is_object(type)) {
        collect_help(type, NULL, &lines);
    }
    if (lines.count) {
        qsort(lines.items, lines.count, sizeof *lines.items, compare_help);
    }
    const char *branch = NULL;
    for (size_t i = 0; i < lines.count; i++) {
        const HelpLine *line = &lines.items[i];
        if (compare_text(branch, line->branch) != 0) {
            strbuf_printf(buffer, "  %s:\n", line->branch);
            branch = line->branch;
        }
        help_line(line->member, branch ? 4 : 2, buffer);
    }
    vec_free(&lines);
}
