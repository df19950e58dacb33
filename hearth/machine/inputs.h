/*
 * Keyboards and pointers of the machine behind one sink: a key goes to the one that was added last, a position to the last
 * one whose guest wants positions, steps to the last one that takes steps. Machine lock held.
 */
#ifndef MACHINE_INPUTS_H
#define MACHINE_INPUTS_H

#include "core/input.h"

enum { INPUTS_MOST = 8 };

struct inputs {
    struct input_sink part[INPUTS_MOST];
    unsigned count;
    unsigned buttons;       /* of the pointer, as last told */
    struct input_sink sink; /* what displays are given */
};

void inputs_init(struct inputs *inputs);
/* `part` is copied. False if there are INPUTS_MOST already. */
bool inputs_add(struct inputs *inputs, const struct input_sink *part);
void inputs_remove(struct inputs *inputs, const void *device);

#endif
