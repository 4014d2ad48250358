/* Text out of the tables that gen/decode.py makes. */
#include "guest/decode.h"

#include "base/strbuf.h"

#include <string.h>

static int32_t operand_value(const DecodeTable *table, const void *insn, char letter)
{
    return *(const int32_t *)((const char *)insn + table->operand_offsets[letter - 'A']);
}

static void print_template(const DecodeTable *table, const char *text, const void *insn, DecodePrintOperand *print,
                           const void *context, StrBuf *buffer)
{
    while (*text) {
        if (*text == '%') {
            print(insn, text[1], operand_value(table, insn, text[2]), context, buffer);
            text += 3;
        } else {
            strbuf_append_char(buffer, *text++);
        }
    }
}

void decode_print(const DecodeTable *table, unsigned opcode, const void *insn, DecodePrintOperand *print,
                  const void *context, StrBuf *buffer)
{
    const DecodeInstruction *instruction = &table->instructions[opcode];
    size_t start = buffer->length;
    strbuf_append(buffer, instruction->mnemonic);
    print_template(table, instruction->suffix, insn, print, context, buffer);
    if (*instruction->operands) {
        size_t width = buffer->length - start;
        strbuf_printf(buffer, "%*s", width < 16 ? (int)(16 - width) : 1, "");
        print_template(table, instruction->operands, insn, print, context, buffer);
    }
}

void decode_each_operand(const DecodeTable *table, unsigned opcode, const void *insn,
                         void (*visit)(char kind, int32_t value, void *context), void *context)
{
    for (const char *text = table->instructions[opcode].operands; (text = strchr(text, '%')); text += 3) {
        visit(text[1], operand_value(table, insn, text[2]), context);
    }
}
