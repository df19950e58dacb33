/*
 * PUSH POP PUSHA POPA ENTER LEAVE, near CALL and RET.
 *
 * Source: SDM volume 2; volume 1 chapter 6. Nothing but memory is changed before the last access that can fault.
 * PUSH of a segment register with 32-bit operands writes all 32 bits.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"

always void stack_pointer_set(struct cpu *cpu, uint64_t pointer)
{
    cpu->gpr[RSP] = (cpu->gpr[RSP] & ~cpu->stack_mask & UINT32_MAX) | (pointer & cpu->stack_mask);
}

/* Elements of 64 bits are those of 64-bit code, and of it alone in a flat form. */
always uint64_t flat_pointer(uint64_t pointer, unsigned size)
{
    return size == 8 ? pointer : (uint32_t)pointer;
}

always void push_on(struct cpu *cpu, unsigned size, uint64_t value, bool flat)
{
    if (flat) {
        uint64_t pointer = flat_pointer(cpu->gpr[RSP] - size, size);

        store_linear(cpu, pointer, size, value);
        cpu->gpr[RSP] = pointer;
    } else {
        push(cpu, size, value);
    }
}

/* What lies on top, without popping it. */
always uint64_t top_of(struct cpu *cpu, unsigned size, bool flat)
{
    if (flat)
        return load_linear(cpu, flat_pointer(cpu->gpr[RSP], size), size);
    return load(cpu, SEG_SS, cpu->gpr[RSP] & cpu->stack_mask, size);
}

always void drop_from(struct cpu *cpu, unsigned bytes, unsigned size, bool flat)
{
    if (flat)
        cpu->gpr[RSP] = flat_pointer(cpu->gpr[RSP] + bytes, size);
    else
        stack_pointer_set(cpu, cpu->gpr[RSP] + bytes);
}

always const struct op *call_direct(struct cpu *cpu, const struct op *op, unsigned size, bool flat)
{
    uint64_t target = branch_target(cpu, op, size), masked = near_target(target, size);

    target_check(cpu, op, masked, size);
    MAY_FAULT;
    push_on(cpu, size, next_rip(cpu, op), flat);
    if (size == 2 && unlikely(target != masked))
        return leave_branch(cpu, op, LINK_NONE, masked);
    return chain(cpu, op, LINK_TAKEN, masked);
}

always const struct op *call_indirect(struct cpu *cpu, const struct op *op, unsigned size, uint64_t target)
{
    target_check(cpu, op, target, size);
    MAY_FAULT;
    push(cpu, size, next_rip(cpu, op));
    return chain_indirect(cpu, op, target);
}

always const struct op *near_return(struct cpu *cpu, const struct op *op, unsigned size, unsigned release,
                                    bool flat)
{
    uint64_t target;

    MAY_FAULT;
    target = top_of(cpu, size, flat);
    target_check(cpu, op, target, size);
    drop_from(cpu, size + release, size, flat);
    return chain_indirect(cpu, op, target);
}

#define STACK(size, name, flat)                                                                              \
    static const struct op *push_register_##size##name(struct cpu *cpu, const struct op *op)                 \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        push_on(cpu, size, reg_get(cpu, op->base, size), flat);                                              \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *push_immediate_##size##name(struct cpu *cpu, const struct op *op)                \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        push_on(cpu, size, (int32_t)op->immediate, flat);                                                    \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *pop_register_##size##name(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        uint64_t value;                                                                                      \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        value = top_of(cpu, size, flat);                                                                     \
        drop_from(cpu, size, size, flat);                                                                    \
        reg_set(cpu, op->base, size, value);                                                                 \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *call_near_##size##name(struct cpu *cpu, const struct op *op)                     \
    {                                                                                                        \
        return call_direct(cpu, op, size, flat);                                                             \
    }                                                                                                        \
    static const struct op *return_near_##size##name(struct cpu *cpu, const struct op *op)                   \
    {                                                                                                        \
        return near_return(cpu, op, size, 0, flat);                                                          \
    }
STACK(2, , false)
STACK(4, , false)
STACK(8, , false)
STACK(2, flat, true)
STACK(4, flat, true)
STACK(8, flat, true)

#define STACK_TABLE(name)                                                                                    \
    stack_table name = {{name##_2, name##_2flat}, {name##_4, name##_4flat}, {name##_8, name##_8flat}};
STACK_TABLE(push_register)
STACK_TABLE(push_immediate)
STACK_TABLE(pop_register)
STACK_TABLE(call_near)
STACK_TABLE(return_near)

/* ---- memory operands, segment registers ---- */

#define STACK_SLOW(size)                                                                                     \
    static const struct op *push_memory_##size(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        push(cpu, size, load(cpu, op->segment, address(cpu, op), size));                                     \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *pop_memory_##size(struct cpu *cpu, const struct op *op)                          \
    {                                                                                                        \
        uint64_t before = cpu->gpr[RSP], after, offset, value;                                               \
                                                                                                             \
        MAY_FAULT; /* an address that uses ESP means the one after the pop */                                \
        value = pop(cpu, size);                                                                              \
        after = cpu->gpr[RSP];                                                                               \
        offset = address(cpu, op);                                                                           \
        cpu->gpr[RSP] = before;                                                                              \
        store(cpu, op->segment, offset, size, value);                                                        \
        cpu->gpr[RSP] = after;                                                                               \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *push_segment_##size(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        push(cpu, size, cpu->segment[op->reg].selector);                                                     \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *call_register_##size(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        return call_indirect(cpu, op, size, reg_get(cpu, op->base, size));                                   \
    }                                                                                                        \
    static const struct op *call_memory_##size(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        return call_indirect(cpu, op, size, load(cpu, op->segment, address(cpu, op), size));                 \
    }                                                                                                        \
    static const struct op *return_release_##size(struct cpu *cpu, const struct op *op)                      \
    {                                                                                                        \
        return near_return(cpu, op, size, op->immediate & UINT16_MAX, false);                                \
    }                                                                                                        \
    static const struct op *enter_frame_##size(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        return enter_nested(cpu, op, size, op->immediate & UINT16_MAX, op->displacement & 31);               \
    }                                                                                                        \
    static const struct op *leave_frame_##size(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        uint64_t pointer = cpu->gpr[RBP] & cpu->stack_mask, value;                                           \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        value = load(cpu, SEG_SS, pointer, size);                                                            \
        stack_pointer_set(cpu, pointer + size);                                                              \
        reg_set(cpu, RBP * 8, size, value);                                                                  \
        NEXT;                                                                                                \
    }

/* ENTER: the old frame pointer, level - 1 copies out of the enclosing frame, the new frame pointer, then room. */
always const struct op *enter_nested(struct cpu *cpu, const struct op *op, unsigned size, unsigned room,
                                     unsigned level)
{
    uint64_t pointer = cpu->gpr[RSP] - size, linear;
    /* A 16-bit stack leaves the upper half of ESP alone, here too. */
    uint64_t frame = (cpu->gpr[RSP] & ~cpu->stack_mask) | (pointer & cpu->stack_mask);

    MAY_FAULT;
    store(cpu, SEG_SS, pointer & cpu->stack_mask, size, cpu->gpr[RBP]);
    for (unsigned i = 1; i < level; i++) {
        uint64_t value = load(cpu, SEG_SS, (cpu->gpr[RBP] - i * size) & cpu->stack_mask, size);

        pointer -= size;
        store(cpu, SEG_SS, pointer & cpu->stack_mask, size, value);
    }
    if (level) {
        pointer -= size;
        store(cpu, SEG_SS, pointer & cpu->stack_mask, size, frame);
    }
    /* What the new stack pointer points at has to be writable, or the instruction faults. */
    linear = segment_linear(cpu, SEG_SS, (pointer - room) & cpu->stack_mask, size, true);
    write_check(cpu, linear, size, is_user(cpu));
    stack_pointer_set(cpu, pointer - room);
    if (cpu->stack_mask == UINT16_MAX)
        REG16(RBP * 8) = frame;
    else
        reg_set(cpu, RBP * 8, size, frame);
    NEXT;
}

STACK_SLOW(2)
STACK_SLOW(4)
STACK_SLOW(8)

/* In real mode PUSHA does not even begin at an odd SP of 7 to 15. */
static void push_all_check(struct cpu *cpu)
{
    uint64_t pointer = cpu->gpr[RSP] & cpu->stack_mask;

    if ((cpu->cr0 & CR0_PE) || !(pointer & 1) || pointer < 7 || pointer > 15)
        return;
    fault_because(cpu, "PUSHA in real mode with SP %u", (unsigned)pointer);
    fault_error(cpu, VECTOR_GP, 0);
}

/* PUSHA and POPA: not in 64-bit code. */
#define STACK_ALL(size)                                                                                      \
    static const struct op *push_all_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        uint64_t pointer = cpu->gpr[RSP];                                                                    \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        push_all_check(cpu);                                                                                 \
        for (int i = RAX; i <= RDI; i++)                                                                     \
            store(cpu, SEG_SS, (pointer - (i + 1) * size) & cpu->stack_mask, size, cpu->gpr[i]);             \
        stack_pointer_set(cpu, pointer - 8 * size);                                                          \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *pop_all_##size(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        uint64_t value[RDI + 1], pointer = cpu->gpr[RSP];                                                    \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        for (int i = RAX; i <= RDI; i++)                                                                     \
            value[i] = load(cpu, SEG_SS, (pointer + (RDI - i) * size) & cpu->stack_mask, size);              \
        stack_pointer_set(cpu, pointer + 8 * size);                                                          \
        for (int i = RAX; i <= RDI; i++)                                                                     \
            if (i != RSP)                                                                                    \
                reg_set(cpu, i * 8, size, value[i]);                                                         \
        NEXT;                                                                                                \
    }
STACK_ALL(2)
STACK_ALL(4)

/* POP of a segment register: the selector is loaded before the stack pointer moves. SS holds interrupts off. */
always const struct op *segment_popped(struct cpu *cpu, const struct op *op, unsigned size)
{
    uint64_t selector, before = cpu->gpr[RSP], after;
    uint32_t mode = cpu->mode;

    MAY_FAULT;
    selector = pop(cpu, size);
    after = cpu->gpr[RSP];
    cpu->gpr[RSP] = before;
    segment_load(cpu, op->reg, selector);
    cpu->gpr[RSP] = after;
    if (op->reg == SEG_SS) {
        cpu->interrupt_shadow = cpu->debug_shadow = true;
        atomic_store_explicit(&cpu->attention, 1, memory_order_relaxed);
        return leave(cpu, op);
    }
    if (cpu->mode != mode)
        return leave(cpu, op);
    NEXT;
}

static const struct op *pop_segment_2(struct cpu *cpu, const struct op *op)
{
    return segment_popped(cpu, op, 2);
}

static const struct op *pop_segment_4(struct cpu *cpu, const struct op *op)
{
    return segment_popped(cpu, op, 4);
}

static const struct op *pop_segment_8(struct cpu *cpu, const struct op *op)
{
    return segment_popped(cpu, op, 8);
}

#define SIZE_TABLE(name) size_table name = {name##_2, name##_4, name##_8};
SIZE_TABLE(push_memory)
SIZE_TABLE(pop_memory)
SIZE_TABLE(push_segment)
SIZE_TABLE(pop_segment)
SIZE_TABLE(call_register)
SIZE_TABLE(call_memory)
SIZE_TABLE(return_release)
size_table push_all = {push_all_2, push_all_4};
size_table pop_all = {pop_all_2, pop_all_4};
SIZE_TABLE(enter_frame)
SIZE_TABLE(leave_frame)
