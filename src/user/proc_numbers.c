/*
 * /proc/self: stat, statm and status, with the program's own memory and signals; the emulator's are nobody's business.
 *
 * What is resident stays the host's number, which has the emulator's pages too: they are what the program costs.
 */
#include "user/proc_internal.h"

#include "base/strbuf.h"
#include "base/text.h"
#include "user/memory.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Bytes of what is mapped. */
typedef struct ProgramSizes {
    uint64_t all, data, stack, code, library;
} ProgramSizes;

static ProgramSizes measure(Task *task)
{
    const Program *program = &task->process->program;
    const uint64_t page = GUEST_PAGE_SIZE;
    ProgramSizes sizes = { .code = align_up(program->code_end, page) - program->code_start / page * page };
    uint64_t executable = 0;
    MemoryRange range;

    for (uint64_t at = 0; memory_next(task_memory(task), at, &range); at = range.end) {
        uint64_t size = range.end - range.start;
        sizes.all += size;
        executable += range.protection & PROT_EXEC ? size : 0;
        if (range.kind == MEMORY_STACK) {
            sizes.stack += size;
        } else if (range.protection & PROT_WRITE && !range.shared) {
            sizes.data += size;
        }
    }
    sizes.library = executable > sizes.code ? executable - sizes.code : 0;
    return sizes;
}

typedef struct SignalSets {
    uint64_t ignored, caught;
} SignalSets;

static SignalSets signal_sets(Task *task)
{
    SignalActions *signals = task->process->signals;
    SignalSets sets = { 0 };

    mutex_lock(&signals->lock);
    for (unsigned i = 1; i <= SIGNALS; i++) {
        uint64_t handler = signals->actions[i].handler, bit = UINT64_C(1) << (i - 1);
        sets.ignored |= handler == (uintptr_t)SIG_IGN ? bit : 0;
        sets.caught |= handler != (uintptr_t)SIG_IGN && handler != (uintptr_t)SIG_DFL ? bit : 0;
    }
    mutex_unlock(&signals->lock);
    return sets;
}

/* -- stat and statm ------------------------------------------------------------------------------------------------ */

enum { STAT_FIRST = 23, STAT_FIELDS = 60, SHOWN_SIGNALS = 0x7fffffff };

const char *proc_stat_field(const char *text, unsigned number)
{
    const char *at = strrchr(text, ')');

    for (unsigned i = 2; at && i < number; i++) {
        at = strchr(at + 1, ' ');
    }
    return at ? at + 1 : NULL;
}

void proc_make_stat(Task *task, const char *path, StrBuf *text)
{
    const Program *p = &task->process->program;
    const ProgramSizes sizes = measure(task);
    const SignalSets signals = signal_sets(task);
    const struct {
        bool is_own;
        uint64_t value;
    } fields[STAT_FIELDS] = {
        [23] = { true, sizes.all }, [26] = { true, p->code_start }, [27] = { true, p->code_end },
        [28] = { true, p->stack_start }, [33] = { true, signals.ignored & SHOWN_SIGNALS },
        [34] = { true, signals.caught & SHOWN_SIGNALS }, [45] = { true, p->data_start }, [46] = { true, p->data_end },
        [47] = { true, task_memory(task)->brk_start }, [48] = { true, p->arguments_start },
        [49] = { true, p->arguments_end }, [50] = { true, p->environment_start }, [51] = { true, p->environment_end },
    };
    AUTO_STRBUF(host);

    proc_read_file(path, &host);
    const char *from = strbuf_text(&host);
    for (unsigned i = STAT_FIRST; i < STAT_FIELDS; i++) {
        const char *field = fields[i].is_own ? proc_stat_field(strbuf_text(&host), i) : NULL;
        if (field) {
            strbuf_append_bytes(text, from, (size_t)(field - from));
            strbuf_printf(text, "%" PRIu64, fields[i].value);
            from = field + strcspn(field, " \n");
        }
    }
    strbuf_append(text, from);
}

/* Pages: all, resident, of files, code, 0, data and stack, 0. */
void proc_make_statm(Task *task, const char *path, StrBuf *text)
{
    const ProgramSizes sizes = measure(task);
    uint64_t all = sizes.all / GUEST_PAGE_SIZE, resident = 0, shared = 0;
    AUTO_STRBUF(host);
    char *end;

    proc_read_file(path, &host);
    strtoull(strbuf_text(&host), &end, 10);
    resident = MIN(strtoull(end, &end, 10), all);
    shared = MIN(strtoull(end, &end, 10), resident);
    strbuf_printf(text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 " 0\n", all, resident, shared,
                  sizes.code / GUEST_PAGE_SIZE, (sizes.data + sizes.stack) / GUEST_PAGE_SIZE);
}

/* -- status -------------------------------------------------------------------------------------------------------- */

/* Appends the line as it is the program's; false: it is the host's. */
static bool append_own(const char *line, const ProgramSizes *sizes, const SignalSets *signals, StrBuf *text)
{
    const struct {
        const char *name;
        uint64_t bytes;
        bool is_limit; /* of what the host says */
    } memory[] = {
        { "VmPeak:", sizes->all, false }, { "VmSize:", sizes->all, false }, { "VmHWM:", sizes->all, true },
        { "VmRSS:", sizes->all, true }, { "VmData:", sizes->data, false }, { "VmStk:", sizes->stack, false },
        { "VmExe:", sizes->code, false }, { "VmLib:", sizes->library, false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(memory); i++) {
        if (text_starts_with(line, memory[i].name)) {
            uint64_t host = strtoull(line + strlen(memory[i].name), NULL, 10), own = memory[i].bytes / 1024;
            strbuf_printf(text, "%s\t%8" PRIu64 " kB\n", memory[i].name, memory[i].is_limit ? MIN(host, own) : own);
            return true;
        }
    }
    bool ignored = text_starts_with(line, "SigIgn:"), caught = text_starts_with(line, "SigCgt:");
    if (ignored || caught) {
        strbuf_printf(text, "%.7s\t%016" PRIx64 "\n", line, ignored ? signals->ignored : signals->caught);
    }
    return ignored || caught;
}

void proc_make_status(Task *task, const char *path, StrBuf *text)
{
    const ProgramSizes sizes = measure(task);
    const SignalSets signals = signal_sets(task);
    AUTO_STRBUF(host);

    proc_read_file(path, &host);
    for (const char *line = strbuf_text(&host), *end; (end = strchr(line, '\n')); line = end + 1) {
        if (!append_own(line, &sizes, &signals, text)) {
            strbuf_append_bytes(text, line, (size_t)(end + 1 - line));
        }
    }
}
