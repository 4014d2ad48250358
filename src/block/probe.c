/*
 * Finding the format of an image by how its file begins. What no format claims is raw: then the guest could write the
 * beginning of another format, with the name of any file of the host as its backing file. So raw_write looks again.
 */
#include "block/block_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"

enum { PROBE_BYTES = 2048 };

const BlockDriver *block_probe(const uint8_t *bytes, size_t count)
{
    const BlockDriver *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < block_driver_count; i++) {
        const BlockDriver *driver = block_drivers[i];
        int score = driver->probe ? driver->probe(bytes, count) : 0;
        if (score > best_score || (!best && strcmp(driver->name, "raw") == 0)) {
            best = driver;
            best_score = score;
        }
    }
    return best;
}

bool probe_driver(BlockNode *node, Json *options, BlockNode **file, Error **error)
{
    uint8_t bytes[PROBE_BYTES];
    Json *file_options = json_take(options, "file");
    if (!file_options) {
        return error_set(error, "A block device must be specified for \"file\"");
    }
    bool inherits = json_kind(file_options) != JSON_STRING;
    *file = open_below(node, file_options, node->flags | BLOCK_OPEN_PROTOCOL | BLOCK_OPEN_DISCARD, error);
    BlockEdge *edge = *file ? edge_new(*file, NULL, "probing", 0, BLOCK_PERMISSION_ALL, error) : NULL;
    if (!edge) {
        return false;
    }
    (*file)->inherits = inherits;
    size_t count = MIN(block_node_size(*file), sizeof bytes);
    int number = block_read(edge, 0, bytes, count);
    edge_free(edge);
    if (number) {
        return error_set_errno(error, number, "Could not read image '%s' for determining its format",
                               (*file)->file_name);
    }
    node->driver = block_probe(bytes, count);
    node->guessed = true;
    json_set(options, "file", json_string((*file)->name));
    return true;
}
