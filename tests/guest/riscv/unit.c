/* The RISC-V guest's tables: decoding, registers, configurations; lines and claimed registers, which need a caller. */
#include "machine.h"
#include "reserved.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "guest/riscv/csr.h"
#include "guest/riscv/decode_table.h"

#include <glib.h>
#include <inttypes.h>
#include <string.h>

/* Decoding: random operands of each line give its instruction, or that of a line that is a special case of it. */

/* A condition is the name of a property, or the width. */
static bool condition_holds(const char *name, const Guest *guest, const RiscvConfig *config)
{
    bool wanted = *name != '!';
    g_autofree char *property = g_ascii_strdown(name + !wanted, -1);

    if (!strcmp(property, "rv64")) {
        return (config->xlen == 64) == wanted;
    }
    for (const Property *row = guest->properties; row->name; row++) {
        if (!strcmp(row->name, property)) {
            return *((const bool *)config + row->offset) == wanted;
        }
    }
    g_error("%s is no property", property);
}

static bool conditions_hold(const DecodeRow *row, const TestMachine *machine)
{
    g_auto(GStrv) conditions = g_strsplit(row->conditions, " ", -1);
    bool all = true;

    for (char **condition = conditions; *condition && **condition; condition++) {
        g_auto(GStrv) alternatives = g_strsplit(*condition, "|", -1);
        bool any = false;
        for (char **name = alternatives; *name; name++) {
            any |= condition_holds(*name, machine->cpu->guest, machine->cpu->config);
        }
        all &= any;
    }
    return all;
}

static bool is_special_case(const DecodeRow *row, unsigned opcode, uint32_t bits)
{
    for (size_t i = 0; i < riscv_decode_table.row_count; i++) {
        const DecodeRow *other = &riscv_decode_table.rows[i];
        if (other != row && other->opcode == opcode && (bits & other->mask) == other->value) {
            return true;
        }
    }
    return false;
}

static void check_row(const DecodeRow *row, const RiscvConfig *config)
{
    unsigned found = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint32_t bits = row->value | (g_test_rand_int() & ~row->mask);
        RiscvInsn insn = { 0 };
        bits &= row->length == 2 ? 0xffff : UINT32_MAX;
        unsigned opcode = riscv_decode(config, bits, &insn);
        found += opcode == row->opcode && insn.length == row->length;
        if (opcode != row->opcode && opcode != RISCV_UNDEFINED && !is_special_case(row, opcode, bits)) {
            g_error("%s: %08" PRIx32 " is %s", row->mnemonic, bits, riscv_decode_table.instructions[opcode].mnemonic);
        }
    }
    g_test_message("%s: %u of 1000", row->mnemonic, found);
    g_assert_cmpuint(found, >, 0);
}

static void test_decode(const void *model)
{
    TestMachine *machine = test_machine_new(model);

    for (size_t i = 0; i < riscv_decode_table.row_count; i++) {
        if (conditions_hold(&riscv_decode_table.rows[i], machine)) {
            check_row(&riscv_decode_table.rows[i], machine->cpu->config);
        }
    }
    test_machine_free(machine);
}

/* An extension that is off takes its instructions along. */
static void test_decode_conditions(void)
{
    static const struct {
        const char *model;
        uint32_t bits;
        RiscvOpcode opcode;
    } rows[] = {
        { "rv64,m=off", 0x02b50533, RISCV_UNDEFINED },        /* mul */
        { "rv64,m=off,zmmul=on", 0x02b50533, RISCV_MUL },
        { "rv64,m=off,zmmul=on", 0x02b54533, RISCV_UNDEFINED }, /* div */
        { "rv64,a=off", 0x00b5252f, RISCV_UNDEFINED },        /* amoadd.w */
        { "rv64,a=off,zaamo=on", 0x00b5252f, RISCV_AMOADD_W },
        { "rv64,zaamo=off", 0x00b5252f, RISCV_UNDEFINED },
        { "rv64,zaamo=off", 0x1005252f, RISCV_LR_W },
        { "rv64,d=off", 0x02b57553, RISCV_UNDEFINED },        /* fadd.d */
        { "rv64,d=off", 0x00b57553, RISCV_FADD_S },
        { "rv64,f=off,d=off,zfa=off", 0x00b57553, RISCV_UNDEFINED },
        { "rv64", 0x04b57553, RISCV_UNDEFINED },              /* fadd.h */
        { "rv64,zfhmin=on", 0x04b57553, RISCV_UNDEFINED },
        { "rv64,zfhmin=on", 0x44050553, RISCV_FCVT_H_S },
        { "rv64,zfh=on", 0x04b57553, RISCV_FADD_H },
        { "rv64,zfbfmin=on", 0x44050553, RISCV_UNDEFINED },
        { "rv64,zfbfmin=on", 0x44850553, RISCV_FCVT_BF16_S },
        { "rv64,zfbfmin=on", 0xe4050553, RISCV_FMV_X_H },
        { "rv64,zfa=off", 0xf0180553, RISCV_UNDEFINED },      /* fli.s */
        { "rv64", 0xf0180553, RISCV_FLI_S },
        { "rv64", 0xf4180553, RISCV_UNDEFINED },              /* fli.h */
        { "rv64,d=off", 0xf2180553, RISCV_UNDEFINED },        /* fli.d */
        { "rv64", 0xb2b50553, RISCV_UNDEFINED },              /* fmvp.d.x */
        { "rv32", 0xb2b50553, RISCV_FMVP_D_X },
        { "rv64i,zfinx=on", 0x00b57553, RISCV_FADD_S },
        { "rv64i,zfinx=on", 0x02b57553, RISCV_UNDEFINED },    /* fadd.d */
        { "rv64i,zdinx=on", 0x02b57553, RISCV_FADD_D },
        { "rv64i,zhinxmin=on", 0x04b57553, RISCV_UNDEFINED }, /* fadd.h */
        { "rv64i,zhinxmin=on", 0x44050553, RISCV_FCVT_H_S },
        { "rv64i,zhinxmin=on", 0x42250553, RISCV_UNDEFINED }, /* fcvt.d.h */
        { "rv64,c=off", 0x4505, RISCV_UNDEFINED },            /* c.li */
        { "rv64,d=off", 0x2108, RISCV_UNDEFINED },            /* c.fld */
        { "rv64,zba=off", 0x20b52533, RISCV_UNDEFINED },      /* sh1add */
        { "rv64,zbb=off", 0x60051513, RISCV_UNDEFINED },      /* clz */
        { "rv64,zbc=off", 0x0ab51533, RISCV_UNDEFINED },      /* clmul */
        { "rv64,zbs=off", 0x28b51533, RISCV_UNDEFINED },      /* bset */
        { "rv64,zba=off,zbb=off,zbs=off,b=on", 0x20b52533, RISCV_UNDEFINED },
        { "rv64,zifencei=off", 0x0000100f, RISCV_UNDEFINED },
        { "rv64i", 0x30001073, RISCV_UNDEFINED },             /* csrw */
        { "rv64i,zicsr=on", 0x30001073, RISCV_CSRRW },
        { "rv64i,b=on", 0x20b52533, RISCV_SH1ADD },
        { "rv64i,g=on", 0x02b57553, RISCV_FADD_D },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        TestMachine *machine = test_machine_new(rows[i].model);
        RiscvInsn insn;
        g_test_message("%s %08" PRIx32, rows[i].model, rows[i].bits);
        g_assert_cmpuint(riscv_decode(machine->cpu->config, rows[i].bits, &insn), ==, rows[i].opcode);
        test_machine_free(machine);
    }
}

/* Configurations: what they come to, or why they cannot be. */
static void test_config_rules(void)
{
    static const struct {
        const char *model, *isa, *error;
    } rows[] = {
        { "rv64i", "rv64i", NULL },
        { "rv64e", "rv64e", NULL },
        { "rv32e", "rv32e", NULL },
        { "sifive-e51", "rv64imac_zicntr_zicsr_zifencei_zihpm", NULL },
        { "sifive-u54", "rv64imafdc_zicntr_zicsr_zifencei_zihpm", NULL },
        { "rv64,pmu-mask=7", NULL, "bits 3 to 31" },
        { "rv64,zihpm=off,sscofpmf=on", NULL, "sscofpmf needs extension zihpm" },
        { "sifive-u54,smepmp=on", NULL, "it has no smepmp" },
        { "rv64,smepmp=on,pmp=off", NULL, "smepmp needs physical memory protection" },
        { "rv64,v=on", NULL, "extension v is not there" },
        { "max,h=on", NULL, "extension h is not there" },
        { "rv32i,m=on", "rv32im_zmmul", NULL },
        { "rv64i,zicsr=on,f=on,c=on", "rv64ifc_zicsr_zca", NULL },
        { "rv32i,zicsr=on,f=on,d=on,c=on", "rv32ifdc_zicsr_zca_zcf_zcd", NULL },
        { "rv64i,i=off,e=on", "rv64e", NULL },
        { "rv64i,g=on", "rv64imafd_zicsr_zifencei_zmmul_zaamo_zalrsc", NULL },
        { "rv64i,g=on,m=off", "rv64iafd_zicsr_zifencei_zaamo_zalrsc", NULL },
        { "rv64i,b=on", "rv64ib_zba_zbb_zbs", NULL },
        { "rv64i,zfh=on", "rv64if_zicsr_zfh_zfhmin", NULL },
        { "rv64i,zdinx=on,zhinx=on", "rv64i_zicsr_zfinx_zdinx_zhinx_zhinxmin", NULL },
        { "rv64,zfinx=on", NULL, "zfinx and f exclude each other, as their instructions have the same encodings" },
        { "rv64i,zfa=on", "rv64if_zicsr_zfa", NULL },
        { "rv64i,d=on", "rv64ifd_zicsr", NULL },
        { "rv64i,zcd=on", "rv64ifdc_zicsr_zca_zcd", NULL },
        { "rv64i,zicntr=on", "rv64i_zicntr_zicsr", NULL },
        { "rv64i,f=off,zfa=on", NULL, "extension zfa needs extension f" },
        { "rv64i,f=off,zfh=on", NULL, "extension zfhmin needs extension f" },
        { "rv64i,zfinx=off,zdinx=on", NULL, "extension zdinx needs extension zfinx" },
        { "rv64i,zce=on", "rv64ic_zicsr_zca_zcb_zce_zcmp_zcmt", NULL },
        { "rv32i,zicsr=on,f=on,zce=on", "rv32ifc_zicsr_zca_zcb_zcf_zce_zcmp_zcmt", NULL },
        { "rv64,zcmp=on", NULL, "zcmp and zcd exclude each other, as their instructions have the same encodings" },
        { "rv64,zce=on", NULL, "exclude each other" },
        { "rv64i,zca=off,zcmt=on", NULL, "extension zcmt needs extension zca" },
        { "rv64i,zk=on", "rv64i_zbkb_zbkc_zbkx_zk_zkn_zknd_zkne_zknh_zkr_zkt", NULL },
        { "rv64i,ztso=on,zama16b=on", "rv64i_zama16b_ztso", NULL },
        { "rv64,priv_spec=v1.12.0,zama16b=on", NULL, "extension zama16b needs priv_spec=v1.13.0" },
        { "rv64,e=on", NULL, "exclude each other" },
        { "rv64,i=off", NULL, "must be on" },
        { "rv64,f=off", NULL, "extension d needs extension f" },
        { "rv64,zicsr=off", NULL, "extension f needs extension zicsr" },
        { "rv64,zca=off", NULL, "extension zcd needs extension zca" },
        { "rv64,u=off", NULL, "extension s needs extension u" },
        { "rv64,s=off", NULL, "extension sstc needs extension s" },
        { "rv64,zcf=on", NULL, "zcf exists on RV32 alone" },
        { "rv64,sv39=off,sv48=on", NULL, "sv39 cannot be off while sv48 is on" },
        { "rv64,priv_spec=v1.11.0,sstc=on", NULL, "extension sstc needs priv_spec=v1.12.0" },
        { "rv32,resetvec=0x100000000", NULL, "beyond 32 bits" },
        { "rva22u64",
          "rv64imafdcb_zic64b_zicbom_zicbop_zicboz_zicntr_zicsr_zihintpause_zihpm_zmmul_zaamo_zalrsc_zfhmin_"
                      "zca_zcd_zba_zbb_zbs_zkt", NULL },
        { "rv64i,rva22u64=on,zicbop=off", "rv64imafdcb_zicbom_zicboz_zicntr_zicsr_zihintpause_zihpm_zmmul_zaamo_zalrsc_"
                                          "zfhmin_zca_zcd_zba_zbb_zbs_zkt", NULL },
        { "rva22s64",
          "rv64imafdcb_zic64b_zicbom_zicbop_zicboz_ziccamoa_ziccif_zicclsm_ziccrse_zicntr_zicsr_zifencei_zihintpause_"
          "zihpm_zmmul_za64rs_zaamo_zalrsc_zfhmin_zca_zcd_zba_zbb_zbs_zkt_ssccptr_sscounterenw_sstvala_sstvecd_ssu64xl_"
          "svade_svinval_svpbmt", NULL },
        { "rv64i,rva22u64=on,rva22u64=off", "rv64i", NULL },
        { "lowrisc-ibex", "rv32imc_zicntr_zicsr_zifencei_zihpm_zmmul_zca_zba_zbb_zbc_zbs_smepmp", NULL },
        { "sifive-u54,m=off", "rv64iafdc_zicntr_zicsr_zifencei_zihpm", NULL },
        { "sifive-u54,zicbom=on", NULL, "does not allow enabling extensions: it has no zicbom" },
        { "sifive-u54,sv48=on", NULL, "has no sv48" },
        { "sifive-u54,pmp=off", NULL, "'pmp'" },
        { "sifive-u54,mvendorid=5", NULL, "mvendorid" },
        { "rv64,pmu-num=30", NULL, "29 counters" },
        { "rv64i,zicsr=on,u=on,s=on,priv_spec=v1.10.0,smstateen=on", NULL, "smstateen needs priv_spec=v1.12.0" },
        { "rv64i,zicsr=on,u=on,smstateen=on", "rv64i_zicsr_smstateen", NULL },
        { "rv64i,zimop=on", "rv64i_zimop", NULL },
        { "sifive-u54,zimop=on", NULL, "it has no zimop" },
        { "rv64,rva22s64=on,priv_spec=v1.12.0,zabha=on", NULL, "extension zabha needs priv_spec=v1.13.0" },
        { "rv64,m=maybe", NULL, "" },
        { "rv64,priv_spec=v9", NULL, "v1.10.0" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        RiscvConfig config;
        const Guest *guest;
        AUTO_ERROR(error);
        g_test_message("%s", rows[i].model);
        bool ok = test_config(rows[i].model, &guest, &config, &error);
        if (rows[i].isa) {
            g_assert_true(ok);
            g_autofree char *isa = guest->isa_string(&config);
            g_assert_cmpstr(isa, ==, rows[i].isa);
        } else {
            g_assert_false(ok);
            g_assert_nonnull(strstr(error_message(error), rows[i].error));
        }
    }
}

static void test_paging_modes(void)
{
    static const struct {
        const char *model, *type;
    } rows[] = {
        { "rv64", "riscv,sv57" },          { "rv64,sv39=on", "riscv,sv39" },  { "rv64,sv48=on", "riscv,sv48" },
        { "rv64,sv57=off", "riscv,sv48" }, { "rv64,sv39=off", "riscv,none" }, { "rv64,mmu=off", "riscv,none" },
        { "rv32", "riscv,sv32" },          { "rv32,sv32=off", "riscv,none" }, { "rv64i", "riscv,none" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        RiscvConfig config;
        const Guest *guest;
        g_test_message("%s", rows[i].model);
        g_assert_true(test_config(rows[i].model, &guest, &config, NULL));
        g_assert_cmpstr(riscv_mmu_type(&config), ==, rows[i].type);
    }
}

/* What the user is told of a processor that is not quite what he asked for. */
static void test_config_warnings(void)
{
    static const struct {
        const char *model, *lines;
    } rows[] = {
        { "rv64", "" },
        { "rva22s64", "" },
        { "rva22s64,zba=off", "Profile rva22u64 mandates disabled extension zba\n"
                              "RVB mandates disabled extension zba\n" },
        { "rva22s64,svade=off", "Profile rva22s64 mandates disabled extension svade\n" },
        { "rva22u64,cboz_blocksize=128", "Profile rva22u64 mandates disabled extension zic64b\n" },
        { "rv64,g=on,zifencei=off", "RVG mandates disabled extension zifencei\n" },
        { "rv64,priv_spec=v1.12.0", "disabling svvptc extension for hart 0x0000000000000003 because privilege spec "
                                    "version does not match\n" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        RiscvConfig config;
        const Guest *guest;
        AUTO_STRBUF(lines);
        g_assert_true(test_config(rows[i].model, &guest, &config, NULL));
        guest->config_warnings(&config, 3, &lines);
        g_assert_cmpstr(strbuf_text(&lines), ==, rows[i].lines);
    }
}

/* A processor has a profile if it has all that it mandates, whoever asked. */
static void test_profiles(void)
{
    static const struct {
        const char *model;
        bool user, supervisor;
        unsigned levels;
    } rows[] = {
        { "rv64", false, false, 5 },           { "rva22u64", true, false, 0 },       { "rva22s64", true, true, 3 },
        { "rva22s64,sv48=on", true, true, 4 }, { "rva22s64,b=off", false, false, 3 },
        { "rv64,rva22s64=on", true, true, 3 },
        { "rv64,b=on,zfhmin=on,zkt=on", true, false, 5 },
        { "rv64,b=on,zfhmin=on,zkt=on,svade=on,svinval=on,svpbmt=on", true, true, 5 },
        { "rva22s64,cbom_blocksize=32", false, false, 3 }, { "rva22s64,sv39=off", true, false, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        RiscvConfig config;
        const Guest *guest;
        g_test_message("%s", rows[i].model);
        g_assert_true(test_config(rows[i].model, &guest, &config, NULL));
        g_assert_cmpint(config.rva22u64, ==, rows[i].user);
        g_assert_cmpint(config.rva22s64, ==, rows[i].supervisor);
        g_assert_cmpuint(config.paging_levels, ==, rows[i].levels);
    }
    RiscvConfig config;
    const Guest *guest;
    g_assert_true(test_config("rv64,pmu-num=4", &guest, &config, NULL));
    g_assert_cmphex(config.pmu_mask, ==, 0x78);
}

static void test_isa_strings(void)
{
    RiscvConfig config;
    const Guest *guest;
    size_t size;

    g_assert_true(test_config("rv64", &guest, &config, NULL));
    g_autofree char *isa = guest->isa_string(&config);
    g_assert_cmpstr(isa, ==,
                    "rv64imafdc_zic64b_zicbom_zicbop_zicboz_ziccamoa_ziccif_zicclsm_ziccrse_zicntr_zicsr_zifencei_"
                    "zihintntl_zihintpause_zihpm_zmmul_za64rs_zaamo_zalrsc_zawrs_zfa_zca_zcd_zba_zbb_zbc_zbs_ssccptr_"
                    "sscounterenw_sstc_sstvala_sstvecd_ssu64xl_svadu_svvptc");
    g_assert_true(test_config("rv32i,m=on", &guest, &config, NULL));
    g_autofree char *list = riscv_isa_extensions(&config, &size);
    g_assert_cmpmem(list, size, "i\0m\0zmmul", 10);
    g_assert_cmpstr(riscv_isa_base(&config), ==, "rv32i");
}

/* RV32E and RV64E: the upper registers are not there. */
static void test_embedded(void)
{
    static const struct {
        uint32_t bits;
        bool illegal;
    } rows[] = {
        { 0x00000833, true },  /* add x16, x0, x0 */
        { 0x00080033, true },  /* add x0, x16, x0 */
        { 0x01000033, true },  /* add x0, x0, x16 */
        { 0x000007b3, false }, /* add x15, x0, x0 */
        { 0x01f01013, false }, /* slli x0, x0, 31 */
        { 0x00000837, true },  /* lui x16, 0 */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        TestMachine *machine = test_machine_new("rv64i,i=off,e=on");
        test_machine_write(machine, TEST_RAM_BASE, &rows[i].bits, sizeof rows[i].bits);
        machine->cpu->exceptions_exit = true;
        g_assert_cmpint(cpu_run(machine->cpu, 1), ==, rows[i].illegal ? CPU_EXIT_EXCEPTION : CPU_EXIT_BUDGET);
        if (rows[i].illegal) {
            g_assert_cmpuint(machine->cpu->exec.exception.code, ==, CAUSE_ILLEGAL_INSTRUCTION);
            g_assert_cmpuint(machine->cpu->exec.exception.value, ==, rows[i].bits);
        }
        test_machine_free(machine);
    }
}

/* The text that logs and monitors show. */
static void test_disassembly(void)
{
    static const struct {
        uint32_t bits;
        const char *text;
    } rows[] = {
        { 0x00000013, "nop" },
        { 0x0001, "nop" },
        { 0x00500513, "li              a0,5" },
        { 0x4515, "li              a0,5" },
        { 0x00058513, "mv              a0,a1" },
        { 0x852e, "mv              a0,a1" },
        { 0x00b50533, "add             a0,a0,a1" },
        { 0xfff54513, "not             a0,a0" },
        { 0x40b00533, "neg             a0,a1" },
        { 0x0005051b, "sext.w          a0,a0" },
        { 0x00008067, "ret" },
        { 0x8082, "ret" },
        { 0x8502, "jr              a0" },
        { 0x00c50067, "jr              12(a0)" },
        { 0x008000ef, "jal             0x1008" },
        { 0x0080006f, "j               0x1008" },
        { 0x00050463, "beqz            a0,0x1008" },
        { 0xfeb54ee3, "blt             a0,a1,0xffc" },
        { 0xff853783, "ld              a5,-8(a0)" },
        { 0x12345537, "lui             a0,0x12345" },
        { 0x30002573, "csrr            a0,mstatus" },
        { 0x30051073, "csrw            mstatus,a0" },
        { 0x10017073, "csrci           sstatus,2" },
        { 0x3b902573, "csrr            a0,pmpaddr9" },
        { 0x0ff0000f, "fence" },
        { 0x0330000f, "fence           rw,rw" },
        { 0x12000073, "sfence.vma" },
        { 0x1605252f, "lr.w.aqrl       a0,(a0)" },
        { 0x04b5252f, "amoadd.w.aq     a0,a1,(a0)" },
        { 0x02b5252f, "amoadd.w.rl     a0,a1,(a0)" },
        { 0x00b57553, "fadd.s          fa0,fa0,fa1" },
        { 0x00b51553, "fadd.s          fa0,fa0,fa1,rtz" },
        { 0x20b58553, "fmv.s           fa0,fa1" },
        { 0x0000, ".insn           0x0000" },
        { 0xffffffff, ".insn           0xffffffff" },
    };
    TestMachine *machine = test_machine_new("rv64");

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        AUTO_STRBUF(text);
        uint8_t bytes[4];
        unsigned length = (rows[i].bits & 3) == 3 ? 4 : 2;
        store_le32(bytes, rows[i].bits);
        g_assert_cmpuint(machine->cpu->guest->disassemble(machine->cpu, 0x1000, bytes, 4, &text), ==, length);
        g_assert_cmpstr(strbuf_text(&text), ==, rows[i].text);
        g_assert_cmpuint(machine->cpu->guest->disassemble(machine->cpu, 0x1000, bytes, length - 1, &text), ==, 0);
    }
    test_machine_free(machine);
}

/* The register tables cover each byte of the state once, but for the parts of the FP context that never change. */
static void test_registers(const void *model)
{
    TestMachine *machine = test_machine_new(model);
    const IrGuest *guest = &machine->cpu->guest->ir;
    uint8_t covered[sizeof(RiscvState)] = { 0 };
    size_t constant = offsetof(RiscvState, fp) + offsetof(FpContext, nan_rule);

    for (unsigned i = 0; i < guest->register_count; i++) {
        const GuestRegister *reg = &guest->registers[i];
        bool wide = riscv_config(machine->cpu)->xlen == 32 && i <= RISCV_REGISTER_PC; /* upper halves are zero */
        for (unsigned byte = 0; byte < (wide ? 64 : reg->bits) / 8u; byte++) {
            g_assert_cmpuint(reg->offset + byte, <, sizeof covered);
            g_assert_cmpuint(covered[reg->offset + byte]++, ==, 0);
        }
    }
    memset(covered + constant, 1, offsetof(RiscvState, fp) + sizeof(FpContext) - constant);
    /* The compiler's padding behind the bytes. */
    size_t last = offsetof(RiscvState, stimer);
    memset(covered + last + 1, 1, offsetof(RiscvState, mstatus) - last - 1);
    for (size_t i = 0; i < sizeof covered; i++) {
        g_assert_cmpuint(covered[i], ==, 1);
    }
    g_assert_cmpstr(guest->registers[RISCV_REGISTER_X0 + 2].name, ==, "sp");
    g_assert_cmpstr(guest->registers[RISCV_REGISTER_PC].name, ==, "pc");
    g_assert_cmpstr(guest->registers[RISCV_REGISTER_F0].name, ==, "ft0");
    g_assert_cmpstr(guest->registers[RISCV_REGISTER_FS].name, ==, "mstatus.fs");
    test_machine_free(machine);
}

static void test_csr_rows(void)
{
    for (unsigned i = 1; i < riscv_csr_row_count; i++) {
        const CsrRow *row = &riscv_csr_rows[i], *before = row - 1;
        g_assert_cmpuint(before->number + MAX(before->count, 1u), <=, row->number);
        g_assert_cmpuint(row->offset, <, sizeof(RiscvState));
    }
}

/* Every register, whatever is written to it: reading gives what a second write of the same leaves. */
static void test_csr_writes(const void *model)
{
    TestMachine *machine = test_machine_new(model);

    for (unsigned number = 0; number < 4096; number++) {
        for (unsigned i = 0; i < 50; i++) {
            uint64_t value = (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int(), first, second;
            bool exists = riscv_csr_read(machine->cpu, number, &first);
            g_assert_cmpint(exists && number >> 10 != 3, ==, riscv_csr_write(machine->cpu, number, value));
            bool counts = number >> 8 == 0xb || number >> 8 == 0xc;
            if (exists && number >> 10 != 3 && !counts) {
                riscv_csr_read(machine->cpu, number, &first);
                riscv_csr_write(machine->cpu, number, first);
                riscv_csr_read(machine->cpu, number, &second);
                g_assert_cmpuint(first, ==, second);
            }
        }
    }
    test_machine_free(machine);
}

static void test_info_registers(void)
{
    TestMachine *machine = test_machine_new("rv64");
    AUTO_STRBUF(text);

    riscv_state(machine->cpu)->x[10] = 0x123456789abcdef0;
    machine->cpu->guest->print_registers(machine->cpu, true, &text);
    g_assert_true(g_str_has_prefix(strbuf_text(&text), " pc       0000000080000000\n"
                                                       " mhartid  0000000000000000\n"
                                                       " mstatus  0000000a00000000\n"
                                                       " mip      0000000000000000\n"));
    g_assert_nonnull(strstr(strbuf_text(&text), " satp     0000000000000000\n"
                                                " x0/zero  0000000000000000 x1/ra    0000000000000000"));
    g_assert_nonnull(strstr(strbuf_text(&text), " x8/s0    0000000000000000 x9/s1    0000000000000000"
                                                " x10/a0   123456789abcdef0 x11/a1   0000000000000000\n"));
    g_assert_nonnull(strstr(strbuf_text(&text), " fcsr     0000000000000000\n f0/ft0   0000000000000000"));
    g_assert_true(g_str_has_suffix(strbuf_text(&text), " f30/ft10 0000000000000000 f31/ft11 0000000000000000\n"));
    test_machine_free(machine);
}

/* Two pages that follow each other are one line; another right begins the next; a large page high up. */
static void test_info_mem(void)
{
    enum { ROOT = TEST_RAM_BASE + 0x1000, MIDDLE = ROOT + 0x1000, LEAVES = MIDDLE + 0x1000 };
    static const struct {
        uint64_t table, index, entry;
    } entries[] = {
        { ROOT, 0, MIDDLE >> 2 | 1 },          { MIDDLE, 1, LEAVES >> 2 | 1 },
        { LEAVES, 2, 0x80004000 >> 2 | 0xc7 }, { LEAVES, 3, 0x80005000 >> 2 | 0xc7 },
        { LEAVES, 4, 0x80006000 >> 2 | 0x5b }, { ROOT, 511, 0x40000000 >> 2 | 0xef },
    };
    TestMachine *machine = test_machine_new("rv64");
    AUTO_STRBUF(bare);
    AUTO_STRBUF(paged);

    machine->cpu->guest->print_mappings(machine->cpu, &bare);
    g_assert_cmpstr(strbuf_text(&bare), ==, "No translation or protection\n");
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        test_machine_write(machine, entries[i].table + entries[i].index * 8, &entries[i].entry, 8);
    }
    g_assert_true(riscv_csr_write(machine->cpu, 0x3b0, UINT64_MAX)); /* pmpaddr0, pmpcfg0: all is allowed */
    g_assert_true(riscv_csr_write(machine->cpu, 0x3a0, 0x1f));
    g_assert_true(riscv_csr_write(machine->cpu, 0x180, UINT64_C(8) << 60 | ROOT >> 12));
    machine->cpu->guest->print_mappings(machine->cpu, &paged);
    g_assert_cmpstr(strbuf_text(&paged), ==,
                    "vaddr            paddr            size             attr\n"
                    "---------------- ---------------- ---------------- -------\n"
                    "0000000000202000 0000000080004000 0000000000002000 rw---ad\n"
                    "0000000000204000 0000000080006000 0000000000001000 r-xu-a-\n"
                    "ffffffffc0000000 0000000040000000 0000000040000000 rwx-gad\n");
    test_machine_free(machine);
}

/* Input lines: what they show as, and that an external interrupt ends waiting. */
static void test_lines(void)
{
    static const struct {
        unsigned line;
        bool edge; /* stays until software clears it */
    } rows[] = { { 1, true }, { 3, false }, { 9, false }, { 11, false } };
    static const uint32_t code[] = { 0x10500073, 0x0000006f }; /* wfi; j . */

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        TestMachine *machine = test_machine_new("rv64");
        RiscvState *state = riscv_state(machine->cpu);
        uint64_t pending;
        test_machine_write(machine, TEST_RAM_BASE, code, sizeof code);
        state->mie = state->mideleg | 0xaaa;
        state->mtvec = TEST_RAM_BASE + 0x100;
        g_assert_cmpint(cpu_run(machine->cpu, 100), ==, CPU_EXIT_HALTED);
        cpu_line_set(machine->cpu, rows[i].line, true);
        g_assert_true(cpu_has_work(machine->cpu));
        riscv_csr_read(machine->cpu, 0x344, &pending);
        g_assert_cmpuint(pending, ==, BIT(rows[i].line));
        g_assert_cmpint(cpu_run(machine->cpu, 2), ==, CPU_EXIT_BUDGET);
        g_assert_cmpuint(state->pc, ==, TEST_RAM_BASE + 4);
        state->mstatus |= MSTATUS_MIE;
        state->pc = TEST_RAM_BASE + 4;
        cpu_kick(machine->cpu, CPU_ATTENTION_INTERRUPT);
        g_assert_cmpint(cpu_run(machine->cpu, 0), ==, CPU_EXIT_BUDGET);
        machine->cpu->exceptions_exit = true;
        cpu_run(machine->cpu, 1);
        g_assert_cmpuint(state->mcause, ==, BIT(63) | rows[i].line);
        g_assert_cmpuint(state->mepc, ==, TEST_RAM_BASE + 4);
        cpu_line_set(machine->cpu, rows[i].line, false);
        riscv_csr_read(machine->cpu, 0x344, &pending);
        g_assert_cmpuint(pending, ==, rows[i].edge ? BIT(rows[i].line) : 0);
        test_machine_free(machine);
    }
}

/* Interrupts that cannot be masked: once each, and again after mnret while the line is high. */
static void test_unmasked_lines(void)
{
    static const uint32_t code[] = {
        0x7442d073 | 8 << 15, /* csrrwi x0, mnstatus, 8 */
        0x0000006f,           /* j . */
    };
    static const uint32_t handler[] = {
        0x0000006f, /* j . */
        0x70200073, /* mnret */
    };
    TestMachine *machine = test_machine_new("max,smrnmi=on,rnmi-interrupt-vector=0x80000100");
    RiscvState *state = cpu_state(machine->cpu);

    test_machine_write(machine, TEST_RAM_BASE, code, sizeof code);
    test_machine_write(machine, TEST_RAM_BASE + 0x100, handler, sizeof handler);
    cpu_line_set(machine->cpu, RISCV_NMI_LINE + 5, true);
    g_assert_cmpint(cpu_run(machine->cpu, 1), ==, CPU_EXIT_BUDGET); /* off after a reset */
    g_assert_cmphex(state->pc, ==, TEST_RAM_BASE + 4);
    cpu_run(machine->cpu, 5);
    g_assert_cmphex(state->pc, ==, TEST_RAM_BASE + 0x100);
    g_assert_cmphex(state->mnepc, ==, TEST_RAM_BASE + 4);
    g_assert_cmphex(state->mncause, ==, BIT(63) | 5);
    g_assert_cmphex(state->mnstatus, ==, MNSTATUS_MNPP);
    state->pc += 4;
    g_assert_cmpint(cpu_run(machine->cpu, 1), ==, CPU_EXIT_BUDGET);
    g_assert_cmphex(state->pc, ==, TEST_RAM_BASE + 4);
    cpu_run(machine->cpu, 1);
    g_assert_cmphex(state->pc, ==, TEST_RAM_BASE + 0x100);
    cpu_line_set(machine->cpu, RISCV_NMI_LINE + 5, false);
    state->pc += 4;
    cpu_run(machine->cpu, 4);
    g_assert_cmphex(state->pc, ==, TEST_RAM_BASE + 4);
    test_machine_free(machine);
}

/* A trap within a trap that nobody can be told of: the hart stops as it is. */
static void test_critical_error(void)
{
    TestMachine *machine = test_machine_new("max,smdbltrp=on");
    RiscvState *state = cpu_state(machine->cpu);

    g_assert_cmpint(cpu_run(machine->cpu, 10), ==, CPU_EXIT_HALTED);
    g_assert_true(machine->cpu->powered_off);
    g_assert_cmphex(state->pc, ==, TEST_RAM_BASE);
    g_assert_cmphex(state->mcause, ==, 0);
    cpu_reset(machine->cpu);
    test_machine_free(machine);
}

/* Registers that a device claimed. */

static bool read_claimed(Cpu *cpu, void *owner, uint32_t number, uint64_t *value)
{
    *value = *(uint64_t *)owner + number;
    return number != 0x7c2;
}

static bool write_claimed(Cpu *cpu, void *owner, uint32_t number, uint64_t value)
{
    *(uint64_t *)owner = value;
    return true;
}

static void test_claimed(void)
{
    static const uint32_t code[] = {
        0x7c0022f3, /* csrr t0, 0x7c0 */
        0x7c131373, /* csrrw t1, 0x7c1, t1 */
        0x7c2023f3, /* csrr t2, 0x7c2: refused */
    };
    TestMachine *machine = test_machine_new("rv64");
    RiscvState *state = riscv_state(machine->cpu);
    uint64_t owned = 0x10000;
    const CpuRegisterClaim claim = { 0x7c0, 0x7c3, read_claimed, write_claimed, &owned };

    test_machine_write(machine, TEST_RAM_BASE, code, sizeof code);
    cpu_claim_registers(machine->cpu, &claim);
    state->x[6] = 0xff;
    machine->cpu->exceptions_exit = true;
    g_assert_cmpint(cpu_run(machine->cpu, 10), ==, CPU_EXIT_EXCEPTION);
    g_assert_cmpuint(machine->cpu->exec.pc, ==, TEST_RAM_BASE + 8);
    g_assert_cmpuint(machine->cpu->exec.exception.code, ==, CAUSE_ILLEGAL_INSTRUCTION);
    g_assert_cmpuint(state->x[5], ==, 0x107c0);
    g_assert_cmpuint(state->x[6], ==, 0x107c1);
    g_assert_cmpuint(owned, ==, 0xff);
    test_machine_free(machine);
}

/* Random words as code: nothing but what an instruction may do happens, and the verifier of blocks stays content. */
static void test_random_code(const void *model)
{
    for (unsigned round = 0; round < 60; round++) {
        TestMachine *machine = test_machine_new(model);
        uint32_t words[256];
        for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
            const DecodeRow *row = &riscv_decode_table.rows[(uint32_t)g_test_rand_int() % riscv_decode_table.row_count];
            uint32_t random = (uint32_t)g_test_rand_int();
            words[i] = g_test_rand_int() & 7 ? row->value | (random & ~row->mask) : random;
        }
        test_machine_write(machine, TEST_RAM_BASE, words, sizeof words);
        riscv_state(machine->cpu)->mtvec = TEST_RAM_BASE + 4 * ((uint32_t)g_test_rand_int() % G_N_ELEMENTS(words));
        riscv_state(machine->cpu)->fs = g_test_rand_int() & 3;
        for (unsigned i = 1; i < 32; i++) {
            riscv_state(machine->cpu)->x[i] = TEST_RAM_BASE + (uint64_t)(g_test_rand_int() & 0xffff);
        }
        test_machine_run(machine, 5000);
        test_machine_free(machine);
    }
}

/* Saved registers that hold anything, one by one: refused, or the hart runs on with them. */

static void fill_register(TestMachine *machine, const GuestRegister *reg)
{
    for (unsigned byte = 0; byte < reg->bits / 8u; byte++) {
        machine->cpu->exec.state[reg->offset + byte] = (uint8_t)g_test_rand_int();
    }
}

static void test_hostile_state(const void *model)
{
    TestMachine *probe = test_machine_new(model);
    const Guest *guest = probe->cpu->guest;
    unsigned refused = 0;

    for (unsigned i = 0; i < guest->ir.register_count * 20; i++) {
        const GuestRegister *reg = &guest->ir.registers[i % guest->ir.register_count];
        TestMachine *machine = test_machine_new(model);
        AUTO_ERROR(error);
        if (!(reg->flags & GUEST_REGISTER_NOT_SAVED)) {
            fill_register(machine, reg);
        }
        if (guest->check_state(machine->cpu, &error)) {
            guest->settle(machine->cpu);
            test_machine_run(machine, 200);
        } else {
            g_assert_nonnull(strstr(error_message(error), reg->name));
            refused++;
        }
        test_machine_free(machine);
    }
    g_assert_cmpuint(refused, >, 0);
    test_machine_free(probe);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/guest/riscv/decode/rv64", "max", test_decode);
    g_test_add_data_func("/guest/riscv/decode/rv32", "max32", test_decode);
    g_test_add_func("/guest/riscv/decode/conditions", test_decode_conditions);
    g_test_add_func("/guest/riscv/config/rules", test_config_rules);
    g_test_add_func("/guest/riscv/config/warnings", test_config_warnings);
    g_test_add_func("/guest/riscv/config/profiles", test_profiles);
    g_test_add_func("/guest/riscv/config/paging", test_paging_modes);
    g_test_add_func("/guest/riscv/config/isa", test_isa_strings);
    g_test_add_func("/guest/riscv/embedded", test_embedded);
    g_test_add_func("/guest/riscv/disassembly", test_disassembly);
    g_test_add_data_func("/guest/riscv/registers/rv64", "rv64", test_registers);
    g_test_add_data_func("/guest/riscv/registers/rv32", "rv32", test_registers);
    g_test_add_func("/guest/riscv/csr/rows", test_csr_rows);
    g_test_add_data_func("/guest/riscv/csr/writes/rv64", "rv64", test_csr_writes);
    g_test_add_data_func("/guest/riscv/csr/writes/rv32", "rv32", test_csr_writes);
    g_test_add_func("/guest/riscv/info-registers", test_info_registers);
    g_test_add_func("/guest/riscv/info-mem", test_info_mem);
    g_test_add_func("/guest/riscv/lines", test_lines);
    g_test_add_func("/guest/riscv/unmasked-lines", test_unmasked_lines);
    g_test_add_func("/guest/riscv/critical-error", test_critical_error);
    g_test_add_func("/guest/riscv/claimed", test_claimed);
    g_test_add_data_func("/guest/riscv/random/rv64", "max", test_random_code);
    g_test_add_data_func("/guest/riscv/random/rv32", "max32", test_random_code);
    g_test_add_data_func("/guest/riscv/hostile-state/rv64", "max,smrnmi=on", test_hostile_state);
    g_test_add_data_func("/guest/riscv/hostile-state/rv32", "max32,smrnmi=on", test_hostile_state);
    reserved_add_tests();
    return g_test_run();
}
