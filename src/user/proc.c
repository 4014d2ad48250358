/*
 * /proc/self and the like: maps, smaps, auxv, cmdline, environ, numbers, and /proc/cpuinfo, as Linux's fs/proc writes
 * them. Names, addresses of arguments and the auxiliary vector are given to the host's kernel too, so that other
 * processes (ps) see the program and not us.
 *
 * Of other programs that we run, exe leads to the program too and maps are the program's; of the rest, what the kernel
 * was given shows.
 */
#include "user/proc.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "user/host/host.h"
#include "user/path.h"
#include "user/proc_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static ProcFunction make_maps, make_smaps, make_rollup, make_numa_maps, make_auxv, make_cmdline, make_environ,
    make_cpuinfo, make_other_maps;

enum { STAT_BRK = 47 };

static const struct {
    const char *name;
    ProcFunction *make;
} files[PROC_FILES] = {
    [PROC_EXE] = { "exe", NULL },
    [PROC_MAPS] = { "maps", make_maps },
    [PROC_SMAPS] = { "smaps", make_smaps },
    [PROC_AUXV] = { "auxv", make_auxv },
    [PROC_CMDLINE] = { "cmdline", make_cmdline },
    [PROC_ENVIRON] = { "environ", make_environ },
    [PROC_STAT] = { "stat", proc_make_stat },
    [PROC_STATM] = { "statm", proc_make_statm },
    [PROC_STATUS] = { "status", proc_make_status },
    [PROC_ROLLUP] = { "smaps_rollup", make_rollup },
    [PROC_NUMA_MAPS] = { "numa_maps", make_numa_maps },
};

/* A thread of this process. */
static bool is_own(long number)
{
    char name[48];

    snprintf(name, sizeof name, "/proc/self/task/%ld", number);
    return number == getpid() || (number > 0 && !access(name, F_OK));
}

/* Skips the word or the number of a thread of ours, and what follows it. */
static const char *skip_own(const char *path, const char *word)
{
    size_t length = strlen(word);
    char *end;

    if (!strncmp(path, word, length) && path[length] == '/') {
        return path + length + 1;
    }
    long number = strtol(path, &end, 10);
    return *end == '/' && end != path && is_own(number) ? end + 1 : NULL;
}

bool proc_has(const char *name)
{
    for (int i = PROC_EXE; i < PROC_FILES; i++) {
        if (files[i].name && !strcmp(name, files[i].name)) {
            return true;
        }
    }
    return false;
}

static bool read_link(const char *path, char *text, size_t size)
{
    ssize_t length = readlink(path, text, size - 1);

    text[MAX(length, 0)] = 0;
    return length > 0;
}

/* Whether the path is this file of another program that we run. */
static bool is_of_other(const char *path, const char *file)
{
    char name[48], own[PATH_SIZE], other[PATH_SIZE], *end;
    long number = strtol(path + 6, &end, 10);

    if (number <= 0 || *end != '/' || strcmp(end + 1, file)) {
        return false;
    }
    snprintf(name, sizeof name, "/proc/%ld/exe", number);
    return read_link(name, other, sizeof other) && read_link("/proc/self/exe", own, sizeof own) && !strcmp(own, other);
}

ProcFile proc_find(const Process *process, const char *path)
{
    if (strncmp(path, "/proc/", 6)) {
        return PROC_NONE;
    }
    if (!strcmp(path + 6, "cpuinfo")) {
        return PROC_CPUINFO;
    }
    const char *rest = text_starts_with(path + 6, "thread-self/") ? path + 18 : skip_own(path + 6, "self");
    if (rest && text_starts_with(rest, "task/")) {
        rest = strchr(rest + 5, '/');
        rest = rest ? rest + 1 : NULL;
    }
    for (int i = PROC_EXE; rest && i < PROC_FILES; i++) {
        if (files[i].name && !strcmp(rest, files[i].name)) {
            return (ProcFile)i;
        }
    }
    if (!rest && is_of_other(path, "maps")) {
        return PROC_OTHER_MAPS;
    }
    return PROC_NONE;
}

void proc_read_file(const char *path, StrBuf *text)
{
    char bytes[4096];
    ssize_t count;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && (count = read(fd, bytes, sizeof bytes)) > 0) {
        strbuf_append_bytes(text, bytes, (size_t)count);
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* -- maps ---------------------------------------------------------------------------------------------------------- */

/* A line of the host's maps. */
typedef struct HostMapping {
    uint64_t start, end, offset;
    char device[16];
    uint64_t inode;
    const char *path; /* the end of the line; "": none */
} HostMapping;

/* A line by itself: sscanf looks for the end of the text before all else. */
static bool parse_mapping(const char *line, HostMapping *m)
{
    int used = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*4s %" SCNx64 " %15s %" SCNu64 " %n", &m->start, &m->end, &m->offset,
               m->device, &m->inode, &used) < 5 ||
        !used) {
        return false;
    }
    m->path = line + used;
    return true;
}

static void append_range(const HostMapping *m, uint64_t start, uint64_t end, uint64_t offset, const MemoryRange *range,
                         StrBuf *text)
{
    static const char *const names[] = { [MEMORY_HEAP] = "[heap]", [MEMORY_STACK] = "[stack]", [MEMORY_VDSO] = "[vdso]",
                                         [MEMORY_PLAIN] = NULL, [MEMORY_SHM] = NULL };
    const char *name = names[range->kind];
    char line[128];

    int length = snprintf(line, sizeof line, "%08" PRIx64 "-%08" PRIx64 " %c%c%c%c %08" PRIx64 " %s %" PRIu64 " ",
                          start,
                          end, range->protection & PROT_READ ? 'r' : '-', range->protection & PROT_WRITE ? 'w' : '-',
                          range->protection & PROT_EXEC ? 'x' : '-', range->shared ? 's' : 'p', m->inode ? offset : 0,
                          m->device, m->inode);
    strbuf_append(text, line);
    if (name || *m->path) {
        strbuf_printf(text, "%*s%s", length < 73 ? 73 - length : 0, "", name ? name : m->path);
    }
    strbuf_append(text, "\n");
}

/* The parts of a host's mapping that are the guest's: how many. */
static unsigned append_mapping(Task *task, const HostMapping *m, const char *details, size_t details_length,
                               StrBuf *text)
{
    GuestMemory *memory = task_memory(task);
    uint64_t base = (uintptr_t)memory->base;
    unsigned parts = 0;
    MemoryRange range;

    if (m->start < base) {
        return 0;
    }
    for (uint64_t at = m->start - base, end = m->end - base; at < end && memory_next(memory, at, &range);
         at = range.end) {
        uint64_t from = MAX(at, range.start), to = MIN(end, range.end);
        if (from >= end) {
            break;
        }
        append_range(m, from, to, m->offset + from - (m->start - base), &range, text);
        if (details && !parts++) {
            strbuf_append_bytes(text, details, details_length);
        } else if (details) {
            strbuf_printf(text, "Size:           %8" PRIu64 " kB\n", (to - from) / 1024);
        }
    }
    return parts;
}

static void make_maps(Task *task, const char *path, StrBuf *text)
{
    AUTO_STRBUF(host);
    HostMapping mapping;

    proc_read_file("/proc/self/maps", &host);
    for (char *line = host.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        if (parse_mapping(line, &mapping)) {
            append_mapping(task, &mapping, NULL, 0, text);
        }
    }
}

/* Under each mapping stand lines that begin with a capital letter; they are about all of it. */
static void make_smaps(Task *task, const char *path, StrBuf *text)
{
    AUTO_STRBUF(host);
    HostMapping mapping;

    proc_read_file("/proc/self/smaps", &host);
    for (char *line = host.data, *end, *next; line && (end = strchr(line, '\n')); line = next) {
        *end = 0;
        next = end + 1;
        while (isupper((unsigned char)*next) && strchr(next, '\n')) {
            next = strchr(next, '\n') + 1;
        }
        if (parse_mapping(line, &mapping)) {
            append_mapping(task, &mapping, end + 1, (size_t)(next - end - 1), text);
        }
    }
}

/* The sums of smaps, in its order. */
static void make_rollup(Task *task, const char *path, StrBuf *text)
{
    enum { KEYS = 32 };
    struct {
        char name[24];
        uint64_t value;
    } sums[KEYS] = { 0 };
    AUTO_STRBUF(maps);
    uint64_t start = 0, end = 0, first = 0;
    bool any = false;

    make_smaps(task, path, &maps);
    for (char *line = maps.data, *next; line && (next = strchr(line, '\n')); line = next + 1) {
        char name[24], unit[3];
        uint64_t value;
        *next = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2) {
            first = any ? first : start;
            any = true;
        } else if (sscanf(line, "%23[A-Za-z_]: %" SCNu64 " %2s", name, &value, unit) == 3 &&
                   !strcmp(unit, "kB")) {
            unsigned i = 0;
            while (i < KEYS - 1 && sums[i].name[0] && strcmp(sums[i].name, name)) {
                i++;
            }
            memcpy(sums[i].name, name, sizeof name);
            sums[i].value += value;
        }
    }
    strbuf_printf(text, "%08" PRIx64 "-%08" PRIx64 " ---p 00000000 00:00 0                              [rollup]\n",
                  first, end);
    for (unsigned i = 0; i < KEYS && sums[i].name[0]; i++) {
        if (strcmp(sums[i].name, "Size") && !strstr(sums[i].name, "PageSize")) {
            strbuf_printf(text, "%s:%*s%8" PRIu64 " kB\n", sums[i].name, (int)MAX(15 - (int)strlen(sums[i].name), 0),
                          "", sums[i].value);
        }
    }
}

/* A line for each mapping, by its address. */
static void make_numa_maps(Task *task, const char *path, StrBuf *text)
{
    uint64_t base = (uintptr_t)task_memory(task)->base;
    MemoryRange range;
    AUTO_STRBUF(host);

    proc_read_file("/proc/self/numa_maps", &host);
    for (const char *line = strbuf_text(&host), *end; (end = strchr(line, '\n')); line = end + 1) {
        char *rest;
        uint64_t at = strtoull(line, &rest, 16);
        if (at >= base && memory_lookup(task_memory(task), at - base, &range)) {
            strbuf_printf(text, "%08" PRIx64 "%.*s", at - base, (int)(end + 1 - rest), rest);
        }
    }
}

/* -- memory of the program ----------------------------------------------------------------------------------------- */

static void append_memory(Task *task, uint64_t start, uint64_t end, StrBuf *text)
{
    uint8_t bytes[1024];

    for (uint64_t at = start, count; at < end; at += count) {
        count = MIN(end - at, sizeof bytes);
        if (memory_read(task_memory(task), bytes, at, count)) {
            break;
        }
        strbuf_append_bytes(text, bytes, count);
    }
}

static void make_auxv(Task *task, const char *path, StrBuf *text)
{
    const Program *program = &task->process->program;
    append_memory(task, program->auxv, program->auxv + program->auxv_size, text);
}

static void make_cmdline(Task *task, const char *path, StrBuf *text)
{
    append_memory(task, task->process->program.arguments_start, task->process->program.arguments_end, text);
}

static void make_environ(Task *task, const char *path, StrBuf *text)
{
    append_memory(task, task->process->program.environment_start, task->process->program.environment_end, text);
}

/* -- the processor ------------------------------------------------------------------------------------------------- */

static void make_cpuinfo(Task *task, const char *path, StrBuf *text)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    for (long i = 0; i < count; i++) {
        task_abi(task)->print_cpuinfo(task->cpu, (unsigned)i, text);
    }
}

/* -- other programs that we run ------------------------------------------------------------------------------------ */

/* Of its mappings those where a guest's memory is; what may be executed the host does not know. */
static void make_other_maps(Task *task, const char *path, StrBuf *text)
{
    uint64_t base = (uintptr_t)task_memory(task)->base, limit = task_memory(task)->limit;
    AUTO_STRBUF(maps);

    proc_read_file(path, &maps);
    for (const char *line = strbuf_text(&maps), *end; (end = strchr(line, '\n')); line = end + 1) {
        char *rest;
        uint64_t from = strtoull(line, &rest, 16), to = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
        if (from >= base && to > from && to - base <= limit) {
            strbuf_printf(text, "%08" PRIx64 "-%08" PRIx64 "%.*s", from - base, to - base, (int)(end + 1 - rest), rest);
        }
    }
}

/* The file that is mapped where the process's code begins, as the kernel was told. */
static bool find_code(long number, char *program, size_t size)
{
    enum { STAT_START_CODE = 26 };
    AUTO_STRBUF(stat);
    AUTO_STRBUF(maps);
    HostMapping mapping;
    char name[48];

    snprintf(name, sizeof name, "/proc/%ld/stat", number);
    proc_read_file(name, &stat);
    snprintf(name, sizeof name, "/proc/%ld/maps", number);
    proc_read_file(name, &maps);
    const char *field = proc_stat_field(strbuf_text(&stat), STAT_START_CODE);
    uint64_t code = field ? strtoull(field, NULL, 10) : 0;
    for (char *line = maps.data, *end; code && line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        if (parse_mapping(line, &mapping) && code >= mapping.start && code < mapping.end) {
            return mapping.path[0] == '/' && snprintf(program, size, "%s", mapping.path) < (int)size;
        }
    }
    return false;
}

/* What the kernel shows of the program's file: its name of today. */
static void name_own(const Process *process, PathBuffer *program)
{
    if (process->image < 0 || !path_of(process->image, program)) {
        snprintf(program->text, sizeof program->text, "%s", process->program.path);
    }
}

bool proc_program(const Process *process, const char *path, PathBuffer *program)
{
    if (proc_find(process, path) == PROC_EXE) {
        name_own(process, program);
        return true;
    }
    return text_starts_with(path, "/proc/") && is_of_other(path, "exe") &&
           find_code(strtol(path + 6, NULL, 10), program->text, sizeof program->text);
}

bool proc_program_file(const Process *process, const char *path, PathBuffer *program)
{
    if (!proc_program(process, path, program)) {
        return false;
    }
    if (proc_find(process, path) == PROC_EXE && process->image >= 0 &&
        !path_leads_to(program->text, PATH_FOLLOW, process->image)) {
        snprintf(program->text, sizeof program->text, "/proc/self/fd/%d", process->image);
    }
    return true;
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* Opened a second time, so that it has the flags that were asked for. */
static int64_t open_text(const char *path, const StrBuf *text, uint64_t flags)
{
    enum { LONGEST = 200 }; /* the kernel takes 249 */
    char name[LONGEST + 1];

    snprintf(name, sizeof name, "%s", path);
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    bool ok = write(fd, strbuf_text(text), text->length) == (ssize_t)text->length;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int again = ok ? open(name, (int)(flags & ~(uint64_t)(O_CREAT | O_EXCL | O_NOFOLLOW))) : -1;
    int64_t result = again < 0 ? -errno : again;
    close(fd);
    return result;
}

int64_t proc_open(Task *task, ProcFile file, const char *path, uint64_t flags)
{
    AUTO_STRBUF(text);

    if ((flags & O_ACCMODE) != O_RDONLY && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS)) {
        return -errno;
    }
    if (flags & O_DIRECTORY) {
        return -ENOTDIR;
    }
    (file == PROC_CPUINFO      ? make_cpuinfo
     : file == PROC_OTHER_MAPS ? make_other_maps
                               : files[file].make)(task, path, &text);
    if (access(path, F_OK)) { /* the thread has ended */
        return -errno;
    }
    return open_text(path, &text, flags);
}

/* The memory's name is that of the file it stands for: "/memfd:/proc/cpuinfo (deleted)". */
int proc_open_original(const Process *process, int fd)
{
    static const char before[] = "/memfd:", after[] = " (deleted)";
    struct stat status;
    PathBuffer path;

    if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_nlink || !path_of(fd, &path) ||
        !text_starts_with(path.text, before) || !text_ends_with(path.text, after)) {
        return -1;
    }
    path.text[strlen(path.text) - strlen(after)] = 0;
    const char *name = path.text + strlen(before);
    return proc_find(process, name) > PROC_EXE ? open(name, O_PATH | O_CLOEXEC) : -1;
}

bool proc_text(Task *task, const char *name, StrBuf *text)
{
    AUTO_FREE char *path = string_format("/proc/self/%s", name);
    ProcFile file = proc_find(task->process, path);

    if (file <= PROC_EXE) {
        return false;
    }
    files[file].make(task, path, text);
    return true;
}

/* -- -d page ------------------------------------------------------------------------------------------------------- */

static void put_layout_line(StrBuf *text, uint64_t start, uint64_t end, const char *protection)
{
    strbuf_printf(text, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %s\n", start, end, end - start, protection);
}

void proc_log_layout(Task *task, const char *after)
{
    AUTO_STRBUF(maps);
    AUTO_STRBUF(text);
    uint64_t start = 0, end = 0; /* of what is alike so far */
    char protection[4] = "", *rest;

    if (!log_enabled(task->process->log, LOG_PAGE) || !proc_text(task, "maps", &maps)) {
        return;
    }
    for (char *line = maps.length ? strtok_r(maps.data, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        uint64_t first, next;
        char here[4];
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %3s", &first, &next, here) != 3) {
            continue;
        }
        if (first != end || strcmp(here, protection)) {
            if (end) {
                put_layout_line(&text, start, end, protection);
            }
            start = first;
        }
        end = next;
        memcpy(protection, here, sizeof protection);
    }
    if (end) {
        put_layout_line(&text, start, end, protection);
    }
    log_write(task->process->log, "page layout changed following %s\n%-16s %-16s %-16s prot\n%s", after, "start", "end",
              "size", strbuf_text(&text));
}

/* -- what the host's kernel shows ---------------------------------------------------------------------------------- */

/* The heap stays the host's own: brk works on it. */
static bool fill_map(const Process *process, struct prctl_mm_map *map)
{
    const Program *p = &process->program;
    uint64_t base = (uintptr_t)process->memory->base;
    AUTO_STRBUF(stat);

    proc_read_file("/proc/self/stat", &stat);
    const char *field = proc_stat_field(strbuf_text(&stat), STAT_BRK);
    if (!field) {
        return false;
    }
    *map = (struct prctl_mm_map){
        .start_code = base + p->code_start,
        .end_code = base + p->code_end,
        .start_data = base + p->data_start,
        .end_data = base + p->data_end,
        .start_brk = strtoull(field, NULL, 10),
        .brk = (uint64_t)syscall(SYS_brk, 0),
        .start_stack = base + p->stack_start,
        .arg_start = base + p->arguments_start,
        .arg_end = base + p->arguments_end,
        .env_start = base + p->environment_start,
        .env_end = base + p->environment_end,
        .exe_fd = UINT32_MAX,
    };
    if (process->abi->word_size == sizeof(long)) {
        map->auxv = (__u64 *)(uintptr_t)(base + p->auxv);
        map->auxv_size = (uint32_t)p->auxv_size;
    }
    return true;
}

void proc_show_program(Process *process)
{
    const char *path = process->program.path, *slash = strrchr(path, '/');
    struct prctl_mm_map map;

    prctl(PR_SET_NAME, slash ? slash + 1 : path);
    if (fill_map(process, &map)) {
        prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0); /* not every kernel can; our own files say it anyway */
    }
}
