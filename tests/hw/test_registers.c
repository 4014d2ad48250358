/*
 * Every device that has register tables, tested from its tables: reset values, what writes store, set, clear and
 * toggle, what cannot be written or read, access sizes, addresses without a register, a saved state loaded into another
 * machine, and that every byte of the device's struct is in one table or another (but for what could be padding: less
 * than a word in front of an aligned field).
 *
 * Rows with a `read` or `write` hook mean what the hook says: their hooks run here, their values are the matter of the
 * device's own test.
 */
#include "bench.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "core/state.h"
#include "core/vcpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TIMEBASE_HZ = 10 * 1000 * 1000 };

/* What classes cannot be realized without. */
static const struct {
    const char *class, *properties;
} needed[] = {
    { "riscv.aclint.swi", "num-harts=3" },
    { "riscv.aclint.mtimer", "num-harts=3" },
    { "riscv.sifive.plic", "hart-config=MS,num-sources=96" },
    { "cfi.pflash01", "num-blocks=4,sector-length=65536,width=4,device-width=2,name=flash" },
};

typedef struct Subject {
    Bench *bench;
    Device *device;
} Subject;

static Subject subject_new(const char *class)
{
    Subject subject = { .bench = bench_new() };
    const char *properties = NULL;

    for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
        properties = strcmp(needed[i].class, class) ? properties : needed[i].properties;
    }
    vcpu_set_timebase(subject.bench->machine, TIMEBASE_HZ);
    subject.device = bench_add(subject.bench, class, properties);
    bench_start(subject.bench);
    return subject;
}

/* Rows */

static unsigned size_of(const Register *reg) { return reg->size ? reg->size : 4; }
static unsigned stride_of(const Register *reg) { return reg->stride ? reg->stride : size_of(reg); }

static uint32_t count_of(const Device *device, const Register *reg)
{
    return reg->count_of ? reg->count_of(device, reg) : MAX(reg->count, 1u);
}

static uint64_t mask_of(const Register *reg)
{
    unsigned field_bits = reg->field_size ? 8u * reg->field_size - reg->shift : 64;

    return mask_bits(MIN(8 * size_of(reg), field_bits));
}

/* The class that a device has its banks of: its own or an ancestor's. */
static const DeviceClass *bank_class(const Class *class)
{
    while (class != &device_class.class && !((const DeviceClass *)class)->bank_count) {
        class = class->parent;
    }
    return (const DeviceClass *)class;
}

static bool has_banks(const Class *class) { return bank_class(class)->bank_count; }

static const RegisterBank *banks_of(const Device *device, size_t *count)
{
    const DeviceClass *class = bank_class(device->object.class);

    *count = class->bank_count;
    return class->banks;
}

/* One element of a row that answers where it is. */
typedef struct Cell {
    Subject *subject;
    const RegisterBank *bank;
    const Register *reg;
    unsigned index;
    uint64_t address; /* in memory */
} Cell;

/* The row that answers at a cell's address in a direction: rows may share one. */
static bool answers(const Cell *cell, bool write)
{
    const Register *reg = cell->reg;

    if (write ? reg->read_only : reg->write_only) {
        return false;
    }
    for (const Register *other = cell->bank->registers; other < reg; other++) {
        bool same = other->address == reg->address && !(write ? other->read_only : other->write_only);
        if (same && (!other->present || other->present(cell->subject->device, other))) {
            return false;
        }
    }
    return !reg->present || reg->present(cell->subject->device, reg);
}

static uint64_t field(const Cell *cell) { return register_value(cell->subject->device, cell->reg, cell->index); }

static void set_field(const Cell *cell, uint64_t value)
{
    register_store(cell->subject->device, cell->reg, cell->index, value);
}

static uint64_t read_cell(const Cell *cell)
{
    return bench_read(cell->subject->bench, cell->address, size_of(cell->reg));
}

static void write_cell(const Cell *cell, uint64_t value)
{
    bench_write(cell->subject->bench, cell->address, size_of(cell->reg), value);
}

/* Whether one access of the register's size is allowed. */
static bool fits_bank(const Cell *cell)
{
    unsigned minimum = cell->bank->valid_minimum ? cell->bank->valid_minimum : 1;
    unsigned maximum = cell->bank->valid_maximum ? cell->bank->valid_maximum : 8;

    return size_of(cell->reg) >= minimum && size_of(cell->reg) <= maximum;
}

/* What is checked of each cell; each on a device fresh from reset. */

static void check_reset(const Cell *cell)
{
    if (cell->reg->field_size) {
        g_assert_cmphex(field(cell), ==, cell->reg->reset & mask_of(cell->reg));
    }
}

static void check_read(const Cell *cell)
{
    if (!answers(cell, false)) {
        return;
    }
    uint64_t pattern = UINT64_C(0x5aa5c33c96690ff0) & mask_of(cell->reg);
    if (cell->reg->field_size && !cell->reg->read) {
        set_field(cell, pattern);
        g_assert_cmphex(read_cell(cell), ==, pattern);
        g_assert_cmphex(field(cell), ==, pattern & ~cell->reg->read_clears);
    } else {
        read_cell(cell);
    }
}

static uint64_t expected_write(const Register *reg, uint64_t old, uint64_t value)
{
    uint64_t new = (old & ~reg->writable) | (value & reg->writable);

    new = (new & ~(value & reg->write_clears)) | (value & reg->write_sets);
    return (new ^ (value & reg->write_toggles)) & mask_of(reg);
}

static void check_write(const Cell *cell)
{
    static const uint64_t values[] = { UINT64_MAX, 0, UINT64_C(0xaaaaaaaaaaaaaaaa), UINT64_C(0x123456789abcdef0) };

    for (unsigned i = 0; i < ARRAY_SIZE(values) && answers(cell, true); i++) {
        uint64_t value = values[i] & mask_bits(8 * size_of(cell->reg)), old = field(cell);
        write_cell(cell, value);
        if (cell->reg->field_size && !cell->reg->write) {
            g_assert_cmphex(field(cell), ==, expected_write(cell->reg, old, value));
        }
    }
}

static void check_read_only(const Cell *cell)
{
    bool other = false;

    for (size_t i = 0; i < cell->bank->count; i++) {
        other |= cell->bank->registers[i].address == cell->reg->address && !cell->bank->registers[i].read_only;
    }
    if (cell->reg->read_only && cell->reg->field_size && !other) {
        uint64_t old = field(cell);
        write_cell(cell, ~old & mask_of(cell->reg));
        g_assert_cmphex(field(cell), ==, old);
    }
}

static void check_write_only(const Cell *cell)
{
    const Register *reg = cell->reg;
    bool other = false, present = !reg->present || reg->present(cell->subject->device, reg);

    for (size_t i = 0; i < cell->bank->count; i++) {
        other |= cell->bank->registers[i].address == reg->address && !cell->bank->registers[i].write_only;
    }
    if (reg->write_only && !other && present) {
        g_assert_cmphex(read_cell(cell), ==, cell->reg->reset & mask_of(cell->reg));
    }
}

/* A narrower read sees its part, a size that is not allowed is refused. */
static void check_sizes(const Cell *cell)
{
    unsigned minimum = cell->bank->valid_minimum ? cell->bank->valid_minimum : 1;
    unsigned maximum = cell->bank->valid_maximum ? cell->bank->valid_maximum : 8;
    AddressSpace *space = cell->subject->bench->machine->address_space;

    if (!cell->reg->field_size || cell->reg->read || cell->reg->read_clears || !answers(cell, false)) {
        return;
    }
    uint64_t whole = UINT64_C(0x8877665544332211) & mask_of(cell->reg);
    set_field(cell, whole);
    for (unsigned size = 1; size <= size_of(cell->reg); size *= 2) {
        for (unsigned at = 0; at < size_of(cell->reg); at += size) {
            uint64_t value = 0;
            AccessResult result = address_space_load(space, NULL, cell->address + at, size, &value);
            if (size < minimum || size > maximum) {
                g_assert_cmpint(result, !=, ACCESS_OK);
            } else {
                g_assert_cmpint(result, ==, ACCESS_OK);
                g_assert_cmphex(value, ==, whole >> 8 * at & mask_bits(8 * size));
            }
        }
    }
}

static void (*const checks[])(const Cell *) = {
    check_reset, check_read, check_write, check_read_only, check_write_only, check_sizes,
};

/* What no row can mean. */
static void check_sense(const Register *reg)
{
    unsigned size = size_of(reg);
    uint64_t written = reg->writable | reg->write_clears | reg->write_sets | reg->write_toggles;

    g_assert_true(is_power_of_2(size) && size <= 8 && reg->address % size == 0);
    g_assert_true(stride_of(reg) >= size);
    g_assert_false(reg->read_only && reg->write_only);
    g_assert_false(reg->read_only && (written || reg->write || reg->written));
    g_assert_false(reg->write_only && (reg->read || reg->read_clears));
    g_assert_false(reg->write && (written || reg->written));
    g_assert_cmphex((written | reg->reset | reg->read_clears) & ~mask_of(reg), ==, 0);
    g_assert_true(reg->field_size || !(written | reg->read_clears));
}

/* The first, second and last of an array. */
static void check_row(Subject *subject, unsigned bank_index, const RegisterBank *bank, const Register *reg)
{
    uint32_t count = count_of(subject->device, reg);

    check_sense(reg);
    g_assert_cmpuint(count, <=, MAX(reg->count, 1u));
    const uint32_t picked[] = { 0, 1, count - 1 };

    for (unsigned i = 0; i < ARRAY_SIZE(picked); i++) {
        if (picked[i] >= count || (i == 2 && picked[i] <= 1)) {
            continue;
        }
        Cell cell = { subject, bank, reg, picked[i],
                      bench_address(subject->device, bank_index) + reg->address + picked[i] * stride_of(reg) };
        for (unsigned check = 0; check < ARRAY_SIZE(checks) && (check == 0 || fits_bank(&cell)); check++) {
            bench_reset(subject->bench, RESET_POWER_ON);
            checks[check](&cell);
        }
    }
}

static bool has_register(const Device *device, const RegisterBank *bank, uint64_t address)
{
    for (size_t i = 0; i < bank->count; i++) {
        const Register *reg = &bank->registers[i];
        uint64_t offset = address - reg->address;
        if (address >= reg->address && offset / stride_of(reg) < count_of(device, reg) &&
            offset % stride_of(reg) < size_of(reg)) {
            return true;
        }
    }
    return false;
}

/* Addresses between and behind the registers. */
static void check_gaps(Subject *subject, unsigned bank_index, const RegisterBank *bank)
{
    unsigned size = bank->valid_minimum ? bank->valid_minimum : 1, tried = 0;
    uint64_t base = bench_address(subject->device, bank_index);
    uint64_t end = subject->device->regions.items[bank_index]->size_minus_1 + 1;
    AddressSpace *space = subject->bench->machine->address_space;

    for (uint64_t at = 0; at + size <= end && tried < 64; at += size) {
        uint64_t value = 1;
        if (has_register(subject->device, bank, at) || bank->count == 0) {
            continue;
        }
        tried++;
        AccessResult expected = bank->unmapped_error ? ACCESS_DEVICE_ERROR : ACCESS_OK;
        g_assert_cmpint(address_space_load(space, NULL, base + at, size, &value), ==, expected);
        g_assert_cmphex(value, ==, 0);
        g_assert_cmpint(address_space_store(space, NULL, base + at, size, UINT64_MAX), ==, expected);
    }
}

static void test_rows(const void *data)
{
    Subject subject = subject_new(data);
    size_t count;
    const RegisterBank *banks = banks_of(subject.device, &count);

    for (unsigned i = 0; i < count; i++) {
        for (size_t j = 0; j < banks[i].count; j++) {
            g_test_message("%s", banks[i].registers[j].name);
            check_row(&subject, i, &banks[i], &banks[i].registers[j]);
        }
        check_gaps(&subject, i, &banks[i]);
    }
    bench_free(subject.bench);
}

/* Saved state: what a guest can have written comes back in another machine. */

static void write_everything(Subject *subject, uint64_t seed)
{
    size_t count;
    const RegisterBank *banks = banks_of(subject->device, &count);

    for (unsigned i = 0; i < count; i++) {
        for (size_t j = 0; j < banks[i].count; j++) {
            const Register *reg = &banks[i].registers[j];
            for (uint32_t n = 0; n < MIN(count_of(subject->device, reg), 64u); n++) {
                Cell cell = { subject, &banks[i], reg, n,
                              bench_address(subject->device, i) + reg->address + n * stride_of(reg) };
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
                if (fits_bank(&cell)) {
                    write_cell(&cell, seed >> 32 & mask_bits(8 * size_of(reg)));
                }
            }
        }
    }
}

static void compare_fields(const Subject *a, const Subject *b)
{
    size_t count;
    const RegisterBank *banks = banks_of(a->device, &count);

    for (unsigned i = 0; i < count; i++) {
        for (size_t j = 0; j < banks[i].count; j++) {
            const Register *reg = &banks[i].registers[j];
            for (uint32_t n = 0; n < count_of(a->device, reg); n++) {
                g_assert_cmphex(register_value(a->device, reg, n), ==, register_value(b->device, reg, n));
            }
        }
    }
}

static void test_saved_state(const void *data)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        AUTO_ERROR(error);
        AUTO_STRBUF(stream);
        AUTO_STRBUF(again);
        Subject a = subject_new(data), b = subject_new(data);
        write_everything(&a, seed);
        write_everything(&b, ~seed);
        if (!state_save(a.bench->machine, &stream, &error) ||
            !state_load(b.bench->machine, stream.data, stream.length, &error) ||
            !state_save(b.bench->machine, &again, &error)) {
            g_error("%s: %s", (const char *)data, error_message(error));
        }
        compare_fields(&a, &b);
        g_assert_cmpmem(stream.data, stream.length, again.data, again.length);
        bench_free(a.bench);
        bench_free(b.bench);
    }
}

/* Coverage: each byte of the struct behind Device's is a register's field, a property's, or stands in a table of saved
 * state. */

static void test_coverage(const void *data)
{
    AUTO_ERROR(error);

    if (!state_check_coverage((const DeviceClass *)class_find(data), &error)) {
        g_error("%s", error_message(error));
    }
}

/* For coverage.py, which tells padding from members by debugging information: "CLASS,PARENT,... 0110..." */
static void print_coverage(void)
{
    for (size_t i = 0; i < object_class_count; i++) {
        const Class *class = object_classes[i];
        if (!class->abstract && class_is(class, &device_class.class)) {
            size_t size;
            g_autofree uint8_t *covered = state_coverage((const DeviceClass *)class, &size);
            for (; class; class = class->parent) {
                printf("%s%c", class->name, class->parent ? ',' : ' ');
            }
            for (size_t byte = 0; byte < size; byte++) {
                putchar(covered[byte] ? '1' : '0');
            }
            putchar('\n');
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--coverage")) {
        print_coverage();
        return 0;
    }
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < object_class_count; i++) {
        const Class *class = object_classes[i];
        if (class->abstract || !class_is(class, &device_class.class)) {
            continue;
        }
        bool placed = has_banks(class) || class_is(class, &sysbus_device_class.class);
        if (!placed && !((const DeviceClass *)class)->user_pluggable) { /* the bench's own */
            continue;
        }
        char *coverage = g_strdup_printf("/registers/%s/coverage", class->name);
        g_test_add_data_func(coverage, class->name, test_coverage);
        g_free(coverage);
        if (!placed) {
            continue;
        }
        char *rows = g_strdup_printf("/registers/%s/rows", class->name);
        char *state = g_strdup_printf("/registers/%s/saved-state", class->name);
        g_test_add_data_func(rows, class->name, test_rows);
        g_test_add_data_func(state, class->name, test_saved_state);
        g_free(rows);
        g_free(state);
    }
    return g_test_run();
}
