/*
 * A CPU at the machine lock and at the buses: its thread waits for the lock at a safe point (gate.h), and looks whether
 * a device has moved memory about (shadow RAM, a BAR).
 */
#ifndef SOFT_DEVICE_H
#define SOFT_DEVICE_H

#include "core/bus.h"
#include "cpu/soft/cpu.h"

void cpu_lock(struct cpu *cpu);
void cpu_unlock(struct cpu *cpu);

uint64_t device_read(struct cpu *cpu, struct bus *bus, uint64_t address, unsigned size);
void device_write(struct cpu *cpu, struct bus *bus, uint64_t address, unsigned size, uint64_t value);

#endif
