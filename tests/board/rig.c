/* The rig. */
#include "rig.h"

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/trace.h"
#include "core/loop.h"
#include "schema/char.h"

#include <glib/gstdio.h>
#include <unistd.h>

static void on_shutdown(void *data, ShutdownCause cause, int status)
{
    Rig *rig = data;

    rig->ended = true;
    rig->cause = cause;
    rig->status = status;
}

Rig *rig_new(const char *target, const char *machine, const MachineOptions *options)
{
    AUTO_ERROR(error);
    Rig *rig = g_new0(Rig, 1);
    MachineOptions all = *options;

    all.guest = guest_find(target, NULL);
    all.clock_source = CLOCK_FROM_INSTRUCTIONS;
    all.single_threaded = true;
    rig->output = g_string_new(NULL);
    rig->loop = loop_new(false, &error);
    rig->files = files_new();
    rig->log = log_new();
    rig->trace = trace_new(trace_events, trace_event_count, rig->log);
    const MachineClass *class = machine_class_find(machine, all.guest, &error);
    rig->machine = class ? machine_new(class, &all, rig->loop, rig->files, rig->log, rig->trace, &error) : NULL;
    if (!rig->machine) {
        g_error("%s: %s", machine, error_message(error));
    }
    rig->machine->events = (MachineEvents){ .shutdown = on_shutdown, .data = rig };
    rig->chars = (CharHost){ .container = object_container(rig->machine->root, "chardevs"), .loop = rig->loop,
                             .files = rig->files };
    ChardevOptions serial = { .id = (char *)"serial0", .backend = CHARDEV_BACKEND_RINGBUF,
                              .u.ringbuf = { .has_size = true, .size = 64 * KIB } };
    rig->serial = char_new(&rig->chars, &serial, &error);
    if (!rig->serial) {
        g_error("serial: %s", error_message(error));
    }
    vec_push(&rig->machine->serials, rig->serial);
    return rig;
}

void rig_free(Rig *rig)
{
    char_remove_all(&rig->chars);
    machine_free(rig->machine);
    trace_free(rig->trace);
    log_free(rig->log);
    files_free(rig->files);
    loop_free(rig->loop);
    g_string_free(rig->output, true);
    g_free(rig);
}

char *rig_start(Rig *rig)
{
    AUTO_ERROR(error);

    if (machine_build(rig->machine, &error) && machine_start_up(rig->machine, &error)) {
        return NULL;
    }
    return g_strdup(error_message(error));
}

static void take_output(Rig *rig)
{
    uint8_t bytes[256];
    size_t count;

    while ((count = char_ring_read(rig->serial, bytes, sizeof bytes))) {
        g_string_append_len(rig->output, (const char *)bytes, (gssize)count);
    }
}

bool rig_run(Rig *rig, const char *text, uint64_t instructions)
{
    enum { AT_ONCE = 100000 };
    bool found = false;

    if (!machine_is_running(rig->machine)) {
        machine_run(rig->machine, NULL);
    }
    for (uint64_t done = 0; !found && !rig->ended && done < instructions; done += AT_ONCE) {
        machine_step(rig->machine, MIN(AT_ONCE, instructions - done));
        loop_iterate(rig->loop, 0);
        take_output(rig);
        found = text && strstr(rig->output->str, text);
    }
    return text ? found : rig->ended;
}

/* Files */

static char *files_directory(void)
{
    return g_strdup_printf("%s/myna-board-%d", g_get_tmp_dir(), getpid());
}

char *rig_file(const void *bytes, size_t count)
{
    g_autofree char *directory = files_directory();
    g_mkdir_with_parents(directory, 0700);
    char *path = g_strdup_printf("%s/XXXXXX", directory);
    int fd = g_mkstemp(path);

    g_assert_cmpint(write(fd, bytes, count), ==, count);
    close(fd);
    return path;
}

void rig_remove_files(void)
{
    g_autofree char *directory = files_directory();
    GDir *open = g_dir_open(directory, 0, NULL);

    for (const char *name = open ? g_dir_read_name(open) : NULL; name; name = g_dir_read_name(open)) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_unlink(path);
    }
    if (open) {
        g_dir_close(open);
        g_rmdir(directory);
    }
}
