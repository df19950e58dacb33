/*
 * Jumps, conditional jumps, LOOP; far branches, INT and IRET by way of far.c, interrupts.c and iret.c.
 *
 * Source: SDM volume 2. A branch to outside CS's limit faults at the branch.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"

/* With 16-bit operands the target wraps at 64 KiB; then it is no fixed distance away and nothing is linked. */
always const struct op *jump(struct cpu *cpu, const struct op *op, unsigned size)
{
    uint64_t target = branch_target(cpu, op, size);

    if (size == 2 && unlikely(target > UINT16_MAX))
        return leave_branch(cpu, op, LINK_NONE, target & UINT16_MAX);
    return chain(cpu, op, LINK_TAKEN, size == 8 ? target : target & UINT32_MAX);
}

always const struct op *jump_if(struct cpu *cpu, const struct op *op, unsigned size, bool taken)
{
    if (taken)
        return jump(cpu, op, size);
    return chain(cpu, op, LINK_FALL, next_rip(cpu, op));
}

/* The end of a block that does not end in a branch. */
const struct op *op_continue(struct cpu *cpu, const struct op *op)
{
    struct block *next = cpu->block->link[LINK_FALL];
    uint64_t rip = (cpu->rip + op->offset) & cpu->linear_mask;

    if (likely(next && !atomic_load_explicit(&cpu->attention, memory_order_relaxed)) &&
        likely(rip + next->length <= cpu->code_end) &&
        (likely(op->mask & (1u << LINK_FALL)) || block_is_at(cpu, next, rip)))
        return enter(cpu, next, rip);
    if (cpu->block->physical != UINT64_MAX && !(cpu->block->mode & MODE_SINGLE))
        cpu->code->link_from = &cpu->block->link[LINK_FALL];
    return leave_at(cpu, op, rip, 0);
}

#define JUMP_CONDITION(code, size)                                                                           \
    static const struct op *jump_##code##_##size(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        return jump_if(cpu, op, size, condition(cpu, code));                                                 \
    }                                                                                                        \
    static const struct op *jump_##code##_compared_##size(struct cpu *cpu, const struct op *op)              \
    {                                                                                                        \
        return jump_if(cpu, op, size, condition_compared(cpu, code));                                        \
    }                                                                                                        \
    static const struct op *jump_##code##_tested_##size(struct cpu *cpu, const struct op *op)                \
    {                                                                                                        \
        return jump_if(cpu, op, size, condition_tested(cpu, code));                                          \
    }
#define JUMP_CONDITIONS(code) JUMP_CONDITION(code, 2) JUMP_CONDITION(code, 4) JUMP_CONDITION(code, 8)
#define JUMP_ROW(code)                                                                                       \
    {{jump_##code##_2, jump_##code##_4, jump_##code##_8},                                                    \
     {jump_##code##_compared_2, jump_##code##_compared_4, jump_##code##_compared_8},                         \
     {jump_##code##_tested_2, jump_##code##_tested_4, jump_##code##_tested_8}},
#define CONDITIONS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

CONDITIONS(JUMP_CONDITIONS)
op_function *const jump_condition[16][KNOWNS][SIZES] = {CONDITIONS(JUMP_ROW)};

/* CX, ECX or RCX by address size, which the decoder leaves in scale. */
always uint64_t count_register(const struct cpu *cpu, const struct op *op)
{
    return reg_get(cpu, RCX * 8, 2u << op->scale);
}

always void count_register_set(struct cpu *cpu, const struct op *op, uint64_t value)
{
    reg_set(cpu, RCX * 8, 2u << op->scale, value);
}

enum loop_kind { LOOP_ALWAYS, LOOP_EQUAL, LOOP_NOT_EQUAL };

always const struct op *loop(struct cpu *cpu, const struct op *op, enum loop_kind kind, unsigned size)
{
    uint64_t count = count_register(cpu, op) - 1, target = branch_target(cpu, op, size);
    bool taken = count != 0;

    if (kind == LOOP_EQUAL)
        taken &= flag_zero(cpu);
    if (kind == LOOP_NOT_EQUAL)
        taken &= !flag_zero(cpu);
    target = near_target(target, size);
    if (taken)
        target_check(cpu, op, target, size);
    count_register_set(cpu, op, count);
    return jump_if(cpu, op, size, taken);
}

#define BRANCHES(size)                                                                                       \
    static const struct op *jump_near_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        return jump(cpu, op, size);                                                                          \
    }                                                                                                        \
    static const struct op *jump_register_##size(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        return chain_indirect(cpu, op, reg_get(cpu, op->base, size));                                        \
    }                                                                                                        \
    static const struct op *jump_memory_##size(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        return chain_indirect(cpu, op, load(cpu, op->segment, address(cpu, op), size));                      \
    }                                                                                                        \
    static const struct op *loop_always_##size(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        return loop(cpu, op, LOOP_ALWAYS, size);                                                             \
    }                                                                                                        \
    static const struct op *loop_equal_##size(struct cpu *cpu, const struct op *op)                          \
    {                                                                                                        \
        return loop(cpu, op, LOOP_EQUAL, size);                                                              \
    }                                                                                                        \
    static const struct op *loop_not_equal_##size(struct cpu *cpu, const struct op *op)                      \
    {                                                                                                        \
        return loop(cpu, op, LOOP_NOT_EQUAL, size);                                                          \
    }                                                                                                        \
    static const struct op *jump_cx_zero_##size(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        return jump_if(cpu, op, size, count_register(cpu, op) == 0);                                         \
    }                                                                                                        \
    static const struct op *jump_far_memory_##size(struct cpu *cpu, const struct op *op)                     \
    {                                                                                                        \
        uint64_t place = address(cpu, op), offset;                                                           \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        offset = load(cpu, op->segment, place, size);                                                        \
        far_jump(cpu, load(cpu, op->segment, (place + size) & op->mask, 2), offset, size);                   \
        return leave_changed(cpu, op);                                                                       \
    }                                                                                                        \
    static const struct op *call_far_memory_##size(struct cpu *cpu, const struct op *op)                     \
    {                                                                                                        \
        uint64_t place = address(cpu, op), offset;                                                           \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        offset = load(cpu, op->segment, place, size);                                                        \
        far_call(cpu, load(cpu, op->segment, (place + size) & op->mask, 2), offset, size,                    \
                 next_rip(cpu, op));                                                                         \
        return leave_changed(cpu, op);                                                                       \
    }                                                                                                        \
    static const struct op *return_far_##size(struct cpu *cpu, const struct op *op)                          \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        far_return(cpu, size, op->immediate);                                                                \
        return leave_changed(cpu, op);                                                                       \
    }                                                                                                        \
    static const struct op *interrupt_return_op_##size(struct cpu *cpu, const struct op *op)                 \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        interrupt_return(cpu, size);                                                                         \
        cpu->nmi_blocked = false;                                                                            \
        return leave_changed(cpu, op);                                                                       \
    }

#define BRANCHES_DIRECT(size)                                                                                \
    static const struct op *jump_far_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        far_jump(cpu, op->displacement, op->immediate, size);                                                \
        return leave_changed(cpu, op);                                                                       \
    }                                                                                                        \
    static const struct op *call_far_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        far_call(cpu, op->displacement, op->immediate, size, next_rip(cpu, op));                             \
        return leave_changed(cpu, op);                                                                       \
    }

BRANCHES(2)
BRANCHES(4)
BRANCHES(8)
BRANCHES_DIRECT(2)
BRANCHES_DIRECT(4)

#define SIZE_TABLE(name) size_table name = {name##_2, name##_4, name##_8};
SIZE_TABLE(jump_near)
SIZE_TABLE(jump_register)
SIZE_TABLE(jump_memory)
SIZE_TABLE(loop_always)
SIZE_TABLE(loop_equal)
SIZE_TABLE(loop_not_equal)
SIZE_TABLE(jump_cx_zero)
size_table jump_far = {jump_far_2, jump_far_4};
size_table call_far = {call_far_2, call_far_4};
SIZE_TABLE(jump_far_memory)
SIZE_TABLE(call_far_memory)
SIZE_TABLE(return_far)
SIZE_TABLE(interrupt_return_op)

/* ---- software interrupts ---- */

static const struct op *software_interrupt(struct cpu *cpu, const struct op *op, uint8_t vector,
                                           bool one_byte)
{
    MAY_FAULT;
    interrupt_software(cpu, vector, one_byte, next_rip(cpu, op));
    cpu->step_skipped = true;
    return leave_changed(cpu, op);
}

const struct op *op_int(struct cpu *cpu, const struct op *op)
{
    return software_interrupt(cpu, op, op->immediate, false);
}

const struct op *op_int3(struct cpu *cpu, const struct op *op)
{
    return software_interrupt(cpu, op, VECTOR_BP, true);
}

const struct op *op_int1(struct cpu *cpu, const struct op *op)
{
    return software_interrupt(cpu, op, VECTOR_DB, true);
}

const struct op *op_into(struct cpu *cpu, const struct op *op)
{
    if (flag_overflow(cpu))
        return software_interrupt(cpu, op, VECTOR_OF, true);
    NEXT;
}

/* BOUND: signed index against a pair of bounds in memory. */
always const struct op *bound(struct cpu *cpu, const struct op *op, unsigned size)
{
    uint64_t place = address(cpu, op);
    int64_t index = sign_extend(reg_get(cpu, op->reg, size), size), low, high;

    MAY_FAULT;
    low = sign_extend(load(cpu, op->segment, place, size), size);
    high = sign_extend(load(cpu, op->segment, (place + size) & op->mask, size), size);
    if (index < low || index > high) {
        fault_because(cpu, "BOUND: %lld is not within %lld to %lld", (long long)index, (long long)low,
                      (long long)high);
        fault(cpu, VECTOR_BR);
    }
    NEXT;
}

const struct op *op_bound_16(struct cpu *cpu, const struct op *op)
{
    return bound(cpu, op, 2);
}

const struct op *op_bound_32(struct cpu *cpu, const struct op *op)
{
    return bound(cpu, op, 4);
}

const struct op *op_undefined(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    fault_because(cpu, "invalid opcode");
    fault(cpu, VECTOR_UD);
}

const struct op *op_too_long(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    fault_because(cpu, "instruction longer than 15 bytes");
    fault_error(cpu, VECTOR_GP, 0);
}
