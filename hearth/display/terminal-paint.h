/*
 * A grid of coloured characters and the bytes that bring a terminal from what it shows to what it should show.
 */
#ifndef DISPLAY_TERMINAL_PAINT_H
#define DISPLAY_TERMINAL_PAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "display/surface.h"

enum { PAINT_COLUMNS_MOST = 512, PAINT_ROWS_MOST = 256 };

enum color_depth { COLORS_16, COLORS_256, COLORS_TRUE };

struct paint_cell {
    uint16_t code; /* Unicode */
    bool blink;
    uint32_t foreground, background; /* 00RRGGBBh */
};

struct painter {
    enum color_depth depth;
    bool utf8;
    unsigned columns, rows;
    struct paint_cell *wanted, *shown; /* columns * rows; filled in by the caller, kept by paint() */
    bool cursor_wanted;
    unsigned cursor_column, cursor_row;
    bool unknown; /* what the terminal shows: everything is sent */

    char *bytes; /* what paint() made */
    size_t count, size;

    unsigned scroll_column, scroll_row; /* of a text screen larger than the terminal */
    bool cursor_shown;
    unsigned cursor_shown_column, cursor_shown_row;
};

/* From TERM, COLORTERM and the locale's variables. False for a terminal that cannot place characters. */
bool painter_init(struct painter *painter);
void painter_free(struct painter *painter);
/* Also after the terminal has been cleared or was somebody else's. */
void painter_resize(struct painter *painter, unsigned columns, unsigned rows);

/* Fills in `wanted`: a text screen (the part around its cursor, if it is larger), a picture in half blocks, and over
 * its lowest row a line of text. */
void painter_text(struct painter *painter, const struct text_screen *screen);
void painter_picture(struct painter *painter, const struct surface *surface);
void painter_line(struct painter *painter, const char *text);

/* Puts the difference into bytes and count, which is 0 when there is none. */
void painter_paint(struct painter *painter);

#endif
