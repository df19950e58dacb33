/*
 * The TLB: what walks found, until it is flushed, and the fast tags that access.h compares.
 *
 * Global pages survive a load of CR3. PCIDs are taken and each change of CR3 flushes, as is allowed.
 * Source: SDM volume 3A, 4.10.
 */
#include "cpu/soft/access.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/system.h"
#include "cpu/soft/walk.h"

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
