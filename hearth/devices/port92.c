/*
 * System control port A: fast A20 (bit 1) and fast reset (bit 0). A20 is open at power-on, as firmware expects. Where
 * the keyboard controller has another opinion, the one that was told last wins, as on boards that emulate its gate.
 *
 * Left out: the security lock and the activity lights (bits 3, 6 and 7), kept as written.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "System Control Port A".
 */
#include "devices/port92.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/log.h"

enum { PORT = 0x92, FAST_RESET = 0x01, A20 = 0x02 };

struct port92 {
    struct bus *ports;
    struct irq_line a20;
    void (*reset)(void *opaque);
    void *opaque;
    uint8_t written;
};

static uint64_t port92_read(void *device, uint64_t offset, unsigned size)
{
    const struct port92 *port92 = device;
    (void)offset, (void)size;
    return port92->written;
}

static void port92_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct port92 *port92 = device;
    bool pulse = value & FAST_RESET && !(port92->written & FAST_RESET);
    (void)offset, (void)size;
    port92->written = value;
    irq_set(&port92->a20, value & A20);
    if (pulse && port92->reset)
        port92->reset(port92->opaque);
}

void port92_reset(struct port92 *port92)
{
    port92->written = A20;
    irq_set(&port92->a20, true);
}

struct port92 *port92_create(struct bus *ports, const struct irq_line *a20, void (*reset)(void *opaque),
                             void *opaque)
{
    struct port92 *port92 = allocate(sizeof(*port92));
    port92->ports = ports;
    port92->a20 = *a20;
    port92->reset = reset;
    port92->opaque = opaque;
    bus_add(ports, &(struct bus_range){PORT, 1, "port 92", port92, port92_read, port92_write, 1});
    port92_reset(port92);
    return port92;
}

void port92_destroy(struct port92 *port92)
{
    bus_remove(port92->ports, port92, PORT);
    free(port92);
}
