/*
 * Guests that mean harm: random instructions of every kind, in every mode, with and without paging, which read and
 * write devices at random places and sizes; and accesses of a size and alignment that no processor makes. Little is
 * checked but that the machine lives on and runs again after a reset, so this says most in a build with sanitizers. The
 * same each time; MYNA_HOSTILE_SEED and MYNA_HOSTILE_BURSTS give other runs and longer ones.
 */
#include "code.h"
#include "rig.h"

#include "api/json.h"
#include "base/bytes.h"
#include "base/error.h"
#include "block/block.h"
#include "block/graph.h"
#include "core/device.h"
#include "core/loop.h"
#include "core/vcpu.h"

#include <stdlib.h>

#define RAM UINT64_C(0x80000000)
enum {
    RAM_SIZE = 4 * MIB,
    SOUP = 0x10000,      /* offset in RAM of the random instructions */
    SOUP_SIZE = 0x4000,  /* bytes */
    TABLE = 0x8000,      /* of what the registers are loaded with */
    PAGES = 0x20000,     /* page tables: a root and what lies below */
    PAGES_SIZE = 0x8000,
    QUEUES = 0x40000,    /* where virtio's rings are */
    BURSTS = 60,
    INSTRUCTIONS = 4000, /* of a burst */
    ACCESSES = 400,      /* of a burst, by the test itself */
    MTVEC = 0x305, MSTATUS = 0x300, MEPC = 0x341, SATP = 0x180, MSCRATCH = 0x340, PMPADDR0 = 0x3b0, PMPCFG0 = 0x3a0,
    MIE = 0x304, MIDELEG = 0x303, MEDELEG = 0x302,
};

#define CSRW(csr, rs1) RV_I(0x73, 1, ZERO, rs1, csr)
#define CSRS(csr, rs1) RV_I(0x73, 2, ZERO, rs1, csr)
#define CSRR(rd, csr) RV_I(0x73, 2, rd, ZERO, csr)
#define ADD(rd, rs1, rs2) RV_I(0x33, 0, rd, rs1, rs2)
#define AND(rd, rs1, rs2) RV_I(0x33, 7, rd, rs1, rs2)
#define MRET 0x30200073

/* Where devices are; the last two are RAM. */
static const struct {
    uint64_t address, size;
} places[] = {
    { 0x1000, 0xf000 }, { 0x100000, 0x1000 }, { 0x101000, 0x1000 }, { 0x2000000, 0x10000 }, { 0x2f00000, 0x4000 },
    { 0xc000000, 0x600000 }, { 0x10000000, 0x100 }, { 0x10001000, 0x8000 }, { 0x10007000, 0x2000 },
    { 0x10100000, 0x18 }, { 0x20000000, 0x4000000 }, { 0x20000000, 0x1000 }, { 0, UINT32_MAX },
    { RAM, RAM_SIZE }, { RAM + QUEUES, 0x1000 },
};

static uint64_t random64(GRand *random) { return (uint64_t)g_rand_int(random) << 32 | g_rand_int(random); }

static unsigned below(GRand *random, unsigned limit) { return (unsigned)g_rand_int_range(random, 0, (gint32)limit); }

static uint64_t random_address(GRand *random)
{
    unsigned i = below(random, ARRAY_SIZE(places));
    uint64_t offset = random64(random) % places[i].size;
    unsigned kind = below(random, 4);

    offset = kind == 0 ? offset & 0xff : offset; /* many registers stand at the beginning */
    return places[i].address + (kind == 3 ? offset : offset & ~UINT64_C(7));
}

/* Numbers that lengths, offsets and flags go wrong at, as often as any other. */
static uint64_t random_value(GRand *random)
{
    static const uint64_t values[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x1000, 0xffff, INT32_MAX,
                                       UINT64_C(0x80000000), UINT32_MAX, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX };

    switch (below(random, 3)) {
    case 0:
        return values[below(random, ARRAY_SIZE(values))];
    case 1:
        return random_address(random);
    default:
        return random64(random);
    }
}

/* Instructions */

static uint32_t random_csr_access(GRand *random)
{
    static const uint16_t csrs[] = { 0x001, 0x002, 0x003, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141, 0x142, 0x143,
                                     0x144, 0x14d, 0x180, 0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x310,
                                     0x320, 0x340, 0x341, 0x342, 0x343, 0x344, 0x3a0, 0x3a2, 0x3b0, 0x3b7, 0xb00, 0xb02,
                                     0xb03, 0xc01, 0x7a0, 0x7a1, 0x747, 0x757 };
    unsigned csr = below(random, 3) ? csrs[below(random, ARRAY_SIZE(csrs))] : below(random, 0x1000);
    static const uint8_t functions[] = { 1, 2, 3, 5, 6, 7 };

    return RV_I(0x73, functions[below(random, 6)], below(random, 32), below(random, 32), csr);
}

static uint32_t random_instruction(GRand *random)
{
    static const uint8_t opcodes[] = { 0x03, 0x07, 0x0f, 0x13, 0x17, 0x1b, 0x23, 0x27, 0x2f, 0x33, 0x37, 0x3b, 0x43,
                                       0x47, 0x4b, 0x4f, 0x53, 0x63, 0x67, 0x6f, 0x73 };
    static const uint32_t system[] = { ECALL, 0x00100073, 0x10200073, MRET, 0x10500073, 0x12000073, 0x0000100f };
    uint32_t word = g_rand_int(random);

    switch (below(random, 8)) {
    case 0:
        return word;
    case 1:
        return random_csr_access(random);
    case 2:
        return below(random, 4) ? LUI(below(random, 32), random_address(random) >> 12)
                                : system[below(random, ARRAY_SIZE(system))];
    case 3: /* a load or store near to where a register points */
        return (word & 0x000fff00) | (below(random, 16) << 24 & 0x0e000000) | (below(random, 2) ? 0x03 : 0x23) |
               (word & 0x80);
    case 4: /* an atomic operation */
        return (word & 0xffffcf00) | 0x2000 | 0x2f | (word & 0x80);
    default:
        return (word & ~0x7fu) | opcodes[below(random, ARRAY_SIZE(opcodes))];
    }
}

static void put(Rig *rig, uint64_t offset, const void *bytes, size_t count)
{
    address_space_write(rig->machine->address_space, NULL, RAM + offset, bytes, count);
}

/* At reset: all memory is open, exceptions go to a handler that loads all registers anew and goes on elsewhere in the
 * soup. Random instructions may change any of that. */
static const uint32_t entry[] = {
    ADDI(T0, ZERO, -1), CSRW(PMPADDR0, T0), ADDI(T0, ZERO, 0x1f), CSRW(PMPCFG0, T0),             /*  0 */
    AUIPC(T0, 0), ADDI(T0, T0, 0x60 - 0x10), CSRW(MTVEC, T0),                                    /* 10 */
    AUIPC(T0, TABLE >> 12), ADDI(T0, T0, -0x1c), LW(T1, 128, T0), CSRW(SATP, T1), LW(T1, 132, T0), /* 1c */
    CSRW(MIE, T1), LW(T1, 136, T0), CSRW(MIDELEG, T1), LW(T1, 140, T0), CSRW(MEDELEG, T1), LW(T1, 144, T0), /* 30 */
    CSRW(0x105, T1), LW(T1, 148, T0), CSRW(0x106, T1), LW(T1, 152, T0), CSRW(0x306, T1), ADDI(ZERO, ZERO, 0),
    /* 60: the handler. Addresses come from the pc: a LUI of them would be negative on RV64. */
    AUIPC(T0, TABLE >> 12), ADDI(T0, T0, -0x60), LW(T1, 160, T0), ADDI(T1, T1, 0x7d4), SW(T1, 160, T0),
    LUI(T2, SOUP_SIZE >> 12),
    ADDI(T2, T2, -4), AND(T1, T1, T2), AUIPC(T2, SOUP >> 12), ADD(T1, T1, T2), CSRW(MEPC, T1), LW(T1, 164, T0),
    CSRS(MSTATUS, T1),
};

/* The handler's end: each register but T0, then it. */
static void put_handler(Rig *rig)
{
    uint32_t code[32];
    unsigned count = 0;

    for (unsigned reg = 1; reg < 32; reg++) {
        if (reg != T0) {
            code[count++] = LW(reg, 4 * reg, T0);
        }
    }
    code[count++] = LW(T0, 4 * T0, T0);
    code[count++] = MRET;
    put(rig, 0, entry, sizeof entry);
    put(rig, sizeof entry, code, 4 * count);
}

/* Entries are wild; those of the root map what they are for to itself as a leaf more often than not. */
static void put_pages(Rig *rig, GRand *random)
{
    unsigned size = rig->machine->guest->word_bits / 8;

    for (unsigned i = 0; i < PAGES_SIZE / size; i++) {
        uint64_t entry_ = random_value(random);
        if (i < 0x1000 / size && below(random, 4)) {
            uint64_t mapped = size == 4 ? (uint64_t)i << 22 : (uint64_t)i << 30;
            entry_ = mapped >> 12 << 10 | (below(random, 8) ? 0xcf | (g_rand_int(random) & 0x10) : below(random, 256));
        } else if (below(random, 2)) {
            entry_ = ((RAM + PAGES) >> 12 | below(random, PAGES_SIZE >> 12)) << 10 | below(random, 256) | 1;
        }
        put(rig, PAGES + (uint64_t)i * size, &entry_, size);
    }
}

static void put_table(Rig *rig, GRand *random)
{
    bool wide = rig->machine->guest->word_bits == 64;
    uint32_t root = (uint32_t)(RAM + PAGES) >> 12, table[42];

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        table[i] = (uint32_t)random_value(random);
    }
    table[32] = wide ? 0 : (below(random, 2) ? 0x80000000 : 0) | root;
    table[41] = table[41] & 0x000e7800; /* FS, MPP, MPRV, SUM, MXR */
    put(rig, TABLE, table, sizeof table);
}

/* A 64-bit satp does not fit LW; the boot code's word is zero and this is put in its place. */
static void put_wide_satp(Rig *rig, GRand *random)
{
    static const uint8_t modes[] = { 0, 8, 9, 10, 8 };
    uint64_t satp = (uint64_t)modes[below(random, ARRAY_SIZE(modes))] << 60 | (RAM + PAGES) >> 12;
    uint32_t load = RV_I(0x03, 3, T1, T0, 128);

    put(rig, TABLE + 128, &satp, sizeof satp);
    put(rig, 0x24, &load, sizeof load);
}

static void put_soup(Rig *rig, GRand *random)
{
    uint32_t soup[SOUP_SIZE / 4];

    for (unsigned i = 0; i < ARRAY_SIZE(soup); i++) {
        soup[i] = random_instruction(random);
    }
    put(rig, SOUP, soup, sizeof soup);
}

/* Descriptors, then rings, some of whose fields make sense. */
static void put_rings(Rig *rig, GRand *random)
{
    for (unsigned i = 0; i < 64; i++) {
        struct {
            uint64_t address;
            uint32_t length;
            uint16_t flags, next;
        } descriptor = { .address = random_address(random), .flags = (uint16_t)below(random, 8) };
        descriptor.length = (uint32_t)(below(random, 4) ? below(random, 4096) : random_value(random));
        descriptor.next = (uint16_t)below(random, below(random, 8) ? 16 : 65536);
        put(rig, QUEUES + 16 * i, &descriptor, sizeof descriptor);
    }
    for (unsigned i = 0; i < 512; i++) {
        uint16_t value = (uint16_t)(below(random, 4) ? below(random, 16) : random_value(random));
        put(rig, QUEUES + 0x400 + 2 * i, &value, sizeof value);
    }
}

/* The test's own accesses */

static void store(Rig *rig, uint64_t address, uint32_t value)
{
    address_space_store(rig->machine->address_space, NULL, address, 4, value);
}

/* One of virtio's devices brought to where it serves a queue. */
static void start_virtio(Rig *rig, GRand *random)
{
    uint64_t base = 0x10001000 + 0x1000 * (7 - below(random, 3));

    if (below(random, 2)) { /* the modern transport; ignored by a legacy one */
        store(rig, base + 0x70, 0);
        store(rig, base + 0x70, 3);
        store(rig, base + 0x24, 1);
        store(rig, base + 0x20, 1);
        store(rig, base + 0x70, 11);
        store(rig, base + 0x38, 16);
        store(rig, base + 0x80, (uint32_t)(RAM + QUEUES));
        store(rig, base + 0x90, (uint32_t)(RAM + QUEUES + 0x400));
        store(rig, base + 0xa0, (uint32_t)(RAM + QUEUES + 0x500));
        store(rig, base + 0x44, 1);
    } else {
        store(rig, base + 0x28, 4096);
        store(rig, base + 0x38, 16);
        store(rig, base + 0x3c, below(random, 4) ? 0x400 - 0x100 : 4096);
        store(rig, base + 0x40, (uint32_t)(RAM + QUEUES) >> 12);
    }
    store(rig, base + 0x70, 15);
    store(rig, base + 0x50, below(random, 4) ? 0 : below(random, 8));
}

static void access_at_random(Rig *rig, GRand *random)
{
    AddressSpace *space = rig->machine->address_space;
    uint64_t address = random_address(random), value = random_value(random);
    uint8_t bytes[64] = { 0 };
    size_t count = 1 + below(random, below(random, 4) ? 8 : sizeof bytes);

    switch (below(random, 4)) {
    case 0:
        address_space_load(space, NULL, address, 1u << below(random, 4), &value);
        break;
    case 1:
        address_space_store(space, NULL, address, 1u << below(random, 4), value);
        break;
    case 2:
        address_space_read(space, NULL, address, bytes, count);
        break;
    case 3:
        memset(bytes, (int)value, sizeof bytes);
        memcpy(bytes, &value, sizeof value);
        address_space_write(space, NULL, address, bytes, count);
        break;
    }
}

/* The machine */

static void add_device(Rig *rig, const char *driver, const char *property, const char *value)
{
    AUTO_ERROR(error);
    Json *options = json_object();

    json_set(options, "driver", json_string(driver));
    if (property) {
        json_set(options, property, json_string(value));
    }
    if (!device_add(rig->machine, options, true, &error)) {
        g_error("%s: %s", driver, error_message(error));
    }
    json_free(options);
}

static Rig *start(const char *target, const char *image)
{
    AUTO_ERROR(error);
    Rig *rig = rig_new(target, "virt", &(MachineOptions){ .bios = "none", .cpus = 2, .ram_size = RAM_SIZE });

    if (!machine_build(rig->machine, &error) ||
        !disk_open(rig->machine->root, rig->files, rig->loop,
                   &(DiskOptions){ .id = "disk", .filename = image, .flags = BLOCK_OPEN_WRITE }, &error)) {
        g_error("%s", error_message(error));
    }
    add_device(rig, "virtio-blk-device", "drive", "disk");
    add_device(rig, "virtio-rng-device", NULL, NULL);
    if (!machine_start_up(rig->machine, &error)) {
        g_error("%s", error_message(error));
    }
    return rig;
}

/* Whatever the guest did, a reset makes the machine run again. */
static void restart(Rig *rig)
{
    machine_request_reset(rig->machine, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
    loop_iterate(rig->loop, 0);
    rig->ended = false;
    g_string_truncate(rig->output, 0);
    g_assert_true(machine_run(rig->machine, NULL));
}

static unsigned from_environment(const char *name, unsigned usual)
{
    const char *text = g_getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 0) : usual;
}

/* Whether the first hart's last exception was in the soup: that it runs there at all. */
static bool is_in_soup(const Rig *rig)
{
    const Cpu *cpu = rig->machine->vcpus.items[0]->cpu;
    const IrGuest *guest = &rig->machine->guest->ir;

    for (unsigned i = 0; i < guest->register_count; i++) {
        const GuestRegister *reg = &guest->registers[i];
        if (!strcmp(reg->name, "mepc")) {
            uint64_t mepc = load_le((const uint8_t *)cpu_state(cpu) + reg->offset, reg->bits / 8);
            return mepc - (RAM + SOUP) < SOUP_SIZE;
        }
    }
    g_assert_not_reached();
}

static void test_hostile(const void *data)
{
    static const uint8_t zeroes[64 * KIB];
    const char *target = data;
    g_autofree char *image = rig_file(zeroes, sizeof zeroes);
    GRand *random = g_rand_new_with_seed(from_environment("MYNA_HOSTILE_SEED", 64));
    unsigned bursts = from_environment("MYNA_HOSTILE_BURSTS", BURSTS);
    Rig *rig = start(target, image);
    unsigned in_soup = 0;

    for (unsigned burst = 0; burst < bursts; burst++) {
        put_handler(rig);
        put_table(rig, random);
        put_pages(rig, random);
        if (rig->machine->guest->word_bits == 64) {
            put_wide_satp(rig, random);
        }
        put_soup(rig, random);
        put_rings(rig, random);
        start_virtio(rig, random);
        for (unsigned i = 0; i < 4; i++) {
            rig_run(rig, NULL, INSTRUCTIONS / 4);
            in_soup += is_in_soup(rig);
            for (unsigned n = 0; n < ACCESSES / 4; n++) {
                access_at_random(rig, random);
            }
        }
        restart(rig);
    }
    g_test_message("in random code at %u of %u looks", in_soup, 4 * bursts);
    g_assert_cmpuint(in_soup, >, bursts / 2);
    g_rand_free(random);
    rig_free(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/hostile/riscv64", "riscv64", test_hostile);
    g_test_add_data_func("/hostile/riscv32", "riscv32", test_hostile);
    int status = g_test_run();
    rig_remove_files();
    return status;
}
