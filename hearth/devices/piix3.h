/* The 82371SB PIIX3, function 0: ISA bridge, PCI interrupt routing, reset control port CF9h. */
#ifndef DEVICES_PIIX3_H
#define DEVICES_PIIX3_H

#include "core/callback.h"
#include "core/irq.h"
#include "devices/pci.h"

struct piix3;

/* Slot 1, function 0. isa[0] to isa[15] are the interrupt controllers' inputs; only 3-7, 9-12, 14, 15 are driven.
 * `reset` is called when the guest asks for a reset through CF9h. */
struct piix3 *piix3_create(struct pci_bus *pci, const struct irq_line isa[16], const struct callback *reset);
void piix3_destroy(struct piix3 *bridge);
void piix3_reset(struct piix3 *bridge); /* after pci_reset() */

/* The power management's SCI: IRQ9, or-ed with the PIRQs that are routed there. */
struct irq_line piix3_sci(struct piix3 *bridge);

#endif
