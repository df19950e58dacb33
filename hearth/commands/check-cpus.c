/*
 * hearth check cpus: for each host CPU whether it is isolated, its NUMA node and SMT siblings, and how many threads ran there
 * last. Source: the kernel's Documentation/ABI (devices-system-cpu), proc(5): field 39 of stat.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/check.h"
#include "commands/files.h"
#include "core/log.h"

enum { CPUS_MOST = 1024, PROCESSOR_FIELD = 39 };

struct cpus {
    bool online[CPUS_MOST], isolated[CPUS_MOST], tickless[CPUS_MOST];
    int node[CPUS_MOST];
    unsigned threads[CPUS_MOST];
    unsigned count;
};

/* "0-3,8" */
static void list_read(const char *text, bool *set)
{
    while (isdigit((unsigned char)*text)) {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < CPUS_MOST; i++)
            set[i] = true;
        text = *end == ',' ? end + 1 : end;
    }
}

static void list_file(const char *path, bool *set)
{
    char line[1024];
    if (files_line(line, sizeof(line), "%s", path))
        list_read(line, set);
}

static void nodes_read(struct cpus *cpus)
{
    for (int node = 0; node < CPUS_MOST; node++) {
        char line[1024];
        bool set[CPUS_MOST] = {0};
        if (!files_line(line, sizeof(line), "/sys/devices/system/node/node%d/cpulist", node))
            break;
        list_read(line, set);
        for (unsigned i = 0; i < CPUS_MOST; i++)
            if (set[i])
                cpus->node[i] = node;
    }
}

/* The command's name stands in parentheses and may hold any character: fields count from its end. */
static void thread_count(struct cpus *cpus, const char *stat)
{
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < PROCESSOR_FIELD; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    unsigned long cpu = at ? strtoul(at, NULL, 10) : CPUS_MOST;
    if (cpu < CPUS_MOST)
        cpus->threads[cpu]++;
}

static void process_count(struct cpus *cpus, const char *process)
{
    char path[FILES_PATH], stat[1024];
    DIR *tasks = opendir(files_path(path, "/proc/%s/task", process));
    for (struct dirent *task; tasks && (task = readdir(tasks));)
        if (isdigit((unsigned char)task->d_name[0]) &&
            files_line(stat, sizeof(stat), "/proc/%s/task/%s/stat", process, task->d_name))
            thread_count(cpus, stat);
    if (tasks)
        closedir(tasks);
}

static void threads_read(struct cpus *cpus)
{
    char path[FILES_PATH];
    DIR *processes = opendir(files_path(path, "/proc"));
    for (struct dirent *process; processes && (process = readdir(processes));)
        if (isdigit((unsigned char)process->d_name[0]))
            process_count(cpus, process->d_name);
    if (processes)
        closedir(processes);
}

static void row_print(const struct cpus *cpus, unsigned cpu)
{
    char siblings[64] = "?";
    files_line(siblings, sizeof(siblings), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
               cpu);
    printf("%4u  %-8s  %-9s  %4d  %-9s  %7u\n", cpu, cpus->isolated[cpu] ? "isolated" : "-",
           cpus->tickless[cpu] ? "nohz_full" : "-", cpus->node[cpu], siblings, cpus->threads[cpu]);
}

int check_cpus(void)
{
    struct cpus *cpus = allocate(sizeof(*cpus));
    unsigned isolated = 0;

    list_file("/sys/devices/system/cpu/online", cpus->online);
    list_file("/sys/devices/system/cpu/isolated", cpus->isolated);
    list_file("/sys/devices/system/cpu/nohz_full", cpus->tickless);
    nodes_read(cpus);
    threads_read(cpus);
    printf(" CPU  isolated  tickless   node  siblings   threads\n");
    for (unsigned i = 0; i < CPUS_MOST; i++) {
        if (!cpus->online[i])
            continue;
        row_print(cpus, i);
        cpus->count++;
        isolated += cpus->isolated[i];
    }
    if (cpus->count && !isolated)
        printf("No CPU is isolated; `hearth host isolate CPUS` tells how one is.\n");
    bool found = cpus->count > 0;
    if (!found)
        warn("check cpus: /sys/devices/system/cpu/online cannot be read");
    free(cpus);
    return found ? 0 : 1;
}
