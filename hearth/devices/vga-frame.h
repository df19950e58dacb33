/* One pass over the screen, line by line, as the CRT controller makes it: between vga-render.c and vga-view.c. */
#ifndef DEVICES_VGA_FRAME_H
#define DEVICES_VGA_FRAME_H

#include "devices/vga-state.h"

enum { DOTS_MOST = 258 * 9 * 2 }; /* a column more than is shown, for panning */

enum frame_kind { FRAME_BLANK, FRAME_TEXT, FRAME_GRAPHICS, FRAME_LINEAR };

/* What stays the same through a frame, and where the CRT controller is in it. */
struct frame {
    const struct vga *vga;
    enum frame_kind kind;
    unsigned width, height, line;
    uint32_t colors[256]; /* of DAC indices */

    /* All but FRAME_LINEAR. */
    unsigned columns, character_dots, dot_width; /* dot_width 2: the dot clock is halved */
    unsigned counter, row_scan, panning, slow;   /* a character clock is 2^slow columns */
    unsigned cursor_location;
    bool cursor_on, blink_on;
    bool blinks;            /* some character drawn so far blinks */
    uint8_t palette[16];    /* attribute -> DAC index */
    uint8_t dot[DOTS_MOST]; /* DAC indices of one scan line */
    unsigned dots;
};

void vga_frame_begin(struct frame *frame, const struct vga *vga);
/* Draws the line that the frame is at: `width` pixels. */
void vga_frame_line(struct frame *frame, uint32_t *pixels);
void vga_frame_next(struct frame *frame);
/* Whether the line reads a page of picture memory whose bit is set. */
bool vga_frame_reads(const struct frame *frame, const uint64_t *pages);
/* Whether the line has the character at this address of the CRT controller's. */
bool vga_frame_shows(const struct frame *frame, unsigned location);

#endif
