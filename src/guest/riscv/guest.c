/*
 * RISC-V: RV32 and RV64 with I, E, M, A, F, D, C and the extensions that config.h lists; machine, supervisor and user
 * mode. After "The RISC-V Instruction Set Manual", volumes I and II, version 20240411. The width is a fact of the
 * configuration: both guests are this code. Not here: the hypervisor extension, vectors, quad precision, control-flow
 * integrity (Zicfilp, Zicfiss); instructions and registers of theirs are illegal.
 */
#include "guest/riscv/internal.h"

#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

static bool riscv_init(Cpu *cpu, Error **error)
{
    cpu->guest_data = NEW(RiscvHart);
    return true;
}

static void riscv_finalize(Cpu *cpu)
{
    free(cpu->guest_data);
    cpu->guest_data = NULL;
}

static void riscv_reset(Cpu *cpu)
{
    const RiscvConfig *config = riscv_config(cpu);
    RiscvState *state = riscv_state(cpu);

    *state = (RiscvState){ .pc = config->resetvec, .privilege = RISCV_MACHINE };
    state->mstatus = (uint64_t)(config->u ? RISCV_USER : RISCV_MACHINE) << MSTATUS_MPP_SHIFT;
    state->mstatus |= config->smdbltrp ? MSTATUS_MDT : 0;
    state->mnstatus = (uint64_t)(config->u ? RISCV_USER : RISCV_MACHINE) << MNSTATUS_MNPP_SHIFT;
    /* Firmware that knows neither is none the worse: both work. */
    state->menvcfg = (config->svadu && !config->svade ? MENVCFG_ADUE : 0) | (config->svpbmt ? MENVCFG_PBMTE : 0);
    riscv_counters_reset(cpu);
    riscv_pmp_derive(cpu);
    riscv_trigger_reset(cpu);
    riscv_update_timer(cpu);
}

static void riscv_settle(Cpu *cpu)
{
    riscv_set_frm(riscv_state(cpu), riscv_state(cpu)->frm);
    riscv_pmp_derive(cpu);
    riscv_trigger_derive(cpu);
    riscv_counters_settle(cpu);
    riscv_satp_changed(cpu);
    riscv_update_timer(cpu);
}

static uint64_t riscv_mode(const Cpu *cpu)
{
    const RiscvState *state = riscv_state(cpu);
    unsigned fs = state->fs;

    if (riscv_config(cpu)->zfinx) { /* nothing hangs on mstatus.FS */
        fs = riscv_state_enabled(cpu, STATEEN_FCSR) ? FS_DIRTY : FS_OFF;
    }

    return riscv_data_mmu_mode(cpu) | (uint64_t)state->privilege << MODE_PRIVILEGE_SHIFT |
           (fs != FS_OFF ? MODE_FP : 0) | (state->frm > FP_ROUND_NEAREST_AWAY ? MODE_BAD_ROUNDING : 0) |
           (state->frm == FP_ROUND_NEAREST_AWAY ? MODE_NEAREST_AWAY : 0) | (fs == FS_DIRTY ? MODE_FP_DIRTY : 0) |
           (riscv_environment_allows(cpu, ENVCFG_CBZE) ? MODE_CACHE_ZERO : 0) |
           (riscv_hart(cpu)->stepping >> state->privilege & 1 ? MODE_STEP : 0);
}

static uint64_t riscv_pc(const Cpu *cpu)
{
    return riscv_state(cpu)->pc;
}

static void riscv_set_pc(Cpu *cpu, uint64_t pc)
{
    riscv_state(cpu)->pc = riscv_truncate(riscv_config(cpu), pc);
}

/* As compilers use them, counted in Debian's C library. */
static const uint16_t frequent[] = { 15, 14, 2, 10, 13, 8, 11, 12, 9, 18, 19, 16, 1, 20, 17, 6 };
#define F(n) (RISCV_REGISTER_F0 + (n))
static const uint16_t frequent_float[] = { F(15), F(14), F(13), F(12), F(11), F(10), F(0), F(1),
                                           F(2),  F(3),  F(4),  F(5),  F(8),  F(9),  F(18), F(19) };
#undef F

static const uint32_t fp_contexts[] = { offsetof(RiscvState, fp) };

enum { ELF_MACHINE_RISCV = 243 };

/* By the groups of the register table. */
static const char *const gdb_features[] = { "org.gnu.gdb.riscv.cpu", "org.gnu.gdb.riscv.fpu" };

/* guests: riscv32_guest riscv64_guest */
#define RISCV_GUEST(bits_, elf_class_, default_, others_) \
    const Guest riscv##bits_##_guest = { \
        .ir = { \
            .name = "riscv" #bits_, \
            .registers = riscv##bits_##_registers, \
            .register_count = RISCV_REGISTER_COUNT, \
            .pc_register = RISCV_REGISTER_PC, \
            .helpers = riscv_helpers, \
            .helper_count = RISCV_HELPER_COUNT, \
            .fp_contexts = fp_contexts, \
            .fp_context_count = ARRAY_SIZE(fp_contexts), \
            .frequent = frequent, \
            .frequent_count = ARRAY_SIZE(frequent), \
            .frequent_float = frequent_float, \
            .frequent_float_count = ARRAY_SIZE(frequent_float), \
        }, \
        .target = "riscv" #bits_, \
        .elf_machine = ELF_MACHINE_RISCV, \
        .gdb_architecture = "riscv:rv" #bits_, \
        .gdb_features = gdb_features, \
        .gdb_feature_count = ARRAY_SIZE(gdb_features), \
        .gdb_system_feature = "org.gnu.gdb.riscv.csr", \
        .system_register = riscv_system_register, \
        .get_system_register = riscv_get_system_register, \
        .set_system_register = riscv_set_system_register, \
        .system_register_limit = RISCV_SYSTEM_REGISTERS, \
        .elf_class = elf_class_, \
        .word_bits = bits_, \
        .page_bits = 12, \
        .state_size = sizeof(RiscvState), \
        .config_size = sizeof(RiscvConfig), \
        .models = riscv##bits_##_models, \
        .default_model = default_, \
        .other_models = others_, \
        .properties = riscv##bits_##_properties, \
        .config_init = riscv_config_init, \
        .config_given = riscv_config_given, \
        .config_check = riscv_config_check, \
        .config_warnings = riscv_config_warnings, \
        .init = riscv_init, \
        .finalize = riscv_finalize, \
        .reset = riscv_reset, \
        .mode = riscv_mode, \
        .fetch_mmu_mode = riscv_fetch_mmu_mode, \
        .space = riscv_space, \
        .spaced_modes = MMU_MODES_TRANSLATED, \
        .pc = riscv_pc, \
        .set_pc = riscv_set_pc, \
        .translate = riscv_translate, \
        .walk = riscv_walk, \
        .watch = riscv_watch, \
        .missed = riscv_count_miss, \
        .bus_error = riscv_bus_error, \
        .misaligned = riscv_misaligned, \
        .deliver = riscv_deliver, \
        .interrupt = riscv_interrupt, \
        .has_work = riscv_has_work, \
        .timer = riscv_timer, \
        .alarm = riscv_alarm, \
        .check_state = riscv_check_state, \
        .settle = riscv_settle, \
        .disassemble = riscv_disassemble, \
        .print_registers = riscv_print_registers, \
        .print_mappings = riscv_print_mappings, \
        .isa_string = riscv_isa_string, \
    }

RISCV_GUEST(32, 1, "rv32", NULL);

/* A machine of RV64 can have harts of RV32, which are that guest's. */
static const GuestOtherModel riscv64_others[] = {
    { "lowrisc-ibex", &riscv32_guest, "lowrisc-ibex" },
    { "max32", &riscv32_guest, "max" },
    { "rv32", &riscv32_guest, "rv32" },
    { "rv32e", &riscv32_guest, "rv32e" },
    { "rv32i", &riscv32_guest, "rv32i" },
    { "rva23s64", .lacks = "vectors and the hypervisor extension" },
    { "rva23u64", .lacks = "vectors" },
    { "sifive-e31", &riscv32_guest, "sifive-e31" },
    { "sifive-e34", &riscv32_guest, "sifive-e34" },
    { "sifive-u34", &riscv32_guest, "sifive-u34" },
    { "thead-c906", .lacks = "T-Head's own instructions" },
    { "tt-ascalon", .lacks = "vectors and the hypervisor extension" },
    { "veyron-v1", .lacks = "the hypervisor extension and Ventana's own instructions" },
    { "x-rv128", .lacks = "registers of 128 bits" },
    { NULL },
};

RISCV_GUEST(64, 2, "rv64", riscv64_others);
