/*
 * Safe points. All that has to wait does so on one condition; to enter and to leave takes no lock unless somebody waits.
 */
#include "cpu/soft/gate.h"

#include "cpu/soft/soft.h"

void gate_create(struct gate *gate)
{
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
}

void gate_destroy(struct gate *gate)
{
    pthread_mutex_destroy(&gate->lock);
    pthread_cond_destroy(&gate->changed);
}

static bool open_for(const struct gate *gate, const struct cpu *cpu)
{
    return !atomic_load(&gate->closed) || gate->keeper == cpu;
}

/* Gate's lock held. */
static void step_out(struct gate *gate, struct cpu *cpu)
{
    atomic_store(&cpu->place.inside, false);
    if (atomic_load(&gate->wanted))
        pthread_cond_broadcast(&gate->changed);
}

static void step_in(struct gate *gate, struct cpu *cpu)
{
    while (!open_for(gate, cpu))
        pthread_cond_wait(&gate->changed, &gate->lock);
    atomic_store(&cpu->place.inside, true);
}

static void enter_slowly(struct gate *gate, struct cpu *cpu)
{
    pthread_mutex_lock(&gate->lock);
    step_out(gate, cpu);
    step_in(gate, cpu);
    pthread_mutex_unlock(&gate->lock);
}

void gate_enter(struct cpu *cpu)
{
    struct soft *soft = cpu->soft;

    if (!soft->parallel)
        return;
    atomic_store(&cpu->place.inside, true);
    if (atomic_load(&soft->gate.closed))
        enter_slowly(&soft->gate, cpu);
}

void gate_leave(struct cpu *cpu)
{
    struct gate *gate = &cpu->soft->gate;

    if (!cpu->soft->parallel)
        return;
    atomic_store(&cpu->place.inside, false);
    if (!atomic_load(&gate->wanted))
        return;
    pthread_mutex_lock(&gate->lock);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void gate_pass(struct cpu *cpu)
{
    struct gate *gate = &cpu->soft->gate;

    if (likely(!atomic_load_explicit(&gate->wanted, memory_order_relaxed)))
        return;
    pthread_mutex_lock(&gate->lock);
    step_out(gate, cpu);
    step_in(gate, cpu);
    pthread_mutex_unlock(&gate->lock);
}

static bool enter_if_open(struct cpu *cpu)
{
    struct gate *gate = &cpu->soft->gate;

    atomic_store(&cpu->place.inside, true);
    if (!atomic_load(&gate->closed))
        return true;
    pthread_mutex_lock(&gate->lock);
    if (!open_for(gate, cpu))
        step_out(gate, cpu);
    pthread_mutex_unlock(&gate->lock);
    return atomic_load(&cpu->place.inside);
}

void gate_lock(struct cpu *cpu, pthread_mutex_t *mutex)
{
    if (!cpu->soft->parallel) {
        pthread_mutex_lock(mutex);
        return;
    }
    if (pthread_mutex_trylock(mutex) == 0)
        return;
    gate_leave(cpu);
    pthread_mutex_lock(mutex);
    while (!enter_if_open(cpu)) {
        pthread_mutex_unlock(mutex);
        gate_enter(cpu);
        gate_leave(cpu);
        pthread_mutex_lock(mutex);
    }
}

static void wait_empty(struct soft *soft, const struct cpu *but)
{
    for (unsigned i = 0; i < soft->machine.cpus; i++)
        atomic_store(&soft->cpus[i]->attention, 1);
    for (unsigned i = 0; i < soft->machine.cpus; i++)
        while (soft->cpus[i] != but && atomic_load(&soft->cpus[i]->place.inside))
            pthread_cond_wait(&soft->gate.changed, &soft->gate.lock);
}

void gate_close(struct soft *soft, struct cpu *cpu)
{
    struct gate *gate = &soft->gate;

    if (!soft->parallel)
        return;
    pthread_mutex_lock(&gate->lock);
    if (cpu)
        step_out(gate, cpu);
    while (atomic_load(&gate->closed))
        pthread_cond_wait(&gate->changed, &gate->lock);
    atomic_store(&gate->closed, true);
    gate->keeper = cpu;
    atomic_fetch_add(&gate->wanted, 1);
    wait_empty(soft, cpu);
    if (cpu)
        atomic_store(&cpu->place.inside, true);
    pthread_mutex_unlock(&gate->lock);
}

void gate_open(struct soft *soft)
{
    struct gate *gate = &soft->gate;

    if (!soft->parallel)
        return;
    pthread_mutex_lock(&gate->lock);
    atomic_store(&gate->closed, false);
    gate->keeper = NULL;
    atomic_fetch_sub(&gate->wanted, 1);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}
