/* cpu.h: what a CPU says of itself through CPUID */
#ifndef SPARK_CPU_H
#define SPARK_CPU_H

#include "type.h"

struct cpu_identity {
    int has_cpuid;
    u32 max_leaf, max_extended;
    char vendor[13];
    char brand[49]; /* empty if there is none */
    u32 family, model, stepping;
    u32 features_edx, features_ecx; /* leaf 1 */
    u32 extended_edx, extended_ecx; /* leaf 8000_0001h */
    u32 apic_id;
    u32 package, core, thread;
    u32 thread_bits,
        core_bits;             /* how many low bits of the APIC id number the thread, and above it the core */
    const char *topology_from; /* which leaf told */
};

#define FEATURE_TSC        (1u << 4) /* leaf 1, EDX */
#define FEATURE_MSR        (1u << 5)
#define FEATURE_APIC       (1u << 9)
#define FEATURE_HTT        (1u << 28)
#define FEATURE_HYPERVISOR (1u << 31) /* leaf 1, ECX */

void cpu_identify(struct cpu_identity *cpu); /* the CPU that this runs on */
void cpu_print_features(const struct cpu_identity *cpu);

#endif
