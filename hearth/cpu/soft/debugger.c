/*
 * A debugger's points and steps (engine.h: struct engine_debug), beside the guest's own debug registers and unseen by it. While a
 * debugger wants to be told of anything the CPU runs one instruction at a time.
 */
#include "cpu/soft/cpu.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/system.h"

static uint64_t here(const struct cpu *cpu)
{
    return (cpu->window[SEG_CS].base + cpu->rip) & cpu->linear_mask;
}

bool soft_debug(struct vcpu *vcpu, const struct engine_debug *debug)
{
    struct cpu *cpu = cpu_of(vcpu);

    cpu->debugging = debug != NULL;
    cpu->debugger = debug ? *debug : (struct engine_debug){0};
    debugger_leave(cpu);
    tlb_reset(cpu); /* pages with watched bytes lose their fast tags */
    atomic_store(&cpu->attention, 1);
    return true;
}

struct debug_hit soft_debug_hit(struct vcpu *vcpu)
{
    return cpu_of(vcpu)->debug_hit;
}

void debugger_leave(struct cpu *cpu)
{
    cpu->debug_hit = (struct debug_hit){0};
    cpu->debug_from = here(cpu);
}

static void hit(struct cpu *cpu, enum debug_kind kind, uint64_t address)
{
    if (cpu->debug_hit.kind == DEBUG_NOTHING || cpu->debug_hit.kind == DEBUG_STEP)
        cpu->debug_hit = (struct debug_hit){kind, address};
    atomic_store(&cpu->attention, 1);
}

bool debugger_before(struct cpu *cpu)
{
    uint64_t linear = here(cpu);

    if (cpu->debug_from != linear) /* the instruction that it goes on from is not told of again */
        for (unsigned i = 0; i < cpu->debugger.count; i++)
            if (cpu->debugger.point[i].kind == DEBUG_EXECUTE && cpu->debugger.point[i].address == linear) {
                hit(cpu, DEBUG_EXECUTE, linear);
                return true;
            }
    cpu->debug_from = UINT64_MAX;
    if (cpu->debugger.step) /* an exception on the way counts as the step */
        hit(cpu, DEBUG_STEP, linear);
    return false;
}

void debugger_watch(struct cpu *cpu, uint64_t linear, unsigned size, bool write)
{
    for (unsigned i = 0; i < cpu->debugger.count; i++) {
        const struct debug_point *point = &cpu->debugger.point[i];

        if ((point->kind == DEBUG_ACCESS || (point->kind == DEBUG_WRITE && write) ||
             (point->kind == DEBUG_READ && !write)) &&
            linear < point->address + point->size && point->address < linear + size)
            hit(cpu, point->kind, point->address);
    }
}

bool debugger_watches(const struct cpu *cpu, uint64_t page)
{
    for (unsigned i = 0; i < cpu->debugger.count; i++) {
        const struct debug_point *point = &cpu->debugger.point[i];

        if (point->kind != DEBUG_EXECUTE && point->address < page + PAGE_SIZE &&
            page < point->address + point->size)
            return true;
    }
    return false;
}
