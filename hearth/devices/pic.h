/*
 * The pair of 8259A interrupt controllers of a PC/AT: ports 20h-21h, A0h-A1h, and their edge/level control registers
 * 4D0h-4D1h.
 */
#ifndef DEVICES_PIC_H
#define DEVICES_PIC_H

#include <stdint.h>
#include <stdio.h>

#include "core/bus.h"
#include "core/irq.h"

struct pic;

/* `output` is the INTR wire to the CPU; copied. */
struct pic *pic_create(struct bus *ports, const struct irq_line *output);
void pic_destroy(struct pic *pic); /* NULL is harmless */
/* Not initialised, as after power-on; the levels of the inputs stay what their devices drive. */
void pic_reset(struct pic *pic);

/* The input IRQ0 to IRQ15. IRQ2 is taken by the cascade: that wire ends nowhere. */
struct irq_line pic_line(struct pic *pic, int irq);

/* The CPU's interrupt acknowledge cycle: the vector. With no request left it is the spurious one of IRQ7 or IRQ15. */
uint8_t pic_acknowledge(struct pic *pic);

void pic_print(const struct pic *pic, FILE *out);        /* `info pic` */
void pic_print_counts(const struct pic *pic, FILE *out); /* `info irq`: how often each was acknowledged */

#endif
