/*
 * A bench for one chip: a port map, a clock that stands until the test moves it, and a probe on an interrupt line.
 */
#ifndef TESTS_UNIT_BENCH_H
#define TESTS_UNIT_BENCH_H

#include "unit/unit.h"

#include "core/bus.h"
#include "core/clock.h"
#include "core/irq.h"

#define MICROSECONDS 1000ull
#define MILLISECONDS 1000000ull
#define SECONDS      1000000000ull

/* What an interrupt line did. */
struct probe {
    bool level;
    unsigned rises;
};

static inline void probe_set(void *target, int input, bool level)
{
    struct probe *probe = target;
    (void)input;
    probe->rises += level && !probe->level;
    probe->level = level;
}

struct bench {
    struct bus *ports;
    struct clock *clock;
    uint64_t now;
    struct probe probe;
    struct irq_line line; /* ends at the probe */
    void (*settle)(void); /* time has passed; NULL: nothing to do */
};

static inline void bench_open(struct bench *bench)
{
    *bench = (struct bench){.ports = bus_create("port", 0x10000), .clock = clock_create()};
    bench->line = (struct irq_line){probe_set, &bench->probe, 0};
    clock_step(bench->clock, 0);
}

static inline void bench_close(struct bench *bench)
{
    bus_destroy(bench->ports);
    clock_destroy(bench->clock);
}

static inline void bench_pass(struct bench *bench, uint64_t nanoseconds)
{
    bench->now += nanoseconds;
    clock_step(bench->clock, bench->now);
    if (bench->settle)
        bench->settle();
}

static inline uint8_t in(struct bench *bench, uint16_t port)
{
    return bus_read_locked(bench->ports, port, 1);
}

static inline void out(struct bench *bench, uint16_t port, uint8_t value)
{
    bus_write_locked(bench->ports, port, 1, value);
}

/* A fixed sequence, so that a failure comes again. */
static inline uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/*
 * A million reads and writes of all sizes around the given ports, with time passing in between. What it shows is that
 * the sanitizers stay silent and that it ends.
 */
static inline void bench_hammer(struct bench *bench, const uint16_t *ports, unsigned count)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < 1000000; i++) {
        uint64_t random = bench_random(&seed);
        uint16_t port = ports[(random >> 8) % count];
        unsigned size = 1u << (random >> 16 & 15 ? 0 : random >> 20 & 3);
        if (size == 8)
            size = 4;
        if (random & 1)
            bus_write_locked(bench->ports, port, size, random >> 24);
        else
            bus_read_locked(bench->ports, port, size);
        if (!(random >> 56 & 15))
            bench_pass(bench, (random >> 40) % (50 * MICROSECONDS));
        if (!(random >> 50))
            bench_pass(bench, SECONDS);
    }
}

#endif
