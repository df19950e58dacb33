/*
 * The VGA's picture as pixels, scan line by scan line as the CRT controller walks through the planes: text with the
 * fonts of plane 2, the 16-, 4-, 2- and 256-colour shift modes whatever the addressing, panning, split screen; and the
 * linear modes of Bochs' interface. A picture is as large as the monitor would show it: mode 13h is 640x400.
 * Leaves out: the border, skews, blinking in graphics modes, changes of registers in the middle of a frame.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "CRT Controller", "Attribute Controller".
 */
#include "devices/vga-frame.h"

#include <string.h>

enum {
    BLANK_WIDTH = 720,
    BLANK_HEIGHT = 400,
    FRAMES_PER_SECOND = 70,
    CURSOR_BLINK_FRAMES = 16,
    TEXT_BLINK_FRAMES = 32,
};

enum {
    FONT_STRIDE = 32,
    FONT_SIZE = 0x2000,
    FONT_PLANE = 2,
    ATTRIBUTE_FONT = 1 << 3,
    ATTRIBUTE_BLINK = 1 << 7,
    CONTROL_MONOCHROME = 1 << 1,
    LINE_GRAPHICS_FIRST = 0xc0,
    LINE_GRAPHICS_LAST = 0xdf,
};

static void put(struct frame *frame, uint8_t color, unsigned times)
{
    for (times *= frame->dot_width; times && frame->dots < DOTS_MOST; times--)
        frame->dot[frame->dots++] = color;
}

/* ---- text */

/* Character map select: two font numbers of three bits each, the highest of which counts 8 KiB, the others 16. */
static unsigned font_base(const struct vga *vga, uint8_t attribute)
{
    unsigned select = vga->sequencer[SEQUENCER_CHARACTER_MAP_SELECT];
    unsigned font = attribute & ATTRIBUTE_FONT ? (select >> 2 & 3) * 2 + (select >> 5 & 1)
                                               : (select & 3) * 2 + (select >> 4 & 1);
    return font * FONT_SIZE;
}

static bool cursor_is_here(const struct frame *frame, unsigned counter)
{
    const uint8_t *crtc = frame->vga->crtc;
    return frame->cursor_on && counter == frame->cursor_location &&
           frame->row_scan >= (crtc[CRTC_CURSOR_START] & 0x1fu) &&
           frame->row_scan <= (crtc[CRTC_CURSOR_END] & 0x1fu);
}

static void text_character(struct frame *frame, unsigned counter)
{
    const struct vga *vga = frame->vga;
    unsigned control = vga->attribute[ATTRIBUTE_MODE_CONTROL];
    const uint8_t *cell = &vga->picture[vga_crtc_address(vga, counter, frame->row_scan) * PLANES];
    uint8_t character = cell[0], attribute = cell[1];
    unsigned glyph_at = font_base(vga, attribute) + character * FONT_STRIDE + frame->row_scan;
    uint8_t glyph = vga->picture[glyph_at % PLANE_SIZE * PLANES + FONT_PLANE];
    unsigned ninth = 0;
    if (control & CONTROL_LINE_GRAPHICS && character >= LINE_GRAPHICS_FIRST &&
        character <= LINE_GRAPHICS_LAST)
        ninth = glyph & 1;

    unsigned background = attribute >> 4, foreground = attribute & 0x0f;
    if (control & CONTROL_BLINK) {
        background &= 7;
        frame->blinks |= attribute & ATTRIBUTE_BLINK;
        if (attribute & ATTRIBUTE_BLINK && !frame->blink_on)
            foreground = background;
    }
    bool underlined = control & CONTROL_MONOCHROME && (attribute & 7) == 1 &&
                      frame->row_scan == (vga->crtc[CRTC_UNDERLINE_LOCATION] & 0x1fu);
    if (underlined || cursor_is_here(frame, counter)) {
        glyph = 0xff;
        ninth = 1;
    }
    uint8_t colors[2] = {frame->palette[background], frame->palette[foreground]};
    if (frame->dot_width == 1 && frame->dots + 9 <= DOTS_MOST) { /* the usual case, at a stroke */
        uint8_t *dot = &frame->dot[frame->dots];
        for (unsigned bit = 0; bit < 8; bit++)
            dot[bit] = colors[glyph >> (7 - bit) & 1];
        dot[8] = colors[ninth];
        frame->dots += frame->character_dots;
        return;
    }
    for (unsigned bit = 8; bit-- > 0;)
        put(frame, colors[glyph >> bit & 1], 1);
    if (frame->character_dots == 9)
        put(frame, colors[ninth], 1);
}

/* ---- graphics */

static void graphics_character(struct frame *frame, unsigned counter)
{
    const struct vga *vga = frame->vga;
    const uint8_t *plane = &vga->picture[vga_crtc_address(vga, counter, frame->row_scan) * PLANES];
    unsigned enabled = vga->attribute[ATTRIBUTE_PLANE_ENABLE] & 0x0f;

    if (vga->graphics[GRAPHICS_MODE] & MODE_256_COLORS) {
        for (unsigned i = 0; i < PLANES; i++)
            put(frame, plane[i], 2);
    } else if (vga->graphics[GRAPHICS_MODE] & MODE_SHIFT_INTERLEAVED) {
        for (unsigned i = 0; i < 8; i++) {
            unsigned shift = 6 - i % 4 * 2;
            unsigned color = (plane[i / 4] >> shift & 3) | (plane[i / 4 + 2] >> shift & 3) << 2;
            put(frame, frame->palette[color & enabled], 1);
        }
    } else {
        for (unsigned bit = 8; bit-- > 0;) {
            unsigned color = 0;
            for (unsigned i = 0; i < PLANES; i++)
                color |= (plane[i] >> bit & 1u) << i;
            put(frame, frame->palette[color & enabled], 1);
        }
    }
}

/* ---- scan lines */

static void scan_line(struct frame *frame, uint32_t *pixels)
{
    frame->dots = 0;
    for (unsigned column = 0; column <= frame->columns; column++) {
        unsigned counter = (frame->counter + (column >> frame->slow)) & 0xffff;
        if (frame->kind == FRAME_TEXT)
            text_character(frame, counter);
        else
            graphics_character(frame, counter);
    }
    for (unsigned i = 0; i < frame->width; i++)
        pixels[i] = frame->colors[frame->dot[i + frame->panning]];
}

/* Dots by which the line moves to the left. */
static unsigned panning(const struct frame *frame)
{
    unsigned panning = frame->vga->attribute[ATTRIBUTE_PIXEL_PANNING] & 0x0f;
    if (frame->character_dots == 9 && vga_is_text(frame->vga))
        panning = panning >= 8 ? 0 : panning + 1;
    else
        panning &= 7;
    return panning * frame->dot_width;
}

static unsigned line_compare(const struct vga *vga)
{
    return vga->crtc[CRTC_LINE_COMPARE] | (vga->crtc[CRTC_OVERFLOW] & OVERFLOW_LINE_COMPARE_8 ? 1u << 8 : 0) |
           (vga->crtc[CRTC_MAXIMUM_SCAN_LINE] & MAXIMUM_SCAN_LINE_COMPARE_9 ? 1u << 9 : 0);
}

static void scan_begin(struct frame *frame, const struct vga *vga)
{
    uint64_t now = scale(clock_now(vga->clock), FRAMES_PER_SECOND, NANOSECONDS_PER_SECOND);
    frame->columns = vga_display_columns(vga);
    frame->character_dots = frame->kind == FRAME_TEXT ? vga_character_dots(vga) : 8;
    frame->dot_width = vga->sequencer[SEQUENCER_CLOCKING_MODE] & CLOCKING_DOT_CLOCK_HALVED ? 2 : 1;
    frame->width = frame->columns * frame->character_dots * frame->dot_width;
    frame->height = vga_display_lines(vga);
    frame->counter = (vga->crtc[CRTC_START_ADDRESS_HIGH] << 8 | vga->crtc[CRTC_START_ADDRESS_LOW]) +
                     (vga->crtc[CRTC_PRESET_ROW_SCAN] >> 5 & 3);
    frame->row_scan = vga->crtc[CRTC_PRESET_ROW_SCAN] & 0x1f;
    frame->slow = vga->crtc[CRTC_UNDERLINE_LOCATION] & UNDERLINE_COUNT_BY_4 ? 2
                  : vga->crtc[CRTC_MODE_CONTROL] & MODE_CONTROL_COUNT_BY_2  ? 1
                                                                            : 0;
    frame->panning = panning(frame);
    frame->cursor_location = vga->crtc[CRTC_CURSOR_LOCATION_HIGH] << 8 | vga->crtc[CRTC_CURSOR_LOCATION_LOW];
    frame->cursor_on = frame->kind == FRAME_TEXT && !(vga->crtc[CRTC_CURSOR_START] & CURSOR_START_OFF) &&
                       !(now / CURSOR_BLINK_FRAMES & 1);
    frame->blink_on = !(now / TEXT_BLINK_FRAMES & 1);
    for (unsigned i = 0; i < 16; i++)
        frame->palette[i] = (uint8_t)vga_palette_entry(vga, i);
}

/* What the CRT controller does at the end of a scan line. */
static void scan_next(struct frame *frame)
{
    const struct vga *vga = frame->vga;
    unsigned maximum = vga->crtc[CRTC_MAXIMUM_SCAN_LINE];
    if (frame->line == line_compare(vga)) {
        frame->counter = frame->row_scan = 0;
        if (vga->attribute[ATTRIBUTE_MODE_CONTROL] & CONTROL_PANNING_COMPATIBLE)
            frame->panning = 0;
    } else if (maximum & MAXIMUM_SCAN_LINE_DOUBLE && !(frame->line & 1)) {
        return;
    } else if (frame->row_scan == (maximum & MAXIMUM_SCAN_LINE_MASK)) {
        frame->row_scan = 0;
        frame->counter += vga->crtc[CRTC_OFFSET] * 2;
    } else {
        frame->row_scan = (frame->row_scan + 1) & MAXIMUM_SCAN_LINE_MASK;
    }
}

/* ---- Bochs' interface */

/* 5 or 6 bits of a colour to 8, so that all ones stay all ones. */
static uint32_t widen(uint32_t value, unsigned bits)
{
    value &= (1u << bits) - 1;
    return value << (8 - bits) | value >> (2 * bits - 8);
}

static unsigned planar_pixel(const uint8_t *row, unsigned x)
{
    const uint8_t *plane = row + x / 8 * PLANES;
    unsigned color = 0;
    for (unsigned i = 0; i < PLANES; i++)
        color |= (plane[i] >> (7 - x % 8) & 1u) << i;
    return color;
}

/* Bytes of picture memory from one row to the next, and in so many pixels. */
static uint64_t linear_pitch(const struct vga *vga)
{
    return (uint64_t)vga_dispi_pitch(vga) * (vga->dispi[DISPI_BPP] == 4 ? PLANES : 1);
}

static uint64_t linear_bytes(const struct vga *vga, uint64_t pixels)
{
    unsigned bpp = vga->dispi[DISPI_BPP];
    return bpp == 4 ? pixels / 2 : pixels * ((bpp + 7) / 8);
}

static uint64_t linear_row(const struct frame *frame)
{
    return (frame->line + (uint64_t)frame->vga->dispi[DISPI_Y_OFFSET]) * linear_pitch(frame->vga);
}

static void linear_16(const uint8_t *from, uint32_t *to, unsigned width, bool green_has_6)
{
    for (unsigned x = 0; x < width; x++, from += 2) {
        uint32_t word = from[0] | (uint32_t)from[1] << 8;
        if (green_has_6)
            to[x] = widen(word >> 11, 5) << 16 | widen(word >> 5, 6) << 8 | widen(word, 5);
        else
            to[x] = widen(word >> 10, 5) << 16 | widen(word >> 5, 5) << 8 | widen(word, 5);
    }
}

static void linear_line(const struct frame *frame, uint32_t *to)
{
    const struct vga *vga = frame->vga;
    unsigned bpp = vga->dispi[DISPI_BPP], left = vga->dispi[DISPI_X_OFFSET], width = frame->width;
    const uint8_t *row = &vga->picture[linear_row(frame)];
    const uint8_t *from = row + linear_bytes(vga, left);
    switch (bpp) {
    case 4:
        for (unsigned x = 0; x < width; x++)
            to[x] = frame->colors[planar_pixel(row, left + x)];
        break;
    case 8:
        for (unsigned x = 0; x < width; x++)
            to[x] = frame->colors[from[x]];
        break;
    case 15:
    case 16: linear_16(from, to, width, bpp == 16); break;
    case 24:
        for (unsigned x = 0; x < width; x++, from += 3)
            to[x] = from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16;
        break;
    default:
        memcpy(to, from, width * sizeof(*to));
        for (unsigned x = 0; x < width; x++)
            to[x] &= 0xffffff;
    }
}

static void linear_begin(struct frame *frame, const struct vga *vga)
{
    frame->width = vga->dispi[DISPI_XRES];
    frame->height = vga->dispi[DISPI_YRES];
    if (vga->dispi[DISPI_BPP] == 4) /* through the palette */
        for (unsigned i = 0; i < 16; i++)
            frame->colors[i] = vga_color(vga, vga_palette_entry(vga, i));
}

/* ---- the frame */

void vga_frame_begin(struct frame *frame, const struct vga *vga)
{
    *frame = (struct frame){.vga = vga};
    for (unsigned i = 0; i < 256; i++)
        frame->colors[i] = vga_color(vga, i);
    if (vga_dispi_enabled(vga)) {
        frame->kind = FRAME_LINEAR;
        linear_begin(frame, vga);
    } else if (vga_is_blank(vga)) {
        frame->kind = FRAME_BLANK;
        frame->width = BLANK_WIDTH;
        frame->height = BLANK_HEIGHT;
    } else {
        frame->kind = vga_is_text(vga) ? FRAME_TEXT : FRAME_GRAPHICS;
        scan_begin(frame, vga);
    }
}

void vga_frame_line(struct frame *frame, uint32_t *pixels)
{
    if (frame->kind == FRAME_LINEAR)
        linear_line(frame, pixels);
    else if (frame->kind == FRAME_BLANK)
        memset(pixels, 0, frame->width * sizeof(*pixels));
    else
        scan_line(frame, pixels);
}

void vga_frame_next(struct frame *frame)
{
    if (frame->kind == FRAME_TEXT || frame->kind == FRAME_GRAPHICS)
        scan_next(frame);
    frame->line++;
}

/* ---- what a line is made from */

static bool any_page(const uint64_t *pages, uint64_t first, uint64_t last)
{
    for (uint64_t page = first / PAGE_SIZE; page <= last / PAGE_SIZE; page++)
        if (pages[page / 64] >> page % 64 & 1)
            return true;
    return false;
}

bool vga_frame_reads(const struct frame *frame, const uint64_t *pages)
{
    const struct vga *vga = frame->vga;
    if (frame->kind == FRAME_BLANK)
        return false;
    if (frame->kind == FRAME_LINEAR) {
        uint64_t row = linear_row(frame), left = vga->dispi[DISPI_X_OFFSET];
        return any_page(pages, row + linear_bytes(vga, left),
                        row + linear_bytes(vga, left + frame->width) - 1);
    }
    unsigned end = frame->counter + (frame->columns >> frame->slow);
    uint64_t first = vga_crtc_address(vga, frame->counter & 0xffff, frame->row_scan);
    uint64_t last = vga_crtc_address(vga, end & 0xffff, frame->row_scan);
    if (first > last) /* it wraps: both parts, and all that may lie between */
        return any_page(pages, 0, PLANE_SIZE * PLANES - 1);
    return any_page(pages, first * PLANES, last * PLANES + PLANES - 1);
}

bool vga_frame_shows(const struct frame *frame, unsigned location)
{
    return frame->kind == FRAME_TEXT &&
           ((location - frame->counter) & 0xffff) <= frame->columns >> frame->slow;
}
