/*
 * Linear to physical through the guest's own page tables, from outside: no accessed bits are set, nothing faults. For
 * the monitor and the autopsy, on any engine. 32-bit, PAE and 4-level paging. Source: Intel SDM vol. 3A, chapter 4.
 */
#ifndef CPU_WALK_H
#define CPU_WALK_H

#include "core/memory.h"
#include "cpu/state.h"

struct walk_step {
    const char *table; /* "page directory", "page table", ... */
    uint64_t address;  /* physical address of the entry */
    uint64_t entry;
};

struct walk {
    struct walk_step step[4];
    unsigned steps; /* the last one is where it ended, well or not */
    bool mapped;
    uint64_t physical;
    uint64_t page_size;
    uint64_t span; /* bytes that the last entry looked at stands for, mapped or not */
};

/* False where nothing is mapped; the steps tell why. Machine lock held, vCPU stopped. */
bool walk_tables(const struct cpu_state *state, struct memory *memory, uint64_t linear, struct walk *walk);

/* Copies from linear addresses, page by page; answers how many bytes could be read. */
uint64_t walk_read(const struct cpu_state *state, struct memory *memory, uint64_t linear, void *to,
                   uint64_t size);
/* The same to linear addresses, whether the page tables let the guest write there or not; ROM stops it. */
uint64_t walk_write(const struct cpu_state *state, struct memory *memory, uint64_t linear, const void *from,
                    uint64_t size);

#endif
