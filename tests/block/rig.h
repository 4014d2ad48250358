/* What tests of images stand on: a graph of nodes, and a folder of its own for their files, which goes with it. */
#pragma once

#include "base/files.h"
#include "block/graph.h"
#include "core/loop.h"

#include <glib/gstdio.h>

typedef struct Rig {
    Loop *loop;
    Files *files;
    BlockGraph *graph;
    char *folder;
    GRand *random;
} Rig;

static inline Rig rig_new(uint32_t seed)
{
    Rig rig = { .loop = loop_new(false, NULL), .files = files_new(), .folder = g_strdup("/var/tmp/block-XXXXXX"),
                .random = g_rand_new_with_seed(seed) };
    g_assert_nonnull(g_mkdtemp(rig.folder));
    rig.graph = block_graph_new(rig.files, rig.loop, NULL);
    return rig;
}

static inline void rig_free(Rig *rig)
{
    block_graph_free(rig->graph);
    files_free(rig->files);
    loop_free(rig->loop);
    GDir *folder = g_dir_open(rig->folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *path = g_build_filename(rig->folder, name, NULL);
        g_unlink(path);
    }
    g_dir_close(folder);
    g_rmdir(rig->folder);
    g_free(rig->folder);
    g_rand_free(rig->random);
}

/* Of a file in the folder; the caller's. */
static inline char *path_of(const Rig *rig, const char *name) { return g_build_filename(rig->folder, name, NULL); }
