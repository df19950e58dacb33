/*
 * What moves data without arithmetic: MOVZX MOVSX LEA XCHG BSWAP XLAT CMOVcc SETcc, the flag instructions, and
 * XADD, CMPXCHG and CMPXCHG8B, which exchange.
 *
 * Source: SDM volume 2.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"

/* ---- MOVZX and MOVSX ---- */

always uint64_t extend(uint64_t value, unsigned from, bool is_signed)
{
    return is_signed ? (uint64_t)sign_extend(value, from) : value;
}

#define EXTEND(name, from, is_signed, size)                                                                  \
    static const struct op *name##_r_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        reg_set(cpu, op->reg, size, extend(reg_get(cpu, op->base, from), from, is_signed));                  \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *name##_m_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        reg_set(cpu, op->reg, size,                                                                          \
                extend(load(cpu, op->segment, address(cpu, op), from), from, is_signed));                    \
        NEXT;                                                                                                \
    }
#define EXTEND_TABLE(name, from, is_signed)                                                                  \
    EXTEND(name, from, is_signed, 2)                                                                         \
    EXTEND(name, from, is_signed, 4)                                                                         \
    operand_table name = {[1] = {name##_r_2, name##_m_2}, [2] = {name##_r_4, name##_m_4}};

EXTEND_TABLE(move_zero_8, 1, false)
EXTEND_TABLE(move_zero_16, 2, false)
EXTEND_TABLE(move_sign_8, 1, true)
EXTEND_TABLE(move_sign_16, 2, true)

#define EXTEND_FLAT(from)                                                                                    \
    static const struct op *move_zero_flat_##from(struct cpu *cpu, const struct op *op)                      \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        cpu->gpr[op->reg / 8] = load_linear(cpu, address_flat(cpu, op), from);                               \
        NEXT;                                                                                                \
    }
EXTEND_FLAT(1)
EXTEND_FLAT(2)
op_function *const move_zero_8_flat[WIDTHS] = {[2] = move_zero_flat_1};
op_function *const move_zero_16_flat[WIDTHS] = {[2] = move_zero_flat_2};

/* ---- addresses, exchanges ---- */

const struct op *op_lea_16(struct cpu *cpu, const struct op *op)
{
    REG16(op->reg) = address(cpu, op);
    NEXT;
}

const struct op *op_lea_32(struct cpu *cpu, const struct op *op)
{
    REG64(op->reg) = (uint32_t)address(cpu, op);
    NEXT;
}

const struct op *op_lea_flat(struct cpu *cpu, const struct op *op)
{
    REG64(op->reg) = address_flat(cpu, op);
    NEXT;
}

const struct op *op_bswap(struct cpu *cpu, const struct op *op)
{
    REG64(op->base) = __builtin_bswap32(REG32(op->base));
    NEXT;
}

/* Undefined in the manual; processors answer 0. */
const struct op *op_bswap_16(struct cpu *cpu, const struct op *op)
{
    REG16(op->base) = 0;
    NEXT;
}

const struct op *op_xlat(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    REG8(RAX * 8) = load(cpu, op->segment, (cpu->gpr[RBX] + REG8(RAX * 8)) & op->mask, 1);
    NEXT;
}

#define EXCHANGES(size)                                                                                      \
    static const struct op *xchg_r_##size(struct cpu *cpu, const struct op *op)                              \
    {                                                                                                        \
        uint64_t value = reg_get(cpu, op->base, size);                                                       \
                                                                                                             \
        reg_set(cpu, op->base, size, reg_get(cpu, op->reg, size));                                           \
        reg_set(cpu, op->reg, size, value);                                                                  \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *xchg_m_##size(struct cpu *cpu, const struct op *op)                              \
    {                                                                                                        \
        struct modify modify;                                                                                \
        uint64_t value;                                                                                      \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        value = modify_begin(cpu, op->segment, address(cpu, op), size, &modify);                             \
        modify_end(cpu, size, reg_get(cpu, op->reg, size), &modify);                                         \
        reg_set(cpu, op->reg, size, value);                                                                  \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *xadd_r_##size(struct cpu *cpu, const struct op *op)                              \
    {                                                                                                        \
        int64_t left = sign_extend(reg_get(cpu, op->base, size), size);                                      \
        int64_t right = sign_extend(reg_get(cpu, op->reg, size), size);                                      \
        int64_t sum = sign_extend(left + right, size);                                                       \
                                                                                                             \
        flags_defer(cpu, FLAGS_ADD, sum, left, right);                                                       \
        reg_set(cpu, op->reg, size, left);                                                                   \
        reg_set(cpu, op->base, size, sum);                                                                   \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *xadd_m_##size(struct cpu *cpu, const struct op *op)                              \
    {                                                                                                        \
        int64_t right = sign_extend(reg_get(cpu, op->reg, size), size), left, sum;                           \
        struct modify modify;                                                                                \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        left = sign_extend(modify_begin(cpu, op->segment, address(cpu, op), size, &modify), size);           \
        sum = sign_extend(left + right, size);                                                               \
        modify_end(cpu, size, sum, &modify);                                                                 \
        flags_defer(cpu, FLAGS_ADD, sum, left, right);                                                       \
        reg_set(cpu, op->reg, size, left);                                                                   \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *cmpxchg_r_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        int64_t left = sign_extend(cpu->gpr[RAX], size);                                                     \
        int64_t right = sign_extend(reg_get(cpu, op->base, size), size);                                     \
                                                                                                             \
        flags_defer(cpu, FLAGS_SUB, sign_extend(left - right, size), left, right);                           \
        if (left == right)                                                                                   \
            reg_set(cpu, op->base, size, reg_get(cpu, op->reg, size));                                       \
        else                                                                                                 \
            reg_set(cpu, RAX * 8, size, right);                                                              \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *cmpxchg_m_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        int64_t left = sign_extend(cpu->gpr[RAX], size), right;                                              \
        struct modify modify;                                                                                \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        right = sign_extend(modify_begin(cpu, op->segment, address(cpu, op), size, &modify), size);          \
        modify_end(cpu, size, left == right ? reg_get(cpu, op->reg, size) : (uint64_t)right, &modify);       \
        flags_defer(cpu, FLAGS_SUB, sign_extend(left - right, size), left, right);                           \
        if (left != right)                                                                                   \
            reg_set(cpu, RAX * 8, size, right);                                                              \
        NEXT;                                                                                                \
    }

EXCHANGES(1)
EXCHANGES(2)
EXCHANGES(4)

#define OPERAND_TABLE(name)                                                                                  \
    operand_table name = {{name##_r_1, name##_m_1}, {name##_r_2, name##_m_2}, {name##_r_4, name##_m_4}};
OPERAND_TABLE(xchg)
OPERAND_TABLE(xadd)
OPERAND_TABLE(cmpxchg)

const struct op *op_cmpxchg8b(struct cpu *cpu, const struct op *op)
{
    uint64_t expected = cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX], value;
    struct modify modify;

    MAY_FAULT;
    value = modify_begin(cpu, op->segment, address(cpu, op), 8, &modify);
    if (value == expected) {
        modify_end(cpu, 8, cpu->gpr[RCX] << 32 | (uint32_t)cpu->gpr[RBX], &modify);
    } else {
        modify_end(cpu, 8, value, &modify);
        cpu->gpr[RAX] = (uint32_t)value;
        cpu->gpr[RDX] = value >> 32;
    }
    flags_change(cpu, FLAG_ZF, value == expected ? FLAG_ZF : 0);
    NEXT;
}

/* ---- by condition ---- */

#define CONDITIONAL_MOVE(code, size)                                                                         \
    static const struct op *cmov_##code##_r_##size(struct cpu *cpu, const struct op *op)                     \
    {                                                                                                        \
        reg_set(cpu, op->reg, size, reg_get(cpu, condition(cpu, code) ? op->base : op->reg, size));          \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *cmov_##code##_m_##size(struct cpu *cpu, const struct op *op)                     \
    {                                                                                                        \
        uint64_t value;                                                                                      \
                                                                                                             \
        MAY_FAULT; /* the load happens in any case */                                                        \
        value = load(cpu, op->segment, address(cpu, op), size);                                              \
        reg_set(cpu, op->reg, size, condition(cpu, code) ? value : reg_get(cpu, op->reg, size));             \
        NEXT;                                                                                                \
    }

#define CONDITIONAL(code)                                                                                    \
    CONDITIONAL_MOVE(code, 2)                                                                                \
    CONDITIONAL_MOVE(code, 4)                                                                                \
    static const struct op *set_##code##_r(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        REG8(op->base) = condition(cpu, code);                                                               \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *set_##code##_m(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        store(cpu, op->segment, address(cpu, op), 1, condition(cpu, code));                                  \
        NEXT;                                                                                                \
    }

#define CONDITIONS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
CONDITIONS(CONDITIONAL)

#define MOVE_ROW(code)                                                                                       \
    {[1] = {cmov_##code##_r_2, cmov_##code##_m_2}, [2] = {cmov_##code##_r_4, cmov_##code##_m_4}},
#define SET_ROW(code) {set_##code##_r, set_##code##_m},
op_function *const conditional_move[16][WIDTHS][OPERAND_FORMS] = {CONDITIONS(MOVE_ROW)};
op_function *const set_condition[16][OPERAND_FORMS] = {CONDITIONS(SET_ROW)};

/* ---- flags ---- */

const struct op *op_salc(struct cpu *cpu, const struct op *op)
{
    REG8(RAX * 8) = flag_carry(cpu) ? 0xff : 0;
    NEXT;
}

enum { FLAGS_AH = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF };

const struct op *op_sahf(struct cpu *cpu, const struct op *op)
{
    flags_change(cpu, FLAGS_AH, REG8(RAX * 8 + 1));
    NEXT;
}

const struct op *op_lahf(struct cpu *cpu, const struct op *op)
{
    REG8(RAX * 8 + 1) = (flags_get(cpu) & FLAGS_AH) | FLAG_1;
    NEXT;
}

const struct op *op_clc(struct cpu *cpu, const struct op *op)
{
    flags_change(cpu, FLAG_CF, 0);
    NEXT;
}

const struct op *op_stc(struct cpu *cpu, const struct op *op)
{
    flags_change(cpu, FLAG_CF, FLAG_CF);
    NEXT;
}

const struct op *op_cmc(struct cpu *cpu, const struct op *op)
{
    flags_change(cpu, FLAG_CF, flag_carry(cpu) ? 0 : FLAG_CF);
    NEXT;
}

const struct op *op_cld(struct cpu *cpu, const struct op *op)
{
    cpu->rflags &= ~(uint64_t)FLAG_DF;
    NEXT;
}

const struct op *op_std(struct cpu *cpu, const struct op *op)
{
    cpu->rflags |= FLAG_DF;
    NEXT;
}

const struct op *op_nop(struct cpu *cpu, const struct op *op)
{
    (void)cpu;
    NEXT;
}
