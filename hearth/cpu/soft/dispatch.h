/*
 * How a block ends: on to the next one without leaving the handlers, or out to the run loop.
 */
#ifndef SOFT_DISPATCH_H
#define SOFT_DISPATCH_H

#include "cpu/soft/soft.h"

always unsigned code_hash(uint64_t physical, uint32_t mode)
{
    return (physical + ((uint64_t)mode << 40)) * 0x9e3779b97f4a7c15ull >> (64 - CODE_HASH_BITS);
}

/* Out to the run loop. What was counted on entering the block and has not run is taken back. */
always const struct op *leave_at(struct cpu *cpu, const struct op *op, uint64_t rip, unsigned retired)
{
    cpu->instructions -= cpu->block->count - op->ordinal - retired;
    cpu->rip = rip;
    cpu->op = NULL;
    return NULL;
}

/* ... to the instruction behind this one. */
const struct op *leave(struct cpu *cpu, const struct op *op);
/* ... to wherever the handler has put cpu->rip, perhaps in another mode or with other flags. */
const struct op *leave_changed(struct cpu *cpu, const struct op *op);
/* ... to a branch's target (checked against CS's limit) or what is behind the branch; it may be linked to. */
const struct op *leave_branch(struct cpu *cpu, const struct op *op, enum block_link link, uint64_t rip);

/* #GP(0) for a branch target outside CS, or not canonical. */
_Noreturn void branch_outside(struct cpu *cpu, const struct op *op, uint64_t rip);

/* Where a direct branch goes, before it is cut to the operand size; see branch() of the decoder. */
always uint64_t branch_target(const struct cpu *cpu, const struct op *op, unsigned size)
{
    return cpu->rip + (int64_t)(int32_t)op->immediate + (size == 8 ? op->displacement : 0);
}

always uint64_t near_target(uint64_t rip, unsigned size)
{
    return size == 2 ? rip & UINT16_MAX : size == 4 ? rip & UINT32_MAX : rip;
}

/* For what must not happen if the branch faults. Branches of 64 bits are those of 64-bit code. */
always void target_check(struct cpu *cpu, const struct op *op, uint64_t rip, unsigned size)
{
    if (unlikely(size == 8 ? !canonical(rip) : rip >= cpu->code_end))
        branch_outside(cpu, op, rip);
}

/* NEXT, unless something wants to be looked at first. */
#define NEXT_OR_LEAVE                                                                                        \
    do {                                                                                                     \
        if (unlikely(atomic_load_explicit(&cpu->attention, memory_order_relaxed)))                           \
            return leave(cpu, op);                                                                           \
        NEXT;                                                                                                \
    } while (0)

always const struct op *enter(struct cpu *cpu, struct block *block, uint64_t rip)
{
    const struct op *first = block->ops;

    cpu->rip = rip;
    cpu->block = block;
    cpu->instructions += block->count;
    GO(first);
}

/* Is this block what stands at that address now? For links that leave the page. */
always bool block_is_at(const struct cpu *cpu, const struct block *block, uint64_t rip)
{
    uint64_t linear = (cpu->window[SEG_CS].base + rip) & cpu->linear_mask;
    const struct tlb_fetch *entry = fetch_slot(cpu->fetch, linear);

    return entry->page == (linear & PAGE_MASK) &&
           block->physical == (entry->physical | (linear & ~PAGE_MASK));
}

/* Goes on at a RIP that is known to be within CS, from a direct branch. op->mask has a bit for each link that stays in the page. */
always const struct op *chain(struct cpu *cpu, const struct op *op, enum block_link link, uint64_t rip)
{
    struct block *next = cpu->block->link[link];

    if (likely(next && !atomic_load_explicit(&cpu->attention, memory_order_relaxed) &&
               rip + next->length <= cpu->code_end) &&
        (likely(op->mask & (1u << link)) || block_is_at(cpu, next, rip)))
        return enter(cpu, next, rip);
    return leave_branch(cpu, op, link, rip);
}

/* Goes on at a RIP out of a register or the stack. */
always const struct op *chain_indirect(struct cpu *cpu, const struct op *op, uint64_t rip)
{
    uint64_t linear = (cpu->window[SEG_CS].base + rip) & cpu->linear_mask;
    const struct tlb_fetch *entry = fetch_slot(cpu->fetch, linear);
    uint64_t physical = entry->physical | (linear & ~PAGE_MASK);
    uint32_t mode = cpu->block->mode;
    struct block *next;

    if (unlikely(entry->page != (linear & PAGE_MASK)))
        return leave_branch(cpu, op, LINK_NONE, rip);
    next = cpu->code->hash[code_hash(physical, mode)];
    while (next && (next->physical != physical || next->mode != mode))
        next = next->hash_next;
    if (likely(next && !next->crosses && !atomic_load_explicit(&cpu->attention, memory_order_relaxed)) &&
        likely(rip + next->length <= cpu->code_end))
        return enter(cpu, next, rip);
    return leave_branch(cpu, op, LINK_NONE, rip);
}

#endif
