/*
 * MSI-X: a function's table of interrupt messages, each with a mask of its own, and the bits of those that are pending.
 *
 * Left out: MSI, its older sibling with one address for all messages.
 * Source: PCI Local Bus Specification 3.0, 6.8.2 and 6.8.3.
 */
#include "devices/pci-internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { CAPABILITY_SIZE = 12, MESSAGE_CONTROL = 2, TABLE_OFFSET = 4, PENDING_OFFSET = 8 };

enum message_control { TABLE_SIZE = 0x7ff, FUNCTION_MASK = 1 << 14, ENABLE = 1 << 15 };

enum { ENTRY_SIZE = 16, VECTORS_MOST = 2048, BAR_SMALLEST = 4096 };

enum vector_control { VECTOR_MASKED = 1 << 0 };

struct entry {
    uint32_t address_low, address_high, data, control; /* little-endian, as the guest sees them */
};

struct msix {
    struct pci_device *device;
    unsigned capability; /* its offset */
    unsigned vectors;
    uint64_t pending_base; /* of the pending bits in the BAR */
    struct entry *table;
    uint64_t pending[VECTORS_MOST / 64];
};

static unsigned control(const struct msix *msix)
{
    return pci_get(msix->device, msix->capability + MESSAGE_CONTROL, 2);
}

static bool is_masked(const struct msix *msix, unsigned vector)
{
    return (control(msix) & FUNCTION_MASK) || (le32toh(msix->table[vector].control) & VECTOR_MASKED);
}

static void vector_send(struct msix *msix, unsigned vector)
{
    const struct entry *entry = &msix->table[vector];
    struct pci_bus *bus = msix->device->bus;
    struct interrupt_message message = message_from_write(le32toh(entry->address_low), le32toh(entry->data));
    /* It is a write to memory like others: for a bus master, and interrupts are what lies there. */
    if (!pci_memory(msix->device) || entry->address_high ||
        (le32toh(entry->address_low) & 0xfff00000u) != MESSAGE_ADDRESS)
        return;
    bus->message(bus->message_opaque, &message);
}

static void pending_send(struct msix *msix)
{
    if (!(control(msix) & ENABLE))
        return;
    for (unsigned vector = 0; vector < msix->vectors; vector++) {
        uint64_t bit = 1ull << vector % 64;
        if (!(msix->pending[vector / 64] & bit) || is_masked(msix, vector))
            continue;
        msix->pending[vector / 64] &= ~bit;
        vector_send(msix, vector);
    }
}

void msix_written(struct msix *msix, unsigned first, unsigned last)
{
    if (last < msix->capability + MESSAGE_CONTROL || first > msix->capability + MESSAGE_CONTROL + 1)
        return;
    if (control(msix) & ENABLE)
        pci_interrupt(msix->device, false);
    pending_send(msix);
}

/* ---- the BAR */

static uint64_t msix_read(void *opaque, uint64_t offset, unsigned size)
{
    struct msix *msix = opaque;
    uint64_t value = 0;
    if (offset + size <= (uint64_t)msix->vectors * ENTRY_SIZE)
        memcpy(&value, (const uint8_t *)msix->table + offset, size);
    else if (offset >= msix->pending_base && offset + size <= msix->pending_base + sizeof(msix->pending))
        memcpy(&value, (const uint8_t *)msix->pending + (offset - msix->pending_base), size);
    return le64toh(value);
}

/* What is no whole entry's part is ignored, the pending bits among it: they are the function's. */
static void msix_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct msix *msix = opaque;
    if (offset + size > (uint64_t)msix->vectors * ENTRY_SIZE || size < 4)
        return;
    value = htole64(value);
    memcpy((uint8_t *)msix->table + offset, &value, size);
    msix->table[offset / ENTRY_SIZE].control &= htole32(VECTOR_MASKED);
    pending_send(msix);
}

/* ---- what the bus and the devices use */

void msix_reset(struct msix *msix)
{
    memset(msix->table, 0, msix->vectors * sizeof(*msix->table));
    memset(msix->pending, 0, sizeof(msix->pending));
    for (unsigned vector = 0; vector < msix->vectors; vector++)
        msix->table[vector].control = htole32(VECTOR_MASKED);
}

void msix_destroy(struct msix *msix)
{
    if (!msix)
        return;
    free(msix->table);
    free(msix);
}

bool pci_add_msix(struct pci_device *device, unsigned bar, unsigned vectors)
{
    uint64_t size = BAR_SMALLEST;
    if (!device->bus->message || !vectors || vectors > VECTORS_MOST)
        return false;
    while (size < 2ull * vectors * ENTRY_SIZE)
        size *= 2;

    struct msix *msix = allocate(sizeof(*msix));
    *msix = (struct msix){.device = device,
                          .capability = pci_add_capability(device, PCI_CAPABILITY_MSIX, CAPABILITY_SIZE),
                          .vectors = vectors,
                          .pending_base = size / 2,
                          .table = allocate(vectors * sizeof(*msix->table))};
    device->msix = msix;
    msix_reset(msix);
    pci_add_register(device, msix->capability + MESSAGE_CONTROL, 2, vectors - 1, FUNCTION_MASK | ENABLE);
    pci_add_register(device, msix->capability + TABLE_OFFSET, 4, bar, 0);
    pci_add_register(device, msix->capability + PENDING_OFFSET, 4, (uint32_t)msix->pending_base | bar, 0);
    pci_add_bar(device, bar,
                &(struct pci_bar){.kind = PCI_BAR_MEMORY,
                                  .size = size,
                                  .name = "msi-x",
                                  .device = msix,
                                  .read = msix_read,
                                  .write = msix_write,
                                  .widest = 8});
    return true;
}

bool pci_msix_enabled(const struct pci_device *device)
{
    return device->msix && (control(device->msix) & ENABLE);
}

void pci_signal(struct pci_device *device, unsigned vector)
{
    struct msix *msix = device->msix;
    if (!pci_msix_enabled(device) || vector >= msix->vectors)
        return;
    if (is_masked(msix, vector))
        msix->pending[vector / 64] |= 1ull << vector % 64;
    else
        vector_send(msix, vector);
}

void pci_on_message(struct pci_bus *bus, message_function *send, void *opaque)
{
    bus->message = send;
    bus->message_opaque = opaque;
}
