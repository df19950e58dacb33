/*
 * Jumps, calls, returns; how a trace is left, and how the way out is linked to the next one.
 *
 * An exit is a jump to the code behind it, which leaves with the site's number. When the run loop has found where it
 * leads, translation.c bends the jump there. Where the flags have to be written down there is a place for a jump before
 * that too: for a translation that overwrites the flags before it looks at them.
 *
 * A target in a register or on the stack is looked up in cpu->jumps, by RIP and mode. It leads to the part of a
 * translation that makes sure that its page is mapped where it was.
 */
#include "cpu/soft/translator.h"

const uint8_t exit_nothing[5] = {0x0f, 0x1f, 0x44, 0x00, 0x00}; /* NOP of five bytes */

static bool needs_store(const struct recipe *recipe)
{
    return recipe->kind >= TRANSLATED_COMPARE || (recipe->kind == RECIPE_IN_CPU && recipe->overrides);
}

void exit_emit(struct trace *trace, uint64_t rip, const struct recipe *recipe, int32_t instructions)
{
    struct emitter *e = &trace->e;
    uint32_t number = site_make(trace, SITE_LINK, NULL);
    struct site *site = &trace->translator->sites[number];

    site->rip = rip;
    site->same_page = ((rip ^ trace->parts[0].rip) & PAGE_MASK) == 0;
    site->physical = (trace->parts[0].block->physical & PAGE_MASK) | (rip & ~PAGE_MASK);
    if (instructions)
        emit_binary_memory_constant(e, 8, HOST_SUB, CPU_PLACE(instructions), instructions);
    if (needs_store(recipe)) {
        site->early = e->at;
        for (unsigned i = 0; i < sizeof(exit_nothing); i++)
            emit_byte(e, exit_nothing[i]);
        recipe_store(trace, recipe);
    }
    site->jump = emit_jump(e);
    emit_patch(site->jump, e->at);
    emit_constant(e, SCRATCH, number);
    emit_jump_to(e, trace->translator->leave);
}

/* ---- direct ---- */

uint64_t branch_target_of(const struct trace *trace, const struct item *item, unsigned size)
{
    const struct op *op = item->op;
    uint64_t target = trace->parts[item->part].rip + (int64_t)(int32_t)op->immediate;

    return size == 8 ? target + op->displacement : (uint32_t)target;
}

static void side_exit(struct trace *trace, uint8_t *jump, uint64_t rip)
{
    struct detour *detour = detour_make(trace, DETOUR_EXIT, jump, 0);

    detour->rip = rip;
    detour->retired = trace->at + 1;
}

bool translate_jump_condition(struct trace *trace, const struct item *item)
{
    unsigned condition = item->index / SIZES / KNOWNS;
    uint64_t taken = branch_target_of(trace, item, word_size(trace)), behind = item_next(trace, item);
    bool follow = trace->parts[item->part].next == taken;

    recipe_to_host(trace, condition);
    side_exit(trace, emit_jump_if(&trace->e, follow ? condition ^ 1 : condition), follow ? behind : taken);
    return true;
}

bool translate_jump_near(struct trace *trace, const struct item *item)
{
    (void)trace, (void)item; /* the trace goes on there */
    return true;
}

bool translate_call_near(struct trace *trace, const struct item *item)
{
    push_constant(trace, item, item_next(trace, item));
    return true;
}

/* ---- indirect ---- */

/*
 * Finds the entry of cpu->jumps for the RIP in ADDRESS: SCRATCH is its offset there. Without one the interpreter's
 * handler does the jump. The flags are written down by now.
 */
static struct place jump_find(struct trace *trace, const struct item *item)
{
    enum { ENTRY_SHIFT = 5, SHR = 5, IMUL_CONSTANT = 0x69, SHIFT = 32 - JUMPS_BITS - ENTRY_SHIFT };
    struct emitter *e = &trace->e;
    struct place entry = {REG_CPU, SCRATCH, 0, offsetof(struct cpu, jumps)};
    uint32_t site = site_make(trace, SITE_BAIL, item);

    _Static_assert(sizeof(struct jump) == 1 << ENTRY_SHIFT, "the entry's number is scaled by a shift");
    recipe_store(trace, &trace->recipe);
    trace->recipe = (struct recipe){.kind = RECIPE_IN_CPU};
    emit_registers(e, 4, IMUL_CONSTANT, SCRATCH, ADDRESS);
    emit_32(e, JUMP_FACTOR);
    emit_group(e, 4, 0xc1, SHR, SCRATCH);
    emit_byte(e, SHIFT);
    emit_binary_constant(e, 4, HOST_AND, SCRATCH, (JUMPS - 1) << ENTRY_SHIFT);
    emit_binary_from(e, 8, HOST_CMP, ADDRESS, entry);
    detour_make(trace, DETOUR_LEAVE, emit_jump_if(e, IF_NOT_ZERO), site);
    entry.displacement = offsetof(struct cpu, jumps) + offsetof(struct jump, mode);
    emit_binary_memory_constant(e, 4, HOST_CMP, entry, trace->mode);
    detour_make(trace, DETOUR_LEAVE, emit_jump_if(e, IF_NOT_ZERO), site);
    entry.displacement = offsetof(struct cpu, jumps) + offsetof(struct jump, code);
    return entry;
}

static void jump_to(struct trace *trace, struct place place)
{
    enum { JUMP = 4 };

    emit_group_memory(&trace->e, 4, OPCODE_GROUP_5, JUMP, place);
    trace->ended = true;
}

/* index: size, form */
bool translate_return_near(struct trace *trace, const struct item *item)
{
    struct place entry;

    stack_top(trace, item);
    emit_move(&trace->e, 8, ADDRESS, SCRATCH);
    entry = jump_find(trace, item);
    stack_move(trace, word_size(trace));
    jump_to(trace, entry);
    return true;
}

/* The target, out of a register or memory, into ADDRESS. */
static bool target_load(struct trace *trace, const struct item *item, bool memory)
{
    unsigned size = word_size(trace);

    if (memory && !memory_possible(item->op))
        return false;
    if (memory) {
        memory_operand(trace, item, size, false);
        emit_load(&trace->e, size, ADDRESS, place_at(ADDRESS, 0));
    } else {
        emit_move(&trace->e, size, ADDRESS, register_load(trace, size, item->op->base, ADDRESS));
    }
    return true;
}

static bool jump_indirect(struct trace *trace, const struct item *item, bool memory)
{
    if (!target_load(trace, item, memory))
        return false;
    jump_to(trace, jump_find(trace, item));
    return true;
}

/* The stack is written last, for the operand may lie there. */
static bool call_indirect(struct trace *trace, const struct item *item, bool memory)
{
    if (!target_load(trace, item, memory))
        return false;
    emit_load(&trace->e, 8, ADDRESS, jump_find(trace, item));
    emit_store(&trace->e, 8, CPU_PLACE(scratch), ADDRESS);
    push_constant(trace, item, item_next(trace, item));
    jump_to(trace, CPU_PLACE(scratch));
    return true;
}

bool translate_jump_register(struct trace *trace, const struct item *item)
{
    return jump_indirect(trace, item, false);
}

bool translate_jump_memory(struct trace *trace, const struct item *item)
{
    return jump_indirect(trace, item, true);
}

bool translate_call_register(struct trace *trace, const struct item *item)
{
    return call_indirect(trace, item, false);
}

bool translate_call_memory(struct trace *trace, const struct item *item)
{
    return call_indirect(trace, item, true);
}
