/*
 * Escape sequences to keys, and screens to escape sequences. The sequences are xterm's, rxvt's and the Linux console's,
 * as their manuals list them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "display/codepage.h"
#include "display/terminal-keys.h"
#include "display/terminal-paint.h"

/* ---- keys */

struct heard {
    unsigned count;
    struct key_press press[64];
};

static void pressed(void *opaque, const struct key_press *press)
{
    struct heard *heard = opaque;
    if (heard->count < 64)
        heard->press[heard->count++] = *press;
}

static struct heard hear(const char *text)
{
    struct heard heard = {0};
    struct terminal_keys keys = {.opaque = &heard, .pressed = pressed};
    terminal_keys_feed(&keys, (const uint8_t *)text, strlen(text));
    terminal_keys_settle(&keys);
    return heard;
}

static void test_sequences(void **state)
{
    (void)state;
    enum { S = MODIFIER_SHIFT, C = MODIFIER_CONTROL, A = MODIFIER_ALT };
    static const struct {
        const char *sent;
        uint16_t key;
        unsigned modifiers;
    } expected[] = {
        {"a", 0x1e, 0},
        {"A", 0x1e, S},
        {"\r", 0x1c, 0},
        {"\x7f", 0x0e, 0},
        {"\x03", 0x2e, C},
        {"\t", 0x0f, 0},
        {"\033", 0x01, 0},
        {"\033x", 0x2d, A},
        {"\033X", 0x2d, A | S},
        {"\033\x03", 0x2e, A | C},
        {"\033[A", 0xe048, 0},
        {"\033OA", 0xe048, 0},
        {"\033[B", 0xe050, 0},
        {"\033[C", 0xe04d, 0},
        {"\033[D", 0xe04b, 0},
        {"\033[H", 0xe047, 0},
        {"\033[F", 0xe04f, 0},
        {"\033[1~", 0xe047, 0},
        {"\033[2~", 0xe052, 0},
        {"\033[3~", 0xe053, 0},
        {"\033[4~", 0xe04f, 0},
        {"\033[5~", 0xe049, 0},
        {"\033[6~", 0xe051, 0},
        {"\033OP", 0x3b, 0},
        {"\033OS", 0x3e, 0},
        {"\033[11~", 0x3b, 0},
        {"\033[15~", 0x3f, 0},
        {"\033[17~", 0x40, 0},
        {"\033[21~", 0x44, 0},
        {"\033[23~", 0x57, 0},
        {"\033[24~", 0x58, 0},
        {"\033[[A", 0x3b, 0},
        {"\033[[E", 0x3f, 0},
        {"\033[1;2A", 0xe048, S},
        {"\033[1;5D", 0xe04b, C},
        {"\033[1;3P", 0x3b, A},
        {"\033[3;5~", 0xe053, C},
        {"\033[5^", 0xe049, C},
        {"\033[2$", 0xe052, S},
        {"\033[Z", 0x0f, S},
        {"\033\033[A", 0xe048, A},
        {"\033[", 0x1a, A},
        {"\033O", 0x18, A | S},
        {"\x1d", 0x1b, C},
    };
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct heard heard = hear(expected[i].sent);
        assert_int_equal(heard.count, 1);
        assert_int_equal(heard.press[0].key, expected[i].key);
        assert_int_equal(heard.press[0].modifiers, expected[i].modifiers);
    }
    assert_int_equal(hear("\xc3\xa4").count, 0);
    assert_int_equal(hear("\xe2\x82\xac").count, 0);
    assert_int_equal(hear("\xf0\x9f\x98\x80"
                          "b")
                         .count,
                     1);
    assert_int_equal(hear("\033\033").count, 2);
    assert_int_equal(hear("\033[99~").count, 0);
    assert_int_equal(hear("\033[1;2;3;4;5;6;7;8;9;0;1;2").count, 0);
}

/* Whatever is cut where: the same keys. */
static void test_pieces(void **state)
{
    (void)state;
    static const char text[] = "a\033[1;5D\033OPb\033[3~\033x\xc3\xa4"
                               "c";
    struct heard whole = hear(text), pieces = {0};
    struct terminal_keys keys = {.opaque = &pieces, .pressed = pressed};
    for (const char *at = text; *at; at++)
        terminal_keys_feed(&keys, (const uint8_t *)at, 1);
    assert_int_equal(whole.count, 7);
    assert_int_equal(pieces.count, whole.count);
    for (unsigned i = 0; i < whole.count; i++) {
        assert_int_equal(pieces.press[i].key, whole.press[i].key);
        assert_int_equal(pieces.press[i].modifiers, whole.press[i].modifiers);
    }
}

static void test_noise(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct terminal_keys keys = {.opaque = &heard, .pressed = pressed};
    srand(4);
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t byte = (uint8_t)(rand() % 3 ? rand() : "\033[O;1~"[rand() % 6]);
        terminal_keys_feed(&keys, &byte, 1);
        if (rand() % 64 == 0)
            terminal_keys_settle(&keys);
        heard.count = 0;
    }
}

/* ---- code page */

static void test_codepage(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        char ascii = codepage_ascii((uint8_t)i);
        assert_true(ascii >= ' ' && ascii < 0x7f);
        assert_true(codepage_unicode((uint8_t)i) >= ' ');
        if (i >= ' ' && i < 0x7f)
            assert_true(ascii == (char)i && codepage_unicode((uint8_t)i) == i);
    }
    assert_int_equal(codepage_unicode(0xc9), 0x2554); /* double corner */
    assert_int_equal(codepage_unicode(0xdb), 0x2588); /* full block */
    assert_int_equal(codepage_unicode(0xe1), 0x00df); /* sharp s */
    char bytes[3];
    assert_int_equal(utf8_encode(0x2554, bytes), 3);
    assert_memory_equal(bytes, "\xe2\x95\x94", 3);
    assert_int_equal(utf8_encode(0xdf, bytes), 2);
    assert_memory_equal(bytes, "\xc3\x9f", 2);
}

/* ---- painting */

static struct painter painter_for(const char *terminal, unsigned columns, unsigned rows)
{
    struct painter painter;
    setenv("TERM", terminal, 1);
    setenv("LC_ALL", "C", 1);
    unsetenv("COLORTERM");
    assert_true(painter_init(&painter));
    painter_resize(&painter, columns, rows);
    return painter;
}

static struct text_screen blank_screen(void)
{
    struct text_screen screen = {.columns = 80, .rows = 25, .palette = {[7] = 0xaaaaaa, [1] = 0x0000aa}};
    memset(screen.character, ' ', sizeof(screen.character));
    memset(screen.attribute, 7, sizeof(screen.attribute));
    return screen;
}

static const char *paint(struct painter *painter, const struct text_screen *screen)
{
    static char text[65536];
    painter_text(painter, screen);
    painter_paint(painter);
    assert_true(painter->count < sizeof(text));
    memcpy(text, painter->bytes, painter->count);
    text[painter->count] = 0;
    return text;
}

static void test_only_changes_are_sent(void **state)
{
    (void)state;
    struct painter painter = painter_for("xterm", 80, 25);
    struct text_screen screen = blank_screen();
    paint(&painter, &screen);
    assert_string_equal(paint(&painter, &screen), "");
    memcpy(&screen.character[3][10], "abc", 3);
    assert_string_equal(paint(&painter, &screen), "\033[4;11H\033[0;37;40mabc");
    screen.attribute[3][11] = 0x17;
    screen.character[20][79] = 'z';
    assert_string_equal(paint(&painter, &screen), "\033[4;12H\033[0;37;44mb\033[21;80H\033[0;37;40mz");
    screen.attribute[24][0] = 0x01; /* blue ink on a blank is no change */
    assert_string_equal(paint(&painter, &screen), "");
    screen.cursor_shown = true;
    screen.cursor_row = 3;
    screen.cursor_column = 13;
    assert_string_equal(paint(&painter, &screen), "\033[4;14H\033[?25h");
    screen.cursor_column = 14;
    assert_string_equal(paint(&painter, &screen), "\033[?25l\033[4;15H\033[?25h");
    screen.cursor_row = 25; /* outside: not shown */
    assert_string_equal(paint(&painter, &screen), "\033[?25l");
    painter_free(&painter);
}

static void test_colors(void **state)
{
    (void)state;
    struct text_screen screen = blank_screen();
    screen.character[0][0] = 'x';
    screen.attribute[0][0] = 0x97;
    screen.palette[9] = 0x5555ff;
    struct painter painter = painter_for("xterm-256color", 1, 1);
    assert_non_null(strstr(paint(&painter, &screen), "\033[0;38;5;248;48;5;63mx"));
    painter_free(&painter);
    painter = painter_for("linux", 1, 1);
    assert_non_null(strstr(paint(&painter, &screen), "\033[0;37;104mx"));
    screen.blink = true;
    assert_non_null(strstr(paint(&painter, &screen), "\033[0;5;37;44mx"));
    painter_free(&painter);
    painter = painter_for("xterm-direct", 1, 1);
    screen.blink = false;
    assert_non_null(strstr(paint(&painter, &screen), "\033[0;38;2;170;170;170;48;2;85;85;255mx"));
    painter_free(&painter);
    setenv("TERM", "dumb", 1);
    assert_false(painter_init(&painter));
}

/* A terminal of 40x10 shows the part around the cursor and moves no further than it must. */
static void test_small_terminal(void **state)
{
    (void)state;
    struct painter painter = painter_for("linux", 40, 10);
    struct text_screen screen = blank_screen();
    screen.cursor_shown = true;
    static const struct {
        unsigned row, column, scroll_row, scroll_column;
    } steps[] = {
        {0, 0, 0, 0},     {9, 39, 0, 0},    {10, 40, 1, 1}, {24, 79, 15, 40},
        {20, 60, 15, 40}, {14, 39, 14, 39}, {0, 0, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        screen.cursor_row = steps[i].row;
        screen.cursor_column = steps[i].column;
        paint(&painter, &screen);
        assert_int_equal(painter.scroll_row, steps[i].scroll_row);
        assert_int_equal(painter.scroll_column, steps[i].scroll_column);
        assert_int_equal(painter.cursor_row, steps[i].row - steps[i].scroll_row);
        assert_int_equal(painter.cursor_column, steps[i].column - steps[i].scroll_column);
    }
    painter_free(&painter);
}

static void test_pictures_of_any_size(void **state)
{
    (void)state;
    static const unsigned sizes[][2] = {{1, 1}, {8, 1}, {1, 768}, {640, 480}, {16000, 262}, {320, 200}};
    static const unsigned terminals[][2] = {{1, 1}, {80, 25}, {40, 10}, {512, 256}, {3, 90}};
    for (unsigned i = 0; i < 6; i++)
        for (unsigned j = 0; j < 5; j++) {
            struct surface surface = {0};
            struct painter painter = painter_for("xterm", terminals[j][0], terminals[j][1]);
            surface_resize(&surface, sizes[i][0], sizes[i][1]);
            for (unsigned k = 0; k < sizes[i][0] * sizes[i][1]; k++)
                surface.pixels[k] = 0x102030;
            painter_picture(&painter, &surface);
            assert_int_equal(painter.wanted[0].foreground, 0x102030);
            painter_line(&painter, "a line that is longer than some of these terminals are wide");
            painter_paint(&painter);
            painter_free(&painter);
            surface_free(&surface);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_codepage),
        cmocka_unit_test(test_only_changes_are_sent),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_small_terminal),
        cmocka_unit_test(test_pictures_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
