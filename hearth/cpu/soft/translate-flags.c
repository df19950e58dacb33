/*
 * Where the guest's arithmetic flags are while translated code runs: struct recipe of translator.h, and what becomes of
 * it when code leaves.
 */
#include "cpu/soft/translator.h"

/* ---- back to the form of flags.h ---- */

static void settle_compared(struct cpu *cpu, uint64_t kind, unsigned size)
{
    struct lazy_flags *lazy = &cpu->lazy;
    int64_t left = sign_extend(lazy->left, size), right = sign_extend(lazy->right, size);
    int64_t result = sign_extend(lazy->result, size);
    bool adds = kind == TRANSLATED_ADD || kind == TRANSLATED_ADC || kind == TRANSLATED_INC;

    switch (kind) {
    case TRANSLATED_COMPARE: result = sign_extend((uint64_t)left - right, size); break;
    case TRANSLATED_SUB: left = sign_extend((uint64_t)result + right, size); break;
    case TRANSLATED_ADD: left = sign_extend((uint64_t)result - right, size); break;
    case TRANSLATED_NEG:
        left = 0;
        right = sign_extend(-(uint64_t)result, size);
        break;
    case TRANSLATED_INC:
    case TRANSLATED_DEC:
        right = 1;
        left = sign_extend((uint64_t)result + (kind == TRANSLATED_DEC) - (kind == TRANSLATED_INC), size);
        flags_defer(cpu, kind == TRANSLATED_INC ? FLAGS_INC : FLAGS_DEC, result, left, right);
        return;
    default: break;
    }
    flags_defer(cpu, adds ? FLAGS_ADD : FLAGS_SUB, result, left, right);
}

static void settle_overrides(struct cpu *cpu, uint64_t overrides)
{
    uint32_t which =
        (overrides & OVERRIDE_CARRY ? FLAG_CF : 0) | (overrides & OVERRIDE_OVERFLOW ? FLAG_OF : 0);
    uint32_t bits = (cpu->carry ? FLAG_CF : 0) | (cpu->overflow ? FLAG_OF : 0);

    bool steps = cpu->lazy.kind == FLAGS_INC || cpu->lazy.kind == FLAGS_DEC;

    /* With these kinds the flags concerned stand in rflags anyway. */
    if (cpu->lazy.kind != FLAGS_RESULT && !(steps && which == FLAG_CF))
        flags_change(cpu, 0, 0);
    cpu->rflags = (cpu->rflags & ~(uint64_t)which) | (bits & which);
}

void flags_settle(struct cpu *cpu)
{
    uint64_t kind = cpu->lazy.kind & TRANSLATED_KIND, overrides = cpu->lazy.kind & ~(uint64_t)TRANSLATED_MASK;
    unsigned size = cpu->lazy.kind >> TRANSLATED_SIZE_SHIFT & 15;

    if (likely(cpu->lazy.kind <= FLAGS_RESULT))
        return;
    cpu->lazy.kind = kind;
    if (kind == TRANSLATED_LOGIC)
        flags_defer_logic(cpu, sign_extend(cpu->lazy.result, size));
    else if (kind == TRANSLATED_RESULT)
        flags_defer_result(cpu, 0, sign_extend(cpu->lazy.result, size));
    else if (kind > FLAGS_RESULT)
        settle_compared(cpu, kind, size);
    if (overrides)
        settle_overrides(cpu, overrides);
}

uint64_t translated_flags(struct cpu *cpu)
{
    flags_settle(cpu);
    return (flags_get(cpu) & FLAGS_ARITHMETIC) | FLAG_1;
}

void translated_carry(struct cpu *cpu)
{
    flags_settle(cpu);
    cpu->carry = flag_carry(cpu);
}

/* ---- while translating ---- */

static struct place slot_of(const struct recipe *recipe, const struct value *value)
{
    return value == &recipe->left    ? CPU_PLACE(lazy.left)
           : value == &recipe->right ? CPU_PLACE(lazy.right)
                                     : CPU_PLACE(lazy.result);
}

/* Into its slot; touches neither flags nor scratch registers. */
static void value_store(struct trace *trace, const struct recipe *recipe, const struct value *value)
{
    struct emitter *e = &trace->e;
    struct place slot = slot_of(recipe, value);

    if (value->where == VALUE_CONSTANT) {
        emit_store_constant(e, 8, slot, value->constant);
    } else if (value->where == VALUE_REGISTER && host_of(value->gpr) != HOST_NONE) {
        emit_store(e, 8, slot, host_of(value->gpr));
    } else if (value->where == VALUE_REGISTER) {
        emit_group_memory(e, 4, 0xff, 6, gpr_place(value->gpr)); /* push */
        emit_group_memory(e, 4, 0x8f, 0, slot);                  /* pop */
    }
}

static bool recipe_is_operation(const struct recipe *recipe)
{
    return recipe->kind >= TRANSLATED_COMPARE;
}

void recipe_forget(struct trace *trace)
{
    trace->recipe.host = HOST_FLAGS_NONE;
}

static void value_before_write(struct trace *trace, struct value *value, unsigned gpr)
{
    if (value->where != VALUE_REGISTER || value->gpr != gpr)
        return;
    value_store(trace, &trace->recipe, value);
    value->where = VALUE_SLOT;
}

void recipe_before_write(struct trace *trace, unsigned gpr)
{
    struct recipe *recipe = &trace->recipe;

    if (!recipe_is_operation(recipe) || !trace->items[trace->at].live)
        return;
    value_before_write(trace, &recipe->left, gpr);
    value_before_write(trace, &recipe->right, gpr);
    value_before_write(trace, &recipe->result, gpr);
}

void recipe_store(struct trace *trace, const struct recipe *recipe)
{
    struct emitter *e = &trace->e;

    if (recipe->kind == RECIPE_DEAD)
        return;
    if (recipe->kind == RECIPE_IN_CPU) {
        if (recipe->overrides)
            emit_binary_memory_constant(e, 4, HOST_OR, CPU_PLACE(lazy.kind), recipe->overrides);
        return;
    }
    value_store(trace, recipe, &recipe->left);
    value_store(trace, recipe, &recipe->right);
    value_store(trace, recipe, &recipe->result);
    emit_store_constant(e, 8, CPU_PLACE(lazy.kind),
                        recipe->kind | recipe->size << TRANSLATED_SIZE_SHIFT | recipe->overrides);
}

void recipe_set(struct trace *trace, enum flags_translated kind, unsigned size)
{
    trace->recipe = (struct recipe){.kind = kind, .size = size, .host = HOST_FLAGS_ALL};
    if (!trace->items[trace->at].live)
        trace->recipe = (struct recipe){.kind = RECIPE_DEAD};
}

void recipe_override(struct trace *trace, unsigned overrides)
{
    struct recipe *recipe = &trace->recipe;

    if (!trace->items[trace->at].live)
        return;
    emit_set_condition_in(&trace->e, IF_CARRY, CPU_PLACE(carry));
    if (overrides & OVERRIDE_OVERFLOW)
        emit_set_condition_in(&trace->e, IF_OVERFLOW, CPU_PLACE(overflow));
    recipe->overrides |= overrides;
    recipe->host = HOST_FLAGS_CARRY;
}

/* ---- into the host's EFLAGS ---- */

static void value_load(struct trace *trace, const struct value *value, unsigned to)
{
    const struct recipe *recipe = &trace->recipe;

    if (value->where == VALUE_CONSTANT)
        emit_constant(&trace->e, to, (int64_t)value->constant);
    else if (value->where == VALUE_SLOT)
        emit_load(&trace->e, 8, to, slot_of(recipe, value));
    else if (host_of(value->gpr) != HOST_NONE)
        emit_move(&trace->e, 8, to, host_of(value->gpr));
    else
        emit_load(&trace->e, 8, to, gpr_place(value->gpr));
}

/* reg kind= value */
static void value_combine(struct trace *trace, enum host_binary kind, unsigned size, unsigned reg,
                          const struct value *value)
{
    struct emitter *e = &trace->e;

    if (value->where == VALUE_CONSTANT)
        emit_binary_constant(e, size, kind, reg, value->constant);
    else if (value->where == VALUE_SLOT)
        emit_binary_from(e, size, kind, reg, slot_of(&trace->recipe, value));
    else if (host_of(value->gpr) != HOST_NONE)
        emit_binary(e, size, kind, reg, host_of(value->gpr));
    else
        emit_binary_from(e, size, kind, reg, gpr_place(value->gpr));
}

/* enum host_flags that a condition looks at. */
static unsigned looks_at(unsigned condition)
{
    return condition >> 1 == IF_CARRY >> 1   ? HOST_FLAGS_CARRY
           : condition >> 1 == IF_ABOVE >> 1 ? HOST_FLAGS_ALL
                                             : HOST_FLAGS_OTHERS;
}

/* ZF, SF and PF are all that these look at. */
static bool looks_at_result(unsigned condition)
{
    return condition >> 1 == IF_ZERO >> 1 || condition >> 1 == IF_SIGN >> 1 ||
           condition >> 1 == IF_PARITY >> 1;
}

static void result_test(struct trace *trace)
{
    const struct recipe *recipe = &trace->recipe;
    unsigned reg = SCRATCH;

    if (recipe->result.where == VALUE_REGISTER && host_of(recipe->result.gpr) != HOST_NONE)
        reg = host_of(recipe->result.gpr);
    else
        value_load(trace, &recipe->result, SCRATCH);
    emit_registers(&trace->e, recipe->size, sized(recipe->size, OPCODE_TEST), reg, reg);
}

/* By way of C: any kind of flags. */
static void flags_fetch(struct trace *trace)
{
    recipe_store(trace, &trace->recipe);
    emit_call_to(&trace->e, trace->translator->flags);
    trace->recipe = (struct recipe){.kind = RECIPE_IN_CPU};
}

static void operation_repeat(struct trace *trace)
{
    const struct recipe *recipe = &trace->recipe;
    unsigned size = recipe->size;

    switch (recipe->kind) {
    case TRANSLATED_COMPARE:
        if (recipe->left.where == VALUE_REGISTER && host_of(recipe->left.gpr) != HOST_NONE) {
            value_combine(trace, HOST_CMP, size, host_of(recipe->left.gpr), &recipe->right);
            break;
        }
        value_load(trace, &recipe->left, SCRATCH);
        value_combine(trace, HOST_CMP, size, SCRATCH, &recipe->right);
        break;
    case TRANSLATED_SUB:
        value_load(trace, &recipe->result, SCRATCH);
        value_combine(trace, HOST_ADD, size, SCRATCH, &recipe->right);
        value_combine(trace, HOST_SUB, size, SCRATCH, &recipe->right);
        break;
    case TRANSLATED_ADD:
        value_load(trace, &recipe->result, SCRATCH);
        value_combine(trace, HOST_SUB, size, SCRATCH, &recipe->right);
        value_combine(trace, HOST_ADD, size, SCRATCH, &recipe->right);
        break;
    case TRANSLATED_LOGIC: result_test(trace); break;
    default: flags_fetch(trace); break;
    }
}

/* CF alone, out of cpu->carry. */
static void carry_fetch(struct trace *trace)
{
    enum { BT = 4 };

    emit_group_memory(&trace->e, 4, MAP_0F(0xba), BT, CPU_PLACE(carry));
    emit_byte(&trace->e, 0);
    trace->recipe.host = HOST_FLAGS_CARRY;
}

void recipe_to_host(struct trace *trace, unsigned condition)
{
    struct recipe *recipe = &trace->recipe;

    if (!(looks_at(condition) & ~recipe->host))
        return;
    if (looks_at(condition) == HOST_FLAGS_CARRY && (recipe->overrides & OVERRIDE_CARRY)) {
        carry_fetch(trace);
        return;
    }
    if (recipe_is_operation(recipe) && looks_at_result(condition) && recipe->result.where != VALUE_NONE) {
        result_test(trace); /* the others are not there */
        recipe->host = HOST_FLAGS_NONE;
        return;
    }
    if (recipe_is_operation(recipe) && !recipe->overrides)
        operation_repeat(trace);
    else
        flags_fetch(trace);
    trace->recipe.host = HOST_FLAGS_ALL;
}

static void carry_keep(struct trace *trace)
{
    emit_set_condition_in(&trace->e, IF_CARRY, CPU_PLACE(carry));
}

void recipe_carry_ready(struct trace *trace)
{
    struct recipe *recipe = &trace->recipe;
    struct emitter *e = &trace->e;
    uint8_t *jump;

    if (!trace->items[trace->at].live || (recipe->overrides & OVERRIDE_CARRY))
        return;
    if (recipe->host & HOST_FLAGS_CARRY) {
        carry_keep(trace);
    } else if (recipe->kind == TRANSLATED_LOGIC) {
        emit_store_constant(e, 1, CPU_PLACE(carry), 0);
    } else if (recipe->kind == RECIPE_IN_CPU) {
        /* Mostly it is there already, by the INC or DEC of the round before. */
        emit_group_memory(e, 1, 0xf6, 0, place_at(REG_CPU, offsetof(struct cpu, lazy.kind) + 1)); /* test */
        emit_byte(e, OVERRIDE_CARRY >> 8);
        jump = emit_jump_if(e, IF_ZERO);
        detour_make(trace, DETOUR_CARRY, jump, 0)->back = e->at;
    } else {
        recipe_to_host(trace, IF_CARRY);
        carry_keep(trace);
    }
}
