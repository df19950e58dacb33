/* The MP configuration table, for kernels that are started directly (SeaBIOS makes its own). */
#ifndef FIRMWARE_MPTABLE_H
#define FIRMWARE_MPTABLE_H

#include <stdint.h>

#include "core/topology.h"
#include "firmware/aml.h"

enum { MPTABLE_POINTER_SIZE = 16 };

/* Appends the table to *bytes, which is empty. */
void mptable_build(struct aml *bytes, const struct cpus *cpus);
/* The floating pointer to a table at `address`. */
void mptable_pointer(uint8_t pointer[MPTABLE_POINTER_SIZE], uint32_t address);

#endif
