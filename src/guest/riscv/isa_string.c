/*
 * How firmware and kernels are told what a processor has: the ISA string of the device tree (riscv,isa), its list form
 * and the paging mode. Names that stand for a fact rather than an instruction are listed where this implementation has
 * that property.
 */
#include "guest/riscv/profile.h"

#include "base/strbuf.h"

#include <string.h>

typedef struct IsaName {
    const char *name;
    bool (*has)(const RiscvConfig *c);
    RiscvPriv since; /* older processors have it without the name */
} IsaName;

#define HAS(name) static bool has_##name(const RiscvConfig *c) { return c->name; }
#define X(name, ...) HAS(name)
RISCV_EXTENSIONS(X)
#undef X

static bool recent_supervisor(const RiscvConfig *c)
{
    return c->s && c->priv_spec >= RISCV_PRIV_1_12;
}

static bool recent_rv64_supervisor(const RiscvConfig *c)
{
    return recent_supervisor(c) && c->xlen == 64;
}

static bool supervisor_of_1_11(const RiscvConfig *c)
{
    return c->s && c->priv_spec >= RISCV_PRIV_1_11;
}

static bool atomics_of_1_11(const RiscvConfig *c)
{
    return supervisor_of_1_11(c) && c->a;
}

static bool atomics_of_1_12(const RiscvConfig *c)
{
    return recent_supervisor(c) && c->a;
}

static bool blocks_of_64(const RiscvConfig *c)
{
    return riscv_blocks_of_64(c) && c->zicbom && c->zicbop && c->zicboz;
}

/* In the order in which an ISA string has them. */
static const IsaName names[] = {
    { "zic64b", blocks_of_64 },
    { "zicbom", has_zicbom },
    { "zicbop", has_zicbop },
    { "zicboz", has_zicboz },
    { "ziccamoa", atomics_of_1_11 },
    { "ziccif", supervisor_of_1_11 },
    { "zicclsm", supervisor_of_1_11 },
    { "ziccrse", atomics_of_1_11 },
    { "zicond", has_zicond },
    { "zicntr", has_zicntr },
    { "zicsr", has_zicsr },
    { "zifencei", has_zifencei },
    { "zihintntl", has_zihintntl },
    { "zihintpause", has_zihintpause },
    { "zihpm", has_zihpm },
    { "zimop", has_zimop },
    { "zmmul", has_zmmul, RISCV_PRIV_1_12 },
    { "za64rs", atomics_of_1_12 },
    { "zaamo", has_zaamo, RISCV_PRIV_1_12 },
    { "zabha", has_zabha },
    { "zacas", has_zacas },
    { "zama16b", has_zama16b },
    { "zalrsc", has_zalrsc, RISCV_PRIV_1_12 },
    { "zawrs", has_zawrs },
    { "zfa", has_zfa },
    { "zfbfmin", has_zfbfmin },
    { "zfh", has_zfh },
    { "zfhmin", has_zfhmin },
    { "zfinx", has_zfinx },
    { "zdinx", has_zdinx },
    { "zca", has_zca, RISCV_PRIV_1_12 },
    { "zcb", has_zcb },
    { "zcf", has_zcf, RISCV_PRIV_1_12 },
    { "zcd", has_zcd, RISCV_PRIV_1_12 },
    { "zce", has_zce },
    { "zcmop", has_zcmop },
    { "zcmp", has_zcmp },
    { "zcmt", has_zcmt },
    { "zba", has_zba },
    { "zbb", has_zbb },
    { "zbc", has_zbc },
    { "zbkb", has_zbkb },
    { "zbkc", has_zbkc },
    { "zbkx", has_zbkx },
    { "zbs", has_zbs },
    { "zk", has_zk },
    { "zkn", has_zkn },
    { "zknd", has_zknd },
    { "zkne", has_zkne },
    { "zknh", has_zknh },
    { "zkr", has_zkr },
    { "zks", has_zks },
    { "zksed", has_zksed },
    { "zksh", has_zksh },
    { "zkt", has_zkt },
    { "ztso", has_ztso },
    { "zhinx", has_zhinx },
    { "zhinxmin", has_zhinxmin },
    { "smcntrpmf", has_smcntrpmf },
    { "smdbltrp", has_smdbltrp },
    { "smepmp", has_smepmp },
    { "smrnmi", has_smrnmi },
    { "smstateen", has_smstateen },
    { "ssccptr", supervisor_of_1_11 },
    { "sscofpmf", has_sscofpmf },
    { "sscounterenw", recent_supervisor },
    { "ssdbltrp", has_ssdbltrp },
    { "ssstateen", has_ssstateen },
    { "sstc", has_sstc },
    { "sstvala", recent_supervisor },
    { "sstvecd", recent_supervisor },
    { "ssu64xl", recent_rv64_supervisor },
    { "svade", has_svade },
    { "svadu", has_svadu },
    { "svinval", has_svinval },
    { "svnapot", has_svnapot },
    { "svpbmt", has_svpbmt },
    { "svvptc", has_svvptc },
};

/* The letters that an ISA string has, in order. */
static void append_letters(const RiscvConfig *c, const char *separator, size_t separator_length, StrBuf *buffer)
{
    const struct {
        char letter;
        bool on;
    } letters[] = { { 'i', c->i }, { 'e', c->e }, { 'm', c->m }, { 'a', c->a },
                    { 'f', c->f }, { 'd', c->d }, { 'c', c->c }, { 'b', c->b } };

    for (size_t i = 0; i < ARRAY_SIZE(letters); i++) {
        if (letters[i].on) {
            strbuf_append_char(buffer, letters[i].letter);
            strbuf_append_bytes(buffer, separator, separator_length);
        }
    }
}

static bool is_named(const IsaName *name, const RiscvConfig *c)
{
    return name->has(c) && name->since <= (RiscvPriv)c->priv_spec;
}

char *riscv_isa_string(const void *config)
{
    const RiscvConfig *c = config;
    StrBuf buffer = { 0 };

    strbuf_printf(&buffer, "rv%u", c->xlen);
    append_letters(c, "", 0, &buffer);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (is_named(&names[i], c)) {
            strbuf_printf(&buffer, "_%s", names[i].name);
        }
    }
    return strbuf_take(&buffer);
}

char *riscv_isa_extensions(const RiscvConfig *c, size_t *size)
{
    StrBuf buffer = { 0 };

    append_letters(c, "", 1, &buffer);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (is_named(&names[i], c)) {
            strbuf_append_bytes(&buffer, names[i].name, strlen(names[i].name) + 1);
        }
    }
    *size = buffer.length;
    return strbuf_take(&buffer);
}

const char *riscv_isa_base(const RiscvConfig *c)
{
    return c->xlen == 64 ? c->e ? "rv64e" : "rv64i" : c->e ? "rv32e" : "rv32i";
}

const char *riscv_mmu_type(const RiscvConfig *c)
{
    static const char *const full[] = { "riscv,none", "riscv,none", "riscv,sv32",
                                        "riscv,sv39", "riscv,sv48", "riscv,sv57" };
    return full[c->paging_levels];
}
