/*
 * The drives of -drive, -hda, -cdrom, -fda and the like: the host's half, an image and how it is treated, and who shows it
 * to the guest. Machine lock held.
 */
#ifndef MACHINE_DRIVES_H
#define MACHINE_DRIVES_H

#include "core/settings.h"
#include "machine/pc.h"
#include "storage/block.h"

struct drive;

/* Opens what the command line names, as pc->drives. Ends the program if it makes no sense or cannot be opened. */
void drives_open(struct pc *pc);
void drives_close(struct pc *pc);

/* Shows the guest those that belong to the board's own controllers (if=ide, if=floppy), and the empty ones that a PC has. */
void drives_wire(struct pc *pc);
/* Makes a virtio-blk-pci for each of if=virtio. Ends the program if that does not go. */
void drives_attach_virtio(struct pc *pc);

/* What drive= of a -device names; it is taken then, and no other device gets it. NULL after settings_refuse(). */
struct drive *drive_take(struct pc *pc, struct settings *settings);
/* The device is gone: the drive may be taken again. */
void drive_give_back(struct drive *drive);
struct block_device *drive_block(const struct drive *drive); /* NULL: empty */

/* An empty one for a device that was not told which. */
struct drive *drive_make_empty(struct pc *pc, struct settings *settings);
/* Connects it, as a CD-ROM drive if `cdrom`. `settings` (NULL for the board's) may have bus=, unit=, bootindex=, serial=,
 * model=. False after settings_refuse(). */
bool drive_connect_ide(struct pc *pc, struct settings *settings, struct drive *drive, bool cdrom);
bool drive_connect_floppy(struct pc *pc, struct settings *settings, struct drive *drive);

/* While the machine runs, on the loop's thread; by the drive's id or its device's. False with one line in `error`. */
bool drives_eject(struct pc *pc, const char *id, bool force, char *error, size_t error_size);
bool drives_change(struct pc *pc, const char *id, const struct medium *medium, char *error,
                   size_t error_size);
void drives_print(const struct pc *pc, FILE *out); /* `info block` */

#endif
