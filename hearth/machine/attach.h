/*
 * Parts that come with -device and device_add: a table of drivers, and the devices that were made by them. Machine lock held.
 */
#ifndef MACHINE_ATTACH_H
#define MACHINE_ATTACH_H

#include <stdbool.h>
#include <stdio.h>

#include "core/settings.h"
#include "machine/pc.h"

struct attached;

struct driver {
    const char *name;  /* "isa-debug-exit" */
    const char *alias; /* or NULL */
    const char *bus;   /* "ISA", "PCI": for `-device help` */
    const char *help;  /* one line: what it is and its properties */
    /* NULL after settings_refuse() if it cannot be made. */
    void *(*create)(struct pc *pc, struct settings *settings);
    void (*reset)(void *device); /* NULL: nothing to reset */
    void (*destroy)(void *device);
};

/* Makes the device and adds it to the list; the settings stay the caller's and outlive it. NULL on success, else the error,
 * which lives as long as the settings. */
const char *attach(struct pc *pc, struct attached **list, struct settings *settings);
void attached_reset(const struct attached *list);
void attached_destroy(struct attached *list); /* the last one first */
/* The device that this driver made under this id, or NULL. */
void *attached_find(const struct attached *list, const char *driver, const char *id);

/* `-device help`. */
void drivers_print(FILE *out);

#endif
