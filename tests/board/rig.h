/* A whole machine in a test: a board with its processors, run by machine_step, its first serial port in memory. */
#pragma once

#include "char/char.h"
#include "core/machine.h"

#include <glib.h>

typedef struct Rig {
    Machine *machine;
    Loop *loop;
    Files *files;
    Log *log;
    Trace *trace;
    CharHost chars;
    CharDevice *serial;
    GString *output; /* of the serial port, so far */
    bool ended;      /* the machine asked to end, for this cause with this status */
    ShutdownCause cause;
    int status;
} Rig;

/* Made but not built: the machine's properties can be set. `options` gives what the command line would; guest, clock
 * and threads are filled in. */
Rig *rig_new(const char *target, const char *machine, const MachineOptions *options);
void rig_free(Rig *rig);
/* Builds and starts up; the message of what failed, owned by the caller, or NULL. */
char *rig_start(Rig *rig);
/* Runs until the output holds `text` (NULL: until the machine ends), or so many instructions were run. */
bool rig_run(Rig *rig, const char *text, uint64_t instructions);
/* A file for this test alone, gone with rig_remove_files. The path is owned by the caller. */
char *rig_file(const void *bytes, size_t count);
void rig_remove_files(void);
