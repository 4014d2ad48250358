#include "base/bytes.h"

#include "qcow2_image.h"

#include <zlib.h>
#include <zstd.h>

typedef struct Maker {
    const ImageKind *kind;
    Image image;
    GRand *random;
    size_t cluster;
} Maker;

/* Zeroes at the end of the file, from a cluster's beginning on. */
static size_t allocate(GByteArray *file, size_t cluster, size_t bytes)
{
    size_t at = (file->len + cluster - 1) / cluster * cluster;
    guint before = file->len;
    g_byte_array_set_size(file, (guint)(at + bytes));
    memset(file->data + before, 0, at + bytes - before);
    return at;
}

static void fill(Maker *maker, uint8_t *to, size_t count)
{
    uint32_t value = g_rand_int(maker->random);
    for (size_t i = 0; i < count; i++) {
        to[i] = (uint8_t)(value >> (i / 64 % 24)) ^ (uint8_t)(i / 256);
    }
}

static size_t compress_cluster(const Maker *maker, const uint8_t *from, uint8_t *to, size_t room)
{
    if (maker->kind->zstd) {
        return ZSTD_compress(to, room, from, maker->cluster, 1);
    }
    z_stream stream = { .next_in = (uint8_t *)from, .avail_in = (unsigned)maker->cluster, .next_out = to,
                        .avail_out = (unsigned)room };
    g_assert_cmpint(deflateInit2(&stream, 1, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), ==, Z_OK);
    g_assert_cmpint(deflate(&stream, Z_FINISH), ==, Z_STREAM_END);
    deflateEnd(&stream);
    return room - stream.avail_out;
}

/* At any byte, as compressed clusters are. */
static uint64_t put_compressed(Maker *maker, uint8_t *whole)
{
    GByteArray *file = maker->image.file;
    fill(maker, whole, maker->cluster);
    size_t room = maker->cluster * 2 + 1024;
    g_autofree uint8_t *stream = g_malloc(room);
    size_t bytes = compress_cluster(maker, whole, stream, room),
        at = file->len + g_rand_int_range(maker->random, 0, 99);
    guint before = file->len;
    g_byte_array_set_size(file, (guint)(at + bytes));
    memset(file->data + before, 0xee, at - before);
    memcpy(file->data + at, stream, bytes);
    unsigned bits = 62 - (maker->kind->cluster_bits - 8);
    return 1ull << 62 | ((at + bytes - 1) / 512 - at / 512) << bits | at;
}

static uint64_t put_data(Maker *maker, size_t guest, uint8_t *whole)
{
    const ImageKind *kind = maker->kind;
    GByteArray *file = kind->external ? maker->image.data : maker->image.file;
    size_t at = kind->external ? guest : allocate(file, maker->cluster, maker->cluster);
    if (at + maker->cluster > file->len) {
        g_byte_array_set_size(file, (guint)(at + maker->cluster));
    }
    fill(maker, whole, maker->cluster);
    memcpy(file->data + at, whole, maker->cluster);
    return 1ull << 63 | at;
}

/* Each subcluster in a way of its own. */
static uint64_t choose_subclusters(Maker *maker, const uint8_t *data, uint8_t *whole, const uint8_t *behind)
{
    size_t part = maker->cluster / 32;
    uint64_t bitmap = 0;
    for (unsigned i = 0; i < 32; i++) {
        switch (g_rand_int_range(maker->random, 0, 3)) {
        case 0:
            memcpy(whole + i * part, behind + i * part, part);
            break;
        case 1:
            bitmap |= 1ull << (32 + i);
            memset(whole + i * part, 0, part);
            break;
        default:
            bitmap |= 1ull << i;
            memcpy(whole + i * part, data + i * part, part);
        }
    }
    return bitmap;
}

/* One cluster of the disk: `whole` has what the backing file has of it. */
static void put_cluster(Maker *maker, size_t guest, uint8_t *whole, uint64_t *descriptor, uint64_t *bitmap)
{
    const ImageKind *kind = maker->kind;
    int way = g_rand_int_range(maker->random, 0, 5);
    *descriptor = *bitmap = 0;
    if (way == 0) {
        return;
    }
    if (way == 1 && !kind->external) {
        *descriptor = put_compressed(maker, whole);
        return;
    }
    if (way == 2 && kind->version == 3 && !kind->extended) { /* zeroes, half of them with a place that is not read */
        uint64_t place = g_rand_boolean(maker->random) ? put_data(maker, guest, whole) : 0;
        *descriptor = place | 1;
        memset(whole, 0, maker->cluster);
        return;
    }
    if (!kind->extended) {
        *descriptor = put_data(maker, guest, whole);
        return;
    }
    g_autofree uint8_t *behind = g_memdup2(whole, maker->cluster), *data = g_malloc(maker->cluster);
    *descriptor = put_data(maker, guest, data);
    *bitmap = choose_subclusters(maker, data, whole, behind);
}

static void put_tables(Maker *maker, size_t l1_at)
{
    GByteArray *file = maker->image.file;
    size_t entry = maker->kind->extended ? 16 : 8, entries = maker->cluster / entry, table = 0;
    for (size_t i = 0; i * maker->cluster < maker->image.size; i++) {
        if (i % entries == 0) {
            table = 0;
        }
        uint64_t descriptor, bitmap;
        put_cluster(maker, i * maker->cluster, maker->image.contents + i * maker->cluster, &descriptor, &bitmap);
        if (!descriptor && !bitmap) {
            continue;
        }
        if (!table) {
            table = allocate(file, maker->cluster, maker->cluster);
            store_be64(file->data + l1_at + i / entries * 8, table | 1ull << 63);
        }
        store_be64(file->data + table + i % entries * entry, descriptor);
        if (entry == 16) {
            store_be64(file->data + table + i % entries * entry + 8, bitmap);
        }
    }
}

static size_t put_extension(uint8_t *at, uint32_t type, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    store_be32(at, type);
    store_be32(at + 4, (uint32_t)length);
    memcpy(at + 8, text ? text : "", length);
    return 8 + (length + 7) / 8 * 8;
}

static void put_header(Maker *maker, const char *backing_name, const char *backing_format, const char *data_name,
                       size_t l1_at, size_t l1_entries)
{
    const ImageKind *kind = maker->kind;
    uint8_t *header = maker->image.file->data;
    size_t at = kind->version == 2 ? 72 : 112;
    memcpy(header, "QFI\xfb", 4);
    store_be32(header + 4, kind->version);
    store_be32(header + 20, kind->cluster_bits);
    store_be64(header + 24, maker->image.size);
    store_be32(header + 36, (uint32_t)l1_entries);
    store_be64(header + 40, l1_at);
    store_be64(header + 48, maker->cluster); /* refcounts: a table, empty, as reading does not look */
    store_be32(header + 56, 1);
    if (kind->version == 3) {
        store_be64(header + 72, (kind->external ? 4 : 0) | (kind->zstd ? 8 : 0) | (kind->extended ? 16 : 0));
        store_be32(header + 96, 4);
        store_be32(header + 100, 112);
        header[104] = kind->zstd;
    }
    at += backing_format ? put_extension(header + at, 0xe2792aca, backing_format) : 0;
    at += data_name ? put_extension(header + at, 0x44415441, data_name) : 0;
    at += put_extension(header + at, 0x12345678, "nobody knows");
    at += put_extension(header + at, 0, NULL);
    if (backing_name) {
        store_be64(header + 8, at);
        store_be32(header + 16, (uint32_t)strlen(backing_name));
        memcpy(header + at, backing_name, strlen(backing_name));
    }
}

Image image_new(const ImageKind *kind, size_t size, const char *backing_name, const char *backing_format,
                const uint8_t *backing, size_t backing_size, const char *data_name, uint32_t seed)
{
    Maker maker = { .kind = kind, .random = g_rand_new_with_seed(seed), .cluster = (size_t)1 << kind->cluster_bits };
    size_t clusters = (size + maker.cluster - 1) / maker.cluster, entries = maker.cluster / (kind->extended ? 16 : 8);
    size_t l1_entries = (clusters + entries - 1) / entries;
    maker.image = (Image){ .file = g_byte_array_new(), .data = g_byte_array_new(), .size = size,
                           .contents = g_malloc0(clusters * maker.cluster) };
    if (backing) {
        memcpy(maker.image.contents, backing, MIN(backing_size, size));
    }
    allocate(maker.image.file, maker.cluster, 2 * maker.cluster);
    size_t l1_at = allocate(maker.image.file, maker.cluster, l1_entries * 8);
    put_tables(&maker, l1_at);
    put_header(&maker, backing_name, backing_format, data_name, l1_at, l1_entries);
    g_rand_free(maker.random);
    return maker.image;
}

void image_free(Image *image)
{
    g_byte_array_unref(image->file);
    g_byte_array_unref(image->data);
    g_free(image->contents);
}

void image_write(const GByteArray *bytes, const char *path)
{
    g_assert_true(g_file_set_contents(path, (const char *)bytes->data, (gssize)bytes->len, NULL));
}
