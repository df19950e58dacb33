/*
 * The PC's way of telling errors of the x87: FERR# of the CPU to IRQ 13, port F0h to IGNNE#.
 */
#ifndef DEVICES_FERR_H
#define DEVICES_FERR_H

#include "core/bus.h"
#include "core/irq.h"

struct ferr;

/* `interrupt`: IRQ 13; `ignne`: the CPUs' pin. */
struct ferr *ferr_create(struct bus *ports, const struct irq_line *interrupt, const struct irq_line *ignne);
void ferr_destroy(struct ferr *ferr); /* NULL is harmless */
void ferr_reset(struct ferr *ferr);
/* What the CPU's pin is joined to. */
struct irq_line ferr_line(struct ferr *ferr);

#endif
