/* Overlays for what is written and soon forgotten: -snapshot. */
#include "block/image.h"

#include "api/json.h"
#include "base/error.h"
#include "base/vec.h"
#include "schema/block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

/* The file that takes what is written, which nobody sees by its name. */
static char *make_overlay(BlockGraph *graph, uint64_t size, Error **error)
{
    const char *folder = getenv("TMPDIR");
    AUTO_FREE char *path = string_format("%s/vl.XXXXXX", folder ? folder : "/var/tmp");
    AUTO_FREE char *text = string_format("%" PRIu64, size);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(error, errno, "Could not get temporary filename");
        return NULL;
    }
    close(fd);
    Json *options = json_object();
    json_set(options, "size", json_string(text));
    bool ok = block_create(graph, block_driver_find("qcow2"), path, options, error);
    json_free(options);
    if (!ok) {
        unlink(path);
        error_prepend(error, "Could not create temporary overlay '%s': ", path);
        return NULL;
    }
    return string_copy(path);
}

BlockNode *block_open_temporary(BlockGraph *graph, BlockNode *base, unsigned flags, Error **error)
{
    AUTO_FREE char *path = make_overlay(graph, block_node_size(base), error);
    BlockNodeModes modes = block_node_modes(base); /* what they say of writes is the overlay's now */
    BlockNode *node = NULL;
    if (path) {
        Json *options = json_object(), *file = json_object();
        json_set(file, "driver", json_string("file"));
        json_set(file, "filename", json_string(path));
        json_set(options, "driver", json_string("qcow2"));
        json_set(options, "file", file);
        json_set(options, "backing", json_string(block_node_name(base)));
        json_set(options, "discard", json_string(BlockdevDiscardOptions_type.names[modes.discard]));
        json_set(options, "detect-zeroes", json_string(BlockdevDetectZeroesOptions_type.names[modes.detect_zeroes]));
        node = block_open(graph, NULL, options, (flags & ~(unsigned)BLOCK_OPEN_DIRECT) | BLOCK_OPEN_WRITE |
                                                    BLOCK_OPEN_NO_FLUSH, error);
        unlink(path);
    }
    block_node_unref(base);
    return node;
}
