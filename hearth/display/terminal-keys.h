/*
 * What a terminal sends when keys are pressed, back to keys: characters, control characters, escape sequences.
 */
#ifndef DISPLAY_TERMINAL_KEYS_H
#define DISPLAY_TERMINAL_KEYS_H

#include "display/keys.h"

enum { SEQUENCE_MOST = 16 };

struct terminal_keys {
    uint8_t sequence[SEQUENCE_MOST]; /* begun, not ended */
    unsigned length;
    unsigned utf8_left; /* bytes of a character outside ASCII still to be passed over */
    void *opaque;
    void (*pressed)(void *opaque, const struct key_press *press);
};

void terminal_keys_feed(struct terminal_keys *keys, const uint8_t *bytes, size_t count);
/* Nothing has followed for a while: an Escape that stands alone was the Escape key. */
void terminal_keys_settle(struct terminal_keys *keys);
static inline bool terminal_keys_waiting(const struct terminal_keys *keys)
{
    return keys->length != 0;
}

#endif
