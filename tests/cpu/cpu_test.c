/*
 * Every instruction on the software CPU and on the host's own: both run the same code on the same operands, and
 * what comes out must be the same. TAP on stdout. See layout.h and harness.S for how, forms.c for what.
 *
 *   cpu_test [--seed N] [--cases N] [--translate N] [--self] [part of a test's name]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"

enum { CASES = 2000, SEED = 20240229 };

static struct checker *checker_make(int argc, char **argv)
{
    struct checker *checker = calloc(1, sizeof *checker);

    checker->seed = SEED;
    checker->cases = CASES;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            checker->seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--cases") == 0 && i + 1 < argc)
            checker->cases = strtoul(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--translate") == 0 && i + 1 < argc)
            checker->translate_after = atoi(argv[++i]);
        else if (strcmp(argv[i], "--self") == 0)
            checker->self = true;
        else
            checker->wanted = argv[i];
    }
    if (checker->cases == 0 || checker->cases > RECORDS_MOST) /* what fits below 4 MiB */
        checker->cases = RECORDS_MOST;
    checker->native = calloc(RECORDS_MOST, sizeof *checker->native);
    checker->guest = calloc(RECORDS_MOST, sizeof *checker->guest);
    return checker;
}

static int checker_destroy(struct checker *checker)
{
    bool failed = checker->failures != 0;

    free(checker->native);
    free(checker->guest);
    free(checker);
    return failed;
}

static void code32_tests(struct checker *checker)
{
    integer_tests(checker, false);
    if (native_has_code16())
        integer_tests(checker, true);
    else
        printf("ok %u - 16-bit code # SKIP modify_ldt() is not to be had here\n", ++checker->tests);
    x87_tests(checker);
    sse_tests(checker);
    program_tests(checker);
    fuzz_tests(checker);
}

int main(int argc, char **argv)
{
    struct checker *checker = checker_make(argc, argv);

    if (!native_open()) {
        printf("1..0 # SKIP 32-bit code does not run natively here\n");
        return 0;
    }
    if (!checker->self && !guest_open(checker->translate_after)) {
        printf("Bail out! the software CPU cannot be created\n");
        return 1;
    }
    printf("# seed %llu, %u cases a test\n", (unsigned long long)checker->seed, checker->cases);
    if (native_has_code32())
        code32_tests(checker);
    else
        printf("ok %u - 16- and 32-bit code # SKIP this host's kernel has no 32-bit code segment\n",
               ++checker->tests);
    if (!checker->self)
        long_tests(checker);
    printf("1..%u\n", checker->tests);
    printf("# %llu cases, %u of %u tests failed\n", (unsigned long long)checker->total_cases,
           checker->failures, checker->tests);
    if (!checker->self)
        guest_close();
    native_close();
    return checker_destroy(checker);
}
