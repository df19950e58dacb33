/*
 * Linear to physical: the page walk, the TLB, #PF, and the accesses that the fast path of access.h does not finish.
 *
 * Models 32-bit paging with 4 KiB and 4 MiB pages, WP, global pages, accessed and dirty bits. Left out: PSE-36 (address
 * bits above 31 of a large page are reserved, as on a CPU with 32 physical address bits); memory types. The walk goes
 * by a table of levels, so PAE and 4-level paging are further rows.
 * Source: SDM volume 3A, chapter 4 (4.3 the formats, 4.6 rights, 4.7 error code, 4.8 A and D, 4.10 TLB), 17.2 for
 * data breakpoints.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cpu/soft/access.h"

enum entry_bits {
    ENTRY_PRESENT = 1 << 0,
    ENTRY_WRITABLE = 1 << 1,
    ENTRY_USER = 1 << 2,
    ENTRY_ACCESSED = 1 << 5,
    ENTRY_DIRTY = 1 << 6,
    ENTRY_LARGE = 1 << 7,
    ENTRY_GLOBAL = 1 << 8,
};

enum page_fault_error {
    ERROR_PRESENT = 1 << 0, /* a protection violation; clear: not present */
    ERROR_WRITE = 1 << 1,
    ERROR_USER = 1 << 2,
    ERROR_RESERVED = 1 << 3,
};

struct level {
    const char *table;
    unsigned shift, bits;
    uint64_t large_reserved; /* of an entry that maps a large page here; 0: this level maps none */
};

struct scheme {
    const struct level *levels;
    unsigned count, entry_size;
    uint64_t table_mask; /* address bits of an entry, and of CR3 */
};

static const struct level levels_32[] = {
    {"page directory", 22, 10, 0x003fe000},
    {"page table", 12, 10, 0},
};
static const struct scheme scheme_32 = {levels_32, 2, 4, 0xfffff000};

enum { LEVELS_MOST = 4 };

/* What a walk found. Nothing was changed in memory by it. */
struct walk {
    struct {
        uint64_t address, entry;
    } step[LEVELS_MOST];
    unsigned steps;
    const struct scheme *scheme;
    bool failed;
    uint32_t error;    /* when failed; without ERROR_WRITE and ERROR_USER */
    uint64_t physical; /* of the 4 KiB page */
    bool writable, user, dirty, global, large;
};

/* In struct tlb_origin: the generation in the low 12 bits, and these. */
enum origin_rights {
    ORIGIN_WRITABLE = 1 << 12,
    ORIGIN_DIRTY = 1 << 13,
    ORIGIN_GLOBAL = 1 << 14,
    ORIGIN_HOST = 1 << 15,     /* host memory is behind it, and the addend holds */
    ORIGIN_HOST_RAM = 1 << 16, /* which may be written */
    GENERATION_MASK = 0xfff,
};

/* ---- the walk ---- */

static uint64_t *entry_host(struct cpu *cpu, uint64_t address)
{
    uint64_t length;
    bool writable;
    uint8_t *host = memory_at(cpu->machine->memory, address, &length, &writable);

    return host && writable ? (uint64_t *)host : NULL;
}

/* Tables where no memory is read as ones. */
static uint64_t entry_read(struct cpu *cpu, uint64_t address, unsigned size)
{
    uint64_t length, entry = size == 8 ? UINT64_MAX : UINT32_MAX;
    bool writable;
    uint8_t *host = memory_at(cpu->machine->memory, address, &length, &writable);

    if (host && length >= size)
        memcpy(&entry, host, size);
    return size == 8 ? entry : (uint32_t)entry;
}

static void walk_leaf(struct walk *walk, uint64_t entry, unsigned shift, uint64_t linear, bool global_pages)
{
    uint64_t offset = linear & ((1ull << shift) - 1) & PAGE_MASK;

    walk->physical = (entry & walk->scheme->table_mask & ~((1ull << shift) - 1)) | offset;
    walk->dirty = entry & ENTRY_DIRTY;
    walk->global = global_pages && (entry & ENTRY_GLOBAL);
    walk->large = shift != PAGE_SHIFT;
}

/* Follows the tables as far as they go; rights are looked at by walk_permits(). */
static void walk_tables_of(struct cpu *cpu, uint64_t linear, struct walk *walk)
{
    const struct scheme *scheme = &scheme_32;
    uint64_t table = cpu->cr3 & scheme->table_mask;

    *walk = (struct walk){.scheme = scheme, .writable = true, .user = true};
    for (unsigned i = 0; i < scheme->count; i++) {
        const struct level *level = &scheme->levels[i];
        uint64_t address = table + (linear >> level->shift & ((1u << level->bits) - 1)) * scheme->entry_size;
        uint64_t entry = entry_read(cpu, address, scheme->entry_size);
        bool large = level->large_reserved && (entry & ENTRY_LARGE) && (cpu->cr4 & CR4_PSE);

        walk->step[walk->steps].address = address;
        walk->step[walk->steps++].entry = entry;
        if (!(entry & ENTRY_PRESENT)) {
            walk->failed = true;
            return;
        }
        if (large && (entry & level->large_reserved)) {
            walk->failed = true;
            walk->error = ERROR_PRESENT | ERROR_RESERVED;
            return;
        }
        walk->writable &= (entry & ENTRY_WRITABLE) != 0;
        walk->user &= (entry & ENTRY_USER) != 0;
        if (large || level->shift == PAGE_SHIFT) {
            walk_leaf(walk, entry, level->shift, linear, cpu->cr4 & CR4_PGE);
            return;
        }
        table = entry & scheme->table_mask;
    }
}

/* May this privilege write there, as far as the tables and CR0.WP say? */
static bool walk_may_write(const struct cpu *cpu, const struct walk *walk, bool user)
{
    return walk->writable || (!user && !(cpu->cr0 & CR0_WP));
}

static void walk_check(const struct cpu *cpu, struct walk *walk, enum access access, bool user)
{
    if (walk->failed)
        return;
    if ((user && !walk->user) || (access == ACCESS_WRITE && !walk_may_write(cpu, walk, user))) {
        walk->failed = true;
        walk->error = ERROR_PRESENT;
    }
}

/* Sets A in every entry that was used and D in the last; other CPUs may be doing the same. */
static void walk_mark(struct cpu *cpu, struct walk *walk, bool write)
{
    for (unsigned i = 0; i < walk->steps; i++) {
        bool last = i + 1 == walk->steps;
        uint32_t bits = ENTRY_ACCESSED | (last && write ? ENTRY_DIRTY : 0);
        uint64_t address = walk->step[i].address;
        uint64_t *host;

        if ((walk->step[i].entry & bits) == bits || !(host = entry_host(cpu, address)))
            continue;
        __atomic_fetch_or((uint32_t *)host, bits, __ATOMIC_SEQ_CST);
        if (code_in_page(cpu->soft, address & PAGE_MASK))
            code_written(cpu, address, walk->scheme->entry_size);
    }
    walk->dirty |= write;
}

/* ---- the TLB ---- */

static uint64_t linear_wrap(uint64_t linear)
{
    return (uint32_t)linear;
}

void tlb_reset(struct cpu *cpu)
{
    for (int user = 0; user < 2; user++)
        for (int i = 0; i < TLB_SIZE; i++) {
            struct tlb_entry *entry = &cpu->tlbs[user][i];

            entry->read_tag = entry->write_tag = entry->execute_tag = entry->physical = TLB_NEVER;
            cpu->origins[user][i].page = TLB_NEVER;
        }
    cpu->tlb_generation = 0;
    cpu->large_low = UINT64_MAX;
    cpu->large_high = 0;
    cpu->memory_generation = memory_generation(cpu->machine->memory);
    cpu->tlb = cpu->tlbs[cpl(cpu) == 3];
}

void tlb_flush(struct cpu *cpu, bool global_too)
{
    /* The last value is left out so that no tag is ever TLB_NEVER. */
    if (global_too || cpu->tlb_generation + 1 >= GENERATION_MASK)
        tlb_reset(cpu);
    else
        cpu->tlb_generation++;
}

void tlb_flush_page(struct cpu *cpu, uint64_t linear)
{
    uint64_t page = linear_wrap(linear) & PAGE_MASK;

    if (page >= cpu->large_low && page <= cpu->large_high) {
        tlb_reset(cpu);
        return;
    }
    for (int user = 0; user < 2; user++) {
        struct tlb_entry *entry = tlb_slot(cpu->tlbs[user], page);

        entry->read_tag = entry->write_tag = entry->execute_tag = TLB_NEVER;
        cpu->origins[user][page >> PAGE_SHIFT & (TLB_SIZE - 1)].page = TLB_NEVER;
    }
}

void tlb_protect_page(struct cpu *cpu, uint64_t physical)
{
    for (int user = 0; user < 2; user++)
        for (int i = 0; i < TLB_SIZE; i++)
            if (cpu->tlbs[user][i].physical == (physical & PAGE_MASK))
                cpu->tlbs[user][i].write_tag = TLB_NEVER;
}

void paging_mode_changed(struct cpu *cpu, uint64_t old_cr0, uint64_t old_cr4)
{
    if (((old_cr0 ^ cpu->cr0) & (CR0_PG | CR0_WP)) || ((old_cr4 ^ cpu->cr4) & (CR4_PSE | CR4_PAE | CR4_PGE)))
        tlb_reset(cpu);
    cpu->tlb = cpu->tlbs[cpl(cpu) == 3];
}

/* A page with a data breakpoint has no fast tags: every access comes by slow_load() and slow_store(). */
static bool page_watched(const struct cpu *cpu, uint64_t page)
{
    for (int i = 0; i < 4; i++)
        if ((cpu->dr[7] >> (2 * i) & 3) && (cpu->dr[7] >> (16 + 4 * i) & 3) &&
            (linear_wrap(cpu->dr[i]) & PAGE_MASK) == page)
            return true;
    return false;
}

static void set_tags(struct cpu *cpu, struct tlb_entry *entry, struct tlb_origin *origin)
{
    enum { STORABLE = ORIGIN_HOST_RAM | ORIGIN_WRITABLE | ORIGIN_DIRTY };
    uint64_t tag = origin->page | cpu->tlb_generation;
    bool host = origin->rights & ORIGIN_HOST,
         watched = (cpu->dr[7] & 0xff) && page_watched(cpu, origin->page);

    origin->rights = (origin->rights & ~(uint64_t)GENERATION_MASK) | cpu->tlb_generation;
    entry->execute_tag = host ? tag : TLB_NEVER;
    entry->read_tag = host && !watched ? tag : TLB_NEVER;
    entry->write_tag = TLB_NEVER;
    if ((origin->rights & STORABLE) == STORABLE && !watched && !code_in_page(cpu->soft, entry->physical))
        entry->write_tag = tag;
}

static void tlb_fill(struct cpu *cpu, uint64_t page, bool user, const struct walk *walk)
{
    struct tlb_entry *entry = tlb_slot(cpu->tlbs[user], page);
    struct tlb_origin *origin = &cpu->origins[user][page >> PAGE_SHIFT & (TLB_SIZE - 1)];
    uint64_t length;
    bool ram = false;
    uint8_t *host = memory_at(cpu->machine->memory, walk->physical, &length, &ram);

    entry->physical = walk->physical;
    entry->addend = (uintptr_t)host - page;
    origin->page = page;
    origin->rights = (walk_may_write(cpu, walk, user) ? ORIGIN_WRITABLE : 0) |
                     (walk->dirty ? ORIGIN_DIRTY : 0) | (walk->global ? ORIGIN_GLOBAL : 0) |
                     (host ? ORIGIN_HOST : 0) | (host && ram ? ORIGIN_HOST_RAM : 0);
    if (walk->large) {
        uint64_t start = page & ~(uint64_t)0x3fffff, end = page | 0x3fffff;

        cpu->large_low = start < cpu->large_low ? start : cpu->large_low;
        cpu->large_high = end > cpu->large_high ? end : cpu->large_high;
    }
    set_tags(cpu, entry, origin);
}

static bool tlb_holds(const struct cpu *cpu, const struct tlb_origin *origin, uint64_t page,
                      enum access access)
{
    enum { STORABLE = ORIGIN_WRITABLE | ORIGIN_DIRTY };

    if (origin->page != page)
        return false;
    if (!(origin->rights & ORIGIN_GLOBAL) && (origin->rights & GENERATION_MASK) != cpu->tlb_generation)
        return false;
    return access != ACCESS_WRITE || (origin->rights & STORABLE) == STORABLE;
}

static void walk_unpaged(uint64_t page, struct walk *walk)
{
    *walk = (struct walk){.physical = page, .writable = true, .user = true, .dirty = true};
}

static _Noreturn void page_fault(struct cpu *cpu, uint64_t linear, uint32_t error, enum access access,
                                 bool user)
{
    error |= (access == ACCESS_WRITE ? ERROR_WRITE : 0) | (user ? ERROR_USER : 0);
    /* The walk now cached may be the reason: a fault drops what is known of the page. */
    tlb_flush_page(cpu, linear);
    cpu->cr2 = linear;
    fault_error(cpu, VECTOR_PF, error);
}

uint64_t paging_translate(struct cpu *cpu, uint64_t linear, enum access access, bool user, uint8_t **host)
{
    uint64_t page = linear_wrap(linear) & PAGE_MASK;
    struct tlb_entry *entry = tlb_slot(cpu->tlbs[user], page);
    struct tlb_origin *origin = &cpu->origins[user][page >> PAGE_SHIFT & (TLB_SIZE - 1)];
    struct walk walk;

    if (cpu->memory_generation != memory_generation(cpu->machine->memory))
        tlb_reset(cpu);
    if (tlb_holds(cpu, origin, page, access)) {
        set_tags(cpu, entry, origin);
    } else if (cpu->cr0 & CR0_PG) {
        walk_tables_of(cpu, page, &walk);
        walk_check(cpu, &walk, access, user);
        if (walk.failed)
            page_fault(cpu, linear_wrap(linear), walk.error, access, user);
        walk_mark(cpu, &walk, access == ACCESS_WRITE);
        tlb_fill(cpu, page, user, &walk);
    } else {
        walk_unpaged(page, &walk);
        tlb_fill(cpu, page, user, &walk);
    }
    *host = NULL;
    if (origin->rights & (access == ACCESS_WRITE ? ORIGIN_HOST_RAM : ORIGIN_HOST))
        *host = (uint8_t *)(linear_wrap(linear) + entry->addend);
    return entry->physical | (linear & ~PAGE_MASK);
}

bool paging_probe(struct cpu *cpu, uint64_t linear, uint64_t *physical)
{
    struct walk walk;

    linear = linear_wrap(linear);
    if (cpu->cr0 & CR0_PG)
        walk_tables_of(cpu, linear, &walk);
    else
        walk_unpaged(linear & PAGE_MASK, &walk);
    *physical = walk.physical | (linear & ~PAGE_MASK);
    return !walk.failed;
}

/* ---- why a #PF arose ---- */

static const char *explain_entry(uint64_t entry, uint32_t error)
{
    if (!(entry & ENTRY_PRESENT))
        return "bit 0 (present) clear";
    if (error & ERROR_RESERVED)
        return "a reserved address bit (21 to 13) of a 4 MiB page set";
    if ((error & ERROR_USER) && !(entry & ENTRY_USER))
        return "bit 2 (user) clear";
    if ((error & ERROR_WRITE) && !(entry & ENTRY_WRITABLE))
        return "bit 1 (writable) clear";
    return NULL;
}

void paging_explain(struct cpu *cpu, uint64_t linear, uint32_t error, char *text, size_t size)
{
    struct walk walk;
    unsigned i;
    const char *wrong = NULL;

    walk_tables_of(cpu, linear_wrap(linear), &walk);
    for (i = 0; i < walk.steps; i++)
        if ((wrong = explain_entry(walk.step[i].entry, walk.error | (error & (ERROR_USER | ERROR_WRITE)))))
            break;
    if (!wrong) {
        snprintf(text, size, "the page tables map it now");
        return;
    }
    int length = snprintf(text, size, "%s at 0x%08" PRIx64 ": entry 0x%08" PRIx64 ", %s",
                          walk.scheme->levels[i].table, walk.step[i].address, walk.step[i].entry, wrong);
    if (i > 0 && length > 0 && (size_t)length < size)
        snprintf(text + length, size - length, "; the %s entry 0x%08" PRIx64 " was fine",
                 walk.scheme->levels[i - 1].table, walk.step[i - 1].entry);
}

/* ---- slow accesses ---- */

/* Remembers which data breakpoints these bytes touch; they trap after the instruction. */
static cold void watch(struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    enum { WATCH_WRITE = 1, WATCH_ACCESS = 3 };
    static const unsigned lengths[4] = {1, 2, 8, 4};

    for (int i = 0; i < 4; i++) {
        unsigned kind = cpu->dr[7] >> (16 + 4 * i) & 3, length = lengths[cpu->dr[7] >> (18 + 4 * i) & 3];
        uint64_t start = linear_wrap(cpu->dr[i]) & ~(uint64_t)(length - 1);

        if (!(cpu->dr[7] >> (2 * i) & 3) || !(kind == WATCH_ACCESS || (kind == WATCH_WRITE && write)))
            continue;
        if (linear < start + length && start < linear + size) {
            cpu->debug_pending |= 1u << i;
            cpu->attention = 1;
        }
    }
}

/* A device may have moved memory about (shadow RAM, a BAR): nothing translated before holds then. */
static void after_bus(struct cpu *cpu)
{
    if (cpu->memory_generation != memory_generation(cpu->machine->memory))
        tlb_reset(cpu);
}

static bool power_of_two(unsigned size)
{
    return (size & (size - 1)) == 0;
}

static uint64_t physical_load(struct cpu *cpu, uint64_t physical, const uint8_t *host, unsigned size)
{
    uint64_t value = 0;

    if (host)
        return host_load(host, size);
    if (power_of_two(size))
        value = bus_read(cpu->machine->mmio, physical, size);
    else
        for (unsigned i = 0; i < size; i++)
            value |= (bus_read(cpu->machine->mmio, physical + i, 1) & 0xff) << (8 * i);
    after_bus(cpu);
    return value;
}

static void physical_store(struct cpu *cpu, uint64_t physical, unsigned size, uint64_t value)
{
    uint64_t length;
    bool writable;
    uint8_t *host = memory_at(cpu->machine->memory, physical, &length, &writable);

    if (host && writable) {
        host_store(host, size, value);
        if (code_in_page(cpu->soft, physical & PAGE_MASK))
            code_written(cpu, physical, size);
    } else if (!host) {
        if (power_of_two(size))
            bus_write(cpu->machine->mmio, physical, size, value);
        else
            for (unsigned i = 0; i < size; i++)
                bus_write(cpu->machine->mmio, physical + i, 1, value >> (8 * i) & 0xff);
        after_bus(cpu);
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

    linear = linear_wrap(linear);
    physical = paging_translate(cpu, linear, ACCESS_READ, user, &host);
    if (first < size)
        second = paging_translate(cpu, linear + first, ACCESS_READ, user, &second_host);
    if (cpu->dr[7] & 0xff)
        watch(cpu, linear, size, false);
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

    linear = linear_wrap(linear);
    physical = paging_translate(cpu, linear, ACCESS_WRITE, user, &host);
    if (first < size)
        second = paging_translate(cpu, linear + first, ACCESS_WRITE, user, &host);
    if (cpu->dr[7] & 0xff)
        watch(cpu, linear, size, true);
    physical_store(cpu, physical, first, value);
    if (first < size)
        physical_store(cpu, second, size - first, value >> (8 * first));
}
