/*
 * The virt machine: what its device tree says, what it loads and refuses to load, and that what was loaded runs: bare
 * code, firmware, a second time after a reset.
 */
#include "code.h"
#include "rig.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"

#include <libfdt.h>
#include <stdlib.h>
#include <unistd.h>

#define RAM UINT64_C(0x80000000)
enum { INSTRUCTIONS = 1000000, FIRMWARE_INSTRUCTIONS = 60000000 };

static const uint32_t hello[] = {
    LUI(T0, 0x10000), PUT('O'), PUT('K'), PUT('\n'), FINISH(0x5555), LOOP_FOREVER,
};

/* Starts a machine that should start. */
static Rig *started(const char *target, const MachineOptions *options)
{
    Rig *rig = rig_new(target, "virt", options);
    char *message = rig_start(rig);

    if (message) {
        g_error("%s", message);
    }
    return rig;
}

/* The device tree as the guest finds it: where the reset code says. Owned by the caller. */
static void *guest_fdt(Rig *rig)
{
    uint64_t address;
    unsigned word = rig->machine->guest->word_bits / 8;
    uint8_t header[8];

    address_space_load(rig->machine->address_space, NULL, 0x1020, word, &address);
    g_assert_cmpint(address_space_read(rig->machine->address_space, NULL, address, header, 8), ==, ACCESS_OK);
    size_t size = load_be32(header + 4);
    void *blob = g_malloc(size);
    g_assert_cmpint(address_space_read(rig->machine->address_space, NULL, address, blob, size), ==, ACCESS_OK);
    g_assert_cmpint(fdt_check_full(blob, size), ==, 0);
    return blob;
}

static const void *property(const void *blob, const char *path, const char *name, int *size)
{
    int node = fdt_path_offset(blob, path);

    g_assert_cmpint(node, >=, 0);
    return fdt_getprop(blob, node, name, size);
}

static uint32_t cell(const void *blob, const char *path, const char *name, unsigned n)
{
    int size = 0;
    const uint8_t *bytes = property(blob, path, name, &size);

    g_assert_cmpint(size, >=, 4 * (int)(n + 1));
    return load_be32(bytes + 4 * n);
}

static uint64_t two_cells(const void *blob, const char *path, const char *name, unsigned n)
{
    return (uint64_t)cell(blob, path, name, n) << 32 | cell(blob, path, name, n + 1);
}

static void assert_text(const void *blob, const char *path, const char *name, const char *expected)
{
    g_assert_cmpstr(property(blob, path, name, NULL), ==, expected);
}

/* Device tree */

/* What QEMU 10's tree has, for nodes that are here. */
static void check_devices(const void *blob)
{
    static const struct {
        const char *path, *compatible;
        uint64_t address, size;
        uint32_t interrupt; /* 0: none */
    } devices[] = {
        { "/soc/test@100000", "sifive,test1", 0x100000, 0x1000, 0 },
        { "/soc/rtc@101000", "google,goldfish-rtc", 0x101000, 0x1000, 11 },
        { "/soc/clint@2000000", "sifive,clint0", 0x2000000, 0x10000, 0 },
        { "/soc/plic@c000000", "sifive,plic-1.0.0", 0xc000000, 0x600000, 0 },
        { "/soc/serial@10000000", "ns16550a", 0x10000000, 0x100, 10 },
        { "/soc/virtio_mmio@10001000", "virtio,mmio", 0x10001000, 0x1000, 1 },
        { "/soc/virtio_mmio@10008000", "virtio,mmio", 0x10008000, 0x1000, 8 },
        { "/fw-cfg@10100000", "qemu,fw-cfg-mmio", 0x10100000, 0x18, 0 },
        { "/flash@20000000", "cfi-flash", 0x20000000, 0x2000000, 0 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        const char *path = devices[i].path;
        g_test_message("%s", path);
        assert_text(blob, path, "compatible", devices[i].compatible);
        g_assert_cmphex(two_cells(blob, path, "reg", 0), ==, devices[i].address);
        g_assert_cmphex(two_cells(blob, path, "reg", 2), ==, devices[i].size);
        if (devices[i].interrupt) {
            g_assert_cmpuint(cell(blob, path, "interrupts", 0), ==, devices[i].interrupt);
            g_assert_cmpuint(cell(blob, path, "interrupt-parent", 0), ==,
                             cell(blob, "/soc/plic@c000000", "phandle", 0));
        }
    }
}

static void check_harts(const void *blob, unsigned count, const char *base, const char *mmu)
{
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("/cpus/cpu@%x", i);
        g_autofree char *controller = g_strdup_printf("%s/interrupt-controller", path);
        g_autofree char *core = g_strdup_printf("/cpus/cpu-map/cluster0/core%u", i);
        uint32_t phandle = cell(blob, controller, "phandle", 0);
        assert_text(blob, path, "riscv,isa-base", base);
        assert_text(blob, path, "mmu-type", mmu);
        g_assert_true(g_str_has_prefix(property(blob, path, "riscv,isa", NULL), base));
        g_assert_cmpuint(cell(blob, path, "reg", 0), ==, i);
        g_assert_cmpuint(cell(blob, core, "cpu", 0), ==, cell(blob, path, "phandle", 0));
        for (unsigned n = 0; n < 2; n++) {
            static const uint32_t clint[] = { 3, 7 }, plic[] = { 11, 9 };
            g_assert_cmpuint(cell(blob, "/soc/clint@2000000", "interrupts-extended", 4 * i + 2 * n), ==, phandle);
            g_assert_cmpuint(cell(blob, "/soc/clint@2000000", "interrupts-extended", 4 * i + 2 * n + 1), ==, clint[n]);
            g_assert_cmpuint(cell(blob, "/soc/plic@c000000", "interrupts-extended", 4 * i + 2 * n), ==, phandle);
            g_assert_cmpuint(cell(blob, "/soc/plic@c000000", "interrupts-extended", 4 * i + 2 * n + 1), ==, plic[n]);
        }
    }
    g_assert_cmpint(fdt_path_offset(blob, "/cpus/cpu@0"), >, 0);
    g_autofree char *beyond = g_strdup_printf("/cpus/cpu@%x", count);
    g_assert_cmpint(fdt_path_offset(blob, beyond), <, 0);
}

static void test_fdt(void)
{
    static const struct {
        const char *target, *base, *mmu;
        unsigned harts;
        uint64_t ram;
    } kinds[] = {
        { "riscv64", "rv64i", "riscv,sv57", 1, 128 * MIB },
        { "riscv64", "rv64i", "riscv,sv57", 17, GIB },
        { "riscv32", "rv32i", "riscv,sv32", 3, 64 * MIB },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        Rig *rig = started(kinds[i].target, &(MachineOptions){ .bios = "none", .cpus = kinds[i].harts,
                                                               .ram_size = kinds[i].ram });
        g_autofree void *blob = guest_fdt(rig);
        assert_text(blob, "/", "compatible", "riscv-virtio");
        g_assert_cmphex(two_cells(blob, "/memory@80000000", "reg", 0), ==, RAM);
        g_assert_cmphex(two_cells(blob, "/memory@80000000", "reg", 2), ==, kinds[i].ram);
        g_assert_cmpuint(cell(blob, "/cpus", "timebase-frequency", 0), ==, 10000000);
        g_assert_cmpuint(cell(blob, "/soc/plic@c000000", "riscv,ndev", 0), ==, 95);
        g_assert_cmpuint(cell(blob, "/poweroff", "value", 0), ==, 0x5555);
        g_assert_cmpuint(cell(blob, "/reboot", "value", 0), ==, 0x7777);
        g_assert_cmpuint(cell(blob, "/reboot", "regmap", 0), ==, cell(blob, "/soc/test@100000", "phandle", 0));
        assert_text(blob, "/chosen", "stdout-path", "/soc/serial@10000000");
        assert_text(blob, "/aliases", "serial0", "/soc/serial@10000000");
        g_assert_null(property(blob, "/chosen", "bootargs", NULL));
        check_devices(blob);
        check_harts(blob, kinds[i].harts, kinds[i].base, kinds[i].mmu);
        rig_free(rig);
    }
}

static void test_fdt_aclint(void)
{
    Rig *rig = rig_new("riscv64", "virt", &(MachineOptions){ .bios = "none", .cpus = 2 });

    g_assert_true(object_set_text(&rig->machine->object, "aclint", "on", NULL));
    g_assert_null(rig_start(rig));
    g_autofree void *blob = guest_fdt(rig);
    g_assert_cmpint(fdt_path_offset(blob, "/soc/clint@2000000"), <, 0);
    assert_text(blob, "/soc/mswi@2000000", "compatible", "riscv,aclint-mswi");
    assert_text(blob, "/soc/sswi@2f00000", "compatible", "riscv,aclint-sswi");
    g_assert_cmpuint(cell(blob, "/soc/sswi@2f00000", "interrupts-extended", 3), ==, 1);
    g_assert_cmphex(two_cells(blob, "/soc/mtimer@2004000", "reg", 0), ==, 0x200bff8);
    g_assert_cmphex(two_cells(blob, "/soc/mtimer@2004000", "reg", 4), ==, 0x2004000);
    rig_free(rig);
}

/* What a new boot gets anew, and what stays. */
static void test_seed(void)
{
    Rig *rig = started("riscv64", &(MachineOptions){ .bios = "none" });
    g_autofree uint8_t *before = guest_fdt(rig);

    machine_park(rig->machine);
    machine_reset(rig->machine, RESET_WARM);
    machine_unpark(rig->machine);
    g_autofree uint8_t *after = guest_fdt(rig);
    int size;
    const void *old = property(before, "/chosen", "rng-seed", &size);
    const void *new = property(after, "/chosen", "rng-seed", &size);
    g_assert_cmpint(size, ==, 32);
    g_assert_cmpint(memcmp(old, new, 32), !=, 0);
    size_t at = (size_t)((const uint8_t *)new - after);
    memcpy(before + at, after + at, 32);
    g_assert_cmpmem(before, load_be32(before + 4), after, load_be32(after + 4));
    rig_free(rig);
}

/* Kernel, initrd and command line, as the tree tells of them; and -dtb in place of the machine's. */
static void test_chosen(void)
{
    g_autofree char *kernel = rig_file(hello, sizeof hello);
    g_autofree char *initrd = rig_file("not a real one", 14);
    MachineOptions options = { .bios = "none", .kernel = kernel, .initrd = initrd, .append = "a=\"b c\" quiet" };
    Rig *rig = started("riscv64", &options);
    g_autofree void *blob = guest_fdt(rig);
    uint64_t start = two_cells(blob, "/chosen", "linux,initrd-start", 0);
    char bytes[14];

    assert_text(blob, "/chosen", "bootargs", options.append);
    g_assert_cmphex(two_cells(blob, "/chosen", "linux,initrd-end", 0), ==, start + 14);
    g_assert_cmphex(start, ==, RAM + 64 * MIB);
    address_space_read(rig->machine->address_space, NULL, start, bytes, 14);
    g_assert_cmpmem(bytes, 14, "not a real one", 14);
    AUTO_STRBUF(roms);
    rig->machine->class->print_images(rig->machine, &roms);
    g_assert_nonnull(strstr(strbuf_text(&roms), "addr=0000000084000000 size=0x00000e mem=ram"));
    g_assert_nonnull(strstr(strbuf_text(&roms), "addr=0000000000001000 size=0x000028 mem=rom name=\"mrom.reset\""));
    rig_free(rig);

    g_autofree char *dtb = rig_file(blob, fdt_totalsize(blob));
    options.dtb = dtb;
    options.append = "other";
    options.initrd = NULL;
    options.cpus = 2;
    rig = started("riscv64", &options);
    g_autofree void *given = guest_fdt(rig);
    assert_text(given, "/chosen", "bootargs", "other");
    g_assert_cmpint(fdt_path_offset(given, "/cpus/cpu@1"), <, 0); /* it is the user's tree */
    rig_free(rig);
}

static void test_dump(void)
{
    g_autofree char *path = rig_file("", 0), *contents = NULL;
    size_t size;
    Rig *rig = started("riscv64", &(MachineOptions){ .bios = "none", .dumpdtb = path });

    g_assert_true(g_file_get_contents(path, &contents, &size, NULL));
    g_assert_cmpint(fdt_check_full(contents, size), ==, 0);
    assert_text(contents, "/", "model", "riscv-virtio,qemu");
    rig_free(rig);
    rig = rig_new("riscv64", "virt", &(MachineOptions){ .bios = "none", .dumpdtb = "/nonexistent/dtb" });
    g_autofree char *message = rig_start(rig);
    g_assert_nonnull(strstr(message, "/nonexistent/dtb"));
    rig_free(rig);
}

/* Running */

static void assert_runs(const char *target, const MachineOptions *options)
{
    Rig *rig = started(target, options);

    g_assert_true(rig_run(rig, NULL, INSTRUCTIONS));
    g_assert_cmpint(rig->cause, ==, SHUTDOWN_GUEST_SHUTDOWN);
    g_assert_cmpint(rig->status, ==, 0);
    g_assert_cmpstr(rig->output->str, ==, "OK\n");
    rig_free(rig);
}

/* An executable of one segment that is linked to upper addresses. */
static size_t make_elf(uint8_t *bytes, bool wide, uint64_t physical, const void *code, size_t count)
{
    unsigned word = wide ? 8 : 4, header = wide ? 64 : 52, program = wide ? 56 : 32;
    uint64_t virtual = wide ? UINT64_C(0xffffffff80000000) : 0xc0000000;
    uint8_t *segment = bytes + header;

    memset(bytes, 0, header + program);
    memcpy(bytes, wide ? "\177ELF\2\1\1" : "\177ELF\1\1\1", 7);
    store_le16(bytes + 16, 2);
    store_le16(bytes + 18, 243);
    store_le(bytes + 24, word, virtual + 4);
    store_le(bytes + 24 + word, word, header);
    store_le16(bytes + (wide ? 54 : 42), (uint16_t)program);
    store_le16(bytes + (wide ? 56 : 44), 1);
    store_le32(segment, 1);
    segment += wide ? 8 : 4;
    store_le(segment, word, header + program);
    store_le(segment + word, word, virtual);
    store_le(segment + 2 * word, word, physical);
    store_le(segment + 3 * word, word, 4 + count);
    store_le(segment + 4 * word, word, 4096);
    store_le32(bytes + header + program, 0); /* an illegal instruction in front of the entry */
    memcpy(bytes + header + program + 4, code, count);
    return header + program + 4 + count;
}

static void test_bare(void)
{
    static const char *const targets[] = { "riscv64", "riscv32" };
    g_autofree char *raw = rig_file(hello, sizeof hello);

    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
        uint8_t elf[4096];
        size_t size = make_elf(elf, i == 0, RAM + 0x100000, hello, sizeof hello);
        g_autofree char *path = rig_file(elf, size);
        assert_runs(targets[i], &(MachineOptions){ .bios = "none", .kernel = raw });
        assert_runs(targets[i], &(MachineOptions){ .bios = raw });
        assert_runs(targets[i], &(MachineOptions){ .bios = "none", .kernel = path });
        assert_runs(targets[i], &(MachineOptions){ .bios = path });
    }
}

/* A linker without a script puts the page with the file's headers below the code, and below memory. */
static void test_headers_below_memory(void)
{
    uint8_t elf[4096 + 4 + sizeof hello], *segment = elf + 64;
    size_t size = make_elf(elf, true, RAM - 4096, hello, sizeof hello);
    uint64_t length = sizeof elf;

    memmove(elf + 4096, elf + size - 4 - sizeof hello, 4 + sizeof hello);
    memset(elf + 64 + 56, 0, 4096 - 64 - 56);
    store_le64(elf + 24, UINT64_C(0xffffffff80001004));
    store_le64(segment + 8, 0);
    store_le64(segment + 32, length);
    store_le64(segment + 40, length);
    g_autofree char *path = rig_file(elf, sizeof elf);
    assert_runs("riscv64", &(MachineOptions){ .bios = "none", .kernel = path });
}

static void test_gzip(void)
{
    g_autofree char *raw = rig_file(hello, sizeof hello);
    g_autofree char *command = g_strdup_printf("gzip -9n %s", raw), *packed = g_strdup_printf("%s.gz", raw);

    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    assert_runs("riscv64", &(MachineOptions){ .bios = "none", .kernel = packed });
}

static void test_finish(void)
{
    static const uint32_t fail[] = { FINISH(0x2a3333), LOOP_FOREVER };
    g_autofree char *path = rig_file(fail, sizeof fail);
    Rig *rig = started("riscv64", &(MachineOptions){ .bios = path });

    g_assert_true(rig_run(rig, NULL, INSTRUCTIONS));
    g_assert_cmpint(rig->cause, ==, SHUTDOWN_GUEST_PANIC);
    g_assert_cmpint(rig->status, ==, 0x2a);
    rig_free(rig);
}

/* Spoils its own image, leaves a mark elsewhere and resets: the image is whole again, memory is as it was. */
static void test_reset(void)
{
    static const uint32_t code[] = {
        AUIPC(A0, 0), LUI(T0, 0x10000),         /*  0: where it is, and the UART */
        LW(T1, 25 * 4, A0),                     /*  8: its word: must not be 0 */
        AUIPC(A1, 0x100), LW(A7, 0, A1),        /*  c: the mark, 1 MiB further */
        BNE(T1, ZERO, 12), PUT('!'),            /* 14 */
        BNE(A7, ZERO, 44),                      /* 20: the mark is there: the second time */
        PUT('1'), ADDI(T1, ZERO, 1), SW(T1, 0, A1), SW(ZERO, 25 * 4, A0), FINISH(0x7777), LOOP_FOREVER, /* 24 */
        PUT('2'), FINISH(0x5555),               /* 4c */
        0x12345678,                             /* 64: its word */
    };
    g_autofree char *path = rig_file(code, sizeof code);
    Rig *rig = started("riscv64", &(MachineOptions){ .bios = path });

    G_STATIC_ASSERT(sizeof code == 26 * 4);
    g_assert_true(rig_run(rig, NULL, INSTRUCTIONS));
    g_assert_cmpint(rig->cause, ==, SHUTDOWN_GUEST_SHUTDOWN);
    g_assert_cmpstr(rig->output->str, ==, "12");
    rig_free(rig);
}

/* OpenSBI to its banner, then a payload in S-mode that switches off by the SBI's system reset. */
static void test_firmware(void)
{
    static const uint32_t payload[] = {
        ADDI(A7, ZERO, 1), ADDI(A0, ZERO, '#'), ECALL, /* the legacy console */
        LUI(A7, 0x53525), ADDI(A7, A7, 0x354), ADDI(A6, ZERO, 0), ADDI(A0, ZERO, 0), ADDI(A1, ZERO, 0), ECALL,
        LOOP_FOREVER,
    };
    static const char firmware[] = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";
    g_autofree char *kernel = rig_file(payload, sizeof payload);

    if (access(firmware, R_OK)) {
        g_test_skip("OpenSBI is not installed");
        return;
    }
    for (unsigned harts = 1; harts <= 4; harts += 3) {
        Rig *rig = started("riscv64", &(MachineOptions){ .kernel = kernel, .cpus = harts });
        g_assert_true(rig_run(rig, "OpenSBI v", FIRMWARE_INSTRUCTIONS));
        g_assert_true(rig_run(rig, NULL, FIRMWARE_INSTRUCTIONS));
        g_assert_cmpint(rig->cause, ==, SHUTDOWN_GUEST_SHUTDOWN);
        g_assert_nonnull(strstr(rig->output->str, "Domain0 Next Address      : 0x0000000080200000"));
        g_assert_cmpint(rig->output->str[rig->output->len - 1], ==, '#');
        rig_free(rig);
    }
}

/* What it refuses */

static void expect_refusal(const char *target, const MachineOptions *options, const char *words)
{
    Rig *rig = rig_new(target, "virt", options);
    g_autofree char *message = rig_start(rig);

    g_assert_nonnull(message);
    g_test_message("%s", message);
    g_assert_nonnull(strstr(message, words));
    rig_free(rig);
}

static void test_refused_kernels(void)
{
    uint8_t bytes[4096] = { 0 };
    struct {
        unsigned offset;
        uint32_t magic;
        const char *words;
    } foreign[] = {
        { 56, 0x644d5241, "AArch64" },       { 36, 0x016f2818, "for Arm" },   { 514, 0x53726448, "x86" },
        { 0, 0x56190527, "uImage" },         { 0, 0xedfe0dd0, "device tree" }, { 0, 0x00088b1f, "gzip data" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(foreign); i++) {
        memset(bytes, 0, sizeof bytes);
        store_le32(bytes + foreign[i].offset, foreign[i].magic);
        g_autofree char *path = rig_file(bytes, sizeof bytes);
        expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = path }, foreign[i].words);
        expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = path }, path);
    }
}

static void test_refused_executables(void)
{
    uint8_t elf[4096];
    size_t size = make_elf(elf, true, RAM, hello, sizeof hello);
    g_autofree char *good = rig_file(elf, size), *cut = rig_file(elf, size - 1), *header = rig_file(elf, 60);
    size = make_elf(elf, true, 0x40000000, hello, sizeof hello);
    g_autofree char *nowhere = rig_file(elf, size);
    size = make_elf(elf, true, RAM + 128 * MIB - 2048, hello, sizeof hello);
    g_autofree char *behind = rig_file(elf, size);

    expect_refusal("riscv32", &(MachineOptions){ .bios = "none", .kernel = good }, "64-bit little-endian RISC-V");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = cut }, "ends at byte");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = header }, "ends at byte");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = nowhere }, "no memory at 0x40000000");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = behind }, "no memory at 0x88000000");
    expect_refusal("riscv64", &(MachineOptions){ .bios = good, .kernel = good }, "overlaps firmware");
    expect_refusal("riscv64", &(MachineOptions){ .bios = cut }, "ends at byte");
}

/* An Image header whose sizes cannot be. */
static void test_refused_images(void)
{
    uint8_t image[4096] = { 'M', 'Z' };

    store_le32(image + 56, 0x05435352);
    store_le64(image + 16, UINT64_MAX);
    g_autofree char *huge = rig_file(image, sizeof image);
    store_le64(image + 16, 4096);
    store_le64(image + 24, 1);
    g_autofree char *big_endian = rig_file(image, sizeof image);
    memset(image + 16, 0, 48);
    memcpy(image + 4, "zimg", 4);
    store_le32(image + 8, 64);
    store_le32(image + 12, 1 << 20);
    memcpy(image + 24, "gzip", 5);
    g_autofree char *cut = rig_file(image, sizeof image);
    memcpy(image + 24, "zstd22", 7);
    g_autofree char *other = rig_file(image, sizeof image);

    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = huge }, "bytes of memory");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = big_endian }, "big-endian");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = cut }, "within its compressed part");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = other }, "zstd22");
}

static void test_refused_options(void)
{
    g_autofree char *raw = rig_file(hello, sizeof hello);
    g_autofree char *large = rig_file(hello, sizeof hello);
    g_autofree char *text = rig_file("/dts-v1/; / {};", 15);

    g_assert_cmpint(truncate(large, 200 * 1024 * 1024), ==, 0); /* takes no room on the disk */
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .append = "x" }, "-append");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .initrd = raw }, "-initrd");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "no-such-firmware.bin" }, "no-such-firmware.bin");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = raw, .initrd = large }, "do not fit");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .kernel = large }, "give the machine more");
    expect_refusal("riscv64", &(MachineOptions){ .bios = large }, "firmware");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .dtb = text }, "not a flattened device tree");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .cpus = 513 }, "512");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .cpu_model = "rv65" }, "rv64");
    expect_refusal("riscv64", &(MachineOptions){ .bios = "none", .ram_size = 4096, .kernel = raw, .initrd = raw },
                   "-m");
}

/* Names */

static void test_versions(void)
{
    const Guest *guest = guest_find("riscv64", NULL);
    AUTO_ERROR(error);
    const MachineClass *class = machine_class_find("virt", guest, NULL);

    g_assert_cmpstr(class->name, ==, "virt-10.0");
    g_assert_true(machine_class_find("virt-10.0", guest, NULL) == class);
    g_assert_true(machine_class_find("virt", guest_find("riscv32", NULL), NULL) == class);
    g_assert_null(machine_class_find("virt-10.1", guest, &error));
    g_assert_nonnull(strstr(error_message(error), "virt-10.0"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt/versions", test_versions);
    g_test_add_func("/virt/fdt", test_fdt);
    g_test_add_func("/virt/fdt-aclint", test_fdt_aclint);
    g_test_add_func("/virt/seed", test_seed);
    g_test_add_func("/virt/chosen", test_chosen);
    g_test_add_func("/virt/dump", test_dump);
    g_test_add_func("/virt/bare", test_bare);
    g_test_add_func("/virt/headers-below-memory", test_headers_below_memory);
    g_test_add_func("/virt/gzip", test_gzip);
    g_test_add_func("/virt/finish", test_finish);
    g_test_add_func("/virt/reset", test_reset);
    g_test_add_func("/virt/firmware", test_firmware);
    g_test_add_func("/virt/refused/kernels", test_refused_kernels);
    g_test_add_func("/virt/refused/executables", test_refused_executables);
    g_test_add_func("/virt/refused/images", test_refused_images);
    g_test_add_func("/virt/refused/options", test_refused_options);
    int status = g_test_run();
    rig_remove_files();
    return status;
}
