/* A hash map from strings to pointers that remembers the order of insertion. Keys are copied. */
#pragma once

#include "base/compiler.h"

typedef struct MapEntry {
    char *key;
    void *value;
} MapEntry;

typedef struct Map {
    MapEntry *entries; /* in order of insertion; a removed one has no key */
    size_t used, count, capacity;
    uint32_t *slots; /* NULL in a small map */
    size_t slot_count;
    uint64_t seed;
} Map; /* all zeroes is an empty one */

void *map_get(const Map *map, const char *key); /* NULL where there is none */
bool map_has(const Map *map, const char *key);
/* Returns the value that was there before, or NULL. */
void *map_set(Map *map, const char *key, void *value);
void *map_remove(Map *map, const char *key);
/* `*position` starts at 0; returns NULL at the end. Entries may be removed on the way, but none added. */
MapEntry *map_next(const Map *map, size_t *position);
/* `free_value` may be NULL. */
void map_free(Map *map, void (*free_value)(void *));
