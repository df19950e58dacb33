/* What a BIOS does to the chips before it starts a kernel, for kernels that hearth starts itself. */
#ifndef FIRMWARE_PLATFORM_H
#define FIRMWARE_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bus.h"

/* RAM under C0000h to FFFFFh; PCI addresses from `memory_first` up to the IOAPIC; interrupt links; with `chips`, which
 * are the machine's own, the 8259As and the 8254 too. Machine lock held, after a reset. */
void platform_set_up(struct bus *ports, uint32_t memory_first, bool chips);

#endif
