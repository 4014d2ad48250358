/* "/8xw": how x, xp and print show values. */
#pragma once

#include "base/strbuf.h"

typedef struct Error Error;

typedef struct ValueFormat {
    unsigned count; /* values */
    char letter;    /* 'x', 'd', 'u', 'o', 'c' or 'i' (instructions) */
    unsigned size;  /* bytes of a value: 1, 2, 4, 8 */
} ValueFormat;

/* Changes what the text says and keeps the rest, but for the count, which is 1. NULL: no text. */
bool format_read(const char *text, ValueFormat *format, Error **error);
/* One value of format->size bytes, as wide as every value of that size. */
void format_append(const ValueFormat *format, uint64_t value, StrBuf *buffer);
/* As print shows it: as wide as it is. */
void format_append_plain(char letter, uint64_t value, StrBuf *buffer);
