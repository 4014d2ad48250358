/* Saved state: tables, whole machines, and streams that are damaged on purpose. */
#include "clockwork.h"
#include "fixture.h"

#include "api/type.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "core/device_internal.h"
#include "core/loop.h"
#include "core/state_internal.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_error(Error **error, const char *part)
{
    g_assert_nonnull(*error);
    if (!strstr(error_message(*error), part)) {
        g_error("'%s' does not say '%s'", error_message(*error), part);
    }
    error_free(*error);
    *error = NULL;
}

/* Tables. */

typedef struct Inner {
    uint16_t a;
    bool b;
} Inner;

typedef struct Outer {
    uint32_t number;
    int64_t negative;
    bool flag;
    uint8_t bytes[5];
    uint32_t list[3];
    Inner inner[2];
    uint8_t *buffer;
    uint32_t buffer_count;
    uint32_t later, maybe, cache;
} Outer;

static const StateField inner_fields[] = {
    STATE_FIELD(Inner, a, STATE_UNSIGNED, .maximum = 100),
    STATE_FIELD(Inner, b, STATE_BOOL),
    STATE_FIELDS_END,
};
static const StateTable inner_table = { "inner", 1, 1, inner_fields, NULL };

#define OUTER_FIELDS \
    STATE_FIELD(Outer, number, STATE_UNSIGNED, .maximum = 1000), STATE_FIELD(Outer, negative, STATE_SIGNED), \
        STATE_FIELD(Outer, flag, STATE_BOOL), STATE_FIELD(Outer, bytes, STATE_BYTES), \
        STATE_FIELD_ARRAY(Outer, list, STATE_UNSIGNED), \
        STATE_FIELD_ARRAY(Outer, inner, STATE_STRUCT, .table = &inner_table), \
        STATE_FIELD(Outer, buffer, STATE_BUFFER, .count_offset = offsetof(Outer, buffer_count), .maximum = 16), \
        STATE_FIELD_NOT_SAVED(Outer, cache, "derived")

static bool check_outer(void *state, uint32_t version, Error **error)
{
    const Outer *outer = state;
    return outer->list[0] <= outer->list[1] || error_set(error, "'list' is out of order");
}

static const StateField old_fields[] = { OUTER_FIELDS, STATE_FIELDS_END };
static const StateTable old_table = { "outer", 2, 1, old_fields, check_outer };
static const StateField new_fields[] = { OUTER_FIELDS, STATE_FIELD(Outer, later, STATE_UNSIGNED, .version = 3),
                                         STATE_FIELD(Outer, maybe, STATE_UNSIGNED, .optional = true),
                                         STATE_FIELDS_END };
static const StateTable new_table = { "outer", 3, 2, new_fields, check_outer };
static const StateTable newest_table = { "outer", 4, 4, new_fields, check_outer };

static Outer sample(void)
{
    Outer outer = { .number = 1000, .negative = -5, .flag = true, .bytes = "abcd", .list = { 1, 2, 3 },
                    .inner = { { 100, true }, { 7, false } }, .buffer = (uint8_t *)string_copy("hello"),
                    .buffer_count = 6, .later = 11, .maybe = 12, .cache = 13 };
    return outer;
}

static void check_common(const Outer *outer)
{
    g_assert_cmpuint(outer->number, ==, 1000);
    g_assert_cmpint(outer->negative, ==, -5);
    g_assert_true(outer->flag);
    g_assert_cmpmem(outer->bytes, 5, "abcd", 5);
    g_assert_true(outer->list[0] == 1 && outer->list[2] == 3);
    g_assert_true(outer->inner[0].a == 100 && outer->inner[0].b && outer->inner[1].a == 7 && !outer->inner[1].b);
    g_assert_cmpstr((char *)outer->buffer, ==, "hello");
    g_assert_cmpuint(outer->buffer_count, ==, 6);
}

static bool load(const StateTable *table, Outer *outer, const StrBuf *stream, Error **error)
{
    return state_read(table, outer, stream->data, stream->length, error);
}

static void test_tables(void)
{
    Outer outer = sample(), loaded = { .cache = 99 };
    AUTO_STRBUF(stream);
    state_write(&new_table, &outer, &stream);
    g_assert_true(load(&new_table, &loaded, &stream, NULL));
    check_common(&loaded);
    g_assert_true(loaded.later == 11 && loaded.maybe == 12 && loaded.cache == 99);
    g_assert_true(load(&new_table, &loaded, &stream, NULL)); /* again, over what is there */
    free(loaded.buffer);
    free(outer.buffer);
}

static void test_versions(void)
{
    Outer outer = sample(), loaded = { .later = 70, .maybe = 71 };
    Error *error = NULL;
    AUTO_STRBUF(stream);
    state_write(&old_table, &outer, &stream);
    g_assert_true(load(&new_table, &loaded, &stream, NULL)); /* what came later, or may be left out, keeps its value */
    check_common(&loaded);
    g_assert_true(loaded.later == 70 && loaded.maybe == 71);
    g_assert_false(load(&newest_table, &loaded, &stream, &error));
    expect_error(&error, "'outer' has version 2; 4 to 4 can be read");
    strbuf_clear(&stream);
    state_write(&new_table, &outer, &stream);
    g_assert_false(load(&old_table, &loaded, &stream, &error));
    expect_error(&error, "version 3");
    free(loaded.buffer);
    free(outer.buffer);
}

/* Where a field stands in a stream: its name's first byte. */
static size_t place_of(const StrBuf *stream, const char *name)
{
    for (size_t i = 0; i + strlen(name) < stream->length; i++) {
        if (!memcmp(stream->data + i, name, strlen(name))) {
            return i;
        }
    }
    g_assert_not_reached();
}

enum { HEAD = 1 + 4 + 4 + 4 }; /* kind, size, count, length: between a name and its bytes */

static void check_changed(const StrBuf *stream, size_t at, uint8_t value, const char *message)
{
    Outer loaded = { 0 };
    Error *error = NULL;
    StrBuf copy = { 0 };
    strbuf_append_bytes(&copy, stream->data, stream->length);
    copy.data[at] = (char)value;
    g_assert_false(load(&old_table, &loaded, &copy, &error));
    expect_error(&error, message);
    strbuf_free(&copy);
    free(loaded.buffer);
}

static void test_bad_tables(void)
{
    Outer outer = sample();
    AUTO_STRBUF(stream);
    state_write(&old_table, &outer, &stream);
    size_t number = place_of(&stream, "number"), flag = place_of(&stream, "flag"), list = place_of(&stream, "list");
    size_t inner = place_of(&stream, "inner"), negative = place_of(&stream, "negative");
    check_changed(&stream, number + 6 + HEAD + 3, 1, "'number' is 16778216, and can be 1000 at most");
    check_changed(&stream, number + 6, 3, "'number' is 1 of 4 bytes and kind 3; 1 of 4 and kind 2 are expected");
    check_changed(&stream, number + 6 + 1, 8, "'number' is 1 of 8 bytes");
    check_changed(&stream, list + 4 + 5, 200, "'list' is 200 of 4 bytes");
    check_changed(&stream, number, 'N', "'Number' is not known here");
    check_changed(&stream, flag + 4 + HEAD, 2, "'flag' is 2, and can only be 0 or 1");
    check_changed(&stream, list + 4 + HEAD, 9, "'list' is out of order");
    check_changed(&stream, inner + 5 + HEAD - 4, 0xff, "cut short");
    check_changed(&stream, place_of(&stream, "buffer") + 6 + HEAD - 4, 0xff, "cut short");
    check_changed(&stream, negative - 1, 0, "'negative' is missing");
    strbuf_append_char(&stream, 'x');
    check_changed(&stream, stream.length - 1, 'y', "'outer' is followed by 1 bytes that are not its");
    outer.inner[1].a = 101;
    strbuf_clear(&stream);
    state_write(&old_table, &outer, &stream);
    Error *error = NULL;
    Outer loaded = { 0 };
    g_assert_false(load(&old_table, &loaded, &stream, &error));
    expect_error(&error, "'inner' element 1: 'a' is 101, and can be 100 at most");
    free(outer.buffer);
    outer = sample();
    outer.buffer = mem_realloc(outer.buffer, 17);
    outer.buffer_count = 17;
    memset(outer.buffer, 0, 17);
    strbuf_clear(&stream);
    state_write(&old_table, &outer, &stream);
    g_assert_false(load(&old_table, &loaded, &stream, &error));
    expect_error(&error, "'buffer' has 17 bytes, and can have 16 at most");
    for (size_t cut = 0; cut < stream.length; cut++) {
        StrBuf shorter = { stream.data, cut, cut };
        g_assert_false(load(&old_table, &loaded, &shorter, NULL));
    }
    free(outer.buffer);
    free(loaded.buffer);
}

static void test_twice_and_missing(void)
{
    static const StateField twice[] = { STATE_FIELD(Inner, a, STATE_UNSIGNED), STATE_FIELD(Inner, a, STATE_UNSIGNED),
                                        STATE_FIELD(Inner, b, STATE_BOOL), STATE_FIELDS_END };
    static const StateField half[] = { STATE_FIELD(Inner, a, STATE_UNSIGNED), STATE_FIELDS_END };
    static const StateField more[] = { STATE_FIELD(Inner, a, STATE_UNSIGNED), STATE_FIELD(Inner, b, STATE_BOOL),
                                       { .name = "c", .kind = STATE_UNSIGNED, .size = 2, .optional = true },
                                       STATE_FIELDS_END };
    const StateTable tables[] = { { "t", 1, 1, twice, NULL }, { "t", 1, 1, half, NULL }, { "t", 1, 1, more, NULL } };
    Inner inner = { 5, true };
    Error *error = NULL;
    AUTO_STRBUF(stream);
    state_write(&tables[0], &inner, &stream);
    g_assert_false(state_read(&inner_table, &inner, stream.data, stream.length, &error));
    expect_error(&error, "'a' is there twice");
    strbuf_clear(&stream);
    state_write(&tables[1], &inner, &stream);
    g_assert_false(state_read(&inner_table, &inner, stream.data, stream.length, &error));
    expect_error(&error, "'b' is missing");
    strbuf_clear(&stream);
    state_write(&tables[2], &inner, &stream);
    g_assert_true(state_read(&inner_table, &inner, stream.data, stream.length, &error));
    g_assert_cmpuint(inner.a, ==, 5);
}

/* Forgets a field. */
typedef struct Forgetful {
    Clockwork clockwork;
    uint32_t forgotten[2];
} Forgetful;
const DeviceClass forgetful_class = {
    .class = { .name = "test-forgetful", .parent = &clockwork_class.class, .size = sizeof(Forgetful) },
};

static void test_coverage(void)
{
    Error *error = NULL;
    if (!state_check_coverage(&clockwork_class, &error)) {
        g_error("%s", error_message(error));
    }
    g_assert_false(state_check_coverage(&forgetful_class, &error));
    g_assert_nonnull(error);
    char *range = g_strdup_printf("bytes %zu to %zu of %zu", offsetof(Forgetful, forgotten), sizeof(Forgetful) - 1,
                                  sizeof(Forgetful));
    expect_error(&error, range);
    g_free(range);
    g_assert_true(state_check_coverage((const DeviceClass *)class_find("cpu"), NULL));
}

/* Whole machines. */

enum { CLOCKWORK = 0x10000000, EXTERNAL_LINE = 11 };

static Fixture *new_machine(unsigned cpus, bool with_device)
{
    Fixture *f = fixture_new(&(MachineOptions){ .cpu_model = "rv64", .cpus = cpus, .single_threaded = true,
                                                .clock_source = CLOCK_FROM_INSTRUCTIONS });
    if (with_device) {
        Device *device = fixture_device(f, "test-clockwork");
        device_map(device, 0, CLOCKWORK);
        irq_connect_cpu(device, "", 0, f->machine->vcpus.items[0]->cpu, EXTERNAL_LINE);
    }
    return f;
}

/* Both harts start the clockwork; each counts, hart 0 with interrupts of it, hart 1 with LR and SC between. */
static void put_program(Fixture *f)
{
    uint32_t lr = 0x1000302f | A3 << 7 | T1 << 15, sc = 0x1800302f | A4 << 7 | T1 << 15 | (uint32_t)A3 << 20;
    FIXTURE_CODE(f, 0, rv_csrr(T0, CSR_MHARTID), rv_slli(T0, T0, 3), rv_addi(T1, ZERO, 1), rv_slli(T1, T1, 31),
                 rv_addi(S0, T1, 0x200), rv_csrw(CSR_MTVEC, S0), rv_lui(T2, 0x1000), rv_add(T1, T1, T2),
                 rv_add(T1, T1, T0), rv_lui(A0, CLOCKWORK), rv_sw(T1, A0, 0), rv_addi(A5, ZERO, 1),
                 rv_slli(A5, A5, EXTERNAL_LINE), rv_csrs(CSR_MIE, A5), rv_addi(A5, ZERO, 8), rv_csrs(CSR_MSTATUS, A5),
                 /* loop: */ lr, rv_addi(A3, A3, 1), sc, rv_csrr(A2, CSR_TIME), rv_sd(A2, T1, 0x100),
                 rv_sd(A4, T1, 0x200), rv_jump(-24));
    FIXTURE_CODE(f, 0x200, rv_sw(ZERO, A0, 8), rv_ld(A5, T1, 0x300), rv_addi(A5, A5, 1), rv_sd(A5, T1, 0x300), RV_MRET);
}

/* The names before the first byte that differs: where to look. */
static void explain(const StrBuf *x, const StrBuf *y)
{
    size_t at = 0;
    while (at < x->length && at < y->length && x->data[at] == y->data[at]) {
        at++;
    }
    GString *names = g_string_new(NULL);
    for (size_t i = at > 300 ? at - 300 : 0; i < at; i++) {
        g_string_append_c(names, g_ascii_isprint(x->data[i]) ? x->data[i] : '.');
    }
    g_error("the states of %zu and %zu bytes differ at %zu: %s", x->length, y->length, at, names->str);
}

static void compare(Fixture *a, Fixture *b)
{
    StrBuf x = { 0 }, y = { 0 };
    g_assert_true(state_save(a->machine, &x, NULL));
    g_assert_true(state_save(b->machine, &y, NULL));
    if (x.length != y.length || memcmp(x.data, y.data, x.length)) {
        explain(&x, &y);
    }
    strbuf_free(&x);
    strbuf_free(&y);
}

static void test_machine(void)
{
    GRand *random = g_rand_new_with_seed(7);
    for (unsigned round = 0; round < 30; round++) {
        Fixture *a = new_machine(2, true), *b = new_machine(2, true);
        StrBuf stream = { 0 };
        Error *error = NULL;
        put_program(a);
        machine_run(a->machine, NULL);
        machine_step(a->machine, (uint64_t)g_rand_int_range(random, 1, 20000));
        g_assert_true(state_save(a->machine, &stream, NULL));
        if (!state_load(b->machine, stream.data, stream.length, &error)) {
            g_error("%s", error_message(error));
        }
        compare(a, b);
        g_assert_true(machine_run(b->machine, NULL));
        uint64_t more = (uint64_t)g_rand_int_range(random, 1, 20000);
        g_assert_cmpuint(machine_step(a->machine, more), ==, more);
        g_assert_cmpuint(machine_step(b->machine, more), ==, more);
        compare(a, b);
        strbuf_free(&stream);
        fixture_free(a);
        fixture_free(b);
    }
    g_rand_free(random);
}

static void test_interrupts_came(void)
{
    Fixture *f = new_machine(2, true);
    put_program(f);
    machine_run(f->machine, NULL);
    machine_step(f->machine, 40000);
    g_assert_cmpuint(fixture_read(f, TEST_RAM + 0x1300, 8), >=, 10);
    g_assert_cmpuint(fixture_read(f, TEST_RAM + 0x1000, 8), >=, 1000);
    fixture_free(f);
}

static void test_file(void)
{
    char *path = g_strdup_printf("%s/myna-test-state-%u", g_get_tmp_dir(), g_random_int());
    Fixture *a = new_machine(1, true), *b = new_machine(1, true);
    Error *error = NULL;
    put_program(a);
    machine_run(a->machine, NULL);
    machine_step(a->machine, 5000);
    g_assert_true(state_save_file(a->machine, path, NULL));
    g_assert_true(state_load_file(b->machine, path, NULL));
    compare(a, b);
    char *text;
    gsize length;
    g_assert_true(g_file_get_contents(path, &text, &length, NULL));
    g_assert_cmpuint(length, <, 100000); /* pages of zeroes take no room */
    g_assert_true(g_file_set_contents(path, text, (gssize)length - 1, NULL));
    g_free(text);
    g_assert_false(state_load_file(b->machine, path, &error));
    expect_error(&error, path);
    g_assert_false(machine_run(b->machine, &error));
    expect_error(&error, "Resetting");
    g_unlink(path);
    g_assert_false(state_load_file(b->machine, path, &error));
    expect_error(&error, path);
    g_free(path);
    fixture_free(a);
    fixture_free(b);
}

static void refuse(Fixture *f, const StrBuf *stream, const char *message)
{
    Error *error = NULL;
    g_assert_false(state_load(f->machine, stream->data, stream->length, &error));
    expect_error(&error, message);
    g_assert_cmpint(f->machine->run_state, ==, RUN_STATE_INTERNAL_ERROR);
    machine_request_reset(f->machine, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
    loop_drain(f->loop);
    g_assert_cmpint(f->machine->run_state, ==, RUN_STATE_PRELAUNCH);
}

static void test_other_machine(void)
{
    Fixture *a = new_machine(1, true), *two = new_machine(2, true), *bare = new_machine(1, false);
    MachineOptions options = { .cpu_model = "rv64", .single_threaded = true, .ram_size = 2 << 20 };
    Fixture *large = fixture_new(&options);
    Fixture *other = fixture_new(&(MachineOptions){ .cpu_model = "rv64,zba=off", .single_threaded = true });
    AUTO_STRBUF(stream);
    g_assert_true(state_save(a->machine, &stream, NULL));
    refuse(two, &stream, "section 'machine': it was saved from a machine with a CPU count of 1, and this one has 2");
    refuse(large, &stream, "RAM size of 1048576, and this one has 2097152");
    refuse(other, &stream, "the CPU model 'rv64', and this is 'rv64,zba=off'");
    refuse(bare, &stream, "'device//machine/unattached/device[1]' is of something that this machine does not have");
    strbuf_clear(&stream);
    g_assert_true(state_save(bare->machine, &stream, NULL));
    refuse(a, &stream, "section 'device//machine/unattached/device[1]' is missing");
    strbuf_clear(&stream);
    strbuf_append(&stream, "#!/bin/sh\necho this is something else\n");
    refuse(a, &stream, "this is not a saved state");
    Error *error = NULL;
    machine_run(a->machine, NULL);
    g_assert_false(state_load(a->machine, stream.data, stream.length, &error));
    expect_error(&error, "stands still");
    fixture_free(a);
    fixture_free(two);
    fixture_free(bare);
    fixture_free(large);
    fixture_free(other);
}

/* A section cut out of a stream, with its head. */
static void find_section(const StrBuf *stream, const char *name, size_t *start, size_t *length)
{
    for (size_t at = 16;;) {
        g_assert_cmpuint(at, <, stream->length);
        size_t name_length = load_le16(stream->data + at);
        size_t whole = 2 + name_length + 8 + load_le64(stream->data + at + 2 + name_length);
        if (name_length == strlen(name) && !memcmp(stream->data + at + 2, name, name_length)) {
            *start = at;
            *length = whole;
            return;
        }
        at += whole;
    }
}

static void test_damaged_machine(void)
{
    Fixture *a = new_machine(1, true);
    AUTO_STRBUF(stream);
    AUTO_STRBUF(bad);
    size_t start, length;
    fixture_write(a, TEST_RAM + 0x5000, 4, 0x12345678);
    g_assert_true(state_save(a->machine, &stream, NULL));
    find_section(&stream, "ram/test.ram", &start, &length);
    strbuf_append_bytes(&bad, stream.data, stream.length);
    bad.data[start + length - 100] ^= 1;
    refuse(a, &bad, "section 'ram/test.ram': the checksum or length is wrong");
    bad.data[start + length - 100] ^= 1;
    bad.data[start + 2 + 12 + 8] ^= 1;
    refuse(a, &bad, "section 'ram/test.ram': it has 0x100001 bytes, and here are 0x100000");
    bad.data[start + 2 + 12 + 8] ^= 1;
    bad.data[start + 2 + 12 + 8 + 8 + 2] = 1;
    refuse(a, &bad, "is out of place");
    /* Twice, out of order, missing. */
    strbuf_clear(&bad);
    strbuf_append_bytes(&bad, stream.data, start + length);
    strbuf_append_bytes(&bad, stream.data + start, stream.length - start);
    refuse(a, &bad, "section 'ram/test.ram': it is there twice");
    strbuf_clear(&bad);
    strbuf_append_bytes(&bad, stream.data, start);
    strbuf_append_bytes(&bad, stream.data + start + length, stream.length - start - length);
    refuse(a, &bad, "section 'ram/test.ram' is missing");
    find_section(&stream, "clocks", &start, &length);
    strbuf_clear(&bad);
    strbuf_append_bytes(&bad, stream.data, 16);
    strbuf_append_bytes(&bad, stream.data + start, length);
    refuse(a, &bad, "section 'clocks': it is out of order");
    /* A field of a device. */
    find_section(&stream, "device//machine/unattached/device[1]", &start, &length);
    strbuf_clear(&bad);
    strbuf_append_bytes(&bad, stream.data, stream.length);
    StrBuf section = { bad.data + start, length, length };
    size_t control = place_of(&section, "CONTROL");
    section.data[control] = 'K';
    refuse(a, &bad, "section 'device//machine/unattached/device[1]': 'KONTROL' is not known here");
    section.data[control] = 'C';
    size_t privilege = place_of(&bad, "privilege");
    bad.data[privilege + 9 + HEAD] = 50;
    refuse(a, &bad, "section 'cpu/0000': 'privilege' cannot be 0x32 in this processor");
    bad.data[privilege + 9 + HEAD] = 3;
    size_t step = place_of(&bad, "step_vcpu");
    bad.data[step + 9 + HEAD] = 1;
    refuse(a, &bad, "section 'clocks': 'step_vcpu' is 1, and there are 1 vCPUs");
    fixture_free(a);
}

static void test_cut_short(void)
{
    Fixture *a = new_machine(1, true);
    AUTO_STRBUF(stream);
    g_assert_true(state_save(a->machine, &stream, NULL));
    for (size_t cut = 0; cut < stream.length; cut += cut < 600 ? 1 : 97) {
        g_assert_false(state_load(a->machine, stream.data, cut, NULL));
    }
    fixture_free(a);
}

static void wait_counting(Fixture *f, uint64_t from)
{
    for (unsigned i = 0; fixture_read(f, TEST_RAM + 0x1000, 8) <= from; i++) {
        g_assert_cmpuint(i, <, 100000);
        g_usleep(1000);
    }
}

/* With threads: what runs is parked, saved, and goes on elsewhere. */
static void test_threads(void)
{
    MachineOptions options = { .cpu_model = "rv64", .cpus = 2 };
    Fixture *a = fixture_new(&options), *b = fixture_new(&options);
    FIXTURE_CODE(a, 0, rv_csrr(T0, CSR_MHARTID), rv_slli(T0, T0, 3), rv_addi(T1, ZERO, 1), rv_slli(T1, T1, 31),
                 rv_lui(T2, 0x1000), rv_add(T1, T1, T2), rv_add(T1, T1, T0), rv_addi(A1, A1, 1), rv_sd(A1, T1, 0),
                 rv_jump(-8));
    machine_run(a->machine, NULL);
    wait_counting(a, 0);
    AUTO_STRBUF(stream);
    g_assert_true(state_save(a->machine, &stream, NULL));
    g_assert_true(machine_is_running(a->machine));
    g_assert_true(state_load(b->machine, stream.data, stream.length, NULL));
    uint64_t before = fixture_read(b, TEST_RAM + 0x1000, 8);
    machine_run(b->machine, NULL);
    wait_counting(b, before);
    machine_stop(b->machine, RUN_STATE_PAUSED);
    fixture_free(a);
    fixture_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/state/tables", test_tables);
    g_test_add_func("/core/state/versions", test_versions);
    g_test_add_func("/core/state/bad-tables", test_bad_tables);
    g_test_add_func("/core/state/twice-missing", test_twice_and_missing);
    g_test_add_func("/core/state/coverage", test_coverage);
    g_test_add_func("/core/state/interrupts-came", test_interrupts_came);
    g_test_add_func("/core/state/machine", test_machine);
    g_test_add_func("/core/state/file", test_file);
    g_test_add_func("/core/state/other-machine", test_other_machine);
    g_test_add_func("/core/state/damaged-machine", test_damaged_machine);
    g_test_add_func("/core/state/cut-short", test_cut_short);
    g_test_add_func("/core/state/threads", test_threads);
    return g_test_run();
}
