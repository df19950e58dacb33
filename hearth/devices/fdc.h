/*
 * The 82077AA floppy controller with two drives: ports 3F2h-3F5h and 3F7h, IRQ6, DMA channel 2.
 * Goes with devices/dma.h.
 */
#ifndef DEVICES_FDC_H
#define DEVICES_FDC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/irq.h"
#include "devices/dma.h"
struct block_device;

enum { FDC_DRIVES = 2 };

struct fdc;

/* `irq` is copied. */
struct fdc *fdc_create(struct bus *ports, const struct irq_line *irq, struct dma *dma, struct clock *clock);
void fdc_destroy(struct fdc *fdc);
void fdc_reset(struct fdc *fdc);

/* Is a diskette image of so many bytes one that a drive can take (at most 2.88 MB)? */
bool fdc_size_fits(uint64_t bytes);
/*
 * Puts a medium in (read-only as the block device is), or takes it out with NULL; the disk change line says so.
 * `medium` is not owned and outlives its stay. False, and nothing done, if its size does not fit.
 * A drive that has had no medium is no drive at all: call this once with NULL for an empty one.
 */
bool fdc_insert(struct fdc *fdc, unsigned drive, struct block_device *medium);

/* For CMOS cell 10h: drive A's type in the high nibble, B's in the low one (0 none, 2 1.2M, 4 1.44M, 5 2.88M ...). */
uint8_t fdc_cmos_types(const struct fdc *fdc);

#endif
