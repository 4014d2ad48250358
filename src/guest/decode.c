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

static bool alias_fits(const DecodeTable *table, const DecodeAlias *alias, const void *insn)
{
    for (size_t i = 0; i < ARRAY_SIZE(alias->conditions) && alias->conditions[i].operand; i++) {
        char same_as = alias->conditions[i].same_as;
        int32_t wanted = same_as ? operand_value(table, insn, same_as) : alias->conditions[i].value;
        if (operand_value(table, insn, alias->conditions[i].operand) != wanted) {
            return false;
        }
    }
    return true;
}

static const DecodeAlias *find_alias(const DecodeTable *table, unsigned opcode, const void *insn)
{
    for (size_t i = 0; i < table->alias_count; i++) {
        if (table->aliases[i].opcode == opcode && alias_fits(table, &table->aliases[i], insn)) {
            return &table->aliases[i];
        }
    }
    return NULL;
}

void decode_print(const DecodeTable *table, unsigned opcode, const void *insn, bool aliases, DecodePrintOperand *print,
                  const void *context, StrBuf *buffer)
{
    const DecodeInstruction *instruction = &table->instructions[opcode];
    const DecodeAlias *alias = aliases ? find_alias(table, opcode, insn) : NULL;
    const char *operands = alias ? alias->operands : instruction->operands;
    size_t start = buffer->length;

    strbuf_append(buffer, alias ? alias->mnemonic : instruction->mnemonic);
    print_template(table, instruction->suffix, insn, print, context, buffer);
    if (*operands) {
        size_t width = buffer->length - start;
        strbuf_printf(buffer, "%*s", width < 16 ? (int)(16 - width) : 1, "");
        print_template(table, operands, insn, print, context, buffer);
    }
}

void decode_each_operand(const DecodeTable *table, unsigned opcode, const void *insn,
                         void (*visit)(char kind, int32_t value, void *context), void *context)
{
    for (const char *text = table->instructions[opcode].operands; (text = strchr(text, '%')); text += 3) {
        visit(text[1], operand_value(table, insn, text[2]), context);
    }
}
