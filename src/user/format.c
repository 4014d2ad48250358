/* Structs by a line of text: see format.h. */
#include "user/format.h"

#include "base/bytes.h"
#include "base/strbuf.h"
#include "user/memory.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_WORD = 8, SHOWN = 32 };

typedef struct Member {
    char kind;
    unsigned count;
    int name_length; /* 0: none */
    const char *name;
} Member;

/* The next member; false behind the last. */
static bool next(const char **at, Member *member)
{
    while (**at == ' ') {
        ++*at;
    }
    if (!**at) {
        return false;
    }
    member->count = isdigit(**at) ? (unsigned)strtoul(*at, (char **)at, 10) : 1;
    member->kind = *(*at)++;
    member->name = *at + 1;
    member->name_length = **at == ':' ? (int)strcspn(member->name, " ") : 0;
    *at += member->name_length ? member->name_length + 1 : 0;
    return true;
}

static unsigned size_of(char kind, unsigned word)
{
    switch (kind) {
    case 'b':
        return 1;
    case 'h':
        return 2;
    case 'i':
    case 'I':
        return 4;
    case 'q':
    case 'Q':
    case 'P':
        return 8;
    default:
        return word;
    }
}

/* What is only an alignment has no bytes. */
static unsigned count_of(const Member *member)
{
    return member->kind == 'a' ? 0 : member->count;
}

size_t format_size(const char *format, unsigned word)
{
    size_t size = 0, widest = 1;
    Member member;

    while (next(&format, &member)) {
        unsigned bytes = size_of(member.kind, word);
        size = align_up(size, bytes) + (size_t)bytes * count_of(&member);
        widest = MAX(widest, bytes);
    }
    return align_up(size, widest);
}

static bool is_address(char kind)
{
    return kind == 'p' || kind == 'P';
}

static uint64_t load_member(char kind, unsigned size, const uint8_t *bytes)
{
    uint64_t value = load_le(bytes, size);
    return kind == 'I' || kind == 'Q' || kind == 'L' ? (uint64_t)sign_extend(value, size * 8) : value;
}

bool format_to_host(const char *format, unsigned word, const GuestMemory *memory, const void *guest, void *host)
{
    const uint8_t *from = guest;
    uint8_t *to = host;
    size_t at = 0, host_at = 0;
    Member member;

    memset(host, 0, format_size(format, HOST_WORD));
    while (next(&format, &member)) {
        unsigned size = size_of(member.kind, word), host_size = size_of(member.kind, HOST_WORD);
        at = align_up(at, size);
        host_at = align_up(host_at, host_size);
        for (unsigned i = 0; i < count_of(&member); i++, at += size, host_at += host_size) {
            uint64_t value = load_member(member.kind, size, from + at);
            if (is_address(member.kind) && value) {
                if (!memory_contains(memory, value, 1)) {
                    return false;
                }
                value = (uintptr_t)memory_host(memory, value);
            }
            store_le(to + host_at, host_size, value);
        }
    }
    return true;
}

void format_to_guest(const char *format, unsigned word, const GuestMemory *memory, const void *host, void *guest)
{
    const uint8_t *from = host;
    uint8_t *to = guest;
    size_t at = 0, host_at = 0;
    Member member;

    memset(guest, 0, format_size(format, word));
    while (next(&format, &member)) {
        unsigned size = size_of(member.kind, word), host_size = size_of(member.kind, HOST_WORD);
        at = align_up(at, size);
        host_at = align_up(host_at, host_size);
        for (unsigned i = 0; i < count_of(&member); i++, at += size, host_at += host_size) {
            uint64_t value = load_member(member.kind, host_size, from + host_at);
            if (is_address(member.kind) && value) {
                value -= (uintptr_t)memory->base;
            }
            store_le(to + at, size, value);
        }
    }
}

static void print_bytes(const uint8_t *bytes, unsigned count, StrBuf *text)
{
    unsigned shown = MIN(count, SHOWN);

    strbuf_append_char(text, '"');
    for (unsigned i = 0; i < shown && bytes[i]; i++) {
        strbuf_printf(text, isprint(bytes[i]) && !strchr("\"\\", bytes[i]) ? "%c" : "\\x%02x", bytes[i]);
    }
    strbuf_append(text, count > shown && !memchr(bytes, 0, shown) ? "\"..." : "\"");
}

static void print_member(char kind, uint64_t value, StrBuf *text)
{
    if (kind == 'I' || kind == 'Q' || kind == 'L') {
        strbuf_printf(text, "%" PRId64, (int64_t)value);
    } else if (is_address(kind)) {
        strbuf_printf(text, value ? "0x%" PRIx64 : "NULL", value);
    } else {
        strbuf_printf(text, value > INT32_MAX ? "0x%" PRIx64 : "%" PRIu64, value);
    }
}

void format_print(const char *format, unsigned word, const void *guest, StrBuf *text)
{
    const uint8_t *bytes = guest;
    const char *separator = "";
    size_t at = 0;
    Member member;

    strbuf_append_char(text, '{');
    while (next(&format, &member)) {
        unsigned size = size_of(member.kind, word);
        at = align_up(at, size);
        if (member.name_length) {
            strbuf_printf(text, "%s%.*s=%s", separator, member.name_length, member.name, count_of(&member) > 1 &&
                          member.kind != 'b' ? "[" : "");
            separator = "";
        }
        if (member.kind == 'b' && member.count > 1) {
            strbuf_append(text, separator);
            print_bytes(bytes + at, member.count, text);
            at += member.count;
        } else {
            for (unsigned i = 0; i < count_of(&member); i++, at += size) {
                strbuf_append(text, i ? "," : separator);
                print_member(member.kind, load_member(member.kind, size, bytes + at), text);
            }
        }
        if (member.name_length && count_of(&member) > 1 && member.kind != 'b') {
            strbuf_append_char(text, ']');
        }
        separator = count_of(&member) ? "," : separator;
    }
    strbuf_append_char(text, '}');
}
