/*
 * CPUID: the model of QEMU's qemu64, an AMD family 15, with the features listed in features.h. The hypervisor leaf is
 * hearth's own. Source: AMD64 APM volume 3, appendix E; SDM volume 2, CPUID.
 */
#include "cpu/soft/access.h"
#include "cpu/soft/features.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/system.h"

enum leaf {
    LEAF_VENDOR = 0,
    LEAF_FEATURES = 1,
    LEAF_MORE_FEATURES = 7,
    LEAF_XSAVE = 0xd,
    LEAF_LAST = LEAF_XSAVE,
    LEAF_HYPERVISOR = 0x40000000,
    LEAF_HYPERVISOR_INTERFACE = 0x40000001,
};
enum extended_leaf {
    EXTENDED_LAST,
    EXTENDED_FEATURES,
    EXTENDED_BRAND,
    EXTENDED_BRAND_END = 4,
    EXTENDED_POWER = 7,
    EXTENDED_SIZES = 8,
};
enum { EXTENDED = (int)0x80000000 };

enum identity {
    SIGNATURE = 0x00060fb1, /* family 15, model 107, stepping 1 */
    CACHE_LINE = 8 << 8,    /* of CLFLUSH, in units of 8 bytes: leaf 1, EBX */
};

static const char vendor[] = "AuthenticAMD";     /* in EBX, EDX, ECX */
static const char hypervisor[] = "HearthSoftVM"; /* in EBX, ECX, EDX */
static const char brand[48] = "hearth soft CPU";
static const char interface[] = "Hrth";

static uint32_t four(const char *text)
{
    uint32_t value;

    memcpy(&value, text, sizeof(value));
    return value;
}

static void answer(struct cpu *cpu, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    cpu->gpr[RAX] = eax;
    cpu->gpr[RBX] = ebx;
    cpu->gpr[RCX] = ecx;
    cpu->gpr[RDX] = edx;
}

/* Of leaf 1: the APIC bit shows whether it is enabled. */
static uint32_t features_now(const struct cpu *cpu)
{
    return lapic_enabled(cpu->lapic) ? LEAF1_EDX_FEATURES : LEAF1_EDX_FEATURES & ~FEATURE_APIC;
}

static void answer_features(struct cpu *cpu)
{
    uint32_t osxsave = cpu->cr4 & CR4_OSXSAVE ? FEATURE_OSXSAVE : 0;

    answer(cpu, SIGNATURE, (uint32_t)cpu->index << 24 | CACHE_LINE, LEAF1_ECX_FEATURES | osxsave,
           features_now(cpu));
}

/* Sub-leaf 0: the components and their size; those beyond the legacy area none so far. */
static void answer_xsave(struct cpu *cpu, uint32_t sub)
{
    if (sub == 0)
        answer(cpu, XSAVE_COMPONENTS, XSAVE_SIZE, XSAVE_SIZE, 0);
    else
        answer(cpu, 0, 0, 0, 0);
}

static void answer_extended(struct cpu *cpu, uint32_t leaf)
{
    switch (leaf) {
    case EXTENDED_LAST:
        answer(cpu, (uint32_t)EXTENDED + EXTENDED_SIZES, four(vendor), four(vendor + 8), four(vendor + 4));
        break;
    case EXTENDED_FEATURES:
        answer(cpu, SIGNATURE, 0, LEAF80000001_ECX_FEATURES,
               LEAF80000001_EDX_FEATURES | (features_now(cpu) & FEATURES_AMD));
        break;
    case EXTENDED_BRAND:
    case EXTENDED_BRAND + 1:
    case EXTENDED_BRAND_END: {
        const char *part = brand + 16 * (leaf - EXTENDED_BRAND);

        answer(cpu, four(part), four(part + 4), four(part + 8), four(part + 12));
        break;
    }
    case EXTENDED_SIZES: answer(cpu, LINEAR_BITS << 8 | PHYSICAL_BITS, 0, 0, 0); break;
    default: answer(cpu, 0, 0, 0, 0);
    }
}

void system_cpuid(struct cpu *cpu)
{
    uint32_t leaf = cpu->gpr[RAX], sub = cpu->gpr[RCX];

    if (leaf - (uint32_t)EXTENDED <= EXTENDED_SIZES) {
        answer_extended(cpu, leaf - (uint32_t)EXTENDED);
        return;
    }
    switch (leaf) {
    case LEAF_VENDOR: answer(cpu, LEAF_LAST, four(vendor), four(vendor + 8), four(vendor + 4)); break;
    case LEAF_FEATURES: answer_features(cpu); break;
    case LEAF_MORE_FEATURES:
        answer(cpu, 0, sub == 0 ? LEAF7_EBX_FEATURES | sse_features_7_ebx() : 0, 0, 0);
        break;
    case LEAF_XSAVE: answer_xsave(cpu, sub); break;
    case LEAF_HYPERVISOR:
        answer(cpu, LEAF_HYPERVISOR_INTERFACE, four(hypervisor), four(hypervisor + 4), four(hypervisor + 8));
        break;
    case LEAF_HYPERVISOR_INTERFACE: answer(cpu, four(interface), 0, 0, 0); break;
    default: answer(cpu, 0, 0, 0, 0);
    }
}
