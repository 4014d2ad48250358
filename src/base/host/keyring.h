/* Keys that the kernel keeps. */
#pragma once

#include "base/compiler.h"

/* The bytes of the key with that number, and a NUL behind them: the caller's. NULL with errno. */
uint8_t *host_key_read(int32_t serial, size_t *count);
