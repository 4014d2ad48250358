/* A string under construction. All zeroes is an empty one; `data` is NULL or NUL-terminated. */
#pragma once

#include "base/compiler.h"

#include <stdarg.h>

typedef struct StrBuf {
    char *data;
    size_t length, capacity;
} StrBuf;

void strbuf_append(StrBuf *buffer, const char *text);
void strbuf_append_bytes(StrBuf *buffer, const void *bytes, size_t count);
void strbuf_append_char(StrBuf *buffer, char c);
void strbuf_printf(StrBuf *buffer, const char *format, ...) PRINTF(2, 3);
void strbuf_vprintf(StrBuf *buffer, const char *format, va_list arguments) PRINTF(2, 0);
/* The string, never NULL, owned by the caller; the buffer is empty afterwards. */
char *strbuf_take(StrBuf *buffer);
const char *strbuf_text(const StrBuf *buffer); /* "" when empty; valid until the next change */
void strbuf_clear(StrBuf *buffer);
void strbuf_free(StrBuf *buffer);
#define AUTO_STRBUF(name) __attribute__((cleanup(strbuf_free))) StrBuf name = { 0 }
