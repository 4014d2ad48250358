/* Makes qcow2 images in memory, by the specification and without the driver: random ones, with what they contain. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct ImageKind {
    const char *name;
    unsigned version, cluster_bits;
    bool extended, zstd, external;
} ImageKind;

typedef struct Image {
    GByteArray *file, *data; /* data: an external data file */
    uint8_t *contents;       /* with what the backing file has */
    size_t size;
} Image;

/* `backing` (may be NULL): the contents of a file of that name, `backing_size` bytes. */
Image image_new(const ImageKind *kind, size_t size, const char *backing_name, const char *backing_format,
                const uint8_t *backing, size_t backing_size, const char *data_name, uint32_t seed);
void image_free(Image *image);
/* Writes to a new file of that name. */
void image_write(const GByteArray *bytes, const char *path);
