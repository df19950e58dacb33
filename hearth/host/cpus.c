/* Sources: the kernel's Documentation/admin-guide/cputopology.rst, ABI/stable/sysfs-devices-node, proc(5), and
 * Documentation/scheduler/sched-stats.rst for schedstat. */
#include "host/cpus.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- lists */

static bool range_parse(const char **at, long *first, long *last)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    *first = *last = strtol(*at, &end, 10);
    if (*end == '-') {
        if (!isdigit((unsigned char)end[1]))
            return false;
        *last = strtol(end + 1, &end, 10);
    }
    *at = end;
    return *first <= *last && *last < CPU_SETSIZE;
}

bool cpu_list_parse(const char *text, cpu_set_t *set)
{
    CPU_ZERO(set);
    while (*text && *text != '\n') {
        long first, last;
        if (!range_parse(&text, &first, &last))
            return false;
        for (long cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, set);
        if (*text != ',')
            return *text == '\0' || *text == '\n';
        text++;
    }
    return true;
}

void cpu_list_print(const cpu_set_t *set, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int cpu = 0; cpu < CPU_SETSIZE && used < size; cpu++) {
        int first = cpu;
        if (!CPU_ISSET(cpu, set))
            continue;
        while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, set))
            cpu++;
        used += (size_t)snprintf(text + used, size - used, "%s%d", used ? "," : "", first);
        if (cpu > first && used < size)
            used += (size_t)snprintf(text + used, size - used, "-%d", cpu);
    }
}

/* ---- the host */

/* The first line. */
static bool line_read(const char *sys, const char *name, char *line, size_t size)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/devices/system/cpu/%s", sys, name);
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, (int)size, file);
    if (file)
        fclose(file);
    return read;
}

static bool list_read(const char *sys, const char *name, cpu_set_t *set)
{
    char line[8192] = "";
    CPU_ZERO(set);
    return line_read(sys, name, line, sizeof(line)) && cpu_list_parse(line, set);
}

/* A link nodeN in the CPU's folder. */
static int node_read(const char *sys, int cpu)
{
    char path[512];
    int node = 0;
    snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%d", sys, cpu);
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (!strncmp(entry->d_name, "node", 4) && isdigit((unsigned char)entry->d_name[4]))
            node = atoi(entry->d_name + 4);
    closedir(folder);
    return node;
}

static int core_read(const char *sys, int cpu)
{
    char name[64];
    cpu_set_t siblings;
    snprintf(name, sizeof(name), "cpu%d/topology/thread_siblings_list", cpu);
    if (!list_read(sys, name, &siblings))
        return cpu;
    for (int sibling = 0; sibling < cpu; sibling++)
        if (CPU_ISSET(sibling, &siblings))
            return sibling;
    return cpu;
}

void host_cpus_here(cpu_set_t *allowed, cpu_set_t *affinity)
{
    cpu_set_t all;
    CPU_ZERO(affinity);
    sched_getaffinity(0, sizeof(*affinity), affinity);
    *allowed = *affinity;
    memset(&all, 0xff, sizeof(all));
    if (sched_setaffinity(0, sizeof(all), &all) == 0)
        sched_getaffinity(0, sizeof(*allowed), allowed);
    sched_setaffinity(0, sizeof(*affinity), affinity);
}

/* isolcpus= takes its CPUs out of every process's affinity, so that they are missing there does not mean that somebody
 * has chosen the others. */
static void offer(struct host_cpus *cpus, const cpu_set_t *affinity)
{
    bool chosen = false;
    for (int cpu = 0; cpu < cpus->count; cpu++) {
        const struct host_cpu *at = &cpus->cpu[cpu];
        chosen |= at->online && at->allowed && !at->isolated && !CPU_ISSET(cpu, affinity);
    }
    for (int cpu = 0; cpu < cpus->count; cpu++)
        cpus->cpu[cpu].offered = cpus->cpu[cpu].allowed && (!chosen || CPU_ISSET(cpu, affinity));
}

void host_cpus_read(struct host_cpus *cpus, const char *sys, const cpu_set_t *allowed,
                    const cpu_set_t *affinity)
{
    cpu_set_t present, online, isolated;

    memset(cpus, 0, sizeof(*cpus));
    if (!list_read(sys, "present", &present))
        present = *allowed;
    if (!list_read(sys, "online", &online))
        online = present;
    list_read(sys, "isolated", &isolated);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &present))
            continue;
        cpus->count = cpu + 1;
        cpus->cpu[cpu] = (struct host_cpu){.online = CPU_ISSET(cpu, &online),
                                           .isolated = CPU_ISSET(cpu, &isolated),
                                           .allowed = CPU_ISSET(cpu, allowed),
                                           .node = node_read(sys, cpu),
                                           .core = core_read(sys, cpu)};
    }
    offer(cpus, affinity);
}

/* ---- a thread */

/* From the 14th field of stat, counted after the name in parentheses, which may hold anything. */
static bool stat_read(long id, struct thread_use *use)
{
    char path[64], text[1024];
    unsigned long user, system;
    snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", id);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    const char *fields = strrchr(text, ')');
    if (!fields ||
        sscanf(fields + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user, &system) != 2)
        return false;
    if (sscanf(fields + 1,
               " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %d",
               &use->cpu) != 1)
        use->cpu = -1;
    use->run = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

static void schedstat_read(long id, struct thread_use *use)
{
    char path[64];
    unsigned long long run, waited;
    snprintf(path, sizeof(path), "/proc/self/task/%ld/schedstat", id);
    FILE *file = fopen(path, "re");
    use->waited = -1;
    if (!file)
        return;
    if (fscanf(file, "%llu %llu", &run, &waited) == 2) {
        use->run = (double)run / 1e9;
        use->waited = (double)waited / 1e9;
    }
    fclose(file);
}

bool thread_use_read(long id, struct thread_use *use)
{
    CPU_ZERO(&use->allowed);
    if (!stat_read(id, use) || sched_getaffinity((pid_t)id, sizeof(use->allowed), &use->allowed) < 0)
        return false;
    schedstat_read(id, use);
    return true;
}

bool thread_pin(long id, const cpu_set_t *to)
{
    cpu_set_t found;
    if (sched_setaffinity((pid_t)id, sizeof(*to), to) < 0 ||
        sched_getaffinity((pid_t)id, sizeof(found), &found) < 0)
        return false;
    errno = EINVAL;
    return CPU_EQUAL(&found, to);
}
