/*
 * The UART that ns16550.c models, for the devices that put it on a bus: sysbus ("serial-mm"), later ISA and PCI. Each
 * has one as a child named "serial", shows its properties as aliases and maps its one region.
 */
#pragma once

#include "char/char.h"
#include "core/device.h"

enum { SERIAL_FIFO_SIZE = 16, SERIAL_REGISTERS_SIZE = 8 };

typedef struct Serial {
    Device device;
    CharFrontend frontend;
    uint32_t baudbase; /* property: bits a second at divisor 1 */
    ClockInput clock;  /* 16 ticks for each of those bits */
    Irq **intr;        /* the output of the device around it; NULL: none */
    /* registers */
    uint8_t rbr, dll, dlm, ier, fcr, lcr, mcr, lsr, msr, scr;
    /* received characters, each with the LSR bits that go with it; one deep while FIFOs are off */
    uint8_t receive_data[SERIAL_FIFO_SIZE], receive_status[SERIAL_FIFO_SIZE];
    uint8_t receive_first, receive_count;
    uint8_t transmit_data[SERIAL_FIFO_SIZE];
    uint8_t transmit_first, transmit_count;
    bool transmit_interrupt; /* the transmitter became empty; until IIR told so or THR is written */
    bool receive_timeout;    /* four character times without a read or a new character */
    Timer timeout;
    bool update_posted; /* a call of serial_update_host is on its way */
} Serial;
extern const DeviceClass serial_class; /* "serial" */
