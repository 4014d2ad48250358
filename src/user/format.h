/*
 * Structs by a line of text, where their members are what differs between processors: how wide words and pointers
 * are, and how members are aligned.
 *
 *     "16b i l 2q p"     16 bytes, an unsigned int, an unsigned long, two 64-bit numbers, a pointer
 *
 *     b h i q   unsigned, of 8, 16, 32 and 64 bits        l   unsigned, as wide as a word
 *     I Q L     signed, of 32, 64 bits and of a word         p   an address of the guest: the host's on the host
 *     P         an address in 64 bits
 *     a         nothing: what follows is aligned as a word is
 *
 * A member's name may follow it, as in "i:flags 2q:range": format_print shows it.
 *
 * Each member is aligned to its size, and the whole to its widest member.
 */
#pragma once

#include "base/compiler.h"

typedef struct GuestMemory GuestMemory;
typedef struct StrBuf StrBuf;

/* Bytes, where words have so many. */
size_t format_size(const char *format, unsigned word);
/* The host's words have 8 bytes. False: an address is not the guest's. */
bool format_to_host(const char *format, unsigned word, const GuestMemory *memory, const void *guest, void *host);
void format_to_guest(const char *format, unsigned word, const GuestMemory *memory, const void *host, void *guest);
/* "{1,2,...}" of the guest's bytes; runs of bytes as strings. */
void format_print(const char *format, unsigned word, const void *guest, StrBuf *text);
