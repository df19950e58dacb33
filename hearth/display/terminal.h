/*
 * The guest's screen and keyboard in the terminal that hearth was started from.
 */
#ifndef DISPLAY_TERMINAL_H
#define DISPLAY_TERMINAL_H

#include "core/input.h"
#include "display/surface.h"
#include "host/loop.h"
#include "host/terminal.h"

struct terminal_display;

/*
 * Takes the terminal as one of its clients (host/terminal.h): while it has the focus it shows `source` on the alternate
 * screen and turns what is typed into key presses on `input`. All four outlive it. NULL with one line in error when
 * standard input or output is no terminal.
 */
struct terminal_display *terminal_display_create(struct terminal *terminal, struct loop *loop,
                                                 const struct display_source *source,
                                                 const struct input_sink *input, char *error,
                                                 unsigned long error_size);
void terminal_display_destroy(struct terminal_display *display);

/* A line on the lowest row for a few seconds ("paused"). */
void terminal_display_say(struct terminal_display *display, const char *text);

#endif
