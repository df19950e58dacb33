/*
 * The display adapter: a VGA with Bochs' display interface and a linear frame buffer, as PCI function 1234:1111, which
 * SeaBIOS's vgabios-stdvga.bin drives. Ports 3B0h-3DFh and 1CEh-1D1h, memory A0000h-BFFFFh.
 */
#ifndef DEVICES_VGA_H
#define DEVICES_VGA_H

#include "core/bus.h"
#include "core/clock.h"
#include "core/memory.h"
#include "devices/pci.h"
#include "display/surface.h"

enum { VGA_MEMORY_SIZE = 16 << 20, VGA_MMIO_SIZE = 4096 };

struct vga;

/* Registers its ports and A0000h-BFFFFh on the buses; all four arguments outlive it. Machine lock held for every
 * function here. NULL with errno if the host gives no memory. */
struct vga *vga_create(struct memory *memory, struct bus *ports, struct bus *mmio, struct clock *clock);
void vga_destroy(struct vga *vga);
/* What the RESET line does: registers cleared, picture memory zeroed, A0000h-BFFFFh trapped again. */
void vga_reset(struct vga *vga);

/* The picture, for displays; lives as long as the VGA. */
const struct display_source *vga_display(struct vga *vga);

/* Makes it PCI function 1234:1111 in this slot: BAR0 the picture memory, BAR2 the registers once more (EDID at 0,
 * ports at 400h, display interface at 500h), and its BIOS, which is copied, as expansion ROM (NULL: none). */
void vga_add_to_pci(struct vga *vga, struct pci_bus *pci, unsigned slot, const uint8_t *rom, size_t rom_size);

#endif
