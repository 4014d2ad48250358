/*
 * The control and status registers of the base, F, the counters and the privileged architecture 1.13: one row each,
 * with what a plain register cannot say in hooks. Not here: the registers of the hypervisor extension (there is none:
 * misa.H is clear), AIA and vectors.
 */
#include "guest/riscv/csr.h"

/* Whether a register exists. */

static bool has_f(const RiscvConfig *config, unsigned index) { return config->f || config->zfinx; }
static bool has_s(const RiscvConfig *config, unsigned index) { return config->s; }
static bool has_u(const RiscvConfig *config, unsigned index) { return config->u; }
static bool has_sstc(const RiscvConfig *config, unsigned index) { return config->sstc; }
static bool has_zicntr(const RiscvConfig *config, unsigned index) { return config->zicntr; }
static bool has_zihpm(const RiscvConfig *config, unsigned index) { return config->zihpm; }
static bool has_zkr(const RiscvConfig *config, unsigned index) { return config->zkr; }
static bool has_zcmt(const RiscvConfig *config, unsigned index) { return config->zcmt; }
static bool has_sscofpmf(const RiscvConfig *config, unsigned index) { return config->sscofpmf; }
static bool has_smcntrpmf(const RiscvConfig *config, unsigned index) { return config->smcntrpmf; }
static bool has_smrnmi(const RiscvConfig *config, unsigned index) { return config->smrnmi; }
static bool has_ssdbltrp(const RiscvConfig *config, unsigned index) { return config->ssdbltrp; }
static bool has_debug(const RiscvConfig *config, unsigned index) { return config->debug; }
static bool has_debug_s(const RiscvConfig *config, unsigned index) { return config->debug && config->s; }
static bool is_1_11(const RiscvConfig *config, unsigned index) { return config->priv_spec >= RISCV_PRIV_1_11; }
static bool is_1_12(const RiscvConfig *config, unsigned index) { return config->priv_spec >= RISCV_PRIV_1_12; }
static bool is_1_12_u(const RiscvConfig *config, unsigned index) { return is_1_12(config, 0) && config->u; }
static bool is_1_12_s(const RiscvConfig *config, unsigned index) { return is_1_12(config, 0) && config->s; }
static bool is_1_13_s(const RiscvConfig *config, unsigned index)
{
    return config->priv_spec >= RISCV_PRIV_1_13 && config->s;
}
static bool has_pmp_address(const RiscvConfig *config, unsigned index) { return index < config->pmp_count; }
/* On RV64 one register is as wide as two: the odd ones are not there. */
static bool has_pmp_config(const RiscvConfig *config, unsigned index)
{
    return index * 4 < config->pmp_count && !(config->xlen == 64 && index % 2);
}

static bool has_mseccfg(const RiscvConfig *config, unsigned index)
{
    return config->smepmp || config->zkr;
}

/* Whether it may be used now. */

static bool fp_is_on(const Cpu *cpu, unsigned number)
{
    return riscv_config(cpu)->zfinx ? riscv_state_enabled(cpu, STATEEN_FCSR) : riscv_state(cpu)->fs != FS_OFF;
}

static bool counter_allowed(const Cpu *cpu, unsigned number)
{
    const RiscvState *state = riscv_state(cpu);
    unsigned counter = number & 31;

    if (state->privilege == RISCV_MACHINE) {
        return true;
    }
    bool user = state->privilege == RISCV_USER && riscv_config(cpu)->s;
    return state->mcounteren >> counter & 1 && (!user || state->scounteren >> counter & 1);
}

static bool stimecmp_allowed(const Cpu *cpu, unsigned number)
{
    const RiscvState *state = riscv_state(cpu);
    return state->privilege == RISCV_MACHINE || (state->mcounteren & 2 && state->menvcfg & MENVCFG_STCE);
}

static bool satp_allowed(const Cpu *cpu, unsigned number)
{
    const RiscvState *state = riscv_state(cpu);
    return state->privilege == RISCV_MACHINE || !(state->mstatus & MSTATUS_TVM);
}

/* The entropy source (Zkr): each read gives 16 fresh bits. */

#define SEED_ENTROPY (UINT64_C(2) << 30) /* and not: being tested, waiting, dead */

static bool seed_allowed(const Cpu *cpu, unsigned number)
{
    const RiscvState *state = riscv_state(cpu);
    unsigned opens = state->privilege == RISCV_SUPERVISOR ? MSECCFG_SSEED : MSECCFG_USEED;
    return state->privilege == RISCV_MACHINE || state->mseccfg & opens;
}

static uint64_t read_seed(Cpu *cpu, const CsrRow *row, unsigned index)
{
    uint16_t bits;

    cpu_random(cpu, &bits, sizeof bits);
    return SEED_ENTROPY | bits;
}

static void write_seed(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
}

/* Floating point. */

enum { FCSR_FRM_SHIFT = 5, FFLAGS = 31, FRM = 7 };

void riscv_set_frm(RiscvState *state, unsigned frm)
{
    state->frm = (uint8_t)frm;
    state->fp.rounding = frm <= FP_ROUND_NEAREST_AWAY ? (uint8_t)frm : FP_ROUND_NEAREST_EVEN;
}

static void mark_fp_dirty(Cpu *cpu)
{
    if (riscv_config(cpu)->f) {
        riscv_state(cpu)->fs = FS_DIRTY;
    }
}

static uint64_t read_fflags(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->fp.flags & FFLAGS;
}

static void write_fflags(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_state(cpu)->fp.flags = value & FFLAGS;
    mark_fp_dirty(cpu);
}

static uint64_t read_frm(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->frm;
}

static void write_frm(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_set_frm(riscv_state(cpu), value & FRM);
    mark_fp_dirty(cpu);
}

static uint64_t read_fcsr(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return read_fflags(cpu, row, 0) | read_frm(cpu, row, 0) << FCSR_FRM_SHIFT;
}

static void write_fcsr(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    write_fflags(cpu, row, 0, value);
    write_frm(cpu, row, 0, value >> FCSR_FRM_SHIFT);
}

/* Identity. */

enum { CSR_MVENDORID = 0xf11 };

static uint64_t read_identity(Cpu *cpu, const CsrRow *row, unsigned index)
{
    const RiscvConfig *config = riscv_config(cpu);
    const uint64_t values[] = { config->mvendorid, config->marchid, config->mimpid, cpu->index };
    return values[row->number - CSR_MVENDORID];
}

static uint64_t read_misa(Cpu *cpu, const CsrRow *row, unsigned index)
{
    const RiscvConfig *c = riscv_config(cpu);
    const struct {
        char letter;
        bool on;
    } letters[] = { { 'A', c->a }, { 'B', c->b }, { 'C', c->c }, { 'D', c->d }, { 'E', c->e },
                    { 'F', c->f }, { 'I', c->i }, { 'M', c->m }, { 'S', c->s }, { 'U', c->u } };
    uint64_t misa = c->xlen == 64 ? UINT64_C(2) << 62 : UINT64_C(1) << 30;

    for (unsigned i = 0; i < ARRAY_SIZE(letters); i++) {
        misa |= letters[i].on ? BIT(letters[i].letter - 'A') : 0;
    }
    return misa;
}

/* Status. */

/* mstatus with the members that are kept apart. */
static uint64_t whole_mstatus(const Cpu *cpu)
{
    const RiscvConfig *config = riscv_config(cpu);
    const RiscvState *state = riscv_state(cpu);
    uint64_t status = state->mstatus | (uint64_t)state->fs << MSTATUS_FS_SHIFT;

    if (config->xlen == 64) {
        status |= (config->u ? MSTATUS_UXL_64 : 0) | (config->s ? MSTATUS_SXL_64 : 0);
    }
    return status | (state->fs == FS_DIRTY ? BIT(config->xlen - 1) : 0);
}

static uint64_t read_mstatus(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return whole_mstatus(cpu);
}

/* Within a trap, further ones are kept off. */
static uint64_t without_disabled(uint64_t status)
{
    uint64_t off = (status & MSTATUS_MDT ? MSTATUS_MIE : 0) | (status & MSTATUS_SDT ? MSTATUS_SIE : 0);
    return status & ~off;
}

static void write_mstatus(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const RiscvConfig *config = riscv_config(cpu);
    RiscvState *state = riscv_state(cpu);
    uint64_t writable = MSTATUS_MIE | MSTATUS_MPIE, previous = (value & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT;

    writable |= config->s ? MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_MXR | MSTATUS_TVM | MSTATUS_TSR : 0;
    writable |= config->paging_levels ? MSTATUS_SUM : 0;
    writable |= config->u ? MSTATUS_MPRV | MSTATUS_TW : 0;
    writable |= riscv_privilege_exists(config, previous) ? MSTATUS_MPP : 0;
    writable |= config->smdbltrp ? MSTATUS_MDT : 0;
    writable |= state->menvcfg & MENVCFG_DTE ? MSTATUS_SDT : 0;
    state->mstatus = without_disabled((state->mstatus & ~writable) | (value & writable));
    if (config->f) {
        state->fs = (value & MSTATUS_FS) >> MSTATUS_FS_SHIFT;
    }
}

static uint64_t sstatus_mask(const RiscvConfig *config)
{
    return MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR | BIT(config->xlen - 1) |
           (config->ssdbltrp ? MSTATUS_SDT : 0) | (config->xlen == 64 ? UINT64_C(3) << 32 : 0);
}

static uint64_t read_sstatus(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return whole_mstatus(cpu) & sstatus_mask(riscv_config(cpu));
}

static void write_sstatus(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    uint64_t mask = sstatus_mask(riscv_config(cpu));
    write_mstatus(cpu, row, 0, (whole_mstatus(cpu) & ~mask) | (value & mask));
}

/* Interrupts. */

enum {
    SUPERVISOR_IRQS = 1 << IRQ_SUPERVISOR_SOFTWARE | 1 << IRQ_SUPERVISOR_TIMER | 1 << IRQ_SUPERVISOR_EXTERNAL,
    MACHINE_IRQS = 1 << IRQ_MACHINE_SOFTWARE | 1 << IRQ_MACHINE_TIMER | 1 << IRQ_MACHINE_EXTERNAL,
};

static uint64_t counter_irqs(const Cpu *cpu)
{
    return riscv_config(cpu)->sscofpmf ? BIT(IRQ_COUNTER_OVERFLOW) : 0;
}

static uint64_t supervisor_irqs(const Cpu *cpu)
{
    return riscv_config(cpu)->s ? SUPERVISOR_IRQS | counter_irqs(cpu) : 0;
}

static void write_mideleg(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_state(cpu)->mideleg = value & supervisor_irqs(cpu);
}

static void write_mie(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_state(cpu)->mie = value & (MACHINE_IRQS | supervisor_irqs(cpu));
}

static uint64_t read_sie(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return riscv_state(cpu)->mie & riscv_state(cpu)->mideleg;
}

static void write_sie(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    RiscvState *state = riscv_state(cpu);
    state->mie = (state->mie & ~state->mideleg) | (value & state->mideleg);
}

static uint64_t read_mip(Cpu *cpu, const CsrRow *row, unsigned index)
{
    if (!riscv_state(cpu)->stimer) {
        riscv_update_timer(cpu);
    }
    riscv_latch_edges(cpu);
    return riscv_pending(cpu);
}

static void write_mip(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t writable = supervisor_irqs(cpu);

    if (state->menvcfg & MENVCFG_STCE) {
        writable &= ~BIT(IRQ_SUPERVISOR_TIMER);
    }
    state->mip = (state->mip & ~writable) | (value & writable);
}

static uint64_t read_sip(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return read_mip(cpu, row, 0) & riscv_state(cpu)->mideleg;
}

static void write_sip(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t writable = (BIT(IRQ_SUPERVISOR_SOFTWARE) | counter_irqs(cpu)) & state->mideleg;
    state->mip = (state->mip & ~writable) | (value & writable);
}

static void write_stimecmp(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_state(cpu)->stimecmp = value;
    riscv_update_timer(cpu);
}

/* Trap vectors and addresses. */

/* A reserved mode: nothing is written. */
static void write_tvec(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    if (!(value & 2)) {
        *riscv_csr_storage(cpu, row, 0) = value;
    }
}

/* Where instructions are four bytes, bit 1 is kept but reads as zero. */
static uint64_t read_epc(Cpu *cpu, const CsrRow *row, unsigned index)
{
    return *riscv_csr_storage(cpu, row, 0) & (riscv_config(cpu)->zca ? ~UINT64_C(1) : ~UINT64_C(3));
}

/* Interrupts that cannot be masked. Once they are on, only taking one turns them off. */
static void write_mnstatus(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    uint64_t previous = (value & MNSTATUS_MNPP) >> MNSTATUS_MNPP_SHIFT, *mnstatus = &riscv_state(cpu)->mnstatus;

    if (riscv_privilege_exists(riscv_config(cpu), previous)) {
        *mnstatus = (*mnstatus & ~(uint64_t)MNSTATUS_MNPP) | (value & MNSTATUS_MNPP);
    }
    *mnstatus |= value & MNSTATUS_NMIE;
}

/* Environment, translation, protection. */

/* The fields of menvcfg and senvcfg alike. A reserved CBIE: the field stays. */
static uint64_t envcfg_writable(const RiscvConfig *config, uint64_t value)
{
    bool reserved = (value & ENVCFG_CBIE) == ENVCFG_CBIE_RESERVED;
    return ENVCFG_FIOM | (config->zicbom ? ENVCFG_CBCFE | (reserved ? 0 : ENVCFG_CBIE) : 0) |
           (config->zicboz ? ENVCFG_CBZE : 0);
}

static void write_senvcfg(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    RiscvState *state = riscv_state(cpu);
    uint64_t writable = envcfg_writable(riscv_config(cpu), value);

    state->senvcfg = (state->senvcfg & ~writable) | (value & writable);
}

static void write_menvcfg(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const RiscvConfig *config = riscv_config(cpu);
    uint64_t writable = envcfg_writable(config, value) | (config->svadu ? MENVCFG_ADUE : 0) |
                        (config->svpbmt ? MENVCFG_PBMTE : 0) | (config->sstc ? MENVCFG_STCE : 0) |
                        (config->ssdbltrp ? MENVCFG_DTE : 0);
    uint64_t *menvcfg = &riscv_state(cpu)->menvcfg, changed = (*menvcfg ^ value) & writable;

    *menvcfg ^= changed;
    if (!(*menvcfg & MENVCFG_DTE)) {
        riscv_state(cpu)->mstatus &= ~(uint64_t)MSTATUS_SDT;
    }
    if (changed & MENVCFG_STCE) {
        riscv_update_timer(cpu);
    }
    if (changed & (MENVCFG_ADUE | MENVCFG_PBMTE)) {
        riscv_translation_changed(cpu);
    }
}

/* A mode that is not there: nothing is written. */
static void write_satp(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const RiscvConfig *config = riscv_config(cpu);
    bool supported = riscv_satp_mode_supported(config, riscv_satp_mode(config, value));
    uint64_t *satp = &riscv_state(cpu)->satp;

    if (config->paging_levels && supported && *satp != value) {
        *satp = value;
        riscv_satp_changed(cpu);
    }
}

static uint64_t read_pmp_config(Cpu *cpu, const CsrRow *row, unsigned index)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < riscv_config(cpu)->xlen / 8u; i++) {
        value |= (uint64_t)riscv_pmp_config(cpu, index * 4 + i) << i * 8;
    }
    return value;
}

static void write_pmp_config(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    for (unsigned i = 0; i < riscv_config(cpu)->xlen / 8u; i++) {
        riscv_pmp_set_config(cpu, index * 4 + i, (uint8_t)(value >> i * 8));
    }
    riscv_pmp_derive(cpu);
}

static void write_pmp_address(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    riscv_pmp_set_address(cpu, index, value);
    riscv_pmp_derive(cpu);
}

static void write_mseccfg(Cpu *cpu, const CsrRow *row, unsigned index, uint64_t value)
{
    const RiscvConfig *config = riscv_config(cpu);
    uint64_t seed = config->zkr ? (config->u ? MSECCFG_USEED : 0) | (config->s ? MSECCFG_SSEED : 0) : 0;
    uint64_t *mseccfg = &riscv_state(cpu)->mseccfg;

    *mseccfg = (*mseccfg & ~seed) | (value & seed);
    if (config->smepmp) {
        riscv_pmp_set_mseccfg(cpu, value);
    }
}

/* Exceptions that can come out of S or U and may be delegated. */
enum { DELEGABLE = 0x3ff | 1 << CAUSE_FETCH_PAGE_FAULT | 1 << CAUSE_LOAD_PAGE_FAULT | 1 << CAUSE_STORE_PAGE_FAULT };

#define JVT_MODE UINT64_C(63) /* 0: the table of jumps, the only one there is */

#define AT(field_) .offset = offsetof(RiscvState, field_)
#define ALL_BITS .writable = UINT64_MAX
#define HOOKS(what_) .read = read_##what_, .write = write_##what_
#define HOOKED(what_) .read = riscv_csr_read_##what_, .write = riscv_csr_write_##what_ /* in another file */

const CsrRow riscv_csr_rows[] = {
    /* Unprivileged */
    { 0x001, 0, CSR_HOOKED, "fflags", .exists = has_f, .allowed = fp_is_on, HOOKS(fflags) },
    { 0x002, 0, CSR_HOOKED | CSR_ENDS, "frm", .exists = has_f, .allowed = fp_is_on, HOOKS(frm) },
    { 0x003, 0, CSR_HOOKED | CSR_ENDS, "fcsr", .exists = has_f, .allowed = fp_is_on, HOOKS(fcsr) },
    { 0x015, 0, CSR_HOOKED | CSR_EXCHANGE, "seed", .exists = has_zkr, .allowed = seed_allowed, HOOKS(seed) },
    { 0x017, 0, 0, "jvt", .exists = has_zcmt, .allowed = riscv_csr_allowed_jvt, AT(jvt), .writable = ~JVT_MODE },

    /* Supervisor */
    { 0x100, 0, CSR_HOOKED | CSR_ENDS | CSR_DISABLES, "sstatus", .exists = has_s, HOOKS(sstatus) },
    { 0x104, 0, CSR_HOOKED | CSR_ENDS | CSR_DISABLES, "sie", .exists = has_s, HOOKS(sie) },
    { 0x105, 0, 0, "stvec", .exists = has_s, AT(stvec), .write = write_tvec },
    { 0x106, 0, 0, "scounteren", .exists = has_s, AT(scounteren), .write = riscv_csr_write_counteren },
    { 0x10a, 0, CSR_ENDS, "senvcfg", .exists = is_1_12_s, .allowed = riscv_csr_allowed_senvcfg, AT(senvcfg),
      .write = write_senvcfg },
    { 0x10c, 4, CSR_ENDS, "sstateen", .exists = riscv_csr_has_sstateen, .allowed = riscv_csr_allowed_sstateen,
      AT(sstateen), HOOKED(sstateen) },
    { 0x140, 0, 0, "sscratch", .exists = has_s, AT(sscratch), ALL_BITS },
    { 0x141, 0, 0, "sepc", .exists = has_s, AT(sepc), .writable = ~UINT64_C(1), .read = read_epc },
    { 0x142, 0, 0, "scause", .exists = has_s, AT(scause), ALL_BITS },
    { 0x143, 0, 0, "stval", .exists = has_s, AT(stval), ALL_BITS },
    { 0x144, 0, CSR_ENDS | CSR_DISABLES, "sip", .exists = has_s, AT(mip), HOOKS(sip) },
    { 0x14d, 0, CSR_ENDS, "stimecmp", .exists = has_sstc, .allowed = stimecmp_allowed, AT(stimecmp),
      .write = write_stimecmp },
    { 0x15d, 0, CSR_ENDS | CSR_UPPER, "stimecmph", .exists = has_sstc, .allowed = stimecmp_allowed, AT(stimecmp),
      .write = write_stimecmp },
    { 0x180, 0, CSR_ENDS, "satp", .exists = has_s, .allowed = satp_allowed, AT(satp), .write = write_satp },

    /* Machine */
    { 0x300, 0, CSR_HOOKED | CSR_ENDS | CSR_DISABLES, "mstatus", HOOKS(mstatus) },
    { 0x301, 0, CSR_HOOKED, "misa", .read = read_misa },
    { 0x302, 0, 0, "medeleg", .exists = has_s, AT(medeleg), .writable = DELEGABLE },
    { 0x303, 0, CSR_ENDS, "mideleg", .exists = has_s, AT(mideleg), .write = write_mideleg },
    { 0x304, 0, CSR_ENDS | CSR_DISABLES, "mie", AT(mie), .write = write_mie },
    { 0x305, 0, 0, "mtvec", AT(mtvec), .write = write_tvec },
    { 0x306, 0, 0, "mcounteren", .exists = has_u, AT(mcounteren), .write = riscv_csr_write_counteren },
    { 0x30a, 0, CSR_ENDS, "menvcfg", .exists = is_1_12_u, AT(menvcfg), .write = write_menvcfg },
    { 0x30c, 4, CSR_ENDS, "mstateen", .exists = riscv_csr_has_mstateen, AT(mstateen),
      .write = riscv_csr_write_mstateen },
    { 0x310, 0, CSR_HOOKED | CSR_ENDS | CSR_UPPER, "mstatush", .exists = is_1_12, HOOKS(mstatus) },
    { 0x312, 0, CSR_UPPER, "medelegh", .exists = is_1_13_s, AT(medeleg) },
    { 0x31a, 0, CSR_ENDS | CSR_UPPER, "menvcfgh", .exists = is_1_12_u, AT(menvcfg), .write = write_menvcfg },
    { 0x31c, 4, CSR_ENDS | CSR_UPPER, "mstateen", .exists = riscv_csr_has_mstateen, AT(mstateen),
      .write = riscv_csr_write_mstateen },
    { 0x320, 0, CSR_ENDS, "mcountinhibit", .exists = is_1_11, AT(mcountinhibit),
      .write = riscv_csr_write_mcountinhibit },
    { 0x321, 0, CSR_HOOKED | CSR_ENDS, "mcyclecfg", .exists = has_smcntrpmf, HOOKED(fixed_filter) },
    { 0x322, 0, CSR_HOOKED | CSR_ENDS, "minstretcfg", .exists = has_smcntrpmf, HOOKED(fixed_filter) },
    { 0x323, 29, CSR_HOOKED | CSR_ENDS, "mhpmevent", 3, HOOKED(mhpmevent) },
    { 0x340, 0, 0, "mscratch", AT(mscratch), ALL_BITS },
    { 0x341, 0, 0, "mepc", AT(mepc), .writable = ~UINT64_C(1), .read = read_epc },
    { 0x342, 0, 0, "mcause", AT(mcause), ALL_BITS },
    { 0x343, 0, 0, "mtval", AT(mtval), ALL_BITS },
    { 0x344, 0, CSR_ENDS | CSR_DISABLES, "mip", AT(mip), HOOKS(mip) },
    { 0x34b, 0, 0, "mtval2", .exists = has_ssdbltrp, AT(mtval2), ALL_BITS },
    { 0x3a0, 16, CSR_HOOKED | CSR_ENDS, "pmpcfg", .exists = has_pmp_config, HOOKS(pmp_config) },
    { 0x3b0, 64, CSR_ENDS, "pmpaddr", .exists = has_pmp_address, AT(pmpaddr), .write = write_pmp_address },

    { 0x5a8, 0, 0, "scontext", .exists = has_debug_s, .allowed = riscv_csr_allowed_scontext, AT(scontext),
      .write = riscv_csr_write_scontext },
    { 0x721, 0, CSR_HOOKED | CSR_ENDS | CSR_UPPER, "mcyclecfgh", .exists = has_smcntrpmf, HOOKED(fixed_filter) },
    { 0x722, 0, CSR_HOOKED | CSR_ENDS | CSR_UPPER, "minstretcfgh", .exists = has_smcntrpmf, HOOKED(fixed_filter) },
    { 0x723, 29, CSR_HOOKED | CSR_ENDS | CSR_UPPER, "mhpmevent", 3, .exists = has_sscofpmf, HOOKED(mhpmevent) },

    { 0x740, 0, 0, "mnscratch", .exists = has_smrnmi, AT(mnscratch), ALL_BITS },
    { 0x741, 0, 0, "mnepc", .exists = has_smrnmi, AT(mnepc), .writable = ~UINT64_C(1), .read = read_epc },
    { 0x742, 0, 0, "mncause", .exists = has_smrnmi, AT(mncause), ALL_BITS },
    { 0x744, 0, CSR_ENDS, "mnstatus", .exists = has_smrnmi, AT(mnstatus), .write = write_mnstatus },
    { 0x747, 0, CSR_ENDS, "mseccfg", .exists = has_mseccfg, AT(mseccfg), .write = write_mseccfg },
    { 0x757, 0, CSR_ENDS | CSR_UPPER, "mseccfgh", .exists = has_mseccfg, AT(mseccfg), .write = write_mseccfg },

    { 0x7a0, 0, 0, "tselect", .exists = has_debug, AT(tselect), .write = riscv_csr_write_tselect },
    { 0x7a1, 0, CSR_HOOKED | CSR_ENDS, "tdata1", .exists = has_debug, HOOKED(tdata1) },
    { 0x7a2, 0, CSR_HOOKED | CSR_ENDS, "tdata2", .exists = has_debug, HOOKED(tdata2) },
    { 0x7a3, 0, CSR_HOOKED | CSR_ENDS, "tdata3", .exists = has_debug, HOOKED(tdata3) },
    { 0x7a4, 0, CSR_HOOKED, "tinfo", .exists = has_debug, .read = riscv_csr_read_tinfo },
    { 0x7a8, 0, 0, "mcontext", .exists = has_debug, AT(mcontext), .write = riscv_csr_write_mcontext },

    /* Counters */
    { 0xb00, 0, CSR_HOOKED, "mcycle", HOOKED(counter) },
    { 0xb02, 0, CSR_HOOKED, "minstret", HOOKED(counter) },
    { 0xb03, 29, CSR_HOOKED | CSR_ENDS, "mhpmcounter", 3, HOOKED(counter) },
    { 0xb80, 0, CSR_HOOKED | CSR_UPPER, "mcycleh", HOOKED(counter) },
    { 0xb82, 0, CSR_HOOKED | CSR_UPPER, "minstreth", HOOKED(counter) },
    { 0xb83, 29, CSR_HOOKED | CSR_ENDS | CSR_UPPER, "mhpmcounter", 3, HOOKED(counter) },
    { 0xc00, 0, CSR_HOOKED, "cycle", .exists = has_zicntr, .allowed = counter_allowed, .read = riscv_csr_read_counter },
    { 0xc01, 0, CSR_HOOKED, "time", .exists = has_zicntr, .allowed = counter_allowed, .read = riscv_csr_read_time },
    { 0xc02, 0, CSR_HOOKED, "instret", .exists = has_zicntr, .allowed = counter_allowed,
      .read = riscv_csr_read_counter },
    { 0xc03, 29, CSR_HOOKED, "hpmcounter", 3, .exists = has_zihpm, .allowed = counter_allowed,
      .read = riscv_csr_read_counter },
    { 0xc80, 0, CSR_HOOKED | CSR_UPPER, "cycleh", .exists = has_zicntr, .allowed = counter_allowed,
      .read = riscv_csr_read_counter },
    { 0xc81, 0, CSR_HOOKED | CSR_UPPER, "timeh", .exists = has_zicntr, .allowed = counter_allowed,
      .read = riscv_csr_read_time },
    { 0xc82, 0, CSR_HOOKED | CSR_UPPER, "instreth", .exists = has_zicntr, .allowed = counter_allowed,
      .read = riscv_csr_read_counter },
    { 0xc83, 29, CSR_HOOKED | CSR_UPPER, "hpmcounter", 3, .exists = has_zihpm, .allowed = counter_allowed,
      .read = riscv_csr_read_counter },
    { 0xda0, 0, CSR_HOOKED, "scountovf", .exists = has_sscofpmf, .read = riscv_csr_read_scountovf },

    /* Identity */
    { CSR_MVENDORID, 0, CSR_HOOKED, "mvendorid", .read = read_identity },
    { 0xf12, 0, CSR_HOOKED, "marchid", .read = read_identity },
    { 0xf13, 0, CSR_HOOKED, "mimpid", .read = read_identity },
    { 0xf14, 0, CSR_HOOKED, "mhartid", .read = read_identity },
    { 0xf15, 0, CSR_HOOKED, "mconfigptr", .exists = is_1_12 },
};
const unsigned riscv_csr_row_count = ARRAY_SIZE(riscv_csr_rows);
