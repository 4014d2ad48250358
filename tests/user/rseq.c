/*
 * Restartable sequences: what rseq(2) takes and refuses, counters and lists of each processor that more threads than
 * there are processors change without atomics, signals and membarrier in the middle of a sequence, sequences that are
 * none, which processor a thread is on, who inherits an area. libc is kept from having one: the program begins anew
 * for that.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "narrow.h"

enum { THREADS = 8, CPUS = 1024, UNREGISTER = 1, SIGNATURE = 0x53053053, OTHER_SIGNATURE = 0x12345678 };

#ifndef MEMBARRIER_CMD_FLAG_CPU
#define MEMBARRIER_CMD_FLAG_CPU 1
#endif
enum { BARRIER = 1 << 7, BARRIER_REGISTER = 1 << 8 };

/* As the kernel has them, where headers may not. */
typedef struct Area {
    uint32_t cpu_start, cpu;
    uint64_t sequence;
    uint32_t flags, node, concurrency_id, rest;
} __attribute__((aligned(32))) Area;

typedef struct Sequence {
    uint32_t version, flags;
    uint64_t start, length, abort;
} __attribute__((aligned(32))) Sequence;

/*
 * Sequences as functions: they give 0 when done, 1 when abandoned, 2 on another processor than `cpu`, 3 where there is
 * nothing to take. Each waits `delay` rounds in its middle, so that it is likely to be interrupted there. Arguments:
 * the area, the sequence's description, the processor, the rest.
 */
long add_one(Area *area, const Sequence *sequence, long cpu, long *counter, long delay);
long add_there(Area *area, const Sequence *sequence, long cpu, long **counter, long delay);
long push(Area *area, const Sequence *sequence, long cpu, void **head, void **item);
long pop(Area *area, const Sequence *sequence, long cpu, void **head, long delay, void **item);
long spin(Area *area, const Sequence *sequence, volatile long *until);

#define BEGIN(name) ".globl " #name "\n" #name ":\n"
#define LABEL(name) ".globl " #name "\n" #name ":\n"
#if defined __riscv
#if __riscv_xlen == 64
#define LOAD "ld "
#define STORE "sd "
#else
#define LOAD "lw "
#define STORE "sw "
#endif
#define ENTER(name) BEGIN(name) STORE "a1, 8(a0)\n" LABEL(name##_start)
#define CHECK(name) "lw t0, 4(a0)\n bne t0, a2, " #name "_other\n"
#define DELAY(r) "7: addi " r ", " r ", -1\n bgtz " r ", 7b\n"
#define LEAVE(name) \
    LABEL(name##_end) "li a0, 0\n ret\n" #name "_other: li a0, 2\n ret\n" #name "_none: li a0, 3\n ret\n" \
    ".balign 4\n .4byte 0x53053053\n" LABEL(name##_abort) "li a0, 1\n ret\n" \
    ".balign 4\n .4byte 0x12345678\n" LABEL(name##_wrong) "li a0, 1\n ret\n"
__asm__(".text\n .option push\n .option norvc\n .balign 4\n"
        ENTER(add_one) CHECK(add_one) LOAD "t1, (a3)\n addi t1, t1, 1\n" DELAY("a4") STORE "t1, (a3)\n" LEAVE(add_one)
        ENTER(add_there) CHECK(add_there) LOAD "a3, (a3)\n" LOAD "t1, (a3)\n addi t1, t1, 1\n" DELAY("a4")
        STORE "t1, (a3)\n" LEAVE(add_there)
        ENTER(push) CHECK(push) LOAD "t1, (a3)\n" STORE "t1, (a4)\n" STORE "a4, (a3)\n" LEAVE(push)
        ENTER(pop) CHECK(pop) LOAD "t1, (a3)\n beqz t1, pop_none\n" STORE "t1, (a5)\n" LOAD "t2, (t1)\n" DELAY("a4")
        STORE "t2, (a3)\n" LEAVE(pop)
        ENTER(spin) "7: " LOAD "t1, (a2)\n beqz t1, 7b\n" LEAVE(spin)
        ".option pop\n");
#else
#define ENTER(name) BEGIN(name) "mov %rsi, 8(%rdi)\n" LABEL(name##_start)
#define CHECK(name) "cmp %edx, 4(%rdi)\n jne " #name "_other\n"
#define DELAY(r) "7: dec " r "\n jg 7b\n"
#define LEAVE(name) \
    LABEL(name##_end) "xor %eax, %eax\n ret\n" #name "_other: mov $2, %eax\n ret\n" \
    #name "_none: mov $3, %eax\n ret\n" \
    ".byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n" LABEL(name##_abort) "mov $1, %eax\n ret\n" \
    ".byte 0x0f, 0xb9, 0x3d\n .long 0x12345678\n" LABEL(name##_wrong) "mov $1, %eax\n ret\n"
__asm__(".text\n"
        ENTER(add_one) CHECK(add_one) "mov (%rcx), %rax\n inc %rax\n" DELAY("%r8") "mov %rax, (%rcx)\n" LEAVE(add_one)
        ENTER(add_there) CHECK(add_there) "mov (%rcx), %rcx\n mov (%rcx), %rax\n inc %rax\n" DELAY("%r8")
        "mov %rax, (%rcx)\n" LEAVE(add_there)
        ENTER(push) CHECK(push) "mov (%rcx), %rax\n mov %rax, (%r8)\n mov %r8, (%rcx)\n" LEAVE(push)
        ENTER(pop) CHECK(pop) "mov (%rcx), %rax\n test %rax, %rax\n jz pop_none\n mov %rax, (%r9)\n mov (%rax), %rax\n"
        DELAY("%r8") "mov %rax, (%rcx)\n" LEAVE(pop)
        ENTER(spin) "7: cmpq $0, (%rdx)\n je 7b\n" LEAVE(spin));
#endif

#define SEQUENCE(name) \
    extern const char name##_start[], name##_end[], name##_abort[], name##_wrong[]; \
    static Sequence name##_sequence;
SEQUENCE(add_one)
SEQUENCE(add_there)
SEQUENCE(push)
SEQUENCE(pop)
SEQUENCE(spin)
#define FILL(name) \
    name##_sequence = (Sequence){ .start = (uintptr_t)name##_start, .length = (uint64_t)(name##_end - name##_start), \
                                  .abort = (uintptr_t)name##_abort }

static _Thread_local Area area;

static long rseq(Area *where, unsigned size, int flags, unsigned signature)
{
    return syscall(SYS_rseq, where, size, flags, signature);
}

static void show(const char *what, long result)
{
    printf("%s %ld %d\n", what, result, result < 0 ? errno : 0);
}

static void join(void)
{
    if (rseq(&area, sizeof area, 0, SIGNATURE)) {
        show("cannot register", -1);
    }
}

static void leave(void)
{
    if (rseq(&area, sizeof area, UNREGISTER, SIGNATURE)) {
        show("cannot unregister", -1);
    }
}

/* -- the call ------------------------------------------------------------------------------------------------------ */

static void registration(void)
{
    static struct {
        Area areas[3];
    } room;
    Area *good = &room.areas[0];
    Area *beyond = (Area *)(sizeof(long) == 8 ? (long)UINT64_C(0x8000000000000000) : (long)0xffffff00);

    show("flags", rseq(good, 32, 2, SIGNATURE));
    show("short", rseq(good, 31, 0, SIGNATURE));
    show("none", rseq(good, 0, 0, SIGNATURE));
    show("crooked", rseq((Area *)((char *)good + 8), 32, 0, SIGNATURE));
    show("crooked and long", rseq((Area *)((char *)good + 8), 64, 0, SIGNATURE));
    show("beyond", rseq(beyond, 32, 0, SIGNATURE));
    show("early leave", rseq(good, 32, UNREGISTER, SIGNATURE));
    show("leave of nothing", rseq(NULL, 32, UNREGISTER, SIGNATURE));
    show("register", rseq(good, 32, 0, SIGNATURE));
    show("again", rseq(good, 32, 0, SIGNATURE));
    show("again elsewhere", rseq(good + 1, 32, 0, SIGNATURE));
    show("again longer", rseq(good, 64, 0, SIGNATURE));
    show("again signed otherwise", rseq(good, 32, 0, OTHER_SIGNATURE));
    show("known CPU", good->cpu == good->cpu_start && good->cpu < CPUS);
    show("leave with flags", rseq(good, 32, UNREGISTER | 2, SIGNATURE));
    show("leave elsewhere", rseq(good + 1, 32, UNREGISTER, SIGNATURE));
    show("leave longer", rseq(good, 64, UNREGISTER, SIGNATURE));
    show("leave signed otherwise", rseq(good, 32, UNREGISTER, OTHER_SIGNATURE));
    show("leave", rseq(good, 32, UNREGISTER, SIGNATURE));
    show("leave again", rseq(good, 32, UNREGISTER, SIGNATURE));
    show("no CPU", good->cpu == UINT32_MAX && !good->cpu_start && !good->node && !good->concurrency_id);
    show("longer", rseq(good, 64, 0, OTHER_SIGNATURE));
    show("leave", rseq(good, 64, UNREGISTER, OTHER_SIGNATURE));
    good->sequence = 8; /* nothing that a sequence may be */
    show("with an old sequence", rseq(good, 32, 0, SIGNATURE));
    show("is forgotten", good->sequence == 0);
    show("leave", rseq(good, 32, UNREGISTER, SIGNATURE));
    show("told of", getauxval(27) >= 28 && getauxval(28) >= 32);
}

/* -- what belongs to a processor ----------------------------------------------------------------------------------- */

typedef struct Item {
    struct Item *next;
    _Atomic int held;
} Item;

typedef struct Local {
    long counter;
    Item *items;
} __attribute__((aligned(128))) Local;

static Local locals[CPUS];
static _Atomic long clashes;

static void *count(void *argument)
{
    long rounds = (long)argument;

    join();
    for (long i = 0; i < rounds; i++) {
        long cpu;
        do {
            cpu = *(volatile uint32_t *)&area.cpu_start;
        } while (add_one(&area, &add_one_sequence, cpu, &locals[cpu].counter, i % 16 ? i % 16 : 20000));
    }
    leave();
    return NULL;
}

static void give(Item *item)
{
    long cpu;

    do {
        cpu = *(volatile uint32_t *)&area.cpu_start;
    } while (push(&area, &push_sequence, cpu, (void **)&locals[cpu].items, (void **)item));
}

static Item *take(long delay)
{
    Item *item;
    long cpu, result;

    do {
        cpu = *(volatile uint32_t *)&area.cpu_start;
        result = pop(&area, &pop_sequence, cpu, (void **)&locals[cpu].items, delay, (void **)&item);
    } while (result == 1 || result == 2);
    return result ? NULL : item;
}

/* Items change hands, so that a list may have begun with the same item when another thread had it meanwhile. */
static void *exchange(void *argument)
{
    join();
    for (long i = 0; i < (long)argument; i++) {
        Item *first = take(i % 8 ? 1 : 20000), *second = take(1);
        clashes += first && atomic_exchange(&first->held, 1);
        clashes += second && atomic_exchange(&second->held, 1);
        if (i % 16 == 0) {
            sched_yield();
        }
        if (first) {
            first->held = 0;
            give(first);
        }
        if (second) {
            second->held = 0;
            give(second);
        }
    }
    leave();
    return NULL;
}

static void run_threads(void *(*run)(void *), long rounds)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, run, (void *)rounds);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void shared_by_threads(void)
{
    static Item items[64];
    long sum = 0, found = 0;

    run_threads(count, 30000);
    for (int i = 0; i < CPUS; i++) {
        sum += locals[i].counter;
    }
    printf("counted %ld\n", sum);
    join();
    for (int i = 0; i < 64; i++) {
        give(&items[i]);
    }
    leave();
    run_threads(exchange, 10000);
    for (int i = 0; i < CPUS; i++) {
        for (Item *item = locals[i].items; item && found < 1000; item = item->next) {
            found++;
        }
    }
    printf("clashes %ld, items %ld\n", (long)clashes, found);
}

/* -- signals ------------------------------------------------------------------------------------------------------- */

static volatile long caught_inside, is_over;

static void on_alarm(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
#ifdef __riscv
    uintptr_t pc = user->uc_mcontext.__gregs[0];
#else
    uintptr_t pc = user->uc_mcontext.gregs[REG_RIP];
#endif
    if (pc == (uintptr_t)spin_abort) {
        caught_inside++;
    } else if (pc >= (uintptr_t)spin_start && pc < (uintptr_t)spin_end) {
        printf("a handler sees the middle of a sequence\n");
    }
    is_over = caught_inside >= 20;
}

static void interrupted(void)
{
    struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART };
    const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
    static const long for_ever;

    sigaction(SIGALRM, &action, NULL);
    join();
    setitimer(ITIMER_REAL, &often, NULL);
    while (!is_over) {
        long result = spin(&area, &spin_sequence, (volatile long *)&for_ever);
        if (result != 1 || area.sequence) {
            printf("left by %ld, sequence %d\n", result, area.sequence != 0);
        }
    }
    setitimer(ITIMER_REAL, &never, NULL);
    leave();
    signal(SIGALRM, SIG_DFL);
    printf("abandoned by signals\n");
}

/* A signal does not change what no sequence is in, but forgets the one before. */
static void on_usr1(int signal)
{
}

static void outside(void)
{
    signal(SIGUSR1, on_usr1);
    join();
    area.sequence = (uintptr_t)&spin_sequence;
    raise(SIGUSR1);
    show("forgotten outside", area.sequence == 0);
    leave();
    signal(SIGUSR1, SIG_DFL);
}

/* -- sequences that are none --------------------------------------------------------------------------------------- */

static int with_handler;

static void on_fault(int number, siginfo_t *info, void *context)
{
    _exit(info->si_code == SI_KERNEL && !info->si_addr ? 7 : 8);
}

static void try_bad(const char *what, const Sequence *sequence, uint32_t flags)
{
    const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
    static const long for_ever;
    int status;

    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
        if (with_handler) {
            sigaction(SIGSEGV, &action, NULL);
        }
        signal(SIGALRM, on_usr1);
        join();
        area.flags = flags;
        setitimer(ITIMER_REAL, &often, NULL);
        spin(&area, sequence, (volatile long *)&for_ever);
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (with_handler) { /* it is called, but where the thread leaves the processor once more before that */
        printf("%s: %d\n", what, WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) == 7);
        return;
    }
    printf("%s: %s %d\n", what, WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void bad_sequences(void)
{
    Sequence good = spin_sequence, bad;

    try_bad("a good one", &good, 0);
    bad = good, bad.abort = (uintptr_t)spin_wrong;
    try_bad("another's signature", &bad, 0);
    bad = good, bad.abort += 1;
    try_bad("no signature", &bad, 0);
    bad = good, bad.version = 1;
    try_bad("version", &bad, 0);
    bad = good, bad.flags = 1;
    try_bad("flags", &bad, 0);
    bad = good, bad.flags = 8;
    try_bad("unknown flags", &bad, 0);
    try_bad("flags of the area", &good, 4);
    bad = good, bad.abort = bad.start;
    try_bad("ends within", &bad, 0);
    bad = good, bad.length = UINT64_MAX - 8;
    try_bad("too long", &bad, 0);
    bad = good, bad.start = UINT64_MAX - 4;
    try_bad("too high", &bad, 0);
    bad = good, bad.abort = 4;
    try_bad("ends nowhere", &bad, 0);
    try_bad("nowhere", (const Sequence *)64, 0);
    try_bad("beyond", (const Sequence *)-64L, 0);
    with_handler = 1;
    try_bad("nowhere, handled", (const Sequence *)64, 0);
    bad = good, bad.version = 1;
    try_bad("version, handled", &bad, 0);
    with_handler = 0;
}

static void lost_area(void)
{
    int status;

    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        Area *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        signal(SIGUSR1, on_usr1);
        rseq(page, 32, 0, SIGNATURE);
        munmap(page, 4096);
        raise(SIGUSR1);
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("without its area: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* -- processors ---------------------------------------------------------------------------------------------------- */

static bool is_told_alike(void)
{
    for (int i = 0; i < 1000; i++) {
        unsigned cpu = 0, node = 0, before = *(volatile uint32_t *)&area.cpu;
        syscall(SYS_getcpu, &cpu, &node, NULL);
        if (cpu == before && node == area.node && sched_getcpu() == (int)before) {
            return true;
        }
    }
    return false;
}

static volatile long wanted_cpu = -1, seen_round, wanted_round;
static _Atomic int follower;
static _Atomic long wrong_cpu;

/* Another thread says where this one is to be. */
static void *follow(void *argument)
{
    join();
    follower = syscall(SYS_gettid);
    while (wanted_round >= 0) {
        long round = wanted_round, cpu = wanted_cpu;
        atomic_thread_fence(memory_order_seq_cst);
        long here = *(volatile uint32_t *)&area.cpu;
        atomic_thread_fence(memory_order_seq_cst);
        if (round > seen_round && wanted_round == round) {
            wrong_cpu += here != cpu;
            seen_round = round;
        }
    }
    leave();
    return NULL;
}

static void affinity(void)
{
    cpu_set_t allowed, one;
    pthread_t thread;
    int wrong = 0;

    sched_getaffinity(0, sizeof allowed, &allowed);
    join();
    show("told alike", is_told_alike());
    show("concurrency", area.concurrency_id < CPUS);
    pthread_create(&thread, NULL, follow, NULL);
    while (!follower) {
        sched_yield();
    }
    for (int round = 0, cpu = 0; round < 200; round++) {
        do {
            cpu = (cpu + 1) % CPUS;
        } while (!CPU_ISSET(cpu, &allowed));
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        wrong += sched_setaffinity(0, sizeof one, &one) != 0;
        wrong += *(volatile uint32_t *)&area.cpu != cpu || sched_getcpu() != cpu;
        wrong += sched_setaffinity(follower, sizeof one, &one) != 0;
        wanted_cpu = cpu;
        atomic_thread_fence(memory_order_seq_cst);
        wanted_round = round + 1;
        sched_setaffinity(0, sizeof allowed, &allowed);
        while (seen_round != wanted_round) {
            sched_yield();
        }
    }
    wanted_round = -1;
    pthread_join(thread, NULL);
    leave();
    printf("wrong %d, the other thread %ld\n", wrong, (long)wrong_cpu);
}

/* -- membarrier ---------------------------------------------------------------------------------------------------- */

static long *_Atomic active;
static _Atomic bool writers_end;
static _Atomic long ready, additions;

static void *write_active(void *argument)
{
    long done = 0;

    join();
    ready++;
    while (!writers_end) {
        long cpu = *(volatile uint32_t *)&area.cpu_start;
        done += !add_there(&area, &add_there_sequence, cpu, (long **)&active, 300);
    }
    leave();
    additions += done;
    return NULL;
}

static long barrier(int command, unsigned flags, int cpu)
{
    return syscall(SYS_membarrier, command, flags, cpu);
}

/* Once the barrier is over nobody adds to what was active before it. Counters are of one cell for all processors:
 * some additions are lost, which is not what is looked at. */
static void barriers(void)
{
    static long cells[2];
    pthread_t threads[THREADS];
    cpu_set_t allowed;
    long late = 0;

    sched_getaffinity(0, sizeof allowed, &allowed);
    show("offered", (~barrier(MEMBARRIER_CMD_QUERY, 0, 0) & (BARRIER | BARRIER_REGISTER)) == 0);
    show("not registered", barrier(BARRIER, 0, 0));
    show("not registered, of one", barrier(BARRIER, MEMBARRIER_CMD_FLAG_CPU, 0));
    show("flags of registration", barrier(BARRIER_REGISTER, MEMBARRIER_CMD_FLAG_CPU, 0));
    show("registration", barrier(BARRIER_REGISTER, 0, 0));
    show("flags", barrier(BARRIER, 2, 0));
    show("flags of another", barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_FLAG_CPU, 0));
    show("of no processor", barrier(BARRIER, MEMBARRIER_CMD_FLAG_CPU, 100000));
    show("barrier", barrier(BARRIER, 0, -1));
    active = &cells[0];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, write_active, NULL);
    }
    while (ready < THREADS) {
        sched_yield();
    }
    for (int round = 0; round < 300; round++) {
        long *old = active;
        active = &cells[!(round & 1)];
        if (round % 3) {
            late += barrier(BARRIER, 0, 0) != 0;
        } else {
            for (int cpu = 0; cpu < CPUS; cpu++) {
                late += CPU_ISSET(cpu, &allowed) && barrier(BARRIER, MEMBARRIER_CMD_FLAG_CPU, cpu);
            }
        }
        long before = *(volatile long *)old;
        for (volatile int i = 0; i < 20000; i++) {
        }
        late += *(volatile long *)old != before;
    }
    writers_end = true;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("late %ld, some were added %d\n", late, additions > 0);
}

/* -- inheritance --------------------------------------------------------------------------------------------------- */

static void *of_a_thread(void *argument)
{
    show("a thread has none", rseq(&area, sizeof area, UNREGISTER, SIGNATURE));
    show("may have one", rseq(&area, sizeof area, 0, SIGNATURE));
    return NULL; /* it ends with its thread */
}

static volatile long in_child, error_in_child;

static int of_a_child(void *argument)
{
    in_child = rseq(&area, sizeof area, UNREGISTER, SIGNATURE);
    error_in_child = errno;
    return 0;
}

static void inheritance(char **arguments)
{
    static char stack[16384] __attribute__((aligned(16)));
    pthread_t thread;
    int status;

    join();
    pthread_create(&thread, NULL, of_a_thread, NULL);
    pthread_join(thread, NULL);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        show("inherited by fork", rseq(&area, sizeof area, 0, SIGNATURE));
        show("told alike", is_told_alike());
        run_threads(count, 200);
        show("given up", rseq(&area, sizeof area, UNREGISTER, SIGNATURE));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    show("status", status);
    child = clone(of_a_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    waitpid(child, &status, 0);
    printf("not where memory is shared %ld %ld\n", in_child, error_in_child);
    show("the parent still has it", rseq(&area, sizeof area, 0, SIGNATURE));
    fflush(stdout);
    execl("/proc/self/exe", arguments[0], "last", NULL);
}

int main(int argc, char **argv)
{
    setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
    if (argc > 2) {
        execl("/proc/self/exe", argv[0], "first", NULL);
    }
    FILL(add_one);
    FILL(add_there);
    FILL(push);
    FILL(pop);
    FILL(spin);
    if (!strcmp(argv[1], "last")) {
        show("after execve", rseq(&area, sizeof area, 0, SIGNATURE));
        return 0;
    }
    registration();
    shared_by_threads();
    interrupted();
    outside();
    bad_sequences();
    lost_area();
    affinity();
    barriers();
    inheritance(argv);
    return 1;
}
