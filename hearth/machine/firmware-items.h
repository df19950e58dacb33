/* What -fw_cfg hands to the guest. */
#ifndef MACHINE_FIRMWARE_ITEMS_H
#define MACHINE_FIRMWARE_ITEMS_H

#include "devices/fwcfg.h"

struct settings;

/* Ends the program with one line if an item makes no sense or cannot be read. */
void firmware_items_add(struct settings *list, struct fwcfg *fwcfg);

#endif
