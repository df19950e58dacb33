/* Numbers from the IBM PS/2 Hardware Interface Technical Reference: the 8042, the 101-key keyboard, the mouse. */
#include "unit/bench.h"

#include "devices/ps2.h"

enum { DATA = 0x60, STATUS = 0x64, COMMAND = 0x64, FULL = 0x01, AUXILIARY = 0x20 };

static struct bench bench;
static struct probe mouse, a20;
static struct ps2 *ps2;
static struct input_sink keyboard;
static unsigned resets;

static void reset(void *opaque)
{
    (void)opaque;
    resets++;
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    resets = 0;
    mouse = (struct probe){0};
    struct ps2_wiring wiring = {bench.line, {probe_set, &mouse, 0}, {probe_set, &a20, 0}, bench.clock, reset,
                                NULL};
    ps2 = ps2_create(bench.ports, &wiring);
    keyboard = ps2_input(ps2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ps2_destroy(ps2);
    bench_close(&bench);
    return 0;
}

/* The next byte, when it has come. */
static uint8_t next(void)
{
    for (unsigned i = 0; i < 100 && !(in(&bench, STATUS) & FULL); i++)
        bench_pass(&bench, 100 * MICROSECONDS);
    assert_true(in(&bench, STATUS) & FULL);
    return in(&bench, DATA);
}

static void nothing_more(void)
{
    bench_pass(&bench, 100 * MILLISECONDS);
    assert_false(in(&bench, STATUS) & FULL);
}

static void command(uint8_t value)
{
    out(&bench, COMMAND, value);
}

static void control(uint8_t value)
{
    command(0x60);
    out(&bench, DATA, value);
}

static void key(uint16_t code, bool down)
{
    keyboard.key(keyboard.device, code, down);
}

/* As firmware leaves it: IRQ1 on, translation on, the keyboard scanning. */
static void ready(uint8_t command_byte)
{
    control(command_byte);
    out(&bench, DATA, 0xff);
    assert_int_equal(next(), 0xfa);
    assert_int_equal(next(), 0xaa);
    out(&bench, DATA, 0xf4);
    assert_int_equal(next(), 0xfa);
    bench_pass(&bench, 10 * MILLISECONDS);
}

static void firmware_brings_it_up(void **state)
{
    (void)state;
    assert_int_equal(in(&bench, STATUS) & FULL, 0);
    command(0xad), command(0xa7);
    command(0xaa);
    assert_int_equal(next(), 0x55);
    assert_int_equal(in(&bench, STATUS) & 0x04, 0x04);
    command(0xab);
    assert_int_equal(next(), 0x00);
    control(0x30);
    control(0x20);
    static const uint8_t sequence[][3] = {
        {0xff, 0xfa, 0xaa}, {0xf5, 0xfa}, {0xf0, 0xfa}, {0x02, 0xfa}, {0xf4, 0xfa}};
    for (unsigned i = 0; i < 5; i++)
        for (unsigned n = 0; n < 3 && (n == 0 || sequence[i][n]); n++) {
            if (n == 0)
                out(&bench, DATA, sequence[i][0]);
            else
                assert_int_equal(next(), sequence[i][n]);
        }
    control(0x61);
    nothing_more();
    assert_int_equal(bench.probe.rises, 0);
    key(0x1e, true);
    assert_true(bench.probe.level);
    assert_int_equal(in(&bench, STATUS) & (FULL | AUXILIARY), FULL);
    assert_int_equal(in(&bench, DATA), 0x1e);
    assert_false(bench.probe.level);
}

static void keys_are_translated_back_to_set_1(void **state)
{
    (void)state;
    ready(0x61);
    for (uint8_t code = 1; code <= 0x58; code++) {
        if (code == 0x55)
            continue; /* no key of that code */
        key(code, true);
        assert_int_equal(next(), code);
        key(code, false);
        assert_int_equal(next(), code | 0x80);
    }
    key(0xe048, true);
    assert_int_equal(next(), 0xe0);
    assert_int_equal(next(), 0x48);
    key(0xe048, false);
    assert_int_equal(next(), 0xe0);
    assert_int_equal(next(), 0xc8);
    nothing_more();
}

static void expect_bytes(const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(next(), bytes[i]);
    nothing_more();
}

#define EXPECT(...) expect_bytes((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void set_2_comes_through_untranslated(void **state)
{
    (void)state;
    ready(0x21);
    key(0x1e, true);
    EXPECT(0x1c);
    key(0x1e, false);
    EXPECT(0xf0, 0x1c);
    key(0x41, true); /* F7 is the one above 7Fh */
    EXPECT(0x83);
    key(0xe01d, true);
    EXPECT(0xe0, 0x14);
    key(0xe01d, false);
    EXPECT(0xe0, 0xf0, 0x14);
    key(0xe11d, true);
    EXPECT(0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
    key(0xe11d, false);
    nothing_more();
    key(0xe037, true);
    EXPECT(0xe0, 0x12, 0xe0, 0x7c);
    key(0xe037, false);
    EXPECT(0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12);
    key(0x1d, true);
    EXPECT(0x14);
    key(0xe11d, true); /* Ctrl and Pause: Break */
    EXPECT(0xe0, 0x7e, 0xe0, 0xf0, 0x7e);
}

static void pause_and_print_screen_translated(void **state)
{
    (void)state;
    ready(0x61);
    key(0xe11d, true);
    EXPECT(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    key(0xe037, true);
    EXPECT(0xe0, 0x2a, 0xe0, 0x37);
    key(0xe037, false);
    EXPECT(0xe0, 0xb7, 0xe0, 0xaa);
}

static void scan_code_set_1_can_be_chosen(void **state)
{
    (void)state;
    ready(0x21);
    out(&bench, DATA, 0xf0);
    EXPECT(0xfa);
    out(&bench, DATA, 0x00);
    EXPECT(0xfa, 0x02);
    out(&bench, DATA, 0xf0);
    EXPECT(0xfa);
    out(&bench, DATA, 0x01);
    EXPECT(0xfa);
    key(0x1e, true);
    key(0x1e, false);
    EXPECT(0x1e, 0x9e);
    out(&bench, DATA, 0xf0);
    EXPECT(0xfa);
    out(&bench, DATA, 0x03); /* it has none */
    EXPECT(0xfe);
}

static void keyboard_commands(void **state)
{
    (void)state;
    ready(0x61);
    out(&bench, DATA, 0xed);
    EXPECT(0xfa);
    out(&bench, DATA, 0x07);
    EXPECT(0xfa);
    out(&bench, DATA, 0xee);
    EXPECT(0xee);
    out(&bench, DATA, 0xf2);
    EXPECT(0xfa, 0xab, 0x41); /* 83h, translated */
    out(&bench, DATA, 0xf3);
    EXPECT(0xfa);
    out(&bench, DATA, 0x00);
    EXPECT(0xfa);
    out(&bench, DATA, 0xee);
    next();
    out(&bench, DATA, 0xfe);
    EXPECT(0xee);
    out(&bench, DATA, 0x05); /* no command */
    EXPECT(0xfe);
    out(&bench, DATA, 0xf5);
    EXPECT(0xfa);
    key(0x1e, true);
    nothing_more();
    out(&bench, DATA, 0xf4);
    EXPECT(0xfa);
    key(0x1e, true);
    EXPECT(0x1e);
}

static void a_byte_read_twice_is_the_same(void **state)
{
    (void)state;
    ready(0x61);
    key(0x1e, true);
    key(0x1e, false);
    assert_int_equal(in(&bench, DATA), 0x1e);
    assert_int_equal(in(&bench, DATA), 0x1e);
    assert_false(bench.probe.level);
    bench_pass(&bench, 2 * MILLISECONDS);
    assert_true(bench.probe.level);
    assert_int_equal(in(&bench, DATA), 0x9e);
}

static void sixteen_bytes_wait_and_the_rest_is_lost(void **state)
{
    (void)state;
    ready(0x61);
    for (unsigned i = 0; i < 100; i++)
        key(0x02, true);
    unsigned count = 0;
    uint8_t byte = 0;
    while (bench_pass(&bench, 2 * MILLISECONDS), in(&bench, STATUS) & FULL) {
        byte = in(&bench, DATA);
        count++;
    }
    assert_int_equal(count, 1 + 16); /* one in the controller */
    assert_int_equal(byte, 0xff);    /* 00h of set 2, translated: overrun */
    key(0x02, true);
    EXPECT(0x02);
}

static void a_disabled_keyboard_waits(void **state)
{
    (void)state;
    ready(0x61);
    command(0xad);
    key(0x1e, true);
    nothing_more();
    command(0xae);
    EXPECT(0x1e);
}

static void interrupts_follow_the_command_byte(void **state)
{
    (void)state;
    ready(0x60);
    bench.probe.rises = 0;
    key(0x1e, true);
    assert_int_equal(bench.probe.rises, 0);
    control(0x61);
    assert_true(bench.probe.level);
    next();
    command(0x20);
    assert_int_equal(next(), 0x61);
}

static void the_auxiliary_port(void **state)
{
    (void)state;
    control(0x47);
    command(0xa9);
    assert_int_equal(next(), 0x00);
    command(0xd3); /* a loop through the controller */
    out(&bench, DATA, 0xa5);
    assert_int_equal(in(&bench, STATUS) & (FULL | AUXILIARY), FULL | AUXILIARY);
    assert_true(mouse.level);
    assert_int_equal(next(), 0xa5);
    assert_false(mouse.level);
    command(0xa7);
    command(0x20);
    assert_int_equal(next() & 0x20, 0x20);
    command(0xa8);
    command(0x20);
    assert_int_equal(next() & 0x20, 0x00);
}

/* ---- the mouse */

static void to_mouse(uint8_t byte)
{
    command(0xd4);
    out(&bench, DATA, byte);
}

#define MOUSE(byte, ...) (to_mouse(byte), EXPECT(__VA_ARGS__))

static void move(int x, int y, int wheel, unsigned buttons)
{
    keyboard.pointer(keyboard.device, &(struct pointer_event){false, x, y, wheel, buttons});
}

static void rate(uint8_t samples)
{
    MOUSE(0xf3, 0xfa);
    MOUSE(samples, 0xfa);
}

static void mouse_commands(void **state)
{
    (void)state;
    control(0x47);
    MOUSE(0xff, 0xfa, 0xaa, 0x00);
    MOUSE(0xf2, 0xfa, 0x00);
    MOUSE(0xe9, 0xfa, 0x00, 0x02, 100);
    MOUSE(0xe8, 0xfa);
    MOUSE(0x03, 0xfa);
    MOUSE(0xe7, 0xfa);
    rate(40);
    MOUSE(0xf4, 0xfa);
    MOUSE(0xe9, 0xfa, 0x30, 0x03, 40);
    MOUSE(0xf0, 0xfa);
    MOUSE(0xe9, 0xfa, 0x70, 0x03, 40);
    MOUSE(0xf6, 0xfa);
    MOUSE(0xe9, 0xfa, 0x00, 0x02, 100);
    MOUSE(0x17, 0xfe); /* no command */
    MOUSE(0xee, 0xfa);
    MOUSE(0xf2, 0xf2); /* wraps */
    MOUSE(0xec, 0xfa);
    MOUSE(0xf2, 0xfa, 0x00);
    MOUSE(0xfe, 0x00); /* once more */
}

static void mouse_reports_movements(void **state)
{
    (void)state;
    control(0x47);
    move(5, 5, 0, 0);
    nothing_more(); /* not asked for yet */
    MOUSE(0xf4, 0xfa);
    move(3, 7, 0, 0);
    assert_true(mouse.level);
    EXPECT(0x28, 3, (uint8_t)-7); /* upwards is positive */
    move(-1, -2, 0, BUTTON_LEFT);
    EXPECT(0x19, 0xff, 2);
    move(0, 0, 0, BUTTON_RIGHT | BUTTON_MIDDLE);
    EXPECT(0x0e, 0, 0);
    move(0, 0, 0, BUTTON_RIGHT | BUTTON_MIDDLE);
    nothing_more();
    move(0, 0, 1, BUTTON_RIGHT | BUTTON_MIDDLE); /* there is no wheel yet */
    nothing_more();
    move(600, 0, 0, 0);
    EXPECT(0x08, 255, 0, 0x08, 255, 0, 0x08, 90, 0);
    move(1, 0, 0, 0), move(2, 0, 0, BUTTON_LEFT), move(4, 0, 0, BUTTON_LEFT), move(0, 0, 0, 0);
    EXPECT(0x08, 1, 0, 0x09, 6, 0, 0x08, 0, 0);
    MOUSE(0xf5, 0xfa);
    move(1, 1, 0, 0);
    nothing_more();
    assert_int_equal(bench.probe.rises, 0);
}

static void mouse_with_a_wheel(void **state)
{
    (void)state;
    control(0x47);
    rate(200), rate(100), rate(80);
    MOUSE(0xf2, 0xfa, 0x03);
    MOUSE(0xf4, 0xfa);
    move(0, 0, -1, 0);
    EXPECT(0x08, 0, 0, 0xff);
    move(1, 0, 2, BUTTON_SIDE);
    EXPECT(0x08, 1, 0, 2);
    rate(200), rate(200), rate(80);
    MOUSE(0xf2, 0xfa, 0x04);
    move(0, 0, -1, BUTTON_SIDE);
    EXPECT(0x08, 0, 0, 0x1f);
    move(0, 0, 0, BUTTON_EXTRA);
    EXPECT(0x08, 0, 0, 0x20);
    MOUSE(0xff, 0xfa, 0xaa, 0x00);
    MOUSE(0xf2, 0xfa, 0x00);
}

static void mouse_in_remote_mode_and_scaled(void **state)
{
    (void)state;
    control(0x47);
    MOUSE(0xf0, 0xfa);
    move(2, 0, 0, BUTTON_LEFT);
    nothing_more();
    MOUSE(0xeb, 0xfa, 0x09, 2, 0);
    MOUSE(0xeb, 0xfa, 0x09, 0, 0);
    MOUSE(0xea, 0xfa);
    MOUSE(0xf4, 0xfa);
    MOUSE(0xe7, 0xfa);
    static const uint8_t scaled[] = {0, 1, 1, 3, 6, 9, 12, 14};
    for (uint8_t steps = 1; steps < 8; steps++) {
        move(steps, 0, 0, BUTTON_LEFT);
        EXPECT(0x09, scaled[steps], 0);
    }
}

/* What hangs on the mouse's interrupt (the vmmouse port) makes it report. */
static void mouse_is_nudged(void **state)
{
    (void)state;
    control(0x47);
    ps2_mouse_report(ps2);
    nothing_more();
    MOUSE(0xf4, 0xfa);
    ps2_mouse_report(ps2);
    EXPECT(0x08, 0, 0);
}

static void mouse_forgets_no_click(void **state)
{
    (void)state;
    control(0x47);
    MOUSE(0xf4, 0xfa);
    for (unsigned i = 0; i < 7; i++)
        move(0, 0, 0, BUTTON_LEFT), move(0, 0, 0, 0);
    for (unsigned i = 0; i < 14; i++) {
        assert_int_equal(next(), i & 1 ? 0x08 : 0x09);
        assert_int_equal(next(), 0);
        assert_int_equal(next(), 0);
    }
    for (unsigned i = 0; i < 1000; i++) /* more than it holds: what comes out last is how things are */
        move(1, 1, 1, i & 0x1f);
    uint8_t buttons = 0;
    while (bench_pass(&bench, 2 * MILLISECONDS), in(&bench, STATUS) & FULL) {
        buttons = in(&bench, DATA) & 7;
        next(), next();
    }
    assert_int_equal(buttons, 999 & 7);
}

static void keys_and_movements_do_not_mix(void **state)
{
    (void)state;
    ready(0x47);
    MOUSE(0xf4, 0xfa);
    move(1, 0, 0, 0);
    key(0x1e, true);
    unsigned keys = 0, steps = 0;
    while (bench_pass(&bench, 2 * MILLISECONDS), in(&bench, STATUS) & FULL) {
        bool auxiliary = in(&bench, STATUS) & AUXILIARY;
        assert_int_equal(mouse.level, auxiliary);
        assert_int_equal(bench.probe.level, !auxiliary);
        uint8_t byte = in(&bench, DATA);
        if (auxiliary)
            steps++;
        else
            keys++, assert_int_equal(byte, 0x1e);
    }
    assert_int_equal(keys, 1);
    assert_int_equal(steps, 3);
}

static void keyboard_buffer_can_be_written(void **state)
{
    (void)state;
    control(0x01);
    command(0xd2);
    out(&bench, DATA, 0x77);
    assert_true(bench.probe.level);
    assert_int_equal(next(), 0x77);
}

static void output_port_resets_and_keeps_a20(void **state)
{
    (void)state;
    command(0xd0);
    assert_int_equal(next() & 0x03, 0x03);
    command(0xd1);
    out(&bench, DATA, 0xdd);
    assert_false(a20.level);
    command(0xd0);
    assert_int_equal(next() & 0x03, 0x01);
    command(0xdf);
    assert_true(a20.level);
    command(0xd0);
    assert_int_equal(next() & 0x03, 0x03);
    assert_int_equal(resets, 0);
    command(0xfe);
    assert_int_equal(resets, 1);
    command(0xff); /* pulses nothing */
    assert_int_equal(resets, 1);
    command(0xd1);
    out(&bench, DATA, 0x02);
    assert_int_equal(resets, 2);
}

static void ram_cells_read_back(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 0x20; i++) {
        command(0x60 + i);
        out(&bench, DATA, 0xa0 + i);
    }
    for (unsigned i = 1; i < 0x20; i++) {
        command(0x20 + i);
        assert_int_equal(next(), 0xa0 + i);
    }
}

static void every_key_is_survived(void **state)
{
    (void)state;
    ready(0x61);
    for (unsigned code = 0; code < 0x10000; code++) {
        key(code, code & 1);
        in(&bench, DATA);
        bench_pass(&bench, 2 * MILLISECONDS);
    }
}

static void anything_goes(void **state)
{
    (void)state;
    static const uint16_t ports[] = {0x60, 0x64, 0x60, 0x64, 0x5f, 0x63};
    bench_hammer(&bench, ports, sizeof(ports) / sizeof(ports[0]));
    assert_true(resets > 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(firmware_brings_it_up),
        TEST(keys_are_translated_back_to_set_1),
        TEST(set_2_comes_through_untranslated),
        TEST(pause_and_print_screen_translated),
        TEST(scan_code_set_1_can_be_chosen),
        TEST(keyboard_commands),
        TEST(a_byte_read_twice_is_the_same),
        TEST(sixteen_bytes_wait_and_the_rest_is_lost),
        TEST(a_disabled_keyboard_waits),
        TEST(interrupts_follow_the_command_byte),
        TEST(the_auxiliary_port),
        TEST(mouse_commands),
        TEST(mouse_reports_movements),
        TEST(mouse_with_a_wheel),
        TEST(mouse_in_remote_mode_and_scaled),
        TEST(mouse_is_nudged),
        TEST(mouse_forgets_no_click),
        TEST(keys_and_movements_do_not_mix),
        TEST(keyboard_buffer_can_be_written),
        TEST(output_port_resets_and_keeps_a20),
        TEST(ram_cells_read_back),
        TEST(every_key_is_survived),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("ps2", tests, NULL, NULL);
}
