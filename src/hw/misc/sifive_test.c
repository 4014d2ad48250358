/*
 * SiFive's test finisher ("riscv.sifive.test"): a register whose writing ends the run or resets the machine.
 *
 * After SiFive's freedom platform (devices/testing) and its use as a "syscon" by the firmware and Linux
 * (Documentation/devicetree/bindings/power/reset/syscon-poweroff.yaml).
 */
#include "base/log.h"
#include "core/device.h"
#include "core/fdt.h"
#include "core/machine.h"

#include <inttypes.h>

enum { STATUS_FAIL = 0x3333, STATUS_PASS = 0x5555, STATUS_RESET = 0x7777 };

static AccessResult finish_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Machine *machine = device->machine;

    switch (value & 0xffff) {
    case STATUS_FAIL:
        machine_request_shutdown(machine, SHUTDOWN_GUEST_PANIC, (int)(value >> 16 & 0xffff));
        break;
    case STATUS_PASS:
        machine_request_shutdown(machine, SHUTDOWN_GUEST_SHUTDOWN, 0);
        break;
    case STATUS_RESET:
        machine_request_reset(machine, SHUTDOWN_GUEST_RESET);
        break;
    default:
        log_guest_error(device_log(device), "%s: unknown status 0x%04" PRIx64 "\n", device_name(device),
                        value & 0xffff);
    }
    return ACCESS_OK;
}

static const Register registers[] = {
    REG_HOOK(FINISH, 0, .write_only = true, .write = finish_write),
};

static const RegisterBank banks[] = {
    { .name = "riscv.sifive.test", .size = 0x1000, .registers = registers, .count = ARRAY_SIZE(registers),
      .valid_minimum = 2, .valid_maximum = 4 },
};

static void sifive_test_write_fdt(Device *device, FdtWriter *fdt)
{
    const Placement *placement = &device->placement;

    fdt_begin(fdt, "test@%" PRIx64, placement->addresses[0]);
    fdt_texts(fdt, "compatible", (const char *const[]){ "sifive,test1", "sifive,test0", "syscon" }, 3);
    fdt_reg(fdt, (const uint64_t[]){ placement->addresses[0], placement->sizes[0] }, 1);
    fdt_u32(fdt, "phandle", placement->phandle);
    fdt_end(fdt);
}

const DeviceClass sifive_test_class = {
    .class = {
        .name = "riscv.sifive.test",
        .parent = &sysbus_device_class.class,
        .description = "SiFive test finisher: power-off, failure and reset",
    },
    .category = "Misc",
    .banks = banks,
    .bank_count = ARRAY_SIZE(banks),
    .write_fdt = sifive_test_write_fdt,
};
