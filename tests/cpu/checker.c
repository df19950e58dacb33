#include <stdio.h>
#include <string.h>

#include "checker.h"

bool checker_begin(struct checker *checker, const char *name)
{
    if (checker->wanted && !strstr(name, checker->wanted))
        return false;
    checker->random.state = checker->seed;
    for (const char *c = name; *c; c++) /* FNV-1a */
        checker->random.state = (checker->random.state ^ (uint8_t)*c) * 0x100000001b3;
    checker->random.state |= 1;
    checker->batch.code_used = checker->batch.count = 0;
    checker->batch.x87 = checker->batch.sse = checker->batch.code16 = false;
    return true;
}

bool checker_run(struct checker *checker)
{
    struct batch *batch = &checker->batch;

    memcpy(checker->guest, checker->native, batch->count * sizeof *checker->native);
    batch->records = checker->native;
    native_run(batch);
    batch->records = checker->guest;
    if (!checker->self)
        return guest_run(batch);
    native_run(batch);
    return true;
}

void checker_end(struct checker *checker, const char *name, unsigned cases, unsigned differences)
{
    checker->tests++;
    checker->total_cases += cases;
    if (differences == 0) {
        printf("ok %u - %s: %u cases\n", checker->tests, name, cases);
    } else {
        checker->failures++;
        printf("not ok %u - %s: %u of %u cases differ\n", checker->tests, name, differences, cases);
    }
    fflush(stdout);
}
