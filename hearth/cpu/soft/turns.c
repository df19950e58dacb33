/* CPUs that take turns: how long one is, and what time it is meanwhile. */
#include "cpu/soft/turns.h"

#include "cpu/soft/device.h"
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"

/* Retired up to the instruction under way; within a block they have all been counted beforehand. */
static uint64_t retired(const struct cpu *cpu)
{
    return cpu->op ? cpu->instructions - cpu->block->count + cpu->op->ordinal : cpu->instructions;
}

void turn_begin(struct cpu *cpu)
{
    cpu->turn.time = clock_now(cpu->machine->clock);
    cpu->turn.from = cpu->instructions;
    cpu->turn.end = cpu->instructions + TURN_INSTRUCTIONS;
    cpu_lock(cpu);
    turn_shorten(cpu);
    cpu_unlock(cpu);
}

void turn_clock(struct cpu *cpu)
{
    clock_reach(cpu->machine->clock,
                cpu->turn.time + (retired(cpu) - cpu->turn.from) * (uint64_t)INSTRUCTION_TIME);
}

void turn_shorten(struct cpu *cpu)
{
    uint64_t next = clock_next(cpu->machine->clock), end = cpu->turn.from;

    if (next == CLOCK_NEVER)
        return;
    if (next > cpu->turn.time)
        end += (next - cpu->turn.time + INSTRUCTION_TIME - 1) / INSTRUCTION_TIME;
    if (end >= cpu->turn.end)
        return;
    cpu->turn.end = end;
    if (end < cpu->instructions + BLOCK_OPERATIONS)
        atomic_store(&cpu->attention, 1);
}

void turn_end(struct cpu *cpu)
{
    cpu->turn.end = 0;
    atomic_store(&cpu->attention, 1);
}

bool turn_ending(const struct cpu *cpu)
{
    return cpu->turn.end - cpu->instructions < BLOCK_OPERATIONS;
}

/* Stands before the first instruction of each block: may all of them run? */
const struct op *op_turn(struct cpu *cpu, const struct op *op)
{
    if (likely(cpu->instructions <= cpu->turn.end))
        NEXT;
    atomic_store(&cpu->attention, 1);
    return leave_at(cpu, op, cpu->rip, 0);
}

uint64_t turn_random(struct soft *soft)
{
    uint64_t value = soft->random += 0x9e3779b97f4a7c15ull;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    return value ^ value >> 31;
}
