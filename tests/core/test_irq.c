#include "fixture.h"

#include "base/thread.h"
#include "core/device_internal.h"

#include <stdatomic.h>
#include <string.h>

/* "test-source": outputs; "test-sink": inputs that record; "test-pic": a sink that is an interrupt controller. */
typedef struct Source {
    Device device;
    Irq *outputs[4];
} Source;

static bool source_realize(Device *device, Error **error)
{
    device_init_irq_outputs(device, "", ((Source *)device)->outputs, 4);
    return true;
}

const DeviceClass source_class = {
    .class = { .name = "test-source", .parent = &sysbus_device_class.class, .size = sizeof(Source) },
    .realize = source_realize,
};

typedef struct Sink {
    Device device;
    GString *text;
    Irq *output; /* turned over at each change of input 7 */
    unsigned calls, levels[8];
} Sink;

static void sink_input(Device *device, unsigned number, int level)
{
    Sink *sink = (Sink *)device;
    if (sink->text->len < 1000) {
        g_string_append_printf(sink->text, "%u=%d ", number, level);
    }
    sink->levels[number] = (unsigned)level;
    sink->calls++;
    if (number == 7) {
        irq_set(sink->output, !level);
    }
}

static bool sink_realize(Device *device, Error **error)
{
    Sink *sink = (Sink *)device;
    sink->text = g_string_new(NULL);
    device_init_irq_inputs(device, "in", sink_input, 8);
    device_init_irq_outputs(device, "out", &sink->output, 1);
    return true;
}

static void sink_finalize(Object *object) { g_string_free(((Sink *)object)->text, TRUE); }

const DeviceClass sink_class = {
    .class = { .name = "test-sink", .parent = &sysbus_device_class.class, .size = sizeof(Sink),
               .finalize = sink_finalize },
    .realize = sink_realize,
};

const DeviceClass pic_class = {
    .class = { .name = "test-pic", .parent = &sink_class.class },
    .interrupt_controller = true,
};

static void expect(Sink *sink, const char *text)
{
    g_assert_cmpstr(sink->text->str, ==, text);
    g_string_truncate(sink->text, 0);
}

static void test_levels(void)
{
    Fixture *f = fixture_new(NULL);
    Source *source = (Source *)fixture_device(f, "test-source");
    Sink *sink = (Sink *)fixture_device(f, "test-sink"), *other = (Sink *)fixture_device(f, "test-sink");
    irq_set(source->outputs[0], 1); /* wired to nothing */
    irq_connect(&source->device, "", 0, &sink->device, "in", 2);
    irq_connect(&source->device, "", 0, &other->device, "in", 5);
    irq_raise(source->outputs[0]);
    irq_raise(source->outputs[0]);
    expect(sink, "2=1 ");
    expect(other, "5=1 ");
    g_assert_cmpint(irq_level(source->outputs[0]), ==, 1);
    irq_lower(source->outputs[0]);
    irq_pulse(source->outputs[0]);
    expect(sink, "2=0 2=1 2=0 ");
    fixture_free(f);
}

static void test_or(void)
{
    Fixture *f = fixture_new(NULL);
    Source *source = (Source *)fixture_device(f, "test-source");
    Sink *sink = (Sink *)fixture_device(f, "test-sink");
    irq_connect(&source->device, "", 0, &sink->device, "in", 1);
    irq_connect(&source->device, "", 1, &sink->device, "in", 1);
    irq_raise(source->outputs[0]);
    irq_raise(source->outputs[1]);
    irq_lower(source->outputs[0]);
    expect(sink, "1=1 ");
    irq_lower(source->outputs[1]);
    expect(sink, "1=0 ");
    /* Wired while it is high: the input learns it. */
    irq_connect(&source->device, "", 2, &sink->device, "in", 3);
    irq_raise(source->outputs[2]);
    irq_connect(&source->device, "", 2, &sink->device, "in", 4);
    expect(sink, "3=1 4=1 ");
    /* A source that goes lets go of its lines. */
    object_unparent(&source->device.object);
    expect(sink, "3=0 4=0 ");
    fixture_free(f);
}

static void test_locks(void)
{
    Fixture *f = fixture_new(NULL);
    Source *source = (Source *)fixture_device(f, "test-source");
    Sink *sink = (Sink *)fixture_device(f, "test-sink"), *pic = (Sink *)fixture_device(f, "test-pic");
    Sink *second = (Sink *)fixture_device(f, "test-pic");
    irq_connect(&source->device, "", 0, &sink->device, "in", 0);
    irq_connect(&source->device, "", 0, &pic->device, "in", 7);
    irq_connect(&pic->device, "out", 0, &second->device, "in", 3);
    device_lock(source->device.lock);
    irq_pulse(source->outputs[0]);
    /* An interrupt controller hears it at once; what it tells another one, and another device, come when the lock is
     * released: each change, in order. */
    expect(pic, "7=1 7=0 ");
    expect(sink, "");
    expect(second, "");
    device_unlock(source->device.lock);
    expect(sink, "0=1 0=0 ");
    expect(second, "3=1 ");
    fixture_free(f);
}

static void test_guest_made_loop(void)
{
    Fixture *f = fixture_new(NULL);
    Source *source = (Source *)fixture_device(f, "test-source");
    Sink *sink = (Sink *)fixture_device(f, "test-sink");
    irq_connect(&sink->device, "out", 0, &sink->device, "in", 7);
    irq_connect(&source->device, "", 0, &sink->device, "in", 6);
    device_lock(sink->device.lock);
    irq_set(sink->output, 1); /* turns itself over for ever */
    device_unlock(sink->device.lock);
    g_assert_cmpuint(sink->calls, <, 200000);
    /* Over two devices. */
    Sink *a = (Sink *)fixture_device(f, "test-sink"), *b = (Sink *)fixture_device(f, "test-sink");
    irq_connect(&a->device, "out", 0, &b->device, "in", 7);
    irq_connect(&b->device, "out", 0, &a->device, "in", 7);
    device_lock(a->device.lock);
    irq_set(a->output, 1);
    device_unlock(a->device.lock);
    g_assert_cmpuint(a->calls + b->calls, <, 200000);
    /* What is well wired still works. */
    irq_raise(source->outputs[0]);
    g_assert_cmpuint(sink->levels[6], ==, 1);
    fixture_free(f);
}

static void test_refresh(void)
{
    Fixture *f = fixture_new(NULL);
    Source *source = (Source *)fixture_device(f, "test-source");
    Sink *sink = (Sink *)fixture_device(f, "test-sink");
    irq_connect(&source->device, "", 0, &sink->device, "in", 1);
    irq_connect(&source->device, "", 1, &sink->device, "in", 2);
    irq_raise(source->outputs[0]);
    expect(sink, "1=1 ");
    /* A reset tells each wired input its level again. */
    machine_reset(f->machine, RESET_WARM);
    expect(sink, "1=1 2=0 ");
    fixture_free(f);
}

static void test_cpu_lines(void)
{
    Fixture *f = fixture_new(&(MachineOptions){ .cpu_model = "rv64", .single_threaded = true });
    Source *source = (Source *)fixture_device(f, "test-source");
    Cpu *cpu = f->machine->vcpus.items[0]->cpu;
    irq_connect_cpu(&source->device, "", 0, cpu, 3);
    irq_connect_cpu(&source->device, "", 1, cpu, 3);
    device_lock(source->device.lock);
    irq_raise(source->outputs[0]);
    irq_raise(source->outputs[1]);
    g_assert_cmphex(atomic_load(&cpu->lines), ==, 8); /* at once, the lock held */
    irq_lower(source->outputs[0]);
    g_assert_cmphex(atomic_load(&cpu->lines), ==, 8);
    irq_lower(source->outputs[1]);
    g_assert_cmphex(atomic_load(&cpu->lines), ==, 0);
    device_unlock(source->device.lock);
    fixture_free(f);
}

/* Threads set lines under their devices' locks; in the end every input knows its output's level. */
typedef struct Setter {
    Source *source;
} Setter;

static void *set_many(void *data)
{
    Setter *setter = data;
    for (unsigned i = 0; i < 2000; i++) {
        device_lock(setter->source->device.lock);
        irq_set(setter->source->outputs[i & 1], i >> 1 & 1);
        device_unlock(setter->source->device.lock);
    }
    device_lock(setter->source->device.lock);
    irq_set(setter->source->outputs[0], 1);
    irq_set(setter->source->outputs[1], 0);
    device_unlock(setter->source->device.lock);
    return NULL;
}

static void test_threads(void)
{
    Fixture *f = fixture_new(NULL);
    Source *sources[2] = { (Source *)fixture_device(f, "test-source"), (Source *)fixture_device(f, "test-source") };
    Sink *sink = (Sink *)fixture_device(f, "test-sink"), *pic = (Sink *)fixture_device(f, "test-pic");
    Thread threads[4];
    Setter setters[4];
    for (unsigned i = 0; i < 2; i++) {
        irq_connect(&sources[i]->device, "", 0, &sink->device, "in", i);
        irq_connect(&sources[i]->device, "", 0, &pic->device, "in", i);
        irq_connect(&sources[i]->device, "", 1, &sink->device, "in", 2);
        irq_connect(&sources[i]->device, "", 1, &pic->device, "in", 3 + i);
    }
    for (unsigned i = 0; i < 4; i++) {
        setters[i].source = sources[i % 2];
        thread_start(&threads[i], "setter", set_many, &setters[i], NULL);
    }
    for (unsigned i = 0; i < 4; i++) {
        thread_join(&threads[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpuint(sink->levels[i], ==, 1);
        g_assert_cmpuint(pic->levels[i], ==, 1);
        g_assert_cmpuint(pic->levels[3 + i], ==, 0);
    }
    g_assert_cmpuint(sink->levels[2], ==, 0);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/irq/levels", test_levels);
    g_test_add_func("/core/irq/or", test_or);
    g_test_add_func("/core/irq/locks", test_locks);
    g_test_add_func("/core/irq/guest-made-loop", test_guest_made_loop);
    g_test_add_func("/core/irq/refresh", test_refresh);
    g_test_add_func("/core/irq/cpu-lines", test_cpu_lines);
    g_test_add_func("/core/irq/threads", test_threads);
    return g_test_run();
}
