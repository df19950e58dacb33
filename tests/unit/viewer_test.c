/* A viewer's keys and pointer, with keysyms from X11/keysymdef.h and masks from RFC 6143. */
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "display/viewer.h"

enum { CONTROL = 0xffe3, ALT = 0xffe9, SHIFT = 0xffe1, SHIFT_RIGHT = 0xffe2, ALT_GR = 0xfe03, CAPS = 0xffe5 };

static char heard[1024];
static struct pointer_event event;
static unsigned events, pastes;
static bool absolute;

static void hear_key(void *device, uint16_t key, bool down)
{
    size_t length = strlen(heard);
    (void)device;
    snprintf(heard + length, sizeof(heard) - length, "%s%c%x", length ? " " : "", down ? '+' : '-', key);
}

static void hear_pointer(void *device, const struct pointer_event *told)
{
    (void)device;
    event = *told;
    events++;
}

static bool wants_absolute(void *device)
{
    (void)device;
    return absolute;
}

static void paste(void *opaque)
{
    (void)opaque;
    pastes++;
}

static const struct input_sink sink = {NULL, hear_key, hear_pointer, wants_absolute};
static struct viewer viewer;

static int setup(void **state)
{
    (void)state;
    viewer = (struct viewer){.input = &sink, .paste = paste};
    heard[0] = '\0';
    events = pastes = 0;
    absolute = false;
    return 0;
}

static void type(uint32_t keysym)
{
    viewer_keysym(&viewer, keysym, true);
    viewer_keysym(&viewer, keysym, false);
}

static void expect(const char *keys)
{
    assert_string_equal(heard, keys);
    heard[0] = '\0';
}

static void keys_by_keysym(void **state)
{
    (void)state;
    type('a'), expect("+1e -1e");
    type(0xff0d), expect("+1c -1c");
    type(0xff52), expect("+e048 -e048");
    type(0xffe4), expect("+e01d -e01d");
    type(0xff13), expect("+e11d -e11d");
    type(0xff61), expect("+e037 -e037");
    type(0xffaf), expect("+e035 -e035");
    type(0xffc9), expect("+58 -58");
    type(0xffff), expect("+e053 -e053");
    type(0xeb), expect(""); /* no key of a US keyboard */
    type(0x1000394), expect("");
    viewer_keysym(&viewer, 'b', false), expect(""); /* was not down */
}

static void shift_is_as_the_character_wants_it(void **state)
{
    (void)state;
    type('A'), expect("+2a +1e -2a -1e");
    type('!'), expect("+2a +2 -2a -2");
    viewer_keysym(&viewer, SHIFT, true), expect("+2a");
    type('A'), expect("+1e -1e");
    type('1'), expect("-2a +2 +2a -2"); /* a French keyboard */
    viewer_keysym(&viewer, SHIFT_RIGHT, true), expect("+36");
    type('-'), expect("-2a -36 +c +2a +36 -c");
    viewer_keysym(&viewer, SHIFT, false), viewer_keysym(&viewer, SHIFT_RIGHT, false), expect("-2a -36");
    viewer_keysym(&viewer, ALT_GR, true), expect("+e038");
    type('@'), expect("-e038 +2a +3 -2a +e038 -3"); /* a German one */
    viewer_keysym(&viewer, ALT_GR, false), expect("-e038");
    viewer_keysym(&viewer, CONTROL, true), expect("+1d");
    type('C'), expect("+2e -2e"); /* a command, not a character */
}

static void caps_lock(void **state)
{
    (void)state;
    type(CAPS), expect("+3a -3a");
    type('A'), expect("+1e -1e");
    type('a'), expect("+2a +1e -2a -1e");
    type('!'), expect("+2a +2 -2a -2");
    type(CAPS), expect("+3a -3a");
    type('A'), expect("+2a +1e -2a -1e");
}

static void keys_by_scan_code(void **state)
{
    (void)state;
    assert_int_equal(key_for_xt(0x1e), 0x1e);
    assert_int_equal(key_for_xt(0x9d), 0xe01d);
    assert_int_equal(key_for_xt(0xb7), KEY_PRINT_SCREEN);
    assert_int_equal(key_for_xt(0xc6), KEY_PAUSE);
    assert_int_equal(key_for_xt(0), 0);
    assert_int_equal(key_for_xt(0x100), 0);
    assert_int_equal(key_for_xt(UINT32_MAX), 0);
    viewer_key(&viewer, key_for_xt(0x56), true), expect("+56");
}

static void nothing_stays_down(void **state)
{
    (void)state;
    viewer_keysym(&viewer, 'x', true);
    viewer_keysym(&viewer, 0xff52, true);
    viewer_pointer(&viewer, 1, 1, 10, 10, 1);
    expect("+2d +e048");
    viewer_release(&viewer);
    expect("-2d -e048");
    assert_int_equal(event.buttons, 0);
    viewer_release(&viewer);
    expect("");
    assert_int_equal(events, 2);
}

static void ctrl_alt_v_pastes(void **state)
{
    (void)state;
    viewer_keysym(&viewer, CONTROL, true), viewer_keysym(&viewer, ALT, true);
    expect("+1d +38");
    type('v');
    expect("-1d -38");
    assert_int_equal(pastes, 1);
    type('v'), expect("+2f -2f");
    assert_int_equal(pastes, 1);
}

static void pointer(void **state)
{
    (void)state;
    viewer_pointer(&viewer, 100, 100, 640, 480, 0);
    assert_int_equal(event.x, 0); /* where it was before is not known */
    viewer_pointer(&viewer, 103, 98, 640, 480, 1);
    assert_int_equal(event.x, 3);
    assert_int_equal(event.y, -2);
    assert_int_equal(event.buttons, BUTTON_LEFT);
    viewer_pointer(&viewer, 103, 98, 640, 480, 2 | 4 | 8);
    assert_int_equal(event.buttons, BUTTON_MIDDLE | BUTTON_RIGHT);
    assert_int_equal(event.wheel, -1);
    viewer_pointer(&viewer, 103, 98, 640, 480, 8);
    assert_int_equal(event.wheel, 0); /* still the same notch */
    viewer_pointer(&viewer, 103, 98, 640, 480, 16);
    assert_int_equal(event.wheel, 1);
    absolute = true;
    viewer_pointer(&viewer, 639, 0, 640, 480, 0);
    assert_true(event.absolute);
    assert_int_equal(event.x, POSITION_MOST);
    assert_int_equal(event.y, 0);
    viewer_pointer(&viewer, 65535, 240, 640, 480, 0);
    assert_int_equal(event.x, POSITION_MOST);
    assert_int_equal(event.y, 240 * POSITION_MOST / 479);
    viewer_steps(&viewer, -5, 7, 4);
    assert_false(event.absolute);
    assert_int_equal(event.x, -5);
    assert_int_equal(event.buttons, BUTTON_RIGHT);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, setup)
    const struct CMUnitTest tests[] = {
        TEST(keys_by_keysym),
        TEST(shift_is_as_the_character_wants_it),
        TEST(caps_lock),
        TEST(keys_by_scan_code),
        TEST(nothing_stays_down),
        TEST(ctrl_alt_v_pastes),
        TEST(pointer),
    };
    return cmocka_run_group_tests_name("viewer", tests, NULL, NULL);
}
