/*
 * Where the beam is: input status register 1 follows the clock, line by line, as the CRT controller's registers have
 * set up the frame. Leaves out: skews, and the difference between blanking and the border.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "CRT Controller" and "Input Status 1".
 */
#include "devices/vga-state.h"

enum {
    STATUS_DISPLAY_DISABLED = 1 << 0,
    STATUS_VERTICAL_RETRACE = 1 << 3,
};

enum { DOT_CLOCK_25 = 25175000, DOT_CLOCK_28 = 28322000 };

/* A vertical count: bits 0-7 in their register, 8 and 9 in the overflow register. */
static unsigned vertical(const struct vga *vga, unsigned index, unsigned bit_8, unsigned bit_9)
{
    unsigned overflow = vga->crtc[CRTC_OVERFLOW];
    return vga->crtc[index] | (overflow >> bit_8 & 1) << 8 | (overflow >> bit_9 & 1) << 9;
}

unsigned vga_display_columns(const struct vga *vga)
{
    return vga->crtc[CRTC_HORIZONTAL_DISPLAY_END] + 1u;
}

unsigned vga_display_lines(const struct vga *vga)
{
    return vertical(vga, CRTC_VERTICAL_DISPLAY_END, 1, 6) + 1;
}

unsigned vga_character_dots(const struct vga *vga)
{
    return vga->sequencer[SEQUENCER_CLOCKING_MODE] & CLOCKING_8_DOTS ? 8 : 9;
}

uint8_t vga_input_status_1(const struct vga *vga)
{
    uint64_t dot_clock = vga->misc_output & OUTPUT_CLOCK_28_MHZ ? DOT_CLOCK_28 : DOT_CLOCK_25;
    if (vga->sequencer[SEQUENCER_CLOCKING_MODE] & CLOCKING_DOT_CLOCK_HALVED)
        dot_clock /= 2;
    uint64_t characters = vga->crtc[CRTC_HORIZONTAL_TOTAL] + 5u;
    uint64_t lines = vertical(vga, CRTC_VERTICAL_TOTAL, 0, 5) + 2;
    uint64_t line_dots = characters * vga_character_dots(vga);
    uint64_t dot = scale(clock_now(vga->clock), dot_clock, NANOSECONDS_PER_SECOND) % (line_dots * lines);
    uint64_t line = dot / line_dots, column = dot % line_dots / vga_character_dots(vga);

    uint64_t retrace = vertical(vga, CRTC_VERTICAL_RETRACE_START, 2, 7);
    /* The end register holds the low four bits of the line on which the retrace ends. */
    uint64_t length = (vga->crtc[CRTC_VERTICAL_RETRACE_END] - retrace) & 0x0f;
    if (!length)
        length = 16;
    /* A frame without a retrace would hang who waits for it; Bochs' interface leaves the timing as it was. */
    if (retrace >= lines)
        retrace = lines - 2;

    uint8_t status = 0;
    if (line >= vga_display_lines(vga) || column >= vga_display_columns(vga))
        status |= STATUS_DISPLAY_DISABLED;
    if (line >= retrace && line < retrace + length)
        status |= STATUS_DISPLAY_DISABLED | STATUS_VERTICAL_RETRACE;
    return status;
}
