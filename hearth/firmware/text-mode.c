/*
 * VGA mode 3: 80 by 25 characters of 9 by 16 dots. The font is found in the video BIOS's image by its first two glyphs, an
 * empty one and a face.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (registers, default values of mode 3).
 */
#include "firmware/text-mode.h"

#include <endian.h>
#include <string.h>

enum {
    ATTRIBUTE = 0x3c0, /* index and data */
    MISC_OUTPUT = 0x3c2,
    SEQUENCER = 0x3c4, /* index; data follows, as at the next two */
    DAC_MASK = 0x3c6,
    DAC_WRITE_INDEX = 0x3c8,
    DAC_DATA = 0x3c9,
    GRAPHICS = 0x3ce,
    CRTC = 0x3d4,
    STATUS_1 = 0x3da, /* reading it makes the attribute controller expect an index */

    CRTC_PROTECT = 0x11, /* bit 7 */
    ATTRIBUTE_SHOW = 0x20,
    SEQUENCER_PLANES = 2,
    SEQUENCER_MEMORY = 4,
    GRAPHICS_MODE = 5,
    GRAPHICS_WINDOW = 6,
    MISC_OUTPUT_MODE_3 = 0x67,

    COLOURS = 64,
    FONT_WINDOW = 0xa0000,
    GLYPHS = 256,
    GLYPH_LINES = 16,
    GLYPH_SPACE = 32, /* in plane 2 */
    TEXT_WINDOW = 0xb8000,
    COLUMNS = 80,
    ROWS = 25,
    BLANK = 0x0720, /* grey on black */

    BDA_VIDEO_MODE = 0x449,
    BDA_COLUMNS = 0x44a,
    BDA_CRTC = 0x463,
    BDA_ROWS_LESS_1 = 0x484,
    BDA_GLYPH_LINES = 0x485,
};

static const uint8_t sequencer[] = {0x03, 0x00, 0x03, 0x00, 0x02};
static const uint8_t crtc[] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
                               0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
static const uint8_t graphics[] = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff};
static const uint8_t attribute[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
                                    0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};

static void out(struct bus *ports, unsigned port, unsigned value)
{
    bus_write_locked(ports, port, 1, value);
}

static void indexed(struct bus *ports, unsigned port, unsigned index, unsigned value)
{
    out(ports, port, index);
    out(ports, port + 1, value);
}

static void registers_set(struct bus *ports)
{
    out(ports, MISC_OUTPUT, MISC_OUTPUT_MODE_3);
    for (unsigned i = 0; i < sizeof(sequencer); i++)
        indexed(ports, SEQUENCER, i, sequencer[i]);
    indexed(ports, CRTC, CRTC_PROTECT, 0);
    for (unsigned i = 0; i < sizeof(crtc); i++)
        indexed(ports, CRTC, i, crtc[i]);
    for (unsigned i = 0; i < sizeof(graphics); i++)
        indexed(ports, GRAPHICS, i, graphics[i]);
    bus_read_locked(ports, STATUS_1, 1);
    for (unsigned i = 0; i < sizeof(attribute); i++) {
        out(ports, ATTRIBUTE, i);
        out(ports, ATTRIBUTE, attribute[i]);
    }
    out(ports, ATTRIBUTE, ATTRIBUTE_SHOW);
}

/* Two bits for each of blue, green and red: two thirds of the brightness, and a third. */
static void palette_set(struct bus *ports)
{
    out(ports, DAC_MASK, 0xff);
    out(ports, DAC_WRITE_INDEX, 0);
    for (unsigned colour = 0; colour < COLOURS; colour++)
        for (int component = 2; component >= 0; component--)
            out(ports, DAC_DATA, 42 * (colour >> component & 1) + 21 * (colour >> (component + 3) & 1));
}

/* The window is memory or the adapter's own, as its registers have it. */
static void poke(struct bus *mmio, struct memory *memory, uint32_t address, const void *bytes, size_t size)
{
    if (memory_write(memory, address, bytes, size))
        return;
    for (size_t i = 0; i < size; i++)
        bus_write_locked(mmio, address + i, 1, ((const uint8_t *)bytes)[i]);
}

static void font_load(struct bus *ports, struct bus *mmio, struct memory *memory, const uint8_t *font)
{
    indexed(ports, SEQUENCER, SEQUENCER_PLANES, 1 << 2);
    indexed(ports, SEQUENCER, SEQUENCER_MEMORY, 0x06); /* neither chained nor odd and even */
    indexed(ports, GRAPHICS, GRAPHICS_MODE, 0);
    indexed(ports, GRAPHICS, GRAPHICS_WINDOW, 0x04); /* 64 KiB at A0000h */
    for (unsigned glyph = 0; glyph < GLYPHS; glyph++)
        poke(mmio, memory, FONT_WINDOW + glyph * GLYPH_SPACE, font + glyph * GLYPH_LINES, GLYPH_LINES);
}

static const uint8_t *font_find(const struct firmware *rom)
{
    static const uint8_t first_two[2 * GLYPH_LINES] = {
        [GLYPH_LINES + 2] = 0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd, 0x99, 0x81, 0x81, 0x7e};
    if (!rom->image)
        return NULL;
    const uint8_t *font = memmem(rom->image, rom->size, first_two, sizeof(first_two));
    if (!font || (size_t)(rom->image + rom->size - font) < GLYPHS * GLYPH_LINES)
        return NULL;
    return font;
}

static void bios_data_set(struct memory *memory)
{
    static const struct {
        uint16_t address;
        uint8_t size;
        uint16_t value;
    } data[] = {{BDA_VIDEO_MODE, 1, 3},
                {BDA_COLUMNS, 2, COLUMNS},
                {BDA_CRTC, 2, CRTC},
                {BDA_ROWS_LESS_1, 1, ROWS - 1},
                {BDA_GLYPH_LINES, 2, GLYPH_LINES}};
    for (unsigned i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        uint16_t little = htole16(data[i].value);
        memory_write(memory, data[i].address, &little, data[i].size);
    }
}

void text_mode_set(struct bus *ports, struct bus *mmio, struct memory *memory, const struct firmware *rom)
{
    uint16_t screen[COLUMNS * ROWS];
    const uint8_t *font = font_find(rom);

    registers_set(ports);
    if (font) {
        font_load(ports, mmio, memory, font);
        registers_set(ports);
    }
    palette_set(ports);
    for (unsigned i = 0; i < COLUMNS * ROWS; i++)
        screen[i] = htole16(BLANK);
    poke(mmio, memory, TEXT_WINDOW, screen, sizeof(screen));
    bios_data_set(memory);
}
