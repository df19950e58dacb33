/*
 * From the interpreter's handlers to what is known of their operations: the tables of execute.h again, each with
 * who translates it and what it does to the flags.
 */
#include "core/log.h"
#include "cpu/soft/translator.h"

/* ---- effects on the arithmetic flags ---- */

static struct effect effect_none(const struct item *item)
{
    (void)item;
    return (struct effect){false, false, false};
}

static struct effect effect_leaves(const struct item *item)
{
    (void)item;
    return (struct effect){false, false, true};
}

static struct effect effect_operand(const struct item *item)
{
    return (struct effect){false, false, in_memory(item)};
}

static struct effect effect_binary(const struct item *item)
{
    enum binary kind = item->index / BINARY_FORMS / WIDTHS;

    return (struct effect){kind == ADC || kind == SBB, kind != MOV, item->index % BINARY_FORMS >= FORM_RM};
}

/* INC and DEC leave CF, MUL and IMUL leave what is not CF and OF, DIV and IDIV all. */
static struct effect effect_unary(const struct item *item)
{
    enum unary kind = item->index / UNARY_FORMS / WIDTHS;
    bool memory = item->index % UNARY_FORMS != UNARY_R;

    return (struct effect){false, kind == NEG, memory || kind >= DIV};
}

static struct effect effect_shift(const struct item *item)
{
    enum shift kind = item->index / SHIFT_FORMS / WIDTHS;
    unsigned form = item->index % SHIFT_FORMS, mask = item->index / SHIFT_FORMS % WIDTHS == 3 ? 63 : 31;
    bool by_constant = form == SHIFT_RI || form == SHIFT_MI;

    return (struct effect){kind == RCL || kind == RCR,
                           by_constant && kind >= SHL && (item->op->immediate & mask), form >= SHIFT_MI};
}

static struct effect effect_condition_move(const struct item *item)
{
    return (struct effect){true, false, in_memory(item)};
}

static struct effect effect_condition(const struct item *item)
{
    (void)item;
    return (struct effect){true, false, true};
}

/* ---- the tables ---- */

#define BRANCH(name, emit, effect, flow, forms)                                                              \
    {                                                                                                        \
        (op_function *const *)(name), sizeof(name) / sizeof(op_function *), emit, effect, flow, forms        \
    }
#define TABLE(name, emit, effect) BRANCH(name, emit, effect, FLOW_NONE, 1)

/* clang-format off */
static op_function *const singles_lea[] = {op_lea_32, op_lea_64};
#define SINGLE(name) static op_function *const single_##name[] = {op_##name};
SINGLE(mov_immediate_64) SINGLE(bswap) SINGLE(bswap_64) SINGLE(cbw) SINGLE(cwde) SINGLE(cdqe) SINGLE(cwd) SINGLE(cdq)
SINGLE(cqo) SINGLE(nop)
    /* clang-format on */

    static const struct family families[] = {
        TABLE(binary_handlers, translate_binary_operation, effect_binary),
        TABLE(unary_handlers, translate_unary_operation, effect_unary),
        TABLE(shift_handlers, translate_shift, effect_shift),
        TABLE(imul_two, translate_imul_two, effect_operand),
        TABLE(imul_three, translate_imul_three, effect_operand),
        TABLE(shld_immediate, translate_shift_left_double, effect_operand),
        TABLE(shrd_immediate, translate_shift_right_double, effect_operand),
        TABLE(bt_register, translate_bit_register, effect_operand),
        TABLE(bt_immediate, translate_bit_immediate, effect_operand),
        TABLE(xchg, translate_exchange, effect_operand),
        TABLE(move_zero_8, translate_zero_8, effect_operand),
        TABLE(move_zero_16, translate_zero_16, effect_operand),
        TABLE(move_sign_8, translate_sign_8, effect_operand),
        TABLE(move_sign_16, translate_sign_16, effect_operand),
        TABLE(move_sign_32, translate_sign_32, effect_operand),
        TABLE(move_zero_8_flat, translate_zero_8_flat, effect_leaves),
        TABLE(move_zero_16_flat, translate_zero_16_flat, effect_leaves),
        TABLE(conditional_move, translate_conditional_move, effect_condition_move),
        TABLE(set_condition, translate_set_condition, effect_condition_move),
        TABLE(push_register, translate_push, effect_leaves),
        TABLE(push_immediate, translate_push_immediate, effect_leaves),
        TABLE(pop_register, translate_pop, effect_leaves),
        TABLE(leave_frame, translate_leave, effect_leaves),
        TABLE(singles_lea, translate_load_address, effect_none),
        TABLE(single_mov_immediate_64, translate_move_immediate_64, effect_none),
        TABLE(single_bswap, translate_byte_swap, effect_none),
        TABLE(single_bswap_64, translate_byte_swap_64, effect_none),
        TABLE(single_cbw, translate_cbw, effect_none),
        TABLE(single_cwde, translate_cwde, effect_none),
        TABLE(single_cdqe, translate_cdqe, effect_none),
        TABLE(single_cwd, translate_cwd, effect_none),
        TABLE(single_cdq, translate_cdq, effect_none),
        TABLE(single_cqo, translate_cqo, effect_none),
        TABLE(single_nop, translate_nothing, effect_none),
        BRANCH(jump_condition, translate_jump_condition, effect_condition, FLOW_CONDITION, 1),
        BRANCH(jump_near, translate_jump_near, effect_none, FLOW_JUMP, 1),
        BRANCH(call_near, translate_call_near, effect_leaves, FLOW_CALL, STACK_FORMS),
        BRANCH(return_near, translate_return_near, effect_leaves, FLOW_INDIRECT, STACK_FORMS),
        BRANCH(jump_register, translate_jump_register, effect_leaves, FLOW_INDIRECT, 1),
        BRANCH(jump_memory, translate_jump_memory, effect_leaves, FLOW_INDIRECT, 1),
        BRANCH(call_register, translate_call_register, effect_leaves, FLOW_INDIRECT, 1),
        BRANCH(call_memory, translate_call_memory, effect_leaves, FLOW_INDIRECT, 1),
};

/* ---- looking up ---- */

enum { FAMILIES = sizeof(families) / sizeof(families[0]), ROW_BITS = 12 };

struct row {
    op_function *handler;
    uint16_t family, index;
};

struct family_table {
    struct row row[1 << ROW_BITS];
};

static struct row *row_find(struct family_table *table, op_function *handler)
{
    unsigned at = (uint64_t)(uintptr_t)handler * 0x9e3779b97f4a7c15ull >> (64 - ROW_BITS);

    while (table->row[at].handler && table->row[at].handler != handler)
        at = (at + 1) % (1 << ROW_BITS);
    return &table->row[at];
}

/* Where a handler stands in tables more than once the first place counts. */
static void family_add(struct family_table *table, unsigned number)
{
    for (unsigned i = 0; i < families[number].count; i++) {
        op_function *handler = families[number].handlers[i];
        struct row *row;

        if (!handler || handler == op_undefined)
            continue;
        row = row_find(table, handler);
        if (!row->handler)
            *row = (struct row){handler, number, i};
    }
}

struct family_table *family_table_create(void)
{
    struct family_table *table = allocate(sizeof(*table));

    for (unsigned i = 0; i < FAMILIES; i++)
        family_add(table, i);
    return table;
}

unsigned flow_size(const struct item *item)
{
    return 2u << item->index / item->family->forms % SIZES;
}

const struct family *family_of(struct family_table *table, op_function *handler, uint16_t *index)
{
    const struct row *row = row_find(table, handler);

    *index = row->index;
    return row->handler ? &families[row->family] : NULL;
}
