/* System V and POSIX communication, messages of sockets in batches and with files, execveat, and calls that are
 * refused. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
};

#define SHOW(call) \
    do { \
        errno = 0; \
        long result_ = (long)(call); \
        printf("%s: %ld %s\n", #call, result_ < 0 ? -1 : result_, result_ < 0 ? strerror(errno) : ""); \
    } while (0)

static void semaphores(void)
{
    int id = semget(IPC_PRIVATE, 3, 0600), status;
    unsigned short values[3] = { 5, 6, 7 };
    struct semid_ds state;
    struct sembuf take = { 1, -6, 0 }, more = { 1, -1, IPC_NOWAIT }, undo = { 0, -2, SEM_UNDO };
    struct timespec soon = { 0, 1000000 };

    SHOW(semctl(id, 0, SETALL, (union semun){ .array = values }));
    SHOW(semop(id, &take, 1));
    SHOW(semop(id, &more, 1));
    SHOW(semtimedop(id, &take, 1, &soon));
    SHOW(semctl(id, 1, GETVAL));
    SHOW(semctl(id, 1, SETVAL, (union semun){ .val = 9 }));
    pid_t child = fork();
    if (!child) {
        semop(id, &undo, 1);
        _exit(semctl(id, 0, GETVAL));
    }
    waitpid(child, &status, 0);
    memset(values, 0, sizeof values);
    SHOW(semctl(id, 0, GETALL, (union semun){ .array = values }));
    printf("values %d %d %d, child %x\n", values[0], values[1], values[2], status);
    SHOW(semctl(id, 0, IPC_STAT, (union semun){ .buf = &state }));
    printf("nsems %ld, mode %o, otime %d, ctime %d, uid %d\n", (long)state.sem_nsems, state.sem_perm.mode,
           state.sem_otime > 0, state.sem_ctime > 0, state.sem_perm.uid == getuid());
    state.sem_perm.mode = 0640;
    SHOW(semctl(id, 0, IPC_SET, (union semun){ .buf = &state }));
    SHOW(syscall(SYS_semctl, id, 0, IPC_STAT, (void *)8)); /* libc looks into it */
    SHOW(semop(id, (void *)8, 1));
    SHOW(semctl(id, 0, IPC_RMID));
    SHOW(semop(id, &take, 1));
}

static void queues(void)
{
    struct {
        long type;
        char text[32];
    } message = { 3, "three" }, other = { 7, "seven" }, got = { 0 };
    struct msqid_ds state;
    int id = msgget(IPC_PRIVATE, 0600);

    SHOW(msgsnd(id, &message, 6, 0));
    SHOW(msgsnd(id, &other, 6, 0));
    SHOW(msgctl(id, IPC_STAT, &state));
    printf("%ld messages, %ld bytes, pid %d\n", (long)state.msg_qnum, (long)state.__msg_cbytes,
           state.msg_lspid == getpid());
    SHOW(msgrcv(id, &got, sizeof got.text, 7, 0));
    printf("%ld %s\n", got.type, got.text);
    SHOW(msgrcv(id, &got, 2, 0, 0));
    SHOW(msgrcv(id, &got, 2, 0, MSG_NOERROR));
    SHOW(msgrcv(id, &got, sizeof got.text, 0, IPC_NOWAIT));
    SHOW(msgsnd(id, &message, 6, 0));
    SHOW(msgrcv(id, &got, (size_t)-1, 0, IPC_NOWAIT));
    SHOW(msgrcv(id, &got, 64 << 20, 0, IPC_NOWAIT)); /* more than any message may have */
    SHOW(msgsnd(id, (void *)8, 6, 0));
    message.type = 0;
    SHOW(msgsnd(id, &message, 6, 0));
    SHOW(msgctl(id, IPC_RMID, NULL));
}

static void segments(void)
{
    int id = shmget(IPC_PRIVATE, 5000, 0600), status;
    struct shmid_ds state;
    char *at = shmat(id, NULL, 0);

    strcpy(at, "shared");
    if (!fork()) {
        strcpy(at + 4096, "by the child");
        _exit(0);
    }
    wait(&status);
    printf("%s %s\n", at, at + 4096);
    SHOW(shmctl(id, IPC_STAT, &state));
    printf("size %ld, attached %ld, mode %o\n", (long)state.shm_segsz, (long)state.shm_nattch, state.shm_perm.mode);
    SHOW(shmctl(id, IPC_RMID, NULL));
    SHOW(shmdt(at));
    SHOW(shmdt(at));
    SHOW(shmctl(id, IPC_STAT, &state));
}

static volatile sig_atomic_t notified;

static void on_notify(int number, siginfo_t *info, void *context)
{
    notified = info->si_code == SI_MESGQ ? info->si_value.sival_int : -1;
}

static void posix_queues(void)
{
    struct mq_attr attributes = { .mq_maxmsg = 4, .mq_msgsize = 64 }, got;
    struct sigaction action = { .sa_sigaction = on_notify, .sa_flags = SA_SIGINFO };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77 };
    char name[64], text[64] = "";
    unsigned priority;

    snprintf(name, sizeof name, "/myna-test-%d", getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
    sigaction(SIGUSR1, &action, NULL);
    SHOW(mq_notify(queue, &event));
    SHOW(mq_send(queue, "low", 4, 1));
    printf("notified %d\n", notified);
    SHOW(mq_send(queue, "high", 5, 9));
    SHOW(mq_getattr(queue, &got));
    printf("%ld %ld %ld\n", got.mq_maxmsg, got.mq_msgsize, got.mq_curmsgs);
    SHOW(mq_receive(queue, text, sizeof text, &priority));
    printf("%s %u\n", text, priority);
    SHOW(mq_receive(queue, text, 3, &priority));
    struct timespec past = { 1, 0 };
    SHOW(mq_timedreceive(queue, text, sizeof text, &priority, &past));
    SHOW(mq_timedreceive(queue, text, sizeof text, &priority, &past));
    SHOW(mq_unlink(name));
    SHOW(mq_close(queue));
}

static void batches(void)
{
    struct mmsghdr out[3] = { 0 }, in[4] = { 0 };
    struct iovec from[3], to[4];
    char text[4][16] = { "" };
    int ends[2];

    socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
    for (int i = 0; i < 3; i++) {
        from[i] = (struct iovec){ "message" + i, 7 - i };
        out[i].msg_hdr.msg_iov = &from[i];
        out[i].msg_hdr.msg_iovlen = 1;
    }
    for (int i = 0; i < 4; i++) {
        to[i] = (struct iovec){ text[i], sizeof text[i] };
        in[i].msg_hdr.msg_iov = &to[i];
        in[i].msg_hdr.msg_iovlen = 1;
    }
    SHOW(sendmmsg(ends[0], out, 3, 0));
    printf("lengths %u %u %u\n", out[0].msg_len, out[1].msg_len, out[2].msg_len);
    SHOW(recvmmsg(ends[1], in, 4, MSG_WAITFORONE, NULL));
    printf("%s %s %s, %u %u\n", text[0], text[1], text[2], in[0].msg_len, in[2].msg_len);
    SHOW(recvmmsg(ends[1], in, 4, MSG_DONTWAIT, NULL));
    SHOW(sendmmsg(ends[0], (void *)8, 1, 0));
    SHOW(sendmmsg(-1, out, 3, 0));
    struct timespec bad = { 0, -1 };
    SHOW(recvmmsg(ends[1], in, 4, 0, &bad));
    close(ends[0]);
    close(ends[1]);
}

/* An open file and an identity go with a message. */
static void passing(void)
{
    char control[256], text[16];
    struct iovec vector = { text, 3 };
    struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control };
    int ends[2], pipes[2], on = 1;

    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pipe(pipes);
    setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    struct cmsghdr *c = (struct cmsghdr *)control;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pipes[1], sizeof(int));
    header.msg_controllen = CMSG_SPACE(sizeof(int));
    SHOW(sendmsg(ends[0], &header, 0));
    memset(control, 0, sizeof control);
    header.msg_controllen = sizeof control;
    SHOW(recvmsg(ends[1], &header, MSG_CMSG_CLOEXEC));
    for (c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        printf("control: level %d, type %d\n", c->cmsg_level, c->cmsg_type);
        if (c->cmsg_type == SCM_RIGHTS) {
            int fd;
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
            write(fd, "through", 8);
            read(pipes[0], text, 8);
            printf("%s, cloexec %d\n", text, fcntl(fd, F_GETFD));
        } else {
            struct ucred *identity = (struct ucred *)CMSG_DATA(c);
            printf("pid %d, uid %d\n", identity->pid == getpid(), identity->uid == getuid());
        }
    }
    header.msg_control = (void *)8;
    SHOW(sendmsg(ends[0], &header, 0));
    header.msg_iov = (void *)8;
    SHOW(sendmsg(ends[0], &header, 0));
    SHOW(syscall(SYS_recvmsg, ends[0], (void *)8, MSG_DONTWAIT));
}

static void execveats(char **argv)
{
    char *arguments[] = { "again", "exec", "it", NULL }, *environment[] = { NULL };
    int status, self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), folder = open("/bin", O_PATH | O_DIRECTORY);

    fflush(stdout);
    if (!fork()) {
        syscall(SYS_execveat, self, "", arguments, environment, AT_EMPTY_PATH);
        _exit(1);
    }
    wait(&status);
    printf("by file: %x\n", status);
    int copy = memfd_create("copy", MFD_CLOEXEC);
    char bytes[65536];
    ssize_t count;
    while ((count = read(self, bytes, sizeof bytes)) > 0) {
        write(copy, bytes, count);
    }
    fflush(stdout);
    if (!fork()) {
        syscall(SYS_execveat, copy, "", arguments, environment, AT_EMPTY_PATH);
        _exit(1);
    }
    wait(&status);
    printf("without a name: %x\n", status);
    SHOW(syscall(SYS_execveat, folder, "nothing", arguments, environment, 0));
    SHOW(syscall(SYS_execveat, folder, "", arguments, environment, 0));
    SHOW(syscall(SYS_execveat, -1, "x", arguments, environment, 0));
    SHOW(syscall(SYS_execveat, -1, "x", arguments, environment, 1));
    SHOW(syscall(SYS_execveat, -1, (void *)8, arguments, environment, 0));
    SHOW(syscall(SYS_execveat, self, "", (void *)8, environment, AT_EMPTY_PATH));
}

static void others(void)
{
    unsigned char vector[2] = { 9, 9 };
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    page[0] = 1;
    SHOW(mincore(page, 4096, vector));
    printf("resident %d\n", vector[0] & 1);
    SHOW(mincore(page + 1, 4096, vector));
    SHOW(mincore(page, 4096, (void *)8));
    SHOW(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, -1));
    SHOW(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, 77));
    SHOW(syscall(SYS_mbind, page, 4096, 0, NULL, 0, 0));
    SHOW(syscall(SYS_restart_syscall) == -1 && errno == EINTR);
    SHOW(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) == -1);
    SHOW(syscall(1000));
    SHOW(syscall(SYS_keyctl, 0, -4, 0) > 0);
    SHOW(syscall(SYS_keyctl, 6, -4, (void *)8, 10) == -1);
    fd_set set;
    int ends[2];
    pipe(ends);
    write(ends[1], "x", 1);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    SHOW(select(ends[0] + 1, &set, NULL, NULL, NULL));
    SHOW(FD_ISSET(ends[0], &set));
    SHOW(select(ends[0] + 1, (void *)8, NULL, NULL, NULL));
    SHOW(select(-1, NULL, NULL, NULL, NULL));
}

int main(int argc, char **argv)
{
    if (!strcmp(argv[0], "again")) {
        printf("again: %d arguments, %s %s\n", argc, argv[1], argv[2]);
        return 4;
    }
    semaphores();
    queues();
    segments();
    posix_queues();
    batches();
    passing();
    execveats(argv);
    others();
    return 0;
}
