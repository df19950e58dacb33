/*
 * Bochs' display interface, version B0C5h, at ports 1CEh (index) and 1CFh or 1D0h (data, 16 bits), and at 500h of BAR2.
 * Resolution and depth change only while it is disabled; whatever is asked for is brought into what 16 MiB can show, so
 * that the visible rectangle never leaves the picture memory. Leaves out: the BIOS modes of versions before B0C2h.
 * Source: Bochs VBE display interface, "VBE DISPI API" (vbe_display_api.txt), register list.
 */
#include "devices/vga-state.h"

#include <string.h>
#include <sys/mman.h>

enum { PORT_INDEX = 0, PORT_DATA = 1, PORT_DATA_EVEN = 2 };

enum {
    ID_FIRST = 0xb0c0,
    ID_LAST = 0xb0c5,
    MOST_XRES = 16000,
    MOST_YRES = 12000,
    MOST_BPP = 32,
    BANK_64K = 0x10000,
    WIDTH_STEP = 8,
};

static unsigned clamp(unsigned value, unsigned least, unsigned most)
{
    return value < least ? least : value > most ? most : value;
}

static bool bpp_is_known(unsigned bpp)
{
    return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

/* Picture memory that `pixels` take, all planes together. */
static unsigned bytes_of(const struct vga *vga, unsigned pixels)
{
    unsigned bpp = vga->dispi[DISPI_BPP];
    return bpp == 4 ? pixels / 2 : pixels * ((bpp + 7) / 8);
}

unsigned vga_dispi_pitch(const struct vga *vga)
{
    unsigned width = vga->dispi[DISPI_VIRT_WIDTH];
    return vga->dispi[DISPI_BPP] == 4 ? width / 8 : bytes_of(vga, width);
}

/* After any change: the virtual screen is as high as memory allows, and the visible part lies within it. */
static void fit(struct vga *vga)
{
    uint16_t *dispi = vga->dispi;
    if (!bpp_is_known(dispi[DISPI_BPP]))
        dispi[DISPI_BPP] = 8;
    dispi[DISPI_XRES] = clamp(dispi[DISPI_XRES], WIDTH_STEP, MOST_XRES) & ~(WIDTH_STEP - 1);
    dispi[DISPI_VIRT_WIDTH] =
        clamp(dispi[DISPI_VIRT_WIDTH], dispi[DISPI_XRES], MOST_XRES) & ~(WIDTH_STEP - 1);
    unsigned rows = VGA_MEMORY_SIZE / bytes_of(vga, dispi[DISPI_VIRT_WIDTH]);
    dispi[DISPI_VIRT_HEIGHT] = clamp(rows, 1, UINT16_MAX);
    dispi[DISPI_YRES] = clamp(dispi[DISPI_YRES], 1, clamp(rows, 1, MOST_YRES));
    dispi[DISPI_X_OFFSET] =
        clamp(dispi[DISPI_X_OFFSET], 0, (unsigned)dispi[DISPI_VIRT_WIDTH] - dispi[DISPI_XRES]);
    dispi[DISPI_Y_OFFSET] =
        clamp(dispi[DISPI_Y_OFFSET], 0, (unsigned)dispi[DISPI_VIRT_HEIGHT] - dispi[DISPI_YRES]);
}

static void enable(struct vga *vga, uint16_t value)
{
    bool was = vga_dispi_enabled(vga);
    /* The window still shows the planes of the mode that ends. */
    vga_window_trap(vga);
    if ((value ^ vga->dispi[DISPI_ENABLE]) & DISPI_8BIT_DAC)
        for (unsigned i = 0; i < 256; i++)
            for (unsigned color = 0; color < 3; color++)
                vga->dac[i][color] =
                    value & DISPI_8BIT_DAC ? vga->dac[i][color] << 2 : vga->dac[i][color] >> 2;
    vga->dispi[DISPI_ENABLE] = value;
    if (was || !(value & DISPI_ENABLED))
        return;
    vga->dispi[DISPI_BANK] = 0;
    vga->dispi[DISPI_X_OFFSET] = vga->dispi[DISPI_Y_OFFSET] = 0;
    vga->dispi[DISPI_VIRT_WIDTH] = 0; /* fit() makes it as wide as the screen */
    fit(vga);
    /* Zeroes without touching 16 MiB: the host gives fresh pages when they are used. */
    if (value & DISPI_NOCLEARMEM)
        return;
    madvise(vga->picture, VGA_MEMORY_SIZE, MADV_DONTNEED);
    vga_touched(vga, 0, VGA_MEMORY_SIZE);
}

static void set_bank(struct vga *vga, uint16_t value)
{
    unsigned banks = VGA_MEMORY_SIZE / BANK_64K;
    if (vga->dispi[DISPI_BPP] == 4)
        banks /= PLANES;
    vga->dispi[DISPI_BANK] = value & (banks - 1);
    vga_window_bank_changed(vga);
}

void vga_dispi_set(struct vga *vga, unsigned index, uint16_t value)
{
    switch (index) {
    case DISPI_ID:
        if (value >= ID_FIRST && value <= ID_LAST)
            vga->dispi[DISPI_ID] = value;
        break;
    case DISPI_XRES:
    case DISPI_YRES:
    case DISPI_BPP:
        if (!vga_dispi_enabled(vga))
            vga->dispi[index] = value;
        break;
    case DISPI_ENABLE: enable(vga, value); break;
    case DISPI_BANK: set_bank(vga, value); break;
    case DISPI_VIRT_WIDTH:
    case DISPI_X_OFFSET:
    case DISPI_Y_OFFSET:
        vga->dispi[index] = value;
        if (vga_dispi_enabled(vga))
            fit(vga);
        break;
    default: break; /* virtual height and memory size are only read */
    }
}

uint16_t vga_dispi_get(const struct vga *vga, unsigned index)
{
    if (vga->dispi[DISPI_ENABLE] & DISPI_GETCAPS) {
        switch (index) {
        case DISPI_XRES: return MOST_XRES;
        case DISPI_YRES: return MOST_YRES;
        case DISPI_BPP: return MOST_BPP;
        default: break;
        }
    }
    if (index == DISPI_VIDEO_MEMORY_64K)
        return VGA_MEMORY_SIZE / BANK_64K;
    return index < DISPI_REGISTERS ? vga->dispi[index] : 0;
}

void vga_dispi_reset(struct vga *vga)
{
    memset(vga->dispi, 0, sizeof(vga->dispi));
    vga->dispi[DISPI_ID] = ID_LAST;
    vga->dispi_index = 0;
}

uint64_t vga_dispi_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *vga = opaque;
    if (size != 2)
        return UINT64_MAX;
    return offset == PORT_INDEX ? vga->dispi_index : vga_dispi_get(vga, vga->dispi_index);
}

void vga_dispi_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = opaque;
    if (size != 2)
        return;
    if (offset == PORT_INDEX)
        vga->dispi_index = (uint16_t)value;
    else if (offset == PORT_DATA || offset == PORT_DATA_EVEN)
        vga_dispi_set(vga, vga->dispi_index, (uint16_t)value);
}
