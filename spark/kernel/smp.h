/* smp.h: all CPUs of the machine, and work for them */
#ifndef SPARK_SMP_H
#define SPARK_SMP_H

#include "cpu.h"
#include "type.h"

#define CPUS_MAX   255
#define TRAMPOLINE 0x8000u /* trampoline.asm has the same number */

struct cpu {
    u32 apic_id;
    volatile u32 running;
    struct cpu_identity identity;
    /* of the work at hand */
    volatile u32 finished_round;
    u32 chunks, primes;
    u64 cycles;
};

/* The CPUs that the firmware lists: ids[0..n), or 0 if there is no such table. `lapic` is changed if it says where. */
u32 madt_list(u32 *ids, u32 room, u32 *lapic);
u32 mp_table_list(u32 *ids, u32 room, u32 *lapic);

void smp_init(void);
u32 cpu_number(void); /* of the CPU that this runs on; 0 is the one that booted */
u32 smp_count(void);
const struct cpu *smp_cpu(u32 number);
const char *smp_source(void); /* where the list of CPUs comes from */
void smp_count_primes(void);

#endif
