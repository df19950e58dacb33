/*
 * The arithmetic flags, computed when somebody asks.
 *
 * Operands and result are kept sign-extended to 64 bits. That preserves signed and unsigned order, the sign and zero,
 * so no rule below needs to know the width. With a carry into an addition or a borrow into a subtraction the same
 * rules hold, because they look at the carries between the bits and not at the operation.
 * Source: SDM volume 1, 3.4.3.1; volume 2 for each instruction.
 */
#ifndef SOFT_FLAGS_H
#define SOFT_FLAGS_H

#include "cpu/soft/op.h"

always int64_t sign_extend(uint64_t value, unsigned size)
{
    return size == 1   ? (int8_t)value
           : size == 2 ? (int16_t)value
           : size == 4 ? (int32_t)value
                       : (int64_t)value;
}

enum flags_kind {
    FLAGS_READY, /* they stand in cpu->rflags */
    FLAGS_ADD,   /* ADD, ADC, XADD */
    FLAGS_SUB,   /* SUB, SBB, CMP, NEG, CMPXCHG */
    FLAGS_LOGIC, /* AND, OR, XOR, TEST: no carries */
    FLAGS_INC,   /* as ADD and SUB, but CF stands in cpu->rflags */
    FLAGS_DEC,
    FLAGS_RESULT, /* ZF, SF and PF from the result; CF, OF and AF stand in cpu->rflags */
};

always void flags_defer(struct cpu *cpu, enum flags_kind kind, int64_t result, int64_t left, int64_t right)
{
    cpu->lazy = (struct lazy_flags){kind, result, left, right};
}

always void flags_defer_logic(struct cpu *cpu, int64_t result)
{
    cpu->lazy.kind = FLAGS_LOGIC;
    cpu->lazy.result = result;
}

/* The carries out of each bit, top bit first: bit 63 is CF (bit w-1 and above are copies), bit 3 AF. */
always uint64_t flags_carries(const struct lazy_flags *lazy)
{
    uint64_t left = lazy->left, right = lazy->right, result = lazy->result;

    if (lazy->kind == FLAGS_ADD || lazy->kind == FLAGS_INC)
        return (left & right) | ((left | right) & ~result);
    return (~left & right) | ((~left | right) & result);
}

always bool flags_overflow(const struct lazy_flags *lazy)
{
    int64_t left = lazy->left, right = lazy->right, result = lazy->result;

    if (lazy->kind == FLAGS_ADD || lazy->kind == FLAGS_INC)
        return ((left ^ result) & (right ^ result)) < 0;
    return ((left ^ right) & (left ^ result)) < 0;
}

always bool flag_carry(const struct cpu *cpu)
{
    switch (cpu->lazy.kind) {
    case FLAGS_LOGIC: return false;
    case FLAGS_ADD:
    case FLAGS_SUB: return flags_carries(&cpu->lazy) >> 63;
    default: return cpu->rflags & FLAG_CF;
    }
}

always bool flag_zero(const struct cpu *cpu)
{
    return cpu->lazy.kind == FLAGS_READY ? (cpu->rflags & FLAG_ZF) != 0 : cpu->lazy.result == 0;
}

always bool flag_sign(const struct cpu *cpu)
{
    return cpu->lazy.kind == FLAGS_READY ? (cpu->rflags & FLAG_SF) != 0 : cpu->lazy.result < 0;
}

always bool flag_parity(const struct cpu *cpu)
{
    return cpu->lazy.kind == FLAGS_READY ? (cpu->rflags & FLAG_PF) != 0
                                         : !__builtin_parity(cpu->lazy.result & 0xff);
}

always bool flag_overflow(const struct cpu *cpu)
{
    switch (cpu->lazy.kind) {
    case FLAGS_READY:
    case FLAGS_RESULT: return cpu->rflags & FLAG_OF;
    case FLAGS_LOGIC: return false;
    default: return flags_overflow(&cpu->lazy);
    }
}

always bool flag_adjust(const struct cpu *cpu)
{
    switch (cpu->lazy.kind) {
    case FLAGS_READY:
    case FLAGS_RESULT: return cpu->rflags & FLAG_AF;
    case FLAGS_LOGIC: return false;
    default: return flags_carries(&cpu->lazy) >> 3 & 1;
    }
}

/* ZF, SF and PF of a result that is sign-extended. */
always uint32_t flags_of_result(int64_t result)
{
    return (result == 0 ? FLAG_ZF : 0) | (result < 0 ? FLAG_SF : 0) |
           (__builtin_parity(result & 0xff) ? 0 : FLAG_PF);
}

/* The whole of RFLAGS as software sees it. Changes nothing. */
static inline uint64_t flags_get(const struct cpu *cpu)
{
    if (cpu->lazy.kind == FLAGS_READY)
        return cpu->rflags;
    return (cpu->rflags & ~(uint64_t)FLAGS_ARITHMETIC) | (flag_carry(cpu) ? FLAG_CF : 0) |
           (flag_adjust(cpu) ? FLAG_AF : 0) | (flag_overflow(cpu) ? FLAG_OF : 0) |
           flags_of_result(cpu->lazy.result);
}

/* Replaces all of RFLAGS; which bits may change is the caller's business. */
static inline void flags_set(struct cpu *cpu, uint64_t value)
{
    cpu->rflags = value | FLAG_1;
    cpu->lazy.kind = FLAGS_READY;
}

/* Replaces the six arithmetic flags. */
always void flags_set_arithmetic(struct cpu *cpu, uint32_t bits)
{
    cpu->rflags = (cpu->rflags & ~(uint64_t)FLAGS_ARITHMETIC) | bits;
    cpu->lazy.kind = FLAGS_READY;
}

/* CF, OF and AF now, the others of a sign-extended result when somebody asks. */
always void flags_defer_result(struct cpu *cpu, uint32_t bits, int64_t result)
{
    cpu->rflags = (cpu->rflags & ~(uint64_t)(FLAG_CF | FLAG_OF | FLAG_AF)) | bits;
    cpu->lazy.kind = FLAGS_RESULT;
    cpu->lazy.result = result;
}

/* Replaces some of the arithmetic flags and keeps the others. */
always void flags_change(struct cpu *cpu, uint32_t which, uint32_t bits)
{
    cpu->rflags = (flags_get(cpu) & ~(uint64_t)which) | (bits & which);
    cpu->lazy.kind = FLAGS_READY;
}

/* The sixteen conditions of Jcc, SETcc and CMOVcc, by the low nibble of the opcode. */
always bool condition(const struct cpu *cpu, unsigned code)
{
    bool holds;

    switch (code >> 1) {
    case 0: holds = flag_overflow(cpu); break;
    case 1: holds = flag_carry(cpu); break;
    case 2: holds = flag_zero(cpu); break;
    case 3: holds = flag_carry(cpu) || flag_zero(cpu); break;
    case 4: holds = flag_sign(cpu); break;
    case 5: holds = flag_parity(cpu); break;
    case 6: holds = flag_sign(cpu) != flag_overflow(cpu); break;
    default: holds = flag_zero(cpu) || flag_sign(cpu) != flag_overflow(cpu); break;
    }
    return holds != (code & 1);
}

/* The same when the last operation that set flags is known to have been a FLAGS_SUB without borrow. */
always bool condition_compared(const struct cpu *cpu, unsigned code)
{
    const struct lazy_flags *lazy = &cpu->lazy;
    bool holds;

    switch (code >> 1) {
    case 0: holds = flags_overflow(lazy); break;
    case 1: holds = (uint64_t)lazy->left < (uint64_t)lazy->right; break;
    case 2: holds = lazy->result == 0; break;
    case 3: holds = (uint64_t)lazy->left <= (uint64_t)lazy->right; break;
    case 4: holds = lazy->result < 0; break;
    case 5: holds = !__builtin_parity(lazy->result & 0xff); break;
    case 6: holds = lazy->left < lazy->right; break;
    default: holds = lazy->left <= lazy->right; break;
    }
    return holds != (code & 1);
}

/* ... or a FLAGS_LOGIC. */
always bool condition_tested(const struct cpu *cpu, unsigned code)
{
    int64_t result = cpu->lazy.result;
    bool holds;

    switch (code >> 1) {
    case 0:
    case 1: holds = false; break;
    case 2:
    case 3: holds = result == 0; break;
    case 4:
    case 6: holds = result < 0; break;
    case 5: holds = !__builtin_parity(result & 0xff); break;
    default: holds = result <= 0; break;
    }
    return holds != (code & 1);
}

#endif
