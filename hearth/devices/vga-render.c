/*
 * The VGA's picture as pixels, scan line by scan line as the CRT controller walks through the planes: text with the
 * fonts of plane 2, the 16-, 4-, 2- and 256-colour shift modes whatever the addressing, panning, split screen; and the
 * linear modes of Bochs' interface. A picture is as large as the monitor would show it: mode 13h is 640x400.
 * Leaves out: the border, skews, blinking in graphics modes, changes of registers in the middle of a frame.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "CRT Controller", "Attribute Controller".
 */
#include "devices/vga-state.h"

#include <string.h>

enum {
    BLANK_WIDTH = 720,
    BLANK_HEIGHT = 400,
    DOTS_MOST = 258 * 9 * 2, /* a column more than is shown, for panning */
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

/* What stays the same through a frame, and where the CRT controller is in it. */
struct scan {
    const struct vga *vga;
    unsigned columns, character_dots, dot_width; /* dot_width 2: the dot clock is halved */
    unsigned counter, row_scan, panning;
    unsigned cursor_location;
    bool cursor_on, blink_on;
    uint8_t palette[16];    /* attribute -> DAC index */
    uint8_t dot[DOTS_MOST]; /* DAC indices of one scan line */
    unsigned dots;
};

static void put(struct scan *scan, uint8_t color, unsigned times)
{
    for (times *= scan->dot_width; times && scan->dots < DOTS_MOST; times--)
        scan->dot[scan->dots++] = color;
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

static bool cursor_is_here(const struct scan *scan, unsigned counter)
{
    const uint8_t *crtc = scan->vga->crtc;
    return scan->cursor_on && counter == scan->cursor_location &&
           scan->row_scan >= (crtc[CRTC_CURSOR_START] & 0x1fu) &&
           scan->row_scan <= (crtc[CRTC_CURSOR_END] & 0x1fu);
}

static void text_character(struct scan *scan, unsigned counter)
{
    const struct vga *vga = scan->vga;
    unsigned control = vga->attribute[ATTRIBUTE_MODE_CONTROL];
    const uint8_t *cell = &vga->picture[vga_crtc_address(vga, counter, scan->row_scan) * PLANES];
    uint8_t character = cell[0], attribute = cell[1];
    unsigned glyph_at = font_base(vga, attribute) + character * FONT_STRIDE + scan->row_scan;
    uint8_t glyph = vga->picture[glyph_at % PLANE_SIZE * PLANES + FONT_PLANE];
    unsigned ninth = 0;
    if (control & CONTROL_LINE_GRAPHICS && character >= LINE_GRAPHICS_FIRST &&
        character <= LINE_GRAPHICS_LAST)
        ninth = glyph & 1;

    unsigned background = attribute >> 4, foreground = attribute & 0x0f;
    if (control & CONTROL_BLINK) {
        background &= 7;
        if (attribute & ATTRIBUTE_BLINK && !scan->blink_on)
            foreground = background;
    }
    bool underlined = control & CONTROL_MONOCHROME && (attribute & 7) == 1 &&
                      scan->row_scan == (vga->crtc[CRTC_UNDERLINE_LOCATION] & 0x1fu);
    if (underlined || cursor_is_here(scan, counter)) {
        glyph = 0xff;
        ninth = 1;
    }
    uint8_t colors[2] = {scan->palette[background], scan->palette[foreground]};
    for (unsigned bit = 8; bit-- > 0;)
        put(scan, colors[glyph >> bit & 1], 1);
    if (scan->character_dots == 9)
        put(scan, colors[ninth], 1);
}

/* ---- graphics */

static void graphics_character(struct scan *scan, unsigned counter)
{
    const struct vga *vga = scan->vga;
    const uint8_t *plane = &vga->picture[vga_crtc_address(vga, counter, scan->row_scan) * PLANES];
    unsigned enabled = vga->attribute[ATTRIBUTE_PLANE_ENABLE] & 0x0f;

    if (vga->graphics[GRAPHICS_MODE] & MODE_256_COLORS) {
        for (unsigned i = 0; i < PLANES; i++)
            put(scan, plane[i], 2);
    } else if (vga->graphics[GRAPHICS_MODE] & MODE_SHIFT_INTERLEAVED) {
        for (unsigned i = 0; i < 8; i++) {
            unsigned shift = 6 - i % 4 * 2;
            unsigned color = (plane[i / 4] >> shift & 3) | (plane[i / 4 + 2] >> shift & 3) << 2;
            put(scan, scan->palette[color & enabled], 1);
        }
    } else {
        for (unsigned bit = 8; bit-- > 0;) {
            unsigned color = 0;
            for (unsigned i = 0; i < PLANES; i++)
                color |= (plane[i] >> bit & 1u) << i;
            put(scan, scan->palette[color & enabled], 1);
        }
    }
}

/* ---- the frame */

static void scan_line(struct scan *scan, bool text)
{
    const struct vga *vga = scan->vga;
    unsigned slow = vga->crtc[CRTC_UNDERLINE_LOCATION] & UNDERLINE_COUNT_BY_4 ? 2
                    : vga->crtc[CRTC_MODE_CONTROL] & MODE_CONTROL_COUNT_BY_2  ? 1
                                                                              : 0;
    scan->dots = 0;
    for (unsigned column = 0; column <= scan->columns; column++) {
        unsigned counter = (scan->counter + (column >> slow)) & 0xffff;
        if (text)
            text_character(scan, counter);
        else
            graphics_character(scan, counter);
    }
}

/* Dots by which the line moves to the left. */
static unsigned panning(const struct scan *scan)
{
    unsigned panning = scan->vga->attribute[ATTRIBUTE_PIXEL_PANNING] & 0x0f;
    if (scan->character_dots == 9 && vga_is_text(scan->vga))
        panning = panning >= 8 ? 0 : panning + 1;
    else
        panning &= 7;
    return panning * scan->dot_width;
}

static unsigned line_compare(const struct vga *vga)
{
    return vga->crtc[CRTC_LINE_COMPARE] | (vga->crtc[CRTC_OVERFLOW] & OVERFLOW_LINE_COMPARE_8 ? 1u << 8 : 0) |
           (vga->crtc[CRTC_MAXIMUM_SCAN_LINE] & MAXIMUM_SCAN_LINE_COMPARE_9 ? 1u << 9 : 0);
}

static void scan_begin(struct scan *scan, const struct vga *vga)
{
    uint64_t frame = scale(clock_now(vga->clock), FRAMES_PER_SECOND, NANOSECONDS_PER_SECOND);
    scan->vga = vga;
    scan->columns = vga_display_columns(vga);
    scan->character_dots = vga_is_text(vga) ? vga_character_dots(vga) : 8;
    scan->dot_width = vga->sequencer[SEQUENCER_CLOCKING_MODE] & CLOCKING_DOT_CLOCK_HALVED ? 2 : 1;
    scan->counter = (vga->crtc[CRTC_START_ADDRESS_HIGH] << 8 | vga->crtc[CRTC_START_ADDRESS_LOW]) +
                    (vga->crtc[CRTC_PRESET_ROW_SCAN] >> 5 & 3);
    scan->row_scan = vga->crtc[CRTC_PRESET_ROW_SCAN] & 0x1f;
    scan->panning = panning(scan);
    scan->cursor_location = vga->crtc[CRTC_CURSOR_LOCATION_HIGH] << 8 | vga->crtc[CRTC_CURSOR_LOCATION_LOW];
    scan->cursor_on =
        !(vga->crtc[CRTC_CURSOR_START] & CURSOR_START_OFF) && !(frame / CURSOR_BLINK_FRAMES & 1);
    scan->blink_on = !(frame / TEXT_BLINK_FRAMES & 1);
    for (unsigned i = 0; i < 16; i++)
        scan->palette[i] = (uint8_t)vga_palette_entry(vga, i);
}

/* What the CRT controller does at the end of scan line `line`. */
static void scan_next(struct scan *scan, unsigned line)
{
    const struct vga *vga = scan->vga;
    unsigned maximum = vga->crtc[CRTC_MAXIMUM_SCAN_LINE];
    if (line == line_compare(vga)) {
        scan->counter = scan->row_scan = 0;
        if (vga->attribute[ATTRIBUTE_MODE_CONTROL] & CONTROL_PANNING_COMPATIBLE)
            scan->panning = 0;
    } else if (maximum & MAXIMUM_SCAN_LINE_DOUBLE && !(line & 1)) {
        return;
    } else if (scan->row_scan == (maximum & MAXIMUM_SCAN_LINE_MASK)) {
        scan->row_scan = 0;
        scan->counter += vga->crtc[CRTC_OFFSET] * 2;
    } else {
        scan->row_scan = (scan->row_scan + 1) & MAXIMUM_SCAN_LINE_MASK;
    }
}

static void render_vga(const struct vga *vga, struct surface *surface)
{
    struct scan scan;
    uint32_t colors[256];
    bool text = vga_is_text(vga);
    unsigned lines = vga_display_lines(vga);
    scan_begin(&scan, vga);
    for (unsigned i = 0; i < 256; i++)
        colors[i] = vga_color(vga, i);
    surface_resize(surface, scan.columns * scan.character_dots * scan.dot_width, lines);
    for (unsigned line = 0; line < lines; line++) {
        uint32_t *row = &surface->pixels[(uint64_t)line * surface->width];
        scan_line(&scan, text);
        for (unsigned i = 0; i < surface->width; i++)
            row[i] = colors[scan.dot[i + scan.panning]];
        scan_next(&scan, line);
    }
}

static void render_blank(struct surface *surface)
{
    surface_resize(surface, BLANK_WIDTH, BLANK_HEIGHT);
    memset(surface->pixels, 0, sizeof(surface->pixels[0]) * BLANK_WIDTH * BLANK_HEIGHT);
}

/* ---- Bochs' interface */

/* 5 or 6 bits of a colour to 8, so that all ones stay all ones. */
static uint32_t widen(uint32_t value, unsigned bits)
{
    value &= (1u << bits) - 1;
    return value << (8 - bits) | value >> (2 * bits - 8);
}

/* `row` is the row's first byte of picture memory. */
static uint32_t linear_pixel(const uint8_t *row, unsigned x, unsigned bpp)
{
    const uint8_t *at = row + x * ((bpp + 7) / 8);
    uint32_t word = at[0] | (uint32_t)at[1] << 8;
    switch (bpp) {
    case 15: return widen(word >> 10, 5) << 16 | widen(word >> 5, 5) << 8 | widen(word, 5);
    case 16: return widen(word >> 11, 5) << 16 | widen(word >> 5, 6) << 8 | widen(word, 5);
    default: return word | (uint32_t)at[2] << 16;
    }
}

static unsigned planar_pixel(const uint8_t *row, unsigned x)
{
    const uint8_t *plane = row + x / 8 * PLANES;
    unsigned color = 0;
    for (unsigned i = 0; i < PLANES; i++)
        color |= (plane[i] >> (7 - x % 8) & 1u) << i;
    return color;
}

static void render_dispi(const struct vga *vga, struct surface *surface)
{
    const uint16_t *dispi = vga->dispi;
    unsigned bpp = dispi[DISPI_BPP], left = dispi[DISPI_X_OFFSET];
    uint64_t pitch = vga_dispi_pitch(vga);
    if (bpp == 4)
        pitch *= PLANES;
    uint32_t colors[256];
    for (unsigned i = 0; i < 256; i++)
        colors[i] = vga_color(vga, bpp == 4 ? vga_palette_entry(vga, i) : i);

    surface_resize(surface, dispi[DISPI_XRES], dispi[DISPI_YRES]);
    for (unsigned y = 0; y < surface->height; y++) {
        const uint8_t *from = &vga->picture[(y + dispi[DISPI_Y_OFFSET]) * pitch];
        uint32_t *to = &surface->pixels[(uint64_t)y * surface->width];
        for (unsigned x = 0; x < surface->width; x++) {
            if (bpp == 4)
                to[x] = colors[planar_pixel(from, left + x)];
            else if (bpp == 8)
                to[x] = colors[from[left + x]];
            else
                to[x] = linear_pixel(from, left + x, bpp);
        }
    }
}

void vga_render(void *opaque, struct surface *surface)
{
    struct vga *vga = opaque;
    vga_window_sync(vga);
    if (vga_dispi_enabled(vga))
        render_dispi(vga, surface);
    else if (vga_is_blank(vga))
        render_blank(surface);
    else
        render_vga(vga, surface);
}
