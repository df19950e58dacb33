/*
 * The machine's time: nanoseconds since power-on, standing still while the machine is paused, and the timers that
 * devices hang on it. One timerfd carries the earliest deadline, so any thread may arm a timer and the event loop
 * wakes for it.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NANOSECONDS_PER_SECOND 1000000000ull
#define CLOCK_NEVER            UINT64_MAX

struct clock;
struct timer;

/* A clock is created standing at 0. NULL with errno if the host gives no timerfd. */
struct clock *clock_create(void);
void clock_destroy(struct clock *clock);

/* Any thread, with or without the lock. Never goes backwards. */
uint64_t clock_now(const struct clock *clock);

/* Machine lock held: whether time passes (the machine is not paused). */
bool clock_runs(const struct clock *clock);

/* Machine lock held. Idempotent. */
void clock_start(struct clock *clock);
void clock_stop(struct clock *clock);

/* From now on time stands at what this says and moves only so; due timers fire inside the call, each at its own time. */
void clock_step(struct clock *clock, uint64_t now);
/* The same without a look at the timers, for a CPU that reads the time; an earlier time is passed over. Without the lock. */
void clock_reach(struct clock *clock, uint64_t now);
/* When the first timer is due; CLOCK_NEVER. */
uint64_t clock_next(const struct clock *clock);

/* Readable when a timer is due; then call clock_run_due() with the machine lock held. */
int clock_descriptor(const struct clock *clock);
void clock_run_due(struct clock *clock);

/* One-shot timers; `fire` runs with the machine lock held and may arm again. Machine lock held for all of these. */
struct timer *timer_create_on(struct clock *clock, void (*fire)(void *opaque), void *opaque);
void timer_destroy(struct timer *timer);
void timer_arm(struct timer *timer,
               uint64_t when); /* absolute, in clock_now()'s time; replaces; CLOCK_NEVER disarms */
void timer_disarm(struct timer *timer);

/* a * b / c in 128 bits: ticks from nanoseconds and back. */
static inline uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
