#include "fixture.h"

#include "base/strbuf.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A device that answers reads with their address and records writes. */
typedef struct Recorder {
    Access last;
    uint64_t value;
    unsigned calls;
    AccessResult result;
} Recorder;

static AccessResult record_read(void *owner, const Access *access, uint64_t *value)
{
    Recorder *recorder = owner;
    recorder->last = *access;
    recorder->calls++;
    *value = 0;
    for (unsigned i = 0; i < access->size; i++) {
        *value |= ((access->address + i) & 0xff) << 8 * i;
    }
    return recorder->result;
}

static AccessResult record_write(void *owner, const Access *access, uint64_t value)
{
    Recorder *recorder = owner;
    recorder->last = *access;
    recorder->value = value;
    recorder->calls++;
    return recorder->result;
}

static const RegionOps any_ops = { .read = record_read, .write = record_write, .unaligned = true };

static Region *add_io(Fixture *f, const char *name, const RegionOps *ops, Recorder *recorder, uint64_t address,
                      uint64_t size, int priority)
{
    Region *region = region_new_io(NULL, f->machine, name, ops, recorder, NULL, size);
    region_map(f->machine->memory, address, region, priority);
    return region;
}

static AccessResult try_read(Fixture *f, uint64_t address, unsigned size)
{
    uint64_t value;
    return address_space_load(f->machine->address_space, NULL, address, size, &value);
}

static void test_ram(void)
{
    Fixture *f = fixture_new(NULL);
    fixture_write(f, TEST_RAM + 8, 8, UINT64_C(0x1122334455667788));
    g_assert_cmphex(fixture_read(f, TEST_RAM + 8, 4), ==, 0x55667788);
    g_assert_cmphex(fixture_read(f, TEST_RAM + 9, 2), ==, 0x6677);
    g_assert_cmphex(fixture_read(f, TEST_RAM + 11, 8), ==, UINT64_C(0x0000001122334455));
    g_assert_cmpint(try_read(f, TEST_RAM - 1, 1), ==, ACCESS_DECODE_ERROR);
    g_assert_cmpint(try_read(f, TEST_RAM + (1 << 20), 1), ==, ACCESS_DECODE_ERROR);
    /* Across the end: the first error is told, what is there is read. */
    uint8_t bytes[8];
    memset(bytes, 0xee, sizeof bytes);
    fixture_write(f, TEST_RAM + (1 << 20) - 4, 4, 0xa1b2c3d4);
    AddressSpace *space = f->machine->address_space;
    g_assert_cmpint(address_space_read(space, NULL, TEST_RAM + (1 << 20) - 4, bytes, 8), ==, ACCESS_DECODE_ERROR);
    g_assert_cmpmem(bytes, 8, "\xd4\xc3\xb2\xa1\0\0\0\0", 8);
    fixture_free(f);
}

static void test_overlap(void)
{
    Fixture *f = fixture_new(NULL);
    Recorder low = { 0 }, high = { 0 }, same = { 0 };
    Region *under = add_io(f, "under", &any_ops, &low, 0x1000, 0x1000, 0);
    add_io(f, "over", &any_ops, &high, 0x1400, 0x400, 1);
    fixture_read(f, 0x13ff, 1);
    g_assert_cmpuint(low.calls, ==, 1);
    g_assert_cmphex(low.last.address, ==, 0x3ff);
    fixture_read(f, 0x1400, 1);
    g_assert_cmpuint(high.calls, ==, 1);
    fixture_read(f, 0x17ff, 1);
    fixture_read(f, 0x1800, 1);
    g_assert_cmpuint(low.calls, ==, 2);
    g_assert_cmphex(low.last.address, ==, 0x800);
    /* An access over the border is split. */
    g_assert_cmphex(fixture_read(f, 0x13fe, 4), ==, 0x0100fffe);
    /* Of equal priority the later wins; taken away, the earlier is back. */
    Region *late = add_io(f, "same", &any_ops, &same, 0x1000, 0x10, 0);
    fixture_read(f, 0x1000, 4);
    g_assert_cmpuint(same.calls, ==, 1);
    region_unmap(late);
    low.calls = 0;
    fixture_read(f, 0x1000, 4);
    g_assert_cmpuint(low.calls, ==, 1);
    region_set_enabled(under, false);
    g_assert_cmpint(try_read(f, 0x1000, 4), ==, ACCESS_DECODE_ERROR);
    region_set_enabled(under, true);
    region_move(under, 0x5000);
    g_assert_cmpint(try_read(f, 0x1000, 4), ==, ACCESS_DECODE_ERROR);
    fixture_read(f, 0x5ffc, 4);
    fixture_free(f);
}

static void test_alias_and_whole_space(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *machine = f->machine;
    Region *ram = NULL;
    for (unsigned i = 0; !ram; i++) {
        char name[16];
        g_snprintf(name, sizeof name, "ram[%u]", i);
        ram = (Region *)object_child(object_container(&machine->object, "unattached"), name);
    }
    /* The last page of the space shows the second page of RAM. */
    Region *top = region_new_alias(NULL, machine, "top", ram, 0x1000, 0x1000);
    region_map(machine->memory, UINT64_MAX - 0xfff, top, 0);
    fixture_write(f, UINT64_MAX - 7, 8, 42);
    g_assert_cmphex(fixture_read(f, TEST_RAM + 0x1ff8, 8), ==, 42);
    /* A container that begins in the middle of what an alias shows. */
    Region *container = region_new_container(NULL, machine, "container", 0x10000);
    Recorder recorder = { 0 };
    Region *io = region_new_io(NULL, machine, "io", &any_ops, &recorder, NULL, 0x100);
    region_map(container, 0x8000, io, 0);
    Region *window = region_new_alias(NULL, machine, "window", container, 0x8080, 0x1000);
    region_map(machine->memory, 0x20000, window, 0);
    fixture_read(f, 0x20000, 1);
    g_assert_cmphex(recorder.last.address, ==, 0x80);
    g_assert_cmpint(try_read(f, 0x20080, 1), ==, ACCESS_DECODE_ERROR);
    /* A whole 64-bit space as a background, and a second space that shows the first. */
    Recorder all = { 0 };
    Region *background = region_new_io(NULL, machine, "background", &any_ops, &all, NULL, UINT64_MAX);
    region_map(machine->memory, 0, background, -1);
    fixture_read(f, 0x123456789abc, 4);
    g_assert_cmphex(all.last.address, ==, UINT64_C(0x123456789abc));
    Region *dma_root = region_new_alias(NULL, machine, "dma", machine->memory, 0, UINT64_MAX);
    AddressSpace *dma = address_space_new(machine, "dma", dma_root);
    uint64_t value;
    g_assert_cmpint(address_space_load(dma, NULL, TEST_RAM + 0x1ff8, 8, &value), ==, ACCESS_OK);
    g_assert_cmphex(value, ==, 42);
    address_space_free(dma);
    fixture_free(f);
}

static void test_io_in_io(void)
{
    Fixture *f = fixture_new(NULL);
    Recorder outer = { 0 }, inner = { 0 };
    Region *window = add_io(f, "outer", &any_ops, &outer, 0x1000, 0x1000, 0);
    Region *part = region_new_io(NULL, f->machine, "inner", &any_ops, &inner, NULL, 0x10);
    region_map(window, 0x20, part, 0);
    fixture_read(f, 0x1024, 4);
    g_assert_cmphex(inner.last.address, ==, 4);
    fixture_read(f, 0x1030, 4);
    g_assert_cmphex(outer.last.address, ==, 0x30);
    fixture_free(f);
}

static void test_sizes(void)
{
    static const RegionOps words = { .read = record_read, .write = record_write, .valid_minimum = 4,
                                     .valid_maximum = 4 };
    static const RegionOps bytes = { .read = record_read, .write = record_write, .impl_maximum = 1 };
    static const RegionOps wide = { .read = record_read, .write = record_write, .impl_minimum = 4, .impl_maximum = 4 };
    Fixture *f = fixture_new(NULL);
    Recorder r = { 0 };
    add_io(f, "words", &words, &r, 0x1000, 0x1000, 0);
    add_io(f, "bytes", &bytes, &r, 0x2000, 0x1000, 0);
    add_io(f, "wide", &wide, &r, 0x3000, 0x1000, 0);
    g_assert_cmpint(try_read(f, 0x1000, 2), ==, ACCESS_DEVICE_ERROR);
    g_assert_cmpint(try_read(f, 0x1000, 8), ==, ACCESS_DEVICE_ERROR);
    g_assert_cmpint(try_read(f, 0x1002, 4), ==, ACCESS_DEVICE_ERROR);
    g_assert_cmphex(fixture_read(f, 0x1004, 4), ==, 0x07060504);
    r.calls = 0;
    g_assert_cmphex(fixture_read(f, 0x2010, 4), ==, 0x13121110);
    g_assert_cmpuint(r.calls, ==, 4);
    fixture_write(f, 0x2010, 2, 0xabcd);
    g_assert_cmphex(r.value, ==, 0xab);
    g_assert_cmphex(fixture_read(f, 0x3006, 2), ==, 0x0706);
    g_assert_cmpuint(r.last.size, ==, 4);
    g_assert_cmphex(r.last.address, ==, 4);
    g_assert_cmphex(fixture_read(f, 0x3008, 8), ==, UINT64_C(0x0f0e0d0c0b0a0908));
    AddressSpace *space = f->machine->address_space;
    g_assert_cmpint(address_space_store(space, NULL, 0x3000, 1, 1), ==, ACCESS_DEVICE_ERROR);
    /* Any length is cut into what the region takes. */
    uint8_t block[16];
    g_assert_cmpint(address_space_read(space, NULL, 0x1010, block, 16), ==, ACCESS_OK);
    g_assert_cmphex(block[15], ==, 0x1f);
    r.result = ACCESS_RETRY;
    g_assert_cmpint(try_read(f, 0x1004, 4), ==, ACCESS_RETRY);
    fixture_free(f);
}

static void test_order_and_stride(void)
{
    Fixture *f = fixture_new(NULL);
    Recorder r = { 0 };
    static const RegionOps halves = { .read = record_read, .write = record_write, .impl_maximum = 2 };
    Region *big = add_io(f, "big", &any_ops, &r, 0x1000, 0x100, 0);
    big->order = BYTE_ORDER_BIG;
    g_assert_cmphex(fixture_read(f, 0x1000, 4), ==, 0x00010203);
    fixture_write(f, 0x1000, 4, 0x11223344);
    g_assert_cmphex(r.value, ==, 0x44332211);
    Region *big_halves = add_io(f, "big2", &halves, &r, 0x2000, 0x100, 0);
    big_halves->order = BYTE_ORDER_BIG;
    /* Two pieces, each in the device's order, the first at the first address. */
    g_assert_cmphex(fixture_read(f, 0x2000, 4), ==, 0x02030001);
    static const RegionOps byte_registers = { .read = record_read, .write = record_write, .valid_maximum = 1,
                                              .impl_maximum = 1 };
    Region *strided = add_io(f, "strided", &byte_registers, &r, 0x3000, 0x40, 0);
    strided->stride_shift = 2;
    g_assert_cmphex(fixture_read(f, 0x300c, 1), ==, 3);
    g_assert_cmphex(fixture_read(f, 0x300c, 4), ==, 3);
    g_assert_cmpuint(r.last.size, ==, 1);
    g_assert_cmphex(fixture_read(f, 0x300d, 1), ==, 0);
    r.calls = 0;
    fixture_write(f, 0x3004, 4, 0xffffff5a);
    g_assert_cmphex(r.value, ==, 0x5a);
    g_assert_cmphex(r.last.address, ==, 1);
    g_assert_cmpuint(r.calls, ==, 1);
    g_assert_cmpint(try_read(f, 0x3000, 8), ==, ACCESS_DEVICE_ERROR);
    fixture_free(f);
}

static void test_rom(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *machine = f->machine;
    Recorder r = { 0 };
    RamBlock *block = ram_block_new("rom", 0x2000, NULL, NULL);
    Region *rom = region_new_ram(NULL, machine, "rom", block, 0x1000, 0x1000, true);
    region_map(machine->memory, 0x1000, rom, 0);
    fixture_write(f, 0x1000, 4, 5); /* is lost */
    g_assert_cmphex(fixture_read(f, 0x1000, 4), ==, 0);
    g_assert_true(address_space_write_rom(machine->address_space, 0x1000, "abcd", 4));
    g_assert_cmphex(fixture_read(f, 0x1000, 4), ==, 0x64636261);
    g_assert_cmpmem(block->host + 0x1000, 4, "abcd", 4);
    g_assert_false(address_space_write_rom(machine->address_space, 0x1ffe, "abcd", 4));

    RamBlock *flash_block = ram_block_new("flash", 0x1000, NULL, NULL);
    Region *flash = region_new_rom_device(NULL, machine, "flash", flash_block, &any_ops, &r, NULL);
    region_map(machine->memory, 0x4000, flash, 0);
    flash_block->host[4] = 0x77;
    g_assert_cmphex(fixture_read(f, 0x4004, 4), ==, 0x77);
    g_assert_cmpuint(r.calls, ==, 0);
    fixture_write(f, 0x4004, 4, 9);
    g_assert_cmpuint(r.calls, ==, 1);
    uint64_t generation = address_space_generation(machine->address_space);
    region_set_romd(flash, false);
    g_assert_cmpuint(address_space_generation(machine->address_space), >, generation);
    g_assert_cmphex(fixture_read(f, 0x4004, 4), ==, 0x07060504);
    BusPage page;
    address_space_page(machine->address_space, 0x4000, 12, &page);
    g_assert_null(page.host);
    region_set_romd(flash, true);
    address_space_page(machine->address_space, 0x4000, 12, &page);
    g_assert_true(page.host == flash_block->host && !page.writable && page.ram == flash_block);
    ram_block_unref(flash_block);
    ram_block_unref(block);
    fixture_free(f);
}

static void test_page_and_map(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *machine = f->machine;
    Recorder r = { 0 };
    BusPage page;
    address_space_page(machine->address_space, TEST_RAM + 0x3123, 12, &page);
    g_assert_true(page.host == machine->ram->host + 0x3000 && page.writable && page.ram_offset == 0x3000);
    /* A page that is I/O in part is I/O. */
    add_io(f, "hole", &any_ops, &r, TEST_RAM + 0x5800, 0x100, 1);
    address_space_page(machine->address_space, TEST_RAM + 0x5000, 12, &page);
    g_assert_null(page.host);
    RamMap map;
    g_assert_true(address_space_map(machine->address_space, TEST_RAM + 0x5000, 0x2000, true, &map));
    g_assert_cmpuint(map.count, ==, 0x800);
    address_space_unmap(machine->address_space, &map, 0);
    g_assert_false(address_space_map(machine->address_space, TEST_RAM + 0x5800, 1, false, &map));
    g_assert_false(address_space_map(machine->address_space, 0, 1, false, &map));
    /* A map keeps its RAM. */
    RamBlock *block = ram_block_new("card", 0x1000, NULL, NULL);
    Region *card = region_new_ram(NULL, machine, "card", block, 0, 0x1000, false);
    region_map(machine->memory, 0x10000, card, 0);
    g_assert_true(address_space_map(machine->address_space, 0x10ffe, 16, true, &map));
    g_assert_cmpuint(map.count, ==, 2);
    ram_block_unref(block);
    object_unparent(&card->object);
    g_assert_cmpint(try_read(f, 0x10000, 1), ==, ACCESS_DECODE_ERROR);
    map.host[1] = 1; /* is still there */
    address_space_unmap(machine->address_space, &map, 2);
    fixture_free(f);
}

static void test_dirty(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *machine = f->machine;
    RamBlock *ram = machine->ram;
    BusPage page;
    g_assert_false(ram_block_take_dirty(ram, 0, ram->size));
    ram_block_track(ram, true);
    g_assert_true(ram_block_take_dirty(ram, 0, ram->size));
    g_assert_false(ram_block_take_dirty(ram, 0, ram->size));
    address_space_page(machine->address_space, TEST_RAM + 0x4000, 12, &page);
    g_assert_true(page.host && !page.writable);
    fixture_write(f, TEST_RAM + 0x4ffe, 4, 1);
    address_space_page(machine->address_space, TEST_RAM + 0x4000, 12, &page);
    g_assert_true(page.writable);
    g_assert_false(ram_block_take_dirty(ram, 0, 0x4000));
    g_assert_true(ram_block_take_dirty(ram, 0x4000, 0x1000));
    g_assert_true(ram_block_take_dirty(ram, 0x5000, 0x1000));
    g_assert_false(ram_block_take_dirty(ram, 0x4000, 0x2000));
    RamMap map;
    address_space_map(machine->address_space, TEST_RAM + 0x8000, 0x3000, true, &map);
    address_space_unmap(machine->address_space, &map, 0x1001);
    g_assert_true(ram_block_take_dirty(ram, 0x8000, 1));
    g_assert_true(ram_block_take_dirty(ram, 0x9000, 1));
    g_assert_false(ram_block_take_dirty(ram, 0xa000, 1));
    ram_block_track(ram, false);
    address_space_page(machine->address_space, TEST_RAM, 12, &page);
    g_assert_true(page.writable);
    fixture_free(f);
}

static void test_transaction(void)
{
    Fixture *f = fixture_new(NULL);
    Recorder r = { 0 };
    AddressSpace *space = f->machine->address_space;
    uint64_t generation = address_space_generation(space);
    memory_begin(f->machine);
    for (unsigned i = 0; i < 8; i++) {
        add_io(f, "r", &any_ops, &r, 0x1000 * i, 0x1000, 0);
    }
    g_assert_cmpint(try_read(f, 0x1000, 1), ==, ACCESS_DECODE_ERROR);
    memory_commit(f->machine);
    g_assert_cmpint(try_read(f, 0x1000, 1), ==, ACCESS_OK);
    g_assert_cmpuint(address_space_generation(space), ==, generation + 1);
    fixture_free(f);
}

static void test_print(void)
{
    Fixture *f = fixture_new(NULL);
    Recorder r = { 0 };
    AUTO_STRBUF(tree);
    AUTO_STRBUF(flat);
    add_io(f, "uart", &any_ops, &r, 0x10000000, 0x100, 2);
    address_space_print(f->machine->address_space, false, &tree);
    g_assert_cmpstr(strbuf_text(&tree), ==,
                    "address-space: memory\n"
                    "  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n"
                    "    0000000010000000-00000000100000ff (prio 2, i/o): uart\n"
                    "    0000000080000000-00000000800fffff (prio 0, ram): ram\n");
    address_space_print(f->machine->address_space, true, &flat);
    g_assert_cmpstr(strbuf_text(&flat), ==,
                    "FlatView\n AS \"memory\", root: system\n"
                    "  0000000010000000-00000000100000ff (prio 2, i/o): uart\n"
                    "  0000000080000000-00000000800fffff (prio 0, ram): ram\n");
    fixture_free(f);
}

/* Readers never see a map that was not published: the two devices change places, and together answer always. */
typedef struct Racing {
    Fixture *f;
    _Atomic bool stop;
    _Atomic unsigned started;
} Racing;

static AccessResult constant_read(void *owner, const Access *access, uint64_t *value)
{
    *value = GPOINTER_TO_UINT(owner);
    return ACCESS_OK;
}

static void *race(void *data)
{
    Racing *racing = data;
    atomic_fetch_add(&racing->started, 1);
    while (!atomic_load(&racing->stop)) {
        uint64_t value = fixture_read(racing->f, 0x1000, 4);
        g_assert_true(value == 1 || value == 2);
    }
    return NULL;
}

static void test_race(void)
{
    static const RegionOps ops = { .read = constant_read };
    Fixture *f = fixture_new(NULL);
    Racing racing = { .f = f };
    Region *one = region_new_io(NULL, f->machine, "one", &ops, GUINT_TO_POINTER(1), NULL, 0x1000);
    Region *two = region_new_io(NULL, f->machine, "two", &ops, GUINT_TO_POINTER(2), NULL, 0x1000);
    region_map(f->machine->memory, 0x1000, one, 0);
    region_map(f->machine->memory, 0x1000, two, 1);
    Thread threads[3];
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        thread_start(&threads[i], "reader", race, &racing, NULL);
    }
    while (atomic_load(&racing.started) < G_N_ELEMENTS(threads)) {
        g_usleep(100);
    }
    for (unsigned i = 0; i < 2000; i++) {
        region_set_enabled(two, i & 1);
    }
    atomic_store(&racing.stop, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        thread_join(&threads[i]);
    }
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/memory/ram", test_ram);
    g_test_add_func("/core/memory/overlap", test_overlap);
    g_test_add_func("/core/memory/alias", test_alias_and_whole_space);
    g_test_add_func("/core/memory/io-in-io", test_io_in_io);
    g_test_add_func("/core/memory/sizes", test_sizes);
    g_test_add_func("/core/memory/order-stride", test_order_and_stride);
    g_test_add_func("/core/memory/rom", test_rom);
    g_test_add_func("/core/memory/page-map", test_page_and_map);
    g_test_add_func("/core/memory/dirty", test_dirty);
    g_test_add_func("/core/memory/transaction", test_transaction);
    g_test_add_func("/core/memory/print", test_print);
    g_test_add_func("/core/memory/race", test_race);
    return g_test_run();
}
