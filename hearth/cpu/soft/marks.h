/*
 * Which pages hold decoded code of any CPU: one table for all CPUs, so that a write can tell cheaply whether it has to
 * be looked at.
 *
 * A page has a count of the CPUs whose store watches it, and a bit for each of its lines that one of them has decoded.
 * Pages that lie 4 GiB apart share one: that only makes somebody look for nothing. While the count is not 0 no
 * CPU has a fast write tag for the page.
 */
#ifndef SOFT_MARKS_H
#define SOFT_MARKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    MARKS_PAGES = 1 << 20,
    MARK_LINE_SHIFT = 6, /* what is written is tracked in lines of 64 bytes: 64 of them in a page */
};

/* The address bits that choose a mark. */
#define MARKS_ALIKE ((uint64_t)(MARKS_PAGES - 1) << 12)

struct cpu;

struct mark {
    _Atomic uint64_t lines;
    _Atomic uint32_t watchers;
};

struct marks {
    struct mark *pages; /* MARKS_PAGES; the host gives memory for those that are used */
    pthread_mutex_t lock;
};

bool marks_create(struct marks *marks);
void marks_destroy(struct marks *marks);

/* This CPU's store watches the page from now on: a safe point, at which others may change what they like. */
void marks_watch(struct cpu *cpu, uint64_t page);
void marks_release(struct cpu *cpu, uint64_t page);
/* Lines (bit n: line n) of a page that is watched hold code now. */
void marks_add_lines(struct marks *marks, uint64_t page, uint64_t lines);

static inline struct mark *mark_at(const struct marks *marks, uint64_t physical)
{
    return &marks->pages[(physical & MARKS_ALIKE) >> 12];
}

/* The lines that the bytes [from, to) of a page lie in. */
static inline uint64_t mark_lines(unsigned from, unsigned to)
{
    unsigned first = from >> MARK_LINE_SHIFT, last = (to - 1) >> MARK_LINE_SHIFT;

    return (~0ull << first) & (~0ull >> (63 - last));
}

#endif
