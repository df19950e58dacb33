/*
 * The inside of the VGA, shared by the files vga-*.c. Register names, bits and port numbers are those of IBM's PS/2
 * Hardware Interface Technical Reference, "Video Subsystem" (1992) and of Appendix A, "VGA Programming Model", of its
 * RS/6000 edition.
 */
#ifndef DEVICES_VGA_STATE_H
#define DEVICES_VGA_STATE_H

#include "devices/vga.h"

enum { /* sequencer */
       SEQUENCER_RESET = 0,
       SEQUENCER_CLOCKING_MODE = 1,
       SEQUENCER_MAP_MASK = 2,
       SEQUENCER_CHARACTER_MAP_SELECT = 3,
       SEQUENCER_MEMORY_MODE = 4,
       SEQUENCER_REGISTERS = 5,

       RESET_RUNNING = 0x03, /* neither asynchronous nor synchronous reset */
       CLOCKING_8_DOTS = 1 << 0,
       CLOCKING_DOT_CLOCK_HALVED = 1 << 3,
       CLOCKING_SCREEN_OFF = 1 << 5,
       MEMORY_MODE_NOT_ODD_EVEN = 1 << 2,
       MEMORY_MODE_CHAIN_4 = 1 << 3,
};

enum { /* graphics controller */
       GRAPHICS_SET_RESET = 0,
       GRAPHICS_ENABLE_SET_RESET = 1,
       GRAPHICS_COLOR_COMPARE = 2,
       GRAPHICS_DATA_ROTATE = 3,
       GRAPHICS_READ_MAP_SELECT = 4,
       GRAPHICS_MODE = 5,
       GRAPHICS_MISCELLANEOUS = 6,
       GRAPHICS_COLOR_DONT_CARE = 7,
       GRAPHICS_BIT_MASK = 8,
       GRAPHICS_REGISTERS = 9,

       MODE_WRITE = 0x03,
       MODE_READ_COMPARE = 1 << 3,
       MODE_ODD_EVEN = 1 << 4,
       MODE_SHIFT_INTERLEAVED = 1 << 5,
       MODE_256_COLORS = 1 << 6,
       MISCELLANEOUS_GRAPHICS = 1 << 0,
};

enum { /* CRT controller */
       CRTC_HORIZONTAL_TOTAL = 0x00,
       CRTC_HORIZONTAL_DISPLAY_END = 0x01,
       CRTC_VERTICAL_TOTAL = 0x06,
       CRTC_OVERFLOW = 0x07,
       CRTC_PRESET_ROW_SCAN = 0x08,
       CRTC_MAXIMUM_SCAN_LINE = 0x09,
       CRTC_CURSOR_START = 0x0a,
       CRTC_CURSOR_END = 0x0b,
       CRTC_START_ADDRESS_HIGH = 0x0c,
       CRTC_START_ADDRESS_LOW = 0x0d,
       CRTC_CURSOR_LOCATION_HIGH = 0x0e,
       CRTC_CURSOR_LOCATION_LOW = 0x0f,
       CRTC_VERTICAL_RETRACE_START = 0x10,
       CRTC_VERTICAL_RETRACE_END = 0x11,
       CRTC_VERTICAL_DISPLAY_END = 0x12,
       CRTC_OFFSET = 0x13,
       CRTC_UNDERLINE_LOCATION = 0x14,
       CRTC_MODE_CONTROL = 0x17,
       CRTC_LINE_COMPARE = 0x18,
       CRTC_REGISTERS = 0x19,

       OVERFLOW_LINE_COMPARE_8 = 1 << 4,
       MAXIMUM_SCAN_LINE_MASK = 0x1f,
       MAXIMUM_SCAN_LINE_COMPARE_9 = 1 << 6,
       MAXIMUM_SCAN_LINE_DOUBLE = 1 << 7,
       CURSOR_START_OFF = 1 << 5,
       RETRACE_END_PROTECT = 1 << 7,
       UNDERLINE_DOUBLEWORD = 1 << 6,
       UNDERLINE_COUNT_BY_4 = 1 << 5,
       MODE_CONTROL_CMS_0 = 1 << 0, /* 0: row scan bit 0 becomes address bit 13, as on a CGA */
       MODE_CONTROL_CMS_1 = 1 << 1, /* 0: row scan bit 1 becomes address bit 14, as on a Hercules */
       MODE_CONTROL_COUNT_BY_2 = 1 << 3,
       MODE_CONTROL_WRAP_15 = 1 << 5,
       MODE_CONTROL_BYTE = 1 << 6,
};

enum { /* attribute controller */
       ATTRIBUTE_PALETTE = 0x00,
       ATTRIBUTE_MODE_CONTROL = 0x10,
       ATTRIBUTE_OVERSCAN = 0x11,
       ATTRIBUTE_PLANE_ENABLE = 0x12,
       ATTRIBUTE_PIXEL_PANNING = 0x13,
       ATTRIBUTE_COLOR_SELECT = 0x14,
       ATTRIBUTE_REGISTERS = 0x15,

       ATTRIBUTE_INDEX_MASK = 0x1f,
       ATTRIBUTE_PALETTE_ADDRESS_SOURCE = 1 << 5, /* of the index: 0 blanks the screen */
       CONTROL_GRAPHICS = 1 << 0,
       CONTROL_LINE_GRAPHICS = 1 << 2, /* the ninth dot of C0h-DFh repeats the eighth */
       CONTROL_BLINK = 1 << 3,
       CONTROL_PANNING_COMPATIBLE = 1 << 5, /* the part below a line compare does not pan */
       CONTROL_PIXEL_WIDTH = 1 << 6,
       CONTROL_P5_P4_SELECT = 1 << 7,
};

enum { /* miscellaneous output */
       OUTPUT_COLOR_ADDRESSES = 1 << 0,
       OUTPUT_ENABLE_RAM = 1 << 1,
       OUTPUT_CLOCK_28_MHZ = 1 << 2,
};

enum { /* Bochs' display interface; the list of registers in vga-dispi.c */
       DISPI_ID = 0,
       DISPI_XRES = 1,
       DISPI_YRES = 2,
       DISPI_BPP = 3,
       DISPI_ENABLE = 4,
       DISPI_BANK = 5,
       DISPI_VIRT_WIDTH = 6,
       DISPI_VIRT_HEIGHT = 7,
       DISPI_X_OFFSET = 8,
       DISPI_Y_OFFSET = 9,
       DISPI_VIDEO_MEMORY_64K = 10,
       DISPI_REGISTERS = 11,

       DISPI_ENABLED = 0x01,
       DISPI_GETCAPS = 0x02,
       DISPI_8BIT_DAC = 0x20,
       DISPI_LFB_ENABLED = 0x40,
       DISPI_NOCLEARMEM = 0x80,
};

enum {
    WINDOW_BASE = 0xa0000,
    WINDOW_SIZE = 0x20000,
    TEXT_WINDOW_BASE = 0xb8000,
    TEXT_WINDOW_SIZE = 0x8000,
    BANK_SIZE = 0x10000,
    PLANES = 4,
    PLANE_SIZE = 0x10000,
};

/* What stands in A0000h-BFFFFh as plain memory, so that the guest's accesses need no help. */
enum vga_window { WINDOW_TRAPPED, WINDOW_TEXT, WINDOW_CHAIN_4, WINDOW_BANK };

struct vga {
    struct memory *memory;
    struct clock *clock;
    struct display_source display;
    struct display_view *views; /* those that look now, a list */

    /* 16 MiB, by the host page on demand. The four planes lie interleaved: byte offset * 4 + plane. */
    uint8_t *picture;

    uint8_t misc_output, feature_control, subsystem_enable;
    uint8_t sequencer_index, sequencer[SEQUENCER_REGISTERS];
    uint8_t graphics_index, graphics[GRAPHICS_REGISTERS];
    uint8_t crtc_index, crtc[CRTC_REGISTERS];
    uint8_t attribute_index, attribute[ATTRIBUTE_REGISTERS]; /* the index with its bit 5 */
    bool attribute_data_next;

    uint8_t dac_mask, dac_read_index, dac_write_index, dac_component;
    bool dac_reading;
    uint8_t dac_latch[3];
    uint8_t dac[256][3]; /* red, green, blue: 6 bits each, 8 under DISPI_8BIT_DAC */

    uint16_t dispi_index, dispi[DISPI_REGISTERS];

    uint8_t latch[PLANES];
    enum vga_window window;
    unsigned window_accesses; /* trapped ones that needed no trap, since a register was in the way */
    uint8_t *copy;            /* 64 KiB behind the window while it is WINDOW_TEXT or WINDOW_CHAIN_4 */
};

/* vga-registers.c */
uint64_t vga_port_read(void *vga, uint64_t offset, unsigned size); /* offset from 3B0h */
void vga_port_write(void *vga, uint64_t offset, unsigned size, uint64_t value);
void vga_registers_reset(struct vga *vga);

/* vga-memory.c */
uint64_t vga_window_read(void *vga, uint64_t offset, unsigned size); /* offset from A0000h */
void vga_window_write(void *vga, uint64_t offset, unsigned size, uint64_t value);
/* After a change of any register: what is mapped and no longer right is trapped again. */
void vga_window_check(struct vga *vga);
/* Traps the window, bringing the planes up to date. */
void vga_window_trap(struct vga *vga);
void vga_window_bank_changed(struct vga *vga);
/* Brings the planes up to date with a window that the guest may be writing to. */
void vga_window_sync(struct vga *vga);

/* vga-dispi.c */
uint64_t vga_dispi_read(void *vga, uint64_t offset, unsigned size); /* offset from 1CEh */
void vga_dispi_write(void *vga, uint64_t offset, unsigned size, uint64_t value);
uint16_t vga_dispi_get(const struct vga *vga, unsigned index);
void vga_dispi_set(struct vga *vga, unsigned index, uint16_t value);
static inline bool vga_dispi_enabled(const struct vga *vga)
{
    return vga->dispi[DISPI_ENABLE] & DISPI_ENABLED;
}
void vga_dispi_reset(struct vga *vga);
/* Bytes from one row to the next, at 4 bits of one plane; what is shown always lies within the picture memory. */
unsigned vga_dispi_pitch(const struct vga *vga);

/* vga-edid.c */
enum { EDID_SIZE = 128 };
uint8_t vga_edid_byte(unsigned offset);

/* vga-timing.c: the beam, from the CRT controller's registers */
unsigned vga_display_columns(const struct vga *vga); /* characters */
unsigned vga_display_lines(const struct vga *vga);   /* scan lines */
unsigned vga_character_dots(const struct vga *vga);  /* 8 or 9 */
uint8_t vga_input_status_1(const struct vga *vga);

/* vga-view.c */
extern const struct display_source vga_display_source;
/* The device itself has written to picture memory that is shown in a linear mode. */
void vga_touched(struct vga *vga, uint64_t offset, uint64_t size);

/* vga-text.c */
bool vga_is_text(const struct vga *vga);
bool vga_is_blank(const struct vga *vga);
uint32_t vga_color(const struct vga *vga, unsigned dac_index);         /* 00RRGGBBh */
unsigned vga_palette_entry(const struct vga *vga, unsigned attribute); /* 0 to 15 -> DAC index */
uint16_t vga_crtc_address(const struct vga *vga, unsigned counter, unsigned row_scan);
bool vga_text(void *vga, struct text_screen *screen);

#endif
