/* Strings under construction. */
#include "base/strbuf.h"

#include "base/vec.h"

#include <stdio.h>

/* Room for `count` more bytes and a NUL. */
static void reserve(StrBuf *buffer, size_t count)
{
    size_t needed;
    if (__builtin_add_overflow(buffer->length, count, &needed) || __builtin_add_overflow(needed, 1, &needed)) {
        needed = SIZE_MAX; /* the allocation says so */
    }
    if (needed > buffer->capacity) {
        if (buffer->capacity == 0) {
            buffer->capacity = 32;
        }
        buffer->data = vec_grow(buffer->data, &buffer->capacity, needed, 1);
    }
}

void strbuf_append_bytes(StrBuf *buffer, const void *bytes, size_t count)
{
    reserve(buffer, count);
    if (count) {
        memcpy(buffer->data + buffer->length, bytes, count);
    }
    buffer->length += count;
    buffer->data[buffer->length] = '\0';
}

void strbuf_append(StrBuf *buffer, const char *text) { strbuf_append_bytes(buffer, text, strlen(text)); }
void strbuf_append_char(StrBuf *buffer, char c) { strbuf_append_bytes(buffer, &c, 1); }

void strbuf_vprintf(StrBuf *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    reserve(buffer, 64);
    size_t room = buffer->capacity - buffer->length;
    int length = vsnprintf(buffer->data + buffer->length, room, format, arguments);
    assert(length >= 0);
    if ((size_t)length >= room) {
        reserve(buffer, (size_t)length);
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
    }
    va_end(again);
    buffer->length += (size_t)length;
}

void strbuf_printf(StrBuf *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(buffer, format, arguments);
    va_end(arguments);
}

char *strbuf_take(StrBuf *buffer)
{
    reserve(buffer, 0);
    buffer->data[buffer->length] = '\0';
    char *text = buffer->data;
    *buffer = (StrBuf){ 0 };
    return text;
}

const char *strbuf_text(const StrBuf *buffer) { return buffer->data ? buffer->data : ""; }

void strbuf_clear(StrBuf *buffer)
{
    buffer->length = 0;
    if (buffer->data) {
        buffer->data[0] = '\0';
    }
}

void strbuf_free(StrBuf *buffer)
{
    free(buffer->data);
    *buffer = (StrBuf){ 0 };
}
