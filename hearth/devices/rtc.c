/*
 * The MC146818 real-time clock and its memory: time and calendar in BCD or binary, 12 or 24 hours, with a century;
 * the alarm, periodic and update-ended interrupts; UIP; SET and the divider's reset.
 *
 * Nothing runs while nobody looks. The ten time cells are the truth, as of `second`; they are brought up to now when
 * they are read, and flags are found by asking what was passed since they were last looked at. A timer is armed only
 * while an enabled interrupt has yet to come; one that the guest does not acknowledge arms nothing more.
 *
 * Left out: daylight saving (DSE), the square wave output, the other crystals' dividers (they run as 32.768 kHz).
 * As on the chip, changing DM or 24/12 does not convert what is in the cells.
 *
 * Source: Motorola MC146818 data sheet (1984), "Address Map", "Interrupts", "Update Cycle", "Registers".
 */
#include "devices/rtc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "core/log.h"

enum {
    PORT = 0x70, /* index, then data */

    SECONDS = 0x00,
    SECONDS_ALARM = 0x01,
    MINUTES = 0x02,
    MINUTES_ALARM = 0x03,
    HOURS = 0x04,
    HOURS_ALARM = 0x05,
    DAY_OF_WEEK = 0x06,
    DAY_OF_MONTH = 0x07,
    MONTH = 0x08,
    YEAR = 0x09,
    REGISTER_A = 0x0a,
    REGISTER_B = 0x0b,
    REGISTER_C = 0x0c,
    REGISTER_D = 0x0d,
    CENTURY = 0x32, /* where IBM's AT put it */

    INDEX_MASK = 0x7f, /* bit 7 of the index port masks NMIs, which nobody here sends */

    A_UIP = 0x80,
    A_DIVIDER = 0x70,
    A_DIVIDER_RESET = 0x60, /* 11x: held in reset */
    A_RATE = 0x0f,
    A_POWER_ON = 0x26, /* 32.768 kHz, 1024 Hz */

    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 0x08,
    B_DM = 0x04, /* binary */
    B_24_HOURS = 0x02,
    B_ENABLES = B_PIE | B_AIE | B_UIE,

    C_IRQF = 0x80, /* C_PF, C_AF and C_UF have the places of their enables in register B */
    C_PF = 0x40,
    C_AF = 0x20,
    C_UF = 0x10,

    D_VRT = 0x80, /* the battery is good */

    HOURS_PM = 0x80,
    ALARM_ANY = 0xc0, /* both high bits: matches always */

    CRYSTAL = 32768,
    UPDATE_NANOSECONDS = 244000 + 1984000, /* UIP is high before (tBUC) and during (tUC) the update */
    SECONDS_A_DAY = 86400,
};

static const int64_t SECOND = NANOSECONDS_PER_SECOND;

struct rtc {
    struct bus *ports;
    struct irq_line irq;
    struct clock *clock;
    struct timer *timer;
    uint8_t index;
    uint8_t cells[RTC_CELLS];
    int64_t phase;   /* the divider chain's time is the machine's plus this, in nanoseconds */
    int64_t second;  /* the second of the divider chain that the time cells stand for */
    int64_t checked; /* the divider chain's time when the flags were last brought up to date */
};

/* The divider chain's time. */
static int64_t rtc_now(const struct rtc *rtc)
{
    return (int64_t)clock_now(rtc->clock) + rtc->phase;
}

static bool rtc_halted(const struct rtc *rtc)
{
    return (rtc->cells[REGISTER_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

/* Do the time cells stand still? */
static bool rtc_holds(const struct rtc *rtc)
{
    return rtc_halted(rtc) || rtc->cells[REGISTER_B] & B_SET;
}

/* ---- cells and calendar */

static uint8_t rtc_encode(const struct rtc *rtc, int value)
{
    return rtc->cells[REGISTER_B] & B_DM ? value : value / 10 << 4 | value % 10;
}

static int rtc_decode(const struct rtc *rtc, uint8_t cell)
{
    return rtc->cells[REGISTER_B] & B_DM ? cell : (cell >> 4) * 10 + (cell & 15);
}

static uint8_t rtc_encode_hour(const struct rtc *rtc, int hour)
{
    if (rtc->cells[REGISTER_B] & B_24_HOURS)
        return rtc_encode(rtc, hour);
    return rtc_encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOURS_PM : 0);
}

static int rtc_decode_hour(const struct rtc *rtc, uint8_t cell)
{
    if (rtc->cells[REGISTER_B] & B_24_HOURS)
        return rtc_decode(rtc, cell);
    return rtc_decode(rtc, cell & ~HOURS_PM) % 12 + (cell & HOURS_PM ? 12 : 0);
}

/* What the cells say, in seconds since 1970. Nonsense in them (a 30th of February) is carried over, never refused. */
static int64_t cells_to_time(const struct rtc *rtc)
{
    struct tm date = {
        .tm_sec = rtc_decode(rtc, rtc->cells[SECONDS]),
        .tm_min = rtc_decode(rtc, rtc->cells[MINUTES]),
        .tm_hour = rtc_decode_hour(rtc, rtc->cells[HOURS]),
        .tm_mday = rtc_decode(rtc, rtc->cells[DAY_OF_MONTH]),
        .tm_mon = rtc_decode(rtc, rtc->cells[MONTH]) - 1,
        .tm_year = rtc_decode(rtc, rtc->cells[CENTURY]) * 100 + rtc_decode(rtc, rtc->cells[YEAR]) - 1900,
    };
    return timegm(&date);
}

static void cells_from_time(struct rtc *rtc, int64_t seconds)
{
    time_t host = seconds;
    struct tm date;
    if (!gmtime_r(&host, &date))
        return;
    int year = date.tm_year + 1900;
    rtc->cells[SECONDS] = rtc_encode(rtc, date.tm_sec);
    rtc->cells[MINUTES] = rtc_encode(rtc, date.tm_min);
    rtc->cells[HOURS] = rtc_encode_hour(rtc, date.tm_hour);
    rtc->cells[DAY_OF_MONTH] = rtc_encode(rtc, date.tm_mday);
    rtc->cells[MONTH] = rtc_encode(rtc, date.tm_mon + 1);
    rtc->cells[YEAR] = rtc_encode(rtc, (year % 100 + 100) % 100);
    rtc->cells[CENTURY] = rtc_encode(rtc, (year / 100 % 100 + 100) % 100);
}

static int64_t day_of(int64_t seconds)
{
    return seconds / SECONDS_A_DAY - (seconds % SECONDS_A_DAY < 0);
}

/* Brings the time cells up to `now`. */
static void rtc_settle(struct rtc *rtc, int64_t now)
{
    int64_t passed = now / SECOND - rtc->second;
    rtc->second = now / SECOND;
    if (rtc_holds(rtc) || passed <= 0)
        return;
    int64_t before = cells_to_time(rtc);
    int64_t days = day_of(before + passed) - day_of(before);
    cells_from_time(rtc, before + passed);
    if (days)
        rtc->cells[DAY_OF_WEEK] =
            rtc_encode(rtc, (rtc_decode(rtc, rtc->cells[DAY_OF_WEEK]) + 6 + days) % 7 + 1);
}

/* ---- interrupts */

/* The periodic interrupt's period in cycles of the crystal; 0: none. */
static int64_t rtc_period(const struct rtc *rtc)
{
    unsigned rate = rtc->cells[REGISTER_A] & A_RATE;
    if (!rate || rtc_halted(rtc))
        return 0;
    return 1 << (rate < 3 ? rate + 6 : rate - 1);
}

static int64_t periods_until(int64_t now, int64_t period)
{
    return (int64_t)scale(now, CRYSTAL, NANOSECONDS_PER_SECOND) / period;
}

static bool alarm_matches(uint8_t alarm, uint8_t cell)
{
    return alarm >= ALARM_ANY || alarm == cell;
}

/*
 * How many seconds after `seconds` the alarm comes (1 to 86400); 0 if it never does. At each step a whole hour or
 * minute that cannot match is skipped, so that there are at most 24 + 60 + 60 of them and a few more.
 */
static int64_t alarm_distance(const struct rtc *rtc, int64_t seconds)
{
    int64_t first = seconds - day_of(seconds) * SECONDS_A_DAY + 1;
    for (int64_t at = first; at < first + SECONDS_A_DAY;) {
        int second = at % 60, minute = at / 60 % 60, hour = at / 3600 % 24;
        if (!alarm_matches(rtc->cells[HOURS_ALARM], rtc_encode_hour(rtc, hour)))
            at += 3600 - at % 3600;
        else if (!alarm_matches(rtc->cells[MINUTES_ALARM], rtc_encode(rtc, minute)))
            at += 60 - second;
        else if (!alarm_matches(rtc->cells[SECONDS_ALARM], rtc_encode(rtc, second)))
            at++;
        else
            return at - first + 1;
    }
    return 0;
}

/* Sets the flags of what has happened since they were last looked at, and the time cells. */
static void rtc_check(struct rtc *rtc, int64_t now)
{
    int64_t period = rtc_period(rtc);
    int64_t updates = now / SECOND - rtc->second;
    if (period && periods_until(now, period) != periods_until(rtc->checked, period))
        rtc->cells[REGISTER_C] |= C_PF;
    if (updates > 0 && !rtc_holds(rtc)) {
        int64_t alarm = alarm_distance(rtc, cells_to_time(rtc));
        rtc->cells[REGISTER_C] |= C_UF | (alarm && alarm <= updates ? C_AF : 0);
    }
    rtc->checked = now;
    rtc_settle(rtc, now);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the next enabled interrupt comes, in the divider chain's time. The flags are up to date. */
static int64_t rtc_next(const struct rtc *rtc, int64_t now)
{
    uint8_t enabled = rtc->cells[REGISTER_B];
    int64_t period = rtc_period(rtc);
    int64_t next = INT64_MAX;
    if (enabled & B_PIE && period) {
        uint64_t cycle = (uint64_t)(periods_until(now, period) + 1) * (uint64_t)period;
        next = (int64_t)scale(cycle, NANOSECONDS_PER_SECOND, CRYSTAL) + 1;
    }
    if (rtc_holds(rtc))
        return next;
    if (enabled & B_UIE)
        next = sooner(next, (now / SECOND + 1) * SECOND);
    int64_t alarm = enabled & B_AIE ? alarm_distance(rtc, cells_to_time(rtc)) : 0;
    if (alarm)
        next = sooner(next, (now / SECOND + alarm) * SECOND);
    return next;
}

/* Drives the interrupt line, and arms the timer for what comes next. The flags are up to date. */
static void rtc_update(struct rtc *rtc, int64_t now)
{
    bool asks = rtc->cells[REGISTER_C] & rtc->cells[REGISTER_B] & B_ENABLES;
    rtc->cells[REGISTER_C] = (rtc->cells[REGISTER_C] & ~C_IRQF) | (asks ? C_IRQF : 0);
    irq_set(&rtc->irq, asks);
    int64_t next = asks ? INT64_MAX : rtc_next(rtc, now);
    timer_arm(rtc->timer, next == INT64_MAX ? CLOCK_NEVER : (uint64_t)(next - rtc->phase));
}

static void rtc_fire(void *opaque)
{
    struct rtc *rtc = opaque;
    int64_t now = rtc_now(rtc);
    rtc_check(rtc, now);
    rtc_update(rtc, now);
}

/* ---- ports */

static void rtc_set_phase(struct rtc *rtc, int64_t fraction)
{
    /* A whole second more keeps the divider chain's time from being negative. */
    rtc->phase = SECOND + fraction - (int64_t)(clock_now(rtc->clock) % NANOSECONDS_PER_SECOND);
    rtc->checked = rtc_now(rtc);
    rtc->second = rtc->checked / SECOND;
}

static void write_register_a(struct rtc *rtc, uint8_t value)
{
    bool was_halted = rtc_halted(rtc);
    rtc->cells[REGISTER_A] = value & ~A_UIP;
    if (was_halted && !rtc_halted(rtc))
        rtc_set_phase(rtc, SECOND / 2); /* the first update comes half a second after the divider is let go */
}

static void write_register_b(struct rtc *rtc, uint8_t value)
{
    rtc->cells[REGISTER_B] = value & B_SET ? value & ~B_UIE : value;
}

static void rtc_write_cell(struct rtc *rtc, uint8_t value)
{
    switch (rtc->index) {
    case REGISTER_A: write_register_a(rtc, value); break;
    case REGISTER_B: write_register_b(rtc, value); break;
    case REGISTER_C:
    case REGISTER_D: break; /* read only */
    default: rtc->cells[rtc->index] = value;
    }
}

static void rtc_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct rtc *rtc = device;
    (void)size;
    if (offset == 0) {
        rtc->index = value & INDEX_MASK;
        return;
    }
    rtc_check(rtc, rtc_now(rtc));
    rtc_write_cell(rtc, value);
    if (rtc->index <= REGISTER_B)
        rtc_update(rtc, rtc_now(rtc));
}

static bool rtc_updating(const struct rtc *rtc, int64_t now)
{
    return !rtc_holds(rtc) && now % SECOND >= SECOND - UPDATE_NANOSECONDS;
}

static uint64_t rtc_read(void *device, uint64_t offset, unsigned size)
{
    struct rtc *rtc = device;
    (void)size;
    if (offset == 0)
        return 0xff; /* the index cannot be read back */
    if (rtc->index > REGISTER_C && rtc->index != CENTURY)
        return rtc->cells[rtc->index];
    int64_t now = rtc_now(rtc);
    rtc_check(rtc, now);
    uint8_t value = rtc->cells[rtc->index];
    if (rtc->index == REGISTER_A && rtc_updating(rtc, now))
        value |= A_UIP;
    if (rtc->index != REGISTER_C)
        return value;
    if (value & rtc->cells[REGISTER_B] & B_ENABLES)
        value |= C_IRQF;
    rtc->cells[REGISTER_C] = 0;
    rtc_update(rtc, now);
    return value;
}

/* ---- the machine's side */

void rtc_set_time(struct rtc *rtc, int64_t seconds)
{
    rtc_set_phase(rtc, 0);
    cells_from_time(rtc, seconds);
    /* The first of January 1970 was a Thursday; Sunday is 1. */
    rtc->cells[DAY_OF_WEEK] = rtc_encode(rtc, ((day_of(seconds) + 4) % 7 + 7) % 7 + 1);
    rtc_update(rtc, rtc_now(rtc));
}

void rtc_set_cell(struct rtc *rtc, unsigned cell, uint8_t value)
{
    if (cell > REGISTER_D && cell < RTC_CELLS && cell != CENTURY)
        rtc->cells[cell] = value;
}

uint8_t rtc_cell(const struct rtc *rtc, unsigned cell)
{
    return cell < RTC_CELLS ? rtc->cells[cell] : 0xff;
}

void rtc_reset(struct rtc *rtc)
{
    int64_t now = rtc_now(rtc);
    rtc_check(rtc, now);
    rtc->index = 0;
    rtc->cells[REGISTER_B] &= ~(B_ENABLES | B_SQWE);
    rtc->cells[REGISTER_C] = 0;
    rtc_update(rtc, now);
}

struct rtc *rtc_create(struct bus *ports, const struct irq_line *irq, struct clock *clock, int64_t offset)
{
    struct timespec host;
    struct rtc *rtc = allocate(sizeof(*rtc));
    rtc->ports = ports;
    rtc->irq = *irq;
    rtc->clock = clock;
    rtc->timer = timer_create_on(clock, rtc_fire, rtc);
    rtc->cells[REGISTER_A] = A_POWER_ON;
    rtc->cells[REGISTER_B] = B_24_HOURS;
    rtc->cells[REGISTER_D] = D_VRT;
    clock_gettime(CLOCK_REALTIME, &host);
    rtc_set_time(rtc, host.tv_sec + offset);
    rtc_set_phase(rtc, host.tv_nsec);
    bus_add(ports, &(struct bus_range){PORT, 2, "rtc", rtc, rtc_read, rtc_write, 1});
    return rtc;
}

void rtc_start_at(struct rtc *rtc, int64_t seconds)
{
    rtc_set_time(rtc, seconds);
    rtc_set_phase(rtc, 0);
}

void rtc_pass(struct rtc *rtc, uint64_t nanoseconds)
{
    rtc->phase += (int64_t)nanoseconds;
    rtc_fire(rtc);
}

void rtc_destroy(struct rtc *rtc)
{
    bus_remove(rtc->ports, rtc, PORT);
    timer_destroy(rtc->timer);
    free(rtc);
}
