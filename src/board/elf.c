/* ELF files, after the System V ABI's chapters 4 and 5 (draft of 2013) and its RISC-V supplement: headers and loadable
 * segments alone. */
#include "board/elf.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/vec.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    IDENT_SIZE = 16,
    HEADER_32 = 52,
    HEADER_64 = 64,
    PROGRAM_HEADER_32 = 32,
    PROGRAM_HEADER_64 = 56,
    PROGRAM_HEADER_LIMIT = 4096, /* linkers make a dozen */
    DATA_LITTLE = 1,
    DATA_BIG = 2,
    TYPE_EXECUTABLE = 2,
    TYPE_SHARED = 3,
    SEGMENT_LOAD = 1,
};

/* Fields of a header in the file's own layout: offsets for class 32 and 64, and bytes (0: a word of the class). */
typedef struct Field {
    uint8_t offset_32, offset_64, size;
} Field;
static const Field field_type = { 16, 16, 2 }, field_machine = { 18, 18, 2 }, field_entry = { 24, 24, 0 },
                   field_program_offset = { 28, 32, 0 }, field_program_size = { 42, 54, 2 },
                   field_program_count = { 44, 56, 2 };
static const Field field_segment_type = { 0, 0, 4 }, field_offset = { 4, 8, 0 }, field_virtual = { 8, 16, 0 },
                   field_physical = { 12, 24, 0 }, field_file_size = { 16, 32, 0 }, field_memory_size = { 20, 40, 0 };

static uint64_t get(const Elf *elf, const uint8_t *header, Field field)
{
    bool wide = elf->class == ELF_CLASS_64;
    unsigned size = field.size ? field.size : wide ? 8 : 4;
    uint64_t value = load_le(header + (wide ? field.offset_64 : field.offset_32), size);

    return elf->big_endian ? swap_bytes(value, size) : value;
}

bool elf_recognize(const ImageFile *file)
{
    uint8_t magic[4];

    return image_file_read(file, 0, magic, sizeof magic, NULL) && load_be32(magic) == 0x7f454c46;
}

static bool parse_ident(const ImageFile *file, Elf *elf, Error **error)
{
    uint8_t ident[IDENT_SIZE];

    if (!image_file_read(file, 0, ident, sizeof ident, error)) {
        return false;
    }
    elf->class = ident[4];
    elf->big_endian = ident[5] == DATA_BIG;
    if (load_be32(ident) != 0x7f454c46 || (elf->class != ELF_CLASS_32 && elf->class != ELF_CLASS_64) ||
        (ident[5] != DATA_LITTLE && ident[5] != DATA_BIG) || ident[6] != 1) {
        return error_set(error, "%s: is not an ELF file of a known class, byte order and version", file->name);
    }
    return true;
}

/* One program header; `*load` is whether it is a segment to load. */
static bool parse_segment(const ImageFile *file, const Elf *elf, const uint8_t *header, ElfSegment *segment, bool *load,
                          Error **error)
{
    uint64_t top = elf->class == ELF_CLASS_64 ? UINT64_MAX : UINT32_MAX;

    *segment = (ElfSegment){
        .offset = get(elf, header, field_offset),
        .file_size = get(elf, header, field_file_size),
        .physical = get(elf, header, field_physical),
        .virtual = get(elf, header, field_virtual),
        .memory_size = get(elf, header, field_memory_size),
    };
    *load = get(elf, header, field_segment_type) == SEGMENT_LOAD && segment->memory_size;
    if (!*load) {
        return true;
    }
    if (segment->offset > file->size || segment->file_size > file->size - segment->offset) {
        return error_set(error, "%s: ends at byte %" PRIu64 ", within its segment of %" PRIu64 " bytes from %" PRIu64,
                         file->name, file->size, segment->file_size, segment->offset);
    }
    if (segment->file_size > segment->memory_size || segment->memory_size - 1 > top - segment->physical ||
        segment->memory_size - 1 > top - segment->virtual) {
        return error_set(error, "%s: its segment for 0x%" PRIx64 " has impossible sizes", file->name,
                         segment->physical);
    }
    return true;
}

static int compare_segments(const void *a, const void *b)
{
    uint64_t x = ((const ElfSegment *)a)->physical, y = ((const ElfSegment *)b)->physical;

    return (x > y) - (x < y);
}

static bool check_overlap(const ImageFile *file, const Elf *elf, Error **error)
{
    for (size_t i = 1; i < elf->segment_count; i++) {
        const ElfSegment *before = &elf->segments[i - 1];
        if (before->memory_size > elf->segments[i].physical - before->physical) {
            return error_set(error, "%s: its segments for 0x%" PRIx64 " and 0x%" PRIx64 " overlap", file->name,
                             before->physical, elf->segments[i].physical);
        }
    }
    return true;
}

static bool parse_segments(const ImageFile *file, Elf *elf, uint64_t offset, unsigned count, Error **error)
{
    size_t size = elf->class == ELF_CLASS_64 ? PROGRAM_HEADER_64 : PROGRAM_HEADER_32;
    AUTO_FREE uint8_t *headers = mem_alloc(count * size);

    if (!image_file_read(file, offset, headers, count * size, error)) {
        return false;
    }
    elf->segments = mem_alloc_array(count, sizeof *elf->segments);
    for (unsigned i = 0; i < count; i++) {
        bool load;
        if (!parse_segment(file, elf, headers + i * size, &elf->segments[elf->segment_count], &load, error)) {
            return false;
        }
        elf->segment_count += load;
    }
    if (!elf->segment_count) {
        return error_set(error, "%s: has nothing to load", file->name);
    }
    qsort(elf->segments, elf->segment_count, sizeof *elf->segments, compare_segments);
    return check_overlap(file, elf, error);
}

static bool parse_header(const ImageFile *file, Elf *elf, Error **error)
{
    uint8_t header[HEADER_64];
    size_t size = elf->class == ELF_CLASS_64 ? HEADER_64 : HEADER_32;
    unsigned program_size = elf->class == ELF_CLASS_64 ? PROGRAM_HEADER_64 : PROGRAM_HEADER_32;

    if (!image_file_read(file, 0, header, size, error)) {
        return false;
    }
    elf->type = (uint16_t)get(elf, header, field_type);
    elf->machine = (uint16_t)get(elf, header, field_machine);
    elf->entry = get(elf, header, field_entry);
    unsigned count = (unsigned)get(elf, header, field_program_count);
    if (count == 0) {
        return error_set(error, "%s: has nothing to load", file->name);
    }
    if (count > PROGRAM_HEADER_LIMIT || get(elf, header, field_program_size) != program_size) {
        return error_set(error, "%s: its table of segments has an impossible size", file->name);
    }
    return parse_segments(file, elf, get(elf, header, field_program_offset), count, error);
}

bool elf_parse(const ImageFile *file, Elf *elf, Error **error)
{
    *elf = (Elf){ 0 };
    if (parse_ident(file, elf, error) && parse_header(file, elf, error)) {
        return true;
    }
    free(elf->segments);
    *elf = (Elf){ 0 };
    return false;
}

/* Names of e_machine values that users come across. */
static const struct {
    uint16_t machine;
    const char *name;
} machine_names[] = {
    { 2, "SPARC" },    { 3, "i386" },     { 4, "m68k" },     { 8, "MIPS" },     { 15, "HP PA-RISC" },
    { 20, "PowerPC" }, { 21, "PowerPC" }, { 22, "S/390" },   { 40, "Arm" },     { 42, "SuperH" },
    { 43, "SPARC" },   { 62, "x86-64" },  { 92, "OpenRISC" }, { 94, "Xtensa" }, { 183, "AArch64" },
    { 189, "MicroBlaze" }, { ELF_MACHINE_RISCV, "RISC-V" }, { 258, "LoongArch" },
};

static const char *machine_name(uint16_t machine)
{
    for (size_t i = 0; i < ARRAY_SIZE(machine_names); i++) {
        if (machine_names[i].machine == machine) {
            return machine_names[i].name;
        }
    }
    return "unknown";
}

static const char *order_name(bool big_endian) { return big_endian ? "big-endian" : "little-endian"; }

bool elf_check_machine(const ImageFile *file, const Elf *elf, uint16_t machine, uint8_t class, bool big_endian,
                       Error **error)
{
    if (elf->machine != machine || elf->class != class || elf->big_endian != big_endian) {
        return error_set(error, "%s: is for a %d-bit %s %s machine, not a %d-bit %s %s one", file->name,
                         elf->class * 32, order_name(elf->big_endian), machine_name(elf->machine), class * 32,
                         order_name(big_endian), machine_name(machine));
    }
    if (elf->type != TYPE_EXECUTABLE && elf->type != TYPE_SHARED) {
        return error_set(error, "%s: is an ELF file, but no executable (its type is %u)", file->name, elf->type);
    }
    return true;
}
