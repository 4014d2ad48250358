/* The rows of syscalls.def as a table. */
#include "user/path.h"
#include "user/syscall_functions.h"

#include <sys/syscall.h>

enum { NO_HOST_CALL = 0xffff };
/* What headers of the host may lack, since Linux 6.5: numbers are the same everywhere. */
#undef SYS_cachestat
#define SYS_cachestat 451
#undef SYS_fchmodat2
#define SYS_fchmodat2 452
#undef SYS_futex_wake
#define SYS_futex_wake 454
#undef SYS_futex_wait
#define SYS_futex_wait 455
#undef SYS_futex_requeue
#define SYS_futex_requeue 456
#undef SYS_statmount
#define SYS_statmount 457
#undef SYS_listmount
#define SYS_listmount 458
#undef SYS_lsm_get_self_attr
#define SYS_lsm_get_self_attr 459
#undef SYS_lsm_set_self_attr
#define SYS_lsm_set_self_attr 460
#undef SYS_lsm_list_modules
#define SYS_lsm_list_modules 461
#undef SYS_mseal
#define SYS_mseal 462
#undef SYS_setxattrat
#define SYS_setxattrat 463
#undef SYS_getxattrat
#define SYS_getxattrat 464
#undef SYS_listxattrat
#define SYS_listxattrat 465
#undef SYS_removexattrat
#define SYS_removexattrat 466
#undef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#undef SYS_file_getattr
#define SYS_file_getattr 468
#undef SYS_file_setattr
#define SYS_file_setattr 469
#undef SYS_listns
#define SYS_listns 470
/* Calls that are never the host's. */
#define SYS_riscv_hwprobe NO_HOST_CALL
#define SYS_riscv_flush_icache NO_HOST_CALL
#define SYS__llseek NO_HOST_CALL
#define SYS_statfs64 NO_HOST_CALL
#define SYS_fstatfs64 NO_HOST_CALL
#define SYS_clock_gettime64 NO_HOST_CALL
#define SYS_map_shadow_stack NO_HOST_CALL
#define SYS_rseq_slice_yield NO_HOST_CALL

#define PLAIN(kind) { ARGUMENT_##kind, 0 }
#define INT PLAIN(INT)
#define UINT PLAIN(UINT)
#define WORD PLAIN(WORD)
#define LONG PLAIN(LONG)
#define HEX PLAIN(HEX)
#define OFFSET PLAIN(OFFSET)
#define HIGH PLAIN(HIGH)
#define FD PLAIN(FD)
#define DIRFD PLAIN(DIRFD)
#define MODE PLAIN(MODE)
#define SIGNAL PLAIN(SIGNAL)
#define ADDRESS PLAIN(ADDRESS)
#define PATH { ARGUMENT_PATH, PATH_FOLLOW }
#define LINK { ARGUMENT_PATH, PATH_LINK }
#define STRING PLAIN(STRING)
#define SIGSET_IN PLAIN(SIGSET_IN)
#define INFO_IN PLAIN(INFO_IN)
#define INFO_OUT PLAIN(INFO_OUT)
#define FLAGS(table) { ARGUMENT_FLAGS, FLAGS_##table }
#define AREA(size) { ARGUMENT_AREA, size }
#define BYTES_IN(size) { ARGUMENT_BYTES_IN, size }
#define BYTES_OUT(size) { ARGUMENT_BYTES_OUT, size }
#define FIXED_IN(size) { ARGUMENT_FIXED_IN, size }
#define FIXED_OUT(size) { ARGUMENT_FIXED_OUT, size }
#define VECTOR_IN(count) { ARGUMENT_VECTOR_IN, count }
#define VECTOR_OUT(count) { ARGUMENT_VECTOR_OUT, count }
#define IN(layout) { ARGUMENT_IN, LAYOUT_##layout }
#define OUT(layout) { ARGUMENT_OUT, LAYOUT_##layout }
#define INOUT(layout) { ARGUMENT_INOUT, LAYOUT_##layout }

#define sys_forward NULL
#define SYSCALL(name_, function_, result_, ...) \
    { #name_, SYS_##name_, RESULT_##result_, { __VA_ARGS__ }, sys_##function_ },

const Syscall syscall_table[SYSCALL_COUNT] = {
#include "user/syscalls.def"
};

const Syscall *syscall_find(const UserAbi *abi, uint64_t number)
{
    size_t low = 0, high = abi->syscall_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (abi->syscalls[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < abi->syscall_count && abi->syscalls[low].number == number ? &syscall_table[abi->syscalls[low].row]
                                                                           : NULL;
}
