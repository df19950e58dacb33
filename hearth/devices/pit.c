/*
 * The 8254 interval timer of a PC: three channels at 1.193182 MHz, modes 0 to 5, binary and BCD, counter latch and
 * read-back. Channels 0 and 1 have their gate tied high; channel 2's is port 61h bit 0.
 *
 * Nothing runs while nobody looks: a channel is the tick at which its count was loaded, and count and output are
 * computed from the clock. Only channel 0's rising edges need a timer. When the host is late the edges that were
 * missed are made up for at twice the rate, but never more than a second's worth of them.
 *
 * Left out: counts of 1 in modes 2 and 3, which the data sheet forbids, act as 2; the output of channel 1 (memory
 * refresh) goes nowhere.
 *
 * Source: Intel 8254 data sheet (231164-005), "Operational Description" and "Mode Definitions".
 */
#include "devices/pit.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    PORT = 0x40,
    CHANNELS = 3,
    CONTROL = 3, /* the offset of the control word register */

    CONTROL_BCD = 0x01,
    CONTROL_MODE_SHIFT = 1,
    CONTROL_MODE = 7,
    CONTROL_RW_SHIFT = 4,
    CONTROL_RW = 3,
    CONTROL_SELECT_SHIFT = 6,
    SELECT_READ_BACK = 3,

    RW_LATCH = 0, /* counter latch command */
    RW_LOW = 1,
    RW_HIGH = 2,
    RW_BOTH = 3,

    READ_BACK_NO_COUNT = 0x20,
    READ_BACK_NO_STATUS = 0x10,
    READ_BACK_COUNTER_0 = 0x02,

    STATUS_OUT = 0x80,
    STATUS_NULL_COUNT = 0x40,

    FREQUENCY = 1193182,     /* ticks a second */
    SHORTEST_INTERVAL = 120, /* ticks between two edges at least: what a guest can cost the host */
};

#define NEVER UINT64_MAX

enum mode { TERMINAL_COUNT, ONE_SHOT, RATE_GENERATOR, SQUARE_WAVE, SOFTWARE_STROBE, HARDWARE_STROBE };

struct channel {
    enum mode mode;
    unsigned rw;
    bool bcd, gate;
    uint32_t reload;    /* the count register, 1 to 65536; 0: none written since the control word */
    uint32_t count;     /* what the counting element was loaded with last; 0: not yet */
    bool null_count;    /* the count register waits to be loaded */
    uint64_t start;     /* the tick at which `count` was loaded ... */
    bool frozen;        /* ... or, while counting is disabled, ... */
    uint64_t elapsed;   /* ... the ticks that it had counted */
    uint64_t switch_at; /* modes 2 and 3: the tick at which the waiting count is loaded */

    uint8_t low_written; /* first byte of two */
    bool high_next_write, high_next_read;
    unsigned latched_bytes; /* bytes of the latched count that are still to be read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
};

struct pit {
    struct bus *ports;
    struct irq_line irq;
    struct clock *clock;
    struct timer *timer;
    struct channel channel[CHANNELS];
    uint64_t edge; /* the tick of channel 0's next rising edge */
    uint32_t owed; /* edges missed and still to be made up for */
};

static uint64_t pit_now(const struct pit *pit)
{
    return scale(clock_now(pit->clock), FREQUENCY, NANOSECONDS_PER_SECOND);
}

/* ---- a channel: pure functions of the tick */

static bool channel_periodic(const struct channel *channel)
{
    return channel->mode == RATE_GENERATOR || channel->mode == SQUARE_WAVE;
}

static bool channel_triggered(const struct channel *channel)
{
    return channel->mode == ONE_SHOT || channel->mode == HARDWARE_STROBE;
}

static uint64_t channel_elapsed(const struct channel *channel, uint64_t now)
{
    if (channel->frozen)
        return channel->elapsed;
    int64_t elapsed = (int64_t)(now - channel->start); /* it starts with the clock pulse after the write */
    return elapsed > 0 ? (uint64_t)elapsed : 0;
}

/* Ticks from the start of a period to the fall of the output, in modes 2 and 3. */
static uint32_t channel_high_time(const struct channel *channel, uint32_t count)
{
    return channel->mode == SQUARE_WAVE ? (count + 1) / 2 : count - 1;
}

static bool channel_output(const struct channel *channel, uint64_t now)
{
    uint64_t elapsed = channel_elapsed(channel, now);
    if (!channel->count)
        return channel->mode != TERMINAL_COUNT;
    switch (channel->mode) {
    case TERMINAL_COUNT:
    case ONE_SHOT: return elapsed >= channel->count;
    case RATE_GENERATOR:
    case SQUARE_WAVE:
        return !channel->gate || elapsed % channel->count < channel_high_time(channel, channel->count);
    default: return elapsed != channel->count;
    }
}

static uint16_t to_bcd(uint32_t value)
{
    return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t value)
{
    return (value & 15) + (value >> 4 & 15) * 10 + (value >> 8 & 15) * 100 + (value >> 12) * 1000;
}

/* The counting element as a program reads it. */
static uint16_t channel_value(const struct channel *channel, uint64_t now)
{
    uint32_t modulus = channel->bcd ? 10000 : 65536;
    uint64_t elapsed = channel_elapsed(channel, now);
    uint64_t value;

    if (!channel->count) {
        value = channel->reload;
    } else if (channel->mode == RATE_GENERATOR) {
        value = channel->count - elapsed % channel->count;
    } else if (channel->mode == SQUARE_WAVE) {
        /* Counts by twos, twice for each period; an odd count is loaded less one. */
        uint32_t high = channel_high_time(channel, channel->count);
        uint64_t phase = elapsed % channel->count;
        value = (channel->count & ~1u) - 2 * (phase < high ? phase : phase - high);
    } else {
        value = channel->count + modulus - elapsed % modulus;
    }
    value %= modulus;
    return channel->bcd ? to_bcd(value) : value;
}

/* The first rising edge of the output after `now`, if no one interferes. */
static uint64_t channel_next_edge(const struct channel *channel, uint64_t now)
{
    if (!channel->count || channel->frozen)
        return NEVER;
    uint64_t elapsed = channel_elapsed(channel, now);
    uint64_t end = channel->count;
    switch (channel->mode) {
    case RATE_GENERATOR:
    case SQUARE_WAVE: return channel->start + (elapsed / channel->count + 1) * channel->count;
    case SOFTWARE_STROBE:
    case HARDWARE_STROBE:
        end++; /* it rises at the end of the strobe */
        break;
    default: break;
    }
    return elapsed < end ? channel->start + end : NEVER;
}

/* ---- a channel: loading */

/* The count register goes into the counting element with the next clock pulse. */
static void channel_load(struct channel *channel, uint64_t now)
{
    channel->count = channel->reload;
    channel->null_count = false;
    channel->switch_at = NEVER;
    channel->start = now + 1;
    channel->frozen = !channel->gate && !channel_triggered(channel);
    channel->elapsed = 0;
}

/* Modes 2 and 3 take a new count only when the period (the half period) under way has ended. */
static void channel_wait_to_load(struct channel *channel, uint64_t now)
{
    uint64_t elapsed = channel_elapsed(channel, now);
    uint64_t phase = elapsed % channel->count;
    uint32_t high = channel_high_time(channel, channel->count);
    uint64_t end = channel->mode == SQUARE_WAVE && phase < high ? high : channel->count;
    channel->switch_at = channel->start + elapsed - phase + end;
}

/* Brings a channel up to `now`; true if a waiting count was loaded. */
static bool channel_settle(struct channel *channel, uint64_t now)
{
    if (channel->switch_at > now || channel->frozen)
        return false;
    /* At the fall of a square wave the low half is the first to have the new length. */
    bool falling = (channel->switch_at - channel->start) % channel->count != 0;
    channel->count = channel->reload;
    channel->start = channel->switch_at - (falling ? channel_high_time(channel, channel->count) : 0);
    channel->null_count = false;
    channel->switch_at = NEVER;
    return true;
}

static void channel_write_count(struct channel *channel, uint16_t written, uint64_t now)
{
    uint32_t count = channel->bcd ? from_bcd(written) : written;
    if (!count)
        count = channel->bcd ? 10000 : 65536;
    if (channel_periodic(channel) && count == 1)
        count = 2;
    channel->reload = count;
    channel->null_count = true;
    if (channel_triggered(channel))
        return;
    if (channel_periodic(channel) && channel->count && !channel->frozen)
        channel_wait_to_load(channel, now);
    else
        channel_load(channel, now);
}

static void channel_write(struct channel *channel, uint8_t value, uint64_t now)
{
    if (channel->rw == RW_BOTH && !channel->high_next_write) {
        channel->low_written = value;
        channel->high_next_write = true;
        if (channel->mode == TERMINAL_COUNT)
            channel->count = 0; /* the first byte stops the counting, and the output is low */
        return;
    }
    channel->high_next_write = false;
    if (channel->rw == RW_BOTH)
        channel_write_count(channel, value << 8 | channel->low_written, now);
    else
        channel_write_count(channel, channel->rw == RW_HIGH ? value << 8 : value, now);
}

static void channel_program(struct channel *channel, uint8_t control)
{
    unsigned mode = control >> CONTROL_MODE_SHIFT & CONTROL_MODE;
    channel->mode = mode > HARDWARE_STROBE ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
    channel->rw = control >> CONTROL_RW_SHIFT & CONTROL_RW;
    channel->bcd = control & CONTROL_BCD;
    channel->reload = channel->count = 0;
    channel->null_count = true;
    channel->switch_at = NEVER;
    channel->frozen = false;
    channel->high_next_write = channel->high_next_read = false;
    channel->latched_bytes = 0;
    channel->status_latched = false;
}

static void channel_set_gate(struct channel *channel, bool level, uint64_t now)
{
    bool rises = level && !channel->gate;
    if (level == channel->gate)
        return;
    if (!level && channel->count && !channel_triggered(channel)) {
        channel->elapsed = channel_elapsed(channel, now);
        channel->frozen = true;
    }
    channel->gate = level;
    if (!rises || !channel->reload)
        return;
    if (channel_periodic(channel) || channel_triggered(channel)) {
        channel_load(channel, now);
    } else if (channel->frozen) {
        channel->start = now - channel->elapsed;
        channel->frozen = false;
    }
}

/* ---- a channel: reading */

static void channel_latch_count(struct channel *channel, uint64_t now)
{
    if (channel->latched_bytes)
        return;
    channel->latch = channel_value(channel, now);
    channel->latched_bytes = channel->rw == RW_BOTH ? 2 : 1;
    channel->high_next_read = false;
}

static void channel_latch_status(struct channel *channel, uint64_t now)
{
    if (channel->status_latched)
        return;
    channel->status = (channel_output(channel, now) ? STATUS_OUT : 0) |
                      (channel->null_count ? STATUS_NULL_COUNT : 0) | channel->rw << CONTROL_RW_SHIFT |
                      channel->mode << CONTROL_MODE_SHIFT | channel->bcd;
    channel->status_latched = true;
}

static uint8_t channel_read(struct channel *channel, uint64_t now)
{
    if (channel->status_latched) {
        channel->status_latched = false;
        return channel->status;
    }
    uint16_t value = channel->latched_bytes ? channel->latch : channel_value(channel, now);
    if (channel->latched_bytes)
        channel->latched_bytes--;
    bool high = channel->rw == RW_HIGH || (channel->rw == RW_BOTH && channel->high_next_read);
    channel->high_next_read = channel->rw == RW_BOTH && !channel->high_next_read;
    return high ? value >> 8 : value;
}

/* ---- channel 0 and its interrupt */

static void pit_arm(struct pit *pit, uint64_t now)
{
    const struct channel *channel = &pit->channel[0];
    uint64_t when = pit->edge;
    if (pit->owed && now + channel->count / 2 < when)
        when = now + channel->count / 2;
    if (channel->switch_at < when)
        when = channel->switch_at;
    if (when == NEVER || !pit->irq.set) {
        timer_disarm(pit->timer);
        return;
    }
    if (when < now + SHORTEST_INTERVAL && pit->edge != when)
        when = now + SHORTEST_INTERVAL;
    /* One nanosecond more, so that the tick has come when the timer fires in spite of the rounding. */
    timer_arm(pit->timer, scale(when, NANOSECONDS_PER_SECOND, FREQUENCY) + 1);
}

/* Loads a waiting count that is due. An edge that was due before it stays due. */
static void pit_settle(struct pit *pit, uint64_t now)
{
    struct channel *channel = &pit->channel[0];
    uint64_t switched = channel->switch_at;
    for (int i = 1; i < CHANNELS; i++)
        channel_settle(&pit->channel[i], now);
    if (channel_settle(channel, now) && pit->edge > switched)
        pit->edge = channel_next_edge(channel, switched);
}

static void pit_owe(struct pit *pit, uint64_t now)
{
    uint32_t period = pit->channel[0].count;
    if (!channel_periodic(&pit->channel[0]) || period < SHORTEST_INTERVAL)
        return;
    uint64_t owed = pit->owed + (now - pit->edge) / period;
    pit->owed = owed < FREQUENCY / period ? owed : FREQUENCY / period;
}

static void pit_fire(void *opaque)
{
    struct pit *pit = opaque;
    uint64_t now = pit_now(pit);
    pit_settle(pit, now);
    bool due = now >= pit->edge;
    if (due) {
        pit_owe(pit, now);
        pit->edge = channel_next_edge(&pit->channel[0], now);
        /* Counts too short for the host: several edges become one. */
        if (pit->edge != NEVER && pit->edge < now + SHORTEST_INTERVAL)
            pit->edge = channel_next_edge(&pit->channel[0], now + SHORTEST_INTERVAL);
    } else if (pit->owed) {
        pit->owed--;
        due = true;
    }
    if (due) {
        irq_set(&pit->irq, false);
        irq_set(&pit->irq, true);
    }
    pit_arm(pit, now);
}

/* After channel 0 was programmed. */
static void pit_restart(struct pit *pit, uint64_t now)
{
    struct channel *channel = &pit->channel[0];
    pit->owed = 0;
    pit->edge = channel_next_edge(channel, now);
    irq_set(&pit->irq, channel_output(channel, now));
    pit_arm(pit, now);
}

/* ---- ports */

static void pit_read_back(struct pit *pit, uint8_t command, uint64_t now)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (!(command & READ_BACK_COUNTER_0 << i))
            continue;
        if (!(command & READ_BACK_NO_COUNT))
            channel_latch_count(&pit->channel[i], now);
        if (!(command & READ_BACK_NO_STATUS))
            channel_latch_status(&pit->channel[i], now);
    }
}

static void pit_control(struct pit *pit, uint8_t control, uint64_t now)
{
    unsigned select = control >> CONTROL_SELECT_SHIFT;
    if (select == SELECT_READ_BACK) {
        pit_read_back(pit, control, now);
    } else if ((control >> CONTROL_RW_SHIFT & CONTROL_RW) == RW_LATCH) {
        channel_latch_count(&pit->channel[select], now);
    } else {
        channel_program(&pit->channel[select], control);
        if (select == 0)
            pit_restart(pit, now);
    }
}

static void pit_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pit *pit = device;
    uint64_t now = pit_now(pit);
    (void)size;
    pit_settle(pit, now);
    if (offset == CONTROL) {
        pit_control(pit, value, now);
        return;
    }
    channel_write(&pit->channel[offset], value, now);
    if (offset != 0)
        return;
    if (pit->channel[0].switch_at == NEVER)
        pit_restart(pit, now);
    else
        pit_arm(pit, now);
}

static uint64_t pit_read(void *device, uint64_t offset, unsigned size)
{
    struct pit *pit = device;
    uint64_t now = pit_now(pit);
    (void)size;
    pit_settle(pit, now);
    return offset == CONTROL ? 0xff : channel_read(&pit->channel[offset], now);
}

void pit_speaker_gate(struct pit *pit, bool level)
{
    uint64_t now = pit_now(pit);
    pit_settle(pit, now);
    channel_set_gate(&pit->channel[2], level, now);
}

bool pit_speaker_output(struct pit *pit)
{
    uint64_t now = pit_now(pit);
    pit_settle(pit, now);
    return channel_output(&pit->channel[2], now);
}

void pit_reset(struct pit *pit)
{
    for (int i = 0; i < CHANNELS; i++) {
        channel_program(&pit->channel[i], RW_BOTH << CONTROL_RW_SHIFT | SQUARE_WAVE << CONTROL_MODE_SHIFT);
        pit->channel[i].gate = i != 2;
    }
    pit_restart(pit, pit_now(pit));
}

struct pit *pit_create(struct bus *ports, const struct irq_line *irq, struct clock *clock)
{
    struct pit *pit = allocate(sizeof(*pit));
    pit->ports = ports;
    pit->irq = *irq;
    pit->clock = clock;
    pit->timer = timer_create_on(clock, pit_fire, pit);
    bus_add(ports, &(struct bus_range){PORT, 4, "pit", pit, pit_read, pit_write, 1});
    pit_reset(pit);
    return pit;
}

void pit_destroy(struct pit *pit)
{
    if (!pit)
        return;
    bus_remove(pit->ports, pit, PORT);
    timer_destroy(pit->timer);
    free(pit);
}
