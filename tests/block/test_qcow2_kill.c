/*
 * A writer is killed again and again (SIGKILL). What it had flushed is there, what it had not is old or new, and the
 * image is whole but for clusters that are counted and not used; lazy counts are repaired when it is opened.
 *
 * The program is its own writer: --writer IMAGE SEED writes one step after the other, and a byte to stdout after each
 * flush.
 */
#include "api/json.h"
#include "base/error.h"
#include "base/files.h"
#include "block/graph.h"
#include "block/image.h"
#include "core/loop.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 96, SLOT_BYTES = 6000, STRIDE = 8192, SIZE = SLOTS * STRIDE, STEP_WRITES = 6, USUAL_ROUNDS = 60 };

typedef struct Rig {
    Loop *loop;
    Files *files;
    BlockGraph *graph;
} Rig;

static Rig rig_new(void)
{
    Rig rig = { .loop = loop_new(false, NULL), .files = files_new() };
    rig.graph = block_graph_new(rig.files, rig.loop, NULL);
    return rig;
}

static void rig_free(Rig *rig)
{
    block_graph_free(rig->graph);
    files_free(rig->files);
    loop_free(rig->loop);
}

static BlockEdge *open_image(const Rig *rig, const char *path, unsigned more)
{
    AUTO_ERROR(error);
    Json *options = json_object();
    json_set(options, "discard", json_string("unmap"));
    BlockNode *node = block_open(rig->graph, path, options, BLOCK_OPEN_WRITE | BLOCK_OPEN_NO_FLUSH | more,
                                 &error);
    if (!node) {
        g_error("%s", error_message(error));
    }
    BlockEdge *edge = block_attach(node, "the test", BLOCK_PERMISSION_ALL, BLOCK_PERMISSION_READ, &error);
    g_assert_nonnull(edge);
    block_node_unref(node);
    return edge;
}

/* What step `step` of a writer does, the `i`th part: both sides work it out. */
typedef struct Part {
    unsigned slot;
    uint32_t value; /* 0: zeroes */
} Part;

static Part part_of(uint32_t seed, uint32_t step, unsigned i)
{
    uint32_t x = seed * 2654435761u + step * 40503u + i * 65537u + 1;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return (Part){ .slot = x % SLOTS, .value = (x >> 8) % 5 == 0 ? 0 : (step << 8 | (seed & 0xff)) + 1 };
}

static uint64_t place_of(unsigned slot) { return (uint64_t)slot * STRIDE + 100; }

/* The writer */

static int write_part(BlockEdge *edge, Part part)
{
    uint32_t words[SLOT_BYTES / 4];
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        words[i] = part.value;
    }
    return part.value ? block_write(edge, place_of(part.slot), words, sizeof words, 0)
                      : block_write_zeroes(edge, place_of(part.slot), sizeof words, BLOCK_MAY_UNMAP);
}

static int run_writer(const char *path, uint32_t seed)
{
    Rig rig = rig_new();
    BlockEdge *edge = open_image(&rig, path, seed & 1 ? BLOCK_OPEN_DIRECT : 0);
    for (uint32_t step = 0;; step++) {
        for (unsigned i = 0; i < STEP_WRITES; i++) {
            if (write_part(edge, part_of(seed, step, i))) {
                return 2;
            }
        }
        if (block_flush(edge) || write(STDOUT_FILENO, "", 1) != 1) {
            return 3;
        }
    }
}

/* The other side */

/* Lets a writer run until it has flushed `steps` times, and a little longer; returns how often it had. */
static unsigned run_and_kill(const char *program, const char *path, uint32_t seed, unsigned steps, unsigned spins)
{
    g_autofree char *number = g_strdup_printf("%u", seed);
    const char *words[] = { program, "--writer", path, number, NULL };
    GPid pid;
    int output;
    GSpawnFlags flags = G_SPAWN_DO_NOT_REAP_CHILD;
    g_assert_true(g_spawn_async_with_pipes(NULL, (char **)words, NULL, flags, NULL, NULL, &pid, NULL, &output, NULL,
                                           NULL));
    unsigned flushed = 0;
    char bytes[64];
    for (ssize_t got; flushed < steps && (got = read(output, bytes, MIN(steps - flushed, sizeof bytes))) > 0;) {
        flushed += (unsigned)got;
    }
    for (volatile unsigned i = 0; i < spins; i++) {
    }
    kill(pid, SIGKILL);
    int status;
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
    for (ssize_t got; (got = read(output, bytes, sizeof bytes)) > 0;) {
        flushed += (unsigned)got;
    }
    close(output);
    g_spawn_close_pid(pid);
    return flushed;
}

/* A word of a slot is what the last flushed step wrote there, or what one of the next two did. */
static bool may_be(uint32_t word, uint32_t before, uint32_t seed, unsigned flushed, unsigned slot)
{
    uint32_t value = before;
    for (uint32_t step = 0; step < flushed + 2; step++) {
        for (unsigned i = 0; i < STEP_WRITES; i++) {
            Part part = part_of(seed, step, i);
            if (part.slot == slot) {
                if (step >= flushed && word == value) {
                    return true;
                }
                value = part.value;
            }
        }
    }
    return word == value;
}

static void check_slots(const uint8_t *before, const uint8_t *after, uint32_t seed, unsigned flushed)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        for (unsigned at = 0; at < SLOT_BYTES; at += 4) {
            uint32_t old, word;
            memcpy(&old, before + place_of(slot) + at, 4);
            memcpy(&word, after + place_of(slot) + at, 4);
            if (!may_be(word, old, seed, flushed, slot)) {
                g_error("slot %u has %08x after %u flushes of seed %u", slot, word, flushed, seed);
            }
        }
    }
}

static void report_line(void *data, const char *line) { g_test_message("%s", line); }

/* Before anything is repaired there are leaks at most, where counts are not lazy. */
static void check_image(const Rig *rig, const char *path, bool lazy)
{
    AUTO_ERROR(error);
    BlockNode *node = block_open(rig->graph, path, NULL, 0, &error);
    BlockCheck check = { .report = report_line };
    g_assert_nonnull(node);
    g_assert_true(block_check(node, 0, &check, &error));
    g_assert_true(lazy || check.corruptions == 0);
    g_assert_cmpuint(check.check_errors, ==, 0);
    block_node_unref(node);
    node = block_open(rig->graph, path, NULL, BLOCK_OPEN_WRITE | BLOCK_OPEN_NO_FLUSH, &error);
    g_assert_nonnull(node);
    check = (BlockCheck){ .report = report_line };
    g_assert_true(block_check(node, BLOCK_FIX_LEAKS | BLOCK_FIX_ERRORS, &check, &error));
    check = (BlockCheck){ .report = report_line };
    g_assert_true(block_check(node, 0, &check, &error));
    g_assert_cmpuint(check.corruptions + check.leaks + check.check_errors, ==, 0);
    block_node_unref(node);
}

typedef struct Kind {
    const char *name, *options;
} Kind;

static const Kind kinds[] = {
    { "plain", "cluster_size=4096" },
    { "lazy", "cluster_size=4096,lazy_refcounts=on" },
    { "extended", "cluster_size=16384,extended_l2=on" },
    { "small", "cluster_size=512,refcount_bits=64" },
};

static const char *own_path; /* of this program, as main was given it */

static void make_image(const Rig *rig, const char *path, const char *options)
{
    AUTO_ERROR(error);
    Json *json = json_object();
    g_auto(GStrv) items = g_strsplit(options, ",", -1);
    for (char **item = items; *item; item++) {
        g_auto(GStrv) pair = g_strsplit(*item, "=", 2);
        json_set(json, pair[0], json_string(pair[1]));
    }
    g_autofree char *size = g_strdup_printf("%d", SIZE);
    json_set(json, "size", json_string(size));
    g_assert_true(block_create(rig->graph, block_driver_find("qcow2"), path, json, &error));
    json_free(json);
}

static void read_all(const Rig *rig, const char *path, uint8_t *bytes)
{
    BlockEdge *edge = open_image(rig, path, 0);
    g_assert_cmpint(block_read(edge, 0, bytes, SIZE), ==, 0);
    block_detach(edge);
}

static void test_kill(gconstpointer data)
{
    const Kind *kind = data;
    const char *wanted = g_getenv("MYNA_KILL_ROUNDS");
    unsigned rounds = (wanted ? (unsigned)atoi(wanted) : USUAL_ROUNDS) / G_N_ELEMENTS(kinds);
    g_autofree char *folder = g_mkdtemp(g_strdup("/var/tmp/myna-kill-XXXXXX")),
                     *path = g_build_filename(folder, "image", NULL);
    g_autofree uint8_t *before = g_malloc(SIZE), *after = g_malloc(SIZE);
    GRand *random = g_rand_new_with_seed(7);
    Rig rig = rig_new();
    make_image(&rig, path, kind->options);
    for (unsigned round = 0; round < rounds; round++) {
        uint32_t seed = g_rand_int(random) & 0xffff;
        unsigned steps = (unsigned)g_rand_int_range(random, 0, 30);
        unsigned spins = (unsigned)g_rand_int_range(random, 0, 400000);
        read_all(&rig, path, before);
        unsigned flushed = run_and_kill(own_path, path, seed, steps, spins);
        check_image(&rig, path, strstr(kind->options, "lazy") != NULL);
        read_all(&rig, path, after);
        check_slots(before, after, seed, flushed);
    }
    rig_free(&rig);
    g_rand_free(random);
    g_unlink(path);
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--writer") == 0) {
        return run_writer(argv[2], (uint32_t)atoi(argv[3]));
    }
    own_path = argv[0];
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdup_printf("/qcow2-kill/%s", kinds[i].name);
        g_test_add_data_func(name, &kinds[i], test_kill);
    }
    return g_test_run();
}
