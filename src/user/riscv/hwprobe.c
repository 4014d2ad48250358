/*
 * riscv_hwprobe, as Documentation/arch/riscv/hwprobe.rst says: what the processors can. All are alike, so that the set
 * of processors asked for does not matter.
 *
 * Not here: the flag that asks which processors have what is given.
 */
#include "guest/riscv/state.h"
#include "user/syscall_functions.h"

#include <errno.h>

enum { KEY_VENDOR, KEY_ARCHITECTURE, KEY_IMPLEMENTATION, KEY_BASE, KEY_EXTENSIONS, KEY_MISALIGNED };

typedef struct ProbePair {
    int64_t key;
    uint64_t value;
} ProbePair;

static uint64_t extensions(const RiscvConfig *c)
{
    return (c->f && c->d ? BIT(0) : 0) | (c->c ? BIT(1) : 0) | (c->zba ? BIT(3) : 0) | (c->zbb ? BIT(4) : 0) |
           (c->zbs ? BIT(5) : 0);
}

/* Unknown keys become -1. */
static void answer(const RiscvConfig *c, ProbePair *pair)
{
    const uint64_t values[] = {
        [KEY_VENDOR] = c->mvendorid,
        [KEY_ARCHITECTURE] = c->marchid,
        [KEY_IMPLEMENTATION] = c->mimpid,
        [KEY_BASE] = c->m && c->a, /* the IMA behaviour */
        [KEY_EXTENSIONS] = extensions(c),
        [KEY_MISALIGNED] = 0,      /* how fast: unknown */
    };
    bool known = pair->key >= 0 && pair->key < (int64_t)ARRAY_SIZE(values);

    *pair = known ? (ProbePair){ pair->key, values[pair->key] } : (ProbePair){ -1, 0 };
}

int64_t sys_riscv_hwprobe(Task *task, const uint64_t *a)
{
    GuestMemory *memory = task_memory(task);
    ProbePair pair;

    if (a[4] || (!a[2] && a[3])) {
        return -EINVAL;
    }
    for (uint64_t i = 0; i < a[1]; i++) {
        uint64_t address = a[0] + i * sizeof pair;
        if (memory_read(memory, &pair, address, sizeof pair)) {
            return -EFAULT;
        }
        answer(task->cpu->config, &pair);
        if (memory_write(memory, address, &pair, sizeof pair)) {
            return -EFAULT;
        }
    }
    return 0;
}
