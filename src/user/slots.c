#include "user/slots.h"

#include "base/error.h"
#include "base/host/host.h"
#include "user/syscall.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    CPUS_MAXIMUM = 8192,
    SLICE = 3000000,       /* that a thread may execute while others wait, in nanoseconds */
    PATIENCE = 40000,      /* a thread that is so long in one call sleeps there */
    FIRST_POLL = 50000,    /* of the one who waits longest, doubled each time */
    LATER_POLL = 16 * SLICE, /* of the others */
};

typedef struct Slot {
    Task *owner;            /* NULL: nobody's */
    int64_t since;
    uint32_t runs;          /* of the owner's vCPU then */
    uint32_t seen_runs;     /* of the owner's vCPU when somebody looked, first at `seen` */
    int64_t seen;
    bool asked;             /* the owner is to stop and give it away */
    uint16_t concurrency_id;
    _Atomic uint16_t node;  /* of memory, and 1; 0: not known yet */
} Slot;

struct Slots {
    Mutex lock; /* before a group's */
    unsigned count;
    ListNode users, waiters;
    _Atomic unsigned waiting; /* how many wait */
    Slot slots[];
};

/* How soon a call's thread may lose its slot. */
enum {
    CALL_SHORT,   /* once it has been there for a while */
    CALL_WAITS,   /* at once, to a thread that comes from a call itself */
    CALL_SLEEPS,  /* it gives it away where somebody waits */
};

static const uint8_t call_kinds[SYSCALL_COUNT] = {
    [SYSCALL_futex] = CALL_SLEEPS,
    [SYSCALL_futex_waitv] = CALL_SLEEPS,
    [SYSCALL_futex_wait] = CALL_SLEEPS,
    [SYSCALL_nanosleep] = CALL_SLEEPS,
    [SYSCALL_clock_nanosleep] = CALL_SLEEPS,
    [SYSCALL_sched_yield] = CALL_SLEEPS,
    [SYSCALL_rt_sigsuspend] = CALL_SLEEPS,
    [SYSCALL_rt_sigtimedwait] = CALL_SLEEPS,
    [SYSCALL_wait4] = CALL_SLEEPS,
    [SYSCALL_waitid] = CALL_SLEEPS,
    [SYSCALL_exit] = CALL_SLEEPS,
    [SYSCALL_ppoll] = CALL_WAITS,
    [SYSCALL_pselect6] = CALL_WAITS,
    [SYSCALL_epoll_pwait] = CALL_WAITS,
    [SYSCALL_epoll_pwait2] = CALL_WAITS,
    [SYSCALL_read] = CALL_WAITS,
    [SYSCALL_readv] = CALL_WAITS,
    [SYSCALL_recvfrom] = CALL_WAITS,
    [SYSCALL_recvmsg] = CALL_WAITS,
    [SYSCALL_accept] = CALL_WAITS,
    [SYSCALL_accept4] = CALL_WAITS,
};

Slots *slots_new(void)
{
    uint64_t mask[CPUS_MAXIMUM / 64];
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);

    if (size <= 0) {
        return NULL;
    }
    unsigned count = (unsigned)size * 8;
    Slots *slots = mem_alloc0(sizeof *slots + count * sizeof *slots->slots);
    mutex_init(&slots->lock);
    slots->count = count;
    list_init(&slots->users);
    list_init(&slots->waiters);
    return slots;
}

/* -- all with the lock held ---------------------------------------------------------------------------------------- */

static Slots *slots_of(const Task *task)
{
    return task->process->slots;
}

static bool owns(const Task *task)
{
    return slots_of(task)->slots[task->slot.number].owner == task;
}

static bool allows(const Task *task, unsigned number)
{
    return task->slot.allowed[number / 64] >> number % 64 & 1;
}

/* Where it cannot be told it stays as it was. */
static void update_allowed(Task *task)
{
    syscall(SYS_sched_getaffinity, 0, slots_of(task)->count / 8, task->slot.allowed);
}

static void wake(Task *task)
{
    if (!atomic_exchange(&task->slot.woken, 1)) {
        syscall(SYS_futex, &task->slot.woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static Task *first_waiter(const Slots *slots)
{
    return list_empty(&slots->waiters) ? NULL : list_item(slots->waiters.next, Task, slot.waits);
}

/* Whoever waits longest then is to know that it is its turn to watch the slots. */
static void stop_waiting(Task *task)
{
    Slots *slots = slots_of(task);
    bool was_first = first_waiter(slots) == task;

    if (!list_linked(&task->slot.waits)) {
        return;
    }
    list_remove(&task->slot.waits);
    atomic_fetch_sub(&slots->waiting, 1);
    if (was_first && first_waiter(slots)) {
        wake(first_waiter(slots));
    }
}

static uint16_t free_concurrency_id(const Slots *slots)
{
    uint64_t used[CPUS_MAXIMUM / 64] = { 0 };
    uint16_t id = 0;

    for (unsigned i = 0; i < slots->count; i++) {
        if (slots->slots[i].owner) {
            used[slots->slots[i].concurrency_id / 64] |= BIT(slots->slots[i].concurrency_id % 64);
        }
    }
    while (used[id / 64] >> id % 64 & 1) {
        id++;
    }
    return id;
}

static void install(Task *task, unsigned number, int64_t now)
{
    Slot *slot = &slots_of(task)->slots[number];

    if (!slot->owner) {
        slot->concurrency_id = free_concurrency_id(slots_of(task));
    }
    slot->owner = task;
    slot->since = now;
    slot->runs = atomic_load(&task->cpu->runs);
    slot->seen = 0;
    slot->asked = false;
    task->slot.number = number;
    task->slot.concurrency_id = slot->concurrency_id;
    task->slot.restart = true;
    stop_waiting(task);
}

static Task *first_waiter_for(const Slots *slots, unsigned number)
{
    LIST_FOREACH(&slots->waiters, task, Task, slot.waits) {
        if (allows(task, number)) {
            return task;
        }
    }
    return NULL;
}

/* The owner gives its slot away if somebody waits for it: `at_once`, the first has it. Else the first is woken, and has
 * it if it is on a processor before another thread that needs one, unless it has waited for a slice. */
static bool hand_on(Slots *slots, unsigned number, bool at_once)
{
    Task *task = first_waiter_for(slots, number);
    int64_t now = host_monotonic_ns();

    if (!task) {
        return false;
    }
    slots->slots[number].owner->slot.restart = true;
    atomic_store(&slots->slots[number].owner->slot.look, true);
    if (at_once || now - task->slot.waits_since >= SLICE) {
        install(task, number, now);
    } else {
        slots->slots[number].owner = NULL;
    }
    wake(task);
    return true;
}

static void release(Task *task)
{
    Slots *slots = slots_of(task);

    if (owns(task) && !hand_on(slots, task->slot.number, false)) {
        slots->slots[task->slot.number].owner = NULL;
    }
}

/* Whether the owner may lose it: it is in a call, and sleeps there or is likely to. */
static bool is_idle(Slot *slot, int64_t now)
{
    const Task *owner = slot->owner;
    uint32_t runs = atomic_load(&owner->cpu->runs);
    bool is_new = runs == slot->runs; /* it has yet to use it */

    if (runs & 1) {
        return false;
    }
    if (!is_new && call_kinds[atomic_load(&owner->slot.call)] != CALL_SHORT) {
        return true;
    }
    if (!slot->seen || slot->seen_runs != runs) {
        slot->seen_runs = runs;
        slot->seen = now;
    }
    return now - slot->seen >= (is_new ? SLICE : PATIENCE);
}

/* False: the owner has begun to execute. It may be stopped for nothing then. */
static bool evict(Slot *slot)
{
    Task *owner = slot->owner;

    atomic_store(&owner->slot.look, true);
    if (cpu_stop_counted(owner->cpu) & 1) {
        return false;
    }
    owner->slot.restart = true;
    return true;
}

/* A free slot, that of the host's processor above all; or else one whose thread sleeps. */
static bool take(Task *task)
{
    Slots *slots = slots_of(task);
    int64_t now = host_monotonic_ns();
    int place = sched_getcpu(), idle = -1;

    for (unsigned i = 0; i < slots->count; i++) {
        unsigned number = ((unsigned)MAX(place, 0) + i) % slots->count;
        Slot *slot = &slots->slots[number];
        if (!allows(task, number)) {
            continue;
        }
        if (!slot->owner) {
            install(task, number, now);
            return true;
        }
        if (idle < 0 && is_idle(slot, now)) {
            idle = (int)number;
        }
    }
    if (idle < 0 || !evict(&slots->slots[idle])) {
        return false;
    }
    install(task, (unsigned)idle, now);
    return true;
}

/* Of the threads that have executed long enough, that which has done so longest. */
static void ask_for_one(Task *task, int64_t now)
{
    Slots *slots = slots_of(task);
    Slot *longest = NULL;

    for (unsigned i = 0; i < slots->count; i++) {
        Slot *slot = &slots->slots[i];
        if (allows(task, i) && slot->owner && !slot->asked && now - slot->since >= SLICE &&
            (!longest || slot->since < longest->since)) {
            longest = slot;
        }
    }
    if (longest) {
        longest->asked = true;
        atomic_store(&longest->owner->slot.look, true);
        cpu_stop(longest->owner->cpu);
    }
}

/* For a while. False: a signal has come. The task keeps its turn. */
static bool wait_for_slot(Task *task)
{
    Slots *slots = slots_of(task);
    SlotUser *user = &task->slot;
    int64_t now = host_monotonic_ns();

    if (!list_linked(&user->waits)) {
        list_append(&slots->waiters, &user->waits);
        atomic_fetch_add(&slots->waiting, 1);
        user->waits_since = now;
        user->polls = 0;
    }
    if (now - user->waits_since >= SLICE) {
        ask_for_one(task, now);
    }
    bool is_first = first_waiter(slots) == task;
    int64_t time = is_first ? MIN((int64_t)FIRST_POLL << MIN(user->polls, 10u), SLICE) : LATER_POLL;
    user->polls += is_first;
    const struct timespec timeout = { .tv_nsec = time };
    atomic_store(&user->woken, 0);
    mutex_unlock(&slots->lock);
    host_call(task, SYS_futex, (uintptr_t)&user->woken, FUTEX_WAIT_PRIVATE, 0, (uintptr_t)&timeout, 0, 0);
    mutex_lock(&slots->lock);
    return !atomic_load(&task->pending);
}

/* Of the host, whose processors have the slots' numbers. */
static uint32_t find_node(unsigned cpu)
{
    enum { NODES = 64 };
    unsigned here, node = 0;
    char path[80];

    if (!syscall(SYS_getcpu, &here, &node, NULL) && here == cpu) {
        return node;
    }
    for (unsigned i = 0; i < NODES; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/node%u", cpu, i);
        if (!access(path, F_OK)) {
            return i;
        }
    }
    return node;
}

/* -- what tasks do ------------------------------------------------------------------------------------------------- */

void slots_join(Task *task)
{
    Slots *slots = slots_of(task);

    mutex_lock(&slots->lock);
    task->slot.allowed = mem_alloc0(slots->count / 8);
    list_append(&slots->users, &task->slot.link);
    task->slot.restart = true;
    atomic_store(&task->slot.look, true);
    mutex_unlock(&slots->lock);
}

void slots_leave(Task *task)
{
    Slots *slots = slots_of(task);

    if (!slots_has(task)) {
        return;
    }
    mutex_lock(&slots->lock);
    stop_waiting(task);
    release(task);
    list_remove(&task->slot.link);
    atomic_store(&task->slot.look, false);
    free(task->slot.allowed);
    mutex_unlock(&slots->lock);
}

bool slots_has(const Task *task)
{
    return list_linked(&task->slot.link);
}

bool slots_settle(Task *task, bool *restart)
{
    Slots *slots = slots_of(task);
    SlotUser *user = &task->slot;
    bool goes_on = true, may_take = true;

    mutex_lock(&slots->lock);
    do {
        atomic_store(&user->look, false);
        update_allowed(task);
        if (owns(task) && !allows(task, user->number)) {
            release(task);
        } else if (owns(task) && slots->slots[user->number].asked) {
            slots->slots[user->number].asked = false;
            may_take = !hand_on(slots, user->number, true);
        }
    } while (!owns(task) && !(may_take && take(task)) && (may_take = goes_on = wait_for_slot(task)));
    *restart = user->restart;
    if (goes_on) {
        user->restart = false;
    } else {
        atomic_store(&user->look, true);
    }
    mutex_unlock(&slots->lock);
    return goes_on;
}

unsigned slots_node(Task *task, unsigned number)
{
    Slot *slot = &slots_of(task)->slots[number];
    unsigned node = atomic_load(&slot->node);

    if (!node) {
        node = find_node(number) + 1;
        atomic_store(&slot->node, (uint16_t)node);
    }
    return node - 1;
}

void slots_enter_call(Task *task, unsigned call)
{
    Slots *slots = slots_of(task);

    atomic_store_explicit(&task->slot.call, (uint16_t)call, memory_order_relaxed);
    if (!slots || !atomic_load_explicit(&slots->waiting, memory_order_relaxed) || !slots_has(task) ||
        call_kinds[call] != CALL_SLEEPS) {
        return;
    }
    mutex_lock(&slots->lock);
    if (owns(task)) {
        hand_on(slots, task->slot.number, false);
    }
    mutex_unlock(&slots->lock);
}

/* -- what others ask of them --------------------------------------------------------------------------------------- */

bool slots_is_any(const Task *task, int number)
{
    return true;
}

bool slots_is_on(const Task *task, int number)
{
    return owns(task) && task->slot.number == (unsigned)number;
}

bool slots_is_thread(const Task *task, int tid)
{
    return task->tid == tid;
}

static bool has_awaited(const Slots *slots)
{
    LIST_FOREACH(&slots->users, task, Task, slot.link) {
        if (task->slot.awaited && atomic_load(&task->cpu->runs) == task->slot.awaited) {
            return true;
        }
    }
    return false;
}

void slots_interrupt(Task *task, bool (*meant)(const Task *other, int number), int number)
{
    const struct timespec moment = { .tv_nsec = PATIENCE };
    Slots *slots = slots_of(task);

    mutex_lock(&slots->lock);
    LIST_FOREACH(&slots->users, other, Task, slot.link) {
        if (meant(other, number)) {
            other->slot.restart = true;
            atomic_store(&other->slot.look, true);
            uint32_t runs = cpu_stop_counted(other->cpu);
            other->slot.awaited = runs & 1 ? runs : 0;
        }
    }
    while (has_awaited(slots)) { /* the lock is let go: what they do meanwhile may need it */
        mutex_unlock(&slots->lock);
        nanosleep(&moment, NULL);
        mutex_lock(&slots->lock);
    }
    mutex_unlock(&slots->lock);
}

/* -- fork ---------------------------------------------------------------------------------------------------------- */

void slots_fork_begin(Slots *slots)
{
    if (slots) {
        mutex_lock(&slots->lock);
    }
}

/* Of the child's threads there is one. */
void slots_fork_end(Slots *slots, Task *task, bool is_child)
{
    if (slots && is_child) {
        bool joined = slots_has(task);
        for (unsigned i = 0; i < slots->count; i++) {
            slots->slots[i].owner = NULL;
        }
        list_init(&slots->users);
        list_init(&slots->waiters);
        atomic_store(&slots->waiting, 0);
        if (joined) {
            list_append(&slots->users, &task->slot.link);
            task->slot.restart = true;
            task->slot.awaited = 0;
            atomic_store(&task->slot.look, true);
        }
    }
    if (slots) {
        mutex_unlock(&slots->lock);
    }
}
