/*
 * Telling the firmware what the machine has: fw_cfg items and CMOS cells.
 *
 * Sources: SeaBIOS, docs/Runtime_config and docs/Memory_Model; QEMU, docs/specs/fw_cfg; for the cells that firmware does
 * not read but guests do, the IBM AT's BIOS as in the "CMOS" list of Ralf Brown.
 */
#include "firmware/acpi.h"
#include "firmware/bios.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum cmos_cell {
    CMOS_FLOPPY_TYPES = 0x10,
    CMOS_DISK_TYPES = 0x12,
    CMOS_EQUIPMENT = 0x14,
    CMOS_BASE_MEMORY = 0x15,     /* KiB, 2 bytes */
    CMOS_EXTENDED_MEMORY = 0x17, /* KiB from 1 MiB, 2 bytes; again at 30h */
    CMOS_DISK_0_TYPE = 0x19,
    CMOS_DISK_1_TYPE = 0x1a,
    CMOS_DISK_0 = 0x1b, /* 9 bytes of geometry */
    CMOS_DISK_1 = 0x24,
    CMOS_EXTENDED_MEMORY_FOUND = 0x30,
    CMOS_MEMORY_ABOVE_16M = 0x34, /* 64 KiB units, 2 bytes */
    CMOS_BOOT_3 = 0x38,           /* third boot device in the high nibble */
    CMOS_DISK_TRANSLATION = 0x39, /* 2 bits a drive */
    CMOS_BOOT_1_2 = 0x3d,
    CMOS_MEMORY_ABOVE_4G = 0x5b, /* 64 KiB units, 3 bytes */
    CMOS_CPUS = 0x5f,            /* less one */

    EQUIPMENT_FLOPPY = 1 << 0,
    EQUIPMENT_FPU = 1 << 1,
    EQUIPMENT_MOUSE = 1 << 2,
    EQUIPMENT_SECOND_FLOPPY = 1 << 6,
    DISK_TYPE_EXTENDED = 0xf,
    DISK_TYPE_USER = 47,
    DISK_MANY_HEADS = 1 << 3,
    TRANSLATE_LBA = 1,
};

enum { DRIVES = 4, BOOT_DEVICES = 3, HEADS = 16, TRACK_SECTORS = 63, CYLINDERS_MOST = 16383 };
enum { SECTOR = 512, KIBIBYTE = 1 << 10, UNIT_64K = 1 << 16, MEBIBYTE = 1 << 20 };

/* A BIOS without translation reaches 1024 cylinders, 16 heads and 63 sectors. */
#define UNTRANSLATED_MOST (1024ull * HEADS * TRACK_SECTORS * SECTOR)
#define FOUR_GIGABYTES    0x100000000ull

struct cmos {
    void (*set_cell)(void *opaque, unsigned cell, uint8_t value);
    void *opaque;
};

static void cmos_set(const struct cmos *cmos, unsigned cell, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        cmos->set_cell(cmos->opaque, cell + i, (uint8_t)(value >> 8 * i));
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t exceeding(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void cmos_memory(const struct cmos *cmos, uint64_t ram_size)
{
    uint64_t below = firmware_ram_below_4g(ram_size);
    uint64_t extended = least(exceeding(below, MEBIBYTE) / KIBIBYTE, UINT16_MAX);

    cmos_set(cmos, CMOS_BASE_MEMORY, 2, 640);
    cmos_set(cmos, CMOS_EXTENDED_MEMORY, 2, extended);
    cmos_set(cmos, CMOS_EXTENDED_MEMORY_FOUND, 2, extended);
    cmos_set(cmos, CMOS_MEMORY_ABOVE_16M, 2, least(exceeding(below, 16 * MEBIBYTE) / UNIT_64K, UINT16_MAX));
    cmos_set(cmos, CMOS_MEMORY_ABOVE_4G, 3, (ram_size - below) / UNIT_64K);
}

static void cmos_floppies(const struct cmos *cmos, const uint8_t types[2])
{
    uint8_t equipment = EQUIPMENT_FPU | EQUIPMENT_MOUSE;
    if (types[0] || types[1])
        equipment |= EQUIPMENT_FLOPPY;
    if (types[0] && types[1])
        equipment |= EQUIPMENT_SECOND_FLOPPY;
    cmos_set(cmos, CMOS_FLOPPY_TYPES, 1, (uint8_t)(types[0] << 4 | types[1]));
    cmos_set(cmos, CMOS_EQUIPMENT, 1, equipment);
}

static void cmos_geometry(const struct cmos *cmos, unsigned cell, uint64_t size)
{
    uint16_t cylinders = (uint16_t)least(size / SECTOR / (HEADS * TRACK_SECTORS), CYLINDERS_MOST);
    cmos_set(cmos, cell, 2, cylinders);
    cmos_set(cmos, cell + 2, 1, HEADS);
    cmos_set(cmos, cell + 3, 2, UINT16_MAX); /* write precompensation: none */
    cmos_set(cmos, cell + 5, 1, DISK_MANY_HEADS);
    cmos_set(cmos, cell + 6, 2, cylinders); /* landing zone */
    cmos_set(cmos, cell + 8, 1, TRACK_SECTORS);
}

static void cmos_disks(const struct cmos *cmos, const uint64_t sizes[DRIVES])
{
    uint8_t types = 0, translation = 0;
    if (sizes[0]) {
        types |= DISK_TYPE_EXTENDED << 4;
        cmos_geometry(cmos, CMOS_DISK_0, sizes[0]);
    }
    if (sizes[1]) {
        types |= DISK_TYPE_EXTENDED;
        cmos_geometry(cmos, CMOS_DISK_1, sizes[1]);
    }
    for (unsigned drive = 0; drive < DRIVES; drive++)
        if (sizes[drive] > UNTRANSLATED_MOST)
            translation |= TRANSLATE_LBA << 2 * drive;
    cmos_set(cmos, CMOS_DISK_TYPES, 1, types);
    cmos_set(cmos, CMOS_DISK_0_TYPE, 1, sizes[0] ? DISK_TYPE_USER : 0);
    cmos_set(cmos, CMOS_DISK_1_TYPE, 1, sizes[1] ? DISK_TYPE_USER : 0);
    cmos_set(cmos, CMOS_DISK_TRANSLATION, 1, translation);
}

static void cmos_boot_order(const struct cmos *cmos, const char *letters)
{
    static const char codes[] = "acdn"; /* code 1, 2, 3, 4 */
    uint16_t order = 0;
    for (unsigned i = 0; i < BOOT_DEVICES && letters[i]; i++) {
        const char *code = strchr(codes, letters[i]);
        if (code)
            order |= (uint16_t)((code - codes + 1) << 4 * i);
    }
    cmos_set(cmos, CMOS_BOOT_1_2, 1, order & 0xff);
    cmos_set(cmos, CMOS_BOOT_3, 1, order >> 8 << 4);
}

/* ---- fw_cfg */

struct e820_entry {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));

enum { E820_RAM = 1, E820_RESERVED = 2 };

static void describe_memory(struct fwcfg *fwcfg, uint64_t ram_size)
{
    uint64_t below = firmware_ram_below_4g(ram_size);
    struct e820_entry map[3] = {
        {0, htole64(below), htole32(E820_RAM)},
        /* Where KVM keeps its task state segment and identity page table, below the BIOS. */
        {htole64(0xfffbc000), htole64(0x4000), htole32(E820_RESERVED)},
        {htole64(FOUR_GIGABYTES), htole64(ram_size - below), htole32(E820_RAM)},
    };
    fwcfg_add_file(fwcfg, "etc/e820", map, (ram_size > below ? 3 : 2) * sizeof(map[0]));
    fwcfg_add_number(fwcfg, FWCFG_RAM_SIZE, 8, ram_size);
}

/* Without the last newline, which would be one more, empty line. */
static void describe_boot_order(struct fwcfg *fwcfg, const char *paths)
{
    size_t size = paths ? strlen(paths) : 0;
    char *text = strdup(size ? paths : "");
    if (size && text)
        text[size - 1] = 0;
    fwcfg_add_file(fwcfg, "bootorder", text, text ? size : 0);
    free(text);
}

static void describe_tables(struct fwcfg *fwcfg, const struct firmware_description *machine)
{
    struct acpi acpi;
    acpi_build(&acpi, &(struct acpi_description){
                          .cpus = machine->cpus,
                          .apic = machine->apic,
                          .hpet = machine->hpet,
                          .screen = machine->vga != NULL,
                          .serial = {machine->serial[0], machine->serial[1]},
                          .pci_memory = (uint32_t)firmware_ram_below_4g(machine->ram_size),
                      });
    acpi_publish(&acpi, fwcfg);
    acpi_free(&acpi);
    fwcfg_add_number(fwcfg, FWCFG_IRQ0_OVERRIDE, 1, machine->apic);
}

void firmware_describe(const struct firmware_description *machine, struct fwcfg *fwcfg,
                       void (*set_cell)(void *opaque, unsigned cell, uint8_t value), void *opaque)
{
    static const uint8_t wait_for_ever[4] = {0xff, 0xff, 0xff, 0xff};
    const struct cmos cmos = {set_cell, opaque};

    cmos_memory(&cmos, machine->ram_size);
    cmos_floppies(&cmos, machine->floppy_types);
    cmos_disks(&cmos, machine->disk_sizes);
    cmos_boot_order(&cmos, machine->boot_order);
    cmos_set(&cmos, CMOS_CPUS, 1, cpus_present(machine->cpus) - 1);

    describe_memory(fwcfg, machine->ram_size);
    describe_boot_order(fwcfg, machine->boot_paths);
    fwcfg_add_number(fwcfg, FWCFG_NOGRAPHIC, 2, 0);
    fwcfg_add_number(fwcfg, FWCFG_CPUS, 2, cpus_present(machine->cpus));
    fwcfg_add_number(fwcfg, FWCFG_CPUS_MOST, 2, cpus_apic_ids(machine->cpus));
    fwcfg_add_number(fwcfg, FWCFG_BOOT_MENU, 2, machine->boot_menu);
    fwcfg_add_file(fwcfg, "etc/boot-fail-wait", wait_for_ever, sizeof(wait_for_ever));
    describe_tables(fwcfg, machine);
    if (machine->vga)
        fwcfg_add_file(fwcfg, "pci1234,1111.rom", machine->vga->image, machine->vga->size);
}
