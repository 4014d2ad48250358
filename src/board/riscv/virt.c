/*
 * "virt": a RISC-V machine of virtual devices, that of no manufacturer. Its memory map and device tree are those that
 * QEMU 10 gives it, so that firmware, kernels and disk images that run there run here.
 *
 * Not there yet: PCI Express, the AIA interrupt controllers, ACPI tables, NUMA nodes, the platform bus.
 */
#include "board/board.h"
#include "board/riscv/riscv.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/strbuf.h"
#include "block/block.h"
#include "core/fdt.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "hw/firmware/fw_cfg.h"
#include "schema/common.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEBASE_HZ = 10 * 1000 * 1000, MAXIMUM_HARTS = 512, SEED_SIZE = 32, DTB_LIMIT = 1024 * 1024 };

enum {
    PLACE_ROM,
    PLACE_TEST,
    PLACE_RTC,
    PLACE_CLINT, /* the two below, as one node */
    PLACE_MSWI,
    PLACE_MTIMER,
    PLACE_SSWI,
    PLACE_PLIC,
    PLACE_UART0,
    PLACE_VIRTIO, /* the first of them */
    PLACE_FW_CFG,
    PLACE_FLASH, /* the first of them */
    PLACE_RAM
};
static const BoardPlace map[] = {
    [PLACE_ROM] = { 0x1000, 0xf000 },
    [PLACE_TEST] = { 0x100000, 0x1000 },
    [PLACE_RTC] = { 0x101000, 0x1000 },
    [PLACE_CLINT] = { 0x2000000, 0x10000 },
    [PLACE_MSWI] = { 0x2000000, 0x4000 },
    [PLACE_MTIMER] = { 0x2004000, 0x8000 },
    [PLACE_SSWI] = { 0x2f00000, 0x4000 },
    [PLACE_PLIC] = { 0xc000000, 0x600000 },
    [PLACE_UART0] = { 0x10000000, 0x100 },
    [PLACE_VIRTIO] = { 0x10001000, 0x1000 },
    [PLACE_FW_CFG] = { 0x10100000, 0x18 },
    [PLACE_FLASH] = { 0x20000000, 0x2000000 },
    [PLACE_RAM] = { 0x80000000, 0 },
};

enum { VIRTIO_COUNT = 8, FLASH_COUNT = 2 };

enum { IRQ_VIRTIO = 1, IRQ_UART0 = 10, IRQ_RTC = 11 };

/* What every hart is wired to: output hart * line_count + n goes to the hart's lines[n]. */
typedef struct HartDevice {
    BoardRow row;
    unsigned lines[2], line_count;
} HartDevice;
enum { HART_MSWI, HART_MTIMER, HART_SSWI, HART_PLIC, HART_DEVICES };
static const HartDevice hart_devices[HART_DEVICES] = {
    [HART_MSWI] = { { "riscv.aclint.swi", PLACE_MSWI, .node = BOARD_NODE_NONE }, { RISCV_LINE_MACHINE_SOFTWARE }, 1 },
    [HART_MTIMER] = { { "riscv.aclint.mtimer", PLACE_MTIMER, .properties = "timebase-freq=10000000",
                        .node = BOARD_NODE_NONE }, { RISCV_LINE_MACHINE_TIMER }, 1 },
    [HART_SSWI] = { { "riscv.aclint.swi", PLACE_SSWI, .properties = "sswi=1", .node = BOARD_NODE_NONE },
                    { RISCV_LINE_SUPERVISOR_SOFTWARE }, 1 },
    [HART_PLIC] = { { "riscv.sifive.plic", PLACE_PLIC, .properties = "num-sources=96,aperture-size=0x600000",
                      .node = BOARD_NODE_NONE },
                    { RISCV_LINE_MACHINE_EXTERNAL, RISCV_LINE_SUPERVISOR_EXTERNAL }, 2 },
};

static const BoardRow test_row = { "riscv.sifive.test", PLACE_TEST };
static const BoardRow rows[] = {
    { "virtio-mmio", PLACE_VIRTIO, .count = VIRTIO_COUNT, .interrupt = IRQ_VIRTIO },
    { "serial-mm", PLACE_UART0, .interrupt = IRQ_UART0, .serial = 1,
      .properties = "regshift=0,endianness=2,baudbase=230400" /* 3.6864 MHz */ },
    { "goldfish_rtc", PLACE_RTC, .interrupt = IRQ_RTC },
};
static const BoardRow fw_cfg_row = { "fw_cfg_mem", PLACE_FW_CFG, .name = "fw_cfg", .node = BOARD_NODE_ROOT };
static const BoardRow flash_row = {
    "cfi.pflash01", PLACE_FLASH, .count = FLASH_COUNT, .name = "virt.flash", .node = BOARD_NODE_NONE,
    .properties = "num-blocks=128,sector-length=262144,width=4,device-width=2,id0=0x89,id1=0x18",
};

typedef struct VirtMachine {
    Machine machine;
    bool aclint;
    Board board;
    Loader *loader;
    Device *hart_devices[HART_DEVICES]; /* NULL where there is none */
    Device *test;
    Disk *flash_drives[FLASH_COUNT]; /* properties pflash0 and pflash1 */
    unsigned flash_made;
} VirtMachine;

/* Building */

static bool add_memory(VirtMachine *virt, Error **error)
{
    Machine *machine = &virt->machine;
    RamBlock *rom = ram_block_new("riscv_virt_board.mrom", map[PLACE_ROM].size, NULL, error);

    if (!rom) {
        return false;
    }
    Region *region = region_new_ram(&machine->object, machine, "riscv_virt_board.mrom", rom, 0, rom->size, true);
    region_map(machine->memory, map[PLACE_ROM].address, region, 0);
    ram_block_unref(rom);
    region = region_new_ram(&machine->object, machine, machine->ram->id, machine->ram, 0, machine->ram->size, false);
    region_map(machine->memory, map[PLACE_RAM].address, region, 0);
    return true;
}

static bool set_hart_count(Board *board, Device *device, Error **error)
{
    AUTO_FREE char *text = string_format("%zu", board->machine->vcpus.count);

    return object_set_text(&device->object, "num-harts", text, error);
}

static bool set_hart_modes(Board *board, Device *device, Error **error)
{
    AUTO_STRBUF(modes);

    for (size_t i = 0; i < board->machine->vcpus.count; i++) {
        strbuf_append(&modes, i ? ",MS" : "MS");
    }
    return object_set_text(&device->object, "hart-config", strbuf_text(&modes), error);
}

static bool add_hart_device(VirtMachine *virt, unsigned which, Error **error)
{
    const HartDevice *row = &hart_devices[which];
    Machine *machine = &virt->machine;
    Device *device = board_add(&virt->board, &row->row, which == HART_PLIC ? set_hart_modes : set_hart_count, error);

    virt->hart_devices[which] = device;
    for (unsigned hart = 0; device && hart < machine->vcpus.count; hart++) {
        for (unsigned n = 0; n < row->line_count; n++) {
            irq_connect_cpu(device, "", hart * row->line_count + n, machine->vcpus.items[hart]->cpu, row->lines[n]);
        }
    }
    return device;
}

static bool set_flash(Board *board, Device *device, Error **error)
{
    VirtMachine *virt = (VirtMachine *)board->machine;
    unsigned number = virt->flash_made++;
    AUTO_FREE char *name = string_format("virt.flash%u", number);
    Disk *drive = virt->flash_drives[number];

    return object_set_text(&device->object, "name", name, error) &&
           (!drive || object_set_text(&device->object, "drive", disk_id(drive), error));
}

static bool add_firmware_devices(VirtMachine *virt, Error **error)
{
    Machine *machine = &virt->machine;

    machine->firmware_config = board_add(&virt->board, &fw_cfg_row, NULL, error);
    if (!machine->firmware_config) {
        return false;
    }
    fw_cfg_add_integer(machine->firmware_config, FW_CFG_NOGRAPHIC, 2, !machine->graphics);
    fw_cfg_add_integer(machine->firmware_config, FW_CFG_NB_CPUS, 2, machine->vcpus.count);
    fw_cfg_add_integer(machine->firmware_config, FW_CFG_MAX_CPUS, 2, machine->vcpus.count);
    fw_cfg_add_integer(machine->firmware_config, FW_CFG_RAM_SIZE, 8, machine->ram->size);
    return board_add(&virt->board, &flash_row, set_flash, error);
}

static bool virt_build(Machine *machine, Error **error)
{
    VirtMachine *virt = (VirtMachine *)machine;

    virt->board = (Board){ .machine = machine, .map = map };
    vcpu_set_timebase(machine, TIMEBASE_HZ);
    if (!add_memory(virt, error) || !riscv_add_harts(machine, machine->options.cpus, error)) {
        return false;
    }
    for (unsigned i = 0; i < HART_DEVICES; i++) {
        if ((i != HART_SSWI || virt->aclint) && !add_hart_device(virt, i, error)) {
            return false;
        }
    }
    virt->board.interrupt_controller = virt->hart_devices[HART_PLIC];
    virt->test = board_add(&virt->board, &test_row, NULL, error);
    return virt->test && board_add_rows(&virt->board, rows, ARRAY_SIZE(rows), error) &&
           add_firmware_devices(virt, error);
}

/* The device tree */

/* interrupts-extended of what every hart is wired to. Owned by the caller. */
static uint32_t *hart_cells(const VirtMachine *virt, const RiscvHartHandles *handles, const HartDevice *row,
                            size_t *count)
{
    size_t harts = virt->machine.vcpus.count, used = 0;
    uint32_t *cells = mem_alloc_array(harts * row->line_count, 2 * sizeof *cells);

    for (size_t hart = 0; hart < harts; hart++) {
        for (unsigned n = 0; n < row->line_count; n++) {
            cells[used++] = handles[hart].interrupt_controller;
            cells[used++] = row->lines[n];
        }
    }
    *count = used;
    return cells;
}

static void write_hart_device(const VirtMachine *virt, FdtWriter *fdt, unsigned which, const RiscvHartHandles *handles)
{
    Device *device = virt->hart_devices[which];

    if (device) {
        Placement *placement = &device->placement;
        AUTO_FREE uint32_t *cells = hart_cells(virt, handles, &hart_devices[which], &placement->extended_count);
        placement->extended = cells;
        device_class_of(device)->write_fdt(device, fdt);
        placement->extended = NULL;
        placement->extended_count = 0;
    }
}

/* MSWI and MTIMER as SiFive's: Linux's Documentation/devicetree/bindings/timer/sifive,clint.yaml. */
static void write_clint(const VirtMachine *virt, FdtWriter *fdt, const RiscvHartHandles *handles)
{
    const BoardPlace *place = &map[PLACE_CLINT];
    HartDevice both = { .lines = { RISCV_LINE_MACHINE_SOFTWARE, RISCV_LINE_MACHINE_TIMER }, .line_count = 2 };
    size_t count;
    AUTO_FREE uint32_t *cells = hart_cells(virt, handles, &both, &count);

    fdt_begin(fdt, "clint@%" PRIx64, place->address);
    fdt_texts(fdt, "compatible", (const char *const[]){ "sifive,clint0", "riscv,clint0" }, 2);
    fdt_reg(fdt, (const uint64_t[]){ place->address, place->size }, 1);
    fdt_cells(fdt, "interrupts-extended", cells, count);
    fdt_end(fdt);
}

static void write_soc(const VirtMachine *virt, FdtWriter *fdt, const RiscvHartHandles *handles)
{
    fdt_begin(fdt, "soc");
    fdt_u32(fdt, "#address-cells", 2);
    fdt_u32(fdt, "#size-cells", 2);
    fdt_text(fdt, "compatible", "simple-bus");
    fdt_empty(fdt, "ranges");
    board_write_fdt(&virt->board, fdt, BOARD_NODE_SOC);
    write_hart_device(virt, fdt, HART_PLIC, handles);
    if (virt->aclint) {
        write_hart_device(virt, fdt, HART_SSWI, handles);
        write_hart_device(virt, fdt, HART_MTIMER, handles);
        write_hart_device(virt, fdt, HART_MSWI, handles);
    } else {
        write_clint(virt, fdt, handles);
    }
    fdt_end(fdt);
}

/* A value written to the test finisher, by the bindings syscon-poweroff and syscon-reboot. */
static void write_syscon(const VirtMachine *virt, FdtWriter *fdt, const char *name, uint32_t value)
{
    AUTO_FREE char *compatible = string_format("syscon-%s", name);

    fdt_begin(fdt, "%s", name);
    fdt_u32(fdt, "value", value);
    fdt_u32(fdt, "offset", 0);
    fdt_u32(fdt, "regmap", virt->test->placement.phandle);
    fdt_text(fdt, "compatible", compatible);
    fdt_end(fdt);
}

/* Both banks in one node: Linux's Documentation/devicetree/bindings/mtd/mtd-physmap.yaml. */
static void write_flash(FdtWriter *fdt)
{
    const BoardPlace *place = &map[PLACE_FLASH];

    fdt_begin(fdt, "flash@%" PRIx64, place->address);
    fdt_u32(fdt, "bank-width", 4);
    fdt_reg(fdt, (const uint64_t[]){ place->address, place->size, place->address + place->size, place->size }, 2);
    fdt_text(fdt, "compatible", "cfi-flash");
    fdt_end(fdt);
}

static void write_console(Machine *machine, FdtWriter *fdt)
{
    AUTO_FREE char *path = string_format("/soc/serial@%" PRIx64, map[PLACE_UART0].address);
    uint8_t seed[SEED_SIZE];

    machine_random(machine, seed, sizeof seed);
    fdt_begin(fdt, "aliases");
    fdt_text(fdt, "serial0", path);
    fdt_end(fdt);
    fdt_begin(fdt, "chosen");
    fdt_text(fdt, "stdout-path", path);
    fdt_bytes(fdt, "rng-seed", seed, sizeof seed);
    fdt_end(fdt);
}

static void give_phandles(VirtMachine *virt, FdtWriter *fdt)
{
    Placement *plic = &virt->hart_devices[HART_PLIC]->placement;

    plic->phandle = fdt_phandle_new(fdt);
    virt->test->placement.phandle = fdt_phandle_new(fdt);
    for (size_t i = 0; i < virt->board.devices.count; i++) {
        virt->board.devices.items[i].device->placement.interrupt_parent = plic->phandle;
    }
}

static FdtWriter *make_fdt(VirtMachine *virt)
{
    FdtWriter *fdt = fdt_writer_new();

    fdt_set_first_phandle(fdt, virt->machine.phandle_start);
    fdt_u32(fdt, "#address-cells", 2);
    fdt_u32(fdt, "#size-cells", 2);
    fdt_text(fdt, "compatible", virt->machine.dt_compatible ? virt->machine.dt_compatible : "riscv-virtio");
    fdt_text(fdt, "model", "riscv-virtio,qemu");
    AUTO_FREE RiscvHartHandles *handles = riscv_write_harts(&virt->machine, fdt);
    give_phandles(virt, fdt);
    fdt_begin(fdt, "memory@%" PRIx64, map[PLACE_RAM].address);
    fdt_text(fdt, "device_type", "memory");
    fdt_reg(fdt, (const uint64_t[]){ map[PLACE_RAM].address, virt->machine.ram->size }, 1);
    fdt_end(fdt);
    write_syscon(virt, fdt, "poweroff", 0x5555);
    write_syscon(virt, fdt, "reboot", 0x7777);
    board_write_fdt(&virt->board, fdt, BOARD_NODE_ROOT);
    write_flash(fdt);
    write_console(&virt->machine, fdt);
    riscv_write_counters(&virt->machine, fdt);
    write_soc(virt, fdt, handles);
    return fdt;
}

static FdtWriter *load_fdt(const Machine *machine, Error **error)
{
    size_t size;
    AUTO_FREE void *blob = files_read_all(machine->files, machine->options.dtb, DTB_LIMIT, &size, error);
    FdtWriter *fdt = blob ? fdt_writer_load(blob, size, error) : NULL;

    if (!fdt) {
        error_prepend(error, "device tree '%s': ", machine->options.dtb);
    }
    return fdt;
}

/* Each boot gets a seed of its own. */
static void renew_seed(Machine *machine, void *blob, size_t size)
{
    uint8_t seed[SEED_SIZE];
    int chosen = fdt_path_offset(blob, "/chosen");

    machine_random(machine, seed, sizeof seed);
    fdt_setprop_inplace(blob, chosen, "rng-seed", seed, sizeof seed);
}

static bool dump_fdt(const Machine *machine, const void *blob, size_t size, Error **error)
{
    const char *path = machine->options.dumpdtb;
    int fd = files_open(machine->files, path, O_WRONLY | O_CREAT | O_TRUNC, 0666, error);

    if (fd < 0) {
        return error_prepend(error, "dumpdtb: ");
    }
    bool ok = write(fd, blob, size) == (ssize_t)size;
    if (!ok) {
        error_set_errno(error, errno, "dumpdtb: '%s' could not be written", path);
    }
    close(fd);
    return ok;
}

/* Loading */

static bool write_boot_order(Machine *machine, Error **error)
{
    AUTO_STRBUF(order);
    AUTO_STRBUF(geometry);
    boot_order_write(machine, &order, &geometry);
    return fw_cfg_add_file(machine->firmware_config, "bootorder", strbuf_text(&order), (uint32_t)order.length, error) &&
           fw_cfg_add_file(machine->firmware_config, "bios-geometry", strbuf_text(&geometry),
                           (uint32_t)geometry.length, error);
}

static bool virt_load(Machine *machine, Error **error)
{
    VirtMachine *virt = (VirtMachine *)machine;
    RiscvBoot boot = { .machine = machine, .rom = map[PLACE_ROM].address, .ram = map[PLACE_RAM].address,
                       .ram_size = machine->ram->size };

    if (virt->flash_drives[0]) {
        boot.flash = map[PLACE_FLASH].address;
    }
    boot.loader = virt->loader = loader_new(machine);
    if (!write_boot_order(machine, error) || !riscv_boot_load(&boot, error)) {
        return false;
    }
    FdtWriter *fdt = machine->options.dtb ? load_fdt(machine, error) : make_fdt(virt);
    if (!fdt) {
        return false;
    }
    riscv_boot_write_chosen(&boot, fdt);
    size_t size;
    AUTO_FREE void *blob = fdt_writer_take(fdt, &size);
    fdt_writer_free(fdt);
    return (!machine->options.dumpdtb || dump_fdt(machine, blob, size, error)) &&
           riscv_boot_finish(&boot, blob, size, machine->options.dtb ? NULL : renew_seed, error);
}

static void virt_print_images(Machine *machine, StrBuf *buffer)
{
    const Loader *loader = ((VirtMachine *)machine)->loader;

    if (loader) {
        loader_print(loader, buffer);
    }
}

static void virt_finalize(Object *object)
{
    VirtMachine *virt = (VirtMachine *)object;

    loader_free(virt->loader);
    board_free(&virt->board);
}

/* What the board could have and does not: ACPI tables, an IOMMU, an AIA. It can be asked to go without. */

static bool set_absent(Object *object, const Property *property, const Json *value, Error **error)
{
    return strcmp(json_text(value), "on") != 0 ||
           error_set(error, "the board has no such part: '%s' can only be off or auto", property->name);
}

static Json *get_absent(Object *object, const Property *property, Error **error) { return json_string("off"); }

static bool set_aia(Object *object, const Property *property, const Json *value, Error **error)
{
    static const char *const absent[] = { "aplic", "aplic-imsic" };

    for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
        if (strcmp(json_text(value), absent[i]) == 0) {
            return error_set(error, "there is no AIA: '%s' can only be none", property->name);
        }
    }
    return strcmp(json_text(value), "none") == 0 ||
           error_set(error, "'%s' is no AIA interrupt controller: none, aplic and aplic-imsic are", json_text(value));
}

static Json *get_aia(Object *object, const Property *property, Error **error) { return json_string("none"); }

static const Property properties[] = {
    { .name = "acpi", .type = &OnOffAuto_type, .get = get_absent, .set = set_absent,
      .description = "ACPI tables: none yet" },
    { .name = "aia", .type = &type_string, .get = get_aia, .set = set_aia,
      .description = "advanced interrupt architecture: none yet" },
    { .name = "iommu-sys", .type = &OnOffAuto_type, .get = get_absent, .set = set_absent,
      .description = "IOMMU as a platform device: none yet" },
    PROP("aclint", type_bool, VirtMachine, aclint, NULL, "ACLINT devices in place of a CLINT: with supervisor software "
         "interrupts"),
    PROP_DRIVE("pflash0", VirtMachine, flash_drives[0]),
    PROP_DRIVE("pflash1", VirtMachine, flash_drives[1]),
    PROP_END,
};

const MachineClass virt_10_0_class = {
    .class = {
        .name = "virt-10.0-machine",
        .parent = &machine_class.class,
        .description = "RISC-V VirtIO board",
        .size = sizeof(VirtMachine),
        .properties = properties,
        .finalize = virt_finalize,
    },
    .name = "virt-10.0",
    .alias = "virt",
    .targets = (const char *const[]){ "riscv32", "riscv64", NULL },
    .maximum_cpus = MAXIMUM_HARTS,
    .default_ram = 128 * MIB,
    .default_ram_id = "riscv_virt_board.ram",
    .build = virt_build,
    .load = virt_load,
    .print_images = virt_print_images,
};
