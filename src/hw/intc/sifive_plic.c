/*
 * RISC-V platform-level interrupt controller ("riscv.sifive.plic").
 *
 * After the RISC-V Platform-Level Interrupt Controller Specification 1.0.0. Every source has a level-sensitive gateway:
 * while its line is high it asks once, and again after completion. The strides of the enable bits and of the contexts
 * are the specification's; where its parts begin, properties say.
 */
#include "api/type.h"
#include "base/error.h"
#include "base/log.h"
#include "core/device.h"
#include "core/fdt.h"
#include "core/machine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAXIMUM_SOURCES = 1024, /* with source 0, which does not exist */
    MAXIMUM_CONTEXTS = 1024, /* the specification has room for 15872 */
    SOURCE_WORDS = MAXIMUM_SOURCES / 32,
    ENABLE_STRIDE = 0x80,
    CONTEXT_STRIDE = 0x1000,
};

typedef struct Plic {
    Device device;
    /* properties */
    char *hart_config;
    uint32_t hartid_base, num_sources, num_priorities;
    uint32_t priority_base, pending_base, enable_base, enable_stride, context_base, context_stride, aperture_size;
    uint32_t contexts; /* that hart_config names */
    Irq **irqs;        /* of each context */
    /* registers */
    uint32_t priority[MAXIMUM_SOURCES];
    uint32_t pending[SOURCE_WORDS];
    uint32_t enable[MAXIMUM_CONTEXTS * SOURCE_WORDS];
    uint32_t threshold[MAXIMUM_CONTEXTS];
    /* the gateways */
    uint32_t level[SOURCE_WORDS];   /* lines that are high */
    uint32_t claimed[SOURCE_WORDS]; /* forwarded and not yet completed: ask no more */
} Plic;

static Plic *plic_of(Device *device) { return (Plic *)device; }
static unsigned source_words(const Plic *plic) { return (plic->num_sources + 31) / 32; }

static bool bit_test(const uint32_t *bits, unsigned n) { return bits[n / 32] >> n % 32 & 1; }
static void bit_set(uint32_t *bits, unsigned n) { bits[n / 32] |= UINT32_C(1) << n % 32; }
static void bit_clear(uint32_t *bits, unsigned n) { bits[n / 32] &= ~(UINT32_C(1) << n % 32); }

/* The pending, enabled source of the highest priority, the lowest number among equals; 0: none. Priority 0 is never. */
static unsigned best_source(const Plic *plic, unsigned context)
{
    const uint32_t *enable = &plic->enable[context * SOURCE_WORDS];
    unsigned best = 0;
    uint32_t best_priority = 0;

    for (unsigned word = 0; word < source_words(plic); word++) {
        for (uint32_t bits = plic->pending[word] & enable[word]; bits; bits &= bits - 1) {
            unsigned source = word * 32 + (unsigned)__builtin_ctz(bits);
            if (plic->priority[source] > best_priority) {
                best = source;
                best_priority = plic->priority[source];
            }
        }
    }
    return best;
}

static void update_context(Plic *plic, unsigned context)
{
    unsigned source = best_source(plic, context);

    irq_set(plic->irqs[context], source && plic->priority[source] > plic->threshold[context]);
}

static void update_all(Plic *plic)
{
    for (unsigned context = 0; context < plic->contexts; context++) {
        update_context(plic, context);
    }
}

/* The gateway of `source` looks at its line. */
static void gateway(Plic *plic, unsigned source)
{
    if (bit_test(plic->level, source) && !bit_test(plic->claimed, source) && !bit_test(plic->pending, source)) {
        bit_set(plic->pending, source);
        update_all(plic);
    }
}

static void source_input(Device *device, unsigned source, int level)
{
    Plic *plic = plic_of(device);

    if (!source) {
        return; /* source 0 does not exist */
    }
    if (level) {
        bit_set(plic->level, source);
        gateway(plic, source);
    } else {
        bit_clear(plic->level, source); /* what is pending stays */
    }
}

/* Registers */

static AccessResult priority_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Plic *plic = plic_of(device);
    unsigned source = register_index(reg, access);
    uint32_t maximum = plic->num_priorities;

    if (source == 0) {
        return ACCESS_OK;
    }
    /* Legal values are 0 to num_priorities: bits that no legal value has read as zero, else the old value stays. */
    value &= mask_bits(32 - (maximum ? (unsigned)__builtin_clz(maximum) : 32));
    if (value <= maximum) {
        register_store(device, reg, source, value);
        update_all(plic);
    }
    return ACCESS_OK;
}

static AccessResult threshold_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Plic *plic = plic_of(device);
    unsigned context = register_index(reg, access);
    uint32_t maximum = plic->num_priorities;

    value &= mask_bits(32 - (maximum ? (unsigned)__builtin_clz(maximum) : 32));
    if (value <= maximum) {
        plic->threshold[context] = (uint32_t)value;
        update_context(plic, context);
    }
    return ACCESS_OK;
}

static AccessResult enable_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Plic *plic = plic_of(device);
    unsigned index = register_index(reg, access);
    unsigned word = index % SOURCE_WORDS;
    uint32_t present = 0;

    if (word < source_words(plic)) {
        present = (uint32_t)mask_bits(MIN(plic->num_sources - word * 32, 32)) & ~(word == 0 ? 1u : 0u);
    }
    plic->enable[index] = (uint32_t)value & present;
    update_context(plic, index / SOURCE_WORDS);
    return ACCESS_OK;
}

static AccessResult claim_read(Device *device, const Register *reg, const Access *access, uint64_t *value)
{
    Plic *plic = plic_of(device);
    unsigned source = best_source(plic, register_index(reg, access)); /* whatever the threshold */

    *value = source;
    if (source && !access->debug) {
        bit_clear(plic->pending, source);
        bit_set(plic->claimed, source);
        update_all(plic);
    }
    return ACCESS_OK;
}

static AccessResult complete_write(Device *device, const Register *reg, const Access *access, uint64_t value)
{
    Plic *plic = plic_of(device);
    unsigned context = register_index(reg, access);

    if (value == 0 || value >= plic->num_sources || !bit_test(&plic->enable[context * SOURCE_WORDS], (unsigned)value)) {
        log_guest_error(device_log(device), "%s: context %u completes source %" PRIu64 ", which it has not enabled\n",
                        device_name(device), context, value);
        return ACCESS_OK;
    }
    bit_clear(plic->claimed, (unsigned)value);
    gateway(plic, (unsigned)value);
    return ACCESS_OK;
}

static uint32_t count_sources(const Device *device, const Register *reg) { return ((const Plic *)device)->num_sources; }
static uint32_t count_words(const Device *device, const Register *reg) { return source_words((const Plic *)device); }
static uint32_t count_contexts(const Device *device, const Register *reg) { return ((const Plic *)device)->contexts; }
static uint32_t count_enables(const Device *device, const Register *reg)
{
    return ((const Plic *)device)->contexts * SOURCE_WORDS;
}

static const Register priority_registers[] = {
    REG_ARRAY(Plic, PRIORITY, 0, priority, .count_of = count_sources, .write = priority_write),
};
static const Register pending_registers[] = {
    REG_ARRAY(Plic, PENDING, 0, pending, .count_of = count_words, .read_only = true),
};
static const Register enable_registers[] = {
    REG_ARRAY(Plic, ENABLE, 0, enable, .count_of = count_enables, .write = enable_write),
};
static const Register context_registers[] = {
    REG_ARRAY(Plic, THRESHOLD, 0, threshold, .stride = CONTEXT_STRIDE, .count_of = count_contexts,
              .write = threshold_write),
    REG_HOOK(CLAIM, 4, .stride = CONTEXT_STRIDE, .count = MAXIMUM_CONTEXTS, .count_of = count_contexts,
             .read = claim_read, .write = complete_write),
};

static uint64_t aperture_bytes(const Device *device) { return MAX(((const Plic *)device)->aperture_size, 4); }
static uint64_t priority_bytes(const Device *device) { return ((const Plic *)device)->num_sources * UINT64_C(4); }
static uint64_t pending_bytes(const Device *device) { return source_words((const Plic *)device) * UINT64_C(4); }
/* Without a context realize fails; a region is not empty even then. */
static uint64_t per_context(const Device *device, uint64_t bytes)
{
    return MAX(((const Plic *)device)->contexts, 1) * bytes;
}
static uint64_t enable_bytes(const Device *device) { return per_context(device, ENABLE_STRIDE); }
static uint64_t context_bytes(const Device *device) { return per_context(device, CONTEXT_STRIDE); }

#define PLIC_BANK(name_, size_, registers_) \
    { .name = name_, .size_of = size_, .registers = registers_, .count = ARRAY_SIZE(registers_), .valid_minimum = 4, \
      .valid_maximum = 4 }
/* The aperture reads as zero where nothing else is. */
enum { BANK_APERTURE, BANK_PRIORITY, BANK_PENDING, BANK_ENABLE, BANK_CONTEXT };
static const RegisterBank banks[] = {
    [BANK_APERTURE] = { .name = "riscv.sifive.plic", .size_of = aperture_bytes, .valid_minimum = 4,
                        .valid_maximum = 4 },
    [BANK_PRIORITY] = PLIC_BANK("priority", priority_bytes, priority_registers),
    [BANK_PENDING] = PLIC_BANK("pending", pending_bytes, pending_registers),
    [BANK_ENABLE] = PLIC_BANK("enable", enable_bytes, enable_registers),
    [BANK_CONTEXT] = PLIC_BANK("context", context_bytes, context_registers),
};

static bool check_state(void *state, uint32_t version, Error **error)
{
    const Plic *plic = state;

    for (unsigned source = 0; source < MAXIMUM_SOURCES; source++) {
        bool outside = source == 0 || source >= plic->num_sources;
        if (outside && (bit_test(plic->pending, source) || bit_test(plic->claimed, source))) {
            return error_set(error, "riscv.sifive.plic: source %u does not exist", source);
        }
    }
    return true;
}

static const StateField state_fields[] = {
    STATE_FIELD_ARRAY(Plic, level, STATE_UNSIGNED),
    STATE_FIELD_ARRAY(Plic, claimed, STATE_UNSIGNED),
    STATE_FIELD_NOT_SAVED(Plic, hart_config, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, hartid_base, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, num_sources, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, num_priorities, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, priority_base, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, pending_base, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, enable_base, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, enable_stride, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, context_base, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, context_stride, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, aperture_size, "a property"),
    STATE_FIELD_NOT_SAVED(Plic, contexts, "follows from hart_config"),
    STATE_FIELD_NOT_SAVED(Plic, irqs, "handles; settle drives them"),
    STATE_FIELDS_END,
};

static const StateTable state_table = {
    .name = "riscv.sifive.plic", .version = 1, .minimum_version = 1, .fields = state_fields, .check = check_state,
};

/* Life */

/* "MS,MS": the modes of each hart, a context for each. */
static bool check_hart_config(Object *object, const Property *property, Error **error)
{
    Plic *plic = (Plic *)object;
    unsigned contexts = 0;

    for (const char *at = plic->hart_config; at && *at; at++) {
        size_t modes = strcspn(at, ","); /* that are left of this hart's */
        if (modes && (!strchr("MSHU", *at) || memchr(at + 1, *at, modes - 1))) {
            return error_set(error, "'hart-config' expects modes M, S, H, U, each once for a hart, as in 'MS,MS'");
        }
        contexts += modes > 0;
    }
    if (contexts > MAXIMUM_CONTEXTS) {
        return error_set(error, "'hart-config' must not name more than %d contexts", MAXIMUM_CONTEXTS);
    }
    plic->contexts = contexts;
    return true;
}

static bool check_num_sources(Object *object, const Property *property, Error **error)
{
    uint32_t sources = ((Plic *)object)->num_sources;

    return (sources >= 1 && sources <= MAXIMUM_SOURCES) ||
           error_set(error, "'num-sources' expects an integer from 1 to %d", MAXIMUM_SOURCES);
}

static bool check_stride(Object *object, const Property *property, Error **error)
{
    uint32_t stride = *(const uint32_t *)((const char *)object + property->offset);

    return stride == property->data ||
           error_set(error, "'%s' must be the specification's, 0x%" PRIx64, property->name, property->data);
}

/* Puts the parts into the aperture, if they fit and do not overlap. */
static bool map_banks(Plic *plic, Error **error)
{
    const uint32_t bases[] = {
        [BANK_PRIORITY] = plic->priority_base,
        [BANK_PENDING] = plic->pending_base,
        [BANK_ENABLE] = plic->enable_base,
        [BANK_CONTEXT] = plic->context_base,
    };
    Region **regions = plic->device.regions.items;
    uint64_t end = 0;

    for (unsigned bank = BANK_PRIORITY; bank <= BANK_CONTEXT; bank++) {
        if (bases[bank] < end || bases[bank] % 4) {
            return error_set(error, "'%s-base' 0x%x is not a multiple of 4 from 0x%" PRIx64 " up", banks[bank].name,
                             bases[bank], end);
        }
        end = bases[bank] + regions[bank]->size_minus_1 + 1;
        region_map(regions[BANK_APERTURE], bases[bank], regions[bank], 0);
    }
    return end <= plic->aperture_size ||
           error_set(error, "'aperture-size' 0x%x is less than the 0x%" PRIx64 " that the contexts need",
                     plic->aperture_size, end);
}

static bool plic_realize(Device *device, Error **error)
{
    Plic *plic = plic_of(device);

    if (!plic->contexts) {
        return error_set(error, "'hart-config' names no context");
    }
    plic->irqs = mem_alloc0(plic->contexts * sizeof *plic->irqs);
    device_init_irq_outputs(device, "", plic->irqs, plic->contexts);
    device_init_irq_inputs(device, "", source_input, plic->num_sources);
    return map_banks(plic, error);
}

static void plic_finalize(Object *object) { free(((Plic *)object)->irqs); }

/* Lines that are still high will be told again by their devices; here they are low. */
static void plic_reset(Device *device, ResetKind kind)
{
    Plic *plic = plic_of(device);

    memset(plic->claimed, 0, sizeof plic->claimed);
}

static void plic_settle(Device *device) { update_all(plic_of(device)); }

static void plic_write_fdt(Device *device, FdtWriter *fdt)
{
    const Plic *plic = plic_of(device);
    const Placement *placement = &device->placement;

    fdt_begin(fdt, "plic@%" PRIx64, placement->addresses[0]);
    fdt_u32(fdt, "#interrupt-cells", 1);
    fdt_u32(fdt, "#address-cells", 0);
    fdt_texts(fdt, "compatible", (const char *const[]){ "sifive,plic-1.0.0", "riscv,plic0" }, 2);
    fdt_empty(fdt, "interrupt-controller");
    fdt_cells(fdt, "interrupts-extended", placement->extended, placement->extended_count);
    fdt_reg(fdt, (const uint64_t[]){ placement->addresses[0], placement->sizes[0] }, 1);
    fdt_u32(fdt, "riscv,ndev", plic->num_sources - 1);
    fdt_u32(fdt, "phandle", placement->phandle);
    fdt_end(fdt);
}

#define PLIC_NUMBER(name_, field_, default_, description_) \
    PROP(name_, type_uint32, Plic, field_, default_, description_)
#define PLIC_STRIDE(name_, field_, default_, value_, description_) \
    { .name = name_, .type = &type_uint32, .offset = offsetof(Plic, field_), .default_text = default_, \
      .description = description_, .data = value_, .check = check_stride }
static const Property properties[] = {
    PLIC_NUMBER("aperture-size", aperture_size, "0x4000000", "bytes of the whole device"),
    PLIC_NUMBER("context-base", context_base, "0x200000", "offset of the first context"),
    PLIC_STRIDE("context-stride", context_stride, "0x1000", CONTEXT_STRIDE, "bytes from a context to the next"),
    PLIC_NUMBER("enable-base", enable_base, "0x2000", "offset of the first context's enable bits"),
    PLIC_STRIDE("enable-stride", enable_stride, "0x80", ENABLE_STRIDE,
                "bytes from a context's enable bits to the next's"),
    { .name = "hart-config", .type = &type_string, .offset = offsetof(Plic, hart_config), .check = check_hart_config,
      .description = "modes of each hart that have a context, as in 'MS,MS'" },
    PLIC_NUMBER("hartid-base", hartid_base, "0", "number of the first hart"),
    PLIC_NUMBER("num-priorities", num_priorities, "7", "highest priority"),
    { .name = "num-sources", .type = &type_uint32, .offset = offsetof(Plic, num_sources), .default_text = "1",
      .check = check_num_sources, .description = "sources, with number 0, which is none" },
    PLIC_NUMBER("pending-base", pending_base, "0x1000", "offset of the pending bits"),
    PLIC_NUMBER("priority-base", priority_base, "0", "offset of source 0's priority"),
    PROP_END,
};

const DeviceClass sifive_plic_class = {
    .class = {
        .name = "riscv.sifive.plic",
        .parent = &sysbus_device_class.class,
        .description = "RISC-V platform-level interrupt controller",
        .size = sizeof(Plic),
        .properties = properties,
        .finalize = plic_finalize,
    },
    .category = "Misc",
    .interrupt_controller = true,
    .banks = banks,
    .bank_count = ARRAY_SIZE(banks),
    .state = &state_table,
    .realize = plic_realize,
    .reset = plic_reset,
    .settle = plic_settle,
    .write_fdt = plic_write_fdt,
};
