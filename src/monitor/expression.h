/*
 * Integer expressions of the monitor: numbers (decimal, 0x, 0), characters in quotes, $registers, unary + - ~,
 * parentheses, and operators in three ranks: * / %, then & | ^, then + -. 64 bits, wrapping.
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;

/* The value of "pc" for "$pc"; false where there is no such register. */
typedef bool ExpressionRegister(void *data, const char *name, uint64_t *value);

/* Reads one from *text on, which then points behind it and white space. `lookup` may be NULL. */
bool expression_read(const char **text, ExpressionRegister *lookup, void *data, int64_t *value, Error **error);
