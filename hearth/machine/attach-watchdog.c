/* -device i6300esb. What is done when it expires is the machine's (-action watchdog=). */
#include "devices/i6300esb.h"
#include "machine/attach-parts.h"

static void expired(void *opaque)
{
    struct pc *pc = opaque;
    pc->events.watchdog(pc->events.opaque);
}

static void *watchdog_attach(struct pc *pc, struct settings *settings)
{
    struct pci_slot where;
    if (!attach_slot(pc, settings, &where))
        return NULL;
    return i6300esb_create(&(struct i6300esb_wiring){.pci = pc->pci,
                                                     .slot = where.slot,
                                                     .function = where.function,
                                                     .multifunction = where.multifunction,
                                                     .clock = pc->clock,
                                                     .expired = {expired, pc}});
}

static void watchdog_reset(void *device)
{
    i6300esb_reset(device);
}

static void watchdog_detach(void *device)
{
    i6300esb_destroy(device);
}

const struct driver i6300esb_driver = {
    .name = "i6300esb",
    .bus = "PCI",
    .help = "a watchdog timer; -action watchdog= says what it does",
    .create = watchdog_attach,
    .reset = watchdog_reset,
    .destroy = watchdog_detach,
};
