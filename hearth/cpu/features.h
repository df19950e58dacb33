/*
 * CPUID's feature bits by name: which registers of which leaves hold them, and the names that QEMU has for them.
 */
#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum feature_word {
    WORD_1_EDX,
    WORD_1_ECX,
    WORD_6_EAX,
    WORD_7_EBX,
    WORD_7_ECX,
    WORD_7_EDX,
    WORD_7_1_EAX, /* sub-leaf 1 */
    WORD_D_1_EAX, /* sub-leaf 1 */
    WORD_8000_0001_EDX,
    WORD_8000_0001_ECX,
    WORD_8000_0007_EDX,
    WORD_8000_0008_EBX,
    WORD_8000_000A_EDX,
    FEATURE_WORDS
};

struct features {
    uint32_t word[FEATURE_WORDS];
};

/* One bit. */
struct feature {
    enum feature_word word;
    uint32_t bit;
};

enum { FEATURE_NAME_SIZE = 24 };

/* By name, which may be one of QEMU's other spellings (sse4_1, pni, lahf_lm, xd). False if there is none. */
bool feature_find(const char *name, size_t length, struct feature *feature);
/* Adds those named in `list`, which has a space between names; a name that there isn't is a mistake of ours. */
void features_add(struct features *features, const char *list);

bool features_have(const struct features *features, const char *name);
/* What is in `these` and not in `those`. */
struct features features_without(const struct features *these, const struct features *those);
bool features_none(const struct features *features);
/* Calls `seen` for each bit that is set; name is "" for one without a name. */
void features_each(const struct features *features,
                   void (*seen)(void *opaque, const struct feature *feature, const char *name), void *opaque);
/* All that have a name. */
struct features features_named(void);
/* "CPUID.01H:EDX.": where the word is, as QEMU's messages say it. */
const char *feature_word_place(enum feature_word word);

#endif
