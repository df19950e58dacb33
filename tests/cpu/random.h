/* Deterministic random numbers with a liking for the values at which instructions go wrong. */
#ifndef TESTS_CPU_RANDOM_H
#define TESTS_CPU_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* never 0 */
};

static inline uint64_t random_next(struct random *random) /* xorshift64*, Vigna 2014 */
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1d;
}

static inline uint32_t random_below(struct random *random, uint32_t limit)
{
    return (random_next(random) >> 32) * limit >> 32;
}

/* Small numbers, powers of two and their neighbours, sign boundaries of 8, 16 and 32 bits, equal halves; or any. */
static inline uint32_t random_value(struct random *random)
{
    static const uint32_t edges[] = {0,      1,      0xff,   0x7f,       0x80,       0x81,       0x7fff,
                                     0x8000, 0xffff, 0x8001, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff};

    switch (random_below(random, 8)) {
    case 0: return edges[random_below(random, sizeof edges / sizeof edges[0])];
    case 1: return (1u << random_below(random, 32)) + random_below(random, 3) - 1;
    case 2: return random_below(random, 64);
    case 3: return -random_below(random, 64);
    case 4: return random_below(random, 0x10000) * 0x10001;
    default: return random_next(random) >> 32;
    }
}

#endif
