/* The mouse at the end of the auxiliary cable: two or three buttons, a wheel once it is asked for. Part of ps2.c. */
#ifndef DEVICES_PS2_MOUSE_H
#define DEVICES_PS2_MOUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/input.h"

enum { PS2_MOUSE_EVENTS = 16, PS2_MOUSE_REPLIES = 4, PS2_MOUSE_PACKET = 4, PS2_MOUSE_RATES = 3 };

struct ps2_mouse {
    uint8_t reply[PS2_MOUSE_REPLIES]; /* to commands; they go out before movements */
    unsigned replies;
    uint8_t packet[PS2_MOUSE_PACKET]; /* a report under way */
    unsigned packet_at, packet_length;
    struct pointer_event event[PS2_MOUSE_EVENTS]; /* steps not yet reported, a ring */
    unsigned first, count;
    unsigned buttons;              /* as last reported */
    uint8_t last;                  /* the byte sent last, for RESEND */
    uint8_t command;               /* the one that waits for its argument; 0: none */
    uint8_t rate[PS2_MOUSE_RATES]; /* the last ones set: three magic ones change the id */
    uint8_t id, resolution;
    bool reporting, remote, wrap, scaling;
};

void ps2_mouse_power_on(struct ps2_mouse *mouse);
/* A byte from the controller. */
void ps2_mouse_write(struct ps2_mouse *mouse, uint8_t byte);
/* The next byte for it; false if there is none. */
bool ps2_mouse_read(struct ps2_mouse *mouse, uint8_t *byte);
void ps2_mouse_event(struct ps2_mouse *mouse, const struct pointer_event *event);
/* A report without any movement, unless one is due anyway. */
void ps2_mouse_nudge(struct ps2_mouse *mouse);

#endif
