/* "test-clockwork": a device with everything: registers, banks, an array, a timer, more state, an output. */
#pragma once

#include "core/device.h"

typedef struct Clockwork {
    Device device;
    uint32_t control, ticks, banked[2];
    uint64_t halves;
    uint8_t fifo[8];
    Timer timer;
    Irq *irq;
    uint16_t extra;
    bool pending;
    uint32_t period; /* a property */
} Clockwork;

extern const DeviceClass clockwork_class;
