/*
 * What CPUID answers, for both engines: made from the model that -cpu names, the topology, and what the engine can do.
 * The engines add what changes while the guest runs (OSXSAVE, the APIC's enable bit, the size of what XCR0 holds).
 */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include "core/topology.h"
#include "cpu/models.h"

enum { XSAVE_COMPONENTS_MOST = 20, XSAVE_LEGACY_SIZE = 576, CPUID_OWN_MOST = 4 };

struct cpuid_leaf {
    uint32_t leaf, eax, ebx, ecx, edx;
};

/* What an engine brings. */
struct cpu_abilities {
    const char *engine; /* what runs the code, for messages */
    struct cpu_identity identity;
    struct features features; /* those without a name may be set; topology and hypervisor are seen to here */
    struct features given;    /* which every model but base gets */
    unsigned physical_bits, linear_bits;
    struct {
        uint32_t size, offset, flags;
    } xsave[XSAVE_COMPONENTS_MOST];        /* by XCR0's bits from 2; size 0: not there */
    struct cpuid_leaf own[CPUID_OWN_MOST]; /* the hypervisor's leaves, from 4000_0000h; leaf 0: not used */
};

struct cpuid {
    struct cpu_model model; /* its features are those that the guest has */
    struct topology topology;
    struct cpu_abilities able;
};

/*
 * `settings` is -cpu, NULL for max; a topology of zeros is one socket of `cpus` cores. False with one line in `error` if it makes no sense, or if features are
 * missing and `enforce` was said; without that a missing feature that was asked for is warned of.
 */
bool cpuid_set_up(struct cpuid *cpuid, struct settings *settings, const struct topology *topology,
                  unsigned cpus, const struct cpu_abilities *able, char *error, size_t error_size);

/* Of the CPU with this number. The answer's leaf is not set. */
struct cpuid_leaf cpuid_answer(const struct cpuid *cpuid, unsigned cpu, uint32_t leaf, uint32_t sub);
/* Does a leaf have sub-leaves? */
bool cpuid_has_subleaves(uint32_t leaf);

/* Family, model and stepping, as leaf 1 has them in EAX and EDX after RESET. */
uint32_t cpuid_signature(const struct cpu_identity *identity);
/* XCR0's bits that the guest may set, and the bytes of an XSAVE image with some of them. */
uint64_t cpuid_xcr0(const struct cpuid *cpuid);
uint32_t cpuid_xsave_size(const struct cpuid *cpuid, uint64_t xcr0);

#endif
