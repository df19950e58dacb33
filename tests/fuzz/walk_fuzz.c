/*
 * The software CPU's page walker and TLB on any tables, beside the walk that the monitor has (cpu/walk.h) and a second
 * reading of the rights: where an access is let by, and what a page fault says.
 *
 * Four tables, each entry of one leading to the next, are there to begin with; the input spoils them, and accesses. What
 * the TLB may still know of entries that were changed is flushed, by INVLPG or as a whole.
 */
#include <assert.h>
#include <setjmp.h>

#include "core/lock.h"
#include "core/log.h"
#include "cpu/engine.h"
#include "cpu/soft/soft.h"
#include "cpu/walk.h"
#include "fuzz/fuzz.h"

enum { RAM = 0x40000, TABLES = 0x1000, STEPS_MOST = 400 };
enum { P = 1, RW = 2, US = 4 };
enum { ERROR_P = 1, ERROR_RESERVED = 8 };
#define NX (1ull << 63)

struct rig {
    struct engine_machine machine;
    struct vcpu *vcpu;
    struct cpu *cpu;
    struct cpu_state state;
    uint8_t *ram;
};

static void rig_open(struct rig *rig)
{
    char error[200] = "no reason given";
    struct memory_range ram = {.size = RAM, .writable = true, .name = "ram"};

    rig->machine.memory = memory_create(RAM);
    rig->ram = ram.host = memory_ram(rig->machine.memory);
    rig->machine.ports = bus_create("port", 65536);
    rig->machine.mmio = bus_create("mmio", UINT64_MAX);
    rig->machine.clock = clock_create();
    rig->machine.cpus = 1;
    rig->machine.translate_after = -1;
    memory_map(rig->machine.memory, &ram);
    struct engine *engine = engine_soft.create(&rig->machine, error, sizeof(error));
    if (!engine)
        die("engine_soft: %s", error);
    rig->vcpu = engine_soft.vcpu(engine, 0);
    rig->cpu = cpu_of(rig->vcpu);
}

static void entry_put(struct rig *rig, unsigned table, unsigned index, uint64_t entry)
{
    unsigned size = rig->state.cr4 & CR4_PAE ? 8 : 4;

    memcpy(rig->ram + table * PAGE_SIZE + (index * size & (PAGE_SIZE - 1)), &entry, size);
}

static void tables_make(struct rig *rig)
{
    memset(rig->ram, 0, RAM);
    for (unsigned table = 1; table <= 4; table++)
        for (unsigned i = 0; i < 1024; i++)
            entry_put(rig, table, i, (table + 1) * PAGE_SIZE | P | RW | US);
    /* PAE: the pointers at 0, for their reserved bits are others. */
    for (unsigned i = 0; i < 4; i++)
        memcpy(rig->ram + 8 * i, &(uint64_t){(2 + i % 2) * PAGE_SIZE | P}, 8);
}

static void state_make(struct rig *rig, struct input *input)
{
    unsigned how = input_take(input, 2), ring = how >> 3 & 1 ? 3 : 0;
    struct cpu_state *state = &rig->state;
    bool wide = (how & 3) == 3;

    engine_soft.reset(rig->vcpu);
    engine_soft.get_state(rig->vcpu, state);
    state->cr0 = CR0_PE | CR0_ET | CR0_PG | (how & 0x10 ? CR0_WP : 0);
    state->cr4 = (how & 2 ? CR4_PAE : 0) | (how & 0x20 ? CR4_PSE : 0) | (how & 0x40 ? CR4_PGE : 0) |
                 (how & 0x80 ? CR4_SMEP : 0) | (how & 0x100 ? CR4_SMAP : 0);
    state->efer = (wide ? EFER_LME | EFER_LMA : 0) | (how & 0x200 ? EFER_NXE : 0);
    state->rflags = FLAG_1 | (how & 0x400 ? FLAG_AC : 0);
    state->segment[SEG_SS].rights |= ring << RIGHTS_DPL_SHIFT;
    state->segment[SEG_CS].rights |= ring << RIGHTS_DPL_SHIFT | (wide ? RIGHTS_L : 0);
    state->cr3 = (how & 3) == 2 ? 0 : TABLES;
    tables_make(rig);
    engine_soft.set_state(rig->vcpu, state);
}

static uint64_t linear_take(struct rig *rig, struct input *input)
{
    uint64_t linear = input_take(input, 2) & (PAGE_SIZE - 1);
    unsigned shift = 12, bits = rig->state.cr4 & CR4_PAE ? 9 : 10;

    for (; shift < (rig->state.efer & EFER_LMA ? 48 : 32); shift += bits)
        linear |= (uint64_t)(input_take(input, 1) & 3) << shift;
    if (!(rig->state.efer & EFER_LMA))
        return (uint32_t)linear;
    return (uint64_t)((int64_t)(linear << 16) >> 16);
}

/* PAE: the CPU has its own copy of the pointers; what it would refuse to load is not there for the monitor's walk either. */
static void pointers_load(struct rig *rig)
{
    bool pointers = (rig->state.cr4 & CR4_PAE) && !(rig->state.efer & EFER_LMA);
    uint8_t *memory = rig->ram + rig->state.cr3;

    if (!pointers || memcmp(memory, rig->cpu->pdpte, sizeof(rig->cpu->pdpte)) == 0)
        return;
    if (!paging_load_pointers(rig->cpu, rig->state.cr3))
        memcpy(memory, rig->cpu->pdpte, sizeof(rig->cpu->pdpte));
    tlb_flush(rig->cpu, true);
}

/* May it, by what the entries of the walk say? */
static bool permitted(const struct rig *rig, const struct walk *walk, enum access access, bool user)
{
    const struct cpu_state *state = &rig->state;
    bool pae = state->cr4 & CR4_PAE, pointers = pae && !(state->efer & EFER_LMA);
    uint64_t all = RW | US, any = 0;

    for (unsigned i = pointers ? 1 : 0; i < walk->steps; i++) {
        all &= walk->step[i].entry;
        any |= walk->step[i].entry;
    }
    if (user && !(all & US))
        return false;
    if (access == ACCESS_WRITE && !(all & RW) && (user || (state->cr0 & CR0_WP)))
        return false;
    if (access == ACCESS_EXECUTE)
        return !((any & NX) && pae) && !(!user && (all & US) && (state->cr4 & CR4_SMEP));
    return user || !(all & US) || !(state->cr4 & CR4_SMAP) ||
           ((state->rflags & FLAG_AC) && !(state->segment[SEG_SS].rights & RIGHTS_DPL));
}

static void access_check(struct rig *rig, struct input *input, uint64_t linear)
{
    unsigned how = input_take(input, 1);
    uint64_t physical, probed;
    enum access access = how % 3 == 0 ? ACCESS_READ : how % 3 == 1 ? ACCESS_WRITE : ACCESS_EXECUTE;
    bool user = how & 0x40, mapped;
    struct walk walk;
    uint8_t *host;
    char text[300];

    pointers_load(rig);
    mapped = walk_tables(&rig->state, rig->machine.memory, linear, &walk);
    if (how & 0x80)
        tlb_flush(rig->cpu, how & 0x20);
    if (setjmp(rig->cpu->fault_jump)) {
        uint32_t error = rig->cpu->pending.error;

        assert(rig->cpu->pending.vector == VECTOR_PF && rig->cpu->cr2 == linear);
        assert(error & ERROR_RESERVED || !(error & ERROR_P) == !mapped);
        assert(error & ERROR_RESERVED || !mapped || !permitted(rig, &walk, access, user));
        paging_explain(rig->cpu, linear, error, text, sizeof(text));
        return;
    }
    physical = paging_translate(rig->cpu, linear, access, user, &host);
    assert(mapped && physical == walk.physical && permitted(rig, &walk, access, user));
    assert(!host || host == rig->ram + physical);
    assert(paging_probe(rig->cpu, linear, &probed) && probed == physical);
}

/* Across pages and onto the tables themselves; only that it ends well. */
static void access_run(struct rig *rig, struct input *input)
{
    unsigned how = input_take(input, 1), size = 1 + (how & 7);
    uint64_t linear = linear_take(rig, input);

    if (!setjmp(rig->cpu->fault_jump)) {
        if (how & 8)
            slow_store(rig->cpu, linear, size, linear, how & 16);
        else
            slow_load(rig->cpu, linear, size, how & 16);
    }
    tlb_flush(rig->cpu, true);
}

static void poke(struct rig *rig, struct input *input)
{
    unsigned table = input_take(input, 1) & 7, index = input_take(input, 1) & 3;
    uint64_t entry = input_take(input, 2) | (uint64_t)(input_take(input, 1) & 7) << 16;
    unsigned high = input_take(input, 1);

    entry |= (uint64_t)(high & 0x40) << 33 | (uint64_t)(high & 0x20) << 40 | (uint64_t)(high & 0x80) << 56;
    entry_put(rig, table, index, entry);
    tlb_flush(rig->cpu, true);
}

/* A leaf of the last table changes, and its page alone is flushed. */
static void poke_leaf(struct rig *rig, struct input *input)
{
    uint64_t linear = linear_take(rig, input);
    struct walk walk;
    unsigned flags = input_take(input, 1);

    walk_tables(&rig->state, rig->machine.memory, linear, &walk);
    if (!walk.mapped || walk.step[walk.steps - 1].address + 8 > RAM)
        return;
    rig->ram[walk.step[walk.steps - 1].address] ^= flags & 0x67;
    tlb_flush_page(rig->cpu, linear);
    access_check(rig, input, linear);
    tlb_flush(rig->cpu, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    struct input input = {data, size};

    machine_lock();
    if (!rig.cpu)
        rig_open(&rig);
    state_make(&rig, &input);
    machine_unlock();
    for (unsigned i = 0; i < STEPS_MOST && input.size; i++)
        switch (input_take(&input, 1) % 6) {
        case 0: poke(&rig, &input); break;
        case 1: poke_leaf(&rig, &input); break;
        case 2: access_run(&rig, &input); break;
        default: access_check(&rig, &input, linear_take(&rig, &input));
        }
    return 0;
}
