/*
 * The pair of 8237A DMA controllers of a PC/AT: ports 00h-0Fh, C0h-DFh (even), and the
 * page registers 80h-8Fh.
 */
#ifndef DEVICES_DMA_H
#define DEVICES_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/memory.h"

struct dma;

struct dma *dma_create(struct bus *ports, struct memory *memory);
void dma_destroy(struct dma *dma);
void dma_reset(struct dma *dma);

/*
 * A device with bytes for memory, or wanting bytes from it, holds the request line of `channel` (0 to 3, 5 to 7)
 * until `count` bytes have gone or the channel has reached terminal count. The answer is how many went: none where
 * the channel is masked, disabled or programmed the other way. On a verify channel all "go" but memory is neither
 * read (`to` is filled with FFh) nor written. *terminal is set if terminal count was reached with the last of them.
 */
size_t dma_to_memory(struct dma *dma, int channel, const uint8_t *from, size_t count, bool *terminal);
size_t dma_from_memory(struct dma *dma, int channel, uint8_t *to, size_t count, bool *terminal);

#endif
