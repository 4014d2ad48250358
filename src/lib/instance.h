/*
 * A machine with all that a command line puts around it: loop, files, log, character devices, disks, monitors. Programs
 * and the library make it from the same options. What concerns the process (signals, the background, its files) is the
 * program's.
 */
#pragma once

#include "lib/given.h"
#include "monitor/monitor.h"

#include <stdio.h>

typedef struct Instance Instance;

/* A drive's place in the machine. */
typedef struct DrivePlace {
    int interface, bus, unit; /* interface: DriveInterface */
} DrivePlace;

struct Instance {
    const Guest *guest;
    GivenOptions given;
    Loop *loop;
    Files *files;
    Log *log;
    Trace *trace;
    CharHost chars;
    Control control;
    Machine *machine;
    MachineOptions options;
    PropertyDefaults globals;
    VEC(char *) strings;         /* owned: what options and globals point to */
    VEC(CharDevice *) monitored; /* muxes that get the monitor, too: "mon:" */
    VEC(char *) drive_devices;   /* -device texts that -drive if=virtio stands for */
    VEC(DrivePlace) drive_places;
    unsigned monitors;
    bool no_devices;             /* nothing that was not asked for: -nodefaults, and the library */
    bool single_threaded;        /* before instance_create: vCPUs run by machine_step alone, time by instructions */
    bool background;             /* before instance_create: standard input and output are not to be used */
    bool interrupted;            /* gives up waiting for peers */
    /* Before instance_create: the first serial port's output, where no -serial says otherwise; NULL: nowhere. */
    void (*serial_output)(void *data, const uint8_t *bytes, size_t count);
    /* Before instance_create: hears of QMP's events, too. `data` may be NULL; not taken. */
    void (*event)(void *data, const char *name, const Json *arguments);
    /* The machine asks to end. */
    void (*shutdown)(void *data, ShutdownCause cause, int status);
    /* A "warning" or "info", "" for one that has no such word in front, or (kind NULL) a line of output, without a
     * newline; NULL: none is shown. */
    void (*message)(void *data, const char *kind, const char *text);
    void *data;
};

/* Makes everything but the machine; options are given then. NULL on failure. `attach_glib`: its loop serves GLib's
 * default context, which one loop of a process can. */
Instance *instance_new(const Guest *guest, bool attach_glib, Error **error);
/* Makes the machine from instance->given: ready to run, in state prelaunch. */
bool instance_create(Instance *instance, Error **error);
void instance_free(Instance *instance);
void instance_message(Instance *instance, const char *kind, const char *format, ...) PRINTF(3, 4);
/* Ends the loop with the machine in order, or what still waits for a peer. Main loop's thread. */
void instance_quit(Instance *instance, ShutdownCause cause);

/* Prints the help that one of the options asks for: false where none does. */
bool instance_help(const GivenOptions *given, const Guest *guest, FILE *file, Error **error);
