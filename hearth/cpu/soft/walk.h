/*
 * A walk of the page tables, and the rights that it finds: walk.c walks, paging.c keeps the result.
 * Source: SDM volume 3A, 4.6.
 */
#ifndef SOFT_WALK_H
#define SOFT_WALK_H

#include "cpu/soft/access.h"
#include "cpu/soft/soft.h"

enum { LEVELS_MOST = 4 };

/* What a walk found. Nothing was changed in memory by it. */
struct walk {
    struct {
        uint64_t address, entry;
    } step[LEVELS_MOST];
    unsigned steps;
    const struct scheme *scheme;
    bool failed;
    bool no_pointer;   /* PAE: it ended at the page directory pointer, which has no step */
    uint32_t error;    /* when failed; without ERROR_WRITE, ERROR_USER and ERROR_FETCH */
    uint64_t physical; /* of the 4 KiB page */
    unsigned shift;    /* of the page that maps it */
    bool writable, user, executable, dirty, global;
};

/* Walks for an access, marks A and D, or raises #PF (or, for an address that is not canonical, #GP or #SS). */
void walk_for(struct cpu *cpu, uint64_t linear, enum access access, bool user, struct walk *walk);

/* What the width of the mode leaves of a linear address. */
static inline uint64_t linear_wrap(const struct cpu *cpu, uint64_t linear)
{
    return in_long_mode(cpu) ? linear : (uint32_t)linear;
}

/* What comes out of the CPU past the A20 gate. */
static inline uint64_t gated(const struct cpu *cpu, uint64_t physical)
{
    return physical & atomic_load_explicit(&cpu->soft->address_lines, memory_order_relaxed);
}

/* May this privilege write there, as far as the tables and CR0.WP say? */
static inline bool walk_may_write(const struct cpu *cpu, const struct walk *walk, bool user)
{
    return walk->writable || (!user && !(cpu->cr0 & CR0_WP));
}

static inline bool walk_may_execute(const struct cpu *cpu, const struct walk *walk, bool user)
{
    return walk->executable && !(!user && walk->user && (cpu->cr4 & CR4_SMEP));
}

/* SMAP: the supervisor has to set AC before it touches a user page; the CPU's own accesses at CPL 3 may never. */
static inline bool smap_forbids(const struct cpu *cpu)
{
    return !(cpu->rflags & FLAG_AC) || cpl(cpu) == 3;
}

static inline bool walk_guarded(const struct cpu *cpu, const struct walk *walk, bool user)
{
    return !user && walk->user && (cpu->cr4 & CR4_SMAP);
}

#endif
