/*
 * A growing array of any type, and the allocation that never returns NULL.
 *
 *     VEC(Block *) blocks;              all zeroes is an empty one
 *     vec_push(&blocks, block);
 *     for (size_t i = 0; i < blocks.count; i++) { ... blocks.items[i] ... }
 *     vec_free(&blocks);
 */
#pragma once

#include "base/compiler.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define VEC(type) \
    struct { \
        type *items; \
        size_t count, capacity; \
    }

/* Out of memory ends the process with a message: no caller in the control path can do better. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_alloc0(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *memory, size_t size) __attribute__((returns_nonnull));
/* count * size bytes, all zeroes; checked for overflow. */
void *mem_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_copy(const void *memory, size_t size) __attribute__((malloc, returns_nonnull));
char *string_copy(const char *text); /* NULL for NULL */
char *string_copy_length(const char *text, size_t length) __attribute__((malloc, returns_nonnull)); /* and a NUL */
char *string_format(const char *format, ...) PRINTF(1, 2) __attribute__((malloc, returns_nonnull));
char *string_vformat(const char *format, va_list arguments) PRINTF(1, 0) __attribute__((malloc, returns_nonnull));

#define NEW(type) ((type *)mem_alloc0(sizeof(type)))

/* Makes room for `count` items of `size` bytes. */
void *vec_grow(void *items, size_t *capacity, size_t count, size_t size);
void vec_remove_at(void *items, size_t *count, size_t index, size_t size);

#define vec_reserve(v, n) \
    ((v)->capacity >= (n) ? (void)0 \
                          : (void)((v)->items = vec_grow((v)->items, &(v)->capacity, (n), sizeof *(v)->items)))
#define vec_push(v, ...) (vec_reserve(v, (v)->count + 1), (void)((v)->items[(v)->count++] = (__VA_ARGS__)))
#define vec_free(v) (free((v)->items), (v)->items = NULL, (v)->count = (v)->capacity = 0)
/* Takes out the item at `index`, which is there, and keeps the order. */
#define vec_remove(v, index) vec_remove_at((v)->items, &(v)->count, index, sizeof *(v)->items)

static inline void free_cleanup(void *pointer) { free(*(void **)pointer); }
/* `AUTO_FREE char *text = string_copy(...)`: freed at the end of the scope. */
#define AUTO_FREE __attribute__((cleanup(free_cleanup)))
