/*
 * What user mode needs of the host's processor: copies that survive a fault, system calls that lose no signal, and
 * what a signal handler must do to the interrupted context for both.
 */
#pragma once

#include "base/compiler.h"

#include <stdatomic.h>

/* The system call was not made, or would be made again, because a signal came. Never seen by a program. */
enum { USER_RESTART = 512 };

/* Copies; returns how many bytes at the end could not be. */
size_t user_copy(void *to, const void *from, size_t size);

/* Makes the host's system call `number`: its result or a negative errno value; -USER_RESTART where a signal's handler
 * set `*pending` while it waited in a call that restarts, or before it was made: then `*pending` becomes
 * PENDING_ANEW. */
int64_t user_syscall(_Atomic uint32_t *pending, long number, const uint64_t arguments[6]);
/* ANEW: the call that the signal came to is begun anew, whatever the flags of the handler say. */
enum { PENDING_NONE, PENDING_SIGNAL, PENDING_ANEW };

/* For signal handlers; `context` is the ucontext_t. */
/* The fault was one of user_copy: it is made to return. */
bool user_fix_copy(void *context);
/* If it interrupted user_syscall outside of the kernel, the call is not made (again). */
void user_fix_syscall(void *context);

/* Calls that libc will not make for us: the host's numbers and structs, without libc's signal bookkeeping.
 * `handler` takes (number, siginfo_t *, ucontext_t *); or SIG_DFL, SIG_IGN. `flags`: SA_ bits. All else is blocked
 * while a handler runs. Returns 0 or a negative errno value. */
int user_set_handler(int signal, void *handler, unsigned long flags);
/* What was there: SIG_DFL, SIG_IGN. */
void *user_get_handler(int signal);
/* As sigprocmask with 64-bit sets; both may be NULL. */
void user_set_mask(int how, const uint64_t *set, uint64_t *old);
/* The mask that a handler's return brings back. */
uint64_t *user_context_mask(void *context);
/* Has the interrupted thread go on in `function`, which does not return. */
void user_context_call(void *context, void (*function)(void *argument), void *argument);
/* Whether a fault was a write. */
bool user_context_is_write(const void *context);
/* clone(2) with CLONE_VM | CLONE_VFORK on a stack of its own: `run` never returns. The child's ID, or an error; with
 * CLONE_PIDFD `*pidfd` is set too. */
int64_t user_vfork(unsigned long flags, void *stack_top, void (*run)(void *data), void *data, int *pidfd);
