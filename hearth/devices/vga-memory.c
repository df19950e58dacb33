/*
 * The processor's window A0000h-BFFFFh onto the four planes: write modes 0 to 3, read modes 0 and 1, latches, odd/even
 * and chain 4; under Bochs' interface a 64 KiB bank of the linear picture at A0000h.
 *
 * Trapping every access is right but slow, so where the window is nothing but memory it is mapped as memory: text at
 * B8000h-BFFFFh (a copy, brought back into planes 0 and 1 before anybody looks at them) and the linear banks. What is
 * mapped is taken away as soon as a register makes it wrong; it is mapped only after some accesses in a row found
 * nothing against it, because programs that load a font or draw with write modes change the registers all the time.
 *
 * Leaves out: odd/even at the page of miscellaneous output bit 5 (address bit 0 is always replaced by 0).
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Graphics Controller" and "Sequencer".
 */
#include "devices/vga-state.h"

#include <string.h>

enum { MAP_AFTER_ACCESSES = 16 };

enum { ROTATE_COUNT = 0x07, FUNCTION_SHIFT = 3 };
enum logical_function { FUNCTION_REPLACE, FUNCTION_AND, FUNCTION_OR, FUNCTION_XOR };

/* ---- what of the window is decoded */

static const struct {
    unsigned base, size;
} window_maps[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};

static unsigned window_map(const struct vga *vga)
{
    return vga->graphics[GRAPHICS_MISCELLANEOUS] >> 2 & 3;
}

/* Whether the banks of Bochs' interface stand at A0000h: its 4-bit modes are planar, as the VGA's. */
static bool is_linear(const struct vga *vga)
{
    return vga_dispi_enabled(vga) && vga->dispi[DISPI_BPP] > 4;
}

/* An offset from A0000h to one within the planes' 64 KiB; false where nothing is decoded. */
static bool window_offset(const struct vga *vga, uint64_t *offset)
{
    unsigned map = window_map(vga);
    if (!(vga->misc_output & OUTPUT_ENABLE_RAM))
        return false;
    if (*offset < window_maps[map].base || *offset >= window_maps[map].base + window_maps[map].size)
        return false;
    *offset -= window_maps[map].base;
    return true;
}

/* ---- the planes */

static uint8_t *plane_byte(struct vga *vga, uint64_t offset, unsigned plane)
{
    uint64_t bank = vga_dispi_enabled(vga) ? vga->dispi[DISPI_BANK] : 0;
    uint64_t address = (bank * PLANE_SIZE + (offset & (PLANE_SIZE - 1))) * PLANES + plane;
    return &vga->picture[address & (VGA_MEMORY_SIZE - 1)];
}

/* Read mode 1: a bit of the answer is set where all planes that count have the colour asked for. */
static uint8_t color_compare(const struct vga *vga)
{
    uint8_t equal = 0xff;
    for (unsigned plane = 0; plane < PLANES; plane++) {
        if (!(vga->graphics[GRAPHICS_COLOR_DONT_CARE] >> plane & 1))
            continue;
        bool wanted = vga->graphics[GRAPHICS_COLOR_COMPARE] >> plane & 1;
        equal &= wanted ? vga->latch[plane] : ~vga->latch[plane];
    }
    return equal;
}

/* Chain 4: the two bits that choose the plane are filled with bits 14 and 15, as the CRT controller's double word
 * addresses are. */
static uint64_t chained(uint64_t offset)
{
    return (offset & 0xfffc) | (offset >> 14 & 3);
}

static uint8_t planes_read(struct vga *vga, uint64_t offset)
{
    unsigned plane = vga->graphics[GRAPHICS_READ_MAP_SELECT];
    if (vga->sequencer[SEQUENCER_MEMORY_MODE] & MEMORY_MODE_CHAIN_4) {
        plane = offset & 3;
        offset = chained(offset);
    } else if (vga->graphics[GRAPHICS_MODE] & MODE_ODD_EVEN) {
        plane = (plane & 2) | (offset & 1);
        offset &= ~1ull;
    }
    for (unsigned i = 0; i < PLANES; i++)
        vga->latch[i] = *plane_byte(vga, offset, i);
    return vga->graphics[GRAPHICS_MODE] & MODE_READ_COMPARE ? color_compare(vga) : vga->latch[plane];
}

static uint8_t combine(const struct vga *vga, uint8_t value, uint8_t latch)
{
    switch ((enum logical_function)(vga->graphics[GRAPHICS_DATA_ROTATE] >> FUNCTION_SHIFT & 3)) {
    case FUNCTION_AND: return value & latch;
    case FUNCTION_OR: return value | latch;
    case FUNCTION_XOR: return value ^ latch;
    case FUNCTION_REPLACE: break;
    }
    return value;
}

/* What a write puts into one plane, in each of the four write modes. */
static uint8_t plane_value(const struct vga *vga, uint8_t value, unsigned plane)
{
    const uint8_t *graphics = vga->graphics;
    unsigned rotate = graphics[GRAPHICS_DATA_ROTATE] & ROTATE_COUNT;
    uint8_t rotated = (uint8_t)(value >> rotate | value << (8 - rotate));
    uint8_t set_reset = graphics[GRAPHICS_SET_RESET] >> plane & 1 ? 0xff : 0;
    uint8_t mask = graphics[GRAPHICS_BIT_MASK];
    uint8_t latch = vga->latch[plane];

    switch (graphics[GRAPHICS_MODE] & MODE_WRITE) {
    case 0: value = graphics[GRAPHICS_ENABLE_SET_RESET] >> plane & 1 ? set_reset : rotated; break;
    case 1: return latch;
    case 2: value = value >> plane & 1 ? 0xff : 0; break;
    case 3: mask &= rotated; return (set_reset & mask) | (latch & ~mask);
    }
    return (combine(vga, value, latch) & mask) | (latch & ~mask);
}

static void planes_write(struct vga *vga, uint64_t offset, uint8_t value)
{
    unsigned planes = vga->sequencer[SEQUENCER_MAP_MASK];
    if (vga->sequencer[SEQUENCER_MEMORY_MODE] & MEMORY_MODE_CHAIN_4) {
        planes &= 1u << (offset & 3);
        offset = chained(offset);
    } else if (!(vga->sequencer[SEQUENCER_MEMORY_MODE] & MEMORY_MODE_NOT_ODD_EVEN)) {
        planes &= offset & 1 ? 0x0a : 0x05;
        offset &= ~1ull;
    }
    for (unsigned plane = 0; plane < PLANES; plane++)
        if (planes >> plane & 1)
            *plane_byte(vga, offset, plane) = plane_value(vga, value, plane);
    if (vga_dispi_enabled(vga))
        vga_touched(vga, (uint64_t)(plane_byte(vga, offset, 0) - vga->picture), PLANES);
}

/* ---- mapping it */

/* Where a read gives back what was written, plane by plane, without latches, masks or functions. */
static bool writes_are_plain(const struct vga *vga)
{
    return !(vga->graphics[GRAPHICS_MODE] & (MODE_WRITE | MODE_READ_COMPARE)) &&
           !vga->graphics[GRAPHICS_DATA_ROTATE] && !vga->graphics[GRAPHICS_ENABLE_SET_RESET] &&
           vga->graphics[GRAPHICS_BIT_MASK] == 0xff;
}

static bool is_text_window(const struct vga *vga)
{
    return vga_is_text(vga) && window_map(vga) == 3 && writes_are_plain(vga) &&
           !(vga->sequencer[SEQUENCER_MEMORY_MODE] & (MEMORY_MODE_CHAIN_4 | MEMORY_MODE_NOT_ODD_EVEN)) &&
           vga->graphics[GRAPHICS_MODE] & MODE_ODD_EVEN && !(vga->graphics[GRAPHICS_READ_MAP_SELECT] & 2) &&
           (vga->sequencer[SEQUENCER_MAP_MASK] & 0x0f) == 0x03;
}

/* Mode 13h and its like: byte after byte, whichever plane it lies in. */
static bool is_chain_4_window(const struct vga *vga)
{
    return !vga_is_text(vga) && window_map(vga) == 1 && writes_are_plain(vga) &&
           vga->sequencer[SEQUENCER_MEMORY_MODE] & MEMORY_MODE_CHAIN_4 &&
           vga->sequencer[SEQUENCER_MAP_MASK] == 0x0f;
}

static enum vga_window window_wanted(const struct vga *vga)
{
    if (!(vga->misc_output & OUTPUT_ENABLE_RAM))
        return WINDOW_TRAPPED;
    if (is_linear(vga))
        return window_map(vga) <= 1 ? WINDOW_BANK : WINDOW_TRAPPED;
    if (vga_dispi_enabled(vga))
        return WINDOW_TRAPPED;
    if (is_text_window(vga))
        return WINDOW_TEXT;
    return is_chain_4_window(vga) ? WINDOW_CHAIN_4 : WINDOW_TRAPPED;
}

static uint8_t *bank_start(const struct vga *vga)
{
    return vga->picture + (uint64_t)vga->dispi[DISPI_BANK] * BANK_SIZE % VGA_MEMORY_SIZE;
}

/* Where the i-th byte of a copied window lies in the picture. */
static uint64_t copy_index(enum vga_window window, unsigned i)
{
    return window == WINDOW_TEXT ? (i & ~1u) * PLANES + (i & 1) : chained(i) * PLANES + (i & 3);
}

static struct memory_range window_range(const struct vga *vga, enum vga_window window)
{
    switch (window) {
    case WINDOW_TEXT:
        return (struct memory_range){TEXT_WINDOW_BASE, TEXT_WINDOW_SIZE, vga->copy, true, "vga text"};
    case WINDOW_CHAIN_4: return (struct memory_range){WINDOW_BASE, BANK_SIZE, vga->copy, true, "vga chain 4"};
    case WINDOW_BANK: return (struct memory_range){WINDOW_BASE, BANK_SIZE, bank_start(vga), true, "vga bank"};
    case WINDOW_TRAPPED: break;
    }
    return (struct memory_range){.base = WINDOW_BASE};
}

static void window_map_memory(struct vga *vga, enum vga_window window)
{
    struct memory_range range = window_range(vga, window);
    if (range.host == vga->copy)
        for (unsigned i = 0; i < range.size; i++)
            vga->copy[i] = vga->picture[copy_index(window, i)];
    memory_map(vga->memory, &range);
    vga->window = window;
}

void vga_window_sync(struct vga *vga)
{
    struct memory_range range = window_range(vga, vga->window);
    if (range.host == vga->copy)
        for (unsigned i = 0; i < range.size; i++)
            vga->picture[copy_index(vga->window, i)] = vga->copy[i];
}

void vga_window_trap(struct vga *vga)
{
    if (vga->window == WINDOW_TRAPPED)
        return;
    /* First out of the guest's reach, then copied: what another processor writes meanwhile must not be lost. */
    struct memory_range range = window_range(vga, vga->window);
    memory_unmap(vga->memory, range.base, range.size);
    vga_window_sync(vga);
    vga->window = WINDOW_TRAPPED;
}

void vga_window_check(struct vga *vga)
{
    enum vga_window wanted = window_wanted(vga);
    if (vga->window != wanted)
        vga_window_trap(vga);
    if (wanted == WINDOW_TRAPPED)
        vga->window_accesses = 0;
}

void vga_window_bank_changed(struct vga *vga)
{
    if (vga->window == WINDOW_BANK)
        window_map_memory(vga, WINDOW_BANK);
}

/* After a trapped access: enough of them that needed no trap map the window. */
static void window_accessed(struct vga *vga)
{
    enum vga_window wanted = window_wanted(vga);
    if (wanted != vga->window && ++vga->window_accesses >= MAP_AFTER_ACCESSES)
        window_map_memory(vga, wanted);
}

/* ---- trapped accesses */

uint64_t vga_window_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *vga = opaque;
    (void)size;
    if (!window_offset(vga, &offset))
        return 0xff;
    uint8_t value = is_linear(vga) ? bank_start(vga)[offset % BANK_SIZE] : planes_read(vga, offset);
    window_accessed(vga);
    return value;
}

void vga_window_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = opaque;
    (void)size;
    if (!window_offset(vga, &offset))
        return;
    if (is_linear(vga)) {
        uint8_t *byte = &bank_start(vga)[offset % BANK_SIZE];
        *byte = (uint8_t)value;
        vga_touched(vga, (uint64_t)(byte - vga->picture), 1);
    } else {
        planes_write(vga, offset, (uint8_t)value);
    }
    window_accessed(vga);
}
