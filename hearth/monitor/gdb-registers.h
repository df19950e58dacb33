/* The registers as gdb numbers them for i386:x86-64, in every mode, so that the session survives mode changes. */
#ifndef MONITOR_GDB_REGISTERS_H
#define MONITOR_GDB_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/state.h"

enum { GDB_REGISTER_BYTES = 16 }; /* the most that one has */

unsigned gdb_registers(void);
/* Answers how many bytes the register has; 0: there is no such register. */
size_t gdb_register_get(const struct cpu_state *state, unsigned number, uint8_t *bytes);
/* False: no such register, or not as many bytes as it has. */
bool gdb_register_put(struct cpu_state *state, unsigned number, const uint8_t *bytes, size_t size);
/* target.xml, to be freed. */
char *gdb_target_description(void);

#endif
