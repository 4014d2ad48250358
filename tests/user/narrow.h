/*
 * For programs that call the kernel by number: calls by the names that they have where a word has 64 bits. On 32 bits
 * those with times are named after what replaced them, and a few others too. And what a libc's header may lack.
 */
#include <sys/syscall.h>

#if __SIZEOF_LONG__ == 4
#define SYS_clock_adjtime SYS_clock_adjtime64
#define SYS_clock_getres SYS_clock_getres_time64
#define SYS_clock_gettime SYS_clock_gettime64
#define SYS_clock_nanosleep SYS_clock_nanosleep_time64
#define SYS_fadvise64 SYS_fadvise64_64
#define SYS_fcntl SYS_fcntl64
#define SYS_futex SYS_futex_time64
#define SYS_io_pgetevents SYS_io_pgetevents_time64
#define SYS_ppoll SYS_ppoll_time64
#define SYS_pselect6 SYS_pselect6_time64
#define SYS_recvmmsg SYS_recvmmsg_time64
#define SYS_rt_sigtimedwait SYS_rt_sigtimedwait_time64
#define SYS_sched_rr_get_interval SYS_sched_rr_get_interval_time64
#define SYS_sendfile SYS_sendfile64
#define SYS_timerfd_gettime SYS_timerfd_gettime64
#define SYS_timerfd_settime SYS_timerfd_settime64
#define SYS_getrlimit (-1) /* libc calls prlimit64 */
#define SYS_io_getevents (-1)
#define SYS_setrlimit (-1)
#define SYS_clock_settime SYS_clock_settime64
#define SYS_mq_timedreceive SYS_mq_timedreceive_time64
#define SYS_mq_timedsend SYS_mq_timedsend_time64
#define SYS_semtimedop SYS_semtimedop_time64
#define SYS_timer_gettime SYS_timer_gettime64
#define SYS_timer_settime SYS_timer_settime64
#define SYS_truncate SYS_truncate64
#define SYS_utimensat SYS_utimensat_time64
#endif

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#define SYS_fchmodat2 452
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
/* Since Linux 6.5 headers are as late as libc. */
enum {
#ifndef SYS_futex_wake
    SYS_futex_wake = 454,
#endif
#ifndef SYS_futex_wait
    SYS_futex_wait = 455,
#endif
#ifndef SYS_futex_requeue
    SYS_futex_requeue = 456,
#endif
#ifndef SYS_statmount
    SYS_statmount = 457,
#endif
#ifndef SYS_listmount
    SYS_listmount = 458,
#endif
#ifndef SYS_lsm_get_self_attr
    SYS_lsm_get_self_attr = 459,
#endif
#ifndef SYS_lsm_set_self_attr
    SYS_lsm_set_self_attr = 460,
#endif
#ifndef SYS_lsm_list_modules
    SYS_lsm_list_modules = 461,
#endif
#ifndef SYS_mseal
    SYS_mseal = 462,
#endif
#ifndef SYS_setxattrat
    SYS_setxattrat = 463,
#endif
#ifndef SYS_getxattrat
    SYS_getxattrat = 464,
#endif
#ifndef SYS_listxattrat
    SYS_listxattrat = 465,
#endif
#ifndef SYS_removexattrat
    SYS_removexattrat = 466,
#endif
#ifndef SYS_open_tree_attr
    SYS_open_tree_attr = 467,
#endif
#ifndef SYS_file_getattr
    SYS_file_getattr = 468,
#endif
#ifndef SYS_file_setattr
    SYS_file_setattr = 469,
#endif
#ifndef SYS_listns
    SYS_listns = 470,
#endif
};
