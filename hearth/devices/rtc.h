/*
 * The MC146818 real-time clock with 128 bytes of CMOS memory: ports 70h-71h, IRQ8.
 */
#ifndef DEVICES_RTC_H
#define DEVICES_RTC_H

#include <stdint.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/irq.h"

enum { RTC_CELLS = 128 };

struct rtc;

/* Starts at the host's time plus `offset` seconds of UTC; from then on it follows `clock`. `irq` is copied. */
struct rtc *rtc_create(struct bus *ports, const struct irq_line *irq, struct clock *clock, int64_t offset);
void rtc_destroy(struct rtc *rtc);
/* The RESET pin: interrupts off. Time and memory are kept by the battery. */
void rtc_reset(struct rtc *rtc);

/* Sets the time, in seconds since 1970. */
void rtc_set_time(struct rtc *rtc, int64_t seconds);
/* The same, and the second begins now. */
void rtc_start_at(struct rtc *rtc, int64_t seconds);
/* So much time has passed that `clock` knows nothing of: the machine was paused. */
void rtc_pass(struct rtc *rtc, uint64_t nanoseconds);
/* A cell of the battery-backed memory: 0Eh to 7Fh, but for the century 32h, which belongs to the clock. */
void rtc_set_cell(struct rtc *rtc, unsigned cell, uint8_t value);
uint8_t rtc_cell(const struct rtc *rtc, unsigned cell);

#endif
