/*
 * A line editor on a byte stream: cursor keys, Home/End, Ctrl-A/E/K/U/W/L, Backspace and Delete, history with up and
 * down, completion with Tab. It draws by carriage return, the prompt and ECMA-48's "erase to end of line".
 */
#ifndef MONITOR_LINE_H
#define MONITOR_LINE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { LINE_LENGTH = 4096, HISTORY_LINES = 100, COMPLETIONS_MOST = 64 };

struct line_owner {
    void *opaque;
    void (*write)(void *opaque, const char *text, size_t length);
    void (*entered)(void *opaque, char *line); /* may change the text */
    /* Fills names with those that complete the first `length` bytes of the line's last word; answers how many. */
    size_t (*complete)(void *opaque, const char *line, const char *names[COMPLETIONS_MOST]);
};

struct line_editor;

struct line_editor *line_create(const char *prompt, const struct line_owner *owner);
void line_destroy(struct line_editor *editor);
void line_feed(struct line_editor *editor, const uint8_t *bytes, size_t count);
/* Draws the prompt and what has been typed so far. */
void line_show(struct line_editor *editor);
/* Drops what has been typed (a new connection). */
void line_clear(struct line_editor *editor);
void line_print_history(const struct line_editor *editor, FILE *out);

#endif
