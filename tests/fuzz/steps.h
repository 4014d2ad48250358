/* An input as steps of eight bytes, for targets that drive a device. */
#pragma once

#include "base/bytes.h"

#include <string.h>

typedef struct Step {
    uint8_t kind, size; /* size: 1, 2, 4 or 8 */
    uint16_t place;
    uint32_t value;
} Step;

enum { STEP_BYTES = 8, STEPS = 512 };

static inline Step step_at(const uint8_t *data)
{
    return (Step){ .kind = data[0], .size = (uint8_t)(1u << data[1] % 4), .place = load_le16(data + 2),
                   .value = load_le32(data + 4) };
}

/* Small values make long ones with bits at both ends. */
static inline uint64_t step_value(const Step *step) { return step->value | (uint64_t)step->value << 40; }
