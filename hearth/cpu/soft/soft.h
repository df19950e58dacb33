/*
 * The software engine: what all its CPUs share. Private to cpu/soft.
 */
#ifndef SOFT_SOFT_H
#define SOFT_SOFT_H

#include <pthread.h>

#include "cpu/cpuid.h"
#include "cpu/soft/code.h"
#include "cpu/soft/marks.h"

struct soft {
    struct engine_machine machine;
    struct engine_abilities abilities;
    struct cpuid cpuid;
    struct memory_listener listener;
    bool parallel;   /* several CPUs, each on its own thread */
    bool turns;      /* all on one thread, in turn */
    uint64_t random; /* where they take turns: turn_random() */
    struct marks marks;
    struct gate gate;
    struct cpu **cpus;              /* machine.cpus of them */
    _Atomic uint64_t address_lines; /* what the A20 gate lets pass of a physical address */
    _Atomic bool ignne;             /* IGNNE#: errors of the x87 are ignored while CR0.NE is clear */
    struct cpu *lock_holder;        /* the CPU whose thread has the machine lock, which guards this too */
};

static inline struct cpu *cpu_of(struct vcpu *vcpu)
{
    return (struct cpu *)vcpu;
}

/* debugger.c: engine_ops.debug and debug_hit. */
bool soft_debug(struct vcpu *vcpu, const struct engine_debug *debug);
struct debug_hit soft_debug_hit(struct vcpu *vcpu);

#endif
