/* The life of an object: what is called when, references, the order of letting go. */
#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/thread.h"
#include "base/vec.h"
#include "object/object.h"

#include <glib.h>

typedef struct Node {
    Object object;
    char *label;
    uint32_t weight;
    Object *peer, *part;
    bool fail_complete;
} Node;

/* What was called, in order: "init:node init:leaf ...". Hung on each object as its `data`. */
static void note(Object *object, const char *what, const char *class)
{
    const Node *node = (const Node *)object;
    const char *label = node->label ? node->label : "";
    g_string_append_printf(object->data, "%s:%s%s%s ", what, class, node->label ? "=" : "", label);
}

static void node_init(Object *object) { note(object, "init", "node"); }
static void node_unparent(Object *object) { note(object, "unparent", "node"); }
static void node_finalize(Object *object) { note(object, "finalize", "node"); }

static bool node_complete(Object *object, Error **error)
{
    note(object, "complete", "node");
    g_assert_false(object->complete);
    return ((Node *)object)->fail_complete ? error_set(error, "asked to fail") : true;
}

static const Property node_properties[] = {
    PROP("label", type_string, Node, label, NULL, "a name for the record"),
    PROP("weight", type_uint32, Node, weight, "1", "a number"),
    PROP("fail", type_bool, Node, fail_complete, NULL, "let completion fail"),
    PROP_LINK("peer", object_class, Node, peer, "another"),
    { .name = "part", .kind = PROPERTY_CHILD, .target = &object_class, .offset = offsetof(Node, part) },
    PROP_END,
};
const Class node_class = {
    .name = "node",
    .parent = &object_class,
    .size = sizeof(Node),
    .properties = node_properties,
    .init = node_init,
    .complete = node_complete,
    .unparent = node_unparent,
    .finalize = node_finalize,
};

static void leaf_init(Object *object) { note(object, "init", "leaf"); }
static void leaf_unparent(Object *object) { note(object, "unparent", "leaf"); }
static void leaf_finalize(Object *object) { note(object, "finalize", "leaf"); }

static bool leaf_complete(Object *object, Error **error)
{
    note(object, "complete", "leaf");
    return true;
}

const Class leaf_class = {
    .name = "leaf",
    .parent = &node_class,
    .init = leaf_init,
    .complete = leaf_complete,
    .unparent = leaf_unparent,
    .finalize = leaf_finalize,
};

static Object *new_node(const Class *class, GString *record, const char *label)
{
    Object *object = object_new(class, record, NULL, NULL);
    g_assert_true(object_set_text(object, "label", label, NULL));
    return object;
}

static void expect(GString *record, const char *text)
{
    g_assert_cmpstr(record->str, ==, text);
    g_string_truncate(record, 0);
}

static Object *new_root(void) { return object_new(&container_class, NULL, NULL, NULL); }

static void test_order(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *root = new_root();
    Object *leaf = object_new(&leaf_class, record, NULL, NULL);
    expect(record, "init:node init:leaf ");
    g_assert_true(object_complete(leaf, NULL));
    expect(record, "complete:node complete:leaf ");
    g_assert_true(leaf->complete);
    g_assert_true(object_add_child(root, "l", leaf, NULL));
    object_unref(leaf); /* the parent's is left */
    expect(record, "");
    object_unparent(leaf);
    expect(record, "unparent:leaf unparent:node finalize:leaf finalize:node ");
    g_assert_null(object_child(root, "l"));
    object_unref(root);
}

static void test_held(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *root = new_root();
    Object *leaf = new_node(&leaf_class, record, "x");
    g_string_truncate(record, 0);
    g_assert_true(object_add_child(root, "l", leaf, NULL));
    object_unparent(leaf);
    expect(record, "unparent:leaf=x unparent:node=x ");
    object_unparent(leaf); /* hangs nowhere: nothing */
    expect(record, "");
    g_assert_true(object_add_child(root, "again", leaf, NULL));
    object_unparent(leaf);
    expect(record, "unparent:leaf=x unparent:node=x ");
    object_unref(leaf);
    expect(record, "finalize:leaf=x finalize:node=x "); /* values are still there for finalize */
    object_unref(NULL);
    object_unref(root);
}

static void test_complete_fails(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *leaf = new_node(&leaf_class, record, "x");
    g_assert_true(object_set_text(leaf, "fail", "on", NULL));
    g_string_truncate(record, 0);
    AUTO_ERROR(error);
    g_assert_false(object_complete(leaf, &error));
    g_assert_cmpstr(error_message(error), ==, "asked to fail");
    g_assert_false(leaf->complete);
    object_unref(leaf);
    expect(record, "complete:node=x finalize:leaf=x finalize:node=x ");
}

/* root/a/{b,c}: hooks from the outside in, then the last child first; the same when only the root is dropped. */
static Object *make_tree(GString *record, Object **a)
{
    Object *root = new_root();
    *a = new_node(&node_class, record, "a");
    Object *b = new_node(&node_class, record, "b"), *c = new_node(&node_class, record, "c");
    g_assert_true(object_add_child(root, "a", *a, NULL));
    g_assert_true(object_add_child(*a, "b", b, NULL));
    g_assert_true(object_add_child(*a, "c", c, NULL));
    object_unref(*a);
    object_unref(b);
    object_unref(c);
    g_string_truncate(record, 0);
    return root;
}

static const char tree_goes[] = "unparent:node=a unparent:node=c finalize:node=c unparent:node=b finalize:node=b "
                                "finalize:node=a ";

static void test_tree(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *a, *root = make_tree(record, &a);
    object_unparent(a);
    expect(record, tree_goes);
    object_unref(root);
    root = make_tree(record, &a);
    object_unref(root);
    expect(record, tree_goes);
}

/* An object that never hung: its own unparent is not called, its children's are. */
static void test_never_hung(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *a = new_node(&node_class, record, "a"), *b = new_node(&node_class, record, "b");
    g_assert_true(object_add_child(a, "b", b, NULL));
    object_unref(b);
    g_string_truncate(record, 0);
    object_unref(a);
    expect(record, "unparent:node=b finalize:node=b finalize:node=a ");
}

static void test_link_counts(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *a = new_node(&node_class, record, "a"), *b = new_node(&node_class, record, "b");
    g_assert_cmpuint(b->references, ==, 1);
    g_assert_true(object_set_link(a, "peer", b, NULL));
    g_assert_cmpuint(b->references, ==, 2);
    g_assert_true(object_set_link(a, "peer", b, NULL)); /* the same again */
    g_assert_cmpuint(b->references, ==, 2);
    g_assert_true(object_set_link(a, "peer", a, NULL));
    g_assert_cmpuint(b->references, ==, 1);
    g_assert_cmpuint(a->references, ==, 2);
    g_assert_true(object_set_link(a, "peer", NULL, NULL));
    g_assert_cmpuint(a->references, ==, 1);
    g_assert_true(object_set_link(a, "peer", b, NULL));
    object_unref(b);
    g_string_truncate(record, 0);
    object_unref(a); /* the link's reference was b's last */
    expect(record, "finalize:node=a finalize:node=b ");
}

static void test_cycle(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *root = new_root();
    Object *a = new_node(&node_class, record, "a"), *b = new_node(&node_class, record, "b");
    g_assert_true(object_add_child(root, "a", a, NULL));
    g_assert_true(object_add_child(root, "b", b, NULL));
    g_assert_true(object_set_link(a, "peer", b, NULL));
    g_assert_true(object_set_link(b, "peer", a, NULL));
    object_unref(a);
    object_unref(b);
    g_string_truncate(record, 0);
    object_unparent(a); /* b still holds it */
    expect(record, "unparent:node=a ");
    g_assert_null(((Node *)a)->peer);
    g_assert_true(((Node *)b)->peer == a);
    object_unref(root);
    expect(record, "unparent:node=b finalize:node=a finalize:node=b ");
}

static void test_child_pointer(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *a = new_node(&node_class, record, "a"), *b = new_node(&node_class, record, "b");
    g_assert_true(object_add_child(a, "part", b, NULL));
    g_assert_true(((Node *)a)->part == b);
    AUTO_ERROR(error);
    g_assert_false(object_set_link(a, "part", NULL, &error));
    g_assert_cmpstr(error_message(error), ==, "Property 'node.part' is not writable");
    object_unparent(b);
    g_assert_null(((Node *)a)->part);
    object_unref(b);
    object_unref(a);
}

static void expect_no_child(Object *parent, const char *name, Object *child, const char *message)
{
    AUTO_ERROR(error);
    g_assert_false(object_add_child(parent, name, child, &error));
    g_assert_cmpstr(error_message(error), ==, message);
    g_assert_null(child->parent);
    g_assert_cmpuint(child->references, ==, 1);
}

static void test_child_names(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *a = new_node(&node_class, record, "a"), *b = new_node(&node_class, record, "b");
    Object *numbered[3];
    for (int i = 0; i < 3; i++) {
        numbered[i] = new_node(&node_class, record, "n");
        g_assert_true(object_add_child(a, "n[*]", numbered[i], NULL));
        object_unref(numbered[i]);
    }
    g_assert_cmpstr(numbered[2]->name, ==, "n[2]");
    object_unparent(numbered[1]);
    g_assert_true(object_add_child(a, "n[*]", b, NULL)); /* the first that is free */
    g_assert_cmpstr(b->name, ==, "n[1]");
    object_unparent(b);
    expect_no_child(a, "n[2]", b, "there is already an object named 'n[2]'");
    expect_no_child(a, "weight", b, "'weight' cannot be an object's name here: it is a property of node");
    expect_no_child(a, "", b, "'' cannot be an object's name: it must not be empty nor hold a '/'");
    expect_no_child(a, "x/y", b, "'x/y' cannot be an object's name: it must not be empty nor hold a '/'");
    object_unref(b);
    object_unref(a);
}

static void test_many_children(void)
{
    enum { COUNT = 3000 };
    Object *root = new_root();
    for (int i = 0; i < COUNT; i++) {
        Object *child = object_new(&container_class, NULL, NULL, NULL);
        g_assert_true(object_add_child(root, "c[*]", child, NULL));
        object_unref(child);
    }
    g_assert_nonnull(object_child(root, "c[2999]"));
    object_unref(root);
}

static bool unparent_even(Object *child, void *context)
{
    unsigned *count = context;
    if ((*count)++ % 2 == 0) {
        object_unparent(child);
    }
    return *count < 5;
}

static void test_unparent_on_the_way(void)
{
    Object *root = new_root();
    for (int i = 0; i < 6; i++) {
        Object *child = object_new(&container_class, NULL, NULL, NULL);
        g_assert_true(object_add_child(root, "c[*]", child, NULL));
        object_unref(child);
    }
    unsigned count = 0;
    g_assert_false(object_each_child(root, unparent_even, &count));
    g_assert_cmpuint(count, ==, 5);
    g_assert_null(object_child(root, "c[0]"));
    g_assert_nonnull(object_child(root, "c[1]"));
    g_assert_null(object_child(root, "c[4]"));
    g_assert_nonnull(object_child(root, "c[5]"));
    object_unref(root);
}

static void *take_and_drop(void *argument)
{
    for (int i = 0; i < 10000; i++) {
        object_unref(object_ref(argument));
    }
    object_unref(argument);
    return NULL;
}

static void test_threads(void)
{
    g_autoptr(GString) record = g_string_new("");
    Object *a = new_node(&node_class, record, "a");
    Thread threads[3];
    g_string_truncate(record, 0);
    for (int i = 0; i < 3; i++) {
        g_assert_true(thread_start(&threads[i], "refs", take_and_drop, object_ref(a), NULL));
    }
    object_unref(a);
    for (int i = 0; i < 3; i++) {
        thread_join(&threads[i]);
    }
    expect(record, "finalize:node=a "); /* once, by whoever was last */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/order", test_order);
    g_test_add_func("/held", test_held);
    g_test_add_func("/complete-fails", test_complete_fails);
    g_test_add_func("/tree", test_tree);
    g_test_add_func("/never-hung", test_never_hung);
    g_test_add_func("/link/counts", test_link_counts);
    g_test_add_func("/link/cycle", test_cycle);
    g_test_add_func("/child/pointer", test_child_pointer);
    g_test_add_func("/child/names", test_child_names);
    g_test_add_func("/child/many", test_many_children);
    g_test_add_func("/child/unparent-on-the-way", test_unparent_on_the_way);
    g_test_add_func("/threads", test_threads);
    return g_test_run();
}
