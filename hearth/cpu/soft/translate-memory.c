/*
 * Operands in memory: the address, the look into the TLB (as tlb_hit() of access.h), and the stack.
 *
 * What is not found there goes to a detour, which asks translated_access(). It either answers where the bytes are and the
 * code goes on as if nothing had been, or does not come back.
 */
#include "cpu/soft/translator.h"

/* ---- the linear address, without touching EFLAGS ---- */

static int64_t constant_address(const struct trace *trace, const struct op *op)
{
    int64_t sum = op->displacement;

    if (op->base == offsetof(struct cpu, rip))
        sum += trace->parts[trace->items[trace->at].part].rip;
    if (op->index == offsetof(struct cpu, gigabyte))
        sum += (int64_t)1 << 30;
    return sum & op->mask;
}

static bool is_register(unsigned offset)
{
    return offset < offsetof(struct cpu, zero);
}

static void address_sum(struct trace *trace, const struct op *op, unsigned to)
{
    struct emitter *e = &trace->e;
    unsigned size = op->mask == UINT64_MAX ? 8 : 4;
    struct place place = {HOST_NONE, HOST_NONE, op->scale, op->displacement};

    if (is_register(op->base))
        place.base = register_load(trace, 8, op->base, ADDRESS);
    if (is_register(op->index))
        place.index = register_load(trace, 8, op->index, SCRATCH);
    if (place.base != HOST_NONE) {
        emit_address(e, size, to, place);
        return;
    }
    /* Without a base it would take an absolute form: scale in steps. */
    emit_move(e, size, to, place.index);
    for (unsigned i = 0; i < op->scale; i++)
        emit_address(e, size, to, (struct place){to, to, 0, 0});
    if (op->displacement)
        emit_address(e, size, to, place_at(to, op->displacement));
}

void memory_address(struct trace *trace, const struct op *op, unsigned to)
{
    struct emitter *e = &trace->e;

    if (!is_register(op->base) && !is_register(op->index))
        emit_constant(e, to, constant_address(trace, op));
    else if (is_register(op->base) && !is_register(op->index) && !op->displacement)
        emit_move(e, op->mask == UINT64_MAX ? 8 : 4, to, register_load(trace, 8, op->base, ADDRESS));
    else
        address_sum(trace, op, to);
}

/* ---- the TLB ---- */

static int32_t tlb_offset(const struct trace *trace, size_t field)
{
    return offsetof(struct cpu, tlbs) + (trace->mode & MODE_USER ? sizeof(((struct cpu *)0)->tlbs[0]) : 0) +
           field;
}

static struct place entry_tag(const struct trace *trace, bool write)
{
    size_t tag = write ? offsetof(struct tlb_entry, write_tag) : offsetof(struct tlb_entry, read_tag);

    return (struct place){REG_CPU, SCRATCH, 0, tlb_offset(trace, tag)};
}

void memory_again(struct trace *trace, bool write)
{
    emit_binary_from(&trace->e, 8, HOST_XOR, ADDRESS, entry_tag(trace, write));
}

static void slot_find(struct trace *trace)
{
    enum { ENTRY_SHIFT = 5, SHIFT = PAGE_SHIFT - ENTRY_SHIFT, SHR = 5 };
    struct emitter *e = &trace->e;

    _Static_assert(sizeof(struct tlb_entry) == 1 << ENTRY_SHIFT, "the slot's number is scaled by a shift");
    emit_move(e, 8, SCRATCH, ADDRESS);
    emit_group(e, 8, 0xc1, SHR, SCRATCH);
    emit_byte(e, SHIFT);
    emit_binary_constant(e, 4, HOST_AND, SCRATCH, (TLB_SIZE - 1) << ENTRY_SHIFT);
}

void memory_find(struct trace *trace, const struct item *item, unsigned size, bool write)
{
    struct emitter *e = &trace->e;
    struct place entry = entry_tag(trace, write);
    uint32_t number = site_make(trace, SITE_ACCESS, item);
    uint8_t *jump;

    recipe_forget(trace);
    slot_find(trace);
    emit_binary_from(e, 8, HOST_XOR, ADDRESS, entry);
    emit_binary_constant(e, 8, HOST_CMP, ADDRESS, PAGE_SIZE - size);
    jump = emit_jump_if(e, IF_ABOVE);
    trace->translator->sites[number].size = size;
    trace->translator->sites[number].write = write;
    entry.displacement = tlb_offset(trace, offsetof(struct tlb_entry, host));
    emit_binary_from(e, 8, HOST_ADD, ADDRESS, entry);
    detour_make(trace, DETOUR_ACCESS, jump, number)->back = e->at;
}

/* ---- segments ---- */

bool memory_possible(const struct op *op)
{
    return op->mask != UINT16_MAX || (!is_register(op->base) && !is_register(op->index));
}

/* A translation is of flat code; but FS and GS have a base, and in 32-bit code these two and CS have limits. */
static bool is_flat(const struct trace *trace, enum segment_name name)
{
    return name < SEG_FS && (code64(trace) || name != SEG_CS);
}

/* Limits are looked at by the window, as in access.h. */
static void segment_add(struct trace *trace, const struct item *item, unsigned size, bool write)
{
    struct emitter *e = &trace->e;
    int32_t window = offsetof(struct cpu, window) + item->op->segment * sizeof(struct segment_window);
    size_t end =
        write ? offsetof(struct segment_window, write_end) : offsetof(struct segment_window, read_end);

    if (!code64(trace)) {
        emit_address(e, 8, SCRATCH, place_at(ADDRESS, size));
        recipe_forget(trace);
        emit_binary_from(e, 8, HOST_CMP, SCRATCH, place_at(REG_CPU, window + end));
        detour_make(trace, DETOUR_LEAVE, emit_jump_if(e, IF_ABOVE), site_make(trace, SITE_BAIL, item));
    }
    emit_load(e, 8, SCRATCH, place_at(REG_CPU, window + offsetof(struct segment_window, base)));
    emit_address(e, code64(trace) ? 8 : 4, ADDRESS, (struct place){ADDRESS, SCRATCH, 0, 0});
}

void memory_operand(struct trace *trace, const struct item *item, unsigned size, bool write)
{
    memory_address(trace, item->op, ADDRESS);
    if (!is_flat(trace, item->op->segment))
        segment_add(trace, item, size, write);
    memory_find(trace, item, size, write);
}

void memory_in_line(struct trace *trace, const struct item *item, unsigned size)
{
    enum { LINE = 64 };
    struct emitter *e = &trace->e;

    if (size == 1)
        return;
    recipe_forget(trace);
    emit_move(e, 4, SCRATCH, ADDRESS);
    emit_binary_constant(e, 4, HOST_AND, SCRATCH, LINE - 1);
    emit_binary_constant(e, 4, HOST_CMP, SCRATCH, LINE - size);
    detour_make(trace, DETOUR_LEAVE, emit_jump_if(e, IF_ABOVE), site_make(trace, SITE_BAIL, item));
}

/* ---- the stack, flat ---- */

static unsigned stack_register(void)
{
    return host_of(RSP);
}

void stack_move(struct trace *trace, int32_t bytes)
{
    recipe_before_write(trace, RSP);
    emit_address(&trace->e, word_size(trace), stack_register(), place_at(stack_register(), bytes));
}

static void push_begin(struct trace *trace, const struct item *item)
{
    unsigned size = word_size(trace);

    emit_address(&trace->e, size, ADDRESS, place_at(stack_register(), -(int32_t)size));
    memory_find(trace, item, size, true);
}

/* Elements of other sizes than the mode's are rare: index 0 is 16 bits, 1 and 2 are 32 and 64. */
static bool usual_size(const struct trace *trace, unsigned size_index)
{
    return size_index == (code64(trace) ? 2 : 1);
}

bool translate_push(struct trace *trace, const struct item *item)
{
    unsigned size = word_size(trace);

    if (!usual_size(trace, item->index / STACK_FORMS))
        return false;
    push_begin(trace, item);
    emit_store(&trace->e, size, place_at(ADDRESS, 0), register_load(trace, size, item->op->base, SCRATCH));
    stack_move(trace, -(int32_t)size);
    return true;
}

/* `value` onto the stack; SCRATCH is clobbered. */
void push_constant(struct trace *trace, const struct item *item, uint64_t value)
{
    unsigned size = word_size(trace);

    push_begin(trace, item);
    if (size == 4 || (int64_t)value == (int32_t)value) {
        emit_store_constant(&trace->e, size, place_at(ADDRESS, 0), value);
    } else {
        emit_constant(&trace->e, SCRATCH, value);
        emit_store(&trace->e, size, place_at(ADDRESS, 0), SCRATCH);
    }
    stack_move(trace, -(int32_t)size);
}

bool translate_push_immediate(struct trace *trace, const struct item *item)
{
    if (!usual_size(trace, item->index / STACK_FORMS))
        return false;
    push_constant(trace, item, (int64_t)(int32_t)item->op->immediate);
    return true;
}

/* The top of the stack into SCRATCH. */
void stack_top(struct trace *trace, const struct item *item)
{
    unsigned size = word_size(trace);

    emit_move(&trace->e, size, ADDRESS, stack_register());
    memory_find(trace, item, size, false);
    emit_load(&trace->e, size, SCRATCH, place_at(ADDRESS, 0));
}

/* reg = SCRATCH, all 64 bits. */
void register_set(struct trace *trace, unsigned gpr)
{
    recipe_before_write(trace, gpr);
    if (host_of(gpr) == HOST_NONE)
        emit_store(&trace->e, 8, gpr_place(gpr), SCRATCH);
    else
        emit_move(&trace->e, 8, host_of(gpr), SCRATCH);
}

bool translate_pop(struct trace *trace, const struct item *item)
{
    if (!usual_size(trace, item->index / STACK_FORMS))
        return false;
    stack_top(trace, item);
    stack_move(trace, word_size(trace));
    register_set(trace, gpr_of(item->op->base));
    return true;
}

bool translate_leave(struct trace *trace, const struct item *item)
{
    unsigned size = word_size(trace), frame = host_of(RBP);

    if (!usual_size(trace, item->index))
        return false;
    emit_move(&trace->e, size, ADDRESS, frame);
    memory_find(trace, item, size, false);
    emit_load(&trace->e, size, SCRATCH, place_at(ADDRESS, 0));
    recipe_before_write(trace, RSP);
    emit_address(&trace->e, size, stack_register(), place_at(frame, size));
    register_set(trace, RBP);
    return true;
}
