/*
 * A program without a libc, for RISC-V of either width: calls whose arguments or structs differ with the width of a
 * word. It prints the same on both.
 */
typedef unsigned long word;
typedef unsigned long long wide;

enum {
    NARROW = sizeof(word) == 4,
    FTRUNCATE = 46, PIPE2 = 59, LSEEK = 62, WRITE = 64, PREAD = 67, PWRITE = 68, PREADV = 69, EXIT_GROUP = 94,
    WAITID = 95,
    CLOCK_GETTIME = NARROW ? 403 : 113, SIGACTION = 134, SIGQUEUEINFO = 138, GETPID = 172, CLONE = 220, MMAP = 222,
    IOCTL = 29, SOCKET = 198, SETSOCKOPT = 208, GETSOCKOPT = 209, MLOCK = 228, MEMFD_CREATE = 279, PREADV2 = 286,
    SIGUSR1 = 10, SIGCHLD = 17, SA_SIGINFO = 4, EXITED = 4, BY_PID = 1, FOUR_GB_IN_PAGES = 0x100000,
    VALUE = NARROW ? 5 : 6, /* of siginfo: in words of 32 bits */
};

static long call(long number, word a, word b, word c, word d, word e, word f)
{
    register word a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c,
                  a3 __asm__("a3") = d, a4 __asm__("a4") = e, a5 __asm__("a5") = f;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
    return (long)a0;
}

void *memset(void *to, int byte, word count)
{
    volatile char *at = to;
    while (count--) {
        *at++ = (char)byte;
    }
    return to;
}

static void text(const char *string)
{
    word length = 0;
    while (string[length]) {
        length++;
    }
    call(WRITE, 1, (word)string, length, 0, 0, 0);
}

static void number(const char *what, long value)
{
    char digits[24];
    int at = sizeof digits - 1;
    word left = value < 0 ? -(word)value : (word)value;

    digits[at] = '\n';
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    text(what);
    text(value < 0 ? ": -" : ": ");
    call(WRITE, 1, (word)(digits + at), sizeof digits - (word)at, 0, 0, 0);
}

static volatile int got, value;
static volatile struct {
    void (*handler)(int signal, int *info, void *context);
    word flags;
    wide mask;
} action;

static void on_signal(int signal, int *info, void *context)
{
    got = signal;
    value = info[VALUE];
}

/* Offsets of 64 bits are two words, the low one first. */
static void offsets(void)
{
    char buffer[16];
    long file = call(MEMFD_CREATE, (word)"file", 0, 0, 0, 0, 0);
    wide where = 0;

    number("pwrite64", NARROW ? call(PWRITE, file, (word) "hello", 5, 0, 1, 0)
                              : call(PWRITE, file, (word) "hello", 5, (word)((wide)1 << 32), 0, 0));
    number("pread64", NARROW ? call(PREAD, file, (word)buffer, 5, 0, 1, 0)
                             : call(PREAD, file, (word)buffer, 5, (word)((wide)1 << 32), 0, 0));
    number("nothing at 0", buffer[0] == 'h' && buffer[4] == 'o');
    word vector[2] = { (word)buffer, 3 };
    word high = NARROW ? 1 : 0, low = NARROW ? 1 : (word)((wide)1 << 32) + 1;
    number("preadv", call(PREADV, file, (word)vector, 1, low, high, 0));
    number("preadv2", call(PREADV2, file, (word)vector, 1, low, high, 0));
    number("preadv2, bad flags", call(PREADV2, file, (word)vector, 1, low, high, 1 << 30));
    number("what follows", buffer[0] == 'e' && buffer[2] == 'l' && buffer[3] == 'l');
    if (NARROW) {
        call(LSEEK, file, 1, 5, (word)&where, 0, 0);
    } else {
        where = (wide)call(LSEEK, file, (word)(((wide)1 << 32) + 5), 0, 0, 0, 0);
    }
    number("high", (long)(where >> 32));
    number("low", (long)(where & 0xffffffff));
    char *page = (char *)call(MMAP, 0, 4096, 3, 2, file, NARROW ? FOUR_GB_IN_PAGES : (word)((wide)1 << 32));
    number("mapped", page[1]);
    number("ftruncate", NARROW ? call(FTRUNCATE, file, 100, 2, 0, 0, 0)
                               : call(FTRUNCATE, file, (word)((wide)2 << 32) + 100, 0, 0, 0, 0));
}

static void signals(void)
{
    int info[32] = { SIGUSR1, 0, -1 };

    action.handler = on_signal;
    action.flags = SA_SIGINFO;
    info[VALUE] = 77;
    number("sigaction", call(SIGACTION, SIGUSR1, (word)&action, 0, 8, 0, 0));
    number("queue", call(SIGQUEUEINFO, call(GETPID, 0, 0, 0, 0, 0, 0), SIGUSR1, (word)info, 0, 0, 0));
    number("got", got);
    number("value", value);
}

static void others(void)
{
    wide time[2] = { 0, 0 };
    int ends[2], info[32] = { 0 };

    number("clock", call(CLOCK_GETTIME, 1, (word)time, 0, 0, 0, 0));
    number("time", time[0] > 0 && time[1] < 1000000000);
    number("pipe", call(PIPE2, (word)ends, 0, 0, 0, 0, 0));
    long child = call(CLONE, SIGCHLD, 0, 0, 0, 0, 0);
    if (!child) {
        call(EXIT_GROUP, 9, 0, 0, 0, 0, 0);
    }
    number("waitid", call(WAITID, BY_PID, child, (word)info, EXITED, 0, 0));
    number("status", info[VALUE]);
    number("mlock beyond", call(MLOCK, (word)-4096, 8192, 0, 0, 0, 0));
    number("bad", call(WRITE, 1, 8, 5, 0, 0, 0));
    number("beyond", call(WRITE, 1, (word)-4096, 5, 0, 0, 0));
}

/* Requests whose numbers or structs hold words, and options of sockets that do. */
static void requests(void)
{
    static const struct {
        unsigned short code;
        unsigned char true_jump, false_jump;
        unsigned k;
    } pass[] = { { 6, 0, 0, 0xffffffff } };
    struct {
        unsigned short count;
        const void *filter;
    } program = { 1, pass }, hostile = { 1, (const void *)-4096 };
    struct {
        int length;
        char *list;
    } interfaces = { 0, 0 };
    struct {
        char name[16];
        union {
            int index;
            unsigned short flags;
            word map[NARROW ? 4 : 3];
        } is;
    } interface = { "lo", { 0 } };
    char list[512], room[8] = "room";
    word count = 0, time[2] = { 1, 500000 };
    unsigned flags = 77, length;
    long file = call(MEMFD_CREATE, (word)"requests", 0, 0, 0, 0, 0), net = call(SOCKET, 2, 2, 0, 0, 0, 0);

    number("flags", call(IOCTL, file, 0x80006601 | sizeof(word) << 16, (word)&flags, 0, 0, 0) < 0 || flags != 77);
    number("blocks of no disk", call(IOCTL, file, 0x1260, (word)&count, 0, 0, 0));
    number("size of no disk", call(IOCTL, file, 0x80001272 | sizeof(word) << 16, (word)&count, 0, 0, 0));
    number("geometry of no disk", call(IOCTL, file, 0x301, (word)list, 0, 0, 0));
    number("interfaces", call(IOCTL, net, 0x8912, (word)&interfaces, 0, 0, 0));
    number("there are some", interfaces.length > 0 && interfaces.length % sizeof interface == 0);
    interfaces.length = sizeof list;
    interfaces.list = list;
    number("their list", call(IOCTL, net, 0x8912, (word)&interfaces, 0, 0, 0));
    number("the first is lo", list[0] == 'l' && list[1] == 'o' && !list[2] && list[16] == 2 && list[20] == 127);
    interfaces.list = (char *)-4096;
    number("a bad list", call(IOCTL, net, 0x8912, (word)&interfaces, 0, 0, 0));
    number("index", call(IOCTL, net, 0x8933, (word)&interface, 0, 0, 0));
    number("is", interface.is.index);
    number("interface flags", call(IOCTL, net, 0x8913, (word)&interface, 0, 0, 0));
    number("up", interface.is.flags & 1);
    number("a bad interface", call(IOCTL, net, 0x8913, 8, 0, 0, 0));
    number("memory of lo", call(IOCTL, net, 0x8970, (word)&interface, 0, 0, 0));
    number("start", (long)interface.is.map[0]);
    number("filter", call(SETSOCKOPT, net, 1, 26, (word)&program, sizeof program, 0));
    number("a bad filter", call(SETSOCKOPT, net, 1, 26, (word)&hostile, sizeof hostile, 0));
    number("a short filter", call(SETSOCKOPT, net, 1, 26, (word)&program, 3, 0));
    number("timeout", call(SETSOCKOPT, net, 1, 20, (word)time, sizeof time, 0));
    time[0] = time[1] = 0;
    length = sizeof time;
    number("got timeout", call(GETSOCKOPT, net, 1, 20, (word)time, (word)&length, 0));
    number("seconds", (long)time[0]);
    number("microseconds", (long)time[1]);
    number("length", length == sizeof time);
    number("what nobody knows", call(IOCTL, file, 0xdeadbeef, (word)room, 0, 0, 0));
}

void start(void)
{
    requests();
    offsets();
    signals();
    others();
    call(EXIT_GROUP, 3, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: andi sp, sp, -16\n call start\n");
