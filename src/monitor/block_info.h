/* What the commands about disks say of them. */
#pragma once

#include "block/block.h"
#include "block/graph.h"
#include "schema/block.h"

/* The ID of the device that uses the disk, or where it is; the caller's. NULL where there is none. */
char *disk_user_name(const Disk *disk);
/* The disk of that name, or that the device with the ID or path `id` uses: one of the two is NULL, or that is an
 * error. */
Disk *block_find_disk(Object *root, const char *device, const char *id, Error **error);
/* `disk` may be NULL: a node that is no drive's. `flat`: without the images of its backing files. The caller's to
 * type_clear. */
void block_describe_node(BlockNode *node, const Disk *disk, bool flat, BlockDeviceInfo *info);
void block_describe_disk(const Disk *disk, BlockInfo *info);
void block_describe_statistics(const Disk *disk, BlockStats *stats);
/* With those below: of its file, and where `backing` is set of its backing file. */
void block_describe_node_statistics(const BlockNode *node, bool backing, BlockStats *stats);

/* As info block prints them. */
void block_print_disk(const Disk *disk, bool verbose, StrBuf *out);
void block_print_node(BlockNode *node, bool verbose, StrBuf *out);
