/*
 * -strace: a line for each system call, decoded by the kinds of its arguments and by what strace.def knows beyond them.
 *
 *     1234 openat(AT_FDCWD,"/etc/passwd",O_RDONLY|O_CLOEXEC) = 3
 *     1234 clock_gettime(CLOCK_REALTIME,0x3fffffe7f0) = 0 ({tv_sec=1,tv_nsec=2})
 *
 * The call is written when it begins and its result when it ends; where others write between, the line says
 * <unfinished ...>, and another one goes on with it.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "user/host/host.h"
#include "user/strace_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { STRING_SHOWN = 64, BYTES_SHOWN = 32 };

void strace_pointer(uint64_t address, StrBuf *text)
{
    strbuf_printf(text, address ? "0x%" PRIx64 : "NULL", address);
}

static void append_escaped(const uint8_t *bytes, size_t size, StrBuf *text)
{
    static const char named[] = "\n\t\r\"\\", letters[] = "ntr\"\\";

    for (size_t i = 0; i < size; i++) {
        const char *known = bytes[i] ? strchr(named, bytes[i]) : NULL;
        if (known) {
            strbuf_printf(text, "\\%c", letters[known - named]);
        } else {
            strbuf_printf(text, isprint(bytes[i]) ? "%c" : "\\%o", bytes[i]);
        }
    }
}

void strace_string(Task *task, uint64_t address, StrBuf *text)
{
    char string[STRING_SHOWN + 1] = { 0 };

    if (!address || memory_read_string(task_memory(task), string, address, STRING_SHOWN) == -EFAULT) {
        strace_pointer(address, text);
        return;
    }
    strbuf_append_char(text, '"');
    append_escaped((const uint8_t *)string, strlen(string), text);
    strbuf_append(text, strlen(string) == STRING_SHOWN ? "\"..." : "\"");
}

void strace_bytes(Task *task, uint64_t address, uint64_t size, StrBuf *text)
{
    uint8_t bytes[BYTES_SHOWN];
    size_t shown = MIN(size, sizeof bytes);

    if (!address || memory_read(task_memory(task), bytes, address, shown)) {
        strace_pointer(address, text);
        return;
    }
    strbuf_append_char(text, '"');
    append_escaped(bytes, shown, text);
    strbuf_append(text, size > shown ? "\"..." : "\"");
}

static void append_field(const uint8_t *bytes, const LayoutField *field, StrBuf *text)
{
    uint64_t value = load_le(bytes + field->guest_offset, field->guest_size);

    if (!strcmp(field->name, "st_mode")) {
        strbuf_printf(text, "%s=0%" PRIo64, field->name, value);
    } else if (field->is_signed) {
        strbuf_printf(text, "%s=%" PRId64, field->name, sign_extend(value, field->guest_size * 8));
    } else {
        strbuf_printf(text, "%s=%" PRIu64, field->name, value);
    }
}

/* Times are the same everywhere, and so have no table. */
static void append_times(const uint8_t *bytes, unsigned count, StrBuf *text)
{
    for (unsigned i = 0; i < count; i++) {
        strbuf_printf(text, "%s{tv_sec=%" PRId64 ",tv_nsec=%" PRId64 "}", i ? "," : "",
                      (int64_t)load_le64(bytes + 16 * i), (int64_t)load_le64(bytes + 16 * i + 8));
    }
}

static void append_struct(Task *task, unsigned id, uint64_t address, StrBuf *text)
{
    const Layout *layout = &task_abi(task)->layouts[id];
    uint8_t bytes[LAYOUT_MAXIMUM];

    if (!address || layout->guest_size > sizeof bytes ||
        memory_read(task_memory(task), bytes, address, layout->guest_size)) {
        strace_pointer(address, text);
        return;
    }
    if (id == LAYOUT_TIMESPEC || id == LAYOUT_ITIMERSPEC) {
        append_times(bytes, id == LAYOUT_TIMESPEC ? 1 : 2, text);
    } else if (!layout->field_count && (layout->guest_size == 4 || layout->guest_size == 8)) {
        strbuf_printf(text, "[%" PRId64 "]", sign_extend(load_le(bytes, layout->guest_size), layout->guest_size * 8u));
    } else if (!layout->field_count) {
        strace_pointer(address, text);
    } else {
        strbuf_append(text, "{");
        for (unsigned i = 0; i < layout->field_count; i++) {
            strbuf_append(text, i ? "," : "");
            append_field(bytes, &layout->fields[i], text);
        }
        strbuf_append(text, "}");
    }
}

static void append_sigset(Task *task, uint64_t address, StrBuf *text)
{
    uint64_t set;

    if (!address || memory_read(task_memory(task), &set, address, sizeof set)) {
        strace_pointer(address, text);
    } else {
        strace_signals(set, text);
    }
}

static void append_argument(Task *task, const Syscall *row, const uint64_t *arguments, unsigned i, StrBuf *text)
{
    const Argument *argument = &row->arguments[i];
    uint64_t value = arguments[i];

    switch (argument->kind) {
    case ARGUMENT_FLAGS:
        strace_flags((NameSet)argument->detail, value, text);
        break;
    case ARGUMENT_SIGNAL:
        strace_signal(value, text);
        break;
    case ARGUMENT_SIGSET_IN:
        append_sigset(task, value, text);
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
    case ARGUMENT_HIGH:
        strbuf_printf(text, "%" PRIu64, value);
        break;
    case ARGUMENT_MODE:
        strbuf_printf(text, "0%" PRIo64, value);
        break;
    case ARGUMENT_PATH:
    case ARGUMENT_STRING:
        strace_string(task, value, text);
        break;
    case ARGUMENT_BYTES_IN:
        strace_bytes(task, value, arguments[argument->detail], text);
        break;
    case ARGUMENT_HEX:
        strbuf_printf(text, value ? "0x%" PRIx64 : "0", value);
        break;
    default:
        strace_pointer(value, text);
        break;
    }
}

/* Calls that do not come back, or not to where they began: their lines end at once. */
static bool ends_at_once(const Syscall *row)
{
    static const uint16_t calls[] = { SYSCALL_exit, SYSCALL_exit_group, SYSCALL_rt_sigreturn };

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        if (row == &syscall_table[calls[i]]) {
            return true;
        }
    }
    return false;
}

void strace_enter(Task *task, const Syscall *row, const uint64_t *arguments)
{
    AUTO_STRBUF(text);
    bool at_once = ends_at_once(row);
    int owner = atomic_exchange(&task->process->strace_owner, at_once ? 0 : task->tid);

    strbuf_printf(&text, "%s%d %s(", owner ? " <unfinished ...>\n" : "", task->tid, row->name);
    for (unsigned i = 0; i < SYSCALL_ARGUMENTS && row->arguments[i].kind; i++) {
        const StraceHint *hint = strace_find_hint(row, i, false);
        strbuf_append(&text, i ? "," : "");
        if (hint) {
            strace_hint(task, hint, arguments, i, 0, &text);
        } else {
            append_argument(task, row, arguments, i, &text);
        }
    }
    strbuf_append(&text, at_once ? ") = ?\n" : ")");
    log_write(task->process->log, "%s", strbuf_text(&text));
}

/* What an argument's memory holds after a call that went well; nothing where it is not told. */
static void append_result(Task *task, const Syscall *row, const uint64_t *arguments, unsigned i, int64_t result,
                          StrBuf *text)
{
    const Argument *argument = &row->arguments[i];
    const StraceHint *hint = strace_find_hint(row, i, true);

    if (!arguments[i]) {
        return;
    }
    if (hint) {
        strace_hint(task, hint, arguments, i, result, text);
    } else if (argument->kind == ARGUMENT_BYTES_OUT && result > 0) {
        strace_bytes(task, arguments[i], (uint64_t)result, text);
    } else if (argument->kind == ARGUMENT_OUT || argument->kind == ARGUMENT_INOUT) {
        append_struct(task, argument->detail, arguments[i], text);
    }
}

static void append_results(Task *task, const Syscall *row, const uint64_t *arguments, int64_t result, StrBuf *text)
{
    AUTO_STRBUF(all);

    for (unsigned i = 0; i < SYSCALL_ARGUMENTS; i++) {
        AUTO_STRBUF(one);
        append_result(task, row, arguments, i, result, &one);
        if (one.length) {
            strbuf_append(&all, all.length ? "," : "");
            strbuf_append(&all, strbuf_text(&one));
        }
    }
    if (all.length) {
        strbuf_printf(text, " (%s)", strbuf_text(&all));
    }
}

void strace_leave(Task *task, const Syscall *row, const uint64_t *arguments, int64_t result)
{
    AUTO_STRBUF(text);

    if (result == SYSCALL_NO_RESULT) {
        return;
    }
    int owner = atomic_exchange(&task->process->strace_owner, 0);
    if (owner != task->tid) {
        strbuf_printf(&text, "%s%d <... %s resumed>", owner ? " <unfinished ...>\n" : "", task->tid, row->name);
    }
    if (result == -USER_RESTART) {
        strbuf_append(&text, " = ? (to be restarted)");
    } else if (result < 0 && result > -4096) {
        strbuf_printf(&text, " = -1 errno=%d (%s)", (int)-result, strerror((int)-result));
    } else {
        strbuf_printf(&text, row->result == RESULT_HEX ? " = 0x%" PRIx64 : " = %" PRId64, result);
        append_results(task, row, arguments, result, &text);
    }
    log_write(task->process->log, "%s\n", strbuf_text(&text));
}

void strace_deliver(Task *task, const siginfo_t *info)
{
    AUTO_STRBUF(text);
    int owner = atomic_exchange(&task->process->strace_owner, 0);

    strbuf_append(&text, owner ? " <unfinished ...>\n--- " : "--- ");
    strace_signal((uint64_t)info->si_signo, &text);
    strbuf_append_char(&text, ' ');
    strace_info(info, &text);
    log_write(task->process->log, "%s ---\n", strbuf_text(&text));
}
