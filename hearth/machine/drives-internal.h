/* A drive's inside, for drives.c (the command line's), drives-connect.c (controllers) and drives-media.c (while it runs). */
#ifndef MACHINE_DRIVES_INTERNAL_H
#define MACHINE_DRIVES_INTERNAL_H

#include "machine/drives.h"
#include "machine/pc-parts.h"
#include "storage/open.h"

/* On which of the board's controllers it is. */
enum drive_place_kind { PLACE_ELSEWHERE, PLACE_IDE, PLACE_FLOPPY };
struct drive_place {
    enum drive_place_kind kind;
    unsigned bus, unit;
};
enum drive_interface { INTERFACE_IDE, INTERFACE_FLOPPY, INTERFACE_VIRTIO, INTERFACE_NONE };

struct drive {
    struct drive *next;
    struct settings *settings; /* the command line's; NULL for one that a PC has anyhow */
    char *id;
    const char *device_id; /* of the -device that shows it, or NULL */
    enum drive_interface interface;
    unsigned bus, unit;
    bool cdrom;
    struct block_options options;
    char *file, *format; /* of a medium put in since; options points there */
    struct block_device *block;
    bool taken;
    struct drive_place place;
};

/* A new one at the end of pc->drives. */
struct drive *drive_create(struct pc *pc, struct settings *settings);
struct drive *drive_find(const struct pc *pc, const char *id);
/* Is there one at this place of this interface? */
struct drive *drive_at(const struct pc *pc, enum drive_interface interface, unsigned bus, unsigned unit);
/* "ide1-cd0", "floppy0", "virtio2" */
void drive_name(struct drive *drive);

#endif
