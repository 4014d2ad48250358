/* A machine's saved state as a stream: to and from memory or a file. */
#include "core/state_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "base/vec.h"
#include "core/loop.h"
#include "core/machine_internal.h"
#include "core/vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* Writing. */

typedef struct Sink {
    StrBuf *buffer; /* or a file */
    FILE *file;
    bool failed;
} Sink;

static void put(Sink *sink, const void *bytes, size_t count)
{
    if (sink->buffer) {
        strbuf_append_bytes(sink->buffer, bytes, count);
    } else if (fwrite(bytes, 1, count, sink->file) != count) {
        sink->failed = true;
    }
}

static void put_number(Sink *sink, unsigned size, uint64_t value)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    put(sink, bytes, size);
}

static void put_section_head(Sink *sink, const char *name, uint64_t length)
{
    put_number(sink, 2, strlen(name));
    put(sink, name, strlen(name));
    put_number(sink, 8, length);
}

static size_t page_size(const RamBlock *block, uint64_t page)
{
    uint64_t left = block->size - page * STATE_RAM_PAGE;
    return (size_t)MIN(left, (uint64_t)STATE_RAM_PAGE);
}

static uint64_t page_count(const RamBlock *block)
{
    return block->size / STATE_RAM_PAGE + (block->size % STATE_RAM_PAGE != 0);
}

static bool page_is_saved(const RamBlock *block, uint64_t page)
{
    return !state_page_is_zero(block->host + page * STATE_RAM_PAGE, page_size(block, page));
}

static void put_ram(Sink *sink, const char *name, const RamBlock *block)
{
    uint64_t length = 8 + 8 + 4;
    for (uint64_t page = 0; page < page_count(block); page++) {
        length += page_is_saved(block, page) ? 8 + page_size(block, page) : 0;
    }
    put_section_head(sink, name, length);
    put_number(sink, 8, block->size);
    uint32_t checksum = (uint32_t)crc32(0, NULL, 0);
    for (uint64_t page = 0; page < page_count(block); page++) {
        const uint8_t *bytes = block->host + page * STATE_RAM_PAGE;
        if (page_is_saved(block, page)) {
            put_number(sink, 8, page);
            put(sink, bytes, page_size(block, page));
            checksum = (uint32_t)crc32(checksum, bytes, (unsigned)page_size(block, page));
        }
    }
    put_number(sink, 8, STATE_RAM_END);
    put_number(sink, 4, checksum);
}

static void write_part(Machine *machine, const StatePart *part, StrBuf *stream)
{
    switch (part->kind) {
    case STATE_PART_MACHINE:
        state_write_machine(machine, stream);
        break;
    case STATE_PART_CLOCKS:
        state_write_clocks(machine, stream);
        break;
    case STATE_PART_VCPU:
        state_write_vcpu(part->item, stream);
        break;
    case STATE_PART_DEVICE:
        state_write_device(part->item, stream);
        break;
    default:
        break;
    }
}

static bool save(Machine *machine, Sink *sink, Error **error)
{
    StateParts parts;
    if (!state_collect(machine, &parts, error)) {
        state_parts_free(&parts);
        return false;
    }
    put(sink, STATE_MAGIC, strlen(STATE_MAGIC));
    put_number(sink, 4, STATE_FORMAT);
    put_number(sink, 4, 0);
    for (size_t i = 0; i < parts.count; i++) {
        AUTO_STRBUF(section);
        if (parts.items[i].kind == STATE_PART_RAM) {
            put_ram(sink, parts.items[i].name, parts.items[i].item);
        } else {
            write_part(machine, &parts.items[i], &section);
            put_section_head(sink, parts.items[i].name, section.length);
            put(sink, strbuf_text(&section), section.length);
        }
    }
    state_parts_free(&parts);
    return true;
}

/* What is no part of the stream: work posted to a vCPU that rests is done first, and TLBs are emptied, so that this
 * machine goes on as the one that loads it does (guests can count their misses). */
static void finish_posted(Machine *machine)
{
    loop_drain(machine->loop);
    for (size_t i = 0; i < machine->vcpus.count; i++) {
        cpu_run(machine->vcpus.items[i]->cpu, 0);
        cpu_tlb_flush(machine->vcpus.items[i]->cpu, UINT32_MAX);
    }
}

static bool save_parked(Machine *machine, Sink *sink, Error **error)
{
    if (!machine->loaded) {
        return error_set(error, "the machine has not been started up");
    }
    machine_park(machine);
    machine_still(machine, true);
    finish_posted(machine);
    bool done = save(machine, sink, error);
    machine_still(machine, false);
    machine_unpark(machine);
    return done;
}

bool state_save(Machine *machine, StrBuf *stream, Error **error)
{
    Sink sink = { .buffer = stream };
    return save_parked(machine, &sink, error);
}

bool state_save_file(Machine *machine, const char *path, Error **error)
{
    int fd = files_open(machine->files, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, error);
    if (fd < 0) {
        return false;
    }
    Sink sink = { .file = fdopen(fd, "wb") };
    if (!sink.file) {
        error_set_errno(error, errno, "'%s'", path);
        close(fd);
        return false;
    }
    bool done = save_parked(machine, &sink, error);
    sink.failed |= fclose(sink.file) != 0;
    if (done && sink.failed) {
        return error_set_errno(error, errno, "'%s' could not be written", path);
    }
    return done;
}

/* Reading. */

typedef struct Source {
    StateCursor bytes;
    FILE *file; /* in place of them */
} Source;

static bool get(Source *source, void *bytes, size_t count, Error **error)
{
    if (source->file) {
        return fread(bytes, 1, count, source->file) == count || error_set(error, "the stream is cut short");
    }
    const uint8_t *taken = state_take(&source->bytes, count);
    if (!taken) {
        return error_set(error, "the stream is cut short");
    }
    memcpy(bytes, taken, count);
    return true;
}

static bool get_number(Source *source, unsigned size, uint64_t *value, Error **error)
{
    uint8_t bytes[8] = { 0 };
    bool done = get(source, bytes, size, error);
    *value = load_le64(bytes);
    return done;
}

static void clear_pages(RamBlock *block, uint64_t first, uint64_t end)
{
    for (uint64_t page = first; page < end; page++) {
        if (!block->read_only && page_is_saved(block, page)) {
            memset(block->host + page * STATE_RAM_PAGE, 0, page_size(block, page));
        }
    }
}

/* A page of a block that can be written, or the same bytes in one that cannot. */
static bool get_page(Source *source, RamBlock *block, uint64_t page, uint32_t *checksum, Error **error)
{
    uint8_t copy[STATE_RAM_PAGE], *place = block->host + page * STATE_RAM_PAGE;
    size_t size = page_size(block, page);
    uint8_t *bytes = block->read_only ? copy : place;
    if (!get(source, bytes, size, error)) {
        return false;
    }
    *checksum = (uint32_t)crc32(*checksum, bytes, (unsigned)size);
    if (block->read_only && memcmp(copy, place, size)) {
        return error_set(error, "page %" PRIu64 " differs in memory that cannot be written", page);
    }
    return true;
}

static bool get_pages(Source *source, RamBlock *block, uint64_t length, Error **error)
{
    uint64_t next = 0, page, sum, used = 8 + 8 + 4;
    uint32_t checksum = (uint32_t)crc32(0, NULL, 0);
    for (;;) {
        if (!get_number(source, 8, &page, error)) {
            return false;
        }
        clear_pages(block, next, MIN(page, page_count(block)));
        if (page == STATE_RAM_END) {
            break;
        }
        if (page < next || page >= page_count(block)) {
            return error_set(error, "page %" PRIu64 " is out of place", page);
        }
        if (!get_page(source, block, page, &checksum, error)) {
            return false;
        }
        used += 8 + page_size(block, page);
        next = page + 1;
    }
    if (!get_number(source, 4, &sum, error)) {
        return false;
    }
    return (sum == checksum && used == length) || error_set(error, "the checksum or length is wrong: it is damaged");
}

static bool get_ram(Source *source, RamBlock *block, uint64_t length, Error **error)
{
    uint64_t size;
    if (!get_number(source, 8, &size, error)) {
        return false;
    }
    if (size != block->size) {
        return error_set(error, "it has 0x%" PRIx64 " bytes, and here are 0x%" PRIx64, size, block->size);
    }
    bool done = get_pages(source, block, length, error);
    ram_block_mark_dirty(block, 0, block->size);
    return done;
}

static bool read_part(Machine *machine, const StatePart *part, StateCursor *cursor, Error **error)
{
    switch (part->kind) {
    case STATE_PART_MACHINE:
        return state_read_machine(machine, cursor, error);
    case STATE_PART_CLOCKS:
        return state_read_clocks(machine, cursor, error);
    case STATE_PART_VCPU:
        return state_read_vcpu(part->item, cursor, error);
    case STATE_PART_DEVICE:
        return state_read_device(part->item, cursor, error);
    default:
        return true;
    }
}

static bool get_section(Source *source, Machine *machine, const StatePart *part, uint64_t length, Error **error)
{
    if (part->kind == STATE_PART_RAM) {
        return get_ram(source, part->item, length, error);
    }
    if (length > STATE_SECTION_LIMIT || (!source->file && length > (size_t)(source->bytes.end - source->bytes.at))) {
        return error_set(error, "it is said to have %" PRIu64 " bytes: the stream is damaged or cut short", length);
    }
    AUTO_FREE uint8_t *bytes = mem_alloc(length + 1);
    if (!get(source, bytes, length, error)) {
        return false;
    }
    StateCursor cursor = { bytes, bytes + length };
    return read_part(machine, part, &cursor, error) &&
           (cursor.at == cursor.end || error_set(error, "it has more than is known here"));
}

static StatePart *find_part(StateParts *parts, const char *name)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (!strcmp(parts->items[i].name, name)) {
            return &parts->items[i];
        }
    }
    return NULL;
}

/* The next section's name, and how long it is. */
static bool get_section_head(Source *source, char name[STATE_NAME_LIMIT + 1], uint64_t *length, Error **error)
{
    uint64_t name_length;
    if (!get_number(source, 2, &name_length, error)) {
        return false;
    }
    if (name_length > STATE_NAME_LIMIT) {
        return error_set(error, "a section's name has %" PRIu64 " bytes: the stream is damaged", name_length);
    }
    name[name_length] = 0;
    return get(source, name, name_length, error) && get_number(source, 8, length, error);
}

static bool check_order(StateParts *parts, const StatePart *part, StatePartKind *reached, Error **error)
{
    if (part->loaded) {
        return error_set(error, "it is there twice");
    }
    if (part->kind < *reached || (part != parts->items && !parts->items->loaded)) {
        return error_set(error, "it is out of order");
    }
    *reached = part->kind;
    return true;
}

static bool get_sections(Source *source, Machine *machine, StateParts *parts, Error **error)
{
    char name[STATE_NAME_LIMIT + 1];
    uint64_t length = 0;
    StatePartKind reached = STATE_PART_MACHINE;
    while (reached != STATE_PART_END) {
        if (!get_section_head(source, name, &length, error)) {
            return false;
        }
        StatePart *part = find_part(parts, name);
        if (!part) {
            return error_set(error, "section '%s' is of something that this machine does not have", name);
        }
        if (!check_order(parts, part, &reached, error) || !get_section(source, machine, part, length, error)) {
            return error_prepend(error, "section '%s': ", name);
        }
        part->loaded = true;
    }
    for (size_t i = 0; i < parts->count; i++) {
        if (!parts->items[i].loaded) {
            return error_set(error, "section '%s' is missing", parts->items[i].name);
        }
    }
    return true;
}

static bool load(Machine *machine, Source *source, StateParts *parts, Error **error)
{
    char magic[sizeof STATE_MAGIC - 1];
    uint64_t format, flags;
    if (!get(source, magic, sizeof magic, NULL) || memcmp(magic, STATE_MAGIC, sizeof magic)) {
        return error_set(error, "this is not a saved state");
    }
    if (!get_number(source, 4, &format, error) || !get_number(source, 4, &flags, error)) {
        return false;
    }
    if (format != STATE_FORMAT || flags) {
        return error_set(error, "the saved state is of format %" PRIu64 ", and %u is known here", format, STATE_FORMAT);
    }
    return state_collect(machine, parts, error) && get_sections(source, machine, parts, error);
}

static bool load_parked(Machine *machine, Source *source, Error **error)
{
    if (!machine->loaded || machine_is_running(machine)) {
        return error_set(error, "state can be loaded into a machine that was started up and stands still");
    }
    StateParts parts = { 0 };
    machine_park(machine);
    finish_posted(machine);
    bool done = load(machine, source, &parts, error);
    state_parts_free(&parts);
    if (done) {
        machine_settle(machine, true);
    } else {
        run_state_set(machine, RUN_STATE_INTERNAL_ERROR, NULL);
    }
    machine_unpark(machine);
    return done;
}

bool state_load(Machine *machine, const void *stream, size_t size, Error **error)
{
    Source source = { .bytes = { stream, (const uint8_t *)stream + size } };
    return load_parked(machine, &source, error);
}

bool state_load_file(Machine *machine, const char *path, Error **error)
{
    int fd = files_open(machine->files, path, O_RDONLY, 0, error);
    if (fd < 0) {
        return false;
    }
    Source source = { .file = fdopen(fd, "rb") };
    if (!source.file) {
        error_set_errno(error, errno, "'%s'", path);
        close(fd);
        return false;
    }
    bool done = load_parked(machine, &source, error);
    fclose(source.file);
    return done || error_prepend(error, "'%s': ", path);
}
