/*
 * The controller through which a guest hears of CPUs that come and are asked to go: QEMU's ACPI interface at AF00h.
 */
#ifndef DEVICES_CPU_HOTPLUG_H
#define DEVICES_CPU_HOTPLUG_H

#include "core/bus.h"
#include "core/callback.h"
#include "core/topology.h"

enum { CPU_HOTPLUG_PORT = 0xaf00, CPU_HOTPLUG_SIZE = 12 };

struct cpu_hotplug;

struct cpu_hotplug_wiring {
    const struct cpus *cpus; /* as the machine keeps it */
    struct callback event;   /* something for the guest to look at: general-purpose event 2 */
    void (*eject)(void *opaque, unsigned cpu); /* the guest has let go of it; may be asked more than once */
    void *opaque;
};

struct cpu_hotplug *cpu_hotplug_create(struct bus *ports, const struct cpu_hotplug_wiring *wiring);
void cpu_hotplug_destroy(struct cpu_hotplug *hotplug);
void cpu_hotplug_reset(struct cpu_hotplug *hotplug);

/* This CPU has come; or is asked to go, which its guest may do later or never. */
void cpu_hotplug_came(struct cpu_hotplug *hotplug, unsigned cpu);
void cpu_hotplug_go(struct cpu_hotplug *hotplug, unsigned cpu);
/* It is gone. */
void cpu_hotplug_gone(struct cpu_hotplug *hotplug, unsigned cpu);

#endif
