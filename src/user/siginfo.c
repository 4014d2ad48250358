/*
 * siginfo. Three numbers, then a union: at 16 where words have 64 bits, as the host has it; at 12 with narrow words
 * where they have 32. Which member holds is told by signal and code, as kernel/signal.c's siginfo_layout does.
 */
#include "user/siginfo.h"

#include "base/bytes.h"

#include <string.h>

enum { NARROW_UNION = 12, CODE_KERNEL = 0x80, CODE_TIMER = -2, CODE_IO = -5 };

typedef struct Field {
    uint8_t host, guest; /* offsets */
    uint8_t host_size;
    bool is_signed;
} Field;

/* All are of 32 bits to the guest. A row without a size ends a list. */
static const Field kill_fields[] = { { 16, 12, 4, true }, { 20, 16, 4, false }, { 0 } };
static const Field timer_fields[] = { { 16, 12, 4, true }, { 20, 16, 4, true }, { 24, 20, 8, false }, { 0 } };
static const Field queue_fields[] = { { 16, 12, 4, true }, { 20, 16, 4, false }, { 24, 20, 8, false }, { 0 } };
static const Field child_fields[] = { { 16, 12, 4, true }, { 20, 16, 4, false }, { 24, 20, 4, true },
                                      { 32, 24, 8, true }, { 40, 28, 8, true }, { 0 } };
static const Field fault_fields[] = { { 16, 12, 8, false }, { 24, 16, 2, false }, { 0 } };
static const Field poll_fields[] = { { 16, 12, 8, true }, { 24, 16, 4, true }, { 0 } };
static const Field call_fields[] = { { 16, 12, 8, false }, { 24, 16, 4, true }, { 28, 20, 4, false }, { 0 } };

static const Field *fields_for(int number, int code)
{
    if (code > SI_USER && code < CODE_KERNEL) {
        switch (number) {
        case SIGILL:
        case SIGFPE:
        case SIGSEGV:
        case SIGBUS:
        case SIGTRAP:
            return fault_fields;
        case SIGCHLD:
            return child_fields;
        case SIGPOLL:
            return poll_fields;
        case SIGSYS:
            return call_fields;
        default:
            return kill_fields;
        }
    }
    return code == CODE_TIMER ? timer_fields : code == CODE_IO ? poll_fields : code < 0 ? queue_fields : kill_fields;
}

void siginfo_to_guest(unsigned word, const siginfo_t *info, uint8_t bytes[SIGINFO_SIZE])
{
    memcpy(bytes, info, SIGINFO_SIZE);
    if (word == 8) {
        return;
    }
    memset(bytes + NARROW_UNION, 0, SIGINFO_SIZE - NARROW_UNION);
    for (const Field *f = fields_for(info->si_signo, info->si_code); f->host_size; f++) {
        store_le32(bytes + f->guest, (uint32_t)load_le((const uint8_t *)info + f->host, f->host_size));
    }
}

void siginfo_to_host(unsigned word, const uint8_t bytes[SIGINFO_SIZE], siginfo_t *info)
{
    memcpy(info, bytes, SIGINFO_SIZE);
    if (word == 8) {
        return;
    }
    memset((uint8_t *)info + NARROW_UNION, 0, SIGINFO_SIZE - NARROW_UNION);
    for (const Field *f = fields_for(info->si_signo, info->si_code); f->host_size; f++) {
        uint32_t value = load_le32(bytes + f->guest);
        store_le((uint8_t *)info + f->host, f->host_size, f->is_signed ? (uint64_t)(int32_t)value : value);
    }
}
