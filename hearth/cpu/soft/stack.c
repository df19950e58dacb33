/*
 * Stacks that are not, or not yet, the current one: those of inner rings out of the TSS, pushing and reading by their
 * own limits. In 64-bit code there are none.
 * Source: SDM volume 3A, 5.8.5 (stack switching), 6.14.2 (in 64-bit code).
 */
#include "cpu/soft/descriptor.h"

uint64_t stack_mask_of(const struct cpu *cpu, const struct segment *segment)
{
    if (in_64bit_code(cpu))
        return UINT64_MAX;
    return segment->rights & RIGHTS_DB ? UINT32_MAX : UINT16_MAX;
}

struct stack stack_current(struct cpu *cpu)
{
    return (struct stack){.segment = cpu->segment[SEG_SS],
                          .pointer = cpu->gpr[RSP],
                          .mask = stack_mask_of(cpu, &cpu->segment[SEG_SS]),
                          .user = is_user(cpu)};
}

struct stack stack_inner(struct cpu *cpu, unsigned level)
{
    struct stack stack = {.user = level == 3};
    uint16_t selector;
    uint32_t pointer;
    uint64_t raw;

    task_stack(cpu, level, &selector, &pointer);
    raw = stack_descriptor(cpu, selector, level, VECTOR_TS);
    descriptor_to_segment(raw, selector, &stack.segment);
    descriptor_mark_accessed(cpu, selector, raw);
    stack.segment.rights |= RIGHTS_ACCESSED;
    stack.pointer = pointer;
    stack.mask = stack_mask_of(cpu, &stack.segment);
    stack.error = selector & ERROR_SELECTOR;
    return stack;
}

struct stack stack_inner64(unsigned level, uint64_t pointer)
{
    return (struct stack){
        .segment = {.selector = level, .rights = RIGHTS_UNUSABLE | level << RIGHTS_DPL_SHIFT},
        .pointer = pointer,
        .mask = UINT64_MAX,
        .user = level == 3};
}

/* In 64-bit code there are no limits. */
static uint64_t stack_linear64(struct cpu *cpu, uint64_t offset, unsigned size, uint32_t error)
{
    if (canonical(offset) && canonical(offset + size - 1))
        return offset;
    fault_because(cpu, "stack access at 0x%016llx, which is not canonical: bits 63 to 47 differ",
                  (unsigned long long)offset);
    fault_error(cpu, VECTOR_SS, error);
}

/* The linear address of `size` bytes in a stack, or #SS. */
static uint64_t stack_linear(struct cpu *cpu, const struct stack *stack, uint64_t offset, unsigned size)
{
    const struct segment *segment = &stack->segment;
    bool expand_down = (segment->rights & (RIGHTS_CODE | RIGHTS_EXPAND_DOWN)) == RIGHTS_EXPAND_DOWN;
    bool inside;

    if (stack->mask == UINT64_MAX)
        return stack_linear64(cpu, offset, size, stack->error);
    inside = expand_down ? offset > segment->limit && offset + size - 1 <= stack->mask
                         : offset + size - 1 <= segment->limit;

    if (!inside || (segment->rights & RIGHTS_UNUSABLE)) {
        fault_because(cpu, "stack access of %u bytes at SS:0x%llx (SS 0x%04x), outside the segment's %s 0x%x",
                      size, (unsigned long long)offset, segment->selector,
                      expand_down ? "expand-down limit" : "limit", segment->limit);
        fault_error(cpu, VECTOR_SS, stack->error);
    }
    return (uint32_t)(segment->base + offset);
}

void stack_push(struct cpu *cpu, struct stack *stack, unsigned size, uint64_t value)
{
    uint64_t offset = (stack->pointer - size) & stack->mask;
    uint64_t linear = stack_linear(cpu, stack, offset, size);

    if (stack->user)
        slow_store(cpu, linear, size, value, true);
    else
        store_system(cpu, linear, size, value);
    stack->pointer = (stack->pointer & ~stack->mask) | offset;
}

uint64_t stack_read(struct cpu *cpu, const struct stack *stack, unsigned offset, unsigned size)
{
    uint64_t linear = stack_linear(cpu, stack, (stack->pointer + offset) & stack->mask, size);

    return stack->user ? slow_load(cpu, linear, size, true) : load_system(cpu, linear, size);
}

void stack_commit(struct cpu *cpu, const struct stack *stack)
{
    cpu->gpr[RSP] = (cpu->gpr[RSP] & ~stack->mask & UINT32_MAX) | (stack->pointer & stack->mask);
}
