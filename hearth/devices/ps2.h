/*
 * The 8042 keyboard controller: ports 60h and 64h, IRQ1 and IRQ12, with a keyboard behind it. No mouse is plugged in.
 */
#ifndef DEVICES_PS2_H
#define DEVICES_PS2_H

#include "core/bus.h"
#include "core/clock.h"
#include "core/input.h"
#include "core/irq.h"

struct ps2;

struct ps2_wiring {
    struct irq_line keyboard_irq, mouse_irq;
    struct clock *clock;
    void (*reset)(
        void *
            opaque); /* the output port's bit 0, and command FEh; may only ask for a reset that comes later */
    void *opaque;
};

/* `wiring` is copied. */
struct ps2 *ps2_create(struct bus *ports, const struct ps2_wiring *wiring);
void ps2_destroy(struct ps2 *ps2);
void ps2_reset(struct ps2 *ps2);

/* Where a display puts its keys. Never blocks: what the keyboard's buffer cannot hold is lost, as on a real one. */
struct input_sink ps2_keyboard(struct ps2 *ps2);

#endif
