/*
 * Linear to physical: the walk of the page tables, and #PF.
 *
 * Models 32-bit, PAE and 4-level paging with pages of 4 KiB to 1 GiB, WP, NX, SMEP, SMAP, accessed and dirty bits. A walk
 * goes by a table of levels. Left out: PSE-36 (address bits above 31 of a 4 MiB page are reserved, as on a CPU with 32
 * physical address bits); memory types.
 * Source: SDM volume 3A, chapter 4 (4.3 to 4.5 the formats, 4.6 rights, 4.7 error code, 4.8 A and D).
 */
#include <inttypes.h>
#include <stdio.h>

#include "cpu/soft/features.h"
#include "cpu/soft/walk.h"

enum entry_bits {
    ENTRY_PRESENT = 1 << 0,
    ENTRY_WRITABLE = 1 << 1,
    ENTRY_USER = 1 << 2,
    ENTRY_ACCESSED = 1 << 5,
    ENTRY_DIRTY = 1 << 6,
    ENTRY_LARGE = 1 << 7,
    ENTRY_GLOBAL = 1 << 8,
};
#define ENTRY_NX (1ull << 63)

enum page_fault_error {
    ERROR_PRESENT = 1 << 0, /* a protection violation; clear: not present */
    ERROR_WRITE = 1 << 1,
    ERROR_USER = 1 << 2,
    ERROR_RESERVED = 1 << 3,
    ERROR_FETCH = 1 << 4,
};

/* Bits `low` to `high` of an entry. */
#define BITS(high, low) ((UINT64_MAX >> (63 - (high))) & (UINT64_MAX << (low)))
#define BEYOND          BITS(51, PHYSICAL_BITS) /* addresses that this CPU has not got */
#define BEYOND_PAE      BITS(62, PHYSICAL_BITS)

struct level {
    const char *table;
    unsigned shift, bits;
    bool large;              /* bit 7 of an entry makes it map a page here */
    uint64_t reserved;       /* of an entry that leads to a table, or to a page of 4 KiB */
    uint64_t large_reserved; /* of one that maps a large page */
};

struct scheme {
    const struct level *levels;
    unsigned count, entry_size;
    uint64_t table_mask; /* address bits of an entry, and of CR3 */
    uint64_t no_nx;      /* reserved unless EFER.NXE is set */
};

static const struct level levels_32[] = {
    {"page directory", 22, 10, true, 0, BITS(21, 13)},
    {"page table", 12, 10, false, 0, 0},
};
/* Below the four pointers in cpu->pdpte[]. */
static const struct level levels_pae[] = {
    {"page directory", 21, 9, true, BEYOND_PAE, BEYOND_PAE | BITS(20, 13)},
    {"page table", 12, 9, false, BEYOND_PAE, 0},
};
static const struct level levels_4[] = {
    {"PML4", 39, 9, false, BEYOND | ENTRY_LARGE, 0},
    {"page directory pointer table", 30, 9, true, BEYOND, BEYOND | BITS(29, 13)},
    {"page directory", 21, 9, true, BEYOND, BEYOND | BITS(20, 13)},
    {"page table", 12, 9, false, BEYOND, 0},
};
static const struct scheme scheme_32 = {levels_32, 2, 4, BITS(31, 12), 0};
static const struct scheme scheme_pae = {levels_pae, 2, 8, BITS(51, 12), ENTRY_NX};
static const struct scheme scheme_4 = {levels_4, 4, 8, BITS(51, 12), ENTRY_NX};

enum { PDPTE_SHIFT = 30, PDPTE_SIZE = 8 };
#define PDPTE_TABLE    BITS(31, 5) /* of CR3 */
#define PDPTE_RESERVED (BITS(63, PHYSICAL_BITS) | BITS(8, 5) | BITS(2, 1))

/* ---- the walk ---- */

static const struct scheme *scheme_of(const struct cpu *cpu)
{
    return in_long_mode(cpu) ? &scheme_4 : cpu->cr4 & CR4_PAE ? &scheme_pae : &scheme_32;
}

static uint8_t *entry_host(struct cpu *cpu, uint64_t address)
{
    uint64_t length;
    bool writable;
    uint8_t *host = memory_at(cpu->machine->memory, address, &length, &writable);

    return host && writable ? host : NULL;
}

/* Tables where no memory is read as ones. */
static uint64_t entry_read(struct cpu *cpu, uint64_t address, unsigned size)
{
    uint64_t length;
    bool writable;
    uint8_t *host = memory_at(cpu->machine->memory, address, &length, &writable);

    if (!host || length < size)
        return size == 8 ? UINT64_MAX : UINT32_MAX;
    if (size == 8)
        return __atomic_load_n((uint64_t *)host, __ATOMIC_RELAXED);
    return __atomic_load_n((uint32_t *)host, __ATOMIC_RELAXED);
}

static void walk_leaf(const struct cpu *cpu, struct walk *walk, uint64_t entry, unsigned shift,
                      uint64_t linear)
{
    uint64_t offset = linear & ((1ull << shift) - 1) & PAGE_MASK;

    walk->physical = gated(cpu, (entry & walk->scheme->table_mask & ~((1ull << shift) - 1)) | offset);
    walk->dirty = entry & ENTRY_DIRTY;
    walk->global = (cpu->cr4 & CR4_PGE) && (entry & ENTRY_GLOBAL);
    walk->shift = shift;
}

/* Where the first table lies; false if a PAE pointer says that there is none. */
static bool walk_root(const struct cpu *cpu, uint64_t linear, struct walk *walk, uint64_t *table)
{
    *table = cpu->cr3 & walk->scheme->table_mask;
    if (walk->scheme == &scheme_pae) {
        uint64_t pointer = cpu->pdpte[linear >> PDPTE_SHIFT & 3];

        *table = pointer & walk->scheme->table_mask;
        walk->failed = walk->no_pointer = !(pointer & ENTRY_PRESENT);
    }
    return !walk->failed;
}

/* Looks at one entry; true: it leads to a further table. */
static bool walk_step(const struct cpu *cpu, const struct level *level, uint64_t entry, uint64_t linear,
                      struct walk *walk)
{
    bool large =
        level->large && (entry & ENTRY_LARGE) && (walk->scheme->entry_size == 8 || (cpu->cr4 & CR4_PSE));
    uint64_t reserved =
        (large ? level->large_reserved : level->reserved) | (cpu->efer & EFER_NXE ? 0 : walk->scheme->no_nx);

    if (!(entry & ENTRY_PRESENT) || (entry & reserved)) {
        walk->failed = true;
        walk->error = entry & ENTRY_PRESENT ? ERROR_PRESENT | ERROR_RESERVED : 0;
        return false;
    }
    walk->writable &= (entry & ENTRY_WRITABLE) != 0;
    walk->user &= (entry & ENTRY_USER) != 0;
    walk->executable &= !(entry & ENTRY_NX);
    if (!large && level->shift != PAGE_SHIFT)
        return true;
    walk_leaf(cpu, walk, entry, level->shift, linear);
    return false;
}

/* Follows the tables as far as they go; rights are looked at by walk_check(). */
static void walk_tables_of(struct cpu *cpu, uint64_t linear, struct walk *walk)
{
    const struct scheme *scheme = scheme_of(cpu);
    uint64_t table, entry;

    *walk = (struct walk){.scheme = scheme, .writable = true, .user = true, .executable = true};
    if (!walk_root(cpu, linear, walk, &table))
        return;
    for (const struct level *level = scheme->levels;; level++) {
        uint64_t index = linear >> level->shift & ((1u << level->bits) - 1);
        uint64_t address = gated(cpu, table + index * scheme->entry_size);

        entry = entry_read(cpu, address, scheme->entry_size);
        walk->step[walk->steps].address = address;
        walk->step[walk->steps++].entry = entry;
        if (!walk_step(cpu, level, entry, linear, walk))
            return;
        table = entry & scheme->table_mask;
    }
}

static void walk_check(const struct cpu *cpu, struct walk *walk, enum access access, bool user)
{
    if (walk->failed)
        return;
    if ((user && !walk->user) || (access == ACCESS_WRITE && !walk_may_write(cpu, walk, user)) ||
        (access == ACCESS_EXECUTE && !walk_may_execute(cpu, walk, user)) ||
        (access != ACCESS_EXECUTE && walk_guarded(cpu, walk, user) && smap_forbids(cpu))) {
        walk->failed = true;
        walk->error = ERROR_PRESENT;
    }
}

/* Sets bits in an entry unless another CPU has changed it since it was read: then the walk is no good. */
static bool entry_mark(uint8_t *host, unsigned size, uint64_t entry, uint32_t bits)
{
    uint32_t narrow = entry;

    if (size == 8)
        return __atomic_compare_exchange_n((uint64_t *)host, &entry, entry | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    return __atomic_compare_exchange_n((uint32_t *)host, &narrow, narrow | bits, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* Sets A in every entry that was used and D in the last; other CPUs may be doing the same. False: walk again. */
static bool walk_mark(struct cpu *cpu, struct walk *walk, bool write)
{
    for (unsigned i = 0; i < walk->steps; i++) {
        bool last = i + 1 == walk->steps;
        uint32_t bits = ENTRY_ACCESSED | (last && write ? ENTRY_DIRTY : 0);
        uint64_t address = walk->step[i].address;
        uint8_t *host;

        if ((walk->step[i].entry & bits) == bits || !(host = entry_host(cpu, address)))
            continue;
        if (!entry_mark(host, walk->scheme->entry_size, walk->step[i].entry, bits))
            return false;
        code_check_write(cpu, address, walk->scheme->entry_size);
    }
    walk->dirty |= write;
    return true;
}

bool paging_load_pointers(struct cpu *cpu, uint64_t cr3)
{
    uint64_t pointers[4];

    for (int i = 0; i < 4; i++) {
        pointers[i] = entry_read(cpu, gated(cpu, cr3 & PDPTE_TABLE) + i * PDPTE_SIZE, PDPTE_SIZE);
        if ((pointers[i] & ENTRY_PRESENT) && (pointers[i] & PDPTE_RESERVED))
            return false;
    }
    memcpy(cpu->pdpte, pointers, sizeof(pointers));
    return true;
}

static void walk_unpaged(const struct cpu *cpu, uint64_t page, struct walk *walk)
{
    *walk = (struct walk){.physical = gated(cpu, page),
                          .shift = PAGE_SHIFT,
                          .writable = true,
                          .user = true,
                          .executable = true,
                          .dirty = true};
}

static _Noreturn void page_fault(struct cpu *cpu, uint64_t linear, uint32_t error, enum access access,
                                 bool user)
{
    bool tells_fetch = (cpu->cr4 & CR4_SMEP) || ((cpu->cr4 & CR4_PAE) && (cpu->efer & EFER_NXE));

    error |= (access == ACCESS_WRITE ? ERROR_WRITE : 0) | (user ? ERROR_USER : 0) |
             (access == ACCESS_EXECUTE && tells_fetch ? ERROR_FETCH : 0);
    /* The walk now cached may be the reason: a fault drops what is known of the page. */
    tlb_flush_page(cpu, linear);
    cpu->cr2 = linear;
    fault_error(cpu, VECTOR_PF, error);
}

void walk_for(struct cpu *cpu, uint64_t linear, enum access access, bool user, struct walk *walk)
{
    uint64_t page = linear & PAGE_MASK;

    if (!(cpu->cr0 & CR0_PG)) {
        walk_unpaged(cpu, page, walk);
        /* Paging off: SMEP and SMAP have nothing to say. */
        walk->user = user;
        return;
    }
    if (in_long_mode(cpu) && !canonical(linear))
        canonical_fault(cpu, linear);
    do {
        walk_tables_of(cpu, page, walk);
        walk_check(cpu, walk, access, user);
        if (walk->failed)
            page_fault(cpu, linear, walk->error, access, user);
    } while (!walk_mark(cpu, walk, access == ACCESS_WRITE));
}

bool paging_probe(struct cpu *cpu, uint64_t linear, uint64_t *physical)
{
    struct walk walk;

    linear = linear_wrap(cpu, linear);
    if (in_long_mode(cpu) && !canonical(linear))
        return false;
    if (cpu->cr0 & CR0_PG)
        walk_tables_of(cpu, linear, &walk);
    else
        walk_unpaged(cpu, linear & PAGE_MASK, &walk);
    *physical = walk.physical | (linear & ~PAGE_MASK);
    return !walk.failed;
}

/* ---- why a #PF arose ---- */

static const char *explain_entry(const struct cpu *cpu, uint64_t entry, uint32_t error)
{
    if (!(entry & ENTRY_PRESENT))
        return "bit 0 (present) clear";
    if ((error & ERROR_USER) && !(entry & ENTRY_USER))
        return "bit 2 (user) clear";
    if ((error & ERROR_WRITE) && !(entry & ENTRY_WRITABLE))
        return "bit 1 (writable) clear";
    if ((error & ERROR_FETCH) && (entry & ENTRY_NX) && (cpu->efer & EFER_NXE))
        return "bit 63 (no execute) set";
    return NULL;
}

static const char *explain_reserved(const struct cpu *cpu, const struct walk *walk)
{
    if (walk->scheme == &scheme_32)
        return "a reserved address bit (21 to 13) of a 4 MiB page set";
    if ((walk->step[walk->steps - 1].entry & ENTRY_NX) && !(cpu->efer & EFER_NXE))
        return "bit 63 (no execute) set while EFER.NXE is clear";
    return "a reserved bit set";
}

/* All entries were fine by themselves; what forbids then? */
static const char *explain_page(const struct cpu *cpu, const struct walk *walk, uint32_t error)
{
    if ((error & (ERROR_PRESENT | ERROR_USER)) != ERROR_PRESENT || !walk->user)
        return "the page tables map it now";
    if ((error & ERROR_FETCH) && (cpu->cr4 & CR4_SMEP))
        return "a user page, which CR4.SMEP forbids the system to execute";
    if (!(error & ERROR_FETCH) && (cpu->cr4 & CR4_SMAP))
        return "a user page, which CR4.SMAP forbids the system to touch while EFLAGS.AC is clear";
    return "the page tables map it now";
}

void paging_explain(struct cpu *cpu, uint64_t linear, uint32_t error, char *text, size_t size)
{
    struct walk walk;
    unsigned i;
    const char *wrong = NULL;
    int length;

    linear = linear_wrap(cpu, linear);
    walk_tables_of(cpu, linear, &walk);
    if (walk.no_pointer) {
        snprintf(text, size,
                 "page directory pointer %u, as loaded from CR3 0x%08" PRIx64 ": 0x%08" PRIx64
                 ", bit 0 (present) clear",
                 (unsigned)(linear >> PDPTE_SHIFT & 3), cpu->cr3, cpu->pdpte[linear >> PDPTE_SHIFT & 3]);
        return;
    }
    for (i = 0; i < walk.steps; i++)
        if ((wrong =
                 explain_entry(cpu, walk.step[i].entry, error & (ERROR_USER | ERROR_WRITE | ERROR_FETCH))) ||
            ((walk.error & ERROR_RESERVED) && i + 1 == walk.steps && (wrong = explain_reserved(cpu, &walk))))
            break;
    if (!wrong) {
        snprintf(text, size, "%s", explain_page(cpu, &walk, error));
        return;
    }
    length = snprintf(text, size, "%s at 0x%08" PRIx64 ": entry 0x%08" PRIx64 ", %s",
                      walk.scheme->levels[i].table, walk.step[i].address, walk.step[i].entry, wrong);
    if (i > 0 && length > 0 && (size_t)length < size)
        snprintf(text + length, size - length, "; the %s entry 0x%08" PRIx64 " was fine",
                 walk.scheme->levels[i - 1].table, walk.step[i - 1].entry);
}
