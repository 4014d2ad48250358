/* img snapshot */
#include "base/error.h"
#include "base/host/host.h"
#include "tools/img/img.h"

#include <errno.h>
#include <string.h>

enum { LONGEST_NAME = 255 }; /* what is behind that is left out */

static const ImgOption options[] = {
    IMG_HELP, IMG_QUIET, IMG_FORMAT, IMG_IMAGE_OPTS, IMG_SHARE,
    IMG_OPTION('l', "list", IMG_FLAG, list, NULL, "list snapshots in FILENAME (the default)"),
    IMG_OPTION('c', "create", IMG_TEXT, create, "SNAPSHOT", "create named snapshot"),
    IMG_OPTION('a', "apply", IMG_TEXT, apply, "SNAPSHOT", "apply named snapshot to the base"),
    IMG_OPTION('d', "delete", IMG_TEXT, delete, "SNAPSHOT", "delete named snapshot"), IMG_OPTIONS_END,
};

static int list(Img *img, BlockNode *node)
{
    Error *error = NULL;
    BlockSnapshots snapshots;
    if (!block_snapshot_list(node, &snapshots, &error)) {
        tool_report(&img->tool, error, "%s", "");
        return 1;
    }
    img_print_snapshots(&snapshots, 0);
    block_snapshots_clear(&snapshots);
    return 0;
}

/* The cause alone, as it stands behind "Could not ...". */
static int fail(Img *img, const char *what, const char *name, Error *error)
{
    int number = error_errno(error);
    const char *why = number == ENOENT && strcmp(what, "delete") == 0  ? "snapshot not found"
                      : number == ENOENT ? "Failed to load snapshot: No such file or directory"
                      : number == ENOTSUP && strcmp(what, "apply") == 0 ? "Block driver does not support snapshots"
                      : number                                          ? strerror(number)
                                         : error_message(error);
    tool_error(&img->tool, "Could not %s snapshot '%s': %s", what, name, why);
    error_free(error);
    return 1;
}

/* By its name alone. */
static bool delete(BlockNode *node, const char *name, Error **error)
{
    AUTO_FREE char *id = img_find_snapshot(node, name, NULL);
    return id ? block_snapshot_delete(node, id, error) : error_set_errno(error, ENOENT, "snapshot '%s'", name);
}

static int change(Img *img, const ImgArguments *arguments, BlockNode *node)
{
    Error *error = NULL;
    if (arguments->create) {
        int64_t now = host_realtime_ns();
        AUTO_FREE char *name = string_copy_length(arguments->create, MIN(strlen(arguments->create), LONGEST_NAME));
        BlockSnapshot snapshot = { .name = name, .has_icount = true, .date_seconds = now / 1000000000,
                                   .date_nanoseconds = now % 1000000000 };
        return block_snapshot_create(node, &snapshot, &error) ? 0 : fail(img, "create", arguments->create, error);
    }
    if (arguments->apply) {
        return block_snapshot_apply(node, arguments->apply, &error) ? 0 : fail(img, "apply", arguments->apply, error);
    }
    return delete(node, arguments->delete, &error) ? 0 : fail(img, "delete", arguments->delete, error);
}

static int run(Img *img, ImgArguments *arguments)
{
    bool writes = arguments->create || arguments->apply || arguments->delete;
    if (arguments->list + !!arguments->create + !!arguments->apply + !!arguments->delete > 1) {
        return img_usage_error(img, "Cannot mix '-l', '-a', '-c', '-d'");
    }
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    ToolOpen open = { .name = arguments->name[0], .format = arguments->format, .image_opts = arguments->image_opts,
                      .flags = BLOCK_OPEN_WRITE | (arguments->force_share ? BLOCK_OPEN_FORCE_SHARE : 0),
                      .permissions = BLOCK_PERMISSION_ALL,
                      .shared = BLOCK_PERMISSION_READ };
    BlockEdge *edge = writes ? tool_open(&img->tool, &open)
                             : img_open_source(img, arguments, open.name, open.format, 0);
    int status = !edge ? 1 : writes ? change(img, arguments, block_edge_node(edge)) : list(img, block_edge_node(edge));
    block_detach(edge);
    return status;
}

const ImgCommand img_snapshot = {
    "snapshot", "List or manipulate snapshots within image",
    "[-f FMT | --image-opts] [-l | -a|-c|-d SNAPSHOT] [-U] FILENAME", options, run,
};
