/* siginfo as a guest has it, by the width of its words: 128 bytes. */
#pragma once

#include "base/compiler.h"

#include <signal.h>

enum { SIGINFO_SIZE = 128 };

void siginfo_to_guest(unsigned word, const siginfo_t *info, uint8_t bytes[SIGINFO_SIZE]);
void siginfo_to_host(unsigned word, const uint8_t bytes[SIGINFO_SIZE], siginfo_t *info);
