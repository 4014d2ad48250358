/* Text of instructions, from the decode tables. Compressed ones are shown as what they stand for. */
#include "guest/riscv/translate.h"

#include "base/bytes.h"
#include "base/strbuf.h"

#include <inttypes.h>

typedef struct Place {
    const RiscvConfig *config;
    uint64_t pc;
} Place;

static void print_fence_set(int32_t set, StrBuf *buffer)
{
    for (unsigned i = 0; i < 4; i++) {
        if (set >> (3 - i) & 1) {
            strbuf_append_char(buffer, "iorw"[i]);
        }
    }
    strbuf_append(buffer, set ? "" : "unknown");
}

static void print_rounding(int32_t mode, StrBuf *buffer)
{
    static const char *const names[] = { "rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", NULL };

    if (names[mode]) {
        strbuf_printf(buffer, ",%s", names[mode]);
    }
}

/* .aq, .rl or .aqrl: both letters come in turn. */
static void print_order(char kind, int32_t value, const RiscvInsn *insn, StrBuf *buffer)
{
    if (value) {
        strbuf_append(buffer, kind == 'q' ? ".aq" : insn->aq ? "rl" : ".rl");
    }
}

/* {ra,s0-s3} */
static void print_register_list(int32_t list, StrBuf *buffer)
{
    static const char *const rests[] = { "", ",s0", ",s0-s1", ",s0-s2", ",s0-s3", ",s0-s4",
                                         ",s0-s5", ",s0-s6", ",s0-s7", ",s0-s8", ",s0-s9", ",s0-s11" };
    strbuf_printf(buffer, "{ra%s}", rests[list - 4]);
}

static void print_operand(const void *insn, char kind, int32_t value, const void *context, StrBuf *buffer)
{
    const Place *place = context;

    switch (kind) {
    case 'x':
        strbuf_append(buffer, riscv_x_names[value]);
        break;
    case 'f':
    case 'd':
        strbuf_append(buffer, place->config->zfinx ? riscv_x_names[value] : riscv_f_names[value]);
        break;
    case 'y':
        print_register_list(value, buffer);
        break;
    case 'z':
        strbuf_printf(buffer, "%u", riscv_stack_adjustment(place->config, insn));
        break;
    case 'n':
        strbuf_printf(buffer, "-%u", riscv_stack_adjustment(place->config, insn));
        break;
    case 's':
        strbuf_printf(buffer, "s%" PRId32, value);
        break;
    case 'l':
        strbuf_append(buffer, riscv_fli_text(value));
        break;
    case 'i':
        strbuf_printf(buffer, "%" PRId32, value);
        break;
    case 'u':
        strbuf_printf(buffer, "0x%" PRIx32, (uint32_t)value >> 12);
        break;
    case 'b':
        strbuf_printf(buffer, "0x%" PRIx64, riscv_truncate(place->config, place->pc + (uint64_t)(int64_t)value));
        break;
    case 'c':
        riscv_csr_name(place->config, (unsigned)value, buffer);
        break;
    case 'm':
        print_rounding(value, buffer);
        break;
    case 'p':
        print_fence_set(value, buffer);
        break;
    default:
        print_order(kind, value, insn, buffer);
        break;
    }
}

void riscv_print_insn(const RiscvConfig *config, uint64_t pc, const RiscvInsn *insn, bool aliases, StrBuf *buffer)
{
    const Place place = { config, pc };
    decode_print(&riscv_decode_table, insn->opcode, insn, aliases, print_operand, &place, buffer);
}

unsigned riscv_disassemble(const Cpu *cpu, uint64_t pc, const uint8_t *bytes, unsigned count, StrBuf *buffer)
{
    RiscvInsn insn;

    if (count < 2) {
        return 0;
    }
    bool wide = (bytes[0] & 3) == 3;
    if (wide && count < 4) {
        return 0;
    }
    uint32_t bits = wide ? load_le32(bytes) : load_le16(bytes);
    RiscvOpcode opcode = riscv_decode(cpu->config, bits, &insn);
    if (opcode < RISCV_LUI) {
        strbuf_printf(buffer, wide ? ".insn           0x%08" PRIx32 : ".insn           0x%04" PRIx32, bits);
    } else {
        riscv_print_insn(cpu->config, pc, &insn, true, buffer);
    }
    return wide ? 4 : 2;
}
