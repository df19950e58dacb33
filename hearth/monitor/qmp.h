/*
 * QMP, the monitor for programs: JSON commands, answers and events over a character port. Source: QEMU's documentation, "QEMU
 * Machine Protocol Specification". Machine lock held.
 */
#ifndef MONITOR_QMP_H
#define MONITOR_QMP_H

#include <stddef.h>

#include "core/character.h"
#include "machine/machine.h"

struct qmp;

/* Sets the device side of *port, which outlives it, as does the machine. NULL with one line if there is no JSON library. */
struct qmp *qmp_create(struct machine *machine, struct character_port *port, char *error, size_t error_size);
void qmp_destroy(struct qmp *qmp); /* NULL is harmless */
/* Greets whoever has just connected; character_on_connect() takes this. */
void qmp_greet(void *qmp);

#endif
