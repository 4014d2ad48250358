/* A signal set for the host's call to wait with; the handler's frame is to show the mask that was before. */
#pragma once

#include "user/process.h"

typedef struct WaitMask {
    bool given;
    uint64_t set, host;
} WaitMask;

/* The guest's set; none at address 0. 0 or a negative errno value. */
int wait_mask_read(Task *task, uint64_t address, uint64_t size, WaitMask *mask);
/* The same where the address of a set's address and size is given. */
int64_t wait_mask_read_pair(Task *task, uint64_t address, WaitMask *mask);
/* For the host's call: an address or 0. */
uint64_t wait_mask_host(WaitMask *mask);
/* After it: the result. */
int64_t wait_mask_done(Task *task, const WaitMask *mask, int64_t result);
