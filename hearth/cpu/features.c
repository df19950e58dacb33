/* Sources: SDM volume 2, CPUID; AMD APM volume 3, appendix E. The names are QEMU's. */
#include "cpu/features.h"

#include <assert.h>
#include <string.h>

/* Bit 0 first; `-` has no name. Leaf 8000_0001h EDX repeats bits of leaf 1 on AMD's: those have no names here. */
static const struct {
    const char *place, *names;
} words[FEATURE_WORDS] = {
    [WORD_1_EDX] = {"CPUID.01H:EDX", "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat "
                                     "pse36 pn clflush - ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    [WORD_1_ECX] = {"CPUID.01H:ECX",
                    "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr pdcm - "
                    "pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave - avx f16c rdrand "
                    "hypervisor"},
    [WORD_6_EAX] = {"CPUID.06H:EAX", "- - arat"},
    [WORD_7_EBX] = {"CPUID.07H:EBX",
                    "fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - avx512f "
                    "avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er "
                    "avx512cd sha-ni avx512bw avx512vl"},
    [WORD_7_ECX] = {"CPUID.07H:ECX",
                    "- avx512vbmi umip pku - waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni "
                    "avx512bitalg - avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect cldemote - "
                    "movdiri movdir64b - sgxlc pks"},
    [WORD_7_EDX] = {"CPUID.07H:EDX",
                    "- - avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - - "
                    "serialize - tsx-ldtrk - - arch-lbr - - amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl "
                    "stibp - arch-capabilities core-capability ssbd"},
    [WORD_7_1_EAX] = {"CPUID.07H_1H:EAX", "- - - - avx-vnni avx512-bf16"},
    [WORD_D_1_EAX] = {"CPUID.0DH_1H:EAX", "xsaveopt xsavec xgetbv1 xsaves xfd"},
    [WORD_8000_0001_EDX] = {"CPUID.80000001H:EDX",
                            "- - - - - - - - - - - syscall - - - - - - - - nx - mmxext - - fxsr-opt pdpe1gb "
                            "rdtscp - lm 3dnowext 3dnow"},
    [WORD_8000_0001_ECX] = {"CPUID.80000001H:ECX",
                            "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch "
                            "osvw ibs xop skinit wdt - lwp fma4 tce - nodeid-msr - tbm topoext perfctr-core "
                            "perfctr-nb"},
    [WORD_8000_0007_EDX] = {"CPUID.80000007H:EDX", "- - - - - - - - invtsc"},
    [WORD_8000_0008_EBX] =
        {"CPUID.80000008H:EBX",
         "clzero - xsaveerptr - - - - - - wbnoinvd - - ibpb - ibrs amd-stibp - - - - - - - "
         "- amd-ssbd virt-ssbd amd-no-ssb"},
    [WORD_8000_000A_EDX] = {"CPUID.8000000AH:EDX",
                            "npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists - - "
                            "pause-filter - pfthreshold avic - v-vmsave-vmload vgif - - - - - - - - - - - "
                            "svme-addr-chk"},
};

/* Other spellings, beside `_` for `-`. */
static const struct {
    const char *spelling, *name;
} aliases[] = {
    {"sse3", "pni"}, {"pclmuldq", "pclmulqdq"}, {"sse4-1", "sse4.1"}, {"sse4-2", "sse4.2"},
    {"xd", "nx"},    {"ffxsr", "fxsr-opt"},     {"i64", "lm"},        {"lzcnt", "abm"},
};

static size_t name_length(const char *names)
{
    return strcspn(names, " ");
}

static const char *name_next(const char *name)
{
    name += name_length(name);
    return name + (*name == ' ');
}

static bool same(const char *name, const char *typed, size_t length)
{
    if (name_length(name) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (name[i] != (typed[i] == '_' ? '-' : typed[i]))
            return false;
    return true;
}

static bool find_exactly(const char *name, size_t length, struct feature *feature)
{
    if (same("-", name, length))
        return false;
    for (unsigned word = 0; word < FEATURE_WORDS; word++) {
        uint32_t bit = 1;
        for (const char *at = words[word].names; *at; at = name_next(at), bit <<= 1)
            if (same(at, name, length)) {
                *feature = (struct feature){word, bit};
                return true;
            }
    }
    return false;
}

bool feature_find(const char *name, size_t length, struct feature *feature)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (same(aliases[i].spelling, name, length))
            return find_exactly(aliases[i].name, strlen(aliases[i].name), feature);
    return find_exactly(name, length, feature);
}

void features_add(struct features *features, const char *list)
{
    for (; *list; list = name_next(list)) {
        struct feature feature;
        bool found = feature_find(list, name_length(list), &feature);
        assert(found);
        if (found)
            features->word[feature.word] |= feature.bit;
    }
}

bool features_have(const struct features *features, const char *name)
{
    struct feature feature;
    bool found = feature_find(name, strlen(name), &feature);
    assert(found);
    return found && features->word[feature.word] & feature.bit;
}

struct features features_without(const struct features *these, const struct features *those)
{
    struct features left;
    for (unsigned word = 0; word < FEATURE_WORDS; word++)
        left.word[word] = these->word[word] & ~those->word[word];
    return left;
}

bool features_none(const struct features *features)
{
    uint32_t any = 0;
    for (unsigned word = 0; word < FEATURE_WORDS; word++)
        any |= features->word[word];
    return !any;
}

void features_each(const struct features *features,
                   void (*seen)(void *opaque, const struct feature *feature, const char *name), void *opaque)
{
    for (unsigned word = 0; word < FEATURE_WORDS; word++) {
        const char *at = words[word].names;
        for (uint32_t bit = 1; bit; bit <<= 1) {
            char name[FEATURE_NAME_SIZE] = "";
            if (*at != '-')
                memcpy(name, at, name_length(at));
            at = name_next(at);
            if (features->word[word] & bit)
                seen(opaque, &(struct feature){word, bit}, name);
        }
    }
}

struct features features_named(void)
{
    struct features all = {0};
    for (unsigned word = 0; word < FEATURE_WORDS; word++) {
        uint32_t bit = 1;
        for (const char *at = words[word].names; *at; at = name_next(at), bit <<= 1)
            if (*at != '-')
                all.word[word] |= bit;
    }
    return all;
}

const char *feature_word_place(enum feature_word word)
{
    return words[word].place;
}
