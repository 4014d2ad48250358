/* sys_NAME of every function that syscalls.def names. */
#pragma once

#include "user/host/host.h"
#include "user/syscall.h"

#define SYSCALL(name, function, ...) SyscallFunction sys_##function;
#include "user/syscalls.def"
#undef SYSCALL
