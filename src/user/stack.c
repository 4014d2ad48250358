/*
 * The first stack of a program, as Linux lays it out: from the top the program's name, environment, arguments, 16
 * random bytes and the platform's name, then the auxiliary vector and the pointers to all of them.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "base/host/host.h"
#include "cpu/guest.h"
#include "user/elf.h"
#include "user/options.h"
#include "user/rseq.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { AUXV_WORDS = 64, DEFAULT_STACK = 8 << 20, AUXV_RSEQ_FEATURE_SIZE = 27, AUXV_RSEQ_ALIGN = 28 };

typedef struct Stack {
    Process *process;
    uint64_t pointer;
    bool failed;
} Stack;

static uint64_t push(Stack *stack, const void *bytes, size_t size)
{
    stack->pointer -= size;
    stack->failed = stack->failed || memory_write(stack->process->memory, stack->pointer, bytes, size);
    return stack->pointer;
}

static uint64_t push_string(Stack *stack, const char *text)
{
    return push(stack, text, strlen(text) + 1);
}

static uint64_t map_stack(Process *process, Error **error)
{
    struct rlimit limit;
    uint64_t size = process->options->stack_size, top = process->abi->stack_top;

    if (!size) {
        bool known = !getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur != RLIM_INFINITY;
        size = known ? MIN(limit.rlim_cur, top / 4) : DEFAULT_STACK;
    }
    size = align_up(MAX(size, 128 * KIB), GUEST_PAGE_SIZE);
    int64_t place = memory_map(process->memory, top - size, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_FIXED_NOREPLACE, -1, 0);
    if (place < 0) {
        error_set_errno(error, (int)-place, "cannot map the stack");
        return 0;
    }
    memory_mark(process->memory, (uint64_t)place, size, MEMORY_STACK);
    return top;
}

/* Pushes strings, the last one first; their addresses go to `addresses`. */
static void push_strings(Stack *stack, char *const *strings, size_t count, uint64_t *addresses)
{
    for (size_t i = count; i-- > 0;) {
        addresses[i] = push_string(stack, strings[i]);
    }
}

typedef struct Vector {
    uint64_t words[AUXV_WORDS];
    size_t count;
} Vector;

static void add(Vector *vector, uint64_t type, uint64_t value)
{
    vector->words[vector->count++] = type;
    vector->words[vector->count++] = value;
}

static void fill_auxv(Process *process, Cpu *cpu, Vector *v)
{
    const Program *program = &process->program;
    const UserAbi *abi = process->abi;

    add(v, AT_SYSINFO_EHDR, program->vdso);
    add(v, AT_HWCAP, abi->hwcap(cpu));
    add(v, AT_PAGESZ, GUEST_PAGE_SIZE);
    add(v, AT_CLKTCK, (uint64_t)sysconf(_SC_CLK_TCK));
    add(v, AT_PHDR, program->headers);
    add(v, AT_PHENT, abi->word_size == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
    add(v, AT_PHNUM, program->header_count);
    add(v, AT_BASE, program->interpreter_base);
    add(v, AT_FLAGS, 0);
    add(v, AT_ENTRY, program->entry);
    add(v, AT_UID, getuid());
    add(v, AT_EUID, geteuid());
    add(v, AT_GID, getgid());
    add(v, AT_EGID, getegid());
    add(v, AT_SECURE, getauxval(AT_SECURE));
    add(v, AT_HWCAP2, 0);
    if (process->slots) {
        add(v, AUXV_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE);
        add(v, AUXV_RSEQ_ALIGN, RSEQ_ALIGNMENT);
    }
}

static void push_words(Stack *stack, const uint64_t *words, size_t count)
{
    unsigned size = stack->process->abi->word_size;

    for (size_t i = count; i-- > 0;) {
        push(stack, &words[i], size);
    }
}

static size_t count_strings(char *const *strings)
{
    size_t count = 0;
    while (strings[count]) {
        count++;
    }
    return count;
}

/* Of the host, or of -seed: then SplitMix64's numbers. */
static void make_random(const UserOptions *options, uint8_t *bytes, size_t size)
{
    uint64_t state = options->seed;

    if (!options->seeded) {
        host_random(bytes, size);
        return;
    }
    for (size_t i = 0; i < size; i += 8) {
        uint64_t z = state += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        store_le64(bytes + i, z ^ z >> 31);
    }
}

uint64_t stack_make(Process *process, Cpu *cpu, char *const *arguments, char *const *environment, const char *name,
                    Error **error)
{
    Stack stack = { process, map_stack(process, error), false };
    size_t argc = count_strings(arguments), envc = count_strings(environment);
    AUTO_FREE uint64_t *pointers = mem_alloc_array(argc + envc + 3, sizeof *pointers);
    Program *program = &process->program;
    unsigned size = process->abi->word_size;
    Vector v = { .count = 0 };
    uint8_t random[16];

    if (!stack.pointer) {
        return 0;
    }
    stack.pointer -= size;
    uint64_t name_address = program->environment_end = push_string(&stack, name);
    push_strings(&stack, environment, envc, pointers + argc + 2);
    program->environment_start = program->arguments_end = stack.pointer;
    pointers[0] = argc;
    push_strings(&stack, arguments, argc, pointers + 1);
    program->arguments_start = stack.pointer;
    stack.pointer = align_down(stack.pointer, 16);
    make_random(process->options, random, sizeof random);
    fill_auxv(process, cpu, &v);
    add(&v, AT_RANDOM, push(&stack, random, sizeof random));
    add(&v, AT_EXECFN, name_address);
    if (process->abi->platform) {
        add(&v, AT_PLATFORM, push_string(&stack, process->abi->platform));
    }
    add(&v, AT_NULL, 0);
    uint64_t below = (v.count + argc + envc + 3) * size;
    stack.pointer = align_down(stack.pointer - below, 16) + below;
    push_words(&stack, v.words, v.count);
    program->auxv = stack.pointer;
    program->auxv_size = v.count * size;
    push_words(&stack, pointers, argc + envc + 3);
    program->stack_start = stack.pointer;
    if (stack.failed) {
        error_set_errno(error, E2BIG, "arguments and environment do not fit on the stack");
        return 0;
    }
    return stack.pointer;
}
