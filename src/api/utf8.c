#include "api/utf8.h"

/* A row of RFC 3629's table of well-formed sequences: the range of the first byte, and that of the second. */
typedef struct Utf8Row {
    uint8_t first_low, first_high, second_low, second_high, length;
} Utf8Row;

static const Utf8Row rows[] = {
    { 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
    { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
    { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool row_fits(const Utf8Row *row, const uint8_t *bytes, size_t count)
{
    if (bytes[0] < row->first_low || bytes[0] > row->first_high || count < row->length) {
        return false;
    }
    if (row->length > 1 && (bytes[1] < row->second_low || bytes[1] > row->second_high)) {
        return false;
    }
    for (size_t i = 2; i < row->length; i++) {
        if (bytes[i] < 0x80 || bytes[i] > 0xbf) {
            return false;
        }
    }
    return true;
}

size_t utf8_sequence(const char *bytes, size_t count)
{
    for (size_t i = 0; count && i < ARRAY_SIZE(rows); i++) {
        if (row_fits(&rows[i], (const uint8_t *)bytes, count)) {
            return rows[i].length;
        }
    }
    return 0;
}

bool utf8_valid(const char *bytes, size_t count)
{
    while (count) {
        size_t length = utf8_sequence(bytes, count);
        if (!length) {
            return false;
        }
        bytes += length;
        count -= length;
    }
    return true;
}

size_t utf8_encode(uint32_t code, char bytes[4])
{
    if (code < 0x80) {
        bytes[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = { [2] = 0xc0, [3] = 0xe0, [4] = 0xf0 };
    for (size_t i = length - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    bytes[0] = (char)(lead[length] | code);
    return length;
}
