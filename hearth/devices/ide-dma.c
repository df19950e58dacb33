/*
 * The PIIX3's bus master for IDE: per channel a command, a status and a table of physical region descriptors in guest
 * memory.
 *
 * A whole transfer is done at once when both sides are ready. Each descriptor is copied once, and one of them moves
 * at least two bytes, so the drive's command bounds the work whatever the table holds.
 * Sources: Intel 82371SB datasheet (290550), 2.7 and 3.5; Programming Interface for Bus Master IDE Controller 1.0.
 */
#include <endian.h>
#include <string.h>

#include "core/log.h"
#include "devices/ide-drive.h"

enum { BMICX = 0, BMISX = 2, BMIDTPX = 4 };

enum {
    COMMAND_START = 1 << 0,
    COMMAND_TO_MEMORY = 1 << 3,

    STATUS_ACTIVE = 1 << 0,
    STATUS_ERROR = 1 << 1,
    STATUS_INTERRUPT = 1 << 2,
    STATUS_CAPABLE = 3 << 5, /* for drivers to note what drives can do */

    REGION_SIZE_MASK = 0xfffe,
    REGION_SIZE_MOST = 0x10000,
};
#define REGION_LAST (1u << 31)
#define TABLE_MASK  0xfffffffcu

struct descriptor {
    uint32_t base, size; /* little-endian */
};

static struct ide_drive *drive_wanting(struct ide_channel *channel)
{
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        struct ide_drive *drive = &channel->drives[unit];
        if (drive->dma && drive->status & STATUS_DRQ)
            return drive;
    }
    return NULL;
}

/* False at the end of the table and if the table is not in memory. */
static bool next_region(struct ide_channel *channel)
{
    struct descriptor descriptor;
    if (channel->region_last)
        return false;
    if (!pci_dma_read(channel->ide->pci, channel->master_next, &descriptor, sizeof(descriptor))) {
        channel->master_status |= STATUS_ERROR;
        return false;
    }
    uint32_t size = le32toh(descriptor.size);
    channel->master_next += sizeof(descriptor);
    channel->region = le32toh(descriptor.base) & ~1u;
    channel->region_left = size & REGION_SIZE_MASK ? size & REGION_SIZE_MASK : REGION_SIZE_MOST;
    channel->region_last = size & REGION_LAST;
    return true;
}

static bool move(struct ide_channel *channel, struct ide_drive *drive, uint32_t count)
{
    uint8_t *at = drive->buffer + drive->position;
    struct pci_device *pci = channel->ide->pci;
    return drive->to_device ? pci_dma_read(pci, channel->region, at, count)
                            : pci_dma_write(pci, channel->region, at, count);
}

static void stop(struct ide_channel *channel, struct ide_drive *drive, uint8_t status)
{
    channel->master_status = (channel->master_status & ~STATUS_ACTIVE) | status;
    if (status & STATUS_ERROR)
        ide_fail(drive, ERROR_ABRT);
}

void ide_dma_run(struct ide_channel *channel)
{
    struct ide_drive *drive;
    while (channel->master_status & STATUS_ACTIVE && (drive = drive_wanting(channel))) {
        bool wrong_way = drive->to_device == !!(channel->master_command & COMMAND_TO_MEMORY);
        if (wrong_way) {
            stop(channel, drive, STATUS_ERROR);
            return;
        }
        if (!channel->region_left && !next_region(channel)) {
            /* A table too short: the drive waits for more, and its driver for the drive, until it resets it. */
            stop(channel, drive, channel->master_status & STATUS_ERROR);
            return;
        }
        uint32_t count = drive->end - drive->position;
        if (count > channel->region_left)
            count = channel->region_left;
        if (!move(channel, drive, count)) {
            stop(channel, drive, STATUS_ERROR);
            return;
        }
        channel->region += count;
        channel->region_left -= count;
        ide_advance(drive, count);
    }
    if (channel->region_last && !channel->region_left)
        channel->master_status &= ~STATUS_ACTIVE;
}

void ide_dma_interrupted(struct ide_channel *channel)
{
    channel->master_status |= STATUS_INTERRUPT;
}

void ide_dma_reset(struct ide_channel *channel)
{
    channel->master_command = channel->master_status = 0;
    channel->master_table = channel->master_next = 0;
    channel->region = channel->region_left = 0;
    channel->region_last = false;
}

static void command_write(struct ide_channel *channel, uint8_t value)
{
    bool started = channel->master_command & COMMAND_START;
    channel->master_command = value & (COMMAND_START | COMMAND_TO_MEMORY);
    if (!(value & COMMAND_START)) {
        channel->master_status &= ~STATUS_ACTIVE;
    } else if (!started) {
        channel->master_next = channel->master_table;
        channel->region_left = 0;
        channel->region_last = false;
        channel->master_status |= STATUS_ACTIVE;
        ide_dma_run(channel);
    }
}

static void register_write(struct ide_channel *channel, unsigned offset, uint8_t value)
{
    if (offset == BMICX) {
        command_write(channel, value);
    } else if (offset == BMISX) {
        channel->master_status &= ~(value & (STATUS_ERROR | STATUS_INTERRUPT));
        channel->master_status = (channel->master_status & ~STATUS_CAPABLE) | (value & STATUS_CAPABLE);
    } else if (offset >= BMIDTPX) {
        unsigned shift = 8 * (offset - BMIDTPX);
        channel->master_table &= ~(0xffu << shift);
        channel->master_table = (channel->master_table | (uint32_t)value << shift) & TABLE_MASK;
    }
}

static uint8_t register_read(const struct ide_channel *channel, unsigned offset)
{
    if (offset == BMICX)
        return channel->master_command;
    if (offset == BMISX)
        return channel->master_status;
    return offset >= BMIDTPX ? (uint8_t)(channel->master_table >> 8 * (offset - BMIDTPX)) : 0;
}

uint64_t ide_dma_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ide *ide = opaque;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++, offset++)
        value |= (uint64_t)register_read(&ide->channels[offset / BUS_MASTER_SIZE], offset % BUS_MASTER_SIZE)
                 << 8 * i;
    return value;
}

void ide_dma_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide *ide = opaque;
    for (unsigned i = 0; i < size; i++, offset++, value >>= 8)
        register_write(&ide->channels[offset / BUS_MASTER_SIZE], offset % BUS_MASTER_SIZE, (uint8_t)value);
}
