/*
 * Structs of Linux's generic ABI where the host's differ. 64-bit RISC-V has what x86-64 has, but for stat and
 * epoll_event; on 32 bits words are narrow.
 */
#include "user/riscv/layouts.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/vfs.h>

#define SAME(size) { .host_size = (size), .guest_size = (size) }
#define TABLE(host_, guest_, fields_) { sizeof(host_), (guest_), (fields_), ARRAY_SIZE(fields_) }
#define FIELD(type_, member_, offset_, size_, signed_) \
    { offsetof(type_, member_), (offset_), sizeof(((type_ *)0)->member_), (size_), (signed_), #member_ }

/* include/uapi/asm-generic/stat.h */
#define STAT(member, offset, size) FIELD(struct stat, member, offset, size, false)
static const LayoutField stat_fields[] = {
    STAT(st_dev, 0, 8), STAT(st_ino, 8, 8), STAT(st_mode, 16, 4), STAT(st_nlink, 20, 4), STAT(st_uid, 24, 4),
    STAT(st_gid, 28, 4), STAT(st_rdev, 32, 8), STAT(st_size, 48, 8), STAT(st_blksize, 56, 4), STAT(st_blocks, 64, 8),
    STAT(st_atim.tv_sec, 72, 8), STAT(st_atim.tv_nsec, 80, 8), STAT(st_mtim.tv_sec, 88, 8),
    STAT(st_mtim.tv_nsec, 96, 8), STAT(st_ctim.tv_sec, 104, 8), STAT(st_ctim.tv_nsec, 112, 8),
};

#define EVENT(member, offset, size) FIELD(struct epoll_event, member, offset, size, false)
static const LayoutField epoll_event_fields[] = { EVENT(events, 0, 4), EVENT(data.u64, 8, 8) };

#define TIMEVAL32(member, offset) FIELD(struct timeval, member, offset, 4, true)
static const LayoutField timeval_fields32[] = { TIMEVAL32(tv_sec, 0), TIMEVAL32(tv_usec, 4) };

#define ITIMER32(member, offset) FIELD(struct itimerval, member, offset, 4, true)
static const LayoutField itimerval_fields32[] = { ITIMER32(it_interval.tv_sec, 0), ITIMER32(it_interval.tv_usec, 4),
                                                  ITIMER32(it_value.tv_sec, 8), ITIMER32(it_value.tv_usec, 12) };

#define RUSAGE32(member, offset) FIELD(struct rusage, member, offset, 4, true)
static const LayoutField rusage_fields32[] = {
    RUSAGE32(ru_utime.tv_sec, 0), RUSAGE32(ru_utime.tv_usec, 4), RUSAGE32(ru_stime.tv_sec, 8),
    RUSAGE32(ru_stime.tv_usec, 12), RUSAGE32(ru_maxrss, 16), RUSAGE32(ru_ixrss, 20), RUSAGE32(ru_idrss, 24),
    RUSAGE32(ru_isrss, 28), RUSAGE32(ru_minflt, 32), RUSAGE32(ru_majflt, 36), RUSAGE32(ru_nswap, 40),
    RUSAGE32(ru_inblock, 44), RUSAGE32(ru_oublock, 48), RUSAGE32(ru_msgsnd, 52), RUSAGE32(ru_msgrcv, 56),
    RUSAGE32(ru_nsignals, 60), RUSAGE32(ru_nvcsw, 64), RUSAGE32(ru_nivcsw, 68),
};

static const LayoutField word_fields32[] = { { 0, 0, 8, 4, false, "value" } };

#define TMS32(member, offset) FIELD(struct tms, member, offset, 4, true)
static const LayoutField tms_fields32[] = { TMS32(tms_utime, 0), TMS32(tms_stime, 4), TMS32(tms_cutime, 8),
                                            TMS32(tms_cstime, 12) };

#define SYSINFO32(member, offset, size) FIELD(struct sysinfo, member, offset, size, false)
static const LayoutField sysinfo_fields32[] = {
    SYSINFO32(uptime, 0, 4), SYSINFO32(loads[0], 4, 4), SYSINFO32(loads[1], 8, 4), SYSINFO32(loads[2], 12, 4),
    SYSINFO32(totalram, 16, 4), SYSINFO32(freeram, 20, 4), SYSINFO32(sharedram, 24, 4), SYSINFO32(bufferram, 28, 4),
    SYSINFO32(totalswap, 32, 4), SYSINFO32(freeswap, 36, 4), SYSINFO32(procs, 40, 2), SYSINFO32(totalhigh, 44, 4),
    SYSINFO32(freehigh, 48, 4), SYSINFO32(mem_unit, 52, 4),
};

#define STATFS32(member, offset, size) FIELD(struct statfs, member, offset, size, false)
static const LayoutField statfs_fields32[] = { /* struct statfs64 */
    STATFS32(f_type, 0, 4), STATFS32(f_bsize, 4, 4), STATFS32(f_blocks, 8, 8), STATFS32(f_bfree, 16, 8),
    STATFS32(f_bavail, 24, 8), STATFS32(f_files, 32, 8), STATFS32(f_ffree, 40, 8), STATFS32(f_fsid, 48, 8),
    STATFS32(f_namelen, 56, 4), STATFS32(f_frsize, 60, 4), STATFS32(f_flags, 64, 4),
};

#define FOR_BOTH \
    [LAYOUT_INT32] = SAME(4), [LAYOUT_INT64] = SAME(8), [LAYOUT_STAT] = TABLE(struct stat, 128, stat_fields), \
    [LAYOUT_STATX] = SAME(256), [LAYOUT_TIMESPEC] = SAME(16), [LAYOUT_ITIMERSPEC] = SAME(32), \
    [LAYOUT_TIMEZONE] = SAME(8), [LAYOUT_RLIMIT64] = SAME(16), [LAYOUT_TIMEX] = SAME(208), \
    [LAYOUT_EPOLL_EVENT] = TABLE(struct epoll_event, 16, epoll_event_fields), [LAYOUT_SCHED_PARAM] = SAME(4)

const Layout riscv64_layouts[LAYOUT_COUNT] = {
    FOR_BOTH,
    [LAYOUT_WORD] = SAME(8),
    [LAYOUT_STATFS] = SAME(120),
    [LAYOUT_TIMEVAL] = SAME(16),
    [LAYOUT_ITIMERVAL] = SAME(32),
    [LAYOUT_RUSAGE] = SAME(144),
    [LAYOUT_RLIMIT] = SAME(16),
    [LAYOUT_SYSINFO] = SAME(112),
    [LAYOUT_TMS] = SAME(32),
    [LAYOUT_MQ_ATTR] = SAME(64),
};

const Layout riscv32_layouts[LAYOUT_COUNT] = {
    FOR_BOTH,
    [LAYOUT_WORD] = { 8, 4, word_fields32, 1 },
    [LAYOUT_STATFS] = TABLE(struct statfs, 88, statfs_fields32),
    [LAYOUT_TIMEVAL] = TABLE(struct timeval, 8, timeval_fields32),
    [LAYOUT_ITIMERVAL] = TABLE(struct itimerval, 16, itimerval_fields32),
    [LAYOUT_RUSAGE] = TABLE(struct rusage, 72, rusage_fields32),
    [LAYOUT_SYSINFO] = TABLE(struct sysinfo, 64, sysinfo_fields32),
    [LAYOUT_TMS] = TABLE(struct tms, 16, tms_fields32),
};
