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
 * Source: Intel 82077AA data sheet (290166-007), register, command set and status register chapters.
 */
#include "devices/fdc.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/fdc-state.h"

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

    RESET_NANOSECONDS = 10000,
};

/* ---- interrupt, result, timer */

void fdc_interrupt(struct fdc *fdc, bool level)
{
    fdc->interrupt = level;
    irq_set(&fdc->irq, level && fdc->dor & DOR_DMA_GATE);
}

void fdc_idle(struct fdc *fdc)
{
    fdc->phase = PHASE_COMMAND;
    fdc->command_bytes = 0;
}

void fdc_answer(struct fdc *fdc, const uint8_t *bytes, unsigned count)
{
    memcpy(fdc->result, bytes, count);
    fdc->result_bytes = count;
    fdc->result_read = 0;
    fdc->result_interrupts = false;
    fdc->phase = PHASE_RESULT;
}

void fdc_later(struct fdc *fdc, uint64_t nanoseconds)
{
    timer_arm(fdc->timer, clock_now(fdc->clock) + nanoseconds);
}

unsigned fdc_selected(const struct fdc *fdc)
{
    return fdc->command[BYTE_DRIVE] & ST0_DRIVE;
}

/* ---- what comes later */

static void fdc_fire(void *opaque)
{
    struct fdc *fdc = opaque;
    if (fdc->resetting && !fdc->waiting) {
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
    fdc->abandoned = fdc->waiting;
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
    if (fdc->phase == PHASE_BYTES && !fdc_towards_cpu(fdc)) {
        fdc->buffer[fdc->position] = value;
        fdc_byte_done(fdc);
        return;
    }
    if (fdc->phase == PHASE_COMMAND)
        fdc_command_byte(fdc, value);
}

static uint8_t read_fifo(struct fdc *fdc)
{
    if (fdc->phase == PHASE_BYTES && fdc_towards_cpu(fdc)) {
        uint8_t byte = fdc->buffer[fdc->position];
        fdc_byte_done(fdc);
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
    case PHASE_BYTES: return MSR_RQM | MSR_NON_DMA | MSR_BUSY | (fdc_towards_cpu(fdc) ? MSR_DIO : 0);
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
    fdc->loaded_from = fdc->loaded_to = 0;
    return true;
}

uint8_t fdc_cmos_types(const struct fdc *fdc)
{
    return fdc->drive[0].cmos_type << 4 | fdc->drive[1].cmos_type;
}

static void request_wait(struct fdc *fdc)
{
    fdc->abandoned = fdc->waiting;
    if (fdc->waiting)
        block_drain(fdc->request.block);
}

void fdc_reset(struct fdc *fdc)
{
    fdc->dor = fdc->tdr = 0;
    fdc->rate = FDC_RATE_250K;
    fdc->specify[0] = fdc->specify[1] = fdc->perpendicular = 0;
    fdc->lock = false;
    controller_reset(fdc);
    request_wait(fdc);
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
    request_wait(fdc);
    bus_remove(fdc->ports, fdc, PORT);
    bus_remove(fdc->ports, fdc, PORT_DIR_CCR);
    timer_destroy(fdc->timer);
    free(fdc);
}
