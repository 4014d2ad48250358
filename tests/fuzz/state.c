/*
 * Saved state: a stream is loaded into a machine with a vCPU and a device; its head is put right unless the input is
 * short or its last byte odd. What is accepted is saved again, the same; and the machine runs on, whatever it was told
 * that it had been doing.
 */
#include "../core/fixture.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "core/loop.h"
#include "core/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Fixture *make_machine(void)
{
    static const MachineOptions options = { .cpu_model = "rv64", .single_threaded = true, .ram_size = 64 << 10,
                                            .clock_source = CLOCK_FROM_INSTRUCTIONS };
    Fixture *f = fixture_new(&options);
    Device *device = fixture_device(f, "test-clockwork");
    device_map(device, 0, 0x10000000);
    irq_connect_cpu(device, "", 0, f->machine->vcpus.items[0]->cpu, 11);
    FIXTURE_CODE(f, 0, rv_lui(A0, 0x10000000), rv_sw(A0, A0, 0), rv_addi(A1, A1, 1), rv_jump(-4));
    return f;
}

/* To begin with: a stream that is right, where the environment asks for one. */
static void write_sample(Fixture *f)
{
    const char *path = getenv("MYNA_FUZZ_SAMPLE");
    if (path) {
        machine_run(f->machine, NULL);
        machine_step(f->machine, 100);
        machine_stop(f->machine, RUN_STATE_PAUSED);
        state_save_file(f->machine, path, NULL);
    }
}

static void check_again(Machine *machine)
{
    StrBuf first = { 0 }, second = { 0 };
    Error *error = NULL;
    if (!state_save(machine, &first, NULL) || !state_load(machine, first.data, first.length, &error) ||
        !state_save(machine, &second, NULL) || first.length != second.length ||
        memcmp(first.data, second.data, first.length)) {
        fprintf(stderr, "what was accepted is not saved and loaded alike: %s\n", error ? error_message(error) : "");
        abort();
    }
    strbuf_free(&first);
    strbuf_free(&second);
}

/* The same input with the right head. Owned by the caller. */
static uint8_t *with_head(const uint8_t *data, size_t size)
{
    static const uint8_t head[16] = { 'M', 'Y', 'N', 'A', 'S', 'A', 'V', 'E', 1 };
    uint8_t *copy = mem_alloc(size + 1);
    if (size) {
        memcpy(copy, data, size);
    }
    if (size > sizeof head && !(data[size - 1] & 1)) {
        memcpy(copy, head, sizeof head);
    }
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fixture *f;
    Error *error = NULL;
    if (!f) {
        f = make_machine();
        write_sample(f);
    }
    AUTO_FREE uint8_t *stream = with_head(data, size);
    if (state_load(f->machine, stream, size, &error)) {
        check_again(f->machine);
        machine_run(f->machine, NULL);
        machine_step(f->machine, 200);
        machine_stop(f->machine, RUN_STATE_PAUSED);
    } else if (!error || !*error_message(error)) {
        abort();
    }
    error_free(error);
    /* As new: what was loaded does not show in the next one. */
    machine_request_reset(f->machine, SHUTDOWN_HOST_QMP_SYSTEM_RESET);
    loop_drain(f->loop);
    g_string_truncate(f->events, 0);
    return 0;
}
