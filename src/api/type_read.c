/*
 * From JSON and from options to a value (api/type.h). A value is all zeroes before, and can be freed by type_clear at
 * any moment: what is read is in place before anything that can fail comes after it.
 */
#include "api/type_internal.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAMED_CHOICES = 12, SHOWN_TEXT = 60, RANGE_LIMIT = 1 << 14 };

/* Where in the whole a value stands, for messages: "a.b[2].c". */
typedef struct Path {
    const struct Path *parent;
    const char *name; /* NULL: an index */
    size_t index;
} Path;

typedef struct Reader {
    bool options; /* scalars may be texts */
    Error **error;
} Reader;

static bool read_value(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value);

static void write_path(StrBuf *buffer, const Path *path)
{
    if (!path) {
        return;
    }
    write_path(buffer, path->parent);
    if (path->name) {
        strbuf_printf(buffer, "%s%s", path->parent ? "." : "", path->name);
    } else {
        strbuf_printf(buffer, "[%zu]", path->index);
    }
}

/* ---- messages ---- */

static void describe_enum(const Type *type, StrBuf *buffer)
{
    if (type->count > NAMED_CHOICES) {
        strbuf_printf(buffer, "a value of %s", type->name);
        return;
    }
    for (uint32_t i = 0; i < type->count; i++) {
        strbuf_printf(buffer, "%s'%s'", i == 0 ? "" : i + 1 == type->count ? " or " : ", ", type->names[i]);
    }
}

static void describe_number(const Type *type, StrBuf *buffer)
{
    bool whole_range = type->is_signed ? type->minimum == INT64_MIN && type->maximum == INT64_MAX
                                       : type->minimum == 0 && type->maximum == UINT64_MAX;
    strbuf_append(buffer, type->kind == TYPE_SIZE ? "a size" : "an integer");
    if (!whole_range || type->kind == TYPE_INT) {
        strbuf_printf(buffer, " from %lld to %llu", (long long)type->minimum, (unsigned long long)type->maximum);
    }
}

static void describe(const Reader *reader, const Type *type, StrBuf *buffer)
{
    static const char *const plain[] = {
        [TYPE_NULL] = "null",        [TYPE_NUMBER] = "a number",    [TYPE_STRING] = "a string",
        [TYPE_STRUCT] = "an object", [TYPE_UNION] = "an object",    [TYPE_LIST] = "an array",
        [TYPE_ANY] = "a value",      [TYPE_BOOL] = "true or false",
    };
    if (type->kind == TYPE_ENUM) {
        describe_enum(type, buffer);
    } else if (type->kind == TYPE_INT || type->kind == TYPE_SIZE) {
        describe_number(type, buffer);
        strbuf_append(buffer, type->kind == TYPE_SIZE && reader->options ? " such as 512, 4k, 1.5G" : "");
    } else if (type->kind == TYPE_ALTERNATE) {
        for (uint32_t i = 0; i < type->count; i++) {
            strbuf_append(buffer, i ? " or " : "");
            describe(reader, type->branches[i].type, buffer);
        }
    } else {
        strbuf_append(buffer, type->kind == TYPE_BOOL && reader->options ? "'on' or 'off'" : plain[type->kind]);
    }
}

static void describe_given(const Json *json, StrBuf *buffer)
{
    JsonKind kind = json_kind(json);
    if (kind == JSON_STRING) {
        const char *text = json_text(json);
        strbuf_printf(buffer, "'%.*s'%s", SHOWN_TEXT, text, strlen(text) > SHOWN_TEXT ? "..." : "");
    } else if (kind == JSON_ARRAY || kind == JSON_OBJECT) {
        strbuf_printf(buffer, "an %s", json_kind_name(kind));
    } else {
        json_write(buffer, json);
    }
}

static const char *enum_candidate(const void *context, size_t i)
{
    const Type *type = context;
    return i < type->count ? type->names[i] : NULL;
}

/* "'smp.cpus' expects an integer from 1 to 512, not 'many'". */
static bool fail_type(const Reader *reader, const Path *path, const Type *type, const Json *json)
{
    AUTO_STRBUF(where);
    AUTO_STRBUF(what);
    AUTO_STRBUF(given);
    write_path(&where, path);
    describe(reader, type, &what);
    describe_given(json, &given);
    AUTO_FREE char *suggestion = type->kind == TYPE_ENUM && json_kind(json) == JSON_STRING
                                     ? text_suggestion(json_text(json), enum_candidate, type)
                                     : string_copy("");
    if (!where.length) {
        return error_set(reader->error, "expected %s, not %s%s", strbuf_text(&what), strbuf_text(&given), suggestion);
    }
    return error_set(reader->error, "'%s' expects %s, not %s%s", strbuf_text(&where), strbuf_text(&what),
                     strbuf_text(&given), suggestion);
}

int type_enum_value(const Type *type, const char *name, Error **error)
{
    assert(type->kind == TYPE_ENUM);
    for (uint32_t i = 0; i < type->count; i++) {
        if (strcmp(type->names[i], name) == 0) {
            return (int)i;
        }
    }
    Json *json = json_string(name);
    fail_type(&(Reader){ .options = true, .error = error }, NULL, type, json);
    json_free(json);
    return -1;
}

/* ---- scalars ---- */

static bool is_text(const Reader *reader, const Json *json)
{
    return reader->options && json_kind(json) == JSON_STRING;
}

static bool read_null(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    return json_kind(json) == JSON_NULL || fail_type(reader, path, type, json);
}

static bool read_bool(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    if (is_text(reader, json)) {
        return text_to_bool(json_text(json), value, NULL) || fail_type(reader, path, type, json);
    }
    if (json_kind(json) != JSON_BOOL) {
        return fail_type(reader, path, type, json);
    }
    *(bool *)value = json_to_bool(json);
    return true;
}

static bool signed_integer(const Reader *reader, const Json *json, int64_t *number)
{
    return is_text(reader, json) ? text_to_int64(json_text(json), number, NULL) : json_to_int64(json, number);
}

static bool unsigned_integer(const Reader *reader, const Type *type, const Json *json, uint64_t *number)
{
    if (!is_text(reader, json)) {
        return json_to_uint64(json, number);
    }
    const char *text = json_text(json);
    return type->kind == TYPE_SIZE ? text_to_size(text, type->unit ? type->unit : 1, number, NULL)
                                   : text_to_uint64(text, number, NULL);
}

static void store_integer(const Type *type, void *value, uint64_t number)
{
    memcpy(value, &number, type->size); /* hosts are little-endian */
}

static bool read_integer(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    int64_t number = 0;
    uint64_t whole = 0;
    bool ok;
    if (type->is_signed) {
        ok = signed_integer(reader, json, &number) && number >= type->minimum &&
             (number < 0 || (uint64_t)number <= type->maximum);
        whole = (uint64_t)number;
    } else {
        ok = unsigned_integer(reader, type, json, &whole) && whole >= (uint64_t)type->minimum && whole <= type->maximum;
    }
    if (!ok) {
        return fail_type(reader, path, type, json);
    }
    store_integer(type, value, whole);
    return true;
}

static bool read_number(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    JsonKind kind = json_kind(json);
    if (is_text(reader, json)) {
        bool ok = text_to_double(json_text(json), value, NULL) && isfinite(*(double *)value);
        return ok || fail_type(reader, path, type, json);
    }
    if (kind != JSON_INT && kind != JSON_UINT && kind != JSON_DOUBLE) {
        return fail_type(reader, path, type, json);
    }
    *(double *)value = json_to_double(json);
    return true;
}

static bool read_string(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    if (json_kind(json) != JSON_STRING) {
        return fail_type(reader, path, type, json);
    }
    *(char **)value = string_copy(json_text(json));
    return true;
}

static bool read_enum(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    int found = json_kind(json) == JSON_STRING ? type_enum_value(type, json_text(json), NULL) : -1;
    if (found < 0) {
        return fail_type(reader, path, type, json);
    }
    *(int *)value = found;
    return true;
}

static bool read_any(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    *(Json **)value = json_copy(json);
    return true;
}

/* ---- lists ---- */

static bool read_array(const Reader *reader, const Path *path, const Type *type, const Json *json, TypeList *list)
{
    size_t count = json_length(json);
    list->items = mem_alloc_array(count + 1, type->element->size);
    memset(list->items, 0, (count + 1) * type->element->size);
    for (size_t i = 0; i < count; i++) {
        Path at = { .parent = path, .index = i };
        list->count = i + 1;
        void *item = (char *)list->items + i * type->element->size;
        if (!read_value(reader, &at, type->element, json_item(json, i), item)) {
            return false;
        }
    }
    return true;
}

/* "3-5" where integers are wanted. */
static bool text_is_range(const char *text, int64_t *first, int64_t *last)
{
    const char *dash = *text ? strchr(text + 1, '-') : NULL;
    if (!dash) {
        return false;
    }
    AUTO_FREE char *start = string_copy_length(text, (size_t)(dash - text));
    return text_to_int64(start, first, NULL) && text_to_int64(dash + 1, last, NULL) && *first <= *last &&
           (uint64_t)*last - (uint64_t)*first < RANGE_LIMIT;
}

static void split_item(const Type *element, const char *item, Json *array)
{
    int64_t first, last;
    if (element->kind != TYPE_INT || !text_is_range(item, &first, &last) || json_length(array) > RANGE_LIMIT) {
        json_array_append(array, json_string(item));
        return;
    }
    for (uint64_t n = 0; n <= (uint64_t)last - (uint64_t)first; n++) {
        json_array_append(array, json_int(first + (int64_t)n));
    }
}

/* "a,b,c". An empty text is an empty list. */
static Json *split_list(const Type *element, const char *text)
{
    Json *array = json_array();
    while (*text) {
        size_t length = strcspn(text, ",");
        AUTO_FREE char *item = string_copy_length(text, length);
        split_item(element, item, array);
        text += length;
        text += *text == ',';
    }
    return array;
}

static bool read_list(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    if (is_text(reader, json) && !type_is_object(type->element)) {
        Json *array = split_list(type->element, json_text(json));
        bool ok = read_array(reader, path, type, array, value);
        json_free(array);
        return ok;
    }
    if (json_kind(json) != JSON_ARRAY) {
        return fail_type(reader, path, type, json);
    }
    return read_array(reader, path, type, json, value);
}

/* ---- structs and unions ---- */

/* The member's Json, or NULL. In option mode `noKEY` with the value `on` is a bool KEY that is off. */
static const Json *find_member(const Reader *reader, const TypeMember *member, const Json *object, bool *negated)
{
    const Json *found = json_get(object, member->name);
    *negated = false;
    if (found || !reader->options || member->type->kind != TYPE_BOOL) {
        return found;
    }
    AUTO_FREE char *key = string_format("no%s", member->name);
    const char *text = json_get_text(object, key);
    *negated = text && strcmp(text, "on") == 0;
    return NULL;
}

/* Where the member's value goes: memory of its own where the struct holds a pointer. */
static void *make_place(uint32_t offset, bool pointer, const Type *type, void *value)
{
    void *at = (char *)value + offset;
    if (!pointer) {
        return at;
    }
    *(void **)at = mem_alloc0(type->size);
    return *(void **)at;
}

/* The schema's defaults are checked by the generator. */
static void set_default(const TypeMember *member, void *value)
{
    TypeKind kind = member->type->kind;
    if (!member->default_text || member->has_offset == UINT32_MAX || kind == TYPE_STRING) {
        return;
    }
    bool ok = type_from_text(member->type, member->default_text, (char *)value + member->offset, NULL);
    assert(ok);
    (void)ok;
}

static bool read_member(const Reader *reader, const Path *path, const TypeMember *member, const Json *object,
                        void *value)
{
    bool negated;
    const Json *json = find_member(reader, member, object, &negated);
    Path at = { .parent = path, .name = member->name };
    if (!json && !negated) {
        if (member->optional) {
            set_default(member, value);
            return true;
        }
        AUTO_STRBUF(where);
        write_path(&where, &at);
        return error_set(reader->error, "'%s' is missing", strbuf_text(&where));
    }
    if (member->has_offset != UINT32_MAX) {
        *(bool *)((char *)value + member->has_offset) = true;
    }
    void *place = make_place(member->offset, member->pointer, member->type, value);
    return negated || read_value(reader, &at, member->type, json, place);
}

static bool read_members(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        if (!read_member(reader, path, &type->members[i], json, value)) {
            return false;
        }
    }
    const TypeBranch *branch = type->kind == TYPE_UNION ? type_branch(type, value) : NULL;
    if (!branch || !branch->type) {
        return true;
    }
    void *place = make_place(branch->offset, branch->pointer, branch->type, value);
    return read_members(reader, path, branch->type, json, place);
}

typedef VEC(const TypeMember *) Members;

/* All members that the value can have, the chosen branch's too. */
static void collect_members(const Type *type, const void *value, Members *members)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        vec_push(members, &type->members[i]);
    }
    const TypeBranch *branch = type->kind == TYPE_UNION ? type_branch(type, value) : NULL;
    if (branch && branch->type) {
        collect_members(branch->type, type_branch_place(branch, (void *)value), members);
    }
}

static bool key_known(const Reader *reader, const Members *members, const Json *object, const char *key)
{
    for (size_t i = 0; i < members->count; i++) {
        const TypeMember *member = members->items[i];
        bool negated = false;
        if (strcmp(member->name, key) == 0) {
            return true;
        }
        if (strncmp(key, "no", 2) == 0 && strcmp(member->name, key + 2) == 0) {
            find_member(reader, member, object, &negated);
        }
        if (negated) {
            return true;
        }
    }
    return false;
}

static const char *member_candidate(const void *context, size_t i)
{
    const Members *members = context;
    return i < members->count ? members->items[i]->name : NULL;
}

/* "'net.typ' is unexpected; did you mean 'type'?", or which ones there are. */
static bool fail_unknown(const Reader *reader, const Path *path, const Members *members, const char *key)
{
    AUTO_STRBUF(where);
    AUTO_STRBUF(known);
    write_path(&where, &(Path){ .parent = path, .name = key });
    AUTO_FREE char *suggestion = text_suggestion(key, member_candidate, members);
    if (!*suggestion) {
        for (size_t i = 0; i < members->count && i < NAMED_CHOICES; i++) {
            strbuf_printf(&known, "%s%s", i ? ", " : "; there are: ", members->items[i]->name);
        }
        strbuf_append(&known, members->count > NAMED_CHOICES ? " ..." : "");
    }
    return error_set(reader->error, "'%s' is unexpected%s%s", strbuf_text(&where), suggestion, strbuf_text(&known));
}

static bool check_unknown(const Reader *reader, const Path *path, const Type *type, const Json *json, const void *value)
{
    Members members = { 0 };
    bool ok = true;
    collect_members(type, value, &members);
    for (size_t i = 0; ok && i < json_length(json); i++) {
        const char *key = json_key(json, i);
        ok = key_known(reader, &members, json, key) || fail_unknown(reader, path, &members, key);
    }
    vec_free(&members);
    return ok;
}

/* Whether it is known which members there can be. */
static bool tag_was_read(const Type *type, const Json *json)
{
    if (type->kind != TYPE_UNION) {
        return true;
    }
    const TypeMember *tag = &type->members[type->tag];
    const char *text = json_get_text(json, tag->name);
    return text && type_enum_value(tag->type, text, NULL) >= 0;
}

/* Unknown members are told of before missing ones: a misspelt name is both. */
static bool read_object(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    if (json_kind(json) != JSON_OBJECT) {
        return fail_type(reader, path, type, json);
    }
    AUTO_ERROR(error);
    Reader inner = { .options = reader->options, .error = &error };
    if (!read_members(&inner, path, type, json, value)) {
        bool known = !tag_was_read(type, json) || check_unknown(reader, path, type, json, value);
        return known && error_propagate(reader->error, error_copy(error));
    }
    return check_unknown(reader, path, type, json, value);
}

/* ---- alternates ---- */

static bool branch_takes(const TypeBranch *branch, JsonKind kind)
{
    if (branch->value == JSON_DOUBLE && (kind == JSON_INT || kind == JSON_UINT)) {
        return true;
    }
    return branch->value == (int)(kind == JSON_UINT ? JSON_INT : kind);
}

static bool read_branch(const Reader *reader, const Path *path, const TypeBranch *branch, const Json *json, void *value)
{
    *(int *)value = branch->value;
    void *place = make_place(branch->offset, branch->pointer, branch->type, value);
    return read_value(reader, path, branch->type, json, place);
}

/* A text fits the branch for strings, or the first other one that can be written as a text. */
static bool read_alternate_text(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    for (uint32_t i = 0; i < type->count; i++) {
        if (type->branches[i].value != JSON_STRING) {
            continue;
        }
        if (read_branch(&(Reader){ .options = true }, path, &type->branches[i], json, value)) {
            return true;
        }
        type_clear(type, value);
    }
    for (uint32_t i = 0; i < type->count; i++) {
        if (type_is_object(type->branches[i].type) || type->branches[i].value == JSON_NULL) {
            continue;
        }
        if (read_branch(&(Reader){ .options = true }, path, &type->branches[i], json, value)) {
            return true;
        }
        type_clear(type, value);
    }
    return fail_type(reader, path, type, json);
}

static bool read_alternate(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    if (is_text(reader, json)) {
        return read_alternate_text(reader, path, type, json, value);
    }
    for (uint32_t i = 0; i < type->count; i++) {
        if (branch_takes(&type->branches[i], json_kind(json))) {
            return read_branch(reader, path, &type->branches[i], json, value);
        }
    }
    return fail_type(reader, path, type, json);
}

typedef bool ReadFunction(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value);

static bool read_value(const Reader *reader, const Path *path, const Type *type, const Json *json, void *value)
{
    static ReadFunction *const functions[] = {
        [TYPE_NULL] = read_null,    [TYPE_BOOL] = read_bool,           [TYPE_INT] = read_integer,
        [TYPE_SIZE] = read_integer, [TYPE_NUMBER] = read_number,       [TYPE_STRING] = read_string,
        [TYPE_ENUM] = read_enum,    [TYPE_STRUCT] = read_object,       [TYPE_UNION] = read_object,
        [TYPE_LIST] = read_list,    [TYPE_ALTERNATE] = read_alternate, [TYPE_ANY] = read_any,
    };
    return functions[type->kind](reader, path, type, json, value);
}

static bool read_whole(bool options, const Type *type, const Json *json, void *value, Error **error)
{
    Reader reader = { .options = options, .error = error };
    if (!read_value(&reader, NULL, type, json, value)) {
        type_clear(type, value);
        return false;
    }
    return true;
}

bool type_from_json(const Type *type, const Json *json, void *value, Error **error)
{
    return read_whole(false, type, json, value, error);
}

bool type_from_options(const Type *type, const Json *json, void *value, Error **error)
{
    return read_whole(true, type, json, value, error);
}

bool type_from_text(const Type *type, const char *text, void *value, Error **error)
{
    if (type_is_object(type)) {
        return options_to_value(type, text, value, NULL, error);
    }
    Json *json = json_string(text);
    bool ok = read_whole(true, type, json, value, error);
    json_free(json);
    return ok;
}
