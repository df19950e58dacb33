/*
 * CPUID and the model-specific registers.
 *
 * Family 6 model 3: old enough that nobody expects of it what the engine has not got. The hypervisor leaf is hearth's own.
 * Source: SDM volume 2, CPUID; volume 4, chapter 2 (MSRs); volume 3A, 11.12.4 (PAT).
 */
#include "cpu/soft/access.h"
#include "cpu/soft/system.h"

enum leaf {
    LEAF_VENDOR = 0,
    LEAF_FEATURES = 1,
    LEAF_HYPERVISOR = 0x40000000,
    LEAF_HYPERVISOR_INTERFACE = 0x40000001,
};
#define LEAF_EXTENDED  0x80000000u
#define LEAF_BRAND     0x80000002u
#define LEAF_BRAND_END 0x80000004u

enum features {
    FEATURE_FPU = 1 << 0,
    FEATURE_VME = 1 << 1,
    FEATURE_DE = 1 << 2,
    FEATURE_PSE = 1 << 3,
    FEATURE_TSC = 1 << 4,
    FEATURE_MSR = 1 << 5,
    FEATURE_CX8 = 1 << 8,
    FEATURE_PGE = 1 << 13,
    FEATURE_CMOV = 1 << 15,
    FEATURE_PAT = 1 << 16,
    FEATURES = FEATURE_FPU | FEATURE_VME | FEATURE_DE | FEATURE_PSE | FEATURE_TSC | FEATURE_MSR |
               FEATURE_CX8 | FEATURE_PGE | FEATURE_CMOV | FEATURE_PAT,
    SIGNATURE = 0x00000634, /* family 6, model 3, stepping 4 */
};
#define FEATURE_HYPERVISOR (1u << 31) /* in ECX */

static const char vendor[] = "GenuineIntel";     /* in EBX, EDX, ECX */
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

void system_cpuid(struct cpu *cpu)
{
    uint32_t leaf = cpu->gpr[RAX];

    switch (leaf) {
    case LEAF_VENDOR: answer(cpu, LEAF_FEATURES, four(vendor), four(vendor + 8), four(vendor + 4)); break;
    case LEAF_HYPERVISOR:
        answer(cpu, LEAF_HYPERVISOR_INTERFACE, four(hypervisor), four(hypervisor + 4), four(hypervisor + 8));
        break;
    case LEAF_HYPERVISOR_INTERFACE: answer(cpu, four(interface), 0, 0, 0); break;
    case LEAF_EXTENDED: answer(cpu, LEAF_BRAND_END, 0, 0, 0); break;
    case LEAF_EXTENDED + 1: answer(cpu, 0, 0, 0, 0); break;
    case LEAF_BRAND:
    case LEAF_BRAND + 1:
    case LEAF_BRAND_END: {
        const char *part = brand + 16 * (leaf - LEAF_BRAND);

        answer(cpu, four(part), four(part + 4), four(part + 8), four(part + 12));
        break;
    }
    default: /* beyond the last basic leaf, that one answers */
        answer(cpu, SIGNATURE, cpu->index << 24, FEATURE_HYPERVISOR, FEATURES);
    }
}

/* ---- model-specific registers ---- */

enum msr {
    MSR_TIME_STAMP_COUNTER = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_EBL_CR_POWERON = 0x2a,
    MSR_BIOS_SIGN_ID = 0x8b, /* microcode revision: none loaded */
    MSR_PAT = 0x277,
};

static _Noreturn void no_such_msr(struct cpu *cpu, const char *what)
{
    fault_because(cpu, "%s 0x%x, which this CPU has not got", what, (uint32_t)cpu->gpr[RCX]);
    fault_error(cpu, VECTOR_GP, 0);
}

void system_rdmsr(struct cpu *cpu)
{
    uint64_t value = 0;

    system_need_ring0(cpu, "RDMSR");
    switch ((uint32_t)cpu->gpr[RCX]) {
    case MSR_TIME_STAMP_COUNTER: value = system_tsc(cpu); break;
    case MSR_PAT: value = cpu->msr.pat; break;
    case MSR_PLATFORM_ID:
    case MSR_EBL_CR_POWERON:
    case MSR_BIOS_SIGN_ID: break;
    default: no_such_msr(cpu, "RDMSR of");
    }
    cpu->gpr[RAX] = (uint32_t)value;
    cpu->gpr[RDX] = value >> 32;
}

/* Each byte is a memory type: 0, 1, 4, 5, 6 or 7. */
static bool pat_valid(uint64_t value)
{
    for (int i = 0; i < 64; i += 8) {
        unsigned type = value >> i & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

void system_wrmsr(struct cpu *cpu)
{
    uint64_t value = (uint32_t)cpu->gpr[RAX] | cpu->gpr[RDX] << 32;

    system_need_ring0(cpu, "WRMSR");
    switch ((uint32_t)cpu->gpr[RCX]) {
    case MSR_TIME_STAMP_COUNTER: cpu->tsc_offset = value - clock_now(cpu->machine->clock); break;
    case MSR_PAT:
        if (!pat_valid(value)) {
            fault_because(cpu, "WRMSR of PAT: a memory type is 2, 3 or above 7");
            fault_error(cpu, VECTOR_GP, 0);
        }
        cpu->msr.pat = value;
        break;
    case MSR_EBL_CR_POWERON:
    case MSR_BIOS_SIGN_ID: break;
    default: no_such_msr(cpu, "WRMSR to");
    }
}
