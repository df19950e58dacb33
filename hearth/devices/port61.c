/*
 * System control port B: the speaker gate and its data bit, channel 2's output, and the refresh toggle. The speaker
 * makes no sound, but programs that time themselves by channel 2 or by the toggle get what they expect.
 *
 * Left out: parity and channel check errors (bits 2, 3, 6 and 7), which a machine without them never reports; the
 * enable bits read back as written.
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference, "System Control Port B"; Intel 82371AB (PIIX4) data
 * sheet, "NMI Status and Control Register".
 */
#include "devices/port61.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    PORT = 0x61,
    GATE_2 = 0x01,
    SPEAKER_DATA = 0x02,
    PARITY_OFF = 0x04,
    CHANNEL_CHECK_OFF = 0x08,
    WRITABLE = GATE_2 | SPEAKER_DATA | PARITY_OFF | CHANNEL_CHECK_OFF,
    REFRESH_TOGGLE = 0x10,
    OUTPUT_2 = 0x20,
    REFRESH_NANOSECONDS = 15085, /* 18 ticks of 1.193182 MHz between two memory refreshes */
};

struct port61 {
    struct bus *ports;
    struct pit *pit;
    struct clock *clock;
    uint8_t written;
};

static uint64_t port61_read(void *device, uint64_t offset, unsigned size)
{
    struct port61 *port61 = device;
    (void)offset, (void)size;
    return port61->written | (clock_now(port61->clock) / REFRESH_NANOSECONDS & 1 ? REFRESH_TOGGLE : 0) |
           (pit_speaker_output(port61->pit) ? OUTPUT_2 : 0);
}

static void port61_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct port61 *port61 = device;
    (void)offset, (void)size;
    port61->written = value & WRITABLE;
    pit_speaker_gate(port61->pit, value & GATE_2);
}

void port61_reset(struct port61 *port61)
{
    port61_write(port61, 0, 1, 0);
}

struct port61 *port61_create(struct bus *ports, struct pit *pit, struct clock *clock)
{
    struct port61 *port61 = allocate(sizeof(*port61));
    port61->ports = ports;
    port61->pit = pit;
    port61->clock = clock;
    bus_add(ports, &(struct bus_range){PORT, 1, "port 61", port61, port61_read, port61_write, 1});
    port61_reset(port61);
    return port61;
}

void port61_destroy(struct port61 *port61)
{
    if (!port61)
        return;
    bus_remove(port61->ports, port61, PORT);
    free(port61);
}
