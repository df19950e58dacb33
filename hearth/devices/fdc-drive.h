/*
 * A diskette drive and what is in it. Part of fdc.c, the controller.
 */
#ifndef DEVICES_FDC_DRIVE_H
#define DEVICES_FDC_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/block.h"

enum { FDC_SECTOR_CODE = 2 }; /* N: sectors of 128 << 2 bytes, the only ones an image can have */

enum { FDC_TRACK_SECTORS_MOST = 36 };

/* Data rates as CCR and DSR encode them. */
enum fdc_rate { FDC_RATE_500K, FDC_RATE_300K, FDC_RATE_250K, FDC_RATE_1M };

struct fdc_format {
    uint8_t cylinders, heads, sectors;
    uint8_t cmos_type;
    enum fdc_rate rate;
};

struct fdc_drive {
    bool present;
    uint8_t cmos_type;
    struct block_device *medium;     /* NULL: empty */
    const struct fdc_format *format; /* of the medium */
    uint8_t track;                   /* where the heads are */
    uint8_t passing;                 /* the sector that passed the head last, for READ ID */
    bool changed;                    /* the disk change line */
};

/* NULL for a size that is no diskette's. */
const struct fdc_format *fdc_format_of(uint64_t bytes);
void fdc_drive_insert(struct fdc_drive *drive, struct block_device *medium);
/* Moves the heads; a step with a medium in resets the disk change line. */
void fdc_drive_step(struct fdc_drive *drive, uint8_t track);

/* Is there a formatted track under this head, written at this rate? */
bool fdc_drive_track_readable(const struct fdc_drive *drive, unsigned head, enum fdc_rate rate);
/* Where sector 1 to format->sectors of the track under the head lies in the image, and how many of `count` sectors from there
 * on are in it. */
uint64_t fdc_drive_offset(const struct fdc_drive *drive, unsigned head, unsigned sector);
unsigned fdc_drive_sectors(const struct fdc_drive *drive, uint64_t offset, unsigned count);

#endif
