/*
 * Calls with vectors of addresses or masks of words: memory of other processes, nodes of memory. A mask is the same
 * on the host but for its length.
 */
#include "user/syscall_functions.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

enum { MASK_MAXIMUM = GUEST_PAGE_SIZE, PAGES_AT_ONCE = 512 };

/* -- memory of processes ------------------------------------------------------------------------------------------- */

/* The other process is a guest's too, and has its memory where this one has. */
static int64_t process_memory(Task *task, long number, const uint64_t *a)
{
    if (a[2] > VECTOR_MAXIMUM || a[4] > VECTOR_MAXIMUM) {
        return -EINVAL;
    }
    AUTO_FREE struct iovec *own = mem_alloc_array(a[2] + 1, sizeof *own);
    AUTO_FREE struct iovec *other = mem_alloc_array(a[4] + 1, sizeof *other);
    int64_t result = task_vector(task, a[1], a[2], own);

    result = result ? result : task_vector(task, a[3], a[4], other);
    return result ? result : host_call(task, number, a[0], (uintptr_t)own, a[2], (uintptr_t)other, a[4], a[5]);
}

int64_t sys_process_vm_readv(Task *task, const uint64_t *a)
{
    return process_memory(task, SYS_process_vm_readv, a);
}

int64_t sys_process_vm_writev(Task *task, const uint64_t *a)
{
    return process_memory(task, SYS_process_vm_writev, a);
}

/* -- masks of nodes ------------------------------------------------------------------------------------------------ */

typedef struct Mask {
    uint64_t words[MASK_MAXIMUM / sizeof(uint64_t)];
    uint64_t host, size; /* for the host's call: an address or 0; bytes of the guest's */
} Mask;

/* `count` is one more than there are bits, as the kernel has it. */
static int64_t mask_init(Task *task, uint64_t address, uint64_t count, Mask *mask)
{
    unsigned word = task_abi(task)->word_size;
    uint64_t bits = count ? count - 1 : 0;

    if (bits > MASK_MAXIMUM * 8) {
        return -EINVAL;
    }
    memset(mask->words, 0, sizeof mask->words);
    mask->size = align_up(bits, word * 8) / 8;
    mask->host = address ? (uintptr_t)mask->words : 0;
    return 0;
}

static int64_t mask_read(Task *task, uint64_t address, uint64_t count, Mask *mask)
{
    int64_t result = mask_init(task, address, count, mask);

    return result    ? result
           : address ? memory_read(task_memory(task), mask->words, address, mask->size)
                     : 0;
}

int64_t sys_mbind(Task *task, const uint64_t *a)
{
    Mask mask;
    uint64_t host;
    int64_t result = mask_read(task, a[3], a[4], &mask);

    if (result) {
        return result;
    }
    return guest_pointer(task, a[0], a[1], &host) ? host_call(task, SYS_mbind, host, a[1], a[2], mask.host, a[4], a[5])
                                                  : -EFAULT;
}

int64_t sys_set_mempolicy(Task *task, const uint64_t *a)
{
    Mask mask;
    int64_t result = mask_read(task, a[1], a[2], &mask);

    return result ? result : host_call(task, SYS_set_mempolicy, a[0], mask.host, a[2], 0, 0, 0);
}

int64_t sys_get_mempolicy(Task *task, const uint64_t *a)
{
    Mask mask;
    uint64_t mode, address;
    int64_t result = mask_init(task, a[1], a[2], &mask);

    if (result) {
        return result;
    }
    if (!guest_pointer(task, a[0], sizeof(int), &mode) || !guest_pointer(task, a[3], 1, &address) ||
        (a[1] && !task_can_write(task, a[1], mask.size))) {
        return -EFAULT;
    }
    result = host_call(task, SYS_get_mempolicy, mode, mask.host, a[2], address, a[4], 0);
    return !result && a[1] ? memory_write(task_memory(task), a[1], mask.words, mask.size) : result;
}

int64_t sys_migrate_pages(Task *task, const uint64_t *a)
{
    Mask from, to;
    int64_t result = mask_read(task, a[2], a[1], &from);

    result = result ? result : mask_read(task, a[3], a[1], &to);
    return result ? result : host_call(task, SYS_migrate_pages, a[0], a[1], from.host, to.host, 0, 0);
}

/* Some at a time: nodes and what became of each page are numbers of 32 bits. */
int64_t sys_move_pages(Task *task, const uint64_t *a)
{
    unsigned word = task_abi(task)->word_size;
    uint64_t pages[PAGES_AT_ONCE], nodes = 0, status, address;
    int64_t result = 0;

    for (uint64_t done = 0; result >= 0 && (done < a[1] || !done);) {
        uint64_t count = MIN(a[1] - done, PAGES_AT_ONCE);
        for (uint64_t i = 0; i < count; i++) {
            if (memory_read_word(task_memory(task), a[2] + (done + i) * word, word, &address) ||
                !guest_pointer(task, address, 1, &pages[i])) {
                return -EFAULT;
            }
        }
        if (!guest_pointer(task, a[3] ? a[3] + 4 * done : 0, 4 * count, &nodes) ||
            !guest_pointer(task, a[4] ? a[4] + 4 * done : 0, 4 * count, &status)) {
            return -EFAULT;
        }
        int64_t moved = host_call(task, SYS_move_pages, a[0], count, (uintptr_t)pages, nodes, status, a[5]);
        result = moved < 0 ? moved : result + moved;
        done += MAX(count, 1);
    }
    return result;
}
