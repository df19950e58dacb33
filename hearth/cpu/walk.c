#include "cpu/walk.h"

enum entry_bits { ENTRY_PRESENT = 1 << 0, ENTRY_LARGE = 1 << 7 };
#define ENTRY_ADDRESS 0x000ffffffffff000ull

struct level {
    const char *table;
    unsigned shift, bits;
    bool may_be_large;
};

struct scheme {
    const struct level *levels;
    unsigned count, entry_size;
    uint64_t root_mask;
};

static const struct level levels_32[] = {
    {"page directory", 22, 10, true},
    {"page table", 12, 10, false},
};
static const struct level levels_pae[] = {
    {"page directory pointer table", 30, 2, false},
    {"page directory", 21, 9, true},
    {"page table", 12, 9, false},
};
static const struct level levels_4[] = {
    {"PML4", 39, 9, false},
    {"page directory pointer table", 30, 9, true},
    {"page directory", 21, 9, true},
    {"page table", 12, 9, false},
};

static struct scheme scheme_of(const struct cpu_state *state)
{
    if (state->efer & EFER_LMA)
        return (struct scheme){levels_4, 4, 8, ENTRY_ADDRESS};
    if (state->cr4 & CR4_PAE)
        return (struct scheme){levels_pae, 3, 8, 0xffffffe0};
    return (struct scheme){levels_32, 2, 4, 0xfffff000};
}

static bool large(const struct cpu_state *state, const struct scheme *scheme, const struct level *level,
                  uint64_t entry)
{
    if (!level->may_be_large || !(entry & ENTRY_LARGE))
        return false;
    return scheme->entry_size == 8 || (state->cr4 & CR4_PSE);
}

static bool finish(struct walk *walk, uint64_t entry, unsigned shift, uint64_t linear)
{
    uint64_t size = 1ull << shift;
    walk->page_size = size;
    walk->physical = (entry & ENTRY_ADDRESS & ~(size - 1)) | (linear & (size - 1));
    walk->mapped = true;
    return true;
}

bool walk_tables(const struct cpu_state *state, struct memory *memory, uint64_t linear, struct walk *walk)
{
    *walk = (struct walk){.page_size = PAGE_SIZE, .span = PAGE_SIZE};
    if (!(state->efer & EFER_LMA))
        linear = (uint32_t)linear;
    if (!(state->cr0 & CR0_PG)) {
        walk->physical = linear;
        walk->mapped = true;
        return true;
    }
    struct scheme scheme = scheme_of(state);
    uint64_t table = state->cr3 & scheme.root_mask;
    for (unsigned i = 0; i < scheme.count; i++) {
        const struct level *level = &scheme.levels[i];
        uint64_t index = linear >> level->shift & ((1u << level->bits) - 1), entry = 0;
        uint64_t address = table + index * scheme.entry_size;
        memory_read(memory, address, &entry, scheme.entry_size);
        walk->span = 1ull << level->shift;
        walk->step[walk->steps++] = (struct walk_step){level->table, address, entry};
        if (!(entry & ENTRY_PRESENT))
            return false;
        if (level->shift == 12 || large(state, &scheme, level, entry))
            return finish(walk, entry, level->shift, linear);
        table = entry & ENTRY_ADDRESS;
    }
    return false;
}

/* Page by page; `to` is NULL to write what is at `from`. */
static uint64_t walk_copy(const struct cpu_state *state, struct memory *memory, uint64_t linear, uint8_t *to,
                          const uint8_t *from, uint64_t size)
{
    uint64_t done = 0;
    while (done < size) {
        struct walk walk;
        if (!walk_tables(state, memory, linear + done, &walk))
            break;
        uint64_t piece = PAGE_SIZE - (walk.physical & (PAGE_SIZE - 1));
        if (piece > size - done)
            piece = size - done;
        if (to ? !memory_read(memory, walk.physical, to + done, piece)
               : !memory_write(memory, walk.physical, from + done, piece))
            break;
        done += piece;
    }
    return done;
}

uint64_t walk_read(const struct cpu_state *state, struct memory *memory, uint64_t linear, void *to,
                   uint64_t size)
{
    return walk_copy(state, memory, linear, to, NULL, size);
}

uint64_t walk_write(const struct cpu_state *state, struct memory *memory, uint64_t linear, const void *from,
                    uint64_t size)
{
    return walk_copy(state, memory, linear, NULL, from, size);
}
