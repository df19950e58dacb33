/*
 * Which vCPU goes on which host CPU: -vcpu-pin and the monitor's `pin`.
 */
#ifndef HOST_PIN_H
#define HOST_PIN_H

#include "host/cpus.h"

enum { PIN_FREE = -1 };

/*
 * Makes a plan of "0=2,1=3" or "auto" for `vcpus` vCPUs: plan[vcpu] is a host CPU, PIN_FREE where nothing was said. False
 * with one line in `text` if it cannot work; true with one if there is something to be said of it, else it is empty.
 *
 * auto: isolated CPUs first, on one NUMA node if they fit there, SMT siblings side by side, one vCPU each. vCPUs for which
 * there is none left are not pinned.
 */
bool pin_plan(const struct host_cpus *host, const char *wanted, unsigned vcpus, int *plan, char *text,
              size_t text_size);

#endif
