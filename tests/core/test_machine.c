/* Making machines, run states and their events, reset, -smp and -m, vCPU models, firmware. */
#include "fixture.h"

#include "api/json.h"
#include "base/error.h"
#include "core/backend.h"
#include "core/iothread.h"
#include "core/loop.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void expect_error(Error **error, const char *part)
{
    g_assert_nonnull(*error);
    if (!strstr(error_message(*error), part)) {
        g_error("'%s' does not say '%s'", error_message(*error), part);
    }
    error_free(*error);
    *error = NULL;
}

/* Run states. */

static void test_run_and_stop(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *m = f->machine;
    g_assert_cmpstr(run_state_name(m->run_state), ==, "prelaunch");
    machine_stop(m, RUN_STATE_PAUSED);
    g_assert_cmpstr(run_state_name(m->run_state), ==, "paused");
    fixture_expect_events(f, "");
    g_assert_true(machine_run(m, NULL));
    g_assert_true(machine_run(m, NULL)); /* again: nothing */
    fixture_expect_events(f, "RESUME;");
    int64_t before = clock_now(m->clocks, CLOCK_VIRTUAL);
    g_usleep(1000);
    g_assert_cmpint(clock_now(m->clocks, CLOCK_VIRTUAL), >, before);
    machine_stop(m, RUN_STATE_PAUSED);
    machine_stop(m, RUN_STATE_PAUSED);
    fixture_expect_events(f, "STOP;");
    before = clock_now(m->clocks, CLOCK_VIRTUAL);
    g_usleep(1000);
    g_assert_cmpint(clock_now(m->clocks, CLOCK_VIRTUAL), ==, before);
    Error *error = NULL;
    g_assert_false(run_state_set(m, RUN_STATE_GUEST_PANICKED, &error));
    expect_error(&error, "cannot go from 'paused' to 'guest-panicked'");
    fixture_free(f);
}

static void test_reset_request(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *m = f->machine;
    machine_run(m, NULL);
    g_string_truncate(f->events, 0);
    machine_request_reset(m, SHUTDOWN_GUEST_RESET);
    fixture_expect_events(f, "");
    loop_drain(f->loop);
    fixture_expect_events(f, "RESET {\"guest\": true, \"reason\": \"guest-reset\"};");
    g_assert_true(machine_is_running(m));
    /* A reset of one that stands still brings it back to its start. */
    machine_stop(m, RUN_STATE_PAUSED);
    g_string_truncate(f->events, 0);
    machine_request_reset(m, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
    loop_drain(f->loop);
    fixture_expect_events(f, "RESET {\"guest\": false, \"reason\": \"host-qmp-system-reset\"};");
    g_assert_cmpint(m->run_state, ==, RUN_STATE_PRELAUNCH);
    g_assert_cmpuint(f->shutdowns, ==, 0);
    fixture_free(f);
}

static void test_shutdown(void)
{
    Fixture *f = fixture_new(NULL);
    machine_run(f->machine, NULL);
    g_string_truncate(f->events, 0);
    machine_request_shutdown(f->machine, SHUTDOWN_GUEST_SHUTDOWN, 3);
    loop_drain(f->loop);
    fixture_expect_events(f, "SHUTDOWN {\"guest\": true, \"reason\": \"guest-shutdown\"};");
    g_assert_cmpuint(f->shutdowns, ==, 1);
    g_assert_cmpint(f->cause, ==, SHUTDOWN_GUEST_SHUTDOWN);
    g_assert_cmpint(f->status, ==, 3);
    g_assert_false(machine_is_running(f->machine));
    fixture_free(f);
}

static void test_actions(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *m = f->machine;
    Error *error = NULL;
    g_assert_false(machine_set_action(m, "reboot", "shutdwn", &error));
    expect_error(&error, "'shutdown'");
    g_assert_false(machine_set_action(m, "panik", "none", &error));
    expect_error(&error, "'panic'");
    /* -no-reboot -no-shutdown */
    g_assert_true(machine_set_action(m, "reboot", "shutdown", NULL));
    g_assert_true(machine_set_action(m, "shutdown", "pause", NULL));
    machine_run(m, NULL);
    g_string_truncate(f->events, 0);
    machine_request_reset(m, SHUTDOWN_GUEST_RESET);
    loop_drain(f->loop);
    fixture_expect_events(f, "SHUTDOWN {\"guest\": true, \"reason\": \"guest-reset\"};STOP;");
    g_assert_cmpint(m->run_state, ==, RUN_STATE_SHUTDOWN);
    g_assert_cmpuint(f->shutdowns, ==, 0);
    g_assert_false(machine_run(m, &error));
    expect_error(&error, "Resetting the Virtual Machine is required");
    g_assert_true(machine_set_action(m, "reboot", "reset", NULL));
    machine_request_reset(m, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
    loop_drain(f->loop);
    g_assert_true(machine_run(m, NULL));
    /* quit ends it all the same. */
    g_string_truncate(f->events, 0);
    machine_request_shutdown(m, SHUTDOWN_HOST_QMP_QUIT, 0);
    loop_drain(f->loop);
    fixture_expect_events(f, "SHUTDOWN {\"guest\": false, \"reason\": \"host-qmp-quit\"};");
    g_assert_cmpuint(f->shutdowns, ==, 1);
    fixture_free(f);
}

static void check_panic(const char *action, const char *shutdown, const char *events, RunState state,
                        unsigned shutdowns)
{
    Fixture *f = fixture_new(NULL);
    g_assert_true(machine_set_action(f->machine, "panic", action, NULL));
    g_assert_true(machine_set_action(f->machine, "shutdown", shutdown, NULL));
    machine_run(f->machine, NULL);
    g_string_truncate(f->events, 0);
    machine_request_panic(f->machine);
    loop_drain(f->loop);
    fixture_expect_events(f, events);
    g_assert_cmpint(f->machine->run_state, ==, state);
    g_assert_cmpuint(f->shutdowns, ==, shutdowns);
    g_assert_cmpint(f->status, ==, !strcmp(action, "exit-failure") ? EXIT_FAILURE : 0);
    fixture_free(f);
}

static void test_panic(void)
{
    check_panic("none", "poweroff", "GUEST_PANICKED {\"action\": \"run\"};", RUN_STATE_RUNNING, 0);
    check_panic("pause", "poweroff", "GUEST_PANICKED {\"action\": \"pause\"};STOP;", RUN_STATE_GUEST_PANICKED, 0);
    check_panic("shutdown", "pause", "GUEST_PANICKED {\"action\": \"pause\"};STOP;", RUN_STATE_GUEST_PANICKED, 0);
    const char *off = "GUEST_PANICKED {\"action\": \"poweroff\"};STOP;"
                      "SHUTDOWN {\"guest\": true, \"reason\": \"guest-panic\"};";
    check_panic("shutdown", "poweroff", off, RUN_STATE_SHUTDOWN, 1);
    check_panic("exit-failure", "poweroff", off, RUN_STATE_SHUTDOWN, 1);
}

static void count_powerdown(void *data) { ++*(unsigned *)data; }

static void record_running(void *data, bool running) { g_string_append(data, running ? "run," : "stop,"); }

static void test_listeners(void)
{
    Fixture *f = fixture_new(NULL);
    unsigned powerdowns = 0;
    GString *text = g_string_new(NULL);
    machine_add_powerdown_listener(f->machine, count_powerdown, &powerdowns);
    machine_add_run_state_listener(f->machine, record_running, text);
    machine_request_powerdown(f->machine);
    machine_request_powerdown(f->machine); /* both at once are one */
    loop_drain(f->loop);
    fixture_expect_events(f, "POWERDOWN;");
    g_assert_cmpuint(powerdowns, ==, 1);
    machine_run(f->machine, NULL);
    machine_stop(f->machine, RUN_STATE_IO_ERROR);
    g_assert_cmpstr(text->str, ==, "run,stop,");
    g_string_free(text, TRUE);
    fixture_free(f);
}

/* Reset in phases. */

typedef struct Phased {
    Device device;
    GString *text;
    Irq *out;
} Phased;

static GString *phases; /* of this test */

static void note(Device *device, const char *what)
{
    g_string_append_printf(phases, "%s.%s ", device->id ? device->id : "?", what);
}
static void phased_hold(Device *device, ResetKind kind) { note(device, "hold"); }
static void phased_reset(Device *device, ResetKind kind) { note(device, kind == RESET_WARM ? "warm" : "on"); }
static void phased_settle(Device *device) { note(device, "settle"); }
static void derived_reset(Device *device, ResetKind kind) { note(device, "derived"); }

const DeviceClass phased_class = {
    .class = { .name = "test-phased", .parent = &sysbus_device_class.class, .size = sizeof(Phased) },
    .reset_hold = phased_hold,
    .reset = phased_reset,
    .settle = phased_settle,
};
const DeviceClass derived_class = {
    .class = { .name = "test-derived", .parent = &phased_class.class },
    .reset = derived_reset,
};

static void note_function(void *data) { g_string_append(phases, "function "); }

static void test_reset_phases(void)
{
    Fixture *f = fixture_new(NULL);
    Machine *m = f->machine;
    phases = g_string_new(NULL);
    const char *classes[] = { "test-phased", "test-derived" }, *ids[] = { "a", "b" };
    for (unsigned i = 0; i < 2; i++) {
        Device *device = device_new(m, classes[i], ids[i], NULL);
        g_assert_true(device_realize(device, NULL, NULL, NULL, NULL));
    }
    machine_add_reset_function(m, note_function, NULL);
    machine_reset(m, RESET_WARM);
    g_assert_cmpstr(phases->str, ==,
                    "a.hold b.hold a.warm b.warm b.derived function a.settle b.settle ");
    g_string_free(phases, TRUE);
    fixture_free(f);
}

/* -smp, -m, properties. */

static bool build(const MachineOptions *options, Error **error, MachineOptions *result)
{
    Fixture *f = fixture_new_raw(options);
    bool done = machine_build(f->machine, error);
    if (result) {
        *result = f->machine->options;
    }
    fixture_free(f);
    return done;
}

static void test_smp(void)
{
    MachineOptions r;
    Error *error = NULL;
    g_assert_true(build(&(MachineOptions){ 0 }, NULL, &r));
    g_assert_true(r.cpus == 1 && r.maximum_cpus == 1 && r.sockets == 1 && r.cores == 1 && r.threads == 1);
    g_assert_true(build(&(MachineOptions){ .cpus = 4 }, NULL, &r));
    g_assert_true(r.cpus == 4 && r.cores == 4 && r.sockets == 1);
    g_assert_true(build(&(MachineOptions){ .cpus = 4, .cores = 2 }, NULL, &r));
    g_assert_true(r.sockets == 2);
    g_assert_true(build(&(MachineOptions){ .sockets = 2, .cores = 2 }, NULL, &r));
    g_assert_true(r.cpus == 4 && r.threads == 1);
    g_assert_true(build(&(MachineOptions){ .cpus = 2, .maximum_cpus = 8 }, NULL, &r));
    g_assert_true(r.cpus == 2 && r.cores == 8);
    g_assert_false(build(&(MachineOptions){ .cpus = 3, .cores = 2 }, &error, NULL));
    expect_error(&error, "sockets (1) * cores (2) * threads (1) != maxcpus (3)");
    g_assert_false(build(&(MachineOptions){ .cpus = 4, .maximum_cpus = 2 }, &error, NULL));
    expect_error(&error, "== maxcpus (2) < smp_cpus (4)");
    g_assert_false(build(&(MachineOptions){ .cpus = 9 }, &error, NULL));
    expect_error(&error, "Invalid SMP CPUs 9. The max CPUs supported by machine 'test' is 8");
    g_assert_false(build(&(MachineOptions){ .cpus = 2, .dies = 2 }, &error, NULL));
    expect_error(&error, "dies > 1 not supported by this machine's CPU topology");
    g_assert_false(build(&(MachineOptions){ .sockets = 65536, .cores = 65536, .threads = 65536 }, &error, NULL));
    g_assert_nonnull(error);
    error_free(error);
}

static void test_properties(void)
{
    Fixture *f = fixture_new_raw(&(MachineOptions){ .kernel = "one" });
    Object *object = &f->machine->object;
    Error *error = NULL;
    g_assert_true(object_set_text(object, "kernel", "two", NULL));
    g_assert_cmpstr(f->machine->options.kernel, ==, "two");
    g_assert_true(object_set_text(object, "firmware", "none", NULL));
    g_assert_cmpstr(f->machine->options.bios, ==, "none");
    Json *smp = json_parse("{'cpus': 4, 'sockets': 2}", 25, NULL), *memory = json_parse("{'size': 2097152}", 17, NULL);
    g_assert_true(object_set(object, "smp", smp, NULL));
    g_assert_true(object_set(object, "memory", memory, NULL));
    json_free(smp);
    json_free(memory);
    g_assert_true(object_set_text(object, "usb", "off", NULL));
    g_assert_false(object_set_text(object, "usb", "on", &error));
    expect_error(&error, "USB");
    g_assert_false(object_set_text(object, "kernal", "x", &error));
    expect_error(&error, "'kernel'");
    g_assert_true(machine_build(f->machine, NULL));
    g_assert_cmpuint(f->machine->options.cores, ==, 2);
    g_assert_cmpuint(f->machine->ram->size, ==, 2097152);
    Json *type = object_get(object, "type", NULL);
    g_assert_cmpstr(json_text(type), ==, "test-machine");
    json_free(type);
    fixture_free(f);
    g_assert_false(build(&(MachineOptions){ .ram_slots = 2 }, &error, NULL));
    expect_error(&error, "slots");
}

static Object *add_object(Fixture *f, const char *class_name, const char *id, const char *const *texts, Error **error)
{
    Object *object = object_new(class_find(class_name), f->machine, NULL, NULL);
    object_add_child(object_container(f->machine->root, "objects"), id, object, NULL);
    object_unref(object);
    for (; *texts; texts += 2) {
        g_assert_true(object_set_text(object, texts[0], texts[1], NULL));
    }
    return object_complete(object, error) ? object : NULL;
}
#define TEXTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_memory_backend(void)
{
    Fixture *f = fixture_new_raw(&(MachineOptions){ .memory_backend = "m0", .ram_size = 1 << 21 });
    Error *error = NULL;
    g_assert_false(machine_build(f->machine, &error));
    expect_error(&error, "no memory backend 'm0'");
    g_assert_null(add_object(f, "memory-backend-ram", "empty", TEXTS("share", "on"), &error));
    expect_error(&error, "a size is needed");
    Object *object = add_object(f, "memory-backend-memfd", "m0", TEXTS("size", "2M", "prealloc", "on"), NULL);
    g_assert_true(machine_build(f->machine, NULL));
    g_assert_true(f->machine->ram == ((MemoryBackend *)object)->block);
    g_assert_false(object->class->parent->can_delete(object, &error));
    expect_error(&error, "in use");
    /* Another mapping of the memfd sees what the guest writes. */
    RamBlock *block = f->machine->ram;
    uint8_t *other = mmap(NULL, block->size, PROT_READ, MAP_SHARED, block->fd, 0);
    fixture_write(f, TEST_RAM + 0x1000, 4, 0x12345678);
    g_assert_cmpmem(other + 0x1000, 4, "\x78\x56\x34\x12", 4);
    munmap(other, block->size);
    fixture_free(f);

    f = fixture_new_raw(&(MachineOptions){ .memory_backend = "m0", .ram_size = 1 << 20 });
    add_object(f, "memory-backend-ram", "m0", TEXTS("size", "2M"), NULL);
    g_assert_false(machine_build(f->machine, &error));
    expect_error(&error, "0x200000 bytes, but -m says 0x100000");
    fixture_free(f);
}

static void test_memory_file(void)
{
    char *path = g_strdup_printf("%s/myna-test-ram-%u", g_get_tmp_dir(), g_random_int());
    Fixture *f = fixture_new_raw(NULL);
    Error *error = NULL;
    MemoryBackend *shared = (MemoryBackend *)add_object(
        f, "memory-backend-file", "a", TEXTS("size", "64k", "mem-path", path, "share", "on"), &error);
    g_assert_null(error);
    memcpy(shared->block->host + 0x2000, "hello", 5);
    char *content;
    gsize length;
    g_assert_true(g_file_get_contents(path, &content, &length, NULL));
    g_assert_cmpuint(length, ==, 65536);
    g_assert_cmpmem(content + 0x2000, 5, "hello", 5);
    g_free(content);
    /* At an offset, for reading alone, private. */
    MemoryBackend *rom = (MemoryBackend *)add_object(
        f, "memory-backend-file", "b", TEXTS("size", "4k", "mem-path", path, "offset", "8k", "readonly", "on"), &error);
    g_assert_null(error);
    g_assert_cmpmem(rom->block->host, 5, "hello", 5);
    MemoryBackend *copy = (MemoryBackend *)add_object(f, "memory-backend-file", "c",
                                                      TEXTS("size", "64k", "mem-path", path), NULL);
    copy->block->host[0x2000] = 'H';
    g_assert_cmpint(shared->block->host[0x2000], ==, 'h');
    g_assert_null(add_object(f, "memory-backend-file", "d",
                             TEXTS("size", "1M", "mem-path", path, "readonly", "on"), &error));
    expect_error(&error, "has 0x10000 bytes, but 0x100000 are needed");
    g_assert_null(add_object(f, "memory-backend-file", "e",
                             TEXTS("size", "4k", "mem-path", path, "offset", "1"), &error));
    expect_error(&error, "multiple of");
    g_assert_null(add_object(f, "memory-backend-file", "f", TEXTS("size", "4k"), &error));
    expect_error(&error, "mem-path");
    g_assert_null(add_object(f, "memory-backend-file", "g", TEXTS("size", "4k", "mem-path", "/nowhere/x"), &error));
    expect_error(&error, "/nowhere/x");
    g_assert_null(add_object(f, "memory-backend-ram", "h", TEXTS("size", "8E"), &error));
    g_assert_nonnull(error);
    error_free(error);
    error = NULL;
    MemoryBackend *nameless = (MemoryBackend *)add_object(
        f, "memory-backend-file", "i", TEXTS("size", "4k", "mem-path", g_get_tmp_dir()), &error);
    g_assert_null(error);
    g_assert_cmpint(nameless->block->fd, >=, 0);
    g_unlink(path);
    g_free(path);
    fixture_free(f);
}

/* Classes by a user's word, models. */

static void test_class_find(void)
{
    Fixture *f = fixture_new_raw(NULL);
    const Guest *guest = f->machine->guest;
    Error *error = NULL;
    g_assert_true(machine_class_find("test", guest, NULL) == &test_machine_class);
    g_assert_true(machine_class_find("t", guest, NULL) == &test_machine_class);
    g_assert_cmpstr(machine_class_find("none", guest, NULL)->class.name, ==, "none-machine");
    g_assert_null(machine_class_find("tset", guest, &error));
    expect_error(&error, "unsupported machine type: 'tset'");
    g_assert_null(machine_class_find("machine", guest, &error));
    error_free(error);
    error = NULL;
    g_assert_null(vcpu_new(f->machine, "rv46", 0, &error));
    expect_error(&error, "'rv64'");
    g_assert_null(vcpu_new(f->machine, "rv64,zbo=on", 0, &error));
    expect_error(&error, "zbo");
    g_assert_null(vcpu_new(f->machine, "rv64,zba=maybe", 0, &error));
    expect_error(&error, "zba");
    Vcpu *vcpu = vcpu_new(f->machine, "rv64,zba=off,pmp=off", 3, NULL);
    Json *value = object_get(&vcpu->device.object, "zba", NULL);
    g_assert_false(json_to_bool(value));
    json_free(value);
    value = object_get(&vcpu->device.object, "zbb", NULL);
    g_assert_true(json_to_bool(value));
    json_free(value);
    g_assert_cmpuint(vcpu->index, ==, 3);
    object_unref(&vcpu->device.object);
    fixture_free(f);
}

static void test_globals(void)
{
    PropertyDefault items[] = {
        { .class_name = "rv64-test-cpu", .property = "zba", .value = "off" },
        { .class_name = "nothing-of-that", .property = "x", .value = "1" },
    };
    PropertyDefaults globals = { items, G_N_ELEMENTS(items), NULL };
    Fixture *f = fixture_new(&(MachineOptions){ .cpu_model = "rv64", .globals = &globals, .single_threaded = true });
    Json *value = object_get(&f->machine->vcpus.items[0]->device.object, "zba", NULL);
    g_assert_false(json_to_bool(value));
    json_free(value);
    g_assert_true(items[0].used);
    g_assert_false(items[1].used);
    fixture_free(f);
}

static void test_none_machine(void)
{
    Fixture *f = fixture_new_raw(NULL);
    const MachineClass *class = machine_class_find("none", f->machine->guest, NULL);
    MachineOptions options = { .guest = f->machine->guest };
    Machine *none = machine_new(class, &options, f->loop, NULL, f->log, f->trace, NULL);
    g_assert_true(machine_build(none, NULL));
    g_assert_true(machine_start_up(none, NULL));
    g_assert_cmpuint(none->vcpus.count, ==, 0);
    g_assert_true(machine_run(none, NULL));
    machine_free(none);
    options = (MachineOptions){ .guest = f->machine->guest, .cpu_model = "rv64", .ram_size = 4096, .kernel = "vmlinux",
                                .single_threaded = true };
    none = machine_new(class, &options, f->loop, NULL, f->log, f->trace, NULL);
    Error *error = NULL;
    g_assert_true(machine_build(none, NULL));
    g_assert_cmpuint(none->vcpus.count, ==, 1);
    g_assert_false(machine_start_up(none, &error));
    expect_error(&error, "boots nothing");
    machine_free(none);
    fixture_free(f);
}

static void test_firmware(void)
{
    char *directory = g_dir_make_tmp("myna-test-XXXXXX", NULL), *path = g_build_filename(directory, "fw.bin", NULL);
    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    char *list = g_strdup_printf("/nonexistent:%s", directory);
    Fixture *f = fixture_new(&(MachineOptions){ .firmware_directories = list });
    Error *error = NULL;
    char *found = machine_find_firmware(f->machine, "fw.bin", NULL);
    g_assert_cmpstr(found, ==, path);
    free(found);
    found = machine_find_firmware(f->machine, path, NULL);
    g_assert_cmpstr(found, ==, path);
    free(found);
    g_assert_null(machine_find_firmware(f->machine, "no-such-firmware", &error));
    expect_error(&error, "/usr/share/qemu");
    g_assert_null(machine_find_firmware(f->machine, "/nonexistent/fw", &error));
    expect_error(&error, "'/nonexistent/fw'");
    g_unlink(path);
    g_rmdir(directory);
    g_free(directory);
    g_free(path);
    g_free(list);
    fixture_free(f);
}

static void note_self(void *data) { *(bool *)data = true; }

static void test_iothread(void)
{
    Fixture *f = fixture_new(NULL);
    IoThread *iothread = (IoThread *)add_object(f, "iothread", "io0", TEXTS(NULL), NULL);
    bool ran = false;
    g_assert_cmpint(iothread_thread_id(iothread), !=, 0);
    g_assert_false(loop_is_self(iothread_loop(iothread)));
    loop_post_wait(iothread_loop(iothread), note_self, &ran);
    g_assert_true(ran);
    ran = false;
    loop_post(iothread_loop(iothread), note_self, &ran);
    machine_park(f->machine); /* lets it run dry */
    g_assert_true(ran);
    machine_unpark(f->machine);
    object_unparent((Object *)iothread);
    fixture_free(f);
}

static void test_event_loops(void)
{
    AUTO_ERROR(error);
    Fixture *f = fixture_new(NULL);
    Object *main = add_object(f, "main-loop", "m", TEXTS("thread-pool-max", "3", "aio-max-batch", "7"), NULL);
    g_assert_cmpint(loop_threads(f->machine->loop).most, ==, 3);
    g_assert_cmpint(loop_batch(f->machine->loop), ==, 7);
    g_assert_true(object_set_text(main, "thread-pool-min", "2", NULL));
    g_assert_cmpint(loop_threads(f->machine->loop).least, ==, 2);
    g_assert_false(object_set_text(main, "thread-pool-max", "1", &error));
    g_assert_nonnull(strstr(error_message(error), "bad thread-pool-min/thread-pool-max values"));
    g_assert_cmpint(loop_threads(f->machine->loop).most, ==, 3);
    g_assert_null(add_object(f, "main-loop", "n", TEXTS(NULL), NULL));
    g_assert_false(main->class->can_delete(main, NULL));
    IoThread *iothread = (IoThread *)add_object(f, "iothread", "io", TEXTS("thread-pool-max", "5"), NULL);
    g_assert_cmpint(loop_threads(iothread_loop(iothread)).most, ==, 5);
    g_assert_null(add_object(f, "iothread", "few", TEXTS("thread-pool-min", "6", "thread-pool-max", "5"), NULL));
    object_unparent((Object *)iothread);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/machine/run-stop", test_run_and_stop);
    g_test_add_func("/core/machine/reset-request", test_reset_request);
    g_test_add_func("/core/machine/shutdown", test_shutdown);
    g_test_add_func("/core/machine/actions", test_actions);
    g_test_add_func("/core/machine/panic", test_panic);
    g_test_add_func("/core/machine/listeners", test_listeners);
    g_test_add_func("/core/machine/reset-phases", test_reset_phases);
    g_test_add_func("/core/machine/smp", test_smp);
    g_test_add_func("/core/machine/properties", test_properties);
    g_test_add_func("/core/machine/memory-backend", test_memory_backend);
    g_test_add_func("/core/machine/memory-file", test_memory_file);
    g_test_add_func("/core/machine/class-find", test_class_find);
    g_test_add_func("/core/machine/globals", test_globals);
    g_test_add_func("/core/machine/none", test_none_machine);
    g_test_add_func("/core/machine/firmware", test_firmware);
    g_test_add_func("/core/machine/iothread", test_iothread);
    g_test_add_func("/core/machine/event-loops", test_event_loops);
    return g_test_run();
}
