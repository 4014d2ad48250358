/* The error object. */
#include "base/error.h"

#include <errno.h>
#include <glib.h>

static void test_set(void)
{
    AUTO_ERROR(error);
    g_assert_false(error_set(&error, "%s is %d", "x", 3));
    g_assert_cmpstr(error_message(error), ==, "x is 3");
    g_assert_cmpstr(error_hint(error), ==, "");
    g_assert_cmpint(error_class(error), ==, ERROR_GENERIC);
    g_assert_cmpint(error_errno(error), ==, 0);
    g_assert_false(error_set(NULL, "nobody cares"));
    g_assert_false(error_set_class(NULL, ERROR_DEVICE_NOT_FOUND, "nobody cares"));
}

static void test_prepend_and_hint(void)
{
    AUTO_ERROR(error);
    g_assert_false(error_prepend(&error, "no error: "));
    g_assert_null(error);
    g_assert_false(error_prepend(NULL, "no error: "));
    error_set_errno(&error, ENOENT, "cannot open '%s'", "f");
    g_assert_false(error_prepend(&error, "-%s %d%%: ", "m", 5));
    g_assert_cmpstr(error_message(error), ==, "-m 5%: cannot open 'f': No such file or directory");
    g_assert_cmpint(error_errno(error), ==, ENOENT);
    error_add_hint(&error, "try %s", "this");
    error_add_hint(&error, "or that");
    g_assert_cmpstr(error_hint(error), ==, "try this\nor that");
}

static void test_propagate(void)
{
    AUTO_ERROR(error);
    g_assert_true(error_propagate(&error, NULL));
    g_assert_null(error);
    Error *source = NULL;
    error_set_class(&source, ERROR_DEVICE_NOT_ACTIVE, "off");
    Error *copy = error_copy(source);
    g_assert_false(error_propagate(&error, source));
    g_assert_true(error == source);
    g_assert_false(error_propagate(NULL, copy)); /* freed */
    g_assert_cmpint(error_class(error), ==, ERROR_DEVICE_NOT_ACTIVE);
}

static void test_copy(void)
{
    AUTO_ERROR(error);
    error_set_errno(&error, EACCES, "x");
    error_add_hint(&error, "hint");
    AUTO_ERROR(copy);
    copy = error_copy(error);
    error_prepend(&error, "not in the copy: ");
    g_assert_cmpstr(error_message(copy), ==, "x: Permission denied");
    g_assert_cmpstr(error_hint(copy), ==, "hint");
    g_assert_cmpint(error_errno(copy), ==, EACCES);
}

static void test_class_names(void)
{
    g_assert_cmpstr(error_class_name(ERROR_GENERIC), ==, "GenericError");
    g_assert_cmpstr(error_class_name(ERROR_COMMAND_NOT_FOUND), ==, "CommandNotFound");
    g_assert_cmpstr(error_class_name(ERROR_DEVICE_NOT_ACTIVE), ==, "DeviceNotActive");
    g_assert_cmpstr(error_class_name(ERROR_DEVICE_NOT_FOUND), ==, "DeviceNotFound");
    g_assert_cmpstr(error_class_name(ERROR_KVM_MISSING_CAP), ==, "KVMMissingCap");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/set", test_set);
    g_test_add_func("/prepend", test_prepend_and_hint);
    g_test_add_func("/propagate", test_propagate);
    g_test_add_func("/copy", test_copy);
    g_test_add_func("/class-names", test_class_names);
    return g_test_run();
}
