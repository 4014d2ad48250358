/* user/host/host.h on x86-64 Linux. */
#include "user/host/host.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Places in the assembly below; only their addresses matter. */
extern const char user_copy_begin[], user_copy_end[], user_copy_out[];
extern const char user_syscall_begin[], user_syscall_call[], user_syscall_before[], user_syscall_out[];
void user_restore(void);

/* Found from other parts of the program too, as link-time optimisation cuts it. */
#define LABEL(name) ".globl " name "\n.hidden " name "\n" name ":\n"

__asm__(".text\n"
        ".p2align 4\n"
        ".globl user_copy\n"
        ".type user_copy, @function\n"
        "user_copy:\n"
        "    mov %rdx, %rcx\n"
        LABEL("user_copy_begin")
        "    rep movsb\n"
        LABEL("user_copy_end")
        LABEL("user_copy_out")
        "    mov %rcx, %rax\n"
        "    ret\n"
        ".size user_copy, . - user_copy\n"

        /* rbx: the word to look at last before the call. rcx: 0 until the call is made, which sets it. */
        ".p2align 4\n"
        ".globl user_syscall\n"
        ".type user_syscall, @function\n"
        "user_syscall:\n"
        "    push %rbx\n"
        "    mov %rdi, %rbx\n"
        "    mov %rsi, %rax\n"
        "    mov %rdx, %r11\n"
        "    mov (%r11), %rdi\n"
        "    mov 8(%r11), %rsi\n"
        "    mov 16(%r11), %rdx\n"
        "    mov 24(%r11), %r10\n"
        "    mov 32(%r11), %r8\n"
        "    mov 40(%r11), %r9\n"
        "    xor %ecx, %ecx\n"
        LABEL("user_syscall_begin")
        "    cmpl $0, (%rbx)\n"
        "    jne user_syscall_before\n"
        LABEL("user_syscall_call")
        "    syscall\n"
        "    pop %rbx\n"
        "    ret\n"
        LABEL("user_syscall_before")
        "    movl $2, (%rbx)\n" /* PENDING_ANEW */
        LABEL("user_syscall_out")
        "    mov $-512, %rax\n"
        "    pop %rbx\n"
        "    ret\n"
        ".size user_syscall, . - user_syscall\n"

        ".globl user_restore\n"
        ".type user_restore, @function\n"
        "user_restore:\n"
        "    mov $15, %eax\n"
        "    syscall\n"
        ".size user_restore, . - user_restore\n"

        /* user_clone(flags, stack, run, data, pidfd): the child calls run(data). */
        ".globl user_clone\n"
        ".type user_clone, @function\n"
        "user_clone:\n"
        "    mov %r8, %rax\n"
        "    mov %rdx, %r8\n"
        "    mov %rcx, %r9\n"
        "    mov %rax, %rdx\n"
        "    xor %r10d, %r10d\n"
        "    mov $56, %eax\n"
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jz 1f\n"
        "    ret\n"
        "1:  xor %ebp, %ebp\n"
        "    mov %r9, %rdi\n"
        "    call *%r8\n"
        "    hlt\n"
        ".size user_clone, . - user_clone\n");

int64_t user_clone(unsigned long flags, void *stack, void (*run)(void *data), void *data, int *pidfd);

static greg_t *registers(void *context)
{
    return ((ucontext_t *)context)->uc_mcontext.gregs;
}

bool user_fix_copy(void *context)
{
    greg_t *r = registers(context);

    if ((uintptr_t)r[REG_RIP] < (uintptr_t)user_copy_begin || (uintptr_t)r[REG_RIP] >= (uintptr_t)user_copy_end) {
        return false;
    }
    r[REG_RIP] = (greg_t)(uintptr_t)user_copy_out;
    return true;
}

/* Whether the kernel's entry leaves rcx as it was, as with FRED; else the instruction puts the next one's address
 * there. */
static bool entry_keeps_rcx(void)
{
    long result = SYS_getpid, rcx = 0;

    __asm__ volatile("syscall" : "+a"(result), "+c"(rcx) : : "r11", "memory");
    return !rcx;
}

/* At the call itself it is about to be made, or the kernel is to make it again. Where that cannot be told it is taken
 * for made: a call that waits for ever would be worse than one EINTR too many. */
static bool is_made(const greg_t *r)
{
    return (uintptr_t)r[REG_RIP] == (uintptr_t)user_syscall_call && (r[REG_RCX] || entry_keeps_rcx());
}

void user_fix_syscall(void *context)
{
    greg_t *r = registers(context);

    if ((uintptr_t)r[REG_RIP] >= (uintptr_t)user_syscall_begin &&
        (uintptr_t)r[REG_RIP] <= (uintptr_t)user_syscall_call) {
        r[REG_RIP] = (greg_t)(uintptr_t)(is_made(r) ? user_syscall_out : user_syscall_before);
    }
}

/* The kernel's struct. */
typedef struct KernelAction {
    void *handler;
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
} KernelAction;

int user_set_handler(int signal, void *handler, unsigned long flags)
{
    enum { HAS_RESTORER = 0x04000000 };
    KernelAction action = { handler, flags | HAS_RESTORER, user_restore, UINT64_MAX };

    return syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof action.mask) ? -errno : 0;
}

void *user_get_handler(int signal)
{
    KernelAction action = { 0 };

    syscall(SYS_rt_sigaction, signal, NULL, &action, sizeof action.mask);
    return action.handler;
}

void user_set_mask(int how, const uint64_t *set, uint64_t *old)
{
    syscall(SYS_rt_sigprocmask, how, set, old, sizeof *set);
}

uint64_t *user_context_mask(void *context)
{
    return (uint64_t *)&((ucontext_t *)context)->uc_sigmask;
}

void user_context_call(void *context, void (*function)(void *argument), void *argument)
{
    enum { RED_ZONE = 128 };
    greg_t *r = registers(context);

    r[REG_RSP] = ((r[REG_RSP] - RED_ZONE) & ~(greg_t)15) - 8; /* as behind a call */
    r[REG_RIP] = (greg_t)(uintptr_t)function;
    r[REG_RDI] = (greg_t)(uintptr_t)argument;
    r[REG_EFL] &= ~(greg_t)0x400; /* DF */
}

bool user_context_is_write(const void *context)
{
    enum { PAGE_FAULT_WRITE = 2 };
    return registers((void *)context)[REG_ERR] & PAGE_FAULT_WRITE;
}

int64_t user_vfork(unsigned long flags, void *stack_top, void (*run)(void *data), void *data, int *pidfd)
{
    return user_clone(flags | CLONE_VM | CLONE_VFORK, stack_top, run, data, pidfd);
}
