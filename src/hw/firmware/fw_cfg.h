/* What a board puts into the firmware configuration device. Items are copied; all are added before the machine runs. */
#pragma once

#include "core/device.h"

/* Keys of fixed items. */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
};

/* An item that is there already is replaced. */
void fw_cfg_add_bytes(Device *fw_cfg, uint16_t key, const void *bytes, uint32_t size);
void fw_cfg_add_integer(Device *fw_cfg, uint16_t key, unsigned size, uint64_t value); /* little-endian */
void fw_cfg_add_text(Device *fw_cfg, uint16_t key, const char *text);                 /* with its NUL */
/* A named file, "etc/..." or "opt/...". False when the name is too long or there are too many. */
bool fw_cfg_add_file(Device *fw_cfg, const char *name, const void *bytes, uint32_t size, Error **error);
