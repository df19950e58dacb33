/*
 * The human monitor: QEMU's commands over a character port (terminal, socket). Machine lock held.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "core/character.h"
#include "machine/machine.h"

struct monitor;

/* Sets the device side of *port, which outlives the monitor, as does the machine. */
struct monitor *monitor_create(struct machine *machine, struct character_port *port);
void monitor_destroy(struct monitor *monitor);
/* The banner and a prompt, for whoever has just connected; character_on_connect() takes this. */
void monitor_greet(void *monitor);

#endif
