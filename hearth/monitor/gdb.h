/*
 * A server for gdb's remote protocol: `target remote` sees each vCPU as a thread, registers as i386:x86-64 in every mode, and
 * linear addresses. Source: gdb's manual, appendix E. Machine lock held.
 */
#ifndef MONITOR_GDB_H
#define MONITOR_GDB_H

#include "core/character.h"
#include "machine/machine.h"

struct gdb;

/* Sets the device side of *port, which outlives it, as does the machine. */
struct gdb *gdb_create(struct machine *machine, struct character_port *port);
void gdb_destroy(struct gdb *gdb); /* NULL is harmless */
/* Somebody has connected: the machine stands. character_on_connect() takes this. */
void gdb_connected(void *gdb);

#endif
