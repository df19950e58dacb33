/*
 * The high precision event timer: a main counter of 64 bits that counts 10 ns each, three comparators, each of 64 or 32 bits,
 * once or periodically, by edge or level.
 *
 * A periodic timer interrupts every 20 us at most; periods that pass meanwhile are one interrupt.
 * Left out: the legacy replacement route (the 8254 and the MC146818 keep IRQ0 and IRQ8; LEG_RT_CAP says so), interrupts as
 * messages (FSB).
 * Source: Intel, IA-PC HPET Specification 1.0a, chapter 2.3.
 */
#include "devices/hpet.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    GCAP_ID = 0x000,
    GEN_CONF = 0x010,
    GINTR_STA = 0x020,
    MAIN_CNT = 0x0f0,
    TIMER_FIRST = 0x100,
    TIMER_SIZE = 0x20,
    TN_CONF = 0x00,
    TN_COMPARATOR = 0x08,

    TIMERS = 3,
    NANOSECONDS_A_TICK = 10,
    TICKS_BETWEEN = 2000, /* interrupts of a periodic timer */

    REV_ID = 0x01,
    NUM_TIM_CAP_SHIFT = 8, /* the last one's number */
    COUNT_SIZE_CAP = 1 << 13,

    ENABLE_CNF = 1 << 0,

    INT_TYPE_CNF = 1 << 1, /* level */
    INT_ENB_CNF = 1 << 2,
    TYPE_CNF = 1 << 3, /* periodic */
    PER_INT_CAP = 1 << 4,
    SIZE_CAP = 1 << 5,
    VAL_SET_CNF = 1 << 6,
    MODE32_CNF = 1 << 8,
    INT_ROUTE_SHIFT = 9,
    INT_ROUTE = 0x1f << INT_ROUTE_SHIFT,
    TN_WRITABLE = INT_TYPE_CNF | INT_ENB_CNF | TYPE_CNF | VAL_SET_CNF | MODE32_CNF | INT_ROUTE,
};
#define VENDOR_ID            0x8086ull
#define FEMTOSECONDS_A_TICK  10000000ull
#define INT_ROUTE_CAP_SHIFT  32
#define COUNTER_PERIOD_SHIFT 32

struct channel {
    struct hpet *hpet;
    struct timer *timer;
    uint32_t config;
    uint64_t comparator, period;
};

struct hpet {
    struct bus *mmio;
    struct clock *clock;
    struct irq_line lines[HPET_LINES];
    uint32_t routes; /* which of them there are */
    uint32_t config, status;
    uint64_t counter; /* as it was at `since` */
    uint64_t since;
    struct channel channels[TIMERS];
};

static bool runs(const struct hpet *hpet)
{
    return hpet->config & ENABLE_CNF;
}

static uint64_t counter_now(const struct hpet *hpet)
{
    if (!runs(hpet))
        return hpet->counter;
    return hpet->counter + (clock_now(hpet->clock) - hpet->since) / NANOSECONDS_A_TICK;
}

static uint64_t mask_of(const struct channel *channel)
{
    return channel->config & MODE32_CNF ? UINT32_MAX : UINT64_MAX;
}

static unsigned number_of(const struct channel *channel)
{
    return (unsigned)(channel - channel->hpet->channels);
}

static unsigned route_of(const struct channel *channel)
{
    return (channel->config & INT_ROUTE) >> INT_ROUTE_SHIFT;
}

/* ---- interrupts */

static bool pulls(const struct channel *channel)
{
    return channel->config & INT_TYPE_CNF && channel->config & INT_ENB_CNF &&
           channel->hpet->status >> number_of(channel) & 1;
}

/* Timers may share a wire. */
static void lines_update(struct hpet *hpet)
{
    uint32_t pulled = 0;
    for (unsigned i = 0; i < TIMERS; i++)
        if (pulls(&hpet->channels[i]))
            pulled |= 1u << route_of(&hpet->channels[i]);
    for (unsigned line = 0; line < HPET_LINES; line++)
        irq_set(&hpet->lines[line], pulled >> line & 1);
}

static void interrupt(struct channel *channel)
{
    struct hpet *hpet = channel->hpet;
    if (channel->config & INT_TYPE_CNF) {
        hpet->status |= 1u << number_of(channel);
    } else if (channel->config & INT_ENB_CNF) {
        irq_set(&hpet->lines[route_of(channel)], true);
    }
    lines_update(hpet); /* an edge is over again */
}

/* ---- comparators */

/* Ticks until the counter equals the comparator: from 1 to where it has been all round. */
static uint64_t ticks_left(const struct channel *channel, uint64_t counter)
{
    return ((channel->comparator - counter - 1) & mask_of(channel)) + 1;
}

/* 0: further away than the machine's time goes. */
static void arm(struct channel *channel, uint64_t least)
{
    struct hpet *hpet = channel->hpet;
    uint64_t counter = counter_now(hpet), left = ticks_left(channel, counter), now = clock_now(hpet->clock);
    if (left && left < least)
        left = least;
    bool ever = runs(hpet) && left && left < (INT64_MAX - now) / NANOSECONDS_A_TICK;
    /* To the tick: the counter has been at `counter` for a while. */
    uint64_t into = (now - hpet->since) % NANOSECONDS_A_TICK;
    timer_arm(channel->timer, ever ? now - into + left * NANOSECONDS_A_TICK : CLOCK_NEVER);
}

/* A periodic comparator moves on to its next time that is yet to come. */
static void advance(struct channel *channel)
{
    uint64_t behind = (counter_now(channel->hpet) - channel->comparator) & mask_of(channel);
    channel->comparator += (behind / channel->period + 1) * channel->period;
    channel->comparator &= mask_of(channel);
}

static void channel_fire(void *opaque)
{
    struct channel *channel = opaque;
    bool periodic = channel->config & TYPE_CNF && channel->period;
    interrupt(channel);
    if (periodic)
        advance(channel);
    arm(channel, periodic ? TICKS_BETWEEN : 0);
}

static void arm_all(struct hpet *hpet)
{
    for (unsigned i = 0; i < TIMERS; i++)
        arm(&hpet->channels[i], 0);
}

static void comparator_write(struct channel *channel, uint64_t value)
{
    value &= mask_of(channel);
    if (!(channel->config & TYPE_CNF) || channel->config & VAL_SET_CNF)
        channel->comparator = value;
    if (channel->config & TYPE_CNF)
        channel->period = value;
    channel->config &= ~(uint32_t)VAL_SET_CNF;
    arm(channel, 0);
}

static void channel_configure(struct channel *channel, uint32_t value)
{
    channel->config = value & TN_WRITABLE;
    if (!(channel->hpet->routes >> route_of(channel) & 1))
        channel->config &= ~(uint32_t)INT_ROUTE; /* reads back as another: it is not there */
    channel->comparator &= mask_of(channel);
    channel->period &= mask_of(channel);
    lines_update(channel->hpet);
    arm(channel, 0);
}

/* ---- registers of 64 bits; any part of one can be accessed */

static struct channel *channel_at(struct hpet *hpet, uint64_t offset)
{
    uint64_t index = (offset - TIMER_FIRST) / TIMER_SIZE;
    return offset >= TIMER_FIRST && index < TIMERS ? &hpet->channels[index] : NULL;
}

static uint64_t channel_get(const struct channel *channel, uint64_t offset)
{
    switch (offset % TIMER_SIZE) {
    case TN_CONF:
        return channel->config | PER_INT_CAP | SIZE_CAP |
               (uint64_t)channel->hpet->routes << INT_ROUTE_CAP_SHIFT;
    case TN_COMPARATOR: return channel->comparator;
    default: return 0;
    }
}

static uint64_t register_get(struct hpet *hpet, uint64_t offset)
{
    struct channel *channel = channel_at(hpet, offset);
    switch (offset) {
    case GCAP_ID:
        return FEMTOSECONDS_A_TICK << COUNTER_PERIOD_SHIFT | VENDOR_ID << 16 | COUNT_SIZE_CAP |
               (TIMERS - 1) << NUM_TIM_CAP_SHIFT | REV_ID;
    case GEN_CONF: return hpet->config;
    case GINTR_STA: return hpet->status;
    case MAIN_CNT: return counter_now(hpet);
    default: return channel ? channel_get(channel, offset) : 0;
    }
}

static void configure(struct hpet *hpet, uint32_t value)
{
    hpet->counter = counter_now(hpet);
    hpet->since = clock_now(hpet->clock);
    hpet->config = value & ENABLE_CNF;
    arm_all(hpet);
}

static void counter_set(struct hpet *hpet, uint64_t value)
{
    hpet->counter = value;
    hpet->since = clock_now(hpet->clock);
    arm_all(hpet);
}

static void register_set(struct hpet *hpet, uint64_t offset, uint64_t value, uint64_t written)
{
    struct channel *channel = channel_at(hpet, offset);
    switch (offset) {
    case GEN_CONF: configure(hpet, (uint32_t)value); break;
    case GINTR_STA:
        hpet->status &= ~(uint32_t)written; /* ones clear */
        lines_update(hpet);
        break;
    case MAIN_CNT: counter_set(hpet, value); break;
    default:
        if (channel && offset % TIMER_SIZE == TN_CONF)
            channel_configure(channel, (uint32_t)value);
        else if (channel && offset % TIMER_SIZE == TN_COMPARATOR)
            comparator_write(channel, value);
    }
}

static uint64_t hpet_read(void *device, uint64_t offset, unsigned size)
{
    (void)size; /* the bus takes what it wants */
    return register_get(device, offset & ~7ull) >> 8 * (offset & 7);
}

static void hpet_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    unsigned shift = 8 * (offset & 7);
    uint64_t mask = (size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1) << shift;
    uint64_t written = value << shift & mask;
    register_set(device, offset & ~7ull, (register_get(device, offset & ~7ull) & ~mask) | written, written);
}

/* ---- the machine's side */

struct hpet *hpet_create(struct bus *mmio, struct clock *clock, const struct irq_line lines[HPET_LINES])
{
    struct hpet *hpet = allocate(sizeof(*hpet));
    hpet->mmio = mmio;
    hpet->clock = clock;
    for (unsigned line = 0; line < HPET_LINES; line++) {
        hpet->lines[line] = lines[line];
        hpet->routes |= lines[line].set ? 1u << line : 0;
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        hpet->channels[i].hpet = hpet;
        hpet->channels[i].timer = timer_create_on(clock, channel_fire, &hpet->channels[i]);
    }
    hpet_reset(hpet);
    bus_add(mmio, &(struct bus_range){HPET_ADDRESS, HPET_SIZE, "hpet", hpet, hpet_read, hpet_write, 8});
    return hpet;
}

void hpet_reset(struct hpet *hpet)
{
    hpet->config = hpet->status = 0;
    hpet->counter = 0;
    for (unsigned i = 0; i < TIMERS; i++) {
        struct channel *channel = &hpet->channels[i];
        channel->config = 0;
        channel->period = 0;
        channel->comparator = UINT64_MAX;
        timer_disarm(channel->timer);
    }
    lines_update(hpet);
}

void hpet_destroy(struct hpet *hpet)
{
    if (!hpet)
        return;
    bus_remove(hpet->mmio, hpet, HPET_ADDRESS);
    for (unsigned i = 0; i < TIMERS; i++)
        timer_destroy(hpet->channels[i].timer);
    free(hpet);
}
