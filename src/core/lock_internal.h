/* The crossing rule of device locks, for dispatch and interrupt lines: see device.h. */
#pragma once

#include "base/compiler.h"

typedef struct DeviceLock DeviceLock;
typedef struct LockDomain LockDomain;

/* The locks of one machine, and what each thread holds of them. */
LockDomain *lock_domain_new(void);
void lock_domain_free(LockDomain *domain);
DeviceLock *lock_new(LockDomain *domain);
void lock_set_controller(DeviceLock *lock); /* it may be taken inside another one */

typedef enum LockEntry {
    LOCK_ENTERED,  /* taken: device_unlock releases it */
    LOCK_HELD,     /* this thread has it already */
    LOCK_CROSSING, /* this thread holds another one and may not take this: defer */
} LockEntry;
NODISCARD LockEntry lock_enter(DeviceLock *lock);

/* Runs `function` when this thread's outermost lock of the domain is released; now where it holds none. False: far too
 * much waits already (a guest has built a loop), and the function is dropped. */
bool lock_defer(LockDomain *domain, void (*function)(void *data, uint64_t a, uint64_t b), void *data, uint64_t a,
                uint64_t b);
LockDomain *lock_domain(const DeviceLock *lock);
