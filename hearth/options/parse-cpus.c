/*
 * -cpu is kept as typed. -smp: how many CPUs there are and how they are arranged. What is left out follows from the rest as in QEMU since 6.2:
 * cores first, then sockets, then threads.
 */
#include "options/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT_MOST = 1 << 15 };

/* Of -smp; 0: not given, to be worked out. As wide as the product of all levels. */
struct counts {
    uint64_t cpus, maxcpus, sockets, dies, cores, threads;
};

static uint64_t count(const struct context *context, struct settings *settings, const char *key)
{
    const char *text = settings_text(settings, key, NULL);
    char *end;
    if (!text)
        return 0;
    errno = 0;
    long long value = strtoll(text, &end, 0);
    if (end == text || *end || errno)
        refuse(context, "Parameter 'smp.%s' expects integer", key);
    if (value <= 0)
        refuse(context, "Invalid CPU topology: CPU topology parameters must be greater than zero");
    return value > COUNT_MOST ? COUNT_MOST : (uint64_t)value;
}

static uint64_t or_one(uint64_t given)
{
    return given ? given : 1;
}

static void work_out(struct counts *counts)
{
    uint64_t *cpus = &counts->cpus, *maxcpus = &counts->maxcpus;

    counts->dies = or_one(counts->dies);
    if (!*maxcpus)
        *maxcpus = *cpus;
    if (!*maxcpus || !counts->cores) {
        counts->sockets = or_one(counts->sockets);
        counts->threads = or_one(counts->threads);
        if (!counts->cores)
            counts->cores = *maxcpus ? *maxcpus / (counts->sockets * counts->dies * counts->threads) : 1;
    } else if (!counts->sockets) {
        counts->threads = or_one(counts->threads);
        counts->sockets = *maxcpus / (counts->dies * counts->cores * counts->threads);
    } else if (!counts->threads) {
        counts->threads = *maxcpus / (counts->sockets * counts->dies * counts->cores);
    }
    if (!*maxcpus)
        *maxcpus = counts->sockets * counts->dies * counts->cores * counts->threads;
    if (!*cpus)
        *cpus = *maxcpus;
}

/* The hierarchy in words, for messages. */
static const char *hierarchy(const struct counts *counts, char text[static 128])
{
    snprintf(text, 128,
             "sockets (%" PRIu64 ") * dies (%" PRIu64 ") * cores (%" PRIu64 ") * threads (%" PRIu64 ")",
             counts->sockets, counts->dies, counts->cores, counts->threads);
    return text;
}

static void check(const struct context *context, const struct counts *counts)
{
    uint64_t product = counts->sockets * counts->dies * counts->cores * counts->threads;
    char text[128];

    if (product != counts->maxcpus)
        refuse(context,
               "Invalid CPU topology: product of the hierarchy must match maxcpus: %s != maxcpus (%" PRIu64
               ")",
               hierarchy(counts, text), counts->maxcpus);
    if (counts->maxcpus < counts->cpus)
        refuse(context,
               "Invalid CPU topology: maxcpus must be equal to or greater than smp: %s == maxcpus (%" PRIu64
               ") < smp_cpus (%" PRIu64 ")",
               hierarchy(counts, text), counts->maxcpus, counts->cpus);
    if (counts->maxcpus > CPUS_MOST)
        refuse(context,
               "Invalid SMP CPUs %" PRIu64 ". The max CPUs supported by machine 'pc-i440fx-7.2' is %d",
               counts->maxcpus, CPUS_MOST);
}

static void check_apic_ids(const struct context *context, const struct topology *topology)
{
    unsigned last = topology_apic_id(topology, topology_count(topology) - 1);
    if (last > APIC_ID_LAST)
        refuse(
            context,
            "the APIC identifiers, with a field of whole bits for each level, would go up to %u, and %d is "
            "the highest; counts that are powers of two waste none",
            last, APIC_ID_LAST);
}

void parse_cpus(const struct context *context)
{
    struct machine_config *config = context->config;
    struct settings *settings = value_parse(context, "cpus");
    const char *unknown, *value;
    struct counts counts = {
        .cpus = count(context, settings, "cpus"),
        .maxcpus = count(context, settings, "maxcpus"),
        .sockets = count(context, settings, "sockets"),
        .dies = count(context, settings, "dies"),
        .cores = count(context, settings, "cores"),
        .threads = count(context, settings, "threads"),
    };
    if (count(context, settings, "clusters") > 1)
        refuse(context, "clusters not supported by this machine's CPU topology");
    if ((unknown = settings_unasked(settings, &value)))
        refuse(context, "Parameter 'smp.%s' is unexpected", unknown);
    work_out(&counts);
    check(context, &counts);
    config->cpus = (unsigned)counts.cpus;
    config->cpus_most = (unsigned)counts.maxcpus;
    config->topology = (struct topology){(unsigned)counts.sockets, (unsigned)counts.dies,
                                         (unsigned)counts.cores, (unsigned)counts.threads};
    check_apic_ids(context, &config->topology);
}

void parse_cpu(const struct context *context)
{
    context->config->cpu = value_parse(context, "name");
}

void parse_vcpu_pin(const struct context *context)
{
    context->config->vcpu_pin = context->value;
}

void cpu_default(struct machine_config *config)
{
    if (config->cpu)
        return;
    config->cpu = settings_parse("-cpu", "qemu64,check=off", "name");
    settings_append(&config->values, config->cpu);
}
