/* A recursive descent over three ranks of operators; parentheses nest to a limit. */
#include "monitor/expression.h"

#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64, LONGEST_NAME = 63 };

typedef struct Reader {
    const char *at;
    ExpressionRegister *lookup;
    void *data;
    unsigned depth;
    Error **error;
} Reader;

static bool read_sum(Reader *reader, uint64_t *value);

static void skip_space(Reader *reader)
{
    while (isspace((unsigned char)*reader->at)) {
        reader->at++;
    }
}

static bool accept(Reader *reader, char c)
{
    if (*reader->at != c) {
        return false;
    }
    reader->at++;
    skip_space(reader);
    return true;
}

static bool read_register(Reader *reader, uint64_t *value)
{
    char name[LONGEST_NAME + 1];
    size_t length = 0;
    while (isalnum((unsigned char)*reader->at) || *reader->at == '_' || *reader->at == '.' || *reader->at == ':') {
        if (length == LONGEST_NAME) {
            return error_set(reader->error, "unknown register");
        }
        name[length++] = *reader->at++;
    }
    name[length] = '\0';
    skip_space(reader);
    if (!reader->lookup || !reader->lookup(reader->data, name, value)) {
        return error_set(reader->error, "unknown register '%s'", name);
    }
    return true;
}

static bool read_number(Reader *reader, uint64_t *value)
{
    char *end;
    if (!*reader->at) {
        return error_set(reader->error, "unexpected end of expression");
    }
    if (!isdigit((unsigned char)*reader->at)) {
        return error_set(reader->error, "invalid char '%c' in expression", *reader->at);
    }
    errno = 0;
    *value = strtoull(reader->at, &end, 0);
    if (errno == ERANGE) {
        return error_set(reader->error, "number too large");
    }
    if (isalnum((unsigned char)*end)) {
        return error_set(reader->error, "invalid char '%c' in expression", *end);
    }
    reader->at = end;
    skip_space(reader);
    return true;
}

static bool read_character(Reader *reader, uint64_t *value)
{
    if (!*reader->at) {
        return error_set(reader->error, "character constant expected");
    }
    *value = (unsigned char)*reader->at++;
    if (*reader->at != '\'') {
        return error_set(reader->error, "missing terminating \' character");
    }
    reader->at++;
    skip_space(reader);
    return true;
}

static bool read_unary(Reader *reader, uint64_t *value)
{
    bool ok;
    if (++reader->depth > DEEPEST) {
        return error_set(reader->error, "expression nests too deeply");
    }
    if (accept(reader, '+')) {
        ok = read_unary(reader, value);
    } else if (accept(reader, '-')) {
        ok = read_unary(reader, value);
        *value = -*value;
    } else if (accept(reader, '~')) {
        ok = read_unary(reader, value);
        *value = ~*value;
    } else if (accept(reader, '(')) {
        ok = read_sum(reader, value);
        if (ok && !accept(reader, ')')) {
            return error_set(reader->error, "')' expected");
        }
    } else if (*reader->at == '\'') {
        reader->at++;
        ok = read_character(reader, value);
    } else if (*reader->at == '$') {
        reader->at++;
        ok = read_register(reader, value);
    } else {
        ok = read_number(reader, value);
    }
    reader->depth--;
    return ok;
}

static bool read_product(Reader *reader, uint64_t *value)
{
    if (!read_unary(reader, value)) {
        return false;
    }
    while (*reader->at && strchr("*/%", *reader->at)) {
        char op = *reader->at;
        uint64_t other = 0;
        accept(reader, op);
        if (!read_unary(reader, &other)) {
            return false;
        }
        if (op != '*' && !other) {
            return error_set(reader->error, "division by zero");
        }
        *value = op == '*' ? *value * other : op == '/' ? *value / other : *value % other;
    }
    return true;
}

static bool read_logic(Reader *reader, uint64_t *value)
{
    if (!read_product(reader, value)) {
        return false;
    }
    while (*reader->at && strchr("&|^", *reader->at)) {
        char op = *reader->at;
        uint64_t other = 0;
        accept(reader, op);
        if (!read_product(reader, &other)) {
            return false;
        }
        *value = op == '&' ? *value & other : op == '|' ? *value | other : *value ^ other;
    }
    return true;
}

static bool read_sum(Reader *reader, uint64_t *value)
{
    if (!read_logic(reader, value)) {
        return false;
    }
    while (*reader->at && strchr("+-", *reader->at)) {
        char op = *reader->at;
        uint64_t other = 0;
        accept(reader, op);
        if (!read_logic(reader, &other)) {
            return false;
        }
        *value = op == '+' ? *value + other : *value - other;
    }
    return true;
}

bool expression_read(const char **text, ExpressionRegister *lookup, void *data, int64_t *value, Error **error)
{
    Reader reader = { .at = *text, .lookup = lookup, .data = data, .error = error };
    uint64_t result = 0;
    skip_space(&reader);
    if (!read_sum(&reader, &result)) {
        return false;
    }
    *text = reader.at;
    *value = result;
    return true;
}
