/*
 * What the files of the IDE controller share: the drive as the channel's registers see it. ide.c has the registers,
 * ide-dma.c the bus master, ata.c the disk's commands, atapi.c the CD-ROM drive's.
 *
 * Register and bit names: ATA/ATAPI-6 (T13/1410D), chapter 7.
 */
#ifndef DEVICES_IDE_DRIVE_H
#define DEVICES_IDE_DRIVE_H

#include "core/scatter.h"
#include "devices/ide.h"

enum ide_status {
    STATUS_ERR = 1 << 0, /* CHK in a packet device */
    STATUS_DRQ = 1 << 3,
    STATUS_DSC = 1 << 4,
    STATUS_DRDY = 1 << 6,
    STATUS_BSY = 1 << 7,
};

enum ide_error {
    ERROR_ABRT = 1 << 2,
    ERROR_IDNF = 1 << 4,
    ERROR_UNC = 1 << 6,
    ERROR_SENSE_SHIFT = 4, /* packet devices: the sense key */
    ERROR_DIAGNOSTICS_PASSED = 1,
};

enum ide_device_bits { DEVICE_HEAD = 0xf, DEVICE_DEV = 1 << 4, DEVICE_LBA = 1 << 6 };

enum ide_kind { IDE_NONE, IDE_DISK, IDE_CDROM };

enum {
    IDE_BUFFER_SIZE = 64 << 10,
    IDENTIFY_SIZE = 512,
    PACKET_SIZE = 12,
    SERIAL_SIZE = 20,
    MODEL_SIZE = 40,
    MULTIPLE_MOST = 16, /* sectors a block in READ MULTIPLE */
};

struct ide_channel;
struct ide_drive;

typedef void ide_done_function(struct ide_drive *drive);
typedef void ide_answer_function(struct ide_drive *drive, int result);

/* The registers that the host writes; each keeps what was there before, for 48-bit addresses. */
struct ide_task {
    uint8_t features, count, lba[3];
};

struct ata_state {
    uint16_t cylinders;
    uint8_t heads, sectors; /* as INITIALIZE DEVICE PARAMETERS has set them */
    uint8_t multiple;       /* 0: not set */
    bool write_cache;
    uint64_t sector;  /* where the transfer under way goes on in the image */
    uint32_t left;    /* sectors still to be read from it or written to it */
    uint32_t block;   /* sectors between two interrupts */
    uint32_t at_once; /* sectors to ask the image for */
    uint32_t filled;  /* bytes of the buffer that have been read */
};

struct atapi_state {
    uint8_t sense_key, sense_code, sense_qualifier;
    bool locked, tray_open;
    bool changed;          /* a unit attention is due */
    uint8_t media_event;   /* for GET EVENT STATUS NOTIFICATION */
    uint16_t limit;        /* the most bytes the host takes at once */
    uint32_t reply, end;   /* what of the buffer is still to go */
    uint32_t sector, left; /* of 2048 bytes, still to be read from the medium */
};

struct ide_drive {
    struct ide_channel *channel;
    enum ide_kind kind;
    struct block_device *block; /* NULL in a CD-ROM drive without a medium */
    unsigned number;            /* 0 to 3 */
    char serial[SERIAL_SIZE + 1], model[MODEL_SIZE + 1];

    struct ide_task task, previous;
    uint8_t status, error;
    uint8_t dma_mode; /* the multiword DMA mode that SET FEATURES chose: a bit */
    bool interrupt;   /* INTRQ, before nIEN */

    /* The transfer under way, while STATUS_DRQ is set. */
    bool to_device, dma;
    uint32_t position, end; /* in the buffer */
    ide_done_function *done;
    ide_done_function *direct; /* by DMA past the buffer: moves the next piece between image and memory */

    /* What the image has been asked, while STATUS_BSY is set. */
    struct block_request request;
    struct iovec piece;
    struct scatter *scatter;
    ide_answer_function *answer;
    bool waiting;
    bool
        abandoned; /* a reset came meanwhile: it ends when the answer is there, which nobody wants any more */

    union {
        struct ata_state ata;
        struct atapi_state atapi;
    };
    uint8_t buffer[IDE_BUFFER_SIZE];
};

enum ide_bus_master_size { BUS_MASTER_SIZE = 8 }; /* of one channel */

struct ide_channel {
    struct ide *ide;
    struct ide_drive drives[IDE_UNITS];
    struct irq_line irq;
    bool line;      /* as driven */
    uint8_t device; /* both drives see the same */
    uint8_t control;

    uint8_t master_command, master_status;
    uint32_t master_table, master_next; /* the PRD table and the descriptor after the current one */
    uint32_t region, region_left;
    bool region_last;
};

struct ide {
    struct pci_device *pci;
    struct ide_channel channels[IDE_CHANNELS];
};

/* ide.c */
void ide_interrupt(struct ide_drive *drive);
/* Offers (or asks for) bytes start to start + size of the buffer; calls `done` when they have gone. */
void ide_transfer(struct ide_drive *drive, bool to_device, uint32_t start, uint32_t size,
                  ide_done_function *done);
/* `count` bytes have gone through the data port or by DMA. */
void ide_advance(struct ide_drive *drive, uint32_t count);
/* The command ends well or badly, with an interrupt. */
void ide_complete(struct ide_drive *drive);
void ide_fail(struct ide_drive *drive, uint8_t error);
/* Asks the image for `size` bytes of the buffer; the drive is busy until `answer` is called. */
void ide_ask(struct ide_drive *drive, enum block_operation operation, uint64_t offset, uint32_t size,
             ide_answer_function *answer);
/* The same for the pieces of drive->scatter. */
void ide_ask_direct(struct ide_drive *drive, enum block_operation operation, uint64_t offset,
                    ide_answer_function *answer);
/* The range is not wanted any more. */
void ide_ask_discard(struct ide_drive *drive, uint64_t offset, uint64_t size, ide_answer_function *answer);
/* Ends the transfer under way; nothing more of it is read or written. */
void ide_cancel(struct ide_drive *drive);
/* What tells a disk and a CD-ROM drive apart after a reset. */
void ide_signature(struct ide_drive *drive);
void ide_identify_string(uint8_t *to, unsigned size, const char *text);
void ide_identify_word(uint8_t *identify, unsigned word, uint16_t value);

/* ide-dma.c: moves what it can between the drive that wants DMA and memory. */
void ide_dma_run(struct ide_channel *channel);
/* Fills drive->scatter with the next memory of the table, whole sectors unless it ends within one: at most `wanted` bytes.
 * 0 if there is none; then the master has stopped, or the command has failed. Of a table for a write that ends within a
 * sector the whole ones before it count. */
uint64_t ide_dma_gather(struct ide_drive *drive, uint64_t wanted);
void ide_dma_reset(struct ide_channel *channel);
uint64_t ide_dma_read(void *ide, uint64_t offset, unsigned size);
void ide_dma_write(void *ide, uint64_t offset, unsigned size, uint64_t value);
/* INTRQ rose. */
void ide_dma_interrupted(struct ide_channel *channel);

/* ata.c, atapi.c */
void ata_reset(struct ide_drive *drive);
void ata_command(struct ide_drive *drive, uint8_t opcode);
void atapi_reset(struct ide_drive *drive);
void atapi_command(struct ide_drive *drive, uint8_t opcode);
/* SET FEATURES, subcommand 03h: false if the mode is none that we have. */
bool ide_set_transfer_mode(struct ide_drive *drive, uint8_t mode);

#endif
