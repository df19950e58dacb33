/* The machine's inside, for machine.c and machine-cpus.c. */
#ifndef MACHINE_MACHINE_INTERNAL_H
#define MACHINE_MACHINE_INTERNAL_H

#include <pthread.h>

#include "core/settings.h"
#include "machine/machine.h"

enum request {
    REQUEST_RESET = 1 << 0,
    REQUEST_POWER_OFF = 1 << 1,
    REQUEST_TRIPLE_FAULT = 1 << 2,
    REQUEST_ENGINE_FAILED = 1 << 3,
    REQUEST_BY_GUEST = 1 << 4, /* the reset */
    REQUEST_DEBUG = 1 << 5,
    REQUEST_EJECT = 1 << 6, /* a CPU, of those with `ejected` */
    REQUEST_PAUSE = 1 << 7,
    REQUEST_NMI = 1 << 8, /* for every CPU */
};

struct cpu_thread {
    struct machine *machine;
    struct vcpu *vcpu;
    pthread_t thread;
    long id; /* the host's; 0: there is no such CPU now, and no thread */
    bool standing;
    bool leaving;              /* the thread is to end */
    bool ejected;              /* its guest has let go of it */
    struct settings *settings; /* of device_add; NULL: there from the start */
    bool held;                 /* by a debugger */
    bool debugged;             /* its run() ended with RUN_DEBUG, which has not been asked after yet */
};

struct machine {
    const struct machine_config *config;
    const struct engine_ops *ops;
    struct engine *engine;
    struct loop *loop;
    struct clock *clock;
    struct pc *pc;
    struct typist *typist;
    struct vnc_server *vnc;

    enum machine_status status;
    unsigned frozen;
    uint64_t stopped_at; /* by the host's clock, ns since 1970 */
    bool running;        /* vCPU threads may run guest code */
    bool quitting;
    int exit_status;
    unsigned requests;
    struct vcpu *fallen; /* whose run() ended with a shutdown or a failure */
    int request_event;
    char *last_words;
    size_t last_words_length;

    unsigned cpus; /* places for them, with those that may be plugged in */
    struct cpus cpu_set;
    struct cpu_thread *threads;
    pthread_cond_t go, stands;
    struct machine_listener *listeners;
};

/* machine.c: asks the vCPUs to leave guest code; waits until they have; lets them run if nothing speaks against it. */
void machine_hold(struct machine *machine);
void machine_wait_standing(struct machine *machine);
void machine_release(struct machine *machine);
/* Leaves a request (enum request) for the event loop. */
void machine_request(struct machine *machine, unsigned what);
/* Runs guest code on the thread of this vCPU until something comes up. */
enum run_result machine_run_once(struct machine *machine, struct cpu_thread *thread);
void machine_tell(struct machine *machine, enum machine_event event, const char *why);
void machine_tell_deleted(struct machine *machine, const char *device, const char *path);

/* machine-cpus.c: the threads of all CPUs that are there; without the lock. */
void machine_cpus_start(struct machine *machine);
void machine_cpus_end(struct machine *machine);
/* RESET for all, those that are not there too. */
void machine_cpus_reset(struct machine *machine);
/* A non-maskable interrupt for every CPU that is there; they stand. */
void machine_cpus_nmi(struct machine *machine);
/* A guest has let go of this CPU; then, when all stand. */
void machine_cpu_eject(void *machine, unsigned cpu);
void machine_cpus_remove(struct machine *machine);

#endif
