/*
 * Monitors: QMP servers and the human monitor (HMP) of one program, over character devices, and the commands of both:
 * `qmp_NAME` and `hmp_NAME`, whose prototypes are generated from schema/. Main loop's thread, but control_event.
 */
#pragma once

#include "base/list.h"
#include "char/char.h"
#include "core/machine.h"

typedef struct Control Control;
typedef struct Monitor Monitor;

/* What all monitors of a program work on. */
struct Control {
    Machine *machine;
    CharHost *chars;
    Files *files;
    Log *log;
    Trace *trace;
    /* "quit": asks the owner to end. */
    void (*quit)(void *data, ShutdownCause cause);
    /* "drive_add": a drive as -drive's options describe it, for no device; NULL: not here. */
    bool (*add_drive)(void *data, const char *options, Error **error);
    void *data;
    ListNode monitors; /* in order of making */
    bool quitting;     /* "quit" was given */
};

typedef enum MonitorKind { MONITOR_QMP, MONITOR_QMP_PRETTY, MONITOR_HMP } MonitorKind;

void control_init(Control *control);
/* Ends all monitors. */
void control_finish(Control *control);
/* MachineEvents' `event`: sends it to every QMP client, stamped with the time. Takes `data` (NULL: none). */
void control_event(Control *control, const char *name, Json *data);

/* A monitor on `device`, which gets it as its front-end. */
Monitor *monitor_new(Control *control, CharDevice *device, MonitorKind kind, Error **error);
void monitor_free(Monitor *monitor);

/* One QMP command, a JSON object, as if a client past negotiation had sent it: the reply, owned by the caller. */
Json *control_execute(Control *control, const Json *request);
/* One line of HMP; what it prints, owned by the caller. */
char *control_hmp(Control *control, const char *line, int cpu_index);

/* "10.0.0", and what query-version calls the package: "Myna 0.1.0". */
extern const char monitor_version[];
extern const char monitor_package[];
enum { VERSION_MAJOR = 10, VERSION_MINOR = 0, VERSION_MICRO = 0 };
