/* Where a PCI function goes that comes with -device. */
#include "machine/attach-parts.h"

#include <stdlib.h>
#include <string.h>

#include "devices/pci.h"

static bool address_parse(const char *text, unsigned long *slot, unsigned long *function)
{
    char *end;
    *slot = strtoul(text, &end, 16);
    *function = 0;
    if (end == text || (*end && *end != '.'))
        return false;
    if (*end) {
        text = end + 1;
        *function = strtoul(text, &end, 16);
        if (end == text || *end)
            return false;
    }
    return *slot < PCI_SLOTS && *function < PCI_FUNCTIONS;
}

static bool slot_is_free(const struct pci_bus *pci, unsigned slot)
{
    for (unsigned function = 0; function < PCI_FUNCTIONS; function++)
        if (!pci_is_free(pci, slot, function))
            return false;
    return true;
}

bool attach_slot(struct pc *pc, struct settings *settings, struct pci_slot *where)
{
    const char *address = settings_text(settings, "addr", NULL),
               *bus = settings_text(settings, "bus", "pci.0");
    unsigned long slot = SLOT_VGA + 1, function = 0;

    where->multifunction = settings_switch(settings, "multifunction", false);
    if (strcmp(bus, "pci.0") && strcmp(bus, "pci"))
        settings_refuse(settings, "Bus '%s' not found; there is pci.0", bus);
    else if (address && !address_parse(address, &slot, &function))
        settings_refuse(settings, "Parameter 'addr' expects SLOT or SLOT.FUNCTION, up to 1f.7");
    while (!address && slot < PCI_SLOTS && !slot_is_free(pc->pci, (unsigned)slot))
        slot++;
    if (slot == PCI_SLOTS)
        settings_refuse(settings, "the PCI bus has no free slot left");
    else if (!pci_is_free(pc->pci, (unsigned)slot, (unsigned)function))
        settings_refuse(settings, "PCI: slot %lx function %lx is taken already", slot, function);
    where->slot = (unsigned)slot;
    where->function = (unsigned)function;
    return !settings_error(settings);
}
