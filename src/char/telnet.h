/* The telnet protocol (RFC 854, 856, 857, 858) as a terminal server needs it: character at a time, binary, no echo. */
#pragma once

#include "base/compiler.h"

typedef struct Telnet {
    enum { TELNET_DATA, TELNET_COMMAND, TELNET_OPTION, TELNET_SUBNEGOTIATION, TELNET_SUBNEGOTIATION_COMMAND } state;
} Telnet;

extern const uint8_t telnet_greeting[];
extern const size_t telnet_greeting_size;

/* Takes commands out of `bytes` in place; returns how many bytes of data are left. `*breaks` counts breaks. */
size_t telnet_filter(Telnet *telnet, uint8_t *bytes, size_t count, unsigned *breaks);

enum { TELNET_IAC = 255 };
