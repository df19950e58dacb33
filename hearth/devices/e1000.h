/* An Intel 82540EM Gigabit Ethernet card. */
#ifndef DEVICES_E1000_H
#define DEVICES_E1000_H

#include "core/clock.h"
#include "devices/pci.h"
#include "net/net.h"

struct e1000;

struct e1000_wiring {
    struct pci_bus *pci;
    unsigned slot, function;
    bool multifunction;
    struct clock *clock;
    struct net_port *port; /* NULL: no cable */
    uint8_t address[NET_ADDRESS_SIZE];
    const char *name;   /* "e1000.0"; copied */
    const uint8_t *rom; /* its boot ROM, copied; NULL: none */
    size_t rom_size;
};

struct e1000 *e1000_create(const struct e1000_wiring *wiring);
void e1000_reset(struct e1000 *card); /* after pci_reset() */
void e1000_destroy(struct e1000 *card);

#endif
