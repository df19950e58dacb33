#include "host/pin.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a plan by hand */

static void there_are(const struct host_cpus *host, bool allowed_only, char *text, size_t size)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu = 0; cpu < host->count; cpu++)
        if (host->cpu[cpu].online && (host->cpu[cpu].allowed || !allowed_only))
            CPU_SET(cpu, &set);
    cpu_list_print(&set, text, size);
}

static bool place_check(const struct host_cpus *host, unsigned long vcpu, unsigned long cpu, char *text,
                        size_t size)
{
    char list[200];
    if (cpu >= (unsigned long)host->count || !host->cpu[cpu].online) {
        there_are(host, false, list, sizeof(list));
        snprintf(text, size, "vCPU %lu: there is no host CPU %lu running; there are %s", vcpu, cpu, list);
        return false;
    }
    if (!host->cpu[cpu].allowed) {
        there_are(host, true, list, sizeof(list));
        snprintf(text, size, "vCPU %lu: a cpuset keeps this process off host CPU %lu; it may use %s", vcpu,
                 cpu, list);
        return false;
    }
    return true;
}

static bool number_read(const char **at, unsigned long *number)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    *number = strtoul(*at, &end, 10);
    *at = end;
    return true;
}

static bool pair_take(const struct host_cpus *host, const char **at, unsigned vcpus, int *plan, char *text,
                      size_t size)
{
    unsigned long vcpu, cpu;
    const char *start = *at;
    if (!number_read(at, &vcpu) || *(*at)++ != '=' || !number_read(at, &cpu) || (**at && **at != ',')) {
        snprintf(text, size, "'%.40s' should be VCPU=HOSTCPU,VCPU=HOSTCPU or auto", start);
        return false;
    }
    if (vcpu >= vcpus) {
        snprintf(text, size, "there is no vCPU %lu; the last is %u", vcpu, vcpus - 1);
        return false;
    }
    if (plan[vcpu] != PIN_FREE) {
        snprintf(text, size, "vCPU %lu is given twice", vcpu);
        return false;
    }
    plan[vcpu] = (int)cpu;
    return place_check(host, vcpu, cpu, text, size);
}

/* Two vCPUs on one host CPU take turns; where the scheduler can't help it is refused. */
static bool sharing_check(const struct host_cpus *host, unsigned vcpus, const int *plan, char *text,
                          size_t size)
{
    for (unsigned other = 1; other < vcpus; other++)
        for (unsigned vcpu = 0; vcpu < other; vcpu++) {
            if (plan[vcpu] == PIN_FREE || plan[vcpu] != plan[other])
                continue;
            bool isolated = host->cpu[plan[vcpu]].isolated;
            snprintf(text, size,
                     isolated
                         ? "vCPUs %u and %u both on host CPU %d, which is isolated: nothing would balance "
                           "them, so that one starves while the other waits for it; give each its own"
                         : "vCPUs %u and %u share host CPU %d and take turns",
                     vcpu, other, plan[vcpu]);
            if (isolated)
                return false;
        }
    return true;
}

/* ---- auto */

static bool is_candidate(const struct host_cpu *cpu)
{
    return cpu->online && cpu->offered;
}

/* The node that has room for all, with as many isolated CPUs among them as can be had; -1: none has. */
static int node_choose(const struct host_cpus *host, unsigned vcpus)
{
    unsigned room[CPU_SETSIZE] = {0}, isolated[CPU_SETSIZE] = {0};
    int best = -1;
    for (int cpu = 0; cpu < host->count; cpu++) {
        const struct host_cpu *at = &host->cpu[cpu];
        if (is_candidate(at) && at->node >= 0 && at->node < CPU_SETSIZE) {
            room[at->node]++;
            isolated[at->node] += at->isolated && isolated[at->node] < vcpus;
        }
    }
    for (int node = 0; node < CPU_SETSIZE; node++)
        if (room[node] >= vcpus && (best < 0 || isolated[node] > isolated[best]))
            best = node;
    return best;
}

/* In which order the host's CPUs are taken: smaller is earlier. */
struct rank {
    int cpu, elsewhere, shared, node, without, core; /* without: siblings of the same kind */
};

static int by_rank(const void *a, const void *b)
{
    const struct rank *left = a, *right = b;
    if (left->shared != right->shared)
        return left->shared - right->shared;
    if (left->elsewhere != right->elsewhere)
        return left->elsewhere - right->elsewhere;
    if (left->node != right->node)
        return left->node - right->node;
    if (left->without != right->without)
        return left->without - right->without;
    if (left->core != right->core)
        return left->core - right->core;
    return left->cpu - right->cpu;
}

static int mates(const struct host_cpus *host, const struct host_cpu *of)
{
    int count = 0;
    for (int cpu = 0; cpu < host->count; cpu++) {
        const struct host_cpu *at = &host->cpu[cpu];
        count += is_candidate(at) && at->core == of->core && at->isolated == of->isolated;
    }
    return count;
}

static unsigned rank(const struct host_cpus *host, unsigned vcpus, struct rank ranks[CPU_SETSIZE])
{
    unsigned count = 0;
    int node = node_choose(host, vcpus);
    for (int cpu = 0; cpu < host->count; cpu++) {
        const struct host_cpu *at = &host->cpu[cpu];
        if (is_candidate(at))
            ranks[count++] = (struct rank){
                cpu, node >= 0 && at->node != node, !at->isolated, at->node, -mates(host, at), at->core};
    }
    qsort(ranks, count, sizeof(ranks[0]), by_rank);
    return count;
}

static void plan_auto(const struct host_cpus *host, unsigned vcpus, int *plan, char *text, size_t size)
{
    struct rank ranks[CPU_SETSIZE];
    unsigned count = rank(host, vcpus, ranks);
    for (unsigned vcpu = 0; vcpu < vcpus && vcpu < count; vcpu++)
        plan[vcpu] = ranks[vcpu].cpu;
    if (count < vcpus)
        snprintf(text, size, "%u vCPUs and %u host CPUs to use: those from %u on are not pinned", vcpus,
                 count, count);
}

bool pin_plan(const struct host_cpus *host, const char *wanted, unsigned vcpus, int *plan, char *text,
              size_t text_size)
{
    text[0] = '\0';
    for (unsigned vcpu = 0; vcpu < vcpus; vcpu++)
        plan[vcpu] = PIN_FREE;
    if (!strcmp(wanted, "auto")) {
        plan_auto(host, vcpus, plan, text, text_size);
        return true;
    }
    do {
        if (!pair_take(host, &wanted, vcpus, plan, text, text_size))
            return false;
    } while (*wanted++ == ',');
    return sharing_check(host, vcpus, plan, text, text_size);
}
