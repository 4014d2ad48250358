/*
 * Writing a flattened device tree: a writer that stands at a node of a tree in memory, whose nodes and properties keep
 * the order in which they were made. (fdt_text is not fdt_string because libfdt has one of that name.)
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct FdtWriter FdtWriter;

FdtWriter *fdt_writer_new(void);
/* Starts from an existing blob (-dtb); checked. NULL with an error. */
FdtWriter *fdt_writer_load(const void *blob, size_t size, Error **error);
void fdt_writer_free(FdtWriter *fdt);
/* Enters a child of the current node, made where it is missing; leaves it. Setting a property again replaces it. */
void fdt_begin(FdtWriter *fdt, const char *format, ...) PRINTF(2, 3);
void fdt_end(FdtWriter *fdt);
void fdt_empty(FdtWriter *fdt, const char *property);
void fdt_u32(FdtWriter *fdt, const char *property, uint32_t value);
void fdt_u64(FdtWriter *fdt, const char *property, uint64_t value);
void fdt_cells(FdtWriter *fdt, const char *property, const uint32_t *cells, size_t count);
void fdt_text(FdtWriter *fdt, const char *property, const char *text);
void fdt_texts(FdtWriter *fdt, const char *property, const char *const *texts, size_t count);
void fdt_bytes(FdtWriter *fdt, const char *property, const void *bytes, size_t count);
/* address, size pairs with two cells each */
void fdt_reg(FdtWriter *fdt, const uint64_t *addresses_and_sizes, size_t pairs);
uint32_t fdt_phandle_new(FdtWriter *fdt);
/* Handles are given out from `first` on (the default is 1), above all that a loaded blob has. */
void fdt_set_first_phandle(FdtWriter *fdt, uint32_t first);
/* The finished blob, owned by the caller; the writer is to be freed. All that was begun has ended. */
void *fdt_writer_take(FdtWriter *fdt, size_t *size);
