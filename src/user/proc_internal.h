/* Between the files that make up /proc. */
#pragma once

#include "user/process.h"

typedef struct StrBuf StrBuf;
typedef void ProcFunction(Task *task, const char *path, StrBuf *text);

/* The host's file. */
void proc_read_file(const char *path, StrBuf *text);
/* Where the field of that number, from 3 on, begins in a text of `stat`; NULL: there is none. */
const char *proc_stat_field(const char *text, unsigned number);

/* proc_numbers.c */
ProcFunction proc_make_stat, proc_make_statm, proc_make_status;
