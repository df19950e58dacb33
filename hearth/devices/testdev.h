/* pc-testdev: ports and memory by which test programs drive interrupt lines and try accesses. */
#ifndef DEVICES_TESTDEV_H
#define DEVICES_TESTDEV_H

#include "core/bus.h"
#include "core/irq.h"

enum { TESTDEV_LINES = 24 };

struct testdev;

/* The lines are copied; one that is all zeros goes nowhere. */
struct testdev *testdev_create(struct bus *ports, struct bus *mmio,
                               const struct irq_line lines[TESTDEV_LINES]);
void testdev_destroy(struct testdev *testdev); /* NULL is harmless */

#endif
