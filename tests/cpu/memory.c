/* The slow paths: parts, faults half way, byte order, I/O, tracked pages, small and large pages, the TLB. */
#include "toy.h"

#include "base/bytes.h"

#include <glib.h>
#include <string.h>

typedef struct Fixture {
    ToyMachine *machine;
    Cpu *cpu;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->machine = toy_new(1);
    f->cpu = f->machine->cpus[0];
    f->cpu->exceptions_exit = true;
}

static void tear_down(Fixture *f, gconstpointer data)
{
    toy_free(f->machine);
}

/* Runs one instruction with r1 and r2 given; returns r1. */
static uint64_t run(Fixture *f, uint32_t code, uint64_t r1, uint64_t r2)
{
    ToyState *s = toy_state(f->machine, 0);

    TOY_CODE(f->machine, 0x1000, code);
    cpu_code_changed(f->cpu);
    f->cpu->exec.exception = (ExecException){ 0 };
    s->pc = 0x1000;
    s->r[1] = r1;
    s->r[2] = r2;
    g_assert_cmpint(cpu_run(f->cpu, 1), ==, f->cpu->exec.exception.pending ? CPU_EXIT_EXCEPTION : CPU_EXIT_BUDGET);
    return s->r[1];
}

static uint64_t load(Fixture *f, unsigned size, uint64_t address)
{
    return run(f, TOY(TOY_LOAD, 1, 2, TOY_ACCESS(0, size)), 0, address);
}

static void store(Fixture *f, unsigned size, uint64_t address, uint64_t value)
{
    run(f, TOY(TOY_STORE, 1, 2, TOY_ACCESS(0, size)), value, address);
}

static void expect_fault(Fixture *f, unsigned code, uint64_t value)
{
    g_assert_true(f->cpu->exec.exception.pending);
    g_assert_cmpuint(f->cpu->exec.exception.code, ==, code);
    g_assert_cmphex(f->cpu->exec.exception.value, ==, value);
    g_assert_cmphex(toy_state(f->machine, 0)->pc, ==, 0x1000);
}

/* Every size at every offset, around a page's edge too, in both orders and with signs. */
static void test_widths(Fixture *f, gconstpointer data)
{
    for (uint64_t address = 0x8ff0; address < 0x9008; address++) {
        for (unsigned size = 0; size < 4; size++) {
            unsigned bytes = 1u << size;
            uint64_t value = UINT64_C(0xf1e2d3c4b5a69788), low = value & mask_bits(bytes * 8);
            memset(f->machine->ram + 0x8fe0, 0x55, 64);
            store(f, size, address, value);
            g_assert_cmphex(load_le(f->machine->ram + address, bytes), ==, low);
            g_assert_cmphex(f->machine->ram[address - 1], ==, 0x55);
            g_assert_cmphex(f->machine->ram[address + bytes], ==, 0x55);
            g_assert_cmphex(load(f, size, address), ==, low);
            g_assert_cmphex(run(f, TOY(TOY_LOAD, 1, 2, TOY_ACCESS(0, size | 4)), 0, address), ==,
                            (uint64_t)sign_extend(low, bytes * 8));
            g_assert_cmphex(run(f, TOY(TOY_LOADB, 1, 2, TOY_ACCESS(0, size)), 0, address), ==,
                            swap_bytes(value, bytes));
            run(f, TOY(TOY_STOREB, 1, 2, TOY_ACCESS(0, size)), value, address);
            g_assert_cmphex(load(f, size, address), ==, swap_bytes(value, bytes));
        }
    }
}

/* A store whose second page refuses writes nothing at all, and the fault is that page's. */
static void test_half_faults(Fixture *f, gconstpointer data)
{
    f->machine->pages[9] = 0x9000 | MMU_PERM_READ;
    memset(f->machine->ram + 0x8ff0, 0x11, 32);
    store(f, 3, 0x8ffd, UINT64_MAX);
    expect_fault(f, TOY_E_WRITE, 0x9000);
    for (unsigned i = 0; i < 32; i++) {
        g_assert_cmphex(f->machine->ram[0x8ff0 + i], ==, 0x11);
    }
    g_assert_cmphex(load(f, 3, 0x8ffd), ==, 0x1111111111111111);
    g_assert_false(f->cpu->exec.exception.pending);

    f->machine->pages[8] = 0;
    cpu_tlb_flush(f->cpu, UINT32_MAX);
    store(f, 3, 0x8ffd, UINT64_MAX); /* the first part's comes first */
    expect_fault(f, TOY_E_WRITE, 0x8ffd);
    load(f, 2, 0x8ffe);
    expect_fault(f, TOY_E_READ, 0x8ffe);
    g_assert_cmphex(f->machine->ram[0x9000], ==, 0x11);
    g_assert_cmphex(load(f, 3, 0x9000), ==, 0x1111111111111111);
}

static void expect_io(Fixture *f, const uint64_t *expected, size_t count)
{
    g_assert_cmpuint(f->machine->io_count, ==, count);
    for (size_t i = 0; i < count; i++) {
        g_assert_cmphex(f->machine->io_address[i], ==, expected[i]);
    }
    f->machine->io_count = 0;
}
#define EXPECT_IO(f, ...)                                                                                              \
    expect_io(f, (const uint64_t[]){ __VA_ARGS__ }, ARRAY_SIZE(((const uint64_t[]){ __VA_ARGS__ })))
#define IO(size, offset) ((TOY_IO + (offset)) | (uint64_t)(size) << 56)
#define IO_WRITE(size, offset) (IO(size, offset) | BIT(63))

/* I/O is accessed as the instruction says where aligned, else by aligned pieces. */
static void test_io(Fixture *f, gconstpointer data)
{
    f->machine->pages[0x110] = TOY_IO | 7;
    g_assert_cmphex(load(f, 3, 0x110008), ==, 0x88776655443322ff);
    EXPECT_IO(f, IO(8, 8));
    g_assert_cmphex(run(f, TOY(TOY_LOADB, 1, 2, TOY_ACCESS(0, 2)), 0, 0x110004), ==, 0xff223344);
    EXPECT_IO(f, IO(4, 4));
    g_assert_cmphex(run(f, TOY(TOY_LOAD, 1, 2, TOY_ACCESS(0, 0 | 4)), 0, 0x110003), ==, UINT64_MAX);
    EXPECT_IO(f, IO(1, 3));
    store(f, 2, 0x110004, 0x12345678);
    g_assert_cmphex(f->machine->io_value[0], ==, 0x12345678);
    EXPECT_IO(f, IO_WRITE(4, 4));
    store(f, 2, 0x110001, 0x12345678);
    g_assert_cmphex(f->machine->io_value[0], ==, 0x78);
    g_assert_cmphex(f->machine->io_value[1], ==, 0x3456);
    g_assert_cmphex(f->machine->io_value[2], ==, 0x12);
    EXPECT_IO(f, IO_WRITE(1, 1), IO_WRITE(2, 2), IO_WRITE(1, 4));
    g_assert_cmphex(load(f, 3, 0x110006), ==, 0x22ff443322ff22ff);
    EXPECT_IO(f, IO(2, 6), IO(4, 8), IO(2, 12));

    /* An access that begins in RAM and ends in I/O; an atomic one on I/O. */
    f->machine->pages[0x10f] = 0x9000 | 7;
    store(f, 3, 0x10fffc, UINT64_C(0x1122334455667788));
    g_assert_cmphex(load_le32(f->machine->ram + 0x9ffc), ==, 0x55667788);
    g_assert_cmphex(f->machine->io_value[0], ==, 0x11223344);
    EXPECT_IO(f, IO_WRITE(4, 0));
    toy_state(f->machine, 0)->r[3] = 1;
    g_assert_cmphex(run(f, TOY(TOY_AMOADD, 1, 2, 3), 0, 0x110010), ==, 0x88776655443322ff);
    g_assert_cmphex(f->machine->io_value[1], ==, 0x8877665544332300);
    EXPECT_IO(f, IO(8, 16), IO_WRITE(8, 16));

    /* Behind the device is nothing: the part that fails is named. */
    f->machine->pages[0x111] = (TOY_IO + TOY_PAGE) | 7;
    load(f, 3, 0x110ffc);
    expect_fault(f, TOY_E_BUS_READ, 0x111000);
    run(f, TOY(TOY_AMOADD, 1, 2, 3), 0, 0x111010);
    expect_fault(f, TOY_E_BUS_WRITE, 0x111010);
}

/* Pages that somebody tracks are read directly and written by the bus. */
static void test_tracked(Fixture *f, gconstpointer data)
{
    f->machine->read_only = true;
    store(f, 3, 0x8000, 5);
    g_assert_cmphex(load(f, 3, 0x8000), ==, 5);
    toy_state(f->machine, 0)->r[3] = 10;
    g_assert_cmphex(run(f, TOY(TOY_AMOADD, 1, 2, 3), 0, 0x8000), ==, 5);
    g_assert_cmphex(load(f, 3, 0x8000), ==, 15);
    uint64_t walks = f->machine->walks;
    load(f, 3, 0x8008);
    g_assert_cmpuint(f->machine->walks, ==, walks);
}

/* A page whose odd 16 bytes are not there is translated anew for each access, and an access is cut at them. */
static void test_small_pages(Fixture *f, gconstpointer data)
{
    f->machine->pages[8] = 0x8000 | 7 | TOY_SMALL;
    store_le64(f->machine->ram + 0x8020, 0x1234);
    uint64_t walks = f->machine->walks;
    g_assert_cmphex(load(f, 3, 0x8020), ==, 0x1234);
    g_assert_cmphex(load(f, 3, 0x8020), ==, 0x1234);
    g_assert_cmpuint(f->machine->walks, ==, walks + 2);
    load(f, 3, 0x8010);
    expect_fault(f, TOY_E_READ, 0x8010);
    store(f, 3, 0x802c, UINT64_MAX);
    expect_fault(f, TOY_E_WRITE, 0x8030);
    g_assert_cmphex(load_le32(f->machine->ram + 0x802c), ==, 0);

    /* Code there: an instruction at a time, checked each. */
    TOY_CODE(f->machine, 0x8020, TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_ADDI, 1, 1, 1),
             TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_ADDI, 1, 1, 1));
    toy_state(f->machine, 0)->pc = 0x8020;
    toy_state(f->machine, 0)->r[1] = 0;
    f->cpu->exec.exception.pending = false;
    g_assert_cmpint(cpu_run(f->cpu, INT64_MAX), ==, CPU_EXIT_EXCEPTION);
    g_assert_cmpuint(f->cpu->exec.exception.code, ==, TOY_E_FETCH);
    g_assert_cmphex(f->cpu->exec.exception.value, ==, 0x8030);
    g_assert_cmpuint(toy_state(f->machine, 0)->r[1], ==, 4);
}

static void test_large_pages(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0x20; i < 0x30; i++) {
        f->machine->pages[i] = (i * TOY_PAGE) | 7 | TOY_LARGE;
    }
    load(f, 3, 0x20000);
    load(f, 3, 0x2f000);
    for (unsigned i = 0x20; i < 0x30; i++) {
        f->machine->pages[i] = 0;
    }
    load(f, 3, 0x2f000);
    g_assert_false(f->cpu->exec.exception.pending);
    cpu_tlb_flush_page(f->cpu, 0x25678, 1); /* any address in it drops all of it */
    load(f, 3, 0x2f000);
    expect_fault(f, TOY_E_READ, 0x2f000);
    load(f, 3, 0x20000);
    expect_fault(f, TOY_E_READ, 0x20000);
}

static void test_flush(Fixture *f, gconstpointer data)
{
    load(f, 3, 0x8000);
    load(f, 3, 0x9000);
    f->machine->pages[8] = 0xa000 | 7;
    f->machine->pages[9] = 0xa000 | 7;
    store_le64(f->machine->ram + 0xa000, 77);
    cpu_tlb_flush_page(f->cpu, 0x8008, 2); /* another mode's */
    g_assert_cmpuint(load(f, 3, 0x8000), ==, 0);
    cpu_tlb_flush_page(f->cpu, 0x8008, 1);
    g_assert_cmpuint(load(f, 3, 0x8000), ==, 77);
    g_assert_cmpuint(load(f, 3, 0x9000), ==, 0);
    cpu_tlb_flush(f->cpu, 2);
    g_assert_cmpuint(load(f, 3, 0x9000), ==, 0);
    cpu_tlb_flush(f->cpu, 1);
    g_assert_cmpuint(load(f, 3, 0x9000), ==, 77);
    f->machine->pages[9] = 0x9000 | 7;
    cpu_group_tlb_flush(f->machine->group);
    g_assert_cmpuint(load(f, 3, 0x9000), ==, 0);
}

/* Permission that came with another access is not taken for granted. */
static void test_permissions(Fixture *f, gconstpointer data)
{
    f->machine->pages[8] = 0x8000 | MMU_PERM_READ;
    load(f, 3, 0x8000);
    store(f, 3, 0x8000, 1);
    expect_fault(f, TOY_E_WRITE, 0x8000);
    toy_state(f->machine, 0)->r[2] = 0x8000;
    f->machine->pages[8] = 0x8000 | MMU_PERM_WRITE;
    cpu_tlb_flush(f->cpu, UINT32_MAX);
    run(f, TOY(TOY_AMOADD, 1, 2, 3), 0, 0x8000); /* needs both */
    g_assert_true(f->cpu->exec.exception.pending);
    run(f, TOY(TOY_JUMP, 0, 2, 0), 0, 0x8000);
    f->cpu->exec.exception.pending = false;
    cpu_run(f->cpu, 1);
    g_assert_cmpuint(f->cpu->exec.exception.code, ==, TOY_E_FETCH);
}

/* A table that is too small grows, pages that fall on one entry find each other again. */
static void test_tlb_size(Fixture *f, gconstpointer data)
{
    load(f, 0, 0x8000);
    unsigned before = (unsigned)f->cpu->exec.tlb[0].index_mask;

    for (unsigned round = 0; round < 4; round++) {
        for (uint64_t page = 8; page < 250; page++) {
            load(f, 0, page * TOY_PAGE);
        }
        cpu_tlb_flush(f->cpu, 1);
    }
    g_assert_cmpuint(f->cpu->exec.tlb[0].index_mask, >, before);
    for (unsigned i = 0; i < 1000; i++) {
        load(f, 0, 0x8000);
        cpu_tlb_flush(f->cpu, 1);
    }
    g_assert_cmpuint(f->cpu->exec.tlb[0].index_mask, ==, before);

    uint64_t step = (before + 1) * TOY_PAGE;
    load(f, 0, 0x8000);
    load(f, 0, 0x8000 + step);
    uint64_t walks = f->machine->walks;
    load(f, 0, 0x8000);
    load(f, 0, 0x8000 + step);
    g_assert_cmpuint(f->machine->walks, ==, walks);
}

/* Another address space, in which page 8 is that of `physical`, and 9 too but global. */
static void enter_space(Fixture *f, uint64_t space, uint64_t physical)
{
    f->machine->space = space;
    f->machine->pages[8] = physical | 7;
    f->machine->pages[9] = physical | 7 | TOY_GLOBAL;
    cpu_tlb_select(f->cpu);
}

static void expect_pages(Fixture *f, uint64_t own, uint64_t global)
{
    g_assert_cmpuint(load(f, 3, 0x8000), ==, own);
    g_assert_cmpuint(load(f, 3, 0x9000), ==, global);
}

static void test_spaces(Fixture *f, gconstpointer data)
{
    for (uint64_t i = 0; i < 5; i++) {
        store_le64(f->machine->ram + 0xa000 + i * TOY_PAGE, i);
    }
    enter_space(f, 1, 0xa000);
    expect_pages(f, 0, 0);
    enter_space(f, 2, 0xb000);
    expect_pages(f, 1, 0);
    enter_space(f, 0x102, 0xc000);
    expect_pages(f, 2, 0);
    uint64_t walks = f->machine->walks;
    enter_space(f, 1, 0xd000);
    expect_pages(f, 0, 0);
    enter_space(f, 2, 0xd000);
    expect_pages(f, 1, 0);
    g_assert_cmpuint(f->machine->walks, ==, walks);
    /* By the low byte of the name: one of them has it, where no page is global. */
    cpu_tlb_drop(f->cpu, &(TlbScope){ .modes = 1, .one_space = true, .space = 0x301, .space_mask = 0xff });
    expect_pages(f, 1, 0);
    cpu_tlb_drop(f->cpu, &(TlbScope){ .modes = 1, .one_page = true, .address = 0x8008, .one_space = true, .space = 1,
                                      .space_mask = 0xff });
    expect_pages(f, 1, 0);
    enter_space(f, 1, 0xd000);
    expect_pages(f, 3, 0);
    /* Two have it; the one that is not there is dropped too. */
    cpu_tlb_drop(f->cpu, &(TlbScope){ .modes = 1, .one_page = true, .address = 0x8008, .one_space = true, .space = 2,
                                      .space_mask = 0xff });
    enter_space(f, 0x102, 0xe000);
    expect_pages(f, 4, 0);
    enter_space(f, 2, 0xd000);
    expect_pages(f, 3, 0);
    /* A global page goes with all spaces. */
    cpu_tlb_flush_page(f->cpu, 0x9000, 1);
    expect_pages(f, 3, 3);
    enter_space(f, 1, 0xe000);
    expect_pages(f, 3, 3);
    cpu_tlb_flush(f->cpu, 1);
    expect_pages(f, 4, 4);
    enter_space(f, 2, 0xa000);
    expect_pages(f, 0, 4);
}

/* More spaces than there are tables for. */
static void test_many_spaces(Fixture *f, gconstpointer data)
{
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 40; i++) {
            store_le64(f->machine->ram + 0xa000 + i * TOY_PAGE, i);
            enter_space(f, i, 0xa000 + i * TOY_PAGE);
            g_assert_cmpuint(load(f, 3, 0x8000), ==, i);
        }
    }
    uint64_t walks = f->machine->walks;
    enter_space(f, 38, 0);
    g_assert_cmpuint(load(f, 3, 0x8000), ==, 38);
    g_assert_cmpuint(f->machine->walks, ==, walks);
}

/* A large page is walked for once, and found again by its other pages; so is one that is global from other spaces. */
static void test_large_lists(Fixture *f, gconstpointer data)
{
    for (unsigned i = 0x20; i < 0x30; i++) {
        f->machine->pages[i] = (i * TOY_PAGE) | 7 | TOY_LARGE | TOY_GLOBAL;
    }
    load(f, 3, 0x20000);
    uint64_t walks = f->machine->walks;
    store_le64(f->machine->ram + 0x2f008, 5);
    g_assert_cmpuint(load(f, 3, 0x2f008), ==, 5);
    enter_space(f, 7, 0xa000);
    store_le64(f->machine->ram + 0x2e010, 6);
    g_assert_cmpuint(load(f, 3, 0x2e010), ==, 6);
    g_assert_cmpuint(f->machine->walks, ==, walks);
    f->machine->pages[0x2e] = 0xa000 | 7;
    cpu_tlb_drop(f->cpu, &(TlbScope){ .modes = 1, .one_page = true, .address = 0x21000 });
    store_le64(f->machine->ram + 0xa010, 8);
    g_assert_cmpuint(load(f, 3, 0x2e010), ==, 8);
    enter_space(f, 0, 0xa000);
    g_assert_cmpuint(load(f, 3, 0x2e010), ==, 8);
}

static void test_wide(Fixture *f, gconstpointer data)
{
    ToyState *s = toy_state(f->machine, 0);

    store_le64(f->machine->ram + 0x8010, 11);
    store_le64(f->machine->ram + 0x8018, 22);
    g_assert_cmpuint(run(f, TOY(TOY_LOAD16, 1, 2, 0), 0, 0x8010), ==, 11);
    g_assert_cmpuint(s->r[2], ==, 22);
    s->r[4] = 11; /* expected */
    s->r[5] = 22;
    s->r[6] = 33; /* new */
    s->r[7] = 44;
    g_assert_cmpuint(run(f, TOY(TOY_CAS, 1, 2, 4), 0, 0x8010), ==, 11);
    g_assert_cmpuint(load_le64(f->machine->ram + 0x8010), ==, 33);
    g_assert_cmpuint(load_le64(f->machine->ram + 0x8018), ==, 44);
    s->r[5] = 23;
    g_assert_cmpuint(run(f, TOY(TOY_CAS, 1, 2, 4), 0, 0x8010), ==, 33);
    g_assert_cmpuint(s->r[2], ==, 44);
    g_assert_cmpuint(load_le64(f->machine->ram + 0x8010), ==, 33);
    run(f, TOY(TOY_CAS, 1, 2, 4), 0, 0x8018);
    expect_fault(f, TOY_E_ALIGN_WRITE, 0x8018);
}

static void test_physical(Fixture *f, gconstpointer data)
{
    uint64_t value;

    store_le64(f->machine->ram + 0x8000, UINT64_C(0x1122334455667788));
    g_assert_true(cpu_physical_load(f->cpu, 0x8004, 4, &value));
    g_assert_cmphex(value, ==, 0x11223344);
    g_assert_true(cpu_physical_load(f->cpu, TOY_IO + 8, 2, &value));
    g_assert_cmphex(value, ==, 0x22ff);
    g_assert_false(cpu_physical_load(f->cpu, TOY_IO + TOY_PAGE, 8, &value));
    for (int tracked = 0; tracked < 2; tracked++) {
        f->machine->read_only = tracked;
        store_le64(f->machine->ram + 0x8000, UINT64_C(0x1122334455667788));
        value = 5;
        g_assert_true(cpu_physical_cas(f->cpu, 0x8000, 4, &value, 6));
        g_assert_cmphex(value, ==, 0x55667788);
        g_assert_true(cpu_physical_cas(f->cpu, 0x8000, 4, &value, 6));
        g_assert_cmphex(value, ==, 0x55667788);
        g_assert_cmphex(load_le64(f->machine->ram + 0x8000), ==, 0x1122334400000006);
        value = 0x1122334400000006;
        g_assert_true(cpu_physical_cas(f->cpu, 0x8000, 8, &value, 7));
        g_assert_cmphex(load_le64(f->machine->ram + 0x8000), ==, 7);
    }
    g_assert_false(cpu_physical_cas(f->cpu, TOY_IO + TOY_PAGE, 8, &value, 7));
}

static void test_helpers(Fixture *f, gconstpointer data)
{
    uint64_t value;

    g_assert_true(cpu_store(f->cpu, 0x8ffe, MEM_32 | MEM_BIG_ENDIAN, 0xf1020304));
    g_assert_true(cpu_load(f->cpu, 0x8ffe, MEM_32 | MEM_SIGNED | MEM_BIG_ENDIAN, &value));
    g_assert_cmphex(value, ==, 0xfffffffff1020304);
    g_assert_true(cpu_load(f->cpu, 0x8ffe, MEM_16, &value));
    g_assert_cmphex(value, ==, 0x02f1);
    g_assert_false(cpu_load(f->cpu, 0x300000, MEM_16, &value));
    g_assert_cmpuint(f->cpu->exec.exception.code, ==, TOY_E_READ);
    g_assert_false(cpu_store(f->cpu, 0x300000, MEM_16, 0)); /* the first one counts */
    g_assert_cmpuint(f->cpu->exec.exception.code, ==, TOY_E_READ);
}

static void test_debug(Fixture *f, gconstpointer data)
{
    uint8_t bytes[16], zeroes[16] = { 0 };
    uint64_t physical;

    f->machine->pages[9] = 0xc000 | MMU_PERM_READ;
    f->machine->pages[0xa] = 0;
    for (unsigned i = 0; i < 16; i++) {
        f->machine->ram[i < 8 ? 0x8ff8 + i : 0xc000 + i - 8] = (uint8_t)i;
    }
    g_assert_true(cpu_debug_read(f->cpu, 0x8ff8, bytes, 16));
    for (unsigned i = 0; i < 16; i++) {
        g_assert_cmpuint(bytes[i], ==, i);
    }
    g_assert_true(cpu_debug_translate(f->cpu, 0x9123, &physical));
    g_assert_cmphex(physical, ==, 0xc123);
    g_assert_false(cpu_debug_translate(f->cpu, 0xa000, &physical));
    g_assert_false(cpu_debug_read(f->cpu, 0x9ff8, bytes, 16));
    f->machine->pages[0xa] = TOY_IO | 7;
    g_assert_false(cpu_debug_read(f->cpu, 0xa000, bytes, 4));
    g_assert_cmpuint(f->machine->io_count, ==, 0);
    g_assert_true(cpu_debug_write(f->cpu, 0x8ff8, zeroes, 16)); /* whatever the guest may write */
    g_assert_cmpuint(f->machine->ram[0xc007], ==, 0);
    f->machine->read_only = true;
    memset(bytes, 0xee, sizeof bytes);
    g_assert_true(cpu_debug_write(f->cpu, 0x8ff8, bytes, 16));
    g_assert_cmpmem(f->machine->ram + 0xc000, 8, bytes, 8);
    g_assert_false(f->cpu->exec.exception.pending);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/cpu/memory/" name, Fixture, NULL, set_up, function, tear_down)
    ADD("widths", test_widths);
    ADD("half-faults", test_half_faults);
    ADD("io", test_io);
    ADD("tracked", test_tracked);
    ADD("small-pages", test_small_pages);
    ADD("large-pages", test_large_pages);
    ADD("flush", test_flush);
    ADD("permissions", test_permissions);
    ADD("tlb-size", test_tlb_size);
    ADD("spaces", test_spaces);
    ADD("many-spaces", test_many_spaces);
    ADD("large-lists", test_large_lists);
    ADD("wide", test_wide);
    ADD("physical", test_physical);
    ADD("helpers", test_helpers);
    ADD("debug", test_debug);
    return g_test_run();
}
