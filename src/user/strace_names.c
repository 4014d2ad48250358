/* Names of flags and numbers: Linux's for the guests (include/uapi/asm-generic), which for all but open's are the
 * host's. */
#include "user/strace_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <linux/keyctl.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

typedef struct Name {
    uint64_t value;
    const char *name;
} Name;

#define N(name_) { (uint64_t)(name_), #name_ }
#define R(prefix_, name_) { (uint64_t)(prefix_##name_), #name_ }
#define END { 0, NULL }

static const Name names_open[] = {
    { 01, "O_WRONLY" }, { 02, "O_RDWR" }, { 0100, "O_CREAT" }, { 0200, "O_EXCL" }, { 0400, "O_NOCTTY" },
    { 01000, "O_TRUNC" }, { 02000, "O_APPEND" }, { 04000, "O_NONBLOCK" }, { 04010000, "O_SYNC" },
    { 010000, "O_DSYNC" }, { 020000, "O_ASYNC" }, { 040000, "O_DIRECT" }, { 0100000, "O_LARGEFILE" },
    { 020200000, "O_TMPFILE" }, { 0200000, "O_DIRECTORY" }, { 0400000, "O_NOFOLLOW" }, { 01000000, "O_NOATIME" },
    { 02000000, "O_CLOEXEC" }, { 010000000, "O_PATH" }, END,
};
static const Name names_at[] = {
    { 0x100, "AT_SYMLINK_NOFOLLOW" }, { 0x200, "AT_REMOVEDIR" }, { 0x400, "AT_SYMLINK_FOLLOW" },
    { 0x800, "AT_NO_AUTOMOUNT" }, { 0x1000, "AT_EMPTY_PATH" }, { 0x2000, "AT_STATX_FORCE_SYNC" },
    { 0x4000, "AT_STATX_DONT_SYNC" }, { 0x8000, "AT_RECURSIVE" }, END,
};
static const Name names_prot[] = { N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), N(PROT_GROWSDOWN), N(PROT_GROWSUP), END };
static const Name names_map[] = {
    { 3, "MAP_SHARED_VALIDATE" }, N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_GROWSDOWN),
    N(MAP_DENYWRITE), N(MAP_EXECUTABLE), N(MAP_LOCKED), N(MAP_NORESERVE), N(MAP_POPULATE), N(MAP_NONBLOCK),
    N(MAP_STACK), N(MAP_HUGETLB), N(MAP_SYNC), N(MAP_FIXED_NOREPLACE), END,
};
static const Name names_clone[] = {
    N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), { 0x1000, "CLONE_PIDFD" }, N(CLONE_PTRACE),
    N(CLONE_VFORK), N(CLONE_PARENT), N(CLONE_THREAD), N(CLONE_NEWNS), N(CLONE_SYSVSEM), N(CLONE_SETTLS),
    N(CLONE_PARENT_SETTID), N(CLONE_CHILD_CLEARTID), N(CLONE_DETACHED), N(CLONE_UNTRACED), N(CLONE_CHILD_SETTID),
    N(CLONE_NEWCGROUP), N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET),
    N(CLONE_IO), END,
};
static const Name names_access[] = { N(R_OK), N(W_OK), N(X_OK), END };
static const Name names_whence[] = { N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), N(SEEK_DATA), N(SEEK_HOLE), END };
static const Name names_fcntl[] = {
    N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL), N(F_GETLK), N(F_SETLK), N(F_SETLKW), N(F_SETOWN),
    N(F_GETOWN), N(F_SETSIG), N(F_GETSIG), { 12, "F_GETLK64" }, { 13, "F_SETLK64" }, { 14, "F_SETLKW64" },
    N(F_SETOWN_EX), N(F_GETOWN_EX), N(F_OFD_GETLK), N(F_OFD_SETLK), N(F_OFD_SETLKW), N(F_SETLEASE), N(F_GETLEASE),
    N(F_NOTIFY), N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ), N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS),
    N(F_GET_RW_HINT), N(F_SET_RW_HINT), END,
};
static const Name names_fd[] = { N(FD_CLOEXEC), END };
static const Name names_lock[] = { N(LOCK_SH), N(LOCK_EX), N(LOCK_NB), N(LOCK_UN), END };
static const Name names_splice[] = { N(SPLICE_F_MOVE), N(SPLICE_F_NONBLOCK), N(SPLICE_F_MORE), N(SPLICE_F_GIFT), END };
static const Name names_rename[] = {
    { 1, "RENAME_NOREPLACE" }, { 2, "RENAME_EXCHANGE" }, { 4, "RENAME_WHITEOUT" }, END,
};
static const Name names_xattr[] = { N(XATTR_CREATE), N(XATTR_REPLACE), END };
static const Name names_fallocate[] = {
    { 1, "FALLOC_FL_KEEP_SIZE" }, { 2, "FALLOC_FL_PUNCH_HOLE" }, { 8, "FALLOC_FL_COLLAPSE_RANGE" },
    { 16, "FALLOC_FL_ZERO_RANGE" }, { 32, "FALLOC_FL_INSERT_RANGE" }, { 64, "FALLOC_FL_UNSHARE_RANGE" }, END,
};
static const Name names_fadvise[] = {
    N(POSIX_FADV_NORMAL), N(POSIX_FADV_RANDOM), N(POSIX_FADV_SEQUENTIAL), N(POSIX_FADV_WILLNEED),
    N(POSIX_FADV_DONTNEED), N(POSIX_FADV_NOREUSE), END,
};
static const Name names_statx[] = {
    { 0xfff, "STATX_ALL" }, { 0x7ff, "STATX_BASIC_STATS" }, N(STATX_TYPE), N(STATX_MODE), N(STATX_NLINK), N(STATX_UID),
    N(STATX_GID), N(STATX_ATIME), N(STATX_MTIME), N(STATX_CTIME), N(STATX_INO), N(STATX_SIZE), N(STATX_BLOCKS),
    N(STATX_BTIME), { 0x1000, "STATX_MNT_ID" }, { 0x2000, "STATX_DIOALIGN" }, END,
};
static const Name names_rwf[] = {
    { 1, "RWF_HIPRI" }, { 2, "RWF_DSYNC" }, { 4, "RWF_SYNC" }, { 8, "RWF_NOWAIT" }, { 16, "RWF_APPEND" }, END,
};
static const Name names_epoll_ctl[] = { N(EPOLL_CTL_ADD), N(EPOLL_CTL_DEL), N(EPOLL_CTL_MOD), END };
static const Name names_epoll_create[] = { N(EPOLL_CLOEXEC), END };
static const Name names_eventfd[] = { N(EFD_SEMAPHORE), N(EFD_NONBLOCK), N(EFD_CLOEXEC), END };
static const Name names_timerfd[] = { N(TFD_NONBLOCK), N(TFD_CLOEXEC), END };
static const Name names_signalfd[] = { N(SFD_NONBLOCK), N(SFD_CLOEXEC), END };
static const Name names_inotify[] = { N(IN_NONBLOCK), N(IN_CLOEXEC), END };
static const Name names_inotify_mask[] = {
    N(IN_ACCESS), N(IN_MODIFY), N(IN_ATTRIB), N(IN_CLOSE_WRITE), N(IN_CLOSE_NOWRITE), N(IN_OPEN), N(IN_MOVED_FROM),
    N(IN_MOVED_TO), N(IN_CREATE), N(IN_DELETE), N(IN_DELETE_SELF), N(IN_MOVE_SELF), N(IN_ONLYDIR), N(IN_DONT_FOLLOW),
    N(IN_EXCL_UNLINK), N(IN_MASK_ADD), N(IN_ISDIR), N(IN_ONESHOT), END,
};
static const Name names_mount[] = {
    N(MS_RDONLY), N(MS_NOSUID), N(MS_NODEV), N(MS_NOEXEC), N(MS_SYNCHRONOUS), N(MS_REMOUNT), N(MS_MANDLOCK),
    N(MS_DIRSYNC), N(MS_NOATIME), N(MS_NODIRATIME), N(MS_BIND), N(MS_MOVE), N(MS_REC), N(MS_SILENT), N(MS_UNBINDABLE),
    N(MS_PRIVATE), N(MS_SLAVE), N(MS_SHARED), N(MS_RELATIME), N(MS_STRICTATIME), END,
};
static const Name names_umount[] = { N(MNT_FORCE), N(MNT_DETACH), N(MNT_EXPIRE), N(UMOUNT_NOFOLLOW), END };
static const Name names_mremap[] = { N(MREMAP_MAYMOVE), N(MREMAP_FIXED), { 4, "MREMAP_DONTUNMAP" }, END };
static const Name names_madvise[] = {
    N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_FREE),
    N(MADV_REMOVE), N(MADV_DONTFORK), N(MADV_DOFORK), N(MADV_MERGEABLE), N(MADV_UNMERGEABLE), N(MADV_HUGEPAGE),
    N(MADV_NOHUGEPAGE), N(MADV_DONTDUMP), N(MADV_DODUMP), N(MADV_WIPEONFORK), N(MADV_KEEPONFORK), { 20, "MADV_COLD" },
    { 21, "MADV_PAGEOUT" }, { 22, "MADV_POPULATE_READ" }, { 23, "MADV_POPULATE_WRITE" }, END,
};
static const Name names_msync[] = { N(MS_ASYNC), N(MS_INVALIDATE), N(MS_SYNC), END };
static const Name names_mlockall[] = { N(MCL_CURRENT), N(MCL_FUTURE), N(MCL_ONFAULT), END };
static const Name names_memfd[] = {
    N(MFD_CLOEXEC), N(MFD_ALLOW_SEALING), N(MFD_HUGETLB), { 8, "MFD_NOEXEC_SEAL" }, { 16, "MFD_EXEC" }, END,
};
static const Name names_membarrier[] = {
    R(MEMBARRIER_, CMD_QUERY), R(MEMBARRIER_, CMD_GLOBAL), R(MEMBARRIER_, CMD_GLOBAL_EXPEDITED),
    R(MEMBARRIER_, CMD_REGISTER_GLOBAL_EXPEDITED), R(MEMBARRIER_, CMD_PRIVATE_EXPEDITED),
    R(MEMBARRIER_, CMD_REGISTER_PRIVATE_EXPEDITED), END,
};
static const Name names_futex[] = {
    N(FUTEX_WAIT), N(FUTEX_WAKE), N(FUTEX_REQUEUE), N(FUTEX_CMP_REQUEUE), N(FUTEX_WAKE_OP), N(FUTEX_LOCK_PI),
    N(FUTEX_UNLOCK_PI), N(FUTEX_TRYLOCK_PI), N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET), N(FUTEX_WAIT_REQUEUE_PI),
    N(FUTEX_CMP_REQUEUE_PI), { 13, "FUTEX_LOCK_PI2" }, N(FUTEX_WAIT_PRIVATE), N(FUTEX_WAKE_PRIVATE),
    N(FUTEX_REQUEUE_PRIVATE), N(FUTEX_CMP_REQUEUE_PRIVATE), N(FUTEX_WAKE_OP_PRIVATE), N(FUTEX_LOCK_PI_PRIVATE),
    N(FUTEX_UNLOCK_PI_PRIVATE), N(FUTEX_TRYLOCK_PI_PRIVATE), N(FUTEX_WAIT_BITSET_PRIVATE),
    N(FUTEX_WAKE_BITSET_PRIVATE),
    { FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME" },
    { FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, "FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME" }, END,
};
static const Name names_wait[] = {
    N(WNOHANG), N(WUNTRACED), N(WEXITED), N(WCONTINUED), N(WNOWAIT), N(__WNOTHREAD), N(__WALL), N(__WCLONE), END,
};
static const Name names_wait_id[] = { N(P_ALL), N(P_PID), N(P_PGID), { 3, "P_PIDFD" }, END };
static const Name names_clock[] = {
    N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID), N(CLOCK_THREAD_CPUTIME_ID),
    N(CLOCK_MONOTONIC_RAW), N(CLOCK_REALTIME_COARSE), N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME),
    N(CLOCK_REALTIME_ALARM), N(CLOCK_BOOTTIME_ALARM), N(CLOCK_TAI), END,
};
static const Name names_timer[] = { N(TIMER_ABSTIME), END };
static const Name names_itimer[] = { N(ITIMER_REAL), N(ITIMER_VIRTUAL), N(ITIMER_PROF), END };
static const Name names_resource[] = {
    N(RLIMIT_CPU), N(RLIMIT_FSIZE), N(RLIMIT_DATA), N(RLIMIT_STACK), N(RLIMIT_CORE), N(RLIMIT_RSS), N(RLIMIT_NPROC),
    N(RLIMIT_NOFILE), N(RLIMIT_MEMLOCK), N(RLIMIT_AS), N(RLIMIT_LOCKS), N(RLIMIT_SIGPENDING), N(RLIMIT_MSGQUEUE),
    N(RLIMIT_NICE), N(RLIMIT_RTPRIO), N(RLIMIT_RTTIME), END,
};
static const Name names_rusage[] = { N(RUSAGE_SELF), N(RUSAGE_CHILDREN), N(RUSAGE_THREAD), END };
static const Name names_prctl[] = {
    N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE), N(PR_GET_KEEPCAPS),
    N(PR_SET_KEEPCAPS), N(PR_SET_NAME), N(PR_GET_NAME), N(PR_GET_SECCOMP), N(PR_SET_SECCOMP), N(PR_CAPBSET_READ),
    N(PR_CAPBSET_DROP), N(PR_GET_SECUREBITS), N(PR_SET_SECUREBITS), N(PR_SET_TIMERSLACK), N(PR_GET_TIMERSLACK),
    N(PR_SET_MM), N(PR_SET_CHILD_SUBREAPER), N(PR_GET_CHILD_SUBREAPER), N(PR_SET_NO_NEW_PRIVS), N(PR_GET_NO_NEW_PRIVS),
    N(PR_GET_TID_ADDRESS), N(PR_SET_THP_DISABLE), N(PR_GET_THP_DISABLE), N(PR_CAP_AMBIENT), N(PR_SET_PTRACER),
    { 0x53564d41, "PR_SET_VMA" },
    N(PR_GET_TIMING), N(PR_SET_TIMING), N(PR_MCE_KILL), N(PR_MCE_KILL_GET), N(PR_SET_IO_FLUSHER),
    N(PR_GET_IO_FLUSHER), N(PR_GET_SPECULATION_CTRL), N(PR_SET_SPECULATION_CTRL), N(PR_SCHED_CORE),
    { 65, "PR_SET_MDWE" }, { 66, "PR_GET_MDWE" }, { 67, "PR_SET_MEMORY_MERGE" }, { 68, "PR_GET_MEMORY_MERGE" },
    { 71, "PR_RISCV_SET_ICACHE_FLUSH_CTX" }, { 77, "PR_TIMER_CREATE_RESTORE_IDS" }, { 78, "PR_FUTEX_HASH" },
    { 0x41555856, "PR_GET_AUXV" }, END,
};
static const Name names_sched[] = {
    N(SCHED_OTHER), N(SCHED_FIFO), N(SCHED_RR), N(SCHED_BATCH), N(SCHED_IDLE), { 6, "SCHED_DEADLINE" }, END,
};
static const Name names_priority[] = { N(PRIO_PROCESS), N(PRIO_PGRP), N(PRIO_USER), END };
static const Name names_signal_how[] = { N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK), END };
static const Name names_sigaction[] = {
    N(SA_NOCLDSTOP), N(SA_NOCLDWAIT), N(SA_SIGINFO), { 0x04000000, "SA_RESTORER" }, N(SA_ONSTACK), N(SA_RESTART),
    N(SA_NODEFER), N(SA_RESETHAND), END,
};
static const Name names_domain[] = {
    N(PF_UNSPEC), N(PF_LOCAL), N(PF_INET), N(PF_INET6), N(PF_NETLINK), N(PF_PACKET), N(PF_BLUETOOTH), N(PF_ALG),
    N(PF_CAN), N(PF_VSOCK), N(PF_TIPC), N(PF_KEY), END,
};
static const Name names_socket[] = {
    N(SOCK_STREAM), N(SOCK_DGRAM), N(SOCK_RAW), N(SOCK_RDM), N(SOCK_SEQPACKET), N(SOCK_DCCP), N(SOCK_PACKET), END,
};
static const Name names_message[] = {
    N(MSG_OOB), N(MSG_PEEK), N(MSG_DONTROUTE), N(MSG_CTRUNC), N(MSG_TRUNC), N(MSG_DONTWAIT), N(MSG_EOR),
    N(MSG_WAITALL), N(MSG_CONFIRM), N(MSG_ERRQUEUE), N(MSG_NOSIGNAL), N(MSG_MORE), N(MSG_WAITFORONE), N(MSG_FASTOPEN),
    N(MSG_CMSG_CLOEXEC), END,
};
static const Name names_shutdown[] = { N(SHUT_RD), N(SHUT_WR), N(SHUT_RDWR), END };
static const Name names_socket_level[] = {
    N(SOL_SOCKET), { 0, "SOL_IP" }, { 6, "SOL_TCP" }, { 17, "SOL_UDP" }, { 41, "SOL_IPV6" }, { 58, "SOL_ICMPV6" },
    N(SOL_PACKET), N(SOL_NETLINK), END,
};
static const Name names_socket_option[] = {
    N(SO_DEBUG), N(SO_REUSEADDR), N(SO_TYPE), N(SO_ERROR), N(SO_DONTROUTE), N(SO_BROADCAST), N(SO_SNDBUF),
    N(SO_RCVBUF), N(SO_KEEPALIVE), N(SO_OOBINLINE), N(SO_NO_CHECK), N(SO_PRIORITY), N(SO_LINGER), N(SO_BSDCOMPAT),
    N(SO_REUSEPORT), N(SO_PASSCRED), N(SO_PEERCRED), N(SO_RCVLOWAT), N(SO_SNDLOWAT), N(SO_RCVTIMEO), N(SO_SNDTIMEO),
    N(SO_BINDTODEVICE), N(SO_ATTACH_FILTER), N(SO_DETACH_FILTER), N(SO_PEERNAME), N(SO_TIMESTAMP), N(SO_ACCEPTCONN),
    N(SO_PEERSEC), N(SO_SNDBUFFORCE), N(SO_RCVBUFFORCE), N(SO_PASSSEC), N(SO_TIMESTAMPNS), N(SO_MARK),
    N(SO_TIMESTAMPING), N(SO_PROTOCOL), N(SO_DOMAIN), N(SO_RXQ_OVFL), N(SO_BUSY_POLL), N(SO_INCOMING_CPU),
    N(SO_ATTACH_BPF), N(SO_COOKIE), N(SO_ZEROCOPY), END,
};
static const Name names_ipc[] = { { 01000, "IPC_CREAT" }, { 02000, "IPC_EXCL" }, { 04000, "IPC_NOWAIT" }, END };
static const Name names_ipc_control[] = { N(IPC_RMID), N(IPC_SET), N(IPC_STAT), N(IPC_INFO), END };
static const Name names_random[] = { N(GRND_NONBLOCK), N(GRND_RANDOM), { 4, "GRND_INSECURE" }, END };
static const Name names_personality[] = {
    N(ADDR_NO_RANDOMIZE), N(READ_IMPLIES_EXEC), N(UNAME26), N(SHORT_INODE), N(ADDR_LIMIT_3GB), END,
};
static const Name names_poll[] = {
    N(POLLIN), N(POLLPRI), N(POLLOUT), N(POLLERR), N(POLLHUP), N(POLLNVAL), N(POLLRDNORM), N(POLLRDBAND),
    N(POLLWRNORM), N(POLLWRBAND), N(POLLRDHUP), END,
};
static const Name names_close_range[] = { { 2, "CLOSE_RANGE_UNSHARE" }, { 4, "CLOSE_RANGE_CLOEXEC" }, END };
static const Name names_seccomp[] = {
    N(SECCOMP_SET_MODE_STRICT), N(SECCOMP_SET_MODE_FILTER), N(SECCOMP_GET_ACTION_AVAIL), END,
};
static const Name names_reboot[] = {
    N(RB_AUTOBOOT), N(RB_HALT_SYSTEM), N(RB_POWER_OFF), N(RB_ENABLE_CAD), N(RB_DISABLE_CAD), END,
};

static const Name names_access_at[] = {
    { 0x100, "AT_SYMLINK_NOFOLLOW" }, { 0x200, "AT_EACCESS" }, { 0x1000, "AT_EMPTY_PATH" }, END,
};
/* Of a new descriptor: those of open that are no mode. */
static const Name names_bits[] = {
    { 04000, "O_NONBLOCK" }, { 040000, "O_DIRECT" }, { 0200, "O_NOTIFICATION_PIPE" }, { 02000000, "O_CLOEXEC" }, END,
};
static const Name names_fanotify[] = {
    N(FAN_CLOEXEC), N(FAN_NONBLOCK), N(FAN_CLASS_CONTENT), N(FAN_CLASS_PRE_CONTENT), N(FAN_UNLIMITED_QUEUE),
    N(FAN_UNLIMITED_MARKS), N(FAN_ENABLE_AUDIT), { 0x80, "FAN_REPORT_PIDFD" }, N(FAN_REPORT_TID), N(FAN_REPORT_FID),
    { 0x400, "FAN_REPORT_DIR_FID" }, { 0x800, "FAN_REPORT_NAME" }, { 0x1000, "FAN_REPORT_TARGET_FID" }, END,
};
static const Name names_fanotify_mark[] = {
    N(FAN_MARK_ADD), N(FAN_MARK_REMOVE), N(FAN_MARK_DONT_FOLLOW), N(FAN_MARK_ONLYDIR), N(FAN_MARK_MOUNT),
    N(FAN_MARK_IGNORED_MASK), N(FAN_MARK_IGNORED_SURV_MODIFY), N(FAN_MARK_FLUSH), N(FAN_MARK_FILESYSTEM),
    { 0x200, "FAN_MARK_EVICTABLE" }, { 0x400, "FAN_MARK_IGNORE" }, END,
};
static const Name names_fanotify_mask[] = {
    N(FAN_ACCESS), N(FAN_MODIFY), N(FAN_ATTRIB), N(FAN_CLOSE_WRITE), N(FAN_CLOSE_NOWRITE), N(FAN_OPEN),
    N(FAN_MOVED_FROM), N(FAN_MOVED_TO), N(FAN_CREATE), N(FAN_DELETE), N(FAN_DELETE_SELF), N(FAN_MOVE_SELF),
    N(FAN_OPEN_EXEC), N(FAN_Q_OVERFLOW), N(FAN_OPEN_PERM), N(FAN_ACCESS_PERM), N(FAN_OPEN_EXEC_PERM),
    N(FAN_EVENT_ON_CHILD), N(FAN_ONDIR), END,
};
/* The size in the low bits is 32 alone. */
static const Name names_futex2[] = {
    { 2, "FUTEX2_SIZE_U32" }, { 4, "FUTEX2_NUMA" }, { 8, "FUTEX2_MPOL" }, { 128, "FUTEX2_PRIVATE" }, END,
};
static const Name names_keyctl[] = {
    N(KEYCTL_GET_KEYRING_ID), N(KEYCTL_JOIN_SESSION_KEYRING), N(KEYCTL_UPDATE), N(KEYCTL_REVOKE), N(KEYCTL_CHOWN),
    N(KEYCTL_SETPERM), N(KEYCTL_DESCRIBE), N(KEYCTL_CLEAR), N(KEYCTL_LINK), N(KEYCTL_UNLINK), N(KEYCTL_SEARCH),
    N(KEYCTL_READ), N(KEYCTL_INSTANTIATE), N(KEYCTL_NEGATE), N(KEYCTL_SET_REQKEY_KEYRING), N(KEYCTL_SET_TIMEOUT),
    N(KEYCTL_ASSUME_AUTHORITY), N(KEYCTL_GET_SECURITY), N(KEYCTL_SESSION_TO_PARENT), N(KEYCTL_REJECT),
    N(KEYCTL_INSTANTIATE_IOV), N(KEYCTL_INVALIDATE), N(KEYCTL_GET_PERSISTENT), N(KEYCTL_DH_COMPUTE),
    N(KEYCTL_PKEY_QUERY), N(KEYCTL_PKEY_ENCRYPT), N(KEYCTL_PKEY_DECRYPT), N(KEYCTL_PKEY_SIGN), N(KEYCTL_PKEY_VERIFY),
    N(KEYCTL_RESTRICT_KEYRING), N(KEYCTL_MOVE), N(KEYCTL_CAPABILITIES), END,
};
static const Name names_kcmp[] = {
    N(KCMP_FILE), N(KCMP_VM), N(KCMP_FILES), N(KCMP_FS), N(KCMP_SIGHAND), N(KCMP_IO), N(KCMP_SYSVSEM),
    N(KCMP_EPOLL_TFD), END,
};
static const Name names_mempolicy[] = {
    N(MPOL_DEFAULT), N(MPOL_PREFERRED), N(MPOL_BIND), N(MPOL_INTERLEAVE), N(MPOL_LOCAL), N(MPOL_PREFERRED_MANY), END,
};
static const Name names_mempolicy_flags[] = { N(MPOL_F_NODE), N(MPOL_F_ADDR), N(MPOL_F_MEMS_ALLOWED), END };
static const Name names_move_pages[] = { N(MPOL_MF_STRICT), N(MPOL_MF_MOVE), N(MPOL_MF_MOVE_ALL), END };
static const Name names_open_tree[] = {
    { 1, "OPEN_TREE_CLONE" }, { 02000000, "OPEN_TREE_CLOEXEC" }, { 0x100, "AT_SYMLINK_NOFOLLOW" },
    { 0x800, "AT_NO_AUTOMOUNT" }, { 0x1000, "AT_EMPTY_PATH" }, { 0x8000, "AT_RECURSIVE" }, END,
};
static const Name names_move_mount[] = {
    { 1, "MOVE_MOUNT_F_SYMLINKS" }, { 2, "MOVE_MOUNT_F_AUTOMOUNTS" }, { 4, "MOVE_MOUNT_F_EMPTY_PATH" },
    { 0x10, "MOVE_MOUNT_T_SYMLINKS" }, { 0x20, "MOVE_MOUNT_T_AUTOMOUNTS" }, { 0x40, "MOVE_MOUNT_T_EMPTY_PATH" },
    { 0x100, "MOVE_MOUNT_SET_GROUP" }, { 0x200, "MOVE_MOUNT_BENEATH" }, END,
};
static const Name names_fsopen[] = { { 1, "FSOPEN_CLOEXEC" }, END };
static const Name names_fsconfig[] = {
    { 0, "FSCONFIG_SET_FLAG" }, { 1, "FSCONFIG_SET_STRING" }, { 2, "FSCONFIG_SET_BINARY" }, { 3, "FSCONFIG_SET_PATH" },
    { 4, "FSCONFIG_SET_PATH_EMPTY" }, { 5, "FSCONFIG_SET_FD" }, { 6, "FSCONFIG_CMD_CREATE" },
    { 7, "FSCONFIG_CMD_RECONFIGURE" }, { 8, "FSCONFIG_CMD_CREATE_EXCL" }, END,
};
static const Name names_fsmount[] = { { 1, "FSMOUNT_CLOEXEC" }, END };
static const Name names_mount_attribute[] = {
    { 1, "MOUNT_ATTR_RDONLY" }, { 2, "MOUNT_ATTR_NOSUID" }, { 4, "MOUNT_ATTR_NODEV" }, { 8, "MOUNT_ATTR_NOEXEC" },
    { 0x20, "MOUNT_ATTR_STRICTATIME" }, { 0x10, "MOUNT_ATTR_NOATIME" }, { 0x80, "MOUNT_ATTR_NODIRATIME" },
    { 0x100000, "MOUNT_ATTR_IDMAP" }, { 0x200000, "MOUNT_ATTR_NOSYMFOLLOW" }, END,
};
static const Name names_fspick[] = {
    { 1, "FSPICK_CLOEXEC" }, { 2, "FSPICK_SYMLINK_NOFOLLOW" }, { 4, "FSPICK_NO_AUTOMOUNT" },
    { 8, "FSPICK_EMPTY_PATH" }, END,
};
static const Name names_semaphore_control[] = {
    N(IPC_RMID), N(IPC_SET), N(IPC_STAT), N(IPC_INFO), { 11, "GETPID" }, { 12, "GETVAL" }, { 13, "GETALL" },
    { 14, "GETNCNT" }, { 15, "GETZCNT" }, { 16, "SETVAL" }, { 17, "SETALL" }, { 18, "SEM_STAT" }, { 19, "SEM_INFO" },
    { 20, "SEM_STAT_ANY" }, END,
};
static const Name names_shm[] = {
    { 010000, "SHM_RDONLY" }, { 020000, "SHM_RND" }, { 040000, "SHM_REMAP" }, { 0100000, "SHM_EXEC" }, END,
};
static const Name names_notify[] = {
    { 0, "SIGEV_SIGNAL" }, { 1, "SIGEV_NONE" }, { 2, "SIGEV_THREAD" }, { 4, "SIGEV_THREAD_ID" }, END,
};
static const Name names_mlock[] = { { 1, "MLOCK_ONFAULT" }, END };
static const Name names_utime[] = { { 0x100, "AT_SYMLINK_NOFOLLOW" }, { 0x1000, "AT_EMPTY_PATH" }, END };
static const Name names_landlock[] = { { 1, "LANDLOCK_RULE_PATH_BENEATH" }, { 2, "LANDLOCK_RULE_NET_PORT" }, END };
static const Name names_sync_range[] = {
    N(SYNC_FILE_RANGE_WAIT_BEFORE), N(SYNC_FILE_RANGE_WRITE), N(SYNC_FILE_RANGE_WAIT_AFTER), END,
};
static const Name names_pidfd[] = { { 04000, "PIDFD_NONBLOCK" }, { 0200, "PIDFD_THREAD" }, END };
static const Name names_signal_code[] = {
    N(SI_USER), N(SI_KERNEL), N(SI_QUEUE), N(SI_TIMER), N(SI_MESGQ), N(SI_ASYNCIO), N(SI_SIGIO), N(SI_TKILL), END,
};
static const Name names_handle[] = {
    { 0x200, "AT_HANDLE_FID" }, { 1, "AT_HANDLE_MNT_ID_UNIQUE" }, { 0x400, "AT_SYMLINK_FOLLOW" },
    { 0x1000, "AT_EMPTY_PATH" }, END,
};
static const Name names_swap[] = {
    { 0x8000, "SWAP_FLAG_PREFER" }, { 0x10000, "SWAP_FLAG_DISCARD" }, END,
};
static const Name names_module[] = {
    { 1, "MODULE_INIT_IGNORE_MODVERSIONS" }, { 2, "MODULE_INIT_IGNORE_VERMAGIC" }, END,
};
static const Name names_priority_io[] = {
    { 1, "IOPRIO_WHO_PROCESS" }, { 2, "IOPRIO_WHO_PGRP" }, { 3, "IOPRIO_WHO_USER" }, END,
};

static const Name *const sets[NAMES_COUNT] = {
    names_open, names_at, names_prot, names_map, names_clone, names_access, names_whence, names_fcntl, names_fd,
    names_lock,
    names_splice, names_rename, names_xattr, names_fallocate, names_fadvise, names_statx, names_rwf, names_epoll_ctl,
    names_epoll_create, names_eventfd, names_timerfd, names_signalfd, names_inotify, names_inotify_mask, names_mount,
    names_umount, names_mremap, names_madvise, names_msync, names_mlockall, names_memfd, names_membarrier, names_futex,
    names_wait, names_wait_id, names_clock, names_timer, names_itimer, names_resource, names_rusage, names_prctl,
    names_sched,
    names_priority, names_signal_how, names_sigaction, names_domain, names_socket, names_message, names_shutdown,
    names_socket_level, names_socket_option, names_ipc, names_ipc_control, names_random, names_personality, names_poll,
    names_close_range, names_seccomp, names_reboot, names_access_at, names_bits, names_fanotify, names_fanotify_mark,
    names_fanotify_mask, names_futex2, names_keyctl, names_kcmp, names_mempolicy, names_mempolicy_flags,
    names_move_pages, names_open_tree, names_move_mount, names_fsopen, names_fsconfig, names_fsmount,
    names_mount_attribute, names_fspick, names_semaphore_control, names_shm, names_notify, names_mlock, names_utime,
    names_landlock, names_sync_range, names_pidfd, names_signal_code, names_handle, names_swap, names_module,
    names_priority_io,
};

/* What zero is called where it is a value of its own. */
static const char *zero_of(NameSet set)
{
    return set == NAMES_OPEN ? "O_RDONLY" : set == NAMES_PROT ? "PROT_NONE" : set == NAMES_ACCESS ? "F_OK" : "0";
}

/* What has no name follows in hexadecimal; clone's signal is one that has. */
void strace_flags(NameSet set, uint64_t value, StrBuf *text)
{
    const char *separator = "";
    uint64_t signal = set == NAMES_CLONE ? value & 0xff : 0;

    if (!value) {
        strbuf_append(text, zero_of(set));
        return;
    }
    value &= ~signal;
    if (set == NAMES_OPEN && !(value & 3) && !(value & 010000000)) {
        strbuf_append(text, "O_RDONLY");
        separator = "|";
    }
    for (const Name *name = sets[set]; name->name; name++) {
        if (name->value && (value & name->value) == name->value) {
            strbuf_printf(text, "%s%s", separator, name->name);
            value &= ~name->value;
            separator = "|";
        }
    }
    if (signal) {
        strbuf_append(text, separator);
        strace_signal(signal, text);
        separator = "|";
    }
    if (value) {
        strbuf_printf(text, "%s0x%" PRIx64, separator, value);
    }
}

void strace_choice(NameSet set, uint64_t value, StrBuf *text)
{
    uint64_t flags = set == NAMES_SOCKET ? value & (SOCK_CLOEXEC | SOCK_NONBLOCK) : 0;
    bool is_known = false;

    for (const Name *name = sets[set]; name->name && !is_known; name++) {
        is_known = (uint32_t)name->value == (uint32_t)(value & ~flags);
        strbuf_append(text, is_known ? name->name : "");
    }
    if (!is_known) {
        strbuf_printf(text, "%" PRId64, (int64_t)(int32_t)(value & ~flags));
    }
    strbuf_append(text, flags & SOCK_CLOEXEC ? "|SOCK_CLOEXEC" : "");
    strbuf_append(text, flags & SOCK_NONBLOCK ? "|SOCK_NONBLOCK" : "");
}

void strace_signal(uint64_t number, StrBuf *text)
{
    const char *name = sigabbrev_np((int)number);

    if (name) {
        strbuf_printf(text, "SIG%s", name);
    } else {
        strbuf_printf(text, number >= 32 && number <= 64 ? "SIGRT_%" PRId64 : "%" PRId64,
                      (int64_t)number - (number >= 32 && number <= 64 ? 32 : 0));
    }
}

/* [INT TERM], or of more than half of them ~[those that are not in it]. */
void strace_signals(uint64_t set, StrBuf *text)
{
    bool inverse = __builtin_popcountll(set) > 32;
    const char *separator = "";

    strbuf_append(text, inverse ? "~[" : "[");
    for (unsigned number = 1; number <= 64; number++) {
        if ((set >> (number - 1) & 1) != inverse) {
            strbuf_append(text, separator);
            strace_signal(number, text);
            separator = ",";
        }
    }
    strbuf_append_char(text, ']');
}
