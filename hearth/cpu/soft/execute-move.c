/*
 * What moves data without arithmetic: MOVZX MOVSX LEA XCHG BSWAP MOVBE XLAT CMOVcc SETcc, the flag instructions, and
 * XADD, CMPXCHG, CMPXCHG8B and CMPXCHG16B, which exchange.
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
#define WORD_TABLE(name)                                                                                     \
    operand_table name = {[1] = {name##_r_2, name##_m_2}, {name##_r_4, name##_m_4}, {name##_r_8, name##_m_8}};
#define EXTEND_TABLE(name, from, is_signed)                                                                  \
    EXTEND(name, from, is_signed, 2)                                                                         \
    EXTEND(name, from, is_signed, 4)                                                                         \
    EXTEND(name, from, is_signed, 8)                                                                         \
    WORD_TABLE(name)

EXTEND_TABLE(move_zero_8, 1, false)
EXTEND_TABLE(move_zero_16, 2, false)
EXTEND_TABLE(move_sign_8, 1, true)
EXTEND_TABLE(move_sign_16, 2, true)
EXTEND_TABLE(move_sign_32, 4, true)

#define EXTEND_FLAT(from)                                                                                    \
    static const struct op *move_zero_flat_##from(struct cpu *cpu, const struct op *op)                      \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        cpu->gpr[op->reg / 8] = load_linear(cpu, address(cpu, op), from);                                    \
        NEXT;                                                                                                \
    }
EXTEND_FLAT(1)
EXTEND_FLAT(2)
op_function *const move_zero_8_flat[WIDTHS] = {[2] = move_zero_flat_1, move_zero_flat_1};
op_function *const move_zero_16_flat[WIDTHS] = {[2] = move_zero_flat_2, move_zero_flat_2};

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

/* Also where addresses and operands have 32 bits: the mask cuts. */
const struct op *op_lea_64(struct cpu *cpu, const struct op *op)
{
    REG64(op->reg) = address(cpu, op);
    NEXT;
}

const struct op *op_bswap(struct cpu *cpu, const struct op *op)
{
    REG64(op->base) = __builtin_bswap32(REG32(op->base));
    NEXT;
}

const struct op *op_bswap_64(struct cpu *cpu, const struct op *op)
{
    REG64(op->base) = __builtin_bswap64(REG64(op->base));
    NEXT;
}

const struct op *op_mov_immediate_64(struct cpu *cpu, const struct op *op)
{
    REG64(op->base) = op->mask;
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
        int64_t sum = sign_extend((uint64_t)left + right, size);                                             \
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
        sum = sign_extend((uint64_t)left + right, size);                                                     \
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
        flags_defer(cpu, FLAGS_SUB, sign_extend((uint64_t)left - right, size), left, right);                 \
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
        flags_defer(cpu, FLAGS_SUB, sign_extend((uint64_t)left - right, size), left, right);                 \
        if (left != right)                                                                                   \
            reg_set(cpu, RAX * 8, size, right);                                                              \
        NEXT;                                                                                                \
    }

#define LOCKED_EXCHANGES(size)                                                                               \
    static const struct op *xchg_l_##size(struct cpu *cpu, const struct op *op)                              \
    {                                                                                                        \
        uint64_t linear, old;                                                                                \
        uint8_t *host;                                                                                       \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        linear = segment_linear(cpu, op->segment, address(cpu, op), size, true);                             \
        do                                                                                                   \
            old = locked_begin(cpu, linear, size, &host);                                                    \
        while (!locked_end(cpu, host, size, old, reg_get(cpu, op->reg, size)));                              \
        reg_set(cpu, op->reg, size, old);                                                                    \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *xadd_l_##size(struct cpu *cpu, const struct op *op)                              \
    {                                                                                                        \
        int64_t right = sign_extend(reg_get(cpu, op->reg, size), size), left, sum;                           \
        uint64_t linear;                                                                                     \
        uint8_t *host;                                                                                       \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        linear = segment_linear(cpu, op->segment, address(cpu, op), size, true);                             \
        do {                                                                                                 \
            left = sign_extend(locked_begin(cpu, linear, size, &host), size);                                \
            sum = sign_extend((uint64_t)left + right, size);                                                 \
        } while (!locked_end(cpu, host, size, left, sum));                                                   \
        flags_defer(cpu, FLAGS_ADD, sum, left, right);                                                       \
        reg_set(cpu, op->reg, size, left);                                                                   \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *cmpxchg_l_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        int64_t left = sign_extend(cpu->gpr[RAX], size), right;                                              \
        uint64_t linear;                                                                                     \
        uint8_t *host;                                                                                       \
                                                                                                             \
        MAY_FAULT;                                                                                           \
        linear = segment_linear(cpu, op->segment, address(cpu, op), size, true);                             \
        do                                                                                                   \
            right = sign_extend(locked_begin(cpu, linear, size, &host), size);                               \
        while (!locked_end(cpu, host, size, right,                                                           \
                           left == right ? reg_get(cpu, op->reg, size) : (uint64_t)right));                  \
        flags_defer(cpu, FLAGS_SUB, sign_extend((uint64_t)left - right, size), left, right);                 \
        if (left != right)                                                                                   \
            reg_set(cpu, RAX * 8, size, right);                                                              \
        NEXT;                                                                                                \
    }

EXCHANGES(1)
EXCHANGES(2)
EXCHANGES(4)
EXCHANGES(8)
LOCKED_EXCHANGES(1)
LOCKED_EXCHANGES(2)
LOCKED_EXCHANGES(4)
LOCKED_EXCHANGES(8)

#define OPERAND_TABLE(name)                                                                                  \
    operand_table name = {{name##_r_1, name##_m_1, name##_l_1},                                              \
                          {name##_r_2, name##_m_2, name##_l_2},                                              \
                          {name##_r_4, name##_m_4, name##_l_4},                                              \
                          {name##_r_8, name##_m_8, name##_l_8}};
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

const struct op *op_cmpxchg8b_locked(struct cpu *cpu, const struct op *op)
{
    uint64_t expected = cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX], linear, value;
    uint64_t wanted = cpu->gpr[RCX] << 32 | (uint32_t)cpu->gpr[RBX];
    uint8_t *host;

    MAY_FAULT;
    linear = segment_linear(cpu, op->segment, address(cpu, op), 8, true);
    do
        value = locked_begin(cpu, linear, 8, &host);
    while (!locked_end(cpu, host, 8, value, value == expected ? wanted : value));
    if (value != expected) {
        cpu->gpr[RAX] = (uint32_t)value;
        cpu->gpr[RDX] = value >> 32;
    }
    flags_change(cpu, FLAG_ZF, value == expected ? FLAG_ZF : 0);
    NEXT;
}

static uint64_t linear_16(struct cpu *cpu, const struct op *op)
{
    uint64_t linear = segment_linear(cpu, op->segment, address(cpu, op), 16, true);

    if (linear & 15) {
        fault_because(cpu, "CMPXCHG16B: the operand is not aligned to 16 bytes");
        fault_error(cpu, VECTOR_GP, 0);
    }
    return linear;
}

/* Both halves are as good as one access: aligned, they lie in one page. */
const struct op *op_cmpxchg16b(struct cpu *cpu, const struct op *op)
{
    uint64_t linear, low, high;
    struct modify modify_low, modify_high;
    bool equal;

    MAY_FAULT;
    linear = linear_16(cpu, op);
    low = modify_begin_linear(cpu, linear, 8, &modify_low);
    high = modify_begin_linear(cpu, linear + 8, 8, &modify_high);
    equal = low == cpu->gpr[RAX] && high == cpu->gpr[RDX];
    modify_end(cpu, 8, equal ? cpu->gpr[RBX] : low, &modify_low);
    modify_end(cpu, 8, equal ? cpu->gpr[RCX] : high, &modify_high);
    if (!equal) {
        cpu->gpr[RAX] = low;
        cpu->gpr[RDX] = high;
    }
    flags_change(cpu, FLAG_ZF, equal ? FLAG_ZF : 0);
    NEXT;
}

static bool exchange_16(struct cpu *cpu, uint64_t linear)
{
    uint64_t expected[2] = {cpu->gpr[RAX], cpu->gpr[RDX]};
    const uint64_t value[2] = {cpu->gpr[RBX], cpu->gpr[RCX]};

    if (locked_exchange_16(cpu, linear, expected, value))
        return true;
    cpu->gpr[RAX] = expected[0];
    cpu->gpr[RDX] = expected[1];
    return false;
}

const struct op *op_cmpxchg16b_locked(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    flags_change(cpu, FLAG_ZF, exchange_16(cpu, linear_16(cpu, op)) ? FLAG_ZF : 0);
    NEXT;
}

/* ---- MOVBE ---- */

always uint64_t swapped(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - size * 8);
}

#define SWAPPING(size)                                                                                       \
    static const struct op *movbe_load_m_##size(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        reg_set(cpu, op->reg, size, swapped(load(cpu, op->segment, address(cpu, op), size), size));          \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *movbe_store_m_##size(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        store(cpu, op->segment, address(cpu, op), size, swapped(reg_get(cpu, op->reg, size), size));         \
        NEXT;                                                                                                \
    }
SWAPPING(2)
SWAPPING(4)
SWAPPING(8)
#define MEMORY_TABLE(name)                                                                                   \
    operand_table name = {                                                                                   \
        [1] = {op_undefined, name##_m_2}, {op_undefined, name##_m_4}, {op_undefined, name##_m_8}};
MEMORY_TABLE(movbe_load)
MEMORY_TABLE(movbe_store)

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
    CONDITIONAL_MOVE(code, 8)                                                                                \
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
    {[1] = {cmov_##code##_r_2, cmov_##code##_m_2},                                                           \
     {cmov_##code##_r_4, cmov_##code##_m_4},                                                                 \
     {cmov_##code##_r_8, cmov_##code##_m_8}},
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
