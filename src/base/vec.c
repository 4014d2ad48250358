/* Allocation that never returns NULL, and the growth of VEC arrays. */
#include "base/vec.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NORETURN void out_of_memory(size_t size)
{
    fprintf(stderr, "out of memory: cannot allocate %zu bytes\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory) {
        out_of_memory(size);
    }
    return memory;
}

void *mem_alloc0(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        out_of_memory(size);
    }
    return memory;
}

void *mem_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size ? size : 1);
    if (!moved) {
        out_of_memory(size);
    }
    return moved;
}

static size_t array_size(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        out_of_memory(SIZE_MAX);
    }
    return bytes;
}

void *mem_alloc_array(size_t count, size_t size) { return mem_alloc0(array_size(count, size)); }

void *mem_copy(const void *memory, size_t size)
{
    void *copy = mem_alloc(size);
    if (size) {
        memcpy(copy, memory, size);
    }
    return copy;
}

char *string_copy(const char *text) { return text ? mem_copy(text, strlen(text) + 1) : NULL; }

char *string_copy_length(const char *text, size_t length)
{
    char *copy = mem_alloc(length + 1);
    if (length) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    return copy;
}

char *string_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = string_vformat(format, arguments);
    va_end(arguments);
    return text;
}

char *string_vformat(const char *format, va_list arguments)
{
    char *text;
    int length = vasprintf(&text, format, arguments);
    if (length < 0) {
        out_of_memory(SIZE_MAX);
    }
    return text;
}

void *vec_grow(void *items, size_t *capacity, size_t count, size_t size)
{
    size_t room = *capacity < 4 ? 4 : *capacity;
    while (room < count) {
        room = room > SIZE_MAX / 2 ? count : room * 2;
    }
    items = mem_realloc(items, array_size(room, size));
    *capacity = room;
    return items;
}

void vec_remove_at(void *items, size_t *count, size_t index, size_t size)
{
    assert(index < *count);
    --*count;
    memmove((char *)items + index * size, (char *)items + (index + 1) * size, (*count - index) * size);
}
