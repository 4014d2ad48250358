/*
 * Stackful coroutines: a function that can leave off in its middle and be entered again, on the thread where it was
 * entered. Nothing here is known to the thread: whoever enters a coroutine keeps track of it.
 */
#pragma once

#include "base/compiler.h"

typedef struct Coroutine Coroutine;

/* NULL where there is no memory for a stack. */
Coroutine *coroutine_new(void);
void coroutine_free(Coroutine *coroutine); /* not while its function has not returned; NULL is fine */
/* The next coroutine_enter begins with `function(data)`. Only when no function is under way. */
void coroutine_prepare(Coroutine *coroutine, void (*function)(void *data), void *data);
/* Runs it until it leaves or returns. True: it has returned. */
bool coroutine_enter(Coroutine *coroutine);
/* Within it: back to who entered it. */
void coroutine_leave(Coroutine *coroutine);
