/*
 * The IDE function of the PIIX3 and the registers of its two channels: command block, device control, soft reset,
 * device selection, interrupts, PIO.
 *
 * Left out: timing (the timing registers read back what is written), native mode, commands that overlap. A drive is busy
 * while it waits for its image alone; a reset in that time ends when the answer has come.
 * Sources: ATA/ATAPI-6 (T13/1410D), chapters 5, 7 and 9; Intel 82371SB datasheet (290550), 2.3 and 2.7.
 */
#include "devices/ide.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/ide-drive.h"

/* The command block, from 1F0h or 170h. */
enum {
    REGISTER_DATA,
    REGISTER_ERROR, /* features when written */
    REGISTER_COUNT,
    REGISTER_LBA_LOW,
    REGISTER_LBA_MID,
    REGISTER_LBA_HIGH,
    REGISTER_DEVICE,
    REGISTER_STATUS, /* command when written */
    COMMAND_BLOCK_SIZE,
};

enum {
    CONTROL_NIEN = 1 << 1,
    CONTROL_SRST = 1 << 2,
    CONTROL_HOB = 1 << 7,

    COMMAND_DEVICE_RESET = 0x08,
    COMMAND_DIAGNOSTIC = 0x90,

    DEVICE_ALWAYS_SET = 0xa0, /* obsolete bits, which old drivers compare */
    NOBODY = 0xff,
};

enum { PIECES_MOST = 640 }; /* see ide-dma.c, PIECES_ENOUGH */
enum { SLOT = 1, FUNCTION = 1, BUS_MASTER_BAR = 4 };
enum { IDETIM = 0x40, IDETIM_SECONDARY = 0x42, SIDETIM = 0x44 };

/* ---- what the commands use */

static struct ide_drive *selected(struct ide_channel *channel)
{
    return &channel->drives[(channel->device & DEVICE_DEV) != 0];
}

static void update_line(struct ide_channel *channel)
{
    const struct ide_drive *drive = selected(channel);
    bool line = drive->interrupt && !(channel->control & CONTROL_NIEN);
    if (line && !channel->line)
        ide_dma_interrupted(channel);
    channel->line = line;
    irq_set(&channel->irq, line);
}

void ide_interrupt(struct ide_drive *drive)
{
    drive->interrupt = true;
    update_line(drive->channel);
}

void ide_transfer(struct ide_drive *drive, bool to_device, uint32_t start, uint32_t size,
                  ide_done_function *done)
{
    assert(size && start <= IDE_BUFFER_SIZE && size <= IDE_BUFFER_SIZE - start);
    drive->to_device = to_device;
    drive->position = start;
    drive->end = start + size;
    drive->done = done;
    drive->direct = NULL;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
}

void ide_advance(struct ide_drive *drive, uint32_t count)
{
    drive->position += count;
    if (drive->position < drive->end)
        return;
    drive->status &= ~STATUS_DRQ;
    drive->done(drive);
}

void ide_cancel(struct ide_drive *drive)
{
    drive->status &= ~STATUS_DRQ;
    drive->dma = false;
    drive->direct = NULL;
    drive->position = drive->end = 0;
}

void ide_complete(struct ide_drive *drive)
{
    ide_cancel(drive);
    drive->error = 0;
    drive->status = STATUS_DRDY | STATUS_DSC;
    ide_interrupt(drive);
}

void ide_fail(struct ide_drive *drive, uint8_t error)
{
    ide_cancel(drive);
    drive->error = error;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_ERR;
    ide_interrupt(drive);
}

/* ---- the image */

static void drive_restart(struct ide_drive *drive);

static void answered(struct block_request *request)
{
    struct ide_drive *drive = request->opaque;
    drive->waiting = false;
    if (drive->abandoned) {
        drive->abandoned = false;
        scatter_end(drive->scatter, 0);
        drive_restart(drive);
        return;
    }
    drive->answer(drive, request->result);
    ide_dma_run(drive->channel);
}

static void ask(struct ide_drive *drive, enum block_operation operation, uint64_t offset,
                const struct iovec *pieces, unsigned count, ide_answer_function *answer)
{
    assert(!drive->waiting);
    drive->status = STATUS_BSY;
    drive->waiting = true;
    drive->answer = answer;
    drive->request = (struct block_request){.block = drive->block,
                                            .operation = operation,
                                            .offset = offset,
                                            .pieces = pieces,
                                            .count = count,
                                            .size = operation == BLOCK_DISCARD ? drive->request.size : 0,
                                            .done = answered,
                                            .opaque = drive};
    block_submit(&drive->request);
}

void ide_ask(struct ide_drive *drive, enum block_operation operation, uint64_t offset, uint32_t size,
             ide_answer_function *answer)
{
    assert(size <= IDE_BUFFER_SIZE);
    drive->piece = (struct iovec){drive->buffer, size};
    ask(drive, operation, offset, &drive->piece, size ? 1 : 0, answer);
}

void ide_ask_direct(struct ide_drive *drive, enum block_operation operation, uint64_t offset,
                    ide_answer_function *answer)
{
    unsigned count;
    const struct iovec *pieces = scatter_pieces(drive->scatter, &count);
    ask(drive, operation, offset, pieces, count, answer);
}

void ide_ask_discard(struct ide_drive *drive, uint64_t offset, uint64_t size, ide_answer_function *answer)
{
    drive->request.size = size;
    ask(drive, BLOCK_DISCARD, offset, NULL, 0, answer);
}

void ide_signature(struct ide_drive *drive)
{
    drive->task.count = 1;
    drive->task.lba[0] = 1;
    drive->task.lba[1] = drive->kind == IDE_CDROM ? 0x14 : 0;
    drive->task.lba[2] = drive->kind == IDE_CDROM ? 0xeb : 0;
}

void ide_identify_word(uint8_t *identify, unsigned word, uint16_t value)
{
    identify[2 * word] = (uint8_t)value;
    identify[2 * word + 1] = (uint8_t)(value >> 8);
}

/* Strings have their first character in the high byte of each word. */
void ide_identify_string(uint8_t *to, unsigned size, const char *text)
{
    for (unsigned i = 0; i < size; i++)
        to[i ^ 1] = *text ? (uint8_t)*text++ : ' ';
}

bool ide_set_transfer_mode(struct ide_drive *drive, uint8_t mode)
{
    enum { KIND = 0xf8, NUMBER = 7, PIO_DEFAULT = 0x00, PIO_FLOW = 0x08, MULTIWORD_DMA = 0x20 };
    unsigned number = mode & NUMBER;
    switch (mode & KIND) {
    case PIO_DEFAULT: return number <= 1;
    case PIO_FLOW: return number <= 4;
    case MULTIWORD_DMA:
        if (number > 2)
            return false;
        drive->dma_mode = (uint8_t)(1 << number);
        return true;
    default: return false;
    }
}

/* ---- resets */

/* The state after power-on, a hardware reset, a soft reset or the diagnostics. */
static void drive_restart(struct ide_drive *drive)
{
    ide_cancel(drive);
    drive->interrupt = false;
    ide_signature(drive);
    drive->error = ERROR_DIAGNOSTICS_PASSED;
    drive->abandoned = drive->waiting;
    /* A packet device keeps DRDY off so that drivers for disks leave it alone. */
    drive->status = drive->waiting ? STATUS_BSY : drive->kind == IDE_DISK ? STATUS_DRDY | STATUS_DSC : 0;
}

static void drive_defaults(struct ide_drive *drive)
{
    memset(&drive->task, 0, sizeof(drive->task));
    memset(&drive->previous, 0, sizeof(drive->previous));
    drive->dma_mode = 0;
    if (drive->kind == IDE_DISK)
        ata_reset(drive);
    else if (drive->kind == IDE_CDROM)
        atapi_reset(drive);
    drive_restart(drive);
}

static void channel_restart(struct ide_channel *channel)
{
    for (unsigned unit = 0; unit < IDE_UNITS; unit++)
        drive_restart(&channel->drives[unit]);
    channel->device = 0;
    update_line(channel);
}

/* ---- registers */

/* A drive answers for its absent neighbour, but with status 0. */
static struct ide_drive *responder(struct ide_channel *channel)
{
    struct ide_drive *drive = selected(channel);
    if (drive->kind != IDE_NONE)
        return drive;
    drive = &channel->drives[!(channel->device & DEVICE_DEV)];
    return drive->kind != IDE_NONE ? drive : NULL;
}

static uint8_t status_read(struct ide_channel *channel)
{
    if (!responder(channel))
        return NOBODY;
    if (channel->control & CONTROL_SRST)
        return STATUS_BSY;
    return selected(channel)->kind == IDE_NONE ? 0 : selected(channel)->status;
}

static uint8_t register_read(struct ide_channel *channel, unsigned which)
{
    struct ide_drive *drive = responder(channel);
    if (!drive)
        return NOBODY;
    const struct ide_task *task = channel->control & CONTROL_HOB ? &drive->previous : &drive->task;
    switch (which) {
    case REGISTER_ERROR: return drive->error;
    case REGISTER_COUNT: return task->count;
    case REGISTER_LBA_LOW:
    case REGISTER_LBA_MID:
    case REGISTER_LBA_HIGH: return task->lba[which - REGISTER_LBA_LOW];
    case REGISTER_DEVICE: return channel->device | DEVICE_ALWAYS_SET;
    case REGISTER_STATUS:
        selected(channel)->interrupt = false;
        update_line(channel);
        return status_read(channel);
    default: return NOBODY;
    }
}

static void command_write(struct ide_channel *channel, uint8_t opcode)
{
    struct ide_drive *drive = selected(channel);
    if (drive->waiting && !(opcode == COMMAND_DEVICE_RESET && drive->kind == IDE_CDROM)) {
        log_guest(LOG_GUEST_ERROR, "ide: command %02xh to a busy drive", opcode);
        return;
    }
    if (opcode == COMMAND_DIAGNOSTIC && responder(channel)) {
        channel_restart(channel);
        ide_interrupt(&channel->drives[0]);
        return;
    }
    if (drive->kind == IDE_NONE)
        return;
    drive->interrupt = false;
    update_line(channel);
    if (opcode == COMMAND_DEVICE_RESET && drive->kind == IDE_CDROM) {
        drive_restart(drive);
    } else if (drive->status & STATUS_DRQ) {
        log_guest(LOG_GUEST_ERROR, "ide: command %02xh in the middle of another's transfer", opcode);
        ide_fail(drive, ERROR_ABRT);
    } else if (drive->kind == IDE_DISK) {
        ata_command(drive, opcode);
    } else {
        atapi_command(drive, opcode);
    }
    ide_dma_run(channel);
}

static void register_write(struct ide_channel *channel, unsigned which, uint8_t value)
{
    channel->control &= ~CONTROL_HOB;
    if (channel->control & CONTROL_SRST)
        return;
    if (which == REGISTER_STATUS) {
        command_write(channel, value);
        return;
    }
    if (selected(channel)->waiting) /* a busy drive does not listen */
        return;
    if (which == REGISTER_DEVICE) {
        channel->device = value;
        update_line(channel);
        return;
    }
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        struct ide_drive *drive = &channel->drives[unit];
        if (which == REGISTER_ERROR) {
            drive->previous.features = drive->task.features;
            drive->task.features = value;
        } else if (which == REGISTER_COUNT) {
            drive->previous.count = drive->task.count;
            drive->task.count = value;
        } else {
            drive->previous.lba[which - REGISTER_LBA_LOW] = drive->task.lba[which - REGISTER_LBA_LOW];
            drive->task.lba[which - REGISTER_LBA_LOW] = value;
        }
    }
}

static bool pio_ready(const struct ide_channel *channel, const struct ide_drive *drive, bool to_device)
{
    return !(channel->control & CONTROL_SRST) && drive->status & STATUS_DRQ && !drive->dma &&
           drive->to_device == to_device;
}

static uint32_t piece(const struct ide_drive *drive, unsigned size)
{
    uint32_t left = drive->end - drive->position;
    return size < left ? size : left;
}

static uint64_t data_read(struct ide_channel *channel, unsigned size)
{
    struct ide_drive *drive = selected(channel);
    uint64_t value = 0;
    if (!pio_ready(channel, drive, false))
        return UINT64_MAX;
    memcpy(&value, drive->buffer + drive->position, piece(drive, size));
    ide_advance(drive, piece(drive, size));
    return value;
}

static void data_write(struct ide_channel *channel, unsigned size, uint64_t value)
{
    struct ide_drive *drive = selected(channel);
    if (!pio_ready(channel, drive, true))
        return;
    memcpy(drive->buffer + drive->position, &value, piece(drive, size));
    ide_advance(drive, piece(drive, size));
    ide_dma_run(channel); /* the packet may have asked for DMA */
}

static uint64_t block_port_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    if (offset == REGISTER_DATA)
        return data_read(opaque, size);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)register_read(opaque, (unsigned)offset + i) << 8 * i;
    return value;
}

static void block_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset == REGISTER_DATA) {
        data_write(opaque, size, value);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        register_write(opaque, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
}

static uint64_t control_port_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset, (void)size;
    return status_read(opaque);
}

static void control_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct ide_channel *channel = opaque;
    bool was_reset = channel->control & CONTROL_SRST;
    (void)offset, (void)size;

    channel->control = (uint8_t)value & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
    if (channel->control & CONTROL_SRST || was_reset)
        channel_restart(channel);
    update_line(channel);
}

/* ---- the function */

static void channel_create(struct ide *ide, unsigned index, struct bus *ports, const struct irq_line *irq)
{
    static const struct {
        uint16_t block, control;
    } addresses[IDE_CHANNELS] = {{0x1f0, 0x3f6}, {0x170, 0x376}};
    struct ide_channel *channel = &ide->channels[index];

    channel->ide = ide;
    channel->irq = *irq;
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        channel->drives[unit].channel = channel;
        channel->drives[unit].number = index * IDE_UNITS + unit;
    }
    bus_add(ports, &(struct bus_range){addresses[index].block, COMMAND_BLOCK_SIZE, "ide", channel,
                                       block_port_read, block_port_write, .widest = 4});
    bus_add(ports, &(struct bus_range){addresses[index].control, 1, "ide control", channel, control_port_read,
                                       control_port_write, .widest = 1});
}

struct ide *ide_create(struct pci_bus *pci, struct bus *ports, const struct irq_line irq[IDE_CHANNELS])
{
    static const struct pci_identity identity = {.name = "IDE controller",
                                                 .vendor = 0x8086,
                                                 .device = 0x7010,
                                                 .class_code = 0x010180,
                                                 .subsystem_vendor = 0x1af4,
                                                 .subsystem = 0x1100};
    struct ide *ide = allocate(sizeof(*ide));
    const struct pci_bar bus_master = {.kind = PCI_BAR_PORTS,
                                       .size = IDE_CHANNELS * BUS_MASTER_SIZE,
                                       .name = "ide bus master",
                                       .device = ide,
                                       .read = ide_dma_read,
                                       .write = ide_dma_write,
                                       .widest = 4};
    ide->pci = pci_add(pci, SLOT, FUNCTION, &identity);
    pci_add_register(ide->pci, PCI_STATUS, 2, 0x0280, 0);
    pci_add_register(ide->pci, IDETIM, 2, 0, 0xffff);
    pci_add_register(ide->pci, IDETIM_SECONDARY, 2, 0, 0xffff);
    pci_add_register(ide->pci, SIDETIM, 1, 0, 0xff);
    pci_add_bar(ide->pci, BUS_MASTER_BAR, &bus_master);
    for (unsigned i = 0; i < IDE_CHANNELS; i++)
        channel_create(ide, i, ports, &irq[i]);
    return ide;
}

/* A drive has one request at a time. */
static void drives_wait(struct ide *ide)
{
    for (unsigned i = 0; i < IDE_CHANNELS * IDE_UNITS; i++) {
        struct ide_drive *drive = &ide->channels[i / IDE_UNITS].drives[i % IDE_UNITS];
        if (drive->waiting) {
            drive_restart(drive);
            block_drain(drive->request.block);
        }
    }
}

void ide_destroy(struct ide *ide)
{
    drives_wait(ide);
    for (unsigned i = 0; i < IDE_CHANNELS * IDE_UNITS; i++)
        scatter_destroy(ide->channels[i / IDE_UNITS].drives[i % IDE_UNITS].scatter);
    free(ide);
}

void ide_reset(struct ide *ide)
{
    drives_wait(ide);
    for (unsigned i = 0; i < IDE_CHANNELS; i++) {
        struct ide_channel *channel = &ide->channels[i];
        channel->control = 0;
        for (unsigned unit = 0; unit < IDE_UNITS; unit++)
            drive_defaults(&channel->drives[unit]);
        channel_restart(channel);
        ide_dma_reset(channel);
    }
}

static void attach(struct ide *ide, unsigned channel, unsigned unit, enum ide_kind kind,
                   struct block_device *block)
{
    assert(channel < IDE_CHANNELS && unit < IDE_UNITS);
    struct ide_drive *drive = &ide->channels[channel].drives[unit];
    assert(drive->kind == IDE_NONE);
    drive->kind = kind;
    drive->block = block;
    snprintf(drive->serial, sizeof(drive->serial), "%s%05u", kind == IDE_DISK ? "HD" : "CD",
             drive->number + 1);
    snprintf(drive->model, sizeof(drive->model), "HEARTH %s", kind == IDE_DISK ? "HARDDISK" : "CD-ROM");
    drive->scatter = pci_dma_scatter(ide->pci, PIECES_MOST);
    drive_defaults(drive);
}

void ide_attach_disk(struct ide *ide, unsigned channel, unsigned unit, struct block_device *disk)
{
    attach(ide, channel, unit, IDE_DISK, disk);
}

void ide_attach_cdrom(struct ide *ide, unsigned channel, unsigned unit, struct block_device *medium)
{
    attach(ide, channel, unit, IDE_CDROM, medium);
}

void ide_set_names(struct ide *ide, unsigned channel, unsigned unit, const char *serial, const char *model)
{
    struct ide_drive *drive = &ide->channels[channel].drives[unit];
    if (serial)
        snprintf(drive->serial, sizeof(drive->serial), "%s", serial);
    if (model)
        snprintf(drive->model, sizeof(drive->model), "%s", model);
}

uint64_t ide_disk_size(const struct ide *ide, unsigned channel, unsigned unit)
{
    const struct ide_drive *drive = &ide->channels[channel].drives[unit];
    return drive->kind == IDE_DISK ? drive->block->size : 0;
}

void ide_tray(const struct ide *ide, unsigned channel, unsigned unit, bool *locked, bool *open)
{
    const struct ide_drive *drive = &ide->channels[channel].drives[unit];
    assert(drive->kind == IDE_CDROM);
    *locked = drive->atapi.locked;
    *open = drive->atapi.tray_open;
}
