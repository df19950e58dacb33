/*
 * How often a display looks at the screen: at once after a key, often while something changes, seldom while nothing does.
 */
#ifndef DISPLAY_PACE_H
#define DISPLAY_PACE_H

#include <stdint.h>
#include <time.h>

enum { /* milliseconds */
       LOOK_QUICK = 16,
       LOOK_BUSY = 33,
       LOOK_USUAL = 50,
       LOOK_IDLE = 200,
       QUICK_FOR = 400,
       IDLE_AFTER = 5000,
};

struct pace {
    uint64_t changed, typed; /* when, in pace_now()'s time */
};

/* Milliseconds of a clock that never goes back. */
static inline uint64_t pace_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void pace_changed(struct pace *pace)
{
    pace->changed = pace_now();
}

static inline void pace_typed(struct pace *pace)
{
    pace->typed = pace_now();
}

/* Milliseconds until the next look. */
static inline unsigned pace_interval(const struct pace *pace)
{
    uint64_t now = pace_now();
    if (now - pace->typed < QUICK_FOR)
        return LOOK_QUICK;
    if (now - pace->changed < QUICK_FOR)
        return LOOK_BUSY;
    return now - pace->changed > IDLE_AFTER && now - pace->typed > IDLE_AFTER ? LOOK_IDLE : LOOK_USUAL;
}

#endif
