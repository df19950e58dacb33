/*
 * Ports for firmware and test programs, known from Bochs and QEMU: debug consoles, and the exit port.
 */
#ifndef DEVICES_DEBUG_H
#define DEVICES_DEBUG_H

#include "core/bus.h"
#include "core/character.h"

struct debug_console;

/* One port: every byte written goes out to *character (not owned), reads answer E9h ("somebody listens"). */
struct debug_console *debug_console_create(struct bus *ports, uint64_t port,
                                           struct character_port *character);
void debug_console_destroy(struct debug_console *console); /* NULL is harmless */

struct debug_exit;

/* isa-debug-exit: a write of v to one of `size` ports from `base` calls exit with the status (v << 1) | 1. */
struct debug_exit *debug_exit_create(struct bus *ports, uint64_t base, uint64_t size,
                                     void (*exit)(void *opaque, int status), void *opaque);
void debug_exit_destroy(struct debug_exit *device); /* NULL is harmless */

#endif
