/*
 * Key names and characters against IBM's scan code set 1 table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/input.h"
#include "display/keys.h"

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t key;
    } expected[] = {
        {"esc", 0x01},
        {"a", 0x1e},
        {"shift", 0x2a},
        {"shift_r", 0x36},
        {"ctrl", 0x1d},
        {"ctrl_r", 0xe01d},
        {"alt", 0x38},
        {"ret", 0x1c},
        {"spc", 0x39},
        {"f1", 0x3b},
        {"f10", 0x44},
        {"f12", 0x58},
        {"kp_add", 0x4e},
        {"kp_7", 0x47},
        {"delete", 0xe053},
        {"up", 0xe048},
        {"dot", 0x34},
        {"backspace", 0x0e},
        {"0x1e", 0x1e},
        {"0xe053", 0xe053},
        {"pause", KEY_PAUSE},
        {"print", KEY_PRINT_SCREEN},
        {"", 0},
        {"A", 0},
        {"f13", 0},
        {"0x", 0},
        {"0xg", 0},
        {"0x12345", 0},
        {"0x0", 0},
    };
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(key_named(expected[i].name, strlen(expected[i].name)), expected[i].key);
    for (unsigned i = 0; key_name_at(i); i++) {
        uint16_t key = key_named(key_name_at(i), strlen(key_name_at(i)));
        assert_true(key);
        assert_int_equal(key_named(key_name(key), strlen(key_name(key))), key);
    }
    assert_null(key_name(0x1234));
}

static void test_combinations(void **state)
{
    (void)state;
    uint16_t keys[KEYS_AT_ONCE];
    const char *bad;
    size_t length;
    assert_int_equal(keys_parse("ctrl-alt-delete", keys, &bad, &length), 3);
    assert_int_equal(keys[0], 0x1d);
    assert_int_equal(keys[1], 0x38);
    assert_int_equal(keys[2], 0xe053);
    assert_int_equal(keys_parse("ctrl-bogus-x", keys, &bad, &length), 0);
    assert_int_equal(length, 5);
    assert_memory_equal(bad, "bogus", 5);
    assert_int_equal(keys_parse("", keys, &bad, &length), 0);
    assert_int_equal(keys_parse("a-", keys, &bad, &length), 0);
    assert_int_equal(keys_parse("a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", keys, &bad, &length), 16);
    assert_int_equal(keys_parse("a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", keys, &bad, &length), 0);
}

/* What a keyboard driver makes of the keys again. */
static const char unshifted[] = "..1234567890-=\b\tqwertyuiop[]\r?asdfghjkl;'`?\\zxcvbnm,./?*? ";
static const char shifted[] = "..!@#$%^&*()_+\b\tQWERTYUIOP{}\r?ASDFGHJKL:\"~?|ZXCVBNM<>??*? ";

static void test_characters(void **state)
{
    (void)state;
    for (unsigned c = ' '; c < 0x7f; c++) {
        struct key_press press = key_for_character((unsigned char)c);
        assert_true(press.key && press.key < sizeof(unshifted) - 1);
        assert_int_equal((press.modifiers & MODIFIER_SHIFT ? shifted : unshifted)[press.key],
                         c == '?' ? '?' : (char)c);
        assert_int_equal(press.modifiers & ~(unsigned)MODIFIER_SHIFT, 0);
    }
    assert_int_equal(key_for_character('?').key, 0x35);
    assert_int_equal(key_for_character(3).key, 0x2e);
    assert_int_equal(key_for_character(3).modifiers, MODIFIER_CONTROL);
    assert_int_equal(key_for_character(0x1c).key, 0x2b);
    assert_int_equal(key_for_character('\r').key, 0x1c);
    assert_int_equal(key_for_character('\r').modifiers, 0);
    assert_int_equal(key_for_character(0x1b).key, 0x01);
    assert_int_equal(key_for_character(0x7f).key, 0x0e);
    assert_int_equal(key_for_character(0x80).key, 0);
    assert_int_equal(key_for_character(0xff).key, 0);
}

struct heard {
    unsigned count;
    uint16_t key[16];
    bool down[16];
};

static void hear(void *device, uint16_t key, bool down)
{
    struct heard *heard = device;
    heard->key[heard->count] = key;
    heard->down[heard->count++] = down;
}

static void test_press(void **state)
{
    (void)state;
    struct heard heard = {0};
    const struct input_sink sink = {.device = &heard, .key = hear};
    struct key_press press = key_for_character('A');
    key_press_send(&press, &sink, true);
    key_press_send(&press, &sink, false);
    static const uint16_t keys[] = {0x2a, 0x1e, 0x1e, 0x2a};
    assert_int_equal(heard.count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(heard.key[i], keys[i]);
        assert_int_equal(heard.down[i], i < 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_press),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
