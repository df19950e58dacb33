/*
 * The machine's CPUs: their threads, where those run, a debugger's hold on them, and CPUs that come and go while the guest
 * runs. The engine has all that there may be from the start; one that is not there has no thread and no part in anything.
 */
#include "machine/machine-internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/lock.h"
#include "core/log.h"
#include "cpu/models.h"
#include "host/pin.h"
#include "machine/pc.h"

#define DRIVER_END "-x86_64-cpu"

/* ---- threads */

static void stand(struct machine *machine, struct cpu_thread *thread)
{
    thread->standing = true;
    pthread_cond_broadcast(&machine->stands);
}

static void *thread_run(void *opaque)
{
    struct cpu_thread *thread = opaque;
    struct machine *machine = thread->machine;

    machine_lock();
    thread->id = syscall(SYS_gettid);
    pthread_cond_broadcast(&machine->stands); /* somebody may wait for the id */
    while (!machine->quitting && !thread->leaving) {
        if (machine->running && !thread->held) {
            thread->standing = false;
            machine_run_once(machine, thread);
            continue;
        }
        stand(machine, thread);
        pthread_cond_wait(&machine->go, &machine_mutex);
    }
    stand(machine, thread);
    machine_unlock();
    return NULL;
}

/* No CPU has anything to do: on to the next timer. Without one it is up to the world outside, which is looked for now and
 * then. */
static void turns_idle(struct machine *machine)
{
    enum { LOOK_EVERY = 10 * 1000 * 1000 };
    struct timespec until;

    if (clock_next(machine->clock) != CLOCK_NEVER) {
        clock_step(machine->clock, clock_next(machine->clock));
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_EVERY;
    until.tv_sec += until.tv_nsec / (long)NANOSECONDS_PER_SECOND;
    until.tv_nsec %= (long)NANOSECONDS_PER_SECOND;
    pthread_cond_timedwait(&machine->go, &machine_mutex, &until);
}

static void turns_stand(struct machine *machine)
{
    for (unsigned i = 0; i < machine->cpus; i++)
        stand(machine, &machine->threads[i]);
}

/* deterministic=on: one thread for all CPUs, which run in turn. */
static void *thread_run_turns(void *opaque)
{
    struct machine *machine = opaque;
    unsigned turn = 0, idle = 0;

    machine_lock();
    for (unsigned i = 0; i < machine->cpus; i++)
        machine->threads[i].id = machine->cpu_set.present[i] ? syscall(SYS_gettid) : 0;
    pthread_cond_broadcast(&machine->stands);
    while (!machine->quitting) {
        struct cpu_thread *thread = &machine->threads[turn];
        if (!machine->running) {
            turns_stand(machine);
            pthread_cond_wait(&machine->go, &machine_mutex);
            continue;
        }
        bool runs = thread->id && !thread->held;
        idle = runs && machine_run_once(machine, thread) != RUN_IDLE ? 0 : idle + 1;
        clock_step(machine->clock, clock_now(machine->clock));
        turn = (turn + 1) % machine->cpus;
        if (idle >= machine->cpus) {
            turns_idle(machine);
            idle = 0;
        }
    }
    turns_stand(machine);
    machine_unlock();
    return NULL;
}

/* 0 or an errno. Lock held; comes back when the thread is known by its id. */
static int thread_start(struct machine *machine, unsigned cpu)
{
    struct cpu_thread *thread = &machine->threads[cpu];
    char name[16];
    thread->standing = thread->leaving = thread->ejected = thread->held = thread->debugged = false;
    int error = machine->config->deterministic
                    ? pthread_create(&thread->thread, NULL, thread_run_turns, machine)
                    : pthread_create(&thread->thread, NULL, thread_run, thread);
    if (error)
        return error;
    snprintf(name, sizeof(name), "CPU %u/%s", cpu % 1000, machine->ops->name);
    for (char *letter = name; *letter; letter++)
        *letter = (char)toupper((unsigned char)*letter);
    pthread_setname_np(thread->thread, name);
    while (!thread->id)
        pthread_cond_wait(&machine->stands, &machine_mutex);
    return 0;
}

static void threads_pin(struct machine *machine)
{
    char text[400];
    if (!machine->config->vcpu_pin)
        return;
    if (!machine_pin(machine, machine->config->vcpu_pin, text, sizeof(text)))
        die("-vcpu-pin %s: %s", machine->config->vcpu_pin, text);
    if (text[0])
        warn("-vcpu-pin %s: %s", machine->config->vcpu_pin, text);
}

void machine_cpus_start(struct machine *machine)
{
    machine->threads = allocate(machine->cpus * sizeof(*machine->threads));
    machine_lock();
    for (unsigned i = 0; i < machine->cpus; i++) {
        machine->threads[i].machine = machine;
        machine->threads[i].standing = true;
        machine->threads[i].vcpu = machine->ops->vcpu(machine->engine, i);
    }
    for (unsigned i = 0; i < machine->cpus; i++) {
        bool starts = machine->cpu_set.present[i] && (i == 0 || !machine->config->deterministic);
        int error = starts ? thread_start(machine, i) : 0;
        if (error)
            die("cannot start a thread for CPU %u: %s", i, strerror(error));
    }
    machine_wait_standing(machine);
    threads_pin(machine);
    machine_unlock();
}

void machine_cpus_end(struct machine *machine)
{
    for (unsigned i = 0; i < machine->cpus; i++) {
        if (machine->threads[i].id && (i == 0 || !machine->config->deterministic))
            pthread_join(machine->threads[i].thread, NULL);
        settings_free(machine->threads[i].settings);
    }
}

unsigned machine_cpus(const struct machine *machine)
{
    return machine->cpus;
}

const struct cpus *machine_cpu_set(const struct machine *machine)
{
    return &machine->cpu_set;
}

bool machine_has_cpu(const struct machine *machine, unsigned index)
{
    return index < machine->cpus && machine->cpu_set.present[index];
}

struct vcpu *machine_vcpu(const struct machine *machine, unsigned index)
{
    return machine->threads[index].vcpu;
}

long machine_vcpu_thread(const struct machine *machine, unsigned index)
{
    return machine->threads[index].id;
}

/* One more than the last that is there. */
static unsigned cpus_end(const struct machine *machine)
{
    unsigned end = machine->cpus;
    while (!machine->cpu_set.present[end - 1])
        end--;
    return end;
}

bool machine_pin(struct machine *machine, const char *wanted, char *text, size_t size)
{
    unsigned end = cpus_end(machine);
    int plan[CPUS_MOST];
    cpu_set_t allowed, affinity;
    struct host_cpus *host = allocate(sizeof(*host));

    host_cpus_here(&allowed, &affinity);
    host_cpus_read(host, "/sys", &allowed, &affinity);
    bool possible = pin_plan(host, wanted, end, plan, text, size);
    free(host);
    for (unsigned i = 0; possible && i < end; i++) {
        cpu_set_t one;
        if (plan[i] == PIN_FREE || !machine->cpu_set.present[i])
            continue;
        CPU_ZERO(&one);
        CPU_SET(plan[i], &one);
        possible = thread_pin(machine->threads[i].id, &one);
        if (!possible)
            snprintf(text, size, "vCPU %u does not go on host CPU %d: %s", i, plan[i], strerror(errno));
    }
    return possible;
}

/* ---- for a debugger */

bool machine_debug(struct machine *machine, unsigned cpu, const struct engine_debug *debug)
{
    machine_freeze(machine);
    bool taken = machine->ops->debug(machine->threads[cpu].vcpu, debug);
    machine_thaw(machine);
    return taken;
}

bool machine_debug_hit(struct machine *machine, unsigned *cpu, struct debug_hit *hit)
{
    for (unsigned i = 0; i < machine->cpus; i++) {
        struct cpu_thread *thread = &machine->threads[i];
        if (!thread->debugged)
            continue;
        thread->debugged = false;
        *cpu = i;
        *hit = machine->ops->debug_hit(thread->vcpu);
        return true;
    }
    return false;
}

void machine_hold_cpu(struct machine *machine, unsigned cpu, bool hold)
{
    machine->threads[cpu].held = hold;
}

/* ---- CPUs that come and go */

void machine_cpus_reset(struct machine *machine)
{
    for (unsigned i = 0; i < machine->cpus; i++) {
        machine->threads[i].ejected = false;
        machine->ops->reset(machine->threads[i].vcpu);
        if (!machine->cpu_set.present[i])
            machine->ops->unplug(machine->threads[i].vcpu);
    }
}

static bool is_cpu_driver(const char *driver)
{
    size_t length = strlen(driver), end = strlen(DRIVER_END);
    return length > end && !strcmp(driver + length - end, DRIVER_END);
}

void machine_cpu_driver(const struct machine *machine, char *name, size_t size)
{
    snprintf(name, size, "%s%s", cpu_model_name(machine->config->cpu), DRIVER_END);
}

/* One of socket-id= and its like, at most count - 1; without it 0 if that is all there is. */
static bool place_read(struct settings *settings, const char *key, unsigned count, bool optional,
                       unsigned *place, char *error, size_t size)
{
    uint64_t number = settings_number(settings, key, 0, UINT32_MAX);
    if (!settings_has(settings, key) && !(optional && count == 1)) {
        snprintf(error, size, "CPU %s is not set", key);
        return false;
    }
    if (number >= count) {
        snprintf(error, size, "Invalid CPU %s: %llu must be in range 0:%u", key, (unsigned long long)number,
                 count - 1);
        return false;
    }
    *place = (unsigned)number;
    return true;
}

static bool cpu_find(const struct machine *machine, struct settings *settings, unsigned *cpu, char *error,
                     size_t size)
{
    const struct topology *topology = &machine->cpu_set.topology;
    struct cpu_place at;
    char driver[64];

    machine_cpu_driver(machine, driver, sizeof(driver));
    if (strcmp(settings_text(settings, "driver", ""), driver)) {
        snprintf(error, size, "Invalid CPU type, expected cpu type: '%s'", driver);
        return false;
    }
    settings_text(settings, "id", NULL);
    settings_number(settings, "node-id", 0, UINT8_MAX);
    if (!place_read(settings, "socket-id", topology->sockets, false, &at.socket, error, size) ||
        !place_read(settings, "die-id", topology->dies, true, &at.die, error, size) ||
        !place_read(settings, "core-id", topology->cores, false, &at.core, error, size) ||
        !place_read(settings, "thread-id", topology->threads, false, &at.thread, error, size))
        return false;
    *cpu =
        ((at.socket * topology->dies + at.die) * topology->cores + at.core) * topology->threads + at.thread;
    return true;
}

static bool id_is_taken(const struct machine *machine, const char *id)
{
    for (unsigned i = 0; i < machine->cpus; i++) {
        struct settings *settings = machine->threads[i].settings;
        if (settings && !strcmp(settings_text(settings, "id", ""), id))
            return true;
    }
    return settings_find(machine->config->devices, id) != NULL;
}

static bool cpu_add(struct machine *machine, struct settings *settings, char *error, size_t size)
{
    const char *id = settings_text(settings, "id", NULL);
    unsigned cpu;

    if (id && id_is_taken(machine, id)) {
        snprintf(error, size, "Duplicate device ID '%s'", id);
        return false;
    }
    if (!cpu_find(machine, settings, &cpu, error, size))
        return false;
    if (settings_error(settings)) {
        snprintf(error, size, "%s", settings_error(settings));
        return false;
    }
    if (machine->cpu_set.present[cpu]) {
        snprintf(error, size, "CPU[%u] with APIC ID %u exists", cpu,
                 topology_apic_id(&machine->cpu_set.topology, cpu));
        return false;
    }
    machine->ops->reset(machine->threads[cpu].vcpu);
    int trouble = thread_start(machine, cpu);
    if (trouble) {
        machine->ops->unplug(machine->threads[cpu].vcpu);
        snprintf(error, size, "cannot start a thread for CPU %u: %s", cpu, strerror(trouble));
        return false;
    }
    machine->cpu_set.present[cpu] = true;
    machine->threads[cpu].settings = settings;
    pc_cpu_came(machine->pc, cpu);
    return true;
}

bool machine_device_add(struct machine *machine, struct settings *settings, char *error, size_t size)
{
    const char *driver = settings_text(settings, "driver", NULL);
    bool added = false;

    if (!driver)
        snprintf(error, size, "Parameter 'driver' is missing");
    else if (!is_cpu_driver(driver))
        snprintf(error, size, "Device '%s' cannot be plugged in while the machine runs; CPUs can", driver);
    else if (!pc_can_plug_cpus(machine->pc) || machine->config->deterministic)
        snprintf(error, size, "no CPU can be plugged in %s",
                 machine->config->deterministic ? "with deterministic=on" : "where there are no local APICs");
    else
        added = cpu_add(machine, settings, error, size);
    if (!added)
        settings_free(settings);
    return added;
}

/* By id, or by the path that query-cpus-fast tells. -1: there is none. */
static int cpu_named(const struct machine *machine, const char *id)
{
    for (unsigned i = 0; i < machine->cpus; i++) {
        struct settings *settings = machine->threads[i].settings;
        char path[64];
        snprintf(path, sizeof(path), MACHINE_CPU_PATH, i);
        if (machine->cpu_set.present[i] &&
            ((settings && !strcmp(settings_text(settings, "id", ""), id)) || !strcmp(path, id)))
            return (int)i;
    }
    return -1;
}

bool machine_device_del(struct machine *machine, const char *id, char *error, size_t size)
{
    int cpu = cpu_named(machine, id);
    if (cpu > 0 && pc_can_plug_cpus(machine->pc) && !machine->config->deterministic) {
        pc_cpu_go(machine->pc, (unsigned)cpu);
        return true;
    }
    if (cpu == 0)
        snprintf(error, size, "Boot CPU is unpluggable");
    else if (cpu > 0)
        snprintf(error, size, "this machine's CPUs stay as they are");
    else if (settings_find(machine->config->devices, id))
        snprintf(error, size, "Device '%s' does not support hotplugging", id);
    else
        snprintf(error, size, "Device '%s' not found", id);
    return false;
}

void machine_cpus_nmi(struct machine *machine)
{
    for (unsigned i = 0; i < machine->cpus; i++)
        if (machine->threads[i].id && machine->ops->nmi)
            machine->ops->nmi(machine->threads[i].vcpu);
}

void machine_cpu_eject(void *opaque, unsigned cpu)
{
    struct machine *machine = opaque;
    machine->threads[cpu].ejected = true;
    machine_request(machine, REQUEST_EJECT);
}

static void cpu_remove(struct machine *machine, unsigned cpu)
{
    struct cpu_thread *thread = &machine->threads[cpu];
    char path[64];

    thread->leaving = true;
    pthread_cond_broadcast(&machine->go);
    machine_unlock();
    pthread_join(thread->thread, NULL);
    machine_lock();
    thread->id = 0;
    thread->ejected = false;
    machine->cpu_set.present[cpu] = false;
    machine->ops->unplug(thread->vcpu);
    pc_cpu_gone(machine->pc, cpu);
    snprintf(path, sizeof(path), MACHINE_CPU_PATH, cpu);
    machine_tell_deleted(machine, thread->settings ? settings_text(thread->settings, "id", NULL) : NULL,
                         path);
    settings_free(thread->settings);
    thread->settings = NULL;
}

void machine_cpus_remove(struct machine *machine)
{
    for (unsigned i = 0; i < machine->cpus; i++)
        if (machine->threads[i].ejected && machine->cpu_set.present[i])
            cpu_remove(machine, i);
}
