/* What the files of the PCI bus share. */
#ifndef DEVICES_PCI_INTERNAL_H
#define DEVICES_PCI_INTERNAL_H

#include "devices/pci.h"

enum { PCI_DECODERS = PCI_BARS + 1, PCI_FUNCTIONS_MOST = PCI_SLOTS * PCI_FUNCTIONS };

struct decoder {
    struct pci_device *owner;
    struct pci_bar bar;
    uint64_t address; /* as decoded now, or PCI_UNMAPPED */
};

struct pci_device {
    struct pci_bus *bus;
    const char *name;
    unsigned slot, function;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t reset[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE];
    struct decoder decoders[PCI_DECODERS];
    uint8_t *rom;
    void (*written)(void *opaque, unsigned first, unsigned last);
    void (*reading)(void *opaque, unsigned first, unsigned last);
    void *opaque;
    bool interrupt;
    unsigned capabilities_end; /* where the next capability goes */
    struct msix *msix;         /* NULL: has none */
};

struct pci_bus {
    struct bus *ports, *mmio;
    struct memory *memory;
    message_function *message; /* NULL: messages go nowhere */
    void *message_opaque;
    uint32_t address; /* CONFADD */
    struct pci_device *functions[PCI_FUNCTIONS_MOST];
    struct irq_line pirq[PCI_PIRQS];
    unsigned pirq_count[PCI_PIRQS]; /* functions that pull it */
    void *reset_control;
    bus_read_function *reset_control_read;
    bus_write_function *reset_control_write;
};

/* pci-msix.c */
void msix_reset(struct msix *msix);
void msix_destroy(struct msix *msix);
/* The guest has written configuration bytes. */
void msix_written(struct msix *msix, unsigned first, unsigned last);

#endif
