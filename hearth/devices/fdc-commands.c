/*
 * The floppy controller's commands: how many bytes each has and what it does, all but the moving of sectors.
 *
 * Source: Intel 82077AA data sheet (290166-007), "Command Set".
 */
#include "devices/fdc-state.h"

enum {
    VERSION_82077AA = 0x90,
    RECALIBRATE_STEPS = 79,
    SEEK_NANOSECONDS = 50000,
    EXECUTION_NANOSECONDS = 20000,
};

static void answer_byte(struct fdc *fdc, uint8_t byte)
{
    fdc_answer(fdc, &byte, 1);
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
        fdc_drive_step(&fdc->drive[fdc_selected(fdc)], fdc->c);
}

static void execution_start(struct fdc *fdc)
{
    fdc->head = fdc->command[BYTE_DRIVE] & COMMAND_HEAD ? 1 : 0;
    fdc->phase = PHASE_EXECUTION;
    fdc->executing = true;
    fdc_later(fdc, EXECUTION_NANOSECONDS);
}

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
    unsigned number = fdc_selected(fdc);
    fdc_drive_step(&fdc->drive[number], track);
    fdc->seek_status[number] = ST0_SEEK_END | status | number;
    fdc->seeking |= 1 << number;
    fdc->sought &= ~(1 << number);
    fdc_idle(fdc);
    fdc_later(fdc, SEEK_NANOSECONDS);
}

static void command_recalibrate(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
    bool arrives = drive->present && drive->track <= RECALIBRATE_STEPS;
    seek_start(fdc, arrives || !drive->present ? 0 : drive->track - RECALIBRATE_STEPS,
               arrives ? 0 : ST0_ABNORMAL | ST0_EQUIPMENT_CHECK);
}

static void command_seek(struct fdc *fdc)
{
    unsigned head = fdc->command[BYTE_DRIVE] & COMMAND_HEAD ? 1 : 0;
    int track = fdc->command[BYTE_C];
    if (fdc->command[0] & COMMAND_RELATIVE) {
        int from = fdc->drive[fdc_selected(fdc)].track;
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
        answer_byte(fdc, ST0_INVALID);
        return;
    }
    fdc_answer(fdc, (uint8_t[]){status, fdc->drive[status & ST0_DRIVE].track}, 2);
}

static void command_sense_drive(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
    uint8_t status = ST3_READY | ST3_TWO_SIDED | (fdc->command[BYTE_DRIVE] & (ST0_DRIVE | COMMAND_HEAD));
    if (drive->present && !drive->track)
        status |= ST3_TRACK_0;
    if (drive->medium && drive->medium->read_only)
        status |= ST3_WRITE_PROTECTED;
    answer_byte(fdc, status);
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
    answer_byte(fdc, fdc->lock << 4);
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
    answer_byte(fdc, VERSION_82077AA);
}

static void command_invalid(struct fdc *fdc)
{
    answer_byte(fdc, ST0_INVALID);
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

void fdc_command_byte(struct fdc *fdc, uint8_t byte)
{
    const struct command *command = commands;
    fdc->command[fdc->command_bytes++] = byte;
    while ((fdc->command[0] & command->mask) != command->value)
        command++;
    if (fdc->command_bytes == command->bytes)
        command->run(fdc);
}
