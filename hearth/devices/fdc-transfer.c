/*
 * The floppy controller's commands that look at the medium: READ, WRITE, VERIFY, FORMAT and READ ID, by DMA or byte by
 * byte. One sector at a time goes through one buffer, and every index is checked against the medium's format. Reads are
 * served from a copy of the track, writes wait for the image sector by sector.
 *
 * Source: Intel 82077AA data sheet (290166-007), "Data Transfer Commands" and the status registers.
 */
#include <assert.h>
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

/* Where a command stands that moves sectors. */
enum step { STEP_READY, STEP_WAITS, STEP_ENDED };

static enum step format_begin(struct fdc *fdc)
{
    fdc->length = FORMAT_ID_BYTES;
    if (!fdc_drive_track_readable(&fdc->drive[fdc_selected(fdc)], fdc->head, fdc->rate)) {
        fdc_fail(fdc, ST1_MISSING_MARK, 0);
        return STEP_ENDED;
    }
    if (!write_allowed(fdc))
        return STEP_ENDED;
    if (!fdc->sectors_left)
        fdc_finish(fdc, 0, 0, 0);
    return fdc->sectors_left ? STEP_READY : STEP_ENDED;
}

/* ---- the image */

static void transfer_run(struct fdc *fdc);

static void answered(struct block_request *request)
{
    struct fdc *fdc = request->opaque;
    fdc->waiting = false;
    if (fdc->abandoned) {
        fdc->abandoned = false;
        if (fdc->resetting)
            fdc_later(fdc, 0);
        return;
    }
    fdc->answer(fdc, request->result);
}

static enum step ask(struct fdc *fdc, enum block_operation operation, uint64_t offset, void *bytes,
                     size_t size, void (*answer)(struct fdc *fdc, int result))
{
    assert(!fdc->waiting);
    fdc->phase = PHASE_EXECUTION;
    fdc->waiting = true;
    fdc->answer = answer;
    fdc->piece = (struct iovec){bytes, size};
    fdc->request = (struct block_request){.block = fdc->drive[fdc_selected(fdc)].medium,
                                          .operation = operation,
                                          .offset = offset,
                                          .pieces = &fdc->piece,
                                          .count = 1,
                                          .done = answered,
                                          .opaque = fdc};
    block_submit(&fdc->request);
    return STEP_WAITS;
}

static enum step data_error(struct fdc *fdc)
{
    fdc_fail(fdc, ST1_DATA_ERROR, ST2_DATA_ERROR);
    return STEP_ENDED;
}

static enum step sectors_load(struct fdc *fdc, unsigned count);

static void loaded(struct fdc *fdc, int result)
{
    if (result >= 0) {
        transfer_run(fdc);
        return;
    }
    unsigned count = fdc->loaded_to - fdc->loaded_from;
    fdc->loaded_to = fdc->loaded_from;
    if (count > 1) /* those before the bad one are good */
        sectors_load(fdc, 1);
    else
        data_error(fdc);
}

/* Copies `count` sectors from R on; those past the end of a short image are zeros. */
static enum step sectors_load(struct fdc *fdc, unsigned count)
{
    const struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
    uint64_t offset = fdc_drive_offset(drive, fdc->head, fdc->r);
    unsigned there = fdc_drive_sectors(drive, offset, count);

    fdc->loaded_from = fdc->r;
    fdc->loaded_to = fdc->r + count;
    fdc->loaded_head = fdc->head;
    memset(fdc->track, 0, count * SECTOR_SIZE);
    return there ? ask(fdc, BLOCK_READ, offset, fdc->track, there * SECTOR_SIZE, loaded) : STEP_READY;
}

static enum step sector_load(struct fdc *fdc)
{
    unsigned last = fdc->drive[fdc_selected(fdc)].format->sectors;
    bool there = fdc->head == fdc->loaded_head && fdc->r >= fdc->loaded_from && fdc->r < fdc->loaded_to;
    if (!there) {
        if (fdc->last_sector >= fdc->r && fdc->last_sector < last)
            last = fdc->last_sector;
        if (sectors_load(fdc, last - fdc->r + 1) == STEP_WAITS)
            return STEP_WAITS;
    }
    memcpy(fdc->buffer, fdc->track + (fdc->r - fdc->loaded_from) * SECTOR_SIZE, SECTOR_SIZE);
    return STEP_READY;
}

static enum step sector_ended(struct fdc *fdc);

static void stored(struct fdc *fdc, int result)
{
    if (result < 0)
        data_error(fdc);
    else if (sector_ended(fdc) == STEP_READY)
        transfer_run(fdc);
}

static enum step sector_store(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
    uint64_t offset = fdc_drive_offset(drive, fdc->head, fdc->r);
    if (!fdc_drive_sectors(drive, offset, 1))
        return data_error(fdc);
    return ask(fdc, BLOCK_WRITE, offset, fdc->buffer, SECTOR_SIZE, stored);
}

/* ---- a sector's beginning and end */

/* Readies the buffer for the next sector. */
static enum step sector_begin(struct fdc *fdc)
{
    fdc->position = 0;
    if (fdc->transfer == TRANSFER_FORMAT)
        return format_begin(fdc);
    fdc->length = SECTOR_SIZE;
    if (!sector_find(fdc))
        return STEP_ENDED;
    if (fdc->transfer != TRANSFER_WRITE)
        return sector_load(fdc);
    return write_allowed(fdc) ? STEP_READY : STEP_ENDED;
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
static enum step format_sector(struct fdc *fdc)
{
    const struct fdc_drive *drive = &fdc->drive[fdc_selected(fdc)];
    fdc->c = fdc->buffer[0];
    fdc->h = fdc->buffer[1];
    fdc->r = fdc->buffer[2];
    fdc->n = fdc->buffer[3];
    if (!fdc->r || fdc->r > drive->format->sectors)
        return sector_ended(fdc);
    memset(fdc->buffer, fdc->command[FORMAT_FILLER], sizeof(fdc->buffer));
    return sector_store(fdc);
}

/* The sector has been moved and, if it was to be, written. */
static enum step sector_ended(struct fdc *fdc)
{
    if (fdc->transfer == TRANSFER_FORMAT) {
        if (--fdc->sectors_left && !fdc->terminal)
            return STEP_READY;
        fdc_finish(fdc, 0, 0, 0);
        return STEP_ENDED;
    }
    bool more = sector_advance(fdc);
    if (more && !fdc->terminal)
        return STEP_READY;
    if (fdc->terminal || fdc->transfer == TRANSFER_VERIFY)
        fdc_finish(fdc, 0, 0, 0);
    else
        fdc_fail(fdc, ST1_END_OF_CYLINDER, 0); /* nobody said terminal count */
    return STEP_ENDED;
}

/* The buffer has been moved whole, or up to terminal count. */
static enum step sector_end(struct fdc *fdc)
{
    if (fdc_towards_cpu(fdc) || fdc->transfer == TRANSFER_VERIFY)
        return sector_ended(fdc);
    /* While its bytes came one by one, somebody may have taken the medium out. */
    if (!fdc_drive_track_readable(&fdc->drive[fdc_selected(fdc)], fdc->head, fdc->rate))
        return data_error(fdc);
    return fdc->transfer == TRANSFER_FORMAT ? format_sector(fdc) : sector_store(fdc);
}

static enum step sector_by_dma(struct fdc *fdc)
{
    size_t moved = fdc->length;
    if (fdc_towards_cpu(fdc)) {
        moved = dma_to_memory(fdc->dma, DMA_CHANNEL, fdc->buffer, fdc->length, &fdc->terminal);
    } else if (fdc->transfer != TRANSFER_VERIFY) {
        memset(fdc->buffer, 0, sizeof(fdc->buffer)); /* what terminal count cuts off is written as zeros */
        moved = dma_from_memory(fdc->dma, DMA_CHANNEL, fdc->buffer, fdc->length, &fdc->terminal);
    }
    if (moved == fdc->length || fdc->terminal)
        return sector_end(fdc);
    fdc_fail(fdc, ST1_OVERRUN, 0); /* the channel does not serve the request */
    return STEP_ENDED;
}

/* Goes on until the command has ended, or waits for the image or for bytes. */
static void transfer_run(struct fdc *fdc)
{
    bool by_dma = fdc->transfer == TRANSFER_VERIFY || !(fdc->specify[1] & SPECIFY_NON_DMA);
    enum step step;
    do {
        step = sector_begin(fdc);
        if (step == STEP_READY && !by_dma) {
            fdc->phase = PHASE_BYTES;
            fdc_interrupt(fdc, true);
            return;
        }
        if (step == STEP_READY)
            step = sector_by_dma(fdc);
    } while (step == STEP_READY);
}

void fdc_byte_done(struct fdc *fdc)
{
    if (++fdc->position < fdc->length)
        return;
    fdc_interrupt(fdc, false);
    if (sector_end(fdc) == STEP_READY)
        transfer_run(fdc);
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
    fdc->terminal = false;
    fdc->loaded_from = fdc->loaded_to = 0;
    if (fdc->transfer == TRANSFER_READ_ID)
        execute_read_id(fdc);
    else
        transfer_run(fdc);
}
