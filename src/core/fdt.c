/*
 * Writing a flattened device tree, after the Devicetree Specification 0.4: a tree in memory that libfdt's sequential
 * writer turns into a blob. Blobs are read here, versions 16 and 17. Overlays and labels are not there.
 */
#include "core/fdt.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <libfdt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_LIMIT = 64, BLOB_FIRST = 16 * 1024 };

typedef struct FdtProperty {
    char *name;
    void *bytes;
    size_t count;
} FdtProperty;

typedef struct FdtNode FdtNode;
struct FdtNode {
    char *name;
    FdtNode *parent;
    VEC(FdtProperty) properties;
    VEC(FdtNode *) children;
};

typedef struct FdtReservation {
    uint64_t address, size;
} FdtReservation;

struct FdtWriter {
    FdtNode *root, *node;
    uint32_t next_phandle;
    uint32_t boot_cpu;
    VEC(FdtReservation) reservations;
};

static FdtNode *node_new(FdtNode *parent, const char *name)
{
    FdtNode *node = NEW(FdtNode);
    node->name = string_copy(name);
    node->parent = parent;
    if (parent) {
        vec_push(&parent->children, node);
    }
    return node;
}

static void node_free(FdtNode *node)
{
    for (size_t i = 0; i < node->properties.count; i++) {
        free(node->properties.items[i].name);
        free(node->properties.items[i].bytes);
    }
    for (size_t i = 0; i < node->children.count; i++) {
        node_free(node->children.items[i]);
    }
    vec_free(&node->properties);
    vec_free(&node->children);
    free(node->name);
    free(node);
}

FdtWriter *fdt_writer_new(void)
{
    FdtWriter *fdt = NEW(FdtWriter);
    fdt->root = fdt->node = node_new(NULL, "");
    fdt->next_phandle = 1;
    return fdt;
}

void fdt_writer_free(FdtWriter *fdt)
{
    if (!fdt) {
        return;
    }
    node_free(fdt->root);
    vec_free(&fdt->reservations);
    free(fdt);
}

void fdt_bytes(FdtWriter *fdt, const char *property, const void *bytes, size_t count)
{
    FdtProperty *found = NULL;
    for (size_t i = 0; i < fdt->node->properties.count && !found; i++) {
        if (!strcmp(fdt->node->properties.items[i].name, property)) {
            found = &fdt->node->properties.items[i];
        }
    }
    if (!found) {
        vec_push(&fdt->node->properties, (FdtProperty){ .name = string_copy(property) });
        found = &fdt->node->properties.items[fdt->node->properties.count - 1];
    }
    free(found->bytes);
    found->bytes = count ? mem_copy(bytes, count) : NULL;
    found->count = count;
}

static FdtNode *node_child(const FdtNode *node, const char *name)
{
    for (size_t i = 0; i < node->children.count; i++) {
        if (!strcmp(node->children.items[i]->name, name)) {
            return node->children.items[i];
        }
    }
    return NULL;
}

void fdt_begin(FdtWriter *fdt, const char *format, ...)
{
    StrBuf name = { 0 };
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&name, format, arguments);
    va_end(arguments);
    FdtNode *child = node_child(fdt->node, strbuf_text(&name));
    fdt->node = child ? child : node_new(fdt->node, strbuf_text(&name));
    strbuf_free(&name);
}

void fdt_end(FdtWriter *fdt)
{
    assert(fdt->node->parent);
    fdt->node = fdt->node->parent;
}

void fdt_empty(FdtWriter *fdt, const char *property) { fdt_bytes(fdt, property, NULL, 0); }

void fdt_u32(FdtWriter *fdt, const char *property, uint32_t value)
{
    uint8_t bytes[4];
    store_be32(bytes, value);
    fdt_bytes(fdt, property, bytes, sizeof bytes);
}

void fdt_u64(FdtWriter *fdt, const char *property, uint64_t value)
{
    uint8_t bytes[8];
    store_be64(bytes, value);
    fdt_bytes(fdt, property, bytes, sizeof bytes);
}

void fdt_cells(FdtWriter *fdt, const char *property, const uint32_t *cells, size_t count)
{
    uint8_t *bytes = mem_alloc_array(count ? count : 1, 4);
    for (size_t i = 0; i < count; i++) {
        store_be32(bytes + 4 * i, cells[i]);
    }
    fdt_bytes(fdt, property, bytes, 4 * count);
    free(bytes);
}

void fdt_text(FdtWriter *fdt, const char *property, const char *text)
{
    fdt_bytes(fdt, property, text, strlen(text) + 1);
}

void fdt_texts(FdtWriter *fdt, const char *property, const char *const *texts, size_t count)
{
    StrBuf list = { 0 };
    for (size_t i = 0; i < count; i++) {
        strbuf_append_bytes(&list, texts[i], strlen(texts[i]) + 1);
    }
    fdt_bytes(fdt, property, list.data, list.length);
    strbuf_free(&list);
}

void fdt_reg(FdtWriter *fdt, const uint64_t *addresses_and_sizes, size_t pairs)
{
    uint8_t *bytes = mem_alloc_array(pairs ? pairs : 1, 16);
    for (size_t i = 0; i < 2 * pairs; i++) {
        store_be64(bytes + 8 * i, addresses_and_sizes[i]);
    }
    fdt_bytes(fdt, "reg", bytes, 16 * pairs);
    free(bytes);
}

uint32_t fdt_phandle_new(FdtWriter *fdt) { return fdt->next_phandle++; }

void fdt_set_first_phandle(FdtWriter *fdt, uint32_t first)
{
    fdt->next_phandle = MAX(fdt->next_phandle, first);
}

/* Reading a blob. */

/* Nothing is looked for by name here: a blob of a hundred thousand names takes no longer for it. */
static void load_property(FdtWriter *fdt, const char *name, const void *bytes, size_t count)
{
    FdtProperty property = { string_copy(name), count ? mem_copy(bytes, count) : NULL, count };
    vec_push(&fdt->node->properties, property);
    if (count == 4 && (!strcmp(name, "phandle") || !strcmp(name, "linux,phandle"))) {
        uint32_t phandle = load_be32(bytes);
        if (phandle < UINT32_MAX - 1) { /* the last two values mean none */
            fdt->next_phandle = MAX(fdt->next_phandle, phandle + 1);
        }
    }
}

/* A blob that is walked here and not by libfdt, whose older releases trust sizes that a blob gives. */
typedef struct Reader {
    const uint8_t *bytes;
    size_t at, end;              /* of what is left of the structure block */
    size_t strings, strings_end; /* the strings block */
    size_t reservations, total;
    const char *wrong;           /* NULL: nothing so far */
} Reader;

enum { HEADER_16 = 36, HEADER_17 = 40 };

static uint32_t header_word(const uint8_t *blob, unsigned n) { return load_be32(blob + 4 * n); }

/* Words of the header, in order: magic, total size, structure, strings and reservations from where, version, last
 * compatible version, boot CPU, sizes of strings and (from version 17 on) structure. */
static bool reader_open(Reader *reader, const uint8_t *blob, size_t size)
{
    uint32_t total = header_word(blob, 1), structure = header_word(blob, 2), strings = header_word(blob, 3),
             reservations = header_word(blob, 4), version = header_word(blob, 5), strings_size = header_word(blob, 8);

    if (version < 16 || header_word(blob, 6) > 17) {
        reader->wrong = "its version is not 16 or 17";
        return false;
    }
    if (total > size || total < (version == 16 ? HEADER_16 : HEADER_17)) {
        reader->wrong = "it is cut short";
        return false;
    }
    uint32_t structure_size = version == 16 && structure <= total ? total - structure : header_word(blob, 9);
    if (structure > total || structure_size > total - structure || structure % 4 || strings > total ||
        strings_size > total - strings || reservations > total) {
        reader->wrong = "its header has impossible sizes";
        return false;
    }
    *reader = (Reader){ .bytes = blob, .at = structure, .end = structure + structure_size, .strings = strings,
                        .strings_end = strings + strings_size, .reservations = reservations, .total = total };
    return true;
}

/* `count` bytes of the structure, which is read in steps of four; NULL where it ends before. */
static const uint8_t *reader_take(Reader *reader, size_t count)
{
    const uint8_t *bytes = reader->bytes + reader->at;

    if (reader->wrong || count > reader->end - reader->at) {
        reader->wrong = reader->wrong ? reader->wrong : "its structure ends within a node";
        return NULL;
    }
    reader->at += MIN(align_up(count, 4), reader->end - reader->at);
    return bytes;
}

/* A text in `from` to `end`; NULL where it does not end there. */
static const char *reader_text(Reader *reader, size_t from, size_t end)
{
    if (from < end && memchr(reader->bytes + from, 0, end - from)) {
        return (const char *)reader->bytes + from;
    }
    reader->wrong = "a name does not end";
    return NULL;
}

static void read_node(FdtWriter *fdt, Reader *reader)
{
    const char *name = reader_text(reader, reader->at, reader->end);

    if (name) {
        reader_take(reader, strlen(name) + 1);
        fdt->node = fdt->node ? node_new(fdt->node, name) : fdt->root;
    }
}

static void read_property(FdtWriter *fdt, Reader *reader)
{
    const uint8_t *head = reader_take(reader, 8);
    const uint8_t *bytes = head ? reader_take(reader, load_be32(head)) : NULL;
    const char *name = bytes ? reader_text(reader, reader->strings + load_be32(head + 4), reader->strings_end) : NULL;

    if (name) {
        load_property(fdt, name, bytes, load_be32(head));
    }
}

/* The tokens up to the end of the root node. */
static void read_tree(FdtWriter *fdt, Reader *reader)
{
    unsigned depth = 0;
    bool begun = false;

    fdt->node = NULL;
    do {
        const uint8_t *token = reader_take(reader, 4);
        uint32_t kind = token ? load_be32(token) : FDT_END;
        if (kind == FDT_BEGIN_NODE && depth < DEPTH_LIMIT) {
            depth++;
            begun = true;
            read_node(fdt, reader);
        } else if (kind == FDT_PROP && depth) {
            read_property(fdt, reader);
        } else if (kind == FDT_END_NODE && depth) {
            depth--;
            fdt->node = fdt->node->parent;
        } else if (kind != FDT_NOP) {
            reader->wrong = reader->wrong ? reader->wrong : "its structure is none of nodes";
        }
    } while ((depth || !begun) && !reader->wrong);
    fdt->node = fdt->root;
}

static void read_reservations(FdtWriter *fdt, Reader *reader)
{
    for (size_t at = reader->reservations; !reader->wrong; at += sizeof(FdtReservation)) {
        if (reader->total - at < sizeof(FdtReservation)) {
            reader->wrong = "its list of reserved memory does not end";
            return;
        }
        FdtReservation reservation = { load_be64(reader->bytes + at), load_be64(reader->bytes + at + 8) };
        if (!reservation.address && !reservation.size) {
            return;
        }
        vec_push(&fdt->reservations, reservation);
    }
}

FdtWriter *fdt_writer_load(const void *blob, size_t size, Error **error)
{
    Reader reader = { 0 };

    if (size < HEADER_17 || load_be32(blob) != FDT_MAGIC) {
        error_set(error, "not a flattened device tree");
        return NULL;
    }
    FdtWriter *fdt = fdt_writer_new();
    if (reader_open(&reader, blob, size)) {
        read_tree(fdt, &reader);
        read_reservations(fdt, &reader);
    }
    if (reader.wrong) {
        error_set(error, "the device tree is damaged: %s", reader.wrong);
        fdt_writer_free(fdt);
        return NULL;
    }
    fdt->boot_cpu = header_word(blob, 7);
    return fdt;
}

/* Writing one. */

typedef struct Blob {
    void *bytes;
    size_t size;
} Blob;

/* Tries again in twice the room while libfdt's sequential writer lacks space. */
#define BLOB_PUT(blob, call) \
    do { \
        int result_; \
        while ((result_ = (call)) == -FDT_ERR_NOSPACE) { \
            blob_grow(blob); \
        } \
        assert(!result_); \
    } while (0)

static void blob_grow(Blob *blob)
{
    blob->size *= 2;
    void *larger = mem_alloc(blob->size);
    int result = fdt_resize(blob->bytes, larger, (int)blob->size);
    assert(!result);
    free(blob->bytes);
    blob->bytes = larger;
}

static void blob_put_node(Blob *blob, const FdtNode *node)
{
    BLOB_PUT(blob, fdt_begin_node(blob->bytes, node->name));
    for (size_t i = 0; i < node->properties.count; i++) {
        const FdtProperty *property = &node->properties.items[i];
        BLOB_PUT(blob, fdt_property(blob->bytes, property->name, property->bytes, (int)property->count));
    }
    for (size_t i = 0; i < node->children.count; i++) {
        blob_put_node(blob, node->children.items[i]);
    }
    BLOB_PUT(blob, fdt_end_node(blob->bytes));
}

void *fdt_writer_take(FdtWriter *fdt, size_t *size)
{
    assert(fdt->node == fdt->root);
    Blob blob = { .bytes = mem_alloc(BLOB_FIRST), .size = BLOB_FIRST };
    int created = fdt_create(blob.bytes, (int)blob.size);
    assert(!created);
    for (size_t i = 0; i < fdt->reservations.count; i++) {
        FdtReservation reservation = fdt->reservations.items[i];
        BLOB_PUT(&blob, fdt_add_reservemap_entry(blob.bytes, reservation.address, reservation.size));
    }
    BLOB_PUT(&blob, fdt_finish_reservemap(blob.bytes));
    blob_put_node(&blob, fdt->root);
    BLOB_PUT(&blob, fdt_finish(blob.bytes));
    fdt_set_boot_cpuid_phys(blob.bytes, fdt->boot_cpu);
    *size = fdt_totalsize(blob.bytes);
    return blob.bytes;
}
