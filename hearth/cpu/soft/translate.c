/*
 * Translating a block that has become hot: the trace that begins with it, which flags are wanted where, then the code.
 *
 * The trace follows a block's end to where it mostly went so far, as long as that is in the same page and has been
 * decoded. A loop back to the beginning ends it, or goes round a few times where it is short.
 */
#include "cpu/soft/dispatch.h"
#include "cpu/soft/translator.h"

/* ---- the trace ---- */

uint64_t item_rip(const struct trace *trace, const struct item *item)
{
    uint64_t rip = trace->parts[item->part].rip + item->op->offset;

    return code64(trace) ? rip : (uint32_t)rip;
}

uint64_t item_next(const struct trace *trace, const struct item *item)
{
    uint64_t rip = item_rip(trace, item) + item->op->length;

    return code64(trace) ? rip : (uint32_t)rip;
}

static void part_add(struct trace *trace, struct block *block, uint64_t rip)
{
    struct part *part = &trace->parts[trace->parts_count];

    *part = (struct part){.block = block, .rip = rip, .first = trace->count};
    for (unsigned i = 0; i < block->count; i++) {
        struct item *item = &trace->items[trace->count++];
        op_function *handler = i == 0 ? block->first : block->ops[i].run;

        *item =
            (struct item){.op = &block->ops[i], .part = trace->parts_count, .last = i + 1 == block->count};
        item->family = family_of(trace->translator->families, handler, &item->index);
        if (item->family && item->family->flow != FLOW_NONE && flow_size(item) != word_size(trace))
            item->family = NULL;
    }
    trace->parts_count++;
}

static struct block *successor(const struct trace *trace, uint64_t rip)
{
    const struct part *head = &trace->parts[0];

    if ((rip ^ head->rip) & PAGE_MASK)
        return NULL;
    return code_at(trace->cpu, (head->block->physical & PAGE_MASK) | (rip & ~PAGE_MASK), trace->mode);
}

/* Where the last part mostly went; NULL if that is nowhere that can be followed. Sets part->next in any case. */
static struct block *part_continue(struct trace *trace)
{
    struct part *part = &trace->parts[trace->parts_count - 1];
    const struct item *last = &trace->items[trace->count - 1];
    uint64_t behind = item_next(trace, last), taken;
    struct block *fall, *jump;

    part->next = behind;
    if (!last->family || last->family->flow == FLOW_INDIRECT)
        return NULL;
    if (last->family->flow == FLOW_NONE)
        return successor(trace, behind);
    taken = branch_target_of(trace, last, word_size(trace));
    if (last->family->flow != FLOW_CONDITION) {
        part->next = taken;
        return successor(trace, taken);
    }
    fall = successor(trace, behind);
    jump = successor(trace, taken);
    if (jump && (!fall || jump->runs > fall->runs)) {
        part->next = taken;
        return jump;
    }
    return fall;
}

static void trace_choose(struct trace *trace, struct block *block, uint64_t rip)
{
    enum { RARE = 8 };
    struct block *next = block;

    part_add(trace, block, rip);
    while ((next = part_continue(trace)) != NULL) {
        const struct part *last = &trace->parts[trace->parts_count - 1];
        bool loop = last->next == rip;

        if (trace->parts_count == TRACE_PARTS || trace->count + next->count > TRACE_OPERATIONS ||
            (loop && trace->count >= TRACE_LOOP) || next->runs < trace->translator->after / RARE ||
            next->crosses)
            break;
        part_add(trace, next, last->next);
    }
}

/* What the interpreter does with an operation of which nothing is known. */
static struct effect effect_of(const struct item *item)
{
    return item->family ? item->family->effect(item) : (struct effect){true, false, true};
}

static void trace_liveness(struct trace *trace)
{
    uint8_t live = LIVE_EXIT;

    for (unsigned i = trace->count; i-- > 0;) {
        struct effect effect = effect_of(&trace->items[i]);

        trace->items[i].live = live;
        live = (effect.writes ? 0 : live) | (effect.reads ? LIVE_READ : 0) | (effect.leaves ? LIVE_EXIT : 0);
    }
    trace->live_in = live;
}

/* ---- sites and detours ---- */

uint32_t site_make(struct trace *trace, enum site_kind kind, const struct item *item)
{
    uint32_t number = trace->translator->sites_used++;
    struct site *site = &trace->translator->sites[number];

    *site = (struct site){.kind = kind};
    if (item) {
        const struct part *part = &trace->parts[item->part];

        site->rip = part->rip;
        site->block = part->block;
        site->op = item->op;
        site->instructions = part->first + part->block->count - trace->count;
    }
    return number;
}

struct detour *detour_make(struct trace *trace, enum detour_kind kind, uint8_t *jump, uint32_t site)
{
    struct detour *detour = &trace->detours[trace->detours_count++];

    *detour = (struct detour){.kind = kind, .jump = jump, .site = site, .recipe = trace->recipe};
    return detour;
}

static void detour_call(struct trace *trace, const struct detour *detour, const uint8_t *what)
{
    emit_constant(&trace->e, SCRATCH, detour->site);
    emit_call_to(&trace->e, what);
    emit_jump_to(&trace->e, detour->back);
}

/* The address again, which the miss has left as its difference to the tag. */
static void detour_access(struct trace *trace, const struct detour *detour)
{
    memory_again(trace, trace->translator->sites[detour->site].write);
    recipe_store(trace, &detour->recipe);
    detour_call(trace, detour, trace->translator->access);
}

static void detour_emit(struct trace *trace, const struct detour *detour)
{
    emit_patch(detour->jump, trace->e.at);
    switch (detour->kind) {
    case DETOUR_LEAVE:
        recipe_store(trace, &detour->recipe);
        emit_constant(&trace->e, SCRATCH, detour->site);
        emit_jump_to(&trace->e, trace->translator->leave);
        break;
    case DETOUR_EXIT: exit_emit(trace, detour->rip, &detour->recipe, trace->count - detour->retired); break;
    case DETOUR_ACCESS: detour_access(trace, detour); break;
    default:
        recipe_store(trace, &detour->recipe);
        detour_call(trace, detour, trace->translator->carry);
        break;
    }
}

/* ---- the code ---- */

/* A link from another page, or a jump through a register: is this page where it was, and what it was? */
static void emit_page_check(struct trace *trace, uint32_t elsewhere)
{
    const struct part *head = &trace->parts[0];
    struct emitter *e = &trace->e;
    int user = trace->mode & MODE_USER ? 1 : 0;
    int32_t slot = offsetof(struct cpu, fetches) +
                   (fetch_slot(trace->cpu->fetches[user], head->rip) - trace->cpu->fetches[0]) *
                       sizeof(struct tlb_fetch);

    emit_constant(e, SCRATCH, head->rip & PAGE_MASK);
    emit_binary_from(e, 8, HOST_CMP, SCRATCH, place_at(REG_CPU, slot + offsetof(struct tlb_fetch, page)));
    detour_make(trace, DETOUR_LEAVE, emit_jump_if(e, IF_NOT_ZERO), elsewhere);
    emit_constant(e, SCRATCH, head->block->physical & PAGE_MASK);
    emit_binary_from(e, 8, HOST_CMP, SCRATCH, place_at(REG_CPU, slot + offsetof(struct tlb_fetch, physical)));
    detour_make(trace, DETOUR_LEAVE, emit_jump_if(e, IF_NOT_ZERO), elsewhere);
}

/*
 * The head: something to attend to? Where the flags may have been left out by the translation before, the interpreter
 * has to make new ones first.
 */
static void emit_head(struct trace *trace, struct translation *translation)
{
    struct emitter *e = &trace->e;
    uint32_t elsewhere = site_make(trace, SITE_RUN_LOOP, NULL), attend = elsewhere;

    trace->translator->sites[elsewhere].rip = trace->parts[0].rip;
    translation->flags_dead = trace->live_in == 0;
    translation->checked = e->at;
    emit_page_check(trace, elsewhere);
    translation->code = trace->head = e->at;
    if (translation->flags_dead) {
        attend = site_make(trace, SITE_BAIL, &trace->items[0]);
        trace->translator->sites[attend].instructions = trace->parts[0].block->count;
    }
    emit_binary_memory_constant(e, 4, HOST_CMP, CPU_PLACE(attention), 0);
    detour_make(trace, DETOUR_LEAVE, emit_jump_if(e, IF_NOT_ZERO), attend);
    emit_group_memory(e, 8, OPCODE_GROUP_1, HOST_ADD, CPU_PLACE(instructions));
    emit_32(e, trace->count);
}

static void emit_bail(struct trace *trace, const struct item *item)
{
    recipe_store(trace, &trace->recipe);
    emit_constant(&trace->e, SCRATCH, site_make(trace, SITE_BAIL, item));
    emit_jump_to(&trace->e, trace->translator->leave);
    trace->ended = true;
}

/* How many from this one on are the interpreter's. */
static unsigned foreign_count(const struct item *item)
{
    unsigned count = 1;

    /* The last one of a block is never called: it may go on to other blocks. */
    while (!item[count].last && !item[count].family)
        count++;
    return count;
}

/* Calls the handlers of operations, on a copy of them that ends in op_resume. */
static void emit_operations(struct trace *trace, unsigned count)
{
    const struct item *item = &trace->items[trace->at];
    struct op *copy = pool_take(&trace->translator->data, (count + 1) * sizeof(*copy));
    uint32_t site = site_make(trace, SITE_OPERATION, item);

    memcpy(copy, item->op, count * sizeof(*copy));
    if (item->op == trace->parts[item->part].block->ops)
        copy->run = trace->parts[item->part].block->first;
    copy[count] =
        (struct op){.run = op_resume, .offset = item->op[count].offset, .ordinal = item->op[count].ordinal};
    trace->translator->sites[site].op = copy;
    recipe_store(trace, &trace->recipe);
    trace->recipe = (struct recipe){.kind = RECIPE_IN_CPU};
    emit_constant(&trace->e, SCRATCH, site);
    emit_call_to(&trace->e, trace->translator->operation);
    trace->sse_ready = false;
    trace->at += count - 1;
}

static void emit_item(struct trace *trace)
{
    const struct item *item = &trace->items[trace->at];

    if (item->family && item->family->emit(trace, item))
        return;
    if (item->last)
        emit_bail(trace, item);
    else
        emit_operations(trace, item->family ? 1 : foreign_count(item));
}

static void emit_end(struct trace *trace)
{
    uint64_t next = trace->parts[trace->parts_count - 1].next;

    if (trace->ended)
        return;
    if (next != trace->parts[0].rip) {
        exit_emit(trace, next, &trace->recipe, 0);
        return;
    }
    if (trace->live_in)
        recipe_store(trace, &trace->recipe);
    emit_jump_to(&trace->e, trace->head);
}

static void trace_emit(struct trace *trace, struct translation *translation)
{
    emit_head(trace, translation);
    for (trace->at = 0; trace->at < trace->count && !trace->ended; trace->at++)
        emit_item(trace);
    emit_end(trace);
    for (unsigned i = 0; i < trace->detours_count; i++)
        detour_emit(trace, &trace->detours[i]);
}

static void translation_keep(struct trace *trace, struct translation *translation)
{
    struct translator *translator = trace->translator;

    translation->rip = trace->parts[0].rip;
    translation->block = trace->parts[0].block;
    translation->next = translator->translations;
    translator->translations = translation;
    translation->next_of_block = translation->block->translations;
    translation->block->translations = translation;
    translation->block->ops[0].run = op_translated;
    for (unsigned i = 0; i < trace->parts_count; i++) {
        struct use *use = pool_take(&translator->data, sizeof(*use));

        *use = (struct use){translation, trace->parts[i].block->uses};
        trace->parts[i].block->uses = use;
    }
}

/* Where most is left to the interpreter, going there and back costs more than is won. */
static bool is_worth_it(const struct trace *trace)
{
    unsigned foreign = 0;

    for (unsigned i = 0; i < trace->count; i++)
        foreign += !trace->items[i].family;
    return foreign * 3 <= trace->count || trace->translator->after <= 1;
}

struct translation *translate(struct cpu *cpu, struct block *block, uint64_t rip)
{
    struct translator *translator = cpu->translator;
    struct trace *trace = &translator->trace;
    struct translation *translation;

    memset(trace, 0, offsetof(struct trace, parts));
    trace->cpu = cpu;
    trace->translator = translator;
    trace->mode = block->mode;
    trace_choose(trace, block, rip);
    if (!trace->items[0].family || !is_worth_it(trace))
        return NULL;
    trace_liveness(trace);
    trace->e = (struct emitter){.at = translator->code_at,
                                .end = translator->memory.written + translator->memory.size};
    translation = pool_take(&translator->data, sizeof(*translation));
    *translation = (struct translation){0};
    trace_emit(trace, translation);
    assert(!trace->e.full);
    translator->code_at = trace->e.at;
    translation_keep(trace, translation);
    return translation;
}
