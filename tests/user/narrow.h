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
