/*
 * Keys and pointer movements as they go from a display (terminal, VNC, the monitor's sendkey and mouse_move) to a keyboard
 * and a mouse.
 *
 * A key's identity is its IBM scan code set 1 make code; keys with an E0h prefix are E0xxh (right Ctrl is E01Dh),
 * Pause is KEY_PAUSE, Print Screen is E037h. Source: IBM PS/2 Hardware Interface Technical Reference, Keyboards.
 */
#ifndef CORE_INPUT_H
#define CORE_INPUT_H

#include <stdbool.h>
#include <stdint.h>

enum { KEY_EXTENDED = 0xe000, KEY_PAUSE = 0xe11d, KEY_PRINT_SCREEN = 0xe037 };

enum pointer_button {
    BUTTON_LEFT = 1 << 0,
    BUTTON_RIGHT = 1 << 1,
    BUTTON_MIDDLE = 1 << 2,
    BUTTON_SIDE = 1 << 3,
    BUTTON_EXTRA = 1 << 4,
    BUTTONS_ALL = 0x1f,
};

enum { POSITION_MOST = 0x7fff };

struct pointer_event {
    bool absolute;
    int x,
        y; /* steps to the right and down; absolute: 0 at the left and top edge to POSITION_MOST at the others */
    int wheel;        /* notches, positive towards the user */
    unsigned buttons; /* those that are down now */
};

/* Machine lock held for all of these; none of them blocks. */
struct input_sink {
    void *device;
    void (*key)(void *device, uint16_t key, bool down);               /* NULL: no keyboard */
    void (*pointer)(void *device, const struct pointer_event *event); /* NULL: no pointer */
    bool (*wants_absolute)(void *device); /* what the guest listens to now; NULL: it wants steps */
};

#endif
