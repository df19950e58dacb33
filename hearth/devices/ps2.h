/*
 * The 8042 keyboard controller: ports 60h and 64h, IRQ1 and IRQ12, with a keyboard and a mouse behind it.
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
    struct irq_line a20; /* the gate of address line 20, high for open */
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

/* Where a display puts its keys and the steps of its pointer. What the keyboard's buffer cannot hold is lost, as on a
 * real one. */
struct input_sink ps2_input(struct ps2 *ps2);
/* Makes the mouse report, even if nothing has moved, so that a guest looks at what hangs on its interrupt. */
void ps2_mouse_report(void *ps2);

#endif
