#include "machine/typist.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { WAITING_MOST = 1024 };

struct combination {
    uint16_t keys[TYPIST_KEYS];
    unsigned count;
    uint64_t hold;
};

struct typist {
    struct clock *clock;
    struct timer *timer;
    const struct input_sink *sink;
    struct combination waiting[WAITING_MOST]; /* a ring; the first one is held down while `holding` */
    unsigned first, count;
    bool holding;
};

static void send(struct typist *typist, const struct combination *combination, bool down)
{
    for (unsigned i = 0; i < combination->count; i++) {
        unsigned at = down ? i : combination->count - 1 - i;
        typist->sink->key(typist->sink->device, combination->keys[at], down);
    }
}

/* Press, wait, release, wait the same time again, then the next: the guest sees distinct strokes. */
static void step(void *opaque)
{
    struct typist *typist = opaque;
    struct combination *now = &typist->waiting[typist->first];

    if (!typist->count)
        return;
    typist->holding = !typist->holding;
    send(typist, now, typist->holding);
    timer_arm(typist->timer, clock_now(typist->clock) + now->hold);
    if (typist->holding)
        return;
    typist->first = (typist->first + 1) % WAITING_MOST;
    typist->count--;
}

struct typist *typist_create(struct clock *clock, const struct input_sink *sink)
{
    struct typist *typist = allocate(sizeof(*typist));
    typist->clock = clock;
    typist->sink = sink;
    typist->timer = timer_create_on(clock, step, typist);
    return typist;
}

void typist_destroy(struct typist *typist)
{
    timer_destroy(typist->timer);
    free(typist);
}

bool typist_press(struct typist *typist, const uint16_t *keys, unsigned count, uint64_t hold)
{
    if (typist->count == WAITING_MOST || count > TYPIST_KEYS)
        return false;
    struct combination *last = &typist->waiting[(typist->first + typist->count) % WAITING_MOST];
    memcpy(last->keys, keys, count * sizeof(*keys));
    last->count = count;
    last->hold = hold;
    if (!typist->count++)
        step(typist);
    return true;
}
