/* The bench. */
#include "bench.h"

#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/log.h"
#include "base/trace.h"
#include "core/iothread.h"
#include "core/loop.h"

#include <inttypes.h>

/* A device with lines in both directions. */
typedef struct BenchLines {
    Device device;
    Irq *outputs[BENCH_LINES];
    int levels[BENCH_LINES];
    unsigned edges[BENCH_LINES];
} BenchLines;

static void line_input(Device *device, unsigned n, int level)
{
    BenchLines *lines = (BenchLines *)device;

    lines->edges[n] += level && !lines->levels[n];
    lines->levels[n] = level;
}

static bool lines_realize(Device *device, Error **error)
{
    device_init_irq_inputs(device, "", line_input, BENCH_LINES);
    device_init_irq_outputs(device, "", ((BenchLines *)device)->outputs, BENCH_LINES);
    return true;
}

extern const DeviceClass bench_lines_class;
const DeviceClass bench_lines_class = {
    .class = {
        .name = "bench-lines",
        .parent = &device_class.class,
        .description = "Interrupt lines of a test",
        .size = sizeof(BenchLines),
    },
    .realize = lines_realize,
};

extern const MachineClass bench_machine_class;
const MachineClass bench_machine_class = {
    .class = {
        .name = "bench-machine",
        .parent = &machine_class.class,
        .description = "A machine of a test",
    },
    .name = "bench",
    .maximum_cpus = 1,
};

static const Guest bench_guest = { .target = "bench", .word_bits = 64, .page_bits = 12 };

Bench *bench_new(void)
{
    AUTO_ERROR(error);
    Bench *bench = g_new0(Bench, 1);
    MachineOptions options = { .guest = &bench_guest, .clock_source = CLOCK_FROM_INSTRUCTIONS,
                               .single_threaded = true };

    bench->loop = loop_new(false, &error);
    bench->files = files_new();
    bench->log = log_new();
    bench->trace = trace_new(trace_events, trace_event_count, bench->log);
    bench->machine = machine_new(&bench_machine_class, &options, bench->loop, bench->files, bench->log, bench->trace,
                                 &error);
    if (!bench->machine || !machine_build(bench->machine, &error)) {
        g_error("the bench: %s", error_message(error));
    }
    Device *lines = device_new(bench->machine, "bench-lines", NULL, &error);
    if (!lines || !device_realize(lines, NULL, NULL, NULL, &error)) {
        g_error("bench-lines: %s", error_message(error));
    }
    bench->lines = (BenchLines *)lines;
    return bench;
}

void bench_free(Bench *bench)
{
    machine_free(bench->machine);
    trace_free(bench->trace);
    log_free(bench->log);
    files_free(bench->files);
    loop_free(bench->loop);
    g_free(bench);
}

static Device *make(Bench *bench, const char *class, const char *properties, Error **error)
{
    Device *device = device_new(bench->machine, class, NULL, error);

    if (device && properties) {
        Json *values = options_parse(properties, NULL, NULL, error);
        bool ok = values && object_set_all(&device->object, values, true, NULL, error);
        json_free(values);
        if (!ok) {
            object_unref(&device->object);
            return NULL;
        }
    }
    return device && device_realize(device, NULL, NULL, NULL, error) ? device : NULL;
}

Device *bench_add(Bench *bench, const char *class, const char *properties)
{
    AUTO_ERROR(error);
    Device *device = make(bench, class, properties, &error);

    if (!device) {
        g_error("%s: %s", class, error_message(error));
    }
    uint64_t base = BENCH_BASE * ++bench->added;
    for (unsigned i = 0; i < device->regions.count; i++) {
        if (!device->regions.items[i]->container) {
            device_map(device, i, base);
            base += align_up(device->regions.items[i]->size_minus_1 + 1, 4096);
        }
    }
    return device;
}

char *bench_add_error(Bench *bench, const char *class, const char *properties)
{
    AUTO_ERROR(error);
    Device *device = make(bench, class, properties, &error);

    if (device) {
        g_error("%s with %s should have failed", class, properties);
    }
    return g_strdup(error_message(error));
}

uint64_t bench_address(const Device *device, unsigned bank)
{
    uint64_t address = 0;

    for (const Region *region = device->regions.items[bank]; region->container; region = region->container) {
        address += region->address;
    }
    return address;
}

uint64_t bench_read(Bench *bench, uint64_t address, unsigned size)
{
    uint64_t value = 0;

    g_assert_cmpint(address_space_load(bench->machine->address_space, NULL, address, size, &value), ==, ACCESS_OK);
    return value;
}

void bench_write(Bench *bench, uint64_t address, unsigned size, uint64_t value)
{
    g_assert_cmpint(address_space_store(bench->machine->address_space, NULL, address, size, value), ==, ACCESS_OK);
}

uint8_t *bench_add_ram(Bench *bench, uint64_t address, uint64_t size)
{
    AUTO_ERROR(error);
    AUTO_FREE char *id = string_format("bench-ram-%" PRIx64, address);
    RamBlock *block = ram_block_new(id, size, NULL, &error);

    if (!block) {
        g_error("memory: %s", error_message(error));
    }
    Region *region = region_new_ram(&bench->machine->object, bench->machine, id, block, 0, size, false);
    region_map(bench->machine->memory, address, region, 0);
    ram_block_unref(block);
    return block->host;
}

void bench_watch(Bench *bench, Device *device, const char *group, unsigned n, unsigned line)
{
    irq_connect(device, group, n, &bench->lines->device, "", line);
}

void bench_drive(Bench *bench, Device *device, unsigned n, unsigned line)
{
    irq_connect(&bench->lines->device, "", line, device, "", n);
}

int bench_level(const Bench *bench, unsigned line) { return bench->lines->levels[line]; }
unsigned bench_edges(const Bench *bench, unsigned line) { return bench->lines->edges[line]; }
void bench_set(Bench *bench, unsigned line, int level) { irq_set(bench->lines->outputs[line], level); }

void bench_start(Bench *bench)
{
    AUTO_ERROR(error);

    if (!machine_start_up(bench->machine, &error)) {
        g_error("the bench: %s", error_message(error));
    }
}

void bench_reset(Bench *bench, ResetKind kind)
{
    machine_park(bench->machine);
    machine_reset(bench->machine, kind);
    machine_unpark(bench->machine);
}

void bench_advance(Bench *bench, int64_t ns) { clocks_advance(bench->machine->clocks, ns); }

void bench_drain(Bench *bench)
{
    do {
        iothreads_drain(bench->machine);
    } while (loop_iterate(bench->loop, 0));
}

void bench_add_iothread(Bench *bench, const char *id)
{
    AUTO_ERROR(error);
    Object *iothread = object_new(&iothread_class, bench->machine, NULL, &error);

    if (!iothread || !object_add_child(object_container(bench->machine->root, "objects"), id, iothread, &error) ||
        !object_complete(iothread, &error)) {
        g_error("iothread %s: %s", id, error_message(error));
    }
    object_unref(iothread);
}

bool bench_wait(Bench *bench, bool (*done)(void *data), void *data)
{
    int64_t end = host_monotonic_ns() + 100 * INT64_C(1000000000);

    while (!done(data) && host_monotonic_ns() < end) {
        loop_iterate(bench->loop, 1000 * 1000);
    }
    return done(data);
}
