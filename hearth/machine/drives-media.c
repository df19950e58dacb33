/* Media that come and go while the machine runs, and what `info block` says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/fdc.h"
#include "devices/ide.h"
#include "machine/drives-internal.h"

static struct drive *find_any(const struct pc *pc, const char *id)
{
    struct drive *drive = drive_find(pc, id);
    for (struct drive *at = pc->drives; !drive && at; at = at->next)
        if (at->device_id && !strcmp(at->device_id, id))
            drive = at;
    return drive;
}

static bool is_removable(const struct drive *drive)
{
    return drive->place.kind == PLACE_FLOPPY || (drive->place.kind == PLACE_IDE && drive->cdrom);
}

static struct drive *find_removable(const struct pc *pc, const char *id, char *error, size_t error_size)
{
    struct drive *drive = find_any(pc, id);
    if (drive && is_removable(drive))
        return drive;
    snprintf(error, error_size, drive ? "Device '%s' is not removable" : "Device '%s' not found", id);
    return NULL;
}

/* The new medium is the drive's then; the old one is closed. */
static bool put_in(struct pc *pc, struct drive *drive, struct block_device *block, bool force, char *error,
                   size_t error_size)
{
    struct block_device *old = drive->block;
    const struct drive_place *place = &drive->place;
    if (place->kind == PLACE_IDE && !ide_change_medium(pc->ide, place->bus, place->unit, block, force)) {
        snprintf(error, error_size,
                 "Device '%s' is locked and force was not specified, wait for tray to open and try again",
                 drive->id);
        return false;
    }
    if (place->kind == PLACE_FLOPPY && !fdc_insert(pc->fdc, place->unit, block)) {
        snprintf(error, error_size, "%s: %llu bytes is more than a diskette holds (2.88 MB)", block->path,
                 (unsigned long long)block->size);
        return false;
    }
    drive->block = block;
    block_close(old);
    return true;
}

bool drives_eject(struct pc *pc, const char *id, bool force, char *error, size_t error_size)
{
    struct drive *drive = find_removable(pc, id, error, error_size);
    return drive && put_in(pc, drive, NULL, force, error, error_size);
}

static void text_set(char **own, const char **used, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    free(*own);
    *used = *own = copy;
}

bool drives_change(struct pc *pc, const char *id, const struct medium *medium, char *error, size_t error_size)
{
    struct drive *drive = find_removable(pc, id, error, error_size);
    struct block_options options;
    struct block_device *block;

    if (!drive)
        return false;
    options = drive->options;
    options.file = medium->file;
    options.format = medium->format;
    options.read_only = drive->cdrom || medium->access == MEDIUM_READ_ONLY ||
                        (medium->access == MEDIUM_RETAIN && options.read_only);
    options.read_only_fallback = medium->access != MEDIUM_READ_WRITE;
    block = block_open(pc->disk_threads, &options, error, error_size);
    if (!block)
        return false;
    if (error[0])
        warn("%s", error);
    if (!put_in(pc, drive, block, medium->force, error, error_size)) {
        block_close(block);
        return false;
    }
    text_set(&drive->file, &drive->options.file, medium->file);
    text_set(&drive->format, &drive->options.format, medium->format);
    drive->options.read_only = options.read_only;
    return true;
}

/* ---- info block */

static const char *cache_name(const struct block_options *options)
{
    if (options->no_flush)
        return "writeback, ignore flushes";
    if (options->direct)
        return options->write_through ? "writethrough, direct" : "writeback, direct";
    return options->write_through ? "writethrough" : "writeback";
}

static void print_drive(const struct pc *pc, const struct drive *drive, FILE *out)
{
    const struct block_device *block = drive->block;
    bool locked = false, open = false;

    fprintf(out, "%s: ", drive->id);
    if (block)
        fprintf(out, "%s (%s%s)\n", block->path, block->ops->format, block->read_only ? ", read-only" : "");
    else
        fputs("[not inserted]\n", out);
    if (drive->device_id)
        fprintf(out, "    Attached to:      %s\n", drive->device_id);
    if (drive->place.kind == PLACE_IDE && drive->cdrom)
        ide_tray(pc->ide, drive->place.bus, drive->place.unit, &locked, &open);
    if (is_removable(drive))
        fprintf(out, "    Removable device: %slocked, tray %s\n", locked ? "" : "not ",
                open ? "open" : "closed");
    if (block)
        fprintf(out, "    Cache mode:       %s\n", cache_name(&drive->options));
}

void drives_print(const struct pc *pc, FILE *out)
{
    for (const struct drive *drive = pc->drives; drive; drive = drive->next) {
        print_drive(pc, drive, out);
        if (drive->next)
            fputc('\n', out);
    }
}
