/*
 * The "blkverify" driver: an image and a raw copy of it side by side. What is written goes to both, and what is read
 * must be the same in both; else the program ends, with a line that says where.
 */
#include "block/filter.h"

#include "api/json.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Blkverify {
    BlockEdge *test; /* node->file is the raw copy */
} Blkverify;

static bool blkverify_open(BlockNode *node, const void *data, Error **error)
{
    Blkverify *verify = node->state;
    if (!filter_open(node, "raw", error)) {
        return false;
    }
    verify->test = block_open_image_child(node, "test", error);
    if (!verify->test) {
        return false;
    }
    const char *raw = node->file->node->file_name, *test = verify->test->node->file_name;
    node->limits.alignment = MAX(node->limits.alignment, verify->test->node->limits.alignment);
    node->limits.write_flags = 0;
    if (!text_starts_with(raw, "json:") && !text_starts_with(test, "json:")) {
        free(node->file_name);
        node->file_name = string_format("blkverify:%s:%s", raw, test);
    }
    return true;
}

static bool blkverify_parse_name(const BlockDriver *driver, const char *filename, Json *options, Error **error)
{
    const char *raw = filename + strlen("blkverify:"), *test = strchr(raw, ':');
    if (!test) {
        return error_set(error, "blkverify requires raw copy and original image path");
    }
    AUTO_FREE char *name = string_format("%.*s", (int)(test - raw), raw);
    const char *const names[][2] = { { "raw", name }, { "test", test + 1 } };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        Json *child = json_object();
        json_set(child, "filename", json_string(names[i][1]));
        json_set(options, names[i][0], child);
    }
    return true;
}

_Noreturn static void fail(const char *what, uint64_t offset, uint64_t bytes, const char *text)
{
    fprintf(stderr, "blkverify: %s offset=%" PRIu64 " bytes=%" PRIu64 " %s\n", what, offset, bytes, text);
    exit(1);
}

/* Both did the same thing; one that failed alone is a difference too. */
static int same(int raw_error, int test_error, const char *what, uint64_t offset, uint64_t bytes)
{
    if (raw_error != test_error) {
        AUTO_FREE char *text = string_format("return value mismatch %d != %d", -test_error, -raw_error);
        fail(what, offset, bytes, text);
    }
    return raw_error;
}

static int blkverify_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    const Blkverify *verify = node->state;
    AUTO_FREE char *copy = block_buffer(node, bytes), *tested = block_buffer(node, bytes);
    if (!copy || !tested) {
        return ENOMEM;
    }
    int error = same(block_read(node->file, offset, copy, bytes), block_read(verify->test, offset, tested, bytes),
                     "read", offset, bytes);
    for (uint64_t i = 0; !error && i < bytes; i++) {
        if (copy[i] != tested[i]) {
            AUTO_FREE char *text = string_format("contents mismatch at offset %" PRIu64, offset + i);
            fail("read", offset, bytes, text);
        }
    }
    if (!error) {
        block_vectors_write(vectors, tested, bytes);
    }
    return error;
}

static int blkverify_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    const Blkverify *verify = node->state;
    return same(block_writev(node->file, offset, bytes, vectors, flags),
                block_writev(verify->test, offset, bytes, vectors, flags), "write", offset, bytes);
}

/* What the raw copy holds is there for comparing alone: only the image has to be on stable storage, which the layer
 * sees to. */
static int blkverify_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    *status = (BlockStatus){ .bytes = bytes, .data = true, .allocated = true };
    return 0;
}

static int64_t blkverify_allocated_size(BlockNode *node) { return -1; }

static const char *const schemes[] = { "blkverify", NULL };
static const char *const children[] = { "test", "raw", NULL };

const BlockDriver blkverify_driver = {
    .name = "blkverify",
    .is_protocol = true,
    .is_filter = true,
    .schemes = schemes,
    .parse_name = blkverify_parse_name,
    .state_size = sizeof(Blkverify),
    .settings = &BlkverifySettings_type,
    .children = children,
    .open = blkverify_open,
    .read = blkverify_read,
    .write = blkverify_write,
    .status = blkverify_status,
    .allocated_size = blkverify_allocated_size,
};
