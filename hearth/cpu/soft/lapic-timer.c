/*
 * The timer of a local APIC: one-shot, periodic and TSC-deadline. Its bus clock runs at 1 GHz of machine time.
 *
 * A period shorter than PERIOD_LEAST keeps its count but interrupts only that often: a guest must not make the event loop
 * spin. Source: SDM volume 3A, 10.5.4 (timer), 10.5.4.1 (TSC deadline).
 */
#include "cpu/soft/lapic-timer.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    DIVIDE_WRITABLE = 0xb,
    PERIOD_LEAST = 20000, /* nanoseconds */
};
/* The clock is never armed further ahead: its arithmetic is in 64 bits. */
#define AHEAD_MOST (1ull << 61)

struct lapic_timer {
    struct clock *clock;
    struct timer *timer;
    const uint64_t *tsc_offset;
    void (*fire)(void *opaque);
    void *opaque;

    enum lapic_timer_mode mode;
    uint32_t divide_configuration;
    uint32_t initial;
    uint64_t started; /* when the count was `initial` last */
    bool running;
    uint64_t deadline; /* in TSC's time; 0: not armed */
};

/* Bits 3, 1 and 0: 2, 4, 8 up to 128, and then 1. */
static unsigned divisor(const struct lapic_timer *timer)
{
    unsigned bits = (timer->divide_configuration & 3) | (timer->divide_configuration >> 1 & 4);

    return 1u << ((bits + 1) & 7);
}

static uint64_t period(const struct lapic_timer *timer)
{
    return (uint64_t)timer->initial * divisor(timer);
}

static void arm(struct lapic_timer *timer, uint64_t when)
{
    uint64_t now = clock_now(timer->clock), most = now + AHEAD_MOST;

    timer_arm(timer->timer, when > most ? most : when);
}

static uint64_t tsc(const struct lapic_timer *timer)
{
    return clock_now(timer->clock) + *timer->tsc_offset;
}

static void expire(struct lapic_timer *timer)
{
    timer->fire(timer->opaque);
}

/* Arms for the deadline, or fires if it has passed. */
static void deadline_arm(struct lapic_timer *timer)
{
    uint64_t now = tsc(timer), left = timer->deadline - now;

    if (!timer->deadline) {
        timer_disarm(timer->timer);
        return;
    }
    if (timer->deadline > now) {
        arm(timer, clock_now(timer->clock) + (left < AHEAD_MOST ? left : AHEAD_MOST));
        return;
    }
    timer_disarm(timer->timer);
    timer->deadline = 0;
    expire(timer);
}

/* Interrupts that were missed because the host was late come as one. */
static void period_over(struct lapic_timer *timer)
{
    uint64_t now = clock_now(timer->clock), length = period(timer), next;

    if (now >= timer->started + length)
        timer->started += (now - timer->started) / length * length;
    next = timer->started + length;
    arm(timer, next < now + PERIOD_LEAST && length < PERIOD_LEAST ? now + PERIOD_LEAST : next);
    expire(timer);
}

static void due(void *opaque)
{
    struct lapic_timer *timer = opaque;

    if (timer->mode == TIMER_DEADLINE) {
        deadline_arm(timer);
    } else if (timer->mode == TIMER_PERIODIC) {
        period_over(timer);
    } else {
        timer->running = false;
        expire(timer);
    }
}

/* From now on, with `count` left of what was begun. */
static void start(struct lapic_timer *timer, uint32_t count)
{
    uint64_t now = clock_now(timer->clock);

    timer->running = count != 0;
    if (!timer->running) {
        timer_disarm(timer->timer);
        return;
    }
    timer->started = now - (uint64_t)(timer->initial - count) * divisor(timer);
    arm(timer, now + (uint64_t)count * divisor(timer));
}

void lapic_timer_set_mode(struct lapic_timer *timer, enum lapic_timer_mode mode)
{
    uint32_t count = lapic_timer_count(timer);

    if ((mode == TIMER_DEADLINE) != (timer->mode == TIMER_DEADLINE)) {
        timer->deadline = timer->initial = 0;
        timer->running = false;
        timer_disarm(timer->timer);
        timer->mode = mode;
    } else if (mode != timer->mode) {
        timer->mode = mode;
        start(timer, count);
    }
}

void lapic_timer_set_divide(struct lapic_timer *timer, uint32_t configuration)
{
    uint32_t count = lapic_timer_count(timer);

    timer->divide_configuration = configuration & DIVIDE_WRITABLE;
    if (timer->mode != TIMER_DEADLINE)
        start(timer, count);
}

uint32_t lapic_timer_divide(const struct lapic_timer *timer)
{
    return timer->divide_configuration;
}

void lapic_timer_set_initial(struct lapic_timer *timer, uint32_t count)
{
    if (timer->mode == TIMER_DEADLINE)
        return;
    timer->initial = count;
    start(timer, count);
}

uint32_t lapic_timer_initial(const struct lapic_timer *timer)
{
    return timer->initial;
}

uint32_t lapic_timer_count(const struct lapic_timer *timer)
{
    uint64_t elapsed;

    if (!timer->running)
        return 0;
    elapsed = (clock_now(timer->clock) - timer->started) / divisor(timer);
    if (timer->mode == TIMER_PERIODIC)
        elapsed %= timer->initial;
    return elapsed < timer->initial ? timer->initial - elapsed : 0;
}

void lapic_timer_set_deadline(struct lapic_timer *timer, uint64_t deadline)
{
    if (timer->mode != TIMER_DEADLINE)
        return;
    timer->deadline = deadline;
    deadline_arm(timer);
}

uint64_t lapic_timer_deadline(const struct lapic_timer *timer)
{
    return timer->deadline;
}

void lapic_timer_tsc_changed(struct lapic_timer *timer)
{
    if (timer->mode == TIMER_DEADLINE)
        deadline_arm(timer);
}

void lapic_timer_reset(struct lapic_timer *timer)
{
    timer_disarm(timer->timer);
    timer->mode = TIMER_ONE_SHOT;
    timer->divide_configuration = timer->initial = 0;
    timer->running = false;
    timer->deadline = 0;
}

struct lapic_timer *lapic_timer_create(struct clock *clock, const uint64_t *tsc_offset,
                                       void (*fire)(void *opaque), void *opaque)
{
    struct lapic_timer *timer = allocate(sizeof(*timer));

    timer->clock = clock;
    timer->timer = timer_create_on(clock, due, timer);
    timer->tsc_offset = tsc_offset;
    timer->fire = fire;
    timer->opaque = opaque;
    return timer;
}

void lapic_timer_destroy(struct lapic_timer *timer)
{
    timer_destroy(timer->timer);
    free(timer);
}
