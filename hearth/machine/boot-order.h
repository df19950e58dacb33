/* What the firmware may boot from, in which order: bootindex= first, then by -boot's letters. Machine lock held. */
#ifndef MACHINE_BOOT_ORDER_H
#define MACHINE_BOOT_ORDER_H

#include "core/settings.h"
#include "machine/pc.h"

/*
 * A device that can be booted from, under the Open Firmware path that SeaBIOS knows it by ("/pci@i0cf8/ide@1,1/drive@0/disk@0").
 * `letter`: 'a', 'c', 'd' or 'n' of -boot. `settings` may say bootindex=; NULL: none. False after settings_refuse().
 */
bool boot_order_add(struct pc *pc, struct settings *settings, char letter, const char *path);
/* The device is gone; nothing there is harmless. */
void boot_order_remove(struct pc *pc, const char *path);
/* The order as SeaBIOS's "bootorder", a path a line; to be freed. */
char *boot_order_text(const struct pc *pc, const char *letters);
void boot_order_destroy(struct pc *pc);

#endif
