/*
 * The loader against files that are cut, foreign or hostile, and the tables of structs: each field inside its struct,
 * none over another, values back as they went.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "cpu/guest.h"
#include "user/elf.h"
#include "user/format.h"
#include "user/ioctl.h"
#include "user/layout.h"
#include "user/memory.h"
#include "user/options.h"
#include "user/siginfo.h"
#include "user/signal.h"

#include <elf.h>
#include <errno.h>
#include <glib.h>
#include <linux/cdrom.h>
#include <linux/fb.h>
#include <linux/hdreg.h>
#include <linux/if_vlan.h>
#include <linux/if_xdp.h>
#include <linux/kd.h>
#include <linux/loop.h>
#include <linux/pps.h>
#include <linux/serial.h>
#include <linux/vt.h>
#include <linux/wireless.h>
#include <net/route.h>
#include <netinet/in.h>
#include <scsi/sg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_SIZE = 12288, ROUNDS = 4000 };

static const UserAbi *abi_of(const char *target)
{
    for (size_t i = 0; user_abis[i]; i++) {
        if (!strcmp(user_abis[i]->target, target)) {
            return user_abis[i];
        }
    }
    return NULL;
}

/* A program of two segments that may be loaded. */
static void good_file(uint8_t *file)
{
    const Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                                .e_type = ET_DYN,
                                .e_machine = EM_RISCV, .e_version = 1, .e_entry = 0x1000, .e_phoff = 64,
                                .e_ehsize = 64, .e_phentsize = 56, .e_phnum = 2 };
    const Elf64_Phdr segments[2] = {
        { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 0x1800, .p_memsz = 0x1800, .p_align = 0x1000 },
        { .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x2000, .p_vaddr = 0x2000, .p_paddr = 0x2000,
          .p_filesz = 0x800, .p_memsz = 0x5000, .p_align = 0x1000 },
    };

    memset(file, 0, FILE_SIZE);
    memcpy(file, &header, sizeof header);
    memcpy(file + 64, segments, sizeof segments);
}

/* True where it was loaded; an error has an errno and a text that names the file. */
static bool load(const uint8_t *file, size_t size)
{
    const UserAbi *abi = abi_of("riscv64");
    UserOptions options = { 0 };
    Process process = { .abi = abi, .options = &options, .self = -1, .image = -1 };
    Error *error = NULL;
    uint64_t start;
    int fd = memfd_create("program", MFD_CLOEXEC);

    g_assert_cmpint(write(fd, file, size), ==, (ssize_t)size);
    process.memory = memory_new(0, abi->address_limit, abi->address_limit, &error);
    g_assert_nonnull(process.memory);
    process.memory->map_top = abi->stack_top;
    bool ok = elf_load(&process, fd, "the-file", &start, &error);
    if (!ok) {
        g_assert_nonnull(strstr(error_message(error), "the-file"));
        error_free(error);
    }
    munmap(process.memory->base, abi->address_limit);
    memory_free(process.memory);
    close(fd);
    return ok;
}

static void test_good(void)
{
    uint8_t file[FILE_SIZE];

    good_file(file);
    g_assert_true(load(file, sizeof file));
}

static void test_cut(void)
{
    uint8_t file[FILE_SIZE];

    good_file(file);
    for (size_t size = 0; size < 64 + 2 * 56; size++) {
        g_assert_false(load(file, size));
    }
}

/* Numbers of the headers become others, above all those at the edges. */
static void test_hostile(void)
{
    static const uint64_t edges[] = { 0, 1, 0xfff, 0x1000, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX,
                                      UINT64_C(1) << 38, (UINT64_C(1) << 38) - 1, 0xfffffffffffff000 };
    unsigned loaded = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint8_t file[FILE_SIZE];
        good_file(file);
        for (int changes = g_test_rand_int_range(1, 4); changes > 0; changes--) {
            size_t at = (size_t)g_test_rand_int_range(0, 64 + 2 * 56 - 8);
            uint64_t value = edges[g_test_rand_int_range(0, ARRAY_SIZE(edges))];
            switch (g_test_rand_int_range(0, 4)) {
            case 0:
                file[at] = (uint8_t)g_test_rand_int();
                break;
            case 1:
                store_le16(file + at, (uint16_t)value);
                break;
            case 2:
                store_le32(file + at, (uint32_t)value);
                break;
            default:
                store_le64(file + (at & ~(size_t)7), value);
                break;
            }
        }
        loaded += load(file, sizeof file);
    }
    g_assert_cmpuint(loaded, >, 0);
    g_assert_cmpuint(loaded, <, ROUNDS);
}

static void check_layout(const Layout *layout)
{
    uint8_t guest[LAYOUT_MAXIMUM] = { 0 };

    g_assert_cmpuint(layout->host_size, <=, LAYOUT_MAXIMUM);
    g_assert_cmpuint(layout->guest_size, <=, LAYOUT_MAXIMUM);
    for (unsigned i = 0; i < layout->field_count; i++) {
        const LayoutField *f = &layout->fields[i];
        g_assert_cmpuint(f->host_offset + f->host_size, <=, layout->host_size);
        g_assert_cmpuint(f->guest_offset + f->guest_size, <=, layout->guest_size);
        g_assert_true(is_power_of_2(f->host_size) && is_power_of_2(f->guest_size));
        for (unsigned k = 0; k < f->guest_size; k++) {
            g_assert_cmpuint(guest[f->guest_offset + k]++, ==, 0); /* no other field's */
        }
    }
}

static void test_layouts(void)
{
    for (size_t a = 0; user_abis[a]; a++) {
        for (unsigned id = 0; id < LAYOUT_COUNT; id++) {
            const Layout *layout = &user_abis[a]->layouts[id];
            uint8_t guest[LAYOUT_MAXIMUM], host[LAYOUT_MAXIMUM], again[LAYOUT_MAXIMUM];
            check_layout(layout);
            memset(guest, 0, sizeof guest);
            for (unsigned i = 0; i < layout->field_count; i++) {
                const LayoutField *f = &layout->fields[i];
                for (unsigned k = 0; k < MIN(f->guest_size, f->host_size); k++) {
                    guest[f->guest_offset + k] = (uint8_t)g_test_rand_int_range(0, 128);
                }
            }
            if (layout->field_count) {
                layout_to_host(layout, guest, host);
                layout_to_guest(layout, host, again);
                g_assert_cmpmem(guest, layout->guest_size, again, layout->guest_size);
            }
        }
    }
}

static void test_siginfo(void)
{
    const struct {
        int number, code;
    } kinds[] = { { SIGUSR1, SI_USER }, { SIGUSR1, SI_QUEUE }, { SIGALRM, SI_TIMER }, { SIGCHLD, CLD_EXITED },
                  { SIGSEGV, SEGV_MAPERR }, { SIGPOLL, POLL_IN }, { SIGSYS, 1 }, { SIGUSR1, SI_TKILL } };

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        uint8_t narrow[SIGINFO_SIZE], again[SIGINFO_SIZE];
        siginfo_t info;
        memset(narrow, 0, sizeof narrow);
        store_le32(narrow, (uint32_t)kinds[i].number);
        store_le32(narrow + 8, (uint32_t)kinds[i].code);
        store_le32(narrow + 12, 1234);
        siginfo_to_host(4, narrow, &info);
        siginfo_to_guest(4, &info, again);
        g_assert_cmpmem(narrow, sizeof narrow, again, sizeof again);
    }
}

/* The headers' own sizes are in the requests' numbers. */
static void test_requests(void)
{
    IoctlDescription row;

    for (size_t i = 0; ioctl_row(i, &row); i++) {
        uint32_t size = row.request >> 16 & 0x3fff;
        g_assert_cmpuint(format_size(row.format, 8), <=, 1024);
        if (size && *row.declared && format_size(row.declared, 8) != size) {
            g_error("%s: %u bytes, not those of '%s'", row.name, size, row.declared);
        }
    }
    g_assert_cmpuint(format_size("2I i 5I h 2b I 2h p h i l", 8), ==, sizeof(struct serial_struct));
    g_assert_cmpuint(format_size("2I 2b h i 3p 2i I p 4b 2h I 2i", 8), ==, sizeof(struct sg_io_hdr));
    g_assert_cmpuint(format_size("5q 4i 64b 64b 32b 2q", 8), ==, sizeof(struct loop_info64));
    g_assert_cmpuint(format_size("l h 14b h 14b h 14b h h l p h p 2l h", 8), ==, sizeof(struct rtentry));
    g_assert_cmpuint(format_size("16b l 4i 3h i l 2i h h h", 8), ==, sizeof(struct fb_fix_screeninfo));
    g_assert_cmpuint(format_size("2b h l", 8), ==, sizeof(struct hd_geometry));
    g_assert_cmpuint(format_size("16b 2l h 3b", 8), ==, sizeof(struct ifreq));
    g_assert_cmpuint(format_size("16b 2l h 3b", 4), ==, 32);
    g_assert_cmpuint(format_size("i a128b", 8), ==, sizeof(struct group_req));
    g_assert_cmpuint(format_size("5I 2h 2I", 8), ==, sizeof(struct sg_scsi_id));
    g_assert_cmpuint(format_size("16b p 2h 4b", 8), ==, sizeof(struct iwreq));
    g_assert_cmpuint(format_size("16b a 2i 2h 4b", 8), ==, sizeof(struct iwreq));
    g_assert_cmpuint(format_size("2i Q I i Q I i I Q I i", 8), ==, sizeof(struct pps_fdata));
    g_assert_cmpuint(format_size("I 24b 24b h", 8), ==, sizeof(struct vlan_ioctl_args));
    g_assert_cmpuint(format_size("12b p i i p b I I p", 8), ==, sizeof(struct cdrom_generic_command));
    g_assert_cmpuint(format_size("5i p", 8), ==, sizeof(struct console_font_op));
    g_assert_cmpuint(format_size("7i", 8), ==, sizeof(struct vt_event));
    g_assert_cmpuint(format_size("5b 2I", 8), ==, sizeof(struct cdrom_subchnl));
    g_assert_cmpuint(format_size("P q 3i", 8), <=, sizeof(struct xdp_umem_reg));
    g_assert_cmpuint(format_size("i a128b", 4), ==, 132);
}

/* Structs of any shape come back as they were. */
static void test_formats(void)
{
    static const char kinds[] = "bhiIlLqQpPa";

    for (unsigned round = 0; round < 2000; round++) {
        GString *format = g_string_new(NULL);
        uint8_t guest[1024], host[1024], again[1024];
        GuestMemory memory = { .base = (uint8_t *)0x10000, .limit = UINT64_C(1) << 32 };
        unsigned word = round & 1 ? 4 : 8;
        for (int i = g_test_rand_int_range(1, 8); i--;) {
            g_string_append_printf(format, "%d%c ", g_test_rand_int_range(1, 9),
                                   kinds[g_test_rand_int_range(0, sizeof kinds - 1)]);
        }
        size_t size = format_size(format->str, word);
        g_assert_cmpuint(size, <=, format_size(format->str, 8));
        memset(again, 0, sizeof again);
        for (size_t i = 0; i < size; i++) {
            guest[i] = i % 8 < 4 ? (uint8_t)g_test_rand_int() : 0;
        }
        bool fits = format_to_host(format->str, word, &memory, guest, host);
        if (fits) { /* what lies between members is gone after the first time */
            format_to_guest(format->str, word, &memory, host, guest);
            g_assert_true(format_to_host(format->str, word, &memory, guest, host));
            format_to_guest(format->str, word, &memory, host, again);
            g_assert_cmpmem(guest, size, again, size);
        }
        g_string_free(format, TRUE);
    }
}

/* Numbers in order, so that the search finds them. */
static void test_numbers(void)
{
    for (size_t a = 0; user_abis[a]; a++) {
        for (size_t i = 1; i < user_abis[a]->syscall_count; i++) {
            g_assert_cmpuint(user_abis[a]->syscalls[i - 1].number, <, user_abis[a]->syscalls[i].number);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signals_catch_faults();
    g_test_add_func("/user/loader/good", test_good);
    g_test_add_func("/user/loader/cut", test_cut);
    g_test_add_func("/user/loader/hostile", test_hostile);
    g_test_add_func("/user/layouts", test_layouts);
    g_test_add_func("/user/siginfo", test_siginfo);
    g_test_add_func("/user/numbers", test_numbers);
    g_test_add_func("/user/requests", test_requests);
    g_test_add_func("/user/formats", test_formats);
    return g_test_run();
}
