/*
 * The register table: every byte of RiscvState, by name, for IR, debuggers, saved state and logs; and what `info
 * registers` prints.
 */
#include "guest/riscv/internal.h"

#include "base/strbuf.h"

#include <inttypes.h>

/* X(number, ABI name) */
#define X_NAMES(X) \
    X(0, zero) X(1, ra) X(2, sp) X(3, gp) X(4, tp) X(5, t0) X(6, t1) X(7, t2) X(8, s0) X(9, s1) X(10, a0) X(11, a1) \
    X(12, a2) X(13, a3) X(14, a4) X(15, a5) X(16, a6) X(17, a7) X(18, s2) X(19, s3) X(20, s4) X(21, s5) X(22, s6) \
    X(23, s7) X(24, s8) X(25, s9) X(26, s10) X(27, s11) X(28, t3) X(29, t4) X(30, t5) X(31, t6)
#define F_NAMES(X) \
    X(0, ft0) X(1, ft1) X(2, ft2) X(3, ft3) X(4, ft4) X(5, ft5) X(6, ft6) X(7, ft7) X(8, fs0) X(9, fs1) X(10, fa0) \
    X(11, fa1) X(12, fa2) X(13, fa3) X(14, fa4) X(15, fa5) X(16, fa6) X(17, fa7) X(18, fs2) X(19, fs3) X(20, fs4) \
    X(21, fs5) X(22, fs6) X(23, fs7) X(24, fs8) X(25, fs9) X(26, fs10) X(27, fs11) X(28, ft8) X(29, ft9) X(30, ft10) \
    X(31, ft11)

const char *const riscv_x_names[32] = {
#define X(number_, name_) #name_,
    X_NAMES(X)
#undef X
};
const char *const riscv_f_names[32] = {
#define X(number_, name_) #name_,
    F_NAMES(X)
#undef X
};

enum { GROUP_GENERAL, GROUP_FLOAT, GROUP_CSR };

#define ROW(name_, member_, bits_, group_, flags_) \
    { name_, offsetof(RiscvState, member_), bits_, group_, flags_ }
#define X_ROW_64(number_, name_) ROW(#name_, x[number_], 64, GROUP_GENERAL, 0),
#define X_ROW_32(number_, name_) ROW(#name_, x[number_], 32, GROUP_GENERAL, 0),
#define F_ROW(number_, name_) ROW(#name_, f[number_], 64, GROUP_FLOAT, GUEST_REGISTER_FLOAT),
#define CSR(name_) ROW(#name_, name_, 64, GROUP_CSR, GUEST_REGISTER_HIDDEN)
#define HIDDEN(name_, member_, bits_) ROW(name_, member_, bits_, GROUP_CSR, GUEST_REGISTER_HIDDEN)
#define DERIVED(name_, member_, bits_) \
    ROW(name_, member_, bits_, GROUP_CSR, GUEST_REGISTER_HIDDEN | GUEST_REGISTER_NOT_SAVED)

#define PMP_ADDRESS(index_) HIDDEN("pmpaddr" #index_, pmpaddr[index_], 64),
#define PMP_ADDRESSES(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) \
    X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) \
    X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63)

#define TRIGGER(index_) \
    HIDDEN("tdata1." #index_, tdata1[index_], 64), HIDDEN("tdata2." #index_, tdata2[index_], 64), \
    HIDDEN("tdata3." #index_, tdata3[index_], 64),
#define COUNTER(index_) HIDDEN("mhpmcounter" #index_, counter[index_], 64),
#define EVENT(index_) HIDDEN("mhpmevent" #index_, mhpmevent[index_], 64),
#define COUNTER_NUMBERS(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)

/* clang-format off */
#define OTHER_REGISTERS \
    HIDDEN("mstatus.fs", fs, 8), \
    HIDDEN("fflags", fp.flags, 8), \
    HIDDEN("frm", frm, 8), \
    HIDDEN("privilege", privilege, 8), \
    DERIVED("stimer", stimer, 8), \
    DERIVED("rounding", fp.rounding, 8), \
    CSR(mstatus), CSR(medeleg), CSR(mideleg), CSR(mie), CSR(mip), CSR(mtvec), CSR(mscratch), CSR(mepc), CSR(mcause), \
    CSR(mtval), CSR(mtval2), CSR(mnscratch), CSR(mnepc), CSR(mncause), CSR(mnstatus), CSR(mcounteren), \
    CSR(mcountinhibit), CSR(menvcfg), CSR(mseccfg), CSR(stvec), CSR(sscratch), CSR(sepc), CSR(scause), CSR(stval), \
    CSR(scounteren), CSR(senvcfg), CSR(satp), CSR(stimecmp), CSR(jvt), \
    HIDDEN("mstateen0", mstateen[0], 64), HIDDEN("mstateen1", mstateen[1], 64), \
    HIDDEN("mstateen2", mstateen[2], 64), HIDDEN("mstateen3", mstateen[3], 64), \
    HIDDEN("sstateen0", sstateen[0], 64), HIDDEN("sstateen1", sstateen[1], 64), \
    HIDDEN("sstateen2", sstateen[2], 64), HIDDEN("sstateen3", sstateen[3], 64), \
    CSR(tselect), CSR(mcontext), CSR(scontext), TRIGGER(0) TRIGGER(1) TRIGGER(2) TRIGGER(3) \
    COUNTER_NUMBERS(COUNTER) COUNTER_NUMBERS(EVENT) \
    PMP_ADDRESSES(PMP_ADDRESS) \
    HIDDEN("pmpcfg0", pmpcfg[0], 64), HIDDEN("pmpcfg2", pmpcfg[8], 64), HIDDEN("pmpcfg4", pmpcfg[16], 64), \
    HIDDEN("pmpcfg6", pmpcfg[24], 64), HIDDEN("pmpcfg8", pmpcfg[32], 64), HIDDEN("pmpcfg10", pmpcfg[40], 64), \
    HIDDEN("pmpcfg12", pmpcfg[48], 64), HIDDEN("pmpcfg14", pmpcfg[56], 64)
/* clang-format on */

const GuestRegister riscv64_registers[RISCV_REGISTER_COUNT] = {
    X_NAMES(X_ROW_64)
    ROW("pc", pc, 64, GROUP_GENERAL, 0),
    F_NAMES(F_ROW)
    OTHER_REGISTERS,
};
const GuestRegister riscv32_registers[RISCV_REGISTER_COUNT] = {
    X_NAMES(X_ROW_32)
    ROW("pc", pc, 32, GROUP_GENERAL, 0),
    F_NAMES(F_ROW)
    OTHER_REGISTERS,
};

/* info registers */

static void print_csrs(Cpu *cpu, StrBuf *buffer)
{
    static const struct {
        const char *name;
        uint16_t number;
    } rows[] = {
        { "mhartid", 0xf14 }, { "mstatus", 0x300 },  { "mstatush", 0x310 }, { "mip", 0x344 },      { "mie", 0x304 },
        { "mideleg", 0x303 }, { "medeleg", 0x302 },  { "mtvec", 0x305 },    { "stvec", 0x105 },    { "mepc", 0x341 },
        { "sepc", 0x141 },    { "mcause", 0x342 },   { "scause", 0x142 },   { "mtval", 0x343 },    { "stval", 0x143 },
        { "mscratch", 0x340 }, { "sscratch", 0x140 }, { "satp", 0x180 },
    };
    int digits = riscv_config(cpu)->xlen / 4;
    uint64_t value;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (riscv_csr_read(cpu, rows[i].number, &value)) {
            strbuf_printf(buffer, " %-8s %0*" PRIx64 "\n", rows[i].name, digits, value);
        }
    }
}

/* Four to a line: " x1/ra    0000000000000000". */
static void print_file(const uint64_t values[32], char letter, const char *const names[32], int digits, StrBuf *buffer)
{
    for (unsigned i = 0; i < 32; i++) {
        size_t start = buffer->length;
        strbuf_printf(buffer, " %c%u/%s", letter, i, names[i]);
        strbuf_printf(buffer, "%*s%0*" PRIx64, (int)(10 - (buffer->length - start)), "", digits, values[i]);
        strbuf_append(buffer, i % 4 == 3 ? "\n" : "");
    }
}

void riscv_print_registers(const Cpu *cpu, bool with_fp, StrBuf *buffer)
{
    const RiscvState *state = riscv_state(cpu);
    int digits = riscv_config(cpu)->xlen / 4;

    strbuf_printf(buffer, " pc       %0*" PRIx64 "\n", digits, state->pc);
    print_csrs((Cpu *)cpu, buffer);
    print_file(state->x, 'x', riscv_x_names, digits, buffer);
    if (with_fp && riscv_config(cpu)->f) {
        unsigned fflags = state->fp.flags & 31; /* the others of FpFlag are other guests' */
        strbuf_printf(buffer, " fcsr     %0*" PRIx64 "\n", digits, (uint64_t)(state->frm << 5 | fflags));
        print_file(state->f, 'f', riscv_f_names, 16, buffer);
    }
}
