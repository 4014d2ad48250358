/*
 * What gen/decode.py makes beside a decoder: the table of a guest's encodings, for disassembly and for tests. Texts
 * stand in the rows themselves: a pointer to each would have to be relocated whenever a program starts.
 */
#pragma once

#include "base/compiler.h"

typedef struct StrBuf StrBuf;

/* Text of an instruction: `%`, a letter for the kind of operand, a letter for the operand ('A' is the first). */
typedef struct DecodeInstruction {
    char mnemonic[16];
    char suffix[8]; /* right behind the mnemonic */
    char operands[20];
} DecodeInstruction;

/* Shorter text for an instruction whose operands are such; letters as above. */
typedef struct DecodeAlias {
    uint16_t opcode;
    char mnemonic[16];
    char operands[20];
    struct {
        char operand;  /* 0: no condition */
        char same_as;  /* the operand that it equals; 0: it has the value */
        int32_t value;
    } conditions[3];
} DecodeAlias;

/* A line of a decode file. */
typedef struct DecodeRow {
    char mnemonic[16];
    char conditions[24];    /* as the file has them */
    uint32_t mask, value;   /* the bits that are fixed */
    uint16_t opcode;        /* index in instructions */
    uint8_t length;         /* bytes */
} DecodeRow;

typedef struct DecodeTable {
    const DecodeRow *rows;
    size_t row_count;
    const DecodeInstruction *instructions;
    size_t instruction_count;
    const DecodeAlias *aliases; /* in order of preference */
    size_t alias_count;
    const uint16_t *operand_offsets; /* of int32_t in the guest's decoded instruction */
    size_t operand_count;
} DecodeTable;

/* Appends one operand; `insn` is the guest's decoded instruction. */
typedef void DecodePrintOperand(const void *insn, char kind, int32_t value, const void *context, StrBuf *buffer);

/* Appends "mnemonic operands"; with `aliases`, by the first alias that fits if there is one. */
void decode_print(const DecodeTable *table, unsigned opcode, const void *insn, bool aliases, DecodePrintOperand *print,
                  const void *context, StrBuf *buffer);
/* Calls `visit` for each operand that the instruction's text shows: its kind and value. */
void decode_each_operand(const DecodeTable *table, unsigned opcode, const void *insn,
                         void (*visit)(char kind, int32_t value, void *context), void *context);
