/*
 * The commands of an ATA disk: PIO and DMA transfers with CHS, 28-bit and 48-bit addresses, IDENTIFY DEVICE, features,
 * write cache and power commands.
 *
 * Left out: SMART, security, the host protected area, queued commands, Ultra DMA (the PIIX3 has none). A disk is always
 * spun up; READ VERIFY checks the address alone.
 * Source: ATA/ATAPI-6 (T13/1410D), chapters 6.2 and 8; for DATA SET MANAGEMENT, which a drive has whose image gives discarded
 * sectors back (discard=unmap), ATA8-ACS-2 (T13/2015-D), 7.10.
 */
#include <stdio.h>
#include <string.h>

#include "devices/ide-drive.h"

enum {
    HEADS = 16,
    TRACK_SECTORS = 63,
    CYLINDERS_MOST = 16383,
    BUFFER_SECTORS = IDE_BUFFER_SIZE / SECTOR_SIZE
};
enum { DMA_MOST = 1 << 20 }; /* bytes that the image is asked for at once */
enum { POWER_ACTIVE = 0xff };
enum { DATA_SET_TRIM = 1, TRIM_RANGE_SIZE = 8, TRIM_SECTORS_MOST = 8 };
#define LBA28_MOST 0x0fffffffull

/* How a command transfers. */
enum { EXT = 1 << 0, WRITE = 1 << 1, MULTIPLE = 1 << 2, DMA = 1 << 3, VERIFY = 1 << 4 };

enum set_features {
    FEATURE_WRITE_CACHE_ON = 0x02,
    FEATURE_TRANSFER_MODE = 0x03,
    FEATURE_LOOK_AHEAD_OFF = 0x55,
    FEATURE_KEEP_SETTINGS = 0x66,
    FEATURE_WRITE_CACHE_OFF = 0x82,
    FEATURE_LOOK_AHEAD_ON = 0xaa,
    FEATURE_DEFAULT_SETTINGS = 0xcc,
};

static uint64_t sectors_of(const struct ide_drive *drive)
{
    return drive->block->size / SECTOR_SIZE;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void geometry_set(struct ide_drive *drive, uint8_t heads, uint8_t sectors)
{
    uint64_t cylinders = sectors_of(drive) / ((unsigned)heads * sectors);
    drive->ata.heads = heads;
    drive->ata.sectors = sectors;
    drive->ata.cylinders = (uint16_t)least(cylinders ? cylinders : 1, CYLINDERS_MOST);
}

void ata_reset(struct ide_drive *drive)
{
    memset(&drive->ata, 0, sizeof(drive->ata));
    geometry_set(drive, HEADS, TRACK_SECTORS);
    drive->ata.multiple = MULTIPLE_MOST;
    drive->ata.write_cache = !drive->block->write_through;
}

/* ---- addresses */

static bool chs_sector(const struct ide_drive *drive, uint64_t *sector)
{
    const struct ide_task *task = &drive->task;
    unsigned head = drive->channel->device & DEVICE_HEAD;
    unsigned cylinder = task->lba[1] | task->lba[2] << 8;
    const struct ata_state *ata = &drive->ata;

    *sector = ((uint64_t)cylinder * ata->heads + head) * ata->sectors + task->lba[0] - 1;
    return task->lba[0] >= 1 && task->lba[0] <= ata->sectors && head < ata->heads;
}

static uint64_t lba_of(const struct ide_task *task)
{
    return task->lba[0] | (uint64_t)task->lba[1] << 8 | (uint64_t)task->lba[2] << 16;
}

/* Sets where the transfer begins and how long it is; false if that is not on the disk. */
static bool address(struct ide_drive *drive, unsigned how)
{
    struct ata_state *ata = &drive->ata;
    bool valid = true;
    if (!(drive->channel->device & DEVICE_LBA))
        valid = !(how & EXT) && chs_sector(drive, &ata->sector);
    else if (how & EXT)
        ata->sector = lba_of(&drive->task) | lba_of(&drive->previous) << 24;
    else
        ata->sector = lba_of(&drive->task) | (uint64_t)(drive->channel->device & DEVICE_HEAD) << 24;

    ata->left = drive->task.count;
    if (how & EXT)
        ata->left |= (uint32_t)drive->previous.count << 8;
    if (!ata->left)
        ata->left = how & EXT ? 0x10000 : 0x100;
    return valid && ata->sector < sectors_of(drive) && ata->left <= sectors_of(drive) - ata->sector;
}

/* After an error the registers name the first sector that was not transferred. */
static void address_report(struct ide_drive *drive)
{
    uint64_t sector = drive->ata.sector;
    struct ide_task *task = &drive->task;
    if (!(drive->channel->device & DEVICE_LBA)) {
        uint64_t track = sector / drive->ata.sectors, cylinder = track / drive->ata.heads;
        task->lba[0] = (uint8_t)(sector % drive->ata.sectors + 1);
        task->lba[1] = (uint8_t)cylinder;
        task->lba[2] = (uint8_t)(cylinder >> 8);
        drive->channel->device =
            (uint8_t)((drive->channel->device & ~DEVICE_HEAD) | track % drive->ata.heads);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        task->lba[i] = (uint8_t)(sector >> 8 * i);
        drive->previous.lba[i] = (uint8_t)(sector >> (24 + 8 * i));
    }
}

/* ---- transfers */

static void transfer_ended(struct ide_drive *drive)
{
    drive->task.count = 0;
    if (drive->to_device || drive->dma) {
        ide_complete(drive);
        return;
    }
    /* The host had its interrupt with the last block. */
    ide_cancel(drive);
    drive->error = 0;
    drive->status = STATUS_DRDY | STATUS_DSC;
}

static void transfer_failed(struct ide_drive *drive)
{
    address_report(drive);
    ide_fail(drive, drive->to_device ? ERROR_ABRT : ERROR_UNC);
}

static void transfer_advance(struct ide_drive *drive, uint64_t bytes)
{
    drive->ata.sector += bytes / SECTOR_SIZE;
    drive->ata.left -= (uint32_t)(bytes / SECTOR_SIZE);
}

static void flushed(struct ide_drive *drive, int result)
{
    if (result < 0)
        ide_fail(drive, ERROR_ABRT);
    else
        ide_complete(drive);
}

static void write_ended(struct ide_drive *drive)
{
    drive->task.count = 0;
    if (drive->ata.write_cache || drive->block->write_through)
        transfer_ended(drive);
    else
        ide_ask(drive, BLOCK_FLUSH, 0, 0, flushed);
}

/* ---- PIO: the image is read and written a bufferful at a time, the host gets it block by block */

static uint32_t block_size(const struct ide_drive *drive, uint32_t left)
{
    return (uint32_t)least(drive->ata.block * SECTOR_SIZE, left);
}

static void read_fill(struct ide_drive *drive);
static void read_taken(struct ide_drive *drive);

static void read_offer(struct ide_drive *drive)
{
    uint32_t size = block_size(drive, drive->ata.filled - drive->position);
    ide_transfer(drive, false, drive->position, size, read_taken);
    ide_interrupt(drive);
}

static void read_taken(struct ide_drive *drive)
{
    if (drive->position < drive->ata.filled)
        read_offer(drive);
    else if (drive->ata.left)
        read_fill(drive);
    else
        transfer_ended(drive);
}

/* If much at once can't be read, then less: the sectors before the bad one are to reach the host. */
static void read_filled(struct ide_drive *drive, int result)
{
    struct ata_state *ata = &drive->ata;
    if (result < 0 && ata->filled > ata->block * SECTOR_SIZE) {
        ata->at_once = ata->block;
        read_fill(drive);
    } else if (result < 0) {
        transfer_failed(drive);
    } else {
        transfer_advance(drive, ata->filled);
        drive->position = 0;
        read_offer(drive);
    }
}

static void read_fill(struct ide_drive *drive)
{
    struct ata_state *ata = &drive->ata;
    ata->filled = (uint32_t)least(ata->left, ata->at_once) * SECTOR_SIZE;
    ide_ask(drive, BLOCK_READ, ata->sector * SECTOR_SIZE, ata->filled, read_filled);
}

static void write_want(struct ide_drive *drive, uint32_t from);

static void written(struct ide_drive *drive, int result)
{
    if (result < 0) {
        transfer_failed(drive);
        return;
    }
    transfer_advance(drive, drive->piece.iov_len);
    if (drive->ata.left) {
        write_want(drive, 0);
        ide_interrupt(drive);
    } else {
        write_ended(drive);
    }
}

static void block_filled(struct ide_drive *drive)
{
    uint32_t filled = drive->position;
    if (filled < IDE_BUFFER_SIZE && filled / SECTOR_SIZE < drive->ata.left) {
        write_want(drive, filled);
        ide_interrupt(drive);
    } else {
        ide_ask(drive, BLOCK_WRITE, drive->ata.sector * SECTOR_SIZE, filled, written);
    }
}

static void write_want(struct ide_drive *drive, uint32_t from)
{
    uint32_t left = (uint32_t)least(drive->ata.left, BUFFER_SECTORS) * SECTOR_SIZE;
    ide_transfer(drive, true, from, block_size(drive, left - from), block_filled);
}

/* ---- DMA: between image and memory */

static void dma_moved(struct ide_drive *drive, int result)
{
    uint64_t bytes = scatter_size(drive->scatter);
    scatter_end(drive->scatter, result < 0 ? 0 : bytes);
    if (result < 0) {
        transfer_failed(drive);
        return;
    }
    transfer_advance(drive, bytes);
    if (drive->ata.left)
        drive->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
    else if (drive->to_device)
        write_ended(drive);
    else
        transfer_ended(drive);
}

static void dma_move(struct ide_drive *drive)
{
    uint64_t wanted = least((uint64_t)drive->ata.left * SECTOR_SIZE, DMA_MOST);
    if (ide_dma_gather(drive, wanted))
        ide_ask_direct(drive, drive->to_device ? BLOCK_WRITE : BLOCK_READ, drive->ata.sector * SECTOR_SIZE,
                       dma_moved);
}

static void dma_begin(struct ide_drive *drive)
{
    drive->dma = true;
    drive->direct = dma_move;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
}

static void command_transfer(struct ide_drive *drive, unsigned how)
{
    if ((how & MULTIPLE && !drive->ata.multiple) || (how & WRITE && drive->block->read_only)) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    if (!address(drive, how)) {
        ide_fail(drive, ERROR_IDNF);
        return;
    }
    drive->ata.block = how & MULTIPLE ? drive->ata.multiple : 1;
    drive->ata.at_once = BUFFER_SECTORS;
    drive->to_device = how & WRITE;
    if (how & VERIFY)
        ide_complete(drive);
    else if (how & DMA)
        dma_begin(drive);
    else if (how & WRITE)
        write_want(drive, 0);
    else
        read_fill(drive);
}

/* ---- DATA SET MANAGEMENT: up to 64 ranges in each sector that comes by DMA; only TRIM is there */

static uint64_t number_at(const uint8_t *bytes, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < size; i++)
        number |= (uint64_t)bytes[i] << 8 * i;
    return number;
}

/* The next range; those of no sectors are no ranges. */
static void trim_next(struct ide_drive *drive, int result)
{
    struct ata_state *ata = &drive->ata;
    while (result >= 0 && ata->filled) {
        const uint8_t *range = drive->buffer + drive->position;
        uint64_t sector = number_at(range, 6), count = number_at(range + 6, 2);
        drive->position += TRIM_RANGE_SIZE;
        ata->filled -= TRIM_RANGE_SIZE;
        if (!count)
            continue;
        if (sector >= sectors_of(drive) || count > sectors_of(drive) - sector) {
            ide_fail(drive, ERROR_IDNF);
            return;
        }
        ide_ask_discard(drive, sector * SECTOR_SIZE, count * SECTOR_SIZE, trim_next);
        return;
    }
    if (result < 0)
        ide_fail(drive, ERROR_ABRT);
    else
        ide_complete(drive);
}

static void trim_ranges_there(struct ide_drive *drive)
{
    drive->position = 0;
    trim_next(drive, 0);
}

static void command_data_set(struct ide_drive *drive, unsigned how)
{
    unsigned sectors = drive->task.count | drive->previous.count << 8;
    (void)how;
    if (!drive->block->discards || drive->block->read_only || drive->task.features != DATA_SET_TRIM ||
        !sectors || sectors > TRIM_SECTORS_MOST) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    drive->ata.filled = sectors * SECTOR_SIZE;
    drive->dma = true;
    ide_transfer(drive, true, 0, drive->ata.filled, trim_ranges_there);
}

/* ---- IDENTIFY DEVICE */

static void identify_ended(struct ide_drive *drive)
{
    drive->status = STATUS_DRDY | STATUS_DSC;
}

static uint16_t default_cylinders(uint64_t sectors)
{
    uint64_t cylinders = sectors / (HEADS * TRACK_SECTORS);
    return (uint16_t)least(cylinders ? cylinders : 1, CYLINDERS_MOST);
}

static void identify_fill(const struct ide_drive *drive, uint8_t *identify)
{
    const struct ata_state *ata = &drive->ata;
    uint64_t sectors = sectors_of(drive), lba28 = least(sectors, LBA28_MOST);
    uint32_t chs = (uint32_t)ata->cylinders * ata->heads * ata->sectors;
    bool trims = drive->block->discards;
    const struct {
        uint8_t word;
        uint16_t value;
    } words[] = {
        {0, 0x0040}, /* a fixed disk */
        {1, default_cylinders(sectors)},
        {3, HEADS},
        {6, TRACK_SECTORS},
        {47, 0x8000 | MULTIPLE_MOST},
        {49, 0x0f00}, /* IORDY, LBA, DMA */
        {50, 0x4000},
        {51, 0x0200},
        {53, 0x0003}, /* words 54-58 and 64-70 are valid */
        {54, ata->cylinders},
        {55, ata->heads},
        {56, ata->sectors},
        {57, (uint16_t)chs},
        {58, (uint16_t)(chs >> 16)},
        {59, ata->multiple ? 0x0100 | ata->multiple : 0},
        {60, (uint16_t)lba28},
        {61, (uint16_t)(lba28 >> 16)},
        {63, (uint16_t)(0x0007 | drive->dma_mode << 8)}, /* multiword DMA modes 0-2 */
        {64, 0x0003},                                    /* PIO modes 3 and 4 */
        {65, 120},                                       /* cycle times, ns */
        {66, 120},
        {67, 120},
        {68, 120},
        {80, trims ? 0x00f0 : 0x0070}, /* ATA/ATAPI-4 to -6; TRIM came later */
        {82, 0x4020},                  /* NOP, write cache */
        {83, 0x7400},                  /* FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses */
        {84, 0x4000},
        {85, ata->write_cache ? 0x4020 : 0x4000},
        {86, 0x3400},
        {87, 0x4000},
        {93, drive->number % IDE_UNITS ? 0x4b00 : 0x400b}, /* which unit the jumpers make it */
        {100, (uint16_t)sectors},
        {101, (uint16_t)(sectors >> 16)},
        {102, (uint16_t)(sectors >> 32)},
        {103, (uint16_t)(sectors >> 48)},
        {105, trims ? TRIM_SECTORS_MOST : 0},
        {169, trims},
    };

    memset(identify, 0, IDENTIFY_SIZE);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ide_identify_word(identify, words[i].word, words[i].value);
    ide_identify_string(identify + 2 * 10, SERIAL_SIZE, drive->serial);
    ide_identify_string(identify + 2 * 23, 8, "1.0");
    ide_identify_string(identify + 2 * 27, MODEL_SIZE, drive->model);
}

static void command_identify(struct ide_drive *drive, unsigned how)
{
    (void)how;
    identify_fill(drive, drive->buffer);
    drive->error = 0;
    ide_transfer(drive, false, 0, IDENTIFY_SIZE, identify_ended);
    ide_interrupt(drive);
}

/* ---- the rest */

static void command_nothing(struct ide_drive *drive, unsigned how)
{
    (void)how;
    ide_complete(drive);
}

static void command_abort(struct ide_drive *drive, unsigned how)
{
    (void)how;
    ide_fail(drive, ERROR_ABRT);
}

static void command_identify_packet(struct ide_drive *drive, unsigned how)
{
    (void)how;
    ide_signature(drive);
    ide_fail(drive, ERROR_ABRT);
}

static void command_flush(struct ide_drive *drive, unsigned how)
{
    (void)how;
    ide_ask(drive, BLOCK_FLUSH, 0, 0, flushed);
}

static void command_power_mode(struct ide_drive *drive, unsigned how)
{
    (void)how;
    drive->task.count = POWER_ACTIVE;
    ide_complete(drive);
}

static void command_parameters(struct ide_drive *drive, unsigned how)
{
    (void)how;
    if (!drive->task.count) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    geometry_set(drive, (drive->channel->device & DEVICE_HEAD) + 1, drive->task.count);
    ide_complete(drive);
}

static void command_set_multiple(struct ide_drive *drive, unsigned how)
{
    uint8_t count = drive->task.count;
    (void)how;
    if (count > MULTIPLE_MOST || count & (count - 1)) {
        ide_fail(drive, ERROR_ABRT);
        return;
    }
    drive->ata.multiple = count;
    ide_complete(drive);
}

static void command_set_features(struct ide_drive *drive, unsigned how)
{
    bool known = true;
    (void)how;
    switch (drive->task.features) {
    case FEATURE_WRITE_CACHE_ON: drive->ata.write_cache = true; break;
    case FEATURE_WRITE_CACHE_OFF:
        drive->ata.write_cache = false;
        ide_ask(drive, BLOCK_FLUSH, 0, 0, flushed);
        return;
    case FEATURE_TRANSFER_MODE: known = ide_set_transfer_mode(drive, drive->task.count); break;
    case FEATURE_LOOK_AHEAD_OFF:
    case FEATURE_LOOK_AHEAD_ON:
    case FEATURE_KEEP_SETTINGS:
    case FEATURE_DEFAULT_SETTINGS: break;
    default: known = false;
    }
    if (known)
        ide_complete(drive);
    else
        ide_fail(drive, ERROR_ABRT);
}

static const struct {
    uint8_t first, last;
    void (*run)(struct ide_drive *drive, unsigned how);
    unsigned how;
} commands[] = {
    {0x00, 0x00, command_abort, 0},                         /* NOP, which always aborts */
    {0x06, 0x06, command_data_set, 0},                      /* DATA SET MANAGEMENT */
    {0x10, 0x1f, command_nothing, 0},                       /* RECALIBRATE */
    {0x20, 0x21, command_transfer, 0},                      /* READ SECTOR(S) */
    {0x24, 0x24, command_transfer, EXT},                    /* READ SECTOR(S) EXT */
    {0x25, 0x25, command_transfer, EXT | DMA},              /* READ DMA EXT */
    {0x29, 0x29, command_transfer, EXT | MULTIPLE},         /* READ MULTIPLE EXT */
    {0x30, 0x31, command_transfer, WRITE},                  /* WRITE SECTOR(S) */
    {0x34, 0x34, command_transfer, WRITE | EXT},            /* WRITE SECTOR(S) EXT */
    {0x35, 0x35, command_transfer, WRITE | EXT | DMA},      /* WRITE DMA EXT */
    {0x39, 0x39, command_transfer, WRITE | EXT | MULTIPLE}, /* WRITE MULTIPLE EXT */
    {0x40, 0x41, command_transfer, VERIFY},                 /* READ VERIFY SECTOR(S) */
    {0x42, 0x42, command_transfer, VERIFY | EXT},           /* READ VERIFY SECTOR(S) EXT */
    {0x70, 0x7f, command_nothing, 0},                       /* SEEK */
    {0x91, 0x91, command_parameters, 0},                    /* INITIALIZE DEVICE PARAMETERS */
    {0x94, 0x97, command_nothing, 0},                       /* STANDBY, IDLE as they were before ATA-2 */
    {0x98, 0x98, command_power_mode, 0},
    {0x99, 0x99, command_nothing, 0},
    {0xa1, 0xa1, command_identify_packet, 0},         /* IDENTIFY PACKET DEVICE */
    {0xc4, 0xc4, command_transfer, MULTIPLE},         /* READ MULTIPLE */
    {0xc5, 0xc5, command_transfer, WRITE | MULTIPLE}, /* WRITE MULTIPLE */
    {0xc6, 0xc6, command_set_multiple, 0},            /* SET MULTIPLE MODE */
    {0xc8, 0xc9, command_transfer, DMA},              /* READ DMA */
    {0xca, 0xcb, command_transfer, WRITE | DMA},      /* WRITE DMA */
    {0xe0, 0xe3, command_nothing, 0},                 /* STANDBY, IDLE and both IMMEDIATE */
    {0xe5, 0xe5, command_power_mode, 0},              /* CHECK POWER MODE */
    {0xe6, 0xe6, command_nothing, 0},                 /* SLEEP */
    {0xe7, 0xe7, command_flush, 0},                   /* FLUSH CACHE */
    {0xea, 0xea, command_flush, 0},                   /* FLUSH CACHE EXT */
    {0xec, 0xec, command_identify, 0},                /* IDENTIFY DEVICE */
    {0xef, 0xef, command_set_features, 0},            /* SET FEATURES */
};

void ata_command(struct ide_drive *drive, uint8_t opcode)
{
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (opcode >= commands[i].first && opcode <= commands[i].last) {
            commands[i].run(drive, commands[i].how);
            return;
        }
    }
    ide_fail(drive, ERROR_ABRT);
}
