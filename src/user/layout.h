/*
 * How structs that system calls pass look to a guest, where that is not as the host has them.
 */
#pragma once

#include "base/compiler.h"

typedef enum LayoutId {
    LAYOUT_INT32,    /* int and unsigned int */
    LAYOUT_INT64,    /* loff_t, uint64_t */
    LAYOUT_WORD,     /* long, size_t */
    LAYOUT_STAT,
    LAYOUT_STATX,
    LAYOUT_STATFS,
    LAYOUT_TIMESPEC, /* 64-bit time on every guest */
    LAYOUT_ITIMERSPEC,
    LAYOUT_TIMEVAL,  /* words */
    LAYOUT_TIMEZONE,
    LAYOUT_ITIMERVAL,
    LAYOUT_RUSAGE,
    LAYOUT_RLIMIT,   /* words */
    LAYOUT_RLIMIT64,
    LAYOUT_SYSINFO,
    LAYOUT_TMS,
    LAYOUT_TIMEX,
    LAYOUT_EPOLL_EVENT,
    LAYOUT_SCHED_PARAM,
    LAYOUT_MQ_ATTR,
    LAYOUT_SIGEVENT,
    LAYOUT_SEMID,
    LAYOUT_SEMINFO,
    LAYOUT_SHMID,
    LAYOUT_SHMINFO,  /* the limits */
    LAYOUT_SHM_INFO, /* what is used */
    LAYOUT_MSQID,
    LAYOUT_MSGINFO,
    LAYOUT_COUNT
} LayoutId;

enum { LAYOUT_MAXIMUM = 512 }; /* bytes of any struct here */

typedef struct LayoutField {
    uint16_t host_offset, guest_offset;
    uint8_t host_size, guest_size; /* 1, 2, 4, 8 */
    bool is_signed;
    char name[21]; /* for -strace */
} LayoutField;

/* Fields none: the same on both sides. */
typedef struct Layout {
    uint16_t host_size, guest_size;
    const LayoutField *fields;
    uint16_t field_count;
} Layout;

static inline bool layout_is_same(const Layout *layout) { return !layout->field_count; }
/* What does not fit a narrower field is cut to its low bits. Padding is zero. */
void layout_to_host(const Layout *layout, const void *guest, void *host);
void layout_to_guest(const Layout *layout, const void *host, void *guest);
