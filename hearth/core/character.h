/*
 * A character port joins a device that speaks bytes (UART, debug console) to something on the host that does (the
 * terminal, a file, a socket). Machine lock held on both ways.
 */
#ifndef CORE_CHARACTER_H
#define CORE_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct character_port {
    /* Device to host. Never blocks: a host side that cannot take more drops the oldest and says so once. */
    void (*write)(void *host, const uint8_t *bytes, size_t count);
    /* How much that is now without anything dropped; NULL: everything. */
    size_t (*space)(void *host);
    void *host;
    bool is_there; /* somebody reads and writes at the host's end; files and the terminal are always there */

    /* Host to device; set by the device when it is created, NULL where it takes no input. */
    void (*receive)(void *device, const uint8_t *bytes, size_t count); /* at most what `room` answered */
    size_t (*room)(void *device);
    void (*spaced)(void *device);               /* `space` has grown; may be NULL */
    void (*moved)(void *device, bool is_there); /* somebody has come or gone; may be NULL */
    void *device;

    /* Set by the host side, called by the device when `room` grows; may be NULL. */
    void (*drained)(void *host);
};

static inline void character_write(struct character_port *port, const uint8_t *bytes, size_t count)
{
    if (port && port->write)
        port->write(port->host, bytes, count);
}

static inline size_t character_space(const struct character_port *port)
{
    return port && port->space ? port->space(port->host) : SIZE_MAX;
}

#endif
