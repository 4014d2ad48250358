/*
 * Dumps of the guest's core: an ELF file with the registers of all threads and what memory held, as Linux writes it
 * (fs/binfmt_elf.c, fs/coredump.c): for the signals that make one, as far as RLIMIT_CORE goes, where core_pattern says.
 * Where that is a program to be run, the file is qemu_NAME_DATE-TIME_PID.core in the working directory, as QEMU has it.
 *
 * Not here: coredump_filter. Code of files is left out, but for the ELF header, as by default; pages of zeroes are
 * holes.
 */
#include "user/coredump.h"

#include "base/bytes.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "cpu/guest.h"
#include "user/proc.h"
#include "user/siginfo.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { NAME_SIZE = 16, ARGUMENTS_SHOWN = 80, FLOAT_MAXIMUM = 512, HEADER_ALIGN = 4 };

/* A line of maps. */
typedef struct Segment {
    uint64_t start, end, dumped, offset; /* dumped: bytes of it that are in the file; offset: in the mapped file */
    uint32_t flags;                      /* PF_ */
    char path[PATH_MAX];                 /* "": none */
} Segment;

typedef struct Dump {
    Task *task;
    const siginfo_t *info;
    unsigned word;
    VEC(Segment) segments;
    StrBuf notes;
    int fd;
    uint64_t limit; /* bytes of the file */
} Dump;

bool core_is_dumped(int signal)
{
    static const int signals[] = { SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ,
                                   SIGSYS };

    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        if (signals[i] == signal) {
            return true;
        }
    }
    return false;
}

/* -- notes: numbers, words of the guest, text, one behind the other ------------------------------------------------ */

static void put(StrBuf *bytes, unsigned size, uint64_t value)
{
    uint8_t stored[8];

    store_le64(stored, value);
    strbuf_append_bytes(bytes, stored, size);
}

static void put_text(StrBuf *bytes, size_t size, const char *text, size_t length)
{
    for (size_t i = 0; i < size; i++) {
        strbuf_append_char(bytes, i < length && i < size - 1 ? text[i] : 0);
    }
}

static void align_to(StrBuf *bytes, unsigned alignment)
{
    while (bytes->length % alignment) {
        strbuf_append_char(bytes, 0);
    }
}

static void add_note(Dump *dump, unsigned type, const StrBuf *bytes)
{
    static const char name[] = "CORE";

    put(&dump->notes, 4, sizeof name);
    put(&dump->notes, 4, bytes->length);
    put(&dump->notes, 4, type);
    strbuf_append_bytes(&dump->notes, name, sizeof name);
    align_to(&dump->notes, HEADER_ALIGN);
    strbuf_append_bytes(&dump->notes, bytes->data, bytes->length);
    align_to(&dump->notes, HEADER_ALIGN);
}

static void put_times(StrBuf *bytes, unsigned word)
{
    struct rusage own = { 0 }, children = { 0 };

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    const struct timeval times[] = { own.ru_utime, own.ru_stime, children.ru_utime, children.ru_stime };
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        put(bytes, word, (uint64_t)times[i].tv_sec);
        put(bytes, word, (uint64_t)times[i].tv_usec);
    }
}

/* struct elf_prstatus */
static void note_status(Dump *dump, Task *task)
{
    uint64_t registers[CORE_REGISTERS];
    unsigned count = task_abi(task)->core_registers(task->cpu, registers);
    AUTO_STRBUF(bytes);

    put(&bytes, 4, (uint32_t)dump->info->si_signo);
    put(&bytes, 4, (uint32_t)dump->info->si_code);
    put(&bytes, 4, 0);
    put(&bytes, 4, (uint16_t)dump->info->si_signo); /* and two bytes for alignment */
    put(&bytes, dump->word, 0);
    put(&bytes, dump->word, task->mask);
    put(&bytes, 4, (uint32_t)task->tid);
    put(&bytes, 4, (uint32_t)getppid());
    put(&bytes, 4, (uint32_t)getpgid(0));
    put(&bytes, 4, (uint32_t)getsid(0));
    put_times(&bytes, dump->word);
    for (unsigned i = 0; i < count; i++) {
        put(&bytes, dump->word, registers[i]);
    }
    put(&bytes, 4, 1); /* floating-point registers are there */
    align_to(&bytes, dump->word);
    add_note(dump, NT_PRSTATUS, &bytes);
}

static void note_float(Dump *dump, Task *task)
{
    AUTO_STRBUF(bytes);
    uint8_t registers[FLOAT_MAXIMUM];
    size_t size = task_abi(task)->core_float(task->cpu, registers);

    strbuf_append_bytes(&bytes, registers, size);
    add_note(dump, NT_PRFPREG, &bytes);
}

/* struct elf_prpsinfo: the arguments with spaces for the NULs between them. */
static void note_process(Dump *dump)
{
    AUTO_STRBUF(bytes);
    AUTO_STRBUF(arguments);
    const char *path = dump->task->process->program.path;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

    proc_text(dump->task, "cmdline", &arguments);
    for (size_t i = 0; i + 1 < arguments.length; i++) {
        arguments.data[i] = arguments.data[i] ? arguments.data[i] : ' ';
    }
    put(&bytes, 1, 0);
    put(&bytes, 1, 'R');
    put(&bytes, 1, 0);
    put(&bytes, 1, 0);
    align_to(&bytes, dump->word);
    put(&bytes, dump->word, 0);
    put(&bytes, 4, getuid());
    put(&bytes, 4, getgid());
    put(&bytes, 4, (uint32_t)getpid());
    put(&bytes, 4, (uint32_t)getppid());
    put(&bytes, 4, (uint32_t)getpgid(0));
    put(&bytes, 4, (uint32_t)getsid(0));
    put_text(&bytes, NAME_SIZE, name, strlen(name));
    put_text(&bytes, ARGUMENTS_SHOWN, strbuf_text(&arguments), arguments.length);
    add_note(dump, NT_PRPSINFO, &bytes);
}

static void note_signal(Dump *dump)
{
    AUTO_STRBUF(bytes);
    uint8_t info[SIGINFO_SIZE];

    siginfo_to_guest(dump->word, dump->info, info);
    strbuf_append_bytes(&bytes, dump->word == 8 ? (const void *)dump->info : info, SIGINFO_SIZE);
    add_note(dump, NT_SIGINFO, &bytes);
}

static void note_auxv(Dump *dump)
{
    AUTO_STRBUF(bytes);

    proc_text(dump->task, "auxv", &bytes);
    add_note(dump, NT_AUXV, &bytes);
}

/* How many, the size of a page; start, end and page of each; then their names. */
static void note_files(Dump *dump)
{
    AUTO_STRBUF(bytes);
    AUTO_STRBUF(names);
    AUTO_STRBUF(places);
    uint64_t count = 0;

    for (size_t i = 0; i < dump->segments.count; i++) {
        const Segment *segment = &dump->segments.items[i];
        if (segment->path[0] == '/') {
            put(&places, dump->word, segment->start);
            put(&places, dump->word, segment->end);
            put(&places, dump->word, segment->offset / GUEST_PAGE_SIZE);
            strbuf_append_bytes(&names, segment->path, strlen(segment->path) + 1);
            count++;
        }
    }
    put(&bytes, dump->word, count);
    put(&bytes, dump->word, GUEST_PAGE_SIZE);
    strbuf_append_bytes(&bytes, places.data, places.length);
    strbuf_append_bytes(&bytes, names.data, names.length);
    add_note(dump, NT_FILE, &bytes);
}

static void make_notes(Dump *dump)
{
    note_status(dump, dump->task);
    note_process(dump);
    note_signal(dump);
    note_auxv(dump);
    note_files(dump);
    note_float(dump, dump->task);
    mutex_lock(&dump->task->process->lock);
    LIST_FOREACH(&dump->task->process->tasks, task, Task, link) {
        if (task != dump->task) {
            note_status(dump, task);
            note_float(dump, task);
        }
    }
    mutex_unlock(&dump->task->process->lock);
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

/* Code of a file that nobody has changed is found there; its ELF header says which one it is. */
static uint64_t bytes_to_dump(const Dump *dump, const Segment *segment)
{
    char magic[SELFMAG];
    bool is_code = segment->path[0] == '/' && segment->flags & PF_X && !(segment->flags & PF_W);

    if (!(segment->flags & (PF_R | PF_W))) {
        return 0;
    }
    if (!is_code) {
        return segment->end - segment->start;
    }
    return memory_read(task_memory(dump->task), magic, segment->start, SELFMAG) || memcmp(magic, ELFMAG, SELFMAG)
               ? 0
               : GUEST_PAGE_SIZE;
}

/* "START-END rwxp OFFSET DEVICE INODE   PATH" */
static void find_segments(Dump *dump)
{
    AUTO_STRBUF(maps);
    char *rest = NULL;

    proc_text(dump->task, "maps", &maps);
    for (char *line = maps.length ? strtok_r(maps.data, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        Segment segment = { 0 };
        char mode[5];
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %4095[^\n]", &segment.start, &segment.end,
                   mode, &segment.offset, segment.path) >= 4) {
            segment.flags = (mode[0] == 'r' ? PF_R : 0) | (mode[1] == 'w' ? PF_W : 0) | (mode[2] == 'x' ? PF_X : 0);
            segment.dumped = bytes_to_dump(dump, &segment);
            vec_push(&dump->segments, segment);
        }
    }
}

static bool write_at(Dump *dump, const void *bytes, size_t size, uint64_t offset)
{
    if (offset >= dump->limit) {
        return false;
    }
    size = MIN(size, dump->limit - offset);
    return pwrite(dump->fd, bytes, size, (off_t)offset) == (ssize_t)size;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

static void write_segment(Dump *dump, const Segment *segment, uint64_t offset)
{
    uint8_t page[GUEST_PAGE_SIZE];
    bool ok = true;

    for (uint64_t at = 0; ok && at < segment->dumped; at += sizeof page) {
        if (!memory_read(task_memory(dump->task), page, segment->start + at, sizeof page) &&
            !is_zero(page, sizeof page)) {
            ok = write_at(dump, page, sizeof page, offset + at);
        }
    }
}

/* -- the file ------------------------------------------------------------------------------------------------------ */

static void put_header(const Dump *dump, StrBuf *bytes, uint64_t count)
{
    const UserAbi *abi = task_abi(dump->task);
    const uint8_t ident[EI_NIDENT] = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, abi->guest->elf_class, ELFDATA2LSB,
                                       EV_CURRENT };
    bool wide = dump->word == 8;

    strbuf_append_bytes(bytes, ident, sizeof ident);
    put(bytes, 2, ET_CORE);
    put(bytes, 2, abi->elf_machine);
    put(bytes, 4, EV_CURRENT);
    put(bytes, dump->word, 0);
    put(bytes, dump->word, wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
    put(bytes, dump->word, 0);
    put(bytes, 4, 0);
    put(bytes, 2, wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
    put(bytes, 2, wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
    put(bytes, 2, count);
    put(bytes, 6, 0);
}

static void put_segment(const Dump *dump, StrBuf *bytes, uint32_t type, uint64_t offset, const Segment *segment)
{
    put(bytes, 4, type);
    if (dump->word == 8) {
        put(bytes, 4, segment->flags);
    }
    put(bytes, dump->word, offset);
    put(bytes, dump->word, segment->start);
    put(bytes, dump->word, 0);
    put(bytes, dump->word, segment->dumped);
    put(bytes, dump->word, segment->end - segment->start);
    if (dump->word == 4) {
        put(bytes, 4, segment->flags);
    }
    put(bytes, dump->word, type == PT_LOAD ? GUEST_PAGE_SIZE : HEADER_ALIGN);
}

static void write_dump(Dump *dump)
{
    AUTO_STRBUF(headers);
    size_t count = MIN(dump->segments.count, PN_XNUM - 2);
    bool wide = dump->word == 8;
    uint64_t notes = wide ? sizeof(Elf64_Ehdr) + (count + 1) * sizeof(Elf64_Phdr)
                          : sizeof(Elf32_Ehdr) + (count + 1) * sizeof(Elf32_Phdr);
    uint64_t first = align_up(notes + dump->notes.length, GUEST_PAGE_SIZE), at = first;

    put_header(dump, &headers, count + 1);
    put_segment(dump, &headers, PT_NOTE, notes, &(Segment){ .dumped = dump->notes.length });
    for (size_t i = 0; i < count; at += dump->segments.items[i++].dumped) {
        put_segment(dump, &headers, PT_LOAD, at, &dump->segments.items[i]);
    }
    write_at(dump, headers.data, headers.length, 0);
    write_at(dump, dump->notes.data, dump->notes.length, notes);
    (void)!ftruncate(dump->fd, (off_t)MIN(at, dump->limit));
    at = first;
    for (size_t i = 0; i < count; at += dump->segments.items[i++].dumped) {
        write_segment(dump, &dump->segments.items[i], at);
    }
}

/* -- its name ------------------------------------------------------------------------------------------------------ */

static void append_name(StrBuf *name, const char *text)
{
    for (; *text; text++) {
        strbuf_append_char(name, *text == '/' ? '!' : *text);
    }
}

/* One letter of core_pattern. */
static void append_field(const Dump *dump, char letter, StrBuf *name)
{
    const char *path = dump->task->process->program.path;
    struct utsname system;

    switch (letter) {
    case '%':
        strbuf_append_char(name, '%');
        break;
    case 'p':
    case 'P':
        strbuf_printf(name, "%d", getpid());
        break;
    case 'i':
    case 'I':
        strbuf_printf(name, "%d", dump->task->tid);
        break;
    case 'u':
        strbuf_printf(name, "%u", getuid());
        break;
    case 'g':
        strbuf_printf(name, "%u", getgid());
        break;
    case 's':
        strbuf_printf(name, "%d", dump->info->si_signo);
        break;
    case 't':
        strbuf_printf(name, "%lld", (long long)time(NULL));
        break;
    case 'h':
        append_name(name, uname(&system) ? "" : system.nodename);
        break;
    case 'e':
    case 'f':
        append_name(name, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
        break;
    case 'E':
        append_name(name, path);
        break;
    case 'd':
        strbuf_printf(name, "%d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
        break;
    default:
        break;
    }
}

static void name_as_qemu(const Dump *dump, StrBuf *name)
{
    const char *path = dump->task->process->program.path;
    time_t now = time(NULL);
    struct tm parts;
    char date[32];

    strftime(date, sizeof date, "%Y%m%d-%H%M%S", localtime_r(&now, &parts));
    strbuf_printf(name, "qemu_%s_%s_%d.core", strrchr(path, '/') ? strrchr(path, '/') + 1 : path, date, getpid());
}

static bool read_line(const char *path, char line[256])
{
    FILE *file = fopen(path, "re");
    bool ok = file && fgets(line, 256, file);

    if (file) {
        fclose(file);
    }
    line[ok ? strcspn(line, "\n") : 0] = 0;
    return ok;
}

static void make_name(const Dump *dump, StrBuf *name)
{
    char pattern[256], uses_pid[256];
    bool has_pid = false;

    if (!read_line("/proc/sys/kernel/core_pattern", pattern) || pattern[0] == '|' || !pattern[0]) {
        name_as_qemu(dump, name);
        return;
    }
    for (const char *at = pattern; *at; at++) {
        if (*at == '%' && at[1]) {
            append_field(dump, *++at, name);
            has_pid = has_pid || *at == 'p';
        } else {
            strbuf_append_char(name, *at);
        }
    }
    if (!has_pid && read_line("/proc/sys/kernel/core_uses_pid", uses_pid) && strcmp(uses_pid, "0")) {
        strbuf_printf(name, ".%d", getpid());
    }
}

/* No link, no file with other names, none of another's: as Linux has it. */
static int open_file(const char *name)
{
    int fd = open(name, O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    struct stat status;

    if (fd >= 0 && (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_nlink != 1 ||
                    status.st_uid != geteuid() || ftruncate(fd, 0))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* While no other thread is in guest code. */
static void dump_all(Cpu *cpu, void *data)
{
    Dump *dump = data;

    find_segments(dump);
    make_notes(dump);
    write_dump(dump);
}

bool core_dump(Task *task, const siginfo_t *info)
{
    struct rlimit limit = { 0 };
    AUTO_STRBUF(name);
    Dump dump = { .task = task, .info = info, .word = task_abi(task)->word_size };

    if (!core_is_dumped(info->si_signo) || getrlimit(RLIMIT_CORE, &limit) || !limit.rlim_cur ||
        prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1) {
        return false;
    }
    dump.limit = limit.rlim_cur;
    make_name(&dump, &name);
    dump.fd = open_file(strbuf_text(&name));
    if (dump.fd < 0) {
        return false;
    }
    cpu_exclusive(task->cpu, dump_all, &dump);
    close(dump.fd);
    vec_free(&dump.segments);
    strbuf_free(&dump.notes);
    return true;
}
