/*
 * The IDE function of the 82371SB PIIX3: two channels at the legacy ports 1F0h/3F6h and 170h/376h, two drives each,
 * disks and CD-ROM drives.
 */
#ifndef DEVICES_IDE_H
#define DEVICES_IDE_H

#include <stdbool.h>
#include <stdio.h>

#include "core/bus.h"
#include "core/irq.h"
#include "devices/pci.h"
#include "storage/block.h"

enum { IDE_CHANNELS = 2, IDE_UNITS = 2 };

struct ide;

/* Slot 1, function 1. `irq`: IRQ14 and IRQ15. */
struct ide *ide_create(struct pci_bus *pci, struct bus *ports, const struct irq_line irq[IDE_CHANNELS]);
void ide_destroy(struct ide *ide);
void ide_reset(struct ide *ide); /* after pci_reset(); waits for what is in flight */

/* Attach a drive before the guest runs. The caller owns the block device, which outlives the drive. */
void ide_attach_disk(struct ide *ide, unsigned channel, unsigned unit, struct block_device *disk);
void ide_attach_cdrom(struct ide *ide, unsigned channel, unsigned unit,
                      struct block_device *medium); /* NULL: empty */

/* What IDENTIFY says; NULL: the default. Copied, cut to what fits. */
void ide_set_names(struct ide *ide, unsigned channel, unsigned unit, const char *serial, const char *model);
/* Bytes of the disk there; 0: there is none. */
uint64_t ide_disk_size(const struct ide *ide, unsigned channel, unsigned unit);
/* Of a CD-ROM drive. */
void ide_tray(const struct ide *ide, unsigned channel, unsigned unit, bool *locked, bool *open);

/* Changes the medium of a CD-ROM drive, at any time; NULL takes it out. False if there is no such drive, or (without
 * `force`) the guest has locked its door. The old medium is the caller's to close. */
bool ide_change_medium(struct ide *ide, unsigned channel, unsigned unit, struct block_device *medium,
                       bool force);

#endif
