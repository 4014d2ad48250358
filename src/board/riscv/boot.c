/*
 * How a RISC-V machine is started: firmware, kernel, initial ramdisk, device tree, reset code.
 *
 * After Linux's Documentation/arch/riscv/boot.rst and boot-image-header.rst, OpenSBI's docs/firmware/fw_dynamic.md and
 * its struct fw_dynamic_info, and Linux's include/linux/efi.h for compressed EFI images (the gzip ones).
 */
#include "board/riscv/riscv.h"

#include "base/bytes.h"
#include "base/error.h"
#include "core/fdt.h"
#include "core/machine.h"
#include "core/vcpu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    IMAGE_HEADER_SIZE = 64,
    IMAGE_MAGIC2 = 0x05435352, /* "RSC\5", at 56 */
    ZBOOT_MAGIC = 0x676d697a,  /* "zimg", at 4 */
    DYNAMIC_INFO_MAGIC = 0x4942534f,
    DYNAMIC_INFO_VERSION = 2,
    NEXT_MODE_SUPERVISOR = 1,
    DTB_ALIGNMENT = 2 * 1024 * 1024, /* so that one large page maps it */
    PAGE_SIZE = 4096,
};
#define INITRD_DISTANCE (512 * MIB) /* from the kernel, where there is room */
#define DTB_TOP_32 (3 * GIB)        /* a 32-bit kernel maps no more before it reads it */

static bool is_32_bit(const RiscvBoot *boot) { return machine_processor(boot->machine)->word_bits == 32; }
static uint64_t ram_end(const RiscvBoot *boot) { return boot->ram + boot->ram_size; }

/* Room that a file at `address` may take. */
static uint64_t room_from(const RiscvBoot *boot, uint64_t address)
{
    return address < ram_end(boot) ? ram_end(boot) - address : 0;
}

static bool load_raw(RiscvBoot *boot, ImageFile *file, uint64_t address, uint64_t memory_size, LoadedImage *loaded,
                     Error **error)
{
    *loaded = (LoadedImage){ .start = address, .end = address + memory_size, .entry = address };
    return loader_add_file(boot->loader, file, 0, file->size, memory_size, address, error);
}

/* Firmware */

/* OpenSBI under the name that QEMU has for it, or where Debian's package opensbi puts it. */
static char *find_default_firmware(Machine *machine, Error **error)
{
    const char *target = machine_processor(machine)->target;
    AUTO_FREE char *name = string_format("opensbi-%s-generic-fw_dynamic.bin", target);
    AUTO_FREE char *debian = string_format("/usr/lib/%s-linux-gnu/opensbi/generic/fw_dynamic.bin", target);
    AUTO_ERROR(not_found);
    char *path = machine_find_firmware(machine, name, &not_found);

    if (!path && !access(debian, R_OK)) {
        return string_copy(debian);
    }
    if (!path) {
        error_propagate(error, error_copy(not_found));
        error_add_hint(error, "OpenSBI is in Debian's package opensbi; -bios none does without it, -bios FILE takes "
                       "another");
    }
    return path;
}

static ImageFile *open_firmware(const RiscvBoot *boot, Error **error)
{
    Machine *machine = boot->machine;
    const char *bios = machine->options.bios;
    bool is_default = !bios || !strcmp(bios, "default");
    AUTO_FREE char *path = is_default ? find_default_firmware(machine, error)
                                      : machine_find_firmware(machine, bios, error);

    return path ? image_file_open(machine->files, "firmware", path, boot->ram_size, error) : NULL;
}

/* `*end` is where the next thing may go. */
static bool load_firmware(RiscvBoot *boot, uint64_t *end, Error **error)
{
    const char *bios = boot->machine->options.bios;
    LoadedImage loaded;

    *end = boot->start = boot->ram;
    if (bios && !strcmp(bios, "none")) {
        return true;
    }
    ImageFile *file = open_firmware(boot, error);
    bool ok = file && (elf_recognize(file) ? loader_add_elf(boot->loader, file, &loaded, error)
                                           : load_raw(boot, file, boot->ram, file->size, &loaded, error));
    image_file_unref(file);
    if (ok) {
        boot->start = loaded.entry;
        *end = MAX(loaded.end, boot->ram);
    }
    return ok;
}

/* Kernel */

/* Kernels of other processors, by what stands where. */
static const struct {
    uint16_t offset;
    uint32_t magic; /* little-endian */
    const char *what;
} foreign_kernels[] = {
    { 514, 0x53726448, "a Linux kernel for x86" },
    { 56, 0x644d5241, "a Linux kernel for AArch64" },
    { 56, 0x818223cd, "a Linux kernel for LoongArch" },
    { 36, 0x016f2818, "a Linux kernel for Arm" },
    { 0, 0x56190527, "a U-Boot image (uImage); take the kernel out of it with dumpimage" },
    { 0, 0xedfe0dd0, "a device tree or FIT image" },
};

static bool check_foreign(const ImageFile *file, Error **error)
{
    for (size_t i = 0; i < ARRAY_SIZE(foreign_kernels); i++) {
        uint8_t bytes[4];
        if (image_file_read(file, foreign_kernels[i].offset, bytes, sizeof bytes, NULL) &&
            load_le32(bytes) == foreign_kernels[i].magic) {
            return error_set(error, "%s: is %s", file->name, foreign_kernels[i].what);
        }
    }
    return true;
}

/* A compressed EFI image: its payload. NULL where it cannot be had. */
static ImageFile *unpack_zboot(const ImageFile *file, const uint8_t *header, uint64_t limit, Error **error)
{
    const char *type = (const char *)header + 24;

    if (strncmp(type, "gzip", 5)) {
        error_set(error, "%s: is compressed by '%.31s': only gzip is known", file->name, type);
        return NULL;
    }
    uint32_t offset = load_le32(header + 8), size = load_le32(header + 12);
    if (offset > file->size || size > file->size - offset) {
        error_set(error, "%s: ends at byte %" PRIu64 ", within its compressed part of %u bytes from %u", file->name,
                  file->size, size, offset);
        return NULL;
    }
    return image_file_inflate(file, offset, size, limit, error);
}

/* The file as it is, or what it is a compressed form of. Takes the reference. */
static ImageFile *unpack_kernel(ImageFile *file, uint64_t limit, Error **error)
{
    uint8_t header[IMAGE_HEADER_SIZE] = { 0 };
    ImageFile *unpacked;

    image_file_read(file, 0, header, MIN(sizeof header, file->size), NULL);
    if (image_file_is_gzip(file)) {
        unpacked = image_file_inflate(file, 0, file->size, limit, error);
    } else if (load_le32(header + 4) == ZBOOT_MAGIC && header[0] == 'M' && header[1] == 'Z') {
        unpacked = unpack_zboot(file, header, limit, error);
    } else {
        return file;
    }
    image_file_unref(file);
    return unpacked;
}

/* Bytes of memory that a kernel wants from its first on: an Image says so itself. */
static bool kernel_memory_size(const ImageFile *file, uint64_t *size, Error **error)
{
    uint8_t header[IMAGE_HEADER_SIZE];

    *size = file->size;
    if (!image_file_read(file, 0, header, sizeof header, NULL) || load_le32(header + 56) != IMAGE_MAGIC2) {
        return check_foreign(file, error);
    }
    if (load_le64(header + 24) & 1) {
        return error_set(error, "%s: is a big-endian kernel", file->name);
    }
    *size = MAX(*size, load_le64(header + 16));
    return true;
}

static bool load_raw_kernel(RiscvBoot *boot, ImageFile *file, uint64_t address, LoadedImage *loaded, Error **error)
{
    uint64_t room = room_from(boot, address), memory_size;

    if (!kernel_memory_size(file, &memory_size, error)) {
        return false;
    }
    if (memory_size > room) {
        return error_set(error, "%s: needs %" PRIu64 " bytes of memory from 0x%" PRIx64 ", but %" PRIu64
                         " are there; give the machine more by -m", file->name, memory_size, address, room);
    }
    return load_raw(boot, file, address, memory_size, loaded, error);
}

static bool load_kernel(RiscvBoot *boot, uint64_t firmware_end, Error **error)
{
    /* Images want to begin at a multiple of the pages that map them: 2 MiB, or 4 with Sv32. */
    uint64_t address = align_up(firmware_end, is_32_bit(boot) ? 4 * MIB : 2 * MIB);
    const Machine *machine = boot->machine;
    LoadedImage loaded = { 0 };
    ImageFile *file = image_file_open(machine->files, "kernel", machine->options.kernel, boot->ram_size, error);

    file = file ? unpack_kernel(file, boot->ram_size, error) : NULL;
    bool ok = file && (elf_recognize(file) ? loader_add_elf(boot->loader, file, &loaded, error)
                                           : load_raw_kernel(boot, file, address, &loaded, error));
    image_file_unref(file);
    boot->kernel_entry = loaded.entry;
    boot->kernel_end = loaded.end;
    return ok;
}

/* Initial ramdisk */

static uint64_t dtb_address(const RiscvBoot *boot, uint64_t size)
{
    uint64_t top = is_32_bit(boot) ? MIN(ram_end(boot), DTB_TOP_32) : ram_end(boot);

    return top - boot->ram > size ? MAX(align_down(top - size, DTB_ALIGNMENT), boot->ram) : boot->ram;
}

static bool load_initrd(RiscvBoot *boot, Error **error)
{
    /* Away from the kernel, so that it does not unpack over it, but below the device tree. */
    uint64_t first = align_up(boot->kernel_end, PAGE_SIZE), top = dtb_address(boot, DTB_ALIGNMENT);
    uint64_t address = boot->kernel_entry + MIN(boot->ram_size / 2, INITRD_DISTANCE);
    ImageFile *file = image_file_open(boot->machine->files, "initrd", boot->machine->options.initrd, boot->ram_size,
                                      error);

    if (!file) {
        return false;
    }
    bool ok = first < top && file->size <= top - first;
    if (!ok) {
        error_set(error, "%s: its %" PRIu64 " bytes do not fit into the memory from 0x%" PRIx64 " to 0x%" PRIx64
                  " beside the kernel; give the machine more by -m", file->name, file->size, first, top);
    } else {
        boot->initrd = MAX(first, MIN(address, align_down(top - file->size, PAGE_SIZE)));
        boot->initrd_size = file->size;
        ok = loader_add_file(boot->loader, file, 0, file->size, file->size, boot->initrd, error);
    }
    image_file_unref(file);
    return ok;
}

bool riscv_boot_load(RiscvBoot *boot, Error **error)
{
    const MachineOptions *options = &boot->machine->options;
    uint64_t firmware_end;

    if (!options->kernel && (options->initrd || options->append)) {
        return error_set(error, "%s only allowed with -kernel option", options->initrd ? "-initrd" : "-append");
    }
    if (!load_firmware(boot, &firmware_end, error) || (options->kernel && !load_kernel(boot, firmware_end, error)) ||
        (options->initrd && !load_initrd(boot, error))) {
        return false;
    }
    if (!options->kernel) {
        boot->kernel_entry = boot->flash;
    }
    if (options->bios && !strcmp(options->bios, "none") && boot->kernel_entry) {
        boot->start = boot->kernel_entry;
    }
    return true;
}

/* Device tree and reset code */

void riscv_boot_write_chosen(const RiscvBoot *boot, FdtWriter *fdt)
{
    fdt_begin(fdt, "chosen");
    if (boot->machine->options.kernel && boot->machine->options.append) {
        fdt_text(fdt, "bootargs", boot->machine->options.append);
    }
    if (boot->initrd_size) {
        fdt_u64(fdt, "linux,initrd-start", boot->initrd);
        fdt_u64(fdt, "linux,initrd-end", boot->initrd + boot->initrd_size);
    }
    fdt_end(fdt);
}

static size_t put_word(const RiscvBoot *boot, uint8_t *bytes, size_t at, uint64_t value)
{
    unsigned size = is_32_bit(boot) ? 4 : 8;

    store_le(bytes + at, size, value);
    return at + size;
}

/* The first instructions of every hart, and what they hand over. */
static bool add_reset_code(RiscvBoot *boot, uint64_t dtb, Error **error)
{
    enum { CODE_SIZE = 0x18, HANDOVER_SIZE = 0x10 };
    bool wide = !is_32_bit(boot);
    const uint32_t code[CODE_SIZE / 4] = {
        0x00000297,                     /*  0: auipc t0, 0 */
        0x02828613,                     /*  4: addi  a2, t0, 0x28: the info */
        0xf1402573,                     /*  8: csrr  a0, mhartid */
        wide ? 0x0202b583 : 0x0202a583, /*  c: ld    a1, 0x20(t0): the device tree */
        wide ? 0x0182b283 : 0x0182a283, /* 10: ld    t0, 0x18(t0): the start */
        0x00028067,                     /* 14: jr    t0 */
    };
    const uint64_t info[] = { DYNAMIC_INFO_MAGIC, DYNAMIC_INFO_VERSION, boot->kernel_entry, NEXT_MODE_SUPERVISOR,
                              0 /* options */, 0 /* boot hart */ };
    uint8_t bytes[CODE_SIZE + HANDOVER_SIZE] = { 0 }, info_bytes[sizeof info];
    size_t size = 0;

    for (size_t i = 0; i < ARRAY_SIZE(code); i++) {
        store_le32(bytes + 4 * i, code[i]);
    }
    put_word(boot, bytes, CODE_SIZE, boot->start);
    put_word(boot, bytes, CODE_SIZE + 8, dtb);
    for (size_t i = 0; i < ARRAY_SIZE(info); i++) {
        size = put_word(boot, info_bytes, size, info[i]);
    }
    return loader_add_bytes(boot->loader, "mrom.reset", bytes, sizeof bytes, boot->rom, NULL, error) &&
           loader_add_bytes(boot->loader, "mrom.finfo", info_bytes, size, boot->rom + sizeof bytes, NULL, error);
}

bool riscv_boot_finish(RiscvBoot *boot, const void *blob, size_t size,
                       void (*renew)(Machine *machine, void *bytes, size_t size), Error **error)
{
    uint64_t dtb = dtb_address(boot, size);

    if (size > boot->ram_size) {
        return error_set(error, "the device tree's %zu bytes do not fit into the machine's memory", size);
    }
    return loader_add_bytes(boot->loader, "fdt", blob, size, dtb, renew, error) && add_reset_code(boot, dtb, error);
}
