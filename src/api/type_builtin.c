/* The types that every schema starts from (api/type.h). */
#include "api/type.h"

#define INTEGER(symbol, c_type, signed_, minimum_, maximum_) \
    const Type type_##symbol = { .name = #symbol, .kind = TYPE_INT, .is_signed = signed_, .size = sizeof(c_type), \
                                 .minimum = minimum_, .maximum = maximum_ }
#define LIST(symbol, element_) \
    const Type symbol##_type = { .name = #symbol, .kind = TYPE_LIST, .size = sizeof(symbol), .element = &element_ }

const Type type_null = { .name = "null", .kind = TYPE_NULL, .size = sizeof(uint8_t) };
const Type type_bool = { .name = "bool", .kind = TYPE_BOOL, .size = sizeof(bool) };
INTEGER(int8, int8_t, true, INT8_MIN, INT8_MAX);
INTEGER(int16, int16_t, true, INT16_MIN, INT16_MAX);
INTEGER(int32, int32_t, true, INT32_MIN, INT32_MAX);
INTEGER(int64, int64_t, true, INT64_MIN, INT64_MAX);
INTEGER(uint8, uint8_t, false, 0, UINT8_MAX);
INTEGER(uint16, uint16_t, false, 0, UINT16_MAX);
INTEGER(uint32, uint32_t, false, 0, UINT32_MAX);
INTEGER(uint64, uint64_t, false, 0, UINT64_MAX);
const Type type_size = { .name = "size", .kind = TYPE_SIZE, .size = sizeof(uint64_t), .maximum = UINT64_MAX };
const Type type_size_mib = { .name = "size", .kind = TYPE_SIZE, .size = sizeof(uint64_t), .maximum = UINT64_MAX,
                             .unit = MIB };
const Type type_number = { .name = "number", .kind = TYPE_NUMBER, .size = sizeof(double) };
const Type type_string = { .name = "str", .kind = TYPE_STRING, .size = sizeof(char *) };
const Type type_any = { .name = "any", .kind = TYPE_ANY, .size = sizeof(Json *) };

LIST(BoolList, type_bool);
LIST(Int8List, type_int8);
LIST(Int16List, type_int16);
LIST(Int32List, type_int32);
LIST(Int64List, type_int64);
LIST(Uint8List, type_uint8);
LIST(Uint16List, type_uint16);
LIST(Uint32List, type_uint32);
LIST(Uint64List, type_uint64);
LIST(SizeList, type_size);
LIST(NumberList, type_number);
LIST(StringList, type_string);
LIST(AnyList, type_any);
