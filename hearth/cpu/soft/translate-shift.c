/*
 * Shifts, rotates and bit tests of registers. In memory, and rotates through CF, they are the interpreter's.
 *
 * A count in CL may be 0, and then the flags stay: what they were is written down first, and what they are only if
 * the count is not 0.
 */
#include "cpu/soft/translator.h"

enum { BOTH_OVERRIDES = OVERRIDE_CARRY | OVERRIDE_OVERFLOW };

static bool is_rotate(enum shift kind)
{
    return kind <= RCR;
}

static unsigned count_mask(unsigned size)
{
    return size == 8 ? 63 : 31;
}

static void result_set(struct trace *trace, unsigned size, unsigned offset)
{
    recipe_set(trace, TRANSLATED_RESULT, size);
    if (!trace->items[trace->at].live)
        return;
    trace->recipe.result = (struct value){VALUE_REGISTER, gpr_of(offset), 0};
    recipe_override(trace, BOTH_OVERRIDES);
    trace->recipe.host = HOST_FLAGS_CARRY | HOST_FLAGS_OTHERS;
}

/* Of 32 bits by 0: the upper half is cleared all the same. */
static void shift_nothing(struct trace *trace, unsigned size, unsigned offset)
{
    unsigned reg;

    if (size != 4)
        return;
    recipe_before_write(trace, gpr_of(offset));
    reg = target_begin(trace, 4, offset);
    emit_move(&trace->e, 4, reg, reg);
    target_end(trace, 4, offset);
}

static void shift_constant(struct trace *trace, enum shift kind, unsigned size, unsigned offset,
                           unsigned count)
{
    struct emitter *e = &trace->e;
    unsigned reg;

    if (is_rotate(kind))
        recipe_before_write(trace, gpr_of(offset));
    reg = target_begin(trace, size, offset);
    emit_group(e, size, sized(size, 0xc1), kind, reg);
    emit_byte(e, count);
    if (is_rotate(kind))
        recipe_override(trace, BOTH_OVERRIDES);
    target_end(trace, size, offset);
    if (!is_rotate(kind))
        result_set(trace, size, offset);
}

/* By CL, with flags that somebody wants: the new ones go to cpu->lazy if there are any. */
static void shift_flags(struct trace *trace, enum shift kind, unsigned size, unsigned reg)
{
    struct emitter *e = &trace->e;
    uint8_t *jump;

    emit_set_condition(e, IF_CARRY, ADDRESS);
    emit_set_condition_in(e, IF_OVERFLOW, CPU_PLACE(scratch));
    emit_group(e, 1, 0xf6, 0, HOST_RCX); /* test cl */
    emit_byte(e, count_mask(size));
    jump = emit_jump_if(e, IF_ZERO);
    emit_store(e, 1, CPU_PLACE(carry), ADDRESS);
    emit_load_extended(e, 1, ADDRESS, CPU_PLACE(scratch));
    emit_store(e, 1, CPU_PLACE(overflow), ADDRESS);
    if (is_rotate(kind)) {
        emit_binary_memory_constant(e, 4, HOST_OR, CPU_PLACE(lazy.kind), BOTH_OVERRIDES);
    } else {
        emit_store(e, 8, CPU_PLACE(lazy.result), reg);
        emit_store_constant(e, 8, CPU_PLACE(lazy.kind),
                            TRANSLATED_RESULT | size << TRANSLATED_SIZE_SHIFT | BOTH_OVERRIDES);
    }
    emit_patch(jump, e->at);
}

static void shift_by_cl(struct trace *trace, enum shift kind, unsigned size, unsigned offset)
{
    bool live = trace->items[trace->at].live;
    unsigned reg;

    if (live)
        recipe_store(trace, &trace->recipe);
    reg = target_begin(trace, size, offset);
    emit_group(&trace->e, size, sized(size, 0xd3), kind, reg);
    if (size == 4 && reg != SCRATCH)
        emit_move(&trace->e, 4, reg, reg); /* a host may leave the upper half where the count is 0 */
    if (live)
        shift_flags(trace, kind, size, reg);
    target_end(trace, size, offset);
    trace->recipe = (struct recipe){.kind = live ? RECIPE_IN_CPU : RECIPE_DEAD};
}

/* index: kind, width, form */
bool translate_shift(struct trace *trace, const struct item *item)
{
    enum shift kind = item->index / SHIFT_FORMS / WIDTHS;
    unsigned size = width_size(item->index / SHIFT_FORMS % WIDTHS), form = item->index % SHIFT_FORMS;
    unsigned offset = item->op->base, count = item->op->immediate & count_mask(size);

    kind = kind == SAL ? SHL : kind;
    if (form >= SHIFT_MI || kind == RCL || kind == RCR || is_high(offset))
        return false;
    /* A count beyond the width: flags of which every processor has its own idea. */
    if (form == SHIFT_RC && item->live && (size < 4 || gpr_of(offset) == RCX))
        return false;
    if (form == SHIFT_RC)
        shift_by_cl(trace, kind, size, offset);
    else if (count == 0)
        shift_nothing(trace, size, offset);
    else if (size < 4 && (count >= size * 8 || is_rotate(kind)))
        return false;
    else
        shift_constant(trace, kind, size, offset, count);
    return true;
}

/* SHLD and SHRD by a constant; index: width, form. */
static bool shift_double(struct trace *trace, const struct item *item, unsigned opcode)
{
    const struct op *op = item->op;
    unsigned size = width_size(item->index / OPERAND_FORMS), count = op->immediate & count_mask(size), reg;

    if (in_memory(item) || count == 0 || size < 4 || item->live || host_register(op->reg) == HOST_NONE)
        return false;
    reg = target_begin(trace, size, op->base);
    emit_registers(&trace->e, size, MAP_0F(opcode), host_register(op->reg), reg);
    emit_byte(&trace->e, count);
    target_end(trace, size, op->base);
    trace->recipe = (struct recipe){.kind = RECIPE_DEAD};
    return true;
}

bool translate_shift_left_double(struct trace *trace, const struct item *item)
{
    return shift_double(trace, item, 0xa4);
}

bool translate_shift_right_double(struct trace *trace, const struct item *item)
{
    return shift_double(trace, item, 0xac);
}

/* ---- BT BTS BTR BTC ---- */

enum { BIT_GROUP = 0xba, BIT_TEST = 0 };

static unsigned bit_opcode(unsigned kind)
{
    return 0xa3 + 8 * kind;
}

/* index: kind, width, form */
static unsigned bit_kind(const struct item *item)
{
    return item->index / OPERAND_FORMS / WIDTHS;
}

static unsigned bit_size(const struct item *item)
{
    return width_size(item->index / OPERAND_FORMS % WIDTHS);
}

bool translate_bit_register(struct trace *trace, const struct item *item)
{
    const struct op *op = item->op;
    unsigned size = bit_size(item), kind = bit_kind(item), reg;

    if (in_memory(item))
        return false;
    if (kind != BIT_TEST)
        recipe_before_write(trace, gpr_of(op->base));
    reg = target_begin(trace, size, op->base);
    emit_registers(&trace->e, size, MAP_0F(bit_opcode(kind)), register_load(trace, size, op->reg, ADDRESS),
                   reg);
    if (kind != BIT_TEST)
        target_end(trace, size, op->base);
    recipe_override(trace, OVERRIDE_CARRY);
    return true;
}

bool translate_bit_immediate(struct trace *trace, const struct item *item)
{
    enum { EXTENSION = 4 };
    const struct op *op = item->op;
    struct emitter *e = &trace->e;
    unsigned size = bit_size(item), kind = bit_kind(item);
    bool memory = in_memory(item);

    if (memory && (kind != BIT_TEST || !memory_possible(op)))
        return false;
    if (memory) {
        memory_operand(trace, item, size, false);
        emit_group_memory(e, size, MAP_0F(BIT_GROUP), EXTENSION, place_at(ADDRESS, 0));
    } else {
        if (kind != BIT_TEST)
            recipe_before_write(trace, gpr_of(op->base));
        emit_group(e, size, MAP_0F(BIT_GROUP), EXTENSION + kind, target_begin(trace, size, op->base));
    }
    emit_byte(e, op->immediate & (size * 8 - 1));
    if (!memory && kind != BIT_TEST)
        target_end(trace, size, op->base);
    recipe_override(trace, OVERRIDE_CARRY);
    return true;
}
