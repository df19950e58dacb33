/*
 * The machine lock: one mutex guards all device state, the port, MMIO and memory maps and the clock's timers.
 *
 * Who holds it: bus_read() and bus_write() take it for the vCPU threads; the event loop holds it while it runs
 * callbacks (timers, terminal, monitor). So a device's functions always run with it held and never take it.
 * An engine runs guest code without it and takes it (machine_lock()) only for what is named in cpu/engine.h.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include <pthread.h>

extern pthread_mutex_t machine_mutex;

static inline void machine_lock(void)
{
    pthread_mutex_lock(&machine_mutex);
}

static inline void machine_unlock(void)
{
    pthread_mutex_unlock(&machine_mutex);
}

#endif
