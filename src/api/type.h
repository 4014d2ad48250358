/*
 * Types of options, commands, events and properties: const tables that gen/schema.py makes from schema/NAME.json, and
 * one walker for each thing that is done with them. A value of a type is plain C: bool, int8_t ... uint64_t, double,
 * char *, an enum as int, a struct, a tagged union, a counted list.
 *
 * An optional member has a `bool has_NAME` beside it, but for strings and `any` (NULL says the same), for structs,
 * unions and alternates (the member is a pointer then, NULL where it is missing) and for lists (`items` is NULL then; a
 * list that is there and empty has items). Where a member that is missing has a default, a bool, number or enum holds
 * the default with has_NAME false.
 */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct Json Json;
typedef struct StrBuf StrBuf;

typedef enum TypeKind {
    TYPE_NULL,
    TYPE_BOOL,
    TYPE_INT,    /* `size` 1, 2, 4, 8, signed or not; `minimum` and `maximum` */
    TYPE_SIZE,   /* uint64_t; as an option it takes suffixes */
    TYPE_NUMBER, /* double */
    TYPE_STRING, /* char * */
    TYPE_ENUM,   /* int; its index in `names` */
    TYPE_STRUCT,
    TYPE_UNION,     /* a struct whose member `tag` says which further members there are */
    TYPE_ALTERNATE, /* an int with the JsonKind first (JSON_NULL: none), then a union of the branches */
    TYPE_LIST,      /* TypeList of `element` */
    TYPE_ANY,       /* Json * */
} TypeKind;

typedef struct Type Type;
typedef struct TypeMember TypeMember;
typedef struct TypeBranch TypeBranch;

struct Type {
    const char *name; /* as the schema spells it */
    const char *description;
    TypeKind kind;
    bool is_signed;
    uint32_t size;   /* of the C value, bytes */
    int64_t minimum; /* integers and sizes */
    uint64_t maximum;
    uint64_t unit; /* size: of a number without a suffix in option mode; 0: bytes */
    const char *const *names;        /* enum: names, in order of value */
    const char *const *descriptions; /* enum: of each value; may be NULL */
    uint32_t count;                  /* of names, members or branches */
    const TypeMember *members;       /* struct and union: all, base members first */
    uint32_t member_count;
    uint32_t tag;               /* union: index in `members` of the tag */
    const TypeBranch *branches; /* union: one for each tag value; alternate: one for each kind */
    const Type *element;        /* list */
    const char *implied_key;    /* option types: the member that a first value without a key is for */
    const char *const *features; /* for introspection, NULL-terminated; may be NULL */
};

struct TypeMember {
    const char *name;
    const char *description;
    const Type *type;
    uint32_t offset;     /* in the struct */
    uint32_t has_offset; /* of the bool; UINT32_MAX where there is none */
    bool optional;
    bool pointer; /* the struct holds a pointer to the value */
    const char *default_text; /* as an option is written; may be NULL */
    const char *const *features; /* for introspection, NULL-terminated; may be NULL */
};

struct TypeBranch {
    int value;        /* union: of the tag; alternate: the JsonKind (JSON_INT stands for all integers) */
    const Type *type; /* NULL: no further members */
    uint32_t offset;
    bool pointer; /* the union holds a pointer to the value */
};

typedef struct TypeList {
    void *items; /* `count` values of the element type, one after the other */
    size_t count;
} TypeList;

/* Lists of builtin types; the same memory as a TypeList. */
#define TYPE_LIST_OF(name, element) \
    typedef struct name { \
        element *items; \
        size_t count; \
    } name
TYPE_LIST_OF(BoolList, bool);
TYPE_LIST_OF(Int8List, int8_t);
TYPE_LIST_OF(Int16List, int16_t);
TYPE_LIST_OF(Int32List, int32_t);
TYPE_LIST_OF(Int64List, int64_t);
TYPE_LIST_OF(Uint8List, uint8_t);
TYPE_LIST_OF(Uint16List, uint16_t);
TYPE_LIST_OF(Uint32List, uint32_t);
TYPE_LIST_OF(Uint64List, uint64_t);
TYPE_LIST_OF(SizeList, uint64_t);
TYPE_LIST_OF(NumberList, double);
TYPE_LIST_OF(StringList, char *);
TYPE_LIST_OF(AnyList, Json *);

extern const Type type_null, type_bool, type_int8, type_int16, type_int32, type_int64, type_uint8, type_uint16,
    type_uint32, type_uint64, type_size, type_number, type_string, type_any;
extern const Type type_size_mib; /* a size whose number without a suffix counts MiB: -m */
extern const Type BoolList_type, Int8List_type, Int16List_type, Int32List_type, Int64List_type, Uint8List_type,
    Uint16List_type, Uint32List_type, Uint64List_type, SizeList_type, NumberList_type, StringList_type, AnyList_type;

/* Fills `value` (all zeroes before), or leaves it all zeroes and says which member is wrong and what would do:
 * "'cpus' expects an integer from 1 to 512". */
bool type_from_json(const Type *type, const Json *json, void *value, Error **error);
/* The same, where scalars are strings as a command line gives them (see api/options.h). */
bool type_from_options(const Type *type, const Json *json, void *value, Error **error);
/* One value from one text: "on", "4k", "a,b" or "1-3,7" for lists, options for structs. */
bool type_from_text(const Type *type, const char *text, void *value, Error **error);
Json *type_to_json(const Type *type, const void *value);
/* As HMP and info print it; nested values are indented. */
void type_to_text(const Type *type, const void *value, StrBuf *buffer);
/* Frees what the value owns and sets it to all zeroes. */
void type_clear(const Type *type, void *value);
bool type_equal(const Type *type, const void *a, const void *b);
/* A line for each member, sorted: "  size=<size>           - description (default: 4k)". */
void type_help(const Type *type, StrBuf *buffer);
/* "int64", "uint8", "bool", "str", "size", "OnOffAuto": as `-device X,help` and qom-list show types. */
const char *type_display_name(const Type *type);
/* The index of `name` in an enum, or -1 with an error that names the nearest. */
int type_enum_value(const Type *type, const char *name, Error **error);
