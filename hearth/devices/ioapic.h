/* The 82093AA I/O APIC: 24 pins, at FEC00000h. */
#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include <stdint.h>
#include <stdio.h>

#include "core/bus.h"
#include "core/irq.h"
#include "core/message.h"

struct ioapic;

enum { IOAPIC_PINS = 24 };

/* `send` takes its messages to the local APICs. */
struct ioapic *ioapic_create(struct bus *mmio, message_function *send, void *opaque);
void ioapic_destroy(struct ioapic *ioapic); /* NULL is harmless */
/* All pins masked; the levels stay what their devices drive. */
void ioapic_reset(struct ioapic *ioapic);

struct irq_line ioapic_line(struct ioapic *ioapic, int pin);
/* A local APIC had the EOI of a level-triggered interrupt with this vector. */
void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector);

void ioapic_print(const struct ioapic *ioapic, FILE *out); /* `info pic` */

#endif
