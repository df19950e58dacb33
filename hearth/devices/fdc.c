/*
 * The 82077AA floppy controller in its PC/AT mode: all commands but SCAN, by DMA or byte by byte; reset, polling,
 * disk change, data rates, write protection, implied seeks, LOCK.
 *
 * A command's execution and its interrupt come a moment after its last byte, as from a very fast drive; what the
 * guest asks for is done a sector at a time into one buffer, and every index is checked against the medium's format.
 *
 * Left out: the SCAN commands (invalid), deleted data marks (READ and WRITE DELETED DATA act as READ and WRITE DATA),
 * sectors of other sizes than 512 bytes, the motors' spin-up, step rates and gaps. A drive without a medium has no
 * address marks, where a real one would keep the controller waiting for an index hole for ever.
 *
 * Source: Intel 82077AA data sheet (290166-007), chapters 2 "Registers", 5 "Command Set", 6 "Status Registers".
 */
#include "devices/fdc.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/fdc_drive.h"

enum {
    PORT = 0x3f2,
    DOR = 0,
    TDR = 1,
    MSR_DSR = 2, /* read: main status, write: data rate select */
    FIFO = 3,
    PORTS = 4,
    PORT_DIR_CCR = 0x3f7, /* read: digital input, write: configuration control */

    DOR_DRIVE = 0x03,
    DOR_RUN = 0x04, /* low: reset */
    DOR_DMA_GATE = 0x08,
    TDR_BITS = 0x03,
    DSR_RESET = 0x80,
    DSR_RATE = 0x03,
    DIR_CHANGED = 0x80,

    MSR_BUSY = 0x10,
    MSR_NON_DMA = 0x20,
    MSR_DIO = 0x40, /* the controller has a byte for the CPU */
    MSR_RQM = 0x80,

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

    VERSION_82077AA = 0x90,

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
    DMA_CHANNEL = 2,
    FORMAT_ID_BYTES = 4,
    RECALIBRATE_STEPS = 79,

    RESET_NANOSECONDS = 10000,
    SEEK_NANOSECONDS = 50000,
    EXECUTION_NANOSECONDS = 20000,
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
};

/* ---- interrupt, result, timer */

static void fdc_interrupt(struct fdc *fdc, bool level)
{
    fdc->interrupt = level;
    irq_set(&fdc->irq, level && fdc->dor & DOR_DMA_GATE);
}

static void fdc_idle(struct fdc *fdc)
{
    fdc->phase = PHASE_COMMAND;
    fdc->command_bytes = 0;
}

static void fdc_answer(struct fdc *fdc, const uint8_t *bytes, unsigned count)
{
    memcpy(fdc->result, bytes, count);
    fdc->result_bytes = count;
    fdc->result_read = 0;
    fdc->result_interrupts = false;
    fdc->phase = PHASE_RESULT;
}

static void fdc_answer_byte(struct fdc *fdc, uint8_t byte)
{
    fdc_answer(fdc, &byte, 1);
}

static void fdc_later(struct fdc *fdc, uint64_t nanoseconds)
{
    timer_arm(fdc->timer, clock_now(fdc->clock) + nanoseconds);
}

static unsigned selected(const struct fdc *fdc)
{
    return fdc->command[BYTE_DRIVE] & ST0_DRIVE;
}

/* The end of a data command: its seven result bytes, and the interrupt. */
static void fdc_finish(struct fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t place = selected(fdc) | fdc->head << ST0_HEAD_SHIFT;
    uint8_t result[] = {st0 | place, st1, st2, fdc->c, fdc->h, fdc->r, fdc->n};
    fdc_answer(fdc, result, sizeof(result));
    fdc->result_interrupts = true;
    fdc_interrupt(fdc, true);
}

static void fdc_fail(struct fdc *fdc, uint8_t st1, uint8_t st2)
{
    fdc_finish(fdc, ST0_ABNORMAL, st1, st2);
}

/* ---- data commands, a sector at a time */

static bool towards_cpu(const struct fdc *fdc)
{
    return fdc->transfer == TRANSFER_READ || fdc->transfer == TRANSFER_READ_TRACK;
}

/* Looks for the sector that C, H, R and N name under the head; on failure ends the command. */
static bool sector_find(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[selected(fdc)];
    if (!fdc_drive_track_readable(drive, fdc->head, fdc->rate)) {
        fdc_fail(fdc, ST1_MISSING_MARK, 0);
        return false;
    }
    if (fdc->c != drive->track) {
        fdc_fail(fdc, ST1_NO_DATA, ST2_WRONG_CYLINDER | (fdc->c == 0xff ? ST2_BAD_CYLINDER : 0));
        return false;
    }
    if (fdc->h != fdc->head || fdc->n != FDC_SECTOR_CODE || !fdc->r || fdc->r > drive->format->sectors) {
        fdc_fail(fdc, ST1_NO_DATA, 0);
        return false;
    }
    return true;
}

static bool write_allowed(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[selected(fdc)];
    if (!drive->medium || !drive->medium->read_only)
        return true;
    fdc_fail(fdc, ST1_NOT_WRITABLE, 0);
    return false;
}

static bool format_begin(struct fdc *fdc)
{
    fdc->length = FORMAT_ID_BYTES;
    if (!fdc_drive_track_readable(&fdc->drive[selected(fdc)], fdc->head, fdc->rate)) {
        fdc_fail(fdc, ST1_MISSING_MARK, 0);
        return false;
    }
    if (!write_allowed(fdc))
        return false;
    if (!fdc->sectors_left)
        fdc_finish(fdc, 0, 0, 0);
    return fdc->sectors_left != 0;
}

/* Readies the buffer for the next sector; false if the command has ended. */
static bool sector_begin(struct fdc *fdc)
{
    fdc->position = 0;
    if (fdc->transfer == TRANSFER_FORMAT)
        return format_begin(fdc);
    fdc->length = SECTOR_SIZE;
    if (!sector_find(fdc))
        return false;
    if (fdc->transfer == TRANSFER_WRITE)
        return write_allowed(fdc);
    if (fdc_drive_read(&fdc->drive[selected(fdc)], fdc->head, fdc->r, fdc->buffer))
        return true;
    fdc_fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
    return false;
}

/* C, H and R go on to the next sector as table 5-3 has it; false past the last. */
static bool sector_advance(struct fdc *fdc)
{
    if (fdc->transfer == TRANSFER_VERIFY && fdc->command[BYTE_DRIVE] & VERIFY_COUNTED &&
        !--fdc->sectors_left) {
        fdc->r++;
        return false;
    }
    if (fdc->r != fdc->last_sector) {
        fdc->r++;
        return true;
    }
    fdc->r = 1;
    if (fdc->command[0] & COMMAND_MULTITRACK) {
        fdc->head ^= 1;
        fdc->h ^= 1;
        if (fdc->head)
            return true;
    }
    fdc->c++;
    return false;
}

/* One sector's identification has come: C, H, R, N. Those the image has no place for are formatted into the void. */
static bool format_sector(struct fdc *fdc)
{
    struct fdc_drive *drive = &fdc->drive[selected(fdc)];
    uint8_t filler[SECTOR_SIZE];
    memset(filler, fdc->command[FORMAT_FILLER], sizeof(filler));
    fdc->c = fdc->buffer[0];
    fdc->h = fdc->buffer[1];
    fdc->r = fdc->buffer[2];
    fdc->n = fdc->buffer[3];
    if (!fdc->r || fdc->r > drive->format->sectors)
        return true;
    return fdc_drive_write(drive, fdc->head, fdc->r, filler);
}

static bool sector_store(struct fdc *fdc)
{
    if (towards_cpu(fdc) || fdc->transfer == TRANSFER_VERIFY)
        return true;
    /* While its bytes came one by one, somebody may have taken the medium out. */
    if (!fdc_drive_track_readable(&fdc->drive[selected(fdc)], fdc->head, fdc->rate))
        return false;
    if (fdc->transfer == TRANSFER_FORMAT)
        return format_sector(fdc);
    return fdc_drive_write(&fdc->drive[selected(fdc)], fdc->head, fdc->r, fdc->buffer);
}

/* The buffer has been moved whole, or up to terminal count; false if the command has ended. */
static bool sector_end(struct fdc *fdc, bool terminal)
{
    if (!sector_store(fdc)) {
        fdc_fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
        return false;
    }
    if (fdc->transfer == TRANSFER_FORMAT) {
        if (--fdc->sectors_left && !terminal)
            return true;
        fdc_finish(fdc, 0, 0, 0);
        return false;
    }
    bool more = sector_advance(fdc);
    if (more && !terminal)
        return true;
    if (terminal || fdc->transfer == TRANSFER_VERIFY)
        fdc_finish(fdc, 0, 0, 0);
    else
        fdc_fail(fdc, ST1_END_OF_CYLINDER, 0); /* nobody said terminal count */
    return false;
}

static void execute_by_dma(struct fdc *fdc)
{
    bool terminal = false;
    while (sector_begin(fdc)) {
        size_t moved = fdc->length;
        if (towards_cpu(fdc)) {
            moved = dma_to_memory(fdc->dma, DMA_CHANNEL, fdc->buffer, fdc->length, &terminal);
        } else if (fdc->transfer != TRANSFER_VERIFY) {
            memset(fdc->buffer, 0,
                   sizeof(fdc->buffer)); /* what terminal count cuts off is written as zeros */
            moved = dma_from_memory(fdc->dma, DMA_CHANNEL, fdc->buffer, fdc->length, &terminal);
        }
        if (moved < fdc->length && !terminal) {
            fdc_fail(fdc, ST1_OVERRUN, 0); /* the channel does not serve the request */
            return;
        }
        if (!sector_end(fdc, terminal))
            return;
    }
}

static void execute_by_bytes(struct fdc *fdc)
{
    if (!sector_begin(fdc))
        return;
    fdc->phase = PHASE_BYTES;
    fdc_interrupt(fdc, true);
}

/* A byte of a sector went through the FIFO port. */
static void byte_done(struct fdc *fdc)
{
    if (++fdc->position < fdc->length)
        return;
    fdc_interrupt(fdc, false);
    if (sector_end(fdc, false))
        execute_by_bytes(fdc);
}

static void execute_read_id(struct fdc *fdc)
{
    struct fdc_drive *drive = &fdc->drive[selected(fdc)];
    fdc->c = drive->track;
    fdc->h = fdc->head;
    fdc->n = FDC_SECTOR_CODE;
    fdc->r = 1;
    if (!fdc_drive_track_readable(drive, fdc->head, fdc->rate)) {
        fdc_fail(fdc, ST1_MISSING_MARK, 0);
        return;
    }
    drive->passing = drive->passing % drive->format->sectors + 1;
    fdc->r = drive->passing;
    fdc_finish(fdc, 0, 0, 0);
}

static void data_start(struct fdc *fdc, enum transfer transfer)
{
    fdc->transfer = transfer;
    fdc->c = fdc->command[BYTE_C];
    fdc->h = fdc->command[BYTE_H];
    fdc->r = fdc->command[BYTE_R];
    fdc->n = fdc->command[BYTE_N];
    fdc->last_sector = fdc->command[BYTE_EOT];
    fdc->sectors_left = fdc->command[BYTE_DTL];
    if (fdc->configure & CONFIGURE_IMPLIED_SEEK)
        fdc_drive_step(&fdc->drive[selected(fdc)], fdc->c);
}

static void execution_start(struct fdc *fdc)
{
    fdc->head = fdc->command[BYTE_DRIVE] & COMMAND_HEAD ? 1 : 0;
    fdc->phase = PHASE_EXECUTION;
    fdc->executing = true;
    fdc_later(fdc, EXECUTION_NANOSECONDS);
}

/* ---- the commands */

static void command_read(struct fdc *fdc)
{
    data_start(fdc, TRANSFER_READ);
    execution_start(fdc);
}

/* From the index hole on: the sectors in their order on the track. */
static void command_read_track(struct fdc *fdc)
{
    data_start(fdc, TRANSFER_READ_TRACK);
    fdc->r = 1;
    execution_start(fdc);
}

static void command_write(struct fdc *fdc)
{
    data_start(fdc, TRANSFER_WRITE);
    execution_start(fdc);
}

static void command_verify(struct fdc *fdc)
{
    data_start(fdc, TRANSFER_VERIFY);
    execution_start(fdc);
}

static void command_format(struct fdc *fdc)
{
    fdc->transfer = TRANSFER_FORMAT;
    fdc->n = fdc->command[FORMAT_N];
    fdc->sectors_left = fdc->command[FORMAT_SECTORS];
    fdc->last_sector = fdc->command[FORMAT_SECTORS];
    execution_start(fdc);
}

static void command_read_id(struct fdc *fdc)
{
    fdc->transfer = TRANSFER_READ_ID;
    execution_start(fdc);
}

/* The seek itself is over at once; that it is, the interrupt tells later. */
static void seek_start(struct fdc *fdc, uint8_t track, uint8_t status)
{
    unsigned number = selected(fdc);
    fdc_drive_step(&fdc->drive[number], track);
    fdc->seek_status[number] = ST0_SEEK_END | status | number;
    fdc->seeking |= 1 << number;
    fdc->sought &= ~(1 << number);
    fdc_idle(fdc);
    fdc_later(fdc, SEEK_NANOSECONDS);
}

static void command_recalibrate(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[selected(fdc)];
    bool arrives = drive->present && drive->track <= RECALIBRATE_STEPS;
    seek_start(fdc, arrives || !drive->present ? 0 : drive->track - RECALIBRATE_STEPS,
               arrives ? 0 : ST0_ABNORMAL | ST0_EQUIPMENT_CHECK);
}

static void command_seek(struct fdc *fdc)
{
    unsigned head = fdc->command[BYTE_DRIVE] & COMMAND_HEAD ? 1 : 0;
    int track = fdc->command[BYTE_C];
    if (fdc->command[0] & COMMAND_RELATIVE) {
        int from = fdc->drive[selected(fdc)].track;
        track = fdc->command[0] & COMMAND_SEEK_UP ? from + track : from - track;
    }
    track = track < 0 ? 0 : track > 0xff ? 0xff : track;
    seek_start(fdc, track, head << ST0_HEAD_SHIFT);
}

static void command_sense_interrupt(struct fdc *fdc)
{
    uint8_t status = 0;
    fdc_interrupt(fdc, false);
    if (fdc->polled) {
        status = ST0_POLLED | (LINES - fdc->polled--);
    } else if (fdc->sought) {
        unsigned number = __builtin_ctz(fdc->sought);
        status = fdc->seek_status[number];
        fdc->sought &= ~(1 << number);
        if (fdc->sought)
            fdc_interrupt(fdc, true);
    } else {
        fdc_answer_byte(fdc, ST0_INVALID);
        return;
    }
    fdc_answer(fdc, (uint8_t[]){status, fdc->drive[status & ST0_DRIVE].track}, 2);
}

static void command_sense_drive(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[selected(fdc)];
    uint8_t status = ST3_READY | ST3_TWO_SIDED | (fdc->command[BYTE_DRIVE] & (ST0_DRIVE | COMMAND_HEAD));
    if (drive->present && !drive->track)
        status |= ST3_TRACK_0;
    if (drive->medium && drive->medium->read_only)
        status |= ST3_WRITE_PROTECTED;
    fdc_answer_byte(fdc, status);
}

static void command_specify(struct fdc *fdc)
{
    fdc->specify[0] = fdc->command[1];
    fdc->specify[1] = fdc->command[2];
    fdc_idle(fdc);
}

static void command_configure(struct fdc *fdc)
{
    fdc->configure = fdc->command[2] & CONFIGURE_BITS;
    fdc->precompensation = fdc->command[3];
    fdc_idle(fdc);
}

/* Without OVERWRITE the drives' bits stay as they are. */
static void command_perpendicular(struct fdc *fdc)
{
    uint8_t value = fdc->command[1];
    uint8_t drives = value & PERPENDICULAR_OVERWRITE ? value : fdc->perpendicular;
    fdc->perpendicular = (drives & PERPENDICULAR_DRIVES) | (value & 3);
    fdc_idle(fdc);
}

static void command_lock(struct fdc *fdc)
{
    fdc->lock = fdc->command[0] & COMMAND_LOCK;
    fdc_answer_byte(fdc, fdc->lock << 4);
}

static void command_dump(struct fdc *fdc)
{
    uint8_t result[MOST_RESULT_BYTES] = {
        fdc->drive[0].track, fdc->drive[1].track,  fdc->drive[2].track, fdc->drive[3].track,
        fdc->specify[0],     fdc->specify[1],      fdc->last_sector,    fdc->lock << 7 | fdc->perpendicular,
        fdc->configure,      fdc->precompensation,
    };
    fdc_answer(fdc, result, sizeof(result));
}

static void command_version(struct fdc *fdc)
{
    fdc_answer_byte(fdc, VERSION_82077AA);
}

static void command_invalid(struct fdc *fdc)
{
    fdc_answer_byte(fdc, ST0_INVALID);
}

struct command {
    uint8_t value, mask; /* of the first byte; what the mask leaves out are MT, MFM, SK and the like */
    uint8_t bytes;
    void (*run)(struct fdc *fdc);
};

static const struct command commands[] = {
    {0x06, 0x1f, 9, command_read},            /* READ DATA */
    {0x0c, 0x1f, 9, command_read},            /* READ DELETED DATA */
    {0x02, 0x9f, 9, command_read_track},      /* READ TRACK */
    {0x05, 0x3f, 9, command_write},           /* WRITE DATA */
    {0x09, 0x3f, 9, command_write},           /* WRITE DELETED DATA */
    {0x16, 0x1f, 9, command_verify},          /* VERIFY */
    {0x0d, 0xbf, 6, command_format},          /* FORMAT TRACK */
    {0x0a, 0xbf, 2, command_read_id},         /* READ ID */
    {0x07, 0xff, 2, command_recalibrate},     /* RECALIBRATE */
    {0x0f, 0xff, 3, command_seek},            /* SEEK */
    {0x8f, 0xbf, 3, command_seek},            /* RELATIVE SEEK */
    {0x08, 0xff, 1, command_sense_interrupt}, /* SENSE INTERRUPT STATUS */
    {0x04, 0xff, 2, command_sense_drive},     /* SENSE DRIVE STATUS */
    {0x03, 0xff, 3, command_specify},         /* SPECIFY */
    {0x13, 0xff, 4, command_configure},       /* CONFIGURE */
    {0x12, 0xff, 2, command_perpendicular},   /* PERPENDICULAR MODE */
    {0x14, 0x7f, 1, command_lock},            /* LOCK */
    {0x0e, 0xff, 1, command_dump},            /* DUMPREG */
    {0x10, 0xff, 1, command_version},         /* VERSION */
    {0x00, 0x00, 1, command_invalid},         /* everything else */
};

static const struct command *command_of(uint8_t first)
{
    const struct command *command = commands;
    while ((first & command->mask) != command->value)
        command++;
    return command;
}

/* ---- what comes later */

static void fdc_execute(struct fdc *fdc)
{
    if (fdc->transfer == TRANSFER_READ_ID)
        execute_read_id(fdc);
    else if (fdc->transfer == TRANSFER_VERIFY || !(fdc->specify[1] & SPECIFY_NON_DMA))
        execute_by_dma(fdc);
    else
        execute_by_bytes(fdc);
}

static void fdc_fire(void *opaque)
{
    struct fdc *fdc = opaque;
    if (fdc->resetting) {
        fdc->resetting = false;
        fdc->polled = fdc->configure & CONFIGURE_POLLING_OFF ? 0 : LINES;
        fdc_interrupt(fdc, fdc->polled != 0);
    }
    if (fdc->seeking) {
        fdc->sought |= fdc->seeking;
        fdc->seeking = 0;
        fdc_interrupt(fdc, true);
    }
    if (fdc->executing) {
        fdc->executing = false;
        fdc_execute(fdc);
    }
}

/* The RESET pin, DOR bit 2 or DSR bit 7: ends whatever was going on. */
static void controller_reset(struct fdc *fdc)
{
    fdc_idle(fdc);
    fdc_interrupt(fdc, false);
    fdc->executing = fdc->resetting = false;
    fdc->seeking = fdc->sought = 0;
    fdc->polled = 0;
    fdc->perpendicular &= PERPENDICULAR_DRIVES;
    uint8_t kept = fdc->lock ? fdc->configure & CONFIGURE_FIFO_BITS : CONFIGURE_FIFO_OFF;
    fdc->configure = kept;
    if (!fdc->lock)
        fdc->precompensation = 0;
    timer_disarm(fdc->timer);
}

static void controller_run(struct fdc *fdc)
{
    fdc->resetting = true;
    fdc_later(fdc, RESET_NANOSECONDS);
}

/* ---- ports */

static void write_dor(struct fdc *fdc, uint8_t value)
{
    uint8_t changed = value ^ fdc->dor;
    fdc->dor = value;
    if (changed & DOR_RUN && !(value & DOR_RUN))
        controller_reset(fdc);
    else if (changed & DOR_RUN)
        controller_run(fdc);
    fdc_interrupt(fdc, fdc->interrupt); /* the gate may have opened or closed */
}

static void write_dsr(struct fdc *fdc, uint8_t value)
{
    fdc->rate = value & DSR_RATE;
    if (!(value & DSR_RESET))
        return;
    controller_reset(fdc);
    if (fdc->dor & DOR_RUN)
        controller_run(fdc);
}

static void write_fifo(struct fdc *fdc, uint8_t value)
{
    if (!(fdc->dor & DOR_RUN) || fdc->resetting)
        return;
    if (fdc->phase == PHASE_BYTES && !towards_cpu(fdc)) {
        fdc->buffer[fdc->position] = value;
        byte_done(fdc);
        return;
    }
    if (fdc->phase != PHASE_COMMAND)
        return;
    fdc->command[fdc->command_bytes++] = value;
    const struct command *command = command_of(fdc->command[0]);
    if (fdc->command_bytes == command->bytes)
        command->run(fdc);
}

static uint8_t read_fifo(struct fdc *fdc)
{
    if (fdc->phase == PHASE_BYTES && towards_cpu(fdc)) {
        uint8_t byte = fdc->buffer[fdc->position];
        byte_done(fdc);
        return byte;
    }
    if (fdc->phase != PHASE_RESULT)
        return 0;
    uint8_t byte = fdc->result[fdc->result_read++];
    if (fdc->result_interrupts) {
        fdc->result_interrupts = false;
        fdc_interrupt(fdc, fdc->sought != 0);
    }
    if (fdc->result_read == fdc->result_bytes)
        fdc_idle(fdc);
    return byte;
}

static uint8_t read_msr(const struct fdc *fdc)
{
    if (!(fdc->dor & DOR_RUN) || fdc->resetting)
        return 0;
    switch (fdc->phase) {
    case PHASE_COMMAND: return MSR_RQM | (fdc->command_bytes ? MSR_BUSY : 0) | fdc->seeking;
    case PHASE_EXECUTION: return MSR_BUSY | fdc->seeking;
    case PHASE_BYTES: return MSR_RQM | MSR_NON_DMA | MSR_BUSY | (towards_cpu(fdc) ? MSR_DIO : 0);
    default: return MSR_RQM | MSR_DIO | MSR_BUSY | fdc->seeking;
    }
}

static void fdc_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct fdc *fdc = device;
    (void)size;
    switch (offset) {
    case DOR: write_dor(fdc, value); break;
    case TDR: fdc->tdr = value & TDR_BITS; break;
    case MSR_DSR: write_dsr(fdc, value); break;
    default: write_fifo(fdc, value);
    }
}

static uint64_t fdc_read(void *device, uint64_t offset, unsigned size)
{
    struct fdc *fdc = device;
    (void)size;
    switch (offset) {
    case DOR: return fdc->dor;
    case TDR: return fdc->tdr;
    case MSR_DSR: return read_msr(fdc);
    default: return read_fifo(fdc);
    }
}

static void ccr_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct fdc *fdc = device;
    (void)offset, (void)size;
    fdc->rate = value & DSR_RATE;
}

static uint64_t dir_read(void *device, uint64_t offset, unsigned size)
{
    const struct fdc *fdc = device;
    const struct fdc_drive *drive = &fdc->drive[fdc->dor & DOR_DRIVE];
    (void)offset, (void)size;
    return drive->present && drive->changed ? DIR_CHANGED : 0;
}

/* ---- the machine's side */

bool fdc_size_fits(uint64_t bytes)
{
    return fdc_format_of(bytes) != NULL;
}

bool fdc_insert(struct fdc *fdc, unsigned drive, struct block_device *medium)
{
    if (drive >= FDC_DRIVES || (medium && !fdc_size_fits(medium->size)))
        return false;
    fdc_drive_insert(&fdc->drive[drive], medium);
    return true;
}

uint8_t fdc_cmos_types(const struct fdc *fdc)
{
    return fdc->drive[0].cmos_type << 4 | fdc->drive[1].cmos_type;
}

void fdc_reset(struct fdc *fdc)
{
    fdc->dor = fdc->tdr = 0;
    fdc->rate = FDC_RATE_250K;
    fdc->specify[0] = fdc->specify[1] = fdc->perpendicular = 0;
    fdc->lock = false;
    controller_reset(fdc);
}

struct fdc *fdc_create(struct bus *ports, const struct irq_line *irq, struct dma *dma, struct clock *clock)
{
    struct fdc *fdc = allocate(sizeof(*fdc));
    fdc->ports = ports;
    fdc->irq = *irq;
    fdc->dma = dma;
    fdc->clock = clock;
    fdc->timer = timer_create_on(clock, fdc_fire, fdc);
    fdc_reset(fdc);
    bus_add(ports, &(struct bus_range){PORT, PORTS, "fdc", fdc, fdc_read, fdc_write, 1});
    bus_add(ports, &(struct bus_range){PORT_DIR_CCR, 1, "fdc", fdc, dir_read, ccr_write, 1});
    return fdc;
}

void fdc_destroy(struct fdc *fdc)
{
    bus_remove(fdc->ports, fdc, PORT);
    bus_remove(fdc->ports, fdc, PORT_DIR_CCR);
    timer_destroy(fdc->timer);
    free(fdc);
}
