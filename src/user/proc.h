/* Files of /proc that show the program itself: what they say is about the guest, not about us. */
#pragma once

#include "user/process.h"

typedef struct PathBuffer PathBuffer;
typedef struct StrBuf StrBuf;

typedef enum ProcFile {
    PROC_NONE, /* the host's will do */
    PROC_EXE,
    PROC_MAPS,
    PROC_SMAPS,
    PROC_AUXV,
    PROC_CMDLINE,
    PROC_ENVIRON,
    PROC_STAT,
    PROC_STATM,
    PROC_STATUS,
    PROC_ROLLUP,
    PROC_NUMA_MAPS,
    PROC_CPUINFO,
    PROC_OTHER_MAPS, /* of another program that we run */
    PROC_FILES,
} ProcFile;

/* Whether a file of a process that is made up here is called so. */
bool proc_has(const char *name);
/* What an absolute path names. */
ProcFile proc_find(const Process *process, const char *path);
/* Whether an absolute path names the program that this process, or another of ours, runs: its file, as a link shows
 * it. */
bool proc_program(const Process *process, const char *path, PathBuffer *program);
/* The same: a name that leads there, whatever became of the file's own. */
bool proc_program_file(const Process *process, const char *path, PathBuffer *program);
/* A file with what the guest is to see, to be read; -errno where it cannot be made, or may not be opened so. */
int64_t proc_open(Task *task, ProcFile file, const char *path, uint64_t flags);
/* What the descriptor of such a file stands for, to be asked about alone; -1: it is no such file. */
int proc_open_original(const Process *process, int fd);
/* The same text of a file below /proc/self, by its name; false: it is the host's. */
bool proc_text(Task *task, const char *name, StrBuf *text);
/* -d page: shows the map of memory. `after`: what changed it. */
void proc_log_layout(Task *task, const char *after);
/* Tells the host's kernel what its own files of this process are to show. */
void proc_show_program(Process *process);
