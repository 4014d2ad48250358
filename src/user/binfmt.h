/* --register, --unregister and --check: how the kernel is told to run programs by us (binfmt_misc). */
#pragma once

#include "base/compiler.h"

/* The command line where it is one of these: true, `*status` is our exit status then. */
bool binfmt_command(int argc, char **argv, int *status);
