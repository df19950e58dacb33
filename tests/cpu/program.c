/*
 * Random straight-line programs of 5 to 20 instructions from forms.c: flags that are computed late, operations that
 * are joined, registers that carry over. Only forms that leave no flag undefined take part.
 */
#include <string.h>

#include "checker.h"

enum { PROGRAMS = 400, ROUNDS = 8, SHORTEST = 5, LONGEST = 20, BYTES_MOST = 20 * 16, PRINTED = 3 };

static bool takes_part(const struct form *form)
{
    return form->rule == EXACT && form->needs == PLAIN && !strchr(form->name, '#') &&
           !strchr(form->code, 'j') && !strstr(form->name, "wild") && !strstr(form->name, "int3") &&
           !strstr(form->name, "ud2");
}

static void program_put(struct checker *checker)
{
    unsigned count = SHORTEST + random_below(&checker->random, LONGEST - SHORTEST + 1);

    while (count) {
        const struct form *form = &forms[random_below(&checker->random, forms_count)];
        unsigned width = 1u << random_below(&checker->random, 3);
        if (!takes_part(form) || !(form->sizes & width))
            continue;
        form_append(form, width, &checker->random, &checker->batch);
        count--;
    }
    code_put(&checker->batch, "", 0);
}

static unsigned round_check(struct checker *checker, unsigned printed)
{
    static const struct form operands = {.name = "", .needs = PLAIN};
    struct variant program[PROGRAMS];
    struct batch *batch = &checker->batch;
    unsigned count = 0, differences = 0;

    batch->code_used = 0;
    for (; count < PROGRAMS && batch->code_used + BYTES_MOST < CODE_SIZE; count++) {
        program[count] = (struct variant){
            .code = CODE_BASE + batch->code_used, .width = DWORD, .base = NO_REGISTER, .index = NO_REGISTER};
        program_put(checker);
        program[count].length = CODE_BASE + batch->code_used - program[count].code;
    }
    batch->count = checker->cases;
    for (unsigned i = 0; i < checker->cases; i++)
        case_make(&operands, &program[i % count], &checker->random, &checker->native[i]);
    if (!checker_run(checker))
        return checker->cases;
    for (unsigned i = 0; i < checker->cases; i++)
        if (!record_agrees(&checker->native[i], &checker->guest[i], 0, false,
                           batch->code + (program[i % count].code - CODE_BASE), program[i % count].length,
                           printed + differences < PRINTED))
            differences++;
    return differences;
}

void program_tests(struct checker *checker)
{
    unsigned differences = 0;

    if (!checker_begin(checker, "random programs"))
        return;
    for (unsigned i = 0; i < ROUNDS; i++)
        differences += round_check(checker, differences);
    checker_end(checker, "random programs", ROUNDS * checker->cases, differences);
}
