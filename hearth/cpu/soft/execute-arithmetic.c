/*
 * ADD OR ADC SBB AND SUB XOR CMP TEST MOV in all forms, INC DEC NOT NEG MUL IMUL DIV IDIV, and the decimal adjustments.
 *
 * Source: SDM volume 2. Undefined flags are what AMD's family 17h leaves.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"

/* left op right with its flags; operands sign-extended. CMP and TEST answer left. */
always int64_t binary(struct cpu *cpu, enum binary kind, unsigned size, int64_t left, int64_t right)
{
    int64_t result;

    switch (kind) {
    case ADD:
    case ADC:
        result = sign_extend((uint64_t)left + right + (kind == ADC ? flag_carry(cpu) : 0), size);
        flags_defer(cpu, FLAGS_ADD, result, left, right);
        return result;
    case SUB:
    case SBB:
        result = sign_extend((uint64_t)left - right - (kind == SBB ? flag_carry(cpu) : 0), size);
        flags_defer(cpu, FLAGS_SUB, result, left, right);
        return result;
    case CMP:
        flags_defer(cpu, FLAGS_SUB, sign_extend((uint64_t)left - right, size), left, right);
        return left;
    case TEST: flags_defer_logic(cpu, left & right); return left;
    case MOV: return right;
    default:
        result = kind == OR ? left | right : kind == AND ? left & right : left ^ right;
        flags_defer_logic(cpu, result);
        return result;
    }
}

always bool reads_left(enum binary kind)
{
    return kind != MOV;
}

always bool writes_left(enum binary kind)
{
    return kind != CMP && kind != TEST;
}

always int64_t reg_signed(const struct cpu *cpu, unsigned reg, unsigned size)
{
    return sign_extend(reg_get(cpu, reg, size), size);
}

always const struct op *binary_reg(struct cpu *cpu, const struct op *op, enum binary kind, unsigned size,
                                   unsigned reg, int64_t right)
{
    int64_t left = reads_left(kind) ? reg_signed(cpu, reg, size) : 0;
    int64_t result = binary(cpu, kind, size, left, right);

    if (writes_left(kind))
        reg_set(cpu, reg, size, result);
    NEXT;
}

always uint64_t operand_linear(struct cpu *cpu, const struct op *op, unsigned size, bool write, bool flat)
{
    return flat ? address(cpu, op) : segment_linear(cpu, op->segment, address(cpu, op), size, write);
}

always const struct op *binary_from(struct cpu *cpu, const struct op *op, enum binary kind, unsigned size,
                                    bool flat)
{
    MAY_FAULT;
    return binary_reg(cpu, op, kind, size, op->reg,
                      sign_extend(load_linear(cpu, operand_linear(cpu, op, size, false, flat), size), size));
}

always const struct op *binary_to(struct cpu *cpu, const struct op *op, enum binary kind, unsigned size,
                                  bool flat, int64_t right)
{
    uint64_t linear;

    MAY_FAULT;
    linear = operand_linear(cpu, op, size, writes_left(kind), flat);
    if (kind == MOV) {
        store_linear(cpu, linear, size, right);
    } else if (!writes_left(kind)) {
        binary(cpu, kind, size, sign_extend(load_linear(cpu, linear, size), size), right);
    } else {
        struct modify modify;
        int64_t left = sign_extend(modify_begin_linear(cpu, linear, size, &modify), size);

        modify_end(cpu, size, binary(cpu, kind, size, left, right), &modify);
    }
    NEXT;
}

/* The result alone: the flags are left till it stands in memory. */
always int64_t binary_result(enum binary kind, uint64_t left, uint64_t right, bool carry)
{
    switch (kind) {
    case ADD: return left + right;
    case ADC: return left + right + carry;
    case SUB: return left - right;
    case SBB: return left - right - carry;
    case OR: return left | right;
    case AND: return left & right;
    default: return left ^ right;
    }
}

always const struct op *binary_locked(struct cpu *cpu, const struct op *op, enum binary kind, unsigned size,
                                      int64_t right)
{
    bool carry = kind == ADC || kind == SBB ? flag_carry(cpu) : false;
    uint64_t linear;
    int64_t left;
    uint8_t *host;

    MAY_FAULT;
    linear = operand_linear(cpu, op, size, true, false);
    do
        left = sign_extend(locked_begin(cpu, linear, size, &host), size);
    while (!locked_end(cpu, host, size, left, binary_result(kind, left, right, carry)));
    binary(cpu, kind, size, left, right);
    NEXT;
}

#define BINARY_LOCKED(kind, size)                                                                            \
    static const struct op *kind##_mr_##size##_locked(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return binary_locked(cpu, op, kind, size, reg_signed(cpu, op->reg, size));                           \
    }                                                                                                        \
    static const struct op *kind##_mi_##size##_locked(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return binary_locked(cpu, op, kind, size, (int32_t)op->immediate);                                   \
    }

#define BINARY(kind, size)                                                                                   \
    static const struct op *kind##_rr_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        return binary_reg(cpu, op, kind, size, op->base, reg_signed(cpu, op->reg, size));                    \
    }                                                                                                        \
    static const struct op *kind##_ri_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        return binary_reg(cpu, op, kind, size, op->base, (int32_t)op->immediate);                            \
    }                                                                                                        \
    BINARY_MEMORY(kind, size, any, false)                                                                    \
    BINARY_MEMORY(kind, size, flat, true)

#define BINARY_MEMORY(kind, size, name, flat)                                                                \
    static const struct op *kind##_rm_##size##_##name(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return binary_from(cpu, op, kind, size, flat);                                                       \
    }                                                                                                        \
    static const struct op *kind##_mr_##size##_##name(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return binary_to(cpu, op, kind, size, flat, reg_signed(cpu, op->reg, size));                         \
    }                                                                                                        \
    static const struct op *kind##_mi_##size##_##name(struct cpu *cpu, const struct op *op)                  \
    {                                                                                                        \
        return binary_to(cpu, op, kind, size, flat, (int32_t)op->immediate);                                 \
    }

#define BINARY_BOTH(kind, size) BINARY(kind, size) BINARY_LOCKED(kind, size)
#define BINARY_ROW(kind, size)                                                                               \
    {                                                                                                        \
        kind##_rr_##size, kind##_ri_##size, kind##_rm_##size##_any, kind##_mr_##size##_any,                  \
            kind##_mi_##size##_any, kind##_rm_##size##_flat, kind##_mr_##size##_flat,                        \
            kind##_mi_##size##_flat                                                                          \
    }
#define BINARY_ROW_BOTH(kind, size)                                                                          \
    {                                                                                                        \
        kind##_rr_##size, kind##_ri_##size, kind##_rm_##size##_any, kind##_mr_##size##_any,                  \
            kind##_mi_##size##_any, kind##_rm_##size##_flat, kind##_mr_##size##_flat,                        \
            kind##_mi_##size##_flat, kind##_mr_##size##_locked, kind##_mi_##size##_locked                    \
    }

#define BINARY_CHANGING(X) X(ADD) X(OR) X(ADC) X(SBB) X(AND) X(SUB) X(XOR)
#define BINARY_OTHERS(X)   X(CMP) X(TEST) X(MOV)
#define BINARY_WIDTHS_BOTH(kind)                                                                             \
    BINARY_BOTH(kind, 1) BINARY_BOTH(kind, 2) BINARY_BOTH(kind, 4) BINARY_BOTH(kind, 8)
#define BINARY_WIDTHS(kind) BINARY(kind, 1) BINARY(kind, 2) BINARY(kind, 4) BINARY(kind, 8)
#define BINARY_ROWS_BOTH(kind)                                                                               \
    [kind] = {BINARY_ROW_BOTH(kind, 1), BINARY_ROW_BOTH(kind, 2), BINARY_ROW_BOTH(kind, 4),                  \
              BINARY_ROW_BOTH(kind, 8)},
#define BINARY_ROWS(kind)                                                                                    \
    [kind] = {BINARY_ROW(kind, 1), BINARY_ROW(kind, 2), BINARY_ROW(kind, 4), BINARY_ROW(kind, 8)},

BINARY_CHANGING(BINARY_WIDTHS_BOTH)
BINARY_OTHERS(BINARY_WIDTHS)
op_function *const binary_handlers[BINARIES][WIDTHS][BINARY_FORMS] = {BINARY_CHANGING(BINARY_ROWS_BOTH)
                                                                          BINARY_OTHERS(BINARY_ROWS)};

/* ---- INC DEC NOT NEG ---- */

always void flags_defer_step(struct cpu *cpu, enum flags_kind kind, int64_t result, int64_t left)
{
    bool carry = flag_carry(cpu);

    cpu->rflags = (cpu->rflags & ~(uint64_t)FLAG_CF) | carry;
    flags_defer(cpu, kind, result, left, 1);
}

always int64_t unary(struct cpu *cpu, enum unary kind, unsigned size, int64_t value)
{
    int64_t result;

    switch (kind) {
    case INC:
        result = sign_extend((uint64_t)value + 1, size);
        flags_defer_step(cpu, FLAGS_INC, result, value);
        return result;
    case DEC:
        result = sign_extend((uint64_t)value - 1, size);
        flags_defer_step(cpu, FLAGS_DEC, result, value);
        return result;
    case NEG:
        result = sign_extend(-(uint64_t)value, size);
        flags_defer(cpu, FLAGS_SUB, result, 0, value);
        return result;
    default: return ~value;
    }
}

/* ---- MUL IMUL DIV IDIV ---- */

always void flags_product(struct cpu *cpu, bool overflow)
{
    flags_change(cpu, FLAG_CF | FLAG_OF, overflow ? FLAG_CF | FLAG_OF : 0);
}

always void accumulator_pair_set(struct cpu *cpu, unsigned size, uint64_t low, uint64_t high)
{
    if (size == 1) {
        reg_set(cpu, RAX * 8, 2, (low & 0xff) | high << 8);
    } else {
        reg_set(cpu, RAX * 8, size, low);
        reg_set(cpu, RDX * 8, size, high);
    }
}

/* The products and quotients of 64 bits are the host's of 128. */
always void multiply_128(struct cpu *cpu, enum unary kind, uint64_t value)
{
    unsigned __int128 product = kind == MUL
                                    ? (unsigned __int128)cpu->gpr[RAX] * value
                                    : (unsigned __int128)((__int128)(int64_t)cpu->gpr[RAX] * (int64_t)value);
    uint64_t low = product, high = product >> 64;

    accumulator_pair_set(cpu, 8, low, high);
    flags_product(cpu, high != (kind == MUL ? 0 : (uint64_t)((int64_t)low >> 63)));
}

always void multiply(struct cpu *cpu, enum unary kind, unsigned size, uint64_t value)
{
    unsigned bits = size * 8;

    if (size == 8) {
        multiply_128(cpu, kind, value);
    } else if (kind == MUL) {
        uint64_t mask = UINT64_MAX >> (64 - bits), product = reg_get(cpu, RAX * 8, size) * (value & mask);

        accumulator_pair_set(cpu, size, product & mask, product >> bits);
        flags_product(cpu, product >> bits != 0);
    } else {
        int64_t product = reg_signed(cpu, RAX * 8, size) * sign_extend(value, size);

        accumulator_pair_set(cpu, size, product, product >> bits);
        flags_product(cpu, sign_extend(product, size) != product);
    }
}

always uint64_t dividend(const struct cpu *cpu, unsigned size)
{
    if (size == 1)
        return REG16(RAX * 8);
    return reg_get(cpu, RDX * 8, size) << (size * 8) | reg_get(cpu, RAX * 8, size);
}

static cold void divide_error(struct cpu *cpu, uint64_t divisor)
{
    fault_because(cpu, divisor == 0 ? "division by zero" : "the quotient does not fit");
    fault(cpu, VECTOR_DE);
}

/* Magnitudes are divided; the remainder has the dividend's sign. */
static void divide_128(struct cpu *cpu, enum unary kind, uint64_t value)
{
    unsigned __int128 left = (unsigned __int128)cpu->gpr[RDX] << 64 | cpu->gpr[RAX];
    bool left_minus = kind == IDIV && (int64_t)cpu->gpr[RDX] < 0, minus = kind == IDIV && (int64_t)value < 0;
    uint64_t right = minus ? -value : value, most = kind == DIV ? UINT64_MAX : INT64_MAX, quotient, remainder;

    minus ^= left_minus;
    left = left_minus ? -left : left;
    if (right == 0 || left / right > most + minus)
        divide_error(cpu, right);
    quotient = left / right;
    remainder = left % right;
    accumulator_pair_set(cpu, 8, minus ? -quotient : quotient, left_minus ? -remainder : remainder);
}

always void divide(struct cpu *cpu, enum unary kind, unsigned size, uint64_t value)
{
    unsigned bits = size * 8;
    uint64_t mask = UINT64_MAX >> (64 - bits), left;

    if (size == 8) {
        divide_128(cpu, kind, value);
        return;
    }
    left = dividend(cpu, size);
    if (kind == DIV) {
        uint64_t right = value & mask;

        if (right == 0 || left / right > mask)
            divide_error(cpu, right);
        accumulator_pair_set(cpu, size, left / right, left % right);
    } else {
        int64_t signed_left = sign_extend(left, size * 2), right = sign_extend(value, size), quotient;

        /* The one quotient that the host's division traps on does not fit either. */
        if (right == 0 || (right == -1 && signed_left == INT64_MIN))
            divide_error(cpu, right);
        quotient = signed_left / right;
        if (sign_extend(quotient, size) != quotient)
            divide_error(cpu, right);
        accumulator_pair_set(cpu, size, quotient, signed_left % right);
    }
}

always const struct op *unary_reg(struct cpu *cpu, const struct op *op, enum unary kind, unsigned size)
{
    if (kind >= DIV) {
        MAY_FAULT;
        divide(cpu, kind, size, reg_get(cpu, op->base, size));
    } else if (kind >= MUL) {
        multiply(cpu, kind, size, reg_get(cpu, op->base, size));
    } else {
        reg_set(cpu, op->base, size, unary(cpu, kind, size, reg_signed(cpu, op->base, size)));
    }
    NEXT;
}

always const struct op *unary_memory(struct cpu *cpu, const struct op *op, enum unary kind, unsigned size,
                                     bool flat)
{
    uint64_t linear;

    MAY_FAULT;
    linear = operand_linear(cpu, op, size, kind < MUL, flat);
    if (kind >= DIV) {
        divide(cpu, kind, size, load_linear(cpu, linear, size));
    } else if (kind >= MUL) {
        multiply(cpu, kind, size, load_linear(cpu, linear, size));
    } else {
        struct modify modify;
        int64_t value = sign_extend(modify_begin_linear(cpu, linear, size, &modify), size);

        modify_end(cpu, size, unary(cpu, kind, size, value), &modify);
    }
    NEXT;
}

always const struct op *unary_locked(struct cpu *cpu, const struct op *op, enum unary kind, unsigned size)
{
    uint64_t linear;
    int64_t value;
    uint8_t *host;

    MAY_FAULT;
    linear = operand_linear(cpu, op, size, true, false);
    do
        value = sign_extend(locked_begin(cpu, linear, size, &host), size);
    while (!locked_end(cpu, host, size, value,
                       kind == INC   ? value + 1ull
                       : kind == DEC ? value - 1ull
                       : kind == NEG ? -(uint64_t)value
                                     : ~(uint64_t)value));
    unary(cpu, kind, size, value);
    NEXT;
}

#define UNARY_LOCKED(kind, size)                                                                             \
    static const struct op *kind##_m_##size##_locked(struct cpu *cpu, const struct op *op)                   \
    {                                                                                                        \
        return unary_locked(cpu, op, kind, size);                                                            \
    }

#define UNARY(kind, size)                                                                                    \
    static const struct op *kind##_r_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        return unary_reg(cpu, op, kind, size);                                                               \
    }                                                                                                        \
    static const struct op *kind##_m_##size(struct cpu *cpu, const struct op *op)                            \
    {                                                                                                        \
        return unary_memory(cpu, op, kind, size, false);                                                     \
    }                                                                                                        \
    static const struct op *kind##_m_##size##_flat(struct cpu *cpu, const struct op *op)                     \
    {                                                                                                        \
        return unary_memory(cpu, op, kind, size, true);                                                      \
    }

#define UNARY_CHANGING(X)      X(INC) X(DEC) X(NOT) X(NEG)
#define UNARY_OTHERS(X)        X(MUL) X(IMUL) X(DIV) X(IDIV)
#define UNARY_BOTH(kind, size) UNARY(kind, size) UNARY_LOCKED(kind, size)
#define UNARY_WIDTHS_BOTH(kind)                                                                              \
    UNARY_BOTH(kind, 1) UNARY_BOTH(kind, 2) UNARY_BOTH(kind, 4) UNARY_BOTH(kind, 8)
#define UNARY_WIDTHS(kind) UNARY(kind, 1) UNARY(kind, 2) UNARY(kind, 4) UNARY(kind, 8)
#define UNARY_ROW_BOTH(kind, size)                                                                           \
    {                                                                                                        \
        kind##_r_##size, kind##_m_##size, kind##_m_##size##_flat, kind##_m_##size##_locked                   \
    }
#define UNARY_ROW(kind, size)                                                                                \
    {                                                                                                        \
        kind##_r_##size, kind##_m_##size, kind##_m_##size##_flat                                             \
    }
#define UNARY_ROWS_BOTH(kind)                                                                                \
    [kind] = {UNARY_ROW_BOTH(kind, 1), UNARY_ROW_BOTH(kind, 2), UNARY_ROW_BOTH(kind, 4),                     \
              UNARY_ROW_BOTH(kind, 8)},
#define UNARY_ROWS(kind)                                                                                     \
    [kind] = {UNARY_ROW(kind, 1), UNARY_ROW(kind, 2), UNARY_ROW(kind, 4), UNARY_ROW(kind, 8)},

UNARY_CHANGING(UNARY_WIDTHS_BOTH)
UNARY_OTHERS(UNARY_WIDTHS)
op_function *const unary_handlers[UNARIES][WIDTHS][UNARY_FORMS] = {UNARY_CHANGING(UNARY_ROWS_BOTH)
                                                                       UNARY_OTHERS(UNARY_ROWS)};

always const struct op *imul(struct cpu *cpu, const struct op *op, unsigned size, int64_t left, int64_t right)
{
    int64_t product;
    bool overflow = __builtin_mul_overflow(left, right, &product) || sign_extend(product, size) != product;

    reg_set(cpu, op->reg, size, product);
    flags_product(cpu, overflow);
    NEXT;
}

#define IMUL_FORMS(size)                                                                                     \
    static const struct op *imul_two_r_##size(struct cpu *cpu, const struct op *op)                          \
    {                                                                                                        \
        return imul(cpu, op, size, reg_signed(cpu, op->reg, size), reg_signed(cpu, op->base, size));         \
    }                                                                                                        \
    static const struct op *imul_two_m_##size(struct cpu *cpu, const struct op *op)                          \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        return imul(cpu, op, size, reg_signed(cpu, op->reg, size),                                           \
                    sign_extend(load(cpu, op->segment, address(cpu, op), size), size));                      \
    }                                                                                                        \
    static const struct op *imul_three_r_##size(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        return imul(cpu, op, size, reg_signed(cpu, op->base, size), (int32_t)op->immediate);                 \
    }                                                                                                        \
    static const struct op *imul_three_m_##size(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        return imul(cpu, op, size, sign_extend(load(cpu, op->segment, address(cpu, op), size), size),        \
                    (int32_t)op->immediate);                                                                 \
    }
IMUL_FORMS(2)
IMUL_FORMS(4)
IMUL_FORMS(8)
#define WORD_TABLE(name)                                                                                     \
    operand_table name = {[1] = {name##_r_2, name##_m_2}, {name##_r_4, name##_m_4}, {name##_r_8, name##_m_8}};
WORD_TABLE(imul_two)
WORD_TABLE(imul_three)

/* ---- sign extension of the accumulator ---- */

const struct op *op_cbw(struct cpu *cpu, const struct op *op)
{
    REG16(RAX * 8) = (int8_t)cpu->gpr[RAX];
    NEXT;
}

const struct op *op_cwde(struct cpu *cpu, const struct op *op)
{
    cpu->gpr[RAX] = (uint32_t)(int16_t)cpu->gpr[RAX];
    NEXT;
}

const struct op *op_cwd(struct cpu *cpu, const struct op *op)
{
    REG16(RDX * 8) = cpu->gpr[RAX] & 0x8000 ? 0xffff : 0;
    NEXT;
}

const struct op *op_cdq(struct cpu *cpu, const struct op *op)
{
    cpu->gpr[RDX] = cpu->gpr[RAX] & 0x80000000 ? UINT32_MAX : 0;
    NEXT;
}

const struct op *op_cdqe(struct cpu *cpu, const struct op *op)
{
    cpu->gpr[RAX] = (int64_t)(int32_t)cpu->gpr[RAX];
    NEXT;
}

const struct op *op_cqo(struct cpu *cpu, const struct op *op)
{
    cpu->gpr[RDX] = (int64_t)cpu->gpr[RAX] >> 63;
    NEXT;
}

/* ---- decimal adjustments ---- */

enum { AL = RAX * 8, AH = RAX * 8 + 1 };

/* AAA and AAS: step is +1 or -1. OF is left clear, SF, ZF and PF follow AL. */
always void ascii_adjust(struct cpu *cpu, int step)
{
    bool adjust = (REG8(AL) & 0xf) > 9 || flag_adjust(cpu);

    if (adjust)
        REG16(AL) += step * 0x106;
    REG8(AL) &= 0xf;
    flags_set_arithmetic(cpu, (adjust ? FLAG_AF | FLAG_CF : 0) | flags_of_result((int8_t)REG8(AL)));
}

const struct op *op_aaa(struct cpu *cpu, const struct op *op)
{
    ascii_adjust(cpu, 1);
    NEXT;
}

const struct op *op_aas(struct cpu *cpu, const struct op *op)
{
    ascii_adjust(cpu, -1);
    NEXT;
}

const struct op *op_aam(struct cpu *cpu, const struct op *op)
{
    uint8_t base = op->immediate, value = REG8(AL);

    MAY_FAULT;
    if (base == 0)
        divide_error(cpu, 0);
    REG8(AH) = value / base;
    REG8(AL) = value % base;
    flags_set_arithmetic(cpu, flags_of_result((int8_t)REG8(AL)));
    NEXT;
}

const struct op *op_aad(struct cpu *cpu, const struct op *op)
{
    REG16(AL) = (uint8_t)(REG8(AL) + REG8(AH) * (uint8_t)op->immediate);
    flags_set_arithmetic(cpu, flags_of_result((int8_t)REG8(AL)));
    NEXT;
}

always void decimal_adjust(struct cpu *cpu, int step)
{
    uint8_t old = REG8(AL);
    bool old_carry = flag_carry(cpu), adjust = (old & 0xf) > 9 || flag_adjust(cpu), carry = false;

    if (adjust) {
        /* The borrow or carry out of the low correction counts too. */
        carry = step > 0 ? old > 0xf9 : old < 6;
        REG8(AL) += step * 6;
    }
    carry = old_carry || (adjust && carry);
    if (old > 0x99 || old_carry) {
        REG8(AL) += step * 0x60;
        carry = true;
    }
    flags_set_arithmetic(cpu,
                         (adjust ? FLAG_AF : 0) | (carry ? FLAG_CF : 0) | flags_of_result((int8_t)REG8(AL)));
}

const struct op *op_daa(struct cpu *cpu, const struct op *op)
{
    decimal_adjust(cpu, 1);
    NEXT;
}

const struct op *op_das(struct cpu *cpu, const struct op *op)
{
    decimal_adjust(cpu, -1);
    NEXT;
}
