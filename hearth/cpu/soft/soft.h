/*
 * The software engine: what all its CPUs share. Private to cpu/soft.
 */
#ifndef SOFT_SOFT_H
#define SOFT_SOFT_H

#include <pthread.h>

#include "cpu/soft/code.h"
#include "cpu/soft/marks.h"

struct soft {
    struct engine_machine machine;
    struct engine_abilities abilities;
    struct memory_listener listener;
    struct marks marks;
    struct cpu **cpus; /* machine.cpus of them */
    /* HLT waits here for an interrupt, an NMI or a kick. */
    pthread_mutex_t wait_lock;
    pthread_cond_t wait;
};

#endif
