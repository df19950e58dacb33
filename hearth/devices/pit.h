/*
 * The 8254 interval timer: ports 40h-43h. Channel 0 drives IRQ0, channel 2 is gated and read through port 61h.
 */
#ifndef DEVICES_PIT_H
#define DEVICES_PIT_H

#include <stdbool.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/irq.h"

struct pit;

/* `irq` is what channel 0's output drives; copied. */
struct pit *pit_create(struct bus *ports, const struct irq_line *irq, struct clock *clock);
void pit_destroy(struct pit *pit); /* NULL is harmless */
/* Power-on leaves an 8254 undefined; here all channels stand still, as if programmed but never given a count. */
void pit_reset(struct pit *pit);

/* Channel 2's gate input and output pin, for port 61h. */
void pit_speaker_gate(struct pit *pit, bool level);
bool pit_speaker_output(struct pit *pit);

#endif
