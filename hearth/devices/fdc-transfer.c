/*
 * The floppy controller's commands that look at the medium: READ, WRITE, VERIFY, FORMAT and READ ID, by DMA or byte by
 * byte. One sector at a time goes through one buffer, and every index is checked against the medium's format.
 *
 * Source: Intel 82077AA data sheet (290166-007), "Data Transfer Commands" and the status registers.
 */
#include <string.h>

#include "devices/fdc-state.h"

enum { DMA_CHANNEL = 2, FORMAT_ID_BYTES = 4 };

/* The end of a data command: its seven result bytes, and the interrupt. */
static void fdc_finish(struct fdc *fdc, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t place = fdc_selected(fdc) | fdc->head << ST0_HEAD_SHIFT;
    uint8_t result[] = {st0 | place, st1, st2, fdc->c, fdc->h, fdc->r, fdc->n};
    fdc_answer(fdc, result, sizeof(result));
    fdc->result_interrupts = true;
    fdc_interrupt(fdc, true);
}

static void fdc_fail(struct fdc *fdc, uint8_t st1, uint8_t st2)
{
    fdc_finish(fdc, ST0_ABNORMAL, st1, st2);
}

bool fdc_towards_cpu(const struct fdc *fdc)
{
    return fdc->transfer == TRANSFER_READ || fdc->transfer == TRANSFER_READ_TRACK;
}

/* Looks for the sector that C, H, R and N name under the head; on failure ends the command. */
static bool sector_find(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
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
    const struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
    if (!drive->medium || !drive->medium->read_only)
        return true;
    fdc_fail(fdc, ST1_NOT_WRITABLE, 0);
    return false;
}

static bool format_begin(struct fdc *fdc)
{
    fdc->length = FORMAT_ID_BYTES;
    if (!fdc_drive_track_readable(&fdc->drive[fdc_selected(fdc)], fdc->head, fdc->rate)) {
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
    if (fdc_drive_read(&fdc->drive[fdc_selected(fdc)], fdc->head, fdc->r, fdc->buffer))
        return true;
    fdc_fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
    return false;
}

/* C, H and R go on to the next sector as the "Result Phase Table" has it; false past the last. */
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
    struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
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
    if (fdc_towards_cpu(fdc) || fdc->transfer == TRANSFER_VERIFY)
        return true;
    /* While its bytes came one by one, somebody may have taken the medium out. */
    if (!fdc_drive_track_readable(&fdc->drive[fdc_selected(fdc)], fdc->head, fdc->rate))
        return false;
    if (fdc->transfer == TRANSFER_FORMAT)
        return format_sector(fdc);
    return fdc_drive_write(&fdc->drive[fdc_selected(fdc)], fdc->head, fdc->r, fdc->buffer);
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
        if (fdc_towards_cpu(fdc)) {
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

void fdc_byte_done(struct fdc *fdc)
{
    if (++fdc->position < fdc->length)
        return;
    fdc_interrupt(fdc, false);
    if (sector_end(fdc, false))
        execute_by_bytes(fdc);
}

static void execute_read_id(struct fdc *fdc)
{
    struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
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

void fdc_execute(struct fdc *fdc)
{
    if (fdc->transfer == TRANSFER_READ_ID)
        execute_read_id(fdc);
    else if (fdc->transfer == TRANSFER_VERIFY || !(fdc->specify[1] & SPECIFY_NON_DMA))
        execute_by_dma(fdc);
    else
        execute_by_bytes(fdc);
}
