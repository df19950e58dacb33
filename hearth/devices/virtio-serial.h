/* The virtio console device: consoles and named serial ports, each joined to a character port. */
#ifndef DEVICES_VIRTIO_SERIAL_H
#define DEVICES_VIRTIO_SERIAL_H

#include "core/character.h"
#include "devices/virtio.h"

struct virtio_serial;
struct virtio_serial_port;

enum { VIRTIO_SERIAL_PORTS_MOST = 31, VIRTIO_SERIAL_ANY = -1 };

/* For ports 0 to ports - 1; one is 1 to 31. Port 0 is for a console. */
struct virtio_serial *virtio_serial_create(const struct virtio_place *place, unsigned ports);
void virtio_serial_reset(struct virtio_serial *serial);
void virtio_serial_destroy(struct virtio_serial *serial); /* after its ports */

/* Adds a port, VIRTIO_SERIAL_ANY for the first free number. The name (NULL: none) and the character port (NULL: none)
 * outlive it. NULL if the number is taken, or there is none left. */
struct virtio_serial_port *virtio_serial_add(struct virtio_serial *serial, int number, bool is_console,
                                             const char *name, struct character_port *character);
void virtio_serial_remove(struct virtio_serial_port *port);

#endif
