/*
 * Left out: the bitmap of older QEMUs at the same ports, which a machine of QEMU's starts with; eject by firmware (bit 4).
 * What a guest reports of its doings (_OST) is taken and not looked at.
 * Source: QEMU, docs/specs/acpi_cpu_hotplug.
 */
#include "devices/cpu-hotplug.h"

#include <stdlib.h>

#include "core/log.h"

/* Offsets. */
enum {
    SELECTOR = 0x0, /* write; reads as command data 2 */
    STATUS = 0x4,   /* read; written as control */
    COMMAND = 0x5,  /* write */
    DATA = 0x8,

    STATUS_ENABLED = 1 << 0,
    STATUS_INSERT = 1 << 1,
    STATUS_REMOVE = 1 << 2,
    CONTROL_INSERT = 1 << 1,
    CONTROL_REMOVE = 1 << 2,
    CONTROL_EJECT = 1 << 3,

    COMMAND_NEXT = 0, /* selects a CPU with an event, if there is one */
    COMMAND_ID = 3,   /* the data are the APIC identifier */
};

struct cpu_hotplug {
    struct cpu_hotplug_wiring wiring;
    uint32_t selector;
    uint8_t command;
    bool insert[CPUS_MOST], remove[CPUS_MOST];
};

static bool is_selected(const struct cpu_hotplug *hotplug)
{
    return hotplug->selector < hotplug->wiring.cpus->most;
}

static uint8_t status(const struct cpu_hotplug *hotplug)
{
    uint32_t cpu = hotplug->selector;
    return (hotplug->wiring.cpus->present[cpu] ? STATUS_ENABLED : 0) |
           (hotplug->insert[cpu] ? STATUS_INSERT : 0) | (hotplug->remove[cpu] ? STATUS_REMOVE : 0);
}

static uint32_t data(const struct cpu_hotplug *hotplug)
{
    switch (hotplug->command) {
    case COMMAND_NEXT: return hotplug->selector;
    case COMMAND_ID: return topology_apic_id(&hotplug->wiring.cpus->topology, hotplug->selector);
    default: return 0;
    }
}

static uint64_t hotplug_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct cpu_hotplug *hotplug = opaque;
    uint8_t bytes[CPU_HOTPLUG_SIZE] = {0};
    uint64_t value = 0;

    if (!is_selected(hotplug))
        return 0;
    bytes[STATUS] = status(hotplug);
    for (unsigned i = 0; i < 4; i++)
        bytes[DATA + i] = (uint8_t)(data(hotplug) >> 8 * i);
    for (unsigned i = 0; i < size && offset + i < CPU_HOTPLUG_SIZE; i++)
        value |= (uint64_t)bytes[offset + i] << 8 * i;
    return value;
}

/* From the selected one on, around. */
static void select_next(struct cpu_hotplug *hotplug)
{
    unsigned most = hotplug->wiring.cpus->most;
    for (unsigned i = 0; i < most; i++) {
        uint32_t cpu = (hotplug->selector + i) % most;
        if (hotplug->insert[cpu] || hotplug->remove[cpu]) {
            hotplug->selector = cpu;
            return;
        }
    }
}

static void control(struct cpu_hotplug *hotplug, uint64_t value)
{
    uint32_t cpu = hotplug->selector;
    if (value & CONTROL_INSERT)
        hotplug->insert[cpu] = false;
    if (value & CONTROL_REMOVE)
        hotplug->remove[cpu] = false;
    if (value & CONTROL_EJECT && hotplug->wiring.cpus->present[cpu] && cpu != 0)
        hotplug->wiring.eject(hotplug->wiring.opaque, cpu);
}

static void hotplug_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct cpu_hotplug *hotplug = opaque;
    if (offset == SELECTOR && size == 4)
        hotplug->selector = (uint32_t)value;
    else if (!is_selected(hotplug))
        return;
    else if (offset == STATUS && size == 1)
        control(hotplug, value);
    else if (offset == COMMAND && size == 1) {
        hotplug->command = (uint8_t)value;
        if (hotplug->command == COMMAND_NEXT)
            select_next(hotplug);
    }
}

void cpu_hotplug_came(struct cpu_hotplug *hotplug, unsigned cpu)
{
    hotplug->insert[cpu] = true;
    callback_call(&hotplug->wiring.event);
}

void cpu_hotplug_go(struct cpu_hotplug *hotplug, unsigned cpu)
{
    hotplug->remove[cpu] = true;
    callback_call(&hotplug->wiring.event);
}

void cpu_hotplug_gone(struct cpu_hotplug *hotplug, unsigned cpu)
{
    hotplug->insert[cpu] = hotplug->remove[cpu] = false;
}

/* The selector stays as it is. What the guest has not yet heard of it sees when it starts. */
void cpu_hotplug_reset(struct cpu_hotplug *hotplug)
{
    hotplug->command = COMMAND_NEXT;
    for (unsigned cpu = 0; cpu < CPUS_MOST; cpu++)
        hotplug->insert[cpu] = hotplug->remove[cpu] = false;
}

struct cpu_hotplug *cpu_hotplug_create(struct bus *ports, const struct cpu_hotplug_wiring *wiring)
{
    struct cpu_hotplug *hotplug = allocate(sizeof(*hotplug));
    hotplug->wiring = *wiring;
    bus_add(ports, &(struct bus_range){CPU_HOTPLUG_PORT, CPU_HOTPLUG_SIZE, "cpu hotplug", hotplug,
                                       hotplug_read, hotplug_write, .widest = 4});
    return hotplug;
}

void cpu_hotplug_destroy(struct cpu_hotplug *hotplug)
{
    free(hotplug);
}
