/*
 * The ELF loader, as Linux's fs/binfmt_elf.c behaves: programs of fixed and of any position, with and without an
 * interpreter. The file is not trusted: each number of it is checked before it is used.
 *
 * Not here: core files; the old a.out; huge program headers (PN_XNUM).
 */
#include "user/elf.h"

#include "base/bytes.h"
#include "base/error.h"
#include "cpu/guest.h"
#include "user/options.h"
#include "user/path.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_SIZE = 64, TABLE_MAXIMUM = 65536 };

/* Both classes, widened. */
typedef struct Header {
    uint16_t type, count;
    uint64_t entry, table;
} Header;

typedef struct Segment {
    uint32_t type, flags;
    uint64_t offset, address, file_size, memory_size, alignment;
} Segment;

typedef struct Image {
    Process *process;
    const UserAbi *abi;
    const char *name;
    int fd;
    bool is_interpreter;
    int foreign;        /* errno of a file that is no program of ours */
    Header header;
    Segment *segments;  /* header.count */
    uint64_t low, high; /* addresses that the file asks for, whole pages */
    uint64_t alignment; /* of the addresses that are given to them */
    uint64_t bias;      /* what was added to them */
} Image;

static bool bad(const Image *image, int number, const char *why, Error **error)
{
    error_set_errno(error, number, "%s: %s", image->name, why);
    return false;
}

int elf_open(const char *path)
{
    struct stat status;

    if (stat(path, &status)) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) { /* opening one may wait for ever */
        return -EACCES;
    }
    int fd = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static bool is_wide(const Image *image)
{
    return image->abi->guest->elf_class == ELFCLASS64;
}

static void parse_header(const uint8_t *b, bool wide, Header *header)
{
    header->type = load_le16(b + 16);
    header->entry = wide ? load_le64(b + 24) : load_le32(b + 24);
    header->table = wide ? load_le64(b + 32) : load_le32(b + 28);
    header->count = load_le16(b + (wide ? 56 : 44));
}

static bool is_executable(const Image *image)
{
    return image->header.type == ET_EXEC || image->header.type == ET_DYN;
}

static bool read_header(Image *image, Error **error)
{
    const UserAbi *abi = image->abi;
    bool wide = is_wide(image);
    uint8_t bytes[HEADER_SIZE] = { 0 };
    ssize_t size = pread(image->fd, bytes, sizeof bytes, 0);

    if (size < 0) {
        return bad(image, errno, "cannot be read", error);
    }
    if (image->is_interpreter && size < (wide ? 64 : 52)) {
        return bad(image, EIO, "not an ELF program", error);
    }
    if (size < (wide ? 64 : 52) || memcmp(bytes, ELFMAG, SELFMAG)) {
        return bad(image, image->foreign, "not an ELF program", error);
    }
    if (bytes[EI_CLASS] != abi->guest->elf_class || bytes[EI_DATA] != ELFDATA2LSB ||
        load_le16(bytes + 18) != abi->elf_machine || (abi->accepts && !abi->accepts(bytes))) {
        return error_set_errno(error, image->foreign, "%s: not a program for %s", image->name, abi->target);
    }
    parse_header(bytes, wide, &image->header);
    if (!image->is_interpreter && !is_executable(image)) {
        return bad(image, image->foreign, "not an executable file", error);
    }
    unsigned each = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (load_le16(bytes + (wide ? 54 : 42)) != each || !image->header.count ||
        image->header.count > TABLE_MAXIMUM / each) {
        return bad(image, image->foreign, "bad table of program headers", error);
    }
    return true;
}

static Segment parse_segment(const uint8_t *b, bool wide)
{
    if (wide) {
        return (Segment){ load_le32(b), load_le32(b + 4), load_le64(b + 8), load_le64(b + 16), load_le64(b + 32),
                          load_le64(b + 40), load_le64(b + 48) };
    }
    return (Segment){ load_le32(b), load_le32(b + 24), load_le32(b + 4), load_le32(b + 8), load_le32(b + 16),
                      load_le32(b + 20), load_le32(b + 28) };
}

static bool read_segments(Image *image, Error **error)
{
    bool wide = is_wide(image);
    unsigned each = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    size_t size = (size_t)each * image->header.count;
    AUTO_FREE uint8_t *bytes = mem_alloc(size);

    if (image->header.table > INT64_MAX - size ||
        pread(image->fd, bytes, size, (off_t)image->header.table) != (ssize_t)size) {
        return bad(image, image->foreign, "the table of program headers is cut off", error);
    }
    image->segments = mem_alloc_array(image->header.count, sizeof *image->segments);
    for (unsigned i = 0; i < image->header.count; i++) {
        image->segments[i] = parse_segment(bytes + i * each, wide);
    }
    return true;
}

static bool check_segment(const Image *image, const Segment *s)
{
    uint64_t limit = image->abi->address_limit;

    return s->memory_size <= limit && s->address <= limit - s->memory_size && s->file_size <= s->memory_size &&
           s->offset <= INT64_MAX - s->file_size &&
           (s->address & (GUEST_PAGE_SIZE - 1)) == (s->offset & (GUEST_PAGE_SIZE - 1));
}

/* Where what is to be loaded begins and ends, and how it is aligned. */
static bool survey(Image *image, Error **error)
{
    image->low = UINT64_MAX;
    image->high = 0;
    image->alignment = GUEST_PAGE_SIZE;
    for (unsigned i = 0; i < image->header.count; i++) {
        const Segment *s = &image->segments[i];
        if (s->type != PT_LOAD || !s->memory_size) {
            continue;
        }
        if (!check_segment(image, s)) {
            return bad(image, image->foreign, "a segment has an impossible address or size", error);
        }
        image->low = MIN(image->low, align_down(s->address, GUEST_PAGE_SIZE));
        image->high = MAX(image->high, align_up(s->address + s->memory_size, GUEST_PAGE_SIZE));
        image->alignment = is_power_of_2(s->alignment) ? MAX(image->alignment, s->alignment) : image->alignment;
    }
    return image->low < image->high || bad(image, image->foreign, "nothing is to be loaded", error);
}

static int segment_protection(const Segment *s)
{
    return (s->flags & PF_R ? PROT_READ : 0) | (s->flags & PF_W ? PROT_WRITE : 0) | (s->flags & PF_X ? PROT_EXEC : 0);
}

/* What follows the file's bytes is zero: the rest of their last page, and whole pages. */
static int64_t clear_rest(Image *image, const Segment *s)
{
    static const uint8_t zeroes[GUEST_PAGE_SIZE];
    GuestMemory *memory = image->process->memory;
    uint64_t start = s->address + image->bias + s->file_size, end = s->address + image->bias + s->memory_size;
    uint64_t page = align_up(start, GUEST_PAGE_SIZE);

    if (s->file_size && start < page && s->flags & PF_W && memory_write(memory, start, zeroes, page - start)) {
        return -EFAULT;
    }
    if (!s->file_size) {
        page = align_down(start, GUEST_PAGE_SIZE);
    }
    end = align_up(end, GUEST_PAGE_SIZE);
    int64_t result = 0;
    if (end > page) {
        result = memory_map(memory, page, end - page, segment_protection(s), MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                            -1, 0);
    }
    return result < 0 ? result : 0;
}

static int64_t map_segment(Image *image, const Segment *s)
{
    uint64_t in_page = s->address & (GUEST_PAGE_SIZE - 1), size = s->file_size + in_page;

    if (s->file_size) {
        int64_t result = memory_map(image->process->memory, s->address + image->bias - in_page, size,
                                    segment_protection(s), MAP_PRIVATE | MAP_FIXED, image->fd, s->offset - in_page);
        if (result < 0) {
            return result;
        }
    }
    return s->memory_size > s->file_size ? clear_rest(image, s) : 0;
}

/* One piece of address space for all segments, so that they keep their distances; a program's, not its interpreter's,
 * moves by a multiple of its alignment. */
static int64_t place_image(Image *image, uint64_t wanted)
{
    uint64_t size = image->high - image->low;
    bool fixed = image->header.type == ET_EXEC;
    uint64_t in_unit = image->low & (image->alignment - 1);
    uint64_t address = fixed ? image->low : align_down(wanted, image->alignment) + (wanted ? in_unit : 0);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (fixed ? MAP_FIXED_NOREPLACE : 0);
    int64_t place = memory_map(image->process->memory, address, size, PROT_NONE, flags, -1, 0);

    image->bias = place < 0 ? 0 : (uint64_t)place - image->low;
    return place;
}

/* `wanted`: where a program without a position of its own goes; 0: anywhere. */
static bool load_image(Image *image, uint64_t wanted, Error **error)
{
    if (!is_executable(image)) { /* an interpreter, of which Linux looks at it as late */
        return bad(image, image->foreign, "not an executable file", error);
    }
    if (!survey(image, error)) {
        return false;
    }
    int64_t place = place_image(image, wanted);
    if (place < 0) {
        return error_set_errno(error, (int)-place, "%s: cannot be placed at 0x%" PRIx64, image->name, image->low);
    }
    for (unsigned i = 0; i < image->header.count; i++) {
        const Segment *s = &image->segments[i];
        int64_t result = s->type == PT_LOAD && s->memory_size ? map_segment(image, s) : 0;
        if (result < 0) {
            return bad(image, (int)-result, "a segment cannot be mapped", error);
        }
    }
    return true;
}

static void note_program(Image *image)
{
    Program *program = &image->process->program;
    uint64_t end = 0;

    program->entry = image->header.entry + image->bias;
    program->header_count = image->header.count;
    for (unsigned i = 0; i < image->header.count; i++) {
        const Segment *s = &image->segments[i];
        uint64_t address = s->address + image->bias;
        if (s->type != PT_LOAD || !s->memory_size) {
            continue;
        }
        if (image->header.table >= s->offset && image->header.table < s->offset + s->file_size) {
            program->headers = address + image->header.table - s->offset;
        }
        end = MAX(end, address + s->memory_size);
        if (s->flags & PF_X) {
            program->code_start = address;
            program->code_end = address + s->file_size;
        } else if (s->flags & PF_W) {
            program->data_start = address;
            program->data_end = address + s->file_size;
        }
    }
    memory_set_brk(image->process->memory, end);
}

static const Segment *find_segment(const Image *image, uint32_t type)
{
    for (unsigned i = 0; i < image->header.count; i++) {
        if (image->segments[i].type == type) {
            return &image->segments[i];
        }
    }
    return NULL;
}

static bool read_interpreter_name(const Image *image, const Segment *s, PathBuffer *path, Error **error)
{
    if (s->file_size < 2 || s->file_size > sizeof path->text) {
        return bad(image, ENOEXEC, "the interpreter's name has an impossible length", error);
    }
    if (s->offset > INT64_MAX - s->file_size) {
        return bad(image, EINVAL, "the interpreter's name lies at an impossible place", error);
    }
    if (pread(image->fd, path->text, s->file_size, (off_t)s->offset) != (ssize_t)s->file_size) {
        return bad(image, EIO, "the interpreter's name cannot be read", error);
    }
    if (path->text[s->file_size - 1]) {
        return bad(image, ENOEXEC, "the interpreter's name does not end", error);
    }
    path_find(image->process, AT_FDCWD, path, PATH_FOLLOW);
    return true;
}

static bool open_interpreter(const Image *program, const Segment *segment, PathBuffer *path, Image *image,
                             Error **error)
{
    *image = (Image){ .process = program->process, .abi = program->abi, .name = path->text, .fd = -1,
                      .is_interpreter = true, .foreign = ELIBBAD };
    if (!read_interpreter_name(program, segment, path, error)) {
        return false;
    }
    image->fd = elf_open(path->text);
    if (image->fd < 0) {
        error_set_errno(error, -image->fd, "%s: its interpreter %s cannot be opened", program->name, path->text);
        if (error && *error) {
            error_add_hint(error, "-L or QEMU_LD_PREFIX names the folder below which the program's libraries lie");
        }
        return false;
    }
    return read_header(image, error) && read_segments(image, error);
}

static void close_image(Image *image)
{
    free(image->segments);
    if (image->fd >= 0) {
        close(image->fd);
    }
}

static bool load_interpreter(const Image *program, const Segment *segment, uint64_t *start, Error **error)
{
    PathBuffer path;
    Image image;
    bool ok = open_interpreter(program, segment, &path, &image, error) && load_image(&image, 0, error);

    if (ok) {
        program->process->program.interpreter_base = image.bias;
        *start = image.header.entry + image.bias;
    }
    close_image(&image);
    return ok;
}

int64_t elf_check(Process *process, const UserAbi *abi, int fd)
{
    Image image = { .process = process, .abi = abi, .name = "", .fd = fd, .foreign = ENOEXEC }, interpreter;
    PathBuffer path;
    AUTO_ERROR(error);
    bool ok = read_header(&image, &error) && read_segments(&image, &error);
    const Segment *segment = ok ? find_segment(&image, PT_INTERP) : NULL;

    if (segment) {
        ok = open_interpreter(&image, segment, &path, &interpreter, &error);
        close_image(&interpreter);
    }
    free(image.segments);
    return ok ? 0 : -error_errno(error);
}

bool elf_load(Process *process, int fd, const char *name, uint64_t *start, Error **error)
{
    Image image = { .process = process, .abi = process->abi, .name = name, .fd = fd, .foreign = ENOEXEC };
    bool ok = read_header(&image, error) && read_segments(&image, error) &&
              load_image(&image, process->abi->exec_base, error);

    if (ok) {
        note_program(&image);
        *start = process->program.entry;
        const Segment *interpreter = find_segment(&image, PT_INTERP);
        ok = !interpreter || load_interpreter(&image, interpreter, start, error);
    }
    free(image.segments);
    return ok;
}
