/*
 * What there is to load in an ELF file, of either class and byte order. Every number of the file is checked before it
 * is used: offsets and sizes are within the file and the address space, segments do not overlap.
 */
#pragma once

#include "board/image_file.h"

enum { ELF_CLASS_32 = 1, ELF_CLASS_64 = 2, ELF_MACHINE_RISCV = 243 };

typedef struct ElfSegment {
    uint64_t offset, file_size; /* in the file */
    uint64_t physical, virtual, memory_size; /* in memory: never empty, never past the end of the address space */
} ElfSegment;

typedef struct Elf {
    uint8_t class; /* ELF_CLASS */
    bool big_endian;
    uint16_t type, machine;
    uint64_t entry;
    ElfSegment *segments; /* loadable ones, in order of physical address; at least one */
    size_t segment_count;
} Elf;

bool elf_recognize(const ImageFile *file);
/* On success the caller owns elf->segments. */
bool elf_parse(const ImageFile *file, Elf *elf, Error **error);
/* Whether it is an executable of this kind of processor; the error says what it is instead. */
bool elf_check_machine(const ImageFile *file, const Elf *elf, uint16_t machine, uint8_t class, bool big_endian,
                       Error **error);
