/* virtio-serial: negotiation with and without several ports, messages, bytes both ways, plugging and unplugging. */
#include "virtio_driver.h"

#include "api/json.h"
#include "api/options.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "char/char.h"
#include "core/loop.h"
#include "core/state.h"
#include "schema/char.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RX0, TX0, CONTROL_RX, CONTROL_TX, RX1, TX1, QUEUES, ENTRIES = 16, MULTIPORT = 1 << 1, EMERGENCY = 1 << 2 };
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

typedef struct Rig {
    Driver *driver;
    CharHost host;
    GString *output, *events; /* of the character device "c"; of the machine */
    CharDevice *console;
    int peer; /* of the character device "s", a socket */
} Rig;

static void on_output(void *data, const uint8_t *bytes, size_t count)
{
    g_string_append_len(((Rig *)data)->output, (const char *)bytes, count);
}

static void on_event(void *data, const char *name, Json *arguments)
{
    const char *device = arguments ? json_get_text(arguments, "device") : NULL;
    g_string_append_printf(((Rig *)data)->events, "%s %s;", name, device ? device : "");
    json_free(arguments);
}

static void add_socket(Rig *rig)
{
    AUTO_ERROR(error);
    int ends[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    rig->peer = ends[0];
    g_autofree char *fd = g_strdup_printf("%d", ends[1]);
    ChardevOptions options = { .id = (char *)"s", .backend = CHARDEV_BACKEND_SOCKET, .u.socket = { .fd = fd } };
    if (!char_new(&rig->host, &options, &error)) {
        g_error("%s", error_message(error));
    }
}

static bool plug(Rig *rig, const char *text, Error **error)
{
    Json *options = options_parse(text, "driver", NULL, error);
    bool done = options && device_add(rig->driver->bench->machine, options, true, error);
    json_free(options);
    return done;
}

static void plug_well(Rig *rig, const char *text)
{
    AUTO_ERROR(error);
    if (!plug(rig, text, &error)) {
        g_error("%s: %s", text, error_message(error));
    }
}

/* Started, not yet negotiated; a console "con" on "c". */
static Rig *rig_new(const char *properties)
{
    AUTO_ERROR(error);
    Rig *rig = g_new0(Rig, 1);
    rig->driver = driver_new_empty(false);
    Bench *bench = rig->driver->bench;
    rig->output = g_string_new("");
    rig->events = g_string_new("");
    rig->host = (CharHost){ .container = object_container(bench->machine->root, "chardevs"), .loop = bench->loop,
                            .files = bench->files };
    rig->console = char_new_callback(&rig->host, "c", on_output, rig, &error);
    add_socket(rig);
    driver_add(rig->driver, "virtio-serial-device", properties);
    plug_well(rig, "virtconsole,chardev=c,id=con");
    bench->machine->events = (MachineEvents){ .event = on_event, .data = rig };
    driver_run(rig->driver);
    g_string_truncate(rig->events, 0);
    return rig;
}

static void rig_free(Rig *rig)
{
    Bench *bench = rig->driver->bench;
    bench->machine->events = (MachineEvents){ 0 };
    char_remove_all(&rig->host);
    bench_drain(bench);
    driver_free(rig->driver);
    close(rig->peer);
    g_string_free(rig->output, TRUE);
    g_string_free(rig->events, TRUE);
    g_free(rig);
}

static DriverQueue *queue_of(Rig *rig, unsigned index) { return &rig->driver->queues[index]; }

static void negotiate(Rig *rig, uint64_t features, unsigned queues)
{
    driver_negotiate(rig->driver, features);
    for (unsigned i = 0; i < queues; i++) {
        driver_queue(rig->driver, (uint16_t)i, ENTRIES);
    }
    driver_go(rig->driver);
}

/* Buffers */

static uint64_t offer(Rig *rig, unsigned queue, uint32_t size)
{
    uint64_t address = driver_alloc(rig->driver, size, 8);
    queue_add(queue_of(rig, queue), &(Buffer){ address, size, true }, 1);
    queue_kick(queue_of(rig, queue));
    return address;
}

static void send_bytes(Rig *rig, unsigned queue, const void *bytes, uint32_t count)
{
    uint64_t address = driver_alloc(rig->driver, count, 8);
    memcpy(driver_host(rig->driver, address), bytes, count);
    queue_add(queue_of(rig, queue), &(Buffer){ address, count, false }, 1);
    queue_kick(queue_of(rig, queue));
}

static uint32_t await(Rig *rig, unsigned queue)
{
    uint16_t id;
    uint32_t length = 0;
    g_assert_true(queue_wait(queue_of(rig, queue)));
    g_assert_true(queue_take(queue_of(rig, queue), &id, &length));
    return length;
}

static void send_and_wait(Rig *rig, unsigned queue, const char *text)
{
    send_bytes(rig, queue, text, (uint32_t)strlen(text));
    await(rig, queue);
}

/* Messages */

static void say(Rig *rig, uint32_t port, uint16_t event, uint16_t value)
{
    uint8_t message[8];
    store_le32(message, port);
    store_le16(message + 4, event);
    store_le16(message + 6, value);
    send_bytes(rig, CONTROL_TX, message, sizeof message);
    await(rig, CONTROL_TX);
}

static void expect(Rig *rig, uint32_t port, uint16_t event, uint16_t value, const char *name)
{
    uint64_t address = offer(rig, CONTROL_RX, 64);
    uint32_t length = await(rig, CONTROL_RX);
    const uint8_t *message = driver_host(rig->driver, address);
    g_assert_cmpuint(length, ==, 8 + strlen(name));
    g_assert_cmpuint(load_le16(message + 4), ==, event);
    g_assert_cmpuint(load_le32(message), ==, port);
    g_assert_cmpuint(load_le16(message + 6), ==, value);
    g_assert_cmpmem(message + 8, length - 8, name, strlen(name));
}

/* A buffer that stays empty: there is nothing to tell. It is still there afterwards. */
static bool is_silent(Rig *rig)
{
    bench_drain(rig->driver->bench);
    return queue_nothing_used(queue_of(rig, CONTROL_RX));
}

static void begin(Rig *rig)
{
    negotiate(rig, MULTIPORT | EMERGENCY, QUEUES);
    say(rig, 0, DEVICE_READY, 1);
    expect(rig, 0, PORT_ADD, 1, "");
    say(rig, 0, PORT_READY, 1);
    expect(rig, 0, CONSOLE_PORT, 1, "");
    expect(rig, 0, PORT_OPEN, 1, "");
}

/* Tests */

static void test_one_port(void)
{
    Rig *rig = rig_new("max_ports=1");
    g_assert_cmpuint(driver_get(rig->driver, MMIO_DEVICE_ID), ==, 3);
    g_assert_cmphex(driver_offered(rig->driver) & (MULTIPORT | EMERGENCY), ==, EMERGENCY);
    negotiate(rig, 0, 2);
    send_and_wait(rig, TX0, "hello ");
    send_and_wait(rig, TX0, "world");
    g_assert_cmpstr(rig->output->str, ==, "hello world");
    g_assert_cmpuint(char_callback_input(rig->console, (const uint8_t *)"key", 3), ==, 3);
    uint64_t first = offer(rig, RX0, 2), second = offer(rig, RX0, 2);
    g_assert_cmpuint(await(rig, RX0), ==, 2);
    g_assert_cmpuint(await(rig, RX0), ==, 1);
    g_assert_cmpmem(driver_host(rig->driver, first), 2, "ke", 2);
    g_assert_cmpmem(driver_host(rig->driver, second), 1, "y", 1);
    rig_free(rig);
}

static void test_console(void)
{
    Rig *rig = rig_new(NULL);
    g_assert_cmphex(driver_offered(rig->driver) & (MULTIPORT | EMERGENCY), ==, MULTIPORT | EMERGENCY);
    g_assert_cmpuint(driver_get(rig->driver, MMIO_CONFIG + 4), ==, 31);
    begin(rig);
    send_and_wait(rig, TX0, "text");
    g_assert_cmpstr(rig->output->str, ==, "text");
    driver_put(rig->driver, MMIO_CONFIG + 8, '!');
    g_assert_cmpstr(rig->output->str, ==, "text!");
    rig_free(rig);
}

static void test_port(void)
{
    Rig *rig = rig_new(NULL);
    begin(rig);
    plug_well(rig, "virtserialport,chardev=s,name=org.myna.port,id=p");
    expect(rig, 1, PORT_ADD, 1, "");
    say(rig, 1, PORT_READY, 1);
    expect(rig, 1, PORT_NAME, 1, "org.myna.port");
    expect(rig, 1, PORT_OPEN, 1, "");
    uint64_t address = offer(rig, RX1, 16);
    g_assert_cmpint(write(rig->peer, "in", 2), ==, 2);
    bench_drain(rig->driver->bench);
    g_assert_true(queue_nothing_used(queue_of(rig, RX1))); /* nobody in the guest has it open */
    say(rig, 1, PORT_OPEN, 1);
    g_assert_cmpuint(await(rig, RX1), ==, 2);
    g_assert_cmpmem(driver_host(rig->driver, address), 2, "in", 2);
    send_and_wait(rig, TX1, "out");
    char bytes[8];
    g_assert_cmpint(read(rig->peer, bytes, sizeof bytes), ==, 3);
    close(rig->peer);
    offer(rig, RX1, 16); /* who does not read does not see the end */
    expect(rig, 1, PORT_OPEN, 0, "");
    send_and_wait(rig, TX1, "lost"); /* given back all the same */
    rig->peer = dup(0);
    rig_free(rig);
}

/* A host that reads slowly: the buffer waits, and nothing is lost or sent twice. */
static void test_back_pressure(void)
{
    enum { SIZE = 1 << 20 };
    Rig *rig = rig_new(NULL);
    g_autofree uint8_t *bytes = g_malloc(SIZE), *got = g_malloc(SIZE);
    begin(rig);
    plug_well(rig, "virtserialport,chardev=s,id=p");
    expect(rig, 1, PORT_ADD, 1, "");
    for (unsigned i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    send_bytes(rig, TX1, bytes, SIZE);
    bench_drain(rig->driver->bench);
    g_assert_true(queue_nothing_used(queue_of(rig, TX1)));
    for (size_t count = 0; count < SIZE;) {
        ssize_t now = recv(rig->peer, got + count, SIZE - count, MSG_DONTWAIT);
        count += now > 0 ? (size_t)now : 0;
        loop_iterate(rig->driver->bench->loop, 1000000);
    }
    await(rig, TX1);
    g_assert_cmpmem(bytes, SIZE, got, SIZE);
    rig_free(rig);
}

static void test_unplug(void)
{
    Rig *rig = rig_new(NULL);
    Machine *machine = rig->driver->bench->machine;
    AUTO_ERROR(error);
    begin(rig);
    for (unsigned round = 0; round < 3; round++) {
        plug_well(rig, "virtserialport,chardev=s,id=p,name=again");
        expect(rig, 1, PORT_ADD, 1, "");
        say(rig, 1, PORT_READY, 1);
        expect(rig, 1, PORT_NAME, 1, "again");
        expect(rig, 1, PORT_OPEN, 1, "");
        g_assert_true(device_remove(machine, "p", NULL));
        g_assert_cmpstr(rig->events->str, ==, "DEVICE_DELETED p;");
        g_string_truncate(rig->events, 0);
        g_assert_false(device_remove(machine, "p", NULL));
        expect(rig, 1, PORT_REMOVE, 1, "");
    }
    /* One that the driver has not heard of goes without a word. */
    plug_well(rig, "virtserialport,id=q");
    g_assert_true(device_remove(machine, "q", NULL));
    offer(rig, CONTROL_RX, 64);
    g_assert_true(is_silent(rig));
    send_and_wait(rig, TX1, "to nobody");
    say(rig, 1, PORT_OPEN, 1);
    /* The console goes like any other. */
    g_assert_true(device_remove(machine, "con", NULL));
    g_assert_cmpuint(await(rig, CONTROL_RX), ==, 8);
    g_autofree char *path = object_path(&rig->driver->device->device.object);
    g_assert_false(device_remove(machine, path, &error));
    g_assert_nonnull(strstr(error_message(error), "hotplugging"));
    rig_free(rig);
}

static void test_refused(void)
{
    static const char *const rows[][2] = {
        { "virtserialport,nr=0", "reserved for virtconsole" }, { "virtserialport,nr=4", "max. allowed: 3" },
        { "virtserialport,nr=2", "already exists at id 2" },   { "virtserialport,name=two", "by name two" },
        { "virtserialport,chardev=c", "already in use" },      { "virtserialport,chardev=d", "'d'" },
    };
    Rig *rig = rig_new("max_ports=4");
    plug_well(rig, "virtserialport,nr=2,name=two");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO_ERROR(error);
        g_assert_false(plug(rig, rows[i][0], &error));
        if (!strstr(error_message(error), rows[i][1])) {
            g_error("%s: %s", rows[i][0], error_message(error));
        }
    }
    plug_well(rig, "virtserialport"); /* 1 */
    plug_well(rig, "virtserialport"); /* 3 */
    AUTO_ERROR(error);
    g_assert_false(plug(rig, "virtserialport", &error));
    g_assert_nonnull(strstr(error_message(error), "Maximum port limit"));
    rig_free(rig);
}

static void test_nonsense(void)
{
    Rig *rig = rig_new(NULL);
    begin(rig);
    say(rig, 30, PORT_READY, 1);
    say(rig, UINT32_MAX, PORT_OPEN, 1);
    say(rig, 0, RESIZE, 1);
    say(rig, 0, 999, 1);
    say(rig, 0, PORT_READY, 0);
    send_bytes(rig, CONTROL_TX, "short", 5);
    await(rig, CONTROL_TX);
    offer(rig, RX0, 4);
    g_assert_false(rig->driver->device->broken);
    send_and_wait(rig, TX0, "still there");
    g_assert_cmpstr(rig->output->str, ==, "still there");
    rig_free(rig);
}

static void test_reset(void)
{
    Rig *rig = rig_new(NULL);
    begin(rig);
    driver_put(rig->driver, MMIO_STATUS, 0);
    rig->driver->allocated = 0;
    begin(rig); /* told everything again */
    rig_free(rig);
}

/* Saved between messages; the one that loads goes on telling. */
static void test_saved_state(void)
{
    AUTO_ERROR(error);
    AUTO_STRBUF(stream);
    Rig *rig = rig_new(NULL), *other = rig_new(NULL);
    negotiate(rig, MULTIPORT, QUEUES);
    say(rig, 0, DEVICE_READY, 1);
    expect(rig, 0, PORT_ADD, 1, "");
    say(rig, 0, PORT_READY, 1);
    g_assert_true(state_save(rig->driver->bench->machine, &stream, NULL));
    machine_stop(other->driver->bench->machine, RUN_STATE_PAUSED);
    if (!state_load(other->driver->bench->machine, stream.data, stream.length, &error)) {
        g_error("%s", error_message(error));
    }
    g_assert_true(machine_run(other->driver->bench->machine, NULL));
    memcpy(other->driver->queues, rig->driver->queues, sizeof rig->driver->queues);
    for (unsigned i = 0; i < DRIVER_QUEUES; i++) {
        other->driver->queues[i].driver = other->driver;
    }
    other->driver->allocated = rig->driver->allocated;
    expect(other, 0, CONSOLE_PORT, 1, "");
    expect(other, 0, PORT_OPEN, 1, "");
    rig_free(rig);
    rig_free(other);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-serial/one-port", test_one_port);
    g_test_add_func("/virtio-serial/console", test_console);
    g_test_add_func("/virtio-serial/port", test_port);
    g_test_add_func("/virtio-serial/back-pressure", test_back_pressure);
    g_test_add_func("/virtio-serial/unplug", test_unplug);
    g_test_add_func("/virtio-serial/refused", test_refused);
    g_test_add_func("/virtio-serial/nonsense", test_nonsense);
    g_test_add_func("/virtio-serial/reset", test_reset);
    g_test_add_func("/virtio-serial/saved-state", test_saved_state);
    return g_test_run();
}
