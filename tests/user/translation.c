/* What a translator can get wrong: code that changes, faults in the middle of it, threads, processes. */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096 };
typedef int Function(void);

/* Code of a function that returns `number`, 0 to 2047. */
static void write_function(void *at, int number)
{
#ifdef __riscv
    const uint32_t code[] = { 0x00000513u | (uint32_t)number << 20, 0x00008067 }; /* li a0, number; ret */
#else
    const uint8_t code[] = { 0xb8, (uint8_t)number, (uint8_t)(number >> 8), 0, 0, 0xc3 };
#endif
    memcpy(at, code, sizeof code);
}

/* The same, behind `jumps` jumps to the next 16 bytes each: exits that are linked. */
static void write_linked_function(uint8_t *at, int jumps, int number)
{
    for (int i = 0; i < jumps; i++, at += 16) {
#ifdef __riscv
        const uint32_t code = 0x0100006fu; /* j .+16 */
#else
        const uint8_t code[] = { 0xeb, 14 };
#endif
        memcpy(at, &code, sizeof code);
    }
    write_function(at, number);
}

static void *map(size_t size, int protection, int fd)
{
    return mmap(NULL, size, protection, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
}

static void changing_code(void)
{
    uint8_t *page = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    int fd = memfd_create("code", 0), sum = 0, other = 0;

    ftruncate(fd, PAGE);
    uint8_t *write = map(PAGE, PROT_READ | PROT_WRITE, fd), *execute = map(PAGE, PROT_READ | PROT_EXEC, fd);
    for (int i = 0; i < 2000; i++) {
        uint8_t *at = page + i % 5 * 64;
        write_function(at, i);
        __builtin___clear_cache((char *)at, (char *)at + 64);
        sum += ((Function *)at)();
        write_function(write + i % 3 * 32, i);
        __builtin___clear_cache((char *)execute, (char *)execute + PAGE);
        other += ((Function *)(execute + i % 3 * 32))();
    }
    printf("changing code: %d, through another mapping %d\n", sum, other);
}

static sigjmp_buf back;
static volatile uintptr_t fault_address;

static void go_back(int number, siginfo_t *info, void *context)
{
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(back, number);
}

static void catch(int number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
    sigaction(number, &action, NULL);
}

/* Mappings with code come and go at one address. */
static void mapped_code(void)
{
    uint8_t *page = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    int sum = 0, faults = 0, right = 0;

    catch(SIGSEGV, go_back);
    for (int i = 0; i < 100; i++) {
        mmap(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        write_function(page, i);
        __builtin___clear_cache((char *)page, (char *)page + PAGE);
        sum += ((Function *)page)();
        if (i % 2) {
            munmap(page, PAGE);
        } else {
            mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        }
        if (sigsetjmp(back, 1)) {
            faults++;
            right += fault_address == (uintptr_t)page;
        } else {
            sum += ((Function *)page)();
        }
    }
    printf("mapped code: %d, %d faults, %d at the right address\n", sum, faults, right);
}

/* A load from nowhere: the handler gives its result and goes on behind it. */
static void skip_load(int number, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;

    fault_address = (uintptr_t)info->si_addr;
#ifdef __riscv
    m->__gregs[REG_A0] = 77;
    m->__gregs[REG_PC] += 4;
#else
    m->gregs[REG_RAX] = 77;
    m->gregs[REG_RIP] += 3;
#endif
}

static uint64_t load(const void *address)
{
    uint64_t value;
#if defined __riscv && __riscv_xlen == 32
    register uint32_t a0 __asm__("a0") = (uintptr_t)address;
    __asm__ volatile(".option push\n.option norvc\nlw a0, 0(a0)\n.option pop" : "+r"(a0) : : "memory");
    value = a0;
#elif defined __riscv
    register uint64_t a0 __asm__("a0") = (uintptr_t)address;
    __asm__ volatile(".option push\n.option norvc\nld a0, 0(a0)\n.option pop" : "+r"(a0) : : "memory");
    value = a0;
#else
    __asm__ volatile("movq (%1), %0" : "=a"(value) : "D"(address) : "memory");
#endif
    return value;
}

static void faults(void)
{
    uint64_t *area = map(2 * PAGE, PROT_READ | PROT_WRITE, -1), a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
    int right = 0;

    munmap((uint8_t *)area + PAGE, PAGE);
    for (unsigned i = 0; i < PAGE / 8; i++) {
        area[i] = i;
    }
    catch(SIGSEGV, skip_load);
    for (unsigned i = 0; i < 2 * PAGE / 8; i++) { /* the second half is not there */
        fault_address = 0;
        a += b * 3 + load(&area[i]);
        b ^= c + i, c += d * 5, d = e - f, e += a, f = a ^ b;
        right += fault_address == (i < PAGE / 8 ? 0 : (uintptr_t)&area[i]);
    }
    printf("faults: %llx %llx %llx %llx %llx %llx, %d right\n", (long long)a, (long long)b, (long long)c, (long long)d,
           (long long)e, (long long)f, right);
    catch(SIGSEGV, go_back);
    int caught = sigsetjmp(back, 1);
    if (!caught) {
        load((void *)0xdead000000000000);
    }
    printf("far outside: %d\n", caught == SIGSEGV);
    catch(SIGBUS, go_back);
    int fd = memfd_create("short", 0);
    ftruncate(fd, PAGE);
    uint8_t *file = map(2 * PAGE, PROT_READ | PROT_WRITE, fd);
    caught = sigsetjmp(back, 1);
    if (!caught) {
        file[PAGE + 24]++;
    }
    printf("behind a file: %d, %d\n", caught == SIGBUS, fault_address == (uintptr_t)file + PAGE + 24);
}

/* Addresses that the host's processor has none like, so that it does not say which one it was. */
static void faults_nowhere(void)
{
    int wrong = 0;

#if __riscv_xlen == 64
    static const uintptr_t places[] = { 0x0000800000000000, 0x7000000000000000, 0x8000000000000000,
                                        0xfff0000000000000 };

    catch(SIGSEGV, go_back);
    for (unsigned i = 0; i < 2 * sizeof places / sizeof *places; i++) {
        uintptr_t at = places[i / 2] + 3;
        fault_address = 0;
        if (!sigsetjmp(back, 1) && i % 2) {
            *(volatile char *)at = 1;
        } else if (!fault_address) {
            wrong += *(volatile char *)at + 1;
        }
        wrong += fault_address != at;
    }
    signal(SIGSEGV, SIG_DFL);
#endif
    printf("faults nowhere: %d wrong\n", wrong);
}

/* A file becomes shorter than the code that ran from it; then other code changes. */
static void vanished_code(void)
{
    uint8_t *page = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    int fd = memfd_create("vanishing", 0);

    ftruncate(fd, PAGE);
    uint8_t *file = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, fd);
    write_function(file, 11);
    __builtin___clear_cache((char *)file, (char *)file + PAGE);
    int before = ((Function *)file)();
    ftruncate(fd, 0);
    write_function(page, 22);
    __builtin___clear_cache((char *)page, (char *)page + PAGE);
    int other = ((Function *)page)();
    catch(SIGBUS, go_back);
    int caught = sigsetjmp(back, 1);
    if (!caught) {
        ((Function *)file)();
    }
    printf("vanished code: %d, %d, %d\n", before, other, caught == SIGBUS);
}

/* Links made before fork, which each process makes anew to code of its own. */
static void forks_with_links(void)
{
    enum { JUMPS = 4 };
    uint8_t *page = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1), *end = page + JUMPS * 16;
    Function *linked = (Function *)page;
    int wrong = 0;

    write_linked_function(page, JUMPS, 7);
    __builtin___clear_cache((char *)page, (char *)page + PAGE);
    for (int i = 0; i < 1000; i++) {
        int status;
        wrong += linked() != 7 || linked() != 7;
        pid_t child = fork();
        write_function(end, child ? i : 2 * i % 2000); /* the last link goes */
        __builtin___clear_cache((char *)end, (char *)end + 16);
        int right = linked() == (child ? i : 2 * i % 2000) && linked() == (child ? i : 2 * i % 2000);
        write_linked_function(page, 1 + i % JUMPS, 3); /* and others, to where there was none */
        __builtin___clear_cache((char *)page, (char *)page + PAGE);
        right += linked() == 3 && linked() == 3;
        if (!child) {
            _exit(right);
        }
        waitpid(child, &status, 0);
        wrong += right != 2 || !WIFEXITED(status) || WEXITSTATUS(status) != 2;
        write_linked_function(page, JUMPS, 7);
        __builtin___clear_cache((char *)page, (char *)page + PAGE);
    }
    printf("forks with links: %d wrong\n", wrong);
}

/* Each process goes on translating after fork, what the other one translates too. */
static void forks(void)
{
    uint8_t *page = map(16 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    int wrong = 0;

    for (int i = 0; i < 1000; i++) {
        uint8_t *at = page + i % 16 * PAGE + i / 16 * 16;
        int status;
        write_function(at, i);
        write_function(at + PAGE / 2, i + 1);
        __builtin___clear_cache((char *)at, (char *)at + PAGE);
        pid_t child = fork();
        if (!child) {
            int sum = ((Function *)(at + PAGE / 2))() + ((Function *)at)();
            write_function(at, 5);
            __builtin___clear_cache((char *)at, (char *)at + 64);
            _exit((sum + ((Function *)at)()) % 251);
        }
        wrong += ((Function *)at)() != i || ((Function *)(at + PAGE / 2))() != i + 1;
        waitpid(child, &status, 0);
        wrong += !WIFEXITED(status) || WEXITSTATUS(status) != (i + i + 1 + 5) % 251;
    }
    printf("forks: %d wrong\n", wrong);
}

enum { THREADS = 4, ROUNDS = 20000 };
static struct Shared {
    uint8_t bytes[8];
    uint16_t half;
    uint32_t word, swapped, highest;
    unsigned long wide, bits, locked;
    uint64_t unlocked;
    uint8_t *code;
} shared;

/* Compilers for 32-bit RISC-V leave parts of words to a library. */
#if __SIZEOF_LONG__ == 4
static void add_part(void *at, uint32_t mask, uint32_t value)
{
    uint32_t *word = (uint32_t *)((uintptr_t)at & ~3u), old = __atomic_load_n(word, __ATOMIC_RELAXED), new;
    unsigned shift = (uintptr_t)at % 4 * 8;

    do {
        new = (old & ~(mask << shift)) | ((old >> shift) + value & mask) << shift;
    } while (!__atomic_compare_exchange_n(word, &old, new, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}
#define ADD_BYTE(at, value) add_part(at, 0xff, value)
#define ADD_HALF(at, value) add_part(at, 0xffff, value)
#else
#define ADD_BYTE(at, value) __atomic_fetch_add(at, value, __ATOMIC_RELAXED)
#define ADD_HALF(at, value) __atomic_fetch_add(at, value, __ATOMIC_ACQ_REL)
#endif

/* Of 64 bits, where a word has as many; else what the others would hold. */
static uint32_t high(unsigned long value, uint32_t otherwise)
{
    return sizeof value == 8 ? (uint32_t)((uint64_t)value >> 32) : otherwise;
}

static void lock(void)
{
    while (__atomic_exchange_n(&shared.locked, 1, __ATOMIC_ACQUIRE)) {
    }
}

static void *hammer(void *data)
{
    uint64_t index = (uintptr_t)data, swapped = 0;

    for (uint32_t i = 1; i <= ROUNDS; i++) {
        ADD_BYTE(&shared.bytes[i % 8], 1);
        ADD_HALF(&shared.half, 3);
        __atomic_fetch_add(&shared.word, i, __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(&shared.wide, index, __ATOMIC_RELAXED);
        __atomic_fetch_xor(&shared.bits, (unsigned long)(1ULL << i % 64), __ATOMIC_RELAXED);
        uint32_t seen = __atomic_load_n(&shared.highest, __ATOMIC_RELAXED);
        while (seen < i * 4 + index && !__atomic_compare_exchange_n(&shared.highest, &seen, i * 4 + (uint32_t)index, 1,
                                                                     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        }
        swapped += __atomic_exchange_n(&shared.swapped, i, __ATOMIC_ACQ_REL);
        lock();
        shared.unlocked += i;
        __atomic_store_n(&shared.locked, 0, __ATOMIC_RELEASE);
        if (i % 64 == 0) {
            __builtin___clear_cache((char *)shared.code, (char *)shared.code + PAGE);
            swapped += ((Function *)shared.code)() - 9;
        }
    }
    return (void *)(uintptr_t)swapped;
}

static void threads(void)
{
    pthread_t ids[THREADS];
    uint64_t swapped = 0, bytes;

    shared.code = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    write_function(shared.code, 9);
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&ids[i], NULL, hammer, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(ids[i], &result);
        swapped += (uintptr_t)result;
    }
    memcpy(&bytes, shared.bytes, 8);
    printf("threads: %llx %x %x %x:%x %x:%x %u %u %llu\n", (long long)bytes, shared.half, shared.word,
           high(shared.wide, UINT32_MAX), (uint32_t)shared.wide, high(shared.bits, 0), (uint32_t)shared.bits,
           shared.highest, (uint32_t)swapped + shared.swapped, (long long)shared.unlocked);
}

/* Indirect calls and jumps, each from one place, to ever more functions. */
enum { FUNCTIONS = 12, APART = 64 };
typedef int Caller(Function *function);
#define CALLER(name) \
    static __attribute__((noipa)) int name##_by_jump(Function *function) { return function(); } \
    static __attribute__((noipa)) int name(Function *function) { return name##_by_jump(function) + function(); }
CALLER(call)
CALLER(call_forked)
CALLER(call_others)
CALLER(call_in_thread)

static void set_function(uint8_t *page, int i, int number)
{
    write_function(page + i * APART, number);
    __builtin___clear_cache((char *)page + i * APART, (char *)page + (i + 1) * APART);
}

static void set_functions(uint8_t *page, int number)
{
    for (int i = 0; i < FUNCTIONS; i++) {
        set_function(page, i, number + i);
    }
}

/* Calls `count` of them in turns; how often a result was not `number` and its index. */
static int call_around(Caller *caller, uint8_t *page, int count, int rounds, int number)
{
    int wrong = 0;

    for (int i = 0; i < rounds; i++) {
        wrong += caller((Function *)(page + i % count * APART)) != 2 * (number + i % count);
    }
    return wrong;
}

/* What was called is written anew, mapped anew, and gone. */
static void called_code(void)
{
    uint8_t *page = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    int wrong = 0, faults = 0;

    for (int count = 1; count <= FUNCTIONS; count++) {
        for (int i = 0; i < 20; i++) {
            set_functions(page, 100 * i);
            wrong += call_around(call, page, count, count * (i < 2 ? 2000 : 5), 100 * i);
            mmap(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            set_functions(page, 50);
            wrong += call_around(call, page, count, count * 5, 50);
        }
        mprotect(page, PAGE, PROT_READ);
        catch(SIGSEGV, go_back);
        if (sigsetjmp(back, 1)) {
            faults += fault_address == (uintptr_t)page;
        } else {
            call((Function *)page);
        }
        mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
        wrong += call_around(call, page, count, count * 5, 50);
    }
    printf("called code: %d wrong, %d faults\n", wrong, faults);
}

/* Both processes know where calls went; then each changes what it calls. */
static void called_after_fork(void)
{
    uint8_t *page = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    int wrong = 0;

    for (int i = 0; i < 200; i++) {
        int count = 1 + i % FUNCTIONS, status;
        set_functions(page, i);
        wrong += call_around(call_forked, page, count, 2 * count, i);
        pid_t child = fork();
        if (!child) {
            int bad = call_around(call_forked, page, count, 2 * count, i);
            set_functions(page, i + 7);
            _exit(bad + call_around(call_forked, page, count, 2 * count, i + 7));
        }
        set_functions(page, i + 3);
        wrong += call_around(call_forked, page, count, 2 * count, i + 3);
        waitpid(child, &status, 0);
        wrong += !WIFEXITED(status) || WEXITSTATUS(status);
    }
    printf("called after fork: %d wrong\n", wrong);
}

static uint8_t *called;
static _Atomic int callers;

static void *keep_calling(void *data)
{
    uintptr_t wrong = 0;

    for (int i = 0; i < 300; i++) {
        int most = i < 200 ? 3 : FUNCTIONS;
        wrong += (uintptr_t)call_around(call_in_thread, called, 1 + (i + (int)(uintptr_t)data) % most, 100, 30);
    }
    callers--;
    return (void *)wrong;
}

/* Threads call from one place, while other code changes, comes and goes. */
static void called_by_threads(void)
{
    uint8_t *other = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    pthread_t ids[THREADS];
    uintptr_t wrong = 0;

    called = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    set_functions(called, 30);
    callers = THREADS;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&ids[i], NULL, keep_calling, (void *)i);
    }
    for (int i = 0; callers; i = (i + 1) % 1000) {
        set_functions(other, i);
        wrong += (uintptr_t)call_around(call_others, other, FUNCTIONS, FUNCTIONS, i);
        if (i % 3 == 0) {
            mmap(other, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(ids[i], &result);
        wrong += (uintptr_t)result;
    }
    printf("called by threads: %d wrong\n", (int)wrong);
}

/* Ways to make what was written seen. The host, whose processors see it anyway, is asked for nothing. */
typedef void Maker(void *at, size_t size);

static void flush(uintptr_t start, uintptr_t end, long flags, long wanted)
{
#ifdef __riscv
    enum { RISCV_FLUSH_ICACHE = 259 };
    long result = syscall(RISCV_FLUSH_ICACHE, start, end, flags);
    if ((result ? errno : 0) != wanted) {
        printf("flush %lx: %ld, %d\n", flags, result, errno);
    }
#endif
}

static void flush_range(void *at, size_t size) { flush((uintptr_t)at, (uintptr_t)at + size, 0, 0); }
static void flush_mine(void *at, size_t size) { flush((uintptr_t)at, (uintptr_t)at + size, 1, 0); }
static void flush_nothing(void *at, size_t size) { flush(0, 0, 0, 0); }
static void flush_backwards(void *at, size_t size) { flush((uintptr_t)at + size, (uintptr_t)at, 0, 0); }
static void flush_far(void *at, size_t size) { flush((uintptr_t)at, UINTPTR_MAX, 0, 0); }
static void flush_data(void *at, size_t size)
{
    static char data[64];
    flush((uintptr_t)data, (uintptr_t)data + sizeof data, 0, 0);
}

static void fence(void *at, size_t size)
{
#ifdef __riscv
    __asm__ volatile("fence.i" : : : "memory");
#else
    uint32_t a = 0, c = 0;
    __asm__ volatile("cpuid" : "+a"(a), "+c"(c) : : "ebx", "edx", "memory");
#endif
}

static void barrier(void *at, size_t size)
{
    static int registered;
    if (!registered++) {
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
    }
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0)) {
        printf("membarrier %d\n", errno);
    }
}

static Maker *const makers[] = { flush_range, flush_mine, flush_nothing, flush_backwards, flush_far, flush_data, fence,
                                 barrier };
enum { MAKERS = sizeof makers / sizeof *makers, PAGES = 8 };

/* Functions on several pages are written at `write` and called at `call`; `make` is told of the latter. */
static int rewrite(uint8_t *write, uint8_t *call, Maker *make, int rounds)
{
    int wrong = 0;

    for (int i = 0; i < rounds; i++) {
        int changed = i % PAGES;
        write_function(write + changed * PAGE + 128, i);
        make(call + changed * PAGE + 128, 16);
        for (int k = 0; k < PAGES && i >= PAGES; k++) { /* the others are as they were */
            wrong += ((Function *)(call + k * PAGE + 128))() != i - (changed - k + PAGES) % PAGES;
        }
    }
    return wrong;
}

/* One change lies across two pages. */
static int rewrite_across(uint8_t *page, Maker *make)
{
    int wrong = 0;

    for (int i = 0; i < 100; i++) {
        write_linked_function(page + PAGE - 32, 3, i);
        make(page + PAGE - 32, 64);
        wrong += ((Function *)(page + PAGE - 32))() != i;
    }
    return wrong;
}

/* Another process changes the file that the code is mapped from. */
static int rewrite_elsewhere(int fd, uint8_t *call, Maker *make)
{
    int wrong = 0;

    for (int i = 0; i < 20; i++) {
        uint8_t code[16] = { 0 };
        pid_t child = fork();
        if (!child) {
            write_function(code, 1000 + i);
            _exit(pwrite(fd, code, sizeof code, i % PAGES * PAGE) != sizeof code);
        }
        waitpid(child, NULL, 0);
        make(call + i % PAGES * PAGE, 16);
        wrong += ((Function *)(call + i % PAGES * PAGE))() != 1000 + i;
    }
    return wrong;
}

/* Never writable and executable at once. */
static int rewrite_by_turns(uint8_t *page, Maker *make)
{
    int wrong = 0;

    for (int i = 0; i < 50; i++) {
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        write_function(page, i);
        mprotect(page, PAGE, PROT_READ | PROT_EXEC);
        make(page, 16);
        wrong += ((Function *)page)() != i || ((Function *)page)() != i;
    }
    mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    return wrong;
}

static void made_seen(void)
{
    uint8_t *page = map(PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    int fd = memfd_create("made", 0), wrong[5] = { 0 };

    signal(SIGSEGV, SIG_DFL);
    ftruncate(fd, PAGES * PAGE);
    uint8_t *write = map(PAGES * PAGE, PROT_READ | PROT_WRITE, fd);
    uint8_t *call = map(PAGES * PAGE, PROT_READ | PROT_EXEC, fd);
    uint8_t *same = map(PAGES * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, fd);
    for (int i = 0; i < MAKERS; i++) {
        wrong[0] += rewrite(page, page, makers[i], 200);
        wrong[1] += rewrite(write, call, makers[i], 200) + rewrite(same, same, makers[i], 100);
        wrong[2] += rewrite_across(page, makers[i]);
        wrong[3] += rewrite_elsewhere(fd, call, makers[i]);
        wrong[4] += rewrite_by_turns(page, makers[i]);
        write_function(write, 5); /* what is told of is one mapping, what is called the other */
        makers[i](same, 16);
        wrong[1] += ((Function *)call)() != 5;
    }
    flush((uintptr_t)page, (uintptr_t)page + 16, 2, EINVAL);
    printf("made seen: %d %d %d %d %d wrong\n", wrong[0], wrong[1], wrong[2], wrong[3], wrong[4]);
}

static struct Told {
    uint8_t *code;
    _Atomic int written, running;
    int by_reader;
} told;

static int call_told(Function *function) { return function(); }

/* What is called is as new as what was known to be written before. */
static void *call_what_changes(void *data)
{
    uintptr_t wrong = 0;

    for (int written = 0; written < 2000;) {
        written = told.written;
        if (told.by_reader) {
            fence(NULL, 0);
        }
        wrong += ((Function *)told.code)() < written;
        wrong += call_told((Function *)told.code) < written;
    }
    return (void *)wrong;
}

static void told_threads(void)
{
    Maker *const tellers[] = { flush_range, flush_nothing, barrier, NULL };
    uintptr_t wrong = 0;

    told.code = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    for (unsigned teller = 0; teller < sizeof tellers / sizeof *tellers; teller++) {
        pthread_t ids[THREADS];
        told.written = 0;
#ifdef __riscv
        told.by_reader = !tellers[teller];
#else
        told.by_reader = 1;
#endif
        write_function(told.code, 0);
        flush_nothing(NULL, 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_create(&ids[i], NULL, call_what_changes, NULL);
        }
        for (int i = 1; i <= 2000; i++) {
            write_function(told.code, i);
            if (tellers[teller]) {
                tellers[teller](told.code, 8);
            }
            told.written = i;
        }
        for (int i = 0; i < THREADS; i++) {
            void *result;
            pthread_join(ids[i], &result);
            wrong += (uintptr_t)result;
        }
    }
    printf("told threads: %d wrong\n", (int)wrong);
}

static uint8_t *vanishing;
static _Thread_local sigjmp_buf thread_back;

static void go_back_in_thread(int number, siginfo_t *info, void *context)
{
    siglongjmp(thread_back, (uintptr_t)info->si_addr - (uintptr_t)vanishing < PAGE ? 1 : 2);
}

/* The page is there, or it is not; nothing else may come of a call. */
static void *call_what_vanishes(void *data)
{
    uintptr_t wrong = 0;

    for (int i = 0; i < 3000; i++) {
        int fault = sigsetjmp(thread_back, 1);
        wrong += fault ? fault != 1 : ((Function *)vanishing)() != 7;
    }
    callers--;
    return (void *)wrong;
}

/* A page with code is taken away and given back while threads are on their way to it. */
static void vanishing_code(void)
{
    pthread_t ids[THREADS];
    uintptr_t wrong = 0;

    vanishing = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, -1);
    write_linked_function(vanishing, 200, 7);
    catch(SIGSEGV, go_back_in_thread);
    callers = THREADS;
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&ids[i], NULL, call_what_vanishes, NULL);
    }
    while (callers) {
        mprotect(vanishing, PAGE, PROT_NONE);
        flush_range(vanishing, PAGE);
        mprotect(vanishing, PAGE, PROT_READ | PROT_EXEC);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(ids[i], &result);
        wrong += (uintptr_t)result;
    }
    signal(SIGSEGV, SIG_DFL);
    printf("vanishing code: %d wrong\n", (int)wrong);
}

/* Where no file may grow, programs start and translate all the same. */
static void no_files_grow(void)
{
    const struct rlimit none = { 0, 0 };
    int status = -1;
    pid_t child = fork();

    if (!child) {
        setrlimit(RLIMIT_FSIZE, &none);
        execl("/proc/self/exe", "translation", "again", NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    printf("started where no file may grow: %x\n", status);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return 23;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    changing_code();
    mapped_code();
    faults();
    faults_nowhere();
    vanished_code();
    forks();
    forks_with_links();
    threads();
    called_code();
    called_after_fork();
    called_by_threads();
    made_seen();
    told_threads();
    vanishing_code();
    no_files_grow();
    return 0;
}
