/* HMP's print, x, xp, sum: values, registers, memory, instructions. The guest stands still while it is looked at. */
#include "monitor/monitor_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "core/vcpu.h"
#include "monitor/format.h"
#include "schema/hmp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_INSTRUCTION = 16, LARGEST_SUM = 1 << 30 };

Vcpu *monitor_vcpu(Monitor *monitor, Error **error)
{
    Machine *machine = monitor->control->machine;
    if ((size_t)monitor->cpu_index >= machine->vcpus.count) {
        error_set(error, "there is no CPU");
        return NULL;
    }
    return machine->vcpus.items[monitor->cpu_index];
}

bool monitor_register(void *data, const char *name, uint64_t *value)
{
    Monitor *monitor = data;
    Vcpu *vcpu = monitor_vcpu(monitor, NULL);
    if (!vcpu || !vcpu->cpu) {
        return false;
    }
    const Guest *guest = vcpu->cpu->guest;
    machine_park(monitor->control->machine);
    bool found = !strcmp(name, "pc");
    *value = found ? guest->pc(vcpu->cpu) : 0;
    for (uint32_t i = 0; i < guest->ir.register_count && !found; i++) {
        const GuestRegister *row = &guest->ir.registers[i];
        found = !strcmp(row->name, name);
        if (found) {
            *value = load_le((const char *)cpu_state(vcpu->cpu) + row->offset, MIN(row->bits / 8, 8));
        }
    }
    machine_unpark(monitor->control->machine);
    return found;
}

static ValueFormat *last_format(Monitor *monitor)
{
    if (!monitor->format.size) {
        monitor->format = (ValueFormat){ .letter = 'x', .size = 4 };
    }
    return &monitor->format;
}

bool hmp_print(Monitor *monitor, const PrintHmpArguments *arguments, StrBuf *output, Error **error)
{
    ValueFormat format = { .letter = 'x', .size = 8 };
    if (!format_read(arguments->format, &format, error)) {
        return false;
    }
    format_append_plain(format.letter, arguments->value, output);
    strbuf_append(output, "\n");
    return true;
}

/* -- memory ----------------------------------------------------------------------------------------------------- */

typedef bool ReadMemory(Monitor *monitor, uint64_t address, void *bytes, size_t count);

static bool read_virtual(Monitor *monitor, uint64_t address, void *bytes, size_t count)
{
    Vcpu *vcpu = monitor_vcpu(monitor, NULL);
    return vcpu && vcpu->cpu && cpu_debug_read(vcpu->cpu, address, bytes, count);
}

static bool read_physical(Monitor *monitor, uint64_t address, void *bytes, size_t count)
{
    const Access access = { .debug = true, .requester_kind = REQUESTER_DEBUGGER };
    return address_space_read(monitor->control->machine->address_space, &access, address, bytes, count) == ACCESS_OK;
}

static void dump_line(const ValueFormat *format, uint64_t address, const uint8_t *bytes, size_t values, StrBuf *out)
{
    strbuf_printf(out, "%016" PRIx64 ":", address);
    for (size_t i = 0; i < values; i++) {
        strbuf_append_char(out, ' ');
        format_append(format, load_le(bytes + i * format->size, format->size), out);
    }
    strbuf_append_char(out, '\n');
}

static void dump_values(Monitor *monitor, const ValueFormat *format, uint64_t address, ReadMemory *read, StrBuf *out)
{
    uint8_t bytes[16];
    ValueFormat shown = *format;
    size_t left = format->count;
    if (format->letter == 'c') {
        left *= format->size;
        shown.size = 1;
    }
    size_t in_line = (shown.size == 1 ? 8 : sizeof bytes) / shown.size;
    while (left) {
        size_t values = MIN(left, in_line);
        if (!read(monitor, address, bytes, values * shown.size)) {
            strbuf_printf(out, "%016" PRIx64 ": Cannot access memory\n", address);
            return;
        }
        dump_line(&shown, address, bytes, values, out);
        address += values * shown.size;
        left -= values;
    }
}

/* As many bytes as can be read of those that an instruction may have. */
static unsigned read_instruction(Monitor *monitor, uint64_t address, ReadMemory *read, uint8_t *bytes)
{
    unsigned count = 0;
    while (count < LONGEST_INSTRUCTION && read(monitor, address + count, bytes + count, 2)) {
        count += 2;
    }
    return count;
}

static bool dump_instructions(Monitor *monitor, unsigned count, uint64_t address, ReadMemory *read, StrBuf *out,
                              Error **error)
{
    uint8_t bytes[LONGEST_INSTRUCTION];
    Vcpu *vcpu = monitor_vcpu(monitor, error);
    if (!vcpu || !vcpu->cpu) {
        return false;
    }
    for (; count; count--) {
        AUTO_STRBUF(text);
        unsigned available = read_instruction(monitor, address, read, bytes);
        unsigned length = vcpu->cpu->guest->disassemble(vcpu->cpu, address, bytes, available, &text);
        if (!length) {
            strbuf_printf(out, "0x%08" PRIx64 ": Cannot access memory\n", address);
            return true;
        }
        strbuf_printf(out, "0x%08" PRIx64 ":  %0*" PRIx64 "%*s%s\n", address, (int)MIN(length, 8u) * 2,
                      load_le(bytes, MIN(length, 8u)), length < 8 ? 18 - 2 * (int)length : 2, "", strbuf_text(&text));
        address += length;
    }
    return true;
}

static bool dump_memory(Monitor *monitor, const char *text, uint64_t address, ReadMemory *read, StrBuf *out,
                        Error **error)
{
    ValueFormat *format = last_format(monitor);
    ValueFormat wanted = *format;
    bool ok = true;
    if (!format_read(text, &wanted, error)) {
        return false;
    }
    *format = wanted;
    machine_park(monitor->control->machine);
    if (format->letter == 'i') {
        ok = dump_instructions(monitor, format->count, address, read, out, error);
    } else {
        dump_values(monitor, format, address, read, out);
    }
    machine_unpark(monitor->control->machine);
    return ok;
}

bool hmp_x(Monitor *monitor, const XHmpArguments *arguments, StrBuf *output, Error **error)
{
    return monitor_vcpu(monitor, error) &&
           dump_memory(monitor, arguments->format, arguments->address, read_virtual, output, error);
}

bool hmp_xp(Monitor *monitor, const XpHmpArguments *arguments, StrBuf *output, Error **error)
{
    return dump_memory(monitor, arguments->format, arguments->address, read_physical, output, error);
}

/* BSD's checksum of 16 bits: rotate right by one, add the byte. */
bool hmp_sum(Monitor *monitor, const SumHmpArguments *arguments, StrBuf *output, Error **error)
{
    uint16_t sum = 0;
    bool ok = true;
    if (arguments->size < 0 || arguments->size > LARGEST_SUM) {
        return error_set(error, "the size must be from 0 to 1 GiB");
    }
    machine_park(monitor->control->machine);
    for (int64_t at = 0; at < arguments->size && ok; at++) {
        uint8_t byte = 0;
        ok = read_physical(monitor, arguments->start + at, &byte, 1);
        sum = (sum >> 1 | sum << 15) + byte;
    }
    machine_unpark(monitor->control->machine);
    strbuf_printf(output, ok ? "%05u\n" : "Cannot access memory\n", sum);
    return true;
}

bool hmp_cpu(Monitor *monitor, const CpuHmpArguments *arguments, StrBuf *output, Error **error)
{
    size_t count = monitor->control->machine->vcpus.count;
    if (arguments->index < 0 || (uint64_t)arguments->index >= count) {
        return error_set(error, "invalid CPU index %" PRId64 ": there are %zu", arguments->index, count);
    }
    monitor->cpu_index = arguments->index;
    return true;
}
