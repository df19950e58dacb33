/*
 * The PIIX3's bus master for IDE: per channel a command, a status and a table of physical region descriptors in guest
 * memory.
 *
 * What is in a drive's buffer is copied at once when both sides are ready; a disk's sectors go between image and memory
 * without it. Each descriptor is copied once, and one of them moves at least two bytes, so the drive's command bounds the
 * work whatever the table holds.
 * Sources: Intel 82371SB datasheet (290550), 2.7 and 3.5; Programming Interface for Bus Master IDE Controller 1.0.
 */
#include <endian.h>
#include <string.h>

#include "core/log.h"
#include "devices/ide-drive.h"

/* From so many pieces on a list takes only the rest of a sector, which may come in 256 of them. */
enum { PIECES_ENOUGH = 256 };

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

enum next { NEXT_REGION, NEXT_NONE, NEXT_NO_MEMORY };

static enum next next_region(struct ide_channel *channel)
{
    struct descriptor descriptor;
    if (channel->region_last)
        return NEXT_NONE;
    if (!pci_dma_read(channel->ide->pci, channel->master_next, &descriptor, sizeof(descriptor)))
        return NEXT_NO_MEMORY;
    uint32_t size = le32toh(descriptor.size);
    channel->master_next += sizeof(descriptor);
    channel->region = le32toh(descriptor.base) & ~1u;
    channel->region_left = size & REGION_SIZE_MASK ? size & REGION_SIZE_MASK : REGION_SIZE_MOST;
    channel->region_last = size & REGION_LAST;
    return NEXT_REGION;
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

/* The table has no more, or none that is memory. If it is just too short, the drive waits for more, and its driver for the
 * drive, until it resets it. */
static void stop_without_region(struct ide_channel *channel, struct ide_drive *drive, enum next next)
{
    stop(channel, drive, next == NEXT_NO_MEMORY ? STATUS_ERROR : 0);
}

/* How much of the current region to add to the list; 0: the list is long enough. */
static uint32_t gather_size(const struct ide_channel *channel, const struct scatter *scatter, uint64_t wanted)
{
    unsigned count;
    uint64_t size = scatter_size(scatter), most = wanted - size;
    scatter_pieces(scatter, &count);
    if (count >= PIECES_ENOUGH)
        most = size % SECTOR_SIZE ? SECTOR_SIZE - size % SECTOR_SIZE : 0;
    return (uint32_t)(most < channel->region_left ? most : channel->region_left);
}

static enum next gather(struct ide_channel *channel, struct scatter *scatter, uint64_t wanted)
{
    enum next next;
    while (scatter_size(scatter) < wanted) {
        if (!channel->region_left && (next = next_region(channel)) != NEXT_REGION)
            return next;
        uint32_t size = gather_size(channel, scatter, wanted);
        if (!size)
            return NEXT_REGION;
        if (!pci_dma_add(channel->ide->pci, scatter, channel->region, size))
            return NEXT_NO_MEMORY;
        channel->region += size;
        channel->region_left -= size;
    }
    return NEXT_REGION;
}

uint64_t ide_dma_gather(struct ide_drive *drive, uint64_t wanted)
{
    scatter_begin(drive->scatter, !drive->to_device);
    enum next next = gather(drive->channel, drive->scatter, wanted);
    uint64_t size = scatter_size(drive->scatter);
    if (drive->to_device && size % SECTOR_SIZE) { /* the drive waits for the rest of that sector */
        size -= size % SECTOR_SIZE;
        scatter_cut(drive->scatter, size);
    }
    if (size && next != NEXT_NO_MEMORY)
        return size;
    scatter_end(drive->scatter, 0);
    stop_without_region(drive->channel, drive, next);
    return 0;
}

static bool drives_wait(const struct ide_channel *channel)
{
    return channel->drives[0].waiting || channel->drives[1].waiting;
}

void ide_dma_run(struct ide_channel *channel)
{
    struct ide_drive *drive;
    while (channel->master_status & STATUS_ACTIVE && (drive = drive_wanting(channel))) {
        enum next next;
        bool wrong_way = drive->to_device == !!(channel->master_command & COMMAND_TO_MEMORY);
        if (wrong_way) {
            stop(channel, drive, STATUS_ERROR);
            return;
        }
        if (drive->direct) {
            drive->direct(drive);
            continue;
        }
        if (!channel->region_left && (next = next_region(channel)) != NEXT_REGION) {
            stop_without_region(channel, drive, next);
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
    if (channel->region_last && !channel->region_left && !drives_wait(channel))
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
