/* The 82441FX PMC: host bridge 00:00.0, PAM shadowing of C0000h to FFFFFh. */
#ifndef DEVICES_I440FX_H
#define DEVICES_I440FX_H

#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"
#include "devices/pci.h"

struct i440fx;

/*
 * Maps the RAM below 1 MiB but A0000h to BFFFFh, which is the display adapter's. `rom` is what lies below 1 MiB where
 * PAM says "not RAM": at most 128 KiB, ending at FFFFFh; it outlives the chip. The rest of C0000h to DFFFFh is a hole.
 */
struct i440fx *i440fx_create(struct pci_bus *pci, struct memory *memory, uint8_t *rom, size_t rom_size);
void i440fx_destroy(struct i440fx *bridge);
void i440fx_reset(struct i440fx *bridge); /* after pci_reset() */

#endif
