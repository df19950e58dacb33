/*
 * CPUID: cpu/cpuid.c with what this engine can do, which features.h lists, and what changes while the guest runs. And
 * which instructions the guest's model has not got: they are undefined. The hypervisor's leaves are hearth's own.
 */
#include "cpu/soft/access.h"
#include "cpu/soft/decode.h"
#include "cpu/soft/features.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/system.h"

enum leaf {
    LEAF_FEATURES = 1,
    LEAF_XSAVE = 0xd,
    LEAF_HYPERVISOR = 0x40000000,
    LEAF_HYPERVISOR_INTERFACE = 0x40000001,
};
#define LEAF_EXTENDED_FEATURES 0x80000001u

static const char hypervisor[] = "HearthSoftVM"; /* in EBX, ECX, EDX */
static const char interface[] = "Hrth";

static uint32_t four(const char *text)
{
    uint32_t value;

    memcpy(&value, text, sizeof(value));
    return value;
}

void identify_abilities(struct cpu_abilities *able)
{
    *able = (struct cpu_abilities){
        .engine = "the software CPU",
        .identity =
            {.vendor = "AuthenticAMD", .brand = "hearth soft CPU", .family = 15, .model = 107, .stepping = 1},
        .features = {{
            [WORD_1_EDX] = LEAF1_EDX_FEATURES,
            [WORD_1_ECX] = LEAF1_ECX_FEATURES,
            [WORD_6_EAX] = LEAF6_EAX_FEATURES,
            [WORD_7_EBX] = LEAF7_EBX_FEATURES | sse_features_7_ebx(),
            [WORD_7_ECX] = LEAF7_ECX_FEATURES,
            [WORD_8000_0001_EDX] = LEAF80000001_EDX_FEATURES,
            [WORD_8000_0001_ECX] = LEAF80000001_ECX_FEATURES,
        }},
        .physical_bits = PHYSICAL_BITS,
        .linear_bits = LINEAR_BITS,
        .own = {{LEAF_HYPERVISOR, LEAF_HYPERVISOR_INTERFACE, four(hypervisor), four(hypervisor + 4),
                 four(hypervisor + 8)},
                {LEAF_HYPERVISOR_INTERFACE, four(interface), 0, 0, 0}},
    };
}

/* The APIC bit shows whether it is enabled. */
static uint32_t apic_now(const struct cpu *cpu, uint32_t features)
{
    return lapic_enabled(cpu->lapic) ? features : features & ~FEATURE_APIC;
}

void system_cpuid(struct cpu *cpu)
{
    const struct cpuid *cpuid = &cpu->soft->cpuid;
    uint32_t leaf = (uint32_t)cpu->gpr[RAX], sub = (uint32_t)cpu->gpr[RCX];
    struct cpuid_leaf answer = cpuid_answer(cpuid, cpu->index, leaf, sub);

    if (leaf == LEAF_FEATURES) {
        answer.edx = apic_now(cpu, answer.edx);
        answer.ecx |= cpu->cr4 & CR4_OSXSAVE ? FEATURE_OSXSAVE : 0;
    } else if (leaf == LEAF_EXTENDED_FEATURES) {
        answer.edx = apic_now(cpu, answer.edx);
    } else if (leaf == LEAF_XSAVE && leaf <= cpuid->model.level && sub == 0 && answer.eax) {
        answer.ebx = cpuid_xsave_size(cpuid, cpu->xcr0);
    }
    cpu->gpr[RAX] = answer.eax;
    cpu->gpr[RBX] = answer.ebx;
    cpu->gpr[RCX] = answer.ecx;
    cpu->gpr[RDX] = answer.edx;
}

/* ---- instructions that the model has not got */

/* Zydis' families of instructions, and the feature that brought them. What is in none of these every model has. */
static const struct {
    uint8_t family;
    uint8_t word;
    uint32_t bit;
} families[] = {
    {ZYDIS_ISA_SET_CLFSH, WORD_1_EDX, FEATURE_CLFSH},
    {ZYDIS_ISA_SET_CMOV, WORD_1_EDX, FEATURE_CMOV},
    {ZYDIS_ISA_SET_FCMOV, WORD_1_EDX, FEATURE_CMOV},
    {ZYDIS_ISA_SET_PENTIUMMMX, WORD_1_EDX, FEATURE_MMX},
    {ZYDIS_ISA_SET_FXSAVE, WORD_1_EDX, FEATURE_FXSR},
    {ZYDIS_ISA_SET_FXSAVE64, WORD_1_EDX, FEATURE_FXSR},
    {ZYDIS_ISA_SET_SSE, WORD_1_EDX, FEATURE_SSE},
    {ZYDIS_ISA_SET_SSEMXCSR, WORD_1_EDX, FEATURE_SSE},
    {ZYDIS_ISA_SET_SSE2, WORD_1_EDX, FEATURE_SSE2},
    {ZYDIS_ISA_SET_SSE2MMX, WORD_1_EDX, FEATURE_SSE2},
    {ZYDIS_ISA_SET_SSE3, WORD_1_ECX, FEATURE_SSE3},
    {ZYDIS_ISA_SET_SSE3X87, WORD_1_ECX, FEATURE_SSE3},
    {ZYDIS_ISA_SET_SSSE3, WORD_1_ECX, FEATURE_SSSE3},
    {ZYDIS_ISA_SET_SSSE3MMX, WORD_1_ECX, FEATURE_SSSE3},
    {ZYDIS_ISA_SET_SSE4, WORD_1_ECX, FEATURE_SSE41},
    {ZYDIS_ISA_SET_SSE42, WORD_1_ECX, FEATURE_SSE42},
    {ZYDIS_ISA_SET_PCLMULQDQ, WORD_1_ECX, FEATURE_PCLMULQDQ},
    {ZYDIS_ISA_SET_AES, WORD_1_ECX, FEATURE_AES},
    {ZYDIS_ISA_SET_CMPXCHG16B, WORD_1_ECX, FEATURE_CX16},
    {ZYDIS_ISA_SET_MOVBE, WORD_1_ECX, FEATURE_MOVBE},
    {ZYDIS_ISA_SET_POPCNT, WORD_1_ECX, FEATURE_POPCNT},
    {ZYDIS_ISA_SET_RDRAND, WORD_1_ECX, FEATURE_RDRAND},
    {ZYDIS_ISA_SET_XSAVE, WORD_1_ECX, FEATURE_XSAVE},
    {ZYDIS_ISA_SET_BMI1, WORD_7_EBX, FEATURE_BMI1},
    {ZYDIS_ISA_SET_BMI2, WORD_7_EBX, FEATURE_BMI2},
    {ZYDIS_ISA_SET_RDSEED, WORD_7_EBX, FEATURE_RDSEED},
    {ZYDIS_ISA_SET_ADOX_ADCX, WORD_7_EBX, FEATURE_ADX},
    {ZYDIS_ISA_SET_SMAP, WORD_7_EBX, FEATURE_SMAP},
    {ZYDIS_ISA_SET_SHA, WORD_7_EBX, FEATURE_SHA},
    {ZYDIS_ISA_SET_INVPCID, WORD_7_EBX, FEATURE_INVPCID},
    {ZYDIS_ISA_SET_RDWRFSGS, WORD_7_EBX, FEATURE_FSGSBASE},
    {ZYDIS_ISA_SET_LZCNT, WORD_8000_0001_ECX, FEATURE_ABM},
    {ZYDIS_ISA_SET_RDTSCP, WORD_8000_0001_EDX, FEATURE_RDTSCP},
};

bool identify_has_instruction(const struct features *features, unsigned family)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (families[i].family == family)
            return features->word[families[i].word] & families[i].bit;
    return true;
}
