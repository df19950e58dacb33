/*
 * The system firmware: finding SeaBIOS and the VGA BIOS, laying out guest memory as it expects, and telling it through
 * fw_cfg and CMOS what the machine has.
 */
#ifndef FIRMWARE_BIOS_H
#define FIRMWARE_BIOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"
#include "core/topology.h"
#include "devices/fwcfg.h"

/* A ROM image. All zeros: none. */
struct firmware {
    uint8_t *image; /* of size rounded up to whole pages */
    size_t size;
    char path[256];
};

/*
 * Reads the system BIOS: `path` (what -bios says; a bare name is looked for in the firmware directories), or NULL for
 * SeaBIOS from the distribution. False with one line in `error`.
 */
bool firmware_load_bios(struct firmware *bios, const char *path, char *error, size_t error_size);
/* The same for the VGA BIOS of the standard adapter. */
bool firmware_load_vga(struct firmware *rom, char *error, size_t error_size);
/* The same for a card's boot ROM. */
bool firmware_load_rom(struct firmware *rom, const char *name, char *error, size_t error_size);
void firmware_free(struct firmware *firmware);

/* Maps RAM from 1 MiB up (below that the host bridge does) and the BIOS, if there is one, below 4 GiB. */
void firmware_map(struct memory *memory, const struct firmware *bios);
/* What of the BIOS is seen below 1 MiB: the last 128 KiB of it at most. */
uint8_t *firmware_low(const struct firmware *bios, size_t *size);
/* How much of the RAM lies below 4 GiB; the rest begins at 4 GiB. */
uint64_t firmware_ram_below_4g(uint64_t ram_size);

struct firmware_description {
    uint64_t ram_size;
    const struct cpus *cpus;
    const char *boot_order; /* -boot's letters, "cad" */
    const char
        *boot_paths; /* the same as Open Firmware paths, a line each, with what comes before by bootindex= */
    bool boot_menu;  /* -boot menu=on */
    uint8_t floppy_types[2];    /* CMOS 10h: 0 none, 4 1.44 MB, 5 2.88 MB, 2 1.2 MB ... */
    uint64_t disk_sizes[4];     /* bytes of the IDE disks, 0 where there is none or a CD-ROM drive */
    const struct firmware *vga; /* NULL without a display adapter */
    bool hpet;                  /* at HPET_ADDRESS */
    bool apic;                  /* the engine has local APICs and an IOAPIC */
    bool serial[2];             /* COM1, COM2 */
};

/* Fills fw_cfg and the CMOS cells (through set_cell, which is the clock chip's); again, with -boot once, at a reset. */
void firmware_describe(const struct firmware_description *description, struct fwcfg *fwcfg,
                       void (*set_cell)(void *opaque, unsigned cell, uint8_t value), void *opaque);

#endif
