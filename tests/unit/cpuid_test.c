/* CPUID: models, topologies, what engines lack. Numbers: SDM volume 2, CPUID; AMD APM volume 3, appendix E. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/cpuid.h"

/* As QEMU 7.2's query-cpu-model-expansion tells, with VME, which its TCG takes away from all but qemu64 and qemu32. */
static const struct {
    const char *name, *vendor;
    unsigned family, model, stepping;
    uint32_t level, extended_level;
    const char *features;
} models[] = {
    {"486", "GenuineIntel", 4, 8, 0, 0x1, 0x0, "fpu pse vme"},
    {"Broadwell", "GenuineIntel", 6, 61, 2, 0xd, 0x80000008,
     "3dnowprefetch abm adx aes apic arat avx avx2 bmi1 bmi2 clflush cmov cx16 cx8 de "
     "erms f16c fma fpu fsgsbase fxsr hle invpcid lahf-lm lm mca mce mmx movbe msr "
     "mtrr nx pae pat pcid pclmulqdq pge pni popcnt pse pse36 rdrand rdseed rdtscp rtm "
     "sep smap smep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc tsc-deadline vme x2apic "
     "xsave xsaveopt"},
    {"Conroe", "GenuineIntel", 6, 15, 3, 0xa, 0x80000008,
     "apic clflush cmov cx8 de fpu fxsr lahf-lm lm mca mce mmx msr mtrr nx pae pat pge "
     "pni pse pse36 sep sse sse2 ssse3 syscall tsc vme"},
    {"EPYC", "AuthenticAMD", 23, 1, 2, 0xd, 0x8000001e,
     "3dnowprefetch abm adx aes apic arat avx avx2 bmi1 bmi2 clflush clflushopt cmov "
     "cr8legacy cx16 cx8 de f16c fma fpu fsgsbase fxsr fxsr-opt lahf-lm lm mca mce "
     "misalignsse mmx mmxext monitor movbe msr mtrr npt nrip-save nx osvw pae pat "
     "pclmulqdq pdpe1gb pge pni popcnt pse pse36 rdrand rdseed rdtscp sep sha-ni smap "
     "smep sse sse2 sse4.1 sse4.2 sse4a ssse3 svm syscall topoext tsc vme xgetbv1 "
     "xsave xsavec xsaveopt"},
    {"Haswell", "GenuineIntel", 6, 60, 4, 0xd, 0x80000008,
     "abm aes apic arat avx avx2 bmi1 bmi2 clflush cmov cx16 cx8 de erms f16c fma fpu "
     "fsgsbase fxsr hle invpcid lahf-lm lm mca mce mmx movbe msr mtrr nx pae pat pcid "
     "pclmulqdq pge pni popcnt pse pse36 rdrand rdtscp rtm sep smep sse sse2 sse4.1 "
     "sse4.2 ssse3 syscall tsc tsc-deadline vme x2apic xsave xsaveopt"},
    {"IvyBridge", "GenuineIntel", 6, 58, 9, 0xd, 0x80000008,
     "aes apic arat avx clflush cmov cx16 cx8 de erms f16c fpu fsgsbase fxsr lahf-lm "
     "lm mca mce mmx msr mtrr nx pae pat pclmulqdq pge pni popcnt pse pse36 rdrand "
     "rdtscp sep smep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc tsc-deadline vme x2apic "
     "xsave xsaveopt"},
    {"Nehalem", "GenuineIntel", 6, 26, 3, 0xb, 0x80000008,
     "apic clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce mmx msr mtrr nx pae "
     "pat pge pni popcnt pse pse36 sep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc vme"},
    {"Opteron_G1", "AuthenticAMD", 15, 6, 1, 0x5, 0x80000008,
     "apic clflush cmov cx8 de fpu fxsr lm mca mce mmx msr mtrr nx pae pat pge pni pse "
     "pse36 sep sse sse2 syscall tsc vme"},
    {"Opteron_G2", "AuthenticAMD", 15, 6, 1, 0x5, 0x8000000a,
     "apic clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce mmx msr mtrr nx pae "
     "pat pge pni pse pse36 sep sse sse2 svm syscall tsc vme"},
    {"Opteron_G3", "AuthenticAMD", 16, 2, 3, 0x5, 0x8000000a,
     "abm apic clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce misalignsse mmx "
     "monitor msr mtrr nx pae pat pge pni popcnt pse pse36 rdtscp sep sse sse2 sse4a "
     "svm syscall tsc vme"},
    {"Opteron_G4", "AuthenticAMD", 21, 1, 2, 0xd, 0x8000001a,
     "3dnowprefetch abm aes apic avx clflush cmov cx16 cx8 de fma4 fpu fxsr lahf-lm lm "
     "mca mce misalignsse mmx msr mtrr npt nrip-save nx pae pat pclmulqdq pdpe1gb pge "
     "pni popcnt pse pse36 rdtscp sep sse sse2 sse4.1 sse4.2 sse4a ssse3 svm syscall "
     "tsc vme xop xsave"},
    {"Opteron_G5", "AuthenticAMD", 21, 2, 0, 0xd, 0x8000001a,
     "3dnowprefetch abm aes apic avx clflush cmov cx16 cx8 de f16c fma fma4 fpu fxsr "
     "lahf-lm lm mca mce misalignsse mmx msr mtrr npt nrip-save nx pae pat pclmulqdq "
     "pdpe1gb pge pni popcnt pse pse36 rdtscp sep sse sse2 sse4.1 sse4.2 sse4a ssse3 "
     "svm syscall tbm tsc vme xop xsave"},
    {"Penryn", "GenuineIntel", 6, 23, 3, 0xa, 0x80000008,
     "apic clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce mmx msr mtrr nx pae "
     "pat pge pni pse pse36 sep sse sse2 sse4.1 ssse3 syscall tsc vme"},
    {"SandyBridge", "GenuineIntel", 6, 42, 1, 0xd, 0x80000008,
     "aes apic arat avx clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce mmx msr "
     "mtrr nx pae pat pclmulqdq pge pni popcnt pse pse36 rdtscp sep sse sse2 sse4.1 "
     "sse4.2 ssse3 syscall tsc tsc-deadline vme x2apic xsave xsaveopt"},
    {"Skylake-Client", "GenuineIntel", 6, 94, 3, 0xd, 0x80000008,
     "3dnowprefetch abm adx aes apic arat avx avx2 bmi1 bmi2 clflush cmov cx16 cx8 de "
     "erms f16c fma fpu fsgsbase fxsr hle invpcid lahf-lm lm mca mce mmx movbe msr "
     "mtrr nx pae pat pcid pclmulqdq pge pni popcnt pse pse36 rdrand rdseed rdtscp rtm "
     "sep smap smep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc tsc-deadline vme x2apic "
     "xgetbv1 xsave xsavec xsaveopt"},
    {"Skylake-Server", "GenuineIntel", 6, 85, 4, 0xd, 0x80000008,
     "3dnowprefetch abm adx aes apic arat avx avx2 avx512bw avx512cd avx512dq avx512f "
     "avx512vl bmi1 bmi2 clflush clflushopt clwb cmov cx16 cx8 de erms f16c fma fpu "
     "fsgsbase fxsr hle invpcid lahf-lm lm mca mce mmx movbe msr mtrr nx pae pat pcid "
     "pclmulqdq pdpe1gb pge pku pni popcnt pse pse36 rdrand rdseed rdtscp rtm sep smap "
     "smep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc tsc-deadline vme x2apic xgetbv1 "
     "xsave xsavec xsaveopt"},
    {"Westmere", "GenuineIntel", 6, 44, 1, 0xb, 0x80000008,
     "aes apic arat clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce mmx msr mtrr "
     "nx pae pat pclmulqdq pge pni popcnt pse pse36 sep sse sse2 sse4.1 sse4.2 ssse3 "
     "syscall tsc vme"},
    {"athlon", "AuthenticAMD", 6, 2, 3, 0x2, 0x80000008,
     "3dnow 3dnowext apic cmov cx8 de fpu fxsr mca mce mmx mmxext msr mtrr pae pat pge "
     "pse pse36 sep sse sse2 tsc vme"},
    {"core2duo", "GenuineIntel", 6, 15, 11, 0xa, 0x80000008,
     "acpi apic clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce mmx monitor msr "
     "mtrr nx pae pat pge pni pse pse36 sep ss sse sse2 ssse3 syscall tsc vme"},
    {"coreduo", "GenuineIntel", 6, 14, 8, 0xa, 0x80000008,
     "acpi apic clflush cmov cx8 de fpu fxsr mca mce mmx monitor msr mtrr nx pae pat "
     "pge pni pse sep ss sse sse2 tsc vme"},
    {"kvm32", "GenuineIntel", 15, 6, 1, 0x5, 0x80000008,
     "apic clflush cmov cx8 de fpu fxsr mca mce mmx msr mtrr pae pat pge pni pse pse36 "
     "sep sse sse2 tsc vme"},
    {"kvm64", "GenuineIntel", 15, 6, 1, 0xd, 0x80000008,
     "apic clflush cmov cx16 cx8 de fpu fxsr lm mca mce mmx msr mtrr nx pae pat pge "
     "pni pse pse36 sep sse sse2 syscall tsc vme"},
    {"n270", "GenuineIntel", 6, 28, 2, 0xa, 0x80000008,
     "acpi apic clflush cmov cx8 de fpu fxsr lahf-lm mca mce mmx monitor movbe msr "
     "mtrr nx pae pat pge pni pse sep ss sse sse2 ssse3 tsc vme"},
    {"pentium", "GenuineIntel", 5, 4, 3, 0x1, 0x0, "apic cx8 de fpu mce mmx msr pse tsc vme"},
    {"pentium2", "GenuineIntel", 6, 5, 2, 0x2, 0x0,
     "apic cmov cx8 de fpu fxsr mca mce mmx msr mtrr pae pat pge pse pse36 sep tsc vme"},
    {"pentium3", "GenuineIntel", 6, 7, 3, 0x3, 0x0,
     "apic cmov cx8 de fpu fxsr mca mce mmx msr mtrr pae pat pge pse pse36 sep sse tsc "
     "vme"},
    {"phenom", "AuthenticAMD", 16, 2, 3, 0x5, 0x8000001a,
     "3dnow 3dnowext abm apic clflush cmov cx16 cx8 de fpu fxsr fxsr-opt lahf-lm lm "
     "mca mce mmx mmxext monitor msr mtrr npt nx pae pat pdpe1gb pge pni popcnt pse "
     "pse36 rdtscp sep sse sse2 sse4a svm syscall tsc vme"},
    {"qemu32", "GenuineIntel", 6, 6, 3, 0x4, 0x80000004,
     "apic cmov cx8 de fpu fxsr mce mmx msr pae pat pge pni pse sep sse sse2 tsc"},
    {"qemu64", "AuthenticAMD", 15, 107, 1, 0xd, 0x8000000a,
     "apic clflush cmov cx16 cx8 de fpu fxsr lahf-lm lm mca mce mmx msr mtrr nx pae "
     "pat pge pni pse pse36 sep sse sse2 svm syscall tsc"},
};
enum { MODELS = sizeof(models) / sizeof(models[0]) };

static struct cpuid cpuid;
static char error[600];

/* An engine that can do everything, for a socket of so many cores. */
static bool set_up(const char *cpu, const struct topology *topology, const char *lacking)
{
    struct cpu_abilities able = {.engine = "the test",
                                 .identity = {"TestTestTest", "a brand", 6, 1, 2},
                                 .features = features_named(),
                                 .physical_bits = 40,
                                 .linear_bits = 48,
                                 .xsave = {[2] = {256, 576, 0}, [9] = {8, 2688, 0}},
                                 .own = {{0x40000000, 0x40000001, 1, 2, 3}, {0x40000001, 4, 5, 6, 7}}};
    struct features lacks = {{0}};
    struct settings *settings = cpu ? settings_parse("-cpu", cpu, "name") : NULL;

    features_add(&lacks, lacking);
    able.features = features_without(&able.features, &lacks);
    bool done =
        cpuid_set_up(&cpuid, settings, topology, topology_count(topology), &able, error, sizeof(error));
    settings_free(settings);
    return done;
}

static void alone(const char *cpu)
{
    if (!set_up(cpu, &(struct topology){1, 1, 1, 1}, ""))
        fail_msg("%s", error);
}

static void name_seen(void *opaque, const struct feature *feature, const char *name)
{
    char *text = opaque;
    (void)feature;
    strcat(strcat(text, " "), name);
}

static void models_have_their_features(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MODELS; i++) {
        char cpu[100], found[3000] = "";
        struct features expected = {{0}}, more, less;
        snprintf(cpu, sizeof(cpu), "%s,-hypervisor", models[i].name);
        alone(cpu);
        features_add(&expected, models[i].features);
        struct features left_out = {{0}};
        features_add(&left_out, "svm npt nrip-save acpi monitor"); /* unless asked for */
        expected = features_without(&expected, &left_out);
        more = features_without(&cpuid.model.features, &expected);
        less = features_without(&expected, &cpuid.model.features);
        features_each(&more, name_seen, found);
        strcat(found, "; missing");
        features_each(&less, name_seen, found);
        if (strcmp(found, "; missing"))
            fail_msg("%s: too many%s", models[i].name, found);
        assert_string_equal(cpuid.model.identity.vendor, models[i].vendor);
        assert_int_equal(cpuid.model.identity.family, models[i].family);
        assert_int_equal(cpuid.model.identity.model, models[i].model);
        assert_int_equal(cpuid.model.identity.stepping, models[i].stepping);
        assert_int_equal(cpuid.model.level, models[i].level);
        assert_int_equal(cpuid.model.extended_level, models[i].extended_level);
    }
}

/* Where the manuals have them. */
static void features_are_where_they_belong(void **state)
{
    static const struct {
        const char *name;
        uint32_t leaf;
        char reg;
        unsigned bit;
    } bits[] = {
        {"fpu", 1, 'd', 0},
        {"apic", 1, 'd', 9},
        {"sep", 1, 'd', 11},
        {"clflush", 1, 'd', 19},
        {"sse2", 1, 'd', 26},
        {"ht", 1, 'd', 28},
        {"sse3", 1, 'c', 0},
        {"ssse3", 1, 'c', 9},
        {"cx16", 1, 'c', 13},
        {"pcid", 1, 'c', 17},
        {"sse4_2", 1, 'c', 20},
        {"tsc-deadline", 1, 'c', 24},
        {"avx", 1, 'c', 28},
        {"rdrand", 1, 'c', 30},
        {"hypervisor", 1, 'c', 31},
        {"arat", 6, 'a', 2},
        {"fsgsbase", 7, 'b', 0},
        {"bmi1", 7, 'b', 3},
        {"smep", 7, 'b', 7},
        {"invpcid", 7, 'b', 10},
        {"avx512f", 7, 'b', 16},
        {"adx", 7, 'b', 19},
        {"sha-ni", 7, 'b', 29},
        {"avx512vl", 7, 'b', 31},
        {"umip", 7, 'c', 2},
        {"la57", 7, 'c', 16},
        {"rdpid", 7, 'c', 22},
        {"fsrm", 7, 'd', 4},
        {"md-clear", 7, 'd', 10},
        {"spec-ctrl", 7, 'd', 26},
        {"ssbd", 7, 'd', 31},
        {"xsaves", 0xd, 'a', 3},
        {"syscall", 0x80000001, 'd', 11},
        {"nx", 0x80000001, 'd', 20},
        {"lm", 0x80000001, 'd', 29},
        {"3dnow", 0x80000001, 'd', 31},
        {"rdtscp", 0x80000001, 'd', 27},
        {"lahf_lm", 0x80000001, 'c', 0},
        {"abm", 0x80000001, 'c', 5},
        {"topoext", 0x80000001, 'c', 22},
        {"invtsc", 0x80000007, 'd', 8},
        {"ibpb", 0x80000008, 'b', 12},
        {"amd-ssbd", 0x80000008, 'b', 24},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        char cpu[100];
        uint32_t sub = bits[i].leaf == 0xd;
        struct cpuid_leaf with, without;
        snprintf(cpu, sizeof(cpu), "Skylake-Server,+%s", bits[i].name);
        alone(cpu);
        with = cpuid_answer(&cpuid, 0, bits[i].leaf, sub);
        snprintf(cpu, sizeof(cpu), "Skylake-Server,%s=off,level=13,xlevel=0x80000008", bits[i].name);
        alone(cpu);
        without = cpuid_answer(&cpuid, 0, bits[i].leaf, sub);
        uint32_t on = bits[i].reg == 'a'   ? with.eax
                      : bits[i].reg == 'b' ? with.ebx
                      : bits[i].reg == 'c' ? with.ecx
                                           : with.edx;
        uint32_t off = bits[i].reg == 'a'   ? without.eax
                       : bits[i].reg == 'b' ? without.ebx
                       : bits[i].reg == 'c' ? without.ecx
                                            : without.edx;
        if (!(on >> bits[i].bit & 1) || (off >> bits[i].bit & 1))
            fail_msg("%s is not bit %u", bits[i].name, bits[i].bit);
    }
}

static void who_it_is(void **state)
{
    (void)state;
    alone("qemu64");
    struct cpuid_leaf leaf = cpuid_answer(&cpuid, 0, 0, 0);
    assert_int_equal(leaf.eax, 13);
    assert_memory_equal(&leaf.ebx, "Auth", 4);
    assert_memory_equal(&leaf.edx, "enti", 4);
    assert_memory_equal(&leaf.ecx, "cAMD", 4);
    assert_int_equal(cpuid_answer(&cpuid, 0, 1, 0).eax, 0x00060fb1);
    leaf = cpuid_answer(&cpuid, 0, 0x80000002, 0);
    assert_memory_equal(&leaf.eax, "QEMU Virtual CPU", 16);
    alone("EPYC,model-id=abc,vendor=GenuineIntel,stepping=7");
    assert_int_equal(cpuid_answer(&cpuid, 0, 1, 0).eax, 0x00800f17);
    leaf = cpuid_answer(&cpuid, 0, 0x80000002, 0);
    assert_memory_equal(&leaf.eax, "abc\0", 4);
    leaf = cpuid_answer(&cpuid, 0, 0, 0);
    assert_memory_equal(&leaf.ebx, "Genu", 4);
    alone(NULL);
    leaf = cpuid_answer(&cpuid, 0, 0, 0);
    assert_memory_equal(&leaf.ebx, "Test", 4);
    assert_int_equal(cpuid_answer(&cpuid, 0, 1, 0).eax, 0x612);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x40000001, 0).ebx, 5);
    alone("max,kvm=off");
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x40000001, 0).ebx, 0);
}

/* Intel's answer beyond the last leaf with the last basic one, AMD's with nothing. */
static void leaves_that_are_not_there(void **state)
{
    (void)state;
    alone("pentium");
    assert_int_equal(cpuid_answer(&cpuid, 0, 2, 0).eax, cpuid_answer(&cpuid, 0, 1, 0).eax);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x80000000, 0).eax, cpuid_answer(&cpuid, 0, 1, 0).eax);
    alone("athlon");
    assert_int_equal(cpuid_answer(&cpuid, 0, 4, 0).eax, 0);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x80000000, 0).eax, 0x80000008);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x80000009, 0).eax, 0);
}

static void a_feature_lifts_the_highest_leaf(void **state)
{
    (void)state;
    alone("pentium3");
    assert_int_equal(cpuid.model.level, 3);
    alone("pentium3,+smep");
    assert_int_equal(cpuid.model.level, 7);
    assert_int_equal(cpuid_answer(&cpuid, 0, 7, 0).ebx, 1 << 7);
    alone("pentium3,+xsave,+nx");
    assert_int_equal(cpuid.model.level, 13);
    assert_int_equal(cpuid.model.extended_level, 0x80000001);
    alone("pentium3,+smep,level=5");
    assert_int_equal(cpuid.model.level, 5);
    alone("qemu64,+svm");
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x8000000a, 0).eax, 1);
    alone("qemu64");
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x80000001, 0).ecx & 1 << 2, 0);
}

/* 2 sockets of 3 cores of 2 threads: a bit for threads, two for cores. */
static void intel_topology(void **state)
{
    struct topology topology = {2, 1, 3, 2};
    (void)state;
    assert_true(set_up("Haswell", &topology, ""));
    struct cpuid_leaf leaf = cpuid_answer(&cpuid, 11, 1, 0); /* the last: socket 1, core 2, thread 1 */
    assert_int_equal(leaf.ebx >> 24, 8 + 4 + 1);
    assert_int_equal(leaf.ebx >> 16 & 0xff, 6);
    assert_true(leaf.edx & 1 << 28);
    leaf = cpuid_answer(&cpuid, 0, 4, 0);
    assert_int_equal(leaf.eax >> 26, 2);          /* cores - 1 */
    assert_int_equal(leaf.eax >> 14 & 0xfff, 1);  /* L1: a core's two threads */
    assert_int_equal(leaf.eax & 0x1f, 1);         /* data */
    assert_int_equal((leaf.ebx >> 22) + 1, 8);    /* ways */
    assert_int_equal((leaf.ebx & 0xfff) + 1, 64); /* bytes of a line */
    assert_int_equal(leaf.ecx + 1, 64);           /* sets */
    leaf = cpuid_answer(&cpuid, 0, 4, 3);
    assert_int_equal(leaf.eax >> 14 & 0xfff, 7); /* L3: eight identifiers of the socket */
    assert_int_equal(cpuid_answer(&cpuid, 0, 4, 4).eax, 0);
    leaf = cpuid_answer(&cpuid, 7, 0xb, 0);
    assert_int_equal(leaf.eax, 1);
    assert_int_equal(leaf.ebx, 2);
    assert_int_equal(leaf.ecx, 0x100);
    assert_int_equal(leaf.edx, 8 + 1);
    leaf = cpuid_answer(&cpuid, 7, 0xb, 1);
    assert_int_equal(leaf.eax, 3);
    assert_int_equal(leaf.ebx, 6);
    assert_int_equal(leaf.ecx, 0x201);
    leaf = cpuid_answer(&cpuid, 7, 0xb, 2);
    assert_int_equal(leaf.eax | leaf.ebx, 0);
    assert_int_equal(leaf.ecx, 2);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x80000001, 0).ecx & 2, 0); /* CmpLegacy is AMD's */
}

static void dies_have_a_leaf_of_their_own(void **state)
{
    struct topology topology = {1, 2, 2, 2};
    (void)state;
    assert_true(set_up("Skylake-Server", &topology, ""));
    assert_int_equal(cpuid.model.level, 0x1f);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x1f, 1).ecx, 0x201);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x1f, 1).eax, 2);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x1f, 2).ecx, 0x502);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x1f, 2).eax, 3);
    assert_int_equal(cpuid_answer(&cpuid, 7, 0x1f, 2).edx, 7);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xb, 1).eax, 3);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xb, 1).ebx, 8);
}

static void amd_topology(void **state)
{
    struct topology topology = {2, 1, 3, 2};
    (void)state;
    assert_true(set_up("qemu64", &topology, "")); /* gets the leaf for threads */
    assert_true(cpuid.model.extended_level >= 0x8000001e);
    assert_true(cpuid_answer(&cpuid, 0, 0x80000001, 0).ecx & 1 << 22);
    assert_true(cpuid_answer(&cpuid, 0, 0x80000001, 0).ecx & 1 << 1);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x80000008, 0).ecx, 3 << 12 | 5);
    struct cpuid_leaf leaf = cpuid_answer(&cpuid, 11, 0x8000001e, 0);
    assert_int_equal(leaf.eax, 13);
    assert_int_equal(leaf.ebx, 0x102);
    assert_int_equal(leaf.ecx, 1);
    assert_int_equal(cpuid_answer(&cpuid, 0, 4, 0).eax, 0);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x8000001d, 0).eax >> 14 & 0xfff, 1);
    topology = (struct topology){2, 1, 4, 1};
    assert_true(set_up("qemu64", &topology, ""));
    assert_int_equal(cpuid.model.extended_level, 0x8000000a);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0x80000008, 0).ecx, 2 << 12 | 3);
    topology = (struct topology){1, 1, 2, 2};
    assert_true(set_up("qemu64,-topoext", &topology, ""));
    assert_false(cpuid_answer(&cpuid, 0, 0x80000001, 0).ecx & 1 << 22);
}

static void one_cpu_is_not_told_of_others(void **state)
{
    struct topology topology = {4, 1, 1, 1};
    (void)state;
    assert_true(set_up("Haswell", &topology, ""));
    struct cpuid_leaf leaf = cpuid_answer(&cpuid, 3, 1, 0);
    assert_false(leaf.edx & 1 << 28);
    assert_int_equal(leaf.ebx >> 24, 3);
    assert_int_equal(leaf.ebx >> 16 & 0xff, 0);
}

static void xsave_follows_the_features(void **state)
{
    (void)state;
    alone("Haswell");
    assert_int_equal(cpuid_xcr0(&cpuid), 7);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 0).ecx, 832);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 2).eax, 256);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 2).ebx, 576);
    alone("Haswell,-avx");
    assert_int_equal(cpuid_xcr0(&cpuid), 3);
    assert_int_equal(cpuid_answer(&cpuid, 0, 7, 0).ebx & 1 << 5, 0); /* no AVX2 either */
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 0).ecx, 576);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 2).eax, 0);
    alone("Haswell,+pku");
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 0).eax, 7 | 1 << 9);
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 0).ecx, 2696);
    alone("Haswell,xsave=off");
    assert_int_equal(cpuid_answer(&cpuid, 0, 0xd, 0).eax, 0);
    assert_int_equal(cpuid_answer(&cpuid, 0, 1, 0).ecx & 1 << 28, 0);
}

static void what_the_engine_lacks(void **state)
{
    struct topology one = {1, 1, 1, 1};
    (void)state;
    assert_true(set_up("Haswell,check=off", &one, "avx2 hle"));
    assert_int_equal(cpuid_answer(&cpuid, 0, 7, 0).ebx & (1 << 5 | 1 << 4), 0);
    assert_true(cpuid_answer(&cpuid, 0, 7, 0).ebx & 1 << 3);
    assert_false(set_up("Haswell,enforce", &one, "avx2 hle"));
    assert_string_equal(error,
                        "-cpu Haswell,enforce: Host doesn't support requested features: the test has not "
                        "got hle avx2");
    assert_true(set_up("Haswell,enforce,-avx2,hle=off", &one, "avx2 hle"));
    assert_true(set_up("max,enforce", &one, "avx2 hle"));
}

static void nonsense_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"bogus", "unable to find CPU model 'bogus'"},
        {"", "unable to find CPU model ''"},
        {"qemu64,+bogus", "Property 'qemu64-x86_64-cpu.bogus' not found"},
        {"qemu64,-bogus", "Property 'qemu64-x86_64-cpu.bogus' not found"},
        {"qemu64,bogus=1", "Property 'qemu64-x86_64-cpu.bogus' not found"},
        {"qemu64,+-", "Property 'qemu64-x86_64-cpu.-' not found"},
        {"qemu64,+", "Property 'qemu64-x86_64-cpu.' not found"},
        {"qemu64,fma=x", "Parameter 'fma' expects 'on' or 'off'"},
        {"qemu64,vendor=foo", "Property '.vendor' doesn't take value 'foo'"},
        {"qemu64,family=271", "Parameter 'family' expects a number up to 270"},
        {"qemu64,model=256", "Parameter 'model' expects a number up to 255"},
        {"qemu64,stepping=16", "Parameter 'stepping' expects a number up to 15"},
        {"qemu64,phys-bits=20", "phys-bits should be between 32 and 52  (but is 20)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[300];
        snprintf(expected, sizeof(expected), "-cpu %s: %s", cases[i][0], cases[i][1]);
        assert_false(set_up(cases[i][0], &(struct topology){1, 1, 1, 1}, ""));
        assert_string_equal(error, *cases[i][0] ? expected : "-cpu : unable to find CPU model ''");
    }
}

/* Every leaf and sub-leaf of every model answers. */
static void all_leaves(void **state)
{
    struct topology topology = {3, 2, 5, 3};
    (void)state;
    for (unsigned i = 0; i < MODELS; i++) {
        assert_true(set_up(models[i].name, &topology, ""));
        for (unsigned leaf = 0; leaf < 0x40; leaf++)
            for (unsigned sub = 0; sub < 80; sub++) {
                cpuid_answer(&cpuid, 89, leaf, sub);
                cpuid_answer(&cpuid, 89, 0x80000000 + leaf, sub);
                cpuid_answer(&cpuid, 89, 0x40000000 + leaf, sub);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_have_their_features),
        cmocka_unit_test(features_are_where_they_belong),
        cmocka_unit_test(who_it_is),
        cmocka_unit_test(leaves_that_are_not_there),
        cmocka_unit_test(a_feature_lifts_the_highest_leaf),
        cmocka_unit_test(intel_topology),
        cmocka_unit_test(dies_have_a_leaf_of_their_own),
        cmocka_unit_test(amd_topology),
        cmocka_unit_test(one_cpu_is_not_told_of_others),
        cmocka_unit_test(xsave_follows_the_features),
        cmocka_unit_test(what_the_engine_lacks),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(all_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
