/* Requests of ioctl by a table: their names and arguments for -strace, and the table for its test. */
#pragma once

#include "user/process.h"

typedef struct StrBuf StrBuf;

/* NULL: there is no row. */
const char *ioctl_name(const Task *task, uint32_t request);
/* The struct that is passed, or, where it `returns`, that has come. False: there is none. */
bool ioctl_print(Task *task, uint32_t request, uint64_t address, bool returns, StrBuf *text);

typedef struct IoctlDescription {
    const char *name, *format, *declared;
    uint32_t request;
} IoctlDescription;
bool ioctl_row(size_t index, IoctlDescription *description);
