/*
 * Far JMP, CALL and RET: through code segments, call gates, task gates and TSSs; what RET and IRET ask of where they return.
 *
 * In IA-32e mode call gates have 16 bytes, tasks are gone, and 64-bit code knows no limits.
 * Source: SDM volume 3A, 5.8; volume 2, the operations of JMP, CALL and RET.
 */
#include "cpu/soft/descriptor.h"

enum { GATE_PARAMETERS = 0x1f };

static uint64_t truncate(uint64_t value, unsigned size)
{
    return size == 2 ? (uint16_t)value : size == 4 ? (uint32_t)value : value;
}

void code_limit_check(struct cpu *cpu, const struct segment *code, uint64_t offset)
{
    if (in_long_mode(cpu) && (code->rights & RIGHTS_L)) {
        if (canonical(offset))
            return;
        fault_because(cpu, "the new instruction pointer 0x%016llx is not canonical",
                      (unsigned long long)offset);
        fault_error(cpu, VECTOR_GP, 0);
    }
    if (offset <= code->limit)
        return;
    fault_because(cpu, "the new instruction pointer 0x%llx is beyond the limit 0x%x of CS 0x%04x",
                  (unsigned long long)offset, code->limit, code->selector);
    fault_error(cpu, VECTOR_GP, 0);
}

void code_width_check(struct cpu *cpu, uint16_t selector, uint64_t raw, bool need64)
{
    bool wide = raw >> 40 & RIGHTS_L, big = raw >> 40 & RIGHTS_DB;

    if (!in_long_mode(cpu) || (wide ? !big : !need64))
        return;
    fault_because(cpu, "CS: %s %s", selector_words(selector).text,
                  wide ? "has both L (bit 53) and D (bit 54) set"
                       : "is no 64-bit code (bit 53, L, clear), to which gates lead in long mode");
    selector_refuse(cpu, VECTOR_GP, selector);
}

/* A code segment that JMP, CALL or a gate leads to; answers it with RPL = level. */
static void code_prepare(struct cpu *cpu, uint16_t selector, uint64_t raw, uint64_t offset, unsigned level,
                         struct segment *code)
{
    descriptor_need_present(cpu, selector, raw, VECTOR_NP);
    descriptor_to_segment(raw, (selector & ~SELECTOR_RPL) | level, code);
    code_limit_check(cpu, code, offset);
}

static void code_install(struct cpu *cpu, uint64_t raw, const struct segment *code, uint64_t offset)
{
    segment_install_raw(cpu, SEG_CS, code->selector, code->selector & SELECTOR_RPL, raw);
    cpu->rip = offset;
    cpu->op = NULL;
}

static void direct_code_check(struct cpu *cpu, uint16_t selector, uint64_t raw)
{
    unsigned level = cpl(cpu), rpl = selector & SELECTOR_RPL, dpl = raw_dpl(raw);

    code_width_check(cpu, selector, raw, false);
    if (raw_is_conforming(raw) ? dpl <= level : dpl == level && rpl <= level)
        return;
    fault_because(cpu, "CS: %s is %s of DPL %u; from CPL %u with RPL %u it %s", selector_words(selector).text,
                  raw_words(raw), dpl, level, rpl,
                  raw_is_conforming(raw) ? "may not be more than CPL"
                                         : "must be CPL, and RPL no more than that");
    selector_refuse(cpu, VECTOR_GP, selector);
}

/* What all of call gates, task gates and TSSs ask of the instruction. */
static void gate_check(struct cpu *cpu, uint16_t selector, uint64_t raw)
{
    unsigned rpl = selector & SELECTOR_RPL;

    if (raw_dpl(raw) < cpl(cpu) || raw_dpl(raw) < rpl) {
        fault_because(cpu, "%s is %s of DPL %u, out of reach for CPL %u and RPL %u",
                      selector_words(selector).text, raw_words(raw), raw_dpl(raw), cpl(cpu), rpl);
        selector_refuse(cpu, VECTOR_GP, selector);
    }
}

/* The code segment that a call gate names. More privileged is for CALL only. */
static uint64_t gate_target(struct cpu *cpu, uint16_t target, bool call)
{
    uint64_t raw = descriptor_need(cpu, target, VECTOR_GP, "the call gate's CS");
    bool conforming = raw_is_conforming(raw);

    if (!raw_is_code(raw)) {
        fault_because(cpu, "the call gate leads to %s, which is %s, not code", selector_words(target).text,
                      raw_words(raw));
        selector_refuse(cpu, VECTOR_GP, target);
    }
    if (raw_dpl(raw) > cpl(cpu) || (!call && !conforming && raw_dpl(raw) != cpl(cpu))) {
        fault_because(cpu, "the call gate leads to %s of DPL %u, which CPL %u may not %s",
                      selector_words(target).text, raw_dpl(raw), cpl(cpu), call ? "call" : "jump to");
        selector_refuse(cpu, VECTOR_GP, target);
    }
    return raw;
}

static void push_return(struct cpu *cpu, struct stack *stack, unsigned size, uint64_t next)
{
    stack_push(cpu, stack, size, cpu->segment[SEG_CS].selector);
    stack_push(cpu, stack, size, next);
}

static void call_inner(struct cpu *cpu, uint64_t gate, uint64_t raw, uint64_t next)
{
    unsigned size = raw_type(gate) & TYPE_32BIT ? 4 : 2, level = raw_dpl(raw);
    unsigned parameters = gate >> 32 & GATE_PARAMETERS;
    struct stack outer = stack_current(cpu), inner = stack_inner(cpu, level);
    struct segment code;

    code_prepare(cpu, gate_selector(gate), raw, gate_offset(gate), level, &code);
    stack_push(cpu, &inner, size, cpu->segment[SEG_SS].selector);
    stack_push(cpu, &inner, size, cpu->gpr[RSP]);
    for (unsigned i = parameters; i-- > 0;)
        stack_push(cpu, &inner, size, stack_read(cpu, &outer, i * size, size));
    push_return(cpu, &inner, size, next);
    code_install(cpu, raw, &code, gate_offset(gate));
    segment_install(cpu, SEG_SS, &inner.segment);
    cpu->gpr[RSP] = inner.pointer;
}

/* In long mode: gates of 16 bytes, and nothing is copied from the outer stack. */
static void call_inner64(struct cpu *cpu, uint16_t selector, uint64_t raw, uint64_t target, uint64_t next)
{
    unsigned level = raw_dpl(raw);
    struct stack inner = stack_inner64(level, task_stack64(cpu, level));
    struct segment code;

    code_prepare(cpu, selector, raw, target, level, &code);
    stack_push(cpu, &inner, 8, cpu->segment[SEG_SS].selector);
    stack_push(cpu, &inner, 8, cpu->gpr[RSP]);
    push_return(cpu, &inner, 8, next);
    code_install(cpu, raw, &code, target);
    segment_install(cpu, SEG_SS, &inner.segment);
    cpu->gpr[RSP] = inner.pointer;
}

static void gate_transfer64(struct cpu *cpu, uint16_t selector, uint64_t gate, bool call, uint64_t next)
{
    struct stack stack = stack_current(cpu);
    uint64_t target, raw;
    struct segment code;

    gate_check(cpu, selector, gate);
    target = descriptor_upper(cpu, selector, "the call gate") | gate_offset(gate);
    descriptor_need_present(cpu, selector, gate, VECTOR_NP);
    raw = gate_target(cpu, gate_selector(gate), call);
    code_width_check(cpu, gate_selector(gate), raw, true);
    descriptor_need_present(cpu, gate_selector(gate), raw, VECTOR_NP);
    if (call && !raw_is_conforming(raw) && raw_dpl(raw) < cpl(cpu)) {
        call_inner64(cpu, gate_selector(gate), raw, target, next);
        return;
    }
    code_prepare(cpu, gate_selector(gate), raw, target, cpl(cpu), &code);
    if (call) {
        push_return(cpu, &stack, 8, next);
        stack_commit(cpu, &stack);
    }
    code_install(cpu, raw, &code, target);
}

static void gate_transfer(struct cpu *cpu, uint16_t selector, uint64_t gate, bool call, uint64_t next)
{
    unsigned size = raw_type(gate) & TYPE_32BIT ? 4 : 2;
    struct stack stack;
    struct segment code;
    uint64_t raw;

    gate_check(cpu, selector, gate);
    descriptor_need_present(cpu, selector, gate, VECTOR_NP);
    raw = gate_target(cpu, gate_selector(gate), call);
    descriptor_need_present(cpu, gate_selector(gate), raw, VECTOR_NP);
    if (call && !raw_is_conforming(raw) && raw_dpl(raw) < cpl(cpu)) {
        call_inner(cpu, gate, raw, next);
        return;
    }
    code_prepare(cpu, gate_selector(gate), raw, gate_offset(gate), cpl(cpu), &code);
    if (call) {
        stack = stack_current(cpu);
        push_return(cpu, &stack, size, next);
        stack_commit(cpu, &stack);
    }
    code_install(cpu, raw, &code, gate_offset(gate));
}

/* Everything that is not a code segment. `next` is of use to CALL and to task switches. */
static void system_transfer(struct cpu *cpu, uint16_t selector, uint64_t raw, bool call, uint64_t next)
{
    enum task_switch_cause cause = call ? TASK_CALL : TASK_JUMP;

    if (in_long_mode(cpu) && raw_is_system(raw, TYPE_CALL_GATE32)) {
        gate_transfer64(cpu, selector, raw, call, next);
    } else if (in_long_mode(cpu)) {
        fault_because(cpu, "CS: %s is %s, which control cannot go to in long mode",
                      selector_words(selector).text, raw_words(raw));
        selector_refuse(cpu, VECTOR_GP, selector);
    } else if (raw_is_system(raw, TYPE_CALL_GATE16) || raw_is_system(raw, TYPE_CALL_GATE32)) {
        gate_transfer(cpu, selector, raw, call, next);
    } else if (raw_is_system(raw, TYPE_TASK_GATE)) {
        gate_check(cpu, selector, raw);
        descriptor_need_present(cpu, selector, raw, VECTOR_NP);
        task_switch(cpu, gate_selector(raw), task_descriptor(cpu, gate_selector(raw), VECTOR_GP), cause, next,
                    false, 0);
    } else if (raw_is_tss(raw)) {
        gate_check(cpu, selector, raw);
        task_switch(cpu, selector, task_descriptor(cpu, selector, VECTOR_GP), cause, next, false, 0);
    } else {
        fault_because(cpu, "CS: %s is %s, which control cannot go to", selector_words(selector).text,
                      raw_words(raw));
        selector_refuse(cpu, VECTOR_GP, selector);
    }
}

/* Real and v86 mode: the limit is that of the present CS, which stays. */
static void real_transfer(struct cpu *cpu, uint16_t selector, uint64_t offset)
{
    code_limit_check(cpu, &cpu->segment[SEG_CS], offset);
    segment_load_real(cpu, SEG_CS, selector);
    cpu->rip = offset;
    cpu->op = NULL;
}

void far_jump(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned size)
{
    struct segment code;
    uint64_t raw;

    offset = truncate(offset, size);
    if (!in_protected_mode(cpu)) {
        real_transfer(cpu, selector, offset);
        return;
    }
    raw = descriptor_need(cpu, selector, VECTOR_GP, "CS");
    if (!raw_is_code(raw)) {
        system_transfer(cpu, selector, raw, false, next_rip(cpu, cpu->op));
        return;
    }
    direct_code_check(cpu, selector, raw);
    code_prepare(cpu, selector, raw, offset, cpl(cpu), &code);
    code_install(cpu, raw, &code, offset);
}

void far_call(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned size, uint64_t next)
{
    struct stack stack = stack_current(cpu);
    struct segment code;
    uint64_t raw = 0;

    offset = truncate(offset, size);
    if (in_protected_mode(cpu)) {
        raw = descriptor_need(cpu, selector, VECTOR_GP, "CS");
        if (!raw_is_code(raw)) {
            system_transfer(cpu, selector, raw, true, next);
            return;
        }
        direct_code_check(cpu, selector, raw);
        code_prepare(cpu, selector, raw, offset, cpl(cpu), &code);
    } else {
        code_limit_check(cpu, &cpu->segment[SEG_CS], offset);
    }
    push_return(cpu, &stack, size, next);
    stack_commit(cpu, &stack);
    if (in_protected_mode(cpu))
        code_install(cpu, raw, &code, offset);
    else
        real_transfer(cpu, selector, offset);
}

/* The code segment that RET and IRET go back to; privilege is that of its RPL. */
uint64_t return_code_descriptor(struct cpu *cpu, uint16_t selector)
{
    uint64_t raw = descriptor_need(cpu, selector, VECTOR_GP, "the return CS");
    unsigned rpl = selector & SELECTOR_RPL, dpl = raw_dpl(raw);

    if (!raw_is_code(raw)) {
        fault_because(cpu, "the return CS: %s is %s, not code", selector_words(selector).text,
                      raw_words(raw));
        selector_refuse(cpu, VECTOR_GP, selector);
    }
    if (rpl < cpl(cpu)) {
        fault_because(cpu, "the return CS: selector 0x%x has RPL %u, an inner ring; CPL is %u", selector, rpl,
                      cpl(cpu));
        selector_refuse(cpu, VECTOR_GP, selector);
    }
    if (raw_is_conforming(raw) ? dpl > rpl : dpl != rpl) {
        fault_because(cpu, "the return CS: %s is %s of DPL %u, with RPL %u", selector_words(selector).text,
                      raw_words(raw), dpl, rpl);
        selector_refuse(cpu, VECTOR_GP, selector);
    }
    code_width_check(cpu, selector, raw, false);
    descriptor_need_present(cpu, selector, raw, VECTOR_NP);
    return raw;
}

/* SS to go back to: null is for 64-bit code that is not of ring 3. */
static uint64_t return_stack_descriptor(struct cpu *cpu, uint16_t selector, unsigned level, uint64_t code)
{
    if (stack_may_be_null(code >> 40, cpu, selector, level))
        return 0;
    return stack_descriptor(cpu, selector, level, VECTOR_GP);
}

static void return_stack_install(struct cpu *cpu, uint16_t selector, unsigned level, uint64_t raw)
{
    if (raw)
        segment_install_raw(cpu, SEG_SS, selector, level, raw);
    else
        stack_install_null(cpu, level);
}

/* The way back to another stack, in an outer ring as a rule; SP and SS lie `offset` bytes up the stack. */
void return_outer(struct cpu *cpu, const struct stack *stack, unsigned offset, unsigned size,
                  uint16_t selector, uint64_t raw, uint64_t rip, uint16_t release)
{
    unsigned level = selector & SELECTOR_RPL, old = cpl(cpu);
    uint64_t pointer = stack_read(cpu, stack, offset, size);
    uint16_t outer_selector = stack_read(cpu, stack, offset + size, size);
    uint64_t outer = return_stack_descriptor(cpu, outer_selector, level, raw);
    struct segment code;
    struct stack new = {.pointer = pointer + release};

    code_prepare(cpu, selector, raw, rip, level, &code);
    if (outer)
        descriptor_mark_accessed(cpu, outer_selector, outer); /* may fault: before anything is changed */
    code_install(cpu, raw, &code, rip);
    return_stack_install(cpu, outer_selector, level, outer);
    new.mask = stack_mask_of(cpu, &cpu->segment[SEG_SS]);
    stack_commit(cpu, &new);
    if (level != old)
        segments_leave(cpu);
}

static void return_protected(struct cpu *cpu, struct stack *stack, unsigned size, uint16_t release)
{
    uint64_t rip = stack_read(cpu, stack, 0, size);
    uint16_t selector = stack_read(cpu, stack, size, size);
    uint64_t raw = return_code_descriptor(cpu, selector);
    struct segment code;

    if ((selector & SELECTOR_RPL) > cpl(cpu)) {
        return_outer(cpu, stack, 2 * size + release, size, selector, raw, rip, release);
        return;
    }
    code_prepare(cpu, selector, raw, rip, cpl(cpu), &code);
    code_install(cpu, raw, &code, rip);
    stack->pointer += 2 * size + release;
    stack_commit(cpu, stack);
}

void far_return(struct cpu *cpu, unsigned size, uint16_t release)
{
    struct stack stack = stack_current(cpu);
    uint64_t rip;
    uint16_t selector;

    if (in_protected_mode(cpu)) {
        return_protected(cpu, &stack, size, release);
        return;
    }
    rip = stack_read(cpu, &stack, 0, size);
    selector = stack_read(cpu, &stack, size, size);
    real_transfer(cpu, selector, rip);
    stack.pointer += 2 * size + release;
    stack_commit(cpu, &stack);
}
