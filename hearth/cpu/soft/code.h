/*
 * The store of decoded blocks: each CPU has one, which only its own thread touches.
 *
 * A block is keyed by its physical address and mode, so it survives CR3 loads and serves every mapping of its page.
 * Pages that hold code are marked (marks.h); writes to them come to code_written(), which drops the blocks whose bytes
 * changed by turning their operations into ones that leave to the run loop: whoever still jumps there finds out. Other
 * CPUs, and what DMA changed, are told by a post, which they take between blocks.
 */
#ifndef SOFT_CODE_H
#define SOFT_CODE_H

#include <pthread.h>

#include "cpu/soft/access.h"

struct features;

enum {
    BLOCK_OPERATIONS = 32, /* most instructions in a block */
    CODE_HASH_BITS = 14,   /* blocks */
    CODE_PAGE_BUCKETS = 4096,
    CODE_ARENA = 32 << 20,        /* bytes of blocks; when full all are dropped */
    CODE_ARENA_LEAST = 4 << 20,   /* ... and with many CPUs */
    CODE_ARENAS_MOST = 256 << 20, /* bytes for all CPUs together, as far as the least allows */
    CODE_POSTS = 32,        /* ranges that other threads can post before everything is dropped instead */
    INSTRUCTION_BYTES = 15, /* longest instruction */
    BLOCK_BYTES = BLOCK_OPERATIONS * INSTRUCTION_BYTES,
};

struct code_page {
    uint64_t page; /* physical address */
    struct code_page *next;
    struct block *blocks;
    uint64_t lines; /* bit n: line n has been decoded */
};

/* What other threads changed: looked at between blocks. */
struct code_posts {
    struct code_range {
        uint64_t base, size;
    } range[CODE_POSTS];
    unsigned count;
    bool all, map; /* too many to remember; the map changed, so the TLBs go too */
};

struct code {
    struct block *hash[1 << CODE_HASH_BITS];
    struct code_page *pages[CODE_PAGE_BUCKETS];
    uint8_t *arena;
    size_t arena_size, arena_used;
    struct block *room;       /* for building, and for code that cannot be kept: space for the longest */
    struct block **link_from; /* where the block that is found next may be linked from; NULL: nowhere */

    uint8_t bytes[BLOCK_BYTES]; /* what is being decoded */

    pthread_mutex_t post_lock;
    struct code_posts posts;
};

/* NULL if there is no memory. `cpus`: how many there are to share it. */
struct code *code_create(unsigned cpus);
void code_destroy(struct code *code); /* NULL is harmless */
void code_drop_all(struct cpu *cpu);

/* The block at cpu->rip (exact), decoded if need be; raises #GP and #PF of the fetch. `single`: one instruction. */
struct block *code_find(struct cpu *cpu, bool single);

/* What is decoded for that address and mode, NULL if nothing is. Not for links: it may run over the end of its page. */
struct block *code_at(const struct cpu *cpu, uint64_t physical, uint32_t mode);

/* Any thread: bytes or the map changed; all CPUs are told. The second half runs on the CPU's thread between blocks. */
void code_post(struct soft *soft, uint64_t base, uint64_t size, bool map);
void code_take_posts(struct cpu *cpu);

/*
 * decode.c: fills in ops, count and length of a block whose physical and mode are set, from the bytes up to the end of its page or
 * segment. `features` are those of the guest's model. Answers 0 if the first instruction does not end within them.
 */
unsigned decode_block(const struct features *features, struct block *block, const uint8_t *bytes,
                      unsigned size);

#endif
