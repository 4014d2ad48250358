/*
 * Writes what the RISC-V decoder makes of encodings, for objdump.py to compare:
 *
 *     dump MODEL < encodings in hexadecimal, one a line       "encoding mnemonic text", or "encoding -"
 *     dump MODEL rows                                         "mask value length conditions mnemonic" of each row
 *
 * The mnemonic is that of the line in the decode files; text is the disassembly at address 0, without aliases.
 */
#include "machine.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "guest/riscv/translate.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of the rows that fit, the one that fixes most bits. */
static const char *line_of(uint32_t bits, const RiscvInsn *insn)
{
    const DecodeRow *best = NULL;

    for (size_t i = 0; i < riscv_decode_table.row_count; i++) {
        const DecodeRow *row = &riscv_decode_table.rows[i];
        bool fits = row->length == insn->length && (bits & row->mask) == row->value && row->opcode == insn->opcode;
        if (fits && (!best || __builtin_popcount(row->mask) > __builtin_popcount(best->mask))) {
            best = row;
        }
    }
    g_assert_nonnull(best);
    return best->mnemonic;
}

static void dump(const TestMachine *machine, uint32_t bits)
{
    RiscvInsn insn;
    AUTO_STRBUF(text);

    if (riscv_decode(machine->cpu->config, bits, &insn) < RISCV_LUI) {
        printf("%08" PRIx32 " -\n", bits);
        return;
    }
    riscv_print_insn(machine->cpu->config, 0, &insn, false, &text);
    printf("%08" PRIx32 " %s %s\n", bits, line_of(bits, &insn), strbuf_text(&text));
}

int main(int argc, char **argv)
{
    g_assert_cmpint(argc, >=, 2);
    TestMachine *machine = test_machine_new(argv[1]);
    uint32_t bits;

    for (size_t i = 0; argc > 2 && i < riscv_decode_table.row_count; i++) {
        const DecodeRow *row = &riscv_decode_table.rows[i];
        g_autofree char *conditions = g_strdelimit(g_strdup(row->conditions), " ", ',');
        printf("%08" PRIx32 " %08" PRIx32 " %u %s %s\n", row->mask, row->value, row->length,
               *conditions ? conditions : "-", row->mnemonic);
    }
    while (argc == 2 && scanf("%" SCNx32, &bits) == 1) {
        dump(machine, bits);
    }
    test_machine_free(machine);
    return 0;
}
