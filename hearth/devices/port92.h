/*
 * System control port A, 92h: fast A20 and fast reset.
 */
#ifndef DEVICES_PORT92_H
#define DEVICES_PORT92_H

#include "core/bus.h"
#include "core/irq.h"

struct port92;

/* `a20`: the gate of address line 20, high for open. `reset` is called when the guest writes a 1 to bit 0; it may only ask for a reset that comes later. */
struct port92 *port92_create(struct bus *ports, const struct irq_line *a20, void (*reset)(void *opaque),
                             void *opaque);
void port92_destroy(struct port92 *port92);
void port92_reset(struct port92 *port92);

#endif
