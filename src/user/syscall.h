/*
 * System calls: one row in syscalls.def for each says its name, its arguments and which function does it. The rows
 * serve conversion, -strace and docs/syscalls.md alike.
 */
#pragma once

#include "user/process.h"

#include <sys/uio.h>

/* No result: registers are as they are to be (rt_sigreturn). */
#define SYSCALL_NO_RESULT INT64_MIN

typedef enum ArgumentKind {
    ARGUMENT_NONE,
    ARGUMENT_INT,       /* 32 bits, signed */
    ARGUMENT_UINT,      /* 32 bits */
    ARGUMENT_WORD,      /* as wide as a word, unsigned: sizes and counts */
    ARGUMENT_LONG,      /* as wide as a word, signed */
    ARGUMENT_HEX,
    ARGUMENT_OFFSET,    /* 64 bits: two words, low first, where words have 32 */
    ARGUMENT_HIGH,      /* behind an offset that is two words everywhere, of which a wide low one is all of it */
    ARGUMENT_FD,
    ARGUMENT_DIRFD,     /* or AT_FDCWD */
    ARGUMENT_MODE,      /* octal */
    ARGUMENT_SIGNAL,
    ARGUMENT_FLAGS,     /* 32 bits; detail: a FlagTable */
    ARGUMENT_ADDRESS,   /* guest address that is not looked at */
    ARGUMENT_AREA,      /* mapped memory, ENOMEM beyond the guest's space; detail: the argument that holds the size */
    /* of a file that exists: sought below -L first, and /proc/self is the guest's; detail: a PathLink */
    ARGUMENT_PATH,
    ARGUMENT_STRING,    /* any other */
    ARGUMENT_BYTES_IN,  /* detail: the argument that holds the size */
    ARGUMENT_BYTES_OUT, /* the same */
    ARGUMENT_IN,        /* detail: a LayoutId */
    ARGUMENT_OUT,
    ARGUMENT_INOUT,
    ARGUMENT_VECTOR_IN, /* iovec; detail: the argument that holds the count */
    ARGUMENT_VECTOR_OUT,
    ARGUMENT_SIGSET_IN, /* 8 bytes */
    ARGUMENT_FIXED_IN,  /* detail: bytes, the same on every guest */
    ARGUMENT_FIXED_OUT,
    ARGUMENT_INFO_IN,   /* siginfo */
    ARGUMENT_INFO_OUT,
} ArgumentKind;

typedef enum ResultKind { RESULT_NUMBER, RESULT_HEX } ResultKind;

typedef struct Argument {
    uint8_t kind, detail;
} Argument;

/* `arguments` are those of the row, each as a 64-bit value. Returns the result or a negative errno value;
 * -USER_RESTART: a signal is to be delivered first. */
typedef int64_t SyscallFunction(Task *task, const uint64_t *arguments);

typedef struct Syscall {
    char name[28];
    uint16_t host_number; /* for syscall_forward */
    uint8_t result;       /* ResultKind */
    Argument arguments[SYSCALL_ARGUMENTS];
    SyscallFunction *function; /* NULL: forwarded to the host */
} Syscall;

typedef enum SyscallId {
#define SYSCALL(name, ...) SYSCALL_##name,
#include "user/syscalls.def"
#undef SYSCALL
    SYSCALL_COUNT
} SyscallId;

extern const Syscall syscall_table[SYSCALL_COUNT];
typedef enum FlagTableId { FLAGS_OPEN, FLAGS_AT, FLAGS_PROT, FLAGS_MAP, FLAGS_CLONE, FLAGS_COUNT } FlagTableId;

/* NULL: the guest has no such number. */
const Syscall *syscall_find(const UserAbi *abi, uint64_t number);

/* Converts the arguments, makes the host's call, converts what comes out. */
int64_t syscall_forward(Task *task, const Syscall *row, const uint64_t *arguments);
/* The call that the task's exception is, from arguments to result. */
void syscall_run(Task *task);

/* The host's call with signals watched: see user_syscall. */
int64_t host_call(Task *task, long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

/* A guest address as a pointer for the host's kernel, which checks what is mapped there; for `size` bytes. NULL stays
 * NULL. False: it is beyond the guest's space. */
bool guest_pointer(const Task *task, uint64_t address, uint64_t size, uint64_t *host);

/* Whether the file is the emulator's own, and none of the guest's: calls that name it give EBADF. */
bool task_file_is_own(const Task *task, int fd);

/* An address that the host's kernel finds bad, at the time that it looks there. */
#define BAD_POINTER (UINT64_C(1) << 63)
/* The same where it may be bad: what lies beyond the guest's space becomes BAD_POINTER. */
uint64_t guest_pointer_or_bad(const Task *task, uint64_t address, uint64_t size);

/* Whether words and addresses are the host's: structs with pointers can be passed as they are. */
bool guest_is_like_host(const Task *task);

/* Whether the program may write there: looked at before a call that cannot be undone. */
bool task_can_write(Task *task, uint64_t address, uint64_t size);
/* How many of the bytes there, from the first on, it may write. */
uint64_t task_writable(Task *task, uint64_t address, uint64_t size);

/* A struct from and to guest memory: 0 or -EFAULT. */
int task_read(Task *task, LayoutId layout, uint64_t address, void *host);
int task_write(Task *task, LayoutId layout, uint64_t address, const void *host);

/* An iovec of the guest, at most VECTOR_MAXIMUM long, for the host: 0 or a negative errno value. */
enum { VECTOR_MAXIMUM = 1024 };
int64_t task_vector(Task *task, uint64_t address, uint64_t count, struct iovec *vector);

/* -strace: before and after a call. */
void strace_enter(Task *task, const Syscall *row, const uint64_t *arguments);
/* A signal that calls a handler, or ends the program. */
void strace_deliver(Task *task, const siginfo_t *info);
void strace_leave(Task *task, const Syscall *row, const uint64_t *arguments, int64_t result);
