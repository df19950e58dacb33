/*
 * What the monitor says of itself: a display of 1280x800 that shows more, for drivers that ask (Linux's bochs). 128 bytes, as
 * they lie in BAR2.
 * Source: VESA Enhanced Extended Display Identification Data Standard, release A revision 2 (EDID 1.4), section 3; the
 * timing of 1280x800 at 60 Hz is that of VESA's Coordinated Video Timings, reduced blanking.
 */
#include "devices/vga-state.h"

#include <string.h>

enum {
    CHECKSUM = EDID_SIZE - 1,
    PREFERRED_WIDTH = 1280,
    PREFERRED_HEIGHT = 800,
};

/* Three letters of five bits each, 1 is A; first byte first. */
#define MAKER(a, b, c)                                                                                       \
    (uint8_t)(((a) - 'A' + 1) << 2 | ((b) - 'A' + 1) >> 3), (uint8_t)(((b) - 'A' + 1) << 5 | ((c) - 'A' + 1))
/* A standard timing of 60 Hz: columns, and which of the four shapes (0 16:10, 1 4:3, 2 5:4, 3 16:9). */
#define STANDARD(width, shape) (uint8_t)((width) / 8 - 31), (shape) << 6
/* Low byte now, the bits above it elsewhere. */
#define LOW(value)       ((value)&0xff)
#define HIGH(active, no) (uint8_t)((active) >> 8 << 4 | (no) >> 8)

/* clang-format off */
static const uint8_t edid[EDID_SIZE] = {
    0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
    MAKER('H', 'R', 'T'), 0x01, 0x00, 0, 0, 0, 0, /* product 1, no serial number */
    0xff, 2026 - 1990, 1, 4,                      /* model year; EDID 1.4 */
    0xa0, 32, 20, 220 - 100,                      /* digital, 8 bits a colour; 32 by 20 cm; gamma 2.2 */
    0x06,                                         /* sRGB, the first timing is the native one */
    0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54, /* sRGB's primaries and white */
    0x21, 0x08, 0x00,                             /* 640x480, 800x600, 1024x768 at 60 Hz */
    STANDARD(1152, 0), STANDARD(1280, 2), STANDARD(1400, 1), STANDARD(1440, 0),
    STANDARD(1600, 1), STANDARD(1680, 0), STANDARD(1920, 3), STANDARD(1920, 0),
    /* Detailed timing: 71 MHz, 160 dots and 23 lines of blanking, sync 48/32 dots and 3/6 lines in */
    LOW(7100), 7100 >> 8, LOW(PREFERRED_WIDTH), 160, HIGH(PREFERRED_WIDTH, 160),
    LOW(PREFERRED_HEIGHT), 23, HIGH(PREFERRED_HEIGHT, 23), 48, 32, 3 << 4 | 6, 0,
    LOW(320), 200, HIGH(320, 200), 0, 0, 0x1a,
    /* Range: 50 to 125 Hz, 30 to 160 kHz, up to 300 MHz, CVT */
    0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 30, 0x01, '\n', ' ', ' ', ' ', ' ', ' ', ' ',
    /* Name */
    0, 0, 0, 0xfc, 0, 'h', 'e', 'a', 'r', 't', 'h', '\n', ' ', ' ', ' ', ' ', ' ', ' ',
    /* Unused */
    0, 0, 0, 0x10,
};
/* clang-format on */

uint8_t vga_edid_byte(unsigned offset)
{
    uint8_t sum = 0;
    if (offset != CHECKSUM)
        return offset < EDID_SIZE ? edid[offset] : 0;
    for (unsigned i = 0; i < CHECKSUM; i++)
        sum += edid[i];
    return (uint8_t)-sum;
}
