/* What tells the time: the ACLINT's machine timer with its software interrupts, and the Goldfish clock. */
#include "bench.h"

#include "base/host/host.h"
#include "core/vcpu.h"

#include <string.h>

enum { TIMEBASE_HZ = 10 * 1000 * 1000, TICK_NS = 100, MTIME = 0x7ff8 };

typedef struct Mtimer {
    Bench *bench;
    uint64_t base;
} Mtimer;

/* Two harts on lines 0 and 1. */
static Mtimer mtimer_new(void)
{
    Mtimer mtimer = { .bench = bench_new() };

    vcpu_set_timebase(mtimer.bench->machine, TIMEBASE_HZ);
    Device *device = bench_add(mtimer.bench, "riscv.aclint.mtimer", "num-harts=2,timebase-freq=10000000");
    mtimer.base = bench_address(device, 0);
    bench_watch(mtimer.bench, device, "", 0, 0);
    bench_watch(mtimer.bench, device, "", 1, 1);
    bench_reset(mtimer.bench, RESET_POWER_ON);
    return mtimer;
}

static void test_compare(void)
{
    Mtimer m = mtimer_new();

    g_assert_cmpuint(bench_read(m.bench, m.base + MTIME, 8), ==, 0);
    bench_write(m.bench, m.base, 8, 50);
    bench_advance(m.bench, 49 * TICK_NS);
    g_assert_cmpuint(bench_read(m.bench, m.base + MTIME, 8), ==, 49);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 0);
    bench_advance(m.bench, TICK_NS);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 1);
    g_assert_cmpint(bench_level(m.bench, 1), ==, 0);
    bench_write(m.bench, m.base, 8, 60); /* a later time takes it away */
    g_assert_cmpint(bench_level(m.bench, 0), ==, 0);
    bench_write(m.bench, m.base + 8, 8, 7); /* one that has passed is due */
    g_assert_cmpint(bench_level(m.bench, 1), ==, 1);
    bench_advance(m.bench, 10 * TICK_NS);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 1);
    bench_free(m.bench);
}

static void test_halves(void)
{
    Mtimer m = mtimer_new();

    bench_write(m.bench, m.base, 4, 0x89abcdef);
    bench_write(m.bench, m.base + 4, 4, 0x01234567);
    g_assert_cmphex(bench_read(m.bench, m.base, 8), ==, 0x0123456789abcdef);
    g_assert_cmphex(bench_read(m.bench, m.base + 4, 4), ==, 0x01234567);
    bench_write(m.bench, m.base + MTIME + 4, 4, 5);
    g_assert_cmphex(bench_read(m.bench, m.base + MTIME, 8), ==, UINT64_C(5) << 32);
    bench_write(m.bench, m.base + MTIME, 4, 9);
    g_assert_cmphex(bench_read(m.bench, m.base + MTIME, 8), ==, (UINT64_C(5) << 32) + 9);
    bench_free(m.bench);
}

static void test_writing_time(void)
{
    Mtimer m = mtimer_new();

    bench_write(m.bench, m.base, 8, 1000);
    bench_write(m.bench, m.base + MTIME, 8, 1000);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 1);
    bench_write(m.bench, m.base + MTIME, 8, 0);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 0);
    bench_advance(m.bench, 1000 * TICK_NS);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 1);
    bench_reset(m.bench, RESET_WARM);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 0);
    g_assert_cmpuint(bench_read(m.bench, m.base + MTIME, 8), ==, 0);
    bench_free(m.bench);
}

static void test_never(void)
{
    Mtimer m = mtimer_new();

    bench_write(m.bench, m.base, 8, UINT64_MAX);
    bench_write(m.bench, m.base + 8, 8, UINT64_MAX / 2);
    bench_advance(m.bench, INT64_C(1) << 40);
    g_assert_cmpint(bench_level(m.bench, 0), ==, 0);
    g_assert_cmpint(bench_level(m.bench, 1), ==, 0);
    g_assert_cmpuint(bench_read(m.bench, m.base + 0x10, 8), ==, 0); /* no third hart */
    bench_free(m.bench);
}

static void test_software_interrupts(void)
{
    Bench *bench = bench_new();
    Device *mswi = bench_add(bench, "riscv.aclint.swi", "num-harts=2");
    Device *sswi = bench_add(bench, "riscv.aclint.swi", "num-harts=2,sswi=1");
    uint64_t m = bench_address(mswi, 0), s = bench_address(sswi, 0);

    bench_watch(bench, mswi, "", 1, 1);
    bench_watch(bench, sswi, "", 1, 2);
    bench_reset(bench, RESET_POWER_ON);
    bench_write(bench, m + 4, 4, UINT32_MAX);
    g_assert_cmphex(bench_read(bench, m + 4, 4), ==, 1);
    g_assert_cmpint(bench_level(bench, 1), ==, 1);
    bench_write(bench, m + 4, 4, 0);
    g_assert_cmpint(bench_level(bench, 1), ==, 0);
    bench_write(bench, s + 4, 4, 1);
    g_assert_cmphex(bench_read(bench, s + 4, 4), ==, 0);
    g_assert_cmpuint(bench_edges(bench, 2), ==, 1);
    g_assert_cmpint(bench_level(bench, 2), ==, 0);
    bench_write(bench, s + 4, 4, 0);
    g_assert_cmpuint(bench_edges(bench, 2), ==, 1);
    bench_free(bench);
}

static void test_wrong_properties(void)
{
    static const char *const wrong[][2] = {
        { "num-harts=0", "num-harts" },
        { "num-harts=4096", "num-harts" },
        { "aperture-size=0x100", "aperture-size" },
        { "time-base=4", "time-base" },
        { "timebase-freq=1", "timebase-freq" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        Bench *bench = bench_new();
        vcpu_set_timebase(bench->machine, TIMEBASE_HZ);
        char *message = bench_add_error(bench, "riscv.aclint.mtimer", wrong[i][0]);
        g_test_message("%s: %s", wrong[i][0], message);
        g_assert_nonnull(strstr(message, wrong[i][1]));
        g_free(message);
        bench_free(bench);
    }
}

/* Goldfish */

enum { TIME_LOW, TIME_HIGH = 4, ALARM_LOW = 8, ALARM_HIGH = 0xc, IRQ_ENABLED = 0x10, CLEAR_ALARM = 0x14,
       ALARM_STATUS = 0x18, CLEAR_INTERRUPT = 0x1c };

typedef struct Rtc {
    Bench *bench;
    uint64_t base;
} Rtc;

static Rtc rtc_new(const char *properties)
{
    Rtc rtc = { .bench = bench_new() };
    Device *device = bench_add(rtc.bench, "goldfish_rtc", properties);

    rtc.base = bench_address(device, 0);
    bench_watch(rtc.bench, device, IRQ_SYSBUS, 0, 0);
    bench_reset(rtc.bench, RESET_POWER_ON);
    return rtc;
}

static uint64_t rtc_time(Rtc *rtc)
{
    uint64_t low = bench_read(rtc->bench, rtc->base + TIME_LOW, 4);

    return bench_read(rtc->bench, rtc->base + TIME_HIGH, 4) << 32 | low;
}

static void rtc_set(Rtc *rtc, unsigned low, uint64_t value)
{
    bench_write(rtc->bench, rtc->base + low + 4, 4, value >> 32);
    bench_write(rtc->bench, rtc->base + low, 4, (uint32_t)value);
}

static void test_rtc_time(void)
{
    Rtc rtc = rtc_new(NULL);
    uint64_t before = (uint64_t)host_realtime_ns(), shown = rtc_time(&rtc), after = (uint64_t)host_realtime_ns();

    g_assert_cmpuint(before, <=, shown);
    g_assert_cmpuint(shown, <=, after);
    rtc_set(&rtc, TIME_LOW, UINT64_C(1) << 60);
    g_assert_cmpuint(rtc_time(&rtc) - (UINT64_C(1) << 60), <, UINT64_C(1000000000));
    bench_reset(rtc.bench, RESET_WARM);
    g_assert_cmpuint(rtc_time(&rtc) - (UINT64_C(1) << 60), <, UINT64_C(1000000000)); /* it has a battery */
    bench_free(rtc.bench);
}

static bool rtc_rang(void *data) { return bench_level(data, 0); }

static void test_rtc_alarm(void)
{
    Rtc rtc = rtc_new(NULL);

    rtc_set(&rtc, ALARM_LOW, rtc_time(&rtc) + 2000000);
    g_assert_cmpuint(bench_read(rtc.bench, rtc.base + ALARM_STATUS, 4), ==, 1);
    bench_write(rtc.bench, rtc.base + IRQ_ENABLED, 4, 1);
    g_assert_true(bench_wait(rtc.bench, rtc_rang, rtc.bench));
    g_assert_cmpuint(bench_read(rtc.bench, rtc.base + ALARM_STATUS, 4), ==, 0);
    bench_write(rtc.bench, rtc.base + CLEAR_INTERRUPT, 4, 1);
    g_assert_cmpint(bench_level(rtc.bench, 0), ==, 0);
    rtc_set(&rtc, ALARM_LOW, 1); /* long ago: at once */
    g_assert_cmpint(bench_level(rtc.bench, 0), ==, 1);
    bench_write(rtc.bench, rtc.base + IRQ_ENABLED, 4, 0);
    g_assert_cmpint(bench_level(rtc.bench, 0), ==, 0);
    bench_write(rtc.bench, rtc.base + CLEAR_INTERRUPT, 4, 1);
    bench_write(rtc.bench, rtc.base + IRQ_ENABLED, 4, 1);
    g_assert_cmpint(bench_level(rtc.bench, 0), ==, 0);
    bench_free(rtc.bench);
}

static void test_rtc_alarm_cleared_and_moved(void)
{
    Rtc rtc = rtc_new(NULL);

    bench_write(rtc.bench, rtc.base + IRQ_ENABLED, 4, 1);
    rtc_set(&rtc, ALARM_LOW, UINT64_MAX); /* farther away than any timer */
    g_assert_cmpuint(bench_read(rtc.bench, rtc.base + ALARM_STATUS, 4), ==, 1);
    bench_write(rtc.bench, rtc.base + CLEAR_ALARM, 4, 1);
    g_assert_cmpuint(bench_read(rtc.bench, rtc.base + ALARM_STATUS, 4), ==, 0);
    rtc_set(&rtc, ALARM_LOW, UINT64_C(1) << 62);
    g_assert_cmpint(bench_level(rtc.bench, 0), ==, 0);
    rtc_set(&rtc, TIME_LOW, (UINT64_C(1) << 62) + 1); /* the time is set past the alarm */
    g_assert_cmpint(bench_level(rtc.bench, 0), ==, 1);
    bench_free(rtc.bench);
}

static void test_rtc_byte_order(void)
{
    Rtc rtc = rtc_new("big-endian=on");

    bench_write(rtc.bench, rtc.base + IRQ_ENABLED, 4, 0x01000000);
    g_assert_cmphex(bench_read(rtc.bench, rtc.base + IRQ_ENABLED, 4), ==, 0x01000000);
    bench_write(rtc.bench, rtc.base + IRQ_ENABLED, 4, 1);
    g_assert_cmphex(bench_read(rtc.bench, rtc.base + IRQ_ENABLED, 4), ==, 0);
    bench_free(rtc.bench);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mtimer/compare", test_compare);
    g_test_add_func("/mtimer/halves", test_halves);
    g_test_add_func("/mtimer/writing-time", test_writing_time);
    g_test_add_func("/mtimer/never", test_never);
    g_test_add_func("/aclint/software-interrupts", test_software_interrupts);
    g_test_add_func("/aclint/wrong-properties", test_wrong_properties);
    g_test_add_func("/goldfish/time", test_rtc_time);
    g_test_add_func("/goldfish/alarm", test_rtc_alarm);
    g_test_add_func("/goldfish/alarm-cleared-and-moved", test_rtc_alarm_cleared_and_moved);
    g_test_add_func("/goldfish/byte-order", test_rtc_byte_order);
    return g_test_run();
}
