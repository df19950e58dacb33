/*
 * What has implied operands or more than two: MUL, IMUL, DIV, IDIV; exchanges; BSWAP, CBW and its like.
 *
 * A division that would raise #DE must not reach the host: it is looked at first, and left to the interpreter if there
 * is any doubt.
 */
#include "cpu/soft/translator.h"

enum { BOTH_OVERRIDES = OVERRIDE_CARRY | OVERRIDE_OVERFLOW };

/* The operand of a unary operation: in a register, or SCRATCH; none of RAX and RDX is written yet. */
static unsigned unary_operand(struct trace *trace, const struct item *item, unsigned size)
{
    if (item->index % UNARY_FORMS == UNARY_R)
        return register_load(trace, size, item->op->base, SCRATCH);
    memory_operand(trace, item, size, false);
    emit_load_extended(&trace->e, size, SCRATCH, place_at(ADDRESS, 0));
    return SCRATCH;
}

static void product(struct trace *trace, enum unary kind, unsigned size, unsigned operand)
{
    enum { EXTENSION = 4 };

    recipe_before_write(trace, RAX);
    recipe_before_write(trace, RDX);
    emit_group(&trace->e, size, sized(size, OPCODE_GROUP_3), EXTENSION + kind - MUL, operand);
    recipe_override(trace, BOTH_OVERRIDES);
}

static void leave_if(struct trace *trace, const struct item *item, unsigned condition)
{
    recipe_forget(trace);
    detour_make(trace, DETOUR_LEAVE, emit_jump_if(&trace->e, condition), site_make(trace, SITE_BAIL, item));
}

/* Unsigned: the quotient fits if the upper half is less than the divisor. */
static void quotient_unsigned(struct trace *trace, const struct item *item, unsigned size, unsigned operand)
{
    emit_binary(&trace->e, size, HOST_CMP, HOST_RDX, operand);
    leave_if(trace, item, IF_NO_CARRY);
}

/* Signed: it does if the dividend fits into one half, as after CDQ, and the divisor is neither 0 nor -1. */
static void quotient_signed(struct trace *trace, const struct item *item, unsigned size, unsigned operand)
{
    enum { SAR = 7 };
    struct emitter *e = &trace->e;

    emit_move(e, size, ADDRESS, HOST_RAX);
    emit_group(e, size, 0xc1, SAR, ADDRESS);
    emit_byte(e, size * 8 - 1);
    emit_binary(e, size, HOST_CMP, ADDRESS, HOST_RDX);
    leave_if(trace, item, IF_NOT_ZERO);
    emit_address(e, size, ADDRESS, place_at(operand, 1));
    emit_binary_constant(e, size, HOST_CMP, ADDRESS, 1);
    leave_if(trace, item, IF_NOT_ABOVE);
}

static void quotient(struct trace *trace, const struct item *item, enum unary kind, unsigned size,
                     unsigned operand)
{
    enum { EXTENSION = 6 };

    if (kind == DIV)
        quotient_unsigned(trace, item, size, operand);
    else
        quotient_signed(trace, item, size, operand);
    recipe_before_write(trace, RAX);
    recipe_before_write(trace, RDX);
    emit_group(&trace->e, size, OPCODE_GROUP_3, EXTENSION + kind - DIV, operand);
}

bool translate_multiply(struct trace *trace, const struct item *item)
{
    enum unary kind = item->index / UNARY_FORMS / WIDTHS;
    unsigned size = width_size(item->index / UNARY_FORMS % WIDTHS), operand;
    bool memory = item->index % UNARY_FORMS != UNARY_R;

    if (size < 4 || (memory && !memory_possible(item->op)))
        return false;
    operand = unary_operand(trace, item, size);
    if (kind >= DIV)
        quotient(trace, item, kind, size, operand);
    else
        product(trace, kind, size, operand);
    return true;
}

/* ---- IMUL with two and three operands; index: width, form ---- */

static bool imul(struct trace *trace, const struct item *item, bool constant)
{
    enum { IMUL_CONSTANT = 0x69, IMUL = MAP_0F(0xaf) };
    const struct op *op = item->op;
    struct emitter *e = &trace->e;
    unsigned size = width_size(item->index / OPERAND_FORMS), reg;
    bool memory = in_memory(item);
    struct place place = memory ? place_at(ADDRESS, 0) : register_place(op->base);

    if (memory && !memory_possible(op))
        return false;
    if (memory)
        memory_operand(trace, item, size, false);
    recipe_before_write(trace, gpr_of(op->reg));
    reg = constant && host_register(op->reg) == HOST_NONE ? SCRATCH : target_begin(trace, size, op->reg);
    if (memory || host_register(op->base) == HOST_NONE)
        emit_memory(e, size, constant ? IMUL_CONSTANT : IMUL, reg, place);
    else
        emit_registers(e, size, constant ? IMUL_CONSTANT : IMUL, reg, host_register(op->base));
    if (constant)
        emit_immediate(e, size, op->immediate);
    target_end(trace, size, op->reg);
    recipe_override(trace, BOTH_OVERRIDES);
    return true;
}

bool translate_imul_two(struct trace *trace, const struct item *item)
{
    return imul(trace, item, false);
}

bool translate_imul_three(struct trace *trace, const struct item *item)
{
    return imul(trace, item, true);
}

/* ---- XCHG; index: width, form ---- */

static bool exchange_memory(struct trace *trace, const struct item *item, unsigned size)
{
    struct emitter *e = &trace->e;
    unsigned reg = host_register(item->op->reg);

    if (!memory_possible(item->op) || is_high(item->op->reg))
        return false;
    memory_operand(trace, item, size, true);
    recipe_before_write(trace, gpr_of(item->op->reg));
    if (item->index % OPERAND_FORMS == OPERAND_M && reg != HOST_NONE) {
        emit_load_extended(e, size, SCRATCH, place_at(ADDRESS, 0));
        emit_store(e, size, place_at(ADDRESS, 0), reg);
        emit_move(e, size, reg, SCRATCH);
        return true;
    }
    memory_in_line(trace, item, size); /* the host's XCHG locks */
    reg = target_begin(trace, size, item->op->reg);
    emit_memory(e, size, sized(size, OPCODE_XCHG), reg, place_at(ADDRESS, 0));
    target_end(trace, size, item->op->reg);
    return true;
}

bool translate_exchange(struct trace *trace, const struct item *item)
{
    const struct op *op = item->op;
    unsigned size = width_size(item->index / OPERAND_FORMS), left, right;

    if (in_memory(item))
        return exchange_memory(trace, item, size);
    if (is_high(op->base) || is_high(op->reg))
        return false;
    recipe_before_write(trace, gpr_of(op->base));
    recipe_before_write(trace, gpr_of(op->reg));
    left = register_load(trace, size, op->base, SCRATCH);
    right = register_load(trace, size, op->reg, ADDRESS);
    emit_registers(&trace->e, size, sized(size, OPCODE_XCHG), left, right);
    if (left == SCRATCH)
        emit_store(&trace->e, size == 4 ? 8 : size, register_place(op->base), left);
    if (right == ADDRESS)
        emit_store(&trace->e, size == 4 ? 8 : size, register_place(op->reg), right);
    return true;
}

/* ---- one register ---- */

static bool byte_swap(struct trace *trace, const struct item *item, unsigned size)
{
    unsigned reg;

    recipe_before_write(trace, gpr_of(item->op->base));
    reg = target_begin(trace, size, item->op->base);
    emit_opcode(&trace->e, size, MAP_0F(0xc8 | (reg & 7)), 0, HOST_NONE, reg, false);
    target_end(trace, size, item->op->base);
    return true;
}

bool translate_byte_swap(struct trace *trace, const struct item *item)
{
    return byte_swap(trace, item, 4);
}

bool translate_byte_swap_64(struct trace *trace, const struct item *item)
{
    return byte_swap(trace, item, 8);
}

/* CBW to CQO: RAX and RDX are the host's. */
static bool widen(struct trace *trace, unsigned size, unsigned opcode, unsigned written)
{
    recipe_before_write(trace, written);
    emit_opcode(&trace->e, size, opcode, 0, HOST_NONE, HOST_NONE, false);
    return true;
}

#define WIDEN(name, size, opcode, written)                                                                   \
    bool translate_##name(struct trace *trace, const struct item *item)                                      \
    {                                                                                                        \
        (void)item;                                                                                          \
        return widen(trace, size, opcode, written);                                                          \
    }
WIDEN(cbw, 2, 0x98, RAX)
WIDEN(cwde, 4, 0x98, RAX)
WIDEN(cdqe, 8, 0x98, RAX)
WIDEN(cwd, 2, 0x99, RDX)
WIDEN(cdq, 4, 0x99, RDX)
WIDEN(cqo, 8, 0x99, RDX)

bool translate_nothing(struct trace *trace, const struct item *item)
{
    (void)trace, (void)item;
    return true;
}
