/*
 * What CPUID answers under KVM: cpu/cpuid.c with what the host's KVM supports.
 *
 * Left out of that: nested virtualization, the performance monitor, SGX, processor trace, AMX (which a process has to ask
 * the kernel for); of KVM's own features all but its clock, since each other one is state to reset and to save. The
 * signature's leaves go up to 4000_0010h, where a guest finds the time stamp counter's frequency and need not measure it.
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

    LEAF_FEATURES = 1,
    LEAF_XSAVE = 0xd,
    LEAF_DIES = 0x1f,
    LEAF_KVM_SIGNATURE = 0x40000000,
    LEAF_KVM_FEATURES = 0x40000001,
    LEAF_KVM_TIMING = 0x40000010,
    APIC_BUS_KHZ = 1000000, /* KVM's local APIC timer counts nanoseconds */
    SUBLEAVES_MOST = 64,
};
#define LEAF_EXTENDED       0x80000000u
#define LEAF_EXTENDED_TYPE  0x80000001u
#define LEAF_BRAND          0x80000002u
#define LEAF_EXTENDED_SIZES 0x80000008u

enum {
    KVM_FEATURES_KEPT = 1 << KVM_FEATURE_CLOCKSOURCE | 1 << KVM_FEATURE_NOP_IO_DELAY |
                        1 << KVM_FEATURE_CLOCKSOURCE2 | 1 << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT
};

/* What KVM can do and hearth does not offer. */
#define NOT_OFFERED                                                                                          \
    "vmx smx pdcm monitor sgx sgxlc intel-pt arch-lbr amx-bf16 amx-int8 amx-tile xfd svm npt lbrv svm-lock " \
    "nrip-save tsc-scale vmcb-clean flushbyasid decodeassists pause-filter pfthreshold avic "                \
    "v-vmsave-vmload vgif svme-addr-chk perfctr-core perfctr-nb ibs lwp"
#define NEEDS_THE_KERNELS_APIC "apic x2apic tsc-deadline"

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

/* ---- what the host can do */

static const struct kvm_cpuid_entry2 *entry_find(const struct kvm_cpuid2 *supported, uint32_t leaf,
                                                 uint32_t sub)
{
    static const struct kvm_cpuid_entry2 none;
    for (unsigned i = 0; i < supported->nent; i++)
        if (supported->entries[i].function == leaf && supported->entries[i].index == sub)
            return &supported->entries[i];
    return &none;
}

/* KVM leaves the processor's name out, and who it is. */
static void identity_read(struct cpu_identity *identity)
{
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0, brand[3][4] = {{0}};
    __get_cpuid(0, &eax, &ebx, &ecx, &edx);
    memcpy(identity->vendor, &ebx, sizeof(ebx));
    memcpy(identity->vendor + 4, &edx, sizeof(edx));
    memcpy(identity->vendor + 8, &ecx, sizeof(ecx));
    __get_cpuid(LEAF_FEATURES, &eax, &ebx, &ecx, &edx);
    identity->family = eax >> 8 & 0xf;
    identity->model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);
    identity->stepping = eax & 0xf;
    if (identity->family == 0xf)
        identity->family += eax >> 20 & 0xff;
    for (uint32_t i = 0; i < 3; i++)
        __get_cpuid(LEAF_BRAND + i, &brand[i][0], &brand[i][1], &brand[i][2], &brand[i][3]);
    memcpy(identity->brand, brand, sizeof(brand));
}

static void features_read(struct features *features, const struct kvm_cpuid2 *supported)
{
    uint32_t *word = features->word;
    word[WORD_1_EDX] = entry_find(supported, 1, 0)->edx;
    word[WORD_1_ECX] = entry_find(supported, 1, 0)->ecx;
    word[WORD_6_EAX] = entry_find(supported, 6, 0)->eax;
    word[WORD_7_EBX] = entry_find(supported, 7, 0)->ebx;
    word[WORD_7_ECX] = entry_find(supported, 7, 0)->ecx;
    word[WORD_7_EDX] = entry_find(supported, 7, 0)->edx;
    word[WORD_7_1_EAX] = entry_find(supported, 7, 1)->eax;
    word[WORD_D_1_EAX] = entry_find(supported, LEAF_XSAVE, 1)->eax;
    word[WORD_8000_0001_EDX] = entry_find(supported, LEAF_EXTENDED_TYPE, 0)->edx;
    word[WORD_8000_0001_ECX] = entry_find(supported, LEAF_EXTENDED_TYPE, 0)->ecx;
    word[WORD_8000_0007_EDX] = entry_find(supported, 0x80000007, 0)->edx;
    word[WORD_8000_0008_EBX] = entry_find(supported, LEAF_EXTENDED_SIZES, 0)->ebx;
}

static void features_cut(struct features *features, const struct engine *engine)
{
    struct features named = features_named(), cut = {{0}}, chips = {{0}};
    features_add(&cut, NOT_OFFERED);
    features_add(&chips, NEEDS_THE_KERNELS_APIC);
    features_add(features, "apic x2apic");
    if (kvm_has(engine->kvm, KVM_CAP_TSC_DEADLINE_TIMER))
        features_add(features, "tsc-deadline");
    for (unsigned word = 0; word < FEATURE_WORDS; word++)
        features->word[word] &= named.word[word] & ~cut.word[word];
    if (!engine->abilities.irqchip)
        *features = features_without(features, &chips);
}

static uint32_t four(const char *text)
{
    uint32_t value;
    memcpy(&value, text, sizeof(value));
    return value;
}

bool cpuid_choose(struct engine *engine, const struct kvm_cpuid2 *supported, char *error, size_t error_size)
{
    const struct engine_machine *machine = &engine->machine;
    struct cpu_abilities able = {.engine = "this host's KVM"};
    uint32_t sizes = entry_find(supported, LEAF_EXTENDED_SIZES, 0)->eax;
    uint32_t kvm_features = entry_find(supported, LEAF_KVM_FEATURES, 0)->eax & KVM_FEATURES_KEPT;

    identity_read(&able.identity);
    features_read(&able.features, supported);
    features_cut(&able.features, engine);
    if (engine->abilities.irqchip)
        features_add(&able.given, "x2apic tsc-deadline");
    able.physical_bits = sizes ? sizes & 0xff : 36;
    able.linear_bits = sizes >> 8 & 0xff;
    for (unsigned i = 2; i < XSAVE_COMPONENTS_MOST; i++) {
        const struct kvm_cpuid_entry2 *entry = entry_find(supported, LEAF_XSAVE, i);
        able.xsave[i].size = entry->eax;
        able.xsave[i].offset = entry->ebx;
        able.xsave[i].flags = entry->ecx;
    }
    able.own[0] =
        (struct cpuid_leaf){LEAF_KVM_SIGNATURE, LEAF_KVM_TIMING, four("KVMK"), four("VMKV"), four("M\0\0")};
    able.own[1] = (struct cpuid_leaf){LEAF_KVM_FEATURES, kvm_features, 0, 0, 0};
    able.own[2] = (struct cpuid_leaf){LEAF_KVM_TIMING, 0, APIC_BUS_KHZ, 0, 0}; /* EAX: by vCPU */
    if (!cpuid_set_up(&engine->cpuid, machine->cpu, &machine->topology, machine->cpus, &able, error,
                      error_size))
        return false;
    engine->abilities.long_mode = features_have(&engine->cpuid.model.features, "lm");
    engine->abilities.cpu_signature = cpuid_signature(&engine->cpuid.model.identity);
    engine->abilities.cpu_features = engine->cpuid.model.features.word[WORD_1_EDX];
    return true;
}

/* ---- for a vCPU */

static void add(struct kvm_cpuid2 *to, const struct vcpu *vcpu, uint32_t leaf, uint32_t sub)
{
    struct cpuid_leaf answer = cpuid_answer(&vcpu->engine->cpuid, vcpu->index, leaf, sub);
    if (to->nent == ENTRIES_MOST)
        return;
    to->entries[to->nent++] = (struct kvm_cpuid_entry2){
        .function = leaf,
        .index = sub,
        .flags = cpuid_has_subleaves(leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
        .eax = answer.eax,
        .ebx = answer.ebx,
        .ecx = answer.ecx,
        .edx = answer.edx,
    };
}

/* Sub-leaves go up to the first empty one (which of the topology's is told too), those of XSAVE by XCR0's bits. */
static void add_subleaves(struct kvm_cpuid2 *to, const struct vcpu *vcpu, uint32_t leaf)
{
    for (uint32_t sub = 0; sub < SUBLEAVES_MOST; sub++) {
        add(to, vcpu, leaf, sub);
        struct kvm_cpuid_entry2 *last = &to->entries[to->nent - 1];
        bool empty = !last->eax && !last->ebx;
        if (empty && leaf == LEAF_XSAVE && sub > 1)
            to->nent--;
        if (empty && leaf != LEAF_XSAVE)
            break;
    }
}

static void add_range(struct kvm_cpuid2 *to, const struct vcpu *vcpu, uint32_t first, uint32_t last)
{
    for (uint32_t leaf = first; leaf <= last; leaf++)
        if (cpuid_has_subleaves(leaf))
            add_subleaves(to, vcpu, leaf);
        else
            add(to, vcpu, leaf, 0);
}

struct kvm_cpuid2 *cpuid_for_vcpu(const struct vcpu *vcpu)
{
    const struct cpu_model *model = &vcpu->engine->cpuid.model;
    struct kvm_cpuid2 *cpuid = allocate(sizeof(*cpuid) + ENTRIES_MOST * sizeof(cpuid->entries[0]));
    int khz = kvm_call(vcpu->descriptor, KVM_GET_TSC_KHZ, NULL);

    add_range(cpuid, vcpu, 0, model->level < LEAF_DIES ? model->level : LEAF_DIES);
    if (model->signature) {
        add(cpuid, vcpu, LEAF_KVM_SIGNATURE, 0);
        add(cpuid, vcpu, LEAF_KVM_FEATURES, 0);
        add(cpuid, vcpu, LEAF_KVM_TIMING, 0);
        cpuid->entries[cpuid->nent - 1].eax = khz > 0 ? (uint32_t)khz : 0;
    }
    if (model->extended_level >= LEAF_EXTENDED)
        add_range(cpuid, vcpu, LEAF_EXTENDED,
                  model->extended_level < LEAF_EXTENDED + LEAF_DIES ? model->extended_level
                                                                    : LEAF_EXTENDED + LEAF_DIES);
    return cpuid;
}
