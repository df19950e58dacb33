/*
 * Host ends for character ports. -chardev describes one as settings; what stands after -serial, -debugcon, -monitor, -qmp and -gdb
 * is a shorter way to say the same:
 *
 *   none null vc      nothing            stdio mon:stdio     the terminal; mon: shares it (Ctrl-A c)
 *   file:PATH         output only        pty                 a pseudo-terminal, whose name is said on stderr
 *   unix:PATH[,server[=on|off]][,wait=off|nowait]      tcp:[HOST]:PORT[,...]      chardev:ID
 */
#ifndef HOST_CHARACTER_H
#define HOST_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/character.h"
#include "core/settings.h"
#include "host/loop.h"
#include "host/terminal.h"

/* The host ends by their names: those of -chardev, each for one device, and how others are made. */
struct characters;

/* Opens all of -chardev (first word: backend), a list that outlives it. NULL with one line in error. */
struct characters *characters_create(struct loop *loop, struct terminal *terminal, struct settings *chardevs,
                                     char *error, size_t error_size);
/* Closes those that nobody has taken. */
void characters_destroy(struct characters *characters);

/*
 * Opens what the specification asks for, or hands over the one of -chardev that it names. `label` ("serial0", "monitor") is
 * for messages and outlives the port. The port's `write`, `host`, `space` and `drained` are set; whoever uses the other end
 * sets `receive`, `room` and `device`, and calls `drained` when `room` grows. NULL with one line in error.
 */
struct character_port *character_open(struct characters *characters, const char *label,
                                      const char *specification, char *error, size_t error_size);
/* The same for the ID of a -chardev alone. */
struct character_port *character_take(struct characters *characters, const char *label, const char *id,
                                      char *error, size_t error_size);
/* Whether it would use the terminal. */
bool character_uses_terminal(struct settings *chardevs, const char *specification);
/* Writes out what waits if it can be written at once; removes its socket. NULL is harmless. */
void character_close(struct character_port *port);

/* For a console that greets whoever connects (the monitor): `connected` is called for each new connection, and at once
 * if there is one already. */
void character_on_connect(struct character_port *port, void (*connected)(void *opaque), void *opaque);

#endif
