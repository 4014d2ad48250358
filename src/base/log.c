/* The log: items, files, address ranges. */
#include "base/log.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/trace.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

typedef struct LogItemRow {
    const char *name, *description;
} LogItemRow;

static const LogItemRow items[] = {
#define X(enumerator, name, description) { name, description },
    LOG_ITEMS(X)
#undef X
    { "none", "clear the items before this one" },
    { "all", "set all items but 'nochain' and 'tid'" },
    { "vpu", "nothing: no processor here has vector registers yet" },
    { "op_ind", "nothing: there is no lowering of indirect operations here" },
    { "op_plugin", "nothing: there are no plugins here" },
    { "plugin", "nothing: there are no plugins here" },
    { "pcall", "nothing: calls of x86's protected mode, and there is no such guest here" },
};
enum { ITEM_NONE = LOG_ITEM_COUNT, ITEM_ALL };

Log *log_new(void)
{
    Log *log = NEW(Log);
    mutex_init(&log->lock);
    return log;
}

static void close_files(Log *log)
{
    if (log->file) {
        fclose(log->file);
        log->file = NULL;
    }
    for (size_t i = 0; i < log->thread_file_count; i++) {
        fclose(log->thread_files[i].file);
    }
    log->thread_file_count = 0;
}

void log_free(Log *log)
{
    if (log) {
        close_files(log);
        mutex_destroy(&log->lock);
        free(log->file_name);
        free(log->ranges);
        free(log);
    }
}

void log_print_items(StrBuf *out)
{
    strbuf_append(out, "Log items (comma separated):\n");
    for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
        strbuf_printf(out, "%-15s %s\n", items[i].name, items[i].description);
    }
    strbuf_printf(out, "%-15s %s\n", "trace:PATTERN", "enable trace events; 'trace:help' lists them");
}

static const char *item_candidate(const void *context, size_t i)
{
    return i < ARRAY_SIZE(items) ? items[i].name : NULL;
}

/* Applies one word of the list, but for trace patterns, to *selected. */
static bool apply_item(const char *word, uint32_t *selected, Error **error)
{
    if (text_starts_with(word, "trace:")) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
        if (strcmp(items[i].name, word) == 0) {
            uint32_t all = (uint32_t)mask_bits(LOG_ITEM_COUNT) & ~(uint32_t)(LOG_NOCHAIN | LOG_TID);
            *selected |= i < LOG_ITEM_COUNT ? (uint32_t)BIT(i) : i == ITEM_ALL ? all : 0;
            *selected = i == ITEM_NONE ? 0 : *selected;
            return true;
        }
    }
    AUTO_FREE char *suggestion = text_suggestion(word, item_candidate, NULL);
    return error_set(error, "'%s' is not a log item%s%s", word, *suggestion ? suggestion : "; ",
                     *suggestion ? "" : "'help' lists them");
}

static bool apply_trace(Log *log, const char *word, Error **error)
{
    if (!text_starts_with(word, "trace:")) {
        return true;
    }
    if (!log->trace) {
        return error_set(error, "'%s': there are no trace events here", word);
    }
    return trace_select(log->trace, word + strlen("trace:"), error);
}

static bool has_thread_name(const char *name) { return name && strstr(name, "%d"); }

bool log_set_items(Log *log, const char *list, Error **error)
{
    AUTO_FREE char *words = string_copy(list);
    uint32_t selected = 0;
    char *rest = words, *word;
    while ((word = strsep(&rest, ","))) {
        if (!apply_item(word, &selected, error)) {
            return false;
        }
    }
    if (selected & LOG_TID && !has_thread_name(log->file_name)) {
        return error_set(error, "the log item 'tid' needs a log file whose name has '%%d' in it");
    }
    strcpy(words, list);
    rest = words;
    while ((word = strsep(&rest, ","))) {
        if (!apply_trace(log, word, error)) {
            return false;
        }
    }
    atomic_store_explicit(&log->items, selected, memory_order_relaxed);
    return true;
}

/* The file name's %d replaced by `number`; the name was checked to have at most one. */
static char *expand_name(const char *name, uint64_t number)
{
    const char *percent = strchr(name, '%');
    if (!percent) {
        return string_copy(name);
    }
    return string_format("%.*s%llu%s", (int)(percent - name), name, (unsigned long long)number, percent + 2);
}

/* Takes the descriptor. */
static FILE *open_descriptor(int fd, const char *path, Error **error)
{
    FILE *file = fdopen(fd, "w");

    if (!file) {
        error_set_errno(error, errno, "cannot write to the log file '%s'", path);
        close(fd);
    }
    return file;
}

static FILE *open_file(const Log *log, const char *name, uint64_t number, int flags, Error **error)
{
    AUTO_FREE char *path = expand_name(name, number);
    int fd = files_open(log->files, path, O_WRONLY | O_CREAT | flags, 0666, error);
    int moved = fd >= 0 && log->lowest_fd ? fcntl(fd, F_DUPFD_CLOEXEC, log->lowest_fd) : -1;
    if (moved >= 0) {
        close(fd);
        fd = moved;
    }
    return fd < 0 ? NULL : open_descriptor(fd, path, error);
}

bool log_set_file(Log *log, const char *name, Error **error)
{
    FILE *file = NULL;
    if (name && *name) {
        const char *percent = strchr(name, '%');
        if (percent && (percent[1] != 'd' || strchr(percent + 1, '%'))) {
            return error_set(error, "the log file name '%s' may hold one '%%d' and no other '%%'", name);
        }
        bool by_thread = atomic_load(&log->items) & LOG_TID;
        if (by_thread && !percent) {
            return error_set(error, "the log item 'tid' needs a log file whose name has '%%d' in it");
        }
        file = open_file(log, name, (uint64_t)getpid(), O_TRUNC, error);
        if (!file) {
            return false;
        }
    } else {
        name = NULL;
    }
    mutex_lock(&log->lock);
    close_files(log);
    free(log->file_name);
    log->file_name = string_copy(name);
    log->file = file;
    mutex_unlock(&log->lock);
    return true;
}

bool log_use_file(Log *log, const char *name, int fd, Error **error)
{
    FILE *file = open_descriptor(fd, name ? name : log->file_name, error);

    if (!file) {
        return false;
    }
    mutex_lock(&log->lock);
    if (name) {
        close_files(log);
        free(log->file_name);
        log->file_name = string_copy(name);
    } else if (log->file) {
        fclose(log->file);
    }
    log->file = file;
    mutex_unlock(&log->lock);
    return true;
}

int log_descriptor(const Log *log)
{
    return log->file ? fileno(log->file) : -1;
}

bool log_owns(Log *log, int fd)
{
    bool owns = log->file && fileno(log->file) == fd;

    if (!owns && log_enabled(log, LOG_TID)) {
        mutex_lock(&log->lock);
        for (size_t i = 0; i < log->thread_file_count; i++) {
            owns = owns || fileno(log->thread_files[i].file) == fd;
        }
        mutex_unlock(&log->lock);
    }
    return owns;
}

/*
 * The calling thread's file, opened at its first message. Threads may come and go without end, so that only the latest
 * few stay open; one that was closed is opened again to append.
 */
static FILE *thread_file(Log *log)
{
    LogThreadFile found = { .thread = host_thread_id() };
    if (found.thread == (uint64_t)getpid()) {
        return log->file; /* the main thread's number is the process's */
    }
    size_t i = 0;
    while (i < log->thread_file_count && log->thread_files[i].thread != found.thread) {
        i++;
    }
    if (i < log->thread_file_count) {
        found = log->thread_files[i];
    } else {
        found.file = open_file(log, log->file_name, found.thread, O_APPEND, NULL);
        if (!found.file) {
            return log->file;
        }
        if (i == LOG_THREAD_FILES) {
            fclose(log->thread_files[--i].file);
        } else {
            log->thread_file_count++;
        }
    }
    memmove(&log->thread_files[1], &log->thread_files[0], i * sizeof log->thread_files[0]);
    log->thread_files[0] = found;
    return found.file;
}

void log_write(Log *log, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    AUTO_FREE char *long_text = NULL;
    if (length >= (int)sizeof line) {
        va_start(arguments, format);
        long_text = string_vformat(format, arguments);
        va_end(arguments);
    }
    mutex_lock(&log->lock);
    FILE *file = log->file;
    if (file && log_enabled(log, LOG_TID)) {
        file = thread_file(log);
    }
    file = file ? file : stderr;
    fwrite(long_text ? long_text : line, 1, (size_t)MAX(length, 0), file);
    fflush(file); /* what led to a crash is to be in the file */
    mutex_unlock(&log->lock);
}

void log_lock(Log *log)
{
    mutex_lock(&log->lock);
}

void log_unlock(Log *log)
{
    mutex_unlock(&log->lock);
}

static bool range_malformed(const char *word, const char *why, Error **error)
{
    return error_set(error, "'%s' %s: use START..END, START+LENGTH or START-LENGTH", word, why);
}

static bool range_parse(const char *word, LogRange *range, Error **error)
{
    size_t start_length = strcspn(word, ".+-");
    char kind = word[start_length];
    const char *second = word + start_length + (kind == '.' ? 2 : 1);
    if (!kind || (kind == '.' && word[start_length + 1] != '.')) {
        return range_malformed(word, "is not an address range", error);
    }
    AUTO_FREE char *start_text = string_copy_length(word, start_length);
    uint64_t start, other;
    if (!text_to_uint64(start_text, &start, error) || !text_to_uint64(second, &other, error)) {
        return error_prepend(error, "address range '%s': ", word);
    }
    if (kind == '.') {
        *range = (LogRange){ .first = start, .last = other };
        return start <= other ? true : range_malformed(word, "ends before it starts", error);
    }
    if (other == 0) {
        return range_malformed(word, "is empty", error);
    }
    bool outside = other - 1 > (kind == '+' ? UINT64_MAX - start : start);
    *range = kind == '+' ? (LogRange){ .first = start, .last = start + (other - 1) }
                         : (LogRange){ .first = start - (other - 1), .last = start };
    return outside ? range_malformed(word, "reaches beyond the address space", error) : true;
}

bool log_set_ranges(Log *log, const char *list, Error **error)
{
    VEC(LogRange) ranges = { 0 };
    AUTO_FREE char *words = string_copy(list);
    char *rest = words, *word;
    while ((word = strsep(&rest, ","))) {
        LogRange range;
        if (!range_parse(word, &range, error)) {
            vec_free(&ranges);
            return false;
        }
        vec_push(&ranges, range);
    }
    free(log->ranges);
    log->ranges = ranges.items;
    log->range_count = ranges.count;
    return true;
}

bool log_address_selected(const Log *log, uint64_t address)
{
    bool selected = log->range_count == 0;
    for (size_t i = 0; i < log->range_count && !selected; i++) {
        selected = address >= log->ranges[i].first && address <= log->ranges[i].last;
    }
    return selected;
}
