/*
 * A program of Linux: each instruction of hostile_insns.c at each offset about the edge of two pages, whatever the two
 * are. The signal says which address could not be reached, the first one of the access; registers and both pages are
 * as before then. Encodings that are none, and jumps to where nothing may run, likewise.
 */
#define _GNU_SOURCE
#include "hostile_insns.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { BREAKPOINT_CODE = 1 }; /* TRAP_BRKPT */
enum { PAGE = 4096, PAGES = 2 * PAGE, X_VALUES = 12, VALUES = 4, BREAK = 0x9002 };

typedef struct PageKind {
    const char *name;
    int protection;
    enum { MAPPED, UNMAPPED, BEHIND_FILE } how;
} PageKind;

static const PageKind kinds[] = {
    { "plain", PROT_READ | PROT_WRITE | PROT_EXEC, MAPPED }, { "data", PROT_READ | PROT_WRITE, MAPPED },
    { "constant", PROT_READ, MAPPED },                       { "code", PROT_READ | PROT_EXEC, MAPPED },
    { "closed", PROT_NONE, MAPPED },                         { "nothing", 0, UNMAPPED },
    { "behind the file", PROT_READ | PROT_WRITE | PROT_EXEC, BEHIND_FILE },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* What a signal told, or 0. */
typedef struct Report {
    int number, code;
    uintptr_t address, pc;
    unsigned long values[VALUES];
} Report;

static Report report;
static unsigned char *pages, *alias, *code;
static unsigned long cases, faults;

/* Back to what called the code, which has its address in ra. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    unsigned long *registers = ((ucontext_t *)context)->uc_mcontext.__gregs; /* pc, x1, x2 ... */

    report = (Report){ number, info->si_code, (uintptr_t)info->si_addr, registers[0], { 0 } };
    memcpy(report.values, registers + X_VALUES, sizeof report.values);
    registers[0] = registers[1];
}

/* a0 is the address, a2 to a5 are values. */
static void attempt(const void *at, uintptr_t address, const unsigned long before[VALUES], unsigned long after[VALUES])
{
    register unsigned long a0 __asm__("a0") = address, a2 __asm__("a2") = before[0], a3 __asm__("a3") = before[1];
    register unsigned long a4 __asm__("a4") = before[2], a5 __asm__("a5") = before[3];
    register const void *t2 __asm__("t2") = at;

    report = (Report){ 0 };
    __asm__ volatile("fence.i\n\tjalr t2"
                     : "+r"(a0), "+r"(a2), "+r"(a3), "+r"(a4), "+r"(a5), "+r"(t2)
                     :
                     : "ra", "t0", "t1", "a1", "a6", "a7", "fa2", "memory");
    after[0] = a2;
    after[1] = a3;
    after[2] = a4;
    after[3] = a5;
}

static void fail(const char *what, const char *name, int offset, const PageKind *low, const PageKind *high)
{
    printf("%s: %s at %d of %s and %s: signal %d, code %d, address %#lx, pc %#lx; pages at %#lx\n", what, name, offset,
           low->name, high->name, report.number, report.code, (unsigned long)report.address,
           (unsigned long)report.pc, (unsigned long)(uintptr_t)pages);
    exit(1);
}

static void map_page(unsigned number, const PageKind *kind, int file, int empty)
{
    unsigned char *page = pages + number * PAGE;

    munmap(page, PAGE);
    if (kind->how != UNMAPPED) {
        int from = kind->how == MAPPED ? file : empty;
        off_t offset = kind->how == MAPPED ? number * PAGE : 0;
        if (mmap(page, PAGE, kind->protection, MAP_SHARED | MAP_FIXED, from, offset) != page) {
            perror("mmap");
            exit(1);
        }
    }
}

/* The signal for an access that needs this of the page; 0: none. */
static int signal_of(const PageKind *kind, int needs, int *number)
{
    *number = kind->how == BEHIND_FILE ? SIGBUS : SIGSEGV;
    if (kind->how == UNMAPPED) {
        return SEGV_MAPERR;
    }
    if ((kind->protection & needs) != needs) {
        *number = SIGSEGV;
        return SEGV_ACCERR;
    }
    return kind->how == BEHIND_FILE ? BUS_ADRERR : 0;
}

static int needs_of(const HostileInsn *insn)
{
    return insn->kind == HOSTILE_LOAD ? PROT_READ : insn->kind == HOSTILE_STORE ? PROT_WRITE : PROT_READ | PROT_WRITE;
}

/* What is to be reported for the access; false: nothing. */
static bool expected_report(const HostileInsn *insn, int offset, const PageKind *low, const PageKind *high, Report *out)
{
    bool whole = insn->kind == HOSTILE_ADD || insn->kind == HOSTILE_SWAP || insn->kind == HOSTILE_RESERVE;

    *out = (Report){ .pc = (uintptr_t)code };
    if (whole && offset & (insn->size - 1)) {
        out->number = SIGBUS;
        out->code = BUS_ADRALN;
        out->address = (uintptr_t)pages + PAGE + offset;
        return true;
    }
    for (int i = 0; i < insn->size; i++) {
        const PageKind *kind = offset + i < 0 ? low : high;
        int reads = 0, needs = needs_of(insn);
        if (insn->kind == HOSTILE_RESERVE) { /* what lr cannot read it reports */
            reads = signal_of(kind, PROT_READ, &out->number);
        }
        out->code = reads ? reads : signal_of(kind, needs, &out->number);
        if (out->code) {
            out->pc += insn->kind == HOSTILE_RESERVE && !reads ? 4 : 0;
            out->address = (uintptr_t)pages + PAGE + offset + i;
            return true;
        }
    }
    out->number = 0;
    return false;
}

static void check(const HostileInsn *insn, int offset, const PageKind *low, const PageKind *high)
{
    static unsigned char before[PAGES];
    const unsigned long values[VALUES] = { 0x1111, 0x2222, 0x3333, 0x4444 };
    unsigned long after[VALUES];
    Report expected;

    cases++;
    memcpy(before, alias, PAGES);
    bool faulted = expected_report(insn, offset, low, high, &expected);
    attempt(code, (uintptr_t)pages + PAGE + offset, values, after);
    if (report.number != expected.number || report.code != expected.code || report.address != expected.address ||
        (faulted && report.pc != expected.pc)) {
        fail("another signal", insn->name, offset, low, high);
    }
    faults += faulted;
    unsigned same = insn->kind == HOSTILE_RESERVE && report.pc != (uintptr_t)code ? 2 : VALUES; /* lr was done */
    if (faulted && (memcmp(report.values, values, same * sizeof *values) || memcmp(before, alias, PAGES))) {
        fail("something was done", insn->name, offset, low, high);
    }
    if (!faulted && insn->kind == HOSTILE_STORE && !insn->is_fp &&
        memcmp(alias + PAGE + offset, &values[1], insn->size)) {
        fail("not stored", insn->name, offset, low, high);
    }
    if (!faulted && insn->kind == HOSTILE_LOAD && !insn->is_fp &&
        memcmp(alias + PAGE + offset, &after[0], insn->size)) {
        fail("not loaded", insn->name, offset, low, high);
    }
    memcpy(alias, before, PAGES);
}

static void put(const uint32_t *words, const unsigned *bytes, unsigned count)
{
    unsigned char *at = code;

    for (unsigned i = 0; i < count; i++) {
        memcpy(at, &words[i], bytes[i]);
        at += bytes[i];
    }
    memcpy(at, &(uint32_t){ 0x00008067 }, 4); /* ret */
    __builtin___clear_cache((char *)code, (char *)at + 4);
}

static bool is_tested(const HostileInsn *insn)
{
    bool block = insn->kind == HOSTILE_ZERO || insn->kind == HOSTILE_MANAGE; /* for Linux to allow */
    bool accesses = !block && insn->kind != HOSTILE_JUMP && insn->kind != HOSTILE_HINT;
    return accesses && (!insn->xlen || insn->xlen == __riscv_xlen);
}

static void check_accesses(const PageKind *low, const PageKind *high)
{
    for (const HostileInsn *insn = hostile_insns; insn->name; insn++) {
        if (is_tested(insn)) {
            put((uint32_t[]){ insn->bits, insn->second }, (unsigned[]){ insn->bytes, 4 }, insn->second ? 2 : 1);
            for (int offset = -17; offset <= 9; offset++) {
                check(insn, offset, low, high);
            }
        }
    }
}

/* Jumps into the two, which are full of breakpoints; at the edge stands one of four bytes. */
static void check_jump(int offset, const PageKind *low, const PageKind *high)
{
    unsigned long values[VALUES] = { 0 };
    uintptr_t target = (uintptr_t)pages + PAGE + offset, at = target;
    int number, what = signal_of(offset < 0 ? low : high, PROT_EXEC, &number);

    cases++;
    if (!what && offset == -2) {
        at += 2;
        what = signal_of(high, PROT_EXEC, &number);
    }
    if (!what) {
        what = BREAKPOINT_CODE;
        number = SIGTRAP;
        at = target;
    }
    attempt((const void *)target, 0, values, values);
    if (report.number != number || report.code != what || report.address != at || report.pc != target) {
        fail("another signal", "jalr", offset, low, high);
    }
}

static void check_encodings(void)
{
    static const struct {
        uint32_t bits;
        unsigned bytes;
    } rows[] = {
        { 0, 2 }, { 0xffffffff, 4 }, { 0x0000001f, 4 }, { 0x0000003f, 4 }, { 0x0000007f, 4 }, { 0x0000705b, 4 },
        { 0x00007003, 4 }, { 0x00005027, 4 }, { 0x00002063, 4 }, { 0x00001067, 4 }, { 0x30200073, 4 },
        { 0x10200073, 4 }, { 0x12000073, 4 }, { 0x30001073, 4 }, { 0x10002573, 4 }, { 0xc0001073, 4 },
        { 0x5c002573, 4 }, { 0x6101, 2 }, { 0x2001, 2 }, { 0x8002, 2 }, { 0x9c7d, 2 }, { 0x02055553, 4 },
    };
    unsigned long values[VALUES] = { 0 };

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        cases++;
        put(&rows[i].bits, &rows[i].bytes, 1);
        attempt(code, 0, values, values);
        if (report.number != SIGILL || report.code != ILL_ILLOPC || report.address != (uintptr_t)code) {
            printf("%#x: ", rows[i].bits);
            fail("another signal", "encoding", 0, &kinds[0], &kinds[0]);
        }
    }
}

static void prepare(int file, int empty)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP };

    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], &(struct sigaction){ .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, NULL);
    }
    if (file < 0 || empty < 0 || ftruncate(file, PAGES)) {
        perror("memfd");
        exit(1);
    }
    alias = mmap(NULL, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    pages = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pages += PAGE;
    code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < PAGES; i += 2) {
        memcpy(alias + i, &(uint16_t){ BREAK }, 2);
    }
    memcpy(alias + PAGE - 2, &(uint32_t){ 0x00100073 }, 4);
}

int main(void)
{
    int file = memfd_create("pages", 0), empty = memfd_create("empty", 0);

    prepare(file, empty);
    check_encodings();
    for (unsigned pair = 0; pair < KINDS * KINDS; pair++) {
        const PageKind *low = &kinds[pair / KINDS], *high = &kinds[pair % KINDS];
        map_page(0, low, file, empty);
        map_page(1, high, file, empty);
        check_accesses(low, high);
        for (int offset = -6; offset <= 6; offset += 2) {
            if (offset) { /* there is the end of the long one */
                check_jump(offset, low, high);
            }
        }
    }
    printf("%lu cases, %lu faults\n", cases, faults);
    return 0;
}
