/*
 * -strace: a line for each system call, decoded by the kinds of its arguments: strings, flags and signals by name, and
 * the fields of structs whose layout is a table.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "user/host/host.h"
#include "user/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { STRING_SHOWN = 64 };

static void append_string(Task *task, uint64_t address, StrBuf *text)
{
    char string[STRING_SHOWN + 1] = { 0 };

    if (!address || memory_read_string(task_memory(task), string, address, STRING_SHOWN) == -EFAULT) {
        strbuf_printf(text, address ? "0x%" PRIx64 : "NULL", address);
        return;
    }
    strbuf_printf(text, "\"%s\"%s", string, strlen(string) == STRING_SHOWN ? "..." : "");
}

typedef struct FlagName {
    uint32_t value;
    const char *name;
} FlagName;

/* Linux's numbers for the guests: include/uapi/asm-generic. Each ends with a row without a name. */
static const FlagName open_flags[] = {
    { 01, "O_WRONLY" }, { 02, "O_RDWR" }, { 0100, "O_CREAT" }, { 0200, "O_EXCL" }, { 0400, "O_NOCTTY" },
    { 01000, "O_TRUNC" }, { 02000, "O_APPEND" }, { 04000, "O_NONBLOCK" }, { 040000, "O_DIRECT" },
    { 0100000, "O_LARGEFILE" }, { 0200000, "O_DIRECTORY" }, { 0400000, "O_NOFOLLOW" }, { 01000000, "O_NOATIME" },
    { 02000000, "O_CLOEXEC" }, { 04010000, "O_SYNC" }, { 010000000, "O_PATH" }, { 020000000, "O_TMPFILE" }, { 0 },
};
static const FlagName at_flags[] = {
    { 0x100, "AT_SYMLINK_NOFOLLOW" }, { 0x200, "AT_REMOVEDIR" }, { 0x400, "AT_SYMLINK_FOLLOW" },
    { 0x800, "AT_NO_AUTOMOUNT" }, { 0x1000, "AT_EMPTY_PATH" }, { 0x2000, "AT_STATX_FORCE_SYNC" },
    { 0x4000, "AT_STATX_DONT_SYNC" }, { 0 },
};
static const FlagName prot_flags[] = { { 1, "PROT_READ" }, { 2, "PROT_WRITE" }, { 4, "PROT_EXEC" }, { 0 } };
static const FlagName map_flags[] = {
    { 1, "MAP_SHARED" }, { 2, "MAP_PRIVATE" }, { 0x10, "MAP_FIXED" }, { 0x20, "MAP_ANONYMOUS" },
    { 0x100, "MAP_GROWSDOWN" }, { 0x800, "MAP_DENYWRITE" }, { 0x2000, "MAP_LOCKED" }, { 0x4000, "MAP_NORESERVE" },
    { 0x8000, "MAP_POPULATE" }, { 0x10000, "MAP_NONBLOCK" }, { 0x20000, "MAP_STACK" }, { 0x40000, "MAP_HUGETLB" },
    { 0x100000, "MAP_FIXED_NOREPLACE" }, { 0 },
};
static const FlagName clone_flags[] = {
    { 0x100, "CLONE_VM" }, { 0x200, "CLONE_FS" }, { 0x400, "CLONE_FILES" }, { 0x800, "CLONE_SIGHAND" },
    { 0x1000, "CLONE_PIDFD" }, { 0x2000, "CLONE_PTRACE" }, { 0x4000, "CLONE_VFORK" }, { 0x8000, "CLONE_PARENT" },
    { 0x10000, "CLONE_THREAD" }, { 0x20000, "CLONE_NEWNS" }, { 0x40000, "CLONE_SYSVSEM" }, { 0x80000, "CLONE_SETTLS" },
    { 0x100000, "CLONE_PARENT_SETTID" }, { 0x200000, "CLONE_CHILD_CLEARTID" }, { 0x400000, "CLONE_DETACHED" },
    { 0x1000000, "CLONE_CHILD_SETTID" }, { 0x2000000, "CLONE_NEWCGROUP" }, { 0x4000000, "CLONE_NEWUTS" },
    { 0x8000000, "CLONE_NEWIPC" }, { 0x10000000, "CLONE_NEWUSER" }, { 0x20000000, "CLONE_NEWPID" },
    { 0x40000000, "CLONE_NEWNET" }, { 0x80000000, "CLONE_IO" }, { 0 },
};
static const FlagName *const flag_tables[FLAGS_COUNT] = {
    [FLAGS_OPEN] = open_flags, [FLAGS_AT] = at_flags, [FLAGS_PROT] = prot_flags, [FLAGS_MAP] = map_flags,
    [FLAGS_CLONE] = clone_flags,
};
static const char *const no_flags[FLAGS_COUNT] = { [FLAGS_OPEN] = "O_RDONLY", [FLAGS_PROT] = "PROT_NONE" };

/* What has no name follows in hexadecimal: a signal, in clone's. */
static void append_flags(unsigned table, uint64_t value, StrBuf *text)
{
    bool any = false;

    for (const FlagName *flag = flag_tables[table]; flag->name; flag++) {
        if ((value & flag->value) == flag->value) {
            strbuf_printf(text, "%s%s", any ? "|" : "", flag->name);
            value &= ~(uint64_t)flag->value;
            any = true;
        }
    }
    if (value || !any) {
        strbuf_append(text, any ? "|" : "");
        if (!value && no_flags[table]) {
            strbuf_append(text, no_flags[table]);
        } else {
            strbuf_printf(text, value ? "0x%" PRIx64 : "0", value);
        }
    }
}

static void append_signal(uint64_t number, StrBuf *text)
{
    const char *name = sigabbrev_np((int)number);

    if (name) {
        strbuf_printf(text, "SIG%s", name);
    } else {
        strbuf_printf(text, "%" PRId64, (int64_t)number);
    }
}

static void append_field(const uint8_t *bytes, const LayoutField *field, StrBuf *text)
{
    uint64_t value = load_le(bytes + field->guest_offset, field->guest_size);

    if (field->is_signed) {
        strbuf_printf(text, "%s=%" PRId64, field->name, sign_extend(value, field->guest_size * 8));
    } else {
        strbuf_printf(text, "%s=%" PRIu64, field->name, value);
    }
}

/* Times are the same everywhere, and so have no table. */
static void append_struct(Task *task, unsigned id, uint64_t address, StrBuf *text)
{
    const Layout *layout = &task_abi(task)->layouts[id];
    bool is_time = id == LAYOUT_TIMESPEC;
    uint8_t bytes[LAYOUT_MAXIMUM];

    if (!address || (!layout->field_count && !is_time) || layout->guest_size > sizeof bytes ||
        memory_read(task_memory(task), bytes, address, layout->guest_size)) {
        strbuf_printf(text, address ? "0x%" PRIx64 : "NULL", address);
        return;
    }
    if (is_time) {
        strbuf_printf(text, "{tv_sec=%" PRId64 ",tv_nsec=%" PRId64 "}", (int64_t)load_le64(bytes),
                      (int64_t)load_le64(bytes + 8));
        return;
    }
    strbuf_append(text, "{");
    for (unsigned i = 0; i < layout->field_count; i++) {
        strbuf_append(text, i ? "," : "");
        append_field(bytes, &layout->fields[i], text);
    }
    strbuf_append(text, "}");
}

static void append_argument(Task *task, const Argument *argument, uint64_t value, StrBuf *text)
{
    switch (argument->kind) {
    case ARGUMENT_FLAGS:
        append_flags(argument->detail, value, text);
        break;
    case ARGUMENT_SIGNAL:
        append_signal(value, text);
        break;
    case ARGUMENT_IN:
    case ARGUMENT_INOUT:
        append_struct(task, argument->detail, value, text);
        break;
    case ARGUMENT_DIRFD:
        if ((int)value == AT_FDCWD) {
            strbuf_append(text, "AT_FDCWD");
            break;
        }
        __attribute__((fallthrough));
    case ARGUMENT_INT:
    case ARGUMENT_LONG:
    case ARGUMENT_FD:
        strbuf_printf(text, "%" PRId64, (int64_t)value);
        break;
    case ARGUMENT_UINT:
    case ARGUMENT_WORD:
    case ARGUMENT_OFFSET:
        strbuf_printf(text, "%" PRIu64, value);
        break;
    case ARGUMENT_MODE:
        strbuf_printf(text, "0%" PRIo64, value);
        break;
    case ARGUMENT_PATH:
    case ARGUMENT_STRING:
        append_string(task, value, text);
        break;
    default:
        strbuf_printf(text, value ? "0x%" PRIx64 : "0", value);
        break;
    }
}

void strace_enter(Task *task, const Syscall *row, const uint64_t *arguments)
{
    AUTO_STRBUF(text);

    for (unsigned i = 0; i < SYSCALL_ARGUMENTS && row->arguments[i].kind; i++) {
        strbuf_append(&text, i ? "," : "");
        append_argument(task, &row->arguments[i], arguments[i], &text);
    }
    log_write(task->process->log, "%d %s(%s)\n", getpid(), row->name, strbuf_text(&text));
}

/* What a call that went well wrote, where it can be told. */
static void strace_results(Task *task, const Syscall *row, const uint64_t *arguments, int64_t result)
{
    for (unsigned i = 0; i < SYSCALL_ARGUMENTS && result >= 0; i++) {
        const Argument *argument = &row->arguments[i];
        bool known = argument->kind == ARGUMENT_OUT && (argument->detail == LAYOUT_TIMESPEC ||
                                                        task_abi(task)->layouts[argument->detail].field_count);
        if (known && arguments[i]) {
            AUTO_STRBUF(text);
            append_struct(task, argument->detail, arguments[i], &text);
            log_write(task->process->log, "%d   %s: %s\n", getpid(), row->name, strbuf_text(&text));
        }
    }
}

void strace_leave(Task *task, const Syscall *row, const uint64_t *arguments, int64_t result)
{
    if (result == -USER_RESTART || result == SYSCALL_NO_RESULT) {
        return;
    }
    strace_results(task, row, arguments, result);
    if (result < 0 && result > -4096) {
        log_write(task->process->log, "%d %s = -1 errno=%d (%s)\n", getpid(), row->name, (int)-result,
                  strerror((int)-result));
    } else {
        log_write(task->process->log, row->result == RESULT_HEX ? "%d %s = 0x%" PRIx64 "\n" : "%d %s = %" PRId64 "\n",
                  getpid(), row->name, result);
    }
}
