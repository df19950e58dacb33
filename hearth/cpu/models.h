/*
 * -cpu: the processors that a guest can be given. A model says what CPUID tells; of that a guest sees what the engine
 * can do, which is cpuid.h's matter.
 */
#ifndef CPU_MODELS_H
#define CPU_MODELS_H

#include <stdio.h>

#include "core/settings.h"
#include "cpu/features.h"

enum { VENDOR_SIZE = 13, BRAND_SIZE = 49 };

/* Which processor it says it is. */
struct cpu_identity {
    char vendor[VENDOR_SIZE], brand[BRAND_SIZE];
    unsigned family, model, stepping;
};

struct cpu_model {
    struct cpu_identity identity;
    uint32_t level, extended_level; /* the highest leaves; 0: none */
    bool level_given, extended_level_given;
    unsigned physical_bits; /* 0: as many as the engine has */
    struct features features;
    struct features added, dropped; /* by name, with + and - */
    bool all;                       /* max, host: whatever the engine can do */
    bool check, enforce;            /* what is missing is worth a line; is an error */
    bool signature;                 /* the hypervisor's leaves are there */
};

/* `-cpu help`. */
void cpu_models_print(FILE *out);

/* What -cpu names, "name" being the key of its first word; NULL is max. */
const char *cpu_model_name(struct settings *settings);
/*
 * Reads -cpu. `own` is what the engine calls itself, for max and host. What is wrong with it is the settings' error.
 */
void cpu_model_read(struct cpu_model *model, struct settings *settings, const struct cpu_identity *own);

#endif
