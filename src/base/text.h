/* Numbers, sizes and names out of text. */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;

/* Decimal, 0x hexadecimal or 0 octal; the whole of `text`. */
bool text_to_uint64(const char *text, uint64_t *value, Error **error);
bool text_to_int64(const char *text, int64_t *value, Error **error);
/* A decimal number with an optional fraction and suffix B K M G T P E (any case), exact to the nearest byte; without a
 * suffix it counts `default_unit`s, a power of two. Or a hexadecimal number, of `default_unit`s too. */
bool text_to_size(const char *text, uint64_t default_unit, uint64_t *bytes, Error **error);
bool text_to_double(const char *text, double *value, Error **error);
/* on, yes, true, y; off, no, false, n. */
bool text_to_bool(const char *text, bool *value, Error **error);

/* Shell-style pattern with * and ?. */
bool text_matches(const char *pattern, const char *text);
bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);

/*
 * The candidates nearest to a misspelt `name`, at most `limit`, nearest first, none that differs in more than a third
 * of its letters; behind those come candidates of which `name` is a whole word or the beginning.
 * `candidate(context, i)` gives the i-th name or NULL at the end. Returns how many were stored in `nearest`.
 */
typedef const char *TextCandidate(const void *context, size_t i);
size_t text_nearest(const char *name, TextCandidate *candidate, const void *context, const char **nearest,
                    size_t limit);
/* The same as a phrase to end a message with: "; did you mean 'virt' or 'virt-10.0'?", or "" where nothing is near.
 * Owned by the caller. */
char *text_suggestion(const char *name, TextCandidate *candidate, const void *context);
/* The same with `prefix` before each name. */
char *text_suggestion_prefixed(const char *prefix, const char *name, TextCandidate *candidate, const void *context);
