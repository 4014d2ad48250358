/*
 * Registers by rows: dispatch of accesses of any size, masks, hooks, reset, and reading by name.
 */
#include "core/device_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "core/machine.h"
#include "trace/core.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A bank as a region sees it. */
typedef struct BankView {
    Device *device;
    const RegisterBank *bank;
    const Register *doorbell; /* NULL: there is none */
} BankView;

static unsigned register_size(const Register *reg) { return reg->size ? reg->size : 4; }
static unsigned register_stride(const Register *reg) { return reg->stride ? reg->stride : register_size(reg); }

static uint32_t register_count(const Device *device, const Register *reg)
{
    return reg->count_of ? reg->count_of(device, reg) : reg->count ? reg->count : 1;
}

unsigned register_index(const Register *reg, const Access *access)
{
    return (unsigned)((access->address - reg->address) / register_stride(reg));
}

/* Storage. */

/* The field of element `index` in bank `bank`, NULL where the row has none. */
static void *register_field(const Device *device, const Register *reg, unsigned index, unsigned bank)
{
    if (!reg->field_size) {
        return NULL;
    }
    size_t stride = reg->field_stride ? reg->field_stride : reg->field_size;
    size_t bank_offset = reg->banked ? (size_t)bank * device_banks_of(device_class_of(device))->bank_stride : 0;
    return (uint8_t *)device + reg->offset + index * stride + bank_offset;
}

/* The bits of the field that are the register's, at the register's place. */
static uint64_t register_mask(const Register *reg)
{
    unsigned field_bits = reg->field_size ? 8u * reg->field_size - reg->shift : 64;
    return mask_bits(MIN(8 * register_size(reg), field_bits));
}

static uint64_t load_bank(const Device *device, const Register *reg, unsigned index, unsigned bank)
{
    const void *field = register_field(device, reg, index, bank);
    return field ? load_le(field, reg->field_size) >> reg->shift & register_mask(reg) : reg->reset;
}

static void store_bank(Device *device, const Register *reg, unsigned index, unsigned bank, uint64_t value)
{
    void *field = register_field(device, reg, index, bank);
    if (field) {
        uint64_t mask = register_mask(reg) << reg->shift;
        uint64_t old = load_le(field, reg->field_size);
        store_le(field, reg->field_size, (old & ~mask) | (value << reg->shift & mask));
    }
}

uint64_t register_value(const Device *device, const Register *reg, unsigned index)
{
    return load_bank(device, reg, index, 0);
}

void register_store(Device *device, const Register *reg, unsigned index, uint64_t value)
{
    store_bank(device, reg, index, 0, value);
}

static unsigned access_bank(Device *device, const Register *reg, const Access *access)
{
    return reg->banked ? device_banks_of(device_class_of(device))->bank_number(device, access) : 0;
}

/* One register. `access` lies within it. */

static unsigned access_shift(const Register *reg, const Access *access)
{
    uint64_t start = reg->address + (uint64_t)register_index(reg, access) * register_stride(reg);
    return 8 * (unsigned)(access->address - start);
}

static AccessResult read_register(Device *device, const Register *reg, const Access *access, uint64_t *part)
{
    unsigned index = register_index(reg, access), bank = access_bank(device, reg, access);
    unsigned shift = access_shift(reg, access);
    uint64_t value = reg->write_only ? reg->reset : load_bank(device, reg, index, bank);
    AccessResult result = ACCESS_OK;
    if (reg->read && !reg->write_only) {
        result = reg->read(device, reg, access, &value);
    }
    if (reg->read_clears && !access->debug && result == ACCESS_OK) {
        uint64_t gone = reg->read_clears & mask_bits(8 * access->size) << shift;
        store_bank(device, reg, index, bank, load_bank(device, reg, index, bank) & ~gone);
    }
    *part = value >> shift & mask_bits(8 * access->size);
    trace_register_read(device_trace(device), device_name(device), reg->name, access->address, *part);
    return result;
}

static AccessResult write_register(Device *device, const Register *reg, const Access *access, uint64_t part)
{
    unsigned index = register_index(reg, access), bank = access_bank(device, reg, access);
    unsigned shift = access_shift(reg, access);
    uint64_t lanes = mask_bits(8 * access->size) << shift, written = part << shift & lanes;
    trace_register_write(device_trace(device), device_name(device), reg->name, access->address, part);
    if (reg->read_only) {
        return ACCESS_OK;
    }
    uint64_t old = load_bank(device, reg, index, bank);
    uint64_t whole = reg->field_size ? (old & ~lanes) | written : written;
    if (reg->write) {
        return reg->write(device, reg, access, whole);
    }
    uint64_t stored = reg->writable & lanes;
    uint64_t new = (old & ~stored) | (written & stored);
    new = (new & ~(written & reg->write_clears)) | (written & reg->write_sets);
    store_bank(device, reg, index, bank, new ^ (written & reg->write_toggles));
    return reg->written ? reg->written(device, reg, access, whole) : ACCESS_OK;
}

/* Finding rows. */

/* How many bytes at `address` are of one element of the row; 0 where it is not the row's. */
static unsigned bytes_at(const Device *device, const Register *reg, uint64_t address)
{
    if (address < reg->address) {
        return 0;
    }
    unsigned stride = register_stride(reg), size = register_size(reg);
    uint64_t index = (address - reg->address) / stride, inside = (address - reg->address) % stride;
    if (inside >= size || index >= register_count(device, reg)) {
        return 0;
    }
    return size - (unsigned)inside;
}

/* The row that answers, and how many bytes from `address` on are its. The second choice is a row of the other
 * direction: it is what decides that the address is known. */
static const Register *find_register(const BankView *view, uint64_t address, bool write, unsigned *bytes)
{
    const Register *other = NULL;
    for (size_t i = 0; i < view->bank->count; i++) {
        const Register *reg = &view->bank->registers[i];
        unsigned here = bytes_at(view->device, reg, address);
        if (!here || (reg->present && !reg->present(view->device, reg))) {
            continue;
        }
        if (!(write ? reg->read_only : reg->write_only)) {
            *bytes = here;
            return reg;
        }
        if (!other) {
            other = reg;
            *bytes = here;
        }
    }
    return other;
}

static AccessResult unmapped(const BankView *view, const Access *access)
{
    if (!access->debug) {
        log_guest_error(device_log(view->device), "%s: %s of %u bytes at 0x%" PRIx64 ", where %s has no register\n",
                        device_name(view->device), access->write ? "write" : "read", access->size, access->address,
                        view->bank->name);
    }
    return view->bank->unmapped_error ? ACCESS_DEVICE_ERROR : ACCESS_OK;
}

static AccessResult bank_access(BankView *view, const Access *access, uint64_t *value)
{
    AccessResult result = ACCESS_OK;
    bool known = false;
    for (unsigned done = 0; done < access->size;) {
        unsigned bytes;
        Access piece = *access;
        piece.address += done;
        const Register *reg = find_register(view, piece.address, access->write, &bytes);
        if (!reg) {
            done++;
            continue;
        }
        piece.size = (uint8_t)MIN(bytes, access->size - done);
        uint64_t part = *value >> 8 * done & mask_bits(8 * piece.size);
        AccessResult one = access->write ? write_register(view->device, reg, &piece, part)
                                         : read_register(view->device, reg, &piece, &part);
        if (!access->write) {
            *value |= part << 8 * done;
        }
        result = result ? result : one;
        known = true;
        done += piece.size;
    }
    return known ? result : unmapped(view, access);
}

static AccessResult bank_read(void *owner, const Access *access, uint64_t *value)
{
    *value = 0;
    return bank_access(owner, access, value);
}

static AccessResult bank_write(void *owner, const Access *access, uint64_t value)
{
    return bank_access(owner, access, &value);
}

static bool bank_ring(void *owner, const Access *access, uint64_t value)
{
    const BankView *view = owner;
    const Register *doorbell = view->doorbell;
    if (!doorbell || access->address != doorbell->address || access->size != register_size(doorbell)) {
        return false;
    }
    return write_register(view->device, doorbell, access, value) == ACCESS_OK;
}

static const Register *find_doorbell(const RegisterBank *bank)
{
    for (size_t i = 0; i < bank->count; i++) {
        if (bank->registers[i].doorbell) {
            return &bank->registers[i];
        }
    }
    return NULL;
}

/* Access sizes are the bank's; each pair of limits has its table. */
#define BANK_OPS(minimum, maximum) \
    { .read = bank_read, .write = bank_write, .ring = bank_ring, .valid_minimum = minimum, .valid_maximum = maximum }
#define BANK_OPS_ROW(minimum) \
    { BANK_OPS(minimum, 1), BANK_OPS(minimum, 2), BANK_OPS(minimum, 4), BANK_OPS(minimum, 8) }
static const RegionOps bank_ops[4][4] = { BANK_OPS_ROW(1), BANK_OPS_ROW(2), BANK_OPS_ROW(4), BANK_OPS_ROW(8) };

static const RegionOps *ops_of(const RegisterBank *bank)
{
    unsigned minimum = bank->valid_minimum ? bank->valid_minimum : 1;
    unsigned maximum = bank->valid_maximum ? bank->valid_maximum : 8;
    assert(is_power_of_2(minimum) && is_power_of_2(maximum) && minimum <= maximum && maximum <= 8);
    return &bank_ops[__builtin_ctz(minimum)][__builtin_ctz(maximum)];
}

const DeviceClass *device_banks_of(const DeviceClass *class)
{
    while (class && !class->bank_count) {
        class = device_class_parent(class);
    }
    return class;
}

bool device_make_banks(Device *device, Error **error)
{
    const DeviceClass *class = device_banks_of(device_class_of(device));
    if (!class) {
        return true;
    }
    BankView *views = mem_alloc_array(class->bank_count, sizeof *views);
    device->bank_views = views;
    for (size_t i = 0; i < class->bank_count; i++) {
        const RegisterBank *bank = &class->banks[i];
        views[i] = (BankView){ device, bank, find_doorbell(bank) };
        uint64_t size = bank->size_of ? bank->size_of(device) : bank->size;
        if (!size) {
            return error_set(error, "%s: with these properties it has no registers in '%s'", device->object.class->name,
                             bank->name);
        }
        Region *region = region_new_io(&device->object, device->machine, bank->name, ops_of(bank), &views[i],
                                       device->lock, size);
        region->order = bank->order;
        vec_push(&device->regions, region);
    }
    return true;
}

void device_each_register(const Device *device,
                          void (*visit)(const RegisterBank *bank, const Register *reg, void *context), void *context)
{
    const DeviceClass *class = device_banks_of(device_class_of(device));
    for (size_t i = 0; class && i < class->bank_count; i++) {
        for (size_t j = 0; j < class->banks[i].count; j++) {
            visit(&class->banks[i], &class->banks[i].registers[j], context);
        }
    }
}

/* Reset and reading by name. */

typedef struct ResetContext {
    Device *device;
    ResetKind kind;
} ResetContext;

typedef struct FirstContext {
    const Register *reg, *first;
} FirstContext;

static void find_first(const RegisterBank *bank, const Register *reg, void *data)
{
    FirstContext *context = data;
    bool same = reg->field_size && reg->offset == context->reg->offset && reg->shift == context->reg->shift;
    if (same && !context->first) {
        context->first = reg;
    }
}

/* Of rows that stand on the same field the first says what it is reset to. */
static bool is_first(const Device *device, const Register *reg)
{
    FirstContext context = { reg, NULL };
    device_each_register(device, find_first, &context);
    return context.first == reg;
}

static void reset_register(const RegisterBank *bank, const Register *reg, void *data)
{
    ResetContext *context = data;
    if (!reg->field_size || reg->survives & 1u << context->kind || !is_first(context->device, reg)) {
        return;
    }
    unsigned banks = reg->banked ? device_banks_of(device_class_of(context->device))->banked_count : 1;
    for (unsigned n = 0; n < banks; n++) {
        for (uint32_t i = 0; i < MAX(reg->count, 1u); i++) {
            store_bank(context->device, reg, i, n, reg->reset);
        }
    }
}

void device_reset_registers(Device *device, ResetKind kind)
{
    device_each_register(device, reset_register, &(ResetContext){ device, kind });
}

typedef struct NameContext {
    const char *name;
    size_t length;
    const Register *found;
} NameContext;

static void match_name(const RegisterBank *bank, const Register *reg, void *data)
{
    NameContext *context = data;
    if (!context->found && strlen(reg->name) == context->length &&
        !memcmp(reg->name, context->name, context->length)) {
        context->found = reg;
    }
}

bool device_register_read(Device *device, const char *name, uint64_t *value)
{
    NameContext context = { name, strcspn(name, "["), NULL };
    device_each_register(device, match_name, &context);
    unsigned long index = name[context.length] ? strtoul(name + context.length + 1, NULL, 10) : 0;
    const Register *reg = context.found;
    if (!reg || index >= register_count(device, reg)) {
        return false;
    }
    Access access = { .address = reg->address + index * register_stride(reg), .size = (uint8_t)register_size(reg),
                      .debug = true, .requester_kind = REQUESTER_DEBUGGER };
    bool entered = device_enter(device);
    AccessResult result = read_register(device, reg, &access, value);
    if (entered) {
        device_unlock(device->lock);
    }
    return result == ACCESS_OK;
}
