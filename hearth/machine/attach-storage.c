/* -device ide-hd, ide-cd, floppy: drives of -drive if=none on the board's own controllers. */
#include "machine/attach-parts.h"

#include "machine/drives.h"

static void *ide_disk_attach(struct pc *pc, struct settings *settings)
{
    struct drive *drive = drive_take(pc, settings);
    return drive && drive_connect_ide(pc, settings, drive, false) ? drive : NULL;
}

/* Without drive= it is empty. */
static struct drive *drive_or_empty(struct pc *pc, struct settings *settings)
{
    return settings_has(settings, "drive") ? drive_take(pc, settings) : drive_make_empty(pc, settings);
}

static void *ide_cdrom_attach(struct pc *pc, struct settings *settings)
{
    struct drive *drive = drive_or_empty(pc, settings);
    return drive && drive_connect_ide(pc, settings, drive, true) ? drive : NULL;
}

static void *floppy_attach(struct pc *pc, struct settings *settings)
{
    struct drive *drive = drive_or_empty(pc, settings);
    return drive && drive_connect_floppy(pc, settings, drive) ? drive : NULL;
}

/* The drives are the controllers' and end with them. */
static void drive_detach(void *device)
{
    (void)device;
}

const struct driver ide_hd_driver = {
    .name = "ide-hd",
    .bus = "IDE",
    .help = "hard disk; drive=ID, bus=ide.0|ide.1, unit=0|1, bootindex=, serial=, model=",
    .create = ide_disk_attach,
    .destroy = drive_detach,
};

const struct driver ide_cd_driver = {
    .name = "ide-cd",
    .bus = "IDE",
    .help = "CD-ROM drive; drive=ID (without: empty), bus=, unit=, bootindex=",
    .create = ide_cdrom_attach,
    .destroy = drive_detach,
};

const struct driver floppy_driver = {
    .name = "floppy",
    .bus = "floppy-bus",
    .help = "diskette drive; drive=ID (without: empty), unit=0|1, bootindex=",
    .create = floppy_attach,
    .destroy = drive_detach,
};
