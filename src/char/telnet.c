/* The telnet protocol's server side. Answers to our own offers are taken note of by not caring. */
#include "char/telnet.h"

enum { SE = 240, BREAK = 243, SB = 250, WILL = 251, DO = 253, DONT = 254 };
enum { OPTION_BINARY = 0, OPTION_ECHO = 1, OPTION_SUPPRESS_GO_AHEAD = 3 };

const uint8_t telnet_greeting[] = {
    TELNET_IAC, WILL, OPTION_ECHO,   TELNET_IAC, WILL, OPTION_SUPPRESS_GO_AHEAD,
    TELNET_IAC, WILL, OPTION_BINARY, TELNET_IAC, DO,   OPTION_BINARY,
};
const size_t telnet_greeting_size = sizeof telnet_greeting;

/* One byte; true: it is data. */
static bool telnet_byte(Telnet *telnet, uint8_t byte, unsigned *breaks)
{
    switch (telnet->state) {
    case TELNET_DATA:
        telnet->state = byte == TELNET_IAC ? TELNET_COMMAND : TELNET_DATA;
        return byte != TELNET_IAC;
    case TELNET_COMMAND:
        telnet->state = byte >= WILL && byte <= DONT ? TELNET_OPTION : byte == SB ? TELNET_SUBNEGOTIATION : TELNET_DATA;
        *breaks += byte == BREAK;
        return byte == TELNET_IAC;
    case TELNET_OPTION:
        telnet->state = TELNET_DATA;
        return false;
    case TELNET_SUBNEGOTIATION:
        telnet->state = byte == TELNET_IAC ? TELNET_SUBNEGOTIATION_COMMAND : TELNET_SUBNEGOTIATION;
        return false;
    case TELNET_SUBNEGOTIATION_COMMAND:
        telnet->state = byte == SE ? TELNET_DATA : TELNET_SUBNEGOTIATION;
        return false;
    }
    return false;
}

size_t telnet_filter(Telnet *telnet, uint8_t *bytes, size_t count, unsigned *breaks)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = bytes[i];
        if (telnet_byte(telnet, byte, breaks)) {
            bytes[kept++] = byte;
        }
    }
    return kept;
}
