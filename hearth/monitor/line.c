#include "monitor/line.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum key {
    CTRL_A = 1,
    CTRL_B = 2,
    CTRL_D = 4,
    CTRL_E = 5,
    CTRL_F = 6,
    BACKSPACE = 8,
    TAB = 9,
    NEWLINE = 10,
    CTRL_K = 11,
    CTRL_L = 12,
    RETURN = 13,
    CTRL_N = 14,
    CTRL_P = 16,
    CTRL_U = 21,
    CTRL_W = 23,
    ESCAPE = 27,
    DELETE = 127,
};

struct line_editor {
    const char *prompt;
    struct line_owner owner;
    char text[LINE_LENGTH];
    size_t length, cursor;
    char *history[HISTORY_LINES]; /* oldest first */
    size_t remembered, recalled;  /* recalled == remembered: the line being typed */
    enum { PLAIN, AFTER_ESCAPE, IN_SEQUENCE } state;
    unsigned parameter; /* of the escape sequence */
    int last;           /* the byte before, to take CR LF for one */
};

struct line_editor *line_create(const char *prompt, const struct line_owner *owner)
{
    struct line_editor *editor = allocate(sizeof(*editor));
    editor->prompt = prompt;
    editor->owner = *owner;
    return editor;
}

void line_destroy(struct line_editor *editor)
{
    for (size_t i = 0; i < editor->remembered; i++)
        free(editor->history[i]);
    free(editor);
}

static void put(struct line_editor *editor, const char *text, size_t length)
{
    editor->owner.write(editor->owner.opaque, text, length);
}

void line_show(struct line_editor *editor)
{
    char back[32];
    put(editor, "\r", 1);
    put(editor, editor->prompt, strlen(editor->prompt));
    put(editor, editor->text, editor->length);
    put(editor, "\033[K", 3);
    if (editor->cursor < editor->length)
        put(editor, back, (size_t)snprintf(back, sizeof(back), "\033[%zuD", editor->length - editor->cursor));
}

void line_clear(struct line_editor *editor)
{
    editor->length = editor->cursor = 0;
    editor->text[0] = '\0';
    editor->state = PLAIN;
    editor->recalled = editor->remembered;
}

static void insert(struct line_editor *editor, const char *text, size_t count)
{
    if (editor->length + count >= LINE_LENGTH)
        return;
    memmove(&editor->text[editor->cursor + count], &editor->text[editor->cursor],
            editor->length - editor->cursor + 1);
    memcpy(&editor->text[editor->cursor], text, count);
    editor->length += count;
    editor->cursor += count;
    if (editor->cursor == editor->length)
        put(editor, text, count); /* the common case needs no redrawing */
    else
        line_show(editor);
}

/* Takes out [from, to) and leaves the cursor at `from`. */
static void erase(struct line_editor *editor, size_t from, size_t to)
{
    memmove(&editor->text[from], &editor->text[to], editor->length - to + 1);
    editor->length -= to - from;
    editor->cursor = from;
    line_show(editor);
}

static void move(struct line_editor *editor, size_t to)
{
    editor->cursor = to;
    line_show(editor);
}

static void recall(struct line_editor *editor, size_t which)
{
    const char *text = which < editor->remembered ? editor->history[which] : "";
    editor->recalled = which;
    editor->length = editor->cursor = strlen(text);
    memcpy(editor->text, text, editor->length + 1);
    line_show(editor);
}

static void remember(struct line_editor *editor)
{
    if (!editor->length)
        return;
    if (editor->remembered && !strcmp(editor->history[editor->remembered - 1], editor->text))
        return;
    if (editor->remembered == HISTORY_LINES) {
        free(editor->history[0]);
        memmove(&editor->history[0], &editor->history[1], (HISTORY_LINES - 1) * sizeof(editor->history[0]));
        editor->remembered--;
    }
    char *copy = allocate(editor->length + 1);
    memcpy(copy, editor->text, editor->length + 1);
    editor->history[editor->remembered++] = copy;
}

static void enter(struct line_editor *editor)
{
    char line[LINE_LENGTH];
    put(editor, "\r\n", 2);
    remember(editor);
    memcpy(line, editor->text, editor->length + 1);
    line_clear(editor);
    editor->owner.entered(editor->owner.opaque, line);
}

/* How many characters all names begin with in common. */
static size_t common_prefix(const char *const names[], size_t count)
{
    size_t length = strlen(names[0]);
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < length; j++)
            if (names[i][j] != names[0][j])
                length = j;
    return length;
}

static void complete(struct line_editor *editor)
{
    const char *names[COMPLETIONS_MOST];
    if (editor->cursor != editor->length)
        return;
    const char *space = strrchr(editor->text, ' ');
    size_t typed = editor->length - (space ? (size_t)(space + 1 - editor->text) : 0);
    size_t count = editor->owner.complete(editor->owner.opaque, editor->text, names);
    if (!count)
        return;
    size_t common = common_prefix(names, count);
    if (common > typed)
        insert(editor, names[0] + typed, common - typed);
    if (count == 1) {
        insert(editor, " ", 1);
        return;
    }
    if (common > typed)
        return;
    put(editor, "\r\n", 2);
    for (size_t i = 0; i < count; i++) {
        put(editor, names[i], strlen(names[i]));
        put(editor, "  ", 2);
    }
    put(editor, "\r\n", 2);
    line_show(editor);
}

static size_t word_start(const struct line_editor *editor)
{
    size_t at = editor->cursor;
    while (at && editor->text[at - 1] == ' ')
        at--;
    while (at && editor->text[at - 1] != ' ')
        at--;
    return at;
}

/* The last byte of an ESC [ sequence. */
static void sequence_end(struct line_editor *editor, int final)
{
    if (final == 'A' && editor->recalled)
        recall(editor, editor->recalled - 1);
    else if (final == 'B' && editor->recalled < editor->remembered)
        recall(editor, editor->recalled + 1);
    else if (final == 'C' && editor->cursor < editor->length)
        move(editor, editor->cursor + 1);
    else if (final == 'D' && editor->cursor)
        move(editor, editor->cursor - 1);
    else if (final == 'H' || (final == '~' && (editor->parameter == 1 || editor->parameter == 7)))
        move(editor, 0);
    else if (final == 'F' || (final == '~' && (editor->parameter == 4 || editor->parameter == 8)))
        move(editor, editor->length);
    else if (final == '~' && editor->parameter == 3 && editor->cursor < editor->length)
        erase(editor, editor->cursor, editor->cursor + 1);
}

static void control(struct line_editor *editor, int byte)
{
    switch (byte) {
    case CTRL_A: move(editor, 0); break;
    case CTRL_E: move(editor, editor->length); break;
    case CTRL_B: sequence_end(editor, 'D'); break;
    case CTRL_F: sequence_end(editor, 'C'); break;
    case CTRL_P: sequence_end(editor, 'A'); break;
    case CTRL_N: sequence_end(editor, 'B'); break;
    case CTRL_K:
        erase(editor, editor->cursor, editor->length);
        editor->cursor = editor->length;
        break;
    case CTRL_U: erase(editor, 0, editor->cursor); break;
    case CTRL_W: erase(editor, word_start(editor), editor->cursor); break;
    case CTRL_L:
        put(editor, "\033[H\033[2J", 7);
        line_show(editor);
        break;
    case CTRL_D:
        if (editor->cursor < editor->length)
            erase(editor, editor->cursor, editor->cursor + 1);
        break;
    case BACKSPACE:
    case DELETE:
        if (editor->cursor)
            erase(editor, editor->cursor - 1, editor->cursor);
        break;
    case TAB: complete(editor); break;
    case ESCAPE: editor->state = AFTER_ESCAPE; break;
    case NEWLINE:
        if (editor->last != RETURN)
            enter(editor);
        break;
    case RETURN: enter(editor); break;
    default: break;
    }
}

static void byte_take(struct line_editor *editor, int byte)
{
    if (editor->state == AFTER_ESCAPE) {
        editor->state = byte == '[' || byte == 'O' ? IN_SEQUENCE : PLAIN;
        editor->parameter = 0;
    } else if (editor->state == IN_SEQUENCE) {
        if (byte >= '0' && byte <= '9') {
            editor->parameter = editor->parameter % 1000 * 10 + (unsigned)(byte - '0');
        } else if (byte >= 0x40) {
            editor->state = PLAIN;
            sequence_end(editor, byte);
        }
    } else if (byte < ' ' || byte == DELETE) {
        control(editor, byte);
    } else {
        insert(editor, &(char){(char)byte}, 1);
    }
    editor->last = byte;
}

void line_feed(struct line_editor *editor, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        byte_take(editor, bytes[i]);
}

void line_print_history(const struct line_editor *editor, FILE *out)
{
    for (size_t i = 0; i < editor->remembered; i++)
        fprintf(out, "%zu: '%s'\n", i, editor->history[i]);
}
