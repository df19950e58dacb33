/*
 * System control port B, 61h: the speaker, channel 2 of the 8254 and the refresh toggle. Goes with devices/pit.h.
 */
#ifndef DEVICES_PORT61_H
#define DEVICES_PORT61_H

#include "core/bus.h"
#include "core/clock.h"
#include "devices/pit.h"

struct port61;

struct port61 *port61_create(struct bus *ports, struct pit *pit, struct clock *clock);
void port61_destroy(struct port61 *port61); /* NULL is harmless */
void port61_reset(struct port61 *port61);

#endif
