/* Between strace.c, which writes lines, and what it knows of values: names of flags, structs. */
#pragma once

#include "base/strbuf.h"
#include "user/syscall.h"

/* Names of bits, or of numbers, by set. The order is that of strace_names.c. */
typedef enum NameSet {
    NAMES_OPEN, NAMES_AT, NAMES_PROT, NAMES_MAP, NAMES_CLONE, /* as FlagTableId */
    NAMES_ACCESS, NAMES_WHENCE, NAMES_FCNTL, NAMES_FD, NAMES_LOCK, NAMES_SPLICE, NAMES_RENAME, NAMES_XATTR,
    NAMES_FALLOCATE, NAMES_FADVISE, NAMES_STATX, NAMES_RWF, NAMES_EPOLL_CTL, NAMES_EPOLL_CREATE, NAMES_EVENTFD,
    NAMES_TIMERFD, NAMES_SIGNALFD, NAMES_INOTIFY, NAMES_INOTIFY_MASK, NAMES_MOUNT, NAMES_UMOUNT, NAMES_MREMAP,
    NAMES_MADVISE, NAMES_MSYNC, NAMES_MLOCKALL, NAMES_MEMFD, NAMES_MEMBARRIER, NAMES_FUTEX, NAMES_WAIT, NAMES_WAIT_ID,
    NAMES_CLOCK, NAMES_TIMER, NAMES_ITIMER, NAMES_RESOURCE, NAMES_RUSAGE, NAMES_PRCTL, NAMES_SCHED, NAMES_PRIORITY,
    NAMES_SIGNAL_HOW, NAMES_SIGACTION, NAMES_DOMAIN, NAMES_SOCKET, NAMES_MESSAGE, NAMES_SHUTDOWN, NAMES_SOCKET_LEVEL,
    NAMES_SOCKET_OPTION, NAMES_IPC, NAMES_IPC_CONTROL, NAMES_RANDOM, NAMES_PERSONALITY, NAMES_POLL, NAMES_CLOSE_RANGE,
    NAMES_SECCOMP, NAMES_REBOOT, NAMES_ACCESS_AT, NAMES_BITS, NAMES_FANOTIFY, NAMES_FANOTIFY_MARK, NAMES_FANOTIFY_MASK,
    NAMES_FUTEX2, NAMES_KEYCTL, NAMES_KCMP, NAMES_MEMPOLICY, NAMES_MEMPOLICY_FLAGS, NAMES_MOVE_PAGES, NAMES_OPEN_TREE,
    NAMES_MOVE_MOUNT, NAMES_FSOPEN, NAMES_FSCONFIG, NAMES_FSMOUNT, NAMES_MOUNT_ATTRIBUTE, NAMES_FSPICK,
    NAMES_SEMAPHORE_CONTROL, NAMES_SHM, NAMES_NOTIFY, NAMES_MLOCK, NAMES_UTIME, NAMES_LANDLOCK, NAMES_SYNC_RANGE,
    NAMES_PIDFD, NAMES_SIGNAL_CODE, NAMES_HANDLE, NAMES_SWAP, NAMES_MODULE, NAMES_PRIORITY_IO, NAMES_COUNT
} NameSet;

void strace_flags(NameSet set, uint64_t value, StrBuf *text);
/* One of several numbers; with the low bits of a mask where there are flags besides. */
void strace_choice(NameSet set, uint64_t value, StrBuf *text);
void strace_signal(uint64_t number, StrBuf *text);
void strace_signals(uint64_t set, StrBuf *text);
/* "{si_signo=SIGSEGV,si_code=SEGV_MAPERR,si_addr=0x8}" */
void strace_info(const siginfo_t *info, StrBuf *text);
void strace_string(Task *task, uint64_t address, StrBuf *text);
/* Bytes as a string, the first of them. */
void strace_bytes(Task *task, uint64_t address, uint64_t size, StrBuf *text);
void strace_pointer(uint64_t address, StrBuf *text);

/* What is known of an argument beyond its kind: rows of strace.def. */
typedef struct StraceHint StraceHint;
const StraceHint *strace_find_hint(const Syscall *row, unsigned argument, bool returns);
void strace_hint(Task *task, const StraceHint *hint, const uint64_t *arguments, unsigned argument, int64_t result,
                 StrBuf *text);
