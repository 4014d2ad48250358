/*
 * Coroutines on stacks of their own. On x86-64 a switch saves what the System V ABI lets a function keep (rbx, rbp,
 * r12 to r15, the control words of SSE and x87); elsewhere ucontext does it. AddressSanitizer and ThreadSanitizer are
 * told of every switch.
 */
#include "base/host/coroutine.h"

#include "base/host/host.h"
#include "base/vec.h"

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum { STACK_BYTES = 256 << 10 };

#if defined(__x86_64__)
typedef void *Context; /* the stack pointer; what is saved lies there */
#else
#include <ucontext.h>
typedef ucontext_t Context;
#endif

struct Coroutine {
    char *memory; /* a guard page, then the stack */
    size_t bytes;
    void (*function)(void *data);
    void *data;
    bool running;
    Context self, caller;
#ifdef WITH_ASAN
    void *self_fake, *caller_fake;
    const void *caller_stack;
    size_t caller_bytes;
#endif
#ifdef WITH_TSAN
    void *self_fiber, *caller_fiber;
#endif
};

/* What the sanitizers have to know. */

static void before_enter(Coroutine *coroutine)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&coroutine->caller_fake, coroutine->memory, coroutine->bytes);
#endif
#ifdef WITH_TSAN
    coroutine->caller_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(coroutine->self_fiber, 0);
#endif
}

static void after_enter(Coroutine *coroutine)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(coroutine->caller_fake, NULL, NULL);
#endif
}

static void before_leave(Coroutine *coroutine)
{
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&coroutine->self_fake, coroutine->caller_stack,
                                   coroutine->caller_bytes);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(coroutine->caller_fiber, 0);
#endif
}

static void after_leave(Coroutine *coroutine, bool first)
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(first ? NULL : coroutine->self_fake, &coroutine->caller_stack,
                                    &coroutine->caller_bytes);
#endif
}

static void run(Coroutine *coroutine);

#if defined(__x86_64__)

void coroutine_switch_stacks(Context *from, Context to); /* below */
void coroutine_begin(void);

/* The first switch "returns" to coroutine_begin with the coroutine in rbx. */
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden coroutine_switch_stacks\n"
        ".globl coroutine_switch_stacks\n"
        ".type coroutine_switch_stacks, @function\n"
        "coroutine_switch_stacks:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size coroutine_switch_stacks, . - coroutine_switch_stacks\n"
        ".p2align 4\n"
        ".hidden coroutine_begin\n"
        ".globl coroutine_begin\n"
        ".type coroutine_begin, @function\n"
        "coroutine_begin:\n"
        "    movq %rbx, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    call *%r12\n"
        "    ud2\n"
        ".size coroutine_begin, . - coroutine_begin\n");

static void make_context(Coroutine *coroutine)
{
    enum { SAVED = 8 }; /* control words, r15, r14, r13, r12, rbx, rbp, return address */
    uint64_t *top = (uint64_t *)(void *)(coroutine->memory + coroutine->bytes) - 2; /* 16-byte aligned at the call */
    uint64_t *frame = top - SAVED;
    uint32_t sse;
    uint16_t x87;
    __asm__("stmxcsr %0" : "=m"(sse));
    __asm__("fnstcw %0" : "=m"(x87));
    frame[0] = sse | (uint64_t)x87 << 32;
    frame[1] = frame[2] = frame[3] = 0;
    frame[4] = (uint64_t)(uintptr_t)run;
    frame[5] = (uint64_t)(uintptr_t)coroutine;
    frame[6] = 0;
    frame[7] = (uint64_t)(uintptr_t)coroutine_begin;
    coroutine->self = frame;
}

static void switch_in(Coroutine *coroutine) { coroutine_switch_stacks(&coroutine->caller, coroutine->self); }
static void switch_out(Coroutine *coroutine) { coroutine_switch_stacks(&coroutine->self, coroutine->caller); }

#else

static void begin(unsigned low, unsigned high) { run((Coroutine *)((uintptr_t)low | (uintptr_t)high << 32)); }

static void make_context(Coroutine *coroutine)
{
    uintptr_t pointer = (uintptr_t)coroutine;
    size_t guard = host_page_size();
    getcontext(&coroutine->self);
    coroutine->self.uc_stack.ss_sp = coroutine->memory + guard;
    coroutine->self.uc_stack.ss_size = coroutine->bytes - guard;
    coroutine->self.uc_link = NULL;
    makecontext(&coroutine->self, (void (*)(void))begin, 2, (unsigned)pointer, (unsigned)(pointer >> 32));
}

static void switch_in(Coroutine *coroutine) { swapcontext(&coroutine->caller, &coroutine->self); }
static void switch_out(Coroutine *coroutine) { swapcontext(&coroutine->self, &coroutine->caller); }

#endif

/* The whole life of a stack: one function after the other. */
static void run(Coroutine *coroutine)
{
    after_leave(coroutine, true);
    for (;;) {
        coroutine->function(coroutine->data);
        coroutine->running = false;
        coroutine_leave(coroutine);
    }
}

Coroutine *coroutine_new(void)
{
    size_t guard = host_page_size(), bytes = STACK_BYTES + guard;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    mprotect(memory, guard, PROT_NONE);
    Coroutine *coroutine = NEW(Coroutine);
    coroutine->memory = memory;
    coroutine->bytes = bytes;
#ifdef WITH_TSAN
    coroutine->self_fiber = __tsan_create_fiber(0);
#endif
    make_context(coroutine);
    return coroutine;
}

void coroutine_free(Coroutine *coroutine)
{
    if (!coroutine) {
        return;
    }
    assert(!coroutine->running);
#ifdef WITH_TSAN
    __tsan_destroy_fiber(coroutine->self_fiber);
#endif
    munmap(coroutine->memory, coroutine->bytes);
    free(coroutine);
}

void coroutine_prepare(Coroutine *coroutine, void (*function)(void *data), void *data)
{
    assert(!coroutine->running);
    coroutine->function = function;
    coroutine->data = data;
    coroutine->running = true;
}

bool coroutine_enter(Coroutine *coroutine)
{
    before_enter(coroutine);
    switch_in(coroutine);
    after_enter(coroutine);
    return !coroutine->running;
}

void coroutine_leave(Coroutine *coroutine)
{
    before_leave(coroutine);
    switch_out(coroutine);
    after_leave(coroutine, false);
}
