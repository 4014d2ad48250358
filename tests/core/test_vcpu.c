/* vCPU threads, parking, the bus, the timebase, and machine_step, on RISC-V code. */
#include "fixture.h"

#include "base/bytes.h"
#include "base/host/host.h"
#include "core/device_internal.h"
#include "core/loop.h"

#include <stdatomic.h>
#include <string.h>

/* "test-port": a register that counts, one that posts to the main loop and waits, one that asks for a shutdown. */
typedef struct Port {
    Device device;
    uint64_t value, writes;
    _Atomic unsigned waited;
} Port;

static AccessResult count_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Port *port = (Port *)device;
    port->writes++;
    port->value = value;
    g_assert_cmpint(access->requester_kind, ==, REQUESTER_CPU);
    return ACCESS_OK;
}

static void note_wait(void *data)
{
    Port *port = data;
    atomic_fetch_add(&port->waited, 1);
}

static AccessResult wait_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    loop_post_wait(device->machine->loop, note_wait, device);
    return ACCESS_OK;
}

static AccessResult power_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    if (value == 2) {
        machine_request_reset(device->machine, SHUTDOWN_GUEST_RESET);
    } else {
        machine_request_shutdown(device->machine, SHUTDOWN_GUEST_SHUTDOWN, (int)value);
    }
    return ACCESS_OK;
}

static AccessResult map_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    region_set_enabled(device->regions.items[1], value);
    return ACCESS_OK;
}

static const Register port_rows[] = {
    REG_FIELD(Port, COUNT, 0, value, .size = 8, .write = count_write),
    REG_HOOK(WAIT, 8, .write = wait_write),
    REG_HOOK(POWER, 16, .write = power_write),
    REG_HOOK(MAP, 24, .write = map_write),
};
static const Register second_rows[] = {
    REG_HOOK(SEVEN, 0, .reset = 7),
};
static const RegisterBank port_banks[] = {
    { .name = "port", .size = 0x1000, .registers = port_rows, .count = G_N_ELEMENTS(port_rows) },
    { .name = "second", .size = 0x1000, .registers = second_rows, .count = 1 },
};

const DeviceClass port_class = {
    .class = { .name = "test-port", .parent = &sysbus_device_class.class, .size = sizeof(Port) },
    .banks = port_banks,
    .bank_count = 2,
};

enum { PORT = 0x10000000, SECOND = 0x10001000 };

static Fixture *new_fixture(unsigned cpus, bool stepped, Port **port)
{
    Fixture *f = fixture_new(&(MachineOptions){ .cpu_model = "rv64", .cpus = cpus, .single_threaded = stepped,
                                                .clock_source = stepped ? CLOCK_FROM_INSTRUCTIONS : CLOCK_FROM_HOST });
    *port = (Port *)fixture_device(f, "test-port");
    device_map(&(*port)->device, 0, PORT);
    device_map(&(*port)->device, 1, SECOND);
    return f;
}

static uint64_t *ram_word(Fixture *f, uint64_t offset) { return (uint64_t *)(fixture_ram(f) + offset); }
static uint64_t get_word(Fixture *f, uint64_t offset) { return __atomic_load_n(ram_word(f, offset), __ATOMIC_RELAXED); }

static void run_until(Fixture *f, uint64_t offset, uint64_t value)
{
    int64_t end = host_monotonic_ns() + INT64_C(100000000000);
    while (get_word(f, offset) < value) {
        g_assert_cmpint(host_monotonic_ns(), <, end);
        loop_iterate(f->loop, 1000000);
    }
}

/* Each hart counts in its own word at RAM + 0x1000 + 8 * hart, and then stores into PORT's register at `offset`. */
static void put_counters(Fixture *f, int32_t offset)
{
    FIXTURE_CODE(f, 0, rv_csrr(T0, CSR_MHARTID), rv_slli(T0, T0, 3), rv_addi(T1, ZERO, 1), rv_slli(T1, T1, 31),
                 rv_lui(T2, 0x1000), rv_add(T1, T1, T2), rv_add(T1, T1, T0), rv_lui(A0, PORT), rv_addi(A1, ZERO, 0),
                 /* loop: */ rv_addi(A1, A1, 1), rv_sd(A1, T1, 0), rv_sw(A1, A0, offset), rv_jump(-12));
}

static void test_threads(void)
{
    Port *port;
    Fixture *f = new_fixture(2, false, &port);
    put_counters(f, 0);
    g_assert_cmpuint(get_word(f, 0x1000), ==, 0);
    machine_run(f->machine, NULL);
    run_until(f, 0x1000, 100);
    run_until(f, 0x1008, 100);
    machine_stop(f->machine, RUN_STATE_PAUSED);
    uint64_t counts[2] = { get_word(f, 0x1000), get_word(f, 0x1008) };
    g_assert_cmpuint(port->writes, >=, 198);
    g_assert_cmpuint(counts[0] + counts[1] - port->writes, <=, 2);
    g_usleep(2000);
    g_assert_cmpuint(get_word(f, 0x1000), ==, counts[0]); /* stands */
    machine_run(f->machine, NULL);
    run_until(f, 0x1000, counts[0] + 10);
    fixture_free(f); /* while it runs */
}

/* Parking again and again against vCPUs that wait for the main loop. */
static void test_park(void)
{
    Port *port;
    Fixture *f = new_fixture(3, false, &port);
    put_counters(f, 8);
    machine_run(f->machine, NULL);
    for (unsigned i = 0; i < 300; i++) {
        machine_park(f->machine);
        uint64_t sum = get_word(f, 0x1000) + get_word(f, 0x1008) + get_word(f, 0x1010);
        machine_park(f->machine);
        machine_unpark(f->machine);
        g_assert_cmpuint(get_word(f, 0x1000) + get_word(f, 0x1008) + get_word(f, 0x1010), ==, sum);
        g_assert_cmpuint(sum - atomic_load(&port->waited), <=, 3);
        machine_unpark(f->machine);
        if (i % 3 == 0) {
            loop_iterate(f->loop, 100000);
        }
        if (i % 50 == 49) {
            machine_stop(f->machine, RUN_STATE_PAUSED);
            machine_run(f->machine, NULL);
        }
    }
    g_assert_cmpuint(atomic_load(&port->waited), >, 0);
    fixture_free(f);
}

static void test_guest_reset(void)
{
    Port *port;
    Fixture *f = new_fixture(1, false, &port);
    /* Counts how often it started, and asks for a reset for as long as that is less than five. */
    FIXTURE_CODE(f, 0, rv_addi(T1, ZERO, 1), rv_slli(T1, T1, 31), rv_lui(T2, 0x1000), rv_add(T1, T1, T2),
                 rv_ld(A1, T1, 0), rv_addi(A1, A1, 1), rv_sd(A1, T1, 0), rv_lui(A0, PORT), rv_addi(A2, ZERO, 2),
                 rv_sw(A2, A0, 16), rv_jump(0));
    machine_run(f->machine, NULL);
    run_until(f, 0x1000, 5);
    machine_stop(f->machine, RUN_STATE_PAUSED);
    g_assert_nonnull(strstr(f->events->str, "RESET {\"guest\": true, \"reason\": \"guest-reset\"};"));
    fixture_free(f);
}

static void test_shutdown_by_guest(void)
{
    Port *port;
    Fixture *f = new_fixture(2, false, &port);
    FIXTURE_CODE(f, 0, rv_lui(A0, PORT), rv_addi(A1, ZERO, 9), rv_sw(A1, A0, 16), RV_WFI, rv_jump(-4));
    machine_run(f->machine, NULL);
    while (!f->shutdowns) {
        loop_iterate(f->loop, -1);
    }
    g_assert_cmpint(f->status, ==, 9);
    g_assert_cmpint(f->cause, ==, SHUTDOWN_GUEST_SHUTDOWN);
    fixture_free(f);
}

/* A device changes the map; the vCPU that asked sees it in its next instruction. */
static void test_map_change(void)
{
    Port *port;
    Fixture *f = new_fixture(1, true, &port);
    FIXTURE_CODE(f, 0, rv_lui(A0, PORT), rv_lui(A1, SECOND), rv_lwu(A2, A1, 0), /* a trap's handler: */
                 rv_addi(A3, ZERO, 0), rv_sw(A3, A0, 24), rv_lwu(A4, A1, 0), rv_jump(0));
    machine_run(f->machine, NULL);
    machine_step(f->machine, 5);
    Cpu *cpu = f->machine->vcpus.items[0]->cpu;
    g_assert_cmphex(cpu->guest->pc(cpu), ==, TEST_RAM + 20);
    g_assert_cmpuint(machine_step(f->machine, 10000), ==, 10000); /* ends, though it only traps from here on */
    g_assert_cmphex(cpu->guest->pc(cpu), ==, 0); /* the trap vector: nothing answered at SECOND any more */
    fixture_free(f);
}

/* The timebase. */

static void test_timebase(void)
{
    Port *port;
    Fixture *f = new_fixture(1, true, &port);
    Machine *m = f->machine;
    g_assert_cmpuint(machine_timebase_hz(m), ==, 10000000);
    g_assert_cmpuint(machine_timebase_now(m), ==, 0);
    clocks_advance(m->clocks, 1999);
    g_assert_cmpuint(machine_timebase_now(m), ==, 19);
    g_assert_cmpint(machine_timebase_deadline(m, 20), ==, 2000);
    g_assert_cmpint(machine_timebase_deadline(m, 19), ==, 1999);
    g_assert_cmpint(machine_timebase_deadline(m, UINT64_MAX), ==, INT64_MAX);
    machine_timebase_set(m, 1000);
    g_assert_cmpuint(machine_timebase_now(m), ==, 1000);
    g_assert_cmpint(machine_timebase_deadline(m, 1001), ==, 2000);
    machine_timebase_set(m, UINT64_MAX); /* wraps */
    clocks_advance(m->clocks, 1);
    g_assert_cmpuint(machine_timebase_now(m), ==, 0);
    fixture_free(f);
}

/* machine_step. */

static void test_step_counts(void)
{
    Port *port;
    Fixture *f = new_fixture(3, true, &port);
    put_counters(f, 0);
    g_assert_cmpuint(machine_step(f->machine, 100), ==, 0); /* does not run yet */
    machine_run(f->machine, NULL);
    g_assert_cmpuint(machine_step(f->machine, 1), ==, 1);
    uint64_t total = 1;
    for (unsigned i = 2; i < 400; i++) {
        g_assert_cmpuint(machine_step(f->machine, i), ==, i);
        total += i;
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < 3; i++) {
        sum += f->machine->vcpus.items[i]->cpu->exec.insns;
    }
    g_assert_cmpuint(sum, ==, total);
    int64_t now = clock_now(f->machine->clocks, CLOCK_VIRTUAL);
    g_assert_cmpint(now, <=, (int64_t)total);
    g_assert_cmpint(now, >, (int64_t)total - 1000);
    fixture_free(f);
}

/* However a run is divided, it is the same run. */
static void test_step_division(void)
{
    Port *port;
    Fixture *whole = new_fixture(2, true, &port), *parts = new_fixture(2, true, &port);
    put_counters(whole, 0);
    put_counters(parts, 0);
    machine_run(whole->machine, NULL);
    machine_run(parts->machine, NULL);
    machine_step(whole->machine, 20000);
    GRand *random = g_rand_new_with_seed(1);
    for (uint64_t left = 20000; left;) {
        uint64_t part = MIN(left, (uint64_t)g_rand_int_range(random, 1, 1500));
        g_assert_cmpuint(machine_step(parts->machine, part), ==, part);
        left -= part;
    }
    g_rand_free(random);
    g_assert_cmpmem(fixture_ram(whole), 1 << 20, fixture_ram(parts), 1 << 20);
    for (unsigned i = 0; i < 2; i++) {
        Cpu *a = whole->machine->vcpus.items[i]->cpu, *b = parts->machine->vcpus.items[i]->cpu;
        g_assert_cmpuint(a->exec.insns, ==, b->exec.insns);
        g_assert_cmphex(a->guest->pc(a), ==, b->guest->pc(b));
    }
    g_assert_cmpint(clock_now(whole->machine->clocks, CLOCK_VIRTUAL), ==,
                    clock_now(parts->machine->clocks, CLOCK_VIRTUAL));
    fixture_free(whole);
    fixture_free(parts);
}

/* A timer raises the machine timer interrupt; between, the hart waits, and time is skipped. */
typedef struct Ticker {
    Fixture *f;
    Timer timer;
    Cpu *cpu;
    unsigned ticks;
} Ticker;

enum { MACHINE_TIMER_LINE = 7, TICK = 1000000 };

static void tick(void *data)
{
    Ticker *ticker = data;
    ticker->ticks++;
    cpu_line_set(ticker->cpu, MACHINE_TIMER_LINE, true);
}

static void put_waiter(Fixture *f)
{
    FIXTURE_CODE(f, 0, rv_addi(T1, ZERO, 1), rv_slli(T1, T1, 31), rv_lui(T2, 0x1000), rv_add(T2, T1, T2),
                 rv_addi(T1, T1, 0x100), rv_csrw(CSR_MTVEC, T1), rv_addi(A0, ZERO, 0x80), rv_csrs(CSR_MIE, A0),
                 rv_addi(A0, ZERO, 8), rv_csrs(CSR_MSTATUS, A0), RV_WFI, rv_jump(-4));
    FIXTURE_CODE(f, 0x100, rv_ld(A1, T2, 0), rv_addi(A1, A1, 1), rv_sd(A1, T2, 0), rv_lui(A0, PORT),
                 rv_sd(A1, A0, 0), RV_MRET);
}

static AccessResult acknowledge(void *owner, const Access *access, uint64_t value)
{
    Ticker *ticker = owner;
    cpu_line_set(ticker->cpu, MACHINE_TIMER_LINE, false);
    timer_set(&ticker->timer, clock_now(ticker->f->machine->clocks, CLOCK_VIRTUAL) + TICK);
    return ACCESS_OK;
}

static void test_step_idle(void)
{
    static const RegionOps ops = { .write = acknowledge };
    Port *port;
    Fixture *f = new_fixture(1, true, &port);
    Ticker ticker = { .f = f, .cpu = f->machine->vcpus.items[0]->cpu };
    timer_init(&ticker.timer, f->machine->clocks, CLOCK_VIRTUAL, NULL, tick, &ticker);
    Region *region = region_new_io(NULL, f->machine, "acknowledge", &ops, &ticker, NULL, 8);
    region_map(f->machine->memory, PORT, region, 1);
    put_waiter(f);
    machine_run(f->machine, NULL);
    g_assert_cmpuint(machine_step(f->machine, 1000), ==, 11); /* to the wait, and nothing will ever end it */
    timer_set(&ticker.timer, TICK);
    uint64_t ran = machine_step(f->machine, 80);
    g_assert_cmpuint(ran, ==, 80);
    g_assert_cmpuint(ticker.ticks, >=, 9);
    g_assert_cmpuint(get_word(f, 0x1000), >=, 9);
    g_assert_cmpint(clock_now(f->machine->clocks, CLOCK_VIRTUAL), >=, INT64_C(9) * TICK);
    g_assert_cmpint(clock_now(f->machine->clocks, CLOCK_VIRTUAL), <, INT64_C(11) * TICK);
    timer_destroy(&ticker.timer);
    fixture_free(f);
}

/* The guest's own timer (Sstc's stimecmp) wakes a waiting hart, by the host's clock and by instructions. */
enum { CSR_STIMECMP = 0x14d, CSR_MENVCFG = 0x30a, CSR_MCOUNTEREN = 0x306 };

static void put_stimecmp(Fixture *f)
{
    FIXTURE_CODE(f, 0, rv_addi(T1, ZERO, 1), rv_slli(T0, T1, 63), rv_csrw(CSR_MENVCFG, T0), rv_slli(T1, T1, 31),
                 rv_lui(T2, 0x1000), rv_add(T2, T1, T2), rv_csrr(A0, CSR_TIME), rv_addi(A0, A0, 500),
                 rv_csrw(CSR_STIMECMP, A0), rv_addi(A1, ZERO, 0x20), rv_csrs(CSR_MIE, A1), RV_WFI,
                 rv_csrr(A2, CSR_TIME), rv_sd(A0, T2, 8), rv_sd(A2, T2, 0), rv_jump(0));
}

static void check_stimecmp(Fixture *f)
{
    g_assert_cmpuint(get_word(f, 0x1000), >=, get_word(f, 0x1008)); /* woken at its time, not before */
    g_assert_cmpuint(get_word(f, 0x1008), >=, 500);
}

static void test_guest_timer(void)
{
    Port *port;
    Fixture *f = new_fixture(1, true, &port);
    put_stimecmp(f);
    machine_run(f->machine, NULL);
    machine_step(f->machine, 20);
    check_stimecmp(f);
    g_assert_cmpuint(get_word(f, 0x1000), <, get_word(f, 0x1008) + 10);
    fixture_free(f);
    f = new_fixture(1, false, &port);
    put_stimecmp(f);
    machine_run(f->machine, NULL);
    run_until(f, 0x1000, 1);
    machine_stop(f->machine, RUN_STATE_PAUSED);
    check_stimecmp(f);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/vcpu/threads", test_threads);
    g_test_add_func("/core/vcpu/park", test_park);
    g_test_add_func("/core/vcpu/guest-reset", test_guest_reset);
    g_test_add_func("/core/vcpu/guest-shutdown", test_shutdown_by_guest);
    g_test_add_func("/core/vcpu/map-change", test_map_change);
    g_test_add_func("/core/vcpu/timebase", test_timebase);
    g_test_add_func("/core/vcpu/step-counts", test_step_counts);
    g_test_add_func("/core/vcpu/step-division", test_step_division);
    g_test_add_func("/core/vcpu/step-idle", test_step_idle);
    g_test_add_func("/core/vcpu/guest-timer", test_guest_timer);
    return g_test_run();
}
