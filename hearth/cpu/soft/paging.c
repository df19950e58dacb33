/*
 * Linear to physical: the page walk, the TLB, #PF, and the accesses that the fast path of access.h does not finish.
 *
 * Models 32-bit, PAE and 4-level paging with pages of 4 KiB to 1 GiB, WP, NX, SMEP, SMAP, global pages, accessed and
 * dirty bits. A walk goes by a table of levels. Left out: PSE-36 (address bits above 31 of a 4 MiB page are reserved, as on
 * a CPU with 32 physical address bits); memory types; PCIDs are taken and each change of CR3 flushes, as is allowed.
 * Source: SDM volume 3A, chapter 4 (4.3 to 4.5 the formats, 4.6 rights, 4.7 error code, 4.8 A and D, 4.10 TLB), 17.2 for
 * data breakpoints.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cpu/soft/access.h"
#include "cpu/soft/device.h"
#include "cpu/soft/features.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/system.h"

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

enum { LEVELS_MOST = 4, PDPTE_SHIFT = 30, PDPTE_SIZE = 8 };
#define PDPTE_TABLE    BITS(31, 5) /* of CR3 */
#define PDPTE_RESERVED (BITS(63, PHYSICAL_BITS) | BITS(8, 5) | BITS(2, 1))

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

/* In struct tlb_origin: the generation in the low 12 bits, and these. */
enum origin_rights {
    ORIGIN_WRITABLE = 1 << 12,
    ORIGIN_DIRTY = 1 << 13,
    ORIGIN_GLOBAL = 1 << 14,
    ORIGIN_HOST = 1 << 15,     /* host memory is behind it */
    ORIGIN_HOST_RAM = 1 << 16, /* which may be written */
    ORIGIN_EXECUTABLE = 1 << 17,
    ORIGIN_GUARDED = 1 << 18, /* SMAP: a user page in the supervisor's TLB; each access is looked at */
    GENERATION_MASK = 0xfff,
};

/* ---- the walk ---- */

/* What the width of the mode leaves of a linear address. */
static uint64_t linear_wrap(const struct cpu *cpu, uint64_t linear)
{
    return in_long_mode(cpu) ? linear : (uint32_t)linear;
}

static const struct scheme *scheme_of(const struct cpu *cpu)
{
    return in_long_mode(cpu) ? &scheme_4 : cpu->cr4 & CR4_PAE ? &scheme_pae : &scheme_32;
}

/* What comes out of the CPU past the A20 gate. */
static uint64_t gated(const struct cpu *cpu, uint64_t physical)
{
    return physical & atomic_load_explicit(&cpu->soft->address_lines, memory_order_relaxed);
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

/* May this privilege write there, as far as the tables and CR0.WP say? */
static bool walk_may_write(const struct cpu *cpu, const struct walk *walk, bool user)
{
    return walk->writable || (!user && !(cpu->cr0 & CR0_WP));
}

static bool walk_may_execute(const struct cpu *cpu, const struct walk *walk, bool user)
{
    return walk->executable && !(!user && walk->user && (cpu->cr4 & CR4_SMEP));
}

/* SMAP: the supervisor has to set AC before it touches a user page; the CPU's own accesses at CPL 3 may never. */
static bool smap_forbids(const struct cpu *cpu)
{
    return !(cpu->rflags & FLAG_AC) || cpl(cpu) == 3;
}

static bool walk_guarded(const struct cpu *cpu, const struct walk *walk, bool user)
{
    return !user && walk->user && (cpu->cr4 & CR4_SMAP);
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

/* ---- the TLB ---- */

static void tags_withdraw(struct cpu *cpu, int user, unsigned slot)
{
    struct tlb_entry *entry = &cpu->tlbs[user][slot];

    entry->read_tag = entry->write_tag = TLB_NEVER(slot);
}

void tlb_reset(struct cpu *cpu)
{
    for (int user = 0; user < 2; user++) {
        for (unsigned i = 0; i < TLB_SIZE; i++) {
            tags_withdraw(cpu, user, i);
            cpu->tlbs[user][i].physical = cpu->origins[user][i].page = TLB_NO_PAGE;
        }
        for (unsigned i = 0; i < TLB_FETCH_SIZE; i++)
            cpu->fetches[user][i].page = TLB_NO_PAGE;
    }
    memset(cpu->tlb_local, 0, sizeof(cpu->tlb_local));
    memset(cpu->fetch_local, 0, sizeof(cpu->fetch_local));
    cpu->tlb_generation = 0;
    memset(cpu->large, 0, sizeof(cpu->large));
    cpu->memory_generation = memory_generation(cpu->machine->memory);
    tlb_choose(cpu);
}

/* The next of the bits that are set; clears it. */
static unsigned bit_take(uint64_t *word)
{
    unsigned bit = __builtin_ctzll(*word);

    *word &= *word - 1;
    return bit;
}

static void local_withdraw(struct cpu *cpu, int user)
{
    for (unsigned i = 0; i < TLB_WORDS; i++)
        while (cpu->tlb_local[user][i])
            tags_withdraw(cpu, user, 64 * i + bit_take(&cpu->tlb_local[user][i]));
    for (unsigned i = 0; i < TLB_FETCH_WORDS; i++)
        while (cpu->fetch_local[user][i])
            cpu->fetches[user][64 * i + bit_take(&cpu->fetch_local[user][i])].page = TLB_NO_PAGE;
}

void tlb_flush(struct cpu *cpu, bool global_too)
{
    if (global_too || cpu->tlb_generation == GENERATION_MASK) {
        tlb_reset(cpu);
        return;
    }
    cpu->tlb_generation++;
    local_withdraw(cpu, 0);
    local_withdraw(cpu, 1);
}

/* A fast tag was set for a page that a CR3 load forgets, or for one that it does not. */
static void local_note(uint64_t *words, unsigned slot, bool local)
{
    uint64_t bit = 1ull << slot % 64;

    words[slot / 64] = local ? words[slot / 64] | bit : words[slot / 64] & ~bit;
}

static void tlb_drop(struct cpu *cpu, int user, unsigned slot)
{
    tags_withdraw(cpu, user, slot);
    cpu->origins[user][slot].page = TLB_NO_PAGE;
}

static const uint8_t large_shifts[] = {21, 22, 30};

/* Of this large page, in the filter that says whether there may be any of it in the TLBs. */
static uint64_t large_hash(uint64_t page, unsigned shift)
{
    return ((page >> shift) + shift) * 0x9e3779b97f4a7c15ull >> (64 - TLB_LARGE_BITS);
}

static uint64_t *large_word(struct cpu *cpu, uint64_t page, unsigned shift)
{
    return &cpu->large[large_hash(page, shift) / 64];
}

static uint64_t large_bit(uint64_t page, unsigned shift)
{
    return 1ull << large_hash(page, shift) % 64;
}

/* Pieces of a large page may be anywhere in the TLBs. */
static void tlb_drop_large(struct cpu *cpu, uint64_t page, unsigned shift)
{
    for (int user = 0; user < 2; user++) {
        for (unsigned i = 0; i < TLB_SIZE; i++)
            if ((cpu->origins[user][i].page ^ page) >> shift == 0)
                tlb_drop(cpu, user, i);
        for (unsigned i = 0; i < TLB_FETCH_SIZE; i++)
            if ((cpu->fetches[user][i].page ^ page) >> shift == 0)
                cpu->fetches[user][i].page = TLB_NO_PAGE;
    }
}

void tlb_flush_page(struct cpu *cpu, uint64_t linear)
{
    uint64_t page = linear_wrap(cpu, linear) & PAGE_MASK;

    for (unsigned i = 0; i < sizeof(large_shifts) / sizeof(large_shifts[0]); i++)
        if (*large_word(cpu, page, large_shifts[i]) & large_bit(page, large_shifts[i]))
            tlb_drop_large(cpu, page, large_shifts[i]);
    for (int user = 0; user < 2; user++) {
        tlb_drop(cpu, user, page >> PAGE_SHIFT & (TLB_SIZE - 1));
        if (fetch_slot(cpu->fetches[user], page)->page == page)
            fetch_slot(cpu->fetches[user], page)->page = TLB_NO_PAGE;
    }
}

void tlb_protect_page(struct cpu *cpu, uint64_t physical)
{
    for (int user = 0; user < 2; user++)
        for (unsigned i = 0; i < TLB_SIZE; i++)
            if (((cpu->tlbs[user][i].physical ^ physical) & MARKS_ALIKE) == 0)
                cpu->tlbs[user][i].write_tag = TLB_NEVER(i);
}

bool tlb_may_write(const struct cpu *cpu, uint64_t physical)
{
    for (int user = 0; user < 2; user++)
        for (unsigned i = 0; i < TLB_SIZE; i++) {
            const struct tlb_entry *entry = &cpu->tlbs[user][i];

            if (((__atomic_load_n(&entry->physical, __ATOMIC_RELAXED) ^ physical) & MARKS_ALIKE) == 0 &&
                __atomic_load_n(&entry->write_tag, __ATOMIC_RELAXED) != TLB_NEVER(i))
                return true;
        }
    return false;
}

void paging_mode_changed(struct cpu *cpu, uint64_t old_cr0, uint64_t old_cr4)
{
    enum { CR4_PAGING = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP };

    if (((old_cr0 ^ cpu->cr0) & (CR0_PG | CR0_WP)) || ((old_cr4 ^ cpu->cr4) & CR4_PAGING))
        tlb_reset(cpu);
    tlb_choose(cpu);
}

/* A page with a data breakpoint has no fast tags: every access comes by slow_load() and slow_store(). */
static bool page_watched(const struct cpu *cpu, uint64_t page)
{
    if (cpu->debugging && debugger_watches(cpu, page))
        return true;
    for (int i = 0; i < 4; i++)
        if ((cpu->dr[7] >> (2 * i) & 3) && (cpu->dr[7] >> (16 + 4 * i) & 3) &&
            (linear_wrap(cpu, cpu->dr[i]) & PAGE_MASK) == page)
            return true;
    return false;
}

/* Unless another CPU has begun to watch the page and has looked through this TLB already. */
static void allow_writes(struct cpu *cpu, bool user, uint64_t page)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlbs[user], page);

    __atomic_store_n(&entry->write_tag, page, __ATOMIC_RELAXED);
    if (!cpu->soft->parallel)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (code_in_page(cpu->soft, entry->physical))
        __atomic_store_n(&entry->write_tag, TLB_NEVER(entry - cpu->tlbs[user]), __ATOMIC_RELAXED);
}

static void set_tags(struct cpu *cpu, bool user, uint64_t page)
{
    enum { STORABLE = ORIGIN_HOST_RAM | ORIGIN_WRITABLE | ORIGIN_DIRTY };
    unsigned slot = page >> PAGE_SHIFT & (TLB_SIZE - 1);
    struct tlb_entry *entry = &cpu->tlbs[user][slot];
    struct tlb_origin *origin = &cpu->origins[user][slot];
    bool watched = (origin->rights & ORIGIN_GUARDED) || (debug_watches_code(cpu) && page_watched(cpu, page));

    origin->rights = (origin->rights & ~(uint64_t)GENERATION_MASK) | cpu->tlb_generation;
    tags_withdraw(cpu, user, slot);
    local_note(cpu->tlb_local[user], slot, !(origin->rights & ORIGIN_GLOBAL));
    if (!(origin->rights & ORIGIN_HOST) || watched)
        return;
    entry->read_tag = page;
    if ((origin->rights & STORABLE) == STORABLE && !code_in_page(cpu->soft, entry->physical))
        allow_writes(cpu, user, page);
}

static void set_fetch(struct cpu *cpu, bool user, uint64_t page)
{
    unsigned slot = page >> PAGE_SHIFT & (TLB_FETCH_SIZE - 1);
    const struct tlb_origin *origin = &cpu->origins[user][page >> PAGE_SHIFT & (TLB_SIZE - 1)];

    if (!(origin->rights & ORIGIN_HOST))
        return;
    local_note(cpu->fetch_local[user], slot, !(origin->rights & ORIGIN_GLOBAL));
    cpu->fetches[user][slot] = (struct tlb_fetch){page, tlb_slot(cpu->tlbs[user], page)->physical};
}

static void tlb_fill(struct cpu *cpu, uint64_t page, bool user, const struct walk *walk)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlbs[user], page);
    struct tlb_origin *origin = &cpu->origins[user][page >> PAGE_SHIFT & (TLB_SIZE - 1)];
    uint64_t length;
    bool ram = false;
    uint8_t *host = lapic_covers(cpu->lapic, walk->physical)
                        ? NULL
                        : memory_at(cpu->machine->memory, walk->physical, &length, &ram);

    entry->physical = walk->physical;
    entry->host = host;
    origin->page = page;
    origin->rights = (walk_may_write(cpu, walk, user) ? ORIGIN_WRITABLE : 0) |
                     (walk->dirty ? ORIGIN_DIRTY : 0) | (walk->global ? ORIGIN_GLOBAL : 0) |
                     (host ? ORIGIN_HOST : 0) | (host && ram ? ORIGIN_HOST_RAM : 0) |
                     (walk_may_execute(cpu, walk, user) ? ORIGIN_EXECUTABLE : 0) |
                     (walk_guarded(cpu, walk, user) ? ORIGIN_GUARDED : 0);
    if (walk->shift != PAGE_SHIFT)
        *large_word(cpu, page, walk->shift) |= large_bit(page, walk->shift);
    set_tags(cpu, user, page);
}

static bool tlb_holds(const struct cpu *cpu, const struct tlb_origin *origin, uint64_t page,
                      enum access access)
{
    enum { STORABLE = ORIGIN_WRITABLE | ORIGIN_DIRTY };

    if (origin->page != page)
        return false;
    if (!(origin->rights & ORIGIN_GLOBAL) && (origin->rights & GENERATION_MASK) != cpu->tlb_generation)
        return false;
    if (access == ACCESS_EXECUTE)
        return origin->rights & ORIGIN_EXECUTABLE;
    if ((origin->rights & ORIGIN_GUARDED) && smap_forbids(cpu))
        return false;
    return access != ACCESS_WRITE || (origin->rights & STORABLE) == STORABLE;
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

static void walk_for(struct cpu *cpu, uint64_t linear, enum access access, bool user, struct walk *walk)
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

uint64_t paging_translate(struct cpu *cpu, uint64_t linear, enum access access, bool user, uint8_t **host)
{
    uint64_t page = linear_wrap(cpu, linear) & PAGE_MASK;
    struct tlb_entry *entry = tlb_slot(cpu->tlbs[user], page);
    struct tlb_origin *origin = &cpu->origins[user][page >> PAGE_SHIFT & (TLB_SIZE - 1)];
    struct walk walk;

    if (cpu->memory_generation != memory_generation(cpu->machine->memory))
        tlb_reset(cpu);
    if (tlb_holds(cpu, origin, page, access)) {
        set_tags(cpu, user, page);
    } else {
        walk_for(cpu, linear_wrap(cpu, linear), access, user, &walk);
        tlb_fill(cpu, page, user, &walk);
    }
    if (access == ACCESS_EXECUTE)
        set_fetch(cpu, user, page);
    *host = NULL;
    if (origin->rights & (access == ACCESS_WRITE ? ORIGIN_HOST_RAM : ORIGIN_HOST))
        *host = entry->host + (linear & ~PAGE_MASK);
    return entry->physical | (linear & ~PAGE_MASK);
}

bool paging_ready(struct cpu *cpu, uint64_t linear, bool user)
{
    uint64_t page = linear_wrap(cpu, linear) & PAGE_MASK;
    const struct tlb_origin *origin = &cpu->origins[user][page >> PAGE_SHIFT & (TLB_SIZE - 1)];

    return cpu->memory_generation == memory_generation(cpu->machine->memory) &&
           tlb_holds(cpu, origin, page, ACCESS_WRITE) && (origin->rights & ORIGIN_HOST_RAM);
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

/* ---- slow accesses ---- */

static cold void watch(struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    enum { WATCH_WRITE = 1, WATCH_ACCESS = 3 };
    static const unsigned lengths[4] = {1, 2, 8, 4};

    if (cpu->debugging)
        debugger_watch(cpu, linear, size, write);
    for (int i = 0; i < 4; i++) {
        unsigned kind = cpu->dr[7] >> (16 + 4 * i) & 3, length = lengths[cpu->dr[7] >> (18 + 4 * i) & 3];
        uint64_t start = linear_wrap(cpu, cpu->dr[i]) & ~(uint64_t)(length - 1);

        if (!(cpu->dr[7] >> (2 * i) & 3) || !(kind == WATCH_ACCESS || (kind == WATCH_WRITE && write)))
            continue;
        if (linear < start + length && start < linear + size) {
            cpu->debug_pending |= 1u << i;
            cpu->attention = 1;
        }
    }
}

/* They trap after the instruction. */
void watch_data(struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    if (debug_watches_code(cpu))
        watch(cpu, linear, size, write);
}

static bool power_of_two(unsigned size)
{
    return (size & (size - 1)) == 0;
}

/* Each CPU sees its own local APIC, whatever else is at that address. */
static cold uint64_t own_load(struct cpu *cpu, uint64_t physical, unsigned size)
{
    uint64_t value;

    cpu_lock(cpu);
    value = lapic_read(cpu->lapic, physical, size);
    cpu_unlock(cpu);
    return value;
}

static cold void own_store(struct cpu *cpu, uint64_t physical, unsigned size, uint64_t value)
{
    cpu_lock(cpu);
    lapic_write(cpu->lapic, physical, size, value);
    cpu_unlock(cpu);
}

static uint64_t physical_load(struct cpu *cpu, uint64_t physical, const uint8_t *host, unsigned size)
{
    uint64_t value = 0;

    if (host)
        return host_load(host, size);
    if (lapic_covers(cpu->lapic, physical))
        return own_load(cpu, physical, size);
    if (power_of_two(size))
        value = device_read(cpu, cpu->machine->mmio, physical, size);
    else
        for (unsigned i = 0; i < size; i++)
            value |= (device_read(cpu, cpu->machine->mmio, physical + i, 1) & 0xff) << (8 * i);
    return value;
}

static void physical_store(struct cpu *cpu, uint64_t physical, unsigned size, uint64_t value)
{
    uint64_t length;
    bool writable;
    uint8_t *host = memory_at(cpu->machine->memory, physical, &length, &writable);

    if (lapic_covers(cpu->lapic, physical)) {
        own_store(cpu, physical, size, value);
    } else if (host && writable) {
        host_store(host, size, value);
        code_check_write(cpu, physical, size);
    } else if (!host) {
        if (power_of_two(size))
            device_write(cpu, cpu->machine->mmio, physical, size, value);
        else
            for (unsigned i = 0; i < size; i++)
                device_write(cpu, cpu->machine->mmio, physical + i, 1, value >> (8 * i) & 0xff);
    }
}

/* How many of the bytes lie in the first page. */
static unsigned first_part(uint64_t linear, unsigned size)
{
    uint64_t room = PAGE_SIZE - (linear & ~PAGE_MASK);

    return room < size ? room : size;
}

uint64_t slow_load(struct cpu *cpu, uint64_t linear, unsigned size, bool user)
{
    unsigned first = first_part(linear, size);
    uint8_t *host, *second_host = NULL;
    uint64_t physical, second = 0, value;

    linear = linear_wrap(cpu, linear);
    physical = paging_translate(cpu, linear, ACCESS_READ, user, &host);
    if (first < size)
        second = paging_translate(cpu, linear + first, ACCESS_READ, user, &second_host);
    watch_data(cpu, linear, size, false);
    value = physical_load(cpu, physical, host, first);
    if (first < size)
        value |= physical_load(cpu, second, second_host, size - first) << (8 * first);
    return value;
}

void slow_store(struct cpu *cpu, uint64_t linear, unsigned size, uint64_t value, bool user)
{
    unsigned first = first_part(linear, size);
    uint8_t *host;
    uint64_t physical, second = 0;

    linear = linear_wrap(cpu, linear);
    physical = paging_translate(cpu, linear, ACCESS_WRITE, user, &host);
    if (first < size)
        second = paging_translate(cpu, linear + first, ACCESS_WRITE, user, &host);
    watch_data(cpu, linear, size, true);
    physical_store(cpu, physical, first, value);
    if (first < size)
        physical_store(cpu, second, size - first, value >> (8 * first));
}
