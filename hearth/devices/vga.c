/*
 * The VGA as a whole: creation, reset, its places on the buses and what lies behind the PCI function's BARs. The parts
 * are in vga-registers.c (ports), vga-memory.c (planes and window), vga-dispi.c (Bochs' interface), vga-timing.c (beam),
 * vga-text.c, vga-render.c and vga-view.c (the picture). Leaves out: interrupts on vertical retrace (IRQ 2), which no PC BIOS wires.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem.
 */
#include "devices/vga-state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/log.h"

enum {
    PORT_BASE = 0x3b0,
    PORT_COUNT = 0x30,
    DISPI_BASE = 0x1ce,
    DISPI_COUNT = 4, /* the last one so that a word at 1D0h is not cut in two */

    MMIO_VGA = 0x400, /* as 3C0h-3DFh */
    MMIO_VGA_END = 0x420,
    MMIO_VGA_PORT = 0x10, /* 3C0h as an offset from PORT_BASE */
    MMIO_DISPI = 0x500,
    MMIO_DISPI_END = MMIO_DISPI + 2 * DISPI_REGISTERS,
    MMIO_EXTENDED = 0x600,
    MMIO_EXTENDED_SIZE = 8,
    LITTLE_ENDIAN_FRAMES = 0x1e1e1e1e,
};

struct vga *vga_create(struct memory *memory, struct bus *ports, struct bus *mmio, struct clock *clock)
{
    uint8_t *picture = mmap(NULL, VGA_MEMORY_SIZE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (picture == MAP_FAILED)
        return NULL;
    uint8_t *copy =
        mmap(NULL, BANK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (copy == MAP_FAILED) {
        int error = errno;
        munmap(picture, VGA_MEMORY_SIZE);
        errno = error;
        return NULL;
    }
    struct vga *vga = allocate(sizeof(*vga));
    *vga = (struct vga){.memory = memory, .clock = clock, .picture = picture, .copy = copy};
    vga->display = vga_display_source;
    vga->display.device = vga;
    vga_reset(vga);

    bus_add(ports, &(struct bus_range){PORT_BASE, PORT_COUNT, "vga", vga, vga_port_read, vga_port_write, 1});
    bus_add(ports, &(struct bus_range){DISPI_BASE, DISPI_COUNT, "vga dispi", vga, vga_dispi_read,
                                       vga_dispi_write, 2});
    bus_add(mmio, &(struct bus_range){WINDOW_BASE, WINDOW_SIZE, "vga window", vga, vga_window_read,
                                      vga_window_write, 1});
    return vga;
}

void vga_destroy(struct vga *vga)
{
    if (!vga)
        return;
    munmap(vga->picture, VGA_MEMORY_SIZE);
    munmap(vga->copy, BANK_SIZE);
    free(vga);
}

void vga_reset(struct vga *vga)
{
    vga_window_trap(vga);
    vga->window_accesses = 0;
    vga_registers_reset(vga);
    vga_dispi_reset(vga);
    madvise(vga->picture, VGA_MEMORY_SIZE, MADV_DONTNEED);
    vga_touched(vga, 0, VGA_MEMORY_SIZE);
}

const struct display_source *vga_display(struct vga *vga)
{
    return &vga->display;
}

/* ---- BAR2: EDID, the ports once more, the display interface, and two registers that QEMU's has: their size in bytes and
 * the order of bytes in the frame buffer, which is always Intel's here */

static uint64_t edid_read(uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)vga_edid_byte((unsigned)offset + i) << (8 * i);
    return value;
}

static uint64_t extended_read(uint64_t offset, unsigned size)
{
    static const uint32_t registers[] = {MMIO_EXTENDED_SIZE, LITTLE_ENDIAN_FRAMES};
    uint64_t at = offset - MMIO_EXTENDED;
    return registers[at / 4] >> (8 * (at % 4)) & (size < 4 ? (1u << 8 * size) - 1 : UINT32_MAX);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *vga = opaque;
    if (offset < EDID_SIZE)
        return edid_read(offset, size);
    if (offset >= MMIO_EXTENDED && offset < MMIO_EXTENDED + MMIO_EXTENDED_SIZE)
        return extended_read(offset, size);
    if (offset >= MMIO_VGA && offset < MMIO_VGA_END) {
        uint64_t value = 0;
        for (unsigned i = 0; i < size && offset + i < MMIO_VGA_END; i++)
            value |= vga_port_read(vga, offset - MMIO_VGA + MMIO_VGA_PORT + i, 1) << (8 * i);
        return value;
    }
    if (offset >= MMIO_DISPI && offset < MMIO_DISPI_END && size == 2)
        return vga_dispi_get(vga, (unsigned)(offset - MMIO_DISPI) / 2);
    return 0;
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *vga = opaque;
    if (offset >= MMIO_VGA && offset < MMIO_VGA_END)
        for (unsigned i = 0; i < size && offset + i < MMIO_VGA_END; i++)
            vga_port_write(vga, offset - MMIO_VGA + MMIO_VGA_PORT + i, 1, (uint8_t)(value >> (8 * i)));
    else if (offset >= MMIO_DISPI && offset < MMIO_DISPI_END && size == 2)
        vga_dispi_set(vga, (unsigned)(offset - MMIO_DISPI) / 2, (uint16_t)value);
}

void vga_add_to_pci(struct vga *vga, struct pci_bus *pci, unsigned slot, const uint8_t *rom, size_t rom_size)
{
    const struct pci_identity identity = {
        .name = "VGA controller",
        .vendor = 0x1234,
        .device = 0x1111,
        .class_code = 0x030000,
        .revision = 2,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
    };
    const struct pci_bar frame_buffer = {
        .kind = PCI_BAR_PREFETCHABLE,
        .size = VGA_MEMORY_SIZE,
        .name = "vga frame buffer",
        .host = vga->picture,
    };
    const struct pci_bar registers = {
        .kind = PCI_BAR_MEMORY,
        .size = VGA_MMIO_SIZE,
        .name = "vga registers",
        .device = vga,
        .read = mmio_read,
        .write = mmio_write,
        .widest = 2,
    };
    struct pci_device *function = pci_add(pci, slot, 0, &identity);
    pci_add_bar(function, 0, &frame_buffer);
    pci_add_bar(function, 2, &registers);
    if (rom)
        pci_add_rom(function, rom, rom_size);
}
