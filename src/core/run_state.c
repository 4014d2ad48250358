/*
 * Run states: one table of legal changes; what starts, stops, resets and ends a machine, and the events that QMP
 * documents for it. Requests may come from any thread and are looked at on the main loop: first the end, then resets,
 * then the power button.
 */
#include "core/machine_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "base/text.h"
#include "core/loop.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define STATE(name) (1u << RUN_STATE_##name)
/* What a machine that stands still may become whatever it stands still for. */
#define STANDING (STATE(PRELAUNCH) | STATE(PAUSED) | STATE(RESTORE_VM) | STATE(SAVE_VM) | STATE(FINISH_MIGRATE) | \
                  STATE(POSTMIGRATE) | STATE(SHUTDOWN) | STATE(INTERNAL_ERROR))
/* What stops one that runs. */
#define STOPPING (STATE(DEBUG) | STATE(INTERNAL_ERROR) | STATE(IO_ERROR) | STATE(PAUSED) | STATE(FINISH_MIGRATE) | \
                  STATE(RESTORE_VM) | STATE(SAVE_VM) | STATE(SHUTDOWN) | STATE(SUSPENDED) | STATE(WATCHDOG) | \
                  STATE(GUEST_PANICKED) | STATE(COLO))

static const uint32_t legal_next[RUN_STATE_COUNT] = {
    [RUN_STATE_DEBUG] = STATE(RUNNING) | STATE(SUSPENDED) | STANDING,
    [RUN_STATE_INMIGRATE] = STATE(RUNNING) | STOPPING | STANDING,
    [RUN_STATE_INTERNAL_ERROR] = STATE(PRELAUNCH) | STATE(PAUSED) | STATE(FINISH_MIGRATE) | STATE(RESTORE_VM),
    [RUN_STATE_IO_ERROR] = STATE(RUNNING) | STATE(SUSPENDED) | STANDING,
    [RUN_STATE_PAUSED] = STATE(RUNNING) | STATE(SUSPENDED) | STATE(COLO) | STATE(INMIGRATE) | STANDING,
    [RUN_STATE_POSTMIGRATE] = STATE(RUNNING) | STATE(PRELAUNCH) | STATE(PAUSED) | STATE(FINISH_MIGRATE) |
                              STATE(RESTORE_VM) | STATE(SAVE_VM),
    [RUN_STATE_PRELAUNCH] = STATE(RUNNING) | STATE(INMIGRATE) | STATE(SUSPENDED) | STATE(COLO) | STANDING,
    [RUN_STATE_FINISH_MIGRATE] = STATE(RUNNING) | STATE(POSTMIGRATE) | STATE(PAUSED) | STATE(PRELAUNCH) |
                                 STATE(COLO) | STATE(INTERNAL_ERROR) | STATE(IO_ERROR) | STATE(SHUTDOWN) |
                                 STATE(SUSPENDED) | STATE(WATCHDOG) | STATE(GUEST_PANICKED),
    [RUN_STATE_RESTORE_VM] = STATE(RUNNING) | STATE(PRELAUNCH) | STATE(PAUSED) | STATE(SUSPENDED) |
                             STATE(INTERNAL_ERROR),
    [RUN_STATE_RUNNING] = STOPPING,
    [RUN_STATE_SAVE_VM] = STATE(RUNNING) | STATE(PAUSED) | STATE(PRELAUNCH) | STATE(SUSPENDED) | STATE(IO_ERROR) |
                          STATE(SHUTDOWN) | STATE(WATCHDOG) | STATE(GUEST_PANICKED),
    [RUN_STATE_SHUTDOWN] = STATE(PRELAUNCH) | STATE(PAUSED) | STATE(FINISH_MIGRATE) | STATE(RESTORE_VM) |
                           STATE(SAVE_VM),
    [RUN_STATE_SUSPENDED] = STATE(RUNNING) | STATE(COLO) | STANDING,
    [RUN_STATE_WATCHDOG] = STATE(RUNNING) | STATE(SUSPENDED) | STATE(COLO) | STANDING,
    [RUN_STATE_GUEST_PANICKED] = STATE(RUNNING) | STATE(SUSPENDED) | STANDING,
    [RUN_STATE_COLO] = STATE(RUNNING) | STATE(PRELAUNCH) | STATE(PAUSED) | STATE(SHUTDOWN),
};

const char *run_state_name(RunState state) { return RunState_type.names[state]; }

bool run_state_set(Machine *machine, RunState state, Error **error)
{
    if (state == machine->run_state) {
        return true;
    }
    if (!(legal_next[machine->run_state] & 1u << state)) {
        return error_set(error, "a machine cannot go from '%s' to '%s'", run_state_name(machine->run_state),
                         run_state_name(state));
    }
    machine->run_state = state;
    return true;
}

bool machine_is_running(const Machine *machine) { return machine->run_state == RUN_STATE_RUNNING; }

static bool needs_reset(const Machine *machine)
{
    return machine->run_state == RUN_STATE_INTERNAL_ERROR || machine->run_state == RUN_STATE_SHUTDOWN;
}

static void tell_listeners(Machine *machine, bool running)
{
    for (size_t i = 0; i < machine->listeners.count; i++) {
        MachineListener *listener = &machine->listeners.items[i];
        if (listener->run_state) {
            listener->run_state(listener->data, running);
        }
    }
}

bool machine_run(Machine *machine, Error **error)
{
    if (machine_is_running(machine)) {
        return true;
    }
    if (needs_reset(machine)) {
        return error_set(error, "Resetting the Virtual Machine is required");
    }
    if (!machine->loaded) {
        return error_set(error, "the machine has not been started up");
    }
    if (!run_state_set(machine, RUN_STATE_RUNNING, error)) {
        return false;
    }
    tell_listeners(machine, true);
    machine_event(machine, "RESUME", NULL);
    clocks_run(machine->clocks, true);
    parking_hold(machine, false);
    return true;
}

/* Returns whether it ran. */
static bool stop(Machine *machine, RunState state)
{
    if (!machine_is_running(machine)) {
        run_state_set(machine, state, NULL); /* one that cannot follow the state there is is lost */
        return false;
    }
    machine_park(machine);
    /* What was posted has run: it may have stopped the machine already. */
    bool stopped = machine_is_running(machine) && run_state_set(machine, state, NULL);
    if (stopped) {
        clocks_run(machine->clocks, false);
        parking_hold(machine, true);
        tell_listeners(machine, false);
    }
    machine_unpark(machine);
    return stopped;
}

void machine_stop(Machine *machine, RunState state)
{
    if (stop(machine, state)) {
        machine_event(machine, "STOP", NULL);
    }
}

/* Actions. */

typedef struct Action {
    const char *event;
    const char *names[8]; /* the first one is the default */
    size_t offset;
} Action;

static const Action actions[] = {
    { "reboot", { "reset", "shutdown" }, offsetof(Machine, reboot_action) },
    { "shutdown", { "poweroff", "pause" }, offsetof(Machine, shutdown_action) },
    { "panic", { "shutdown", "pause", "exit-failure", "none" }, offsetof(Machine, panic_action) },
    { "watchdog", { "reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi" },
      offsetof(Machine, watchdog_action) },
};

static const char *name_of_action(const void *context, size_t i) { return ((const Action *)context)->names[i]; }
static const char *name_of_event(const void *context, size_t i)
{
    return i < ARRAY_SIZE(actions) ? actions[i].event : NULL;
}

bool machine_set_action(Machine *machine, const char *event, const char *action, Error **error)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (strcmp(actions[i].event, event)) {
            continue;
        }
        char **slot = (char **)((char *)machine + actions[i].offset);
        for (const char *const *name = actions[i].names; *name; name++) {
            if (!strcmp(*name, action)) {
                free(*slot);
                *slot = string_copy(action);
                return true;
            }
        }
        AUTO_FREE char *suggestion = text_suggestion(action, name_of_action, &actions[i]);
        return error_set(error, "'%s' is not an action for '%s'%s", action, event, suggestion);
    }
    AUTO_FREE char *suggestion = text_suggestion(event, name_of_event, NULL);
    return error_set(error, "'%s' is not an event that has an action%s", event, suggestion);
}

static bool action_is(const char *action, const char *fallback, const char *name)
{
    return !strcmp(action ? action : fallback, name);
}

/* Requests. */

static bool by_guest(ShutdownCause cause) { return cause >= SHUTDOWN_GUEST_SHUTDOWN; }

static Json *cause_arguments(ShutdownCause cause)
{
    Json *arguments = json_object();
    json_set(arguments, "guest", json_bool(by_guest(cause)));
    json_set(arguments, "reason", json_string(ShutdownCause_type.names[cause]));
    return arguments;
}

static void do_shutdown(Machine *machine, ShutdownCause cause)
{
    machine_event(machine, "SHUTDOWN", cause_arguments(cause));
    bool stays = cause != SHUTDOWN_HOST_QMP_QUIT && cause != SHUTDOWN_HOST_SIGNAL && cause != SHUTDOWN_HOST_ERROR &&
                 action_is(machine->shutdown_action, "poweroff", "pause");
    if (stays) {
        machine_stop(machine, RUN_STATE_SHUTDOWN);
        return;
    }
    stop(machine, RUN_STATE_SHUTDOWN);
    if (machine->events.shutdown) {
        machine->events.shutdown(machine->events.data, cause, atomic_load(&machine->shutdown_status));
    }
}

static void do_reset(Machine *machine, ShutdownCause cause)
{
    bool ends = machine->options.no_reboot_shutdown || action_is(machine->reboot_action, "reset", "shutdown");
    if (ends && cause != SHUTDOWN_SUBSYSTEM_RESET) {
        do_shutdown(machine, cause);
        return;
    }
    machine_park(machine);
    machine_reset(machine, RESET_WARM);
    if (cause != SHUTDOWN_SUBSYSTEM_RESET) {
        machine_event(machine, "RESET", cause_arguments(cause));
    }
    if (!machine_is_running(machine) && machine->run_state != RUN_STATE_INMIGRATE) {
        run_state_set(machine, RUN_STATE_PRELAUNCH, NULL);
    }
    machine_unpark(machine);
}

static void do_powerdown(Machine *machine)
{
    machine_event(machine, "POWERDOWN", NULL);
    for (size_t i = 0; i < machine->listeners.count; i++) {
        MachineListener *listener = &machine->listeners.items[i];
        if (listener->powerdown) {
            listener->powerdown(listener->data);
        }
    }
}

/* What QMP calls it, and what is done, by the actions for a panic and for a shutdown. */
static const char *panic_response(const Machine *machine)
{
    const char *action = machine->panic_action ? machine->panic_action : "shutdown";
    if (!strcmp(action, "none")) {
        return "run";
    }
    bool stays = !strcmp(action, "shutdown") && action_is(machine->shutdown_action, "poweroff", "pause");
    return stays || !strcmp(action, "pause") ? "pause" : "poweroff";
}

static void do_panic(Machine *machine)
{
    const char *response = panic_response(machine);
    Json *arguments = json_object();
    json_set(arguments, "action", json_string(response));
    machine_event(machine, "GUEST_PANICKED", arguments);
    if (strcmp(response, "run")) {
        machine_stop(machine, RUN_STATE_GUEST_PANICKED);
    }
    if (!strcmp(response, "poweroff")) {
        bool failure = action_is(machine->panic_action, "shutdown", "exit-failure");
        machine_request_shutdown(machine, SHUTDOWN_GUEST_PANIC, failure ? EXIT_FAILURE : EXIT_SUCCESS);
    }
}

void machine_handle_requests(Machine *machine)
{
    ShutdownCause cause;
    if (atomic_exchange(&machine->panic_requested, false)) {
        do_panic(machine);
    }
    if ((cause = atomic_exchange(&machine->shutdown_requested, SHUTDOWN_NONE))) {
        do_shutdown(machine, cause);
    }
    if ((cause = atomic_exchange(&machine->reset_requested, SHUTDOWN_NONE))) {
        do_reset(machine, cause);
    }
    if (atomic_exchange(&machine->powerdown_requested, false)) {
        do_powerdown(machine);
    }
}

static void handle_requests(void *data) { machine_handle_requests(data); }

/* machine_step ends its slice: no vCPU runs far past an instruction that switched the machine off. */
static void send_request(Machine *machine, bool stop)
{
    if (stop && machine->options.single_threaded) {
        machine_stop_vcpus(machine);
    }
    loop_post(machine->loop, handle_requests, machine);
}

void machine_request_reset(Machine *machine, ShutdownCause cause)
{
    atomic_store(&machine->reset_requested, cause);
    send_request(machine, true);
}

void machine_request_shutdown(Machine *machine, ShutdownCause cause, int status)
{
    atomic_store(&machine->shutdown_status, status);
    atomic_store(&machine->shutdown_requested, cause);
    send_request(machine, true);
}

void machine_request_powerdown(Machine *machine)
{
    atomic_store(&machine->powerdown_requested, true);
    send_request(machine, false);
}

void machine_request_panic(Machine *machine)
{
    atomic_store(&machine->panic_requested, true);
    send_request(machine, true);
}

/* Listeners and events. */

void machine_add_powerdown_listener(Machine *machine, void (*notify)(void *data), void *data)
{
    vec_push(&machine->listeners, (MachineListener){ .powerdown = notify, .data = data });
}

void machine_add_run_state_listener(Machine *machine, void (*notify)(void *data, bool running), void *data)
{
    vec_push(&machine->listeners, (MachineListener){ .run_state = notify, .data = data });
}

void machine_remove_run_state_listener(Machine *machine, void (*notify)(void *data, bool running), void *data)
{
    for (size_t i = machine->listeners.count; i-- > 0;) {
        const MachineListener *listener = &machine->listeners.items[i];
        if (listener->run_state == notify && listener->data == data) {
            vec_remove(&machine->listeners, i);
        }
    }
}

void machine_add_reset_function(Machine *machine, void (*reset)(void *data), void *data)
{
    vec_push(&machine->listeners, (MachineListener){ .reset = reset, .data = data });
}

typedef struct Event {
    Machine *machine;
    const char *name;
    Json *arguments;
} Event;

static void send_event(Machine *machine, const char *name, Json *arguments)
{
    if (machine->events.event) {
        machine->events.event(machine->events.data, name, arguments);
    } else {
        json_free(arguments);
    }
}

static void send_posted_event(void *data)
{
    Event *event = data;
    send_event(event->machine, event->name, event->arguments);
    free(event);
}

void machine_event(Machine *machine, const char *name, Json *arguments)
{
    if (loop_is_self(machine->loop)) {
        send_event(machine, name, arguments);
        return;
    }
    Event *event = NEW(Event);
    *event = (Event){ machine, name, arguments };
    loop_post(machine->loop, send_posted_event, event);
}
