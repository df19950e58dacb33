/*
 * Host ends for character ports, made from what stands after QEMU's -serial, -debugcon, -monitor and -qmp:
 *
 *   none null vc      nothing            stdio mon:stdio     the terminal; mon: shares it (Ctrl-A c)
 *   file:PATH         output only        pty                 a pseudo-terminal, whose name is said on stderr
 *   unix:PATH[,server[=on|off]][,wait=off|nowait]      tcp:[HOST]:PORT[,...]
 */
#ifndef HOST_CHARACTER_H
#define HOST_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/character.h"
#include "host/loop.h"
#include "host/terminal.h"

/*
 * Opens the host end. `label` ("serial0", "monitor") is a literal for messages. The port's `write`, `host` and `drained`
 * are set; whoever uses the other end sets `receive`, `room` and `device`, and calls `drained` when `room` grows. loop
 * and terminal outlive the port. NULL with one line in error.
 */
struct character_port *character_open(struct loop *loop, struct terminal *terminal, const char *label,
                                      const char *specification, char *error, size_t error_size);
/* Writes out what waits if it can be written at once; removes its socket. NULL is harmless. */
void character_close(struct character_port *port);

/* For a console that greets whoever connects (the monitor): `connected` is called for each new connection, and at once
 * if there is one already. */
void character_on_connect(struct character_port *port, void (*connected)(void *opaque), void *opaque);

#endif
