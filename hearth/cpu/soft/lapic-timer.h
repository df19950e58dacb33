/* The timer of a local APIC. Machine lock held for all functions. */
#ifndef SOFT_LAPIC_TIMER_H
#define SOFT_LAPIC_TIMER_H

#include <stdint.h>

#include "core/clock.h"

struct lapic_timer;

/* As in bits 18 and 17 of its LVT entry. */
enum lapic_timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE, TIMER_RESERVED };

/* `fire` is called at each expiry. TSC = clock_now() + *tsc_offset. */
struct lapic_timer *lapic_timer_create(struct clock *clock, const uint64_t *tsc_offset,
                                       void (*fire)(void *opaque), void *opaque);
void lapic_timer_destroy(struct lapic_timer *timer);
void lapic_timer_reset(struct lapic_timer *timer);

/* Between TIMER_DEADLINE and the others: stops what was running. */
void lapic_timer_set_mode(struct lapic_timer *timer, enum lapic_timer_mode mode);

void lapic_timer_set_divide(struct lapic_timer *timer, uint32_t configuration);
uint32_t lapic_timer_divide(const struct lapic_timer *timer);
/* Starts counting down from it; 0 stops. Nothing happens in TIMER_DEADLINE. */
void lapic_timer_set_initial(struct lapic_timer *timer, uint32_t count);
uint32_t lapic_timer_initial(const struct lapic_timer *timer);
uint32_t lapic_timer_count(const struct lapic_timer *timer);

/* IA32_TSC_DEADLINE: 0 when it is not armed; without effect in the other modes. */
void lapic_timer_set_deadline(struct lapic_timer *timer, uint64_t tsc);
uint64_t lapic_timer_deadline(const struct lapic_timer *timer);
/* *tsc_offset has another value. */
void lapic_timer_tsc_changed(struct lapic_timer *timer);

#endif
