/*
 * MOV and arithmetic of the general registers: mostly the same instruction again, on the registers' places in the
 * host. What goes to memory, or to a register that is in memory, goes by way of SCRATCH.
 */
#include "cpu/soft/translator.h"

static const uint8_t host_binaries[] = {
    [ADD] = HOST_ADD, [OR] = HOST_OR,   [ADC] = HOST_ADC, [SBB] = HOST_SBB,
    [AND] = HOST_AND, [SUB] = HOST_SUB, [XOR] = HOST_XOR, [CMP] = HOST_CMP,
};

/* AH to BH go with registers that need no REX prefix and with nothing in memory. */
static bool high_possible(unsigned offset, unsigned other)
{
    if (!is_high(offset) && !is_high(other))
        return true;
    return gpr_of(offset) < RSP && gpr_of(other) < RSP;
}

/* ---- writing a register ---- */

unsigned target_begin(struct trace *trace, unsigned size, unsigned offset)
{
    return register_load(trace, size, offset, SCRATCH);
}

void target_end(struct trace *trace, unsigned size, unsigned offset)
{
    if (host_register(offset) == HOST_NONE)
        emit_store(&trace->e, size == 4 ? 8 : size, register_place(offset), SCRATCH);
}

/* ---- MOV ---- */

static void move_register(struct trace *trace, unsigned size, unsigned to, unsigned from)
{
    struct emitter *e = &trace->e;

    if (host_register(to) == HOST_NONE) {
        unsigned reg = register_load(trace, size, from, SCRATCH);

        if (size == 4 && reg != SCRATCH)
            emit_move(e, 4, SCRATCH, reg);
        emit_store(e, size == 4 ? 8 : size, register_place(to), size == 4 ? SCRATCH : reg);
    } else if (host_register(from) == HOST_NONE) {
        emit_load(e, size, host_register(to), register_place(from));
    } else {
        emit_move(e, size, host_register(to), host_register(from));
    }
}

static void move_constant(struct trace *trace, unsigned size, unsigned to, int32_t value)
{
    struct emitter *e = &trace->e;
    unsigned reg = host_register(to);

    if (reg != HOST_NONE && size >= 4) {
        emit_constant(e, reg, size == 4 ? (uint32_t)value : (uint64_t)(int64_t)value);
    } else if (reg != HOST_NONE) {
        emit_group(e, size, sized(size, OPCODE_MOV_IMMEDIATE), 0, reg);
        emit_immediate(e, size, value);
    } else if (size == 4 && value < 0) {
        emit_constant(e, SCRATCH, (uint32_t)value);
        emit_store(e, 8, register_place(to), SCRATCH);
    } else {
        emit_store_constant(e, size == 4 ? 8 : size, register_place(to), value);
    }
}

static void move_from_memory(struct trace *trace, const struct item *item, unsigned size)
{
    unsigned to = item->op->reg, reg = host_register(to);

    memory_operand(trace, item, size, false);
    recipe_before_write(trace, gpr_of(to));
    emit_load(&trace->e, size, reg == HOST_NONE ? SCRATCH : reg, place_at(ADDRESS, 0));
    target_end(trace, size, to);
}

static bool emit_move_operation(struct trace *trace, const struct item *item, unsigned size,
                                enum binary_form form)
{
    const struct op *op = item->op;

    switch (form) {
    case FORM_RR:
        recipe_before_write(trace, gpr_of(op->base));
        move_register(trace, size, op->base, op->reg);
        break;
    case FORM_RI:
        recipe_before_write(trace, gpr_of(op->base));
        move_constant(trace, size, op->base, op->immediate);
        break;
    case FORM_RM: move_from_memory(trace, item, size); break;
    case FORM_MR:
        memory_operand(trace, item, size, true);
        emit_store(&trace->e, size, place_at(ADDRESS, 0), register_load(trace, size, op->reg, SCRATCH));
        break;
    default:
        memory_operand(trace, item, size, true);
        emit_store_constant(&trace->e, size, place_at(ADDRESS, 0), op->immediate);
        break;
    }
    return true;
}

/* ---- ADD to TEST ---- */

/* The operands as they will be after the operation. */
struct operands {
    enum binary kind;
    unsigned size;
    bool live;
    int left; /* the general register that is read, and written unless the operation only compares; -1: SCRATCH */
    struct value right;
};

static struct value value_register(unsigned offset)
{
    return (struct value){VALUE_REGISTER, gpr_of(offset), 0};
}

static bool writes(enum binary kind)
{
    return kind != CMP && kind != TEST;
}

static bool is_logic(enum binary kind)
{
    return kind == AND || kind == OR || kind == XOR || kind == TEST;
}

struct value value_kept(struct trace *trace, struct place slot)
{
    emit_store(&trace->e, 8, slot, SCRATCH);
    return (struct value){VALUE_SLOT, 0, 0};
}

/* Before the operation: what it destroys of what its flags will be made of. */
static struct value left_kept(struct trace *trace, const struct operands *o)
{
    if (o->left < 0)
        return value_kept(trace, CPU_PLACE(lazy.left));
    if (!writes(o->kind))
        return (struct value){VALUE_REGISTER, o->left, 0};
    emit_store(&trace->e, 8, CPU_PLACE(lazy.left),
               register_load(trace, 8, o->left * 8, SCRATCH)); /* a register in memory is in SCRATCH anyway */
    return (struct value){VALUE_SLOT, 0, 0};
}

static struct value right_kept(struct trace *trace, const struct operands *o)
{
    struct value right = o->right;

    if (right.where == VALUE_REGISTER && right.gpr == o->left && writes(o->kind)) {
        emit_store(&trace->e, 8, CPU_PLACE(lazy.right), register_load(trace, 8, o->left * 8, SCRATCH));
        right.where = VALUE_SLOT;
    }
    return right;
}

/* Before the operation. The result is filled in by recipe_after(). */
static struct recipe recipe_before(struct trace *trace, const struct operands *o)
{
    struct recipe recipe = {.size = o->size};

    if (!o->live || is_logic(o->kind)) {
        recipe.kind = TRANSLATED_LOGIC;
        return recipe;
    }
    recipe.right = right_kept(trace, o);
    switch (o->kind) {
    case CMP: recipe.kind = TRANSLATED_COMPARE; break;
    case SUB: recipe.kind = TRANSLATED_SUB; break;
    case ADD: recipe.kind = TRANSLATED_ADD; break;
    default: recipe.kind = o->kind == ADC ? TRANSLATED_ADC : TRANSLATED_SBB; break;
    }
    if (recipe.kind != TRANSLATED_SUB && recipe.kind != TRANSLATED_ADD)
        recipe.left = left_kept(trace, o);
    return recipe;
}

static void recipe_after(struct trace *trace, const struct operands *o, struct recipe recipe)
{
    recipe.host = HOST_FLAGS_ALL;
    if (!o->live)
        recipe = (struct recipe){.kind = RECIPE_DEAD};
    else if (o->kind != CMP)
        recipe.result = o->left < 0 ? value_kept(trace, CPU_PLACE(lazy.result))
                                    : (struct value){VALUE_REGISTER, o->left, 0};
    trace->recipe = recipe;
}

static void carry_wanted(struct trace *trace, enum binary kind)
{
    if (kind == ADC || kind == SBB)
        recipe_to_host(trace, IF_CARRY);
}

/* TEST of a register with itself, as compilers compare with 0. */
static bool is_self(const struct operands *o)
{
    return o->right.where == VALUE_REGISTER && o->right.gpr == o->left;
}

static void binary_emit(struct trace *trace, enum binary kind, unsigned size, unsigned left, unsigned right)
{
    if (kind == TEST)
        emit_registers(&trace->e, size, sized(size, OPCODE_TEST), right, left);
    else
        emit_binary(&trace->e, size, host_binaries[kind], left, right);
}

static void binary_emit_constant(struct trace *trace, enum binary kind, unsigned size, unsigned left,
                                 int32_t value)
{
    if (kind == TEST) {
        emit_group(&trace->e, size, sized(size, OPCODE_GROUP_3), 0, left);
        emit_immediate(&trace->e, size, value);
    } else {
        emit_binary_constant(&trace->e, size, host_binaries[kind], left, value);
    }
}

/* TEST's flags are of a result that is nowhere: it is made once more. */
static struct value tested_value(struct trace *trace, const struct operands *o, unsigned left, unsigned right)
{
    struct emitter *e = &trace->e;

    if (is_self(o))
        return (struct value){VALUE_REGISTER, o->left, 0};
    if (left != SCRATCH)
        emit_move(e, 8, SCRATCH, left);
    if (right != HOST_NONE)
        emit_binary(e, o->size, HOST_AND, SCRATCH, right);
    else
        emit_binary_constant(e, o->size, HOST_AND, SCRATCH, o->right.constant);
    return value_kept(trace, CPU_PLACE(lazy.result));
}

/* TEST that leaves its flags for later: as an AND into SCRATCH. */
static void emit_test_kept(struct trace *trace, const struct operands *o, unsigned left, unsigned right)
{
    struct recipe recipe = {.kind = TRANSLATED_LOGIC, .size = o->size, .host = HOST_FLAGS_ALL};

    if (is_self(o))
        binary_emit(trace, TEST, o->size, left, right);
    recipe.result = tested_value(trace, o, left, right);
    trace->recipe = recipe;
}

static bool emit_register_register(struct trace *trace, struct operands *o, unsigned base, unsigned other)
{
    struct emitter *e = &trace->e;
    unsigned left, right = host_register(other);
    struct recipe recipe;

    if (!high_possible(base, other) || ((is_high(base) || is_high(other)) && o->live))
        return false;
    carry_wanted(trace, o->kind);
    if (host_register(base) == HOST_NONE && right == HOST_NONE && o->kind == TEST) {
        emit_load(e, 8, ADDRESS, register_place(other)); /* there is no operand in memory */
        right = ADDRESS;
    }
    left = target_begin(trace, o->size, base);
    if (o->kind == TEST && o->live) {
        if (right == HOST_NONE) {
            emit_load(e, 8, ADDRESS, register_place(other));
            right = ADDRESS;
        }
        emit_test_kept(trace, o, left, right);
        return true;
    }
    recipe = recipe_before(trace, o);
    if (right != HOST_NONE)
        binary_emit(trace, o->kind, o->size, left, right);
    else if (o->kind == TEST)
        emit_memory(e, o->size, sized(o->size, OPCODE_TEST), left, register_place(other));
    else
        emit_binary_from(e, o->size, host_binaries[o->kind], left, register_place(other));
    if (writes(o->kind))
        target_end(trace, o->size, base);
    recipe_after(trace, o, recipe);
    return true;
}

static bool emit_register_constant(struct trace *trace, struct operands *o, unsigned base, int32_t value)
{
    unsigned left;
    struct recipe recipe;

    if (is_high(base) && o->live)
        return false;
    carry_wanted(trace, o->kind);
    left = target_begin(trace, o->size, base);
    if (o->kind == TEST && o->live) {
        emit_test_kept(trace, o, left, HOST_NONE);
        return true;
    }
    recipe = recipe_before(trace, o);
    binary_emit_constant(trace, o->kind, o->size, left, value);
    if (writes(o->kind))
        target_end(trace, o->size, base);
    recipe_after(trace, o, recipe);
    return true;
}

/* reg op= memory */
static bool emit_register_memory(struct trace *trace, const struct item *item, struct operands *o)
{
    struct emitter *e = &trace->e;
    unsigned offset = item->op->reg, reg = host_register(offset);
    struct recipe recipe;

    if (is_high(offset))
        return false;
    memory_operand(trace, item, o->size, false);
    carry_wanted(trace, o->kind);
    if (reg != HOST_NONE && (!o->live || is_logic(o->kind))) {
        emit_binary_from(e, o->size, host_binaries[o->kind], reg, place_at(ADDRESS, 0));
        recipe_after(trace, o, (struct recipe){.kind = TRANSLATED_LOGIC, .size = o->size});
        return true;
    }
    emit_load_extended(e, o->size, ADDRESS,
                       place_at(ADDRESS, 0)); /* the operand is all that is wanted of it now */
    reg = target_begin(trace, o->size, offset);
    o->right = (struct value){VALUE_SLOT, 0, 0};
    if (o->live && !is_logic(o->kind))
        emit_store(e, 8, CPU_PLACE(lazy.right), ADDRESS);
    recipe = recipe_before(trace, o);
    emit_binary(e, o->size, host_binaries[o->kind], reg, ADDRESS);
    if (writes(o->kind))
        target_end(trace, o->size, offset);
    recipe_after(trace, o, recipe);
    return true;
}

/* The other operand of an operation on memory, into a register; ADDRESS and SCRATCH are taken. HOST_NONE: a constant. */
static bool memory_right(const struct item *item, bool constant, unsigned *right)
{
    *right = HOST_NONE;
    if (constant)
        return true;
    *right = host_register(item->op->reg);
    return *right != HOST_NONE && !is_high(item->op->reg);
}

/* Nobody looks at the flags, or the host's are enough: straight into memory. */
static void emit_in_memory(struct trace *trace, const struct operands *o, unsigned right)
{
    struct emitter *e = &trace->e;
    struct place place = place_at(ADDRESS, 0);

    if (o->kind == TEST && right != HOST_NONE) {
        emit_memory(e, o->size, sized(o->size, OPCODE_TEST), right, place);
    } else if (o->kind == TEST) {
        emit_group_memory(e, o->size, sized(o->size, OPCODE_GROUP_3), 0, place);
        emit_immediate(e, o->size, o->right.constant);
    } else if (right != HOST_NONE) {
        emit_binary_to(e, o->size, host_binaries[o->kind], place, right);
    } else {
        emit_binary_memory_constant(e, o->size, host_binaries[o->kind], place, o->right.constant);
    }
    trace->recipe = (struct recipe){.kind = RECIPE_DEAD};
}

/* On SCRATCH, with its flags. */
static void binary_redo(struct trace *trace, const struct operands *o, unsigned right, bool store)
{
    struct recipe recipe = recipe_before(trace, o);

    if (right != HOST_NONE)
        binary_emit(trace, o->kind, o->size, SCRATCH, right);
    else
        binary_emit_constant(trace, o->kind, o->size, SCRATCH, o->right.constant);
    if (store)
        emit_store(&trace->e, o->size, place_at(ADDRESS, 0), SCRATCH);
    recipe_after(trace, o, recipe);
}

/* memory op= reg or constant */
static bool emit_memory_operation(struct trace *trace, const struct item *item, struct operands *o,
                                  bool constant)
{
    struct emitter *e = &trace->e;
    unsigned right;

    if (!memory_right(item, constant, &right))
        return false;
    memory_operand(trace, item, o->size, writes(o->kind));
    carry_wanted(trace, o->kind);
    if (!o->live) {
        emit_in_memory(trace, o, right);
        return true;
    }
    emit_load_extended(e, o->size, SCRATCH, place_at(ADDRESS, 0));
    o->left = -1;
    if (o->kind == TEST) {
        emit_test_kept(trace, o, SCRATCH, right);
        return true;
    }
    binary_redo(trace, o, right, writes(o->kind));
    return true;
}

/* ---- LOCK ---- */

/*
 * The host's LOCK does it, unless the operand crosses a line (see in_one_line()). Where the flags are wanted the old
 * value comes back by XADD, and the operation is done once more on that; AND, OR and XOR have no such thing.
 */
static bool emit_locked(struct trace *trace, const struct item *item, struct operands *o, bool constant)
{
    enum { LOCK = 0xf0, XADD = MAP_0F(0xc1), NEG_EXTENSION = 3 };
    struct emitter *e = &trace->e;
    unsigned right;

    if (!memory_right(item, constant, &right) || (o->live && o->kind != ADD && o->kind != SUB))
        return false;
    memory_operand(trace, item, o->size, true);
    memory_in_line(trace, item, o->size);
    if (!o->live) {
        carry_wanted(trace, o->kind);
        emit_byte(e, LOCK);
        emit_in_memory(trace, o, right);
        return true;
    }
    if (right != HOST_NONE)
        emit_move(e, 8, SCRATCH, right);
    else
        emit_constant(e, SCRATCH, (int64_t)o->right.constant);
    if (o->kind == SUB)
        emit_group(e, 8, OPCODE_GROUP_3, NEG_EXTENSION, SCRATCH);
    emit_byte(e, LOCK);
    emit_memory(e, o->size, sized(o->size, XADD), SCRATCH, place_at(ADDRESS, 0));
    o->left = -1;
    binary_redo(trace, o, right, false);
    return true;
}

bool translate_binary_operation(struct trace *trace, const struct item *item)
{
    enum binary_form form = item->index % BINARY_FORMS;
    const struct op *op = item->op;
    struct operands o = {
        .kind = item->index / BINARY_FORMS / WIDTHS,
        .size = width_size(item->index / BINARY_FORMS % WIDTHS),
        .live = item->live,
    };
    bool locked;

    if (form >= FORM_RM && !memory_possible(op))
        return false;
    locked = form >= FORM_MR_LOCKED;
    form -= locked ? FORM_TO_LOCKED : form >= FORM_RM_FLAT ? FORM_TO_FLAT : 0;
    if (o.kind == MOV) {
        if ((form == FORM_RR && !high_possible(op->base, op->reg)) ||
            ((form == FORM_RM || form == FORM_MR) && is_high(op->reg)))
            return false;
        return emit_move_operation(trace, item, o.size, form);
    }
    o.left = gpr_of(form == FORM_RM ? op->reg : op->base);
    o.right = form == FORM_RI || form == FORM_MI ? (struct value){VALUE_CONSTANT, 0, op->immediate}
                                                 : value_register(op->reg);
    if (locked)
        return emit_locked(trace, item, &o, form == FORM_MI);
    switch (form) {
    case FORM_RR: return emit_register_register(trace, &o, op->base, op->reg);
    case FORM_RI: return emit_register_constant(trace, &o, op->base, op->immediate);
    case FORM_RM: return emit_register_memory(trace, item, &o);
    default: return emit_memory_operation(trace, item, &o, form == FORM_MI);
    }
}

/* ---- INC DEC NOT NEG ---- */

static void unary_emit(struct trace *trace, enum unary kind, unsigned size, unsigned reg)
{
    static const struct {
        uint8_t opcode, extension;
    } form[] = {[INC] = {OPCODE_GROUP_5, 0},
                [DEC] = {OPCODE_GROUP_5, 1},
                [NOT] = {OPCODE_GROUP_3, 2},
                [NEG] = {OPCODE_GROUP_3, 3}};

    emit_group(&trace->e, size, sized(size, form[kind].opcode), form[kind].extension, reg);
}

/* INC and DEC leave CF, which the host may have lost while recipe_carry_ready() saw to it. */
static void unary_recipe(struct trace *trace, const struct item *item, enum unary kind, unsigned size,
                         struct value result)
{
    if (kind == NOT)
        return;
    recipe_set(trace, kind == INC ? TRANSLATED_INC : kind == DEC ? TRANSLATED_DEC : TRANSLATED_NEG, size);
    if (!item->live)
        return;
    trace->recipe.result = result;
    if (kind == NEG)
        return;
    trace->recipe.overrides = OVERRIDE_CARRY;
    trace->recipe.host = HOST_FLAGS_OTHERS;
}

static bool emit_unary_register(struct trace *trace, const struct item *item, enum unary kind, unsigned size)
{
    unsigned offset = item->op->base, reg;

    if (is_high(offset) && item->live && kind != NOT)
        return false;
    if (kind == INC || kind == DEC)
        recipe_carry_ready(trace);
    if (kind == NOT)
        recipe_before_write(trace, gpr_of(offset));
    reg = target_begin(trace, size, offset);
    unary_emit(trace, kind, size, reg);
    target_end(trace, size, offset);
    unary_recipe(trace, item, kind, size, value_register(offset));
    return true;
}

/* In memory, and SCRATCH is the result. */
static void unary_locked(struct trace *trace, enum unary kind, unsigned size)
{
    enum { LOCK = 0xf0, XADD = MAP_0F(0xc1) };
    struct emitter *e = &trace->e;

    emit_constant(e, SCRATCH, kind == INC ? 1 : (uint64_t)-1);
    emit_byte(e, LOCK);
    emit_memory(e, size, sized(size, XADD), SCRATCH, place_at(ADDRESS, 0));
    unary_emit(trace, kind, size, SCRATCH);
}

static bool emit_unary_memory(struct trace *trace, const struct item *item, enum unary kind, unsigned size)
{
    struct emitter *e = &trace->e;
    bool locked = item->index % UNARY_FORMS == UNARY_M_LOCKED;

    if (!memory_possible(item->op) || (locked && kind != INC && kind != DEC))
        return false;
    memory_operand(trace, item, size, true);
    if (locked)
        memory_in_line(trace, item, size);
    if (kind == INC || kind == DEC)
        recipe_carry_ready(trace);
    if (locked) {
        unary_locked(trace, kind, size);
    } else {
        emit_load_extended(e, size, SCRATCH, place_at(ADDRESS, 0));
        unary_emit(trace, kind, size, SCRATCH);
        emit_store(e, size, place_at(ADDRESS, 0), SCRATCH);
    }
    unary_recipe(trace, item, kind, size,
                 kind != NOT && item->live ? value_kept(trace, CPU_PLACE(lazy.result)) : (struct value){0});
    return true;
}

bool translate_unary_operation(struct trace *trace, const struct item *item)
{
    enum unary kind = item->index / UNARY_FORMS / WIDTHS;
    unsigned size = width_size(item->index / UNARY_FORMS % WIDTHS);
    bool memory = item->index % UNARY_FORMS != UNARY_R;

    if (kind >= MUL)
        return translate_multiply(trace, item);
    return memory ? emit_unary_memory(trace, item, kind, size) : emit_unary_register(trace, item, kind, size);
}
