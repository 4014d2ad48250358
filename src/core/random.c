/*
 * Random numbers that the guest is given without asking a device of the host's: the host's own, or, where a seed was
 * given, a sequence that is the same in each run (after Sebastiano Vigna's splitmix64). Nobody keeps secrets with it.
 */
#include "core/machine.h"

#include "base/bytes.h"
#include "base/host/host.h"

#include <string.h>

static uint64_t next_word(Machine *machine)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = atomic_fetch_add_explicit(&machine->random, step, memory_order_relaxed) + step;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void machine_random(Machine *machine, void *bytes, size_t count)
{
    if (!machine->options.has_seed) {
        host_random(bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i += 8) {
        uint8_t word[8];
        store_le64(word, next_word(machine));
        memcpy((uint8_t *)bytes + i, word, MIN(count - i, sizeof word));
    }
}
