/*
 * A machine: everything that used to be global in an emulator hangs off this. Several of them, of different guests, can
 * live in one process.
 */
#pragma once

#include "core/boot_order.h"
#include "core/clock.h"
#include "core/device.h"
#include "core/memory.h"
#include "cpu/cpu.h"
#include "object/object.h"
#include "schema/run.h"

typedef struct CharDevice CharDevice;
typedef struct Files Files;
typedef struct Loop Loop;
typedef struct Machine Machine;
typedef struct MachineClass MachineClass;
typedef struct MachineOptions MachineOptions;
typedef struct Vcpu Vcpu;

const char *run_state_name(RunState state); /* QMP's: "prelaunch" */

struct MachineClass {
    Class class;
    const char *name;         /* "virt-10.0" */
    const char *alias;        /* "virt"; NULL where there is none */
    const char *const *targets; /* guests that it exists for: "riscv64", "riscv32"; NULL-terminated; NULL: all */
    bool is_default;
    unsigned maximum_cpus;
    const char *default_cpu; /* model */
    bool no_cpus; /* unless -cpu names a model */
    uint64_t default_ram;    /* bytes */
    const char *default_ram_id;
    bool no_serial, no_cdrom;
    const PropertyDefault *version_defaults; /* rows that differ from the newest version */
    size_t version_default_count;
    /* Makes vCPUs, memory and devices; options, firmware and kernel are in the machine. */
    bool (*build)(Machine *machine, Error **error);
    /* Loads firmware and kernel and writes the device tree: at power-on, after -device devices exist. */
    bool (*load)(Machine *machine, Error **error);
    /* info roms: a line for each image that `load` put into memory; may be NULL. */
    void (*print_images)(Machine *machine, StrBuf *buffer);
};
extern const MachineClass machine_class; /* "machine" */

/* What the command line gave, beside the machine's own properties; kernel, initrd, append, dtb, dumpdtb, bios and
 * memory_backend are such too. machine_new copies strings. */
struct MachineOptions {
    const Guest *guest;
    const char *cpu_model; /* with its properties: "rv64,zba=off"; NULL: the machine's default */
    unsigned cpus, maximum_cpus, drawers, books, sockets, dies, clusters, modules, cores, threads; /* 0: default */
    uint64_t ram_size, maximum_ram;                                                /* 0: default */
    unsigned ram_slots;
    const char *memory_backend; /* an object's id */
    const char *kernel, *initrd, *append, *dtb, *bios, *dumpdtb;
    const char *name, *uuid;
    const char *firmware_directories; /* colon-separated, before the default ones: -L */
    ClockSource clock_source;
    const PropertyDefaults *globals;
    uint64_t seed; /* of machine_random, with has_seed */
    bool has_seed;
    bool no_reboot_shutdown; /* a guest's reset is a shutdown */
    CpuEngine engine;
    bool by_turns;           /* vCPUs have threads of their own, of which one at a time runs */
    bool single_threaded;    /* vCPUs are run by machine_step alone; CLOCK_FROM_INSTRUCTIONS needs it */
};

/* What the program that owns the machine wants to hear; any member may be NULL. Called on the main loop. */
typedef struct MachineEvents {
    void (*event)(void *data, const char *name, Json *arguments); /* takes the arguments (NULL: none) */
    void (*shutdown)(void *data, ShutdownCause cause, int status); /* the machine asks to end the program */
    void *data;
} MachineEvents;

/* A call-back of one of the kinds below. */
typedef struct MachineListener {
    void (*reset)(void *data);
    void (*powerdown)(void *data);
    void (*run_state)(void *data, bool running);
    void *data;
} MachineListener;

/* A device that firmware may boot from. */
typedef struct BootEntry {
    Device *device;
    int32_t index; /* its place; negative: none */
    BootGeometry geometry;
} BootEntry;

struct Machine {
    Object object; /* at /machine of `root` */
    Object *root;  /* "/": machine, objects, chardevs, backend */
    const MachineClass *class;
    const Guest *guest;
    MachineOptions options;
    PropertyDefaults defaults; /* the version's and -global's */
    MachineEvents events;
    Loop *loop; /* the main one */
    ClockSet *clocks;
    Files *files;
    Log *log;
    Trace *trace;
    Region *memory; /* system memory */
    AddressSpace *address_space;
    RamBlock *ram; /* the main one */
    CpuGroup *cpu_group;
    struct LockDomain *locks;
    struct MemoryMap *map;
    struct IrqLines *irq_lines; /* wired to vCPUs */
    VEC(Vcpu *) vcpus;
    VEC(AddressSpace *) spaces; /* all there are */
    VEC(CharDevice *) serials; /* -serial, in order; NULL for none */
    Bus *system_bus;
    Device *firmware_config; /* fw_cfg; may be NULL */
    RunState run_state;
    _Atomic(ShutdownCause) reset_requested, shutdown_requested;
    _Atomic int shutdown_status;
    _Atomic bool powerdown_requested, panic_requested;
    char *reboot_action, *shutdown_action, *panic_action, *watchdog_action; /* -action; "reset", "poweroff" ...; NULL:
                                                                             * the default. Main thread */
    _Atomic uint64_t random; /* machine_random's state, with a seed */
    bool dump_guest_core, mem_merge; /* of the main RAM, without a memory backend */
    bool graphics; /* off by -nographic; firmware asks for it */
    uint32_t phandle_start;
    char *dt_compatible; /* of the device tree's root; NULL: the board's own */
    VEC(MachineListener) listeners;
    VEC(struct IoThread *) iothreads; /* that run; deleted ones too, while they are in use */
    VEC(BootEntry) boot_order; /* boot_order.h; those with a place first, in order */
    struct MachineParking *parking;
    struct MachineStep *step;
    struct MachineTimebase *timebase;
    struct Debugger *debugger; /* NULL: none may come */
    struct MachineTurns *turns; /* NULL: vCPUs run side by side */
    bool built, loaded;
};

/* Makes an empty machine of the class: its properties can be set then. `options` is copied, its strings are not. */
Machine *machine_new(const MachineClass *class, const MachineOptions *options, Loop *loop, Files *files, Log *log,
                     Trace *trace, Error **error);
void machine_free(Machine *machine);
/* The class that a user's word means on `guest`: a name or alias; the error names the nearest. */
const MachineClass *machine_class_find(const char *name, const Guest *guest, Error **error);
const MachineClass *machine_class_default(const Guest *guest);
/* vCPUs, devices of the board; then the caller adds its own devices. */
bool machine_build(Machine *machine, Error **error);
/* Firmware, kernel, device tree, power-on reset: ready to run (prelaunch). */
bool machine_start_up(Machine *machine, Error **error);

/* Run state; main thread. run_state_set only changes it: an illegal change is an error. */
bool run_state_set(Machine *machine, RunState state, Error **error);
bool machine_is_running(const Machine *machine);
bool machine_run(Machine *machine, Error **error); /* cont: RESUME */
void machine_stop(Machine *machine, RunState state); /* stop: parks, stands the clocks, STOP; where it runs */
/* Any thread; they take effect on the main loop, or at once by machine_handle_requests (main thread). */
void machine_handle_requests(Machine *machine);
void machine_request_reset(Machine *machine, ShutdownCause cause);
void machine_request_shutdown(Machine *machine, ShutdownCause cause, int status);
void machine_request_powerdown(Machine *machine);
/* A guest said that it cannot go on (GUEST_PANICKED): -action panic decides. */
void machine_request_panic(Machine *machine);
/* "reboot", "shutdown", "panic" or "watchdog" to one of QEMU's actions for it; the error names what there is. */
bool machine_set_action(Machine *machine, const char *event, const char *action, Error **error);
/* Devices that can tell the guest of system_powerdown. */
void machine_add_powerdown_listener(Machine *machine, void (*notify)(void *data), void *data);
void machine_add_run_state_listener(Machine *machine, void (*notify)(void *data, bool running), void *data);
void machine_remove_run_state_listener(Machine *machine, void (*notify)(void *data, bool running), void *data);
/* Functions run at each reset after the devices': loaders put images back. */
void machine_add_reset_function(Machine *machine, void (*reset)(void *data), void *data);

/* Stops every vCPU at an instruction boundary holding nothing, and drains the loops; nests. Main thread, holding no
 * lock; posted calls run meanwhile. */
void machine_park(Machine *machine);
void machine_unpark(Machine *machine);
/* Parks and resets devices and vCPUs by kind: reset_hold of all, registers and reset of each, reset functions, settle
 * of all. */
void machine_reset(Machine *machine, ResetKind kind);

/* single_threaded: runs each vCPU in turn for slices until `instructions` were run in all, or nothing can go on;
 * virtual time follows (1 ns an instruction; idle time is skipped to the next deadline). Returns how many were run; a
 * delivered exception counts as one. */
uint64_t machine_step(Machine *machine, uint64_t instructions);

void machine_event(Machine *machine, const char *name, Json *arguments); /* any thread */
/* Random bytes, or, with a seed, the next ones of a sequence that saved state keeps. Any thread. */
void machine_random(Machine *machine, void *bytes, size_t count);
/* A file of firmware by name: -L's directories, then the system's known ones. NULL with an error that lists where it
 * was looked for. Owned by the caller. */
char *machine_find_firmware(Machine *machine, const char *name, Error **error);
