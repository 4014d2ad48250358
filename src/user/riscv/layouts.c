/*
 * Structs of Linux's generic ABI where the host's differ. 64-bit RISC-V has what x86-64 has, but for stat and
 * epoll_event; on 32 bits words are narrow.
 */
#include "user/riscv/layouts.h"

#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
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

#define MQ32(member, offset) FIELD(struct mq_attr, member, offset, 4, true)
static const LayoutField mq_attr_fields32[] = { MQ32(mq_flags, 0), MQ32(mq_maxmsg, 4), MQ32(mq_msgsize, 8),
                                                MQ32(mq_curmsgs, 12) };

static const LayoutField sigevent_fields32[] = {
    { offsetof(struct sigevent, sigev_value), 0, 8, 4, false, "sigev_value" },
    FIELD(struct sigevent, sigev_signo, 4, 4, true), FIELD(struct sigevent, sigev_notify, 8, 4, true),
    { offsetof(struct sigevent, sigev_notify) + 4, 12, 4, 4, true, "sigev_notify_tid" },
};

/* include/uapi/asm-generic: ipcbuf.h, sembuf.h, shmbuf.h, msgbuf.h. On 32 bits the high halves of times stand
 * behind. */
#define PERMISSIONS(type, member) \
    FIELD(type, member.__key, 0, 4, false), FIELD(type, member.uid, 4, 4, false), \
    FIELD(type, member.gid, 8, 4, false), \
    FIELD(type, member.cuid, 12, 4, false), FIELD(type, member.cgid, 16, 4, false), \
    FIELD(type, member.mode, 20, 4, false), FIELD(type, member.__seq, 24, 2, false)
#define SEM(member, offset, size) FIELD(struct semid_ds, member, offset, size, false)
static const LayoutField semid_fields64[] = { PERMISSIONS(struct semid_ds, sem_perm), SEM(sem_otime, 48, 8),
                                              SEM(sem_ctime, 56, 8), SEM(sem_nsems, 64, 8) };
static const LayoutField semid_fields32[] = {
    PERMISSIONS(struct semid_ds, sem_perm), SEM(sem_otime, 36, 4),
    { offsetof(struct semid_ds, sem_otime) + 4, 40, 4, 4 },
    SEM(sem_ctime, 44, 4), { offsetof(struct semid_ds, sem_ctime) + 4, 48, 4, 4 }, SEM(sem_nsems, 52, 4),
};

#define SHM(member, offset, size) FIELD(struct shmid_ds, member, offset, size, false)
#define SHM_HIGH(member, offset) { offsetof(struct shmid_ds, member) + 4, offset, 4, 4, false, #member "_high" }
static const LayoutField shmid_fields32[] = {
    PERMISSIONS(struct shmid_ds, shm_perm), SHM(shm_segsz, 36, 4), SHM(shm_atime, 40, 4), SHM_HIGH(shm_atime, 44),
    SHM(shm_dtime, 48, 4), SHM_HIGH(shm_dtime, 52), SHM(shm_ctime, 56, 4), SHM_HIGH(shm_ctime, 60),
    SHM(shm_cpid, 64, 4),
    SHM(shm_lpid, 68, 4), SHM(shm_nattch, 72, 4),
};
#define SHMINFO(member, offset) FIELD(struct shminfo, member, offset, 4, false)
static const LayoutField shminfo_fields32[] = { SHMINFO(shmmax, 0), SHMINFO(shmmin, 4), SHMINFO(shmmni, 8),
                                                SHMINFO(shmseg, 12), SHMINFO(shmall, 16) };
#define SHM_INFO32(member, offset) FIELD(struct shm_info, member, offset, 4, false)
static const LayoutField shm_info_fields32[] = { SHM_INFO32(used_ids, 0), SHM_INFO32(shm_tot, 4),
                                                 SHM_INFO32(shm_rss, 8),
                                                 SHM_INFO32(shm_swp, 12), SHM_INFO32(swap_attempts, 16),
                                                 SHM_INFO32(swap_successes, 20) };

#define MSG(member, offset, size) FIELD(struct msqid_ds, member, offset, size, false)
#define MSG_HIGH(member, offset) { offsetof(struct msqid_ds, member) + 4, offset, 4, 4, false, #member "_high" }
static const LayoutField msqid_fields32[] = {
    PERMISSIONS(struct msqid_ds, msg_perm), MSG(msg_stime, 36, 4), MSG_HIGH(msg_stime, 40), MSG(msg_rtime, 44, 4),
    MSG_HIGH(msg_rtime, 48), MSG(msg_ctime, 52, 4), MSG_HIGH(msg_ctime, 56), MSG(__msg_cbytes, 60, 4),
    MSG(msg_qnum, 64, 4), MSG(msg_qbytes, 68, 4), MSG(msg_lspid, 72, 4), MSG(msg_lrpid, 76, 4),
};

#define FOR_BOTH \
    [LAYOUT_SEMINFO] = SAME(sizeof(struct seminfo)), [LAYOUT_MSGINFO] = SAME(sizeof(struct msginfo)), \
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
    [LAYOUT_SIGEVENT] = SAME(sizeof(struct sigevent)),
    [LAYOUT_SEMID] = TABLE(struct semid_ds, 88, semid_fields64),
    [LAYOUT_SHMID] = SAME(sizeof(struct shmid_ds)),
    [LAYOUT_SHMINFO] = SAME(sizeof(struct shminfo)),
    [LAYOUT_SHM_INFO] = SAME(sizeof(struct shm_info)),
    [LAYOUT_MSQID] = SAME(sizeof(struct msqid_ds)),
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
    [LAYOUT_MQ_ATTR] = TABLE(struct mq_attr, 32, mq_attr_fields32),
    [LAYOUT_SIGEVENT] = TABLE(struct sigevent, 64, sigevent_fields32),
    [LAYOUT_SEMID] = TABLE(struct semid_ds, 64, semid_fields32),
    [LAYOUT_SHMID] = TABLE(struct shmid_ds, 84, shmid_fields32),
    [LAYOUT_SHMINFO] = TABLE(struct shminfo, 36, shminfo_fields32),
    [LAYOUT_SHM_INFO] = TABLE(struct shm_info, 24, shm_info_fields32),
    [LAYOUT_MSQID] = TABLE(struct msqid_ds, 88, msqid_fields32),
};
