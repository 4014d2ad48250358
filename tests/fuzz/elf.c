/* What -kernel and -bios read: ELF files, and gzip. What is accepted holds what elf.h promises. */
#include "board/elf.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { UNPACKED_LIMIT = 1024 * 1024 };

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void check_segments(const ImageFile *file, const Elf *elf)
{
    uint64_t top = elf->class == ELF_CLASS_64 ? UINT64_MAX : UINT32_MAX;

    must(elf->segment_count > 0, "there is something to load");
    for (size_t i = 0; i < elf->segment_count; i++) {
        const ElfSegment *segment = &elf->segments[i];
        must(segment->memory_size > 0 && segment->file_size <= segment->memory_size, "sizes");
        must(segment->offset <= file->size && segment->file_size <= file->size - segment->offset, "in the file");
        must(segment->physical <= top && segment->memory_size - 1 <= top - segment->physical, "in memory");
        must(i == 0 || segment->physical - segment[-1].physical >= segment[-1].memory_size, "apart");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error *error = NULL, *inflate_error = NULL;
    ImageFile *file = image_file_from_bytes("input", data, size);
    Elf elf;

    bool ok = elf_parse(file, &elf, &error);
    must(ok == !error, "an error or none");
    if (ok) {
        check_segments(file, &elf);
        elf_check_machine(file, &elf, ELF_MACHINE_RISCV, ELF_CLASS_64, false, NULL);
    }
    free(elf.segments);
    error_free(error);
    if (image_file_is_gzip(file)) {
        ImageFile *unpacked = image_file_inflate(file, 0, size, UNPACKED_LIMIT, &inflate_error);
        must(unpacked ? unpacked->size && unpacked->size <= UNPACKED_LIMIT : inflate_error != NULL, "unpacked or not");
        image_file_unref(unpacked);
        error_free(inflate_error);
    }
    image_file_unref(file);
    return 0;
}
