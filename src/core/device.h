/*
 * The base of all devices: a lock, register tables, interrupt lines, regions, reset, saved state, placement.
 *
 * A device file reads in this order: what it models, after which document, what it leaves out; constants; state;
 * behaviour; its register table; remaining state; properties; the const class. hw/char/ns16550.c is the pattern.
 */
#pragma once

#include "core/clock.h"
#include "core/irq.h"
#include "core/memory.h"
#include "base/vec.h"
#include "core/state.h"
#include "object/object.h"

typedef struct Bus Bus;
typedef struct Device Device;
typedef struct DeviceClass DeviceClass;
typedef struct Log Log;
typedef struct Machine Machine;
typedef struct Register Register;
typedef struct Trace Trace;

/*
 * Locks. device_lock takes a device's lock; a thread holds one device's at most, and inside it one interrupt
 * controller's. What would cross (DMA into another device's registers, a line to a device that is no interrupt
 * controller, a change of the memory map, a reset) goes through device_defer and runs in order when the outermost lock
 * is released. Devices may share a lock.
 */
typedef struct DeviceLock DeviceLock;
DeviceLock *device_lock_new(Machine *machine);
void device_lock_free(DeviceLock *lock);
void device_lock(DeviceLock *lock); /* asserts the rule above */
void device_unlock(DeviceLock *lock); /* runs what was deferred */
/* Takes the device's lock unless this thread has it; returns whether device_unlock is due. */
bool device_enter(Device *device);
/* `lock` is held by the caller; where the caller holds none of the machine's, the function runs at once. */
void device_defer(DeviceLock *lock, void (*function)(void *data, uint64_t a, uint64_t b), void *data, uint64_t a,
                  uint64_t b);

typedef enum ResetKind {
    RESET_POWER_ON,
    RESET_WARM,     /* the machine's reset line */
    RESET_BUS,
    RESET_FUNCTION, /* a PCI function, a virtio device: by its own driver */
} ResetKind;

/*
 * A register: a row of a device's table, and nowhere else but in the state struct. Rows may share an address (a bank
 * switched by a bit, a register that reads as another than it writes): the first that is present and takes the access's
 * direction answers.
 *
 * An access may be narrower or wider than registers: wider ones are split at them. A hook sees the part of the access
 * that is its register's (address, size) and the register's whole value: in a narrower write the bytes that were not
 * written are the field's (zero where there is no field, and for write_clears, write_sets and write_toggles).
 */
typedef AccessResult RegisterRead(Device *device, const Register *reg, const Access *access, uint64_t *value);
typedef AccessResult RegisterWrite(Device *device, const Register *reg, const Access *access, uint64_t value);
struct Register {
    const char *name;     /* the document's */
    uint32_t address;     /* of the first in the bank */
    uint8_t size;         /* bytes, as the document says; 0: 4 */
    uint32_t count;       /* an array of them; 0: 1 */
    uint32_t (*count_of)(const Device *device, const Register *reg); /* how many there are, where properties decide; at
                                                                        most `count` */
    uint32_t stride;      /* bytes from one to the next; 0: size */
    uint32_t offset;      /* of the field in the device's struct; 0: none (hooks alone, or constant `reset`) */
    uint8_t field_size;   /* bytes of the field; arrays: of an element */
    uint32_t field_stride; /* arrays: from one element's field to the next; 0: field_size */
    uint8_t shift;         /* the register is bits shift.. of the field: a half of a wider one, a packed flag */
    uint64_t writable;     /* bits that a write stores */
    uint64_t write_clears; /* bits that writing 1 clears */
    uint64_t write_sets;   /* bits that writing 1 sets */
    uint64_t write_toggles;
    uint64_t read_clears;  /* bits that reading clears, but for a debugger */
    uint64_t reset;        /* value after reset; of rows that stand on one field, the first's counts */
    uint8_t survives;      /* bits 1 << ResetKind that leave it alone */
    bool banked;           /* its field stands in each of the class's banks */
    bool write_only;       /* does not answer reads; where no other row does: as `reset` */
    bool read_only;        /* does not answer writes; where no other row does: they are lost */
    /* By a property or by state; asked at each access; absent is unmapped. Reset and saved state do not ask. */
    bool (*present)(const Device *device, const Register *reg);
    RegisterRead *read;    /* in place of the field: gets the field's value in *value */
    RegisterWrite *write;  /* in place of storing; `value` is as the guest wrote it */
    RegisterWrite *written; /* after storing, with the value as the guest wrote it */
    bool doorbell;          /* a write of its size calls `write` without the lock: it does no more than wake somebody.
                             * At most one in a bank, always present */
    uint64_t data;         /* for hooks to tell rows apart */
};
/* REG(name, address, STATE_STRUCT field, ...): the field serves storage, reset and saved state. */
#define REG_FIELD(struct_, name_, address_, field_, ...) \
    { .name = #name_, .address = address_, .offset = offsetof(struct_, field_), \
      .field_size = sizeof(((struct_ *)0)->field_), __VA_ARGS__ }
#define REG_ARRAY(struct_, name_, address_, field_, ...) \
    { .name = #name_, .address = address_, .offset = offsetof(struct_, field_), \
      .field_size = sizeof(((struct_ *)0)->field_[0]), .count = ARRAY_SIZE(((struct_ *)0)->field_), __VA_ARGS__ }
#define REG_HOOK(name_, address_, ...) { .name = #name_, .address = address_, __VA_ARGS__ }

/* A window of registers: the device gets a region for each, in order, and sysbus placement maps them. */
typedef struct RegisterBank {
    const char *name;
    uint64_t size; /* of the region */
    const Register *registers;
    size_t count;
    uint8_t valid_minimum, valid_maximum; /* access sizes that the guest may use; 0: 1 to 8 */
    ByteOrder order;
    bool unmapped_error; /* an address without a register: a device error, else reads as zero, writes are lost; logged
                          * either way */
    uint64_t (*size_of)(const Device *device); /* where properties decide; NULL: `size` */
} RegisterBank;

/* What a board tells a device about its place, and the device says about itself. */
typedef struct FdtWriter FdtWriter; /* core/fdt.h */

struct DeviceClass {
    Class class;
    const char *bus_type;   /* bus that it plugs into: "virtio-bus", "PCI"; NULL: none (sysbus: "System") */
    const char *category;   /* -device help's heading: "Storage", "Network", "Input", "Display", "Sound", "Misc" ... */
    bool interrupt_controller;
    bool user_pluggable;    /* by -device */
    bool hot_pluggable;
    const RegisterBank *banks;
    size_t bank_count;
    const StateTable *state; /* what register rows do not cover */
    /* Called with properties set and before the guest sees the device; the banks' regions are there, so that one may be
     * put into another. Bottom of the hierarchy first, each once. */
    bool (*realize)(Device *device, Error **error);
    void (*unrealize)(Device *device);
    /* Registers have been reset from their rows; in-flight I/O was dropped by `reset_hold`, called for all devices
     * first. Fills state only: no lines, no memory. */
    void (*reset_hold)(Device *device, ResetKind kind);
    void (*reset)(Device *device, ResetKind kind);
    /* After reset or load, when every device holds its state: drive lines, map, timers, by the state. */
    void (*settle)(Device *device);
    /* The parked machine is to be saved: nothing is under way when this returns, and nothing begins until it is called
     * again with false. On the main thread, without the lock. */
    void (*still)(Device *device, bool still);
    /* Registers with `banked` (by vCPU, mode, security) have a field in each of several banks in the struct. */
    uint32_t bank_stride; /* bytes from one bank's fields to the next one's */
    unsigned (*bank_number)(Device *device, const Access *access); /* below banked_count */
    unsigned banked_count;
    /* Its node in the device tree. */
    void (*write_fdt)(Device *device, FdtWriter *fdt);
    /* The last part of its Open Firmware path; NULL: its class's name. */
    void (*write_firmware_name)(const Device *device, StrBuf *buffer);
    /* A line for info qtree and the like; may be NULL. */
    void (*print)(Device *device, StrBuf *buffer);
};

/* Where a board put a device. */
typedef struct Placement {
    uint64_t addresses[4]; /* of its banks */
    uint64_t sizes[4];
    uint32_t interrupts[8]; /* cells of the interrupt specifiers, for the interrupt parent */
    unsigned interrupt_count;
    uint32_t interrupt_parent; /* phandle */
    uint32_t phandle;
    const uint32_t *extended; /* of an interrupt controller: phandle and number of what each output goes to */
    size_t extended_count;    /* cells; borrowed: valid while the device tree is written */
} Placement;

struct Device {
    Object object;
    Machine *machine;
    char *id; /* the user's; NULL where there is none */
    Bus *bus; /* the one it is plugged into */
    DeviceLock *lock; /* its own, or one shared by its family */
    bool own_lock, realized, hotplugged, pending_unplug;
    VEC(Region *) regions; /* one for each bank first */
    VEC(Bus *) buses; /* that it provides */
    struct IrqGroups *irqs;
    Placement placement;
    ListNode sibling; /* on the bus */
    char *description; /* device_name's, once realized */
    struct BankView *bank_views; /* what the regions of banks hand to dispatch */
};
extern const DeviceClass device_class; /* "device" */
extern const DeviceClass sysbus_device_class; /* "sys-bus-device" */
#define device_class_of(device) ((const DeviceClass *)((const Device *)(device))->object.class)

struct Bus {
    Object object;
    const char *type; /* "System", "virtio-bus", "PCI" */
    Device *owner;
    Machine *machine;
    ListNode devices;
    unsigned maximum; /* devices; 0: no limit */
    bool hot_pluggable; /* devices may come and go while the machine runs */
    /* Checks and gives a new device its place (address, slot). */
    bool (*plug)(Bus *bus, Device *device, Error **error);
    void (*unplug)(Bus *bus, Device *device);
};
extern const Class bus_class; /* "bus" */
extern const Class system_bus_class; /* "System" */
/* As QEMU names it: the name that its path has, but for the system bus. */
const char *bus_name(const Bus *bus);
/* A bus takes devices whose bus_type is its class's name or an ancestor's; `type` is its class's name at first.
 * A bus of class `class` (derived from bus_class) that `owner` provides, named as given, "OWNER-ID.N", or "CLASS.N". */
Bus *bus_new(const Class *class, Device *owner, Machine *machine, const char *name, Error **error);
/* By path or name, or (NULL) one with room that takes devices of `type`: from the system bus down, the newest first. */
Bus *machine_find_bus(Machine *machine, const char *path_or_name, const char *type, Error **error);
bool bus_takes(const Bus *bus, const char *type);
unsigned bus_device_count(const Bus *bus);

/* Makes a device and sets what the machine's version and -global say; properties follow, then device_realize. */
Device *device_new(Machine *machine, const char *class_name, const char *id, Error **error);
/* Hangs it under /machine/peripheral (with an id), /machine/peripheral-anon, /machine/unattached or `parent`, plugs it
 * into `bus` (NULL: the first free one that fits, or none), completes and realizes it. Takes the caller's reference,
 * on failure too. A part of another device, made and hung under it by that one's `init`, stays there: its owner
 * realizes it (NULL, NULL) in its own realize, and has no reference to give then. */
bool device_realize(Device *device, Object *parent, const char *name, Bus *bus, Error **error);
/* device_add's way: from {"driver": ..., "id": ..., "bus": ..., properties}. `texts`: as on the command line. */
bool device_add(Machine *machine, const Json *options, bool texts, Error **error);
/* device_del's: asks the guest where the bus needs it, else unplugs now. DEVICE_DELETED is sent when it is gone. */
bool device_remove(Machine *machine, const char *id_or_path, Error **error);
void device_unrealize(Device *device);

Log *device_log(const Device *device);
Trace *device_trace(const Device *device);
/* A device's default lock; a family shares one by calling this before realize. */
void device_share_lock(Device *device, DeviceLock *lock);
/* "ns16550 (/machine/unattached/device[3])", for log lines; before it is realized the class's name alone. */
const char *device_name(const Device *device);

/* For sysbus devices: maps bank `n` into the machine's memory. */
void device_map(Device *device, unsigned bank, uint64_t address);
/* Tests and monitors: by register name, "NAME[3]" in an array, without side effects. False where there is none. */
bool device_register_read(Device *device, const char *name, uint64_t *value);
/* Calls `visit` for each row of the device's banks in order, with the bank it is of. */
void device_each_register(const Device *device,
                          void (*visit)(const RegisterBank *bank, const Register *reg, void *context), void *context);
/* A row's own storage; of bank 0 where it is banked. Rows without a field hold `reset`. */
uint64_t register_value(const Device *device, const Register *reg, unsigned index);
void register_store(Device *device, const Register *reg, unsigned index, uint64_t value);
unsigned register_index(const Register *reg, const Access *access);
