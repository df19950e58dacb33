/*
 * FERR# and IGNNE#: while CR0.NE is clear, an error of the x87 raises IRQ 13; a write to port F0h takes that back and has
 * the CPU ignore the error until it is gone.
 *
 * Source: Intel 82371AB (PIIX4) data sheet, "Coprocessor Error Register" and FERR#; SDM volume 1, appendix D.
 */
#include "devices/ferr.h"

#include <stdlib.h>

#include "core/log.h"

enum { PORT = 0xf0 };

struct ferr {
    struct bus *ports;
    struct irq_line interrupt, ignne;
    bool error;
};

static void ferr_set(void *target, int input, bool level)
{
    struct ferr *ferr = target;
    (void)input;
    ferr->error = level;
    irq_set(&ferr->interrupt, level);
    if (!level)
        irq_set(&ferr->ignne, false);
}

/* Whatever the value. */
static void ferr_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct ferr *ferr = device;
    (void)offset, (void)size, (void)value;
    irq_set(&ferr->interrupt, false);
    if (ferr->error)
        irq_set(&ferr->ignne, true);
}

struct irq_line ferr_line(struct ferr *ferr)
{
    return (struct irq_line){ferr_set, ferr, 0};
}

void ferr_reset(struct ferr *ferr)
{
    ferr_set(ferr, 0, false);
}

struct ferr *ferr_create(struct bus *ports, const struct irq_line *interrupt, const struct irq_line *ignne)
{
    struct ferr *ferr = allocate(sizeof(*ferr));
    ferr->ports = ports;
    ferr->interrupt = *interrupt;
    ferr->ignne = *ignne;
    bus_add(ports, &(struct bus_range){PORT, 1, "ferr", ferr, NULL, ferr_write, 1});
    return ferr;
}

void ferr_destroy(struct ferr *ferr)
{
    if (!ferr)
        return;
    bus_remove(ferr->ports, ferr, PORT);
    free(ferr);
}
