/*
 * Machine time on CLOCK_MONOTONIC. The offset is what was spent paused. Timers are a list in the order of their
 * deadlines: there are fewer than ten.
 */
#include "core/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"

struct timer {
    struct clock *clock;
    struct timer *next; /* in the list of armed ones */
    bool armed;
    uint64_t when;
    void (*fire)(void *opaque);
    void *opaque;
};

struct clock {
    int descriptor;
    _Atomic bool running, stepped;
    _Atomic uint64_t stood_at; /* the time while it stands */
    _Atomic uint64_t offset;   /* running: now = monotonic - offset */
    struct timer *first;
};

static uint64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

struct clock *clock_create(void)
{
    struct clock *clock = allocate(sizeof(*clock));
    clock->descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (clock->descriptor < 0) {
        int error = errno;
        free(clock);
        errno = error;
        return NULL;
    }
    return clock;
}

void clock_destroy(struct clock *clock)
{
    close(clock->descriptor);
    free(clock);
}

uint64_t clock_now(const struct clock *clock)
{
    if (!atomic_load_explicit(&clock->running, memory_order_acquire))
        return atomic_load_explicit(&clock->stood_at, memory_order_relaxed);
    return monotonic() - atomic_load_explicit(&clock->offset, memory_order_relaxed);
}

bool clock_runs(const struct clock *clock)
{
    return clock->running || clock->stepped;
}

/* Sets the timerfd to the first deadline; a clock that stands wakes nobody. */
static void descriptor_set(struct clock *clock)
{
    struct itimerspec spec = {{0, 0}, {0, 0}};
    if (clock->stepped)
        return;
    if (clock->running && clock->first && clock->first->when != CLOCK_NEVER) {
        uint64_t when = clock->first->when + clock->offset;
        spec.it_value.tv_sec = (time_t)(when / NANOSECONDS_PER_SECOND);
        spec.it_value.tv_nsec = (long)(when % NANOSECONDS_PER_SECOND);
        if (!when)
            spec.it_value.tv_nsec = 1; /* all zeros would disarm */
    }
    timerfd_settime(clock->descriptor, TFD_TIMER_ABSTIME, &spec, NULL);
}

void clock_start(struct clock *clock)
{
    if (clock->running || clock->stepped)
        return;
    clock->offset = monotonic() - clock->stood_at;
    atomic_store_explicit(&clock->running, true, memory_order_release);
    descriptor_set(clock);
}

void clock_stop(struct clock *clock)
{
    if (!clock->running)
        return;
    clock->stood_at = clock_now(clock);
    atomic_store_explicit(&clock->running, false, memory_order_release);
    descriptor_set(clock);
}

static void list_remove(struct timer *timer)
{
    struct timer **link = &timer->clock->first;
    while (*link && *link != timer)
        link = &(*link)->next;
    if (*link)
        *link = timer->next;
    timer->armed = false;
}

/* Fires what is due at `now`, in the order of the deadlines. */
static void run_until(struct clock *clock, uint64_t now)
{
    while (clock->first && clock->first->when <= now) {
        struct timer *timer = clock->first;
        if (clock->stepped && timer->when > clock->stood_at)
            clock->stood_at = timer->when; /* each timer at its own time */
        list_remove(timer);
        timer->fire(timer->opaque);
    }
}

void clock_step(struct clock *clock, uint64_t now)
{
    clock->stepped = true;
    clock->running = false;
    run_until(clock, now);
    clock->stood_at = now;
}

void clock_reach(struct clock *clock, uint64_t now)
{
    if (now > clock->stood_at)
        clock->stood_at = now;
}

uint64_t clock_next(const struct clock *clock)
{
    return clock->first ? clock->first->when : CLOCK_NEVER;
}

int clock_descriptor(const struct clock *clock)
{
    return clock->descriptor;
}

void clock_run_due(struct clock *clock)
{
    uint64_t expirations;
    if (read(clock->descriptor, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
        warn("timer: %s", strerror(errno));
    /* One round: a timer that arms itself for a time already past fires in the next, after the guest has run. */
    if (clock->running)
        run_until(clock, clock_now(clock));
    descriptor_set(clock);
}

struct timer *timer_create_on(struct clock *clock, void (*fire)(void *opaque), void *opaque)
{
    struct timer *timer = allocate(sizeof(*timer));
    timer->clock = clock;
    timer->fire = fire;
    timer->opaque = opaque;
    return timer;
}

void timer_destroy(struct timer *timer)
{
    if (!timer)
        return;
    timer_disarm(timer);
    free(timer);
}

void timer_arm(struct timer *timer, uint64_t when)
{
    struct clock *clock = timer->clock;
    struct timer *old_first = clock->first;
    uint64_t old_when = old_first ? old_first->when : CLOCK_NEVER;

    if (timer->armed)
        list_remove(timer);
    if (when == CLOCK_NEVER)
        return;
    timer->when = when;
    timer->armed = true;
    struct timer **link = &clock->first;
    while (*link && (*link)->when <= when)
        link = &(*link)->next;
    timer->next = *link;
    *link = timer;
    /* A deadline that moved back may leave the timerfd set too early: a wake for nothing, and cheaper than a call. */
    if (clock->first == timer && (old_first != timer || when < old_when))
        descriptor_set(clock);
}

void timer_disarm(struct timer *timer)
{
    if (timer->armed)
        list_remove(timer);
}
