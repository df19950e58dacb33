/*
 * A diskette drive: which format an image of a given size has, where the heads are, the disk change line.
 *
 * An image shorter than its format is as if filled up with zeros, which cannot be written to.
 *
 * Sources: for the formats ECMA-66, -70, -99, -100, -125 and -147 as MS-DOS uses them; for the change line Intel
 * 82077AA data sheet, "Digital Input Register".
 */
#include "devices/fdc-drive.h"

#include <string.h>

/* In the order of their sizes. An image of a size between two is taken for the next larger one. */
static const struct fdc_format formats[] = {
    {40, 1, 8, 6, FDC_RATE_250K},  /* 160K */
    {40, 1, 9, 7, FDC_RATE_250K},  /* 180K */
    {40, 2, 8, 8, FDC_RATE_250K},  /* 320K */
    {40, 2, 9, 1, FDC_RATE_250K},  /* 360K */
    {80, 2, 9, 3, FDC_RATE_250K},  /* 720K */
    {80, 2, 15, 2, FDC_RATE_500K}, /* 1.2M */
    {80, 2, 18, 4, FDC_RATE_500K}, /* 1.44M */
    {80, 2, 20, 4, FDC_RATE_500K}, /* 1.6M */
    {80, 2, 21, 4, FDC_RATE_500K}, /* 1.68M */
    {82, 2, 21, 4, FDC_RATE_500K}, /* 1.72M */
    {83, 2, 21, 4, FDC_RATE_500K}, /* 1.74M */
    {80, 2, 36, 5, FDC_RATE_1M},   /* 2.88M */
};

enum { FORMATS = sizeof(formats) / sizeof(formats[0]), FORMAT_1440K = 6, LAST_TRACK = 83 };

static uint64_t format_bytes(const struct fdc_format *format)
{
    return (uint64_t)format->cylinders * format->heads * format->sectors * SECTOR_SIZE;
}

const struct fdc_format *fdc_format_of(uint64_t bytes)
{
    unsigned i = 0;
    while (i < FORMATS && format_bytes(&formats[i]) < bytes)
        i++;
    if (i == FORMATS)
        return NULL;
    /* What has no standard size is more likely an unfinished 1.44M image than an old 5.25 inch one. */
    bool standard = format_bytes(&formats[i]) == bytes;
    return &formats[standard || i > FORMAT_1440K ? i : FORMAT_1440K];
}

void fdc_drive_insert(struct fdc_drive *drive, struct block_device *medium)
{
    drive->medium = medium;
    drive->format = medium ? fdc_format_of(medium->size) : NULL;
    drive->changed = true;
    drive->passing = 0;
    if (!drive->present)
        drive->cmos_type = drive->format ? drive->format->cmos_type : formats[FORMAT_1440K].cmos_type;
    drive->present = true;
}

void fdc_drive_step(struct fdc_drive *drive, uint8_t track)
{
    uint8_t to = track < LAST_TRACK ? track : LAST_TRACK;
    if (drive->present && drive->medium && to != drive->track)
        drive->changed = false;
    drive->track = to;
}

bool fdc_drive_track_readable(const struct fdc_drive *drive, unsigned head, enum fdc_rate rate)
{
    const struct fdc_format *format = drive->format;
    if (!format || drive->track >= format->cylinders || head >= format->heads)
        return false;
    /* A 1.2M drive turns faster and reads the 250K media of slower ones at 300K. */
    return rate == format->rate || (rate == FDC_RATE_300K && format->rate == FDC_RATE_250K);
}

uint64_t fdc_drive_offset(const struct fdc_drive *drive, unsigned head, unsigned sector)
{
    const struct fdc_format *format = drive->format;
    uint64_t track = (uint64_t)drive->track * format->heads + head;
    return (track * format->sectors + sector - 1) * SECTOR_SIZE;
}

unsigned fdc_drive_sectors(const struct fdc_drive *drive, uint64_t offset, unsigned count)
{
    uint64_t left = offset < drive->medium->size ? (drive->medium->size - offset) / SECTOR_SIZE : 0;
    return left < count ? (unsigned)left : count;
}
