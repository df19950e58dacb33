/* The drivers of attach.c's table that have files of their own, and what they share. */
#ifndef MACHINE_ATTACH_PARTS_H
#define MACHINE_ATTACH_PARTS_H

#include "machine/attach.h"
#include "machine/pc-parts.h"

extern const struct driver ide_hd_driver, ide_cd_driver, floppy_driver;
extern const struct driver virtio_blk_driver, virtio_rng_driver, virtio_balloon_driver;
extern const struct driver virtio_serial_driver, virtconsole_driver, virtserialport_driver;
extern const struct driver e1000_driver, virtio_net_driver;
extern const struct driver i6300esb_driver;
extern const struct driver virtio_keyboard_driver, virtio_mouse_driver, virtio_tablet_driver;

/* Where addr=SLOT[.FUNCTION] (in hex), bus=, multifunction= put a PCI function; without addr= the first free slot. False after
 * settings_refuse(). */
struct pci_slot {
    unsigned slot, function;
    bool multifunction;
};
bool attach_slot(struct pc *pc, struct settings *settings, struct pci_slot *where);

/* What all virtio devices have. The properties of the device itself come first: here unknown ones are errors. `vectors` is
 * the default. False after settings_refuse(). */
struct virtio_place;
bool attach_virtio(struct pc *pc, struct settings *settings, unsigned vectors, struct virtio_place *place);

#endif
