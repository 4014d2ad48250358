/* Arrays, strings under construction, lists and maps. */
#include "base/list.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <glib.h>

static void test_vec(void)
{
    VEC(int) numbers = { 0 };
    for (int i = 0; i < 1000; i++) {
        vec_push(&numbers, i);
    }
    g_assert_cmpuint(numbers.count, ==, 1000);
    vec_remove(&numbers, 0);
    vec_remove(&numbers, 998);
    g_assert_cmpuint(numbers.count, ==, 998);
    g_assert_cmpint(numbers.items[0], ==, 1);
    g_assert_cmpint(numbers.items[997], ==, 998);
    vec_free(&numbers);
    g_assert_null(numbers.items);
    g_assert_cmpuint(numbers.capacity, ==, 0);
}

static void test_memory(void)
{
    unsigned char *bytes = mem_alloc_array(7, 9);
    for (int i = 0; i < 63; i++) {
        g_assert_cmpuint(bytes[i], ==, 0);
    }
    free(bytes);
    free(mem_alloc(0));
    g_assert_null(string_copy(NULL));
    char *text = string_format("%d-%s", 5, "x");
    g_assert_cmpstr(text, ==, "5-x");
    free(text);
    text = string_copy_length("abcdef", 3);
    g_assert_cmpstr(text, ==, "abc");
    free(text);
}

static void test_memory_overflow(void)
{
    if (g_test_subprocess()) {
        free(mem_alloc_array(SIZE_MAX / 2, 3));
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*out of memory*");
}

static void test_strbuf(void)
{
    AUTO_STRBUF(text);
    g_assert_cmpstr(strbuf_text(&text), ==, "");
    strbuf_append(&text, "ab");
    strbuf_append_char(&text, 'c');
    strbuf_append_bytes(&text, "d\0e", 3);
    g_assert_cmpuint(text.length, ==, 6);
    g_assert_cmpmem(text.data, 7, "abcd\0e", 7);
    strbuf_clear(&text);
    g_assert_cmpstr(strbuf_text(&text), ==, "");
    /* Lengths around the room that a first try of printf has. */
    for (int length = 0; length < 300; length++) {
        strbuf_clear(&text);
        strbuf_append(&text, "<");
        strbuf_printf(&text, "%*s>", length, "");
        g_assert_cmpuint(text.length, ==, (unsigned)length + 2);
        g_assert_cmpint(text.data[length + 1], ==, '>');
    }
    char *taken = strbuf_take(&text);
    g_assert_cmpuint(strlen(taken), ==, 301);
    free(taken);
    taken = strbuf_take(&text);
    g_assert_cmpstr(taken, ==, "");
    free(taken);
}

typedef struct Item {
    int number;
    ListNode node;
} Item;

static void test_list(void)
{
    ListNode head;
    Item items[4] = { { .number = 1 }, { .number = 2 }, { .number = 3 }, { .number = 0 } };
    list_init(&head);
    g_assert_true(list_empty(&head));
    for (int i = 0; i < 3; i++) {
        g_assert_false(list_linked(&items[i].node));
        list_append(&head, &items[i].node);
    }
    list_prepend(&head, &items[3].node);
    int expected = 0;
    LIST_FOREACH_SAFE(&head, item, Item, node) {
        g_assert_cmpint(item->number, ==, expected++);
        list_remove(&item->node);
        memset(item, 0xff, sizeof *item);
    }
    g_assert_cmpint(expected, ==, 4);
    g_assert_true(list_empty(&head));
}

static void test_map_order(void)
{
    static int values[300];
    Map map = { 0 };
    g_assert_null(map_get(&map, "0"));
    for (int i = 0; i < 300; i++) {
        AUTO_FREE char *key = string_format("%d", i);
        g_assert_null(map_set(&map, key, &values[i]));
    }
    g_assert_cmpuint(map.count, ==, 300);
    g_assert_true(map_set(&map, "7", &values[8]) == &values[7]);
    g_assert_cmpuint(map.count, ==, 300);
    g_assert_true(map_get(&map, "7") == &values[8]);
    /* Removing on the way skips nothing; what is left stays in order. */
    size_t position = 0;
    int seen = 0;
    for (MapEntry *entry; (entry = map_next(&map, &position)); seen++) {
        AUTO_FREE char *key = string_format("%d", seen);
        g_assert_cmpstr(entry->key, ==, key);
        if (seen % 2) {
            map_remove(&map, key);
        }
    }
    g_assert_cmpint(seen, ==, 300);
    g_assert_cmpuint(map.count, ==, 150);
    g_assert_false(map_has(&map, "299"));
    g_assert_null(map_remove(&map, "299"));
    g_assert_true(map_has(&map, "298"));
    map_set(&map, "299", NULL);
    g_assert_true(map_has(&map, "299"));
    g_assert_null(map_get(&map, "299"));
    map_free(&map, NULL);
    g_assert_cmpuint(map.count, ==, 0);
}

/* Against GLib's table, through sizes that are searched and sizes that are hashed. */
static void test_map_random(void)
{
    Map map = { 0 };
    GHashTable *model = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GRand *random = g_rand_new_with_seed(20);
    for (int step = 0; step < 20000; step++) {
        int range = step % 2000 < 1000 ? 6 : 400;
        char *key = g_strdup_printf("key-%d", g_rand_int_range(random, 0, range));
        g_assert_true(map_get(&map, key) == g_hash_table_lookup(model, key));
        if (g_rand_int_range(random, 0, 3) == 0) {
            g_assert_true(map_remove(&map, key) == g_hash_table_lookup(model, key));
            g_hash_table_remove(model, key);
            g_free(key);
        } else {
            void *value = GINT_TO_POINTER(step + 1);
            map_set(&map, key, value);
            g_hash_table_replace(model, key, value);
        }
        g_assert_cmpuint(map.count, ==, g_hash_table_size(model));
        g_assert_cmpuint(map.capacity, <=, 2048); /* removed entries are squeezed out */
    }
    g_rand_free(random);
    g_hash_table_destroy(model);
    map_free(&map, NULL);
}

static unsigned freed;

static void count_freed(void *value)
{
    freed++;
    free(value);
}

static void test_map_free(void)
{
    Map map = { 0 };
    map_set(&map, "", mem_alloc(1));
    map_set(&map, "a", mem_alloc(1));
    map_set(&map, "b", mem_alloc(1));
    free(map_remove(&map, "a"));
    map_free(&map, count_freed);
    g_assert_cmpuint(freed, ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vec", test_vec);
    g_test_add_func("/memory", test_memory);
    g_test_add_func("/memory/overflow", test_memory_overflow);
    g_test_add_func("/strbuf", test_strbuf);
    g_test_add_func("/list", test_list);
    g_test_add_func("/map/order", test_map_order);
    g_test_add_func("/map/random", test_map_random);
    g_test_add_func("/map/free", test_map_free);
    return g_test_run();
}
