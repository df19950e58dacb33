/*
 * The floppy controller's inside, for its three files: fdc.c (registers, reset, interrupt), fdc-commands.c (what each
 * command does) and fdc-transfer.c (those that move sectors).
 */
#ifndef DEVICES_FDC_STATE_H
#define DEVICES_FDC_STATE_H

#include "devices/fdc-drive.h"
#include "devices/fdc.h"

enum {
    ST0_DRIVE = 0x03,
    ST0_HEAD_SHIFT = 2,
    ST0_EQUIPMENT_CHECK = 0x10,
    ST0_SEEK_END = 0x20,
    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_POLLED = 0xc0, /* after a reset, a drive's ready line is taken to have changed */
    ST1_MISSING_MARK = 0x01,
    ST1_NOT_WRITABLE = 0x02,
    ST1_NO_DATA = 0x04,
    ST1_OVERRUN = 0x10,
    ST1_DATA_ERROR = 0x20,
    ST1_END_OF_CYLINDER = 0x80,
    ST2_BAD_CYLINDER = 0x02,
    ST2_WRONG_CYLINDER = 0x10,
    ST2_DATA_ERROR = 0x20,
    ST3_TWO_SIDED = 0x08,
    ST3_TRACK_0 = 0x10,
    ST3_READY = 0x20,
    ST3_WRITE_PROTECTED = 0x40,

    COMMAND_MULTITRACK = 0x80, /* in the data commands */
    COMMAND_LOCK = 0x80,
    COMMAND_SEEK_UP = 0x40, /* in RELATIVE SEEK */
    COMMAND_RELATIVE = 0x80,
    COMMAND_HEAD = 0x04, /* in the second byte, with the drive */
    VERIFY_COUNTED = 0x80,
    SPECIFY_NON_DMA = 0x01,
    CONFIGURE_IMPLIED_SEEK = 0x40,
    CONFIGURE_FIFO_OFF = 0x20,
    CONFIGURE_POLLING_OFF = 0x10,
    CONFIGURE_FIFO_BITS = 0x2f, /* FIFO off and threshold: what LOCK keeps, with the precompensation track */
    CONFIGURE_BITS = 0x7f,
    PERPENDICULAR_DRIVES = 0x3c,
    PERPENDICULAR_OVERWRITE = 0x80,

    MOST_COMMAND_BYTES = 9,
    MOST_RESULT_BYTES = 10,
    LINES = 4, /* drive select lines; those past FDC_DRIVES lead nowhere */
};

/* A data command's bytes after the opcode and the drive. */
enum { BYTE_DRIVE = 1, BYTE_C = 2, BYTE_H, BYTE_R, BYTE_N, BYTE_EOT, BYTE_GPL, BYTE_DTL };
/* FORMAT TRACK's. */
enum { FORMAT_N = 2, FORMAT_SECTORS, FORMAT_GAP, FORMAT_FILLER };

enum phase {
    PHASE_COMMAND,   /* idle, or some bytes of a command have come */
    PHASE_EXECUTION, /* under way: nothing to be read or written */
    PHASE_BYTES,     /* execution without DMA: sector bytes go through the FIFO port */
    PHASE_RESULT,
};

enum transfer {
    TRANSFER_READ,
    TRANSFER_READ_TRACK,
    TRANSFER_READ_ID,
    TRANSFER_WRITE,
    TRANSFER_VERIFY,
    TRANSFER_FORMAT,
};

struct fdc {
    struct bus *ports;
    struct irq_line irq;
    struct dma *dma;
    struct clock *clock;
    struct timer *timer;
    struct fdc_drive drive[LINES];
    uint8_t dor, tdr, rate;
    uint8_t specify[2], configure, precompensation, perpendicular;
    bool lock, interrupt;

    enum phase phase;
    uint8_t command[MOST_COMMAND_BYTES];
    unsigned command_bytes;
    uint8_t result[MOST_RESULT_BYTES];
    unsigned result_bytes, result_read;
    bool result_interrupts; /* the interrupt stands for this result; reading it lets the line fall */

    /* What the timer is to end. */
    bool resetting, executing;
    uint8_t seeking; /* a bit a drive */
    /* What SENSE INTERRUPT STATUS has to tell. */
    unsigned polled; /* drives still to be reported after a reset: the last so many */
    uint8_t sought;  /* a bit a drive */
    uint8_t seek_status[LINES];

    /* The data command in execution. */
    enum transfer transfer;
    unsigned head;
    uint8_t c, h, r, n, last_sector;
    unsigned sectors_left;
    uint8_t buffer[SECTOR_SIZE];
    unsigned position, length;
    bool terminal; /* terminal count came with the sector in the buffer */

    /* What the image has been asked. Reading goes ahead to the end of what the command wants of the track. */
    struct block_request request;
    struct iovec piece;
    void (*answer)(struct fdc *fdc, int result);
    bool waiting;
    bool abandoned; /* a reset came meanwhile: it ends when the answer is there */
    uint8_t track[FDC_TRACK_SECTORS_MOST * SECTOR_SIZE];
    unsigned loaded_from, loaded_to; /* the sectors in `track`, from <= r < to; of the head loaded_head */
    unsigned loaded_head;
};

/* fdc.c */
void fdc_interrupt(struct fdc *fdc, bool level);
void fdc_later(struct fdc *fdc, uint64_t nanoseconds); /* arms the timer that ends what is under way */
void fdc_idle(struct fdc *fdc);                        /* the command phase */
void fdc_answer(struct fdc *fdc, const uint8_t *bytes, unsigned count); /* the result phase */
unsigned fdc_selected(const struct fdc *fdc);                           /* the command's drive */

/* fdc-commands.c: the next byte of a command; the last one starts it. */
void fdc_command_byte(struct fdc *fdc, uint8_t byte);

/* fdc-transfer.c */
void fdc_execute(struct fdc *fdc);
bool fdc_towards_cpu(const struct fdc *fdc);
void fdc_byte_done(struct fdc *fdc); /* a byte of a sector went through the FIFO port */

#endif
