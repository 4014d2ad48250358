/* Registers as gdb wants them told: target.xml, made from the guest's register table by its groups. */
#include "cpu/guest.h"
#include "gdb/internal.h"

#include <string.h>

static bool is_described(const Guest *guest, const GuestRegister *reg)
{
    return reg->group < guest->gdb_feature_count && guest->gdb_features[reg->group] &&
           !(reg->flags & GUEST_REGISTER_HIDDEN);
}

int gdb_register_row(const Guest *guest, unsigned number)
{
    unsigned seen = 0;

    for (unsigned group = 0; group < guest->gdb_feature_count; group++) {
        for (unsigned i = 0; i < guest->ir.register_count; i++) {
            const GuestRegister *reg = &guest->ir.registers[i];
            if (reg->group == group && is_described(guest, reg) && seen++ == number) {
                return (int)i;
            }
        }
    }
    return -1;
}

static const char *type_of(const Guest *guest, unsigned row)
{
    const GuestRegister *reg = &guest->ir.registers[row];

    return row == guest->ir.pc_register         ? "code_ptr"
           : reg->flags & GUEST_REGISTER_FLOAT ? (reg->bits == 64 ? "ieee_double" : "ieee_single")
                                               : "int";
}

unsigned gdb_register_count(const Guest *guest)
{
    unsigned count = 0;

    for (unsigned i = 0; i < guest->ir.register_count; i++) {
        count += is_described(guest, &guest->ir.registers[i]);
    }
    return count;
}

void gdb_describe(const Gdb *gdb, StrBuf *xml)
{
    const Guest *guest = gdb->target->guest;

    strbuf_printf(xml,
                  "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
                       "<architecture>%s</architecture>\n", guest->gdb_architecture);
    strbuf_append(xml, gdb->target->object ? "<osabi>GNU/Linux</osabi>\n" : "");
    for (unsigned group = 0; group < guest->gdb_feature_count; group++) {
        strbuf_printf(xml, "<feature name=\"%s\">\n", guest->gdb_features[group]);
        for (unsigned i = 0; i < guest->ir.register_count; i++) {
            const GuestRegister *reg = &guest->ir.registers[i];
            if (reg->group == group && is_described(guest, reg)) {
                strbuf_printf(xml, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>\n", reg->name, reg->bits,
                              type_of(guest, i));
            }
        }
        strbuf_append(xml, "</feature>\n");
    }
    if (gdb->target->list) {
        gdb->target->list(gdb->data, gdb_register_count(guest), xml);
    }
    strbuf_append(xml, "</target>\n");
}
