/*
 * The keyboard at the end of the cable: an 8-bit serial device that takes commands and sends scan codes of set 1 or 2.
 * Part of ps2.c, the controller.
 */
#ifndef DEVICES_PS2_KEYBOARD_H
#define DEVICES_PS2_KEYBOARD_H

#include <stdbool.h>
#include <stdint.h>

enum { PS2_KEYBOARD_QUEUE = 16, PS2_KEYBOARD_REPLIES = 4 };

struct ps2_keyboard {
    uint8_t queue[PS2_KEYBOARD_QUEUE];
    unsigned first, count;
    uint8_t reply[PS2_KEYBOARD_REPLIES]; /* to commands; they go out before keys */
    unsigned replies;
    uint8_t last;    /* the byte sent last, for RESEND */
    uint8_t command; /* the one that waits for its argument; 0: none */
    unsigned set;    /* of scan codes */
    bool scanning, control_down;
};

/* Power-on. The self test that it reports has gone by long before any firmware looks, so nothing waits. */
void ps2_keyboard_power_on(struct ps2_keyboard *keyboard);
/* A byte from the controller. */
void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte);
/* The next byte for it; false if there is none. */
bool ps2_keyboard_read(struct ps2_keyboard *keyboard, uint8_t *byte);
/* A key as core/input.h names it. */
void ps2_keyboard_key(struct ps2_keyboard *keyboard, uint16_t key, bool down);

/* What the controller makes of a scan code of set 2 (without its break bit). */
uint8_t ps2_translate(uint8_t code);

#endif
