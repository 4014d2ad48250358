/*
 * What a board puts into guest memory before the guest runs: firmware, kernels, initial ramdisks, device trees. It is
 * put there again at each reset, after the devices'.
 */
#pragma once

#include "board/elf.h"
#include "board/image_file.h"

typedef struct Loader Loader;
typedef struct Machine Machine;
typedef struct StrBuf StrBuf;

/* One for a machine; the machine's reset calls it from then on. It must live as long as the machine runs. */
Loader *loader_new(Machine *machine);
void loader_free(Loader *loader);

/* `memory_size` bytes at `address`: `file_size` of the file's from `offset`, then zeroes. An error where there is no
 * memory, or another image. The file gets a further reference. */
bool loader_add_file(Loader *loader, ImageFile *file, uint64_t offset, uint64_t file_size, uint64_t memory_size,
                     uint64_t address, Error **error);
/* A copy of `bytes`. `renew` (may be NULL) may change them before each reset. */
bool loader_add_bytes(Loader *loader, const char *name, const void *bytes, size_t size, uint64_t address,
                      void (*renew)(Machine *machine, void *bytes, size_t size), Error **error);

/* Where something was put: its first byte, the one behind its last, and where it begins to run. */
typedef struct LoadedImage {
    uint64_t start, end, entry;
} LoadedImage;
/* The loadable segments of an executable for the machine's guest, at their physical addresses. An entry that is a
 * virtual address within a segment becomes the physical one. */
bool loader_add_elf(Loader *loader, ImageFile *file, LoadedImage *loaded, Error **error);

/* info roms: a line for each image, in order of address. */
void loader_print(const Loader *loader, StrBuf *buffer);
