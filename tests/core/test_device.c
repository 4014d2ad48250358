/* Registers by rows, devices' lives, buses, the crossing rule. */
#include "fixture.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/trace.h"
#include "core/device_internal.h"
#include "core/loop.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

/* "test-registers": one of each kind of row. */
typedef struct Registers {
    Device device;
    uint32_t plain, clears, sets, toggles, read_clears, kept;
    uint64_t wide;
    uint8_t bytes[6];
    uint16_t packed;
    uint32_t array[4];
    uint32_t banked[3][2];
    uint32_t limit;
    bool extra;
    unsigned bank, reads, written;
    uint64_t last_written;
    Access last;
} Registers;

static AccessResult hook_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    Registers *registers = (Registers *)device;
    registers->reads += !access->debug;
    registers->last = *access;
    *value = 0x11223344 + reg->data;
    return reg->data == 2 ? ACCESS_DEVICE_ERROR : ACCESS_OK;
}

static AccessResult hook_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Registers *registers = (Registers *)device;
    registers->last_written = value;
    registers->last = *access;
    return ACCESS_OK;
}

static AccessResult hook_written(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Registers *registers = (Registers *)device;
    registers->written++;
    registers->last_written = value;
    return ACCESS_OK;
}

static bool is_extra(const Device *device, const Register *reg) { return ((const Registers *)device)->extra; }
static uint32_t limit_of(const Device *device, const Register *reg) { return ((const Registers *)device)->limit; }
static unsigned bank_number(Device *device, const Access *access) { return ((Registers *)device)->bank; }

#define REG(name_, address_, field_, ...) REG_FIELD(Registers, name_, address_, field_, __VA_ARGS__)
static const Register rows[] = {
    REG(PLAIN, 0x00, plain, .writable = 0xffff00ff, .reset = 0x12345678, .written = hook_written),
    REG(CLEARS, 0x04, clears, .write_clears = 0xff, .writable = 0xff00, .reset = 0xffff),
    REG(SETS, 0x08, sets, .write_sets = 0xf),
    REG(TOGGLES, 0x0c, toggles, .write_toggles = 0xff),
    REG(READ_CLEARS, 0x10, read_clears, .read_clears = 0xffff, .writable = UINT32_MAX),
    REG(KEPT, 0x14, kept, .writable = UINT32_MAX, .reset = 7, .survives = 1 << RESET_WARM),
    REG(WIDE_LOW, 0x18, wide, .writable = UINT32_MAX),
    REG(WIDE_HIGH, 0x1c, wide, .writable = UINT32_MAX, .shift = 32, .reset = 1),
    { .name = "BYTES", .address = 0x20, .size = 1, .count = 6, .offset = offsetof(Registers, bytes), .field_size = 1,
      .writable = 0xff },
    { .name = "NIBBLE", .address = 0x28, .size = 1, .offset = offsetof(Registers, packed), .field_size = 2, .shift = 12,
      .writable = 0xf },
    REG_ARRAY(Registers, ARRAY, 0x40, array, .writable = UINT32_MAX, .stride = 8, .count_of = limit_of),
    REG_HOOK(HOOKED, 0x60, .read = hook_read, .write = hook_write),
    REG_HOOK(FAILS, 0x64, .read = hook_read, .data = 2),
    REG_HOOK(CONSTANT, 0x68, .reset = 0xcafe),
    /* Three rows at one address: one that state switches, one for reading, one for writing. */
    REG(EXTRA, 0x70, plain, .writable = UINT32_MAX, .present = is_extra),
    REG_HOOK(STATUS, 0x70, .reset = 0x51a705, .read_only = true),
    REG_HOOK(COMMAND, 0x70, .write = hook_write, .write_only = true),
    REG_HOOK(WRITE_ONLY, 0x74, .write = hook_write, .write_only = true, .reset = 0x99),
    REG_HOOK(READ_ONLY, 0x78, .read = hook_read, .read_only = true),
    { .name = "BANKED", .address = 0x80, .count = 2, .offset = offsetof(Registers, banked), .field_size = 4,
      .writable = UINT32_MAX, .reset = 3, .banked = true },
};
static const Register strict_rows[] = {
    REG_HOOK(ONLY, 0x0, .read = hook_read),
};

static const RegisterBank banks[] = {
    { .name = "registers", .size = 0x100, .registers = rows, .count = G_N_ELEMENTS(rows) },
    { .name = "strict", .size = 0x10, .registers = strict_rows, .count = 1, .valid_minimum = 4, .valid_maximum = 4,
      .unmapped_error = true, .order = BYTE_ORDER_BIG },
};

static bool registers_realize(Device *device, Error **error)
{
    ((Registers *)device)->limit = 3;
    return true;
}

const DeviceClass registers_class = {
    .class = { .name = "test-registers", .parent = &sysbus_device_class.class, .size = sizeof(Registers) },
    .banks = banks,
    .bank_count = G_N_ELEMENTS(banks),
    .realize = registers_realize,
    .bank_stride = sizeof(uint32_t[2]),
    .banked_count = 3,
    .bank_number = bank_number,
};

enum { BASE = 0x1000, STRICT = 0x2000 };

static Registers *add_registers(Fixture *f)
{
    Registers *registers = (Registers *)fixture_device(f, "test-registers");
    device_map(&registers->device, 0, BASE);
    device_map(&registers->device, 1, STRICT);
    machine_reset(f->machine, RESET_POWER_ON);
    return registers;
}

static void test_masks(void)
{
    Fixture *f = fixture_new(NULL);
    Registers *r = add_registers(f);
    g_assert_cmphex(fixture_read(f, BASE, 4), ==, 0x12345678);
    fixture_write(f, BASE, 4, 0xffffffff);
    g_assert_cmphex(r->plain, ==, 0xffff56ff);
    g_assert_cmphex(r->last_written, ==, 0xffffffff);
    fixture_write(f, BASE + 4, 4, 0x12f0);
    g_assert_cmphex(r->clears, ==, 0x120f);
    fixture_write(f, BASE + 8, 4, 0xf5);
    fixture_write(f, BASE + 8, 4, 0x2);
    g_assert_cmphex(r->sets, ==, 7);
    fixture_write(f, BASE + 12, 4, 0x1f5);
    fixture_write(f, BASE + 12, 4, 0x55);
    g_assert_cmphex(r->toggles, ==, 0xa0);
    fixture_write(f, BASE + 16, 4, 0x12345678);
    g_assert_cmphex(fixture_read(f, BASE + 16, 4), ==, 0x12345678);
    g_assert_cmphex(fixture_read(f, BASE + 16, 4), ==, 0x12340000);
    g_assert_cmphex(fixture_read(f, BASE + 0x68, 4), ==, 0xcafe);
    fixture_free(f);
}

static void test_access_sizes(void)
{
    Fixture *f = fixture_new(NULL);
    Registers *r = add_registers(f);
    /* Narrow. */
    g_assert_cmphex(fixture_read(f, BASE + 1, 1), ==, 0x56);
    g_assert_cmphex(fixture_read(f, BASE + 2, 2), ==, 0x1234);
    fixture_write(f, BASE + 2, 2, 0xaaaa);
    g_assert_cmphex(r->plain, ==, 0xaaaa5678);
    g_assert_cmphex(r->last_written, ==, 0xaaaa5678); /* merged */
    fixture_write(f, BASE + 5, 1, 0x77);
    g_assert_cmphex(r->clears, ==, 0x77ff); /* the bytes not written clear nothing */
    fixture_write(f, BASE + 0x10, 4, UINT32_MAX);
    fixture_read(f, BASE + 0x11, 1);
    g_assert_cmphex(r->read_clears, ==, 0xffff00ff);
    fixture_write(f, BASE + 0x62, 1, 0x5a);
    g_assert_cmphex(r->last_written, ==, 0x5a0000);
    g_assert_cmphex(r->last.address, ==, 0x62);
    g_assert_cmphex(fixture_read(f, BASE + 0x62, 1), ==, 0x22);
    /* Wide, over two registers, and over a gap. */
    fixture_write(f, BASE + 0x18, 8, UINT64_C(0x1122334455667788));
    g_assert_cmphex(r->wide, ==, UINT64_C(0x1122334455667788));
    g_assert_cmphex(fixture_read(f, BASE + 0x1c, 4), ==, 0x11223344);
    fixture_write(f, BASE + 0x20, 8, UINT64_C(0x8877665544332211));
    g_assert_cmpmem(r->bytes, 6, "\x11\x22\x33\x44\x55\x66", 6);
    g_assert_cmphex(fixture_read(f, BASE + 0x20, 8), ==, UINT64_C(0x0000665544332211));
    fixture_write(f, BASE + 0x28, 1, 0xff);
    g_assert_cmphex(r->packed, ==, 0xf000);
    g_assert_cmphex(fixture_read(f, BASE + 0x28, 1), ==, 0xf);
    fixture_free(f);
}

static void test_arrays_and_banks(void)
{
    Fixture *f = fixture_new(NULL);
    Registers *r = add_registers(f);
    fixture_write(f, BASE + 0x40 + 2 * 8, 4, 22);
    g_assert_cmpuint(r->array[2], ==, 22);
    fixture_write(f, BASE + 0x44, 4, 1); /* between two elements */
    fixture_write(f, BASE + 0x58, 4, 33); /* the fourth is not there */
    g_assert_cmpuint(r->array[3], ==, 0);
    r->limit = 4;
    fixture_write(f, BASE + 0x58, 4, 33);
    g_assert_cmpuint(r->array[3], ==, 33);
    g_assert_cmpuint(r->banked[2][1], ==, 3); /* reset in all banks */
    r->bank = 2;
    fixture_write(f, BASE + 0x84, 4, 0x22);
    r->bank = 0;
    fixture_write(f, BASE + 0x80, 4, 0x11);
    g_assert_cmpuint(r->banked[0][0], ==, 0x11);
    g_assert_cmpuint(r->banked[2][1], ==, 0x22);
    g_assert_cmpuint(fixture_read(f, BASE + 0x84, 4), ==, 3);
    fixture_free(f);
}

static void test_presence(void)
{
    Fixture *f = fixture_new(NULL);
    Registers *r = add_registers(f);
    uint64_t value;
    AddressSpace *space = f->machine->address_space;
    g_assert_cmphex(fixture_read(f, BASE + 0x70, 4), ==, 0x51a705);
    fixture_write(f, BASE + 0x70, 4, 0xc0);
    g_assert_cmphex(r->last_written, ==, 0xc0);
    r->extra = true;
    fixture_write(f, BASE + 0x70, 4, 0xabcd);
    g_assert_cmphex(r->plain, ==, 0xabcd);
    g_assert_cmphex(fixture_read(f, BASE + 0x70, 4), ==, 0xabcd);
    g_assert_cmphex(fixture_read(f, BASE + 0x74, 4), ==, 0x99);
    r->last_written = 0;
    fixture_write(f, BASE + 0x78, 4, 1);
    g_assert_cmphex(r->last_written, ==, 0);
    g_assert_cmphex(fixture_read(f, BASE + 0x78, 4), ==, 0x11223344);
    g_assert_cmpint(address_space_load(space, NULL, BASE + 0x64, 4, &value), ==, ACCESS_DEVICE_ERROR);
    g_assert_cmphex(fixture_read(f, BASE + 0xf0, 4), ==, 0);
    g_assert_cmpint(address_space_load(space, NULL, STRICT + 4, 4, &value), ==, ACCESS_DEVICE_ERROR);
    g_assert_cmpint(address_space_load(space, NULL, STRICT, 2, &value), ==, ACCESS_DEVICE_ERROR);
    g_assert_cmphex(fixture_read(f, STRICT, 4), ==, 0x44332211); /* a big-endian bank */
    fixture_free(f);
}

static void test_reset_kinds(void)
{
    Fixture *f = fixture_new(NULL);
    Registers *r = add_registers(f);
    r->kept = 70;
    r->plain = 0;
    machine_reset(f->machine, RESET_WARM);
    g_assert_cmpuint(r->kept, ==, 70);
    g_assert_cmphex(r->plain, ==, 0x12345678);
    machine_reset(f->machine, RESET_POWER_ON);
    g_assert_cmpuint(r->kept, ==, 7);
    g_assert_cmphex(r->wide, ==, UINT64_C(1) << 32); /* each half by its own row */
    fixture_free(f);
}

static void test_by_name(void)
{
    Fixture *f = fixture_new(NULL);
    Registers *r = add_registers(f);
    uint64_t value;
    r->read_clears = 5;
    g_assert_true(device_register_read(&r->device, "READ_CLEARS", &value));
    g_assert_cmpuint(value, ==, 5);
    g_assert_cmpuint(r->read_clears, ==, 5); /* a debugger changes nothing */
    r->array[1] = 17;
    g_assert_true(device_register_read(&r->device, "ARRAY[1]", &value));
    g_assert_cmpuint(value, ==, 17);
    g_assert_false(device_register_read(&r->device, "ARRAY[3]", &value));
    g_assert_false(device_register_read(&r->device, "READ", &value));
    g_assert_true(device_register_read(&r->device, "HOOKED", &value));
    g_assert_cmpuint(r->reads, ==, 0);
    fixture_free(f);
}

static char *log_text(Fixture *f, const char *path)
{
    char *text;
    log_set_file(f->log, NULL, NULL);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_unlink(path);
    return text;
}

static void test_trace_and_log(void)
{
    Fixture *f = fixture_new(NULL);
    add_registers(f);
    char *path = g_strdup_printf("%s/myna-test-%u.log", g_get_tmp_dir(), g_random_int());
    g_assert_true(log_set_file(f->log, path, NULL));
    g_assert_true(trace_select(f->trace, "register_*", NULL));
    g_assert_true(log_set_items(f->log, "guest_errors", NULL));
    fixture_write(f, BASE, 4, 0x42);
    fixture_read(f, BASE + 0x68, 2);
    fixture_read(f, BASE + 0xf0, 4);
    char *text = log_text(f, path);
    g_assert_nonnull(strstr(text, "test-registers (/machine/unattached/device[0]) PLAIN at 0x0 gets 0x42"));
    g_assert_nonnull(strstr(text, "CONSTANT at 0x68 is 0xcafe"));
    g_assert_nonnull(strstr(text, "read of 4 bytes at 0xf0, where registers has no register"));
    g_free(text);
    g_free(path);
    fixture_free(f);
}

/* DMA: "test-dma" writes where it is told while it holds its lock. */
typedef struct Dma {
    Device device;
    uint32_t target, result, ran;
    GString *order;
} Dma;

static void deferred(void *data, uint64_t a, uint64_t b)
{
    g_string_append_printf(((Dma *)data)->order, "%u,", (unsigned)(a + b));
}

static AccessResult dma_go(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Dma *dma = (Dma *)device;
    AddressSpace *space = device->machine->address_space;
    uint64_t read;
    dma->result = reg->data ? address_space_load(space, NULL, dma->target, 4, &read)
                            : address_space_store(space, NULL, dma->target, 4, value);
    return ACCESS_OK;
}

static AccessResult dma_defer(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Dma *dma = (Dma *)device;
    for (unsigned i = 0; i < 3; i++) {
        device_defer(device->lock, deferred, dma, value, i);
    }
    g_string_append(dma->order, "now,");
    return ACCESS_OK;
}

static const Register dma_rows[] = {
    REG_FIELD(Dma, TARGET, 0, target, .writable = UINT32_MAX),
    REG_HOOK(WRITE, 4, .write = dma_go),
    REG_HOOK(READ, 8, .write = dma_go, .data = 1),
    REG_FIELD(Dma, RESULT, 12, result),
    REG_HOOK(DEFER, 16, .write = dma_defer),
};
static const RegisterBank dma_banks[] = {
    { .name = "dma", .size = 0x100, .registers = dma_rows, .count = G_N_ELEMENTS(dma_rows) },
};

static bool dma_realize(Device *device, Error **error)
{
    ((Dma *)device)->order = g_string_new(NULL);
    return true;
}

static void dma_finalize(Object *object) { g_string_free(((Dma *)object)->order, TRUE); }

const DeviceClass dma_class = {
    .class = { .name = "test-dma", .parent = &sysbus_device_class.class, .size = sizeof(Dma),
               .finalize = dma_finalize },
    .banks = dma_banks,
    .bank_count = 1,
    .realize = dma_realize,
};

const DeviceClass controller_class = {
    .class = { .name = "test-controller", .parent = &dma_class.class },
    .interrupt_controller = true,
};

static void test_crossing(void)
{
    Fixture *f = fixture_new(NULL);
    Dma *one = (Dma *)fixture_device(f, "test-dma"), *two = (Dma *)fixture_device(f, "test-dma");
    Dma *controller = (Dma *)fixture_device(f, "test-controller");
    device_map(&one->device, 0, 0x1000);
    device_map(&two->device, 0, 0x2000);
    device_map(&controller->device, 0, 0x3000);
    /* RAM is reached at once. */
    fixture_write(f, 0x1000, 4, TEST_RAM);
    fixture_write(f, 0x1004, 4, 77);
    g_assert_cmpuint(fixture_read(f, TEST_RAM, 4), ==, 77);
    g_assert_cmpuint(one->result, ==, ACCESS_OK);
    /* Its own registers: refused, and nothing hangs. */
    fixture_write(f, 0x1000, 4, 0x1000);
    fixture_write(f, 0x1004, 4, 5);
    g_assert_cmpuint(one->result, ==, ACCESS_DEVICE_ERROR);
    g_assert_cmphex(one->target, ==, 0x1000);
    /* Another's: a write comes later, a read is refused. */
    fixture_write(f, 0x1000, 4, 0x2000);
    fixture_write(f, 0x1004, 4, 0x1004);
    g_assert_cmpuint(one->result, ==, ACCESS_OK);
    g_assert_cmphex(two->target, ==, 0x1004);
    fixture_write(f, 0x1008, 4, 0);
    g_assert_cmpuint(one->result, ==, ACCESS_DEVICE_ERROR);
    /* A chain: one tells two to write to one. */
    fixture_write(f, 0x2000, 4, 0x1000);
    fixture_write(f, 0x1000, 4, 0x2004);
    fixture_write(f, 0x1004, 4, 0x99);
    g_assert_cmphex(one->target, ==, 0x99);
    /* An interrupt controller's are reached inside, and it may be read. */
    fixture_write(f, 0x1000, 4, 0x3000);
    fixture_write(f, 0x1004, 4, 0x55);
    g_assert_cmphex(controller->target, ==, 0x55);
    fixture_write(f, 0x1008, 4, 0);
    g_assert_cmpuint(one->result, ==, ACCESS_OK);
    /* Deferred calls run in order after the handler. */
    fixture_write(f, 0x1010, 4, 10);
    g_assert_cmpstr(one->order->str, ==, "now,10,11,12,");
    fixture_free(f);
}

/* A bus, devices on it, their lives. */
typedef struct Slot {
    Device device;
    uint32_t size;
    unsigned *gone;
} Slot;

const Class test_bus_class = { .name = "test-bus", .parent = &bus_class };

typedef struct Bridge {
    Device device;
    uint32_t slots;
    bool fixed;
} Bridge;

static bool bridge_realize(Device *device, Error **error)
{
    Bridge *bridge = (Bridge *)device;
    Bus *bus = bus_new(&test_bus_class, device, device->machine, NULL, error);
    if (bus) {
        bus->maximum = bridge->slots;
        bus->hot_pluggable = !bridge->fixed;
    }
    return bus;
}

static const Property bridge_properties[] = {
    PROP("slots", type_uint32, Bridge, slots, "2", "how many devices"),
    PROP("fixed", type_bool, Bridge, fixed, "off", "none come or go"),
    PROP_END,
};

const DeviceClass bridge_class = {
    .class = { .name = "test-bridge", .parent = &sysbus_device_class.class, .size = sizeof(Bridge),
               .properties = bridge_properties },
    .user_pluggable = true,
    .realize = bridge_realize,
};

static bool slot_realize(Device *device, Error **error)
{
    return ((Slot *)device)->size != 13 || error_set(error, "13 is unlucky");
}

static unsigned settled, unrealized;
static void slot_unrealize(Device *device) { unrealized++; }
static void slot_settle(Device *device) { settled++; }

static const Property slot_properties[] = {
    PROP("size", type_uint32, Slot, size, "1", "a number"),
    PROP_END,
};

const DeviceClass slot_class = {
    .class = { .name = "test-slot", .parent = &device_class.class, .size = sizeof(Slot),
               .properties = slot_properties },
    .bus_type = "test-bus",
    .user_pluggable = true,
    .hot_pluggable = true,
    .realize = slot_realize,
    .unrealize = slot_unrealize,
    .settle = slot_settle,
};

static bool add(Fixture *f, const char *json, Error **error)
{
    Json *options = json_parse(json, strlen(json), NULL);
    g_assert_nonnull(options);
    bool done = device_add(f->machine, options, true, error);
    json_free(options);
    return done;
}

static void expect_refusal(Fixture *f, const char *json, const char *message)
{
    Error *error = NULL;
    g_assert_false(add(f, json, &error));
    g_assert_cmpstr(error_message(error), ==, message);
    error_free(error);
}

static void test_device_add(void)
{
    Fixture *f = fixture_new(NULL);
    settled = unrealized = 0;
    expect_refusal(f, "{}", "Parameter 'driver' is missing");
    expect_refusal(f, "{'driver': 'test-registers'}",
                   "Parameter 'driver' expects a pluggable device type; 'test-registers' is part of a machine");
    expect_refusal(f, "{'driver': 'test-slot'}", "device 'test-slot': No 'test-bus' bus found");
    expect_refusal(f, "{'driver': 'test-slot', 'bus': 'b0.0'}", "Bus 'b0.0' not found");
    expect_refusal(f, "{'driver': 'test-bridge', 'id': '0x'}", "Parameter 'id' expects an identifier");
    Error *error = NULL;
    g_assert_false(add(f, "{'driver': 'test-slit'}", &error));
    g_assert_nonnull(strstr(error_message(error), "'test-slot'"));
    error_free(error);
    error = NULL;
    /* The system bus takes nothing once the machine runs: before that, a bridge. */
    f->machine->system_bus->hot_pluggable = true;
    g_assert_true(add(f, "{'driver': 'test-bridge', 'id': 'b0'}", NULL));
    expect_refusal(f, "{'driver': 'test-bridge', 'id': 'b0'}", "Duplicate device ID 'b0'");
    g_assert_true(add(f, "{'driver': 'test-slot', 'id': 's0', 'size': '4'}", NULL));
    g_assert_cmpuint(settled, ==, 1); /* a hot-plugged one is reset and settled */
    Object *slot = object_resolve(f->machine->root, "/machine/peripheral/s0", NULL);
    g_assert_nonnull(slot);
    g_assert_cmpuint(((Slot *)slot)->size, ==, 4);
    g_assert_cmpstr(((Device *)slot)->bus->object.name, ==, "b0.0");
    expect_refusal(f, "{'driver': 'test-slot', 'size': '13'}", "13 is unlucky");
    g_assert_true(add(f, "{'driver': 'test-slot', 'bus': 'b0.0'}", NULL));
    g_assert_nonnull(object_resolve(f->machine->root, "/machine/peripheral-anon/device[0]", NULL));
    expect_refusal(f, "{'driver': 'test-slot'}", "device 'test-slot': No 'test-bus' bus has room");
    expect_refusal(f, "{'driver': 'test-slot', 'bus': 'b0.0'}", "Bus 'b0.0' is full");
    g_assert_false(device_remove(f->machine, "s1", &error));
    g_assert_cmpstr(error_message(error), ==, "Device 's1' not found");
    g_assert_cmpint(error_class(error), ==, ERROR_DEVICE_NOT_FOUND);
    error_free(error);
    error = NULL;
    unrealized = 0;
    g_assert_true(device_remove(f->machine, "s0", NULL));
    g_assert_cmpuint(unrealized, ==, 1);
    fixture_expect_events(f, "DEVICE_DELETED {\"device\": \"s0\", \"path\": \"/machine/peripheral/s0\"};");
    g_assert_null(object_resolve(f->machine->root, "/machine/peripheral/s0", NULL));
    g_assert_true(add(f, "{'driver': 'test-slot', 'id': 's0'}", NULL));
    /* A bridge takes what is on its bus with it. */
    unrealized = 0;
    object_unparent(object_resolve(f->machine->root, "/machine/peripheral/b0", NULL));
    g_assert_cmpuint(unrealized, ==, 2);
    fixture_free(f);
}

static void test_fixed_bus(void)
{
    Fixture *f = fixture_new_raw(NULL);
    g_assert_true(machine_build(f->machine, NULL));
    g_assert_true(add(f, "{'driver': 'test-bridge', 'id': 'b', 'fixed': 'on'}", NULL));
    g_assert_true(add(f, "{'driver': 'test-slot', 'id': 's'}", NULL));
    g_assert_true(machine_start_up(f->machine, NULL));
    expect_refusal(f, "{'driver': 'test-slot'}", "Bus 'b.0' does not support hotplugging");
    Error *error = NULL;
    g_assert_false(device_remove(f->machine, "s", &error));
    g_assert_cmpstr(error_message(error), ==, "Bus 'b.0' does not support hotplugging");
    error_free(error);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/device/masks", test_masks);
    g_test_add_func("/core/device/access-sizes", test_access_sizes);
    g_test_add_func("/core/device/arrays-banks", test_arrays_and_banks);
    g_test_add_func("/core/device/presence", test_presence);
    g_test_add_func("/core/device/reset-kinds", test_reset_kinds);
    g_test_add_func("/core/device/by-name", test_by_name);
    g_test_add_func("/core/device/trace-log", test_trace_and_log);
    g_test_add_func("/core/device/crossing", test_crossing);
    g_test_add_func("/core/device/add-remove", test_device_add);
    g_test_add_func("/core/device/fixed-bus", test_fixed_bus);
    return g_test_run();
}
