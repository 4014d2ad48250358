/*
 * The order in which firmware looks for something to boot, which devices' property bootindex gives. Firmware reads
 * it from files of fw_cfg, where devices go by Open Firmware's paths.
 */
#pragma once

#include "base/compiler.h"

typedef struct Device Device;
typedef struct Error Error;
typedef struct Machine Machine;
typedef struct StrBuf StrBuf;

/* A disk's geometry as firmware is to show it; all zeroes: it is left to firmware. */
typedef struct BootGeometry {
    uint32_t cylinders, heads, sectors;
} BootGeometry;

/* Puts a device that is being realized at a place of the order; a negative one is none. False where it is taken. */
bool boot_order_add(Device *device, int32_t index, const BootGeometry *geometry, Error **error);
void boot_order_remove(Device *device); /* nothing where it was not added */
/* The contents of "bootorder" and "bios-geometry": a line for each device that they have, and a NUL at the end; nothing
 * where there is none. */
void boot_order_write(const Machine *machine, StrBuf *order, StrBuf *geometry);
