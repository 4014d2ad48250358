/* img convert --bitmaps: the persistent bitmaps of the one source become the target's. */
#include "block/bitmap.h"

#include "base/error.h"
#include "tools/img/img.h"

bool img_check_source_bitmaps(const Img *img, BlockNode *source, bool skip_broken)
{
    Error *error = NULL;
    if (!block_bitmaps_supported(source)) {
        tool_error(&img->tool, "Source lacks bitmap support");
        return false;
    }
    if (!block_bitmaps_load(source, &error)) {
        tool_report(&img->tool, error, "%s", "");
        return false;
    }
    BlockBitmap *bitmap;
    for (size_t i = 0; (bitmap = block_bitmap_at(source, i)); i++) {
        if (bitmap->inconsistent && !skip_broken) {
            tool_error(&img->tool, "Cannot copy inconsistent bitmap '%s'", bitmap->name);
            fprintf(stderr, "Try --skip-broken-bitmaps, or use '%s bitmap --remove' to delete it\n",
                    img->tool.program);
            return false;
        }
    }
    return true;
}

static bool copy_one(const Img *img, BlockBitmap *from, BlockNode *target)
{
    Error *error = NULL;
    BlockBitmap *to = block_bitmap_add(target, from->name, BIT(from->granularity_bits), true, &error);
    if (!to) {
        tool_report(&img->tool, error, "Failed to create bitmap %s: ", from->name);
        return false;
    }
    if (!block_bitmap_enable(to, from->enabled, &error) || !block_bitmap_merge(to, from, &error)) {
        tool_report(&img->tool, error, "Failed to populate bitmap %s: ", from->name);
        block_bitmap_remove(to);
        return false;
    }
    return true;
}

bool img_copy_bitmaps(const Img *img, const BlockNode *source, BlockNode *target)
{
    bool ok = true;
    BlockBitmap *from;
    for (size_t i = 0; ok && (from = block_bitmap_at(source, i)); i++) {
        if (from->inconsistent) {
            tool_warning(&img->tool, "Skipping inconsistent bitmap '%s'", from->name);
        } else {
            ok = copy_one(img, from, target);
        }
    }
    return ok;
}
