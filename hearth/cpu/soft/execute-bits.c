/*
 * Single bits: BT BTS BTR BTC, BSF, BSR; counts of them: POPCNT, TZCNT, LZCNT.
 *
 * Source: SDM volume 2. A bit number out of a register reaches memory beyond the operand, either way. BSF and BSR of 0
 * leave the destination as it was.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"

enum bit { BT, BTS, BTR, BTC };

always uint64_t bit_changed(enum bit kind, uint64_t value, uint64_t bit)
{
    return kind == BTS ? value | bit : kind == BTR ? value & ~bit : kind == BTC ? value ^ bit : value;
}

always const struct op *bit_register(struct cpu *cpu, const struct op *op, enum bit kind, unsigned size,
                                     uint64_t number)
{
    uint64_t value = reg_get(cpu, op->base, size), bit = 1ull << (number % (size * 8));

    flags_change(cpu, FLAG_CF, value & bit ? FLAG_CF : 0);
    if (kind != BT)
        reg_set(cpu, op->base, size, bit_changed(kind, value, bit));
    NEXT;
}

always const struct op *bit_memory(struct cpu *cpu, const struct op *op, enum bit kind, unsigned size,
                                   int64_t number)
{
    uint64_t offset = address(cpu, op), value, bit = 1ull << (number & (size * 8 - 1));
    struct modify modify;

    MAY_FAULT;
    offset = (offset + (number >> (size == 2 ? 4 : size == 4 ? 5 : 6)) * size) & op->mask;
    if (kind == BT) {
        value = load(cpu, op->segment, offset, size);
    } else {
        value = modify_begin(cpu, op->segment, offset, size, &modify);
        modify_end(cpu, size, bit_changed(kind, value, bit), &modify);
    }
    flags_change(cpu, FLAG_CF, value & bit ? FLAG_CF : 0);
    NEXT;
}

always const struct op *bit_locked(struct cpu *cpu, const struct op *op, enum bit kind, unsigned size,
                                   int64_t number)
{
    uint64_t offset = address(cpu, op), linear, value, bit = 1ull << (number & (size * 8 - 1));
    uint8_t *host;

    MAY_FAULT;
    offset = (offset + (number >> (size == 2 ? 4 : size == 4 ? 5 : 6)) * size) & op->mask;
    linear = segment_linear(cpu, op->segment, offset, size, true);
    do
        value = locked_begin(cpu, linear, size, &host);
    while (!locked_end(cpu, host, size, value, bit_changed(kind, value, bit)));
    flags_change(cpu, FLAG_CF, value & bit ? FLAG_CF : 0);
    NEXT;
}

#define BIT(kind, size)                                                                                      \
    static const struct op *kind##_register_r_##size(struct cpu *cpu, const struct op *op)                   \
    {                                                                                                        \
        return bit_register(cpu, op, kind, size, reg_get(cpu, op->reg, size));                               \
    }                                                                                                        \
    static const struct op *kind##_register_m_##size(struct cpu *cpu, const struct op *op)                   \
    {                                                                                                        \
        return bit_memory(cpu, op, kind, size, sign_extend(reg_get(cpu, op->reg, size), size));              \
    }                                                                                                        \
    static const struct op *kind##_immediate_r_##size(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return bit_register(cpu, op, kind, size, op->immediate);                                             \
    }                                                                                                        \
    static const struct op *kind##_immediate_m_##size(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return bit_memory(cpu, op, kind, size, op->immediate & (size * 8 - 1));                              \
    }                                                                                                        \
    static const struct op *kind##_register_l_##size(struct cpu *cpu, const struct op *op)                   \
    {                                                                                                        \
        return bit_locked(cpu, op, kind, size, sign_extend(reg_get(cpu, op->reg, size), size));              \
    }                                                                                                        \
    static const struct op *kind##_immediate_l_##size(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return bit_locked(cpu, op, kind, size, op->immediate & (size * 8 - 1));                              \
    }
#define BIT_WIDTHS(kind) BIT(kind, 2) BIT(kind, 4) BIT(kind, 8)
#define BIT_KINDS(X)     X(BT) X(BTS) X(BTR) X(BTC)
#define BIT_REGISTER(kind)                                                                                   \
    [kind] = {[1] = {kind##_register_r_2, kind##_register_m_2, kind##_register_l_2},                         \
              {kind##_register_r_4, kind##_register_m_4, kind##_register_l_4},                               \
              {kind##_register_r_8, kind##_register_m_8, kind##_register_l_8}},
#define BIT_IMMEDIATE(kind)                                                                                  \
    [kind] = {[1] = {kind##_immediate_r_2, kind##_immediate_m_2, kind##_immediate_l_2},                      \
              {kind##_immediate_r_4, kind##_immediate_m_4, kind##_immediate_l_4},                            \
              {kind##_immediate_r_8, kind##_immediate_m_8, kind##_immediate_l_8}},

BIT_KINDS(BIT_WIDTHS)
operand_table bt_register[4] = {BIT_KINDS(BIT_REGISTER)};
operand_table bt_immediate[4] = {BIT_KINDS(BIT_IMMEDIATE)};

enum scan { BSF, BSR, POPCNT, TZCNT, LZCNT };

always void bit_search(struct cpu *cpu, const struct op *op, bool reverse, unsigned size, uint64_t value)
{
    if (value)
        reg_set(cpu, op->reg, size, reverse ? 63 - __builtin_clzll(value) : __builtin_ctzll(value));
    flags_change(cpu, FLAG_ZF, value ? 0 : FLAG_ZF);
}

/* TZCNT and LZCNT of 0 are the width. */
always void bit_count(struct cpu *cpu, const struct op *op, enum scan kind, unsigned size, uint64_t value)
{
    unsigned bits = size * 8, count = kind == POPCNT  ? (unsigned)__builtin_popcountll(value)
                                      : !value        ? bits
                                      : kind == TZCNT ? (unsigned)__builtin_ctzll(value)
                                                      : bits - 64 + (unsigned)__builtin_clzll(value);

    reg_set(cpu, op->reg, size, count);
    if (kind == POPCNT)
        flags_set_arithmetic(cpu, value ? 0 : FLAG_ZF);
    else
        flags_change(cpu, FLAG_ZF | FLAG_CF, (count ? 0 : FLAG_ZF) | (value ? 0 : FLAG_CF));
}

always const struct op *bit_scan(struct cpu *cpu, const struct op *op, enum scan kind, unsigned size,
                                 uint64_t value)
{
    if (kind == BSF || kind == BSR)
        bit_search(cpu, op, kind == BSR, size, value);
    else
        bit_count(cpu, op, kind, size, value);
    NEXT;
}

#define SCAN(name, kind, size)                                                                               \
    static const struct op *name##_r_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        return bit_scan(cpu, op, kind, size, reg_get(cpu, op->base, size));                                  \
    }                                                                                                        \
    static const struct op *name##_m_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        return bit_scan(cpu, op, kind, size, load(cpu, op->segment, address(cpu, op), size));                \
    }
#define SCAN_TABLE(name, kind)                                                                               \
    SCAN(name, kind, 2)                                                                                      \
    SCAN(name, kind, 4)                                                                                      \
    SCAN(name, kind, 8)                                                                                      \
    operand_table name = {[1] = {name##_r_2, name##_m_2}, {name##_r_4, name##_m_4}, {name##_r_8, name##_m_8}};
SCAN_TABLE(bsf, BSF)
SCAN_TABLE(bsr, BSR)
SCAN_TABLE(popcnt, POPCNT)
SCAN_TABLE(tzcnt, TZCNT)
SCAN_TABLE(lzcnt, LZCNT)
