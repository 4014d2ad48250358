/*
 * riscv_hwprobe, as Documentation/arch/riscv/hwprobe.rst says: what the processors can. All are alike, so that the set
 * of processors asked for does not matter.
 *
 * Not here: the flag that asks which processors have what is given; keys beyond the speed of misaligned accesses; the
 * extensions of cache blocks, whose sizes are such keys.
 */
#include "guest/riscv/state.h"
#include "user/syscall_functions.h"

#include <errno.h>
#include <stddef.h>

enum { KEY_VENDOR, KEY_ARCHITECTURE, KEY_IMPLEMENTATION, KEY_BASE, KEY_EXTENSIONS, KEY_MISALIGNED };

typedef struct ProbePair {
    int64_t key;
    uint64_t value;
} ProbePair;

/* Bits of KEY_EXTENSIONS beside those of letters: Linux's include/uapi/asm/hwprobe.h. */
static const struct {
    uint8_t bit, offset;
} extension_bits[] = {
#define ROW(bit_, name_) { bit_, offsetof(RiscvConfig, name_) }
    ROW(3, zba), ROW(4, zbb), ROW(5, zbs), ROW(7, zbc), ROW(8, zbkb), ROW(9, zbkc), ROW(10, zbkx), ROW(11, zknd),
    ROW(12, zkne), ROW(13, zknh), ROW(14, zksed), ROW(15, zksh), ROW(16, zkt), ROW(27, zfh), ROW(28, zfhmin),
    ROW(29, zihintntl), ROW(32, zfa), ROW(33, ztso), ROW(34, zacas), ROW(35, zicond), ROW(36, zihintpause),
    ROW(42, zimop), ROW(43, zca), ROW(44, zcb), ROW(45, zcd), ROW(46, zcf), ROW(47, zcmop), ROW(48, zawrs),
    ROW(50, zicntr), ROW(51, zihpm), ROW(52, zfbfmin), ROW(56, zaamo), ROW(57, zalrsc), ROW(58, zabha),
#undef ROW
};

static uint64_t extensions(const RiscvConfig *c)
{
    uint64_t bits = (c->f && c->d ? BIT(0) : 0) | (c->c ? BIT(1) : 0);

    for (size_t i = 0; i < ARRAY_SIZE(extension_bits); i++) {
        bits |= (uint64_t)((const bool *)c)[extension_bits[i].offset] << extension_bits[i].bit;
    }
    return bits;
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
