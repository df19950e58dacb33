/* The high precision event timer: a counter at 100 MHz and three comparators, at FED00000h. */
#ifndef DEVICES_HPET_H
#define DEVICES_HPET_H

#include "core/bus.h"
#include "core/clock.h"
#include "core/irq.h"

enum { HPET_LINES = 32 };
#define HPET_ADDRESS 0xfed00000u
#define HPET_SIZE    0x400u

struct hpet;

/* `lines`: the inputs of the interrupt controller that a timer may be routed to, by number; those that are all zeros it may
 * not. Copied. */
struct hpet *hpet_create(struct bus *mmio, struct clock *clock, const struct irq_line lines[HPET_LINES]);
void hpet_destroy(struct hpet *hpet); /* NULL is harmless */
void hpet_reset(struct hpet *hpet);

#endif
