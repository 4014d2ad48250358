/* Every function of fpu.h in a table by format, over encodings in the low bits of 128. */
#pragma once

#include "fpu/format.h"
#include "fpu/fpu.h"

enum { F16, BF16, F32, F64, F80, F128, FORMAT_COUNT };

/* Of the conversions to and from integers, in this order. Integers are extended to 128 bits by their own sign. */
enum { I32, U32, I64, U64, I128, U128, INTEGER_COUNT };
typedef struct IntegerFormat {
    const char *name;
    unsigned bits;
    bool is_signed;
} IntegerFormat;
extern const IntegerFormat integer_formats[INTEGER_COUNT];

typedef Uint128 UnaryFunction(Uint128 a, FpContext *fp);
typedef Uint128 BinaryFunction(Uint128 a, Uint128 b, FpContext *fp);

typedef struct FormatFunctions {
    const char *name;
    const FpFormat *format;
    BinaryFunction *add, *sub, *mul, *div, *remainder;
    UnaryFunction *sqrt;
    Uint128 (*fma)(Uint128 a, Uint128 b, Uint128 c, FpContext *fp);
    Uint128 (*round_to_integral)(Uint128 a, bool raise_inexact, FpContext *fp);
    Uint128 (*scale)(Uint128 a, int n, FpContext *fp);
    Uint128 (*minmax)(Uint128 a, Uint128 b, bool maximum, FpMinMax rule, FpContext *fp);
    FpCompare (*compare)(Uint128 a, Uint128 b, bool signalling, FpContext *fp);
    FpClass (*classify)(Uint128 a);
    bool (*is_nan)(Uint128 a);
    bool (*is_signalling)(Uint128 a);
    Uint128 (*default_nan)(const FpContext *fp);
    UnaryFunction *to_integer[INTEGER_COUNT];
    UnaryFunction *from_integer[INTEGER_COUNT];
    UnaryFunction *convert_to[FORMAT_COUNT]; /* NULL for its own */
} FormatFunctions;
extern const FormatFunctions format_functions[FORMAT_COUNT];
