/*
 * Models, properties and the rules between extensions. A property that the user gave wins over what a model's other
 * extensions imply; a combination that cannot be is an error.
 */
#include "guest/riscv/internal.h"
#include "guest/riscv/profile.h"

#include "api/type.h"
#include "base/error.h"

#include <string.h>

#define MEMBER(name) offsetof(RiscvConfig, name)
_Static_assert(MEMBER(pmu_mask) <= RISCV_GIVEN_SIZE, "every switch has its place in `given`");

/* Models. */

enum { DEFAULT_PMU_MASK = 0x7fff8 };

#define FIXED_DEFAULTS \
    .debug = true, \
    .resetvec = 0x1000, .pmu_mask = DEFAULT_PMU_MASK, .cbom_blocksize = 64, .cbop_blocksize = 64, .cboz_blocksize = 64
#define COMMON_DEFAULTS .priv_spec = RISCV_PRIV_1_13, FIXED_DEFAULTS
#define GENERAL_DEFAULTS \
    .i = true, .m = true, .a = true, .f = true, .d = true, .c = true, .s = true, .u = true, .zicntr = true, \
    .zicsr = true, .zifencei = true, .zihintntl = true, .zihintpause = true, .zihpm = true, .zba = true, .zbb = true, \
    .zbc = true, .zbs = true, .zicbom = true, .zicbop = true, .zicboz = true, .zawrs = true, .zfa = true, \
    .sstc = true, \
    .svadu = true, .svvptc = true, .mmu = true, .pmp = true, COMMON_DEFAULTS

static const RiscvConfig rv64_defaults = { .xlen = 64, .sv39 = true, .sv48 = true, .sv57 = true, GENERAL_DEFAULTS };
/* ... and what is there beyond those. */
#define MAXIMUM_DEFAULTS \
    GENERAL_DEFAULTS, .b = true, .zicond = true, .zimop = true, .zabha = true, .zacas = true, .zfbfmin = true, \
    .zfh = true, .zfhmin = true, .zcb = true, .zcmop = true, .zbkb = true, .zbkc = true, .zbkx = true, .zk = true, \
    .zkn = true, .zknd = true, .zkne = true, .zknh = true, .zkr = true, .zks = true, .zksed = true, .zksh = true, \
    .zkt = true, .ztso = true, .zama16b = true, .smcntrpmf = true, \
    .smepmp = true, .smstateen = true, .sscofpmf = true, .ssdbltrp = true, .ssstateen = true, .svinval = true, \
    .svnapot = true, .svpbmt = true

static const RiscvConfig max64_defaults = { .xlen = 64, .sv39 = true, .sv48 = true, .sv57 = true, MAXIMUM_DEFAULTS };
static const RiscvConfig rv64i_defaults = { .xlen = 64, .i = true, COMMON_DEFAULTS };
static const RiscvConfig rv64e_defaults = { .xlen = 64, .e = true, COMMON_DEFAULTS };
static const RiscvConfig rv32_defaults = { .xlen = 32, .sv32 = true, GENERAL_DEFAULTS };
static const RiscvConfig max32_defaults = { .xlen = 32, .sv32 = true, MAXIMUM_DEFAULTS };
static const RiscvConfig rv32i_defaults = { .xlen = 32, .i = true, COMMON_DEFAULTS };
static const RiscvConfig rv32e_defaults = { .xlen = 32, .e = true, COMMON_DEFAULTS };

/* SiFive's: E for embedded, without a supervisor mode, and U for those that run Linux. */
#define SIFIVE_DEFAULTS \
    .i = true, .m = true, .a = true, .c = true, .u = true, .zicntr = true, .zicsr = true, .zifencei = true, \
    .zihpm = true, .pmp = true, .priv_spec = RISCV_PRIV_1_10, FIXED_DEFAULTS
#define SIFIVE_U_DEFAULTS SIFIVE_DEFAULTS, .f = true, .d = true, .s = true, .mmu = true

static const RiscvConfig sifive_e31_defaults = { .xlen = 32, SIFIVE_DEFAULTS };
static const RiscvConfig sifive_e34_defaults = { .xlen = 32, .f = true, SIFIVE_DEFAULTS };
static const RiscvConfig sifive_e51_defaults = { .xlen = 64, SIFIVE_DEFAULTS };
static const RiscvConfig sifive_u34_defaults = { .xlen = 32, .sv32 = true, SIFIVE_U_DEFAULTS };
static const RiscvConfig sifive_u54_defaults = { .xlen = 64, .sv39 = true, SIFIVE_U_DEFAULTS };

static const RiscvConfig rva22u64_defaults = { .xlen = 64, .rva22u64 = true, COMMON_DEFAULTS };
static const RiscvConfig rva22s64_defaults = { .xlen = 64, .rva22s64 = true, COMMON_DEFAULTS };
static const RiscvConfig shakti_c_defaults = { .xlen = 64, .sv39 = true, SIFIVE_U_DEFAULTS };
static const RiscvConfig nanhu_defaults = {
    .xlen = 64, .sv39 = true, .i = true, .m = true, .a = true, .f = true, .d = true, .c = true, .b = true, .s = true,
    .u = true, .zicntr = true, .zicsr = true, .zifencei = true, .zihpm = true, .zba = true, .zbb = true, .zbc = true,
    .zbs = true, .zbkb = true, .zbkc = true, .zbkx = true, .zknd = true, .zkne = true, .zknh = true, .zksed = true,
    .zksh = true, .svinval = true, .mmu = true, .pmp = true, .priv_spec = RISCV_PRIV_1_12, FIXED_DEFAULTS,
};
static const RiscvConfig ibex_defaults = {
    .xlen = 32, .i = true, .m = true, .c = true, .u = true, .zicntr = true, .zicsr = true, .zifencei = true,
    .zihpm = true, .zba = true, .zbb = true, .zbc = true, .zbs = true, .smepmp = true, .pmp = true,
    .priv_spec = RISCV_PRIV_1_12, FIXED_DEFAULTS,
};

const GuestModel riscv64_models[] = {
    { "max", "RV64 with every extension there is", &max64_defaults, .varies = true },
    { "rv64", "RV64GC with the usual extensions", &rv64_defaults, .varies = true },
    { "rv64e", "RV64E alone; extensions are added by properties", &rv64e_defaults },
    { "rv64i", "RV64I alone; extensions are added by properties", &rv64i_defaults },
    { "rva22s64", "What the profile RVA22S64 mandates", &rva22s64_defaults },
    { "rva22u64", "What the profile RVA22U64 mandates", &rva22u64_defaults },
    { "shakti-c", "SHAKTI C-Class: RV64GC with Sv39", &shakti_c_defaults, .closed = true },
    { "sifive-e51", "SiFive E51: RV64IMAC, machine and user mode", &sifive_e51_defaults, .closed = true },
    { "sifive-u54", "SiFive U54: RV64GC with Sv39", &sifive_u54_defaults, .closed = true },
    { "xiangshan-nanhu", "XiangShan Nanhu: RV64GCB with cryptography and Sv39", &nanhu_defaults, .closed = true },
    { NULL },
};
const GuestModel riscv32_models[] = {
    { "lowrisc-ibex", "lowRISC Ibex: RV32IMC with bit manipulation, machine and user mode", &ibex_defaults,
      .closed = true },
    { "max", "RV32 with every extension there is", &max32_defaults, .varies = true },
    { "rv32", "RV32GC with the usual extensions", &rv32_defaults, .varies = true },
    { "rv32e", "RV32E alone; extensions are added by properties", &rv32e_defaults },
    { "rv32i", "RV32I alone; extensions are added by properties", &rv32i_defaults },
    { "sifive-e31", "SiFive E31: RV32IMAC, machine and user mode", &sifive_e31_defaults, .closed = true },
    { "sifive-e34", "SiFive E34: RV32IMAFC, machine and user mode", &sifive_e34_defaults, .closed = true },
    { "sifive-u34", "SiFive U34: RV32GC with Sv32", &sifive_u34_defaults, .closed = true },
    { NULL },
};

/* Properties. */

const char *const riscv_priv_names[] = { "v1.10.0", "v1.11.0", "v1.12.0", "v1.13.0" };
static const Type priv_type = {
    .name = "RiscvPrivilegedSpecification",
    .kind = TYPE_ENUM,
    .size = sizeof(int),
    .names = riscv_priv_names,
    .count = ARRAY_SIZE(riscv_priv_names),
};

#define SWITCH(name_, member_, ...) \
    { .name = name_, .type = &type_bool, .offset = MEMBER(member_), .description = __VA_ARGS__ }
#define LETTER_ROW(name_, description_) SWITCH(#name_, name_, description_),
#define EXTENSION_ROW(name_, since_, description_) SWITCH(#name_, name_, description_),
#define ABSENT_ROW(name_) SWITCH(#name_, name_, "Not built: off"),
#define OLD_NAME(name_, member_) SWITCH(name_, member_, "Older spelling of " #member_, .deprecated = true)

#define COMMON_PROPERTIES \
    RISCV_LETTERS(LETTER_ROW) \
    RISCV_EXTENSIONS(EXTENSION_ROW) \
    RISCV_ABSENT(ABSENT_ROW) \
    OLD_NAME("Zawrs", zawrs), OLD_NAME("Zfa", zfa), OLD_NAME("Zfh", zfh), OLD_NAME("Zfhmin", zfhmin), \
        OLD_NAME("Zicsr", zicsr), OLD_NAME("Zifencei", zifencei), OLD_NAME("Zihintntl", zihintntl), \
        OLD_NAME("Zihintpause", zihintpause), SWITCH("mmu", mmu, "Paging"), \
        SWITCH("pmp", pmp, "Physical memory protection"), SWITCH("debug", debug, "Triggers (Sdtrig)"), \
        { .name = "priv_spec", .type = &priv_type, .type_name = "str", .offset = MEMBER(priv_spec), \
          .description = "Version of the privileged specification" }, \
        PROP("mvendorid", type_uint32, RiscvConfig, mvendorid, "0", "The mvendorid register"), \
        PROP("marchid", type_uint64, RiscvConfig, marchid, "0", "The marchid register"), \
        PROP("mimpid", type_uint64, RiscvConfig, mimpid, "0", "The mimpid register"), \
        { .name = "pmu-num", .type = &type_uint8, .offset = MEMBER(pmu_num), .deprecated = true, \
          .description = "Number of counters of events, from the third on: see pmu-mask" }, \
        PROP("pmu-mask", type_uint32, RiscvConfig, pmu_mask, "524280", "Counters of events: bits 3 to 31"), \
        PROP("cbom_blocksize", type_uint16, RiscvConfig, cbom_blocksize, "64", "Bytes that cbo.clean takes"), \
        PROP("cbop_blocksize", type_uint16, RiscvConfig, cbop_blocksize, "64", "Bytes that prefetch hints are of"), \
        PROP("cboz_blocksize", type_uint16, RiscvConfig, cboz_blocksize, "64", "Bytes that cbo.zero clears"), \
        PROP("rnmi-interrupt-vector", type_uint64, RiscvConfig, rnmi_interrupt_vector, "0", \
             "Where interrupts that cannot be masked are taken"), \
        PROP("rnmi-exception-vector", type_uint64, RiscvConfig, rnmi_exception_vector, "0", \
             "Where exceptions are taken while such an interrupt is"), \
        PROP("resetvec", type_uint64, RiscvConfig, resetvec, "4096", "Where execution starts after a reset")

const Property riscv64_properties[] = {
    COMMON_PROPERTIES,
    SWITCH("rva22s64", rva22s64, "What the profile RVA22S64 mandates"),
    SWITCH("rva22u64", rva22u64, "What the profile RVA22U64 mandates"),
    SWITCH("sv39", sv39, "Paging by tables of three levels, or more where sv48 or sv57 is on too"),
    SWITCH("sv48", sv48, "Paging by tables of up to four levels"),
    SWITCH("sv57", sv57, "Paging by tables of up to five levels"),
    PROP_END,
};
const Property riscv32_properties[] = {
    COMMON_PROPERTIES,
    SWITCH("sv32", sv32, "Paging by tables of two levels"),
    PROP_END,
};

void riscv_config_init(const GuestModel *model, void *config)
{
    *(RiscvConfig *)config = *(const RiscvConfig *)model->defaults;
}

void riscv_config_given(void *config, const Property *property)
{
    RiscvConfig *c = config;
    if (property->offset < RISCV_GIVEN_SIZE) {
        c->given[property->offset] = true;
    }
}

/* Rules. A member's name here is that of its property. */

typedef struct ExtensionRow {
    const char *name;
    uint16_t member;
    uint8_t since; /* RiscvPriv */
} ExtensionRow;

static const ExtensionRow extensions[] = {
#define X(name_, description_) { #name_, MEMBER(name_), RISCV_PRIV_1_10 },
    RISCV_LETTERS(X)
#undef X
#define X(name_, since_, description_) { #name_, MEMBER(name_), since_ },
    RISCV_EXTENSIONS(X)
#undef X
};

/* Where both of `when` hold (for this width, or any: 0), `then` is implied. In order. */
static const struct {
    uint16_t when[2], then;
    uint8_t xlen;
} implications[] = {
#define IMPLIES(when_, then_) { { MEMBER(when_), MEMBER(when_) }, MEMBER(then_), 0 }
    IMPLIES(g, i), IMPLIES(g, m), IMPLIES(g, a), IMPLIES(g, f), IMPLIES(g, d), IMPLIES(g, zicsr), IMPLIES(g, zifencei),
    IMPLIES(m, zmmul), IMPLIES(a, zaamo), IMPLIES(a, zalrsc), IMPLIES(b, zba), IMPLIES(b, zbb), IMPLIES(b, zbs),
    IMPLIES(s, u), IMPLIES(u, zicsr), IMPLIES(zicntr, zicsr), IMPLIES(zihpm, zicsr),
    { { MEMBER(smstateen), MEMBER(s) }, MEMBER(ssstateen), 0 },
    IMPLIES(zacas, zaamo), IMPLIES(zabha, zaamo), IMPLIES(zawrs, zalrsc),
    IMPLIES(zcd, d), IMPLIES(zcf, f), IMPLIES(d, f), IMPLIES(zfa, f), IMPLIES(zfbfmin, f), IMPLIES(zfh, zfhmin),
    IMPLIES(zfhmin, f), IMPLIES(f, zicsr),
    IMPLIES(zhinx, zhinxmin), IMPLIES(zhinxmin, zfinx), IMPLIES(zdinx, zfinx), IMPLIES(zfinx, zicsr),
    IMPLIES(c, zca), { { MEMBER(c), MEMBER(f) }, MEMBER(zcf), 32 }, { { MEMBER(c), MEMBER(d) }, MEMBER(zcd), 0 },
    IMPLIES(zce, zcb), IMPLIES(zce, zcmp), IMPLIES(zce, zcmt), { { MEMBER(zce), MEMBER(f) }, MEMBER(zcf), 32 },
    IMPLIES(zcb, zca), IMPLIES(zcd, zca), IMPLIES(zcf, zca), IMPLIES(zcmop, zca), IMPLIES(zcmp, zca),
    IMPLIES(zcmt, zca), IMPLIES(zcmt, zicsr),
    IMPLIES(zk, zkn), IMPLIES(zk, zkr), IMPLIES(zk, zkt), IMPLIES(zkn, zbkb), IMPLIES(zkn, zbkc), IMPLIES(zkn, zbkx),
    IMPLIES(zkn, zkne), IMPLIES(zkn, zknd), IMPLIES(zkn, zknh), IMPLIES(zks, zbkb), IMPLIES(zks, zbkc),
    IMPLIES(zks, zbkx), IMPLIES(zks, zksed), IMPLIES(zks, zksh),
#undef IMPLIES
};

static const struct {
    uint16_t extension, needs;
} requirements[] = {
#define NEEDS(extension_, needs_) { MEMBER(extension_), MEMBER(needs_) }
    NEEDS(f, zicsr), NEEDS(d, f), NEEDS(zcf, f), NEEDS(zcd, d), NEEDS(zcf, zca), NEEDS(zcd, zca), NEEDS(c, zca),
    NEEDS(m, zmmul), NEEDS(u, zicsr), NEEDS(s, u), NEEDS(zicntr, zicsr), NEEDS(zihpm, zicsr), NEEDS(sstc, s),
    NEEDS(zcb, zca), NEEDS(zcmop, zca), NEEDS(zacas, zaamo), NEEDS(zabha, zaamo), NEEDS(zawrs, zalrsc),
    NEEDS(zfa, f), NEEDS(zfbfmin, f), NEEDS(zfhmin, f), NEEDS(zfh, zfhmin), NEEDS(zfinx, zicsr), NEEDS(zdinx, zfinx),
    NEEDS(zhinxmin, zfinx), NEEDS(zhinx, zhinxmin), NEEDS(zcmp, zca), NEEDS(zcmt, zca), NEEDS(zcmt, zicsr),
    NEEDS(zce, zcb), NEEDS(zce, zcmp), NEEDS(zce, zcmt), NEEDS(sscofpmf, s), NEEDS(sscofpmf, zihpm),
    NEEDS(smcntrpmf, zicntr),
    NEEDS(smdbltrp, zicsr), NEEDS(smrnmi, zicsr), NEEDS(smstateen, u), NEEDS(ssdbltrp, s), NEEDS(ssstateen, s),
    NEEDS(svinval, s), NEEDS(svnapot, s), NEEDS(svpbmt, s),
#undef NEEDS
};

static const struct {
    uint16_t one, other;
    const char *why;
} exclusions[] = {
    { MEMBER(i), MEMBER(e), "they are base instruction sets" },
    { MEMBER(zfinx), MEMBER(f), "their instructions have the same encodings" },
    { MEMBER(zcmp), MEMBER(zcd), "their instructions have the same encodings" },
    { MEMBER(zcmt), MEMBER(zcd), "their instructions have the same encodings" },
};

static bool *member(RiscvConfig *c, uint16_t offset)
{
    return (bool *)((char *)c + offset);
}

const char *riscv_extension_name(uint16_t offset)
{
    for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
        if (extensions[i].member == offset) {
            return extensions[i].name;
        }
    }
    return "";
}

/* Where the user says nothing of the privileged specification it is one that has what he asks for. */
static void choose_priv_spec(RiscvConfig *c)
{
    for (size_t i = 0; !c->given[MEMBER(priv_spec)] && i < ARRAY_SIZE(extensions); i++) {
        bool asked = c->given[extensions[i].member] && *member(c, extensions[i].member);
        c->priv_spec = asked ? MAX(c->priv_spec, extensions[i].since) : c->priv_spec;
    }
}

/* What came after the chosen privileged specification: off, unless the user asks for it. */
static bool drop_newer(RiscvConfig *c, Error **error)
{
    for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
        const ExtensionRow *row = &extensions[i];
        bool *on = member(c, row->member);
        if (!*on || row->since <= c->priv_spec) {
            continue;
        }
        if (c->given[row->member]) {
            return error_set(error, "extension %s needs priv_spec=%s or later", row->name,
                             riscv_priv_names[row->since]);
        }
        *on = false;
        c->dropped[row->member] = true;
    }
    return true;
}

static bool check_absent(RiscvConfig *c, Error **error)
{
    static const ExtensionRow absent[] = {
#define X(name_) { #name_, MEMBER(name_) },
        RISCV_ABSENT(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
        if (*member(c, absent[i].member)) {
            return error_set(error, "extension %s is not there: it can only be off", absent[i].name);
        }
    }
    return true;
}

static void add_implied(RiscvConfig *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(implications); i++) {
        bool applies = *member(c, implications[i].when[0]) && *member(c, implications[i].when[1]) &&
                       (implications[i].xlen == 0 || implications[i].xlen == c->xlen);
        if (applies && !c->given[implications[i].then]) {
            *member(c, implications[i].then) = true;
        }
    }
    /* What C stands for in full is C. */
    if (c->zca && (!c->d || c->zcd) && (!c->f || c->zcf || c->xlen == 64) && !c->given[MEMBER(c)]) {
        c->c = true;
    }
}

static bool check_requirements(RiscvConfig *c, Error **error)
{
    if (!c->i && !c->e) {
        return error_set(error, "one of the extensions i and e must be on");
    }
    for (size_t i = 0; i < ARRAY_SIZE(exclusions); i++) {
        if (*member(c, exclusions[i].one) && *member(c, exclusions[i].other)) {
            return error_set(error, "extensions %s and %s exclude each other, as %s: set one of them off",
                             riscv_extension_name(exclusions[i].one), riscv_extension_name(exclusions[i].other),
                             exclusions[i].why);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(requirements); i++) {
        if (*member(c, requirements[i].extension) && !*member(c, requirements[i].needs)) {
            const char *name = riscv_extension_name(requirements[i].extension);
            const char *needs = riscv_extension_name(requirements[i].needs);
            return error_set(error, "extension %s needs extension %s: set %s=on, or %s=off", name, needs, needs, name);
        }
    }
    if (c->smepmp && !c->pmp) {
        return error_set(error, "extension smepmp needs physical memory protection: set pmp=on, or smepmp=off");
    }
    if (c->zcf && c->xlen != 32) {
        return error_set(error, "extension zcf exists on RV32 alone");
    }
    return true;
}

static bool check_block_sizes(const RiscvConfig *c, Error **error)
{
    const struct {
        const char *name;
        uint16_t size;
    } sizes[] = { { "cbom_blocksize", c->cbom_blocksize },
                  { "cbop_blocksize", c->cbop_blocksize },
                  { "cboz_blocksize", c->cboz_blocksize } };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        if (!is_power_of_2(sizes[i].size) || sizes[i].size > 4096) {
            return error_set(error, "%s is %u: it must be a power of two, 4096 at most", sizes[i].name, sizes[i].size);
        }
    }
    return true;
}

static const struct {
    uint16_t member;
    const char *name;
    uint8_t xlen, levels;
} paging[] = {
    { MEMBER(sv32), "sv32", 32, 2 },
    { MEMBER(sv39), "sv39", 64, 3 },
    { MEMBER(sv48), "sv48", 64, 4 },
    { MEMBER(sv57), "sv57", 64, 5 },
};

/* The deepest tables: those that the user turned on; else what the model has below the ones that he turned off. */
static bool choose_paging(RiscvConfig *c, Error **error)
{
    const char *off = NULL;
    uint8_t chosen = 0, allowed = 0;

    for (size_t i = 0; i < ARRAY_SIZE(paging); i++) {
        bool on = *member(c, paging[i].member), given = c->given[paging[i].member];
        if (paging[i].xlen != c->xlen) {
            continue;
        }
        if (on && given) {
            if (off) {
                return error_set(error, "%s cannot be off while %s is on", off, paging[i].name);
            }
            chosen = paging[i].levels;
        } else if (on && !off) {
            allowed = paging[i].levels;
        } else if (given) {
            off = paging[i].name;
        }
    }
    c->paging_levels = !c->s || !c->mmu ? 0 : chosen ? chosen : allowed;
    for (size_t i = 0; i < ARRAY_SIZE(paging); i++) {
        *member(c, paging[i].member) = paging[i].xlen == c->xlen && paging[i].levels <= c->paging_levels;
    }
    return true;
}

/* A real processor may lack something, but has nothing beside what it has. */
static bool check_closed(const GuestModel *model, RiscvConfig *c, Error **error)
{
    RiscvConfig defaults = *(const RiscvConfig *)model->defaults;

    for (size_t i = 0; model->closed && i < ARRAY_SIZE(extensions); i++) {
        uint16_t offset = extensions[i].member;
        if (c->given[offset] && *member(c, offset) && !*member(&defaults, offset)) {
            return error_set(error, "'%s' CPU does not allow enabling extensions: it has no %s", model->name,
                             extensions[i].name);
        }
    }
    for (size_t i = 0; model->closed && i < ARRAY_SIZE(paging); i++) {
        if (c->given[paging[i].member] && *member(c, paging[i].member) && !*member(&defaults, paging[i].member)) {
            return error_set(error, "'%s' CPU has no %s", model->name, paging[i].name);
        }
    }
    if (model->closed && (c->mmu != defaults.mmu || c->pmp != defaults.pmp)) {
        return error_set(error, "CPU '%s' does not allow changing the value of '%s'", model->name,
                         c->mmu != defaults.mmu ? "mmu" : "pmp");
    }
    if (model->closed && (c->mvendorid != defaults.mvendorid || c->marchid != defaults.marchid ||
                          c->mimpid != defaults.mimpid)) {
        return error_set(error, "CPU '%s' does not allow changing who made it: mvendorid, marchid and mimpid",
                         model->name);
    }
    return true;
}

/* Counters of events, given by their number or one by one. */
static bool check_counters(RiscvConfig *c, Error **error)
{
    if (c->given[MEMBER(pmu_num)]) {
        if (c->pmu_num > 29) {
            return error_set(error, "pmu-num is %u: there can be 29 counters of events", c->pmu_num);
        }
        c->pmu_mask = (uint32_t)(mask_bits(c->pmu_num) << 3);
    }
    if (c->pmu_mask & 7) {
        return error_set(error, "pmu-mask can have bits 3 to 31, those of the counters of events");
    }
    return true;
}

bool riscv_config_check(const GuestModel *model, void *config, Error **error)
{
    RiscvConfig *c = config;

    riscv_profiles_apply(c);
    if (!check_absent(c, error) || !check_closed(model, c, error) || !check_counters(c, error)) {
        return false;
    }
    choose_priv_spec(c);
    if (!drop_newer(c, error)) {
        return false;
    }
    add_implied(c);
    if (!check_requirements(c, error) || !check_block_sizes(c, error) || !choose_paging(c, error)) {
        return false;
    }
    if (c->xlen == 32 && (c->resetvec | c->rnmi_interrupt_vector | c->rnmi_exception_vector) > UINT32_MAX) {
        return error_set(error, "resetvec or a vector of rnmi is beyond 32 bits");
    }
    if ((c->rnmi_interrupt_vector | c->rnmi_exception_vector) & 1) {
        return error_set(error, "an instruction cannot be at the odd address of a vector of rnmi");
    }
    riscv_profiles_find(c);
    c->pmp_count = c->pmp && c->zicsr ? 16 : 0;
    return true;
}
