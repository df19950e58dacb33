/*
 * Keys as they go from a display (terminal, VNC, monitor's sendkey) to a keyboard.
 *
 * A key's identity is its IBM scan code set 1 make code; keys with an E0h prefix are E0xxh (right Ctrl is E01Dh),
 * Pause is KEY_PAUSE, Print Screen is E037h. Source: IBM PS/2 Hardware Interface Technical Reference, Keyboards.
 */
#ifndef CORE_INPUT_H
#define CORE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

enum { KEY_EXTENDED = 0xe000, KEY_PAUSE = 0xe11d, KEY_PRINT_SCREEN = 0xe037 };

struct input_sink {
    void *device;
    void (*key)(void *device, uint16_t key, bool down); /* machine lock held */
};

#endif
