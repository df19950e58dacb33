/*
 * Left out: the numbered versions of QEMU's models (Haswell-v4, Haswell-noTSX ...); a model is its first version.
 * Sources: the processors' CPUID as the vendors document it, in the choice of features that QEMU 7.2's models make.
 */
#include "cpu/models.h"

#include <stdlib.h>
#include <string.h>

/* What each has over the one before. */
#define I486     "fpu vme pse"
#define PENTIUM  I486 " de tsc msr mce cx8 mmx apic"
#define PENTIUM2 PENTIUM " pae sep mtrr pge mca cmov pat pse36 fxsr"
#define PENTIUM3 PENTIUM2 " sse"
#define YONAH                                                                                                \
    "fpu vme pse de tsc msr mce cx8 mmx apic pae sep mtrr pge mca cmov pat fxsr sse sse2 clflush acpi ss "   \
    "pni monitor nx"
#define PRESCOTT       PENTIUM3 " sse2 clflush pni"
#define X86_64         PRESCOTT " syscall nx lm"
#define CONROE         X86_64 " ssse3 lahf-lm"
#define PENRYN         CONROE " cx16 sse4.1"
#define NEHALEM        PENRYN " sse4.2 popcnt"
#define WESTMERE       NEHALEM " pclmulqdq aes arat"
#define SANDY_BRIDGE   WESTMERE " x2apic tsc-deadline xsave xsaveopt avx rdtscp"
#define IVY_BRIDGE     SANDY_BRIDGE " f16c rdrand fsgsbase smep erms"
#define HASWELL        IVY_BRIDGE " fma avx2 bmi1 bmi2 abm movbe pcid invpcid hle rtm"
#define BROADWELL      HASWELL " rdseed adx smap 3dnowprefetch"
#define SKYLAKE        BROADWELL " xsavec xgetbv1"
#define SKYLAKE_SERVER SKYLAKE " avx512f avx512dq avx512cd avx512bw avx512vl clflushopt clwb pku pdpe1gb"
#define OPTERON        X86_64 " cx16 lahf-lm svm"
#define BARCELONA      OPTERON " monitor popcnt rdtscp abm sse4a"
#define BULLDOZER                                                                                            \
    OPTERON " ssse3 sse4.1 sse4.2 popcnt pclmulqdq aes xsave avx pdpe1gb rdtscp abm sse4a misalignsse "      \
            "3dnowprefetch xop fma4 npt nrip-save"
#define ZEN                                                                                                  \
    OPTERON " monitor ssse3 sse4.1 sse4.2 popcnt pclmulqdq aes xsave xsaveopt xsavec xgetbv1 avx avx2 fma "  \
            "f16c movbe rdrand rdseed bmi1 bmi2 adx abm fsgsbase smep smap clflushopt sha-ni arat mmxext "   \
            "fxsr-opt pdpe1gb rdtscp cr8legacy sse4a misalignsse 3dnowprefetch osvw topoext npt nrip-save"
#define QEMU "fpu de pse tsc msr pae mce cx8 apic sep pge cmov pat mmx fxsr sse sse2 pni"

#define INTEL         "GenuineIntel"
#define AMD           "AuthenticAMD"
#define VIRTUAL_BRAND "QEMU Virtual CPU version 2.5+"

static const struct row {
    const char *name, *brand, *vendor;
    uint16_t family;
    uint8_t model, stepping;
    uint32_t level, extended_level;
    const char *features;
} rows[] = {
    {"qemu64", VIRTUAL_BRAND, AMD, 15, 107, 1, 13, 0x8000000a,
     QEMU " mtrr mca pse36 clflush cx16 syscall nx lm lahf-lm svm"},
    {"qemu32", VIRTUAL_BRAND, INTEL, 6, 6, 3, 4, 0x80000004, QEMU},
    {"kvm64", "Common KVM processor", INTEL, 15, 6, 1, 13, 0x80000008, X86_64 " cx16"},
    {"kvm32", "Common 32-bit KVM processor", INTEL, 15, 6, 1, 5, 0x80000008, PRESCOTT},
    {"486", "", INTEL, 4, 8, 0, 1, 0, I486},
    {"pentium", "", INTEL, 5, 4, 3, 1, 0, PENTIUM},
    {"pentium2", "", INTEL, 6, 5, 2, 2, 0, PENTIUM2},
    {"pentium3", "", INTEL, 6, 7, 3, 3, 0, PENTIUM3},
    {"coreduo", "Genuine Intel(R) CPU           T2600  @ 2.16GHz", INTEL, 6, 14, 8, 10, 0x80000008, YONAH},
    {"n270", "Intel(R) Atom(TM) CPU N270   @ 1.60GHz", INTEL, 6, 28, 2, 10, 0x80000008,
     YONAH " ssse3 movbe lahf-lm"},
    {"core2duo", "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz", INTEL, 6, 15, 11, 10, 0x80000008,
     CONROE " cx16 acpi ss monitor"},
    {"Conroe", "Intel Celeron_4x0 (Conroe/Merom Class Core 2)", INTEL, 6, 15, 3, 10, 0x80000008, CONROE},
    {"Penryn", "Intel Core 2 Duo P9xxx (Penryn Class Core 2)", INTEL, 6, 23, 3, 10, 0x80000008, PENRYN},
    {"Nehalem", "Intel Core i7 9xx (Nehalem Class Core i7)", INTEL, 6, 26, 3, 11, 0x80000008, NEHALEM},
    {"Westmere", "Westmere E56xx/L56xx/X56xx (Nehalem-C)", INTEL, 6, 44, 1, 11, 0x80000008, WESTMERE},
    {"SandyBridge", "Intel Xeon E312xx (Sandy Bridge)", INTEL, 6, 42, 1, 13, 0x80000008, SANDY_BRIDGE},
    {"IvyBridge", "Intel Xeon E3-12xx v2 (Ivy Bridge)", INTEL, 6, 58, 9, 13, 0x80000008, IVY_BRIDGE},
    {"Haswell", "Intel Core Processor (Haswell)", INTEL, 6, 60, 4, 13, 0x80000008, HASWELL},
    {"Broadwell", "Intel Core Processor (Broadwell)", INTEL, 6, 61, 2, 13, 0x80000008, BROADWELL},
    {"Skylake-Client", "Intel Core Processor (Skylake)", INTEL, 6, 94, 3, 13, 0x80000008, SKYLAKE},
    {"Skylake-Server", "Intel Xeon Processor (Skylake)", INTEL, 6, 85, 4, 13, 0x80000008, SKYLAKE_SERVER},
    {"athlon", VIRTUAL_BRAND, AMD, 6, 2, 3, 2, 0x80000008, PENTIUM3 " sse2 mmxext 3dnowext 3dnow"},
    {"phenom", "AMD Phenom(tm) 9550 Quad-Core Processor", AMD, 16, 2, 3, 5, 0x8000001a,
     BARCELONA " mmxext fxsr-opt pdpe1gb 3dnowext 3dnow npt"},
    {"Opteron_G1", "AMD Opteron 240 (Gen 1 Class Opteron)", AMD, 15, 6, 1, 5, 0x80000008, X86_64},
    {"Opteron_G2", "AMD Opteron 22xx (Gen 2 Class Opteron)", AMD, 15, 6, 1, 5, 0x8000000a, OPTERON},
    {"Opteron_G3", "AMD Opteron 23xx (Gen 3 Class Opteron)", AMD, 16, 2, 3, 5, 0x8000000a,
     BARCELONA " misalignsse"},
    {"Opteron_G4", "AMD Opteron 62xx class CPU", AMD, 21, 1, 2, 13, 0x8000001a, BULLDOZER},
    {"Opteron_G5", "AMD Opteron 63xx class CPU", AMD, 21, 2, 0, 13, 0x8000001a, BULLDOZER " fma f16c tbm"},
    {"EPYC", "AMD EPYC Processor", AMD, 23, 1, 2, 13, 0x8000001e, ZEN},
    {"base", "base CPU model type with no features enabled", "", 0, 0, 0, 0, 0, ""},
    {"host", "processor with all supported host features ", AMD, 0, 0, 0, 13, 0x80000008, ""},
    {"max", "Enables all features supported by the accelerator in the current host", AMD, 0, 0, 0, 13,
     0x80000008, ""},
};
enum {
    ROWS = sizeof(rows) / sizeof(rows[0]),
    MODELS = ROWS - 3, /* base, host and max stand last */
    FAMILY_MOST = 0xf + 0xff,
    STEPPING_MOST = 0xf,
};

/* ---- help */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct row *const *)a)->name, (*(const struct row *const *)b)->name);
}

struct page {
    FILE *out;
    int column;
    const char *names[FEATURE_WORDS * 32];
    unsigned count;
};

static void flag_keep(void *opaque, const struct feature *feature, const char *name)
{
    struct page *page = opaque;
    (void)feature;
    page->names[page->count++] = strdup(name);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void flags_print(FILE *out)
{
    enum { COLUMNS = 75 };
    struct page page = {.out = out};
    struct features all = features_named();
    features_each(&all, flag_keep, &page);
    qsort(page.names, page.count, sizeof(page.names[0]), by_text);
    for (unsigned i = 0; i < page.count; i++) {
        int length = (int)strlen(page.names[i]);
        if (page.column + length + 1 > COLUMNS || i == 0) {
            fputs(i ? "\n " : " ", out);
            page.column = 1;
        }
        page.column += fprintf(out, " %s", page.names[i]);
        free((char *)page.names[i]);
    }
    fputc('\n', out);
}

void cpu_models_print(FILE *out)
{
    const struct row *sorted[ROWS];
    for (unsigned i = 0; i < ROWS; i++)
        sorted[i] = &rows[i];
    qsort(sorted, MODELS, sizeof(sorted[0]), by_name);
    fputs("Available CPUs:\n", out);
    for (unsigned i = 0; i < ROWS; i++)
        fprintf(out, "x86 %-20s  %s\n", sorted[i]->name, sorted[i]->brand);
    fputs("\nRecognized CPUID flags:\n", out);
    flags_print(out);
}

/* ---- reading -cpu */

static const struct row *row_named(const char *name)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static void row_read(struct cpu_model *model, const struct row *row, const struct cpu_identity *own)
{
    *model = (struct cpu_model){
        .identity = {.family = row->family, .model = row->model, .stepping = row->stepping},
        .level = row->level,
        .extended_level = row->extended_level,
        .all = !strcmp(row->name, "max") || !strcmp(row->name, "host"),
    };
    snprintf(model->identity.vendor, VENDOR_SIZE, "%s", row->vendor);
    if (*row->vendor)
        snprintf(model->identity.brand, BRAND_SIZE, "%s", row->brand);
    if (model->all)
        model->identity = *own;
    features_add(&model->features, row->features);
    if (strcmp(row->name, "base"))
        features_add(&model->features, "hypervisor");
}

static void identity_read(struct cpu_identity *identity, struct settings *settings)
{
    const char *vendor = settings_text(settings, "vendor", NULL);
    const char *brand = settings_text(settings, "model-id", NULL);

    if (vendor && strlen(vendor) != VENDOR_SIZE - 1)
        settings_refuse(settings, "Property '.vendor' doesn't take value '%s'", vendor);
    else if (vendor)
        memcpy(identity->vendor, vendor, VENDOR_SIZE);
    if (brand)
        strncpy(memset(identity->brand, 0, BRAND_SIZE), brand, BRAND_SIZE - 1);
    identity->family = (unsigned)settings_number(settings, "family", identity->family, FAMILY_MOST);
    identity->model = (unsigned)settings_number(settings, "model", identity->model, UINT8_MAX);
    identity->stepping = (unsigned)settings_number(settings, "stepping", identity->stepping, STEPPING_MOST);
}

/* What says how, not what. Those that QEMU has for its own sake are accepted. */
static void properties_read(struct cpu_model *model, struct settings *settings)
{
    static const char *const accepted[] = {"migratable", "host-phys-bits", "host-cache-info",
                                           "l3-cache",   "legacy-cache",   "pmu"};
    model->level_given = settings_has(settings, "level");
    model->level = (uint32_t)settings_number(settings, "level", model->level, UINT32_MAX);
    model->extended_level_given = settings_has(settings, "xlevel");
    model->extended_level = (uint32_t)settings_number(settings, "xlevel", model->extended_level, UINT32_MAX);
    model->physical_bits = (unsigned)settings_number(settings, "phys-bits", 0, UINT8_MAX);
    if (model->physical_bits && (model->physical_bits < 32 || model->physical_bits > 52))
        settings_refuse(settings, "phys-bits should be between 32 and 52  (but is %u)", model->physical_bits);
    model->check = settings_switch(settings, "check", true);
    model->enforce = settings_switch(settings, "enforce", false);
    model->signature = settings_switch(settings, "kvm", true);
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
        settings_switch(settings, accepted[i], true);
}

static void feature_set(struct cpu_model *model, const struct feature *feature, bool on)
{
    struct features *to = on ? &model->added : &model->dropped, *from = on ? &model->dropped : &model->added;
    to->word[feature->word] |= feature->bit;
    from->word[feature->word] &= ~feature->bit;
    if (on)
        model->features.word[feature->word] |= feature->bit;
    else
        model->features.word[feature->word] &= ~feature->bit;
}

/* +f, -f, f=on, f=off, in their order. */
static void features_read(struct cpu_model *model, struct settings *settings, const char *name)
{
    const char *key, *value;
    struct feature feature;

    while ((key = settings_unasked(settings, &value))) {
        bool sign = *key == '+' || *key == '-';
        if (!feature_find(key + sign, strlen(key + sign), &feature))
            settings_refuse(settings, "Property '%s-x86_64-cpu.%s' not found", name, key + sign);
        else
            feature_set(model, &feature, sign ? *key == '+' : settings_switch(settings, key, true));
    }
}

const char *cpu_model_name(struct settings *settings)
{
    return settings ? settings_text(settings, "name", "") : "max";
}

void cpu_model_read(struct cpu_model *model, struct settings *settings, const struct cpu_identity *own)
{
    const char *name = cpu_model_name(settings);
    const struct row *row = row_named(name);

    row_read(model, row ? row : &rows[0], own);
    if (!settings) {
        model->signature = true;
        return;
    }
    if (!row)
        settings_refuse(settings, "unable to find CPU model '%s'", name);
    identity_read(&model->identity, settings);
    properties_read(model, settings);
    features_read(model, settings, name);
}
