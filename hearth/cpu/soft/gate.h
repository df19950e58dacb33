/*
 * Safe points: how one thread has the others out of guest code for a moment.
 *
 * A CPU's thread is inside from the moment it enters run() until it comes back, but for its sleep in HLT and its wait for
 * a contended lock. Inside, between two looks at `attention`, it may hold on to what it has read out of its TLB and the
 * memory map: a tag that it has compared, a host address. Who changes those has all CPUs outside: gate_close(). The run loop calls gate_pass() whenever it has seen
 * `attention`. With one thread for all CPUs nothing here does anything.
 *
 * Order of locks: the machine lock or the marks' lock, then the gate's. A thread that waits for one of the former does
 * so outside (gate_lock), and never holds it while it waits to come in.
 */
#ifndef SOFT_GATE_H
#define SOFT_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct soft;

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic unsigned wanted; /* how many wait for others to leave */
    _Atomic bool closed;
    const struct cpu *keeper; /* who has closed it; NULL: no CPU */
};

struct gate_place {
    _Atomic bool inside;
};

void gate_create(struct gate *gate);
void gate_destroy(struct gate *gate);

void gate_enter(struct cpu *cpu);
void gate_leave(struct cpu *cpu);
/* Somebody waits: gate.h's part of a look at `attention`. */
void gate_pass(struct cpu *cpu);

/* Takes a lock that is held for longer, or by a thread that may wait for this one. */
void gate_lock(struct cpu *cpu, pthread_mutex_t *mutex);

/* Until all but `cpu` (NULL: all) are outside; nobody comes in before gate_open(). */
void gate_close(struct soft *soft, struct cpu *cpu);
void gate_open(struct soft *soft);

#endif
