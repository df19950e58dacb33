/* The screen as a video BIOS leaves it, for kernels that hearth starts itself. */
#ifndef FIRMWARE_TEXT_MODE_H
#define FIRMWARE_TEXT_MODE_H

#include "core/bus.h"
#include "core/memory.h"
#include "firmware/bios.h"

/* Mode 3, blank, with the font out of the video BIOS's image; without that (all zeros) the screen has no glyphs, and its
 * text can be read all the same. Machine lock held. */
void text_mode_set(struct bus *ports, struct bus *mmio, struct memory *memory, const struct firmware *rom);

#endif
