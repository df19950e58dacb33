/* Guest RAM as -m, -mem-path, -mem-prealloc, -object memory-backend-... and -machine memory-backend= ask for it. */
#ifndef MACHINE_RAM_H
#define MACHINE_RAM_H

#include "core/memory.h"
#include "options/config.h"

/* What the host cannot give ends the program. */
struct memory *ram_create(const struct machine_config *config);

#endif
