/*
 * Shifts and rotates: ROL ROR RCL RCR SHL SHR SAR, SHLD, SHRD.
 *
 * Source: SDM volume 2. OF for counts other than 1 follows the rule for 1, as silicon has it.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"

/* Counts are cut to 5 bits, to 6 where the operand has 64. */
always unsigned count_cut(unsigned count, unsigned size)
{
    return count & (size == 8 ? 63 : 31);
}

always uint32_t carry_and_overflow(bool carry, bool overflow)
{
    return (carry ? FLAG_CF : 0) | (overflow ? FLAG_OF : 0);
}

always uint64_t top_bit(uint64_t value, unsigned bits)
{
    return value >> (bits - 1) & 1;
}

always uint64_t rotate(struct cpu *cpu, enum shift kind, unsigned size, uint64_t value, unsigned count)
{
    unsigned bits = size * 8, by = count % bits;
    uint64_t mask = UINT64_MAX >> (64 - bits), result = value;

    if (by)
        result =
            (kind == ROL ? value << by | value >> (bits - by) : value >> by | value << (bits - by)) & mask;
    if (kind == ROL)
        flags_change(cpu, FLAG_CF | FLAG_OF,
                     carry_and_overflow(result & 1, top_bit(result, bits) ^ (result & 1)));
    else
        flags_change(cpu, FLAG_CF | FLAG_OF,
                     carry_and_overflow(top_bit(result, bits),
                                        top_bit(result, bits) ^ top_bit(result << 1 & mask, bits)));
    return result;
}

/* Through CF: a rotation of width + 1 bits. */
always uint64_t rotate_carry(struct cpu *cpu, enum shift kind, unsigned size, uint64_t value, unsigned count)
{
    unsigned bits = size * 8, by = count % (bits + 1);
    uint64_t mask = UINT64_MAX >> (64 - bits), carry = flag_carry(cpu), result = value;

    if (by && kind == RCL) {
        result = (value << by | carry << (by - 1) | (by > 1 ? value >> (bits + 1 - by) : 0)) & mask;
        carry = value >> (bits - by) & 1;
    } else if (by) {
        result = (value >> by | carry << (bits - by) | (by > 1 ? value << (bits + 1 - by) : 0)) & mask;
        carry = value >> (by - 1) & 1;
    }
    if (kind == RCL)
        flags_change(cpu, FLAG_CF | FLAG_OF, carry_and_overflow(carry, top_bit(result, bits) ^ carry));
    else
        flags_change(cpu, FLAG_CF | FLAG_OF,
                     carry_and_overflow(carry, top_bit(result, bits) ^ top_bit(result << 1 & mask, bits)));
    return result;
}

always uint64_t shift_plain(struct cpu *cpu, enum shift kind, unsigned size, uint64_t value, unsigned count)
{
    unsigned bits = size * 8;
    uint64_t mask = UINT64_MAX >> (64 - bits), result;
    bool carry, overflow;

    if (kind == SHL || kind == SAL) {
        result = (value << count) & mask;
        carry = size == 8 ? value >> (bits - count) & 1 : value << count >> bits & 1;
        overflow = top_bit(result, bits) ^ carry;
    } else if (kind == SHR) {
        carry = value >> (count - 1) & 1;
        result = value >> count;
        overflow = top_bit(result << 1 & mask, bits);
    } else {
        int64_t wide = sign_extend(value, size);

        carry = wide >> (count - 1) & 1;
        result = (uint64_t)(wide >> count) & mask;
        overflow = false;
    }
    flags_defer_result(cpu, carry_and_overflow(carry, overflow), sign_extend(result, size));
    return result;
}

/* The count is not 0. */
always uint64_t shift(struct cpu *cpu, enum shift kind, unsigned size, uint64_t value, unsigned count)
{
    if (kind == ROL || kind == ROR)
        return rotate(cpu, kind, size, value, count);
    if (kind == RCL || kind == RCR)
        return rotate_carry(cpu, kind, size, value, count);
    return shift_plain(cpu, kind, size, value, count);
}

always const struct op *shift_register(struct cpu *cpu, const struct op *op, enum shift kind, unsigned size,
                                       unsigned count)
{
    count = count_cut(count, size);
    if (count)
        reg_set(cpu, op->base, size, shift(cpu, kind, size, reg_get(cpu, op->base, size), count));
    else if (size == 4)
        REG64(op->base) = REG32(op->base);
    NEXT;
}

always const struct op *shift_memory(struct cpu *cpu, const struct op *op, enum shift kind, unsigned size,
                                     unsigned count)
{
    struct modify modify;
    uint64_t value;

    MAY_FAULT;
    value = modify_begin(cpu, op->segment, address(cpu, op), size, &modify);
    count = count_cut(count, size);
    if (count)
        modify_end(cpu, size, shift(cpu, kind, size, value, count), &modify);
    NEXT;
}

#define SHIFT(kind, size)                                                                                    \
    static const struct op *kind##_ri_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        return shift_register(cpu, op, kind, size, op->immediate);                                           \
    }                                                                                                        \
    static const struct op *kind##_rc_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        return shift_register(cpu, op, kind, size, cpu->gpr[RCX]);                                           \
    }                                                                                                        \
    static const struct op *kind##_mi_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        return shift_memory(cpu, op, kind, size, op->immediate);                                             \
    }                                                                                                        \
    static const struct op *kind##_mc_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        return shift_memory(cpu, op, kind, size, cpu->gpr[RCX]);                                             \
    }

#define SHIFT_KINDS(X)     X(ROL) X(ROR) X(RCL) X(RCR) X(SHL) X(SHR) X(SAR)
#define SHIFT_WIDTHS(kind) SHIFT(kind, 1) SHIFT(kind, 2) SHIFT(kind, 4) SHIFT(kind, 8)
#define SHIFT_ROW(kind, size)                                                                                \
    {                                                                                                        \
        kind##_ri_##size, kind##_rc_##size, kind##_mi_##size, kind##_mc_##size                               \
    }
#define SHIFT_COLUMNS(kind)                                                                                  \
    {                                                                                                        \
        SHIFT_ROW(kind, 1), SHIFT_ROW(kind, 2), SHIFT_ROW(kind, 4), SHIFT_ROW(kind, 8)                       \
    }
#define SHIFT_ROWS(kind) [kind] = SHIFT_COLUMNS(kind),

SHIFT_KINDS(SHIFT_WIDTHS)
op_function *const shift_handlers[SHIFTS][WIDTHS][SHIFT_FORMS] = {
    SHIFT_KINDS(SHIFT_ROWS)[SAL] = SHIFT_COLUMNS(SHL),
};

/* ---- SHLD and SHRD ---- */

/* The count is 1 to 31, or 63. For 16 bits and a count above 16 bits come in from the destination again. */
always uint64_t shift_double(struct cpu *cpu, bool left, unsigned size, uint64_t value, uint64_t fill,
                             unsigned count)
{
    unsigned bits = size * 8;
    uint64_t mask = UINT64_MAX >> (64 - bits), result;
    unsigned __int128 all;
    bool carry;

    if (size == 8) {
        result = left ? value << count | fill >> (64 - count) : value >> count | fill << (64 - count);
        carry = (left ? value >> (64 - count) : value >> (count - 1)) & 1;
    } else if (left) {
        all = ((unsigned __int128)value << (2 * bits & 127) | (unsigned __int128)fill << bits | value)
              << count;
        result = (uint64_t)(all >> (2 * bits & 127)) & mask;
        carry = all >> (3 * bits & 127) & 1;
    } else {
        all = (unsigned __int128)value << (2 * bits & 127) | (unsigned __int128)fill << bits | value;
        result = (uint64_t)(all >> count) & mask;
        carry = all >> (count - 1) & 1;
    }
    flags_defer_result(cpu, carry_and_overflow(carry, top_bit(result ^ value, bits)),
                       sign_extend(result, size));
    return result;
}

always const struct op *double_register(struct cpu *cpu, const struct op *op, bool left, unsigned size,
                                        unsigned count)
{
    count = count_cut(count, size);
    if (count)
        reg_set(
            cpu, op->base, size,
            shift_double(cpu, left, size, reg_get(cpu, op->base, size), reg_get(cpu, op->reg, size), count));
    else if (size == 4)
        REG64(op->base) = REG32(op->base);
    NEXT;
}

always const struct op *double_memory(struct cpu *cpu, const struct op *op, bool left, unsigned size,
                                      unsigned count)
{
    struct modify modify;
    uint64_t value;

    MAY_FAULT;
    value = modify_begin(cpu, op->segment, address(cpu, op), size, &modify);
    count = count_cut(count, size);
    if (count)
        modify_end(cpu, size, shift_double(cpu, left, size, value, reg_get(cpu, op->reg, size), count),
                   &modify);
    NEXT;
}

#define DOUBLE(name, left, size, count)                                                                      \
    static const struct op *name##_r_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        return double_register(cpu, op, left, size, count);                                                  \
    }                                                                                                        \
    static const struct op *name##_m_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        return double_memory(cpu, op, left, size, count);                                                    \
    }
#define DOUBLE_TABLE(name, left, count)                                                                      \
    DOUBLE(name, left, 2, count)                                                                             \
    DOUBLE(name, left, 4, count)                                                                             \
    DOUBLE(name, left, 8, count)                                                                             \
    operand_table name = {[1] = {name##_r_2, name##_m_2}, {name##_r_4, name##_m_4}, {name##_r_8, name##_m_8}};

DOUBLE_TABLE(shld_immediate, true, op->immediate)
DOUBLE_TABLE(shld_cl, true, cpu->gpr[RCX])
DOUBLE_TABLE(shrd_immediate, false, op->immediate)
DOUBLE_TABLE(shrd_cl, false, cpu->gpr[RCX])
