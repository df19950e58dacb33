/* From model, topology and engine to the features of a guest's CPU. Sources: as cpuid.c. */
#include <string.h>

#include "core/log.h"
#include "cpu/cpuid.h"

#define AMD "AuthenticAMD"

/* What QEMU's models name and its KVM guests get on demand only: nested virtualization, and what the firmware would
 * have to describe. */
#define ON_DEMAND "svm npt nrip-save vmx acpi monitor"

/* Told by CPUID alone: every engine can. */
#define TOLD_ONLY "ht cmp-legacy topoext hypervisor"

struct list {
    char text[400];
};

static void list_add(void *opaque, const struct feature *feature, const char *name)
{
    struct list *list = opaque;
    size_t used = strlen(list->text);
    (void)feature;
    snprintf(list->text + used, sizeof(list->text) - used, "%s%s", used ? " " : "", name);
}

static struct features features_of(const char *names)
{
    struct features features = {0};
    features_add(&features, names);
    return features;
}

static void take_away(struct features *from, const struct features *what)
{
    *from = features_without(from, what);
}

static void unite(struct features *to, const struct features *more)
{
    for (unsigned word = 0; word < FEATURE_WORDS; word++)
        to->word[word] |= more->word[word];
}

static void intersect(struct features *to, const struct features *with)
{
    for (unsigned word = 0; word < FEATURE_WORDS; word++)
        to->word[word] &= with->word[word];
}

/* Several threads of an AMD core are told of in a leaf that TopologyExtensions announces: a model that has not got it
 * gets it then. */
static void topology_features(struct cpuid *cpuid)
{
    struct cpu_model *model = &cpuid->model;
    struct features several = features_of("ht"), not_told;
    const struct topology *topology = &cpuid->topology;

    if (!strcmp(model->identity.vendor, AMD)) {
        features_add(&several, "cmp-legacy");
        if (topology->threads > 1)
            features_add(&several, "topoext");
    }
    not_told = features_of("ht cmp-legacy");
    take_away(&not_told, &model->added);
    take_away(&model->features, &not_told);
    take_away(&several, &model->dropped);
    if (topology_count(topology) > topology->sockets && model->level >= 1)
        unite(&model->features, &several);
}

/* Without the state that XSAVE keeps there are no instructions that need it. */
static void dependencies(struct features *features)
{
    static const struct {
        const char *without, *no;
    } rules[] = {
        {"xsave", "xsaveopt xsavec xgetbv1 xsaves xfd avx mpx pku avx512f"},
        {"avx", "avx2 fma f16c fma4 xop vaes vpclmulqdq avx512f"},
        {"avx512f", "avx512dq avx512ifma avx512pf avx512er avx512cd avx512bw avx512vl avx512vbmi avx512vbmi2 "
                    "avx512vnni avx512bitalg avx512-vpopcntdq avx512-4vnniw avx512-4fmaps "
                    "avx512-vp2intersect avx512-bf16 avx512-fp16"},
        {"svm", "npt lbrv svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists pause-filter "
                "pfthreshold avic v-vmsave-vmload vgif svme-addr-chk"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct features no = features_of(rules[i].no);
        if (!features_have(features, rules[i].without))
            take_away(features, &no);
    }
}

static bool any(const struct features *features, enum feature_word word)
{
    return features->word[word] != 0;
}

static void at_least(uint32_t *level, bool needed, uint32_t leaf)
{
    if (needed && *level < leaf)
        *level = leaf;
}

/* A feature in a leaf that the model hasn't got lifts its highest leaf. */
static void levels(struct cpuid *cpuid)
{
    struct cpu_model *model = &cpuid->model;
    const struct features *has = &model->features;
    bool intel = !strcmp(model->identity.vendor, "GenuineIntel");

    if (!model->level_given) {
        at_least(&model->level, any(has, WORD_1_EDX) || any(has, WORD_1_ECX), 1);
        at_least(&model->level, any(has, WORD_6_EAX), 6);
        at_least(&model->level, any(has, WORD_7_EBX) || any(has, WORD_7_ECX) || any(has, WORD_7_EDX), 7);
        at_least(&model->level, features_have(has, "xsave"), 0xd);
        at_least(&model->level, intel && cpuid->topology.dies > 1 && model->level >= 0xb, 0x1f);
    }
    if (!model->extended_level_given) {
        at_least(&model->extended_level, any(has, WORD_8000_0001_EDX) || any(has, WORD_8000_0001_ECX),
                 0x80000001);
        at_least(&model->extended_level, any(has, WORD_8000_0007_EDX), 0x80000007);
        at_least(&model->extended_level, any(has, WORD_8000_0008_EBX), 0x80000008);
        at_least(&model->extended_level, features_have(has, "svm"), 0x8000000a);
        at_least(&model->extended_level, features_have(has, "topoext"), 0x8000001e);
    }
}

bool cpuid_set_up(struct cpuid *cpuid, struct settings *settings, const struct topology *topology,
                  unsigned cpus, const struct cpu_abilities *able, char *error, size_t error_size)
{
    struct cpu_model *model = &cpuid->model;
    struct features on_demand = features_of(ON_DEMAND), can = able->features, told = features_of(TOLD_ONLY);
    struct list missing = {""};

    cpuid->topology = topology->threads ? *topology : (struct topology){1, 1, cpus, 1};
    cpuid->able = *able;
    cpu_model_read(model, settings, &able->identity);
    if (settings && settings_error(settings)) {
        snprintf(error, error_size, "%s", settings_error(settings));
        return false;
    }
    unite(&can, &told);
    if (features_have(&model->features, "hypervisor"))
        unite(&model->features, &able->given);
    if (model->all)
        unite(&model->features, &able->features);
    take_away(&on_demand, &model->added);
    take_away(&model->features, &on_demand);
    take_away(&model->features, &model->dropped);
    topology_features(cpuid);
    struct features lacking = features_without(&model->features, &can);
    features_each(&lacking, list_add, &missing);
    intersect(&model->features, &can);
    dependencies(&model->features);
    levels(cpuid);
    if (!missing.text[0] || !settings)
        return true;
    if (model->enforce) {
        snprintf(error, error_size,
                 "-cpu %s,enforce: Host doesn't support requested features: %s has not got %s",
                 cpu_model_name(settings), able->engine, missing.text);
        return false;
    }
    if (model->check)
        warn("-cpu %s: %s has not got %s; the guest goes without", cpu_model_name(settings), able->engine,
             missing.text);
    return true;
}
