/* The NS16550A by its registers: identification, FIFOs, interrupts, timeout, loopback, modem lines. */
#include "bench.h"

#include "base/error.h"
#include "core/loop.h"
#include "schema/char.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = RBR, DLL = RBR, DLM = IER, FCR = IIR };
enum { IRQ_LINE = 0, DLAB = 0x80, LOOP = 0x10 };

typedef struct Uart {
    Bench *bench;
    Device *device;
    uint64_t base;
} Uart;

static Uart uart_new(const char *properties)
{
    Uart uart = { .bench = bench_new() };

    uart.device = bench_add(uart.bench, "serial-mm", properties);
    uart.base = bench_address(uart.device, 0);
    bench_watch(uart.bench, uart.device, IRQ_SYSBUS, 0, IRQ_LINE);
    bench_reset(uart.bench, RESET_POWER_ON);
    return uart;
}

static uint8_t get(Uart *uart, unsigned reg) { return (uint8_t)bench_read(uart->bench, uart->base + reg, 1); }
static void put(Uart *uart, unsigned reg, uint8_t value) { bench_write(uart->bench, uart->base + reg, 1, value); }
static int irq(Uart *uart) { return bench_level(uart->bench, IRQ_LINE); }

/* Puts bytes into the receiver as a wire would, by loopback. */
static void loop_back(Uart *uart, const char *text)
{
    put(uart, MCR, LOOP);
    for (; *text; text++) {
        put(uart, THR, (uint8_t)*text);
    }
}

static void test_reset(void)
{
    Uart uart = uart_new(NULL);

    g_assert_cmphex(get(&uart, IER), ==, 0);
    g_assert_cmphex(get(&uart, IIR), ==, 0x01);
    g_assert_cmphex(get(&uart, LCR), ==, 0);
    g_assert_cmphex(get(&uart, MCR), ==, 0);
    g_assert_cmphex(get(&uart, LSR), ==, 0x60);
    g_assert_cmphex(get(&uart, MSR), ==, 0xb0);
    g_assert_cmpint(irq(&uart), ==, 0);
    bench_free(uart.bench);
}

static void test_divisor(void)
{
    Uart uart = uart_new(NULL);

    put(&uart, IER, 0x05);
    put(&uart, LCR, DLAB);
    put(&uart, DLL, 0x34);
    put(&uart, DLM, 0x12);
    g_assert_cmphex(get(&uart, DLL), ==, 0x34);
    g_assert_cmphex(get(&uart, DLM), ==, 0x12);
    put(&uart, LCR, 0x03);
    g_assert_cmphex(get(&uart, IER), ==, 0x05);
    put(&uart, SCR, 0xa5);
    g_assert_cmphex(get(&uart, SCR), ==, 0xa5);
    put(&uart, LCR, DLAB);
    g_assert_cmphex(get(&uart, DLL), ==, 0x34);
    bench_free(uart.bench);
}

static void test_transmit_interrupt(void)
{
    Uart uart = uart_new(NULL);

    put(&uart, IER, 0x02); /* empty already: at once */
    g_assert_cmpint(irq(&uart), ==, 1);
    g_assert_cmphex(get(&uart, IIR), ==, 0x02);
    g_assert_cmpint(irq(&uart), ==, 0); /* reading IIR took it away */
    g_assert_cmphex(get(&uart, IIR), ==, 0x01);
    put(&uart, THR, 'x'); /* taken at once: empty again */
    g_assert_cmpint(irq(&uart), ==, 1);
    g_assert_cmphex(get(&uart, IIR), ==, 0x02);
    put(&uart, IER, 0x00);
    put(&uart, IER, 0x02);
    g_assert_cmpint(irq(&uart), ==, 1);
    bench_free(uart.bench);
}

static void test_loopback(void)
{
    Uart uart = uart_new(NULL);

    loop_back(&uart, "A");
    g_assert_cmphex(get(&uart, LSR), ==, 0x61);
    put(&uart, IER, 0x01);
    g_assert_cmphex(get(&uart, IIR), ==, 0x04);
    g_assert_cmpint(irq(&uart), ==, 1);
    put(&uart, LCR, 0x03);
    g_assert_cmphex(get(&uart, RBR), ==, 'A' & 0x1f); /* five data bits when it was sent */
    g_assert_cmphex(get(&uart, LSR), ==, 0x60);
    g_assert_cmpint(irq(&uart), ==, 0);
    loop_back(&uart, "A");
    g_assert_cmphex(get(&uart, RBR), ==, 'A');
    bench_free(uart.bench);
}

static void test_overrun(void)
{
    Uart uart = uart_new(NULL);

    put(&uart, LCR, 0x03);
    put(&uart, IER, 0x04);
    loop_back(&uart, "ab"); /* no FIFO: the second overwrites the first */
    g_assert_cmphex(get(&uart, IIR), ==, 0x06);
    g_assert_cmphex(get(&uart, LSR), ==, 0x63);
    g_assert_cmphex(get(&uart, LSR), ==, 0x61); /* reading cleared it */
    g_assert_cmphex(get(&uart, IIR), ==, 0x01);
    g_assert_cmphex(get(&uart, RBR), ==, 'b');
    put(&uart, FCR, 0x01);
    loop_back(&uart, "0123456789abcdefX"); /* the FIFO keeps the first sixteen */
    g_assert_cmphex(get(&uart, LSR), ==, 0x63);
    for (const char *at = "0123456789abcdef"; *at; at++) {
        g_assert_cmphex(get(&uart, RBR), ==, *at);
    }
    g_assert_cmphex(get(&uart, LSR), ==, 0x60);
    bench_free(uart.bench);
}

static void test_trigger_levels(void)
{
    static const unsigned levels[] = { 1, 4, 8, 14 };
    Uart uart = uart_new(NULL);

    put(&uart, LCR, 0x03);
    put(&uart, IER, 0x01);
    for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
        put(&uart, FCR, (uint8_t)(i << 6 | 0x07));
        for (unsigned n = 1; n <= levels[i]; n++) {
            g_assert_cmpint(irq(&uart), ==, 0);
            loop_back(&uart, "c");
        }
        g_assert_cmpint(irq(&uart), ==, 1);
        g_assert_cmphex(get(&uart, IIR), ==, 0xc4);
        get(&uart, RBR);
        g_assert_cmpint(irq(&uart), ==, 0); /* below the level */
    }
    put(&uart, FCR, 0x00); /* switching FIFOs empties them */
    g_assert_cmphex(get(&uart, LSR), ==, 0x60);
    g_assert_cmphex(get(&uart, IIR), ==, 0x01);
    bench_free(uart.bench);
}

static void test_timeout(void)
{
    Uart uart = uart_new("baudbase=115200");
    int64_t character = INT64_C(1000000000) * 10 / 9600; /* 8N1 at divisor 12 */

    put(&uart, LCR, 0x03);
    put(&uart, FCR, 0x81);
    put(&uart, IER, 0x01);
    loop_back(&uart, "a");
    bench_advance(uart.bench, 3 * character);
    loop_back(&uart, "b"); /* begins anew */
    bench_advance(uart.bench, 3 * character);
    g_assert_cmpint(irq(&uart), ==, 0);
    bench_advance(uart.bench, 2 * character);
    g_assert_cmpint(irq(&uart), ==, 1);
    g_assert_cmphex(get(&uart, IIR), ==, 0xcc);
    g_assert_cmphex(get(&uart, IIR), ==, 0xcc); /* until a character is read */
    g_assert_cmphex(get(&uart, RBR), ==, 'a');
    g_assert_cmpint(irq(&uart), ==, 0);
    bench_advance(uart.bench, 5 * character);
    g_assert_cmphex(get(&uart, IIR), ==, 0xcc);
    g_assert_cmphex(get(&uart, RBR), ==, 'b');
    bench_advance(uart.bench, 5 * character);
    g_assert_cmphex(get(&uart, IIR), ==, 0xc1); /* empty: no timeout */
    bench_free(uart.bench);
}

static void test_modem(void)
{
    Uart uart = uart_new(NULL);

    put(&uart, IER, 0x08);
    put(&uart, MCR, LOOP | 0x0f);
    g_assert_cmphex(get(&uart, IIR), ==, 0x01);
    g_assert_cmphex(get(&uart, MSR), ==, 0xf0); /* CTS, DSR and DCD as before; RI's beginning is not told */
    put(&uart, MCR, LOOP | 0x0b);
    g_assert_cmpint(irq(&uart), ==, 1);
    g_assert_cmphex(get(&uart, MSR), ==, 0xb4); /* its end is */
    g_assert_cmpint(irq(&uart), ==, 0);
    put(&uart, MCR, LOOP | 0x01);
    g_assert_cmphex(get(&uart, MSR), ==, 0x29);
    g_assert_cmphex(get(&uart, MSR), ==, 0x20);
    bench_free(uart.bench);
}

/* With a host on the other side: a socket pair. */

typedef struct Line {
    Uart uart;
    CharHost host;
    CharDevice *device;
    int peer;
} Line;

static Line *line_new(void)
{
    AUTO_ERROR(error);
    Line *line = g_new0(Line, 1);
    int ends[2];

    line->uart.bench = bench_new();
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    line->peer = ends[0];
    line->host = (CharHost){ .container = object_container(line->uart.bench->machine->root, "chardevs"),
                            .loop = line->uart.bench->loop, .files = line->uart.bench->files };
    g_autofree char *fd = g_strdup_printf("%d", ends[1]);
    ChardevOptions options = { .id = (char *)"line", .backend = CHARDEV_BACKEND_SOCKET, .u.socket = { .fd = fd } };
    line->device = char_new(&line->host, &options, &error);
    if (!line->device) {
        g_error("%s", error_message(error));
    }
    line->uart.device = bench_add(line->uart.bench, "serial-mm", "chardev=line");
    line->uart.base = bench_address(line->uart.device, 0);
    bench_watch(line->uart.bench, line->uart.device, IRQ_SYSBUS, 0, IRQ_LINE);
    bench_reset(line->uart.bench, RESET_POWER_ON);
    bench_drain(line->uart.bench);
    put(&line->uart, LCR, 0x03);
    return line;
}

static void line_free(Line *line)
{
    Bench *bench = line->uart.bench;

    device_unrealize(line->uart.device);
    char_remove_all(&line->host);
    close(line->peer);
    bench_free(bench);
    g_free(line);
}

static bool irq_is_high(void *data) { return bench_level(data, IRQ_LINE); }

/* What does not fit into the FIFO waits at the host, and comes as room is made: nothing is lost. */
static void test_input(void)
{
    Line *line = line_new();
    Uart *uart = &line->uart;
    char text[100], got[sizeof text + 1] = { 0 };

    for (unsigned i = 0; i < sizeof text; i++) {
        text[i] = (char)('0' + i % 75);
    }
    put(uart, FCR, 0x07);
    put(uart, IER, 0x05);
    g_assert_cmpint(write(line->peer, text, sizeof text), ==, sizeof text);
    for (unsigned n = 0; n < sizeof text; n++) {
        g_assert_true(bench_wait(uart->bench, irq_is_high, uart->bench));
        g_assert_cmphex(get(uart, LSR) & 0x03, ==, 0x01); /* data, no overrun */
        got[n] = (char)get(uart, RBR);
    }
    g_assert_cmpmem(text, sizeof text, got, sizeof text);
    bench_drain(uart->bench);
    g_assert_cmphex(get(uart, LSR), ==, 0x60);
    line_free(line);
}

/* A host that does not read: characters stay, THRE stays clear, until it does. */
static void test_output(void)
{
    Line *line = line_new();
    Uart *uart = &line->uart;
    size_t sent = 0, got = 0;

    put(uart, FCR, 0x07);
    for (; sent < 4 * MIB && get(uart, LSR) & 0x20; sent++) {
        put(uart, THR, (uint8_t)(sent % 251));
    }
    g_assert_cmpuint(sent, <, 4 * MIB);
    g_assert_cmphex(get(uart, LSR) & 0x60, ==, 0);
    put(uart, IER, 0x02);
    g_assert_cmpint(irq(uart), ==, 0);
    while (got < sent) {
        uint8_t bytes[4096];
        ssize_t count = recv(line->peer, bytes, sizeof bytes, MSG_DONTWAIT);
        for (ssize_t i = 0; i < count; i++) {
            g_assert_cmphex(bytes[i], ==, (got + (size_t)i) % 251);
        }
        got += count > 0 ? (size_t)count : 0;
        bench_drain(uart->bench);
    }
    g_assert_true(bench_wait(uart->bench, irq_is_high, uart->bench));
    g_assert_cmphex(get(uart, IIR), ==, 0xc2);
    g_assert_cmphex(get(uart, LSR), ==, 0x60);
    line_free(line);
}

/* A break is a character of zeroes with a mark, which shows when it comes to the front. */
static void test_break(void)
{
    Line *line = line_new();
    Uart *uart = &line->uart;

    put(uart, FCR, 0x07);
    put(uart, IER, 0x05);
    g_assert_cmpint(write(line->peer, "a", 1), ==, 1);
    g_assert_true(bench_wait(uart->bench, irq_is_high, uart->bench));
    char_send_break(line->device);
    bench_drain(uart->bench);
    g_assert_cmphex(get(uart, IIR), ==, 0xc4);
    g_assert_cmphex(get(uart, LSR), ==, 0xe1); /* somewhere in the FIFO there is an error */
    g_assert_cmphex(get(uart, RBR), ==, 'a');
    g_assert_cmphex(get(uart, IIR), ==, 0xc6);
    g_assert_cmphex(get(uart, LSR), ==, 0xf1);
    g_assert_cmphex(get(uart, LSR), ==, 0x61);
    g_assert_cmphex(get(uart, RBR), ==, 0);
    g_assert_cmphex(get(uart, LSR), ==, 0x60);
    line_free(line);
}

static void test_stride(void)
{
    Uart uart = uart_new("regshift=2");

    g_assert_cmphex(bench_read(uart.bench, uart.base + 4 * LSR, 1), ==, 0x60);
    bench_write(uart.bench, uart.base + 4 * SCR, 4, 0x5a);
    g_assert_cmphex(bench_read(uart.bench, uart.base + 4 * SCR, 4), ==, 0x5a);
    bench_free(uart.bench);
}

static void test_wrong_properties(void)
{
    static const char *const wrong[][2] = {
        { "regshift=5", "regshift" },
        { "endianness=3", "endianness" },
        { "baudbase=0", "baudbase" },
        { "chardev=nobody", "nobody" },
        { "baud=1", "baud" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        Bench *bench = bench_new();
        char *message = bench_add_error(bench, "serial-mm", wrong[i][0]);
        g_test_message("%s: %s", wrong[i][0], message);
        g_assert_nonnull(strstr(message, wrong[i][1]));
        g_free(message);
        bench_free(bench);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/reset", test_reset);
    g_test_add_func("/serial/divisor", test_divisor);
    g_test_add_func("/serial/transmit-interrupt", test_transmit_interrupt);
    g_test_add_func("/serial/loopback", test_loopback);
    g_test_add_func("/serial/overrun", test_overrun);
    g_test_add_func("/serial/trigger-levels", test_trigger_levels);
    g_test_add_func("/serial/timeout", test_timeout);
    g_test_add_func("/serial/modem", test_modem);
    g_test_add_func("/serial/input", test_input);
    g_test_add_func("/serial/output", test_output);
    g_test_add_func("/serial/break", test_break);
    g_test_add_func("/serial/stride", test_stride);
    g_test_add_func("/serial/wrong-properties", test_wrong_properties);
    return g_test_run();
}
