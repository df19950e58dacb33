/* What the current CPU's page tables map: info mem, info tlb. The columns are QEMU's. */
#include <inttypes.h>

#include "cpu/walk.h"
#include "monitor/commands.h"

/* SDM volume 3A, 4.3 to 4.5: bits of an entry. */
enum entry_bits {
    ENTRY_WRITABLE = 1 << 1,
    ENTRY_USER = 1 << 2,
    ENTRY_WRITE_THROUGH = 1 << 3,
    ENTRY_NO_CACHE = 1 << 4,
    ENTRY_ACCESSED = 1 << 5,
    ENTRY_DIRTY = 1 << 6,
    ENTRY_LARGE = 1 << 7,
    ENTRY_GLOBAL = 1 << 8,
};
#define ENTRY_NO_EXECUTE (1ull << 63)

#define HALF_OF_LONG_MODE (1ull << 47)
/* Tables that point at themselves map more than anybody can wait for. */
enum { LINES_MOST = 20000, WALKS_MOST = 1 << 20 };

struct mapping {
    uint64_t start, end; /* linear */
    uint64_t rights;     /* of all levels together */
};

/* A page allows what every level allows; the first one of PAE paging (`first` 1) says nothing of rights. */
static uint64_t rights_of(const struct walk *walk, unsigned first)
{
    uint64_t rights = ENTRY_WRITABLE | ENTRY_USER;
    for (unsigned i = first; i < walk->steps; i++)
        rights &= walk->step[i].entry;
    return rights;
}

static void range_print(struct call *call, const struct mapping *mapping, int digits)
{
    fprintf(call->out, "%0*" PRIx64 "-%0*" PRIx64 " %0*" PRIx64 " %cr%c\n", digits, mapping->start, digits,
            mapping->end, digits, mapping->end - mapping->start, mapping->rights & ENTRY_USER ? 'u' : '-',
            mapping->rights & ENTRY_WRITABLE ? 'w' : '-');
}

static void page_print(struct call *call, uint64_t linear, const struct walk *walk, int digits)
{
    static const struct {
        uint64_t bit;
        char letter;
    } letters[] = {{ENTRY_NO_EXECUTE, 'X'},    {ENTRY_GLOBAL, 'G'},   {ENTRY_LARGE, 'P'},
                   {ENTRY_DIRTY, 'D'},         {ENTRY_ACCESSED, 'A'}, {ENTRY_NO_CACHE, 'C'},
                   {ENTRY_WRITE_THROUGH, 'T'}, {ENTRY_USER, 'U'},     {ENTRY_WRITABLE, 'W'}};
    uint64_t entry = walk->step[walk->steps - 1].entry;
    fprintf(call->out, "%0*" PRIx64 ": %016" PRIx64 " ", digits, linear, walk->physical);
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        /* Bit 7 of a page table's own entry is PAT. */
        bool set = (entry & letters[i].bit) && (letters[i].letter != 'P' || walk->page_size > PAGE_SIZE);
        fputc(set ? letters[i].letter : '-', call->out);
    }
    fputc('\n', call->out);
}

/* Walks everything, a table entry that is not present in one step. */
static void tables_print(struct call *call, bool pages)
{
    struct cpu_state state;
    call_state(call, &state);
    if (!(state.cr0 & CR0_PG)) {
        fputs("PG disabled\n", call->out);
        return;
    }
    bool wide = state.efer & EFER_LMA;
    uint64_t last = wide ? UINT64_MAX : UINT32_MAX;
    int digits = wide ? 16 : 8;
    unsigned lines = 0, walks = 0, first = !wide && (state.cr4 & CR4_PAE);
    struct mapping mapping = {0};
    struct walk walk;

    for (uint64_t linear = 0;;) {
        bool mapped = walk_tables(&state, machine_memory(call->machine), linear, &walk);
        uint64_t end = (linear | (walk.span - 1)) + 1; /* 0 behind the last page */
        bool grows = mapped && mapping.end == linear && linear && mapping.rights == rights_of(&walk, first);
        if (mapped && pages && lines++ < LINES_MOST)
            page_print(call, linear, &walk, digits);
        if (!pages && !grows && mapping.end != mapping.start && lines++ < LINES_MOST)
            range_print(call, &mapping, digits);
        if (!grows)
            mapping = (struct mapping){linear, linear, mapped ? rights_of(&walk, first) : 0};
        if (mapped)
            mapping.end = end;
        if (end == 0 || end > last || lines > LINES_MOST || ++walks > WALKS_MOST)
            break;
        linear = wide && end == HALF_OF_LONG_MODE ? ~(HALF_OF_LONG_MODE - 1) : end;
    }
    if (!pages && mapping.end != mapping.start)
        range_print(call, &mapping, digits);
    if (lines > LINES_MOST || walks > WALKS_MOST)
        fputs("... and more\n", call->out);
}

void info_mem(struct call *call)
{
    tables_print(call, false);
}

void info_tlb(struct call *call)
{
    tables_print(call, true);
}
