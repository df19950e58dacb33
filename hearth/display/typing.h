/*
 * Keys that wait for their turn: what comes in a burst (pasted text, a script's keys) goes to the guest one after the other,
 * so that it does not overflow its keyboard's buffer. Machine lock held.
 */
#ifndef DISPLAY_TYPING_H
#define DISPLAY_TYPING_H

#include "core/input.h"
#include "display/keys.h"
#include "host/loop.h"

enum { TYPING_MOST = 4096 };

/* A key that is pressed and let go of with its modifiers, or a single event. */
struct stroke {
    struct key_press press;
    enum stroke_kind { STROKE_WHOLE, STROKE_DOWN, STROKE_UP } kind;
};

struct typing {
    struct loop *loop;
    const struct input_sink *input;
    struct stroke waiting[TYPING_MOST]; /* a ring */
    unsigned first, count;
    unsigned pace;                 /* milliseconds until the next one may go; 0: at once */
    void (*drained)(void *opaque); /* there is room again; may be NULL */
    void *opaque;
};

void typing_init(struct typing *typing, struct loop *loop, const struct input_sink *input);
void typing_stop(struct typing *typing);
unsigned typing_room(const struct typing *typing);
/* One that finds nobody waiting goes at once. Without room it is lost. */
void typing_add(struct typing *typing, const struct key_press *press);
void typing_add_event(struct typing *typing, uint16_t key, bool down);
/* As much of the text as there is room for; what is no character of a US keyboard is passed over. */
void typing_add_text(struct typing *typing, const char *text, size_t length);

#endif
