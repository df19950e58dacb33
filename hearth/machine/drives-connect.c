/* Drives on the board's own controllers. */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "devices/fdc.h"
#include "devices/ide.h"
#include "machine/boot-order.h"
#include "machine/drives-internal.h"

static struct drive *placed_at(const struct pc *pc, struct drive_place place)
{
    for (struct drive *drive = pc->drives; drive; drive = drive->next)
        if (drive->place.kind == place.kind && drive->place.bus == place.bus &&
            drive->place.unit == place.unit)
            return drive;
    return NULL;
}

/* ---- IDE */

/* bus=ide.0 or ide.1, unit=0 or 1; what is not said is the first that is free. */
static bool ide_place_find(struct pc *pc, struct settings *settings, struct drive_place *place)
{
    const char *bus = settings_text(settings, "bus", NULL);
    unsigned unit = (unsigned)settings_number(settings, "unit", 0, UINT8_MAX);
    bool any_unit = !settings_has(settings, "unit");

    if (bus && strcmp(bus, "ide.0") && strcmp(bus, "ide.1"))
        settings_refuse(settings, "Bus '%s' not found", bus);
    else if (unit >= IDE_UNITS)
        settings_refuse(settings, "Can't create IDE unit %u, bus supports only %d units", unit, IDE_UNITS);
    if (settings_refused(settings))
        return false;
    for (unsigned i = 0; i < IDE_CHANNELS * IDE_UNITS; i++) {
        *place = (struct drive_place){PLACE_IDE, i / IDE_UNITS, i % IDE_UNITS};
        if (((bus && place->bus != (unsigned)(bus[4] - '0')) || (!any_unit && place->unit != unit)))
            continue;
        if (!placed_at(pc, *place))
            return true;
    }
    settings_refuse(settings, any_unit ? "no place is left on the IDE channels" : "IDE unit %u is in use",
                    unit);
    return false;
}

bool drive_connect_ide(struct pc *pc, struct settings *settings, struct drive *drive, bool cdrom)
{
    struct drive_place place = {PLACE_IDE, drive->bus, drive->unit};
    const char *serial = settings ? settings_text(settings, "serial", NULL) : NULL,
               *model = settings ? settings_text(settings, "model", NULL) : NULL;
    char path[64];

    if (settings && drive->interface == INTERFACE_NONE && !ide_place_find(pc, settings, &place))
        return false;
    if (!cdrom && !drive->block) {
        settings_refuse(settings ? settings : drive->settings, "Device needs media, but drive is empty");
        return false;
    }
    snprintf(path, sizeof(path), "/pci@i0cf8/ide@1,1/drive@%u/disk@%u", place.bus, place.unit);
    if (!boot_order_add(pc, settings, cdrom ? 'd' : 'c', path) || (settings && settings_error(settings)))
        return false;
    drive->place = place;
    drive->cdrom = cdrom;
    drive->taken = true;
    if (cdrom)
        ide_attach_cdrom(pc->ide, place.bus, place.unit, drive->block);
    else
        ide_attach_disk(pc->ide, place.bus, place.unit, drive->block);
    ide_set_names(pc->ide, place.bus, place.unit, serial, model);
    return true;
}

/* ---- floppy */

bool drive_connect_floppy(struct pc *pc, struct settings *settings, struct drive *drive)
{
    struct drive_place place = {PLACE_FLOPPY, 0, drive->unit};
    char path[64];

    if (settings && drive->interface == INTERFACE_NONE) {
        place.unit = (unsigned)settings_number(
            settings, "unit", placed_at(pc, (struct drive_place){PLACE_FLOPPY, 0, 0}) != NULL,
            FDC_DRIVES - 1);
        if (placed_at(pc, place))
            settings_refuse(settings, "Floppy unit %u is in use", place.unit);
    }
    if (drive->block && !fdc_size_fits(drive->block->size)) {
        settings_refuse(settings ? settings : drive->settings,
                        "%llu bytes is more than a diskette holds (2.88 MB); -hda takes a hard disk image",
                        (unsigned long long)drive->block->size);
        return false;
    }
    snprintf(path, sizeof(path), "/pci@i0cf8/isa@1/fdc@03f0/floppy@%u", place.unit);
    if (!boot_order_add(pc, settings, 'a', path) || (settings && settings_error(settings)))
        return false;
    drive->place = place;
    drive->taken = true;
    fdc_insert(pc->fdc, place.unit, drive->block);
    return true;
}

struct drive *drive_make_empty(struct pc *pc, struct settings *settings)
{
    struct drive *drive = drive_create(pc, NULL);
    const char *id = settings_text(settings, "id", NULL);
    drive->interface = INTERFACE_NONE;
    while (drive_at(pc, INTERFACE_NONE, 0, drive->unit))
        drive->unit++;
    drive->options.read_only_fallback = true;
    drive->device_id = id;
    drive_name(drive);
    return drive;
}

/* ---- the board's */

static void connect(struct pc *pc, struct drive *drive)
{
    bool connected = true;
    if (drive->interface == INTERFACE_IDE)
        connected = drive_connect_ide(pc, NULL, drive, drive->cdrom);
    else if (drive->interface == INTERFACE_FLOPPY)
        connected = drive_connect_floppy(pc, NULL, drive);
    if (!connected)
        die("%s", settings_error(drive->settings));
}

/* An empty drive that a PC has unless -nodefaults or a drive there says otherwise. */
static void add_empty(struct pc *pc, enum drive_interface interface, unsigned bus, bool cdrom)
{
    if (drive_at(pc, interface, bus, 0))
        return;
    struct drive *drive = drive_create(pc, NULL);
    drive->interface = interface;
    drive->bus = bus;
    drive->cdrom = cdrom;
    drive->options.read_only = cdrom;
    drive->options.read_only_fallback = true;
    drive_name(drive);
    connect(pc, drive);
}

static bool any_cdrom(const struct pc *pc)
{
    for (const struct drive *drive = pc->drives; drive; drive = drive->next)
        if (drive->cdrom)
            return true;
    return false;
}

void drives_wire(struct pc *pc)
{
    for (struct drive *drive = pc->drives; drive; drive = drive->next)
        connect(pc, drive);
    if (pc->config->no_defaults)
        return;
    add_empty(pc, INTERFACE_FLOPPY, 0, false);
    if (!any_cdrom(pc))
        add_empty(pc, INTERFACE_IDE, 1, true);
}
