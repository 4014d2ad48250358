/* Packets about registers, memory, breakpoints and watchpoints. */
#include "base/bytes.h"
#include "base/vec.h"
#include "cpu/cpu.h"
#include "gdb/internal.h"

#include <string.h>

enum { REGISTER_BYTES = 64 };

static Cpu *current_cpu(Gdb *gdb)
{
    Cpu *cpu = gdb->thread > 0 ? gdb->target->cpu(gdb->data, gdb->thread) : NULL;

    if (!cpu && gdb->target->thread(gdb->data, 0, &gdb->thread)) {
        cpu = gdb->target->cpu(gdb->data, gdb->thread);
    }
    return cpu;
}

/* -- registers ----------------------------------------------------------------------------------------------------- */

static void append_register(const Cpu *cpu, const GuestRegister *reg, StrBuf *text)
{
    gdb_append_hex(text, cpu->exec.state + reg->offset, reg->bits / 8);
}

GdbAnswer gdb_read_registers(Gdb *gdb, char *arguments, size_t length)
{
    const Guest *guest = gdb->target->guest;
    Cpu *cpu = current_cpu(gdb);
    int row;

    if (!cpu) {
        return ANSWER_ERROR;
    }
    for (unsigned i = 0; (row = gdb_register_row(guest, i)) >= 0; i++) {
        append_register(cpu, &guest->ir.registers[row], &gdb->reply);
    }
    return ANSWER_REPLY;
}

/* From hexadecimal digits; the number of digits used. */
static size_t set_register(Cpu *cpu, unsigned row, const char *digits)
{
    const GuestRegister *reg = &cpu->guest->ir.registers[row];
    uint8_t bytes[REGISTER_BYTES] = { 0 };
    size_t size = gdb_parse_hex(digits, bytes, MIN(reg->bits / 8u, sizeof bytes));

    if (size * 8 != reg->bits) {
        return 0;
    }
    if (row == cpu->guest->ir.pc_register) {
        cpu->guest->set_pc(cpu, load_le(bytes, (unsigned)size));
    } else if (strcmp(reg->name, "zero")) { /* always what it says */
        memcpy(cpu->exec.state + reg->offset, bytes, size);
    }
    return 2 * size;
}

GdbAnswer gdb_write_registers(Gdb *gdb, char *arguments, size_t length)
{
    Cpu *cpu = current_cpu(gdb);
    int row;

    for (unsigned i = 0; cpu && *arguments && (row = gdb_register_row(cpu->guest, i)) >= 0; i++) {
        size_t used = set_register(cpu, (unsigned)row, arguments);
        if (!used) {
            return ANSWER_ERROR;
        }
        arguments += used;
    }
    return cpu ? ANSWER_OK : ANSWER_ERROR;
}

GdbAnswer gdb_read_register(Gdb *gdb, char *arguments, size_t length)
{
    Cpu *cpu = current_cpu(gdb);
    unsigned number = (unsigned)gdb_parse_number(&arguments), size;
    int row = gdb_register_row(gdb->target->guest, number);
    uint8_t bytes[8];

    if (cpu && row >= 0) {
        append_register(cpu, &cpu->guest->ir.registers[row], &gdb->reply);
        return ANSWER_REPLY;
    }
    size = cpu && gdb->target->get ? gdb->target->get(gdb->data, gdb->thread, number, bytes) : 0;
    gdb_append_hex(&gdb->reply, bytes, size);
    return size ? ANSWER_REPLY : ANSWER_ERROR;
}

GdbAnswer gdb_write_register(Gdb *gdb, char *arguments, size_t length)
{
    Cpu *cpu = current_cpu(gdb);
    unsigned number = (unsigned)gdb_parse_number(&arguments);
    int row = gdb_register_row(gdb->target->guest, number);
    uint8_t bytes[8];

    if (cpu && row < 0 && gdb->target->set) {
        size_t size = gdb_parse_hex(arguments, bytes, sizeof bytes);
        return gdb->target->set(gdb->data, gdb->thread, number, bytes, size) ? ANSWER_OK : ANSWER_ERROR;
    }
    return cpu && row >= 0 && set_register(cpu, (unsigned)row, arguments) ? ANSWER_OK : ANSWER_ERROR;
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

GdbAnswer gdb_read_memory(Gdb *gdb, char *arguments, size_t length)
{
    uint64_t address = gdb_parse_number(&arguments), wanted = gdb_parse_number(&arguments);
    size_t size = MIN(wanted, GDB_DATA_MAXIMUM);
    AUTO_FREE uint8_t *bytes = mem_alloc(size + 1);

    /* What can be read of it from the start. */
    while (size && !gdb->target->read(gdb->data, gdb->thread, address, bytes, size)) {
        uint64_t in_page = (address + size - 1) & 4095;
        size = size > in_page + 1 ? size - in_page - 1 : 0;
    }
    gdb_append_hex(&gdb->reply, bytes, size);
    return size ? ANSWER_REPLY : ANSWER_ERROR;
}

GdbAnswer gdb_write_memory(Gdb *gdb, char *arguments, size_t length)
{
    uint64_t address = gdb_parse_number(&arguments), size = gdb_parse_number(&arguments);
    uint8_t bytes[GDB_DATA_MAXIMUM];

    return size <= sizeof bytes && gdb_parse_hex(arguments, bytes, size) == size &&
                   gdb->target->write(gdb->data, gdb->thread, address, bytes, size)
               ? ANSWER_OK
               : ANSWER_ERROR;
}

GdbAnswer gdb_write_bytes(Gdb *gdb, char *arguments, size_t length)
{
    char *start = arguments;
    uint64_t address = gdb_parse_number(&arguments), size = gdb_parse_number(&arguments);
    size_t rest = length - (size_t)(arguments - start);

    return size == rest && (!size || gdb->target->write(gdb->data, gdb->thread, address, arguments, size))
               ? ANSWER_OK
               : ANSWER_ERROR;
}

static GdbAnswer change_point(Gdb *gdb, char *arguments, bool (*change)(void *, GdbPoint, uint64_t, uint64_t))
{
    uint64_t kind = gdb_parse_number(&arguments), address = gdb_parse_number(&arguments);
    uint64_t size = gdb_parse_number(&arguments);

    if (kind > GDB_WATCH_ACCESS) {
        return ANSWER_REPLY; /* not known */
    }
    return change(gdb->data, (GdbPoint)kind, address, size) ? ANSWER_OK : ANSWER_ERROR;
}

GdbAnswer gdb_insert_point(Gdb *gdb, char *arguments, size_t length)
{
    return change_point(gdb, arguments, gdb->target->insert);
}

GdbAnswer gdb_remove_point(Gdb *gdb, char *arguments, size_t length)
{
    return change_point(gdb, arguments, gdb->target->remove);
}
