/*
 * NS16550A: the UART of PCs and of most boards after them, without a bus ("serial").
 *
 * After National Semiconductor's PC16550D data sheet (June 1995): 16-byte FIFOs with trigger levels, the character
 * timeout, priorities of the interrupts, loopback, break in both directions, errors that travel with their characters.
 *
 * Characters are sent as fast as the host takes them, not at the baud rate, which decides the timeout and the settings
 * of a host's serial line. Input waits at the host while the receiver is full or looped back: only loopback can overrun
 * it. The modem's lines are those of a terminal that is always there (CTS, DSR and DCD on, RI off). DMA mode has no
 * pins to act on. Parity and framing errors do not happen.
 */
#include "hw/char/serial.h"

#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "core/loop.h"
#include "core/machine.h"

enum {
    IER_RECEIVE = 0x01,
    IER_TRANSMIT = 0x02,
    IER_LINE = 0x04,
    IER_MODEM = 0x08,

    IIR_NONE = 0x01,
    IIR_MODEM = 0x00,
    IIR_TRANSMIT = 0x02,
    IIR_RECEIVE = 0x04,
    IIR_LINE = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0,

    FCR_ENABLE = 0x01,
    FCR_CLEAR_RECEIVE = 0x02,
    FCR_CLEAR_TRANSMIT = 0x04,
    FCR_STORED = 0xc9, /* enable, DMA mode, trigger level */

    LCR_WORD_LENGTH = 0x03,
    LCR_STOP_BITS = 0x04,
    LCR_PARITY = 0x08,
    LCR_EVEN = 0x10,
    LCR_BREAK = 0x40,
    LCR_DLAB = 0x80,

    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10,

    LSR_DATA = 0x01,
    LSR_OVERRUN = 0x02,
    LSR_PARITY = 0x04,
    LSR_FRAMING = 0x08,
    LSR_BREAK = 0x10,
    LSR_TRANSMIT_EMPTY = 0x20,
    LSR_IDLE = 0x40,
    LSR_FIFO_ERROR = 0x80,
    LSR_ERRORS = LSR_OVERRUN | LSR_PARITY | LSR_FRAMING | LSR_BREAK,

    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
    MSR_DELTAS = 0x0f,
    MSR_DELTA_RI = 0x04,
    MSR_TERMINAL = MSR_CTS | MSR_DSR | MSR_DCD,

    TIMEOUT_CHARACTERS = 4,
};

static const uint8_t trigger_levels[4] = { 1, 4, 8, 14 };

static bool fifos_on(const Serial *serial) { return serial->fcr & FCR_ENABLE; }
static unsigned depth(const Serial *serial) { return fifos_on(serial) ? SERIAL_FIFO_SIZE : 1; }
static unsigned trigger_level(const Serial *serial) { return fifos_on(serial) ? trigger_levels[serial->fcr >> 6] : 1; }

/* Interrupts */

static uint8_t interrupt_id(const Serial *serial)
{
    if (serial->ier & IER_LINE && serial->lsr & LSR_ERRORS) {
        return IIR_LINE;
    }
    if (serial->ier & IER_RECEIVE && serial->receive_count >= trigger_level(serial)) {
        return IIR_RECEIVE;
    }
    if (serial->ier & IER_RECEIVE && serial->receive_timeout) {
        return IIR_TIMEOUT;
    }
    if (serial->ier & IER_TRANSMIT && serial->transmit_interrupt) {
        return IIR_TRANSMIT;
    }
    if (serial->ier & IER_MODEM && serial->msr & MSR_DELTAS) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void update_irq(Serial *serial)
{
    irq_set(serial->intr ? *serial->intr : NULL, interrupt_id(serial) != IIR_NONE);
}

/* Line settings */

static unsigned divisor(const Serial *serial)
{
    unsigned value = serial->dlm << 8 | serial->dll;
    return value ? value : 1;
}

static unsigned data_bits(const Serial *serial) { return 5 + (serial->lcr & LCR_WORD_LENGTH); }
static unsigned stop_bits(const Serial *serial) { return serial->lcr & LCR_STOP_BITS ? 2 : 1; }

static int64_t character_ns(const Serial *serial)
{
    unsigned bits = 1 + data_bits(serial) + !!(serial->lcr & LCR_PARITY) + stop_bits(serial);
    return clock_input_ns(&serial->clock, (uint64_t)bits * 16 * divisor(serial));
}

static void transmit(Serial *serial);

static void host_writable(void *data)
{
    Serial *serial = data;

    device_lock(serial->device.lock);
    transmit(serial);
    update_irq(serial);
    device_unlock(serial->device.lock);
}

/* On the main loop: what back-ends may be asked there alone. */
static void update_host(void *data)
{
    Serial *serial = data;

    device_lock(serial->device.lock);
    serial->update_posted = false;
    CharSerialParameters parameters = {
        .baud = (int)(clock_input_hz(&serial->clock) / 16 / divisor(serial)),
        .data_bits = (int)data_bits(serial),
        .stop_bits = (int)stop_bits(serial),
        .parity = !(serial->lcr & LCR_PARITY) ? 'N' : serial->lcr & LCR_EVEN ? 'E' : 'O',
    };
    bool on_break = serial->lcr & LCR_BREAK && !(serial->mcr & MCR_LOOP);
    bool waiting = serial->transmit_count > 0;
    bool realized = serial->device.realized;
    device_unlock(serial->device.lock);
    if (realized) {
        char_set_serial(&serial->frontend, &parameters);
        char_set_break(&serial->frontend, on_break);
        if (waiting) {
            char_notify_writable(&serial->frontend, host_writable, serial);
        }
    }
    object_unref(&serial->device.object);
}

static void post_update_host(Serial *serial)
{
    if (serial->update_posted) {
        return;
    }
    serial->update_posted = true;
    object_ref(&serial->device.object);
    loop_post(serial->device.machine->loop, update_host, serial);
}

/* Receiver */

static void start_timeout(Serial *serial)
{
    if (!fifos_on(serial) || !serial->receive_count) {
        timer_cancel(&serial->timeout);
        return;
    }
    timer_set(&serial->timeout, clock_now(serial->device.machine->clocks, CLOCK_VIRTUAL) +
                                    TIMEOUT_CHARACTERS * character_ns(serial));
}

static void timeout_expired(void *data)
{
    Serial *serial = data;

    serial->receive_timeout = serial->receive_count > 0;
    update_irq(serial);
}

/* A character's errors show in LSR when it comes to the front. */
static void show_first(Serial *serial)
{
    if (serial->receive_count) {
        serial->lsr |= LSR_DATA | serial->receive_status[serial->receive_first];
        serial->receive_status[serial->receive_first] = 0;
    } else {
        serial->lsr &= ~LSR_DATA;
    }
}

static bool fifo_has_errors(const Serial *serial)
{
    for (unsigned i = 0; i < serial->receive_count; i++) {
        if (serial->receive_status[(serial->receive_first + i) % SERIAL_FIFO_SIZE]) {
            return true;
        }
    }
    return false;
}

static void receive_character(Serial *serial, uint8_t character, uint8_t status)
{
    if (serial->receive_count == depth(serial)) {
        serial->lsr |= LSR_OVERRUN;
        if (fifos_on(serial)) {
            return; /* the FIFO keeps what it has; a single buffer is overwritten */
        }
        serial->receive_count = 0;
    }
    unsigned last = (serial->receive_first + serial->receive_count) % SERIAL_FIFO_SIZE;
    serial->receive_data[last] = character;
    serial->receive_status[last] = status;
    serial->receive_count++;
    if (fifos_on(serial) && status) {
        serial->lsr |= LSR_FIFO_ERROR;
    }
    show_first(serial);
    start_timeout(serial);
}

static void clear_receiver(Serial *serial)
{
    serial->receive_first = serial->receive_count = 0;
    serial->receive_timeout = false;
    serial->lsr &= ~(LSR_DATA | LSR_FIFO_ERROR | LSR_BREAK | LSR_FRAMING | LSR_PARITY);
    timer_cancel(&serial->timeout);
    char_accept_input(&serial->frontend);
}

/* Called on the main loop. */
static size_t can_receive(void *data)
{
    Serial *serial = data;

    device_lock(serial->device.lock);
    size_t room = serial->mcr & MCR_LOOP ? 0 : depth(serial) - serial->receive_count;
    device_unlock(serial->device.lock);
    return room;
}

static void receive(void *data, const uint8_t *bytes, size_t count)
{
    Serial *serial = data;

    device_lock(serial->device.lock);
    for (size_t i = 0; i < count; i++) {
        receive_character(serial, bytes[i], 0);
    }
    update_irq(serial);
    device_unlock(serial->device.lock);
}

static void host_event(void *data, CharEvent event)
{
    Serial *serial = data;

    if (event != CHAR_EVENT_BREAK) {
        return;
    }
    device_lock(serial->device.lock);
    if (!(serial->mcr & MCR_LOOP)) {
        receive_character(serial, 0, LSR_BREAK);
        update_irq(serial);
    }
    device_unlock(serial->device.lock);
}

/* Transmitter */

static void set_transmitter_empty(Serial *serial)
{
    serial->lsr |= LSR_TRANSMIT_EMPTY | LSR_IDLE;
    serial->transmit_interrupt = true;
}

/* Sends what it holds, back to the receiver or to the host, which may take a part and ask for the rest later. */
static void transmit(Serial *serial)
{
    while (serial->transmit_count) {
        const uint8_t *first = &serial->transmit_data[serial->transmit_first];

        if (serial->mcr & MCR_LOOP) {
            receive_character(serial, *first & mask_bits(data_bits(serial)), 0);
        } else if (char_write(&serial->frontend, first, 1) == 0) {
            post_update_host(serial);
            return;
        }
        serial->transmit_first = (serial->transmit_first + 1) % SERIAL_FIFO_SIZE;
        serial->transmit_count--;
        if (!serial->transmit_count) {
            set_transmitter_empty(serial);
        }
    }
}

static void clear_transmitter(Serial *serial)
{
    if (serial->transmit_count) {
        serial->transmit_first = serial->transmit_count = 0;
        set_transmitter_empty(serial);
    }
}

/* Modem lines */

static uint8_t modem_lines(const Serial *serial)
{
    if (!(serial->mcr & MCR_LOOP)) {
        return MSR_TERMINAL;
    }
    return (serial->mcr & MCR_RTS ? MSR_CTS : 0) | (serial->mcr & MCR_DTR ? MSR_DSR : 0) |
           (serial->mcr & MCR_OUT1 ? MSR_RI : 0) | (serial->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void update_modem(Serial *serial)
{
    uint8_t lines = modem_lines(serial);
    uint8_t changed = lines ^ (serial->msr & ~MSR_DELTAS);
    uint8_t deltas = changed >> 4;

    if (lines & MSR_RI) {
        deltas &= ~MSR_DELTA_RI; /* only its end is told */
    }
    serial->msr = lines | (serial->msr & MSR_DELTAS) | deltas;
}

/* Registers */

static Serial *serial_of(Device *device) { return (Serial *)device; }

static bool is_divisor_selected(const Device *device, const Register *reg)
{
    return ((const Serial *)device)->lcr & LCR_DLAB;
}

static bool is_divisor_hidden(const Device *device, const Register *reg) { return !is_divisor_selected(device, reg); }

static AccessResult rbr_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    Serial *serial = serial_of(device);

    if (!serial->receive_count) {
        return ACCESS_OK; /* the last character again */
    }
    *value = serial->receive_data[serial->receive_first];
    if (access->debug) {
        return ACCESS_OK;
    }
    serial->rbr = (uint8_t)*value;
    serial->receive_first = (serial->receive_first + 1) % SERIAL_FIFO_SIZE;
    serial->receive_count--;
    serial->receive_timeout = false;
    show_first(serial);
    start_timeout(serial);
    update_irq(serial);
    char_accept_input(&serial->frontend);
    return ACCESS_OK;
}

static AccessResult thr_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Serial *serial = serial_of(device);

    if (serial->transmit_count == depth(serial)) { /* written over: the last one is lost */
        log_guest_error(device_log(device), "%s: THR written while full\n", device_name(device));
        serial->transmit_count--;
    }
    unsigned last = (serial->transmit_first + serial->transmit_count) % SERIAL_FIFO_SIZE;
    serial->transmit_data[last] = (uint8_t)value;
    serial->transmit_count++;
    serial->lsr &= ~(LSR_TRANSMIT_EMPTY | LSR_IDLE);
    serial->transmit_interrupt = false;
    transmit(serial);
    update_irq(serial);
    return ACCESS_OK;
}

static AccessResult ier_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Serial *serial = serial_of(device);
    uint8_t enabled = value & ~serial->ier;

    serial->ier = value & 0x0f;
    if (enabled & IER_TRANSMIT && serial->lsr & LSR_TRANSMIT_EMPTY) {
        serial->transmit_interrupt = true;
    }
    update_irq(serial);
    return ACCESS_OK;
}

static AccessResult iir_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    Serial *serial = serial_of(device);
    uint8_t id = interrupt_id(serial);

    *value = id | (fifos_on(serial) ? IIR_FIFOS : 0);
    if (id == IIR_TRANSMIT && !access->debug) {
        serial->transmit_interrupt = false;
        update_irq(serial);
    }
    return ACCESS_OK;
}

static AccessResult fcr_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Serial *serial = serial_of(device);
    bool switched = (value ^ serial->fcr) & FCR_ENABLE;

    /* The other bits count only together with the first. */
    serial->fcr = value & FCR_ENABLE ? value & FCR_STORED : 0;
    if (switched || (value & FCR_ENABLE && value & FCR_CLEAR_RECEIVE)) {
        clear_receiver(serial);
    }
    if (switched || (value & FCR_ENABLE && value & FCR_CLEAR_TRANSMIT)) {
        clear_transmitter(serial);
    }
    update_irq(serial);
    return ACCESS_OK;
}

static AccessResult line_written(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    post_update_host(serial_of(device));
    return ACCESS_OK;
}

static AccessResult mcr_written(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Serial *serial = serial_of(device);

    update_modem(serial);
    if (serial->lcr & LCR_BREAK) {
        post_update_host(serial);
    }
    transmit(serial); /* what the host would not take may be looped back now */
    update_irq(serial);
    char_accept_input(&serial->frontend);
    return ACCESS_OK;
}

static AccessResult lsr_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    Serial *serial = serial_of(device);

    if (!access->debug) {
        serial->lsr &= ~(LSR_ERRORS | LSR_FIFO_ERROR);
        serial->lsr |= fifos_on(serial) && fifo_has_errors(serial) ? LSR_FIFO_ERROR : 0;
        update_irq(serial);
    }
    return ACCESS_OK;
}

static AccessResult msr_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    Serial *serial = serial_of(device);

    if (!access->debug) {
        serial->msr &= ~MSR_DELTAS;
        update_irq(serial);
    }
    return ACCESS_OK;
}

#define BYTE_REGISTER(name_, address_, field_, ...) REG_FIELD(Serial, name_, address_, field_, .size = 1, __VA_ARGS__)
static const Register registers[] = {
    BYTE_REGISTER(RBR, 0, rbr, .present = is_divisor_hidden, .read_only = true, .read = rbr_read),
    REG_HOOK(THR, 0, .size = 1, .present = is_divisor_hidden, .write_only = true, .write = thr_write),
    BYTE_REGISTER(DLL, 0, dll, .present = is_divisor_selected, .writable = 0xff, .reset = 12, .written = line_written),
    BYTE_REGISTER(IER, 1, ier, .present = is_divisor_hidden, .write = ier_write),
    BYTE_REGISTER(DLM, 1, dlm, .present = is_divisor_selected, .writable = 0xff, .written = line_written),
    REG_HOOK(IIR, 2, .size = 1, .read_only = true, .read = iir_read),
    BYTE_REGISTER(FCR, 2, fcr, .write_only = true, .write = fcr_write),
    BYTE_REGISTER(LCR, 3, lcr, .writable = 0xff, .written = line_written),
    BYTE_REGISTER(MCR, 4, mcr, .writable = 0x1f, .written = mcr_written),
    BYTE_REGISTER(LSR, 5, lsr, .read_only = true, .reset = LSR_TRANSMIT_EMPTY | LSR_IDLE, .read = lsr_read),
    BYTE_REGISTER(MSR, 6, msr, .read_only = true, .reset = MSR_TERMINAL, .read = msr_read),
    BYTE_REGISTER(SCR, 7, scr, .writable = 0xff),
};

static const RegisterBank banks[] = {
    { .name = "serial", .size = SERIAL_REGISTERS_SIZE, .registers = registers, .count = ARRAY_SIZE(registers) },
};

static bool check_state(void *state, uint32_t version, Error **error)
{
    Serial *serial = state;

    if (serial->receive_count > depth(serial) || serial->transmit_count > depth(serial)) {
        return error_set(error, "serial: more characters than the FIFOs hold");
    }
    return true;
}

static const StateField state_fields[] = {
    STATE_FIELD_ARRAY(Serial, receive_data, STATE_UNSIGNED),
    STATE_FIELD_ARRAY(Serial, receive_status, STATE_UNSIGNED),
    STATE_FIELD(Serial, receive_first, STATE_UNSIGNED, .maximum = SERIAL_FIFO_SIZE - 1),
    STATE_FIELD(Serial, receive_count, STATE_UNSIGNED, .maximum = SERIAL_FIFO_SIZE),
    STATE_FIELD_ARRAY(Serial, transmit_data, STATE_UNSIGNED),
    STATE_FIELD(Serial, transmit_first, STATE_UNSIGNED, .maximum = SERIAL_FIFO_SIZE - 1),
    STATE_FIELD(Serial, transmit_count, STATE_UNSIGNED, .maximum = SERIAL_FIFO_SIZE),
    STATE_FIELD(Serial, transmit_interrupt, STATE_BOOL),
    STATE_FIELD(Serial, receive_timeout, STATE_BOOL),
    STATE_FIELD(Serial, timeout, STATE_TIMER),
    STATE_FIELD_NOT_SAVED(Serial, frontend, "the host's side"),
    STATE_FIELD_NOT_SAVED(Serial, baudbase, "a property"),
    STATE_FIELD_NOT_SAVED(Serial, clock, "follows from baudbase"),
    STATE_FIELD_NOT_SAVED(Serial, intr, "a handle; settle drives it"),
    STATE_FIELD_NOT_SAVED(Serial, update_posted, "settle posts one"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "serial", .version = 1, .minimum_version = 1, .fields = state_fields, .check = check_state,
};

static void serial_init(Object *object)
{
    Serial *serial = (Serial *)object;

    clock_input_init(&serial->clock, NULL, NULL);
    serial->frontend = (CharFrontend){
        .can_receive = can_receive, .receive = receive, .event = host_event, .data = serial,
    };
}

static bool serial_realize(Device *device, Error **error)
{
    Serial *serial = serial_of(device);

    if (!serial->baudbase) {
        return error_set(error, "serial: 'baudbase' must not be 0");
    }
    clock_input_set_hz(&serial->clock, (uint64_t)serial->baudbase * 16);
    timer_init(&serial->timeout, device->machine->clocks, CLOCK_VIRTUAL, device->lock, timeout_expired, serial);
    return true;
}

static void serial_unrealize(Device *device)
{
    Serial *serial = serial_of(device);

    char_detach(&serial->frontend);
    timer_destroy(&serial->timeout);
}

/* The back-end is attached when the property is set, realized or not. */
static void serial_finalize(Object *object) { char_detach(&((Serial *)object)->frontend); }

static void serial_reset(Device *device, ResetKind kind)
{
    Serial *serial = serial_of(device);

    serial->receive_first = serial->receive_count = 0;
    serial->transmit_first = serial->transmit_count = 0;
    serial->transmit_interrupt = serial->receive_timeout = false;
    timer_cancel(&serial->timeout);
}

static void serial_settle(Device *device)
{
    Serial *serial = serial_of(device);

    update_irq(serial);
    post_update_host(serial);
    char_accept_input(&serial->frontend);
}

static const Property properties[] = {
    PROP("baudbase", type_uint32, Serial, baudbase, "115200", "bits a second when the divisor is 1"),
    PROP_CHARDEV("chardev", Serial, frontend),
    PROP_END,
};

const DeviceClass serial_class = {
    .class = {
        .name = "serial",
        .parent = &device_class.class,
        .description = "NS16550A UART, without a bus",
        .size = sizeof(Serial),
        .properties = properties,
        .init = serial_init,
        .finalize = serial_finalize,
    },
    .category = "Input",
    .banks = banks,
    .bank_count = ARRAY_SIZE(banks),
    .state = &state_table,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .settle = serial_settle,
};
