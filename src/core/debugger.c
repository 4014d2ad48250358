/*
 * The machine under gdb. While there are breakpoints, watchpoints or a step under way, vCPUs run instruction by
 * instruction, and each looks behind every one whether it has met something: code needs no change, be it in ROM, and a
 * breakpoint is at a virtual address, whatever is mapped there. While a vCPU makes a step the others rest, and it
 * takes no interrupt (`maintenance packet Qqemu.sstep=1` lets it).
 *
 * Memory is that which the vCPU sees, or physical: `maintenance packet Qqemu.PhyMemMode:1`.
 *
 * A watchpoint for writes is met where the bytes have changed, by whomever. The pages of those for reads are kept from
 * direct access, so that the bus sees what a vCPU does there.
 */
#include "core/debugger.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "core/loop.h"
#include "core/machine_internal.h"
#include "core/vcpu.h"
#include "gdb/gdb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WATCH_MAXIMUM = 64, STEP_ENABLE = 1, STEP_NO_INTERRUPT = 2, STEP_NO_TIMER = 4, FIRST_PROCESS = 1 };

typedef struct Watch {
    GdbPoint kind;
    uint64_t address, physical, size;
    uint8_t bytes[WATCH_MAXIMUM]; /* as they were */
} Watch;

typedef struct Debugger {
    Machine *machine;
    int listener;
    char *path; /* of a socket: to be removed; NULL: none */
    LoopFd *listening, *watching;
    Gdb *gdb; /* NULL: nobody is here */
    GdbTarget target;
    bool physical;
    unsigned step;       /* STEP_ bits */
    Mutex lock;          /* of what follows while vCPUs run; it changes while they rest */
    bool met;            /* a vCPU has stopped for `stop` */
    int accessed;        /* the watchpoint that an instruction has read or written, by index; -1: none */
    GdbStop stop;
    VEC(uint64_t) breakpoints;
    VEC(Watch) watches;
    VEC(GdbResume) actions; /* by vCPU */
} Debugger;

static Vcpu *find_vcpu(const Debugger *debugger, int thread)
{
    return thread > 0 && (size_t)thread <= debugger->machine->vcpus.count ? debugger->machine->vcpus.items[thread - 1]
                                                                          : NULL;
}

/* -- what the vCPUs ask -------------------------------------------------------------------------------------------- */

static bool has_breakpoint(const Debugger *debugger, uint64_t address)
{
    for (size_t i = 0; i < debugger->breakpoints.count; i++) {
        if (debugger->breakpoints.items[i] == address) {
            return true;
        }
    }
    return false;
}

/* The watchpoint whose bytes are not what they were; what they are is taken over. */
static const Watch *find_change(Debugger *debugger)
{
    uint8_t bytes[WATCH_MAXIMUM];
    const Watch *found = NULL;

    for (size_t i = 0; i < debugger->watches.count; i++) {
        Watch *watch = &debugger->watches.items[i];
        RamMap map;
        if (watch->kind == GDB_WATCH_WRITE &&
            address_space_map(debugger->machine->address_space, watch->physical, watch->size, false, &map)) {
            size_t count = MIN(map.count, watch->size);
            memcpy(bytes, map.host, count);
            if (memcmp(bytes, watch->bytes, count)) {
                memcpy(watch->bytes, bytes, count);
                found = watch;
            }
            address_space_unmap(debugger->machine->address_space, &map, 0);
        }
    }
    return found;
}

/* Why the vCPU is to stop; false: for nothing. */
static bool find_reason(Debugger *debugger, const Vcpu *vcpu, GdbStop *stop)
{
    const GdbResume *action = &debugger->actions.items[vcpu->index];
    uint64_t pc = vcpu->cpu->guest->pc(vcpu->cpu);
    const Watch *watch = find_change(debugger);

    if (debugger->accessed >= 0 && (size_t)debugger->accessed < debugger->watches.count) {
        watch = &debugger->watches.items[debugger->accessed];
    }
    debugger->accessed = -1;
    *stop = (GdbStop){ .kind = GDB_BY_SIGNAL, .thread = (int)vcpu->index + 1, .signal = GDB_SIGNAL_TRAP };
    if (watch) {
        stop->kind = GDB_BY_WATCHPOINT;
        stop->point = watch->kind;
        stop->value = watch->address;
        return true;
    }
    if (has_breakpoint(debugger, pc)) {
        stop->kind = GDB_BY_BREAKPOINT;
        return true;
    }
    return action->action == GDB_STEP && pc - action->start >= action->end - action->start;
}

bool debugger_stops(Machine *machine, Vcpu *vcpu)
{
    Debugger *debugger = machine->debugger;
    GdbStop stop;

    if (!debugger || vcpu->index >= debugger->actions.count) {
        return true;
    }
    mutex_lock(&debugger->lock);
    bool stops = find_reason(debugger, vcpu, &stop);
    if (stops && !debugger->met) {
        debugger->met = true;
        debugger->stop = stop;
    }
    mutex_unlock(&debugger->lock);
    return stops;
}

/* -- the target ---------------------------------------------------------------------------------------------------- */

static bool target_thread(void *data, unsigned index, int *thread)
{
    const Debugger *debugger = data;

    *thread = (int)index + 1;
    return index < debugger->machine->vcpus.count;
}

static Cpu *target_cpu(void *data, int thread)
{
    const Vcpu *vcpu = find_vcpu(data, thread);
    return vcpu ? vcpu->cpu : NULL;
}

static bool target_read(void *data, int thread, uint64_t address, void *bytes, size_t size)
{
    const Debugger *debugger = data;
    Cpu *cpu = target_cpu(data, thread);

    if (debugger->physical) {
        return address_space_read(debugger->machine->address_space, NULL, address, bytes, size) == ACCESS_OK;
    }
    return cpu && cpu_debug_read(cpu, address, bytes, size);
}

static bool target_write(void *data, int thread, uint64_t address, const void *bytes, size_t size)
{
    Debugger *debugger = data;
    Cpu *cpu = target_cpu(data, thread);

    if (debugger->physical) {
        cpu_group_code_changed(debugger->machine->cpu_group);
        return address_space_write(debugger->machine->address_space, NULL, address, bytes, size) == ACCESS_OK;
    }
    return cpu && cpu_debug_write(cpu, address, bytes, size);
}

static bool is_watched(const Watch *watch, uint64_t physical, uint64_t size)
{
    return watch->kind != GDB_WATCH_WRITE && watch->physical < physical + size &&
           watch->physical + watch->size > physical;
}

bool debugger_watches(const Machine *machine, uint64_t physical, uint64_t size)
{
    const Debugger *debugger = machine->debugger;

    for (size_t i = 0; debugger && i < debugger->watches.count; i++) {
        if (is_watched(&debugger->watches.items[i], physical, size)) {
            return true;
        }
    }
    return false;
}

void debugger_accessed(Machine *machine, uint64_t physical, uint64_t size, bool write)
{
    Debugger *debugger = machine->debugger;

    for (size_t i = 0; i < debugger->watches.count; i++) {
        const Watch *watch = &debugger->watches.items[i];
        if (is_watched(watch, physical, size) && (!write || watch->kind == GDB_WATCH_ACCESS)) {
            mutex_lock(&debugger->lock);
            debugger->accessed = (int)i;
            mutex_unlock(&debugger->lock);
        }
    }
}

static bool add_watch(Debugger *debugger, GdbPoint kind, uint64_t address, uint64_t size)
{
    Watch watch = { .kind = kind, .address = address, .physical = address, .size = size };
    Cpu *cpu = target_cpu(debugger, 1);

    if (!size || size > WATCH_MAXIMUM || !cpu ||
        (!debugger->physical && !cpu_debug_translate(cpu, address, &watch.physical)) ||
        address_space_read(debugger->machine->address_space, NULL, watch.physical, watch.bytes, size) != ACCESS_OK) {
        return false;
    }
    vec_push(&debugger->watches, watch);
    cpu_group_tlb_flush(debugger->machine->cpu_group);
    return true;
}

static bool target_insert(void *data, GdbPoint kind, uint64_t address, uint64_t size)
{
    Debugger *debugger = data;

    if (kind <= GDB_HARDWARE) {
        vec_push(&debugger->breakpoints, address);
        return true;
    }
    return add_watch(debugger, kind, address, size);
}

static bool target_remove(void *data, GdbPoint kind, uint64_t address, uint64_t size)
{
    Debugger *debugger = data;

    for (size_t i = 0; kind <= GDB_HARDWARE && i < debugger->breakpoints.count; i++) {
        if (debugger->breakpoints.items[i] == address) {
            vec_remove(&debugger->breakpoints, i);
            return true;
        }
    }
    for (size_t i = 0; kind > GDB_HARDWARE && i < debugger->watches.count; i++) {
        const Watch *watch = &debugger->watches.items[i];
        if (watch->kind == kind && watch->address == address && watch->size == size) {
            vec_remove(&debugger->watches, i);
            cpu_group_tlb_flush(debugger->machine->cpu_group);
            return true;
        }
    }
    return false;
}

static void target_resume(void *data, int thread, const GdbResume *resume)
{
    Debugger *debugger = data;
    Vcpu *vcpu = find_vcpu(debugger, thread);
    bool steps = resume->action == GDB_STEP && debugger->step & STEP_ENABLE;

    if (vcpu) {
        debugger->actions.items[thread - 1] = *resume;
        debugger->accessed = -1; /* by the debugger itself */
        vcpu->cpu->single_step = steps || debugger->breakpoints.count || debugger->watches.count;
        vcpu->cpu->holds_interrupts = steps && debugger->step & STEP_NO_INTERRUPT;
        parking_set_debug_stop(debugger->machine, vcpu, resume->action == GDB_HOLD);
    }
}

static void target_describe(void *data, int thread, StrBuf *text)
{
    const Vcpu *vcpu = find_vcpu(data, thread);

    if (vcpu) {
        strbuf_printf(text, "CPU#%u [%s]", vcpu->index, vcpu->cpu->halted ? "halted " : "running");
    }
}

static void target_kill(void *data)
{
    machine_request_shutdown(((Debugger *)data)->machine, SHUTDOWN_HOST_QMP_QUIT, EXIT_SUCCESS);
}

/* -- system registers: those of the guest's numbers that there are, numbered on ------------------------------------ */

static bool is_in_table(const Guest *guest, const char *name)
{
    for (unsigned i = 0; i < guest->ir.register_count; i++) {
        if (!strcmp(guest->ir.registers[i].name, name) && !(guest->ir.registers[i].flags & GUEST_REGISTER_HIDDEN)) {
            return true;
        }
    }
    return false;
}

/* The next one from `number`; false: there is none any more. */
static bool next_system_register(const Cpu *cpu, unsigned *number, char name[24], unsigned *bits)
{
    const Guest *guest = cpu->guest;

    for (; *number < guest->system_register_limit; ++*number) {
        if (guest->system_register(cpu, *number, name, bits) && !is_in_table(guest, name)) {
            return true;
        }
    }
    return false;
}

static void target_list(void *data, unsigned first, StrBuf *xml)
{
    const Cpu *cpu = target_cpu(data, 1);
    char name[24];
    unsigned bits;

    if (!cpu || !cpu->guest->system_register) {
        return;
    }
    strbuf_printf(xml, "<feature name=\"%s\">\n", cpu->guest->gdb_system_feature);
    for (unsigned number = 0; next_system_register(cpu, &number, name, &bits); number++, first++) {
        strbuf_printf(xml, "<reg name=\"%s\" bitsize=\"%u\" regnum=\"%u\" group=\"system\" type=\"int\"/>\n", name,
                      bits, first);
    }
    strbuf_append(xml, "</feature>\n");
}

/* The guest's number of the register that is `index` behind the table's. */
static bool find_system_register(const Cpu *cpu, unsigned index, unsigned *number, unsigned *bits)
{
    char name[24];

    *number = 0;
    while (cpu && cpu->guest->system_register && next_system_register(cpu, number, name, bits)) {
        if (!index--) {
            return true;
        }
        ++*number;
    }
    return false;
}

static unsigned target_get(void *data, int thread, unsigned number, uint8_t bytes[8])
{
    Cpu *cpu = target_cpu(data, thread);
    unsigned found, bits;
    uint64_t value;

    if (!find_system_register(cpu, number - gdb_register_count(((Debugger *)data)->target.guest), &found, &bits) ||
        !cpu->guest->get_system_register(cpu, found, &value)) {
        return 0;
    }
    store_le64(bytes, value);
    return bits / 8;
}

static unsigned target_set(void *data, int thread, unsigned number, const uint8_t *bytes, size_t size)
{
    Cpu *cpu = target_cpu(data, thread);
    unsigned found, bits;

    return find_system_register(cpu, number - gdb_register_count(((Debugger *)data)->target.guest), &found, &bits) &&
           size == bits / 8 && cpu->guest->set_system_register(cpu, found, load_le(bytes, bits / 8));
}

/* -- packets of QEMU's --------------------------------------------------------------------------------------------- */

static void target_query(void *data, const char *packet, StrBuf *reply)
{
    Debugger *debugger = data;

    if (!strcmp(packet, "qqemu.PhyMemMode")) {
        strbuf_append(reply, debugger->physical ? "1" : "0");
    } else if (text_starts_with(packet, "Qqemu.PhyMemMode:")) {
        debugger->physical = strchr(packet, ':')[1] != '0';
        strbuf_append(reply, "OK");
    } else if (!strcmp(packet, "qqemu.sstepbits")) {
        strbuf_printf(reply, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", STEP_ENABLE, STEP_NO_INTERRUPT, STEP_NO_TIMER);
    } else if (!strcmp(packet, "qqemu.sstep")) {
        strbuf_printf(reply, "0x%x", debugger->step);
    } else if (text_starts_with(packet, "Qqemu.sstep=")) {
        unsigned long bits = strtoul(strchr(packet, '=') + 1, NULL, 16);
        bool known = bits <= (STEP_ENABLE | STEP_NO_INTERRUPT | STEP_NO_TIMER);
        debugger->step = known ? (unsigned)bits : debugger->step;
        strbuf_append(reply, known ? "OK" : "E22");
    }
}

static const GdbTarget machine_target = {
    .thread = target_thread,
    .cpu = target_cpu,
    .read = target_read,
    .write = target_write,
    .insert = target_insert,
    .remove = target_remove,
    .resume = target_resume,
    .kill = target_kill,
    .describe = target_describe,
    .list = target_list,
    .get = target_get,
    .set = target_set,
    .query = target_query,
    .process = FIRST_PROCESS,
};

/* -- the connection ------------------------------------------------------------------------------------------------ */

/* The debugger is gone: nothing is left of it. */
static void let_go(Debugger *debugger)
{
    loop_fd_remove(debugger->watching);
    gdb_free(debugger->gdb);
    debugger->watching = NULL;
    debugger->gdb = NULL;
    machine_park(debugger->machine);
    debugger->breakpoints.count = debugger->watches.count = 0;
    debugger->physical = false;
    for (size_t i = 0; i < debugger->machine->vcpus.count; i++) {
        target_resume(debugger, (int)i + 1, &(GdbResume){ .action = GDB_RUN });
    }
    machine_unpark(debugger->machine);
}

static void go_on(Debugger *debugger)
{
    AUTO_ERROR(error);

    debugger->met = false;
    if (!machine_run(debugger->machine, &error)) { /* it is off: as if it had stopped again at once */
        debugger->stop = (GdbStop){ .kind = GDB_BY_INTERRUPT, .thread = 1, .signal = GDB_SIGNAL_INTERRUPT };
        gdb_report(debugger->gdb, &debugger->stop);
    }
}

static void serve(Debugger *debugger)
{
    Machine *machine = debugger->machine;

    switch (gdb_serve(debugger->gdb, &debugger->stop, machine_is_running(machine))) {
    case GDB_SERVED_RESUME:
        go_on(debugger);
        break;
    case GDB_SERVED_INTERRUPT:
        machine_stop(machine, RUN_STATE_PAUSED);
        break;
    case GDB_SERVED_END:
        let_go(debugger);
        machine_run(machine, NULL);
        break;
    default:
        break;
    }
}

/* What was read together with a word to go on is not lost. */
static void on_packet(void *data, unsigned events)
{
    Debugger *debugger = data;

    do {
        serve(debugger);
    } while (debugger->gdb && gdb_has_input(debugger->gdb));
}

/* The machine has stopped, by whomever; vCPUs rest. */
static void on_run_state(void *data, bool running)
{
    Debugger *debugger = data;

    if (running || !debugger->gdb) {
        return;
    }
    if (!debugger->met) {
        debugger->stop = (GdbStop){ .kind = GDB_BY_INTERRUPT, .thread = 1, .signal = GDB_SIGNAL_INTERRUPT };
    }
    gdb_report(debugger->gdb, &debugger->stop);
}

/* One at a time. */
static void on_connection(void *data, unsigned events)
{
    Debugger *debugger = data;
    int fd = gdb_accept(debugger->listener);

    if (fd < 0 || debugger->gdb) {
        close(fd);
        return;
    }
    machine_stop(debugger->machine, RUN_STATE_PAUSED);
    debugger->actions.count = 0;
    for (size_t i = 0; i < debugger->machine->vcpus.count; i++) {
        vec_push(&debugger->actions, ((GdbResume){ .action = GDB_RUN }));
    }
    debugger->stop = (GdbStop){ .kind = GDB_BY_SIGNAL, .thread = 1 };
    debugger->gdb = gdb_new(fd, false, &debugger->target, debugger);
    debugger->watching = loop_fd_add(debugger->machine->loop, fd, HOST_POLL_IN, on_packet, debugger);
    if (!debugger->watching) {
        gdb_free(debugger->gdb);
        debugger->gdb = NULL;
    }
}

/* "tcp:[HOST]:PORT[,...]", "unix:PATH[,...]": what gdb_listen takes. NULL with an error. */
static char *parse_where(const char *where, Error **error)
{
    static const char *const words[] = { "server=on", "server", "wait=off", "nowait", "nodelay=on", "nodelay" };
    size_t length = strcspn(where, ",");
    bool tcp = text_starts_with(where, "tcp:"), local = text_starts_with(where, "unix:");

    for (const char *at = where + length; *at; at += strcspn(at, ",")) {
        size_t size = strcspn(++at, ",");
        bool known = false;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
            known = known || (strlen(words[i]) == size && !strncmp(at, words[i], size));
        }
        if (!known) {
            error_set(error, "'%.*s' is not known here; a debugger connects to tcp:[HOST]:PORT or unix:PATH", (int)size,
                      at);
            return NULL;
        }
    }
    if (!tcp && !local && strchr(where, ':') && strspn(where, "abcdefghijklmnopqrstuvwxyz") == strcspn(where, ":")) {
        error_set(error, "a debugger connects to tcp:[HOST]:PORT or unix:PATH, not '%s'", where);
        return NULL;
    }
    size_t prefix = tcp ? strlen("tcp:") : local ? strlen("unix:") : 0;
    return string_copy_length(where + prefix, length - prefix);
}

static void stop_listening(Debugger *debugger)
{
    if (debugger->gdb) {
        let_go(debugger);
    }
    if (debugger->listening) {
        loop_fd_remove(debugger->listening);
        close(debugger->listener);
        debugger->listening = NULL;
    }
    if (debugger->path) {
        unlink(debugger->path);
    }
    free(debugger->path);
    debugger->path = NULL;
}

static Debugger *make(Machine *machine)
{
    Debugger *debugger = NEW(Debugger);

    debugger->machine = machine;
    debugger->target = machine_target;
    debugger->target.guest = machine_processor(machine);
    debugger->accessed = -1;
    debugger->step = STEP_ENABLE | STEP_NO_INTERRUPT | STEP_NO_TIMER;
    mutex_init(&debugger->lock);
    machine_add_run_state_listener(machine, on_run_state, debugger);
    return debugger;
}

bool debugger_listen(Machine *machine, const char *where, Error **error)
{
    if (machine->debugger) {
        stop_listening(machine->debugger);
    }
    if (!where || !strcmp(where, "none")) {
        return true;
    }
    if (!machine->vcpus.count) {
        return error_set(error, "the machine has no processor to be debugged");
    }
    AUTO_FREE char *place = parse_where(where, error);
    int listener = place ? gdb_listen("address", place, error) : -1;
    if (listener < 0) {
        return false;
    }
    Debugger *debugger = machine->debugger = machine->debugger ? machine->debugger : make(machine);
    debugger->listener = listener;
    debugger->path = text_starts_with(where, "unix:") ? string_copy(place) : NULL;
    debugger->listening = loop_fd_add(machine->loop, listener, HOST_POLL_IN, on_connection, debugger);
    return debugger->listening || error_set(error, "-gdb %s: cannot be waited for", where);
}

void debugger_free(Machine *machine)
{
    Debugger *debugger = machine->debugger;

    if (debugger) {
        stop_listening(debugger);
        machine_remove_run_state_listener(machine, on_run_state, debugger);
        mutex_destroy(&debugger->lock);
        vec_free(&debugger->breakpoints);
        vec_free(&debugger->watches);
        vec_free(&debugger->actions);
        free(debugger);
        machine->debugger = NULL;
    }
}
