/*
 * The stream of saved state. All numbers are little-endian.
 *
 *     stream   "MYNASAVE", u32 format, u32 0, section..., the section "end"
 *     section  u16 length, name, u64 length, that many bytes: a table, or RAM
 *     table    u32 version, field..., u8 0
 *     field    u8 length, name, u8 kind (bit 7: whoever does not know it skips it), u32 size, u32 count, u32 length,
 *              that many bytes: `count` elements of `size` bytes; a struct is `count` times u32 length and a table
 *     RAM      u64 size, (u64 page, 4096 bytes or the last page's less)..., u64 -1, u32 CRC-32 of the pages' bytes;
 *              pages that are not there are zero
 */
#pragma once

#include "core/state.h"

#include "base/strbuf.h"

#define STATE_MAGIC "MYNASAVE"
enum { STATE_FORMAT = 1, STATE_NAME_LIMIT = 1024, STATE_SECTION_LIMIT = 64 << 20, STATE_RAM_PAGE = 4096 };
#define STATE_RAM_END UINT64_MAX

/* Bytes that are still to be read. */
typedef struct StateCursor {
    const uint8_t *at, *end;
} StateCursor;
/* `count` bytes, or NULL where there are fewer. */
const uint8_t *state_take(StateCursor *cursor, size_t count);
bool state_take_number(StateCursor *cursor, unsigned size, uint64_t *value);
void state_put_number(StrBuf *stream, unsigned size, uint64_t value);

/* A table of the struct at `state` from the cursor, which may go on behind it. */
bool state_read_table(const StateTable *table, void *state, StateCursor *cursor, Error **error);

/* Tables that are made of others: of the registers of a class, of a guest's registers. */
typedef struct DeviceClass DeviceClass;
typedef struct Guest Guest;
typedef struct StateMade {
    StateTable table;
    StateField *fields;
    size_t count, capacity;
    char **names;
    size_t name_count, name_capacity;
} StateMade;
void state_made_free(StateMade *made);
StateMade *state_of_registers(const DeviceClass *class); /* NULL where there are none */
StateMade *state_of_guest(const Guest *guest);

/* A device's or vCPU's whole section. */
typedef struct Device Device;
typedef struct Vcpu Vcpu;
void state_write_device(Device *device, StrBuf *stream);
bool state_read_device(Device *device, StateCursor *cursor, Error **error);
void state_write_vcpu(Vcpu *vcpu, StrBuf *stream);
bool state_read_vcpu(Vcpu *vcpu, StateCursor *cursor, Error **error);

/* What a machine's stream is made of, in order of writing. */
typedef struct RamBlock RamBlock;
typedef enum StatePartKind {
    STATE_PART_MACHINE,
    STATE_PART_CLOCKS,
    STATE_PART_RAM,
    STATE_PART_VCPU,
    STATE_PART_DEVICE,
    STATE_PART_END
} StatePartKind;
typedef struct StatePart {
    StatePartKind kind;
    char *name; /* of its section */
    void *item; /* the RamBlock, Vcpu or Device */
    bool loaded;
} StatePart;
typedef struct StateParts {
    StatePart *items;
    size_t count, capacity;
} StateParts;
/* False with an error where two have one name. */
bool state_collect(Machine *machine, StateParts *parts, Error **error);
void state_parts_free(StateParts *parts);

void state_write_machine(Machine *machine, StrBuf *stream);
bool state_read_machine(Machine *machine, StateCursor *cursor, Error **error);
void state_write_clocks(Machine *machine, StrBuf *stream);
bool state_read_clocks(Machine *machine, StateCursor *cursor, Error **error);
bool state_page_is_zero(const uint8_t *page, size_t size);
