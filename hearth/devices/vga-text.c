/*
 * The VGA's picture as text: characters and attributes as they stand in planes 0 and 1, and the colours that the
 * attribute controller and the DAC make of them.
 */
#include "devices/vga-state.h"

#include <string.h>

enum { PLAIN_COLUMNS = 80, PLAIN_ROWS = 25 };

bool vga_is_text(const struct vga *vga)
{
    return !vga_dispi_enabled(vga) && !(vga->graphics[GRAPHICS_MISCELLANEOUS] & MISCELLANEOUS_GRAPHICS);
}

bool vga_is_blank(const struct vga *vga)
{
    if (vga_dispi_enabled(vga))
        return false;
    return !(vga->attribute_index & ATTRIBUTE_PALETTE_ADDRESS_SOURCE) ||
           vga->sequencer[SEQUENCER_CLOCKING_MODE] & CLOCKING_SCREEN_OFF ||
           vga->sequencer[SEQUENCER_RESET] != RESET_RUNNING;
}

uint32_t vga_color(const struct vga *vga, unsigned dac_index)
{
    const uint8_t *entry = vga->dac[dac_index & vga->dac_mask];
    uint32_t color = 0;
    for (unsigned i = 0; i < 3; i++) {
        unsigned value = entry[i];
        /* Six bits to eight so that 3Fh is full brightness. */
        if (!(vga->dispi[DISPI_ENABLE] & DISPI_8BIT_DAC))
            value = (value & 0x3f) << 2 | (value >> 4 & 3);
        color = color << 8 | value;
    }
    return color;
}

unsigned vga_palette_entry(const struct vga *vga, unsigned attribute)
{
    unsigned index = vga->attribute[ATTRIBUTE_PALETTE + (attribute & 0x0f)] & 0x3f;
    unsigned select = vga->attribute[ATTRIBUTE_COLOR_SELECT];
    if (vga->attribute[ATTRIBUTE_MODE_CONTROL] & CONTROL_P5_P4_SELECT)
        index = (index & 0x0f) | (select & 0x03) << 4;
    return index | (select & 0x0c) << 4;
}

uint16_t vga_crtc_address(const struct vga *vga, unsigned counter, unsigned row_scan)
{
    unsigned mode = vga->crtc[CRTC_MODE_CONTROL], address = counter;
    if (vga->crtc[CRTC_UNDERLINE_LOCATION] & UNDERLINE_DOUBLEWORD)
        address = counter << 2 | (counter >> 12 & 3);
    else if (!(mode & MODE_CONTROL_BYTE))
        address = counter << 1 | (mode & MODE_CONTROL_WRAP_15 ? counter >> 15 & 1 : counter >> 13 & 1);
    if (!(mode & MODE_CONTROL_CMS_0))
        address = (address & ~(1u << 13)) | (row_scan & 1) << 13;
    if (!(mode & MODE_CONTROL_CMS_1))
        address = (address & ~(1u << 14)) | (row_scan >> 1 & 1) << 14;
    return (uint16_t)address;
}

static void text_nothing(struct text_screen *screen)
{
    screen->columns = PLAIN_COLUMNS;
    screen->rows = PLAIN_ROWS;
    memset(screen->character, ' ', sizeof(screen->character));
}

static void text_cells(const struct vga *vga, struct text_screen *screen, unsigned start, unsigned pitch)
{
    for (unsigned row = 0; row < screen->rows; row++)
        for (unsigned column = 0; column < screen->columns; column++) {
            unsigned at = vga_crtc_address(vga, start + row * pitch + column, 0);
            screen->character[row][column] = vga->picture[at * PLANES];
            screen->attribute[row][column] = vga->picture[at * PLANES + 1];
        }
}

static void text_cursor(const struct vga *vga, struct text_screen *screen, unsigned start, unsigned pitch)
{
    unsigned first = vga->crtc[CRTC_CURSOR_START] & 0x1f, last = vga->crtc[CRTC_CURSOR_END] & 0x1f;
    unsigned location = vga->crtc[CRTC_CURSOR_LOCATION_HIGH] << 8 | vga->crtc[CRTC_CURSOR_LOCATION_LOW];
    unsigned distance = (location - start) & 0xffff;
    screen->cursor_shown = !(vga->crtc[CRTC_CURSOR_START] & CURSOR_START_OFF) && first <= last &&
                           first <= (vga->crtc[CRTC_MAXIMUM_SCAN_LINE] & MAXIMUM_SCAN_LINE_MASK);
    screen->cursor_row = pitch ? distance / pitch : 0;
    screen->cursor_column = pitch ? distance % pitch : distance;
}

bool vga_text(void *opaque, struct text_screen *screen)
{
    struct vga *vga = opaque;
    if (!vga_is_text(vga))
        return false;
    vga_window_sync(vga);
    memset(screen, 0, sizeof(*screen));
    if (vga_is_blank(vga)) {
        text_nothing(screen);
        return true;
    }
    unsigned height = (vga->crtc[CRTC_MAXIMUM_SCAN_LINE] & MAXIMUM_SCAN_LINE_MASK) + 1;
    unsigned lines = vga_display_lines(vga);
    if (vga->crtc[CRTC_MAXIMUM_SCAN_LINE] & MAXIMUM_SCAN_LINE_DOUBLE)
        lines /= 2;
    unsigned columns = vga_display_columns(vga), rows = lines / height;
    screen->columns = columns < TEXT_COLUMNS_MOST ? columns : TEXT_COLUMNS_MOST;
    screen->rows = rows < 1 ? 1 : rows < TEXT_ROWS_MOST ? rows : TEXT_ROWS_MOST;

    unsigned start = vga->crtc[CRTC_START_ADDRESS_HIGH] << 8 | vga->crtc[CRTC_START_ADDRESS_LOW];
    unsigned pitch = vga->crtc[CRTC_OFFSET] * 2u;
    screen->blink = vga->attribute[ATTRIBUTE_MODE_CONTROL] & CONTROL_BLINK;
    for (unsigned i = 0; i < 16; i++)
        screen->palette[i] = vga_color(vga, vga_palette_entry(vga, i));
    text_cells(vga, screen, start, pitch);
    text_cursor(vga, screen, start, pitch);
    return true;
}
