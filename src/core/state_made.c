/* Tables of saved state that are made of other tables: registers of devices, registers of guests. */
#include "core/state_internal.h"

#include "api/type.h"
#include "base/error.h"
#include "base/vec.h"
#include "core/device_internal.h"
#include "cpu/guest.h"

#include <stdlib.h>
#include <string.h>

void state_made_free(StateMade *made)
{
    if (!made) {
        return;
    }
    for (size_t i = 0; i < made->name_count; i++) {
        free(made->names[i]);
    }
    free(made->names);
    free(made->fields);
    free(made);
}

static void add_field(StateMade *made, StateField field)
{
    if (made->count == made->capacity) {
        made->fields = vec_grow(made->fields, &made->capacity, made->count + 1, sizeof *made->fields);
    }
    made->fields[made->count++] = field;
    made->table.fields = made->fields;
}

static const char *keep_name(StateMade *made, char *name)
{
    if (made->name_count == made->name_capacity) {
        made->names = vec_grow(made->names, &made->name_capacity, made->name_count + 1, sizeof *made->names);
    }
    made->names[made->name_count++] = name;
    return name;
}

static StateMade *made_new(const char *name)
{
    StateMade *made = NEW(StateMade);
    made->table = (StateTable){ .name = name, .version = 1, .minimum_version = 1 };
    return made;
}

/* Registers of a device: each field once, by the name of the first row that stands on it. */

typedef struct RegisterContext {
    StateMade *made;
    const DeviceClass *class;
} RegisterContext;

static bool has_offset(const StateMade *made, uint32_t offset)
{
    for (size_t i = 0; i < made->count; i++) {
        if (made->fields[i].offset == offset) {
            return true;
        }
    }
    return false;
}

static bool has_name(const StateMade *made, const char *name)
{
    for (size_t i = 0; i < made->count; i++) {
        if (!strcmp(made->fields[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void add_register(RegisterContext *context, const RegisterBank *bank, const Register *reg)
{
    StateMade *made = context->made;
    unsigned banks = reg->banked ? context->class->banked_count : 1;
    if (!reg->field_size || has_offset(made, reg->offset)) {
        return;
    }
    for (unsigned n = 0; n < banks; n++) {
        char *name = banks > 1 ? string_format("%s.%u", reg->name, n) : string_copy(reg->name);
        if (has_name(made, name)) {
            free(name);
            name = string_format("%s@%s+%x.%u", reg->name, bank->name, reg->address, n);
        }
        add_field(made, (StateField){ .name = keep_name(made, name), .kind = STATE_UNSIGNED,
                                      .offset = reg->offset + n * context->class->bank_stride, .size = reg->field_size,
                                      .count = reg->count, .stride = reg->field_stride });
    }
}

StateMade *state_of_registers(const DeviceClass *class)
{
    const DeviceClass *banks = device_banks_of(class);
    if (!banks) {
        return NULL;
    }
    StateMade *made = made_new("registers");
    RegisterContext context = { made, banks };
    for (size_t i = 0; i < banks->bank_count; i++) {
        for (size_t j = 0; j < banks->banks[i].count; j++) {
            add_register(&context, &banks->banks[i], &banks->banks[i].registers[j]);
        }
    }
    add_field(made, (StateField)STATE_FIELDS_END);
    return made;
}

/* Registers of a guest. */

StateMade *state_of_guest(const Guest *guest)
{
    StateMade *made = made_new(guest->target);
    for (uint32_t i = 0; i < guest->ir.register_count; i++) {
        const GuestRegister *reg = &guest->ir.registers[i];
        if (!(reg->flags & GUEST_REGISTER_NOT_SAVED)) {
            add_field(made, (StateField){ .name = reg->name, .kind = reg->bits <= 64 ? STATE_UNSIGNED : STATE_BYTES,
                                          .offset = reg->offset, .size = (reg->bits + 7u) / 8 });
        }
    }
    add_field(made, (StateField)STATE_FIELDS_END);
    return made;
}

/* Coverage. */

typedef struct Coverage {
    uint8_t *covered; /* a byte a byte */
    size_t size;
} Coverage;

static void cover(Coverage *coverage, size_t offset, size_t size)
{
    if (offset < coverage->size) {
        memset(coverage->covered + offset, 1, MIN(size, coverage->size - offset));
    }
}

static void cover_field(Coverage *coverage, const StateField *field)
{
    size_t stride = field->stride ? field->stride : field->size;
    for (uint32_t i = 0; i < MAX(field->count, 1u); i++) {
        cover(coverage, field->offset + i * stride, field->size);
    }
    if (field->kind == STATE_BUFFER) {
        cover(coverage, field->offset, sizeof(void *));
        cover(coverage, field->count_offset, sizeof(uint32_t));
    }
}

static void cover_table(Coverage *coverage, const StateTable *table)
{
    for (const StateField *field = table ? table->fields : NULL; field && field->kind != STATE_END; field++) {
        cover_field(coverage, field);
    }
}

static size_t property_size(const Property *property)
{
    switch (property->kind) {
    case PROPERTY_LINK:
    case PROPERTY_CHILD:
        return sizeof(Object *);
    case PROPERTY_ARRAY:
        return sizeof(TypeList);
    case PROPERTY_VALUE:
        return property->get || property->set || !property->type ? 0 : property->type->size;
    default:
        return 0;
    }
}

static void cover_class(Coverage *coverage, const DeviceClass *class)
{
    cover_table(coverage, class->state);
    for (const Property *row = class->class.properties; row && row->name; row++) {
        cover(coverage, row->offset, property_size(row));
    }
}

/* Whether what is not covered from `start` to `end` can be what alignment leaves free. */
static bool is_padding(size_t size, size_t start, size_t end)
{
    size_t alignment = end == size ? 8 : end & -end;
    return end - start < MIN(alignment, 8u);
}

uint8_t *state_coverage(const DeviceClass *class, size_t *size)
{
    *size = 0;
    for (const DeviceClass *at = class; at && !*size; at = device_class_parent(at)) {
        *size = at->class.size;
    }
    Coverage coverage = { mem_alloc0(*size), *size };
    cover(&coverage, 0, sizeof(Device));
    for (const DeviceClass *at = class; at; at = device_class_parent(at)) {
        cover_class(&coverage, at);
    }
    StateMade *registers = state_of_registers(class);
    cover_table(&coverage, registers ? &registers->table : NULL);
    state_made_free(registers);
    return coverage.covered;
}

bool state_check_coverage(const DeviceClass *class, Error **error)
{
    size_t size;
    AUTO_FREE uint8_t *covered = state_coverage(class, &size);
    for (size_t start = 0, end; start < size; start = end + 1) {
        for (end = start; end < size && !covered[end]; end++) {
        }
        if (end > start && !is_padding(size, start, end)) {
            return error_set(error, "%s: bytes %zu to %zu of %zu are in no register, row of saved state or property",
                             class->class.name, start, end - 1, size);
        }
    }
    return true;
}
