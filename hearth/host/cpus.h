/*
 * The host's CPUs as /sys tells of them, lists such as "0-2,5", and what one thread does with them.
 */
#ifndef HOST_CPUS_H
#define HOST_CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_cpu {
    bool online, isolated; /* isolated: the scheduler moves nothing there and away by itself (isolcpus=) */
    bool allowed;          /* the process's cpuset lets it run there */
    bool offered;          /* and its affinity does not speak against it, as taskset's would */
    int node;              /* NUMA */
    int core;              /* the lowest of its SMT siblings, or itself */
};

struct host_cpus {
    struct host_cpu cpu[CPU_SETSIZE];
    int count; /* one more than the highest there is */
};

/* `sys` is "/sys", or such a tree; `allowed` is what the cpuset has, `affinity` where the process runs. */
void host_cpus_read(struct host_cpus *cpus, const char *sys, const cpu_set_t *allowed,
                    const cpu_set_t *affinity);
/* What those two are for this thread: to find out it asks for all CPUs for a moment. */
void host_cpus_here(cpu_set_t *allowed, cpu_set_t *affinity);

/* False for what is no list, or has numbers from CPU_SETSIZE up. An empty text is an empty set. */
bool cpu_list_parse(const char *text, cpu_set_t *set);
/* Truncated if it must be. */
void cpu_list_print(const cpu_set_t *set, char *text, size_t size);

/* Of a thread of this process. */
struct thread_use {
    int cpu; /* where it ran last; -1: not known */
    cpu_set_t allowed;
    double run;    /* seconds on a CPU */
    double waited; /* seconds ready to run on a CPU that others had; negative: the kernel does not tell */
};
/* False if there is no such thread. */
bool thread_use_read(long id, struct thread_use *use);
/* Binds it, and reads back whether it is. False with errno; EINVAL as well if the kernel took something else. */
bool thread_pin(long id, const cpu_set_t *to);

#endif
