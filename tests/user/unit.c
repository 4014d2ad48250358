/*
 * The loader against files that are cut, foreign or hostile, and the tables of structs: each field inside its struct,
 * none over another, values back as they went.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "cpu/guest.h"
#include "user/elf.h"
#include "user/options.h"
#include "user/siginfo.h"
#include "user/signal.h"

#include <elf.h>
#include <errno.h>
#include <glib.h>
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
    const Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN,
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
    Process process = { .abi = abi, .options = &options, .self = -1 };
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
    return g_test_run();
}
