/*
 * Restartable sequences, rseq(2), after kernel/rseq.c of Linux 6.12: the area of a thread tells which processor it is
 * on (here the slot that it has: user/slots.h) and which sequence of instructions it is in, which begins anew where
 * the thread has been on no processor, has been given another, or has had a signal.
 */
#pragma once

#include "user/process.h"

/* Of struct rseq, as the auxiliary vector has it. */
enum { RSEQ_FEATURE_SIZE = 28, RSEQ_ALIGNMENT = 32 };

/* Before guest instructions, where task->slot.look is set. False: a signal came first. */
bool rseq_settle(Task *task);
/* A handler is about to be called. False: what the area says is wrong, for which SIGSEGV is due. */
bool rseq_signal(Task *task);
