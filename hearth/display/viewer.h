/*
 * What somebody who looks from afar (VNC) does with keyboard and pointer, as keys and steps for the guest. One for each
 * viewer: it remembers what is held down, to let go of it when the viewer is gone. Machine lock held.
 */
#ifndef DISPLAY_VIEWER_H
#define DISPLAY_VIEWER_H

#include "core/input.h"
#include "display/keysym.h"

enum { VIEWER_KEYS = 256 };

struct viewer {
    const struct input_sink *input;
    bool down[VIEWER_KEYS]; /* plain keys, then those with the prefix */
    bool caps_lock;         /* as far as this viewer has switched it */
    bool level_3;           /* the right Alt that is down chooses characters (AltGr) */
    unsigned buttons, mask; /* of the pointer; the mask is RFB's, with the wheel's "buttons" */
    bool placed;            /* where it is is known: */
    int x, y;
    /* Ctrl-Alt-V was pressed: the clipboard is to be typed. May be NULL. */
    void (*paste)(void *opaque);
    void *opaque;
};

/* By the character or the name on the key: Shift is pressed or let go of around it where a US keyboard wants that. */
void viewer_keysym(struct viewer *viewer, uint32_t keysym, bool down);
void viewer_key(struct viewer *viewer, uint16_t key, bool down);
/* RFB's pointer event: where it is on a screen of this size, and its button mask. */
void viewer_pointer(struct viewer *viewer, int x, int y, int width, int height, unsigned mask);
/* The same with steps, for a viewer that was told to send them. */
void viewer_steps(struct viewer *viewer, int x, int y, unsigned mask);
/* Lets go of everything. */
void viewer_release(struct viewer *viewer);

#endif
