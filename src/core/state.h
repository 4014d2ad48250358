/*
 * Saved state as tables: named, versioned fields of a struct. The stream describes itself (names, types, counts,
 * lengths), so that an unknown field is skipped where it is optional and a missing one is an error that names it.
 * Loading is hostile input: every count, index and enum is checked against the row.
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct Machine Machine;
typedef struct StateField StateField;
typedef struct StateTable StateTable;
typedef struct StrBuf StrBuf;

typedef enum StateKind {
    STATE_END,
    STATE_BOOL,
    STATE_UNSIGNED, /* `size` bytes */
    STATE_SIGNED,
    STATE_TIMER,  /* a Timer: its deadline, or what is left of it on a clock that differs between hosts; set on load */
    STATE_BYTES,  /* `size` bytes as they are, of no byte order */
    STATE_BUFFER, /* a pointer to as many bytes as the uint32_t at `count_offset` says, which this row covers too; at
                   * most `maximum` (not 0); freed and allocated on load */
    STATE_STRUCT, /* `table` of a struct in place */
    STATE_ALIAS,  /* not in the stream: covered by another row (registers, timers) */
    STATE_NOT_SAVED, /* properties, handles, caches: the name says why in `reason` */
} StateKind;

struct StateField {
    const char *name;
    StateKind kind;
    uint32_t offset, size; /* size: of one element */
    uint32_t count;        /* elements in a row; 0 is 1 */
    uint32_t stride;       /* 0: size */
    const StateTable *table;
    uint64_t maximum;      /* of STATE_UNSIGNED: values above are refused; 0: no limit */
    uint32_t count_offset;
    uint32_t version;      /* first version of the table that has it; 0: all */
    bool optional;         /* keeps its reset value where the stream has none; skipped by who does not know it */
    const char *reason;
};

struct StateTable {
    const char *name;
    uint32_t version;         /* written */
    uint32_t minimum_version; /* read */
    const StateField *fields; /* ends with STATE_END */
    bool (*check)(void *state, uint32_t version, Error **error); /* after loading: what one row cannot say */
};

/* Further members may follow: STATE_FIELD(Serial, count, STATE_UNSIGNED, .maximum = 16). */
#define STATE_FIELD(struct_, field_, kind_, ...) \
    { .name = #field_, .kind = kind_, .offset = offsetof(struct_, field_), .size = sizeof(((struct_ *)0)->field_), \
      __VA_ARGS__ }
#define STATE_FIELD_ARRAY(struct_, field_, kind_, ...) \
    { .name = #field_, .kind = kind_, .offset = offsetof(struct_, field_), \
      .size = sizeof(((struct_ *)0)->field_[0]), .count = ARRAY_SIZE(((struct_ *)0)->field_), __VA_ARGS__ }
#define STATE_FIELD_NOT_SAVED(struct_, field_, reason_) \
    { .name = #field_, .kind = STATE_NOT_SAVED, .offset = offsetof(struct_, field_), \
      .size = sizeof(((struct_ *)0)->field_), .reason = reason_ }
#define STATE_FIELDS_END { .kind = STATE_END }

/* The whole machine, which is parked meanwhile: machine type, clocks, RAM, vCPUs, devices in order of their paths. */
bool state_save(Machine *machine, StrBuf *stream, Error **error);
bool state_save_file(Machine *machine, const char *path, Error **error);
/* Into a machine made with the same options and started up. On failure it is not fit to run: its run state is
 * internal-error, which a reset ends. */
bool state_load(Machine *machine, const void *stream, size_t size, Error **error);
bool state_load_file(Machine *machine, const char *path, Error **error);

/* One struct: for tests and for what is not a device. */
void state_write(const StateTable *table, const void *state, StrBuf *stream);
bool state_read(const StateTable *table, void *state, const void *stream, size_t size, Error **error);

/* For tests: that every byte of the class's struct but Device itself is named by a register, a row of saved state (of
 * any kind) or a property. Gaps that alignment makes in front of a named field, or at the end, pass: a field that is
 * smaller than such a gap and lies in it is not missed. */
typedef struct DeviceClass DeviceClass;
/* The same byte for byte: 1 for each that is named, or Device's. Owned by the caller. */
uint8_t *state_coverage(const DeviceClass *class, size_t *size);
bool state_check_coverage(const DeviceClass *class, Error **error);
