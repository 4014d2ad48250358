/*
 * -strace: a line for each system call, decoded by the kinds of its arguments.
 *
 * Not here yet: flags by name, what structs hold.
 */
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

static void append_argument(Task *task, unsigned kind, uint64_t value, StrBuf *text)
{
    switch (kind) {
    case ARGUMENT_DIRFD:
        if ((int)value == AT_FDCWD) {
            strbuf_append(text, "AT_FDCWD");
            break;
        }
        __attribute__((fallthrough));
    case ARGUMENT_INT:
    case ARGUMENT_LONG:
    case ARGUMENT_FD:
    case ARGUMENT_SIGNAL:
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
        append_argument(task, row->arguments[i].kind, arguments[i], &text);
    }
    log_write(task->process->log, "%d %s(%s)\n", getpid(), row->name, strbuf_text(&text));
}

void strace_leave(Task *task, const Syscall *row, const uint64_t *arguments, int64_t result)
{
    if (result == -USER_RESTART || result == SYSCALL_NO_RESULT) {
        return;
    }
    if (result < 0 && result > -4096) {
        log_write(task->process->log, "%d %s = -1 errno=%d (%s)\n", getpid(), row->name, (int)-result,
                  strerror((int)-result));
    } else {
        log_write(task->process->log, row->result == RESULT_HEX ? "%d %s = 0x%" PRIx64 "\n" : "%d %s = %" PRId64 "\n",
                  getpid(), row->name, result);
    }
}
