/* Runs a batch on both sides and tells in TAP how it went. */
#ifndef TESTS_CPU_CHECKER_H
#define TESTS_CPU_CHECKER_H

#include "batch.h"
#include "compare.h"
#include "random.h"

struct checker {
    struct random random;
    uint64_t seed;
    const char *wanted;  /* only tests with this in their name; NULL: all */
    unsigned cases;      /* for each test */
    int translate_after; /* --translate: runs of a block before it is translated, -1 never */
    bool self;           /* the native side twice: a check of the rig */

    struct batch batch;
    struct record *native, *guest;
    unsigned tests, failures;
    uint64_t total_cases;
};

/* Is this test to be run? Then the batch is empty and the random numbers follow from seed and name. */
bool checker_begin(struct checker *checker, const char *name);
/* Runs batch.count records, which stand in checker->native. False: the guest did not get through. */
bool checker_run(struct checker *checker);
/* "ok N - name: C cases", or "not ok". */
void checker_end(struct checker *checker, const char *name, unsigned cases, unsigned differences);

void integer_tests(struct checker *checker, bool code16);
void x87_tests(struct checker *checker);
void sse_tests(struct checker *checker);
void program_tests(struct checker *checker);
void fuzz_tests(struct checker *checker);
void long_tests(struct checker *checker);

#endif
