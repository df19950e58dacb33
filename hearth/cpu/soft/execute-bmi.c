/*
 * Additions with one carry flag each, ADCX and ADOX; BMI1 and BMI2.
 *
 * All work on 32 and 64 bits. The register of VEX.vvvv is in op->immediate. VEX does not exist in real and v86 mode:
 * #UD there. Source: SDM volume 2. Flags that are undefined there are what AMD's family 17h leaves.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"

always uint64_t width_mask(unsigned size)
{
    return UINT64_MAX >> (64 - size * 8);
}

/* The other source operand. */
always uint64_t vvvv(const struct cpu *cpu, const struct op *op, unsigned size)
{
    return reg_get(cpu, op->immediate, size);
}

static void vex_check(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    if (!in_protected_mode(cpu))
        op_undefined(cpu, op);
}

/* ---- ADCX ADOX ---- */

always void add_with_flag(struct cpu *cpu, const struct op *op, unsigned size, uint64_t value, uint32_t flag)
{
    uint64_t mask = width_mask(size), left = reg_get(cpu, op->reg, size);
    uint64_t sum = (left + value) & mask, total = (sum + ((flags_get(cpu) & flag) != 0)) & mask;

    reg_set(cpu, op->reg, size, total);
    flags_change(cpu, flag, sum < left || total < sum ? flag : 0);
}

/* ---- destination, value of r/m, and what goes with them ---- */

always void flags_of_bits(struct cpu *cpu, unsigned size, uint64_t result, bool carry)
{
    flags_change(cpu, FLAG_CF | FLAG_OF | FLAG_ZF | FLAG_SF,
                 (carry ? FLAG_CF : 0) | (flags_of_result(sign_extend(result, size)) & (FLAG_ZF | FLAG_SF)));
}

always uint64_t bits_deposit(uint64_t value, uint64_t mask)
{
    uint64_t result = 0;

    for (; mask; mask &= mask - 1, value >>= 1)
        result |= value & 1 ? mask & -mask : 0;
    return result;
}

always uint64_t bits_extract(uint64_t value, uint64_t mask)
{
    uint64_t result = 0;

    for (uint64_t bit = 1; mask; mask &= mask - 1, bit <<= 1)
        result |= value & mask & -mask ? bit : 0;
    return result;
}

/* BEXTR: start and length in a byte each. */
always uint64_t bits_field(uint64_t value, uint64_t control)
{
    unsigned start = control & 0xff, length = control >> 8 & 0xff;

    value = start < 64 ? value >> start : 0;
    return length < 64 ? value & ((1ull << length) - 1) : value;
}

always void product_without_flags(struct cpu *cpu, const struct op *op, unsigned size, uint64_t value)
{
    unsigned __int128 product = (unsigned __int128)reg_get(cpu, RDX * 8, size) * value;

    /* The high half is written last: it stays if both go to one register. */
    reg_set(cpu, op->immediate, size, product & width_mask(size));
    reg_set(cpu, op->reg, size, product >> (size * 8));
}

/* The three that write VEX.vvvv's register. */
enum lowest { LOWEST_RESET, LOWEST_MASK, LOWEST_ISOLATE };

always void lowest_bit(struct cpu *cpu, const struct op *op, unsigned size, uint64_t value, enum lowest kind)
{
    uint64_t result = kind == LOWEST_RESET  ? value & (value - 1)
                      : kind == LOWEST_MASK ? value ^ (value - 1)
                                            : value & -value;
    uint64_t cut = result & width_mask(size);

    reg_set(cpu, op->immediate, size, cut);
    flags_of_bits(cpu, size, cut, (value == 0) != (kind == LOWEST_ISOLATE));
}

always void set_with_flags(struct cpu *cpu, const struct op *op, unsigned size, uint64_t result, bool carry)
{
    reg_set(cpu, op->reg, size, result);
    flags_of_bits(cpu, size, result, carry);
}

always void zero_high(struct cpu *cpu, const struct op *op, unsigned size, uint64_t value)
{
    unsigned from = vvvv(cpu, op, size) & 0xff, bits = size * 8;

    set_with_flags(cpu, op, size, from < bits ? value & ((1ull << from) - 1) : value, from >= bits);
}

always void bit_field(struct cpu *cpu, const struct op *op, unsigned size, uint64_t value)
{
    uint64_t result = bits_field(value, vvvv(cpu, op, size));

    reg_set(cpu, op->reg, size, result);
    flags_set_arithmetic(cpu, result ? 0 : FLAG_ZF);
}

always uint64_t rotated(uint64_t value, unsigned count, unsigned size)
{
    count &= size * 8 - 1;
    return count ? (value >> count | value << (size * 8 - count)) & width_mask(size) : value;
}

#define COUNT (vvvv(cpu, op, size) & (size * 8 - 1))

#define BODIES(X, size)                                                                                      \
    X(adcx, size, false, add_with_flag(cpu, op, size, value, FLAG_CF))                                       \
    X(adox, size, false, add_with_flag(cpu, op, size, value, FLAG_OF))                                       \
    X(andn, size, true, set_with_flags(cpu, op, size, ~vvvv(cpu, op, size) & value, false))                  \
    X(bextr, size, true, bit_field(cpu, op, size, value))                                                    \
    X(bzhi, size, true, zero_high(cpu, op, size, value))                                                     \
    X(mulx, size, true, product_without_flags(cpu, op, size, value))                                         \
    X(pdep, size, true, reg_set(cpu, op->reg, size, bits_deposit(vvvv(cpu, op, size), value)))               \
    X(pext, size, true, reg_set(cpu, op->reg, size, bits_extract(vvvv(cpu, op, size), value)))               \
    X(rorx, size, true, reg_set(cpu, op->reg, size, rotated(value, op->immediate, size)))                    \
    X(sarx, size, true, reg_set(cpu, op->reg, size, sign_extend(value, size) >> COUNT))                      \
    X(shlx, size, true, reg_set(cpu, op->reg, size, value << COUNT))                                         \
    X(shrx, size, true, reg_set(cpu, op->reg, size, value >> COUNT))                                         \
    X(blsr, size, true, lowest_bit(cpu, op, size, value, LOWEST_RESET))                                      \
    X(blsmsk, size, true, lowest_bit(cpu, op, size, value, LOWEST_MASK))                                     \
    X(blsi, size, true, lowest_bit(cpu, op, size, value, LOWEST_ISOLATE))

#define BODY(name, bytes, vex, action)                                                                       \
    static const struct op *name##_r_##bytes(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        enum { size = bytes };                                                                               \
        uint64_t value = reg_get(cpu, op->base, size);                                                       \
                                                                                                             \
        if (vex)                                                                                             \
            vex_check(cpu, op);                                                                              \
        action;                                                                                              \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *name##_m_##bytes(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        enum { size = bytes };                                                                               \
        uint64_t value;                                                                                      \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        if (vex)                                                                                             \
            vex_check(cpu, op);                                                                              \
        value = load(cpu, op->segment, address(cpu, op), size);                                              \
        action;                                                                                              \
        NEXT;                                                                                                \
    }
#define TABLE(name, size, vex, action)                                                                       \
    operand_table name = {[2] = {name##_r_4, name##_m_4}, {name##_r_8, name##_m_8}};

BODIES(BODY, 4)
BODIES(BODY, 8)
BODIES(TABLE, 0)
