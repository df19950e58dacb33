/* The watchdog timer of an Intel 6300ESB, as a PCI function: 8086:25ab. */
#ifndef DEVICES_I6300ESB_H
#define DEVICES_I6300ESB_H

#include "core/callback.h"
#include "core/clock.h"
#include "devices/pci.h"

struct i6300esb;

struct i6300esb_wiring {
    struct pci_bus *pci;
    unsigned slot, function;
    bool multifunction;
    struct clock *clock;
    struct callback expired; /* both stages have passed, and the guest has allowed that something is done */
};

struct i6300esb *i6300esb_create(const struct i6300esb_wiring *wiring);
void i6300esb_reset(struct i6300esb *watchdog); /* after pci_reset() */
void i6300esb_destroy(struct i6300esb *watchdog);

#endif
