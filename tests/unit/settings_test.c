#include "unit/unit.h"

#include <string.h>

#include "core/settings.h"

static void texts_are_taken_apart(void **state)
{
    (void)state;
    struct settings *settings =
        settings_parse("-drive", "a,,b.img,if=virtio,snapshot,size=1.5k,n=0x10,off=off", "file");
    assert_string_equal(settings_text(settings, "file", ""), "a,b.img");
    assert_string_equal(settings_text(settings, "if", ""), "virtio");
    assert_true(settings_switch(settings, "snapshot", false));
    assert_false(settings_switch(settings, "off", true));
    assert_int_equal(settings_size(settings, "size", 1, 0), 1536);
    assert_int_equal(settings_number(settings, "n", 0, 16), 16);
    assert_int_equal(settings_number(settings, "absent", 7, 16), 7);
    assert_null(settings_error(settings));
    settings_free(settings);
}

static void the_last_of_two_counts(void **state)
{
    (void)state;
    struct settings *settings = settings_parse("-m", "size=1,size=2", "size");
    assert_string_equal(settings_text(settings, "size", ""), "2");
    assert_null(settings_error(settings));
    settings_free(settings);
}

static void what_nobody_asks_for_is_an_error(void **state)
{
    (void)state;
    struct settings *settings = settings_parse("-device", "rng,foo=1", "driver");
    settings_text(settings, "driver", NULL);
    assert_string_equal(settings_error(settings), "-device rng,foo=1: Property 'rng.foo' not found");
    settings_free(settings);
}

static void the_first_error_is_kept(void **state)
{
    (void)state;
    struct settings *settings = settings_parse("-x", "n=17,s=maybe,z=1Q", NULL);
    assert_int_equal(settings_number(settings, "n", 3, 16), 3);
    assert_true(settings_switch(settings, "s", true));
    assert_int_equal(settings_size(settings, "z", 1, 9), 9);
    assert_string_equal(settings_error(settings),
                        "-x n=17,s=maybe,z=1Q: Parameter 'n' expects a number up to 16");
    settings_free(settings);
}

static void lists_keep_their_order(void **state)
{
    (void)state;
    struct settings *list = NULL;
    settings_append(&list, settings_parse("-netdev", "user,id=one", "type"));
    settings_append(&list, settings_parse("-netdev", "user,id=two", "type"));
    assert_ptr_equal(settings_find(list, "two"), settings_next(list));
    assert_null(settings_find(list, "three"));
    settings_free_all(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_taken_apart),
        cmocka_unit_test(the_last_of_two_counts),
        cmocka_unit_test(what_nobody_asks_for_is_an_error),
        cmocka_unit_test(the_first_error_is_kept),
        cmocka_unit_test(lists_keep_their_order),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
