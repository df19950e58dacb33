#include "display/typing.h"

/* Milliseconds. A stroke may be a dozen bytes of scan codes, which the keyboard's cable carries at one a millisecond. */
enum { PACE_STROKE = 10, PACE_EVENT = 4 };

static void send(struct typing *typing, const struct stroke *stroke)
{
    if (stroke->kind != STROKE_UP)
        key_press_send(&stroke->press, typing->input, true);
    if (stroke->kind != STROKE_DOWN)
        key_press_send(&stroke->press, typing->input, false);
}

static void send_next(void *opaque);

static void pace_set(struct typing *typing, unsigned pace)
{
    if (pace != typing->pace)
        loop_every(typing->loop, pace, send_next, typing);
    typing->pace = pace;
}

static void send_next(void *opaque)
{
    struct typing *typing = opaque;
    if (!typing->count) {
        pace_set(typing, 0);
        return;
    }
    const struct stroke stroke = typing->waiting[typing->first];
    typing->first = (typing->first + 1) % TYPING_MOST;
    typing->count--;
    pace_set(typing, stroke.kind == STROKE_WHOLE ? PACE_STROKE : PACE_EVENT);
    send(typing, &stroke);
    if (typing->count == TYPING_MOST - 1 && typing->drained)
        typing->drained(typing->opaque);
}

void typing_init(struct typing *typing, struct loop *loop, const struct input_sink *input)
{
    *typing = (struct typing){.loop = loop, .input = input};
}

void typing_stop(struct typing *typing)
{
    pace_set(typing, 0);
}

unsigned typing_room(const struct typing *typing)
{
    return TYPING_MOST - typing->count;
}

static void add(struct typing *typing, const struct stroke *stroke)
{
    if (!typing_room(typing))
        return;
    typing->waiting[(typing->first + typing->count++) % TYPING_MOST] = *stroke;
    if (!typing->pace)
        send_next(typing);
}

void typing_add(struct typing *typing, const struct key_press *press)
{
    add(typing, &(struct stroke){*press, STROKE_WHOLE});
}

void typing_add_event(struct typing *typing, uint16_t key, bool down)
{
    add(typing, &(struct stroke){{key, 0}, down ? STROKE_DOWN : STROKE_UP});
}

void typing_add_text(struct typing *typing, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        struct key_press press = key_for_character((unsigned char)text[i]);
        if (text[i] == '\n' && i && text[i - 1] == '\r')
            continue;
        if (press.key)
            typing_add(typing, &press);
    }
}
