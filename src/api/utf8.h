/* UTF-8 (RFC 3629): the shortest form only, no surrogates, nothing above U+10FFFF. */
#pragma once

#include "base/compiler.h"

/* The length of the valid sequence at the start of `bytes`, of which there are `count`; 0 where there is none. */
size_t utf8_sequence(const char *bytes, size_t count);
bool utf8_valid(const char *bytes, size_t count);
/* Stores the 1 to 4 bytes of a code point, and returns how many. */
size_t utf8_encode(uint32_t code, char bytes[4]);
