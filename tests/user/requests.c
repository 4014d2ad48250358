/* Requests of ioctl on terminals, files, disks, networks and what else a machine has anywhere; what needs rights is
 * printed where it works, or with its error, on the host as on the guest. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/loop.h>
#include <linux/nsfs.h>
#include <linux/random.h>
#include <linux/wireless.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "narrow.h"

static void show(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result < 0 ? -1 : result, result < 0 ? strerror(errno) : "");
}
#define SHOW(expression) (errno = 0, show(#expression, (long)(expression)))

static void terminals(void)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0, number = -1, value = 0;
    struct termios settings, old;
    struct winsize size = { 30, 90, 1, 2 }, got = { 0 };
    char name[32];

    SHOW(ioctl(master, TIOCSPTLCK, &zero));
    SHOW(ioctl(master, TIOCGPTN, &number));
    SHOW(number >= 0);
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    int slave = open(name, O_RDWR | O_NOCTTY);
    SHOW(ioctl(slave, TCGETS, &settings));
    old = settings;
    settings.c_lflag &= ~(ICANON | ECHO);
    settings.c_cc[VMIN] = 3;
    SHOW(ioctl(slave, TCSETSW, &settings));
    SHOW(ioctl(slave, TCGETS, &settings));
    SHOW(settings.c_cc[VMIN]);
    SHOW((old.c_lflag ^ settings.c_lflag) == (ICANON | ECHO));
    SHOW(ioctl(master, TIOCSWINSZ, &size));
    SHOW(ioctl(slave, TIOCGWINSZ, &got));
    SHOW(memcmp(&size, &got, sizeof got));
    write(master, "abc", 3);
    SHOW(poll(&(struct pollfd){ slave, POLLIN, 0 }, 1, 5000)); /* three letters are there */
    SHOW(ioctl(slave, FIONREAD, &value));
    SHOW(value);
    SHOW(ioctl(slave, TIOCOUTQ, &value));
    SHOW(ioctl(slave, TIOCGETD, &value));
    SHOW(ioctl(slave, TIOCEXCL));
    SHOW(ioctl(slave, TIOCNXCL));
    SHOW(ioctl(slave, TIOCGPGRP, &value));
    SHOW(ioctl(slave, TCFLSH, TCIOFLUSH));
    SHOW(ioctl(slave, TCSBRK, 1));
    SHOW(ioctl(slave, TIOCGSERIAL, name));
    SHOW(ioctl(slave, TCGETS, (void *)8));
    SHOW(ioctl(slave, TIOCSWINSZ, (void *)8));
    if (!fork()) {
        setsid();
        SHOW(ioctl(slave, TIOCSCTTY, 0));
        SHOW(ioctl(slave, TIOCGSID, &value));
        SHOW(value == getpid());
        SHOW(ioctl(slave, TIOCGPGRP, &value));
        SHOW(value == getpid());
        _exit(0);
    }
    wait(NULL);
}

static void files(void)
{
    char name[] = "/tmp/myna-requests-XXXXXX", label[256];
    int fd = mkstemp(name), value = 0, other = open("/tmp", O_RDONLY);
    struct {
        struct fiemap map;
        struct fiemap_extent extents[2];
    } extents = { .map = { .fm_length = ~0ULL, .fm_extent_count = 2, .fm_flags = FIEMAP_FLAG_SYNC } };
    struct fsxattr attributes;
    long flags = 0, version = 0;

    write(fd, label, sizeof label);
    SHOW(ioctl(fd, FIGETBSZ, &value));
    SHOW(value);
    SHOW(ioctl(fd, FS_IOC_GETFLAGS, &flags));
    SHOW((int)flags);
    SHOW(ioctl(fd, FS_IOC_SETFLAGS, &flags));
    SHOW(ioctl(fd, FS_IOC_GETVERSION, &version) < 0);
    SHOW(ioctl(fd, FS_IOC_FIEMAP, &extents));
    SHOW(extents.map.fm_mapped_extents);
    SHOW(ioctl(fd, FS_IOC_FSGETXATTR, &attributes));
    SHOW(ioctl(fd, FICLONE, other));
    SHOW(ioctl(other, FS_IOC_GETFSLABEL, label));
    SHOW(ioctl(fd, FIBMAP, &value) < -1);
    SHOW(ioctl(fd, FIOQSIZE, label));
    SHOW(ioctl(fd, FIONBIO, &value));
    SHOW(ioctl(fd, FIOCLEX));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(ioctl(fd, FIONCLEX));
    SHOW(ioctl(fd, _IOR('f', 133, char[4]), label)); /* fs-verity, of another length */
    SHOW(ioctl(fd, _IOWR(0x94, 60, char[448]), label) < 0);
    SHOW(ioctl(fd, 0xae00) < 0); /* KVM_GET_API_VERSION */
    unlink(name);
}

/* A disk over a file, with what it says of itself in the old struct and in the new. */
static void disks(void)
{
    char name[] = "/tmp/myna-disk-XXXXXX", disk[32];
    int control = open("/dev/loop-control", O_RDWR), fd = mkstemp(name), value = 0;
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    struct loop_info info = { 0 };
    struct loop_info64 wide = { 0 };
    unsigned long sectors = 0;
    uint64_t bytes = 0;

    ftruncate(fd, 1 << 20);
    snprintf(disk, sizeof disk, "/dev/loop%d", number);
    int loop = number < 0 ? -1 : open(disk, O_RDWR);
    if (loop < 0 || ioctl(loop, LOOP_SET_FD, fd)) {
        printf("no disk\n");
    } else {
        strcpy(info.lo_name, "a name");
        info.lo_offset = 4096;
        info.lo_init[0] = 77;
        SHOW(ioctl(loop, LOOP_SET_STATUS, &info));
        memset(&info, 0xff, sizeof info);
        SHOW(ioctl(loop, LOOP_GET_STATUS, &info));
        printf("%s %d %d %d %lu\n", info.lo_name, info.lo_offset, info.lo_number == number, info.lo_inode > 0,
               (unsigned long)info.lo_init[0]);
        SHOW(ioctl(loop, LOOP_GET_STATUS64, &wide));
        printf("%s %llu\n", wide.lo_file_name, (unsigned long long)wide.lo_offset);
        SHOW(ioctl(loop, LOOP_GET_STATUS, (void *)8));
        SHOW(ioctl(loop, BLKGETSIZE, &sectors));
        SHOW(ioctl(loop, BLKGETSIZE64, &bytes));
        printf("%lu %llu\n", sectors, (unsigned long long)bytes);
        SHOW(ioctl(loop, BLKSSZGET, &value));
        SHOW(ioctl(loop, BLKROGET, &value));
        SHOW(ioctl(loop, BLKRAGET, &sectors));
        SHOW(ioctl(loop, BLKFLSBUF));
        SHOW(ioctl(loop, BLKDISCARD, (uint64_t[2]){ 0, 4096 }));
        SHOW(ioctl(loop, BLKZEROOUT, (uint64_t[2]){ 1, 4096 }));
        SHOW(ioctl(loop, LOOP_CLR_FD));
    }
    unlink(name);
}

static void networks(void)
{
    int net = socket(AF_INET, SOCK_DGRAM, 0), tunnel = open("/dev/net/tun", O_RDWR);
    unsigned features = 0;
    struct ifreq request = { 0 };
    struct iwreq wireless = { 0 };

    strcpy(request.ifr_name, "lo");
    SHOW(ioctl(net, SIOCGIFADDR, &request));
    SHOW(ioctl(net, SIOCGIFMTU, &request));
    SHOW(request.ifr_mtu);
    SHOW(ioctl(net, SIOCGIFHWADDR, &request));
    SHOW(ioctl(net, SIOCGIFTXQLEN, &request));
    strcpy(wireless.ifr_name, "lo");
    SHOW(ioctl(net, SIOCGIWNAME, &wireless));
    SHOW(ioctl(net, SIOCATMARK, &features));
    SHOW(ioctl(net, 0x8907 /* SIOCGSTAMPNS by its old number */, &wireless));
    if (tunnel < 0 || ioctl(tunnel, TUNGETFEATURES, &features)) {
        printf("no tunnel\n");
        return;
    }
    SHOW((features & IFF_TUN) != 0);
    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    SHOW(ioctl(tunnel, TUNSETIFF, &request));
    SHOW(request.ifr_name[0]);
    memset(&request, 0, sizeof request);
    SHOW(ioctl(tunnel, TUNGETIFF, &request));
    SHOW((request.ifr_flags & (IFF_TUN | IFF_NO_PI)) == (IFF_TUN | IFF_NO_PI));
    SHOW(ioctl(tunnel, TUNGETVNETHDRSZ, &features));
    SHOW(ioctl(tunnel, TUNSETPERSIST, 0));
}

static void others(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, 0), watches = inotify_init1(0), queue = epoll_create1(0), bits = 0;
    int random = open("/dev/urandom", O_RDWR), space = open("/proc/self/ns/uts", O_RDONLY);
    uint64_t ticks = 3;
    struct {
        uint32_t microseconds;
        uint16_t budget;
        uint8_t prefer, padding;
    } polling = { 0 };

    SHOW(ioctl(timer, _IOW('T', 0, uint64_t), &ticks));
    ticks = 0;
    SHOW(read(timer, &ticks, 8));
    SHOW(ticks);
    SHOW(ioctl(watches, _IOW('I', 0, int32_t), 1000));
    SHOW(inotify_add_watch(watches, "/tmp", IN_CREATE));
    SHOW(ioctl(queue, _IOR(0x8a, 2, polling), &polling));
    SHOW(ioctl(random, RNDGETENTCNT, &bits));
    SHOW(bits > 0);
    SHOW(ioctl(random, RNDADDENTROPY, (void *)8) < 0);
    SHOW(ioctl(space, NS_GET_NSTYPE));
    SHOW(ioctl(space, NS_GET_USERNS) >= 0 || errno == EPERM);
    SHOW(ioctl(-1, TCGETS, NULL));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    terminals();
    files();
    disks();
    networks();
    others();
    return 0;
}
