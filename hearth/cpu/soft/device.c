/* What a CPU does with the machine lock held. */
#include "cpu/soft/device.h"

#include "core/lock.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/turns.h"

void cpu_lock(struct cpu *cpu)
{
    gate_lock(cpu, &machine_mutex);
    cpu->soft->lock_holder = cpu;
    if (cpu->soft->turns)
        turn_clock(cpu);
}

void cpu_unlock(struct cpu *cpu)
{
    bool moved = cpu->memory_generation != memory_generation(cpu->machine->memory);

    if (cpu->soft->turns)
        turn_shorten(cpu);
    cpu->soft->lock_holder = NULL;
    machine_unlock();
    if (moved)
        tlb_reset(cpu);
}

uint64_t device_read(struct cpu *cpu, struct bus *bus, uint64_t address, unsigned size)
{
    uint64_t value;

    cpu_lock(cpu);
    value = bus_read_locked(bus, address, size);
    cpu_unlock(cpu);
    return value;
}

void device_write(struct cpu *cpu, struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
    cpu_lock(cpu);
    bus_write_locked(bus, address, size, value);
    cpu_unlock(cpu);
}
