/* What leaves the flags alone, at most reads them: MOVZX, MOVSX, LEA, MOV of 64 bits, CMOVcc, SETcc. */
#include "cpu/soft/translator.h"

static bool extend(struct trace *trace, const struct item *item, unsigned from, uint32_t opcode)
{
    const struct op *op = item->op;
    struct emitter *e = &trace->e;
    unsigned size = width_size(item->index / OPERAND_FORMS), reg = host_register(op->reg);
    bool memory = in_memory(item);

    if (memory ? !memory_possible(op) : is_high(op->base) && (reg >= HOST_R8 || size == 8))
        return false;
    if (memory)
        memory_operand(trace, item, from, false);
    recipe_before_write(trace, gpr_of(op->reg));
    reg = reg == HOST_NONE ? SCRATCH : reg;
    if (memory)
        emit_memory(e, size, opcode, reg, place_at(ADDRESS, 0));
    else if (host_register(op->base) == HOST_NONE)
        emit_memory(e, size, opcode, reg, register_place(op->base));
    else
        emit_extension(e, size, opcode, reg, host_register(op->base), from);
    target_end(trace, size, op->reg);
    return true;
}

bool translate_zero_8(struct trace *trace, const struct item *item)
{
    return extend(trace, item, 1, OPCODE_MOVZX_8);
}

bool translate_zero_16(struct trace *trace, const struct item *item)
{
    return extend(trace, item, 2, OPCODE_MOVZX_16);
}

bool translate_sign_8(struct trace *trace, const struct item *item)
{
    return extend(trace, item, 1, OPCODE_MOVSX_8);
}

bool translate_sign_16(struct trace *trace, const struct item *item)
{
    return extend(trace, item, 2, OPCODE_MOVSX_16);
}

bool translate_sign_32(struct trace *trace, const struct item *item)
{
    return extend(trace, item, 4, OPCODE_MOVSX_32);
}

/* The handlers for flat memory alone, which clear the upper half whatever the operand size; index 2 and 3. */
static bool extend_flat(struct trace *trace, const struct item *item, unsigned from)
{
    unsigned reg = host_register(item->op->reg);

    memory_operand(trace, item, from, false);
    recipe_before_write(trace, gpr_of(item->op->reg));
    emit_load_extended(&trace->e, from, reg == HOST_NONE ? SCRATCH : reg, place_at(ADDRESS, 0));
    target_end(trace, 8, item->op->reg);
    return true;
}

bool translate_zero_8_flat(struct trace *trace, const struct item *item)
{
    return extend_flat(trace, item, 1);
}

bool translate_zero_16_flat(struct trace *trace, const struct item *item)
{
    return extend_flat(trace, item, 2);
}

bool translate_load_address(struct trace *trace, const struct item *item)
{
    const struct op *op = item->op;
    unsigned size = item->index == 0 || op->mask == UINT32_MAX ? 4 : 8, reg = host_register(op->reg);

    if (!memory_possible(op))
        return false;
    recipe_before_write(trace, gpr_of(op->reg));
    reg = reg == HOST_NONE ? SCRATCH : reg;
    memory_address(trace, op, reg);
    if (size == 4 && op->mask == UINT64_MAX)
        emit_move(&trace->e, 4, reg, reg);
    target_end(trace, 8, op->reg);
    return true;
}

bool translate_move_immediate_64(struct trace *trace, const struct item *item)
{
    unsigned reg = host_register(item->op->base);

    recipe_before_write(trace, gpr_of(item->op->base));
    emit_constant(&trace->e, reg == HOST_NONE ? SCRATCH : reg, item->op->mask);
    target_end(trace, 8, item->op->base);
    return true;
}

/* index: condition, width, form */
bool translate_conditional_move(struct trace *trace, const struct item *item)
{
    enum { CMOV = 0x40 };
    const struct op *op = item->op;
    struct emitter *e = &trace->e;
    unsigned condition = item->index / OPERAND_FORMS / WIDTHS, reg;
    unsigned size = width_size(item->index / OPERAND_FORMS % WIDTHS);
    bool memory = in_memory(item);

    if (memory && !memory_possible(op))
        return false;
    if (memory)
        memory_operand(trace, item, size, false);
    recipe_to_host(trace, condition);
    recipe_before_write(trace, gpr_of(op->reg));
    reg = target_begin(trace, size, op->reg);
    if (memory)
        emit_memory(e, size, MAP_0F(CMOV | condition), reg, place_at(ADDRESS, 0));
    else if (host_register(op->base) == HOST_NONE)
        emit_memory(e, size, MAP_0F(CMOV | condition), reg, register_place(op->base));
    else
        emit_registers(e, size, MAP_0F(CMOV | condition), reg, host_register(op->base));
    target_end(trace, size, op->reg);
    return true;
}

/* index: condition, form */
bool translate_set_condition(struct trace *trace, const struct item *item)
{
    const struct op *op = item->op;
    unsigned condition = item->index / OPERAND_FORMS, reg = host_register(op->base);

    if (in_memory(item)) {
        if (!memory_possible(op))
            return false;
        memory_operand(trace, item, 1, true);
        recipe_to_host(trace, condition);
        emit_set_condition_in(&trace->e, condition, place_at(ADDRESS, 0));
        return true;
    }
    recipe_to_host(trace, condition);
    recipe_before_write(trace, gpr_of(op->base));
    if (reg == HOST_NONE)
        emit_set_condition_in(&trace->e, condition, register_place(op->base));
    else
        emit_set_condition(&trace->e, condition, reg);
    return true;
}
