/* shell.c: reads a line, with editing and history, and runs the command that it begins with */
#include "asm.h"
#include "console.h"
#include "lib.h"
#include "power.h"
#include "shell.h"

#define LINE_SIZE       128
#define HISTORY         16
#define CONTROL(letter) ((letter) - 'A' + 1)

PRIVATE const char prompt[] = "spark> ";

PRIVATE struct {
    char text[LINE_SIZE];
    int length, cursor;
    char history[HISTORY][LINE_SIZE];
    int history_count; /* lines ever entered */
    int history_at;    /* the one shown; history_count: the new one */
} line;

PRIVATE int wait_key(void)
{
    for (;;) {
        power_button_check();
        interrupts_off();
        int key = console_get_key();
        if (key >= 0) {
            interrupts_restore(read_eflags() | 0x200);
            return key;
        }
        __asm__ volatile("sti; hlt"); /* STI takes effect behind HLT: no interrupt is lost in between */
    }
}

PRIVATE void put_times(char c, int times)
{
    while (times-- > 0)
        console_put(c);
}

/* Writes the text from the cursor on, `gone` blanks over what was longer before, and goes back to the cursor. */
PRIVATE void redraw_tail(int gone)
{
    for (int i = line.cursor; i < line.length; i++)
        console_put(line.text[i]);
    put_times(' ', gone);
    put_times('\b', line.length - line.cursor + gone);
}

PRIVATE void insert(char c)
{
    if (line.length == LINE_SIZE - 1)
        return;
    for (int i = line.length++; i > line.cursor; i--)
        line.text[i] = line.text[i - 1];
    line.text[line.cursor++] = c;
    console_put(c);
    redraw_tail(0);
}

PRIVATE void erase_at_cursor(void)
{
    if (line.cursor == line.length)
        return;
    line.length--;
    for (int i = line.cursor; i < line.length; i++)
        line.text[i] = line.text[i + 1];
    redraw_tail(1);
}

PRIVATE void move_to(int cursor)
{
    if (cursor < 0 || cursor > line.length)
        return;
    if (cursor < line.cursor)
        put_times('\b', line.cursor - cursor);
    for (; line.cursor < cursor; line.cursor++)
        console_put(line.text[line.cursor]);
    line.cursor = cursor;
}

PRIVATE void replace(const char *text)
{
    move_to(0);
    int old = line.length;
    line.length = text_length(text);
    memcpy(line.text, (void *)text, line.length);
    redraw_tail(old > line.length ? old - line.length : 0);
    move_to(line.length);
}

PRIVATE void history_show(int at)
{
    if (at < 0 || at > line.history_count || line.history_count - at > HISTORY)
        return;
    line.history_at = at;
    replace(at == line.history_count ? "" : line.history[at % HISTORY]);
}

PRIVATE void history_add(void)
{
    if (!line.length)
        return;
    if (line.history_count && text_equal(line.history[(line.history_count - 1) % HISTORY], line.text))
        return;
    memcpy(line.history[line.history_count++ % HISTORY], line.text, LINE_SIZE);
}

PRIVATE void clear_screen(void)
{
    console_clear();
    kprintf(prompt);
    int cursor = line.cursor;
    line.cursor = 0;
    redraw_tail(0);
    move_to(cursor);
}

/* Completes the name of a command. */
PRIVATE void complete(void)
{
    const char *match = NULL;
    line.text[line.length] = 0;
    for (int i = 0; i < command_count; i++) {
        if (!text_begins(commands[i].name, line.text))
            continue;
        if (match)
            return; /* more than one */
        match = commands[i].name;
    }
    if (match) {
        replace(match);
        insert(' ');
    }
}

PRIVATE void edit(int key)
{
    switch (key) {
    case KEY_LEFT: move_to(line.cursor - 1); break;
    case KEY_RIGHT: move_to(line.cursor + 1); break;
    case KEY_HOME:
    case CONTROL('A'): move_to(0); break;
    case KEY_END:
    case CONTROL('E'): move_to(line.length); break;
    case KEY_UP:
    case CONTROL('P'): history_show(line.history_at - 1); break;
    case KEY_DOWN:
    case CONTROL('N'): history_show(line.history_at + 1); break;
    case '\b':
        if (line.cursor) {
            move_to(line.cursor - 1);
            erase_at_cursor();
        }
        break;
    case KEY_DELETE:
    case CONTROL('D'): erase_at_cursor(); break;
    case CONTROL('U'):
    case CONTROL('C'): replace(""); break;
    case CONTROL('L'): clear_screen(); break;
    case '\t': complete(); break;
    default:
        if (key >= ' ' && key < 127)
            insert(key);
    }
}

PRIVATE void read_line(void)
{
    line.length = line.cursor = 0;
    line.history_at = line.history_count;
    for (;;) {
        int key = wait_key();
        console_lock();
        if (key == '\n')
            break;
        edit(key);
        console_unlock();
    }
    move_to(line.length);
    console_put('\n');
    console_unlock();
    line.text[line.length] = 0;
    history_add();
}

/* Cuts the line at its blanks, in place. */
PRIVATE int split(char *text, char **words)
{
    int count = 0;
    while (count < ARGUMENTS_MAX) {
        while (*text == ' ')
            *text++ = 0;
        if (!*text)
            break;
        words[count++] = text;
        while (*text && *text != ' ')
            text++;
    }
    return count;
}

PRIVATE void run_line(void)
{
    char *words[ARGUMENTS_MAX];
    int count = split(line.text, words);
    if (!count)
        return;
    for (int i = 0; i < command_count; i++) {
        if (text_equal(commands[i].name, words[0])) {
            commands[i].run(count, words);
            return;
        }
    }
    kprintf("%s: no such command; `help` lists them\n", words[0]);
}

PUBLIC void shell_run(void)
{
    kprintf("Type `help` for what can be seen here.\n");
    console_log_stop();
    for (;;) {
        kprintf(prompt);
        read_line();
        run_line();
    }
}
