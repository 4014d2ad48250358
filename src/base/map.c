/*
 * The map keeps its entries in an array in order of insertion. Up to eight are searched one by one; a larger map has
 * an open-addressed table of indices into the array, hashed with a random key, so that keys which a client chooses
 * cannot be made to collide. A removed entry keeps its slot (without a key) until the array is next rebuilt.
 */
#include "base/map.h"

#include "base/host/host.h"
#include "base/vec.h"

enum { MAP_SMALL = 8 };

static uint64_t map_hash(const Map *map, const char *key)
{
    uint64_t hash = map->seed;
    for (const unsigned char *p = (const unsigned char *)key; *p; p++) {
        hash = (hash ^ *p) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash ^ hash >> 32;
}

/* The slot that holds `key`, or the empty one where its search ended. */
static size_t map_slot(const Map *map, const char *key)
{
    size_t slot = map_hash(map, key) & (map->slot_count - 1);
    while (map->slots[slot]) {
        const MapEntry *entry = &map->entries[map->slots[slot] - 1];
        if (entry->key && strcmp(entry->key, key) == 0) {
            break;
        }
        slot = (slot + 1) & (map->slot_count - 1);
    }
    return slot;
}

static MapEntry *map_find(const Map *map, const char *key)
{
    if (map->slots) {
        uint32_t index = map->slots[map_slot(map, key)];
        return index ? &map->entries[index - 1] : NULL;
    }
    for (size_t i = 0; i < map->used; i++) {
        if (map->entries[i].key && strcmp(map->entries[i].key, key) == 0) {
            return &map->entries[i];
        }
    }
    return NULL;
}

/* Squeezes removed entries out and makes room for more. */
static void map_rebuild(Map *map)
{
    size_t kept = 0;
    for (size_t i = 0; i < map->used; i++) {
        if (map->entries[i].key) {
            map->entries[kept++] = map->entries[i];
        }
    }
    map->used = kept;
    if (kept * 4 >= map->capacity * 3) {
        map->entries = vec_grow(map->entries, &map->capacity, map->capacity + 1, sizeof *map->entries);
    }
    if (map->capacity <= MAP_SMALL) {
        return;
    }
    assert(map->capacity < UINT32_MAX / 2);
    if (!map->slots) {
        host_random(&map->seed, sizeof map->seed);
    }
    free(map->slots);
    map->slot_count = 16;
    while (map->slot_count < map->capacity * 2) {
        map->slot_count *= 2;
    }
    map->slots = mem_alloc_array(map->slot_count, sizeof *map->slots);
    for (size_t i = 0; i < map->used; i++) {
        map->slots[map_slot(map, map->entries[i].key)] = (uint32_t)i + 1;
    }
}

void *map_get(const Map *map, const char *key)
{
    const MapEntry *entry = map_find(map, key);
    return entry ? entry->value : NULL;
}

bool map_has(const Map *map, const char *key) { return map_find(map, key) != NULL; }

void *map_set(Map *map, const char *key, void *value)
{
    MapEntry *entry = map_find(map, key);
    if (entry) {
        void *before = entry->value;
        entry->value = value;
        return before;
    }
    if (map->used == map->capacity) {
        map_rebuild(map);
    }
    map->entries[map->used++] = (MapEntry){ .key = string_copy(key), .value = value };
    map->count++;
    if (map->slots) {
        map->slots[map_slot(map, key)] = (uint32_t)map->used;
    }
    return NULL;
}

void *map_remove(Map *map, const char *key)
{
    MapEntry *entry = map_find(map, key);
    if (!entry) {
        return NULL;
    }
    void *value = entry->value;
    free(entry->key);
    *entry = (MapEntry){ 0 };
    map->count--;
    return value;
}

MapEntry *map_next(const Map *map, size_t *position)
{
    while (*position < map->used) {
        MapEntry *entry = &map->entries[(*position)++];
        if (entry->key) {
            return entry;
        }
    }
    return NULL;
}

void map_free(Map *map, void (*free_value)(void *))
{
    for (size_t i = 0; i < map->used; i++) {
        if (map->entries[i].key && free_value) {
            free_value(map->entries[i].value);
        }
        free(map->entries[i].key);
    }
    free(map->entries);
    free(map->slots);
    *map = (Map){ 0 };
}
