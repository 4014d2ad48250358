/* Saved state of one struct by its table. What comes from a stream is checked against the row before it is stored. */
#include "core/state_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/vec.h"
#include "core/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONAL_BIT = 0x80 };

/* What a kind is in a stream: these numbers stay. */
static const uint8_t kind_codes[] = {
    [STATE_BOOL] = 1,  [STATE_UNSIGNED] = 2, [STATE_SIGNED] = 3, [STATE_TIMER] = 4,
    [STATE_BYTES] = 5, [STATE_BUFFER] = 6,   [STATE_STRUCT] = 7,
};

static bool is_saved(const StateField *field)
{
    return field->kind != STATE_ALIAS && field->kind != STATE_NOT_SAVED;
}

static uint32_t count_of(const StateField *field) { return field->count ? field->count : 1; }

static uint8_t *element(const StateField *field, const void *state, uint32_t index)
{
    return (uint8_t *)state + field->offset + (size_t)index * (field->stride ? field->stride : field->size);
}

/* The bytes that one element takes in the stream; 0: it says so itself. */
static uint32_t stream_size(const StateField *field)
{
    switch (field->kind) {
    case STATE_TIMER:
        return 8;
    case STATE_BUFFER:
    case STATE_STRUCT:
        return 0;
    default:
        return field->size;
    }
}

/* Timers. */

static bool is_relative(ClockKind kind) { return kind == CLOCK_REAL || kind == CLOCK_VIRTUAL_RT; }

static int64_t timer_value(const Timer *timer)
{
    int64_t left;
    if (!timer_is_set(timer) || !is_relative(timer->kind)) {
        return timer->deadline;
    }
    bool overflow = __builtin_sub_overflow(timer->deadline, clock_now(timer->clocks, timer->kind), &left);
    return overflow ? INT64_MIN : left;
}

static void set_timer(Timer *timer, int64_t value)
{
    int64_t deadline = value;
    if (value != INT64_MAX && is_relative(timer->kind) &&
        __builtin_add_overflow(value, clock_now(timer->clocks, timer->kind), &deadline)) {
        deadline = INT64_MAX;
    }
    timer_set(timer, deadline);
}

/* Writing. */

void state_put_number(StrBuf *stream, unsigned size, uint64_t value)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    strbuf_append_bytes(stream, bytes, size);
}

static size_t open_length(StrBuf *stream)
{
    state_put_number(stream, 4, 0);
    return stream->length;
}

static void close_length(StrBuf *stream, size_t start)
{
    store_le32(stream->data + start - 4, (uint32_t)(stream->length - start));
}

static uint8_t *buffer_of(const StateField *field, const void *state, uint32_t *count)
{
    memcpy(count, (const uint8_t *)state + field->count_offset, sizeof *count);
    uint8_t *bytes;
    memcpy(&bytes, (const uint8_t *)state + field->offset, sizeof bytes);
    return bytes;
}

static void write_element(const StateField *field, const void *state, uint32_t index, StrBuf *stream)
{
    const uint8_t *value = element(field, state, index);
    if (field->kind == STATE_TIMER) {
        state_put_number(stream, 8, (uint64_t)timer_value((const Timer *)value));
    } else if (field->kind == STATE_STRUCT) {
        size_t start = open_length(stream);
        state_write(field->table, value, stream);
        close_length(stream, start);
    } else if (field->kind == STATE_BUFFER) {
        uint32_t count;
        const uint8_t *bytes = buffer_of(field, state, &count);
        strbuf_append_bytes(stream, bytes, bytes ? count : 0);
    } else {
        strbuf_append_bytes(stream, value, field->size);
    }
}

static void write_field(const StateField *field, const void *state, StrBuf *stream)
{
    size_t length = strlen(field->name);
    assert(length && length <= UINT8_MAX);
    state_put_number(stream, 1, length);
    strbuf_append_bytes(stream, field->name, length);
    state_put_number(stream, 1, kind_codes[field->kind] | (field->optional ? OPTIONAL_BIT : 0));
    state_put_number(stream, 4, stream_size(field));
    state_put_number(stream, 4, count_of(field));
    size_t start = open_length(stream);
    for (uint32_t i = 0; i < count_of(field); i++) {
        write_element(field, state, i, stream);
    }
    close_length(stream, start);
}

void state_write(const StateTable *table, const void *state, StrBuf *stream)
{
    state_put_number(stream, 4, table->version);
    for (const StateField *field = table->fields; field->kind != STATE_END; field++) {
        if (is_saved(field)) {
            write_field(field, state, stream);
        }
    }
    state_put_number(stream, 1, 0);
}

/* Reading. */

const uint8_t *state_take(StateCursor *cursor, size_t count)
{
    if ((size_t)(cursor->end - cursor->at) < count) {
        return NULL;
    }
    const uint8_t *bytes = cursor->at;
    cursor->at += count;
    return bytes;
}

bool state_take_number(StateCursor *cursor, unsigned size, uint64_t *value)
{
    const uint8_t *bytes = state_take(cursor, size);
    if (bytes) {
        *value = load_le(bytes, size);
    }
    return bytes;
}

/* A field as the stream has it. */
typedef struct Incoming {
    char name[UINT8_MAX + 1];
    uint8_t kind;
    bool optional;
    uint32_t size, count;
    StateCursor bytes;
} Incoming;

static bool truncated(Error **error) { return error_set(error, "the table is cut short"); }

/* An empty name ends the table. */
static bool take_field(StateCursor *cursor, Incoming *field, Error **error)
{
    uint64_t length, kind, size, count;
    const uint8_t *name;
    if (!state_take_number(cursor, 1, &length) || !(name = state_take(cursor, length))) {
        return truncated(error);
    }
    memcpy(field->name, name, length);
    field->name[length] = 0;
    if (!length) {
        return true;
    }
    if (!state_take_number(cursor, 1, &kind) || !state_take_number(cursor, 4, &size) ||
        !state_take_number(cursor, 4, &count) || !state_take_number(cursor, 4, &length) ||
        !(field->bytes.at = state_take(cursor, length))) {
        return truncated(error);
    }
    field->kind = kind & ~OPTIONAL_BIT;
    field->optional = kind & OPTIONAL_BIT;
    field->size = (uint32_t)size;
    field->count = (uint32_t)count;
    field->bytes.end = field->bytes.at + length;
    return true;
}

static bool read_number(const StateField *field, uint8_t *value, const uint8_t *bytes, Error **error)
{
    if (field->kind == STATE_BOOL) {
        if (*bytes > 1) {
            return error_set(error, "is %u, and can only be 0 or 1", *bytes);
        }
    } else if (field->kind == STATE_UNSIGNED && field->maximum) {
        uint64_t number = load_le(bytes, field->size);
        if (number > field->maximum) {
            return error_set(error, "is %" PRIu64 ", and can be %" PRIu64 " at most", number, field->maximum);
        }
    }
    memcpy(value, bytes, field->size);
    return true;
}

static bool read_buffer(const StateField *field, void *state, StateCursor *bytes, Error **error)
{
    size_t length = (size_t)(bytes->end - bytes->at);
    if (length > field->maximum) {
        return error_set(error, "has %zu bytes, and can have %" PRIu64 " at most", length, field->maximum);
    }
    uint32_t count;
    free(buffer_of(field, state, &count));
    uint8_t *copy = length ? mem_copy(bytes->at, length) : NULL;
    count = (uint32_t)length;
    memcpy((uint8_t *)state + field->count_offset, &count, sizeof count);
    memcpy((uint8_t *)state + field->offset, &copy, sizeof copy);
    bytes->at = bytes->end;
    return true;
}

static bool read_struct(const StateField *field, void *value, StateCursor *bytes, Error **error)
{
    uint64_t length;
    const uint8_t *start;
    if (!state_take_number(bytes, 4, &length) || !(start = state_take(bytes, length))) {
        return truncated(error);
    }
    return state_read(field->table, value, start, length, error);
}

static bool read_element(const StateField *field, void *state, uint32_t index, StateCursor *bytes, Error **error)
{
    uint8_t *value = element(field, state, index);
    uint64_t number = 0;
    switch (field->kind) {
    case STATE_STRUCT:
        return read_struct(field, value, bytes, error);
    case STATE_BUFFER:
        return read_buffer(field, state, bytes, error);
    case STATE_TIMER:
        state_take_number(bytes, 8, &number);
        set_timer((Timer *)value, (int64_t)number);
        return true;
    default:
        return read_number(field, value, state_take(bytes, field->size), error);
    }
}

static bool read_field(const StateField *field, void *state, Incoming *incoming, Error **error)
{
    uint32_t size = stream_size(field), count = count_of(field);
    if (incoming->kind != kind_codes[field->kind] || incoming->size != size || incoming->count != count) {
        return error_set(error, "is %" PRIu32 " of %" PRIu32 " bytes and kind %u; %" PRIu32 " of %" PRIu32
                         " and kind %u are expected", incoming->count, incoming->size, incoming->kind, count, size,
                         kind_codes[field->kind]);
    }
    if (size && (uint64_t)(incoming->bytes.end - incoming->bytes.at) != (uint64_t)size * count) {
        return error_set(error, "is cut short");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read_element(field, state, i, &incoming->bytes, error)) {
            return count > 1 ? error_prepend(error, "element %" PRIu32 ": ", i) : false;
        }
    }
    return incoming->bytes.at == incoming->bytes.end || error_set(error, "has more bytes than it should");
}

static const StateField *find_field(const StateTable *table, const char *name)
{
    for (const StateField *field = table->fields; field->kind != STATE_END; field++) {
        if (is_saved(field) && !strcmp(field->name, name)) {
            return field;
        }
    }
    return NULL;
}

/* `seen` has a byte for each row. */
static bool read_fields(const StateTable *table, void *state, StateCursor *cursor, uint8_t *seen, Error **error)
{
    Incoming incoming;
    while (take_field(cursor, &incoming, error)) {
        if (!*incoming.name) {
            return true;
        }
        const StateField *field = find_field(table, incoming.name);
        if (!field && incoming.optional) {
            continue;
        }
        if (!field) {
            return error_set(error, "'%s' is not known here", incoming.name);
        }
        if (seen[field - table->fields]++) {
            return error_set(error, "'%s' is there twice", incoming.name);
        }
        if (!read_field(field, state, &incoming, error)) {
            return error_prepend(error, "'%s' ", incoming.name);
        }
    }
    return false;
}

static bool check_missing(const StateTable *table, uint64_t version, const uint8_t *seen, Error **error)
{
    for (size_t i = 0; table->fields[i].kind != STATE_END; i++) {
        const StateField *field = &table->fields[i];
        if (is_saved(field) && !seen[i] && !field->optional && field->version <= version) {
            return error_set(error, "'%s' is missing", field->name);
        }
    }
    return true;
}

bool state_read_table(const StateTable *table, void *state, StateCursor *cursor, Error **error)
{
    uint64_t version;
    size_t count = 0;
    if (!state_take_number(cursor, 4, &version)) {
        return truncated(error);
    }
    if (version > table->version || version < table->minimum_version) {
        return error_set(error, "'%s' has version %" PRIu64 "; %u to %u can be read", table->name, version,
                         table->minimum_version, table->version);
    }
    while (table->fields[count].kind != STATE_END) {
        count++;
    }
    AUTO_FREE uint8_t *seen = mem_alloc0(count + 1);
    return read_fields(table, state, cursor, seen, error) && check_missing(table, version, seen, error) &&
           (!table->check || table->check(state, (uint32_t)version, error));
}

bool state_read(const StateTable *table, void *state, const void *stream, size_t size, Error **error)
{
    StateCursor cursor = { stream, (const uint8_t *)stream + size };
    return state_read_table(table, state, &cursor, error) &&
           (cursor.at == cursor.end || error_set(error, "'%s' is followed by %zu bytes that are not its", table->name,
                                                 (size_t)(cursor.end - cursor.at)));
}
