/*
 * What a display adapter shows, for those who look: the terminal, screendump, VNC. Nothing is drawn or copied until
 * somebody asks. Machine lock held.
 */
#ifndef DISPLAY_SURFACE_H
#define DISPLAY_SURFACE_H

#include <stdbool.h>
#include <stdint.h>

enum { TEXT_COLUMNS_MOST = 132, TEXT_ROWS_MOST = 60 };

/* A text screen: code page 437 characters with VGA attributes (bits 0-3 foreground, 4-6 background, 7 blink or
 * bright background as `blink` says). */
struct text_screen {
    unsigned columns, rows;
    uint8_t character[TEXT_ROWS_MOST][TEXT_COLUMNS_MOST];
    uint8_t attribute[TEXT_ROWS_MOST][TEXT_COLUMNS_MOST];
    bool blink;
    bool cursor_shown;
    unsigned cursor_column, cursor_row; /* may lie outside the screen: then it is not shown */
    uint32_t palette[16];               /* 00RRGGBBh for each attribute colour */
};

/* A picture: 00RRGGBBh, rows of `width` pixels without gaps. */
struct surface {
    unsigned width, height;
    uint32_t *pixels; /* owned by whoever holds the surface; surface_resize() (re)allocates */
};

void surface_resize(struct surface *surface, unsigned width, unsigned height);
void surface_free(struct surface *surface);

struct rectangle {
    unsigned left, top, right, bottom; /* right and bottom are the first ones outside */
};

/* What is new in a picture since one last looked. */
enum { CHANGES_MOST = 16 };
struct changes {
    bool resized;   /* it has another size: all is new */
    unsigned count; /* 0: nothing is new */
    struct rectangle at[CHANGES_MOST];
};

/* Adds it, joined with another one if there are CHANGES_MOST. */
void changes_add(struct changes *changes, const struct rectangle *rectangle);

/* The adapter's memory of what somebody has seen, who looks again and again. */
struct display_view;

struct display_source {
    void *device;
    /* Fills *screen; false in a graphics mode (then only a view tells what is shown). */
    bool (*text)(void *device, struct text_screen *screen);
    struct display_view *(*view_open)(void *device);
    /* Draws what has changed, as a monitor would show it, and lists it; all of it the first time. The picture is the
     * view's and stays as it is until the next look. */
    const struct surface *(*view_look)(struct display_view *view, struct changes *changes);
    void (*view_close)(struct display_view *view);
};

/* For who looks once: the whole picture, resizing *surface to it. */
void surface_take(const struct display_source *source, struct surface *surface);

#endif
