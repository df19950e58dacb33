#include "unit/unit.h"

#include <string.h>

#include "cpu/state.h"
#include "monitor/expression.h"
#include "monitor/line.h"

static char last_line[LINE_LENGTH];
static unsigned lines;

static void write_nowhere(void *opaque, const char *text, size_t length)
{
    (void)opaque;
    (void)text;
    (void)length;
}

static void entered(void *opaque, char *line)
{
    (void)opaque;
    strcpy(last_line, line);
    lines++;
}

static size_t complete(void *opaque, const char *line, const char *names[COMPLETIONS_MOST])
{
    static const char *const all[] = {"stop", "system_reset", "system_powerdown"};
    size_t count = 0;
    (void)opaque;
    for (size_t i = 0; i < 3; i++)
        if (!strncmp(all[i], line, strlen(line)))
            names[count++] = all[i];
    return count;
}

static struct line_editor *editor;

static void type(const char *text)
{
    line_feed(editor, (const uint8_t *)text, strlen(text));
}

static int setup(void **state)
{
    (void)state;
    editor = line_create("> ", &(struct line_owner){NULL, write_nowhere, entered, complete});
    lines = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    line_destroy(editor);
    return 0;
}

static void editing_keys(void **state)
{
    (void)state;
    type("info cpux\b\x7fus\r");
    assert_string_equal(last_line, "info cpus");
    type("ello\001h\005!\r\n"); /* Ctrl-A, Ctrl-E; CR LF is one end */
    assert_string_equal(last_line, "hello!");
    assert_int_equal(lines, 2);
    type("abcd\033[D\033[D\033[3~X\r"); /* left, left, Delete */
    assert_string_equal(last_line, "abXd");
    type("one two three\027four\r"); /* Ctrl-W */
    assert_string_equal(last_line, "one two four");
    type("gone\025kept\r"); /* Ctrl-U */
    assert_string_equal(last_line, "kept");
    type("abc\002\002\013\r"); /* Ctrl-B twice, Ctrl-K */
    assert_string_equal(last_line, "a");
}

static void history(void **state)
{
    (void)state;
    type("first\rsecond\r\033[A\033[A\r");
    assert_string_equal(last_line, "first");
    type("\033[A\033[A\033[B!\r");
    assert_string_equal(last_line, "first!");
    for (int i = 0; i < 3 * HISTORY_LINES; i++)
        type(i % 2 ? "x\r" : "y\r");
    type("\033[A\r");
    assert_string_equal(last_line, "x");
}

static void completion(void **state)
{
    (void)state;
    type("st\t\r");
    assert_string_equal(last_line, "stop ");
    type("sy\tp\t\r");
    assert_string_equal(last_line, "system_powerdown ");
}

static void hostile_input_is_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++)
        type("a");
    uint8_t zeros[100] = {0};
    line_feed(editor, zeros, sizeof(zeros));
    type("\033[99999999999999999999~\033[1;2;3;4;5R\033O\033");
    type("[\r\r");
    assert_true(strlen(last_line) < LINE_LENGTH);
}

static void expressions(void **state)
{
    (void)state;
    struct cpu_state cpu = {.rip = 0x7c00, .gpr[RSP] = 0x100};
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0x10", 16},     {"2+3*4", 14}, {"(2+3)*4", 20}, {"-1", UINT64_MAX}, {"$eip + 0x10", 0x7c10},
                {"$esp/2", 0x80}, {"7%4|8", 11}, {"16 / 4", 4},   {"(16 /4)", 4},     {"~0", UINT64_MAX}};
    static const char *const bad[] = {
        "", "$nosuch", "1/0", "(1", "+", "((((((((((((((((((((((((((((((((((((((((((((((((((((((1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *text = good[i].text, *error;
        uint64_t value;
        assert_true(expression_parse(&text, &cpu, &value, &error));
        assert_int_equal(value, good[i].value);
        assert_string_equal(text, "");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *text = bad[i], *error = NULL;
        uint64_t value;
        assert_false(expression_parse(&text, &cpu, &value, &error));
        assert_non_null(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(editing_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(history, setup, teardown),
        cmocka_unit_test_setup_teardown(completion, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_input_is_bounded, setup, teardown),
        cmocka_unit_test(expressions),
    };
    return cmocka_run_group_tests_name("monitor line", tests, NULL, NULL);
}
