/*
 * Segment registers, descriptors, and far JMP, CALL and RET: through code segments, call gates, task gates and TSSs.
 *
 * Real mode keeps limit and size bits of the hidden part, as hardware does: that is how "unreal mode" comes about.
 * In IA-32e mode call gates, LDTs and TSSs have 16 bytes, tasks are gone, and 64-bit code knows no limits.
 * Source: SDM volume 3A, 3.4, 5.5 to 5.8, 7.2.3, 20.1; volume 2, the operations of MOV, JMP, CALL and RET.
 */
#include <stdarg.h>
#include <stdio.h>

#include "cpu/soft/descriptor.h"

const char segment_names[SEG_COUNT][3] = {"ES", "CS", "SS", "DS", "FS", "GS"};

enum { DESCRIPTOR_SIZE = 8, DESCRIPTOR_RIGHTS = 5 }; /* bytes; the offset of the one with type and DPL */
enum {
    /* S, present, writable, accessed */
    RIGHTS_REAL = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED,
    RIGHTS_V86 = RIGHTS_REAL | RIGHTS_DPL,
    GATE_PARAMETERS = 0x1f,
    UPPER_TYPE = 0x1f00, /* in the last four bytes of a descriptor of 16: must be clear */
};

/* ---- words ---- */

struct words selector_words(uint16_t selector)
{
    struct words words;

    snprintf(words.text, sizeof(words.text), "%s[%u] (selector 0x%x)",
             selector & SELECTOR_LDT ? "LDT" : "GDT", selector >> 3, selector);
    return words;
}

const char *raw_words(uint64_t raw)
{
    static const char *const system[16] = {
        "a system descriptor of the reserved type 0",
        "an available 16-bit TSS",
        "an LDT",
        "a busy 16-bit TSS",
        "a 16-bit call gate",
        "a task gate",
        "a 16-bit interrupt gate",
        "a 16-bit trap gate",
        "a system descriptor of the reserved type 8",
        "an available 32-bit TSS",
        "a system descriptor of the reserved type 10",
        "a busy 32-bit TSS",
        "a 32-bit call gate",
        "a system descriptor of the reserved type 13",
        "a 32-bit interrupt gate",
        "a 32-bit trap gate",
    };
    static const char *const segment[8] = {
        "read-only data",    "writable data", "read-only expand-down data",   "writable expand-down data",
        "execute-only code", "readable code", "execute-only conforming code", "readable conforming code",
    };

    if (raw == 0)
        return "an empty (all zero) descriptor";
    return raw_is_segment(raw) ? segment[raw_type(raw) >> 1] : system[raw_type(raw)];
}

/* ---- descriptors ---- */

/* Where the selector's descriptor lies; false if it is null or past its table's limit. */
static bool descriptor_address(const struct cpu *cpu, uint16_t selector, uint64_t *address)
{
    uint64_t base = cpu->gdtr.base, limit = cpu->gdtr.limit;

    if (selector & SELECTOR_LDT) {
        if (cpu->ldtr.rights & RIGHTS_UNUSABLE)
            return false;
        base = cpu->ldtr.base;
        limit = cpu->ldtr.limit;
    } else if (selector_null(selector)) {
        return false;
    }
    *address = system_linear(cpu, base + (selector & SELECTOR_INDEX));
    return (selector & SELECTOR_INDEX) + DESCRIPTOR_SIZE - 1u <= limit;
}

bool descriptor_read(struct cpu *cpu, uint16_t selector, uint64_t *raw)
{
    uint64_t address;

    if (!descriptor_address(cpu, selector, &address))
        return false;
    *raw = load_system(cpu, address, DESCRIPTOR_SIZE);
    return true;
}

uint64_t descriptor_need(struct cpu *cpu, uint16_t selector, unsigned vector, const char *role)
{
    uint64_t raw;

    if (selector_null(selector)) {
        fault_because(cpu, "%s is the null selector", role);
        fault_error(cpu, vector, 0);
    }
    if (!descriptor_read(cpu, selector, &raw)) {
        bool local = selector & SELECTOR_LDT;

        if (local && (cpu->ldtr.rights & RIGHTS_UNUSABLE))
            fault_because(cpu, "%s: selector 0x%x is in the LDT, and there is none", role, selector);
        else
            fault_because(cpu, "%s: %s needs bytes up to 0x%04x, the %s limit is 0x%04x", role,
                          selector_words(selector).text, (selector & SELECTOR_INDEX) + DESCRIPTOR_SIZE - 1,
                          local ? "LDT" : "GDT", local ? cpu->ldtr.limit : cpu->gdtr.limit);
        fault_error(cpu, vector, selector & ERROR_SELECTOR);
    }
    return raw;
}

uint64_t descriptor_upper(struct cpu *cpu, uint16_t selector, const char *role)
{
    uint64_t address, limit = selector & SELECTOR_LDT ? cpu->ldtr.limit : cpu->gdtr.limit, upper;
    unsigned last = (selector & SELECTOR_INDEX) + 2 * DESCRIPTOR_SIZE - 1;

    if (!in_long_mode(cpu) || !descriptor_address(cpu, selector, &address))
        return 0;
    if (last > limit) {
        fault_because(cpu, "%s: %s has 16 bytes in long mode, up to 0x%04x, the limit is 0x%04x", role,
                      selector_words(selector).text, last, (unsigned)limit);
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    upper = load_system(cpu, address + DESCRIPTOR_SIZE, DESCRIPTOR_SIZE);
    if (upper >> 32 & UPPER_TYPE) {
        fault_because(cpu, "%s: %s, of 16 bytes in long mode, has its upper type field (bits 108 to 104) set",
                      role, selector_words(selector).text);
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    return upper << 32;
}

void descriptor_change(struct cpu *cpu, uint16_t selector, uint8_t set, uint8_t clear)
{
    uint64_t address;

    if (!descriptor_address(cpu, selector, &address))
        return;
    address = system_linear(cpu, address + DESCRIPTOR_RIGHTS);
    store_system(cpu, address, 1, (load_system(cpu, address, 1) | set) & ~(uint64_t)clear);
}

void descriptor_to_segment(uint64_t raw, uint16_t selector, struct segment *segment)
{
    uint32_t limit = (raw & 0xffff) | (raw >> 32 & 0xf0000);

    segment->selector = selector;
    segment->rights = raw >> 40 & 0xf0ff;
    segment->limit = segment->rights & RIGHTS_G ? limit << 12 | 0xfff : limit;
    segment->base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000);
}

void descriptor_to_system_segment(struct cpu *cpu, uint64_t raw, uint64_t upper, uint16_t selector,
                                  struct segment *segment)
{
    struct segment made;

    descriptor_to_segment(raw, selector, &made);
    made.base |= upper;
    if (!canonical(made.base)) {
        fault_because(cpu, "%s is %s whose base 0x%016llx is not canonical", selector_words(selector).text,
                      raw_words(raw), (unsigned long long)made.base);
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    *segment = made;
}

/* ---- segment registers ---- */

void segment_install(struct cpu *cpu, enum segment_name name, const struct segment *segment)
{
    cpu->segment[name] = *segment;
    if (name == SEG_SS)
        tlb_choose(cpu);
}

static void mark_accessed(struct cpu *cpu, uint16_t selector, uint64_t raw)
{
    if (!(raw >> 40 & RIGHTS_ACCESSED))
        descriptor_change(cpu, selector, RIGHTS_ACCESSED, 0);
}

void segment_install_raw(struct cpu *cpu, enum segment_name name, uint16_t selector, unsigned level,
                         uint64_t raw)
{
    struct segment segment;

    mark_accessed(cpu, selector, raw);
    descriptor_to_segment(raw, (selector & ~SELECTOR_RPL) | level, &segment);
    segment.rights |= RIGHTS_ACCESSED;
    segment_install(cpu, name, &segment);
}

void segment_install_null(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    segment_install(cpu, name, &(struct segment){.selector = selector, .rights = RIGHTS_UNUSABLE});
}

/* SS of 64-bit code may be null; the privilege is still its DPL's. */
void stack_install_null(struct cpu *cpu, unsigned level)
{
    segment_install(
        cpu, SEG_SS,
        &(struct segment){.selector = level, .rights = RIGHTS_UNUSABLE | level << RIGHTS_DPL_SHIFT});
}

static void install_real(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    struct segment segment = cpu->segment[name];

    segment.selector = selector;
    segment.base = (uint32_t)selector << 4;
    if (cpu->rflags & FLAG_VM) {
        segment.rights = RIGHTS_V86;
        segment.limit = 0xffff;
    } else {
        segment.rights = (segment.rights & (RIGHTS_DB | RIGHTS_G)) | RIGHTS_REAL;
    }
    segment_install(cpu, name, &segment);
}

void segment_load_real(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    install_real(cpu, name, selector);
    segment_changed(cpu, name);
}

static _Noreturn void refuse(struct cpu *cpu, unsigned vector, uint16_t selector)
{
    fault_error(cpu, vector, selector & ERROR_SELECTOR);
}

static void need_present(struct cpu *cpu, uint16_t selector, uint64_t raw, unsigned vector)
{
    if (raw_present(raw))
        return;
    fault_because(cpu, "%s is %s that is not present: present bit (47) clear", selector_words(selector).text,
                  raw_words(raw));
    refuse(cpu, vector, selector);
}

uint64_t stack_descriptor(struct cpu *cpu, uint16_t selector, unsigned level, unsigned vector)
{
    uint64_t raw = descriptor_need(cpu, selector, vector, "SS");

    if (!raw_is_writable_data(raw)) {
        fault_because(cpu, "SS: %s is %s%s; a stack needs writable data", selector_words(selector).text,
                      raw_words(raw),
                      raw_is_segment(raw) && !raw_is_code(raw) ? ": writable bit (41) clear" : "");
        refuse(cpu, vector, selector);
    }
    if ((selector & SELECTOR_RPL) != level || raw_dpl(raw) != level) {
        fault_because(cpu, "SS: %s has RPL %u and DPL %u (bits 45, 46); both must be the privilege level, %u",
                      selector_words(selector).text, selector & SELECTOR_RPL, raw_dpl(raw), level);
        refuse(cpu, vector, selector);
    }
    need_present(cpu, selector, raw, VECTOR_SS);
    return raw;
}

static void load_data(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    unsigned level = cpl(cpu), rpl = selector & SELECTOR_RPL;
    uint64_t raw;

    if (selector_null(selector)) {
        segment_install_null(cpu, name, selector);
        return;
    }
    raw = descriptor_need(cpu, selector, VECTOR_GP, segment_names[name]);
    if (!raw_is_segment(raw) || (raw_is_code(raw) && !(raw_type(raw) & RIGHTS_WRITABLE))) {
        fault_because(cpu, "%s: %s is %s; it takes data or readable code", segment_names[name],
                      selector_words(selector).text, raw_words(raw));
        refuse(cpu, VECTOR_GP, selector);
    }
    if (!(raw_is_code(raw) && raw_is_conforming(raw)) && (rpl > raw_dpl(raw) || level > raw_dpl(raw))) {
        fault_because(cpu, "%s: %s has DPL %u, too privileged for CPL %u and RPL %u", segment_names[name],
                      selector_words(selector).text, raw_dpl(raw), level, rpl);
        refuse(cpu, VECTOR_GP, selector);
    }
    need_present(cpu, selector, raw, VECTOR_NP);
    segment_install_raw(cpu, name, selector, rpl, raw);
}

/* May SS be this null selector, at this level, for code with these rights? */
static bool null_stack_fits(uint32_t rights, const struct cpu *cpu, uint16_t selector, unsigned level)
{
    return selector_null(selector) && in_long_mode(cpu) && (rights & RIGHTS_L) && level != 3 &&
           (selector & SELECTOR_RPL) == level;
}

void segment_load(struct cpu *cpu, enum segment_name name, uint16_t selector)
{
    if (!in_protected_mode(cpu))
        install_real(cpu, name, selector);
    else if (name == SEG_SS && null_stack_fits(cpu->segment[SEG_CS].rights, cpu, selector, cpl(cpu)))
        stack_install_null(cpu, cpl(cpu));
    else if (name == SEG_SS)
        segment_install_raw(cpu, name, selector, cpl(cpu),
                            stack_descriptor(cpu, selector, cpl(cpu), VECTOR_GP));
    else
        load_data(cpu, name, selector);
    segment_changed(cpu, name);
}

void segments_leave(struct cpu *cpu)
{
    static const enum segment_name data[] = {SEG_ES, SEG_FS, SEG_GS, SEG_DS};

    for (int i = 0; i < 4; i++) {
        struct segment *segment = &cpu->segment[data[i]];
        bool conforming =
            (segment->rights & (RIGHTS_CODE | RIGHTS_EXPAND_DOWN)) == (RIGHTS_CODE | RIGHTS_EXPAND_DOWN);

        /* FS and GS of 64-bit code are null as a rule and have a base all the same. */
        if (in_long_mode(cpu) && (segment->rights & RIGHTS_UNUSABLE))
            continue;
        if (conforming || (segment->rights & RIGHTS_DPL) >> RIGHTS_DPL_SHIFT >= cpl(cpu))
            continue;
        /* The selector alone becomes null: 64-bit code goes on with the base. */
        segment->selector = 0;
        segment->rights |= RIGHTS_UNUSABLE;
    }
}

/* ---- stacks ---- */

static uint64_t stack_mask_of(const struct cpu *cpu, const struct segment *segment)
{
    if (in_64bit_code(cpu))
        return UINT64_MAX;
    return segment->rights & RIGHTS_DB ? UINT32_MAX : UINT16_MAX;
}

struct stack stack_current(struct cpu *cpu)
{
    return (struct stack){.segment = cpu->segment[SEG_SS],
                          .pointer = cpu->gpr[RSP],
                          .mask = stack_mask_of(cpu, &cpu->segment[SEG_SS]),
                          .user = is_user(cpu)};
}

struct stack stack_inner(struct cpu *cpu, unsigned level)
{
    struct stack stack = {.user = level == 3};
    uint16_t selector;
    uint32_t pointer;
    uint64_t raw;

    task_stack(cpu, level, &selector, &pointer);
    raw = stack_descriptor(cpu, selector, level, VECTOR_TS);
    descriptor_to_segment(raw, selector, &stack.segment);
    mark_accessed(cpu, selector, raw);
    stack.segment.rights |= RIGHTS_ACCESSED;
    stack.pointer = pointer;
    stack.mask = stack_mask_of(cpu, &stack.segment);
    stack.error = selector & ERROR_SELECTOR;
    return stack;
}

struct stack stack_inner64(unsigned level, uint64_t pointer)
{
    return (struct stack){
        .segment = {.selector = level, .rights = RIGHTS_UNUSABLE | level << RIGHTS_DPL_SHIFT},
        .pointer = pointer,
        .mask = UINT64_MAX,
        .user = level == 3};
}

/* In 64-bit code there are no limits. */
static uint64_t stack_linear64(struct cpu *cpu, uint64_t offset, unsigned size, uint32_t error)
{
    if (canonical(offset) && canonical(offset + size - 1))
        return offset;
    fault_because(cpu, "stack access at 0x%016llx, which is not canonical: bits 63 to 47 differ",
                  (unsigned long long)offset);
    fault_error(cpu, VECTOR_SS, error);
}

/* The linear address of `size` bytes in a stack, or #SS. */
static uint64_t stack_linear(struct cpu *cpu, const struct stack *stack, uint64_t offset, unsigned size)
{
    const struct segment *segment = &stack->segment;
    bool expand_down = (segment->rights & (RIGHTS_CODE | RIGHTS_EXPAND_DOWN)) == RIGHTS_EXPAND_DOWN;
    bool inside;

    if (stack->mask == UINT64_MAX)
        return stack_linear64(cpu, offset, size, stack->error);
    inside = expand_down ? offset > segment->limit && offset + size - 1 <= stack->mask
                         : offset + size - 1 <= segment->limit;

    if (!inside || (segment->rights & RIGHTS_UNUSABLE)) {
        fault_because(cpu, "stack access of %u bytes at SS:0x%llx (SS 0x%04x), outside the segment's %s 0x%x",
                      size, (unsigned long long)offset, segment->selector,
                      expand_down ? "expand-down limit" : "limit", segment->limit);
        fault_error(cpu, VECTOR_SS, stack->error);
    }
    return (uint32_t)(segment->base + offset);
}

void stack_push(struct cpu *cpu, struct stack *stack, unsigned size, uint64_t value)
{
    uint64_t offset = (stack->pointer - size) & stack->mask;
    uint64_t linear = stack_linear(cpu, stack, offset, size);

    if (stack->user)
        slow_store(cpu, linear, size, value, true);
    else
        store_system(cpu, linear, size, value);
    stack->pointer = (stack->pointer & ~stack->mask) | offset;
}

uint64_t stack_read(struct cpu *cpu, const struct stack *stack, unsigned offset, unsigned size)
{
    uint64_t linear = stack_linear(cpu, stack, (stack->pointer + offset) & stack->mask, size);

    return stack->user ? slow_load(cpu, linear, size, true) : load_system(cpu, linear, size);
}

void stack_commit(struct cpu *cpu, const struct stack *stack)
{
    cpu->gpr[RSP] = (cpu->gpr[RSP] & ~stack->mask & UINT32_MAX) | (stack->pointer & stack->mask);
}

static uint64_t truncate(uint64_t value, unsigned size)
{
    return size == 2 ? (uint16_t)value : size == 4 ? (uint32_t)value : value;
}

/* ---- code segments ---- */

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
    refuse(cpu, VECTOR_GP, selector);
}

/* A code segment that JMP, CALL or a gate leads to; answers it with RPL = level. */
static void code_prepare(struct cpu *cpu, uint16_t selector, uint64_t raw, uint64_t offset, unsigned level,
                         struct segment *code)
{
    need_present(cpu, selector, raw, VECTOR_NP);
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
    refuse(cpu, VECTOR_GP, selector);
}

/* What all of call gates, task gates and TSSs ask of the instruction. */
static void gate_check(struct cpu *cpu, uint16_t selector, uint64_t raw)
{
    unsigned rpl = selector & SELECTOR_RPL;

    if (raw_dpl(raw) < cpl(cpu) || raw_dpl(raw) < rpl) {
        fault_because(cpu, "%s is %s of DPL %u, out of reach for CPL %u and RPL %u",
                      selector_words(selector).text, raw_words(raw), raw_dpl(raw), cpl(cpu), rpl);
        refuse(cpu, VECTOR_GP, selector);
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
        refuse(cpu, VECTOR_GP, target);
    }
    if (raw_dpl(raw) > cpl(cpu) || (!call && !conforming && raw_dpl(raw) != cpl(cpu))) {
        fault_because(cpu, "the call gate leads to %s of DPL %u, which CPL %u may not %s",
                      selector_words(target).text, raw_dpl(raw), cpl(cpu), call ? "call" : "jump to");
        refuse(cpu, VECTOR_GP, target);
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
    need_present(cpu, selector, gate, VECTOR_NP);
    raw = gate_target(cpu, gate_selector(gate), call);
    code_width_check(cpu, gate_selector(gate), raw, true);
    need_present(cpu, gate_selector(gate), raw, VECTOR_NP);
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
    need_present(cpu, selector, gate, VECTOR_NP);
    raw = gate_target(cpu, gate_selector(gate), call);
    need_present(cpu, gate_selector(gate), raw, VECTOR_NP);
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
        refuse(cpu, VECTOR_GP, selector);
    } else if (raw_is_system(raw, TYPE_CALL_GATE16) || raw_is_system(raw, TYPE_CALL_GATE32)) {
        gate_transfer(cpu, selector, raw, call, next);
    } else if (raw_is_system(raw, TYPE_TASK_GATE)) {
        gate_check(cpu, selector, raw);
        need_present(cpu, selector, raw, VECTOR_NP);
        task_switch(cpu, gate_selector(raw), task_descriptor(cpu, gate_selector(raw), VECTOR_GP), cause, next,
                    false, 0);
    } else if (raw_is_tss(raw)) {
        gate_check(cpu, selector, raw);
        task_switch(cpu, selector, task_descriptor(cpu, selector, VECTOR_GP), cause, next, false, 0);
    } else {
        fault_because(cpu, "CS: %s is %s, which control cannot go to", selector_words(selector).text,
                      raw_words(raw));
        refuse(cpu, VECTOR_GP, selector);
    }
}

/* Real and v86 mode: the limit is that of the present CS, which stays. */
static void real_transfer(struct cpu *cpu, uint16_t selector, uint64_t offset)
{
    code_limit_check(cpu, &cpu->segment[SEG_CS], offset);
    install_real(cpu, SEG_CS, selector);
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
        refuse(cpu, VECTOR_GP, selector);
    }
    if (rpl < cpl(cpu)) {
        fault_because(cpu, "the return CS: selector 0x%x has RPL %u, an inner ring; CPL is %u", selector, rpl,
                      cpl(cpu));
        refuse(cpu, VECTOR_GP, selector);
    }
    if (raw_is_conforming(raw) ? dpl > rpl : dpl != rpl) {
        fault_because(cpu, "the return CS: %s is %s of DPL %u, with RPL %u", selector_words(selector).text,
                      raw_words(raw), dpl, rpl);
        refuse(cpu, VECTOR_GP, selector);
    }
    code_width_check(cpu, selector, raw, false);
    need_present(cpu, selector, raw, VECTOR_NP);
    return raw;
}

/* SS to go back to: null is for 64-bit code that is not of ring 3. */
static uint64_t return_stack_descriptor(struct cpu *cpu, uint16_t selector, unsigned level, uint64_t code)
{
    if (null_stack_fits(code >> 40, cpu, selector, level))
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
        mark_accessed(cpu, outer_selector, outer); /* may fault: before anything is changed */
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
