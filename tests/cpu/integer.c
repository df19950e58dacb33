/* The integer forms of forms.c: for each form and operand size some encodings, and many cases among them. */
#include <stdio.h>
#include <string.h>

#include "checker.h"

enum { VARIANTS = 24, PRINTED = 2 };

static void form_check(struct checker *checker, const struct form *form, unsigned width, const char *name)
{
    struct variant variants[VARIANTS];
    unsigned differences = 0;

    for (unsigned i = 0; i < VARIANTS; i++)
        form_encode(form, width, &checker->random, &checker->batch, &variants[i]);
    checker->batch.count = checker->cases;
    for (unsigned i = 0; i < checker->cases; i++)
        case_make(form, &variants[i % VARIANTS], &checker->random, &checker->native[i]);
    if (!checker_run(checker)) {
        checker_end(checker, name, checker->cases, checker->cases);
        return;
    }
    for (unsigned i = 0; i < checker->cases; i++) {
        const struct variant *variant = &variants[i % VARIANTS];
        bool unpredictable;
        if (strstr(form->name, "cmps")) /* either operand may be the first to fault */
            checker->guest[i].out.cr2 = checker->native[i].out.cr2;
        uint32_t undefined = flags_undefined(form, variant, &checker->native[i], &unpredictable);
        if (!unpredictable && !record_agrees(&checker->native[i], &checker->guest[i], undefined, false,
                                             checker->batch.code + (variant->instruction - CODE_BASE),
                                             variant->length, differences < PRINTED))
            differences++;
    }
    checker_end(checker, name, checker->cases, differences);
}

void integer_tests(struct checker *checker, bool code16)
{
    for (unsigned i = 0; i < forms_count; i++)
        for (unsigned width = BYTE; width <= DWORD; width <<= 1) {
            char name[80];
            /* wild jumps would stay within the 16-bit segment and run what lies there */
            if (!(forms[i].sizes & width) || (code16 && strstr(forms[i].name, "wild")))
                continue;
            snprintf(name, sizeof name, "%s (%u)%s", forms[i].name, width * 8,
                     code16 ? " in 16-bit code" : "");
            if (!checker_begin(checker, name))
                continue;
            checker->batch.code16 = code16;
            form_check(checker, &forms[i], width, name);
        }
}
