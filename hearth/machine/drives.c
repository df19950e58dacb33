/*
 * What -drive and its short forms say, and opening the images. Texts of errors are QEMU's.
 *
 * Accepted and without an effect: aio= (hearth has its own threads), detect-zeroes=.
 */
#include "machine/drives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "machine/attach.h"
#include "machine/drives-internal.h"

static const struct interface {
    const char *name;
    unsigned buses, units; /* 0: any number */
} interfaces[] = {
    [INTERFACE_IDE] = {"ide", 2, 2},
    [INTERFACE_FLOPPY] = {"floppy", 1, 2},
    [INTERFACE_VIRTIO] = {"virtio", 1, 0},
    [INTERFACE_NONE] = {"none", 1, 0},
};
enum { INTERFACES = sizeof(interfaces) / sizeof(interfaces[0]), NUMBER_MOST = 9999 };

struct drive *drive_create(struct pc *pc, struct settings *settings)
{
    struct drive *drive = allocate(sizeof(*drive)), **at = &pc->drives;
    drive->settings = settings;
    while (*at)
        at = &(*at)->next;
    *at = drive;
    return drive;
}

struct drive *drive_find(const struct pc *pc, const char *id)
{
    for (struct drive *drive = pc->drives; drive; drive = drive->next)
        if (drive->id && !strcmp(drive->id, id))
            return drive;
    return NULL;
}

struct drive *drive_at(const struct pc *pc, enum drive_interface interface, unsigned bus, unsigned unit)
{
    for (struct drive *drive = pc->drives; drive; drive = drive->next)
        if (drive->id && drive->interface == interface && drive->bus == bus && drive->unit == unit)
            return drive;
    return NULL;
}

/* ---- one -drive */

/* Which of the words, or `fallback` without the key. */
static unsigned choice(struct settings *settings, const char *key, const char *const *words, unsigned count,
                       unsigned fallback, const char *complaint)
{
    const char *text = settings_text(settings, key, NULL);
    if (!text)
        return fallback;
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(words[i], text))
            return i;
    settings_refuse(settings, complaint, text);
    return fallback;
}
#define CHOICE(settings, key, fallback, complaint, ...)                                                      \
    choice(settings, key, (const char *const[]){__VA_ARGS__},                                                \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), fallback, complaint)

static void parse_cache(struct drive *drive)
{
    enum { WRITEBACK, NONE, WRITETHROUGH, DIRECTSYNC, UNSAFE };
    unsigned mode = CHOICE(drive->settings, "cache", WRITEBACK, "invalid cache option", "writeback", "none",
                           "writethrough", "directsync", "unsafe");
    drive->options.direct = mode == NONE || mode == DIRECTSYNC;
    drive->options.write_through = mode == WRITETHROUGH || mode == DIRECTSYNC;
    drive->options.no_flush = mode == UNSAFE;
}

static void parse_image(struct drive *drive, bool all_forget)
{
    struct settings *settings = drive->settings;
    const char *format = settings_text(settings, "format", settings_text(settings, "driver", NULL));
    bool told = settings_has(settings, "readonly") || settings_has(settings, "read-only");

    drive->options.file = settings_text(settings, "file", NULL);
    if (drive->options.file && !*drive->options.file)
        drive->options.file = NULL;
    drive->options.format = format;
    drive->options.read_only =
        settings_switch(settings, "readonly", settings_switch(settings, "read-only", drive->cdrom));
    drive->options.read_only |= drive->cdrom;
    drive->options.forget = settings_switch(settings, "snapshot", all_forget) && !drive->options.read_only;
    drive->options.read_only_fallback = !told;
    drive->options.discards =
        CHOICE(settings, "discard", 0, "Invalid discard option", "ignore", "off", "unmap", "on") >= 2;
    parse_cache(drive);
    CHOICE(settings, "aio", 0, "invalid aio option", "threads", "native", "io_uring");
    CHOICE(settings, "detect-zeroes", 0, "invalid parameter value for detect-zeroes: %s", "off", "on",
           "unmap");
    if (format && !block_format_known(format))
        settings_refuse(settings, "Unknown driver '%s'", format);
}

static void place_refuse(struct drive *drive)
{
    settings_refuse(drive->settings, "machine type does not support if=%s,bus=%u,unit=%u",
                    interfaces[drive->interface].name, drive->bus, drive->unit);
}

/* index=, or bus= and unit=, or the first place that is free. */
static void parse_place(struct pc *pc, struct drive *drive)
{
    const struct interface *interface = &interfaces[drive->interface];
    struct settings *settings = drive->settings;
    unsigned units = interface->units ? interface->units : NUMBER_MOST;
    bool has_index = settings_has(settings, "index"), has_bus = settings_has(settings, "bus"),
         has_unit = settings_has(settings, "unit");
    unsigned index = (unsigned)settings_number(settings, "index", 0, NUMBER_MOST);

    drive->bus = has_index ? index / units : (unsigned)settings_number(settings, "bus", 0, NUMBER_MOST);
    drive->unit = has_index ? index % units : (unsigned)settings_number(settings, "unit", 0, NUMBER_MOST);
    if (has_index && (has_bus || has_unit))
        settings_refuse(settings, "index cannot be used with bus and unit");
    while (!has_index && !has_unit && drive_at(pc, drive->interface, drive->bus, drive->unit)) {
        if (++drive->unit == units && !has_bus) {
            drive->unit = 0;
            drive->bus++;
        }
    }
    if (drive->bus >= interface->buses || drive->unit >= units)
        place_refuse(drive);
    else if (drive_at(pc, drive->interface, drive->bus, drive->unit))
        settings_refuse(settings, "drive with bus=%u, unit=%u (index=%u) exists", drive->bus, drive->unit,
                        drive->bus * interface->units + drive->unit);
}

void drive_name(struct drive *drive)
{
    char id[64];
    if (drive->interface == INTERFACE_IDE)
        snprintf(id, sizeof(id), "ide%u-%s%u", drive->bus, drive->cdrom ? "cd" : "hd", drive->unit);
    else
        snprintf(id, sizeof(id), "%s%u", interfaces[drive->interface].name, drive->unit);
    drive->id = strdup(id);
}

static void parse_id(const struct pc *pc, struct drive *drive)
{
    const char *id = settings_text(drive->settings, "id", NULL);
    if (id && drive_find(pc, id))
        settings_refuse(drive->settings, "Duplicate ID '%s' for drive", id);
    else if (id)
        drive->id = strdup(id);
    else
        drive_name(drive);
}

static void parse(struct pc *pc, struct drive *drive)
{
    struct settings *settings = drive->settings;
    const char *value, *unknown;

    drive->interface =
        CHOICE(settings, "if", INTERFACE_IDE, "unsupported bus type '%s'", "ide", "floppy", "virtio", "none");
    drive->cdrom = CHOICE(settings, "media", 0, "'%s' invalid media", "disk", "cdrom") == 1;
    parse_image(drive, pc->config->snapshot);
    parse_place(pc, drive);
    parse_id(pc, drive);
    if (!settings_refused(settings) && (unknown = settings_unasked(settings, &value)))
        settings_refuse(settings, "Block format '%s' does not support the option '%s'",
                        drive->options.format ? drive->options.format : "raw", unknown);
}

static void open_image(struct pc *pc, struct drive *drive)
{
    char error[BLOCK_ERROR_SIZE];
    drive->block = block_open(pc->disk_threads, &drive->options, error, sizeof(error));
    if (!drive->block)
        settings_refuse(drive->settings, "%s", error);
    else if (error[0])
        warn("%s", error);
}

void drives_open(struct pc *pc)
{
    for (struct settings *at = pc->config->drives; at; at = settings_next(at)) {
        struct drive *drive = drive_create(pc, at);
        parse(pc, drive);
        if (!settings_error(at) && drive->options.file)
            open_image(pc, drive);
        if (settings_error(at))
            die("%s", settings_error(at));
    }
}

void drives_close(struct pc *pc)
{
    for (struct drive *drive = pc->drives, *next; drive; drive = next) {
        next = drive->next;
        block_close(drive->block);
        free(drive->id);
        free(drive->file);
        free(drive->format);
        free(drive);
    }
}

/* ---- who shows it */

struct drive *drive_take(struct pc *pc, struct settings *settings)
{
    const char *id = settings_text(settings, "drive", NULL);
    struct drive *drive = id ? drive_find(pc, id) : NULL;
    if (!id)
        settings_refuse(settings, "No drive specified");
    else if (!drive)
        settings_refuse(settings, "Property '%s.drive' can't find value '%s'",
                        settings_text(settings, "driver", ""), id);
    else if (drive->taken)
        settings_refuse(settings, "Drive '%s' is already in use by another device", id);
    else
        drive->taken = true;
    if (!drive || settings_refused(settings))
        return NULL;
    drive->device_id = settings_text(settings, "id", NULL);
    return drive;
}

void drive_give_back(struct drive *drive)
{
    drive->taken = false;
    drive->device_id = NULL;
}

struct block_device *drive_block(const struct drive *drive)
{
    return drive->block;
}

void drives_attach_virtio(struct pc *pc)
{
    for (struct drive *drive = pc->drives; drive; drive = drive->next) {
        if (drive->interface != INTERFACE_VIRTIO)
            continue;
        struct settings *settings = settings_create("-drive if=virtio");
        settings_add(settings, "driver", "virtio-blk-pci");
        settings_add(settings, "drive", drive->id);
        settings_append(&pc->made_settings, settings);
        const char *error = attach(pc, &pc->attached, settings);
        if (error)
            die("%s", error);
    }
}
