/* Persistent dirty bitmaps: their directory and tables. */
#include "block/qcow2/qcow2.h"

#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>

enum { ENTRY_BYTES = 24, MAXIMUM_BITMAPS = 65535 };
#define MAXIMUM_DIRECTORY_BYTES (UINT64_C(1024) * MAXIMUM_BITMAPS)
#define MAXIMUM_TABLE_ENTRIES (UINT64_C(8) << 20)

typedef void CountRange(void *data, uint64_t offset, uint64_t bytes);

static int count_table(BlockNode *node, uint64_t offset, uint32_t entries, CountRange *count, void *data)
{
    const Qcow2 *qcow2 = node->state;
    uint64_t bytes = entries * sizeof(uint64_t);
    if (entries > MAXIMUM_TABLE_ENTRIES || offset % qcow2->cluster_bytes) {
        return EINVAL;
    }
    AUTO_FREE uint8_t *table = block_buffer(node->file->node, bytes);
    int error = table ? block_read(node->file, offset, table, bytes) : ENOMEM;
    count(data, offset, bytes);
    for (uint32_t i = 0; i < entries && !error; i++) {
        uint64_t place = load_be64(table + i * sizeof(uint64_t)) & QCOW2_OFFSET;
        if (place) {
            count(data, place, qcow2->cluster_bytes);
        }
    }
    return error;
}

int qcow2_bitmaps_count(BlockNode *node, CountRange *count, void *data, Error **error)
{
    const Qcow2Header *header = &((Qcow2 *)node->state)->header;
    uint64_t bytes = header->bitmap_directory_bytes;
    if (bytes > MAXIMUM_DIRECTORY_BYTES || header->bitmaps > MAXIMUM_BITMAPS) {
        error_set(error, "Requested bitmap directory size is too large");
        return EINVAL;
    }
    AUTO_FREE uint8_t *directory = block_buffer(node->file->node, bytes);
    int number = directory ? block_read(node->file, header->bitmap_directory_offset, directory, bytes) : ENOMEM;
    count(data, header->bitmap_directory_offset, bytes);
    for (uint64_t at = 0; at + ENTRY_BYTES <= bytes && !number;) {
        const uint8_t *entry = directory + at;
        uint64_t length = align_up(ENTRY_BYTES + load_be16(entry + 18) + (uint64_t)load_be32(entry + 20), 8);
        number = length <= bytes - at ? count_table(node, load_be64(entry), load_be32(entry + 8), count, data) : EINVAL;
        at += length;
    }
    return number;
}
