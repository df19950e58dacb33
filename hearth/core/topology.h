/*
 * How the CPUs are arranged: sockets of dies of cores of threads, and the APIC identifiers that follow. An identifier
 * has a field for each level, just wide enough for the level's count; so with counts that are no powers of two some
 * identifiers belong to nobody. Sources: SDM volume 3A, 9.9.1; AMD APM volume 3, appendix E.5.
 */
#ifndef CORE_TOPOLOGY_H
#define CORE_TOPOLOGY_H

#include <stdbool.h>

struct topology {
    unsigned sockets, dies, cores, threads; /* each of the level below; all at least 1 */
};

/* Where one CPU is. */
struct cpu_place {
    unsigned socket, die, core, thread;
};

enum {
    CPUS_MOST = 255,
    APIC_ID_LAST = 254, /* of xAPIC: 255 means all */
};

/* The CPUs of a machine by their numbers: those that are there, and those that may yet be plugged in. */
struct cpus {
    struct topology topology;
    unsigned most; /* what the topology holds */
    bool present[CPUS_MOST];
};

/* Bits for the numbers 0 to count - 1. */
static inline unsigned topology_width(unsigned count)
{
    unsigned bits = 0;
    while (bits < 31 && 1u << bits < count)
        bits++;
    return bits;
}

/* Where the field of the level begins in an APIC identifier. */
static inline unsigned topology_core_shift(const struct topology *topology)
{
    return topology_width(topology->threads);
}

static inline unsigned topology_die_shift(const struct topology *topology)
{
    return topology_core_shift(topology) + topology_width(topology->cores);
}

static inline unsigned topology_socket_shift(const struct topology *topology)
{
    return topology_die_shift(topology) + topology_width(topology->dies);
}

/* Threads of a core are neighbours, then cores of a die, and so on. */
static inline struct cpu_place topology_place(const struct topology *topology, unsigned cpu)
{
    struct cpu_place place;
    place.thread = cpu % topology->threads;
    cpu /= topology->threads;
    place.core = cpu % topology->cores;
    cpu /= topology->cores;
    place.die = cpu % topology->dies;
    place.socket = cpu / topology->dies;
    return place;
}

static inline unsigned topology_apic_id(const struct topology *topology, unsigned cpu)
{
    struct cpu_place at = topology_place(topology, cpu);
    return at.socket << topology_socket_shift(topology) | at.die << topology_die_shift(topology) |
           at.core << topology_core_shift(topology) | at.thread;
}

static inline unsigned topology_count(const struct topology *topology)
{
    return topology->sockets * topology->dies * topology->cores * topology->threads;
}

static inline unsigned cpus_present(const struct cpus *cpus)
{
    unsigned count = 0;
    for (unsigned cpu = 0; cpu < cpus->most; cpu++)
        count += cpus->present[cpu];
    return count;
}

/* One more than the highest APIC identifier. */
static inline unsigned cpus_apic_ids(const struct cpus *cpus)
{
    return topology_apic_id(&cpus->topology, cpus->most - 1) + 1;
}

/* `most` CPUs of which the first `present` are there. */
static inline void cpus_set_up(struct cpus *cpus, const struct topology *topology, unsigned present)
{
    *cpus = (struct cpus){.topology = *topology, .most = topology_count(topology)};
    for (unsigned cpu = 0; cpu < present; cpu++)
        cpus->present[cpu] = true;
}

#endif
