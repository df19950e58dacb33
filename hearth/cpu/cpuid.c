/*
 * The leaves of CPUID.
 *
 * Left out: MONITOR's leaf 5, the performance monitor (Ah), everything from Fh up but 1Fh. The caches are those that
 * QEMU tells of; on hosts with others that is as true. Sources: SDM volume 2, CPUID, and volume 3, 9.9; AMD APM volume 3,
 * appendix E.
 */
#include "cpu/cpuid.h"

#include <string.h>

enum leaf {
    LEAF_VENDOR = 0,
    LEAF_FEATURES = 1,
    LEAF_CACHE_DESCRIPTORS = 2,
    LEAF_CACHES = 4,
    LEAF_POWER = 6,
    LEAF_MORE_FEATURES = 7,
    LEAF_TOPOLOGY = 0xb,
    LEAF_XSAVE = 0xd,
    LEAF_DIES = 0x1f,
    LEAF_HYPERVISOR = 0x40000000,
    LEAF_HYPERVISOR_LAST = 0x4fffffff,
};

enum extended_leaf {
    EXTENDED_VENDOR,
    EXTENDED_FEATURES,
    EXTENDED_BRAND,
    EXTENDED_BRAND_LAST = 4,
    EXTENDED_L1,
    EXTENDED_L2,
    EXTENDED_POWER,
    EXTENDED_SIZES,
    EXTENDED_SVM = 0xa,
    EXTENDED_CACHES = 0x1d,
    EXTENDED_TOPOLOGY = 0x1e,
};
#define EXTENDED 0x80000000u

enum {
    CACHE_LINE = 64,
    CORES_FIELD_MOST = 63, /* of leaf 4 */

    DESCRIPTOR_L1_DATA = 0x2c, /* 32 KiB, 8 ways */
    DESCRIPTOR_L1_CODE = 0x30,
    DESCRIPTOR_L2 = 0x7d, /* 2 MiB */
    DESCRIPTOR_L3 = 0x4d, /* 16 MiB */

    LEVEL_THREAD = 1, /* of leaves 0Bh and 1Fh */
    LEVEL_CORE = 2,
    LEVEL_DIE = 5,
    LEVEL_TYPE_SHIFT = 8,

    SVM_REVISION = 1,
    SVM_ASIDS = 16,
};
/* 4 KiB and large pages, 255 entries each; 512 and none. */
#define TLB_L1 0x01ff01ffu
#define TLB_L2 0x42004200u

enum cache_kind { CACHE_DATA = 1, CACHE_CODE, CACHE_UNIFIED };
enum cache_sharing { SHARED_BY_CORE, SHARED_BY_DIE };

struct cache {
    enum cache_kind kind;
    unsigned level, kib, ways;
    enum cache_sharing sharing;
    uint32_t flags; /* EDX of leaf 4 */
};

enum { CACHES = 4, L1_DATA = 0, L1_CODE, L2, L3 };
enum { WBINVD_OWN_ONLY = 1, INCLUSIVE = 2, COMPLEX_INDEX = 4 };

static const struct cache caches_intel[CACHES] = {
    {CACHE_DATA, 1, 32, 8, SHARED_BY_CORE, WBINVD_OWN_ONLY},
    {CACHE_CODE, 1, 32, 8, SHARED_BY_CORE, WBINVD_OWN_ONLY},
    {CACHE_UNIFIED, 2, 4096, 16, SHARED_BY_CORE, WBINVD_OWN_ONLY},
    {CACHE_UNIFIED, 3, 16384, 16, SHARED_BY_DIE, INCLUSIVE | COMPLEX_INDEX},
};
static const struct cache caches_amd[CACHES] = {
    {CACHE_DATA, 1, 64, 2, SHARED_BY_CORE, WBINVD_OWN_ONLY},
    {CACHE_CODE, 1, 64, 2, SHARED_BY_CORE, WBINVD_OWN_ONLY},
    {CACHE_UNIFIED, 2, 512, 16, SHARED_BY_CORE, 0},
    {CACHE_UNIFIED, 3, 16384, 16, SHARED_BY_DIE, INCLUSIVE | COMPLEX_INDEX},
};
static const struct cache caches_zen[CACHES] = {
    {CACHE_DATA, 1, 32, 8, SHARED_BY_CORE, WBINVD_OWN_ONLY},
    {CACHE_CODE, 1, 64, 4, SHARED_BY_CORE, WBINVD_OWN_ONLY},
    {CACHE_UNIFIED, 2, 512, 8, SHARED_BY_CORE, 0},
    {CACHE_UNIFIED, 3, 8192, 16, SHARED_BY_DIE, INCLUSIVE | COMPLEX_INDEX},
};
enum { FAMILY_ZEN = 0x17 };

static bool is_intel(const struct cpuid *cpuid)
{
    return !strcmp(cpuid->model.identity.vendor, "GenuineIntel");
}

static bool is_amd(const struct cpuid *cpuid)
{
    return !strcmp(cpuid->model.identity.vendor, "AuthenticAMD");
}

static const struct cache *caches_of(const struct cpuid *cpuid)
{
    return !is_amd(cpuid)                               ? caches_intel
           : cpuid->model.identity.family >= FAMILY_ZEN ? caches_zen
                                                        : caches_amd;
}

static uint32_t four(const char *text)
{
    uint32_t value;

    memcpy(&value, text, sizeof(value));
    return value;
}

static uint32_t feature_word(const struct cpuid *cpuid, enum feature_word word)
{
    return cpuid->model.features.word[word];
}

uint32_t cpuid_signature(const struct cpu_identity *identity)
{
    uint32_t family = identity->family < 0xf ? identity->family : 0xf, extended = identity->family - family;

    return extended << 20 | (identity->model & 0xf0) << 12 | family << 8 | (identity->model & 0xf) << 4 |
           identity->stepping;
}

/* ---- basic leaves */

static struct cpuid_leaf vendor(const struct cpuid *cpuid, uint32_t last)
{
    const char *name = cpuid->model.identity.vendor;

    return (struct cpuid_leaf){.eax = last, .ebx = four(name), .ecx = four(name + 8), .edx = four(name + 4)};
}

/* Logical CPUs of a package. */
static unsigned package_cpus(const struct topology *topology)
{
    return topology_count(topology) / topology->sockets;
}

static struct cpuid_leaf features(const struct cpuid *cpuid, unsigned cpu)
{
    bool several = package_cpus(&cpuid->topology) > 1;

    return (struct cpuid_leaf){
        .eax = cpuid_signature(&cpuid->model.identity),
        .ebx = topology_apic_id(&cpuid->topology, cpu) << 24 |
               (several ? package_cpus(&cpuid->topology) << 16 : 0) | CACHE_LINE / 8 << 8,
        .ecx = feature_word(cpuid, WORD_1_ECX),
        .edx = feature_word(cpuid, WORD_1_EDX),
    };
}

static struct cpuid_leaf cache_descriptors(const struct cpuid *cpuid)
{
    if (!is_intel(cpuid))
        return (struct cpuid_leaf){0};
    return (struct cpuid_leaf){.eax = 1,
                               .ecx = DESCRIPTOR_L3,
                               .edx = DESCRIPTOR_L1_DATA << 16 | DESCRIPTOR_L1_CODE << 8 | DESCRIPTOR_L2};
}

/* Leaf 4, and 8000_001Dh but for its cores. A cache is shared by as many APIC identifiers as the level has room for. */
static struct cpuid_leaf cache_parameters(const struct cpuid *cpuid, uint32_t sub)
{
    if (sub >= CACHES)
        return (struct cpuid_leaf){0};
    const struct cache *cache = &caches_of(cpuid)[sub];
    unsigned shift = cache->sharing == SHARED_BY_CORE ? topology_core_shift(&cpuid->topology)
                                                      : topology_die_shift(&cpuid->topology);
    enum { SELF_INITIALIZING = 1 << 8 };

    return (struct cpuid_leaf){
        .eax = cache->kind | cache->level << 5 | SELF_INITIALIZING | ((1u << shift) - 1) << 14,
        .ebx = (cache->ways - 1) << 22 | (CACHE_LINE - 1),
        .ecx = cache->kib * 1024 / (cache->ways * CACHE_LINE) - 1,
        .edx = cache->flags,
    };
}

static struct cpuid_leaf caches(const struct cpuid *cpuid, uint32_t sub)
{
    unsigned cores = cpuid->topology.dies * cpuid->topology.cores;
    struct cpuid_leaf answer = {0};

    if (!is_intel(cpuid))
        return answer;
    answer = cache_parameters(cpuid, sub);
    if (answer.eax)
        answer.eax |= (cores - 1 < CORES_FIELD_MOST ? cores - 1 : CORES_FIELD_MOST) << 26;
    return answer;
}

static struct cpuid_leaf more_features(const struct cpuid *cpuid, uint32_t sub)
{
    uint32_t further = feature_word(cpuid, WORD_7_1_EAX);

    if (sub == 1)
        return (struct cpuid_leaf){.eax = further};
    if (sub > 1)
        return (struct cpuid_leaf){0};
    return (struct cpuid_leaf){.eax = further != 0,
                               .ebx = feature_word(cpuid, WORD_7_EBX),
                               .ecx = feature_word(cpuid, WORD_7_ECX),
                               .edx = feature_word(cpuid, WORD_7_EDX)};
}

/* Leaf 0Bh has threads and cores, dies counting as more cores; leaf 1Fh has dies too. */
static struct cpuid_leaf topology_level(const struct cpuid *cpuid, unsigned cpu, uint32_t sub, bool dies)
{
    const struct topology *at = &cpuid->topology;
    struct cpuid_leaf answer = {.ecx = sub & 0xff, .edx = topology_apic_id(at, cpu)};
    unsigned levels = dies ? 3 : 2;

    if (sub == 0) {
        answer.eax = topology_core_shift(at);
        answer.ebx = at->threads;
        answer.ecx |= LEVEL_THREAD << LEVEL_TYPE_SHIFT;
    } else if (sub == 1 && dies) {
        answer.eax = topology_die_shift(at);
        answer.ebx = at->cores * at->threads;
        answer.ecx |= LEVEL_CORE << LEVEL_TYPE_SHIFT;
    } else if (sub < levels) {
        answer.eax = topology_socket_shift(at);
        answer.ebx = package_cpus(at);
        answer.ecx |= (dies ? LEVEL_DIE : LEVEL_CORE) << LEVEL_TYPE_SHIFT;
    }
    return answer;
}

uint64_t cpuid_xcr0(const struct cpuid *cpuid)
{
    static const struct {
        const char *feature;
        uint64_t bits;
    } rules[] = {{"avx", 1 << 2}, {"mpx", 3 << 3}, {"avx512f", 7 << 5}, {"pku", 1 << 9}};
    uint64_t xcr0 = 3; /* x87, SSE */

    if (!features_have(&cpuid->model.features, "xsave"))
        return 0;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (features_have(&cpuid->model.features, rules[i].feature))
            xcr0 |= rules[i].bits;
    return xcr0;
}

uint32_t cpuid_xsave_size(const struct cpuid *cpuid, uint64_t xcr0)
{
    uint32_t size = XSAVE_LEGACY_SIZE;

    for (unsigned i = 2; i < XSAVE_COMPONENTS_MOST; i++) {
        uint32_t end = cpuid->able.xsave[i].offset + cpuid->able.xsave[i].size;
        if (xcr0 >> i & 1 && end > size)
            size = end;
    }
    return size;
}

static struct cpuid_leaf xsave(const struct cpuid *cpuid, uint32_t sub)
{
    uint64_t xcr0 = cpuid_xcr0(cpuid);

    if (!xcr0)
        return (struct cpuid_leaf){0};
    if (sub == 0)
        return (struct cpuid_leaf){.eax = (uint32_t)xcr0,
                                   .ebx = XSAVE_LEGACY_SIZE,
                                   .ecx = cpuid_xsave_size(cpuid, xcr0),
                                   .edx = (uint32_t)(xcr0 >> 32)};
    if (sub == 1)
        return (struct cpuid_leaf){.eax = feature_word(cpuid, WORD_D_1_EAX)};
    if (sub >= XSAVE_COMPONENTS_MOST || !(xcr0 >> sub & 1))
        return (struct cpuid_leaf){0};
    return (struct cpuid_leaf){.eax = cpuid->able.xsave[sub].size,
                               .ebx = cpuid->able.xsave[sub].offset,
                               .ecx = cpuid->able.xsave[sub].flags};
}

/* ---- extended leaves */

/* On AMD's processors EDX repeats what leaf 1 has at the same place. */
static struct cpuid_leaf extended_features(const struct cpuid *cpuid)
{
    const uint32_t repeated = 0x0183f3ff;
    struct cpuid_leaf answer = {.eax = cpuid_signature(&cpuid->model.identity),
                                .ecx = feature_word(cpuid, WORD_8000_0001_ECX),
                                .edx = feature_word(cpuid, WORD_8000_0001_EDX)};

    if (is_amd(cpuid))
        answer.edx |= feature_word(cpuid, WORD_1_EDX) & repeated;
    return answer;
}

static struct cpuid_leaf brand(const struct cpuid *cpuid, uint32_t part)
{
    const char *text = cpuid->model.identity.brand + 16 * part;

    return (struct cpuid_leaf){
        .eax = four(text), .ebx = four(text + 4), .ecx = four(text + 8), .edx = four(text + 12)};
}

static struct cpuid_leaf amd_l1(const struct cpuid *cpuid)
{
    const struct cache *cache = caches_of(cpuid);
    enum { ONE_LINE_A_TAG = 1 << 8 };
    uint32_t data = cache[L1_DATA].kib << 24 | cache[L1_DATA].ways << 16 | ONE_LINE_A_TAG | CACHE_LINE;
    uint32_t code = cache[L1_CODE].kib << 24 | cache[L1_CODE].ways << 16 | ONE_LINE_A_TAG | CACHE_LINE;

    if (!is_amd(cpuid))
        return (struct cpuid_leaf){0};
    return (struct cpuid_leaf){.eax = TLB_L1, .ebx = TLB_L1, .ecx = data, .edx = code};
}

/* The second level on Intel's too. */
static struct cpuid_leaf amd_l2(const struct cpuid *cpuid)
{
    static const uint8_t codes[] = {[1] = 1, [2] = 2, [4] = 4, [8] = 6, [16] = 8}; /* of associativity */
    const struct cache *cache = caches_of(cpuid);
    enum { ONE_LINE_A_TAG = 1 << 8, L3_UNIT = 512 };
    struct cpuid_leaf answer = {.ecx = cache[L2].kib << 16 | (uint32_t)codes[cache[L2].ways] << 12 |
                                       ONE_LINE_A_TAG | CACHE_LINE};

    if (is_amd(cpuid)) {
        answer.ebx = TLB_L2;
        answer.edx = cache[L3].kib / L3_UNIT << 18 | (uint32_t)codes[cache[L3].ways] << 12 | ONE_LINE_A_TAG |
                     CACHE_LINE;
    }
    return answer;
}

static struct cpuid_leaf sizes(const struct cpuid *cpuid)
{
    const struct cpu_model *model = &cpuid->model;
    unsigned physical = cpuid->able.physical_bits, cpus = package_cpus(&cpuid->topology);
    struct cpuid_leaf answer = {.ebx = feature_word(cpuid, WORD_8000_0008_EBX)};

    if (model->physical_bits && model->physical_bits < physical)
        physical = model->physical_bits;
    if (!features_have(&model->features, "lm"))
        physical = features_have(&model->features, "pse36") ? 36 : 32;
    answer.eax = (features_have(&model->features, "lm") ? cpuid->able.linear_bits : 32) << 8 | physical;
    if (is_amd(cpuid) && cpus > 1)
        answer.ecx = topology_socket_shift(&cpuid->topology) << 12 | (cpus - 1);
    return answer;
}

static struct cpuid_leaf svm(const struct cpuid *cpuid)
{
    if (!features_have(&cpuid->model.features, "svm"))
        return (struct cpuid_leaf){0};
    return (struct cpuid_leaf){
        .eax = SVM_REVISION, .ebx = SVM_ASIDS, .edx = feature_word(cpuid, WORD_8000_000A_EDX)};
}

static struct cpuid_leaf amd_topology(const struct cpuid *cpuid, unsigned cpu)
{
    const struct topology *topology = &cpuid->topology;
    struct cpu_place place = topology_place(topology, cpu);

    return (struct cpuid_leaf){
        .eax = topology_apic_id(topology, cpu),
        .ebx = (topology->threads - 1) << 8 | ((place.die * topology->cores + place.core) & 0xff),
        .ecx = ((topology->dies - 1) & 7) << 8 | ((place.socket * topology->dies + place.die) & 0xff),
    };
}

static struct cpuid_leaf extended(const struct cpuid *cpuid, unsigned cpu, uint32_t leaf, uint32_t sub)
{
    bool topology = features_have(&cpuid->model.features, "topoext");

    switch (leaf) {
    case EXTENDED_VENDOR: return vendor(cpuid, cpuid->model.extended_level);
    case EXTENDED_FEATURES: return extended_features(cpuid);
    case EXTENDED_BRAND:
    case EXTENDED_BRAND + 1:
    case EXTENDED_BRAND_LAST: return brand(cpuid, leaf - EXTENDED_BRAND);
    case EXTENDED_L1: return amd_l1(cpuid);
    case EXTENDED_L2: return amd_l2(cpuid);
    case EXTENDED_POWER: return (struct cpuid_leaf){.edx = feature_word(cpuid, WORD_8000_0007_EDX)};
    case EXTENDED_SIZES: return sizes(cpuid);
    case EXTENDED_SVM: return svm(cpuid);
    case EXTENDED_CACHES: return topology ? cache_parameters(cpuid, sub) : (struct cpuid_leaf){0};
    case EXTENDED_TOPOLOGY: return topology ? amd_topology(cpuid, cpu) : (struct cpuid_leaf){0};
    default: return (struct cpuid_leaf){0};
    }
}

/* ---- all */

static struct cpuid_leaf basic(const struct cpuid *cpuid, unsigned cpu, uint32_t leaf, uint32_t sub)
{
    switch (leaf) {
    case LEAF_VENDOR: return vendor(cpuid, cpuid->model.level);
    case LEAF_FEATURES: return features(cpuid, cpu);
    case LEAF_CACHE_DESCRIPTORS: return cache_descriptors(cpuid);
    case LEAF_CACHES: return caches(cpuid, sub);
    case LEAF_POWER: return (struct cpuid_leaf){.eax = feature_word(cpuid, WORD_6_EAX)};
    case LEAF_MORE_FEATURES: return more_features(cpuid, sub);
    case LEAF_TOPOLOGY: return topology_level(cpuid, cpu, sub, false);
    case LEAF_XSAVE: return xsave(cpuid, sub);
    case LEAF_DIES: return topology_level(cpuid, cpu, sub, true);
    default: return (struct cpuid_leaf){0};
    }
}

static struct cpuid_leaf own(const struct cpuid *cpuid, uint32_t leaf)
{
    for (unsigned i = 0; i < CPUID_OWN_MOST && cpuid->model.signature; i++)
        if (cpuid->able.own[i].leaf == leaf)
            return cpuid->able.own[i];
    return (struct cpuid_leaf){0};
}

/* Beyond the last leaf Intel's processors answer the last basic one, AMD's zeros. */
struct cpuid_leaf cpuid_answer(const struct cpuid *cpuid, unsigned cpu, uint32_t leaf, uint32_t sub)
{
    const struct cpu_model *model = &cpuid->model;

    if (leaf >= LEAF_HYPERVISOR && leaf <= LEAF_HYPERVISOR_LAST)
        return own(cpuid, leaf);
    if (leaf <= model->level)
        return basic(cpuid, cpu, leaf, sub);
    if (leaf >= EXTENDED && leaf <= model->extended_level)
        return extended(cpuid, cpu, leaf - EXTENDED, sub);
    return is_intel(cpuid) ? basic(cpuid, cpu, model->level, sub) : (struct cpuid_leaf){0};
}

bool cpuid_has_subleaves(uint32_t leaf)
{
    return leaf == LEAF_CACHES || leaf == LEAF_MORE_FEATURES || leaf == LEAF_TOPOLOGY || leaf == LEAF_XSAVE ||
           leaf == LEAF_DIES || leaf == EXTENDED + EXTENDED_CACHES;
}
