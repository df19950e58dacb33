/* Presses keys one combination after the other, each held for a while, as sendkey wants. Machine lock held. */
#ifndef MACHINE_TYPIST_H
#define MACHINE_TYPIST_H

#include <stdint.h>

#include "core/clock.h"
#include "core/input.h"

struct typist;

/* `sink` outlives it. */
struct typist *typist_create(struct clock *clock, const struct input_sink *sink);
void typist_destroy(struct typist *typist);
/* At most TYPIST_KEYS keys, pressed in order and released in the opposite one. False if too many wait already. */
enum { TYPIST_KEYS = 16 };
bool typist_press(struct typist *typist, const uint16_t *keys, unsigned count, uint64_t hold_nanoseconds);

#endif
