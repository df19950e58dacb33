/*
 * What CPUID answers under KVM: what the host's KVM supports, cut down to a plain PC processor.
 *
 * Left out: nested virtualization, the performance monitor, SGX, processor trace and the leaves above 0Dh and
 * 8000_0008h; of KVM's own features all but its clock, since each other one is state to reset and to save. The
 * topology is one package with a core for each vCPU. The signature's leaves go up to 4000_0010h, where a guest finds
 * the time stamp counter's frequency and need not measure it.
 *
 * Source: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; the kernel's Documentation/virt/kvm/x86/cpuid.rst.
 */
#include <asm/kvm_para.h>
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "cpu/kvm/kvm.h"

enum {
    ENTRIES_MOST = 256,
    ENTRIES_OURS = 6,

    LEAF_FEATURES = 1,
    LEAF_CACHES = 4,
    LEAF_EXTENDED_FEATURES = 7,
    LEAF_PERFORMANCE_MONITOR = 0xa,
    LEAF_TOPOLOGY = 0xb,
    LEAF_HIGHEST = 0xd,

    /* leaf 1, ECX */
    FEATURE_VMX = 1 << 5,
    FEATURE_SMX = 1 << 6,
    FEATURE_PDCM = 1 << 15,
    FEATURE_X2APIC = 1 << 21,
    FEATURE_TSC_DEADLINE = 1 << 24,
    FEATURE_HYPERVISOR = 1 << 31,
    /* leaf 1, EDX */
    FEATURE_APIC = 1 << 9,
    FEATURE_HTT = 1 << 28,
    /* leaf 7, EBX and ECX */
    FEATURE_SGX = 1 << 2,
    FEATURE_PROCESSOR_TRACE = 1 << 25,
    FEATURE_SGX_LC = 1 << 30,
    /* leaf 8000_0001h, ECX */
    FEATURE_CMP_LEGACY = 1 << 1,
    FEATURE_SVM = 1 << 2,
    FEATURE_PERFCTR = 1 << 23,
    FEATURE_TOPOLOGY_EXTENSIONS = 1 << 22,
    /* leaf 8000_0001h, EDX */
    FEATURE_LONG_MODE = 1 << 29,
    /* leaf Bh, ECX bits 8 to 15 */
    LEVEL_THREAD = 1 << 8,
    LEVEL_CORE = 2 << 8,
};

enum cpuid_ranges {
    LEAF_KVM_SIGNATURE = 0x40000000,
    LEAF_KVM_FEATURES = 0x40000001,
    LEAF_KVM_TIMING = 0x40000010,
    APIC_BUS_KHZ = 1000000, /* KVM's local APIC timer counts nanoseconds */
};
#define LEAF_EXTENDED_HIGHEST 0x80000008u
#define LEAF_EXTENDED         0x80000000u
#define LEAF_EXTENDED_TYPE    0x80000001u
#define LEAF_BRAND            0x80000002u
#define LEAF_BRAND_LAST       0x80000004u

enum {
    KVM_FEATURES_KEPT = 1 << KVM_FEATURE_CLOCKSOURCE | 1 << KVM_FEATURE_NOP_IO_DELAY |
                        1 << KVM_FEATURE_CLOCKSOURCE2 | 1 << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT
};

struct kvm_cpuid2 *cpuid_read(int kvm, char *error, size_t error_size)
{
    struct kvm_cpuid2 *cpuid = allocate(sizeof(*cpuid) + ENTRIES_MOST * sizeof(cpuid->entries[0]));
    cpuid->nent = ENTRIES_MOST;
    if (kvm_call(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0)
        return cpuid;
    snprintf(error, error_size, "KVM does not tell what this processor supports: %s", strerror(errno));
    free(cpuid);
    return NULL;
}

bool cpuid_has_long_mode(const struct kvm_cpuid2 *supported)
{
    for (unsigned i = 0; i < supported->nent; i++)
        if (supported->entries[i].function == LEAF_EXTENDED_TYPE)
            return supported->entries[i].edx & FEATURE_LONG_MODE;
    return false;
}

static bool wanted(uint32_t function)
{
    if (function == LEAF_TOPOLOGY || function == LEAF_KVM_TIMING ||
        (function >= LEAF_BRAND && function <= LEAF_BRAND_LAST))
        return false; /* written by us */
    if (function < LEAF_KVM_SIGNATURE)
        return function <= LEAF_HIGHEST;
    if (function < LEAF_EXTENDED)
        return function <= LEAF_KVM_FEATURES;
    return function <= LEAF_EXTENDED_HIGHEST;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

static void cut_features(const struct vcpu *vcpu, struct kvm_cpuid_entry2 *entry)
{
    unsigned cpus = vcpu->engine->machine.cpus;

    entry->ebx = (entry->ebx & 0xff00) | cpus << 16 | vcpu->index << 24;
    entry->ecx &= ~(FEATURE_VMX | FEATURE_SMX | FEATURE_PDCM);
    entry->ecx |= FEATURE_HYPERVISOR;
    entry->edx &= ~FEATURE_HTT;
    if (cpus > 1)
        entry->edx |= FEATURE_HTT;
    if (!vcpu->engine->abilities.irqchip) {
        entry->edx &= ~FEATURE_APIC;
        entry->ecx &= ~(FEATURE_X2APIC | FEATURE_TSC_DEADLINE);
    } else if (kvm_has(vcpu->engine->kvm, KVM_CAP_TSC_DEADLINE_TIMER)) {
        entry->ecx |= FEATURE_TSC_DEADLINE;
    }
}

static void cut(const struct vcpu *vcpu, struct kvm_cpuid_entry2 *entry)
{
    unsigned cpus = vcpu->engine->machine.cpus;

    switch (entry->function) {
    case 0: entry->eax = at_most(entry->eax, LEAF_HIGHEST); break;
    case LEAF_FEATURES: cut_features(vcpu, entry); break;
    case LEAF_CACHES: entry->eax = (entry->eax & 0x3fff) | (cpus - 1) << 26; break;
    case LEAF_EXTENDED_FEATURES:
        if (entry->index == 0) {
            entry->ebx &= ~(FEATURE_SGX | FEATURE_PROCESSOR_TRACE);
            entry->ecx &= ~FEATURE_SGX_LC;
        }
        break;
    case LEAF_PERFORMANCE_MONITOR: entry->eax = entry->ebx = entry->ecx = entry->edx = 0; break;
    case LEAF_KVM_SIGNATURE: entry->eax = LEAF_KVM_TIMING; break;
    case LEAF_KVM_FEATURES: entry->eax &= KVM_FEATURES_KEPT; break;
    case LEAF_EXTENDED: entry->eax = at_most(entry->eax, LEAF_EXTENDED_HIGHEST); break;
    case LEAF_EXTENDED_TYPE:
        entry->ecx &= ~(FEATURE_SVM | FEATURE_PERFCTR | FEATURE_TOPOLOGY_EXTENSIONS);
        if (cpus == 1)
            entry->ecx &= ~FEATURE_CMP_LEGACY;
        break;
    case LEAF_EXTENDED_HIGHEST: entry->ecx = cpus - 1; break;
    }
}

static void add(struct kvm_cpuid2 *cpuid, const struct kvm_cpuid_entry2 *entry)
{
    cpuid->entries[cpuid->nent++] = *entry;
}

/* KVM leaves the name of the processor out. */
static void add_brand(struct kvm_cpuid2 *cpuid)
{
    for (uint32_t leaf = LEAF_BRAND; leaf <= LEAF_BRAND_LAST; leaf++) {
        struct kvm_cpuid_entry2 entry = {.function = leaf};
        if (__get_cpuid(leaf, &entry.eax, &entry.ebx, &entry.ecx, &entry.edx))
            add(cpuid, &entry);
    }
}

static void add_topology(const struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
    unsigned cpus = vcpu->engine->machine.cpus, bits = 0;
    while (1u << bits < cpus)
        bits++;

    struct kvm_cpuid_entry2 entry = {.function = LEAF_TOPOLOGY,
                                     .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                                     .ebx = 1,
                                     .ecx = LEVEL_THREAD,
                                     .edx = vcpu->index};
    add(cpuid, &entry);
    entry.index = 1;
    entry.eax = bits;
    entry.ebx = cpus;
    entry.ecx = LEVEL_CORE | 1;
    add(cpuid, &entry);
}

struct kvm_cpuid2 *cpuid_for_vcpu(const struct vcpu *vcpu, const struct kvm_cpuid2 *supported)
{
    struct kvm_cpuid2 *cpuid =
        allocate(sizeof(*cpuid) + (ENTRIES_MOST + ENTRIES_OURS) * sizeof(cpuid->entries[0]));
    int khz = kvm_call(vcpu->descriptor, KVM_GET_TSC_KHZ, NULL);
    struct kvm_cpuid_entry2 timing = {
        .function = LEAF_KVM_TIMING, .eax = khz > 0 ? (uint32_t)khz : 0, .ebx = APIC_BUS_KHZ};
    bool topology = false;

    for (unsigned i = 0; i < supported->nent; i++) {
        struct kvm_cpuid_entry2 entry = supported->entries[i];
        topology = topology || entry.function == LEAF_TOPOLOGY;
        if (!wanted(entry.function))
            continue;
        cut(vcpu, &entry);
        add(cpuid, &entry);
    }
    add(cpuid, &timing);
    add_brand(cpuid);
    if (topology && vcpu->engine->abilities.irqchip)
        add_topology(vcpu, cpuid);
    return cpuid;
}
