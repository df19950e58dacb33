/* The power management function of the 82371AB PIIX4: PM timer, sleep, power button. */
#ifndef DEVICES_PIIX4PM_H
#define DEVICES_PIIX4PM_H

#include "core/bus.h"
#include "core/callback.h"
#include "core/clock.h"
#include "core/irq.h"
#include "devices/pci.h"

struct piix4pm;

/* Slot 1, function 3. `power_off` is called for SLP_TYP S5. */
struct piix4pm *piix4pm_create(struct pci_bus *pci, struct bus *ports, struct clock *clock,
                               const struct irq_line *sci, const struct callback *power_off);
void piix4pm_destroy(struct piix4pm *pm);
void piix4pm_reset(struct piix4pm *pm); /* after pci_reset() */

/* `system_powerdown`: the guest hears of it if it has asked to. */
void piix4pm_press_power_button(struct piix4pm *pm);
/* One of the 16 general-purpose events: \_GPE._Exx of the ACPI tables. */
void piix4pm_raise_event(struct piix4pm *pm, unsigned event);

#endif
